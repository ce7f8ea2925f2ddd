"""Programmes of a scenario: what a change changes, and what it leaves alone."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from dujiang.core.money import MICRO
from dujiang.lab.offers import changed_by, offers_of
from dujiang.lab.scenario import ProgrammeChange
from dujiang.policy.catalogue import catalogue
from dujiang.policy.programme import BudgetRule, Method, Per, Period, Programme
from dujiang.policy.terms import VoucherTerms
from scenes import case, problems_of, scenario

DG = "dg-compute-voucher"


@cache
def shipped() -> dict[str, Programme]:
    merged, problems = catalogue()
    assert not problems
    return {key: entry.programme for key, entry in merged.on(None).items()}


def share(terms: VoucherTerms) -> int:
    return int(terms.share_ppm.max())


def test_nothing_changed_is_nothing_changed() -> None:
    for programme in shipped().values():
        assert changed_by(programme, ProgrammeChange(programme.id)) == programme


@pytest.mark.parametrize("programme_id", sorted(k for k, p in shipped().items() if p.special_rates or p.rate))
def test_a_rate_replaces_all_shares(programme_id: str) -> None:
    programme = shipped()[programme_id]
    changed = changed_by(programme, ProgrammeChange(programme_id, rate_ppm=250_000))
    assert changed.rate is not None
    assert (changed.rate.share_ppm, changed.rate.tiers, changed.special_rates) == (250_000, None, ())
    assert replace(changed, rate=programme.rate, special_rates=programme.special_rates) == programme


def test_a_tier_for_small_firms_counts_above_the_rate_only() -> None:
    programme = shipped()[DG]
    tier = changed_by(programme, ProgrammeChange(DG, rate_ppm=500_000, small_firm_rate_ppm=700_000)).special_rates
    assert [(case.share_ppm, case.when[0].id) for case in tier] == [(700_000, "small_firm")]
    for small in (0, 500_000):
        assert not changed_by(programme, ProgrammeChange(DG, rate_ppm=500_000, small_firm_rate_ppm=small)).special_rates


def test_a_cap_per_enterprise_keeps_its_period_and_the_other_caps() -> None:
    for programme in shipped().values():
        changed = changed_by(programme, ProgrammeChange(programme.id, cap_ucny=7 * MICRO))
        mine = [cap for cap in changed.caps if cap.per is Per.ENTERPRISE]
        assert [cap.amount_ucny for cap in mine] == [7 * MICRO]
        before = [cap for cap in programme.caps if cap.per is Per.ENTERPRISE]
        assert mine[0].period is (before[0].period if len(before) == 1 else Period.YEAR)
        assert [c for c in changed.caps if c.per is not Per.ENTERPRISE] == [
            c for c in programme.caps if c.per is not Per.ENTERPRISE
        ]
        assert all(case.cap_ucny is None for case in changed.special_rates)


def test_a_budget_is_for_the_run_and_for_one_programme() -> None:
    for programme in shipped().values():
        budget = changed_by(programme, ProgrammeChange(programme.id, budget_ucny=9 * MICRO)).budget
        assert budget is not None
        assert (budget.amount_ucny, budget.period, budget.shared_with) == (9 * MICRO, Period.VALIDITY, ())
        assert budget.rule in (BudgetRule.FIRST_COME, BudgetRule.CLEARING)


def test_what_the_change_says_reaches_the_terms(tmp_path: Path) -> None:
    c = case(tmp_path, {"programmes": [{"id": DG, "rate": 0.3, "cap_cny": 70, "budget_cny": 90}]})
    assert share(c.terms) == 300_000
    assert c.terms.budget_left_ucny.tolist() == [90 * MICRO]
    assert set(c.terms.cap_left_ucny.tolist()) == {70 * MICRO}
    assert set(c.terms.room_ucny.ravel().tolist()) == {70 * MICRO}
    assert c.programmes[DG].rate is not None
    assert c.programmes[DG].rate.share_ppm == 300_000


def test_small_firms_get_their_rate(tmp_path: Path) -> None:
    programme = {"id": DG, "rate": 0.3, "small_firm": {"rate": 0.6, "employees_max": 60}}
    c = case(tmp_path, {"programmes": [programme], "firms.count": 40})
    staff = c.book.enterprises["employees"].to_numpy()[c.jobs.firm]
    got = c.terms.share_ppm[c.terms.term_class, 0, 0]
    assert (got == [600_000 if each <= 60 else 300_000 for each in staff]).all()
    assert len(set(got.tolist())) == 2


def test_a_rate_of_zero_pays_nobody(tmp_path: Path) -> None:
    c = case(tmp_path, {"programmes.0.rate": 0})
    assert c.terms.programme_ids == (DG,)
    assert share(c.terms) == 0


def test_a_programme_that_nobody_meets_is_an_answer(tmp_path: Path) -> None:
    c = case(tmp_path, {"firms.kinds": {"enterprise": 1}})
    assert share(c.terms) == 0


def test_a_programme_that_waits_for_facts_is_a_problem_with_its_place(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, {"firms.facts": {"self_built": False}})
    assert [(p.code, p.row, p.field) for p in problems] == [("not-offered", 13, "programmes.0")]
    assert "via_platform" in problems[0].expected.en
    # With a rate of zero, too: a study shall not fail at some of its points only.
    assert problems_of(tmp_path, {"firms.facts": {"self_built": False}, "programmes.0.rate": 0}) == problems


def test_a_programme_that_is_not_in_force_is_a_problem(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, {"start": "2024-11-03T00:00:00+08:00"})
    assert [(p.code, p.field) for p in problems] == [("not-offered", "programmes.0")]
    assert "2025-03-01" in problems[0].expected.en


def test_a_programme_that_is_not_there_is_named_where_it_stands(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, {"programmes": [{"id": DG}, {"id": "dg-compute-vouche"}]})
    assert [(p.code, p.file, p.field) for p in problems] == [("no-such-programme", "scenario.yaml", "programmes.1.id")]
    assert problems[0].fix is not None
    assert DG in problems[0].fix.en


def test_a_file_of_ones_own_counts_beside_the_catalogue(tmp_path: Path) -> None:
    source = Path(__file__).parents[2] / "src/dujiang/catalog/programmes/city/dg-compute-voucher.yaml"
    (tmp_path / "own.yaml").write_text(source.read_text().replace("share: 0.5", "share: 0.4"))
    found = offers_of(scenario(tmp_path, {"programmes": [{"file": "own.yaml", "cap_cny": 5}]}))
    assert list(found.programmes) == [DG]
    assert found.programmes[DG].rate is not None
    assert found.programmes[DG].rate.share_ppm == 400_000
    assert found.files.keys() == {f"programmes/{DG}.yaml"}


def test_two_files_of_one_name_are_two_programmes(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "src/dujiang/catalog/programmes/city/dg-compute-voucher.yaml").read_text()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "own.yaml").write_text(text.replace("id: dg-compute-voucher", f"id: own-{name}"))
    found = offers_of(scenario(tmp_path, {"programmes": [{"file": "a/own.yaml"}, {"file": "b/own.yaml"}]}))
    assert list(found.programmes) == ["own-a", "own-b"]


def test_tiers_of_the_catalogue_are_offered_once_a_rate_replaces_them(tmp_path: Path) -> None:
    tiered = [p.id for p in shipped().values() if p.rate is not None and p.rate.tiers is not None]
    assert all(shipped()[name].rate.tiers.method in Method for name in tiered)
    changed = [changed_by(shipped()[name], ProgrammeChange(name, rate_ppm=1)) for name in tiered]
    assert all(p.rate is not None and p.rate.tiers is None for p in changed)
