from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_samples import EVERYTHING, FITTING, MADE_UP, changed, programme

from dujiang.policy.catalogue import shipped_programmes
from dujiang.policy.condition import Outcome
from dujiang.policy.evaluate import Binding, GroupAnswer, Rule, Status, evaluate, single_answers

YUAN = 10**6
DAY = date(2026, 6, 1)

SZ = {"good": "compute", "kind": "enterprise", "city": "深圳", "purpose": "training", "self_built": False}
DG = {"good": "compute", "kind": "university", "city": "东莞", "via_platform": True, "self_built": False}
BJ = {
    "good": "compute",
    "kind": "software_it_enterprise",
    "city": "北京",
    "legal_person": True,
    "sound_finance": True,
    "matches_industry_plan": True,
    "clean_record_3_years": True,
    "other_subsidy": False,
    "related_party": False,
    "compute_partner": True,
    "contract_months": 12,
}
QY = {"good": "compute", "kind": "research_institute", "seller_cluster": "qy"}
ZZ = {"good": "compute", "city": "郑州市", "self_built": False, "via_platform": True}
HN = {"good": "compute", "kind": "enterprise", "province": "河南", "centre_scale_recognised": True}
SD = {"good": "compute", "kind": "enterprise", "seller_province": "山东", "clear_compute_effect": True}

CORPUS = {
    "good": "corpus", "kind": "enterprise", "city": "深圳", "via_exchange": True, "related_party": False,
    "purpose": "training",
}  # fmt: skip

CASES = {
    "sz-corpus-voucher": (CORPUS, date(2025, 6, 1)),
    "sz-training-voucher": (SZ, date(2025, 6, 1)),
    "dg-compute-voucher": (DG, date(2025, 6, 1)),
    "bj-compute-voucher-rules": (BJ, date(2025, 6, 1)),
    "qy-compute-voucher-2024": (QY, date(2024, 6, 1)),
    "zz-compute-voucher-2024": (ZZ, date(2024, 6, 1)),
    "hn-compute-voucher-2025": (HN, date(2025, 9, 1)),
    "sd-compute-voucher-2025": (SD, date(2025, 6, 1)),
}


def shipped(name):
    return shipped_programmes()[name].programme


@pytest.mark.parametrize(
    ("name", "further", "base_cny", "payable_cny", "binding"),
    [
        # Worked examples on the quoted clauses: budget ample, no earlier claim.
        ("sz-training-voucher", {"startup": False}, 8_000_000, 4_000_000, "rate"),
        ("sz-training-voucher", {"startup": True}, 8_000_000, 4_800_000, "rate"),
        ("sz-training-voucher", {"startup": False}, 30_000_000, 10_000_000, "cap"),
        ("sz-training-voucher", {"startup": True}, 17_000_000, 10_000_000, "cap"),
        ("dg-compute-voucher", {}, 1_500_000, 750_000, "rate"),
        ("dg-compute-voucher", {}, 3_000_000, 1_000_000, "cap"),
        ("sz-corpus-voucher", {}, 5_000_000, 1_500_000, "rate"),
        ("sz-corpus-voucher", {}, 10_000_000, 2_000_000, "cap"),
        ("bj-compute-voucher-rules", {}, 12_000_000, 2_000_000, "cap"),
        ("bj-compute-voucher-rules", {}, 4_000_000, 800_000, "rate"),
        # Around each cap: the last yuan below it, at it, the first above it.
        ("sz-training-voucher", {}, 19_999_998, 9_999_999, "rate"),
        ("sz-training-voucher", {}, 20_000_000, 10_000_000, "rate"),
        ("sz-training-voucher", {}, 20_000_002, 10_000_000, "cap"),
        ("dg-compute-voucher", {}, 1_999_998, 999_999, "rate"),
        ("dg-compute-voucher", {}, 2_000_000, 1_000_000, "rate"),
        ("dg-compute-voucher", {}, 2_000_002, 1_000_000, "cap"),
        ("bj-compute-voucher-rules", {}, 9_999_995, 1_999_999, "rate"),
        ("bj-compute-voucher-rules", {}, 10_000_005, 2_000_000, "cap"),
        ("qy-compute-voucher-2024", {}, 6_666_660, 1_999_998, "rate"),
        ("qy-compute-voucher-2024", {}, 6_666_670, 2_000_000, "cap"),
        ("zz-compute-voucher-2024", {}, 4_999_995, 999_999, "rate"),
        ("zz-compute-voucher-2024", {}, 5_000_005, 1_000_000, "cap"),
        ("hn-compute-voucher-2025", {}, 4_999_995, 999_999, "rate"),
        ("hn-compute-voucher-2025", {}, 5_000_005, 1_000_000, "cap"),
        ("sd-compute-voucher-2025", {}, 99_999_980, 4_999_999, "rate"),
        ("sd-compute-voucher-2025", {}, 100_000_020, 5_000_000, "cap"),
    ],
)
def test_worked_examples(name, further, base_cny, payable_cny, binding):
    facts, day = CASES[name]
    answer = evaluate(shipped(name), {**facts, **further}, base_cny * YUAN, on=day)
    assert (answer.status, answer.amount_ucny, answer.binding) == ("ok", payable_cny * YUAN, binding)


def test_a_corpus_of_a_related_party_brings_nothing():
    related = evaluate(shipped("sz-corpus-voucher"), {**CORPUS, "related_party": True}, 5 * 10**12, on=date(2025, 6, 1))
    assert (related.status, related.amount_ucny) == ("ineligible", 0)
    assert [asked.fact for asked in related.in_the_way] == ["related_party"]


@pytest.mark.parametrize("name", CASES)
def test_each_condition_alone_decides(name):
    facts, day = CASES[name]
    for fact, value in facts.items():
        other = {**facts, fact: not value if isinstance(value, bool) else 13 if isinstance(value, int) else "别的"}
        refused = evaluate(shipped(name), other, YUAN * 10**6, on=day)
        assert (refused.status, refused.amount_ucny, refused.binding) == ("ineligible", 0, "none")
        assert [a.condition.fact for a in refused.answers if a.outcome is Outcome.NOT_MET] == [fact]
        silent = evaluate(shipped(name), {k: v for k, v in facts.items() if k != fact}, YUAN * 10**6, on=day)
        assert (silent.status, silent.amount_ucny, silent.needs_facts) == ("unknown", 0, (fact,))
        assert fact in silent.reason.en
        assert fact in silent.reason.zh


@pytest.mark.parametrize(
    ("name", "day", "status"),
    [
        ("sz-training-voucher", date(2024, 12, 17), "not_yet"),
        ("sz-training-voucher", date(2024, 12, 18), "ok"),
        ("sz-training-voucher", date(2026, 12, 17), "ok"),
        ("sz-training-voucher", date(2026, 12, 18), "expired"),
        ("bj-compute-voucher-rules", date(2023, 8, 31), "not_yet"),
        ("bj-compute-voucher-rules", date(2023, 9, 1), "ok"),
        ("bj-compute-voucher-rules", date(2025, 12, 31), "ok"),
        ("bj-compute-voucher-rules", date(2026, 1, 1), "expired"),
        ("dg-compute-voucher", date(2025, 2, 28), "not_yet"),
        ("dg-compute-voucher", date(2025, 3, 1), "ok"),
        ("dg-compute-voucher", date(2031, 1, 1), "ok"),
    ],
)
def test_first_and_last_day_belong_to_the_validity(name, day, status):
    answer = evaluate(shipped(name), CASES[name][0], YUAN * 10**6, on=day)
    assert answer.status == status
    assert (answer.amount_ucny > 0) == (status == "ok")


@pytest.mark.parametrize("name", [k for k, e in shipped_programmes().items() if e.programme.not_computable])
def test_what_cannot_be_computed_pays_nothing_and_says_why(name):
    answer = evaluate(shipped(name), {}, YUAN, on=DAY)
    assert (answer.status, answer.amount_ucny, answer.share_ppm) == ("not_computable", 0, 0)
    assert answer.reason == shipped(name).not_computable


@pytest.mark.parametrize(
    ("cap_left", "budget_left", "status", "amount", "binding"),
    [
        (None, None, "ok", 50 * YUAN, "rate"),
        (50 * YUAN, None, "ok", 50 * YUAN, "rate"),
        (50 * YUAN - 10_000, None, "ok", 50 * YUAN - 10_000, "cap"),
        (50 * YUAN - 1, None, "ok", 50 * YUAN - 10_000, "cap"),  # cut down to fen
        (None, 40 * YUAN, "ok", 40 * YUAN, "budget"),
        (30 * YUAN, 40 * YUAN, "ok", 30 * YUAN, "cap"),
        (30 * YUAN, 30 * YUAN, "ok", 30 * YUAN, "cap"),
        (10 * YUAN, None, "ok", 10 * YUAN, "cap"),
        (10 * YUAN - 1, None, "exhausted", 0, "none"),  # less than the minimum claim
        (0, None, "exhausted", 0, "none"),
        (None, 0, "exhausted", 0, "none"),
        (-5, None, "exhausted", 0, "none"),
    ],
)
def test_what_is_left_binds(cap_left, budget_left, status, amount, binding):
    answer = evaluate(programme(), FITTING, 100 * YUAN, on=DAY, cap_left_ucny=cap_left, budget_left_ucny=budget_left)
    assert (answer.status, answer.amount_ucny, answer.binding) == (status, amount, binding)


def test_the_claim_has_a_minimum():
    assert evaluate(programme(), FITTING, 20 * YUAN, on=DAY).status is Status.OK
    small = evaluate(programme(), FITTING, 20 * YUAN - 2, on=DAY)
    assert (small.status, small.amount_ucny) == (Status.INELIGIBLE, 0)
    assert "10.00 CNY" in small.reason.en


@pytest.mark.parametrize(
    ("further", "share", "would_raise"),
    [
        ({"startup": False, "domestic_compute": False, "gpus": 8}, 500_000, ()),
        ({"startup": True, "domestic_compute": False, "gpus": 8}, 600_000, ()),
        ({"startup": True, "domestic_compute": True, "gpus": 8}, 700_000, ()),
        ({"startup": False, "domestic_compute": True, "gpus": 7}, 500_000, ()),
        ({"startup": False, "domestic_compute": True}, 500_000, ("gpus",)),
        ({"domestic_compute": False}, 500_000, ("startup",)),
        ({}, 500_000, ("startup", "domestic_compute", "gpus")),
    ],
)
def test_the_highest_special_rate_that_is_known_to_apply_counts(further, share, would_raise):
    answer = evaluate(programme(), {**FITTING, **further}, 100 * YUAN, on=DAY)
    assert (answer.share_ppm, answer.amount_ucny) == (share, share * 100)
    assert answer.would_raise == would_raise
    assert [s.share_ppm for s in answer.special] == [600_000, 700_000]


def test_a_refusal_comes_before_missing_facts():
    facts = {k: v for k, v in FITTING.items() if k != "founded"}
    answer = evaluate(programme(), {**facts, "employees": 501}, 100 * YUAN, on=DAY)
    assert answer.status is Status.INELIGIBLE
    assert answer.needs_facts == ("founded",)
    assert "staff" in answer.reason.en


def test_another_good_is_refused():
    assert evaluate(programme(), {**FITTING, "good": "corpus"}, YUAN, on=DAY).status is Status.INELIGIBLE


def test_an_amount_in_whole_yuan_where_the_clause_says_so():
    answer = evaluate(programme(changed(("rounding: fen", "rounding: yuan"))), FITTING, 101 * YUAN, on=DAY)
    assert answer.amount_ucny == 50 * YUAN


def test_the_answer_carries_clauses_and_assumptions():
    answer = evaluate(shipped("sz-training-voucher"), SZ, YUAN * 10**6, on=date(2025, 6, 1))
    assert [c.key for c in answer.clauses] == ["terms", "budget", "validity"]
    assert answer.clauses[0].verbatim
    assert "不超过服务合同金额的50%" in answer.clauses[0].text
    local = next(a for a in answer.answers if a.condition.id == "local")
    assert (local.clause, local.found) == (None, "深圳")
    assert local.condition.basis.assumption in answer.assumptions


@settings(deadline=None)
@given(
    base=st.integers(0, 10**15),
    cap=st.none() | st.integers(-(10**9), 10**15),
    budget=st.none() | st.integers(-(10**9), 10**15),
    startup=st.none() | st.booleans(),
)
def test_never_more_than_rate_cap_or_budget(base, cap, budget, startup):
    facts = FITTING if startup is None else {**FITTING, "startup": startup}
    p = programme_once
    answer = evaluate(p, facts, base, on=DAY, cap_left_ucny=cap, budget_left_ucny=budget)
    caps_left = 10**9 if cap is None else min(cap, 10**9)
    limits = (base * answer.share_ppm // 10**6, caps_left, 5 * 10**9 if budget is None else budget)
    if answer.status is Status.OK:
        assert min(limits) - 10_000 < answer.amount_ucny <= min(limits)
        assert answer.amount_ucny % 10_000 == 0
        assert answer.amount_ucny >= 10**7
        assert limits[["rate", "cap", "budget"].index(answer.binding)] == min(limits)
    else:
        assert (answer.amount_ucny, answer.binding) == (0, Binding.NONE)
        assert min(limits) < 10**7


programme_once = programme()

ALL = programme(EVERYTHING)
DAYS = {"contract_first": date(2026, 3, 1), "contract_last": date(2026, 12, 31)}
LAB = {"good": "model", "kind": "university", "city": "某市", "fined": False, "trade": "research", **DAYS}
NEVER = {"lead_unit": False, "founded": date(2020, 1, 1), "revenue_ucny": 10**13}


def ask(**facts):
    stated = {**LAB, **NEVER, "settled_ucny": 100_000 * YUAN, **facts}
    return evaluate(ALL, {k: v for k, v in stated.items() if v is not None}, on=DAY)


@pytest.mark.parametrize(
    ("facts", "status", "needs", "in_the_way"),
    [
        ({}, "ok", (), []),
        ({"kind": "sme", "city": None, "fined": None}, "ok", (), []),  # one way in is enough
        ({"on_list": "yes"}, "ineligible", (), ["who"]),
        ({"fined": True}, "ineligible", (), ["who"]),
        ({"fined": None}, "unknown", ("fined",), []),
        ({"kind": None, "city": "别市"}, "unknown", ("kind",), []),  # the laboratory is ruled out, the firm is not
        ({"kind": None, "fined": None}, "unknown", ("kind", "fined"), []),
        ({"trade": "tobacco", "fined": None}, "ineligible", ("fined",), ["trade"]),
        ({"trade": None}, "unknown", ("trade",), []),
        ({"trade": None, "settled_ucny": None, "contract_last": None}, "unknown",
         ("trade", "settled_ucny", "contract_first", "contract_last"), []),
        ({"good": "compute"}, "ok", (), []),
        ({"good": "corpus", "kind": "bank", "city": "别市"}, "ineligible", (), ["good", "who"]),
    ],
)  # fmt: skip
def test_groups_of_conditions_and_what_would_open_the_way(facts, status, needs, in_the_way):
    found = ask(**facts)
    assert (found.status, found.needs_facts) == (status, needs)
    assert [asked.id for asked in found.in_the_way] == in_the_way


def test_of_a_group_whose_members_all_have_to_be_met_those_that_are_not_are_named():
    text = EVERYTHING.replace("    any:\n      - {id: firm", "    all:\n      - {id: firm")
    found = evaluate(programme(text), {**LAB, "city": "别市"}, YUAN, on=DAY)
    assert [asked.id for asked in found.in_the_way] == ["firm", "place"]
    assert found.reason.en.startswith("condition firm is not met")


def test_the_answers_of_a_group_are_a_tree():
    group = ask().answers[1]
    assert isinstance(group, GroupAnswer)
    assert [a.outcome.word for a in group.answers] == ["not_met", "met"]
    ids = [answer.condition.id for answer in single_answers(ask().answers)]
    assert ids == ["good", "firm", "place", "fined", "listed", "trade"]


def test_what_it_would_pay_is_said_where_only_facts_are_missing():
    assert ask().amount_ucny == 30_000 * YUAN
    unknown = ask(trade=None)
    assert (unknown.amount_ucny, unknown.would_pay_ucny, unknown.share_ppm) == (0, 30_000 * YUAN, 0)
    assert unknown.steps[-1].rule is Rule.BUDGET
    assert ask(trade="tobacco").would_pay_ucny == ask(settled_ucny=None).would_pay_ucny == 0


ONLY_SPECIAL = MADE_UP.replace("rate: {share: 0.5, rule: not_above, clause: terms}", "rate: null")


@pytest.mark.parametrize(
    ("facts", "status", "needs", "amount_cny"),
    [
        ({"startup": True, "domestic_compute": False}, "ok", (), 60),
        ({"startup": True}, "ok", (), 60),
        ({"startup": False, "domestic_compute": False}, "ineligible", (), 0),
        ({"domestic_compute": False}, "unknown", ("startup",), 0),
        ({"domestic_compute": True, "gpus": 8}, "ok", (), 70),
        ({}, "unknown", ("startup", "domestic_compute", "gpus"), 0),
    ],
)
def test_where_only_special_cases_pay_one_has_to_apply(facts, status, needs, amount_cny):
    found = evaluate(programme(ONLY_SPECIAL), {**FITTING, **facts}, 100 * YUAN, on=DAY)
    assert (found.status, found.needs_facts, found.amount_ucny) == (status, needs, amount_cny * YUAN)
    if status == "ineligible":
        assert "no rate applies" in found.reason.en
        assert found.in_the_way == ()


def test_only_facts_that_could_bring_more_are_said_to_raise():
    found = evaluate(programme(), {**FITTING, "domestic_compute": True, "gpus": 8}, 100 * YUAN, on=DAY)
    assert (found.share_ppm, found.would_raise) == (700_000, ())  # a start-up would get 60 %: less
    alike = programme(changed(("share: 0.6", "share: 0.7")))
    found = evaluate(alike, {**FITTING, "domestic_compute": True, "gpus": 8}, 100 * YUAN, on=DAY)
    assert (found.share_ppm, found.would_raise) == (700_000, ())  # the same


def test_an_amount_of_nothing_is_not_ok():
    p = programme(changed(("minimum_cny: {amount_cny: 10, clause: terms}", "minimum_cny: null")))
    assert evaluate(p, FITTING, 20_000, on=DAY).amount_ucny == 10_000
    nothing = evaluate(p, FITTING, 19_998, on=DAY)
    assert (nothing.status, nothing.amount_ucny, nothing.binding) == ("ineligible", 0, "none")
    assert evaluate(p, FITTING, 0, on=DAY).reason.en == "no part of the base counts"
    assert evaluate(p, FITTING, YUAN, on=DAY, budget_left_ucny=9_999).status is Status.EXHAUSTED


def test_a_silent_budget_is_read_as_first_come_and_said():
    said = [a.en for a in evaluate(programme(), FITTING, YUAN, on=DAY).assumptions]
    assert any("first come" in text for text in said)
    assert not any("first come" in a.en for a in ask().assumptions)  # that source says pro rata


def test_the_clause_of_what_binds_is_named():
    answer = evaluate(shipped("sz-training-voucher"), SZ, 30 * 10**6 * YUAN, on=date(2025, 6, 1))
    assert (answer.binding, answer.binding_clause.key) == ("cap", "terms")
    answer = evaluate(shipped("sz-training-voucher"), SZ, YUAN * 10**6, on=date(2025, 6, 1), budget_left_ucny=YUAN)
    assert (answer.binding, answer.binding_clause.key) == ("budget", "budget")
    answer = evaluate(shipped("sz-training-voucher"), SZ, YUAN * 10**6, on=date(2025, 6, 1), cap_left_ucny=0)
    assert (answer.binding, answer.binding_clause) == ("none", None)
