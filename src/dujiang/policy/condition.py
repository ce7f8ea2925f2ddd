"""Judging conditions against facts. A fact that nobody stated is unknown, never no (design 7).

Groups follow Kleene's three-valued logic: what is unknown stays unknown unless the other members decide.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from enum import IntEnum

from dujiang.core.text import Text
from dujiang.policy.programme import Asked, Basis, Condition, ConditionGroup, How, Op, Programme
from dujiang.registry.book import Fact

Number = int | float
_NUMBER = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,15})?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Outcome(IntEnum):
    """What is known about a condition; integers so that a round can hold millions of them in arrays."""

    MET = 0
    NOT_MET = 1
    UNKNOWN = 2

    @property
    def word(self) -> str:
        """Return the outcome as files and reports write it."""
        return self.name.lower()


def combined(outcomes: Sequence[Outcome], how: How = How.ALL) -> Outcome:
    """Return the outcome of several together.

    Of `all`, one that is not met decides, then one that is unknown; of `any` and `none`, one that is met, then one
    that is unknown. Of none at all, `all` and `none` are met and `any` is not.
    """
    deciding, otherwise = (Outcome.NOT_MET, Outcome.MET) if how is How.ALL else (Outcome.MET, Outcome.NOT_MET)
    found = deciding if deciding in outcomes else Outcome.UNKNOWN if Outcome.UNKNOWN in outcomes else otherwise
    return _NEGATED[found] if how is How.NONE else found


_NEGATED = {
    Outcome.MET: Outcome.NOT_MET,
    Outcome.NOT_MET: Outcome.MET,
    Outcome.UNKNOWN: Outcome.UNKNOWN,
}


def outcome_of(asked: Asked, facts: Mapping[str, object]) -> Outcome:
    """Ask a condition, or a group of them, of all that is known."""
    if isinstance(asked, ConditionGroup):
        return combined([outcome_of(member, facts) for member in asked.members], asked.how)
    return judge(asked, facts.get(asked.fact))


def judge(condition: Condition, found: object) -> Outcome:
    """Ask one condition of one fact.

    Parameters
    ----------
    condition : the question
    found : the fact; None or NaN: nobody stated it. A text is read as the type of the condition's value
        (`true`, `12.5`, `2024-12-18`), because a further column of a CSV file has no type of its own

    Returns
    -------
    UNKNOWN if the fact is missing or of another type than the value, so that it can neither be met nor refused. Only
    `exists` is never unknown: it asks whether anything is stated
    """
    value = condition.value
    if condition.op is Op.EXISTS:
        return _outcome(is_stated(found) is value)
    if isinstance(value, tuple):
        known = _as_type_of(value[0], found)
        return Outcome.UNKNOWN if known is None else _outcome((known in value) is (condition.op is Op.IN))
    known = _as_type_of(value, found)
    return Outcome.UNKNOWN if known is None else _outcome(_TESTS[condition.op](known, value))


def is_stated(found: object) -> bool:
    """Return whether a fact says anything: an empty text or a NaN is what some writers leave for nothing."""
    if isinstance(found, str):
        return bool(found.strip())
    return found is not None and not (isinstance(found, float) and math.isnan(found))


def _outcome(met: bool) -> Outcome:
    return Outcome.MET if met else Outcome.NOT_MET


_TESTS: dict[Op, Callable[[object, object], bool]] = {
    Op.IS: lambda found, value: found == value,
    Op.IS_NOT: lambda found, value: found != value,
    Op.AT_LEAST: lambda found, value: found >= value,  # type: ignore[operator]
    Op.AT_MOST: lambda found, value: found <= value,  # type: ignore[operator]
    Op.MORE_THAN: lambda found, value: found > value,  # type: ignore[operator]
    Op.LESS_THAN: lambda found, value: found < value,  # type: ignore[operator]
    Op.BEFORE: lambda found, value: found < value,  # type: ignore[operator]
    Op.AFTER: lambda found, value: found > value,  # type: ignore[operator]
}


def _as_type_of(value: Fact, found: object) -> Fact | None:
    """Return a fact as the type of a value, or None if it is missing or no such thing."""
    if isinstance(value, bool):
        return _as_bool(found)
    if isinstance(value, int | float):
        return _as_number(found)
    if isinstance(value, date):
        return as_date(found)
    return found.strip() or None if isinstance(found, str) else None


def _as_bool(found: object) -> bool | None:
    if isinstance(found, bool):
        return found
    return {"true": True, "false": False}.get(found.strip().lower()) if isinstance(found, str) else None


def _as_number(found: object) -> Number | None:
    if isinstance(found, bool):
        return None
    if isinstance(found, int):
        return found
    if isinstance(found, float):
        return found if math.isfinite(found) else None
    if isinstance(found, str) and _NUMBER.fullmatch(found.strip()):
        return float(found) if "." in found else int(found)
    return None


def as_date(found: object) -> date | None:
    """Return a fact as a day, None if it is missing or no such thing."""
    # A datetime is a date to Python, but on which day it falls depends on a time zone that the fact does not name.
    if isinstance(found, date) and not isinstance(found, datetime):
        return found
    return parse_day(found.strip()) if isinstance(found, str) else None


def parse_day(text: str) -> date | None:
    """Parse a day written as 2024-12-18; None if it is not one."""
    try:
        return date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        return None


def asked_conditions(programme: Programme) -> tuple[Asked, ...]:
    """Return all that a programme asks: first that the purchase is of its good, then its conditions in file order."""
    goods = programme.goods
    listed = ", ".join(goods)
    good = Condition(
        id="good",
        fact="good",
        op=Op.IS if len(goods) == 1 else Op.IN,
        value=goods[0] if len(goods) == 1 else goods,
        text=Text(f"the purchase is of the good: {listed}", f"购买标的为：{listed}"),
        basis=Basis(None, None),
    )
    return (good, *programme.conditions)
