"""The YAML cases beside each programme: all of them agree, and together they reach every limit of every programme.

The cases are read here in a few lines of their own, so that a mistake in the runner of `policy test` cannot hide one in
the rules. The expected amounts were worked out by hand from the clauses.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from importlib.resources import files
from typing import Any

import pytest
from ruamel.yaml import YAML

from dujiang.core.money import MICRO
from dujiang.policy.catalogue import shipped_programmes
from dujiang.policy.condition import Outcome
from dujiang.policy.evaluate import Binding, Claimed, Evaluation, GroupAnswer, Status, evaluate
from dujiang.policy.known_facts import known_facts
from dujiang.policy.payment import base_of
from dujiang.policy.programme import Programme, SourceStatus
from dujiang.policy.stack import Held, Offer, best_stack

SUFFIX = ".cases.yaml"
SHIPPED = {key: entry.programme for key, entry in shipped_programmes().items()}
COMPUTABLE = {key for key, programme in SHIPPED.items() if programme.not_computable is None}


@dataclass(frozen=True)
class Case:
    """One case, its defaults laid under it."""

    programme: Programme
    name: str
    on: date
    firm: Mapping[str, Any]
    spend: Mapping[str, Any]
    cap_used_ucny: int
    budget_used_ucny: int
    held: tuple[str, ...]
    together: tuple[str, ...]
    expect: Mapping[str, Any]


def _micro(value: Any) -> int:
    exact = Fraction(str(value)) * MICRO
    assert exact.denominator == 1
    return int(exact)


def _facts(stated: Mapping[str, Any]) -> dict[str, Any]:
    known = {key: value for key, value in stated.items() if value is not None}
    money = {f"{key.removesuffix('_cny')}_ucny": _micro(v) for key, v in known.items() if key.endswith("_cny")}
    return {**{key: value for key, value in known.items() if not key.endswith("_cny")}, **money}


def _read() -> Iterator[Case]:
    for level in files("dujiang.catalog").joinpath("programmes").iterdir():
        for item in sorted(level.iterdir(), key=lambda entry: entry.name):
            if item.name.endswith(SUFFIX):
                document = YAML(typ="safe", pure=True).load(item.read_text("utf-8"))
                assert item.name == f"{document['programme']}{SUFFIX}"
                yield from _cases(document)


def _cases(document: Mapping[str, Any]) -> Iterator[Case]:
    programme, under = SHIPPED[document["programme"]], document["defaults"]
    for case in document["cases"]:
        unknown = set(case) - {"name", "on", "firm", "spend", "claims", "held", "together", "expect"}
        assert not unknown, unknown
        claims = case.get("claims", {})
        yield Case(
            programme=programme,
            name=case["name"],
            on=case.get("on", under["on"]),
            firm=_facts({**under["firm"], **case.get("firm", {})}),
            spend=_facts({**under["spend"], **case.get("spend", {})}),
            cap_used_ucny=_micro(claims.get("cap_used_cny", 0)),
            budget_used_ucny=_micro(claims.get("budget_used_cny", 0)),
            held=tuple(case.get("held", ())),
            together=tuple(case.get("together", ())),
            expect=case["expect"],
        )


CASES = list(_read())
OF = {key: [case for case in CASES if case.programme.id == key] for key in COMPUTABLE}


def _evaluate(case: Case, programme: Programme) -> Evaluation:
    own = programme is case.programme
    used = case.cap_used_ucny if own else 0
    left = None
    if own and programme.budget is not None:
        left = programme.budget.amount_ucny - case.budget_used_ucny
    facts = {**case.firm, **case.spend}
    return evaluate(programme, facts, on=case.on, claimed=Claimed(*[used] * 5), budget_left_ucny=left)


def _stack(case: Case) -> dict[str, int]:
    asked = [case.programme, *(SHIPPED[key] for key in case.together)]
    offers = [Offer(programme, _evaluate(case, programme)) for programme in asked]
    facts = {**case.firm, **case.spend}
    spend = {p.base: base for p in asked if p.base is not None and (base := base_of(p, facts)) is not None}
    found = best_stack(offers, spend, [Held(key, SHIPPED[key]) for key in case.held])
    return {chosen.programme_id: chosen.amount_ucny for chosen in found.chosen}


def _unmet(found: Evaluation) -> set[str]:
    asked = [(a.group.id if isinstance(a, GroupAnswer) else a.condition.id, a.outcome) for a in found.answers]
    return {name for name, outcome in asked if outcome is Outcome.NOT_MET}


@pytest.mark.parametrize("case", CASES, ids=[f"{case.programme.id}: {case.name}" for case in CASES])
def test_a_case(case):
    found, expect = _evaluate(case, case.programme), dict(case.expect)
    got = {
        "status": found.status,
        "amount_cny": found.amount_ucny,
        "binding": found.binding,
        "share": found.share_ppm,
        "unmet": _unmet(found),
        "needs": set(found.needs_facts),
        "raises": set(found.would_raise),
    }
    assert set(expect) <= {*got, "stack"}
    assert found.status is not Status.OK or "amount_cny" in expect
    if "stack" in expect:
        assert _stack(case) == {key: _micro(value) for key, value in expect.pop("stack").items()}
    for key in ("amount_cny", "share"):
        if key in expect:
            expect[key] = _micro(expect[key])
    for key in ("unmet", "needs", "raises"):
        if key in expect:
            expect[key] = set(expect[key])
    assert {key: got[key] for key in expect} == expect
    assert found.status is Status.OK or found.amount_ucny == 0


def test_every_computable_programme_has_cases_and_no_other():
    assert {case.programme.id for case in CASES} == COMPUTABLE
    for key, cases in OF.items():
        assert len(cases) >= 5, key
        assert len({case.name for case in cases}) == len(cases), key


@pytest.mark.parametrize("key", sorted(COMPUTABLE))
def test_the_cases_reach_the_first_and_last_day(key):
    valid, days = SHIPPED[key].valid, {case.on: case.expect["status"] for case in OF[key]}
    assert days[valid.first - timedelta(days=1)] == Status.NOT_YET
    assert days[valid.first] == Status.OK
    if valid.last is not None:
        assert days[valid.last] == Status.OK
        assert days[valid.last + timedelta(days=1)] == Status.EXPIRED


@pytest.mark.parametrize("key", sorted(COMPUTABLE))
def test_the_cases_reach_every_cap_from_both_sides(key):
    programme = SHIPPED[key]
    caps = {cap.amount_ucny for cap in programme.caps} | {s.cap_ucny for s in programme.special_rates} - {None}
    paid = [(_evaluate(case, programme), case) for case in OF[key]]
    for cap in caps:
        at = [e for e, case in paid if e.binding is Binding.CAP and e.amount_ucny == cap and not case.cap_used_ucny]
        below = [e for e, _ in paid if e.binding is Binding.RATE and 0 <= cap - e.amount_ucny <= MICRO]
        assert at, cap
        assert below, cap


@pytest.mark.parametrize("key", sorted(COMPUTABLE))
def test_the_cases_empty_the_cap_and_the_budget(key):
    programme = SHIPPED[key]
    exhausted = [case for case in OF[key] if case.expect["status"] == Status.EXHAUSTED]
    assert {case.cap_used_ucny for case in exhausted} & {cap.amount_ucny for cap in programme.caps}
    if programme.budget is not None:
        assert any(case.budget_used_ucny == programme.budget.amount_ucny for case in exhausted)
        assert any(_evaluate(case, programme).binding is Binding.BUDGET for case in OF[key])


@pytest.mark.parametrize("key", sorted(COMPUTABLE))
def test_the_cases_refuse_each_condition_and_leave_one_unknown(key):
    programme = SHIPPED[key]
    alone = {next(iter(unmet)) for case in OF[key] if len(unmet := _unmet(_evaluate(case, programme))) == 1}
    assert alone >= {condition.id for condition in programme.conditions}
    assert any(case.expect["status"] == Status.UNKNOWN and case.expect["needs"] for case in OF[key])


@pytest.mark.parametrize("key", sorted(key for key in COMPUTABLE if SHIPPED[key].special_rates))
def test_the_cases_use_every_special_rate(key):
    programme = SHIPPED[key]
    paid = [found for case in OF[key] if (found := _evaluate(case, programme)).status is Status.OK]
    used = {(special.share_ppm, special.cap_ucny) for found in paid for special in found.special if special.applies}
    assert used == {(special.share_ppm, special.cap_ucny) for special in programme.special_rates}


def test_the_cases_state_known_facts_only():
    names = {fact.stored for fact in known_facts().values()}
    for case in CASES:
        assert {*case.firm, *case.spend} <= names
        assert {name for name in case.firm if name in case.spend} == set()
        assert all(known_facts()[_in_file(name)].side == "firm" for name in case.firm)
        assert all(known_facts()[_in_file(name)].side != "firm" for name in case.spend)


def _in_file(stored: str) -> str:
    return f"{stored.removesuffix('_ucny')}_cny" if stored.endswith("_ucny") else stored


def test_only_verified_rules_are_computed():
    for key in COMPUTABLE:
        assert SHIPPED[key].verified
        assert SHIPPED[key].source_status is SourceStatus.RULE
    for key, programme in SHIPPED.items():
        if programme.not_computable is not None:
            assert _evaluate_anyhow(programme).status is Status.NOT_COMPUTABLE, key
            assert programme.not_computable.en != programme.not_computable.zh


def _evaluate_anyhow(programme: Programme) -> Evaluation:
    return evaluate(programme, {"good": programme.goods[0]}, 10**12, on=date(2025, 6, 1))


def test_the_official_example_of_nanning_in_fractions():
    days, all_days = date(2025, 12, 31) - date(2025, 3, 1), date(2026, 12, 31) - date(2025, 1, 1)
    base = int(Fraction(days.days, all_days.days) * 200_000)
    case = next(case for case in OF["nn-compute-voucher-2025"] if case.name == "the official example")
    found = _evaluate(case, case.programme)
    assert (base, int(base * Fraction(3, 10))) == (83_676, 25_102)
    assert (found.counted_ucny, found.amount_ucny) == (83_676 * MICRO, 25_102 * MICRO)


def test_programmes_that_share_a_purse_name_each_other_and_hold_the_same():
    shared = {key: p.budget for key, p in SHIPPED.items() if p.budget is not None and p.budget.shared_with}
    assert shared.keys() == {"sz-corpus-voucher", "sz-open-corpus-reward"}
    for key, budget in shared.items():
        for other in budget.shared_with:
            assert key in shared[other].shared_with
            assert (shared[other].amount_ucny, shared[other].period) == (budget.amount_ucny, budget.period)


def test_references_between_programmes_hold():
    for programme in SHIPPED.values():
        named = {key for exclude in programme.excludes for key in exclude.programmes}
        named |= {key for priority in programme.priority for key in priority.programmes}
        assert named <= SHIPPED.keys()
