"""Section 4: who was served, why the others were not, and where the work went."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from dujiang.core.text import Text
from dujiang.market.outcome import Outcome, Reason
from dujiang.reports.charts import (
    Ends,
    Figure,
    counts,
    dumbbell,
    rivers,
)
from dujiang.reports.data import ReportData
from dujiang.reports.findings import (
    Pair,
    flows,
    served_by,
)
from dujiang.reports.layout import GROUPS_DRAWN, Panel, Row, Section, drawn_note, name_of, pair_words, ratio, table_of
from dujiang.reports.words import (
    REASON_WORDS,
    SIZE_BANDS,
    SIZE_TOP,
    UNKNOWN,
    share,
    whole,
    yuan,
)

RIVERS_DRAWN = 9
"""Regions on each side of the flow chart at most; smaller ones are put together."""


def served(data: ReportData) -> Section:
    """Section 4: who was served, why the others were not, and where their work went."""
    panels = (
        _group_panel(data, "size", Text("By size of the enterprise", "按企业规模"), Text("Staff", "从业人员")),
        _group_panel(data, "kind", Text("By kind of organisation", "按主体类型"), Text("Kind", "类型")),
        _group_panel(data, "origin_region", Text("By region of origin", "按来源区域"), Text("Region", "区域")),
        _reason_panel(data),
        _flow_panel(data),
    )
    return Section(
        "served",
        Text("Who was served", "谁获得了算力"),
        Text(
            "Share of the orders of each group that were served, and the plain reason where they were not.",
            "各类主体的订单获得算力的比例，以及未获得的原因。",
        ),
        panels,
    )


def _group_name(data: ReportData, column: str, key: Any) -> Text:
    if key is None:
        return UNKNOWN
    if column == "size":
        return SIZE_BANDS[key][1] if key < len(SIZE_BANDS) else SIZE_TOP
    return name_of(data, key)


def _group_panel(data: ReportData, column: str, title: Text, head: Text) -> Panel:
    pair = Pair.of(data)
    rows = list(served_by(data.book, pair.after, column).iter_rows(named=True))
    earlier: dict[Any, dict[str, Any]] = {}
    if pair.before is not None:
        earlier = {row[column]: row for row in served_by(data.book, pair.before, column).iter_rows(named=True)}
    before_words, after_words = pair_words(pair)

    def part(row: Mapping[str, Any] | None) -> float | None:
        return None if row is None else ratio(row["served"], row["orders"])

    ends = [
        Ends(
            _group_name(data, column, row[column]),
            part(earlier.get(row[column])),
            part(row),
            Text(f"{row['served']:,} of {row['orders']:,} orders", f"{row['orders']:,} 份中 {row['served']:,} 份"),
        )
        for row in rows[:GROUPS_DRAWN]
    ]
    columns = [
        head,
        Text("Orders", "订单数"),
        *([] if before_words is None else [Text(f"Served, {before_words.en}", f"获得算力（{before_words.zh}）")]),
        Text("Served", "获得算力")
        if before_words is None
        else Text(f"Served, {after_words.en}", f"获得算力（{after_words.zh}）"),
        Text("Share", "比例"),
        Text("GPU-hours asked", "申请卡时"),
        Text("GPU-hours served", "满足卡时"),
        Text("Vouchers, CNY", "算力券（元）"),
    ]
    body: list[Row] = [
        [
            _group_name(data, column, row[column]),
            whole(row["orders"]),
            *([] if before_words is None else [whole(earlier.get(row[column], {}).get("served"))]),
            whole(row["served"]),
            share(part(row)),
            whole(row["asked_gpu_hours"]),
            whole(row["served_gpu_hours"]),
            yuan(row["voucher_ucny"]),
        ]
        for row in rows
    ]
    return Panel(
        f"by-{column.removeprefix('origin_')}",
        title,
        drawn_note(len(rows), GROUPS_DRAWN, Text("groups", "组")),
        dumbbell(ends, before_words, after_words, Text("orders served", "获得算力的订单比例")) if ends else None,
        None if ends else Text("There are no orders in this round.", "本轮没有订单。"),
        table_of(columns, body),
        "third",
    )


def _reasons(outcome: Outcome) -> dict[Reason, int]:
    found = dict(outcome.rejections.group_by("reason").len().iter_rows())
    return {reason: int(found.get(reason.value, 0)) for reason in Reason}


def _reason_panel(data: ReportData) -> Panel:
    pair = Pair.of(data)
    after = _reasons(pair.after)
    before = None if pair.before is None else _reasons(pair.before)
    before_words, after_words = pair_words(pair)
    order = sorted(Reason, key=lambda reason: -after[reason])
    met = [reason for reason in order if after[reason] or (before or after)[reason]]
    labels = [REASON_WORDS[reason] for reason in met]
    series: list[tuple[Text, str, Sequence[int]]] = []
    if before is not None and before_words is not None:
        series.append((before_words, "before", [before[reason] for reason in met]))
    series.append((after_words, "after", [after[reason] for reason in met]))
    head: list[Text] = [
        Text("Reason", "原因"),
        *([] if before_words is None else [Text(f"Orders, {before_words.en}", f"订单数（{before_words.zh}）")]),
        Text("Orders", "订单数")
        if before_words is None
        else Text(f"Orders, {after_words.en}", f"订单数（{after_words.zh}）"),
    ]
    body: list[Row] = [
        [REASON_WORDS[reason], *([] if before is None else [whole(before[reason])]), whole(after[reason])]
        for reason in order
    ]
    return Panel(
        "reasons",
        Text("Why the others were not", "其余订单未获得的原因"),
        Text("The first reason that applies, at the published prices.", "按公布价格判断，取首个成立的原因。"),
        counts(labels, series, Text("orders", "订单数")) if met else None,
        None if met else Text("No order was turned away.", "没有订单落选。"),
        table_of(head, body),
    )


def _flow_panel(data: ReportData) -> Panel:
    frame = flows(data.book, data.outcome)
    rows = list(frame.iter_rows(named=True))
    title = Text("From where the work comes to where it runs", "算力需求从哪里来，到哪里算")
    read = Text(
        "GPU-hours from the region of the order (left) to the region of the centre (right). Blue crosses regions, grey "
        "stays at home.",
        "左为订单来源区域，右为算力所在区域，宽度为卡时。蓝色为跨区域，灰色为本区域。",
    )
    table = table_of(
        [
            Text("From", "来源区域"),
            Text("To", "算力区域"),
            Text("Orders", "订单数"),
            Text("GPU-hours", "卡时"),
            Text("Transfer, CNY", "传输费（元）"),
        ],
        [
            [
                _origin(data, row["origin_region"]),
                name_of(data, row["region"]),
                whole(row["orders"]),
                whole(row["gpu_hours"]),
                yuan(row["transfer_ucny"]),
            ]
            for row in rows
        ],
        2,
    )
    if not rows or not any(row["gpu_hours"] for row in rows):
        return Panel(
            "flow", title, read, None, Text("No order was served, so nothing flows.", "没有订单获得算力。"), table
        )
    return Panel("flow", title, read, _river_figure(data, frame), None, table)


def _origin(data: ReportData, region: str | None) -> Text:
    return Text("Origin not given", "未注明来源") if region is None else name_of(data, region)


def _river_figure(data: ReportData, frame: pl.DataFrame) -> Figure:
    sides = []
    for column in ("origin_region", "region"):
        totals = frame.group_by(column).agg(pl.col("gpu_hours").sum())
        ranked = totals.sort(["gpu_hours", column], descending=[True, False], nulls_last=True)[column].to_list()
        keep = len(ranked) if len(ranked) <= RIVERS_DRAWN + 1 else RIVERS_DRAWN
        place = {region: min(index, keep) for index, region in enumerate(ranked)}
        rest = [Text("Other regions", "其他区域")] if keep < len(ranked) else []
        say = _origin if column == "origin_region" else name_of
        sides.append((place, [say(data, region) for region in ranked[:keep]] + rest))
    (origins, left), (targets, right) = sides
    sums: dict[tuple[int, int, bool], float] = {}
    for row in frame.iter_rows(named=True):
        ends = origins[row["origin_region"]], targets[row["region"]], row["origin_region"] == row["region"]
        sums[ends] = sums.get(ends, 0.0) + row["gpu_hours"]
    return rivers(left, right, [(a, b, value, home) for (a, b, home), value in sorted(sums.items())])
