"""Which fields each part of a programme file has, and how large anything in it may be.

The parser and the published schema are both made from this page, so that they cannot name different fields. A field
that is required may still be null where the source is silent; the parser says where that is possible.
"""

import re
from typing import Final, NamedTuple


class Shape(NamedTuple):
    """The fields of one mapping."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()


GOODS: Final = ("compute", "corpus", "model", "application", "project", "standard")
"""Goods of a purchase (design 7)."""
CONFIDENCE: Final = ("high", "medium", "low")

PROGRAMME: Final = Shape(
    (
        *("id", "version", "name", "jurisdiction", "issuer", "document", "document_no", "kind", "instrument", "good"),
        *("valid", "verified", "confidence", "clauses", "conditions", "base", "rate", "cap", "budget"),
    ),
    (
        *("source_status", "special_rates", "amount_cny", "minimum_cny", "pro_rata", "combined_ceiling", "stacking"),
        *("excludes", "priority", "funded_by", "voucher", "excluded_costs", "rounding", "notes", "not_computable"),
    ),
)
BILINGUAL: Final = Shape(("en", "zh"))
JURISDICTION: Final = Shape(("level",), ("province", "city"))
CLAUSE: Final = Shape(("text", "verbatim", "source", "quality"))

BASIS: Final = ("clause", "assumption")
"""What a rule rests on: at least one of the two."""
VALID: Final = Shape(("from", "until"), BASIS)
CONDITION: Final = Shape(("id", "fact", "op", "value", "text"), BASIS)
GROUP: Final = Shape(("id", "text"), ("any", "all", "none"))
"""Exactly one of the optional fields; the conditions in it carry their own basis."""
STACKING: Final = Shape(("group", "rule"), BASIS)
EXCLUDE: Final = Shape(("scope",), ("programmes", "group", "level", "same_place", *BASIS))
PRIORITY: Final = Shape(("programmes",), BASIS)
VOUCHER: Final = Shape((), ("validity_months", "transferable", "settlement", *BASIS))
"""A number of months needs a clause."""
EXCLUDED_COSTS: Final = Shape(("items",), BASIS)

# A number needs a clause; an assumption may stand beside it.
RATE: Final = Shape(("rule", "clause"), ("share", "tiers", "assumption"))
"""Exactly one of `share` and `tiers`."""
TIERS: Final = Shape(("method", "bands"))
BAND: Final = Shape(("above_cny", "share"))
SPECIAL_RATE: Final = Shape(("share", "when", "clause"), ("cap_cny", "assumption"))
AMOUNT: Final = Shape(("amount_cny", "rule", "clause"), ("assumption",))
CAP: Final = Shape(("amount_cny", "per", "period", "clause"), ("assumption",))
MINIMUM: Final = Shape(("amount_cny", "clause"), ("assumption",))
BUDGET: Final = Shape(("amount_cny", "period", "clause"), ("rule", "shared_with", "assumption"))
PRO_RATA: Final = Shape(("method", "from", "until", "facts", "clause"), ("assumption",))
CEILING: Final = Shape(("share", "of", "with", "clause"), ("assumption",))
FUNDED_BY: Final = Shape(("level", "share", "clause"), ("assumption",))
ROUNDING: Final = Shape(("unit",), ("base",))

ID: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
FACT: Final = re.compile(r"[a-z][a-z0-9_]*")

# Everything that reads or evaluates a programme walks it a fixed number of times, so these bounds bound the time.
MAX_BYTES: Final = 65_536
"""Of one file."""
MAX_NAME: Final = 64
"""Characters of an id or of a fact's name."""
MAX_TEXT: Final = 4_000
"""Characters of any text."""
MAX_DEPTH: Final = 4
"""Of groups in groups."""
MAX_CONDITIONS: Final = 200
"""Single conditions of a programme, those of its groups and special rates included."""
MAX_VALUES: Final = 500
"""Values of one `in` or `not_in`."""
MAX_ITEMS: Final = 100
"""Items of any other list, and clauses."""
MAX_UNKNOWN: Final = 20
"""Unknown fields of one mapping that are listed one by one."""
MAX_FACT_UCNY: Final = 10**18
"""Largest amount that a condition asks about: a trillion yuan; a column of them still fits int64."""
MAX_MONTHS: Final = 120
"""Validity of a voucher."""

RESERVED_CONDITION_IDS: Final = ("good", "minimum")
"""Names of the two conditions that every evaluation asks by itself."""
