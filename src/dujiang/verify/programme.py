"""Programme files read and evaluated a second time: who is eligible, at what share (design 5.1, 5.2)."""

from collections.abc import Iterator, Mapping
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
class Group:
    """Several conditions that count as one."""

    how: str
    """`any`, `all` or `none`."""
    members: "tuple[Asked, ...]"


Asked = Condition | Group


@dataclass(frozen=True, slots=True)
class SpecialRate:
    """A share that replaces the rate where its conditions are met, and with it the caps if it brings one."""

    share_ppm: int
    when: tuple[Asked, ...]
    cap_ucny: int | None


@dataclass(frozen=True, slots=True)
class Cap:
    """The most that one beneficiary or one contract gets."""

    amount_ucny: int
    per: str
    """`enterprise`, `contract` or `project`."""
    period: str
    """`year` or `validity`."""


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that all get together."""

    amount_ucny: int
    period: str
    pro_rata: bool
    """Claims are cut alike when it runs out."""
    shared_with: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Exclude:
    """Programmes that may not be held together with this one: some by id, those of a group, or those of a level."""

    programmes: tuple[str, ...]
    group: str | None
    level: str | None
    same_place: bool
    whole_enterprise: bool
    """Not by the same enterprise at all; else not for the same contract."""


@dataclass(frozen=True, slots=True)
class Programme:
    """What the rules need of one programme file."""

    programme_id: str
    content: bytes
    level: str | None
    province: str | None
    city: str | None
    goods: tuple[str, ...]
    valid_from: date | None
    valid_until: date | None
    """Last day, inclusive."""
    computable: bool
    """False: the source leaves out what an amount would need, or is no rule."""
    for_rounds: bool
    """A plain share of the payment for compute, with caps per enterprise or contract: what a round can work out."""
    conditions: tuple[Asked, ...]
    share_ppm: int | None
    special_rates: tuple[SpecialRate, ...]
    caps: tuple[Cap, ...]
    budget: Budget | None
    minimum_ucny: int
    unit_ucny: int
    """What it pays in, micro-yuan: whole fen or whole yuan."""
    group: str | None
    """Of the programmes of one group a contract uses one."""
    excludes: tuple[Exclude, ...]
    own_ceiling_ppm: int
    """Most of the payment that it may bear itself."""
    ceiling_ppm: int
    """Most of the payment that it and all others may bear together."""

    @property
    def facts(self) -> frozenset[str]:
        """Names of the facts that decide on eligibility and share."""
        special = [asked for rate in self.special_rates for asked in rate.when]
        return frozenset(condition.fact for condition in leaves((*self.conditions, *special)))

    def offer(self, facts: Facts) -> tuple[int, int | None]:
        """Return the share that it bears, ppm, 0 for who is not eligible; and the cap that replaces its own, if any."""
        if not all_hold(self.conditions, facts):
            return 0, None
        share, cap = self.share_ppm or 0, None
        for special in self.special_rates:
            better = special.share_ppm, -1 if special.cap_ucny is None else special.cap_ucny
            if all_hold(special.when, facts) and better > (share, -1 if cap is None else cap):
                share, cap = special.share_ppm, special.cap_ucny
        return min(share, self.own_ceiling_ppm), cap

    def valid_on(self, on: date) -> bool:
        """Return whether the programme is in force on a day."""
        return (self.valid_from is None or self.valid_from <= on) and (
            self.valid_until is None or on <= self.valid_until
        )

    def rules_out(self, other: "Programme", whole_enterprise: bool | None = None) -> bool:
        """Return whether either of two excludes the other, at all or in one scope."""
        scopes = (True, False) if whole_enterprise is None else (whole_enterprise,)
        return any(
            e.whole_enterprise in scopes and _names(e, owner, named)
            for owner, named in ((self, other), (other, self))
            for e in owner.excludes
        )


def _names(exclude: Exclude, owner: Programme, other: Programme) -> bool:
    if exclude.group is not None:
        return other.group == exclude.group
    if exclude.level is None:
        return other.programme_id in exclude.programmes
    if other.level != exclude.level:
        return False
    if not exclude.same_place:
        return True
    of_city = other.level == "city" and owner.city is not None
    return owner.province == other.province and (not of_city or owner.city == other.city)


def leaves(asked: tuple[Asked, ...]) -> Iterator[Condition]:
    """Yield single conditions, those inside groups too."""
    for one in asked:
        if isinstance(one, Group):
            yield from leaves(one.members)
        else:
            yield one


def all_hold(asked: tuple[Asked, ...], facts: Facts) -> bool:
    """Return whether every condition is met; one that cannot be told is not."""
    return all(answer(one, facts) is True for one in asked)


def answer(asked: Asked, facts: Facts) -> bool | None:
    """Return whether a condition or a group is met; None: it cannot be told, unless the rest of its group decides."""
    if isinstance(asked, Condition):
        return outcome(asked, facts.get(asked.fact))
    answers = [answer(member, facts) for member in asked.members]
    deciding = asked.how != "all"  # one that is met settles `any` and `none`, one that is not settles `all`
    found = deciding if deciding in answers else None if None in answers else not deciding
    return found if asked.how != "none" or found is None else not found


def outcome(condition: Condition, fact: object) -> bool | None:
    """Return whether a fact meets a condition; None: not known (design 7: never "no")."""
    if condition.op == "exists":
        return cells.is_empty(fact) is not condition.value
    if cells.is_empty(fact):
        return None
    try:
        match condition.op:
            case "is":
                return _equal(fact, condition.value)
            case "is_not":
                return not _equal(fact, condition.value)
            case "in" | "not_in":
                return any(_equal(fact, value) for value in condition.value) is (condition.op == "in")
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


OPERATIONS = (
    *("is", "is_not", "in", "not_in", "exists", "before", "after"),
    *("at_least", "at_most", "more_than", "less_than"),
)
DEPTH = 4
"""Of groups in groups."""


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
    valid, where, rate = (_mapping(name, document, key) for key in ("valid", "jurisdiction", "rate"))
    goods = _names_of(f"{name}:good", document.get("good"))
    caps = _caps(name, document.get("cap"))
    ceiling = _mapping(name, document, "combined_ceiling")
    most = _share(name, ceiling.get("share"))
    return Programme(
        programme_id=programme_id,
        content=read_bytes(path),
        level=cells.word(name, where.get("level")),
        province=cells.word(name, where.get("province")),
        city=cells.word(name, where.get("city")),
        goods=goods,
        valid_from=cells.day(f"{name}:valid.from", valid.get("from")),
        valid_until=cells.day(f"{name}:valid.until", valid.get("until")),
        computable=not document.get("not_computable") and document.get("source_status") in (None, "rule"),
        for_rounds=document.get("base") in ("contract", "actual")
        and not any(document.get(key) for key in ("amount_cny", "pro_rata"))
        and not rate.get("tiers")
        and all(cap.per != "project" for cap in caps),
        # First of all a programme asks that the purchase is of a good that it pays for.
        conditions=(Condition("good", "in", list(goods)), *_conditions(name, document.get("conditions"))),
        share_ppm=_share(name, rate.get("share")),
        special_rates=_special_rates(name, document.get("special_rates")),
        caps=caps,
        budget=_budget(name, _mapping(name, document, "budget")),
        minimum_ucny=cells.micro(f"{name}:minimum_cny", _mapping(name, document, "minimum_cny").get("amount_cny")) or 0,
        unit_ucny=_unit(name, document.get("rounding")),
        group=cells.word(name, _mapping(name, document, "stacking").get("group")),
        excludes=tuple(_exclude(name, row) for row in _list(f"{name}:excludes", document.get("excludes"))),
        own_ceiling_ppm=cells.MICRO if most is None else most,
        ceiling_ppm=cells.MICRO if most is None or ceiling.get("with") != "all" else most,
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


def _names_of(where: str, value: object) -> tuple[str, ...]:
    """Read one name or a list of names."""
    items = value if isinstance(value, list) else [value]
    return tuple(name for name in (cells.word(where, item) for item in items) if name is not None)


def _unit(name: str, rounding: object) -> int:
    unit = rounding.get("unit") if isinstance(rounding, dict) else rounding
    if unit not in (None, "fen", "yuan"):
        raise Broken(f"{name}:rounding", unit, "fen or yuan", "fen 或 yuan")
    return cells.MICRO if unit == "yuan" else cells.FEN


def _conditions(name: str, value: object) -> tuple[Asked, ...]:
    return tuple(_asked(f"{name}:conditions", row) for row in _list(f"{name}:conditions", value))


def _asked(where: str, row: Row, depth: int = 0) -> Asked:
    for how in ("any", "all", "none"):
        if how in row:
            if depth >= DEPTH:
                raise Broken(where, "groups in groups", f"at most {DEPTH} deep", f"至多 {DEPTH} 层")
            return Group(how, tuple(_asked(where, member, depth + 1) for member in _list(where, row[how])))
    return _condition(where, row)


def _condition(where: str, row: Row) -> Condition:
    fact, op, value = cells.word(where, row.get("fact")), row.get("op"), row.get("value")
    if fact is None or op not in OPERATIONS:
        raise Broken(where, op, f"a fact and one of {', '.join(OPERATIONS)}", "事实与运算符")
    if op in ("in", "not_in"):
        if not isinstance(value, list):
            raise Broken(where, value, "a list of values", "取值列表")
    elif op == "exists":
        if not isinstance(value, bool):
            raise Broken(where, value, "true or false", "true 或 false")
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
            cap = cells.micro(f"{name}:special_rates", row.get("cap_cny"))
            rates.append(SpecialRate(share, _conditions(name, row.get("when")), cap))
    return tuple(rates)


def _share(name: str, value: object) -> int | None:
    share = cells.micro(f"{name}:share", value)
    if share is not None and not 0 <= share <= cells.MICRO:
        raise Broken(f"{name}:share", value, "a share of 0 to 1", "0 至 1 的比例")
    return share


def _amount(name: str, row: Row) -> int | None:
    amount = cells.micro(f"{name}:amount_cny", row.get("amount_cny"))
    if amount is not None and amount < 0:
        raise Broken(f"{name}:amount_cny", row["amount_cny"], "zero or more", "不小于零")
    return amount


def _one_of(name: str, row: Row, key: str, choices: tuple[str, ...]) -> str:
    value = cells.word(f"{name}:{key}", row.get(key)) or choices[0]
    if value not in choices:
        raise Broken(f"{name}:{key}", value, " or ".join(choices), " 或 ".join(choices))
    return value


def _caps(name: str, value: object) -> tuple[Cap, ...]:
    rows = [value] if isinstance(value, dict) else _list(f"{name}:cap", value)
    caps = []
    for row in rows:
        amount = _amount(name, row)
        if amount is not None:
            per = _one_of(name, row, "per", ("enterprise", "contract", "project"))
            caps.append(Cap(amount, per, _one_of(name, row, "period", ("year", "validity"))))
    return tuple(caps)


def _budget(name: str, row: Row) -> Budget | None:
    amount = _amount(name, row)
    if amount is None:
        return None
    shared = _names_of(f"{name}:shared_with", row.get("shared_with"))
    return Budget(amount, _one_of(name, row, "period", ("year", "validity")), row.get("rule") == "pro_rata", shared)


def _exclude(name: str, row: Row) -> Exclude:
    return Exclude(
        programmes=_names_of(f"{name}:excludes", row.get("programmes")),
        group=cells.word(name, row.get("group")),
        level=cells.word(name, row.get("level")),
        same_place=row.get("same_place") is True,
        whole_enterprise=_one_of(name, row, "scope", ("contract", "enterprise")) == "enterprise",
    )
