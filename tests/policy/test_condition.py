from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_samples import programme

from dujiang.core.text import Text
from dujiang.policy.condition import Outcome, asked_conditions, combined, judge, parse_day
from dujiang.policy.programme import Basis, Condition, Op

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


@given(
    op=st.sampled_from(["is", "is_not", "in", "at_least", "at_most", "more_than", "less_than", "before", "after"]),
    found=ANYTHING,
    data=st.data(),
)
def test_any_fact_has_an_outcome(op, found, data):
    kinds = {"before": st.dates(), "after": st.dates(), "in": st.tuples(st.text(min_size=1))}
    ordered = st.integers() | st.floats(allow_nan=False)
    value = data.draw(kinds.get(op, ordered if "_than" in op or "at_" in op else st.booleans() | st.text(min_size=1)))
    assert judge(asking(op, value), found) in Outcome


def test_refusal_decides_before_doubt():
    assert combined([MET, UNKNOWN, NOT_MET]) is NOT_MET
    assert combined([MET, UNKNOWN]) is UNKNOWN
    assert combined([MET, MET]) is MET
    assert combined([]) is MET


def test_outcomes_have_the_words_of_the_design():
    assert [o.word for o in Outcome] == ["met", "not_met", "unknown"]


@pytest.mark.parametrize("text", ["2024-02-30", "20240201", "2024-2-1", "", "２０２４-01-01", "2024-W01-1"])
def test_only_a_plain_day_is_a_day(text):
    assert parse_day(text) is None


def test_every_programme_asks_for_its_good_first():
    asked = asked_conditions(programme())
    assert (asked[0].id, asked[0].fact, asked[0].value) == ("good", "good", "compute")
    assert [c.id for c in asked[1:]] == ["kind", "staff", "revenue", "young", "unrelated", "place"]
