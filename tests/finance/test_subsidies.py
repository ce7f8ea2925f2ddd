"""From programmes to subsidies: never laxer than the policy layer, and everything that is left out says why."""

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dujiang.core.marked import read_yaml
from dujiang.finance.instrument import Kind
from dujiang.finance.product import OwnTerms
from dujiang.finance.support import DELAY_MONTHS, month_start, subsidies_for
from dujiang.policy.catalogue import shipped_programmes
from dujiang.policy.parse import parse_programme
from dujiang.policy.programme import Band, Base, Method, Settlement, Tiers
from dujiang.policy.quote import quote

YUAN = 10**6
SHIPPED = [entry.programme for entry in shipped_programmes().values()]
SHENZHEN = {"province": "广东", "city": "深圳", "kind": "tech_sme", "startup": True}
TRAINING = {"compute": {"purpose": "training"}}


def ask(costs, start=date(2026, 1, 1), firm=None, spending=None, own=None, programmes=SHIPPED):
    more = {} if own is None else {"own": own}
    return subsidies_for(programmes, firm or SHENZHEN, costs, start, spending=spending or TRAINING, **more)


def one(support, key):
    return next(item for item in support.instruments if item.id == key)


def test_a_start_up_in_shenzhen_gets_its_training_voucher() -> None:
    item = one(ask({"compute": [100_000 * YUAN] * 24, "people": [YUAN] * 24}), "sz-training-voucher")
    assert item.kind is Kind.SUBSIDY
    assert item.uses == {"compute"}
    assert item.rate_of_cost_ppm == 600_000
    assert item.most_ucny == 10_000_000 * YUAN
    assert item.budget_ucny == 500_000_000 * YUAN
    # It ends on 17 December 2026: December is no whole month of it.
    assert (item.first_month, item.last_month) == (0, 10)
    assert item.assumed == ("delay_months",)
    assert "60%" in item.clause.zh
    assert "若干措施" in item.source


def test_the_lost_month_and_the_readings_are_said() -> None:
    said = ask({"compute": [100_000 * YUAN] * 24}).readings["sz-training-voucher"]
    assert any("2026-12-17" in text.en for text in said)
    assert any("period for the cap" in text.en for text in said)


def test_a_yearly_cap_stays_one_a_year() -> None:
    firm = {"province": "广东", "city": "东莞", "kind": "manufacturing_enterprise"}
    found = ask({"compute": [900_000 * YUAN] * 12}, firm=firm, spending={"compute": {"via_platform": True}})
    item = one(found, "dg-compute-voucher")
    assert (item.most_per_year_ucny, item.most_ucny) == (1_000_000 * YUAN, None)
    assert item.last_month == 11


def test_unknown_brings_nothing_and_names_the_fact() -> None:
    found = ask(
        {"model": [50_000 * YUAN] * 12}, spending={"model": {"model_filed": True, "builds_model_service": True}}
    )
    assert found.instruments == ()
    left = next(item for item in found.left_out if item.id == "sz-model-voucher")
    assert "scale_and_effect_reached" in left.reason.en
    assert left.would_pay_ucny == 180_000 * YUAN - 15_000 * YUAN  # 30 % of eleven months: December is no whole one


def test_what_would_be_paid_stays_within_caps_over_all_years() -> None:
    firm = {"province": "广东", "city": "深圳", "kind": "tech_sme"}
    found = ask({"compute": [9_000_000 * YUAN] * 23}, start=date(2025, 1, 1), firm=firm, spending={"compute": {}})
    left = next(item for item in found.left_out if item.id == "sz-training-voucher")
    assert left.would_pay_ucny == 10_000_000 * YUAN


def test_outside_its_validity_it_says_so() -> None:
    found = ask({"compute": [100_000 * YUAN] * 12}, start=date(2027, 1, 1))
    left = next(item for item in found.left_out if item.id == "sz-training-voucher")
    assert "2026-12-17" in left.reason.en
    assert "sz-training-voucher" not in {item.id for item in found.instruments}


def test_other_cities_are_not_listed_as_left_out() -> None:
    found = ask({"compute": [100_000 * YUAN] * 12})
    assert not any(item.id.startswith(("dg-", "qy-", "bj-", "cd-")) for item in found.left_out)
    # Plans and recommendations are no rules that one could have kept.
    assert "sz-action-plan-2025" not in {item.id for item in found.left_out}


def test_what_was_asked_for_by_name_says_why_it_brings_nothing() -> None:
    named = ("dg-compute-voucher", "sz-corpus-voucher")
    costs = {"compute": [100_000 * YUAN] * 12}
    found = subsidies_for(SHIPPED, SHENZHEN, costs, date(2026, 1, 1), spending=TRAINING, named=named)
    left = {item.id: item.reason.en for item in found.left_out}
    assert "Dongguan" in left["dg-compute-voucher"] or "condition" in left["dg-compute-voucher"]
    assert left["sz-corpus-voucher"] == "the project buys nothing that it supports"


def test_a_kind_that_is_no_good_is_asked_of_no_programme() -> None:
    found = ask({"people": [10**12] * 12}, spending={})
    assert (found.instruments, found.left_out, dict(found.readings)) == ((), (), {})


def test_own_delay_and_purse_are_no_assumption() -> None:
    own = OwnTerms("市科创局", {}, {"sz-training-voucher": 9}, {"sz-training-voucher": 7 * YUAN})
    item = one(ask({"compute": [100_000 * YUAN] * 12}, own=own), "sz-training-voucher")
    assert (item.delay_months, item.budget_ucny, item.assumed) == (9, 7 * YUAN, ())


def test_every_way_of_settling_has_a_delay() -> None:
    assert set(DELAY_MONTHS) == {None, *Settlement}


def made(number: int, more: str = "", share: str = "0.5", **changes: str):
    text = f"""\
id: made-{number}
version: 2026-01-01
name: {{zh: 券, en: Voucher}}
jurisdiction: {{level: nation}}
issuer: 某部
document: null
document_no: null
kind: compute_voucher
instrument: voucher
good: compute
verified: {changes.get("verified", "true")}
confidence: high
clauses:
  terms: {{text: 条款, verbatim: true, source: 来源, quality: official}}
valid: {{from: {changes.get("first", "null")}, until: {changes.get("last", "null")}, clause: terms}}
conditions: []
base: contract
rate: {{share: {share}, rule: not_above, clause: terms}}
cap: {changes.get("cap", "null")}
budget: {changes.get("budget", "null")}
{more}"""
    marked, problems = read_yaml("made.yaml", text)
    assert marked is not None, problems
    programme, problems = parse_programme(marked)
    assert programme is not None, [p.say() for p in problems]
    return programme


GROUP = "stacking: {group: g, rule: higher_counts, clause: terms}\n"
CEILING = "combined_ceiling: {share: 0.6, of: base, with: all, clause: terms}\n"


def excludes(*programmes, costs=None, spending=None):
    found = ask(costs or {"compute": [YUAN] * 6}, spending=spending or {}, programmes=programmes)
    return {item.id: item.excludes for item in found.instruments}


def test_of_a_group_one_excludes_the_other() -> None:
    assert excludes(made(1, GROUP), made(2, GROUP)) == {"made-1": ("made-2",), "made-2": ("made-1",)}
    assert excludes(made(1), made(2)) == {"made-1": (), "made-2": ()}


def test_a_combined_ceiling_excludes_what_could_pass_it() -> None:
    assert excludes(made(1, CEILING), made(2, share="0.2"))["made-1"] == ("made-2",)
    assert excludes(made(1, CEILING), made(2, share="0.1"))["made-1"] == ()
    # Each alone would fit beside it, both together would not: none may.
    together = excludes(made(1, CEILING), made(2, share="0.1"), made(3, share="0.1"))
    assert together == {"made-1": ("made-2", "made-3"), "made-2": ("made-1",), "made-3": ("made-1",)}


def test_beside_a_ceiling_only_what_passes_it_is_ruled_out() -> None:
    beside = excludes(made(1, CEILING), made(2, share="0.2"), made(3, share="0.1"))
    assert beside == {"made-1": ("made-2",), "made-2": ("made-1",), "made-3": ()}


def test_one_purse_is_not_emptied_twice() -> None:
    def pair(cap: str):
        budget = "{{amount_cny: 1000, period: year, shared_with: [made-{}], clause: terms}}"
        limit = f"{{amount_cny: {cap}, per: enterprise, period: validity, clause: terms}}" if cap else "null"
        return excludes(*(made(n, share="0.2", cap=limit, budget=budget.format(3 - n)) for n in (1, 2)))

    assert pair("501")["made-1"] == ("made-2",)
    assert pair("500")["made-1"] == ()
    assert pair("")["made-1"] == ("made-2",)


def test_the_least_of_several_caps_holds() -> None:
    cap = "{{amount_cny: {}, per: {}, period: {}, clause: terms}}".format
    caps = f"[{cap(900, 'contract', 'validity')}, {cap(500, 'enterprise', 'validity')}, {cap(70, 'project', 'year')}]"
    item = one(ask({"compute": [YUAN] * 4}, spending={}, programmes=[made(1, cap=caps)]), "made-1")
    assert (item.most_ucny, item.most_per_year_ucny) == (500 * YUAN, 70 * YUAN)


def test_only_whole_months_of_its_validity_count() -> None:
    programme = made(1, first="2026-03-15", last="2026-09-30")
    item = one(ask({"compute": [YUAN] * 12}, spending={}, programmes=[programme]), "made-1")
    assert (item.first_month, item.last_month) == (3, 8)


def test_years_after_a_gap_are_not_counted() -> None:
    minimum = "minimum_cny: {amount_cny: 1000000, clause: terms}\n"
    costs = {"compute": [10**6 * YUAN] * 12 + [YUAN] * 12 + [10**6 * YUAN] * 12}
    item = one(ask(costs, spending={}, programmes=[made(1, minimum)]), "made-1")
    assert (item.first_month, item.last_month) == (0, 11)


def test_what_nobody_published_brings_nothing() -> None:
    assert excludes(made(1, verified="false")) == {}


def test_shares_of_slices_are_left_out_with_the_reason() -> None:
    tiers = Tiers(Method.MARGINAL, (Band(0, 500_000), Band(YUAN, 100_000)))
    programme = made(1)
    programme = replace(programme, rate=replace(programme.rate, share_ppm=None, tiers=tiers))
    found = ask({"compute": [YUAN] * 2}, spending={}, programmes=[programme])
    assert found.instruments == ()
    assert "slices" in found.left_out[0].reason.en


def test_of_several_shares_the_least_is_taken() -> None:
    tiers = Tiers(Method.STEP, (Band(0, 500_000), Band(YUAN, 100_000)))
    programme = made(1)
    programme = replace(programme, rate=replace(programme.rate, share_ppm=None, tiers=tiers))
    found = ask({"compute": [YUAN, *[0] * 11, YUAN, YUAN]}, spending={}, programmes=[programme])
    assert one(found, "made-1").rate_of_cost_ppm == 100_000
    assert any("least" in text.en for text in found.readings["made-1"])


def test_a_year_below_the_minimum_is_not_counted() -> None:
    minimum = "minimum_cny: {amount_cny: 1000000, clause: terms}\n"
    found = ask({"compute": [10_000 * YUAN] * 12 + [10**6 * YUAN] * 12}, spending={}, programmes=[made(1, minimum)])
    item = one(found, "made-1")
    assert (item.first_month, item.last_month, item.least_ucny) == (12, 23, 10**6 * YUAN)


@given(
    monthly=st.lists(st.integers(0, 3_000_000), min_size=1, max_size=30),
    start=st.dates(date(2024, 11, 1), date(2027, 1, 1)).map(lambda d: d.replace(day=1)),
)
@settings(max_examples=40, deadline=None)
def test_a_year_never_brings_more_than_the_policy_layer_says(monthly: list[int], start: date) -> None:
    costs = {"compute": [n * YUAN for n in monthly]}
    for item in ask(costs, start=start).instruments:
        assert item.last_month < len(monthly)
        years: dict[int, int] = {}
        for month in range(item.first_month, item.last_month + 1):
            day = month_start(start, month)
            years[day.year] = years.get(day.year, 0) + costs["compute"][month]
        programme = next(p for p in SHIPPED if p.id == item.id)
        for year, base in years.items():
            paid = min(
                base * item.rate_of_cost_ppm // 10**6,
                *(c for c in (item.most_ucny, item.most_per_year_ucny, item.budget_ucny) if c is not None),
            )
            day = max(date(year, 1, 1), programme.valid.first)
            facts = {**SHENZHEN, "good": "compute", "purpose": "training", **{f"{b.value}_ucny": base for b in Base}}
            alone = quote([programme], facts, on=day).stack.total_ucny
            assert paid - alone < programme.rounding.unit_ucny or base == 0


@pytest.mark.parametrize("month, day", [(0, "2026-11-01"), (1, "2026-12-01"), (2, "2027-01-01"), (14, "2028-01-01")])
def test_months_are_counted_over_years(month: int, day: str) -> None:
    assert month_start(date(2026, 11, 1), month) == date.fromisoformat(day)
