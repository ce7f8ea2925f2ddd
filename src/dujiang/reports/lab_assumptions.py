"""The assumptions of a scenario in plain words: a sentence each, and the values that it speaks of."""

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from dujiang.core.text import Text
from dujiang.reports.lab_document import Document, items, mapping, said
from dujiang.reports.words import KIND_WORDS, NONE, UNKNOWN, same

LISTED: Final = 8
"""Items of a list at most; the result files hold all."""
PAIRED: Final = 16
"""Items of a mapping at most."""
_DIGEST: Final = re.compile(r"[0-9a-f]{40,}")
_DIGEST_SHOWN: Final = 12

_KEY_WORDS: Final[Mapping[str, Text]] = {
    "activity_sigma": Text("spread of jobs per firm", "企业作业数的对数标准差"),
    "at_the_reference_price": Text("at the reference price", "参考价下"),
    "budget_cny": Text("budget, CNY", "预算（元）"),
    "by_vc": Text("by virtual cluster", "各虚拟集群"),
    "cap_cny": Text("cap per firm, CNY", "单家上限（元）"),
    "ceiling": Text("ceiling", "上限"),
    "centres": Text("centres", "算力中心"),
    "cities": Text("cities", "城市"),
    "cny_per_gb": Text("CNY per GB", "元/GB"),
    "elasticity": Text("elasticity", "价格弹性"),
    "employees": Text("staff", "员工数"),
    "employees_max": Text("staff at most", "员工数不超过"),
    "file": Text("file", "文件"),
    "firms": Text("firms", "企业"),
    "floor": Text("floor", "下限"),
    "folder": Text("folder", "文件夹"),
    "format": Text("format", "格式"),
    "from_s": Text("from second", "起始秒"),
    "gpus": Text("accelerators", "加速卡"),
    "gpu_hours_per_job": Text("GPU-hours per job", "每作业卡时"),
    "hours_of_day": Text("by hour of the day", "各小时"),
    "in_file": Text("in the file", "文件中"),
    "jobs": Text("jobs", "作业"),
    "kinds": Text("kinds", "类型"),
    "load": Text("load", "负载"),
    "jobs_per_h": Text("jobs an hour", "每小时作业"),
    "largest_gpus": Text("largest size", "最大卡数"),
    "like": Text("like", "参照"),
    "mean_gpus": Text("mean size", "平均卡数"),
    "mean_run_s": Text("mean run time, seconds", "平均时长（秒）"),
    "median": Text("median", "中位数"),
    "median_run_s": Text("median run time, seconds", "时长中位数（秒）"),
    "nodes": Text("nodes", "节点"),
    "of_which_cut": Text("of which cut", "其中被截断"),
    "outside_window": Text("outside the window", "时间窗外"),
    "own_use": Text("own use", "自用比例"),
    "rank_correlation": Text("rank correlation", "秩相关"),
    "rate": Text("rate", "补贴比例"),
    "reference_cny_per_gpu_hour": Text("reference price, CNY per GPU-hour", "参考价（元/卡时）"),
    "scale": Text("scale", "倍数"),
    "self_built": Text("self-built", "自建算力"),
    "sha256": Text("SHA-256", "SHA-256"),
    "sigma": Text("sigma", "对数标准差"),
    "single_share": Text("single accelerators", "单卡占比"),
    "slack_h": Text("slack, hours", "宽限（小时）"),
    "small_firm": Text("small firms", "小企业"),
    "steps": Text("steps", "步数"),
    "stretch": Text("stretch", "时长倍数"),
    "to_s": Text("to second", "截止秒"),
    "unusable": Text("unusable", "不可用"),
    "via_platform": Text("bought on the platform", "经平台购买"),
    "virtual_clusters": Text("virtual clusters", "虚拟集群"),
    "weekend": Text("at weekends", "周末"),
}
_VALUE_WORDS: Final[Mapping[str, Text]] = {
    "True": Text("yes", "是"),
    "False": Text("no", "否"),
    "none": Text("none", "无"),
    "unknown": UNKNOWN._replace(en="not known"),
    "leave_out": Text("left out", "不计入"),
    "round_up": Text("rounded up", "向上取整"),
    "isolated": Text("own centre only", "仅本中心"),
    "provinces": Text("own region", "本区域"),
    "full": Text("all centres", "全部中心"),
}


_UNITS: Final[Mapping[str, Text]] = {
    "_cny_per_gpu_hour": Text("CNY per GPU-hour", "元/卡时"),
    "_cny": Text("CNY", "元"),
    "_gb": Text("GB", "GB"),
    "_h": Text("hours", "小时"),
    "_s": Text("seconds", "秒"),
}


_NOT_STATED: Final = same(NONE)


class Stated(NamedTuple):
    """One thing that is taken for granted."""

    entry: str
    sentence: Text | None
    value: Text


def assumptions_of(document: Document) -> tuple[Stated, ...]:
    """Return all assumptions of a document, in its order."""
    return tuple(_stated(str(entry), value) for entry, value in mapping(document.get("assumptions")).items())


def _stated(entry: str, value: object) -> Stated:
    if isinstance(value, Mapping) and ("en" in value or "zh" in value):
        return Stated(entry, _sentence(value), _with_unit(entry, in_words(value.get("value"))))
    return Stated(entry, None, _with_unit(entry, in_words(value)))


def _with_unit(entry: str, value: Text) -> Text:
    """Add the unit that the name of an entry ends in; keys inside a value carry their own."""
    unit = next((words for end, words in _UNITS.items() if entry.endswith(end)), None)
    if unit is None or not value.en[:1].isdigit():
        return value
    return Text(f"{value.en} {unit.en}", f"{value.zh} {unit.zh}")


class Differing(NamedTuple):
    """One thing that is not the same in all settings or runs."""

    entry: str
    sentence: Text | None
    values: tuple[Text, ...]
    """Of each setting or run; empty where a document tells the name only."""


def differing_of(document: Document) -> tuple[Differing, ...]:
    """Return the assumptions in which the settings of a study differ."""
    rows = items(document.get("differing_assumptions"))
    return tuple(
        differing(str(row.get("entry", "")), [_or_none(item) for item in items(row.get("values"))])
        if isinstance(row, Mapping)
        else Differing(str(row), None, ())
        for row in rows
    )


def _or_none(value: object) -> Stated | None:
    return None if value is None else _stated("", value)


def differing(entry: str, stated: Sequence[Stated | None]) -> Differing:
    """Put one assumption of several settings or runs together; a sentence that all share is said once."""
    known = [item for item in stated if item is not None]
    sentences = {item.sentence for item in known}
    if len(sentences) == 1:
        return Differing(entry, known[0].sentence, tuple(_NOT_STATED if s is None else s.value for s in stated))
    return Differing(entry, None, tuple(_NOT_STATED if s is None else _whole(s) for s in stated))


def _whole(item: Stated) -> Text:
    sentence = item.sentence or same("")
    return Text(f"{sentence.en} {item.value.en}".strip(), f"{sentence.zh} {item.value.zh}".strip())


def _sentence(row: Document) -> Text | None:
    """Return the sentence of an entry; names of other entries stand in it without marks."""
    sentence = said(row, same(""))
    return Text(sentence.en.replace("`", ""), sentence.zh.replace("`", "")) if sentence.en else None


def in_words(value: object) -> Text:
    """Write a value for people: words for closed sets, digits in threes, long lists cut."""
    match value:
        case None:
            return same("")
        case bool():
            return _VALUE_WORDS[str(value)]
        case int() | float():
            return same(_figure(value))
        case str():
            return _word(value)
        case Mapping():
            if "en" in value and "zh" in value:
                return said(value)
            return _listed([_pair(str(key), item) for key, item in value.items()], PAIRED)
        case Sequence():
            return _listed([in_words(item) for item in value])
        case _:
            return same(str(value))


def _figure(value: float) -> str:
    if isinstance(value, float) and not value.is_integer():
        return f"{value:,.6g}".replace("-", "−")
    return (f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.0f}").replace("-", "−")


def _word(value: str) -> Text:
    if _DIGEST.fullmatch(value):
        return same(f"{value[:_DIGEST_SHOWN]}…")
    return _VALUE_WORDS.get(value) or same(value)


def _pair(key: str, item: object) -> Text:
    name = _KEY_WORDS.get(key) or KIND_WORDS.get(key) or Text(key.replace("_", " "), key)
    if isinstance(item, Mapping | list | tuple):
        inner = in_words(item)
        return Text(f"{name.en} ({inner.en or 'none'})", f"{name.zh}（{inner.zh or '无'}）")
    value = in_words(item)
    return Text(f"{name.en} {value.en or 'not known'}", f"{name.zh} {value.zh or '未知'}")


def _listed(parts: Sequence[Text], most: int = LISTED) -> Text:
    shown, more = parts[:most], len(parts) - most
    en, zh = ", ".join(part.en for part in shown), "，".join(part.zh for part in shown)
    return Text(f"{en}, and {more:,} more", f"{zh}，另有 {more:,} 项") if more > 0 else Text(en, zh)
