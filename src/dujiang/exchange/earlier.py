"""The result of an earlier round or admission, read back to go on from: checked as far as going on relies on it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from dujiang.core.errors import InputError
from dujiang.core.problem import Problem, ProblemList, shown
from dujiang.core.slots import parse_instant
from dujiang.core.text import Text
from dujiang.market.outcome import (
    AWARD_SCHEMA,
    LINK_PRICE_SCHEMA,
    MULTIPLIER_SCHEMA,
    PRICE_SCHEMA,
    REJECTION_SCHEMA,
    VOUCHER_SCHEMA,
    Outcome,
)
from dujiang.registry.book import Book
from dujiang.store.read_book import cannot_open, parse_parquet, read_bytes
from dujiang.store.results import SUMMARY, TABLES

SCHEMAS: Mapping[str, Mapping[str, pl.DataType]] = {
    "awards": AWARD_SCHEMA,
    "vouchers": VOUCHER_SCHEMA,
    "prices": PRICE_SCHEMA,
    "link_prices": LINK_PRICE_SCHEMA,
    "rejections": REJECTION_SCHEMA,
    "multipliers": MULTIPLIER_SCHEMA,
}
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Earlier:
    """A result and the book that it names."""

    name: str
    """Name of its folder, for problems."""
    outcome: Outcome
    start: datetime
    """Start of its slot 0, aware UTC."""
    digest: str
    """SHA-256 of its book."""

    def hours_until(self, start: datetime) -> int:
        """Return the hours from its slot 0 to another round's; negative if that is earlier."""
        return (start - self.start) // _HOUR


def read_earlier(folder: Path) -> Earlier:
    """Read a result folder.

    Raises
    ------
    InputError : it is no result, or one of its files is damaged or of another version; all such problems
    """
    problems = ProblemList()
    summary = _read_summary(folder, problems)
    frames = {table: _read_frame(folder, table, problems) for table in TABLES}
    start = _stated_start(folder, summary, problems)
    if problems or start is None:
        raise InputError(problems)
    outcome = Outcome(**frames, summary=summary)
    return Earlier(folder.name, outcome, start, str(summary.get("book_sha256")))


def _place(folder: Path, file: str) -> str:
    return f"{folder.name}/{file}" if folder.name else file


def _read_summary(folder: Path, problems: ProblemList) -> dict[str, Any]:
    file = _place(folder, SUMMARY)
    expected = Text("the summary of a result", "一份结果的概要")
    try:
        document = json.loads(read_bytes(folder / SUMMARY))
    except OSError as error:
        problems.add(cannot_open(file, error))
        return {}
    except (ValueError, RecursionError):
        problems.add(Problem("not-a-result", file, None, None, "no JSON document", expected))
        return {}
    if not isinstance(document, dict) or not str(document.get("format")).startswith("dujiang."):
        problems.add(Problem("not-a-result", file, None, "format", "no result of ours", expected))
        return {}
    return document


def _stated_start(folder: Path, summary: Mapping[str, Any], problems: ProblemList) -> datetime | None:
    if not summary:
        return None
    start = parse_instant(str(summary.get("start")))
    if start is None:
        expected = Text("the start of the round", "该轮次的开始时间")
        problems.add(
            Problem("bad-start", _place(folder, SUMMARY), None, "start", shown(summary.get("start")), expected)
        )
    return start


def _read_frame(folder: Path, table: str, problems: ProblemList) -> pl.DataFrame:
    schema = SCHEMAS[table]
    file = _place(folder, f"{table}.parquet")
    try:
        raw, found = parse_parquet(file, read_bytes(folder / f"{table}.parquet"))
    except OSError as error:
        raw, found = None, [cannot_open(file, error)]
    problems.extend(found)
    if raw is None:
        return pl.DataFrame(schema=schema)
    wrong = [name for name, dtype in schema.items() if raw.frame.schema.get(name) != dtype]
    for name in wrong:
        held = raw.frame.schema.get(name)
        expected = Text(f"a column of {schema[name]}", f"类型为 {schema[name]} 的列")
        problems.add(Problem("bad-column", file, None, name, "no such column" if held is None else str(held), expected))
    return pl.DataFrame(schema=schema) if wrong else raw.frame.select(list(schema))


def check_of_book(earlier: Earlier, digest: str) -> None:
    """Refuse a result that is not of a book.

    Raises
    ------
    InputError : it names another book
    """
    if earlier.digest != digest:
        expected = Text("the result of this very book, unchanged", "本需求簿（未经改动）的结果")
        fix = Text("name the book that was cleared", "请给出撮合时所用的需求簿")
        raise InputError(
            [
                Problem(
                    "another-book",
                    f"{earlier.name}/{SUMMARY}",
                    None,
                    "book_sha256",
                    shown(earlier.digest),
                    expected,
                    fix,
                )
            ]
        )


def check_followed(earlier: Earlier, book: Book, digest: str) -> None:
    """Refuse a book in which an award of an earlier result is missing: its capacity would be given twice (design 4.9).

    Raises
    ------
    InputError : an award that still runs or is to come is not in `running`, or its order is asked for again
    """
    awards = earlier.outcome.awards
    hours = earlier.hours_until(book.start)
    lasting = awards.filter(pl.col("start") + pl.col("slots") > hours)
    lost = lasting.join(book.running, on="order_id", how="anti")
    again = awards.join(book.orders, on="order_id", how="semi")
    problems = ProblemList()
    fix = Text(
        "make the book with `dujiang roll BOOK RESULTS --hours H`", "请用 `dujiang roll BOOK RESULTS --hours H` 生成"
    )
    expected = Text(f"the awards of {earlier.name} that still run", f"{earlier.name} 中仍在运行的中标")
    for order in lost["order_id"]:
        problems.add(Problem("award-missing", "running", None, "order_id", f"no row of {shown(order)}", expected, fix))
    expected = Text(f"no order that {earlier.name} has served", f"未在 {earlier.name} 中成交的订单")
    for order in again["order_id"]:
        problems.add(Problem("already-served", "orders", None, "order_id", shown(order), expected, fix))
    if problems:
        if earlier.digest == digest:
            # One mistake, not as many as there are awards.
            expected = Text("the book of the next round", "下一轮的需求簿")
            found = f"the book of {earlier.name} itself"
            raise InputError([Problem("same-book", "book.yaml", None, None, found, expected, fix)])
        raise InputError(problems)
