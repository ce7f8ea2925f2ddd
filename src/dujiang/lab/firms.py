"""Who asks: users of the trace, or invented firms, with staff, kind and city, and the centre that each turns to."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from dujiang.lab.demand import Arrivals, Source
from dujiang.lab.draws import Floats, Int, rng
from dujiang.lab.scenario import Firms, Scenario

JOBS_PER_FIRM = 50
EMPLOYEES_MAX = 10_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Askers:
    """Firms, and whose each job is."""

    table: pl.DataFrame
    """Columns of `enterprises`, by enterprise_id."""
    firm: Int
    """(J,), row of `table`."""
    origin: Int
    """(J,), index into the names of centres that were given."""
    assumptions: Mapping[str, object]


def askers_of(scenario: Scenario, source: Source, arrivals: Arrivals, centres: list[str], weights: Floats) -> Askers:
    """Invent the firms, or take them from the trace, and assign the jobs.

    Parameters
    ----------
    scenario : the scenario
    source, arrivals : the demand
    centres : names of the fleet's centres
    weights : (len(centres),) how much demand each is to be the origin of; of no use where virtual clusters are the
        centres

    Notes
    -----
    Where virtual clusters are the centres, an invented firm belongs to one of them, and jobs are spread over the firms
    of their cluster. Elsewhere each firm turns to one centre. They are lined up in random order and the line is cut in
    proportion to the weights, so each centre's part of demand is met to within one firm.
    """
    jobs = arrivals.jobs
    per_vc = scenario.fleet.per_vc
    named = jobs.user.null_count() < jobs.user.len()
    if named:
        ids, firm = _users(source, arrivals)
        activity = np.bincount(firm, minlength=len(ids)).astype(np.float64)
    else:
        vc_of_firm = _numbers(scenario, source, arrivals)
        activity = np.exp(
            scenario.firms.activity_sigma * rng(scenario.seed, "firms.activity").standard_normal(len(vc_of_firm))
        )
        firm = _shared_out(arrivals, vc_of_firm, activity, by_vc=per_vc)
        ids = [f"firm-{n + 1:0{len(str(len(vc_of_firm)))}d}" for n in range(len(vc_of_firm))]
    if per_vc:
        place = {name: i for i, name in enumerate(centres)}
        origin = np.array([place.get(name, -1) for name in source.vcs], dtype=np.int64)[jobs.vc]
        where: tuple[str, object] = ("origins/virtual_cluster", len(centres))
    else:
        origin = _homes(scenario.seed, activity, weights)[firm]
        stated = "origins/weights" if scenario.demand.origins else "origins/capacity"
        where = (stated, dict(zip(centres, [round(float(w / weights.sum()), 4) for w in weights], strict=True)))
    return Askers(
        table=_table(scenario, ids),
        firm=firm,
        origin=origin,
        assumptions={
            "firms/users" if named else "firms/invented": {
                "firms": len(ids),
                "activity_sigma": None if named else scenario.firms.activity_sigma,
            },
            "firm_facts": _stated(scenario.firms),
            where[0]: where[1],
        },
    )


def _stated(firms: Firms) -> dict[str, object]:
    return {
        "employees": {"median": firms.employees_median, "sigma": firms.employees_sigma},
        "kinds": dict(firms.kinds),
        "cities": dict(firms.cities),
    }


# ---- whose a job is ------------------------------------------------------------------------------------------------


def _users(source: Source, arrivals: Arrivals) -> tuple[list[str], Int]:
    """Take each user as a firm; a job without a user is its virtual cluster's."""
    jobs = arrivals.jobs
    vcs = pl.Series(source.vcs, dtype=pl.String)[jobs.vc]
    frame = pl.DataFrame({"user": jobs.user, "vc": vcs})
    names = frame.select(pl.coalesce("u-" + pl.col("user"), "vc-" + pl.col("vc")).alias("id")).to_series()
    ids = names.unique().sort()
    table = pl.DataFrame({"id": ids, "row": np.arange(ids.len(), dtype=np.int64)})
    rows = names.to_frame().join(table, on="id", how="left", maintain_order="left")["row"].to_numpy()
    return ids.to_list(), rows


def _numbers(scenario: Scenario, source: Source, arrivals: Arrivals) -> Int:
    """Return (F,) the virtual cluster of each firm: in each in proportion to its jobs, and at least one where it can.

    Jobs that come at low prices only do not count, so that their number changes no firm.
    """
    jobs = np.bincount(arrivals.jobs.vc[~arrivals.latent], minlength=len(source.vcs))
    count = -(-jobs // JOBS_PER_FIRM) if scenario.firms.count is None else _proportional(jobs, scenario.firms.count)
    if not count.any():
        count[arrivals.jobs.vc[0]] = 1
    return np.repeat(np.arange(len(source.vcs)), count)


def _proportional(jobs: Int, total: int) -> Int:
    """Share out a number of firms by largest remainders, after one for each cluster with a job if there are enough."""
    asking = (jobs > 0).astype(np.int64)
    if total < int(asking.sum()):
        # The busiest clusters have a firm each, and the others none of their own: their jobs fall to any firm.
        busiest = np.lexsort((np.arange(jobs.size), -jobs))[:total]
        found = np.zeros_like(jobs)
        found[busiest] = 1
        return found
    rest = total - int(asking.sum())
    exact = rest * jobs / max(1, int(jobs.sum()))
    found = np.floor(exact).astype(np.int64)
    by_rest = np.lexsort((np.arange(jobs.size), found - exact))
    found[by_rest[: rest - int(found.sum())]] += 1
    return found + asking


def _shared_out(arrivals: Arrivals, vc_of_firm: Int, activity: Floats, *, by_vc: bool) -> Int:
    """Draw the firm of every job by activity: among those of its virtual cluster, or among all."""
    u = arrivals.draws.uniform("firm")
    edges = np.cumsum(activity)
    if not by_vc:
        anybody: Int = np.searchsorted(edges, u * edges[-1], side="right").astype(np.int64)
        return np.minimum(anybody, activity.size - 1)
    clusters = int(max(arrivals.jobs.vc.max(), vc_of_firm.max())) + 1
    first = np.searchsorted(vc_of_firm, np.arange(clusters))
    last = np.searchsorted(vc_of_firm, np.arange(clusters), side="right")
    first, last = np.where(first < last, first, 0), np.where(first < last, last, activity.size)
    low = np.where(first > 0, edges[first - 1], 0.0)
    high = edges[last - 1]
    vc = arrivals.jobs.vc
    drawn = np.searchsorted(edges, low[vc] + u * (high - low)[vc], side="right").astype(np.int64)
    return np.clip(drawn, first[vc], last[vc] - 1)


def _homes(seed: int, activity: Floats, weights: Floats) -> Int:
    """Return (F,) the centre that each firm turns to: cut a line of all firms, in random order, by the weights."""
    order = rng(seed, "firms.home").permutation(activity.size)
    ends = np.cumsum(activity[order])
    middle = (ends - activity[order] / 2) / ends[-1]
    edges = np.cumsum(weights / weights.sum())
    homes = np.empty(activity.size, dtype=np.int64)
    homes[order] = np.minimum(np.searchsorted(edges, middle, side="right"), weights.size - 1)
    return homes


# ---- what a firm is ------------------------------------------------------------------------------------------------


def _table(scenario: Scenario, ids: list[str]) -> pl.DataFrame:
    firms, count = scenario.firms, len(ids)
    staff = firms.employees_median * np.exp(
        firms.employees_sigma * rng(scenario.seed, "firms.employees").standard_normal(count)
    )
    columns = {
        "enterprise_id": pl.Series(ids, dtype=pl.String),
        "kind": _drawn(scenario.seed, "firms.kind", firms.kinds, count),
        "employees": pl.Series(np.clip(np.rint(staff), 1, EMPLOYEES_MAX).astype(np.int64)),
    }
    if firms.cities:
        places = _drawn(scenario.seed, "firms.city", firms.cities, count).str.split_exact("/", 1).struct.unnest()
        columns["province"], columns["city"] = places["field_0"].str.strip_chars(), places["field_1"].str.strip_chars()
    return pl.DataFrame(columns)


def _drawn(seed: int, component: str, weights: Mapping[str, float], count: int) -> pl.Series:
    """Draw names by their weights; their order in the file changes nothing."""
    names = sorted(name for name, weight in weights.items() if weight > 0)
    edges = np.cumsum([weights[name] for name in names])
    drawn = np.searchsorted(edges, rng(seed, component).random(count) * edges[-1], side="right")
    return pl.Series(names, dtype=pl.String).gather(np.minimum(drawn, len(names) - 1))
