"""From a book folder to a cleared round: read, look up programmes, work out terms, clear, hand over files."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dujiang.catalog.tables import accelerators
from dujiang.core.errors import InputError
from dujiang.core.money import cny
from dujiang.core.problem import ProblemList
from dujiang.core.slots import instant_text
from dujiang.exchange.earlier import Earlier, check_followed, read_earlier
from dujiang.exchange.naming import names_of, sources_of
from dujiang.market.admission import admit
from dujiang.market.arrays import BookArrays
from dujiang.market.book_arrays import book_arrays
from dujiang.market.clear import outcome_of
from dujiang.market.dual import Prices
from dujiang.market.engine import Cleared, Effort, Progress, gap_of, solve
from dujiang.market.exact import Limits, solve_exact
from dujiang.market.last_prices import last_prices
from dujiang.market.outcome import Coupling, Outcome
from dujiang.market.pricing import Pricers, Pricing
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
    chosen, found = programmes_of_round(use, raw.programmes, None if book is None else book.day)
    problems.extend(found)
    if book is None or problems:
        raise InputError(problems)
    domestic = domestic_accelerators()
    budgets = {use.programme_id: use.budget_ucny for use in book.use}
    programmes = {key: entry.programme for key, entry in chosen.items()}
    terms = voucher_terms(book, list(programmes.values()), budgets, domestic=domestic)
    files = {key: entry.content for key, entry in chosen.items()}
    return Round(book, terms, programmes, files, domestic, book_digest(folder))


@dataclass(frozen=True, slots=True)
class Extras:
    """What a clearing may be given beside its effort."""

    warm: Earlier | None = None
    """Begin with the prices of this result (design 4.9)."""
    exact_s: float | None = None
    """Look so many seconds for the best awards at the prices found, and for a proof that there are none better."""
    pricers: Pricers = Pricing
    """Makes the passes of the price search; whichever does, the result is the same."""


def clear_round(
    round_: Round, coupling: Coupling, effort: Effort, progress: Progress | None = None, extras: Extras | None = None
) -> tuple[Outcome, dict[str, bytes]]:
    """Clear a round; return the outcome and the files of its result folder."""
    extras = extras or Extras()
    further: dict[str, Any] = {}

    def work(a: BookArrays) -> Cleared:
        warm = None if extras.warm is None else _carried_prices(round_, a, extras.warm)
        cleared = solve(a, effort, time.perf_counter, progress, warm, extras.pricers)
        if extras.exact_s is None:
            return cleared
        cleared, further["exact"] = _exactly(a, cleared, extras.exact_s, progress)
        return cleared

    outcome = _outcome(round_, coupling, work)
    if extras.warm is not None:
        outcome.summary["warm"] = _named(round_, extras.warm)
    outcome.summary.update(further)
    return outcome, _result_files(round_, outcome)


def admit_round(
    round_: Round, coupling: Coupling, prices: Earlier, progress: Progress | None = None
) -> tuple[Outcome, dict[str, bytes]]:
    """Admit the orders of a book at the prices of an earlier result; return the outcome and its files.

    Raises
    ------
    InputError : an award of that result still runs and is not in the book, so its capacity would be given twice
    """
    check_followed(prices, round_.book, round_.digest)
    outcome = _outcome(
        round_, coupling, lambda a: admit(a, _carried_prices(round_, a, prices), time.perf_counter, progress)
    )
    outcome.summary["admission"] = _named(round_, prices)
    return outcome, _result_files(round_, outcome)


def _outcome(round_: Round, coupling: Coupling, work: Callable[[BookArrays], Cleared]) -> Outcome:
    """Let awards and prices be found, and work out what they mean; the summary says how long each phase took."""
    begin = time.perf_counter()
    a = book_arrays(round_.book, round_.terms, coupling)
    prepared = time.perf_counter() - begin
    cleared = work(a)
    begin = time.perf_counter()
    outcome = outcome_of(round_.book, round_.terms, coupling, a, cleared)
    seconds = {"arrays": prepared, **cleared.seconds, "outcome": time.perf_counter() - begin}
    outcome.summary["seconds"] = {phase: round(value, 3) for phase, value in seconds.items()}
    return outcome


def _exactly(
    a: BookArrays, cleared: Cleared, seconds: float, progress: Progress | None
) -> tuple[Cleared, dict[str, Any]]:
    """Return the same prices with awards at least as good, and what is proven about them.

    The certificate stays that of the prices, which anybody can check; what the solver proves stands beside it.
    """
    begin = time.perf_counter()
    found = solve_exact(a, cleared, Limits(seconds=seconds), time.perf_counter, progress)
    bound = found.bound_at_prices_ucny
    proof = {
        "seconds": seconds,
        "optimal": found.optimal,
        "bound_at_prices_cny": float(cny(bound)),
        "bound_at_prices_ucny": bound,
        "gap_at_prices": gap_of(bound, int(found.state.worth.sum())),
        "columns": found.columns,
        "rows": found.rows,
        "components": found.components,
        "nodes": found.nodes,
    }
    took = {**cleared.seconds, "exact": time.perf_counter() - begin}
    better = replace(cleared, state=found.state, cut_short=cleared.cut_short or found.cut_short, seconds=took)
    return better, proof


def _carried_prices(round_: Round, a: BookArrays, earlier: Earlier) -> Prices:
    hours = earlier.hours_until(round_.book.start)
    return last_prices(earlier.outcome, hours, round_.book, round_.terms, a)


def _named(round_: Round, earlier: Earlier) -> dict[str, Any]:
    """Say which result the prices are from."""
    return {
        "book_sha256": earlier.digest,
        "start": instant_text(earlier.start),
        "hours": earlier.hours_until(round_.book.start),
    }


def _result_files(round_: Round, outcome: Outcome) -> dict[str, bytes]:
    return outcome_files(outcome, round_.programme_files, round_.domestic, round_.digest)


def clear_to(
    folder: Path,
    out: Path,
    coupling: Coupling,
    effort: Effort,
    progress: Progress | None = None,
    *,
    warm: Path | None = None,
    exact_s: float | None = None,
    pricers: Pricers = Pricing,
) -> dict[str, Any]:
    """Clear a book into a result folder with a report; return the summary.

    Parameters
    ----------
    folder, out : the book and the result
    coupling, effort, progress : as for `market.clear.clear`
    warm : folder of an earlier result, whose prices to begin with
    exact_s : seconds of the exact mode; None: without it
    pricers : makes the passes of the price search

    Raises
    ------
    InputError : the book or the earlier result has problems, or the target holds somebody's files; nothing was written
    """
    check_outside(folder, out)
    round_ = open_round(folder)
    check_target(out)
    extras = Extras(None if warm is None else read_earlier(warm), exact_s, pricers)
    outcome, files = clear_round(round_, coupling, effort, progress, extras)
    return _write(round_, outcome, files, out)


def admit_to(
    folder: Path, prices: Path, out: Path, coupling: Coupling, progress: Progress | None = None
) -> dict[str, Any]:
    """Admit the orders of a book at posted prices into a result folder; return the summary.

    Parameters
    ----------
    folder : the arrivals as a book, whose `running` holds what earlier rounds have given (`rolling.roll_to`)
    prices : folder of the result whose prices are posted
    out : folder of the result
    coupling : which centres an order may use
    progress : told the phase and its share

    Raises
    ------
    InputError : as for `clear_to`, or an award of that result that still runs is not in the book
    """
    check_outside(folder, out)
    round_ = open_round(folder)
    check_target(out)
    outcome, files = admit_round(round_, coupling, read_earlier(prices), progress)
    return _write(round_, outcome, files, out)


def _write(round_: Round, outcome: Outcome, files: dict[str, bytes], out: Path) -> dict[str, Any]:
    report = ReportData(
        book=round_.book,
        outcome=outcome,
        sources=sources_of(round_.programmes),
        names=names_of(round_.book, round_.programmes),
    )
    files["report.html"] = render_report(report).encode()
    replace_folder(out, files)
    return outcome.summary
