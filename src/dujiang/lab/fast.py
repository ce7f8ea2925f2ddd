"""The market in fast mode: arrival by arrival at quoted prices, compiled.

Every pool and hour has a quote: its ask, and more where most of it is taken (`Quoted`). A job takes, when it is
submitted, the block with the greatest surplus (effective limit less quote) among the pools that it reaches and the
starts of its window, ties to the earlier pool and start; it pays the quote, and the quotes of its hours move. Who finds
no block with a surplus is not served: quotes only rise, so asking again would not help. The search is that of the
market (`market.place.find_block`), as are all amounts.

An outage is known from its first hour on. What runs or is awarded in its hours is taken back, latest starts first,
until the rest has room, and asks again at the quotes of that hour, before later arrivals; a run that was stopped pays
the part of its price that its hours have, at least their ask, and begins again from nothing.
"""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dujiang.core.money import MICRO
from dujiang.lab.case import NO_DEADLINE, Case, Int
from dujiang.lab.compiled import inlined, loop
from dujiang.lab.first_come import Purse, full_purse, look_up_rooms, shrink
from dujiang.lab.frames import (
    EXPIRED,
    NEVER,
    REFUSED,
    STOPPED,
    WAITING,
    Code,
    Cut,
    Results,
    job_frame,
    name_all,
    series_frame,
)
from dujiang.lab.outages import standing
from dujiang.lab.payable import HOUR_S, TOO_DEAR, Times, asks_of, entries_of, times_of
from dujiang.lab.replay import Replay
from dujiang.lab.scenario import Clock, Quoted
from dujiang.market.amounts import bearable, haul
from dujiang.market.arrays import BY_ORDER, MAX_PRICE_UCNY, BookArrays
from dujiang.market.book_arrays import book_arrays
from dujiang.market.place import Guide, find_block, fits, guide_at
from dujiang.market.state import Posted, Row, State, cost_between, empty_state, posted_prices, put, vouchers_at

Rows = npt.NDArray[Any]
"""Array of records."""


class Quotes(NamedTuple):
    """Quotes and how they follow use; changed in place."""

    price: Int
    """[P, T] micro-yuan per GPU-hour."""
    stands: Int
    """[P, T] accelerators that stand there."""
    known: Int
    """[1] prefix sums up to this hour are right; later ones still lack the rises of earlier hours."""
    rise: Int
    """[P] sum of all rises of a pool, micro-yuan per accelerator."""
    knee: float
    top: float


class Desk(NamedTuple):
    """All that a search needs and changes."""

    a: BookArrays
    """Rooms and budgets are those of the purse; limits and releases its own."""
    state: State
    guide: Guide
    posted: Posted
    quotes: Quotes
    purse: Purse
    gross: Int
    """[J] price of the award, micro-yuan."""
    bears: Int
    """[O] scratch."""
    parts: Int
    """[M] scratch."""


CUT = np.dtype([(name, "i8") for name in ("job", "pool", "start", "end", "option", "gross", "ask", "move", "voucher")])
"""A run that an outage stopped: hours, and what is paid for it, micro-yuan."""


def replay_fast(case: Case) -> Replay:
    """Replay a case under the market, arrival by arrival at quoted prices.

    Parameters
    ----------
    case : the case; its scenario's `quoted` says how quotes follow use

    Returns
    -------
    the replay; `extra` is empty
    """
    begin = time.perf_counter()
    a = book_arrays(case.book, case.terms, case.coupling)
    desk = _desk(case, a)
    ready = time.perf_counter()
    cut = _go_through(case, desk)
    ran = time.perf_counter()
    results, others, names = _results(case, a, desk, cut)
    jobs = job_frame(case, results, others, names)
    series = series_frame(case, results, others, desk.quotes.price)
    seconds = {"prepare": ready - begin, "replay": ran - ready, "frames": time.perf_counter() - ran}
    return Replay(jobs, series, {}, seconds)


def _desk(case: Case, a: BookArrays) -> Desk:
    """Return the desk before the first order: every quote is the ask, all that is planned is free."""
    purse = full_purse(a)
    quoted: Quoted = case.scenario.quoted
    own = a._replace(room=purse.room, limit=a.limit.copy(), release=a.release.copy())
    state = empty_state(own)._replace(budget=purse.budget_left, cap=purse.cap_left, used=purse.used)
    flat = np.zeros(a.ask.shape)
    guide = guide_at(own, flat, np.zeros(a.link_left.shape), np.zeros(a.budget.size), np.zeros(a.cap_left.size))
    return Desk(
        a=own,
        state=state,
        guide=guide,
        posted=posted_prices(own, np.zeros_like(a.ask)),
        quotes=Quotes(
            price=a.ask.copy(),
            stands=a.capacity.copy(),
            known=np.zeros(1, dtype=np.int64),
            rise=np.zeros(a.ask.shape[0], dtype=np.int64),
            knee=float(quoted.knee),
            top=float(quoted.top),
        ),
        purse=purse,
        gross=np.zeros(a.gpus.size, dtype=np.int64),
        bears=np.empty(a.allowed.shape[1], dtype=np.int64),
        parts=np.empty(a.parts.shape[1], dtype=np.int64),
    )


def _go_through(case: Case, desk: Desk) -> Rows:
    """Serve all jobs in the order of the book, outages in between; return the runs that these stopped."""
    cut = [np.zeros(0, dtype=CUT)]
    at = 0
    for hour in sorted({max(outage.from_h, 0) for outage in case.outages if outage.to_h > 0}):
        end = int(np.searchsorted(case.jobs.submit_s, hour * HOUR_S))
        _arrivals(desk, at, end)
        at = end
        if hour < case.book.slots:
            cut.append(_outage(case, desk, hour))
    _arrivals(desk, at, desk.a.gpus.size)
    return np.concatenate(cut)


# ---- quotes ------------------------------------------------------------------------------------------------------


@loop
def quote(ask: int, used: int, stands: int, knee: float, top: float) -> int:
    """Return the quote of an hour, micro-yuan per GPU-hour, at least the ask.

    Parameters
    ----------
    used, stands : accelerators taken, and there; the ask where none is there
    knee, top : see `Quoted`
    """
    if stands <= 0 or used <= knee * stands:
        return ask
    over = min((used / stands - knee) / (1.0 - knee), 1.0) if knee < 1.0 else 1.0
    return min(max(ask, int(np.floor(ask * top**over + 0.5))), MAX_PRICE_UCNY)


@inlined
def _move_quotes(desk: Desk, p: int, first: int, end: int) -> None:
    """Let the quotes of the hours [first, end) of a pool follow its use."""
    a, quotes, posted, guide = desk.a, desk.quotes, desk.posted, desk.guide
    rise = 0
    for t in range(first, end):
        stands = quotes.stands[p, t]
        price = quote(a.ask[p, t], stands - desk.state.free[p, t], stands, quotes.knee, quotes.top)
        rise += price - quotes.price[p, t]
        quotes.price[p, t] = price
        if rise != 0:
            posted.price_sum[p, t + 1] += rise
            guide.price_sum[p, t + 1] = float(posted.price_sum[p, t + 1])
    if rise != 0:
        quotes.rise[p] += rise
        for t in range(end + 1, quotes.known[0] + 1):
            posted.price_sum[p, t] += rise
            guide.price_sum[p, t] = float(posted.price_sum[p, t])


@inlined
def _know_until(desk: Desk, hour: int) -> None:
    """Make prefix sums right up to an hour: a rise is entered no further than anybody has looked."""
    known = desk.quotes.known[0]
    if hour <= known:
        return
    for p in range(desk.a.ask.shape[0]):
        rise = desk.quotes.rise[p]
        if rise != 0:
            for t in range(known + 1, hour + 1):
                desk.posted.price_sum[p, t] += rise
                desk.guide.price_sum[p, t] = float(desk.posted.price_sum[p, t])
    desk.quotes.known[0] = hour


# ---- one job -----------------------------------------------------------------------------------------------------


@inlined
def _serve(desk: Desk, j: int) -> bool:
    """Give a job its best block; say whether there is one."""
    a, s, purse = desk.a, desk.state, desk.purse
    look_up_rooms(purse, j)
    _know_until(desk, a.deadline[j])
    p, t, o, _ = find_block(a, s, desk.guide, desk.posted, j, 0.0, desk.bears, desk.parts)
    if p < 0:
        return False
    p, t = _earlier(desk, j, p, t, o)
    d = a.slots[a.shape[j], p]
    ask = a.gpus[j] * cost_between(desk.posted.ask_sum, p, t, d)
    price = a.gpus[j] * cost_between(desk.posted.price_sum, p, t, d)
    desk.gross[j] = max(ask, min(price, bearable(a, j, p, o)))
    put(a, s, desk.posted, j, p, t, o)
    _move_quotes(desk, p, t, t + d)
    return True


@inlined
def _earlier(desk: Desk, j: int, p: int, t: int, o: int) -> tuple[int, int]:
    """Return pool and start of the earliest block that is worth exactly as much, with the same vouchers."""
    a, posted = desk.a, desk.posted
    gpus = a.gpus[j]
    bears = bearable(a, j, p, o)
    own = a.slots[a.shape[j], p]
    surplus = bears - a.carbon[p] * gpus * own - gpus * cost_between(posted.price_sum, p, t, own)
    row = a.place[j]
    best, start = p, t
    for i in range(a.place_first[row], a.place_first[row + 1]):
        q = a.place_pool[i]
        d = a.slots[a.shape[j], q]
        last = min(start - 1, a.deadline[j] - d)
        if q == p or a.release[j] > last:
            continue
        room = bearable(a, j, q, o)
        left = room - a.carbon[q] * gpus * d
        for u in range(a.release[j], last + 1):
            if left - gpus * cost_between(posted.price_sum, q, u, d) != surplus:
                continue
            if not fits(a, desk.state, j, q, u):
                continue
            if o == 0 or vouchers_at(a, desk.state, posted, j, q, u, o, room, desk.parts):
                best, start = q, u
                break
    return best, start


@loop
def _arrivals(desk: Desk, first: int, end: int) -> None:
    """Serve jobs in the order of the book."""
    for j in range(first, end):
        _serve(desk, j)


@loop
def _again(desk: Desk, jobs: Int) -> None:
    """Serve some jobs that are without an award now."""
    for i in range(jobs.shape[0]):
        _serve(desk, jobs[i])


# ---- outages -----------------------------------------------------------------------------------------------------


def _outage(case: Case, desk: Desk, hour: int) -> Rows:
    """Let all outages of an hour begin; return the runs that they stopped."""
    a, s, quotes = desk.a, desk.state, desk.quotes
    change = standing(case, hour) - quotes.stands
    s.free[:] += change
    quotes.stands[:] += change
    awarded = np.flatnonzero(s.pool >= 0)
    end = s.start[awarded] + a.slots[a.shape[awarded], s.pool[awarded]]
    open_ = awarded[(end > hour) & np.any(change < 0, axis=1)[s.pool[awarded]]]
    latest = open_[np.lexsort((-open_, -s.start[open_]))].astype(np.int64)
    cut = np.zeros(latest.size, dtype=CUT)
    count = _take_back(desk, latest, hour, cut)
    a.release[:] = np.maximum(a.release, np.where(s.pool < 0, hour, 0))
    _all_quotes(desk, hour)
    _again(desk, np.sort(latest[s.pool[latest] < 0]))
    return cut[:count]


@loop
def _all_quotes(desk: Desk, first: int) -> None:
    """Let all quotes from an hour on follow use and capacity."""
    _know_until(desk, desk.a.ask.shape[1])
    for p in range(desk.a.ask.shape[0]):
        _move_quotes(desk, p, first, desk.a.ask.shape[1])


@loop
def _take_back(desk: Desk, jobs: Int, now: int, cut: Rows) -> int:
    """Take back awards, in the order given, that have some hour with too few accelerators; return how many had begun.

    Parameters
    ----------
    jobs : rows of awards that are not over, latest start first
    now : hour of the outage
    cut : [N] takes those that had begun
    """
    a, s, sums = desk.a, desk.state, desk.posted.ask_sum
    count = 0
    for i in range(jobs.shape[0]):
        j = jobs[i]
        p, t = s.pool[j], s.start[j]
        d = a.slots[a.shape[j], p]
        lacking = False
        for u in range(max(t, now), t + d):
            lacking |= s.free[p, u] < 0
        if not lacking:
            continue
        ran = max(now - t, 0)
        for u in range(t + ran, t + d):
            s.free[p, u] += a.gpus[j]
        if ran == 0:
            route = a.route[a.place[j], p]
            if route >= 0:
                s.link[route, t] += a.data[j]
        ask = a.gpus[j] * cost_between(sums, p, t, ran)
        # the part of the price that its hours have; at least their ask, which is no more than the whole
        gross = max(ask, desk.gross[j] // d * ran + desk.gross[j] % d * ran // d)
        move = haul(a.data[j], a.tariff[a.place[j], p]) if ran > 0 else 0
        voucher = 0
        if s.option[j] > 0:
            voucher = shrink(desk.purse, j, p, s.option[j], gross, s.voucher[j], desk.parts)
        a.limit[j] -= gross + move - voucher
        if ran > 0:
            row = cut[count]
            row.job, row.pool, row.start, row.end, row.option = j, p, t, now, s.option[j]
            row.gross, row.ask, row.move, row.voucher = gross, ask, move, voucher
            count += 1
        s.pool[j], s.start[j], s.option[j], s.worth[j], desk.gross[j] = -1, -1, 0, 0, 0
        for m in range(a.parts.shape[1]):
            s.voucher[j, m] = 0
    return count


# ---- after -------------------------------------------------------------------------------------------------------


def _results(case: Case, given: BookArrays, desk: Desk, cut: Rows) -> tuple[Results, Cut, Sequence[str]]:
    """Return what became of every job, runs cut short, and the names that the programme column points to.

    Parameters
    ----------
    given : the arrays as they were before the first job
    cut : runs that outages stopped
    """
    a, s = desk.a, desk.state
    cut = cut[np.lexsort((cut["start"], cut["job"]))]
    jobs = np.flatnonzero(s.pool >= 0)
    pool, start = s.pool[jobs], s.start[jobs].astype(np.int64)
    slots = a.slots[a.shape[jobs], pool].astype(np.int64)
    times = times_of(case, Clock.HOURS)
    size = a.gpus.size
    outcome = np.zeros(size, dtype=np.int8)
    start_s, end_s, left_s = (np.full(size, NEVER, dtype=np.int64) for _ in range(3))
    where = np.full(size, NEVER, dtype=np.int32)
    held, ask, transfer = (np.zeros(size, dtype=np.int64) for _ in range(3))
    start_s[jobs], where[jobs] = start * HOUR_S, pool
    end_s[jobs] = start_s[jobs] - (-case.jobs.run_s[jobs] * MICRO // times.speed[pool])
    held[jobs] = slots * HOUR_S
    sums = desk.posted.ask_sum
    ask[jobs] = a.gpus[jobs] * (sums[pool, start + slots] - sums[pool, start])
    _hauls(a, jobs, s.pool, transfer)
    gross, voucher = desk.gross.copy(), s.voucher.sum(axis=1)
    unserved = np.flatnonzero(s.pool < 0)
    outcome[unserved], left_s[unserved] = _unserved(case, given, times, unserved)
    names = [";".join(case.terms.programme_ids[k] for k in row if k >= 0) for row in a.parts]
    programme = np.where(voucher > 0, s.option, NEVER).astype(np.int32)
    others = cut
    if cut.size:
        np.add.at(held, cut["job"], (cut["end"] - cut["start"]) * HOUR_S)
        for total, name in ((ask, "ask"), (gross, "gross"), (transfer, "move"), (voucher, "voucher")):
            np.add.at(total, cut["job"], cut[name])
        name_all(case.terms.programme_ids, names, programme, cut["job"], cut["option"], cut["voucher"] > 0)
        last = np.append(cut["job"][1:] != cut["job"][:-1], True)
        final = cut[last & (s.pool[cut["job"]] < 0)]
        at = final["job"]
        outcome[at], where[at], start_s[at], end_s[at] = (
            STOPPED,
            final["pool"],
            final["start"] * HOUR_S,
            final["end"] * HOUR_S,
        )
        left_s[at] = np.maximum(left_s[at], end_s[at])
        others = cut[~(last & (s.pool[cut["job"]] < 0))]
    results = Results(
        outcome=outcome,
        start_s=start_s,
        end_s=end_s,
        pool=where,
        left_s=left_s,
        held_s=held,
        ask_cost=ask,
        gross=gross,
        transfer=transfer,
        voucher=voucher,
        net=gross + transfer - voucher,
        programme=programme,
    )
    rows = Cut(
        job=others["job"].astype(np.int32),
        pool=others["pool"].astype(np.int32),
        start_s=others["start"] * HOUR_S,
        end_s=others["end"] * HOUR_S,
        held_s=(others["end"] - others["start"]) * HOUR_S,
    )
    return results, rows, names


@loop
def _hauls(a: BookArrays, jobs: Int, pool: Row, out: Int) -> None:
    """Write what moving its data to its pool costs each of some jobs into `out` [J]."""
    for j in jobs:
        out[j] = haul(a.data[j], a.tariff[a.place[j], pool[j]])


def _unserved(case: Case, a: BookArrays, times: Times, jobs: Int) -> tuple[Code, Int]:
    """Return why jobs were never served, and when they stopped waiting."""
    some = a._replace(**{name: np.ascontiguousarray(getattr(a, name)[jobs]) for name in BY_ORDER})
    own = times._replace(arrive=times.arrive[jobs], run=times.run[jobs], due=times.due[jobs])
    entries = entries_of(case, some, full_purse(some), own, asks_of(a))
    end_s = case.book.slots * HOUR_S
    submit = case.jobs.submit_s[jobs]
    dear, ever = entries.verdict == TOO_DEAR, own.due >= NO_DEADLINE
    outcome = np.select([dear, ever], [REFUSED, WAITING], EXPIRED)
    left = np.where(dear, submit, np.where(ever, end_s, np.clip(entries.patience, submit, end_s)))
    return outcome.astype(np.int8), left


__all__ = ["replay_fast"]
