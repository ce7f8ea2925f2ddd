import itertools
from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_samples import EVERYTHING, programme

from dujiang.core.text import Text
from dujiang.policy.condition import Outcome, asked_conditions, combined, judge, outcome_of, parse_day
from dujiang.policy.programme import Basis, Condition, ConditionGroup, How, Op, leaves

MET, NOT_MET, UNKNOWN = Outcome.MET, Outcome.NOT_MET, Outcome.UNKNOWN


def asking(op: str, value: object) -> Condition:
    return Condition("c", "fact", Op(op), value, Text("en", "zh"), Basis("terms", None))


@pytest.mark.parametrize(
    ("op", "value", "found", "outcome"),
    [
        ("is", True, True, MET),
        ("is", True, False, NOT_MET),
        ("is", True, None, UNKNOWN),
        ("is", False, None, UNKNOWN),
        ("is", True, " TRUE ", MET),
        ("is", False, "yes", UNKNOWN),
        ("is", True, 1, UNKNOWN),
        ("is", 1, True, UNKNOWN),
        ("is", "深圳", "深圳", MET),
        ("is", "深圳", " 深圳 ", MET),
        ("is", "深圳", "广州", NOT_MET),
        ("is", "深圳", "", UNKNOWN),
        ("is", "5", 5, UNKNOWN),
        ("is_not", "深圳", "广州", MET),
        ("is_not", "深圳", "深圳", NOT_MET),
        ("is_not", "深圳", None, UNKNOWN),
        ("in", ("a", "b"), "b", MET),
        ("in", ("a", "b"), "c", NOT_MET),
        ("in", ("a", "b"), None, UNKNOWN),
        ("in", (1, 2), "2", MET),
        ("not_in", ("a", "b"), "b", NOT_MET),
        ("not_in", ("a", "b"), "c", MET),
        ("not_in", ("a", "b"), None, UNKNOWN),
        ("not_in", ("a", "b"), 5, UNKNOWN),
        ("exists", True, "c", MET),
        ("exists", True, False, MET),
        ("exists", True, 0, MET),
        ("exists", True, None, NOT_MET),
        ("exists", True, "  ", NOT_MET),
        ("exists", True, float("nan"), NOT_MET),
        ("exists", False, None, MET),
        ("exists", False, 0, NOT_MET),
        ("at_least", 5, 4, NOT_MET),
        ("at_least", 5, 5, MET),
        ("at_most", 5, 5, MET),
        ("at_most", 5, 6, NOT_MET),
        ("more_than", 5, 5, NOT_MET),
        ("more_than", 5, 5.5, MET),
        ("less_than", 5, 5, NOT_MET),
        ("less_than", 5, "4.5", MET),
        ("less_than", 5, "-4", MET),
        ("less_than", 5, "many", UNKNOWN),
        ("less_than", 5, float("nan"), UNKNOWN),
        ("less_than", 5, float("-inf"), UNKNOWN),
        ("before", date(2025, 1, 2), date(2025, 1, 1), MET),
        ("before", date(2025, 1, 2), date(2025, 1, 2), NOT_MET),
        ("after", date(2025, 1, 2), date(2025, 1, 2), NOT_MET),
        ("after", date(2025, 1, 2), "2025-01-03", MET),
        ("after", date(2025, 1, 2), "03/01/2025", UNKNOWN),
        ("after", date(2025, 1, 2), datetime(2025, 1, 3, tzinfo=UTC), UNKNOWN),
        ("is", date(2025, 1, 2), 20250102, UNKNOWN),
    ],
)
def test_judge(op, value, found, outcome):
    assert judge(asking(op, value), found) is outcome


ANYTHING = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.lists(st.integers())


@settings(deadline=None)
@given(op=st.sampled_from(list(Op)), found=ANYTHING, data=st.data())
def test_any_fact_has_an_outcome(op, found, data):
    words = st.tuples(st.text(min_size=1))
    kinds = {"before": st.dates(), "after": st.dates(), "in": words, "not_in": words, "exists": st.booleans()}
    ordered = st.integers() | st.floats(allow_nan=False)
    value = data.draw(kinds.get(op, ordered if "_than" in op or "at_" in op else st.booleans() | st.text(min_size=1)))
    outcome = judge(asking(op, value), found)
    assert outcome in Outcome
    assert op != "exists" or outcome is not UNKNOWN


def test_refusal_decides_before_doubt():
    assert combined([MET, UNKNOWN, NOT_MET]) is NOT_MET
    assert combined([MET, UNKNOWN]) is UNKNOWN
    assert combined([MET, MET]) is MET
    assert combined([]) is MET


@pytest.mark.parametrize(
    ("outcomes", "any_", "none"),
    [
        ([MET, UNKNOWN, NOT_MET], MET, NOT_MET),
        ([UNKNOWN, NOT_MET], UNKNOWN, UNKNOWN),
        ([NOT_MET, NOT_MET], NOT_MET, MET),
        ([], NOT_MET, MET),
    ],
)
def test_of_any_and_none_one_that_is_met_decides(outcomes, any_, none):
    assert (combined(outcomes, How.ANY), combined(outcomes, How.NONE)) == (any_, none)


# Each leaf asks a fact of its own, so that what is unknown of one says nothing of the others.
TREES = st.recursive(
    st.none(),
    lambda inner: st.tuples(st.sampled_from(list(How)), st.lists(inner, min_size=1, max_size=3)),
    max_leaves=6,
)


def built(tree, count):
    if tree is None:
        return Condition(f"c{next(count)}", f"fact_{next(count)}", Op.IS, True, Text("e", "z"), Basis("terms", None))
    how, members = tree
    return ConditionGroup(f"g{next(count)}", how, tuple(built(m, count) for m in members), Text("e", "z"))


@settings(deadline=None)
@given(tree=TREES, data=st.data())
def test_a_group_is_unknown_exactly_if_what_is_missing_could_decide_it(tree, data):
    asked = built(tree, itertools.count())
    names = [c.fact for c in leaves((asked,))]
    facts = {name: value for name in names if (value := data.draw(st.none() | st.booleans())) is not None}
    missing = [name for name in names if name not in facts]
    possible = {
        outcome_of(asked, {**facts, **dict(zip(missing, values, strict=True))})
        for values in itertools.product([True, False], repeat=len(missing))
    }
    assert UNKNOWN not in possible
    assert outcome_of(asked, facts) is (possible.pop() if len(possible) == 1 else UNKNOWN)


def test_outcomes_have_the_words_of_the_design():
    assert [o.word for o in Outcome] == ["met", "not_met", "unknown"]


@pytest.mark.parametrize("text", ["2024-02-30", "20240201", "2024-2-1", "", "２０２４-01-01", "2024-W01-1"])
def test_only_a_plain_day_is_a_day(text):
    assert parse_day(text) is None


def test_every_programme_asks_for_its_good_first():
    asked = asked_conditions(programme())
    assert (asked[0].id, asked[0].fact, asked[0].value) == ("good", "good", "compute")
    assert [c.id for c in asked[1:]] == ["kind", "staff", "revenue", "young", "unrelated", "place"]


def test_a_programme_for_several_goods_asks_for_one_of_them():
    good = asked_conditions(programme(EVERYTHING))[0]
    assert [judge(good, found) for found in ("compute", "model", "corpus", None)] == [MET, MET, NOT_MET, UNKNOWN]
