"""Every way in which an order could be served: pools, links, durations, what it can bear there (design 4.2, 4.3)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dujiang.verify.amounts import Exact, Part, exact, transfer_cost
from dujiang.verify.book import Book, Place, Pool
from dujiang.verify.cells import MICRO, Ints
from dujiang.verify.support import Option, Programmes

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class LimitedLink:
    """A link of which only so much may start to cross in one slot."""

    origin_region: str
    region: str
    left_micro: Ints
    """[T] what running awards leave of it, millionths of a GB."""


def is_compatible(book: Book, place: Place, pool: Pool, coupling: str) -> bool:
    """Return whether orders of a place may use a pool at all (design 4.2).

    `coupling` is `full`, or `isolated`: only the order's own region, or with no region only the centre it came from.
    """
    centre = book.centres[pool.centre_id]
    if place.accelerators and pool.accelerator not in place.accelerators:
        return False
    if place.stacks and pool.stacks and not place.stacks & pool.stacks:
        return False
    if place.regions and centre.region not in place.regions:
        return False
    if coupling == "isolated" and place.origin_region is None and place.origin_centre != centre.centre_id:
        return False
    if place.origin_region in (None, centre.region):
        return True
    if coupling == "isolated":
        return False
    link = book.links.get((str(place.origin_region), centre.region))
    return link is not None and (place.rtt_ms_max is None or link.rtt_ms <= place.rtt_ms_max)


class Options:
    """Pools, links and vouchers of a round in arrays: J orders, P pools, T slots, R places, L limited links."""

    def __init__(self, book: Book, programmes: Programmes, coupling: str) -> None:
        self.book = book
        self.programmes = programmes
        self.coupling = coupling
        self.terms = programmes.terms
        self.pools = list(book.pools.values())
        self.pool_row = {pool.pool_id: row for row, pool in enumerate(self.pools)}
        self.links = _limited_links(book)
        number = {(link.origin_region, link.region): row for row, link in enumerate(self.links)}
        shape = len(book.orders.places), len(self.pools)
        self.fits = np.zeros(shape, dtype=np.bool_)
        """[R, P]"""
        self.tariff = np.zeros(shape, dtype=np.int64)
        """[R, P] micro-yuan per GB."""
        self.route = np.full(shape, -1, dtype=np.int64)
        """[R, P] limited link that data crosses; -1: none."""
        for r, place in enumerate(book.orders.places):
            for p, pool in enumerate(self.pools):
                self.fits[r, p] = is_compatible(book, place, pool, coupling)
                region = book.centres[pool.centre_id].region
                key = str(place.origin_region), region
                if place.origin_region not in (None, region) and key in book.links:
                    self.tariff[r, p] = book.links[key].ucny_per_gb
                    self.route[r, p] = number.get(key, -1)
        self.capacity = _capacity(book, self.pools, self.pool_row)
        """[P, T] accelerators that running awards leave."""
        self.ask = _grid([pool.ask_ucny for pool in self.pools], book.slots)
        """[P, T] micro-yuan per GPU-hour."""
        self.speed = np.array([pool.speed_micro for pool in self.pools], dtype=np.int64)
        self.carbon = np.array([self.carbon_rate(pool) for pool in self.pools], dtype=np.int64)
        """[P] micro-yuan per GPU-slot."""
        self.bonus = self._bonus()
        """[J] micro-yuan."""
        self.deadline = np.minimum(book.orders.deadline, book.slots)

    @property
    def link_left(self) -> Ints:
        """Return [L, T] what running awards leave of the limited links, millionths of a GB."""
        return _grid([link.left_micro for link in self.links], self.book.slots)

    def run_slots(self, orders: Ints, pools: Ints | int) -> Ints:
        """Return durations in whole slots, rounded up (design 4.2)."""
        return -(-self.book.orders.hours_micro[orders] // self.speed[pools])

    def run_hours_micro(self, orders: Ints, pools: Ints) -> Ints:
        """Return true run times, millionths of an hour rounded up."""
        hours: Exact = exact(
            self.book.orders.hours_micro[orders], int(self.book.orders.hours_micro.max(initial=0)) * MICRO
        )
        return np.asarray(-(-hours * MICRO // self.speed[pools]), dtype=np.int64)

    def transfer(self, orders: Ints, pools: Ints | int) -> Exact:
        """Return the price of moving orders' data to pools, micro-yuan."""
        tariff = self.tariff[self.book.orders.place[orders], pools]
        return transfer_cost(self.book.orders.data_gb_micro[orders], tariff)

    def parts(self, option: Option, orders: Ints, pools: Ints | int) -> list[Part]:
        """Return the vouchers of an option for orders in pools, one entry each."""
        terms, programmes = self.terms, list(self.programmes.by_id.values())
        return [
            Part(
                terms.share_ppm[terms.order_class[orders], k, pools],
                terms.room_ucny[orders, k],
                programmes[k].minimum_ucny,
            )
            for k in option.programmes
        ]

    def may_use(self, option: Option, orders: Ints, pool: Ints | int) -> Flags:
        """Return whether orders may use an option in a pool: vouchers enough, programmes open, something left."""
        may: Flags = self.book.orders.max_vouchers[orders] >= len(option.programmes)
        for k in option.programmes:
            share = self.terms.share_ppm[self.terms.order_class[orders], k, pool]
            may = may & (share > 0) & (self.terms.room_ucny[orders, k] > 0)
        return may

    def carbon_rate(self, pool: Pool) -> int:
        """Return the carbon term of a pool, micro-yuan per GPU-hour; zero unless the book asks for it (design 4.4)."""
        centre = self.book.centres[pool.centre_id]
        parts = (pool.watts_per_gpu, centre.pue, centre.grid_kgco2_per_kwh)
        watts, pue, grid = (0.0 if part is None else part for part in parts)
        # The one product of measured floats; in the order that the formats' documentation gives, so it is reproducible.
        return round(watts / 1000 * pue * grid * self.book.carbon_ucny_per_kg)

    def _bonus(self) -> Ints:
        """Return the welfare bonus of every order: GPU-hours of small firms (design 4.4)."""
        book, orders = self.book, self.book.orders
        rate, most = book.small_firm_ucny_per_gpu_hour, book.small_firm_employees_max
        small = np.array([staff is not None and staff <= most for staff in book.employees], dtype=np.bool_)
        if not rate or not len(orders):
            return np.zeros(len(orders), dtype=np.int64)
        reach = rate * int(orders.gpus.max()) * int(orders.hours_micro.max())
        bonus = exact(orders.gpus, reach) * orders.hours_micro * rate // MICRO
        return np.asarray(np.where(small[orders.enterprise], bonus, 0), dtype=np.int64)


def _grid(rows: list[Ints], slots: int) -> Ints:
    return np.array(rows, dtype=np.int64).reshape(len(rows), slots)


def _capacity(book: Book, pools: list[Pool], pool_row: dict[str, int]) -> Ints:
    """Return the accelerators that are free before the round: offered, less those of running awards (design 4.9)."""
    steps = np.zeros((len(pools), book.slots + 1), dtype=np.int64)
    for running in book.running:
        row, end = pool_row[running.pool_id], running.start + running.slots
        steps[row, min(max(running.start, 0), book.slots)] += running.gpus
        steps[row, min(max(end, 0), book.slots)] -= running.gpus
    return _grid([pool.gpus for pool in pools], book.slots) - np.cumsum(steps, axis=1)[:, : book.slots]


def _limited_links(book: Book) -> list[LimitedLink]:
    """Return the links with a capacity by name; a running award's data crosses in its first slot."""
    links = {
        key: np.full(book.slots, link.gb_per_slot_micro, dtype=np.int64)
        for key, link in sorted(book.links.items())
        if link.gb_per_slot_micro is not None
    }
    for running in book.running:
        key = str(running.origin_region), book.centres[book.pools[running.pool_id].centre_id].region
        if key in links and key[0] != key[1] and 0 <= running.start < book.slots:
            links[key][running.start] -= running.data_gb_micro
    return [LimitedLink(*key, left) for key, left in links.items()]
