import string
from datetime import date
from io import StringIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from dujiang.core.marked import read_yaml
from dujiang.core.text import Text

WORDS = st.text(string.ascii_lowercase, min_size=1, max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | WORDS | st.text("甲乙 '\"#:-\n", max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=12,
)


def places(value: Any, path: str) -> list[tuple[str, Any]]:
    """Return each path of a value, with what stands there."""
    here = [(path, value)]
    if isinstance(value, dict):
        for key, inner in value.items():
            here += places(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            here += places(inner, f"{path}.{index}" if path else str(index))
    return here


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(WORDS, VALUES, max_size=4))
def test_values_are_those_of_yaml_and_each_has_its_line(document: dict[str, Any]) -> None:
    stream = StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    # Equal values must not become one anchor.
    yaml.representer.ignore_aliases = lambda data: True
    yaml.dump(document, stream)
    lines = stream.getvalue().splitlines()
    marked, problems = read_yaml("f.yaml", stream.getvalue())
    assert problems == []
    assert marked is not None
    assert marked.value == document
    for path, _ in places(document, ""):
        line = marked.lines[path]
        assert 1 <= line <= len(lines)
        key = path.rpartition(".")[2]
        if key and not key.isdigit():
            assert lines[line - 1].lstrip("- ").startswith((key, f"'{key}'", f'"{key}"', "?")), (path, line)


def test_a_problem_stands_at_its_path_or_the_nearest_above() -> None:
    marked, _ = read_yaml("f.yaml", "a:\n  b:\n    - x\n    - c: 1\n")
    assert marked is not None
    expected = Text("y", "y")
    rows = {path: marked.problem("bad", path, 1, expected).row for path in ("", "a", "a.b.1.c", "a.b.9.z", "z")}
    assert rows == {"": 1, "a": 1, "a.b.1.c": 4, "a.b.9.z": 2, "z": None}
    assert marked.problem("bad", "", None, expected).field is None


def test_an_empty_document_is_nothing() -> None:
    assert read_yaml("f.yaml", "# nothing\n") == (read_yaml("f.yaml", "")[0], [])


def test_days_are_days() -> None:
    marked, _ = read_yaml("f.yaml", "a: 2024-02-29")
    assert marked is not None
    assert marked.value == {"a": date(2024, 2, 29)}


@pytest.mark.parametrize(
    "text, line, found",
    [
        ("a: 1\nb: &x 2", 2, "anchor"),
        ("a: *x", 1, "anchor"),
        ("a: &x [*x]", 1, "anchor"),
        ("a: 1\nb: 2024-02-30", 2, "no timestamp"),
        ("a: 1\nb: 2024-02-20T00:00:00+99:00", 2, "no timestamp"),
        ("a: !!bool abc", 1, "no bool"),
        ("a: !!int", 1, "no int"),
        ("a: !!float ''", 1, "no float"),
        (f"a: 1\n\nb: {'9' * 5000}", 3, "no int"),
        ("a: 1\nb: !!python/object:os.system ls", 2, "constructor"),
        ("a: 1\nb: !own x", 2, "constructor"),
        ("? {a: 1}\n: 2", 1, "unhashable"),
        ("a: 1\n<<: 3", 2, "merging"),
        ("a: 1\nb: a\x00b", 2, "U+0000"),
        ("a: \ud800", 1, "U+D800"),
        ('a: 1\nb: "\\uD800"', 2, "surrogate"),
        ('a: "\\UFFFFFFFF"', None, "too large"),
        ("[" * 1500, None, "nested"),
        ("a: 1\n\tb: 2", 2, "\\t"),
        ("a: [1", 1, "expected"),
        ("a: 1\n---\nb: 2", 2, "another document"),
        ("%YAML 9.9\n---\na: 1", 1, "version"),
    ],
)
def test_what_is_no_document_of_ours(text: str, line: int | None, found: str) -> None:
    marked, problems = read_yaml("f.yaml", text)
    assert marked is None
    assert [(p.code, p.file, p.row) for p in problems] == [("bad-yaml", "f.yaml", line)]
    assert found in problems[0].found


def test_keys_that_come_twice_are_all_listed() -> None:
    marked, problems = read_yaml("f.yaml", "a: 1\nb:\n  c: 1\n  c: 2\na: 3\n")
    assert marked is None
    assert [(p.code, p.row, p.field) for p in problems] == [("duplicate-key", 4, "b.c"), ("duplicate-key", 5, "a")]


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40) | st.text("ab:-?!&*[]{}#|>'\"%@\n\t 0~<", max_size=25))
def test_any_text_is_a_document_or_has_problems(text: str) -> None:
    marked, problems = read_yaml("f.yaml", text)
    assert (marked is None) == bool(problems)
