"""Sections 2 and 3: how full the centres are and what their compute costs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from dujiang.core.text import Text
from dujiang.reports.charts import (
    Ends,
    Figure,
    dumbbell,
    price_lines,
    price_map,
)
from dujiang.reports.data import ReportData
from dujiang.reports.findings import (
    Pair,
    centre_use,
    daily_premium,
    hour_width,
    hourly_prices,
    local_time,
    pool_prices,
)
from dujiang.reports.layout import (
    ROWS_DRAWN,
    Panel,
    Row,
    Section,
    Table,
    centre_names,
    drawn_note,
    name_of,
    pair_words,
    table_of,
)
from dujiang.reports.words import (
    decimal,
    joined,
    same,
    share,
    whole,
    yuan,
)

LINES_DRAWN = 6
"""Kinds of accelerator in the price chart at most, the most numerous."""
DAYS_LISTED = 14
"""Days in the table of scarce hours at most."""


def utilisation(data: ReportData) -> Section:
    """Section 2: how full each centre is, before and after coupling."""
    pair, called = Pair.of(data), centre_names(data)
    after = centre_use(data.book, pair.after)
    earlier: dict[str, dict[str, Any]] = {}
    if pair.before is not None:
        earlier = {row["centre_id"]: row for row in centre_use(data.book, pair.before).iter_rows(named=True)}
    rows = list(after.iter_rows(named=True))
    before_words, after_words = pair_words(pair)
    ends = [
        Ends(
            called(row["centre_id"]),
            earlier.get(row["centre_id"], {}).get("utilisation"),
            row["utilisation"],
            Text(f"{row['used']:,} of {row['offered']:,} GPU-hours", f"{row['offered']:,} 卡时中使用 {row['used']:,}"),
        )
        for row in rows[:ROWS_DRAWN]
    ]
    head: list[Text] = [
        Text("Centre", "算力中心"),
        Text("Region", "区域"),
        Text("GPU-hours offered", "可用卡时"),
        Text("GPU-hours used", "使用卡时"),
        *([] if before_words is None else [Text(f"In use, {before_words.en}", f"使用率（{before_words.zh}）")]),
        Text("In use", "使用率")
        if before_words is None
        else Text(f"In use, {after_words.en}", f"使用率（{after_words.zh}）"),
        Text("Income, CNY", "收入（元）"),
    ]
    body: list[Row] = [
        [
            called(row["centre_id"]),
            name_of(data, row["region"]),
            whole(row["offered"]),
            whole(row["used"]),
            *([] if before_words is None else [share(earlier.get(row["centre_id"], {}).get("utilisation"))]),
            share(row["utilisation"]),
            yuan(row["income_ucny"]),
        ]
        for row in rows
    ]
    offered = bool(ends) and int(after["offered"].sum()) > 0
    panel = Panel(
        "use",
        Text("How full each centre is", "各算力中心使用率"),
        joined(
            (
                Text("Share of the accelerator hours on offer that are sold.", "已售卡时占可用卡时的比例。"),
                drawn_note(len(rows), ROWS_DRAWN, Text("centres", "算力中心")),
            )
        ),
        dumbbell(ends, before_words, after_words, Text("accelerator hours in use", "卡时使用率")) if offered else None,
        None if offered else Text("No centre offered capacity in this round.", "本轮没有可用算力。"),
        table_of(head, body, 2),
    )
    intro = (
        Text(
            "When regions clear alone, one centre is full while the next stands idle. The two dots show the same "
            "centre without and with the common market.",
            "各区域各自撮合时，有的中心排满、有的闲置。两个圆点是同一中心在统一撮合前后的使用率。",
        )
        if before_words
        else Text("How much of what each centre offered has found a use.", "各中心提供的算力有多少得到使用。")
    )
    return Section("utilisation", Text("Where the compute is used", "算力用在哪里"), intro, (panel,))


def prices(data: ReportData) -> Section:
    """Section 3: price by hour, with the reserve price as its floor."""
    pools = list(pool_prices(data.book, data.outcome).iter_rows(named=True))
    offered = [row for row in pools if row["offered"]]
    width = hour_width(data.book)
    over = (
        Text("", "")
        if width == 1
        else Text(f"Each column is the mean of {width} hours.", f"每列为 {width} 小时的均值。")
    )
    nothing = Text("No pool offered capacity in this round, so there is no price.", "本轮没有可用算力，因而没有价格。")
    panels = (
        Panel(
            "price",
            Text("Price by hour", "分时成交价"),
            joined(
                (
                    Text(
                        "Mean over the pools of each type, Beijing time. The dotted line is the floor that the "
                        "centres ask.",
                        "按卡型对各资源池加权平均，北京时间。虚线为算力中心的保留价。",
                    ),
                    over,
                )
            ),
            _line_figure(data) if offered else None,
            None if offered else nothing,
            _price_table(data, pools),
        ),
        _heat_panel(data, offered, over, nothing),
    )
    return Section(
        "prices",
        Text("What it costs", "价格"),
        Text(
            "Everyone in the same pool and hour sees one price. It rises above the floor only where more is asked than "
            "there is.",
            "同一资源池、同一小时只有一个价格；只有供不应求时才会高于保留价。",
        ),
        panels,
    )


def _line_figure(data: ReportData) -> Figure:
    sizes = data.book.pools.group_by("accelerator").agg(pl.col("gpus").sum())
    top = sizes.sort(["gpus", "accelerator"], descending=[True, False])["accelerator"].to_list()[:LINES_DRAWN]
    frame = hourly_prices(data.book, data.outcome, "accelerator")
    slots = frame["slot"].unique().sort().to_list()
    grid = pl.DataFrame({"slot": slots}, schema={"slot": pl.Int64})
    lines = []
    for kind in top:
        rows = grid.join(frame.filter(pl.col("accelerator") == kind), on="slot", how="left").sort("slot")
        price, floor = rows["ucny_per_gpu_hour"].to_list(), rows["ask_ucny_per_gpu_hour"].to_list()
        lines.append((name_of(data, kind), price, floor))
    return price_lines([local_time(data.book, slot) for slot in slots], lines)


def _pool_name(data: ReportData) -> Callable[[Mapping[str, Any]], Text]:
    called = centre_names(data)

    def say(row: Mapping[str, Any]) -> Text:
        centre, kind = called(row["centre_id"]), name_of(data, row["accelerator"])
        return Text(f"{centre.en} · {kind.en}", f"{centre.zh} · {kind.zh}")

    return say


def _heat_panel(data: ReportData, offered: Sequence[Mapping[str, Any]], over: Text, nothing: Text) -> Panel:
    title = Text("Where and when compute is scarce", "何时何地算力紧张")
    read = Text(
        "How far the price stands above the floor; the stronger the colour, the scarcer. Blank: nothing on offer.",
        "成交价高出保留价的幅度；颜色越强越紧张，空白为无可用算力。",
    )
    if not offered:
        return Panel("scarce", title, read, None, nothing)
    if not any(row["slots_lifted"] for row in offered):
        calm = Text(
            "Compute was nowhere scarce: every pool stands at its floor price in every hour.",
            "各资源池全程均为保留价，没有出现紧张。",
        )
        return Panel("scarce", title, read, None, calm)
    drawn = sorted(offered[:ROWS_DRAWN], key=lambda row: (row["region"], row["centre_id"], row["pool_id"]))
    frame = hourly_prices(data.book, data.outcome, "pool_id")
    slots = frame["slot"].unique().sort().to_list()
    place = {slot: index for index, slot in enumerate(slots)}
    cells: dict[str, list[list[float | None]]] = {row["pool_id"]: [[None] * 3 for _ in slots] for row in drawn}
    for pool, slot, price, floor, busy in frame.iter_rows():
        if pool in cells and price is not None:
            cells[pool][place[slot]] = [price, floor, busy]
    grid = [cells[row["pool_id"]] for row in drawn]
    premium = [[None if p is None or f is None else p - f for p, f, _ in row] for row in grid]
    say = _pool_name(data)
    figure = price_map([local_time(data.book, slot) for slot in slots], [say(row) for row in drawn], premium, grid)
    more = drawn_note(len(offered), ROWS_DRAWN, Text("pools", "资源池"))
    return Panel("scarce", title, joined((read, over, more)), figure, None, _day_table(data, drawn))


def _day_table(data: ReportData, pools: Sequence[Mapping[str, Any]]) -> Table:
    """Mean price above the floor by pool and day, for as many days as fit a page."""
    say, frame = _pool_name(data), daily_premium(data.book, data.outcome)
    days = frame["day"].unique().sort().to_list()[:DAYS_LISTED]
    cells = {(pool, day): premium for pool, day, premium in frame.iter_rows()}
    head: list[Text] = [
        Text("Mean CNY above floor per GPU-hour", "高出保留价均值（元/卡时）"),
        *(same(day) for day in days),
    ]
    body: list[Row] = [[say(row), *(decimal(cells.get((row["pool_id"], day))) for day in days)] for row in pools]
    return table_of(head, body)


def _price_table(data: ReportData, pools: Sequence[Mapping[str, Any]]) -> Table:
    say = _pool_name(data)
    head: list[Text] = [
        Text("Pool", "资源池"),
        Text("Region", "区域"),
        Text("GPU-hours offered", "可用卡时"),
        Text("In use", "使用率"),
        Text("Floor, CNY/GPU-hour", "保留价（元/卡时）"),
        Text("Mean price, CNY/GPU-hour", "均价（元/卡时）"),
        Text("Highest, CNY/GPU-hour", "最高（元/卡时）"),
        Text("Hours above floor", "高于保留价的小时"),
        Text("Uplift, CNY", "价差（元）"),
    ]
    body: list[Row] = [
        [
            say(row),
            name_of(data, row["region"]),
            whole(row["offered"]),
            share(row["utilisation"]),
            decimal(row["ask"]),
            decimal(row["price"]),
            decimal(row["highest"]),
            whole(row["slots_lifted"]),
            yuan(row["uplift_ucny"]),
        ]
        for row in pools
    ]
    return table_of(head, body, 2)
