"""A digest names one book; a result folder is read back as it was, and takes nobody's place."""

import json
import os
from dataclasses import fields
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from books import TINY, dujiang, edit, write_tiny
from dujiang.core.errors import InputError, OperationError
from dujiang.market.outcome import (
    AWARD_SCHEMA,
    LINK_PRICE_SCHEMA,
    MULTIPLIER_SCHEMA,
    PRICE_SCHEMA,
    REJECTION_SCHEMA,
    VOUCHER_SCHEMA,
    Outcome,
)
from dujiang.store.files import replace_folder
from dujiang.store.results import (
    SUMMARY,
    TABLES,
    book_digest,
    check_outside,
    check_target,
    outcome_files,
    read_outcome,
)

OURS = json.dumps({"format": "dujiang.clearing/1"})


def test_a_digest_is_that_of_the_bytes_wherever_they_lie(tmp_path: Path) -> None:
    one, other = write_tiny(tmp_path / "one"), write_tiny(tmp_path / "deep" / "other")
    (other / "README.md").write_text("not read")
    assert book_digest(one) == book_digest(other)
    assert len(book_digest(one)) == 64


@pytest.mark.parametrize("name", TINY)
def test_any_change_changes_the_digest(tmp_path: Path, name: str) -> None:
    book = write_tiny(tmp_path / "book")
    before = book_digest(book)
    (book / name).write_bytes((book / name).read_bytes() + b"\n")
    longer = book_digest(book)
    (book / name).rename(book / f"x{Path(name).suffix}")
    assert len({before, longer, book_digest(book)}) == 3


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.sampled_from("abc"), st.binary(max_size=4), min_size=1))
def test_no_two_sets_of_files_share_a_digest(tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]) -> None:
    folder = tmp_path_factory.mktemp("book")
    for name, data in files.items():
        (folder / f"{name}.csv").write_bytes(data)
    before = book_digest(folder)
    # The end of a name and the beginning of a content are not to be mistaken for one another.
    first = min(files)
    (folder / f"{first}.csv").rename(folder / f"{first}z.csv")
    assert book_digest(folder) != before


def test_stray_files_that_no_digest_can_hold_are_problems(tmp_path: Path) -> None:
    book = write_tiny(tmp_path / "book")
    Path(os.fsdecode(bytes(book) + b"/\xff.csv")).write_bytes(b"")
    with pytest.raises(InputError) as caught:
        book_digest(book)
    assert [(p.code, p.say().isprintable()) for p in caught.value.problems] == [("bad-name", True)]


@pytest.mark.parametrize(
    "files",
    [
        {},
        {SUMMARY: OURS},
        {SUMMARY: OURS, "awards.parquet": "", "report.html": "", "programmes/x.yaml": ""},
        {SUMMARY: OURS, "book/book.yaml": "", "isolated/x": "", "coupled/x": ""},
    ],
)
def test_a_place_for_a_result(tmp_path: Path, files: dict[str, str]) -> None:
    check_target(tmp_path / "new")
    for name, text in files.items():
        (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / name).write_text(text)
    check_target(tmp_path / "out")


@pytest.mark.parametrize(
    "files, found",
    [
        ({"notes.txt": ""}, "'notes.txt'"),
        ({".hidden": ""}, "'.hidden'"),
        ({"awards.parquet": ""}, "no summary.json of an earlier result"),
        ({SUMMARY: ""}, "no summary.json of an earlier result"),
        ({SUMMARY: "[]"}, "no summary.json of an earlier result"),
        ({SUMMARY: '{"format": "another"}'}, "no summary.json of an earlier result"),
        ({SUMMARY: OURS, "thesis.tex": ""}, "'thesis.tex'"),
        ({SUMMARY: OURS, "run.json": "", "ledger.sqlite": ""}, "'ledger.sqlite'"),
    ],
)
def test_no_place_for_a_result(tmp_path: Path, files: dict[str, str], found: str) -> None:
    (tmp_path / "out").mkdir()
    for name, text in files.items():
        (tmp_path / "out" / name).write_text(text)
    with pytest.raises(InputError) as caught:
        check_target(tmp_path / "out")
    assert [(p.code, p.file, p.found) for p in caught.value.problems] == [("not-a-result", "out", found)]


def test_files_and_links_are_no_place_for_a_result(tmp_path: Path) -> None:
    (tmp_path / "file").write_text(OURS)
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    for name in ("file", "link", "loop"):
        with pytest.raises(InputError):
            check_target(tmp_path / name)
    with pytest.raises(OperationError):
        check_target(tmp_path / ("x" * 300))


def test_every_table_of_an_outcome_comes_back(tmp_path: Path) -> None:
    schemas = {
        "awards": AWARD_SCHEMA,
        "vouchers": VOUCHER_SCHEMA,
        "prices": PRICE_SCHEMA,
        "link_prices": LINK_PRICE_SCHEMA,
        "rejections": REJECTION_SCHEMA,
        "multipliers": MULTIPLIER_SCHEMA,
    }
    rows = {table: pl.DataFrame({c: [None] for c in schema}, schema=schema) for table, schema in schemas.items()}
    outcome = Outcome(**rows, summary={"format": "dujiang.clearing/1"})
    files = outcome_files(outcome, {"p": b"id: p"}, {"x": True, "a": False}, "00")
    assert list(files)[-1] == SUMMARY
    replace_folder(tmp_path / "out", files)
    check_target(tmp_path / "out")
    back = read_outcome(tmp_path / "out")
    assert {f.name for f in fields(Outcome)} == {*TABLES, "summary"}
    for table in TABLES:
        assert getattr(back, table).equals(getattr(outcome, table)), table
        assert getattr(back, table).schema == schemas[table]
    assert back.summary == {"format": "dujiang.clearing/1", "book_sha256": "00"}
    assert (tmp_path / "out" / "facts.json").read_text() == json.dumps(
        {"domestic": {"a": False, "x": True}}, indent=2
    ) + "\n"


def test_a_result_is_read_back_and_made_again_byte_for_byte(tmp_path: Path) -> None:
    book = write_tiny(tmp_path / "book")
    for name in ("one", "other"):
        assert dujiang("clear", book, "--out", tmp_path / name).code == 0
    for path in (tmp_path / "one").glob("*.parquet"):
        assert path.read_bytes() == (tmp_path / "other" / path.name).read_bytes(), path.name
    outcome = read_outcome(tmp_path / "one")
    assert outcome.summary["book_sha256"] == book_digest(book)
    assert outcome.awards.height + outcome.rejections.height == 3
    assert (tmp_path / "one" / "programmes" / "test-voucher.yaml").read_bytes() == (
        book / "programmes" / "test-voucher.yaml"
    ).read_bytes()
    edit(book, "orders.csv", "o1,e1", "o9,e1")
    assert book_digest(book) != outcome.summary["book_sha256"]


@pytest.mark.parametrize("out", ["", ".", "result", "deep/er", "../book"])
def test_a_result_inside_the_book_is_refused(tmp_path: Path, out: str) -> None:
    book = tmp_path / "book"
    book.mkdir()
    with pytest.raises(InputError) as refused:
        check_outside(book, book / out)
    assert [problem.code for problem in refused.value.problems] == ["inside-book"]
    check_outside(book, tmp_path / "book-result")
