"""Jobs of a log, copies of them, jobs that come at low prices only, and made-up ones."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dujiang.lab.case import Case
from dujiang.lab.demand import SHIFT_S, arrivals_of, source_of_log, willingness_of
from dujiang.lab.make_case import make_case
from scenes import LOG, case, needs_data, problems_of, put, scenario

MADE_UP = {"demand": {"generate_h": 672, "jobs_per_h": 150}}
"""Four weeks, so many jobs that means come out although the largest count for much."""


def long_log(jobs: int = 3000) -> pl.DataFrame:
    """Return a log with a job every ten minutes."""
    rows = np.arange(jobs)
    return pl.DataFrame(
        {
            "job_id": [f"j{i:05d}" for i in rows],
            "submit_s": rows * 600,
            "duration_s": 600 + rows * 7919 % 30_000,
            "gpus": 1 << (rows * 31 % 4),
            "vc": [f"v{i % 3}" for i in rows],
        }
    )


def ids(case_: Case) -> list[str]:
    return case_.book.orders["order_id"].to_list()


def test_jobs_of_the_log_are_taken_as_they_are(tmp_path: Path) -> None:
    c = case(tmp_path, {"demand.deadline": {"stretch": 1.5, "slack_h": 2}})
    assert ids(c) == list("abcdef")
    assert c.jobs.submit_s.tolist() == [0, 1800, 3600, 7201, 80000, 90000]
    assert c.jobs.run_s.tolist() == [3600, 5400, 36, 7200, 168 * 3600, 60]
    assert c.book.orders["release"].to_list() == [0, 1, 1, 3, 23, 25]
    # first full hour + 1.5 x whole hours, rounded up + 2
    assert c.book.orders["deadline"].to_list() == [4, 6, 5, 8, 23 + 252 + 2, 29]
    assert c.jobs.deadline_s.tolist() == [d * 3600 for d in c.book.orders["deadline"]]
    assert c.book.orders["hours_micro"].to_list() == [1_000_000, 1_500_000, 10_000, 2_000_000, 168_000_000, 16_667]
    assert (c.window_h, c.book.slots) == (26, 277)


def test_rows_and_cuts_are_counted(tmp_path: Path) -> None:
    c = case(tmp_path, {"demand.to_s": 86400}, LOG + "g,k,10,,1,,x\nh,k,10,5,0,,x\n")
    rows = c.assumptions["rows"]
    assert isinstance(rows, dict)
    assert rows["value"] == {
        "in_file": 8,
        "unusable": {"missing-value": 1, "no-gpus": 1},
        "outside_window": 1,
        "jobs": 5,
        "of_which_cut": 1,
    }
    assert [p.code for p in c.remarks] == ["missing-value", "no-gpus"]


def test_a_window_counts_from_the_midnight_before_the_first_job(tmp_path: Path) -> None:
    later = "job_id,submit_s,duration_s,gpus,vc\na,90000,60,1,x\nb,100000,60,1,x\n"
    c = case(tmp_path, {"demand.from_s": 5000}, later)
    assert (ids(c), c.jobs.submit_s.tolist()) == (["b"], [100000 - 86400 - 5000])
    assert [p.field for p in problems_of(tmp_path, {"demand.from_s": 50_000}, later)] == ["demand.from_s"]


def test_a_window_longer_than_a_book_is_refused(tmp_path: Path) -> None:
    log = f"job_id,submit_s,duration_s,gpus,vc\na,0,60,1,x\nb,{9000 * 3600},60,1,x\n"
    assert [(p.code, p.field) for p in problems_of(tmp_path, log=log)] == [("too-long", "demand.to_s")]
    log = f"job_id,submit_s,duration_s,gpus,vc\na,0,60,1,x\nb,{8780 * 3600},86400,1,x\n"
    assert [(p.code, p.field) for p in problems_of(tmp_path, log=log)] == [("too-long", "demand.to_s")]


def test_jobs_without_a_deadline_wait_as_long_as_the_run(tmp_path: Path) -> None:
    c = case(tmp_path, {"demand.deadline": "none"})
    assert c.book.slots == 2 * 26 + 168
    assert set(c.book.orders["deadline"]) == {c.book.slots}
    assert int(c.jobs.deadline_s.min()) == 2**40


@pytest.mark.parametrize("scale", [0.3, 1.0, 2.0, 3.7])
def test_a_scale_makes_so_many_copies(tmp_path: Path, scale: float) -> None:
    c = case(tmp_path, {"demand.scale": scale}, long_log())
    assert c.jobs.submit_s.size == pytest.approx(3000 * scale, abs=4 * (3000 * 0.25) ** 0.5)
    assert c.book.orders["order_id"].is_unique().all()
    original = pl.Series(ids(c)).str.extract(r"^(j\d+)", 1)
    log = long_log().select(pl.col("job_id"), pl.col("gpus").alias("g"), pl.col("submit_s").alias("s"))
    joined = pl.DataFrame({"job_id": original, "gpus": c.book.orders["gpus"], "at": c.jobs.submit_s}).join(
        log, on="job_id", how="left", maintain_order="left"
    )
    assert (joined["gpus"] == joined["g"]).all()
    assert (joined["at"] - joined["s"]).abs().max() <= SHIFT_S
    assert c.jobs.submit_s.min() >= 0
    assert c.jobs.submit_s.max() < c.window_h * 3600


def test_a_larger_scale_keeps_the_jobs_of_a_smaller_one(tmp_path: Path) -> None:
    kept = [set(ids(case(tmp_path, {"demand.scale": scale}, long_log(500)))) for scale in (0.4, 0.8, 1.3, 2.6)]
    assert kept[0] < kept[1] < kept[2] < kept[3]


def test_copies_draw_for_themselves_and_spread_over_the_window(tmp_path: Path) -> None:
    c = case(tmp_path, {"demand.scale": 10, "firms.count": 1}, long_log(300))
    orders = c.book.orders.with_columns(pl.col("order_id").str.extract(r"^(j\d+)", 1).alias("of"))
    assert orders.group_by("of").agg(pl.col("limit_ucny").n_unique())["limit_ucny"].min() > 8
    _, at_once = np.unique(c.jobs.submit_s, return_counts=True)
    assert at_once.max() <= 5


def test_marks_of_copies_never_meet_an_id(tmp_path: Path) -> None:
    log = "job_id,submit_s,duration_s,gpus,vc\na,0,60,1,x\na~2,5,60,1,x\nb+1,6,60,1,x\n"
    changes = {"demand.scale": 2, "firms.willingness": {"elasticity": 1, "floor": 0.5}}
    names = ids(case(tmp_path, changes, log))
    assert len(set(names)) == len(names)
    assert {"a", "a~2", "a~~2", "a~2~~2", "a++1"} <= set(names)


def test_too_many_jobs_are_refused(tmp_path: Path) -> None:
    changes = {"demand.scale": 10_000}
    assert [(p.code, p.field) for p in problems_of(tmp_path, changes, long_log())] == [("too-many", "demand.scale")]


def test_a_rate_that_no_memory_could_hold_is_refused_before_anything_is_drawn(tmp_path: Path) -> None:
    changes = {"demand": {"generate_h": 8000, "jobs_per_h": 1_000_000}}
    assert [(p.code, p.field) for p in problems_of(tmp_path, changes)] == [("too-many", "demand.jobs_per_h")]
    changes = {"demand": {"generate_h": 8784, "jobs_per_h": 1}}
    assert [(p.code, p.field) for p in problems_of(tmp_path, changes)] == [("too-long", "demand.generate_h")]


def test_demand_at_each_price_is_that_of_the_elasticity(tmp_path: Path) -> None:
    put(tmp_path, long_log(2000))
    changes = {"firms.willingness": {"elasticity": 1.2, "floor": 0.25}}
    s = scenario(tmp_path, changes)
    assert s.demand.trace is not None
    arrivals = arrivals_of(s, source_of_log(s, s.demand.trace))
    worth = willingness_of(s, arrivals) / 1e6
    assert not arrivals.latent[worth > 1].any()
    assert arrivals.latent[worth < 1].all()
    assert worth.min() >= 0.25
    for price in (0.25, 0.4, 0.7, 1.0, 1.5, 3.0):
        assert (worth >= price).sum() == pytest.approx(2000 * price**-1.2, rel=0.06), price


def test_worth_above_the_ceiling_counts_as_the_ceiling_and_changes_no_other(tmp_path: Path) -> None:
    put(tmp_path, long_log(2000))
    worth = []
    for ceiling in (1e6, 3):
        s = scenario(tmp_path, {"firms.willingness": {"elasticity": 1.2, "floor": 0.25, "ceiling": ceiling}})
        assert s.demand.trace is not None
        worth.append(willingness_of(s, arrivals_of(s, source_of_log(s, s.demand.trace))) / 1e6)
    assert worth[0].max() > 30
    assert (worth[1] == worth[0].clip(max=3)).all()


def test_at_the_reference_price_the_trace_itself_comes(tmp_path: Path) -> None:
    willing = {"elasticity": 2, "floor": 0.5}
    c = case(tmp_path, {"firms.willingness": willing}, long_log(300))
    orders = c.book.orders
    cost = orders["gpus"] * -(-c.jobs.run_s // 3600) * 2_000_000
    above = orders.filter(orders["limit_ucny"] >= cost)["order_id"]
    assert sorted(above) == long_log(300)["job_id"].to_list()


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([0.5, 1.0, 2.3]), st.booleans())
def test_draws_do_not_depend_on_the_window(
    tmp_path_factory: pytest.TempPathFactory, seed: int, scale: float, elastic: bool
) -> None:
    folder = tmp_path_factory.mktemp("window")
    changes: dict[str, object] = {"seed": seed, "demand.scale": scale}
    if elastic:
        changes["firms.willingness"] = {"elasticity": 1, "floor": 0.5}
    whole = case(folder, changes, long_log(200)).book.orders.select("order_id", "limit_ucny")
    part = case(folder, {**changes, "demand.from_s": 30_000, "demand.to_s": 90_000}, long_log(200)).book.orders
    both = part.join(whole, on="order_id", how="inner")
    assert both.height == part.height
    assert (both["limit_ucny"] == both["limit_ucny_right"]).all()


@pytest.mark.parametrize(
    ("like", "longest_h", "mean_gpus", "mean_run_s", "median_run_s", "gpu_hours"),
    [
        ("philly", 168, 1.928, 18_006, 874, 17.0),
        ("philly", 96, 1.928, 18_006, 874, 17.0),
        ("helios", 168, 3.716, 6_652, 206, 13.7),
        ("acme-seren", 96, 5.68, 1_414, 122, 9.0),
    ],
)
def test_made_up_demand_is_like_the_published(
    tmp_path: Path,
    like: str,
    longest_h: int,
    mean_gpus: float,
    mean_run_s: float,
    median_run_s: float,
    gpu_hours: float,
) -> None:
    c = case(tmp_path, {**MADE_UP, "demand.like": like, "demand.longest_h": longest_h})
    count = c.jobs.run_s.size
    assert count == pytest.approx(672 * 150, rel=0.05)
    gpus = c.book.orders["gpus"].to_numpy()
    assert gpus.mean() == pytest.approx(mean_gpus, rel=0.03)
    assert c.jobs.run_s.mean() == pytest.approx(mean_run_s, rel=0.05)
    assert np.median(c.jobs.run_s) == pytest.approx(median_run_s, rel=0.05)
    assert (gpus * c.jobs.run_s).mean() / 3600 == pytest.approx(gpu_hours, rel=0.15)
    hour = c.jobs.submit_s // 3600 % 24
    assert (hour == 14).sum() > 2.5 * (hour == 3).sum()
    weekend = c.jobs.submit_s // 86400 % 7 >= 5  # the run starts on a Monday in Shanghai
    assert weekend.mean() == pytest.approx(2 * 0.6 / (5 + 2 * 0.6), abs=0.02)


def test_made_up_demand_is_like_the_trace(tmp_path: Path) -> None:
    c = case(tmp_path, {"demand.generate_h": 1000}, long_log())
    assert c.window_h == 1000
    assert c.jobs.run_s.size == pytest.approx(6000, rel=0.05)
    log = long_log()
    pairs = set(zip(log["gpus"], log["duration_s"], log["vc"], strict=True))
    centre = c.book.centres["centre_id"].gather(c.jobs.origin)
    assert set(zip(c.book.orders["gpus"], c.jobs.run_s.tolist(), centre, strict=True)) <= pairs
    faster = case(tmp_path, {"demand.generate_h": 1000, "demand.jobs_per_h": 12}, long_log())
    assert faster.jobs.run_s.size == pytest.approx(12_000, rel=0.05)


def test_made_up_demand_keeps_the_hours_of_the_day(tmp_path: Path) -> None:
    log = long_log().with_columns(
        (pl.col("submit_s") % 86400 // 8 + pl.col("submit_s") // 86400 * 86400).alias("submit_s")
    )
    c = case(tmp_path, {"demand.generate_h": 480}, log)
    assert (c.jobs.submit_s % 86400 < 3 * 3600).all()


def test_run_times_that_are_cut_too_short_are_refused(tmp_path: Path) -> None:
    changes = {"demand": {"generate_h": 24, "jobs_per_h": 3, "longest_h": 5}}
    assert [(p.code, p.field) for p in problems_of(tmp_path, changes)] == [("out-of-range", "demand.longest_h")]
    changes = {"demand": {"generate_h": 1, "jobs_per_h": 0.001}}
    assert [(p.code, p.field) for p in problems_of(tmp_path, changes)] == [("no-jobs", "demand.jobs_per_h")]


def test_a_job_that_no_book_can_hold_is_named(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, log="job_id,submit_s,duration_s,gpus,vc\na,0,60,200000,x\n")
    assert [(p.code, p.file, p.field) for p in problems] == [("out-of-range", "log.csv", "gpus")]


def test_a_log_without_clusters_and_with_users(tmp_path: Path) -> None:
    log = "job_id,submit_s,duration_s,gpus,user_hash\na,0,60,1,u1\nb,5,60,1,u2\nc,6,60,1,u1\n"
    c = case(tmp_path, {"demand.vcs": 3}, log)
    assert c.book.centres["centre_id"].str.contains(r"^vc[123]$").all()
    assert c.jobs.origin[0] == c.jobs.origin[2]
    assert c.book.orders["enterprise_id"].to_list() == ["u-u1", "u-u2", "u-u1"]


@needs_data
def test_the_philly_trace_arrives_whole(tmp_path: Path) -> None:
    from scenes import DATA

    assert DATA is not None
    changes = {"demand": {"trace": str(DATA / "jobs_philly_early.parquet"), "format": "philly"}}
    c = make_case(scenario(tmp_path, changes))
    assert c.book.orders.height == 55_803
    assert c.book.centres.height == 13
    assert c.window_h == 1502
