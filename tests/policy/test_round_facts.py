from datetime import date

import pytest
from policy_samples import small_book

from dujiang.policy.facts import RoundFacts, is_seller_side


def facts_of(names, *, enterprise=None, order=None, pool=None, declared=None, further=(), domestic=None):
    book = small_book(
        enterprises=[{"enterprise_id": "e", **(enterprise or {})}],
        orders=[{"order_id": "o", "enterprise_id": "e", **(order or {})}],
        pools=[{"pool_id": "p", **(pool or {})}],
        facts=declared,
        further=further,
    )
    return RoundFacts(book, domestic or {}).of(0, 0, names)


def test_the_round_knows_its_good_its_day_and_what_a_purchase_on_it_is():
    names = ["good", "date", "via_exchange", "self_built"]
    expected = {"good": "compute", "date": date(2026, 6, 1), "via_exchange": True, "self_built": False}
    assert facts_of(names) == expected
    assert facts_of(names, declared={"good": "corpus", "date": date(2020, 1, 1)}) == expected
    assert facts_of(["self_built"], declared={"self_built": True}) == {"self_built": True}


def test_what_stands_nearer_to_the_order_wins():
    def startup(**given):
        return facts_of(["startup"], further=("startup",), **given).get("startup")

    assert startup() is None
    assert startup(declared={"startup": True}) is True
    assert startup(declared={"startup": True}, enterprise={"startup": False}) is False
    assert startup(declared={"startup": True}, enterprise={"startup": False}, order={"startup": True}) is True
    assert startup(declared={"startup": True}, order={"startup": False}) is False


@pytest.mark.parametrize("empty", ["", "  ", float("nan"), None])
def test_an_empty_cell_leaves_the_word_to_what_is_declared(empty):
    assert facts_of(["x"], enterprise={"x": empty}, further=("x",), declared={"x": "declared"}) == {"x": "declared"}


@pytest.mark.parametrize(
    ("cell", "ucny"), [("12.5", 12_500_000), (12, 12_000_000), (12.5, 12_500_000), ("much", None), (True, None)]
)
def test_a_further_column_in_yuan_is_read_as_micro_yuan(cell, ucny):
    found = facts_of(["assets_ucny"], enterprise={"assets_cny": cell}, further=("assets_cny",))
    assert found == ({} if ucny is None else {"assets_ucny": ucny})


def test_money_that_the_book_declares_is_read_as_micro_yuan():
    assert facts_of(["assets_ucny"], declared={"assets_cny": 3}) == {"assets_ucny": 3_000_000}
    assert facts_of(["assets_ucny"], declared={"assets_ucny": 3}) == {"assets_ucny": 3}


def test_an_order_shows_its_purpose_and_size_but_not_its_window_or_limit():
    order = {"gpus": 4, "purpose": "training", "deadline": 9, "limit_ucny": 5}
    names = ["enterprise_id", "gpus", "purpose", "deadline", "limit_ucny"]
    assert facts_of(names, order=order) == {"enterprise_id": "e", "gpus": 4, "purpose": "training"}


def test_the_seller_is_known_by_its_pool_alone():
    names = ["seller_id", "seller_region", "seller_province", "seller_cluster", "accelerator", "domestic_compute"]
    assert all(is_seller_side(name) for name in names)
    pool = {"region": "gs", "province": "甘肃", "cluster": "qy", "accelerator": "910b"}
    assert facts_of(names, pool=pool, domestic={"910b": True}) == {
        "seller_id": "c-p",
        "seller_region": "gs",
        "seller_province": "甘肃",
        "seller_cluster": "qy",
        "accelerator": "910b",
        "domestic_compute": True,
    }
    declared = {"seller_province": "甘肃", "domestic_compute": True}
    assert facts_of(["seller_province", "domestic_compute"], declared=declared) == {}


def test_true_and_one_are_different_values():
    book = small_book(
        enterprises=[{"enterprise_id": "e", "flag": True}, {"enterprise_id": "f", "flag": None}],
        orders=[{"order_id": "o", "enterprise_id": "e"}, {"order_id": "u", "enterprise_id": "f"}],
        pools=[{"pool_id": "p"}],
        facts={"flag": 1},
        further=("flag",),
    )
    column = RoundFacts(book, {}).column("flag")
    assert column.map(lambda value: 2 if value is True else 1).tolist() == [2, 1]
