import time
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_samples import MADE_UP, changed, programme, small_book

from dujiang.policy.catalogue import shipped_programmes
from dujiang.policy.condition import asked_conditions
from dujiang.policy.evaluate import Status, evaluate
from dujiang.policy.explain import voucher_status
from dujiang.policy.facts import RoundFacts
from dujiang.policy.offer import UNLIMITED
from dujiang.policy.payment import Claimed
from dujiang.policy.terms import voucher_terms

YUAN = 10**6
FIT = {
    "kind": "enterprise",
    "employees": 20,
    "revenue_ucny": YUAN * 10**6,
    "founded": date(2024, 5, 1),
    "startup": False,
}
NEAR = {"province": "近省"}
CAP = "cap: {amount_cny: 1000, per: enterprise, period: year, clause: terms}"
BUDGET = "budget: {amount_cny: 5000, period: year, clause: terms}"


def one_book(*, enterprise=None, order=None, pool=None, **more):
    return small_book(
        enterprises=[{"enterprise_id": "e", **FIT, **(enterprise or {})}],
        orders=[{"order_id": "o", "enterprise_id": "e", "related_party": False, **(order or {})}],
        pools=[{"pool_id": "p", **NEAR, **(pool or {})}],
        further=("startup",),
        **more,
    )


def terms_of(book, *programmes, budgets=None, domestic=None):
    return voucher_terms(book, programmes or [programme()], budgets or {}, domestic=domestic or {"a": False})


def status_of(book, *programmes, budgets=None, domestic=None):
    return voucher_status(book, programmes or [programme()], budgets or {}, domestic=domestic or {"a": False})


def said(status, row=0):
    return status.row(row, named=True)


def shares(terms):
    """Return (K, J, P), the shares order by order."""
    return terms.share_ppm[terms.term_class].swapaxes(0, 1)


def test_an_eligible_order_gets_the_share_and_the_room():
    t = terms_of(one_book())
    assert t.programme_ids == ("made-up",)
    assert (t.share_ppm.tolist(), t.term_class.tolist()) == ([[[500_000]]], [0])
    assert (t.share_ppm.dtype, t.term_class.dtype) == (np.int64, np.int32)
    assert (t.budget_left_ucny.tolist(), t.budget_limited.tolist()) == ([5000 * YUAN], [True])
    assert t.minimum_ucny.tolist() == [10 * YUAN]
    assert t.room_ucny.tolist() == [[1000 * YUAN]]
    assert (t.cap_index.tolist(), t.cap_left_ucny.tolist()) == ([[0]], [1000 * YUAN])
    assert (t.cap_programme.tolist(), t.cap_enterprise.to_list()) == ([0], ["e"])
    assert (t.together.tolist(), t.ceiling_ppm.tolist()) == ([[False]], [1_000_000])
    assert said(status_of(one_book()))["status"] == "ok"


@pytest.mark.parametrize(
    ("change", "domestic", "share"),
    [
        ({"order": {"startup": True}}, False, 600_000),
        ({"enterprise": {"startup": True}}, False, 600_000),
        ({"order": {"startup": True, "gpus": 8}}, True, 700_000),
        ({"order": {"startup": True, "gpus": 7}}, True, 600_000),
        ({"order": {"gpus": 8}}, False, 500_000),
    ],
)
def test_special_rates_depend_on_order_and_pool(change, domestic, share):
    assert terms_of(one_book(**change), domestic={"a": domestic}).share_ppm.item() == share


@pytest.mark.parametrize(
    ("change", "status", "detail"),
    [
        ({"enterprise": {"kind": "maker"}}, "ineligible", "condition kind is not met: the applicant"),
        ({"enterprise": {"kind": None}}, "unknown", "not known: kind"),
        ({"enterprise": {"employees": 501}}, "ineligible", "condition staff is not met: few staff"),
        ({"order": {"related_party": True}}, "ineligible", "condition unrelated is not met: not related"),
        ({"order": {"related_party": None}}, "unknown", "not known: related_party"),
        ({"pool": {"province": "远省"}}, "ineligible", "condition place is not met: not far"),
        ({"pool": {"province": None}}, "unknown", "not known: seller_province"),
        (
            {"enterprise": {"kind": None, "founded": None}, "pool": {"province": None}},
            "unknown",
            "not known: kind, founded, seller_province",
        ),
        (
            {"enterprise": {"kind": None, "employees": 501}},
            "ineligible",
            "condition staff is not met: few staff; not known: kind",
        ),
        ({"day": date(2025, 12, 31)}, "not_yet", "valid from 2026-01-01"),
        ({"day": date(2027, 1, 1)}, "expired", "valid until 2026-12-31"),
    ],
)
def test_the_first_thing_in_the_way_is_named(change, status, detail):
    book = one_book(**change)
    assert terms_of(book).share_ppm.item() == 0
    told = said(status_of(book))
    assert (told["order_id"], told["programme_id"]) == ("o", "made-up")
    assert (told["status"], told["detail"]) == (status, detail)
    assert told["detail_zh"] != detail


@pytest.mark.parametrize("day", [date(2026, 1, 1), date(2026, 12, 31)])
def test_the_first_and_the_last_day_count(day):
    assert terms_of(one_book(day=day)).share_ppm.item() == 500_000


def test_one_pool_that_fits_is_enough():
    book = small_book(
        enterprises=[{"enterprise_id": "e", **FIT}],
        orders=[{"order_id": "o", "enterprise_id": "e", "related_party": False}],
        pools=[{"pool_id": f"p{i}", "province": name} for i, name in enumerate(["远省", "近省", None])],
    )
    assert terms_of(book).share_ppm.tolist() == [[[0, 500_000, 0]]]
    assert said(status_of(book))["status"] == "ok"


def test_a_pool_of_which_too_little_is_known_comes_before_one_that_is_refused():
    book = small_book(
        enterprises=[{"enterprise_id": "e", **FIT}],
        orders=[{"order_id": "o", "enterprise_id": "e", "related_party": False}],
        pools=[{"pool_id": "p1", "province": "远省"}, {"pool_id": "p2", "province": None}],
    )
    told = said(status_of(book))
    assert (told["status"], told["detail"]) == ("unknown", "not known: seller_province")


def test_a_programme_for_another_good_or_one_that_cannot_be_computed_offers_nothing():
    other = programme(changed(("id: made-up", "id: other"), ("good: compute", "good: corpus")))
    vague = programme(
        changed(("id: made-up", "id: vague"), ("not_computable: null", "not_computable: {zh: 无, en: no dates}"))
    )
    t = terms_of(one_book(), vague, other)
    assert t.programme_ids == ("other", "vague")
    assert not t.share_ppm.any()
    status = status_of(one_book(), vague, other)
    assert [said(status, k)["status"] for k in (0, 1)] == ["ineligible", "not_computable"]
    assert said(status, 1)["detail"] == "no dates"


CLAIMS = [
    {"enterprise_id": "e", "programme_id": "made-up", "period": "2026", "amount_ucny": 300 * YUAN},
    {"enterprise_id": "e", "programme_id": "made-up", "period": "2026", "amount_ucny": 50 * YUAN},
    {"enterprise_id": "e", "programme_id": "made-up", "period": "2025", "amount_ucny": 200 * YUAN},
    {"enterprise_id": "e", "programme_id": "another", "period": "2026", "amount_ucny": 900 * YUAN},
    {"enterprise_id": "f", "programme_id": "made-up", "period": "2026", "amount_ucny": 4000 * YUAN},
]


@pytest.mark.parametrize(
    ("changes", "override", "cap_left", "budget_left", "room"),
    [
        ((), None, 650, 650, 650),
        ((), 550, 650, 550, 550),
        ((), 10_000, 650, 10_000, 650),
        ((), 0, 650, 0, 0),
        (((CAP, CAP.replace("year", "validity")),), None, 450, 650, 450),
        (((BUDGET, BUDGET.replace("year", "validity")),), None, 650, 450, 450),
        (((BUDGET, "budget: null"),), None, 650, None, 650),
        (((BUDGET, "budget: null"),), 450, 650, 450, 450),
        (((CAP, CAP.replace("enterprise", "contract")),), None, None, 650, 650),
        (((CAP, CAP.replace("enterprise", "contract").replace("1000", "70")),), None, None, 650, 70),
        (((CAP, "cap: null"),), None, None, 650, 650),
        (((CAP, "cap: null"), (BUDGET, "budget: null")), None, None, None, None),
        (((CAP, CAP.replace("1000", "100")),), None, 0, 650, 0),
    ],
)
def test_claims_leave_room(changes, override, cap_left, budget_left, room):
    # f has no order, but its claims are on the same budget.
    book = small_book(
        enterprises=[{"enterprise_id": name, **FIT} for name in "ef"],
        orders=[{"order_id": "o", "enterprise_id": "e", "related_party": False}],
        pools=[{"pool_id": "p", **NEAR}],
        claims=CLAIMS,
    )
    budgets = {"made-up": None if override is None else override * YUAN}
    t = terms_of(book, programme(changed(*changes)), budgets=budgets)
    assert t.cap_left_ucny.tolist() == ([] if cap_left is None else [cap_left * YUAN])
    assert t.cap_index.item() == (-1 if cap_left is None else 0)
    assert t.budget_left_ucny.item() == (UNLIMITED if budget_left is None else budget_left * YUAN)
    assert t.budget_limited.item() == (budget_left is not None)
    assert t.room_ucny.item() == (UNLIMITED if room is None else room * YUAN)
    told = said(status_of(book, programme(changed(*changes)), budgets=budgets))
    assert told["status"] == ("exhausted" if room == 0 else "ok")


def test_room_below_the_minimum_claim_is_exhausted():
    assert said(status_of(one_book(), budgets={"made-up": 10 * YUAN}))["status"] == "ok"
    assert said(status_of(one_book(), budgets={"made-up": 10 * YUAN - 1}))["status"] == "exhausted"


def test_the_year_is_that_of_the_day_in_shanghai():
    new_year = date(2027, 1, 1)  # slot 0 starts at 16:00 UTC of 2026-12-31
    p = programme(changed(("until: 2026-12-31", "until: 2027-12-31")))
    claims = [{**CLAIMS[0], "period": "2026"}, {**CLAIMS[1], "period": "2027"}]
    assert terms_of(one_book(day=new_year, claims=claims), p).cap_left_ucny.tolist() == [950 * YUAN]


def test_orders_of_one_contract_share_a_number():
    contracts = [("e", "k1"), ("f", "k1"), ("e", None), ("e", "k1"), ("e", None)]
    book = small_book(
        enterprises=[{"enterprise_id": "e"}, {"enterprise_id": "f"}],
        orders=[{"order_id": f"o{i}", "enterprise_id": e, "contract_id": c} for i, (e, c) in enumerate(contracts)],
        pools=[{"pool_id": "p"}],
    )
    assert terms_of(book).contract_index.tolist() == [0, 1, 2, 0, 3]


def test_caps_stand_by_programme_and_enterprise():
    book = small_book(
        enterprises=[{"enterprise_id": name, **FIT, "employees": 501 if name == "d" else 1} for name in "abcd"],
        orders=[
            {"order_id": str(i), "enterprise_id": name, "related_party": related}
            for i, (name, related) in enumerate([("c", False), ("a", False), ("d", False), ("c", True)])
        ],
        pools=[{"pool_id": "p", **NEAR}],
        claims=[{"enterprise_id": "c", "programme_id": "z", "period": "2026", "amount_ucny": 4 * YUAN}],
    )
    without = programme(changed(("id: made-up", "id: m"), (CAP, "cap: null")))
    t = terms_of(book, programme(changed(("id: made-up", "id: z"))), without, programme())
    assert t.programme_ids == ("m", "made-up", "z")
    assert t.cap_enterprise.to_list() == ["a", "c", "a", "c"]
    assert t.cap_programme.tolist() == [1, 1, 2, 2]
    assert t.cap_left_ucny.tolist() == [1000 * YUAN, 1000 * YUAN, 1000 * YUAN, 996 * YUAN]
    # d may use nothing, and neither may an order of c that is related to its seller: no cap is kept for them.
    assert t.cap_index.tolist() == [[-1, 1, 3], [-1, 0, 2], [-1, -1, -1], [-1, -1, -1]]
    assert t.room_ucny[:, 2].tolist() == [996 * YUAN, 1000 * YUAN, 1000 * YUAN, 996 * YUAN]


@pytest.mark.parametrize("programmes", [[], [programme()]])
@pytest.mark.parametrize(("orders", "pools"), [(0, 0), (0, 1), (1, 0)])
def test_nothing_asked_or_nothing_offered(programmes, orders, pools):
    book = small_book(
        enterprises=[{"enterprise_id": "e"}],
        orders=[{"order_id": "o", "enterprise_id": "e"}] * orders,
        pools=[{"pool_id": "p"}] * pools,
    )
    t = voucher_terms(book, programmes, {}, domestic={})
    assert t.share_ppm.shape == (orders, len(programmes), pools)
    assert t.room_ucny.shape == t.cap_index.shape == (orders, len(programmes))
    assert t.term_class.tolist() == t.contract_index.tolist() == [0] * orders
    assert voucher_status(book, programmes, {}, domestic={}).height == len(programmes) * orders


maybe_bool = st.none() | st.booleans()
ENTERPRISES = st.fixed_dictionaries(
    {
        "kind": st.sampled_from([None, "enterprise", "university", "maker"]),
        "employees": st.sampled_from([None, 499, 500, 501]),
        "revenue_ucny": st.sampled_from([None, 2 * 10**12 - 1, 2 * 10**12]),
        "founded": st.sampled_from([None, date(2020, 1, 1), date(2020, 1, 2)]),
        "startup": st.sampled_from([None, "true", "false", "?"]),
    }
)
ORDERS = st.fixed_dictionaries({"gpus": st.integers(7, 9), "startup": maybe_bool, "related_party": maybe_bool})
POOLS = st.fixed_dictionaries(
    {"province": st.sampled_from([None, "近省", "远省"]), "accelerator": st.sampled_from(["a", "b", "c"])}
)
AMOUNTS = st.sampled_from([0, 10 * YUAN - 1, 10 * YUAN, 990 * YUAN, 1000 * YUAN, 4990 * YUAN, 6000 * YUAN])
MODEL = programme()
ALL_FACTS = [c.fact for c in asked_conditions(MODEL)] + [c.fact for s in MODEL.special_rates for c in s.when]


@settings(max_examples=150, deadline=None)
@given(
    enterprises=st.lists(ENTERPRISES, min_size=1, max_size=3),
    orders=st.lists(st.tuples(st.integers(0, 2), ORDERS), min_size=1, max_size=4),
    pools=st.lists(POOLS, min_size=1, max_size=3),
    claims=st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["2025", "2026"]), AMOUNTS), max_size=3),
    declared=st.fixed_dictionaries({}, optional={"related_party": st.booleans(), "kind": st.just("university")}),
    day=st.sampled_from([date(2025, 12, 31), date(2026, 1, 1), date(2026, 12, 31), date(2027, 1, 1)]),
    base=st.integers(0, 3000 * YUAN),
)
def test_a_round_offers_what_the_single_case_says(enterprises, orders, pools, claims, declared, day, base):
    n = len(enterprises)
    book = small_book(
        enterprises=[{"enterprise_id": f"e{i}", **row} for i, row in enumerate(enterprises)],
        orders=[{"order_id": f"o{i}", "enterprise_id": f"e{e % n}", **row} for i, (e, row) in enumerate(orders)],
        pools=[{"pool_id": f"p{i}", **row} for i, row in enumerate(pools)],
        claims=[
            {"enterprise_id": f"e{e % n}", "programme_id": "made-up", "period": period, "amount_ucny": amount}
            for e, period, amount in claims
        ],
        facts=declared,
        day=day,
        further=("startup",),
    )
    domestic = {"a": True, "b": False}
    t = voucher_terms(book, [MODEL], {}, domestic=domestic)
    status = voucher_status(book, [MODEL], {}, domestic=domestic)
    facts = RoundFacts(book, domestic)
    budget = int(t.budget_left_ucny[0])
    for j, (e, _) in enumerate(orders):
        claimed = sum(amount for who, period, amount in claims if who % n == e % n and period == "2026")
        answers = [
            evaluate(
                MODEL,
                facts.of(j, p, ALL_FACTS),
                base,
                on=day,
                claimed=Claimed(enterprise_year_ucny=claimed),
                budget_left_ucny=budget,
            )
            for p in range(len(pools))
        ]
        assert [a.share_ppm for a in answers] == shares(t)[0, j].tolist()
        room = int(t.room_ucny[j, 0])
        assert all(a.amount_ucny <= min(room, base * a.share_ppm // YUAN) for a in answers)
        for answer, share in zip(answers, shares(t)[0, j].tolist(), strict=True):
            voucher = min(base * share // YUAN, room)
            assert (answer.status is Status.OK) == (share > 0 and voucher // 10_000 * 10_000 >= 10 * YUAN)
            if answer.status is Status.OK:
                assert 0 <= voucher - answer.amount_ucny < 10_000
        best = said(status, j)["status"]
        if best in ("ok", "exhausted"):
            assert shares(t)[0, j].any()
            assert best == ("exhausted" if room < 10 * YUAN else "ok")
        else:
            assert not shares(t)[0, j].any()
            assert best in {str(a.status) for a in answers}


def large_book(orders=5000, pools=24, enterprises=1500):
    kinds, cities = ["manufacturing_enterprise", "enterprise", "university"], ["东莞", "深圳", "郑州", "北京"]
    firms = [
        {"enterprise_id": f"e{i}", "kind": kinds[i % 3], "city": cities[i % 4], "employees": i % 900, "x": i}
        for i in range(enterprises)
    ]
    wanted = [
        {
            "order_id": f"o{i:05}",
            "enterprise_id": f"e{i * 7 % enterprises}",
            "gpus": 1 + i % 64,
            "startup": i % 3 == 0,
            "purpose": "training" if i % 2 else "inference",
            "related_party": i % 5 == 0 or None,
        }
        for i in range(orders)
    ]
    offered = [
        {"pool_id": f"p{i}", "province": f"省{i % 9}", "cluster": "qy" if i % 6 == 0 else None} for i in range(pools)
    ]
    return small_book(
        enterprises=firms,
        orders=wanted,
        pools=offered,
        day=date(2025, 9, 1),
        facts={"via_platform": True},
        further=("x",),
    )


def test_a_large_round_takes_less_than_a_second():
    book = large_book(100_000)
    programmes = [
        shipped_programmes()[name].programme
        for name in ("dg-compute-voucher", "sz-training-voucher", "sh-compute-voucher-2025", "hn-compute-voucher-2025")
    ]
    programmes.append(programme(MADE_UP.replace("from: 2026", "from: 2025")))
    voucher_terms(book, programmes, {}, domestic={})  # the first call pays for imports and caches
    begun = time.process_time()
    t = voucher_terms(book, programmes, {}, domestic={})
    assert time.process_time() - begun < 1.0
    assert t.term_class.shape == (100_000,)
    assert 2 < len(t.share_ppm) < 50
    assert t.share_ppm.shape[1:] == (5, 24)
    assert t.share_ppm.any(axis=(0, 2)).sum() > 1
