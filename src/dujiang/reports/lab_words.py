"""Measures of the policy lab in words: their names, units, and how a figure with an interval is said."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from dujiang.core.money import MICRO
from dujiang.core.text import Text
from dujiang.reports.lab_document import Document, Estimate, entries, mapping, said
from dujiang.reports.words import NONE, UNKNOWN, carbon, decimal, gpu_hours, money, same, share, whole


class Unit(StrEnum):
    """What a measure is counted in."""

    SHARE = "share"
    """Of a whole; differences are percentage points."""
    CHANGE = "change"
    """A relative change; per cent of what it was."""
    HOURS = "h"
    YUAN = "cny"
    PRICE = "cny_per_gpu_hour"
    RATIO = "ratio"
    """Yuan for each yuan."""
    GPU_HOURS = "gpu_hours"
    KG = "kg"
    COUNT = "count"
    OTHER = "other"


class Better(StrEnum):
    """Which direction people would call good."""

    MORE = "more"
    LESS = "less"
    NEITHER = "neither"


@dataclass(frozen=True, slots=True)
class Measure:
    """One column of figures."""

    key: str
    name: Text
    unit: Unit
    better: Better = Better.NEITHER


def _measures(*rows: tuple[str, str, str, Unit, Better]) -> dict[str, Measure]:
    return {key: Measure(key, Text(en, zh), unit, better) for key, en, zh, unit, better in rows}


_S, _H, _Y, _P, _G, _N = Unit.SHARE, Unit.HOURS, Unit.YUAN, Unit.PRICE, Unit.GPU_HOURS, Unit.COUNT
_MORE, _LESS, _SO = Better.MORE, Better.LESS, Better.NEITHER

MEASURES: Final = _measures(
    ("utilisation", "Accelerator time at work", "加速卡使用率", _S, _MORE),
    ("held_utilisation", "Accelerator time paid for", "加速卡占用率（计费）", _S, _MORE),
    ("served_share", "Jobs that ran", "获得算力的作业比例", _S, _MORE),
    ("gpu_hours_served_share", "GPU-hours that ran", "获得算力的卡时比例", _S, _MORE),
    ("gpu_hours_asked", "GPU-hours asked for", "申请卡时", _G, _SO),
    ("gpu_hours_served", "GPU-hours that ran", "完成卡时", _G, _MORE),
    ("mean_wait_h", "Mean wait of jobs that ran", "平均等待时间", _H, _LESS),
    ("median_wait_h", "Median wait", "等待时间中位数", _H, _LESS),
    ("p95_wait_h", "Wait that one job in 20 exceeds", "等待时间（95 分位）", _H, _LESS),
    ("waiting_while_idle_share", "Time with a queue here and idle cards there", "一处排队、他处闲置的时间", _S, _LESS),
    ("price_cny_per_gpu_hour", "Price per GPU-hour", "卡时成交价", _P, _SO),
    ("net_cny_per_gpu_hour", "Paid by firms per GPU-hour", "企业自付卡时价", _P, _LESS),
    ("cost_per_useful_gpu_hour_cny", "Cost per useful GPU-hour", "每有效卡时总成本", _P, _LESS),
    ("turnover_cny", "Paid to centres", "付给算力中心", _Y, _SO),
    ("transfer_cny", "Paid for data transfer", "数据传输费", _Y, _LESS),
    ("net_cny", "Paid by firms", "企业自付", _Y, _SO),
    ("voucher_cny", "Voucher money", "算力券资金", _Y, _SO),
    ("buyer_surplus_cny", "Buyers' gain", "企业得益", _Y, _MORE),
    ("centre_surplus_cny", "Centres' gain", "中心得益", _Y, _MORE),
    ("welfare_cny", "Gain to all, less vouchers", "总得益（扣除算力券）", _Y, _MORE),
    ("carbon_kg", "Carbon dioxide", "二氧化碳排放", Unit.KG, _LESS),
    ("jobs", "Jobs", "作业数", _N, _SO),
    ("firms", "Firms", "企业数", _N, _SO),
    ("centres", "Centres", "算力中心数", _N, _SO),
    ("gpus", "Accelerators", "加速卡数", _N, _SO),
)
"""Measures of one run, in the order of tables."""

EFFECTS: Final = _measures(
    ("additional_gpu_hours", "GPU-hours that ran here only", "仅在本方案运行的卡时", _G, _MORE),
    ("displaced_gpu_hours", "GPU-hours that ran in the reference only", "仅在对照方案运行的卡时", _G, _LESS),
    ("net_additional_gpu_hours", "Additional GPU-hours, net", "净增卡时", _G, _MORE),
    ("supported_gpu_hours", "GPU-hours with a voucher", "用券卡时", _G, _SO),
    ("additionality", "Additional part of what vouchers supported", "用券卡时中的新增比例", _S, _MORE),
    ("incidence.buyers", "Voucher money that stays with buyers", "算力券资金归企业", _S, _SO),
    ("incidence.centres", "Voucher money that ends with centres", "算力券资金归算力中心", _S, _SO),
    ("incidence.lost", "Voucher money that is nobody's gain", "无人得益的算力券资金", _S, _LESS),
    ("leverage.net_per_voucher", "Firms' own money per voucher yuan", "每元算力券对应的企业自付", Unit.RATIO, _MORE),
    (
        *("leverage.additional_net_per_voucher", "Additional own money per voucher yuan"),
        *("每元算力券带动的新增企业自付", Unit.RATIO, _MORE),
    ),
    ("cny_per_additional_gpu_hour", "Voucher money per additional GPU-hour", "每净增卡时的算力券资金", _P, _LESS),
    ("price_change_share", "Change of the price", "价格变化", Unit.CHANGE, _SO),
    ("firms_better", "Firms better off", "受益企业数", _N, _MORE),
    ("firms_worse", "Firms worse off", "受损企业数", _N, _LESS),
)
"""Differences of a setting to its paired reference."""

ALLOCATOR_WORDS: Final[dict[str, Text]] = {
    "market": Text("the exchange", "统一市场撮合"),
    "isolated_fifo": Text("each centre for itself, first come, first served", "各中心各自先到先得"),
    "isolated_backfill": Text("each centre for itself, with backfilling", "各中心各自排队（允许回填）"),
    "pooled_backfill": Text("one queue for all centres, with backfilling", "所有中心共用一个队列（允许回填）"),
    "pooled_fifo": Text("one queue for all centres, first come, first served", "统一队列先到先得"),
    "pooled_sjf": Text("one queue for all centres, shortest job first", "统一队列短作业优先"),
    "greedy_cheapest": Text(
        "each job to the cheapest centre (a broker without a market)", "逐个送往最便宜的中心（无市场的中介）"
    ),
}
REACH_WORDS: Final[dict[str, Text]] = {
    "isolated": Text("jobs stay at their own centre", "作业只能用本中心"),
    "provinces": Text("jobs stay in their own region", "作业只能用本区域"),
    "full": Text("jobs may use every centre that links reach", "作业可用网络可达的全部中心"),
}
MODE_WORDS: Final[dict[str, Text]] = {
    "exact": Text("every round cleared by the engine", "逐轮由撮合引擎出清"),
    "fast": Text("arrival by arrival at quoted prices", "按到达顺序以报价成交"),
    "both": Text(
        "every round cleared by the engine, with the fast mode beside it", "逐轮由撮合引擎出清，并与快速模式对照"
    ),
    "queues": Text("event by event", "逐事件模拟"),
}
OUTCOME_WORDS: Final[dict[str, Text]] = {
    "served": Text("Ran to their end", "运行完成"),
    "refused": Text("Could never pay, or nothing within reach could hold them", "付不起，或可达范围内容纳不下"),
    "expired": Text("Waited until it was too late", "等到过期"),
    "stopped": Text("Stopped by an outage and not run again", "因故障中断且未能重跑"),
    "waiting": Text("Still waiting or running at the end", "结束时仍在等待或运行"),
}


def word(words: dict[str, Text], key: object) -> Text:
    """Return the words of a key; the key itself where it has none."""
    return words.get(key, same(key)) if isinstance(key, str) and key else UNKNOWN


def measure_of(key: str, document: Document | None = None) -> Measure:
    """Return a measure: ours, else as a study describes it, else with its key for a name."""
    ours = MEASURES.get(key) or EFFECTS.get(key)
    if ours is not None:
        return ours
    described = next((entry for entry in entries((document or {}).get("measures")) if entry.get("key") == key), {})
    unit, better = described.get("unit"), described.get("better")
    return Measure(
        key,
        said(described.get("name"), same(key)),
        Unit(unit) if isinstance(unit, str) and unit in set(Unit) else Unit.OTHER,
        Better(better) if isinstance(better, str) and better in set(Better) else Better.NEITHER,
    )


# Figures

_HYPHEN: Final = re.compile(r"-(?=\d)")


def _minus(text: str) -> str:
    """Write a true minus sign, which a hyphen in front of a figure is not."""
    return _HYPHEN.sub("−", text)


def cny(value: float) -> Text:
    """Say an amount of yuan; small ones to the fen."""
    if value == 0:
        return Text("CNY 0", "0 元")
    if abs(value) < 1000:
        return Text(_minus(f"CNY {value:,.2f}"), _minus(f"{value:,.2f} 元"))
    return Text(*map(_minus, money(round(value * MICRO))))


def compute(value: float) -> Text:
    """Say an amount of compute; large ones short, in the units that each language counts in."""
    exact = gpu_hours(value)
    en = exact.en if abs(value) < 1e6 else f"{value / 1e6:,.2f} million GPU-hours"
    zh = exact.zh if value > -1e5 else f"-{gpu_hours(-value).zh}"
    return Text(_minus(en), _minus(zh))


def price(value: float) -> Text:
    """Say a price of one GPU-hour."""
    places = 2 if abs(value) < 1000 else 0
    return Text(_minus(f"CNY {value:,.{places}f} per GPU-hour"), _minus(f"{value:,.{places}f} 元/卡时"))


def hours(value: float) -> Text:
    """Say a length of time."""
    size = abs(value)
    if size < 1:
        minutes = round(60 * value)
        if minutes == 0 and value:
            return Text("under a minute", "不到 1 分钟")
        return Text(_minus(f"{minutes} minute{'' if abs(minutes) == 1 else 's'}"), _minus(f"{minutes} 分钟"))
    if size < 72:
        return Text(_minus(f"{value:.1f} hours"), _minus(f"{value:.1f} 小时"))
    return Text(_minus(f"{value / 24:.1f} days"), _minus(f"{value / 24:.1f} 天"))


def span(window_h: float) -> Text:
    """Say the length of a window, in days where it is whole days."""
    days = window_h / 24
    if window_h >= 24 and days == int(days):
        return Text(f"{days:,.0f} day{'' if days == 1 else 's'}", f"{days:,.0f} 天")
    return Text(f"{window_h:,.0f} hours", f"{window_h:,.0f} 小时")


def amount(unit: Unit, value: float) -> Text:
    """Say a figure with its unit."""
    match unit:
        case Unit.SHARE:
            return same(_minus(share(value)))
        case Unit.CHANGE:
            return same(f"{'+' if value > 0 else ''}{_minus(share(value))}")
        case Unit.HOURS:
            return hours(value)
        case Unit.YUAN:
            return cny(value)
        case Unit.PRICE:
            return price(value)
        case Unit.RATIO:
            return Text(_minus(f"CNY {value:,.2f}"), _minus(f"{value:,.2f} 元"))
        case Unit.GPU_HOURS:
            return compute(value)
        case Unit.KG:
            return Text(*map(_minus, carbon(value)))
        case Unit.COUNT:
            return same(_minus(f"{value:,.0f}" if value == int(value) or abs(value) >= 100 else f"{value:,.1f}"))
        case _:
            return same(_minus(f"{value:,.4g}"))


def change(unit: Unit, value: float) -> Text:
    """Say a difference with its sign; of shares in percentage points."""
    plus = "+" if value > 0 else ""
    if unit is Unit.SHARE:
        points = f"{plus}{_minus(f'{100 * value:.1f}')}"
        return Text(f"{points} percentage points", f"{points} 个百分点")
    plus = "" if unit is Unit.CHANGE else plus
    found = amount(unit, value)
    return Text(plus + found.en, plus + found.zh)


_CELL_UNITS: Final = {
    Unit.SHARE: Text("%", "%"),
    Unit.CHANGE: Text("%", "%"),
    Unit.HOURS: Text("hours", "小时"),
    Unit.YUAN: Text("CNY", "元"),
    Unit.PRICE: Text("CNY per GPU-hour", "元/卡时"),
    Unit.RATIO: Text("CNY per voucher CNY", "元/元"),
    Unit.GPU_HOURS: Text("GPU-hours", "卡时"),
    Unit.KG: Text("kg", "千克"),
}


def unit_words(unit: Unit) -> Text:
    """Return what stands on an axis or in a heading for a unit; empty for counts."""
    return _CELL_UNITS.get(unit, Text("", ""))


def titled(measure: Measure) -> Text:
    """Return a measure's name with its unit, for a heading."""
    # The name of a price says per what.
    unit = Text("CNY", "元") if measure.unit is Unit.PRICE else unit_words(measure.unit)
    if not unit.en:
        return measure.name
    return Text(f"{measure.name.en}, {unit.en}", f"{measure.name.zh}（{unit.zh}）")


def cell(unit: Unit, value: float | None, sign: bool = False) -> str:
    """Write a figure for a table; its unit stands in the heading."""
    if value is None:
        return NONE
    if unit in (Unit.SHARE, Unit.CHANGE):
        text = share(value)
    elif unit in (Unit.HOURS, Unit.PRICE, Unit.RATIO):
        text = decimal(value)
    elif unit is Unit.OTHER:
        text = f"{value:,.4g}"
    else:
        text = whole(value)
    if not text.strip("-0.,%"):
        return text.lstrip("-")  # rounded to zero
    return f"+{text}" if sign and value > 0 else _minus(text)


def cell_with_interval(unit: Unit, value: Estimate | None, sign: bool = False) -> str:
    """Write a figure and its interval for a table, where a line may break before the interval and not in it."""
    if value is None:
        return NONE
    text = cell(unit, value.mean, sign)
    if value.low is None or value.high is None or value.low == value.high:
        return text
    return f"{text} [{cell(unit, value.low, sign)},\u00a0{cell(unit, value.high, sign)}]"


def ends(unit: Unit, value: Estimate, differs: bool = True) -> Text | None:
    """Say between which ends a figure lies; None where no interval was worked out or it is a point.

    Parameters
    ----------
    unit, value : the figure
    differs : it is a difference, whose ends have signs
    """
    if value.low is None or value.high is None or value.low == value.high:
        return None
    say = change if differs else amount
    low, high = say(unit, value.low), say(unit, value.high)
    return Text(f"{_short(low.en, high.en)} to {high.en}", f"{_short(low.zh, high.zh)} 至 {high.zh}")


def interval(unit: Unit, value: Estimate, level: float | None, differs: bool = True) -> Text:
    """Say between which ends a figure lies, in brackets; nothing where there is no interval.

    Parameters
    ----------
    unit, value, differs : as in `ends`
    level : of the interval; None: it is named elsewhere in the sentence
    """
    found = ends(unit, value, differs)
    if found is None:
        return Text("", "")
    if level is None:
        return Text(f" ({found.en})", f"（{found.zh}）")
    percent = f"{100 * level:.4g}%"
    return Text(f" ({percent} interval {found.en})", f"（{percent} 区间：{found.zh}）")


_SHORT_ZH: Final = (" 个百分点", " 万卡时", " 卡时", " 元/卡时", " 小时", " 亿元", " 万元", " 元")


def _short(low: str, high: str) -> str:
    """Leave a unit out of the lower end where the upper end names the same one."""
    for unit in (" percentage points", " million GPU-hours", " GPU-hours", " per GPU-hour", " hours", *_SHORT_ZH):
        if low.endswith(unit) and high.endswith(unit):
            return low.removesuffix(unit)
    return low


def policy_words(document: Document) -> Text:
    """Say who decides which job runs where, and how far a job may go."""
    who, reach = word(ALLOCATOR_WORDS, document.get("policy")), word(REACH_WORDS, document.get("coupling"))
    if document.get("policy") != "market":
        return who
    return Text(f"{who.en}; {reach.en}", f"{who.zh}；{reach.zh}")


def scenario_of(document: Document) -> Document:
    """Return where a document says how many jobs, firms, centres and accelerators there are."""
    return mapping(document.get("scenario")) or document
