"""The first engine: bundle prices, priced slices, ruin and recreate. Book arrays in, awards and prices out."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from dujiang.core.money import MICRO
from dujiang.market.arrays import BookArrays, Int
from dujiang.market.dual import Prices, prefix, solve_dual
from dujiang.market.kernels import best_responses
from dujiang.market.primal import Float, Guide, Guides, Posted, State, empty_state, improve, place

Clock = Callable[[], float]
Progress = Callable[[str, float, float | None], None]
"""Called with the phase, its share done (0 to 1) and the current gap."""

SEED = 20250401
SLICES = 6
"""Slices of the first placement; more slices re-price more often and gain little past six."""

HEAT = 0.05
"""Loss that a first move may make, as a share of the mean welfare of an award; it falls a thousandfold to the end."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How hard to try. Moves and passes, not seconds, so that the same book gives the same bytes."""

    passes: int = 260
    """Most pricing passes for the prices."""
    slice_passes: int = 15
    """Pricing passes on what is left after each slice."""
    moves_per_order: int = 25
    moves_min: int = 4_000
    moves_max: int = 100_000
    ruin: int = 60
    """Most awards removed by one move."""
    seconds: float | None = None
    """Stop improving so many seconds after the start; a result cut short is not reproducible, and says so."""
    gap: float = 0.0
    """Stop improving once the certified gap is at most this."""


@dataclass(slots=True)
class Cleared:
    """What an engine hands back; all arrays in the order of the book arrays."""

    state: State
    prices: Prices
    bound_ucny: int
    passes: int
    moves: int
    cut_short: bool
    seconds: dict[str, float] = field(default_factory=dict)


def _guide(a: BookArrays, prices: Prices, factor: float) -> Guide:
    steer = a.ask + factor * prices.capacity
    return Guide(prefix(steer), factor * prices.budget / MICRO, factor * prices.cap / MICRO)


def _stack(guides: list[Guide]) -> Guides:
    return Guides(
        np.stack([g.price_sum for g in guides]), np.stack([g.budget for g in guides]), np.stack([g.cap for g in guides])
    )


def _surplus(a: BookArrays, posted: Posted, guide: Guide) -> tuple[Float, Float]:
    """Return each order's surplus at guide prices, and the same per yuan of cost of its best block."""
    surplus, pool, start, _, _ = best_responses(a, posted.ask_sum, guide.price_sum, guide.budget, guide.cap)
    cost = np.ones(len(surplus))
    rows = np.flatnonzero(pool >= 0)
    p, t = pool[rows], start[rows]
    d = a.slots[rows, p]
    cost[rows] = np.maximum(a.gpus[rows] * (guide.price_sum[p, t + d] - guide.price_sum[p, t]), 1.0)
    return surplus, surplus / cost


def _place_slices(a: BookArrays, s: State, prices: Prices, posted: Posted, effort: Effort) -> None:
    """Place the most profitable slice, re-price what is left, repeat; fill up at the asks."""
    guide_prices = prices
    for number in range(SLICES):
        guide = _guide(a, guide_prices, 1.0)
        surplus, density = _surplus(a, posted, guide)
        waiting = np.flatnonzero((s.pool < 0) & (surplus > 0))
        if not waiting.size:
            break
        rank = waiting[np.argsort(-density[waiting], kind="stable")]
        take = rank if number == SLICES - 1 else rank[: -(-rank.size // 3)]
        place(a, s, guide, posted, take, 0.0)
        open_rows = s.pool < 0
        rest = a._replace(slots=np.where(open_rows[:, None], a.slots, 0))
        guide_prices = solve_dual(
            rest, effort.slice_passes, free=s.free, budget=s.budget, cap_left=s.cap, begin=guide_prices
        ).prices
    for factor in (0.5, 0.0):
        guide = _guide(a, guide_prices, factor)
        _, density = _surplus(a, posted, guide)
        rank = np.argsort(-density, kind="stable").astype(np.int64)
        place(a, s, guide, posted, rank, 0.0)


def _copy(s: State) -> State:
    return State._make(array.copy() for array in s)


def _live(a: BookArrays, posted: Posted) -> Int:
    """Return the orders that could be served in an empty market."""
    free_prices = Guide(posted.ask_sum.astype(np.float64), np.zeros(a.budget.shape[0]), np.zeros(a.cap_left.shape[0]))
    surplus, _ = _surplus(a, posted, free_prices)
    return np.flatnonzero(surplus > 0).astype(np.int64)


def _ranks(a: BookArrays, posted: Posted, guides: Guides) -> Float:
    """Return [R, J] sort keys: value over cost at the prices, welfare, welfare per GPU-slot, GPU-slots, none."""
    first, last = (Guide(guides.price_sum[g], guides.budget[g], guides.cap[g]) for g in (0, -1))
    _, density = _surplus(a, posted, last)
    worth, _ = _surplus(a, posted, first)
    shortest = np.where(a.slots > 0, a.slots, np.iinfo(np.int64).max).min(axis=1, initial=np.iinfo(np.int64).max)
    size = a.gpus * np.where(a.slots.any(axis=1), shortest, 1).astype(np.float64)
    return np.stack([1.0 + density, worth, worth / size, size, np.ones(len(size))])


def _gap(bound: int, welfare: int) -> float:
    return 0.0 if bound <= 0 else max(0.0, (bound - welfare) / bound)


def solve(a: BookArrays, effort: Effort, clock: Clock, progress: Progress | None = None) -> Cleared:
    """Clear a book.

    Parameters
    ----------
    a : the book
    effort : how hard to try
    clock : seconds, for `effort.seconds` and the report of phases only
    progress : told the phase, its share and the gap

    Returns
    -------
    awards as a state, integer prices and the exact dual bound at these prices
    """

    def tell(phase: str, share: float, gap: float | None = None) -> None:
        if progress is not None:
            progress(phase, share, gap)

    opened = begin = clock()
    dual = solve_dual(a, effort.passes, progress=lambda done, _: tell("prices", done / effort.passes))
    seconds = {"prices": clock() - begin}
    tell("prices", 1.0)
    posted = Posted(prefix(a.ask + dual.prices.capacity), prefix(a.ask))
    s = empty_state(a)
    begin = clock()
    tell("placement", 0.0)
    _place_slices(a, s, dual.prices, posted, effort)
    tell("placement", 1.0, _gap(dual.bound_ucny, int(s.worth.sum())))
    seconds["placement"] = clock() - begin
    begin = clock()

    def in_time() -> bool:
        return effort.seconds is None or clock() - opened <= effort.seconds

    s, moves, cut = _improve(a, s, dual.prices, dual.bound_ucny, posted, effort, in_time, tell)
    seconds["improvement"] = clock() - begin
    return Cleared(s, dual.prices, dual.bound_ucny, dual.passes, moves, cut, seconds)


def _improve(
    a: BookArrays,
    s: State,
    prices: Prices,
    bound: int,
    posted: Posted,
    effort: Effort,
    in_time: Callable[[], bool],
    tell: Callable[..., None],
) -> tuple[State, int, bool]:
    """Ruin and recreate in chunks; keep the best state seen; return it, the moves made and whether the clock cut."""
    live = _live(a, posted)
    if not live.size:
        return s, 0, False
    guides = _stack([_guide(a, prices, factor) for factor in (0.0, 0.4, 0.8, 1.0)])
    ranks = _ranks(a, posted, guides)
    planned = min(max(effort.moves_min, effort.moves_per_order * int(live.size)), effort.moves_max)
    chunks = 20
    rng = np.array([SEED], dtype=np.uint64)
    welfare = int(s.worth.sum())
    best, best_welfare = _copy(s), welfare
    typical = max(1.0, welfare / max(1, int((s.pool >= 0).sum())))
    moves = 0
    for chunk in range(chunks):
        if _gap(bound, best_welfare) <= effort.gap:
            break
        if not in_time():
            return best, moves, True
        hot = HEAT * typical * 0.001 ** (chunk / chunks)
        cold = HEAT * typical * 0.001 ** ((chunk + 1) / chunks)
        size = planned // chunks
        welfare += improve(a, s, guides, posted, live, ranks, rng, size, effort.ruin, hot, cold)
        moves += size
        if welfare > best_welfare:
            best, best_welfare = _copy(s), welfare
        tell("improvement", (chunk + 1) / chunks, _gap(bound, best_welfare))
    return best, moves, False


def gap_of(bound_ucny: int, welfare_ucny: int) -> float:
    """Return the certified gap: what the bound leaves open, as a share of the bound (design 4.5)."""
    return _gap(bound_ucny, welfare_ucny)


__all__ = ["Cleared", "Effort", "Progress", "gap_of", "solve"]
