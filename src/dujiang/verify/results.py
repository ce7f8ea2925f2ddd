"""The folder of a result as the verifier reads it: awards, prices, rejections, multipliers, summary."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import polars as pl

from dujiang.verify.cells import Broken
from dujiang.verify.documents import Row, read_json, read_parquet
from dujiang.verify.verdict import Sheet

FORMAT = "dujiang.clearing/1"


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of a table of the result: name to type, ` | None` where a cell may be null."""

    name: str
    columns: dict[str, str]
    order: tuple[str, ...]
    """Columns by which the rows are sorted, nulls first."""


_STR, _INT, _MAYBE_STR, _MAYBE_INT = "str", "int", "str | None", "int | None"

AWARDS = Table(
    "awards",
    {
        **dict.fromkeys(("order_id", "pool_id"), _STR),
        **dict.fromkeys(("start", "slots", "gpus"), _INT),
        **dict.fromkeys(("gross_ucny", "transfer_ucny", "voucher_ucny", "net_ucny"), _INT),
        "programme_id": _MAYBE_STR,
        "paradoxical": "bool",
        **dict.fromkeys(("enterprise_id", "centre_id"), _STR),
        **dict.fromkeys(("ask_cost_ucny", "price_cost_ucny", "effective_limit_ucny"), _INT),
        **dict.fromkeys(("share_ppm", "room_ucny"), _MAYBE_INT),
        "hours_micro": _INT,
    },
    ("order_id",),
)
VOUCHERS = Table(
    "vouchers",
    {
        **dict.fromkeys(("order_id", "programme_id"), _STR),
        **dict.fromkeys(("share_ppm", "room_ucny", "voucher_ucny"), _INT),
    },
    ("order_id",),
)
PRICES = Table(
    "prices",
    {
        "pool_id": _STR,
        **dict.fromkeys(("slot", "ucny_per_gpu_hour", "gpus_free", "gpus_used", "ask_ucny_per_gpu_hour"), _INT),
    },
    ("pool_id", "slot"),
)
LINK_PRICES = Table(
    "link_prices",
    {
        **dict.fromkeys(("origin_region", "region"), _STR),
        **dict.fromkeys(("slot", "gb_per_slot_micro", "gb_used_micro", "ucny_per_gb"), _INT),
    },
    ("origin_region", "region", "slot"),
)
REJECTIONS = Table(
    "rejections",
    {
        **dict.fromkeys(("order_id", "reason"), _STR),
        **dict.fromkeys(("enough_limit_ucny", "enough_deadline"), _MAYBE_INT),
        **dict.fromkeys(("detail", "detail_zh"), _MAYBE_STR),
    },
    ("order_id",),
)
MULTIPLIERS = Table(
    "multipliers",
    {
        "programme_id": _STR,
        "enterprise_id": _MAYBE_STR,
        **dict.fromkeys(("left_ucny", "used_ucny", "multiplier_ppm", "multiplier_paid_ppm"), _INT),
    },
    ("programme_id", "enterprise_id"),
)


@dataclass(frozen=True, slots=True)
class Results:
    """What could be read; None stands for a file that is missing, broken or of another form."""

    awards: pl.DataFrame | None
    vouchers: pl.DataFrame | None
    prices: pl.DataFrame | None
    link_prices: pl.DataFrame | None
    rejections: pl.DataFrame | None
    multipliers: pl.DataFrame | None
    summary: Row | None
    domestic: dict[str, bool]
    """By accelerator; one that is missing is not known."""


_DTYPES: dict[str, pl.DataType] = {
    "str": pl.String(),
    "int": pl.Int64(),
    "bool": pl.Boolean(),
    "float": pl.Float64(),
    "datetime": pl.Datetime("us", "UTC"),
}
"""Column types by the types of a record's fields."""


def read_results(folder: Path, sheet: Sheet) -> Results:
    """Read the files of a clearing; what is wrong with them goes to the sheet."""
    return Results(
        awards=read_frame(folder, AWARDS, sheet),
        vouchers=read_frame(folder, VOUCHERS, sheet),
        prices=read_frame(folder, PRICES, sheet),
        link_prices=read_frame(folder, LINK_PRICES, sheet),
        rejections=read_frame(folder, REJECTIONS, sheet),
        multipliers=read_frame(folder, MULTIPLIERS, sheet),
        summary=_summary(folder, sheet),
        domestic=_domestic(folder, sheet),
    )


def read_frame(folder: Path, table: Table, sheet: Sheet) -> pl.DataFrame | None:
    """Read a parquet table; its columns, types, nulls and the order of its rows are checked (rule `schema`).

    Returns
    -------
    the columns of the table, or None where the file cannot be used
    """
    file = f"{table.name}.parquet"
    try:
        frame = read_parquet(folder / file)
    except Broken as broken:
        sheet.hold(False, "files", broken.where, broken.found, broken.en, broken.zh)
        return None
    sheet.checks["files"] += 1
    usable = [_column_ok(frame, file, name, kind, sheet) for name, kind in table.columns.items()]
    if not all(usable):
        return None
    frame = frame.select(pl.col(name).cast(_DTYPES[kind.partition(" | ")[0]]) for name, kind in table.columns.items())
    keys = frame.select(table.order)
    in_order = not table.order or keys.equals(keys.sort(table.order, nulls_last=False))
    expected = f"rows sorted by {', '.join(table.order)}"
    sheet.hold(in_order, "schema", file, "another order", expected, "按主键排序")
    return frame


def read_rows(folder: Path, name: str, record: type[Any], order: tuple[str, ...], sheet: Sheet) -> list[Any] | None:
    """Read a parquet table into records, dataclasses whose fields are the columns; None where it cannot be used."""
    columns = {f.name: f.type.__name__ if isinstance(f.type, type) else str(f.type) for f in fields(record)}
    frame = read_frame(folder, Table(name, columns, order), sheet)
    return None if frame is None else [record(**row) for row in frame.to_dicts()]


def _column_ok(frame: pl.DataFrame, file: str, column: str, kind: str, sheet: Sheet) -> bool:
    base, _, optional = kind.partition(" | ")
    where = f"{file}:{column}"
    if not sheet.hold(column in frame.columns, "schema", where, None, "a column", "有此列"):
        return False
    dtype = frame.schema[column]
    if optional and dtype == pl.Null:
        return True
    if not sheet.hold(dtype == _DTYPES[base], "schema", where, dtype, str(_DTYPES[base]), str(_DTYPES[base])):
        return False
    return sheet.hold(bool(optional) or frame[column].null_count() == 0, "schema", where, "nulls", "no nulls", "无空值")


def _summary(folder: Path, sheet: Sheet) -> Row | None:
    sheet.checks["files"] += 1
    try:
        return read_json(folder / "summary.json")
    except Broken as broken:
        sheet.find("files", broken.where, broken.found, broken.en, broken.zh)
        return None


def _domestic(folder: Path, sheet: Sheet) -> dict[str, bool]:
    if not (folder / "facts.json").exists():
        return {}
    sheet.checks["files"] += 1
    try:
        known = read_json(folder / "facts.json").get("domestic", {})
    except Broken as broken:
        sheet.find("files", broken.where, broken.found, broken.en, broken.zh)
        return {}
    if not isinstance(known, dict):
        sheet.find("files", "facts.json:domestic", known, "accelerator: true or false", "加速卡: true 或 false")
        return {}
    return {name: value for name, value in known.items() if isinstance(value, bool)}
