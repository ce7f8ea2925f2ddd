"""From cells as written to exact columns: one function per column type, vectorised, all problems collected."""

from collections.abc import Callable
from datetime import MAXYEAR, MINYEAR, UTC, date, datetime
from typing import Any

import polars as pl

from dujiang.core.money import MICRO, parse_micro
from dujiang.core.problem import Problem, ProblemList, shown
from dujiang.core.slots import parse_instant
from dujiang.core.text import Text
from dujiang.registry.columns import Column
from dujiang.registry.raw import RawTable

_TRUE = ["true", "yes", "1", "是"]
_FALSE = ["false", "no", "0", "否"]
# Digits are ASCII: a full-width one is a mistake that is named, never a number in one place and none in another.
_INT = r"^[+-]?[0-9]{1,15}$"
_MICRO = r"^[+-]?[0-9]{1,12}(\.[0-9]{1,6}0*)?$"
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_UNSEEN = r"\p{C}"
"""Control, format and unassigned characters: two names that differ only in those look the same and are not."""
_ID_MAX = 200
"""Longest id, characters."""
_WHOLE_MAX = 10**12
"""Whole numbers of a micro column stay below this, as those with decimals do."""
_SAMPLE = 4096
"""Rows at the head of a column that tell whether its texts repeat."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICKS = {"ms": 10**3, "us": 10**6, "ns": 10**9}
"""Units of a time stamp in one second."""

EXPECTED: dict[str, Text] = {
    "id": Text("an id of 1 to 200 printable characters", "1 至 200 个可见字符的编号"),
    "ref": Text("an id", "编号"),
    "name": Text("a name of printable characters", "由可见字符组成的名称"),
    "text": Text("text without NUL characters", "不含 NUL 字符的文本"),
    "list": Text("names of printable characters, separated by ;", "以分号分隔、由可见字符组成的名称"),
    "int": Text("a whole number", "整数"),
    "micro": Text("a decimal number with at most six places", "至多六位小数的数"),
    "money": Text("an amount in yuan with at most six places", "金额（元，至多六位小数）"),
    "float": Text("a number", "数"),
    "instant": Text(
        "an RFC 3339 instant with offset, such as 2025-11-03T08:00:00+08:00",
        "带时区的 RFC 3339 时间，如 2025-11-03T08:00:00+08:00",
    ),
    "date": Text("a date such as 2025-11-03", "日期，如 2025-11-03"),
    "bool": Text("true or false", "true 或 false（是/否）"),
}

DTYPES: dict[str, pl.DataType] = {
    "id": pl.String(),
    "ref": pl.String(),
    "name": pl.String(),
    "text": pl.String(),
    "list": pl.List(pl.String()),
    "int": pl.Int64(),
    "micro": pl.Int64(),
    "money": pl.Int64(),
    "float": pl.Float64(),
    "instant": pl.Datetime("us", "UTC"),
    "date": pl.Date(),
    "bool": pl.Boolean(),
}


def _as_text(cells: pl.Series) -> pl.Series | None:
    """Return cells as stripped text with empty as null; None if the type has no faithful text."""
    if cells.dtype == pl.String or isinstance(cells.dtype, pl.Categorical | pl.Enum):
        text = cells.cast(pl.String).str.strip_chars()
    elif cells.dtype.is_integer() or cells.dtype == pl.Null:
        text = cells.cast(pl.String)
    else:
        return None
    return text.replace("", None)


def _where(fine: pl.Series, cells: pl.Series) -> pl.Series:
    """Return the cells that are fine, null for the others."""
    return pl.select(pl.when(fine).then(cells)).to_series()


def _text(cells: pl.Series) -> pl.Series | None:
    text = _as_text(cells)
    return None if text is None else _where(~text.str.contains("\x00", literal=True), text)


def _name(cells: pl.Series) -> pl.Series | None:
    text = _as_text(cells)
    return None if text is None else _where(~text.str.contains(_UNSEEN), text)


def _once(cells: pl.Series, parse: Callable[[pl.Series], pl.Series | None]) -> pl.Series | None:
    """Parse each text once where many rows hold the same few: lists and days are asked for again and again."""
    if cells.dtype != pl.String or cells.head(_SAMPLE).n_unique() > _SAMPLE // 2:
        return parse(cells)
    distinct = cells.rename("cell").unique(maintain_order=True)
    if 4 * distinct.len() > cells.len():
        return parse(cells)
    parsed = parse(distinct)
    return None if parsed is None else parsed.gather(numbered(cells, distinct))


def numbered(cells: pl.Series, distinct: pl.Series) -> pl.Series:
    """Return the place of every cell among the distinct ones."""
    table = distinct.rename("cell").to_frame().with_row_index("code")
    rows = cells.rename("cell").to_frame()
    return rows.join(table, on="cell", how="left", maintain_order="left", nulls_equal=True)["code"]


def _id(cells: pl.Series) -> pl.Series | None:
    text = _as_text(cells)
    if text is None:
        return None
    # A bounded repetition of a class of thousands of characters makes the expression a hundred times slower.
    return _where(~text.str.contains(_UNSEEN) & text.str.len_chars().is_between(1, _ID_MAX), text)


def _list(cells: pl.Series) -> pl.Series | None:
    if isinstance(cells.dtype, pl.List) and cells.dtype.inner == pl.String:
        parts = cells
    else:
        text = _name(cells)
        if text is None:
            return None
        parts = text.str.split(";")
    clean = parts.list.eval(pl.element().str.strip_chars())
    return clean.list.eval(pl.element().filter(pl.element() != "")).list.unique(maintain_order=True)


def _int(cells: pl.Series) -> pl.Series | None:
    if cells.dtype.is_integer():
        return cells.cast(pl.Int64, strict=False)
    if cells.dtype.is_float():
        whole = cells.is_finite() & (cells == cells.round()) & (cells.abs() < 2**53)
        return _where(whole, cells).cast(pl.Int64, strict=False)
    if cells.dtype.is_decimal():
        cells = cells.cast(pl.String).str.replace(r"\.0+$", "")
    text = _as_text(cells)
    return None if text is None else _where(text.str.contains(_INT), text).cast(pl.Int64, strict=False)


def _micro(cells: pl.Series) -> pl.Series | None:
    if cells.dtype.is_integer():
        whole = cells.cast(pl.Int64, strict=False)
        return _where(whole.is_between(-_WHOLE_MAX, _WHOLE_MAX, closed="none"), whole) * MICRO
    if cells.dtype.is_decimal():
        cells = cells.cast(pl.String)
    if cells.dtype.is_float():
        fine = cells.is_finite() & (cells.abs() < _WHOLE_MAX)
        scaled = _where(fine, cells.cast(pl.Float64) * float(MICRO))
        return scaled.round(mode="half_to_even").cast(pl.Int64, strict=False)
    text = _as_text(cells)
    if text is None:
        return None
    text = _where(text.str.contains(_MICRO), text)
    whole = text.str.extract(r"([0-9]{1,12})", 1).cast(pl.Int64)
    micro = text.str.extract(r"\.([0-9]{1,6})", 1).str.pad_end(6, "0").cast(pl.Int64).fill_null(0)
    sign = pl.select(pl.when(text.str.starts_with("-")).then(-1).otherwise(1)).to_series()
    return (whole * MICRO + micro) * sign


def _float(cells: pl.Series) -> pl.Series | None:
    if not cells.dtype.is_numeric():
        text = _as_text(cells)
        if text is None:
            return None
        cells = text.cast(pl.Float64, strict=False)
    number = cells.cast(pl.Float64)
    return _where(number.is_finite(), number)


def _each(cells: pl.Series, parse: Callable[[str], Any], dtype: pl.DataType) -> pl.Series | None:
    text = _as_text(cells)
    if text is None:
        return None
    return pl.Series(cells.name, [None if cell is None else parse(cell) for cell in text], dtype=dtype)


def on_calendar(cells: pl.Series) -> pl.Series:
    """Return dates or time stamps with those outside the calendar as null; a mere conversion of one is a panic."""
    first, last = datetime(MINYEAR + 1, 1, 1, tzinfo=UTC), datetime(MAXYEAR, 1, 1, tzinfo=UTC)
    if isinstance(cells.dtype, pl.Datetime):
        ticks = _TICKS[cells.dtype.time_unit]
        low, high = (int((limit - _EPOCH).total_seconds()) * ticks for limit in (first, last))
        # Nanoseconds in 64 bits do not reach so far.
        low, high = max(low, -(2**63)), min(high, 2**63 - 1)
    else:
        low, high = ((limit - _EPOCH).days for limit in (first, last))
    return _where(cells.to_physical().is_between(low, high), cells)


def _instant(cells: pl.Series) -> pl.Series | None:
    if isinstance(cells.dtype, pl.Datetime):
        if cells.dtype.time_zone is None:
            return None
        return on_calendar(cells).dt.convert_time_zone(str(UTC)).dt.cast_time_unit("us")
    return _each(cells, parse_instant, DTYPES["instant"])


def _parse_date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _date(cells: pl.Series) -> pl.Series | None:
    if cells.dtype == pl.Date:
        return on_calendar(cells)
    text = _as_text(cells)
    return None if text is None else _each(_where(text.str.contains(_DATE), text), _parse_date, DTYPES["date"])


def _bool(cells: pl.Series) -> pl.Series | None:
    if cells.dtype == pl.Boolean:
        return cells
    text = _as_text(cells)
    if text is None:
        return None
    lower = text.str.to_lowercase()
    return pl.select(pl.when(lower.is_in(_TRUE)).then(True).when(lower.is_in(_FALSE)).then(False)).to_series()


def found_in(cells: pl.Series, index: int) -> str:
    """Return a bad cell as a problem shows it."""
    if cells.dtype.is_temporal():  # all that can be wrong with it, and nothing that could be written out
        return "a day outside the calendar"
    return shown(cells[index])


_PARSERS: dict[str, Callable[[pl.Series], pl.Series | None]] = {
    "id": _id,
    "ref": _id,
    "name": _name,
    "text": _text,
    "list": _list,
    "int": _int,
    "micro": _micro,
    "money": _micro,
    "float": _float,
    "instant": _instant,
    "date": _date,
    "bool": _bool,
}
_REPEATED = frozenset({"list", "instant", "date", "bool"})
"""Types that take longer to parse than to look for repetitions."""


def parse_cells(table: RawTable, column: Column, problems: ProblemList) -> pl.Series:
    """Parse one column of a table.

    Parameters
    ----------
    table : the table as read
    column : what the column should hold
    problems : takes one problem per bad cell: not of the type, missing though required, outside its range

    Returns
    -------
    Series named `column.stored`, one value per row; null where the cell is empty or bad (defaults filled in)
    """
    dtype = DTYPES[column.type]
    cells = table.frame[column.column]
    parser = _PARSERS[column.type]
    parsed = _once(cells, parser) if column.type in _REPEATED else parser(cells)
    if parsed is None:
        problems.add(
            Problem("bad-type", table.file, None, column.column, f"a column of {cells.dtype}", EXPECTED[column.type])
        )
        return _filled(pl.Series(column.stored, [], dtype=dtype).extend_constant(None, cells.len()), column)
    if parsed.null_count():
        _check_nulls(table, column, cells, parsed, problems)
    _check_range(table, column, cells, parsed, problems)
    return _filled(parsed.cast(dtype).alias(column.stored), column)


def _check_nulls(table: RawTable, column: Column, cells: pl.Series, parsed: pl.Series, problems: ProblemList) -> None:
    """Tell cells that are bad from those that are empty, which only a required column minds."""
    written = cells.is_not_null()
    if cells.dtype == pl.String:
        written &= cells.str.strip_chars() != ""
    expected = EXPECTED[column.type]
    for index in (written & parsed.is_null()).arg_true():
        found = found_in(cells, index)
        problems.add(Problem("bad-type", table.file, table.row(index), column.column, found, expected))
    if column.required:
        for index in (~written).arg_true():
            problems.add(Problem("missing-value", table.file, table.row(index), column.column, "nothing", expected))


def _bound(column: Column, text: str) -> int | float:
    if column.type in ("micro", "money"):
        micro = parse_micro(text)
        assert micro is not None, column
        return micro
    return int(text) if column.type == "int" else float(text)


def _check_range(table: RawTable, column: Column, cells: pl.Series, parsed: pl.Series, problems: ProblemList) -> None:
    if column.min is not None:
        for index in (parsed < _bound(column, column.min)).arg_true():
            expected = Text(f"at least {column.min}", f"不小于 {column.min}")
            problems.add(
                Problem("out-of-range", table.file, table.row(index), column.column, shown(cells[index]), expected)
            )
    if column.max is not None:
        for index in (parsed > _bound(column, column.max)).arg_true():
            expected = Text(f"at most {column.max}", f"不大于 {column.max}")
            problems.add(
                Problem("out-of-range", table.file, table.row(index), column.column, shown(cells[index]), expected)
            )


def absent_cell(column: Column) -> pl.Expr:
    """Return what stands in every row of a column that a file lacks: its default, or nothing."""
    return pl.lit(_default(column), dtype=DTYPES[column.type])


def _default(column: Column) -> Any:
    if column.type == "list":
        return []
    if column.default is not None and column.type in ("micro", "money", "int", "float"):
        return _bound(column, column.default)
    return column.default


def _filled(parsed: pl.Series, column: Column) -> pl.Series:
    default = _default(column)
    return parsed if default is None else parsed.fill_null(pl.lit(default, dtype=DTYPES[column.type]))
