import re
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dujiang.core.marked import read_yaml
from dujiang.core.money import MICRO
from dujiang.policy.condition import Outcome
from dujiang.policy.ladder import Stand, ladder, parse_ladder, standings
from dujiang.policy.programme import leaves

TEXT = files("dujiang.catalog").joinpath("data/ladder.yaml").read_text("utf-8")
BY_ID = {step.id: step for step in ladder()}

TECH_SME = {
    "registered_in_mainland": True,
    "employees": 500,
    "revenue_ucny": 200_000_000 * MICRO,
    "assets_ucny": 200_000_000 * MICRO,
    "banned_business": False,
    "serious_incident": False,
    "tech_sme_score": 60,
    "tech_sme_staff_score": 0.01,
}
"""Each number at its limit."""
HIGH_TECH = {
    "age_years": 1,
    "owns_core_ip": True,
    "in_supported_tech_field": True,
    "tech_staff_share": 0.1,
    "revenue_ucny": 50_000_000 * MICRO,
    "rd_share_3_years": 0.05,
    "rd_domestic_share": 0.6,
    "high_tech_income_share": 0.6,
    "innovation_evaluation_passed": True,
    "serious_incident": False,
}
SPECIALISED = {
    "certified_innovative_sme": True,
    "niche_market_years": 2,
    "rd_spend_ucny": 1_000_000 * MICRO,
    "rd_share": 0.03,
    "revenue_ucny": 10_000_000 * MICRO,
    "specialised_score": 60,
}
LITTLE_GIANT = {
    "certified_specialised_sme": True,
    "niche_market_years": 3,
    "main_business_share": 0.7,
    "main_business_growth_2_years": 0.05,
    "core_information_system": True,
    "management_certified": True,
    "debt_ratio": 0.7,
    "niche_market_share": 0.1,
    "own_brand": True,
    "rd_institution": True,
    "class_1_ip": 2,
    "revenue_ucny": 100_000_000 * MICRO,
    "rd_share_least_2_years": 0.03,
}


def _stand(step, facts):
    return {answer.step.id: answer for answer in standings(facts)}[step].stand


def _parse(text):
    marked, problems = read_yaml("ladder.yaml", text)
    assert marked is not None, problems
    return parse_ladder(marked)


def test_the_steps_and_their_order():
    assert {step.id: step.after for step in ladder()} == {
        "start-up": None,
        "tech-sme": "start-up",
        "high-tech": "tech-sme",
        "innovative-sme": None,
        "specialised-sme": "innovative-sme",
        "little-giant": "specialised-sme",
        "single-champion": None,
        "unicorn": None,
    }
    for step in ladder():
        assert (step.after_basis is None) is (step.after is None)
        assert bool(step.conditions) or step.left_open is not None
        assert {c.basis.clause for c in leaves(step.conditions)} <= {clause.key for clause in step.clauses}
        assert step.clauses
    assert not re.search(r"https?:|www\.", TEXT)


@pytest.mark.parametrize(
    ("step", "facts", "at_best"),
    [
        ("tech-sme", TECH_SME, Stand.WITHIN_REACH),
        ("high-tech", HIGH_TECH, Stand.WITHIN_REACH),
        ("specialised-sme", SPECIALISED, Stand.WITHIN_REACH),
        # The excerpt of its standard ends early: more is asked than could be read.
        ("little-giant", LITTLE_GIANT, Stand.OPEN),
    ],
)
def test_a_firm_at_each_limit_fits_and_a_step_beyond_it_does_not(step, facts, at_best):
    assert _stand(step, facts) is at_best
    for name, value in facts.items():
        without = {key: v for key, v in facts.items() if key != name}
        assert _stand(step, without) is Stand.UNKNOWN, name
        if isinstance(value, bool):
            assert _stand(step, {**facts, name: not value}) is Stand.NOT_YET, name
        elif name in ("revenue_ucny", "specialised_score"):
            continue  # one of several ways; see below
        elif name in ("employees", "assets_ucny", "debt_ratio"):
            assert _stand(step, {**facts, name: value * 1.01}) is Stand.NOT_YET, name
        else:
            assert _stand(step, {**facts, name: value - 0.01 if value <= 1 else value - 1}) is Stand.NOT_YET, name


@pytest.mark.parametrize(
    ("sales", "share", "stand"),
    [
        (50_000_000, 0.05, Stand.WITHIN_REACH),
        (50_000_000, 0.049, Stand.NOT_YET),
        (50_000_001, 0.04, Stand.WITHIN_REACH),
        (200_000_000, 0.039, Stand.NOT_YET),
        (200_000_001, 0.03, Stand.WITHIN_REACH),
        (200_000_001, 0.029, Stand.NOT_YET),
    ],
)
def test_research_of_a_high_tech_firm_goes_with_its_sales(sales, share, stand):
    assert _stand("high-tech", {**HIGH_TECH, "revenue_ucny": sales * MICRO, "rd_share_3_years": share}) is stand


@pytest.mark.parametrize(
    ("changes", "stand"),
    [
        ({"revenue_ucny": 99_999_999 * MICRO}, Stand.NOT_YET),
        ({"revenue_ucny": 99_999_999 * MICRO, "rd_share_least_2_years": 0.06}, Stand.OPEN),
        ({"revenue_ucny": 50_000_000 * MICRO, "rd_share_least_2_years": 0.06}, Stand.OPEN),
        ({"revenue_ucny": 49_999_999 * MICRO, "rd_share_least_2_years": 0.5}, Stand.UNKNOWN),
        (
            {
                "revenue_ucny": 49_999_999 * MICRO,
                "equity_raised_2_years_ucny": 80_000_000 * MICRO,
                "rd_spend_ucny": 30_000_000 * MICRO,
                "rd_staff_share": 0.5,
            },
            Stand.OPEN,
        ),
    ],
)
def test_research_of_a_little_giant_goes_with_its_sales(changes, stand):
    assert _stand("little-giant", {**LITTLE_GIANT, **changes}) is stand


def test_one_of_several_merits_is_enough():
    small = {key: value for key, value in SPECIALISED.items() if key not in ("revenue_ucny", "specialised_score")}
    assert _stand("specialised-sme", {**small, "equity_raised_2_years_ucny": 60_000_000 * MICRO}) is Stand.WITHIN_REACH
    refused = {"top_science_award_3_years": False, "maker_contest_top_500": False, "rd_spend_mean_2_years_ucny": 0}
    refused["equity_raised_2_years_ucny"] = 59_999_999 * MICRO
    assert _stand("specialised-sme", {**SPECIALISED, **refused}) is Stand.WITHIN_REACH
    assert _stand("specialised-sme", {**SPECIALISED, **refused, "specialised_score": 59}) is Stand.NOT_YET
    poor = {**SPECIALISED, "revenue_ucny": 9_999_999 * MICRO}
    assert _stand("specialised-sme", {**poor, "equity_raised_2_years_ucny": 20_000_000 * MICRO}) is Stand.WITHIN_REACH
    assert _stand("specialised-sme", {**poor, "equity_raised_2_years_ucny": 19_999_999 * MICRO}) is Stand.NOT_YET
    assert _stand("tech-sme", {**TECH_SME, "revenue_ucny": 200_000_001 * MICRO}) is Stand.NOT_YET
    assert _stand("innovative-sme", {"certified_high_tech": True}) is Stand.WITHIN_REACH
    assert _stand("innovative-sme", {"equity_raised_3_years_ucny": 5_000_000 * MICRO}) is Stand.WITHIN_REACH
    assert _stand("innovative-sme", {"sme_score": 90, "sme_innovation_score": 19}) is Stand.UNKNOWN


def test_a_title_that_is_held_is_not_judged_and_those_below_are_passed():
    found = {answer.step.id: answer for answer in standings({"certified_little_giant": True})}
    assert found["little-giant"].stand is Stand.HELD
    assert found["little-giant"].needs_facts == ()
    assert [found[key].stand for key in ("specialised-sme", "innovative-sme")] == [Stand.PASSED] * 2
    assert {key for key, answer in found.items() if answer.is_next} == {"tech-sme"}


def test_a_kind_is_a_title_too_and_the_next_step_is_the_one_above():
    found = {answer.step.id: answer for answer in standings({"kind": "tech_sme"})}
    assert found["tech-sme"].stand is Stand.HELD
    assert {key for key, answer in found.items() if answer.is_next} == {"high-tech", "innovative-sme"}
    assert _stand("tech-sme", {"certified_tech_sme": "true"}) is Stand.HELD
    assert _stand("tech-sme", {"certified_tech_sme": False, "employees": 501}) is Stand.NOT_YET


def test_where_two_steps_stand_on_one_the_other_is_next():
    steps, problems = _parse(
        TEXT.replace("{step: specialised-sme, clause: path}", "{step: innovative-sme, clause: path}")
    )
    assert problems == []
    found = {a.step.id: a for a in standings({"certified_little_giant": True}, steps)}
    assert found["innovative-sme"].stand is Stand.PASSED
    assert found["specialised-sme"].is_next


def test_only_what_is_missing_is_asked_for():
    known = {key: value for key, value in HIGH_TECH.items() if key not in ("rd_share_3_years", "age_years")}
    found = {answer.step.id: answer for answer in standings(known)}["high-tech"]
    assert found.needs_facts == ("age_years", "rd_share_3_years")


def test_a_step_without_conditions_says_why():
    start = TEXT.index("    left_open:")
    end = TEXT.index("  - id: tech-sme")
    _, problems = _parse(TEXT[:start] + "    left_open: null\n" + TEXT[end:])
    assert [(p.code, p.field) for p in problems] == [("bad-value", "steps.0.left_open")]


def test_a_step_that_is_only_named_cannot_be_judged():
    for step in ("start-up", "single-champion", "unicorn"):
        assert _stand(step, {}) is Stand.NOT_DEFINED
        assert _stand(step, {BY_ID[step].fact: True}) is Stand.HELD


FACTS = {**TECH_SME, **HIGH_TECH, **SPECIALISED, **LITTLE_GIANT}


@given(
    st.dictionaries(st.sampled_from(sorted(FACTS)), st.booleans()),
    st.sets(st.sampled_from(sorted(FACTS))),
)
@settings(max_examples=200, deadline=None)
def test_to_know_more_never_turns_an_answer_round(changed, known):
    full = {key: _other(value) if changed.get(key) else value for key, value in FACTS.items()}
    less = {key: value for key, value in full.items() if key in known}
    settled = {Stand.NOT_YET, Stand.WITHIN_REACH, Stand.OPEN}
    for before, after in zip(standings(less), standings(full), strict=True):
        if before.stand in settled and after.stand in settled:
            assert before.stand is after.stand
        if before.stand is Stand.UNKNOWN:
            assert before.needs_facts


def _other(value):
    return not value if isinstance(value, bool) else value / 2


def test_every_answer_gives_each_condition_its_outcome():
    for answer in standings(TECH_SME):
        assert [item for item, _ in answer.outcomes] == list(answer.step.conditions)
        assert set(answer.needs_facts) <= set(answer.step.facts())
    tech = standings(TECH_SME)[1]
    assert {outcome for _, outcome in tech.outcomes} == {Outcome.MET}


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("track: technology", "track: technolgy", "unknown-word"),
        ("{step: innovative-sme, clause: path}", "{step: inovative-sme, clause: path}", "no-such-step"),
        ("id: tech-sme", "id: start-up", "duplicate-id"),
        ("clause: articles", "clause: article", "no-such-clause"),
        ("valid_years: 3", "valid_years: three", "bad-number"),
        ("    fact: unicorn\n", "", "missing-field"),
        ("    fact: unicorn\n", "    fact: Unicorn\n", "bad-fact"),
        ("{id: sales, fact: revenue_cny", "{id: staff, fact: revenue_cny", "duplicate-id"),
        ("op: at_most, value: 500,", "op: at_most, value: many,", "bad-value"),
        ("level: nation", "level: planet", "unknown-word"),
        ("version: 2026-11-22", "version: soon", "bad-date"),
    ],
)
def test_a_mistake_is_a_problem_with_its_line(old, new, code):
    assert old in TEXT
    _, problems = _parse(TEXT.replace(old, new, 1))
    assert code in {problem.code for problem in problems}
    assert all(problem.row for problem in problems)


@pytest.mark.parametrize(
    "text", ["steps: []\nversion: 2026-01-01\n", "[]\n", "steps: 3\nversion: 2026-01-01\n", "a: 1\n"]
)
def test_no_document_raises(text):
    steps, problems = _parse(text)
    assert steps == ()
    assert problems or "steps: []" in text
