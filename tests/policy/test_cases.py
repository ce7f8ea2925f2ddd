"""The runner of the YAML cases: it sees every difference, and every mistake in a file."""

import pytest
from random_programmes import TERMS, WORDS
from stack_samples import excluding, group, plain

from dujiang.core.marked import read_yaml
from dujiang.policy.cases import parse_cases, run_case

CONDITIONS = [
    {"id": "place", "fact": "city", "op": "is", "value": "某市", "text": WORDS, **TERMS},
    {
        "id": "lab",
        "text": WORDS,
        "any": [{"id": "x", "fact": "lab", "op": "is", "value": True, "text": WORDS, **TERMS}],
    },
]
CAP = {"amount_cny": 400, "per": "enterprise", "period": "year", **TERMS}
BUDGET = {"amount_cny": 1000, "period": "year", **TERMS}
SPECIAL = [
    {"share": 0.6, "when": [{"id": "s", "fact": "startup", "op": "is", "value": True, "text": WORDS, **TERMS}], **TERMS}
]
KNOWN = {
    "p": plain("p", 0.5, conditions=CONDITIONS, cap=CAP, budget=BUDGET, special_rates=SPECIAL, stacking=group("g")),
    "q": plain("q", 0.1, cap={**CAP, "amount_cny": 100}),
    "r": plain("r", 0.3, stacking=group("g"), excludes=excluding("q")),
}
UNDER = """\
programme: p
defaults:
  on: 2026-06-01
  firm: {city: 某市, lab: true}
  spend: {good: compute, contract_cny: 600}
cases:
"""


BOTH = "p 300.00, q 60.00"


def parsed(text: str):
    marked, problems = read_yaml("p.cases.yaml", text)
    assert marked is not None, problems
    return parse_cases(marked, KNOWN)


def verdicts(*cases: str):
    found, problems = parsed(UNDER + "".join(f"  - {{name: case {i}, {c}}}\n" for i, c in enumerate(cases)))
    assert problems == []
    return [run_case(case, KNOWN["p"], KNOWN) for case in found.cases]


@pytest.mark.parametrize(
    "case",
    [
        "expect: {status: ok, amount_cny: 300, binding: rate, share: 0.5, raises: [startup], unmet: [], needs: []}",
        "firm: {startup: true}, expect: {status: ok, amount_cny: 360, share: 0.6, raises: []}",
        "spend: {contract_cny: '799.99'}, expect: {status: ok, amount_cny: 399.99, binding: rate}",
        "spend: {contract_cny: 900}, expect: {status: ok, amount_cny: 400, binding: cap}",
        "claims: {cap_used_cny: 300}, expect: {status: ok, amount_cny: 100, binding: cap}",
        "claims: {cap_used_cny: 400}, expect: {status: exhausted, amount_cny: 0}",
        "claims: {budget_used_cny: 950}, expect: {status: ok, amount_cny: 50, binding: budget}",
        "claims: {budget_used_cny: 5000}, expect: {status: exhausted, binding: none}",
        "firm: {city: 另市}, expect: {status: ineligible, unmet: [place]}",
        "firm: {city: 另市, lab: false}, spend: {good: model}, expect: {status: ineligible, unmet: [good, lab, place]}",
        "firm: {city: null}, expect: {status: unknown, needs: [city]}",
        "spend: {contract_cny: null}, expect: {status: unknown, needs: [contract_cny]}",
        "on: 2025-12-31, expect: {status: not_yet}",
        "on: 2027-01-01, expect: {status: expired}",
        "together: [q], expect: {status: ok, amount_cny: 300, stack: {p: 300, q: 60}}",
        "together: [q, r], expect: {status: ok, amount_cny: 300, stack: {p: 300, q: 60}}",
        "held: [r], together: [q], expect: {status: ok, amount_cny: 300, stack: {}}",
        "firm: {city: 另市}, expect: {status: ineligible, stack: {}}",
        # What was claimed before concerns the programme of the file alone.
        "claims: {cap_used_cny: 300}, together: [q], expect: {status: ok, amount_cny: 100, stack: {p: 100, q: 60}}",
        "on: 2027-01-01, expect: {status: expired, amount_cny: null, binding: null, share: null, stack: null}",
        "spend: {contract_cny: 0}, expect: {status: ineligible, amount_cny: 0}",
    ],
)
def test_a_case_that_holds(case):
    assert verdicts(case)[0].differences == ()


@pytest.mark.parametrize(
    ("case", "difference"),
    [
        ("expect: {status: expired}", ("status", "expired", "ok")),
        ("expect: {status: ok, amount_cny: 300.01}", ("amount_cny", "300.01", "300.00")),
        ("expect: {status: ok, amount_cny: 300, binding: cap}", ("binding", "cap", "rate")),
        ("expect: {status: ok, amount_cny: 300, share: 0.6}", ("share", "60 %", "50 %")),
        ("expect: {status: ok, amount_cny: 300, unmet: [place]}", ("unmet", "place", "nothing")),
        ("firm: {city: 另市}, expect: {status: ineligible, unmet: []}", ("unmet", "nothing", "place")),
        ("expect: {status: ok, amount_cny: 300, needs: [city]}", ("needs", "city", "nothing")),
        ("expect: {status: ok, amount_cny: 300, raises: []}", ("raises", "nothing", "startup")),
        ("together: [q], expect: {status: ok, amount_cny: 300, stack: {p: 300}}", ("stack", "p 300.00", BOTH)),
        ("expect: {status: ok, amount_cny: 300, stack: {}}", ("stack", "nothing", "p 300.00")),
    ],
)  # fmt: skip
def test_a_case_that_fails_says_what_it_got(case, difference):
    assert verdicts(case)[0].differences == (difference,)


def test_defaults_lie_under_each_case_and_no_case_under_another():
    first, second = verdicts(
        "firm: {city: 另市}, claims: {cap_used_cny: 400}, expect: {status: ineligible}",
        "expect: {status: ok, amount_cny: 300}",
    )
    assert (first.differences, second.differences) == ((), ())
    assert (first.case.line, second.case.line) == (7, 8)


def problems_of(text: str) -> list[tuple[str, int | None, str | None]]:
    found, problems = parsed(text)
    assert found is None
    return [(p.code, p.row, p.field) for p in problems]


@pytest.mark.parametrize(
    ("case", "problem"),
    [
        ("expect: {status: ok}", ("missing-field", 7, "cases.0.expect.amount_cny")),
        ("expect: {status: good}", ("unknown-word", 7, "cases.0.expect.status")),
        ("expect: {}", ("missing-field", 7, "cases.0.expect.status")),
        ("expect: null", ("bad-type", 7, "cases.0.expect")),
        ("", ("missing-field", 7, "cases.0.expect")),
        ("exp: {status: expired}, expect: {status: expired}", ("unknown-field", 7, "cases.0.exp")),
        ("on: '2026-02-30', expect: {status: expired}", ("bad-date", 7, "cases.0.on")),
        ("held: [nobody], expect: {status: expired}", ("no-such-programme", 7, "cases.0.held")),
        ("together: [nobody], expect: {status: expired}", ("no-such-programme", 7, "cases.0.together")),
        ("firm: 7, expect: {status: expired}", ("bad-type", 7, "cases.0.firm")),
        ("firm: {employees: [1]}, expect: {status: expired}", ("bad-type", 7, "cases.0.firm.employees")),
        ("spend: {contract_cny: much}, expect: {status: expired}", ("bad-type", 7, "cases.0.spend.contract_cny")),
        ("spend: {contract_cny: -1}, expect: {status: expired}", ("bad-type", 7, "cases.0.spend.contract_cny")),
        ("claims: {cap_used_cny: -1}, expect: {status: expired}", ("bad-amount", 7, "cases.0.claims.cap_used_cny")),
        ("claims: {cap: 1}, expect: {status: expired}", ("unknown-field", 7, "cases.0.claims.cap")),
        ("expect: {status: expired, stack: {nobody: 1}}", ("no-such-programme", 7, "cases.0.expect.stack")),
        ("expect: {status: expired, stack: {p: 0}}", ("bad-amount", 7, "cases.0.expect.stack.p")),
        ("expect: {status: expired, stack: 5}", ("bad-type", 7, "cases.0.expect.stack")),
        ("expect: {status: expired, unmet: place}", ("bad-type", 7, "cases.0.expect.unmet")),
        ("expect: {status: expired, unmet: [1]}", ("bad-type", 7, "cases.0.expect.unmet.0")),
        ("expect: {status: expired, binding: all}", ("unknown-word", 7, "cases.0.expect.binding")),
        ("expect: {status: expired, share: 60}", ("bad-share", 7, "cases.0.expect.share")),
    ],
)
def test_a_mistake_in_a_file_is_told_with_its_place(case, problem):
    assert problem in problems_of(f"{UNDER}  - {{name: a case, {case}}}\n")


def test_more_mistakes():
    case = "  - {name: twice, expect: {status: expired}}\n"
    assert problems_of(UNDER + case + case) == [("duplicate-name", 8, "cases.1.name")]
    assert ("unknown-word", 1, "programme") in problems_of(UNDER.replace("programme: p", "programme: z") + case)
    assert ("missing-field", 6, "cases.0.on") in problems_of(UNDER.replace("  on: 2026-06-01\n", "") + case)
    assert problems_of("programme: p\ncases: []\n") == [("bad-value", 2, "cases")]
    assert {p[0] for p in problems_of("7\n")} == {"bad-type"}
    assert {p[0] for p in problems_of("programme: p\n")} == {"missing-field"}
