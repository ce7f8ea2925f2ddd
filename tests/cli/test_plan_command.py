"""`dujiang plan` from files: the answer in both languages, its files, and every mistake at once."""

import json
from pathlib import Path
from shutil import copytree

import pytest

from books import dujiang, write_tiny
from dujiang.exchange.clearing import clear_to
from dujiang.market.engine import Effort
from dujiang.market.outcome import Coupling

EXAMPLE = Path(__file__).parents[2] / "examples/plan/request.yaml"
"""Of the demonstration's regions."""
BAD = """\
workload: {parameters: 7.5, gpu_hours: -1, utilisation: 3, peak_tflops: {x: 0}}
gpus: 0
deadline_hours: 99
colour: red
purchase: {actual_cny: 5, via_platform: [1], purpose: training}
needs:
  people: {count: 3}
  compute: {cny: 3}
  data: [1]
  inference: {tokens: 5}
  other: {cny: [3, 2]}
funding:
  start: 2025-13
  months: 0
  costs: {}
  case: best
"""


@pytest.fixture(scope="module")
def cleared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("cleared")
    clear_to(write_tiny(place / "book"), place / "out", Coupling.FULL, Effort())
    return place


@pytest.fixture
def place(cleared: Path, tmp_path: Path) -> Path:
    copytree(cleared, tmp_path, dirs_exist_ok=True)
    (tmp_path / "firm.yaml").write_text("enterprise_id: e1\ncity: 北京\n", encoding="utf-8")
    text = EXAMPLE.read_text(encoding="utf-8")
    assert "origin_region: gba" in text
    (tmp_path / "request.yaml").write_text(text.replace("origin_region: gba", "origin_region: 北京"), encoding="utf-8")
    return tmp_path


def options(place: Path) -> tuple[str | Path, ...]:
    programmes = place / "book/programmes"
    return (
        "--book",
        place / "book",
        "--prices",
        place / "out",
        "--firm",
        place / "firm.yaml",
        "--programmes",
        programmes,
    )


def test_the_example_is_answered_written_and_re_checked(place: Path) -> None:
    ended = dujiang("plan", place / "request.yaml", *options(place), "--json", "--out", place / "answer")
    assert (ended.code, ended.err) == (0, "")
    assert json.loads((place / "answer/request.json").read_text(encoding="utf-8")) == ended.document
    assert (ended.document["request_id"], ended.document["funding"]["feasible"]) == ("fine-tuning", True)
    assert {row["origin"] for row in ended.document["lines"]} == {"quote", "clause", "formula"}
    assert all(row["source"] and row["source_zh"] for row in ended.document["lines"])
    assert "<html" in (place / "answer/plan.html").read_text(encoding="utf-8")
    verified = dujiang("verify", "--plan", place / "answer/plan.json", "--json")
    assert (verified.code, verified.document["ok"]) == (0, True)
    again = dujiang("plan", place / "request.yaml", *options(place), "--json")
    assert again.out == ended.out


@pytest.mark.parametrize(
    "lang, words",
    [
        ("en", ("formula: 6 x 7e+09 parameters", "half (summary; a test)", "nothing is reserved", "bank-loan.rate")),
        ("zh", ("公式: 6 × 7e+09 参数", "half（概述；a test）", "不构成预留", "以下为假设")),
    ],
)
def test_people_read_each_figure_with_its_origin(place: Path, lang: str, words: tuple[str, ...]) -> None:
    ended = dujiang("--lang", lang, "plan", place / "request.yaml", *options(place))
    assert (ended.code, ended.err) == (0, "")
    for word in words:
        assert word in ended.out


def test_every_mistake_of_every_file_is_said_at_once(place: Path) -> None:
    (place / "bad.yaml").write_text(BAD, encoding="utf-8")
    (place / "firm.yaml").unlink()
    ended = dujiang("plan", place / "bad.yaml", *options(place), "--json")
    assert ended.code == 1
    found = {(p["file"], p["row"], p["field"]) for p in ended.document["problems"]}
    places = {
        *((1, f"workload{part}") for part in ("", ".gpu_hours", ".parameters", ".peak_tflops.x", ".utilisation")),
        *(
            (2, "gpus"),
            (4, "colour"),
            (5, "purchase.actual_cny"),
            (5, "purchase.purpose"),
            (5, "purchase.via_platform"),
        ),
        *((7, "needs.people"), (8, "needs.compute"), (9, "needs.data"), (10, "needs.inference")),
        *((10, "needs.inference.parameters"), (11, "needs.other.cny"), (12, "funding.own_cash_cny")),
        *((13, "funding.start"), (14, "funding.months"), (15, "funding.costs"), (16, "funding.case")),
    }
    assert found == {("bad.yaml", *place) for place in places} | {("firm.yaml", None, None)}


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", [("bad-type", None, None)]),
        ("- 1\n", [("bad-type", 1, None)]),
        ("gpus: [\n", [("bad-yaml", 2, None)]),
        ("workload: {gpu_hours: 30}\ngpus: 8\n", [("missing-field", None, "deadline")]),
        ("workload: {gpu_hours: 30}\ngpus: 8\ndeadline: 5\ndeadline_hours: 5\n", [("missing-field", 3, "deadline")]),
        ("workload: {gpu_hours: 30}\ngpus: 8\ndeadline_hours: 0\n", [("bad-number", 3, "deadline_hours")]),
        (
            "workload: {gpu_hours: 30}\ngpus: 8\ndeadline_hours: 3\nrelease: 24\n",
            [("out-of-range", 4, "release")],
        ),
        ("workload: {gpu_hours: 1e400}\ngpus: 8\ndeadline: 5\n", [("bad-range", 1, "workload.gpu_hours")]),
        ("workload: {tokens: 5}\ngpus: 8\ndeadline: 5\n", [("bad-workload", 1, "workload")]),
        ("workload: {gpu_hours: [1, 2, 3, 4]}\ngpus: 8\ndeadline: 5\n", [("bad-range", 1, "workload.gpu_hours")]),
        ("workload: {gpu_hours: 3}\ngpus: 8\ndeadline: 5\ndata_gb: 3\n", [("missing-origin", 4, "data_gb")]),
    ],
)
def test_a_mistake_has_its_line(place: Path, text: str, expected: list[tuple[str, int | None, str | None]]) -> None:
    (place / "bad.yaml").write_text(text, encoding="utf-8")
    ended = dujiang("plan", place / "bad.yaml", *options(place), "--json")
    assert ended.code == 1
    assert [(p["code"], p["row"], p["field"]) for p in ended.document["problems"]] == expected


def test_what_has_no_price_is_not_funded_and_says_so(place: Path) -> None:
    text = "workload: {gpu_hours: [9, 90000]}\ngpus: 8\ndeadline: 24\n"
    funding = "funding: {start: 2025-11, months: 2, own_cash_cny: 5, instruments: [support], case: high}\n"
    (place / "big.yaml").write_text(text + funding, encoding="utf-8")
    assert "funding (high): not planned" in dujiang("plan", place / "big.yaml", *options(place)).out
    (place / "big.yaml").write_text(text, encoding="utf-8")
    assert "not planned" not in dujiang("plan", place / "big.yaml", *options(place)).out


def test_wrong_usage_and_lost_files_are_said_so(place: Path) -> None:
    assert dujiang("plan", EXAMPLE).code == 2
    ended = dujiang("plan", place / "no.yaml", *options(place))
    assert (ended.code, ended.err.split(":")[0]) == (1, "no.yaml")
