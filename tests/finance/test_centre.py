"""A centre's debt: months by hand, schedules by their sums, the largest by trying all, break-even by living it."""

from dataclasses import replace
from datetime import date
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from books import dujiang
from dujiang.core.marked import read_yaml
from dujiang.core.text import Text
from dujiang.finance.centre import (
    Amortisation,
    CentrePlan,
    Cover,
    Debt,
    Form,
    Pool,
    break_even,
    cover,
    flows,
    largest,
    services,
    short_month,
)
from dujiang.finance.parse_centre import parse_centre

YUAN, FEN = 1_000_000, 10_000
WORDS = Text("x", "某")
EXAMPLE = Path(__file__).parents[2] / "examples/centre/qingyang.yaml"
POOL = Pool("a", "card", 10, 0, (2 * YUAN,), (500_000,), 1000, 200_000)
DEBT = Debt("d", WORDS, Form.LOAN, 60_000, 24, 6, Amortisation.EQUAL, 200_000 * YUAN, 0, None)


def plan(**further) -> CentrePlan:
    stated = {
        "title": WORDS,
        "start": date(2026, 1, 1),
        "months": 24,
        "pools": (POOL,),
        "pue_ppm": 1_500_000,
        "power_ucny_per_kwh": YUAN // 2,
        "running_ucny": {"staff": 500 * YUAN},
        "investment_ucny": {"equipment": 250_000 * YUAN},
        "insurance": (),
        "debts": (DEBT,),
        "target_ppm": 1_250_000,
        "window_months": 1,
        "step_ucny": 1_000 * YUAN,
        "sources": (),
        "assumptions": (),
    }
    return CentrePlan(**(stated | further))


def test_a_month_by_hand() -> None:
    january, february = flows(plan())[:2]
    # 10 cards x 744 h x 0.5 x 2 yuan; (0.5 + 0.2 x 0.5) of 7440 kWh x 1.5 x 0.5 yuan
    assert (january.income_ucny, january.power_ucny) == (7_440 * YUAN, 3_348 * YUAN)
    assert january.available_ucny == (7_440 - 3_348 - 500) * YUAN
    assert february.income_ucny == 6_720 * YUAN  # 28 days
    assert flows(plan(start=date(2028, 2, 1)))[0].income_ucny == 6_960 * YUAN  # 29


def test_pools_begin_in_their_month_and_change_by_their_own_years() -> None:
    later = replace(POOL, first_month=3, price_ucny=(2 * YUAN, 1 * YUAN), utilisation_ppm=(500_000, 1_000_000))
    found = flows(plan(pools=(later,)))
    assert [f.income_ucny for f in found[:3]] == [0, 0, 0]
    assert [f.power_ucny for f in found[:3]] == [0, 0, 0]
    assert found[3].income_ucny == 7_200 * YUAN  # April: 720 h at half, 2 yuan
    assert found[14].income_ucny == 7_440 * YUAN  # March of the next year is still in its first
    assert found[15].income_ucny == 7_200 * YUAN  # April: all of it at 1 yuan
    assert plan(pools=(later,)).gpu_hours(2) == 0
    assert plan(pools=(later,)).sold_hours(3) == 3_600


def test_premiums_are_paid_each_year_in_advance() -> None:
    covers = (Cover("p", WORDS, 250_000 * YUAN, 1_200, None),)
    found = [f.premiums_ucny for f in flows(plan(insurance=covers))]
    assert found == [300 * YUAN, *[0] * 11, 300 * YUAN, *[0] * 11]
    assert [f.premiums_ucny for f in flows(plan(insurance=covers), insured=False)] == [0] * 24
    assert Cover("p", WORDS, 33_330_000, 1_200, None).premium_ucny == 40_000  # 0.039996 yuan, to the fen


terms = st.builds(
    Debt,
    id=st.just("d"),
    name=st.just(WORDS),
    form=st.sampled_from(Form),
    rate_ppm=st.integers(0, 300_000),
    term_months=st.integers(1, 60),
    grace_months=st.integers(0, 20),
    repayment=st.sampled_from(Amortisation),
    most_ucny=st.just(10**12),
    residual_ppm=st.sampled_from([0, 0, 50_000, 333_333]),
    source=st.none(),
).filter(lambda debt: debt.grace_months < debt.term_months)


@settings(max_examples=150, deadline=None)
@given(terms, st.integers(0, 10**8).map(lambda fen: fen * FEN))
def test_a_debt_comes_back_whole_and_bears_interest_on_what_is_owed(debt: Debt, amount: int) -> None:
    paid = services(debt, amount, 80)
    assert len(paid) == 80
    assert sum(s.principal_ucny for s in paid) == amount
    owed = amount
    for t, service in enumerate(paid):
        assert service.owed_ucny == (owed if t < debt.term_months else 0)
        exact = Fraction(service.owed_ucny * debt.rate_ppm, 12 * 10**6)
        assert abs(service.interest_ucny - exact) <= FEN // 2
        assert service.interest_ucny % FEN == service.principal_ucny % FEN == 0
        assert service.principal_ucny >= 0
        assert service.principal_ucny == 0 or t >= debt.grace_months
        owed -= service.principal_ucny
    repaying = paid[debt.grace_months : debt.term_months - 1]
    if debt.repayment is Amortisation.EQUAL and repaying:
        assert max(s.principal_ucny for s in repaying) - min(s.principal_ucny for s in repaying) <= FEN
    if debt.repayment is Amortisation.ANNUITY and repaying:
        assert len({s.due_ucny for s in repaying if s.principal_ucny < s.owed_ucny}) <= 1


def test_an_annuity_is_the_one_of_the_textbook() -> None:
    # 100,000 at 6 % a year over 12 months: 8,606.64 a month, rounded up from 8,606.6430.
    debt = replace(DEBT, term_months=12, grace_months=0, repayment=Amortisation.ANNUITY)
    paid = services(debt, 100_000 * YUAN, 12)
    assert {s.due_ucny for s in paid[:-1]} == {8_606_650_000}
    assert 8_606_400_000 < paid[-1].due_ucny <= 8_606_650_000
    # With a residual of a fifth, that is in the last payment and the others are lower.
    leased = services(replace(debt, residual_ppm=200_000), 100_000 * YUAN, 12)
    assert {s.due_ucny for s in leased[:-1]} == {6_985_320_000}
    assert leased[-1].due_ucny == pytest.approx(20_000 * YUAN + 6_985_320_000, abs=200_000)


def by_trying_all(centre: CentrePlan, debt: Debt) -> int:
    """Return the largest amount up to which every window of every amount has its cover, in floats of yuan."""
    months = flows(centre)
    best = 0
    for k in range(1, debt.most_ucny // centre.step_ucny + 1):
        paid = services(debt, k * centre.step_ucny, centre.months)
        repaying = range(debt.grace_months, debt.term_months)
        width = min(centre.window_months, len(repaying))
        for first in range(repaying.start, repaying.stop - width + 1):
            have = sum(months[t].available_ucny for t in range(first, first + width))
            need = sum(paid[t].interest_ucny + paid[t].principal_ucny for t in range(first, first + width))
            if Fraction(have, need) < Fraction(centre.target_ppm, 10**6):
                return best
        best = k * centre.step_ucny
    return best


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 1_000_000),
    st.sampled_from([1_000_000, 1_250_000, 2_000_000]),
    st.sampled_from([1, 3, 12, 60]),
    st.integers(0, 23),
    st.sampled_from(Amortisation),
    st.sampled_from([0, 100_000]),
    st.sampled_from([0, 80_000]),
)
def test_the_largest_is_the_one_that_trying_all_finds(share, target, window, grace, repayment, residual, rate) -> None:
    debt = replace(DEBT, grace_months=grace, repayment=repayment, residual_ppm=residual, rate_ppm=rate)
    centre = plan(
        pools=(replace(POOL, utilisation_ppm=(share,)),),
        target_ppm=target,
        window_months=window,
        insurance=(Cover("p", WORDS, 250_000 * YUAN, 4_000, None),),
    )
    found = largest(centre, debt, flows(centre))
    assert found.amount_ucny == by_trying_all(centre, debt)
    assert short_month(centre, debt, found.amount_ucny, flows(centre)) is None
    more = found.amount_ucny + centre.step_ucny
    if found.binding_month is None:
        assert more > debt.most_ucny
    else:
        assert short_month(centre, debt, more, flows(centre)) == found.binding_month


def test_exactly_the_cover_asked_is_enough() -> None:
    centre = plan(start=date(2026, 6, 1), months=1, target_ppm=2_000_000)
    debt = replace(DEBT, rate_ppm=0, term_months=1, grace_months=0)
    (june,) = flows(centre)
    assert short_month(centre, debt, june.available_ucny // 2, [june]) is None
    assert short_month(centre, debt, june.available_ucny // 2 + FEN, [june]) == 0


def test_own_money_is_what_keeps_cash_from_falling_below_zero() -> None:
    centre = plan()
    months = flows(centre)
    found = largest(centre, DEBT, months)
    cash = lowest = found.own_money_ucny + found.amount_ucny - centre.invested_ucny
    for flow, service in zip(months, found.services, strict=True):
        cash += flow.available_ucny - service.due_ucny
        lowest = min(lowest, cash)
    assert lowest == 0
    rich = plan(investment_ucny={"equipment": 1 * YUAN})
    assert largest(rich, DEBT, months).own_money_ucny == 0


@pytest.mark.parametrize("window", [1, 12])
def test_a_losing_centre_gets_nothing_and_says_when(window: int) -> None:
    centre = plan(running_ucny={"staff": 9_000 * YUAN}, window_months=window)
    found = largest(centre, DEBT, flows(centre))
    assert (found.amount_ucny, found.binding_month) == (0, 6 + window - 1)


def test_at_the_break_even_the_year_comes_out_even() -> None:
    centre = plan(insurance=(Cover("p", WORDS, 250_000 * YUAN, 4_000, None),))
    paid = services(DEBT, 50_000 * YUAN, 24)
    even = break_even(centre, paid, 0, 12)
    assert even.operating is not None
    due = sum(s.due_ucny for s in paid[:12])
    for share, wanted in ((even.operating, 0), (even.debt, due), (even.target, due * 1.25)):
        assert share is not None
        lived = plan(
            pools=(replace(POOL, utilisation_ppm=(round(share * 10**6),)),),
            insurance=centre.insurance,
        )
        have = sum(f.available_ucny for f in flows(lived)[:12])
        assert have == pytest.approx(wanted, abs=0.2 * YUAN)  # a millionth of the year's income, and rounding


def test_no_utilisation_is_enough_where_power_costs_more_than_the_price() -> None:
    even = break_even(plan(pools=(replace(POOL, price_ucny=(YUAN // 10,)),)), services(DEBT, 0, 24), 0, 12)
    assert (even.operating, even.debt, even.target) == (None, None, None)


def test_cover_of_a_month() -> None:
    months, paid = flows(plan()), services(DEBT, 18_000 * YUAN, 24)
    assert cover(months[6], paid[6]) == Fraction(3_592 * YUAN, 1_090 * YUAN)
    assert cover(months[6], services(DEBT, 0, 24)[6]) is None


@pytest.mark.parametrize(
    "old, new, code, field",
    [
        ("start: 2026-01\n", "start: 2026-13\n", "bad-date", "start"),
        ("start: 2026-01\n", "start: 2026\n", "bad-date", "start"),
        ("\nmonths: 84\n", "\nmonths: 0\n", "bad-number", "months"),
        ("\nmonths: 84\n", "\nmonths: null\n", "bad-number", "months"),
        ("months: 84\npools", "months: 60\npools", "out-of-range", "debts"),
        ("from: 2026-07", "from: 2025-07", "out-of-range", "pools"),
        ("from: 2026-07", "from: 2036-07", "out-of-range", "pools"),
        ("gpus: 4096", "gpus: 0", "bad-number", "pools.0.gpus"),
        ("gpus: 4096", "gpus: -5", "bad-number", "pools.0.gpus"),
        ("[0.30, 0.50, 0.60, 0.65]", "[0.30, 50]", "bad-number", "pools.0.utilisation"),
        ("[0.30, 0.50, 0.60, 0.65]", "[]", "bad-number", "pools.0.utilisation"),
        ("[0.30, 0.50, 0.60, 0.65]", ".inf", "bad-number", "pools.0.utilisation"),
        ("id: inference", "id: training", "duplicate-id", "pools"),
        ("id: finance-lease", "id: project-loan", "duplicate-id", "debts"),
        ("pue: 1.2", "pue: 0.9", "bad-number", "pue"),
        ("power_cny_per_kwh: 0.42", "power_cny_per_kwh: free", "bad-number", "power_cny_per_kwh"),
        ("staff: 650000", "staff: -1", "bad-amount", "running_cny_per_month.staff"),
        ("{equipment: 310000000, building: 60000000}", "[1]", "bad-type", "investment_cny"),
        ("building: 60000000", "building: 1000000000", "bad-amount", "investment_cny"),
        ("cover: 1.25", "cover: 0.9", "bad-number", "cover"),
        ("cover_months: 12", "step_cny: 1", "bad-amount", "step_cny"),
        ("form: loan", "form: gift", "unknown-word", "debts.0.form"),
        ("rate: 0.036", "rate: 3.6", "bad-number", "debts.0.rate"),
        ("grace_months: 18", "grace_months: 84", "bad-number", "debts.0.grace_months"),
        ("share: 0.7", "share: 70", "bad-share", "debts.0.share"),
        ("repayment: annuity", "repayment: never", "unknown-word", "debts.1.repayment"),
        ("share: 0.05", "share: 1", "bad-number", "debts.1.residual_share"),
        ("of: [equipment]\n    share", "of: [land]\n    share", "no-such-kind", "debts.1.of"),
        ("of: [equipment]\n    rate", "of: []\n    rate", "bad-value", "insurance.1.of"),
        ("rate: 0.0008", "rate: 0.0008\n    excess: 3", "unknown-field", "insurance.1.excess"),
    ],
)
def test_a_mistake_is_named_with_its_place(old: str, new: str, code: str, field: str) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    assert text.count(old) == 1
    doc, _ = read_yaml("plan.yaml", text.replace(old, new))
    assert doc is not None
    found, problems = parse_centre(doc)
    assert found is None
    assert (code, field) in {(p.code, p.field) for p in problems}, [p.say() for p in problems]
    assert all(p.row for p in problems)


@pytest.mark.parametrize("text", ["", "- 1", "pools: 3\ndebts: {}", "pools: []\ndebts: []", "pools: [1, {}]", "null"])
def test_any_document_is_answered_with_problems(text: str) -> None:
    doc, _ = read_yaml("plan.yaml", text)
    assert doc is not None
    assert parse_centre(doc)[1]


def test_the_example_is_sized_and_its_months_add_up() -> None:
    ended = dujiang("centre", EXAMPLE, "--json")
    assert ended.code == 0, ended.err
    document = ended.document
    assert len(document["flows"]) == document["months"] == 84
    assert document["flows"][6]["month"] == "2026-07"
    for debt in document["debts"]:
        principal = sum(Fraction(row["principal_cny"]) for row in debt["service"])
        assert principal == Fraction(debt["largest_cny"]) > 0
        assert Fraction(debt["largest_without_insurance_cny"]) >= Fraction(debt["largest_cny"])
        assert len(debt["break_even_utilisation"]) == 7
    loan, lease = document["debts"]
    assert (loan["binding"], lease["binding"]) == ("ceiling", "cover")
    window = slice(lease["grace_months"], lease["grace_months"] + 12)
    have = sum(Fraction(row["available_cny"]) for row in document["flows"][window])
    need = sum(Fraction(r["interest_cny"]) + Fraction(r["principal_cny"]) for r in lease["service"][window])
    assert lease["binding_month"] == document["flows"][window][-1]["month"]
    assert 1.25 <= have / need < 1.251
    assert document["assumptions"]


@pytest.mark.parametrize("lang, words", [("en", "finance lease of the equipment"), ("zh", "设备融资租赁")])
def test_words_for_people(lang: str, words: str) -> None:
    ended = dujiang("--lang", lang, "centre", EXAMPLE)
    assert (ended.code, ended.err) == (0, "")
    assert words in ended.out
    assert ("assumed: " if lang == "en" else "假设：") in ended.out


def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    assert dujiang("centre", tmp_path / "no.yaml").code == 1
    assert dujiang("centre", tmp_path).code == 1
    assert dujiang("centre").code == 2
