"""Every rule of a programme as a sentence, and what changed from one version to another."""

from copy import deepcopy

import pytest
from policy_samples import EVERYTHING, MADE_UP, changed, programme
from ruamel.yaml import YAML

from dujiang.policy.catalogue import shipped_programmes
from dujiang.policy.compare import Kind, changes
from dujiang.policy.rules import Part, percent, rules, yuan

SHIPPED = {key: entry.programme for key, entry in shipped_programmes().items()}


def test_every_basis_of_a_programme_stands_under_a_rule():
    for p in (*SHIPPED.values(), programme(EVERYTHING), programme()):
        assert {r.basis for r in rules(p) if r.basis is not None} == set(p.bases()), p.id


@pytest.mark.parametrize("text", [EVERYTHING, MADE_UP])
def test_a_path_names_one_rule(text):
    paths = [r.path for r in rules(programme(text))]
    assert len(paths) == len(set(paths))


def test_paths_are_unique_in_the_catalogue_and_both_languages_are_there():
    for p in SHIPPED.values():
        found = rules(p)
        assert len({r.path for r in found}) == len(found), p.id
        assert all(r.text.en and r.text.zh and r.title.en and r.title.zh for r in found), p.id


def test_the_sentences_hold_the_numbers():
    said = {r.path: r for r in rules(programme(EVERYTHING))}
    expected = {
        "rate": "not above, slice by slice: 30 % of what is above CNY 0, 20 % of what is above CNY 1,000,000, "
        "10 % of what is above CNY 2,000,000.5",
        "cap.enterprise.year": "CNY 500,000 an enterprise, a year",
        "cap.contract.validity": "CNY 300,000 a contract",
        "special_rates.lead": "30 %, at most CNY 900,000, where: it leads",
        "combined_ceiling": "with other support of its group at most 50 % of the base",
        "excludes.city": "programmes of level city of the same place, for the same contract",
        "excludes.model": "others of the group model, by the same enterprise",
        "voucher": "good for 12 months, not transferable, settled every quarter",
        "rounding": "base and payment are cut down to whole yuan",
        "funded_by.province": "50 % by the province",
    }
    assert {path: said[path].text.en for path in expected} == expected
    assert said["conditions.who.lab.clean.listed"].depth == 3
    assert said["conditions.trade"].test == "trade not_in gambling, tobacco"
    assert said["budget"].text.zh == "每年 5,000,000 元；不足时按比例核减；与 another, a-third 共用"
    assert [r.part for r in rules(programme(EVERYTHING))] == sorted(
        (r.part for r in rules(programme(EVERYTHING))), key=list(Part).index
    )


def test_what_is_no_rule_and_what_nobody_confirmed_says_so():
    said = {r.path: r.text.en for r in rules(programme())}
    assert said["verified"].startswith("general knowledge")
    assert "source_status" not in said
    plan = programme(changed(("verified: false", "verified: true\nsource_status: plan"), ("null", "{en: x, zh: x}")))
    said = {r.path: r.text.en for r in rules(plan)}
    assert ("verified" in said, said["source_status"]) == (False, "a plan, not a rule")


def test_steps_are_said_as_steps():
    text = changed(("method: marginal", "method: step"), text=EVERYTHING)
    said = {r.path: r.text for r in rules(programme(text))}["rate"]
    assert "by the size of the whole base: 30 % above CNY 0, 20 % above CNY 1,000,000" in said.en
    assert (
        said.zh == "按不超过，按基数总额分档：超过 0 元 的 30 %，超过 1,000,000 元 的 20 %，超过 2,000,000.5 元 的 10 %"
    )


def test_money_in_a_question_is_in_yuan():
    said = {r.path: r.test for r in rules(programme())}
    assert said["conditions.revenue"] == "revenue_cny less_than 2000000.00"
    assert said["conditions.unrelated"] == "related_party is false"


@pytest.mark.parametrize(
    ("ppm", "text"), [(1, "0.0001 %"), (10_000, "1 %"), (123_456, "12.3456 %"), (1_000_000, "100 %")]
)
def test_shares_are_written_exactly(ppm, text):
    assert percent(ppm) == text


def test_amounts_are_written_exactly():
    assert yuan(1_234_567_890_000).en == "CNY 1,234,567.89"
    assert yuan(1_000_000).zh == "1 元"


# Comparing


def test_a_version_does_not_differ_from_itself():
    for p in (programme(), programme(EVERYTHING)):
        assert changes(p, p) == ()


@pytest.mark.parametrize(
    ("old", "new", "path", "kind"),
    [
        ("rate: {share: 0.5,", "rate: {share: 0.4,", "rate", Kind.CHANGED),
        ("cap: {amount_cny: 1000,", "cap: {amount_cny: 2000,", "cap.enterprise.year", Kind.CHANGED),
        ("op: at_most, value: 500", "op: at_most, value: 300", "conditions.staff", Kind.CHANGED),
        ("op: less_than, value: 2000000", "op: at_most, value: 2000000", "conditions.revenue", Kind.CHANGED),
        ("until: 2026-12-31", "until: 2027-12-31", "valid", Kind.CHANGED),
        ("minimum_cny: {amount_cny: 10, clause: terms}\n", "", "minimum_cny", Kind.REMOVED),
        ("rounding: fen", "rounding: yuan", "rounding", Kind.ADDED),
        ("en: assumed", "en: read so", "stacking", Kind.REFOUNDED),
        ("not_computable: null", "not_computable: {en: because, zh: 因为}", "not_computable", Kind.ADDED),
        (
            "{id: startup, fact: startup,",
            "{id: startup, fact: start_up,",
            "special_rates.startup.startup",
            Kind.CHANGED,
        ),
    ],
)
def test_each_change_is_found_and_nothing_else(old, new, path, kind):
    found = changes(programme(), programme(changed((old, new))))
    assert [(c.path, c.kind) for c in found] == [(path, kind)]
    there, back = found[0], changes(programme(changed((old, new))), programme())[0]
    assert (there.before, there.after) == (back.after, back.before)


def test_another_text_of_a_clause_is_another_foundation():
    found = changes(programme(), programme(changed(("text: 样例条款", "text: 另一条款"))))
    assert {c.kind for c in found} == {Kind.REFOUNDED}
    assert {"rate", "valid", "budget"} <= {c.path for c in found}
    assert found[0].before.clause.text == "样例条款"


def test_the_order_of_conditions_and_the_day_of_the_file_are_no_change():
    document = YAML(typ="safe", pure=True).load(EVERYTHING)
    other = deepcopy(document)
    other["conditions"].reverse()
    other["excludes"].reverse()
    from random_programmes import read

    other["version"] = "2026-02-02"
    assert changes(read(document), read(other)) == ()


def test_what_is_gone_stands_where_it_stood():
    found = changes(programme(EVERYTHING), programme(MADE_UP))
    parts = [c.part for c in found]
    assert parts == sorted(parts, key=list(Part).index)
