"""`dujiang quote` and `dujiang admit` from files: what a quote says is what an admission charges."""

import json
from pathlib import Path
from shutil import copytree

import polars as pl
import pytest

from books import dujiang, edit, write_tiny
from dujiang.core.money import MICRO
from dujiang.exchange.clearing import clear_to
from dujiang.market.engine import Effort
from dujiang.market.outcome import Coupling
from dujiang.verify.verification import verify

ORDER = "gpus: 8\nhours: 2.5\nrelease: 3\ndeadline: 12\n"


@pytest.fixture(scope="module")
def cleared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the tiny book, its result, and the book that follows after two hours."""
    place = tmp_path_factory.mktemp("cleared")
    clear_to(write_tiny(place / "book"), place / "out", Coupling.FULL, Effort())
    assert dujiang("roll", place / "book", place / "out", "--hours", 2, "--out", place / "next").code == 0
    return place


@pytest.fixture
def place(cleared: Path, tmp_path: Path) -> Path:
    copytree(cleared, tmp_path, dirs_exist_ok=True)
    (tmp_path / "order.yaml").write_text(ORDER, encoding="utf-8")
    return tmp_path


def quoted(place: Path, book: str, order: str, *more: str) -> dict:
    (place / "order.yaml").write_text(order, encoding="utf-8")
    ended = dujiang("quote", place / book, place / "out", "--order", place / "order.yaml", "--json", *more)
    assert ended.code == 0, ended
    return ended.document


def test_a_quote_is_the_cheapest_room_at_the_posted_prices(place: Path) -> None:
    document = quoted(place, "book", ORDER)
    prices = pl.read_parquet(place / "out/prices.parquet")
    expected = []
    for pool, speed in (("bj-a", 1.0), ("qy-a", 1.25)):
        rows = prices.filter(pl.col("pool_id") == pool).sort("slot")
        rate, free = rows["ucny_per_gpu_hour"].to_list(), rows["gpus_free"].to_list()
        d = 3 if speed == 1.0 else 2
        starts = [(8 * sum(rate[t : t + d]), pool, t, d) for t in range(3, 13 - d) if min(free[t : t + d]) >= 8]
        expected += [min(starts)] if starts else []
    assert expected
    found = [(q["gross_ucny"], q["pool_id"], q["start"], q["slots"]) for q in document["quotes"]]
    assert found == sorted(expected)
    assert {q["pool_id"] for q in document["quotes"]} | set(document["no_room"]) == {"bj-a", "qy-a"}
    assert (document["ok"], document["gpus"], document["prices_of"]) == (True, 8, "2025-11-02T16:00:00Z")


def test_the_next_book_is_quoted_the_same_two_hours_on(place: Path) -> None:
    before = quoted(place, "book", ORDER)["quotes"]
    after = quoted(place, "next", ORDER.replace("release: 3", "release: 1").replace("deadline: 12", "deadline: 10"))
    same = ("pool_id", "begins", "slots", "gross_ucny", "transfer_ucny", "ask_cost_ucny", "carbon_term_ucny")
    assert [[q[name] for name in same] for q in after["quotes"]] == [[q[name] for name in same] for q in before]
    assert [q["start"] + 2 for q in after["quotes"]] == [q["start"] for q in before]


def test_data_and_wishes_count(place: Path) -> None:
    far = ORDER + "origin_region: 北京\ndata_gb: 12.5\n"
    by_pool = {q["pool_id"]: q["transfer_ucny"] for q in quoted(place, "book", far)["quotes"]}
    assert by_pool["qy-a"] == 620_000  # 12.5 GB at 0.05 yuan are 0.625 yuan, to fen half to even
    assert by_pool.get("bj-a", 0) == 0
    near = quoted(place, "book", far + "rtt_ms_max: 3\n")
    assert {q["pool_id"] for q in near["quotes"]} <= {"bj-a"}
    assert "qy-a" not in near["no_room"]
    rocm = quoted(place, "book", ORDER + "stacks: [rocm]\nregions: 甘肃\n")
    assert [q["pool_id"] for q in rocm["quotes"]] == ["qy-a"]
    assert quoted(place, "book", ORDER + "accelerators: [h100]\n")["quotes"] == []
    alone = quoted(place, "book", ORDER + "origin_region: 甘肃\n", "--coupling", "isolated")
    assert {q["pool_id"] for q in alone["quotes"]} <= {"qy-a"}


@pytest.mark.parametrize("lang, words", [("en", "without vouchers"), ("zh", "未计算力券")])
def test_words_for_people(place: Path, lang: str, words: str) -> None:
    ended = dujiang("--lang", lang, "quote", place / "book", place / "out", "--order", place / "order.yaml")
    assert (ended.code, ended.err) == (0, "")
    assert words in ended.out
    assert "qy-a" in ended.out
    (place / "order.yaml").write_text(ORDER + "accelerators: h100\n")
    ended = dujiang("--lang", lang, "quote", place / "book", place / "out", "--order", place / "order.yaml")
    assert ("no pool can serve the order" if lang == "en" else "没有资源池可承接该订单") in ended.out


@pytest.mark.parametrize(
    "text, expected",
    [
        ("gpus: 8\n", [("missing-column", None, "deadline"), ("missing-column", None, "hours")]),
        (ORDER.replace("8", "0"), [("out-of-range", 1, "gpus")]),
        (ORDER.replace("2.5", "2.1234567"), [("bad-type", 2, "hours")]),
        (ORDER.replace("3", "24"), [("out-of-range", 3, "release"), ("bad-window", 4, "deadline")]),
        (ORDER.replace("12", "4"), [("short-window", 4, "deadline")]),
        (ORDER + "gpu: 3\n", [("unknown-column", 5, "gpu")]),
        (ORDER + "data_gb: 3\n", [("missing-origin", 5, "data_gb")]),
        (ORDER + "stacks: {cuda: 1}\n", [("bad-type", 5, "stacks")]),
        (ORDER + "stacks: [[cuda]]\n", [("bad-type", 5, "stacks")]),
        (ORDER + "enterprise_id: e9\n", [("dangling", 5, "enterprise_id")]),
        (ORDER + "gpus: 9\n", [("duplicate-key", 5, "gpus")]),
        ("- 8\n", [("bad-type", 1, None)]),
        ("", [("bad-type", None, None)]),
        ("gpus: [\n", [("bad-yaml", 2, None)]),
    ],
)
def test_every_problem_of_an_order_file_has_its_line(
    place: Path, text: str, expected: list[tuple[str, int | None, str | None]]
) -> None:
    (place / "order.yaml").write_text(text, encoding="utf-8")
    ended = dujiang("quote", place / "book", place / "out", "--order", place / "order.yaml", "--json")
    assert ended.code == 1
    found = [(p["code"], p["row"], p["field"]) for p in ended.document["problems"]]
    assert {p["file"] for p in ended.document["problems"]} == {"order.yaml"}
    assert [f for f in found if f in expected] == expected
    assert len(found) == len(expected) or text == "gpus: 8\n"


def test_a_missing_order_and_a_foreign_result_are_problems(place: Path) -> None:
    ended = dujiang("quote", place / "book", place / "out", "--order", place / "no.yaml")
    assert (ended.code, ended.err.split(":")[0]) == (1, "no.yaml")
    ended = dujiang("quote", place / "book", place / "book", "--order", place / "order.yaml")
    assert (ended.code, ended.err.split(":")[0]) == (1, "book/awards.parquet")
    edit(place / "book", "book.yaml", "title: 小簿", "title: another")
    ended = dujiang("quote", place / "book", place / "out", "--order", place / "order.yaml", "--json")
    assert (ended.code, {p["code"] for p in ended.document["problems"]}) == (1, {"award-missing"})


def test_who_pays_the_quote_is_admitted_at_it(place: Path) -> None:
    quote = quoted(place, "next", ORDER)["quotes"][0]
    total = quote["gross_ucny"] + quote["transfer_ucny"]
    head = "order_id,enterprise_id,gpus,hours,release,deadline,limit_cny,max_vouchers\n"
    carbon = quote["carbon_term_ucny"]
    assert carbon > 0
    for name, limit in (("paid", total + carbon), ("short", total + carbon - 1)):
        cells = f"{name},e2,8,2.5,3,12,{limit // MICRO}.{limit % MICRO:06d},0\n"
        (place / f"{name}.csv").write_text(head + cells, encoding="utf-8")
        book, out = place / f"book-{name}", place / f"out-{name}"
        rolled = ("roll", place / "book", place / "out", "--hours", 2, "--out", book, "--orders", place / f"{name}.csv")
        assert dujiang(*rolled).code == 0
        ended = dujiang("admit", book, "--prices", place / "out", "--out", out, "--json")
        assert ended.code == 0, ended
        assert verify(book, out).clean, [finding.say() for finding in verify(book, out).findings]
        digest = json.loads((place / "out/summary.json").read_bytes())["book_sha256"]
        named = {"book_sha256": digest, "start": "2025-11-02T16:00:00Z", "hours": 2}
        assert ended.document["admission"] == named
        assert ended.document["uplift_cny"] == ended.document["paradoxical_awards"] == 0
        awards = pl.read_parquet(out / "awards.parquet").filter(pl.col("order_id") == name)
        assert awards.height == (name == "paid")
        if name == "paid":
            award = awards.row(0, named=True)
            assert (award["pool_id"], award["start"], award["net_ucny"]) == (quote["pool_id"], quote["start"], total)


def test_an_admission_is_the_same_each_time_and_speaks_both_languages(place: Path) -> None:
    for name in ("one", "two"):
        assert dujiang("admit", place / "next", "--prices", place / "out", "--out", place / name).code == 0
    for table in ("awards", "prices", "rejections", "multipliers"):
        assert (place / f"one/{table}.parquet").read_bytes() == (place / f"two/{table}.parquet").read_bytes()
    ended = dujiang("--lang", "zh", "admit", place / "next", "--prices", place / "out", "--out", place / "one")
    assert "2025-11-02T16:00:00Z 轮次的价格" in ended.out


def test_exact_mode_proves_the_tiny_book(place: Path) -> None:
    ended = dujiang("clear", place / "book", "--out", place / "exact", "--exact", "20", "--json")
    assert ended.code == 0, ended
    proof = ended.document["exact"]
    assert proof["optimal"]
    assert proof["seconds"] == 20
    assert ended.document["welfare_ucny"] <= proof["bound_at_prices_ucny"]
    assert verify(place / "book", place / "exact").clean
    said = dujiang("clear", place / "book", "--out", place / "exact", "--exact")
    assert "proven: no better awards at these prices" in said.out
    assert json.loads((place / "exact/summary.json").read_bytes())["exact"]["seconds"] == 60
    assert dujiang("clear", place / "book", "--out", place / "exact", "--exact", "-1").code == 2
