"""All rules on what a run adds to a clearing: readings, bills, ledger and their figures (design 6, 9)."""

import math
from collections import Counter
from collections.abc import Collection, Sequence
from fractions import Fraction
from pathlib import Path

from dujiang.verify.awarded import Award, awards_of
from dujiang.verify.awards import Derived
from dujiang.verify.bill import Bill, bill
from dujiang.verify.blocks import Posted
from dujiang.verify.cells import MICRO
from dujiang.verify.documents import Row
from dujiang.verify.ledger import LedgerRow, check_ledger
from dujiang.verify.options import Options
from dujiang.verify.results import read_rows
from dujiang.verify.summary import Figures, compare
from dujiang.verify.usage import UsageRow, check_usage
from dujiang.verify.verdict import Sheet


def check_run(
    folder: Path,
    options: Options,
    cleared: tuple[Derived, Posted] | None,
    stated: Row | None,
    sheet: Sheet,
) -> None:
    """Check usage.parquet and ledger.parquet where a run wrote them; a folder with one of them has both.

    Parameters
    ----------
    folder : of the result
    options : book and programmes of the round
    cleared : awards worked out again, and prices; None: the clearing cannot be told, so neither can what is due
    stated : summary.json
    sheet : takes what is wrong
    """
    if not any((folder / f"{name}.parquet").exists() for name in ("usage", "ledger")):
        return
    usage = read_rows(folder, "usage", UsageRow, ("order_id",), sheet)
    rows = read_rows(folder, "ledger", LedgerRow, (), sheet)
    if cleared is None:
        return
    derived, posted = cleared
    awards = {award.order_id: award for award in awards_of(options, derived)}
    bills: dict[str, Bill] = {}
    if usage is not None:
        check_usage(usage, awards, sheet)
        readings = {row.order_id: row for row in usage}
        bills = {k: _bill(options, award, posted, readings[k]) for k, award in awards.items() if k in readings}
        if stated is not None and isinstance(stated.get("run"), dict):
            compare({"run": stated["run"]}, {"run": _figures(usage, bills.values())}, sheet)
    if rows is not None:
        check_ledger(rows, awards, bills, options.programmes, sheet)


def _bill(options: Options, award: Award, posted: Posted, reading: UsageRow) -> Bill:
    row, block = options.pool_row[award.pool_id], slice(award.start, award.start + award.slots)
    return bill(award, posted.price[row, block].tolist(), options.ask[row, block].tolist(), reading)


def _figures(usage: Sequence[UsageRow], bills: Collection[Bill]) -> Figures:
    """Return what a run adds to summary.json of its readings and bills."""
    kwh = [row.kwh for row in usage if row.kwh is not None]
    kgco2 = [row.kgco2 for row in usage if row.kgco2 is not None]
    return {
        "outcomes": dict(Counter(row.outcome for row in usage)),
        "gpu_hours_metered": Fraction(sum(row.gpu_hours_micro or 0 for row in usage), MICRO),
        "kwh": _sum(kwh),
        "kgco2": _sum(kgco2),
        "without_energy_reading": len(usage) - len(kwh),
        "posted_gross_cny": Fraction(sum(due.service_ucny for due in bills), MICRO),
        "posted_transfer_cny": Fraction(sum(due.transfer_ucny for due in bills), MICRO),
        "posted_voucher_cny": Fraction(sum(sum(due.vouchers_ucny.values()) for due in bills), MICRO),
        "posted_net_cny": Fraction(sum(due.net_ucny for due in bills), MICRO),
        "posted_rounding_cny": Fraction(sum(due.rounding_ucny for due in bills), MICRO),
    }


def _sum(readings: Sequence[float]) -> Fraction | None:
    """Add up readings exactly, None if there are none; one that is no number is a finding of its own."""
    if not readings:
        return None
    return sum((Fraction(reading) for reading in readings if math.isfinite(reading)), Fraction(0))
