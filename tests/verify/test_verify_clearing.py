"""What the clearing hands out keeps every rule of the second implementation, under both couplings."""

from fractions import Fraction
from pathlib import Path

import handmade_round as handmade
import pytest

from dujiang.exchange.clearing import clear_round, open_round
from dujiang.exchange.run import RunOptions, run_round
from dujiang.market.engine import Effort
from dujiang.market.outcome import Coupling
from dujiang.verify import verify


@pytest.mark.parametrize("coupling", list(Coupling))
@pytest.mark.parametrize(
    "objective",
    ["", "objective: {small_firm_cny_per_gpu_hour: 3, small_firm_employees_max: 900}\n"],
    ids=["plain", "small firms"],
)
def test_a_cleared_round_is_verified(tmp_path: Path, coupling: Coupling, objective: str) -> None:
    book = handmade.write_book(tmp_path / "book")
    (book / "book.yaml").write_text(handmade.BOOK["book.yaml"] + objective, encoding="utf-8")
    _, files = clear_round(open_round(book), coupling, Effort())
    for name, content in files.items():
        path = tmp_path / "result" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    verdict = verify(book, tmp_path / "result")
    assert [finding.say() for finding in verdict.findings] == []
    assert verdict.checks["once"] == 9


def test_a_settled_round_is_verified(tmp_path: Path) -> None:
    book, out = handmade.write_book(tmp_path / "book"), tmp_path / "result"
    run_round(book, out, RunOptions(speedup=Fraction(3600 * 40)))
    verdict = verify(book, out)
    assert [finding.say() for finding in verdict.findings] == []
    assert verdict.checks["ledger"] > 50
    assert verdict.checks["usage"] > 20
