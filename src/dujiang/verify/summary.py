"""Every figure of summary.json worked out again from the awards, the prices and the book (design 4.5, 4.6, 7)."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from dujiang.verify.awards import Derived
from dujiang.verify.book import Book
from dujiang.verify.cells import MICRO
from dujiang.verify.certificate import Shadow
from dujiang.verify.options import Options, run_hours_micro
from dujiang.verify.prices import Grid
from dujiang.verify.results import FORMAT, Rejection
from dujiang.verify.support import Programmes
from dujiang.verify.verdict import Sheet

Figures = dict[str, Any]
"""Whole numbers and fractions by the keys of summary.json; None: not defined or not known."""
CLOSE = Fraction(1, 10**9)
"""A float of the file may differ from the exact figure by this share of it, or by this much near zero."""
CERTIFICATE = ("welfare_ucny", "welfare_cny", "dual_bound_ucny", "dual_bound_cny", "gap")
"""Keys that belong to the rule `certificate`."""
COUNTS = ("rejections", "uplift_by_pool", "outcomes")
"""Mappings in which a name that is left out stands for zero."""


def outline(book: Book, options: Options, derived: Sequence[Derived], rejections: Iterable[Rejection]) -> Figures:
    """Return counts, sums and shares of a round that need neither prices nor multipliers to be complete."""
    orders = book.orders.values()
    asked = sum(order.gpus * order.hours_micro for order in orders)
    served = sum(d.order.gpus * d.order.hours_micro for d in derived)
    return {
        "format": FORMAT,
        "slots": book.slots,
        "orders": len(book.orders),
        "awards": len(derived),
        "coupling": options.coupling,
        "rejections": dict(Counter(rejection.reason for rejection in rejections)),
        "served_share": _share(len(derived), len(book.orders)),
        "gpu_hours_served_share": _share(served, asked),
        "mean_wait_h": _share(sum(d.award.start - d.order.release for d in derived), len(derived)),
        "turnover_cny": _cny(sum(d.gross_ucny for d in derived)),
        "transfer_cny": _cny(sum(d.transfer_ucny for d in derived)),
        "net_cny": _cny(sum(d.gross_ucny + d.transfer_ucny - d.voucher_ucny for d in derived)),
        "voucher_cny": _cny(sum(d.voucher_ucny for d in derived)),
        "paradoxical_awards": sum(d.price_cost_ucny > d.payer.effective_limit_ucny for d in derived),
        "uplift_cny": _cny(sum(d.uplift_ucny for d in derived)),
        "uplift_by_pool": _by_pool(derived),
        "carbon_term_cny": _cny(sum(d.carbon_ucny for d in derived)),
        "small_firm_term_cny": _cny(sum(d.bonus_ucny for d in derived)),
        "carbon_kg": _carbon_kg(book, derived),
    }


def _carbon_kg(book: Book, derived: Iterable[Derived]) -> Fraction | None:
    """Return the carbon of all awards at full use, kg: GPU-hours x W / 1000 x PUE x grid factor; None if not known."""
    total = Fraction(0)
    for d in derived:
        centre = book.centres[d.pool.centre_id]
        factors = (d.pool.watts_per_gpu, centre.pue, centre.grid_kgco2_per_kwh)
        known = [Fraction(factor) for factor in factors if factor is not None]
        if len(known) < len(factors):
            return None
        total += Fraction(d.order.gpus * run_hours_micro(d.order, d.pool), 1000 * MICRO) * math.prod(known)
    return total


def _by_pool(derived: Iterable[Derived]) -> dict[str, Fraction]:
    uplift: dict[str, int] = defaultdict(int)
    for d in derived:
        uplift[d.pool.pool_id] += d.uplift_ucny
    return {pool_id: _cny(amount) for pool_id, amount in sorted(uplift.items())}


def certificate(welfare_ucny: int, bound_ucny: int) -> Figures:
    """Return welfare, bound and the gap between them, as a share of the bound (design 4.5)."""
    return {
        "welfare_ucny": welfare_ucny,
        "welfare_cny": _cny(welfare_ucny),
        "dual_bound_ucny": bound_ucny,
        "dual_bound_cny": _cny(bound_ucny),
        "gap": Fraction(max(0, bound_ucny - welfare_ucny), bound_ucny) if bound_ucny > 0 else Fraction(0),
    }


def centres(book: Book, derived: Sequence[Derived], used: Grid) -> Figures:
    """Return the use of capacity, in all and by centre."""
    offered = {pool_id: int(pool.gpus.sum()) for pool_id, pool in book.pools.items()}
    running = {pool_id: sum(row) for pool_id, row in used.items()}
    rows = []
    for centre in sorted(book.centres.values(), key=lambda c: c.centre_id):
        pools = [pool_id for pool_id, pool in book.pools.items() if pool.centre_id == centre.centre_id]
        income = sum(d.gross_ucny for d in derived if d.pool.centre_id == centre.centre_id)
        rows.append(
            {
                "centre_id": centre.centre_id,
                "region": centre.region,
                "utilisation": _share(sum(running[p] for p in pools), sum(offered[p] for p in pools)),
                "gpu_hours": Fraction(sum(running[p] for p in pools)),
                "income_cny": _cny(income),
            }
        )
    return {"utilisation": _share(sum(running.values()), sum(offered.values())), "by_centre": rows}


def vouchers(programmes: Programmes, derived: Sequence[Derived], shadow: Shadow) -> list[Figures]:
    """Return what each programme had left, spent, and for how many awards."""
    rows = []
    for programme_id in programmes.by_id:
        using = [d for d in derived if d.payer.programme_id == programme_id]
        left = programmes.budget_left(programme_id)
        rows.append(
            {
                "programme_id": programme_id,
                "budget_left_cny": None if left is None else _cny(left),
                "spent_cny": _cny(sum(d.voucher_ucny for d in using)),
                "awards": len(using),
                "multiplier": Fraction(shadow.budgets.get(programme_id, 0), MICRO),
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
