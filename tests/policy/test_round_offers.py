"""A round offers what one case at a time would get, and nothing that it could not keep."""

import itertools
from copy import deepcopy
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_samples import small_book
from random_programmes import CITIES, DAYS, FLAGS, PLAIN, TERMS, WORDS, conditions, documents, read

from dujiang.policy.catalogue import shipped_programmes
from dujiang.policy.evaluate import Status, evaluate
from dujiang.policy.explain import voucher_status
from dujiang.policy.facts import RoundFacts
from dujiang.policy.offer import UNLIMITED
from dujiang.policy.payment import Claimed
from dujiang.policy.terms import voucher_terms

YUAN = 10**6
DAY = date(2026, 6, 1)
DOMESTIC = {"a": True, "b": False}


def shares(terms):
    """Return (K, J, P), the shares order by order."""
    return terms.share_ppm[terms.term_class].swapaxes(0, 1)


def made(name="made-up", **changes):
    """Return a programme that everybody may use, with changes to its document."""
    plain = {
        "conditions": [],
        "special_rates": None,
        "cap": None,
        "minimum_cny": None,
        "budget": None,
        "stacking": None,
    }
    return read({**deepcopy(PLAIN), **plain, "id": name, **changes})


def asked_of(fact, value, op="is", name="c"):
    return {"id": name, "fact": fact, "op": op, "value": value, "text": WORDS, **TERMS}


def book_of(enterprises="e", orders=None, claims=(), provinces=("近省",), **more):
    """Return a book of firms by one letter, an order each unless they are given as (enterprise, facts)."""
    placed = [(name, {}) for name in enterprises] if orders is None else orders
    return small_book(
        enterprises=[{"enterprise_id": name, **more.get(name, {})} for name in enterprises],
        orders=[{"order_id": f"o{i}", "enterprise_id": name, **facts} for i, (name, facts) in enumerate(placed)],
        pools=[{"pool_id": f"p{i}", "province": province} for i, province in enumerate(provinces)],
        claims=[
            {"enterprise_id": who, "programme_id": of, "period": period, "amount_ucny": cny * YUAN}
            for who, of, period, cny in claims
        ],
        further=tuple(sorted({fact for name in enterprises for fact in more.get(name, {})} - {"kind", "city"})),
    )


def terms_of(book, *programmes, budgets=None):
    return voucher_terms(book, programmes, budgets or {}, domestic=DOMESTIC)


def status_of(book, *programmes, budgets=None):
    """Return programme id to status and detail of the first order."""
    frame = voucher_status(book, programmes, budgets or {}, domestic=DOMESTIC)
    first = frame.filter(order_id=book.orders["order_id"][0])
    return {row["programme_id"]: (row["status"], row["detail"]) for row in first.iter_rows(named=True)}


# A round against the single case, for any programme that it can offer.

SELLER = st.one_of(
    st.tuples(st.just("seller_province"), st.sampled_from(["is", "is_not"]), st.just("近省")),
    st.tuples(st.just("domestic_compute"), st.just("is"), st.booleans()),
    st.tuples(st.just("accelerator"), st.just("in"), st.just(["a", "c"])),
)


@st.composite
def round_documents(draw):
    """Draw a programme that a round can offer; some of its conditions ask for the seller, alone and in groups."""
    document = draw(documents())
    document.pop("pro_rata", None)
    document.pop("amount_cny", None)
    document["base"] = draw(st.sampled_from(["contract", "actual"]))
    rate = {"share": draw(st.integers(1, 300_000)) / 1_000_000, "rule": "of", **TERMS}
    lowest = min((s["share"] for s in document["special_rates"] or ()), default=1.0)
    document["rate"] = draw(st.sampled_from([rate if rate["share"] < lowest else None, None]))
    if not document["special_rates"]:
        document["rate"] = rate
    document["cap"] = [cap for cap in document["cap"] or () if cap["per"] != "project"] or None
    asked = [document["conditions"], *(s["when"] for s in document["special_rates"] or ())]
    for i, items in enumerate(asked):
        if draw(st.booleans()):
            fact, op, value = draw(SELLER)
            seller = {"id": f"seller-{i}", "fact": fact, "op": op, "value": value, "text": WORDS, **TERMS}
            if draw(st.booleans()):
                how = draw(st.sampled_from(["any", "all", "none"]))
                seller = {"id": f"g-{i}", "text": WORDS, how: [draw(conditions(f"x-{i}", 3)), seller]}
            items.append(seller)
    return document


FIRMS = st.fixed_dictionaries(
    {
        **dict.fromkeys(FLAGS, st.none() | st.booleans()),
        "city": st.none() | st.sampled_from(CITIES),
        "employees": st.none() | st.integers(0, 20),
        "revenue_ucny": st.none() | st.integers(0, 6_000).map(lambda cny: cny * YUAN),
        "founded": st.none() | DAYS,
        "case": st.none() | st.integers(0, 3),
    }
)
PLACES = st.fixed_dictionaries(
    {"province": st.sampled_from([None, "近省", "远省"]), "accelerator": st.sampled_from(["a", "b", "c"])}
)
CLAIMED = st.lists(st.tuples(st.integers(0, 1), st.sampled_from(["2025", "2026"]), st.integers(0, 2_000)), max_size=3)


def claimed_by(claims, firm):
    year = sum(amount for who, period, amount in claims if who == firm and period == "2026")
    return Claimed(
        enterprise_year_ucny=year * YUAN,
        enterprise_validity_ucny=sum(amount for who, _, amount in claims if who == firm) * YUAN,
    )


@settings(max_examples=150, deadline=None)
@given(
    document=round_documents(),
    firms=st.lists(FIRMS, min_size=1, max_size=2),
    owners=st.lists(st.integers(0, 1), min_size=1, max_size=3),
    pools=st.lists(PLACES, min_size=1, max_size=3),
    claims=CLAIMED,
    base_cny=st.integers(0, 8_000),
)
def test_any_programme_offers_what_the_single_case_says(document, firms, owners, pools, claims, base_cny):
    p = read(document)
    claims = [(who % len(firms), period, amount) for who, period, amount in claims]
    owners = [who % len(firms) for who in owners]
    book = small_book(
        enterprises=[{"enterprise_id": f"e{i}", **firm} for i, firm in enumerate(firms)],
        orders=[{"order_id": f"o{j}", "enterprise_id": f"e{who}"} for j, who in enumerate(owners)],
        pools=[{"pool_id": f"p{i}", **pool} for i, pool in enumerate(pools)],
        claims=[
            {"enterprise_id": f"e{who}", "programme_id": p.id, "period": period, "amount_ucny": amount * YUAN}
            for who, period, amount in claims
        ],
        further=(*FLAGS, "case"),
    )
    t = voucher_terms(book, [p], {}, domestic=DOMESTIC)
    statuses = voucher_status(book, [p], {}, domestic=DOMESTIC)["status"].to_list()
    facts = RoundFacts(book, DOMESTIC)
    names = ["good", *(c.fact for c in p.asked())]
    plain_caps = all(s.cap_ucny is None for s in p.special_rates)
    unit = p.rounding.unit_ucny
    for j, who in enumerate(owners):
        room = int(t.room_ucny[j, 0])
        answers = [
            evaluate(
                p,
                facts.of(j, q, names),
                base_cny * YUAN,
                on=DAY,
                claimed=claimed_by(claims, who),
                budget_left_ucny=int(t.budget_left_ucny[0]) if t.budget_limited[0] else None,
            )
            for q in range(len(pools))
        ]
        assert [a.share_ppm for a in answers] == shares(t)[0, j].tolist()
        for answer in answers:
            voucher = min(base_cny * answer.share_ppm, room) // unit * unit
            paid = voucher if voucher >= max(unit, int(t.minimum_ucny[0])) else 0
            # Where special cases bring caps of their own, an enterprise has the least of those of its orders and pools.
            assert paid == answer.amount_ucny if plain_caps else paid <= answer.amount_ucny
            if len(owners) == len(pools) == 1:
                assert paid == answer.amount_ucny
        if shares(t)[0, j].any():
            assert statuses[j] == ("exhausted" if room < max(1, int(t.minimum_ucny[0])) else "ok")
        else:
            assert statuses[j] in {str(a.status) for a in answers} & {"unknown", "ineligible"}


@settings(max_examples=60, deadline=None)
@given(
    several=st.lists(round_documents(), min_size=1, max_size=3),
    firms=st.lists(FIRMS, min_size=1, max_size=6),
    pools=st.lists(PLACES, min_size=1, max_size=3),
)
def test_orders_are_of_one_class_exactly_if_all_programmes_treat_them_alike(several, firms, pools):
    programmes = [read({**document, "id": f"p{k}"}) for k, document in enumerate(several)]
    book = small_book(
        enterprises=[{"enterprise_id": f"e{i}", **firm} for i, firm in enumerate(firms)],
        orders=[{"order_id": f"o{i}", "enterprise_id": f"e{i}"} for i in range(len(firms))],
        pools=[{"pool_id": f"p{i}", **pool} for i, pool in enumerate(pools)],
        further=(*FLAGS, "case"),
    )
    t = voucher_terms(book, programmes, {}, domestic=DOMESTIC)
    alone = [shares(voucher_terms(book, [p], {}, domestic=DOMESTIC))[0] for p in programmes]
    assert (shares(t) == np.stack(alone)).all()
    seen = list(dict.fromkeys(t.term_class.tolist()))
    assert seen == list(range(len(t.share_ppm)))
    assert len({rows.tobytes() for rows in t.share_ppm}) == len(t.share_ppm)


# What a round cannot work out is not offered, and says so.


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"rate": None, "amount_cny": {"amount_cny": 5, "rule": "of", **TERMS}}, "it pays a fixed amount"),
        ({"base": "investment"}, "its base is not the payment for compute"),
        (
            {
                "rate": {
                    "tiers": {
                        "method": "step",
                        "bands": [{"above_cny": 0, "share": 0.3}, {"above_cny": 9, "share": 0.2}],
                    },
                    "rule": "of",
                    **TERMS,
                }
            },
            "its rate depends on the size of the base",
        ),
        (
            {
                "pro_rata": {
                    "method": "days",
                    "from": date(2026, 1, 1),
                    "until": date(2026, 12, 31),
                    "facts": ["contract_first", "contract_last"],
                    **TERMS,
                }
            },
            "its base is cut by days of the contract",
        ),
        ({"cap": [{"amount_cny": 5, "per": "project", "period": "year", **TERMS}]}, "its cap is per project"),
        (
            {"budget": {"amount_cny": 5, "period": "year", "rule": "pro_rata", **TERMS}},
            "it cuts all claims alike when its budget runs out; give it a budget for the round",
        ),
    ],
)
def test_what_a_round_cannot_work_out_is_not_offered(changes, reason):
    p = made(**changes)
    assert status_of(book_of(), p) == {"made-up": ("not_computable", f"not offered in a round: {reason}")}
    assert not terms_of(book_of(), p).share_ppm.any()
    elsewhere = made(**changes, good="corpus")
    assert status_of(book_of(), elsewhere)["made-up"][0] == "ineligible"


def test_a_programme_that_cuts_claims_alike_is_offered_with_a_budget_of_the_round():
    p = made(budget={"amount_cny": 5, "period": "year", "rule": "pro_rata", **TERMS})
    t = terms_of(book_of(), p, budgets={"made-up": 3 * YUAN})
    assert (t.share_ppm.item(), t.budget_left_ucny.item()) == (500_000, 3 * YUAN)
    assert status_of(book_of(), p, budgets={"made-up": 3 * YUAN})["made-up"][0] == "ok"


def purse(name, *others):
    budget = {"amount_cny": 100, "period": "year", "shared_with": list(others), **TERMS}
    return made(name, budget=budget)


def test_a_purse_is_drawn_on_by_all_who_share_it():
    claims = [("e", "a", "2026", 10), ("e", "b", "2026", 20), ("e", "c", "2026", 40), ("e", "a", "2025", 7)]
    t = terms_of(book_of(claims=claims), purse("a", "b"))
    assert (t.budget_left_ucny.item(), t.share_ppm.item()) == (70 * YUAN, 500_000)


def test_of_one_purse_two_are_offered_only_with_budgets_of_the_round():
    pair, third = (purse("a", "b"), purse("b", "a")), purse("c", "d")
    said = status_of(book_of(), *pair, third)
    assert [said[name][0] for name in "abc"] == ["not_computable", "not_computable", "ok"]
    assert "shares its budget with b" in said["a"][1]
    budgets = {"a": 60 * YUAN, "b": 40 * YUAN}
    assert shares(terms_of(book_of(), *pair, budgets=budgets)).ravel().tolist() == [500_000, 500_000]
    assert shares(terms_of(book_of(), *pair, budgets={"a": 60 * YUAN})).ravel().tolist() == [500_000, 0]
    # One that is for another good, or not valid any more, draws on nothing in the round.
    corpus = made("b", good="corpus", budget={"amount_cny": 100, "period": "year", "shared_with": ["a"], **TERMS})
    assert status_of(book_of(), pair[0], corpus)["a"][0] == "ok"


# Caps.


def cap(amount, per="enterprise", period="year"):
    return {"amount_cny": amount, "per": per, "period": period, **TERMS}


@pytest.mark.parametrize(
    ("caps", "left", "room"),
    [
        ([cap(100), cap(150, period="validity")], 80, 80),
        ([cap(100), cap(110, period="validity")], 70, 70),
        ([cap(100), cap(50, per="contract")], 80, 50),
        ([cap(100), cap(95, per="contract"), cap(125, period="validity")], 80, 80),
        ([cap(50, per="contract")], None, 50),
    ],
)
def test_all_caps_hold_together(caps, left, room):
    claims = [("e", "made-up", "2026", 20), ("e", "made-up", "2025", 20)]
    t = terms_of(book_of(claims=claims), made(cap=caps))
    assert t.room_ucny.item() == room * YUAN
    assert t.cap_left_ucny.tolist() == ([] if left is None else [left * YUAN])


def special(share, cap_cny, *when):
    return {"share": share, "when": list(when), "cap_cny": cap_cny, **TERMS}


STARTUP = asked_of("startup", True, name="startup")
NEAR = asked_of("seller_province", "近省", name="near")


def test_a_special_cap_replaces_the_others_while_its_case_applies():
    p = made(cap=[cap(100), cap(40, per="contract")], special_rates=[special(0.6, 300, STARTUP)])
    t = terms_of(book_of("ef", e={"startup": True}, f={"startup": False}), p)
    assert shares(t)[0].tolist() == [[600_000], [500_000]]
    assert t.cap_left_ucny.tolist() == [300 * YUAN, 100 * YUAN]
    assert t.room_ucny.tolist() == [[300 * YUAN], [40 * YUAN]]


def test_an_enterprise_has_the_least_cap_of_its_orders_and_pools():
    p = made(cap=cap(100), special_rates=[special(0.6, 300, STARTUP), special(0.7, 200, STARTUP, NEAR)])
    mixed = book_of("ef", [("e", {"startup": True}), ("e", {}), ("f", {"startup": True})], provinces=("近省", "远省"))
    t = terms_of(mixed, p)
    assert shares(t)[0].tolist() == [[700_000, 600_000], [500_000, 500_000], [700_000, 600_000]]
    assert t.cap_left_ucny.tolist() == [100 * YUAN, 200 * YUAN]
    assert t.room_ucny.ravel().tolist() == [100 * YUAN, 100 * YUAN, 200 * YUAN]


def test_orders_and_pools_without_a_share_lower_no_cap():
    related = asked_of("related_party", False, name="unrelated")
    p = made(conditions=[NEAR, related], cap=cap(100), special_rates=[special(0.6, 300, STARTUP)])
    fit = {"related_party": False}
    orders = [("e", {**fit, "startup": True}), ("e", {"related_party": True})]
    t = terms_of(book_of("e", orders, provinces=("近省", "远省")), p)
    assert shares(t)[0].tolist() == [[600_000, 0], [0, 0]]
    assert t.cap_left_ucny.tolist() == [300 * YUAN]
    assert t.cap_index.tolist() == [[0], [-1]]


def test_a_special_cap_alone_counts_every_claim_of_the_enterprise():
    p = made(special_rates=[special(0.6, 300, STARTUP)])
    claims = [("e", "made-up", "2025", 50), ("e", "made-up", "2026", 5), ("f", "made-up", "2026", 5)]
    t = terms_of(book_of("ef", e={"startup": True}, f={"startup": False}, claims=claims), p)
    assert t.room_ucny.ravel().tolist() == [245 * YUAN, UNLIMITED]


def test_very_many_large_claims_do_not_overflow():
    claims = [("e", "made-up", "2026", 10**9)] * 10_000
    t = terms_of(book_of(claims=claims), made(cap=cap(100), budget={"amount_cny": 100, "period": "year", **TERMS}))
    assert (t.room_ucny.item(), t.budget_left_ucny.item(), t.cap_left_ucny.tolist()) == (0, 0, [0])


# What may be held together.


def test_of_a_group_and_of_programmes_that_rule_each_other_out_a_contract_uses_one():
    group = {"group": "g", "rule": "higher_counts", **TERMS}
    a, b = made("a", stacking=group), made("b", stacking=group)
    c = made("c", excludes=[{"programmes": ["d"], "scope": "contract", **TERMS}])
    d, e = made("d"), made("e", excludes=[{"group": "g", "scope": "contract", **TERMS}])
    t = terms_of(book_of(), e, d, c, b, a)
    apart = {("a", "b"), ("c", "d"), ("a", "e"), ("b", "e")}
    for i, j in itertools.product(range(5), repeat=2):
        pair = tuple(sorted(("abcde"[i], "abcde"[j])))
        assert t.together[i, j] == (i != j and pair not in apart), pair


@pytest.mark.parametrize(("counts", "ceiling"), [("all", 600_000), ("group", 1_000_000)])
def test_a_ceiling_over_a_group_is_none_in_a_round_as_of_a_group_one_is_used(counts, ceiling):
    p = made(
        combined_ceiling={"share": 0.6, "of": "base", "with": counts, **TERMS},
        stacking={"group": "g", "rule": "higher_counts", **TERMS},
    )
    t = terms_of(book_of(), p, made("other"))
    assert t.ceiling_ppm.tolist() == [ceiling, 1_000_000]


def rival(name, *others, share=0.5, **changes):
    rule = [{"programmes": list(others), "scope": "enterprise", **TERMS}] if others else []
    return made(name, excludes=rule, rate={"share": share, "rule": "of", **TERMS}, **changes)


def test_of_programmes_that_rule_each_other_out_for_an_enterprise_it_holds_the_better_one():
    local = [asked_of("city", "甲", name="local")]
    a, b, c = rival("a", "b", share=0.3), rival("b", share=0.5, conditions=local), rival("c", share=0.1)
    book = book_of("ef", [("e", {}), ("f", {}), ("e", {})], e={"city": "甲"}, f={"city": "乙"})
    t = terms_of(book, a, b, c)
    assert shares(t)[:, :, 0].tolist() == [[0, 300_000, 0], [500_000, 0, 500_000], [100_000] * 3]
    ruled_out = ("ineligible", "the enterprise holds b, and the two rule each other out")
    assert status_of(book, a, b, c)["a"] == ruled_out
    # At equal shares the first by id; where nothing is left to pay, the other.
    even = rival("b")
    assert shares(terms_of(book, rival("a", "b"), even))[:, 0, 0].tolist() == [500_000, 0]
    spent = terms_of(book, rival("a", "b"), even, budgets={"a": 0})
    assert (shares(spent)[:, 0, 0].tolist(), spent.room_ucny[0].tolist()) == ([500_000, 500_000], [0, UNLIMITED])


def test_what_an_enterprise_has_claimed_rules_out_what_may_not_be_held_beside_it():
    claims = [("e", "b", "2020", 1), ("f", "b", "2026", 0), ("g", "z", "2026", 5)]
    book = book_of("efg", claims=claims)
    better = rival("a", "b", "z", share=0.9)
    # b may not be held either beside a, whoever of the two says so: e keeps what it has claimed.
    t = terms_of(book, better, rival("b", share=0.2))
    assert shares(t)[:, :, 0].tolist() == [[0, 900_000, 0], [200_000, 0, 200_000]]
    assert status_of(book, better)["a"] == ("ineligible", "the enterprise holds b, and the two rule each other out")


# Explanations.


def test_a_group_is_named_by_what_of_it_is_not_met():
    staff, kind = asked_of("employees", 9, "at_most", "staff"), asked_of("kind", "x", name="kind")
    nested = [{"id": "both", "text": WORDS, "all": [staff, {"id": "one", "text": WORDS, "any": [kind, NEAR]}]}]
    p = made(conditions=nested)

    def said(province="远省", **firm):
        return status_of(book_of(e=firm, provinces=(province,)), p)["made-up"]

    assert said(employees=10)[1].startswith("condition staff is not met")
    assert said(employees=9, kind="y")[1].startswith("condition one is not met")
    assert said(employees=9) == ("unknown", "not known: kind")
    assert said(None) == ("unknown", "not known: employees, kind, seller_province")
    assert said("近省", employees=9, kind="y")[0] == "ok"


def test_where_only_special_cases_pay_one_of_them_has_to_be_met():
    p = made(rate=None, special_rates=[special(0.6, None, STARTUP)])
    assert status_of(book_of(e={"startup": False}), p)["made-up"] == (
        "ineligible",
        "no rate applies: none of the special cases is met",
    )
    assert status_of(book_of(), p)["made-up"] == ("unknown", "not known: startup")
    assert status_of(book_of(e={"startup": True}), p)["made-up"][0] == "ok"


def test_status_comes_in_the_order_of_orders_then_programmes():
    book = book_of("ef", [("f", {}), ("e", {}), ("f", {})])
    frame = voucher_status(book, [made("b"), made("a")], {}, domestic=DOMESTIC)
    assert frame.select("order_id", "programme_id").rows() == [
        ("o0", "a"), ("o0", "b"), ("o1", "a"), ("o1", "b"), ("o2", "a"), ("o2", "b"),
    ]  # fmt: skip


def test_every_shipped_programme_has_its_say():
    programmes = [entry.programme for entry in shipped_programmes().values()]
    frame = voucher_status(book_of("ef"), programmes, {}, domestic=DOMESTIC)
    assert frame.height == 2 * len(programmes)
    assert not (frame["detail"] == "").any()
    assert not (frame["detail"] == frame["detail_zh"]).any()
    silent = {p.id for p in programmes if p.not_computable is not None}
    said = dict(frame.select("programme_id", "status").iter_rows())
    assert {name for name in said if said[name] == Status.NOT_COMPUTABLE} >= silent
