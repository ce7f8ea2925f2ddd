"""One pricing pass over a million orders: against the memory of the machine and against plain numpy.

The floor is the time in which a plain parallel copy moves as many bytes as the pass has to read: the sorted fields of
every order. The rest is what the pass computes: tables of costs and range minima, which stay in the cache, and what
each order finds there. Both are checked against numpy before they are timed.
"""

import time
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from benchmarks.markets import market
from numba import njit, prange

from dujiang.market.amounts import haul
from dujiang.market.arrays import BookArrays, Int
from dujiang.market.keys import Keys, build_keys
from dujiang.market.pricing import Pricing

COPIED = 32_000_000
"""Numbers copied to measure the memory: 256 MB there and 256 MB back, far beyond any cache."""
NAIVE = 1_000
"""Orders that numpy prices; its time grows in proportion."""


def fastest(run: Callable[[], Any], times: int) -> float:
    """Return the least seconds of some runs: the one that the rest of the machine disturbed least."""
    seconds = []
    for _ in range(times):
        begin = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


@njit(parallel=True, cache=True)
def _copy(source: np.ndarray, target: np.ndarray) -> None:
    for i in prange(source.shape[0]):
        target[i] = source[i]


def bytes_per_second() -> float:
    """Return how many bytes a second a parallel copy moves, read and written counted alike."""
    source, target = np.zeros(COPIED), np.empty(COPIED)
    _copy(source, target)
    return 2.0 * source.nbytes / fastest(lambda: _copy(source, target), 5)


def bytes_of_orders(keys: Keys) -> int:
    """Return the bytes of all fields that keys hold once per order."""
    return sum(a.nbytes for a in keys if isinstance(a, np.ndarray) and a.shape[:1] == keys.row.shape)


def numpy_surplus(a: BookArrays, price: Int, orders: Int) -> np.ndarray:
    """Return the best surplus of some orders without vouchers, micro-yuan: one numpy expression per order and pool."""
    price_sum = np.pad(np.cumsum(price, axis=1), ((0, 0), (1, 0)))
    best = np.zeros(orders.size)
    for i, j in enumerate(orders):
        place, gpus = a.place[j], a.gpus[j]
        for p in a.place_pool[a.place_first[place] : a.place_first[place + 1]]:
            d = a.slots[a.shape[j], p]
            starts = np.arange(a.release[j], a.deadline[j] - d + 1)
            if not starts.size or a.capacity[p, 0] < gpus:  # capacities of these markets are level
                continue
            cost = gpus * (price_sum[p, starts + d] - price_sum[p, starts])
            ask = gpus * a.ask[p, 0] * d  # so are the asks
            net = a.limit[j] - haul(a.data[j], a.tariff[place, p])
            if net >= ask:
                best[i] = max(best[i], net - cost.min())
    return best


def _pass_of(a: BookArrays, price: Int) -> tuple[Keys, Callable[[], Any], float]:
    """Return keys, a pass over all orders, and the seconds that the keys took."""
    begin = time.perf_counter()
    keys = build_keys(a)
    seconds = time.perf_counter() - begin
    pricing = Pricing(a, keys)
    nothing = np.zeros(a.link_left.shape), np.zeros(a.budget.size), np.zeros(a.cap_left.size)
    above = price - a.ask
    whole = [part.astype(np.int64) for part in nothing]
    some = np.arange(0, a.gpus.size, a.gpus.size // NAIVE)
    exact = pricing.surplus_of_each(above, *whole, paid=False)[0][some]
    np.testing.assert_array_equal(exact, numpy_surplus(a, price, some))
    return keys, lambda: pricing.demand(above.astype(np.float64), *nothing), seconds


def measure(orders: int) -> dict[str, Any]:
    """Time one pass over 24 and over 120 pools."""
    bandwidth = bytes_per_second()
    out: dict[str, Any] = {
        "threads": numba.get_num_threads(),
        "orders": orders,
        "copy_gigabytes_per_second": round(bandwidth / 1e9, 2),
    }
    for pools in (24, 120):
        a = market(orders, pools)
        price = a.ask + a.ask // 2
        _, run, _ = _pass_of(a, price)  # compiles
        run()
        keys, run, keys_seconds = _pass_of(a, price)
        seconds = fastest(run, 7)
        floor = bytes_of_orders(keys) / bandwidth
        some = np.arange(0, orders, orders // NAIVE)
        naive = fastest(lambda a=a, price=price, some=some: numpy_surplus(a, price, some), 2) * orders / some.size
        out |= {
            f"milliseconds,_{pools}_pools": round(1000 * seconds, 1),
            f"milliseconds_of_copying_its_{bytes_of_orders(keys) / 1e6:.0f}_MB,_{pools}_pools": round(1000 * floor, 1),
            f"pass_over_copy,_{pools}_pools": round(seconds / floor, 2),
            f"numpy_over_pass,_{pools}_pools": round(naive / seconds, 1),
            f"milliseconds_of_building_keys,_{pools}_pools": round(1000 * keys_seconds, 1),
        }
    return out
