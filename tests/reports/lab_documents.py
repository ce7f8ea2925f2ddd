"""Documents of the policy lab as its commands write them, with made-up figures."""

import copy
from typing import Any

Document = dict[str, Any]

SIZES = (
    ("micro", "micro firms (under 10 staff)", "微型企业（10人以下）"),
    ("small", "small firms (10-99 staff)", "小型企业（10—99人）"),
    ("medium", "medium firms (100-299 staff)", "中型企业（100—299人）"),
    ("large", "large firms (300 staff and more)", "大型企业（300人及以上）"),
)
REGIONS = (("guangdong", "Guangdong", "广东"), ("gansu", "Gansu hub", "甘肃枢纽"))


def run() -> Document:
    """Return the summary of a run with vouchers."""
    return {
        "format": "dujiang.sim/1",
        "version": "0.0.1",
        "title": {"en": "Dongguan voucher at 50 %", "zh": "东莞算力券 50%"},
        "mode": "fast",
        "policy": "market",
        "coupling": "full",
        "clock": "seconds",
        "seed": 1,
        "start": "2025-11-02T16:00:00Z",
        "round_every_h": None,
        "window_h": 240,
        "warm_up_h": 24,
        "digest": "ab" * 32,
        "sources": {"trace.parquet": "cd" * 32},
        "jobs": 41_230,
        "firms": 397,
        "centres": 3,
        "gpus": 2_431.0,
        "utilisation": 0.6123,
        "held_utilisation": 0.6391,
        "served_share": 0.9187,
        "gpu_hours_asked": 402_113.0,
        "gpu_hours_served": 357_219.0,
        "gpu_hours_served_share": 0.8884,
        "mean_wait_h": 2.731,
        "median_wait_h": 0.412,
        "p95_wait_h": 11.37,
        "waiting_while_idle_share": 0.317,
        "price_cny_per_gpu_hour": 2.4173,
        "net_cny_per_gpu_hour": 1.9321,
        "cost_per_useful_gpu_hour_cny": 2.5217,
        "turnover_cny": 881_200.0,
        "transfer_cny": 19_731.0,
        "net_cny": 720_457.0,
        "voucher_cny": 180_474.0,
        "buyer_surplus_cny": 911_311.0,
        "centre_surplus_cny": 151_413.0,
        "welfare_cny": 882_250.0,
        "carbon_kg": 93_417.0,
        "outcomes": {"served": 37_878, "refused": 1_913, "expired": 1_339, "stopped": 41, "waiting": 59},
        "by_size": [_group(key, en, zh, place) for place, (key, en, zh) in enumerate(SIZES)],
        "by_region": [_group(key, en, zh, place) for place, (key, en, zh) in enumerate(REGIONS)],
        "by_centre": [
            {
                "centre_id": f"vc{place}",
                "name": {"en": f"Centre {place}", "zh": f"{place} 号中心"},
                "region": "guangdong",
                "region_name": {"en": "Guangdong", "zh": "广东"},
                "gpus": 1_300.0 - 400 * place,
                "utilisation": 0.71 - 0.17 * place,
                "held_utilisation": 0.74 - 0.17 * place,
                "mean_price_cny": 2.61 - 0.2 * place,
                "jobs_served": 12_000,
                "turnover_cny": 300_000.0,
                "mean_waiting_gpus": 14.0,
            }
            for place in range(3)
        ],
        "programmes": [
            {
                "id": "dg-compute-voucher",
                "name": {"en": "Dongguan compute voucher", "zh": "东莞市算力券"},
                "rate": 0.5,
                "cap_cny": 1_000_000.0,
                "budget_cny": 200_000.0,
                "spent_cny": 180_474.0,
                "firms": 211,
                "jobs": 9_713,
                "jobs_with_several": 0,
                "half_spent_h": 91.25,
                "exhausted_h": None,
                "spent_by_day_cny": [21_000.0 * min(day, 8) + 1_559.0 for day in range(1, 11)],
            }
        ],
        "series": {
            "hours": [float(hour) for hour in range(0, 264, 2)],
            "used_share": [0.45 + 0.3 * ((hour // 2) % 12) / 12 for hour in range(0, 264, 2)],
            "waiting_gpus": [40.0 * ((hour // 2) % 12) for hour in range(0, 264, 2)],
            "price_cny": [2.0 + 0.1 * ((hour // 2) % 12) for hour in range(0, 264, 2)],
        },
        "reproducible": True,
        "assumptions": assumptions(),
        "citations": [
            {"what": {"en": "Bands of firm size", "zh": "企业规模划分"}, "citation": "国统字〔2017〕213号"},
            {"what": {"en": "Trace of jobs", "zh": "作业轨迹"}, "citation": "Jeon et al., USENIX ATC 2019"},
        ],
    }


def assumptions() -> Document:
    """Return assumptions of every shape that documents have."""
    return {
        "source/log": {
            "value": {"file": "trace.parquet", "format": "philly", "sha256": "cd" * 32},
            "en": "Jobs are those of this log; `rows` counts them.",
            "zh": "作业取自该日志；数量见 `rows`。",
        },
        "longest_h": {
            "value": 168,
            "en": "Longer jobs are cut at so many hours.",
            "zh": "更长的作业在此小时数处截断。",
        },
        "willingness": {
            "value": {"median": 2.0, "sigma": 0.5},
            "en": "What a GPU-hour is worth, over the reference price: lognormal.",
            "zh": "每卡时价值与参考价之比：对数正态分布。",
        },
        "staff": {
            "value": {"median": 60, "sigma": 1.3},
            "en": "Staff of a firm: lognormal.",
            "zh": "企业人数：对数正态分布。",
        },
    }


def _group(key: str, en: str, zh: str, place: int) -> Document:
    return {
        "key": key,
        "name": {"en": en, "zh": zh},
        "firms": 80 + place,
        "jobs": 9_000 + 311 * place,
        "served_share": 0.95 - 0.03 * place,
        "gpu_hours_asked": 90_000.0 + 1_000 * place,
        "gpu_hours_served": 83_000.0 + 500 * place,
        "gpu_hours_served_share": 0.92,
        "mean_wait_h": 1.5 + 0.7 * place,
        "voucher_cny": 60_000.0 - 9_000 * place,
        "net_cny": 150_000.0 + 9_000 * place,
        "buyer_surplus_cny": 200_000.0,
    }


RATES = (0.0, 0.25, 0.5, 0.75)


def _about(mean: float, spread: float) -> Document:
    return {"mean": mean, "low": mean - spread, "high": mean + spread}


def study() -> Document:
    """Return a study of a voucher at four rates against a rate of zero."""
    return {
        "format": "dujiang.study/1",
        "version": "0.0.1",
        "title": {"en": "A voucher of 50 million yuan", "zh": "五千万元算力券"},
        "question": {
            "en": "What would a voucher do at 0, 25, 50 and 75 %?",
            "zh": "补贴比例为 0、25%、50%、75% 时有何作用？",
        },
        "engine": "local",
        "factors": [
            {
                "key": "programmes.dg-compute-voucher.rate",
                "name": {"en": "voucher share", "zh": "补贴比例"},
                "values": list(RATES),
                "labels": [{"en": f"{100 * rate:g} %", "zh": f"{100 * rate:g}%"} for rate in RATES],
            }
        ],
        "seeds": [1, 2, 3, 4, 5],
        "reference": 0,
        "level": 0.95,
        "resamples": 1000,
        "block_h": 24,
        "points": [_point(index, rate) for index, rate in enumerate(RATES)],
        "measures": [
            {"key": "utilisation", "name": {"en": "use", "zh": "使用率"}, "unit": "share", "better": "more"},
            {"key": "tokens", "name": {"en": "Tokens made", "zh": "生成词元"}, "unit": "count", "better": "more"},
        ],
        "search": None,
        "assumptions": assumptions(),
        "differing_assumptions": {},
        "citations": run()["citations"],
        "scenario": {
            "trace": "trace.parquet",
            "format": "philly",
            "jobs": 41_230,
            "firms": 397,
            "centres": 3,
            "gpus": 2_431,
            "window_h": 240,
        },
    }


def _point(index: int, rate: float) -> Document:
    at = 1 - (1 - rate) ** 1.7
    point: Document = {
        "index": index,
        "values": {"programmes.dg-compute-voucher.rate": rate},
        "label": {"en": f"{100 * rate:g} %", "zh": f"{100 * rate:g}%"},
        "runs": [f"r{index}-{seed}" for seed in range(5)],
        "measures": {
            "utilisation": _about(0.553 + 0.061 * at, 0.012),
            "held_utilisation": _about(0.571 + 0.063 * at, 0.012),
            "served_share": _about(0.871 + 0.052 * at, 0.009),
            "gpu_hours_served": _about(331_207.0 + 30_000 * at, 6_000),
            "mean_wait_h": _about(1.913 + 0.61 * at, 0.21),
            "p95_wait_h": {"mean": 9.1 + at, "low": None, "high": None},
            "price_cny_per_gpu_hour": _about(2.213 + 0.31 * at, 0.03),
            "net_cny_per_gpu_hour": _about(2.213 - 0.43 * at, 0.03),
            "cost_per_useful_gpu_hour_cny": _about(2.317 + 0.33 * at, 0.035),
            "voucher_cny": _about(257_313.0 * at, 11_000 * at),
            "net_cny": _about(760_000.0 - 80_000 * at, 10_000),
            "welfare_cny": _about(871_000.0 - 20_000 * at, 30_000),
            "tokens": _about(1_000.0, 10),
        },
        "effects": {},
        "by_size": [_group(key, en, zh, place) for place, (key, en, zh) in enumerate(SIZES)],
        "by_region": [_group(key, en, zh, place) for place, (key, en, zh) in enumerate(REGIONS)],
        "programmes": [
            run()["programmes"][0]
            | {
                "rate": rate,
                "spent_cny": 180_000.0 * at,
                "spent_by_day_cny": [18_000.0 * at * day for day in range(1, 11)],
                "half_spent_h": None if not rate else 120 / rate,
            }
        ],
        "spent_by_day_cny": [18_000.0 * at * day for day in range(1, 11)],
        "series": {},
    }
    if rate:
        for group, change in zip(point["by_size"], (1, -1, 2, -2), strict=True):
            group["gpu_hours_served"] += 1_000 * at * change
            group["mean_wait_h"] += 0.1 * at * change
        point["effects"] = {
            "net_additional_gpu_hours": _about(21_437.0 * at, 5_100),
            "additional_gpu_hours": _about(24_911.0 * at, 5_300),
            "displaced_gpu_hours": _about(3_474.0 * at, 900),
            "supported_gpu_hours": _about(120_000.0 * at, 9_000),
            "additionality": _about(0.207, 0.031),
            "incidence.buyers": _about(0.617 - 0.1 * rate, 0.07),
            "incidence.centres": _about(0.291 + 0.1 * rate, 0.08),
            "incidence.lost": _about(0.092, 0.06),
            "leverage.net_per_voucher": _about(1 / rate - 1, 0.05),
            "leverage.additional_net_per_voucher": _about(-0.131, 0.07),
            "price_change_share": _about(0.14 * at, 0.011),
            "firms_better": _about(271.0, 9),
            "firms_worse": _about(103.0, 8),
            "change.utilisation": _about(0.061 * at, 0.006),
            "change.mean_wait_h": _about(0.61 * at, 0.9),
            "change.served_share": _about(0.052 * at, 0.004),
        }
    return point


def search() -> Document:
    """Return a study that searched for the best rate and cap."""
    found = study()
    found["factors"] = []
    found["points"] = []
    for index in range(30):
        rate, cap = (index * 7 % 10) / 10, 10_000 * (1 + index % 3)
        point = _point(index, rate)
        point["values"] = {"programmes.dg.rate": rate, "programmes.dg.cap_cny": cap}
        point["label"] = {
            "en": f"share {100 * rate:g} %, cap {cap:,} yuan",
            "zh": f"比例 {100 * rate:g}%，上限 {cap:,} 元",
        }
        for group in ("measures", "effects"):
            for key in ("voucher_cny", "net_additional_gpu_hours"):
                if key in point[group]:
                    worth = 1.0 if key == "voucher_cny" else 0.6 + 0.05 * (index * 5 % 9)
                    value = point[group][key]["mean"] * (0.7 + 0.02 * (index * 11 % 17)) * worth
                    point[group][key] = _about(value, 1_000)
        found["points"].append(point)
    ranked = sorted(
        (point for point in found["points"] if point["effects"]), key=lambda p: p["measures"]["voucher_cny"]["mean"]
    )
    frontier, best = [], -1.0
    for point in ranked:
        reached = point["effects"]["net_additional_gpu_hours"]["mean"]
        if reached > best:
            frontier.append(point["index"])
            best = reached
    found["search"] = {
        "goal": "net_additional_gpu_hours",
        "budget": None,
        "evaluations": 30,
        "x": "voucher_cny",
        "y": "net_additional_gpu_hours",
        "frontier": frontier,
        "best": frontier[-1],
    }
    return found


def mixed() -> Document:
    """Return a study of coupling and vouchers against neither."""
    document = study()
    key = "programmes.dg-compute-voucher.rate"
    document["factors"] = [
        {
            "key": "coupling",
            "name": {"en": "coupling", "zh": "联通范围"},
            "values": ["isolated", "full"],
            "labels": [{"en": "isolated", "zh": "孤立"}, {"en": "coupled", "zh": "联通"}],
        },
        {
            "key": key,
            "name": {"en": "voucher share", "zh": "补贴比例"},
            "values": [0, 0.5],
            "labels": [{"en": "0 %", "zh": "0%"}, {"en": "50 %", "zh": "50%"}],
        },
    ]
    values = [("isolated", 0), ("isolated", 0.5), ("full", 0), ("full", 0.5)]
    words = {"isolated": ("isolated", "孤立"), "full": ("coupled", "联通")}
    for point, (reach, rate) in zip(document["points"], values, strict=True):
        share = f"{100 * rate:g}"
        point["values"] = {"coupling": reach, key: rate}
        point["label"] = {
            "en": f"coupling {words[reach][0]}, voucher share {share} %",
            "zh": f"联通范围{words[reach][1]}，补贴比例{share}%",
        }
    return document


def isolated() -> Document:
    """Return a run of the same jobs where each centre works for itself."""
    found = copy.deepcopy(run())
    found |= {
        "title": {"en": "Each centre for itself", "zh": "各中心各自运行"},
        "policy": "isolated_fifo",
        "mode": "queues",
    }
    found |= {"coupling": "isolated", "utilisation": 0.5311, "mean_wait_h": 7.91, "served_share": 0.841}
    found |= {"voucher_cny": 0.0, "programmes": [], "price_cny_per_gpu_hour": 2.0, "carbon_kg": None}
    return found
