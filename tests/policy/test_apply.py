"""Tables: the same answers as one case after another, in whole columns."""

from collections import defaultdict
from copy import deepcopy
from datetime import UTC, date, datetime
from fractions import Fraction

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from random_programmes import PLAIN, TERMS, documents, purchases, read

from dujiang.core.text import Text
from dujiang.policy.apply import apply
from dujiang.policy.condition import judge
from dujiang.policy.evaluate import Claimed, Status, evaluate
from dujiang.policy.payment import base_of
from dujiang.policy.programme import Base, Basis, Condition, Op, Period
from dujiang.policy.serve import scaled
from dujiang.policy.stack import Held, Offer, best_stack
from dujiang.policy.table import FactTable

NAME = Text("n", "数")
FIRMS = ("a", "b")
DAYS = st.sampled_from([date(2026, 12, 30), date(2026, 12, 31), date(2027, 1, 1), date(2030, 1, 1), date(2020, 1, 1)])
COLUMNS = {
    **{f"flag_{i}": pl.Boolean() for i in range(4)},
    **dict.fromkeys(("good", "city", "enterprise_id", "contract_id", "project_id"), pl.String()),
    **dict.fromkeys(("employees", "case", "revenue_ucny", *(f"{base.value}_ucny" for base in Base)), pl.Int64()),
    **dict.fromkeys(("founded", "contract_first", "contract_last", "date"), pl.Date()),
}


def _own_share(document) -> float:
    """The highest share of a programme's own: a ceiling below that contradicts it."""
    rate = document["rate"] or {"share": 0}
    bands = rate.get("tiers", {}).get("bands", [rate])
    return max(one["share"] for one in [*bands, *(document["special_rates"] or ())])


@st.composite
def programmes(draw):
    """A few programmes that stack, exclude and limit each other."""
    made = []
    count = draw(st.integers(1, 4))
    ids = [f"k{i}" for i in range(count)]
    for name in ids:
        document = draw(documents(asking=1)) | {"id": name, "valid": {"from": date(2026, 1, 1), "until": None, **TERMS}}
        others = [other for other in ids if other != name]
        if draw(st.booleans()):
            document["stacking"] = {"group": draw(st.sampled_from("gh")), "rule": "higher_counts", **TERMS}
        if others and draw(st.integers(0, 2)) == 0:
            scope = draw(st.sampled_from(["contract", "enterprise"]))
            document["excludes"] = [{"programmes": [draw(st.sampled_from(others))], "scope": scope, **TERMS}]
        if document["base"] is not None and draw(st.integers(0, 2)) == 0:
            counts = draw(st.sampled_from(["all", "group"])) if document["stacking"] else "all"
            share = max(_own_share(document), draw(st.sampled_from([0.2, 0.5, 0.9])))
            document["combined_ceiling"] = {"share": share, "of": "base", "with": counts, **TERMS}
        made.append(document)
    return [read(document) for document in made]


@st.composite
def rows(draw):
    """A purchase with who makes it; some share a contract or a project."""
    return {
        **draw(purchases()),
        "enterprise_id": draw(st.sampled_from(FIRMS)),
        "contract_id": draw(st.none() | st.sampled_from(["c1", "c2"])),
        "project_id": draw(st.none() | st.just("p")),
        "date": draw(DAYS),
    }


def table_of(purchases_) -> FactTable:
    return FactTable(pl.DataFrame([{**dict.fromkeys(COLUMNS), **row} for row in purchases_], schema=COLUMNS))


class OneByOne:
    """Serves purchases in turn with `evaluate` and `best_stack`."""

    def __init__(self, made, claims=()):
        self.made = made
        self.used = defaultdict(int)
        self.budget = {}
        self.held = []
        for firm, programme_id, year, amount in claims:
            self._use(programme_id, firm, year, amount, "", "")
            self._spend(next(p for p in made if p.id == programme_id), year, amount)
            if amount:
                self.held.append((firm, programme_id, amount, None))

    def serve(self, number, row):
        facts = {key: value for key, value in row.items() if value is not None}
        firm, day = row["enterprise_id"], row["date"]
        contract = row["contract_id"] or number
        project = row["project_id"] or number
        offers = []
        for p in self.made:
            offers.append(
                Offer(
                    p,
                    evaluate(
                        p,
                        facts,
                        base_of(p, facts),
                        on=day,
                        claimed=self._claimed(p.id, firm, day.year, contract, project),
                        budget_left_ucny=self._left(p, day.year),
                    ),
                    self._left(p, day.year),
                )
            )
        by_id = {p.id: p for p in self.made}
        held = [
            Held(programme_id, by_id[programme_id], amount, same_contract=of == contract)
            for holder, programme_id, amount, of in self.held
            if holder == firm
        ]
        spend = {base: facts[f"{base.value}_ucny"] for base in Base if f"{base.value}_ucny" in facts}
        stack = best_stack(offers, spend, held)
        for one in stack.chosen:
            self._use(one.programme_id, firm, day.year, one.amount_ucny, contract, project)
            self._spend(by_id[one.programme_id], day.year, one.amount_ucny)
            self.held.append((firm, one.programme_id, one.amount_ucny, contract))
        return [o.evaluation for o in offers], {c.programme_id: c for c in stack.chosen}

    def _claimed(self, k, firm, year, contract, project):
        used = self.used
        return Claimed(
            used[k, firm, year],
            used[k, firm],
            used[k, firm, "contract", contract],
            used[k, firm, "project", project, year],
            used[k, firm, "project", project],
        )

    def _use(self, k, firm, year, amount, contract, project):
        for key in (
            (k, firm, year),
            (k, firm),
            (k, firm, "contract", contract),
            (k, firm, "project", project, year),
            (k, firm, "project", project),
        ):
            self.used[key] += amount

    def _key(self, p, year):
        return p.id, year if p.budget.period is Period.YEAR else None

    def _left(self, p, year):
        return None if p.budget is None else self.budget.get(self._key(p, year), p.budget.amount_ucny)

    def _spend(self, p, year, amount):
        if p.budget is not None:
            self.budget[self._key(p, year)] = self._left(p, year) - amount


CLAIMS = st.lists(
    st.tuples(st.sampled_from(FIRMS), st.just("k0"), st.sampled_from([2026, 2027]), st.integers(0, 10**9)), max_size=2
)


@settings(max_examples=120, deadline=None)
@given(programmes(), st.lists(rows(), min_size=1, max_size=6), CLAIMS)
def test_a_table_is_answered_as_one_purchase_after_another(made, bought, claims):
    frame = pl.DataFrame(
        [(f, k, str(y), a) for f, k, y, a in claims],
        schema={"enterprise_id": pl.String, "programme_id": pl.String, "period": pl.String, "amount_ucny": pl.Int64},
        orient="row",
    )
    applied = apply(made, table_of(bought), frame)
    found = {(row["row"], row["programme_id"]): row for row in applied.answers.iter_rows(named=True)}
    one_by_one = OneByOne(made, claims)
    counts = defaultdict(int)
    for number, row in enumerate(bought):
        evaluations, chosen = one_by_one.serve(number, row)
        for e in evaluations:
            mine = found.get((number, e.programme_id))
            barred = mine is not None and mine["status"] == "ok" and not mine["alone_ucny"]
            if not barred:  # what is held already rules it out, so nobody works out what it would pay
                assert (e.status is Status.OK) == (mine is not None and mine["status"] == "ok")
                assert e.amount_ucny == (0 if mine is None else mine["alone_ucny"])
                counts[e.programme_id, e.status] += 1
            paid = chosen.get(e.programme_id)
            assert (paid is not None) == (mine is not None and mine["chosen"])
            if paid is not None:
                assert (paid.amount_ucny, paid.binding.value) == (mine["amount_ucny"], mine["binding"])


def with_budget(name, rule, amount, shared_with=(), **more):
    """A programme that pays half of the contract out of a budget."""
    budget = {"amount_cny": amount, "period": "validity", "rule": rule, **TERMS}
    if shared_with:
        budget["shared_with"] = list(shared_with)
    plain = {"conditions": [], "special_rates": None, "cap": None, "minimum_cny": None, "stacking": None}
    rate = {"share": 0.5, "rule": "of", **TERMS}
    document = deepcopy(PLAIN) | plain | {"id": name, "base": "contract", "rate": rate, "budget": budget} | more
    return read(document)


def bought_for(*amounts_cny, **columns):
    """Purchases of separate firms on one day."""
    return [
        {
            "enterprise_id": f"e{i}",
            "good": "compute",
            "date": date(2026, 6, 1),
            "contract_ucny": round(amount * 1_000_000),
            **{name: values[i] for name, values in columns.items()},
        }
        for i, amount in enumerate(amounts_cny)
    ]


def paid(applied):
    return dict(zip(applied.answers["row"], applied.answers["amount_ucny"] / 1e6, strict=True))


def test_first_come_is_served_by_time_stamp_until_the_budget_is_used_up():
    frame = table_of(bought_for(100, 100, 100)).frame.with_columns(
        submitted=pl.Series([datetime(2026, 6, 1, 12, tzinfo=UTC), None, datetime(2026, 6, 1, 9, tzinfo=UTC)])
    )
    applied = apply([with_budget("k", "first_come", 80)], FactTable(frame))
    assert paid(applied) == {0: 30, 1: 0, 2: 50}
    assert applied.answers["binding"].to_list() == ["budget", "none", "rate"]
    assert applied.statuses.select("ok", "exhausted").row(0) == (2, 1)


def test_a_budget_cut_alike_for_all_is_never_overdrawn_and_leaves_less_than_a_fen_each():
    applied = apply([with_budget("k", "pro_rata", 100)], table_of(bought_for(100, 200, 300, 33.33)))
    exact = [50 * Fraction(100_000_000, 316_665_000) * n / 100 for n in (100, 200, 300, Fraction("33.33"))]
    for row, amount in paid(applied).items():
        assert 0 <= float(exact[row]) - amount < 0.01
    assert set(applied.answers["binding"]) == {"budget"}


def test_programmes_that_share_a_purse_draw_on_it_together():
    made = [with_budget("k1", "first_come", 80, ["k2"]), with_budget("k2", "first_come", 80, ["k1"])]
    applied = apply(made, table_of(bought_for(60, 60, 60)))
    assert sum(applied.answers["amount_ucny"]) == 80_000_000
    assert applied.answers.filter(pl.col("row") == 0)["amount_ucny"].sum() == 60_000_000  # both, up to the spend


def test_nothing_is_asked_of_nobody():
    applied = apply([with_budget("k", "first_come", 80)], table_of([]))
    assert applied.answers.height == 0
    assert applied.statuses["ok"].to_list() == [0]


def test_more_programmes_than_can_be_compared_are_counted():
    made = [with_budget(f"k{i:02}", "first_come", 80) for i in range(14)]
    applied = apply(made, table_of(bought_for(100)))
    assert applied.crowded == 2
    assert applied.answers["amount_ucny"].sum() == 100_000_000


@given(st.integers(0, 10**15), st.integers(0, 10**18), st.integers(1, 10**18))
def test_scaling_is_exact(amount, part, whole):
    part, whole = min(part, whole), max(part, whole)
    assert scaled(amount, part, whole) == amount * part // whole


@settings(max_examples=300)
@given(
    st.sampled_from(["is", "is_not", "at_least", "at_most", "more_than", "less_than", "in", "not_in"]),
    st.one_of(st.integers(-5, 5), st.floats(-5, 5, width=16)),
    st.lists(st.one_of(st.none(), st.integers(-5, 5), st.floats(-5, 5, width=16), st.just(float("nan"))), max_size=8),
    st.booleans(),
)
def test_numbers_compare_as_in_one_case(op, value, found, whole):
    value = [value] if op in ("in", "not_in") else value
    condition = Condition("c", "n", Op(op), tuple(value) if isinstance(value, list) else value, NAME, Basis(None, None))
    if whole:
        found = [None if n is None or n != n else int(n) for n in found]
    column = pl.Series("n", found, dtype=pl.Int64 if whole else pl.Float64, strict=False)
    table = FactTable(column.to_frame())
    assert table.outcome(condition).tolist() == [judge(condition, n) for n in column]
    assert table.outcome(condition, np.arange(0, len(found), 2)).tolist() == [judge(condition, n) for n in column[::2]]
