"""The published JSON Schema of a product file, for editors and for whoever checks files without dujiang.

It is made from the same fields, words and limits as the parser and is the weaker of the two: whatever it refuses the
parser refuses, too. `catalog/data/product.schema.json` holds the same document as a file; a test keeps the two equal.
"""

import json
from typing import Any

from dujiang.core.money import MAX_UCNY, MICRO
from dujiang.finance.instrument import Kind, Repayment
from dujiang.finance.parse_product import MAX_MULTIPLE, MAX_TERM_MONTHS, PRODUCT, TERM
from dujiang.finance.product import TERMS
from dujiang.policy import shape
from dujiang.policy.programme import Level, Quality
from dujiang.policy.schema import programme_schema
from dujiang.policy.shape import Shape

Node = dict[str, Any]

_NULL: Node = {"type": "null"}
_TEXT: Node = {"type": "string", "minLength": 1, "maxLength": shape.MAX_TEXT, "pattern": r"\S"}
_NAME: Node = {**_TEXT, "maxLength": shape.MAX_NAME}
_OF_KIND: dict[str, Node] = {
    "share": {"type": ["number", "string"], "minimum": 0, "maximum": 1},
    "multiple": {"type": ["number", "string"], "exclusiveMinimum": 0, "maximum": MAX_MULTIPLE},
    "money": {"type": ["number", "string"], "minimum": 0, "maximum": MAX_UCNY // MICRO},
    "months": {"type": "integer", "minimum": 0, "maximum": MAX_TERM_MONTHS},
    "flag": {"type": "boolean"},
    "name": _NAME,
    "names": {"type": "array", "items": _NAME, "minItems": 1, "maxItems": shape.MAX_ITEMS, "uniqueItems": True},
    "repayment": {"enum": [word.value for word in Repayment]},
}


def product_schema() -> Node:
    """Return the schema as a document, JSON Schema draft 2020-12."""
    text_or_null = {"anyOf": [_NULL, _TEXT]}
    both_or_null = {"anyOf": [_NULL, _both()]}
    fields: dict[str, Node] = {
        "id": {"type": "string", "pattern": f"^{shape.ID.pattern}$", "maxLength": shape.MAX_NAME},
        "version": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
        "name": _both(),
        "kind": {"enum": [None, *(kind.value for kind in Kind)]},
        "issuer": _TEXT,
        "document": text_or_null,
        "dated": {"anyOf": [_NULL, {"type": ["string", "integer"]}]},
        "jurisdiction": _mapping(
            shape.JURISDICTION,
            {"level": {"enum": [level.value for level in Level]}, "province": text_or_null, "city": text_or_null},
        ),
        "facts": {"type": "array", "items": _TEXT, "minItems": 1, "maxItems": shape.MAX_ITEMS},
        "verified": {"type": "boolean"},
        "confidence": {"enum": list(shape.CONFIDENCE)},
        "clauses": {
            "type": "object",
            "minProperties": 1,
            "maxProperties": shape.MAX_ITEMS,
            "additionalProperties": _clause(),
        },
        "conditions": {"type": "array", "items": {"$ref": "#/$defs/asked1"}, "maxItems": shape.MAX_ITEMS},
        "terms": _mapping(Shape((), tuple(TERMS)), {name: _term(kind.how) for name, kind in TERMS.items()}),
        "summary": _both(),
        "assumption": both_or_null,
        "notes": both_or_null,
        "not_offered": both_or_null,
    }
    # Conditions are those of programmes, word for word.
    of_programmes = programme_schema()["$defs"]
    asked = {n: d for n, d in of_programmes.items() if n.startswith(("condition", "group", "asked"))}
    return {
        "$comment": "JSON Schema, draft 2020-12",
        "title": "dujiang financial product",
        "description": "A dated financial product: what its source states of each term, and which example stands in.",
        **_mapping(PRODUCT, fields),
        "$defs": {"bilingual": _both(), **asked},
    }


def schema_text() -> str:
    """Return the schema as the published file holds it."""
    return json.dumps(product_schema(), ensure_ascii=False, indent=2) + "\n"


def _term(how: str) -> Node:
    value, both_or_null = {"anyOf": [_NULL, _OF_KIND[how]]}, {"anyOf": [_NULL, _both()]}
    fields: dict[str, Node] = {
        "value": value,
        "example": value,
        "clause": {"anyOf": [_NULL, _TEXT]},
        "assumption": both_or_null,
    }
    stated = {"properties": {"value": {"not": _NULL}}, "required": ["value"]}
    needs = {"required": ["clause"], "properties": {"clause": _TEXT, "example": _NULL}}
    return {**_mapping(TERM, fields), "if": stated, "then": needs}


def _clause() -> Node:
    quality = {"enum": [quality.value for quality in Quality]}
    return _mapping(shape.CLAUSE, {"text": _TEXT, "verbatim": {"type": "boolean"}, "source": _TEXT, "quality": quality})


def _both() -> Node:
    return _mapping(shape.BILINGUAL, {"en": _TEXT, "zh": _TEXT})


def _mapping(of: Shape, fields: dict[str, Node]) -> Node:
    """Describe a mapping; the fields have to be exactly those of its shape."""
    named = (*of.required, *of.optional)
    assert set(named) == set(fields), set(named) ^ set(fields)
    return {
        "type": "object",
        "properties": {name: fields[name] for name in named},
        "required": list(of.required),
        "additionalProperties": False,
    }
