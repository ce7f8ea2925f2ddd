"""Taking typed fields out of a marked document, noting everything that is wrong on the way."""

import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeVar

from dujiang.core.marked import Marked
from dujiang.core.money import FEN, MAX_UCNY, MICRO, cny
from dujiang.core.problem import Problem, did_you_mean
from dujiang.core.text import Text
from dujiang.policy.condition import parse_day
from dujiang.policy.programme import Basis
from dujiang.policy.shape import BILINGUAL, MAX_ITEMS, MAX_TEXT, MAX_UNKNOWN, Shape

E = TypeVar("E", bound=StrEnum)
T = TypeVar("T")

_SHOWN_MAX = 10**30

MAPPING = Text("a mapping of fields", "字段的映射")
LIST = Text("a list", "列表")
TEXT = Text("a text", "文本")
FLAG = Text("true or false", "true 或 false")
DAY = Text("a day such as 2024-12-18", "日期，如 2024-12-18")
SHARE = Text("a share above 0 and not above 1, with at most six decimals", "大于 0、不大于 1 的比例，最多六位小数")
SHARE_OR_ZERO = Text("a share from 0 to 1, with at most six decimals", "0 至 1 的比例，最多六位小数")
AMOUNT = Text(
    f"an amount in yuan above 0 and not above {cny(MAX_UCNY)}, with at most two decimals",
    f"大于 0、不大于 {cny(MAX_UCNY)} 的金额（元），最多两位小数",
)
AMOUNT_OR_ZERO = Text(
    f"an amount in yuan from 0 to {cny(MAX_UCNY)}, with at most two decimals",
    f"0 至 {cny(MAX_UCNY)} 的金额（元），最多两位小数",
)
SHORTER = Text(f"at most {MAX_TEXT} characters", f"不超过 {MAX_TEXT} 个字符")


class Fields:
    """One mapping of the document: hands out typed values, None for what is missing or wrong (and noted)."""

    def __init__(self, reader: "Reader", path: str, values: Mapping[str, Any]) -> None:
        self.reader = reader
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
        self.reader.note(code, self.at(name), self._values.get(name), expected, fix)

    def text(self, name: str, *, nullable: bool = False) -> str | None:
        """Take a text that is not empty."""
        value = self._values.get(name)
        if isinstance(value, str) and value.strip():
            if len(value) > MAX_TEXT:
                self.note("too-long", name, SHORTER)
            return value.strip()
        if self._wrong(name, nullable):
            self.note("bad-type", name, TEXT)
        return None

    def key(self, name: str, pattern: re.Pattern[str], longest: int, expected: Text, code: str) -> str | None:
        """Take a text that has to be written in one way only, without spaces around it."""
        value = self._values.get(name)
        if isinstance(value, str) and len(value) <= longest and pattern.fullmatch(value):
            return value
        if self._wrong(name, False):
            self.note(code if isinstance(value, str) else "bad-type", name, expected)
        return None

    def word(self, name: str, words: Collection[str]) -> str | None:
        """Take one word of a list."""
        value = self._values.get(name)
        if isinstance(value, str) and value in words:
            return value
        if self._wrong(name, False):
            self.note("unknown-word", name, one_of(words), did_you_mean(value, words))
        return None

    def whole(self, name: str, least: int, most: int) -> int | None:
        """Take a whole number, None where it is null."""
        value = self._values.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        if self._wrong(name, True):
            self.note("bad-number", name, Text(f"a whole number from {least} to {most}", f"{least} 至 {most} 的整数"))
        return None

    def flag(self, name: str, *, nullable: bool = False) -> bool | None:
        """Take true or false."""
        value = self._values.get(name)
        if isinstance(value, bool):
            return value
        if self._wrong(name, nullable):
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

    def share_ppm(self, name: str, *, zero: bool = False) -> int | None:
        """Take a share above 0 (or from 0) to 1 as ppm."""
        value = self._values.get(name)
        ppm = as_micro(value)
        if ppm is not None and (0 if zero else 1) <= ppm <= MICRO:
            return ppm
        if self._wrong(name, False):
            is_percent = ppm is not None and MICRO < ppm <= 100 * MICRO
            self.note("bad-share", name, SHARE_OR_ZERO if zero else SHARE, _percent(value) if is_percent else None)
        return None

    def amount_ucny(self, name: str, *, zero: bool = False, nullable: bool = False) -> int | None:
        """Take an amount in yuan above 0 (or from 0) as micro-yuan."""
        ucny = as_micro(self._values.get(name))
        if ucny is not None and (0 if zero else 1) <= ucny <= MAX_UCNY and ucny % FEN == 0:
            return ucny
        if self._wrong(name, nullable):
            self.note("bad-amount", name, AMOUNT_OR_ZERO if zero else AMOUNT)
        return None

    def bilingual(self, name: str, *, nullable: bool = False) -> Text | None:
        """Take a sentence in both languages."""
        if name not in self._values or (nullable and self._values[name] is None):
            return None
        inner = self.inner(name, BILINGUAL)
        en, zh = inner.text("en"), inner.text("zh")
        return None if en is None or zh is None else Text(en, zh)

    def basis(self, *, clause_needed: bool = False) -> Basis | None:
        """Take the clause and the assumption of a rule: a number needs a clause, other rules one of the two."""
        assumption = self.bilingual("assumption", nullable=True)
        key = self.text("clause", nullable=not clause_needed)
        known = self.reader.clause_keys
        if key is not None and key not in known:
            self.note("no-such-clause", "clause", one_of(known), did_you_mean(key, known))
            return None
        if not clause_needed and key is None and not self.given("assumption"):
            self.note(
                "missing-clause", "clause", Text("a clause, or an assumption", "条款（clause）或假设（assumption）")
            )
            return None
        return Basis(key, assumption) if key is not None or assumption is not None else None

    def part(self, name: str, shape: Shape, read: Callable[["Fields"], T | None]) -> T | None:
        """Take a mapping that may be missing or null."""
        return read(self.inner(name, shape)) if self.given(name) else None

    def parts(self, name: str, shape: Shape, read: Callable[["Fields"], T | None]) -> tuple[T, ...]:
        """Take a list of mappings that may be missing or null; those with problems are left out."""
        found = (read(self.reader.fields(item, path, shape)) for path, item in self.items(name))
        return tuple(part for part in found if part is not None)

    def needed(self, name: str, expected: Text = MAPPING) -> bool:
        """Return whether a part is given; note one that is there but null. A missing one has been noted."""
        if self.has(name) and not self.given(name):
            self.note("bad-type", name, expected)
        return self.given(name)

    def inner(self, name: str, shape: Shape) -> "Fields":
        """Take a mapping inside this one."""
        return self.reader.fields(self._values.get(name), self.at(name), shape)

    def items(self, name: str, most: int = MAX_ITEMS) -> list[tuple[str, Any]]:
        """Take a list, as pairs of path and value; empty if it is missing, null, too long or no list (and noted)."""
        value = self._values.get(name)
        if isinstance(value, list):
            if len(value) > most:
                self.reader.too_many(self.at(name), len(value), most)
                return []
            return [(f"{self.at(name)}.{index}", item) for index, item in enumerate(value)]
        if value is not None:
            self.note("bad-type", name, LIST)
        return []

    def names(self, name: str) -> tuple[str, ...]:
        """Take a list of texts, each once; those with problems are left out."""
        found: dict[str, None] = {}
        for path, item in self.items(name):
            if not isinstance(item, str) or not item.strip() or len(item) > MAX_TEXT:
                self.reader.note("bad-type", path, item, TEXT)
            elif item.strip() in found:
                self.reader.note("duplicate-value", path, item, Text("each value once", "每个值只出现一次"))
            else:
                found[item.strip()] = None
        if self._values.get(name) == []:
            self.note("bad-value", name, Text("at least one", "至少一项"))
        return tuple(found)

    def _wrong(self, name: str, nullable: bool) -> bool:
        """Return whether None for a field is worth a note: a missing required field has been noted already."""
        return name in self._values and not (nullable and self._values[name] is None)


class Reader:
    """Collects the problems of one document."""

    def __init__(self, marked: Marked) -> None:
        self._marked = marked
        self.problems: list[Problem] = []
        self.clause_keys: tuple[str, ...] = ()
        """What a rule can rest on; set once the clauses have been read."""

    def note(self, code: str, path: str, found: object, expected: Text, fix: Text | None = None) -> None:
        """Note a problem at a path."""
        self.problems.append(self._marked.problem(code, path, _brief(found), expected, fix))

    def too_many(self, path: str, found: int, most: int) -> None:
        """Note a list that is longer than anything that a programme needs."""
        self.note("too-many", path, found, Text(f"at most {most}", f"不超过 {most} 项"))

    def fields(self, value: Any, path: str, shape: Shape) -> Fields:
        """Check a mapping's set of fields: unknown ones are noted with the nearest name, missing ones one by one."""
        if not isinstance(value, dict):
            self.note("bad-type", path, value, MAPPING)
            return Fields(self, path, {})
        known = [*shape.required, *shape.optional]
        unknown = [key for key in value if key not in known]
        for key in unknown[:MAX_UNKNOWN]:
            at = f"{path}.{key}" if path and isinstance(key, str) else key if isinstance(key, str) else path
            self.note("unknown-field", at, key, one_of(known), did_you_mean(key, known))
        if len(unknown) > MAX_UNKNOWN:
            self.note("unknown-field", path, _Said(f"{len(unknown) - MAX_UNKNOWN} more"), one_of(known))
        for name in shape.required:
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
