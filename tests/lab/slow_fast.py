"""Slow twin of the fast mode, without outages: plain Python, every pool, start and option of every job."""

from typing import NamedTuple

from dujiang.lab.case import Case
from dujiang.market.arrays import BookArrays
from dujiang.market.book_arrays import book_arrays
from market.slow import bearable, parts, programmes, transfer


class Told(NamedTuple):
    """An award; money in micro-yuan."""

    pool: int
    start: int
    gross: int
    vouchers: list[int]
    bears: int
    ask: int


def quote(ask: int, used: int, there: int, knee: float, top: float) -> int:
    over = max(0.0, used / there - knee) / (1 - knee) if there else 0.0
    return max(ask, int(ask * top ** min(over, 1.0) + 0.5))


def earlier(
    a: BookArrays, j: int, found: tuple[Told, int, int], surplus: int, price: list[list[int]], free: list[list[int]]
) -> tuple[Told, int, int]:
    """The earliest block with the same vouchers that leaves as much; of equally early ones that of the first pool."""
    award, o, d = found
    gpus, r = int(a.gpus[j]), a.place[j]
    like = []
    for p in a.place_pool[a.place_first[r] : a.place_first[r + 1]].tolist():
        run = int(a.slots[a.shape[j], p])
        bears = bearable(a, j, p, o)
        for t in range(int(a.release[j]), min(award.start, int(a.deadline[j]) - run + 1)):
            quoted, ask = gpus * sum(price[p][t : t + run]), gpus * int(a.ask[p, t : t + run].sum())
            if min(free[p][t : t + run]) < gpus or bears < ask or bears - quoted != surplus:
                continue
            gross = max(ask, min(quoted, bears))
            amounts = parts(a, j, p, o, gross)
            least = [max(1, int(a.minimum[k])) for k in programmes(a, o)]
            if all(v >= m for v, m in zip(amounts, least, strict=True)):
                like.append((t, p, Told(p, t, gross, amounts, bears, ask), run))
    if not like:
        return award, o, d
    _, _, award, d = min(like, key=lambda block: block[:2])
    return award, o, d


def awards(case: Case) -> tuple[dict[int, Told], list[list[int]]]:
    """Awards by job, and the last quotes."""
    a = book_arrays(case.book, case.terms, case.coupling)
    a = a._replace(room=a.room.copy())
    first_room, budget, cap = a.room.copy(), a.budget.tolist(), a.cap_left.tolist()
    used: set[tuple[int, int]] = set()
    free = a.capacity.tolist()
    knee, top = case.scenario.quoted.knee, case.scenario.quoted.top
    price = a.ask.tolist()
    told: dict[int, Told] = {}
    for j in range(a.gpus.size):
        for k in range(a.budget.size):
            left = [int(first_room[j, k]), budget[k]] + ([cap[a.cap[j, k]]] if a.cap[j, k] >= 0 else [])
            a.room[j, k] = 0 if (int(a.contract[j]), k) in used else min(left)
        best, found = 0, None
        gpus, r = int(a.gpus[j]), a.place[j]
        for p in a.place_pool[a.place_first[r] : a.place_first[r + 1]].tolist():
            d = int(a.slots[a.shape[j], p])
            for t in range(int(a.release[j]), int(a.deadline[j]) - d + 1):
                if min(free[p][t : t + d]) < gpus:
                    continue
                quoted = gpus * sum(price[p][t : t + d])
                ask = gpus * int(a.ask[p, t : t + d].sum())
                for o in range(a.parts.shape[0]):
                    bears = bearable(a, j, p, o)
                    if bears < ask or bears - quoted <= best:
                        continue
                    gross = max(ask, min(quoted, bears))
                    amounts = parts(a, j, p, o, gross)
                    least = [max(1, int(a.minimum[k])) for k in programmes(a, o)]
                    if any(v < m for v, m in zip(amounts, least, strict=True)):
                        continue
                    best, found = bears - quoted, (Told(p, t, gross, amounts, bears, ask), o, d)
        if found is None:
            continue
        award, o, d = earlier(a, j, found, best, price, free)
        told[j] = award
        for k, v in zip(programmes(a, o), award.vouchers, strict=True):
            budget[k] -= v
            if a.cap[j, k] >= 0:
                cap[a.cap[j, k]] -= v
            used.add((int(a.contract[j]), k))
        assert award.gross + transfer(a, j, award.pool) - sum(award.vouchers) <= a.limit[j]
        for t in range(award.start, award.start + d):
            free[award.pool][t] -= gpus
            there = int(a.capacity[award.pool, t])
            price[award.pool][t] = quote(int(a.ask[award.pool, t]), there - free[award.pool][t], there, knee, top)
    return told, price
