"""The best lawful stack: which programmes to use together for one purchase, what they pay, what is given up and why.

Rules (design 5.3), each with its clause in the result:

* of a stacking group the higher counts, once; a contract uses a programme once;
* programmes that rule each other out are not held together; what the firm holds already counts as held;
* a combined ceiling cuts the programme that states it, so that it and all other support stay within a share of its base
  (of its group nothing else is used, so a ceiling over the group is one over the programme itself);
* all support together is never above the spend, nor that for one base above the base;
* programmes that share a purse never draw more than is left in it.

A programme that is cut pays in its own unit, cut down, and not below its minimum claim: then it pays nothing and is
given up. Who is cut follows from the rules and is not chosen: programmes with a ceiling come last, the tighter the
later; before them those that pay in whole yuan, then the larger amount, then the id. Among all lawful sets the one with
the greatest total is taken; of those the one with the fewest programmes, then the first by ids. `selection` finds it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dujiang.core.money import cny, share_floor
from dujiang.core.text import Text
from dujiang.policy.evaluate import Binding, Evaluation, Status
from dujiang.policy.programme import Base, Basis, Clause, Programme, Scope, With
from dujiang.policy.selection import WORK, Candidate, Limit, Search, Selection, Task, best_selection, symmetric
from dujiang.policy.together import Bar, Hurdle, bar_between

SERVICE = (Base.CONTRACT, Base.ACTUAL)
"""Two amounts of one and the same spend."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What one programme would pay for the purchase if it were the only one."""

    programme: Programme
    evaluation: Evaluation
    budget_left_ucny: int | None = None
    """What is left of its budget; None: its own budget, or none. Matters only where programmes share it."""


@dataclass(frozen=True, slots=True)
class Held:
    """Support that the firm has already."""

    programme_id: str
    programme: Programme | None
    """None: only its id is known."""
    amount_ucny: int = 0
    same_contract: bool = True
    """Whether it was for the contract that is asked about."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A programme of the stack."""

    programme_id: str
    amount_ucny: int
    alone_ucny: int
    """What it would pay if it were the only one."""
    binding: Binding
    """`combined` if other support cuts it, `budget` if a shared purse does, else its own limit."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One reason why a programme is not in the stack."""

    hurdle: Hurdle
    against: tuple[str, ...]
    """Ids of what is chosen or held and stands in the way; empty: the total of all."""
    clause: Clause | None
    assumption: Text | None
    text: Text


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A programme that would pay and is not in the stack."""

    programme_id: str
    alone_ucny: int
    obstacles: tuple[Obstacle, ...]
    """At least one."""


@dataclass(frozen=True, slots=True)
class Stack:
    """The best lawful stack for one purchase."""

    chosen: tuple[Chosen, ...]
    """Largest amount first, then by id."""
    total_ucny: int
    given_up: tuple[GivenUp, ...]
    """In the same order, by what each would pay alone."""
    spend_ucny: int | None
    """What all support together may not exceed; None: no base is known."""
    at_most_ucny: int
    """No lawful stack pays more; above the total only if the search was cut short."""
    search: Search


_CUT_SHORT = Text("the search was cut short before it was tried", "搜索提前结束，尚未比较")


@dataclass(frozen=True, slots=True)
class _Rule:
    """What a limit rests on, for explanations."""

    hurdle: Hurdle
    basis: Basis | None
    owner: Programme | None
    room_ucny: int


def best_stack(
    offers: Sequence[Offer], spend: Mapping[Base, int], held: Iterable[Held] = (), *, work: int = WORK
) -> Stack:
    """Find the best lawful stack.

    Parameters
    ----------
    offers : programmes asked for the same firm, purchase and day; those that do not pay are left out
    spend : what is stated of the purchase, micro-yuan, before anything is cut off it. Contract and actual amount are of
        one spend, the lesser of the two; another base is a spend of its own, and all support together is within the
        largest that the offers are for
    held : support that the firm has already; it is not in the stack, but counts against it
    work : steps that the search may take

    Returns
    -------
    the stack; `search` and `at_most_ucny` say whether it is proven to be the best
    """
    paying = sorted((o for o in offers if o.evaluation.status is Status.OK), key=lambda o: o.programme.id)
    assert len({o.programme.id for o in paying}) == len(paying), "a programme is offered twice"
    held = tuple(held)
    barred = {o.programme.id: found for o in paying if (found := _barred(o.programme, held))}
    open_ = [o for o in paying if o.programme.id not in barred]
    problem = _Problem(open_, held, _rooms(paying, spend))
    selection = best_selection(problem.task, work)
    chosen = problem.chosen(selection)
    given_up = [
        *(GivenUp(o.programme.id, o.evaluation.amount_ucny, barred[o.programme.id]) for o in paying if o not in open_),
        *problem.given_up(selection),
    ]
    return Stack(
        chosen=tuple(sorted(chosen, key=lambda c: (-c.amount_ucny, c.programme_id))),
        total_ucny=selection.total,
        given_up=tuple(sorted(given_up, key=lambda g: (-g.alone_ucny, g.programme_id))),
        spend_ucny=problem.spend_ucny,
        at_most_ucny=selection.at_most,
        search=selection.search,
    )


def _barred(programme: Programme, held: tuple[Held, ...]) -> tuple[Obstacle, ...]:
    """Return what the firm holds already and stands in the way."""
    found = []
    for item in held:
        if item.programme_id == programme.id:
            if item.same_contract:
                once = Text("the contract has used this programme already", "该合同已使用过本政策")
                found.append(Obstacle(Hurdle.ONCE, (item.programme_id,), None, None, once))
            continue
        if item.programme is not None:
            bar = bar_between(programme, item.programme, same_contract=item.same_contract)
        else:
            reaching = (e for e in programme.excludes if item.same_contract or e.scope is Scope.ENTERPRISE)
            own = next((e for e in reaching if item.programme_id in e.programmes), None)
            bar = None if own is None else Bar(Hurdle.EXCLUDES, programme, own.basis)
        if bar is not None:
            found.append(_obstacle(bar, item.programme_id, held=True))
    return tuple(found)


def _obstacle(bar: Bar, against: str, *, held: bool) -> Obstacle:
    standing = Text("is held already", "已享受") if held else Text("is chosen", "已选用")
    if bar.hurdle is Hurdle.GROUP:
        text = Text(
            f"of one group only the higher counts, once: {against} {standing.en}",
            f"同组政策就高不重复：{against} {standing.zh}",
        )
    else:
        text = Text(
            f"not together with {against}, which {standing.en} (rule of {bar.owner.id})",
            f"不得与 {against} 同时享受，后者{standing.zh}（依据 {bar.owner.id} 的规定）",
        )
    return Obstacle(bar.hurdle, (against,), bar.clause, bar.assumption, text)


class _Problem:
    """The offers as whole numbers, and the way back to words."""

    def __init__(self, offers: list[Offer], held: tuple[Held, ...], rooms: Mapping[tuple[Base, ...], int]) -> None:
        self.offers = offers
        self.spend_ucny = max(rooms.values(), default=None)
        self._held = tuple(h for h in held if h.same_contract)
        self._everything = (1 << len(offers)) - 1
        self._bars = {
            (i, j): bar
            for i, one in enumerate(offers)
            for j, other in enumerate(offers)
            if i != j and (bar := bar_between(one.programme, other.programme)) is not None
        }
        self._rules: list[_Rule] = []
        limits = [*self._spend_limits(rooms), *self._ceilings(), *self._purses()]
        conflicts = [sum(1 << j for (i, j) in self._bars if i == row) for row in range(len(offers))]
        self.task = Task(tuple(_candidate(o) for o in offers), symmetric(conflicts), tuple(limits))

    def _limit(self, rule: _Rule, members: int, owner: int | None = None) -> Limit:
        self._rules.append(rule)
        return Limit(rule.room_ucny, members, owner)

    def _spend_limits(self, rooms: Mapping[tuple[Base, ...], int]) -> list[Limit]:
        """All support is within the spend, and support for one base within that base."""
        if self.spend_ucny is None:
            return []
        left = max(0, self.spend_ucny - sum(h.amount_ucny for h in self._held))
        limits = [self._limit(_Rule(Hurdle.SPEND, None, None, left), self._everything)]
        for family, room in rooms.items():
            counted = sum(1 << i for i, o in enumerate(self.offers) if _family(o.programme.base) == family)
            if room < self.spend_ucny:
                limits.append(self._limit(_Rule(Hurdle.SPEND, None, None, room), counted))
        return limits

    def _ceilings(self) -> list[Limit]:
        limits = []
        for index, offer in enumerate(self.offers):
            programme, ceiling = offer.programme, offer.programme.combined_ceiling
            if ceiling is None:
                continue
            # Of a group only one is used, so a ceiling over the group is one over the programme itself.
            over_all = ceiling.counts is With.ALL
            counted = self._everything if over_all else 1 << index
            held = self._held if over_all else ()
            base = offer.evaluation.base_ucny if offer.evaluation.base_ucny is not None else self.spend_ucny
            # Without any base to take the share of, nothing may stand beside it.
            most = offer.evaluation.amount_ucny if base is None else share_floor(base, ceiling.share_ppm)
            room = most - sum(h.amount_ucny for h in held)
            rule = _Rule(Hurdle.COMBINED, ceiling.basis, programme, max(0, room))
            limits.append(self._limit(rule, counted, index))
        return limits

    def _purses(self) -> list[Limit]:
        """Programmes that share a purse, directly or through another one, draw on it together."""
        purses: list[set[str]] = []
        for offer in self.offers:
            budget = offer.programme.budget
            if budget is not None and budget.shared_with:
                mine = {offer.programme.id, *budget.shared_with}
                joined = [purse for purse in purses if purse & mine]
                purses = [*(purse for purse in purses if purse not in joined), mine.union(*joined)]
        limits = []
        for purse in purses:
            drawing = [i for i, o in enumerate(self.offers) if o.programme.id in purse and o.programme.budget]
            if len(drawing) > 1:
                owner = self.offers[drawing[0]].programme
                basis = None if owner.budget is None else owner.budget.basis
                room = min(left for i in drawing if (left := _purse_left(self.offers[i])) is not None)
                rule = _Rule(Hurdle.BUDGET, basis, owner, room)
                limits.append(self._limit(rule, sum(1 << i for i in drawing)))
        return limits

    # Back to words

    def chosen(self, selection: Selection) -> list[Chosen]:
        """Say what each member of the set gets, and which limit sets it."""
        found = []
        for index, amount in zip(selection.chosen, selection.amounts, strict=True):
            evaluation = self.offers[index].evaluation
            binding = evaluation.binding
            if amount < evaluation.amount_ucny:
                binding = self._cut_by(index, selection)
            found.append(Chosen(evaluation.programme_id, amount, evaluation.amount_ucny, binding))
        return found

    def _cut_by(self, index: int, selection: Selection) -> Binding:
        """Tell which kind of limit is used up: that of a purse, or of all support together."""
        paid = dict(zip(selection.chosen, selection.amounts, strict=True))
        for limit, rule in zip(self.task.limits, self._rules, strict=True):
            counts = limit.members >> index & 1 and (limit.owner is None or limit.owner in paid)
            if (
                counts
                and rule.hurdle is not Hurdle.BUDGET
                and self._left(limit, paid) < self.task.candidates[index].unit
            ):
                return Binding.COMBINED
        return Binding.BUDGET

    @staticmethod
    def _left(limit: Limit, paid: dict[int, int]) -> int:
        return limit.room - sum(amount for i, amount in paid.items() if limit.members >> i & 1)

    def given_up(self, selection: Selection) -> list[GivenUp]:
        """Say why each of the others is not in the set."""
        proven = selection.search is not Search.CUT_SHORT
        paid = dict(zip(selection.chosen, selection.amounts, strict=True))
        return [
            GivenUp(o.programme.id, o.evaluation.amount_ucny, self._why_not(index, paid, proven=proven))
            for index, o in enumerate(self.offers)
            if index not in paid
        ]

    def _why_not(self, index: int, paid: dict[int, int], *, proven: bool) -> tuple[Obstacle, ...]:
        bars = [
            _obstacle(bar, self.offers[other].programme.id, held=False)
            for other in sorted(paid)
            if (bar := self._bars.get((index, other))) is not None
        ]
        return tuple(bars) if bars else self._exhausted(index, paid, proven=proven)

    def _exhausted(self, index: int, paid: dict[int, int], *, proven: bool) -> tuple[Obstacle, ...]:
        """Name the limits that leave too little for one more programme, or else the tightest one it would join."""
        inside = [
            (self._left(limit, paid), limit, rule)
            for limit, rule in zip(self.task.limits, self._rules, strict=True)
            if limit.members >> index & 1 and (limit.owner is None or limit.owner == index or limit.owner in paid)
        ]
        short = [row for row in inside if row[0] < self.task.candidates[index].least]
        found = short or sorted(inside, key=lambda row: row[0])[:1]
        if not found or not (short or proven):
            return (Obstacle(Hurdle.WORK, (), None, None, _CUT_SHORT),)
        against = tuple(self.offers[i].programme.id for i in sorted(paid))
        return tuple(_used_up(rule, left, against) for left, _, rule in found)


def _used_up(rule: _Rule, left_ucny: int, against: tuple[str, ...]) -> Obstacle:
    room, left = cny(rule.room_ucny), cny(max(0, left_ucny))
    owner = "" if rule.owner is None else rule.owner.id
    text = {
        Hurdle.COMBINED: Text(
            f"the combined ceiling of {owner} allows {room} CNY in all; what is chosen leaves {left} CNY",
            f"{owner} 的合计上限为 {room} 元；已选政策后余 {left} 元",
        ),
        Hurdle.SPEND: Text(
            f"support is never above the spend ({room} CNY); what is chosen leaves {left} CNY",
            f"各项支持合计不超过支出（{room} 元）；已选政策后余 {left} 元",
        ),
        Hurdle.BUDGET: Text(
            f"the purse that it shares has {room} CNY; what is chosen leaves {left} CNY",
            f"共用预算尚有 {room} 元；已选政策后余 {left} 元",
        ),
    }[rule.hurdle]
    clause = None
    if rule.basis is not None and rule.basis.clause is not None and rule.owner is not None:
        clause = rule.owner.clause(rule.basis.clause)
    return Obstacle(rule.hurdle, against, clause, None if rule.basis is None else rule.basis.assumption, text)


def _candidate(offer: Offer) -> Candidate:
    programme = offer.programme
    unit = programme.rounding.unit_ucny
    amount = offer.evaluation.amount_ucny
    least = 0 if programme.minimum is None else programme.minimum.amount_ucny
    # An amount of its own, such as a fixed reward, need not be a multiple of the unit; a cut one is.
    return Candidate(amount, unit if amount % unit == 0 else 1, max(min(unit, amount), least))


def _family(base: Base | None) -> tuple[Base, ...]:
    """Return the bases that are amounts of one and the same spend."""
    return () if base is None else SERVICE if base in SERVICE else (base,)


def _rooms(offers: Iterable[Offer], spend: Mapping[Base, int]) -> dict[tuple[Base, ...], int]:
    """Return what each spend that the offers are for comes to, as far as it is stated."""
    families = dict.fromkeys(_family(offer.programme.base) for offer in offers)
    return {family: min(known) for family in families if (known := [spend[b] for b in family if b in spend])}


def _purse_left(offer: Offer) -> int | None:
    if offer.budget_left_ucny is not None:
        return offer.budget_left_ucny
    return None if offer.programme.budget is None else offer.programme.budget.amount_ucny
