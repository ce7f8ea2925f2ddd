"""What earlier claims leave of caps, budgets and contracts."""

from datetime import date

import polars as pl
import pytest
from random_programmes import TERMS
from stack_samples import YUAN, plain

from dujiang.core.problem import ProblemList
from dujiang.policy.claims import Claim, Claims, Purchase, parse_claims
from dujiang.policy.payment import Claimed
from dujiang.registry.raw import RawTable

DAY = date(2026, 6, 1)
ROWS = [
    Claim("firm", "a", "2026", 1, "k1", "p1"),
    Claim("firm", "a", "2025", 2, "k2", "p1"),
    Claim("firm", "a", "2026", 4, None, None),
    Claim("other", "a", "2026", 8, "k1", "p1"),
    Claim("firm", "b", "2026", 16, "k1", None),
    Claim("other", "c", "2025", 32),
]


def test_each_cap_counts_what_it_is_about():
    found = Claims(ROWS).claimed(plain("a"), Purchase("firm", "k1", "p1", DAY))
    assert found == Claimed(5, 7, 1, 1, 3)
    assert Claims(ROWS).claimed(plain("a"), Purchase("firm", None, None, DAY)) == Claimed(5, 7, 0, 0, 0)
    assert Claims(ROWS).claimed(plain("a"), Purchase(None, "k1", "p1", DAY)) == Claimed()
    assert Claims().claimed(plain("a"), Purchase("firm", "k1", "p1", DAY)) == Claimed()


@pytest.mark.parametrize(("period", "left"), [("year", 100 * YUAN - 13), ("validity", 100 * YUAN - 15)])
def test_a_budget_counts_everybody_in_its_period(period, left):
    programme = plain("a", budget={"amount_cny": 100, "period": period, **TERMS})
    assert Claims(ROWS).budget_left_ucny(programme, DAY) == left
    assert Claims(ROWS).budget_left_ucny(plain("a"), DAY) is None


def test_a_shared_purse_counts_what_the_others_took_and_never_goes_below_nothing():
    budget = {"amount_cny": 100, "period": "year", "shared_with": ["b"], **TERMS}
    assert Claims(ROWS).budget_left_ucny(plain("a", budget=budget), DAY) == 100 * YUAN - 29
    spent = [*ROWS, Claim("x", "b", "2026", 10**12)]
    assert Claims(spent).budget_left_ucny(plain("a", budget=budget), DAY) == 0


def test_what_is_held_is_told_apart_by_contract():
    known = {"a": plain("a")}
    held = Claims([*ROWS, Claim("firm", "z", "2026", 0)]).held(Purchase("firm", "k1", None, DAY), known)
    assert [(h.programme_id, h.same_contract, h.amount_ucny) for h in held] == [
        ("a", True, 1), ("a", False, 6), ("b", True, 16),
    ]  # fmt: skip
    assert [h.programme is None for h in held] == [False, False, True]


def parsed(frame: pl.DataFrame):
    problems = ProblemList()
    found = parse_claims(RawTable("claims.csv", "csv", frame, list(range(2, frame.height + 2))), problems)
    return found, [(p.code, p.row, p.field) for p in problems]


def test_a_table_is_read_in_exact_money():
    rows = {"enterprise_id": ["firm"], "programme_id": ["a"], "period": ["2026"], "amount_cny": ["0.01"]}
    found, problems = parsed(pl.DataFrame(rows))
    assert (problems, found.claimed(plain("a"), Purchase("firm", None, None, DAY)).enterprise_year_ucny) == ([], 10_000)
    found, _ = parsed(pl.DataFrame(rows | {"contract_id": ["k1"], "project_id": [""]}))
    assert found.claimed(plain("a"), Purchase("firm", "k1", None, DAY)).contract_ucny == 10_000


def test_every_problem_is_listed():
    rows = {"enterprise_id": ["", "f"], "programme_id": ["a", "a"], "amount_cny": ["-1", "x"], "note": ["", ""]}
    found, problems = parsed(pl.DataFrame(rows))
    assert problems == [
        ("unknown-column", 1, "note"),
        ("missing-column", 1, "period"),
        ("out-of-range", 2, "amount_cny"),
        ("missing-value", 2, "enterprise_id"),
        ("bad-type", 3, "amount_cny"),
    ]
    assert found.claimed(plain("a"), Purchase("f", None, None, DAY)) == Claimed()
