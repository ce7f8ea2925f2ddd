"""A scenario as a record: which fleet meets which demand under which programmes, and how it is replayed.

`parse_scenario` makes it of a file, `case` makes of it what a replay runs on. A field that a file leaves out has the
default that stands here, and every default that is an assumption is said on the report.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from dujiang.core.marked import Marked
from dujiang.core.money import MICRO
from dujiang.core.problem import Problem, shown
from dujiang.core.text import Text
from dujiang.registry.book import Fact
from dujiang.sim.trace_options import FractionalGpus

SERIES = "vc_series"
"""Format of demand that is a series of states instead of a log."""


class Allocator(StrEnum):
    """Who decides which job runs where and when: key `policy` of a scenario."""

    MARKET = "market"
    """The exchange."""
    ISOLATED_FIFO = "isolated_fifo"
    """Each centre for itself, first come, first served; the head of a queue blocks it."""
    ISOLATED_BACKFILL = "isolated_backfill"
    """The same with EASY backfilling: a later job may start if it does not delay the head."""
    POOLED_FIFO = "pooled_fifo"
    """One queue for all centres within reach, first come, first served."""
    POOLED_BACKFILL = "pooled_backfill"
    """The same with EASY backfilling."""
    POOLED_SJF = "pooled_sjf"
    """One queue, the shortest job that fits first."""
    GREEDY_CHEAPEST = "greedy_cheapest"
    """Each job goes on arrival to the cheapest centre within reach and queues there: a broker without a market."""


class Mode(StrEnum):
    """How the market is replayed; baselines are always replayed event by event."""

    EXACT = "exact"
    """Every round is cleared by the engine, run, metered and settled."""
    FAST = "fast"
    """Arrival by arrival at quoted prices, compiled."""
    BOTH = "both"
    """Exact, with a report of how far the fast mode differs."""


class Reach(StrEnum):
    """How far a job may go: key `coupling` of a scenario."""

    ISOLATED = "isolated"
    """Its own centre."""
    PROVINCES = "provinces"
    """Centres of the region of its own centre (a province-level unit or hub)."""
    FULL = "full"
    """Every centre that links reach."""


class Clock(StrEnum):
    """On which grid baselines start and charge jobs."""

    SECONDS = "seconds"
    """As a scheduler does."""
    HOURS = "hours"
    """On the exchange's grid of whole hours, so that only the allocation differs from the market's."""


@dataclass(frozen=True, slots=True)
class Growth:
    """A step of capacity that is known beforehand."""

    centre_id: str
    from_h: int
    share_ppm: int
    """New capacity of each pool over that at the start."""


@dataclass(frozen=True, slots=True)
class Outage:
    """Capacity that fails without notice: what runs there is stopped, latest start first, and queues again."""

    centre_id: str
    from_h: int
    to_h: int
    share_ppm: int = MICRO
    """Part of each pool's accelerators that is down, rounded up."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """Where capacity comes from; exactly one of `book`, `nodes`, `per_vc` is meant."""

    book: Path | None = None
    """Centres, pools, capacity and links of a book."""
    nodes: Path | None = None
    """A list of nodes: cluster, gpu_type, gpus; each cluster is a centre with a pool per type."""
    per_vc: bool = False
    """The trace's virtual clusters are the centres."""
    multiple_ppm: int | None = None
    """With `per_vc`: capacity over mean load, millionths; never fewer than the largest job needs. None: the observed
    peak, or, of a series of states, the recorded capacity."""
    region_of: Mapping[str, str] = field(default_factory=dict)
    """Region of each centre; others stand in `region`."""
    region: str = "local"
    ask_ucny_per_gpu_hour: int = 2 * MICRO
    """Reserve price where the fleet has none of its own."""
    ask_of: Mapping[str, int] = field(default_factory=dict)
    """Reserve price of single centres, micro-yuan per GPU-hour."""
    watts_per_gpu: float | None = None
    pue: float | None = None
    grid_kgco2_per_kwh: float | None = None
    """What energy and carbon are worked out from where the fleet has no figures of its own; None: not known."""
    growth: tuple[Growth, ...] = ()
    outages: tuple[Outage, ...] = ()
    own_use_ppm: int = 0
    """Part of every pool that its centre keeps for itself, rounded down."""


@dataclass(frozen=True, slots=True)
class Demand:
    """Which jobs come."""

    trace: Path | None = None
    """A job log, or a series of states of virtual clusters (`format: vc_series`)."""
    trace_format: str = "generic"
    """philly, pai, helios, generic or vc_series."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Name in the file of each common job column that is named otherwise there."""
    fractional_gpus: FractionalGpus = "leave_out"
    """What happens to a job that shares an accelerator: left out, or rounded up to whole ones."""
    vcs: int = 8
    """Virtual clusters that jobs are spread over where the demand names none."""
    from_s: int = 0
    """First second of the window, from the start of the trace."""
    to_s: int | None = None
    """End of the window; None: after the last submission."""
    scale: float = 1.0
    """Jobs per job of the trace, by seeded copies; below one, a seeded sample. Capacity that is a multiple of the load,
    or the peak, follows."""
    generate_h: int | None = None
    """Hours of made-up demand with the trace's sizes, run times and daily pattern, instead of the log itself; without a
    trace, with those that the owners of a cluster published."""
    like: str = "philly"
    """Without a trace: row of the catalogue's trace statistics that sizes and run times follow."""
    jobs_per_h: float | None = None
    """Mean arrivals of made-up demand; None: those of the trace."""
    longest_h: int = 168
    """Longer jobs are cut there, and counted: a round sells blocks, and none is that long."""
    stretch: float | None = 1.5
    """Time from submission to deadline per hour of run time; None: jobs wait for ever."""
    slack_h: int = 6
    """Hours added to that."""
    data_gb: float = 0.0
    """Data that a job brings from its region of origin."""
    origins: Mapping[str, float] = field(default_factory=dict)
    """Weight of each centre as a job's origin where the fleet is not that of the trace; empty: by capacity."""


@dataclass(frozen=True, slots=True)
class Willingness:
    """What one GPU-hour is worth to who asks, over the reference price; one draw per job."""

    median: float = 2.0
    sigma: float = 0.5
    """Lognormal with this median and this standard deviation of the logarithm."""
    elasticity: float | None = None
    """Pareto instead: for each per cent that the price falls, demand grows by so many per cent. The trace is taken as
    the demand at the reference price; jobs that would come at lower prices only are added, down to `floor`."""
    floor: float = 0.25
    """Lowest price, over the reference price, at which demand is modelled."""
    ceiling: float = 5.0
    """With an elasticity: no hour counts as worth more than this, over the reference price. The tail of a constant
    elasticity is so long that single jobs would decide every sum of money."""


@dataclass(frozen=True, slots=True)
class Firms:
    """Who asks."""

    count: int | None = None
    """Number of firms where the trace names no users; None: one per virtual cluster and 50 jobs."""
    employees_median: float = 60.0
    employees_sigma: float = 1.3
    kinds: Mapping[str, float] = field(default_factory=lambda: {"enterprise": 1.0})
    """Weights of kinds (`enterprises.kind`)."""
    cities: Mapping[str, float] = field(default_factory=dict)
    """Weights of cities, as `province/city`."""
    activity_sigma: float = 1.0
    """Spread of how many jobs a firm has (lognormal)."""
    willingness: Willingness = field(default_factory=Willingness)
    reference_ucny_per_gpu_hour: int | None = None
    """Reference price; None: the mean ask of the fleet, weighted by capacity, of virtual clusters by their load, which
    no choice of capacity changes."""
    facts: Mapping[str, Fact] = field(default_factory=dict)
    """What is declared for every purchase (`via_platform: true`)."""


@dataclass(frozen=True, slots=True)
class ProgrammeChange:
    """A programme of the scenario, and what differs from its file; None: as it stands there."""

    programme_id: str
    file: Path | None = None
    """A file of one's own instead of the catalogue's."""
    rate_ppm: int | None = None
    cap_ucny: int | None = None
    """Cap per enterprise."""
    budget_ucny: int | None = None
    small_firm_rate_ppm: int | None = None
    """A higher tier for firms with at most `small_firm_employees_max` staff."""
    small_firm_employees_max: int = 99


@dataclass(frozen=True, slots=True)
class Quoted:
    """Quoted prices of the fast mode: the ask up to a share of use, rising exponentially from there.

    At use u of a slot, the price is ``ask * top ** max(0, (u - knee) / (1 - knee))``.
    """

    knee: float = 0.95
    top: float = 2.0
    """With these the fast mode is nearest to the exact one (docs/lab.md): rounds, and admissions between them, sell at
    the ask until little is left."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario."""

    title: Text
    fleet: Fleet
    demand: Demand
    firms: Firms = field(default_factory=Firms)
    programmes: tuple[ProgrammeChange, ...] = ()
    coupling: Reach = Reach.FULL
    link_ucny_per_gb: int = 0
    """Between regions, where the fleet's book has no links of its own."""
    carbon_ucny_per_kg: int = 0
    """Carbon price in the market's objective (design 4.4); needs watts, PUE and grid factor of every pool."""
    allocator: Allocator = Allocator.MARKET
    mode: Mode = Mode.FAST
    round_every_h: int = 24
    horizon_h: int = 336
    """Slots of each round of the exact mode; at least the longest job and `round_every_h`."""
    admit_every_h: int = 1
    """Hours between two admissions of the exact mode: between rounds, arrivals are admitted at the posted prices of the
    last one (design 4.9); 0: never, orders wait for a round."""
    clock: Clock = Clock.SECONDS
    quoted: Quoted = field(default_factory=Quoted)
    warm_up_h: int = 0
    """Hours at the beginning that no measure counts."""
    start: datetime = datetime(2025, 11, 2, 16, tzinfo=UTC)
    """Instant of hour 0; decides which programmes are in force."""
    seed: int = 1
    document: Marked | None = field(default=None, compare=False, repr=False)
    """The file that it was read from, so that a problem found later can still name its line."""

    def problem(self, code: str, path: str, found: object, expected: Text, fix: Text | None = None) -> Problem:
        """Return a problem with a field of the scenario, at its place in the file where there is one."""
        if self.document is None:
            return Problem(code, "scenario", None, path, shown(found), expected, fix)
        return self.document.problem(code, path, found, expected, fix)
