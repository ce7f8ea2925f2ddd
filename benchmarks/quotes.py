"""Quotes of single orders and of batches, against numpy with one expression per order and pool.

Run as ``python -m benchmarks.quotes [--json]`` from the root of the repository. The clock is that of the processor, so
that a busy machine disturbs little: a batch on two threads takes half as long by the clock on the wall.
"""

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
from benchmarks.markets import market

from dujiang.core.marked import Marked
from dujiang.core.money import MICRO
from dujiang.core.problem import ProblemList
from dujiang.market.amounts import haul
from dujiang.market.arrays import BookArrays, Int
from dujiang.market.desk import Enquiry, QuoteDesk
from dujiang.market.outcome import Coupling
from dujiang.market.quote import Tables, best_quotes, quote_tables
from dujiang.registry.book import Book
from dujiang.registry.parse import parse_book
from dujiang.registry.raw import RawBook, RawTable

SLOTS = 168
POOLS = (24, 120)
ORDERS = 100_000
NAIVE = 400
"""Orders that numpy quotes; its time grows in proportion."""
GOAL_SINGLE_US, GOAL_BATCH_US = 20.0, 2.0
GOAL_POOLS = 24


def fastest(run: Callable[[], Any], times: int) -> float:
    """Return the least processor seconds of some runs."""
    seconds = []
    for _ in range(times):
        begin = time.process_time()
        run()
        seconds.append(time.process_time() - begin)
    return min(seconds)


def posted(a: BookArrays, seed: int = 1) -> tuple[Int, Tables]:
    """Draw prices that rise by day and what is left, half of it in blocks; return the prices and the tables."""
    rng = np.random.default_rng(seed)
    pools, slots = a.ask.shape
    day = 1.0 + 0.4 * np.sin(np.arange(slots) * (2 * np.pi / 24))
    rise = rng.choice([0.0, 0.2, 0.6], (pools, 1)) * day * rng.uniform(0.8, 1.2, (pools, slots))
    price = a.ask + np.round(a.ask * rise).astype(np.int64)
    taken = rng.random((pools, slots // 8 + 1)).repeat(8, axis=1)[:, :slots]
    return price, quote_tables(price, a.ask, np.round(a.capacity * (1.0 - taken**2)).astype(np.int64), a.link_left)


def naive_best(a: BookArrays, price: Int, tables: Tables, orders: int) -> Int:
    """Return the least total of the first orders, micro-yuan; -1 where no pool has room."""
    out = np.full(orders, -1, dtype=np.int64)
    for j in range(orders):
        r, gpus = a.place[j], a.gpus[j]
        for p in a.place_pool[a.place_first[r] : a.place_first[r + 1]]:
            d = int(a.slots[a.shape[j], p])
            window = slice(int(a.release[j]), int(a.deadline[j]))
            if window.stop - window.start < d:
                continue
            cost = np.lib.stride_tricks.sliding_window_view(price[p, window], d).sum(axis=1)
            room = np.lib.stride_tricks.sliding_window_view(tables.free[p, window], d).min(axis=1) >= gpus
            if room.any():
                total = int(gpus * cost[room].min()) + haul(int(a.data[j]), int(a.tariff[r, p]))
                out[j] = total if out[j] < 0 else min(out[j], total)
    return out


def book_of(a: BookArrays) -> Book:
    """Return a book with pools of the same capacity, ask and durations, one region for each of them."""
    pools = a.capacity.shape[0]
    names = [f"p{p:03}" for p in range(pools)]
    tables = {
        "centres": pl.DataFrame({"centre_id": names, "region": names}),
        "pools": pl.DataFrame(
            {
                "pool_id": names,
                "centre_id": names,
                "accelerator": ["card"] * pools,
                "gpus": a.capacity[:, 0],
                "ask_cny_per_gpu_hour": a.ask[:, 0] / MICRO,
            }
        ),
        "enterprises": pl.DataFrame({"enterprise_id": ["e"]}),
        "orders": pl.DataFrame(
            [["o", "e", 1, 1.0, 0, SLOTS, 1.0]],
            schema=["order_id", "enterprise_id", "gpus", "hours", "release", "deadline", "limit_cny"],
            orient="row",
        ),
    }
    raw = {name: RawTable(f"{name}.parquet", "parquet", frame) for name, frame in tables.items()}
    problems = ProblemList()
    header = Marked("book.yaml", {"start": "2025-11-03T00:00:00+08:00", "slots": SLOTS})
    book = parse_book(RawBook(header, raw), problems)
    assert book is not None, [problem.say() for problem in problems]
    return book


def measure(pools: int) -> dict[str, Any]:
    """Quote orders one by one, all together, and by numpy."""
    a = market(ORDERS, pools, SLOTS)
    price, tables = posted(a)
    desk = QuoteDesk(book_of(a), Coupling.FULL, tables)
    speed = 1_000_000  # of every pool of that book
    enquiries = [
        Enquiry(int(a.gpus[j]), int(a.slots[a.shape[j]].min()) * speed, int(a.release[j]), int(a.deadline[j]))
        for j in range(2_000)
    ]
    week = Enquiry(8, 5 * speed, 0, SLOTS)
    desk.quote(week)
    begin = time.perf_counter()
    QuoteDesk(book_of(a), Coupling.FULL, tables).quote(week)
    first = time.perf_counter() - begin
    single = fastest(lambda: [desk.quote(e) for e in enquiries], 5) / len(enquiries)
    longest = fastest(lambda: [desk.quote(week) for _ in range(500)], 5) / 500
    best = best_quotes(a, tables)
    batch = fastest(lambda: best_quotes(a, tables), 5) / ORDERS
    totals = np.where(best.pool >= 0, best.gross + best.transfer, -1)[:NAIVE]
    naive = fastest(lambda: naive_best(a, price, tables, NAIVE), 2) / NAIVE
    assert (naive_best(a, price, tables, NAIVE) == totals).all()
    return {
        "pools": pools,
        "single_us": single * 1e6,
        "single_whole_week_us": longest * 1e6,
        "first_of_a_kind_ms": first * 1e3,
        "batch_us": batch * 1e6,
        "numpy_us": naive * 1e6,
        "numpy_over_batch": naive / batch,
        "quoted_share": float((best.pool >= 0).mean()),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Return the report as text."""
    lines = [
        f"Quotes at {SLOTS} slots, processor microseconds an order; goal with {GOAL_POOLS} pools: "
        f"{GOAL_SINGLE_US:.0f} single, {GOAL_BATCH_US:.0f} in a batch",
        f"{'pools':>5} {'single':>8} {'week wide':>10} {'batch':>8} {'numpy':>8} {'numpy/batch':>12} {'first, ms':>10}",
    ]
    lines += [
        f"{r['pools']:>5} {r['single_us']:>8.1f} {r['single_whole_week_us']:>10.1f} {r['batch_us']:>8.2f}"
        f" {r['numpy_us']:>8.0f} {r['numpy_over_batch']:>12.0f} {r['first_of_a_kind_ms']:>10.1f}"
        for r in rows
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of the table")
    asked = parser.parse_args()
    rows = [measure(pools) for pools in POOLS]
    print(json.dumps(rows, indent=2) if asked.json else table(rows))


if __name__ == "__main__":
    main()
