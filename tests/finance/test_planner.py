"""The planner against trying everything, against its own rules, and against a second implementation of them."""

import json
import random
from dataclasses import replace
from datetime import date

import pytest
from enumeration import best_of
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dujiang.core.money import FEN, MICRO
from dujiang.core.text import Text
from dujiang.finance.funding import fund
from dujiang.finance.instrument import Instrument, Kind, Repayment
from dujiang.finance.model import SolverLimits
from dujiang.finance.plan_document import plan_document
from dujiang.finance.planner import missing_terms, plan, prepared
from dujiang.finance.project import DebtAtEnd, Milestone, Objective, Project
from dujiang.finance.schedule import breaches
from dujiang.finance.shortfall import shortfall
from dujiang.verify.plan import verify_plan

EXACT = SolverLimits(gap=0.0)
STEP = 10_000 * MICRO


def made(key: str, kind: Kind, **terms) -> Instrument:
    return Instrument(key, kind, Text(key, key), "", **terms)


def project_of(months: int, own: int, net: list[int], *items: Instrument, **more) -> Project:
    """Return a project that spends (net below 0) or earns each month, in yuan."""
    costs = tuple(max(0, -x) * MICRO for x in net)
    income = tuple(max(0, x) * MICRO for x in net)
    return Project(
        "p", Text("p", "p"), date(2026, 3, 1), months, own * MICRO, {"compute": costs}, income, tuple(items), **more
    )


def random_project(draw: random.Random, months: int, count: int) -> Project:
    """Draw a small project with coarse amounts and every kind of rule that can be tried out."""
    kinds = [Kind.LOAN, Kind.LOAN, Kind.BOND, Kind.SUBSIDY, Kind.EQUITY, Kind.LEASE]
    items = []
    for number in range(count):
        kind = kinds[number % len(kinds)] if count > 4 else draw.choice(kinds)
        key = f"i{number}"
        lead = draw.choice([0, 0, 1])
        if kind is Kind.SUBSIDY:
            items.append(
                made(
                    *(key, kind),
                    rate_of_cost_ppm=draw.choice([100_000, 300_000]),
                    delay_months=draw.choice([0, 1, 2]),
                    most_ucny=draw.choice([None, 2 * STEP]),
                    lead_months=lead,
                )
            )
            continue
        terms = {
            "most_ucny": draw.choice([1, 2] if months > 4 else [1, 2, 3]) * STEP,
            "least_ucny": draw.choice([0, 0, STEP + MICRO]),
            "once": draw.random() < 0.3,
            "lead_months": lead,
            "fee_ppm": draw.choice([0, 10_000]),
            "fixed_fee_ucny": draw.choice([0, 0, 700 * MICRO]),
            "last_month": draw.choice([None, None, months - 2]),
        }
        if kind is Kind.EQUITY:
            terms |= {"required_return_ppm": draw.choice([150_000, 400_000])}
        else:
            repayment = draw.choice(list(Repayment))
            terms |= {
                "rate_ppm": draw.choice([24_000, 60_000, 120_000]),
                "repayment": repayment,
                "term_months": draw.choice([2, 3, 12]) if repayment is not Repayment.FREE else draw.choice([None, 2]),
            }
            if repayment is Repayment.EQUAL:
                terms["grace_months"] = draw.choice([0, 1])
            if kind is Kind.LEASE:
                terms |= {"uses": frozenset({"compute"}), "once": False}
            if number and draw.random() < 0.3:
                terms |= {"collateral": "patents", "ltv_ppm": draw.choice([500_000, 800_000])}
            if number and items[0].kind is not Kind.SUBSIDY and draw.random() < 0.3:
                terms |= {"multiple_of": "i0", "multiple_ppm": draw.choice([1_000_000, 2_000_000])}
        if number and draw.random() < 0.4:
            terms |= draw.choice([{"needs": ("i0",)}, {"excludes": ("i0",)}, {"group": "g"}])
        items.append(made(key, kind, **terms))
    net = [-draw.randrange(3_000, 16_000) for _ in range(months)]
    for month in range(months // 2, months):
        net[month] = draw.randrange(-6_000, 45_000)
    own = draw.randrange(0, 20_000)
    return project_of(
        *(months, own, net, *items),
        step_ucny=STEP,
        assets={"patents": 3 * STEP},
        reserve_ucny=draw.choice([0, 1_000 * MICRO]),
        debt_at_end=draw.choice([DebtAtEnd.REPAID, DebtAtEnd.REPAID, DebtAtEnd.ALLOWED]),
    )


@pytest.mark.parametrize("seed", range(60))
def test_a_small_plan_is_the_best_of_all_that_there_are(seed: int) -> None:
    draw = random.Random(seed)
    compare(random_project(draw, draw.choice([3, 4]), draw.choice([2, 3])))


@pytest.mark.parametrize("seed", (101, 104))
def test_six_instruments_and_six_months_are_planned_as_well_as_by_trying_everything(seed: int) -> None:
    compare(random_project(random.Random(seed), 6, 6))


def compare(project: Project) -> None:
    least, missing = best_of(project)
    best = plan(project, solver=EXACT)
    lack = shortfall(project, EXACT)
    if least is None:
        assert best is None
        assert lack is not None
        assert missing <= lack.missing_ucny <= missing + MICRO
        return
    assert best is not None
    assert lack is None
    assert not breaches(best.project, best.schedule)
    # A plan is stated to the fen, which rounds charges and support one by one.
    assert best.cost.present_value_ucny == pytest.approx(least, abs=2 * FEN)
    assert best.proven
    assert best.gap_ucny <= 5 * FEN
    assert verify_plan(json.dumps(plan_document(fund(project, around=False)))).findings == []


def test_the_small_cases_are_of_both_sorts() -> None:
    found = []
    for seed in range(60):
        draw = random.Random(seed)
        found.append(best_of(random_project(draw, draw.choice([3, 4]), draw.choice([2, 3])))[0])
    assert 10 <= sum(cost is None for cost in found) <= 45
    assert sum(cost is not None and abs(cost) > MICRO for cost in found) >= 15


def rich_project(**more) -> Project:
    """Return a project with something of everything, and amounts that are no whole steps."""
    items = (
        made(
            *("loan", Kind.LOAN),
            most_ucny=2_000_000 * MICRO,
            rate_ppm=45_000,
            term_months=12,
            repayment=Repayment.EQUAL,
            grace_months=3,
            fixed_fee_ucny=5000 * MICRO,
        ),
        made(
            *("free", Kind.LOAN),
            most_ucny=900_000 * MICRO,
            rate_ppm=60_000,
            uses=frozenset({"people"}),
            lead_months=2,
            needs=("backer",),
        ),
        made("backer", Kind.GUARANTEE, fee_ppm=10_000, most_ucny=600_000 * MICRO, fixed_fee_ucny=1_000 * MICRO),
        made("stake", Kind.EQUITY, required_return_ppm=200_000, pre_money_ucny=20_000_000 * MICRO, once=True),
        made(
            *("voucher", Kind.SUBSIDY),
            rate_of_cost_ppm=300_000,
            uses=frozenset({"compute"}),
            delay_months=3,
            most_ucny=300_000 * MICRO,
        ),
    )
    fields = {
        "own_cash_ucny": 400_000 * MICRO,
        "costs": {
            "compute": tuple((200_003 + 17 * t) * MICRO for t in range(12)),
            "people": (100_001 * MICRO,) * 12,
        },
        "income": (0,) * 4 + (430_007 * MICRO,) * 8,
        "instruments": items,
        "reserve_ucny": 50_000 * MICRO,
        "milestones": (Milestone("ready", 3, Text("ready", "完成")),),
    }
    return Project("p", Text("p", "p"), date(2026, 3, 1), 12, **(fields | more))


def test_whole_yuan_of_a_large_plan_keep_every_rule_and_stay_at_the_optimum() -> None:
    best = plan(rich_project(), solver=EXACT)
    assert best is not None
    assert not breaches(best.project, best.schedule)
    assert best.gap < 1e-5
    assert all(amount % MICRO == 0 for amount in best.schedule.choices.draws.values())
    assert {"loan", "voucher"} <= set(best.schedule.used)


@pytest.mark.parametrize("objective", list(Objective))
def test_each_objective_reaches_its_goal_first(objective: Objective) -> None:
    # Without equity the months before the income cannot be paid; the stake takes no time, the loans do.
    project = rich_project(own_cash_ucny=60_000 * MICRO, reserve_ucny=0)
    project = project.with_instruments(
        tuple(replace(i, most_ucny=400_000 * MICRO) if i.id == "loan" else i for i in project.instruments)
    )
    cheapest, best = plan(project, solver=EXACT), plan(project, objective, EXACT)
    assert cheapest is not None
    assert best is not None
    assert best.cost.present_value_ucny >= cheapest.cost.present_value_ucny - 100 * MICRO
    if objective is Objective.FASTEST:
        assert "free" not in best.schedule.used
    if objective is Objective.NO_DILUTION:
        assert 0 < best.schedule.total("stake") <= cheapest.schedule.total("stake") + 100 * MICRO
        fewer = project.with_instruments(
            tuple(
                replace(i, most_ucny=best.schedule.total("stake") - 200 * MICRO) if i.id == "stake" else i
                for i in project.instruments
            )
        )
        assert plan(fewer) is None
    if objective is Objective.LONGEST_RUNWAY:
        late = replace(project, income=(*project.income[:-1], 0))
        longest, short = plan(late, objective, EXACT), plan(late, solver=EXACT)
        assert longest is not None
        assert short is not None
        assert longest.schedule.cash[-1].closing_ucny > 10 * short.schedule.cash[-1].closing_ucny


def test_no_dilution_gives_up_no_share_where_that_is_possible() -> None:
    project = rich_project()
    stake_first = project.with_instruments(
        tuple(replace(i, required_return_ppm=1_000) if i.id == "stake" else i for i in project.instruments)
    )
    cheapest, undiluted = plan(stake_first), plan(stake_first, Objective.NO_DILUTION)
    assert cheapest is not None
    assert undiluted is not None
    assert "stake" in cheapest.schedule.used
    assert "stake" not in undiluted.schedule.used


@settings(max_examples=15, deadline=None)
@given(
    own=st.integers(0, 120_000),
    cost=st.integers(20_000, 90_000),
    most=st.integers(0, 60_000),
    at=st.integers(0, 5),
)
def test_what_is_missing_is_exactly_what_has_to_be_added(own: int, cost: int, most: int, at: int) -> None:
    loan = made("loan", Kind.LOAN, most_ucny=most * MICRO, rate_ppm=60_000, lead_months=at)
    project = project_of(6, own, [-cost] * 6, loan, debt_at_end=DebtAtEnd.ALLOWED)
    lack = shortfall(project)
    if lack is None:
        assert plan(project) is not None
        return
    assert plan(project) is None
    enough = replace(project, own_cash_ucny=project.own_cash_ucny + lack.missing_ucny + 10 * MICRO)
    assert plan(enough) is not None
    almost = replace(project, own_cash_ucny=project.own_cash_ucny + lack.missing_ucny - 10 * MICRO)
    assert plan(almost) is None
    assert lack.first_ucny > 0


def test_a_shortfall_names_the_month_and_the_rule_that_stand_in_the_way() -> None:
    late = made("loan", Kind.LOAN, most_ucny=900_000 * MICRO, rate_ppm=60_000, lead_months=3)
    project = project_of(6, 150_000, [-100_000] * 4 + [500_000] * 2, late)
    lack = shortfall(project)
    assert lack is not None
    assert (lack.month, lack.rule, lack.missing_ucny) == (1, "lead", 150_000 * MICRO)
    small = project.with_instruments((replace(late, lead_months=0, most_ucny=100_000 * MICRO),))
    lack = shortfall(small)
    assert lack is not None
    assert (lack.month, lack.rule) == (2, "ceilings")
    assert [(limit.rule, limit.subject) for limit in lack.exhausted] == [("most", "loan")]
    owed = project_of(3, 0, [-100_000, -100_000, 0], replace(late, lead_months=0))
    lack = shortfall(owed)
    assert lack is not None
    assert (lack.month, lack.rule) == (2, "debt_at_end")
    poor = project_of(3, 0, [-100_000, 0, 0])
    lack = shortfall(poor)
    assert lack is not None
    assert (lack.month, lack.rule, lack.missing_ucny) == (0, "cash", 100_000 * MICRO)


def test_instruments_that_cannot_be_had_are_left_out_with_all_that_needs_them() -> None:
    a = made("a", Kind.LOAN, needs=("gone",))
    b = made("b", Kind.LOAN, multiple_of="a", multiple_ppm=MICRO)
    c = made("c", Kind.LOAN, excludes=("a", "gone"))
    ready, out = prepared(project_of(2, 0, [0, 0], a, b, c))
    assert [item.id for item in ready.instruments] == ["c"]
    assert ready.instruments[0].excludes == ()
    assert dict(out) == {"a": "gone", "b": "a"}


def test_terms_that_a_kind_needs_are_asked_for() -> None:
    assert missing_terms(made("e", Kind.EQUITY)) == ("required_return",)
    assert missing_terms(made("s", Kind.SUBSIDY)) == ("rate_of_cost",)
    assert missing_terms(made("r", Kind.RECEIVABLES, advance_ppm=1)) == ("ahead_months",)
    assert missing_terms(made("l", Kind.LOAN, repayment=Repayment.EQUAL, collateral="x")) == ("term_months", "ltv")


def test_support_never_passes_a_cost_and_comes_only_after_it() -> None:
    both = [
        made(key, Kind.SUBSIDY, rate_of_cost_ppm=rate, delay_months=delay, lead_months=lead)
        for key, rate, delay, lead in (("a", 700_000, 0, 0), ("b", 600_000, 2, 0), ("late", 900_000, 1, 4))
    ]
    best = plan(project_of(5, 1_000_000, [-100_003] * 5, *both))
    assert best is not None
    paid: dict[int, int] = {}
    for (_, _, month), amount in best.schedule.choices.support.items():
        paid[month] = paid.get(month, 0) + amount
    assert max(paid.values()) <= 100_003 * MICRO
    assert paid[0] == 100_003 * MICRO
    assert {row.month for row in best.schedule.rows if row.instrument_id == "late" and row.subsidy_ucny} <= {4}


def test_the_whole_answer_says_what_else_there_is_and_what_may_go_wrong() -> None:
    answer = fund(rich_project())
    assert answer.plan is not None
    by_key = {option.without: option for option in answer.alternatives}
    assert set(by_key) <= set(answer.plan.schedule.used)
    assert all(o.more_ucny is None or o.more_ucny > -MICRO for o in answer.alternatives)
    dear = by_key["voucher"]
    assert dear.plan is not None
    assert dear.more_ucny is not None
    assert "voucher" not in dear.plan.schedule.used
    assert dear.more_ucny >= answer.plan.cost.support_pv_ucny - 1000 * MICRO
    slips = {(shock.kind, shock.months): shock for shock in answer.shocks}
    assert set(slips) == {("slip", 3), ("slip", 6), ("dry", 0)}
    for months in (3, 6):
        assert slips["slip", months].breaks_month == 4
        assert slips["slip", months].missing_ucny > 400_000 * MICRO
    assert slips["slip", 6].missing_ucny > slips["slip", 3].missing_ucny
    dry = slips["dry", 0]
    assert dry.replanned is not None
    assert dry.more_ucny is not None
    assert dry.more_ucny > 0


def test_a_guarantee_costs_its_premium_on_what_is_owed_and_its_ceiling_holds() -> None:
    loan = made("loan", Kind.LOAN, most_ucny=500_000 * MICRO, rate_ppm=60_000, needs=("g",))
    backer = made("g", Kind.GUARANTEE, fee_ppm=24_000, most_ucny=100_000 * MICRO, lead_months=1)
    project = project_of(4, 103_000, [-100_000, -100_000, 0, 300_000], loan, backer)
    best = plan(project, solver=EXACT)
    assert best is not None
    rows = {(row.instrument_id, row.month): row for row in best.schedule.rows}
    assert ("loan", 0) not in rows
    assert 97_000 * MICRO < rows["loan", 1].owed_ucny <= 100_000 * MICRO
    assert rows["g", 1].interest_ucny == pytest.approx(rows["loan", 1].owed_ucny * 0.024 / 12, abs=FEN / 2)
    assert plan(replace(project, own_cash_ucny=100_000 * MICRO)) is None
    wide = project.with_instruments((loan, replace(backer, most_ucny=300_000 * MICRO)))
    assert plan(wide) is not None
    assert plan(replace(wide, own_cash_ucny=99_000 * MICRO)) is None
    at_once = wide.with_instruments((loan, replace(backer, most_ucny=300_000 * MICRO, lead_months=0)))
    assert plan(replace(at_once, own_cash_ucny=99_000 * MICRO)) is not None


def test_a_loan_that_follows_support_waits_until_it_has_arrived() -> None:
    # The support for the first month arrives during it, after what is drawn at its opening.
    support = made("s", Kind.SUBSIDY, rate_of_cost_ppm=200_000)
    loan = made("l", Kind.LOAN, rate_ppm=60_000, multiple_of="s", multiple_ppm=10 * MICRO)
    net = [-100_000, -100_000, 400_000]
    assert plan(project_of(3, 79_000, net, support, loan)) is None
    best = plan(project_of(3, 80_000, net, support, loan))
    assert best is not None
    assert {row.month for row in best.schedule.rows if row.draw_ucny} == {1}
    stake = made("e", Kind.EQUITY, required_return_ppm=300_000)
    dearer = plan(project_of(3, 79_000, net, support, loan, stake))
    assert dearer is not None
    assert dearer.schedule.total("e") == pytest.approx(1_000 * MICRO, abs=20 * MICRO)


def test_the_ceiling_of_a_year_holds_for_the_spend_of_that_year() -> None:
    support = made(
        *("s", Kind.SUBSIDY),
        rate_of_cost_ppm=500_000,
        most_per_year_ucny=70_000 * MICRO,
        delay_months=2,
        lead_months=4,
        last_month=12,
    )
    best = plan(project_of(24, 10_000_000, [-100_000] * 24, support))  # from March 2026
    assert best is not None
    by_year: dict[int, int] = {}
    for (_, _, month), amount in best.schedule.choices.support.items():
        year = best.project.calendar_year(month)
        by_year[year] = by_year.get(year, 0) + amount
    assert by_year == {2026: 70_000 * MICRO, 2027: 70_000 * MICRO}
    assert min(row.month for row in best.schedule.rows) == 4
    assert best.gap_ucny < MICRO


def test_an_advance_is_never_above_its_share_of_the_income_ahead() -> None:
    paper = made("paper", Kind.RECEIVABLES, rate_ppm=60_000, ahead_months=2, advance_ppm=800_000)
    net = [-50_000, -50_000, 100_000, 100_000]
    assert plan(project_of(4, 50_000, net, paper)) is not None
    assert plan(project_of(4, 19_000, net, paper)) is None
    assert plan(project_of(4, 50_000, [-50_000, -50_000, 60_000, 100_000], paper)) is None


ODD = {
    "nothing at all": project_of(1, 0, [0]),
    "a billion": project_of(12, 0, [-(10**8)] * 11 + [15 * 10**8], made("l", Kind.LOAN, rate_ppm=50_000)),
    "steps far above the need": project_of(
        *(3, 0, [-100, -100, 500], made("l", Kind.LOAN, rate_ppm=50_000)), step_ucny=1_000 * MICRO
    ),
    "exactly enough": project_of(2, 100, [-100, 0], made("l", Kind.LOAN, rate_ppm=50_000)),
    "a free loan": project_of(12, 0, [-1003] * 6 + [2000] * 6, made("l", Kind.LOAN)),
    "terms beyond the end": project_of(
        *(3, 0, [-1001, 0, 5000]),
        made("l", Kind.LOAN, rate_ppm=100_000, repayment=Repayment.EQUAL, grace_months=1, term_months=36),
        debt_at_end=DebtAtEnd.ALLOWED,
    ),
    "a pledge for two": project_of(
        *(6, 0, [-10_007, -10_003, 0, 0, 0, 50_000]),
        made("a", Kind.LOAN, rate_ppm=100_000, collateral="x", ltv_ppm=333_333),
        made("b", Kind.LOAN, rate_ppm=50_000, collateral="x", ltv_ppm=70_001),
        made("c", Kind.LOAN, rate_ppm=500_000),
        assets={"x": 30_000 * MICRO},
    ),
    "a multiple of support": project_of(
        *(6, 10_007, [-10_007, -10_003, 0, 0, 0, 50_000]),
        made("s", Kind.SUBSIDY, rate_of_cost_ppm=333_333),
        made("e", Kind.EQUITY, required_return_ppm=300_000),
        made("b", Kind.LOAN, rate_ppm=50_000, multiple_of="s", multiple_ppm=1_333_333),
    ),
    "support as a multiple": project_of(
        *(6, 0, [-10_007, -10_003, 0, 0, 0, 50_000]),
        made("e", Kind.EQUITY, required_return_ppm=300_000),
        made("s", Kind.SUBSIDY, rate_of_cost_ppm=333_333, multiple_of="e", multiple_ppm=100_001),
    ),
    "two that need each other": project_of(
        *(3, 0, [-1000, 0, 5000]),
        made("a", Kind.LOAN, rate_ppm=10_000, needs=("b",)),
        made("b", Kind.LOAN, rate_ppm=20_000, needs=("a",)),
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_project_has_a_plan_that_both_implementations_find_lawful(name: str) -> None:
    answer = fund(ODD[name])
    assert answer.plan is not None
    assert not breaches(answer.plan.project, answer.plan.schedule)
    assert verify_plan(json.dumps(plan_document(answer))).findings == []


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**9))
@example(seed=6073577)  # equal parts, cut to fen, leave more owed than the pledge bears
@example(seed=170873)  # a multiple of a cut amount falls below the least of another
@example(seed=154552539)  # or after its window
@example(seed=853607029)  # the same would draw a second time what may be drawn once
@example(seed=219489082)  # seventeen fen are missing in whole yuan, nothing in fractions
def test_every_plan_of_uneven_amounts_is_lawful_for_both_implementations(seed: int) -> None:
    draw = random.Random(seed)
    project = replace(random_project(draw, draw.choice([3, 5, 8]), draw.choice([2, 4, 6])))
    project = replace(project, step_ucny=draw.choice([FEN, MICRO]))
    best = plan(project)
    if best is None:
        lack = shortfall(project)
        if lack is None:  # only whole steps do not come out: a few more of them, and there is a plan
            assert plan(replace(project, own_cash_ucny=project.own_cash_ucny + 20 * project.step_ucny)) is not None
        else:
            assert lack.missing_ucny > 0
        return
    assert not breaches(best.project, best.schedule)
    assert best.gap_ucny <= 60 * MICRO
    assert verify_plan(json.dumps(plan_document(fund(project, around=False)))).findings == []
