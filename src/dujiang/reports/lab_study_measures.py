"""Measures of a study along what it varies."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from dujiang.core.text import Text
from dujiang.reports.lab_charts import SERIES, Course, along
from dujiang.reports.lab_document import (
    Document,
    Point,
    Study,
    entries,
    items,
    mapping,
    number,
    said,
)
from dujiang.reports.lab_study_table import NOTHING, SETTING
from dujiang.reports.lab_words import (
    Measure,
    Unit,
    measure_of,
    titled,
)
from dujiang.reports.layout import Panel, Section
from dujiang.reports.words import same

DRAWN_MEASURES: Final = (
    *("utilisation", "served_share", "mean_wait_h", "price_cny_per_gpu_hour", "net_cny_per_gpu_hour"),
    "cost_per_useful_gpu_hour_cny",
)


class _Axis(NamedTuple):
    """How settings are laid out: the values of one factor, and a line for each combination of the others."""

    name: Text
    labels: tuple[Text, ...]
    at: tuple[float, ...] | None
    lines: tuple[tuple[Text, tuple[Point | None, ...]], ...]


def _axis(study: Study) -> _Axis:
    """Lay settings out along the factor with the most numbers; all by themselves where they make no grid."""
    factors = [
        f for f in entries(study.document.get("factors")) if isinstance(f.get("key"), str) and items(f.get("values"))
    ]
    settings = [(p, mapping(p.entry.get("values"))) for p in study.points]
    chosen = max(factors, key=lambda f: (_numeric(f), len(items(f.get("values")))), default=None)
    plain = _Axis(SETTING, tuple(p.label for p in study.points), None, ((NOTHING, tuple(study.points)),))
    if chosen is None or len(items(chosen["values"])) < 2:
        return plain
    key, values = chosen["key"], list(items(chosen["values"]))
    others = [f["key"] for f in factors if f is not chosen]
    lines: dict[str, tuple[list[Text], list[Point | None]]] = {}
    for point, setting in settings:
        if setting.get(key) not in values or any(other not in setting for other in others):
            continue
        # Any further value makes a line of its own too.
        rest = {other: value for other, value in setting.items() if other != key}
        line = lines.setdefault(
            repr(sorted(rest.items(), key=str)), (_value_labels(factors, rest), [None] * len(values))
        )
        line[1][values.index(setting[key])] = point
    placed = sum(point is not None for _, points in lines.values() for point in points)
    if (placed < len(study.points) and len(study.points) <= 12) or not lines:
        return plain
    labels = _labels(chosen, values)
    order = list(range(len(values)))
    at: tuple[float, ...] | None = None
    if _numeric(chosen):
        order.sort(key=lambda row: values[row])
        at = tuple(float(values[row]) for row in order)
    return _Axis(
        said(chosen.get("name"), same(key)),
        tuple(labels[row] for row in order),
        at,
        tuple(
            (Text(", ".join(t.en for t in words), "，".join(t.zh for t in words)), tuple(points[row] for row in order))
            for words, points in lines.values()
        ),
    )


def _numeric(factor: Document) -> bool:
    return all(number(value) is not None for value in items(factor.get("values")))


def _labels(factor: Document, values: Sequence[object]) -> list[Text]:
    given = items(factor.get("labels"))
    return [said(given[row] if row < len(given) else None, same(str(value))) for row, value in enumerate(values)]


def _value_labels(factors: Sequence[Document], rest: Document) -> list[Text]:
    found = []
    for factor in factors:
        values = list(items(factor.get("values")))
        if factor["key"] in rest and rest[factor["key"]] in values:
            found.append(_labels(factor, values)[values.index(rest[factor["key"]])])
    known = {factor["key"] for factor in factors}
    return found + [same(f"{key}: {value}") for key, value in rest.items() if key not in known]


def measure_section(study: Study) -> Section | None:
    """Return charts of the key measures; None of a search, whose settings make no row."""
    if not study.points or mapping(study.document.get("search")):
        return None
    axis, percent = _axis(study), f"{100 * study.level:.4g}%"
    panels = []
    for key in DRAWN_MEASURES:
        measure = measure_of(key, study.document)
        courses = [
            Course(name if name.en else measure.name, [None if p is None else p.measure(key) for p in points])
            for name, points in axis.lines
        ]
        if not any(value is not None for course in courses for value in course.values):
            continue
        figure = along(axis.labels, axis.at, courses, measure.unit, _axis_words(measure), axis.name)
        panels.append(
            Panel(f"along-{key}", measure.name, NOTHING, figure, width="half" if len(axis.labels) > 4 else "third")
        )
    if not panels:
        return None
    banded = Text("bands", "色带") if axis.at is not None else Text("whiskers", "误差线")
    notes: tuple[Text, ...] = ()
    if len(axis.lines) > SERIES:
        notes = (
            Text(
                f"{SERIES} of {len(axis.lines)} lines are drawn; the table has all.",
                f"图中为 {len(axis.lines)} 条中的 {SERIES} 条，其余见表。",
            ),
        )
    return Section(
        "measures",
        Text("Key measures, setting by setting", "各方案的主要指标"),
        Text(
            f"Lines and dots are means over the random draws, {banded.en} their {percent} intervals, each figure by "
            "itself. Differences between settings are paired and have intervals of their own (last table).",
            f"线与点为各次模拟的均值，{banded.zh}为单个数值的 {percent} 区间。方案间的差别经配对，另有区间（末表）。",
        ),
        tuple(panels),
        notes,
    )


def _axis_words(measure: Measure) -> Text:
    return {
        Unit.SHARE: NOTHING,
        Unit.HOURS: Text("hours", "小时"),
        Unit.PRICE: Text("CNY per GPU-hour", "元/卡时"),
    }.get(measure.unit, titled(measure))
