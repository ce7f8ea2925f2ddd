"""A scenario from its file to its folder."""

import json
from pathlib import Path

import polars as pl
import pytest

from dujiang.core.errors import InputError
from dujiang.lab.effects import effects, paired
from dujiang.lab.parse_scenario import read_scenario
from dujiang.lab.replay import JOB_SCHEMA, SERIES_SCHEMA
from dujiang.lab.run_key import run_key
from dujiang.lab.scenario import Allocator
from dujiang.lab.simulate import RUN_FILES, run_files, simulate, simulate_to
from dujiang.lab.sums import Window
from lab_scenarios import SCENARIO, files_of, write_scenario

ALLOCATORS = tuple(str(allocator) for allocator in Allocator)


def test_the_files_of_a_run(tmp_path: Path) -> None:
    path, out = write_scenario(tmp_path), tmp_path / "out"
    summary = simulate_to(path, out).summary
    assert {file.name for file in out.iterdir()} == RUN_FILES
    assert json.loads((out / "summary.json").read_bytes()) == summary
    jobs, series = (pl.read_parquet(out / f"{name}.parquet") for name in ("jobs", "series"))
    assert dict(jobs.schema) == {**JOB_SCHEMA, "size": pl.String()}
    assert dict(series.schema) == SERIES_SCHEMA
    assert summary["jobs"] == jobs.height == sum(summary["outcomes"].values())
    assert summary["voucher_cny"] == pytest.approx(jobs["voucher_ucny"].sum() / 1e6)
    assert summary["programmes"][0]["spent_cny"] == summary["voucher_cny"] > 0
    assert summary["programmes"][0]["spent_by_day_cny"][-1] == summary["voucher_cny"]
    assert sum(group["jobs"] for group in summary["by_size"]) == jobs.height
    used = series.filter(pl.col("slot") < summary["window_h"])
    assert summary["utilisation"] == pytest.approx(used["used_gpu_hours"].sum() / used["gpus"].sum(), abs=1e-6)
    assert (out / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert set(json.loads((out / "timing.json").read_bytes())) == {"seconds", "jobs_per_s"}


@pytest.mark.parametrize("allocator", ALLOCATORS)
def test_the_same_scenario_gives_the_same_bytes(tmp_path: Path, allocator: str) -> None:
    path = write_scenario(tmp_path, more=f"policy: {allocator}\n")
    for name in ("one", "two"):
        simulate_to(path, tmp_path / name)
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


@pytest.mark.parametrize("allocator", ALLOCATORS)
def test_a_rate_of_zero_changes_nothing(tmp_path: Path, allocator: str) -> None:
    text = SCENARIO.replace("rate: 0.5", "rate: 0")
    with_it = simulate(read_scenario(write_scenario(tmp_path / "a", text, more=f"policy: {allocator}\n")))
    without = text.replace("programmes: [{id: dg-compute-voucher, rate: 0, budget_cny: 2000}]\n", "")
    assert "programmes" not in without
    without_it = simulate(read_scenario(write_scenario(tmp_path / "b", without, more=f"policy: {allocator}\n")))
    assert with_it.replay.jobs.equals(without_it.replay.jobs)
    assert with_it.replay.series.equals(without_it.replay.series)
    for key in ("welfare_cny", "by_size", "outcomes", "series"):
        assert with_it.summary[key] == without_it.summary[key]


@pytest.mark.parametrize("allocator", ALLOCATORS)
def test_a_voucher_leaves_the_jobs_alone_and_stays_in_its_budget(tmp_path: Path, allocator: str) -> None:
    runs = []
    for rate in ("0", "0.75"):
        text = SCENARIO.replace("rate: 0.5", f"rate: {rate}")
        runs.append(simulate(read_scenario(write_scenario(tmp_path / rate, text, more=f"policy: {allocator}\n"))))
    without, here = runs
    assert paired(here.named.jobs, without.named.jobs)
    assert 0 < here.summary["voucher_cny"] <= 2000
    window = Window(0, here.summary["window_h"])
    found = effects((here.named.jobs, here.replay.series), (without.named.jobs, without.replay.series), window, {})
    assert found is not None
    assert 0 <= found["additionality"] <= 1
    assert sum(found["incidence"].values()) == pytest.approx(1, abs=1e-5)
    gained = here.summary["gpu_hours_served"] - without.summary["gpu_hours_served"]
    assert found["net_additional_gpu_hours"] == pytest.approx(gained, abs=0.02)


def test_a_warm_up_is_left_out_of_every_measure_but_the_budget(tmp_path: Path) -> None:
    whole = simulate(read_scenario(write_scenario(tmp_path / "a"))).summary
    late = simulate(read_scenario(write_scenario(tmp_path / "b", more="warm_up_h: 48\n"))).summary
    assert late["jobs"] < whole["jobs"]
    assert late["voucher_cny"] < whole["voucher_cny"]
    assert late["programmes"] == whole["programmes"]


def test_a_study_needs_no_report_of_each_run(tmp_path: Path) -> None:
    run = simulate(read_scenario(write_scenario(tmp_path)))
    assert list(run_files(run, report=False)) == ["jobs.parquet", "series.parquet", "timing.json", "summary.json"]


def test_a_result_is_replaced_and_nothing_else_is(tmp_path: Path) -> None:
    path, out = write_scenario(tmp_path), tmp_path / "out"
    simulate_to(path, out)
    simulate_to(path, out)
    (out / "notes.txt").write_text("mine")
    before = files_of(out)
    with pytest.raises(InputError) as caught:
        simulate_to(path, out)
    assert [problem.code for problem in caught.value.problems] == ["not-a-result"]
    assert files_of(out) == before


def test_nothing_is_written_for_a_scenario_with_problems(tmp_path: Path) -> None:
    path = write_scenario(tmp_path, more="couplign: full\n")
    (tmp_path / "nodes.csv").unlink()
    for _ in range(2):
        with pytest.raises(InputError):
            simulate_to(path, tmp_path / "out")
        assert not (tmp_path / "out").exists()
        write_scenario(tmp_path)
        (tmp_path / "nodes.csv").unlink()


def test_the_key_of_a_run_follows_all_that_decides_its_result_and_not_its_title(tmp_path: Path) -> None:
    def key(text: str = SCENARIO, folder: str = "a") -> str:
        return run_key(read_scenario(write_scenario(tmp_path / folder, text)))

    first = key()
    assert key(folder="elsewhere") == first == key(SCENARIO.replace("small", "other"))
    for old, new in (
        *(
            ("seed: 1", "seed: 2"),
            ("rate: 0.5", "rate: 0.25"),
            ("floor: 0.5", "floor: 0.25"),
            ("2025-11-03", "2025-11-04"),
        ),
        *(("jobs_per_h: 1.5", "jobs_per_h: 1.6"), ("count: 20", "count: 21")),
    ):
        assert key(SCENARIO.replace(old, new)) != first
    path = write_scenario(tmp_path / "b")
    (path.parent / "nodes.csv").write_text("cluster,gpu_type,gpus\neast,unknown,25\nwest,unknown,16\n")
    assert run_key(read_scenario(path)) != first
    (path.parent / "nodes.csv").unlink()
    with pytest.raises(InputError):
        run_key(read_scenario(path))
