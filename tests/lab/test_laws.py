"""Laws of the policy lab: what no scenario may break, whatever is drawn.

Two of them are theorems about the clearing, and are tested on it directly, on small books with proven optima.

**Coupling never lowers the optimal welfare.** Without vouchers the welfare of an award is its limit less transfer and
ask cost, whatever the prices. An award that is allowed with isolated coupling is allowed, at the same worth, within its
region, and one that is allowed within its region wherever links lead: capacities being the same, every allocation of
the narrower market is one of the wider. (With vouchers the worth of an award depends on the payment and so on prices,
which differ; nothing is claimed.)

**More capacity, a looser limit or deadline, or more budget never lowers the dual bound at the same prices.** The bound
is the value of capacity, links, budgets and caps at their multipliers, which are not negative, plus for every order the
greatest of zero and its blocks' surplus. More of anything that is priced raises the first part, and lets no block go;
a later deadline adds blocks; a looser limit raises the effective limit and leaves all else of a block's surplus as it
is, since the bound counts a voucher with the least that it can be, which follows from the ask. (The second bound counts
vouchers as paid at the prices; what is paid grows with the limit, so there nothing is claimed.) Prices that are found
anew may be less good, so of published bounds less holds, and is enough: that of the larger book is never below the
proven optimum of the smaller one.
"""

import time
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dujiang.core.money import MICRO
from dujiang.core.text import Text
from dujiang.lab.fast import replay_fast
from dujiang.lab.make_case import make_case
from dujiang.lab.queues import replay_queues
from dujiang.lab.rounds import replay_rounds
from dujiang.lab.scenario import Allocator, Demand, Fleet, Outage, Reach, Scenario
from dujiang.market.book_arrays import book_arrays
from dujiang.market.dual import exact_bounds
from dujiang.market.engine import Effort, solve
from dujiang.market.exact import Limits, solve_exact
from dujiang.market.keys import build_keys
from dujiang.market.outcome import Coupling
from dujiang.policy.terms import voucher_terms
from lab_cases import Pool, lab_case
from lab_random import cases, random_case, random_jobs
from lab_vouchers import voucher
from market.random_books import random_arrays, some_prices

QUICK = Effort(moves=500)
SEEDS = st.integers(0, 2**32)


def rounds(case):
    return replay_rounds(case, effort=QUICK)


def baseline(allocator):
    """Return the replay of a case under a baseline."""

    def replay(case):
        return replay_queues(replace(case, scenario=replace(case.scenario, allocator=allocator)))

    return replay


BASELINES = [allocator for allocator in Allocator if allocator is not Allocator.MARKET]
REPLAYS = [rounds, replay_fast, *map(baseline, BASELINES)]
every_replay = pytest.mark.parametrize("replay", REPLAYS, ids=["rounds", "fast", *BASELINES])


def offered(case, programmes, *, budgets=None):
    """Return the case with other programmes."""
    terms = voucher_terms(case.book, programmes, budgets or {}, domestic=case.domestic)
    return replace(case, programmes={programme.id: programme for programme in programmes}, terms=terms)


def at_zero(programme):
    """Return the programme with a rate of zero, which no file may have but a scenario may set."""
    return replace(programme, rate=replace(programme.rate, share_ppm=0))


def assert_same(one, other):
    assert one.jobs.equals(other.jobs)
    assert one.series.equals(other.series)


# ---- programmes that do nothing ----------------------------------------------------------------------------------


def crowded(seed, programmes, **changes):
    """Return a case in which many want the same hours, so that the way to the prices shows in them."""
    rng = np.random.default_rng(seed)
    jobs = [job._replace(submit_s=job.submit_s // 40) for job in random_jobs(rng, 60)]
    firms = pl.DataFrame({"enterprise_id": ["e0", "e1", "e2"], "city": ["深圳", "深圳", "广州"]})
    outages = [Outage("a", 30, 36, 500_000)] if seed % 2 else []
    return lab_case(jobs, {"a": 8, "b": 4}, slots=60, programmes=programmes, firms=firms, outages=outages, **changes)


@every_replay
@pytest.mark.parametrize("admit_every_h", [0, 1])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_zero_rate_changes_nothing(replay, seed, admit_every_h):
    case = crowded(seed, [], admit_every_h=admit_every_h)
    nothing = [at_zero(voucher("v", cap_cny=50, budget_cny=70)), at_zero(voucher("w", cap_cny=9))]
    assert_same(replay(case), replay(offered(case, nothing)))


@every_replay
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_rate_that_binds_nobody_changes_nothing(replay, seed):
    """Beside a programme that is used: one for firms that there are none of, and one whose time is over."""
    used = voucher("v", 0.4, cap_cny=40, budget_cny=60, for_firms=["深圳"])
    case = crowded(seed, [used], admit_every_h=0)
    idle = [voucher("u", 0.9, cap_cny=10, for_firms=["东莞"]), voucher("w", 0.9, budget_cny=10, last="2026-02-28")]
    found = replay(case)
    assert found.jobs["voucher_ucny"].sum() > 0
    assert_same(found, replay(offered(case, [used, *idle])))


@every_replay
def test_a_programme_that_pays_does_change_something(replay):
    """Else the two laws above would hold of a replay that forgets programmes."""
    case = random_case(5, programmes=[], max_vouchers=1)
    changed = replay(offered(case, [voucher("v", 0.5, cap_cny=50)]))
    assert not replay(case).jobs.equals(changed.jobs)
    assert changed.jobs["voucher_ucny"].sum() > 0


# ---- coupling ----------------------------------------------------------------------------------------------------


def coupled(seed):
    """Return the same case isolated, coupled within provinces, and everywhere, as `make_case` sets origins."""
    rng = np.random.default_rng(seed)
    jobs = [job._replace(centre=str(rng.choice(["a", "b", "c"])), contract=None) for job in random_jobs(rng, 10)]
    pools = [Pool(name, name, int(rng.choice([2, 4, 8])), float(rng.choice([1, 2, 3]))) for name in "abc"]
    region_of = {"a": "east", "b": "east", "c": "west"}
    price = float(rng.choice([0.0, 0.1]))
    links = [("east", "west", price), ("west", "east", price)]
    full = lab_case(jobs, pools, slots=60, region_of=region_of, links=links)
    alone = replace(full.book, orders=full.book.orders.with_columns(origin_region=pl.lit(None, dtype=pl.String)))
    return [(alone, full.terms, Coupling.ISOLATED), *((full.book, full.terms, c) for c in reversed(Coupling))]


def optimum(book, terms, coupling):
    """Return the greatest welfare of a book, micro-yuan; None: the search of the proof ended before."""
    return proven(book_arrays(book, terms, coupling))


def proven(a):
    """Return the same of arrays."""
    found = solve_exact(a, solve(a, QUICK, time.perf_counter), Limits(nodes=2_000), time.perf_counter)
    return int(found.state.worth.sum()) if found.optimal else None


@settings(max_examples=12, deadline=None)
@given(SEEDS)
def test_coupling_never_lowers_the_optimal_welfare(seed):
    isolated, provinces, full = (optimum(*market) for market in coupled(seed))
    assume(None not in (isolated, provinces, full))
    assert isolated <= provinces <= full


def test_coupling_can_raise_it():
    """Else the law above would hold of a market that has only one coupling."""
    gains = np.array([[optimum(*market) for market in coupled(seed)] for seed in range(6)], dtype=np.float64)
    assert (np.diff(gains, axis=1) > 0).any(axis=0).all()


@pytest.fixture(scope="module")
def busy_trace(tmp_path_factory):
    """A log in which the virtual cluster `a` has far more work than `b` and `c`."""
    rng = np.random.default_rng(3)
    rows = [
        {"job_id": f"j{n:03}", "submit_s": int(rng.integers(0, 86400)), "duration_s": int(rng.integers(600, 20000))}
        | {"gpus": int(rng.choice([1, 2, 4])), "vc": str(rng.choice(["a", "b", "c"], p=[0.9, 0.05, 0.05]))}
        for n in range(120)
    ]
    path = tmp_path_factory.mktemp("trace") / "trace.csv"
    pl.DataFrame(rows).write_csv(path)
    return path


@pytest.mark.parametrize("replay", [rounds, replay_fast], ids=["rounds", "fast"])
def test_jobs_go_as_far_as_the_coupling_of_a_scenario_lets_them(busy_trace, replay):
    """Cases as `make_case` makes them: own centre, own region, everywhere; each reach is used to its end."""
    region = {"a": "east", "b": "east", "c": "west"}
    went = {}
    for reach in Reach:
        fleet = Fleet(per_vc=True, multiple_ppm=600_000, region_of=region)
        scenario = Scenario(Text("t", "t"), fleet, Demand(trace=busy_trace), coupling=reach)
        case = make_case(scenario)
        jobs = replay(case).jobs.filter(pl.col("centre_id").is_not_null())
        went[reach] = set(jobs.select("origin_centre", "centre_id").iter_rows())
    assert all(home == there for home, there in went[Reach.ISOLATED])
    assert all(region[home] == region[there] for home, there in went[Reach.PROVINCES])
    assert ("a", "b") in went[Reach.PROVINCES]
    assert ("a", "c") in went[Reach.FULL]


# ---- bounds ------------------------------------------------------------------------------------------------------


def larger(a, change, rng):
    """Return the arrays with more of something, here and there."""
    here = rng.random

    def more(values, most):
        return values + rng.integers(0, most, values.shape) * (here(values.shape) < 0.5)

    if change == "capacity":
        return a._replace(capacity=more(a.capacity, 9))
    if change == "limit":
        return a._replace(limit=more(a.limit, 40 * MICRO))
    if change == "deadline":
        return a._replace(deadline=np.minimum(more(a.deadline, 5), a.capacity.shape[1]))
    return a._replace(budget=np.where(a.limited, more(a.budget, 20 * MICRO), a.budget))


@pytest.mark.parametrize("change", ["capacity", "limit", "deadline", "budget"])
@settings(max_examples=25, deadline=None)
@given(seed=SEEDS)
def test_more_never_lowers_the_bound_at_the_same_prices(change, seed):
    a = random_arrays(seed)
    prices = some_prices(a, seed)
    more = larger(a, change, np.random.default_rng(seed))
    assert exact_bounds(a, build_keys(a), prices)[0] <= exact_bounds(more, build_keys(more), prices)[0]


@pytest.mark.parametrize("change", ["capacity", "limit", "deadline"])
@settings(max_examples=6, deadline=None)
@given(seed=SEEDS)
def test_published_bound_of_the_larger_book_is_not_below_the_optimum_of_the_smaller(change, seed):
    a = random_arrays(seed, programmes=0)
    more = larger(a, change, np.random.default_rng(seed))
    best = proven(a)
    assume(best is not None)
    assert solve(more, QUICK, time.perf_counter).bound_ucny >= best


# ---- conservation ------------------------------------------------------------------------------------------------


@every_replay
@settings(max_examples=5, deadline=None)
@given(case=cases())
def test_hours_and_money_are_conserved(replay, case):
    """What jobs hold is what centres see held, what is paid is what is received, and no limit is passed."""
    found = replay(case)
    jobs, series = found.jobs, found.series
    assert (jobs["gross_ucny"] + jobs["transfer_ucny"] == jobs["voucher_ucny"] + jobs["net_ucny"]).all()
    assert series["held_gpu_hours"].sum() == pytest.approx((jobs["gpus"] * jobs["held_s"]).sum() / 3600)
    assert (series["held_gpu_hours"] <= series["gpus"] + 1e-9).all()
    assert (series["used_gpu_hours"] <= series["held_gpu_hours"] + 1e-9).all()
    if not case.outages:
        used = jobs.filter(pl.col("start_s").is_not_null()).select(
            pl.col("gpus") * (pl.col("end_s") - pl.col("start_s"))
        )
        assert series["used_gpu_hours"].sum() == pytest.approx(used.sum().item() / 3600)
        assert (jobs["net_ucny"] <= jobs["limit_ucny"]).all()
    for name, programme in case.programmes.items():
        alone = jobs.filter(pl.col("programme_id") == name)
        if programme.budget is not None:
            assert alone["voucher_ucny"].sum() <= programme.budget.amount_ucny
        of_firm = alone.group_by("enterprise_id").agg(pl.col("voucher_ucny").sum())["voucher_ucny"]
        assert (of_firm <= programme.caps[0].amount_ucny).all()


@settings(max_examples=2, deadline=None)
@given(case=cases(outages=[]))
def test_a_replay_is_a_function_of_its_case(case):
    """A replay that was broken off leaves nothing behind that the next one could see."""
    whole = rounds(case)

    def stop(phase, share, gap):
        if share > 0.3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replay_rounds(case, progress=stop, effort=QUICK)
    again = rounds(case)
    assert_same(whole, again)
    assert whole.extra == again.extra
