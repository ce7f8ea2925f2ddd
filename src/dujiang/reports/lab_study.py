"""The page of a study: what each setting does against its reference, what it costs, who gains and who loses."""

from typing import Final

from dujiang.core.text import Text
from dujiang.reports.lab_assumptions import assumptions_of, differing_of
from dujiang.reports.lab_charts import Dot, against
from dujiang.reports.lab_document import (
    Document,
    Estimate,
    Study,
    entries,
    mapping,
    number,
    said,
)
from dujiang.reports.lab_page import (
    FOOT,
    Page,
    figures_of,
    files_of,
    limits_of,
    sources_of,
    terms,
    when_of,
)
from dujiang.reports.lab_story import story
from dujiang.reports.lab_study_cards import study_cards
from dujiang.reports.lab_study_effects import effect_section, incidence_section
from dujiang.reports.lab_study_groups import budget_section, group_section
from dujiang.reports.lab_study_measures import measure_section
from dujiang.reports.lab_study_story import paired_difference
from dujiang.reports.lab_study_table import NOT_KNOWN, NOTHING, SETTING, SETTINGS_ABREAST, settings_table
from dujiang.reports.lab_words import (
    MEASURES,
    Measure,
    Unit,
    cell_with_interval,
    measure_of,
    scenario_of,
    titled,
)
from dujiang.reports.layout import Panel, Row, Section, Table, table_of
from dujiang.reports.words import NONE, joined, same

_UNTITLED: Final = Text("Study of settings", "方案比较研究")


def study_page(document: Document) -> Page:
    """Put the page of a study together."""
    study = Study(document)
    sections = tuple(
        section
        for section in (
            effect_section(study),
            _search_section(study),
            measure_section(study),
            incidence_section(study),
            group_section(study),
            budget_section(study),
            _table_section(study),
        )
        if section is not None
    )
    question = said(document.get("question"), NOTHING)
    searched = bool(mapping(document.get("search")))
    return Page(
        title=said(document.get("title"), _UNTITLED),
        when=question if question.en else when_of(scenario_of(document)),
        story=story(document),
        cards=study_cards(study),
        assumptions=assumptions_of(document),
        differing=_differing(study),
        sections=sections,
        figures=figures_of(sections),
        terms=terms(
            *("reference", "additionality", "incidence", "leverage", "interval"),
            *(("frontier",) if searched else ()),
            *("utilisation", "wait", "surplus", "useful", "gpu-hour"),
        ),
        limits=limits_of([document]),
        sources=sources_of([document]),
        files=files_of([document]),
        foot=FOOT,
    )


def _differing(study: Study) -> tuple[Table, ...]:
    """Return the assumptions in which the settings differ, as a table: a column for each setting where they are few."""
    found = differing_of(study.document)
    if not found:
        return ()
    if not any(item.values for item in found):
        return (table_of([Text("Assumption", "假设")], [[item.sentence or same(item.entry)] for item in found]),)
    names = [study.name(point) for point in study.points]
    wide = len(names) <= SETTINGS_ABREAST and any(len(item.values) == len(names) for item in found)
    rows: list[Row] = []
    for item in found:
        what = item.sentence or same(item.entry)
        if wide:
            rows.append([what, *(item.values if len(item.values) == len(names) else [same(NONE)] * len(names))])
        else:
            values = list(dict.fromkeys(item.values))[:SETTINGS_ABREAST]
            rows.append([what, Text("; ".join(v.en for v in values) or NONE, "；".join(v.zh for v in values) or NONE)])
    heads = names if wide else [Text("Values", "取值")]
    return (table_of([Text("Assumption", "假设"), *heads], rows, 1 + len(heads)),)


def _search_section(study: Study) -> Section | None:
    search = mapping(study.document.get("search"))
    if not search:
        return None
    x, y = (measure_of(str(search.get(key)), study.document) for key in ("x", "y"))
    on_frontier = {point.index for point in study.frontier}
    dots = []
    for point in study.points:
        at, up = (point.measure(m.key) or point.effect(m.key) for m in (x, y))
        if at is not None and up is not None:
            dots.append(Dot(point.label, at, up, strong=point.index in on_frontier, marked=point is study.best))
    title = Text("What the search found", "搜索结果")
    number_tried = number(search.get("evaluations"))
    tried = (
        Text("", "")
        if number_tried is None
        else Text(f"{number_tried:,.0f} settings were tried.", f"共试 {number_tried:,.0f} 种方案。")
    )
    figure = against(dots, (x.unit, y.unit), (x.name, y.name), joined=True) if dots else None
    head = [SETTING, titled(x), titled(y)]
    rows: list[Row] = [
        [
            Text(f"{point.label.en} (best)", f"{point.label.zh}（最优）") if point is study.best else point.label,
            *(cell_with_interval(m.unit, point.measure(m.key) or point.effect(m.key)) for m in (x, y)),
        ]
        for point in study.frontier
    ]
    read = Text(
        "Strong: settings that no other tried one beats on both. Faint: beaten ones. Diamond: the best for the goal.",
        "深色：没有其他已试方案在两项上同时更优；浅色：被超过的方案；菱形为目标下的最优。",
    )
    return Section(
        "search",
        title,
        joined(
            part
            for part in (
                tried,
                Text(
                    "The best of many tries looks better than it is: replay it with other seeds before relying on it.",
                    "从多次尝试中挑出的最优看起来会偏好，采用前应换随机种子再模拟。",
                ),
            )
            if part.en
        ),
        (
            Panel(
                "frontier",
                Text(f"{y.name.en} against {x.name.en[:1].lower()}{x.name.en[1:]}", f"{y.name.zh}与{x.name.zh}"),
                read,
                figure,
                None if figure else NOT_KNOWN,
                table_of(head, rows),
            ),
        ),
    )


def _table_section(study: Study) -> Section | None:
    if not study.points:
        return None
    keys = [key for key in MEASURES if any(point.measure(key) is not None for point in study.points)]
    described = [entry.get("key") for entry in entries(study.document.get("measures"))]
    keys += [
        str(key)
        for key in described
        if isinstance(key, str) and key not in MEASURES and any(p.measure(key) is not None for p in study.points)
    ]
    measures = [measure_of(key, study.document) for key in keys]
    levels = settings_table(study, study.points, measures, lambda p, m: cell_with_interval(m.unit, p.measure(m.key)))
    changes = [m for m in measures if any(paired_difference(p, m.key) is not None for p in study.others)]
    panels = [Panel("levels", Text("All measures", "全部指标"), _bracket(study), table=levels)]
    if changes:
        panels.append(
            Panel(
                "changes",
                Text("Differences to the reference", "与对照方案之差"),
                Text(
                    "Paired with the reference. An interval that includes zero is marked ○: it cannot be told whether "
                    "there is a difference.",
                    "与对照方案配对。包含零的区间标 ○：无法判断有无差别。",
                ),
                table=settings_table(
                    study,
                    study.others,
                    changes,
                    lambda p, m: _change_cell(m, paired_difference(p, m.key)),
                    _change_title,
                ),
            )
        )
    return Section(
        "tables",
        Text("All figures", "全部数据"),
        Text("For those who want to check or to use them.", "供核对与引用。"),
        tuple(panels),
    )


def _bracket(study: Study) -> Text:
    percent = f"{100 * study.level:.4g}%"
    return Text(f"In brackets: {percent} interval.", f"方括号内为 {percent} 区间。")


def _change_title(measure: Measure) -> Text:
    if measure.unit is Unit.SHARE:
        return Text(f"{measure.name.en}, percentage points", f"{measure.name.zh}（百分点）")
    return titled(measure)


def _change_cell(measure: Measure, value: Estimate | None) -> str:
    if value is None:
        return NONE
    text = cell_with_interval(measure.unit, value, sign=True)
    if measure.unit is Unit.SHARE:
        text = text.replace("%", "")
    return f"{text} ○" if value.low is not None and value.sign is None else text
