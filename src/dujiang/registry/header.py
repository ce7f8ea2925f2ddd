"""`book.yaml`: when the round starts, how long it is, what it optimises and which programmes it offers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from dujiang.core.marked import Marked
from dujiang.core.money import MAX_UCNY, MICRO, parse_micro
from dujiang.core.problem import Problem, ProblemList, did_you_mean
from dujiang.core.slots import parse_instant
from dujiang.core.text import Text
from dujiang.registry.book import Fact, Objective, ProgrammeUse

MAX_SLOTS = 8784
"""A leap year of hours."""
START_YEARS = range(1970, 3000)
"""A round lies well inside the calendar, so that no slot of it falls out."""
_EMPLOYEES_MAX = 10_000_000
_AMOUNT_MAX = MAX_UCNY // MICRO
"""Largest single amount of a book, yuan."""

_KEYS = ("start", "slots", "title", "objective", "use", "facts", "assumptions")
_OBJECTIVE_KEYS = ("carbon_cny_per_kg", "small_firm_cny_per_gpu_hour", "small_firm_employees_max")


@dataclass(frozen=True, slots=True)
class Header:
    """Parsed `book.yaml`."""

    start: datetime = datetime(2000, 1, 1, tzinfo=UTC)
    slots: int = 0
    """0: not known (already a problem)."""
    title: Text = field(default_factory=lambda: Text("", ""))
    objective: Objective = field(default_factory=Objective)
    use: tuple[ProgrammeUse, ...] = ()
    facts: Mapping[str, Fact] = field(default_factory=dict)
    assumptions: Mapping[str, object] = field(default_factory=dict)


def _one_of(names: tuple[str, ...]) -> Text:
    return Text("one of " + ", ".join(names), "以下之一：" + "、".join(names))


def _unknown_keys(doc: Marked, path: str, value: Mapping[str, Any], known: tuple[str, ...]) -> list[Problem]:
    prefix = f"{path}." if path else ""
    return [
        doc.problem("unknown-field", f"{prefix}{key}", str(key), _one_of(known), did_you_mean(str(key), known))
        for key in value
        if key not in known
    ]


def _decimal_micro(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value * MICRO
    if isinstance(value, float):
        return parse_micro(format(Decimal(repr(value)), "f"))
    return parse_micro(value) if isinstance(value, str) else None


def _start(doc: Marked, value: object, problems: ProblemList) -> datetime | None:
    instant: datetime | None = None
    if isinstance(value, str):
        instant = parse_instant(value)
    elif isinstance(value, datetime):
        instant = parse_instant(value.isoformat())
    if (
        instant is None
        or (instant.minute, instant.second, instant.microsecond) != (0, 0, 0)
        or instant.year not in START_YEARS
    ):
        problems.add(
            doc.problem(
                "bad-start",
                "start",
                value,
                Text("an RFC 3339 instant on a full hour, with offset", "整点的 RFC 3339 时间，带时区"),
                Text(
                    'write it in quotes, e.g. "2025-11-03T00:00:00+08:00"', '请加引号，如 "2025-11-03T00:00:00+08:00"'
                ),
            )
        )
        return None
    return instant


def _title(doc: Marked, value: object, problems: ProblemList) -> Text:
    if isinstance(value, str):
        return Text(value, value)
    if isinstance(value, Mapping) and set(value) == {"en", "zh"} and all(isinstance(v, str) for v in value.values()):
        return Text(value["en"], value["zh"])
    problems.add(doc.problem("bad-type", "title", value, Text("text, or {en, zh}", "文本，或 {en, zh}")))
    return Text("", "")


def _objective(doc: Marked, value: object, problems: ProblemList) -> Objective:
    if not isinstance(value, Mapping):
        problems.add(doc.problem("bad-type", "objective", value, Text("a mapping", "键值表")))
        return Objective()
    problems.extend(_unknown_keys(doc, "objective", value, _OBJECTIVE_KEYS))
    amounts: dict[str, int] = {}
    for key in _OBJECTIVE_KEYS[:2]:
        micro = _decimal_micro(value.get(key, 0))
        if micro is None or not 0 <= micro <= 10_000_000_000:
            expected = Text("yuan from 0 to 10000, at most six places", "0 至 10000 元，至多六位小数")
            problems.add(doc.problem("bad-type", f"objective.{key}", value[key], expected))
            micro = 0
        amounts[key] = micro
    small = value.get("small_firm_employees_max")
    if small is not None and (
        isinstance(small, bool) or not isinstance(small, int) or not 1 <= small <= _EMPLOYEES_MAX
    ):
        expected = Text(f"a whole number from 1 to {_EMPLOYEES_MAX}", f"1 至 {_EMPLOYEES_MAX} 的整数")
        problems.add(doc.problem("bad-type", "objective.small_firm_employees_max", small, expected))
        small = 1
    if amounts["small_firm_cny_per_gpu_hour"] and small is None:
        problems.add(
            doc.problem(
                "missing-field",
                "objective.small_firm_employees_max",
                None,
                Text("the most employees that a small firm has", "小企业的员工数上限"),
            )
        )
    return Objective(amounts["carbon_cny_per_kg"], amounts["small_firm_cny_per_gpu_hour"], small or 0)


def _use(doc: Marked, value: object, problems: ProblemList) -> tuple[ProgrammeUse, ...]:
    expected = Text("programme ids, or {id, budget_cny}", "政策编号，或 {id, budget_cny}")
    if not isinstance(value, list):
        problems.add(doc.problem("bad-type", "use", value, expected))
        return ()
    uses: dict[str, ProgrammeUse] = {}
    for index, item in enumerate(value):
        path = f"use.{index}"
        if isinstance(item, str):
            use = ProgrammeUse(item)
        elif isinstance(item, Mapping) and isinstance(item.get("id"), str):
            problems.extend(_unknown_keys(doc, path, item, ("id", "budget_cny")))
            budget = None
            if item.get("budget_cny") is not None:
                budget = _decimal_micro(item["budget_cny"])
                if budget is None or not 0 <= budget <= MAX_UCNY:
                    amount = Text(f"an amount in yuan from 0 to {_AMOUNT_MAX}", f"0 至 {_AMOUNT_MAX} 元的金额")
                    problems.add(doc.problem("bad-type", f"{path}.budget_cny", item["budget_cny"], amount))
                    budget = 0
            use = ProgrammeUse(item["id"], budget)
        else:
            problems.add(doc.problem("bad-type", path, item, expected))
            continue
        if use.programme_id in uses:
            problems.add(
                doc.problem("duplicate", path, use.programme_id, Text("each programme once", "每项政策只列一次"))
            )
        uses[use.programme_id] = use
    return tuple(uses[key] for key in sorted(uses))


def _facts(doc: Marked, value: object, problems: ProblemList) -> dict[str, Fact]:
    if not isinstance(value, Mapping):
        problems.add(doc.problem("bad-type", "facts", value, Text("a mapping of facts", "事实键值表")))
        return {}
    facts: dict[str, Fact] = {}
    for key, item in value.items():
        plain = isinstance(item, bool | int | float | str | date) and not isinstance(item, datetime)
        # Neither an infinity nor a NaN is below a bound.
        if plain and (not isinstance(item, int | float) or abs(item) <= MAX_UCNY):
            facts[str(key)] = item
        else:
            expected = Text(
                f"true, false, a number up to {MAX_UCNY}, text or a date",
                f"true、false、绝对值不超过 {MAX_UCNY} 的数、文本或日期",
            )
            problems.add(doc.problem("bad-type", f"facts.{key}", item, expected))
    return facts


def parse_header(doc: Marked, problems: ProblemList) -> Header:
    """Parse `book.yaml`; problems are collected, and what could not be read has its default."""
    if not isinstance(doc.value, Mapping):
        problems.add(
            doc.problem("bad-type", "", doc.value, Text("a mapping with start and slots", "含 start 与 slots 的键值表"))
        )
        return Header()
    value = doc.value
    problems.extend(_unknown_keys(doc, "", value, _KEYS))
    header: dict[str, Any] = {}
    if value.get("start") is None:
        problems.add(doc.problem("missing-field", "start", None, Text("the start of slot 0", "第 0 时段的开始时间")))
    else:
        start = _start(doc, value["start"], problems)
        if start is not None:
            header["start"] = start
    slots = value.get("slots")
    if isinstance(slots, bool) or not isinstance(slots, int) or not 1 <= slots <= MAX_SLOTS:
        expected = Text(f"a whole number of hours from 1 to {MAX_SLOTS}", f"1 至 {MAX_SLOTS} 的整数小时数")
        problems.add(doc.problem("missing-field" if slots is None else "out-of-range", "slots", slots, expected))
    else:
        header["slots"] = slots
    if value.get("title") is not None:
        header["title"] = _title(doc, value["title"], problems)
    if value.get("objective") is not None:
        header["objective"] = _objective(doc, value["objective"], problems)
    if value.get("use") is not None:
        header["use"] = _use(doc, value["use"], problems)
    if value.get("facts") is not None:
        header["facts"] = _facts(doc, value["facts"], problems)
    if value.get("assumptions") is not None:
        if isinstance(value["assumptions"], Mapping):
            header["assumptions"] = dict(value["assumptions"])
        else:
            problems.add(doc.problem("bad-type", "assumptions", value["assumptions"], Text("a mapping", "键值表")))
    return Header(**header)
