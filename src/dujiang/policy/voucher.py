"""The life of one voucher (design 5.6): a pure state machine over entries that say who, when and why.

    claim, then approve or void (the claim is refused)
    approved: reserve, redeem in parts and several times, release what a reservation does not need; claw back what was
    paid; expire what is free after the last day; void what is free, before or after it

Amounts never appear or vanish: at any time

    approved = free + reserved + redeemed + clawed back + expired + voided

A voucher is one enterprise's and stays so. It can be reserved on the days of its validity only, and redeemed only for
service of those days, which may be settled later: what an award has reserved does not expire before it is metered. A
reservation that is released after the last day expires at once. Clawed-back money goes back to the programme and is
never free again.

Every entry has a key chosen by the caller; an entry that is there already changes nothing (design 6.2), and another one
under its key is refused. Times do not run backwards.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from dujiang.core.errors import OperationError
from dujiang.core.money import cny
from dujiang.core.slots import SHANGHAI
from dujiang.core.text import Text


class Step(StrEnum):
    """What an entry does."""

    CLAIM = "claim"
    """The enterprise asks for an amount."""
    APPROVE = "approve"
    """The programme grants all of it or less, for a time."""
    RESERVE = "reserve"
    """An award takes a part of what is free."""
    REDEEM = "redeem"
    """Metered use is paid out of a reservation, wholly or in part."""
    RELEASE = "release"
    """A reservation, or a part of it, is not needed."""
    EXPIRE = "expire"
    """The last day is over: what is free is lost."""
    VOID = "void"
    """The claim is refused, or what is free is withdrawn; nothing can be reserved afterwards."""
    CLAW_BACK = "claw_back"
    """Paid money is taken back."""


STEP_WORDS: Mapping[Step, Text] = {
    Step.CLAIM: Text("claimed", "申领"),
    Step.APPROVE: Text("approved", "核准"),
    Step.RESERVE: Text("reserved", "预留"),
    Step.REDEEM: Text("redeemed", "兑付"),
    Step.RELEASE: Text("released", "释放"),
    Step.EXPIRE: Text("expired", "到期"),
    Step.VOID: Text("voided", "作废"),
    Step.CLAW_BACK: Text("clawed back", "追回"),
}

_WITH_AMOUNT = frozenset((Step.CLAIM, Step.APPROVE, Step.RESERVE, Step.REDEEM, Step.RELEASE, Step.CLAW_BACK))
_WITH_RESERVATION = frozenset((Step.RESERVE, Step.REDEEM, Step.RELEASE))


@dataclass(frozen=True, slots=True)
class Entry:
    """One step of a voucher's life."""

    key: str
    """Chosen by the caller; the same entry under the same key changes nothing."""
    step: Step
    at: datetime
    """When it was entered, an aware instant."""
    by: str
    """Who did it."""
    why: str
    enterprise_id: str
    """Whose voucher it is; never anybody else's."""
    amount_ucny: int | None = None
    """Micro-yuan, > 0; None for `expire` and `void`, which take all that is free."""
    reservation: str | None = None
    """Id of the award, for `reserve`, `redeem` and `release`."""
    first: date | None = None
    """First day of validity, for `approve`."""
    last: date | None = None
    """Last day of validity, inclusive, for `approve`."""
    used_on: date | None = None
    """Day of the service, for `redeem`; None: the day of the entry."""

    @property
    def day(self) -> date:
        """Civil day of the entry in Asia/Shanghai."""
        return self.at.astimezone(SHANGHAI).date()


class Stage(StrEnum):
    """Where a voucher stands."""

    CLAIMED = "claimed"
    APPROVED = "approved"
    """Something is free or reserved."""
    SPENT = "spent"
    """Nothing is free or reserved, and something was paid."""
    EXPIRED = "expired"
    """Nothing was paid, and what there was has expired."""
    VOIDED = "voided"
    """Refused, or withdrawn before anything was paid."""


@dataclass(frozen=True, slots=True)
class Voucher:
    """A voucher after some steps; amounts in micro-yuan, none below zero."""

    id: str
    programme_id: str
    enterprise_id: str
    claimed_ucny: int
    approved_ucny: int = 0
    first: date | None = None
    last: date | None = None
    free_ucny: int = 0
    reservations: Mapping[str, int] = field(default_factory=dict)
    """What is left of each open reservation."""
    redeemed_ucny: int = 0
    """Paid and not taken back."""
    clawed_back_ucny: int = 0
    expired_ucny: int = 0
    voided_ucny: int = 0
    closed: bool = False
    """It was voided."""
    history: tuple[Entry, ...] = ()

    @property
    def reserved_ucny(self) -> int:
        """What open reservations hold."""
        return sum(self.reservations.values())

    @property
    def is_approved(self) -> bool:
        """Whether the programme has granted it."""
        return self.approved_ucny > 0

    @property
    def stage(self) -> Stage:
        """Where it stands."""
        if not self.is_approved:
            return Stage.VOIDED if self.closed else Stage.CLAIMED
        if self.free_ucny or self.reservations:
            return Stage.APPROVED
        if self.redeemed_ucny or self.clawed_back_ucny:
            return Stage.SPENT
        return Stage.EXPIRED if self.expired_ucny and not self.closed else Stage.VOIDED

    def available_ucny(self, day: date) -> int:
        """Return what can be reserved on a civil day in Asia/Shanghai."""
        return self.free_ucny if not self.closed and self.holds_on(day) else 0

    def holds_on(self, day: date) -> bool:
        """Return whether a day belongs to its validity."""
        return (
            self.is_approved and (self.first is None or self.first <= day) and (self.last is None or day <= self.last)
        )

    def story(self) -> tuple[Text, ...]:
        """Tell every step so far, one line each."""
        return tuple(_line(entry) for entry in self.history)


class IllegalStepError(OperationError):
    """A step that the voucher's life does not allow; the message tells the story so far."""

    def __init__(self, voucher_id: str, entry: Entry, why: Text, story: tuple[Text, ...]) -> None:
        self.entry = entry
        self.why = why
        self.story = story
        done = STEP_WORDS[entry.step]
        en = "; ".join(line.en for line in story) or "nothing yet"
        zh = "；".join(line.zh for line in story) or "尚无记录"
        super().__init__(
            Text(
                f"voucher {voucher_id} cannot be {done.en}: {why.en}. So far: {en}",
                f"券 {voucher_id} 不能{done.zh}：{why.zh}。此前记录：{zh}",
            )
        )


def _line(entry: Entry) -> Text:
    amount = "" if entry.amount_ucny is None else f" {cny(entry.amount_ucny)} CNY"
    amount_zh = "" if entry.amount_ucny is None else f" {cny(entry.amount_ucny)} 元"
    target = "" if entry.reservation is None else f" for {entry.reservation}"
    target_zh = "" if entry.reservation is None else f"（{entry.reservation}）"
    words = STEP_WORDS[entry.step]
    return Text(
        f"{entry.day} {words.en}{amount}{target} by {entry.by} ({entry.why})",
        f"{entry.day} {entry.by} {words.zh}{amount_zh}{target_zh}（{entry.why}）",
    )


def claimed(voucher_id: str, programme_id: str, entry: Entry) -> Voucher:
    """Begin a voucher's life.

    Raises
    ------
    IllegalStepError : the entry is not a well-formed claim
    """
    fault = _malformed(entry)
    if fault is None and entry.step is not Step.CLAIM:
        fault = Text("its life begins with a claim", "须先申领")
    if fault is not None:
        raise IllegalStepError(voucher_id, entry, fault, ())
    assert entry.amount_ucny is not None
    return Voucher(voucher_id, programme_id, entry.enterprise_id, entry.amount_ucny, history=(entry,))


def apply(voucher: Voucher, entry: Entry) -> Voucher:
    """Take one step.

    Parameters
    ----------
    voucher : what there is
    entry : the step

    Returns
    -------
    the voucher after it; the same one if the entry is there already

    Raises
    ------
    IllegalStepError : the step is not allowed now, or its key stands for another entry
    """
    known = next((e for e in voucher.history if e.key == entry.key), None)
    if known == entry:
        return voucher
    fault = _malformed(entry) or _out_of_place(voucher, entry, known) or _STEPS[entry.step][0](voucher, entry)
    if fault is not None:
        raise IllegalStepError(voucher.id, entry, fault, voucher.story())
    return replace(_STEPS[entry.step][1](voucher, entry), history=(*voucher.history, entry))


def life(voucher_id: str, programme_id: str, entries: Iterable[Entry]) -> Voucher:
    """Return the voucher that several entries make, the claim first.

    Raises
    ------
    IllegalStepError : as `claimed` and `apply`
    ValueError : there is no entry
    """
    steps = iter(entries)
    first = next(steps, None)
    if first is None:
        raise ValueError("a life without an entry")
    voucher = claimed(voucher_id, programme_id, first)
    for entry in steps:
        voucher = apply(voucher, entry)
    return voucher


def last_day(approved_on: date, months: int) -> date:
    """Return the last day of a validity that is stated in months from the day of approval.

    The day of the last month that has the same number, or its last day where there is none: the first day does not
    count (民法典 articles 201 and 202).

    Raises
    ------
    ValueError : the day lies beyond the calendar
    """
    year, month = divmod(approved_on.year * 12 + approved_on.month - 1 + months, 12)
    following = date(year + (month == 11), (month + 1) % 12 + 1, 1)
    return date(year, month + 1, min(approved_on.day, (following - timedelta(days=1)).day))


# What is wrong with a step: None if nothing is.


def _malformed(entry: Entry) -> Text | None:
    """Return what is missing in an entry, whatever the voucher."""
    if not (entry.key and entry.by and entry.why and entry.enterprise_id):
        return Text("an entry says who, when and why", "记录须写明经办人、时间与事由")
    if entry.at.tzinfo is None:
        return Text("its time has no time zone", "时间缺少时区")
    if (entry.amount_ucny is not None) != (entry.step in _WITH_AMOUNT):
        return Text("an amount belongs to every step but expire and void", "除到期与作废外每一步须有金额")
    if entry.amount_ucny is not None and entry.amount_ucny <= 0:
        return Text("the amount is not above zero", "金额须大于零")
    if (entry.reservation is not None) != (entry.step in _WITH_RESERVATION):
        return Text("a reservation is named by reserve, redeem and release", "仅预留、兑付、释放须写明对应的成交")
    return None


def _out_of_place(voucher: Voucher, entry: Entry, known: Entry | None) -> Text | None:
    """Return what stands against an entry, whatever its step."""
    if known is not None:
        return Text(f"the key {entry.key} stands for another entry", f"编号 {entry.key} 已用于另一条记录")
    if entry.enterprise_id != voucher.enterprise_id:
        return Text(
            f"it is {voucher.enterprise_id}'s and cannot be transferred to {entry.enterprise_id}",
            f"该券属于 {voucher.enterprise_id}，不得转让给 {entry.enterprise_id}",
        )
    if entry.at < voucher.history[-1].at:
        return Text("it is earlier than the last entry", "时间早于上一条记录")
    if voucher.closed and entry.step is not Step.CLAW_BACK:
        return Text("it was voided", "该券已作废")
    if not voucher.is_approved and entry.step not in (Step.APPROVE, Step.VOID, Step.CLAIM):
        return Text("it was never approved", "该券尚未核准")
    return None


def _claim_fault(voucher: Voucher, entry: Entry) -> Text | None:
    return Text("it was claimed already", "该券已申领")


def _approve_fault(voucher: Voucher, entry: Entry) -> Text | None:
    if voucher.is_approved:
        return Text("it was approved already", "该券已核准")
    if _amount(entry) > voucher.claimed_ucny:
        return Text(f"only {cny(voucher.claimed_ucny)} CNY were claimed", f"仅申领 {cny(voucher.claimed_ucny)} 元")
    if entry.first is not None and entry.last is not None and entry.last < entry.first:
        return Text("its last day is before its first", "截止日早于起始日")
    return None


def _reserve_fault(voucher: Voucher, entry: Entry) -> Text | None:
    if not voucher.holds_on(entry.day):
        return _outside(voucher, entry.day)
    if any(e.step is Step.RESERVE and e.reservation == entry.reservation for e in voucher.history):
        return Text(f"{entry.reservation} has its reservation already", f"{entry.reservation} 已有预留")
    if _amount(entry) > voucher.free_ucny:
        return Text(f"only {cny(voucher.free_ucny)} CNY are free", f"仅余 {cny(voucher.free_ucny)} 元可用")
    return None


def _redeem_fault(voucher: Voucher, entry: Entry) -> Text | None:
    used_on = entry.used_on or entry.day
    if not voucher.holds_on(used_on):
        return _outside(voucher, used_on)
    if used_on > entry.day:
        return Text("the service lies in the future", "服务日期晚于记录日期")
    return _release_fault(voucher, entry)


def _release_fault(voucher: Voucher, entry: Entry) -> Text | None:
    held = voucher.reservations.get(entry.reservation or "")
    if held is None:
        return Text(f"nothing is reserved for {entry.reservation}", f"{entry.reservation} 没有预留")
    if _amount(entry) > held:
        return Text(
            f"only {cny(held)} CNY are reserved for {entry.reservation}", f"{entry.reservation} 仅预留 {cny(held)} 元"
        )
    return None


def _expire_fault(voucher: Voucher, entry: Entry) -> Text | None:
    if voucher.last is None:
        return Text("it has no last day", "该券没有截止日")
    if entry.day <= voucher.last:
        return Text(f"its last day is {voucher.last}", f"有效期至 {voucher.last}")
    return None if voucher.free_ucny else Text("nothing is free", "没有可用余额")


def _void_fault(voucher: Voucher, entry: Entry) -> Text | None:
    if voucher.reservations:
        open_ = ", ".join(sorted(voucher.reservations))
        return Text(f"redeem or release first what is reserved for {open_}", f"请先兑付或释放 {open_} 的预留")
    if voucher.is_approved and not voucher.free_ucny:
        return Text("nothing is free", "没有可用余额")
    return None


def _claw_back_fault(voucher: Voucher, entry: Entry) -> Text | None:
    if _amount(entry) > voucher.redeemed_ucny:
        paid = cny(voucher.redeemed_ucny)
        return Text(f"only {paid} CNY were paid and not taken back", f"已兑付未追回仅 {paid} 元")
    return None


def _outside(voucher: Voucher, day: date) -> Text:
    first, last = voucher.first or "…", voucher.last or "…"
    return Text(f"{day} is outside its validity from {first} to {last}", f"{day} 不在有效期 {first} 至 {last} 内")


def _amount(entry: Entry) -> int:
    assert entry.amount_ucny is not None
    return entry.amount_ucny


# What a lawful step does.


def _approve(voucher: Voucher, entry: Entry) -> Voucher:
    amount = _amount(entry)
    return replace(voucher, approved_ucny=amount, free_ucny=amount, first=entry.first, last=entry.last)


def _reserve(voucher: Voucher, entry: Entry) -> Voucher:
    amount = _amount(entry)
    return replace(voucher, free_ucny=voucher.free_ucny - amount, reservations=_reservations(voucher, entry, amount))


def _redeem(voucher: Voucher, entry: Entry) -> Voucher:
    amount = _amount(entry)
    left = _reservations(voucher, entry, -amount)
    return replace(voucher, reservations=left, redeemed_ucny=voucher.redeemed_ucny + amount)


def _release(voucher: Voucher, entry: Entry) -> Voucher:
    amount = _amount(entry)
    left = replace(voucher, reservations=_reservations(voucher, entry, -amount))
    if voucher.last is not None and entry.day > voucher.last:
        return replace(left, expired_ucny=voucher.expired_ucny + amount)
    return replace(left, free_ucny=voucher.free_ucny + amount)


def _expire(voucher: Voucher, entry: Entry) -> Voucher:
    return replace(voucher, free_ucny=0, expired_ucny=voucher.expired_ucny + voucher.free_ucny)


def _void(voucher: Voucher, entry: Entry) -> Voucher:
    return replace(voucher, free_ucny=0, voided_ucny=voucher.voided_ucny + voucher.free_ucny, closed=True)


def _claw_back(voucher: Voucher, entry: Entry) -> Voucher:
    amount = _amount(entry)
    redeemed, taken = voucher.redeemed_ucny - amount, voucher.clawed_back_ucny + amount
    return replace(voucher, redeemed_ucny=redeemed, clawed_back_ucny=taken)


def _reservations(voucher: Voucher, entry: Entry, change_ucny: int) -> Mapping[str, int]:
    """Return the open reservations after one has changed; one with nothing left is no longer open."""
    assert entry.reservation is not None
    after = {**voucher.reservations, entry.reservation: voucher.reservations.get(entry.reservation, 0) + change_ucny}
    return MappingProxyType({name: amount for name, amount in after.items() if amount})


def _never(voucher: Voucher, entry: Entry) -> Voucher:
    raise AssertionError("a second claim is always refused")


_STEPS = {
    Step.CLAIM: (_claim_fault, _never),
    Step.APPROVE: (_approve_fault, _approve),
    Step.RESERVE: (_reserve_fault, _reserve),
    Step.REDEEM: (_redeem_fault, _redeem),
    Step.RELEASE: (_release_fault, _release),
    Step.EXPIRE: (_expire_fault, _expire),
    Step.VOID: (_void_fault, _void),
    Step.CLAW_BACK: (_claw_back_fault, _claw_back),
}
"""What stands against each step, and what it does."""
