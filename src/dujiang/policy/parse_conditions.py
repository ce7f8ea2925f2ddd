"""Reading the conditions of a programme file: single ones, and groups of them."""

from collections.abc import Iterable
from datetime import date
from typing import Any

from dujiang.core.money import MAX_UCNY
from dujiang.core.text import Text
from dujiang.policy.programme import Asked, Condition, ConditionGroup, How, Op
from dujiang.policy.reader import FLAG, LIST, Fields, Reader, as_day, as_micro
from dujiang.policy.shape import (
    CONDITION,
    FACT,
    GROUP,
    MAX_DEPTH,
    MAX_FACT_UCNY,
    MAX_NAME,
    MAX_TEXT,
    MAX_VALUES,
    RESERVED_CONDITION_IDS,
)
from dujiang.registry.book import Fact

_ORDERED = (Op.AT_LEAST, Op.AT_MOST, Op.MORE_THAN, Op.LESS_THAN)
_DATED = (Op.BEFORE, Op.AFTER)
_LISTED = (Op.IN, Op.NOT_IN)


def parse_conditions(f: Fields, name: str, depth: int = 1) -> tuple[Asked, ...]:
    """Read a list of conditions; those with problems are left out."""
    if not f.needed(name, LIST):
        return ()
    found = [_asked(f.reader, path, item, depth) for path, item in f.items(name)]
    return tuple(item for item in found if item is not None)


def stored_fact(name: str) -> str:
    """Return the name under which records hold a fact that files name: money moves from yuan to micro-yuan."""
    return f"{name.removesuffix('_cny')}_ucny" if name.endswith("_cny") else name


def note_repeated_ids(reader: Reader, listed: Iterable[tuple[str, Any]]) -> None:
    """Note conditions and groups that share an id: an explanation has to name one."""
    seen: set[str] = set()
    open_ = [(path, item, 1) for path, item in listed][::-1]
    while open_:
        path, item, depth = open_.pop()
        if not isinstance(item, dict):
            continue
        name = item.get("id")
        if isinstance(name, str) and name in seen:
            reader.note("duplicate-id", f"{path}.id", name, Text("each id once", "每个 id 只出现一次"))
        elif isinstance(name, str):
            seen.add(name)
        for how in How:
            members = item.get(how)
            if isinstance(members, list) and depth <= MAX_DEPTH:
                open_ += [(f"{path}.{how}.{i}", member, depth + 1) for i, member in enumerate(members)][::-1]


def fact_name(f: Fields, name: str) -> str | None:
    """Take the name of a fact, as files write it."""
    expected = Text("a lower-case name; money in yuan ends in _cny", "小写名称；金额（元）以 _cny 结尾")
    fact = f.key(name, FACT, MAX_NAME, expected, "bad-fact")
    if fact is not None and fact.endswith("_ucny"):
        f.note("bad-fact", name, expected)
        return None
    return fact


def _asked(reader: Reader, path: str, value: Any, depth: int) -> Asked | None:
    is_group = isinstance(value, dict) and any(how in value for how in How)
    return _group(reader, path, value, depth) if is_group else _condition(reader, path, value)


def _group(reader: Reader, path: str, value: Any, depth: int) -> ConditionGroup | None:
    g = reader.fields(value, path, GROUP)
    name, text = _identifier(g), g.bilingual("text")
    named = [how for how in How if g.has(how)]
    if len(named) != 1:
        g.note("contradictory-group", named[1], Text(f"{named[0]} alone", f"只写 {named[0]}"))
        return None
    how = named[0]
    if depth > MAX_DEPTH:
        g.note("too-deep", how, Text(f"groups at most {MAX_DEPTH} deep", f"条件组嵌套不超过 {MAX_DEPTH} 层"))
        return None
    members = parse_conditions(g, how, depth + 1)
    if g.raw(how) == []:
        g.note("bad-value", how, Text("at least one condition", "至少一个条件"))
    return None if name is None or text is None or not members else ConditionGroup(name, how, members, text)


def _identifier(f: Fields) -> str | None:
    name = f.text("id")
    if name in RESERVED_CONDITION_IDS:
        f.note("bad-id", "id", Text("another name: this condition is always asked", "请换名：该条件总会检查"))
    return name


def _condition(reader: Reader, path: str, value: Any) -> Condition | None:
    c = reader.fields(value, path, CONDITION)
    name, fact, op, text = _identifier(c), fact_name(c, "fact"), c.choice("op", Op), c.bilingual("text")
    basis = c.basis()
    if fact is None or op is None:
        return None
    wanted = _value(c, fact, op)
    if wanted is None or name is None or text is None or basis is None:
        return None
    return Condition(name, stored_fact(fact), op, wanted, text, basis)


def _value(c: Fields, fact: str, op: Op) -> Fact | tuple[Fact, ...] | None:
    """Read what the fact is compared with; its type has to suit the comparison."""
    raw = c.raw("value")
    if op in _LISTED:
        return _values(c, fact, raw)
    value: Fact | None = raw if op is Op.EXISTS and isinstance(raw, bool) else _scalar(raw, fact)
    kinds: tuple[type, ...] = (bool, int, float, str, date)
    expected = Text("true or false, a number, a text or a day", "true/false、数字、文本或日期")
    if op in _ORDERED:
        kinds, expected = (int, float), Text("a number; before and after take a day", "数字；日期请用 before 或 after")
    elif op in _DATED:
        kinds, expected = (date,), Text("a day such as 2024-12-18", "日期，如 2024-12-18")
    elif op is Op.EXISTS:
        kinds, expected = (bool,), FLAG
    if value is None or not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        if c.has("value"):
            c.note("bad-value", "value", expected)
        return None
    return value


def _values(c: Fields, fact: str, raw: Any) -> tuple[Fact, ...] | None:
    """Read the values of `in` or `not_in`: at least one, all of one type."""
    if isinstance(raw, list) and len(raw) > MAX_VALUES:
        c.reader.too_many(c.at("value"), len(raw), MAX_VALUES)
        return None
    values = [_scalar(item, fact) for item in raw] if isinstance(raw, list) else []
    kinds = {_kind(value) for value in values}
    if not values or None in values or len(kinds) != 1:
        if c.has("value"):
            c.note("bad-value", "value", Text("a list of values of one type", "同一类型的值的列表"))
        return None
    return tuple(value for value in values if value is not None)


def _scalar(raw: Any, fact: str) -> Fact | None:
    """Return a value as the fact's records hold it, or None if it is no single value."""
    if fact.endswith("_cny"):
        ucny = as_micro(raw)
        return ucny if ucny is not None and abs(ucny) <= MAX_FACT_UCNY else None
    if isinstance(raw, bool | int | float):
        return raw if abs(raw) <= MAX_UCNY else None  # neither is an infinity or NaN below it
    if isinstance(raw, str):
        return as_day(raw) or (raw.strip() or None if len(raw) <= MAX_TEXT else None)
    return as_day(raw)


def _kind(value: Fact | None) -> str:
    if isinstance(value, bool):
        return "bool"
    return "number" if isinstance(value, int | float) else type(value).__name__


def questions(asked: Iterable[Asked]) -> frozenset[object]:
    """Return what a list of conditions asks, whatever its order, names and words."""
    return frozenset(
        (item.how, questions(item.members))
        if isinstance(item, ConditionGroup)
        else (item.fact, item.op, repr(item.value))
        for item in asked
    )
