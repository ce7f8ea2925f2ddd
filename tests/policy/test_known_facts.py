import csv
import re
from datetime import date
from importlib.resources import files

import pytest

from dujiang.finance.catalogue import shipped_products
from dujiang.policy.catalogue import shipped_programmes
from dujiang.policy.facts import is_seller_side
from dujiang.policy.known_facts import known_facts, words_for
from dujiang.policy.ladder import ladder
from dujiang.policy.programme import Base, Op, leaves
from dujiang.registry.columns import book_columns

PROGRAMMES = [entry.programme for entry in shipped_programmes().values()]
BY_STORED = {fact.stored: fact for fact in known_facts().values()}
OF_PRODUCTS = [c for product in shipped_products().values() for c in leaves(product.conditions)]
OF_STEPS = [c for step in ladder() for c in leaves(step.conditions)]
CONDITIONS = [*(c for p in PROGRAMMES for c in p.asked()), *OF_STEPS, *OF_PRODUCTS]
PYTHON = {"bool": bool, "date": date, "word": str, "text": str, "money": int, "int": int}


@pytest.mark.parametrize("condition", CONDITIONS, ids=[f"{c.id}: {c.fact}" for c in CONDITIONS])
def test_every_fact_that_is_asked_is_known_and_of_that_type(condition):
    known = BY_STORED[condition.fact]
    values = condition.value if isinstance(condition.value, tuple) else (condition.value,)
    for value in values if condition.op is not Op.EXISTS else ():
        assert isinstance(value, PYTHON.get(known.type, int | float))
        assert isinstance(value, bool) is (known.type == "bool")
        assert not known.values or value in known.values


def test_bases_days_and_titles_are_known_facts():
    for base in Base:
        assert BY_STORED[base.facts[0]].type == "money"
    for programme in PROGRAMMES:
        if programme.pro_rata is not None:
            assert {BY_STORED[name].type for name in programme.pro_rata.facts} == {"date"}
    for step in ladder():
        assert BY_STORED[step.fact].type == "bool"
        assert step.kind is None or step.kind in known_facts()["kind"].values


def test_every_known_fact_is_asked_or_names_something():
    names = {"enterprise_id", "name", "founded", "good", "date", "seller_id", "seller_region", "accelerator"}
    asked = {c.fact for c in CONDITIONS} | {step.fact for step in ladder()} | {n for base in Base for n in base.facts}
    asked |= {n for p in PROGRAMMES if p.pro_rata is not None for n in p.pro_rata.facts}
    assert BY_STORED.keys() == asked | names


def test_the_list_agrees_with_books_and_rounds():
    for column in book_columns()["enterprises"]:
        assert known_facts()[column.column].side == "firm"
        assert known_facts()[column.column].stored == column.stored
    for fact in known_facts().values():
        assert fact.side == "seller" or not is_seller_side(fact.stored)


def test_rows_are_whole_and_say_it_in_both_languages():
    rows = list(csv.DictReader(files("dujiang.catalog").joinpath("data/facts.csv").read_text("utf-8").splitlines()))
    assert len(rows) == len(known_facts())
    for row in rows:
        assert None not in row, row["fact"]
        assert None not in row.values(), row["fact"]
        assert re.fullmatch(r"[a-z][a-z0-9_]*", row["fact"])
        assert (row["type"] == "money") is row["fact"].endswith("_cny")
        assert row["type"] != "money" or row["unit"] == "CNY"
        assert (row["type"] in ("money", "share", "int", "number")) is bool(row["unit"])
        assert (row["type"] == "word") is bool(row["values"])
        assert re.search(r"[\u4e00-\u9fff]", row["zh"])
        assert row["en"].isascii()


def test_a_fact_is_said_in_words_and_an_unlisted_one_by_its_name():
    assert words_for("revenue_ucny").en == "Sales of the last year"
    assert words_for("startup").zh.startswith("是否为初创企业")
    assert words_for("cats_ucny").en == "cats_ucny"
