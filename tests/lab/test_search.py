"""Search: even points, closer ones, and what nothing beats."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dujiang.lab.design import Axis, Search, Split
from dujiang.lab.search import best_of, dimensions, frontier, halton, refined, rounds, values_at


def search(*axes: Axis, split: Split | None = None, evaluations: int = 20, at_most: float | None = None) -> Search:
    return Search("utilisation", True, "voucher_cny", axes, split, evaluations, at_most)


RATE = Axis("rate", 0.2, 0.8)


def test_points_are_spread_evenly_and_follow_the_seed() -> None:
    points = halton(256, 3, 5)
    np.testing.assert_array_equal(points, halton(256, 3, 5))
    assert not np.array_equal(points, halton(256, 3, 6))
    for column in points.T:
        # In each eighth of an axis about an eighth of the points; of random ones 20 to 44.
        counts = np.histogram(column, 8, (0, 1))[0]
        assert np.abs(counts - 32).max() <= 4
    corners = np.histogramdd(points, 2, [(0, 1)] * 3)[0]
    assert np.abs(corners - 32).max() <= 6


def test_the_first_points_are_those_of_halton() -> None:
    shift = halton(1, 2, 9)[0] - [1 / 2, 1 / 3]
    np.testing.assert_allclose(
        (halton(4, 2, 9) - shift) % 1, [[1 / 2, 1 / 3], [1 / 4, 2 / 3], [3 / 4, 1 / 9], [1 / 8, 4 / 9]]
    )


@pytest.mark.parametrize("evaluations", [2, 3, 7, 20, 61])
def test_rounds_use_up_the_evaluations(evaluations: int) -> None:
    sizes = rounds(search(RATE, evaluations=evaluations))
    assert sum(sizes) == evaluations
    assert min(sizes) > 0
    assert sizes[0] >= evaluations / 2


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 20), st.integers(0, 99))
def test_refined_points_stay_in_the_cube_and_near(width: int, number: int, count: int, seed: int) -> None:
    around = np.random.default_rng(seed).random((3, width))
    points = refined(around, count, number, seed)
    assert points.shape == (count, width)
    assert (points >= 0).all()
    assert (points <= 1).all()
    far = np.abs(points - around[np.arange(count) % 3]).max()
    assert far < 6 * (0.2 if number == 1 else 0.12)


def test_later_steps_are_smaller() -> None:
    around = np.full((1, 2), 0.5)
    spread = [refined(around, 400, number, 1).std() for number in (1, 2, 3, 4)]
    assert all(early > 1.5 * late for early, late in pairwise(spread))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_values_lie_in_their_ranges_and_a_split_adds_up(unit: list[float]) -> None:
    wanted = search(
        RATE,
        Axis("staff", 10, 99, whole=True),
        split=Split(50_000_000, ("a.budget_cny", "b.budget_cny", "c.budget_cny")),
    )
    assert dimensions(wanted) == 4
    values = values_at(wanted, np.array(unit))
    assert list(values) == ["rate", "staff", "a.budget_cny", "b.budget_cny", "c.budget_cny"]
    assert 0.2 <= values["rate"] <= 0.8
    assert isinstance(values["staff"], int)
    assert 10 <= values["staff"] <= 99
    parts = [values[key] for key in list(values)[2:]]
    assert min(parts) >= 0
    assert round(sum(parts), 2) == 50_000_000
    assert all(round(part, 2) == part for part in parts)


def test_every_split_is_as_likely() -> None:
    wanted = search(split=Split(1.0, ("a", "b", "c")))
    rng = np.random.default_rng(3)
    means = np.mean([[*values_at(wanted, rng.random(2)).values()] for _ in range(3000)], axis=0)
    np.testing.assert_allclose(means, 1 / 3, atol=0.02)


FIGURES = st.lists(st.tuples(st.none() | st.integers(0, 5), st.none() | st.integers(0, 5)), max_size=12)


@settings(max_examples=100, deadline=None)
@given(FIGURES, st.booleans())
def test_nothing_beats_the_frontier_and_it_beats_all_else(
    points: list[tuple[int | None, int | None]], maximise: bool
) -> None:
    cost, goal = [p[0] for p in points], [p[1] for p in points]
    on = frontier(cost, goal, maximise=maximise)
    known = {n for n, p in enumerate(points) if None not in p}
    assert set(on) <= known
    sign = 1 if maximise else -1

    def beats(a: int, b: int) -> bool:
        better = (cost[a] - cost[b], -sign * (goal[a] - goal[b]))  # type: ignore[operator]
        return better <= (0, 0) and better[1] <= 0 and better != (0, 0)

    for n in on:
        assert not any(beats(m, n) for m in known)
    for n in known - set(on):
        assert any(beats(m, n) or (cost[m], goal[m]) == (cost[n], goal[n]) for m in on)
    assert [cost[n] for n in on] == sorted(cost[n] for n in on)  # type: ignore[type-var]


def test_the_best_is_the_most_that_may_be_had() -> None:
    cost, goal = [0.0, 10.0, 20.0, 30.0, None], [0.0, 5.0, 4.0, 9.0, 99.0]
    assert best_of(search(RATE), cost, goal) == 3
    assert best_of(search(RATE, at_most=25), cost, goal) == 1
    assert best_of(search(RATE, at_most=-1), cost, goal) is None
