"""The pages of the policy lab: everything inside, both languages, nothing made up, whatever a document leaves out."""

import copy
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import plotly.graph_objects as go
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lab_documents import RATES, Document, assumptions, isolated, mixed, run, search, study
from page_reader import EVIL, own_part, read, resolved, walk, words_only

from dujiang.core.text import Text
from dujiang.reports.charts import plain
from dujiang.reports.lab_comparison import comparison_page, names_of
from dujiang.reports.lab_document import Study
from dujiang.reports.lab_html import render_comparison, render_run, render_study
from dujiang.reports.lab_page import Page
from dujiang.reports.lab_run import run_page
from dujiang.reports.lab_study import study_page
from dujiang.reports.lab_words import EFFECTS, MEASURES, Unit, cell, measure_of, titled
from dujiang.reports.layout import Panel, Table
from dujiang.reports.words import UNKNOWN

PAGES: dict[str, Callable[[], tuple[Page, str]]] = {
    "run": lambda: (run_page(run()), render_run(run())),
    "study": lambda: (study_page(study()), render_study(study())),
    "search": lambda: (study_page(search()), render_study(search())),
    "comparison": lambda: (comparison_page(runs()), render_comparison(runs())),
}


def runs() -> list[Document]:
    """Two runs of which the second has effects against the first."""
    second = run()
    second["effects"] = {
        "net_additional_gpu_hours": 19_331.0,
        "incidence": {"buyers": 0.613, "centres": 0.291, "lost": 0.096},
        "leverage": None,
        "by_size": [],
    }
    return [isolated(), second]


@pytest.fixture(scope="module", params=PAGES)
def made(request: pytest.FixtureRequest) -> tuple[Page, str]:
    return PAGES[request.param]()


def panels(page: Page) -> dict[str, Panel]:
    return {panel.key: panel for section in page.sections for panel in section.panels}


def cells(table: Table | None) -> set[str]:
    assert table is not None
    return {plain_spaces(text if isinstance(text, str) else text.en) for row in table.rows for text in row}


def plain_spaces(text: str) -> str:
    return text.replace("\u00a0", " ")


def leaves(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a document."""
    if path:
        yield path
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, item in inner:
        yield from leaves(item, (*path, key))


def at(node: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        node = node[key]
    return node


def changed(document: Document, path: tuple[Any, ...], value: Any) -> Document:
    found = copy.deepcopy(document)
    at(found, path[:-1])[path[-1]] = value
    return found


# Every page


def test_the_same_document_gives_the_same_text_and_stays_as_it_is() -> None:
    for document, render in ((run(), render_run), (study(), render_study), (search(), render_study)):
        before = copy.deepcopy(document)
        assert render(document) == render(copy.deepcopy(document))
        assert document == before
    assert render_comparison(runs()) == render_comparison(runs())


def test_it_needs_no_network(made: tuple[Page, str]) -> None:
    own = own_part(made[1])
    assert "://" not in own
    for tag, attrs in read(own).tags:
        assert tag not in {"link", "img", "iframe", "base", "object", "embed"}
        assert "src" not in attrs
        assert attrs.get("href", "#").startswith("#")
    assert "default-src 'none'" in own


def test_it_stays_small(made: tuple[Page, str]) -> None:
    assert len(made[1].encode()) < 6_000_000
    assert len(own_part(made[1]).encode()) < 400_000


def test_links_lead_somewhere(made: tuple[Page, str]) -> None:
    tags = read(own_part(made[1])).tags
    ids = [attrs["id"] for _, attrs in tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    targets = {str(attrs["href"])[1:] for tag, attrs in tags if tag == "a"}
    assert {"method", *(section.key for section in made[0].sections)} == targets
    assert targets <= set(ids)


def test_every_word_is_said_in_both_languages(made: tuple[Page, str]) -> None:
    said = read(own_part(made[1])).said
    assert len(said) > 100
    for (first, en), (second, zh) in zip(said[::2], said[1::2], strict=True):
        assert (first, second) == ("en", "zh")
        assert en.strip(), zh
        assert zh.strip(), en
        assert not re.search(r"[\u4e00-\u9fff]", en.replace("中文", "")), en
        # Chinese puts no space before its own marks, and none of English's behind a character.
        assert not re.search(r"[\u4e00-\u9fff] ?[,;]|\s[，。；：）]|[，。；：（]\s", zh), zh


def test_three_sentences_come_before_the_cards_and_all_assumptions_before_the_first_chart(
    made: tuple[Page, str],
) -> None:
    page, html = made
    own = own_part(html)
    assert len(page.story) == 3
    first_chart = own.index("data-figure")
    assert own.index('class="story"') < own.index('class="cards"') < own.index('id="assumptions"') < first_chart
    listed = own[own.index('id="assumptions"') : first_chart]
    for entry, item in assumptions().items():
        for lang in ("en", "zh"):
            assert item[lang].replace("`", "") in listed
        assert f"<code>{entry}</code>" in listed
    assert "168 hours" in listed
    assert "SHA-256 " + "cd" * 6 + "…" in listed
    assert "cd" * 7 not in listed
    assert "median 2" in listed
    assert own.index("<table") > own.index('id="assumptions"')


def test_each_panel_shows_something_and_each_chart_has_its_place(made: tuple[Page, str]) -> None:
    page, html = made
    drawn = set(re.findall(r'data-figure="([\w.-]+)"', own_part(html)))
    assert drawn == set(page.figures)
    assert drawn
    for panel in panels(page).values():
        assert (panel.figure is not None) + (panel.empty is not None) < 2
        assert panel.figure or panel.empty or panel.table


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_figures_are_what_plotly_accepts(made: tuple[Page, str], lang: str) -> None:
    for figure in made[0].figures.values():
        drawn = resolved(plain(figure), lang)
        assert len(go.Figure(data=drawn["data"], layout=drawn["layout"]).data) == len(figure["data"])


def test_every_tone_has_a_colour_in_both_schemes(made: tuple[Page, str]) -> None:
    page, html = made
    used = {node["tone"] for _, node in walk(plain(page.figures)) if isinstance(node, dict) and "tone" in node}
    palette = html[html.index("const PALETTE") : html.index("const FIGURES")]
    light, dark = palette.split("dark:")
    for tone in used:
        assert re.search(rf"\b{tone}:", light), tone
        assert re.search(rf"\b{tone}:", dark), tone


def test_bars_start_at_zero(made: tuple[Page, str]) -> None:
    for key, figure in made[0].figures.items():
        if not any(trace["type"] == "bar" for trace in figure["data"]):
            continue
        axis = figure["layout"]["xaxis"]
        low, high = axis.get("range", (0, 1))
        assert low <= 0 <= high, key
        assert "range" in axis or axis["rangemode"] == "tozero", key


def test_lines_differ_in_more_than_their_colour(made: tuple[Page, str]) -> None:
    for key, figure in made[0].figures.items():
        named = [trace for trace in figure["data"] if trace["type"] == "scatter" and "name" in trace]
        marks = [(t.get("line", {}).get("dash"), t.get("marker", {}).get("symbol")) for t in named]
        assert len(marks) == len(set(marks)), key


# What users write


def poisoned(node: Any) -> Any:
    """Put markup into every text that people or files may bring, but not into keys that code reads."""
    if isinstance(node, dict):
        kept = {"format", "policy", "mode", "coupling", "key", "id", "centre_id", "region", "unit", "better", "x", "y"}
        return {
            key: item if key in kept and isinstance(item, str) else poisoned(item) for key, item in node.items()
        } | ({f"{EVIL}{{{{ 7 * 7 }}}}": EVIL} if {"source/log", "trace.parquet"} & set(node) else {})
    if isinstance(node, list):
        return [poisoned(item) for item in node]
    return f"{EVIL}{node}" if isinstance(node, str) else node


@pytest.mark.parametrize("name", ["run", "study", "search", "comparison"])
def test_what_users_write_stays_text(name: str) -> None:
    render: dict[str, Callable[[Callable[[Any], Any]], str]] = {
        "run": lambda change: render_run(change(run())),
        "study": lambda change: render_study(change(study())),
        "search": lambda change: render_study(change(search())),
        "comparison": lambda change: render_comparison(change(runs())),
    }
    clean, own = (own_part(render[name](change)) for change in (copy.deepcopy, poisoned))
    assert "<img" not in own
    assert EVIL not in own
    reader, tags = read(own), [tag for tag, _ in read(clean).tags]
    assert sum(tag == "script" for tag, _ in reader.tags) == tags.count("script")
    assert not any(attribute.startswith("on") for _, attrs in reader.tags for attribute in attrs)
    assert "{{ 7 * 7 }}" in own
    # Plotly reads markup in text: none may be left once JSON is read.
    figures = json.loads(reader.islands["figures"])
    markup = {tag for _, node in walk(figures) if isinstance(node, str) for tag in re.findall(r"</?\w+>|<img", node)}
    assert markup <= {"<b>", "</b>", "<br>", "<extra>", "</extra>"}
    assert any("&lt;/script&gt;" in node for _, node in walk(figures) if isinstance(node, str))


def test_names_of_measures_that_a_study_brings_stay_text() -> None:
    document = search()
    document["measures"].append({"key": "own", "name": {"en": EVIL, "zh": EVIL}, "unit": "odd", "better": "more"})
    document["search"]["x"] = "own"
    for point in document["points"]:
        point["measures"]["own"] = 1.0
    axis = study_page(document).figures["frontier"]["layout"]["xaxis"]["title"]["text"]
    assert "<img" not in axis.en
    assert "&lt;img" in axis.en


def test_firms_are_not_named(made: tuple[Page, str]) -> None:
    assert "enterprise_id" not in own_part(made[1])


# What a document leaves out


DOCUMENTS = {"run": run(), "study": study(), "search": search(), "mixed": mixed()}
PLACES = {name: sorted(leaves(document), key=str) for name, document in DOCUMENTS.items()}
NOTHING = object()
ODD = [NOTHING, None, 0, -3.5, 1e18, float("nan"), True, "", "x", [], {}, [None]]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_is_missing_or_odd_a_page_is_made(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(DOCUMENTS)))
    document = copy.deepcopy(DOCUMENTS[name])
    for _ in range(data.draw(st.integers(1, 4))):
        path = data.draw(st.sampled_from(PLACES[name]))
        try:
            holder = at(document, path[:-1])
            value = data.draw(
                st.sampled_from([NOTHING, None, 0, -3.5, 1e18, float("nan"), True, "", "x", [], {}, [None]])
            )
            if value is not NOTHING:
                holder[path[-1]] = value
            else:
                del holder[path[-1]]
        except (KeyError, IndexError, TypeError):
            continue  # what held it is gone already
    page = run_page(document) if name == "run" else study_page(document)
    assert len(page.story) == 3
    for said in page.story:
        assert said.en.endswith(".")
        assert said.zh.endswith("。")
        assert "nan" not in said.en
        assert "None" not in said.en + said.zh
    if name == "run":
        comparison_page([document, run()])


@pytest.mark.parametrize("document", [{}, {"points": []}, {"points": [{}]}, {"points": [{}, {}], "reference": 0}])
def test_an_empty_document_is_a_page_that_says_so(document: Document) -> None:
    html = render_study(document) if "points" in document else render_run(document)
    assert "not known" in words_only(own_part(html)).lower()
    assert render_comparison([document, document])
    assert render_comparison([])


@pytest.mark.parametrize("key", ["utilisation", "served_share", "mean_wait_h", "voucher_cny", "carbon_kg"])
def test_what_is_missing_is_not_known_and_never_zero(key: str) -> None:
    document = run()
    del document[key]
    card = next(card for card in run_page(document).cards if card.title == measure_of(key).name)
    assert card.value == UNKNOWN
    whole = panels(run_page(document))["measures"].table
    assert titled(measure_of(key)).en not in cells(whole)


def test_what_is_missing_in_one_of_two_runs_has_no_difference() -> None:
    table = panels(comparison_page(runs()))["measures-table"].table
    assert table is not None
    row = next(row for row in table.rows if row[0] == titled(measure_of("carbon_kg")))
    assert row[1:] == ("–", "93,417", "–")


# Figures


def test_a_run_shows_every_measure_and_group() -> None:
    document = run()
    shown = panels(run_page(document))
    listed = cells(shown["measures"].table)
    for key, measure in MEASURES.items():
        if key in document:
            assert cell(measure.unit, document[key]) in listed
    assert {"91.9%", "61.2%", "2.73", "11.37"} <= listed
    for row in document["by_size"]:
        assert row["name"]["en"] in cells(shown["by_size-served"].table)
        assert f"{row['jobs']:,}" in cells(shown["by_size-served"].table)
    assert {"Centre 0", "Guangdong", "71.0%", "2.61"} <= cells(shown["centres"].table)
    assert shown["by_size-wait"].figure["data"][0]["x"] == [row["mean_wait_h"] for row in document["by_size"]]


def test_what_is_paid_is_what_is_got() -> None:
    figure = panels(run_page(run()))["money"].figure
    paid, got = ([trace["x"][row] or 0 for trace in figure["data"]] for row in (0, 1))
    assert sum(paid) == pytest.approx(sum(got))
    assert sum(paid) == pytest.approx(run()["net_cny"] + run()["voucher_cny"])


def test_a_budget_is_drawn_over_what_is_spent() -> None:
    figure = panels(run_page(run()))["budget"].figure
    spent, budget = figure["data"]
    assert spent["y"] == [0.0, *run()["programmes"][0]["spent_by_day_cny"]]
    assert set(budget["y"]) == {200_000.0}
    assert spent["x"] == list(range(11))


def test_several_budgets_are_drawn_as_shares_of_each() -> None:
    document = run()
    other = copy.deepcopy(document["programmes"][0]) | {"id": "other", "budget_cny": 400_000.0}
    document["programmes"].append(other)
    first, second = panels(run_page(document))["budget"].figure["data"]
    assert first["y"][-1] == pytest.approx(2 * second["y"][-1])
    other["budget_cny"] = None
    assert panels(run_page(document))["budget"].figure["data"][0]["y"][-1] == pytest.approx(169_559.0)


def test_measured_and_replayed_stand_side_by_side_with_what_is_unknown() -> None:
    document = run()
    unknown = {"en": "Which job waited cannot be seen.", "zh": "看不出等待的是哪个作业。"}
    document["calibration"] = {
        "measured": {"allocated_share": 0.667, "waiting_while_idle_share": 0.89, "mean_idle_gpus": 331.0},
        "replayed": {"allocated_share": 0.659, "waiting_while_idle_share": None, "mean_idle_gpus": 340.5},
        "unknown": [unknown],
    }
    page = run_page(document)
    assert {"66.7%", "65.9%", "89.0%", "–", "331", "340.5"} <= cells(panels(page)["calibration"].table)
    assert Text(**unknown) in page.limits
    assert "calibration" not in panels(run_page(run()))


def test_modes_are_compared_where_both_ran() -> None:
    document = run() | {
        "difference": {"utilisation": {"exact": 0.6123, "fast": 0.6011}, "same_decision_share": 0.9713},
        "rounds": {"every_h": 24, "greatest_gap": 0.00123, "each": [{"hour": 0, "orders": 7, "awards": 5, "gap": 0.0}]},
        "ledger": {"balances_cny": {"Assets:Enterprise": 12.0}, "sum_cny": 0.0},
    }
    shown = panels(run_page(document))
    assert {"61.2%", "60.1%"} <= cells(shown["modes"].table)
    assert "97.1%" in shown["modes"].read.en
    assert "0.13%" in shown["rounds"].read.en  # a proof must not look better than it is
    assert "Assets:Enterprise" in cells(shown["ledger"].table)


def test_shares_of_budgets_and_of_outcomes() -> None:
    shown = panels(run_page(run()))
    assert "90.2%" in cells(shown["programmes"].table)
    assert "91.9%" in cells(shown["outcomes"].table)


# A study


def test_a_study_shows_each_setting_with_its_interval() -> None:
    shown = panels(study_page(study()))
    levels = cells(shown["levels"].table)
    assert "55.3% [54.1%, 56.5%]" in levels
    assert "9.10" in levels  # no interval, none made up
    assert "Tokens made" in levels
    table = shown["effect-money"].table
    assert table is not None
    assert [head.en for head in table.head[1:]] == ["voucher share 25 %", "voucher share 50 %", "voucher share 75 %"]
    assert {titled(EFFECTS[key]).en for key in EFFECTS} <= cells(table)


def test_differences_that_cannot_be_told_are_marked() -> None:
    table = panels(study_page(study()))["changes"].table
    assert table is not None
    rows = {str(row[0].en): row[1:] for row in table.rows if isinstance(row[0], Text)}
    assert all(str(text).endswith("○") for text in rows["Mean wait of jobs that ran, hours"])
    assert not any("○" in str(text) for text in rows["Jobs that ran, percentage points"])
    form = re.compile(r"\+[\d.]+ \[\+[\d.]+, \+[\d.]+\]")
    assert all(form.fullmatch(plain_spaces(str(text))) for text in rows["Jobs that ran, percentage points"])


def test_a_measure_is_drawn_against_the_factor_with_its_interval_as_a_band() -> None:
    document = study()
    band, line = panels(study_page(document))["along-utilisation"].figure["data"]
    measures = [point["measures"]["utilisation"] for point in document["points"]]
    assert line["x"] == list(RATES)
    assert line["y"] == [value["mean"] for value in measures]
    highs, lows = band["y"][: len(RATES)], band["y"][len(RATES) :]
    assert highs == [value["high"] for value in measures]
    assert lows[::-1] == [value["low"] for value in measures]


def test_settings_of_two_factors_make_a_line_for_each_value_of_the_second() -> None:
    document = study()
    key = "coupling"
    other = copy.deepcopy(document["points"])
    for point in document["points"]:
        point["values"][key] = "isolated"
        point["reference"] = 0
    for point in other:
        point["values"][key] = "full"
        point["index"] += 4
        point["reference"] = 4
    document["points"] += other
    document["factors"].append(
        {
            "key": key,
            "name": {"en": "coupling", "zh": "联通范围"},
            "values": ["isolated", "full"],
            "labels": [{"en": "isolated", "zh": "孤立"}, {"en": "full", "zh": "联通"}],
        }
    )
    figure = panels(study_page(document))["along-utilisation"].figure
    lines = [trace for trace in figure["data"] if "name" in trace]
    assert [line["name"] for line in lines] == [Text("isolated", "孤立"), Text("full", "联通")]
    assert all(line["x"] == list(RATES) for line in lines)
    assert len(Study(document).others) == 6


def test_words_as_values_of_a_factor_are_joined_by_no_line() -> None:
    document = study()
    names = ["isolated", "provinces", "full", "x"]
    document["factors"][0] |= {"values": names, "labels": [{"en": n, "zh": n} for n in names]}
    for point, name in zip(document["points"], names, strict=True):
        point["values"] = {document["factors"][0]["key"]: name}
    (dots,) = panels(study_page(document))["along-utilisation"].figure["data"]
    assert dots["mode"] == "markers"
    assert dots["error_y"]["array"] == pytest.approx([0.012] * 4)


def test_additional_hours_are_drawn_against_money_with_lines_of_equal_cost() -> None:
    document = study()
    figure = panels(study_page(document))["effect-money"].figure
    dots = next(trace for trace in figure["data"] if trace["mode"] == "markers+text")
    points = document["points"][1:]
    assert dots["x"] == [p["measures"]["voucher_cny"]["mean"] for p in points]
    assert dots["y"] == [p["effects"]["net_additional_gpu_hours"]["mean"] for p in points]
    rays = [trace for trace in figure["data"] if trace.get("line", {}).get("dash") == "dot"]
    assert len(rays) == len(figure["layout"]["annotations"]) >= 1
    for ray, note in zip(rays, figure["layout"]["annotations"], strict=True):
        rate = float(note["text"].en.split()[1].replace(",", ""))
        assert ray["x"][1] / ray["y"][1] == pytest.approx(rate)


def test_parts_of_the_money_that_cannot_be_told_are_hatched() -> None:
    document = study()
    document["points"][2]["effects"]["incidence.centres"] = {"mean": 0.1, "low": -0.2, "high": 0.4}
    buyers, centres, _ = panels(study_page(document))["incidence"].figure["data"]
    assert centres["marker"]["pattern"]["shape"] == ["", "/", ""]
    assert "pattern" not in buyers["marker"]


def test_gains_and_losses_of_groups_are_those_of_the_study_else_differences_of_means() -> None:
    document = study()
    means = panels(study_page(document))["by_size-gpu_hours_served"].figure["data"]
    reference = document["points"][0]["by_size"]
    for trace, point in zip(means, document["points"][1:], strict=True):
        told = [
            row["gpu_hours_served"] - was["gpu_hours_served"]
            for row, was in zip(point["by_size"], reference, strict=True)
        ]
        assert trace["x"] == pytest.approx(told)
    document["points"][1]["who"] = {"by_size": [{"key": "micro", "gpu_hours_served": -77.0, "firms_worse": 3}]}
    shown = panels(study_page(document))
    assert shown["by_size-gpu_hours_served"].figure["data"][0]["x"][0] == -77.0
    assert shown["by_size-worse"].figure["data"][0]["x"][0] == 3


def test_a_search_shows_its_frontier_and_beaten_settings_faint() -> None:
    document = search()
    panel = panels(study_page(document))["frontier"]
    assert panel.figure is not None
    clouds = [trace for trace in panel.figure["data"] if trace["mode"] == "markers+text"]
    on = document["search"]["frontier"]
    assert len(clouds[-1]["x"]) == len(on)
    assert sum(len(cloud["x"]) for cloud in clouds) == sum(bool(p["effects"]) for p in document["points"])
    assert clouds[-1]["marker"]["symbol"].count("diamond") == 1
    assert panel.table is not None
    assert sum("(best)" in row[0].en for row in panel.table.rows if isinstance(row[0], Text)) == 1
    assert len(panel.table.rows) == len(on) < len(document["points"]) / 2
    assert {tone.name for tone in clouds[0]["marker"]["color"]} == {"stone"}


def test_assumptions_that_differ_between_settings_are_listed_with_their_values() -> None:
    document = study()
    said = {"en": "Rules as in the file, but for this.", "zh": "除此之外取自文件。"}
    reach = [{"value": n, "en": f"Jobs reach: {n}.", "zh": f"作业可达：{n}。"} for n in ("isolated", "full", "full")]
    document["differing_assumptions"] = [
        {"entry": "programmes", "values": [said | {"value": {"rate": rate}} for rate in RATES]},
        {"entry": "coupling", "values": [*reach, None]},
        "seed",
    ]
    (table,) = study_page(document).differing
    assert [head.en for head in table.head[1:]] == [f"voucher share {100 * rate:g} %" for rate in RATES]
    assert {said["en"], "rate 0.25", "rate 0.75", "coupling", "seed"} <= cells(table)
    assert {"Jobs reach: isolated. own centre only", "Jobs reach: full. all centres", "–"} <= cells(table)
    document["differing_assumptions"] = ["programmes", "seed"]
    assert cells(study_page(document).differing[0]) == {"programmes", "seed"}


def test_an_effect_that_cannot_be_told_is_no_figure_in_large() -> None:
    document = study()
    document["points"][3]["effects"]["incidence.buyers"] = {"mean": 0.7, "low": -0.1, "high": 1.5}
    titles = {card.title.en: card for card in study_page(document).cards}
    card = titles["Voucher money that stays with buyers"]
    assert card.value == Text("cannot be told", "无法判断")
    assert card.caption.en == "70.0% (95% interval −10.0% to 150.0%, which includes zero)"
    assert titles["Mean wait of jobs that ran"].caption.en.startswith("whether it changes cannot be told: +33 minutes")


def test_what_stays_exactly_as_it_was_is_said_to() -> None:
    document = study()
    document["points"][3]["effects"]["change.utilisation"] = {"mean": 0.0, "low": 0.0, "high": 0.0}
    card = next(card for card in study_page(document).cards if card.title == measure_of("utilisation").name)
    assert card.caption == Text("exactly as in the reference", "与对照方案完全相同")


def test_values_of_a_factor_stand_in_their_order() -> None:
    document = study()
    document["factors"][0]["values"].reverse()
    document["factors"][0]["labels"].reverse()
    line = panels(study_page(document))["along-utilisation"].figure["data"][-1]
    assert line["x"] == list(RATES)
    assert line["y"] == [point["measures"]["utilisation"]["mean"] for point in document["points"]]


def test_voucher_money_is_followed_only_where_nothing_else_changes() -> None:
    page = study_page(mixed())
    shown = panels(page)
    dots = next(t for t in shown["effect-money"].figure["data"] if t["mode"] == "markers+text")
    assert len(dots["x"]) == 1
    assert shown["effect"].figure["data"][0]["x"] == pytest.approx(
        [point["effects"]["net_additional_gpu_hours"]["mean"] for point in mixed()["points"][1:]]
    )
    table = shown["effect"].table
    assert table is not None
    rows = {row[0].en: row[1:] for row in table.rows if isinstance(row[0], Text)}
    followed = rows["Voucher money that stays with buyers, %"]
    assert followed[0] != "–"
    assert followed[1:] == ("–", "–")
    assert len(shown["incidence"].figure["data"][0]["x"]) == 1
    assert page.cards[3].title.en == "Voucher money"
    assert page.cards[3].caption.en.startswith("isolated, voucher share 50 %;")
    assert [card.title.en for card in page.cards[:3]] == [
        "Additional GPU-hours, net: isolated, voucher share 50 %",
        "Additional GPU-hours, net: coupled, voucher share 0 %",
        "Additional GPU-hours, net: coupled, voucher share 50 %",
    ]


def test_without_a_setting_of_vouchers_alone_the_money_is_not_followed() -> None:
    document = mixed()
    document["points"] = [document["points"][0], document["points"][3]]
    page = study_page(document)
    assert "effect-money" not in panels(page)
    assert any("cannot be followed" in section.intro.en for section in page.sections)


# Runs side by side


def test_differences_of_runs_are_those_of_their_measures() -> None:
    table = panels(comparison_page(runs()))["measures-table"].table
    assert table is not None
    rows = {row[0].en: row[1:] for row in table.rows if isinstance(row[0], Text)}
    assert rows["Accelerator time at work, %"] == ("53.1%", "61.2%", "+8.1")
    assert rows["Mean wait of jobs that ran, hours"] == ("7.91", "2.73", "−5.18")
    assert rows["Voucher money, CNY"] == ("0", "180,474", "+180,474")


def test_a_run_that_ends_sooner_leaves_its_line_there() -> None:
    first, second = runs()
    first["series"] = {"hours": [0.0, 24.0, 96.0], "used_share": [0.1, 0.2, 0.3]}
    second["series"] = {"hours": [0.0, 48.0], "used_share": [0.5, 0.6]}
    one, other = comparison_page([first, second]).figures["time-used_share"]["data"]
    assert one["x"] == other["x"] == [0.0, 1.0, 2.0, 4.0]
    assert one["y"] == [0.1, 0.2, 0.2, 0.3]
    assert other["y"] == [0.5, 0.5, 0.6, None]


def test_effects_against_the_first_run_are_shown_where_the_jobs_are_the_same() -> None:
    assert {"+19,331", "61.3%"} <= cells(panels(comparison_page(runs()))["effects"].table)
    assert "effects" not in panels(comparison_page([isolated(), run()]))


def test_what_runs_assume_differently_is_set_apart() -> None:
    first, second = runs()
    second["assumptions"] = assumptions() | {"staff": {"value": {"median": 90}, "en": "Staff.", "zh": "人数。"}}
    page = comparison_page([first, second])
    assert "staff" not in {row.entry for row in page.assumptions}
    assert {"Staff. median 90", "Staff of a firm: lognormal. median 60, sigma 1.3"} <= cells(page.differing[0])
    assert {row.entry for row in page.assumptions} == set(assumptions()) - {"staff"}


def test_runs_of_the_same_title_can_be_told_apart() -> None:
    same = [run(), run(), isolated() | {"title": run()["title"]}]
    names = names_of(same)
    assert len(set(names)) == 3
    assert names[0].en.endswith("#1")
    assert "first come" in names[2].en


def test_more_runs_than_colours_stand_in_the_tables() -> None:
    many = [run() | {"title": f"run {place}", "utilisation": 0.1 * place} for place in range(8)]
    page = comparison_page(many)
    assert {"run 7", 'less "run 0"'} <= {head.en for head in panels(page)["measures-table"].table.head}
    assert sum("name" in trace for trace in page.figures["shares"]["data"]) == 6
    assert any("6 of 8" in note.en for section in page.sections for note in section.notes)


def test_units_are_those_of_the_lab() -> None:
    assert {measure.unit for measure in (MEASURES | EFFECTS).values()} <= set(Unit) - {Unit.OTHER}
