"""Admission between rounds: arrivals are accepted at once at the posted prices, first come, first served.

The rule. Orders are looked at by time stamp. Each gets the block that leaves it most of its effective limit at the
posted prices, vouchers included, among those that what is left still allows: capacity in every slot, its link in the
first, budgets, caps, and the one use that a contract has of a programme. It is accepted if the effective limit reaches
the price of that block, and the carbon term where the round asks for one; the bonus of small firms buys nothing here.

What follows. An accepted order pays the price in full, so no award is paradoxical and there is no uplift. Every award
is exact when it is made: nothing that comes later changes it, and a later round treats it as running. Whatever a
refused order could have paid for was taken by then, and stays taken. Multipliers of links, budgets and caps remain what
they were for the certificate; here they steer nothing, so whoever can pay what a quote says is served.

Prices do not move while orders are admitted. The further demand has drifted from that of the round in which they were
found, the more welfare that costs; the certificate of the result says how much is left open.
"""

from dataclasses import replace

import numpy as np

from dujiang.market.amounts import bearable
from dujiang.market.arrays import BookArrays, Int
from dujiang.market.compiled import loop
from dujiang.market.dual import Prices, exact_bounds
from dujiang.market.engine import Cleared, Clock, Progress
from dujiang.market.keys import build_keys
from dujiang.market.place import Guide, find_block, guide_at
from dujiang.market.state import Posted, State, cost_between, empty_state, posted_prices, put


@loop
def _admit(a: BookArrays, asking: BookArrays, s: State, guide: Guide, posted: Posted, bears: Int, parts: Int) -> None:
    for j in range(a.gpus.shape[0]):
        p, t, o, _ = find_block(asking, s, guide, posted, j, 0.0, bears, parts)
        if p < 0:
            continue
        gpus, d = a.gpus[j], a.slots[a.shape[j], p]
        price = gpus * cost_between(posted.price_sum, p, t, d)
        # The search goes by floats; whether the order pays is settled in whole numbers.
        if bearable(a, j, p, o) - a.carbon[p] * gpus * d >= price:
            put(a, s, posted, j, p, t, o)


def admit(a: BookArrays, prices: Prices, clock: Clock, progress: Progress | None = None) -> Cleared:
    """Admit orders at posted prices.

    Parameters
    ----------
    a : the arrivals as a book of their own, what runs already taken off
    prices : the posted ones, with the multipliers of their certificate
    clock : seconds, for the report of phases only
    progress : told the phase and its share

    Returns
    -------
    the awards, the prices, and what bounds every allocation of the arrivals at them
    """
    begin = clock()
    s = admitted(a, prices)
    placed = clock()
    if progress is not None:
        progress("placement", 1.0, None)
    keys = build_keys(a)
    bound, at_prices = exact_bounds(a, keys, prices)
    if at_prices > bound:  # the rates of another round; with those of the first bound it never is
        prices = replace(prices, budget_paid=prices.budget, cap_paid=prices.cap)
        bound, at_prices = exact_bounds(a, keys, prices)
    seconds = {"placement": placed - begin, "certificate": clock() - placed}
    return Cleared(s, prices, bound, at_prices, passes=0, moves=0, cut_short=False, seconds=seconds)


def admitted(a: BookArrays, prices: Prices) -> State:
    """Return the awards of an admission.

    Parameters
    ----------
    a : the arrivals as a book of their own, what runs already taken off
    prices : the posted ones
    """
    s = empty_state(a)
    none = (np.zeros(a.link_left.shape), np.zeros(a.budget.size), np.zeros(a.cap_left.size))
    guide = guide_at(a, prices.capacity.astype(np.float64), *none)
    # The search wants a gain above zero: one micro-yuan in the place of the bonus lets in who just bears the price.
    asking = a._replace(bonus=np.ones_like(a.bonus))
    scratch = np.empty(a.allowed.shape[1], dtype=np.int64), np.empty(a.parts.shape[1], dtype=np.int64)
    _admit(a, asking, s, guide, posted_prices(a, prices.capacity), *scratch)
    return s
