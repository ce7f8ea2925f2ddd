"""The exact search: equal to plain enumeration, lawful, quick where it must be, and honest where it is cut short."""

import time
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dujiang.policy.selection import Candidate, Limit, Search, Task, best_selection, members, symmetric

EVERYBODY = (1 << 40) - 1


def plain_pay(task: Task, chosen: tuple[int, ...]) -> dict[int, int] | None:
    """Pay a set in turn, written out without masks."""
    owned = {i: [limit.room for limit in task.limits if limit.owner == i] for i in chosen}
    last = {i: min(rooms) for i, rooms in owned.items() if rooms}
    first = [i for i in chosen if i not in last]
    first.sort(key=lambda i: (-task.candidates[i].unit, -task.candidates[i].amount, i))
    rest = sorted(last, key=lambda i: (-last[i], -task.candidates[i].unit, -task.candidates[i].amount, i))
    paid: dict[int, int] = {}
    for i in [*first, *rest]:
        amount = task.candidates[i].amount
        for limit in task.limits:
            if limit.owner is not None and limit.owner not in chosen:
                continue
            if i in list(members(limit.members)):
                used = sum(paid[j] for j in paid if j in list(members(limit.members)))
                amount = min(amount, limit.room - used)
        amount -= amount % task.candidates[i].unit
        if amount < task.candidates[i].least:
            return None
        paid[i] = amount
    return paid


def by_enumeration(task: Task) -> tuple[int, tuple[int, ...]]:
    """Try every set; return the best sum and the first of the smallest sets that reach it."""
    best = (0, 0, ())
    for taken in product((False, True), repeat=len(task.candidates)):
        chosen = tuple(i for i, yes in enumerate(taken) if yes)
        if any(task.conflicts[i] >> j & 1 for i in chosen for j in chosen):
            continue
        paid = plain_pay(task, chosen)
        if paid is not None:
            best = min(best, (-sum(paid.values()), len(chosen), chosen))
    return -best[0], best[2]


@st.composite
def tasks(draw, most: int = 7):
    count = draw(st.integers(0, most))
    candidates = []
    for _ in range(count):
        unit = draw(st.sampled_from([1, 1, 10]))
        amount = unit * draw(st.integers(1, 40 if unit == 1 else 6))
        candidates.append(Candidate(amount, unit, draw(st.sampled_from([1, unit, amount // 2 + 1, amount]))))
    rows = [draw(st.integers(0, (1 << count) - 1)) & draw(st.integers(0, (1 << count) - 1)) for _ in range(count)]
    limits = []
    for _ in range(draw(st.integers(0, 4)) if count else 0):
        owner = draw(st.none() | st.integers(0, count - 1))
        counted = draw(st.sampled_from([(1 << count) - 1, draw(st.integers(0, (1 << count) - 1))]))
        counted |= 0 if owner is None else 1 << owner
        limits.append(Limit(draw(st.integers(0, 120)), counted, owner))
    return Task(tuple(candidates), symmetric(rows), tuple(limits))


@given(tasks())
@settings(max_examples=400, deadline=None)
def test_the_best_set_is_that_of_plain_enumeration(task):
    found = best_selection(task)
    assert found.search is Search.COMPLETE
    assert (found.total, found.chosen) == by_enumeration(task)
    assert dict(zip(found.chosen, found.amounts, strict=True)) == plain_pay(task, found.chosen)
    assert found.at_most == found.total


@given(tasks(), st.integers(0, 12))
@settings(max_examples=300, deadline=None)
def test_a_search_that_is_cut_short_is_lawful_and_says_how_much_more_there_could_be(task, work):
    best, _ = by_enumeration(task)
    found = best_selection(task, work)
    assert dict(zip(found.chosen, found.amounts, strict=True)) == plain_pay(task, found.chosen)
    assert not any(task.conflicts[i] >> j & 1 for i in found.chosen for j in found.chosen)
    assert found.total <= best <= found.at_most
    assert (found.search is Search.CUT_SHORT) == (found.total < found.at_most)


@st.composite
def shares_of_one_spend(draw):
    """Draw candidates under a spend, disjoint purses, and ceilings over everything: the limits of a real stack."""
    count = draw(st.integers(1, 4))
    everything = (1 << count) - 1
    purse = draw(st.integers(0, everything))
    limits = [Limit(draw(st.integers(0, 12)), everything)]
    limits += [Limit(draw(st.integers(0, 8)), part) for part in (purse, everything & ~purse) if part]
    limits += [Limit(draw(st.integers(0, 12)), everything, i) for i in range(count) if draw(st.booleans())]
    return Task(tuple(Candidate(draw(st.integers(1, 5)), 1, 1) for _ in range(count)), (0,) * count, tuple(limits))


@given(shares_of_one_spend())
@settings(max_examples=200, deadline=None)
def test_paying_in_turn_loses_nothing_against_any_other_way_to_cut(task):
    most = 0
    for amounts in product(*(range(c.amount + 1) for c in task.candidates)):
        if all(
            sum(a for i, a in enumerate(amounts) if limit.members >> i & 1) <= limit.room
            for limit in task.limits
            if limit.owner is None or amounts[limit.owner]
        ):
            most = max(most, sum(amounts))
    assert best_selection(task).total == most


def ring(size: int, begin: int = 0) -> list[int]:
    return [1 << (begin + (i + 1) % size) for i in range(size)]


HARD = {
    "nothing in the way": Task(tuple(Candidate(10 + i, 1, 1) for i in range(40)), (0,) * 40, ()),
    "forty alike under a spend": Task((Candidate(10, 1, 1),) * 40, (0,) * 40, (Limit(195, EVERYBODY),)),
    "eight rings of five": Task(
        (Candidate(10, 1, 1),) * 40, symmetric([row for b in range(8) for row in ring(5, 5 * b)]), ()
    ),
    "one ring under a spend": Task((Candidate(10, 1, 1),) * 40, symmetric(ring(40)), (Limit(155, EVERYBODY),)),
    "everybody brings a ceiling": Task(
        tuple(Candidate(100 + i, 1, 1) for i in range(40)),
        (0,) * 40,
        tuple(Limit(1000 + i * 37 % 500, EVERYBODY, i) for i in range(40)),
    ),
    "powers of two": Task(
        tuple(Candidate(1 << i, 1, 1) for i in range(40)), (0,) * 40, (Limit((1 << 39) + 12345, EVERYBODY),)
    ),
    "tangled": Task(
        tuple(Candidate(1000 + 7 * i % 40, 1, 1) for i in range(40)),
        symmetric([1 << (i * 7 + 3) % 40 | 1 << (i * 11 + 5) % 40 | 1 << (i + 1) % 40 for i in range(40)]),
        (Limit(9000, EVERYBODY), Limit(4000, 0xFFFFF)),
    ),
}


@pytest.mark.parametrize("name", HARD)
def test_forty_are_chosen_from_in_a_moment(name):
    began = time.process_time()
    found = best_selection(HARD[name])
    assert found.search is Search.COMPLETE
    assert time.process_time() - began < 1  # some milliseconds on an idle machine


def test_a_knapsack_of_amounts_that_cannot_be_cut_ends_and_says_so():
    amounts = [1_000_003 * (i + 7) ** 2 % 9_999_991 for i in range(40)]
    task = Task(tuple(Candidate(a, 1, a) for a in amounts), (0,) * 40, (Limit(77_777_777, EVERYBODY),))
    began = time.process_time()
    found = best_selection(task)
    assert found.search is Search.CUT_SHORT
    assert found.total < found.at_most <= 77_777_777
    assert time.process_time() - began < 10


def test_hundreds_do_not_exhaust_the_stack():
    rows = [(1 << (i // 10 * 10 + 10)) - (1 << (i // 10 * 10)) for i in range(600)]
    found = best_selection(Task(tuple(Candidate(10 + i, 1, 1) for i in range(600)), symmetric(rows), ()))
    assert found.total == sum(10 + i for i in range(9, 600, 10))


def test_of_two_ceilings_of_one_candidate_the_tighter_decides_when_it_is_paid():
    limits = (Limit(100, 0b11, 0), Limit(50, 0b11, 0), Limit(70, 0b11, 1))
    task = Task((Candidate(40, 1, 1), Candidate(45, 1, 1)), (0, 0), limits)
    assert task.turns == (1, 0)
    assert task.ceilings == ((70, 1), (50, 0))
    assert task.pay(0b11) == {1: 45, 0: 5}


def test_who_states_a_ceiling_is_cut_and_not_somebody_else():
    task = Task((Candidate(40, 1, 1), Candidate(60, 1, 1), Candidate(30, 1, 1)), (0,) * 3, (Limit(100, 0b111, 1),))
    assert task.pay(0b111) == {0: 40, 2: 30, 1: 30}
