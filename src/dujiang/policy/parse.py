"""From a programme file to a `Programme`: strict, and with all problems at once."""

import re
from collections.abc import Callable
from datetime import date
from typing import Any, TypeVar

from dujiang.core.marked import Marked
from dujiang.core.money import MAX_UCNY
from dujiang.core.problem import Problem, sorted_problems
from dujiang.core.text import Text
from dujiang.policy.programme import (
    Base,
    Basis,
    Budget,
    Cap,
    Clause,
    Condition,
    Exclusion,
    Jurisdiction,
    Level,
    Minimum,
    Op,
    Per,
    Period,
    Programme,
    Quality,
    Rate,
    RateRule,
    Rounding,
    SpecialRate,
    Stacking,
    StackingRule,
    Validity,
)
from dujiang.policy.reader import LIST, MAPPING, Fields, Reader, as_day, as_micro, did_you_mean, one_of
from dujiang.registry.book import Fact

T = TypeVar("T")

GOODS = ("compute", "corpus", "model", "application", "project", "standard")
"""Goods of a purchase (design 7)."""
CONFIDENCE = ("high", "medium", "low")

_REQUIRED = (
    *("id", "version", "name", "jurisdiction", "issuer", "document", "document_no", "kind", "instrument", "good"),
    *("valid", "verified", "confidence", "clauses", "conditions", "base", "rate", "cap", "budget"),
)
_OPTIONAL = ("special_rates", "minimum_cny", "stacking", "excluded_costs", "rounding", "notes", "not_computable")
_BASIS = ("clause", "assumption")
_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_FACT = re.compile(r"[a-z][a-z0-9_]{0,63}")
_ORDERED = (Op.AT_LEAST, Op.AT_MOST, Op.MORE_THAN, Op.LESS_THAN)
_DATED = (Op.BEFORE, Op.AFTER)
RESERVED_CONDITION_IDS = ("good", "minimum")
"""Names of the two conditions that every evaluation asks by itself."""


def parse_programme(marked: Marked) -> tuple[Programme | None, list[Problem]]:
    """Read a programme file.

    Parameters
    ----------
    marked : the parsed YAML with its lines

    Returns
    -------
    the programme, or None and every problem found, in reading order
    """
    parser = _Parser(Reader(marked))
    programme = parser.programme(marked.value)
    problems = sorted_problems(parser.reader.problems)
    return (None if problems else programme), problems


class _Parser:
    """Builds the parts; each method returns None where a problem stands in the way."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.clause_keys: list[str] = []

    def programme(self, value: Any) -> Programme | None:
        """Read the whole document."""
        f = self.reader.fields(value, "", _REQUIRED, _OPTIONAL)
        clauses = self.clauses(f)
        self.clause_keys = [clause.key for clause in clauses]
        conditions = tuple(self.listed(f, "conditions", self.condition))
        not_computable = f.bilingual("not_computable", nullable=True)
        rate = self.optional(f, "rate", self.rate)
        base = f.choice("base", Base, nullable=True)
        parts = {
            "id": self.identifier(f),
            "version": f.day("version"),
            "name": f.bilingual("name"),
            "jurisdiction": self.jurisdiction(f),
            "issuer": f.text("issuer"),
            "kind": f.text("kind"),
            "instrument": f.text("instrument"),
            "good": self.word(f, "good", GOODS),
            "valid": self.validity(f),
            "verified": f.flag("verified"),
            "confidence": self.word(f, "confidence", CONFIDENCE),
            "rounding": f.choice("rounding", Rounding, default=Rounding.FEN),
        }
        maybe = {
            "document": f.text("document", nullable=True),
            "document_no": f.text("document_no", nullable=True),
            "cap": self.optional(f, "cap", self.cap),
            "minimum": self.optional(f, "minimum_cny", self.minimum),
            "budget": self.optional(f, "budget", self.budget),
            "stacking": self.optional(f, "stacking", self.stacking),
            "exclusion": self.optional(f, "excluded_costs", self.exclusion),
            "notes": f.bilingual("notes", nullable=True),
        }
        special = self.special_rates(f, rate)
        self.check_computable(f)
        self.check_unique(f)
        if any(part is None for part in parts.values()):
            return None
        return Programme(
            **parts,  # type: ignore[arg-type]  # none of them is None, which the dict's type cannot say
            **maybe,  # type: ignore[arg-type]
            clauses=clauses,
            conditions=conditions,
            base=base,
            rate=rate,
            special_rates=special,
            not_computable=not_computable,
        )

    # Parts of the header

    def identifier(self, f: Fields) -> str | None:
        """Read the id: the file's name, and the name in tables."""
        text = f.text("id")
        if text is not None and not (_ID.fullmatch(text) and len(text) <= 64):
            f.note("bad-id", "id", Text("lower-case letters, digits and single hyphens", "小写字母、数字和单个连字符"))
            return None
        return text

    def word(self, f: Fields, name: str, words: tuple[str, ...]) -> str | None:
        """Read one word of a list."""
        text = f.text(name)
        if text is not None and text not in words:
            f.note("unknown-word", name, one_of(words), did_you_mean(text, words))
            return None
        return text

    def jurisdiction(self, f: Fields) -> Jurisdiction | None:
        """Read the place; a city has a province, a province has no city, a nation has neither."""
        if not self.there(f, "jurisdiction"):
            return None
        place = f.inner("jurisdiction", ("level",), ("province", "city"))
        level = place.choice("level", Level)
        names = {name: place.text(name, nullable=True) for name in ("province", "city")}
        if level is None:
            return None
        needed = {Level.NATION: (), Level.PROVINCE: ("province",), Level.CITY: ("province", "city")}[level]
        for name, text in names.items():
            if (text is not None) != (name in needed):
                say = Text(f"a {name}", f"{name} 的名称") if name in needed else Text("nothing", "空")
                place.note("bad-jurisdiction", name, Text(f"{say.en} at level {level}", f"级别 {level} 下应为{say.zh}"))
        return Jurisdiction(level, names["province"], names["city"])

    def validity(self, f: Fields) -> Validity | None:
        """Read the first and last day."""
        if not self.there(f, "valid"):
            return None
        valid = f.inner("valid", ("from", "until"), _BASIS)
        basis = self.basis(valid)
        first, last = valid.day("from", nullable=True), valid.day("until", nullable=True)
        if first is not None and last is not None and last < first:
            valid.note("bad-window", "until", Text(f"{first} or a later day", f"{first} 或更晚的日期"))
        return None if basis is None else Validity(first, last, basis)

    # Clauses and what rests on them

    def clauses(self, f: Fields) -> tuple[Clause, ...]:
        """Read the pieces of the source."""
        value = f.raw("clauses")
        if not isinstance(value, dict):
            if f.has("clauses"):
                f.note("bad-type", "clauses", MAPPING)
            return ()
        found = []
        for key, item in value.items():
            path = f.at(f"clauses.{key}") if isinstance(key, str) else "clauses"
            if not isinstance(key, str):
                self.reader.note("bad-id", path, key, Text("a key that is a text", "文本形式的键"))
                continue
            found.append(self.clause(key, item, path))
        # A clause with a problem still counts as a key: one mistake should not be reported again by each rule.
        return tuple(found)

    def clause(self, key: str, value: Any, path: str) -> Clause:
        """Read one clause."""
        c = self.reader.fields(value, path, ("text", "verbatim", "source", "quality"))
        return Clause(
            key=key,
            text=c.text("text") or "",
            verbatim=bool(c.flag("verbatim")),
            source=c.text("source") or "",
            quality=c.choice("quality", Quality) or Quality.LOW,
        )

    def basis(self, f: Fields, *, clause_needed: bool = False) -> Basis | None:
        """Read the clause and the assumption of a rule: a number needs a clause, other rules one of the two."""
        assumption = f.bilingual("assumption", nullable=True)
        key = f.text("clause", nullable=not clause_needed)
        if key is not None and key not in self.clause_keys:
            f.note("no-such-clause", "clause", one_of(self.clause_keys), did_you_mean(key, self.clause_keys))
            return None
        if not clause_needed and key is None and not f.given("assumption"):
            f.note("missing-clause", "clause", Text("a clause, or an assumption", "条款（clause）或假设（assumption）"))
            return None
        return Basis(key, assumption) if key is not None or assumption is not None else None

    # Conditions

    def condition(self, path: str, value: Any) -> Condition | None:
        """Read one condition."""
        c = self.reader.fields(value, path, ("id", "fact", "op", "value", "text"), _BASIS)
        name, fact, op, text = c.text("id"), self.fact(c), c.choice("op", Op), c.bilingual("text")
        basis = self.basis(c)
        if name in RESERVED_CONDITION_IDS:
            c.note("bad-id", "id", Text("another name: this condition is always asked", "请换名：该条件总会检查"))
        if fact is None or op is None:
            return None
        wanted = self.value(c, fact, op)
        if wanted is None or name is None or text is None or basis is None:
            return None
        return Condition(name, stored_fact(fact), op, wanted, text, basis)

    def fact(self, c: Fields) -> str | None:
        """Read the name of a fact."""
        name = c.text("fact")
        if name is not None and (not _FACT.fullmatch(name) or name.endswith("_ucny")):
            c.note(
                "bad-fact",
                "fact",
                Text("a lower-case name; money in yuan ends in _cny", "小写名称；金额（元）以 _cny 结尾"),
            )
            return None
        return name

    def value(self, c: Fields, fact: str, op: Op) -> Fact | tuple[Fact, ...] | None:
        """Read what the fact is compared with; its type has to suit the comparison."""
        raw = c.raw("value")
        if op is Op.IN:
            return self.value_list(c, fact, raw)
        value = _scalar(raw, fact)
        kinds: tuple[type, ...] = (bool, int, float, str, date)
        expected = Text("true or false, a number, a text or a day", "true/false、数字、文本或日期")
        if op in _ORDERED:
            kinds, expected = (
                (int, float),
                Text("a number; before and after take a day", "数字；日期请用 before 或 after"),
            )
        elif op in _DATED:
            kinds, expected = (date,), Text("a day such as 2024-12-18", "日期，如 2024-12-18")
        if value is None or not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            if c.has("value"):
                c.note("bad-value", "value", expected)
            return None
        return value

    def value_list(self, c: Fields, fact: str, raw: Any) -> tuple[Fact, ...] | None:
        """Read the values of `in`: at least one, all of one type."""
        values = [_scalar(item, fact) for item in raw] if isinstance(raw, list) else []
        kinds = {_kind(value) for value in values}
        if not values or None in values or len(kinds) != 1:
            if c.has("value"):
                c.note("bad-value", "value", Text("a list of values of one type", "同一类型的值的列表"))
            return None
        return tuple(value for value in values if value is not None)

    # Numbers

    def rate(self, f: Fields) -> Rate | None:
        """Read the share that is paid."""
        r = f.inner("rate", ("share", "rule", "clause"), ("assumption",))
        share, rule, basis = r.share_ppm("share"), r.choice("rule", RateRule), self.basis(r, clause_needed=True)
        return None if share is None or rule is None or basis is None else Rate(share, rule, basis)

    def special_rates(self, f: Fields, rate: Rate | None) -> tuple[SpecialRate, ...]:
        """Read the higher shares, and that they are higher and do not contradict each other."""
        found: list[SpecialRate] = []
        for path, item in f.items("special_rates"):
            special = self.special_rate(path, item)
            if special is None:
                continue
            if rate is not None and special.share_ppm <= rate.share_ppm:
                above = Text(
                    f"a share above the rate of {rate.share_ppm / 1e6:g}", f"高于基本比例 {rate.share_ppm / 1e6:g}"
                )
                self.reader.note("contradictory-rate", f"{path}.share", special.share_ppm / 1e6, above)
            if any(_questions(special) == _questions(other) for other in found):
                once = Text("conditions that no other special rate has", "与其他特别比例不同的条件")
                self.reader.note("contradictory-rate", f"{path}.when", "the same conditions", once)
            found.append(special)
        return tuple(sorted(found, key=lambda s: s.share_ppm))

    def special_rate(self, path: str, value: Any) -> SpecialRate | None:
        """Read one higher share."""
        s = self.reader.fields(value, path, ("share", "when", "clause"), ("assumption",))
        share, basis = s.share_ppm("share"), self.basis(s, clause_needed=True)
        when = tuple(self.listed(s, "when", self.condition))
        if s.raw("when") == []:
            s.note("bad-value", "when", Text("at least one condition", "至少一个条件"))
        return None if share is None or basis is None or not when else SpecialRate(share, when, basis)

    def cap(self, f: Fields) -> Cap | None:
        """Read the cap of one beneficiary or contract."""
        c = f.inner("cap", ("amount_cny", "per", "period", "clause"), ("assumption",))
        amount, per, period = c.amount_ucny("amount_cny"), c.choice("per", Per), c.choice("period", Period)
        basis = self.basis(c, clause_needed=True)
        if amount is None or per is None or period is None or basis is None:
            return None
        return Cap(amount, per, period, basis)

    def minimum(self, f: Fields) -> Minimum | None:
        """Read the least claim."""
        m = f.inner("minimum_cny", ("amount_cny", "clause"), ("assumption",))
        amount, basis = m.amount_ucny("amount_cny"), self.basis(m, clause_needed=True)
        return None if amount is None or basis is None else Minimum(amount, basis)

    def budget(self, f: Fields) -> Budget | None:
        """Read the budget of all beneficiaries."""
        b = f.inner("budget", ("amount_cny", "period", "clause"), ("assumption",))
        amount, period = b.amount_ucny("amount_cny"), b.choice("period", Period)
        basis = self.basis(b, clause_needed=True)
        return None if amount is None or period is None or basis is None else Budget(amount, period, basis)

    def stacking(self, f: Fields) -> Stacking | None:
        """Read with what it does not add up."""
        s = f.inner("stacking", ("group", "rule"), _BASIS)
        group, rule, basis = s.text("group"), s.choice("rule", StackingRule), self.basis(s)
        return None if group is None or rule is None or basis is None else Stacking(group, rule, basis)

    def exclusion(self, f: Fields) -> Exclusion | None:
        """Read the parts of an invoice that do not count."""
        e = f.inner("excluded_costs", ("items",), _BASIS)
        basis = self.basis(e)
        items = e.items("items")
        for path, item in items:
            if not isinstance(item, str) or not item:
                self.reader.note("bad-type", path, item, Text("a text", "文本"))
        return None if basis is None else Exclusion(tuple(str(item) for _, item in items), basis)

    # The document as a whole

    def check_computable(self, f: Fields) -> None:
        """Note a missing rate or base in a programme that does not say that it cannot be computed."""
        if f.given("not_computable"):
            return
        for name in ("rate", "base"):
            if f.has(name) and not f.given(name):
                why = Text(f"a {name}, or not_computable with the reason", f"{name}，或写明原因的 not_computable")
                f.note("not-computable", name, why)

    def check_unique(self, f: Fields) -> None:
        """Note conditions that share an id: an explanation has to name one."""
        seen: set[str] = set()
        for path, item in f.items("conditions"):
            name = item.get("id") if isinstance(item, dict) else None
            if not isinstance(name, str):
                continue
            if name in seen:
                self.reader.note("duplicate-id", f"{path}.id", name, Text("each id once", "每个 id 只出现一次"))
            seen.add(name)

    def optional(self, f: Fields, name: str, read: Callable[[Fields], T | None]) -> T | None:
        """Read a part that may be null."""
        return read(f) if f.given(name) else None

    def listed(self, f: Fields, name: str, read: Callable[[str, Any], T | None]) -> list[T]:
        """Read each item of a list; those with problems are left out."""
        if not self.there(f, name, LIST):
            return []
        return [part for path, item in f.items(name) if (part := read(path, item)) is not None]

    def there(self, f: Fields, name: str, expected: Text = MAPPING) -> bool:
        """Return whether a part is given; note one that is there but null. A missing one has been noted."""
        if f.has(name) and not f.given(name):
            f.note("bad-type", name, expected)
        return f.given(name)


def stored_fact(name: str) -> str:
    """Return the name under which records hold a fact that files name: money moves from yuan to micro-yuan."""
    return f"{name.removesuffix('_cny')}_ucny" if name.endswith("_cny") else name


def _scalar(raw: Any, fact: str) -> Fact | None:
    """Return a value as the fact's records hold it, or None if it is no single value."""
    if fact.endswith("_cny"):
        return as_micro(raw)
    if isinstance(raw, bool | int | float):
        return raw if abs(raw) <= MAX_UCNY else None  # neither is an infinity or NaN below it
    if isinstance(raw, str):
        return as_day(raw) or raw.strip() or None
    return as_day(raw)


def _kind(value: Fact | None) -> str:
    if isinstance(value, bool):
        return "bool"
    return "number" if isinstance(value, int | float) else type(value).__name__


def _questions(special: SpecialRate) -> frozenset[tuple[str, Op, str]]:
    return frozenset((c.fact, c.op, repr(c.value)) for c in special.when)
