"""From a book folder to a cleared round: read, look up programmes, work out terms, clear, hand over files."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dujiang.catalog.tables import accelerators
from dujiang.core.errors import InputError
from dujiang.core.problem import ProblemList
from dujiang.exchange.naming import names_of, sources_of
from dujiang.market.clear import clear
from dujiang.market.engine import Effort, Progress
from dujiang.market.outcome import Coupling, Outcome
from dujiang.policy.catalogue import programmes_of_round
from dujiang.policy.programme import Programme
from dujiang.policy.terms import VoucherTerms, voucher_terms
from dujiang.registry.book import Book
from dujiang.registry.header import parse_header
from dujiang.reports.data import ReportData
from dujiang.reports.html import render_report
from dujiang.store.files import replace_folder
from dujiang.store.read_book import read_book
from dujiang.store.results import book_digest, check_outside, check_target, outcome_files


@dataclass(frozen=True, slots=True)
class Round:
    """A checked book with everything that its clearing needs."""

    book: Book
    terms: VoucherTerms
    programmes: Mapping[str, Programme]
    """Those that take part, by id."""
    programme_files: Mapping[str, bytes]
    domestic: Mapping[str, bool]
    digest: str
    """SHA-256 of the book's files."""


def domestic_accelerators() -> dict[str, bool]:
    """Return accelerator id to whether its vendor has its seat in mainland China."""
    return {name: record.domestic for name, record in accelerators().items()}


def open_round(folder: Path) -> Round:
    """Read and check a book with its programmes.

    Raises
    ------
    InputError : with every problem of the book and of its programmes
    """
    problems = ProblemList()
    book, raw = read_book(folder, problems)
    # The header alone says which programmes take part: a mistake there is listed beside those of the tables.
    use = () if raw.header is None else parse_header(raw.header, ProblemList()).use
    chosen, found = programmes_of_round(use, raw.programmes)
    problems.extend(found)
    if book is None or problems:
        raise InputError(problems)
    domestic = domestic_accelerators()
    budgets = {use.programme_id: use.budget_ucny for use in book.use}
    programmes = {key: entry.programme for key, entry in chosen.items()}
    terms = voucher_terms(book, list(programmes.values()), budgets, domestic=domestic)
    files = {key: entry.content for key, entry in chosen.items()}
    return Round(book, terms, programmes, files, domestic, book_digest(folder))


def clear_round(
    round_: Round, coupling: Coupling, effort: Effort, progress: Progress | None = None
) -> tuple[Outcome, dict[str, bytes]]:
    """Clear a round; return the outcome and the files of its result folder."""
    outcome = clear(round_.book, round_.terms, coupling, effort, time.perf_counter, progress)
    return outcome, outcome_files(outcome, round_.programme_files, round_.domestic, round_.digest)


def clear_to(
    folder: Path, out: Path, coupling: Coupling, effort: Effort, progress: Progress | None = None
) -> dict[str, Any]:
    """Clear a book into a result folder with a report; return the summary.

    Raises
    ------
    InputError : the book has problems, or the target holds somebody's files; nothing was written
    """
    check_outside(folder, out)
    round_ = open_round(folder)
    check_target(out)
    outcome, files = clear_round(round_, coupling, effort, progress)
    report = ReportData(
        book=round_.book,
        outcome=outcome,
        sources=sources_of(round_.programmes),
        names=names_of(round_.book, round_.programmes),
    )
    files["report.html"] = render_report(report).encode()
    replace_folder(out, files)
    return outcome.summary
