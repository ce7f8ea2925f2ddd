"""Charts of the policy lab as data: scales, ranges, intervals, and what stands on which line."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dujiang.core.text import Text
from dujiang.reports.lab_charts import (
    SERIES,
    Course,
    Dot,
    Line,
    against,
    along,
    bars,
    gains,
    over_time,
    parts,
    side_by_side,
)
from dujiang.reports.lab_document import Estimate
from dujiang.reports.lab_words import Unit

NAMES = tuple(Text(f"name {place}", f"名称 {place}") for place in range(8))
AXIS = Text("axis", "轴")
AMOUNTS = st.floats(-1e9, 1e9)
ESTIMATES = st.tuples(AMOUNTS, AMOUNTS, AMOUNTS).map(sorted).map(lambda ends: Estimate(ends[1], ends[0], ends[2]))


def dots(*pairs: tuple[float, float]) -> list[Dot]:
    return [Dot(name, Estimate(x), Estimate(y)) for name, (x, y) in zip(NAMES, pairs, strict=False)]


def test_short_windows_count_in_hours_and_long_ones_in_days() -> None:
    short = over_time([0, 0.5, 1], [Line(NAMES[0], [0, 1, 2])], Unit.COUNT)
    long = over_time([0, 5, 9], [Line(NAMES[0], [0, 1, 2])], Unit.COUNT)
    assert short["data"][0]["x"] == [0, 12, 24]
    assert "hours" in short["layout"]["xaxis"]["title"]["text"].en
    assert long["data"][0]["x"] == [0, 5, 9]
    assert "days" in long["layout"]["xaxis"]["title"]["text"].en


def test_millions_are_drawn_as_millions_and_said_so() -> None:
    figure = over_time([0, 9], [Line(NAMES[0], [0, 5e7])], Unit.YUAN)
    assert figure["data"][0]["y"] == [0, 50]
    assert figure["layout"]["yaxis"]["title"]["text"] == Text("CNY million", "百万元")
    small = over_time([0, 9], [Line(NAMES[0], [0, 5e3])], Unit.YUAN)
    assert small["data"][0]["y"] == [0, 5e3]
    assert small["layout"]["yaxis"]["title"]["text"] == Text("CNY", "元")


def test_a_gap_stays_a_gap() -> None:
    figure = over_time([0, 5, 9], [Line(NAMES[0], [1, None, 2])], Unit.HOURS)
    assert figure["data"][0]["y"] == [1, None, 2]
    assert bars(NAMES[:2], [None, 3], NAMES[:2], Unit.HOURS, AXIS)["data"][0]["x"] == [None, 3]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(ESTIMATES, min_size=3, max_size=3), min_size=1, max_size=SERIES))
def test_everything_lies_within_the_axis_and_so_does_zero(values: list[list[Estimate]]) -> None:
    series = [(name, row) for name, row in zip(NAMES, values, strict=False)]
    low, high = gains(NAMES[:3], series, Unit.YUAN, AXIS)["layout"]["xaxis"]["range"]
    ends = [end for row in values for value in row for end in value]
    assert low <= min(0, *ends)
    assert high >= max(0, *ends)
    figure = side_by_side(NAMES[:3], [(name, [v.mean for v in row]) for name, row in series], Unit.YUAN, AXIS)
    low, high = figure["layout"]["xaxis"]["range"]
    assert low <= min(0, *(value.mean for row in values for value in row))
    assert high >= max(0, *(value.mean for row in values for value in row))


def test_whiskers_reach_the_ends_of_the_interval() -> None:
    figure = gains(NAMES[:1], [(NAMES[0], [Estimate(5, 2, 9)])], Unit.HOURS, AXIS)
    error = figure["data"][0]["error_x"]
    assert (error["arrayminus"], error["array"]) == ([3], [4])
    bare = gains(NAMES[:1], [(NAMES[0], [Estimate(5)])], Unit.HOURS, AXIS)
    assert not bare["data"][0]["error_x"]["visible"]


def test_a_part_is_hatched_exactly_where_its_interval_includes_zero() -> None:
    values = [Estimate(0.5, 0.1, 0.9), Estimate(0.5, -0.1, 0.9), Estimate(0.0, 0.0, 0.0), Estimate(0.5), None]
    figure = parts(NAMES[:5], [(NAMES[0], "firms", values)], Unit.SHARE, AXIS)
    assert figure["data"][0]["marker"]["pattern"]["shape"] == ["", "/", "", "", ""]


def test_a_figure_stands_in_its_part_only_where_there_is_room() -> None:
    figure = parts(
        NAMES[:1], [(NAMES[0], "firms", [Estimate(95.0)]), (NAMES[1], "rest", [Estimate(5.0)])], Unit.YUAN, AXIS
    )
    assert figure["data"][0]["text"] == [Text("CNY 95.00", "95.00 元")]
    assert figure["data"][1]["text"] == [""]


def test_numbers_stand_at_their_value_unless_they_would_touch() -> None:
    course = [Course(NAMES[0], [Estimate(1.0)] * 3)]
    wide = along(NAMES[:3], (0.0, 0.25, 0.75), course, Unit.SHARE, AXIS, AXIS)
    assert wide["data"][0]["x"] == [0.0, 0.25, 0.75]
    close = along(NAMES[:3], (0.0, 1.0, 1000.0), course, Unit.SHARE, AXIS, AXIS)
    assert close["data"][0]["x"] == [0, 1, 2]
    assert close["layout"]["xaxis"]["tickvals"] == [0, 1, 2]


def test_a_band_leaves_out_settings_without_an_interval() -> None:
    values = [Estimate(1, 0.5, 1.5), Estimate(2), Estimate(3, 2.5, 3.5)]
    band, line = along(NAMES[:3], (0.0, 0.5, 1.0), [Course(NAMES[0], values)], Unit.HOURS, AXIS, AXIS)["data"]
    assert band["x"] == [0.0, 1.0, 1.0, 0.0]
    assert band["y"] == [1.5, 3.5, 2.5, 0.5]
    assert line["y"] == [1, 2, 3]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(1, 1e8), st.floats(1, 1e7)), min_size=1, max_size=6))
def test_lines_of_equal_cost_are_round_few_and_around_the_settings(pairs: list[tuple[float, float]]) -> None:
    figure = against(dots(*pairs), (Unit.YUAN, Unit.GPU_HOURS), (AXIS, AXIS), joined=False, rays=True)
    rays = [t for t in figure["data"] if t.get("line", {}).get("dash") == "dot"]
    rates = [float(note["text"].en.split()[1].replace(",", "")) for note in figure["layout"]["annotations"]]
    assert len(rays) == len(rates) <= 3
    assert all(a < b for a, b in pairwise(rates))
    costs = [x / y for x, y in pairs]
    assert all(min(costs) / 2 <= rate <= max(costs) * 2 for rate in rates)
    x_low, x_high = figure["layout"]["xaxis"]["range"]
    y_low, y_high = figure["layout"]["yaxis"]["range"]
    for ray in rays:
        assert x_low <= ray["x"][1] <= x_high
        assert y_low <= ray["y"][1] <= y_high


def test_settings_that_add_nothing_have_no_line_of_equal_cost() -> None:
    figure = against(dots((5.0, -1.0), (7.0, 0.0)), (Unit.YUAN, Unit.GPU_HOURS), (AXIS, AXIS), joined=True, rays=True)
    assert figure["layout"]["annotations"] == []
    assert figure["layout"]["yaxis"]["range"][0] < -1.0


def test_the_line_through_settings_runs_from_left_to_right() -> None:
    figure = against(dots((9.0, 1.0), (3.0, 2.0), (6.0, 3.0)), (Unit.YUAN, Unit.GPU_HOURS), (AXIS, AXIS), joined=True)
    assert figure["data"][0]["x"] == [3.0, 6.0, 9.0]


def test_beaten_settings_are_faint_and_unnamed() -> None:
    strong, faint = Dot(NAMES[0], Estimate(1), Estimate(1)), Dot(NAMES[1], Estimate(2), Estimate(1), strong=False)
    first, second = against([strong, faint], (Unit.YUAN, Unit.YUAN), (AXIS, AXIS), joined=False)["data"]
    assert first["marker"]["color"][0].name == "stone"
    assert first["text"] == [Text("", "")]
    assert second["text"] == [NAMES[0]]


@pytest.mark.parametrize("count", [1, SERIES, SERIES + 2])
def test_no_more_runs_are_drawn_than_can_be_told_apart(count: int) -> None:
    figure = side_by_side(NAMES[:1], [(NAMES[run], [float(run)]) for run in range(count)], Unit.HOURS, AXIS)
    shown = [trace for trace in figure["data"] if "name" in trace]
    assert len(shown) == min(count, SERIES)
    assert len({(t["marker"]["symbol"], t["marker"]["color"].name) for t in shown}) == len(shown)
    assert len({t["marker"]["symbol"] for t in shown}) == len(shown)


def test_runs_that_coincide_leave_a_rim() -> None:
    figure = side_by_side(NAMES[:1], [(NAMES[run], [0.5]) for run in range(3)], Unit.SHARE, AXIS)
    sizes = [trace["marker"]["size"] for trace in figure["data"] if "name" in trace]
    assert sizes == sorted(set(sizes), reverse=True)
