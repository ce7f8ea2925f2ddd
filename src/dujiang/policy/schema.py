"""The published JSON Schema of a programme file, for editors and for whoever checks files without dujiang.

It is made from the same fields, words and limits as the parser (`shape`, the closed sets in `programme`), and it is the
weaker of the two: whatever it refuses the parser refuses, too, but only the parser sees what contradicts itself, names
a clause that is not there, or says one thing twice. Days stand as texts (`2024-12-18`), as YAML files write them.

`catalog/data/programme.schema.json` holds the same document as a file; a test keeps the two equal.
"""

import json
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Final

from dujiang.core.money import MAX_UCNY, MICRO
from dujiang.policy import shape
from dujiang.policy.programme import (
    Base,
    BudgetRule,
    How,
    Level,
    Method,
    Op,
    Per,
    Period,
    Quality,
    RateRule,
    Rounding,
    Scope,
    Settlement,
    SourceStatus,
    StackingRule,
    With,
)
from dujiang.policy.shape import Shape

Node = dict[str, Any]

_TEXT: Final[Node] = {"type": "string", "minLength": 1, "maxLength": shape.MAX_TEXT, "pattern": r"\S"}
_NULL: Final[Node] = {"type": "null"}
_FLAG: Final[Node] = {"type": "boolean"}
_DAY: Final[Node] = {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}
_SHARE: Final[Node] = {"type": "number", "exclusiveMinimum": 0, "maximum": 1}
_SHARE_OR_ZERO: Final[Node] = {"type": "number", "minimum": 0, "maximum": 1}
_AMOUNT: Final[Node] = {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_UCNY // MICRO}
_AMOUNT_OR_ZERO: Final[Node] = {"type": "number", "minimum": 0, "maximum": MAX_UCNY // MICRO}
_SCALAR: Final[Node] = {"type": ["boolean", "number", "string"]}
_FACT: Final[Node] = {"type": "string", "pattern": f"^(?!.*_ucny$){shape.FACT.pattern}$", "maxLength": shape.MAX_NAME}


def programme_schema() -> Node:
    """Return the schema as a document, JSON Schema draft 2020-12."""
    whole = _mapping(shape.PROGRAMME, _programme_fields())
    return {
        "$comment": "JSON Schema, draft 2020-12",
        "title": "dujiang programme",
        "description": "A dated support programme: who gets what for what, with the clause behind every number.",
        **whole,
        "allOf": [
            # What the source leaves open makes a programme not computable; it is never guessed.
            _unless("not_computable", {"anyOf": [_given("rate"), _given("amount_cny"), _filled("special_rates")]}),
            _unless("not_computable", {"anyOf": [_given("base"), _given("amount_cny")]}),
            _unless("not_computable", {"properties": {"source_status": {"enum": [None, SourceStatus.RULE.value]}}}),
            {"not": {"allOf": [_given("amount_cny"), {"anyOf": [_given("rate"), _filled("special_rates")]}]}},
        ],
        "$defs": _definitions(),
    }


def schema_text() -> str:
    """Return the schema as the published file holds it."""
    return json.dumps(programme_schema(), ensure_ascii=False, indent=2) + "\n"


def _programme_fields() -> Mapping[str, Node]:
    text_or_null = _nullable(_TEXT)
    return {
        "id": {"type": "string", "pattern": f"^{shape.ID.pattern}$", "maxLength": shape.MAX_NAME},
        "version": _DAY,
        "name": _ref("bilingual"),
        "jurisdiction": _ref("jurisdiction"),
        "issuer": _TEXT,
        "document": text_or_null,
        "document_no": text_or_null,
        "kind": _TEXT,
        "instrument": _TEXT,
        "good": {"anyOf": [_words(shape.GOODS), {**_list(_words(shape.GOODS)), "uniqueItems": True}]},
        "valid": _ref("valid"),
        "verified": _FLAG,
        "confidence": _words(shape.CONFIDENCE),
        "clauses": {
            "type": "object",
            "maxProperties": shape.MAX_ITEMS,
            "propertyNames": {"pattern": r"\S", "maxLength": shape.MAX_TEXT},
            "additionalProperties": _ref("clause"),
        },
        "conditions": _list(_ref("asked1"), least=0),
        "base": _nullable(_enum(Base)),
        "rate": _nullable(_ref("rate")),
        "cap": {"anyOf": [_NULL, _ref("cap"), _list(_ref("cap"))]},
        "budget": _nullable(_ref("budget")),
        "source_status": _nullable(_enum(SourceStatus)),
        "special_rates": _nullable(_list(_ref("special_rate"), least=0)),
        "amount_cny": _nullable(_ref("amount")),
        "minimum_cny": _nullable(_ref("minimum")),
        "pro_rata": _nullable(_ref("pro_rata")),
        "combined_ceiling": _nullable(_ref("combined_ceiling")),
        "stacking": _nullable(_ref("stacking")),
        "excludes": _nullable(_list(_ref("exclude"), least=0)),
        "priority": _nullable(_list(_ref("priority"), least=0)),
        "funded_by": _nullable(_list(_ref("funded_by"), least=0)),
        "voucher": _nullable(_ref("voucher")),
        "excluded_costs": _nullable(_ref("excluded_costs")),
        "rounding": {"anyOf": [_NULL, _enum(Rounding), _ref("rounding")]},
        "notes": _nullable(_ref("bilingual")),
        "not_computable": _nullable(_ref("bilingual")),
    }


def _definitions() -> Mapping[str, Node]:
    names = {**_list(_TEXT), "uniqueItems": True}
    share_or_tiers = _exactly_one(("share", "tiers"))
    local = {"level": {"enum": [Level.PROVINCE, Level.CITY]}}
    excluded = {
        "allOf": [
            _exactly_one(("programmes", "group", "level")),
            {"if": _is_true("same_place"), "then": {"required": ["level"], "properties": local}},
        ]
    }
    alive = ("validity_months", "transferable", "settlement")
    return {
        "bilingual": _mapping(shape.BILINGUAL, {"en": _TEXT, "zh": _TEXT}),
        "jurisdiction": _mapping(
            shape.JURISDICTION, {"level": _enum(Level), "province": _nullable(_TEXT), "city": _nullable(_TEXT)}
        ),
        "valid": _ruled(shape.VALID, {"from": _nullable(_DAY), "until": _nullable(_DAY)}),
        "clause": _mapping(
            shape.CLAUSE, {"text": _TEXT, "verbatim": _FLAG, "source": _TEXT, "quality": _enum(Quality)}
        ),
        **_questions(),
        "rate": _numbered(
            shape.RATE, {"share": _nullable(_SHARE), "tiers": _nullable(_ref("tiers")), "rule": _enum(RateRule)}
        )
        | share_or_tiers,
        "tiers": _mapping(shape.TIERS, {"method": _enum(Method), "bands": _list(_ref("band"), least=2)}),
        "band": _mapping(shape.BAND, {"above_cny": _AMOUNT_OR_ZERO, "share": _SHARE_OR_ZERO}),
        "special_rate": _numbered(
            shape.SPECIAL_RATE, {"share": _SHARE, "when": _list(_ref("asked1")), "cap_cny": _nullable(_AMOUNT)}
        ),
        "amount": _numbered(shape.AMOUNT, {"amount_cny": _AMOUNT, "rule": _enum(RateRule)}),
        "cap": _numbered(shape.CAP, {"amount_cny": _AMOUNT, "per": _enum(Per), "period": _enum(Period)}),
        "minimum": _numbered(shape.MINIMUM, {"amount_cny": _AMOUNT}),
        "budget": _numbered(
            shape.BUDGET,
            {
                "amount_cny": _AMOUNT,
                "period": _enum(Period),
                "rule": _nullable(_enum(BudgetRule)),
                "shared_with": _nullable(names),
            },
        ),
        "pro_rata": _numbered(
            shape.PRO_RATA,
            {
                "method": {"const": "days"},
                "from": _DAY,
                "until": _DAY,
                "facts": {"type": "array", "items": _FACT, "minItems": 2, "maxItems": 2, "uniqueItems": True},
            },
        ),
        "combined_ceiling": _numbered(shape.CEILING, {"share": _SHARE, "of": {"const": "base"}, "with": _enum(With)}),
        "stacking": _ruled(shape.STACKING, {"group": _TEXT, "rule": _enum(StackingRule)}),
        "exclude": _ruled(
            shape.EXCLUDE,
            {
                "scope": _enum(Scope),
                "programmes": _nullable(names),
                "group": _nullable(_TEXT),
                "level": _nullable(_enum(Level)),
                "same_place": _nullable(_FLAG),
            },
            excluded,
        ),
        "priority": _ruled(shape.PRIORITY, {"programmes": names}),
        "funded_by": _numbered(shape.FUNDED_BY, {"level": _enum(Level), "share": _SHARE}),
        "voucher": _ruled(
            shape.VOUCHER,
            {
                "validity_months": {"type": ["integer", "null"], "minimum": 1, "maximum": shape.MAX_MONTHS},
                "transferable": _nullable(_FLAG),
                "settlement": _nullable(_enum(Settlement)),
            },
            {
                "allOf": [
                    {"anyOf": [_given(name) for name in alive]},
                    {"anyOf": [{"not": _given("validity_months")}, _given("clause")]},
                ]
            },
        ),
        "excluded_costs": _ruled(shape.EXCLUDED_COSTS, {"items": names}),
        "rounding": _mapping(shape.ROUNDING, {"unit": _enum(Rounding), "base": _nullable(_FLAG)}),
    }


def _questions() -> dict[str, Node]:
    """Return a condition, and groups that hold each other to the depth that the parser allows."""
    fields = {"id": _condition_id(), "fact": _FACT, "op": _enum(Op), "value": {}, "text": _ref("bilingual")}
    number: Node = {"type": "number"}
    kinds = {
        (Op.IS, Op.IS_NOT): _SCALAR,
        (Op.IN, Op.NOT_IN): {"anyOf": [_values({"type": kind}) for kind in ("boolean", "number", "string")]},
        (Op.AT_LEAST, Op.AT_MOST, Op.MORE_THAN, Op.LESS_THAN): number,
        (Op.BEFORE, Op.AFTER): _DAY,
        (Op.EXISTS,): _FLAG,
    }
    suits = [_if({"op": {"enum": list(ops)}}, {"value": node}) for ops, node in kinds.items()]
    money = _if(
        {"fact": {"pattern": "_cny$"}, "op": {"not": {"enum": [Op.EXISTS]}}},
        {"value": {"anyOf": [number, _values(number)]}},
    )
    condition = _ruled(shape.CONDITION, fields, {"allOf": [*suits, money]})
    found: dict[str, Node] = {"condition": condition}
    for depth in range(1, shape.MAX_DEPTH + 1):
        inner = "condition" if depth == shape.MAX_DEPTH else f"asked{depth + 1}"
        fields = {"id": _condition_id(), "text": _ref("bilingual"), **{how.value: _list(_ref(inner)) for how in How}}
        found[f"group{depth}"] = _mapping(shape.GROUP, fields) | _exactly_one([how.value for how in How], there=True)
        found[f"asked{depth}"] = {"anyOf": [_ref("condition"), _ref(f"group{depth}")]}
    return found


def _values(item: Node) -> Node:
    return {"type": "array", "items": item, "minItems": 1, "maxItems": shape.MAX_VALUES}


def _if(fields: Mapping[str, Node], then: Mapping[str, Node]) -> Node:
    """Describe a mapping whose fields, where they are like this, ask that of others."""
    return {"if": {"required": list(fields), "properties": dict(fields)}, "then": {"properties": dict(then)}}


def _condition_id() -> Node:
    return {**_TEXT, "not": {"enum": list(shape.RESERVED_CONDITION_IDS)}}


def _mapping(of: Shape, fields: Mapping[str, Node]) -> Node:
    """Describe a mapping; the fields have to be exactly those of its shape."""
    named = (*of.required, *of.optional)
    assert set(named) == set(fields), set(named) ^ set(fields)
    return {
        "type": "object",
        "properties": {name: fields[name] for name in named},
        "required": list(of.required),
        "additionalProperties": False,
    }


def _numbered(of: Shape, fields: Mapping[str, Node]) -> Node:
    """Describe a rule with a number: it needs a clause."""
    return _mapping(of, {**fields, "clause": _TEXT, "assumption": _nullable(_ref("bilingual"))})


def _ruled(of: Shape, fields: Mapping[str, Node], further: Node | None = None) -> Node:
    """Describe a rule that rests on a clause, an assumption, or both."""
    rests = {"anyOf": [_given("clause"), _given("assumption")]}
    whole = _mapping(of, {**fields, "clause": _nullable(_TEXT), "assumption": _nullable(_ref("bilingual"))})
    return {**whole, "allOf": [rests] if further is None else [rests, further]}


def _ref(name: str) -> Node:
    return {"$ref": f"#/$defs/{name}"}


def _enum(kind: type[StrEnum]) -> Node:
    return _words(member.value for member in kind)


def _words(words: Iterable[str]) -> Node:
    return {"enum": list(words)}


def _list(items: Node, least: int = 1) -> Node:
    return {"type": "array", "items": items, "minItems": least, "maxItems": shape.MAX_ITEMS}


def _nullable(node: Node) -> Node:
    return {"anyOf": [_NULL, node]}


def _given(name: str) -> Node:
    """Describe a mapping in which a field is there and not null."""
    return {"required": [name], "properties": {name: {"not": _NULL}}}


def _is_true(name: str) -> Node:
    return {"required": [name], "properties": {name: {"const": True}}}


def _filled(name: str) -> Node:
    """Describe a mapping in which a list is there and not empty."""
    return {"required": [name], "properties": {name: {"type": "array", "minItems": 1}}}


def _unless(name: str, node: Node) -> Node:
    return {"anyOf": [_given(name), node]}


def _exactly_one(names: Iterable[str], *, there: bool = False) -> Node:
    """Describe a mapping in which exactly one of several fields is given, or is there at all."""
    return {"oneOf": [{"required": [name]} if there else _given(name) for name in names]}
