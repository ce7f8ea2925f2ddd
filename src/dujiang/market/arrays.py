"""The narrow interface of the clearing: a book as plain arrays, in exact units and canonical order.

Row meaning: J orders (rows of `book.orders`: by time stamp and id, so a lower row wins a tie), P pools (rows of
`book.pools`), T slots, K programmes, D shapes (lists of durations), R places (what an order accepts and where it comes
from), V voucher classes, O voucher options, M most parts of an option, L links with a capacity, C caps of enterprises.
No array is J x P or larger: what orders have in common is held once. An engine sees nothing but these arrays.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Int = npt.NDArray[np.int64]
Index = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]

MAX_PRICE_UCNY = 10_000 * 1_000_000
"""Highest price per GPU-hour that a round publishes; with the limits of a book no cost can overflow int64."""
UNUSABLE = -1
"""Effective limit of an option that an order may not use."""


class BookArrays(NamedTuple):
    """A book as C-contiguous arrays; money in micro-yuan, shares in ppm, data in millionths of a GB."""

    capacity: Int
    """[P, T] accelerators free; running awards already taken off."""
    ask: Int
    """[P, T] reserve price, micro-yuan per GPU-hour."""
    carbon: Int
    """[P] carbon term, micro-yuan per GPU-slot; zero unless the round asks for it."""
    gpus: Int
    """[J] accelerators of an order."""
    release: Int
    """[J] first slot."""
    deadline: Int
    """[J] slot before which it must have ended, cut at the end of the round."""
    limit: Int
    """[J] most that the enterprise itself pays, transfer included, micro-yuan."""
    data: Int
    """[J] data brought from the origin, millionths of a GB."""
    bonus: Int
    """[J] welfare bonus of small firms, micro-yuan."""
    shape: Index
    """[J] row of `slots`."""
    slots: Index
    """[D, P] duration in slots, at least 1, of every shape in every pool, compatible or not."""
    place: Index
    """[J] row of the place tables."""
    place_first: Int
    """[R+1] where the pools of a place begin in `place_pool`."""
    place_pool: Index
    """[...] compatible pools of every place, ascending."""
    tariff: Int
    """[R, P] price of moving data from the origin to the pool, micro-yuan per GB; 0 without."""
    route: Index
    """[R, P] row of `link_left` if the link has a capacity, else -1."""
    link_left: Int
    """[L, T] data that may still start to cross in a slot, millionths of a GB; an award's crosses in its first slot."""
    contract: Index
    """[J] contract; it uses a programme at most once."""
    term: Index
    """[J] row of the voucher tables."""
    share: Int
    """[V, K, P] voucher share, ppm; 0: cannot be used."""
    allowed: Flags
    """[V, O] options open to orders of a class; column 0, no voucher, always is."""
    room: Int
    """[J, K] most that one voucher can be, micro-yuan."""
    cap: Index
    """[J, K] row of `cap_left` that a voucher draws on; -1: none."""
    parts: Index
    """[O, M] programmes of an option in the order in which they pay, padded with -1; row 0 is empty, row k + 1 is
    programme k alone, then larger sets."""
    ceiling: Int
    """[O] most that all parts of an option may reach together, ppm of the gross payment."""
    budget: Int
    """[K] budget left, micro-yuan; practically unlimited where not `limited`."""
    limited: Flags
    """[K] whether the programme has a budget."""
    minimum: Int
    """[K] least voucher, micro-yuan."""
    cap_left: Int
    """[C] what is left under each enterprise's cap, micro-yuan."""
    cap_programme: Index
    """[C] programme whose cap it is."""


BY_ORDER = (
    *("gpus", "release", "deadline", "limit", "data", "bonus", "shape", "place", "contract", "term", "room", "cap"),
)
"""Fields of the arrays with a row for each order."""
