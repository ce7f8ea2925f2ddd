"""Exact amounts of one block: transfer, vouchers and the greatest payment that an order can bear. Compiled.

Everything is in whole micro-yuan. `gross` is what the centre receives, net of nothing; shares are in ppm. A part is
one voucher of an option; the parts of option `o` are the programmes `a.parts[o]`, in the order in which they pay.

Rules for option `o` of order `j` in pool `p`, with L the limit less the transfer:

* **Payment.** Part i pays ``v_i = min( floor(s_i G), room_i, floor(c G) - v_1 - ... - v_(i-1) )`` of a gross amount G,
  c being the ceiling on all parts together (`pay`).
* **Effective limit** E (`bearable`): the least, over all sets S of parts, of
  ``floor( (L + rooms outside S - (|S| - 1)) / (1 - shares in S) )`` (for the empty set nothing is subtracted), and of
  ``floor( L / (1 - c) )`` where c < 1. For one part that is ``min( floor(L / (1 - s)), L + room )``, the greatest gross
  amount that leaves the enterprise at or below its limit.

  *Why.* The parts together pay ``min( floor(c G), min over S of [sum in S of floor(s_i G) + rooms outside S] )``, and n
  amounts cut down one by one lose less than one micro-yuan each, together at most n - 1 against their sum cut down
  once. So at *every* G up to E, and not only at E, what remains for the enterprise is at most L. With several parts
  the greatest bearable amount may be a few micro-yuan higher, but below it some are not bearable: single micro-yuan,
  lost in rounding, come and go.
* **Least voucher** (`least`): no part pays less than this at any gross amount from the ask cost A on:
  ``max( minimum_i, min( floor(s_i A), room_i, floor(c A) - v_1(A) - ... - (i - 1) ) )``. The last term is what a
  ceiling leaves for part i; it rises with G but for up to one micro-yuan per earlier part, hence the i - 1.

Sizes: limits to 1e15, data to 1e15, tariffs to 1e11, rooms to a quarter of int64. No product overflows.
"""

from dujiang.market.arrays import UNUSABLE, BookArrays, Int
from dujiang.market.compiled import bare, loop

_MICRO = 1_000_000
_TRANSFER_UNIT = 10_000_000_000
"""Millionths of a GB times micro-yuan per GB in one fen."""
_HALF = 100_000
"""Square root of the unit: both factors are split there."""
_FEN = 10_000
HAUL_MOST = 10**18
"""A transfer above this, a thousand times the largest limit, is counted as this."""
_ENDLESS = 2**62
"""Stands for a limit that a voucher lifts altogether."""


@loop
def haul(data: int, tariff: int) -> int:
    """Return the transfer cost of data, micro-yuan in whole fen, rounded half to even.

    Parameters
    ----------
    data : millionths of a GB, 0 to 1e15
    tariff : micro-yuan per GB, 0 to 1e11
    """
    if data == 0 or tariff == 0:
        return 0
    high, low = data // _HALF, data % _HALF
    high_rate, low_rate = tariff // _HALF, tariff % _HALF
    middle = high * low_rate + low * high_rate
    rest = (middle % _HALF) * _HALF + low * low_rate
    fen = high * high_rate + middle // _HALF + rest // _TRANSFER_UNIT
    rest %= _TRANSFER_UNIT
    half = _TRANSFER_UNIT // 2
    if rest > half or (rest == half and fen % 2 == 1):
        fen += 1
    return min(fen, HAUL_MOST // _FEN) * _FEN


@bare
def share_of(amount: int, share: int) -> int:
    """Return ``amount * share / 1e6`` cut down, without overflow for amounts to 9e18 and shares to 1e6."""
    return (amount // _MICRO) * share + (amount % _MICRO) * share // _MICRO


@loop
def last_blocked(free: Int, gpus: int, begin: int, end: int, default: int) -> int:
    """Return the last slot of [begin, end) with fewer than `gpus` free, else `default`."""
    for t in range(min(end, free.shape[0]) - 1, begin - 1, -1):
        if free[t] < gpus:
            return t
    return default


@loop
def pay(a: BookArrays, j: int, p: int, o: int, gross: int, out: Int) -> int:
    """Write what every part of an option pays of a gross amount into `out` [M]; return their sum, micro-yuan."""
    v = a.term[j]
    most = share_of(gross, a.ceiling[o])
    used = 0
    for i in range(a.parts.shape[1]):
        k = a.parts[o, i]
        if k < 0:
            out[i] = 0
            continue
        out[i] = min(share_of(gross, a.share[v, k, p]), a.room[j, k], most - used)
        used += out[i]
    return used


@loop
def least(a: BookArrays, j: int, p: int, o: int, ask: int, out: Int) -> int:
    """Write the least that every part can pay of any gross amount from `ask` on into `out` [M]; return their sum."""
    v = a.term[j]
    most = share_of(ask, a.ceiling[o])
    used = 0
    total = 0
    for i in range(a.parts.shape[1]):
        k = a.parts[o, i]
        if k < 0:
            out[i] = 0
            continue
        own = min(share_of(ask, a.share[v, k, p]), a.room[j, k])
        out[i] = max(a.minimum[k], min(own, most - used - i))
        used += min(own, most - used)
        total += out[i]
    return total


@bare
def _over_rest(amount: int, share: int) -> int:
    """Return ``amount / (1 - share)`` cut down; _ENDLESS where that is more than 4e18."""
    if share >= _MICRO:
        return _ENDLESS
    rest = _MICRO - share
    whole, part = amount // rest, amount % rest
    return whole * _MICRO + part * _MICRO // rest if whole < 4 * 10**12 else _ENDLESS


@loop
def _bearable_by_parts(a: BookArrays, j: int, p: int, o: int, net: int) -> int:
    """Return the least over all sets of parts; UNUSABLE where a part is closed to the order."""
    v = a.term[j]
    n = 0
    for i in range(a.parts.shape[1]):
        k = a.parts[o, i]
        if k >= 0:
            n += 1
            if a.share[v, k, p] <= 0 or a.room[j, k] <= 0:
                return UNUSABLE
    most = _over_rest(net, a.ceiling[o])
    for chosen in range(1 << n):
        amount = net
        share = 0
        lost = -1
        for i in range(n):
            k = a.parts[o, i]
            if chosen >> i & 1:
                share += a.share[v, k, p]
                lost += 1
            else:
                amount += a.room[j, k]
        amount -= max(lost, 0)
        if amount < 0:
            return UNUSABLE
        most = min(most, _over_rest(amount, share))
    return most


@loop
def bearable_net(a: BookArrays, j: int, p: int, o: int, net: int) -> int:
    """Return `bearable` for a limit less transfer that is known already."""
    if net <= 0 or not a.allowed[a.term[j], o]:
        return UNUSABLE
    if o == 0:
        return net
    gross = _bearable_by_parts(a, j, p, o, net)
    if gross < 0:
        return UNUSABLE
    v = a.term[j]
    most = share_of(gross, a.ceiling[o])
    used = 0
    for i in range(a.parts.shape[1]):
        k = a.parts[o, i]
        if k >= 0:
            part = min(share_of(gross, a.share[v, k, p]), a.room[j, k], most - used)
            if part < max(a.minimum[k], 1):
                return UNUSABLE
            used += part
    return gross


@loop
def bearable(a: BookArrays, j: int, p: int, o: int) -> int:
    """Return the effective limit of an option, micro-yuan: the greatest gross payment that the order can bear.

    UNUSABLE where nothing of the limit is left after the transfer, the option is closed to the order in that pool, or a
    part could not even there reach its minimum.
    """
    return bearable_net(a, j, p, o, a.limit[j] - haul(a.data[j], a.tariff[a.place[j], p]))
