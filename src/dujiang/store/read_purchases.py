"""Reads tables of firms and purchases for `policy apply`: typed facts in exact units, every problem at once."""

from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path

import polars as pl

from dujiang.core.problem import Problem, ProblemList, shown
from dujiang.core.text import Text
from dujiang.policy.known_facts import FactType, known_facts
from dujiang.policy.parse import stored_fact
from dujiang.policy.quote import DEFAULTS
from dujiang.registry.cells import parse_cells
from dujiang.registry.columns import Column, ColumnType
from dujiang.registry.raw import RawTable
from dujiang.store.read_book import cannot_open, parse_csv, parse_parquet, read_bytes

_TYPES: Mapping[FactType, ColumnType] = {
    "bool": "bool",
    "int": "int",
    "number": "float",
    "share": "float",
    "money": "money",
    "date": "date",
    "word": "text",
    "text": "text",
}
_SERVED = {
    "enterprise_id": Column("", "enterprise_id", "enterprise_id", "id", True, "", None, None, None, "firm", "企业"),
    "spend_id": Column("", "spend_id", "spend_id", "id", True, "", None, None, None, "purchase", "支出"),
    "contract_id": Column("", "contract_id", "contract_id", "ref", False, "", None, None, None, "contract", "合同"),
    "project_id": Column("", "project_id", "project_id", "ref", False, "", None, None, None, "project", "项目"),
    "submitted": Column("", "submitted", "submitted", "instant", False, "", None, None, None, "claimed at", "申领时间"),
}
"""Columns that say who asks, and in which turn; all others are facts."""


def read_purchases(firms: Path, spends: Path, day: date | None, problems: ProblemList) -> pl.DataFrame | None:
    """Read firms and their purchases and put them together.

    Parameters
    ----------
    firms : `.csv` or `.parquet`, one row per `enterprise_id`; further columns are facts
    spends : one row per purchase, with `enterprise_id`; `spend_id` (default: the number of the row), `date`, the day
        for which it counts, `submitted`, `contract_id`, `project_id`; further columns are facts and win over the firm's
    day : counts for every purchase instead of its date
    problems : takes every problem of both files

    Returns
    -------
    one row per purchase, columns as `policy.apply` wants them; None if there is any problem
    """
    before = len(problems)
    bought = _read(spends, ("enterprise_id",), problems)
    holders = _read(firms, ("enterprise_id",), problems)
    if bought is None or holders is None:
        return None
    asking, table = bought
    owners, firm_table = holders
    _check_once(firm_table, owners, "enterprise_id", problems)
    if "spend_id" in asking.columns:
        _check_once(table, asking, "spend_id", problems)
    else:
        numbers = pl.int_range(1, asking.height + 1, eager=True).cast(pl.String)
        asking = asking.with_columns(numbers.alias("spend_id"))
    _check_known(table, asking, owners, problems)
    asking = _dated(table, asking, day, problems)
    if len(problems) > before:
        return None
    return _together(asking, owners)


def _read(path: Path, needed: tuple[str, ...], problems: ProblemList) -> tuple[pl.DataFrame, RawTable] | None:
    try:
        data = read_bytes(path)
    except OSError as error:
        problems.add(cannot_open(path.name, error))
        return None
    table, found = (parse_parquet if path.suffix == ".parquet" else parse_csv)(path.name, data)
    problems.extend(found)
    if table is None:
        return None
    for name in needed:
        if name not in table.frame.columns:
            expected = Text(f"a column '{name}'", f"列“{name}”")
            problems.add(Problem("missing-column", table.file, None, name, "no such column", expected))
            return None
    return pl.DataFrame([_column(table, name, problems) for name in table.frame.columns]), table


def _column(table: RawTable, name: str, problems: ProblemList) -> pl.Series:
    """Parse a column by what the list of facts says about it; one that nobody knows stays as it is."""
    column = _SERVED.get(name)
    if column is None:
        fact = known_facts().get(name)
        kind: ColumnType | None = "money" if name.endswith("_cny") else None if fact is None else _TYPES[fact.type]
        if kind is None:
            return table.frame[name]
        least = "0" if kind == "money" else None
        column = Column("", name, stored_fact(name), kind, False, "", None, least, None, name, name)
    return parse_cells(table, column, problems)


def _check_once(table: RawTable, frame: pl.DataFrame, key: str, problems: ProblemList) -> None:
    again = frame[key].is_not_null() & ~frame[key].is_first_distinct()
    for index in again.arg_true():
        expected = Text("an id used once", "不重复的编号")
        problems.add(Problem("duplicate", table.file, table.row(index), key, shown(frame[key][index]), expected))


def _check_known(table: RawTable, asking: pl.DataFrame, owners: pl.DataFrame, problems: ProblemList) -> None:
    asked = asking["enterprise_id"]
    unknown = asked.is_not_null() & ~asked.is_in(owners["enterprise_id"].implode())
    for index in unknown.arg_true():
        expected = Text("an enterprise_id of the table of firms", "企业表中的 enterprise_id")
        problems.add(
            Problem("unknown-ref", table.file, table.row(index), "enterprise_id", shown(asked[index]), expected)
        )


def _dated(table: RawTable, asking: pl.DataFrame, day: date | None, problems: ProblemList) -> pl.DataFrame:
    if day is not None:
        return asking.with_columns(pl.lit(day).alias("date"))
    expected = Text("a day, or one for all with --on", "日期，或用 --on 统一指定")
    if "date" not in asking.columns:
        problems.add(Problem("missing-column", table.file, None, "date", "no such column", expected))
        return asking
    for index in asking["date"].is_null().arg_true():
        problems.add(Problem("missing-value", table.file, table.row(index), "date", "nothing", expected))
    return asking


def _together(asking: pl.DataFrame, owners: pl.DataFrame) -> pl.DataFrame:
    """Return each purchase with the facts of its firm; where both state one, the purchase's own, else the default."""
    joined = asking.join(owners, on="enterprise_id", how="left", maintain_order="left", suffix="\x00")
    doubled: Iterable[str] = [name for name in owners.columns if name + "\x00" in joined.columns]
    merged = joined.with_columns(
        pl.coalesce(name, name + "\x00").alias(name) for name in doubled if _alike(joined, name)
    ).drop(name + "\x00" for name in doubled)
    merged = merged.with_columns(
        pl.coalesce(name, pl.lit(value)) if name in merged.columns else pl.lit(value).alias(name)
        for name, value in DEFAULTS.items()
        if name not in merged.columns or merged[name].dtype == pl.Boolean
    )
    return merged if "age_years" in merged.columns or "founded" not in merged.columns else merged.with_columns(_age())


def _age() -> pl.Expr:
    """Return the full years from a firm's foundation to the day of the purchase."""
    day, founded = pl.col("date").dt, pl.col("founded").dt
    before = (day.month() * 100 + day.day()) < (founded.month() * 100 + founded.day())
    years = day.year() - founded.year() - before.cast(pl.Int32)
    return pl.when(years >= 0).then(years).cast(pl.Int64).alias("age_years")


def _alike(joined: pl.DataFrame, name: str) -> bool:
    """Return whether both files give a fact the same type; else the purchase's own column stands alone."""
    return joined[name].dtype == joined[name + "\x00"].dtype
