"""Whole clearings of random small books: the rules hold, the independent program agrees, nothing depends on chance."""

from collections import Counter
from collections.abc import Iterator
from random import Random

import numba
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from market_rules import assert_rules, assert_verified, cleared, enriched, frame_bytes
from random_books import BookText, folder, random_book

from dujiang.market.engine import Effort
from dujiang.market.outcome import Coupling, Reason

randoms = st.integers(0, 2**32 - 1).map(Random)
couplings = st.sampled_from(list(Coupling))
few = settings(max_examples=60, deadline=None)
fewer = settings(few, max_examples=15)


@given(randoms, couplings)
@few
def test_every_rule_holds_and_the_verifier_agrees(rng: Random, coupling: Coupling) -> None:
    with folder() as f:
        round_, outcome, files = cleared(enriched(random_book(rng, programmes=3), rng), f / "book", coupling)
        assert_rules(round_, outcome)
        assert_verified(f / "book", files, f / "out")


def seen_features() -> Iterator[str]:
    """Clear fixed random books and name what happened in them."""
    for seed in range(70):
        rng = Random(seed)
        with folder() as f:
            coupling = Coupling.ISOLATED if seed % 4 == 3 else Coupling.FULL
            book = enriched(random_book(rng, orders=16, programmes=3), rng)
            round_, outcome, files = cleared(book, f / "book", coupling)
            assert_rules(round_, outcome)
            assert_verified(f / "book", files, f / "out")
            yield from (f"rejected {name}" for name, n in outcome.summary["rejections"].items() if n)
            yield from (f"coupling {coupling}",) if outcome.awards.height else ()
            speeds = dict(round_.book.pools.select("pool_id", "speed_micro").iter_rows())
            limits = round_.book.objective
            for award in outcome.awards.iter_rows(named=True):
                yield from ["voucher"] * (award["voucher_ucny"] > 0)
                yield from ["several vouchers"] * (award["share_ppm"] is None)
                yield from ["whole room drawn"] * (
                    award["room_ucny"] is not None and 0 < award["room_ucny"] == award["voucher_ucny"]
                )
                yield from ["transfer"] * (award["transfer_ucny"] > 0)
                yield from ["paradoxical award"] * award["paradoxical"]
                yield from ["price above ask"] * (award["price_cost_ucny"] > award["ask_cost_ucny"])
                yield from ["speed"] * (speeds[award["pool_id"]] != 1_000_000)
                yield from ["share 100 %"] * (award["share_ppm"] == 1_000_000)
                yield from ["carbon"] * bool(limits.carbon_ucny_per_kg)
            yield from ["bonus"] * (outcome.summary["small_firm_term_cny"] > 0)
            yield from ["shadow price of a budget"] * bool((outcome.multipliers["multiplier_ppm"] > 0).any())
            yield from ["shadow price of a link"] * bool((outcome.link_prices["ucny_per_gb"] > 0).any())
            yield from ["data over a limited link"] * bool((outcome.link_prices["gb_used_micro"] > 0).any())
            yield from ["running award"] * bool(round_.book.running.height)
            for name in ("enough_limit_ucny", "enough_deadline"):
                yield from [name] * (outcome.rejections[name].null_count() < outcome.rejections.height)


def test_the_random_books_meet_every_feature() -> None:
    """The property above is worth what its books contain: each feature happens in a fixed sample, verified too."""
    seen = Counter(seen_features())
    reasons = set(Reason) - {Reason.LINK_FULL}  # met by the made-up cases of test_rejections
    expected = {f"rejected {reason.value}" for reason in reasons} | {f"coupling {c}" for c in Coupling}
    expected |= {"voucher", "whole room drawn", "transfer", "paradoxical award", "price above ask", "speed"}
    expected |= {"share 100 %", "carbon", "bonus", "shadow price of a budget", "several vouchers", "running award"}
    expected |= {"data over a limited link", "enough_limit_ucny", "enough_deadline"}
    assert expected <= set(seen), expected - set(seen)


@given(randoms, couplings)
@fewer
def test_the_order_of_rows_changes_nothing(rng: Random, coupling: Coupling) -> None:
    book = enriched(random_book(rng), rng)
    with folder() as f:
        first = frame_bytes(cleared(book, f / "one", coupling)[2])
        second = frame_bytes(cleared(book.shuffled(rng), f / "two", coupling)[2])
        assert first == second


@given(randoms, couplings)
@fewer
def test_the_same_book_gives_the_same_bytes(rng: Random, coupling: Coupling) -> None:
    book = enriched(random_book(rng), rng)
    with folder() as f:
        _, one, first = cleared(book, f / "book", coupling)
        _, two, second = cleared(book, f / "book", coupling)
        assert frame_bytes(first) == frame_bytes(second)
        assert {k: v for k, v in one.summary.items() if k != "seconds"} == {
            k: v for k, v in two.summary.items() if k != "seconds"
        }


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="needs two threads to compare")
@given(randoms)
@fewer
def test_the_number_of_threads_changes_nothing(rng: Random) -> None:
    book = enriched(random_book(rng, orders=16), rng)
    results = []
    before = numba.get_num_threads()
    try:
        for threads in (1, 2):
            numba.set_num_threads(threads)
            with folder() as f:
                results.append(frame_bytes(cleared(book, f / "book")[2]))
    finally:
        numba.set_num_threads(before)
    assert results[0] == results[1]


def test_a_clock_that_runs_out_says_so_and_leaves_a_valid_result() -> None:
    book = random_book(Random(14), orders=16)
    with folder() as f:
        round_, outcome, files = cleared(book, f / "book", effort=Effort(seconds=0.0))
        assert outcome.summary["reproducible"] is False
        assert_rules(round_, outcome)
        assert_verified(f / "book", files, f / "out")


def tied(ids: list[str], stamps: list[str]) -> BookText:
    """Two like orders for a pool that holds one."""
    order = {"enterprise_id": "e", "gpus": "8", "hours": "2", "release": "0", "deadline": "2", "limit_cny": "50"}
    return BookText(
        2,
        {
            "centres": [{"centre_id": "c", "region": "east"}],
            "pools": [
                {"pool_id": "p", "centre_id": "c", "accelerator": "H800", "gpus": "8", "ask_cny_per_gpu_hour": "1"}
            ],
            "enterprises": [{"enterprise_id": "e"}],
            "orders": [
                {"order_id": name, "submitted": stamp, **order} for name, stamp in zip(ids, stamps, strict=True)
            ],
        },
    )


@pytest.mark.parametrize(
    ("stamps", "winner"),
    [
        (["2025-11-01T09:00:00Z", "2025-11-01T08:00:00Z"], "b"),
        (["2025-11-01T08:00:00Z", "2025-11-01T09:00:00Z"], "a"),
        (["2025-11-01T08:00:00Z", "2025-11-01T08:00:00Z"], "a"),
        (["", "2025-11-01T08:00:00Z"], "b"),
        (["", ""], "a"),
    ],
)
def test_like_orders_are_served_by_time_stamp_then_id(stamps: list[str], winner: str) -> None:
    with folder() as f:
        for number, rows in enumerate((tied(["a", "b"], stamps), tied(["b", "a"], stamps[::-1]))):
            _, outcome, _ = cleared(rows, f / str(number))
            assert outcome.awards["order_id"].to_list() == [winner]


def test_the_worked_case_of_the_dual_closes_its_gap() -> None:
    """One pool of 8 in one slot at 1 yuan, three orders for 8 with limits of 24, 40 and 80 yuan: welfare 80 - 8."""
    book = tied(["a", "b", "c"], ["", "", ""])
    book.slots = 1
    for row, limit in zip(book.tables["orders"], ("24", "40", "80"), strict=True):
        row.update(hours="1", deadline="1", limit_cny=limit)
    with folder() as f:
        round_, outcome, files = cleared(book, f / "book")
        assert outcome.awards["order_id"].to_list() == ["c"]
        assert outcome.summary["welfare_ucny"] == 72_000_000
        assert 0 <= outcome.summary["gap"] < 1e-3
        price = int(outcome.prices["ucny_per_gpu_hour"][0])
        assert 5_000_000 * (1 - 1e-3) <= price <= 10_000_000
        assert outcome.awards["gross_ucny"].to_list() == [8 * price]
        assert_verified(f / "book", files, f / "out")
        # the price lies within the solver's tolerance of 5, so the order with 40 may just be in the money
        reasons = dict(outcome.rejections.select("order_id", "reason").iter_rows())
        assert reasons["a"] == "limit_below_price"
        assert reasons["b"] in ("limit_below_price", "paradoxical")
        assert_rules(round_, outcome)


def test_where_no_price_supports_the_best_awards_both_paradoxes_are_told() -> None:
    """The counter-example of docs/clearing.md: 3 cards; A 2 for 10 yuan, B 2 for 9, C 1 for 4, ask 0.

    A and C are best: 14. B stays out at a price of 4.5 or more, C comes in at 4 or less. The dual is least at 4.5.
    """
    book = tied(["a", "b", "c"], ["", "", ""])
    book.slots = 1
    book.tables["pools"][0].update(gpus="3", ask_cny_per_gpu_hour="0")
    for row, gpus, limit in zip(book.tables["orders"], "221", ("10", "9", "4"), strict=True):
        row.update(gpus=gpus, hours="1", deadline="1", limit_cny=limit)
    with folder() as f:
        round_, outcome, files = cleared(book, f / "book")
        assert_rules(round_, outcome)
        assert_verified(f / "book", files, f / "out")
    assert outcome.awards["order_id"].to_list() == ["a", "c"]
    assert outcome.awards["paradoxical"].to_list() == [False, True]
    assert outcome.summary["welfare_ucny"] == 14_000_000
    assert abs(outcome.summary["dual_bound_cny"] - 14.5) < 0.01
    gross = outcome.awards["gross_ucny"].to_list()
    assert abs(gross[0] - 9_000_000) < 10_000
    assert gross[1] == 4_000_000
    assert abs(outcome.summary["uplift_cny"] - 0.5) < 0.01
    assert outcome.rejections["reason"][0] in ("paradoxical", "limit_below_price")
