"""Distributions that meet published means and medians: run times, and sizes in powers of two.

The owners of large clusters publish mean and median of run time and accelerators per job, seldom more. A lognormal has
two parameters, so mean and median fix it. Its tail would hold jobs of many weeks, which no round of a week can run, and
much of the mean with them; so it is cut off at a longest run time, and the two parameters are chosen such that mean
and median of what remains are still the published ones.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

_NORMAL = NormalDist()
_STEPS = 200


@dataclass(frozen=True, slots=True)
class CutLognormal:
    """Lognormal without its values above `longest`."""

    mu: float
    """Mean of the logarithm before the cut."""
    sigma: float
    """Standard deviation of the logarithm before the cut."""
    longest: float

    @property
    def mean(self) -> float:
        """Mean of what remains."""
        return _cut_mean(self.mu, self.sigma, self.longest)

    @property
    def median(self) -> float:
        """Median of what remains."""
        return float(self.quantile(np.array([0.5]))[0])

    def quantile(self, share: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the values below which the given shares (0 < share < 1) of what remains lie."""
        kept = _NORMAL.cdf((math.log(self.longest) - self.mu) / self.sigma)
        z = np.array([_NORMAL.inv_cdf(float(u) * kept) for u in share])
        return np.minimum(np.exp(self.mu + self.sigma * z), self.longest)


def _cut_mean(mu: float, sigma: float, longest: float) -> float:
    edge = (math.log(longest) - mu) / sigma
    return math.exp(mu + sigma * sigma / 2) * _NORMAL.cdf(edge - sigma) / _NORMAL.cdf(edge)


def _mu_for_median(median: float, sigma: float, longest: float) -> float:
    """Return mu such that the median after the cut is as given; it rises with mu."""
    low, high = math.log(median), math.log(longest)
    for _ in range(_STEPS):
        mu = (low + high) / 2
        half = _NORMAL.cdf((math.log(longest) - mu) / sigma) / 2
        if mu + sigma * _NORMAL.inv_cdf(half) < math.log(median):
            low = mu
        else:
            high = mu
    return (low + high) / 2


def fit_cut_lognormal(mean: float, median: float, longest: float) -> CutLognormal:
    """Return the lognormal whose part up to `longest` has this mean and median.

    Parameters
    ----------
    mean, median, longest : in one unit, 0 < median < mean < longest

    Raises
    ------
    ValueError : no lognormal with mu up to log(longest) reaches so high a mean below `longest`
    """
    if not 0 < median < mean < longest:
        raise ValueError(f"need 0 < median < mean < longest, not {median}, {mean}, {longest}")
    # The mean after the cut rises with sigma at a fixed median, until mu meets the cut.
    low, high = 1e-3, 6.0
    for _ in range(_STEPS):
        sigma = (low + high) / 2
        if _cut_mean(_mu_for_median(median, sigma, longest), sigma, longest) < mean:
            low = sigma
        else:
            high = sigma
    fitted = CutLognormal(_mu_for_median(median, high, longest), high, longest)
    if abs(fitted.mean / mean - 1) > 1e-6 or abs(fitted.median / median - 1) > 1e-6:
        raise ValueError(f"no lognormal cut at {longest} has mean {mean} and median {median}")
    return fitted


@dataclass(frozen=True, slots=True)
class PowersOfTwo:
    """Sizes 1, 2, 4 …: one with a share of its own, the others in geometric proportion."""

    shares: tuple[float, ...]
    """Share of size 2**k at position k; sums to one."""

    @property
    def mean(self) -> float:
        """Mean size."""
        return sum(share * (1 << k) for k, share in enumerate(self.shares))

    def quantile(self, share: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """Return the size at each of the given shares (0 <= share < 1), smallest sizes first."""
        edges = np.cumsum(self.shares)[:-1]
        return np.left_shift(1, np.searchsorted(edges, share, side="right")).astype(np.int64)


def fit_powers_of_two(mean: float, single: float, largest: int) -> PowersOfTwo:
    """Return sizes 1, 2, 4 … `largest` with this mean.

    Parameters
    ----------
    mean : mean size
    single : share of size one; above a half, so that the median is one as in every published cluster
    largest : a power of two

    Raises
    ------
    ValueError : the mean lies outside what such sizes can have
    """
    exponents = np.arange(1, largest.bit_length(), dtype=np.float64)
    sizes = 2.0**exponents
    rest = (mean - single) / (1 - single)
    if largest.bit_count() != 1 or not 0.5 < single < 1 or not sizes[0] < rest < sizes[-1]:
        raise ValueError(f"no sizes up to {largest} with a share {single} of one have mean {mean}")
    low, high = -40.0, 40.0
    for _ in range(_STEPS):
        tilt = (low + high) / 2
        weights = np.exp2(tilt * exponents - max(tilt, tilt * exponents[-1]))
        if float((weights * sizes).sum() / weights.sum()) < rest:
            low = tilt
        else:
            high = tilt
    return PowersOfTwo((single, *(float(w) * (1 - single) for w in weights / weights.sum())))
