"""Made-up markets of any size as book arrays: the instances on which the clearing is measured.

A week of gang orders on the pools of ten regions, five in the east and five in the west, with five kinds of
accelerators. What the families differ in are parameters of `market`: work asked over work offered, how far demand and
supply lie apart, programmes with budgets and caps per enterprise, links with a capacity. Everything is drawn in whole
arrays from one seeded generator; a million orders take about a second.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dujiang.core.money import FEN, MICRO
from dujiang.market.arrays import BookArrays

Int = npt.NDArray[np.int64]
Float = npt.NDArray[np.float64]

REGIONS = 10
"""The first half lies in the east, the second in the west."""
EAST = REGIONS // 2

SPEED = np.array([1.0, 0.8, 0.55, 0.4, 0.3])
"""Of the kinds of accelerators, against the fastest."""
ASK_CNY = np.array([14.0, 10.5, 6.5, 4.5, 3.0])
"""Usual ask per GPU-hour of the kinds, yuan."""
LISTS = ((0,), (0, 1), (0, 1, 2), (1, 2), (2, 3), (2, 3, 4), (3, 4), (0, 1, 2, 3, 4))
"""Lists of kinds that an order may name."""
LIST_SHARES = np.array([0.12, 0.16, 0.14, 0.12, 0.1, 0.1, 0.06, 0.2])

GANGS = np.array([1, 2, 4, 8, 16, 32, 64, 3, 12, 24])
GANG_SHARES = np.array([0.2, 0.12, 0.15, 0.25, 0.11, 0.07, 0.03, 0.03, 0.02, 0.02])

HOURS_MEDIAN, HOURS_SIGMA = 5.0, 1.1
WORTH_MEDIAN, WORTH_SIGMA = 1.5, 0.55
"""Of the limit over the cost at the usual ask of the fastest kind that the order names."""

SHARES = np.array([500_000, 300_000, 400_000, 200_000])
"""Voucher shares of the programmes, ppm; a programme pays in some pools only half of it."""


class _Pools(NamedTuple):
    region: Int
    kind: Int


class _Orders(NamedTuple):
    """What is drawn of the orders; all [J]."""

    gpus: Int
    hours: Float
    kinds: Int
    origin: Int
    home: npt.NDArray[np.bool_]
    data: Int
    firm: Int


def _pools(rng: np.random.Generator, pools: int) -> _Pools:
    """Pools stand region by region; every run of five has every kind once."""
    region = np.arange(pools) * REGIONS // pools if pools >= REGIONS else np.linspace(0, REGIONS - 1, pools).astype(int)
    kind = np.concatenate([rng.permutation(len(SPEED)) for _ in range(-(-pools // len(SPEED)))])[:pools]
    return _Pools(region.astype(np.int64), kind.astype(np.int64))


def _east_west(rng: np.random.Generator, count: int, east: float) -> Int:
    """Draw regions, so many of them in the east."""
    side = rng.random(count) >= east
    return rng.integers(0, EAST, count) + EAST * side


def _orders(rng: np.random.Generator, orders: int, slots: int, skew: float, firms: int) -> _Orders:
    hours = np.clip(rng.lognormal(np.log(HOURS_MEDIAN), HOURS_SIGMA, orders), 0.25, 0.4 * slots)
    weight = 1.0 / np.arange(1, firms + 1) ** 0.7  # large enterprises order more often
    firm = np.searchsorted(np.cumsum(weight) / weight.sum(), rng.random(orders)).astype(np.int64)
    of_firm = _east_west(rng, firms, 0.5 + 0.35 * skew)
    origin = np.where(rng.random(orders) < 0.8, of_firm[firm], _east_west(rng, orders, 0.5 + 0.35 * skew))
    gigabytes = np.minimum(rng.lognormal(np.log(150.0), 1.6, orders), 100_000.0)
    return _Orders(
        gpus=rng.choice(GANGS, orders, p=GANG_SHARES),
        hours=np.round(hours, 2),
        kinds=rng.choice(len(LISTS), orders, p=LIST_SHARES),
        origin=origin,
        home=rng.random(orders) < 0.12,
        data=np.where(rng.random(orders) < 0.35, np.round(gigabytes * MICRO), 0).astype(np.int64),
        firm=firm,
    )


def _shapes(hours: Float, pools: _Pools) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Return [J] rows of a table of durations and the table [D, P], slots."""
    by_kind = np.maximum(1, np.ceil(hours[:, None] / SPEED - 1e-9)).astype(np.int64)
    code = np.zeros(hours.size, dtype=np.int64)
    for kind in range(len(SPEED)):
        code = code * 4096 + by_kind[:, kind]
    _, first, shape = np.unique(code, return_index=True, return_inverse=True)
    return shape.astype(np.int32), np.ascontiguousarray(by_kind[first][:, pools.kind].astype(np.int32))


def _places(o: _Orders, pools: _Pools, isolated: bool) -> tuple[npt.NDArray[np.int32], Int]:
    """Return [J] place rows and [R, 3]: list of kinds, origin, whether only the origin's region will do."""
    home = np.ones_like(o.home) if isolated else o.home
    code = (o.kinds * REGIONS + o.origin) * 2 + home
    codes, place = np.unique(code, return_inverse=True)
    return place.astype(np.int32), np.stack([codes // 2 // REGIONS, codes // 2 % REGIONS, codes % 2], axis=1)


def _place_pools(rows: Int, pools: _Pools) -> tuple[Int, npt.NDArray[np.int32]]:
    listed = np.zeros((len(LISTS), len(SPEED)), dtype=np.bool_)
    for row, kinds in enumerate(LISTS):
        listed[row, list(kinds)] = True
    fits = listed[rows[:, 0]][:, pools.kind]
    fits &= (rows[:, 2] == 0)[:, None] | (pools.region == rows[:, 1, None])
    first = np.concatenate([[0], np.cumsum(fits.sum(axis=1))]).astype(np.int64)
    return first, np.nonzero(fits)[1].astype(np.int32)


def _distance() -> Float:
    """Return [10, 10] how far regions lie apart; 0 within one."""
    gap = np.abs(np.arange(REGIONS)[:, None] - np.arange(REGIONS)) / REGIONS
    far = (np.arange(REGIONS)[:, None] < EAST) != (np.arange(REGIONS) < EAST)
    return np.where(gap > 0, 0.3 + gap + 0.5 * far, 0.0)


def _windows(rng: np.random.Generator, least: Int, slots: int) -> tuple[Int, Int]:
    """Draw release and deadline: by day rather than by night, with slack from none to days."""
    hour = np.clip(rng.normal(13.0, 5.0, least.size), 0, 23.99)
    release = rng.integers(0, -(-slots // 24), least.size) * 24 + hour.astype(np.int64)
    release = np.minimum(release, np.maximum(slots - least - rng.integers(0, 6, least.size), 0))
    slack = np.where(rng.random(least.size) < 0.15, 0.0, rng.exponential(1.2, least.size) * np.maximum(least, 8))
    return release, np.minimum(release + least + slack.astype(np.int64), slots)


def _capacity(rng: np.random.Generator, o: _Orders, pools: _Pools, slots: int, load: float, skew: float) -> Int:
    """Return accelerators of each pool: sized so that the work asked is `load` times the work offered."""
    speed = SPEED[pools.kind]
    west = pools.region >= EAST
    weight = rng.lognormal(0.0, 0.5, speed.size) * np.where(west, 0.5 + 0.3 * skew, 0.5 - 0.3 * skew)
    work = float((o.gpus * o.hours).sum()) / load / slots
    gpus = np.round(work * weight / float((weight * speed).sum()) / 8) * 8
    return np.maximum(gpus, 8).astype(np.int64)


def _asks(rng: np.random.Generator, pools: _Pools, slots: int, skew: float, uneven: float) -> Int:
    """Return [P, T] asks, micro-yuan, in whole fen; `uneven`: this share of the pools is cheaper by night."""
    west = np.where(pools.region >= EAST, 1.0 - 0.2 * skew, 1.0)
    level = ASK_CNY[pools.kind] * west * rng.lognormal(0.0, 0.12, pools.kind.size)
    night = (np.arange(slots) % 24 < 8) & (rng.random(pools.kind.size) < uneven)[:, None]
    return (np.round(level[:, None] * np.where(night, 0.7, 1.0) * 100) * FEN).astype(np.int64)


def _limits(rng: np.random.Generator, o: _Orders) -> Int:
    fastest = np.array([min(kinds) for kinds in LISTS])[o.kinds]
    usual = o.gpus * o.hours / SPEED[fastest] * ASK_CNY[fastest]
    worth = rng.lognormal(np.log(WORTH_MEDIAN), WORTH_SIGMA, o.gpus.size)
    return np.maximum(np.round(usual * worth * 100), 1).astype(np.int64) * FEN


class _Vouchers(NamedTuple):
    term: npt.NDArray[np.int32]
    share: Int
    allowed: npt.NDArray[np.bool_]
    room: Int
    cap: npt.NDArray[np.int32]
    parts: npt.NDArray[np.int32]
    ceiling: Int
    budget: Int
    limited: npt.NDArray[np.bool_]
    minimum: Int
    cap_left: Int
    cap_programme: npt.NDArray[np.int32]


def _no_vouchers(orders: int, pools: int) -> _Vouchers:
    none = np.zeros(0, dtype=np.int64)
    return _Vouchers(
        term=np.zeros(orders, dtype=np.int32),
        share=np.zeros((1, 0, pools), dtype=np.int64),
        allowed=np.ones((1, 1), dtype=np.bool_),
        room=np.zeros((orders, 0), dtype=np.int64),
        cap=np.zeros((orders, 0), dtype=np.int32),
        parts=np.full((1, 1), -1, dtype=np.int32),
        ceiling=np.array([MICRO]),
        budget=none,
        limited=np.zeros(0, dtype=np.bool_),
        minimum=none,
        cap_left=none,
        cap_programme=np.zeros(0, dtype=np.int32),
    )


def _options(programmes: int, pair: bool) -> tuple[npt.NDArray[np.int32], Int]:
    """Return parts and ceilings: none, each programme alone, and the first two together if they may be held so."""
    width = 2 if pair else 1
    parts = np.full((1 + programmes + pair, width), -1, dtype=np.int32)
    parts[1 : programmes + 1, 0] = np.arange(programmes)
    ceiling = np.full(len(parts), MICRO)
    if pair:
        parts[-1] = [0, 1]
        ceiling[-1] = 600_000
    return parts, ceiling


def _vouchers(
    rng: np.random.Generator, o: _Orders, pools: _Pools, limit: Int, programmes: int, firms: int, caps: bool, pair: bool
) -> _Vouchers:
    """Draw programmes: whom they are for, where they pay how much, budgets a sixth of what could be claimed, caps."""
    entitled = rng.random((firms, programmes)) < np.resize([0.35, 0.25, 0.2, 0.3], programmes)
    entitled = entitled[o.firm] & (rng.random((o.firm.size, programmes)) < 0.85)
    both = pair & (rng.random(o.firm.size) < 0.5)
    code = entitled @ (1 << np.arange(programmes)) * 2 + both
    codes, term = np.unique(code, return_inverse=True)
    has = (codes[:, None] // 2 >> np.arange(programmes)) & 1
    level = (
        np.resize(SHARES, programmes)[:, None] * np.where(rng.random((programmes, pools.kind.size)) < 0.4, 1, 2) // 2
    )
    parts, ceiling = _options(programmes, pair)
    allowed = np.ones((codes.size, len(parts)), dtype=np.bool_)
    allowed[:, 1 : programmes + 1] = has
    if pair:
        allowed[:, -1] = has[:, 0] & has[:, 1] & codes % 2
    claim = entitled * (limit[:, None] * (np.resize(SHARES, programmes) / MICRO))
    budget = np.maximum(claim.sum(axis=0) / 6, 100 * MICRO).astype(np.int64)
    cap_left = np.zeros(0, dtype=np.int64)
    cap = np.full((o.firm.size, programmes), -1, dtype=np.int32)
    room = np.broadcast_to(budget, claim.shape).astype(np.int64)
    if caps:
        usual = max(float(claim.sum()) / max(int(entitled.sum()), 1), 10.0 * MICRO)
        cap_left = np.round(usual * rng.lognormal(1.2, 0.8, firms * programmes)).astype(np.int64)
        cap = (o.firm[:, None] * programmes + np.arange(programmes)).astype(np.int32)
        room = np.minimum(room, cap_left[cap])
    return _Vouchers(
        term=term.astype(np.int32),
        share=np.ascontiguousarray(has[:, :, None] * level),
        allowed=allowed,
        room=np.ascontiguousarray(np.where(entitled, room, 0)),
        cap=cap,
        parts=parts,
        ceiling=ceiling,
        budget=budget,
        limited=np.ones(programmes, dtype=np.bool_),
        minimum=np.where(np.arange(programmes) % 2 == 1, 20 * MICRO, 0).astype(np.int64),
        cap_left=cap_left,
        cap_programme=np.tile(np.arange(programmes, dtype=np.int32), cap_left.size // programmes),
    )


def _links(rows: Int, o: _Orders, pools: _Pools, slots: int, limited: bool) -> tuple[npt.NDArray[np.int32], Int]:
    """Return route [R, P] and link_left [L, T]; limited links lead from a region in the east to one in the west.

    Each may start a fifteenth of an even share of all data of its origin in a slot, but always the largest load once.
    """
    route = np.full((len(rows), pools.kind.size), -1, dtype=np.int32)
    if not limited:
        return route, np.zeros((0, slots), dtype=np.int64)
    far = (rows[:, 1] < EAST)[:, None] & (pools.region >= EAST)
    number = rows[:, 1, None] * EAST + pools.region - EAST
    route[far] = number[far].astype(np.int32)
    of_origin = np.bincount(o.origin, weights=o.data.astype(np.float64), minlength=REGIONS)[:EAST]
    left = np.maximum(np.repeat(of_origin, EAST) / (15 * slots), float(o.data.max(initial=0)))
    return route, np.ascontiguousarray(np.repeat(left.astype(np.int64)[:, None], slots, axis=1))


def _contracts(rng: np.random.Generator, firm: Int) -> npt.NDArray[np.int32]:
    """Number the contracts; a twentieth of the orders share one with another order of their enterprise."""
    order = np.argsort(firm, kind="stable")
    joins = np.diff(firm[order], prepend=-1) == 0
    joins &= rng.random(firm.size) < 0.05
    contract = np.empty(firm.size, dtype=np.int32)
    contract[order] = np.cumsum(~joins) - 1
    return contract


def market(
    orders: int,
    pools: int = 24,
    slots: int = 168,
    *,
    load: float = 1.0,
    skew: float = 0.0,
    programmes: int = 0,
    caps: bool = True,
    pair: bool = True,
    links: bool = False,
    uneven: float = 0.0,
    isolated: bool = False,
    seed: int = 1,
) -> BookArrays:
    """Draw a market.

    Parameters
    ----------
    orders, pools, slots : its size
    load : work asked over work offered
    skew : 0: demand and supply everywhere alike; 1: 85 % of demand in the east, 80 % of supply in the west
    programmes : voucher programmes with budgets; 0: no vouchers
    caps : whether every programme has a cap per enterprise
    pair : whether half of the orders may hold the first two programmes together (with two or more)
    links : whether links from the east to the west have a capacity
    uneven : share of the pools that are cheaper by night
    isolated : every order stays in the region that it comes from
    seed : of every draw

    Returns
    -------
    the arrays of the book; the same arguments give the same arrays
    """
    rng = np.random.default_rng(seed)
    where = _pools(rng, pools)
    firms = int(np.clip(orders // 25, 5, 40_000))
    o = _orders(rng, orders, slots, skew, firms)
    gpus = _capacity(rng, o, where, slots, load, skew)
    # a small market has small pools: no gang is larger than half of a usual one
    largest = max(8, 1 << (int(np.median(gpus)) // 2).bit_length() - 1)
    o = o._replace(gpus=np.minimum(o.gpus, largest))
    gpus = np.maximum(gpus, o.gpus.max(initial=1))
    shape, table = _shapes(o.hours, where)
    place, rows = _places(o, where, isolated)
    place_first, place_pool = _place_pools(rows, where)
    fastest = SPEED[np.array([min(kinds) for kinds in LISTS])[o.kinds]]
    release, deadline = _windows(rng, np.ceil(o.hours / fastest).astype(np.int64), slots)
    limit = _limits(rng, o)
    pair = pair and programmes >= 2
    v = _vouchers(rng, o, where, limit, programmes, firms, caps, pair) if programmes else _no_vouchers(orders, pools)
    route, link_left = _links(rows, o, where, slots, links)
    tariff = np.round(_distance()[rows[:, 1]][:, where.region] * 33) * FEN  # 0.1 to 0.6 yuan per GB
    return BookArrays(
        capacity=np.ascontiguousarray(np.repeat(gpus[:, None], slots, axis=1)),
        ask=_asks(rng, where, slots, skew, uneven),
        carbon=np.zeros(pools, dtype=np.int64),
        gpus=o.gpus.astype(np.int64),
        release=release,
        deadline=deadline,
        limit=limit,
        data=o.data,
        bonus=np.zeros(orders, dtype=np.int64),
        shape=shape,
        slots=table,
        place=place,
        place_first=place_first,
        place_pool=place_pool,
        tariff=tariff.astype(np.int64),
        route=route,
        link_left=link_left,
        contract=_contracts(rng, o.firm),
        **v._asdict(),
    )
