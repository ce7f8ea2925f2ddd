"""Slow twins of the compiled loops, and the exact optimum of tiny books: plain Python, whole numbers, every block."""

from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from dujiang.core.money import MICRO
from dujiang.market.arrays import BookArrays


class Block(NamedTuple):
    """One way to serve an order; an empty market could hold it and its limit bears the ask."""

    pool: int
    start: int
    option: int
    ask: int
    """Ask cost, micro-yuan."""
    price: int
    """Cost at the prices, micro-yuan."""
    worth: int
    """Welfare, micro-yuan."""
    least: int
    """Least that the voucher can be."""


def blocks(a: BookArrays, price, j: int) -> Iterator[Block]:
    """Yield every block of an order by pool, start and option; `price` is [P, T]."""
    gpus = int(a.gpus[j])
    for p in range(a.slots.shape[1]):
        d = int(a.slots[j, p])
        for t in range(int(a.release[j]), int(a.deadline[j]) - d + 1):
            held = range(t, t + d)
            if d == 0 or any(a.capacity[p, u] < gpus for u in held):
                continue
            ask = gpus * sum(int(a.ask[p, u]) for u in held)
            cost = gpus * sum(int(price[p, u]) for u in held)
            for k in range(a.limit.shape[2]):
                limit = int(a.limit[j, p, k])
                if limit < ask:
                    continue
                worth = limit - ask - int(a.carbon[p]) * gpus * d + int(a.bonus[j])
                least = 0
                if k > 0:
                    least = min(ask * int(a.share[j, p, k]) // MICRO, int(a.room[j, k]))
                    least = max(least, int(a.minimum[k]))
                yield Block(p, t, k, ask, cost, worth, least)


def surplus(a: BookArrays, price, budget_ppm, cap_ppm, j: int, block: Block) -> Fraction:
    """Return what a block gains at the prices, micro-yuan, exactly."""
    rate = 0
    if block.option:
        c = int(a.cap[j, block.option])
        rate = int(budget_ppm[block.option]) + (int(cap_ppm[c]) if c >= 0 else 0)
    return block.worth + block.ask - block.price - Fraction(rate * block.least, MICRO)


def voucher(a: BookArrays, j: int, block: Block) -> int:
    """Return the voucher at the prices; -1 if the programme does not pay one."""
    if block.option == 0:
        return 0
    gross = max(block.ask, min(block.price, int(a.limit[j, block.pool, block.option])))
    amount = min(gross * int(a.share[j, block.pool, block.option]) // MICRO, int(a.room[j, block.option]))
    return amount if amount >= max(1, int(a.minimum[block.option])) else -1


class Used(NamedTuple):
    """What the awards so far leave."""

    free: dict[tuple[int, int], int]
    budget: dict[int, int]
    cap: dict[int, int]
    contracts: frozenset[tuple[int, int]]


def everything(a: BookArrays) -> Used:
    """Return what is there before the first award."""
    pools, slots = a.capacity.shape
    return Used(
        {(p, t): int(a.capacity[p, t]) for p in range(pools) for t in range(slots)},
        {k: int(v) for k, v in enumerate(a.budget)},
        {c: int(v) for c, v in enumerate(a.cap_left)},
        frozenset(),
    )


def after(a: BookArrays, left: Used, j: int, block: Block) -> Used | None:
    """Return what is left after one more award; None if it does not fit."""
    paid, gpus = voucher(a, j, block), int(a.gpus[j])
    held = [(block.pool, t) for t in range(block.start, block.start + int(a.slots[j, block.pool]))]
    if paid < 0 or any(left.free[cell] < gpus for cell in held):
        return None
    free = {**left.free, **{cell: left.free[cell] - gpus for cell in held}}
    if not block.option:
        return left._replace(free=free)
    key, c = (int(a.contract[j]), block.option), int(a.cap[j, block.option])
    if key in left.contracts or paid > left.budget[block.option] or (c >= 0 and paid > left.cap[c]):
        return None
    budget = {**left.budget, block.option: left.budget[block.option] - paid}
    cap = {**left.cap, c: left.cap[c] - paid} if c >= 0 else left.cap
    return Used(free, budget, cap, left.contracts | {key})


def best_welfare(a: BookArrays, price) -> int:
    """Return the greatest welfare of any allocation with payments at the published prices, micro-yuan."""
    orders = a.gpus.shape[0]
    ways = [[b for b in blocks(a, price, j) if b.worth > 0] for j in range(orders)]
    most = [max((b.worth for b in way), default=0) for way in ways]
    best = 0

    def search(j: int, left: Used, welfare: int) -> None:
        nonlocal best
        best = max(best, welfare)
        if j == orders or welfare + sum(most[j:]) <= best:
            return
        for block in sorted(ways[j], key=lambda b: -b.worth):
            rest = after(a, left, j, block)
            if rest is not None:
                search(j + 1, rest, welfare + block.worth)
        search(j + 1, left, welfare)

    search(0, everything(a), 0)
    return best


def first_fit(a: BookArrays, price) -> int:
    """Return the welfare of serving orders in turn, each at the earliest start of the first pool that fits."""
    left, welfare = everything(a), 0
    for j in range(a.gpus.shape[0]):
        for block in blocks(a, price, j):
            rest = after(a, left, j, block) if block.worth > 0 else None
            if rest is not None:
                left, welfare = rest, welfare + block.worth
                break
    return welfare
