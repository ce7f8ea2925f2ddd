"""All rules on the files of a clearing, in the order in which they build on each other (design 4, 9)."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from fractions import Fraction

from dujiang.verify import awards as award_rules
from dujiang.verify import prices, rejections, summary
from dujiang.verify.awards import Derived
from dujiang.verify.book import Book
from dujiang.verify.certificate import check_multipliers, dual_bound
from dujiang.verify.options import Options
from dujiang.verify.prices import Posted
from dujiang.verify.results import Award, Multiplier, Results
from dujiang.verify.support import Programmes
from dujiang.verify.verdict import Sheet

Spent = dict[tuple[str, str | None], int]
"""Vouchers by programme, and by programme and enterprise."""


def check_clearing(options: Options, given: Results, sheet: Sheet) -> tuple[list[Derived], Posted] | None:
    """Run every rule on the files of a clearing that they allow.

    Parameters
    ----------
    options : book, programmes and coupling of the round
    given : what could be read of the result
    sheet : takes what is wrong and the figures

    Returns
    -------
    the awards worked out again, and the prices; None where awards or prices are missing
    """
    book = options.book
    used = None if given.awards is None else award_rules.check_capacity(book, given.awards, sheet)
    grid = None
    if given.prices is not None:
        grid = prices.check_grid(book, given.prices, sheet)
        prices.check_rows(book, given.prices, used, sheet)
    if given.awards is None:
        return None
    if given.rejections is not None:
        award_rules.check_once(book, given.awards, given.rejections, sheet)
    if grid is None or used is None:
        return None
    posted = prices.posted(book, grid)
    derived = award_rules.check_awards(options, given.awards, posted, sheet)
    award_rules.check_vouchers(options.programmes, derived, sheet)
    spent = _spent(given.awards)
    if given.rejections is not None:
        rejections.check_rejections(options, given.rejections, posted, _left(options.programmes, spent), sheet)
    figures = {
        **summary.outline(book, options, derived, given.rejections or ()),
        **summary.centres(book, derived, used),
    }
    if given.multipliers is not None:
        figures |= _certificate(options, given.multipliers, posted, derived, spent, sheet)
    sheet.figures.update({key: _plain(value) for key, value in figures.items()})
    if given.summary is not None:
        _check_start(book, given.summary.get("start"), sheet)
        summary.compare(given.summary, figures, sheet)
    return derived, posted


def _certificate(
    options: Options,
    rows: Sequence[Multiplier],
    posted: Posted,
    derived: Sequence[Derived],
    spent: Spent,
    sheet: Sheet,
) -> summary.Figures:
    """Bound, welfare and gap from prices and multipliers; the bound is never below the welfare (design 4.5)."""
    shadow = check_multipliers(options.programmes, rows, spent, sheet)
    welfare = sum(d.welfare_ucny for d in derived)
    bound = dual_bound(options, posted, shadow)
    sheet.hold(bound >= welfare, "certificate", "summary.json", f"bound {bound}", f">= {welfare}", f"不低于 {welfare}")
    return {
        **summary.certificate(welfare, bound),
        "vouchers": summary.vouchers(options.programmes, derived, shadow),
    }


def _spent(awards: Iterable[Award]) -> Spent:
    spent: Spent = defaultdict(int)
    for award in awards:
        if award.programme_id is not None:
            spent[award.programme_id, None] += award.voucher_ucny
            spent[award.programme_id, award.enterprise_id] += award.voucher_ucny
    return dict(spent)


def _left(programmes: Programmes, spent: Spent) -> rejections.Left:
    def left(programme_id: str, enterprise_id: str) -> int | None:
        budget, cap = programmes.budget_left(programme_id), programmes.cap_left(programme_id, enterprise_id)
        rest = [
            None if budget is None else budget - spent.get((programme_id, None), 0),
            None if cap is None else cap - spent.get((programme_id, enterprise_id), 0),
        ]
        return min((amount for amount in rest if amount is not None), default=None)

    return left


def _check_start(book: Book, stated: object, sheet: Sheet) -> None:
    try:
        same = datetime.fromisoformat(str(stated)) == book.start
    except (ValueError, TypeError):  # no instant, or one without an offset
        same = False
    expected = book.start.isoformat()
    sheet.hold(same, "summary", "summary.json:start", stated, expected, expected)


def _plain(value: object) -> object:
    """Turn fractions into floats, for people and for JSON."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return float(value) if isinstance(value, Fraction) else value
