"""Screening: columns against a plain reading firm by firm, neutrality that can fail, groups, mistakes in files."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from books import dujiang
from dujiang.cli.screen import shipped_rules
from dujiang.core.marked import Marked, read_yaml
from dujiang.core.problem import ProblemList
from dujiang.core.text import Text
from dujiang.finance.parse_screening import parse_screening
from dujiang.finance.screening import (
    MOST_REASONS,
    OWNERSHIP,
    Criterion,
    Decision,
    Gate,
    ScreeningRules,
    differences,
    neutrality,
    screen,
)
from dujiang.store.read_firms import read_firms

ROOT = Path(__file__).parents[2]
FIRMS = ROOT / "examples/screen/firms.csv"
SHIPPED = (ROOT / "src/dujiang/catalog/screening/asset-light.yaml").read_text(encoding="utf-8")
WORDS = Text("x", "某")
GATES = (Gate("clean", "clean", WORDS, True), Gate("lawful", "banned", WORDS, False))
CRITERIA = (
    Criterion("people", "people", WORDS, ((0.1, 5), (0.5, 30)), 30),
    Criterion("code", "code", WORDS, (), 20),
    Criterion("usage", "usage", WORDS, ((100.0, 25),), 25),
    Criterion("title", "title", WORDS, (), 3),
)
RULES = ScreeningRules("r", WORDS, (), 55, 30, GATES, CRITERIA, (), ())


def plainly(firm: dict, rules: ScreeningRules) -> tuple[str, int, int, list[str]]:
    """Judge one firm as the module says it in words."""
    points = best = 0
    weighted = []
    for c in rules.criteria:
        value = firm.get(c.fact)
        if c.bands:
            got = max((p for least, p in c.bands if value is not None and value >= least), default=0)
        else:
            got = c.points if value else 0
        points += got
        best += c.points if value is None else got
        if got < c.points:
            weighted.append((c.points - got, f"{c.id}:{'unknown' if value is None else 'low'}"))
    gates = {g.id: None if firm.get(g.fact) is None else firm[g.fact] == g.wanted for g in rules.gates}
    first = [f"{name}:{'unknown' if met is None else 'not-met'}" for name, met in gates.items() if not met]
    reasons = first + [code for _, code in sorted(weighted, key=lambda pair: -pair[0])]
    if False in gates.values():
        decision = "decline"
    elif None in gates.values() and best >= rules.review:
        decision = "ask"
    elif points >= rules.offer:
        decision = "offer"
    elif points >= rules.review:
        decision = "review"
    else:
        decision = "ask" if best >= rules.review else "decline"
    return decision, points, best, reasons[:MOST_REASONS]


flags = st.sampled_from([True, False, None])
numbers = st.one_of(st.none(), st.sampled_from([0.0, 0.0999, 0.1, 0.3, 0.5, 1.0, 99.9, 100.0, 1e9, -1.0]))
firms = st.fixed_dictionaries(
    {"clean": flags, "banned": flags, "people": numbers, "code": flags, "usage": numbers, "title": flags}
)
TYPES = dict.fromkeys(("clean", "banned", "code", "title"), pl.Boolean) | dict.fromkeys(("people", "usage"), pl.Float64)


def table(rows: list[dict]) -> pl.DataFrame:
    ids = pl.Series("enterprise_id", [f"f{n}" for n in range(len(rows))], dtype=pl.String)
    return pl.DataFrame(rows, schema=TYPES).with_columns(ids)


@settings(max_examples=120, deadline=None)
@given(st.lists(firms, min_size=1, max_size=12))
def test_the_columns_say_what_the_plain_reading_says(rows: list[dict]) -> None:
    found = screen(table(rows), RULES)
    assert found["enterprise_id"].to_list() == [f"f{n}" for n in range(len(rows))]
    assert [tuple(row[1:]) for row in found.iter_rows()] == [plainly(row, RULES) for row in rows]


def test_a_fact_that_nobody_knows_never_declines() -> None:
    (row,) = screen(pl.DataFrame({"enterprise_id": ["f"]}), RULES).to_dicts()
    assert (row["decision"], row["points"], row["points_if_known"]) == ("ask", 0, 78)
    assert row["reasons"] == ["clean:unknown", "lawful:unknown", "people:unknown", "usage:unknown"]
    nan = screen(table([{"clean": True, "banned": False, "people": float("nan")}]), RULES)
    assert nan["reasons"].to_list()[0][0] == "people:unknown"


def test_no_firms_and_no_gates_are_no_trouble() -> None:
    assert screen(table([]), RULES).height == 0
    bare = replace(RULES, gates=(), criteria=CRITERIA[:1], offer=30, review=5)
    assert screen(table([{"people": 0.9}]), bare)["decision"].to_list() == ["offer"]
    assert screen(table([{"people": 0.9}]), bare)["reasons"].to_list() == [[]]


def test_rules_that_do_not_ask_it_are_neutral_and_others_are_caught() -> None:
    rows = table([{"clean": True, "banned": False, "people": 0.6, "code": k % 2 == 0, "usage": 50.0} for k in range(9)])
    rows = rows.with_columns(pl.Series("state_owned", [True, False, None] * 3))
    assert not any(f.decisions or f.points for f in neutrality(rows, RULES, screen(rows, RULES)))
    partial = replace(RULES, criteria=(*CRITERIA, Criterion("owner", "state_owned", WORDS, (), 25)))
    flips = {(f.fact, f.value): f for f in neutrality(rows, partial, screen(rows, partial))}
    # 30 points, 50 with code; 25 more carry a firm with code over 55, and one without no further than a review.
    assert flips["state_owned", False].points == 3
    assert flips["state_owned", True].points == 6
    assert flips["state_owned", True].decisions > 0
    assert {fact for fact, _ in flips} == set(OWNERSHIP)


def test_a_gate_on_ownership_is_caught_too() -> None:
    rows = table([{"clean": True, "banned": False, "people": 0.6, "code": True, "usage": 200.0}] * 4)
    gated = replace(RULES, gates=(*GATES, Gate("ours", "foreign_invested", WORDS, False)))
    flips = {(f.fact, f.value): f.decisions for f in neutrality(rows, gated, screen(rows, gated))}
    assert flips["foreign_invested", True] == flips["foreign_invested", False] == 4
    assert flips["foreign_invested", None] == 0


def test_groups_and_the_four_fifths() -> None:
    good = {"clean": True, "banned": False, "people": 0.9, "code": True, "usage": 200.0, "title": True}
    bad = {"clean": False}
    rows = [good] * 40 + [good] * 31 + [bad] * 9 + [good] * 23 + [bad] * 17 + [bad] * 5
    staff = [5] * 40 + [50] * 40 + [150] * 40 + [None] * 5
    frame = table(rows).with_columns(pl.Series("employees", staff, dtype=pl.Float64))
    found = {g.name: g for g in differences(frame, screen(frame, RULES))}
    assert list(found) == ["1-9", "10-99", "100-299", "unknown"]
    assert [round(g.selected, 3) for g in found.values()] == [1, 0.775, 0.575, 0]
    assert [g.marked for g in found.values()] == [False, True, True, False]  # five are too few to say
    assert found["10-99"].ratio == pytest.approx(0.775)


def test_a_small_group_sets_no_standard() -> None:
    good, bad = {"clean": True, "banned": False, "people": 0.9, "code": True, "usage": 200.0}, {"clean": False}
    frame = table([good] * 5 + [good] * 18 + [bad] * 22)
    frame = frame.with_columns(pl.Series("employees", [5] * 5 + [50] * 40, dtype=pl.Float64))
    small, large = differences(frame, screen(frame, RULES))
    assert (large.ratio, large.marked, small.ratio) == (1, False, pytest.approx(40 / 18))


@pytest.mark.parametrize("staff, name", [(9, "1-9"), (10, "10-99"), (99, "10-99"), (100, "100-299"), (300, "300+")])
def test_bands_of_size(staff: float, name: str) -> None:
    frame = table([{}]).with_columns(pl.lit(staff).alias("employees"), pl.lit(3).alias("age_years"))
    groups = differences(frame, screen(frame, RULES))
    assert [(g.by, g.name, g.ratio) for g in groups] == [("size", name, None), ("age", "3-5", None)]


def marked(text: str) -> Marked:
    doc, problems = read_yaml("rules.yaml", text)
    assert doc is not None, problems
    return doc


def test_shipped_rules_look_at_people_code_and_use_and_name_products_of_the_catalogue() -> None:
    products = {path.stem for path in (ROOT / "src/dujiang/catalog/finance").glob("*.yaml")}
    assert shipped_rules()
    for rules in shipped_rules().values():
        assert set(rules.products) <= products
        assert rules.most == 100
        assert rules.assumptions
        never = {*OWNERSHIP, "employees", "age_years", "founded", "assets_cny", "plant_cny", "revenue_cny"}
        assert not never & set(rules.facts)


@pytest.mark.parametrize(
    "old, new, code, field",
    [
        ("offer: 60", "offer: 101", "bad-number", "decision.offer"),
        ("offer: 60", "offer: 39", "bad-number", "decision.offer"),
        ("review: 40", "review: null", "bad-number", "decision.review"),
        ("id: people", "id: usage", "duplicate-id", "criteria"),
        ("id: people", "id: clean-record", "duplicate-id", "criteria"),
        ("fact: rd_staff_share", "fact: rd-staff", "bad-name", "criteria.0.fact"),
        ("fact: rd_staff_share", "fact: owns_core_ip", "two-types", "criteria"),
        ("{at_least: 0.1, points: 8}", "{at_least: 0.4, points: 8}", "bad-order", "criteria.0.bands"),
        ("{at_least: 0.1, points: 8}", "{at_least: 0.1, points: 17}", "bad-order", "criteria.0.bands"),
        ("{at_least: 0.1, points: 8}", "{at_least: few, points: 8}", "bad-number", "criteria.0.bands.0.at_least"),
        ("{at_least: 0.1, points: 8}", "{at_least: .nan, points: 8}", "bad-number", "criteria.0.bands.0.at_least"),
        ("{at_least: 0.1, points: 8}", "{at_least: 0.1, points: -8}", "bad-number", "criteria.0.bands.0.points"),
        ("points: 15", "points: 15\n    bands: []", "one-of-two", "criteria.2.bands"),
        ("    points: 15\n", "    bands: []\n", "bad-value", "criteria.2.bands"),
        ("fact: rd_staff_share", "fact: enterprise_id", "bad-name", "criteria.0.fact"),
        ("points: 15", "points: 15\n    weight: 1", "unknown-field", "criteria.2.weight"),
        ("    points: 15\n", "", "one-of-two", "criteria.2.bands"),
        ("is: false", "is: never", "bad-type", "gates.1.is"),
        ("version: 2026-01-01", "version: first", "bad-date", "version"),
    ],
)
def test_a_mistake_in_rules_is_named(old: str, new: str, code: str, field: str) -> None:
    assert SHIPPED.count(old) == 1
    rules, problems = parse_screening(marked(SHIPPED.replace(old, new)))
    assert rules is None
    assert (code, field) in {(p.code, p.field) for p in problems}, [p.say() for p in problems]


@pytest.mark.parametrize("text", ["", "- 1", "criteria: 3", "criteria: []\ngates: [1]", "decision: []"])
def test_any_document_is_answered_with_problems(text: str) -> None:
    assert parse_screening(marked(text))[1]


ASKED = {"clean": bool, "usage": float}


@pytest.mark.parametrize(
    "text, expected",
    [
        ("name\na\n", [("missing-column", None, "enterprise_id")]),
        ("enterprise_id\na\na\n", [("duplicate-id", 2, "enterprise_id"), ("duplicate-id", 3, "enterprise_id")]),
        ("enterprise_id,clean\n ,true\n", [("missing-value", 2, "enterprise_id")]),
        ("enterprise_id,clean\na,maybe\n", [("bad-type", 2, "clean")]),
        ("enterprise_id,usage\na,1\nb,many\n", [("bad-type", 3, "usage")]),
        ("enterprise_id,employees\na,some\n", [("bad-type", 2, "employees")]),
    ],
)
def test_a_mistake_in_a_table_is_named(tmp_path: Path, text: str, expected: list) -> None:
    (tmp_path / "firms.csv").write_text(text, encoding="utf-8")
    problems = ProblemList()
    assert read_firms(tmp_path / "firms.csv", ASKED, problems) is None
    assert [(p.code, p.row, p.field) for p in problems] == expected


def test_tables_of_both_kinds_are_read_alike(tmp_path: Path) -> None:
    (tmp_path / "firms.csv").write_text("enterprise_id,clean,usage\na,TRUE,1\nb,否,\nc,, 2.5 \n", encoding="utf-8")
    frame = pl.DataFrame({"enterprise_id": list("abc"), "clean": [True, False, None], "usage": [1.0, None, 2.5]})
    frame.write_parquet(tmp_path / "firms.parquet")
    problems = ProblemList()
    for name in ("firms.csv", "firms.parquet"):
        found = read_firms(tmp_path / name, ASKED, problems)
        assert found is not None
        assert found.equals(frame)
    frame.with_columns(pl.lit("x").alias("usage"), pl.lit(1).alias("clean")).write_parquet(tmp_path / "firms.parquet")
    assert read_firms(tmp_path / "firms.parquet", ASKED, problems) is None
    assert {p.field for p in problems} == {"clean", "usage"}


def test_many_like_mistakes_are_counted(tmp_path: Path) -> None:
    (tmp_path / "firms.csv").write_text("enterprise_id,clean\n" + "".join(f"f{n},?\n" for n in range(50)))
    problems = ProblemList()
    assert read_firms(tmp_path / "firms.csv", ASKED, problems) is None
    assert [p.found for p in problems if p.row is None] == ["46 more of the same"]


def screened(*more: str | Path, firms: Path = FIRMS) -> dict:
    ended = dujiang("screen", "--firms", firms, "--product", "boc-ip-pledge", "--json", *more)
    assert ended.code == 0, ended.err
    return ended.document


def test_the_example_is_judged_on_people_code_and_use(tmp_path: Path) -> None:
    document = screened("--out", tmp_path / "out.parquet")
    by_firm = {row["enterprise_id"]: row for row in document["results"]}
    assert by_firm["f01"]["decision"] == "offer"  # 18 people, two years old, no plant
    assert by_firm["f02"]["points"] < by_firm["f01"]["points"]  # a plant of 180 million counts for nothing
    assert by_firm["f07"]["reasons"] == ["clean-record:not-met"]
    assert by_firm["f08"]["decision"] == "ask"
    assert sum(document["decisions"].values()) == document["firms"] == 8
    assert {g["by"] for g in document["differences"]["groups"]} == {"size", "age", "ownership"}
    assert document["assumptions"]
    assert pl.read_parquet(tmp_path / "out.parquet").to_dicts() == document["results"]


def test_flipping_ownership_in_the_table_itself_changes_no_result(tmp_path: Path) -> None:
    before = screened()["results"]
    frame = pl.read_csv(FIRMS, infer_schema_length=0)
    for owner in ("state", "private", None):
        path = tmp_path / "firms.parquet"
        typed = frame.with_columns(pl.lit(owner, dtype=pl.String).alias("ownership"), pl.lit(True).alias("state_owned"))
        typed.write_parquet(path)
        assert screened(firms=path)["results"] == before


def test_partial_rules_are_refused(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    for fact, more in (("state_owned", ()), ("soe_flag", ("--ownership", "soe_flag"))):
        extra = f"  - {{id: owner, fact: {fact}, points: 1, text: {{en: o, zh: 主}}}}\nsources:"
        rules.write_text(SHIPPED.replace("sources:", extra), encoding="utf-8")
        ended = dujiang("screen", "--firms", FIRMS, "--rules", rules, "--json", *more)
        assert ended.code == 1
        assert [(p["code"], p["field"]) for p in ended.document["problems"]] == [("not-neutral", fact)]


@pytest.mark.parametrize("lang, words", [("en", "change no decision and no point"), ("zh", "结论与分值均无变化")])
def test_words_for_people(lang: str, words: str) -> None:
    ended = dujiang("--lang", lang, "screen", "--firms", FIRMS, "--product", "plan-p1-credit")
    assert (ended.code, ended.err) == (0, "")
    assert words in ended.out


def test_what_cannot_be_screened_is_a_problem(tmp_path: Path) -> None:
    assert dujiang("screen", "--firms", tmp_path / "no.parquet", "--product", "plan-p1-credit").code == 1
    ended = dujiang("screen", "--firms", FIRMS, "--product", "no-such")
    assert (ended.code, "no-such" in ended.err) == (1, True)
    assert dujiang("screen", "--firms", FIRMS).code == 2
    assert dujiang("screen", "--firms", FIRMS, "--product", "x", "--rules", "y").code == 2
    assert dujiang("screen", "--firms", FIRMS, "--rules", tmp_path / "no.yaml").code == 1


def test_every_decision_has_its_word() -> None:
    assert {d.value for d in Decision} == {"offer", "review", "ask", "decline"}
