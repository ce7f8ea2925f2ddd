"""The second implementation: a plan that was changed anywhere is found out, and no document makes it stumble."""

import copy
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_planner import rich_project

from dujiang.core.money import MICRO
from dujiang.finance.funding import fund
from dujiang.finance.plan_document import plan_document
from dujiang.verify.plan import PLAN_RULES, verify_plan


@pytest.fixture(scope="module")
def document() -> dict:
    project = rich_project(own_cash_ucny=60_000 * MICRO, assets={"patents": 1_000_000 * MICRO})
    terms = {"loan": {"most_ucny": 400_000 * MICRO, "collateral": "patents", "ltv_ppm": 500_000}}
    items = tuple(replace(item, **terms.get(item.id, {})) for item in project.instruments)
    return plan_document(fund(project.with_instruments(items), around=False))


def rules_broken(document: dict) -> set[str]:
    verdict = verify_plan(json.dumps(document))
    assert all(finding.say("zh") and finding.say("en") for finding in verdict.findings)
    return {finding.rule for finding in verdict.findings}


def test_a_plan_is_clean_and_every_rule_was_checked(document: dict) -> None:
    verdict = verify_plan(json.dumps(document))
    assert verdict.findings == []
    assert set(verdict.checks) == set(PLAN_RULES)
    assert {"loan", "backer", "stake", "voucher"} <= set(document["used"])


@pytest.mark.parametrize("name", ("draw_cny", "repay_cny", "interest_cny", "fee_cny", "subsidy_cny", "owed_cny"))
def test_no_amount_of_the_schedule_can_be_changed_by_a_fen(document: dict, name: str) -> None:
    for number in range(len(document["schedule"])):
        changed = copy.deepcopy(document)
        row = changed["schedule"][number]
        row[name] = round(row[name] + 0.01, 2)
        if name == "owed_cny" and row["instrument_id"] in ("voucher", "backer", "stake"):
            continue  # says what a guarantee stands behind; nothing follows from it
        assert rules_broken(changed), (number, name)


@pytest.mark.parametrize("name", ("opening_cny", "costs_cny", "income_cny", "closing_cny"))
def test_no_cash_can_be_changed(document: dict, name: str) -> None:
    for number in range(12):
        changed = copy.deepcopy(document)
        changed["cash"][number][name] += 1
        assert "cash" in rules_broken(changed) or "reserve" in rules_broken(changed)


STRICTER = (
    ("loan", "most_cny", 1000, "ceiling"),
    ("loan", "least_cny", 10**9, "ceiling"),
    ("loan", "first_month", "2027-02", "window"),
    ("loan", "lead_months", 11, "window"),
    ("loan", "last_month", "2026-03", "window"),
    ("loan", "rate", 0.05, "interest"),
    ("loan", "fee", 0.01, "interest"),
    ("loan", "fixed_fee_cny", 1, "interest"),
    ("loan", "term_months", 11, "debt"),
    ("loan", "repayment", "end", "debt"),
    ("loan", "needs", ["nobody"], "document"),
    ("loan", "excludes", ["voucher"], "together"),
    ("loan", "share_of_costs", 0.01, "uses"),
    ("loan", "uses", [], "uses"),
    ("loan", "group", "stakes", "together"),
    ("loan", "ltv", 0.1, "ceiling"),
    ("loan", "multiple_of", "voucher", "together"),
    ("free", "uses", ["data"], "uses"),
    ("backer", "fee", 0.02, "interest"),
    ("backer", "most_cny", 1000, "ceiling"),
    ("stake", "required_return", 0.3, "cost"),
    ("stake", "pre_money_cny", 1000, "cost"),
    ("voucher", "rate_of_cost", 0.1, "support"),
    ("voucher", "delay_months", 4, "support"),
    ("voucher", "most_cny", 1000, "support"),
    ("voucher", "budget_cny", 1000, "support"),
    ("voucher", "most_per_year_cny", 1000, "support"),
    ("voucher", "uses", ["people"], "support"),
    ("voucher", "first_month", "2027-02", "support"),
)


@pytest.mark.parametrize(("key", "term", "value", "rule"), STRICTER)
def test_a_term_that_the_plan_does_not_keep_is_found(
    document: dict, key: str, term: str, value: object, rule: str
) -> None:
    changed = copy.deepcopy(document)
    item = next(item for item in changed["instruments"] if item["id"] == key)
    item[term] = value
    if term == "group":
        next(item for item in changed["instruments"] if item["id"] == "stake")["group"] = value
    assert rule in rules_broken(changed)


def test_stated_costs_are_derived_again(document: dict) -> None:
    cost = document["cost_of_capital"]
    for name in ("present_value_cny", "charges_present_value_cny", "support_present_value_cny", "annual_rate"):
        changed = copy.deepcopy(document)
        changed["cost_of_capital"][name] = cost[name] + (0.05 if name == "annual_rate" else 1)
        assert "cost" in rules_broken(changed), name
    changed = copy.deepcopy(document)
    changed["dilution"]["share"] += 0.001
    assert "cost" in rules_broken(changed)
    changed = copy.deepcopy(document)
    changed["sources_and_uses"]["uses"][0]["amount_cny"] += 1
    assert rules_broken(changed) == {"sums"}


def test_support_above_the_cost_is_found_even_if_each_programme_keeps_its_rate(document: dict) -> None:
    changed = copy.deepcopy(document)
    for row in changed["support"]:
        row["kind"] = "compute"
    changed["project"]["costs"]["compute"] = [1000] * 12
    assert "support" in rules_broken(changed)


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_no_document_makes_it_stumble(document: dict, data: st.DataObject) -> None:
    changed = copy.deepcopy(document)
    at: object = changed
    for _ in range(data.draw(st.integers(1, 4))):
        keys = list(at) if isinstance(at, dict) else list(range(len(at))) if isinstance(at, list) else []
        if not keys:
            break
        key = data.draw(st.sampled_from(keys))
        if not isinstance(at[key], dict | list) or data.draw(st.booleans()):
            junk = [None, -1, "x", [], {}, 1e300, True, "2026-13", 10**40]
            at[key] = data.draw(st.sampled_from(junk))
            break
        at = at[key]
    verify_plan(json.dumps(changed))


@pytest.mark.parametrize("text", ("", "[]", "null", "{}", "NaN", '{"feasible": true}', "[" * 100_000, b"\xff\xfe"))
def test_what_is_no_plan_is_said_to_be_none(text: str | bytes) -> None:
    assert [finding.rule for finding in verify_plan(text).findings] == ["document"]
