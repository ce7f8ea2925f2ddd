"""The fitted distributions have the published mean and median, checked by drawing and by counting."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dujiang.catalog.tables import trace_statistics
from dujiang.sim.fit import CutLognormal, fit_cut_lognormal, fit_powers_of_two

EVENLY = (np.arange(200_000) + 0.5) / 200_000


@pytest.mark.parametrize("cluster", sorted(trace_statistics()))
def test_run_times_of_every_published_cluster_can_be_met(cluster: str) -> None:
    published = trace_statistics()[cluster]
    fitted = fit_cut_lognormal(published.mean_run_s, published.median_run_s, 96 * 3600.0)
    drawn = fitted.quantile(EVENLY)
    assert drawn.mean() == pytest.approx(published.mean_run_s, rel=0.002)
    assert np.median(drawn) == pytest.approx(published.median_run_s, rel=0.002)
    assert drawn.max() <= 96 * 3600


@settings(max_examples=30, deadline=None)
@given(median=st.floats(0.01, 10), stretch=st.floats(1.05, 20), room=st.floats(20, 1000))
def test_a_fit_meets_both_figures_or_is_refused(median: float, stretch: float, room: float) -> None:
    mean = median * stretch
    try:
        fitted = fit_cut_lognormal(mean, median, mean * room)
    except ValueError:
        return
    assert fitted.mean == pytest.approx(mean, rel=1e-5)
    assert fitted.median == pytest.approx(median, rel=1e-5)


def test_a_cut_far_away_leaves_the_plain_lognormal() -> None:
    fitted = fit_cut_lognormal(10.0, 5.0, 1e9)
    assert fitted.sigma == pytest.approx(math.sqrt(2 * math.log(2)), rel=1e-6)
    assert fitted.mu == pytest.approx(math.log(5), rel=1e-6)


@pytest.mark.parametrize("mean,median,longest", [(1, 2, 9), (5, 5, 9), (5, 0, 9), (9, 1, 9), (89, 1, 100)])
def test_impossible_run_times_are_refused(mean: float, median: float, longest: float) -> None:
    with pytest.raises(ValueError):
        fit_cut_lognormal(mean, median, longest)


@settings(max_examples=30, deadline=None)
@given(mean=st.floats(1.6, 30), single=st.floats(0.51, 0.7))
def test_sizes_have_the_mean_and_a_median_of_one(mean: float, single: float) -> None:
    fitted = fit_powers_of_two(mean, single, 128)
    assert fitted.mean == pytest.approx(mean, rel=1e-6)
    assert sum(fitted.shares) == pytest.approx(1)
    sizes = fitted.quantile(EVENLY)
    assert sizes.mean() == pytest.approx(mean, rel=0.01)
    assert np.median(sizes) == 1
    assert set(sizes.tolist()) <= {2**k for k in range(8)}


@pytest.mark.parametrize("mean,single,largest", [(0.7, 0.55, 128), (60, 0.55, 64), (3, 0.4, 128), (3, 0.55, 100)])
def test_impossible_sizes_are_refused(mean: float, single: float, largest: int) -> None:
    with pytest.raises(ValueError):
        fit_powers_of_two(mean, single, largest)


def test_quantiles_rise_and_stay_below_the_cut() -> None:
    drawn = CutLognormal(mu=1.0, sigma=3.0, longest=50.0).quantile(np.array([1e-9, 0.3, 0.999999999]))
    assert (np.diff(drawn) > 0).all()
    assert drawn[-1] <= 50
