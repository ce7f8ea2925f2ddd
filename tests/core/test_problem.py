import pytest
from hypothesis import given
from hypothesis import strategies as st

from dujiang.core.errors import InputError, OperationError
from dujiang.core.problem import Problem, ProblemList, shown, sorted_problems
from dujiang.core.text import Text

NUMBER = Text("a number", "数")


def problem(
    code: str = "bad", file: str = "f.csv", row: int | None = 1, field: str | None = "c", found: str = "x"
) -> Problem:
    return Problem(code, file, row, field, found, NUMBER)


PROBLEMS = st.builds(
    problem,
    st.sampled_from("ab"),
    st.sampled_from(["f", "g"]),
    st.none() | st.integers(1, 40),
    st.none() | st.sampled_from("cd"),
    st.sampled_from("xy"),
)


def test_a_text_has_two_languages() -> None:
    assert (NUMBER.say("en"), NUMBER.say("zh")) == ("a number", "数")


@pytest.mark.parametrize(
    "row, field, where", [(3, "c", "f.csv:3:c"), (3, None, "f.csv:3"), (None, "c", "f.csv::c"), (None, None, "f.csv")]
)
def test_where(row: int | None, field: str | None, where: str) -> None:
    assert problem(row=row, field=field).where == where


def test_a_problem_in_both_languages_and_as_a_document() -> None:
    whole = Problem("bad", "f.csv", 3, "c", "'x'", NUMBER, Text("correct it", "请更正"))
    assert whole.say() == "f.csv:3:c: found 'x', expected a number; correct it"
    assert whole.say("zh") == "f.csv:3:c: 发现 'x', 应为 数; 请更正"
    assert whole.as_dict() == {
        "code": "bad",
        "file": "f.csv",
        "row": 3,
        "field": "c",
        "found": "'x'",
        "expected": "a number",
        "expected_zh": "数",
        "fix": "correct it",
        "fix_zh": "请更正",
    }


def test_a_problem_never_moves_the_cursor() -> None:
    line = problem(file="a\nb\x1b[31m", field="c\u202e\t").say()
    assert line == "a\\nb\\x1b[31m:1:c\\x202e\\x09: found x, expected a number"


@pytest.mark.parametrize(
    "value, text",
    [
        (None, "nothing"),
        ("", "nothing"),
        ("a", "'a'"),
        ("a\nb", "'a\\nb'"),
        ("\x00", "'\\x00'"),
        (1.5, "1.5"),
        (False, "False"),
        (0, "0"),
    ],
)
def test_shown(value: object, text: str) -> None:
    assert shown(value) == text


def test_a_number_that_python_refuses_to_write_out_is_shown_all_the_same() -> None:
    assert shown(10**5000) == shown([-(10**5000)]) == "a very large number"


@given(st.text() | st.integers() | st.floats() | st.binary() | st.lists(st.text()), st.integers(2, 80))
def test_whatever_is_shown_is_one_short_line(value: object, width: int) -> None:
    text = shown(value, width)
    assert text.isprintable()
    assert 0 < len(text) <= max(width, len("nothing"))


@given(st.lists(PROBLEMS))
def test_reading_order_does_not_depend_on_the_order_of_finding(problems: list[Problem]) -> None:
    ordered = sorted_problems(problems)
    assert ordered == sorted_problems(reversed(problems))
    assert set(ordered) == set(problems)
    assert [p.file for p in ordered] == sorted(p.file for p in ordered)


@given(st.lists(PROBLEMS, max_size=60), st.integers(1, 4))
def test_none_is_lost_and_few_are_listed(problems: list[Problem], per_kind: int) -> None:
    collected = ProblemList(per_kind)
    collected.extend(problems)
    assert len(collected) == len(problems)
    assert bool(collected) == bool(problems)
    listed = list(collected)
    counted = [p for p in listed if p.found.endswith("more of the same")]
    for code, file, field in {(p.code, p.file, p.field) for p in problems}:
        of_kind = sum((p.code, p.file, p.field) == (code, file, field) for p in problems)
        more = [p.found for p in counted if (p.code, p.file, p.field) == (code, file, field)]
        assert more == ([f"{of_kind - per_kind} more of the same"] if of_kind > per_kind else [])
    assert listed[len(listed) - len(counted) :] == counted


def test_errors_carry_exit_codes_and_words() -> None:
    refused = InputError([problem(), problem(row=2)])
    assert (refused.exit_code, len(refused.problems)) == (1, 2)
    assert str(refused).splitlines()[1] == "f.csv:2:c: found x, expected a number"
    failed = OperationError(Text("disk full", "磁盘已满"))
    assert (failed.exit_code, str(failed), failed.say("zh")) == (3, "disk full", "磁盘已满")
