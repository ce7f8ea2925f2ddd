"""The simulation against closed forms, against asking every loan, and against itself."""

import math
from statistics import NormalDist

import numpy as np
import pytest

from dujiang.core.text import Text
from dujiang.finance.portfolio import Loans, _bands, expected_losses, simulate
from dujiang.finance.waterfall import Cession, Per

YUAN = 1_000_000
NORMAL = NormalDist()


def loans(count: int, *, owed=100 * YUAN, pd=20_000, lgd=450_000, rho=120_000, term=1, equal=False) -> Loans:
    """Build loans; a term may be one number or an array."""
    as_column = [np.broadcast_to(np.asarray(x, dtype=np.int64), count).copy() for x in (owed, pd, lgd, rho, term)]
    return Loans(*as_column, np.full(count, equal))


def conditional(pd: float, rho: float, z: float) -> float:
    return NORMAL.cdf((NORMAL.inv_cdf(pd) - math.sqrt(rho) * z) / math.sqrt(1 - rho))


def exact_defaults(count: int, pd: float, rho: float) -> np.ndarray:
    """Return the distribution of the number of defaults in a year by quadrature over the factor."""
    zs = np.linspace(-8, 8, 4001)
    weights = np.array([NORMAL.pdf(z) for z in zs]) * (zs[1] - zs[0])
    p = np.array([conditional(pd, rho, z) for z in zs])[:, None]
    k = np.arange(count + 1)[None, :]
    choose = np.array([math.comb(count, n) for n in range(count + 1)])[None, :]
    return (weights[:, None] * choose * p**k * (1 - p) ** (count - k)).sum(axis=0)


def test_the_number_of_defaults_has_the_distribution_of_the_model() -> None:
    count, scenarios = 12, 40_000
    found = simulate(loans(count, pd=80_000, rho=300_000), [], 0, 1, 1, scenarios, 7).defaults[:, 0]
    exact = exact_defaults(count, 0.08, 0.3)
    observed = np.bincount(found, minlength=count + 1)
    kept = exact * scenarios > 25
    chi2 = float((((observed - exact * scenarios) ** 2) / (exact * scenarios))[kept].sum())
    assert exact.sum() == pytest.approx(1, abs=1e-9)
    assert chi2 < 35  # 0.9995 quantile with 12 degrees of freedom


def test_a_large_portfolio_has_the_quantile_of_vasicek() -> None:
    pd, rho, level = 0.03, 0.15, 0.99
    portfolio = simulate(loans(4000, pd=30_000, rho=150_000, lgd=10**6), [], 0, 1, 1, 20_000, 3)
    rate = np.sort(portfolio.defaults[:, 0]) / 4000
    expected = NORMAL.cdf((NORMAL.inv_cdf(pd) + math.sqrt(rho) * NORMAL.inv_cdf(level)) / math.sqrt(1 - rho))
    assert rate[int(level * 20_000)] == pytest.approx(expected, rel=0.06)
    assert rate.mean() == pytest.approx(pd, rel=0.02)


def test_unlike_loans_each_default_with_their_own_probability() -> None:
    """Thinning within a band must not favour anybody: each loan's own frequency, and whose loss it is."""
    pd = np.array([10_000, 10_900, 11_900, 60_000, 66_000, 74_000, 300_000, 360_000])
    owed = 2 ** np.arange(8) * YUAN  # a sum tells which loans are in it
    portfolio = loans(8, pd=pd, owed=owed, lgd=10**6, rho=200_000)
    assert len(_bands(portfolio)[1]) - 1 == 3
    scenarios = 60_000
    losses = simulate(portfolio, [], 0, 1, 1, scenarios, 11).borne.by_party[:, 0, 0] // YUAN
    for i in range(8):
        frequency, expected = ((losses >> i) & 1).mean(), pd[i] / 1e6
        assert frequency == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / scenarios))


def test_over_years_the_mean_is_the_closed_form_and_nobody_defaults_twice() -> None:
    portfolio = loans(600, pd=150_000, term=3, equal=True, owed=90 * YUAN)
    found = simulate(portfolio, [], 0, 1, 4, 4000, 5)
    expected = expected_losses(portfolio, 4)
    means = found.borne.by_party[:, :, 0].mean(axis=0)
    assert means[3] == expected[3] == 0  # all are repaid by then
    assert means[:3] == pytest.approx(expected[:3], rel=0.05)
    assert (found.defaults.sum(axis=1) <= 600).all()
    assert not found.defaults[:, 3].any()
    # A default takes away what the loan owes at later openings, and nothing else does.
    scheduled = portfolio.balances(4).sum(axis=0)
    assert found.balance_ucny[:, 0].tolist() == [int(scheduled[0])] * 4000
    gone = found.defaults[:, 0] * 60 * YUAN
    assert (found.balance_ucny[:, 1] == scheduled[1] - gone).all()


@pytest.mark.parametrize("rho", [0, 990_000])
def test_correlation_fattens_the_tail_and_not_the_mean(rho: int) -> None:
    found = simulate(loans(200, pd=50_000, rho=rho), [], 0, 1, 1, 20_000, 2).defaults[:, 0]
    spread = 4 * found.std() / math.sqrt(20_000)
    assert found.mean() == pytest.approx(10, abs=spread)
    assert (found.max() > 150) == (rho > 0)
    if rho == 0:
        assert found.var() == pytest.approx(200 * 0.05 * 0.95, rel=0.05)


def test_each_loan_has_its_own_correlation() -> None:
    rho = np.repeat([0, 400_000], 300)
    owed = np.repeat([1, 1000], 300) * YUAN
    found = simulate(loans(600, pd=50_000, rho=rho, owed=owed, lgd=10**6), [], 0, 1, 1, 8000, 6)
    losses = found.borne.by_party[:, 0, 0] // YUAN
    alone, together = losses % 1000, losses // 1000
    assert alone.var() == pytest.approx(300 * 0.05 * 0.95, rel=0.1)
    assert together.var() > 20 * alone.var()
    assert together.mean() == pytest.approx(15, rel=0.1)


def test_years_are_independent_and_loans_of_a_year_are_not() -> None:
    found = simulate(loans(500, pd=20_000, rho=300_000, term=2), [], 0, 1, 2, 8000, 4).defaults
    assert abs(np.corrcoef(found[:, 0], found[:, 1])[0, 1]) < 0.06
    assert found[:, 0].var() > 10 * found[:, 0].mean()


def test_the_same_seed_gives_the_same_scenarios_and_more_of_them_change_none() -> None:
    portfolio, chain = loans(300, pd=50_000), [Cession("q", Text("q", "份额"), 0, 1, Per.LOAN, 800_000)]
    few, many = (simulate(portfolio, chain, 0, 2, 2, n, 9) for n in (70, 300))
    assert (few.borne.by_party == many.borne.by_party[:70]).all()
    assert (few.borne.ceded == many.borne.ceded[:70]).all()
    other = simulate(portfolio, chain, 0, 2, 2, 300, 10)
    assert (other.defaults != many.defaults).any()
    assert np.unique(many.defaults[:, 0]).size > 5


def test_the_order_of_loans_changes_the_draw_and_not_what_is_owed() -> None:
    portfolio = loans(3, owed=[10 * YUAN, 20 * YUAN, 30 * YUAN], pd=[10_000, 999_999, 500_000], lgd=10**6, rho=0)
    found = simulate(portfolio, [], 0, 1, 1, 4000, 1).borne.by_party[:, 0, 0]
    assert set(np.unique(found).tolist()) <= {a * YUAN for a in (0, 10, 20, 30, 40, 50, 60)}
    assert (found >= 20 * YUAN).mean() > 0.99
    assert ((found // (10 * YUAN)) % 6 == 5).mean() == pytest.approx(0.5 * 0.99, abs=0.03)


@pytest.mark.parametrize("owed, lgd, lost", [(10**12 + 10_000, 500_000, 5 * 10**11), (30_000, 500_000, 20_000),
                                             (10**15, 333_333, 333_333 * 10**9), (10_000, 999_999, 10_000),
                                             (10_000, 0, 0)])  # fmt: skip
def test_a_loss_is_rounded_half_to_even_to_the_fen(owed: int, lgd: int, lost: int) -> None:
    portfolio = loans(1, owed=owed, lgd=lgd)
    assert portfolio.losses(portfolio.balances(1)).tolist() == [[lost]]


def test_balances_of_instalments_end_at_nothing() -> None:
    portfolio = loans(1, owed=100 * YUAN, term=3, equal=True)
    assert portfolio.balances(5).tolist() == [[100 * YUAN, 66_660_000, 33_330_000, 0, 0]]
    assert loans(1, owed=100 * YUAN, term=2).balances(3).tolist() == [[100 * YUAN, 100 * YUAN, 0]]
