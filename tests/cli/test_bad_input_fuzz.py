"""Whatever stands in the files of a book: it is good, or its problems are listed. Nothing else ever comes out."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from books import TINY, write_tiny
from dujiang.core.errors import InputError
from dujiang.core.problem import Problem
from dujiang.exchange.clearing import open_round

TABLES = [name for name in TINY if name.endswith(".csv")]
ODD = st.sampled_from(
    [
        *(
            "",
            " ",
            "0",
            "-0",
            "-1",
            "1e5",
            "NaN",
            "inf",
            "-inf",
            "null",
            "true",
            "9" * 30,
            "0x10",
            "1_000",
            "１",
            "٣",
            "½",
        ),
        *("2025-02-30", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2025-11-03T00:00:00+99:99", "24:00"),
        *(
            '"',
            '""',
            ",",
            ";",
            "；",
            "\n",
            "\r",
            "\t",
            "\x00",
            "\x1b[31m",
            "\ufeff",
            "\u202e",
            "\u200b",
            "😀",
            "&a",
            "*a",
        ),
        *(
            "[",
            "{",
            "!!binary x",
            "<<: x",
            "- ",
            "? ",
            "%YAML 1.1",
            "---",
            "...",
            "#",
            ": ",
            "|",
            ">",
            "0o9",
            "1:30",
            "~",
        ),
    ]
)
ANY = st.binary(max_size=200) | st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass"))


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a good book, which each example spoils and repairs."""
    return write_tiny(tmp_path_factory.mktemp("fuzz") / "book")


def tried(examples: int) -> settings:
    """Return how hard to try."""
    return settings(max_examples=examples, deadline=None)


def problems_of(book: Path) -> list[Problem]:
    """Read a book; return its problems, none if it is good."""
    try:
        open_round(book)
    except InputError as error:
        for problem in error.problems:
            assert problem.say("en").isprintable()
            assert problem.say("zh").isprintable()
        return error.problems
    return []


def spoilt(book: Path, name: str, content: bytes) -> None:
    """Read a book with another content of one file."""
    (book / name).write_bytes(content)
    problems_of(book)
    (book / name).write_text(TINY[name], encoding="utf-8", newline="")


@tried(90)
@given(name=st.sampled_from(sorted(TINY)), content=ANY)
def test_any_bytes(book: Path, name: str, content: bytes) -> None:
    spoilt(book, name, content)


@tried(180)
@given(name=st.sampled_from(sorted(TINY)), where=st.floats(0, 1), cut=st.integers(0, 4), put=ODD | st.text(max_size=3))
def test_any_edit(book: Path, name: str, where: float, cut: int, put: str) -> None:
    at = int(where * len(TINY[name]))
    text = TINY[name][:at] + put + TINY[name][at + cut :]
    spoilt(book, name, text.encode("utf-8", "surrogatepass"))


@tried(120)
@given(name=st.sampled_from(TABLES), where=st.floats(0, 1, exclude_max=True), put=ODD | st.text(max_size=8))
def test_any_cell(book: Path, name: str, where: float, put: str) -> None:
    header, *rows = [line.split(",") for line in TINY[name].splitlines()]
    row, column = divmod(int(where * len(rows) * len(header)), len(header))
    rows[row][column] = '"' + put.replace('"', '""') + '"'
    text = "\n".join(",".join(cells) for cells in [header, *rows])
    spoilt(book, name, text.encode("utf-8", "surrogatepass"))


INTS = [pl.Int8(), pl.UInt8(), pl.Int32(), pl.Int64(), pl.UInt64(), pl.Int128()]
NUMBERS = st.integers(-(2**127), 2**127 - 1) | st.sampled_from([0, -1, 2**31, 2**63 - 1, -(2**63), 2**64 - 1])
COLUMNS = st.one_of(
    st.tuples(st.lists(NUMBERS | st.none(), min_size=3, max_size=3), st.sampled_from(INTS)),
    st.tuples(st.lists(st.floats() | st.none(), min_size=3, max_size=3), st.sampled_from([pl.Float32(), pl.Float64()])),
    st.tuples(st.lists(st.text(max_size=5) | ODD | st.none(), min_size=3, max_size=3), st.just(pl.String())),
    st.tuples(st.lists(st.binary(max_size=5) | st.none(), min_size=3, max_size=3), st.just(pl.Binary())),
    st.tuples(st.lists(st.booleans() | st.none(), min_size=3, max_size=3), st.just(pl.Boolean())),
    st.tuples(st.lists(st.none(), min_size=3, max_size=3), st.just(pl.Null())),
)
TIMES = st.sampled_from(
    [
        pl.Date(),
        pl.Time(),
        *(pl.Duration(unit) for unit in ("ms", "us", "ns")),
        *(pl.Datetime(unit, zone) for unit in ("ms", "us", "ns") for zone in (None, "UTC", "Asia/Shanghai")),
    ]
)


@tried(150)
@given(
    table=st.sampled_from(["orders", "enterprises", "pools", "capacity", "claims"]),
    where=st.floats(0, 1, exclude_max=True),
    cells=COLUMNS,
    time=TIMES | st.none(),
)
def test_any_parquet_column(
    book: Path, table: str, where: float, cells: tuple[list[object], pl.DataType], time: pl.DataType | None
) -> None:
    frame = pl.read_csv(book / f"{table}.csv", infer_schema=False)
    values, dtype = cells
    name = frame.columns[int(where * frame.width)]
    (book / f"{table}.csv").unlink()
    frame.with_columns(series(name, values[: frame.height], dtype, time)).write_parquet(book / f"{table}.parquet")
    try:
        problems_of(book)
    finally:
        (book / f"{table}.parquet").unlink()
        (book / f"{table}.csv").write_text(TINY[f"{table}.csv"], encoding="utf-8", newline="")


def series(name: str, values: list[object], dtype: pl.DataType, time: pl.DataType | None) -> pl.Series:
    """Return a column of the type; numbers that it cannot hold are null; 64-bit ones may be taken as times."""
    if dtype.is_integer():
        low, high = pl.select(dtype.min()).item(), pl.select(dtype.max()).item()
        values = [value if isinstance(value, int) and low <= value <= high else None for value in values]
    column = pl.Series(name, values, dtype=dtype)
    if time is None or dtype != (pl.Int32 if time == pl.Date else pl.Int64):
        return column
    if time == pl.Time:
        column = column.abs() % (24 * 3600 * 10**9)
    return column.cast(time)
