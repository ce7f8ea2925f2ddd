"""The effective limit is the greatest gross payment up to which the enterprise stays at or below its own limit."""

from fractions import Fraction

import numpy as np
import slow
from hypothesis import example, given, settings
from hypothesis import strategies as st
from random_books import random_arrays

from dujiang.core.money import FEN, MAX_UCNY, MICRO, div_half_even
from dujiang.market.amounts import HAUL_MOST, bearable, haul, least, pay, share_of
from dujiang.market.arrays import UNUSABLE, BookArrays
from dujiang.policy.terms import UNLIMITED


def book(limit: int, parts: list[tuple[int, int, int]], ceiling: int = MICRO) -> BookArrays:
    """One order, one pool, option 1 with parts of share, room and minimum."""
    none = np.zeros(0, dtype=np.int64)
    count = len(parts)
    return BookArrays(
        capacity=np.ones((1, 1), dtype=np.int64),
        ask=np.ones((1, 1), dtype=np.int64),
        carbon=np.zeros(1, dtype=np.int64),
        gpus=np.ones(1, dtype=np.int64),
        release=np.zeros(1, dtype=np.int64),
        deadline=np.ones(1, dtype=np.int64),
        limit=np.array([limit]),
        data=np.zeros(1, dtype=np.int64),
        bonus=np.zeros(1, dtype=np.int64),
        shape=np.zeros(1, dtype=np.int32),
        slots=np.ones((1, 1), dtype=np.int32),
        place=np.zeros(1, dtype=np.int32),
        place_first=np.array([0, 1]),
        place_pool=np.zeros(1, dtype=np.int32),
        tariff=np.zeros((1, 1), dtype=np.int64),
        route=np.full((1, 1), -1, dtype=np.int32),
        link_left=np.zeros((0, 1), dtype=np.int64),
        contract=np.zeros(1, dtype=np.int32),
        term=np.zeros(1, dtype=np.int32),
        share=np.array([share for share, _, _ in parts], dtype=np.int64).reshape(1, count, 1),
        allowed=np.ones((1, 2), dtype=np.bool_),
        room=np.array([[room for _, room, _ in parts]], dtype=np.int64),
        cap=np.full((1, count), -1, dtype=np.int32),
        parts=np.array([[-1] * count, list(range(count))], dtype=np.int32),
        ceiling=np.array([MICRO, ceiling]),
        budget=np.full(count, UNLIMITED),
        limited=np.zeros(count, dtype=np.bool_),
        minimum=np.array([minimum for _, _, minimum in parts], dtype=np.int64),
        cap_left=none,
        cap_programme=none.astype(np.int32),
    )


def limit_of(limit: int, parts: list[tuple[int, int, int]], ceiling: int = MICRO) -> int:
    return int(bearable(book(limit, parts, ceiling), 0, 0, 1))


def borne(a: BookArrays, gross: int) -> int:
    """What the enterprise itself pays of a gross payment."""
    return gross - sum(slow.parts(a, 0, 0, 1, gross))


shares = st.one_of(st.integers(1, MICRO), st.sampled_from([1, 333_333, 500_000, 999_999, MICRO]))
rooms = st.one_of(st.integers(1, 10**13), st.sampled_from([1, UNLIMITED]))
several = st.lists(st.tuples(shares, st.integers(1, 60), st.just(0)), min_size=1, max_size=3)
ceilings = st.sampled_from([MICRO, 700_000, 350_000])


@given(st.integers(1, MAX_UCNY), shares, rooms)
@example(MAX_UCNY, 999_999, 10**13)
@example(1, 999_999, 10**6)
@settings(deadline=None)
def test_of_one_voucher_it_equals_the_formula_in_fractions(net: int, share: int, room: int) -> None:
    most = Fraction(net + room)
    if share < MICRO:
        most = min(most, Fraction(net * MICRO, MICRO - share))
    found = limit_of(net, [(share, room, 0)])
    if most < 4 * 10**18:
        whole = most.__floor__()
        assert found == (whole if min(whole * share // MICRO, room) > 0 else UNUSABLE)


@given(st.integers(1, MAX_UCNY), shares, st.integers(1, 10**13))
@settings(deadline=None)
def test_with_one_voucher_a_micro_yuan_more_would_break_the_limit(net: int, share: int, room: int) -> None:
    a = book(net, [(share, room, 0)])
    limit = limit_of(net, [(share, room, 0)])
    if limit != UNUSABLE:
        assert borne(a, limit) <= net < borne(a, limit + 1)


@given(st.integers(1, 60), several, ceilings)
@settings(max_examples=200, deadline=None)
def test_no_payment_up_to_it_breaks_the_limit_and_little_above_it_one_does(
    net: int, parts: list[tuple[int, int, int]], ceiling: int
) -> None:
    a = book(net, parts, ceiling)
    limit = limit_of(net, parts, ceiling)
    if limit == UNUSABLE:
        return
    assert all(borne(a, gross) <= net for gross in range(limit + 1))
    beyond = net + sum(room for _, room, _ in parts) + 1  # there it is broken whatever the shares
    first = next(gross for gross in range(limit + 1, beyond + 1) if borne(a, gross) > net)
    together = min(sum(share for share, _, _ in parts), ceiling)
    rest = Fraction(MICRO - together, MICRO)
    lost = len(parts) - 1
    assert first == limit + 1 or (lost and first <= (limit + 1 + lost / rest if rest else beyond) + 1)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_compiled_amounts_equal_the_slow_ones(seed: int) -> None:
    a = random_arrays(seed, programmes=3)
    rng = np.random.default_rng(seed)
    out = np.zeros(a.parts.shape[1], dtype=np.int64)
    for j in range(a.gpus.size):
        for p in range(a.capacity.shape[0]):
            for o in range(a.parts.shape[0]):
                assert bearable(a, j, p, o) == slow.bearable(a, j, p, o)
                gross = int(rng.integers(0, 90 * MICRO))
                for compiled, plain in ((pay, slow.parts), (least, slow.least_parts)):
                    total = compiled(a, j, p, o, gross, out)
                    expected = plain(a, j, p, o, gross)
                    assert out.tolist() == expected + [0] * (out.size - len(expected))
                    assert total == sum(expected)


@given(several, ceilings, st.integers(0, 80), st.integers(0, 80))
@settings(max_examples=200, deadline=None)
def test_no_later_payment_makes_a_voucher_less_than_the_least(
    parts: list[tuple[int, int, int]], ceiling: int, ask: int, more: int
) -> None:
    a = book(10**6, parts, ceiling)
    lowest = slow.least_parts(a, 0, 0, 1, ask)
    assert all(v >= low for v, low in zip(slow.parts(a, 0, 0, 1, ask + more), lowest, strict=True))


def test_a_ceiling_can_take_a_micro_yuan_back() -> None:
    """Why the least of a later part is one less: at 6 the second part is 2, at 7 it is 1."""
    a = book(10**6, [(300_000, 100, 0), (900_000, 100, 0)], 500_000)
    assert slow.parts(a, 0, 0, 1, 6) == [1, 2]
    assert slow.parts(a, 0, 0, 1, 7) == [2, 1]
    assert slow.least_parts(a, 0, 0, 1, 6) == [1, 1]


@given(st.integers(-MAX_UCNY, 0), shares, rooms)
@settings(deadline=None)
def test_nothing_left_after_transfer_is_unusable(net: int, share: int, room: int) -> None:
    assert limit_of(net, [(share, room, 0)]) == UNUSABLE


def test_what_cannot_be_used_is_unusable() -> None:
    assert limit_of(100, [(0, 50, 0)]) == UNUSABLE
    assert limit_of(100, [(500_000, 0, 0)]) == UNUSABLE
    assert limit_of(100, [(500_000, 50, 51)]) == UNUSABLE
    assert limit_of(100, [(500_000, 50, 50)]) == 150
    a = book(100, [(500_000, 50, 0)])
    assert bearable(a._replace(allowed=np.array([[True, False]])), 0, 0, 1) == UNUSABLE


@given(st.integers(0, 9 * 10**18), st.integers(0, MICRO))
@settings(max_examples=200, deadline=None)
def test_shares_of_large_amounts_do_not_overflow(amount: int, share: int) -> None:
    assert int(share_of(amount, share)) == amount * share // MICRO


@given(
    st.one_of(st.integers(0, 10**15), st.integers(0, 10**10).map(lambda n: n * 10**5)),
    st.one_of(st.integers(0, 10**11), st.integers(0, 2 * 10**6).map(lambda n: n * 50_000)),
)
@example(10**15, 10**11)
@example(150_000, 100_000)
@example(250_000, 100_000)
@settings(max_examples=300, deadline=None)
def test_transfer_is_rounded_half_to_even_without_overflow(data: int, tariff: int) -> None:
    assert haul(data, tariff) == min(div_half_even(data * tariff, MICRO * FEN) * FEN, HAUL_MOST)
