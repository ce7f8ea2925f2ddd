"""A checked book does not depend on the order or form of its files, and holds exact numbers."""

import random
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from books import TINY, as_parquet, edit, write_tiny
from dujiang.core.problem import ProblemList
from dujiang.core.text import Text
from dujiang.registry.book import Book, Objective, ProgrammeUse
from dujiang.registry.parse import KEYS, in_order
from dujiang.store.read_book import read_book

TABLES = sorted(KEYS)
WRITTEN = [table for table in TABLES if f"{table}.csv" in TINY]
"""Tables of the tiny book."""


def read(folder: Path) -> Book:
    """Read a book that has to be good."""
    problems = ProblemList()
    book, _ = read_book(folder, problems)
    assert book is not None, [p.say() for p in problems]
    return book


def assert_same(one: Book, other: Book) -> None:
    """Compare two books table by table."""
    for table in TABLES:
        assert getattr(one, table).equals(getattr(other, table)), table
    for name in ("start", "slots", "title", "objective", "use", "facts", "assumptions"):
        assert getattr(one, name) == getattr(other, name), name


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32))
def test_the_order_of_rows_and_columns_changes_nothing(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    folder = tmp_path_factory.mktemp("book")
    plain = read(write_tiny(folder / "plain"))
    mixed = write_tiny(folder / "mixed")
    chance = random.Random(seed)
    for table in WRITTEN:
        header, *rows = [line.split(",") for line in TINY[f"{table}.csv"].splitlines()]
        chance.shuffle(rows)
        order = list(range(len(header)))
        chance.shuffle(order)
        lines = [",".join(cells[i] for i in order) for cells in [header, *rows]]
        (mixed / f"{table}.csv").write_text("\r\n\r\n".join(lines), encoding="utf-8")
    other = read(mixed)
    columns = {table: getattr(plain, table).columns for table in TABLES}
    assert columns["orders"] == other.orders.columns
    for table in TABLES:
        assert getattr(plain, table).equals(getattr(other, table).select(columns[table])), table


def test_parquet_says_the_same_as_csv(tmp_path: Path) -> None:
    plain = read(write_tiny(tmp_path / "plain"))
    typed = write_tiny(tmp_path / "typed")
    for table in WRITTEN:
        as_parquet(
            typed, table, lambda f: f.with_columns(pl.col("period").cast(pl.String)) if "period" in f.columns else f
        )
    other = read(typed)
    for table in sorted(set(TABLES) - {"enterprises"}):
        assert getattr(plain, table).equals(getattr(other, table)), table
    # A further column keeps the type that its file gives it.
    assert (plain.enterprises["startup"][0], other.enterprises["startup"][0]) == ("true", True)
    assert plain.enterprises.drop("startup").equals(other.enterprises.drop("startup"))


def test_numbers_are_exact_and_defaults_filled_in(tmp_path: Path) -> None:
    book = read(write_tiny(tmp_path / "book"))
    assert (book.start, book.slots) == (datetime(2025, 11, 2, 16, tzinfo=UTC), 24)
    assert str(book.day) == "2025-11-03"
    assert book.title == Text("小簿", "小簿")
    assert book.objective == Objective(carbon_ucny_per_kg=50_000)
    assert book.use == (ProgrammeUse("sz-training-voucher", 1_000_000_000),)
    assert book.facts == {"via_platform": True}
    assert book.pools.select("pool_id", "ask_ucny_per_gpu_hour", "speed_micro", "stacks").rows() == [
        ("bj-a", 8_500_000, 1_000_000, ["cuda"]),
        ("qy-a", 5_000_000, 1_250_000, ["cuda", "rocm"]),
    ]
    assert book.capacity.rows() == [("bj-a", 3, 8, 9_250_000), ("qy-a", 4, 0, None)]
    assert book.links.rows() == [("北京", "甘肃", 50_000, 15.0, None)]
    assert book.centres["connector"].to_list() == ["local", "local"]
    assert book.orders.select("order_id", "hours_micro", "limit_ucny", "data_gb_micro", "max_vouchers").rows() == [
        ("o1", 3_500_000, 400_000_000, 10_000_000, 1),
        ("o2", 10_000_000, 1_200_000_000, 0, 1),
        ("o3", 10_000_000, 900_000_000, 0, 1),
    ]
    assert book.claims["amount_ucny"].to_list() == [20_500_000]


def test_orders_come_by_time_stamp_then_id_those_without_last(tmp_path: Path) -> None:
    folder = write_tiny(tmp_path / "book")
    edit(folder, "orders.csv", "北京,10,50,2025-11-01T00:00:00Z", "北京,10,50,2025-11-01T08:00:01+08:00")
    assert read(folder).orders["order_id"].to_list() == ["o2", "o1", "o3"]
    edit(folder, "orders.csv", "北京,0,,2025-11-01T00:00:00Z", "北京,0,,")
    assert read(folder).orders["order_id"].to_list() == ["o1", "o2", "o3"]


@pytest.mark.parametrize("table", sorted(set(TABLES) - {"centres", "pools", "enterprises", "orders"}))
def test_tables_that_need_not_be_there_are_empty_but_typed(tmp_path: Path, table: str) -> None:
    whole = read(write_tiny(tmp_path / "whole"))
    without = getattr(read(write_tiny(tmp_path / "book", without=f"{table}.csv")), table)
    assert without.height == 0
    assert without.schema == getattr(whole, table).schema


def test_a_window_fits_exactly_at_the_fastest_speed(tmp_path: Path) -> None:
    folder = write_tiny(tmp_path / "book")
    # 10 hours at speed 1.25 are 8 slots.
    edit(folder, "orders.csv", "12,10,0,24", "12,10,0,8")
    read(folder)
    edit(folder, "orders.csv", "12,10,0,8", "12,10.000001,0,8")
    problems = ProblemList()
    assert read_book(folder, problems)[0] is None
    assert [(p.code, p.row) for p in problems] == [("short-window", 4)]


def test_the_most_data_at_the_dearest_price_is_a_billion_yuan(tmp_path: Path) -> None:
    folder = write_tiny(tmp_path / "book")
    edit(folder, "links.csv", "0.05", "1000")
    edit(folder, "orders.csv", "北京,10,", "北京,1000000,")
    read(folder)
    edit(folder, "orders.csv", "北京,1000000,", "北京,1000000.000001,")
    problems = ProblemList()
    assert read_book(folder, problems)[0] is None
    assert [(p.code, p.row, p.field) for p in problems] == [("out-of-range", 2, "data_gb")]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(-1, 2), st.integers(0, 5)), unique_by=lambda r: r[0])
)
def test_large_tables_are_put_in_order_as_a_whole(rows: list[tuple[str, int, int]]) -> None:
    numbered = [(i, name, None if time < 0 else time, *(cell + k for k in range(9)))
                for i, (name, time, cell) in enumerate(rows)]  # fmt: skip
    names = ["\x00row", "order_id", "submitted", *(f"c{k}" for k in range(9))]
    frame = pl.DataFrame(numbered, schema=dict.fromkeys(names, pl.Int64) | {"order_id": pl.String}, orient="row")
    wanted = sorted((row[1:] for row in numbered), key=lambda row: (row[1] is None, row[1], row[0]))
    ordered = in_order(frame, ("submitted", "order_id"))
    assert ordered.columns == names[1:]
    assert ordered.rows() == wanted


@pytest.mark.parametrize(("written", "fine"), [("0", True), ("3", True), ("4", False)])
def test_an_order_uses_three_vouchers_at_most(tmp_path: Path, written: str, fine: bool) -> None:
    folder = write_tiny(tmp_path / "book")
    edit(folder, "orders.csv", "submitted,purpose\n", "submitted,purpose,max_vouchers\n")
    edit(folder, "orders.csv", ",training\n", f",training,{written}\n")
    edit(folder, "orders.csv", ",inference\n", ",inference,\n")
    edit(folder, "orders.csv", "900,,,,,\n", "900,,,,,,\n")
    problems = ProblemList()
    read_book(folder, problems)
    assert [(p.code, p.row, p.field) for p in problems] == ([] if fine else [("out-of-range", 2, "max_vouchers")])
