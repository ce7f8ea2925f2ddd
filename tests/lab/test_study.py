"""Studies: in parallel, gone on with after any stop, and the same whoever made them."""

import importlib.util
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dujiang.core.errors import InputError, OperationError
from dujiang.exchange.run import alone
from dujiang.lab.design import points_of
from dujiang.lab.parse_scenario import read_scenario
from dujiang.lab.parse_study import read_study, scenario_of
from dujiang.lab.simulate import simulate
from dujiang.lab.study import STUDY_FILES, Progress, study_to
from dujiang.lab.workers import Failure, Task, run_local
from lab_scenarios import RATE, STUDY, files_of, write_scenario, write_study


def runs_in(out: Path) -> set[str]:
    """Return the runs that are there, whole."""
    return {path.parent.name for path in out.glob("runs/*/summary.json")}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study made in this process, in `out` beside its files."""
    folder = tmp_path_factory.mktemp("study")
    study_to(write_study(folder), folder / "out", workers=1)
    return folder


def document_of(out: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((out / "study.json").read_bytes())
    return document


def test_a_study_compares_its_points_with_the_reference(made: Path) -> None:
    document = document_of(made / "out")
    assert {path.name for path in (made / "out").iterdir()} <= STUDY_FILES
    assert document["reference"] == 0
    zero, half = document["points"]
    assert (zero["label"]["en"], half["label"]["en"]) == ("0 %", "50 %")
    assert len(runs_in(made / "out")) == 4
    assert zero["effects"]["net_additional_gpu_hours"] == {"mean": 0, "low": 0, "high": 0}
    assert zero["measures"]["voucher_cny"] == {"mean": 0, "low": 0, "high": 0}
    effects, measures = half["effects"], half["measures"]
    assert measures["voucher_cny"]["mean"] > 0
    for found in (effects["additionality"], measures["utilisation"], measures["voucher_cny"]):
        assert found["low"] <= found["mean"] <= found["high"]
        assert found["low"] < found["high"]
    assert sum(effects[f"incidence.{who}"]["mean"] for who in ("buyers", "centres", "lost")) == pytest.approx(
        1, abs=1e-5
    )
    gained = measures["gpu_hours_served"]["mean"] - zero["measures"]["gpu_hours_served"]["mean"]
    assert effects["net_additional_gpu_hours"]["mean"] == pytest.approx(gained, abs=0.02)
    assert effects["change.gpu_hours_served"]["mean"] == pytest.approx(gained, abs=0.02)
    changes = sum(group["gpu_hours_served"] for group in half["who"]["by_size"])
    assert changes == pytest.approx(gained, rel=1e-3, abs=0.1)
    assert {measure["key"] for measure in document["measures"]} == {*measures, *effects}
    differing = {row["entry"]: row["values"] for row in document["differing_assumptions"]}
    assert len(differing["seed"]) == len(document["points"])
    assert all(stated["en"] for stated in differing["seed"])
    assert document["scenario"]["runs"] == 4


def test_a_point_is_the_mean_of_its_runs(made: Path) -> None:
    point = document_of(made / "out")["points"][1]
    summaries = [json.loads((made / "out" / "runs" / run / "summary.json").read_bytes()) for run in point["runs"]]
    assert [summary["seed"] for summary in summaries] == [1, 2]
    for key in ("voucher_cny", "gpu_hours_served", "welfare_cny"):
        mean = sum(summary[key] for summary in summaries) / 2
        assert point["measures"][key]["mean"] == pytest.approx(mean, abs=0.02)
    assert point["programmes"][0]["spent_cny"] == pytest.approx(point["measures"]["voucher_cny"]["mean"], abs=0.02)


def test_a_run_of_a_study_is_what_sim_makes_of_its_scenario(made: Path) -> None:
    run = document_of(made / "out")["points"][1]["runs"][0]
    summary = json.loads((made / "out" / "runs" / run / "summary.json").read_bytes())
    alone_made = simulate(read_scenario(write_scenario(made / "alone"))).summary
    assert summary["title"]["en"] == "small – 50 %"
    assert {**summary, "title": None} == {**alone_made, "title": None}


def test_a_finished_study_is_made_again_from_its_runs(made: Path) -> None:
    before = files_of(made / "out")
    seen: list[Progress] = []
    again = study_to(made / "study.yaml", made / "out", workers=1, progress=seen.append)
    assert again.timing["runs_made"] == 0
    assert [(now.done, now.of) for now in seen] == [(4, 4)]
    assert files_of(made / "out") == before


def test_a_changed_study_makes_only_what_is_new(made: Path, tmp_path: Path) -> None:
    path = write_study(tmp_path, STUDY)
    assert study_to(path, tmp_path / "out", workers=1).timing["runs_made"] == 4
    path.write_text(STUDY.replace("[0, 0.5]", "[0, 0.25, 0.5]").replace("how much", "another title"))
    assert study_to(path, tmp_path / "out", workers=1).timing["runs_made"] == 2
    path.write_text(STUDY.replace("[0, 0.5]", "[0.5]"))
    back = study_to(path, tmp_path / "out", workers=1)
    assert back.timing["runs_made"] == 0
    assert [point["label"]["en"] for point in back.document["points"]] == ["50 %", "0 %"]


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="without the extra `ray`")
def test_ray_gives_the_same_bytes(made: Path, tmp_path: Path) -> None:
    study_to(made / "study.yaml", tmp_path / "out", engine="ray", workers=1)
    found, expected = files_of(tmp_path / "out"), files_of(made / "out")
    assert json.loads(found.pop("study.json")) == {**json.loads(expected.pop("study.json")), "engine": "ray"}
    for files in (found, expected):
        files.pop("report.html")
    assert found == expected


def spawned(study: Path, out: Path) -> "subprocess.Popen[str]":
    arguments = ["study", str(study), "--out", str(out), "--workers", "2", "--json"]
    return subprocess.Popen(
        [sys.executable, "-m", "dujiang.cli.main", *arguments],
        *(-1, None, None, subprocess.PIPE, subprocess.PIPE),
        text=True,
        start_new_session=True,
    )


def wait_until(true: Callable[[], bool], seconds: float = 120) -> None:
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.02)


def group_of(pid: int) -> list[int]:
    """Return the processes of a session."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            fields = (process / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == pid and fields[0] != "Z":
            found.append(int(process.name))
    return found


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_study_that_was_stopped_goes_on(made: Path, tmp_path: Path, how: signal.Signals) -> None:
    """By the hard way or by Ctrl-C: no process stays, whole runs are kept, the end is the same."""
    text, out = STUDY.replace("seeds: 2", "seeds: 7"), tmp_path / "out"
    path = write_study(tmp_path / "files", text)
    process = spawned(path, out)
    wait_until(lambda: bool(runs_in(out)) or process.poll() is not None)
    os.kill(process.pid, how)
    _, errors = process.communicate()
    assert process.returncode == (-9 if how is signal.SIGKILL else 130), errors
    wait_until(lambda: not group_of(process.pid))
    kept = runs_in(out)
    assert 1 <= len(kept) < 14
    if how is signal.SIGINT:
        assert "Traceback" not in errors
    assert not (out / "study.json").exists()
    before = {run: (out / "runs" / run / "summary.json").stat().st_mtime_ns for run in kept}
    made_now = study_to(path, out, workers=1)
    assert made_now.timing["runs_made"] == 14 - len(kept)
    assert all((out / "runs" / run / "summary.json").stat().st_mtime_ns == at for run, at in before.items())
    assert {p.name for p in (out / "runs").iterdir()} == runs_in(out)  # no draft is left
    if how is signal.SIGINT:
        return
    whole = study_to(path, tmp_path / "whole", workers=1)
    assert whole.document == made_now.document
    assert files_of(tmp_path / "whole") == files_of(out)


def test_a_run_with_problems_does_not_lose_the_others(tmp_path: Path) -> None:
    more = "also:\n  - {label: nowhere, set: {demand.origins: {nowhere: 1}}}\n"
    path = write_study(tmp_path, more=more)
    seen: list[Progress] = []
    with pytest.raises(InputError) as caught:
        study_to(path, tmp_path / "out", workers=1, progress=seen.append)
    assert caught.value.problems
    assert len(runs_in(tmp_path / "out")) == 4
    assert seen[-1].failed == 2
    failures = json.loads((tmp_path / "out" / "failed.json").read_bytes())["failed"]
    assert [failure["run"] for failure in failures] == ["nowhere, seed 1", "nowhere, seed 2"]
    path.write_text(STUDY)
    assert study_to(path, tmp_path / "out", workers=1).timing["runs_made"] == 0
    assert not (tmp_path / "out" / "failed.json").exists()


def tasks(folder: Path, count: int) -> list[Task]:
    study = read_study(write_study(folder, STUDY.replace("seeds: 2", f"seeds: {count}")))
    point = points_of(study).found[1]
    return [Task(scenario_of(study, point, seed), folder / "runs" / str(seed)) for seed in study.seeds]


def test_a_process_that_is_killed_is_replaced_and_its_run_tried_again(tmp_path: Path) -> None:
    told: dict[int, Failure | None] = {}

    def tell(number: int, failure: Failure | None) -> None:
        if not told:
            multiprocessing.active_children()[0].kill()
        told[number] = failure

    run_local(tasks(tmp_path, 3), 2, tell)
    assert told == dict.fromkeys(range(3))
    assert not multiprocessing.active_children()
    assert len(list(tmp_path.glob("runs/*/summary.json"))) == 3


def test_a_run_whose_process_dies_again_and_again_is_a_failure(tmp_path: Path) -> None:
    """The worker is killed as soon as it is there: nothing can be made, and nothing hangs."""
    told: dict[int, Failure | None] = {}
    over = threading.Event()

    def kill() -> None:
        while not over.wait(0.01):
            for child in multiprocessing.active_children():
                child.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        run_local(tasks(tmp_path, 2), 2, told.__setitem__)
    finally:
        over.set()
        killer.join()
    assert sorted(told) == [0, 1]
    for failure in told.values():
        assert failure is not None
        assert failure.message is not None
        assert "signal 9" in failure.message.en


@pytest.mark.parametrize("content", [{"notes.txt": "mine"}, {"study.json": "{}"}, {"plan.json": '{"format": "x"}'}])
def test_somebodys_folder_is_left_alone(tmp_path: Path, content: dict[str, str]) -> None:
    path, out = write_study(tmp_path), tmp_path / "out"
    out.mkdir()
    for name, text in content.items():
        (out / name).write_text(text)
    before = files_of(out)
    with pytest.raises(InputError) as caught:
        study_to(path, out, workers=1)
    assert [problem.code for problem in caught.value.problems] == ["not-a-study"]
    assert files_of(out) == before
    assert {p.name for p in out.iterdir()} == set(content)


def test_two_studies_do_not_work_in_one_folder(tmp_path: Path) -> None:
    path = write_study(tmp_path)
    with alone(tmp_path / "out"), pytest.raises(OperationError):
        study_to(path, tmp_path / "out", workers=1)


def test_nothing_is_written_where_a_file_is_missing(tmp_path: Path) -> None:
    path = write_study(tmp_path)
    (tmp_path / "nodes.csv").unlink()
    with pytest.raises(InputError):
        study_to(path, tmp_path / "out", workers=1)
    assert not (tmp_path / "out").exists()


def test_points_with_other_jobs_have_no_effects(tmp_path: Path) -> None:
    text = STUDY.replace(f"{RATE}: [0, 0.5]", "demand.jobs_per_h: [1.5, 2]").replace(
        f"{RATE}: 0", "demand.jobs_per_h: 1.5"
    )
    document = study_to(write_study(tmp_path, text), tmp_path / "out", workers=1).document
    assert document["points"][0]["effects"]
    assert document["points"][1]["effects"] == {}
    assert document["points"][1]["who"] is None


def test_no_interval_spends_more_than_there_is(tmp_path: Path) -> None:
    scenario = "quoted: {top: 2}\n"
    path = write_study(tmp_path, STUDY.replace("seeds: 2", "seeds: 1"), scenario=scenario)
    (tmp_path / "scenario.yaml").write_text((tmp_path / "scenario.yaml").read_text().replace("2000}", "40}"))
    spent = study_to(path, tmp_path / "out", workers=1).document["points"][1]["measures"]["voucher_cny"]
    assert 30 < spent["mean"] <= 40
    assert spent["low"] < spent["mean"]
    assert spent["high"] == 40


def test_days_can_be_varied(tmp_path: Path) -> None:
    """A date is no value of JSON; the hours are those of a made-up week, so another month changes nothing else."""
    days = "2025-11-03T00:00:00+08:00, 2025-12-01T00:00:00+08:00"
    text = STUDY.replace(f"{RATE}: [0, 0.5]", f"start: [{days}]").replace(f"{RATE}: 0", f"start: {days.split(', ')[0]}")
    document = study_to(write_study(tmp_path, text), tmp_path / "out", workers=1).document
    before, after = document["points"]
    assert json.loads((tmp_path / "out" / "study.json").read_bytes()) == document
    assert (after["reference"], before["index"]) == (0, 0)
    assert after["effects"]["net_additional_gpu_hours"]["mean"] == 0


def test_money_is_followed_only_where_nothing_but_programmes_differs(tmp_path: Path) -> None:
    text = STUDY.replace("0.5]}", "0.5], coupling: [isolated, full]}").replace(
        f"{RATE}: 0}}", f"{RATE}: 0, coupling: full}}"
    )
    points = study_to(write_study(tmp_path, text), tmp_path / "out", workers=1).document["points"]
    known = {point["label"]["en"]: point["effects"]["incidence.buyers"]["mean"] for point in points}
    assert known["voucher share 50 %, fully coupled"] is not None
    assert known["voucher share 50 %, isolated centres"] is None
    assert points[2]["effects"]["net_additional_gpu_hours"]["mean"] is not None


def test_one_seed_without_a_bootstrap_has_no_intervals(tmp_path: Path) -> None:
    text = STUDY.replace("seeds: 2", "seeds: 1").replace("resamples: 50", "resamples: 0")
    document = study_to(write_study(tmp_path, text), tmp_path / "out", workers=1).document
    found = document["points"][1]["measures"]["utilisation"]
    assert found["mean"] > 0
    assert (found["low"], found["high"]) == (None, None)


def test_a_search_finds_the_frontier(tmp_path: Path) -> None:
    text = f"""\
scenario: scenario.yaml
reference: {{{RATE}: 0}}
seeds: 1
bootstrap: {{resamples: 0}}
search:
  goal: gpu_hours_served
  over: {{{RATE}: {{low: 0.1, high: 0.9}}}}
  evaluations: 10
"""
    made = study_to(write_study(tmp_path, text), tmp_path / "out", workers=1)
    document = made.document
    rates = [point["values"][RATE] for point in document["points"]]
    assert len(rates) == len(set(rates)) == 11
    search = document["search"]
    on = [document["points"][index] for index in search["frontier"]]
    spent = [point["measures"]["voucher_cny"]["mean"] for point in on]
    served = [point["measures"]["gpu_hours_served"]["mean"] for point in on]
    assert spent == sorted(spent)
    assert served == sorted(served)
    assert spent[0] == 0  # to pay nothing is beaten by nothing
    assert search["best"] == search["frontier"][-1]
    assert max(point["measures"]["gpu_hours_served"]["mean"] for point in document["points"]) == served[-1]
    assert study_to(tmp_path / "study.yaml", tmp_path / "out", workers=1).document == document
