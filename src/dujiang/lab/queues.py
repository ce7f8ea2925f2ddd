"""The baselines: what became of every job had there been queues instead of a market, event by event.

============================  ==========================================================================================
`isolated_fifo`               each centre for itself; who waits for room holds up all behind
`isolated_backfill`           the same, with EASY backfilling: others may go before the head if they do not delay it
`pooled_fifo`                 one queue for all pools that jobs can meet in, first come, first served
`pooled_backfill`             the same, with EASY backfilling
`pooled_sjf`                  one queue; of the jobs that have room the shortest starts, ties by submission
`greedy_cheapest`             each job goes on arrival to the cheapest pool within reach and queues there; of equally
                              cheap ones to that with the least work before it
============================  ==========================================================================================

Jobs that could meet in some pool share a queue. A job queues only where it can pay the ask, if need be with a voucher,
takes the cheapest pool with room (transfer counted, ties by pool), and pays the ask for as long as it holds its
accelerators. Vouchers go first come, first served by start. A job whose vouchers are used up when its turn comes queues
from then on where it can pay without, or leaves. Run times are known exactly. A job leaves when it can no longer end by
its deadline. An outage stops the latest starts first; what was stopped pays for what ran, goes back to its place in the
queue, which is by submission, and begins again from nothing; what it paid comes off its limit, and a contract that has
used a programme uses it no more.
"""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from dujiang.lab.case import NO_DEADLINE, Case, Index, Int
from dujiang.lab.ends import no_ends
from dujiang.lab.first_come import full_purse
from dujiang.lab.floor import (
    CENTRE,
    CHEAPEST,
    CUTS,
    DROP,
    EASY,
    EVENT,
    FIFO,
    JOB,
    KIND,
    MISMATCH_S,
    NOBODY,
    POOL,
    QUEUE,
    SHORTEST,
    STEP,
    Floor,
    Rows,
)
from dujiang.lab.frames import NEVER, Cut, Results, job_frame, name_all, series_frame
from dujiang.lab.least_tree import empty_trees
from dujiang.lab.outages import planned, standing
from dujiang.lab.payable import HOUR_S, Asks, Entries, Sets, Times, asks_of, sets_of, times_of, true_run
from dujiang.lab.replay import Replay
from dujiang.lab.scenario import Allocator
from dujiang.lab.scheduling import run
from dujiang.market.arrays import BookArrays
from dujiang.market.book_arrays import book_arrays
from dujiang.market.compiled import loop

RULES = {
    Allocator.ISOLATED_FIFO: FIFO,
    Allocator.ISOLATED_BACKFILL: EASY,
    Allocator.POOLED_FIFO: FIFO,
    Allocator.POOLED_BACKFILL: EASY,
    Allocator.POOLED_SJF: SHORTEST,
    Allocator.GREEDY_CHEAPEST: CHEAPEST,
}
OWN_CENTRE = frozenset({Allocator.ISOLATED_FIFO, Allocator.ISOLATED_BACKFILL})
"""Baselines in which a job stays in the centre that it was submitted to, whatever the coupling."""


def replay_queues(case: Case) -> Replay:
    """Replay a case under the baseline that its scenario names.

    Parameters
    ----------
    case : the case; its scenario's policy is not the market

    Returns
    -------
    the replay; `extra` holds `waiting_while_idle_share`, the part of the measured window in which a job of one centre
    waits while another centre has idle accelerators, in continuous time; null without a measured second
    """
    allocator = case.scenario.allocator
    begin = time.perf_counter()
    a = book_arrays(case.book, case.terms, case.coupling)
    purse = full_purse(a)
    times, asks = times_of(case, case.scenario.clock), asks_of(a)
    sets, entries = sets_of(case, a, purse, times, asks, own_centre=allocator in OWN_CENTRE)
    floor = _floor(case, a, sets, entries, times, asks, RULES[allocator])
    ready = time.perf_counter()
    run(floor, purse)
    ran = time.perf_counter()
    results, cut, names = _results(case, a, floor, times)
    jobs = job_frame(case, results, cut, names)
    series = series_frame(case, results, cut, a.ask)
    first, last = floor.measured
    share = float(floor.tally[MISMATCH_S] / (last - first)) if last > first else None
    seconds = {"prepare": ready - begin, "replay": ran - ready, "frames": time.perf_counter() - ran}
    return Replay(jobs, series, {"waiting_while_idle_share": share}, seconds)


# ---- before ------------------------------------------------------------------------------------------------------


def _floor(case: Case, a: BookArrays, sets: Sets, entries: Entries, times: Times, asks: Asks, rule: int) -> Floor:
    """Return the floor before the first event."""
    jobs, pools = a.gpus.size, a.capacity.shape[0]
    queue_of_set, queue_of_pool = _queues(sets, pools, rule)
    queues = int(queue_of_pool.max(initial=-1)) + 1
    kinds = _kinds(a, sets, queue_of_set, rule)
    of_queue = np.argsort(queue_of_pool, kind="stable")
    of_queue = of_queue[queue_of_pool[of_queue] >= 0]
    changes = _changes(case)
    centres = {name: row for row, name in enumerate(case.book.centres["centre_id"])}
    dated = np.flatnonzero((entries.patience < NO_DEADLINE) & (sets.of_job[0] >= 0) & (rule != CHEAPEST))
    most = np.minimum(changes.most, jobs)
    # under CHEAPEST a job may join once more without its vouchers, and after each stop
    patient = 2 * jobs + changes.most_cuts if rule == CHEAPEST else 0
    bounds = np.arange(queues + 1)
    kind_bounds = np.searchsorted(queue_of_set[kinds.pools], bounds)
    pool_bounds = np.searchsorted(queue_of_pool[of_queue], bounds)
    return Floor(
        rule=rule,
        end_s=case.book.slots * HOUR_S,
        tick=times.tick,
        measured=np.array([case.scenario.warm_up_h, case.window_h], dtype=np.int64) * HOUR_S,
        now=np.zeros(1, dtype=np.int64),
        job=_records(
            JOB,
            jobs,
            gpus=a.gpus,
            run=times.run,
            arrive=times.arrive,
            due=times.due,
            patience=entries.patience,
            verdict=entries.verdict,
            data=a.data,
            limit=a.limit,
            place=a.place,
            origin=case.jobs.origin,
            start=NEVER,
            where=NEVER,
            left=NEVER,
            before=NOBODY,
            behind=NOBODY,
        ),
        pool=_records(
            POOL,
            pools,
            centre=[centres[name] for name in case.book.pools["centre_id"]],
            queue=queue_of_pool,
            speed=times.speed,
            step_next=changes.step_bounds[:-1],
            step_end=changes.step_bounds[1:],
            drop_next=changes.drop_bounds[:-1],
            drop_end=changes.drop_bounds[1:],
        ),
        queue=_records(
            QUEUE,
            queues,
            head=NOBODY,
            tail=NOBODY,
            kept_for=NOBODY,
            kept_pool=NOBODY,
            kind_first=kind_bounds[:-1],
            kind_end=kind_bounds[1:],
            pool_first=pool_bounds[:-1],
            pool_end=pool_bounds[1:],
        ),
        kind=_records(KIND, kinds.pools.size, pools=kinds.pools, gpus=kinds.gpus),
        centre=_records(CENTRE, len(centres)),
        event=changes.event,
        step=changes.step,
        drop=changes.drop,
        sets=sets,
        asks=asks,
        tariff=a.tariff,
        queue_of_set=queue_of_set,
        queue_pool=of_queue.astype(np.int32),
        kind_of=kinds.of_job,
        place_of=kinds.place,
        expiry=dated[np.argsort(entries.patience[dated], kind="stable")],
        ends=no_ends(np.append(most, patient)),
        trees=empty_trees(kinds.gpus.size, kinds.of_leaf, kinds.job),
        parts=np.zeros((jobs, a.parts.shape[1]), dtype=np.int64),
        cut=np.zeros((changes.most_cuts, 6), dtype=np.int64),
        dirty=np.zeros(queues + 1, dtype=np.int64),
        tally=np.zeros(CUTS + 1, dtype=np.int64),
        aside=np.zeros(jobs, dtype=np.int64),
        scratch=np.zeros((2, a.parts.shape[1]), dtype=np.int64),
        keys=np.zeros(int(most.max(initial=0)) + 1, dtype=np.int64),
        rank=np.zeros(int(most.max(initial=0)) + 1, dtype=np.int32),
    )


def _records(kind: np.dtype[Any], count: int, **columns: Any) -> Rows:
    """Return records of zeros but for some columns."""
    rows = np.zeros(count, dtype=kind)
    for name, values in columns.items():
        rows[name] = values
    return rows


def _queues(sets: Sets, pools: int, rule: int) -> tuple[Index, Index]:
    """Return the queue of every set of pools and of every pool: jobs that could meet in a pool share one."""
    if rule == CHEAPEST:
        return np.full(sets.first.size - 1, NOBODY, dtype=np.int32), np.arange(pools, dtype=np.int32)
    root = np.arange(pools)
    for s in range(sets.first.size - 1):
        joined = np.unique(root[sets.pool[sets.first[s] : sets.first[s + 1]]])
        root[np.isin(root, joined)] = joined[0]
    used = np.zeros(pools, dtype=np.bool_)
    used[sets.pool] = True
    number = np.unique(root[used], return_inverse=True)[1]
    queue_of_pool = np.full(pools, NOBODY, dtype=np.int32)
    queue_of_pool[used] = number.reshape(-1)
    return queue_of_pool[sets.pool[sets.first[:-1]]].astype(np.int32), queue_of_pool


class _Kinds(NamedTuple):
    """Jobs with the same pools and accelerators; by queue."""

    of_job: Index
    place: Int
    pools: Index
    gpus: Int
    of_leaf: Index
    job: Index


def _kinds(a: BookArrays, sets: Sets, queue_of_set: Index, rule: int) -> _Kinds:
    """Return the classes of the jobs, each with and without vouchers, and their places in the trees."""
    jobs = a.gpus.size
    of_job = np.full((2, jobs), NOBODY, dtype=np.int32)
    place = np.zeros((2, jobs), dtype=np.int64)
    rows, seconds = np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int64)
    if rule not in (EASY, SHORTEST):
        return _Kinds(of_job, place, rows, seconds, rows, rows)
    sizes, size = np.unique(a.gpus, return_inverse=True)
    code = sets.of_job * np.int64(sizes.size) + size.reshape(-1)
    known, number = np.unique(code[sets.of_job >= 0], return_inverse=True)
    set_, gpus = np.divmod(known, max(sizes.size, 1))
    by_queue = np.argsort(queue_of_set[set_], kind="stable")
    rank = np.empty(known.size, dtype=np.int32)
    rank[by_queue] = np.arange(known.size)
    of_job[sets.of_job >= 0] = rank[number.reshape(-1)]
    own = of_job >= 0
    own[1] &= of_job[0] != of_job[1]
    variant, job = np.nonzero(own)
    which = of_job[variant, job]
    order = np.lexsort((job, which))
    place[variant[order], job[order]] = np.arange(order.size)
    place[1] = np.where(own[1], place[1], place[0])
    return _Kinds(
        of_job=of_job,
        place=place,
        pools=set_[by_queue].astype(np.int32),
        gpus=sizes[gpus[by_queue]] if sizes.size else seconds,
        of_leaf=which[order],
        job=job[order].astype(np.int32),
    )


class _Changes(NamedTuple):
    event: Rows
    step: Rows
    step_bounds: Int
    drop: Rows
    drop_bounds: Int
    most: Int
    """[P] most accelerators that ever stand."""
    most_cuts: int
    """Most runs that outages can stop: one for each accelerator that they take."""


def _changes(case: Case) -> _Changes:
    """Return when the capacity of pools changes, as planned and as it comes."""
    plan, stands = planned(case), standing(case)
    empty = np.zeros((plan.shape[0], 1), dtype=np.int64)
    plan_change, change = (np.diff(rows, axis=1, prepend=empty) for rows in (plan, stands))
    hour, pool = np.nonzero(((plan_change != 0) | (change != 0)).T)
    step_pool, step_hour = np.nonzero(plan_change)
    drop_pool, drop_hour = np.nonzero(plan_change < 0)
    bounds = np.arange(plan.shape[0] + 1)
    at = {"second": hour * HOUR_S, "pool": pool, "gpus": stands[pool, hour], "planned": plan[pool, hour]}
    return _Changes(
        event=_records(EVENT, hour.size, **at),
        step=_records(STEP, step_hour.size, second=step_hour * HOUR_S, change=plan_change[step_pool, step_hour]),
        step_bounds=np.searchsorted(step_pool, bounds),
        drop=_records(DROP, drop_hour.size, second=drop_hour * HOUR_S, gpus=plan[drop_pool, drop_hour]),
        drop_bounds=np.searchsorted(drop_pool, bounds),
        most=stands.max(axis=1, initial=0),
        most_cuts=int(-change[change < 0].sum()) if case.outages else 0,
    )


# ---- after -------------------------------------------------------------------------------------------------------


@loop
def _true_ends(times: Times, start: Int, pool: Index, end_s: int, out: Int) -> None:
    """Write when every job that ran has ended."""
    for j in range(start.shape[0]):
        if start[j] >= 0:
            out[j] = min(start[j] + true_run(times.run[j], times.speed[pool[j]]), end_s)


def _results(case: Case, a: BookArrays, floor: Floor, times: Times) -> tuple[Results, Cut, Sequence[str]]:
    """Return what became of every job, runs cut short, and the names that the programme column points to."""
    end = np.full(floor.job.size, NEVER, dtype=np.int64)
    job = floor.job
    start = job["start"].copy()
    _true_ends(times, start, job["where"].copy(), floor.end_s, end)
    pool = np.where(start == NEVER, NEVER, job["where"]).astype(np.int32)
    gross, transfer, voucher, option = (job[name].copy() for name in ("gross", "transfer", "voucher", "option"))
    names = [";".join(case.terms.programme_ids[k] for k in row if k >= 0) for row in a.parts]
    programme = np.where((option > 0) & (voucher > 0), option, NEVER).astype(np.int32)
    rows = floor.cut[: floor.tally[CUTS]]
    rows = rows[np.lexsort((rows[:, 2], rows[:, 0]))]
    name_all(case.terms.programme_ids, names, programme, rows[:, 0], rows[:, 4], rows[:, 5] > 0)
    last = np.ones(rows.shape[0], dtype=np.bool_)
    last[:-1] = rows[1:, 0] != rows[:-1, 0]
    final = rows[last & (start[rows[:, 0]] == NEVER)]
    start[final[:, 0]], end[final[:, 0]], pool[final[:, 0]] = final[:, 2], final[:, 3], final[:, 1]
    others = rows[~(last & (start[rows[:, 0]] == rows[:, 2]) & (end[rows[:, 0]] == rows[:, 3]))]
    results = Results(
        outcome=job["outcome"].copy(),
        start_s=start,
        end_s=end,
        pool=pool,
        left_s=job["left"].copy(),
        held_s=job["held"].copy(),
        ask_cost=gross,
        gross=gross,
        transfer=transfer,
        voucher=voucher,
        net=gross + transfer - voucher,
        programme=programme,
    )
    cut = Cut(
        job=others[:, 0].astype(np.int32),
        pool=others[:, 1].astype(np.int32),
        start_s=others[:, 2].copy(),
        end_s=others[:, 3].copy(),
        held_s=others[:, 3] - others[:, 2],
    )
    return results, cut, names


__all__ = ["replay_queues"]
