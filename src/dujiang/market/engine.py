"""The engine: prices from the dual, awards recovered from them, local improvement. Arrays in, awards and prices out.

Every step works within a count of passes or moves, not of seconds, sums in whole numbers or in one fixed order, and
draws random numbers from a stated seed: the same book gives the same bytes, whatever the number of threads.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from dujiang.market.arrays import BookArrays
from dujiang.market.dual import DualResult, Prices, solve_dual
from dujiang.market.improve import appraisal, guides, improve, nearby, scratch
from dujiang.market.keys import build_keys
from dujiang.market.pricing import Pricers, Pricing
from dujiang.market.recovery import Point, recover, spread
from dujiang.market.simple_rules import Rule, allocate
from dujiang.market.splitmix import Seed, seeded
from dujiang.market.state import Posted, State, copied, empty_state, posted_prices
from dujiang.market.turns import in_turn, pull_forward

Clock = Callable[[], float]
Progress = Callable[[str, float, float | None], None]
"""Called with the phase, its share done (0 to 1) and the current gap."""

SEED = 20250401
HEATS = (0.1, 0.3, 1.0)
"""Loss that a first move may make, as a share of the mean welfare of an award; it falls a thousandfold to the end. One
for each start; large books have time for the first only."""
CHUNKS = 20
"""Pieces of improvement: after each one the best state is kept, the clock and the gap are looked at."""
_MOST_PER_ORDER = 1_000
"""More moves for an order than these find nothing new."""
_ALL_MOVES = 2_500
"""Up to so many orders all moves are made; beyond, so many that the work stays about the same."""
SEVERAL_ORDERS = 1_000
"""Up to so many orders improvement starts several times, also from other guide prices: the less there is, and the more
caps there are, the more is chance."""
SEARCHED_ORDERS = 50_000
"""Up to so many orders simple rules are tried and awards are improved; beyond, that brings next to nothing."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How hard to try. Moves and passes, not seconds, so that the same book gives the same bytes."""

    passes: int = 60
    """Most pricing passes over all orders, in each search; fewer where samples were solved first."""
    tolerance: float = 5e-5
    """The price search ends once it promises less than this share of the bound."""
    moves: int = 200_000
    """Most moves of improvement; half where there are several starts."""
    ruin: int = 20
    """Most awards removed by a move that opens a hole."""
    seconds: float | None = None
    """Stop improving so many seconds after the start; a result cut short is not reproducible, and says so."""
    gap: float = 0.0
    """Stop improving once the certified gap is at most this."""

    def moves_for(self, orders: int) -> int:
        """Return the moves for so many orders: few find all there is, and with many each move takes longer."""
        if orders <= _ALL_MOVES:
            return min(self.moves, _MOST_PER_ORDER * orders)
        return self.moves * _ALL_MOVES // orders if orders <= SEARCHED_ORDERS else 0


@dataclass(slots=True)
class Cleared:
    """What an engine hands back; all arrays in the order of the book arrays."""

    state: State
    prices: Prices
    bound_ucny: int
    """Exact dual bound: no allocation has a greater welfare."""
    bound_at_prices_ucny: int
    """The same for allocations that pay by the rule at these prices."""
    passes: int
    moves: int
    cut_short: bool
    """The clock, not the count of moves, ended the improvement."""
    seconds: dict[str, float] = field(default_factory=dict)


def gap_of(bound_ucny: int, welfare_ucny: int) -> float:
    """Return the certified gap: what the bound leaves open, as a share of the bound (design 4.5)."""
    return 0.0 if bound_ucny <= 0 else max(0.0, (bound_ucny - welfare_ucny) / bound_ucny)


def _welfare(s: State) -> int:
    return int(s.worth.sum())


class _Run:
    """One clearing: the book, its published prices and what is told to whom."""

    def __init__(self, a: BookArrays, effort: Effort, clock: Clock, progress: Progress | None) -> None:
        self.a, self.effort, self._clock, self._progress = a, effort, clock, progress
        self._opened = self._begun = clock()
        self.seconds: dict[str, float] = {}

    def tell(self, phase: str, share: float, gap: float | None = None) -> None:
        """Report where the work stands."""
        if self._progress is not None:
            self._progress(phase, share, gap)

    def note(self, phase: str) -> None:
        """Note what a phase took."""
        now = self._clock()
        self.seconds[phase] = now - self._begun
        self._begun = now

    def done(self, phase: str, gap: float | None = None) -> None:
        """Note that a phase is over, and tell."""
        self.note(phase)
        self.tell(phase, 1.0, gap)

    def in_time(self) -> bool:
        """Say whether there is time left."""
        return self.effort.seconds is None or self._clock() - self._opened <= self.effort.seconds


def solve(
    a: BookArrays,
    effort: Effort,
    clock: Clock,
    progress: Progress | None = None,
    warm: Prices | None = None,
    pricers: Pricers = Pricing,
) -> Cleared:
    """Clear a book.

    Parameters
    ----------
    a : the book
    effort : how hard to try
    clock : seconds, for `effort.seconds` and the report of phases only
    progress : told the phase, its share and the gap
    warm : prices to begin with, say those of the last round
    pricers : makes the passes of the price search over all orders; whichever does, the result is the same

    Returns
    -------
    awards as a state, whole prices and the exact dual bounds at these prices
    """
    run = _Run(a, effort, clock, progress)
    run.tell("prices", 0.0)
    keys = build_keys(a)
    run.note("keys")
    dual = solve_dual(
        a,
        keys,
        effort.passes,
        begin=warm,
        tolerance=effort.tolerance,
        progress=lambda done, _: run.tell("prices", done / effort.passes),
        pricers=pricers,
    )
    run.done("prices")
    posted = posted_prices(a, dual.prices.capacity)
    run.tell("placement", 0.0)
    s = empty_state(a)
    point = dual.guide.point()
    recover(a, s, point, spread(a, keys, point, posted), posted)
    if a.gpus.size <= SEARCHED_ORDERS:
        s = max([s, *(allocate(a, posted, rule) for rule in Rule)], key=_welfare)
    run.done("placement", gap_of(dual.bound_ucny, _welfare(s)))
    s, moves, cut = _improve(run, s, dual, posted)
    pull_forward(a, s, posted)
    in_turn(a, s)
    run.done("improvement", gap_of(dual.bound_ucny, _welfare(s)))
    return Cleared(s, dual.prices, dual.bound_ucny, dual.bound_at_prices_ucny, dual.passes, moves, cut, run.seconds)


def _improve(run: _Run, s: State, dual: DualResult, posted: Posted) -> tuple[State, int, bool]:
    """Return the best state that was found, the moves made and whether the clock ended it."""
    a = run.a
    planned = run.effort.moves_for(int(a.gpus.size))
    starts = [(HEATS[0], dual.guide.point())]
    if a.gpus.size <= SEVERAL_ORDERS:
        planned //= 2
        starts = list(zip(HEATS, (dual.guide.point(), dual.prices.point(), dual.prices.point_paid()), strict=True))
    best, moves, cut, rng = s, 0, False, seeded(SEED)
    for number, (heat, point) in enumerate(starts):
        if cut or not planned or gap_of(dual.bound_ucny, _welfare(best)) <= run.effort.gap:
            break
        plan = _Plan(point, heat, planned, number / len(starts), 1.0 / len(starts))
        found, made, cut = _improve_from(run, copied(s), dual.bound_ucny, posted, plan, rng)
        best, moves = max(best, found, key=_welfare), moves + made
    return best, moves, cut


class _Plan(NamedTuple):
    """One start of improvement."""

    point: Point
    """Prices that guide it."""
    heat: float
    moves: int
    before: float
    """Share of all starts that is done."""
    share: float


def _improve_from(
    run: _Run, s: State, bound_ucny: int, posted: Posted, plan: _Plan, rng: Seed
) -> tuple[State, int, bool]:
    """Ruin and recreate in chunks, in place."""
    a, effort = run.a, run.effort
    several = guides(a, plan.point)
    worth = appraisal(a, posted, several)
    if not worth.live.size:
        return s, 0, False
    near = nearby(a, s, worth.live, worth.pull)
    memory = scratch(a)
    best, best_welfare = copied(s), _welfare(s)
    welfare = best_welfare
    typical = max(1.0, welfare / max(1, int((s.pool >= 0).sum())))
    moves = 0
    for chunk in range(CHUNKS):
        if gap_of(bound_ucny, best_welfare) <= effort.gap:
            break
        if not run.in_time():
            return best, moves, True
        hot, cold = (plan.heat * typical * 0.001 ** ((chunk + i) / CHUNKS) for i in (0, 1))
        count = plan.moves * (chunk + 1) // CHUNKS - moves
        welfare += improve(a, s, near, several, posted, worth, memory, rng, count, effort.ruin, hot, cold)
        moves += count
        if welfare > best_welfare:
            best, best_welfare = copied(s), welfare
        share = plan.before + plan.share * (chunk + 1) / CHUNKS
        run.tell("improvement", share, gap_of(bound_ucny, best_welfare))
    return best, moves, False


__all__ = ["Cleared", "Clock", "Effort", "Prices", "Progress", "gap_of", "solve"]
