"""`dujiang fund` from files: the plan, the lack of one, and mistakes."""

import json
from pathlib import Path

import pytest

from books import dujiang

PROJECT = """\
start: 2026-03
months: 6
own_cash_cny: 200000
costs: {compute: 60000, people: 40000}
income: [0, 0, 0, 200000, 200000, 200000]
milestones: [{id: live, month: 2026-05, what: {en: live, zh: 上线}}]
instruments:
  - {id: loan, kind: loan, most_cny: 250000, rate: 0.06, assumed: [rate]}
  - {id: voucher, kind: subsidy, uses: [compute], rate_of_cost: 0.2, delay_months: 2}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    path = tmp_path / "project.yaml"
    path.write_text(PROJECT, encoding="utf-8")
    return path


def test_a_plan_is_written_and_verified_by_the_second_implementation(project: Path, tmp_path: Path) -> None:
    ended = dujiang("fund", project, "--json", "--out", tmp_path / "out")
    assert ended.code == 0, ended
    document = ended.document
    assert json.loads((tmp_path / "out/plan.json").read_text(encoding="utf-8")) == document
    assert "<html" in (tmp_path / "out/plan.html").read_text(encoding="utf-8")
    assert document["feasible"]
    assert document["used"] == ["loan", "voucher"]
    assert document["gap"] < 1e-3
    assert [row["month"] for row in document["cash"]] == [f"2026-{m:02d}" for m in range(3, 9)]
    assert {row["without"] for row in document["alternatives"]} == {"loan", "voucher"}
    assert [(s["kind"], s["months"]) for s in document["shocks"]] == [("slip", 3), ("slip", 6), ("dry", 0)]
    assert {"subject": "loan", "term": "rate", "value": 0.06, "says": None, "says_zh": None} in document["assumptions"]
    verified = dujiang("verify", "--plan", tmp_path / "out/plan.json", "--json")
    assert (verified.code, verified.document["ok"]) == (0, True)
    document["schedule"][0]["draw_cny"] += 1
    (tmp_path / "false.json").write_text(json.dumps(document), encoding="utf-8")
    assert dujiang("verify", "--plan", tmp_path / "false.json").code == 1


def test_the_cash_of_the_document_adds_up_for_whoever_reads_it(project: Path) -> None:
    document = dujiang("fund", project, "--json", "--plan-only").document
    money = 200_000
    for cash in document["cash"]:
        rows = [row for row in document["schedule"] if row["month"] == cash["month"]]
        assert cash["opening_cny"] == pytest.approx(money, abs=1e-6)
        money += cash["income_cny"] - cash["costs_cny"]
        money += sum(row["draw_cny"] + row["subsidy_cny"] for row in rows)
        money -= sum(row["repay_cny"] + row["interest_cny"] + row["fee_cny"] for row in rows)
        assert cash["closing_cny"] == pytest.approx(money, abs=1e-6)
        assert money >= -1e-6


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_people_read_the_plan_and_what_it_assumes(project: Path, lang: str) -> None:
    ended = dujiang("--lang", lang, "fund", project)
    assert ended.code == 0, ended
    assert "loan.rate" in ended.out
    assert ("assumptions" if lang == "en" else "假设") in ended.out
    assert ("slips 3 months" if lang == "en" else "推迟 3 个月") in ended.out


def test_what_cannot_be_funded_says_which_month_fails_and_by_how_much(project: Path) -> None:
    ended = dujiang("fund", project, "--json", "--without", "loan", "--without", "voucher")
    assert ended.code == 0, ended
    lack = ended.document["shortfall"]
    assert (ended.document["feasible"], ended.document["gap"]) == (False, None)
    assert (lack["month"], lack["missing_cny"], lack["missing_in_month_cny"]) == ("2026-05", 100_000, 100_000)
    said = dujiang("fund", project, "--without", "loan", "--without", "voucher")
    assert "2026-05" in said.out
    assert "100,000.00" in said.out


def test_a_plan_without_support_is_dearer(project: Path) -> None:
    text = PROJECT.replace("  - {id: voucher", "  - support\n  - {id: voucher")
    project.write_text(text, encoding="utf-8")
    with_support = dujiang("fund", project, "--json", "--plan-only").document["cost_of_capital"]
    without = dujiang("fund", project, "--json", "--plan-only", "--without", "voucher").document["cost_of_capital"]
    assert without["present_value_cny"] > with_support["present_value_cny"] + 30_000


def test_mistakes_of_all_files_are_listed_at_once(project: Path, tmp_path: Path) -> None:
    project.write_text(PROJECT.replace("months: 6", "months: 0"), encoding="utf-8")
    ended = dujiang("fund", project, "--firm", tmp_path / "none.yaml", "--json")
    assert ended.code == 1
    assert {(p["file"], p["code"]) for p in ended.document["problems"]} >= {
        ("project.yaml", "bad-number"),
        ("none.yaml", "unreadable"),
    }


def test_unknown_instruments_are_named_with_their_line(project: Path) -> None:
    project.write_text(PROJECT.replace("  - {id: voucher", "  - no-such-thing\n  - {id: voucher"), encoding="utf-8")
    ended = dujiang("fund", project, "--json")
    assert ended.code == 1
    assert [(p["code"], p["row"], p["field"]) for p in ended.document["problems"]] == [
        ("no-such-instrument", 9, "instruments.1")
    ]
    project.write_text(PROJECT, encoding="utf-8")
    ended = dujiang("fund", project, "--without", "nothing", "--json")
    assert (ended.code, ended.document["problems"][0]["found"]) == (1, "'nothing'")


def test_wrong_usage_is_said_so(project: Path, tmp_path: Path) -> None:
    assert dujiang("fund").code == 2
    assert dujiang("fund", project, "--objective", "best").code == 2
    assert dujiang("verify").code == 2
    assert dujiang("verify", project, tmp_path, "--plan", project).code == 2
