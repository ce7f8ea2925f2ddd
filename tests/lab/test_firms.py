"""Firms: how many, whose a job is, which centre they turn to, what is known of them."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dujiang.lab.case import Case
from dujiang.lab.firms import _homes, _proportional
from scenes import case

CENTRES = "centre_id,region\n" + "".join(f"c{i},r{i}\n" for i in range(4))
POOLS = "pool_id,centre_id,accelerator,gpus,ask_cny_per_gpu_hour\n" + "".join(
    f"p{i},c{i},a,{10 * i + 10},1\n" for i in range(4)
)


def log(jobs: int = 2000) -> pl.DataFrame:
    rows = np.arange(jobs)
    return pl.DataFrame(
        {
            "job_id": [f"j{i:05d}" for i in rows],
            "submit_s": rows * 60,
            "duration_s": np.full(jobs, 600),
            "gpus": np.ones(jobs, dtype=np.int64),
            "vc": [f"v{min(i % 8, 3)}" for i in rows],
        }
    )


def firm_of(c: Case) -> pl.DataFrame:
    """Return each job's firm and origin."""
    return pl.DataFrame(
        {
            "firm": c.book.enterprises["enterprise_id"].gather(c.jobs.firm),
            "origin": c.book.centres["centre_id"].gather(c.jobs.origin),
        }
    )


def test_there_is_one_firm_for_fifty_jobs_of_a_cluster(tmp_path: Path) -> None:
    c = case(tmp_path, {"firms.count": None}, log(2001))
    assert c.book.enterprises.height == 6 + 5 + 5 + 25
    jobs = firm_of(c)
    assert (jobs["firm"] == c.book.orders["enterprise_id"]).all()
    assert (jobs["origin"] == c.book.orders["origin_centre"]).all()
    assert jobs.group_by("firm").agg(pl.col("origin").n_unique())["origin"].max() == 1


def test_equally_active_firms_of_a_cluster_share_its_jobs_evenly(tmp_path: Path) -> None:
    c = case(tmp_path, {"firms.count": 40, "firms.activity_sigma": 0}, log(8000))
    counts = firm_of(c).group_by("origin", "firm").len()
    for _, mine in counts.group_by("origin"):
        mean = mine["len"].sum() / mine.height
        assert mine["len"].min() > 0.7 * mean
        assert mine["len"].max() < 1.3 * mean


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 1000), min_size=1, max_size=8).filter(any), st.integers(1, 60))
def test_firms_are_shared_out_in_proportion(jobs: list[int], total: int) -> None:
    found = _proportional(np.array(jobs), total)
    assert found.sum() == total
    asking = sum(count > 0 for count in jobs)
    for count, firms in zip(jobs, found.tolist(), strict=True):
        if total >= asking:
            exact = (count > 0) + (total - asking) * count / sum(jobs)
            assert abs(firms - exact) < 1
        else:
            assert firms in (0, 1)
            assert firms <= count


@pytest.mark.parametrize("count", [1, 3, 4, 300])
def test_any_number_of_firms_serves_every_cluster(tmp_path: Path, count: int) -> None:
    c = case(tmp_path, {"firms.count": count}, log())
    assert c.book.enterprises.height == count
    assert c.jobs.firm.max() < count
    if count == 4:
        assert firm_of(c).n_unique() == 4


def test_activity_is_as_spread_as_stated(tmp_path: Path) -> None:
    shares = {}
    for sigma in (0.0, 2.0):
        c = case(tmp_path, {"firms.count": 40, "firms.activity_sigma": sigma}, log(4000).with_columns(vc=pl.lit("x")))
        counts = np.bincount(c.jobs.firm, minlength=40)
        shares[sigma] = counts.max() / counts.sum()
    assert shares[0.0] < 0.05
    assert shares[2.0] > 0.15


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(0.01, 10), min_size=1, max_size=40),
    st.lists(st.floats(0, 5), min_size=1, max_size=6).filter(lambda w: sum(w) > 0.1),
    st.integers(0, 99),
)
def test_homes_meet_the_weights_to_within_one_firm(activity: list[float], weights: list[float], seed: int) -> None:
    a, w = np.array(activity), np.array(weights)
    homes = _homes(seed, a, w)
    share = np.bincount(homes, weights=a, minlength=w.size) / a.sum()
    assert (np.abs(share - w / w.sum()) <= a.max() / a.sum() + 1e-9).all()


def test_origins_elsewhere_follow_the_weights(tmp_path: Path) -> None:
    (tmp_path / "fleet").mkdir()
    (tmp_path / "fleet" / "centres.csv").write_text(CENTRES)
    (tmp_path / "fleet" / "pools.csv").write_text(POOLS)
    base = {"fleet": {"book": "fleet"}, "firms.count": 300}
    by_capacity = firm_of(case(tmp_path, base, log()))["origin"].value_counts().sort("origin")
    assert by_capacity["count"].to_list() == pytest.approx([200, 400, 600, 800], abs=90)
    weights = {"c0": 0.75, "c3": 0.25}
    stated = case(tmp_path, {**base, "demand.origins": weights}, log())
    counts = dict(firm_of(stated)["origin"].value_counts().iter_rows())
    assert set(counts) == {"c0", "c3"}
    assert counts["c0"] == pytest.approx(1500, abs=90)
    assert firm_of(stated).group_by("firm").agg(pl.col("origin").n_unique())["origin"].max() == 1


def test_what_is_known_of_firms_is_as_stated(tmp_path: Path) -> None:
    changes = {
        "firms.count": 4000,
        "firms.employees": {"median": 80, "sigma": 1.0},
        "firms.kinds": {"university": 1, "enterprise": 3},
        "firms.cities": {"广东/东莞": 4, "广东 / 广州": 1, "广西/南宁": 0},
    }
    firms = case(tmp_path, changes, log()).book.enterprises
    staff = firms["employees"].to_numpy()
    assert np.median(staff) == pytest.approx(80, rel=0.06)
    assert np.log(staff).std() == pytest.approx(1.0, rel=0.06)
    assert (firms["kind"] == "enterprise").mean() == pytest.approx(0.75, abs=0.03)
    assert set(firms.select("province", "city").unique().rows()) == {("广东", "东莞"), ("广东", "广州")}
    assert (firms["city"] == "东莞").mean() == pytest.approx(0.8, abs=0.03)


def test_the_order_of_weights_changes_nothing(tmp_path: Path) -> None:
    kinds = [{"a": 1, "b": 2, "c": 3}, {"c": 3, "a": 1, "b": 2}]
    one, other = (case(tmp_path, {"firms.kinds": each}, log(50)).book.enterprises for each in kinds)
    assert one.equals(other)


def test_users_of_the_log_are_the_firms(tmp_path: Path) -> None:
    named = log(40).with_columns(user_hash=pl.Series([None if i % 4 == 0 else f"u{i % 3}" for i in range(40)]))
    c = case(tmp_path, {"firms.count": None}, named)
    assert set(c.book.enterprises["enterprise_id"]) == {"u-u0", "u-u1", "u-u2", "vc-v0", "vc-v3"}
    assert c.book.orders["enterprise_id"][1] == "u-u1"
