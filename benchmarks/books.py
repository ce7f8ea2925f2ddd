"""Made-up markets of any size for the benchmark: eight regions of three pools, a week of orders, two programmes."""

import numpy as np

from dujiang.core.money import MICRO
from dujiang.market.arrays import BookArrays, Int, effective_limit, share_floor_array

REGIONS = 8
SIZES = np.array([1, 2, 4, 8, 16, 32])
"""Accelerators of an order; half of all orders want a whole node of 8 or more."""
SIZE_SHARES = np.array([0.14, 0.13, 0.23, 0.3, 0.14, 0.06])
LOAD = 1.3
"""GPU-hours asked over GPU-hours offered: scarce, so that prices matter."""


def _capacity(rng: np.random.Generator, work: float, pools: int, slots: int) -> Int:
    """Share out the capacity that the work needs at the stated load, in nodes of 8, at least four nodes a pool."""
    weight = rng.uniform(0.5, 1.5, pools)
    nodes = np.round(work / LOAD / slots / 8 * weight / weight.sum())
    return np.repeat((8 * np.maximum(nodes, 4)).astype(np.int64)[:, None], slots, axis=1)


def market(orders: int, pools: int = 24, slots: int = 168, *, seed: int = 1, vouchers: bool = True) -> BookArrays:
    """Draw a market.

    Parameters
    ----------
    orders, pools, slots : its size
    seed : of every draw
    vouchers : whether two programmes with budgets and caps take part

    Returns
    -------
    arrays of fully coupled books; `isolated` cuts them to each order's own region
    """
    rng = np.random.default_rng(seed)
    gpus = rng.choice(SIZES, orders, p=SIZE_SHARES)
    hours = np.clip(np.round(rng.lognormal(1.6, 0.9, orders)), 1, slots // 3).astype(np.int64)
    release = rng.integers(0, slots - 1, orders)
    deadline = np.minimum(slots, release + hours * 2 + rng.integers(0, 48, orders))
    speed = rng.choice([0.6, 1.0, 1.0, 1.4], pools)
    fits = rng.random((orders, pools)) < 0.6
    duration = np.where(fits, np.ceil(hours[:, None] / speed).astype(np.int64), 0)
    day = 1.0 + 0.3 * np.sin(2 * np.pi * (np.arange(slots) % 24) / 24)
    ask = np.round(rng.uniform(3, 9, (pools, 1)) * day * 100).astype(np.int64) * (MICRO // 100)
    home = rng.integers(0, REGIONS, orders)
    away = home[:, None] != np.arange(pools) % REGIONS
    transfer = np.where(away, rng.integers(1, 40, orders)[:, None] * MICRO, 0)
    bid = rng.lognormal(2.4, 0.45, orders)
    net = np.round(bid * gpus * hours * 100).astype(np.int64)[:, None] * (MICRO // 100) - transfer
    options = 3 if vouchers else 1
    shape = (orders, pools, options)
    share = np.zeros(shape, dtype=np.int64)
    room = np.zeros((orders, options), dtype=np.int64)
    cap = np.full((orders, options), -1, dtype=np.int64)
    budget = np.full(options, 2**61)
    firms = max(1, orders // 10)
    cap_left = np.zeros(0, dtype=np.int64)
    if vouchers:
        entitled = rng.random((orders, 2)) < [0.3, 0.15]
        share[:, :, 1:] = np.where(entitled[:, None, :], [300_000, 500_000], 0)
        budget[1:] = [60 * orders * MICRO, 30 * orders * MICRO]
        cap_left = np.full(firms, 2000 * MICRO)
        cap[:, 1] = rng.integers(0, firms, orders)
        room[:, 1:] = [2000 * MICRO, 1500 * MICRO]
    limit = effective_limit(np.broadcast_to(net[:, :, None], shape), share, np.broadcast_to(room[:, None, :], shape))
    closed = np.minimum(share_floor_array(limit, share), room[:, None, :]) < 1
    closed[:, :, 0] = False
    return BookArrays(
        capacity=_capacity(rng, float((gpus * hours).sum()), pools, slots),
        ask=ask,
        carbon=np.zeros(pools, dtype=np.int64),
        gpus=gpus,
        release=release,
        deadline=deadline,
        slots=duration,
        transfer=transfer,
        limit=np.ascontiguousarray(np.where(closed | ~fits[:, :, None], -1, limit)),
        share=share,
        room=room,
        cap=cap,
        contract=np.arange(orders),
        bonus=np.zeros(orders, dtype=np.int64),
        budget=budget,
        limited=np.arange(options) > 0,
        cap_left=cap_left,
        cap_option=np.ones(cap_left.size, dtype=np.int64),
        minimum=np.zeros(options, dtype=np.int64),
    )


def isolated(a: BookArrays) -> BookArrays:
    """Return the market in which every order stays where moving its data costs nothing: its own region."""
    here = a.transfer == 0
    return a._replace(slots=np.where(here, a.slots, 0), limit=np.where(here[:, :, None], a.limit, -1))
