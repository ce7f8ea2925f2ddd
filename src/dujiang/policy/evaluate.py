"""One enterprise, one purchase, one programme: what it pays and why (design 5.2, 5.4)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from dujiang.core.money import FEN, MICRO, cny, share_floor
from dujiang.core.text import Text
from dujiang.policy.condition import Outcome, asked_conditions, combined, judge
from dujiang.policy.programme import Clause, Condition, Programme, Rounding
from dujiang.registry.book import Fact


class Status(StrEnum):
    """How a programme answers; the first that applies, in this order."""

    NOT_COMPUTABLE = "not_computable"
    """The source leaves out a number, so no amount can be worked out."""
    NOT_YET = "not_yet"
    """The day is before its first day."""
    EXPIRED = "expired"
    """The day is after its last day."""
    INELIGIBLE = "ineligible"
    """A condition is not met, or the amount is below the minimum claim."""
    UNKNOWN = "unknown"
    """A condition cannot be judged: facts are missing, and named."""
    EXHAUSTED = "exhausted"
    """What is left of the cap or the budget is nothing, or less than the minimum claim."""
    OK = "ok"
    """It pays."""


class Binding(StrEnum):
    """Which limit sets the amount; at a tie the first."""

    RATE = "rate"
    CAP = "cap"
    BUDGET = "budget"
    NONE = "none"
    """Nothing is paid."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcome of one condition."""

    condition: Condition
    found: Fact | None
    """The fact as stated; None: nobody stated it."""
    outcome: Outcome
    clause: Clause | None
    """None: it rests on an assumption, which is in `condition.basis`, or on the good alone."""


@dataclass(frozen=True, slots=True)
class SpecialAnswer:
    """The outcome of one special rate."""

    share_ppm: int
    answers: tuple[Answer, ...]
    outcome: Outcome
    clause: Clause | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a programme pays for one purchase, with everything that led there."""

    programme_id: str
    status: Status
    reason: Text
    """The status in one sentence."""
    answers: tuple[Answer, ...]
    """All conditions, in the order of the file; the first asks for the good."""
    special: tuple[SpecialAnswer, ...]
    """All special rates, lowest first."""
    base_ucny: int
    share_ppm: int
    """Share that applies; 0 where the conditions are not all met or the day is outside the validity."""
    amount_ucny: int
    """Payable, cut down to the programme's unit (fen or yuan); 0 unless the status is ok."""
    binding: Binding
    needs_facts: tuple[str, ...]
    """Facts without which a condition cannot be judged."""
    would_raise: tuple[str, ...]
    """Facts that, if known, might bring a higher share."""
    clauses: tuple[Clause, ...]
    """The clauses that the answer rests on, each once, in the order of the file."""
    assumptions: tuple[Text, ...]
    """Readings chosen where the source is silent."""


def standing(programme: Programme, on: date) -> Status:
    """Return whether a programme can pay anybody on a day: not_computable, not_yet, expired or ok."""
    if programme.not_computable is not None:
        return Status.NOT_COMPUTABLE
    first, last = programme.valid.first, programme.valid.last
    if first is not None and on < first:
        return Status.NOT_YET
    return Status.EXPIRED if last is not None and on > last else Status.OK


def evaluate(
    programme: Programme,
    facts: Mapping[str, Fact],
    base_ucny: int,
    *,
    on: date,
    cap_left_ucny: int | None = None,
    budget_left_ucny: int | None = None,
) -> Evaluation:
    """Work out what a programme pays for one purchase.

    Parameters
    ----------
    programme : the rules
    facts : what is known of firm, purchase and seller; a missing fact is unknown. Money facts are in micro-yuan
    base_ucny : what `programme.base` names, without the excluded costs, micro-yuan, not negative
    on : civil date in Asia/Shanghai
    cap_left_ucny : what is left of the beneficiary's cap, micro-yuan; None: no earlier claim
    budget_left_ucny : what is left of the budget, micro-yuan; None: all of it

    Returns
    -------
    payable = min(share x base, cap left, budget left), cut down, because a rate is a ceiling; 0 unless it is ok
    """
    assert base_ucny >= 0
    answers = _answers(programme, asked_conditions(programme), facts)
    special = tuple(
        _special(programme, special_rate.when, special_rate.share_ppm, facts, special_rate.basis.clause)
        for special_rate in programme.special_rates
    )
    status, failed = standing(programme, on), combined([a.outcome for a in answers])
    if status is Status.OK and failed is not Outcome.MET:
        status = Status.INELIGIBLE if failed is Outcome.NOT_MET else Status.UNKNOWN
    share = _share(programme, special) if status is Status.OK else 0
    limits = _limits(programme, share_floor(base_ucny, share), cap_left_ucny, budget_left_ucny)
    binding = min(limits, key=lambda limit: limits[limit])  # at a tie the first, in the order of `Binding`
    amount = _cut(max(0, limits[binding]), programme.rounding)
    if status is Status.OK:
        status = _after_limits(programme, limits, amount)
    paid = status is Status.OK
    return Evaluation(
        programme_id=programme.id,
        status=status,
        reason=_reason(programme, status, answers),
        answers=answers,
        special=special,
        base_ucny=base_ucny,
        share_ppm=share,
        amount_ucny=amount if paid else 0,
        binding=binding if paid else Binding.NONE,
        needs_facts=_unknown_facts(answers),
        would_raise=_unknown_facts(a for s in special if s.outcome is Outcome.UNKNOWN for a in s.answers),
        clauses=_clauses(programme),
        assumptions=programme.assumptions(),
    )


def _answers(programme: Programme, conditions: Iterable[Condition], facts: Mapping[str, Fact]) -> tuple[Answer, ...]:
    return tuple(
        Answer(c, facts.get(c.fact), judge(c, facts.get(c.fact)), _clause(programme, c.basis.clause))
        for c in conditions
    )


def _special(
    programme: Programme, when: Iterable[Condition], share_ppm: int, facts: Mapping[str, Fact], clause: str | None
) -> SpecialAnswer:
    answers = _answers(programme, when, facts)
    return SpecialAnswer(share_ppm, answers, combined([a.outcome for a in answers]), _clause(programme, clause))


def _share(programme: Programme, special: tuple[SpecialAnswer, ...]) -> int:
    """Return the highest share that applies; a special rate whose conditions are unknown does not."""
    base = 0 if programme.rate is None else programme.rate.share_ppm
    return max([base, *(s.share_ppm for s in special if s.outcome is Outcome.MET)])


def _limits(
    programme: Programme, by_rate_ucny: int, cap_left_ucny: int | None, budget_left_ucny: int | None
) -> dict[Binding, int]:
    """Return the limits that there are, in the order of `Binding`."""
    limits = {Binding.RATE: by_rate_ucny}
    for binding, rule, left in (
        (Binding.CAP, programme.cap, cap_left_ucny),
        (Binding.BUDGET, programme.budget, budget_left_ucny),
    ):
        if left is not None:
            limits[binding] = left
        elif rule is not None:
            limits[binding] = rule.amount_ucny
    return limits


def _cut(ucny: int, rounding: Rounding) -> int:
    unit = FEN if rounding is Rounding.FEN else MICRO
    return ucny // unit * unit


def _after_limits(programme: Programme, limits: Mapping[Binding, int], amount_ucny: int) -> Status:
    """Tell whether an eligible purchase is paid: what is left may be nothing, or the claim too small."""
    least = 0 if programme.minimum is None else programme.minimum.amount_ucny
    left = min((limits[b] for b in (Binding.CAP, Binding.BUDGET) if b in limits), default=None)
    if left is not None and left < max(1, least):
        return Status.EXHAUSTED
    return Status.INELIGIBLE if amount_ucny < least else Status.OK


def _unknown_facts(answers: Iterable[Answer]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(a.condition.fact for a in answers if a.outcome is Outcome.UNKNOWN))


def _clause(programme: Programme, key: str | None) -> Clause | None:
    return None if key is None else programme.clause(key)


def _clauses(programme: Programme) -> tuple[Clause, ...]:
    named = {basis.clause for basis in programme.bases()}
    return tuple(clause for clause in programme.clauses if clause.key in named)


def _reason(programme: Programme, status: Status, answers: tuple[Answer, ...]) -> Text:
    """Say the status in one sentence, naming the first condition that is not met or the facts that are missing."""
    if status is Status.INELIGIBLE:
        unmet = next((a.condition for a in answers if a.outcome is Outcome.NOT_MET), None)
        return below_minimum(programme) if unmet is None else not_met(unmet)
    if status is Status.UNKNOWN:
        return missing(_unknown_facts(answers))
    return standing_reason(programme, status)


def not_met(condition: Condition) -> Text:
    """Say which condition is not met."""
    return Text(
        f"condition {condition.id} is not met: {condition.text.en}", f"条件 {condition.id} 不满足：{condition.text.zh}"
    )


def missing(facts: Iterable[str]) -> Text:
    """Say which facts are missing."""
    listed = ", ".join(facts)
    return Text(f"not known: {listed}", f"尚不清楚：{listed}")


def below_minimum(programme: Programme) -> Text:
    """Say that the claim is too small."""
    least = "0" if programme.minimum is None else cny(programme.minimum.amount_ucny)
    return Text(f"below the minimum claim of {least} CNY", f"低于最低申领额 {least} 元")


def standing_reason(programme: Programme, status: Status) -> Text:
    """Say a status that does not depend on a single condition."""
    if status is Status.NOT_COMPUTABLE and programme.not_computable is not None:
        return programme.not_computable
    first, last = programme.valid.first, programme.valid.last
    return {
        Status.NOT_YET: Text(f"valid from {first}", f"自 {first} 起有效"),
        Status.EXPIRED: Text(f"valid until {last}", f"有效期至 {last}"),
        Status.EXHAUSTED: Text("its cap or budget is used up", "额度或预算已用完"),
        Status.OK: Text("all conditions are met", "条件全部满足"),
    }[status]
