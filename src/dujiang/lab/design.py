"""The design of a study: which scenarios it compares, against which reference, with which seeds."""

import json
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from dujiang.core.marked import Marked
from dujiang.core.text import Text


@dataclass(frozen=True, slots=True)
class Factor:
    """One thing that a study varies."""

    key: str
    """Dotted path into the scenario; items of a list are addressed by their id."""
    name: Text
    values: tuple[Any, ...]
    labels: tuple[Text, ...]
    """What people call each value."""


@dataclass(frozen=True, slots=True)
class Further:
    """A single point beside the grid."""

    values: Mapping[str, Any]
    label: Text


@dataclass(frozen=True, slots=True)
class Axis:
    """One parameter of a search."""

    key: str
    low: float
    high: float
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Split:
    """An amount that a search divides among parameters."""

    total_cny: float
    among: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Search:
    """Looks for parameters that do best for a goal."""

    goal: str
    """A measure or an effect."""
    maximise: bool
    against: str
    """What it costs: a measure of which less is better."""
    axes: tuple[Axis, ...]
    split: Split | None
    evaluations: int
    at_most: float | None = None
    """Most of `against` that the best point may take."""


@dataclass(frozen=True, slots=True)
class Study:
    """A checked study."""

    title: Text
    question: Text | None
    scenario: Marked
    """The scenario's document, whose values the points change."""
    folder: Path
    """Where the paths in it begin."""
    factors: tuple[Factor, ...]
    further: tuple[Further, ...]
    seeds: tuple[int, ...]
    reference: Mapping[str, Any] | None
    """Values that make a point's reference of it; None: points are not compared."""
    resamples: int
    block_h: int
    level: float
    search: Search | None
    design_seed: int = 1
    """Of the bootstrap and the search."""


class Point(NamedTuple):
    """One scenario of a study, before its seed."""

    values: Mapping[str, Any]
    """Dotted path -> value."""
    label: Text
    reference: Mapping[str, Any] | None = None
    """Values of the point that it is compared with."""


@dataclass(slots=True)
class Points:
    """Points in order, each once; a reference that is not among them is added."""

    study: Study
    found: list[Point] = field(default_factory=list)
    _at: dict[str, int] = field(default_factory=dict)

    def add(self, values: Mapping[str, Any], label: Text | None = None) -> int:
        """Take a point and its reference; return its index."""
        whole = self._whole(values)
        key = _key(whole)
        if key not in self._at:
            reference = self._reference_of(whole)
            self._at[key] = len(self.found)
            self.found.append(Point(whole, label or label_of(self.study, whole), reference))
            if reference is not None:
                self.add(reference)
        elif label is not None:
            at = self._at[key]
            self.found[at] = self.found[at]._replace(label=label)
        return self._at[key]

    def _reference_of(self, whole: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the values of a point's reference: the same factors; all else as in the scenario."""
        if self.study.reference is None:
            return None
        factors = {factor.key for factor in self.study.factors}
        return self._whole({**{key: value for key, value in whole.items() if key in factors}, **self.study.reference})

    def reference(self, index: int) -> int | None:
        """Return the index of a point's reference."""
        reference = self.found[index].reference
        return None if reference is None else self._at[_key(reference)]

    def _whole(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return values in the order of the factors, so that a point is one whatever named it."""
        order = [factor.key for factor in self.study.factors]
        keys = [*(key for key in order if key in values), *(key for key in values if key not in order)]
        return {key: values[key] for key in keys}


def _key(values: Mapping[str, Any]) -> str:
    return json.dumps(plain(values), sort_keys=True)


def plain(value: Any) -> Any:
    """Return a value of YAML as JSON can hold it: dates, which it cannot, become text."""
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def points_of(study: Study) -> Points:
    """Return the points of a study's grid and those beside it; none of a search."""
    points = Points(study)
    if study.search is None:
        for values in product(*(factor.values for factor in study.factors)):
            points.add(dict(zip((factor.key for factor in study.factors), values, strict=True)))
    for further in study.further:
        points.add(further.values, further.label)
    return points


def label_of(study: Study, values: Mapping[str, Any]) -> Text:
    """Return what people call a point: the labels of its values."""
    if not values:
        return Text("as the scenario says", "按情景原样")
    parts = []
    named = {factor.key: factor for factor in study.factors}
    for key, value in values.items():
        factor = named.get(key)
        if factor is not None and value in factor.values:
            said = factor.labels[factor.values.index(value)]
        else:
            said = value_label(key, value)
        name = factor.name if factor is not None else key_name(key)
        # Words speak for themselves, and so do labels that somebody wrote; a number needs the name of what it counts.
        own = (isinstance(value, str) and value in _VALUES) or said != value_label(key, value)
        alone = own or (len(values) == 1 and factor is not None)
        parts.append(said if alone else Text(f"{name.en} {said.en}", f"{name.zh}{said.zh}"))
    return Text(", ".join(part.en for part in parts), "，".join(part.zh for part in parts))


_NAMES = {
    "rate": Text("voucher share", "补贴比例"),
    "small_firm.rate": Text("share for small firms", "小企业补贴比例"),
    "cap_cny": Text("cap per firm", "单家上限"),
    "budget_cny": Text("budget", "预算"),
    "coupling": Text("coupling", "联通范围"),
    "policy": Text("allocation", "分配方式"),
    "mode": Text("mode", "模式"),
    "fleet.per_vc.multiple_of_mean_load": Text("capacity over mean load", "容量与平均负载之比"),
    "fleet.multiple_of_mean_load": Text("capacity over mean load", "容量与平均负载之比"),
    "fleet.ask_cny_per_gpu_hour": Text("ask", "底价"),
    "demand.scale": Text("demand", "需求倍数"),
    "firms.willingness.elasticity": Text("elasticity", "价格弹性"),
    "links.cny_per_gb": Text("transfer, yuan per GB", "每GB传输费（元）"),
    "carbon.cny_per_kg": Text("carbon price, yuan per kg", "碳价（元/千克）"),
    "round_every_h": Text("hours between rounds", "撮合间隔（小时）"),
}
_VALUES = {
    "isolated": Text("isolated centres", "各中心孤立"),
    "provinces": Text("coupled within provinces", "省内联通"),
    "full": Text("fully coupled", "全面联通"),
    "market": Text("market", "市场"),
    "isolated_fifo": Text("isolated, first come first served", "孤立，先到先得"),
    "isolated_backfill": Text("isolated, with backfilling", "孤立，回填调度"),
    "pooled_backfill": Text("one queue, with backfilling", "统一排队，回填调度"),
    "pooled_fifo": Text("one queue, first come first served", "统一队列，先到先得"),
    "pooled_sjf": Text("one queue, shortest job first", "统一队列，短作业优先"),
    "greedy_cheapest": Text("cheapest centre, no market", "最便宜中心（无市场）"),
    "exact": Text("exact", "精确"),
    "fast": Text("fast", "快速"),
}


def key_name(key: str) -> Text:
    """Return what people call a path: the longest ending that has a name, else the path itself."""
    parts = key.split(".")
    for first in range(len(parts)):
        name = _NAMES.get(".".join(parts[first:]))
        if name is not None:
            return name
    return Text(key, key)


def value_label(key: str, value: Any) -> Text:
    """Return what people call a value of a path."""
    last = key.rpartition(".")[2]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(value, str) and value in _VALUES:
        return _VALUES[value]
    if last == "rate" and number:
        return _share(value)
    if last.endswith("_cny") and number:
        return Text(f"{value:,.12g} yuan", f"{value:,.12g}元")
    if last == "multiple_of_mean_load" and number:
        return Text(f"{value:g}x", f"{value:g}倍")
    said = f"{value:,.12g}" if number else _short(value)
    return Text(said, said)


def _share(value: float) -> Text:
    return Text(f"{value * 100:.6g} %", f"{value * 100:.6g}%")


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(plain(value), ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:59]}…"


def put(document: Any, path: str, value: Any) -> str | None:
    """Set the value at a dotted path of a document, in place; mappings that are missing are made.

    Returns
    -------
    None, or the part of the path that leads nowhere
    """
    parts = path.split(".")
    here = document
    for depth, part in enumerate(parts):
        last = depth == len(parts) - 1
        if isinstance(here, list):
            at = _item(here, part)
            if at is None:
                return ".".join(parts[: depth + 1])
            if last:
                here[at] = value
            here = here[at]
        elif isinstance(here, dict):
            if last:
                here[part] = value
            elif not isinstance(here.get(part), dict | list):
                here[part] = {}  # a word such as `observed_peak` gives way to a mapping
            here = here[part]
        else:
            return ".".join(parts[: depth + 1])
    return None


def _item(items: list[Any], part: str) -> int | None:
    """Return the row of a list's item, by its id or its number."""
    for row, item in enumerate(items):
        if isinstance(item, dict) and item.get("id") == part:
            return row
    return int(part) if part.isascii() and part.isdigit() and int(part) < len(items) else None


def changed(doc: Marked, values: Iterable[tuple[str, Any]]) -> Marked:
    """Return a document with other values at some paths that `put` can reach."""
    document = deepcopy(doc.value)
    for path, value in values:
        put(document, path, deepcopy(value))
    return replace(doc, value=document)


__all__ = [
    *("Axis", "Factor", "Further", "Point", "Points", "Search", "Split", "Study", "changed", "key_name", "label_of"),
    *("plain", "points_of", "put", "value_label"),
]
