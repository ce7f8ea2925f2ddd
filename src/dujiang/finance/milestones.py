"""Funding in tranches that verified technical milestones release, with room for failure (容错性KPI): a state machine.

    open -> submitted -> verified -> paid       evidence is handed in, accepted, and its tranche is paid
            submitted -> open                   evidence is sent back; there is another attempt, and time for it

How many attempts, how many days of grace and how many extensions there are is data of the agreement (`Rules`). Funding
ends in one of five ways, and only one of them is somebody's fault:

    completed     every tranche is paid
    honest        a reviewer finds that the work was done and the idea did not work, on a ground that the rules name
    lapsed        the last day of a milestone is over and nobody has found anything: in doubt there is no fault
    withdrawn     the enterprise gives up
    fault         a reviewer finds a breach, on a ground that the rules name

Without fault, what was verified is still paid, what was paid stays paid, and what was not yet earned goes back to the
funder. With fault, nothing more is paid and the share of the paid tranches that the rules name is owed back. Amounts
never appear or vanish: at any time

    committed = locked + released + paid + returned + clawed back

Nobody decides about themselves: the verifier and the reviewer are others than the enterprise. As with vouchers, an
entry says who, when and why under a key chosen by the caller; the same entry again changes nothing (design 6.2).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from dujiang.core.errors import OperationError
from dujiang.core.money import cny, share_floor
from dujiang.core.slots import SHANGHAI
from dujiang.core.text import Text


class Step(StrEnum):
    """What an entry does."""

    SUBMIT = "submit"
    """The enterprise hands in evidence of a milestone."""
    VERIFY = "verify"
    """The verifier accepts it: the tranche is released."""
    SEND_BACK = "send_back"
    """The verifier finds it not enough: another attempt."""
    EXTEND = "extend"
    """The funder moves the last day of a milestone."""
    PAY = "pay"
    """The funder pays a released tranche."""
    END_HONEST = "end_honest"
    """The reviewer finds an honest failure."""
    END_LAPSED = "end_lapsed"
    """The funder ends funding of which a milestone's last day is over."""
    WITHDRAW = "withdraw"
    """The enterprise gives up."""
    END_FAULT = "end_fault"
    """The reviewer finds a fault."""
    CLAW_BACK = "claw_back"
    """The funder gets back what is owed after a fault, wholly or in part."""


STEP_WORDS: Mapping[Step, Text] = {
    Step.SUBMIT: Text("evidence handed in", "提交证明"),
    Step.VERIFY: Text("verified", "核验通过"),
    Step.SEND_BACK: Text("sent back", "退回补充"),
    Step.EXTEND: Text("extended", "延期"),
    Step.PAY: Text("paid", "拨付"),
    Step.END_HONEST: Text("ended as an honest failure", "认定为合理失败并终止"),
    Step.END_LAPSED: Text("lapsed", "逾期终止"),
    Step.WITHDRAW: Text("withdrawn", "主动退出"),
    Step.END_FAULT: Text("ended for fault", "认定过错并终止"),
    Step.CLAW_BACK: Text("clawed back", "追回"),
}

_OF_A_MILESTONE = frozenset((Step.SUBMIT, Step.VERIFY, Step.SEND_BACK, Step.EXTEND, Step.PAY))
_WITH_EVIDENCE = frozenset((Step.SUBMIT, Step.END_HONEST, Step.END_FAULT))
_WITH_GROUND = frozenset((Step.END_HONEST, Step.END_FAULT))


class Standing(StrEnum):
    """Where a milestone stands."""

    OPEN = "open"
    SUBMITTED = "submitted"
    VERIFIED = "verified"
    PAID = "paid"
    RETURNED = "returned"
    """Funding ended before it was earned."""


class Ending(StrEnum):
    """How funding ended."""

    COMPLETED = "completed"
    HONEST = "honest"
    LAPSED = "lapsed"
    WITHDRAWN = "withdrawn"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Rules:
    """How much room for failure an agreement leaves."""

    attempts: int
    """How often evidence of one milestone may be handed in, >= 1."""
    grace_days: int
    """Days after the due day on which evidence is still taken; also the least time that is left after one was sent
    back."""
    extensions: int
    """How often a milestone may be extended."""
    extension_days: int
    """By how many days each time."""
    honest_grounds: tuple[str, ...]
    """What a reviewer may call an honest failure."""
    fault_grounds: tuple[str, ...]
    """What a reviewer may call a fault: nothing else is one."""
    claw_back_ppm: int
    """Share of what was paid that is owed back after a fault."""


@dataclass(frozen=True, slots=True)
class Tranche:
    """One milestone and the money that it releases."""

    id: str
    what: Text
    evidence: Text
    """What has to be handed in."""
    due: date
    """Civil day in Asia/Shanghai."""
    amount_ucny: int


@dataclass(frozen=True, slots=True)
class Agreement:
    """What was agreed. The tranches are reached in their order."""

    id: str
    enterprise: str
    funder: str
    verifier: str
    reviewer: str
    rules: Rules
    tranches: tuple[Tranche, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One step."""

    key: str
    """Chosen by the caller; the same entry under the same key changes nothing."""
    step: Step
    at: datetime
    """When it was entered, an aware instant."""
    by: str
    why: str
    milestone: str | None = None
    """For steps of one milestone."""
    evidence: str | None = None
    """What the decision or the claim rests on: name or digest of a document."""
    ground: str | None = None
    """Of the rules, for the two findings."""
    amount_ucny: int | None = None
    """For `claw_back`."""

    @property
    def day(self) -> date:
        """Civil day of the entry in Asia/Shanghai."""
        return self.at.astimezone(SHANGHAI).date()


@dataclass(frozen=True, slots=True)
class Progress:
    """Where one milestone stands."""

    standing: Standing
    last_day: date
    """Last day on which evidence is taken, grace included."""
    attempts: int = 0
    extensions: int = 0


@dataclass(frozen=True, slots=True)
class Funding:
    """An agreement after some steps; amounts in micro-yuan, none below zero."""

    agreement: Agreement
    progress: Mapping[str, Progress]
    paid_ucny: int = 0
    """Paid and not taken back."""
    clawed_back_ucny: int = 0
    owed_back_ucny: int = 0
    """After a fault, what is still to come back; a part of what is paid."""
    ending: Ending | None = None
    history: tuple[Entry, ...] = field(default=())

    @property
    def committed_ucny(self) -> int:
        """What was agreed in all."""
        return sum(t.amount_ucny for t in self.agreement.tranches)

    @property
    def locked_ucny(self) -> int:
        """What is not yet earned."""
        return self._sum(Standing.OPEN, Standing.SUBMITTED)

    @property
    def released_ucny(self) -> int:
        """What is earned and not yet paid."""
        return self._sum(Standing.VERIFIED)

    @property
    def returned_ucny(self) -> int:
        """What went back to the funder unpaid."""
        return self._sum(Standing.RETURNED)

    @property
    def has_fault(self) -> bool:
        """Whether a fault is booked."""
        return self.ending is Ending.FAULT

    def current(self) -> Tranche | None:
        """Return the milestone that is to be reached next, if any."""
        waiting = (Standing.OPEN, Standing.SUBMITTED)
        return next((t for t in self.agreement.tranches if self.progress[t.id].standing in waiting), None)

    def is_overdue(self, day: date) -> bool:
        """Return whether the last day of the next milestone is over and nothing was handed in."""
        tranche = self.current()
        if tranche is None:
            return False
        progress = self.progress[tranche.id]
        return progress.standing is Standing.OPEN and day > progress.last_day

    def story(self) -> tuple[Text, ...]:
        """Tell every step so far, one line each."""
        return tuple(_line(entry) for entry in self.history)

    def _sum(self, *standings: Standing) -> int:
        return sum(t.amount_ucny for t in self.agreement.tranches if self.progress[t.id].standing in standings)


class IllegalMilestoneStepError(OperationError):
    """A step that the agreement does not allow; the message tells the story so far."""

    def __init__(self, agreement_id: str, entry: Entry, why: Text, story: tuple[Text, ...]) -> None:
        self.entry = entry
        self.why = why
        done = STEP_WORDS[entry.step]
        en, zh = "; ".join(line.en for line in story), "；".join(line.zh for line in story)
        super().__init__(
            Text(
                f"agreement {agreement_id} cannot be {done.en}: {why.en}. So far: {en or 'nothing yet'}",
                f"协议 {agreement_id} 不能{done.zh}：{why.zh}。此前记录：{zh or '尚无记录'}",
            )
        )


def begun(agreement: Agreement) -> Funding:
    """Return an agreement before its first step."""
    grace = timedelta(days=agreement.rules.grace_days)
    progress = {t.id: Progress(Standing.OPEN, t.due + grace) for t in agreement.tranches}
    return Funding(agreement, MappingProxyType(progress))


def apply(funding: Funding, entry: Entry) -> Funding:
    """Take one step.

    Returns
    -------
    the funding after it; the same one if the entry is there already

    Raises
    ------
    IllegalMilestoneStepError : the step is not allowed now, or its key stands for another entry
    """
    known = next((e for e in funding.history if e.key == entry.key), None)
    if known == entry:
        return funding
    fault = _malformed(funding, entry) or _out_of_place(funding, entry, known) or _STEPS[entry.step][0](funding, entry)
    if fault is not None:
        raise IllegalMilestoneStepError(funding.agreement.id, entry, fault, funding.story())
    after = _STEPS[entry.step][1](funding, entry)
    return replace(after, history=(*funding.history, entry))


def followed(agreement: Agreement, entries: Iterable[Entry]) -> Funding:
    """Return what several entries make of an agreement.

    Raises
    ------
    IllegalMilestoneStepError : as `apply`
    """
    funding = begun(agreement)
    for entry in entries:
        funding = apply(funding, entry)
    return funding


def as_of(funding: Funding, day: date) -> Funding:
    """Return how an agreement stood at the end of a day: what happened later is left out."""
    return followed(funding.agreement, [entry for entry in funding.history if entry.day <= day])


def _line(entry: Entry) -> Text:
    of = "" if entry.milestone is None else f" {entry.milestone}"
    amount = "" if entry.amount_ucny is None else f" {cny(entry.amount_ucny)}"
    words, ground = STEP_WORDS[entry.step], "" if entry.ground is None else f" [{entry.ground}]"
    return Text(
        f"{entry.day}{of} {words.en}{amount}{' CNY' if amount else ''}{ground} by {entry.by} ({entry.why})",
        f"{entry.day} {entry.by}{of} {words.zh}{amount}{' 元' if amount else ''}{ground}（{entry.why}）",
    )


# What is wrong with a step: None if nothing is.


def _malformed(funding: Funding, entry: Entry) -> Text | None:
    """Return what is missing in an entry, whatever has happened."""
    if not (entry.key and entry.by and entry.why):
        return Text("an entry says who, when and why", "记录须写明经办人、时间与事由")
    if entry.at.tzinfo is None:
        return Text("its time has no time zone", "时间缺少时区")
    if (entry.milestone is not None) != (entry.step in _OF_A_MILESTONE):
        return Text("a milestone is named by the steps of a milestone alone", "仅里程碑步骤须写明里程碑")
    if entry.milestone is not None and entry.milestone not in funding.progress:
        return Text(f"there is no milestone {entry.milestone}", f"没有里程碑 {entry.milestone}")
    if bool(entry.evidence) != (entry.step in _WITH_EVIDENCE):
        return Text("evidence belongs to a submission and to a finding", "仅提交与认定须附证明材料")
    if (entry.ground is not None) != (entry.step in _WITH_GROUND):
        return Text("a ground belongs to a finding", "仅认定须写明事由类别")
    if (entry.amount_ucny is not None) != (entry.step is Step.CLAW_BACK):
        return Text("an amount belongs to a claw-back", "仅追回须写明金额")
    return None


def _out_of_place(funding: Funding, entry: Entry, known: Entry | None) -> Text | None:
    """Return what stands against an entry, whatever its step."""
    if known is not None:
        return Text(f"the key {entry.key} stands for another entry", f"编号 {entry.key} 已用于另一条记录")
    who = _WHO[entry.step]
    if entry.by != getattr(funding.agreement, who):
        return Text(f"that is for the {who} to do", f"应由{_ROLE_WORDS[who]}办理")
    if funding.history and entry.at < funding.history[-1].at:
        return Text("it is earlier than the last entry", "时间早于上一条记录")
    if funding.ending is not None and entry.step not in (Step.PAY, Step.CLAW_BACK):
        return Text(f"funding has ended ({funding.ending})", f"资助已终止（{funding.ending}）")
    return None


def _submit_fault(funding: Funding, entry: Entry) -> Text | None:
    progress, current = _of(funding, entry), funding.current()
    if progress.standing is not Standing.OPEN:
        return _stands(progress)
    if current is None or current.id != entry.milestone:
        first = "" if current is None else current.id
        return Text(f"{first} comes first", f"须先完成 {first}")
    if progress.attempts >= funding.agreement.rules.attempts:
        most = funding.agreement.rules.attempts
        return Text(f"there were {most} attempts already", f"已提交 {most} 次，达到上限")
    if entry.day > progress.last_day:
        return Text(f"its last day was {progress.last_day}", f"最后期限为 {progress.last_day}")
    return None


def _decide_fault(funding: Funding, entry: Entry) -> Text | None:
    progress = _of(funding, entry)
    return None if progress.standing is Standing.SUBMITTED else _stands(progress)


def _extend_fault(funding: Funding, entry: Entry) -> Text | None:
    progress, rules = _of(funding, entry), funding.agreement.rules
    if progress.standing is not Standing.OPEN:
        return _stands(progress)
    if progress.extensions >= rules.extensions:
        return Text(f"it was extended {progress.extensions} times already", f"已延期 {progress.extensions} 次")
    if entry.day > progress.last_day:
        return Text(f"its last day was {progress.last_day}", f"最后期限为 {progress.last_day}")
    return None


def _pay_fault(funding: Funding, entry: Entry) -> Text | None:
    progress = _of(funding, entry)
    return None if progress.standing is Standing.VERIFIED else _stands(progress)


def _honest_fault(funding: Funding, entry: Entry) -> Text | None:
    return _withdraw_fault(funding, entry) or _no_ground(entry, funding.agreement.rules.honest_grounds)


def _fault_fault(funding: Funding, entry: Entry) -> Text | None:
    return _no_ground(entry, funding.agreement.rules.fault_grounds)


def _no_ground(entry: Entry, grounds: tuple[str, ...]) -> Text | None:
    if entry.ground in grounds:
        return None
    listed = ", ".join(grounds) or "-"
    return Text(
        f"the rules name no ground {entry.ground}, only {listed}", f"规则未列事由 {entry.ground}，仅有 {listed}"
    )


def _lapse_fault(funding: Funding, entry: Entry) -> Text | None:
    if funding.is_overdue(entry.day):
        return None
    current = funding.current()
    if current is None:
        return Text("every milestone is reached", "里程碑均已达成")
    progress = funding.progress[current.id]
    if progress.standing is Standing.SUBMITTED:
        return Text(f"evidence of {current.id} waits for the verifier", f"{current.id} 的证明正待核验")
    return Text(f"evidence is taken until {progress.last_day}", f"{progress.last_day} 前仍可提交证明")


def _withdraw_fault(funding: Funding, entry: Entry) -> Text | None:
    return None if funding.current() else Text("every milestone is reached", "里程碑均已达成")


def _claw_back_fault(funding: Funding, entry: Entry) -> Text | None:
    if entry.amount_ucny is None or entry.amount_ucny <= 0:
        return Text("the amount is not above zero", "金额须大于零")
    if entry.amount_ucny > funding.owed_back_ucny:
        owed = cny(funding.owed_back_ucny)
        return Text(f"only {owed} CNY are owed back", f"应追回仅 {owed} 元")
    return None


def _stands(progress: Progress) -> Text:
    return Text(f"it is {progress.standing}", f"当前状态为 {progress.standing}")


def _of(funding: Funding, entry: Entry) -> Progress:
    assert entry.milestone is not None
    return funding.progress[entry.milestone]


# What a lawful step does.


def _with(funding: Funding, entry: Entry, progress: Progress) -> Funding:
    assert entry.milestone is not None
    return replace(funding, progress=MappingProxyType({**funding.progress, entry.milestone: progress}))


def _submit(funding: Funding, entry: Entry) -> Funding:
    progress = _of(funding, entry)
    return _with(funding, entry, replace(progress, standing=Standing.SUBMITTED, attempts=progress.attempts + 1))


def _verify(funding: Funding, entry: Entry) -> Funding:
    return _with(funding, entry, replace(_of(funding, entry), standing=Standing.VERIFIED))


def _send_back(funding: Funding, entry: Entry) -> Funding:
    progress = _of(funding, entry)
    # The verifier's own time is not the enterprise's: there is always the grace left for another attempt.
    least = entry.day + timedelta(days=funding.agreement.rules.grace_days)
    return _with(funding, entry, replace(progress, standing=Standing.OPEN, last_day=max(progress.last_day, least)))


def _extend(funding: Funding, entry: Entry) -> Funding:
    progress = _of(funding, entry)
    later = progress.last_day + timedelta(days=funding.agreement.rules.extension_days)
    return _with(funding, entry, replace(progress, last_day=later, extensions=progress.extensions + 1))


def _pay(funding: Funding, entry: Entry) -> Funding:
    amount = next(t.amount_ucny for t in funding.agreement.tranches if t.id == entry.milestone)
    after = _with(funding, entry, replace(_of(funding, entry), standing=Standing.PAID))
    after = replace(after, paid_ucny=after.paid_ucny + amount)
    # Funding that ended otherwise has a milestone that went back, so it never comes to this.
    is_done = all(p.standing is Standing.PAID for p in after.progress.values())
    return replace(after, ending=Ending.COMPLETED) if is_done else after


def _end(funding: Funding, ending: Ending, *standings: Standing) -> Funding:
    """End funding; milestones that stand so go back to the funder."""
    after = {
        name: replace(p, standing=Standing.RETURNED) if p.standing in standings else p
        for name, p in funding.progress.items()
    }
    return replace(funding, progress=MappingProxyType(after), ending=ending)


def _end_honest(funding: Funding, entry: Entry) -> Funding:
    return _end(funding, Ending.HONEST, Standing.OPEN, Standing.SUBMITTED)


def _end_lapsed(funding: Funding, entry: Entry) -> Funding:
    return _end(funding, Ending.LAPSED, Standing.OPEN, Standing.SUBMITTED)


def _withdraw(funding: Funding, entry: Entry) -> Funding:
    return _end(funding, Ending.WITHDRAWN, Standing.OPEN, Standing.SUBMITTED)


def _end_fault(funding: Funding, entry: Entry) -> Funding:
    after = _end(funding, Ending.FAULT, Standing.OPEN, Standing.SUBMITTED, Standing.VERIFIED)
    return replace(after, owed_back_ucny=share_floor(after.paid_ucny, funding.agreement.rules.claw_back_ppm))


def _claw_back(funding: Funding, entry: Entry) -> Funding:
    amount = entry.amount_ucny or 0
    return replace(
        funding,
        paid_ucny=funding.paid_ucny - amount,
        clawed_back_ucny=funding.clawed_back_ucny + amount,
        owed_back_ucny=funding.owed_back_ucny - amount,
    )


_STEPS = {
    Step.SUBMIT: (_submit_fault, _submit),
    Step.VERIFY: (_decide_fault, _verify),
    Step.SEND_BACK: (_decide_fault, _send_back),
    Step.EXTEND: (_extend_fault, _extend),
    Step.PAY: (_pay_fault, _pay),
    Step.END_HONEST: (_honest_fault, _end_honest),
    Step.END_LAPSED: (_lapse_fault, _end_lapsed),
    Step.WITHDRAW: (_withdraw_fault, _withdraw),
    Step.END_FAULT: (_fault_fault, _end_fault),
    Step.CLAW_BACK: (_claw_back_fault, _claw_back),
}
"""What stands against each step, and what it does."""

_WHO: Mapping[Step, str] = {
    Step.SUBMIT: "enterprise",
    Step.VERIFY: "verifier",
    Step.SEND_BACK: "verifier",
    Step.EXTEND: "funder",
    Step.PAY: "funder",
    Step.END_HONEST: "reviewer",
    Step.END_LAPSED: "funder",
    Step.WITHDRAW: "enterprise",
    Step.END_FAULT: "reviewer",
    Step.CLAW_BACK: "funder",
}
_ROLE_WORDS = {"enterprise": "企业", "verifier": "核验方", "reviewer": "评审方", "funder": "资助方"}
