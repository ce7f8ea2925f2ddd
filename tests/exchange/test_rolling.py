"""`dujiang roll` from files to files: only what belongs together is rolled, and nobody's files are lost."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from books import dujiang, edit, write_tiny
from dujiang.core.errors import InputError
from dujiang.core.money import MICRO
from dujiang.exchange.clearing import admit_to, clear_to, open_round
from dujiang.exchange.rolling import roll_to
from dujiang.market.engine import Effort
from dujiang.market.outcome import Coupling
from dujiang.verify.verification import verify


def result(book: Path, out: Path) -> None:
    clear_to(book, out, Coupling.FULL, Effort())


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the tiny book and its result."""
    place = tmp_path_factory.mktemp("tiny")
    result(write_tiny(place / "book"), place / "out")
    return place


def copied(tiny: Path, place: Path) -> Path:
    """Return the same in a folder of one's own."""
    shutil.copytree(tiny, place, dirs_exist_ok=True)
    return place


def test_the_tiny_book_rolls_on(tiny: Path, tmp_path: Path) -> None:
    place = copied(tiny, tmp_path)
    awards = pl.read_parquet(place / "out/awards.parquet")
    hours = int((awards["start"] + awards["slots"]).min())
    rolled = dujiang("roll", place / "book", place / "out", "--hours", hours, "--out", place / "next", "--json")
    assert rolled.code == 0, rolled
    book = open_round(place / "next").book
    lasting = awards.filter(pl.col("start") + pl.col("slots") > hours).sort("order_id")
    assert 0 < lasting.height < awards.height
    assert book.running["order_id"].to_list() == lasting["order_id"].to_list()
    assert book.running["start"].to_list() == (lasting["start"] - hours).to_list()
    assert rolled.document["awards"] == {"running": lasting.height, "ended": awards.height - lasting.height}
    assert rolled.document == {"ok": True, **json.loads((place / "next/roll.json").read_bytes())}
    # the budget that the book set for the round, and the claim of 20.50 yuan that stood in it
    vouchers = pl.read_parquet(place / "out/vouchers.parquet")
    spent = dict(vouchers.group_by("programme_id").agg(pl.col("voucher_ucny").sum()).iter_rows())
    assert spent["test-voucher"] > 0
    assert book.use[0].budget_ucny == 1000 * MICRO - spent.get("sz-training-voucher", 0)
    claimed = dict(book.claims.group_by("programme_id").agg(pl.col("amount_ucny").sum()).iter_rows())
    assert claimed["test-voucher"] == 20_500_000 + spent["test-voucher"]
    # slots 3 and 4 were exceptions
    assert book.capacity["slot"].to_list() == [slot - hours for slot in (3, 4) if slot >= hours]


def test_words_for_people(tiny: Path, tmp_path: Path) -> None:
    place = copied(tiny, tmp_path)
    rolled = dujiang("--lang", "zh", "roll", place / "book", place / "out", "--hours", 0, "--out", place / "next")
    assert (rolled.code, rolled.err) == (0, "")
    assert "下一轮" in rolled.out
    assert "继续等待的订单" in rolled.out


def test_an_order_whose_window_closes_is_listed_and_left_out(tiny: Path, tmp_path: Path) -> None:
    place = write_tiny(tmp_path / "book").parent
    edit(place / "book", "orders.csv", "o1,e1,8,3.5,0,10,400", "o1,e1,8,3.5,0,10,0.01")
    result(place / "book", place / "out")
    # at speed 1.25 the 3.5 hours take 3 slots: from slot 7 it could still end in time, from slot 8 it could not
    for hours, dropped in ((7, []), (8, ["o1"])):
        remarks = roll_to(place / "book", place / "out", hours, place / f"next{hours}")
        assert remarks["dropped"] == dropped
        assert ("o1" in open_round(place / f"next{hours}").book.orders["order_id"]) is not dropped
    said = dujiang("roll", place / "book", place / "out", "--hours", "8", "--out", place / "again")
    assert said.err == "window closed: o1\n"


def codes(refused: pytest.ExceptionInfo[InputError]) -> list[tuple[str, str, str | None]]:
    return [(problem.code, problem.file, problem.field) for problem in refused.value.problems]


def test_only_the_result_of_the_very_book_is_rolled(tiny: Path, tmp_path: Path) -> None:
    place = copied(tiny, tmp_path)
    edit(place / "book", "orders.csv", "o1,e1,8,3.5,0,10,400", "o1,e1,8,3.5,0,10,401")
    with pytest.raises(InputError) as refused:
        roll_to(place / "book", place / "out", 1, place / "next")
    assert codes(refused) == [("another-book", "out/summary.json", "book_sha256")]
    assert not (place / "next").exists()


def test_a_result_that_gives_more_than_there_is_is_refused(tiny: Path, tmp_path: Path) -> None:
    place = copied(tiny, tmp_path)
    awards = pl.read_parquet(place / "out/awards.parquet").with_columns(gpus=pl.lit(65, dtype=pl.Int64))
    awards.write_parquet(place / "out/awards.parquet")
    with pytest.raises(InputError) as refused:
        roll_to(place / "book", place / "out", 0, place / "next")
    assert {problem.code for problem in refused.value.problems} == {"over-use"}
    assert not (place / "next").exists()


def test_vouchers_above_a_budget_are_refused(tiny: Path, tmp_path: Path) -> None:
    place = copied(tiny, tmp_path)
    vouchers = pl.read_parquet(place / "out/vouchers.parquet")
    assert vouchers.height
    vouchers.with_columns(
        programme_id=pl.lit("sz-training-voucher"), voucher_ucny=pl.lit(1_001 * MICRO, dtype=pl.Int64)
    ).write_parquet(place / "out/vouchers.parquet")
    with pytest.raises(InputError) as refused:
        roll_to(place / "book", place / "out", 0, place / "next")
    assert codes(refused) == [("over-spent", "out/vouchers.parquet", "voucher_ucny")]


@pytest.mark.parametrize("name", ["awards", "vouchers", "prices", "link_prices", "rejections", "multipliers"])
def test_a_damaged_result_is_a_problem(tiny: Path, tmp_path: Path, name: str) -> None:
    place = copied(tiny, tmp_path)
    file = place / f"out/{name}.parquet"
    whole = file.read_bytes()
    for content, code in ((whole[:-9], "bad-parquet"), (None, "unreadable")):
        if content is None:
            file.unlink()
        else:
            file.write_bytes(content)
        ended = dujiang("roll", place / "book", place / "out", "--hours", 1, "--out", place / "next", "--json")
        assert (ended.code, [p["code"] for p in ended.document["problems"]]) == (1, [code])
        assert ended.document["problems"][0]["file"] == f"out/{name}.parquet"
    pl.DataFrame({"order_id": [1]}).write_parquet(file)
    ended = dujiang("roll", place / "book", place / "out", "--hours", 1, "--out", place / "next", "--json")
    assert {p["code"] for p in ended.document["problems"]} == {"bad-column"}


@pytest.mark.parametrize("content", [b"", b"[1]", b"{}", b'{"format": "dujiang.clearing/1", "start": 3}', None])
def test_a_folder_that_is_no_result_is_a_problem(tiny: Path, tmp_path: Path, content: bytes | None) -> None:
    place = copied(tiny, tmp_path)
    (place / "out/summary.json").unlink()
    if content is not None:
        (place / "out/summary.json").write_bytes(content)
    ended = dujiang("roll", place / "book", place / "out", "--hours", 1, "--out", place / "next")
    assert ended.code == 1
    assert ended.err.startswith("out/summary.json")


def test_nothing_is_ever_overwritten(tiny: Path, tmp_path: Path) -> None:
    place = copied(tiny, tmp_path)
    (place / "next").mkdir()
    (place / "next/notes.txt").write_text("mine")
    for target in ("next", "book", "book/inside", "out", "out/summary.json"):
        ended = dujiang("roll", place / "book", place / "out", "--hours", 1, "--out", place / target)
        assert ended.code == 1, ended
    assert [path.name for path in (place / "next").iterdir()] == ["notes.txt"]
    (place / "next/notes.txt").unlink()
    assert dujiang("roll", place / "book", place / "out", "--hours", 1, "--out", place / "next").code == 0


NEW = "order_id,enterprise_id,gpus,hours,release,deadline,limit_cny\n"


@pytest.mark.parametrize(
    "rows, expected",
    [
        ("o1,e1,8,3,0,10,400\n", ("already-running", 2, "order_id")),
        ("n1,e1,8,3,0,10,400\nn1,e1,8,3,0,10,400\n", ("duplicate", 3, "order_id")),
        ("n1,e9,8,3,0,10,400\n", ("dangling", 2, "enterprise_id")),
        ("n1,e1,0,3,0,10,400\n", ("out-of-range", 2, "gpus")),
        ("n1,e1,8,3,24,30,400\n", ("out-of-range", 2, "release")),
        ("n1,e1,8,3,0,10\n", ("ragged-row", 2, None)),
    ],
)
def test_new_orders_are_checked_like_those_of_any_book(
    tiny: Path, tmp_path: Path, rows: str, expected: tuple[str, int, str | None]
) -> None:
    place = copied(tiny, tmp_path)
    (place / "new.csv").write_text(NEW + rows, encoding="utf-8")
    with pytest.raises(InputError) as refused:
        roll_to(place / "book", place / "out", 1, place / "next", place / "new.csv")
    found = [(p.code, p.row, p.field) for p in refused.value.problems if p.file == "new.csv"]
    assert found == [expected]
    assert not (place / "next").exists()


def test_an_id_comes_once_even_after_its_award_has_ended(tiny: Path, tmp_path: Path) -> None:
    place = copied(tiny, tmp_path)
    (place / "new.csv").write_text(NEW + "o1,e1,8,3,0,10,400\n", encoding="utf-8")
    with pytest.raises(InputError) as refused:
        roll_to(place / "book", place / "out", 24, place / "next", place / "new.csv")
    assert codes(refused) == [("duplicate", "new.csv", "order_id")]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_new_orders_come_in_either_form(tiny: Path, tmp_path: Path, kind: str) -> None:
    place = copied(tiny, tmp_path)
    (place / "new.csv").write_text(NEW + "n1,e1,8,3.25,0,10,400.5\n", encoding="utf-8")
    if kind == "parquet":
        pl.read_csv(place / "new.csv").write_parquet(place / "new.parquet")
    roll_to(place / "book", place / "out", 1, place / "next", place / f"new.{kind}")
    order = open_round(place / "next").book.orders.filter(pl.col("order_id") == "n1").row(0, named=True)
    assert (order["hours_micro"], order["limit_ucny"], order["release"]) == (3_250_000, 400_500_000, 0)


def test_a_missing_file_of_orders_and_a_start_beyond_the_calendar_are_problems(tiny: Path, tmp_path: Path) -> None:
    place = copied(tiny, tmp_path)
    book, out, following = place / "book", place / "out", place / "next"
    ended = dujiang("roll", book, out, "--hours", 1, "--out", following, "--orders", place / "no.csv")
    assert (ended.code, ended.err.splitlines()[0].split(":")[0]) == (1, "no.csv")
    far = dujiang("roll", book, out, "--hours", "1000000", "--out", following)
    assert far.code == 0  # a hundred years on: all has ended, every window is closed
    assert dujiang("roll", book, out, "--hours", -1, "--out", following).code == 2


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"contracts_used": [1]}', '{"contracts_used": [["e1"]]}'])
def test_remarks_of_another_form_are_a_problem(tiny: Path, tmp_path: Path, content: str) -> None:
    place = copied(tiny, tmp_path)
    (place / "book/roll.json").write_text(content)
    ended = dujiang("roll", place / "book", place / "out", "--hours", 1, "--out", place / "next", "--json")
    assert (ended.code, [p["code"] for p in ended.document["problems"]]) == (1, ["bad-state"])


def test_the_book_itself_is_refused_as_arrivals_at_the_prices_of_its_own_result(tiny: Path, tmp_path: Path) -> None:
    place = copied(tiny, tmp_path)
    with pytest.raises(InputError) as refused:
        admit_to(place / "book", place / "out", place / "more", Coupling.FULL)
    assert codes(refused) == [("same-book", "book.yaml", None)]


def test_a_book_that_forgets_an_award_is_refused_at_its_prices(tiny: Path, tmp_path: Path) -> None:
    place = copied(tiny, tmp_path)
    roll_to(place / "book", place / "out", 0, place / "next")
    running = pl.read_parquet(place / "next/running.parquet")
    running[1:].write_parquet(place / "next/running.parquet")
    ended = dujiang("admit", place / "next", "--prices", place / "out", "--out", place / "more", "--json")
    assert (ended.code, [p["code"] for p in ended.document["problems"]]) == (1, ["award-missing"])
    assert not (place / "more").exists()


def test_a_warm_start_says_from_what(tiny: Path, tmp_path: Path) -> None:
    place = copied(tiny, tmp_path)
    roll_to(place / "book", place / "out", 2, place / "next")
    ended = dujiang("clear", place / "next", "--warm", place / "out", "--out", place / "second", "--json")
    assert ended.code == 0
    digest = json.loads((place / "out/summary.json").read_bytes())["book_sha256"]
    assert ended.document["warm"] == {"book_sha256": digest, "start": "2025-11-02T16:00:00Z", "hours": 2}
    assert verify(place / "next", place / "second").clean
