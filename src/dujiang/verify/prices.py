"""Rules on prices: one for every pool and slot, not below the ask, with what is used and left (design 4.6)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dujiang.verify.book import Book
from dujiang.verify.options import Exact, prefix_sums
from dujiang.verify.results import PriceRow
from dujiang.verify.verdict import Sheet

Grid = dict[str, list[int]]
"""One value per slot, by pool."""


@dataclass(frozen=True, slots=True)
class Posted:
    """The published prices beside the asks, each also as sums from slot 0, so that a block is one subtraction."""

    grid: Grid
    """Price, micro-yuan per GPU-hour."""
    price_sums: dict[str, Exact]
    """By pool, shape (slots + 1,), micro-yuan per GPU."""
    ask_sums: dict[str, Exact]
    """The same of the asks."""

    def block(self, pool_id: str, start: int, slots: int) -> tuple[int, int]:
        """Return ask and price of some slots in a row, micro-yuan per GPU."""
        asks, prices = self.ask_sums[pool_id], self.price_sums[pool_id]
        return int(asks[start + slots] - asks[start]), int(prices[start + slots] - prices[start])

    def blocks(self, pool_id: str, starts: Exact, slots: int) -> tuple[Exact, Exact]:
        """Return the same for many starts at once."""
        asks, prices = self.ask_sums[pool_id], self.price_sums[pool_id]
        return asks[starts + slots] - asks[starts], prices[starts + slots] - prices[starts]


def check_grid(book: Book, rows: Sequence[PriceRow], sheet: Sheet) -> Grid | None:
    """Check that there is one price per pool and slot (design 4.6); return them, or None if some are missing."""
    grid: dict[str, dict[int, int]] = {pool_id: {} for pool_id in book.pools}
    complete = True
    for row in rows:
        sheet.checks["prices"] += 1
        at = grid.get(row.pool_id)
        if at is None or not 0 <= row.slot < book.slots or row.slot in at:
            found = f"{row.pool_id}, slot {row.slot}"
            sheet.find("prices", "prices.parquet", found, "each pool and slot of the book once", "各池各时段一行")
            complete = False
        else:
            at[row.slot] = row.ucny_per_gpu_hour
    for pool_id, at in grid.items():
        if len(at) < book.slots:
            found = f"{len(at)} slots"
            sheet.find("prices", f"prices.parquet:{pool_id}", found, f"{book.slots} slots", f"{book.slots} 个时段")
            complete = False
    return {p: [at[slot] for slot in range(book.slots)] for p, at in grid.items()} if complete else None


def check_rows(book: Book, rows: Sequence[PriceRow], used: Grid | None, sheet: Sheet) -> None:
    """Check asks, price >= ask, and what is used and free in each row (design 4.6, 9.3)."""
    offered = {pool_id: (pool.ask_ucny.tolist(), pool.gpus.tolist()) for pool_id, pool in book.pools.items()}
    for row in rows:
        if row.pool_id not in offered or not 0 <= row.slot < book.slots:
            continue
        asks, gpus = offered[row.pool_id]
        ask, where = asks[row.slot], f"prices.parquet:{row.pool_id}:{row.slot}"
        sheet.same("prices", f"{where}:ask_ucny_per_gpu_hour", row.ask_ucny_per_gpu_hour, ask)
        price = row.ucny_per_gpu_hour
        sheet.hold(price >= ask, "prices", f"{where}:ucny_per_gpu_hour", price, f">= {ask}", f"不低于 {ask}")
        if used is not None:
            running = used[row.pool_id][row.slot]
            sheet.same("prices", f"{where}:gpus_used", row.gpus_used, running)
            sheet.same("prices", f"{where}:gpus_free", row.gpus_free, gpus[row.slot] - running)


def posted(book: Book, grid: Grid) -> Posted:
    """Return the published prices in the form in which the other rules use them."""
    return Posted(
        grid=grid,
        price_sums={pool_id: prefix_sums(np.array(row, dtype=np.int64)) for pool_id, row in grid.items()},
        ask_sums={pool_id: prefix_sums(pool.ask_ucny) for pool_id, pool in book.pools.items()},
    )
