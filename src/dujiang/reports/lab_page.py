"""What all pages of the policy lab share: their parts, what words mean, sources, and what the data cannot say."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from dujiang.core.text import Text
from dujiang.reports.charts import Figure
from dujiang.reports.lab_assumptions import Stated
from dujiang.reports.lab_charts import bars
from dujiang.reports.lab_document import Document, entries, group_name, items, mapping, number, said
from dujiang.reports.lab_words import Measure, Unit, cell, measure_of, span, titled
from dujiang.reports.layout import ROWS_DRAWN, Card, Panel, Row, Section, Table, table_of
from dujiang.reports.words import NONE, joined, same

GROUP_MEASURES: Final = (
    *("served_share", "gpu_hours_asked", "gpu_hours_served", "mean_wait_h", "voucher_cny", "net_cny"),
)


@dataclass(frozen=True, slots=True)
class Page:
    """All that the template shows."""

    title: Text
    when: Text
    story: tuple[Text, ...]
    cards: tuple[Card, ...]
    assumptions: tuple[Stated, ...]
    differing: tuple[Table, ...]
    """Assumptions in which settings or runs differ."""
    sections: tuple[Section, ...]
    figures: Mapping[str, Figure]
    terms: tuple[tuple[str, Text, Text], ...]
    limits: tuple[Text, ...]
    """What the data cannot say."""
    sources: tuple[tuple[Text, str], ...]
    files: tuple[tuple[str, str], ...]
    """Input files and their digests."""
    foot: Text


def figures_of(sections: Sequence[Section]) -> dict[str, Figure]:
    """Return every chart by the key of its panel."""
    return {panel.key: panel.figure for section in sections for panel in section.panels if panel.figure}


def sources_of(documents: Sequence[Document]) -> tuple[tuple[Text, str], ...]:
    """Return what is cited, each once."""
    found: dict[str, Text] = {}
    for document in documents:
        for entry in entries(document.get("citations")):
            citation = entry.get("citation")
            if isinstance(citation, str) and citation:
                found.setdefault(citation, said(entry.get("what"), same(NONE)))
    return tuple((what, citation) for citation, what in found.items())


def files_of(documents: Sequence[Document]) -> tuple[tuple[str, str], ...]:
    """Return the input files and their digests, each pair once."""
    found: dict[tuple[str, str], None] = {}
    for document in documents:
        own = document.get("sources") or mapping(document.get("scenario")).get("sources")
        for name, digest in mapping(own).items():
            found.setdefault((str(name), str(digest)))
    return tuple(found)


def when_of(document: Document) -> Text:
    """Say what kind of replay a page tells of and how long it is."""
    window = number(document.get("window_h"))
    warm = number(document.get("warm_up_h"))
    whole = Text("", "") if window is None else Text(f" over {span(window).en}", f"{span(window).zh}")
    first = Text(f"Replay{whole.en}", f"{whole.zh}模拟")
    if not warm:
        return first
    return Text(
        f"{first.en}; the first {span(warm).en} are not counted",
        f"{first.zh}，最初 {span(warm).zh}不计入",
    )


def share_or_none(value: float | None, of: float | None) -> float | None:
    """Divide; None where either is not known or there is nothing to divide by."""
    return None if value is None or not of else value / of


def bar_panel(
    key: str, title: Text, read: Text, rows: Sequence[Document], measure: Measure, table: Table | None, width: str
) -> Panel:
    """Return bars of one measure over groups; groups in which it is not known are left to the table."""
    known = [row for row in rows if number(row.get(measure.key)) is not None]
    if not known:
        return Panel(key, title, read, None, Text("Not known.", "未知。"), table, width)
    drawn = known[:ROWS_DRAWN]
    note = Text("", "")
    if len(known) > len(drawn):
        note = Text(
            f"The first {len(drawn)} of {len(known):,} are drawn.", f"图中为 {len(known):,} 项中的前 {len(drawn)} 项。"
        )
    figure = bars(
        [group_name(row) for row in drawn],
        [number(row.get(measure.key)) for row in drawn],
        [_jobs_note(row) for row in drawn],
        measure.unit,
        titled(measure),
    )
    return Panel(key, title, joined((read, note)) if note.en else read, figure, None, table, width)


def _jobs_note(row: Document) -> Text:
    jobs, gpus = number(row.get("jobs")), number(row.get("gpus"))
    if jobs is not None:
        return Text(f"{jobs:,.0f} jobs", f"{jobs:,.0f} 个作业")
    return Text("", "") if gpus is None else Text(f"{gpus:,.0f} accelerators", f"{gpus:,.0f} 张加速卡")


def group_table(rows: Sequence[Document], head: Text, keys: Sequence[str] = GROUP_MEASURES) -> Table:
    """Return the table of groups of jobs."""
    measures = [measure_of(key) for key in keys]
    return table_of(
        [head, Text("Jobs", "作业数"), *(titled(measure) for measure in measures)],
        [
            [
                group_name(row),
                cell(Unit.COUNT, number(row.get("jobs"))),
                *(cell(measure.unit, number(row.get(measure.key))) for measure in measures),
            ]
            for row in rows
        ],
    )


def measure_table(keys: Sequence[str], columns: Sequence[tuple[Text, Callable[[Measure], str]]]) -> Table:
    """Return a table with a row per measure and a column per run."""
    rows: list[Row] = []
    for key in keys:
        measure = measure_of(key)
        cells = [write(measure) for _, write in columns]
        if any(text != NONE for text in cells):
            rows.append([titled(measure), *cells])
    return table_of([Text("Measure", "指标"), *(name for name, _ in columns)], rows)


_TERM_WORDS: Final = {
    "utilisation": (
        Text("Accelerator time at work", "加速卡使用率"),
        Text(
            "GPU-hours in which jobs were really at work, over all GPU-hours that stood there, in the hours in which "
            "jobs come: what still runs after them is not in it. Time that is paid for and not used, such as the rest "
            "of a started hour, does not count.",
            "作业实际运行的卡时与全部可用卡时之比，按作业到达的时段计算，其后仍在运行的部分不计。已计费而未使用的时间（如不足一小时的余数）不计入。",
        ),
    ),
    "wait": (
        Text("Wait", "等待时间"),
        Text(
            "From submission to start, of jobs that ran. Jobs that never ran have no wait; read it together with the "
            "share that ran.",
            "从提交到开始运行，仅计运行了的作业；未运行的作业没有等待时间，应与获得算力的比例一起看。",
        ),
    ),
    "surplus": (
        Text("Gain of buyers, of centres, of all", "企业得益、中心得益、总得益"),
        Text(
            "Buyers: the most that their jobs were worth to them, less what they pay. Centres: income less their "
            "asking price. All: both together less the vouchers, which taxpayers pay. Waiting costs nothing here, and "
            "what a job is good for to others is not counted.",
            "企业：作业对其最高价值减自付。中心：收入减保留价。合计：两者之和减算力券，因为券款出自财政。"
            "等待不计成本，作业对他人的好处不计入。",
        ),
    ),
    "useful": (
        Text("Cost per useful GPU-hour", "每有效卡时总成本"),
        Text(
            "What firms and vouchers pay together, over the GPU-hours of jobs that ran to their end.",
            "企业自付与算力券之和，除以运行完成的作业的卡时。",
        ),
    ),
    "reference": (
        Text("Reference and pairing", "对照与配对"),
        Text(
            "A setting is compared with a reference that has the same jobs, firms and limits, row by row; where they "
            "differ there is no comparison. So a difference comes from the setting and not from other jobs. It is a "
            "difference in the replay: it says what these rules do with these jobs, not what people would do in years.",
            "方案只与作业、企业和限价逐行相同的对照方案比较，不同则不比较；因此差别来自方案本身而非不同的作业。"
            "这是模拟中的差别：说明这些规则对这些作业的作用，不代表多年后人们的行为。",
        ),
    ),
    "additionality": (
        Text("Additionality", "额外性"),
        Text(
            "Additional GPU-hours: of jobs that ran with this setting and not in the paired reference. Displaced: the "
            "other way round. Net: the difference. Additionality is the part of the GPU-hours with a voucher that were "
            "additional; the rest would have run without it.",
            "新增卡时：在本方案运行、在配对的对照方案中未运行的作业；被挤出卡时相反；净增为两者之差。"
            "额外性是用券卡时中新增的比例，其余没有券也会运行。",
        ),
    ),
    "incidence": (
        Text("Incidence", "补贴归宿"),
        Text(
            "Who gained by the voucher money: the change of the buyers' gain and of the centres' gain against the "
            "reference, each over the voucher money. If prices rise, a part ends with centres. What is left is "
            "nobody's gain, carriers' fees among it; if it is below zero, both together gained more than was paid.",
            "算力券资金最终由谁得益：企业得益与中心得益相对对照方案的变化，各除以算力券资金。价格上升时一部分归中心。"
            "其余（含传输费）无人得益；若为负，则双方合计得益多于支付额。",
        ),
    ),
    "leverage": (
        Text("Leverage", "撬动"),
        Text(
            "Firms' own money on supported jobs per yuan of vouchers; and, as a rule much smaller, their additional "
            "own money. Only the second is moved by the voucher.",
            "用券作业中企业自付与算力券之比；以及新增企业自付与算力券之比（通常小得多）。只有后者是券带动的。",
        ),
    ),
    "interval": (
        Text("Interval", "区间"),
        Text(
            "Drawn again and again from the seeds and from blocks of days, paired with the reference; between its ends "
            "lie as many of the results as its per cent says. If it includes zero, it cannot be told whether there is "
            "a difference. It covers chance in these jobs only, not whether the assumptions are right.",
            "对随机种子与按天分块的时段反复抽样（与对照配对）得到，所示百分比的结果落在两端之间。若包含零，则无法判断有无差别。"
            "区间只反映这些作业中的偶然，不反映假设是否正确。",
        ),
    ),
    "frontier": (
        Text("Frontier", "前沿"),
        Text(
            "Settings that no other tried setting beats on both measures at once. The best of many tries looks better "
            "than it is; replay it with other seeds before relying on it.",
            "没有其他已试方案在两项指标上同时更优的方案。从多次尝试中挑出的最优看起来会偏好，采用前应换种子再模拟。",
        ),
    ),
    "gpu-hour": (Text("GPU-hour", "卡时"), Text("One accelerator for one hour.", "一张加速卡运行一小时。")),
}


def terms(*keys: str) -> tuple[tuple[str, Text, Text], ...]:
    """Return what words mean, by key."""
    return tuple((key, *_TERM_WORDS[key]) for key in keys)


_LIMITS: Final = (
    Text(
        "What compute is worth to each firm, how large firms are and where they are is drawn from the distributions "
        "stated above; job logs do not tell it. Other distributions give other results.",
        "算力对各企业的价值、企业规模与所在地按上文所述分布随机给定，作业日志中没有这些信息；分布不同，结果不同。",
    ),
    Text(
        "Jobs come when they came in the log. Firms do not change what they do because of a voucher or of waiting: "
        "nobody is founded, moves, splits a job or comes back later, unless an assumption above says so.",
        "作业按日志中的时间到达。除上文假设说明者外，企业不因券或等待改变行为：不新设、不迁移、不拆分作业、不择日再来。",
    ),
    Text(
        "Capacity is as stated. Whether centres would build or close because of prices is not part of the replay.",
        "容量以所述为准；算力中心是否因价格新建或关停不在模拟范围内。",
    ),
    Text(
        "The good that subsidised work does to others is not counted, and neither is what it costs to run a programme.",
        "受补贴的工作对他人的好处不计入，项目的行政成本也不计入。",
    ),
)


def limits_of(documents: Sequence[Document]) -> tuple[Text, ...]:
    """Return what the data cannot say: of every replay, and of the series of states that one was rebuilt from."""
    found = list(_LIMITS)
    if _unlike_grids(documents):
        found.insert(0, _GRIDS)
    for document in documents:
        calibration = mapping(document.get("calibration"))
        for entry in entries(calibration.get("unknown")):
            line = said(entry, Text("", ""))
            if line.en and line not in found:
                found.append(line)
    return tuple(found)


def _unlike_grids(documents: Sequence[Document]) -> bool:
    """Say whether the market, which sells whole hours, stands beside queues that work to the second."""
    policies: set[str] = set()
    clocks: set[str] = set()
    for document in documents:
        if "policy" in document:
            policies.add(str(document["policy"]))
            clocks.add(str(document.get("clock")) if document["policy"] != "market" else "")
        for row in entries(document.get("differing_assumptions")):
            into = {"policy": policies, "clock": clocks}.get(str(row.get("entry")))
            if into is not None:
                into |= {str(mapping(item).get("value")) for item in items(row.get("values"))}
    return "market" in policies and "seconds" in clocks


_GRIDS: Final = Text(
    "The market sells whole hours; the queues beside it start and charge jobs to the second. A job of minutes that is "
    "not worth a whole hour is served by them and not by the market. With `clock: hours` only the allocation differs.",
    "市场以整小时出售，与之比较的队列按秒开始与计费：不值一整小时的短作业可在队列中运行，而在市场中不成交。"
    "设 clock: hours 后，差异仅来自分配方式。",
)


FOOT: Final = Text(
    "Made by dujiang from the result files of the replay alone. It names no firm. A replay is a model: it shows what "
    "the stated rules do with the stated jobs. Everything is inside this one file; it needs no network.",
    "由都江仅根据模拟结果文件生成，不含单个企业的信息。模拟是模型：只说明所述规则对所述作业的作用。全部内容在此单一文件中，无需联网。",
)
