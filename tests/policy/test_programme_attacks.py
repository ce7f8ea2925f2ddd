"""A programme file is data: nothing in it runs, reads or hangs, whatever its bytes are."""

import sys
from copy import deepcopy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_samples import EVERYTHING, changed, programme
from random_programmes import purchases
from test_payment import DAY

from dujiang.policy.catalogue import read_programme
from dujiang.policy.evaluate import evaluate
from dujiang.policy.shape import MAX_BYTES

RIGHT = EVERYTHING.encode()
N = 20_000

HOSTILE = {
    "an alias that stands for billions": "a: &a [x, x]\n" + "".join(f"b{i}: &b{i} [*a, *a]\n" for i in range(40)),
    "an anchor": "id: &x made-up",
    "a merged alias": "base: &b {a: 1}\nrate: {<<: *b}",
    "python to run": '!!python/object/apply:os.system ["touch ran"]',
    "python to import": "!!python/module:antigravity",
    "a python name": "id: !!python/name:os.system",
    "an object": "!!python/object/new:subprocess.Popen [[ls]]",
    "a file to include": "id: !include /etc/passwd",
    "a tag of its own": "%TAG ! tag:example,2026:\n---\nid: !x y",
    "lists in lists": "[" * N,
    "lists in lists, closed": "[" * (N // 2) + "]" * (N // 2),
    "mappings in mappings": "{a: " * (N // 4),
    "merges in merges": "<<: " + "{<<: " * (N // 6),
    "a block in a block": "\n".join(" " * i + "a:" for i in range(350)),
    "dashes in dashes": "- " * (N // 2),
    "questions in questions": "? " * (N // 2),
    "a long integer": "id: " + "9" * N,
    "a long hexadecimal": "version: 0x" + "f" * N,
    "a long exponent": "verified: 1e" + "9" * N,
    "a long fraction": "verified: 0." + "1" * N,
    "sixties": "%YAML 1.1\n---\nid: " + ":".join(["59"] * (N // 3)),
    "a long key": "a" * N + ": 1",
    "a long quoted key": '"' + "a" * N + '": 1',
    "a long text": "id: '" + "''" * (N // 2) + "'",
    "escapes": 'id: "' + "\\u4e2d" * (N // 6) + '"',
    "half a character": 'id: "\\ud800"',
    "many keys": "\n".join(f"k{i}: 1" for i in range(2_000)),
    "one key many times": "id: x\n" * 3_000,
    "many empty mappings": "conditions: [" + "{}," * (N // 4) + "]",
    "many members": "conditions: [{id: a, text: {zh: a, en: a}, any: [" + "{}," * (N // 4) + "]}]",
    "many values": "conditions: [{id: a, fact: b, op: in, value: [" + "1," * (N // 3) + "]}]",
    "many documents": "---\n" * (N // 4),
    "a set": "!!set {a, b}",
    "ordered pairs": "!!omap [a: 1]",
    "bytes": "id: !!binary aGVsbG8=",
    "numbers that are none": "id: .nan\nversion: .inf",
    "nothing": "",
    "a comment": "# nothing",
    "nul": "\0",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=list(HOSTILE))
def test_a_hostile_file_is_refused(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    assert len(text.encode()) <= MAX_BYTES
    entry, problems = read_programme("p.yaml", text.encode())
    assert entry is None
    assert problems
    assert all(p.say("en") and p.say("zh") for p in problems[:50])
    assert list(tmp_path.iterdir()) == []
    assert not (set(sys.modules) - before) & {"antigravity", "webbrowser"}


def test_a_file_as_large_as_allowed_is_read_and_a_larger_one_is_not_opened():
    filled = RIGHT + b"#" * (MAX_BYTES - len(RIGHT))
    assert read_programme("p.yaml", filled)[0] is not None
    entry, problems = read_programme("p.yaml", filled + b"#")
    assert entry is None
    assert [(p.code, p.found) for p in problems] == [("too-large", f"{MAX_BYTES + 1} bytes")]


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_read_without_raising(data):
    entry, problems = read_programme("p.yaml", data)
    assert entry is None
    assert problems


PIECES = [
    *(
        b"",
        b"&a ",
        b"*a",
        b"!!",
        b"- ",
        b": ",
        b"{",
        b"}",
        b"[",
        b"]",
        b"\n",
        b"  ",
        b"#",
        b"|",
        b">",
        b"%",
        b"'",
        b'"',
    ),
    *(b"\xff", b"\xef\xbb\xbf", b"null", b"true", b"-1", b"0", b".inf", b"1e400", b"2026-02-30", b"<<: ", b"any: "),
]
EDITS = st.tuples(st.integers(0, len(RIGHT)), st.integers(0, 30), st.sampled_from(PIECES))


@settings(max_examples=40, deadline=None)
@given(edits=st.lists(EDITS, min_size=1, max_size=4), facts=purchases())
def test_a_damaged_file_is_refused_or_can_be_evaluated(edits, facts):
    content = RIGHT
    for at, length, piece in edits:
        content = content[:at] + piece + content[at + length :]
    entry, problems = read_programme("p.yaml", content)
    assert (entry is None) == bool(problems)
    if entry is not None:
        evaluate(entry.programme, deepcopy(facts), on=DAY)


ANY_FACT = (
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | st.text(max_size=20) | st.dates()
    | st.datetimes() | st.lists(st.integers(), max_size=2)
)  # fmt: skip
WHOLE = programme(EVERYTHING)
NAMES = [condition.fact for condition in WHOLE.asked()]
ASKED = st.sampled_from([*NAMES, "good", "settled_ucny", "contract_first", "contract_last"])


@settings(max_examples=200, deadline=None)
@given(facts=st.dictionaries(ASKED, ANY_FACT))
def test_any_facts_are_answered(facts):
    found = evaluate(WHOLE, facts, on=DAY)
    assert found.amount_ucny >= 0


def test_no_clause_can_reach_out_of_its_file():
    text = changed(("text: 样例条款", "text: '{{ 7*7 }} ${HOME} $(id) %s {0.__class__}'"))
    entry, _ = read_programme("p.yaml", text.encode())
    assert entry.programme.clauses[0].text == "{{ 7*7 }} ${HOME} $(id) %s {0.__class__}"
