"""Plotly figures as plain data, language and colour left open.

A figure is made once. Where a word stands there is a `Text`, where a colour stands a `Tone`; the page fills both in
when the reader switches language or the scheme turns dark. Names that users chose go through `label`, because plotly
reads markup in text.
"""

import html
import math
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dujiang.core.text import Text
from dujiang.reports.words import share

Figure = dict[str, Any]

LABEL_WIDTH = 26
"""Columns of a label on an axis, a Chinese character counting two; longer ones are cut."""


@dataclass(frozen=True, slots=True)
class Tone:
    """A colour by its role; `report.js` knows it for light and dark."""

    name: str


@dataclass(frozen=True, slots=True)
class Ends:
    """One row of a dumbbell: a share before and after, None where there is none."""

    label: Text
    before: float | None
    after: float | None
    note: Text
    """What the pointer shows below the label."""


def plain(value: Any) -> Any:
    """Turn a figure into what JSON can hold: words as {en, zh}, colours as {tone}."""
    match value:
        case Text():
            return {"en": value.en, "zh": value.zh}
        case Tone():
            return {"tone": value.name}
        case Mapping():
            return {key: plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case float():
            # Six digits are more than a screen shows and keep the file small.
            return float(f"{value:.6g}") if math.isfinite(value) else None
        case _:
            return value


def _cut(text: str, width: int) -> str:
    used = 0
    for index, char in enumerate(text):
        used += 2 if unicodedata.east_asian_width(char) in "WF" else 1
        if used > width:
            return text[:index].rstrip() + "…"
    return text


def label(text: Text, width: int = LABEL_WIDTH) -> Text:
    """Make a name safe and short enough for plotly's text."""
    return Text(*(html.escape(_cut(part, width), quote=False) for part in text))


def rows_axis(labels: Sequence[Text]) -> Figure:
    """Return an axis of names, first on top. Positions are numbers, so two equal names stay two rows."""
    return {
        "tickvals": list(range(len(labels))),
        "ticktext": list(labels),
        "range": [len(labels) - 0.45, -0.55],
        "showgrid": False,
        "zeroline": False,
        "fixedrange": True,
        "automargin": True,
    }


def height(rows: int, each: int = 30, frame: int = 92) -> int:
    """Return how high a chart of so many rows is, in pixels."""
    return each * rows + frame


def _figure_column(shown: Sequence[str]) -> list[Figure]:
    """The later shares as a column of figures at the right edge, where they can cover no dot."""
    place = {"xref": "paper", "x": 1, "xanchor": "left", "xshift": 6, "yanchor": "middle", "showarrow": False}
    font = {"color": Tone("after"), "size": 12.5}
    return [place | {"y": index, "text": text, "font": font} for index, text in enumerate(shown)]


def dumbbell(rows: Sequence[Ends], before: Text | None, after: Text, axis: Text) -> Figure:
    """Shares in two situations, joined by a line; with one situation a plain bar."""
    at = list(range(len(rows)))
    labels = [label(row.label) for row in rows]
    notes = [label(row.note, 200) for row in rows]
    xaxis = {"title": {"text": axis}, "range": [-0.02, 1.14], "tickformat": ".0%", "tickvals": [0, 0.25, 0.5, 0.75, 1]}
    layout = {"height": height(len(rows)), "xaxis": xaxis, "yaxis": rows_axis(labels)}
    shown = [share(row.after) for row in rows]
    if before is None:
        bar = {
            "type": "bar",
            "orientation": "h",
            "x": [row.after for row in rows],
            "y": at,
            "width": 0.55,
            "marker": {"color": Tone("after")},
            "text": shown,
            "textposition": "outside",
            "cliponaxis": False,
            "customdata": [[name, note] for name, note in zip(labels, notes, strict=True)],
            "hovertemplate": "<b>%{customdata[0]}</b><br>%{text}<br>%{customdata[1]}<extra></extra>",
        }
        return {"data": [bar], "layout": layout | {"showlegend": False}}
    line_x: list[float | None] = []
    line_y: list[int | None] = []
    for index, row in enumerate(rows):
        if row.before is not None and row.after is not None:
            line_x += [row.before, row.after, None]
            line_y += [index, index, None]
    line = {
        "type": "scatter",
        "mode": "lines",
        "x": line_x,
        "y": line_y,
        "line": {"color": Tone("stone"), "width": 5},
        "hoverinfo": "skip",
        "showlegend": False,
    }
    data = [line]
    for name, tone, values in (
        (before, "before", [row.before for row in rows]),
        (after, "after", [row.after for row in rows]),
    ):
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": values,
                "y": at,
                "marker": {"color": Tone(tone), "size": 13, "line": {"color": Tone("paper"), "width": 1.5}},
                "customdata": [[share(v), *pair] for v, *pair in zip(values, labels, notes, strict=True)],
                "hovertemplate": "<b>%{customdata[1]}</b><br>%{customdata[0]}<br>%{customdata[2]}<extra></extra>",
                "cliponaxis": False,
            }
        )
    layout |= {"annotations": _figure_column(shown), "margin": {"l": 8, "r": 56, "t": 34, "b": 44}}
    xaxis["range"] = [-0.02, 1.03]
    return {"data": data, "layout": layout}


def counts(labels: Sequence[Text], series: Sequence[tuple[Text, str, Sequence[int]]], axis: Text) -> Figure:
    """Horizontal bars of whole numbers, one colour per situation."""
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "name": name,
            "x": list(values),
            "y": list(range(len(labels))),
            "marker": {"color": Tone(tone)},
            "text": [f"{value:,}" for value in values],
            "textposition": "outside",
            "textangle": 0,
            "cliponaxis": False,
            "customdata": [label(text, 200) for text in labels],
            "hovertemplate": "%{customdata}<br>%{text}<extra>%{fullData.name}</extra>",
        }
        for name, tone, values in series
    ]
    most = max((value for _, _, values in series for value in values), default=1) or 1
    layout = {
        "height": height(len(labels), 24 + 16 * len(series)),
        "barmode": "group",
        "bargap": 0.3,
        "xaxis": {"title": {"text": axis}, "range": [0, most * 1.16], "tickformat": ",.0f"},
        "yaxis": rows_axis([label(text, 48) for text in labels]),
        "showlegend": len(series) > 1,
        "legend": {"traceorder": "normal"},
    }
    return {"data": data, "layout": layout}


def stacked(
    labels: Sequence[Text],
    series: Sequence[tuple[Text, str, Sequence[float | None]]],
    axis: Text,
    unit: Text,
) -> Figure:
    """Horizontal bars made of parts."""
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "name": name,
            "x": list(values),
            "y": list(range(len(labels))),
            "width": 0.6,
            "marker": {"color": Tone(tone), "line": {"color": Tone("paper"), "width": 1}},
            "customdata": [[label(text, 200), unit] for text in labels],
            "hovertemplate": "<b>%{customdata[0]}</b><br>%{fullData.name}: %{x:,.0f} %{customdata[1]}<extra></extra>",
        }
        for name, tone, values in series
    ]
    layout = {
        "height": height(len(labels), 36, 84 + 16 * len(series)),
        "barmode": "stack",
        "xaxis": {"title": {"text": axis}, "tickformat": ",.0f", "rangemode": "tozero", "nticks": 6},
        "yaxis": rows_axis([label(text) for text in labels]),
        "showlegend": len(series) > 1,
        "legend": {"traceorder": "normal"},
    }
    return {"data": data, "layout": layout}


def _time_axis(times: Sequence[str]) -> Figure:
    """One tick a day, or a few in a long round; hours of the day too where the round is short."""
    days = sorted({time[:10] for time in times})
    axis: Figure = {"type": "date", "hoverformat": "%m-%d %H:%M", "showgrid": False}
    if len(days) < 3:
        return axis | {"tickformat": "%m-%d %H:%M", "nticks": 6}
    step = -(-len(days) // 8)
    form = "%m-%d" if len(days) <= 300 else "%Y-%m-%d"
    return axis | {"tickformat": form, "tick0": days[0], "dtick": step * 86_400_000}


def price_lines(
    times: Sequence[str], lines: Sequence[tuple[Text, Sequence[float | None], Sequence[float | None]]]
) -> Figure:
    """Price over time with the reserve price below it as a dotted floor, one colour per kind of accelerator."""
    data: list[Figure] = []
    for index, (name, price, floor) in enumerate(lines):
        tone = Tone(f"series{index % 6}")
        common = {"type": "scatter", "mode": "lines", "x": list(times), "legendgroup": str(index)}
        data.append(
            common
            | {
                "y": list(floor),
                "name": label(Text(f"{name.en}, floor", f"{name.zh} 保留价")),
                "line": {"color": tone, "width": 1.2, "dash": "dot", "shape": "hv"},
                "showlegend": False,
                "hoverinfo": "skip",
            }
        )
        data.append(
            common
            | {
                "y": list(price),
                "name": label(name),
                "line": {"color": tone, "width": 2.2, "shape": "hv"},
                "hovertemplate": "%{y:,.2f}",
            }
        )
    layout = {
        "height": 380,
        "hovermode": "x unified",
        "xaxis": _time_axis(times),
        "yaxis": {
            "title": {"text": Text("CNY per GPU-hour", "元/卡时")},
            "rangemode": "tozero",
            "tickformat": ",~f",
            "automargin": True,
        },
        "legend": {"traceorder": "normal"},
    }
    return {"data": data, "layout": layout}


def price_map(
    times: Sequence[str],
    labels: Sequence[Text],
    premium: Sequence[Sequence[float | None]],
    detail: Sequence[Sequence[Sequence[float | None]]],
) -> Figure:
    """How far the price stands above the reserve price, pool by hour; `detail` holds price, floor and busy share."""
    heat = {
        "type": "heatmap",
        "x": list(times),
        "y": list(range(len(labels))),
        "z": [list(row) for row in premium],
        "customdata": [[list(cell) for cell in row] for row in detail],
        "zmin": 0,
        "colorscale": Tone("heat"),
        "xgap": 0,
        "ygap": 2,
        "hoverongaps": False,
        "colorbar": {
            "title": {"text": Text("CNY above floor", "高出保留价（元）"), "side": "right", "font": {"size": 12}},
            "thickness": 12,
            "outlinewidth": 0,
        },
        "hovertemplate": Text(
            "%{x|%m-%d %H:%M}<br>price %{customdata[0]:,.2f}, floor %{customdata[1]:,.2f} CNY per GPU-hour"
            "<br>%{customdata[2]:.0%} in use<extra></extra>",
            "%{x|%m-%d %H:%M}<br>成交价 %{customdata[0]:,.2f}，保留价 %{customdata[1]:,.2f} 元/卡时"
            "<br>使用率 %{customdata[2]:.0%}<extra></extra>",
        ),
    }
    layout = {
        "height": height(len(labels), 24, 64),
        "showlegend": False,
        "xaxis": _time_axis(times),
        "yaxis": rows_axis([label(text, 30) for text in labels]),
    }
    return {"data": [heat], "layout": layout}


def rivers(origins: Sequence[Text], targets: Sequence[Text], links: Sequence[tuple[int, int, float, bool]]) -> Figure:
    """Compute flowing from where orders come to where they run; the last item of a link says that it stays at home."""
    names = [*origins, *targets]
    data = {
        "type": "sankey",
        "arrangement": "snap",
        "valueformat": ",.0f",
        "valuesuffix": Text(" GPU-hours", " 卡时"),
        "node": {
            "label": [label(name) for name in names],
            "color": [Tone("need0")] * len(origins) + [Tone("after")] * len(targets),
            "pad": 16,
            "thickness": 14,
            "line": {"width": 0},
            "hovertemplate": "%{label}<br>%{value}<extra></extra>",
        },
        "link": {
            "source": [source for source, *_ in links],
            "target": [len(origins) + target for _, target, *_ in links],
            "value": [value for _, _, value, _ in links],
            "color": [Tone("still" if home else "river") for *_, home in links],
            "hovertemplate": "%{source.label} → %{target.label}<br>%{value}<extra></extra>",
        },
    }
    height = max(300, 44 * max(len(origins), len(targets)) + 60)
    return {"data": [data], "layout": {"height": height, "margin": {"l": 8, "r": 8, "t": 16, "b": 16}}}
