"""What one firm finds on each level, and what its next title would open."""

from datetime import date

from random_programmes import TERMS, WORDS
from stack_samples import DAY, excluding, group, plain

from dujiang.policy.catalogue import shipped_programmes
from dujiang.policy.condition import Outcome
from dujiang.policy.ladder import Stand
from dujiang.policy.match import match
from dujiang.policy.programme import Level
from dujiang.policy.together import Hurdle

FIRM = {"kind": "enterprise", "province": "某省", "city": "某市"}
NATION = {"level": "nation"}
PROVINCE = {"level": "province", "province": "某省"}


def condition(key: str, fact: str, op: str, value: object) -> dict[str, object]:
    return {"id": key, "fact": fact, "op": op, "value": value, "text": WORDS, **TERMS}


def offered(found, level):
    return [o.programme.id for o in found.levels[level]]


def test_each_level_offers_what_no_condition_rules_out():
    programmes = [
        plain("here", conditions=[condition("place", "city", "is", "某市")]),
        plain("there", conditions=[condition("place", "city", "is", "另市")]),
        plain("open", conditions=[condition("purpose", "purpose", "is", "training")], jurisdiction=PROVINCE),
        plain("nation", jurisdiction=NATION),
        plain("past", valid={"from": date(2020, 1, 1), "until": date(2020, 12, 31), **TERMS}),
    ]
    found = match(programmes, FIRM, DAY)
    assert list(found.levels) == [Level.NATION, Level.PROVINCE, Level.CITY]
    assert [offered(found, level) for level in Level] == [["nation"], ["open"], ["here"]]
    assert found.levels[Level.PROVINCE][0].needs_facts == ("purpose", "contract_ucny")
    assert found.levels[Level.CITY][0].outcomes[0][1] is Outcome.MET


def test_what_cannot_be_computed_is_offered_where_the_firm_is_and_comes_last():
    why = {"en": "no number", "zh": "无数字"}
    programmes = [
        plain("a-plan", not_computable=why, jurisdiction=NATION),
        plain("rule", jurisdiction=NATION),
        plain("local", not_computable=why),
        plain("elsewhere", not_computable=why, jurisdiction={"level": "city", "province": "某省", "city": "另市"}),
    ]
    found = match(programmes, {**FIRM, "city": "某市"}, DAY)
    assert [offered(found, level) for level in Level] == [["rule", "a-plan"], [], ["local"]]
    assert [o.computable for o in found.levels[Level.NATION]] == [True, False]
    # A firm that does not say where it is may be anywhere.
    assert offered(match(programmes, {"kind": "enterprise"}, DAY), Level.CITY) == ["elsewhere", "local"]


def test_an_administrative_suffix_does_not_move_a_city():
    plan = plain("plan", not_computable={"en": "x", "zh": "x"})
    assert offered(match([plan], {"province": "某", "city": "某"}, DAY), Level.CITY) == ["plan"]
    assert offered(match([plan], {"province": "某省", "city": "某市"}, DAY), Level.CITY) == ["plan"]


def test_what_rules_out_what():
    programmes = [
        plain("a", stacking=group("g")),
        plain("b", stacking=group("g"), excludes=excluding("d")),
        plain("c", stacking=group("g"), jurisdiction=NATION),
        plain("d"),
        plain("e", excludes=excluding("d")),
    ]
    found = match(programmes, FIRM, DAY).clashes
    assert [(c.hurdle, c.programmes) for c in found] == [
        (Hurdle.GROUP, ("a", "b", "c")),
        (Hurdle.EXCLUDES, ("b", "d")),
        (Hurdle.EXCLUDES, ("d", "e")),
    ]
    assert found[1].bar.owner.id == "b"


def test_a_title_opens_what_was_closed_without_it():
    title = condition("title", "certified_tech_sme", "is", True)
    programmes = [
        plain("closed", conditions=[title]),
        plain("kind", conditions=[condition("kind", "kind", "in", ["tech_sme"])]),
        plain("open"),
        plain("higher", special_rates=[{"share": 0.3, "when": [title], **TERMS}]),
        plain("still", conditions=[title, condition("place", "city", "is", "另市")]),
    ]
    found = match(programmes, FIRM, DAY)
    opened = {o.step.id: o for o in found.next_steps}["tech-sme"]
    assert opened.programmes == ("closed", "kind")
    assert opened.special_rates == (("higher", 300_000),)
    assert opened.stand is Stand.UNKNOWN
    assert "employees" in opened.needs_facts


def test_the_first_and_the_last_day_belong_to_the_validity():
    valid = {"from": date(2026, 1, 1), "until": date(2026, 12, 31), **TERMS}
    for day, open_ in ((date(2025, 12, 31), []), (date(2026, 1, 1), ["a"]), (date(2026, 12, 31), ["a"])):
        assert offered(match([plain("a", valid=valid)], FIRM, day), Level.CITY) == open_
    assert offered(match([plain("a", valid=valid)], FIRM, date(2027, 1, 1)), Level.CITY) == []


def test_a_special_rate_opens_only_where_it_asks_for_the_title():
    title = condition("title", "certified_tech_sme", "is", True)
    small = condition("small", "employees", "at_most", 5)
    other = condition("other", "certified_high_tech", "is", True)
    kind = condition("kind", "kind", "is", "tech_sme")
    special = [
        {"share": 0.2, "when": [other], **TERMS},
        {"share": 0.3, "when": [title, small], **TERMS},
        {"share": 0.4, "when": [kind], **TERMS},
    ]
    found = match([plain("a", special_rates=special)], {**FIRM, "employees": 3}, DAY)
    opened = {o.step.id: o.special_rates for o in found.next_steps}
    assert opened["tech-sme"] == (("a", 300_000), ("a", 400_000))
    assert opened["innovative-sme"] == ()


def test_a_step_that_is_held_is_no_next_step():
    found = match([], {**FIRM, "certified_tech_sme": True}, DAY)
    stands = {a.step.id: a.stand for a in found.ladder}
    assert stands["tech-sme"] is Stand.HELD
    assert "tech-sme" not in {o.step.id for o in found.next_steps}
    assert "high-tech" in {o.step.id for o in found.next_steps}


def test_a_firm_in_shenzhen_finds_its_city_and_not_others():
    programmes = [entry.programme for entry in shipped_programmes().values()]
    found = match(programmes, {"kind": "enterprise", "province": "广东", "city": "深圳"}, date(2025, 6, 1))
    city = offered(found, Level.CITY)
    assert {"sz-training-voucher", "sz-corpus-voucher", "sz-model-voucher"} <= set(city)
    assert not {"dg-compute-voucher", "bj-compute-voucher-rules", "su-data-and-compute-2026"} & set(city)
    assert any("sz-training-voucher" in c.programmes for c in found.clashes)
