"""What one firm finds on each level, nation, province and city, and what its next title would open (梯度培育).

Nothing is asked of a purchase here: a programme is offered to a firm if no condition is known not to be met, whatever
the firm may buy. So a condition on the purchase stays unknown and is listed as what has to be stated.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from dujiang.policy.condition import Outcome, combined, outcome_of
from dujiang.policy.ladder import LadderStep, Stand, StepAnswer, standings
from dujiang.policy.programme import Asked, Condition, Level, Programme, leaves
from dujiang.policy.together import Bar, Hurdle, bar_between
from dujiang.registry.book import Fact


@dataclass(frozen=True, slots=True)
class Offered:
    """A programme that is open to a firm."""

    programme: Programme
    computable: bool
    outcomes: tuple[tuple[Asked, Outcome], ...]
    """Its conditions, in the order of the file; none is known not to be met."""
    needs_facts: tuple[str, ...]
    """Facts that have to be stated before an amount can be worked out."""


@dataclass(frozen=True, slots=True)
class Clash:
    """Programmes that are open to a firm and may not be held together for one contract."""

    hurdle: Hurdle
    programmes: tuple[str, ...]
    """Ids; of a group all of them, else the two."""
    bar: Bar
    """The rule that says so, of the first that has one."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What a title opens."""

    step: LadderStep
    stand: Stand
    needs_facts: tuple[str, ...]
    programmes: tuple[str, ...]
    """Ids that are closed without it and open with it."""
    special_rates: tuple[tuple[str, int], ...]
    """Id and share in ppm of special rates that are closed without it and open with it, of programmes that are open."""


@dataclass(frozen=True, slots=True)
class Match:
    """What there is for one firm on one day."""

    on: date
    levels: Mapping[Level, tuple[Offered, ...]]
    """Every level, nation first; programmes by id, those that can be computed before the others."""
    clashes: tuple[Clash, ...]
    ladder: tuple[StepAnswer, ...]
    next_steps: tuple[Opened, ...]


def match(
    programmes: Iterable[Programme],
    facts: Mapping[str, Fact],
    on: date,
    steps: tuple[LadderStep, ...] | None = None,
) -> Match:
    """Find what is open to a firm.

    Parameters
    ----------
    programmes : one version of each
    facts : what is known of the firm; money in micro-yuan
    on : civil date in Asia/Shanghai
    steps : the ladder of titles; None: the catalogue's
    """
    in_force = [p for p in programmes if (p.valid.first or on) <= on <= (p.valid.last or on)]
    open_ = [o for p in in_force if (o := _offered(p, facts)) is not None]
    open_.sort(key=lambda o: (not o.computable, o.programme.id))
    answers = standings(facts, steps)
    return Match(
        on=on,
        levels={level: tuple(o for o in open_ if o.programme.jurisdiction.level is level) for level in Level},
        clashes=_clashes([o.programme for o in open_ if o.computable]),
        ladder=answers,
        next_steps=tuple(_opened(a, in_force, facts) for a in answers if a.is_next),
    )


def _offered(programme: Programme, facts: Mapping[str, Fact]) -> Offered | None:
    if programme.not_computable is not None and not _in_place(programme, facts):
        return None
    outcomes = tuple((item, outcome_of(item, facts)) for item in programme.conditions)
    if combined([outcome for _, outcome in outcomes]) is Outcome.NOT_MET:
        return None
    needed = [
        c.fact
        for item, outcome in outcomes
        if outcome is Outcome.UNKNOWN
        for c in leaves((item,))
        if outcome_of(c, facts) is Outcome.UNKNOWN
    ]
    if programme.base is not None and not any(name in facts for name in programme.base.facts):
        needed.append(programme.base.facts[0])
    return Offered(programme, programme.not_computable is None, outcomes, tuple(dict.fromkeys(needed)))


def _in_place(programme: Programme, facts: Mapping[str, Fact]) -> bool:
    """Return whether a firm may be where the issuer governs.

    Asked only of programmes whose source leaves out who can apply; elsewhere the conditions say it.
    """
    stated = (
        (facts.get("province"), programme.jurisdiction.province),
        (facts.get("city"), programme.jurisdiction.city),
    )
    return all(not isinstance(firm, str) or issuer is None or _plain(firm) == _plain(issuer) for firm, issuer in stated)


def _plain(place: str) -> str:
    """Return a place without its administrative suffix."""
    return place.strip().removesuffix("市").removesuffix("省")


def _clashes(programmes: Sequence[Programme]) -> tuple[Clash, ...]:
    """Return what may not be held together: groups as a whole, other bars pair by pair."""
    groups: dict[str, Clash] = {}
    pairs = []
    for index, one in enumerate(programmes):
        for other in programmes[index + 1 :]:
            bar = bar_between(one, other)
            if bar is None:
                continue
            if bar.hurdle is not Hurdle.GROUP or one.stacking is None:
                pairs.append(Clash(bar.hurdle, (one.id, other.id), bar))
                continue
            name = one.stacking.group
            known = groups.get(name)
            ids = (*(known.programmes if known else ()), one.id, other.id)
            groups[name] = Clash(Hurdle.GROUP, tuple(sorted(set(ids))), known.bar if known else bar)
    return (*(groups[name] for name in sorted(groups)), *pairs)


def _opened(answer: StepAnswer, programmes: Iterable[Programme], facts: Mapping[str, Fact]) -> Opened:
    step = answer.step
    without: dict[str, Fact] = {**facts, step.fact: False}
    with_it: dict[str, Fact] = {**facts, step.fact: True}
    if step.kind is not None:
        with_it["kind"] = step.kind
    ids, rates = [], []
    for p in programmes:
        if not _open(p.conditions, with_it):
            continue
        if not _open(p.conditions, without):
            ids.append(p.id)
        rates += [
            (p.id, special.share_ppm)
            for special in p.special_rates
            if _asks_title(special.when, step) and _open(special.when, with_it) and not _open(special.when, without)
        ]
    return Opened(step, answer.stand, answer.needs_facts, tuple(sorted(ids)), tuple(sorted(rates)))


def _open(asked: tuple[Asked, ...], facts: Mapping[str, Fact]) -> bool:
    return combined([outcome_of(item, facts) for item in asked]) is not Outcome.NOT_MET


def _asks_title(asked: tuple[Asked, ...], step: LadderStep) -> bool:
    return any(_is_title(c, step) for c in leaves(asked))


def _is_title(condition: Condition, step: LadderStep) -> bool:
    return condition.fact == step.fact or (step.kind is not None and condition.fact == "kind")
