"""Amounts: to the micro-yuan as exact fractions give them, and as the sources' own worked examples do."""

from copy import deepcopy
from dataclasses import fields
from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_samples import EVERYTHING, FITTING, changed, programme
from random_programmes import PLAIN, TERMS, WORDS, documents, purchases, read

from dujiang.policy.evaluate import Binding, Claimed, Rule, Status, evaluate
from dujiang.policy.payment import days_counted
from dujiang.policy.programme import Base, Method, Tiers

YUAN = 10**6
DAY = date(2026, 6, 1)
CLAIMS = st.builds(Claimed, *[st.integers(0, 10**9)] * 5)


# The same rules a second time, in fractions of a yuan, from the document as it stands.


def exact(number: object) -> Fraction:
    return Fraction(repr(number)) if isinstance(number, float) else Fraction(number)


def cut(amount: Fraction, unit: Fraction) -> Fraction:
    return amount // unit * unit


def stated_base(document, facts):
    name = document["base"]
    other = {"contract": "actual", "actual": "contract"}.get(name, name)
    found = [facts[f"{n}_ucny"] for n in (name, other) if f"{n}_ucny" in facts]
    return Fraction(found[0], YUAN) if found else None


def rated(rate, base):
    if "share" in rate:
        return exact(rate["share"]) * base
    bands = [(exact(b["above_cny"]), exact(b["share"])) for b in rate["tiers"]["bands"]]
    if rate["tiers"]["method"] == "step":
        return max((above, share) for above, share in bands if base > above or above == 0)[1] * base
    paid = Fraction(0)
    for i, (above, share) in enumerate(bands):
        top = min(base, bands[i + 1][0]) if i + 1 < len(bands) else base
        paid += share * max(Fraction(0), top - above)
    return paid


def special_case(document, facts):
    """Return the special rate that counts, and whether one is still in doubt."""
    caps = [exact(c["amount_cny"]) for c in document["cap"] or ()]
    met = [s for s in document["special_rates"] or () if facts.get("case", -1) >= s["when"][-1]["value"]]

    def rank(s):
        own = s["cap_cny"]
        return s["share"], min([exact(own)] if own else caps, default=Fraction(10**12))

    return max(met, key=rank, default=None), bool(document["special_rates"]) and "case" not in facts


def by_hand(document, facts, claimed, budget_left):
    special, doubt = special_case(document, facts)
    if document["rate"] is None and "amount_cny" not in document and special is None:
        return ("unknown" if doubt else "ineligible"), 0, "none"
    unit = Fraction(1, 100) if "fen" in str(document["rounding"]) else Fraction(1)
    base = stated_base(document, facts)
    if document["base"] is not None and base is None:
        return "unknown", 0, "none"
    period = document.get("pro_rata")
    if period:
        first, last = facts.get("contract_first"), facts.get("contract_last")
        if first is None or last is None or last < first:
            return "unknown", 0, "none"
        if first == last:
            base = cut(base if period["from"] <= first <= period["until"] else Fraction(0), unit)
        else:
            inside = max(0, (min(last, period["until"]) - max(first, period["from"])).days)
            base = cut(base * inside / (last - first).days, unit)
    if isinstance(document["rounding"], dict) and base is not None:
        base = cut(base, unit)
    if special is not None:
        due = exact(special["share"]) * base
    elif document["rate"] is not None:
        due = rated(document["rate"], base)
    else:
        due = exact(document["amount_cny"]["amount_cny"])
        due = due if base is None else min(due, base)
    limits = [("rate", due)]
    caps = document["cap"] or ()
    own_cap = special["cap_cny"] if special else None
    if own_cap and not caps:
        caps = [{"per": "enterprise", "period": "validity"}]
    for cap in caps:
        period = "" if cap["per"] == "contract" else f"_{cap['period']}"
        used = Fraction(getattr(claimed, f"{cap['per']}{period}_ucny"), YUAN)
        limits.append(("cap", exact(own_cap or cap["amount_cny"]) - used))
    if document["budget"]:
        left = exact(document["budget"]["amount_cny"]) if budget_left is None else Fraction(budget_left, YUAN)
        limits.append(("budget", left))
    least = max(unit, exact((document["minimum_cny"] or {"amount_cny": 0})["amount_cny"]))
    if any(cut(left, unit) < least for _, left in limits[1:]):
        return "exhausted", 0, "none"
    binding, amount = min(limits, key=lambda limit: limit[1])
    # A micro-yuan is the least that is counted, so a share of it is cut before limits are compared.
    binding = "rate" if cut(due, Fraction(1, YUAN)) <= amount else binding
    amount = cut(amount, unit)
    return ("ineligible", 0, "none") if amount < least else ("ok", amount, binding)


@settings(max_examples=150, deadline=None)
@given(documents(asking=0), purchases(), CLAIMS, st.none() | st.integers(-(10**9), 10**10))
def test_amounts_are_what_fractions_give(document, facts, claimed, budget_left):
    budget_left = budget_left if document["budget"] else None
    found = evaluate(read(document), facts, on=DAY, claimed=claimed, budget_left_ucny=budget_left)
    assert (found.status, Fraction(found.amount_ucny, YUAN), found.binding) == by_hand(
        document, facts, claimed, budget_left
    )


@settings(max_examples=60, deadline=None)
@given(documents(asking=2), purchases(), CLAIMS)
def test_an_answer_agrees_with_itself(document, facts, claimed):
    p = read(document)
    found = evaluate(p, facts, on=DAY, claimed=claimed)
    assert (found.amount_ucny > 0) == (found.status is Status.OK) == (found.binding is not Binding.NONE)
    assert found.amount_ucny % p.rounding.unit_ucny == 0
    assert found.base_ucny is None or found.amount_ucny <= found.base_ucny
    if found.status is Status.OK:
        assert found.would_pay_ucny == found.amount_ucny == found.steps[-1].ucny
        assert not found.in_the_way
    assert bool(found.needs_facts) or found.status is not Status.UNKNOWN
    assert all(fact not in facts or fact.startswith("contract_") for fact in found.needs_facts)
    assert sum(s.applies for s in found.special) <= 1


# Worked examples.


def nanning(facts):
    """Post-use subsidy: the days of the contract that fall in the base period, everything cut to whole yuan."""
    text = changed(
        ("base: contract", "base: settled"),
        ("share: 0.5", "share: 0.3"),
        ("rounding: fen", "rounding: {unit: yuan, base: true}"),
        ("cap: {amount_cny: 1000,", "cap: {amount_cny: 2000000,"),
        ("budget: {amount_cny: 5000,", "budget: {amount_cny: 50000000,"),
        ("notes: {zh: 说明, en: a note}", "pro_rata: {method: days, from: 2025-03-01, until: 2025-12-31, "
         "facts: [contract_first, contract_last], clause: terms}"),
        ("share: 0.6", "share: 0.9"),
    )  # fmt: skip
    return evaluate(programme(text), {**FITTING, **facts}, on=DAY)


def test_the_days_of_a_contract_are_counted_as_the_rules_of_nanning_do():
    # 200,000 yuan settled over 2025-01-01 to 2026-12-31: 305 of 729 days, 8.3676 then 2.5102 (10,000 yuan).
    found = nanning(
        {
            "settled_ucny": 200_000 * YUAN,
            "contract_first": date(2025, 1, 1),
            "contract_last": "2026-12-31",
        }
    )
    assert (found.counted_ucny, found.amount_ucny) == (83_676 * YUAN, 25_102 * YUAN)
    assert [s.rule for s in found.steps] == [Rule.BASE, Rule.PRO_RATA, Rule.RATE, Rule.CAP, Rule.BUDGET, Rule.ROUNDING]
    assert "305 of 729 days" in found.steps[1].text.en


@pytest.mark.parametrize(
    ("first", "last", "days"),
    [
        ((2025, 3, 1), (2025, 12, 31), (305, 305)),  # the whole period
        ((2025, 1, 1), (2026, 1, 31), (305, 395)),
        ((2025, 4, 1), (2025, 4, 30), (29, 29)),  # inside
        ((2025, 1, 1), (2025, 3, 1), (0, 59)),  # ends on the first day: no day lies between
        ((2025, 1, 1), (2025, 3, 2), (1, 60)),
        ((2025, 12, 31), (2026, 2, 1), (0, 32)),
        ((2024, 1, 1), (2024, 12, 31), (0, 365)),  # outside
        ((2025, 3, 1), (2025, 3, 1), (1, 1)),  # a single day, inside
        ((2025, 12, 31), (2025, 12, 31), (1, 1)),
        ((2026, 1, 1), (2026, 1, 1), (0, 1)),  # a single day, outside
    ],
)
def test_days_are_last_minus_first(first, last, days):
    rule = programme(EVERYTHING.replace("from: 2026-03-01, until: 2026-12-31", "from: 2025-03-01, until: 2025-12-31"))
    assert days_counted(rule.pro_rata, date(*first), date(*last)) == days


@pytest.mark.parametrize(
    "facts",
    [
        {"contract_first": date(2025, 1, 1)},
        {"contract_last": date(2025, 1, 1)},
        {"contract_first": date(2025, 1, 2), "contract_last": date(2025, 1, 1)},
        {"contract_first": "1 January", "contract_last": date(2025, 1, 1)},
    ],
)
def test_without_the_days_of_the_contract_it_cannot_be_told(facts):
    found = nanning({"settled_ucny": YUAN, **facts})
    assert (found.status, found.needs_facts) == ("unknown", ("contract_first", "contract_last"))


def test_a_contract_outside_the_period_pays_nothing():
    found = nanning({"settled_ucny": YUAN, "contract_first": date(2024, 1, 1), "contract_last": date(2024, 12, 31)})
    assert (found.status, found.reason.en) == ("ineligible", "no part of the base counts")


def tiers(method, *bands):
    return Tiers(Method(method), read(with_rate(method, *bands)).rate.tiers.bands)


def with_rate(method, *bands):
    listed = [{"above_cny": above, "share": share} for above, share in bands]
    return {**deepcopy(PLAIN), "special_rates": None, "cap": None, "budget": None, "minimum_cny": None,
            "rate": {"tiers": {"method": method, "bands": listed}, "rule": "of", **TERMS}}  # fmt: skip


BANDS = ((0, 0.3), (1_000_000, 0.2), (5_000_000, 0.1))


@pytest.mark.parametrize(
    ("base_cny", "step_cny", "marginal_cny"),
    [
        (0, 0, 0),
        (1_000_000, 300_000, 300_000),  # the bound belongs to the lower band
        (1_000_001, 200_000.2, 300_000.2),
        (5_000_000, 1_000_000, 1_100_000),
        (6_000_000, 600_000, 1_200_000),
    ],
)
def test_tiers(base_cny, step_cny, marginal_cny):
    for method, expected in (("step", step_cny), ("marginal", marginal_cny)):
        found = evaluate(read(with_rate(method, *BANDS)), FITTING, base_cny * YUAN, on=DAY)
        assert found.amount_ucny == round(expected * 100) * 10_000
        assert found.status == ("ok" if base_cny else "ineligible")
    assert found.share_ppm is None
    assert all(share in found.steps[1].text.en for share in ("30 %", "20 %", "10 %")[: 1 + (base_cny > 10**6)])


@settings(deadline=None)
@given(base=st.integers(0, 10**16))
def test_slices_never_pay_less_for_more(base):
    slices = tiers("marginal", *BANDS)
    assert slices.amount_micro(base) <= slices.amount_micro(base + 1)
    assert slices.amount_micro(base) <= 300_000 * base


def test_a_band_that_pays_nothing_is_no_offer():
    found = evaluate(read(with_rate("step", (0, 0.3), (1000, 0))), FITTING, 1001 * YUAN, on=DAY)
    assert (found.status, found.reason.en) == ("ineligible", "the amount comes to nothing")


@pytest.mark.parametrize(
    ("claimed", "amount_cny", "binding"),
    [
        (Claimed(), 300_000, "cap"),
        (Claimed(contract_ucny=1 * YUAN), 299_999, "cap"),
        (Claimed(enterprise_year_ucny=250_000 * YUAN, enterprise_validity_ucny=250_000 * YUAN), 250_000, "cap"),
        (Claimed(enterprise_year_ucny=0, enterprise_validity_ucny=600_000 * YUAN), 200_000, "cap"),
        (Claimed(project_year_ucny=10**12, project_validity_ucny=10**12), 300_000, "cap"),  # it has no such cap
    ],
)
def test_all_caps_hold_together(claimed, amount_cny, binding):
    found = evaluate(programme(EVERYTHING), WHOLE, 4_000_000 * YUAN, on=DAY, claimed=claimed)
    assert (found.amount_ucny, found.binding, found.status) == (amount_cny * YUAN, binding, "ok")
    assert found.binding_clause.key == "terms"


WHOLE = {
    "good": "model",
    "kind": "sme",
    "trade": "software",
    "lead_unit": False,
    "founded": date(2020, 1, 1),
    "revenue_ucny": 10**13,
    "contract_first": date(2026, 3, 1),
    "contract_last": date(2026, 12, 31),
}


@pytest.mark.parametrize(
    ("facts", "share", "amount_cny"),
    [
        ({"lead_unit": True}, 300_000, 900_000),  # the same share, but a cap of its own
        ({"founded": date(2025, 1, 1)}, 400_000, 300_000),  # a higher share under the usual caps
        ({"lead_unit": True, "revenue_ucny": 0}, 400_000, 300_000),  # the higher share counts, not the higher cap
    ],
)
def test_a_special_case_may_bring_its_own_cap(facts, share, amount_cny):
    found = evaluate(programme(EVERYTHING), {**WHOLE, **facts}, 4_000_000 * YUAN, on=DAY)
    assert (found.share_ppm, found.amount_ucny, found.binding) == (share, amount_cny * YUAN, "cap")


@pytest.mark.parametrize(("cap_cny", "amount_cny", "applies"), [(1_000_000, 1_000_000, 1), (800_000, 900_000, 0)])
def test_at_equal_shares_the_higher_cap_counts(cap_cny, amount_cny, applies):
    text = changed(("  - share: 0.4\n", f"  - share: 0.3\n    cap_cny: {cap_cny}\n"), text=EVERYTHING)
    found = evaluate(programme(text), {**WHOLE, "lead_unit": True, "revenue_ucny": 0}, 9_000_000 * YUAN, on=DAY)
    assert found.amount_ucny == amount_cny * YUAN
    assert [s.applies for s in found.special].index(True) == applies


@pytest.mark.parametrize(("cap_cny", "applies"), [(300_000, 0), (300_001, 1), (500_000, 1)])
def test_a_cap_of_its_own_is_compared_with_the_least_of_the_usual_ones(cap_cny, applies):
    text = changed(
        ("  - share: 0.3\n    cap_cny: 900000\n", "  - share: 0.35\n"),
        ("  - share: 0.4\n", f"  - share: 0.35\n    cap_cny: {cap_cny}\n"),
        text=EVERYTHING,
    )
    found = evaluate(programme(text), {**WHOLE, "lead_unit": True, "revenue_ucny": 0}, 9_000_000 * YUAN, on=DAY)
    assert [s.applies for s in found.special].index(True) == applies


def test_no_cap_counts_before_any_cap():
    when = [{"id": f"s{i}", "fact": f"f{i}", "op": "is", "value": True, "text": WORDS, **TERMS} for i in range(2)]
    document = with_rate("step", (0, 0.3), (1000, 0.1))
    document["special_rates"] = [
        {"share": 0.4, "cap_cny": 900, "when": when[:1], **TERMS},
        {"share": 0.4, "when": when[1:], **TERMS},
    ]
    found = evaluate(read(document), {**FITTING, "f0": True, "f1": True}, 10_000 * YUAN, on=DAY)
    assert found.amount_ucny == 4_000 * YUAN


@pytest.mark.parametrize(("left_cny", "status"), [(10.7, "exhausted"), (11, "ok"), (10, "exhausted")])
def test_what_is_left_is_cut_down_before_it_is_held_against_the_minimum(left_cny, status):
    p = programme(changed(("rounding: fen", "rounding: yuan"), ("{amount_cny: 10,", "{amount_cny: 10.5,")))
    left = round(left_cny * YUAN)
    assert evaluate(p, FITTING, 100 * YUAN, on=DAY, budget_left_ucny=left).status == status


@pytest.mark.parametrize(
    ("per", "period", "counts"),
    [
        ("enterprise", "year", "enterprise_year_ucny"),
        ("enterprise", "validity", "enterprise_validity_ucny"),
        ("contract", "year", "contract_ucny"),
        ("contract", "validity", "contract_ucny"),
        ("project", "year", "project_year_ucny"),
        ("project", "validity", "project_validity_ucny"),
    ],
)
def test_a_cap_counts_the_claims_of_its_own_kind(per, period, counts):
    p = programme(changed(("per: enterprise, period: year", f"per: {per}, period: {period}")))
    for field in fields(Claimed):
        found = evaluate(p, FITTING, 10_000 * YUAN, on=DAY, claimed=Claimed(**{field.name: 300 * YUAN}))
        assert found.amount_ucny == (700 if field.name == counts else 1000) * YUAN


def test_a_special_cap_where_there_is_no_other_counts_for_the_enterprise_over_the_whole_validity():
    document = with_rate("step", (0, 0.3), (1000, 0.1))
    when = [{"id": "s", "fact": "lead", "op": "is", "value": True, "text": {"en": "a", "zh": "甲"}, **TERMS}]
    document["special_rates"] = [{"share": 0.3, "cap_cny": 100, "when": when, **TERMS}]
    p, used = read(document), Claimed(enterprise_year_ucny=0, enterprise_validity_ucny=40 * YUAN)
    assert evaluate(p, {**FITTING, "lead": True}, 1000 * YUAN, on=DAY, claimed=used).amount_ucny == 60 * YUAN
    assert evaluate(p, {**FITTING, "lead": False}, 1000 * YUAN, on=DAY, claimed=used).amount_ucny == 300 * YUAN


def fixed(base):
    document = {**deepcopy(PLAIN), "rate": None, "special_rates": None, "base": base, "minimum_cny": None}
    return read({**document, "amount_cny": {"amount_cny": 500, "rule": "of", **TERMS}})


@pytest.mark.parametrize(
    ("base", "stated", "status", "amount_cny"),
    [
        (None, {}, "ok", 500),
        ("investment", {"investment_ucny": 501 * YUAN}, "ok", 500),
        ("investment", {"investment_ucny": 499 * YUAN}, "ok", 499),  # never above the base
        ("investment", {"investment_ucny": 0}, "ineligible", 0),
        ("investment", {"contract_ucny": 500 * YUAN}, "unknown", 0),
    ],
)
def test_a_fixed_amount(base, stated, status, amount_cny):
    found = evaluate(fixed(base), {**FITTING, **stated}, on=DAY)
    assert (found.status, found.amount_ucny) == (status, amount_cny * YUAN)
    assert found.needs_facts == (("investment_ucny",) if status == "unknown" else ())


@pytest.mark.parametrize("base", list(Base))
def test_each_base_is_its_own_fact(base):
    p = read({**deepcopy(PLAIN), "base": base.value})
    stated = {f"{other.value}_ucny": (i + 1) * 100 * YUAN for i, other in enumerate(Base)}
    assert evaluate(p, {**FITTING, **stated}, on=DAY).base_ucny == stated[f"{base.value}_ucny"]
    rest = {name: value for name, value in stated.items() if name != f"{base.value}_ucny"}
    silent = evaluate(p, {**FITTING, **rest}, on=DAY)
    if base in (Base.CONTRACT, Base.ACTUAL):
        assert silent.status is Status.OK
    else:
        assert (silent.status, silent.needs_facts) == (Status.UNKNOWN, (f"{base.value}_ucny",))


@pytest.mark.parametrize("value", ["100", True, 100.0, -1, None])
def test_what_is_no_amount_is_not_taken_for_one(value):
    facts = {**FITTING, "contract_ucny": value}
    assert evaluate(programme(), facts, on=DAY).needs_facts == ("contract_ucny",)


@pytest.mark.parametrize(
    ("rounding", "counted", "amount_cny"),
    [
        ("fen", 101_990_000, 61.19),
        ("yuan", 101_990_000, 61),
        ("{unit: yuan}", 101_990_000, 61),
        ("{unit: yuan, base: false}", 101_990_000, 61),
        ("{unit: yuan, base: true}", 101_000_000, 60),
    ],
)
def test_the_base_is_cut_before_the_rate_only_where_the_clause_says_so(rounding, counted, amount_cny):
    p = programme(changed(("rounding: fen", f"rounding: {rounding}")))
    found = evaluate(p, {**FITTING, "startup": True}, 101_990_000, on=DAY)
    assert (found.counted_ucny, found.amount_ucny) == (counted, round(amount_cny * 100) * 10_000)
