"""An agreement file: rules as data, entries that are refused at their line, and what the command says."""

from datetime import date
from pathlib import Path

import pytest

from books import dujiang
from dujiang.core.marked import Marked, read_yaml
from dujiang.finance.milestones import Ending
from dujiang.finance.parse_milestones import parse_milestones

EXAMPLE = Path(__file__).parents[2] / "examples/risk/milestones.yaml"
TEXT = EXAMPLE.read_text(encoding="utf-8")


def marked(text: str) -> Marked:
    doc, problems = read_yaml("agreement.yaml", text)
    assert doc is not None, problems
    return doc


def test_the_example_ends_without_fault() -> None:
    funding, problems = parse_milestones(marked(TEXT))
    assert not problems
    assert funding is not None
    assert (funding.ending, funding.has_fault) == (Ending.HONEST, False)
    assert (funding.paid_ucny, funding.returned_ucny) == (800_000 * 10**6, 2_700_000 * 10**6)
    assert funding.agreement.tranches[1].due == date(2026, 9, 30)
    assert funding.agreement.rules.claw_back_ppm == 10**6


@pytest.mark.parametrize(
    "old, new, code, field",
    [
        ("attempts: 2", "attempts: 0", "bad-number", "rules.attempts"),
        ("attempts: 2", "attempts: null", "bad-number", "rules.attempts"),
        ("attempts: 2", "attempts: 1", "illegal-step", "entries.5"),
        ("attempts: 2", "tries: 2", "unknown-field", "rules.tries"),
        ("grace_days: 30", "grace_days: 20", "illegal-step", "entries.5"),
        ("claw_back: 1", "claw_back: 1.5", "bad-share", "rules.claw_back"),
        ("[technical-dead-end, overtaken-by-others]", "[overtaken-by-others]", "illegal-step", "entries.7"),
        ("[technical-dead-end, overtaken-by-others]", "[]", "bad-value", "rules.honest_grounds"),
        ("[false-evidence, ", "[technical-dead-end, ", "bad-value", "rules.fault_grounds"),
        ("reviewer: 专家评审委员会", "reviewer: 某智能检测科技有限公司", "same-party", "reviewer"),
        ("due: 2026-04-30", "due: 2027-04-30", "bad-order", "milestones"),
        ("due: 2027-02-28", "due: 9999-12-31", "bad-date", "milestones.2.due"),
        ("due: 2027-02-28", "due: soon", "bad-date", "milestones.2.due"),
        ("id: line", "id: model", "duplicate-id", "milestones"),
        ("amount_cny: 800000", "amount_cny: 0", "bad-amount", "milestones.0.amount_cny"),
        ("amount_cny: 800000", "amount_cny: 1000000000", "bad-amount", "milestones"),
        ('"2026-04-21T10:00:00+08:00"', "2026-04-21T10:00:00+08:00", "bad-date", "entries.0.at"),
        ('"2026-04-21T10:00:00+08:00"', '"2026-04-21T10:00:00"', "bad-date", "entries.0.at"),
        ('"2026-04-21T10:00:00+08:00"', '"0001-01-01T00:00:00+08:00"', "bad-date", "entries.0.at"),
        ('"2026-05-06T15:00:00+08:00"', '"2026-04-20T15:00:00+08:00"', "illegal-step", "entries.1"),
        ("step: pay", "step: gift", "unknown-word", "entries.2.step"),
        ("key: e2", "key: e1", "illegal-step", "entries.1"),
    ],
)
def test_a_mistake_is_named_with_its_place(old: str, new: str, code: str, field: str) -> None:
    assert TEXT.count(old) == 1
    funding, problems = parse_milestones(marked(TEXT.replace(old, new)))
    assert funding is None
    assert (code, field) in {(p.code, p.field) for p in problems}, [p.say() for p in problems]
    assert all(p.row for p in problems)


@pytest.mark.parametrize("text", ["", "- 1", "milestones: 3", "milestones: []\nentries: [1, {}]", "rules: []"])
def test_any_document_is_answered_with_problems(text: str) -> None:
    assert parse_milestones(marked(text))[1]


@pytest.mark.parametrize("lang, words", [("en", "no fault is booked"), ("zh", "不计过错")])
def test_the_command_tells_the_story(lang: str, words: str) -> None:
    ended = dujiang("--lang", lang, "risk", "milestones", EXAMPLE, "--on", "2026-12-01")
    assert (ended.code, ended.err) == (0, "")
    assert words in ended.out


def test_overdue_is_said_and_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "agreement.yaml"
    path.write_text(TEXT.partition("entries:")[0], encoding="utf-8")
    early = dujiang("risk", "milestones", path, "--on", "2026-05-30", "--json").document
    late = dujiang("risk", "milestones", path, "--on", "2026-05-31", "--json").document
    assert (early["overdue"], late["overdue"], late["fault"], late["next"]) == (False, True, False, "dataset")
    assert "that alone is no fault" in dujiang("risk", "milestones", path, "--on", "2026-05-31").out
    assert dujiang("risk", "milestones", path, "--on", "May").code == 2
    assert dujiang("risk", "milestones", path).code == 0
