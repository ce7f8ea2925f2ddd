"""What each party of a risk-sharing chain can expect to lose, in the mean and in the tail, and what premium covers it.

Estimates come with a confidence interval, because a simulation is a sample. Intervals are of the sampling error alone:
that a default probability or a correlation is wrong is not in them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from dujiang.core.money import FEN, MICRO
from dujiang.finance.portfolio import Floats, Simulated, simulate
from dujiang.finance.risk_terms import RiskTerms
from dujiang.finance.waterfall import Amounts

CONFIDENCE = 0.95
"""Of every interval."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure of a sample with its interval; money in micro-yuan, rates in millionths."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Exposure:
    """What one party, one agreement or all together lose over all years."""

    expected: Estimate
    by_year: tuple[float, ...]
    """Mean of each year."""
    deviation: float
    """Standard deviation over scenarios."""
    quantile: Estimate
    """Value at risk: the loss that is not passed with the probability `tail`."""
    tail_mean: Estimate
    """Expected shortfall: the mean loss of the worst share of scenarios."""
    worst: int
    """Greatest loss of any scenario."""
    touched: float
    """Share of scenarios with any loss at all."""
    premium: Estimate
    """Yearly rate, in millionths of what performing loans owe at the opening of a year, at which premiums (paid at the
    opening) are worth what losses (paid at the end of the year) are."""
    premium_ucny: float
    """The same as a mean amount per year."""


@dataclass(frozen=True, slots=True)
class RiskPrice:
    """The priced chain."""

    parties: Mapping[str, Exposure]
    cessions: Mapping[str, Exposure]
    total: Exposure
    defaults: Estimate
    """Loans that default over all years."""
    simulated: Simulated


def price(terms: RiskTerms) -> RiskPrice:
    """Simulate the portfolio and price every party's part."""
    chain, sizes = terms.cessions, (terms.years, terms.scenarios, terms.random_seed)
    simulated = simulate(terms.loans, chain, terms.bearer, len(terms.parties), *sizes)
    borne, balance = simulated.borne, simulated.balance_ucny
    return RiskPrice(
        {party.id: _exposure(borne.by_party[:, :, k], balance, terms) for k, party in enumerate(terms.parties)},
        {cession.id: _exposure(borne.ceded[:, :, k], balance, terms) for k, cession in enumerate(chain)},
        _exposure(borne.by_party.sum(axis=2), balance, terms),
        _mean(simulated.defaults.sum(axis=1).astype(np.float64)),
        simulated,
    )


def _exposure(losses: Amounts, balance: Amounts, terms: RiskTerms) -> Exposure:
    in_all = losses.sum(axis=1)
    floats = in_all.astype(np.float64)
    premium, amount = _premium(losses, balance, terms.discount_ppm)
    quantile, tail_mean = _tail(np.sort(floats), terms.tail_ppm)
    return Exposure(
        expected=_mean(floats),
        by_year=tuple(float(m) for m in losses.mean(axis=0)),
        deviation=float(floats.std(ddof=1)) if floats.size > 1 else 0.0,
        quantile=quantile,
        tail_mean=tail_mean,
        worst=int(in_all.max()),
        touched=float((in_all > 0).mean()),
        premium=premium,
        premium_ucny=amount,
    )


def _z() -> float:
    return NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)


def _mean(sample: Floats) -> Estimate:
    """Return the mean with the interval of the central limit theorem."""
    mean = float(sample.mean())
    half = _z() * float(sample.std(ddof=1)) / math.sqrt(sample.size) if sample.size > 1 else 0.0
    return Estimate(mean, mean - half, mean + half)


def _tail(ordered: Floats, tail_ppm: int) -> tuple[Estimate, Estimate]:
    """Return value at risk and expected shortfall of a sample in rising order.

    The interval of the quantile is between two order statistics, which no distribution can upset: the number of
    scenarios below the true quantile is binomial. The expected shortfall is the mean of `q + max(0, x - q) / (1 - a)`
    at the quantile q, whose deviation gives its interval (Manistre, Hancock, "Variance of the CTE estimator", North
    American Actuarial Journal, 2005).
    """
    n, level = ordered.size, tail_ppm / MICRO
    rank = min(n, max(1, math.ceil(n * tail_ppm / MICRO)))
    spread = _z() * math.sqrt(n * level * (1 - level))
    low, high = max(0, math.floor(rank - spread) - 1), min(n - 1, math.ceil(rank + spread))
    q = float(ordered[rank - 1])
    quantile = Estimate(q, float(ordered[low]), float(ordered[high]))
    return quantile, _mean(q + np.maximum(ordered - q, 0.0) / (1 - level))


def _premium(losses: Amounts, balance: Amounts, discount_ppm: int) -> tuple[Estimate, float]:
    """Return the break-even rate and its mean amount per year.

    A ratio of two means, r = E[worth of losses] / E[worth of balances]; its interval is that of the mean of
    losses - r x balances, divided by the mean of balances (the delta method).
    """
    years = losses.shape[1]
    v = 1 / (1 + discount_ppm / MICRO)
    paid = losses @ (v ** np.arange(1, years + 1))
    base = balance @ (v ** np.arange(years))
    mean_base = float(base.mean())
    if mean_base == 0:
        return Estimate(0.0, 0.0, 0.0), 0.0
    rate = float(paid.mean()) / mean_base
    half = _mean(paid - rate * base)
    spread = (half.high - half.value) / mean_base
    amount = rate * float(balance.mean())
    return Estimate(rate * MICRO, (rate - spread) * MICRO, (rate + spread) * MICRO), amount


def to_fen(ucny: float) -> int:
    """Turn an estimate into whole fen, in micro-yuan: its digits beyond are noise of the sample."""
    return round(ucny / FEN) * FEN
