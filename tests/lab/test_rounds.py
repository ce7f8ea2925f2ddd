"""The exact mode on cases that can be worked out by hand, and what must hold over all rounds of any."""

from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given, settings

from dujiang.core.money import MICRO
from dujiang.lab.case import NO_DEADLINE
from dujiang.lab.outages import standing
from dujiang.lab.replay import JOB_SCHEMA, SERIES_SCHEMA
from dujiang.lab.rounds import ROUND_EFFORT, replay_rounds
from dujiang.lab.scenario import Outage
from dujiang.market.engine import Effort
from dujiang.policy.programme import Exclude, Scope
from dujiang.registry.book import ProgrammeUse
from lab_cases import HOUR, START, Job, Pool, lab_case
from lab_random import cases
from lab_vouchers import voucher

DAY = 24 * HOUR
ROUNDS_ONLY = {"admit_every_h": 0}
QUICK = Effort(moves=500)


def column(replay, name):
    return replay.jobs[name].to_list()


def started(replay):
    """First hours of the jobs."""
    return [None if second is None else second / HOUR for second in column(replay, "start_s")]


# ---- when who is looked at ---------------------------------------------------------------------------------------


def test_order_waits_for_the_round_after_it():
    jobs = [Job(0, HOUR), Job(1, HOUR), Job(DAY, HOUR), Job(DAY + 1, HOUR)]
    found = replay_rounds(lab_case(jobs, {"a": 8}, slots=60, **ROUNDS_ONLY))
    # The first comes at the very instant of the round at 0, the third at that of the round at 24.
    assert started(found) == [0, 24, 24, 48]
    assert [noted["hour"] for noted in found.extra["rounds"]["each"]] == [0, 24, 48]
    assert found.extra["rounds"]["admissions"]["held"] == 0


def test_between_rounds_arrivals_are_admitted_at_the_next_full_hour():
    jobs = [Job(1, HOUR), Job(2 * HOUR, HOUR), Job(5 * HOUR + 1, HOUR), Job(DAY - 1, HOUR)]
    found = replay_rounds(lab_case(jobs, {"a": 8}))
    assert started(found) == [1, 2, 6, 24]
    assert found.extra["rounds"]["admissions"]["awards"] == 3
    every_three = replay_rounds(lab_case(jobs, {"a": 8}, admit_every_h=3))
    assert started(every_three) == [3, 3, 6, 24]


def test_who_is_not_admitted_is_served_by_the_round():
    """The second finds no room within the horizon of its admission; nor does another, admitted later, push it out."""
    jobs = [Job(1, 30 * HOUR, 8), Job(2, 2 * HOUR, 8, deadline_s=60 * HOUR), Job(5 * HOUR, HOUR, 1, "b")]
    found = replay_rounds(lab_case(jobs, {"a": 8, "b": 1}, horizon_h=31))
    assert started(found) == [1, 31, 5]
    assert found.extra["rounds"]["awards"] == 1
    assert found.extra["rounds"]["admissions"]["held"] == 2


def test_orders_that_no_round_could_look_at_in_time_are_counted():
    jobs = [Job(1, HOUR, deadline_s=8 * HOUR), Job(2, HOUR, deadline_s=30 * HOUR)]
    found = replay_rounds(lab_case(jobs, {"a": 8}, **ROUNDS_ONLY))
    assert column(found, "outcome") == ["expired", "served"]
    assert found.extra["rounds"]["never_looked_at"] == 1
    stopped = [Job(0, 10 * HOUR, 8, deadline_s=15 * HOUR)]  # comes back to the round at 24, which is too late
    case = lab_case(stopped, {"a": 8}, slots=30, outages=[Outage("a", 4, 6)], **ROUNDS_ONLY)
    assert replay_rounds(case).extra["rounds"]["never_looked_at"] == 0
    assert replay_rounds(lab_case(jobs, {"a": 8})).extra["rounds"]["never_looked_at"] == 0


def test_admissions_are_at_the_asks_before_the_first_round_and_at_its_prices_after():
    early = replay_rounds(lab_case([Job(1, HOUR, 1, limit_cny=2)], {"a": 4}))
    assert column(early, "gross_ucny") == [2 * MICRO]
    # At the round at 24, twenty gangs of three want a pool of four: one accelerator stays free, at the round's price.
    crowd = [Job(DAY - 1, 12 * HOUR, 3, limit_cny=3 * 12 * (3 + n), deadline_s=(36 + n) * HOUR) for n in range(20)]
    price = replay_rounds(lab_case(crowd, {"a": 4}, slots=60, **ROUNDS_ONLY)).series["price_ucny_per_gpu_hour"]
    dear, slot = price.max(), price.arg_max()
    assert dear > 5 * MICRO
    assert slot > 24
    for limit, hour in ((dear - 10_000, None), (dear + 10_000, slot)):
        window = {"submit_s": slot * HOUR - 1, "deadline_s": (slot + 1) * HOUR}
        late = Job(**window, run_s=HOUR, limit_cny=limit // 10_000 / 100)
        found = replay_rounds(lab_case([*crowd, late], {"a": 4}, slots=60))
        assert started(found)[-1] == hour
        assert column(found, "gross_ucny")[-1] == (0 if hour is None else dear)
    # The round at 48 has no orders left: its prices are the asks.
    found = replay_rounds(lab_case([*crowd, Job(48 * HOUR + 1, HOUR, 1, limit_cny=2)], {"a": 4}, slots=60))
    assert started(found)[-1] == 49


def test_round_begins_at_the_prices_of_the_last_one():
    """The same crowd comes again two weeks later: as many passes more find better prices, where none had been known."""
    crowd = [Job(0, (6 + n % 5) * HOUR, 2 + n % 3, limit_cny=20 + 7 * n, deadline_s=(30 + n) * HOUR) for n in range(40)]
    later = [job._replace(submit_s=336 * HOUR, deadline_s=job.deadline_s + 336 * HOUR) for job in crowd]
    case = lab_case([*crowd, *later], {"a": 8}, horizon_h=168, round_every_h=336, slots=450, **ROUNDS_ONLY)
    first, second = replay_rounds(case, effort=Effort(passes=30, moves=0)).extra["rounds"]["each"]
    assert first["orders"] == second["orders"] == 40
    assert second["dual_bound_cny"] < first["dual_bound_cny"]


def test_awards_are_firm():
    """A job that bids a hundred times as much later does not take the place of an earlier award."""
    jobs = [Job(1, 40 * HOUR, 8), Job(DAY + 1, HOUR, 8, limit_cny=1e5, deadline_s=60 * HOUR)]
    found = replay_rounds(lab_case(jobs, {"a": 8}))
    assert started(found) == [1, 41]


def test_no_award_looks_past_the_horizon():
    jobs = [Job(1, 20 * HOUR, 8), Job(2, 20 * HOUR, 8), Job(3, 20 * HOUR, 8)]
    found = replay_rounds(lab_case(jobs, {"a": 8}, slots=100, horizon_h=48, **ROUNDS_ONLY))
    assert sorted(started(found)) == [24, 44, 64]
    assert [noted["awards"] for noted in found.extra["rounds"]["each"]] == [2, 1]


def test_end_of_the_book_is_the_end_of_the_market():
    jobs = [Job(n, 20 * HOUR, 8) for n in range(3)]
    found = replay_rounds(lab_case(jobs, {"a": 8}, slots=50))
    assert sorted(column(found, "outcome")) == ["served", "served", "waiting"]


# ---- what is paid ------------------------------------------------------------------------------------------------


def test_whole_hours_are_charged_and_true_seconds_are_run():
    pools = [Pool("p", "a", 8, 3.0, speed=0.5)]
    found = replay_rounds(lab_case([Job(10, HOUR + 1, 2)], pools, pue=1.2, grid_kgco2_per_kwh=0.5))
    row = found.jobs.row(0, named=True)
    assert row["end_s"] - row["start_s"] == 2 * (HOUR + 1)
    assert row["held_s"] == 3 * HOUR
    assert row["gross_ucny"] == row["ask_cost_ucny"] == 2 * 3 * 3 * MICRO
    assert row["kgco2"] is None
    watts = replay_rounds(
        lab_case([Job(10, HOUR, 2)], [Pool("p", "a", 8, watts=500.0)], pue=1.2, grid_kgco2_per_kwh=0.5)
    )
    assert column(watts, "kgco2") == [pytest.approx(2 * 0.5 * 1.2 * 0.5)]


def test_transfer_is_paid_to_the_carrier():
    pools = [Pool("p", "a", 1, 9.0), Pool("q", "b", 8, 1.0)]
    regions = {"a": "east", "b": "west"}
    case = lab_case([Job(1, HOUR, 1, "a", data_gb=10)], pools, region_of=regions, links=[("east", "west", 0.25)])
    found = replay_rounds(case)
    assert found.jobs.select("centre_id", "gross_ucny", "transfer_ucny", "net_ucny").row(0) == (
        *("b", MICRO, 2_500_000, 3_500_000),
    )
    assert found.extra["ledger"]["balances_cny"]["Liabilities:Carrier:Payable"] == -2.5


def test_budget_holds_over_all_rounds():
    jobs = [Job(n * DAY + 1, HOUR, 10, limit_cny=20, firm=f"e{n}") for n in range(4)]
    for case in (
        lab_case(jobs, {"a": 10}, programmes=[voucher(budget_cny=25)]),
        with_use(lab_case(jobs, {"a": 10}, programmes=[voucher(cap_cny=100)]), 25),
    ):
        found = replay_rounds(case)
        assert column(found, "voucher_ucny") == [10 * MICRO, 10 * MICRO, 5 * MICRO, 0]
        assert column(found, "programme_id") == ["v", "v", "v", None]
        assert found.extra["ledger"]["balances_cny"]["Liabilities:Programme:Available"] == 0.0


def with_use(case, budget_cny):
    """Return the case with a budget that its book sets for the programme."""
    use = tuple(ProgrammeUse(name, budget_cny * MICRO) for name in case.programmes)
    return replace(case, book=replace(case.book, use=use))


def test_cap_holds_over_all_rounds_for_each_firm():
    jobs = [Job(n * DAY + 1, HOUR, 10, limit_cny=20, firm=f"e{n % 2}") for n in range(6)]
    found = replay_rounds(lab_case(jobs, {"a": 10}, programmes=[voucher(cap_cny=15)]))
    assert column(found, "voucher_ucny") == [10 * MICRO] * 2 + [5 * MICRO] * 2 + [0] * 2


def test_contract_uses_a_programme_once_over_all_rounds():
    jobs = [Job(n * DAY + 1, HOUR, 1, limit_cny=2, contract="k" if n < 2 else None) for n in range(3)]
    found = replay_rounds(lab_case(jobs, {"a": 10}, programmes=[voucher(cap_cny=100)]))
    assert column(found, "voucher_ucny") == [MICRO, 0, MICRO]


def test_programme_ends_with_its_last_day():
    jobs = [Job(n * DAY + 1, HOUR, 1, limit_cny=2) for n in range(3)]
    day = (START.date()).isoformat()
    assert day == "2026-03-01"  # 2 March in Shanghai
    found = replay_rounds(lab_case(jobs, {"a": 10}, programmes=[voucher(cap_cny=100, last="2026-03-03")]))
    assert column(found, "voucher_ucny") == [MICRO, MICRO, 0]


def test_programme_that_is_over_still_rules_out_what_it_ruled_out():
    """The firm used `v`, which may not be held beside `w`; that `v` ends on 2 March does not make room for `w`."""
    v, w = voucher("v", 0.5, cap_cny=50, last="2026-03-02"), voucher("w", 0.3, cap_cny=50)
    bar = Exclude(("w",), None, None, False, Scope.ENTERPRISE, v.rate.basis)
    asked = [(1, "e0"), (DAY + 1, "e0"), (DAY + 1, "e1")]
    jobs = [Job(second, HOUR, 2, limit_cny=4, firm=firm) for second, firm in asked]
    found = replay_rounds(lab_case(jobs, {"a": 8}, programmes=[replace(v, excludes=(bar,)), w]))
    assert column(found, "programme_id") == ["v", None, "w"]


# ---- who is not served -------------------------------------------------------------------------------------------


def test_outcomes_of_those_who_are_not_served():
    jobs = [
        Job(1, HOUR, 8, limit_cny=15.99),  # below the ask of 16
        Job(2, HOUR, 9),  # larger than the pool
        Job(3, 90 * HOUR, 8, limit_cny=1e5),
        Job(4, HOUR, 1, deadline_s=20 * HOUR),
        Job(5, HOUR, 1, limit_cny=2, deadline_s=NO_DEADLINE),
    ]
    found = replay_rounds(lab_case(jobs, {"a": 8}, slots=91))
    assert column(found, "outcome") == ["refused", "refused", "served", "expired", "waiting"]
    waiting = found.series.group_by("slot", maintain_order=True).agg(pl.col("waiting_jobs").sum())["waiting_jobs"]
    # The fourth leaves at 19:00, when it could no longer end in time; the last waits to the end.
    assert waiting[18] == 2.0
    assert waiting[19] == 1.0
    assert waiting[90] == 1.0


def test_refused_is_who_could_pay_nowhere_not_who_was_too_late():
    """While the budget lasts the voucher makes the limit bear the ask; afterwards nothing does."""
    jobs = [Job(1, HOUR, 10, limit_cny=10), Job(DAY + 1, HOUR, 10, limit_cny=10)]
    found = replay_rounds(lab_case(jobs, {"a": 10}, programmes=[voucher(budget_cny=10)]))
    assert column(found, "outcome") == ["served", "refused"]


# ---- outages -----------------------------------------------------------------------------------------------------


def test_latest_start_is_stopped_billed_and_run_again():
    jobs = [Job(0, 40 * HOUR, 4, firm="e1"), Job(2 * HOUR, 30 * HOUR, 4, firm="e2")]
    case = lab_case(jobs, {"a": 8}, outages=[Outage("a", 10, 20, 500_000)])
    found = replay_rounds(case)
    assert column(found, "outcome") == ["served", "served"]
    # The second ran from 2 to 10, waits for the outage to end and is run from the start.
    assert started(found) == [0, 20]
    second = found.jobs.row(1, named=True)
    assert second["held_s"] == (8 + 30) * HOUR
    assert second["gross_ucny"] == second["net_ucny"] == second["ask_cost_ucny"] == 4 * 2 * 38 * MICRO
    series = found.series.sort("slot")
    assert series["gpus"].to_list()[9:21] == [8, *[4] * 10, 8]
    assert series["held_gpu_hours"].to_list()[9:21] == [8.0, *[4.0] * 10, 8.0]
    assert series["waiting_gpus"].to_list()[9:21] == [0.0, *[4.0] * 10, 0.0]
    assert found.extra["ledger"]["entries"]["post"] == 3


def test_stopped_order_is_in_the_round_of_the_same_hour():
    """Between the outage at 24 and the next round at 48 it would run out of time."""
    jobs = [Job(0, 30 * HOUR, 8, deadline_s=60 * HOUR)]
    found = replay_rounds(lab_case(jobs, {"a": 8}, outages=[Outage("a", 24, 26)], **ROUNDS_ONLY))
    assert started(found) == [26]
    assert column(found, "held_s") == [(24 + 30) * HOUR]


def test_award_whose_hour_has_not_come_is_withdrawn_and_pays_nothing():
    jobs = [Job(0, 12 * HOUR, 8), Job(1, 5 * HOUR, 8, deadline_s=60 * HOUR)]
    case = lab_case(jobs, {"a": 8}, outages=[Outage("a", 12, 20)])
    found = replay_rounds(case)
    assert started(found) == [0, 20]
    assert found.jobs["gross_ucny"][1] == found.jobs["ask_cost_ucny"][1] == 5 * 8 * 2 * MICRO
    assert found.jobs["held_s"][1] == 5 * HOUR
    entries = found.extra["ledger"]["entries"]
    assert (entries["reserve"], entries["post"]) == (3, 2)


def test_award_of_the_very_hour_of_an_outage_moves_no_data():
    regions, links = {"a": "east", "b": "west"}, [("east", "west", 0.25)]
    pools = [Pool("p", "a", 1, 900.0), Pool("q", "b", 8, 1.0)]
    jobs = [Job(0, 12 * HOUR, 8, "b"), Job(1, 2 * HOUR, 8, "a", data_gb=10, limit_cny=100)]
    case = lab_case(jobs, pools, region_of=regions, links=links, outages=[Outage("b", 12, 13)])
    found = replay_rounds(case)
    assert started(found) == [0, 13]
    assert column(found, "transfer_ucny") == [0, 2_500_000]


def test_stopped_job_that_cannot_end_in_time_pays_for_what_ran():
    jobs = [Job(0, 10 * HOUR, 8, limit_cny=500, deadline_s=15 * HOUR)]
    found = replay_rounds(lab_case(jobs, {"a": 8}, outages=[Outage("a", 4, 6)], slots=30))
    row = found.jobs.row(0, named=True)
    assert (row["outcome"], row["start_s"], row["end_s"], row["held_s"]) == ("stopped", 0, 4 * HOUR, 4 * HOUR)
    assert row["gross_ucny"] == row["net_ucny"] == 4 * 8 * 2 * MICRO
    # It waits again until 5:00, the last hour at which it could start.
    assert found.series["waiting_jobs"].to_list()[:7] == [0.0] * 4 + [1.0] + [0.0] * 2


def test_unused_vouchers_go_back_into_budget_and_cap():
    """The stopped job used 4 of its 20 yuan; the other 16 pay for the jobs after it."""
    jobs = [
        Job(0, 10 * HOUR, 2, limit_cny=40, deadline_s=12 * HOUR),
        *(Job(5 * HOUR, 2 * HOUR, 2, limit_cny=8, firm=firm) for firm in ("e0", "e0", "e0", "e0", "e0")),
    ]
    programme = voucher(budget_cny=20, cap_cny=20)
    stopped = [Outage("a", 2, 3)]
    found = replay_rounds(lab_case(jobs, {"a": 20}, programmes=[programme], outages=stopped, slots=40))
    assert column(found, "outcome")[0] == "stopped"
    assert column(found, "voucher_ucny") == [4 * MICRO, *[4 * MICRO] * 4, 0]
    balances = found.extra["ledger"]["balances_cny"]
    assert balances["Liabilities:Programme:Available"] == balances["Equity:Cap:Left"] == 0.0
    whole = replay_rounds(lab_case(jobs, {"a": 20}, programmes=[programme], slots=40))
    assert column(whole, "voucher_ucny") == [20 * MICRO, *[0] * 5]


def test_outages_that_overlap_and_reach_past_the_end():
    jobs = [Job(0, 5 * HOUR, 1) for _ in range(10)]
    outages = [Outage("a", 1, 4, 300_000), Outage("a", 2, 10**6, 400_000), Outage("b", 3, 5)]
    found = replay_rounds(lab_case(jobs, {"a": 10, "b": 1}, outages=outages, slots=30))
    series = found.series.filter(pl.col("centre_id") == "a")
    assert series["gpus"].to_list()[:6] == [10, 7, 3, 3, 6, 6]
    assert (series["held_gpu_hours"] <= series["gpus"]).all()
    assert set(column(found, "outcome")) == {"served"}


def test_outages_outside_the_run_or_without_an_hour_change_nothing():
    jobs = [Job(0, 5 * HOUR, 8), Job(HOUR, 5 * HOUR, 8)]
    outages = [Outage("a", -5, 0), Outage("a", 3, 3), Outage("a", 30, 40), Outage("nowhere", 0, 9)]
    found = replay_rounds(lab_case(jobs, {"a": 8}, slots=30, outages=outages))
    assert found.jobs.equals(replay_rounds(lab_case(jobs, {"a": 8}, slots=30)).jobs)
    early = replay_rounds(lab_case(jobs, {"a": 8}, slots=30, outages=[Outage("a", -5, 2)]))
    assert started(early) == [2, 7]


def test_order_id_that_looks_like_a_rerun_is_its_own_job():
    jobs = [Job(0, 10 * HOUR, 4), Job(0, 10 * HOUR, 4)]
    case = lab_case(jobs, {"a": 8}, outages=[Outage("a", 5, 6)], ids=["j", "j~2"])
    found = replay_rounds(case)
    assert started(found) == [6, 6]
    assert column(found, "job_id") == ["j", "j~2"]


# ---- the record --------------------------------------------------------------------------------------------------


def test_no_jobs_is_an_answer():
    case = lab_case([Job(0, HOUR)], {"a": 8}, slots=5)
    none = replace(
        case,
        book=replace(case.book, orders=case.book.orders.clear()),
        jobs=type(case.jobs)(*(array[:0] for array in case.jobs)),
        terms=lab_case([Job(0, HOUR)], {"a": 8}).terms,
    )
    none = replace(none, terms=replace(none.terms, **empty_terms(none)))
    found = replay_rounds(none)
    assert found.jobs.is_empty()
    assert found.series["price_ucny_per_gpu_hour"].to_list() == [2 * MICRO] * 5


def empty_terms(case):
    terms = case.terms
    return {
        "term_class": terms.term_class[:0],
        "room_ucny": terms.room_ucny[:0],
        "cap_index": terms.cap_index[:0],
        "contract_index": terms.contract_index[:0],
    }


def test_frames_follow_their_schemas():
    found = replay_rounds(lab_case([Job(0, HOUR), Job(1, HOUR, 99)], {"a": 8}))
    assert dict(found.jobs.schema) == JOB_SCHEMA
    assert dict(found.series.schema) == SERIES_SCHEMA


def test_progress_grows_to_the_end():
    told = []
    jobs = [Job(n * 10 * HOUR + 1, HOUR) for n in range(10)]
    replay_rounds(lab_case(jobs, {"a": 8}), progress=lambda *what: told.append(what))
    assert {phase for phase, _, _ in told} == {"rounds"}
    shares = [share for _, share, _ in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_cut_by_the_clock_says_so():
    jobs = [Job(1, 5 * HOUR, 3, limit_cny=100, deadline_s=40 * HOUR) for _ in range(12)]
    case = lab_case(jobs, {"a": 8}, **ROUNDS_ONLY)
    assert "reproducible" not in replay_rounds(case).extra
    assert replay_rounds(case, effort=Effort(seconds=0.0)).extra["reproducible"] is False


def test_default_effort_ends_by_moves_alone():
    assert ROUND_EFFORT.seconds is None


# ---- any case ----------------------------------------------------------------------------------------------------


@settings(max_examples=5, deadline=None)
@given(cases())
def test_what_holds_over_all_rounds_of_any_case(case):
    found = replay_rounds(case, effort=QUICK)
    jobs, series = found.jobs, found.series
    assert (jobs["gross_ucny"] + jobs["transfer_ucny"] == jobs["voucher_ucny"] + jobs["net_ucny"]).all()
    served = jobs.filter(pl.col("outcome") == "served")
    assert (served["gross_ucny"] >= served["ask_cost_ucny"]).all()
    assert (served["start_s"] >= served["submit_s"]).all()
    assert (jobs["net_ucny"] <= jobs["limit_ucny"]).all()
    in_time = served["end_s"].to_numpy() <= case.jobs.deadline_s[(jobs["outcome"] == "served").to_numpy()]
    assert in_time.all()
    _check_capacity(case, series)
    _check_hours(jobs, series)
    _check_support(case, jobs)
    _check_ledger(jobs, found.extra["ledger"])
    again = replay_rounds(case, effort=QUICK)
    assert again.jobs.equals(jobs)
    assert again.series.equals(series)
    assert again.extra == found.extra


def _check_capacity(case, series):
    """No hour of any centre holds more than stands there; outages counted."""
    stands = standing(case)
    assert series["gpus"].sum() == stands.sum()
    assert (series["held_gpu_hours"] <= series["gpus"]).all()
    assert (series["used_gpu_hours"] <= series["held_gpu_hours"] + 1e-9).all()


def _check_hours(jobs, series):
    held = (jobs["gpus"] * jobs["held_s"]).sum()
    assert series["held_gpu_hours"].sum() == pytest.approx(held / HOUR)
    assert held % HOUR == 0


def _check_support(case, jobs):
    """Budgets, caps and rates hold over the whole run, from the frame of jobs alone."""
    one = jobs.filter(pl.col("programme_id").is_in(["v", "w"]))
    for name, programme in case.programmes.items():
        mine = one.filter(pl.col("programme_id") == name)
        cap = programme.caps[0].amount_ucny
        assert mine.group_by("enterprise_id").agg(pl.col("voucher_ucny").sum())["voucher_ucny"].max() or cap >= 0
        if programme.budget is not None:
            assert mine["voucher_ucny"].sum() <= programme.budget.amount_ucny
        assert (mine["voucher_ucny"] * MICRO <= mine["gross_ucny"] * programme.rate.share_ppm).all()


def _check_ledger(jobs, ledger):
    """The ledger sums to zero, nothing stays reserved, and it says what the frame says, but for rounding to fen."""
    sums = ledger["balances_cny"]
    assert ledger["sum_cny"] == 0.0
    assert sum(sums.values()) == pytest.approx(0.0, abs=1e-6)
    for kind in ("Liabilities:Enterprise:Reserved", "Liabilities:Programme:Reserved"):
        assert sums.get(kind, 0.0) == 0.0
    runs = ledger["entries"].get("reserve", 0)
    assert -sums.get("Liabilities:Centre:Payable", 0.0) == pytest.approx(
        jobs["gross_ucny"].sum() / MICRO, abs=0.01 * runs
    )
    paid = sums.get("Assets:Enterprise", 0.0) + sums.get("Expenses:Rounding", 0.0)
    support = sums.get("Assets:Programme", 0.0) + sums.get("Liabilities:Programme:Available", 0.0)
    assert paid + support == pytest.approx(jobs["gross_ucny"].sum() / MICRO, abs=0.01 * runs)
    assert support == pytest.approx(jobs["voucher_ucny"].sum() / MICRO, abs=2.0 * runs)


def test_what_a_stopped_run_has_cost_comes_off_the_limit_of_the_next():
    jobs = [Job(0, 4 * HOUR, 1, limit_cny=limit, deadline_s=20 * HOUR) for limit in (10, 14)]
    case = lab_case(jobs, {"a": 2}, slots=24, outages=[Outage("a", 2, 3)])
    found = replay_rounds(case, effort=QUICK).jobs
    # Both have paid 4 of their yuan when they are stopped; the second run costs 8.
    assert found["outcome"].to_list() == ["stopped", "served"]
    assert found["net_ucny"].to_list() == [4_000_000, 12_000_000]
