"""From a book folder to a result folder: nothing is written for a bad book or over somebody's files."""

import json
from pathlib import Path

import pytest

from books import TINY, edit, write_tiny
from dujiang.core.errors import InputError
from dujiang.core.money import MICRO
from dujiang.exchange.clearing import clear_round, clear_to, domestic_accelerators, open_round
from dujiang.market.engine import Effort
from dujiang.market.outcome import Coupling
from dujiang.store.results import TABLES, book_digest, read_outcome
from dujiang.verify.verification import verify

QUICK = Effort(passes=60, moves=200, ruin=8)


@pytest.fixture
def book(tmp_path: Path) -> Path:
    return write_tiny(tmp_path / "book")


def test_a_cleared_folder_holds_all_files_and_passes_verification(book: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    summary = clear_to(book, out, Coupling.FULL, QUICK)
    names = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    tables = {f"{name}.parquet" for name in TABLES}
    programmes = {"programmes/sz-training-voucher.yaml", "programmes/test-voucher.yaml"}
    assert names == tables | programmes | {"facts.json", "summary.json", "report.html"}
    own = (out / "programmes" / "test-voucher.yaml").read_bytes()
    assert own == (book / "programmes" / "test-voucher.yaml").read_bytes()
    stored = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert stored == {**json.loads(json.dumps(summary)), "book_sha256": book_digest(book)}
    assert read_outcome(out).awards.height == summary["awards"] > 0
    verdict = verify(book, out)
    assert verdict.clean, [finding.say() for finding in verdict.findings]


def test_a_result_is_replaced_by_the_next(book: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    clear_to(book, out, Coupling.FULL, QUICK)
    summary = clear_to(book, out, Coupling.ISOLATED, QUICK)
    assert (
        json.loads((out / "summary.json").read_text(encoding="utf-8"))["coupling"] == summary["coupling"] == "isolated"
    )
    assert verify(book, out).clean


def test_every_problem_of_book_and_programmes_is_told_together_and_nothing_is_written(
    book: Path, tmp_path: Path
) -> None:
    edit(book, "orders.csv", "o1,e1,8,3.5", "o1,e9,8,3.5")
    edit(book, "programmes/test-voucher.yaml", "share: 0.5", "share: 1.5")
    edit(book, "book.yaml", "sz-training-voucher", "no-such-voucher")
    with pytest.raises(InputError) as refused:
        clear_to(book, tmp_path / "out", Coupling.FULL, QUICK)
    files = {problem.file for problem in refused.value.problems}
    assert {"orders.csv", "programmes/test-voucher.yaml"} <= files
    assert not (tmp_path / "out").exists()


def test_a_folder_with_other_files_is_left_alone(book: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError) as refused:
        clear_to(book, out, Coupling.FULL, QUICK)
    assert [problem.code for problem in refused.value.problems] == ["not-a-result"]
    assert [path.name for path in out.iterdir()] == ["thesis.txt"]


def test_a_round_takes_the_programmes_of_the_book_and_the_budget_that_it_sets(book: Path) -> None:
    round_ = open_round(book)
    assert round_.terms.programme_ids == ("sz-training-voucher", "test-voucher")
    assert int(round_.terms.budget_left_ucny[0]) == 1000 * MICRO
    assert round_.programme_files["test-voucher"] == TINY["programmes/test-voucher.yaml"].encode()
    # of the cap of 100 yuan e1 has used 20.5 this year
    caps = zip(round_.terms.cap_programme, round_.terms.cap_enterprise, round_.terms.cap_left_ucny, strict=True)
    assert {enterprise: int(left) for k, enterprise, left in caps if k == 1} == {"e1": 79_500_000}


def test_domestic_accelerators_are_those_of_the_catalogue() -> None:
    known = domestic_accelerators()
    assert known["a100-80-sxm"] is False
    assert any(known.values())


def test_progress_is_told_by_phase(book: Path) -> None:
    told: list[tuple[str, float, float | None]] = []
    outcome, files = clear_round(open_round(book), Coupling.FULL, QUICK, lambda *step: told.append(step))
    assert list(dict.fromkeys(phase for phase, _, _ in told))[:2] == ["prices", "placement"]
    assert all(0.0 <= share <= 1.0 for _, share, _ in told)
    assert json.loads(files["summary.json"])["orders"] == 3
    assert next(iter(outcome.summary["seconds"])) == "arrays"
