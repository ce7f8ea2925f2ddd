"""The best lawful set of a few amounts, exactly: which to take together when they exclude, limit and cut each other.

The law stands in `stack`; here are only whole numbers. A set is *lawful* if no two of its members conflict and each
member gets at least its least amount when all are paid in turn (`Task.pay`). Of all lawful sets the one with the
greatest sum is found; of those the smallest; of those the one whose members come first.

Method
------
Branch and bound. Every candidate is taken or left, and a branch ends where no set below it can beat the best one so
far. The bound is the least of (1) the sum so far plus the heaviest set without conflicts among the candidates still
open, which is worked out exactly, component by component, and remembered, so that without limits the first descent is
the answer; (2) the room of each limit in force plus everything open that lies outside it; (3) where candidates bring
limits on everything, the best threshold: who brings a tight one cannot be in a set that exceeds it. Ties are settled by
a second search that asks for each size, smallest first, whether a set of that size reaches the sum, in the order of the
members.

References
----------
A. H. Land and A. G. Doig, "An Automatic Method of Solving Discrete Programming Problems", Econometrica 28 (1960).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

WORK = 20_000
"""Steps of one search at most; a step takes some microseconds. Real stacks of a dozen programmes need a few dozen."""
_DEEP = 128
"""Candidates that hang together by conflicts and are more than this are bounded by their sum: the exact bound calls
itself once per candidate."""


class Candidate(NamedTuple):
    """One amount that may be taken."""

    amount: int
    """What it pays if nothing limits it, a multiple of `unit`, > 0."""
    unit: int
    """It pays in multiples of this, > 0."""
    least: int
    """It pays at least so much or nothing, > 0."""


class Limit(NamedTuple):
    """The most that some candidates get together."""

    room: int
    """Not negative."""
    members: int
    """Bit i: candidate i counts towards it."""
    owner: int | None = None
    """It holds only in sets with this candidate; None: in every set."""


class Search(StrEnum):
    """How far a search went."""

    COMPLETE = "complete"
    """The greatest sum, and among equals the first."""
    TIES_OPEN = "ties_open"
    """The greatest sum; another set of the same sum may be smaller or come first."""
    CUT_SHORT = "cut_short"
    """The work was used up: a lawful set, and a sum that none can exceed."""


class Selection(NamedTuple):
    """A lawful set."""

    chosen: tuple[int, ...]
    """Indices, ascending."""
    amounts: tuple[int, ...]
    """What each of them gets."""
    total: int
    at_most: int
    """No lawful set has a greater sum; equal to `total` unless the search was cut short."""
    search: Search


def members(mask: int) -> Iterator[int]:
    """Yield the indices of the bits that are set, ascending."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


@dataclass(frozen=True)
class Task:
    """What there is to choose from. Not slotted: the order of payment is worked out once."""

    candidates: tuple[Candidate, ...]
    conflicts: tuple[int, ...]
    """Bit j of row i: i and j are never taken together; symmetric, nothing on the diagonal."""
    limits: tuple[Limit, ...]

    @cached_property
    def ceilings(self) -> tuple[tuple[int, int], ...]:
        """The limit that each candidate sets on everything, with its index, most generous first."""
        everything = (1 << len(self.candidates)) - 1
        lowest: dict[int, int] = {}
        for limit in self.limits:
            if limit.owner is not None and limit.members & everything == everything:
                lowest[limit.owner] = min(limit.room, lowest.get(limit.owner, limit.room))
        return tuple(sorted(((room, index) for index, room in lowest.items()), reverse=True))

    @cached_property
    def turns(self) -> tuple[int, ...]:
        """The order in which members are paid, whatever the set.

        Owners of a limit come after all others, the most generous limit first, so that a limit cuts the one that states
        it and not somebody else; before that those that pay in large units, so that the finer ones fill what is left.
        """
        own: dict[int, int] = {}
        for limit in self.limits:
            if limit.owner is not None:
                own[limit.owner] = min(limit.room, own.get(limit.owner, limit.room))

        def turn(index: int) -> tuple[bool, int, int, int, int]:
            candidate = self.candidates[index]
            return index in own, -own.get(index, 0), -candidate.unit, -candidate.amount, index

        return tuple(sorted(range(len(self.candidates)), key=turn))

    def pay(self, chosen: int) -> dict[int, int] | None:
        """Pay the members of a set in turn.

        Each gets its amount, or what is left under every limit that counts it, cut down to its unit.

        Returns
        -------
        amount by index, or None if one of them would get less than its least amount: the set is not lawful
        """
        left = [
            [limit.room, limit.members]
            for limit in self.limits
            if limit.members & chosen and (limit.owner is None or chosen >> limit.owner & 1)
        ]
        paid: dict[int, int] = {}
        for index in self.turns:
            bit = 1 << index
            if not chosen & bit:
                continue
            amount, unit, least = self.candidates[index]
            amount = min([amount, *(room for room, counted in left if counted & bit)]) // unit * unit
            if amount < least:
                return None
            for row in left:
                if row[1] & bit:
                    row[0] -= amount
            paid[index] = amount
        return paid


def best_selection(task: Task, work: int = WORK) -> Selection:
    """Find the lawful set with the greatest sum; of equal ones the smallest; of those the one that comes first.

    Parameters
    ----------
    task : candidates in the order that settles ties
    work : steps that each of the two searches may take

    Returns
    -------
    the set; `search` says whether it is proven, and `at_most` how much more there could be if it is not
    """
    return _Searcher(task, work).run()


class _Searcher:
    def __init__(self, task: Task, work: int) -> None:
        self._task = task
        self._amounts = [candidate.amount for candidate in task.candidates]
        self._heavy_first = sorted(range(len(self._amounts)), key=lambda i: (-self._amounts[i], i))
        self._bringing = sum(1 << index for _, index in task.ceilings)
        self._heaviest: dict[int, int] = {0: 0}
        self._work = work
        self._left = work

    def run(self) -> Selection:
        """Search for the sum, then settle ties."""
        everything = (1 << len(self._amounts)) - 1
        chosen, total, at_most = self._greatest(everything)
        search = Search.COMPLETE if at_most == total else Search.CUT_SHORT
        if search is Search.COMPLETE and chosen:
            self._left = self._work
            first = self._first_of(total, chosen.bit_count(), everything)
            search = Search.COMPLETE if first is not None else Search.TIES_OPEN
            chosen = chosen if first is None else first
        paid = self._task.pay(chosen)
        assert paid is not None
        order = tuple(members(chosen))
        return Selection(order, tuple(paid[i] for i in order), total, at_most, search)

    def _greatest(self, everything: int) -> tuple[int, int, int]:
        """Return the best set found, its sum, and a sum that no set exceeds."""
        best, best_total = 0, 0
        # Open branches: bound, members, their sum before limits, candidates still open.
        branches = [(self._bound(0, 0, everything), 0, 0, everything)]
        while branches:
            bound, chosen, summed, open_ = branches.pop()
            if bound <= best_total:
                continue
            if self._left <= 0:
                return best, best_total, max([bound, *(branch[0] for branch in branches)])
            self._left -= 1
            index = next(i for i in self._heavy_first if open_ >> i & 1)
            bit = 1 << index
            left = (chosen, summed, open_ & ~bit)
            taken = (chosen | bit, summed + self._amounts[index], open_ & ~bit & ~self._task.conflicts[index])
            paid = self._task.pay(taken[0])
            if paid is not None and (total := sum(paid.values())) > best_total:
                best, best_total = taken[0], total
            # The more promising branch is looked at first: it lies on top. At a tie that is the one that takes.
            pair = [(self._bound(*branch), *branch) for branch in (left, taken) if branch[2] or branch is taken]
            branches += sorted((b for b in pair if b[3]), key=lambda b: b[0])
        return best, best_total, best_total

    def _first_of(self, total: int, most: int, everything: int) -> int | None:
        """Return the smallest set, of those the first, that reaches a sum; None if the work is used up before.

        Sets are looked at in the order of their members, so that the first one found is the one that comes first.
        """
        for size in range(1, most + 1):
            branches = [(0, 0, everything)]
            while branches:
                chosen, summed, open_ = branches.pop()
                wanted = size - chosen.bit_count()
                if wanted == 0:
                    paid = self._task.pay(chosen)
                    if paid is not None and sum(paid.values()) == total:
                        return chosen
                    continue
                if open_.bit_count() < wanted:
                    continue
                if summed + self._top(open_, wanted) < total or self._bound(chosen, summed, open_) < total:
                    continue
                if self._left <= 0:
                    return None
                self._left -= 1
                index = (open_ & -open_).bit_length() - 1
                rest = open_ & ~(1 << index)
                branches.append((chosen, summed, rest))
                branches.append(
                    (chosen | 1 << index, summed + self._amounts[index], rest & ~self._task.conflicts[index])
                )
        raise AssertionError("the set that is known to reach the sum was not found")

    def _top(self, open_: int, count: int) -> int:
        """Return the sum of the largest open amounts."""
        found = 0
        for index in self._heavy_first:
            if open_ >> index & 1:
                found += self._amounts[index]
                count -= 1
                if not count:
                    break
        return found

    def _sum(self, mask: int) -> int:
        return sum(self._amounts[i] for i in members(mask))

    def _bound(self, chosen: int, summed: int, open_: int) -> int:
        """Return a sum that no lawful set between `chosen` and `chosen` with everything open exceeds."""
        bound = summed + self._without_conflicts(open_)
        reach = chosen | open_
        for limit in self._task.limits:
            if limit.owner is None or chosen >> limit.owner & 1:
                bound = min(bound, limit.room + self._sum(reach & ~limit.members))
        bound = min(bound, self._threshold(summed, open_))
        # Everybody pays in multiples of some unit, so sums are multiples of the finest.
        unit = min((self._task.candidates[i].unit for i in members(reach)), default=1)
        return bound // unit * unit

    def _threshold(self, summed: int, open_: int) -> int:
        """Return the greatest sum that could be reached, whatever the tightest limit on everything in the set is."""
        ceilings = self._task.ceilings
        reached = summed + self._sum(open_ & ~self._bringing)
        best = reached
        for room, index in ceilings:
            if open_ >> index & 1:
                reached += self._amounts[index]
                best = max(best, min(room, reached))
        return best

    def _without_conflicts(self, open_: int) -> int:
        """Return the sum of the heaviest set without conflicts, or more once the work is used up."""
        known = self._heaviest.get(open_)
        if known is not None:
            return known
        if self._left <= 0:
            return self._sum(open_)
        self._left -= 1
        free = 0
        tangled = 0
        for index in members(open_):
            if self._task.conflicts[index] & open_:
                tangled |= 1 << index
            else:
                free += self._amounts[index]
        parts = self._components(tangled)
        if len(parts) > 1:
            found = sum(self._without_conflicts(part) for part in parts)
        elif tangled.bit_count() > _DEEP:
            found = self._sum(tangled)
        else:
            found = self._branch(tangled) if tangled else 0
        self._heaviest[open_] = free + found
        return free + found

    def _branch(self, part: int) -> int:
        """Take or leave the candidate with the most conflicts: either way the rest falls apart soonest."""
        conflicts = self._task.conflicts
        index = max(members(part), key=lambda i: ((conflicts[i] & part).bit_count(), self._amounts[i]))
        rest = part & ~(1 << index)
        taken = self._amounts[index] + self._without_conflicts(rest & ~conflicts[index])
        return max(taken, self._without_conflicts(rest))

    def _components(self, mask: int) -> list[int]:
        """Split candidates into sets between which there are no conflicts."""
        parts = []
        while mask:
            part = fresh = mask & -mask
            while fresh:
                reached = 0
                for index in members(fresh):
                    reached |= self._task.conflicts[index]
                fresh = reached & mask & ~part
                part |= fresh
            parts.append(part)
            mask &= ~part
        return parts


def symmetric(rows: Sequence[int]) -> tuple[int, ...]:
    """Return conflicts that hold in both directions, from rows that name each at least once."""
    full = [row & ~(1 << i) for i, row in enumerate(rows)]
    for i, row in enumerate(rows):
        for j in members(row):
            if j != i:
                full[j] |= 1 << i
    return tuple(full)
