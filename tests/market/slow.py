"""Slow twins of the compiled loops, and the exact optimum of tiny books: plain Python, whole numbers, every block."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import combinations
from typing import NamedTuple

from dujiang.core.money import MICRO, div_half_even
from dujiang.market.arrays import BookArrays
from dujiang.market.dual import Prices

FEN = 10_000


class Block(NamedTuple):
    """One way to serve an order; an empty market could hold it and its limit bears the ask."""

    pool: int
    start: int
    option: int
    ask: int
    """Ask cost, micro-yuan."""
    price: int
    """Cost at the prices, micro-yuan."""
    limit: int
    """Effective limit, micro-yuan."""
    worth: int
    """Welfare, micro-yuan."""


def programmes(a: BookArrays, option: int) -> list[int]:
    """Programmes of an option in the order in which they pay."""
    return [int(k) for k in a.parts[option] if k >= 0]


def transfer(a: BookArrays, j: int, p: int) -> int:
    """Transfer cost, rounded once to fen, half to even."""
    return div_half_even(int(a.data[j]) * int(a.tariff[a.place[j], p]), MICRO * FEN) * FEN


def parts(a: BookArrays, j: int, p: int, option: int, gross: int) -> list[int]:
    """What each voucher pays of a gross amount."""
    out: list[int] = []
    for k in programmes(a, option):
        share = int(a.share[a.term[j], k, p])
        left = gross * int(a.ceiling[option]) // MICRO - sum(out)
        out.append(min(gross * share // MICRO, int(a.room[j, k]), left))
    return out


def least_parts(a: BookArrays, j: int, p: int, option: int, ask: int) -> list[int]:
    """The least that each voucher can be of any payment from the ask cost on."""
    out, used = [], 0
    for i, k in enumerate(programmes(a, option)):
        own = min(ask * int(a.share[a.term[j], k, p]) // MICRO, int(a.room[j, k]))
        left = ask * int(a.ceiling[option]) // MICRO - used
        out.append(max(int(a.minimum[k]), min(own, left - i)))
        used += min(own, left)
    return out


def paid_enough(a: BookArrays, option: int, amounts: list[int]) -> bool:
    """Whether every voucher reaches its minimum."""
    return all(v >= max(1, int(a.minimum[k])) for v, k in zip(amounts, programmes(a, option), strict=True))


def bearable(a: BookArrays, j: int, p: int, option: int) -> int:
    """Effective limit as the formula has it, in fractions; -1 where the option is closed."""
    net = int(a.limit[j]) - transfer(a, j, p)
    if net <= 0 or not a.allowed[a.term[j], option]:
        return -1
    if option == 0:
        return net
    of = {k: (Fraction(int(a.share[a.term[j], k, p]), MICRO), int(a.room[j, k])) for k in programmes(a, option)}
    if any(share <= 0 or room <= 0 for share, room in of.values()):
        return -1
    bounds = []
    if a.ceiling[option] < MICRO:
        bounds.append(Fraction(net) / (1 - Fraction(int(a.ceiling[option]), MICRO)))
    for n in range(len(of) + 1):
        for chosen in combinations(of, n):
            amount = net + sum(of[k][1] for k in of if k not in chosen) - max(n - 1, 0)
            rest = 1 - sum(of[k][0] for k in chosen)
            if amount < 0:
                return -1
            if rest > 0:
                bounds.append(Fraction(amount) / rest)
    limit = min(bounds).__floor__()
    return limit if paid_enough(a, option, parts(a, j, p, option, limit)) else -1


def pools_of(a: BookArrays, j: int) -> list[int]:
    """Compatible pools, ascending."""
    r = int(a.place[j])
    return a.place_pool[a.place_first[r] : a.place_first[r + 1]].tolist()


def route_of(a: BookArrays, j: int, p: int) -> int:
    """Limited link that an order's data takes to a pool; -1: none."""
    return int(a.route[a.place[j], p]) if a.data[j] > 0 else -1


def blocks(a: BookArrays, price, j: int) -> Iterator[Block]:
    """Yield every block of an order by pool, start and option; `price` is [P, T]."""
    gpus, data = int(a.gpus[j]), int(a.data[j])
    for p in pools_of(a, j):
        d, route = int(a.slots[a.shape[j], p]), route_of(a, j, p)
        limits = [bearable(a, j, p, option) for option in range(a.parts.shape[0])]
        for t in range(int(a.release[j]), int(a.deadline[j]) - d + 1):
            held = range(t, t + d)
            if any(a.capacity[p, u] < gpus for u in held) or (route >= 0 and data > a.link_left[route, t]):
                continue
            ask = gpus * sum(int(a.ask[p, u]) for u in held)
            cost = gpus * sum(int(price[p, u]) for u in held)
            for option, limit in enumerate(limits):
                if limit >= ask:
                    worth = limit - ask - int(a.carbon[p]) * gpus * d + int(a.bonus[j])
                    yield Block(p, t, option, ask, cost, limit, worth)


def vouchers(a: BookArrays, j: int, block: Block) -> list[int] | None:
    """Vouchers of a block at the published prices; None where one misses its minimum."""
    gross = max(block.ask, min(block.price, block.limit))
    amounts = parts(a, j, block.pool, block.option, gross)
    return amounts if paid_enough(a, block.option, amounts) else None


def gain(a: BookArrays, prices: Prices, j: int, block: Block, *, paid: bool) -> Fraction | None:
    """What a block gains at whole multipliers, exactly; None where vouchers as paid make it none."""
    budget, cap = (prices.budget_paid, prices.cap_paid) if paid else (prices.budget, prices.cap)
    amounts = vouchers(a, j, block) if paid else least_parts(a, j, block.pool, block.option, block.ask)
    if amounts is None:
        return None
    ppm = 0
    for amount, k in zip(amounts, programmes(a, block.option), strict=True):
        c = int(a.cap[j, k])
        ppm += amount * (int(budget[k]) + (int(cap[c]) if c >= 0 else 0))
    route = route_of(a, j, block.pool)
    if route >= 0:
        ppm += int(a.data[j]) * int(prices.link[route, block.start])
    return block.worth + block.ask - block.price - Fraction(ppm, MICRO)


def best_block(a: BookArrays, prices: Prices, j: int, *, paid: bool = False) -> tuple[Fraction, Block | None]:
    """The greatest gain of an order and the first block that has it; 0 and None where nothing gains."""
    best: tuple[Fraction, Block | None] = Fraction(0), None
    for block in blocks(a, a.ask + prices.capacity, j):
        value = gain(a, prices, j, block, paid=paid)
        if value is not None and value > best[0]:
            best = value, block
    return best


def bound(a: BookArrays, prices: Prices, *, paid: bool = False) -> Fraction:
    """The dual bound as the formula has it."""
    budget, cap = (prices.budget_paid, prices.cap_paid) if paid else (prices.budget, prices.cap)
    ppm = sum(int(left) * int(rate) for left, rate in zip(a.link_left.ravel(), prices.link.ravel(), strict=True))
    ppm += sum(int(a.budget[k]) * int(budget[k]) for k in range(a.budget.size) if a.limited[k])
    ppm += sum(int(left) * int(rate) for left, rate in zip(a.cap_left, cap, strict=True))
    total = Fraction(ppm, MICRO) + int((a.capacity * prices.capacity).sum())
    return total + sum(best_block(a, prices, j, paid=paid)[0] for j in range(a.gpus.size))


class Used(NamedTuple):
    """What awards leave."""

    free: dict[tuple[int, int], int]
    link: dict[tuple[int, int], int]
    budget: dict[int, int]
    cap: dict[int, int]
    contracts: frozenset[tuple[int, int]]


def everything(a: BookArrays) -> Used:
    """What there is before any award."""
    free = {(p, t): int(a.capacity[p, t]) for p in range(a.capacity.shape[0]) for t in range(a.capacity.shape[1])}
    link = {(r, t): int(a.link_left[r, t]) for r in range(a.link_left.shape[0]) for t in range(a.link_left.shape[1])}
    return Used(free, link, dict(enumerate(a.budget.tolist())), dict(enumerate(a.cap_left.tolist())), frozenset())


def after(a: BookArrays, left: Used, j: int, block: Block) -> Used | None:
    """What is left after an award; None if it does not fit."""
    gpus, p, d = int(a.gpus[j]), block.pool, int(a.slots[a.shape[j], block.pool])
    held = [(p, u) for u in range(block.start, block.start + d)]
    amounts = vouchers(a, j, block)
    if amounts is None or any(left.free[cell] < gpus for cell in held):
        return None
    link, budget, cap, contracts = dict(left.link), dict(left.budget), dict(left.cap), left.contracts
    route = route_of(a, j, p)
    if route >= 0:
        link[route, block.start] -= int(a.data[j])
        if link[route, block.start] < 0:
            return None
    for amount, k in zip(amounts, programmes(a, block.option), strict=True):
        c = int(a.cap[j, k])
        budget[k] -= amount
        if c >= 0:
            cap[c] -= amount
        if (int(a.contract[j]), k) in contracts or budget[k] < 0 or (c >= 0 and cap[c] < 0):
            return None
        contracts = contracts | {(int(a.contract[j]), k)}
    return Used({**left.free, **{cell: left.free[cell] - gpus for cell in held}}, link, budget, cap, contracts)


def best_welfare(a: BookArrays, price) -> int:
    """Return the greatest welfare of any allocation with payments at the published prices, micro-yuan."""
    orders = a.gpus.shape[0]
    ways = [sorted((b for b in blocks(a, price, j) if b.worth > 0), key=lambda b: -b.worth) for j in range(orders)]
    most = [max((b.worth for b in way), default=0) for way in ways]
    best = 0

    def search(j: int, left: Used, welfare: int) -> None:
        nonlocal best
        best = max(best, welfare)
        if j == orders or welfare + sum(most[j:]) <= best:
            return
        for block in ways[j]:
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
