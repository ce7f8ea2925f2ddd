"""Reading the documents of the policy lab: what is missing is None, never zero, and a figure may have an interval."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from dujiang.core.text import Text
from dujiang.reports.words import UNKNOWN, same

Document = Mapping[str, Any]
"""`summary.json` of a run or `study.json`."""


class Estimate(NamedTuple):
    """A figure, and between which ends it lies; both ends are None where no interval was worked out."""

    mean: float
    low: float | None = None
    high: float | None = None

    @property
    def sign(self) -> int | None:
        """Whether a difference is surely above (1) or below (-1) zero, or exactly zero (0); None: cannot be told."""
        if self.low is None or self.high is None:
            return None
        if min(self.low, self.mean) > 0:
            return 1
        if max(self.high, self.mean) < 0:
            return -1
        return 0 if self.low == self.high == self.mean == 0 else None


def number(value: object) -> float | None:
    """Return a finite number; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def estimate(value: object) -> Estimate | None:
    """Read a figure, given as {mean, low, high} or as a number without an interval; None: not known."""
    if not isinstance(value, Mapping):
        mean = number(value)
        return None if mean is None else Estimate(mean)
    mean, low, high = (number(value.get(key)) for key in Estimate._fields)
    if mean is None:
        return None
    return Estimate(mean) if low is None or high is None or low > high else Estimate(mean, low, high)


def said(value: object, otherwise: Text = UNKNOWN) -> Text:
    """Read a text, given as {en, zh} or as one string."""
    if isinstance(value, Mapping):
        en, zh = value.get("en"), value.get("zh")
        if isinstance(en, str) and isinstance(zh, str) and (en or zh):
            return Text(en or zh, zh or en)
        return otherwise
    return same(value) if isinstance(value, str) and value else otherwise


def mapping(value: object) -> Document:
    """Return a mapping; an empty one for anything else."""
    return value if isinstance(value, Mapping) else {}


def entries(value: object) -> list[Document]:
    """Return the mappings of a list; none where there is no list."""
    return [item for item in items(value) if isinstance(item, Mapping)]


def items(value: object) -> Sequence[Any]:
    """Return a list; an empty one for anything else."""
    return value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else ()


def numbers(value: object) -> list[float | None]:
    """Return a list of numbers, unknown ones None."""
    return [number(item) for item in items(value)]


@dataclass(frozen=True, slots=True)
class Point:
    """One setting of a study."""

    index: int
    label: Text
    entry: Document

    def measure(self, key: str) -> Estimate | None:
        """Return a measure of this setting."""
        return estimate(mapping(self.entry.get("measures")).get(key))

    def effect(self, key: str) -> Estimate | None:
        """Return a difference to the reference; None at the reference itself."""
        return estimate(mapping(self.entry.get("effects")).get(key))


@dataclass(frozen=True, slots=True)
class Factor:
    """One thing that a study varies."""

    key: str
    name: Text
    values: tuple[Any, ...]
    labels: tuple[Text, ...]
    """Of each value."""

    def label(self, value: object) -> Text | None:
        """Return the label of a value; None where it is none of the factor's."""
        return self.labels[self.values.index(value)] if value in self.values else None

    def named(self, label: Text) -> Text:
        """Return a label with the factor's name before it where it is a bare figure."""
        if not label.en[:1].isdigit():
            return label
        return Text(f"{self.name.en} {label.en}".strip(), f"{self.name.zh} {label.zh}".strip())


def _factor(entry: Document) -> Factor:
    values, labels = tuple(items(entry.get("values"))), items(entry.get("labels"))
    said_of = [said(labels[place] if place < len(labels) else None, same(str(v))) for place, v in enumerate(values)]
    key = entry.get("key")
    return Factor(key if isinstance(key, str) else "", said(entry.get("name"), same("")), values, tuple(said_of))


class Study:
    """A study's document with its settings at hand."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self._factors = {factor.key: factor for factor in map(_factor, entries(document.get("factors"))) if factor.key}
        self.points = tuple(self._points())
        by_index = {point.index: point for point in self.points}
        self._by_index = by_index
        reference, search = document.get("reference"), mapping(document.get("search"))
        self._reference = by_index.get(reference) if isinstance(reference, int) else None
        best = search.get("best")
        self.best = by_index.get(best) if isinstance(best, int) else None
        frontier = [by_index[index] for index in items(search.get("frontier")) if index in by_index]
        self.frontier: tuple[Point, ...] = tuple(frontier)
        level = number(document.get("level"))
        self.level = 0.95 if level is None else level

    def _points(self) -> Iterator[Point]:
        for place, entry in enumerate(entries(self.document.get("points"))):
            index = entry.get("index")
            label = said(entry.get("label"), _values(entry) or same(f"#{place + 1}"))
            yield Point(index if isinstance(index, int) else place, self._shorter(entry, label), entry)

    def _shorter(self, entry: Document, label: Text) -> Text:
        """Return the label of a setting without factors' names where its words tell enough: fully coupled, no voucher.

        Only a label that is put together from names and labels of several factors is shortened.
        """
        values, names, short, whole = mapping(entry.get("values")), self._factors, [], []
        for key, value in values.items():
            factor = names.get(key)
            own = None if factor is None else factor.label(value)
            if factor is None or own is None:
                return label
            whole.append(Text(f"{factor.name.en} {own.en}", f"{factor.name.zh}{own.zh}"))
            short.append(factor.named(own))
        if len(values) < 2 or label.en != ", ".join(part.en for part in whole):
            return label
        return Text(", ".join(part.en for part in short), "，".join(part.zh for part in short))

    def name(self, point: Point) -> Text:
        """Return what a setting is called outside of charts: with the factor, where it is a value of the only one."""
        if len(self._factors) != 1:
            return point.label
        (factor,) = self._factors.values()
        return factor.named(point.label) if point.label in factor.labels else point.label

    def reference_of(self, point: Point) -> Point | None:
        """Return the setting that one is compared with; its own where it has one, None of the reference itself."""
        own = point.entry.get("reference")
        found = self._by_index.get(own, self._reference) if isinstance(own, int) else self._reference
        return None if found is point else found

    def changed(self, point: Point) -> tuple[str, ...]:
        """Return the paths in which a setting differs from the one that it is compared with."""
        reference = self.reference_of(point)
        here = mapping(point.entry.get("values"))
        there = {} if reference is None else mapping(reference.entry.get("values"))
        return tuple(key for key in dict.fromkeys((*here, *there)) if here.get(key) != there.get(key))

    def by_vouchers_alone(self, point: Point) -> bool:
        """Say whether a setting differs in programmes only: else its effects are not those of voucher money."""
        return all(key.startswith("programmes.") for key in self.changed(point))

    @property
    def mixed(self) -> bool:
        """Whether some settings differ from their reference in more than programmes."""
        return not all(map(self.by_vouchers_alone, self.others))

    @property
    def others(self) -> tuple[Point, ...]:
        """Settings that are compared with another one."""
        return tuple(point for point in self.points if self.reference_of(point) is not None)

    @property
    def focus(self) -> Point | None:
        """The setting that the story tells of: the best found, else the one that spends most, else the last.

        None where a search found none that does better than a reference.

        If some differ in programmes only, it is one of those.

        Unless it was searched for, it is not chosen by how good its effect looks: what is picked for that looks better
        than it is.
        """
        others = self.others
        if self.best is not None and others:
            return self.best if self.best in others else None
        others = tuple(filter(self.by_vouchers_alone, others)) or others
        spending = [(money.mean, -at) for at, point in enumerate(others) if (money := point.measure("voucher_cny"))]
        if spending and max(spending)[0] > 0:
            return others[-max(spending)[1]]
        return others[-1] if others else None


def _values(entry: Document) -> Text | None:
    values = mapping(entry.get("values"))
    return same(", ".join(f"{key} = {value}" for key, value in values.items())) if values else None


def group_name(row: Document) -> Text:
    """Return the name of a size band, region, centre or programme."""
    own = said(row.get("name"), Text("", ""))
    if own.en:
        return own
    for key in ("key", "centre_id", "id", "region"):
        if isinstance(row.get(key), str | int):
            return same(str(row[key]))
    return UNKNOWN
