"""Rows know their line, files their faults; what reading cannot understand is never called missing."""

import csv
import io
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from books import TINY, as_parquet, write_tiny
from dujiang.core.problem import Problem, ProblemList
from dujiang.store.read_book import parse_csv, parse_parquet, read_book, read_raw, read_table

CELLS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=6)
# A row of nothing but blanks is no row, and a header cell needs a name.
ROWS = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width).filter(lambda r: any(c.strip() for c in r)))
)


def brief(problems: list[Problem]) -> list[tuple[str, int | None, str | None]]:
    """Return code, row and field of problems."""
    return [(p.code, p.row, p.field) for p in problems]


@settings(max_examples=100, deadline=None)
@given(rows=ROWS, line_end=st.sampled_from(["\n", "\r\n"]), mark=st.booleans(), blank=st.booleans())
def test_what_a_spreadsheet_writes_is_read_cell_by_cell(
    rows: list[list[str]], line_end: str, mark: bool, blank: bool
) -> None:
    width = len(rows[0]) if rows else 1
    header = [f"c{i}" for i in range(width)]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=line_end, quoting=csv.QUOTE_ALL)
    begins = []
    for record in [header, *rows]:
        if blank:
            text.write(line_end)
        begins.append(1 + text.getvalue().replace("\r\n", "\n").replace("\r", "\n").count("\n"))
        writer.writerow(record)
    table, problems = parse_csv("f.csv", (b"\xef\xbb\xbf" if mark else b"") + text.getvalue().encode())
    assert problems == []
    assert table is not None
    assert table.frame.columns == header
    assert [list(row) for row in table.frame.rows()] == rows
    assert table.rows == begins[1:]


def test_a_row_is_counted_by_its_first_line() -> None:
    table, _ = parse_csv("f.csv", b'a,b\n1,"x\ny"\n\n2,z\n')
    assert table is not None
    assert [table.row(i) for i in range(2)] == [2, 5]


def test_records_of_parquet_are_counted_from_one(tmp_path: Path) -> None:
    pl.DataFrame({"a": [1, 2]}).write_parquet(tmp_path / "links.parquet")
    table, problems = read_table(tmp_path, "links")
    assert problems == []
    assert table is not None
    assert (table.file, table.kind, table.row(0), table.row(1)) == ("links.parquet", "parquet", 1, 2)


@pytest.mark.parametrize(
    "data, wanted",
    [
        (b"", [("empty-file", None, None)]),
        (b"\n \n,,\n", [("empty-file", None, None)]),
        (b"a,a\n", [("bad-header", 1, "a")]),
        (b"a,,b\n", [("bad-header", 1, None)]),
        (b"a,b\n1\n1,2,3\n1,2\n", [("ragged-row", 2, None), ("ragged-row", 3, None)]),
        (b'a,b\n1,2\n"3,4\n', [("bad-csv", 3, None)]),
        (b'a,b\n1,2\n"3"x,4\n', [("bad-csv", 3, None)]),
        (b"a,b\n1,\x00\n", [("bad-encoding", 2, None)]),
        (b"a,b\n1,\xff\n", [("bad-encoding", 2, None)]),
        ("a,b\n算力,1\n".encode("gbk"), [("bad-encoding", 2, None)]),
        ("a,b\n".encode("utf-16"), [("bad-encoding", 1, None)]),
        (b"a,a\n1,2,3\n", [("bad-header", 1, "a"), ("ragged-row", 2, None)]),
    ],
)
def test_faults_of_csv(data: bytes, wanted: list[tuple[str, int | None, str | None]]) -> None:
    table, problems = parse_csv("f.csv", data)
    assert table is None
    assert brief(problems) == wanted


def test_a_header_alone_is_an_empty_table() -> None:
    table, problems = parse_csv("f.csv", b" a ,b")
    assert (problems, table and table.frame.shape, table and table.frame.columns) == ([], (0, 2), ["a", "b"])


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 10**6), st.integers(0, 255))
def test_any_bytes_are_parquet_or_a_problem(noise: bytes, at: int, byte: int) -> None:
    whole = io.BytesIO()
    pl.DataFrame({"a": [1, 2, 3], "b": ["x", None, "y"]}).write_parquet(whole)
    data = bytearray(whole.getvalue())
    for content in (noise, bytes(data[: at % len(data)])):
        table, problems = parse_parquet("f.parquet", content)
        assert (table is None, [p.code for p in problems]) == (True, ["bad-parquet"])
    data[at % len(data)] = byte
    table, problems = parse_parquet("f.parquet", bytes(data))
    assert (table is None) == bool(problems)


@pytest.mark.parametrize("name", ["book.yaml", *(name for name in TINY if name.endswith(".csv"))])
def test_what_cannot_be_read_is_not_called_missing(tmp_path: Path, name: str) -> None:
    book = write_tiny(tmp_path / "book", without=name)
    (book / name).mkdir()
    problems = ProblemList()
    assert read_book(book, problems)[0] is None
    assert {p.code for p in problems if p.file.partition(".")[0] == name.partition(".")[0]} == {"unreadable"}
    assert "dangling" not in {p.code for p in problems}


def test_programmes_are_found_in_folders_below(tmp_path: Path) -> None:
    book = write_tiny(tmp_path / "book")
    (book / "programmes" / "city").mkdir()
    (book / "programmes" / "city" / "b.yml").write_bytes(b"id: b")
    (book / "programmes" / "README.md").write_bytes(b"not one")
    problems = ProblemList()
    raw = read_raw(book, problems)
    assert not problems
    assert sorted(raw.programmes) == ["programmes/city/b.yml", "programmes/test-voucher.yaml"]
    assert raw.programmes["programmes/city/b.yml"] == b"id: b"


def test_what_is_left_of_the_files_is_what_the_policy_step_parses(tmp_path: Path) -> None:
    _, raw = read_book(write_tiny(tmp_path / "book"), ProblemList())
    assert raw.header is not None
    assert list(raw.programmes) == ["programmes/test-voucher.yaml"]
    assert raw.tables == {}


def test_a_folder_that_is_not_there_is_one_problem(tmp_path: Path) -> None:
    problems = ProblemList()
    assert read_book(tmp_path / "nowhere", problems)[0] is None
    assert brief(list(problems)) == [("unreadable", None, None)]


def test_a_book_may_be_reached_through_links(tmp_path: Path) -> None:
    book = write_tiny(tmp_path / "book")
    (book / "orders.csv").rename(tmp_path / "elsewhere.csv")
    (book / "orders.csv").symlink_to(tmp_path / "elsewhere.csv")
    (tmp_path / "link").symlink_to(book)
    as_parquet(book, "pools")
    problems = ProblemList()
    found, _ = read_book(tmp_path / "link", problems)
    assert found is not None, [p.say() for p in problems]
