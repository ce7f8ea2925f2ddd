"""Measures of a replay, against sums done by hand."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dujiang.lab import sizes
from dujiang.lab.measures import MEASURES, rounded, values_of, wait_quantiles
from dujiang.lab.sums import JOB_SUMS, Window, by_hour, hourly, measured, ratio, total, totals_by
from lab_frames import job, jobs_frame, series_frame

WINDOW = Window(0, 4)
SERIES = series_frame([("a", slot, 4, 1.0) for slot in range(6)])


def values(jobs: pl.DataFrame, series: pl.DataFrame = SERIES, window: Window = WINDOW) -> dict[str, float]:
    return {key: float(value) for key, value in values_of(total(hourly(jobs, series, window))).items()}


def test_a_small_replay_by_hand() -> None:
    jobs = jobs_frame(
        # 2 GPUs for 1.5 h, held for 2 h: gross 3 x 4 = 12, voucher 5, carrier 1: net 8.
        job("a", start_h=1, hours=1.5, gpus=2, limit=20, price=3, voucher=5, transfer=1),
        job("b", submit_h=1, limit=9),
        job("c", submit_h=2, start_h=2.5, limit=4, price=2),
    )
    found = values(jobs)
    assert found["utilisation"] == 4 / 16
    assert found["served_share"] == pytest.approx(2 / 3)
    assert found["gpu_hours_asked"] == 5
    assert found["gpu_hours_served"] == 4
    assert found["mean_wait_h"] == pytest.approx((1 + 0.5) / 2)
    assert found["price_cny_per_gpu_hour"] == pytest.approx(14 / 5)
    assert found["net_cny_per_gpu_hour"] == pytest.approx(10 / 5)
    assert found["cost_per_useful_gpu_hour_cny"] == pytest.approx((10 + 5) / 4)
    assert found["turnover_cny"] == 14
    assert found["transfer_cny"] == 1
    assert found["voucher_cny"] == 5
    assert found["buyer_surplus_cny"] == (20 - 8) + (4 - 2)
    assert found["centre_surplus_cny"] == (3 - 2) * 4
    assert found["welfare_cny"] == 14 + 4 - 5


def test_what_a_stopped_job_paid_is_a_loss_to_its_firm() -> None:
    stopped = job("a", start_h=1, limit=20, outcome="stopped")
    found = values(jobs_frame(stopped))
    assert (found["gpu_hours_served"], found["net_cny"], found["buyer_surplus_cny"]) == (0, 2, -2)
    assert math.isnan(found["mean_wait_h"])


def test_only_measured_hours_count() -> None:
    jobs = jobs_frame(*(job(str(hour), submit_h=hour, start_h=hour) for hour in range(6)))
    series = series_frame([("a", slot, 4, float(slot)) for slot in range(6)])
    window = Window(2, 5)
    assert measured(jobs, window)["job_id"].to_list() == ["2", "3", "4"]
    assert values(jobs, series, window)["gpu_hours_asked"] == 3
    assert values(jobs, series, window)["utilisation"] == (2 + 3 + 4) / 12


def test_nothing_asked_is_not_known_and_not_zero() -> None:
    found = values(jobs_frame())
    for key in ("served_share", "mean_wait_h", "price_cny_per_gpu_hour", "cost_per_useful_gpu_hour_cny"):
        assert math.isnan(found[key])
    assert found["turnover_cny"] == 0
    assert wait_quantiles(jobs_frame()) == {"median_wait_h": None, "p95_wait_h": None}


def test_carbon_is_known_only_if_all_of_it_is() -> None:
    known = [job("a", start_h=1, kg=1.5), job("b", start_h=1, kg=2.0), job("c")]
    assert values(jobs_frame(*known))["carbon_kg"] == 3.5
    assert math.isnan(values(jobs_frame(*known, job("d", start_h=1)))["carbon_kg"])


@pytest.mark.parametrize(
    "waits, median, p95", [([1], 1, 1), ([1, 2], 1, 2), ([1, 2, 3], 2, 3), (range(1, 101), 50, 95)]
)
def test_quantiles_are_waits_that_happened(waits: list[int], median: float, p95: float) -> None:
    jobs = jobs_frame(*(job(f"{wait:03}", start_h=wait) for wait in waits))
    assert wait_quantiles(jobs) == {"median_wait_h": median, "p95_wait_h": p95}


ROWS = st.lists(
    st.builds(
        job,
        st.uuids().map(str),
        submit_h=st.integers(0, 5),
        start_h=st.none() | st.integers(5, 9),
        hours=st.sampled_from([0.5, 1, 2.25]),
        gpus=st.integers(1, 9),
        limit=st.integers(1, 99),
        price=st.integers(2, 9),
        voucher=st.integers(0, 1),
        transfer=st.integers(0, 3),
        size=st.sampled_from(["micro", "small", "large"]),
    ),
    max_size=12,
)


@settings(max_examples=40, deadline=None)
@given(ROWS)
def test_money_adds_up_and_groups_add_up_to_the_whole(rows: list[dict[str, object]]) -> None:
    jobs, window = jobs_frame(*rows), Window(0, 6)
    sums = total(hourly(jobs, SERIES, window))
    np.testing.assert_array_equal(sums["gross"] + sums["transfer"], sums["voucher"] + sums["net"])
    found = {key: float(value) for key, value in values_of(sums).items()}
    worth = sum(row["limit_ucny"] for row in rows if row["start_s"] is not None)  # type: ignore[misc]
    cost = sums["ask_cost"] + sums["transfer"]
    assert found["welfare_cny"] == pytest.approx((worth - float(cost)) / 1e6)
    groups = totals_by(jobs, "size", JOB_SUMS)
    for name in JOB_SUMS:
        assert sum(float(one[name]) for one in groups.values()) == pytest.approx(float(sums[name]))


def test_sums_by_hour_do_not_depend_on_how_often_they_are_asked() -> None:
    rng = np.random.default_rng(0)
    rows = [
        job(str(n), submit_h=float(h), start_h=9, hours=float(r), kg=0.1)
        for n, (h, r) in enumerate(rng.random((200, 2)))
    ]
    jobs = jobs_frame(*rows)
    first, second = (by_hour(jobs, WINDOW, JOB_SUMS) for _ in range(2))
    for name in JOB_SUMS:
        assert first[name].tobytes() == second[name].tobytes()


def test_ratio_of_nothing_is_not_known() -> None:
    np.testing.assert_array_equal(ratio(np.array([1.0, 0.0]), np.array([2.0, 0.0])), [0.5, np.nan])


@pytest.mark.parametrize(
    "value, unit, said",
    [
        (0.12345678, "share", 0.123457),
        (1.005001, "cny", 1.01),
        (float("nan"), "h", None),
        (None, "h", None),
        (-1e-9, "cny", 0.0),
    ],
)
def test_documents_hold_rounded_figures(value: float | None, unit: str, said: float | None) -> None:
    assert rounded(value, unit) == said
    assert str(rounded(value, unit)) != "-0.0"


def test_every_measure_is_named_in_both_languages_and_has_a_unit() -> None:
    assert len({measure.key for measure in MEASURES}) == len(MEASURES)
    for measure in MEASURES:
        assert measure.name.en
        assert measure.name.zh
        assert measure.better in ("more", "less", "neither")
        rounded(1.0, measure.unit)


@pytest.mark.parametrize(
    "staff, band",
    [
        (0, "micro"),
        (9, "micro"),
        (10, "small"),
        (99, "small"),
        (100, "medium"),
        (299, "medium"),
        (300, "large"),
        (None, "unknown"),
    ],
)
def test_bands_of_firm_size(staff: int | None, band: str) -> None:
    firms = pl.DataFrame({"enterprise_id": ["f"], "employees": [staff]}, schema_overrides={"employees": pl.Int64})
    jobs = sizes.with_size(jobs_frame(job("a"), job("b", firm="stranger")), firms)
    assert jobs["size"].to_list() == [band, "unknown"]
    assert set(jobs["size"]) <= set(sizes.size_names())
