"""The page of a funding plan: everything of the document on it, in both languages, closed to what a file may hold."""

import copy
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner

from dujiang.cli.main import app
from dujiang.core.text import Text
from dujiang.reports.plan import COST_WORDS, Section, page, plan_page
from dujiang.reports.plan_chart import Band, Line, cash_chart

EXAMPLES = Path(__file__).parents[2] / "examples/fund"
VOID = {"meta", "br", "input"}


def answered(name: str, folder: Path, *options: str) -> dict:
    """Plan an example as somebody at the command line does, without the plans beside it unless asked for."""
    files = [str(EXAMPLES / name / "project.yaml"), "--firm", str(EXAMPLES / name / "firm.yaml")]
    result = CliRunner().invoke(app, ["fund", *files, "--json", "--out", str(folder), *options])
    assert result.exit_code == 0, result.output
    return json.loads((folder / "plan.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def startup(tmp_path_factory: pytest.TempPathFactory) -> dict:
    return answered("startup", tmp_path_factory.mktemp("startup"))


@pytest.fixture(scope="module")
def poor(startup: dict, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """The start-up if nobody lends or invests."""
    gone = [o for item in startup["instruments"] if item["kind"] != "subsidy" for o in ("--without", item["id"])]
    return answered("startup", tmp_path_factory.mktemp("poor"), *gone)


class Page(HTMLParser):
    """Collects the text of a page, and that every element is closed where it should be."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_stands_alone(startup: dict) -> None:
    html = plan_page(startup)
    seen = Page(html)
    assert "://" not in html
    assert not {"script", "link", "img", "iframe", "object"} & set(seen.tags)
    assert not [name for name, _ in seen.attributes if name.startswith("on") or name in ("src", "href", "style")]
    assert html == plan_page(startup)


def test_every_instrument_that_is_used_is_on_it_with_its_clause_and_mark(startup: dict) -> None:
    html = plan_page(startup)
    text = Page(html).text
    for row in startup["apply"]:
        assert row["name"] in text
        assert row["name_zh"] in text
        assert row["clause_zh"] in text
        assert row["with_zh"] in text
        assert row["apply_month"] in text
    assumed = sum(bool(row["assumed"]) for row in startup["apply"])
    assert html.count("<mark ") >= assumed > 0


def test_every_assumption_of_what_is_used_is_at_its_foot(startup: dict) -> None:
    text = Page(plan_page(startup)).text
    foot = text[text.rindex("假设清单") :]
    used = [row for row in startup["assumptions"] if row["subject"] in {"project", *startup["used"]}]
    for row in used:
        if row["says"]:
            assert row["says"] in foot
            assert row["says_zh"] in foot
    assert "年利率：3.50%" in foot
    assert "return that the investor asks for: 15.00%" in foot
    assert "drawn within so many months of the start: 12 months" in foot


def test_the_figures_are_those_of_the_document(startup: dict) -> None:
    text = Page(plan_page(startup)).text
    for row in [*startup["sources_and_uses"]["sources"], *startup["sources_and_uses"]["uses"]]:
        assert f"{round(row['amount_cny']):,}" in text or not row["amount_cny"]
    for row in startup["alternatives"]:
        assert f"{round(row['more_cny']):,}" in text
    for row in startup["shocks"]:
        assert f"{round(row['missing_cny']):,}" in text
    for row in startup["binding"]:
        assert f"{round(row['allowed_cny']):,}" in text


def test_both_sides_and_their_totals_agree(startup: dict) -> None:
    whole = startup["sources_and_uses"]
    for side in ("sources", "uses"):
        assert sum(row["amount_cny"] for row in whole[side]) == pytest.approx(whole["total_cny"], abs=0.005)


def test_three_sentences_tell_the_story(startup: dict) -> None:
    told = page(startup).story
    assert len(told) == 3
    assert all(said.en.endswith(".") and said.zh.endswith("。") for said in told)
    need, answer, hinges = told
    assert "2026-05" in need.en  # the month in which own cash would be used up
    assert "public support" in answer.en
    assert "训力券" in hinges.zh


def test_the_first_month_below_zero_is_said_from_costs_and_income_alone(startup: dict) -> None:
    project = startup["project"]
    cash = project["own_cash_cny"]
    flows = zip(project["income"], *project["costs"].values(), strict=True)
    balance = [cash := cash + income - sum(costs) for income, *costs in flows]
    broke = next(m for m, amount in enumerate(balance) if amount < 0)
    assert f"used up in 2026-{broke + 1:02d}" in page(startup).story[0].en


def test_a_proof_does_not_look_better_than_it_is(startup: dict) -> None:
    document = copy.deepcopy(startup)
    document["optimum"] |= {"gap": 0.00011, "proven": False}
    card = next(card for card in page(document).cards if card.what.en == "no plan is better by")
    assert card.figure.en == "≤ 0.02%"
    assert "not proven" in card.note.en


def test_without_a_plan_it_says_what_is_missing_and_when(poor: dict) -> None:
    assert not poor["feasible"]
    html = plan_page(poor)
    text = Page(html).text
    lack = poor["shortfall"]
    assert lack["month"] in text
    assert lack["says_zh"] in text
    assert f"{round(lack['by_month'][0]['missing_cny']):,}" in text
    assert "svg" not in Page(html).tags


def test_both_languages_stand_in_it_and_the_one_asked_for_is_shown(startup: dict) -> None:
    for lang, other in (("zh", "en"), ("en", "zh")):
        html = plan_page(startup, lang)
        checked = re.findall(r'id="(zh|en)" ?(checked)?', html)
        assert (lang, "checked") in checked
        assert (other, "") in checked
    # Every span in one language has its twin beside it.
    assert html.count('<span lang="en">') == html.count('<span lang="zh">') > 100


@pytest.mark.parametrize("hostile", ["<script>alert(1)</script>", '"><img src=x>', "{{ 7*7 }}", "</title><b>"])
def test_what_a_file_says_stays_text(startup: dict, hostile: str) -> None:
    document = copy.deepcopy(startup)
    document["project"] |= {"name": hostile, "name_zh": hostile}
    for item in (*document["instruments"], *document["apply"], *document["left_out"]):
        item |= {"name": hostile, "name_zh": hostile}
    for row in document["apply"]:
        row |= {"clause": hostile, "clause_zh": hostile, "with": hostile, "with_zh": hostile, "source": hostile}
    document["project"]["milestones"][0] |= {"what": hostile, "what_zh": hostile}
    seen = Page(plan_page(document))
    assert not {"script", "img"} & set(seen.tags)
    assert seen.tags.count("b") == Page(plan_page(startup)).tags.count("b")
    assert hostile in seen.text


def section(document: dict, title: str) -> Section:
    return next(part for part in page(document).sections if part.title.en == title)


def test_a_limit_of_several_instruments_names_each(startup: dict) -> None:
    shared = next(row for row in startup["binding"] if row["subject"] and ", " in row["subject"])
    names = {item["id"]: item["name_zh"] for item in startup["instruments"]}
    rows = section(startup, "What binds").tables[0].rows
    assert "、".join(names[key] for key in shared["subject"].split(", ")) in {row.cells[0].zh for row in rows}


def test_costs_are_marked_where_a_term_is_an_example(startup: dict) -> None:
    rows = section(startup, "What the money costs").tables[0].rows
    assumed = {item["name"]: item["assumed"] for item in startup["instruments"]}
    for row in rows[:-1]:
        assert bool(row.assumed) == bool(assumed[row.cells[0].en])
    assert "interest a year" in next(row.assumed.en for row in rows if row.cells[0].en.startswith("BOC"))


def test_what_the_project_file_assumes_comes_first(startup: dict) -> None:
    first = page(startup).assumptions[0]
    assert first.name.en == "The project file"
    for word in ("the costs", "the income", "discount rate a year: 8.00%"):
        assert word in first.lines[0].en


@pytest.mark.parametrize("name", ["startup", "manufacturer", "centre"])
def test_an_example_is_funded_and_says_what_it_assumes(name: str, startup: dict, tmp_path: Path) -> None:
    document = startup if name == "startup" else answered(name, tmp_path, "--plan-only")
    assert document["feasible"]
    assert document["optimum"]["proven"]
    project = document["project"]
    assert set(project["costs"]) <= set(COST_WORDS)
    assert {"costs", "income"} <= set(project["assumed"])
    assert min(row["closing_cny"] for row in document["cash"]) >= project["reserve_cny"]
    for kind, row in project["costs"].items():
        paid = sum(s["amount_cny"] for s in document["support"] if s["kind"] == kind)
        assert paid <= sum(row)
    assert Page(plan_page(document)).text


def test_support_is_worth_something_only_where_there_is_a_programme(startup: dict, tmp_path: Path) -> None:
    """What vouchers are really worth: the difference of two plans, not the sum on the voucher."""
    without = answered("startup", tmp_path, "--no-support", "--plan-only")
    worth = without["cost_of_capital"]["present_value_cny"] - startup["cost_of_capital"]["present_value_cny"]
    nominal = startup["cost_of_capital"]["support_cny"]
    assert without["cost_of_capital"]["support_cny"] == 0
    assert worth > startup["cost_of_capital"]["support_present_value_cny"] > 0
    assert without["dilution"]["share"] > startup["dilution"]["share"]
    assert startup["cost_of_capital"]["support_present_value_cny"] < nominal


MONTHS = ["2026-01", "2026-02", "2026-03"]


def drawn(bands: list[Band], lines: list[Line]) -> str:
    return str(cash_chart(MONTHS, bands, lines, Text("Cash", "现金")))


def rectangles(svg: str) -> list[tuple[float, float, float]]:
    found = re.findall(r'<rect class="\w+" x="([\d.]+)" y="([\d.]+)" width="[\d.]+" height="([\d.]+)"', svg)
    return [tuple(map(float, item)) for item in found]


def test_bars_are_in_proportion_and_stand_on_each_other() -> None:
    one = Band(Text("a", "甲"), "income", [1e6, 0, 2e6])
    two = Band(Text("b", "乙"), "support", [1e6, 0, 0])
    out = Band(Text("c", "丙"), "costs", [2e6, 1e6, 0], out=True)
    bars = rectangles(drawn([one, two, out], []))
    assert len(bars) == 5
    (x, first, high), (_, second, same_high), (_, low, deep), (_, lower, shallow), (_, _, tall) = bars
    assert high == pytest.approx(same_high)
    assert first - second == pytest.approx(high)  # the second stands on the first
    assert deep == pytest.approx(2 * high)
    assert low == pytest.approx(first + high)  # what goes out begins at the line
    assert lower == pytest.approx(low)
    assert shallow == pytest.approx(high)
    assert tall == pytest.approx(2 * high)
    assert x < bars[3][0] < bars[4][0]


def test_nothing_is_drawn_outside_of_the_chart() -> None:
    svg = drawn(
        [Band(Text("a", "甲"), "income", [3.3e7, 1, 0]), Band(Text("b", "乙"), "costs", [0, 9.9e7, 1], out=True)],
        [Line(Text("l", "线"), "cash", [-1.2e8, 5e6, 4.4e7])],
    )
    width, height = map(float, re.search(r'viewBox="0 0 (\d+) (\d+)"', svg).groups())
    for x, y, tall in rectangles(svg):
        assert 0 <= x <= width
        assert 0 <= y <= y + tall <= height
    points = re.search(r'points="([^"]+)"', svg).group(1)
    for pair in points.split():
        x, y = map(float, pair.split(","))
        assert 0 <= x <= width
        assert 0 <= y <= height


def test_a_chart_of_nothing_is_drawn() -> None:
    assert "<svg" in drawn([Band(Text("a", "甲"), "income", [0, 0, 0])], [])
