"""Charts of the policy lab: over time, along a factor, against spending, and several runs side by side.

Series differ in colour and in symbol or dash, so nobody needs to tell two colours apart. Bars start at zero.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from dujiang.core.text import Text
from dujiang.reports.charts import Figure, Tone, height, label, rows_axis
from dujiang.reports.lab_document import Estimate
from dujiang.reports.lab_words import Unit, amount, cell, unit_words
from dujiang.reports.words import same

SERIES: Final = 6
"""Colours, symbols and dashes that can be told apart; more lines than that are not drawn."""
_SYMBOLS: Final = ("circle", "diamond", "square", "triangle-up", "cross", "x")
_DASHES: Final = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
_LABELS_AT_VALUES: Final = 0.07
"""Closest that two labels may stand on a numeric axis, over its length; closer ones are set side by side."""

RUN_TONES: Final = ("before", "after", *(f"series{index}" for index in range(2, SERIES)))
"""Colours of runs side by side: of the first and second those of before and after."""

Values = Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Line:
    """Values over time."""

    name: Text
    values: Values
    fill: bool = False
    limit: bool = False
    """A dotted grey line: something that must not be passed."""
    tone: str | None = None
    """None: the next of the series."""


def axis_format(unit: Unit) -> str:
    """Return how plotly writes figures of a unit on an axis."""
    if unit in (Unit.SHARE, Unit.CHANGE):
        return ".0%"
    return ",.0f" if unit in (Unit.COUNT, Unit.GPU_HOURS) else ",~f"


def axis_title(unit: Unit, otherwise: Text | None = None) -> Text:
    """Return the title of an axis; `otherwise` where a unit has no words of its own."""
    words = unit_words(unit)
    return otherwise if otherwise is not None and (not words.en or words.en == "%") else words


def _scaled(unit: Unit, most: float) -> tuple[float, Text]:
    """Return by what amounts of money are divided on an axis, and how that axis is headed."""
    if unit is not Unit.YUAN or most < 1e6:
        return 1.0, unit_words(unit)
    return 1e6, Text("CNY million", "百万元")


def _top(values: Sequence[float]) -> float:
    return max([abs(value) for value in values] or [0.0]) or 1.0


def over_time(days: Sequence[float], lines: Sequence[Line], unit: Unit, title: Text | None = None) -> Figure:
    """Lines over the days since the start; from zero, because the eye compares heights.

    Parameters
    ----------
    days : instants in days since the start, common to all lines
    lines : at most `SERIES` and limits
    unit : of the values
    title : of the vertical axis; None: the unit
    """
    hours_only = bool(days) and max(days) < 3
    scale, scaled_title = _scaled(unit, _top([v for line in lines for v in line.values if v is not None]))
    xs = [day * 24 for day in days] if hours_only else list(days)
    data: list[Figure] = []
    for index, line in enumerate(lines):
        tone = Tone("muted" if line.limit else line.tone or f"series{index % SERIES}")
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": label(line.name, 60),
                "x": xs,
                "y": [None if value is None else value / scale for value in line.values],
                "line": {"color": tone, "width": 1.4 if line.limit else 2.2, "dash": _dash(line, index)},
                "customdata": ["" if value is None else amount(unit, value) for value in line.values],
                "hovertemplate": "%{customdata}",
            }
            | ({"fill": "tozeroy", "fillcolor": Tone("band0")} if line.fill else {})
        )
    layout: Figure = {
        "height": 320,
        "hovermode": "x unified",
        "showlegend": len(lines) > 1,
        "xaxis": {
            "title": {"text": Text("hours since the start", "开始后小时数") if hours_only else _DAYS},
            "showgrid": False,
            "rangemode": "tozero",
            "nticks": 15,
            "tickformat": ",~f",
        },
        "yaxis": {
            "title": {"text": axis_title(unit, title) if scale == 1 else scaled_title},
            "rangemode": "tozero",
            "tickformat": axis_format(unit),
            "automargin": True,
        },
        "legend": {"traceorder": "normal"},
    }
    if unit is Unit.SHARE:
        layout["yaxis"] |= {"range": [0, 1.03], "tickvals": [0, 0.25, 0.5, 0.75, 1]}
    return {"data": data, "layout": layout}


_DAYS: Final = Text("days since the start", "开始后天数")


def _dash(line: Line, index: int) -> str:
    return "2px,5px" if line.limit else _DASHES[index % SERIES]


def bars(labels: Sequence[Text], values: Values, notes: Sequence[Text], unit: Unit, axis: Text) -> Figure:
    """Horizontal bars from zero, each with its figure."""
    known = [value for value in values if value is not None]
    low, high = min([0.0, *known]), max([0.0, *known]) or 1.0
    room = 0.22 * (high - low)
    bar = {
        "type": "bar",
        "orientation": "h",
        "x": list(values),
        "y": list(range(len(labels))),
        "width": 0.58,
        "marker": {"color": Tone("after")},
        "text": [same(cell(unit, value)) for value in values],
        "textposition": "outside",
        "textangle": 0,
        "cliponaxis": False,
        "customdata": [[label(name, 200), label(note, 200)] for name, note in zip(labels, notes, strict=True)],
        "hovertemplate": "<b>%{customdata[0]}</b><br>%{text}<br>%{customdata[1]}<extra></extra>",
    }
    xaxis: Figure = {"title": {"text": axis}, "range": [low - (room if low else 0), high + room]}
    xaxis |= {"tickformat": axis_format(unit), "nticks": 5}
    if unit is Unit.SHARE and high <= 1 and low == 0:
        xaxis |= {"range": [0, 1.18], "tickvals": [0, 0.25, 0.5, 0.75, 1]}
    layout = {
        "height": height(len(labels)),
        "showlegend": False,
        "xaxis": xaxis,
        "yaxis": rows_axis([label(text, 34) for text in labels]),
    }
    return {"data": [bar], "layout": layout}


def parts(
    labels: Sequence[Text],
    series: Sequence[tuple[Text, str, Sequence[Estimate | None]]],
    unit: Unit,
    axis: Text,
) -> Figure:
    """Horizontal bars made of parts, each with its figure; parts below zero stand left of it.

    A part whose interval includes zero is hatched.
    """
    sizes = [[abs(v.mean) for _, _, values in series if (v := values[row]) is not None] for row in range(len(labels))]
    whole = max(map(sum, sizes), default=0.0) or 1.0
    scale, title = _scaled(unit, whole)
    layout = {
        "height": height(len(labels), 40, 96),
        "barmode": "relative",
        "xaxis": {
            "title": {"text": axis if scale == 1 else title},
            "tickformat": axis_format(unit),
            "rangemode": "tozero",
            "nticks": 6,
            "zeroline": True,
        },
        "yaxis": rows_axis([label(text) for text in labels]),
        "showlegend": True,
        "legend": {"traceorder": "normal"},
    }
    return {"data": [_part(labels, *one, unit, scale, whole) for one in series], "layout": layout}


def _part(
    labels: Sequence[Text],
    name: Text,
    tone: str,
    values: Sequence[Estimate | None],
    unit: Unit,
    scale: float,
    whole: float,
) -> Figure:
    untold = [value is not None and value.low is not None and value.sign is None for value in values]
    marker: Figure = {"color": Tone(tone), "line": {"color": Tone("paper"), "width": 1}}
    if any(untold):
        hatch = {
            "shape": ["/" if one else "" for one in untold],
            "fgcolor": Tone("paper"),
            "fgopacity": 0.6,
            "size": 7,
            "fillmode": "overlay",
        }
        marker |= {"pattern": hatch}
    return {
        "type": "bar",
        "orientation": "h",
        "name": name,
        "x": [None if value is None else value.mean / scale for value in values],
        "y": list(range(len(labels))),
        "width": 0.6,
        "marker": marker,
        # A figure stands inside its part where the part is wide enough for it.
        "text": [amount(unit, v.mean) if v is not None and abs(v.mean) > 0.13 * whole else "" for v in values],
        "textposition": "inside",
        "insidetextanchor": "middle",
        "textangle": 0,
        "textfont": {"color": Tone(f"{tone}_ink")},
        "constraintext": "none",
        "customdata": [[label(text, 200), _hover(unit, v)] for text, v in zip(labels, values, strict=True)],
        "hovertemplate": "<b>%{customdata[0]}</b><br>%{fullData.name}: %{customdata[1]}<extra></extra>",
    }


def gains(
    labels: Sequence[Text], series: Sequence[tuple[Text, Sequence[Estimate | None]]], unit: Unit, axis: Text
) -> Figure:
    """Bars left and right of zero, one per setting in each group, with their intervals where known."""
    data: list[Figure] = []
    shown = series[:SERIES]
    for index, (name, values) in enumerate(shown):
        data.append(
            {
                "type": "bar",
                "orientation": "h",
                "name": label(name, 40),
                "x": [None if value is None else value.mean for value in values],
                "y": list(range(len(labels))),
                "marker": {"color": Tone(f"series{index}")},
                "error_x": _whiskers(values),
                "customdata": [
                    [label(text, 200), _hover(unit, value)] for text, value in zip(labels, values, strict=True)
                ],
                "hovertemplate": "<b>%{customdata[0]}</b><br>%{fullData.name}: %{customdata[1]}<extra></extra>",
            }
        )
    ends = [end for _, values in shown for value in values if value for end in value if end is not None]
    low, high = min([0.0, *ends]), max([0.0, *ends])
    room = 0.06 * ((high - low) or 1.0)
    layout = {
        "height": height(len(labels), 22 + 14 * len(shown), 100),
        "barmode": "group",
        "bargap": 0.3,
        "xaxis": {
            "title": {"text": axis},
            "tickformat": _signed(unit),
            "range": [low - room, high + room],
            "zeroline": True,
            "zerolinewidth": 2,
            "zerolinecolor": Tone("muted"),
            "nticks": 5,
        },
        "yaxis": rows_axis([label(text, 34) for text in labels]),
        "showlegend": len(shown) > 1,
        "legend": {"traceorder": "normal"},
    }
    return {"data": data, "layout": layout}


def _signed(unit: Unit) -> str:
    plain = axis_format(unit)
    if unit is Unit.COUNT:
        return plain
    return "+" + plain if plain.startswith((",", ".")) else plain


def _hover(unit: Unit, value: Estimate | None) -> Text:
    if value is None:
        return Text("not known", "未知")
    mean = amount(unit, value.mean)
    if value.low is None or value.high is None:
        return mean
    low, high = amount(unit, value.low), amount(unit, value.high)
    return Text(f"{mean.en} ({low.en} to {high.en})", f"{mean.zh}（{low.zh} 至 {high.zh}）")


def _whiskers(values: Sequence[Estimate | None], scale: float = 1.0) -> Figure:
    """Error bars to both ends of the intervals; a figure outside its own interval has none on that side."""
    above = [None if v is None or v.high is None else max(0.0, v.high - v.mean) / scale for v in values]
    below = [None if v is None or v.low is None else max(0.0, v.mean - v.low) / scale for v in values]
    style = {"type": "data", "symmetric": False, "thickness": 1.4, "width": 4, "color": Tone("ink")}
    return style | {"array": above, "arrayminus": below, "visible": any(above) or any(below)}


@dataclass(frozen=True, slots=True)
class Course:
    """A measure along a factor: one figure per label of the factor, None where there is no such setting."""

    name: Text
    values: Sequence[Estimate | None]


def along(
    labels: Sequence[Text], at: Sequence[float] | None, courses: Sequence[Course], unit: Unit, axis: Text, factor: Text
) -> Figure:
    """A measure against a factor, with its interval as a band (numeric factor) or as whiskers.

    Parameters
    ----------
    labels : of the factor's values
    at : the values as numbers, ascending; None: words, which stand side by side and are joined by no line
    courses : at most `SERIES`
    """
    spread = at is not None and len(at) > 1 and _apart(at)
    xs = list(at) if at is not None and spread else [float(index) for index in range(len(labels))]
    data: list[Figure] = []
    for index, course in enumerate(courses[:SERIES]):
        shift = 0.0 if at is not None else 0.14 * (index - (min(len(courses), SERIES) - 1) / 2)
        data += _course(course, [x + shift for x in xs], index, unit, joined=at is not None)
    ends = [end for course in courses[:SERIES] for value in course.values if value for end in value if end is not None]
    low, high = min([0.0, *ends]), max([0.0, *ends]) or 1.0
    room = (xs[-1] - xs[0]) * 0.06 if len(xs) > 1 else 1.0
    if at is None:
        room = 0.5
    layout: Figure = {
        "height": 290,
        "showlegend": len(courses) > 1,
        "legend": {"traceorder": "normal"},
        "xaxis": {
            "title": {"text": label(factor, 60)},
            "tickvals": xs,
            "ticktext": [label(text, 14 if len(labels) > 4 else 20) for text in labels],
            "range": [xs[0] - room, xs[-1] + room] if xs else [0, 1],
            "showgrid": False,
            "zeroline": False,
        },
        "yaxis": {
            "title": {"text": axis},
            "range": [low * 1.08, high * 1.08],
            "tickformat": axis_format(unit),
            "nticks": 6,
            "automargin": True,
        },
    }
    return {"data": data, "layout": layout}


def _apart(at: Sequence[float]) -> bool:
    whole = at[-1] - at[0]
    return whole > 0 and all((b - a) / whole >= _LABELS_AT_VALUES for a, b in pairwise(at))


def _course(course: Course, xs: Sequence[float], index: int, unit: Unit, joined: bool) -> list[Figure]:
    tone, group = Tone(f"series{index}"), str(index)
    means = [None if value is None else value.mean for value in course.values]
    line: Figure = {
        "type": "scatter",
        "mode": "lines+markers" if joined else "markers",
        "name": label(course.name, 60),
        "legendgroup": group,
        "x": list(xs),
        "y": means,
        "line": {"color": tone, "width": 2.2, "dash": _DASHES[index]},
        "marker": {"color": tone, "size": 9, "symbol": _SYMBOLS[index]},
        "customdata": [_hover(unit, value) for value in course.values],
        "hovertemplate": "%{customdata}<extra>%{fullData.name}</extra>",
        "cliponaxis": False,
    }
    if not joined:
        return [line | {"error_y": _whiskers(course.values)}]
    known = [(x, v.low, v.high) for x, v in zip(xs, course.values, strict=True) if v is not None and v.low is not None]
    if len(known) < 2:
        return [line | {"error_y": _whiskers(course.values)}]
    band: Figure = {
        "type": "scatter",
        "mode": "lines",
        "x": [x for x, _, _ in known] + [x for x, _, _ in reversed(known)],
        "y": [high for _, _, high in known] + [low for _, low, _ in reversed(known)],
        "fill": "toself",
        "fillcolor": Tone(f"band{index}"),
        "line": {"width": 0, "color": tone},
        "legendgroup": group,
        "showlegend": False,
        "hoverinfo": "skip",
    }
    return [band, line]


@dataclass(frozen=True, slots=True)
class Dot:
    """One setting in a chart of two measures."""

    name: Text
    x: Estimate
    y: Estimate
    strong: bool = True
    """Faint otherwise."""
    marked: bool = False
    """The one that is told of."""


def against(
    dots: Sequence[Dot], units: tuple[Unit, Unit], titles: tuple[Text, Text], joined: bool, rays: bool = False
) -> Figure:
    """Two measures of each setting, with intervals.

    Parameters
    ----------
    dots : the settings
    units : of x and y
    titles : of the axes
    joined : strong dots are joined by a line, from left to right
    rays : draw lines of equal x per y through the origin, labelled in yuan per GPU-hour
    """
    x_scale, x_title = _axis_scale(units[0], titles[0], [end for dot in dots for end in dot.x if end is not None])
    y_scale, y_title = _axis_scale(units[1], titles[1], [end for dot in dots for end in dot.y if end is not None])
    strong, faint = [dot for dot in dots if dot.strong], [dot for dot in dots if not dot.strong]
    data: list[Figure] = []
    annotations: list[Figure] = []
    x_range = _range([end / x_scale for dot in dots for end in dot.x if end is not None])
    y_range = _range([end / y_scale for dot in dots for end in dot.y if end is not None])
    if rays:
        for figure, note in _rays(strong, x_range[1], y_range[1], x_scale, y_scale):
            data.append(figure)
            annotations.append(note)
    if faint:
        data.append(_cloud(faint, units, x_scale, y_scale, "stone", 8, named=False))
    if joined and len(strong) > 1:
        path = sorted(strong, key=lambda dot: (dot.x.mean, dot.y.mean))
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": [dot.x.mean / x_scale for dot in path],
                "y": [dot.y.mean / y_scale for dot in path],
                "line": {"color": Tone("after"), "width": 2},
                "hoverinfo": "skip",
            }
        )
    if strong:
        data.append(_cloud(strong, units, x_scale, y_scale, "after", 12, named=len(strong) <= 12))
    layout = {
        "height": 420,
        "showlegend": False,
        "xaxis": {"title": {"text": x_title}, "range": x_range, "tickformat": axis_format(units[0]), "nticks": 7},
        "yaxis": {
            "title": {"text": y_title},
            "range": y_range,
            "tickformat": axis_format(units[1]),
            "nticks": 7,
            "automargin": True,
        },
        "annotations": annotations,
    }
    return {"data": data, "layout": layout}


def _axis_scale(unit: Unit, title: Text, values: Sequence[float]) -> tuple[float, Text]:
    scale, words = _scaled(unit, _top(values))
    unit_said = words if scale != 1 else unit_words(unit)
    if unit_said.en and unit_said.en != "%":
        title = Text(f"{title.en}, {unit_said.en}", f"{title.zh}（{unit_said.zh}）")
    return scale, label(title, 80)


def _range(values: Sequence[float]) -> list[float]:
    low, high = min([0.0, *values]), max([0.0, *values])
    whole = (high - low) or 1.0
    return [low - (0.06 * whole if low < 0 else 0.02 * whole), high + 0.14 * whole]


def _cloud(
    dots: Sequence[Dot], units: tuple[Unit, Unit], x_scale: float, y_scale: float, tone: str, size: int, named: bool
) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers+text",
        "x": [dot.x.mean / x_scale for dot in dots],
        "y": [dot.y.mean / y_scale for dot in dots],
        "text": [label(dot.name, 34) if named or dot.marked else same("") for dot in dots],
        "textposition": ["top left" if index % 2 == 0 else "bottom right" for index in range(len(dots))],
        "textfont": {"color": Tone("ink")},
        "error_x": _whiskers([dot.x for dot in dots], x_scale) if named else {"visible": False},
        "error_y": _whiskers([dot.y for dot in dots], y_scale) if named else {"visible": False},
        "marker": {
            "color": [Tone("before" if dot.marked else tone) for dot in dots],
            "symbol": ["diamond" if dot.marked else "circle" for dot in dots],
            "size": size,
            "line": {"color": Tone("paper"), "width": 1.5},
        },
        "customdata": [[label(dot.name, 200), _hover(units[0], dot.x), _hover(units[1], dot.y)] for dot in dots],
        "hovertemplate": "<b>%{customdata[0]}</b><br>%{customdata[1]}<br>%{customdata[2]}<extra></extra>",
        "cliponaxis": False,
    }


def _rays(
    dots: Sequence[Dot], x_end: float, y_end: float, x_scale: float, y_scale: float
) -> list[tuple[Figure, Figure]]:
    """Lines on which each additional GPU-hour takes the same voucher money."""
    rates = [dot.x.mean / dot.y.mean for dot in dots if dot.x.mean > 0 and dot.y.mean > 0]
    found = []
    for rate in _round_rates(rates):
        slope = x_scale / rate / y_scale
        x = min(0.99 * x_end, 0.93 * y_end / slope)
        line = {
            "type": "scatter",
            "mode": "lines",
            "x": [0, x],
            "y": [0, x * slope],
            "line": {"color": Tone("muted"), "width": 1.2, "dash": "dot"},
            "hoverinfo": "skip",
        }
        note = {
            "x": x,
            "y": x * slope,
            "text": Text(f"CNY {rate:,g} per GPU-hour", f"{rate:,g} 元/卡时"),
            "showarrow": False,
            "xanchor": "right",
            "yanchor": "bottom",
            "font": {"size": 11.5, "color": Tone("muted")},
        }
        found.append((line, note))
    return found


def _round_rates(rates: Sequence[float], most: int = 3) -> list[float]:
    """Return a few round figures around what the settings cost."""
    if not rates:
        return []
    low, high = min(rates), max(rates)
    steps = [
        m * 10.0**e for e in range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1) for m in (1, 2, 5)
    ]
    around = [step for step in steps if low / 1.6 <= step <= high * 1.6]
    if len(around) <= most:
        return around
    every = (len(around) - 1) / (most - 1)
    return [around[round(index * every)] for index in range(most)]


def side_by_side(labels: Sequence[Text], runs: Sequence[tuple[Text, Values]], unit: Unit, axis: Text) -> Figure:
    """One row per label, one symbol per run, joined by a line from the least to the greatest."""
    shown = runs[:SERIES]
    rows = [[values[row] for _, values in shown if values[row] is not None] for row in range(len(labels))]
    line_x: list[float | None] = []
    line_y: list[int | None] = []
    for row, known_here in enumerate(rows):
        found = [value for value in known_here if value is not None]
        if len(found) > 1:
            line_x += [min(found), max(found), None]
            line_y += [row, row, None]
    data: list[Figure] = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": line_x,
            "y": line_y,
            "line": {"color": Tone("stone"), "width": 5},
            "hoverinfo": "skip",
            "showlegend": False,
        }
    ]
    for index, (name, values) in enumerate(shown):
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": label(name, 60),
                "x": list(values),
                "y": list(range(len(labels))),
                "marker": {
                    "color": Tone(RUN_TONES[index]),
                    "symbol": _SYMBOLS[index],
                    "size": 17 - 2 * index,  # where two coincide, the later leaves a rim of the earlier
                    "line": {"color": Tone("paper"), "width": 1.5},
                },
                "customdata": [[label(text, 200), same(cell(unit, v))] for text, v in zip(labels, values, strict=True)],
                "hovertemplate": "<b>%{customdata[0]}</b><br>%{fullData.name}: %{customdata[1]}<extra></extra>",
                "cliponaxis": False,
            }
        )
    known = [value for here in rows for value in here if value is not None]
    low, high = min([0.0, *known]), max([0.0, *known]) or 1.0
    room = 0.03 * (high - low)
    xaxis: dict[str, Any] = {"title": {"text": axis}, "range": [low - room, high + 2 * room]}
    xaxis |= {"tickformat": axis_format(unit), "nticks": 6}
    if unit is Unit.SHARE and low == 0 and high <= 1:
        xaxis |= {"range": [-0.02, 1.03], "tickvals": [0, 0.25, 0.5, 0.75, 1]}
    layout = {
        "height": height(len(labels), 34, 100),
        "xaxis": xaxis,
        "yaxis": rows_axis([label(text, 36) for text in labels]),
        "showlegend": True,
        "legend": {"traceorder": "normal"},
    }
    return {"data": data, "layout": layout}
