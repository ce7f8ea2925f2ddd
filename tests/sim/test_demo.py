"""The demonstration: both clearings and the run hold, it can be repeated, and it removes nothing but itself."""

import json
import multiprocessing
from fractions import Fraction
from pathlib import Path

import pytest

from dujiang.core.errors import InputError, OperationError
from dujiang.exchange.run import alone
from dujiang.sim.demo import run_demo
from dujiang.verify import verify

FAST = Fraction(168 * 3600, 2)
"""The week in two seconds."""


def demo(out: Path, orders: int = 120, seed: int = 1) -> tuple[dict, list]:
    """Run a small demonstration; return its summary and what was told."""
    told = []
    summary = run_demo(out, orders=orders, seed=seed, tell=lambda *what: told.append(what), speedup=FAST)
    return summary, told


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "deep/er/demo"
    return out, *demo(out)


def test_it_leaves_the_book_both_rounds_and_a_report(shown) -> None:
    out, summary, told = shown
    assert {path.name for path in out.iterdir() if not path.name.startswith(".")} == {
        *("book", "isolated", "coupled", "summary.json", "report.html")
    }
    assert json.loads((out / "summary.json").read_bytes()) == summary
    assert (out / "report.html").read_bytes() == (out / "coupled/report.html").read_bytes()
    phases = ["prices", "placement", "improvement"]
    assert list(dict.fromkeys((label.en, phase) for label, phase, _, _ in told)) == [
        *(("isolated", phase) for phase in phases),
        *(("coupled", phase) for phase in [*phases, "dispatch"]),
    ]


def test_both_clearings_and_the_run_hold(shown) -> None:
    out, summary, _ = shown
    for result in ("isolated", "coupled"):
        assert verify(out / "book", out / result).findings == []
    assert verify(out / "book", out / "coupled").checks["ledger"] > 500
    assert summary["coupling"] == "full"
    assert summary["isolated"]["coupling"] == "isolated"
    assert summary["orders"] == summary["isolated"]["orders"] == 120
    assert summary["run"]["outcomes"] == {"ended": summary["awards"]}
    assert summary["run"]["posted_gross_cny"] == pytest.approx(summary["turnover_cny"], abs=0.005 * summary["awards"])


def test_the_market_that_is_one_serves_no_less(shown) -> None:
    _, summary, _ = shown
    assert summary["welfare_ucny"] > summary["isolated"]["welfare_ucny"]


def test_again_it_takes_the_place_of_the_earlier_one_also_of_half_of_one(tmp_path) -> None:
    out = tmp_path / "demo"
    first, _ = demo(out, orders=8)
    (out / "coupled/jobs/marker").write_text("of the first")
    # Stopped half way, it has no summary yet, and a draft may lie about.
    for name in ("summary.json", "report.html"):
        (out / name).unlink()
    (out / ".isolated.abc.draft").mkdir()
    second, _ = demo(out, orders=8)
    assert not (out / "coupled/jobs/marker").exists()
    assert not (out / ".isolated.abc.draft").exists()
    for summary in (first, second):
        for part in (summary, summary["isolated"]):
            del part["seconds"]
    assert first == second


@pytest.mark.parametrize(
    "there",
    [
        {"thesis.txt": "years of work"},
        {"summary.json": '{"of": "another program"}'},
        {"book/book.yaml": "start: 2025"},
        {"summary.json": "{}", "report.html": "", "book/notes.md": "", "thesis.txt": ""},
    ],
    ids=str,
)
def test_a_folder_of_somebody_else_is_left_alone(tmp_path, there) -> None:
    for name, text in there.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError) as refused:
        demo(tmp_path)
    assert [p.code for p in refused.value.problems] == ["not-a-demo"]
    found = {p.relative_to(tmp_path).as_posix(): p.read_text() for p in tmp_path.rglob("*") if p.is_file()}
    assert found == there


def test_a_file_in_the_way_is_named(tmp_path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError) as refused:
        demo(tmp_path / "file")
    assert refused.value.problems[0].found == "a file"
    assert (tmp_path / "file").read_text() == "mine"


def test_sizes_out_of_range_touch_nothing(shown) -> None:
    out, _, _ = shown
    before = (out / "summary.json").read_bytes()
    with pytest.raises(InputError):
        demo(out, orders=0)
    assert (out / "summary.json").read_bytes() == before


def _hold(out: Path, ready: object, done: object) -> None:
    with alone(out):
        ready.set()
        done.wait(30)


def test_two_at_once_in_one_folder_are_refused(tmp_path) -> None:
    spawn = multiprocessing.get_context("spawn")
    ready, done = spawn.Event(), spawn.Event()
    other = spawn.Process(target=_hold, args=(tmp_path / "demo", ready, done))
    other.start()
    try:
        assert ready.wait(30)
        with pytest.raises(OperationError, match="another run is working"):
            demo(tmp_path / "demo", orders=8)
    finally:
        done.set()
        other.join(30)
    assert other.exitcode == 0
