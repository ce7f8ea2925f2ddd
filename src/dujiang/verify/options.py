"""Every way in which an order could be served: pools, starts, transfer and what it can bear there (design 4.2, 4.3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dujiang.verify.book import Book, Order, Pool
from dujiang.verify.cells import FEN, MICRO
from dujiang.verify.support import Programmes, Support

SAFE = 2**61
"""Sums and products below this stay exact in 64 bits; above it arrays of Python integers are used."""

Exact = npt.NDArray[Any]
"""Integers: int64 where they are known to fit, Python integers elsewhere."""


@dataclass(frozen=True, slots=True)
class Payer:
    """An order with one programme, or with none, in one pool."""

    programme_id: str | None
    share_ppm: int
    room_ucny: int
    effective_limit_ucny: int
    """Greatest gross payment that it can bear."""
    minimum_ucny: int = 0
    """Least that the programme pays; a smaller voucher is none."""

    def voucher(self, gross_ucny: int) -> int:
        """Return what the programme pays of a gross amount, micro-yuan."""
        return min(gross_ucny * self.share_ppm // MICRO, self.room_ucny)


@dataclass(frozen=True, slots=True)
class Way:
    """A pool that an order may use."""

    pool: Pool
    slots: int
    """Duration there."""
    transfer_ucny: int
    starts: npt.NDArray[np.int64]
    """Starts inside the window at which the pool offers enough accelerators, were nobody else there."""
    payers: list[Payer]
    """Empty if the transfer alone reaches the limit."""


def run_slots(order: Order, pool: Pool) -> int:
    """Return the duration of an order in a pool, whole slots rounded up (design 4.2)."""
    return -(-order.hours_micro // pool.speed_micro)


def run_hours_micro(order: Order, pool: Pool) -> int:
    """Return the true run time in a pool, millionths of an hour rounded up."""
    return -(-order.hours_micro * MICRO // pool.speed_micro)


def transfer_cost(book: Book, order: Order, pool: Pool) -> int:
    """Return the price of moving an order's data to a pool, half to even to the fen (design 3.2, 4.2).

    Zero inside one region, without an origin, and where no link is known (such a pool is not compatible).
    """
    region = book.centres[pool.centre_id].region
    link = book.links.get((order.origin_region or "", region))
    if order.origin_region in (None, region) or link is None:
        return 0
    return half_even(order.data_gb_micro * link.ucny_per_gb, MICRO * FEN) * FEN


def half_even(numerator: int, denominator: int) -> int:
    """Divide whole numbers, halves to the even neighbour."""
    double, rest = divmod(2 * numerator, denominator)
    below, odd = divmod(double, 2)
    if odd and (rest or below % 2):
        return below + 1
    return below


def is_compatible(book: Book, order: Order, pool: Pool, coupling: str) -> bool:
    """Return whether an order may use a pool at all (design 4.2).

    `coupling` is `full`, or `isolated`: only the order's own region, or with no region only the centre it came from.
    """
    centre = book.centres[pool.centre_id]
    if order.accelerators and pool.accelerator not in order.accelerators:
        return False
    if order.stacks and pool.stacks and not order.stacks & pool.stacks:
        return False
    if order.regions and centre.region not in order.regions:
        return False
    if coupling == "isolated" and order.origin_region is None and order.origin_centre != centre.centre_id:
        return False
    if order.origin_region in (None, centre.region):
        return True
    if coupling == "isolated":
        return False
    link = book.links.get((str(order.origin_region), centre.region))
    return link is not None and (order.rtt_ms_max is None or link.rtt_ms <= order.rtt_ms_max)


def effective_limit(own_ucny: int, share_ppm: int, room_ucny: int) -> int:
    """Return the greatest gross payment an order can bear: ``min(own / (1 - share), own + room)`` (design 4.3)."""
    if share_ppm >= MICRO:
        return own_ucny + room_ucny
    return min(own_ucny * MICRO // (MICRO - share_ppm), own_ucny + room_ucny)


def payers(order: Order, transfer_ucny: int, supports: Sequence[Support]) -> list[Payer]:
    """Return who can pay for an order in a pool: itself, and itself with each programme that is open to it there."""
    own = order.limit_ucny - transfer_ucny
    if own <= 0:
        return []
    with_programme = [
        Payer(s.programme_id, s.share_ppm, s.room_ucny, effective_limit(own, s.share_ppm, s.room_ucny), s.minimum_ucny)
        for s in supports
    ]
    # A voucher that cannot reach the programme's minimum whatever the order pays is no way to pay.
    able = [p for p in with_programme if p.voucher(p.effective_limit_ucny) >= max(1, p.minimum_ucny)]
    return [Payer(None, 0, 0, own), *able]


def prefix_sums(values: Exact) -> Exact:
    """Return sums of the first 0, 1, … values, exactly: shape (n + 1,)."""
    largest = max(abs(int(values.max())), abs(int(values.min()))) if len(values) else 0
    row = exact(values, len(values) * largest)
    return np.concatenate([np.zeros(1, dtype=row.dtype), np.cumsum(row)])


def exact(values: Exact, reach: int) -> Exact:
    """Return whole numbers in an array on which sums and products up to `reach` stay exact."""
    return values.astype(object) if reach >= SAFE else values


class Options:
    """Ways of all orders of a book; what pools have in common is worked out once."""

    def __init__(self, book: Book, programmes: Programmes, coupling: str) -> None:
        self.book = book
        self.programmes = programmes
        self.coupling = coupling
        self._short: dict[tuple[str, int], Exact] = {}

    def ways(self, order: Order) -> list[Way]:
        """Return one way for each compatible pool, by pool_id."""
        pools = [p for p in self.book.pools.values() if is_compatible(self.book, order, p, self.coupling)]
        supports = self.programmes.open_to(order, pools)
        return [self._way(order, pool, supports[pool.pool_id]) for pool in pools]

    def _way(self, order: Order, pool: Pool, supports: Sequence[Support]) -> Way:
        transfer, slots = transfer_cost(self.book, order, pool), run_slots(order, pool)
        return Way(pool, slots, transfer, self._starts(order, pool, slots), payers(order, transfer, supports))

    def _starts(self, order: Order, pool: Pool, slots: int) -> npt.NDArray[np.int64]:
        last = min(order.deadline, self.book.slots) - slots
        if last < order.release:
            return np.empty(0, dtype=np.int64)
        key = pool.pool_id, order.gpus
        if key not in self._short:
            self._short[key] = prefix_sums((pool.gpus < order.gpus).astype(np.int64))
        short = self._short[key]
        starts = np.arange(order.release, last + 1, dtype=np.int64)
        fits: npt.NDArray[np.bool_] = short[starts + slots] == short[starts]
        return starts[fits]

    def bonus(self, order: Order) -> int:
        """Return the welfare bonus of an order, micro-yuan: GPU-hours of small firms (design 4.4)."""
        staff = self.book.employees(order.enterprise_id)
        if not self.book.small_firm_ucny_per_gpu_hour or staff is None or staff > self.book.small_firm_employees_max:
            return 0
        return self.book.small_firm_ucny_per_gpu_hour * order.gpus * order.hours_micro // MICRO

    def carbon_rate(self, pool: Pool) -> int:
        """Return the carbon term of a pool, micro-yuan per GPU-hour; zero unless the book asks for it (design 4.4)."""
        centre = self.book.centres[pool.centre_id]
        parts = (pool.watts_per_gpu, centre.pue, centre.grid_kgco2_per_kwh)
        watts, pue, grid = (0.0 if part is None else part for part in parts)
        # The one product of measured floats; in the order that the formats' documentation gives, so it is reproducible.
        return round(watts / 1000 * pue * grid * self.book.carbon_ucny_per_kg)
