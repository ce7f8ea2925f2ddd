"""A desk that answers quotes of single orders: tables made once, compatible pools looked up once per kind of order."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import polars as pl

from dujiang.market.arrays import Index, Int
from dujiang.market.book_arrays import book_arrays
from dujiang.market.outcome import Coupling
from dujiang.market.quote import Quotes, Tables, fill_quotes
from dujiang.policy.terms import voucher_terms
from dujiang.registry.book import Book, Objective


class Enquiry(NamedTuple):
    """What somebody wants to know the price of; the columns of `orders` that decide it."""

    gpus: int
    """At least 1."""
    hours_micro: int
    """Run time at speed 1.0, millionths of an hour, above 0."""
    release: int
    """First slot, at least 0."""
    deadline: int
    """Slot before which it must have ended."""
    data_gb_micro: int = 0
    accelerators: tuple[str, ...] = ()
    """Empty: any; so are the next two."""
    stacks: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    origin_region: str | None = None
    origin_centre: str | None = None
    rtt_ms_max: float | None = None


class _Place(NamedTuple):
    """Where orders of one kind may run; one entry per compatible pool."""

    pool: Index
    tariff: Int
    """Micro-yuan per GB."""
    route: Index
    """Row of the limited links; -1: not limited."""


class QuoteDesk:
    """Answers quotes at one set of prices and what is left at one time.

    The first enquiry of a kind (accelerators, stacks, regions, origin, round-trip time) takes some milliseconds, every
    further one some microseconds.

    Parameters
    ----------
    book : pools, centres and links of the round; its orders play no part
    coupling : which centres an order may use
    tables : prices and what is left, see `quote.quote_tables`
    """

    def __init__(self, book: Book, coupling: Coupling, tables: Tables) -> None:
        nothing = {"running": book.running.clear(), "claims": book.claims.clear(), "use": (), "facts": {}}
        self._book = replace(book, objective=Objective(), **nothing)  # type: ignore[arg-type]
        self._coupling = coupling
        self._speed = book.pools["speed_micro"].to_numpy()
        self._tables = (*(tables.price_sum, tables.ask_sum, tables.free, tables.lowest, tables.link_left),)
        self._places: dict[tuple[object, ...], _Place] = {}

    def quote(self, enquiry: Enquiry) -> Quotes:
        """Return what the order would cost in each compatible pool."""
        assert enquiry.gpus > 0 <= enquiry.release, enquiry
        key = enquiry[5:]
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = self._find_place(enquiry)
        out = np.empty((6, place.pool.size), dtype=np.int64)
        fill_quotes(*place, self._speed, *self._tables, enquiry[:5], out)
        return Quotes(*out)

    def _find_place(self, enquiry: Enquiry) -> _Place:
        """Ask for the compatible pools as a clearing does: with a book of one order."""
        book = self._book
        order = enquiry._asdict() | {"order_id": "", "enterprise_id": "", "limit_ucny": 1, "max_vouchers": 0}
        book = replace(book, orders=_one_row(book.orders, order), enterprises=_one_row(book.enterprises, order))
        a = book_arrays(book, voucher_terms(book, (), {}, domestic={}), self._coupling)
        row = int(a.place[0])
        pool = np.ascontiguousarray(a.place_pool[a.place_first[row] : a.place_first[row + 1]])
        return _Place(pool, np.ascontiguousarray(a.tariff[row, pool]), np.ascontiguousarray(a.route[row, pool]))


def _one_row(like: pl.DataFrame, values: dict[str, object]) -> pl.DataFrame:
    return pl.DataFrame({name: [values.get(name)] for name in like.columns}, schema=like.schema)
