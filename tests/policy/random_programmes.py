"""Programmes and purchases at random: documents as YAML would give them, and facts as records hold them."""

from copy import deepcopy
from datetime import date, timedelta

from hypothesis import strategies as st
from policy_samples import MADE_UP
from ruamel.yaml import YAML

from dujiang.core.marked import Marked
from dujiang.policy.parse import parse_programme
from dujiang.policy.programme import Programme

PLAIN = YAML(typ="safe", pure=True).load(MADE_UP)
"""The made-up programme as a document."""
TERMS = {"clause": "terms"}
WORDS = {"en": "a", "zh": "甲"}
FLAGS = tuple(f"flag_{i}" for i in range(4))
CITIES = ("甲市", "乙市", "丙市")
DAYS = st.dates(date(2025, 6, 1), date(2027, 6, 1))
AMOUNTS = st.one_of(st.integers(1, 5_000), st.decimals(1, 5_000, places=2).map(float))
"""Yuan, small enough for every limit to bind now and then."""
SHARES = st.integers(1, 1_000_000).map(lambda ppm: ppm / 1_000_000)


def read(document: object) -> Programme:
    """Parse a document that has to be right."""
    programme, problems = parse_programme(Marked("random.yaml", document))
    assert programme is not None, [p.say() for p in problems]
    return programme


@st.composite
def conditions(draw, name: str, depth: int = 1):
    """Draw one condition or group; all ids in it start with a name."""
    if depth <= 3 and draw(st.integers(0, 3)) == 0:
        how = draw(st.sampled_from(["any", "all", "none"]))
        members = [draw(conditions(f"{name}-{i}", depth + 1)) for i in range(draw(st.integers(1, 3)))]
        return {"id": name, "text": WORDS, how: members}
    fact, op, value = draw(
        st.one_of(
            st.tuples(st.sampled_from(FLAGS), st.sampled_from(["is", "is_not", "exists"]), st.booleans()),
            st.tuples(st.just("city"), st.sampled_from(["in", "not_in"]), st.just(list(CITIES[:2]))),
            st.tuples(
                st.just("employees"),
                st.sampled_from(["at_least", "at_most", "more_than", "less_than"]),
                st.integers(0, 20),
            ),
            st.tuples(st.just("revenue_cny"), st.sampled_from(["at_most", "more_than"]), AMOUNTS),
            st.tuples(st.just("founded"), st.sampled_from(["before", "after"]), DAYS),
        )
    )
    return {"id": name, "fact": fact, "op": op, "value": value, "text": WORDS, **TERMS}


@st.composite
def rates(draw):
    """Draw a share or tiers."""
    if draw(st.booleans()):
        return {"share": draw(SHARES), "rule": "not_above", **TERMS}
    bounds = sorted(draw(st.sets(st.decimals("0.01", 4_000, places=2).map(float), min_size=1, max_size=4)))
    shares = [draw(st.integers(0, 1_000_000).map(lambda ppm: ppm / 1_000_000))]
    for _ in bounds:
        shares.append(
            draw(st.integers(0, 1_000_000).map(lambda ppm: ppm / 1_000_000).filter(lambda s: s != shares[-1]))
        )
    bands = [{"above_cny": a, "share": s} for a, s in zip([0, *bounds], shares, strict=True)]
    return {"tiers": {"method": draw(st.sampled_from(["step", "marginal"])), "bands": bands}, "rule": "of", **TERMS}


@st.composite
def special_rates(draw, least: float, asking: int):
    """Draw special cases at or above a share, each with its own number of the fact `case` at least."""
    found = []
    for i in range(draw(st.integers(0, 3))):
        share = draw(st.integers(round(least * 1_000_000), 1_000_000)) / 1_000_000
        cap = draw(st.none() | AMOUNTS)
        case = {"id": f"s{i}", "fact": "case", "op": "at_least", "value": i, "text": WORDS, **TERMS}
        when = [*(draw(conditions(f"s{i}-{k}")) for k in range(min(1, asking))), case]
        if share > least or cap is not None:
            found.append({"share": share, "when": when, "cap_cny": cap, **TERMS})
    return found


@st.composite
def documents(draw, asking: int = 3):
    """Draw the document of a computable programme that uses any part of the language that an evaluation looks at.

    Parameters
    ----------
    asking : most conditions of its own; 0: everybody is eligible, and `case` alone decides on the special rates
    """
    document = deepcopy(PLAIN)
    for name in ("special_rates", "cap", "minimum_cny", "budget", "excluded_costs", "stacking"):
        document[name] = None
    document["conditions"] = [draw(conditions(f"c{i}")) for i in range(draw(st.integers(0, asking)))]
    document["base"] = draw(st.sampled_from(["contract", "actual", "investment", "premium", "purchase", "settled"]))
    kind = draw(st.sampled_from(["rate", "rate", "rate", "special", "amount"]))
    document["rate"] = draw(rates()) if kind == "rate" else None
    if kind == "amount":
        document["amount_cny"] = {"amount_cny": draw(AMOUNTS), "rule": "of", **TERMS}
        document["base"] = draw(st.sampled_from([document["base"], None]))
    else:
        rate = document["rate"] or {"share": 0.000001}
        least = rate.get("share") or max(band["share"] for band in rate["tiers"]["bands"])
        document["special_rates"] = draw(special_rates(least, asking))
        if kind == "special" and not document["special_rates"]:
            document["rate"] = draw(rates())
    kinds = draw(st.lists(st.sampled_from(_CAPS), max_size=3, unique=True))
    if kinds:
        document["cap"] = [{"amount_cny": draw(AMOUNTS), "per": per, "period": p, **TERMS} for per, p in kinds]
    if draw(st.booleans()):
        document["budget"] = {"amount_cny": draw(AMOUNTS), "period": "year", **TERMS}
    if document["base"] is not None and draw(st.integers(0, 2)) == 0:
        first = draw(DAYS)
        until = first + timedelta(days=draw(st.integers(1, 400)))
        facts = ["contract_first", "contract_last"]
        document["pro_rata"] = {"method": "days", "from": first, "until": until, "facts": facts, **TERMS}
    unit = draw(st.sampled_from(["fen", "yuan"]))
    document["rounding"] = draw(st.sampled_from([unit, {"unit": unit, "base": True}]))
    limits = [part["amount_cny"] for part in (*(document["cap"] or ()), document["budget"]) if part]
    limits += [s["cap_cny"] for s in document["special_rates"] or () if s["cap_cny"]]
    if draw(st.booleans()):
        least = min([*limits, 100, (document.get("amount_cny") or {}).get("amount_cny", 100)])
        document["minimum_cny"] = {"amount_cny": least, **TERMS}
    return document


_CAPS = [("contract", "year"), *((per, period) for per in ("enterprise", "project") for period in ("year", "validity"))]

BASES = st.one_of(st.integers(0, 10**10), st.integers(0, 10**6).map(lambda fen: fen * 10**4))


@st.composite
def purchases(draw):
    """Draw the facts of a firm and its purchase; any of them may be missing."""
    drawn = {
        **{flag: draw(st.none() | st.booleans()) for flag in FLAGS},
        "good": "compute",
        "city": draw(st.none() | st.sampled_from(CITIES)),
        "employees": draw(st.none() | st.integers(0, 20)),
        "revenue_ucny": draw(st.none() | BASES),
        "founded": draw(st.none() | DAYS),
        "case": draw(st.none() | st.integers(0, 3)),
        "contract_first": draw(st.none() | DAYS),
        "contract_last": draw(st.none() | DAYS),
        **{f"{base}_ucny": draw(st.none() | BASES) for base in ("contract", "actual", "investment", "premium")},
        **{f"{base}_ucny": draw(BASES) for base in ("purchase", "settled")},
    }
    return {name: value for name, value in drawn.items() if value is not None}
