"""Programme files read and evaluated a second time: who is eligible, at what share (design 5.1, 5.2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from dujiang.verify import cells
from dujiang.verify.cells import Broken
from dujiang.verify.documents import Row, read_bytes, read_mapping

Facts = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Condition:
    """One fact that must hold."""

    fact: str
    op: str
    value: Any


@dataclass(frozen=True, slots=True)
class SpecialRate:
    """A share that replaces the rule where its conditions are met."""

    share_ppm: int
    when: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Allowance:
    """A cap or a budget."""

    amount_ucny: int
    per: str
    """`enterprise` or `contract` for a cap, `programme` for a budget."""
    period: str
    """`year` or `validity`."""


@dataclass(frozen=True, slots=True)
class Programme:
    """What the rules need of one programme file."""

    programme_id: str
    content: bytes
    valid_from: date | None
    valid_until: date | None
    """Last day, inclusive."""
    computable: bool
    """False: the source leaves out what an amount would need."""
    conditions: tuple[Condition, ...]
    """First that it pays for the good bought, then those of the file."""
    share_ppm: int | None
    special_rates: tuple[SpecialRate, ...]
    cap: Allowance | None
    budget: Allowance | None
    minimum_ucny: int
    unit_ucny: int
    """What it pays in, micro-yuan: whole fen or whole yuan."""

    @property
    def facts(self) -> frozenset[str]:
        """Names of the facts that decide on eligibility and share."""
        special = [condition for rate in self.special_rates for condition in rate.when]
        return frozenset(condition.fact for condition in (*self.conditions, *special))

    def share(self, facts: Facts, on: date) -> int | None:
        """Return the share that the programme bears, ppm; None: not eligible, or something needed is not known."""
        if not self.computable or self.share_ppm is None or not self.valid_on(on):
            return None
        if not all_hold(self.conditions, facts):
            return None
        special = [rate.share_ppm for rate in self.special_rates if all_hold(rate.when, facts)]
        return max(special) if special else self.share_ppm

    def valid_on(self, on: date) -> bool:
        """Return whether the programme is in force on a day."""
        return (self.valid_from is None or self.valid_from <= on) and (
            self.valid_until is None or on <= self.valid_until
        )


def all_hold(conditions: tuple[Condition, ...], facts: Facts) -> bool:
    """Return whether every condition is met; one that cannot be told is not."""
    return all(outcome(condition, facts.get(condition.fact)) is True for condition in conditions)


def outcome(condition: Condition, fact: object) -> bool | None:
    """Return whether a fact meets a condition; None: not known (design 7: never "no")."""
    if cells.is_empty(fact):
        return None
    try:
        match condition.op:
            case "is":
                return _equal(fact, condition.value)
            case "is_not":
                return not _equal(fact, condition.value)
            case "in":
                return any(_equal(fact, value) for value in condition.value)
            case "before" | "after":
                return _dated(condition, fact)
            case _:
                return _compared(condition, fact)
    except Broken:
        return None


def _equal(fact: object, value: object) -> bool:
    """Compare a fact with a value of the file; text is read as what the value is, anything else cannot be told."""
    if isinstance(value, bool):
        stated = fact if isinstance(fact, bool) else {"true": True, "false": False}.get(str(fact).strip().lower())
        if stated is None:
            raise Broken("fact", fact, "true or false", "true 或 false")
        return stated is value
    if isinstance(value, int | float):
        return cells.decimal("fact", fact) == cells.decimal("value", value)
    if isinstance(fact, date):
        fact = fact.isoformat()
    if not isinstance(fact, str):
        raise Broken("fact", fact, "text", "文本")
    return fact.strip() == str(value).strip()


def _dated(condition: Condition, fact: object) -> bool:
    when, limit = cells.day("fact", fact), cells.day("value", condition.value)
    if when is None or limit is None:
        raise Broken("fact", fact, "a date", "日期")
    return when < limit if condition.op == "before" else when > limit


def _compared(condition: Condition, fact: object) -> bool:
    number: Decimal = cells.decimal("fact", fact)
    limit: Decimal = cells.decimal("value", condition.value)
    return {
        "at_least": number >= limit,
        "at_most": number <= limit,
        "more_than": number > limit,
        "less_than": number < limit,
    }[condition.op]


OPERATIONS = ("is", "is_not", "in", "at_least", "at_most", "more_than", "less_than", "before", "after")


def read_programme(path: Path) -> Programme:
    """Read one programme file.

    Raises
    ------
    Broken : it cannot be understood
    """
    document, name = read_mapping(path), path.name
    programme_id = cells.word(f"{name}:id", document.get("id"))
    if programme_id is None:
        raise Broken(f"{name}:id", None, "an id", "编号")
    valid = _mapping(name, document, "valid")
    return Programme(
        programme_id=programme_id,
        content=read_bytes(path),
        valid_from=cells.day(f"{name}:valid.from", valid.get("from")),
        valid_until=cells.day(f"{name}:valid.until", valid.get("until")),
        computable=not document.get("not_computable"),
        conditions=(
            Condition("good", "is", cells.word(f"{name}:good", document.get("good")) or ""),
            *_conditions(name, document.get("conditions")),
        ),
        share_ppm=_share(name, _mapping(name, document, "rate").get("share")),
        special_rates=_special_rates(name, document.get("special_rates")),
        cap=_allowance(name, _mapping(name, document, "cap"), "enterprise"),
        budget=_allowance(name, _mapping(name, document, "budget"), "programme"),
        unit_ucny=_unit(name, document.get("rounding")),
        minimum_ucny=cells.micro(f"{name}:minimum_cny", _mapping(name, document, "minimum_cny").get("amount_cny")) or 0,
    )


def _mapping(name: str, document: Row, key: str) -> Row:
    value = document.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Broken(f"{name}:{key}", value, "a mapping", "映射")
    return value


def _list(name: str, value: object) -> list[Row]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise Broken(name, value, "a list of mappings", "映射列表")
    return value


def _unit(name: str, rounding: object) -> int:
    if rounding not in (None, "fen", "yuan"):
        raise Broken(f"{name}:rounding", rounding, "fen or yuan", "fen 或 yuan")
    return cells.MICRO if rounding == "yuan" else cells.FEN


def _conditions(name: str, value: object) -> tuple[Condition, ...]:
    return tuple(_condition(f"{name}:conditions", row) for row in _list(f"{name}:conditions", value))


def _condition(where: str, row: Row) -> Condition:
    fact, op, value = cells.word(where, row.get("fact")), row.get("op"), row.get("value")
    if fact is None or op not in OPERATIONS:
        raise Broken(where, op, f"a fact and one of {', '.join(OPERATIONS)}", "事实与运算符")
    if op == "in":
        if not isinstance(value, list):
            raise Broken(where, value, "a list of values", "取值列表")
    elif op in ("before", "after"):
        if cells.day(where, value) is None:
            raise Broken(where, value, "a date", "日期")
    elif op in ("is", "is_not"):
        if value is None or isinstance(value, list | dict):
            raise Broken(where, value, "one value", "单个取值")
    else:
        cells.decimal(where, value)
    return Condition(fact, str(op), value)


def _special_rates(name: str, value: object) -> tuple[SpecialRate, ...]:
    rates = []
    for row in _list(f"{name}:special_rates", value):
        share = _share(name, row.get("share"))
        if share is not None:
            rates.append(SpecialRate(share, _conditions(name, row.get("when"))))
    return tuple(rates)


def _share(name: str, value: object) -> int | None:
    share = cells.micro(f"{name}:share", value)
    if share is not None and not 0 <= share <= cells.MICRO:
        raise Broken(f"{name}:share", value, "a share of 0 to 1", "0 至 1 的比例")
    return share


def _allowance(name: str, row: Row, default_per: str) -> Allowance | None:
    amount = cells.micro(f"{name}:amount_cny", row.get("amount_cny"))
    if amount is None:
        return None
    per = cells.word(name, row.get("per")) or default_per
    period = cells.word(name, row.get("period")) or "year"
    if amount < 0 or per not in ("enterprise", "contract", "programme") or period not in ("year", "validity"):
        raise Broken(f"{name}:{per}", f"{amount}, {period}", "an amount per year or validity", "按年或有效期的金额")
    return Allowance(amount, per, period)
