from copy import deepcopy
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_samples import MADE_UP, changed, programme
from ruamel.yaml import YAML

from dujiang.core.marked import Marked, read_yaml
from dujiang.core.text import Text
from dujiang.policy.parse import parse_programme
from dujiang.policy.programme import Basis, Op, Per, Period, Rounding

DOCUMENT = YAML(typ="safe", pure=True).load(MADE_UP)


def problems_of(text):
    marked, problems = read_yaml("p.yaml", text)
    assert marked is not None, problems
    parsed, problems = parse_programme(marked)
    assert (parsed is None) == bool(problems)
    return problems


def test_a_right_file_is_read_in_exact_units():
    p = programme()
    assert p.rate.share_ppm == 500_000
    assert [s.share_ppm for s in p.special_rates] == [600_000, 700_000]
    assert (p.cap.amount_ucny, p.cap.per, p.cap.period) == (10**9, Per.ENTERPRISE, Period.YEAR)
    assert (p.minimum.amount_ucny, p.budget.amount_ucny) == (10**7, 5 * 10**9)
    assert (p.valid.first, p.valid.last) == (date(2026, 1, 1), date(2026, 12, 31))
    assert p.name == Text("Sample voucher", "样例券")
    assert p.rounding is Rounding.FEN
    assert p.exclusion.items == ("storage",)
    assert p.stacking.basis == Basis(None, Text("assumed", "假设"))


def test_money_facts_move_to_micro_yuan():
    revenue = next(c for c in programme().conditions if c.id == "revenue")
    assert (revenue.fact, revenue.op, revenue.value) == ("revenue_ucny", Op.LESS_THAN, 2 * 10**12)


def test_special_rates_are_ordered_by_share():
    p = programme(changed(("share: 0.6", "share: 0.9")))
    assert [s.share_ppm for s in p.special_rates] == [700_000, 900_000]


def test_a_programme_may_last_one_day():
    assert programme(changed((VALID, VALID.replace("2026-12-31", "2026-01-01")))).valid.last == date(2026, 1, 1)


def test_a_day_in_quotes_is_a_day():
    assert programme(changed(("version: 2026-01-01", 'version: "2026-01-01"'))).version == date(2026, 1, 1)


NAME = "name: {zh: 样例券, en: Sample voucher}"
PLACE = "level: city, province: 某省, city: 某市"
MINIMUM = "minimum_cny: {amount_cny: 10, clause: terms}"
RATE = "rate: {share: 0.5, rule: not_above, clause: terms}"
CAP = "cap: {amount_cny: 1000, per: enterprise, period: year, clause: terms}"
BUDGET = "budget: {amount_cny: 5000, period: year, clause: terms}"
VALID = "valid: {from: 2026-01-01, until: 2026-12-31, clause: terms}"
STAFF = "{id: staff, fact: employees, op: at_most, value: 500, clause: terms, text: {zh: 员工, en: few staff}}"
CLAUSE = "terms: {text: 样例条款, verbatim: false, source: 测试, quality: low}"

MISTAKES = [
    # what stands there, what is written instead, code of the problem, its path
    ("issuer: 某市", "issuers: 某市", "unknown-field", "issuers"),
    ("issuer: 某市", "issuer: 5", "bad-type", "issuer"),
    ("issuer: 某市", "issuer: ' '", "bad-type", "issuer"),
    ("id: made-up", "id: Made Up", "bad-id", "id"),
    ("version: 2026-01-01", "version: '2026-13-01'", "bad-date", "version"),
    ("version: 2026-01-01", "version: 2026-01-01T10:00:00Z", "bad-date", "version"),
    (NAME, "name: {zh: 样例券}", "missing-field", "name.en"),
    (NAME, "name: Sample voucher", "bad-type", "name"),
    (PLACE, "level: town, province: 某省, city: 某市", "unknown-word", "jurisdiction.level"),
    (PLACE, "level: city, province: 某省", "bad-jurisdiction", "jurisdiction.city"),
    (PLACE, "level: nation, province: 某省", "bad-jurisdiction", "jurisdiction.province"),
    ("jurisdiction: {level: city, province: 某省, city: 某市}", "jurisdiction: null", "bad-type", "jurisdiction"),
    ("good: compute", "good: computer", "unknown-word", "good"),
    ("verified: false\n", "verified: 'no'\n", "bad-type", "verified"),
    ("confidence: low", "confidence: sure", "unknown-word", "confidence"),
    (CLAUSE, CLAUSE.replace("false", "maybe"), "bad-type", "clauses.terms.verbatim"),
    (CLAUSE, CLAUSE.replace("source: 测试, ", ""), "missing-field", "clauses.terms.source"),
    (CLAUSE, CLAUSE.replace("low", "fine"), "unknown-word", "clauses.terms.quality"),
    (VALID, "valid: {from: 2026-01-01, until: 2025-12-31, clause: terms}", "bad-window", "valid.until"),
    (VALID, "valid: {from: soon, until: 2026-12-31, clause: terms}", "bad-date", "valid.from"),
    (VALID, "valid: {from: 2026-01-01, until: 2026-12-31}", "missing-clause", "valid.clause"),
    (VALID, "valid: {from: 2026-01-01, clause: terms}", "missing-field", "valid.until"),
    ("base: contract", "base: invoice", "unknown-word", "base"),
    ("base: contract", "base: null", "not-computable", "base"),
    (RATE, "rate: {share: 50, rule: not_above, clause: terms}", "bad-share", "rate.share"),
    (RATE, "rate: {share: 0, rule: not_above, clause: terms}", "bad-share", "rate.share"),
    (RATE, "rate: {share: -0.5, rule: not_above, clause: terms}", "bad-share", "rate.share"),
    (RATE, "rate: {share: 0.33333333, rule: not_above, clause: terms}", "bad-share", "rate.share"),
    (RATE, "rate: {share: .nan, rule: not_above, clause: terms}", "bad-share", "rate.share"),
    (RATE, "rate: {share: half, rule: not_above, clause: terms}", "bad-share", "rate.share"),
    (RATE, "rate: {share: true, rule: not_above, clause: terms}", "bad-share", "rate.share"),
    (RATE, "rate: {share: 0.5, rule: not_abov, clause: terms}", "unknown-word", "rate.rule"),
    (RATE, "rate: {share: 0.5, rule: not_above}", "missing-clause", "rate.clause"),
    (RATE, "rate: {share: 0.5, rule: not_above, clause: null}", "bad-type", "rate.clause"),
    (RATE, "rate: {share: 0.5, rule: not_above, clause: term}", "no-such-clause", "rate.clause"),
    (RATE, "rate: null", "not-computable", "rate"),
    (RATE, "rate: 0.5", "bad-type", "rate"),
    ("share: 0.6", "share: 0.5", "contradictory-rate", "special_rates.0.share"),
    ("share: 0.7", "share: 70", "bad-share", "special_rates.1.share"),
    (CAP, "cap: {amount_cny: -1000, per: enterprise, period: year, clause: terms}", "bad-amount", "cap.amount_cny"),
    (CAP, "cap: {amount_cny: 0.001, per: enterprise, period: year, clause: terms}", "bad-amount", "cap.amount_cny"),
    (CAP, "cap: {amount_cny: '1000', per: enterprise, period: year, clause: terms}", "bad-amount", "cap.amount_cny"),
    (CAP, "cap: {amount_cny: .inf, per: enterprise, period: year, clause: terms}", "bad-amount", "cap.amount_cny"),
    (CAP, "cap: {amount_cny: 1000, per: firm, period: year, clause: terms}", "unknown-word", "cap.per"),
    (CAP, "cap: {amount_cny: 1000, per: enterprise, period: month, clause: terms}", "unknown-word", "cap.period"),
    (CAP, "cap: {amount_cny: 1000, per: enterprise, clause: terms}", "missing-field", "cap.period"),
    (BUDGET, "budget: {amount_cny: 5000, period: year}", "missing-clause", "budget.clause"),
    (BUDGET, "budget: 5000", "bad-type", "budget"),
    (MINIMUM, "minimum_cny: {amount_cny: 10}", "missing-clause", "minimum_cny.clause"),
    ("rule: higher_counts", "rule: add_up", "unknown-word", "stacking.rule"),
    ("{items: [storage], clause: terms}", "{items: [3], clause: terms}", "bad-type", "excluded_costs.items.0"),
    ("rounding: fen", "rounding: jiao", "unknown-word", "rounding"),
    (STAFF, STAFF.replace("at_most", "at_mots"), "unknown-word", "conditions.1.op"),
    (STAFF, STAFF.replace("500", "few"), "bad-value", "conditions.1.value"),
    (STAFF, STAFF.replace("500", "true"), "bad-value", "conditions.1.value"),
    (STAFF, STAFF.replace("500", "2020-01-01"), "bad-value", "conditions.1.value"),
    (STAFF, STAFF.replace("at_most", "before"), "bad-value", "conditions.1.value"),
    (STAFF, STAFF.replace("at_most", "in"), "bad-value", "conditions.1.value"),
    (STAFF, STAFF.replace("value: 500, ", ""), "missing-field", "conditions.1.value"),
    (STAFF, STAFF.replace("fact: employees", "fact: revenue_ucny"), "bad-fact", "conditions.1.fact"),
    (STAFF, STAFF.replace("fact: employees", "fact: Employees"), "bad-fact", "conditions.1.fact"),
    (STAFF, STAFF.replace("id: staff", "id: kind"), "duplicate-id", "conditions.1.id"),
    (STAFF, STAFF.replace("id: staff", "id: good"), "bad-id", "conditions.1.id"),
    (STAFF, STAFF.replace("clause: terms", "clause: staff"), "no-such-clause", "conditions.1.clause"),
    (STAFF, STAFF.replace("clause: terms, ", ""), "missing-clause", "conditions.1.clause"),
    ("value: [enterprise, university]", "value: []", "bad-value", "conditions.0.value"),
    ("value: [enterprise, university]", "value: [enterprise, 5]", "bad-value", "conditions.0.value"),
    ("value: [enterprise, university]", "value: [enterprise, null]", "bad-value", "conditions.0.value"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "code", "path"), MISTAKES)
def test_a_mistake_is_named_with_its_place(old, new, code, path):
    problems = problems_of(changed((old, new)))
    (named,) = [p for p in problems if p.code == code]
    line = next(n for n, text in enumerate(MADE_UP.splitlines(), 1) if old.strip() in text)
    assert (named.file, named.row, named.field) == ("p.yaml", line, path)
    # A misspelt field is also missed under its right name; nothing else follows from one mistake.
    assert [p.code for p in problems if p is not named] in ([], ["missing-field"])


def test_two_special_rates_on_the_same_conditions_contradict_each_other():
    first = (
        "      - {id: startup, fact: startup, op: is, value: true, clause: terms, text: {zh: 初创, en: a start-up}}\n"
    )
    again = f"{first}  - share: 0.65\n    clause: terms\n    when:\n{first}"
    problems = problems_of(changed((first, again)))
    assert [(p.code, p.field) for p in problems] == [("contradictory-rate", "special_rates.1.when")]


def test_a_special_rate_without_conditions_is_refused():
    text = MADE_UP[: MADE_UP.index("      - {id: startup")].replace("    when:\n", "    when: []\n")
    text += MADE_UP[MADE_UP.index("cap: ") :]
    assert [(p.code, p.field) for p in problems_of(text)] == [("bad-value", "special_rates.0.when")]


def test_the_nearest_name_is_suggested_in_both_languages():
    (problem, _missing) = sorted(problems_of(changed(("issuer: 某市", "isuer: 某市"))), key=lambda p: p.field)[::-1]
    assert problem.field == "isuer"
    assert "did you mean issuer?" in problem.say("en")
    assert "是否想写 issuer？" in problem.say("zh")


def test_a_percentage_is_explained():
    (problem,) = problems_of(changed((RATE, RATE.replace("0.5", "50"))))
    assert "write 0.5 for 50 %" in problem.say("en")


def test_all_mistakes_are_reported_at_once():
    text = changed(
        ("issuer: 某市", "issuers: 某市"),
        (RATE, RATE.replace("0.5", "50")),
        (CAP, CAP.replace("1000", "-1")),
        (STAFF, STAFF.replace("at_most", "below")),
        ("confidence: low", "confidence: sure"),
        (VALID, "valid: {from: 2027-01-01, until: 2026-12-31, clause: terms}"),
    )
    assert [(p.code, p.field) for p in problems_of(text)] == [
        ("missing-field", "issuer"),
        ("unknown-field", "issuers"),
        ("unknown-word", "confidence"),
        ("bad-window", "valid.until"),
        ("unknown-word", "conditions.1.op"),
        ("bad-share", "rate.share"),
        ("bad-amount", "cap.amount_cny"),
    ]


@pytest.mark.parametrize("name", [line.split(":")[0] for line in MADE_UP.splitlines() if line[0] not in " -"])
def test_required_fields_are_missed_and_others_are_not(name):
    document = deepcopy(DOCUMENT)
    del document[name]
    parsed, problems = parse_programme(Marked("p.yaml", document))
    optional = {"special_rates", "minimum_cny", "stacking", "excluded_costs", "rounding", "notes", "not_computable"}
    if name in optional:
        assert parsed is not None
    else:
        assert ("missing-field", name) in [(p.code, p.field) for p in problems]


def test_a_programme_that_cannot_be_computed_may_lack_its_numbers():
    p = programme(
        changed(
            (RATE, "rate: null"),
            ("base: contract", "base: null"),
            ("not_computable: null", "not_computable: {zh: 未写比例, en: no rate is stated}"),
            (MADE_UP[MADE_UP.index("special_rates:") : MADE_UP.index("cap: ")], ""),
        )
    )
    assert p.rate is None
    assert p.not_computable == Text("no rate is stated", "未写比例")


def test_an_integer_too_long_to_be_written_out_is_no_trap():
    document = deepcopy(DOCUMENT)
    endless = 10**5000
    document["cap"]["amount_cny"] = document["rate"]["share"] = document["conditions"][1]["value"] = endless
    document[endless] = document["rate"][endless] = document["issuer"] = endless
    _, problems = parse_programme(Marked("p.yaml", document))
    assert len([p for p in problems if p.found == "a very large number"]) == 6


LEAVES = (
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | st.text(max_size=8) | st.dates()
    | st.datetimes() | st.sampled_from(["terms", "is", "in", "compute", "city", "enterprise", "year", "fen"])
)  # fmt: skip
NAMES = st.sampled_from(
    ["id", "fact", "op", "value", "text", "clause", "assumption", "share", "when", "amount_cny", "en", "zh", "level"]
)
NESTED = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.integers() | st.none(), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(value=NESTED)
def test_any_document_is_read_without_raising(value):
    parsed, problems = parse_programme(Marked("p.yaml", value))
    assert parsed is None
    assert all(p.say("en") and p.say("zh") for p in problems)


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_any_change_to_a_right_file_is_read_without_raising(data):
    document = place = deepcopy(DOCUMENT)
    while True:
        key = data.draw(st.sampled_from(sorted(place, key=str) if isinstance(place, dict) else range(len(place))))
        if isinstance(place[key], dict | list) and place[key] and data.draw(st.booleans()):
            place = place[key]
            continue
        place[key] = data.draw(NESTED)
        break
    parsed, problems = parse_programme(Marked("p.yaml", document))
    assert (parsed is None) == bool(problems)
    assert all(p.say("en") and p.say("zh") for p in problems)
