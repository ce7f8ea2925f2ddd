"""Rules on metered use: one reading per award, within what was awarded, energy and carbon that follow (design 6.4)."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dujiang.verify.awarded import Award
from dujiang.verify.cells import MICRO
from dujiang.verify.verdict import Sheet

UNSEEN = "unseen"
"""Outcome of an award without a reading: nothing is billed until there is one (design 6.4)."""
NEVER_STARTED = "never_started"
"""Outcome of an award that did not run at all: nothing is due, not even the transfer."""


@dataclass(frozen=True, slots=True)
class UsageRow:
    """One row of usage.parquet, as far as it is checked."""

    order_id: str
    pool_id: str
    outcome: str
    run_hours_micro: int | None
    """None: no reading yet."""
    gpu_hours_micro: int | None
    it_kwh: float | None
    kwh: float | None
    kgco2: float | None
    watts_per_gpu: float | None
    pue: float | None
    grid_kgco2_per_kwh: float | None


def check_usage(rows: Sequence[UsageRow], awards: Mapping[str, Award], sheet: Sheet) -> None:
    """Every award has one reading, nothing else has, and none is above what was awarded (design 6.4, 9.1)."""
    counted = Counter(row.order_id for row in rows)
    for order_id in awards:
        found = f"{counted[order_id]} rows"
        sheet.hold(counted[order_id] == 1, "usage", f"usage.parquet:{order_id}", found, "one row", "一行")
    for row in rows:
        where, award = f"usage.parquet:{row.order_id}", awards.get(row.order_id)
        sheet.hold(award is not None, "usage", where, row.order_id, "an awarded order", "中标订单")
        if award is not None:
            _check_reading(row, award, where, sheet)


def _check_reading(row: UsageRow, award: Award, where: str, sheet: Sheet) -> None:
    """Hours within the award; energy and carbon follow from the hours and the figures beside them."""
    sheet.same("usage", f"{where}:pool_id", row.pool_id, award.pool_id)
    hours, most = row.run_hours_micro, award.slots * MICRO
    sheet.same("usage", f"{where}:run_hours_micro", hours is None, row.outcome == UNSEEN)
    fine = hours is None or 0 <= hours <= most
    sheet.hold(fine, "usage", f"{where}:run_hours_micro", hours, f"0 to {most}", f"0 至 {most}")
    expected = None if hours is None else award.gpus * hours
    sheet.same("usage", f"{where}:gpu_hours_micro", row.gpu_hours_micro, expected)
    kw_hours = None if expected is None else expected / MICRO / 1000
    for name, found, base, factor in (
        ("it_kwh", row.it_kwh, kw_hours, row.watts_per_gpu),
        ("kwh", row.kwh, row.it_kwh, row.pue),
        ("kgco2", row.kgco2, row.kwh, row.grid_kgco2_per_kwh),
    ):
        product = None if base is None or factor is None else base * factor
        fine = found is product is None or (
            found is not None and product is not None and math.isclose(found, product, rel_tol=1e-9)
        )
        sheet.hold(fine, "usage", f"{where}:{name}", found, str(product), str(product))
