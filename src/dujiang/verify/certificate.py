"""The dual bound worked out again: no allocation of the book can have a greater welfare (design 4.5).

With prices lambda above the asks and multipliers m of budgets and n of caps, all at least zero, each order on its own
cannot gain more than its best block at these prices, and capacity, budgets and caps cannot be worth more than their
amounts at these prices. The sum of all of it bounds the welfare of every allocation:

    bound = sum lambda gpus + sum m budget + sum n cap
          + sum over orders of max(0, max over blocks of E - price cost - carbon + bonus - (m + n) v)

where v is the least that the voucher of a block can be, ``max(minimum, min(floor(share * ask cost), room))``. A block
is a compatible pool, a start in the window where the pool could hold the order alone, and one programme or none, with E
at least the ask cost. Everything is summed in whole millionths of a micro-yuan and rounded up once, to a micro-yuan.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dujiang.verify.book import Book, Order
from dujiang.verify.cells import MICRO
from dujiang.verify.options import SAFE, Exact, Options, Payer, Way, exact
from dujiang.verify.prices import Grid, Posted
from dujiang.verify.results import Multiplier
from dujiang.verify.support import Programmes
from dujiang.verify.verdict import Sheet


@dataclass(frozen=True, slots=True)
class Shadow:
    """Multipliers of budgets and caps, ppm: welfare that one more yuan of them could add at most."""

    budgets: Mapping[str, int]
    caps: Mapping[tuple[str, str], int]

    def weight(self, programme_id: str | None, enterprise_id: str) -> int:
        """Return what a yuan of voucher costs, ppm."""
        if programme_id is None:
            return 0
        return self.budgets.get(programme_id, 0) + self.caps.get((programme_id, enterprise_id), 0)


def check_multipliers(
    programmes: Programmes, rows: Sequence[Multiplier], spent: Mapping[tuple[str, str | None], int], sheet: Sheet
) -> Shadow:
    """Check what was left and used of budgets and caps, and that no multiplier is negative (design 4.5, 9.2).

    Parameters
    ----------
    programmes : of the round
    rows : multipliers.parquet
    spent : vouchers of the awards by programme, and by programme and enterprise
    sheet : takes what is wrong
    """
    seen: dict[tuple[str, str | None], int] = {}
    for row in rows:
        where = f"multipliers.parquet:{row.programme_id}:{row.enterprise_id or ''}"
        key = row.programme_id, row.enterprise_id
        left = _left(programmes, row.programme_id, row.enterprise_id)
        en, zh = "a budget, or a cap per enterprise, of the round, once", "本轮的预算或企业上限，各一行"
        if not sheet.hold(left is not None and key not in seen, "multipliers", where, key, en, zh):
            continue
        sheet.same("multipliers", f"{where}:left_ucny", row.left_ucny, left)
        sheet.same("multipliers", f"{where}:used_ucny", row.used_ucny, spent.get(key, 0))
        rate = row.multiplier_ppm
        sheet.hold(rate >= 0, "multipliers", f"{where}:multiplier_ppm", rate, "zero or more", "不小于零")
        seen[key] = max(0, rate)
    for programme_id, enterprise_id in spent:
        if _left(programmes, programme_id, enterprise_id) is not None:
            where = f"multipliers.parquet:{programme_id}:{enterprise_id or ''}"
            there = (programme_id, enterprise_id) in seen
            sheet.hold(there, "multipliers", where, None, "a row for what was used", "所用预算与上限各一行")
    for programme_id in programmes.by_id:
        if programmes.budget_left(programme_id) is not None:
            where = f"multipliers.parquet:{programme_id}"
            sheet.hold((programme_id, None) in seen, "multipliers", where, None, "a row per budget", "每项预算一行")
    return Shadow(
        budgets={k: rate for (k, enterprise_id), rate in seen.items() if enterprise_id is None},
        caps={(k, e): rate for (k, e), rate in seen.items() if e is not None},
    )


def _left(programmes: Programmes, programme_id: str, enterprise_id: str | None) -> int | None:
    if programme_id not in programmes.by_id:
        return None
    if enterprise_id is None:
        return programmes.budget_left(programme_id)
    return programmes.cap_left(programme_id, enterprise_id)


def dual_bound(options: Options, posted: Posted, shadow: Shadow) -> int:
    """Return the dual bound at published prices and multipliers, micro-yuan, rounded up.

    Parameters
    ----------
    options : book, programmes and coupling of the round
    posted : prices and asks
    shadow : multipliers of budgets and caps
    """
    total = _scarcity(options.book, posted.grid) * MICRO
    for programme_id, rate in shadow.budgets.items():
        total += rate * (options.programmes.budget_left(programme_id) or 0)
    for (programme_id, enterprise_id), rate in shadow.caps.items():
        total += rate * (options.programmes.cap_left(programme_id, enterprise_id) or 0)
    for order in options.book.orders.values():
        total += _best_surplus(options, order, posted, shadow)
    return -(-total // MICRO)


def _scarcity(book: Book, grid: Grid) -> int:
    """Return the value of all capacity at prices above the ask, micro-yuan."""
    return sum(
        (price - ask) * gpus
        for pool_id, pool in book.pools.items()
        for price, ask, gpus in zip(grid[pool_id], pool.ask_ucny.tolist(), pool.gpus.tolist(), strict=True)
    )


def _best_surplus(options: Options, order: Order, posted: Posted, shadow: Shadow) -> int:
    """Return the most that an order can gain at the prices, millionths of a micro-yuan; at least zero."""
    bonus, best = options.bonus(order), 0
    for way in options.ways(order):
        if not way.starts.size:
            continue
        fixed = bonus - options.carbon_rate(way.pool) * order.gpus * way.slots
        ask, price = posted.blocks(way.pool.pool_id, way.starts, way.slots)
        for payer in way.payers:
            weight = shadow.weight(payer.programme_id, order.enterprise_id)
            burden = least_burden(order.gpus, way, payer, weight, ask, price)
            if burden is not None:
                best = max(best, (payer.effective_limit_ucny + fixed) * MICRO - burden)
    return best


def least_burden(gpus: int, way: Way, payer: Payer, weight: int, ask: Exact, price: Exact) -> int | None:
    """Return the least of price cost and weighted voucher over the starts whose ask can be borne.

    Parameters
    ----------
    gpus : accelerators of the order
    way, payer : pool and programme
    weight : multipliers on the voucher, ppm
    ask, price : by start, micro-yuan per GPU

    Returns
    -------
    millionths of a micro-yuan, or None if no start can be borne
    """
    bearable = ask <= payer.effective_limit_ucny // gpus
    if not bearable.any():
        return None
    ask, price = ask[bearable], price[bearable]
    if not weight:
        return gpus * int(price.min()) * MICRO
    highest = max(int(ask.max()) * gpus, payer.minimum_ucny)
    reach = gpus * (int(price.max()) + int(ask.max())) + weight * (MICRO + highest // MICRO)
    ask, price = exact(ask, reach) * gpus, exact(price, reach) * gpus
    voucher = np.minimum(
        ask // MICRO * payer.share_ppm + ask % MICRO * payer.share_ppm // MICRO, min(payer.room_ucny, SAFE)
    )
    voucher = np.maximum(voucher, payer.minimum_ucny)
    # Cost and weight * voucher / 1e6 in whole micro-yuan and a rest in millionths, so that 64 bits hold both.
    rest = voucher % MICRO * weight
    whole = price + voucher // MICRO * weight + rest // MICRO
    least = whole.min()
    return int(least) * MICRO + int((rest % MICRO)[whole == least].min())
