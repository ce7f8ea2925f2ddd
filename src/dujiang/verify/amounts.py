"""Amounts of blocks on whole arrays: transfer, vouchers, and the greatest payment that orders can bear (design 4.3).

Everything is in whole micro-yuan. Arrays hold 64-bit integers where every sum and product is known to fit, and Python
integers elsewhere; the same expressions work on both. With L the limit less the transfer, and parts i = 1, 2, … of
shares s_i and rooms c_i that pay in that order under a ceiling c on all of them:

    voucher of a gross amount G    v_i = min(floor(s_i G), c_i, floor(c G) - v_1 - … - v_(i-1))
    least voucher from A on        max(minimum_i, min(floor(s_i A), c_i, floor(c A) - v_1(A) - … - (i - 1)))
    effective limit                the least of floor(L / (1 - c)) and, over all sets S of parts, of
                                   floor((L + rooms outside S - (|S| - 1)) / (1 - shares in S)),
                                   nothing being taken off for the empty set

Amounts cut down one by one lose less than a micro-yuan each against their sum cut down once; hence the |S| - 1 and the
i - 1. Beyond 4e18 an effective limit counts as endless.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from dujiang.verify.cells import FEN, MICRO

SAFE = 2**61
"""Sums and products below this stay exact in 64 bits; above it arrays of Python integers are used."""
ENDLESS = 2**62
"""An effective limit that a voucher lifts altogether; and rooms together count as no more."""
CLOSED = -1
"""Effective limit of what cannot be used."""

Exact = npt.NDArray[Any]
"""Integers: int64 where they are known to fit, Python integers elsewhere."""


@dataclass(frozen=True, slots=True)
class Part:
    """One voucher of many blocks at once; arrays broadcast against each other."""

    share_ppm: Exact
    room_ucny: Exact
    minimum_ucny: int

    def __getitem__(self, rows: Any) -> "Part":
        return Part(self.share_ppm[rows], self.room_ucny[rows], self.minimum_ucny)


def exact(values: Exact, reach: int) -> Exact:
    """Return whole numbers in an array on which sums and products up to `reach` stay exact."""
    return values.astype(object) if reach >= SAFE else values


def half_even(numerator: Exact, denominator: int) -> Exact:
    """Divide whole numbers, halves to the even neighbour."""
    quotient = numerator // denominator
    twice = 2 * (numerator - quotient * denominator)
    up = (twice > denominator) | ((twice == denominator) & (quotient % 2 == 1))
    rounded: Exact = quotient + up.astype(np.int64)
    return rounded


def transfer_cost(data_gb_micro: Exact, ucny_per_gb: Exact) -> Exact:
    """Return the price of moving data, half to even to the fen (design 3.2, 4.2)."""
    reach = int(data_gb_micro.max(initial=0)) * int(ucny_per_gb.max(initial=0))
    return half_even(exact(data_gb_micro, 4 * reach) * ucny_per_gb, MICRO * FEN) * FEN


def share_floor(amount: Exact, share_ppm: Exact | int) -> Exact:
    """Return shares of amounts, cut down."""
    return amount // MICRO * share_ppm + amount % MICRO * share_ppm // MICRO


def vouchers(gross: Exact, parts: Sequence[Part], ceiling_ppm: int) -> list[Exact]:
    """Return what each part pays of gross amounts."""
    left, paid = share_floor(gross, ceiling_ppm), []
    for part in parts:
        paid.append(np.minimum(np.minimum(share_floor(gross, part.share_ppm), part.room_ucny), left))
        left = left - paid[-1]
    return paid


def least_vouchers(ask: Exact, parts: Sequence[Part], ceiling_ppm: int) -> list[Exact]:
    """Return the least that each part pays of any gross amount from an ask cost on."""
    left, least = share_floor(ask, ceiling_ppm), []
    for number, part in enumerate(parts):
        own = np.minimum(share_floor(ask, part.share_ppm), part.room_ucny)
        least.append(np.maximum(np.minimum(own, left - number), part.minimum_ucny))
        left = left - np.minimum(own, left)
    return least


def are_valid(paid: Sequence[Exact], parts: Sequence[Part]) -> npt.NDArray[np.bool_] | bool:
    """Return whether every part pays something, and no less than its minimum."""
    valid: npt.NDArray[np.bool_] | bool = True
    for amount, part in zip(paid, parts, strict=True):
        valid = valid & (amount >= max(1, part.minimum_ucny))
    return valid


def effective_limit(own: Exact, parts: Sequence[Part], ceiling_ppm: int) -> Exact:
    """Return the greatest gross payments that orders can bear, CLOSED where a part cannot be used.

    Parameters
    ----------
    own : limits less transfers, micro-yuan
    parts : of one option, in paying order
    ceiling_ppm : most of the gross amount that they may bear together
    """
    if not parts:
        return np.where(own > 0, own, CLOSED)
    most, usable = _over_rest(own, ceiling_ppm), own > 0
    for share, rooms, lost in _sets(parts):
        amount = own + rooms - lost
        usable = usable & (amount >= 0)
        most = np.minimum(most, _over_rest(np.maximum(amount, 0), share))
    for part in parts:
        usable = usable & (part.share_ppm > 0) & (part.room_ucny > 0)
    usable = usable & are_valid(vouchers(most, parts, ceiling_ppm), parts)
    return np.where(usable, most, CLOSED)


def own_means(target: Exact, parts: Sequence[Part], ceiling_ppm: int) -> Exact:
    """Return the least limits less transfer at which the effective limit reaches gross amounts."""
    if not parts:
        return target
    most = target - share_floor(target, ceiling_ppm)
    for share, rooms, lost in _sets(parts):
        most = np.maximum(most, target - share_floor(target, np.minimum(share, MICRO)) - rooms + lost)
    return most


def _sets(parts: Sequence[Part]) -> Iterator[tuple[Exact, Exact, int]]:
    """Yield, for every set of parts, its shares together, the rooms outside, and what rounding may lose in it."""
    zero = np.zeros(1, dtype=np.int64)
    for size in range(len(parts) + 1):
        for chosen in combinations(range(len(parts)), size):
            share, rooms = zero, zero
            for number, part in enumerate(parts):
                if number in chosen:
                    share = share + part.share_ppm
                else:
                    rooms = np.minimum(rooms + part.room_ucny, ENDLESS)
            yield share, rooms, max(size - 1, 0)


def _over_rest(amount: Exact, share_ppm: Exact | int) -> Exact:
    """Return ``amount / (1 - share)``, cut down, ENDLESS beyond 4e18."""
    rest = np.maximum(MICRO - np.asarray(share_ppm), 1)
    whole, part = amount // rest, amount % rest
    fits = (np.asarray(share_ppm) < MICRO) & (whole < 4 * 10**12)
    return np.where(fits, np.where(fits, whole, 0) * MICRO + part * MICRO // rest, ENDLESS)
