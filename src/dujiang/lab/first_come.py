"""Vouchers first come, first served: what is left when an order asks decides what it gets.

A replay goes through orders in time. Each is a round of its own in the sense of design 4.3: its room is the least of
what is left of the enterprise's cap, of the budget and of a cap per contract at that moment, and a contract that has
used a programme uses it no more (design 10.15). Compiled, exact, whole micro-yuan.
"""

from typing import NamedTuple

import numpy as np

from dujiang.lab.compiled import inlined, inside
from dujiang.market.amounts import pay
from dujiang.market.arrays import BookArrays, Flags, Index, Int


class Purse(NamedTuple):
    """What vouchers depend on, and what is left of the programmes' money; the last five are changed in place.

    The first fields are those of `BookArrays`, so that its amounts can be worked out from this record alone.
    """

    term: Index
    share: Int
    allowed: Flags
    cap: Index
    parts: Index
    ceiling: Int
    minimum: Int
    contract: Index
    room: Int
    """[J, K] most that a voucher can be, as last looked up."""
    own_room: Int
    """[J, K] the same before budget and cap are looked at."""
    budget_left: Int
    """[K]."""
    cap_left: Int
    """[C]."""
    used: Flags
    """[contracts, K] the contract has used the programme."""


def full_purse(a: BookArrays) -> Purse:
    """Return the purse before the first order; what changes is its own."""
    contracts = int(a.contract.max()) + 1 if a.contract.size else 0
    return Purse(
        term=a.term,
        share=a.share,
        allowed=a.allowed,
        cap=a.cap,
        parts=a.parts,
        ceiling=a.ceiling,
        minimum=a.minimum,
        contract=a.contract,
        room=a.room.copy(),
        own_room=a.room.copy(),
        budget_left=a.budget.copy(),
        cap_left=a.cap_left.copy(),
        used=np.zeros((contracts, a.budget.size), dtype=np.bool_),
    )


@inlined
def look_up_rooms(purse: Purse, j: int) -> None:
    """Enter what is left now as the rooms of an order."""
    for k in range(purse.budget_left.shape[0]):
        left = min(purse.own_room[j, k], purse.budget_left[k])
        c = purse.cap[j, k]
        if c >= 0:
            left = min(left, purse.cap_left[c])
        if purse.used[purse.contract[j], k]:
            left = 0
        purse.room[j, k] = left


@inside
def best_vouchers(purse: Purse, j: int, p: int, gross: int, net: int, parts: Int, out: Int) -> int:
    """Return the option that pays most of a gross amount, and write its vouchers into `out`; -1: it cannot be borne.

    Parameters
    ----------
    net : most that the enterprise itself pays of it, micro-yuan
    parts, out : [M], overwritten
    """
    best, most = -1, -1
    if gross <= net:
        best, most = 0, 0
        for m in range(out.shape[0]):
            out[m] = 0
    for o in range(1, purse.parts.shape[0]):
        if not purse.allowed[purse.term[j], o]:
            continue
        total = pay(purse, j, p, o, gross, parts)  # type: ignore[arg-type]
        fine = total > most and gross - total <= net
        for m in range(purse.parts.shape[1]):
            k = purse.parts[o, m]
            if k >= 0:
                fine &= parts[m] >= max(purse.minimum[k], 1)
        if fine:
            best, most = o, total
            for m in range(out.shape[0]):
                out[m] = parts[m]
    return best


@inlined
def draw(purse: Purse, j: int, o: int, parts: Int) -> None:
    """Take vouchers from budgets and caps, and the contract's one use."""
    for m in range(purse.parts.shape[1]):
        k = purse.parts[o, m]
        if k < 0:
            break
        purse.budget_left[k] -= parts[m]
        if purse.cap[j, k] >= 0:
            purse.cap_left[purse.cap[j, k]] -= parts[m]
        purse.used[purse.contract[j], k] = True


@inside
def shrink(purse: Purse, j: int, p: int, o: int, gross: int, parts: Int, out: Int) -> int:
    """Cut vouchers down to what they are of a smaller gross amount, give the rest back; return their new sum.

    Parameters
    ----------
    parts : [M] what was drawn; takes the new amounts
    out : [M], overwritten
    """
    for m in range(purse.parts.shape[1]):
        k = purse.parts[o, m]
        if k >= 0:
            purse.room[j, k] = parts[m]
    total = pay(purse, j, p, o, gross, out)  # type: ignore[arg-type]
    for m in range(purse.parts.shape[1]):
        k = purse.parts[o, m]
        if k < 0:
            break
        back = parts[m] - out[m]
        purse.budget_left[k] += back
        if purse.cap[j, k] >= 0:
            purse.cap_left[purse.cap[j, k]] += back
        purse.own_room[j, k] -= out[m]
        if out[m] == 0:
            purse.used[purse.contract[j], k] = False
        parts[m] = out[m]
    return total


__all__ = ["Purse", "best_vouchers", "draw", "full_purse", "look_up_rooms", "shrink"]
