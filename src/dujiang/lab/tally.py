"""What became of every job of a replay in rounds: from awards that ended to the arrays of `lab.frames`."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from dujiang.core.money import MICRO
from dujiang.core.slots import ceil_div
from dujiang.lab import frames
from dujiang.lab.case import NO_DEADLINE, Case, Int
from dujiang.lab.frames import HOUR_S, NEVER, Cut, Results
from dujiang.lab.running import Ended
from dujiang.market.arrays import BookArrays
from dujiang.market.clear import JOINT
from dujiang.market.rejections import place_fits


@dataclass(frozen=True, slots=True)
class Fates:
    """What rounds noted about jobs that are not served, by row."""

    hopeless: Collection[int]
    """Whenever it was asked whether it could pay the ask somewhere within reach, it could not."""
    stopped: Collection[int]
    """An outage took an award from it."""


def tallied(case: Case, a: BookArrays, ended: Sequence[Ended], fates: Fates) -> tuple[Results, Cut, list[str]]:
    """Return what became of every job, the runs that outages cut short, and names for the column of programmes.

    Amounts are those of the awards, to the micro-yuan, before lines are rounded to fen; of a run that was cut short,
    those of its bill, rounded where the bill is. `gross + transfer = voucher + net` holds for both.

    Parameters
    ----------
    case : what was replayed
    a : arrays of its whole book
    ended : all awards that have ended, in time
    fates : about the others
    """
    jobs = case.jobs.submit_s.size
    amounts = {name: np.zeros(jobs, dtype=np.int64) for name in ("held_s", *_AMOUNTS)}
    start, end = (np.full(jobs, NEVER, dtype=np.int64) for _ in range(2))
    pool, programme = (np.full(jobs, NEVER, dtype=np.int32) for _ in range(2))
    served = np.zeros(jobs, dtype=np.bool_)
    names: dict[str, int] = {}
    cuts: dict[int, list[tuple[int, int, int, int]]] = {}
    speeds = case.book.pools["speed_micro"].to_numpy()
    for one in ended:
        live, j = one.live, one.live.row
        if not live.begun:
            continue
        if start[j] != NEVER:
            held = int(end[j] - start[j])
            cuts.setdefault(j, []).append((int(pool[j]), int(start[j]), int(end[j]), held))
        figures = _figures(one)
        for name, value in figures.items():
            amounts[name][j] += value
        whole = one.settled.whole
        run = ceil_div(int(case.jobs.run_s[j]) * MICRO, int(speeds[live.pool])) if whole else figures["held_s"]
        start[j], pool[j], served[j] = live.start * HOUR_S, live.pool, whole
        end[j] = start[j] + run
        if figures["voucher"]:
            text = JOINT.join(voucher.programme_id for voucher in live.award.award.vouchers)
            programme[j] = names.setdefault(text, len(names))
    outcome = _outcomes(case, a, served, fates)
    left = np.where(served, NEVER, _left(case, a, outcome))
    results = Results(
        outcome, start, end, pool, np.maximum(left, np.where(served, NEVER, end)), programme=programme, **amounts
    )
    return results, _cut(cuts), list(names)


_AMOUNTS = ("ask_cost", "gross", "transfer", "voucher", "net")


def _figures(one: Ended) -> dict[str, int]:
    """Return charged time and amounts of one run; what an outage left of it is whole hours, as outages begin at one."""
    award, due = one.live.award.award, one.settled.bill
    if one.settled.whole:
        voucher = sum(v.amount_ucny for v in award.vouchers)
        slots, gross, transfer = len(award.asks_ucny), award.gross_ucny, award.transfer_ucny
    else:
        slots = due.gpu_hours_micro // (award.gpus * MICRO)
        voucher = sum(amount for _, amount in due.vouchers)
        gross, transfer = due.metered_ucny, due.transfer_ucny
    return {
        "held_s": slots * HOUR_S,
        "ask_cost": award.gpus * sum(award.asks_ucny[:slots]),
        "gross": gross,
        "transfer": transfer,
        "voucher": voucher,
        "net": gross + transfer - voucher,
    }


def _outcomes(case: Case, a: BookArrays, served: np.ndarray, fates: Fates) -> frames.Code:
    jobs, over_s = case.jobs, case.book.slots * HOUR_S
    hopeless, stopped = (_flags(rows, served.size) for rows in (fates.hopeless, fates.stopped))
    out = np.full(served.size, frames.EXPIRED, dtype=np.int8)
    out[jobs.deadline_s - quickest_s(case, a) >= over_s] = frames.WAITING
    out[stopped & (out == frames.EXPIRED)] = frames.STOPPED
    out[~stopped & (hopeless | ~_could_hold(a))] = frames.REFUSED
    out[served] = frames.SERVED
    return out


def _flags(rows: Collection[int], size: int) -> np.ndarray:
    out = np.zeros(size, dtype=np.bool_)
    out[np.fromiter(rows, dtype=np.int64, count=len(rows))] = True
    return out


def _could_hold(a: BookArrays) -> np.ndarray:
    """Return whether some pool within reach ever has so many accelerators as each job needs, by what is planned."""
    most = np.where(place_fits(a), a.capacity.max(axis=1, initial=0), -1).max(axis=1, initial=-1)
    return np.asarray(most[a.place] >= a.gpus)


def quickest_s(case: Case, a: BookArrays) -> Int:
    """Return the seconds that each job runs in the fastest pool within reach; at speed 1.0 where none is."""
    speeds = case.book.pools["speed_micro"].to_numpy()
    fastest = np.where(place_fits(a), speeds, 0).max(axis=1, initial=0)
    fastest = np.where(fastest > 0, fastest, MICRO)[a.place]
    return np.asarray(-(-case.jobs.run_s * MICRO // fastest))


def _left(case: Case, a: BookArrays, outcome: frames.Code) -> Int:
    """Return when jobs that are not served stopped waiting: at once, out of patience, or with the replay."""
    jobs, over_s = case.jobs, case.book.slots * HOUR_S
    patience = np.where(jobs.deadline_s >= NO_DEADLINE, over_s, jobs.deadline_s - quickest_s(case, a))
    left = np.maximum(jobs.submit_s, np.minimum(patience, over_s))
    return np.where(outcome == frames.REFUSED, jobs.submit_s, left)


def _cut(cuts: dict[int, list[tuple[int, int, int, int]]]) -> Cut:
    rows = [(j, *run) for j in sorted(cuts) for run in cuts[j]]
    if not rows:
        return frames.no_cut()
    job, pool, start, end, held = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    return Cut(job.astype(np.int32), pool.astype(np.int32), start, end, held)
