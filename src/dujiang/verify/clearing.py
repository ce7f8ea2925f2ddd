"""All rules on the files of a clearing, in the order in which they build on each other (design 4, 9)."""

from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

import numpy as np
import polars as pl

from dujiang.verify import awards as award_rules
from dujiang.verify import prices, rejections, summary
from dujiang.verify.awards import Derived
from dujiang.verify.blocks import Posted, posted
from dujiang.verify.book import Book
from dujiang.verify.cells import Ints
from dujiang.verify.certificate import Spent, check_multipliers, dual_bound
from dujiang.verify.options import Options
from dujiang.verify.rejections import Left
from dujiang.verify.results import Results
from dujiang.verify.sums import exact_sum, sums_by
from dujiang.verify.verdict import Sheet


@dataclass(frozen=True, slots=True)
class _Used:
    """What the awards take."""

    capacity: Ints
    links: Ints
    vouchers: pl.DataFrame
    """Rows of vouchers.parquet with `programme`, `order` and `enterprise` as numbers."""

    def spent(self, options: Options) -> Spent:
        """Return vouchers by programme, and by programme and enterprise, as they stand in the file."""
        rows = self.vouchers
        totals: Spent = {}
        for (k,), mine in rows.partition_by("programme", as_dict=True).items():
            programme_id = options.programmes.ids[k]
            firms = mine["enterprise"].to_numpy()
            by_firm = sums_by(firms, mine["voucher_ucny"].to_numpy(), len(options.book.enterprise_ids))
            totals[programme_id, None] = sum(by_firm)
            for firm in np.unique(firms).tolist():
                totals[programme_id, options.book.enterprise_ids[firm]] = by_firm[firm]
        return totals

    def left(self, options: Options) -> Left:
        """Return what the awards leave."""
        programmes, orders = options.programmes, options.book.orders
        spent = self.spent(options)
        budgets = [programmes.budget_left(name) for name in programmes.ids]
        caps = [programmes.caps_left(k) for k in range(len(programmes.ids))]
        row = {name: number for number, name in enumerate(options.book.enterprise_ids)}
        used = np.zeros((len(orders), len(programmes.ids)), dtype=np.bool_)
        for k, name in enumerate(programmes.ids):
            mine = self.vouchers.filter(pl.col("programme") == k)["order"].to_numpy()
            used[:, k] = np.isin(orders.contract, orders.contract[mine])
            budget, cap = budgets[k], caps[k]
            # What a file overdraws, or draws below zero, is a finding of other rules; here it only must stay in range.
            if budget is not None:
                budgets[k] = max(0, budget - max(0, spent.get((name, None), 0)))
            if cap is not None:
                taken = np.zeros_like(cap)
                for (spent_id, firm), amount in spent.items():
                    if spent_id == name and firm is not None:
                        taken[row[firm]] = min(max(0, amount), int(cap[row[firm]]))
                caps[k] = cap - taken
        return Left(options.capacity - self.capacity, options.link_left - self.links, budgets, caps, used)


def check_clearing(options: Options, given: Results, sheet: Sheet) -> tuple[Derived, Posted] | None:
    """Run every rule on the files of a clearing that they allow.

    Parameters
    ----------
    options : book, programmes and coupling of the round
    given : what could be read of the result
    sheet : takes what is wrong and the figures

    Returns
    -------
    the awards worked out again, and the prices; None where awards, vouchers or prices are missing
    """
    placed = used = links = None
    if given.awards is not None:
        used = award_rules.used_capacity(options, given.awards, sheet)
        if given.rejections is not None:
            award_rules.check_once(options.book, given.awards, given.rejections, sheet)
        placed = award_rules.place(options, given.awards, sheet)
        links = award_rules.used_links(options, placed, sheet)
        placed = award_rules.check_places(options, placed, sheet)
    price = None if given.prices is None else prices.check_prices(options, given.prices, used, sheet)
    toll = None if given.link_prices is None else prices.check_link_prices(options, given.link_prices, links, sheet)
    known = price is not None and toll is not None
    if not known or given.awards is None or given.vouchers is None or placed is None or used is None or links is None:
        return None
    assert price is not None
    assert toll is not None
    rates = posted(options, price, toll)
    parts, rows = award_rules.check_vouchers_file(options.programmes, placed, given.awards, given.vouchers, sheet)
    derived = award_rules.derive(options, placed, parts, rates, sheet)
    award_rules.check_figures(options, derived, rows, sheet)
    award_rules.check_vouchers(options, derived, rows, sheet)
    taken = _Used(used, links, _known_vouchers(options, rows))
    if given.rejections is not None:
        rejections.check_rejections(options, given.rejections, rates, taken.left(options), sheet)
    _check_summary(options, given, derived, rates, taken, sheet)
    return derived, rates


def _known_vouchers(options: Options, rows: pl.DataFrame) -> pl.DataFrame:
    """Return the vouchers of known orders and programmes with all their numbers."""
    orders = options.book.orders
    ids = pl.DataFrame({"order_id": orders.ids, "enterprise": orders.enterprise}).with_row_index("order")
    known = rows.join(ids, on="order_id", how="inner", maintain_order="left").drop_nulls("programme")
    return known.with_columns(pl.col("order", "programme").cast(pl.Int64))


def _check_summary(
    options: Options, given: Results, derived: Derived, rates: Posted, taken: _Used, sheet: Sheet
) -> None:
    figures = {
        **summary.outline(options, derived, given.rejections),
        **summary.centres(options, derived, taken.capacity),
    }
    if given.multipliers is not None:
        figures |= _certificate(options, given.multipliers, rates, derived, taken.spent(options), sheet)
    sheet.figures.update({key: _plain(value) for key, value in figures.items()})
    if given.summary is not None:
        _check_start(options.book, given.summary.get("start"), sheet)
        summary.compare(given.summary, figures, sheet)


def _certificate(
    options: Options, rows: pl.DataFrame, rates: Posted, derived: Derived, spent: Spent, sheet: Sheet
) -> summary.Figures:
    """Bounds, welfare and gaps from prices and multipliers; no bound is below the welfare (design 4.5)."""
    shadows = check_multipliers(options.programmes, rows, spent, sheet)
    welfare = exact_sum(derived.welfare_ucny)
    bounds = [dual_bound(options, rates, shadow) for shadow in shadows]
    for bound in bounds:
        found = f"bound {bound}"
        sheet.hold(bound >= welfare, "certificate", "summary.json", found, f">= {welfare}", f"不低于 {welfare}")
    return {
        **summary.certificate(welfare, *bounds),
        "vouchers": summary.vouchers(options, derived, *shadows),
    }


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
