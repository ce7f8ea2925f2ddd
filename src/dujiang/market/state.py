"""Awards so far and what they leave: entering and removing one award, exact in every constraint.

Payments follow from the published prices, which stand before the first award is entered. Every voucher is therefore a
known whole number when its award is entered, nothing is reserved beyond it, and no repair is needed afterwards.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dujiang.market.amounts import bearable, pay
from dujiang.market.arrays import BookArrays
from dujiang.market.compiled import bare

Int = npt.NDArray[np.int64]
Row = npt.NDArray[np.int32]
Float = npt.NDArray[np.float64]
Flag = npt.NDArray[np.bool_]


class State(NamedTuple):
    """Awards so far and what they leave; changed in place."""

    pool: Row
    """[J] pool of the award; -1: none."""
    start: Row
    """[J] first slot; -1: none."""
    option: Row
    """[J] voucher option; 0: none."""
    voucher: Int
    """[J, M] micro-yuan, by the parts of the option."""
    worth: Int
    """[J] welfare of the award, micro-yuan."""
    free: Int
    """[P, T] accelerators."""
    link: Int
    """[L, T] data that may still start to cross, millionths of a GB."""
    budget: Int
    """[K] left, micro-yuan."""
    cap: Int
    """[C] left, micro-yuan."""
    used: Flag
    """[contracts, K] the contract has used the programme."""


class Posted(NamedTuple):
    """Published prices and asks as exact prefix sums over slots: they decide payments."""

    price_sum: Int
    """[P, T + 1] micro-yuan per accelerator."""
    ask_sum: Int
    """[P, T + 1] micro-yuan per accelerator."""


def prefix_sums(rates: Int) -> Int:
    """Return [P, T + 1] prefix sums over slots of [P, T] rates."""
    out = np.zeros((rates.shape[0], rates.shape[1] + 1), dtype=np.int64)
    np.cumsum(rates, axis=1, out=out[:, 1:])
    return out


def posted_prices(a: BookArrays, capacity_prices: Int) -> Posted:
    """Return what is published: the ask plus the price of capacity, as prefix sums."""
    return Posted(prefix_sums(a.ask + capacity_prices), prefix_sums(a.ask))


def empty_state(a: BookArrays) -> State:
    """Return the state with no award."""
    orders = a.gpus.shape[0]
    contracts = int(a.contract.max()) + 1 if orders else 0
    return State(
        pool=np.full(orders, -1, dtype=np.int32),
        start=np.full(orders, -1, dtype=np.int32),
        option=np.zeros(orders, dtype=np.int32),
        voucher=np.zeros((orders, a.parts.shape[1]), dtype=np.int64),
        worth=np.zeros(orders, dtype=np.int64),
        free=a.capacity.copy(),
        link=a.link_left.copy(),
        budget=a.budget.copy(),
        cap=a.cap_left.copy(),
        used=np.zeros((contracts, a.budget.shape[0]), dtype=np.bool_),
    )


def copied(s: State) -> State:
    """Return a state that does not share its arrays."""
    return State._make(array.copy() for array in s)


@bare
def cost_between(sums: Int, p: int, t: int, d: int) -> int:
    """Return what one accelerator costs in slots [t, t + d) of a pool."""
    return sums[p, t + d] - sums[p, t]  # type: ignore[no-any-return]


@bare
def vouchers_at(a: BookArrays, s: State, posted: Posted, j: int, p: int, t: int, o: int, bears: int, out: Int) -> bool:
    """Work out the vouchers of a block at the published prices; say whether what is left allows them.

    Parameters
    ----------
    j, p, t, o : order, pool, start, option (not 0)
    bears : effective limit of the order with the option in the pool, micro-yuan
    out : [M], takes the vouchers by the parts of the option
    """
    d = a.slots[a.shape[j], p]
    ask = a.gpus[j] * cost_between(posted.ask_sum, p, t, d)
    price = a.gpus[j] * cost_between(posted.price_sum, p, t, d)
    pay(a, j, p, o, max(ask, min(price, bears)), out)
    for m in range(a.parts.shape[1]):
        k = a.parts[o, m]
        if k < 0:
            break
        v = out[m]
        if v <= 0 or v < a.minimum[k] or v > s.budget[k] or s.used[a.contract[j], k]:
            return False
        c = a.cap[j, k]
        if c >= 0 and v > s.cap[c]:
            return False
    return True


@bare
def put(a: BookArrays, s: State, posted: Posted, j: int, p: int, t: int, o: int) -> None:
    """Enter an award that fits."""
    d = a.slots[a.shape[j], p]
    gpus = a.gpus[j]
    bears = bearable(a, j, p, o)
    ask = gpus * cost_between(posted.ask_sum, p, t, d)
    s.pool[j], s.start[j], s.option[j] = p, t, o
    s.worth[j] = bears - ask - a.carbon[p] * gpus * d + a.bonus[j]
    for u in range(t, t + d):
        s.free[p, u] -= gpus
    route = a.route[a.place[j], p]
    if route >= 0:
        s.link[route, t] -= a.data[j]
    if o > 0:
        price = gpus * cost_between(posted.price_sum, p, t, d)
        pay(a, j, p, o, max(ask, min(price, bears)), s.voucher[j])
        _draw(a, s, j, o, 1)


@bare
def take(a: BookArrays, s: State, j: int) -> None:
    """Remove an award."""
    p, t, o = s.pool[j], s.start[j], s.option[j]
    gpus = a.gpus[j]
    for u in range(t, t + a.slots[a.shape[j], p]):
        s.free[p, u] += gpus
    route = a.route[a.place[j], p]
    if route >= 0:
        s.link[route, t] += a.data[j]
    if o > 0:
        _draw(a, s, j, o, -1)
        s.voucher[j, :] = 0
    s.pool[j], s.start[j], s.option[j], s.worth[j] = -1, -1, 0, 0


@bare
def _draw(a: BookArrays, s: State, j: int, o: int, sign: int) -> None:
    """Take the vouchers of an award from budgets and caps, or give them back."""
    for m in range(a.parts.shape[1]):
        k = a.parts[o, m]
        if k < 0:
            break
        v = sign * s.voucher[j, m]
        s.budget[k] -= v
        if a.cap[j, k] >= 0:
            s.cap[a.cap[j, k]] -= v
        s.used[a.contract[j], k] = sign > 0
