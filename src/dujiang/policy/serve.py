"""Purchases served one after another from caps, budgets and each other's leavings: compiled, in exact integers.

The rules of one purchase are those of `payment` (caps, budget, cut, minimum) and `stack` (groups, exclusions, combined
ceilings, the spend, shared purses, who is cut first, how ties are settled). All sets of the programmes that would pay
are compared, so there are at most `CHOICES_MAX` of them.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Int = NDArray[np.int64]
Code = NDArray[np.int8]

CHOICES_MAX = 12
"""Programmes that one purchase may choose among; all 4,096 sets of them are compared."""
CAPS_MAX = 4
"""Caps that one programme may have."""
RATE, CAP, BUDGET, COMBINED, NONE = range(5)
"""What binds, as `payment.Binding` names them."""
GIVEN_UP, PAID, EXHAUSTED, TOO_LITTLE, BARRED, CROWDED = range(6)
"""What became of a request: it would pay but another set pays more; it pays; its limits are used up; it is less than
the least; something held already rules it out; more than `CHOICES_MAX` would pay and it was the smallest."""


class Rules(NamedTuple):
    """What holds for each of K programmes, by id."""

    unit: Int
    """[K] micro-yuan."""
    least: Int
    """[K] least payment, at least the unit."""
    conflict: Int
    """[K] bit j: not with programme j for one contract."""
    conflict_firm: Int
    """[K] bit j: not with programme j in one enterprise."""
    ceiling: Int
    """[K] share of the base that it and all that its ceiling counts may reach, ppm; -1: none."""
    counted: Int
    """[K] bit j: its ceiling counts programme j."""
    family: Int
    """[K] number of the spend that its base belongs to; 0: contract and actual amount; -1: none."""
    pro_rata: NDArray[np.bool_]
    """[K] its budget is not drawn down here but cut alike for all."""


class Asked(NamedTuple):
    """Requests of all purchases, in the order in which they are served."""

    first: Int
    """[N+1] where the requests of a purchase begin."""
    programme: Int
    """[E] ascending within a purchase."""
    by_rate: Int
    """[E] micro-yuan."""
    base: Int
    """[E] micro-yuan; -1: none."""
    cap: Int
    """[E, CAPS_MAX] micro-yuan."""
    cap_key: Int
    """[E, CAPS_MAX] row of `used`; -1: no such cap."""
    purse: Int
    """[E] row of `purse_left`; -1: no budget."""
    firm: Int
    """[N] enterprise of a purchase."""
    contract: Int
    """[N] contract of a purchase."""
    service: Int
    """[N] lesser of contract and actual amount; -1: neither is known."""


class Left(NamedTuple):
    """What is left and held; changed in place."""

    used: Int
    """[keys] claimed under each cap, micro-yuan."""
    purse: Int
    """[purses] micro-yuan."""
    firm: Int
    """[enterprises] bit k: holds programme k."""
    contract: Int
    """[contracts] bit k: has used programme k."""
    contract_paid: Int
    """[contracts, K] micro-yuan; one row for all contracts with a single purchase."""
    contract_row: Int
    """[contracts] row of `contract_paid`; -1: a contract with a single purchase."""


class Served(NamedTuple):
    """What became of each request."""

    alone: Int
    """[E] what it would pay if it were the only one, micro-yuan."""
    paid: Int
    """[E] micro-yuan."""
    binding: Code
    """[E]."""
    fate: Code
    """[E]."""


class _Choice(NamedTuple):
    """Requests of one purchase that would pay."""

    request: Int
    amount: Int
    programme: Int


@njit(cache=True)
def _alone(rules: Rules, asked: Asked, left: Left, e: int) -> tuple[int, int, int]:
    """Return what a request would pay by itself, what binds it, and its fate."""
    k = asked.programme[e]
    unit, least = rules.unit[k], rules.least[k]
    amount, binding = asked.by_rate[e], RATE
    room_left = np.iinfo(np.int64).max
    for i in range(asked.cap.shape[1]):
        if asked.cap_key[e, i] < 0:
            continue
        room = asked.cap[e, i] - left.used[asked.cap_key[e, i]]
        room_left = min(room_left, room)
        if room < amount:
            amount, binding = room, CAP
    if asked.purse[e] >= 0 and not rules.pro_rata[k]:
        room = left.purse[asked.purse[e]]
        room_left = min(room_left, room)
        if room < amount:
            amount, binding = room, BUDGET
    amount = max(amount, 0) // unit * unit
    if max(room_left, 0) // unit * unit < least:
        return 0, NONE, EXHAUSTED
    if amount < least:
        return 0, NONE, TOO_LITTLE
    return amount, binding, GIVEN_UP


@njit(cache=True)
def _rooms(rules: Rules, asked: Asked, left: Left, n: int, count: int, c: _Choice) -> tuple[Int, Int, Int, int]:
    """Return the limits of a purchase: room and members of each, its owner (-1: none); and how many.

    Members are bits of the choice. Purses come last: their number is what follows after the first ones.
    """
    room = np.empty(2 + 3 * CHOICES_MAX, dtype=np.int64)
    members = np.zeros(2 + 3 * CHOICES_MAX, dtype=np.int64)
    owner = np.full(2 + 3 * CHOICES_MAX, -1, dtype=np.int64)
    contract = asked.contract[n]
    row = left.contract_row[contract]
    held_all = 0
    if row >= 0:
        for k in range(rules.unit.shape[0]):
            held_all += left.contract_paid[row, k]
    # One limit for each family of bases, and one for the largest of them over everything.
    size, most = 1, -1
    for i in range(count):
        f = rules.family[c.programme[i]]
        if f < 0:
            continue
        own = asked.service[n] if f == 0 else asked.base[c.request[i]]
        known = False
        for g in range(1, size):
            if owner[g] == -2 - f:
                members[g] |= 1 << i
                known = True
        if not known:
            room[size], members[size], owner[size] = own, 1 << i, -2 - f
            size += 1
        most = max(most, own)
    kept = 1
    for g in range(1, size):
        if room[g] < most:
            room[kept], members[kept] = room[g], members[g]
            kept += 1
    for g in range(size):
        owner[g] = -1
    size = kept
    room[0] = max(0, most - held_all) if most >= 0 else np.iinfo(np.int64).max
    members[0] = (1 << count) - 1
    for i in range(count):
        k = c.programme[i]
        if rules.ceiling[k] < 0:
            continue
        base = asked.base[c.request[i]]
        if base < 0:
            base = most
        limit = c.amount[i]
        if base >= 0:
            limit = base // 1_000_000 * rules.ceiling[k] + base % 1_000_000 * rules.ceiling[k] // 1_000_000
        if row >= 0:
            for h in range(rules.unit.shape[0]):
                if rules.counted[k] >> h & 1:
                    limit -= left.contract_paid[row, h]
        room[size], owner[size] = max(0, limit), i
        members[size] = 1 << i
        for h in range(count):
            if rules.counted[k] >> c.programme[h] & 1:
                members[size] |= 1 << h
        size += 1
    return room[:size], members[:size], owner[:size], size


@njit(cache=True)
def _turns(rules: Rules, c: _Choice, count: int, room: Int, owner: Int) -> Int:
    """Return the order in which members are paid, as `selection.Task.turns`."""
    own = np.full(count, -1, dtype=np.int64)
    for g in range(room.shape[0]):
        if owner[g] >= 0:
            own[owner[g]] = room[g]
    turns = np.arange(count)
    for i in range(1, count):
        j = i
        while j > 0 and _before(rules, c, own, turns[j], turns[j - 1]):
            turns[j], turns[j - 1] = turns[j - 1], turns[j]
            j -= 1
    return turns


@njit(cache=True)
def _before(rules: Rules, c: _Choice, own: Int, x: int, y: int) -> bool:
    if (own[x] >= 0) != (own[y] >= 0):
        return bool(own[x] < 0)
    if own[x] != own[y]:
        return bool(own[x] > own[y])
    unit_x, unit_y = rules.unit[c.programme[x]], rules.unit[c.programme[y]]
    if unit_x != unit_y:
        return bool(unit_x > unit_y)
    if c.amount[x] != c.amount[y]:
        return bool(c.amount[x] > c.amount[y])
    return bool(x < y)


@njit(cache=True)
def _pay(
    rules: Rules,
    asked: Asked,
    left: Left,
    c: _Choice,
    chosen: int,
    turns: Int,
    room: Int,
    members: Int,
    owner: Int,
    rest: Int,
    paid: Int,
) -> int:
    """Pay the members of a set in turn; return the sum, or -1 where one would get too little."""
    rest[: room.shape[0]] = room
    paid[:] = 0
    total = 0
    for i in turns:
        if not chosen >> i & 1:
            continue
        k, e = c.programme[i], c.request[i]
        amount = c.amount[i]
        for g in range(room.shape[0]):
            if members[g] >> i & 1 and (owner[g] < 0 or chosen >> owner[g] & 1):
                amount = min(amount, rest[g])
        if asked.purse[e] >= 0 and not rules.pro_rata[k]:
            shared = left.purse[asked.purse[e]]
            for h in turns:
                if asked.purse[c.request[h]] == asked.purse[e]:
                    shared -= paid[h]
            amount = min(amount, shared)
        amount = amount // rules.unit[k] * rules.unit[k]
        if amount < rules.least[k]:
            return -1
        for g in range(room.shape[0]):
            if members[g] >> i & 1:
                rest[g] -= amount
        paid[i] = amount
        total += amount
    return total


@njit(cache=True)
def _comes_first(x: int, y: int) -> bool:
    """Return whether a set is smaller than another, or as large and earlier by its members."""
    size_x, size_y, a, b = 0, 0, x, y
    while a:
        a &= a - 1
        size_x += 1
    while b:
        b &= b - 1
        size_y += 1
    if size_x != size_y:
        return size_x < size_y
    differ = x ^ y
    return bool(x & (differ & -differ))


@njit(cache=True)
def _lawful(rules: Rules, c: _Choice, count: int, chosen: int) -> bool:
    for i in range(count):
        if chosen >> i & 1:
            for j in range(i + 1, count):
                if chosen >> j & 1 and rules.conflict[c.programme[i]] >> c.programme[j] & 1:
                    return False
    return True


@njit(cache=True)
def serve(rules: Rules, asked: Asked, left: Left) -> Served:
    """Serve all purchases in turn; `left` is what remains."""
    requests = asked.programme.shape[0]
    out = Served(
        np.zeros(requests, dtype=np.int64),
        np.zeros(requests, dtype=np.int64),
        np.full(requests, NONE, dtype=np.int8),
        np.zeros(requests, dtype=np.int8),
    )
    c = _Choice(
        np.zeros(CHOICES_MAX, dtype=np.int64),
        np.zeros(CHOICES_MAX, dtype=np.int64),
        np.zeros(CHOICES_MAX, dtype=np.int64),
    )
    rest = np.empty(2 + 3 * CHOICES_MAX, dtype=np.int64)
    paid = np.zeros(CHOICES_MAX, dtype=np.int64)
    best_paid = np.zeros(CHOICES_MAX, dtype=np.int64)
    for n in range(asked.firm.shape[0]):
        count = 0
        for e in range(asked.first[n], asked.first[n + 1]):
            k = asked.programme[e]
            held = left.contract[asked.contract[n]]
            if (held >> k & 1) or (held & rules.conflict[k]) or (left.firm[asked.firm[n]] & rules.conflict_firm[k]):
                out.fate[e] = BARRED
                continue
            amount, binding, fate = _alone(rules, asked, left, e)
            out.alone[e], out.binding[e], out.fate[e] = amount, binding, fate
            if fate != GIVEN_UP:
                continue
            if count == CHOICES_MAX:
                smallest = 0
                for i in range(1, count):
                    if c.amount[i] < c.amount[smallest]:
                        smallest = i
                if c.amount[smallest] >= amount:
                    out.fate[e] = CROWDED
                    continue
                out.fate[c.request[smallest]] = CROWDED
                for i in range(smallest, count - 1):
                    c.request[i], c.amount[i], c.programme[i] = c.request[i + 1], c.amount[i + 1], c.programme[i + 1]
                count -= 1
            c.request[count], c.amount[count], c.programme[count] = e, amount, k
            count += 1
        if count == 0:
            continue
        room, members, owner, _ = _rooms(rules, asked, left, n, count, c)
        turns = _turns(rules, c, count, room, owner)
        best, best_total = 0, 0
        for chosen in range(1, 1 << count):
            if not _lawful(rules, c, count, chosen):
                continue
            total = _pay(rules, asked, left, c, chosen, turns, room, members, owner, rest, paid)
            if total > best_total or (total == best_total and best and _comes_first(chosen, best)):
                best, best_total = chosen, total
        if not best:
            continue
        _pay(rules, asked, left, c, best, turns, room, members, owner, rest, best_paid)
        _enter(rules, asked, left, n, c, count, best, best_paid, room, members, owner, rest, out)
    return out


@njit(cache=True)
def _enter(
    rules: Rules,
    asked: Asked,
    left: Left,
    n: int,
    c: _Choice,
    count: int,
    chosen: int,
    paid: Int,
    room: Int,
    members: Int,
    owner: Int,
    rest: Int,
    out: Served,
) -> None:
    """Draw what the chosen set is paid from caps, purses and what may still be held."""
    contract, row = asked.contract[n], left.contract_row[asked.contract[n]]
    for i in range(count):
        if not chosen >> i & 1:
            continue
        e, k = c.request[i], c.programme[i]
        out.paid[e], out.fate[e] = paid[i], PAID
        if paid[i] < c.amount[i]:
            out.binding[e] = BUDGET
            for g in range(room.shape[0]):
                counts = members[g] >> i & 1 and (owner[g] < 0 or chosen >> owner[g] & 1)
                if counts and rest[g] < rules.unit[k]:
                    out.binding[e] = COMBINED
        for j in range(asked.cap.shape[1]):
            if asked.cap_key[e, j] >= 0:
                left.used[asked.cap_key[e, j]] += paid[i]
        if asked.purse[e] >= 0 and not rules.pro_rata[k]:
            left.purse[asked.purse[e]] -= paid[i]
        left.contract[contract] |= 1 << k
        left.firm[asked.firm[n]] |= 1 << k
        if row >= 0:
            left.contract_paid[row, k] += paid[i]


@njit(cache=True)
def scaled(amount: int, part: int, whole: int) -> int:
    """Return ``amount * part / whole`` cut down, for 0 <= part <= whole <= 2e18; long division, nothing overflows."""
    quotient, rest = 0, 0
    for bit in range(62, -1, -1):
        rest = 2 * rest + (part if amount >> bit & 1 else 0)
        quotient *= 2
        while rest >= whole:
            rest -= whole
            quotient += 1
    return quotient


@njit(cache=True)
def cut_alike(rules: Rules, asked: Asked, left: Left, served: Served) -> None:
    """Scale the payments of programmes whose budget is cut alike for all, so that no purse is overdrawn."""
    wanted = np.zeros(left.purse.shape[0], dtype=np.int64)
    for e in range(served.paid.shape[0]):
        if rules.pro_rata[asked.programme[e]] and asked.purse[e] >= 0:
            wanted[asked.purse[e]] += served.paid[e]
    for e in range(served.paid.shape[0]):
        k, q = asked.programme[e], asked.purse[e]
        if not rules.pro_rata[k] or q < 0 or served.paid[e] == 0 or wanted[q] <= left.purse[q]:
            continue
        cut = scaled(served.paid[e], max(0, left.purse[q]), wanted[q]) // rules.unit[k] * rules.unit[k]
        served.paid[e], served.binding[e] = cut, BUDGET
