"""The best lawful stack: each rule by hand, and all of them together against a plain reading of the law."""

from datetime import date
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_programmes import TERMS
from stack_samples import CONTRACT, DAY, YUAN, amounts, asked, ceiling, excluding, group, plain, stacked

from dujiang.policy.evaluate import Binding, Status, evaluate
from dujiang.policy.programme import Base, Exclude, Level, Programme, Scope
from dujiang.policy.selection import Search
from dujiang.policy.stack import Held, Offer, best_stack
from dujiang.policy.together import Hurdle, bar_between
from dujiang.policy.together import names as names_of_law


def given_up(stack, key):
    return next(g for g in stack.given_up if g.programme_id == key)


def test_what_nothing_forbids_adds_up():
    stack = stacked(plain("a", 0.3), plain("b", 0.2))
    assert (amounts(stack), stack.total_ucny) == ({"a": 300, "b": 200}, 500 * YUAN)
    assert (stack.given_up, stack.search, stack.at_most_ucny) == ((), Search.COMPLETE, stack.total_ucny)
    assert [c.binding for c in stack.chosen] == [Binding.RATE, Binding.RATE]


def test_of_a_group_the_higher_counts_once_and_the_other_says_why():
    stack = stacked(plain("a", 0.2, stacking=group("g")), plain("b", 0.3, stacking=group("g")), plain("c", 0.1))
    assert amounts(stack) == {"b": 300, "c": 100}
    (obstacle,) = given_up(stack, "a").obstacles
    assert (obstacle.hurdle, obstacle.against, obstacle.clause.key) == (Hurdle.GROUP, ("b",), "terms")
    assert "b is chosen" in obstacle.text.en


def test_the_higher_of_a_group_is_not_taken_greedily():
    # The highest of the group rules out another one; together the lower ones pay more.
    high = plain("high", 0.4, stacking=group("g"), excludes=excluding("other"))
    stack = stacked(high, plain("low", 0.3, stacking=group("g")), plain("other", 0.3))
    assert amounts(stack) == {"low": 300, "other": 300}
    assert {o.hurdle for o in given_up(stack, "high").obstacles} == {Hurdle.GROUP, Hurdle.EXCLUDES}


@pytest.mark.parametrize("owner", ["a", "b"])
def test_an_exclusion_holds_whoever_states_it(owner):
    other = "b" if owner == "a" else "a"
    rules = {owner: excluding(other), other: []}
    stack = stacked(plain("a", 0.3, excludes=rules["a"]), plain("b", 0.2, excludes=rules["b"]))
    assert amounts(stack) == {"a": 300}
    (obstacle,) = given_up(stack, "b").obstacles
    assert (obstacle.hurdle, obstacle.against) == (Hurdle.EXCLUDES, ("a",))
    assert f"rule of {owner}" in obstacle.text.en


CITY = {"level": "city", "province": "某省", "city": "某市"}


@pytest.mark.parametrize(
    ("place", "same_place", "barred"),
    [
        (CITY, True, True),
        ({**CITY, "city": "另市"}, True, False),
        ({**CITY, "city": "另市"}, False, True),
        ({"level": "province", "province": "某省"}, True, False),
    ],
)
def test_a_level_can_be_ruled_out_here_or_anywhere(place, same_place, barred):
    rule = [{"level": "city", "same_place": same_place, "scope": "contract", **TERMS}]
    stack = stacked(plain("a", 0.3, excludes=rule), plain("b", 0.2, jurisdiction=place))
    assert ("b" in amounts(stack)) is not barred


def test_a_province_that_rules_out_its_cities_does_not_rule_out_others():
    rule = [{"level": "city", "same_place": True, "scope": "contract", **TERMS}]
    province = plain("p", 0.3, jurisdiction={"level": "province", "province": "某省"}, excludes=rule)
    elsewhere = plain("c", 0.2, jurisdiction={**CITY, "province": "别省"})
    assert bar_between(province, plain("b", 0.2)).hurdle is Hurdle.EXCLUDES
    assert bar_between(province, elsewhere) is None
    nation = plain("n", 0.3, jurisdiction={"level": "nation"}, excludes=rule)
    assert bar_between(elsewhere, nation).owner is nation


def test_a_group_can_be_ruled_out_and_never_the_programme_itself():
    rule = [{"group": "g", "scope": "contract", **TERMS}]
    a = plain("a", 0.3, excludes=rule, stacking=group("h"))
    assert amounts(stacked(a, plain("b", 0.2, stacking=group("g")), plain("c", 0.1))) == {"a": 300, "c": 100}
    assert not names_of_law(a.excludes[0], a, a)
    own = plain("a", 0.3, excludes=[{"group": "h", "scope": "contract", **TERMS}], stacking=group("h"))
    assert amounts(stacked(own)) == {"a": 300}
    assert not names_of_law(own.excludes[0], own, own)


def test_a_combined_ceiling_cuts_the_programme_that_states_it():
    stack = stacked(plain("a", 0.4, combined_ceiling=ceiling(0.5)), plain("b", 0.3))
    assert amounts(stack) == {"b": 300, "a": 200}
    cut = next(c for c in stack.chosen if c.programme_id == "a")
    assert (cut.binding, cut.alone_ucny) == (Binding.COMBINED, 400 * YUAN)
    assert next(c for c in stack.chosen if c.programme_id == "b").binding is Binding.RATE


def test_a_ceiling_that_leaves_nothing_gives_its_owner_up_and_says_why():
    stack = stacked(plain("a", 0.2, combined_ceiling=ceiling(0.25)), plain("b", 0.3))
    assert amounts(stack) == {"b": 300}
    (obstacle,) = given_up(stack, "a").obstacles
    assert (obstacle.hurdle, obstacle.against, obstacle.clause.key) == (Hurdle.COMBINED, ("b",), "terms")
    assert "250.00 CNY in all" in obstacle.text.en


def test_a_ceiling_of_somebody_else_is_named():
    # b alone reaches the ceiling of a, so the cheaper of the two lawful answers is b alone.
    stack = stacked(plain("a", 0.2, combined_ceiling=ceiling(0.3)), plain("b", 0.3), plain("c", 0.1))
    assert amounts(stack) == {"b": 300, "c": 100}
    assert given_up(stack, "a").obstacles[0].hurdle is Hurdle.COMBINED


def test_a_ceiling_over_a_group_counts_what_is_held_of_the_group():
    a = plain("a", 0.4, combined_ceiling=ceiling(0.5, "group"), stacking=group("g"))
    before = plain("old", 0.2)
    assert amounts(stacked(a, held=(Held("old", before, 200 * YUAN),))) == {"a": 400}
    everything = plain("a", 0.4, combined_ceiling=ceiling(0.5), stacking=group("g"))
    assert amounts(stacked(everything, held=(Held("old", before, 200 * YUAN),))) == {"a": 300}


def test_support_is_never_above_the_spend():
    stack = stacked(plain("a", 0.7), plain("b", 0.6))
    assert stack.total_ucny == stack.spend_ucny == CONTRACT
    assert amounts(stack) == {"a": 700, "b": 300}
    assert next(c for c in stack.chosen if c.programme_id == "b").binding is Binding.COMBINED


def test_what_the_contract_has_had_already_counts_towards_the_spend():
    stack = stacked(plain("a", 0.7), held=(Held("old", plain("old"), 800 * YUAN),))
    assert (amounts(stack), stack.chosen[0].binding) == ({"a": 200}, Binding.COMBINED)


def test_the_spend_is_the_lesser_of_contract_and_actual_amount():
    a, b = plain("a", 0.6), plain("b", 0.6, base="actual")
    offers = [Offer(a, asked(a, 1_000 * YUAN)), Offer(b, asked(b, 800 * YUAN))]
    stack = best_stack(offers, {Base.CONTRACT: 1_000 * YUAN, Base.ACTUAL: 800 * YUAN})
    assert (stack.spend_ucny, stack.total_ucny) == (800 * YUAN, 800 * YUAN)


def test_support_for_one_base_stays_within_it():
    a, b = plain("a", 0.6, base="premium"), plain("b", 0.6, base="premium")
    c = plain("c", 0.5)
    offers = [Offer(a, asked(a, 100 * YUAN)), Offer(b, asked(b, 100 * YUAN)), Offer(c, asked(c))]
    stack = best_stack(offers, {Base.PREMIUM: 100 * YUAN, Base.CONTRACT: CONTRACT})
    assert (stack.total_ucny, stack.spend_ucny) == (600 * YUAN, CONTRACT)


def test_a_shared_purse_is_never_overdrawn():
    def drawing(key: str, other: str) -> Programme:
        budget = {"amount_cny": 250, "period": "year", "rule": "first_come", "shared_with": [other], **TERMS}
        return plain(key, 0.2, budget=budget)

    stack = stacked(drawing("a", "b"), drawing("b", "a"))
    assert (amounts(stack), stack.total_ucny) == ({"a": 200, "b": 50}, 250 * YUAN)
    assert stack.chosen[-1].binding is Binding.BUDGET
    stack = stacked(drawing("a", "b"), drawing("b", "a"), left_ucny=200 * YUAN)
    assert amounts(stack) == {"a": 200}
    (obstacle,) = given_up(stack, "b").obstacles
    assert (obstacle.hurdle, obstacle.against, obstacle.clause.key) == (Hurdle.BUDGET, ("a",), "terms")


def test_of_two_figures_for_one_purse_the_lower_counts():
    budget = {"amount_cny": 500, "period": "year", "rule": "first_come", **TERMS}
    a, b = (plain(k, 0.3, budget=budget | {"shared_with": [o]}) for k, o in (("a", "b"), ("b", "a")))
    offers = [Offer(a, asked(a), 450 * YUAN), Offer(b, asked(b), None)]
    assert best_stack(offers, {Base.CONTRACT: CONTRACT}).total_ucny == 450 * YUAN
    assert best_stack(offers[::-1], {Base.CONTRACT: CONTRACT}).total_ucny == 450 * YUAN


def test_what_would_push_others_below_their_minimum_is_given_up():
    least = {"amount_cny": 450, **TERMS}
    stack = stacked(plain("a", 0.45, minimum_cny=least), plain("b", 0.45, minimum_cny=least), plain("c", 0.6))
    assert amounts(stack) == {"a": 450, "b": 450}
    (obstacle,) = given_up(stack, "c").obstacles
    assert obstacle.hurdle is Hurdle.SPEND
    assert "leaves 100.00 CNY" in obstacle.text.en


def test_a_purse_joins_programmes_through_a_third():
    def drawing(key: str, *others: str) -> Programme:
        budget = {"amount_cny": 300, "period": "year", "rule": "first_come", "shared_with": list(others), **TERMS}
        return plain(key, 0.2, budget=budget)

    assert stacked(drawing("a", "b", "c"), drawing("c", "a", "b")).total_ucny == 300 * YUAN


def test_what_is_cut_below_its_minimum_claim_is_not_paid():
    least = {"amount_cny": 150, **TERMS}
    small = plain("a", 0.2, combined_ceiling=ceiling(0.4), minimum_cny=least)
    stack = stacked(small, plain("b", 0.3))
    assert amounts(stack) == {"b": 300}
    assert given_up(stack, "a").obstacles[0].hurdle is Hurdle.COMBINED
    assert amounts(stacked(small, plain("b", 0.25))) == {"b": 250, "a": 150}


def test_what_is_cut_is_paid_in_its_own_unit():
    yuan, fen = plain("a", 0.5, combined_ceiling=ceiling(0.55), rounding="yuan"), plain("b", 0.123456)
    stack = stacked(yuan, fen)
    paid = {c.programme_id: c.amount_ucny for c in stack.chosen}
    assert paid == {"b": 123_450_000, "a": 426 * YUAN}


def test_at_equal_totals_fewer_programmes_then_the_first_by_id():
    half = [plain(key, 0.5) for key in "cba"]
    assert amounts(stacked(*half)) == {"a": 500, "b": 500}
    whole = plain("z", 1.0)
    assert amounts(stacked(*half, whole)) == {"z": 1000}


class TestHeld:
    """What the firm holds already."""

    def test_a_contract_uses_a_programme_once(self):
        a = plain("a", 0.3)
        stack = stacked(a, held=(Held("a", a, 1),))
        assert (stack.chosen, given_up(stack, "a").obstacles[0].hurdle) == ((), Hurdle.ONCE)
        assert amounts(stacked(a, held=(Held("a", a, 1, same_contract=False),))) == {"a": 300}

    def test_its_group_has_been_paid(self):
        old = plain("old", stacking=group("g"))
        stack = stacked(plain("a", 0.3, stacking=group("g")), held=(Held("old", old),))
        (obstacle,) = given_up(stack, "a").obstacles
        assert (obstacle.hurdle, obstacle.against) == (Hurdle.GROUP, ("old",))
        assert "is held already" in obstacle.text.en
        other = Held("old", old, same_contract=False)
        assert amounts(stacked(plain("a", 0.3, stacking=group("g")), held=(other,))) == {"a": 300}

    @pytest.mark.parametrize(("scope", "reaches"), [("contract", False), ("enterprise", True)])
    def test_only_a_rule_over_the_enterprise_reaches_other_contracts(self, scope, reaches):
        a, old = plain("a", 0.3, excludes=excluding("old", scope=scope)), plain("old")
        stack = stacked(a, held=(Held("old", old, same_contract=False),))
        assert (amounts(stack) == {}) is reaches
        assert amounts(stacked(a, held=(Held("old", old),))) == {}

    @pytest.mark.parametrize(("scope", "reaches"), [("contract", False), ("enterprise", True)])
    def test_one_of_which_only_the_id_is_known(self, scope, reaches):
        a = plain("a", 0.3, excludes=excluding("gone", scope=scope))
        assert (amounts(stacked(a, held=(Held("gone", None, same_contract=False),))) == {}) is reaches
        assert amounts(stacked(a, held=(Held("gone", None),))) == {}
        assert amounts(stacked(a, held=(Held("another", None),))) == {"a": 300}


def test_only_those_that_pay_take_part():
    expired = plain("old", 0.9, valid={"from": date(2020, 1, 1), "until": date(2020, 12, 31), **TERMS})
    stack = stacked(plain("a"), expired)
    assert (amounts(stack), stack.given_up) == ({"a": 100}, ())
    assert stacked().chosen == ()


def test_a_search_that_is_cut_short_still_explains_itself():
    programmes = [plain(f"p{i}", (10 + i) / 1000) for i in range(12)]
    offers = [Offer(p, asked(p)) for p in programmes]
    stack = best_stack(offers, {Base.CONTRACT: CONTRACT}, work=1)
    assert stack.search is Search.CUT_SHORT
    assert stack.total_ucny < stack.at_most_ucny
    assert {o.hurdle for g in stack.given_up for o in g.obstacles} == {Hurdle.WORK}


# All rules together, against a plain reading of them

BASES = ("contract", "actual", "premium")


@st.composite
def neighbours(draw):
    """Draw programmes that are connected by every rule that there is."""
    count = draw(st.integers(1, 5))
    ids = [f"p{i}" for i in range(count)]
    found = []
    for key in ids:
        others = [other for other in ids if other != key]
        exclude = []
        if others and draw(st.integers(0, 3)) == 0:
            exclude += excluding(draw(st.sampled_from(others)), scope=draw(st.sampled_from(["contract", "enterprise"])))
        if draw(st.integers(0, 5)) == 0:
            exclude.append({"group": "g", "scope": draw(st.sampled_from(["contract", "enterprise"])), **TERMS})
        if draw(st.integers(0, 5)) == 0:
            level = draw(st.sampled_from(["nation", "province", "city"]))
            exclude.append(
                {"level": level, "same_place": level != "nation" and draw(st.booleans()), "scope": "contract", **TERMS}
            )
        stacking = draw(st.none() | st.sampled_from([group("g"), group("h")]))
        place = draw(
            st.sampled_from(
                [CITY, {**CITY, "city": "另市"}, {"level": "province", "province": "某省"}, {"level": "nation"}]
            )
        )
        budget = None
        if len(ids) > 1 and draw(st.booleans()):
            budget = {"amount_cny": 400, "period": "year", "shared_with": others, "rule": "first_come", **TERMS}
        thousandths = draw(st.integers(1, 1000))
        found.append(
            plain(
                key,
                thousandths / 1000,
                jurisdiction=place,
                base=draw(st.sampled_from(BASES)),
                stacking=stacking,
                excludes=exclude,
                budget=budget,
                combined_ceiling=draw(
                    st.none()
                    | st.builds(
                        ceiling,
                        st.integers(thousandths, 1000).map(lambda t: t / 1000),
                        st.sampled_from(["all", "group"] if stacking else ["all"]),
                    )
                ),
                minimum_cny=draw(st.none() | st.just({"amount_cny": 50, **TERMS})),
                rounding=draw(st.sampled_from(["fen", "yuan"])),
            )
        )
    return found


@st.composite
def holdings(draw, programmes):
    return [
        Held(p.id, p, draw(st.integers(0, 300)) * YUAN, draw(st.booleans()))
        for p in programmes
        if draw(st.integers(0, 4)) == 0
    ]


def bars(one, other, same_contract=True):
    """Return whether two programmes may not be held together, read off the records."""
    return (
        (
            same_contract
            and one.stacking is not None
            and other.stacking is not None
            and one.stacking.group == other.stacking.group
        )
        or any(names(e, one, other) for e in one.excludes if same_contract or e.scope is Scope.ENTERPRISE)
        or any(names(e, other, one) for e in other.excludes if same_contract or e.scope is Scope.ENTERPRISE)
    )


def names(exclude: Exclude, owner: Programme, other: Programme) -> bool:
    if exclude.programmes:
        return other.id in exclude.programmes
    if exclude.group:
        return other.stacking is not None and other.stacking.group == exclude.group
    if other.jurisdiction.level is not exclude.level:
        return False
    here, there = owner.jurisdiction, other.jurisdiction
    if not exclude.same_place or Level.NATION in (here.level, there.level):
        return True
    if Level.PROVINCE in (here.level, there.level):
        return here.province == there.province
    return here == there


def lawful(amounts_of, by_id, held, spend, base_of):
    """Return whether amounts for some programmes break no rule."""
    here = [h for h in held if h.same_contract]
    families = {name: "service" if name in ("contract", "actual") else name for name in BASES}
    rooms = {}
    for p in by_id.values():
        family = families[p.base.value]
        rooms[family] = min(rooms.get(family, 10**15), *(spend[b] for b in spend if families[b.value] == family))
    chosen = [by_id[key] for key in amounts_of]
    if any(bars(a, b) for a, b in combinations(chosen, 2)):
        return False
    if any(p.id == h.programme_id and h.same_contract for p in chosen for h in held):
        return False
    if any(p.id != h.programme_id and bars(p, h.programme, h.same_contract) for p in chosen for h in held):
        return False
    if sum(amounts_of.values()) > max(0, max(rooms.values()) - sum(h.amount_ucny for h in here)) and amounts_of:
        return False
    for family, room in rooms.items():
        if sum(a for key, a in amounts_of.items() if families[by_id[key].base.value] == family) > room:
            return False
    if sum(a for key, a in amounts_of.items() if by_id[key].budget is not None) > 400 * YUAN:
        return False
    for p in chosen:
        rule = p.combined_ceiling
        if rule is not None:
            mine = None if p.stacking is None else p.stacking.group

            def counts(other, rule=rule, mine=mine, p=p):
                return (
                    rule.counts == "all"
                    or other.id == p.id
                    or (mine is not None and other.stacking is not None and other.stacking.group == mine)
                )

            total = sum(a for key, a in amounts_of.items() if counts(by_id[key]))
            total += sum(
                h.amount_ucny for h in here if rule.counts == "all" or (h.programme_id != p.id and counts(h.programme))
            )
            if total > base_of[p.id] * rule.share_ppm // 10**6:
                return False
        if p.minimum is not None and amounts_of[p.id] < p.minimum.amount_ucny:
            return False
    return all(a > 0 and a % by_id[key].rounding.unit_ucny == 0 for key, a in amounts_of.items())


@given(st.data())
@settings(max_examples=120, deadline=None)
def test_the_stack_is_lawful_and_no_set_of_whole_amounts_beats_it(data):
    programmes = data.draw(neighbours())
    spend = {base: data.draw(st.integers(100, 1500)) * YUAN for base in (Base.CONTRACT, Base.ACTUAL, Base.PREMIUM)}
    held = data.draw(holdings(programmes))
    facts = {"good": "compute", **{f"{base}_ucny": amount for base, amount in spend.items()}}
    evaluations = {p.id: evaluate(p, facts, on=DAY) for p in programmes}
    stack = best_stack([Offer(p, evaluations[p.id]) for p in programmes], spend, held)
    by_id = {p.id: p for p in programmes if evaluations[p.id].status is Status.OK}
    base_of = {key: evaluations[key].base_ucny for key in by_id}
    chosen = {c.programme_id: c.amount_ucny for c in stack.chosen}
    assert stack.search is Search.COMPLETE
    assert stack.total_ucny == sum(chosen.values())
    if by_id:
        assert lawful(chosen, by_id, held, spend, base_of), chosen
    assert all(a <= evaluations[key].amount_ucny for key, a in chosen.items())
    # A set that pays all of its members in full is lawful or not by itself: none of them may pay more.
    for size in range(1, len(by_id) + 1):
        for keys in combinations(by_id, size):
            full = {key: evaluations[key].amount_ucny for key in keys}
            if lawful(full, by_id, held, spend, base_of):
                assert sum(full.values()) <= stack.total_ucny
    assert {g.programme_id for g in stack.given_up} == set(by_id) - set(chosen)
    assert all(g.obstacles and g.alone_ucny == evaluations[g.programme_id].amount_ucny for g in stack.given_up)
