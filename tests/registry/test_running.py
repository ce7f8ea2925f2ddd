"""Awards of earlier rounds are counted against pools and links slot by slot, and one that is too much is named."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from books import TINY, edit, write_tiny
from dujiang.core.problem import Problem, ProblemList
from dujiang.registry.book import RUNNING_SCHEMA, Book
from dujiang.registry.cells import DTYPES
from dujiang.registry.columns import book_columns
from dujiang.registry.running import over_use
from dujiang.store.read_book import read_book

HEAD = "order_id,pool_id,start,slots,gpus,data_gb,origin_region\n"


def read(folder: Path) -> tuple[Book | None, list[Problem]]:
    problems = ProblemList()
    book, _ = read_book(folder, problems)
    return book, list(problems)


def with_running(folder: Path, *rows: str) -> Path:
    """Write the tiny book with running awards; bj-a offers 16 accelerators, 8 in slot 3; qy-a 64, none in slot 4."""
    write_tiny(folder)
    (folder / "running.csv").write_text(HEAD + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return folder


def test_running_awards_are_part_of_the_book(tmp_path: Path) -> None:
    book, problems = read(with_running(tmp_path / "book", "r2,qy-a,-5,9,64,,", "r1,bj-a,4,1000,16,1.5,甘肃"))
    assert book is not None, [p.say() for p in problems]
    assert book.running.rows() == [
        ("r1", "bj-a", 4, 1000, 16, 1_500_000, "甘肃"),
        ("r2", "qy-a", -5, 9, 64, 0, None),
    ]
    assert dict(book.running.schema) == RUNNING_SCHEMA


def test_the_schema_is_that_of_the_manual() -> None:
    assert {c.stored: DTYPES[c.type] for c in book_columns()["running"]} == RUNNING_SCHEMA


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [
        (["r,none,0,1,1,,"], [("dangling", 2, "pool_id", "'none'")]),
        (["r,bj-a,-3,3,1,,"], [("already-ended", 2, "slots", "3")]),
        (["r,bj-a,-3,4,1,,"], []),
        (["r,bj-a,24,4,99,,"], []),
        (["o2,bj-a,0,1,1,,"], [("already-running", 3, "order_id", "'o2'")]),
        (["r,bj-a,0,1,1,,", "r,bj-a,0,1,1,,"], [("duplicate", 3, "order_id", "'r'")]),
        (["r,bj-a,0,1,1,5,"], [("missing-origin", 2, "data_gb", "5000000")]),
        (["r,bj-a,0,0,1,,"], [("out-of-range", 2, "slots", "'0'")]),
        (["r,bj-a,0,1,0,,"], [("out-of-range", 2, "gpus", "'0'")]),
        (["r,bj-a,x,1,1,,"], [("bad-type", 2, "start", "'x'")]),
        (["r,bj-a,0,3,17,,"], [("over-use", 2, "gpus", "17 accelerators running in slot 0")]),
        (["r,bj-a,0,4,9,,"], [("over-use", 2, "gpus", "9 accelerators running in slot 3")]),
        (
            ["a,bj-a,-9,30,8,,", "b,bj-a,5,1,8,,", "c,bj-a,5,2,4,,", "d,bj-a,5,2,4,,", "e,qy-a,0,4,64,,"],
            [("over-use", 4, "gpus", "24 accelerators running in slot 5")],
        ),
        (
            ["a,bj-a,0,1,20,,", "b,qy-a,4,1,1,,"],
            [
                ("over-use", 2, "gpus", "20 accelerators running in slot 0"),
                ("over-use", 3, "gpus", "1 accelerators running in slot 4"),
            ],
        ),
    ],
)
def test_faults_of_running_awards(tmp_path: Path, rows: list[str], wanted: list[tuple[object, ...]]) -> None:
    _, problems = read(with_running(tmp_path / "book", *rows))
    assert [(p.code, p.row, p.field, p.found) for p in problems] == wanted


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [
        (["a,qy-a,2,1,1,6,北京", "b,qy-a,2,2,1,4,北京"], []),
        (
            ["a,qy-a,2,1,1,6,北京", "b,qy-a,2,1,1,4.5,北京", "c,qy-a,3,1,1,10,北京"],
            [(3, "10.50 GB starting to cross in slot 2")],
        ),
        # What has crossed before the round, crosses after it, or crosses no limited link takes nothing.
        (["a,qy-a,-1,3,1,99,北京", "b,qy-a,24,1,1,99,北京", "c,bj-a,2,1,1,99,北京", "d,bj-a,2,1,1,99,甘肃"], []),
    ],
)
def test_data_that_crosses_is_within_its_link(tmp_path: Path, rows: list[str], wanted: list[tuple[int, str]]) -> None:
    folder = with_running(tmp_path / "book", *rows)
    (folder / "links.csv").write_text(
        "origin_region,region,cny_per_gb,gb_per_slot\n北京,甘肃,0.05,10\n甘肃,北京,0.05,\n", encoding="utf-8"
    )
    book, problems = read(folder)
    assert [(p.row, p.found) for p in problems] == wanted
    assert {(p.code, p.field) for p in problems} <= {("over-use", "data_gb")}
    if book is not None:
        assert book.links["gb_per_slot_micro"].to_list() == [10_000_000, None]


def test_figures_beyond_any_range_are_problems_of_their_own_cells_alone(tmp_path: Path) -> None:
    folder = write_tiny(tmp_path / "book")
    edit(folder, "pools.csv", "sxm,64,5", "sxm,10000,5")
    far, most = 2**62, 10**15
    rows = [("a", "qy-a", far, far, -5, 0, None), ("b", "qy-a", -far, far, 2**62, 0, None)]
    rows += [(f"c{i}", "qy-a", 2, 1, 1, most // 10**6, "北京") for i in range(10_000)]
    frame = pl.DataFrame(rows, schema=HEAD.strip().split(","), orient="row")
    frame.write_parquet(folder / "running.parquet")
    _, problems = read(folder)
    assert {p.code for p in problems} == {"out-of-range"}
    edit(folder, "links.csv", "rtt_ms\n", "rtt_ms,gb_per_slot\n")
    edit(folder, "links.csv", ",15", ",15,1")
    over = [(p.row, p.found) for p in read(folder)[1] if p.code == "over-use"]
    assert over == [(3, "10000000000000.00 GB starting to cross in slot 2")]


def test_within_one_region_there_is_no_limit(tmp_path: Path) -> None:
    folder = write_tiny(tmp_path / "book")
    (folder / "links.csv").write_text("origin_region,region,gb_per_slot\n北京,北京,\n北京,甘肃,0\n", encoding="utf-8")
    assert read(folder)[1] == []
    edit(folder, "links.csv", "北京,北京,", "北京,北京,5")
    assert [(p.code, p.row) for p in read(folder)[1]] == [("link-to-itself", 2)]


POOLS = ("p0", "p1")
AWARDS = st.lists(
    st.tuples(st.sampled_from(POOLS), st.integers(-4, 7), st.integers(1, 6), st.integers(1, 5)), max_size=8
)
OVERRIDES = st.dictionaries(st.tuples(st.sampled_from(POOLS), st.integers(0, 5)), st.integers(0, 9), max_size=4)


@settings(max_examples=200, deadline=None)
@given(AWARDS, OVERRIDES)
def test_pools_are_counted_as_slot_by_slot(
    awards: list[tuple[str, int, int, int]], single: dict[tuple[str, int], int]
) -> None:
    slots, most = 6, 8
    frames = {
        "pools": pl.DataFrame({"pool_id": POOLS, "centre_id": POOLS, "gpus": [most] * 2}),
        "centres": pl.DataFrame({"centre_id": POOLS, "region": ["r"] * 2}),
        "links": pl.DataFrame(schema={"origin_region": pl.String, "region": pl.String, "gb_per_slot_micro": pl.Int64}),
        "capacity": pl.DataFrame(
            [(pool, slot, gpus) for (pool, slot), gpus in single.items()],
            schema={"pool_id": pl.String, "slot": pl.Int64, "gpus": pl.Int64},
            orient="row",
        ),
        "running": pl.DataFrame(
            [(f"r{i}", pool, start, length, gpus, 0, None) for i, (pool, start, length, gpus) in enumerate(awards)],
            schema=RUNNING_SCHEMA,
            orient="row",
        ),
    }
    wanted = []
    for pool in POOLS:
        for slot in range(slots):
            offered, there = single.get((pool, slot), most), [
                (i, gpus) for i, (name, start, length, gpus) in enumerate(awards)
                if name == pool and start <= slot < start + length
            ]  # fmt: skip
            used = sum(gpus for _, gpus in there)
            if used > offered:
                before = 0
                for i, gpus in there:
                    before += gpus
                    if before > offered:
                        wanted.append((i, f"{used} accelerators running in slot {slot}"))
                        break
                break
    assert [(use.row, use.found) for use in over_use(frames, slots)] == wanted


def test_the_tiny_book_has_none(tmp_path: Path) -> None:
    assert "running.csv" not in TINY
    book, _ = read(write_tiny(tmp_path / "book"))
    assert book is not None
    assert book.running.height == 0
    assert dict(book.running.schema) == RUNNING_SCHEMA
