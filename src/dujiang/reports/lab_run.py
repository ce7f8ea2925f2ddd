"""The page of one scenario: what was replayed, how full centres were, who was reached, who paid."""

from collections.abc import Callable, Sequence
from typing import Final

from dujiang.core.text import Text
from dujiang.reports.charts import Figure
from dujiang.reports.lab_assumptions import assumptions_of
from dujiang.reports.lab_charts import SERIES, Line, over_time, parts, side_by_side
from dujiang.reports.lab_document import Document, Estimate, entries, group_name, items, mapping, number, numbers, said
from dujiang.reports.lab_page import (
    FOOT,
    Page,
    bar_panel,
    figures_of,
    files_of,
    group_table,
    limits_of,
    measure_table,
    share_or_none,
    sources_of,
    terms,
    when_of,
)
from dujiang.reports.lab_story import story
from dujiang.reports.lab_words import (
    MEASURES,
    MODE_WORDS,
    OUTCOME_WORDS,
    Measure,
    Unit,
    amount,
    cell,
    cny,
    hours,
    measure_of,
    policy_words,
    price,
    titled,
    word,
)
from dujiang.reports.layout import Card, Panel, Row, Section, table_of
from dujiang.reports.words import NONE, UNKNOWN, at_most, carbon, joined, same, share, whole

_SIZE: Final = Text("Size of the firm", "企业规模")
_REGION: Final = Text("Region of the firm's centre", "所在区域")
_NOT_KNOWN: Final = Text("Not known.", "未知。")
_UNTITLED: Final = Text("Replay of a scenario", "情景模拟")


def run_page(document: Document) -> Page:
    """Put the page of a run together."""
    sections = tuple(
        section
        for section in (
            _time_section(document),
            _reach_section(document),
            _money_section(document),
            _programme_section(document),
            _calibration_section(document),
            _details_section(document),
        )
        if section is not None
    )
    who, mode = policy_words(document), word(MODE_WORDS, document.get("mode"))
    when = when_of(document)
    market = document.get("policy") == "market" and mode is not UNKNOWN
    return Page(
        title=said(document.get("title"), _UNTITLED),
        when=Text(
            f"{when.en}. {_capital(who.en)}{f'; {mode.en}' if market else ''}.",
            f"{when.zh}。{who.zh}{f'；{mode.zh}' if market else ''}。",
        ),
        story=story(document),
        cards=_cards(document),
        assumptions=assumptions_of(document),
        differing=(),
        sections=sections,
        figures=figures_of(sections),
        terms=terms("utilisation", "wait", "surplus", "useful", "additionality", "incidence", "leverage", "gpu-hour"),
        limits=limits_of([document]),
        sources=sources_of([document]),
        files=files_of([document]),
        foot=FOOT,
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _cards(document: Document) -> tuple[Card, ...]:
    served, jobs, asked = (number(document.get(key)) for key in ("served_share", "jobs", "gpu_hours_served_share"))
    slow, idle = number(document.get("p95_wait_h")), number(document.get("waiting_while_idle_share"))
    voucher, net = number(document.get("voucher_cny")), number(document.get("net_cny"))
    cost, gross = number(document.get("cost_per_useful_gpu_hour_cny")), number(document.get("price_cny_per_gpu_hour"))
    mass = number(document.get("carbon_kg"))
    parts_of_jobs = Text("", "") if jobs is None else Text(f"of {whole(jobs)} jobs", f"共 {whole(jobs)} 个作业")
    if asked is not None:
        between_en, between_zh = (", " if parts_of_jobs.en else ""), ("，" if parts_of_jobs.zh else "")
        parts_of_jobs = Text(
            f"{parts_of_jobs.en}{between_en}{share(asked)} of the GPU-hours",
            f"{parts_of_jobs.zh}{between_zh}卡时的 {share(asked)}",
        )
    use_note = Text("of all accelerator time that stood there", "占全部可用卡时")
    if idle is not None:
        use_note = Text(
            f"in {share(idle)} of the time, one centre had a queue while another had idle cards",
            f"{share(idle)} 的时间里，一处排队而他处有卡闲置",
        )
    part = share_or_none(voucher, None if net is None or voucher is None else net + voucher)
    return (
        _card("utilisation", document, use_note),
        _card("served_share", document, parts_of_jobs if served is not None else Text("", "")),
        _card(
            "mean_wait_h",
            document,
            Text("of jobs that ran", "仅计运行了的作业")
            if slow is None
            else Text(f"one in twenty waits longer than {hours(slow).en}", f"二十分之一的作业超过 {hours(slow).zh}"),
        ),
        Card(
            Text("Price of a GPU-hour", "卡时价格"),
            UNKNOWN if gross is None else price(gross)._replace(en=price(gross).en.removesuffix(" per GPU-hour")),
            None,
            Text("that centres get", "算力中心所得")
            if cost is None
            else Text(
                f"a useful GPU-hour costs {price(cost).en.removesuffix(' per GPU-hour')} in all",
                f"每有效卡时总成本 {price(cost).zh.removesuffix('/卡时')}",
            ),
        ),
        Card(
            Text("Voucher money", "算力券资金"),
            UNKNOWN if voucher is None else cny(voucher),
            None,
            Text("", "")
            if voucher is None
            else Text("no voucher was used", "未使用算力券")
            if voucher == 0
            else Text("besides what firms pay", "企业自付之外")
            if part is None or net is None
            else Text(
                f"{share(part)} of what is paid; firms pay {cny(net).en} themselves",
                f"占支付总额的 {share(part)}，企业自付 {cny(net).zh}",
            ),
        ),
        Card(
            Text("Carbon dioxide", "二氧化碳排放"),
            UNKNOWN if mass is None else carbon(mass),
            None,
            Text("needs the watts, PUE and grid factor of every pool", "需要各资源池的功率、PUE 与电网排放因子")
            if mass is None
            else Text("of all that ran", "全部运行的作业"),
        ),
    )


def _card(key: str, document: Document, caption: Text) -> Card:
    measure, value = measure_of(key), number(document.get(key))
    return Card(measure.name, UNKNOWN if value is None else amount(measure.unit, value), None, caption)


# Over time and by centre


def _time_section(document: Document) -> Section:
    series = mapping(document.get("series"))
    at = numbers(series.get("hours"))
    panels = [
        _series_panel(series, at, "used_share", Text("Accelerators at work", "加速卡使用率"), Unit.SHARE, "full"),
        _series_panel(
            series, at, "waiting_gpus", Text("Accelerators waited for", "排队等待的加速卡"), Unit.COUNT, "half"
        ),
        _series_panel(series, at, "price_cny", Text("Price", "价格"), Unit.PRICE, "half"),
    ]
    rows = sorted(entries(document.get("by_centre")), key=lambda row: -(number(row.get("gpus")) or 0))
    if rows:
        keys = ("utilisation", "held_utilisation")
        table = table_of(
            [
                Text("Centre", "算力中心"),
                Text("Region", "区域"),
                Text("Accelerators", "加速卡"),
                *(titled(measure_of(key)) for key in keys),
                Text("Mean price, CNY per GPU-hour", "均价（元/卡时）"),
            ],
            [
                [
                    group_name(row),
                    said(row.get("region_name"), said(row.get("region"), same(NONE))),
                    cell(Unit.COUNT, number(row.get("gpus"))),
                    *(cell(measure_of(key).unit, number(row.get(key))) for key in keys),
                    cell(Unit.PRICE, number(row.get("mean_price_cny"))),
                ]
                for row in rows
            ],
            2,
        )
        read = Text(
            "Share of each centre's accelerator time that was at work; the largest centres first.",
            "各算力中心加速卡时间中实际运行的比例，规模大者在前。",
        )
        title = Text("How full each centre was", "各算力中心的使用率")
        panels.append(bar_panel("centres", title, read, rows, measure_of("utilisation"), table, "full"))
    return Section(
        "time",
        Text("How full it was, and how long the queue", "忙闲与排队"),
        Text(
            "A queue while accelerators stand idle means that jobs and cards do not find each other.",
            "一边排队、一边有卡闲置，说明供需没有对上。",
        ),
        tuple(panels),
    )


def _series_panel(series: Document, at: Sequence[float | None], key: str, title: Text, unit: Unit, width: str) -> Panel:
    values = numbers(series.get(key))
    if len(values) != len(at) or not any(value is not None for value in values) or None in at:
        return Panel(f"time-{key}", title, Text("", ""), None, _NOT_KNOWN, None, width)
    days = [hour / 24 for hour in at if hour is not None]
    read = {
        "used_share": Text("Mean over all centres.", "全部算力中心的平均。"),
        "waiting_gpus": Text("What jobs in the queue would need at once.", "排队作业同时所需的加速卡总数。"),
        "price_cny": Text("Mean over all centres, weighted by capacity.", "全部算力中心按容量加权平均。"),
    }[key]
    figure = over_time(
        days, [Line(title, values, fill=True)], unit, Text("accelerators", "张加速卡") if unit is Unit.COUNT else title
    )
    return Panel(f"time-{key}", title, read, figure, None, None, width)


# Who was reached


def _reach_section(document: Document) -> Section | None:
    panels = []
    for field, head in (("by_size", _SIZE), ("by_region", _REGION)):
        rows = entries(document.get(field))
        if len(rows) < 2:  # one group alone compares with nothing; its figures are those of the whole
            continue
        table = group_table(rows, head)
        name = Text(f"by {head.en.lower()}", f"按{head.zh}")
        panels.append(
            bar_panel(
                f"{field}-served",
                Text(f"Jobs that ran, {name.en}", f"获得算力的作业比例（{name.zh}）"),
                Text("", ""),
                rows,
                measure_of("served_share"),
                table,
                "half",
            )
        )
        panels.append(
            bar_panel(
                f"{field}-wait",
                Text(f"Mean wait, {name.en}", f"平均等待时间（{name.zh}）"),
                Text("", ""),
                rows,
                measure_of("mean_wait_h"),
                None,
                "half",
            )
        )
    if not panels:
        return None
    return Section(
        "reach",
        Text("Who was reached", "谁得到了算力"),
        Text(
            "Whose jobs ran, and how long they waited. Sizes and regions of firms are drawn, as the assumptions say.",
            "谁的作业得以运行，等了多久。企业规模与区域按假设随机给定。",
        ),
        tuple(panels),
    )


# Money


def _money_section(document: Document) -> Section:
    keys = ("net_cny", "voucher_cny", "turnover_cny", "transfer_cny")
    net, voucher, gross, transfer = (number(document.get(key)) for key in keys)
    figure: Figure | None = None
    if net is not None and voucher is not None and gross is not None:
        figure = parts(
            [Text("Who paid", "谁支付"), Text("Who got it", "谁收到")],
            [
                (Text("Firms", "企业"), "firms", [Estimate(net), None]),
                (Text("Vouchers", "算力券"), "vouchers", [Estimate(voucher), None]),
                (Text("Centres", "算力中心"), "centres", [None, Estimate(gross)]),
                (
                    Text("Carriers (data transfer)", "传输运营商"),
                    "rest",
                    [None, None if transfer is None else Estimate(transfer)],
                ),
            ],
            Unit.YUAN,
            Text("CNY", "元"),
        )
    nothing = _NOT_KNOWN if None in (net, voucher, gross) else None
    if nothing is None and not any((net, voucher, gross)):
        figure, nothing = None, Text("Nothing was paid.", "没有发生支付。")
    money = [key for key, measure in MEASURES.items() if measure.unit in (Unit.YUAN, Unit.PRICE)]
    table = measure_table(money, [(Text("This run", "本次"), _writer(document))])
    return Section(
        "money",
        Text("Who paid, and who got it", "谁付钱，谁收钱"),
        Text(
            "Both bars are of the same length: what firms and vouchers pay is what centres and carriers get.",
            "两条等长：企业与算力券支付的，正是算力中心与传输运营商收到的。",
        ),
        (
            Panel(
                "money",
                Text("Money from and to", "资金来源与去向"),
                Text("", ""),
                figure,
                nothing,
                table,
            ),
        ),
    )


def _writer(document: Document) -> Callable[[Measure], str]:
    def write(measure: Measure) -> str:
        return cell(measure.unit, number(document.get(measure.key)))

    return write


# Programmes


def _programme_section(document: Document) -> Section | None:
    rows = entries(document.get("programmes"))
    if not rows:
        return None
    title = Text("How the voucher money was used over time", "算力券资金的使用进度")
    panel = budget_panel("budget", rows, [group_name(row) for row in rows])
    table = table_of(
        [
            Text("Programme", "政策项目"),
            Text("Rate", "补贴比例"),
            Text("Cap per firm, CNY", "单家上限（元）"),
            Text("Budget, CNY", "预算（元）"),
            Text("Spent, CNY", "已用（元）"),
            Text("Of the budget", "预算使用率"),
            Text("Firms", "企业数"),
            Text("Jobs", "作业数"),
            Text("Half spent after", "用去一半时"),
            Text("Used up after", "用完时"),
        ],
        [_programme_row(row) for row in rows],
    )
    listed = Panel("programmes", Text("Programmes", "政策项目"), Text("", ""), table=table)
    return Section(
        "programmes",
        title,
        Text(
            "A budget that is used up early leaves those who come late with nothing; one that is hardly used was not "
            "what was missing.",
            "预算用得太快，后来者无券可用；几乎没用，说明缺的不是钱。",
        ),
        (panel, listed),
    )


def _programme_row(row: Document) -> Row:
    budget, spent = number(row.get("budget_cny")), number(row.get("spent_cny"))
    half, gone = number(row.get("half_spent_h")), number(row.get("exhausted_h"))
    return [
        group_name(row),
        cell(Unit.SHARE, number(row.get("rate"))),
        cell(Unit.YUAN, number(row.get("cap_cny"))),
        Text("none stated", "未规定") if budget is None else cell(Unit.YUAN, budget),
        cell(Unit.YUAN, spent),
        cell(Unit.SHARE, share_or_none(spent, budget)),
        cell(Unit.COUNT, number(row.get("firms"))),
        cell(Unit.COUNT, number(row.get("jobs"))),
        same(NONE) if half is None else hours(half),
        same(NONE) if gone is None else hours(gone),
    ]


def budget_panel(key: str, rows: Sequence[Document], names: Sequence[Text]) -> Panel:
    """Return voucher money spent over time: in yuan with the budget where there is one row, else as its share.

    Parameters
    ----------
    key : of the panel
    rows : with `spent_by_day_cny` (cumulative, at the end of each day) and `budget_cny`
    names : what each row is called
    """
    title = Text("Voucher money spent, day by day", "算力券资金逐日累计支出")
    known = [(row, name) for row, name in zip(rows, names, strict=True) if items(row.get("spent_by_day_cny"))]
    if not known:
        return Panel(key, title, Text("", ""), None, Text("When it was spent is not known.", "支出时间未知。"))
    if not any(value for row, _ in known for value in numbers(row.get("spent_by_day_cny"))):
        return Panel(key, title, Text("", ""), None, Text("No voucher was paid.", "没有支付算力券。"))
    drawn = known[:SERIES]
    budgets = [number(row.get("budget_cny")) for row, _ in drawn]
    length = max(len(items(row.get("spent_by_day_cny"))) for row, _ in drawn)
    days = [float(day) for day in range(length + 1)]
    share_of_budget = len(set(budgets)) > 1 and all(budgets)
    lines = []
    for (row, name), budget in zip(drawn, budgets, strict=True):
        spent: list[float | None] = [0.0, *numbers(row.get("spent_by_day_cny"))]
        spent += [spent[-1]] * (length + 1 - len(spent))
        lines.append(Line(name, [_over(value, budget) for value in spent] if share_of_budget else spent))
    one = budgets[0] if budgets[0] and len(set(budgets)) == 1 else None
    if one is not None and not share_of_budget:
        lines.append(Line(Text("budget", "预算"), [one] * len(days), limit=True))
    unit = Unit.SHARE if share_of_budget else Unit.YUAN
    read = (
        Text("Over each programme's budget.", "占各项目预算的比例。")
        if share_of_budget
        else Text("Added up from the start.", "自开始累计。")
    )
    return Panel(key, title, read, over_time(days, lines, unit, Text("of the budget", "占预算")))


def _over(value: float | None, budget: float | None) -> float | None:
    return None if value is None or not budget else value / budget


# Calibration


def _calibration_section(document: Document) -> Section | None:
    calibration = mapping(document.get("calibration"))
    there, here = mapping(calibration.get("measured")), mapping(calibration.get("replayed"))
    keys = [key for key in there if number(there.get(key)) is not None]
    if not keys:
        return None
    columns = (Text("measured", "实测"), Text("replayed", "模拟"))
    shares = [key for key in keys if key.endswith("_share")]
    figure = side_by_side(
        [_measured_word(key) for key in shares],
        [
            (columns[0], [number(there.get(key)) for key in shares]),
            (columns[1], [number(here.get(key)) for key in shares]),
        ],
        Unit.SHARE,
        Text("share", "比例"),
    )
    rows: list[Row] = [
        [_measured_word(key), *(_measured_cell(key, number(side.get(key))) for side in (there, here))] for key in keys
    ]
    return Section(
        "calibration",
        Text("Does the replay behave as the measured cluster did?", "模拟与实测是否相符"),
        Text(
            "The same figures, once from the recorded states and once from the replay of jobs rebuilt from them.",
            "同样的指标，一次取自记录的状态，一次取自由其重建的作业的模拟。",
        ),
        (
            Panel(
                "calibration",
                Text("Measured and replayed", "实测与模拟"),
                Text("", ""),
                figure if shares else None,
                None,
                table_of([Text("Figure", "指标"), *columns], rows),
            ),
        ),
    )


_MEASURED_WORDS: Final = {
    "allocated_share": Text("Accelerators allocated", "加速卡分配率"),
    "waiting_while_idle_share": Text("Queue here, idle cards there", "一处排队、他处闲置的时间"),
    "mean_pending_gpus": Text("Accelerators waited for, mean", "平均排队加速卡"),
    "mean_idle_gpus": Text("Idle accelerators, mean", "平均闲置加速卡"),
}


def _measured_word(key: str) -> Text:
    return _MEASURED_WORDS.get(key) or measure_of(key).name


def _measured_cell(key: str, value: float | None) -> str:
    return cell(Unit.SHARE if key.endswith("_share") else Unit.OTHER, value)


# Tables


def _details_section(document: Document) -> Section:
    panels = [
        Panel(
            "measures",
            Text("All measures", "全部指标"),
            Text("", ""),
            table=measure_table(tuple(MEASURES), [(Text("This run", "本次"), _writer(document))]),
            width="half",
        )
    ]
    outcomes = mapping(document.get("outcomes"))
    total = sum(number(value) or 0 for value in outcomes.values())
    if outcomes:
        panels.append(
            Panel(
                "outcomes",
                Text("What became of the jobs", "作业的结果"),
                Text("", ""),
                table=table_of(
                    [Text("Outcome", "结果"), Text("Jobs", "作业数"), Text("Share", "比例")],
                    [
                        [
                            word(OUTCOME_WORDS, key),
                            cell(Unit.COUNT, number(value)),
                            cell(Unit.SHARE, share_or_none(number(value), total)),
                        ]
                        for key, value in outcomes.items()
                    ],
                ),
                width="half",
            )
        )
    panels += _mode_panels(document)
    return Section(
        "details",
        Text("All figures", "全部数据"),
        Text("For those who want to check or to use them.", "供核对与引用。"),
        tuple(panels),
    )


def _mode_panels(document: Document) -> list[Panel]:
    """Tables of the exact mode, and of how far the fast mode differs."""
    panels = []
    difference = mapping(document.get("difference"))
    if difference:
        same_decisions = number(difference.get("same_decision_share"))
        pairs = {
            key: mapping(value) for key, value in difference.items() if isinstance(value, dict) and "exact" in value
        }
        panels.append(
            Panel(
                "modes",
                Text("Exact and fast mode", "精确模式与快速模式"),
                Text("How far the fast mode is from clearing every round.", "快速模式与逐轮出清的差距。")
                if same_decisions is None
                else Text(
                    f"Both decide alike on whether a job runs for {share(same_decisions)} of the jobs.",
                    f"两种模式对 {share(same_decisions)} 的作业是否运行判断一致。",
                ),
                table=table_of(
                    [Text("Measure", "指标"), Text("Exact", "精确"), Text("Fast", "快速")],
                    [
                        [
                            titled(measure_of(key)),
                            *(cell(measure_of(key).unit, number(pair.get(mode))) for mode in ("exact", "fast")),
                        ]
                        for key, pair in pairs.items()
                    ],
                ),
            )
        )
    panels += [panel for panel in (_rounds_panel(document), _ledger_panel(document)) if panel is not None]
    return panels


def _rounds_panel(document: Document) -> Panel | None:
    rounds = mapping(document.get("rounds"))
    each = entries(rounds.get("each"))
    if not each:
        return None
    every, worst = number(rounds.get("every_h")), number(rounds.get("greatest_gap"))
    read = Text("", "") if every is None else Text(f"One every {hours(every).en}.", f"每 {hours(every).zh}一轮。")
    if worst is not None:
        proof = Text(
            f"No round is proven to be further than {at_most(worst)} from the best possible.",
            f"各轮与最优的差距可证明不超过 {at_most(worst)}。",
        )
        read = joined([part for part in (read, proof) if part.en])
    return Panel(
        "rounds",
        Text("Rounds", "各轮撮合"),
        read,
        table=table_of(
            [
                Text("Hour", "小时"),
                Text("Orders", "订单数"),
                Text("Awards", "中标数"),
                Text("Value, CNY", "分配价值（元）"),
                Text("Gap", "差距"),
            ],
            [
                [
                    cell(Unit.COUNT, number(row.get("hour"))),
                    cell(Unit.COUNT, number(row.get("orders"))),
                    cell(Unit.COUNT, number(row.get("awards"))),
                    cell(Unit.YUAN, number(row.get("welfare_cny"))),
                    NONE if (gap := number(row.get("gap"))) is None else f"≤ {at_most(gap)}",
                ]
                for row in each
            ],
            0,
        ),
        width="half",
    )


def _ledger_panel(document: Document) -> Panel | None:
    ledger = mapping(document.get("ledger"))
    balances = mapping(ledger.get("balances_cny"))
    if not balances:
        return None
    total = number(ledger.get("sum_cny"))
    read = (
        Text("", "")
        if total is None
        else Text(f"All accounts add up to {cny(total).en}.", f"全部科目合计 {cny(total).zh}。")
    )
    return Panel(
        "ledger",
        Text("Ledger", "账本"),
        read,
        table=table_of(
            [Text("Account", "科目"), Text("Balance, CNY", "余额（元）")],
            [[same(str(account)), cell(Unit.YUAN, number(value))] for account, value in balances.items()],
        ),
        width="half",
    )
