"""Products: every shipped file, what it may not say, what becomes of its terms, and a bank's own terms."""

import json
from datetime import date
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from dujiang.core.marked import Marked, read_yaml
from dujiang.core.text import Text
from dujiang.finance.catalogue import check_together, products_with, read_folder, read_product, shipped_products
from dujiang.finance.instrument import Instrument, Kind, Repayment
from dujiang.finance.parse_product import parse_own_terms, parse_product
from dujiang.finance.product import (
    NEEDED,
    TERMS,
    OwnTerms,
    eligibility,
    instrument_of,
    offered,
    readings_of,
    shown_value,
)
from dujiang.finance.product_schema import product_schema, schema_text
from dujiang.policy.condition import Outcome
from dujiang.policy.programme import leaves

SHIPPED = shipped_products()
OFFERED = [p for p in SHIPPED.values() if p.not_offered is None]
VALIDATOR = Draft202012Validator(product_schema())
FOLDER = files("dujiang.catalog").joinpath("finance")

LOAN = """\
id: city-loan
version: 2026-01-05
name: {zh: 城市贷, en: City loan}
kind: loan
issuer: 某银行
document: null
dated: 2025-04
jurisdiction: {level: city, province: 广东, city: 深圳}
facts: [made-up]
verified: true
confidence: high
summary: {zh: 贷款。, en: A loan.}
clauses:
  terms: {text: 最长三年, verbatim: true, source: 某银行公告, quality: official}
conditions:
  - id: local
    fact: city
    op: in
    value: [深圳]
    clause: terms
    text: {zh: 在深圳, en: in Shenzhen}
terms:
  term_months: {value: 36, clause: terms}
  most_cny: {value: 5000000, clause: terms}
  repayment: {value: null, example: equal}
  rate: {value: null, example: 0.0365}
  not_for: {value: null, example: [equipment]}
assumption: {zh: 示例, en: examples}
"""


def parsed(text: str):
    marked, problems = read_yaml("p.yaml", text)
    assert marked is not None, problems
    return parse_product(marked)


def made(text: str = LOAN):
    product, problems = parsed(text)
    assert product is not None, [p.say() for p in problems]
    return product


def codes(text: str) -> set[str]:
    return {p.code for p in parsed(text)[1]}


def as_json(value):
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_json(item) for item in value]
    return value.isoformat() if isinstance(value, date) else value


@pytest.mark.parametrize("product", SHIPPED.values(), ids=lambda p: p.id)
def test_a_shipped_product_rests_on_what_it_says(product) -> None:
    assert product.verified
    for asked in leaves(product.conditions):
        assert asked.basis.clause or asked.basis.assumption
    for name, term in product.terms.items():
        # A value is stated by a clause; whatever else is used is an example and says why.
        assert (term.value is not None) == (term.clause is not None), name
        if term.example is not None:
            assert term.assumption or product.assumption
    content = FOLDER.joinpath(f"{product.id}.yaml").read_text(encoding="utf-8")
    assert "://" not in content
    VALIDATOR.validate(as_json(YAML(typ="safe").load(content)))


def test_what_is_no_instrument_says_why_and_brings_none() -> None:
    closed = [p for p in SHIPPED.values() if p.not_offered is not None]
    assert len(closed) > 5
    found, left = offered(closed, {}, ["compute"])
    assert found == ()
    assert [(item.id, item.reason) for item in left] == [(p.id, p.not_offered) for p in closed]


def test_every_kind_of_the_issue_is_there() -> None:
    assert {p.kind for p in OFFERED} == set(Kind)
    assert {p.id for p in OFFERED if "tied_to" in p.terms} >= {"plan-p4-loan-plus-equity", "equity-debt-linkage"}


def test_stated_figures_are_those_of_the_sources() -> None:
    def stated(key: str, name: str):
        return SHIPPED[key].terms[name].value

    assert stated("plan-p1-credit", "term_months") == 60
    assert stated("plan-p3c-ma-loan", "share_of_costs") == 800_000
    assert stated("plan-p3c-ma-loan", "term_months") == 120
    assert stated("x-guarantee-plan-loan", "most_cny") == 30_000_000 * 10**6
    assert stated("x-first-set-compensation", "rate_of_cost") == 800_000
    # No source of ours states an interest rate of any loan.
    assert not any(p.terms["rate"].value for p in OFFERED if "rate" in p.terms)


@pytest.mark.parametrize("product", OFFERED, ids=lambda p: p.id)
def test_an_instrument_names_every_term_that_is_an_example(product) -> None:
    item = instrument_of(product, ["compute", "equipment"], partner="x")
    assert item.kind is product.kind
    assert set(item.assumed) == {name for name, t in product.terms.items() if t.value is None}
    assert product.issuer in item.source
    assert item.clause is not None
    assert product.clause.text in item.clause.zh
    assert item.apply_with is not None
    for asked in product.conditions:
        assert asked.text.zh in item.apply_with.zh


def test_the_terms_arrive_in_their_units() -> None:
    item = instrument_of(made(), ["compute", "equipment"])
    assert item == Instrument(
        id="city-loan",
        kind=Kind.LOAN,
        name=made().name,
        source="某银行",
        assumed=("not_for", "repayment", "rate"),
        uses=frozenset({"compute"}),
        most_ucny=5_000_000 * 10**6,
        term_months=36,
        repayment=Repayment.EQUAL,
        rate_ppm=36_500,
        clause=item.clause,
        apply_with=item.apply_with,
    )


def test_a_window_of_twelve_months_ends_with_the_twelfth() -> None:
    assert SHIPPED["sz-ai-fund"].terms["within_months"].example == 12
    assert instrument_of(SHIPPED["sz-ai-fund"], ["compute"]).last_month == 11


def test_the_shipped_products_name_each_other_rightly() -> None:
    assert check_together(SHIPPED) == []


def test_a_banks_own_terms_replace_examples_and_are_no_assumption() -> None:
    own = OwnTerms("某分行", {"city-loan": {"rate": 31_000}})
    item = instrument_of(made(), ["compute"], own=own)
    assert item.rate_ppm == 31_000
    assert "rate" not in item.assumed
    assert "repayment" in item.assumed
    assert item.source == "某分行"


def own_terms(text: str):
    marked, problems = read_yaml("t.yaml", text)
    assert marked is not None, problems
    return parse_own_terms(marked, {"city-loan": made()}, {"sz-training-voucher": None})


def test_own_terms_are_read() -> None:
    terms, problems = own_terms(
        "source: 某分行\n"
        "products: {city-loan: {rate: 0.031, term_months: 24, most_cny: '4000000.00'}}\n"
        "programmes: {sz-training-voucher: {delay_months: 9, budget_left_cny: 100}}\n"
    )
    assert problems == []
    assert terms == OwnTerms(
        "某分行",
        {"city-loan": {"most_cny": 4_000_000 * 10**6, "term_months": 24, "rate": 31_000}},
        {"sz-training-voucher": 9},
        {"sz-training-voucher": 100 * 10**6},
    )


@pytest.mark.parametrize(
    "text, code, path",
    [
        ("source: a\nproducts: {city-loan: {term_months: 48}}", "beyond-clause", "products.city-loan.term_months"),
        ("source: a\nproducts: {city-loan: {most_cny: 5000000.01}}", "beyond-clause", "products.city-loan.most_cny"),
        ("source: a\nproducts: {city-loan: {rate: 3.1}}", "bad-term", "products.city-loan.rate"),
        ("source: a\nproducts: {city-loan: {most_cny: 4000000.001}}", "bad-term", "products.city-loan.most_cny"),
        ("source: a\nproducts: {city-loan: {rat: 0.1}}", "unknown-field", "products.city-loan.rat"),
        ("source: a\nproducts: {no-loan: {rate: 0.1}}", "no-such-product", "products.no-loan"),
        ("source: a\nprogrammes: {no-voucher: {delay_months: 1}}", "no-such-programme", "programmes.no-voucher"),
        ("source: a\nprogrammes: {sz-training-voucher: {delay_months: -1}}", "bad-number", None),
        ("products: {}", "missing-field", "source"),
        ("source: a\nproducts: [1]", "bad-type", "products"),
        ("[1, 2]", "bad-type", None),
    ],
)
def test_own_terms_with_mistakes(text: str, code: str, path: str | None) -> None:
    terms, problems = own_terms(text)
    assert terms is None
    assert code in [p.code for p in problems]
    if path is not None:
        assert path in [p.field for p in problems]
        assert all(p.row or p.code == "missing-field" for p in problems)


MISTAKES = [
    ("rate: {value: null, example: 0.0365}", "rate: {value: 0.0365}", "missing-clause"),
    ("rate: {value: null, example: 0.0365}", "rate: {value: 0.03, example: 0.03, clause: terms}", "contradictory-term"),
    ("rate: {value: null, example: 0.0365}", "rate: {value: null, example: 3.65}", "bad-term"),
    ("rate: {value: null, example: 0.0365}", "rate: {value: null}", "missing-term"),
    ("  rate: {value: null, example: 0.0365}\n", "", "missing-term"),
    ("rate: {value: null", "rat: {value: null", "unknown-field"),
    ("term_months: {value: 36, clause: terms}", "term_months: {value: 36, clause: other}", "no-such-clause"),
    ("term_months: {value: 36", "term_months: {value: 36.5", "bad-term"),
    ("example: equal", "example: now and then", "bad-term"),
    ("example: [equipment]", "example: [equipment, equipment]", "bad-term"),
    ("assumption: {zh: 示例, en: examples}\n", "", "missing-assumption"),
    ("kind: loan", "kind: gift", "unknown-word"),
    ("kind: loan", "kind: null", "missing-field"),
    ("dated: 2025-04", "dated: spring", "bad-date"),
    ("    clause: terms\n", "", "missing-clause"),
    ("id: city-loan", "id: City Loan", "bad-id"),
    (
        "clauses:\n  terms: {text: 最长三年, verbatim: true, source: 某银行公告, quality: official}",
        "clauses: {}",
        "bad-type",
    ),
]


@pytest.mark.parametrize("old, new, code", MISTAKES)
def test_a_mistake_is_found_with_its_line(old: str, new: str, code: str) -> None:
    assert old in LOAN
    product, problems = parsed(LOAN.replace(old, new, 1))
    assert product is None
    found = [p for p in problems if p.code == code]
    assert found, [p.say() for p in problems]
    # What is not there has no line.
    assert all(p.file == "p.yaml" and (p.row or code == "missing-assumption") for p in found)


def test_all_mistakes_at_once() -> None:
    text = LOAN
    for old, new, _ in (MISTAKES[2], MISTAKES[7], MISTAKES[11], MISTAKES[13]):
        text = text.replace(old, new, 1)
    assert codes(text) >= {"bad-term", "unknown-word", "bad-date"}
    assert len(parsed(text)[1]) == 4


@pytest.mark.parametrize("old, new, code", MISTAKES)
def test_the_schema_refuses_nothing_that_the_parser_takes(old: str, new: str, code: str) -> None:
    document = as_json(YAML(typ="safe").load(LOAN.replace(old, new, 1)))
    if not VALIDATOR.is_valid(document):
        assert parsed(LOAN.replace(old, new, 1))[0] is None
    assert VALIDATOR.is_valid(as_json(YAML(typ="safe").load(LOAN)))


def test_the_published_schema_is_ours() -> None:
    published = files("dujiang.catalog").joinpath("data/product.schema.json").read_text(encoding="utf-8")
    assert published == schema_text()
    Draft202012Validator.check_schema(json.loads(published))


terms = st.fixed_dictionaries(
    {"value": st.none()},
    optional={
        "example": st.none()
        | st.booleans()
        | st.integers(0, 9)
        | st.floats(0, 1)
        | st.sampled_from(["0.5", "free", "x"]),
        "assumption": st.none(),
        "clause": st.sampled_from([None, "terms"]),
    },
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.lists(st.text(max_size=3))


@given(
    st.dictionaries(st.sampled_from([*TERMS]), terms | terms | scalars, max_size=6),
    st.dictionaries(st.sampled_from(["id", "terms", "clauses", "kind", "dated"]), scalars, max_size=1),
)
@settings(max_examples=120, deadline=None)
def test_whatever_stands_in_a_file_is_a_product_or_problems(odd: dict, other: dict) -> None:
    document = YAML(typ="safe").load(LOAN)
    document["terms"] |= odd
    document |= other
    product, problems = parse_product(Marked("p.yaml", document))
    assert (product is None) == bool(problems)
    # The schema is the weaker of the two.
    assert product is None or VALIDATOR.is_valid(as_json(document))


def test_who_may_use_it_is_asked_of_the_firm() -> None:
    assert eligibility(made(), {"city": "深圳"})[0] is Outcome.MET
    refused, why = eligibility(made(), {"city": "东莞"})
    assert refused is Outcome.NOT_MET
    assert "in Shenzhen" in why.en
    unknown, why = eligibility(made(), {})
    assert unknown is Outcome.UNKNOWN
    assert "city" in why.zh


def test_a_fact_that_is_not_known_is_named_and_explained() -> None:
    why = eligibility(SHIPPED["boc-centre-finance"], {})[1]
    assert why.en == "not known, to be stated: fits_hub_plan (Fits the plan of the national compute hubs)"


def test_an_unknown_fact_is_never_a_yes() -> None:
    found, left = offered([made()], {}, ["compute"])
    assert (found, [item.id for item in left]) == ((), ["city-loan"])


def test_a_pledge_a_partner_and_a_guarantee_have_to_be_there() -> None:
    titles = {"certified_tech_sme": True, "owns_core_ip": True, "city": "深圳", "sector": "artificial_intelligence"}
    pick = [SHIPPED[k] for k in ("equity-debt-linkage", "boc-ip-pledge", "x-guarantee-plan-loan")]
    found, left = offered(pick, titles, ["compute"])
    assert found == ()
    assert {item.id for item in left} == {p.id for p in pick}
    pick += [SHIPPED["sz-ai-fund"], SHIPPED["x-guarantee-plan"]]
    found, left = offered(pick, titles, ["compute"], assets=["ip"])
    assert left == ()
    by_id = {item.id: item for item in found}
    assert by_id["equity-debt-linkage"].multiple_of == "sz-ai-fund"
    assert by_id["x-guarantee-plan-loan"].needs == ("x-guarantee-plan",)


def test_what_needs_what_is_left_out_is_left_out_too() -> None:
    found, left = offered([SHIPPED["boc-centre-finance"]], {"fits_hub_plan": True}, ["equipment"])
    assert found == ()
    assert "boc-centre-property-insurance" in left[0].reason.en


def test_a_product_for_other_costs_is_left_out() -> None:
    firm = {"fits_hub_plan": True}
    pick = [SHIPPED["boc-centre-finance-lease"], SHIPPED["boc-centre-property-insurance"]]
    assert [i.id for i in offered(pick, firm, ["equipment"])[0]] == [p.id for p in pick]
    assert [i.id for i in offered(pick, firm, ["people"])[0]] == ["boc-centre-property-insurance"]


def test_what_may_pay_for_nothing_here_is_left_out() -> None:
    found, left = offered([made()], {"city": "深圳"}, ["equipment"])
    assert found == ()
    assert "none of the project's kinds" in left[0].reason.en


def test_readings_say_why_an_example_stands_there_until_somebody_replaces_it() -> None:
    assert readings_of(made()) == (Text("examples", "示例"),)
    own = OwnTerms("某行", {"city-loan": {"rate": 1, "repayment": "end", "not_for": ("people",)}})
    assert readings_of(made(), own) == ()
    explored = readings_of(SHIPPED["sz-invest-subsidy-loan"])
    assert any("explored" in text.en for text in explored)
    assert len(set(readings_of(SHIPPED["plan-p1-credit"]))) == len(readings_of(SHIPPED["plan-p1-credit"])) == 4


def test_a_folder_of_ones_own_replaces_ours_by_id() -> None:
    text = LOAN.replace("id: city-loan", "id: boc-sci-plus")
    products, problems = products_with({"mine.yaml": text.encode()})
    assert problems == []
    assert products["boc-sci-plus"].issuer == "某银行"
    assert list(products) == sorted(products)
    assert len(products) == len(SHIPPED)


def test_two_files_of_one_id_are_a_problem() -> None:
    found, problems = read_folder({"a.yaml": LOAN.encode(), "b.yaml": LOAN.encode()})
    assert list(found) == ["city-loan"]
    assert [(p.code, p.file) for p in problems] == [("duplicate-id", "b.yaml")]


def test_a_product_that_needs_nothing_that_exists_is_a_problem() -> None:
    text = LOAN.replace("assumption: {zh: 示例", "  needs: {value: [no-such], clause: terms}\nassumption: {zh: 示例")
    _, problems = products_with({"mine.yaml": text.encode()})
    assert [p.code for p in problems] == ["no-such-product"]


@pytest.mark.parametrize("content", [b"\xff\xfe", b"id: [", b"a: &x 1", b"x" * 70_000, b"", b"- 1"])
def test_broken_files_are_problems(content: bytes) -> None:
    product, problems = read_product("p.yaml", content)
    assert product is None
    assert problems


def test_every_term_can_be_shown() -> None:
    for product in OFFERED:
        for name, term in product.terms.items():
            said = shown_value(name, term.value if term.value is not None else term.example)
            assert said.en
            assert said.zh
    assert shown_value("rate", 36_500).en == "3.65 %"
    assert shown_value("most_cny", 10**12).en == "1000000.00 CNY"


def test_terms_that_a_kind_needs_exist() -> None:
    assert set(NEEDED) == set(Kind)
    assert {name for names in NEEDED.values() for name in names} <= set(TERMS)
