"""What each setting of a study does against its reference, and with whom voucher money ends."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from dujiang.core.text import Text
from dujiang.reports.lab_charts import Dot, against, gains, parts
from dujiang.reports.lab_document import (
    Point,
    Study,
    entries,
    mapping,
)
from dujiang.reports.lab_study_story import yuan_per_additional
from dujiang.reports.lab_study_table import NOT_KNOWN, SETTINGS_DRAWN, settings_table
from dujiang.reports.lab_words import (
    EFFECTS,
    MEASURES,
    Measure,
    Unit,
    cell_with_interval,
    measure_of,
)
from dujiang.reports.layout import Panel, Section, Table
from dujiang.reports.words import NONE, joined


def effect_section(study: Study) -> Section | None:
    """Additional GPU-hours against voucher money."""
    if not study.others or mapping(study.document.get("search")):
        return None
    alone = [point for point in study.others if study.by_vouchers_alone(point)]
    dots = []
    for point in alone:
        spent, net = point.measure("voucher_cny"), point.effect("net_additional_gpu_hours")
        if spent is not None and net is not None:
            dots.append(Dot(point.label, spent, net, marked=point is study.focus))
    paying = any(dot.x.mean > 0 for dot in dots)
    table = settings_table(
        study, study.others, [MEASURES["voucher_cny"], *EFFECTS.values()], partial(_effect_cell, study)
    )
    panels = []
    if study.mixed or not paying:
        panels.append(_hours_panel(study, table))
    if paying:
        panels.append(_money_panel(study, dots, None if panels else table))
    intro = Text(
        "Each setting against the reference, with the same jobs and the same random draws.",
        "各方案与对照方案相比，作业与随机数均相同。",
    )
    if not any(point.effect("net_additional_gpu_hours") for point in study.others):
        intro = Text(
            "No effect was worked out: that takes a reference with the same jobs.",
            "未计算作用：须有作业相同的对照方案。",
        )
    return Section("effect", Text("What it does", "作用有多大"), intro, tuple(panels))


def _money_panel(study: Study, dots: Sequence[Dot], table: Table | None) -> Panel:
    percent = f"{100 * study.level:.4g}%"
    figure = against(
        dots,
        (Unit.YUAN, Unit.GPU_HOURS),
        (Text("voucher money", "算力券资金"), Text("additional, net", "净增")),
        joined=len(entries(study.document.get("factors"))) == 1,
        rays=True,
    )
    read = Text(
        "Up: more GPU-hours run than in the reference. Right: more money. On a dotted line each additional GPU-hour "
        f"takes the same voucher money; the steeper, the cheaper. Whiskers: {percent} intervals.",
        f"越高，净增卡时越多；越右，花费越多。虚线上每净增一卡时的券款相等，越陡越省。误差线为 {percent} 区间。",
    )
    if study.mixed:
        only = Text("Only settings that change nothing but vouchers.", "仅含只改变算力券的方案。")
        read = joined((only, read))
    return Panel(
        "effect-money", Text("Additional GPU-hours for the money", "花的钱换来多少净增卡时"), read, figure, None, table
    )


def _hours_panel(study: Study, table: Table) -> Panel:
    title, percent = Text("Additional GPU-hours", "净增卡时"), f"{100 * study.level:.4g}%"
    read = Text(
        f"More or fewer than in the reference; whiskers: {percent} intervals.",
        f"相对对照方案的增减；误差线为 {percent} 区间。",
    )
    known = [(p, net) for p in study.others if (net := p.effect("net_additional_gpu_hours")) is not None][
        :SETTINGS_DRAWN
    ]
    if not known:
        return Panel("effect", title, read, None, NOT_KNOWN, table)
    names, values = [study.name(p) for p, _ in known], [net for _, net in known]
    figure = gains(names, [(title, values)], Unit.GPU_HOURS, Text("GPU-hours", "卡时"))
    return Panel("effect", title, read, figure, None, table)


_OF_VOUCHERS: Final = ("additionality", "incidence.", "leverage.", "cny_per_additional")
"""Effects that are those of voucher money only where nothing else changes."""


def _effect_cell(study: Study, point: Point, measure: Measure) -> str:
    if measure.key.startswith(_OF_VOUCHERS) and not study.by_vouchers_alone(point):
        return NONE
    if measure.key == "voucher_cny":
        return cell_with_interval(measure.unit, point.measure(measure.key))
    if measure.key == "cny_per_additional_gpu_hour":
        return cell_with_interval(measure.unit, yuan_per_additional(study, point))
    return cell_with_interval(measure.unit, point.effect(measure.key), measure.key == "net_additional_gpu_hours")


def incidence_section(study: Study) -> Section | None:
    """Return with whom the voucher money ends; None where nothing is compared."""
    keys = ("incidence.buyers", "incidence.centres", "incidence.lost")
    told_of = study.frontier if mapping(study.document.get("search")) else study.others
    told_of = tuple(filter(study.by_vouchers_alone, told_of))
    shown = [point for point in told_of if point.effect(keys[0]) is not None and point.effect(keys[1]) is not None]
    if not study.others:
        return None
    title = Text("With whom the voucher money ends", "算力券资金最终归谁")
    intro = Text(
        "A voucher is paid to a firm's bill, but if it raises prices a part of it ends with the centres.",
        "券款抵扣企业的账单；若价格因此上升，其中一部分最终归算力中心。",
    )
    if not shown:
        nothing = Text("No voucher was paid, so there is nothing to follow.", "没有支付算力券，无资金可追踪。")
        spent = [point.measure("voucher_cny") for point in study.others]
        unknown = any(value is None or value.mean > 0 for value in spent)
        if unknown and not told_of:
            mixed = Text(
                "Vouchers are nowhere all that changes, so their money cannot be followed.",
                "没有一种方案只改变算力券，因此无法追踪其资金。",
            )
            return Section("incidence", title, mixed)
        return Section("incidence", title, NOT_KNOWN if unknown else nothing)
    drawn = shown[:24]
    names = (Text("buyers (firms)", "企业"), Text("centres", "算力中心"), Text("nobody", "无人得益"))
    series = [
        (name, tone, [point.effect(key) for point in drawn])
        for name, tone, key in zip(names, ("firms", "centres", "rest"), keys, strict=True)
    ]
    figure = parts(
        [study.name(point) for point in drawn],
        series,
        Unit.SHARE,
        Text("share of the voucher money", "占算力券资金的比例"),
    )
    wanted = [measure_of(key) for key in (*keys, "price_change_share")]
    table = settings_table(study, shown, wanted, lambda p, m: cell_with_interval(m.unit, p.effect(m.key)))
    read = Text(
        "Changes against the reference over the voucher money; the parts add up to 100%. Below zero means a loss, or, "
        'under "nobody", a gain beyond what was paid. Hatched: cannot be told from zero.',
        "得益相对对照的变化与券款之比，合计 100%。低于零为受损；“无人得益”低于零即得益超过券款。斜线：无法与零区分。",
    )
    shares = Text("Shares of the voucher money", "算力券资金的归属比例")
    return Section("incidence", title, intro, (Panel("incidence", shares, read, figure, None, table),))
