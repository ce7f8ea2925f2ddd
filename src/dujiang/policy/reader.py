"""Taking typed fields out of a marked document, noting everything that is wrong on the way."""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from difflib import get_close_matches
from enum import StrEnum
from typing import Any, TypeVar

from dujiang.core.marked import Marked
from dujiang.core.money import MAX_UCNY, MICRO, cny
from dujiang.core.problem import Problem
from dujiang.core.text import Text
from dujiang.policy.condition import parse_day

E = TypeVar("E", bound=StrEnum)

_SHOWN_MAX = 10**30

MAPPING = Text("a mapping of fields", "字段的映射")
LIST = Text("a list", "列表")
TEXT = Text("a text", "文本")
FLAG = Text("true or false", "true 或 false")
DAY = Text("a day such as 2024-12-18", "日期，如 2024-12-18")
SHARE = Text("a share above 0 and not above 1, with at most six decimals", "大于 0、不大于 1 的比例，最多六位小数")
AMOUNT = Text(
    f"an amount in yuan above 0 and not above {cny(MAX_UCNY)}, with at most two decimals",
    f"大于 0、不大于 {cny(MAX_UCNY)} 的金额（元），最多两位小数",
)


class Fields:
    """One mapping of the document: hands out typed values, None for what is missing or wrong (and noted)."""

    def __init__(self, reader: "Reader", path: str, values: Mapping[str, Any]) -> None:
        self._reader = reader
        self.path = path
        self._values = values

    def at(self, name: str) -> str:
        """Return the path of a field."""
        return f"{self.path}.{name}" if self.path else name

    def raw(self, name: str) -> Any:
        """Return what stands there, None if nothing does."""
        return self._values.get(name)

    def has(self, name: str) -> bool:
        """Return whether the field is there, null or not."""
        return name in self._values

    def given(self, name: str) -> bool:
        """Return whether the field is there and not null."""
        return self._values.get(name) is not None

    def note(self, code: str, name: str, expected: Text, fix: Text | None = None) -> None:
        """Note a problem with one field."""
        self._reader.note(code, self.at(name), self._values.get(name), expected, fix)

    def text(self, name: str, *, nullable: bool = False) -> str | None:
        """Take a text that is not empty."""
        value = self._values.get(name)
        if isinstance(value, str) and value.strip():
            return value.strip()
        if self._wrong(name, nullable):
            self.note("bad-type", name, TEXT)
        return None

    def flag(self, name: str) -> bool | None:
        """Take true or false."""
        value = self._values.get(name)
        if isinstance(value, bool):
            return value
        if self._wrong(name, False):
            self.note("bad-type", name, FLAG)
        return None

    def day(self, name: str, *, nullable: bool = False) -> date | None:
        """Take a day."""
        day = as_day(self._values.get(name))
        if day is None and self._wrong(name, nullable):
            self.note("bad-date", name, DAY)
        return day

    def choice(self, name: str, kind: type[E], *, default: E | None = None, nullable: bool = False) -> E | None:
        """Take one word of a closed set."""
        value = self._values.get(name)
        words = [str(member) for member in kind]
        if isinstance(value, str) and value in words:
            return kind(value)
        if value is None and default is not None:
            return default
        if self._wrong(name, nullable):
            self.note("unknown-word", name, one_of(words), did_you_mean(value, words))
        return None

    def share_ppm(self, name: str) -> int | None:
        """Take a share of 0..1 as ppm."""
        value = self._values.get(name)
        ppm = as_micro(value)
        if ppm is not None and 0 < ppm <= MICRO:
            return ppm
        if self._wrong(name, False):
            is_percent = ppm is not None and MICRO < ppm <= 100 * MICRO
            self.note("bad-share", name, SHARE, _percent(value) if is_percent else None)
        return None

    def amount_ucny(self, name: str) -> int | None:
        """Take an amount in yuan as micro-yuan."""
        ucny = as_micro(self._values.get(name))
        if ucny is not None and 0 < ucny <= MAX_UCNY and ucny % (MICRO // 100) == 0:
            return ucny
        if self._wrong(name, False):
            self.note("bad-amount", name, AMOUNT)
        return None

    def bilingual(self, name: str, *, nullable: bool = False) -> Text | None:
        """Take a sentence in both languages."""
        if name not in self._values or (nullable and self._values[name] is None):
            return None
        inner = self.inner(name, ("en", "zh"))
        en, zh = inner.text("en"), inner.text("zh")
        return None if en is None or zh is None else Text(en, zh)

    def inner(self, name: str, required: Collection[str], optional: Collection[str] = ()) -> "Fields":
        """Take a mapping inside this one."""
        return self._reader.fields(self._values.get(name), self.at(name), required, optional)

    def items(self, name: str) -> list[tuple[str, Any]]:
        """Take a list, as pairs of path and value; empty if it is missing, null or no list (and noted)."""
        value = self._values.get(name)
        if isinstance(value, list):
            return [(f"{self.at(name)}.{index}", item) for index, item in enumerate(value)]
        if value is not None:
            self.note("bad-type", name, LIST)
        return []

    def _wrong(self, name: str, nullable: bool) -> bool:
        """Return whether None for a field is worth a note: a missing required field has been noted already."""
        return name in self._values and not (nullable and self._values[name] is None)


class Reader:
    """Collects the problems of one document."""

    def __init__(self, marked: Marked) -> None:
        self._marked = marked
        self.problems: list[Problem] = []

    def note(self, code: str, path: str, found: object, expected: Text, fix: Text | None = None) -> None:
        """Note a problem at a path."""
        self.problems.append(self._marked.problem(code, path, _brief(found), expected, fix))

    def fields(self, value: Any, path: str, required: Collection[str], optional: Collection[str] = ()) -> Fields:
        """Check a mapping's set of fields: unknown ones are noted with the nearest name, missing ones one by one."""
        if not isinstance(value, dict):
            self.note("bad-type", path, value, MAPPING)
            return Fields(self, path, {})
        known = [*required, *optional]
        for key in value:
            if key not in known:
                at = f"{path}.{key}" if path and isinstance(key, str) else key if isinstance(key, str) else path
                self.note("unknown-field", at, key, one_of(known), did_you_mean(key, known))
        for name in required:
            if name not in value:
                code = "missing-clause" if name == "clause" else "missing-field"
                self.note(code, f"{path}.{name}" if path else name, None, Text(f"the field {name}", f"字段 {name}"))
        return Fields(self, path, {key: value[key] for key in known if key in value})


def as_day(value: object) -> date | None:
    """Return a YAML value as a day, or None; a time of day is none."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    return parse_day(value) if isinstance(value, str) else None


def as_micro(value: object) -> int | None:
    """Return a YAML number as exact millionths, or None if it is no number or has more than six decimals."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, int):
        return value * MICRO
    if not math.isfinite(value):
        return None
    micro = Decimal(repr(value)).scaleb(6)
    return int(micro) if micro == micro.to_integral_value() else None


def one_of(words: Iterable[str]) -> Text:
    """Say which words there are."""
    listed = ", ".join(words)
    return Text(f"one of {listed}", f"以下之一：{listed}")


def did_you_mean(found: object, words: Iterable[str]) -> Text | None:
    """Name the nearest word, if one is near."""
    near = get_close_matches(found, list(words), n=1) if isinstance(found, str) else []
    return Text(f"did you mean {near[0]}?", f"是否想写 {near[0]}？") if near else None


def _percent(value: Any) -> Text:
    return Text(f"write {value / 100:g} for {value:g} %", f"{value:g}% 请写作 {value / 100:g}")


@dataclass(frozen=True, slots=True)
class _Said:
    """Words about a value, which a problem shows without the quotes of a text."""

    words: str

    def __str__(self) -> str:
        return self.words


def _brief(found: object) -> object:
    """Name a mapping or list by its kind: its content does not help in one line."""
    if isinstance(found, dict):
        return _Said("a mapping")
    if isinstance(found, int) and abs(found) > _SHOWN_MAX:  # Python refuses to write out very long integers
        return _Said("a very large number")
    return _Said("a list") if isinstance(found, list) else found
