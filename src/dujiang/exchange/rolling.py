"""Rounds roll forward: from a book and its result to the book of the next round (design 4.9).

What makes that safe. Every award of the result that has not ended stands in `running` of the next book, and its order
is in no book again, so no capacity and no order is given twice. Vouchers become claims, and budgets that the book set
for the round become smaller by them, so budgets and caps hold over all rounds together. The result has to be of the
very book that is rolled, and the next book is read like any other before a byte of it is written: what a damaged or
altered result would bring in, such as a pool above what it offers, is refused as the reader of a book refuses it.

An admission between rounds (`dujiang admit`) is a result like any other: of the book that rolling made for the
arrivals, by 0 hours or more. So a chain of books carries everything, one result each.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl

from dujiang import __version__
from dujiang.core.errors import InputError
from dujiang.core.marked import Marked
from dujiang.core.money import cny
from dujiang.core.problem import Problem, ProblemList, shown
from dujiang.core.slots import instant_text
from dujiang.core.text import Text
from dujiang.exchange.carried import CONTRACT, Carried, carried, next_use, without_vouchers
from dujiang.exchange.earlier import Earlier, check_of_book, read_earlier
from dujiang.registry.book import Book
from dujiang.registry.parse import parse_book
from dujiang.registry.raw import RawBook, RawTable
from dujiang.store.book_frames import file_frame
from dujiang.store.files import json_bytes, parquet_bytes, replace_folder, writing
from dujiang.store.read_book import cannot_open, read_book, read_bytes, read_table
from dujiang.store.read_table import read_table_file
from dujiang.store.results import book_digest, check_outside
from dujiang.store.write_book import header_bytes

FORMAT = "dujiang.roll/1"
REMARKS = "roll.json"
"""What became of the orders and awards of the round before, beside the next book; and which contracts have used
programmes, which no table of a book can say."""
_COPIED = ("centres", "pools", "links", "enterprises")
"""Tables that a round does not change; their files are copied as they are."""


@dataclass(frozen=True, slots=True)
class _Next:
    """The next book before it is written."""

    header: Mapping[str, object]
    tables: Mapping[str, pl.DataFrame]
    """Those that are made anew, with the columns of their files; CSV where people edit them."""
    remarks: Mapping[str, Any]


def roll_to(folder: Path, results: Path, hours: int, out: Path, orders: Path | None = None) -> dict[str, Any]:
    """Write the next round's book.

    Parameters
    ----------
    folder, results : a book and its result
    hours : hours by which the start moves, not negative
    out : folder of the next book; new or empty, for nothing is ever replaced
    orders : new orders, `.csv` or `.parquet`, with slots counted from the start of the next round

    Returns
    -------
    what was carried, dropped and added; also in `roll.json` beside the book

    Raises
    ------
    InputError : the book, the result or the new orders have problems, or the target holds files; nothing was written
    """
    check_outside(folder, out)
    _check_free(out)
    problems = ProblemList()
    book, raw = read_book(folder, problems)
    if book is None or raw.header is None:
        raise InputError(problems)
    digest = book_digest(folder)
    earlier = read_earlier(results)
    check_of_book(earlier, digest)
    _check_orders(book, earlier)
    over = carried(book, earlier.outcome, hours, _contracts_used(folder))
    header = _next_header(raw.header, book, over, hours, earlier.name)
    fresh = None if orders is None else _new_orders(orders, folder, header, over, _known_ids(book))
    made = _next_book(header, over, fresh, digest, hours)
    _check_next(made, folder, raw.header)
    replace_folder(out, _files(made, folder, raw))
    return dict(made.remarks)


def _check_free(out: Path) -> None:
    with writing(out):
        taken = out.is_symlink() or (out.exists() and (not out.is_dir() or any(out.iterdir())))
    if taken:
        expected = Text("a new or empty folder", "新的或空的文件夹")
        fix = Text("choose another --out; a book is never replaced", "请另选 --out；需求簿不会被覆盖")
        raise InputError([Problem("not-empty", out.name or str(out), None, None, "files", expected, fix)])


def _check_orders(book: Book, earlier: Earlier) -> None:
    """Refuse awards of orders that the book does not have."""
    unknown = earlier.outcome.awards.join(book.orders, on="order_id", how="anti")["order_id"]
    file = f"{earlier.name}/awards.parquet"
    expected = Text("an order of the book", "需求簿中的订单")
    problems = ProblemList()
    problems.extend(Problem("dangling", file, None, "order_id", shown(name), expected) for name in unknown)
    if problems:
        raise InputError(problems)


def _contracts_used(folder: Path) -> pl.DataFrame:
    """Return the contracts that rounds before this one have used programmes for, as rolling noted them beside the book.

    Raises
    ------
    InputError : what stands there is not what rolling writes
    """
    path = folder / REMARKS
    rows: list[list[str]] = []
    try:
        if path.exists():
            rows = [[str(name) for name in row] for row in json.loads(read_bytes(path))["contracts_used"]]
        return pl.DataFrame(rows, schema=dict.fromkeys(CONTRACT, pl.String()), orient="row")
    except OSError as error:
        raise InputError([cannot_open(REMARKS, error)]) from error
    except (ValueError, TypeError, LookupError, RecursionError, pl.exceptions.PolarsError) as error:
        expected = Text("what dujiang roll has written there", "dujiang roll 写入的内容")
        found = "no such document"
        raise InputError([Problem("bad-state", REMARKS, None, "contracts_used", found, expected)]) from error


def _known_ids(book: Book) -> pl.Series:
    return pl.concat([book.orders["order_id"], book.running["order_id"]])


def _next_header(doc: Marked, book: Book, over: Carried, hours: int, results: str) -> Marked:
    """Return `book.yaml` of the next round, each value still at the line of the old one."""
    use, problems = next_use(book, over.spent, f"{results}/vouchers.parquet")
    if problems:
        raise InputError(problems)
    try:
        start = book.start + timedelta(hours=hours)
    except OverflowError as error:
        expected = Text("a start inside the calendar", "日历之内的开始时间")
        raise InputError([Problem("bad-start", "--hours", None, None, shown(hours), expected)]) from error
    value = {**doc.value, "start": instant_text(start)}
    if use:
        value["use"] = use
    return Marked(doc.file, value, doc.lines)


def _new_orders(path: Path, folder: Path, header: Marked, over: Carried, known: pl.Series) -> pl.DataFrame:
    """Return the new orders, checked like those of any book.

    Parameters
    ----------
    path : their file
    folder : the book, whose enterprises and pools they may name
    header : of the next book
    over : what is carried, for the awards that run
    known : ids that this round has had; none of them may come again (the reader of a book looks for those that run)
    """
    problems = ProblemList()
    table = read_table_file(path, problems)
    if table is None:
        raise InputError(problems)
    _check_unused(table, known.filter(~known.is_in(over.running["order_id"].implode())), problems)
    supply = {name: file_frame(name, getattr(over, name), flat=True) for name in ("running", "capacity")}
    raw = RawBook(header, {**_unchanged(folder, problems), **_raw_tables(supply), "orders": table})
    book = parse_book(raw, problems)
    if book is None or problems:
        raise InputError(problems)
    return book.orders


def _check_unused(table: RawTable, known: pl.Series, problems: ProblemList) -> None:
    """Refuse ids of orders that were in the round: an order is never asked twice (design 9.1)."""
    if "order_id" not in table.frame.columns:
        return
    ids = table.frame["order_id"].cast(pl.String, strict=False).str.strip_chars()
    expected = Text("an id that no order of the last round has", "上一轮未使用过的编号")
    for row in ids.is_in(known.implode()).arg_true():
        problems.add(Problem("duplicate", table.file, table.row(row), "order_id", shown(ids[row]), expected))


def _next_book(header: Marked, over: Carried, fresh: pl.DataFrame | None, digest: str, hours: int) -> _Next:
    orders = over.orders if fresh is None else pl.concat([over.orders, fresh.select(over.orders.columns)])
    orders, without = without_vouchers(orders, over.contracts)
    tables = {
        "orders": file_frame("orders", orders.sort("submitted", "order_id", nulls_last=True)),
        "running": file_frame("running", over.running),
        "claims": file_frame("claims", over.claims, flat=True),
        "capacity": file_frame("capacity", over.capacity, flat=True),
    }
    remarks = {
        "format": FORMAT,
        "version": __version__,
        "from_book_sha256": digest,
        "hours": hours,
        "start": header.value["start"],
        "orders": {
            "kept": over.orders.height,
            "added": 0 if fresh is None else fresh.height,
            "dropped": over.dropped.len(),
        },
        "awards": {"running": over.running.height, "ended": over.ended},
        "vouchers_cny": {programme: cny(amount) for programme, amount in over.spent.items()},
        "dropped": over.dropped.to_list(),
        "without_vouchers": without.to_list(),
        "contracts_used": [list(row) for row in over.contracts.iter_rows()],
    }
    return _Next(header.value, tables, remarks)


def _unchanged(folder: Path, problems: ProblemList) -> dict[str, RawTable]:
    """Read the tables that a round does not change."""
    tables = {}
    for name in _COPIED:
        table, found = read_table(folder, name)
        problems.extend(found)
        if table is not None:
            tables[name] = table
    return tables


def _raw_tables(frames: Mapping[str, pl.DataFrame]) -> dict[str, RawTable]:
    return {name: RawTable(f"{name}.parquet", "parquet", frame) for name, frame in frames.items()}


def _check_next(made: _Next, folder: Path, doc: Marked) -> None:
    """Read the next book as its reader will.

    Raises
    ------
    InputError : it would have problems
    """
    problems = ProblemList()
    # Reading takes columns out of large tables; those that are written stay whole.
    anew = _raw_tables({name: frame.clone() for name, frame in made.tables.items()})
    parse_book(RawBook(Marked(doc.file, made.header, doc.lines), _unchanged(folder, problems) | anew), problems)
    if problems:
        raise InputError(problems)


def _files(made: _Next, folder: Path, raw: RawBook) -> dict[str, bytes]:
    files = {"book.yaml": header_bytes(made.header)}
    for name in _COPIED:
        path = next((p for p in (folder / f"{name}.csv", folder / f"{name}.parquet") if p.exists()), None)
        if path is not None:
            files[path.name] = read_bytes(path)
    for name in ("orders", "running"):
        files[f"{name}.parquet"] = parquet_bytes(made.tables[name])
    for name in ("claims", "capacity"):
        if made.tables[name].height:
            files[f"{name}.csv"] = made.tables[name].write_csv().encode()
    files |= dict(raw.programmes)
    files[REMARKS] = json_bytes(made.remarks)
    return files
