"""Section 6: energy and carbon as metered."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from dujiang.core.text import Text
from dujiang.metering.usage import UsageOutcome
from dujiang.reports.charts import (
    stacked,
)
from dujiang.reports.data import ReportData
from dujiang.reports.findings import (
    energy_use,
)
from dujiang.reports.layout import ROWS_DRAWN, Panel, Row, Section, Table, centre_names, table_of
from dujiang.reports.words import (
    UNKNOWN,
    USAGE_WORDS,
    decimal,
    joined,
    whole,
)


def energy_section(data: ReportData) -> Section:
    """Section 6: energy and carbon by centre, as metered; what is not known stays so."""
    title = Text("Energy and carbon", "能耗与碳排放")
    intro = Text(
        "Metered GPU-hours times the power draw, PUE and grid factor stated for the centre: an estimate, no reading of "
        "an electricity meter. Where one of the three is not known, the figure stays unknown and is in no sum.",
        "由计量卡时乘以各中心所填的功率、电能利用效率和电网因子估算，并非电表读数。三者有一项未知的，保持未知，不计入合计。",
    )
    if data.usage is None or data.usage.is_empty():
        return Section("energy", title, Text("Nothing has been metered for this round yet.", "本轮尚无计量数据。"))
    called, use = centre_names(data), energy_use(data.usage)
    rows = list(use.iter_rows(named=True))
    grid = dict(data.book.centres.select("centre_id", "grid_kgco2_per_kwh").iter_rows())
    pue = dict(data.book.centres.select("centre_id", "pue").iter_rows())
    panels = _kwh_panel(rows, called, pue), _carbon_panel(rows, called, grid)
    return Section("energy", title, intro, panels, (_endings(data.usage),))


def _endings(usage: pl.DataFrame) -> Text:
    found = dict(usage.group_by("outcome").len().iter_rows())
    parts = [(USAGE_WORDS[outcome], found[outcome.value]) for outcome in UsageOutcome if found.get(outcome.value)]
    en = ", ".join(f"{count:,} {words.en}" for words, count in parts)
    zh = "，".join(f"{count:,} 份{words.zh}" for words, count in parts)
    return Text(f"Of {usage.height:,} awards {en}.", f"{usage.height:,} 份中标订单中，{zh}。")


def _factor(value: float | None) -> Text | str:
    return UNKNOWN if value is None else decimal(value, 3)


def _amount(value: float | None) -> Text | str:
    return UNKNOWN if value is None else whole(value)


def _without(rows: Sequence[Mapping[str, Any]], name: str, called: Callable[[str], Text]) -> Text:
    missing = [called(row["centre_id"]) for row in rows if row[f"{name}_unknown"]]
    if not missing:
        return Text("", "")
    names = missing[:5]
    more = Text("", "") if len(missing) <= 5 else Text(f" and {len(missing) - 5} more", f"等 {len(missing)} 个中心")
    return Text(
        f"Not known, in whole or in part: {', '.join(name.en for name in names)}{more.en}.",
        f"全部或部分未知：{'、'.join(name.zh for name in names)}{more.zh}。",
    )


def _kwh_table(
    rows: Sequence[Mapping[str, Any]], called: Callable[[str], Text], pue: Mapping[str, float | None]
) -> Table:
    head = [
        Text("Centre", "算力中心"),
        Text("Awards", "中标数"),
        Text("GPU-hours", "卡时"),
        Text("IT energy, kWh", "IT能耗（度）"),
        Text("PUE", "PUE"),
        Text("With cooling and losses, kWh", "含制冷与损耗（度）"),
        Text("Awards not known", "未知（份）"),
    ]
    body: list[Row] = [
        [
            called(row["centre_id"]),
            whole(row["awards"]),
            whole(row["gpu_hours"]),
            _amount(row["it_kwh"]),
            _factor(pue.get(row["centre_id"])),
            _amount(row["kwh"]),
            whole(row["kwh_unknown"]),
        ]
        for row in rows
    ]
    return table_of(head, body)


def _kwh_panel(
    rows: Sequence[Mapping[str, Any]], called: Callable[[str], Text], pue: Mapping[str, float | None]
) -> Panel:
    known = [row for row in rows if row["kwh"] is not None and row["it_kwh"] is not None][:ROWS_DRAWN]
    labels = [called(row["centre_id"]) for row in known]
    parts: list[tuple[Text, str, Sequence[float | None]]] = [
        (Text("accelerators and servers", "加速卡与服务器"), "after", [row["it_kwh"] for row in known]),
        (Text("cooling and losses", "制冷与损耗"), "need1", [max(0.0, row["kwh"] - row["it_kwh"]) for row in known]),
    ]
    return Panel(
        "kwh",
        Text("Energy by centre", "各中心能耗"),
        joined((Text("Kilowatt hours.", "单位：度（千瓦时）。"), _without(rows, "kwh", called))),
        stacked(labels, parts, Text("kWh", "度"), Text("kWh", "度")) if known else None,
        None if known else Text("No centre's energy is known.", "各中心能耗均未知。"),
        _kwh_table(rows, called, pue),
        "half",
    )


def _carbon_panel(
    rows: Sequence[Mapping[str, Any]], called: Callable[[str], Text], grid: Mapping[str, float | None]
) -> Panel:
    known = [row for row in rows if row["kgco2"] is not None][:ROWS_DRAWN]
    body: list[Row] = [
        [
            called(row["centre_id"]),
            _amount(row["kwh"]),
            _factor(grid.get(row["centre_id"])),
            _amount(row["kgco2"]),
            whole(row["kgco2_unknown"]),
        ]
        for row in rows
    ]
    labels = [called(row["centre_id"]) for row in known]
    parts: list[tuple[Text, str, Sequence[float | None]]] = [
        (Text("carbon", "碳排放"), "series5", [row["kgco2"] for row in known])
    ]
    return Panel(
        "carbon",
        Text("Carbon by centre", "各中心碳排放"),
        joined((Text("Kilograms of CO₂.", "单位：千克二氧化碳。"), _without(rows, "kgco2", called))),
        stacked(labels, parts, Text("kgCO₂", "千克CO₂"), Text("kgCO₂", "千克CO₂")) if known else None,
        None if known else Text("No centre's carbon is known.", "各中心碳排放均未知。"),
        table_of(
            [
                Text("Centre", "算力中心"),
                Text("Energy, kWh", "能耗（度）"),
                Text("Grid, kgCO₂/kWh", "电网因子（kgCO₂/度）"),
                Text("Carbon, kgCO₂", "碳排放（kgCO₂）"),
                Text("Awards not known", "未知（份）"),
            ],
            body,
        ),
        "half",
    )
