"""The quote desk against the arrays of a whole book, and how fast it answers."""

from random import Random
from time import process_time

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from random_books import folder, random_book

from dujiang.core.problem import ProblemList
from dujiang.market.amounts import haul
from dujiang.market.book_arrays import book_arrays
from dujiang.market.desk import Enquiry, QuoteDesk
from dujiang.market.outcome import Coupling
from dujiang.market.quote import best_quotes, quote_tables
from dujiang.policy.terms import voucher_terms
from dujiang.registry.book import Book
from dujiang.store.read_book import read_book

randoms = st.integers(0, 2**32 - 1).map(Random)
LISTS = ("accelerators", "stacks", "regions")


def small_book(rng: Random) -> Book:
    with folder() as place:
        book, _ = read_book(random_book(rng).write(place / "book"), ProblemList())
    assert book is not None
    return book


def enquiries(book: Book) -> list[Enquiry]:
    return [
        Enquiry(**{name: tuple(row[name]) if name in LISTS else row[name] for name in Enquiry._fields})
        for row in book.orders.iter_rows(named=True)
    ]


@given(randoms, st.sampled_from(list(Coupling)))
@settings(max_examples=25, deadline=None)
def test_the_desk_quotes_what_the_book_says(rng: Random, coupling: Coupling) -> None:
    book = small_book(rng)
    a = book_arrays(book, voucher_terms(book, (), {}, domestic={}), coupling)
    draw = np.random.default_rng(rng.randrange(2**32))
    price = a.ask + draw.integers(0, 3, a.ask.shape) * 1_000_000
    tables = quote_tables(price, a.ask, a.capacity, a.link_left)
    desk = QuoteDesk(book, coupling, tables)
    best = best_quotes(a, tables)
    for j, enquiry in enumerate(enquiries(book)):
        quotes = desk.quote(enquiry)
        r = a.place[j]
        pools = a.place_pool[a.place_first[r] : a.place_first[r + 1]]
        assert quotes.pool.tolist() == pools.tolist()
        assert np.minimum(quotes.slots, book.slots + 1).tolist() == a.slots[a.shape[j], pools].tolist()
        assert quotes.transfer.tolist() == [haul(int(a.data[j]), int(t)) for t in a.tariff[r, pools]]
        ranked = sorted(
            (gross + transfer, pool, start, ask)
            for pool, start, _, gross, ask, transfer in zip(*(field.tolist() for field in quotes), strict=True)
            if start >= 0
        )
        total, pool, start, ask = ranked[0] if ranked else (0, -1, -1, 0)
        assert (pool, start, ask) == (best.pool[j], best.start[j], best.ask[j])
        assert total == (best.gross[j] + best.transfer[j] if ranked else 0)


def test_a_quote_takes_microseconds() -> None:
    """A bound far above what it takes (`benchmarks.quotes`), so that only another algorithm can break it."""
    book = small_book(Random(7))
    a = book_arrays(book, voucher_terms(book, (), {}, domestic={}), Coupling.FULL)
    desk = QuoteDesk(book, Coupling.FULL, quote_tables(a.ask, a.ask, a.capacity, a.link_left))
    known = enquiries(book)
    for enquiry in known:
        desk.quote(enquiry)
    begin = process_time()
    for _ in range(200):
        for enquiry in known:
            desk.quote(enquiry)
    assert (process_time() - begin) / (200 * len(known)) < 200e-6
