"""The floor of the baselines: pools, queues and money as compiled arrays, and how one job starts, stops and leaves.

Nothing here decides who is next; that is `scheduling.py`. Seconds count from the start of the window.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dujiang.lab.compiled import inlined, inside
from dujiang.lab.ends import Ends, heapify, push
from dujiang.lab.first_come import Purse, best_vouchers, draw, look_up_rooms, shrink
from dujiang.lab.frames import EXPIRED, NEVER, REFUSED, STOPPED
from dujiang.lab.least_tree import ABSENT, Trees, enter
from dujiang.lab.payable import (
    BEYOND,
    NO_SET,
    WITHOUT,
    Asks,
    Sets,
    ask_cost,
    held_run,
)
from dujiang.market.amounts import haul
from dujiang.market.arrays import Index, Int
from dujiang.market.sorting import sort_by_key

Rows = npt.NDArray[Any]
"""Array of records."""

FIFO, EASY, SHORTEST, CHEAPEST = range(4)
"""How a queue is served."""
WAITS, STARTED, MOVED, LEFT = range(4)
"""What came of asking a job whose turn it is: no room; it started; it queues elsewhere now; it is gone."""
NOBODY = -1
WAITING_CENTRES, IDLE_CENTRES, BOTH_CENTRES, MISMATCH_S = range(4)
"""Places in `Floor.tally`: centres with jobs that wait, with idle accelerators, with both; seconds of the measured
window in which a job of one centre waits while another centre has idle accelerators."""


JOB = np.dtype(
    [
        ("gpus", "i8"),
        ("run", "i8"),  # seconds at speed 1.0
        ("arrive", "i8"),  # submission, on the grid of the clock
        ("due", "i8"),  # by when it must have ended
        ("patience", "i8"),  # last second at which it can start
        ("data", "i8"),  # millionths of a GB
        ("limit", "i8"),  # what it may still pay itself, micro-yuan
        ("start", "i8"),  # of the present or last run; NEVER
        ("held", "i8"),  # seconds of all runs, the present one in full
        ("gross", "i8"),  # of all runs
        ("transfer", "i8"),
        ("voucher", "i8"),
        ("left", "i8"),  # when it stopped waiting for good; NEVER
        ("where", "i4"),  # pool of the present or last run; while it waits under CHEAPEST, the one that it waits for
        ("origin", "i4"),  # centre
        ("place", "i4"),  # row of `tariff`
        ("option", "i4"),  # of the present or last run
        ("before", "i4"),  # the job before it in its queue; NOBODY
        ("behind", "i4"),
        ("waiting", "?"),
        ("variant", "i1"),  # row of its set
        ("was_cut", "?"),  # an outage stopped it once
        ("outcome", "i1"),
        ("verdict", "i1"),  # whether it may queue at all
    ],
    align=True,
)
POOL = np.dtype(
    [
        ("centre", "i8"),
        ("queue", "i8"),  # NOBODY: no job may use it
        ("speed", "i8"),  # millionths
        ("stands", "i8"),  # accelerators there
        ("free", "i8"),  # of them not at work; below zero for a moment when some fail
        ("down", "i8"),  # accelerators fewer than planned
        ("freed", "i8"),  # 1: some came free since its queue was served
        ("step_next", "i8"),  # first planned change that lies ahead
        ("step_end", "i8"),
        ("drop_next", "i8"),  # the same of those that take accelerators away
        ("drop_end", "i8"),
        ("work_end", "i8"),  # sum of accelerators times end, of jobs at work
        ("work_gpus", "i8"),  # accelerators at work
        ("work_waits", "i8"),  # GPU-seconds of the jobs that wait for it (CHEAPEST)
    ]
)
QUEUE = np.dtype(
    [
        ("head", "i8"),  # job; NOBODY
        ("tail", "i8"),
        ("kept_for", "i8"),  # head for which room is kept (EASY); NOBODY
        ("kept_pool", "i8"),  # where; NOBODY: nowhere
        ("kept_from", "i8"),  # when it will start
        ("kept_to", "i8"),  # when it will have ended
        ("extra", "i8"),  # accelerators that are free then beside it
        ("kind_first", "i8"),  # its kinds of jobs
        ("kind_end", "i8"),
        ("pool_first", "i8"),  # its part of `queue_pool`
        ("pool_end", "i8"),
        ("is_dirty", "i8"),  # 1: it is to be served
    ]
)
KIND = np.dtype([("pools", "i8"), ("gpus", "i8"), ("new", "i8")])
"""Jobs with the same set of pools and number of accelerators; `new` is 1 if one entered since the queue was served."""
CENTRE = np.dtype([("free", "i8"), ("waits", "i8")])
"""Idle accelerators; jobs from there that wait."""
EVENT = np.dtype([("second", "i8"), ("pool", "i8"), ("gpus", "i8"), ("planned", "i8")])
"""What stands in a pool from a second on, and what was planned to."""
STEP = np.dtype([("second", "i8"), ("change", "i8")])
"""A planned change of capacity."""
DROP = np.dtype([("second", "i8"), ("gpus", "i8"), ("used", "i8")])
"""One that takes accelerators away: how many stay; how many of them jobs at work now will still hold then."""


class Floor(NamedTuple):
    """Everything that a replay looks at and changes, in place.

    These are few arrays of records: a hundred plain ones would take minutes to compile, handed from loop to loop.
    """

    rule: int
    """FIFO, EASY, SHORTEST or CHEAPEST."""
    end_s: int
    """End of the book."""
    tick: int
    """Grid of the clock, seconds."""
    measured: Int
    """[2] measured seconds, half-open."""
    now: Int
    """[1] second."""
    job: Rows
    """[J] `JOB`."""
    pool: Rows
    """[P] `POOL`."""
    queue: Rows
    """[Q] `QUEUE`."""
    kind: Rows
    """[C] `KIND`, by queue."""
    centre: Rows
    """[centres] `CENTRE`."""
    event: Rows
    """[E] `EVENT`, by time, then pool."""
    step: Rows
    """[...] `STEP`, by pool, then time."""
    drop: Rows
    """[...] `DROP`, by pool, then time."""
    sets: Sets
    asks: Asks
    tariff: Int
    """[R, P] micro-yuan per GB."""
    queue_of_set: Index
    """[S] queue of the jobs with a set of pools."""
    queue_pool: Index
    """[...] pools by queue."""
    kind_of: Index
    """[2, J] kind of a job with and without vouchers; NOBODY."""
    place_of: Int
    """[2, J] its place in the trees."""
    expiry: Int
    """[N] jobs with a deadline, by patience."""
    ends: Ends
    """Of jobs at work by pool; behind them, under CHEAPEST, the ends of patience."""
    trees: Trees
    parts: Int
    """[J, M] vouchers of the present or last run."""
    cut: Int
    """[N, 6] runs that outages stopped: job, pool, start, end, option, whether a voucher was paid."""
    dirty: Int
    """[Q + 1] queues to be served."""
    tally: Int
    """[...] see `WAITING_CENTRES`; then the number of dirty queues, and of cut runs."""
    aside: Int
    """[J] scratch: jobs set aside while a queue is served, or stopped."""
    scratch: Int
    """[2, M]."""
    keys: Int
    """[...] scratch for sorting jobs at work in one pool."""
    rank: Index
    """[...] the same."""


DIRTY, CUTS = 4, 5


# ---- of one job --------------------------------------------------------------------------------------------------


@inlined
def held_in(floor: Floor, j: int, p: int) -> int:
    """Return for how long a job would hold its accelerators in a pool, seconds."""
    return held_run(floor.job[j].run, floor.pool[p].speed, floor.tick)


@inlined
def cost_in(floor: Floor, j: int, p: int, begin: int, end: int) -> int:
    """Return what its accelerators cost at the asks in the seconds [begin, end), micro-yuan."""
    return ask_cost(floor.asks, p, floor.job[j].gpus, begin, end)


@inlined
def haul_to(floor: Floor, j: int, p: int) -> int:
    """Return what moving its data to a pool costs, micro-yuan."""
    return haul(floor.job[j].data, floor.tariff[floor.job[j].place, p])


@inlined
def set_key(floor: Floor, j: int, key: int) -> None:
    """Enter a job into the tree of its kind, by run time, or with `ABSENT` take it out."""
    variant = floor.job[j].variant
    enter(floor.trees, floor.kind_of[variant, j], floor.place_of[variant, j], key)


# ---- counts ------------------------------------------------------------------------------------------------------


@inlined
def add_free(floor: Floor, p: int, gpus: int) -> None:
    """Count accelerators of a pool that came free, or, negative, are taken."""
    floor.pool[p].free += gpus
    c = floor.pool[p].centre
    was = floor.centre[c].free > 0
    floor.centre[c].free += gpus
    has = floor.centre[c].free > 0
    if was != has:
        change = 1 if has else -1
        floor.tally[IDLE_CENTRES] += change
        if floor.centre[c].waits > 0:
            floor.tally[BOTH_CENTRES] += change


@inlined
def _add_waiting(floor: Floor, j: int, change: int) -> None:
    c = floor.job[j].origin
    was = floor.centre[c].waits > 0
    floor.centre[c].waits += change
    has = floor.centre[c].waits > 0
    if was != has:
        step = 1 if has else -1
        floor.tally[WAITING_CENTRES] += step
        if floor.centre[c].free > 0:
            floor.tally[BOTH_CENTRES] += step


@inlined
def pass_time(floor: Floor, second: int) -> None:
    """Go on to a second."""
    waits, idle, both = floor.tally[WAITING_CENTRES], floor.tally[IDLE_CENTRES], floor.tally[BOTH_CENTRES]
    if waits > 0 and idle > 0 and not (waits == 1 and idle == 1 and both == 1):
        begin, end = max(floor.now[0], floor.measured[0]), min(second, floor.measured[1])
        floor.tally[MISMATCH_S] += max(end - begin, 0)
    floor.now[0] = second


@inlined
def mark(floor: Floor, q: int) -> None:
    """Note that a queue is to be served."""
    if q >= 0 and not floor.queue[q].is_dirty:
        floor.queue[q].is_dirty = 1
        floor.dirty[floor.tally[DIRTY]] = q
        floor.tally[DIRTY] += 1


# ---- queues ------------------------------------------------------------------------------------------------------


@inlined
def queue_of(floor: Floor, j: int) -> int:
    """Return the queue of a job that waits."""
    if floor.rule == CHEAPEST:
        return floor.job[j].where  # type: ignore[no-any-return]
    return floor.queue_of_set[floor.sets.of_job[floor.job[j].variant, j]]  # type: ignore[no-any-return]


@inlined
def _link(floor: Floor, q: int, j: int) -> None:
    """Put a job into its queue by its place in the book: a new one is the last, a stopped one goes near the front."""
    at = floor.queue[q].tail
    if at >= 0 and at > j:
        at = NOBODY
        following = floor.queue[q].head
        while following >= 0 and following < j:
            at, following = following, floor.job[following].behind
    else:
        following = NOBODY
    floor.job[j].before, floor.job[j].behind = at, following
    if at >= 0:
        floor.job[at].behind = j
    else:
        floor.queue[q].head = j
    if following >= 0:
        floor.job[following].before = j
    else:
        floor.queue[q].tail = j


@inlined
def _unlink(floor: Floor, q: int, j: int) -> None:
    at, following = floor.job[j].before, floor.job[j].behind
    if at >= 0:
        floor.job[at].behind = following
    else:
        floor.queue[q].head = following
    if following >= 0:
        floor.job[following].before = at
    else:
        floor.queue[q].tail = at


@inside
def join(floor: Floor, j: int) -> None:
    """Let a job wait in its queue."""
    q = queue_of(floor, j)
    floor.job[j].waiting = True
    _add_waiting(floor, j, 1)
    if floor.rule != SHORTEST:
        _link(floor, q, j)
    if floor.rule == EASY or floor.rule == SHORTEST:
        set_key(floor, j, floor.job[j].run)
        floor.kind[floor.kind_of[floor.job[j].variant, j]].new = 1
    if floor.rule == CHEAPEST:
        floor.pool[q].work_waits += floor.job[j].gpus * held_in(floor, j, q)
        # how long it has patience depends on the pool that it chose, so it stands in a heap, behind those of the pools
        push(floor.ends, floor.pool.shape[0], last_start(floor, j) + floor.tick, j)
    mark(floor, q)


@inside
def leave(floor: Floor, j: int) -> None:
    """Take a job that waits out of its queue."""
    q = queue_of(floor, j)
    floor.job[j].waiting = False
    _add_waiting(floor, j, -1)
    if floor.rule != SHORTEST:
        _unlink(floor, q, j)
    if floor.rule == EASY or floor.rule == SHORTEST:
        set_key(floor, j, ABSENT)
    if floor.rule == CHEAPEST:
        floor.pool[q].work_waits -= floor.job[j].gpus * held_in(floor, j, q)


@inlined
def give_up(floor: Floor, j: int, outcome: int, second: int) -> None:
    """Note that a job is gone."""
    floor.job[j].outcome = STOPPED if floor.job[j].was_cut else outcome
    floor.job[j].left = second


@inside
def go_to_cheapest(floor: Floor, j: int) -> None:
    """Choose the pool whose queue a job joins (CHEAPEST): the cheapest; of equal ones that with least work before it.

    Work is what jobs at work have still to run and what waits, GPU-seconds per accelerator; then the first pool.
    """
    s = floor.sets.of_job[floor.job[j].variant, j]
    now = floor.now[0]
    chosen, least, least_work = NOBODY, BEYOND, 0.0
    for i in range(floor.sets.first[s], floor.sets.first[s + 1]):
        p = floor.sets.pool[i]
        held = held_in(floor, j, p)
        if now + held > floor.job[j].due:
            continue
        cost = cost_in(floor, j, p, now, now + held) + haul_to(floor, j, p)
        work = float(floor.pool[p].work_end - floor.pool[p].work_gpus * now + floor.pool[p].work_waits) / max(
            floor.pool[p].stands, 1
        )
        if chosen < 0 or cost < least or (cost == least and work < least_work):
            chosen, least, least_work = p, cost, work
    floor.job[j].where = chosen


@inlined
def last_start(floor: Floor, j: int) -> int:
    """Return the last second at which a job that waits can start where it waits, and still end in time."""
    if floor.rule == CHEAPEST:
        return floor.job[j].due - held_in(floor, j, floor.job[j].where)  # type: ignore[no-any-return]
    return floor.job[j].patience  # type: ignore[no-any-return]


# ---- room --------------------------------------------------------------------------------------------------------


@inlined
def drops_allow(floor: Floor, p: int, q: int, gpus: int, reserved: int, begin: int, end: int) -> bool:
    """Say whether a job could keep its accelerators where less capacity is planned in between.

    Parameters
    ----------
    reserved : accelerators that the head of queue q will get, if that is in this pool
    """
    for i in range(floor.pool[p].drop_next, floor.pool[p].drop_end):
        second = floor.drop[i].second
        if second >= end:
            break
        if second <= begin:
            continue
        taken = floor.drop[i].used + gpus
        if reserved > 0 and floor.queue[q].kept_from <= second < floor.queue[q].kept_to:
            taken += reserved
        if taken > floor.drop[i].gpus - floor.pool[p].down:
            return False
    return True


@inlined
def _hold_drops(floor: Floor, p: int, gpus: int, begin: int, end: int) -> None:
    """Count accelerators of a job at work at the drops of its run."""
    for i in range(floor.pool[p].drop_next, floor.pool[p].drop_end):
        if floor.drop[i].second >= end:
            break
        if floor.drop[i].second > begin:
            floor.drop[i].used += gpus


# ---- start and stop ----------------------------------------------------------------------------------------------


@inside
def start(
    floor: Floor,
    purse: Purse,
    j: int,
    p: int,
    gross: int,
    move: int,
) -> None:
    """Start a job that waits; its vouchers stand in `floor.parts`, its option in `floor.option`."""
    leave(floor, j)
    now, gpus = floor.now[0], floor.job[j].gpus
    held = held_in(floor, j, p)
    add_free(floor, p, -gpus)
    push(floor.ends, p, now + held, j)
    _hold_drops(floor, p, gpus, now, now + held)
    floor.pool[p].work_end += gpus * (now + held)
    floor.pool[p].work_gpus += gpus
    floor.job[j].start, floor.job[j].where = now, p
    floor.job[j].held += held
    floor.job[j].gross += gross
    floor.job[j].transfer += move
    if floor.job[j].option > 0:
        draw(purse, j, floor.job[j].option, floor.parts[j])
        for m in range(floor.parts.shape[1]):
            floor.job[j].voucher += floor.parts[j, m]


@inlined
def end_work(floor: Floor, p: int, j: int, end: int) -> None:
    """Give back the accelerators of a job at work that was to end at `end`."""
    gpus = floor.job[j].gpus
    add_free(floor, p, gpus)
    floor.pool[p].work_end -= gpus * end
    floor.pool[p].work_gpus -= gpus
    floor.pool[p].freed = 1


@inside
def cut_short(floor: Floor, purse: Purse, j: int, end: int, second: int) -> int:
    """Let a job that was to end at `end` pay for what it ran until `second`; return what the enterprise pays of it.

    It pays the asks of what ran, and its vouchers shrink to what they are of that.
    """
    p = floor.job[j].where
    begin = floor.job[j].start
    whole = cost_in(floor, j, p, begin, end)
    gross = cost_in(floor, j, p, begin, second)
    floor.job[j].gross += gross - whole
    floor.job[j].held -= end - second
    net = gross + haul_to(floor, j, p)
    if floor.job[j].option > 0:
        before = 0
        for m in range(floor.parts.shape[1]):
            before += floor.parts[j, m]
        paid = shrink(purse, j, p, floor.job[j].option, gross, floor.parts[j], floor.scratch[0])
        floor.job[j].voucher += paid - before
        net -= paid
    return net


@inside
def _stop(
    floor: Floor,
    purse: Purse,
    j: int,
    end: int,
) -> None:
    """Let a job pay that is at work no more, though it was to end at `end`; it queues again if it still can in time."""
    now, p, gpus = floor.now[0], floor.job[j].where, floor.job[j].gpus
    for i in range(floor.pool[p].drop_next, floor.pool[p].drop_end):
        if floor.drop[i].second >= end:
            break
        if floor.drop[i].second > floor.job[j].start:
            floor.drop[i].used -= gpus
    floor.job[j].limit -= cut_short(floor, purse, j, end, now)
    n = floor.tally[CUTS]
    floor.tally[CUTS] += 1
    row = floor.cut[n]
    paid = 0
    for m in range(floor.parts.shape[1]):
        paid += floor.parts[j, m]
    row[0], row[1], row[2], row[3], row[4], row[5] = j, p, floor.job[j].start, now, floor.job[j].option, paid > 0
    floor.job[j].start, floor.job[j].where, floor.job[j].option = NEVER, NEVER, 0
    floor.job[j].was_cut = True
    if now > floor.job[j].patience:
        floor.job[j].outcome = STOPPED
        return
    if floor.rule == CHEAPEST:
        go_to_cheapest(floor, j)
        if floor.job[j].where < 0:
            floor.job[j].outcome = STOPPED
            return
    join(floor, j)


@inside
def fail(
    floor: Floor,
    purse: Purse,
    p: int,
) -> None:
    """Stop jobs of a pool, the latest start first, equal ones from the back of the book, until the others have room."""
    ends = floor.ends
    first, count = ends.first[p], ends.size[p]
    jobs = floor.job.shape[0] + 1
    for i in range(count):
        j = ends.job[first + i]
        floor.keys[i] = -(floor.job[j].start * jobs + j)
    sort_by_key(floor.keys, floor.rank, count)  # type: ignore[arg-type]  # whole numbers
    stopped = 0
    lacking = -floor.pool[p].free
    while lacking > 0:
        lacking -= floor.job[ends.job[first + floor.rank[stopped]]].gpus
        stopped += 1
    # the heap is put right before anybody queues again
    for i in range(stopped):
        floor.keys[i] = ends.end[first + floor.rank[i]]
        floor.aside[i] = ends.job[first + floor.rank[i]]
        ends.job[first + floor.rank[i]] = NOBODY
    kept = 0
    for i in range(count):
        if ends.job[first + i] != NOBODY:
            ends.end[first + kept], ends.job[first + kept] = ends.end[first + i], ends.job[first + i]
            kept += 1
    heapify(ends, p, kept)
    for i in range(stopped):
        end_work(floor, p, floor.aside[i], floor.keys[i])
    for i in range(stopped):
        _stop(floor, purse, floor.aside[i], floor.keys[i])


# ---- whose turn it is --------------------------------------------------------------------------------------------


@inlined
def _holds_up_head(floor: Floor, q: int, p: int, gpus: int, end: int) -> bool:
    """Say whether a job in this pool would delay the head for which room is kept (EASY)."""
    if floor.queue[q].kept_pool != p or end <= floor.queue[q].kept_from:
        return False
    return floor.queue[q].extra < gpus  # type: ignore[no-any-return]


@inside
def ask(
    floor: Floor,
    purse: Purse,
    q: int,
    j: int,
    behind_head: bool,
) -> int:
    """Start a job in the cheapest pool that has room for it, transfer counted, ties by pool; say what came of it.

    Parameters
    ----------
    behind_head : it must not delay the head of its queue (EASY)
    """
    now, gpus, variant = floor.now[0], floor.job[j].gpus, floor.job[j].variant
    s = floor.sets.of_job[variant, j]
    begin, end = floor.sets.first[s], floor.sets.first[s + 1]
    chosen, least, cost, move = NOBODY, BEYOND, 0, 0
    open_pools, dear, in_time = 0, 0, 0
    for i in range(begin, end):
        p = floor.sets.pool[i]
        if floor.rule == CHEAPEST and p != floor.job[j].where:
            continue
        open_pools += 1
        held = held_in(floor, j, p)
        if now + held > floor.job[j].due:
            continue
        in_time += 1
        if floor.pool[p].free < gpus:
            continue
        reserved = 0
        if behind_head:
            if _holds_up_head(floor, q, p, gpus, now + held):
                continue
            if floor.queue[q].kept_pool == p:
                reserved = floor.job[floor.queue[q].kept_for].gpus
        if not drops_allow(floor, p, q, gpus, reserved, now, now + held):
            continue
        gross = cost_in(floor, j, p, now, now + held)
        transfer = haul_to(floor, j, p)
        if gross + transfer >= least:
            continue
        look_up_rooms(purse, j)
        option = best_vouchers(purse, j, p, gross, floor.job[j].limit - transfer, floor.scratch[0], floor.scratch[1])
        if option < 0:
            dear += 1
            continue
        chosen, least, cost, move = p, gross + transfer, gross, transfer
        floor.job[j].option = option
        for m in range(floor.parts.shape[1]):
            floor.parts[j, m] = floor.scratch[1, m]
    if chosen >= 0:
        if (
            behind_head
            and floor.queue[q].kept_pool == chosen
            and now + held_in(floor, j, chosen) > floor.queue[q].kept_from
        ):
            floor.queue[q].extra -= gpus
        start(floor, purse, j, chosen, cost, move)
        return STARTED
    if in_time == 0:
        leave(floor, j)
        give_up(floor, j, EXPIRED, now)
        return LEFT
    if dear == 0 or (variant == WITHOUT and dear < open_pools):
        return WAITS
    leave(floor, j)
    if variant == WITHOUT or floor.sets.of_job[WITHOUT, j] == NO_SET:
        give_up(floor, j, REFUSED, now)
        return LEFT
    floor.job[j].variant = WITHOUT
    if floor.rule == CHEAPEST:
        go_to_cheapest(floor, j)
        if floor.job[j].where < 0:
            give_up(floor, j, EXPIRED, now)
            return LEFT
    join(floor, j)
    return MOVED


__all__ = [
    *("CHEAPEST", "CUTS", "DIRTY", "EASY", "FIFO", "LEFT", "MISMATCH_S", "MOVED", "NOBODY", "SHORTEST", "STARTED"),
    *(
        "WAITS",
        "Floor",
        "add_free",
        "ask",
        "cost_in",
        "cut_short",
        "drops_allow",
        "end_work",
        "fail",
        "give_up",
        "haul_to",
    ),
    *("go_to_cheapest", "held_in", "join", "last_start", "leave", "mark", "pass_time", "queue_of", "set_key"),
]
