"""From a scenario to a case: demand, fleet, firms and programmes as one checked book for the whole run."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import polars as pl

from dujiang.catalog.tables import accelerators
from dujiang.core.errors import InputError
from dujiang.core.marked import Marked
from dujiang.core.money import FEN, MAX_UCNY, MICRO, cny
from dujiang.core.problem import Problem, ProblemList
from dujiang.core.slots import instant_text
from dujiang.core.text import Text
from dujiang.lab.case import NO_DEADLINE, Case, Int, Jobs
from dujiang.lab.demand import FOREVER, HOUR_S, Arrivals, Source, arrivals_of, source_of_log, willingness_of
from dujiang.lab.firms import Askers, askers_of
from dujiang.lab.fleet import Capacity, file_frame, fleet_of, offered, stated_fleet
from dujiang.lab.generator import made_like_published, made_like_trace
from dujiang.lab.offers import Offered, offers_of
from dujiang.lab.scenario import SERIES, Allocator, Mode, Reach, Scenario
from dujiang.lab.series_jobs import source_of_series
from dujiang.market.outcome import Coupling
from dujiang.policy.evaluate import Status
from dujiang.policy.explain import voucher_status
from dujiang.policy.terms import VoucherTerms, voucher_terms
from dujiang.registry.book import Book
from dujiang.registry.header import MAX_SLOTS
from dujiang.registry.parse import parse_book
from dujiang.registry.raw import RawBook, RawTable
from dujiang.sim.assumption import assumed, sentences

_PACKAGE = "dujiang.lab"
_KIND = "scenario"


def make_case(scenario: Scenario) -> Case:
    """Make a case of a scenario.

    Raises
    ------
    InputError : with every problem of the trace, the fleet and the programmes that can be seen at once

    Notes
    -----
    The same scenario and files give the same case. Draws depend on the seed and the demand alone (`draws`).
    """
    problems: list[Problem] = []
    with _collected(problems):
        programmes = offers_of(scenario)
    with _collected(problems):
        stated = stated_fleet(scenario)
    with _collected(problems):
        source = _source(scenario)
        arrivals = arrivals_of(scenario, source)
    if problems:
        raise InputError(problems)
    fleet = fleet_of(scenario, stated, source, arrivals)
    problems = _missing_for_carbon(scenario, fleet)
    if problems:
        raise InputError(problems)
    return _put_together(scenario, source, arrivals, fleet, programmes)


@contextmanager
def _collected(problems: list[Problem]) -> Iterator[None]:
    """Keep the problems of a part, so that those of the others are found too."""
    try:
        yield
    except InputError as error:
        problems += error.problems


def _source(scenario: Scenario) -> Source:
    """Read the demand, or make it up."""
    if scenario.demand.trace is None:
        return made_like_published(scenario)
    if scenario.demand.trace_format == SERIES:
        return source_of_series(scenario, scenario.demand.trace)
    source = source_of_log(scenario, scenario.demand.trace)
    return source if scenario.demand.generate_h is None else made_like_trace(scenario, source)


def _missing_for_carbon(scenario: Scenario, fleet: Capacity) -> list[Problem]:
    """Return a problem for each figure that a carbon price needs and some part of the fleet does not have."""
    if not scenario.carbon_ucny_per_kg:
        return []
    expected = Text("a value, because carbon.cny_per_kg is set", "因设置了 carbon.cny_per_kg 而需要填写")
    columns = {
        "watts_per_gpu": fleet.pools["watts_per_gpu"],
        "pue": fleet.centres["pue"],
        "grid_kgco2_per_kwh": fleet.centres["grid_kgco2_per_kwh"],
    }
    return [
        scenario.problem("missing-field", f"fleet.{name}", None, expected)
        for name, column in columns.items()
        if column.null_count()
    ]


def _put_together(scenario: Scenario, source: Source, arrivals: Arrivals, fleet: Capacity, programmes: Offered) -> Case:
    if scenario.warm_up_h >= source.window_h:
        expected = Text(f"fewer hours than the window has ({source.window_h})", f"少于时间窗的 {source.window_h} 小时")
        raise InputError([scenario.problem("out-of-range", "warm_up_h", scenario.warm_up_h, expected)])
    centres = fleet.centres["centre_id"].to_list()
    origins = scenario.demand.origins or fleet.weight
    weights = np.array([origins.get(name, 0.0) for name in centres], dtype=np.float64)
    askers = askers_of(scenario, source, arrivals, centres, weights)
    reference = scenario.firms.reference_ucny_per_gpu_hour
    reference = fleet.mean_ask_ucny if reference is None else reference
    limits = _limits(scenario, arrivals, reference)
    when = _when(scenario, source, arrivals, fleet)
    orders = _orders(scenario, arrivals, askers, fleet, limits, when)
    book = _book(scenario, fleet, askers, programmes, orders, when.slots)
    domestic = {name: record.domestic for name, record in accelerators().items()}
    chosen = list(programmes.programmes.values())
    terms = voucher_terms(book, chosen, {}, domestic=domestic)
    _check_offered(scenario, book, terms, programmes, domestic)
    jobs = Jobs(
        submit_s=arrivals.jobs.submit_s,
        run_s=arrivals.jobs.run_s,
        deadline_s=when.deadline_s,
        origin=askers.origin.astype(np.int32),
        firm=askers.firm.astype(np.int32),
    )
    assert book.orders["order_id"].equals(arrivals.jobs.job_id.alias("order_id")), "jobs are in the order of the book"
    return Case(
        scenario=scenario,
        book=book,
        coupling=Coupling.FULL if scenario.coupling is Reach.FULL else Coupling.ISOLATED,
        terms=terms,
        programmes=programmes.programmes,
        domestic=domestic,
        jobs=jobs,
        region_of=tuple(book.centres["region"].to_list()),
        outages=scenario.fleet.outages,
        window_h=source.window_h,
        assumptions=_assumptions(scenario, source, arrivals, fleet, askers, programmes, reference),
        sources={**source.files, **fleet.files, **programmes.files},
        measured=source.measured,
        remarks=source.remarks,
        unknown=tuple(sentences(_PACKAGE)["unknown"][name] for name in source.unknown),
    )


# ---- windows and limits --------------------------------------------------------------------------------------------


class _When(NamedTuple):
    """When jobs may run; one entry each."""

    release: Int
    """First full hour after submission."""
    deadline: Int
    """Slot before which it must have ended."""
    deadline_s: Int
    slots: int
    """Of the book."""


def _when(scenario: Scenario, source: Source, arrivals: Arrivals, fleet: Capacity) -> _When:
    """Place windows: whole hours from the first full hour after submission, the same for every way to allocate.

    Raises
    ------
    InputError : the run would be longer than a book can be
    """
    demand = scenario.demand
    release = -(-arrivals.jobs.submit_s // HOUR_S)
    # Where every pool is slower than the reference, nothing could end within its own run time.
    fastest = min(MICRO, int(fleet.pools["speed_micro"].cast(pl.Int64).to_numpy().max()))
    run = -(-_hours_micro(arrivals) // fastest)
    last = int((release + run).max())
    if last > MAX_SLOTS:
        expected = Text(
            f"a window that, with the longest job after it, has at most {MAX_SLOTS} h",
            f"时间窗连同其后最长作业不超过 {MAX_SLOTS} 小时",
        )
        path = "demand.to_s" if demand.generate_h is None else "demand.generate_h"
        raise InputError([scenario.problem("too-long", path, f"{last} h", expected)])
    patience_s = arrivals.jobs.patience_s
    leaves_s = np.where(patience_s < FOREVER, arrivals.jobs.submit_s + patience_s + arrivals.jobs.run_s, NO_DEADLINE)
    # The market cannot serve anybody in less than the whole hours that the job holds.
    leaves = np.maximum(-(-leaves_s // HOUR_S), release + run)
    if demand.stretch is None:
        slots = min(MAX_SLOTS, 2 * source.window_h + int(run.max()))
        return _When(release, np.minimum(leaves, slots), leaves_s, slots)
    deadline = release + np.ceil(np.round(run * demand.stretch, 6)).astype(np.int64) + demand.slack_h
    deadline = np.minimum(deadline, MAX_SLOTS)
    deadline_s = np.minimum(deadline * HOUR_S, leaves_s)
    return _When(release, np.minimum(deadline, leaves), deadline_s, max(source.window_h, int(deadline.max())))


def _hours_micro(arrivals: Arrivals) -> Int:
    """Return run times in millionths of an hour, rounded up: exact where the run is whole hours in some pool."""
    return -(-arrivals.jobs.run_s * (MICRO // 400) // (HOUR_S // 400))


def _limits(scenario: Scenario, arrivals: Arrivals, reference_ucny: int) -> Int:
    """Return what each job's firm would pay at most, micro-yuan in whole fen, at least one.

    Raises
    ------
    InputError : a limit is above a billion yuan
    """
    gpu_hours = (arrivals.jobs.gpus * arrivals.hours).astype(np.float64)
    fen = np.rint(willingness_of(scenario, arrivals) * gpu_hours * (reference_ucny / (MICRO * FEN)))
    limits = np.maximum(1, np.minimum(fen, MAX_UCNY)).astype(np.int64) * FEN
    if limits.max() > MAX_UCNY:
        most = cny(MAX_UCNY)
        expected = Text(f"limits of at most {most} CNY", f"限价不超过 {most} 元")
        found = f"a limit of {fen.max() * FEN / MICRO:.4g} CNY"
        raise InputError([scenario.problem("out-of-range", "firms.willingness", found, expected)])
    return limits


# ---- the book ------------------------------------------------------------------------------------------------------


def _orders(
    scenario: Scenario, arrivals: Arrivals, askers: Askers, fleet: Capacity, limits: Int, when: _When
) -> pl.DataFrame:
    """Return the orders with the columns of a book's file."""
    jobs = arrivals.jobs
    isolated = scenario.coupling is Reach.ISOLATED
    columns = {
        "order_id": jobs.job_id,
        "enterprise_id": askers.table["enterprise_id"][askers.firm],
        "gpus": jobs.gpus,
        "hours": _hours_micro(arrivals) / MICRO,
        "release": when.release,
        "deadline": when.deadline,
        "limit_cny": limits / MICRO,
        "submitted": _instants(scenario, jobs.submit_s),
        "origin_centre": fleet.centres["centre_id"][askers.origin],
    }
    if not isolated:  # without a region, isolated coupling serves a job in its own centre only, and nothing is moved
        columns["origin_region"] = fleet.centres["region"][askers.origin]
        if scenario.demand.data_gb:
            columns["data_gb"] = np.full(jobs.submit_s.size, round(scenario.demand.data_gb, 6))
    return pl.DataFrame(columns)


def _instants(scenario: Scenario, second: Int) -> pl.Series:
    start_us = int(scenario.start.timestamp()) * 1_000_000
    return pl.Series(start_us + second * 1_000_000).cast(pl.Datetime("us", "UTC"))


def _book(
    scenario: Scenario, fleet: Capacity, askers: Askers, programmes: Offered, orders: pl.DataFrame, slots: int
) -> Book:
    pools, capacity = offered(scenario.fleet, fleet, slots)
    tables = {
        "centres": file_frame("centres", fleet.centres),
        "pools": file_frame("pools", pools),
        "capacity": file_frame("capacity", capacity),
        "links": _links(scenario, fleet),
        "enterprises": askers.table,
        "orders": orders,
    }
    header = {
        "start": instant_text(scenario.start),
        "slots": slots,
        "title": {"en": scenario.title.en, "zh": scenario.title.zh},
        "objective": {"carbon_cny_per_kg": cny(scenario.carbon_ucny_per_kg)},
        "use": list(programmes.programmes),
        "facts": dict(scenario.firms.facts),
    }
    raw = RawBook(Marked("book.yaml", header), {n: RawTable(n, "parquet", frame) for n, frame in tables.items()})
    problems = ProblemList()
    book = parse_book(raw, problems)
    if book is None:
        raise InputError(problems)
    return book


def _links(scenario: Scenario, fleet: Capacity) -> pl.DataFrame:
    """Return the book's own links, else one between every two regions at the scenario's price."""
    if not fleet.links.is_empty():
        return file_frame("links", fleet.links)
    regions = fleet.centres["region"].unique().sort().to_list()
    pairs = [(a, b, scenario.link_ucny_per_gb / MICRO) for a in regions for b in regions if a != b]
    schema = {"origin_region": pl.String(), "region": pl.String(), "cny_per_gb": pl.Float64()}
    return pl.DataFrame(pairs, schema=schema, orient="row")


def _check_offered(
    scenario: Scenario, book: Book, terms: VoucherTerms, programmes: Offered, domestic: Mapping[str, bool]
) -> None:
    """Refuse a programme that could never pay anybody because it is not in force, or nobody said what it asks for.

    A programme whose conditions are known and that no firm meets stays: that is an answer.
    """
    best = terms.share_ppm.max(axis=(0, 2), initial=0)
    silent = [name for k, name in enumerate(terms.programme_ids) if not best[k]]
    if not silent:
        return
    # One order of each firm will do: all that conditions ask is the firm's, the pool's or declared for all.
    some = replace(book, orders=book.orders.unique("enterprise_id", keep="first", maintain_order=True))
    status = voucher_status(some, [programmes.programmes[name] for name in silent], {}, domestic=domestic)
    place = {change.programme_id: index for index, change in enumerate(scenario.programmes)}
    problems = []
    fine = [Status.OK, Status.INELIGIBLE, Status.EXHAUSTED]
    rows = status.filter(~pl.col("status").is_in([str(s) for s in fine])).unique(
        maintain_order=True, subset="programme_id"
    )
    for name, why, why_zh in rows.select("programme_id", "detail", "detail_zh").iter_rows():
        expected = Text(f"a programme that can be offered: {why}", f"可提供的政策：{why_zh}")
        fix = Text("declare facts under firms.facts, or change start", "在 firms.facts 中申报事实，或修改 start")
        problems.append(scenario.problem("not-offered", f"programmes.{place[name]}", name, expected, fix))
    if problems:
        raise InputError(problems)


# ---- what is taken for granted -------------------------------------------------------------------------------------


def _assumptions(
    scenario: Scenario,
    source: Source,
    arrivals: Arrivals,
    fleet: Capacity,
    askers: Askers,
    programmes: Offered,
    reference_ucny: int,
) -> dict[str, object]:
    """Say what the case takes for granted, in the order in which one would ask."""
    demand, firms = scenario.demand, scenario.firms
    entries: dict[str, object] = dict(source.assumptions)
    jobs = {"jobs": arrivals.jobs.submit_s.size, "at_the_reference_price": int((~arrivals.latent).sum())}
    entries["scale"] = {"scale": demand.scale, **jobs}
    entries["start"] = instant_text(scenario.start)
    if demand.stretch is None:
        entries["deadline/none"] = "none"
    else:
        entries["deadline/stretch"] = {"stretch": demand.stretch, "slack_h": demand.slack_h}
    entries["data_gb"] = demand.data_gb
    entries |= fleet.assumptions
    if scenario.fleet.book is None:
        entries["ask_cny_per_gpu_hour"] = cny(scenario.fleet.ask_ucny_per_gpu_hour)
    if scenario.fleet.growth or scenario.fleet.own_use_ppm:
        steps = len(scenario.fleet.growth)
        entries["planned_capacity"] = {"steps": steps, "own_use": scenario.fleet.own_use_ppm / MICRO}
    if scenario.fleet.outages:
        entries["outages"] = len(scenario.fleet.outages)
    entries |= askers.assumptions
    entries |= _about_willingness(scenario, reference_ucny)
    if firms.facts:
        entries["facts"] = {name: str(fact) for name, fact in sorted(firms.facts.items())}
    entries |= programmes.assumptions
    entries |= _about_replay(scenario)
    if scenario.carbon_ucny_per_kg:
        entries["carbon_price"] = {"cny_per_kg": cny(scenario.carbon_ucny_per_kg)}
    entries[f"coupling/{scenario.coupling}"] = str(scenario.coupling)
    if scenario.coupling is Reach.FULL and fleet.links.is_empty() and fleet.centres["region"].n_unique() > 1:
        entries["links"] = {"cny_per_gb": cny(scenario.link_ucny_per_gb)}
    entries["seed"] = scenario.seed
    return {name.partition("/")[0]: assumed(_KIND, name, value, _PACKAGE) for name, value in entries.items()}


def _about_replay(scenario: Scenario) -> dict[str, object]:
    """Say how jobs are allocated, by what the replay takes for granted."""
    entries: dict[str, object] = {}
    if scenario.allocator is not Allocator.MARKET:
        entries[f"policy/{scenario.allocator}"] = str(scenario.allocator)
        entries[f"clock/{scenario.clock}"] = str(scenario.clock)
        return entries
    entries["policy/market"] = str(scenario.allocator)
    if scenario.mode is not Mode.EXACT:
        entries["quoted"] = {"knee": scenario.quoted.knee, "top": scenario.quoted.top}
    if scenario.mode is not Mode.FAST:
        names = ("round_every_h", "admit_every_h", "horizon_h")
        entries["rounds"] = {name: getattr(scenario, name) for name in names}
    return entries


def _about_willingness(scenario: Scenario, reference_ucny: int) -> dict[str, object]:
    willing = scenario.firms.willingness
    reference = {"reference_cny_per_gpu_hour": cny(reference_ucny)}
    if willing.elasticity is None:
        return {"willingness/lognormal": {"median": willing.median, "sigma": willing.sigma, **reference}}
    shape = {"elasticity": willing.elasticity, "floor": willing.floor, "ceiling": willing.ceiling}
    return {"willingness/elastic": {**shape, **reference}}
