"""Rules on prices: one for every pool and slot, not below the ask, with what is used and left (design 4.6)."""

from collections.abc import Callable

import numpy as np
import polars as pl

from dujiang.verify.cells import Ints
from dujiang.verify.options import Options
from dujiang.verify.verdict import Sheet


def check_prices(options: Options, rows: pl.DataFrame, used: Ints | None, sheet: Sheet) -> Ints | None:
    """Check that there is one price per pool and slot, at least the ask, with what is used and free (4.6, 9.3).

    Parameters
    ----------
    options : of the round
    rows : prices.parquet
    used : [P, T] accelerators of the awards; None: not known
    sheet : takes what is wrong

    Returns
    -------
    [P, T] prices, micro-yuan per GPU-hour, or None if some are missing
    """
    shape = len(options.pools), options.book.slots
    pools = pl.DataFrame({"pool_id": list(options.pool_row), "row": list(options.pool_row.values())})
    number = rows.join(pools, on="pool_id", how="left", maintain_order="left")["row"]
    cell = _cells(number, rows["slot"], shape)
    en, zh = "each pool and slot of the book once", "各池各时段一行"
    if not _complete(cell, shape, sheet, "prices", "prices.parquet", lambda n: tuple(rows.row(n)[:2]), en, zh):
        return None
    rank = np.argsort(cell)
    found = rows[rank]

    def where(column: str) -> Callable[[int], str]:
        return lambda n: f"prices.parquet:{found['pool_id'][n]}:{found['slot'][n]}:{column}"

    ask = pl.Series(options.ask.ravel())
    sheet.same_rows("prices", where("ask_ucny_per_gpu_hour"), found["ask_ucny_per_gpu_hour"], ask)
    price = found["ucny_per_gpu_hour"]
    sheet.hold_rows(
        (price >= ask).to_numpy(),
        "prices",
        where("ucny_per_gpu_hour"),
        lambda n: price[n],
        lambda n: (f">= {ask[n]}", f"不低于 {ask[n]}"),
    )
    if used is not None:
        left = options.capacity - used
        sheet.same_rows("prices", where("gpus_used"), found["gpus_used"], pl.Series(used.ravel()))
        sheet.same_rows("prices", where("gpus_free"), found["gpus_free"], pl.Series(left.ravel()))
    return price.to_numpy().reshape(shape)


def check_link_prices(options: Options, rows: pl.DataFrame, used: Ints | None, sheet: Sheet) -> Ints | None:
    """Check that there is one row per limited link and slot, with what may cross, what crosses, and a multiplier.

    Parameters
    ----------
    options, sheet : as for `check_prices`
    rows : link_prices.parquet
    used : [L, T] millionths of a GB of the awards; None: not known

    Returns
    -------
    [L, T] multipliers, micro-yuan per GB, or None if some are missing
    """
    shape = len(options.links), options.book.slots
    names = ("origin_region", "region")
    links = pl.DataFrame(
        [(link.origin_region, link.region, row) for row, link in enumerate(options.links)],
        schema={**dict.fromkeys(names, pl.String), "row": pl.Int64},
        orient="row",
    )
    number = rows.join(links, on=names, how="left", maintain_order="left")["row"]
    cell = _cells(number, rows["slot"], shape)
    en, zh = "each limited link and slot of the book once", "各限量链路各时段一行"
    if not _complete(cell, shape, sheet, "links", "link_prices.parquet", lambda n: tuple(rows.row(n)[:3]), en, zh):
        return None
    found = rows[np.argsort(cell)]

    def where(column: str) -> Callable[[int], str]:
        return lambda n: f"link_prices.parquet:{':'.join(map(str, found.row(n)[:3]))}:{column}"

    left = options.link_left
    sheet.same_rows("links", where("gb_per_slot_micro"), found["gb_per_slot_micro"], pl.Series(left.ravel()))
    if used is not None:
        sheet.same_rows("links", where("gb_used_micro"), found["gb_used_micro"], pl.Series(used.ravel()))
    price = found["ucny_per_gb"]
    sheet.hold_rows(
        (price >= 0).to_numpy(),
        "links",
        where("ucny_per_gb"),
        lambda n: price[n],
        lambda _: ("zero or more", "不小于零"),
    )
    return price.to_numpy().reshape(shape)


def _cells(number: pl.Series, slot: pl.Series, shape: tuple[int, int]) -> Ints:
    """Return the cell of every row, -1 for one that is not there."""
    rows, slots = number.fill_null(-1).cast(pl.Int64).to_numpy(), slot.to_numpy()
    known = (rows >= 0) & (slots >= 0) & (slots < shape[1])
    return np.where(known, rows * shape[1] + np.where(known, slots, 0), -1)


def _complete(
    cell: Ints,
    shape: tuple[int, int],
    sheet: Sheet,
    rule: str,
    file: str,
    named: Callable[[int], object],
    en: str,
    zh: str,
) -> bool:
    """Return whether every cell of a grid has one row; each row that is too much and what is missing is a finding."""
    size = shape[0] * shape[1]
    _, first = np.unique(cell, return_index=True)
    once = np.zeros(cell.size, dtype=np.bool_)
    once[first] = True
    sheet.hold_rows(once & (cell >= 0), rule, lambda _: file, named, lambda _: (en, zh))
    missing = size - np.unique(cell[cell >= 0]).size
    sheet.hold(not missing, rule, file, f"{missing} rows missing", en, zh)
    return not missing and cell.size == size
