"""Books at the edge of what can be asked: empty, hopeless, free of charge, and as large as a book may be."""

from typing import Any

import pytest
from market_rules import assert_rules, assert_verified, cleared
from random_books import BookText, folder

from dujiang.core.errors import InputError
from dujiang.market.outcome import Outcome


def small(orders: list[dict[str, Any]], slots: int = 4, **pool: str) -> BookText:
    """One pool of 8 at 1 yuan in one centre, and orders for one card and one hour unless they say otherwise."""
    order = {"enterprise_id": "e", "gpus": "1", "hours": "1", "release": "0", "deadline": "4", "limit_cny": "100"}
    base = {"pool_id": "p", "centre_id": "c", "accelerator": "H800", "gpus": "8", "ask_cny_per_gpu_hour": "1"}
    return BookText(
        slots,
        {
            "centres": [{"centre_id": "c", "region": "east", "pue": "1.2", "grid_kgco2_per_kwh": "0.5"}],
            "pools": [{**base, "watts_per_gpu": "500", **pool}],
            "enterprises": [{"enterprise_id": "e", "city": "深圳", "employees": "5"}],
            "orders": [{"order_id": f"o{i}", **order, **own} for i, own in enumerate(orders)],
        },
    )


def checked(book: BookText) -> Outcome:
    """Clear the book, check all rules and verify."""
    with folder() as f:
        round_, outcome, files = cleared(book, f / "book")
        assert_rules(round_, outcome)
        assert_verified(f / "book", files, f / "out")
        return outcome


def reasons(outcome: Outcome) -> list[str]:
    return outcome.rejections["reason"].to_list()


def voucher(**own: str) -> dict[str, str]:
    base = {"cities": "深圳", "share": "0.5", "special": "[]", "cap": "null", "minimum": "null", "budget": "null"}
    return {**base, **own}


def test_no_orders() -> None:
    outcome = checked(small([]))
    assert outcome.awards.is_empty()
    assert outcome.rejections.is_empty()
    assert outcome.summary["dual_bound_ucny"] == outcome.summary["gap"] == outcome.summary["served_share"] == 0
    assert outcome.prices["ucny_per_gpu_hour"].to_list() == [1_000_000] * 4


def test_no_capacity() -> None:
    outcome = checked(small([{}], gpus="0"))
    assert reasons(outcome) == ["no_room"]
    assert outcome.summary["utilisation"] == 0.0


def test_wider_than_the_pool() -> None:
    assert reasons(checked(small([{"gpus": "9"}]))) == ["no_room"]


def test_a_slot_without_capacity_splits_the_window() -> None:
    book = small([{"hours": "3"}])
    book.tables["capacity"] = [{"pool_id": "p", "slot": "1", "gpus": "0"}]
    assert reasons(checked(book)) == ["no_room"]
    book.tables["orders"][0]["hours"] = "2"
    assert checked(book).awards["start"].to_list() == [2]


def test_a_deadline_beyond_the_round_is_cut_at_its_end() -> None:
    book = small([{"hours": "5", "deadline": "9", "release": "0"}, {"hours": "4", "deadline": "900"}])
    outcome = checked(book)
    assert reasons(outcome) == ["no_room"]
    assert outcome.awards["order_id"].to_list() == ["o1"]


def test_everything_free_of_charge() -> None:
    outcome = checked(small([{"limit_cny": "0.000001"}] * 3, ask_cny_per_gpu_hour="0"))
    assert outcome.awards["gross_ucny"].to_list() == [0, 0, 0]
    assert outcome.summary["welfare_ucny"] == outcome.summary["dual_bound_ucny"] == 3


def test_a_limit_just_at_the_ask_adds_no_welfare_and_is_rejected_without_a_gap() -> None:
    outcome = checked(small([{"limit_cny": "1"}, {"limit_cny": "0.999999"}]))
    assert reasons(outcome) == ["paradoxical", "limit_below_ask"]
    assert outcome.summary["dual_bound_ucny"] == 0


def test_a_voucher_for_the_whole_price_draws_its_cap() -> None:
    book = small([{"limit_cny": "0.5", "gpus": "8"}])
    book.programmes = {"v": voucher(share="1", cap="{amount_cny: 20, per: enterprise, period: year, clause: a}")}
    award = checked(book).awards.row(0, named=True)
    assert award["effective_limit_ucny"] == 20_500_000
    assert award["voucher_ucny"] == award["gross_ucny"] == 8_000_000
    assert award["net_ucny"] == 0


def test_a_voucher_for_the_whole_price_without_any_limit_is_refused() -> None:
    book = small([{}, {}])
    book.programmes = {"v": voucher(share="1")}
    with folder() as f, pytest.raises(InputError) as refused:
        cleared(book, f / "book")
    assert [problem.code for problem in refused.value.problems] == ["unlimited-voucher"]


def test_the_voucher_must_reach_its_minimum() -> None:
    book = small([{"limit_cny": "0.9"}])
    minimum = "{amount_cny: %s, clause: a}"
    book.programmes = {"v": voucher(minimum=minimum % "0.5")}
    assert checked(book).awards["voucher_ucny"].to_list() == [500_000]
    book.programmes = {"v": voucher(minimum=minimum % "0.91")}
    assert reasons(checked(book)) == ["limit_below_ask"]


def test_one_contract_uses_a_programme_once() -> None:
    book = small([{"limit_cny": "0.9", "contract_id": "k"}, {"limit_cny": "0.9", "contract_id": "k"}])
    book.programmes = {"v": voucher()}
    outcome = checked(book)
    assert outcome.awards.height == 1
    assert reasons(outcome) == ["voucher_exhausted"]


def test_a_budget_too_small_for_two_serves_one() -> None:
    book = small([{"limit_cny": "0.9"}, {"limit_cny": "0.8"}])
    book.programmes = {"v": voucher(budget="{amount_cny: 0.6, period: year, clause: a}")}
    outcome = checked(book)
    assert outcome.awards["order_id"].to_list() == ["o0"]
    assert outcome.multipliers["used_ucny"].to_list() == [500_000]
    assert reasons(outcome)[0] in ("voucher_exhausted", "limit_below_price")


def test_the_largest_amounts_stay_exact() -> None:
    """A pool and an order of the greatest size, price and length: the ask cost alone is 8.784e18 micro-yuan."""
    large = {"gpus": "100000", "hours": "8784", "deadline": "1000000", "limit_cny": "1000000000"}
    medium = {"gpus": "100000", "hours": "1", "deadline": "9", "limit_cny": "1000000000"}
    book = small([large, medium, medium, {**medium, "release": "7000", "deadline": "8784"}], slots=8784)
    book.tables["pools"][0].update(gpus="100000", ask_cny_per_gpu_hour="10000")
    outcome = checked(book)
    # a billion yuan is just the ask of 100000 cards for an hour: no welfare, and nothing wraps around
    assert outcome.summary["welfare_ucny"] == outcome.summary["dual_bound_ucny"] == 0
    assert sorted(reasons(outcome)) == ["limit_below_ask", "paradoxical", "paradoxical", "paradoxical"]
    book.tables["pools"][0].update(ask_cny_per_gpu_hour="9999.999999")
    outcome = checked(book)
    assert outcome.awards.height == 3
    assert outcome.summary["welfare_ucny"] == 3 * 100_000


@pytest.mark.parametrize(
    ("field", "others"), [("carbon_cny_per_kg", ""), ("small_firm_cny_per_gpu_hour", ", small_firm_employees_max: 10")]
)
def test_terms_beyond_exact_arithmetic_are_refused(field: str, others: str) -> None:
    most = {"gpus": "100000", "hours": "8784", "deadline": "8784"}
    book = small([most], slots=8784, watts_per_gpu="100000")
    book.objective = f"objective: {{{field}: 10000{others}}}\n"
    with folder() as f, pytest.raises(InputError) as refused:
        cleared(book, f / "book")
    assert [problem.field for problem in refused.value.problems] == [f"objective.{field}"]
