"""One enterprise, one purchase, one programme: what it pays and why (design 5.2, 5.4)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from dujiang.core.money import cny_grouped
from dujiang.core.text import Text
from dujiang.policy.condition import Outcome, asked_conditions, combined, judge
from dujiang.policy.payment import (
    NO_CLAIMS,
    Binding,
    Claimed,
    Payment,
    Rule,
    Step,
    base_of,
    contract_days,
    payment,
)
from dujiang.policy.programme import Asked, Clause, Condition, ConditionGroup, How, Programme, SpecialRate
from dujiang.registry.book import Fact

__all__ = [
    "Answer",
    "Binding",
    "Claimed",
    "Evaluation",
    "GroupAnswer",
    "Rule",
    "SpecialAnswer",
    "Status",
    "Step",
    "applies",
    "base_of",
    "below_minimum",
    "evaluate",
    "missing",
    "not_met",
    "rank",
    "single_answers",
    "standing",
    "standing_reason",
]


class Status(StrEnum):
    """How a programme answers; the first that applies, in this order."""

    NOT_COMPUTABLE = "not_computable"
    """The source leaves out a number, so no amount can be worked out."""
    NOT_YET = "not_yet"
    """The day is before its first day."""
    EXPIRED = "expired"
    """The day is after its last day."""
    INELIGIBLE = "ineligible"
    """A condition is not met, no rate applies, or the amount is nothing or below the minimum claim."""
    UNKNOWN = "unknown"
    """Facts are missing, and named; it would be eligible if they were as the conditions ask."""
    EXHAUSTED = "exhausted"
    """What is left of the cap or the budget is nothing, or less than the minimum claim."""
    OK = "ok"
    """It pays: the amount is above zero."""


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
class GroupAnswer:
    """The outcome of a group of conditions."""

    group: ConditionGroup
    answers: "tuple[Answer | GroupAnswer, ...]"
    outcome: Outcome


AnyAnswer = Answer | GroupAnswer


@dataclass(frozen=True, slots=True)
class SpecialAnswer:
    """The outcome of one special rate."""

    share_ppm: int
    cap_ucny: int | None
    """The cap that it brings; None: the caps stay."""
    answers: tuple[AnyAnswer, ...]
    outcome: Outcome
    applies: bool
    """Whether this is the one that counts, if the programme pays."""
    clause: Clause | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a programme pays for one purchase, with everything that led there."""

    programme_id: str
    status: Status
    reason: Text
    """The status in one sentence."""
    answers: tuple[AnyAnswer, ...]
    """All conditions, in the order of the file; the first asks for the good."""
    special: tuple[SpecialAnswer, ...]
    """All special rates, lowest first."""
    base_ucny: int | None
    """What the purchase states; None: not known, or of no matter to a fixed amount."""
    counted_ucny: int | None
    """The part of it that the rate is applied to; None as `base_ucny`, or where nothing was worked out."""
    share_ppm: int | None
    """Share that applies; 0 where nothing is worked out, None for slices at shares of their own or a fixed amount."""
    amount_ucny: int
    """Payable, cut down to the programme's unit (fen or yuan); 0 unless the status is ok."""
    would_pay_ucny: int
    """The amount if every unknown condition were met, special rates left out; equal to it if ok, 0 if neither."""
    binding: Binding
    binding_clause: Clause | None
    """The clause of the binding limit; None if nothing binds, or it rests on an assumption or the caller's figure."""
    steps: tuple[Step, ...]
    """The calculation line by line; empty where there is none."""
    needs_facts: tuple[str, ...]
    """Facts without which it cannot be told: "would be eligible if …"."""
    in_the_way: tuple[Asked, ...]
    """Conditions that are not met, so that it is plain what would have to change; groups as a whole."""
    would_raise: tuple[str, ...]
    """Facts that, if known, might bring a higher share or a higher cap."""
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


def applies(programme: Programme, outcomes: Sequence[Outcome]) -> SpecialRate | None:
    """Return the special case that counts.

    Parameters
    ----------
    outcomes : one per special rate of the programme, in its order; one that is unknown does not apply

    Returns
    -------
    of those met the one with the highest share, at equal shares with the highest cap, then the first; None: the rate
    """
    met = [s for s, outcome in zip(programme.special_rates, outcomes, strict=True) if outcome is Outcome.MET]
    return max(met, key=lambda special: rank(programme, special), default=None)


def evaluate(
    programme: Programme,
    facts: Mapping[str, Fact],
    base_ucny: int | None = None,
    *,
    on: date,
    claimed: Claimed = NO_CLAIMS,
    cap_left_ucny: int | None = None,
    budget_left_ucny: int | None = None,
) -> Evaluation:
    """Work out what a programme pays for one purchase.

    Parameters
    ----------
    programme : the rules
    facts : what is known of firm, purchase and seller; a missing fact is unknown. Money facts are in micro-yuan
    base_ucny : what `programme.base` names, without the excluded costs, micro-yuan, not negative; None: the fact
    on : civil date in Asia/Shanghai
    claimed : what was claimed of the programme before, counted on that day
    cap_left_ucny : a further limit beside the caps less what was claimed, micro-yuan; None: none
    budget_left_ucny : what is left of the budget, of a shared purse for all who share it, micro-yuan; None: all of it

    Returns
    -------
    payable = min(rate x base, caps left, budget left), cut down, because a rate is a ceiling; 0 unless it is ok
    """
    base = base_of(programme, facts) if base_ucny is None else base_ucny
    assert base is None or base >= 0
    answers = _answers(programme, asked_conditions(programme), facts)
    asked = [_answers(programme, special.when, facts) for special in programme.special_rates]
    outcomes = [combined([a.outcome for a in of_one]) for of_one in asked]
    special = applies(programme, outcomes)
    case = _Case(programme, facts, base, answers, outcomes, special)
    status = case.status(on)
    paid = None
    if status is Status.OK or (status is Status.UNKNOWN and case.can_be_worked_out):
        left = {"cap_left_ucny": cap_left_ucny, "budget_left_ucny": budget_left_ucny}
        paid = payment(programme, base, facts, special=special, claimed=claimed, **left)
    after = Status.OK if paid is None else _after_limits(programme, paid)
    if status is Status.OK:
        status = after
    ok = status is Status.OK and paid is not None
    return Evaluation(
        programme_id=programme.id,
        status=status,
        reason=case.reason(status, paid),
        answers=answers,
        special=tuple(
            SpecialAnswer(s.share_ppm, s.cap_ucny, of_one, outcome, s is special, _clause(programme, s.basis.clause))
            for s, of_one, outcome in zip(programme.special_rates, asked, outcomes, strict=True)
        ),
        base_ucny=base,
        counted_ucny=None if paid is None else paid.counted_ucny,
        share_ppm=0 if paid is None or status is Status.UNKNOWN else paid.share_ppm,
        amount_ucny=paid.amount_ucny if ok and paid is not None else 0,
        would_pay_ucny=0 if paid is None or after is not Status.OK else paid.amount_ucny,
        binding=paid.binding if ok and paid is not None else Binding.NONE,
        binding_clause=None if not ok or paid is None or paid.basis is None else _clause(programme, paid.basis.clause),
        steps=() if paid is None else paid.steps,
        needs_facts=case.needs_facts(),
        in_the_way=tuple(_in_the_way(answers)),
        would_raise=case.would_raise(),
        clauses=_clauses(programme),
        assumptions=programme.assumptions(),
    )


@dataclass(frozen=True, slots=True)
class _Case:
    """What is known of one purchase before an amount is worked out."""

    programme: Programme
    facts: Mapping[str, Fact]
    base_ucny: int | None
    answers: tuple[AnyAnswer, ...]
    outcomes: list[Outcome]
    """Of the special rates."""
    special: SpecialRate | None

    @property
    def has_rate(self) -> bool:
        """Whether a rate, a special rate that is met, or an amount applies."""
        return self.special is not None or self.programme.rate is not None or self.programme.amount is not None

    @property
    def can_be_worked_out(self) -> bool:
        """Whether an amount can be worked out, leaving the conditions aside."""
        return self.has_rate and not self.needs_for_base()

    def status(self, on: date) -> Status:
        """Return the status as far as it does not depend on an amount."""
        status = standing(self.programme, on)
        if status is not Status.OK:
            return status
        asked = combined([a.outcome for a in self.answers])
        rated = Outcome.MET if self.has_rate else combined(self.outcomes, How.ANY)
        both = combined([asked, rated])
        if both is Outcome.NOT_MET:
            return Status.INELIGIBLE
        return Status.UNKNOWN if both is Outcome.UNKNOWN or self.needs_for_base() else Status.OK

    def needs_for_base(self) -> tuple[str, ...]:
        """Return the facts without which the base is not known, or not the part of it that counts."""
        programme, rule = self.programme, self.programme.pro_rata
        if programme.base is None or programme.not_computable is not None:
            return ()
        # One of two facts is enough for a contract; the better one is asked for.
        needed = programme.base.facts[:1] if self.base_ucny is None else ()
        if rule is None or contract_days(rule, self.facts) is not None:
            return needed
        return (*needed, *rule.facts)

    def needs_facts(self) -> tuple[str, ...]:
        """Return every fact without which it cannot be told, each once."""
        rates = () if self.has_rate else tuple(self._special_unknown())
        return tuple(dict.fromkeys((*_unknown_facts(self.answers), *rates, *self.needs_for_base())))

    def would_raise(self) -> tuple[str, ...]:
        """Return the facts of special cases that are not known to apply and would count before what does."""
        least = None if self.special is None else rank(self.programme, self.special)
        return tuple(dict.fromkeys(self._special_unknown(least)))

    def _special_unknown(self, least: tuple[int, int] | None = None) -> Iterator[str]:
        for special, outcome in zip(self.programme.special_rates, self.outcomes, strict=True):
            if outcome is Outcome.UNKNOWN and (least is None or rank(self.programme, special) > least):
                yield from _unknown_facts(_answers(self.programme, special.when, self.facts))

    def reason(self, status: Status, paid: Payment | None) -> Text:
        """Say the status in one sentence, naming the first condition that is not met or the facts that are missing."""
        if status is Status.INELIGIBLE:
            unmet = next(_in_the_way(self.answers), None)
            if unmet is not None:
                return not_met(unmet)
            if paid is None:
                return NO_RATE
            return below_minimum(self.programme) if paid.amount_ucny else _nothing(paid)
        if status is Status.UNKNOWN:
            return missing(self.needs_facts())
        return standing_reason(self.programme, status)


NO_RATE = Text("no rate applies: none of the special cases is met", "没有适用的比例：各特别情形均不满足")


def single_answers(answers: Iterable[AnyAnswer]) -> Iterator[Answer]:
    """Yield the answers to single conditions, those of groups in their places."""
    for answer in answers:
        if isinstance(answer, GroupAnswer):
            yield from single_answers(answer.answers)
        else:
            yield answer


def _answers(programme: Programme, asked: Iterable[Asked], facts: Mapping[str, Fact]) -> tuple[AnyAnswer, ...]:
    return tuple(_answer(programme, item, facts) for item in asked)


def _answer(programme: Programme, asked: Asked, facts: Mapping[str, Fact]) -> AnyAnswer:
    if isinstance(asked, ConditionGroup):
        answers = _answers(programme, asked.members, facts)
        return GroupAnswer(asked, answers, combined([a.outcome for a in answers], asked.how))
    found = facts.get(asked.fact)
    return Answer(asked, found, judge(asked, found), _clause(programme, asked.basis.clause))


def rank(programme: Programme, special: SpecialRate) -> tuple[int, int]:
    """Return by what a special case counts before another: its share, then the least cap that holds with it."""
    caps = [cap.amount_ucny for cap in programme.caps_in(special)]
    return special.share_ppm, min(caps, default=_NO_CAP)


_NO_CAP = 1 << 62


def _after_limits(programme: Programme, paid: Payment) -> Status:
    """Tell whether an eligible purchase is paid: what is left may be nothing, or the claim too small."""
    least = max(1, 0 if programme.minimum is None else programme.minimum.amount_ucny)
    if paid.left_ucny is not None and programme.rounding.cut(paid.left_ucny) < least:
        return Status.EXHAUSTED
    return Status.INELIGIBLE if paid.amount_ucny < least else Status.OK


def _unknown_facts(answers: Iterable[AnyAnswer]) -> Iterator[str]:
    """Yield the facts that leave a condition unknown; of a group only where the group itself is unknown."""
    for answer in answers:
        if answer.outcome is not Outcome.UNKNOWN:
            continue
        if isinstance(answer, GroupAnswer):
            yield from _unknown_facts(answer.answers)
        else:
            yield answer.condition.fact


def _in_the_way(answers: Iterable[AnyAnswer]) -> Iterator[Asked]:
    """Yield what is not met; of a group whose members all have to be met, those that are not."""
    for answer in answers:
        if answer.outcome is not Outcome.NOT_MET:
            continue
        if isinstance(answer, Answer):
            yield answer.condition
        elif answer.group.how is How.ALL:
            yield from _in_the_way(answer.answers)
        else:
            yield answer.group


def _clause(programme: Programme, key: str | None) -> Clause | None:
    return None if key is None else programme.clause(key)


def _clauses(programme: Programme) -> tuple[Clause, ...]:
    named = {basis.clause for basis in programme.bases()}
    return tuple(clause for clause in programme.clauses if clause.key in named)


def not_met(asked: Asked) -> Text:
    """Say which condition, or which group of them, is not met."""
    return Text(f"condition {asked.id} is not met: {asked.text.en}", f"条件 {asked.id} 不满足：{asked.text.zh}")


def missing(facts: Iterable[str]) -> Text:
    """Say which facts are missing."""
    listed = ", ".join(facts)
    return Text(f"not known: {listed}", f"尚不清楚：{listed}")


def below_minimum(programme: Programme) -> Text:
    """Say that the claim is too small."""
    least = "0" if programme.minimum is None else cny_grouped(programme.minimum.amount_ucny)
    return Text(f"below the minimum claim of {least} CNY", f"低于最低申领额 {least} 元")


def _nothing(paid: Payment) -> Text:
    """Say why an eligible purchase comes to nothing."""
    if paid.counted_ucny == 0:
        return Text("no part of the base counts", "没有可计入的基数")
    return Text("the amount comes to nothing", "金额为零")


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
