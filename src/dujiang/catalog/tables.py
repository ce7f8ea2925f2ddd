"""The catalogue's tables as typed records: hubs, accelerators, grid factors, prices, distances, statistics, unit costs.

Each row says where its figures come from, of what date they are, and whether anybody published them. What the columns
mean, in which unit and under which licence, stands in `data/tables.yaml`.

A city can keep a folder of its own with tables of the same names and columns: every reader takes such folders as
`extra`, and a row there replaces the row of the same `id` as a whole, so that figures never lose their own source.
Later folders win. The package's tables are read once, extra folders on each call.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from typing import ClassVar, Literal

from dujiang.catalog.rows import Quality, Row, read_table


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub(Row):
    """One of the eight national hub nodes (枢纽)."""

    TABLE: ClassVar[str] = "hubs"

    name_en: str
    name_zh: str
    side: Literal["east", "west"]
    """Side of "data from the east, compute in the west"; Chengdu-Chongqing is planned with the east."""
    provinces: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster(Row):
    """One of the ten data-centre clusters (集群) of the hubs."""

    TABLE: ClassVar[str] = "clusters"
    FIGURES: ClassVar[tuple[str, ...]] = ("latitude", "longitude", "start_area", "pue_limit")

    hub: str
    name_en: str
    name_zh: str
    province: str
    grid_province: str
    """Province whose grid factor applies (`GridFactor.area`)."""
    anchor: str
    """Place that the coordinates stand for."""
    latitude: float
    """Degrees north, of the anchor city: 5 to 30 km off a real campus."""
    longitude: float
    coordinates_source: str
    coordinates_quality: Quality
    start_area: tuple[str, ...] = ()
    pue_limit: float | None = None
    """Facility over IT energy that a new data centre may not exceed."""
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator(Row):
    """One type of accelerator card or module. Peaks are dense FP16 or BF16, never the sparse figure."""

    TABLE: ClassVar[str] = "accelerators"
    FIGURES: ClassVar[tuple[str, ...]] = (
        "memory_gb",
        "memory_bandwidth_gb_per_s",
        "fp16_bf16_dense_tflops",
        "tdp_w",
        "interconnect_gb_per_s",
    )

    vendor: str
    model: str
    domestic: bool
    """Whether its vendor has its seat in mainland China."""
    form_factor: str | None = None
    memory_gb: float | None = None
    memory_type: str | None = None
    memory_bandwidth_gb_per_s: float | None = None
    fp16_bf16_dense_tflops: float | None = None
    tdp_w: float | None = None
    interconnect_gb_per_s: float | None = None
    software_stack: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RentalPrice(Row):
    """A price or range of prices at which accelerators were rented out."""

    TABLE: ClassVar[str] = "rental_prices"
    FIGURES: ClassVar[tuple[str, ...]] = ("low", "high")

    model: str
    """As the source names it."""
    accelerator: str | None = None
    """Nearest accelerator of the catalogue; None: more than one."""
    low: float
    high: float
    unit: str
    """Currency and what is paid for; sources differ, so nothing is converted."""
    basis: str
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GridFactor(Row):
    """CO2 that a kilowatt-hour from the grid of an area caused, in one year."""

    TABLE: ClassVar[str] = "grid_factors"
    FIGURES: ClassVar[tuple[str, ...]] = ("kgco2_per_kwh",)

    level: Literal["province", "region", "nation"]
    area: str
    area_en: str
    variant: Literal["average", "without-market-green", "fossil"]
    """All power; without the green power that is sold separately; fossil power only."""
    year: int
    kgco2_per_kwh: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Link(Row):
    """Two clusters and the least time that light in fibre needs between them. All of it is computed, not measured."""

    TABLE: ClassVar[str] = "links"
    FIGURES: ClassVar[tuple[str, ...]] = ("km", "one_way_theory_ms", "one_way_limit_ms")

    a: str
    b: str
    km: float
    """Great circle between the anchors."""
    one_way_theory_ms: float
    """The distance at 200 km/ms."""
    one_way_limit_ms: float
    """1.5 times the theory: what the national action plan asks of a direct link."""

    @property
    def computed_rtt_theory_ms(self) -> float:
        """Round-trip time that no straight fibre can beat. Computed from distance, not measured."""
        return 2 * self.one_way_theory_ms

    @property
    def computed_rtt_limit_ms(self) -> float:
        """Round-trip time of a direct link that just meets the plan's limit. Computed from distance, not measured."""
        return 2 * self.one_way_limit_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkFigure(Row):
    """A target, measurement or assumption about the network between hubs."""

    TABLE: ClassVar[str] = "network"
    FIGURES: ClassVar[tuple[str, ...]] = ("value",)

    kind: Literal["target", "measurement", "assumption"]
    value: float
    unit: str
    en: str
    zh: str
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceStatistic(Row):
    """What the owners of a GPU cluster published about the jobs on it; no job of theirs is in the catalogue."""

    TABLE: ClassVar[str] = "trace_statistics"
    FIGURES: ClassVar[tuple[str, ...]] = (
        "gpus_installed",
        "mean_gpus_in_service",
        "jobs",
        "mean_gpus_per_job",
        "median_gpus_per_job",
        "mean_run_s",
        "median_run_s",
        "mean_queue_s",
        "median_queue_s",
        "completed_share",
        "cancelled_share",
        "failed_share",
    )

    cluster: str
    gpus_installed: int | None = None
    mean_gpus_in_service: float | None = None
    jobs: int | None = None
    mean_gpus_per_job: float | None = None
    median_gpus_per_job: float | None = None
    mean_run_s: float | None = None
    median_run_s: float | None = None
    mean_queue_s: float | None = None
    median_queue_s: float | None = None
    completed_share: float | None = None
    cancelled_share: float | None = None
    failed_share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CapitalFigure(Row):
    """A unit cost or rate from which the capital need of an AI project is estimated, as a range."""

    TABLE: ClassVar[str] = "capital_need"
    FIGURES: ClassVar[tuple[str, ...]] = ("low", "expected", "high")

    low: float
    expected: float | None = None
    """None: the source names two ends only."""
    high: float
    unit: str
    en: str
    zh: str
    note: str | None = None


TABLES: tuple[type[Row], ...] = (
    Accelerator,
    CapitalFigure,
    Cluster,
    GridFactor,
    Hub,
    Link,
    NetworkFigure,
    RentalPrice,
    TraceStatistic,
)
"""Record of each table."""


def hubs(extra: Sequence[Traversable] = ()) -> Mapping[str, Hub]:
    """Return the national hubs by id. All readers raise `InputError` for a bad extra folder."""
    return read_table(Hub, extra)


def clusters(extra: Sequence[Traversable] = ()) -> Mapping[str, Cluster]:
    """Return the data-centre clusters by id."""
    return read_table(Cluster, extra)


def accelerators(extra: Sequence[Traversable] = ()) -> Mapping[str, Accelerator]:
    """Return the accelerators by id."""
    return read_table(Accelerator, extra)


def capital_need(extra: Sequence[Traversable] = ()) -> Mapping[str, CapitalFigure]:
    """Return the unit costs and rates of the estimate of capital need by id."""
    return read_table(CapitalFigure, extra)


def rental_prices(extra: Sequence[Traversable] = ()) -> Mapping[str, RentalPrice]:
    """Return the rental price points by id."""
    return read_table(RentalPrice, extra)


def grid_factors(extra: Sequence[Traversable] = ()) -> Mapping[str, GridFactor]:
    """Return the emission factors of all areas and years by id."""
    return read_table(GridFactor, extra)


def links(extra: Sequence[Traversable] = ()) -> Mapping[str, Link]:
    """Return the computed distances between clusters by id."""
    return read_table(Link, extra)


def network(extra: Sequence[Traversable] = ()) -> Mapping[str, NetworkFigure]:
    """Return the network targets and measurements by id."""
    return read_table(NetworkFigure, extra)


def trace_statistics(extra: Sequence[Traversable] = ()) -> Mapping[str, TraceStatistic]:
    """Return the published cluster statistics by id."""
    return read_table(TraceStatistic, extra)


def grid_factor(area: str, year: int | None = None, extra: Sequence[Traversable] = ()) -> GridFactor | None:
    """Return the average factor of an area (Chinese name, as in `Cluster.grid_province`), by default the newest.

    None: the catalogue has none for that area and year; no other area or year is put in its place.
    """
    found = [
        row
        for row in grid_factors(extra).values()
        if row.area == area and row.variant == "average" and year in (None, row.year)
    ]
    return max(found, key=lambda row: row.year, default=None)


def link_between(a: str, b: str, extra: Sequence[Traversable] = ()) -> Link | None:
    """Return the link of two clusters, in either order; None for one cluster with itself or an unknown one."""
    return next((link for link in links(extra).values() if {link.a, link.b} == {a, b}), None)
