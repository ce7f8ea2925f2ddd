"""A written book reads back as it was meant, and nobody's files are lost on the way."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from dujiang.core.errors import InputError, OperationError
from dujiang.core.problem import ProblemList
from dujiang.store.read_book import read_book
from dujiang.store.write_book import BookFiles, book_bytes, write_book


def small_book(title: str = "小簿 / small") -> BookFiles:
    return BookFiles(
        header={"start": "2025-11-02T16:00:00Z", "slots": 24, "title": title, "facts": {"via_platform": True}},
        tables={
            "centres": pl.DataFrame({"centre_id": ["c"], "region": ["gba"], "name": ["中心"], "pue": [1.25]}),
            "pools": pl.DataFrame(
                {
                    "pool_id": ["p"],
                    "centre_id": ["c"],
                    "accelerator": ["a"],
                    "gpus": [8],
                    "ask_cny_per_gpu_hour": [2.05],
                }
            ),
            "links": pl.DataFrame(schema={"origin_region": pl.String, "region": pl.String}),
            "enterprises": pl.DataFrame({"enterprise_id": ["e"], "city": ["深圳"], "further": [True]}),
            "orders": pl.DataFrame(
                {
                    "order_id": ["o"],
                    "enterprise_id": ["e"],
                    "gpus": [4],
                    "hours": [1.234567],
                    "release": [0],
                    "deadline": [3],
                    "limit_cny": [33.33],
                }
            ),
        },
    )


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write_book(small_book(), tmp_path / "deep" / "book")
    problems = ProblemList()
    book, _ = read_book(tmp_path / "deep" / "book", problems)
    assert not problems, [p.say() for p in problems]
    assert book is not None
    assert (book.title.zh, book.slots, book.facts) == ("小簿 / small", 24, {"via_platform": True})
    assert book.orders.select("hours_micro", "limit_ucny").row(0) == (1_234_567, 33_330_000)
    assert book.pools["ask_ucny_per_gpu_hour"].to_list() == [2_050_000]
    assert book.enterprises["further"].to_list() == [True]


def test_running_awards_and_limits_of_links_are_written_too(tmp_path: Path) -> None:
    book = small_book()
    links = pl.DataFrame({"origin_region": ["bj"], "region": ["gba"], "gb_per_slot": [1.5]})
    running = pl.DataFrame({"order_id": ["r"], "pool_id": ["p"], "start": [-2], "slots": [5], "gpus": [8]})
    write_book(replace(book, tables={**book.tables, "links": links, "running": running}), tmp_path / "book")
    assert (tmp_path / "book" / "running.parquet").exists()
    problems = ProblemList()
    read, _ = read_book(tmp_path / "book", problems)
    assert read is not None, [p.say() for p in problems]
    assert read.running.rows() == [("r", "p", -2, 5, 8, 0, None)]
    assert read.links["gb_per_slot_micro"].to_list() == [1_500_000]


def test_same_book_same_bytes_and_empty_tables_are_left_out() -> None:
    written = book_bytes(small_book())
    assert written == book_bytes(small_book())
    assert sorted(written) == ["book.yaml", "centres.csv", "enterprises.parquet", "orders.parquet", "pools.csv"]


def test_an_earlier_book_is_replaced_as_a_whole(tmp_path: Path) -> None:
    folder = tmp_path / "book"
    write_book(small_book(), folder)
    (folder / "claims.csv").write_text("enterprise_id,programme_id,period,amount_cny\n")
    write_book(small_book("second"), folder)
    assert not (folder / "claims.csv").exists()
    assert "second" in (folder / "book.yaml").read_text()
    assert [p.name for p in tmp_path.iterdir()] == ["book"]


@pytest.mark.parametrize(
    "names", [["notes.txt"], ["book.yaml", "programmes/own.yaml"], ["orders.parquet"], ["book.yaml", "orders.txt"]]
)
def test_files_of_others_are_never_lost(tmp_path: Path, names: list[str]) -> None:
    folder = tmp_path / "book"
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("mine")
    with pytest.raises(InputError) as caught:
        write_book(small_book(), folder)
    assert [p.code for p in caught.value.problems] == ["not-a-book"]
    assert all((folder / name).read_text() == "mine" for name in names)


def test_a_file_or_link_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for name in ("file", "link"):
        with pytest.raises(InputError):
            write_book(small_book(), tmp_path / name)
    assert (tmp_path / "file").read_text() == "mine"
    assert (tmp_path / "link").is_symlink()


def test_a_folder_that_cannot_be_made_is_an_operation_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OperationError):
        write_book(small_book(), tmp_path / "file" / "book")


@pytest.mark.parametrize("column", ["gpus", "hours"])
def test_a_table_without_a_required_column_is_our_own_mistake(column: str) -> None:
    book = small_book()
    with pytest.raises(AssertionError):
        replace(book, tables={**book.tables, "orders": book.tables["orders"].drop(column)})


def test_a_column_that_the_reader_would_refuse_is_our_own_mistake() -> None:
    book = small_book()
    pools = book.tables["pools"].with_columns(pl.lit(1).alias("colour"))
    with pytest.raises(AssertionError):
        replace(book, tables={**book.tables, "pools": pools})
