"""Reads a table of firms with their facts, for screening: parquet or CSV, typed by the facts that are asked."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from dujiang.core.problem import Problem, ProblemList, shown
from dujiang.core.text import Text
from dujiang.registry.raw import RawTable
from dujiang.store.read_table import read_table_file

_NUMBER, _FLAG = Text("a number, or nothing", "数值或留空"), Text("true, false or nothing", "true、false 或留空")
_TRUE, _FALSE = ("true", "1", "yes", "是"), ("false", "0", "no", "否")
_MOST_SHOWN = 5


def read_firms(path: Path, asked: Mapping[str, type], problems: ProblemList) -> pl.DataFrame | None:
    """Read the firms; None if the table cannot be judged (already problems).

    Parameters
    ----------
    path : the file; every row a firm, with `enterprise_id` and facts as columns
    asked : facts that have to be `bool` or `float`; other columns stay as they are
    problems : takes every problem
    """
    table = read_table_file(path, problems)
    if table is None:
        return None
    frame, before = table.frame, len(problems)
    if "enterprise_id" not in frame.columns:
        expected = Text("the column enterprise_id", "enterprise_id 列")
        problems.add(Problem("missing-column", path.name, None, "enterprise_id", "nothing", expected))
        return None
    frame = frame.with_columns(pl.col("enterprise_id").cast(pl.String))
    _note_ids(frame["enterprise_id"], table, problems)
    numbers = {"employees": float, "age_years": float}
    for fact, kind in {**numbers, **asked}.items():
        if fact in frame.columns:
            frame = frame.with_columns(_typed(frame[fact], kind, table, problems))
    return None if len(problems) > before else frame


def _note_ids(ids: pl.Series, table: RawTable, problems: ProblemList) -> None:
    is_empty = ids.is_null() | (ids.str.strip_chars() == "")
    _note(is_empty, ids, table, "missing-value", Text("an id", "企业 id"), problems)
    _note(
        ids.is_duplicated() & ~is_empty,
        ids,
        table,
        "duplicate-id",
        Text("each id once", "每个 id 只出现一次"),
        problems,
    )


def _typed(column: pl.Series, kind: type, table: RawTable, problems: ProblemList) -> pl.Series:
    """Return a column in the type asked for, and note the cells that have no such value."""
    dtype, expected = (pl.Boolean, _FLAG) if kind is bool else (pl.Float64, _NUMBER)
    if column.dtype == pl.String:
        cells = column.str.strip_chars()
        cells = cells.set(cells == "", None)
        if kind is bool:
            lower = cells.str.to_lowercase()
            typed = lower.replace_strict({**dict.fromkeys(_TRUE, True), **dict.fromkeys(_FALSE, False)}, default=None,
                                         return_dtype=pl.Boolean)  # fmt: skip
        else:
            typed = cells.cast(pl.Float64, strict=False)
    elif column.dtype == pl.Null or (kind is bool and column.dtype == pl.Boolean):
        cells, typed = column, column.cast(dtype)
    elif kind is float and column.dtype.is_numeric():
        cells, typed = column, column.cast(pl.Float64)
    else:
        problems.add(Problem("bad-type", table.file, None, column.name, f"a column of {column.dtype}", expected))
        return column
    _note(typed.is_null() & cells.is_not_null(), column, table, "bad-type", expected, problems)
    return typed.alias(column.name)


def _note(
    wrong: pl.Series, column: pl.Series, table: RawTable, code: str, expected: Text, problems: ProblemList
) -> None:
    rows = wrong.arg_true().to_list()
    for row in rows[: _MOST_SHOWN - (len(rows) > _MOST_SHOWN)]:
        problems.add(Problem(code, table.file, table.row(row), column.name, shown(column[row]), expected))
    if len(rows) > _MOST_SHOWN:
        more = f"{len(rows) - _MOST_SHOWN + 1} more of the same"
        problems.add(Problem(code, table.file, None, column.name, more, expected))
