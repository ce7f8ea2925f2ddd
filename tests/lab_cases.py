"""Small cases of the policy lab, built of lists of jobs without a scenario file or a trace."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from dujiang.core.marked import Marked, read_yaml
from dujiang.core.problem import ProblemList
from dujiang.core.text import Text
from dujiang.lab.case import NO_DEADLINE, Case, Jobs
from dujiang.lab.scenario import Allocator, Clock, Demand, Fleet, Outage, Quoted, Reach, Scenario
from dujiang.market.outcome import Coupling
from dujiang.policy.parse import parse_programme
from dujiang.policy.programme import Programme
from dujiang.policy.terms import voucher_terms
from dujiang.registry.parse import parse_book
from dujiang.registry.raw import RawBook, RawTable

START = datetime(2026, 3, 1, 16, tzinfo=UTC)
HOUR = 3600


class Job(NamedTuple):
    """A job to the second."""

    submit_s: int
    run_s: int
    gpus: int = 1
    centre: str = "a"
    """Centre that it is submitted to."""
    deadline_s: int = NO_DEADLINE
    limit_cny: float = 1e6
    firm: str = "e0"
    contract: str | None = None
    data_gb: float = 0.0


class Pool(NamedTuple):
    """A pool of a centre."""

    pool_id: str
    centre: str
    gpus: int
    ask_cny: float = 2.0
    speed: float = 1.0
    watts: float | None = None
    accelerator: str = "card"


def pools_of(gpus: Mapping[str, int], ask_cny: float = 2.0) -> list[Pool]:
    """One pool per centre, called by the centre's name."""
    return [Pool(name, name, count, ask_cny) for name, count in gpus.items()]


def lab_case(
    jobs: Sequence[Job],
    pools: Sequence[Pool] | Mapping[str, int],
    *,
    window_h: int | None = None,
    slots: int | None = None,
    programmes: Sequence[Programme] = (),
    budgets: Mapping[str, int | None] | None = None,
    firms: pl.DataFrame | None = None,
    facts: Mapping[str, Any] | None = None,
    region_of: Mapping[str, str] | None = None,
    links: Sequence[tuple[str, str, float]] = (),
    capacity: Sequence[tuple[str, int, int]] = (),
    max_vouchers: int = 1,
    pue: float | None = None,
    grid_kgco2_per_kwh: float | None = None,
    objective: Mapping[str, Any] | None = None,
    coupling: Reach = Reach.FULL,
    allocator: Allocator = Allocator.MARKET,
    clock: Clock = Clock.SECONDS,
    outages: Sequence[Outage] = (),
    quoted: Quoted | None = None,
    warm_up_h: int = 0,
    ids: Sequence[str] | None = None,
    **scenario: Any,
) -> Case:
    """Make a case; the book passes every check of a real one.

    Parameters
    ----------
    jobs : in any order; they get the ids `j0000000`, … by (submission, place in the list) unless `ids` names them
    pools : or accelerators by centre
    window_h : hours in which jobs come; None: up to the last submission
    slots : of the book, more if some order needs more; None: the window and as much as the last deadline needs, or
        all work one after another
    capacity : exceptions (pool, slot, gpus)
    links : (origin region, region, yuan per GB), in this direction only; orders name their origin region if there are
        any links, or if a job brings data
    """
    table = pools_of(pools) if isinstance(pools, Mapping) else list(pools)
    order = sorted(range(len(jobs)), key=lambda i: (jobs[i].submit_s, i if ids is None else ids[i]))
    jobs = [jobs[i] for i in order]
    names = [f"j{n:07}" for n in range(len(jobs))] if ids is None else [ids[i] for i in order]
    centres = sorted({pool.centre for pool in table})
    region_of = region_of or dict.fromkeys(centres, "local")
    submit = np.array([job.submit_s for job in jobs], dtype=np.int64)
    run = np.array([job.run_s for job in jobs], dtype=np.int64)
    deadline = np.array([job.deadline_s for job in jobs], dtype=np.int64)
    window = window_h if window_h is not None else max(1, -(-int(submit.max(initial=0) + 1) // HOUR))
    if slots is None:
        slowest = min((pool.speed for pool in table), default=1.0)
        given = deadline[deadline < NO_DEADLINE]
        ends = [window, -(-int(given.max(initial=0)) // HOUR)]
        if given.size < deadline.size:
            ends.append(window + int((-(-run // HOUR) / slowest + 1).sum()))
        slots = max(ends) + 1
    release = -(-submit // HOUR)
    fastest = max((pool.speed for pool in table), default=1.0)
    least = release + -(-run * 1_000_000 // (HOUR * round(fastest * 1_000_000)))  # a book asks for as much
    slots = max(slots, int(least.max(initial=0)))
    by_region = bool(links) or any(job.data_gb for job in jobs)
    firm_names = sorted({job.firm for job in jobs} | {"e0"})
    tables = {
        "centres": pl.DataFrame(
            {
                "centre_id": centres,
                "region": [region_of[name] for name in centres],
                "pue": pl.Series([pue] * len(centres), dtype=pl.Float64),
                "grid_kgco2_per_kwh": pl.Series([grid_kgco2_per_kwh] * len(centres), dtype=pl.Float64),
            }
        ),
        "pools": pl.DataFrame(
            {
                "pool_id": [pool.pool_id for pool in table],
                "centre_id": [pool.centre for pool in table],
                "accelerator": [pool.accelerator for pool in table],
                "gpus": [pool.gpus for pool in table],
                "ask_cny_per_gpu_hour": [float(pool.ask_cny) for pool in table],
                "speed": [float(pool.speed) for pool in table],
                "watts_per_gpu": pl.Series([pool.watts for pool in table], dtype=pl.Float64),
            }
        ),
        "capacity": pl.DataFrame(
            list(capacity), schema={"pool_id": pl.String, "slot": pl.Int64, "gpus": pl.Int64}, orient="row"
        ),
        "links": pl.DataFrame(
            list(links),
            schema={"origin_region": pl.String, "region": pl.String, "cny_per_gb": pl.Float64},
            orient="row",
        ),
        "enterprises": firms if firms is not None else pl.DataFrame({"enterprise_id": firm_names}),
        "orders": pl.DataFrame(
            {
                "order_id": pl.Series(names, dtype=pl.String),
                "enterprise_id": pl.Series([job.firm for job in jobs], dtype=pl.String),
                "gpus": pl.Series([job.gpus for job in jobs], dtype=pl.Int64),
                "hours": pl.Series(-(-run * 1_000_000 // HOUR) / 1e6, dtype=pl.Float64),
                "release": pl.Series(release, dtype=pl.Int64),
                "deadline": pl.Series(np.maximum(np.minimum(deadline // HOUR, slots), least), dtype=pl.Int64),
                "limit_cny": pl.Series([float(job.limit_cny) for job in jobs], dtype=pl.Float64),
                "submitted": pl.Series(
                    [START + timedelta(seconds=int(s)) for s in submit], dtype=pl.Datetime("us", "UTC")
                ),
                "origin_region": pl.Series(
                    [region_of[job.centre] if by_region else None for job in jobs], dtype=pl.String
                ),
                "origin_centre": pl.Series([job.centre for job in jobs], dtype=pl.String),
                "data_gb": pl.Series([float(job.data_gb) for job in jobs], dtype=pl.Float64),
                "max_vouchers": pl.Series([max_vouchers] * len(jobs), dtype=pl.Int64),
                "contract_id": pl.Series([job.contract for job in jobs], dtype=pl.String),
            }
        ),
    }
    document = {
        "start": START.isoformat(),
        "slots": slots,
        "title": "a case",
        "objective": dict(objective or {}),
        "facts": dict(facts or {}),
    }
    raw = {name: RawTable(f"{name}.parquet", "parquet", frame) for name, frame in tables.items()}
    problems = ProblemList()
    book = parse_book(RawBook(Marked("book.yaml", document), raw), problems)
    assert book is not None, [problem.say() for problem in problems]
    assert not list(problems), [problem.say() for problem in problems]
    row = {name: n for n, name in enumerate(book.centres["centre_id"])}
    firm = {name: n for n, name in enumerate(book.enterprises["enterprise_id"])}
    terms = voucher_terms(book, list(programmes), dict(budgets or {}), domestic={})
    title = Text("a case", "案例")
    return Case(
        scenario=Scenario(
            title=title,
            fleet=Fleet(outages=tuple(outages)),
            demand=Demand(),
            coupling=coupling,
            allocator=allocator,
            clock=clock,
            quoted=quoted or Quoted(),
            warm_up_h=warm_up_h,
            start=START,
            **scenario,
        ),
        book=book,
        coupling=Coupling.ISOLATED if coupling is Reach.ISOLATED else Coupling.FULL,
        terms=terms,
        programmes={programme.id: programme for programme in programmes},
        domestic={},
        jobs=Jobs(
            submit_s=submit,
            run_s=run,
            deadline_s=deadline,
            origin=np.array([row[job.centre] for job in jobs], dtype=np.int32),
            firm=np.array([firm[job.firm] for job in jobs], dtype=np.int32),
        ),
        region_of=tuple(book.centres["region"].to_list()),
        outages=tuple(outages),
        window_h=window,
        assumptions={},
        sources={},
    )


def voucher(
    *,
    rate: float,
    cap_cny: float | None = None,
    budget_cny: float | None = None,
    employees_max: int = 10**6,
    key: str = "made-up",
    minimum_cny: float | None = None,
) -> Programme:
    """Make a voucher on the payment for compute, for enterprises with at most so many employees."""
    lines = [
        f"id: {key}",
        "version: 2026-01-01",
        "name: {zh: 样例券, en: Sample voucher}",
        "jurisdiction: {level: city, province: 某省, city: 某市}",
        "issuer: nobody",
        "document: made up for a test",
        "document_no: null",
        "kind: compute_voucher",
        "instrument: voucher",
        "good: compute",
        "verified: true",
        "confidence: high",
        "clauses:",
        "  all: {text: a part, verbatim: false, source: a test, quality: low}",
        "valid: {from: 2026-01-01, until: null, clause: all}",
        "conditions:",
        f"  - {{id: staff, fact: employees, op: at_most, value: {employees_max},"
        " text: {zh: 员工, en: few}, clause: all}",
        "base: actual",
        f"rate: {{share: {rate or 0.5}, rule: not_above, clause: all}}",
        "cap: null"
        if cap_cny is None
        else f"cap: {{amount_cny: {cap_cny}, per: enterprise, period: year, clause: all}}",
        "budget: null"
        if budget_cny is None
        else f"budget: {{amount_cny: {budget_cny}, period: year, rule: first_come, clause: all}}",
    ]
    if minimum_cny is not None:
        lines.append(f"minimum_cny: {{amount_cny: {minimum_cny}, clause: all}}")
    marked, read = read_yaml(f"{key}.yaml", "\n".join(lines))
    assert marked is not None, [problem.say() for problem in read]
    parsed, problems = parse_programme(marked)
    assert parsed is not None, [problem.say() for problem in problems]
    assert parsed.rate is not None
    return parsed if rate else replace(parsed, rate=replace(parsed.rate, share_ppm=0))  # no file states a rate of zero
