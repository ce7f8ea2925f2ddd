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
class Award:
    """One row of awards.parquet."""

    order_id: str
    pool_id: str
    start: int
    slots: int
    gpus: int
    gross_ucny: int
    transfer_ucny: int
    voucher_ucny: int
    net_ucny: int
    programme_id: str | None
    paradoxical: bool
    enterprise_id: str
    centre_id: str
    ask_cost_ucny: int
    price_cost_ucny: int
    effective_limit_ucny: int
    share_ppm: int
    room_ucny: int
    hours_micro: int


@dataclass(frozen=True, slots=True)
class PriceRow:
    """One row of prices.parquet."""

    pool_id: str
    slot: int
    ucny_per_gpu_hour: int
    gpus_free: int
    gpus_used: int
    ask_ucny_per_gpu_hour: int


@dataclass(frozen=True, slots=True)
class Rejection:
    """One row of rejections.parquet."""

    order_id: str
    reason: str
    detail: str | None


@dataclass(frozen=True, slots=True)
class Multiplier:
    """One row of multipliers.parquet."""

    programme_id: str
    enterprise_id: str | None
    """None: the programme's budget."""
    left_ucny: int
    used_ucny: int
    multiplier_ppm: int


@dataclass(frozen=True, slots=True)
class Results:
    """What could be read; None stands for a file that is missing, broken or of another form."""

    awards: list[Award] | None
    prices: list[PriceRow] | None
    rejections: list[Rejection] | None
    multipliers: list[Multiplier] | None
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
        awards=read_rows(folder, "awards", Award, ("order_id",), sheet),
        prices=read_rows(folder, "prices", PriceRow, ("pool_id", "slot"), sheet),
        rejections=read_rows(folder, "rejections", Rejection, ("order_id",), sheet),
        multipliers=read_rows(folder, "multipliers", Multiplier, ("programme_id", "enterprise_id"), sheet),
        summary=_summary(folder, sheet),
        domestic=_domestic(folder, sheet),
    )


def read_rows(folder: Path, name: str, record: type[Any], order: tuple[str, ...], sheet: Sheet) -> list[Any] | None:
    """Read a parquet table into records; its columns, types, nulls and row order are checked (rule `schema`).

    Parameters
    ----------
    folder : folder of the result
    name : file name without its suffix
    record : dataclass whose fields are the columns; `X | None` marks one that may be null
    order : columns by which the rows are sorted, nulls first; their values are unique together
    sheet : takes what is wrong

    Returns
    -------
    the rows, or None where the file cannot be used
    """
    file = f"{name}.parquet"
    try:
        frame = read_parquet(folder / file)
    except Broken as broken:
        sheet.hold(False, "files", broken.where, broken.found, broken.en, broken.zh)
        return None
    sheet.checks["files"] += 1
    usable = [_column_ok(frame, file, f.name, _type_name(f.type), sheet) for f in fields(record)]
    if not all(usable):
        return None
    rows = [record(**row) for row in frame.select([f.name for f in fields(record)]).to_dicts()]
    keys = [_sort_key(row, order) for row in rows]
    sheet.hold(
        keys == sorted(keys), "schema", file, "another order", f"rows sorted by {', '.join(order)}", "按主键排序"
    )
    return rows


def _sort_key(row: object, order: tuple[str, ...]) -> tuple[tuple[bool, Any], ...]:
    values = [getattr(row, column) for column in order]
    return tuple((value is not None, value) for value in values)


def _type_name(annotation: object) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


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
