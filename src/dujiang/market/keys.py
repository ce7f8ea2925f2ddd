"""Orders in the order in which a pricing pass visits them, and pools in columns that a loop can take side by side.

The problem. At given prices an order looks for the cheapest start in every pool that it accepts. Orders with the same
durations share the costs of all starts; with the same window the cheapest of them; with the same pools the cheapest
pool. Visited in that order, most of the work of an order is done already.

The choice. Orders are sorted by (fit class, shape, release, deadline, gate) with a radix sort; the fields that the pass
reads are copied in that order, since reading a million rows at random would cost more than pricing them. Pools with
equal durations in all shapes stand side by side (a run), so the same start is a stretch of memory. A gate says which
columns an order may use: its place, and the pools of even capacity that are large enough. Where the capacity of a pool
varies over time a gang may fit at some hours only: orders whose gangs fit in the same cells share a fit class.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit, prange

from dujiang.market.arrays import BookArrays, Flags, Index, Int

Float = npt.NDArray[np.float64]

_DIGIT = 11
"""Bits of one pass of the radix sort."""
PLAIN, WITH_DATA, GENERAL = 0, 1, 2
"""Kinds of orders: money only; data to move as well; vouchers, a bonus, or a link with a capacity."""


class Keys(NamedTuple):
    """N orders in pricing order and Q columns of pools. Built once per book by `build_keys`."""

    row: Index
    """[N] row of the order in the book arrays."""
    fit: Index
    """[N] fit class."""
    shape: Index
    release: Index
    deadline: Index
    gate: Index
    """[N] row of `gates`."""
    kind: npt.NDArray[np.uint8]
    """[N] PLAIN, WITH_DATA or GENERAL."""
    gpus: Float
    limit: Float
    data: Float
    """[N] copies; whole numbers below 2^53."""
    term: Index
    """[N] voucher class; copied, as are the next three."""
    bonus: Float
    """[N]."""
    room: Float
    """[N, K]."""
    cap: Index
    """[N, K]."""
    column_pool: Index
    """[Q] pool of a column."""
    run_first: Index
    """[S+1] where the runs begin; pools of a run have equal durations in all shapes."""
    gates: Float
    """[G, Q] 0 where a gate is open, infinite where it is not."""
    gate_place: Index
    """[G] place row."""
    gate_first: Index
    """[G+1] where the runs that a gate opens begin in `gate_run`."""
    gate_run: Index
    tariff: Float
    """[R, Q] fen per millionth of a GB."""
    fit_gpus: Int
    """[F] a gang of the class; 0: nothing is blocked."""
    uneven: Flags
    """[Q] the capacity varies over time."""
    uneven_ask: Flags
    """[Q] the ask varies over time."""
    usable_first: Index
    """[V+1] where the options of a voucher class begin in `usable`."""
    usable: Index
    """Options that a class may use in some pool; option 0 first."""
    capacity: Int
    """[P, T] the capacity that decides what fits."""
    levels: int
    """Levels of the range minima that the widest window needs."""


OF_ORDERS = (
    *("row", "fit", "shape", "release", "deadline", "gate", "kind", "gpus", "limit", "data"),
    *("term", "bonus", "room", "cap"),
)
"""Fields with an entry for each order."""


@njit(cache=True)
def _radix_order(key: Int, bits: int) -> Index:
    """Return the rows by key, equal keys in row order."""
    n = key.shape[0]
    order = np.arange(n).astype(np.int32)
    other = np.empty(n, dtype=np.int32)
    keys, other_keys = key.copy(), np.empty(n, dtype=np.int64)
    mask = (1 << _DIGIT) - 1
    shift = 0
    while shift < bits:
        count = np.zeros((1 << _DIGIT) + 1, dtype=np.int64)
        for i in range(n):
            count[((keys[i] >> shift) & mask) + 1] += 1
        for i in range(1 << _DIGIT):
            count[i + 1] += count[i]
        for i in range(n):
            digit = (keys[i] >> shift) & mask
            to = count[digit]
            count[digit] += 1
            other[to], other_keys[to] = order[i], keys[i]
        order, other = other, order
        keys, other_keys = other_keys, keys
        shift += _DIGIT
    return order


def _combined(fields: list[npt.NDArray[np.integer]]) -> tuple[Int, int]:
    """Return one number per row that sorts like the fields, first field first, and how many bits it needs."""
    key = np.zeros(fields[0].shape[0], dtype=np.int64)
    most = 1
    for field in fields:
        span = int(field.max(initial=0)) + 1
        if most * span > 2**62:
            _, key = np.unique(key, return_inverse=True)
            most = int(key.max(initial=0)) + 1
        key = key * span + field
        most *= span
    return key, max(most - 1, 1).bit_length()


def _columns(a: BookArrays) -> tuple[Index, Index]:
    """Return pools in columns and where the runs of equal durations begin."""
    _, kind = np.unique(a.slots.T, axis=0, return_inverse=True) if a.slots.shape[0] else (None, np.zeros(0))
    kind = kind.reshape(-1) if a.slots.shape[0] else np.zeros(a.slots.shape[1], dtype=np.int64)
    pools = np.argsort(kind, kind="stable").astype(np.int32)
    first = np.flatnonzero(np.diff(kind[pools], prepend=-1))
    return pools, np.append(first, pools.size).astype(np.int32)


def _place_fits(a: BookArrays) -> Flags:
    """Return [R, P]: the pool is compatible with the place."""
    rows = np.repeat(np.arange(a.place_first.size - 1), np.diff(a.place_first))
    fits: Flags = np.zeros((a.place_first.size - 1, a.slots.shape[1]), dtype=np.bool_)
    fits[rows, a.place_pool] = True
    return fits


def _usable(a: BookArrays) -> tuple[Index, Index]:
    """Return the options that the orders of each voucher class may use in some pool."""
    any_share: Flags = np.any(a.share > 0, axis=2)
    open_ = a.allowed.copy()
    for o in range(1, a.parts.shape[0]):
        parts = a.parts[o][a.parts[o] >= 0]
        open_[:, o] &= any_share[:, parts].all(axis=1)
    first = np.concatenate([[0], np.cumsum(open_.sum(axis=1))])
    return first.astype(np.int32), np.nonzero(open_)[1].astype(np.int32)


@njit(parallel=True, cache=True)
def _kinds(a: BookArrays, rows: Int, usable_first: Index, limited: Flags) -> npt.NDArray[np.uint8]:
    """Return what the pass must look at for every order."""
    out = np.zeros(rows.shape[0], dtype=np.uint8)
    for i in prange(rows.shape[0]):
        j = rows[i]
        kind = PLAIN if a.data[j] == 0 else WITH_DATA
        if a.bonus[j] > 0 or (a.data[j] > 0 and limited[a.place[j]]):
            kind = GENERAL
        v = a.term[j]
        if usable_first[v + 1] - usable_first[v] > 1:
            for k in range(a.room.shape[1]):
                if a.room[j, k] > 0:
                    kind = GENERAL
        out[i] = kind
    return out


def _gates(a: BookArrays, rows: Int, even_capacity: Int, columns: Index) -> tuple[Index, Float, Index]:
    """Return each order's gate, the gates [G, Q] and the place of each; `even_capacity` is -1 in uneven pools."""
    levels = np.unique(even_capacity[even_capacity >= 0])
    size = np.searchsorted(levels, a.gpus[rows], side="left")
    code = a.place[rows].astype(np.int64) * (levels.size + 1) + size
    present = np.zeros((a.place_first.size - 1) * (levels.size + 1), dtype=np.bool_)
    present[code] = True
    codes = np.flatnonzero(present)
    place, size_of = np.divmod(codes, levels.size + 1)
    least = np.concatenate([[0], levels + 1])[size_of]  # the smallest gang of the size class
    open_ = _place_fits(a)[place] & ((even_capacity < 0) | (even_capacity >= least[:, None]))
    number = np.cumsum(present) - 1
    gates = np.where(open_[:, columns], 0.0, np.inf)
    return number[code].astype(np.int32), np.ascontiguousarray(gates), place.astype(np.int32)


def _gate_runs(gates: Float, run_first: Index) -> tuple[Index, Index]:
    begins = run_first[:-1]
    if not begins.size:
        return np.zeros(gates.shape[0] + 1, dtype=np.int32), np.zeros(0, dtype=np.int32)
    opens = np.logical_or.reduceat(gates == 0.0, begins, axis=1)
    first = np.concatenate([[0], np.cumsum(opens.sum(axis=1))])
    return first.astype(np.int32), np.nonzero(opens)[1].astype(np.int32)


def _fits(a: BookArrays, rows: Int, capacity: Int, uneven: Flags) -> tuple[Index, Int]:
    """Return each order's fit class and a gang of every class."""
    levels = np.unique(capacity[uneven])
    meets = np.zeros(a.place_first.size - 1, dtype=np.bool_)
    meets[_place_fits(a)[:, uneven].any(axis=1)] = True
    size = np.where(meets[a.place[rows]], np.searchsorted(levels, a.gpus[rows], side="left"), 0)
    gangs = np.concatenate([[0], levels + 1]).astype(np.int64)
    return size.astype(np.int32), gangs


def build_keys(a: BookArrays, *, rows: Flags | None = None, capacity: Int | None = None) -> Keys:
    """Sort the orders of a book for pricing.

    Parameters
    ----------
    a : the book
    rows : [J] orders to price; None: all
    capacity : [P, T] what a gang must fit into; None: the book's capacity

    Returns
    -------
    the keys; they hold no prices and serve any number of passes
    """
    capacity = a.capacity if capacity is None else capacity
    chosen = np.arange(a.gpus.size) if rows is None else np.flatnonzero(rows)
    slots = capacity.shape[1]
    columns, run_first = _columns(a)
    uneven = capacity.min(axis=1, initial=2**62) != capacity.max(axis=1, initial=0)
    even_capacity = np.where(uneven, -1, capacity[:, 0] if slots else 0)
    gate, gates, gate_place = _gates(a, chosen, even_capacity, columns)
    gate_first, gate_run = _gate_runs(gates, run_first)
    fit, fit_gpus = _fits(a, chosen, capacity, uneven)
    usable_first, usable = _usable(a)
    limited: Flags = np.any((a.route >= 0) & _place_fits(a), axis=1)
    kind = _kinds(a, chosen, usable_first, limited)
    shape, release, deadline = a.shape[chosen], a.release[chosen], a.deadline[chosen]
    order = _radix_order(*_combined([fit, shape, release, deadline, gate]))
    of_row = chosen[order]
    widest = int((deadline - release).max(initial=1))
    return Keys(
        row=of_row.astype(np.int32),
        fit=fit[order],
        shape=shape[order],
        release=release[order].astype(np.int32),
        deadline=deadline[order].astype(np.int32),
        gate=gate[order],
        kind=kind[order],
        gpus=a.gpus[of_row].astype(np.float64),
        limit=a.limit[of_row].astype(np.float64),
        data=a.data[of_row].astype(np.float64),
        term=a.term[of_row],
        bonus=a.bonus[of_row].astype(np.float64),
        room=a.room[of_row].astype(np.float64),
        cap=a.cap[of_row],
        column_pool=columns,
        run_first=run_first,
        gates=gates,
        gate_place=gate_place,
        gate_first=gate_first,
        gate_run=gate_run,
        tariff=np.ascontiguousarray(a.tariff[:, columns] * 1e-10),
        fit_gpus=fit_gpus,
        uneven=uneven[columns],
        uneven_ask=(a.ask.min(axis=1, initial=2**62) != a.ask.max(axis=1, initial=0))[columns],
        usable_first=usable_first,
        usable=usable,
        capacity=np.ascontiguousarray(capacity),
        levels=max(1, min(widest, slots)).bit_length(),
    )


def sample_keys(keys: Keys, count: int) -> Keys:
    """Return about every n-th order, so that `count` are left: a sample spread over shapes, windows and pools."""
    step = max(1, -(-keys.row.size // max(count, 1)))
    return take_keys(keys, np.arange(step // 2, keys.row.size, step))


def voucher_keys(keys: Keys, a: BookArrays) -> tuple[Keys, Keys]:
    """Return the keys of the orders that may use a voucher, and those of the others."""
    options = np.diff(keys.usable_first)[a.term[keys.row]]
    may = (keys.kind == GENERAL) & (options > 1)
    return take_keys(keys, may), take_keys(keys, ~may)


def take_keys(keys: Keys, chosen: npt.NDArray[np.integer] | Flags) -> Keys:
    """Return the keys of some of the orders, given by position in pricing order."""
    return keys._replace(**{name: getattr(keys, name)[chosen] for name in OF_ORDERS})
