"""Intervals: draws that keep what they must, and cover what they say."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dujiang.lab.bootstrap import Resamples, interval, intervals, mean_sums, resamples, sample
from dujiang.lab.sums import Float, Sums, ratio


def drawn(hours: int, seeds: int = 1, block_h: int = 24, count: int = 200, seed: int = 1) -> Resamples:
    found = resamples(hours, seeds, block_h=block_h, count=count, seed=seed)
    assert found is not None
    return found


@settings(max_examples=40, deadline=None)
@given(st.integers(72, 300), st.integers(1, 24), st.integers(1, 6), st.integers(0, 9))
def test_every_resample_has_as_many_hours_and_seeds_as_the_window(
    hours: int, block: int, seeds: int, seed: int
) -> None:
    found = drawn(hours, seeds, block, 50, seed)
    np.testing.assert_array_equal(found.hours.sum(axis=1), hours)
    np.testing.assert_allclose(found.seeds.sum(axis=1), 1)
    np.testing.assert_array_equal(found.hours, drawn(hours, seeds, block, 50, seed).hours)


def test_hours_of_a_block_stay_together() -> None:
    """Of a line that is 1 in a single hour of a day, a block of a day holds exactly one, wherever it begins."""
    daily = np.tile(np.r_[1.0, np.zeros(23)], 10)
    np.testing.assert_array_equal(drawn(240).of([{"x": daily}])["x"], 10)
    spread = drawn(240, block_h=1).of([{"x": daily}])["x"]
    assert spread.std() > 1


def test_every_hour_counts_alike() -> None:
    mean = drawn(100, block_h=30, count=20_000).hours.mean(axis=0)
    np.testing.assert_allclose(mean, 1, atol=0.05)


@pytest.mark.parametrize("hours, block", [(71, 24), (2, 1), (0, 24)])
def test_too_few_blocks_give_no_interval(hours: int, block: int) -> None:
    assert resamples(hours, 2, block_h=block, count=10, seed=1) is None
    assert resamples(500, 2, block_h=24, count=0, seed=1) is None


def total(s: Sums) -> dict[str, Float]:
    return {"x": s["x"], "share": ratio(s["x"], s["n"])}


def lines(rng: np.random.Generator, hours: int = 480) -> dict[str, Float]:
    return {"x": rng.poisson(5, hours).astype(float), "n": np.full(hours, 10.0)}


def test_what_two_points_share_does_not_widen_their_difference() -> None:
    """Two points with the same noise and one more of x in each hour: the difference is sure, each alone is not."""
    one = [lines(np.random.default_rng(n)) for n in range(3)]
    other = [{**line, "x": line["x"] + 1} for line in one]
    found = drawn(480, seeds=3)
    alone, ends = intervals(total, [sample(one, found)], 0.95)["x"]
    assert ends.low < alone < ends.high
    difference, both = intervals(lambda a, b: {"d": b["x"] - a["x"]}, [sample(one, found), sample(other, found)], 0.95)[
        "d"
    ]
    assert difference == pytest.approx(480)
    assert both == pytest.approx((480, 480))


def test_the_value_is_the_mean_over_seeds_of_all_hours() -> None:
    seeds = [
        {"x": np.array([1.0, 2.0]), "n": np.array([1.0, 1.0])},
        {"x": np.array([3.0, 6.0]), "n": np.array([1.0, 1.0])},
    ]
    assert {key: float(value) for key, value in mean_sums(seeds).items()} == {"x": 6, "n": 2}
    value, ends = intervals(total, [sample(seeds, None)], 0.95)["share"]
    assert value == 3
    assert np.isnan(ends).all()


def test_an_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """Poisson demand with a daily wave and days that hang together: the share of intervals with the truth in them."""
    rng, hits, trials, days = np.random.default_rng(7), 0, 200, 40
    found = drawn(24 * days, block_h=24, count=400)
    for _ in range(trials):
        level = rng.gamma(8, 1 / 8, days).repeat(24) * np.tile(1 + 0.5 * np.sin(np.arange(24) / 24 * 2 * np.pi), days)
        line = {"x": rng.poisson(5 * level).astype(float), "n": np.full(24 * days, 10.0)}
        _, ends = intervals(total, [sample([line], found)], 0.9)["share"]
        hits += ends.low <= 0.5 <= ends.high
    assert 0.8 < hits / trials < 0.96


def test_seeds_are_in_the_interval() -> None:
    """Runs that differ by seed alone, hour by hour the same: the spread is that of means of four draws."""
    seeds = [{"x": np.full(100, value)} for value in (1.0, 2.0, 3.0, 4.0)]
    _, ends = intervals(lambda s: {"x": s["x"] / 100}, [sample(seeds, drawn(100, seeds=4, count=4000))], 0.95)["x"]
    sd = np.std([1, 2, 3, 4]) / 2
    assert ends.low == pytest.approx(2.5 - 1.96 * sd, abs=0.2)
    assert ends.high == pytest.approx(2.5 + 1.96 * sd, abs=0.2)


def test_what_is_often_not_known_has_no_interval() -> None:
    values = np.arange(100.0)
    assert interval(values, 0.9) == pytest.approx((4.95, 94.05))
    values[:5] = np.nan
    assert not np.isnan(interval(values, 0.9)).any()
    values[5] = np.nan
    assert np.isnan(interval(values, 0.9)).all()
    assert np.isnan(interval(np.full(3, np.nan), 0.9)).all()


def test_a_thousand_resamples_of_a_large_study_take_seconds_at_most() -> None:
    rng = np.random.default_rng(1)
    sums = [{f"{n}": rng.random(1488) for n in range(20)}]
    found = drawn(1488, count=1000)
    began = time.process_time()
    for _ in range(5):
        found.of(sums)
    assert time.process_time() - began < 5
