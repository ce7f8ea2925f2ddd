"""`project.yaml`: what is read, and every mistake with its line, all at once."""

from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dujiang.core.marked import read_yaml
from dujiang.core.money import MICRO
from dujiang.core.problem import ProblemList
from dujiang.finance.instrument import Kind, Repayment
from dujiang.finance.product import TERMS
from dujiang.finance.project import DISCOUNT_PPM, DebtAtEnd
from dujiang.store.read_project import INSTRUMENT, ProjectFile, parse_project, read_project

GOOD = """\
id: bench
name: {en: A bench, zh: 测试}
start: 2026-11
months: 4
own_cash_cny: "1000.50"
reserve_cny: 100
discount: 0.05
step_cny: 1000
debt_at_end: allowed
pre_money_cny: 5e6
costs:
  compute: [100, 200.25, 0, 0]
  people: {2026-12: 50, 2027-02: "70"}
  data: 10
income: {2027-01: 5}
assets: {patents: 3000}
milestones:
  - {id: ready, month: 2027-01, what: tests pass}
  - {month: 2027-02}
spending:
  compute: {purpose: training, price_cny: 12}
instruments:
  - some-product
  - id: loan
    kind: loan
    uses: [compute]
    least_cny: 10
    most_cny: 1000
    first_month: 2026-12
    last_month: 2027-01
    term_months: 3
    grace_months: 1
    repayment: equal
    rate: 0.045
    fee: "0.01"
    fixed_fee_cny: 5
    collateral: patents
    ltv: 0.5
    needs: [some-product]
    lead_months: 1
    assumed: [rate]
  - {id: more, kind: loan, multiple_of: loan, multiple: 2.5}
  - {id: stake, kind: equity, required_return: 0.2, once: true}
"""


def read(text: str) -> tuple[ProjectFile | None, ProblemList]:
    problems = ProblemList()
    doc, found = read_yaml("project.yaml", text)
    problems.extend(found)
    return (None if doc is None else parse_project(doc, problems)), problems


def test_every_field_is_read_in_exact_units() -> None:
    found, problems = read(GOOD)
    assert not problems
    assert found is not None
    p = found.project
    assert (p.month_text(0), p.months, p.own_cash_ucny, p.reserve_ucny) == ("2026-11", 4, 1_000_500_000, 100 * MICRO)
    assert p.costs == {
        "compute": (100 * MICRO, 200_250_000, 0, 0),
        "people": (0, 50 * MICRO, 0, 70 * MICRO),
        "data": (10 * MICRO,) * 4,
    }
    assert p.income == (0, 0, 5 * MICRO, 0)
    assert (p.discount_ppm, p.step_ucny, p.debt_at_end) == (50_000, 1000 * MICRO, DebtAtEnd.ALLOWED)
    assert [(m.id, m.month, m.what.en) for m in p.milestones] == [
        ("ready", 2, "tests pass"),
        ("milestone-2", 3, "milestone-2"),
    ]
    loan, more, stake = p.instruments
    assert (loan.kind, loan.repayment, loan.rate_ppm, loan.fee_ppm) == (Kind.LOAN, Repayment.EQUAL, 45_000, 10_000)
    assert (loan.first_month, loan.last_month, loan.term_months, loan.grace_months, loan.lead_months) == (1, 2, 3, 1, 1)
    assert (loan.least_ucny, loan.most_ucny, loan.fixed_fee_ucny) == (10 * MICRO, 1000 * MICRO, 5 * MICRO)
    assert (loan.collateral, loan.ltv_ppm, loan.needs, loan.assumed) == (
        "patents",
        500_000,
        ("some-product",),
        ("rate",),
    )
    assert (more.multiple_of, more.multiple_ppm) == ("loan", 2_500_000)
    assert (stake.required_return_ppm, stake.once) == (200_000, True)
    assert found.wanted == ("some-product",)
    assert found.spending == {"compute": {"purpose": "training", "price_ucny": 12 * MICRO}}
    assert p.assumed == ()


def test_what_is_left_out_has_its_default_and_a_default_that_matters_is_an_assumption() -> None:
    found, problems = read("start: 2026-03-01\nmonths: 1\nown_cash_cny: 0\ncosts: {people: 5}\n")
    assert not problems
    assert found is not None
    assert found.wanted == ("products", "support")
    assert (found.project.discount_ppm, found.project.assumed) == (DISCOUNT_PPM, ("discount",))
    assert (found.project.id, found.project.income, found.project.step_ucny) == ("project", (0,), MICRO)


MISTAKES = (
    ("start: 2026-11", "start: 2026-13", "bad-month", 3, "start"),
    ("start: 2026-11", "start: 2026-11-02", "bad-month", 3, "start"),
    ("months: 4", "months: 61", "bad-number", 4, "months"),
    ("months: 4", "months: yes", "bad-number", 4, "months"),
    ("months: 4\n", "", "missing-field", None, "months"),
    ('"1000.50"', '"1000.505"', "bad-amount", 5, "own_cash_cny"),
    ('"1000.50"', "-1", "bad-amount", 5, "own_cash_cny"),
    ('"1000.50"', ".nan", "bad-amount", 5, "own_cash_cny"),
    ("discount: 0.05", "discount: 5", "bad-share", 7, "discount"),
    ("step_cny: 1000", "step_cny: 0", "bad-amount", 8, "step_cny"),
    ("allowed", "alowed", "unknown-word", 9, "debt_at_end"),
    ("[100, 200.25, 0, 0]", "[100, 200.25, 0]", "bad-length", 12, "costs.compute"),
    ("[100, 200.25, 0, 0]", "[100, x, 0, 0]", "bad-amount", 12, "costs.compute.1"),
    ("2027-02: \"70\"", "2027-03: \"70\"", "bad-month", 13, "costs.people.2027-03"),
    ("2027-01: 5}", "2027: 5}", "bad-month", 15, "income.2027"),
    ("patents: 3000", "patents: lots", "bad-amount", 16, "assets.patents"),
    ("month: 2027-02}", "month: 2028-02}", "bad-month", 19, "milestones.1.month"),
    ("month: 2027-02}", "mont: 2027-02}", "unknown-field", 19, "milestones.1.mont"),
    ("  compute: {purpose", "  computers: {purpose", "unknown-word", 21, "spending.computers"),
    ("- some-product", "- loan", "duplicate-id", 24, "instruments.1"),
    ("- some-product", "- 7", "bad-type", 23, "instruments.0"),
    ("kind: loan\n    uses", "kind: lend\n    uses", "unknown-word", 25, "instruments.1.kind"),
    ("uses: [compute]", "uses: [compte]", "unknown-word", 26, "instruments.1.uses.0"),
    ("least_cny: 10", "least_cny: 1001", "bad-amount", 27, "instruments.1.least_cny"),
    ("last_month: 2027-01", "last_month: 2026-11", "bad-month", 30, "instruments.1.last_month"),
    ("grace_months: 1", "grace_months: 3", "bad-number", 32, "instruments.1.grace_months"),
    ("    term_months: 3\n", "", "missing-field", 24, "instruments.1.term_months"),
    ("rate: 0.045", "rate: 4.5", "bad-share", 34, "instruments.1.rate"),
    ("collateral: patents", "collateral: patent", "no-such-asset", 37, "instruments.1.collateral"),
    ("    ltv: 0.5\n", "", "missing-field", 24, "instruments.1.ltv"),
    ("needs: [some-product]", "needs: [other]", "no-such-instrument", 39, "instruments.1.needs"),
    ("needs: [some-product]", "needs: [loan]", "names-itself", 39, "instruments.1.needs"),
    ("multiple_of: loan, multiple: 2.5", "multiple_of: loan", "missing-field", 42, "instruments.2.multiple"),
    ("required_return: 0.2, ", "", "missing-field", 43, "instruments.3.required_return"),
    ("kind: equity, required_return: 0.2", "kind: subsidy, rate_of_cost: 0, fee: 0.1", "not-for-kind", 43,
     "instruments.3.fee"),
    ("lead_months: 1", "multiple_of: more\n    multiple: 1", "circle", 40, "instruments.1.multiple_of"),
)  # fmt: skip


@pytest.mark.parametrize(("old", "new", "code", "line", "field"), MISTAKES)
def test_a_mistake_is_said_with_its_line_and_field(old: str, new: str, code: str, line: int, field: str) -> None:
    assert old in GOOD
    found, problems = read(GOOD.replace(old, new, 1))
    assert found is None
    assert (code, line, field) in {(p.code, p.row, p.field) for p in problems}, [p.say() for p in problems]
    assert all(p.say("zh") for p in problems)


def test_all_mistakes_are_said_at_once() -> None:
    text = GOOD.replace("months: 4", "months: 4.5").replace("rate: 0.045", "rate: 45").replace("ltv: 0.5", "lvt: 0.5")
    _, problems = read(text)
    assert len(problems) == 3  # what contradicts itself is said once the terms can be read
    assert {"bad-number", "bad-share", "unknown-field"} <= {p.code for p in problems}


def test_terms_have_the_names_that_they_have_in_product_files() -> None:
    same = {name for name in TERMS if name not in ("not_for", "within_months", "tied_to")}
    assert same <= set(INSTRUMENT.required + INSTRUMENT.optional)


def test_a_file_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    problems = ProblemList()
    assert read_project(tmp_path / "none.yaml", problems) is None
    assert [p.code for p in problems] == ["unreadable"]


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_no_value_makes_the_reader_stumble(data: st.DataObject) -> None:
    lines = GOOD.splitlines()
    at = data.draw(st.integers(0, len(lines) - 1))
    head = lines[at].split(":")[0]
    junk = [
        "null",
        "[]",
        "{}",
        "-1",
        "1e400",
        "9" * 5000,
        "true",
        "[[1]]",
        "{a: {b: c}}",
        "2026-01-01T00:00:00Z",
        "'\\t'",
    ]
    lines[at] = f"{head}: {data.draw(st.sampled_from(junk))}"
    found, problems = read("\n".join(lines))
    assert (found is None) == bool(problems)
    assert all(p.say("en") and p.say("zh") for p in problems)


def test_every_field_of_an_instrument_can_be_written() -> None:
    from dujiang.finance.instrument import Instrument

    written = {name.removesuffix("_cny") for name in INSTRUMENT.required + INSTRUMENT.optional}
    stored = {f.name.removesuffix("_ucny").removesuffix("_ppm") for f in fields(Instrument)}
    assert written == stored
