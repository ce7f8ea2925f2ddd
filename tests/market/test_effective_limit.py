"""The effective limit is the greatest gross payment that leaves the enterprise at or below its own limit."""

from fractions import Fraction

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dujiang.core.money import MAX_UCNY, MICRO
from dujiang.market.arrays import UNUSABLE, effective_limit, share_floor_array
from dujiang.policy.terms import UNLIMITED


def one(net: int, share: int, room: int) -> int:
    return int(effective_limit(np.array([net]), np.array([share]), np.array([room]))[0])


def borne(gross: int, share: int, room: int) -> int:
    """What the enterprise itself pays of a gross payment."""
    return gross - min(gross * share // MICRO, room)


shares = st.one_of(st.integers(0, MICRO), st.sampled_from([0, 1, 333_333, 500_000, 999_999, MICRO]))
rooms = st.one_of(st.integers(0, 10**13), st.sampled_from([0, UNLIMITED]))


@given(st.integers(1, MAX_UCNY), shares, rooms)
@example(MAX_UCNY, 999_999, UNLIMITED)
@example(MAX_UCNY, MICRO, UNLIMITED)
@example(1, 999_999, 10**6)
def test_it_equals_the_formula_in_fractions(net: int, share: int, room: int) -> None:
    bearable = Fraction(net + room)
    if share < MICRO:
        bearable = min(bearable, Fraction(net * MICRO, MICRO - share))
    assert one(net, share, room) == bearable.__floor__()


@given(st.integers(1, MAX_UCNY), shares, rooms)
@example(MAX_UCNY, 999_999, UNLIMITED)
def test_one_micro_yuan_more_would_break_the_limit(net: int, share: int, room: int) -> None:
    limit = one(net, share, room)
    assert borne(limit, share, room) <= net < borne(limit + 1, share, room)


@given(st.integers(1, 60), shares, st.integers(0, 60))
def test_brute_force_finds_no_greater_payment(net: int, share: int, room: int) -> None:
    # above net + room the enterprise's own part is above its limit whatever the share, so this range holds the answer
    assert one(net, share, room) == max(g for g in range(net + room + 2) if borne(g, share, room) <= net)


@given(st.integers(-MAX_UCNY, 0), shares, rooms)
def test_nothing_left_after_transfer_is_unusable(net: int, share: int, room: int) -> None:
    assert one(net, share, room) == UNUSABLE


@given(st.integers(0, 9 * 10**18), st.integers(0, MICRO))
@settings(max_examples=200)
def test_shares_of_large_amounts_do_not_overflow(amount: int, share: int) -> None:
    assert int(share_floor_array(np.array([amount]), np.array([share]))[0]) == amount * share // MICRO
