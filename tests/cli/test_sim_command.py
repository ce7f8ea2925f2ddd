"""`dujiang sim`: what it prints, and what it says of input that is wrong."""

import json
from pathlib import Path

import pytest

from books import dujiang
from lab_scenarios import SCENARIO, files_of, write_scenario


def test_a_scenario_in_words_and_as_a_document(tmp_path: Path) -> None:
    path, out = write_scenario(tmp_path / "files"), tmp_path / "out"
    ended = dujiang("sim", path, "--out", out)
    assert ended.code == 0, ended.err
    assert "use of the accelerators" in ended.out
    assert f"open {out}/report.html" in ended.out
    before = files_of(out)
    ended = dujiang("sim", path, "--out", out, "--json")
    assert ended.document == json.loads((out / "summary.json").read_bytes())
    assert files_of(out) == before
    ended = dujiang("--lang", "zh", "sim", path, "--out", out)
    assert "加速卡使用率" in ended.out


def test_the_table_shows_the_figures_of_the_summary(tmp_path: Path) -> None:
    path, out = write_scenario(tmp_path / "files"), tmp_path / "out"
    said = dujiang("sim", path, "--out", out).out
    summary = json.loads((out / "summary.json").read_bytes())
    line = next(line for line in said.splitlines() if line.startswith("use of the accelerators"))
    assert line.split()[-1] == f"{summary['utilisation']:.1%}"
    line = next(line for line in said.splitlines() if line.startswith("jobs served"))
    assert line.split()[-1] == f"{summary['served_share']:.1%}"


@pytest.mark.parametrize("more", ["couplign: full\n", "seed: x\n", "fleet: {}\n", "- a\n", "\x00"])
def test_problems_of_a_scenario_are_listed(tmp_path: Path, more: str) -> None:
    path = write_scenario(tmp_path / "files", more=more)
    ended = dujiang("sim", path, "--out", tmp_path / "out")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.strip().startswith("scenario.yaml:")
    assert "Traceback" not in ended.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["nowhere.yaml", "."])
def test_a_scenario_that_is_not_there(tmp_path: Path, name: str) -> None:
    ended = dujiang("sim", tmp_path / name, "--out", tmp_path / "out", "--json")
    assert ended.code == 1
    assert [problem["code"] for problem in ended.document["problems"]] == ["unreadable"]


def test_another_trace_takes_the_place_of_the_scenarios(tmp_path: Path) -> None:
    log = "job_id,submit_s,duration_s,gpus,vc\n" + "".join(f"j{n},{n * 600},5400,2,east\n" for n in range(60))
    (tmp_path / "log.csv").write_text(log)
    text = SCENARIO.replace("{generate_h: 96, jobs_per_h: 1.5, longest_h: 96}", "{trace: put-it-here.csv}")
    path = write_scenario(tmp_path / "files", text)
    assert dujiang("sim", path, "--out", tmp_path / "out").code == 1
    ended = dujiang("sim", path, "--out", tmp_path / "out", "--trace", tmp_path / "log.csv", "--json")
    assert ended.code == 0, ended
    assert ended.document["jobs"] > 60  # those that would come at lower prices only are added
    assert next(iter(ended.document["sources"])) == "log.csv"


def test_a_folder_of_somebody_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("mine")
    ended = dujiang("sim", write_scenario(tmp_path / "files"), "--out", tmp_path / "out", "--json")
    assert (ended.code, ended.document["problems"][0]["code"]) == (1, "not-a-result")
    assert files_of(tmp_path / "out") == {"thesis.tex": b"mine"}
