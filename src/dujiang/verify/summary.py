"""Every figure of summary.json worked out again from the awards, the prices and the book (design 4.5, 4.6, 7)."""

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import polars as pl

from dujiang.verify.awards import Derived
from dujiang.verify.cells import MICRO, Ints
from dujiang.verify.certificate import Shadow
from dujiang.verify.options import Options
from dujiang.verify.results import FORMAT
from dujiang.verify.sums import exact_sum, sums_by
from dujiang.verify.verdict import Sheet

Figures = dict[str, Any]
"""Whole numbers and fractions by the keys of summary.json; None: not defined or not known."""
CLOSE = Fraction(1, 10**9)
"""A float of the file may differ from the exact figure by this share of it, or by this much near zero."""
CERTIFICATE = (
    *("welfare_ucny", "welfare_cny", "dual_bound_ucny", "dual_bound_cny", "gap"),
    *("dual_bound_at_prices_ucny", "dual_bound_at_prices_cny", "gap_at_prices"),
)
"""Keys that belong to the rule `certificate`."""
COUNTS = ("rejections", "uplift_by_pool", "outcomes")
"""Mappings in which a name that is left out stands for zero."""


def outline(options: Options, d: Derived, rejections: pl.DataFrame | None) -> Figures:
    """Return counts, sums and shares of a round that need neither prices nor multipliers to be complete."""
    orders = options.book.orders
    work = orders.gpus * orders.hours_micro
    support = exact_sum(d.support_ucny)
    due = exact_sum(d.gross_ucny) + exact_sum(d.transfer_ucny)
    reasons = {} if rejections is None else dict(rejections.group_by("reason").len().iter_rows())
    return {
        "format": FORMAT,
        "slots": options.book.slots,
        "orders": len(orders),
        "awards": d.order.size,
        "coupling": options.coupling,
        "rejections": reasons,
        "served_share": _share(d.order.size, len(orders)),
        "gpu_hours_served_share": _share(exact_sum(work[d.order]), exact_sum(work)),
        "mean_wait_h": _share(exact_sum(d.start - orders.release[d.order]), d.order.size),
        "turnover_cny": _cny(exact_sum(d.gross_ucny)),
        "transfer_cny": _cny(exact_sum(d.transfer_ucny)),
        "net_cny": _cny(due - support),
        "voucher_cny": _cny(support),
        "paradoxical_awards": int((d.price_cost_ucny > d.effective_limit_ucny).sum()),
        "uplift_cny": _cny(exact_sum(d.uplift_ucny)),
        "uplift_by_pool": _by_pool(options, d),
        "carbon_term_cny": _cny(exact_sum(d.carbon_ucny)),
        "small_firm_term_cny": _cny(exact_sum(d.bonus_ucny)),
        "carbon_kg": _carbon_kg(options, d),
    }


def _carbon_kg(options: Options, d: Derived) -> Fraction | None:
    """Return the carbon of all awards at full use, kg: GPU-hours x W / 1000 x PUE x grid factor; None if not known."""
    work = options.book.orders.gpus[d.order] * options.run_hours_micro(d.order, d.pool)
    total = Fraction(0)
    by_pool = sums_by(d.pool, work, len(options.pools))
    for p in np.unique(d.pool).tolist():
        pool = options.pools[p]
        centre = options.book.centres[pool.centre_id]
        factors = (pool.watts_per_gpu, centre.pue, centre.grid_kgco2_per_kwh)
        known = [Fraction(factor) for factor in factors if factor is not None]
        if len(known) < len(factors):
            return None
        total += Fraction(by_pool[p], 1000 * MICRO) * math.prod(known)
    return total


def _by_pool(options: Options, d: Derived) -> dict[str, Fraction]:
    totals = sums_by(d.pool, d.uplift_ucny, len(options.pools))
    return {pool.pool_id: _cny(amount) for pool, amount in zip(options.pools, totals, strict=True)}


def certificate(welfare_ucny: int, bound_ucny: int, at_prices_ucny: int) -> Figures:
    """Return welfare, bounds and the gaps between them, as a share of the bound (design 4.5)."""
    return {
        "welfare_ucny": welfare_ucny,
        "welfare_cny": _cny(welfare_ucny),
        "dual_bound_ucny": bound_ucny,
        "dual_bound_cny": _cny(bound_ucny),
        "gap": _gap(bound_ucny, welfare_ucny),
        "dual_bound_at_prices_ucny": at_prices_ucny,
        "dual_bound_at_prices_cny": _cny(at_prices_ucny),
        "gap_at_prices": _gap(at_prices_ucny, welfare_ucny),
    }


def _gap(bound_ucny: int, welfare_ucny: int) -> Fraction:
    return Fraction(max(0, bound_ucny - welfare_ucny), bound_ucny) if bound_ucny > 0 else Fraction(0)


def centres(options: Options, d: Derived, used: Ints) -> Figures:
    """Return the use of capacity, in all and by centre."""
    offered, running = options.capacity.sum(axis=1).tolist(), used.sum(axis=1).tolist()
    income = sums_by(d.pool, d.gross_ucny, len(options.pools))
    rows = []
    for centre in sorted(options.book.centres.values(), key=lambda c: c.centre_id):
        pools = [p for p, pool in enumerate(options.pools) if pool.centre_id == centre.centre_id]
        rows.append(
            {
                "centre_id": centre.centre_id,
                "region": centre.region,
                "utilisation": _share(sum(running[p] for p in pools), sum(offered[p] for p in pools)),
                "gpu_hours": Fraction(sum(running[p] for p in pools)),
                "income_cny": _cny(sum(income[p] for p in pools)),
            }
        )
    return {"utilisation": _share(sum(running), sum(offered)), "by_centre": rows}


def vouchers(options: Options, d: Derived, shadow: Shadow, shadow_paid: Shadow) -> list[Figures]:
    """Return what each programme had left, spent, and for how many awards."""
    programmes = options.programmes
    used = d.programme >= 0
    spent = sums_by(d.programme[used], d.voucher_ucny[used], len(programmes.ids))
    awards = np.bincount(d.programme[used], minlength=len(programmes.ids)).tolist()
    rows = []
    for k, programme_id in enumerate(programmes.ids):
        left = programmes.budget_left(programme_id)
        rows.append(
            {
                "programme_id": programme_id,
                "budget_left_cny": None if left is None else _cny(left),
                "spent_cny": _cny(spent[k]),
                "awards": awards[k],
                "multiplier": Fraction(shadow.budgets.get(programme_id, 0), MICRO),
                "multiplier_paid": Fraction(shadow_paid.budgets.get(programme_id, 0), MICRO),
            }
        )
    return rows


def compare(found: Mapping[str, Any], expected: Figures, sheet: Sheet) -> None:
    """Compare the file with figures worked out again; what they do not name is not looked at."""
    for key, value in expected.items():
        rule = "certificate" if key in CERTIFICATE else "summary"
        where = f"summary.json:{key}"
        if key not in found:
            sheet.hold(False, rule, where, "no such key", _text(value), _text(value))
        else:
            _compare(rule, where, found[key], value, sheet)


def _compare(rule: str, where: str, found: object, expected: object, sheet: Sheet) -> None:
    if isinstance(expected, list):
        rows = found if isinstance(found, list) else []
        if sheet.same(rule, f"{where}:rows", len(rows), len(expected)):
            for index, (row, wanted) in enumerate(zip(rows, expected, strict=True)):
                _compare(rule, f"{where}.{index}", row, wanted, sheet)
    elif isinstance(expected, dict):
        mapping = found if isinstance(found, dict) else {}
        extra = set(mapping).difference(expected) if where.endswith(COUNTS) else set()
        for key in sorted({*expected, *map(str, extra)}):
            _compare(rule, f"{where}.{key}", mapping.get(key), expected.get(key, 0), sheet)
    else:
        sheet.hold(_equal(found, expected), rule, where, found, _text(expected), _text(expected))


def _equal(found: object, expected: object) -> bool:
    if isinstance(expected, str):
        return found == expected
    if expected is None or expected == 0:  # nothing to share or to average: null and 0 say the same
        return found is None or (isinstance(found, int | float) and not isinstance(found, bool) and found == 0)
    if isinstance(found, bool) or not isinstance(found, int | float):
        return False
    if isinstance(expected, int):
        return found == expected
    assert isinstance(expected, Fraction)
    tolerance = CLOSE * max(Fraction(1), abs(expected))
    return (isinstance(found, int) or math.isfinite(found)) and abs(Fraction(found) - expected) <= tolerance


def _text(value: object) -> str:
    return str(float(value)) if isinstance(value, Fraction) else str(value)


def _cny(ucny: int) -> Fraction:
    return Fraction(ucny, MICRO)


def _share(part: int, whole: int) -> Fraction | None:
    return Fraction(part, whole) if whole else None
