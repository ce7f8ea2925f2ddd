from copy import deepcopy
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_samples import EVERYTHING, MADE_UP, changed, programme
from ruamel.yaml import YAML

from dujiang.core.marked import Marked, read_yaml
from dujiang.core.text import Text
from dujiang.policy.parse import parse_programme
from dujiang.policy.programme import (
    Band,
    Base,
    Basis,
    BudgetRule,
    ConditionGroup,
    How,
    Level,
    Method,
    Op,
    Per,
    Period,
    Rounding,
    Scope,
    Settlement,
    SourceStatus,
    Tiers,
    With,
)
from dujiang.policy.shape import MAX_CONDITIONS, MAX_ITEMS, MAX_TEXT, MAX_UNKNOWN, MAX_VALUES, PROGRAMME

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
    assert [(c.amount_ucny, c.per, c.period) for c in p.caps] == [(10**9, Per.ENTERPRISE, Period.YEAR)]
    assert (p.minimum.amount_ucny, p.budget.amount_ucny) == (10**7, 5 * 10**9)
    assert (p.valid.first, p.valid.last) == (date(2026, 1, 1), date(2026, 12, 31))
    assert p.name == Text("Sample voucher", "样例券")
    assert p.rounding is Rounding.FEN
    assert p.exclusion.items == ("storage",)
    assert p.stacking.basis == Basis(None, Text("assumed", "假设"))


def test_a_file_with_every_field_is_read_in_exact_units():
    p = programme(EVERYTHING)
    million = 10**12
    assert (p.goods, p.source_status, p.base) == (("compute", "model"), SourceStatus.RULE, Base.SETTLED)
    bands = (Band(0, 300_000), Band(million, 200_000), Band(2 * million + 500_000, 100_000))
    assert (p.rate.share_ppm, p.rate.tiers) == (None, Tiers(Method.MARGINAL, bands))
    assert [(s.share_ppm, s.cap_ucny) for s in p.special_rates] == [(300_000, 900_000_000_000), (400_000, None)]
    assert [(c.per, c.period) for c in p.caps] == [
        (Per.ENTERPRISE, Period.YEAR),
        (Per.ENTERPRISE, Period.VALIDITY),
        (Per.CONTRACT, Period.VALIDITY),
    ]
    assert (p.budget.rule, p.budget.shared_with) == (BudgetRule.PRO_RATA, ("another", "a-third"))
    assert (p.pro_rata.first, p.pro_rata.last) == (date(2026, 3, 1), date(2026, 12, 31))
    assert p.pro_rata.facts == ("contract_first", "contract_last")
    assert (p.combined_ceiling.share_ppm, p.combined_ceiling.counts) == (500_000, With.GROUP)
    assert [(e.programmes, e.group, e.level, e.same_place, e.scope) for e in p.excludes] == [
        (("another",), None, None, False, Scope.CONTRACT),
        ((), "model", None, False, Scope.ENTERPRISE),
        ((), None, Level.CITY, True, Scope.CONTRACT),
    ]
    assert [q.programmes for q in p.priority] == [("another",)]
    assert [(f.level, f.share_ppm) for f in p.funded_by] == [(Level.PROVINCE, 500_000), (Level.CITY, 500_000)]
    assert (p.voucher.validity_months, p.voucher.transferable) == (12, False)
    assert p.voucher.settlement is Settlement.QUARTERLY
    assert (p.rounding, p.cut_base) == (Rounding.YUAN, True)
    assert (p.amount, p.not_computable) == (None, None)


def test_groups_keep_their_tree_and_order():
    who, trade = programme(EVERYTHING).conditions
    assert isinstance(who, ConditionGroup)
    assert (who.id, who.how, [m.id for m in who.members]) == ("who", How.ANY, ["firm", "lab"])
    assert who.members[1].members[1].how is How.NONE
    assert trade.op is Op.NOT_IN
    asked = [c.id for c in programme(EVERYTHING).asked()]
    assert asked == ["firm", "place", "fined", "listed", "trade", "lead", "young", "small"]


def test_every_rule_of_a_file_is_among_its_bases():
    p = programme(EVERYTHING)
    # validity, 8 conditions, rate, 2 special rates, 3 caps, minimum, budget, pro rata, ceiling, stacking, 3 exclusions,
    # priority, 2 funders, voucher, excluded costs
    assert len(p.bases()) == 1 + 8 + 1 + 2 + 3 + 1 + 1 + 1 + 1 + 1 + 3 + 1 + 2 + 1 + 1


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


TIERS = "bands: [{above_cny: 0, share: 0.3}, {above_cny: 1000000, share: 0.2}, {above_cny: 2000000.5, share: 0.1}]"
CAPS = "  - {amount_cny: 300000, per: contract, period: validity, clause: terms}"
SHARED = "shared_with: [another, a-third]"
PRO_RATA = "from: 2026-03-01, until: 2026-12-31, facts: [contract_first, contract_last]"
GROUP_EXCLUDED = "{group: model, scope: enterprise, clause: terms}"
FUNDED = "{level: province, share: 0.5, clause: terms}"
LISTED = "{id: listed, fact: on_list, op: exists, value: true, clause: terms, text: {zh: 列入, en: listed}}"

FURTHER_MISTAKES = [
    # tiers
    (TIERS, "bands: [{above_cny: 1, share: 0.3}, {above_cny: 2, share: 0.2}]",
     "contradictory-tiers", "rate.tiers.bands.0.above_cny"),
    (TIERS, "bands: [{above_cny: 0, share: 0.3}, {above_cny: 5, share: 0.2}, {above_cny: 5, share: 0.1}]",
     "contradictory-tiers", "rate.tiers.bands.2.above_cny"),
    (TIERS, "bands: [{above_cny: 0, share: 0.3}, {above_cny: 5, share: 0.2}, {above_cny: 4, share: 0.1}]",
     "contradictory-tiers", "rate.tiers.bands.2.above_cny"),
    (TIERS, "bands: [{above_cny: 0, share: 0.3}, {above_cny: 5, share: 0.3}]",
     "contradictory-tiers", "rate.tiers.bands.1.share"),
    (TIERS, "bands: [{above_cny: 0, share: 0.3}]", "contradictory-tiers", "rate.tiers.bands"),
    (TIERS, "bands: [{above_cny: 0, share: 30}, {above_cny: 5, share: 0.2}]", "bad-share", "rate.tiers.bands.0.share"),
    (TIERS, "bands: [{above_cny: 0, share: 0.3}, {above_cny: -5, share: 0.2}]",
     "bad-amount", "rate.tiers.bands.1.above_cny"),
    (TIERS, "bands: [{above_cny: 0, share: 0.3}, {above: 5, share: 0.2}]", "unknown-field", "rate.tiers.bands.1.above"),
    (TIERS, "bands: null", "bad-type", "rate.tiers.bands"),
    (TIERS, "bands: 5", "bad-type", "rate.tiers.bands"),
    ("method: marginal", "method: slices", "unknown-word", "rate.tiers.method"),
    ("  rule: not_above", "  share: 0.3\n  rule: not_above", "contradictory-rate", "rate.share"),
    # special rates beside tiers
    ("share: 0.4\n", "share: 0.3\n", "contradictory-rate", "special_rates.1.share"),
    ("cap_cny: 900000", "cap_cny: -900000", "bad-amount", "special_rates.0.cap_cny"),
    ("cap_cny: 900000", "cap_cny: 999", "contradictory-minimum", "minimum_cny"),
    # caps and the minimum
    (CAPS, CAPS.replace("contract", "enterprise"), "contradictory-cap", "cap.2"),
    (CAPS, f"{CAPS}\n{CAPS.replace('validity', 'year')}", "contradictory-cap", "cap.3"),
    (CAPS, CAPS.replace("300000", "-1"), "bad-amount", "cap.2.amount_cny"),
    (CAPS, CAPS.replace(", clause: terms", ""), "missing-clause", "cap.2.clause"),
    ("minimum_cny: {amount_cny: 1000,", "minimum_cny: {amount_cny: 300000.01,", "contradictory-minimum", "minimum_cny"),
    # budget
    ("rule: pro_rata", "rule: lottery", "unknown-word", "budget.rule"),
    (SHARED, "shared_with: [another, everything]", "names-itself", "budget.shared_with"),
    (SHARED, "shared_with: [another, another]", "duplicate-value", "budget.shared_with.1"),
    (SHARED, "shared_with: []", "bad-value", "budget.shared_with"),
    (SHARED, "shared_with: another", "bad-type", "budget.shared_with"),
    # pro rata
    (PRO_RATA, PRO_RATA.replace("2026-12-31", "2026-03-01"), "bad-window", "pro_rata.until"),
    (PRO_RATA, PRO_RATA.replace("2026-12-31", "null"), "bad-date", "pro_rata.until"),
    (PRO_RATA, PRO_RATA.replace("from: 2026-03-01, ", ""), "missing-field", "pro_rata.from"),
    (PRO_RATA, PRO_RATA.replace(", contract_last", ""), "bad-value", "pro_rata.facts"),
    (PRO_RATA, PRO_RATA.replace("contract_last", "contract_first"), "bad-value", "pro_rata.facts"),
    (PRO_RATA, PRO_RATA.replace("contract_last", "Contract"), "bad-fact", "pro_rata.facts.1"),
    (PRO_RATA, PRO_RATA.replace("[contract_first, contract_last]", "contract_first"), "bad-type", "pro_rata.facts"),
    ("method: days", "method: months", "unknown-word", "pro_rata.method"),
    # going together
    ("combined_ceiling: {share: 0.5", "combined_ceiling: {share: 0.39",
     "contradictory-ceiling", "combined_ceiling.share"),
    ("stacking: {group: compute, rule: higher_counts, clause: terms}\n", "", "contradictory-ceiling",
     "combined_ceiling.with"),
    ("of: base", "of: cap", "unknown-word", "combined_ceiling.of"),
    ("{programmes: [another], scope", "{programmes: [everything], scope", "names-itself", "excludes.0.programmes"),
    (GROUP_EXCLUDED, GROUP_EXCLUDED.replace("group: model", "group: model, level: city"),
     "contradictory-exclude", "excludes.1.level"),
    (GROUP_EXCLUDED, GROUP_EXCLUDED.replace("group: model, ", ""), "contradictory-exclude", "excludes.1.programmes"),
    (GROUP_EXCLUDED, GROUP_EXCLUDED.replace("group: model", "group: model, same_place: true"),
     "contradictory-exclude", "excludes.1.same_place"),
    (GROUP_EXCLUDED, GROUP_EXCLUDED.replace("group: model", "level: nation, same_place: true"),
     "contradictory-exclude", "excludes.1.same_place"),
    (GROUP_EXCLUDED, GROUP_EXCLUDED.replace(", clause: terms", ""), "missing-clause", "excludes.1.clause"),
    (GROUP_EXCLUDED, GROUP_EXCLUDED.replace("enterprise", "year"), "unknown-word", "excludes.1.scope"),
    ("priority: [{programmes: [another]", "priority: [{programmes: [everything]",
     "names-itself", "priority.0.programmes"),
    (FUNDED, FUNDED.replace("0.5", "0.4"), "contradictory-funding", "funded_by"),
    (FUNDED, FUNDED.replace("province", "city"), "contradictory-funding", "funded_by"),
    ("validity_months: 12", "validity_months: 0", "bad-number", "voucher.validity_months"),
    ("validity_months: 12", "validity_months: 12.5", "bad-number", "voucher.validity_months"),
    ("validity_months: 12", "validity_months: true", "bad-number", "voucher.validity_months"),
    ("settlement: quarterly, clause: terms", "settlement: quarterly, assumption: {zh: 假设, en: assumed}",
     "missing-clause", "voucher.clause"),
    ("{validity_months: 12, transferable: false, settlement: quarterly, clause: terms}", "{clause: terms}",
     "missing-field", "voucher.validity_months"),
    ("items: [storage, network]", "items: []", "bad-value", "excluded_costs.items"),
    ("rounding: {unit: yuan, base: true}", "rounding: {unit: wan}", "unknown-word", "rounding.unit"),
    ("rounding: {unit: yuan, base: true}", "rounding: {base: true}", "missing-field", "rounding.unit"),
    # groups and conditions
    (LISTED, LISTED.replace("value: true", "value: 1"), "bad-value", "conditions.0.any.1.all.1.none.1.value"),
    (LISTED, LISTED.replace("id: listed", "id: firm"), "duplicate-id", "conditions.0.any.1.all.1.none.1.id"),
    (LISTED, LISTED.replace("id: listed", "id: minimum"), "bad-id", "conditions.0.any.1.all.1.none.1.id"),
    (LISTED, LISTED.replace("clause: terms, ", ""), "missing-clause", "conditions.0.any.1.all.1.none.1.clause"),
    (LISTED, "{id: d, text: {zh: 深, en: deep}, any: [{id: e, text: {zh: 深, en: deep}, all: [" + LISTED + "]}]}",
     "too-deep", "conditions.0.any.1.all.1.none.1.any.0.all"),
    (LISTED, "{id: empty, text: {zh: 空, en: empty}, any: []}", "bad-value", "conditions.0.any.1.all.1.none.1.any"),
    (LISTED, "{id: two, text: {zh: 二, en: two}, any: [" + LISTED + "], all: []}",
     "contradictory-group", "conditions.0.any.1.all.1.none.1.all"),
    (LISTED, "{id: no-text, any: [" + LISTED + "]}", "missing-field", "conditions.0.any.1.all.1.none.1.text"),
    ("value: [gambling, tobacco]", "value: gambling", "bad-value", "conditions.1.value"),
    # the whole
    ("good: [compute, model]", "good: [compute, gold]", "unknown-word", "good.1"),
    ("good: [compute, model]", "good: []", "bad-value", "good"),
    ("good: [compute, model]", "good: [compute, compute]", "duplicate-value", "good.1"),
    ("good: [compute, model]", "good: [compute, 5]", "bad-type", "good.1"),
    ("source_status: rule", "source_status: plan", "not-computable", "source_status"),
    ("source_status: rule", "source_status: rumour", "unknown-word", "source_status"),
    ("base: settled", "base: null", "not-computable", "base"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "code", "path"), FURTHER_MISTAKES)
def test_a_mistake_in_any_other_part_is_named_with_its_place(old, new, code, path):
    problems = problems_of(changed((old, new), text=EVERYTHING))
    (named,) = [p for p in problems if p.code == code]
    assert (named.file, named.field) == ("p.yaml", path)
    assert named.row is not None or code == "missing-field"
    assert [p.code for p in problems if p is not named] in ([], ["missing-field"])


AMOUNT = "amount_cny: {amount_cny: 2000000, rule: of, clause: terms}"
FIXED = changed(
    (RATE, f"rate: null\n{AMOUNT}"), (MADE_UP[MADE_UP.index("special_rates:") : MADE_UP.index("cap: ")], "")
)


def test_a_fixed_amount_stands_instead_of_a_rate():
    p = programme(FIXED)
    assert (p.rate, p.amount.amount_ucny) == (None, 2 * 10**12)
    assert programme(changed(("base: contract", "base: null"), text=FIXED)).base is None


@pytest.mark.parametrize(
    ("old", "new", "code", "path"),
    [
        ("rate: null", RATE, "contradictory-rate", "rate"),
        ("rule: of", "rule: not_above", "not-computable", "amount_cny.rule"),
        (AMOUNT, "amount_cny: null", "not-computable", "rate"),
        (AMOUNT, "amount_cny: {amount_cny: 9.99, rule: of, clause: terms}", "contradictory-minimum", "minimum_cny"),
        (AMOUNT, "amount_cny: 2000000", "bad-type", "amount_cny"),
        (AMOUNT, "amount_cny: {amount_cny: 0, rule: of, clause: terms}", "bad-amount", "amount_cny.amount_cny"),
        (AMOUNT, "amount_cny: {amount_cny: 5000, rule: of}", "missing-clause", "amount_cny.clause"),
    ],
)
def test_what_contradicts_a_fixed_amount(old, new, code, path):
    assert (code, path) in [(p.code, p.field) for p in problems_of(changed((old, new), text=FIXED))]


def test_special_cases_beside_a_fixed_amount_contradict_it():
    text = changed((RATE, f"rate: null\n{AMOUNT}"))
    assert [(p.code, p.field) for p in problems_of(text)] == [("contradictory-rate", "special_rates")]


def test_special_cases_alone_may_pay():
    p = programme(changed((RATE, "rate: null")))
    assert (p.rate, len(p.special_rates)) == (None, 2)


@pytest.mark.parametrize("status", ["plan", "recommendation", "described", "gap"])
def test_a_source_without_a_rule_is_listed_with_its_reason(status):
    pairs = (("source_status: rule", f"source_status: {status}"), ("not_computable: null", NO_RULE))
    assert programme(changed(*pairs, text=EVERYTHING)).source_status == status


NO_RULE = "not_computable: {zh: 来源未写规则, en: the source states no rule}"


def document_with(**parts):
    return parse_programme(Marked("p.yaml", {**deepcopy(DOCUMENT), **parts}))[1]


CONDITION = DOCUMENT["conditions"][1]


def nested(*sizes):
    """Build groups in groups, each of a size, around single conditions."""
    if not sizes:
        return CONDITION
    return {"id": "g", "text": CONDITION["text"], "any": [nested(*sizes[1:])] * sizes[0]}


@pytest.mark.parametrize(
    ("parts", "path"),
    [
        ({"conditions": [CONDITION] * (MAX_ITEMS + 1)}, "conditions"),
        ({"conditions": [nested(MAX_ITEMS)] * 3}, "conditions"),
        ({"conditions": [{**CONDITION, "op": "in", "value": list(range(MAX_VALUES + 1))}]}, "conditions.0.value"),
        ({"clauses": {f"c{i}": {} for i in range(MAX_ITEMS + 1)}}, "clauses"),
        ({"cap": [DOCUMENT["cap"]] * (MAX_ITEMS + 1)}, "cap"),
        ({"good": ["compute"] * (MAX_ITEMS + 1)}, "good"),
    ],
)
def test_what_is_too_many_is_refused(parts, path):
    assert ("too-many", path) in [(p.code, p.field) for p in document_with(**parts)]


def test_as_many_conditions_as_allowed_are_read():
    few = [
        {**nested(MAX_ITEMS), "id": f"g{i}", "any": [{**CONDITION, "id": f"c{i}-{k}"} for k in range(MAX_ITEMS)]}
        for i in range(MAX_CONDITIONS // MAX_ITEMS)
    ]
    parsed, problems = parse_programme(Marked("p.yaml", {**deepcopy(DOCUMENT), "conditions": few, "special_rates": []}))
    assert problems == []
    assert len(parsed.asked()) == MAX_CONDITIONS


def test_a_long_text_and_many_unknown_fields_are_cut_short():
    problems = document_with(issuer="某" * (MAX_TEXT + 1), **{f"x{i}": 1 for i in range(1000)})
    assert ("too-long", "issuer") in [(p.code, p.field) for p in problems]
    assert len([p for p in problems if p.code == "unknown-field"]) == MAX_UNKNOWN + 1
    assert any(p.found == f"{1000 - MAX_UNKNOWN} more" for p in problems)


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
    assert "did you mean 'issuer'?" in problem.say("en")
    assert "是否应为“issuer”？" in problem.say("zh")


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
    assert name in PROGRAMME.required + PROGRAMME.optional
    del document[name]
    parsed, problems = parse_programme(Marked("p.yaml", document))
    if name in PROGRAMME.optional:
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
