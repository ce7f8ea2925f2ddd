"""`dujiang study`: what it prints, and what it says of input that is wrong."""

import json
import shutil
from pathlib import Path

import pytest

from books import dujiang
from lab_scenarios import RATE, STUDY, files_of, write_study

EXAMPLES = Path(__file__).parents[2] / "examples" / "lab"


def test_a_study_in_words_and_as_a_document(tmp_path: Path) -> None:
    path, out = write_study(tmp_path / "files"), tmp_path / "out"
    ended = dujiang("study", path, "--out", out, "--workers", "1")
    assert ended.code == 0, ended.err
    assert "GPU-hours gained by the policy" in ended.out
    assert "50 %" in ended.out
    assert f"open {out}/report.html" in ended.out
    ended = dujiang("study", path, "--out", out, "--workers", "1", "--json")
    assert ended.document == json.loads((out / "study.json").read_bytes())
    ended = dujiang("--lang", "zh", "study", path, "--out", out, "--workers", "1")
    assert "政策净增卡时" in ended.out


def test_the_example_that_needs_no_trace(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES, tmp_path / "lab")
    ended = dujiang("study", tmp_path / "lab" / "links-or-vouchers.study.yaml", "--out", tmp_path / "out", "--json")
    assert ended.code == 0, ended.err
    document = ended.document
    assert document["reference"] == 0
    assert len(document["points"]) == 4
    spent = [point["measures"]["voucher_cny"]["mean"] for point in document["points"]]
    assert spent[0] == spent[2] == 0
    assert 0 < spent[1] <= 1_000_000
    assert 0 < spent[3] <= 1_000_000
    assert (tmp_path / "out" / "report.html").stat().st_size > 10_000


def test_a_search_shows_its_frontier(tmp_path: Path) -> None:
    text = f"scenario: scenario.yaml\nreference: {{{RATE}: 0}}\nbootstrap: {{resamples: 0}}\nsearch:\n"
    text += f"  goal: net_additional_gpu_hours\n  evaluations: 4\n  over: {{{RATE}: {{low: 0.1, high: 0.9}}}}\n"
    ended = dujiang("study", write_study(tmp_path, text), "--out", tmp_path / "out", "--workers", "1")
    assert ended.code == 0, ended.err
    assert "voucher share 0 %" in ended.out


@pytest.mark.parametrize(
    "text", ["vray: 1\n", "vary: {coupling: [x]}\n", "seeds: 0\n", "search: 3\n", "scenario: 3\n", "\x00", "a: &b 1\n"]
)
def test_problems_of_a_study_are_listed(tmp_path: Path, text: str) -> None:
    path = write_study(tmp_path / "files", "scenario: scenario.yaml\n" + text)
    ended = dujiang("study", path, "--out", tmp_path / "out")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.strip().startswith("study.yaml:")
    assert "Traceback" not in ended.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", [["--workers", "0"], ["--engine", "spark"], ["--workers", "x"]])
def test_absurd_options_are_wrong_usage(tmp_path: Path, option: list[str]) -> None:
    ended = dujiang("study", write_study(tmp_path / "files"), "--out", tmp_path / "out", *option)
    assert (ended.code, ended.out) == (2, "")
    assert not (tmp_path / "out").exists()


def test_a_folder_of_somebody_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("mine")
    ended = dujiang("study", write_study(tmp_path / "files", STUDY), "--out", tmp_path / "out", "--json")
    assert (ended.code, ended.document["problems"][0]["code"]) == (1, "not-a-study")
    assert files_of(tmp_path / "out") == {"thesis.tex": b"mine"}
