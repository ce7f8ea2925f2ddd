"""A quote from files: a book, its last result and an order in, prices in each compatible pool out (design 4.8)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from dujiang.core.errors import InputError
from dujiang.core.marked import Marked
from dujiang.core.money import MAX_UCNY, MICRO, cny
from dujiang.core.problem import ProblemList
from dujiang.core.slots import instant_text, slot_instant
from dujiang.exchange.earlier import Earlier, check_followed, read_earlier
from dujiang.market.arrays import BookArrays, Int
from dujiang.market.book_arrays import book_arrays
from dujiang.market.desk import Enquiry, QuoteDesk
from dujiang.market.last_prices import last_prices
from dujiang.market.outcome import Coupling
from dujiang.market.quote import Quotes, Tables, quote_tables
from dujiang.policy.terms import voucher_terms
from dujiang.registry.book import Book
from dujiang.registry.parse import parse_book
from dujiang.registry.raw import RawBook, RawTable
from dujiang.store.read_book import read_raw
from dujiang.store.read_order import at_line, order_table, read_order
from dujiang.store.results import book_digest

_SOMEBODY = "quote"
"""Stands for the order and the enterprise of an order file that names none."""


def quote_order(folder: Path, results: Path, order: Path, coupling: Coupling) -> dict[str, Any]:
    """Say what an order would cost now in each compatible pool.

    Parameters
    ----------
    folder : a book
    results : its result; or that of an earlier round, all of whose awards that still run stand in the book's `running`
    order : YAML file with the columns of `orders`; `order_id`, `enterprise_id` and `limit_cny` may be missing
    coupling : which centres the order may use

    Returns
    -------
    the document of `dujiang quote --json`: quotes, cheapest first, and pools without room in the window

    Raises
    ------
    InputError : the book, the result or the order have problems
    """
    problems = ProblemList()
    opened = open_desk(folder, results, read_order(order, problems), coupling, problems)
    return _document(opened.book, opened.earlier, opened.desk.quote(opened.enquiry), opened.arrays)


class OpenedDesk(NamedTuple):
    """A desk on the posted prices of a result, and what the order that it was opened for asks."""

    book: Book
    """With the order in the place of all its own."""
    earlier: Earlier
    desk: QuoteDesk
    enquiry: Enquiry
    arrays: BookArrays


def open_desk(
    folder: Path, results: Path, order: Marked | None, coupling: Coupling, problems: ProblemList
) -> OpenedDesk:
    """Open a desk from files.

    Parameters
    ----------
    folder, results, coupling : as of `quote_order`
    order : the columns of `orders`; None: it could not be read, which is a problem already
    problems : what is wrong so far; the book's and the order's problems are added

    Raises
    ------
    InputError : there is any problem; lists all of them
    """
    book = _book_with(folder, order, problems)
    digest = book_digest(folder)
    earlier = read_earlier(results)
    a = book_arrays(book, voucher_terms(book, (), {}, domestic={}), coupling)
    desk = QuoteDesk(book, coupling, _tables(book, a, earlier, digest))
    return OpenedDesk(book, earlier, desk, _enquiry(book), a)


def _book_with(folder: Path, doc: Marked | None, problems: ProblemList) -> Book:
    """Read a book with one order in the place of all its own."""
    raw = read_raw(folder, problems)
    if doc is None:
        raise InputError(problems)
    tables = {**raw.tables, **_order_tables(doc, raw, problems)}
    judged = ProblemList()
    # Nobody's claims matter to a quote, and a book of one enterprise would not know the claimants.
    tables.pop("claims", None)
    book = parse_book(RawBook(raw.header, tables, unreadable=raw.unreadable), judged)
    problems.extend(at_line(problem, doc) for problem in judged)
    if book is None or problems:
        raise InputError(problems)
    return book


def _order_tables(doc: Marked, raw: RawBook, problems: ProblemList) -> Mapping[str, RawTable]:
    running = raw.tables.get("running")
    taken = set() if running is None or "order_id" not in running.frame.columns else set(running.frame["order_id"])
    name = _SOMEBODY
    while name in taken:
        name += "-"
    otherwise = {"order_id": name, "enterprise_id": _SOMEBODY, "limit_cny": str(MAX_UCNY // MICRO)}
    tables = {"orders": order_table(doc, otherwise, problems)}
    if doc.value.get("enterprise_id") is None:
        tables["enterprises"] = RawTable("enterprises", "csv", pl.DataFrame({"enterprise_id": [_SOMEBODY]}), [1])
    return tables


def _enquiry(book: Book) -> Enquiry:
    order = book.orders.row(0, named=True)
    lists = {name: tuple(order[name]) for name in ("accelerators", "stacks", "regions")}
    return Enquiry(**{name: order[name] for name in Enquiry._fields if name not in lists}, **lists)  # type: ignore[arg-type]


def _tables(book: Book, a: BookArrays, earlier: Earlier, digest: str) -> Tables:
    """Return prices and what is left: of the book, less the awards of the result if that is the book's own."""
    prices = last_prices(
        earlier.outcome, earlier.hours_until(book.start), book, voucher_terms(book, (), {}, domestic={}), a
    )
    free, link = a.capacity, a.link_left
    if earlier.digest == digest:
        used, crossing = _used(book, earlier)
        free, link = np.maximum(free - used, 0), np.maximum(link - crossing, 0)
    else:
        check_followed(earlier, book, digest)
    return quote_tables(a.ask + prices.capacity, a.ask, free, link)


def _used(book: Book, earlier: Earlier) -> tuple[Int, Int]:
    """Return [P, T] accelerators and [L, T] millionths of a GB that the awards of the book's own result take."""
    outcome = earlier.outcome
    region = ["origin_region", "region"]
    links = book.links.filter(pl.col("gb_per_slot_micro").is_not_null()).select(region)
    return (
        _grid(book.pools.select("pool_id"), outcome.prices, "gpus_used", book.slots),
        _grid(links, outcome.link_prices, "gb_used_micro", book.slots),
    )


def _grid(keys: pl.DataFrame, frame: pl.DataFrame, value: str, slots: int) -> Int:
    rows = frame.join(keys.with_row_index("row"), on=keys.columns).filter(pl.col("slot").is_between(0, slots - 1))
    out = np.zeros((keys.height, slots), dtype=np.int64)
    out[rows["row"].to_numpy(), rows["slot"].to_numpy()] = rows[value].to_numpy()
    return out


def _document(book: Book, earlier: Earlier, quotes: Quotes, a: BookArrays) -> dict[str, Any]:
    order = book.orders.row(0, named=True)
    carbon = order["gpus"] * a.carbon
    pools = book.pools.join(book.centres.select("centre_id", "region"), on="centre_id", maintain_order="left")
    named = pools.select("pool_id", "centre_id", "region", "accelerator").to_dicts()
    rows = [
        {
            **named[pool],
            "start": start,
            "begins": instant_text(slot_instant(book.start, start)),
            "slots": slots,
            "total_cny": cny(gross + transfer),
            "gross_ucny": gross,
            "transfer_ucny": transfer,
            "ask_cost_ucny": ask,
            "carbon_term_ucny": int(carbon[pool]) * slots,
        }
        for pool, start, slots, gross, ask, transfer in zip(*(field.tolist() for field in quotes), strict=True)
        if start >= 0
    ]
    return {
        "ok": True,
        "order_id": order["order_id"],
        "gpus": order["gpus"],
        "prices_of": instant_text(earlier.start),
        "vouchers": "not part of a quote",
        "quotes": sorted(rows, key=lambda row: (row["gross_ucny"] + row["transfer_ucny"], row["pool_id"])),
        "no_room": [named[pool]["pool_id"] for pool in quotes.pool[quotes.start < 0].tolist()],
    }
