"""The published schema: what the parser goes by, never stricter, and strict wherever a mistake is one of form."""

import json
from copy import deepcopy
from datetime import date
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from policy_samples import EVERYTHING, MADE_UP, changed
from random_programmes import documents
from ruamel.yaml import YAML
from test_parse_programme import DOCUMENT, FIXED, FURTHER_MISTAKES, MISTAKES, NESTED

from dujiang.core.marked import Marked, read_yaml
from dujiang.policy.catalogue import shipped_programmes
from dujiang.policy.parse import parse_programme
from dujiang.policy.schema import programme_schema, schema_text

VALIDATOR = Draft202012Validator(programme_schema())
SHIPPED = list(shipped_programmes().values())
OF_FORM = {
    *("unknown-field", "missing-field", "missing-clause", "unknown-word", "bad-type", "bad-value", "bad-share"),
    *(
        "bad-amount",
        "bad-id",
        "bad-fact",
        "bad-number",
        "bad-date",
        "too-deep",
        "contradictory-group",
        "not-computable",
    ),
    *("contradictory-exclude", "duplicate-value"),
}
"""Codes of mistakes that a schema can see; the others say that two parts of a file contradict each other."""
BEYOND_A_SCHEMA = ("2026-13-01", "0.33333333", ".nan", "amount_cny: 0.001")
"""Days that the calendar lacks, numbers with too many decimals, and what is no number at all."""


def as_json(value):
    """Turn YAML values into those of JSON; days become texts."""
    if isinstance(value, dict):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_json(item) for item in value]
    return value.isoformat() if isinstance(value, date) else value


def accepts(document):
    return VALIDATOR.is_valid(as_json(document))


def parses(document):
    return parse_programme(Marked("p.yaml", document))[0] is not None


def load(text):
    return YAML(typ="safe", pure=True).load(text)


def test_the_published_file_is_the_one_that_the_parser_goes_by():
    published = files("dujiang.catalog").joinpath("data", "programme.schema.json").read_text("utf-8")
    assert published == schema_text(), "write schema_text() to catalog/data/programme.schema.json"
    Draft202012Validator.check_schema(json.loads(published))


@pytest.mark.parametrize("entry", SHIPPED, ids=lambda e: e.programme.id)
def test_every_shipped_file_fits_the_schema(entry):
    marked, _ = read_yaml(entry.file, entry.content.decode())
    assert [error.message for error in VALIDATOR.iter_errors(as_json(marked.value))] == []


@pytest.mark.parametrize("text", [MADE_UP, EVERYTHING, FIXED], ids=["made-up", "everything", "fixed"])
def test_the_samples_fit_the_schema(text):
    assert accepts(load(text))


@settings(max_examples=60, deadline=None)
@given(documents())
def test_what_the_parser_reads_fits_the_schema(document):
    assert parses(document)
    assert accepts(document)


@pytest.mark.parametrize(
    ("text", "old", "new", "code"),
    [(MADE_UP, *m[:3]) for m in MISTAKES if m[2] in OF_FORM]
    + [(EVERYTHING, *m[:3]) for m in FURTHER_MISTAKES if m[2] in OF_FORM],
)
def test_a_mistake_of_form_is_seen_by_the_schema_too(text, old, new, code):
    assert not parses(load(changed((old, new), text=text)))
    assert accepts(load(changed((old, new), text=text))) == any(part in new for part in BEYOND_A_SCHEMA)


SOURCES = [DOCUMENT, load(EVERYTHING), load(FIXED), *(load(e.content.decode()) for e in SHIPPED)]


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_what_the_schema_refuses_the_parser_refuses(data):
    document = place = deepcopy(data.draw(st.sampled_from(SOURCES)))
    while True:
        key = data.draw(st.sampled_from(sorted(place, key=str) if isinstance(place, dict) else range(len(place))))
        if isinstance(place[key], dict | list) and place[key] and data.draw(st.booleans()):
            place = place[key]
            continue
        change = data.draw(st.sampled_from(["value", "leaf", "drop", "field"]))
        if change == "drop":
            del place[key]
        elif change == "field" and isinstance(place, dict):
            place[data.draw(st.sampled_from(["share", "clause", "text", "level", "any", "x"]))] = data.draw(NESTED)
        else:
            place[key] = data.draw(NESTED if change == "value" else SMALL)
        break
    if not accepts(document):
        assert not parses(document)


SMALL = st.sampled_from([0, 1, -1, 0.5, 2.0, True, False, None, "", " ", "terms", "rule", "of", [], {}, "x" * 5000])
