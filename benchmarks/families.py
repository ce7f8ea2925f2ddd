"""Families of books: what coupling and prices gain over simple rules, and the gap that is certified.

Loads of 0.6, 1.0 and 1.5, 24 and 120 pools, demand and supply alike everywhere or skewed (the demand in the east, the
supply in the west), and some with vouchers, limited links, asks that fall by night.
"""

import time
from typing import Any

from benchmarks.goals import figures, warm_up
from benchmarks.markets import market
from benchmarks.rules import RULES

from dujiang.core.money import MICRO
from dujiang.market.engine import Effort, solve

FEATURES: tuple[dict[str, Any], ...] = (
    *(
        {"load": load, "pools": pools, "skew": skew}
        for pools in (24, 120)
        for skew in (0.0, 1.0)
        for load in (0.6, 1.0, 1.5)
    ),
    {"programmes": 4},
    {"programmes": 4, "skew": 1.0, "load": 1.5},
    {"links": True, "skew": 1.0},
    {"uneven": 0.5, "programmes": 2, "links": True, "skew": 1.0},
)
ORDERS = 5_000


def label(features: dict[str, Any]) -> str:
    """Return a family in words."""
    words = [f"{features.get('pools', 24)} pools", f"load {features.get('load', 1.0)}"]
    words.append("skewed" if features.get("skew") else "even")
    if features.get("programmes"):
        words.append(f"{features['programmes']} programmes")
    words += [word for word, name in (("links", "links"), ("asks by night", "uneven")) if features.get(name)]
    return ", ".join(words)


def measure(features: dict[str, Any], orders: int = ORDERS) -> dict[str, Any]:
    """Clear one family's book, coupled and isolated, and serve it by simple rules."""
    warm_up(**features)
    a = market(**{**features, "orders": orders})
    begin = time.perf_counter()
    cleared = solve(a, Effort(), time.perf_counter)
    seconds = time.perf_counter() - begin
    alone = market(**{**features, "orders": orders}, isolated=True)
    isolated = solve(alone, Effort(), time.perf_counter)
    ours = figures(a, cleared)
    others = {"isolated": int(isolated.state.worth.sum()), **{name: rule(a) for name, rule in RULES.items()}}
    return {
        "name": label(features),
        "orders": orders,
        "seconds": seconds,
        **ours,
        "gap_isolated": figures(alone, isolated)["gap"],
        "welfare_over": {name: ours["welfare_cny"] * MICRO / max(welfare, 1) for name, welfare in others.items()},
    }
