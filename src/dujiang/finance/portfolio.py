"""Losses of a portfolio of loans whose defaults are correlated, by simulation: a one-factor Gaussian copula.

Loan i, still performing at the opening of year y, defaults in it if

    sqrt(rho) Z[y] + sqrt(1 - rho) e[i, y] < Phi^-1(pd[i])

with independent standard normal Z and e (Vasicek, "The distribution of loan portfolio value", Risk, December 2002; the
model under the Basel formula for capital). Given the state of the economy Z, loans default independently of each
other, each with

    p[i] = Phi((Phi^-1(pd[i]) - sqrt(rho) Z) / sqrt(1 - rho))

A year's factor is independent of the last year's. Who defaults loses `lgd` of what is owed at the opening of the year.

How it is drawn. A scenario does not ask every loan. Loans of one correlation and of like default probabilities form a
band; in it, the step to the next candidate is geometric with the largest p of the band, and a candidate defaults with
probability p[i] over that largest. This is exactly as if every loan had been asked (thinning of Bernoulli trials),
whatever the loans' amounts, and costs time in the number of defaults and not of loans.

Random numbers are splitmix64 (Steele, Lea, Flood, OOPSLA 2014) from the seed and the number of the scenario, so a
scenario is the same whatever the number of threads, of other scenarios, or the version of a library.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
from numba import njit, prange

from dujiang.core.money import FEN, MICRO
from dujiang.finance.waterfall import Amounts, Borne, Cession, per_loan, per_year

Floats = npt.NDArray[np.float64]

BAND = 1.25
"""Largest over smallest default probability of a band: at most one candidate in five or so is turned away."""
MOST_CELLS = 30_000_000
"""Loans, or scenarios, x years x (parties + agreements + 1) that are held in memory, 8 bytes each, in a few copies."""


@dataclass(frozen=True, slots=True)
class Loans:
    """Loans by column; every array has one entry per loan."""

    owed_ucny: Amounts
    """What is owed at the first opening, micro-yuan, whole fen > 0."""
    pd_ppm: Amounts
    """Probability of default within a year, 1..999_999."""
    lgd_ppm: Amounts
    """Share of what is owed that is lost at a default, 0..MICRO."""
    correlation_ppm: Amounts
    """rho, 0..999_999."""
    term_years: Amounts
    """Years until it is repaid, >= 1."""
    instalments: npt.NDArray[np.bool_]
    """Whether it is repaid in equal parts at the end of each year; else whole at the end of the term."""

    def balances(self, years: int) -> Amounts:
        """Return what is owed at the opening of each year if the loan performs, shape (loans, years).

        Of a loan in instalments the part of the term that is left, cut down to the fen.
        """
        year = np.arange(years, dtype=np.int64)[None, :]
        term = self.term_years[:, None]
        left = np.maximum(term - year, 0)
        owed = self.owed_ucny[:, None]
        whole, rest = np.divmod(owed, term)
        equal = (whole * left + rest * left // term) // FEN * FEN
        owed_then: Amounts = np.where(self.instalments[:, None], equal, np.where(left > 0, owed, 0))
        return owed_then

    def losses(self, balances: Amounts) -> Amounts:
        """Return what is lost if the loan defaults in a year, rounded half to even to the fen, shape (loans, years)."""
        lgd = self.lgd_ppm[:, None]
        fen = balances // FEN
        whole, rest = np.divmod(fen, MICRO)  # so that no product passes int64
        small, remainder = np.divmod(rest * lgd, MICRO)
        down: Amounts = whole * lgd + small
        up = (2 * remainder > MICRO) | ((2 * remainder == MICRO) & (down % 2 == 1))
        lost: Amounts = (down + up) * FEN
        return lost


@dataclass(frozen=True, slots=True)
class Simulated:
    """What happened in each scenario."""

    borne: Borne
    """By party and by agreement after the whole chain, micro-yuan, shapes (scenarios, years, …)."""
    balance_ucny: Amounts
    """What performing loans owe at the opening of each year, micro-yuan, shape (scenarios, years)."""
    defaults: Amounts
    """Loans that defaulted, shape (scenarios, years)."""


def simulate(
    loans: Loans, cessions: Sequence[Cession], bearer: int, parties: int, years: int, scenarios: int, seed: int
) -> Simulated:
    """Simulate a portfolio and share its losses.

    Parameters
    ----------
    loans : the portfolio
    cessions : the agreements, in the order in which they apply
    bearer : position of the party with which a loss begins
    parties : number of parties
    years : years that are simulated, >= 1; loans that run longer stop counting
    scenarios : how many, >= 1
    seed : any whole number of 64 bits; the same one gives the same scenarios
    """
    order, bands = _bands(loans)
    balances = loans.balances(years)
    shared = per_loan(cessions, loans.losses(balances), bearer, parties)
    # One row per loan and year: what each party bears, what each agreement moved, what is owed.
    columns = np.concatenate((shared.by_party, shared.ceded, balances[:, :, None]), axis=2)[order]
    thresholds = np.array([NormalDist().inv_cdf(int(pd) / MICRO) for pd in np.unique(loans.pd_ppm)])
    threshold = thresholds[np.searchsorted(np.unique(loans.pd_ppm), loans.pd_ppm)][order]
    rho = np.sqrt(loans.correlation_ppm[order] / MICRO)
    sums = np.zeros((scenarios, years, columns.shape[2]), dtype=np.int64)
    defaults = np.zeros((scenarios, years), dtype=np.int64)
    _scenarios(columns, threshold, rho, bands, np.uint64(seed % 2**64), sums, defaults)
    gone = sums[:, :, -1]
    total = balances.sum(axis=0)
    drawn = Borne(sums[:, :, :parties].copy(), sums[:, :, parties:-1].copy())
    return Simulated(per_year(cessions, drawn), total[None, :] - gone, defaults)


def _bands(loans: Loans) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return an order of the loans, and the first position of each band in it with the end last.

    In a band, correlation is one and default probabilities fall by at most the factor `BAND`.
    """
    order = np.lexsort((-loans.pd_ppm, loans.correlation_ppm))
    pd, rho = loans.pd_ppm[order], loans.correlation_ppm[order]
    bounds = [0]
    for i in range(1, order.size):
        first = bounds[-1]
        if rho[i] != rho[first] or pd[i] * BAND < pd[first]:
            bounds.append(i)
    return order.astype(np.int64), np.array([*bounds, order.size], dtype=np.int64)


@njit(cache=True)
def _mixed(state: np.uint64) -> np.uint64:
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


@njit(cache=True)
def _uniform(state: np.uint64) -> float:
    """Return a number strictly between 0 and 1 with 53 bits: the midpoint of its cell."""
    return (float(_mixed(state) >> np.uint64(11)) + 0.5) * 1.1102230246251565e-16


@njit(cache=True)
def _below(x: float) -> float:
    """Return the standard normal distribution function."""
    return 0.5 * math.erfc(-x * 0.7071067811865476)


@njit(cache=True, parallel=True)
def _scenarios(
    columns: Amounts,
    threshold: Floats,
    root: Floats,
    bands: npt.NDArray[np.int64],
    seed: np.uint64,
    sums: Amounts,
    defaults: Amounts,
) -> None:
    """Draw every scenario; a thread takes a stretch of them and writes to their rows alone.

    Parameters
    ----------
    columns : shape (loans, years, columns); the last is what is owed
    threshold : Phi^-1 of the yearly default probability, falling within a band, shape (loans,)
    root : square root of the correlation, one within a band, shape (loans,)
    bands : first loan of each band, the end last
    sums : takes the columns of the loans that default, by scenario and year; the last one what no longer performs
    defaults : takes how many they are
    """
    loans, years, width = columns.shape
    scenarios = sums.shape[0]
    step = np.uint64(0x9E3779B97F4A7C15)
    stretches = min(scenarios, 64)
    for stretch in prange(stretches):
        is_gone = np.zeros(loans, dtype=np.bool_)
        went = np.empty(loans, dtype=np.int64)
        for s in range(scenarios * stretch // stretches, scenarios * (stretch + 1) // stretches):
            state = _mixed(_mixed(seed + step) + step * np.uint64(s + 1))
            count = 0
            for y in range(years):
                state += step
                radius = math.sqrt(-2.0 * math.log(_uniform(state)))
                state += step
                z = radius * math.cos(6.283185307179586 * _uniform(state))
                for b in range(bands.size - 1):
                    first, end = bands[b], bands[b + 1]
                    scale = 1.0 / math.sqrt(1.0 - root[first] * root[first])
                    highest = _below((threshold[first] - root[first] * z) * scale)
                    if highest <= 0.0:
                        continue
                    rest = math.log1p(-highest) if highest < 1.0 else -math.inf
                    i = first
                    while True:
                        state += step
                        skip = math.log(_uniform(state)) / rest
                        if skip >= end - i:
                            break
                        i += int(skip)
                        state += step
                        p = _below((threshold[i] - root[first] * z) * scale)
                        # columns[i, y, width - 1] is what is owed: a loan that is repaid no longer defaults.
                        if _uniform(state) * highest < p and not is_gone[i] and columns[i, y, width - 1] > 0:
                            is_gone[i] = True
                            went[count] = i
                            count += 1
                            defaults[s, y] += 1
                            for c in range(width - 1):
                                sums[s, y, c] += columns[i, y, c]
                            for later in range(y + 1, years):
                                sums[s, later, width - 1] += columns[i, later, width - 1]
                        i += 1
                        if i >= end:
                            break
            for k in range(count):
                is_gone[went[k]] = False


def expected_losses(loans: Loans, years: int) -> Floats:
    """Return the expected loss of each year in closed form, micro-yuan: a check on the simulation.

    Years are independent of each other, so a loan defaults in year y with probability pd (1 - pd)^y, whatever the
    correlation within a year.
    """
    pd = loans.pd_ppm / MICRO
    hazard = pd[:, None] * (1 - pd[:, None]) ** np.arange(years)[None, :]
    expected: Floats = (loans.losses(loans.balances(years)) * hazard).sum(axis=0)
    return expected
