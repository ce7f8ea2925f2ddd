"""Intervals by a paired moving-block bootstrap: what would the figures be, had other days and other draws come?

Days are not independent, so whole stretches of hours are drawn (Künsch 1989), wrapped around the ends of the window so
that every hour counts alike (Politis and Romano 1992). Seeds are drawn beside them. Every point of a study is
resampled with the same draws: what two points have in common does not widen the interval of their difference. Ends are
percentiles. Not in it: dependence over more than a block, such as a budget that runs dry, which stays where it was;
and with few seeds the spread between them is understated, by a factor of (n - 1) / n in its variance.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from dujiang.lab.sums import Float, Sums
from dujiang.sim.assumption import component_rng

LEAST_BLOCKS = 3
"""With fewer blocks in the window there is no interval: they could hardly be drawn differently."""


class Interval(NamedTuple):
    """Ends of an interval; NaN: not known."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False)
class Resamples:
    """Which hours and seeds each resample holds, and how often."""

    hours: Float
    """(R, H) how often an hour counts; each row adds up to H."""
    seeds: Float
    """(R, S) weight of a seed; each row adds up to 1."""

    def of(self, sums: Sequence[Sums]) -> dict[str, Float]:
        """Return the sums of each resample, the mean over its seeds.

        Parameters
        ----------
        sums : per seed, name -> (H,)

        Returns
        -------
        name -> (R,)
        """
        names = list(sums[0])
        # One product of matrices for all seeds is several times as fast as one for each.
        table = np.stack([one[name] for one in sums for name in names], axis=1)
        drawn = (self.hours @ table).reshape(-1, len(sums), len(names))
        mean = np.einsum("rs,rsn->rn", self.seeds, drawn)
        return {name: mean[:, column] for column, name in enumerate(names)}


def resamples(hours: int, seeds: int, *, block_h: int, count: int, seed: int) -> Resamples | None:
    """Draw resamples; None if the window is too short for blocks of that length.

    Parameters
    ----------
    hours : H, measured hours
    seeds : S, replays of each point
    block_h : length of a block, hours
    count : R, number of resamples
    seed : of these draws
    """
    if hours < LEAST_BLOCKS * block_h or count < 1:
        return None
    starts = component_rng(seed, "bootstrap-blocks").integers(0, hours, (count, math.ceil(hours / block_h)))
    drawn = (starts[:, :, None] + np.arange(block_h)).reshape(count, -1)[:, :hours] % hours
    flat = (np.arange(count)[:, None] * hours + drawn).ravel()
    weights = np.bincount(flat, minlength=count * hours).reshape(count, hours).astype(np.float64)
    of_seeds = component_rng(seed, "bootstrap-seeds").multinomial(seeds, [1 / seeds] * seeds, count) / seeds
    return Resamples(weights, of_seeds)


def mean_sums(sums: Sequence[Sums]) -> dict[str, Float]:
    """Return the totals over all hours, the mean over seeds; arrays without axes."""
    return {name: np.asarray(np.mean([one[name].sum() for one in sums])) for name in sums[0]}


def interval(values: Float, level: float) -> Interval:
    """Return the percentile interval of resampled values; unknown if more than one in twenty is.

    Parameters
    ----------
    values : (R,)
    level : such as 0.95
    """
    known = values[np.isfinite(values)]
    if known.size < 0.95 * values.size or not known.size:
        return Interval(math.nan, math.nan)
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


class Sample(NamedTuple):
    """Sums of one point, as they are and as they might have been."""

    total: dict[str, Float]
    """Over all hours, the mean over seeds; arrays without axes."""
    drawn: dict[str, Float] | None
    """(R,) each; None without resamples."""


def sample(sums: Sequence[Sums], drawn: Resamples | None) -> Sample:
    """Return what a formula needs of the sums of one point.

    Parameters
    ----------
    sums : per seed, name -> (H,)
    drawn : the resamples; None: intervals are not known
    """
    return Sample(mean_sums(sums), None if drawn is None else drawn.of(sums))


def intervals(
    formula: Callable[..., Mapping[str, Float]], samples: Sequence[Sample], level: float
) -> dict[str, tuple[float, Interval]]:
    """Return value and interval of everything that a formula makes of sums.

    Parameters
    ----------
    formula : takes the sums of one sample after another, arrays of any shape
    samples : its arguments, with the same resamples
    level : of the intervals
    """
    values = formula(*(one.total for one in samples))
    drawn = [one.drawn for one in samples if one.drawn is not None]
    if len(drawn) < len(samples):
        return {key: (float(value), Interval(math.nan, math.nan)) for key, value in values.items()}
    spread = formula(*drawn)
    return {key: (float(value), interval(spread[key], level)) for key, value in values.items()}


__all__ = [
    *("LEAST_BLOCKS", "Interval", "Resamples", "Sample", "interval", "intervals", "mean_sums", "resamples", "sample"),
]
