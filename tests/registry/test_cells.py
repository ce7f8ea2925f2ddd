"""Whole columns at once give what reading cell by cell, slowly and exactly, gives."""

import unicodedata
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import Any, Literal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dujiang.core.problem import ProblemList
from dujiang.core.slots import parse_instant
from dujiang.registry.cells import DTYPES, EXPECTED, absent_cell, parse_cells
from dujiang.registry.columns import Column, ColumnType, book_columns
from dujiang.registry.raw import RawTable

FAST = settings(max_examples=60, deadline=None)


def column(kind: ColumnType, **given_: Any) -> Column:
    """Return a column of a type."""
    empty: dict[str, Any] = dict.fromkeys(("default", "min", "max")) | dict.fromkeys(("unit", "en", "zh"), "")
    return Column("t", "c", "stored", kind, **{"required": False, **empty, **given_})


def parsed(kind: ColumnType, cells: pl.Series, **given_: Any) -> tuple[list[Any], list[tuple[str, int | None]]]:
    """Parse cells; return the values, and code and row of each problem."""
    problems = ProblemList(per_kind=1000)
    result = parse_cells(RawTable("f", "parquet", pl.DataFrame([cells.alias("c")])), column(kind, **given_), problems)
    assert result.name == "stored"
    assert result.dtype == DTYPES[kind]
    assert len(result) == len(cells)
    return result.to_list(), [(p.code, p.row) for p in problems]


def slow_micro(text: str) -> int | None:
    """Read a plain decimal with at most six places that are not zero."""
    number, sign = text.lstrip("+-") if text[:1] in "+-" and text[1:2] not in "+-" else text, text[:1]
    whole, point, places = number.partition(".")
    digits = set("0123456789")
    if not whole or len(whole) > 12 or not set(whole + places) <= digits or (point and not places):
        return None
    micro = Fraction(int(whole + places), 10 ** len(places)) * 10**6
    return None if micro.denominator != 1 else int(micro) * (-1 if sign == "-" else 1)


def slow_int(text: str) -> int | None:
    """Read a whole number of at most fifteen digits."""
    number = text[1:] if text[:1] in "+-" else text
    fine = 0 < len(number) <= 15 and all(c in "0123456789" for c in number)
    return int(text) if fine else None


def slow_date(text: str) -> date | None:
    """Read a day written with ten characters."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date() if len(text) == 10 else None
    except ValueError:
        return None


def slow_float(text: str) -> float | None:
    """Read a finite number."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) < float("inf") else None


def seen(text: str) -> bool:
    """Return whether all characters can be seen or are blanks."""
    return all(unicodedata.category(c)[0] != "C" for c in text)


SLOW: dict[ColumnType, Callable[[str], Any]] = {
    "id": lambda text: text if seen(text) and len(text) <= 200 else None,
    "ref": lambda text: text if seen(text) and len(text) <= 200 else None,
    "name": lambda text: text if seen(text) else None,
    "text": lambda text: None if "\x00" in text else text,
    "int": slow_int,
    "micro": slow_micro,
    "money": slow_micro,
    "instant": parse_instant,
    "date": slow_date,
    "bool": {
        "true": True,
        "yes": True,
        "1": True,
        "是": True,
        "false": False,
        "no": False,
        "0": False,
        "否": False,
    }.get,
}
# Characters that Python and polars know in the same edition of Unicode.
PLAIN = st.text(st.characters(max_codepoint=0x2FFF, exclude_categories=("Cn", "Cs")), max_size=8)
NUMBERS = st.decimals(-(10**13), 10**13, places=7).map(lambda d: format(d.normalize(), "f")) | st.text(
    "0123456789+-.eE_ ", max_size=9
)
MOMENTS = st.datetimes(timezones=st.integers(-840, 840).map(lambda m: timezone(timedelta(minutes=m)))).map(str)
DAYS = st.dates().map(str) | st.text("0123456789-", min_size=8, max_size=11)
CELLS: dict[ColumnType, st.SearchStrategy[str]] = {
    **dict.fromkeys(("id", "ref", "name", "text"), PLAIN | st.just("x" * 200) | st.just("y" * 201)),
    **dict.fromkeys(("int", "micro", "money"), NUMBERS | PLAIN | st.integers().map(str)),
    "instant": MOMENTS | DAYS | PLAIN,
    "date": DAYS | MOMENTS | PLAIN,
    "bool": st.sampled_from(["true", "TRUE", "Yes", "1", "是", "false", "no", "0", "否", "2", "t"]) | PLAIN,
}


def bare(text: str) -> str:
    """Return a text without the blanks around it, as polars sees blanks."""
    return pl.Series([text]).str.strip_chars().item()


@pytest.mark.parametrize("kind", sorted(SLOW))
def test_text_cells_are_read_as_one_by_one(kind: ColumnType) -> None:
    @FAST
    @given(st.lists(CELLS[kind] | st.none(), max_size=8))
    def check(cells: list[str | None]) -> None:
        values, problems = parsed(kind, pl.Series(cells, dtype=pl.String))
        bare_cells = [None if cell is None else bare(cell) for cell in cells]
        lower = kind == "bool"
        wanted = [SLOW[kind](cell.lower() if lower else cell) if cell else None for cell in bare_cells]
        assert values == wanted
        bad = [i for i, (cell, value) in enumerate(zip(bare_cells, wanted, strict=True), 1) if cell and value is None]
        assert problems == [("bad-type", row) for row in bad]

    check()


@pytest.mark.parametrize("kind", ["list", "instant", "date", "bool"])
def test_what_stands_in_many_rows_is_read_as_in_one(kind: ColumnType) -> None:
    cells = {"list": PLAIN | st.sampled_from(["b; a", ";", "a;a"]), **CELLS}[kind]

    @FAST
    @given(st.lists(cells | st.none(), max_size=4), st.integers(4, 6))
    def check(texts: list[str | None], times: int) -> None:
        # Apart they are parsed one by one, repeated each is parsed once.
        alone = [parsed(kind, pl.Series([text], dtype=pl.String)) for text in texts]
        values, problems = parsed(kind, pl.Series(texts * times, dtype=pl.String))
        assert values == [value for (value,), _ in alone] * times
        bad = [i for i, (_, found) in enumerate(alone * times, 1) if found]
        assert problems == [("bad-type", row) for row in bad]

    check()


@FAST
@given(st.lists(st.floats(allow_nan=True) | st.none(), max_size=8))
def test_floats_are_read_from_numbers_and_from_text(cells: list[float | None]) -> None:
    wanted = [None if cell is None or not abs(cell) < float("inf") else cell for cell in cells]
    bad = [("bad-type", row) for row, cell in enumerate(cells, 1) if cell is not None and not abs(cell) < float("inf")]
    assert parsed("float", pl.Series(cells, dtype=pl.Float64)) == (wanted, bad)
    texts = [None if cell is None else repr(cell) for cell in cells]
    assert parsed("float", pl.Series(texts, dtype=pl.String)) == (wanted, bad)


@pytest.mark.parametrize("dtype", [pl.Int8, pl.UInt8, pl.Int32, pl.Int64, pl.UInt64, pl.Int128])
def test_whole_numbers_of_any_width(dtype: type[pl.DataType]) -> None:
    low, high = pl.select(dtype.min()).item(), pl.select(dtype.max()).item()

    @FAST
    @given(st.lists(st.integers(low, high) | st.sampled_from([low, high, 0]), min_size=1, max_size=6))
    def check(cells: list[int]) -> None:
        series = pl.Series(cells, dtype=dtype)
        assert parsed("int", series)[0] == [cell if -(2**63) <= cell < 2**63 else None for cell in cells]
        assert parsed("micro", series)[0] == [cell * 10**6 if abs(cell) < 10**12 else None for cell in cells]
        assert parsed("id", series)[0] == [str(cell) for cell in cells]

    check()


@FAST
@given(st.lists(st.integers(-(10**15), 10**15), max_size=6))
def test_floats_of_money_are_exact_up_to_the_largest_amount(cells: list[int]) -> None:
    assert parsed("money", pl.Series([cell / 10**6 for cell in cells], dtype=pl.Float64)) == (cells, [])


@FAST
@given(st.lists(st.floats(), max_size=6))
def test_floats_that_are_no_amount_are_problems(cells: list[float]) -> None:
    values, problems = parsed("money", pl.Series(cells, dtype=pl.Float64))
    for cell, value in zip(cells, values, strict=True):
        if not abs(cell) < 10**12:
            assert value is None
        elif abs(cell) <= 10**9:
            exact = Decimal(cell).scaleb(6)
            assert abs(value - exact) <= Decimal("0.6")
            if exact == exact.to_integral_value():
                assert value == int(exact.to_integral_value(ROUND_HALF_EVEN))
    assert [row for _, row in problems] == [row for row, value in enumerate(values, 1) if value is None]


@FAST
@given(st.lists(st.decimals(-(10**11), 10**11, places=6), min_size=1, max_size=6))
def test_decimals_of_a_database_are_exact(cells: list[Decimal]) -> None:
    series = pl.Series([str(cell) for cell in cells]).cast(pl.Decimal(38, 9))
    assert parsed("money", series) == ([int(cell.scaleb(6)) for cell in cells], [])
    whole = pl.Series([str(cell.to_integral_value()) for cell in cells]).cast(pl.Decimal(38, 2))
    assert parsed("int", whole) == ([int(cell.to_integral_value()) for cell in cells], [])


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_instants_of_any_unit_and_zone(unit: Literal["ms", "us", "ns"]) -> None:
    ticks = {"ms": 10**3, "us": 10**6, "ns": 10**9}[unit]

    @FAST
    @given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 2 * 10**9).map(lambda s: s * ticks), max_size=5))
    def check(cells: list[int]) -> None:
        values, problems = parsed("instant", pl.Series(cells, dtype=pl.Int64).cast(pl.Datetime(unit, "Asia/Shanghai")))
        for cell, value in zip(cells, values, strict=True):
            years = 1970 + Fraction(cell, ticks * 31_556_952)
            if value is None:
                assert not 3 < years < 9997
            else:
                microseconds = (value - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
                assert microseconds == cell * 10**6 // ticks
        assert len(problems) == values.count(None)

    check()


def test_lists_are_split_cleaned_and_keep_their_order() -> None:
    written = ["b; a ;b;", "", None, ";;", "a\u200bb"]
    assert parsed("list", pl.Series(written)) == ([["b", "a"], [], [], [], []], [("bad-type", 5)])
    typed = pl.Series([["b", " a", "b", ""], [], None], dtype=pl.List(pl.String))
    assert parsed("list", typed) == ([["b", "a"], [], []], [])


@pytest.mark.parametrize("kind", sorted(EXPECTED))
@pytest.mark.parametrize(
    "cells",
    [
        pl.Series([b"x"]),
        pl.Series([{"a": 1}]),
        pl.Series([[[1]]]),
        pl.Series([timedelta(hours=1)]),
    ],
    ids=lambda cells: str(cells.dtype)[:8],
)
def test_a_column_of_another_kind_is_one_problem(kind: ColumnType, cells: pl.Series) -> None:
    values, problems = parsed(kind, cells)
    assert problems == [("bad-type", None)]
    assert values == [[]] if kind == "list" else [None]


def test_defaults_bounds_and_required_cells() -> None:
    cells = pl.Series(["", "0.5", "3", "7"])
    bounds = {"default": "1", "min": "1", "max": "5"}
    assert parsed("micro", cells, **bounds) == (
        [1_000_000, 500_000, 3_000_000, 7_000_000],
        [("out-of-range", 2), ("out-of-range", 4)],
    )
    assert parsed("micro", cells, required=True)[1] == [("missing-value", 1)]


def test_an_absent_column_has_its_default() -> None:
    for spec, cell in [
        (column("micro", default="1"), 1_000_000),
        (column("name", default="1"), "1"),
        (column("list"), []),
        (column("bool"), None),
    ]:
        frame = pl.DataFrame({"other": [1, 2]}).with_columns(absent_cell(spec).alias("c"))
        assert frame["c"].to_list() == [cell] * 2
        assert frame.schema["c"] == DTYPES[spec.type]


def test_every_default_and_bound_of_the_manual_is_readable() -> None:
    for columns in book_columns().values():
        for spec in columns:
            written = [text for text in (spec.default, spec.min, spec.max) if text is not None]
            problems = ProblemList()
            table = RawTable(
                "f", "parquet", pl.DataFrame({spec.column: written or ["x"]}, schema={spec.column: pl.String})
            )
            if written:
                assert parse_cells(table, spec, problems).null_count() == 0
                assert not problems, [p.say() for p in problems]
