"""Two replays of the same jobs, compared job by job: figures worked out by hand."""

from dataclasses import replace

import polars as pl
import pytest

from dujiang.lab.difference import difference
from dujiang.lab.rounds import replay_rounds
from lab_cases import HOUR, Job, lab_case


@pytest.fixture(scope="module")
def case():
    return lab_case([Job(0, 2 * HOUR, 4), Job(10, HOUR, 2), Job(20, 3 * HOUR, 1), Job(30, HOUR, 8)], {"a": 16, "b": 16})


@pytest.fixture(scope="module")
def exact(case):
    return replay_rounds(case)


def changed(replay, job, **columns):
    """Return the replay with some columns of one job changed."""
    there = pl.col("job_id") == job
    return replace(
        replay,
        jobs=replay.jobs.with_columns(
            pl.when(there).then(pl.lit(value)).otherwise(pl.col(name)).cast(replay.jobs.schema[name]).alias(name)
            for name, value in columns.items()
        ),
    )


def test_a_replay_does_not_differ_from_itself(case, exact):
    found = difference(case, exact, exact)
    assert (exact.jobs["outcome"] == "served").all()
    assert found == {
        "jobs": 4,
        "same_decision_share": 1.0,
        "same_place_share": 1.0,
        "same_start_share": 1.0,
        "gpu_hours_both": 8.0 + 2.0 + 3.0 + 8.0,
        "gpu_hours_exact_only": 0.0,
        "gpu_hours_fast_only": 0.0,
        "price_exact_cny": 2.0,
        "price_fast_cny": 2.0,
        "price_difference_share": 0.0,
        "mean_start_difference_h": 0.0,
    }


def test_each_difference_shows_in_its_own_figure(case, exact):
    other = changed(exact, "j0000000", outcome="expired", start_s=None, centre_id=None, gross_ucny=0, held_s=0)
    other = changed(other, "j0000001", centre_id="elsewhere", start_s=exact.jobs["start_s"][1] + 2 * HOUR)
    other = changed(other, "j0000003", gross_ucny=exact.jobs["gross_ucny"][3] + 24_000_000)
    found = difference(case, exact, other)
    assert found["same_decision_share"] == 3 / 4
    assert found["same_place_share"] == 2 / 4
    assert found["same_start_share"] == 2 / 3
    assert (found["gpu_hours_both"], found["gpu_hours_exact_only"], found["gpu_hours_fast_only"]) == (13.0, 8.0, 0.0)
    # Both serve 13 GPU-hours at 2 yuan; the last job of the other pays 24 yuan more.
    assert (found["price_exact_cny"], found["price_fast_cny"]) == (2.0, 50 / 13)
    assert found["price_difference_share"] == pytest.approx(24 / 26)
    assert found["mean_start_difference_h"] == pytest.approx(2 / 3)
    back = difference(case, other, exact)
    assert (back["gpu_hours_exact_only"], back["gpu_hours_fast_only"]) == (0.0, 8.0)


def test_neither_serves_is_an_agreement_wherever_a_stopped_run_was(case, exact):
    both = [
        changed(exact, "j0000000", outcome="stopped", centre_id="a"),
        changed(exact, "j0000000", outcome="stopped", centre_id="b"),
    ]
    assert difference(case, *both)["same_place_share"] == 1.0


def test_nothing_to_compare_is_not_known():
    case = lab_case([Job(0, HOUR, 4, limit_cny=0.01)], {"a": 4})
    nothing = replay_rounds(case)
    found = difference(case, nothing, nothing)
    assert found["same_decision_share"] == 1.0
    absent = ("same_start_share", "price_exact_cny", "price_fast_cny", "price_difference_share")
    assert [found[name] for name in (*absent, "mean_start_difference_h")] == [None] * 5


def test_other_jobs_are_refused(case, exact):
    other = replay_rounds(lab_case([Job(0, HOUR)], {"a": 4}))
    with pytest.raises(ValueError, match="other jobs"):
        difference(case, exact, other)
