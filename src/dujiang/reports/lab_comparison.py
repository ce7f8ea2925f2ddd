"""The page of two or more runs side by side: what differs in the result, and what differs in the assumptions."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from dujiang.core.text import Text
from dujiang.reports.lab_assumptions import Stated, assumptions_of, differing
from dujiang.reports.lab_charts import RUN_TONES, SERIES, Line, over_time, side_by_side
from dujiang.reports.lab_comparison_story import compared
from dujiang.reports.lab_document import Document, entries, group_name, mapping, number, numbers, said
from dujiang.reports.lab_page import (
    FOOT,
    Page,
    figures_of,
    files_of,
    limits_of,
    measure_table,
    sources_of,
    terms,
    when_of,
)
from dujiang.reports.lab_run import budget_panel
from dujiang.reports.lab_words import (
    ALLOCATOR_WORDS,
    EFFECTS,
    MEASURES,
    MODE_WORDS,
    REACH_WORDS,
    Measure,
    Unit,
    amount,
    cell,
    change,
    measure_of,
    policy_words,
    titled,
    word,
)
from dujiang.reports.layout import Card, Panel, Row, Section, Table, table_of
from dujiang.reports.words import NONE, UNKNOWN, same

_NOWHERE: Final = Text("", "")
_CARDS: Final = (
    *("utilisation", "served_share", "mean_wait_h", "cost_per_useful_gpu_hour_cny", "voucher_cny"),
    "welfare_cny",
)
_CHARTS: Final = (
    ("shares", ("utilisation", "held_utilisation", "served_share", "gpu_hours_served_share"), Unit.SHARE),
    ("waits", ("mean_wait_h", "median_wait_h", "p95_wait_h"), Unit.HOURS),
    ("prices", ("price_cny_per_gpu_hour", "net_cny_per_gpu_hour", "cost_per_useful_gpu_hour_cny"), Unit.PRICE),
    ("money", ("net_cny", "voucher_cny", "turnover_cny", "transfer_cny"), Unit.YUAN),
    ("gains", ("buyer_surplus_cny", "centre_surplus_cny", "welfare_cny"), Unit.YUAN),
)
_CHART_WORDS: Final = {
    "shares": Text("How much is used and served", "使用与满足"),
    "waits": Text("How long jobs wait", "等待时间"),
    "prices": Text("What a GPU-hour costs", "卡时价格"),
    "money": Text("Who pays and who gets", "谁支付，谁收到"),
    "gains": Text("Who gains", "谁得益"),
}


def comparison_page(documents: Sequence[Document]) -> Page:
    """Put the page of several runs together."""
    names = names_of(documents)
    sections = tuple(
        section
        for section in (
            _measure_section(documents, names),
            _effect_section(documents, names),
            _time_section(documents, names),
            _group_section(documents, names),
            _budget_section(documents, names),
            _table_section(documents, names),
        )
        if section is not None
    )
    common, differing = _assumptions(documents, names)
    title = Text("Runs side by side", "模拟结果并列比较")
    return Page(
        title=title if len(names) != 2 else Text(f"{names[0].en} and {names[1].en}", f"{names[0].zh} 与 {names[1].zh}"),
        when=_when(documents),
        story=compared(documents, names),
        cards=tuple(_card(documents, names, key) for key in _CARDS),
        assumptions=common,
        differing=differing,
        sections=sections,
        figures=figures_of(sections),
        terms=terms("utilisation", "wait", "surplus", "useful", "additionality", "incidence", "leverage", "gpu-hour"),
        limits=limits_of(documents),
        sources=sources_of(documents),
        files=files_of(documents),
        foot=FOOT,
    )


def _when(documents: Sequence[Document]) -> Text:
    found = {when_of(document) for document in documents}
    return found.pop() if len(found) == 1 else Text("Replays of different length", "时长不同的模拟")


def names_of(documents: Sequence[Document]) -> tuple[Text, ...]:
    """Return what each run is called: its title, where several have it with who decides, else with its number."""
    titles = [said(document.get("title"), same("")) for document in documents]
    full = [
        title
        if title.en and Counter(titles)[title] == 1
        else Text(f"{title.en} ({policy_words(d).en})".strip(), f"{title.zh}（{policy_words(d).zh}）")
        for title, d in zip(titles, documents, strict=True)
    ]
    counts = Counter(full)
    return tuple(
        name if counts[name] == 1 else Text(f"{name.en} #{place}", f"{name.zh} #{place}")
        for place, name in enumerate(full, 1)
    )


def _assumptions(documents: Sequence[Document], names: Sequence[Text]) -> tuple[tuple[Stated, ...], tuple[Table, ...]]:
    """Split assumptions into those that all runs share and a table of the others."""
    lists = [assumptions_of(document) for document in documents]
    common = tuple(row for row in (lists[0] if lists else ()) if all(row in other for other in lists[1:]))
    keys = list(dict.fromkeys(row.entry for rows in lists for row in rows if row not in common))
    body: list[Row] = []
    for key in keys:
        found = differing(key, [next((row for row in rows if row.entry == key), None) for rows in lists])
        body.append([found.sentence or same(key), *found.values])
    for field, what, words in (
        ("policy", Text("who decides", "分配方式"), ALLOCATOR_WORDS),
        ("coupling", Text("how far jobs may go", "可达范围"), REACH_WORDS),
        ("mode", Text("how it is replayed", "模拟方式"), MODE_WORDS),
        ("clock", Text("clock", "时钟"), {}),
        ("seed", Text("seed", "随机种子"), {}),
    ):
        values = [document.get(field) for document in documents]
        if len({str(value) for value in values}) > 1:
            body.insert(
                0, [what, *(word(words, value) if isinstance(value, str) else same(str(value)) for value in values)]
            )
    return common, ((table_of([Text("Assumption", "假设"), *names], body, 1 + len(names)),) if body else ())


def _card(documents: Sequence[Document], names: Sequence[Text], key: str) -> Card:
    """One measure: from the first run to the second, or from the least to the greatest of several."""
    measure = measure_of(key)
    values = [number(document.get(key)) for document in documents]
    known = [(value, name) for value, name in zip(values, names, strict=True) if value is not None]
    if not known:
        return Card(measure.name, UNKNOWN, None, _NOWHERE)
    if len(documents) == 2 and len(known) == 2:
        first, second = known[0][0], known[1][0]
        differs = change(measure.unit, second - first) if second != first else Text("no difference", "没有差别")
        return Card(measure.name, _short(measure, second), _short(measure, first), differs)
    low, high = min(known, key=lambda item: item[0]), max(known, key=lambda item: item[0])
    if low[0] == high[0]:
        return Card(measure.name, _short(measure, low[0]), None, Text("in all that tell it", "已知各次均同"))
    return Card(
        measure.name,
        _short(measure, high[0]),
        _short(measure, low[0]),
        Text(f'least "{low[1].en}", most "{high[1].en}"', f"最低“{low[1].zh}”，最高“{high[1].zh}”"),
    )


def _short(measure: Measure, value: float) -> Text:
    found = amount(measure.unit, value)
    return Text(found.en.removesuffix(" per GPU-hour"), found.zh.removesuffix("/卡时"))


def _values(documents: Sequence[Document], keys: Sequence[str]) -> list[list[float | None]]:
    return [[number(document.get(key)) for key in keys] for document in documents]


def _measure_section(documents: Sequence[Document], names: Sequence[Text]) -> Section:
    panels = []
    for chart, wanted, unit in _CHARTS:
        keys = [key for key in wanted if any(number(document.get(key)) is not None for document in documents)]
        if not keys:
            continue
        labels = [measure_of(key).name for key in keys]
        runs = list(zip(names, _values(documents, keys), strict=True))
        axis = {
            Unit.SHARE: Text("share", "比例"),
            Unit.HOURS: Text("hours", "小时"),
            Unit.PRICE: Text("CNY per GPU-hour", "元/卡时"),
        }.get(unit, Text("CNY", "元"))
        figure = side_by_side(labels, runs, unit, axis)
        panels.append(Panel(chart, _CHART_WORDS[chart], _NOWHERE, figure, width="half"))
    notes: tuple[Text, ...] = ()
    if len(documents) > SERIES:
        notes = (
            Text(
                f"The first {SERIES} of {len(documents)} runs are drawn; the tables have all.",
                f"图中为 {len(documents)} 次中的前 {SERIES} 次，表中为全部。",
            ),
        )
    return Section(
        "measures",
        Text("What differs", "差别在哪里"),
        Text(
            "Each row is one measure, each symbol one run. Runs are single random draws and carry no interval.",
            "每行一项指标，每个符号一次模拟。单次模拟没有区间。",
        ),
        tuple(panels),
        notes,
    )


def _effect_section(documents: Sequence[Document], names: Sequence[Text]) -> Section | None:
    """What each run does against the first, where both have the same jobs."""
    found = [
        (name, effects)
        for document, name in zip(documents[1:], names[1:], strict=True)
        if (effects := _flat(mapping(document.get("effects"))))
    ]
    if not found:
        return None
    rows: list[Row] = []
    for key, measure in EFFECTS.items():
        cells = [cell(measure.unit, number(e.get(key)), key == "net_additional_gpu_hours") for _, e in found]
        if any(text != NONE for text in cells):
            rows.append([titled(measure), *cells])
    return Section(
        "effects",
        Text(f'Against "{names[0].en}"', f"与“{names[0].zh}”相比"),
        Text(
            "Job by job: the jobs, firms and limits are the same. One random draw, so without intervals.",
            "逐个作业比较：作业、企业与限价相同。仅一次随机结果，没有区间。",
        ),
        (
            Panel(
                "effects",
                Text("Effects", "作用"),
                _NOWHERE,
                table=table_of([Text("Effect", "作用"), *(name for name, _ in found)], rows),
            ),
        ),
    )


def _flat(effects: Document) -> dict[str, object]:
    """Return nested effects by dotted key."""
    found: dict[str, object] = {}
    for key, value in effects.items():
        if isinstance(value, Mapping):
            found |= {f"{key}.{inner}": item for inner, item in value.items()}
        else:
            found[key] = value
    return found


def _time_section(documents: Sequence[Document], names: Sequence[Text]) -> Section | None:
    panels = []
    for key, title, unit in (
        ("used_share", Text("Accelerators at work", "加速卡使用率"), Unit.SHARE),
        ("waiting_gpus", Text("Accelerators waited for", "排队等待的加速卡"), Unit.COUNT),
    ):
        known: list[tuple[Text, str, list[float], list[float | None]]] = []
        for document, name, tone in zip(documents, names, RUN_TONES, strict=False):
            series = mapping(document.get("series"))
            at, values = numbers(series.get("hours")), numbers(series.get(key))
            if at and len(at) == len(values) and None not in at and any(value is not None for value in values):
                known.append((name, tone, [hour for hour in at if hour is not None], values))
        if not known:
            continue
        days = sorted({hour / 24 for _, _, hours_at, _ in known for hour in hours_at})
        lines = []
        for name, tone, hours_at, values in known:
            by_day = dict(zip([hour / 24 for hour in hours_at], values, strict=True))
            lines.append(Line(name, _carried(days, by_day), tone=tone))
        figure = over_time(days, lines, unit, Text("accelerators", "张加速卡") if unit is Unit.COUNT else title)
        panels.append(Panel(f"time-{key}", title, _NOWHERE, figure, width="half"))
    if not panels:
        return None
    return Section(
        "time",
        Text("How full it was, and how long the queue", "忙闲与排队"),
        Text("All centres together, over the days since the start.", "全部算力中心合计，按开始后天数。"),
        tuple(panels),
    )


def _carried(days: Sequence[float], by_day: dict[float, float | None]) -> list[float | None]:
    """Return a value for each instant of a common axis: the last one of a run, none after its end."""
    last, found, end = None, [], max(by_day)
    for day in days:
        last = by_day.get(day, last)
        found.append(last if day <= end else None)
    return found


def _group_section(documents: Sequence[Document], names: Sequence[Text]) -> Section | None:
    panels = []
    for field, key, title in (
        ("by_centre", "utilisation", Text("Use of each centre", "各算力中心的使用率")),
        ("by_size", "served_share", Text("Jobs that ran, by size of the firm", "获得算力的作业比例（按企业规模）")),
        ("by_size", "mean_wait_h", Text("Mean wait, by size of the firm", "平均等待时间（按企业规模）")),
        ("by_region", "served_share", Text("Jobs that ran, by region", "获得算力的作业比例（按区域）")),
        ("by_region", "mean_wait_h", Text("Mean wait, by region", "平均等待时间（按区域）")),
    ):
        panel = _group_panel(documents, names, field, key, title)
        if panel is not None:
            panels.append(panel)
    if not panels:
        return None
    return Section(
        "groups",
        Text("Where, and for whom", "在哪里，对谁"),
        Text("The same groups in each run.", "各次模拟的相同分组。"),
        tuple(panels),
    )


def _group_panel(
    documents: Sequence[Document], names: Sequence[Text], field: str, key: str, title: Text
) -> Panel | None:
    groups: dict[str, Text] = {}
    by_run: list[dict[str, float | None]] = []
    for document in documents:
        rows = {str(row.get("key", row.get("centre_id"))): row for row in entries(document.get(field))}
        for group, row in rows.items():
            groups.setdefault(group, group_name(row))
        by_run.append({group: number(row.get(key)) for group, row in rows.items()})
    if not any(value is not None for run in by_run for value in run.values()):
        return None
    measure, drawn = measure_of(key), list(groups)[:40]
    figure = side_by_side(
        [groups[group] for group in drawn],
        [(name, [run.get(group) for group in drawn]) for name, run in zip(names, by_run, strict=True)],
        measure.unit,
        titled(measure),
    )
    table = table_of(
        [Text("Group", "分组"), *names],
        [[groups[group], *(cell(measure.unit, run.get(group)) for run in by_run)] for group in groups],
    )
    return Panel(f"{field}-{key}", title, _NOWHERE, figure, None, table, "half")


def _budget_section(documents: Sequence[Document], names: Sequence[Text]) -> Section | None:
    rows, labels = [], []
    for document, name in zip(documents, names, strict=True):
        for row in entries(document.get("programmes")):
            rows.append(row)
            programme = group_name(row)
            labels.append(Text(f"{name.en}: {programme.en}", f"{name.zh}：{programme.zh}"))
    if not rows:
        return None
    return Section(
        "budgets",
        Text("When the money was spent", "资金的使用进度"),
        Text("Voucher money of each run and programme.", "各次模拟、各项目的算力券资金。"),
        (budget_panel("budget", rows, labels),),
    )


def _table_section(documents: Sequence[Document], names: Sequence[Text]) -> Section:
    columns: list[tuple[Text, Callable[[Measure], str]]] = []
    for place, (document, name) in enumerate(zip(documents, names, strict=True)):
        columns.append((name, _level(document)))
        if place:
            columns.append((Text(f'less "{names[0].en}"', f"减“{names[0].zh}”"), _difference(documents[0], document)))
    table = measure_table(tuple(MEASURES), columns)
    read = Text(
        "Differences are to the first run; of shares in percentage points.", "差值相对第一次模拟；比例之差以百分点计。"
    )
    return Section(
        "tables",
        Text("All figures", "全部数据"),
        Text("For those who want to check or to use them.", "供核对与引用。"),
        (Panel("measures-table", Text("All measures", "全部指标"), read, table=table),),
    )


def _level(document: Document) -> Callable[[Measure], str]:
    return lambda measure: cell(measure.unit, number(document.get(measure.key)))


def _difference(first: Document, second: Document) -> Callable[[Measure], str]:
    def write(measure: Measure) -> str:
        before, after = number(first.get(measure.key)), number(second.get(measure.key))
        if before is None or after is None:
            return NONE
        text = cell(measure.unit, after - before, sign=True)
        return text.replace("%", "") if measure.unit is Unit.SHARE else text

    return write
