"""Which pools each job may queue for: those that reach it, could ever hold it, end it in time, and that it can pay.

Jobs with the same list of pools share one (`Sets`). Every job has two: with the vouchers that are there before the
first job, and without any; it goes over to the second when its turn comes and its vouchers are used up.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dujiang.lab.case import NO_DEADLINE, Case, Index, Int
from dujiang.lab.compiled import inlined, loop
from dujiang.lab.first_come import Purse, best_vouchers
from dujiang.lab.outages import planned
from dujiang.lab.scenario import Clock
from dujiang.market.amounts import haul
from dujiang.market.arrays import BookArrays

Bits = npt.NDArray[np.uint64]
Code = npt.NDArray[np.int8]

HOUR_S = 3600
WITH, WITHOUT = 0, 1
"""Rows of a job's two sets."""
NO_SET = -1
FINE, TOO_DEAR, TOO_LATE = range(3)
"""Whether a job may queue at all: yes; it can pay or be held nowhere; it could, but nowhere end in time."""
BEYOND = 4 * 10**18
"""Stands for amounts that no limit bears."""
FOREVER_S = 2**62
_MICRO = 1_000_000
_WORD = 64


class Times(NamedTuple):
    """Jobs on the grid of a clock, seconds; J jobs, P pools."""

    tick: int
    """One second or one hour."""
    arrive: Int
    """[J] submission, rounded up to the grid."""
    run: Int
    """[J] run time at speed 1.0."""
    due: Int
    """[J] by when it must have ended, rounded down."""
    speed: Int
    """[P] millionths."""


class Asks(NamedTuple):
    """Reserve prices as prefix sums."""

    sum: Int
    """[P, T + 1] micro-yuan per accelerator from hour 0 on."""
    rate: Int
    """[P, T] micro-yuan per GPU-hour."""
    least: Int
    """[P] of any hour."""


class Sets(NamedTuple):
    """Lists of pools, S of them."""

    of_job: Index
    """[2, J]; `NO_SET`: no pool."""
    first: Int
    """[S + 1] where the pools of a set begin."""
    pool: Index
    """[...] ascending."""
    bits: Bits
    """[S, W] the same, one bit per pool."""


class Entries(NamedTuple):
    """What comes of each job when it is submitted; J jobs."""

    patience: Int
    """[J] last second at which it can start and still end in time; `NO_DEADLINE`: whenever."""
    verdict: Code
    """[J] FINE, TOO_DEAR or TOO_LATE."""


def times_of(case: Case, clock: Clock) -> Times:
    """Return submission, run time and deadline of every job on the grid of a clock."""
    tick = HOUR_S if clock is Clock.HOURS else 1
    return Times(
        tick=tick,
        arrive=-(-case.jobs.submit_s // tick) * tick,
        run=case.jobs.run_s,
        due=np.where(case.jobs.deadline_s >= NO_DEADLINE, NO_DEADLINE, case.jobs.deadline_s // tick * tick),
        speed=np.ascontiguousarray(case.book.pools["speed_micro"].to_numpy(), dtype=np.int64),
    )


def asks_of(a: BookArrays) -> Asks:
    """Return the asks of a book."""
    sums = np.zeros((a.ask.shape[0], a.ask.shape[1] + 1), dtype=np.int64)
    np.cumsum(a.ask, axis=1, out=sums[:, 1:])
    least = a.ask.min(axis=1, initial=2**62) if a.ask.shape[1] else np.zeros(a.ask.shape[0], dtype=np.int64)
    return Asks(sums, a.ask, least)


@inlined
def true_run(run: int, speed: int) -> int:
    """Return how long a job of so many seconds at speed 1.0 runs at a speed in millionths, whole seconds."""
    return -(-run * _MICRO // speed)


@inlined
def held_run(run: int, speed: int, tick: int) -> int:
    """Return for how long it holds its accelerators, on the grid of the clock."""
    return -(-true_run(run, speed) // tick) * tick


@inlined
def charge(per_gpu: int, gpus: int) -> int:
    """Return what accelerators cost, micro-yuan, half up; `BEYOND` if that is more than anybody bears.

    Parameters
    ----------
    per_gpu : micro-yuan per hour times seconds, of one accelerator
    """
    whole, rest = per_gpu // HOUR_S, per_gpu % HOUR_S
    if float(whole) * gpus > 1e18:
        return BEYOND
    return gpus * whole + (gpus * rest + HOUR_S // 2) // HOUR_S


@inlined
def _up_to(asks: Asks, p: int, second: int) -> int:
    """Return what an accelerator costs from second 0 to `second`, micro-yuan per hour times seconds."""
    hour = second // HOUR_S
    if hour >= asks.rate.shape[1]:
        return asks.sum[p, asks.rate.shape[1]] * HOUR_S  # type: ignore[no-any-return]
    return asks.sum[p, hour] * HOUR_S + asks.rate[p, hour] * (second - hour * HOUR_S)  # type: ignore[no-any-return]


@inlined
def ask_cost(asks: Asks, p: int, gpus: int, begin: int, end: int) -> int:
    """Return the cost at the asks of accelerators held in the seconds [begin, end), micro-yuan.

    What lies behind the end of the book is not charged: nothing is replayed there.
    """
    return charge(_up_to(asks, p, end) - _up_to(asks, p, begin), gpus)


def sets_of(
    case: Case, a: BookArrays, purse: Purse, times: Times, asks: Asks, *, own_centre: bool
) -> tuple[Sets, Entries]:
    """Work out where every job may queue.

    Parameters
    ----------
    case, a, purse : what is replayed, its arrays, and the purse before the first job
    times, asks : of the case
    own_centre : whether a job stays in the centre that it was submitted to
    """
    jobs, pools = a.gpus.size, a.capacity.shape[0]
    words, entries = _filled(case, a, purse, times, asks, case.jobs.origin if own_centre else None)
    rows = words.reshape(2 * jobs, words.shape[2])
    code = _codes(rows)
    distinct, example, of_row = np.unique(code, return_index=True, return_inverse=True)
    bits = rows[example]
    there = np.array([[bool(int(row[p // _WORD]) >> (p % _WORD) & 1) for p in range(pools)] for row in bits])
    there = there.reshape(distinct.size, pools)
    empty = ~there.any(axis=1)
    number = np.where(empty, NO_SET, np.cumsum(~empty) - 1)
    sets = Sets(
        of_job=number[of_row.reshape(-1)].astype(np.int32).reshape(2, jobs),
        first=np.concatenate([[0], np.cumsum(there[~empty].sum(axis=1))]).astype(np.int64),
        pool=np.nonzero(there[~empty])[1].astype(np.int32),
        bits=np.ascontiguousarray(bits[~empty]),
    )
    return sets, entries


def entries_of(case: Case, a: BookArrays, purse: Purse, times: Times, asks: Asks) -> Entries:
    """Work out what comes of jobs when they are submitted, wherever they may go.

    Parameters
    ----------
    a, purse, times : of some jobs of the case, before the first job
    """
    return _filled(case, a, purse, times, asks, None)[1]


def _filled(
    case: Case, a: BookArrays, purse: Purse, times: Times, asks: Asks, origin: Index | None
) -> tuple[Bits, Entries]:
    """Return a bit for every pool in which a job may queue, [2, J, W], and what comes of every job."""
    jobs, pools = a.gpus.size, a.capacity.shape[0]
    names = {name: row for row, name in enumerate(case.book.centres["centre_id"])}
    centre_of = np.array([names[name] for name in case.book.pools["centre_id"]], dtype=np.int32)
    most = planned(case).max(axis=1, initial=0)
    words = np.zeros((2, jobs, max(1, -(-pools // _WORD))), dtype=np.uint64)
    patience = np.full(jobs, NO_DEADLINE, dtype=np.int64)
    verdict = np.zeros(jobs, dtype=np.int8)
    home = np.full(jobs, -1, dtype=np.int32) if origin is None else origin
    parts = np.zeros((2, a.parts.shape[1]), dtype=np.int64)
    _fill(a, purse, times, asks, most, centre_of, home, parts, words, patience, verdict)
    return words, Entries(patience, verdict)


def _codes(words: Bits) -> Int:
    """Return a number per row, equal where rows are equal."""
    code = np.unique(words[:, 0], return_inverse=True)[1].reshape(-1).astype(np.int64)
    for w in range(1, words.shape[1]):
        further = np.unique(words[:, w], return_inverse=True)[1].reshape(-1).astype(np.int64)
        both = code * (int(further.max(initial=0)) + 1) + further
        code = np.unique(both, return_inverse=True)[1].reshape(-1).astype(np.int64)
    return code


@loop
def _fill(
    a: BookArrays,
    purse: Purse,
    times: Times,
    asks: Asks,
    most: Int,
    centre_of: Index,
    origin: Index,
    parts: Int,
    words: Bits,
    patience: Int,
    verdict: Code,
) -> None:
    """Set the bit of every pool where a job may queue; patience and verdict of every job.

    Parameters
    ----------
    most : [P] most accelerators that a pool plans to offer in any hour
    centre_of, origin : [P]; [J] centre that it must stay in, -1: any
    parts : [2, M], overwritten
    """
    for j in range(a.gpus.shape[0]):
        row, gpus = a.place[j], a.gpus[j]
        quickest, latest = FOREVER_S, -1
        for i in range(a.place_first[row], a.place_first[row + 1]):
            p = a.place_pool[i]
            if gpus > most[p] or (origin[j] >= 0 and centre_of[p] != origin[j]):
                continue
            held = held_run(times.run[j], times.speed[p], times.tick)
            gross = charge(asks.least[p] * held, gpus)
            net = a.limit[j] - haul(a.data[j], a.tariff[row, p])
            without = gross <= net
            if net <= 0 or (not without and best_vouchers(purse, j, p, gross, net, parts[0], parts[1]) < 0):
                continue
            quickest = min(quickest, held)
            if times.due[j] - held < times.arrive[j]:
                continue
            latest = max(latest, times.due[j] - held)
            bit = np.uint64(1) << np.uint64(p % _WORD)
            words[WITH, j, p // _WORD] |= bit
            if without:
                words[WITHOUT, j, p // _WORD] |= bit
        if quickest == FOREVER_S:
            verdict[j] = TOO_DEAR
        elif latest < 0:
            verdict[j] = TOO_LATE
            patience[j] = times.due[j] - quickest
        elif times.due[j] < NO_DEADLINE:
            patience[j] = latest


__all__ = [
    *("BEYOND", "FINE", "HOUR_S", "NO_SET", "TOO_DEAR", "TOO_LATE", "WITH", "WITHOUT"),
    *(
        "Asks",
        "Entries",
        "Sets",
        "Times",
        "ask_cost",
        "asks_of",
        "charge",
        "held_run",
        "sets_of",
        "times_of",
        "true_run",
    ),
]
