"""Annual rates against an independent root finder, and what a stake costs."""

from datetime import date, timedelta
from decimal import Decimal, getcontext
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dujiang.core.money import MICRO
from dujiang.core.text import Text
from dujiang.finance.cost_of_capital import cost_of_capital, dilution, xirr
from dujiang.finance.instrument import Instrument, Kind
from dujiang.finance.project import Project
from dujiang.finance.schedule import Choices, schedule_of

START = date(2026, 1, 1)


def secant(flows: list[tuple[date, int]]) -> float:
    """Find the rate in 30 digits by bisection on the yearly discount factor: another variable, another arithmetic."""
    getcontext().prec = 30
    begin = min(day for day, _ in flows)

    def value(factor: Decimal) -> Decimal:
        return sum((amount * factor ** (Decimal((day - begin).days) / 365) for day, amount in flows), Decimal(0))

    low, high = Decimal("1e-7"), Decimal(10_000)
    rising = value(high) > 0
    for _ in range(110):
        middle = (low + high) / 2
        if (value(middle) > 0) == rising:
            high = middle
        else:
            low = middle
    return float(1 / low - 1)


@settings(max_examples=30, deadline=None)
@given(
    lent=st.integers(1_000, 10**9),
    parts=st.lists(st.tuples(st.integers(1, 2_000), st.integers(1, 10**9)), min_size=1, max_size=8),
)
def test_the_rate_of_a_loan_equals_an_independent_root(lent: int, parts: list[tuple[int, int]]) -> None:
    flows = [(START, -lent), *((START + timedelta(days), amount) for days, amount in parts)]
    found = xirr(flows)
    expected = secant(flows)
    if found is None:
        assert not -0.9899 < expected < 9e5
    else:
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-10)


def test_a_year_at_ten_per_cent_and_a_published_example() -> None:
    assert xirr([(START, -1000), (date(2027, 1, 1), 1100)]) == pytest.approx(0.1, abs=1e-12)
    # The example of the function's description in spreadsheets.
    flows = [(2008, 1, 1, -10_000), (2008, 3, 1, 2750), (2008, 10, 30, 4250), (2009, 2, 15, 3250), (2009, 4, 1, 2750)]
    assert xirr([(date(y, m, d), amount) for y, m, d, amount in flows]) == pytest.approx(0.373362535, abs=1e-8)


def test_flows_without_one_rate_have_none() -> None:
    assert xirr([]) is None
    assert xirr([(START, 100)]) is None
    assert xirr([(START, -100), (date(2027, 1, 1), -5)]) is None
    # -1 + 5 x - 6 x^2: two rates, 100 % and 200 %.
    assert xirr([(START, -100), (date(2027, 1, 1), 500), (date(2028, 1, 1), -600)]) is None


def project_with(*items: Instrument) -> Project:
    return Project(
        *("p", Text("p", "p"), START, 24, 0, {"people": (1000 * MICRO,) * 24}, (0,) * 24, items),
        pre_money_ucny=3_000_000 * MICRO,
    )


def test_a_stake_costs_what_the_investor_wants_and_dilutes_round_by_round() -> None:
    name = Text("s", "s")
    first = Instrument("first", Kind.EQUITY, name, "", required_return_ppm=200_000)
    second = Instrument("second", Kind.EQUITY, name, "", required_return_ppm=300_000, pre_money_ucny=8_000_000 * MICRO)
    project = project_with(first, second)
    draws = {("first", 0): 1_000_000 * MICRO, ("second", 12): 2_000_000 * MICRO}
    schedule = schedule_of(project, Choices(draws, {}, {}))
    rounds, whole = dilution(project, schedule)
    assert [item.share for item in rounds] == [Fraction(1, 4), Fraction(1, 5)]
    assert whole == 1 - Fraction(3, 4) * Fraction(4, 5)
    cost = cost_of_capital(project, schedule)
    by_id = {item.instrument_id: item for item in cost.instruments}
    assert by_id["first"].gain_ucny == 440_000 * MICRO
    assert by_id["second"].gain_ucny == 600_000 * MICRO
    assert cost.present_value_ucny == pytest.approx(1_040_000 * MICRO / 1.08**2, abs=20_000)
    assert by_id["first"].annual_rate == pytest.approx(0.2, abs=1e-3)
