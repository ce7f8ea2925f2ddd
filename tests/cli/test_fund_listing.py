"""`dujiang fund --list`: every product once, examples marked as such, and why something is no instrument."""

import json

import pytest
from click.testing import CliRunner

from dujiang.cli.main import app
from dujiang.finance.catalogue import shipped_products


def listing(lang: str, *options: str) -> str:
    result = CliRunner().invoke(app, ["--lang", lang, "fund", "--list", *options])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_product_is_listed_once_and_closed_ones_say_why(lang: str) -> None:
    text = listing(lang)
    for product in shipped_products().values():
        assert sum(line.split(" ")[0] == product.id for line in text.splitlines()) == 1
        if product.not_offered is not None:
            assert product.not_offered.say(lang) in text


def test_a_star_marks_what_no_source_states() -> None:
    lines = {line.split(" ")[0]: line for line in listing("en").splitlines()}
    assert "3.6 %*" in lines["plan-p1-credit"]
    assert "60 months " in lines["plan-p1-credit"]
    assert "CNY 30,000,000 " in lines["x-guarantee-plan-loan"]
    assert "CNY 5,000,000*" in lines["plan-p1-credit"]


def test_the_document_holds_every_term_with_its_clause_or_its_assumption() -> None:
    found = {p["id"]: p for p in json.loads(listing("en", "--json"))["products"]}
    assert set(found) == set(shipped_products())
    for product in found.values():
        for term in product["terms"].values():
            assert (term["clause"] in product["clauses"]) if term["value"] is not None else term["assumption_zh"]
    assert found["x-guarantee-plan-loan"]["terms"]["most_cny"]["value"] == "30000000.00"
    assert found["plan-p1-credit"]["terms"]["rate"] == {
        "value": None,
        "example": 0.036,
        "clause": None,
        "assumption": found["plan-p1-credit"]["terms"]["rate"]["assumption"],
        "assumption_zh": found["plan-p1-credit"]["terms"]["rate"]["assumption_zh"],
    }
