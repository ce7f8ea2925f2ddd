"""A stretch of a book's orders with pricing passes of its own: what one of many workers holds.

The problem. A pass over a hundred million orders wants more cores and more memory than one machine has. What it hands
back is small: the surplus and what is bought in each pool and slot, whatever the number of orders.

The choice. Orders stand in pricing order; worker n of N takes a stretch of it, with its rows of the book arrays under
numbers of their own. Prices go to every worker, sums come back. A pass adds whole numbers only, and what an order would
buy depends on nothing but the order and the prices: so the sums over any stretches, added up, are those of one pass
over all, bit for bit, and the stretches may be cut anywhere.

Here nothing is sent: records go in, records come out. `exchange.ray_pricing` carries them.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dujiang.market.arrays import BY_ORDER, BookArrays, Int
from dujiang.market.keys import OF_ORDERS, Float, Keys, take_keys
from dujiang.market.pricing import Demand, Pricing

_OF_KEYS = tuple(name for name in OF_ORDERS if name != "row")
"""Fields of the keys with an entry for each order, but for its row."""


class Frame(NamedTuple):
    """What all workers of a book have in common."""

    book: BookArrays
    """Without orders."""
    keys: Keys
    """The same."""


class Block(NamedTuple):
    """Some orders, in pricing order."""

    orders: tuple[npt.NDArray[Any], ...]
    """Their rows of the book arrays."""
    keys: tuple[npt.NDArray[Any], ...]


class Stretch(NamedTuple):
    """Positions in pricing order."""

    begin: int
    end: int


def stretches(orders: int, workers: int) -> list[Stretch]:
    """Cut the pricing order into one stretch for each worker."""
    return [Stretch(orders * n // workers, orders * (n + 1) // workers) for n in range(workers)]


def frame_of(a: BookArrays, keys: Keys) -> Frame:
    """Return a book and its keys without orders."""
    none = np.zeros(0, dtype=np.int64)
    return Frame(a._replace(**{name: getattr(a, name)[none] for name in BY_ORDER}), take_keys(keys, none))


def blocks(a: BookArrays, keys: Keys, stretch: Stretch, most_bytes: int) -> Iterator[Block]:
    """Yield the orders of a stretch, piece by piece; each takes about so many bytes at most."""
    arrays = [getattr(a, name) for name in BY_ORDER] + [getattr(keys, name) for name in _OF_KEYS]
    of_one = sum(array.itemsize * int(np.prod(array.shape[1:])) for array in arrays)
    step = max(1, most_bytes // of_one)
    for begin in range(stretch.begin, stretch.end, step):
        end = min(begin + step, stretch.end)
        rows = keys.row[begin:end]
        yield Block(
            tuple(getattr(a, name)[rows] for name in BY_ORDER),
            tuple(getattr(keys, name)[begin:end] for name in _OF_KEYS),
        )


def taken_from(part: Keys, whole: Keys) -> bool:
    """Say whether keys are those of a book, or were taken from them (`take_keys`)."""
    return part.gates is whole.gates and part.capacity is whole.capacity


def positions_in(part: Keys, whole: Keys, orders: int) -> Int:
    """Return where the orders of a part, taken from the keys of a book, stand in its pricing order, ascending."""
    at = np.zeros(orders, dtype=np.int64)
    at[whole.row] = np.arange(whole.row.size)
    return at[part.row]


def added(parts: Sequence[Demand]) -> Demand:
    """Return what the orders of all parts buy together."""
    surpluses, gpus, links, budgets, caps = zip(*parts, strict=True)
    return Demand(sum(surpluses), *(np.sum(uses, axis=0) for uses in (gpus, links, budgets, caps)))


def _own(field: Any) -> Any:
    """Return an array as a copy that can be written: the loops are compiled for such, and what is sent may be
    read-only. Anything else as it is.
    """
    return np.array(field, order="C") if isinstance(field, np.ndarray) else field


class Shard:
    """The orders of one worker. Parts of them are priced under numbers given by the caller."""

    def __init__(self, frame: Frame, orders: int) -> None:
        book, keys = BookArrays(*map(_own, frame.book)), Keys(*map(_own, frame.keys))
        of_book: dict[str, Any] = {name: _room_for(getattr(book, name), orders) for name in BY_ORDER}
        of_keys: dict[str, Any] = {name: _room_for(getattr(keys, name), orders) for name in _OF_KEYS}
        self._book = book._replace(**of_book)
        self._keys = keys._replace(row=np.arange(orders, dtype=np.int32), **of_keys)
        self._parts: dict[int, Pricing] = {}

    def fill(self, at: int, block: Block) -> None:
        """Take in orders, the first of them at a position of this shard."""
        for record, names, arrays in ((self._book, BY_ORDER, block.orders), (self._keys, _OF_KEYS, block.keys)):
            for name, array in zip(names, arrays, strict=True):
                getattr(record, name)[at : at + array.shape[0]] = array

    def take(self, number: int, positions: Int | None) -> None:
        """Make ready for passes over the orders at some positions of this shard, ascending; None: over all."""
        keys = self._keys if positions is None else take_keys(self._keys, positions)
        self._parts[number] = Pricing(self._book, keys)

    def demand(
        self, number: int, capacity: Float, link: Float, budget: Float, cap: Float, posted: Int | None
    ) -> Demand:
        """Return what the orders of a part buy (`Pricing.demand`)."""
        return self._parts[number].demand(capacity, link, _own(budget), _own(cap), posted=posted)

    def whole_surplus(
        self, number: int, capacity: Int, link: Int, budget_ppm: Int, cap_ppm: Int, paid: bool
    ) -> tuple[int, int]:
        """Return what the orders of a part gain, exactly (`Pricing.whole_surplus`)."""
        rates = _own(budget_ppm), _own(cap_ppm)
        return self._parts[number].whole_surplus(capacity, _own(link), *rates, paid=paid)


def _room_for(array: npt.NDArray[Any], orders: int) -> npt.NDArray[Any]:
    return np.zeros((orders, *array.shape[1:]), dtype=array.dtype)


__all__ = [
    "Block",
    "Frame",
    "Shard",
    "Stretch",
    "added",
    "blocks",
    "frame_of",
    "positions_in",
    "stretches",
    "taken_from",
]
