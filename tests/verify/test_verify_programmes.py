"""Conditions, special rates, caps and budgets as the verifier reads them."""

from datetime import date
from pathlib import Path
from typing import Any

import handmade_round as handmade
import pytest

from dujiang.verify.book import read_book
from dujiang.verify.cells import UNLIMITED, Broken
from dujiang.verify.programme import Condition, Programme, outcome, read_programme
from dujiang.verify.support import Programmes, Support


@pytest.mark.parametrize(
    "op, value, fact, expected",
    [
        ("is", "深圳", "深圳", True),
        ("is", "深圳", " 深圳 ", True),
        ("is", "深圳", "广州", False),
        ("is", "深圳", None, None),
        ("is", "深圳", "", None),
        ("is", "深圳", True, None),
        ("is", True, "true", True),
        ("is", True, False, False),
        ("is", True, "maybe", None),
        ("is", 5, "5.0", True),
        ("is", 5, True, None),
        ("is_not", "university", "enterprise", True),
        ("is_not", "university", None, None),
        ("in", ["a", "b"], "b", True),
        ("in", ["a", "b"], "c", False),
        ("in", ["a", "b"], None, None),
        ("at_least", 5, "5", True),
        ("at_least", 5, 4, False),
        ("at_most", 0.3, "0.3", True),
        ("more_than", 5, 5, False),
        ("less_than", 5, "4.999999", True),
        ("less_than", 5, "few", None),
        ("before", "2025-11-03", "2025-11-02", True),
        ("before", "2025-11-03", date(2025, 11, 3), False),
        ("after", "2025-11-03", date(2025, 11, 4), True),
        ("after", "2025-11-03", "soon", None),
    ],
)
def test_condition(op: str, value: Any, fact: object, expected: bool | None) -> None:
    assert outcome(Condition("x", op, value), fact) is expected


FILE = """\
id: k
good: compute
valid: {from: null, until: null}
conditions: []
rate: {share: 0.3}
special_rates:
- {share: 0.5, when: [{fact: startup, op: is, value: true}]}
- {share: 0.6, when: [{fact: seller_province, op: is, value: 贵州}]}
"""


def programme(folder: Path, more: str = "") -> Programme:
    path = folder / "k.yaml"
    path.write_text(FILE + more, encoding="utf-8")
    return read_programme(path)


def test_highest_special_rate_replaces_the_rate(tmp_path: Path) -> None:
    k, on = programme(tmp_path), date(2025, 11, 3)
    assert k.share({"good": "compute"}, on) == 300_000
    assert k.share({"good": "compute", "startup": "true"}, on) == 500_000
    assert k.share({"good": "compute", "startup": True, "seller_province": "贵州"}, on) == 600_000
    assert k.share({}, on) is None


@pytest.mark.parametrize(
    "more, budget, cap, room",
    [
        ("", None, None, UNLIMITED),
        ("cap: {amount_cny: 30, per: enterprise, period: year}\n", None, 10, 10),
        ("cap: {amount_cny: 90, per: enterprise, period: validity}\n", None, 35, 35),
        ("cap: {amount_cny: 30, per: enterprise, period: validity}\n", None, 0, 0),
        ("cap: {amount_cny: 30, per: contract, period: year}\n", None, None, 30),
        ("budget: {amount_cny: 50, period: year}\n", 30, None, 30),
        ("budget: {amount_cny: 90, period: validity}\n", 35, None, 35),
        ("budget: {amount_cny: 50, period: year}\ncap: {amount_cny: 70, per: contract, period: year}\n", 30, None, 30),
    ],
)
def test_what_is_left(tmp_path: Path, more: str, budget: int | None, cap: int | None, room: int) -> None:
    """b has claimed 20 in 2025 and 35 the year before."""
    folder = handmade.write_book(tmp_path / "book")
    (folder / "claims.csv").write_text(handmade.BOOK["claims.csv"].replace("sz", "k"), encoding="utf-8")
    programmes = Programmes(read_book(folder), [programme(tmp_path, more)], {})

    def yuan(amount: int | None) -> int | None:
        return None if amount is None else amount * handmade.YUAN

    assert programmes.budget_left("k") == yuan(budget)
    assert programmes.cap_left("k", "b") == yuan(cap)
    assert programmes.room("k", "b") == (UNLIMITED if room == UNLIMITED else yuan(room))


def test_the_round_sets_what_it_may_spend_whatever_was_claimed(tmp_path: Path) -> None:
    folder = handmade.write_book(tmp_path / "book")
    (folder / "claims.csv").write_text(handmade.BOOK["claims.csv"].replace("sz", "k"), encoding="utf-8")
    text = handmade.BOOK["book.yaml"] + "use:\n- {id: k, budget_cny: 100}\n"
    (folder / "book.yaml").write_text(text, encoding="utf-8")
    assert Programmes(read_book(folder), [programme(tmp_path)], {}).budget_left("k") == 100 * handmade.YUAN


def test_facts_come_from_the_nearest_place_that_knows_them(tmp_path: Path) -> None:
    """An order's own fact wins over its enterprise's, that over what the book declares; a pool says who sells."""
    folder = handmade.write_book(tmp_path / "book")
    head, *rows = handmade.BOOK["enterprises.csv"].splitlines()
    (folder / "enterprises.csv").write_text(
        "\n".join([head + ",startup", rows[0] + ",false", rows[1] + ",", rows[2] + ","]), encoding="utf-8"
    )
    (folder / "book.yaml").write_text(handmade.BOOK["book.yaml"] + "facts: {startup: true}\n", encoding="utf-8")
    head, *rows = handmade.BOOK["orders.csv"].splitlines()
    text = "\n".join([head + ",startup", rows[0] + ",", rows[1] + ",no", *(row + "," for row in rows[2:])])
    (folder / "orders.csv").write_text(text, encoding="utf-8")
    book = read_book(folder)
    programmes = Programmes(book, [programme(tmp_path)], {})
    pools = list(book.pools.values())

    def shares(order_id: str) -> dict[str, int]:
        found = programmes.open_to(book.orders[order_id], pools)
        assert all(supports == [Support("k", supports[0].share_ppm, UNLIMITED)] for supports in found.values())
        return {pool_id: supports[0].share_ppm for pool_id, supports in found.items()}

    assert shares("o1") == {"pe": 300_000, "pn": 600_000, "pw": 600_000}  # a says no
    assert shares("o2") == {"pe": 300_000, "pn": 600_000, "pw": 600_000}  # the order says no
    assert shares("o8") == {"pe": 500_000, "pn": 600_000, "pw": 600_000}  # only the book speaks


def test_domestic_compute_is_unknown_unless_the_result_says_so(tmp_path: Path) -> None:
    book = read_book(handmade.write_book(tmp_path / "book"))
    text = FILE.replace("conditions: []", "conditions: [{fact: domestic_compute, op: is, value: true}]")
    (tmp_path / "k.yaml").write_text(text, encoding="utf-8")
    k, pools = read_programme(tmp_path / "k.yaml"), list(book.pools.values())
    order = book.orders["o2"]
    assert Programmes(book, [k], {}).open_to(order, pools) == {"pe": [], "pn": [], "pw": []}
    known = Programmes(book, [k], {"910B": True, "H800": False}).open_to(order, pools)
    assert {pool_id for pool_id, supports in known.items() if supports} == {"pn"}


@pytest.mark.parametrize(
    "old, new",
    [
        ("id: k", "id:"),
        ("share: 0.3", "share: 1.5"),
        ("share: 0.3", "share: many"),
        ("op: is, value: true", "op: like, value: true"),
        ("op: is, value: true", "op: in, value: true"),
        ("op: is, value: true", "op: before, value: soon"),
        ("op: is, value: true", "op: at_least, value: soon"),
        ("conditions: []", "conditions: {}"),
        ("valid: {from: null", "valid: {from: soon"),
        ("good: compute", "cap: {amount_cny: 5, per: day}"),
        ("good: compute", "budget: {amount_cny: -5}"),
        ("good: compute", "minimum_cny: 5"),
    ],
)
def test_broken_programme(tmp_path: Path, old: str, new: str) -> None:
    assert old in FILE
    (tmp_path / "k.yaml").write_text(FILE.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(Broken) as caught:
        read_programme(tmp_path / "k.yaml")
    assert caught.value.where.startswith("k.yaml")
