"""`dujiang compare`: runs side by side."""

import json
from pathlib import Path

import pytest

from books import dujiang
from lab_scenarios import SCENARIO, write_scenario


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Without a voucher, with one, and with other jobs."""
    folder, found = tmp_path_factory.mktemp("runs"), []
    for name, old, new in (("none", "rate: 0.5", "rate: 0"), ("half", "", ""), ("other", "seed: 1", "seed: 2")):
        text = SCENARIO.replace(old, new).replace("en: small", f"en: {name}") if old else SCENARIO
        ended = dujiang("sim", write_scenario(folder / f"{name}-files", text), "--out", folder / name)
        assert ended.code == 0, ended.err
        found.append(folder / name)
    return found


def test_effects_are_against_the_first_where_the_jobs_are_the_same(runs: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    ended = dujiang("compare", *runs, "--out", out, "--json")
    assert ended.code == 0, ended.err
    none, half, other = ended.document["runs"]
    assert none["effects"] is None
    gained = half["gpu_hours_served"] - none["gpu_hours_served"]
    assert half["effects"]["net_additional_gpu_hours"] == pytest.approx(gained, abs=0.02)
    assert half["effects"]["supported_gpu_hours"] > 0
    assert other["effects"] is None
    assert out.read_text(encoding="utf-8").lower().startswith("<!doctype html>")
    first = out.read_bytes()
    said = dujiang("compare", *runs, "--out", out)  # a page is replaced
    assert said.code == 0
    assert "use of the accelerators" in said.out
    assert out.read_bytes() == first


def test_one_run_is_no_comparison(runs: list[Path], tmp_path: Path) -> None:
    for arguments in ([], runs[:1]):
        ended = dujiang("compare", *arguments, "--out", tmp_path / "page.html")
        assert (ended.code, ended.out) == (2, "")


def test_folders_that_hold_no_run_are_all_named(runs: list[Path], tmp_path: Path) -> None:
    for name, text in (("text", "hello"), ("other", '{"format": "dujiang.clear/1"}'), ("list", "[1]")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "summary.json").write_text(text)
    ended = dujiang(
        *("compare", runs[0], tmp_path / "text", tmp_path / "other", tmp_path / "list", tmp_path / "nowhere"),
        *("--out", tmp_path / "page.html", "--json"),
    )
    assert ended.code == 1
    files = {problem["file"]: problem["code"] for problem in ended.document["problems"]}
    assert files == {
        "text/summary.json": "not-a-result",
        "other/summary.json": "not-a-result",
        "list/summary.json": "not-a-result",
        "nowhere/summary.json": "unreadable",
    }
    assert not (tmp_path / "page.html").exists()


def test_tables_that_are_gone_are_a_problem(runs: list[Path], tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "summary.json").write_bytes((runs[1] / "summary.json").read_bytes())
    ended = dujiang("compare", runs[0], tmp_path / "bare", "--out", tmp_path / "page.html", "--json")
    assert [(p["file"], p["code"]) for p in ended.document["problems"]] == [("bare/jobs.parquet", "unreadable")]


@pytest.mark.parametrize("content", [b"my thesis", b"\xff\xfe"])
def test_what_is_no_page_is_not_replaced(runs: list[Path], tmp_path: Path, content: bytes) -> None:
    (tmp_path / "page.html").write_bytes(content)
    ended = dujiang("compare", *runs[:2], "--out", tmp_path / "page.html", "--json")
    assert (ended.code, ended.document["problems"][0]["code"]) == (1, "not-a-page")
    assert (tmp_path / "page.html").read_bytes() == content
    ended = dujiang("compare", *runs[:2], "--out", tmp_path, "--json")
    assert (ended.code, ended.document["problems"][0]["found"]) == (1, "a folder")
    assert json.loads((runs[0] / "summary.json").read_bytes())["format"] == "dujiang.sim/1"
