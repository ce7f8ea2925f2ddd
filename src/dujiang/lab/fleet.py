"""Where capacity comes from: virtual clusters of the trace, a list of nodes, or the centres and pools of a book."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from dujiang.core.errors import InputError
from dujiang.core.marked import Marked
from dujiang.core.money import MICRO
from dujiang.core.problem import Problem, ProblemList, did_you_mean
from dujiang.core.slots import ceil_div
from dujiang.core.text import Text
from dujiang.lab.demand import Arrivals, Source
from dujiang.lab.draws import Int
from dujiang.lab.scenario import Fleet, Growth, Scenario
from dujiang.registry.cells import parse_cells
from dujiang.registry.columns import Column, book_columns
from dujiang.registry.header import MAX_SLOTS
from dujiang.registry.parse import parse_book
from dujiang.registry.raw import RawBook, RawTable
from dujiang.store.read_book import cannot_open, parse_csv, parse_parquet, read_bytes, read_table

MAX_POOL = 10_000_000
"""Accelerators of a pool, as in a book."""
UNKNOWN = "unknown"
"""Accelerator type where nobody says which."""
_HEADER = Marked("book.yaml", {"start": "2000-01-01T00:00:00Z", "slots": MAX_SLOTS})
"""Fleets are checked without a round of their own: any slot that a book can have may stand in `capacity`."""
_NODE_COLUMNS = (
    Column("nodes", "cluster", "cluster", "id", True, "", None, None, None, "Cluster", "集群"),
    Column("nodes", "gpu_type", "gpu_type", "name", False, "", None, None, None, "Accelerator type", "加速卡型号"),
    Column("nodes", "gpus", "gpus", "int", True, "accelerators", None, "0", "100000", "Accelerators", "卡数"),
)


@dataclass(frozen=True, slots=True, eq=False)
class Capacity:
    """A checked fleet; tables have the stored columns of a book."""

    centres: pl.DataFrame
    """By centre_id."""
    pools: pl.DataFrame
    """By pool_id; accelerators as they stand there, own use included."""
    exceptions: pl.DataFrame
    """Rows of `capacity`, by (pool_id, slot); without growth."""
    links: pl.DataFrame
    """By (origin_region, region)."""
    weight: Mapping[str, float]
    """Share of each centre in the accelerators, of virtual clusters in the load, which no choice of capacity changes.
    Sums to one."""
    assumptions: Mapping[str, object]
    """Entry of `data/assumptions.yaml` -> value."""
    files: Mapping[str, str]
    """SHA-256 by name."""

    @property
    def mean_ask_ucny(self) -> int:
        """Mean ask by `weight`, micro-yuan per GPU-hour, at least one; inside a centre by accelerators."""
        pools = self.pools.select("centre_id", "gpus", "ask_ucny_per_gpu_hour")
        total = 0.0
        for centre, weight in self.weight.items():
            mine = pools.filter(pl.col("centre_id") == centre)
            gpus, ask = mine["gpus"].to_numpy(), mine["ask_ucny_per_gpu_hour"].to_numpy()
            if gpus.sum():
                total += weight * float((gpus / gpus.sum() * ask).sum())
        return max(1, round(total))


def stated_fleet(scenario: Scenario) -> Capacity | None:
    """Read the fleet of a book or a list of nodes; None where virtual clusters are the centres.

    Raises
    ------
    InputError : with every problem of the files
    """
    if scenario.fleet.book is not None:
        return _from_book(scenario.fleet.book)
    return None if scenario.fleet.nodes is None else _from_nodes(scenario.fleet.nodes)


def fleet_of(scenario: Scenario, stated: Capacity | None, source: Source, arrivals: Arrivals) -> Capacity:
    """Return the fleet, with what the scenario says about it.

    Parameters
    ----------
    scenario : the scenario
    stated : the fleet that was read; None: virtual clusters of the demand are the centres
    source, arrivals : the demand

    Raises
    ------
    InputError : the scenario names centres that are not there, nothing is there, or a cluster would be too large
    """
    fleet = scenario.fleet
    found = _per_vc(scenario, source, arrivals) if stated is None else stated
    problems = _strangers(scenario, found.centres["centre_id"].to_list())
    most = int(found.pools["gpus"].cast(pl.Int64).to_numpy().max(initial=0))
    for index, step in enumerate(fleet.growth):
        if most * step.share_ppm > MAX_POOL * MICRO:
            expected = Text(f"pools of at most {MAX_POOL} accelerators", f"单个资源池不超过 {MAX_POOL} 张卡")
            path, multiple = f"fleet.growth.{index}.multiple", step.share_ppm / MICRO
            problems.append(scenario.problem("out-of-range", path, multiple, expected))
    if not found.pools["gpus"].sum():
        expected = Text("at least one accelerator in the fleet", "至少一张加速卡")
        problems.append(scenario.problem("no-capacity", "fleet", 0, expected))
    if problems:
        raise InputError(problems)
    hours = int(found.pools["gpus"].sum()) * source.window_h
    asked = sum(load.gpu_hours for load in loads_of(source.vcs, arrivals).values())
    load = {"load": round(asked / hours, 4), **_as_mapping(found.assumptions.get("load"))}
    return _filled_in(fleet, replace(found, assumptions={**found.assumptions, "load": load}))


def _as_mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


# ---- virtual clusters ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Load:
    """What the jobs of one virtual cluster need, each from the first full hour after its submission."""

    gpu_hours: int
    """Accelerators times whole hours."""
    largest_gpus: int
    """Accelerators of the largest job, of those too that come at low prices only."""
    peak_gpus: int
    """Most accelerators at once if every job started right then."""


def loads_of(vcs: Sequence[str], arrivals: Arrivals) -> dict[str, Load]:
    """Return the load of each virtual cluster by its name; jobs that come at low prices only do not count."""
    jobs = arrivals.jobs
    largest = np.zeros(len(vcs), dtype=np.int64)
    np.maximum.at(largest, jobs.vc, jobs.gpus)
    real = np.flatnonzero(~arrivals.latent)
    gpus, hours, vc = jobs.gpus[real], arrivals.hours[real], jobs.vc[real]
    begin = -(-jobs.submit_s[real] // 3600)
    order = np.argsort(vc, kind="stable")
    ends = np.cumsum(np.bincount(vc, minlength=len(vcs))).tolist()
    found = {}
    for name, most, first, last in zip(vcs, largest.tolist(), [0, *ends[:-1]], ends, strict=True):
        mine = order[first:last]
        steps = np.zeros(int((begin[mine] + hours[mine]).max(initial=0)) + 1, dtype=np.int64)
        np.add.at(steps, begin[mine], gpus[mine])
        np.subtract.at(steps, begin[mine] + hours[mine], gpus[mine])
        work = int((gpus[mine] * hours[mine]).sum())
        found[name] = Load(work, most, int(steps.cumsum().max()))
    return found


def _per_vc(scenario: Scenario, source: Source, arrivals: Arrivals) -> Capacity:
    fleet = scenario.fleet
    loads = loads_of(source.vcs, arrivals)
    total = max(1, sum(load.gpu_hours for load in loads.values()))
    gpus = {name: _accelerators(fleet, load, source.recorded_gpus.get(name), source) for name, load in loads.items()}
    largest = max(gpus.values())
    if largest > MAX_POOL:
        expected = Text(f"virtual clusters of at most {MAX_POOL} accelerators", f"单个虚拟集群不超过 {MAX_POOL} 张卡")
        raise InputError([scenario.problem("out-of-range", "fleet.per_vc", largest, expected)])
    if fleet.multiple_ppm is not None:
        how: tuple[str, object] = ("per_vc/multiple", fleet.multiple_ppm / MICRO)
    else:
        how = ("per_vc/recorded" if source.recorded_gpus else "per_vc/observed_peak", sum(gpus.values()))
    pools = [(name, UNKNOWN, count) for name, count in gpus.items() if count]
    checked = _checked(_made(pools, "-gpus"))
    by_vc = {
        name: {"gpus": gpus[name], "load": round(each.gpu_hours / (gpus[name] * source.window_h), 4)}
        for name, each in loads.items()
        if gpus[name]
    }
    return replace(
        checked,
        weight={name: each.gpu_hours / total for name, each in loads.items() if gpus[name]},
        assumptions={how[0]: how[1], "load": {"by_vc": by_vc}, "accelerator": UNKNOWN},
    )


def _accelerators(fleet: Fleet, load: Load, recorded: int | None, source: Source) -> int:
    if fleet.multiple_ppm is not None:
        return max(load.largest_gpus, ceil_div(fleet.multiple_ppm * load.gpu_hours, MICRO * source.window_h))
    return max(load.largest_gpus, load.peak_gpus if recorded is None else recorded)


def _made(pools: Sequence[tuple[str, str, int]], suffix: str | None = None) -> dict[str, RawTable]:
    """Return the tables of centres and pools, given as (centre, accelerator type, count)."""
    centres = sorted({centre for centre, _, _ in pools})
    named = [f"{centre}{suffix}" if suffix is not None else f"{centre}-{kind}" for centre, kind, _ in pools]
    frame = pl.DataFrame(pools, schema=["centre_id", "accelerator", "gpus"], orient="row")
    tables = {
        "centres": pl.DataFrame({"centre_id": centres, "region": ["-"] * len(centres), "name": centres}),
        "pools": frame.with_columns(pl.Series("pool_id", named), ask_cny_per_gpu_hour=0.0),
    }
    return {name: RawTable(name, "parquet", table) for name, table in tables.items()}


# ---- a list of nodes -----------------------------------------------------------------------------------------------


def _from_nodes(path: Path) -> Capacity:
    """Sum a list of nodes by cluster and type; nodes without accelerators do not count."""
    try:
        data = read_bytes(path)
    except OSError as error:
        raise InputError([cannot_open(path.name, error)]) from error
    is_parquet = data[:4] == b"PAR1" or path.suffix == ".parquet"
    table, problems = (parse_parquet if is_parquet else parse_csv)(path.name, data)
    if table is None:
        raise InputError(problems)
    found = ProblemList()
    columns = []
    for column in _NODE_COLUMNS:
        if column.column in table.frame.columns:
            columns.append(parse_cells(table, column, found))
        elif column.required:
            expected = Text(f"a column '{column.column}' ({column.en})", f"列“{column.column}”（{column.zh}）")
            hint = did_you_mean(column.column, table.frame.columns)
            found.add(Problem("missing-column", path.name, None, column.column, "no such column", expected, hint))
        else:
            columns.append(pl.Series(column.stored, [None] * table.frame.height, dtype=pl.String))
    if found:
        raise InputError(found)
    frame = pl.DataFrame(columns).with_columns(pl.col("gpu_type").fill_null(UNKNOWN)).filter(pl.col("gpus") > 0)
    pools = frame.group_by("cluster", "gpu_type").agg(pl.col("gpus").sum()).sort("cluster", "gpu_type")
    if pools.is_empty():
        expected = Text("at least one node with accelerators", "至少一个有加速卡的节点")
        raise InputError([Problem("no-capacity", path.name, None, "gpus", "none", expected)])
    checked = _checked(_made(pools.rows()))
    sha256 = hashlib.sha256(data).hexdigest()
    counts = {"file": path.name, "nodes": frame.height, "gpus": int(pools["gpus"].sum()), "sha256": sha256}
    return replace(checked, assumptions={"nodes": counts}, files={path.name: sha256})


# ---- a book --------------------------------------------------------------------------------------------------------

_OF_A_BOOK = ("centres", "pools", "capacity", "links")


def _from_book(folder: Path) -> Capacity:
    """Read centres, pools, capacity and links of a book; its demand, if it has any, is not looked at."""
    problems = ProblemList()
    if not folder.is_dir():
        expected = Text("a folder with centres and pools", "含 centres 与 pools 的文件夹")
        raise InputError([Problem("unreadable", folder.name, None, None, "no such folder", expected)])
    tables, files, broken = {}, {}, set()
    for name in _OF_A_BOOK:
        table, found = read_table(folder, name)
        problems.extend(found)
        broken |= {name} if found else set()
        if table is not None:
            tables[name] = table
            files[f"{folder.name}/{table.file}"] = hashlib.sha256(read_bytes(folder / table.file)).hexdigest()
    try:
        checked = _checked(tables, problems, frozenset(broken))
    except InputError as error:
        raise InputError(replace(p, file=f"{folder.name}/{p.file}") for p in error.problems) from error
    gpus = int(checked.pools["gpus"].sum())
    value = {"folder": folder.name, "centres": checked.centres.height, "gpus": gpus}
    return replace(checked, assumptions={"book": value}, files=files)


def _checked(
    tables: Mapping[str, RawTable], problems: ProblemList | None = None, broken: frozenset[str] = frozenset()
) -> Capacity:
    """Let the reader of books check the tables of a fleet, with nobody asking for anything.

    Raises
    ------
    InputError : with the problems given and all that are found
    """
    problems = ProblemList() if problems is None else problems
    nobody = {
        name: RawTable(
            name, "parquet", pl.DataFrame(schema={c.column: pl.String() for c in book_columns()[name] if c.required})
        )
        for name in ("enterprises", "orders")
    }
    book = parse_book(RawBook(_HEADER, {**tables, **nobody}, unreadable=broken), problems)
    if book is None:
        raise InputError(problems)
    by_centre = book.pools.group_by("centre_id").agg(pl.col("gpus").sum()).sort("centre_id")
    total = max(1, int(by_centre["gpus"].sum()))
    weight = {centre: gpus / total for centre, gpus in by_centre.iter_rows()}
    return Capacity(book.centres, book.pools, book.capacity, book.links, weight, {}, {})


# ---- what the scenario says beside ---------------------------------------------------------------------------------


def _strangers(scenario: Scenario, known: list[str]) -> list[Problem]:
    """Return a problem for each centre that the scenario names and the fleet does not have."""
    fleet = scenario.fleet
    places = [(f"fleet.regions.{name}", name) for name in fleet.region_of]
    places += [(f"fleet.asks.{name}", name) for name in fleet.ask_of]
    places += [(f"fleet.growth.{i}.centre", step.centre_id) for i, step in enumerate(fleet.growth)]
    places += [(f"fleet.outages.{i}.centre", outage.centre_id) for i, outage in enumerate(fleet.outages)]
    places += [(f"demand.origins.{name}", name) for name in scenario.demand.origins]
    expected = Text("a centre of the fleet", "机群中的中心")
    return [
        scenario.problem("no-such-centre", path, name, expected, did_you_mean(name, known))
        for path, name in places
        if name not in known
    ]


def _filled_in(fleet: Fleet, found: Capacity) -> Capacity:
    """Put the scenario's regions, asks and figures where the fleet has none of its own; a book's regions stay."""
    own = fleet.book is not None
    region = [
        fleet.region_of.get(centre, given if own else fleet.region)
        for centre, given in found.centres.select("centre_id", "region").iter_rows()
    ]
    centres = found.centres.with_columns(
        pl.Series("region", region, dtype=pl.String),
        pl.col("pue").fill_null(pl.lit(fleet.pue, dtype=pl.Float64())),
        pl.col("grid_kgco2_per_kwh").fill_null(pl.lit(fleet.grid_kgco2_per_kwh, dtype=pl.Float64())),
    )
    asks = [
        fleet.ask_of.get(centre, ask if own else fleet.ask_ucny_per_gpu_hour)
        for centre, ask in found.pools.select("centre_id", "ask_ucny_per_gpu_hour").iter_rows()
    ]
    pools = found.pools.with_columns(
        pl.Series("ask_ucny_per_gpu_hour", asks, dtype=pl.Int64),
        pl.col("watts_per_gpu").fill_null(pl.lit(fleet.watts_per_gpu, dtype=pl.Float64())),
    )
    return replace(found, centres=centres, pools=pools)


def offered(fleet: Fleet, found: Capacity, slots: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return what of the fleet is on offer: pools less own use, and the hours in which capacity differs from that.

    Parameters
    ----------
    fleet : growth and own use
    found : the fleet
    slots : hours of the run

    Returns
    -------
    frames of `pools` and of `capacity` with the stored columns of a book
    """
    exceptions = found.exceptions.filter(pl.col("slot") < slots)
    steps: dict[str, list[Growth]] = {}
    for step in fleet.growth:
        steps.setdefault(step.centre_id, []).append(step)
    growing = found.pools.filter(pl.col("centre_id").is_in(list(steps)))
    frames = [exceptions.filter(~pl.col("pool_id").is_in(growing["pool_id"].to_list()))]
    for pool, centre, gpus in growing.select("pool_id", "centre_id", "gpus").iter_rows():
        own = exceptions.filter(pl.col("pool_id") == pool)
        frames.append(_grown(pool, gpus, own, _share_by_slot(steps[centre], slots)).select(exceptions.columns))
    left = pl.col("gpus") - pl.col("gpus") * fleet.own_use_ppm // MICRO
    return found.pools.with_columns(left), pl.concat(frames).with_columns(left)


def _grown(pool: str, gpus: int, own: pl.DataFrame, share: Int) -> pl.DataFrame:
    """Return the hours in which a pool that grows has other accelerators than at the start, or an ask of their own."""
    stands = np.full(share.size, gpus, dtype=np.int64)
    stands[own["slot"].to_numpy()] = own["gpus"].to_numpy()
    there = pl.DataFrame({"pool_id": pool, "slot": np.arange(share.size), "gpus": stands * share // MICRO})
    there = there.join(own.select("slot", "ask_ucny_per_gpu_hour"), on="slot", how="left", maintain_order="left")
    return there.filter((pl.col("gpus") != gpus) | pl.col("ask_ucny_per_gpu_hour").is_not_null())


def _share_by_slot(steps: list[Growth], slots: int) -> Int:
    """Return capacity over that at the start in each hour, millionths; the latest step counts, of equals the last."""
    share = np.full(slots, MICRO, dtype=np.int64)
    for step in sorted(steps, key=lambda each: each.from_h):
        share[step.from_h :] = step.share_ppm
    return share


def file_frame(table: str, stored: pl.DataFrame) -> pl.DataFrame:
    """Return a table of a checked book with the columns of the files, as the reader of books takes it."""
    columns = book_columns()[table]
    scaled = {c.stored for c in columns if c.type in ("micro", "money")}
    return stored.select(
        (pl.col(c.stored) / MICRO if c.stored in scaled else pl.col(c.stored)).alias(c.column) for c in columns
    )
