"""One firm and one purchase asked of all programmes at once."""

import time
from datetime import date
from random import Random

import pytest
from random_programmes import TERMS, WORDS
from stack_samples import DAY, YUAN, amounts, group, plain

from dujiang.policy.catalogue import shipped_programmes
from dujiang.policy.claims import Claim, Claims
from dujiang.policy.evaluate import Status
from dujiang.policy.programme import Base
from dujiang.policy.quote import ORDER, quote, spend_of, unasked, unusual, with_relation
from dujiang.policy.related import Holding, Ownership, Tie

FACTS = {"good": "compute", "contract_ucny": 1000 * YUAN, "enterprise_id": "firm"}
CAP = {"amount_cny": 250, "per": "enterprise", "period": "year", **TERMS}


def test_every_programme_answers_and_those_that_pay_are_stacked():
    a, b = plain("a", 0.2, stacking=group("g")), plain("b", 0.3, stacking=group("g"))
    c = plain("c", 0.4, base="investment")
    found = quote([c, a, b, plain("d", good="model")], FACTS, on=DAY)
    assert [(x.programme.id, x.evaluation.status) for x in found.answers] == [
        ("b", Status.OK),
        ("a", Status.OK),
        ("c", Status.UNKNOWN),
        ("d", Status.INELIGIBLE),
    ]
    assert (amounts(found.stack), [g.programme_id for g in found.stack.given_up]) == ({"b": 300}, ["a"])


def test_of_two_that_are_not_known_the_one_that_might_pay_more_comes_first():
    asking = [{"id": "x", "fact": "x", "op": "is", "value": True, "text": WORDS, **TERMS}]
    programmes = [plain("a", 0.1, conditions=asking), plain("b", 0.2, conditions=asking), plain("c", 0.15)]
    found = quote(programmes, FACTS, on=DAY)
    assert [x.programme.id for x in found.answers] == ["c", "b", "a"]


def test_what_is_bought_is_not_built_unless_the_purchase_says_so():
    asking = [{"id": "x", "fact": "self_built", "op": "is", "value": False, "text": WORDS, **TERMS}]
    programme = plain("a", conditions=asking)
    assert quote([programme], FACTS, on=DAY).answers[0].evaluation.status is Status.OK
    stated = {**FACTS, "self_built": True}
    assert quote([programme], stated, on=DAY).answers[0].evaluation.status is Status.INELIGIBLE


def test_claims_leave_less_and_what_is_held_counts():
    programmes = [plain("a", 0.3, cap=CAP), plain("b", 0.2, stacking=group("g")), plain("c", 0.1, stacking=group("g"))]
    claims = Claims([Claim("firm", "a", "2026", 100 * YUAN), Claim("firm", "c", "2026", 50 * YUAN, "k")])
    found = quote(programmes, {**FACTS, "contract_id": "k"}, on=DAY, claims=claims)
    # The cap leaves 150; the group of b was used for this contract, and c itself too.
    assert amounts(found.stack) == {"a": 150}
    assert {g.programme_id for g in found.stack.given_up} == {"b", "c"}
    assert amounts(quote(programmes, FACTS, on=DAY, claims=claims).stack) == {"a": 150, "b": 200}
    assert amounts(quote(programmes, FACTS, on=date(2026, 12, 31)).stack) == {"a": 250, "b": 200}


def test_an_id_of_digits_is_that_of_the_tables():
    claims = Claims([Claim("914403", "a", "2026", 100 * YUAN, "77")])
    facts = {**FACTS, "enterprise_id": 914403}
    assert amounts(quote([plain("a", 0.3, cap=CAP)], facts, on=DAY, claims=claims).stack) == {"a": 150}
    assert quote([plain("a", 0.3)], {**facts, "contract_id": 77}, on=DAY, claims=claims).stack.chosen == ()


def test_a_used_up_budget_is_seen():
    programme = plain("a", 0.3, budget={"amount_cny": 500, "period": "year", **TERMS})
    claims = Claims([Claim("another", "a", "2026", 400 * YUAN)])
    assert quote([programme], FACTS, on=DAY, claims=claims).stack.total_ucny == 100 * YUAN
    claims = Claims([Claim("another", "a", "2026", 500 * YUAN)])
    assert quote([programme], FACTS, on=DAY, claims=claims).answers[0].evaluation.status is Status.EXHAUSTED


def test_every_status_has_its_place():
    assert set(ORDER) == set(Status)


def test_the_spend_is_what_the_purchase_states_in_whole_numbers():
    facts = {"contract_ucny": 5, "premium_ucny": True, "settled_ucny": "7", "actual_ucny": -1, "investment_ucny": 0}
    assert spend_of(facts) == {Base.CONTRACT: 5, Base.INVESTMENT: 0}


OWNERSHIP = Ownership([Holding("firm", "daughter", 600_000), Holding("stranger", "niece", 100_000)])


class TestRelation:
    """What the table of holdings says of buyer and seller."""

    def test_it_states_what_the_purchase_leaves_open(self):
        facts, relation, problems = with_relation({**FACTS, "seller_id": "daughter"}, OWNERSHIP)
        assert (facts["related_party"], relation.tie, problems) == (True, Tie.HOLDS, [])
        facts, relation, problems = with_relation({**FACTS, "seller_id": "niece"}, OWNERSHIP)
        assert (facts["related_party"], relation, problems) == (False, None, [])

    @pytest.mark.parametrize("stated", [False, "false", " FALSE "])
    def test_what_denies_it_is_shown_and_the_stricter_counts(self, stated):
        facts, relation, problems = with_relation(
            {**FACTS, "seller_id": "daughter", "related_party": stated}, OWNERSHIP
        )
        assert (facts["related_party"], relation.tie) == (True, Tie.HOLDS)
        assert [(p.code, p.field) for p in problems] == [("contradictory-fact", "related_party")]
        assert "firm holds 60 % of daughter" in problems[0].say()

    def test_a_stated_relation_stays_whatever_the_table_knows(self):
        for seller in ("niece", "nobody"):
            stated = {**FACTS, "seller_id": seller, "related_party": True}
            assert with_relation(stated, OWNERSHIP) == (stated, None, [])

    def test_a_table_that_does_not_know_them_says_nothing(self):
        facts, relation, problems = with_relation({**FACTS, "seller_id": "nobody"}, OWNERSHIP)
        assert ("related_party" in facts, relation) == (False, None)
        assert [(p.code, p.found) for p in problems] == [("unknown-party", "'nobody'")]

    @pytest.mark.parametrize("missing", ["enterprise_id", "seller_id"])
    def test_without_both_ids_nothing_can_be_looked_up(self, missing):
        facts = {"enterprise_id": "firm", "seller_id": "daughter"}
        del facts[missing]
        found, relation, problems = with_relation(facts, OWNERSHIP)
        assert (found, relation, [(p.code, p.field) for p in problems]) == (facts, None, [("missing-field", missing)])

    def test_a_firm_that_sells_to_itself_is_related(self):
        facts, relation, _ = with_relation({**FACTS, "seller_id": "firm"}, Ownership(()))
        assert (facts["related_party"], relation.tie) == (True, Tie.SAME)


def test_names_that_nobody_asks_are_told_with_what_was_meant():
    programmes = [entry.programme for entry in shipped_programmes().values()]
    said = unasked(["city", "contract_ucny", "seller_id", "employes", "revenu_ucny", "qqqq"], programmes)
    assert {name: "did you mean" in text.en for name, text in said.items()} == {
        "employes": True, "revenu_ucny": True, "qqqq": False,
    }  # fmt: skip
    assert "revenue_cny" in said["revenu_ucny"].zh


def test_words_that_nobody_knows_are_told_with_what_was_meant():
    programmes = [entry.programme for entry in shipped_programmes().values()]
    assert unusual({"kind": "enterprise", "city": "nowhere", "employees": 3}, programmes) == []
    (said,) = unusual({"kind": "manufacturer"}, programmes)
    assert "manufacturing_enterprise" in said.en
    assert "manufacturing_enterprise" in said.zh
    (said,) = unusual({"kind": "qqqq"}, programmes)
    assert all(word in said.en for word in ("enterprise", "university", "maker"))


def test_the_order_of_the_programmes_changes_nothing():
    programmes = [entry.programme for entry in shipped_programmes().values()]
    facts = {**FACTS, "city": "深圳", "kind": "enterprise", "purpose": "training", "startup": True}
    expected = quote(programmes, facts, on=date(2025, 6, 1))
    Random(1).shuffle(programmes)
    assert quote(programmes, facts, on=date(2025, 6, 1)) == expected


def test_a_quote_takes_a_moment():
    programmes = [entry.programme for entry in shipped_programmes().values()]
    facts = {**FACTS, "city": "深圳", "kind": "enterprise", "purpose": "training", "startup": True}
    quote(programmes, facts, on=date(2025, 6, 1))
    times = []
    for _ in range(20):
        began = time.process_time()
        quote(programmes, facts, on=date(2025, 6, 1))
        times.append(time.process_time() - began)
    assert sorted(times)[10] < 0.02  # two milliseconds on an idle machine
