"""Programmes applied to a million firms: seconds, nanoseconds per firm and condition, and a hand-written floor.

Run as ``python -m benchmarks.policy [--firms N] [--json]`` from the root of the repository. Firms are made up, with
one purchase each; reading files is not part of it. The floor is what somebody writes in numpy for three of the
programmes and nothing else: no reasons, no unknown facts, no caps that carry over, no stack.
"""

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from dujiang.core.money import MICRO
from dujiang.policy.apply import apply
from dujiang.policy.catalogue import shipped_programmes
from dujiang.policy.condition import asked_conditions
from dujiang.policy.evaluate import evaluate
from dujiang.policy.payment import base_of
from dujiang.policy.programme import Programme, leaves
from dujiang.policy.requests import requests
from dujiang.policy.stack import Offer, best_stack
from dujiang.policy.table import FactTable

CITIES = {
    "深圳": "广东",
    "东莞": "广东",
    "北京": "北京",
    "上海": "上海",
    "庆阳": "甘肃",
    "郑州": "河南",
    "南宁": "广西",
    "苏州": "江苏",
    "成都": "四川",
    "济南": "山东",
}
KINDS = ("enterprise", "software_it_enterprise", "manufacturing_enterprise", "university", "research_institute")
GOODS = ("compute", "compute", "compute", "corpus", "model", "project")
PURPOSES = ("training", "inference", "application")
FLAGS = {
    "startup": 0.3,
    "self_built": 0.1,
    "via_platform": 0.7,
    "via_exchange": 0.7,
    "related_party": 0.1,
    "model_filed": 0.5,
    "other_subsidy": 0.1,
    "clean_record_3_years": 0.95,
    "legal_person": 0.95,
    "sound_finance": 0.9,
    "matches_industry_plan": 0.8,
    "compute_partner": 0.5,
    "supplier_recognised": 0.5,
    "review_passed": 0.4,
}
BY_HAND = ("sz-training-voucher", "dg-compute-voucher", "zz-compute-voucher-2024")


def made_up(firms: int, seed: int = 1) -> pl.DataFrame:
    """Draw purchases of compute, models and corpora all over the country, one for each firm."""
    rng = np.random.default_rng(seed)

    def pick(names: tuple[str, ...]) -> pl.Series:
        return pl.Series(np.array(names)[rng.integers(0, len(names), firms)])

    amount = rng.lognormal(13.5, 1.4, firms).astype(np.int64) * MICRO
    days = np.datetime64("2025-01-01") + rng.integers(0, 365, firms)
    return pl.DataFrame(
        {
            "enterprise_id": pl.int_range(firms, eager=True).cast(pl.String),
            "city": pick(tuple(CITIES)),
            "kind": pick(KINDS),
            "good": pick(GOODS),
            "purpose": pick(PURPOSES),
            "employees": rng.integers(1, 3000, firms),
            "date": pl.Series(days.astype("datetime64[D]")),
            "contract_first": pl.Series(days.astype("datetime64[D]")),
            "contract_last": pl.Series((days + rng.integers(10, 700, firms)).astype("datetime64[D]")),
            **{name: rng.random(firms) < share for name, share in FLAGS.items()},
            **dict.fromkeys(("contract_ucny", "settled_ucny", "investment_ucny", "purchase_ucny"), amount),
        }
    ).with_columns(pl.col("city").replace_strict(CITIES).alias("province"))


def by_hand(frame: pl.DataFrame) -> dict[str, np.ndarray]:
    """Return what three programmes pay before caps that carry over, each written out in numpy."""
    good, city, kind, purpose = (
        frame[name].cast(pl.Enum(frame[name].unique().sort())).to_physical().to_numpy()
        for name in ("good", "city", "kind", "purpose")
    )
    code = {
        name: {value: n for n, value in enumerate(frame[name].unique().sort())}
        for name in ("good", "city", "kind", "purpose")
    }
    rented = ~frame["self_built"].to_numpy()
    through = frame["via_platform"].to_numpy()
    amount, day = frame["contract_ucny"].to_numpy(), frame["date"].to_physical().to_numpy()
    compute = (good == code["good"]["compute"]) & rented

    def since(first: date, last: date | None = None) -> np.ndarray:
        epoch = date(1970, 1, 1)
        held: np.ndarray = day >= (first - epoch).days
        return held if last is None else held & (day <= (last - epoch).days)

    allowed = np.isin(kind, [code["kind"][k] for k in KINDS[1:]])
    shenzhen = compute & (city == code["city"]["深圳"]) & (purpose == code["purpose"]["training"])
    shenzhen &= since(date(2024, 12, 18), date(2026, 12, 17))
    dongguan = compute & (city == code["city"]["东莞"]) & through & allowed & since(date(2025, 3, 1))
    zhengzhou = compute & (city == code["city"]["郑州"]) & through & since(date(2024, 5, 22))
    share = np.where(frame["startup"].to_numpy(), 60, 50)
    return {
        BY_HAND[0]: np.where(shenzhen, amount // 100 * share, 0),
        BY_HAND[1]: np.where(dongguan, amount // 2, 0),
        BY_HAND[2]: np.where(zhengzhou, amount // 5, 0),
    }


def median(run: Callable[[], Any], times: int = 5) -> float:
    """Return the median seconds of some runs."""
    seconds = []
    for _ in range(times):
        begin = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


def conditions_of(programmes: list[Programme]) -> int:
    """Return how many single conditions the programmes ask."""
    return sum(1 for p in programmes for _ in leaves(asked_conditions(p)))


def asked(programmes: list[Programme], frame: pl.DataFrame) -> list[Any]:
    """Ask programmes of a table, from the plain columns on."""
    table = FactTable(frame)
    days, _ = table.days("date")
    return [requests(p, table, days) for p in programmes]


def check_floor(programmes: dict[str, Programme], frame: pl.DataFrame) -> None:
    """Hold the hand-written version against the general one, so that the floor is a floor of the same work."""
    table = FactTable(frame)
    days, _ = table.days("date")
    for name, amounts in by_hand(frame).items():
        found = requests(programmes[name], table, days)
        ours = np.zeros(frame.height, dtype=np.int64)
        ours[found.rows] = found.by_rate_ucny
        np.testing.assert_array_equal(ours, amounts, err_msg=name)


def one_quote(programmes: list[Programme], frame: pl.DataFrame) -> Callable[[], Any]:
    """Return the work of one quote: every programme explained, then the best stack."""
    facts = {name: value for name, value in frame.row(0, named=True).items() if value is not None}

    def run() -> Any:
        offers = [Offer(p, evaluate(p, facts, base_of(p, facts), on=facts["date"])) for p in programmes]
        return best_stack(offers, {})

    return run


def measure(firms: int) -> dict[str, Any]:
    """Measure everything."""
    every = {key: entry.programme for key, entry in shipped_programmes().items()}
    computable = [p for p in every.values() if p.not_computable is None]
    small, frame = made_up(1000), made_up(firms)
    apply(computable, FactTable(small))  # compiles
    check_floor(every, frame)
    baseline = median(lambda: apply(computable, FactTable(frame)))
    three = [every[name] for name in BY_HAND]
    ours, floor = median(lambda: asked(three, frame)), median(lambda: by_hand(frame))

    def what_if() -> None:
        table = FactTable(frame)
        apply(computable, table)
        apply(computable, table)

    count = conditions_of(computable)
    return {
        "firms": firms,
        "programmes": len(computable),
        "conditions": count,
        "seconds": round(baseline, 3),
        "seconds_conditions_and_rates": round(median(lambda: asked(computable, frame)), 3),
        "ns_per_firm_and_condition": round(1e9 * baseline / firms / count, 2),
        "three_programmes_seconds": round(ours, 4),
        "three_programmes_numpy_seconds": round(floor, 4),
        "ours_over_numpy": round(ours / floor, 2),
        "what_if_over_baseline": round(median(what_if, 3) / baseline, 2),
        "quote_ms": round(1000 * median(one_quote(list(every.values()), small), 50), 2),
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--firms", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of the table")
    asked_for = parser.parse_args()
    report = measure(asked_for.firms)
    if asked_for.json:
        print(json.dumps(report, indent=2))
        return
    print("Programmes applied to a table")
    for name, value in report.items():
        print(f"  {name.replace('_', ' '):<34} {value:,}")


if __name__ == "__main__":
    main()
