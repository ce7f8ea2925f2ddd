"""Who is next in the queues of the baselines, and the events that bring it about, second by second. Compiled.

EASY backfilling: the head of a queue that finds no room is promised the earliest second at which, as things stand, it
will; a later job may start meanwhile if it has given its accelerators back by then, or takes such as the head leaves
free (Lifka, "The ANL/IBM SP scheduling system", 1995). Run times are known exactly here, so the promise is kept to the
second unless an outage breaks it.

What keeps a long queue cheap: jobs with the same pools and the same number of accelerators are one class, and a class
is asked as a whole whether a job of it could start (`least_tree.py`). Only pools that came free since are looked at, or
classes that somebody entered.
"""

from dujiang.lab.compiled import inlined, inside, loop
from dujiang.lab.ends import FOREVER, ahead_end, look_ahead, next_end, pop, step_ahead
from dujiang.lab.first_come import Purse
from dujiang.lab.floor import (
    CHEAPEST,
    DIRTY,
    EASY,
    NOBODY,
    SHORTEST,
    WAITS,
    Floor,
    add_free,
    ask,
    cost_in,
    cut_short,
    drops_allow,
    end_work,
    fail,
    give_up,
    go_to_cheapest,
    haul_to,
    held_in,
    join,
    last_start,
    leave,
    mark,
    pass_time,
    queue_of,
    set_key,
)
from dujiang.lab.frames import EXPIRED, REFUSED, SERVED, WAITING
from dujiang.lab.least_tree import ABSENT, first_up_to, least_key
from dujiang.lab.payable import FINE, TOO_LATE

_MICRO = 1_000_000
_WORD = 64

# ---- EASY --------------------------------------------------------------------------------------------------------


@inside
def _earliest(floor: Floor, q: int, p: int, gpus: int, held: int) -> tuple[int, int]:
    """Return when a pool will have room for so long, and what is free beside; FOREVER if never as things stand."""
    second = floor.now[0]
    free = floor.pool[p].free
    step = floor.pool[p].step_next
    look_ahead(floor.ends, p)
    while True:
        if free >= gpus and drops_allow(floor, p, q, gpus, 0, second, second + held):
            return second, free - gpus
        end = ahead_end(floor.ends)
        change = floor.step[step].second if step < floor.pool[p].step_end else FOREVER
        second = min(end, change)
        if second == FOREVER:
            return FOREVER, 0
        while ahead_end(floor.ends) == second:
            free += floor.job[step_ahead(floor.ends, p)].gpus
        while step < floor.pool[p].step_end and floor.step[step].second == second:
            free += floor.step[step].change
            step += 1


@inside
def _keep_room(floor: Floor, q: int, j: int) -> None:
    """Promise the head of a queue its earliest start; of pools with the same one the cheapest, then the first."""
    s = floor.sets.of_job[floor.job[j].variant, j]
    chosen, when, until, spare, least = NOBODY, FOREVER, FOREVER, 0, 0
    for i in range(floor.sets.first[s], floor.sets.first[s + 1]):
        p = floor.sets.pool[i]
        held = held_in(floor, j, p)
        second, extra = _earliest(floor, q, p, floor.job[j].gpus, held)
        if second == FOREVER or second > when:
            continue
        cost = cost_in(floor, j, p, second, second + held) + haul_to(floor, j, p)
        if second < when or cost < least:
            chosen, when, until, spare, least = p, second, second + held, extra, cost
    floor.queue[q].kept_for, floor.queue[q].kept_pool, floor.queue[q].extra = j, chosen, spare
    floor.queue[q].kept_from, floor.queue[q].kept_to = when, until


# ---- classes -----------------------------------------------------------------------------------------------------


@inlined
def _longest(floor: Floor, q: int, p: int, gpus: int) -> int:
    """Return the longest run time, at speed 1.0, with which a job may start in a pool now; -1: none."""
    if floor.pool[p].free < gpus:
        return -1
    if floor.rule == EASY and floor.queue[q].kept_pool == p and floor.queue[q].extra < gpus:
        # what ends by then has given its accelerators back; whole ticks, so the run itself may be compared
        return (floor.queue[q].kept_from - floor.now[0]) * floor.pool[p].speed // _MICRO  # type: ignore[no-any-return]
    return ABSENT - 1


@inside
def _longest_of_class(floor: Floor, q: int, c: int, everywhere: bool) -> int:
    """Return the longest run time with which a job of a class may start in a pool worth looking at; -1: none."""
    s, gpus = floor.kind[c].pools, floor.kind[c].gpus
    longest = -1
    if everywhere or floor.kind[c].new:
        for i in range(floor.sets.first[s], floor.sets.first[s + 1]):
            longest = max(longest, _longest(floor, q, floor.sets.pool[i], gpus))
            if longest == ABSENT - 1:
                break
        return longest
    for i in range(floor.queue[q].pool_first, floor.queue[q].pool_end):
        p = floor.queue_pool[i]
        if floor.pool[p].freed and floor.sets.bits[s, p // _WORD] >> (p % _WORD) & 1:
            longest = max(longest, _longest(floor, q, p, gpus))
    return longest


@inside
def _next_of_classes(floor: Floor, q: int, everywhere: bool) -> int:
    """Return the job of a queue that is next among those that may have room: the first, or under SHORTEST the shortest.

    NOBODY: none has.
    """
    best, best_key = NOBODY, ABSENT
    for c in range(floor.queue[q].kind_first, floor.queue[q].kind_end):
        shortest = least_key(floor.trees, c)
        if shortest == ABSENT or (floor.rule == SHORTEST and shortest > best_key):
            continue
        longest = _longest_of_class(floor, q, c, everywhere)
        if longest < shortest:
            continue
        most = shortest if floor.rule == SHORTEST else longest
        j = floor.trees.job[first_up_to(floor.trees, c, most)]
        if floor.rule == SHORTEST:
            if shortest < best_key or j < best:
                best, best_key = j, shortest
        elif best < 0 or j < best:
            best = j
    return best


@inside
def _serve_classes(
    floor: Floor,
    purse: Purse,
    q: int,
    everywhere: bool,
) -> None:
    """Start jobs of a queue, one after another, until none has room."""
    count = 0
    while True:
        j = _next_of_classes(floor, q, everywhere)
        if j < 0:
            break
        came = ask(floor, purse, q, j, floor.rule == EASY)
        if came != WAITS:
            continue
        # a pool has room and this job cannot use it: its deadline, a coming drop or a dear hour
        set_key(floor, j, ABSENT)
        floor.aside[count] = j
        count += 1
    for i in range(count):
        j = floor.aside[i]
        set_key(floor, j, floor.job[j].run)
    for c in range(floor.queue[q].kind_first, floor.queue[q].kind_end):
        floor.kind[c].new = 0


@inside
def _serve(floor: Floor, purse: Purse, q: int) -> None:
    """Start whoever of a queue may start now."""
    if floor.rule == SHORTEST:
        _serve_classes(floor, purse, q, False)
    else:
        while floor.queue[q].head >= 0:
            came = ask(floor, purse, q, floor.queue[q].head, False)
            if came == WAITS:
                break
        j = floor.queue[q].head
        if floor.rule == EASY and j >= 0:
            changed = floor.queue[q].kept_for != j
            if changed:
                _keep_room(floor, q, j)
            _serve_classes(floor, purse, q, changed)
    for i in range(floor.queue[q].pool_first, floor.queue[q].pool_end):
        floor.pool[floor.queue_pool[i]].freed = 0


# ---- events ------------------------------------------------------------------------------------------------------


@inside
def _change_capacity(floor: Floor, purse: Purse, e: int) -> None:
    """Let the capacity of a pool change; what no longer has room is stopped."""
    p = floor.event[e].pool
    add_free(floor, p, floor.event[e].gpus - floor.pool[p].stands)
    floor.pool[p].stands = floor.event[e].gpus
    floor.pool[p].down = floor.event[e].planned - floor.event[e].gpus
    while (
        floor.pool[p].step_next < floor.pool[p].step_end and floor.step[floor.pool[p].step_next].second <= floor.now[0]
    ):
        floor.pool[p].step_next += 1
    while (
        floor.pool[p].drop_next < floor.pool[p].drop_end and floor.drop[floor.pool[p].drop_next].second <= floor.now[0]
    ):
        floor.pool[p].drop_next += 1
    floor.pool[p].freed = 1
    q = floor.pool[p].queue
    if q >= 0:
        floor.queue[q].kept_for = NOBODY
        mark(floor, q)
    if floor.pool[p].free < 0:
        fail(floor, purse, p)


@inside
def _arrive(floor: Floor, j: int) -> None:
    """Let a job join its queue, or go at once."""
    if floor.job[j].verdict != FINE:
        give_up(floor, j, EXPIRED if floor.job[j].verdict == TOO_LATE else REFUSED, floor.now[0])
        return
    if floor.sets.of_job[0, j] < 0:
        give_up(floor, j, REFUSED, floor.now[0])
        return
    if floor.rule == CHEAPEST:
        go_to_cheapest(floor, j)
        if floor.job[j].where < 0:
            give_up(floor, j, EXPIRED, floor.now[0])
            return
    join(floor, j)


@loop
def run(floor: Floor, purse: Purse) -> None:
    """Replay all events: at each second ends, changes of capacity, arrivals, ends of patience, then the queues."""
    arrival, event, expiry = 0, 0, 0
    jobs, pools = floor.job.shape[0], floor.pool.shape[0]
    while True:
        second = FOREVER
        for p in range(pools + 1):
            second = min(second, next_end(floor.ends, p))
        if arrival < jobs:
            second = min(second, floor.job[arrival].arrive)
        if event < floor.event.shape[0]:
            second = min(second, floor.event[event].second)
        while expiry < floor.expiry.shape[0] and not floor.job[floor.expiry[expiry]].waiting:
            j = floor.expiry[expiry]
            if floor.job[j].patience >= floor.now[0]:
                break  # it may still come, or be stopped and wait again
            expiry += 1
        if expiry < floor.expiry.shape[0]:
            second = min(second, floor.job[floor.expiry[expiry]].patience + floor.tick)
        if second >= floor.end_s:
            break
        pass_time(floor, second)
        for p in range(pools):
            while next_end(floor.ends, p) == second:
                end_work(floor, p, pop(floor.ends, p), second)
                mark(floor, floor.pool[p].queue)
        while event < floor.event.shape[0] and floor.event[event].second == second:
            _change_capacity(floor, purse, event)
            event += 1
        while arrival < jobs and floor.job[arrival].arrive == second:
            _arrive(floor, arrival)
            arrival += 1
        while expiry < floor.expiry.shape[0] and floor.job[floor.expiry[expiry]].patience < second:
            j = floor.expiry[expiry]
            if floor.job[j].waiting:
                _lose_patience(floor, j)
            expiry += 1
        while next_end(floor.ends, pools) == second:
            j = pop(floor.ends, pools)
            if floor.job[j].waiting and last_start(floor, j) < second:
                _lose_patience(floor, j)
        while floor.tally[DIRTY] > 0:
            floor.tally[DIRTY] -= 1
            q = floor.dirty[floor.tally[DIRTY]]
            floor.queue[q].is_dirty = 0
            _serve(floor, purse, q)
    pass_time(floor, floor.end_s)
    _close(floor, purse)


@inside
def _lose_patience(floor: Floor, j: int) -> None:
    """Let a job go that can no longer end in time."""
    last = last_start(floor, j)
    if floor.rule != SHORTEST:
        q = queue_of(floor, j)
        if floor.queue[q].head == j:
            mark(floor, q)
    leave(floor, j)
    give_up(floor, j, EXPIRED, last)


@inside
def _close(floor: Floor, purse: Purse) -> None:
    """End the replay: jobs at work pay for what they ran, others have waited until now."""
    for p in range(floor.pool.shape[0]):
        first = floor.ends.first[p]
        for i in range(floor.ends.size[p]):
            j, end = floor.ends.job[first + i], floor.ends.end[first + i]
            floor.job[j].outcome = WAITING
            if end > floor.end_s:
                cut_short(floor, purse, j, end, floor.end_s)
            else:
                floor.job[j].outcome = SERVED
    for j in range(floor.job.shape[0]):
        if floor.job[j].waiting:
            floor.job[j].outcome = WAITING
            floor.job[j].left = floor.end_s


__all__ = ["run"]
