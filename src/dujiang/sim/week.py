"""The demonstration week: eight hubs, ten clusters, some 400 enterprises and 3 000 orders, invented but not arbitrary.

Real are the hubs and clusters, their PUE limits, the grid factors, the distances, the peaks of the accelerators, the
programmes with their rules, and the means and medians that sizes and run times follow. Everything else is assumed, and
`book.yaml` says so, entry by entry. The same seed and size give the same bytes.
"""

from datetime import UTC, datetime

from dujiang.catalog.tables import trace_statistics
from dujiang.core.errors import InputError
from dujiang.core.problem import Problem, shown
from dujiang.core.slots import SHANGHAI, instant_text
from dujiang.core.text import Text
from dujiang.sim import week_demand as demand
from dujiang.sim.assumption import assumed
from dujiang.sim.week_supply import (
    ASK_POSITION,
    GRID_YEAR,
    LINK_CNY_PER_GB,
    REFERENCE,
    Supply,
    supply,
)
from dujiang.store.write_book import BookFiles

START = datetime(2025, 11, 2, 16, tzinfo=UTC)
"""Monday 3 November 2025, 00:00 in Shanghai."""
ORDERS = 3_000
SEED = 20251103
ORDERS_PER_ENTERPRISE = 7.5
ORDERS_MAX = 1_000_000

BUDGETS = {
    "dg-compute-voucher": (50_000_000 / 3, 0.005),
    "hn-compute-voucher-2025": (50_000_000, 0.002),
    "sd-compute-voucher-2025": (30_000_000, 0.002),
    "sz-training-voucher": (500_000_000, 0.002),
}
"""Published budget by year in yuan, and the part of it that goes through this exchange (invented, so that some budgets
bind a little). Dongguan's 50 million are for three years (press); Shandong's 30 million are of no stated period."""
WITHOUT_BUDGET = ("bj-compute-voucher-rules", "zz-compute-voucher-2024")
"""Qingyang's voucher is not offered: a claim is of at least 5,000 yuan, more than almost any order here can use."""
WEEKS_PER_YEAR = 52
FACTS: dict[str, object] = {
    "via_platform": True,
    "related_party": False,
    "other_subsidy": False,
    "self_built": False,
    "legal_person": True,
    "matches_industry_plan": True,
    "sound_finance": True,
    "clean_record_3_years": True,
    "compute_partner": True,
    "contract_months": 1,
    "centre_scale_recognised": True,
    "clear_compute_effect": True,
}
CLAIMED: dict[str, tuple[str, tuple[float, ...]]] = {
    "bj-compute-voucher-rules": ("北京", (1_999_500.0, 1_200_000.0)),
    "zz-compute-voucher-2024": ("郑州", (999_900.0, 400_000.0)),
}
"""By programme: city, and what its busiest firms claimed before, busiest first. Only programmes without a budget of
this round, because earlier claims would be taken off that too."""


def demo_week(seed: int = SEED, orders: int = ORDERS) -> BookFiles:
    """Make the demonstration week.

    Parameters
    ----------
    seed : not negative
    orders : number of orders, 1 to a million; enterprises, pools and voucher budgets grow with it, so that load and
        scarcity stay

    Returns
    -------
    the book; every invented figure stands in its `assumptions`

    Raises
    ------
    InputError : seed or number of orders out of range
    """
    problems = []
    if not 0 <= seed < 2**63:
        expected = Text("a whole number from 0", "不小于 0 的整数")
        problems.append(Problem("bad-option", "options", None, "seed", shown(seed), expected))
    if not 1 <= orders <= ORDERS_MAX:
        expected = Text(f"1 to {ORDERS_MAX}", f"1 至 {ORDERS_MAX}")
        problems.append(Problem("bad-option", "options", None, "orders", shown(orders), expected))
    if problems:
        raise InputError(problems)
    scale = orders / ORDERS
    offered = supply(scale)
    who = demand.enterprises(max(20, round(orders / ORDERS_PER_ENTERPRISE)), START.astimezone(SHANGHAI).date(), seed)
    placed = demand.orders(orders, who, START, seed)
    return BookFiles(
        header={
            "start": instant_text(START),
            "slots": demand.SLOTS,
            "title": {
                "en": "A made-up week of the eight national hubs",
                "zh": "八大枢纽示范周（虚构数据）",
            },
            "use": [*_budgets(scale), *WITHOUT_BUDGET],
            "facts": dict(FACTS),
            "assumptions": _assumptions(seed, offered, scale),
        },
        tables={
            "centres": offered.centres,
            "pools": offered.pools,
            "links": offered.links,
            "enterprises": who.drop("region", "activity"),
            "orders": placed.drop("source"),
            "claims": demand.claims(who, placed, CLAIMED),
        },
    )


def _budgets(scale: float) -> list[dict[str, object]]:
    return [
        {"id": programme, "budget_cny": round(yearly / WEEKS_PER_YEAR * part * scale, 2)}
        for programme, (yearly, part) in BUDGETS.items()
    ]


def _assumptions(seed: int, offered: Supply, scale: float) -> dict[str, object]:
    values = _about_the_book(seed) | _about_supply(offered, scale) | _about_demand() | _about_programmes()
    return {entry: assumed("week", entry, value) for entry, value in values.items()}


def _about_the_book(seed: int) -> dict[str, object]:
    return {"nature": "invented", "seed": seed, "start": instant_text(START)}


def _about_supply(offered: Supply, scale: float) -> dict[str, object]:
    return {
        "pools": {"gpus": int(offered.pools["gpus"].sum()), "scale": scale},
        "regions": ["henan", "shandong"],
        "pue": list(offered.assumed_pue),
        "grid": GRID_YEAR,
        "watts_per_gpu": list(offered.without_watts),
        "speed": {"reference": REFERENCE, "invented": offered.assumed_speed},
        "ask_cny_per_gpu_hour": {"position": dict(ASK_POSITION), "ranges": offered.ask_ranges},
        "links": {"cny_per_gb": LINK_CNY_PER_GB},
    }


def _about_demand() -> dict[str, object]:
    return {
        "training": {
            "largest_gpus": demand.LARGEST_GPUS,
            "longest_run_h": demand.LONGEST_RUN_H,
            "single_share": demand.SINGLE_SHARE,
            "like": {s.statistic: _fit(s) for s in demand.SOURCES},
        },
        "inference": {
            "gpus": _table(demand.INFERENCE_GPUS),
            "hours": _table(demand.INFERENCE_HOURS),
            "rtt_ms_max": _table(demand.RTT_MS_MAX),
            "data_gb": demand.INFERENCE_DATA_GB,
        },
        "places_and_firms": {
            "kinds": dict(demand.KINDS),
            "employees": _lognormal(demand.EMPLOYEES),
            "revenue_cny_per_employee": _lognormal(demand.REVENUE_CNY_PER_EMPLOYEE),
            "activity_sigma": demand.ACTIVITY_SIGMA,
        },
        "startup": {"years": demand.STARTUP_YEARS, "employees_max": demand.STARTUP_EMPLOYEES_MAX},
        "time_of_day": {"hours_of_day": list(demand.HOURS_OF_DAY), "weekend": demand.WEEKEND},
        "deadline": {
            "stretch": demand.STRETCH,
            "slack_h": {purpose: _table(table) for purpose, table in demand.SLACK_H.items()},
        },
        "limit": {purpose: _lognormal(table) for purpose, table in demand.VALUE_CNY_PER_GPU_HOUR.items()},
        "fit_of_software": {
            "stacks": _table(demand.STACKS),
            "large_from_gpus": demand.LARGE_GPUS,
            "medium_from_gpus": demand.MEDIUM_GPUS,
        },
        "data_gb": _lognormal(demand.DATA_GB),
    }


def _about_programmes() -> dict[str, object]:
    return {
        "voucher_budgets": {
            "weeks_per_year": WEEKS_PER_YEAR,
            "programmes": {
                programme: {"cny_per_year": round(y, 2), "part": p} for programme, (y, p) in BUDGETS.items()
            },
        },
        "declarations": sorted(FACTS),
        "claims": {programme: {"city": city, "amounts_cny": list(cny)} for programme, (city, cny) in CLAIMED.items()},
    }


def _fit(source: demand.Source) -> dict[str, object]:
    """Return what was published about a cluster and what was chosen to meet it."""
    published = trace_statistics()[source.statistic]
    return {
        "share_of_orders": source.share,
        "mean_gpus": published.mean_gpus_per_job,
        "mean_run_s": published.mean_run_s,
        "median_run_s": published.median_run_s,
        "gpu_hours_per_job": source.gpu_hours_per_job,
        "rank_correlation": source.rank_correlation,
        "source": published.source,
    }


def _table(table: tuple[tuple[object, ...], tuple[float, ...]]) -> dict[str, object]:
    return {"values": list(table[0]), "weights": list(table[1])}


def _lognormal(table: tuple[float, float]) -> dict[str, object]:
    return {"median": table[0], "sigma": table[1]}
