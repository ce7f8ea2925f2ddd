"""The pricing pass of the engine ray beside the local one, on one machine: what the way to the workers costs.

`python -m benchmarks.ray_pass` needs the extra `ray`. On one machine the workers share the processors that the local
engine has anyway, so no pass can be faster here than the local one on as many threads; what matters for books past one
machine is what is added to it, and how many bytes go there and back. Sums are compared before anything is timed.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numba
import numpy as np
from benchmarks.markets import market
from benchmarks.passes import fastest

from dujiang.exchange.ray_pricing import RayPricers
from dujiang.market.arrays import BookArrays
from dujiang.market.keys import Keys, build_keys, take_keys
from dujiang.market.pricing import Demand, Pricer, Pricing
from dujiang.market.shard import Stretch, blocks

ORDERS, POOLS = 1_000_000, 24
REPEATS = 9


def size(*records: Any) -> int:
    """Return the bytes of all arrays in some records."""
    return sum(array.nbytes for record in records for array in record if isinstance(array, np.ndarray))


def resident() -> int:
    """Return the bytes that the process at hand has in memory."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def same(one: Demand, other: Demand) -> bool:
    """Say whether two passes came to the same sums."""
    return all(np.array_equal(x, y) for x, y in zip(one, other, strict=True))


def measure(orders: int) -> dict[str, Any]:
    """Time passes here and with one and two workers."""
    a = market(orders, POOLS)
    keys = build_keys(a)
    point = (a.ask * 0.5, np.zeros(a.link_left.shape), np.zeros(a.budget.size), np.zeros(a.cap_left.size))
    few = take_keys(keys, np.arange(0, orders, orders // 10))
    expected, threads = Pricing(a, keys).demand(*point), numba.get_num_threads()
    bytes_of_book = sum(size(*block) for block in blocks(a, keys, Stretch(0, orders), 2**30))
    out: dict[str, Any] = {
        "orders": orders,
        "pools": POOLS,
        "bytes_of_one_order": round(bytes_of_book / orders, 1),
        "bytes_to_a_worker_per_pass": size(point),
        "bytes_back_per_pass": size(expected),
        "local": {},
        "ray": {},
    }
    for count in range(1, threads + 1):
        numba.set_num_threads(count)
        out["local"][f"{count} threads"] = {"pass_ms": _milliseconds(Pricing(a, keys), point)}
    for count in (1, 2):
        out["ray"][f"{count} workers"] = _with_workers(a, keys, few, point, expected, count)
    return out


def _milliseconds(pricer: Pricer, point: tuple[np.ndarray, ...]) -> float:
    pricer.demand(*point)  # the first one is not timed
    return round(1000 * fastest(lambda: pricer.demand(*point), REPEATS), 2)


def _with_workers(
    a: BookArrays, keys: Keys, few: Keys, point: tuple[np.ndarray, ...], expected: Demand, count: int
) -> dict[str, Any]:
    with RayPricers(count, least=1) as pricers:
        begin = time.perf_counter()
        tiny = market(100, POOLS)
        pricers(tiny, build_keys(tiny))
        started = time.perf_counter()
        pricer = pricers(a, keys)
        filled = time.perf_counter()
        if not same(pricer.demand(*point), expected):
            sys.exit("the workers came to other sums")
        first = time.perf_counter()
        import ray  # only now: dujiang sets it up before it is imported

        assert pricers._crew is not None
        memory = ray.get([worker.__ray_call__.remote(lambda _: resident()) for worker in pricers._crew._workers])
        return {
            "pass_ms": _milliseconds(pricer, point),
            "pass_over_ten_orders_ms": _milliseconds(pricers(a, few), point),
            "start_of_ray_s": round(started - begin, 2),
            "sending_the_orders_s": round(filled - started, 2),
            "first_pass_s": round(first - filled, 2),
            "megabytes_of_a_worker": round(max(memory) / 1e6),
        }


def main() -> None:
    """Print one JSON document."""
    print(json.dumps(measure(ORDERS), indent=2))


if __name__ == "__main__":
    main()
