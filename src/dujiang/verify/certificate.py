"""The dual bounds worked out again: no allocation of the book can have a greater welfare (design 4.5).

With prices lambda above the asks and multipliers l of limited links, m of budgets and n of caps, all at least zero,
each order on its own cannot gain more than its best block at these prices, and capacity, links, budgets and caps cannot
be worth more than their amounts at these prices. The sum of all of it bounds the welfare of every allocation:

    bound = sum lambda gpus + sum l data + sum m budget + sum n cap
          + sum over orders of max(0, max over blocks of
                E - price cost - carbon + bonus - l data - sum over its vouchers of (m + n) v)

where v is the least that a voucher of the block can be, whatever is paid (`amounts.least_vouchers`). A block is a
compatible pool, a start in the window where the pool could hold the order and the link its data if nobody else were
served, and no voucher, one or a set of them, with E at least the ask cost.

The second bound, with multipliers of its own for budgets and caps, has for v what a voucher is where the block pays by
the rule at the published prices, ``max(ask cost, min(price cost, E))``; blocks with a voucher below its minimum are
none. It bounds the welfare of every allocation that pays so.

Everything is summed in whole millionths of a micro-yuan and rounded up once, to a micro-yuan.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from dujiang.verify import amounts
from dujiang.verify.amounts import Exact, Part
from dujiang.verify.blocks import Group, Ladder, Posted, groups, matrices
from dujiang.verify.cells import MICRO, Ints
from dujiang.verify.options import Options
from dujiang.verify.sums import exact_sum
from dujiang.verify.support import Option, Programmes
from dujiang.verify.verdict import Sheet

RUINOUS = 4e24
"""An amount times a rate in ppm beyond which no block gains anything; below it sums fit 64 bits."""
MOST_RATE = 10**12
"""A multiplier counts as no more than this; one that a clearing publishes is far below."""

Flags = npt.NDArray[np.bool_]
Spent = dict[tuple[str, str | None], int]
"""Vouchers by programme, and by programme and enterprise."""


@dataclass(frozen=True, slots=True)
class Shadow:
    """Multipliers of budgets and caps, ppm: welfare that one more yuan of them could add at most."""

    budgets: dict[str, int]
    caps: dict[tuple[str, str], int]
    paid: bool
    """They go with vouchers as paid at the published prices, not with the least that they can be."""

    def rates(self, options: Options) -> Ints:
        """Return [J, K] what a yuan of voucher costs each order, ppm."""
        ids, book = options.programmes.ids, options.book
        rates = np.zeros((len(book.orders), len(ids)), dtype=np.int64)
        row = {name: number for number, name in enumerate(book.enterprise_ids)}
        for k, programme_id in enumerate(ids):
            of_firm = np.zeros(len(book.enterprise_ids), dtype=np.int64)
            for (capped_id, enterprise_id), rate in self.caps.items():
                if capped_id == programme_id:
                    of_firm[row[enterprise_id]] = min(rate, MOST_RATE)
            rates[:, k] = min(self.budgets.get(programme_id, 0), MOST_RATE) + of_firm[book.orders.enterprise]
        return rates


def check_multipliers(programmes: Programmes, rows: pl.DataFrame, spent: Spent, sheet: Sheet) -> tuple[Shadow, Shadow]:
    """Check what was left and used of budgets and caps, and that no multiplier is negative (design 4.5, 9.2).

    Parameters
    ----------
    programmes : of the round
    rows : multipliers.parquet
    spent : vouchers of the awards
    sheet : takes what is wrong

    Returns
    -------
    multipliers of the bound over all allocations, and of the one over those that pay by the rule
    """
    seen: dict[tuple[str, str | None], tuple[int, int]] = {}
    for row in rows.to_dicts():
        key = row["programme_id"], row["enterprise_id"]
        where = f"multipliers.parquet:{key[0]}:{key[1] or ''}"
        left = _left(programmes, *key)
        en, zh = "a budget, or a cap per enterprise, of the round, once", "本轮的预算或企业上限，各一行"
        if not sheet.hold(left is not None and key not in seen, "multipliers", where, key, en, zh):
            continue
        sheet.same("multipliers", f"{where}:left_ucny", row["left_ucny"], left)
        sheet.same("multipliers", f"{where}:used_ucny", row["used_ucny"], spent.get(key, 0))
        for name in ("multiplier_ppm", "multiplier_paid_ppm"):
            sheet.hold(row[name] >= 0, "multipliers", f"{where}:{name}", row[name], "zero or more", "不小于零")
        seen[key] = max(0, row["multiplier_ppm"]), max(0, row["multiplier_paid_ppm"])
    for programme_id, enterprise_id in spent:
        if _left(programmes, programme_id, enterprise_id) is not None:
            where = f"multipliers.parquet:{programme_id}:{enterprise_id or ''}"
            there = (programme_id, enterprise_id) in seen
            sheet.hold(there, "multipliers", where, None, "a row for what was used", "所用预算与上限各一行")
    for programme_id in programmes.by_id:
        if programmes.budget_left(programme_id) is not None:
            where = f"multipliers.parquet:{programme_id}"
            sheet.hold((programme_id, None) in seen, "multipliers", where, None, "a row per budget", "每项预算一行")
    return _shadow(seen, paid=False), _shadow(seen, paid=True)


def _shadow(seen: dict[tuple[str, str | None], tuple[int, int]], *, paid: bool) -> Shadow:
    return Shadow(
        budgets={k: rates[paid] for (k, enterprise_id), rates in seen.items() if enterprise_id is None},
        caps={(k, e): rates[paid] for (k, e), rates in seen.items() if e is not None},
        paid=paid,
    )


def _left(programmes: Programmes, programme_id: str, enterprise_id: str | None) -> int | None:
    if programme_id not in programmes.by_id:
        return None
    if enterprise_id is None:
        return programmes.budget_left(programme_id)
    return programmes.cap_left(programme_id, enterprise_id)


def dual_bound(options: Options, posted: Posted, shadow: Shadow) -> int:
    """Return a dual bound at published prices and multipliers, micro-yuan, rounded up.

    Parameters
    ----------
    options : book, programmes and coupling of the round
    posted : prices and asks
    shadow : multipliers of budgets and caps
    """
    total = MICRO * _scarcity(posted.price - options.ask, options.capacity)
    total += _scarcity(posted.link_price, options.link_left)
    for programme_id, rate in shadow.budgets.items():
        total += rate * (options.programmes.budget_left(programme_id) or 0)
    for (programme_id, enterprise_id), rate in shadow.caps.items():
        total += rate * (options.programmes.cap_left(programme_id, enterprise_id) or 0)
    surplus = Surplus(options, posted, shadow)
    total += MICRO * exact_sum(surplus.whole) - exact_sum(surplus.rest)
    return -(-total // MICRO)


def _scarcity(price: Ints, amount: Ints) -> int:
    """Return what amounts are worth at prices above zero."""
    return sum(p * q for p, q in zip(price.ravel().tolist(), amount.ravel().tolist(), strict=True) if p > 0)


class Surplus:
    """The most that every order can gain at the prices, ``whole - rest / 1e6`` micro-yuan with 0 <= rest < 1e6."""

    def __init__(self, options: Options, posted: Posted, shadow: Shadow) -> None:
        self._options, self._posted, self._paid = options, posted, shadow.paid
        self._rates = shadow.rates(options)
        count = len(options.book.orders)
        self.whole: Exact = np.zeros(count, dtype=posted.price_sum.dtype)
        self.rest: Exact = np.zeros(count, dtype=posted.price_sum.dtype)
        for group in groups(options, posted, np.arange(count), options.capacity):
            self._look(group.pick(group.first <= group.last))

    def _look(self, group: Group) -> None:
        """Look at the blocks of a group that might beat what its orders have."""
        if not group.orders.size:
            return
        book, held = self._options.book.orders, group.held
        gpus = book.gpus[group.orders]
        group = group.pick(Ladder(held, np.maximum).over(group.first, group.last) >= gpus)
        if not group.orders.size:
            return
        lowest = Ladder(group.ask, np.minimum).over(group.first, group.last)
        same_ask = lowest == Ladder(group.ask, np.maximum).over(group.first, group.last)
        fits = Ladder(held, np.minimum).over(group.first, group.last) >= book.gpus[group.orders]
        even = same_ask & fits & ~self._crosses(group)
        price = Ladder(group.price, np.minimum).over(group.first, group.last)
        own = book.limit_ucny[group.orders] - self._options.transfer(group.orders, group.pool)
        for option in self._options.terms.options:
            usable = self._options.may_use(option, group.orders, group.pool)
            rows = np.flatnonzero(usable & self._may_gain(group, option, own, price))
            if rows.size:
                self._try(group.pick(rows), option, even[rows], lowest[rows], price[rows])

    def _may_gain(self, group: Group, option: Option, own: Exact, price: Exact) -> Flags:
        """Return which orders could gain more than they do if vouchers paid their shares in full and cost nothing."""
        options, orders = self._options, group.orders
        share = np.zeros(orders.size)
        for k in option.programmes:
            share += options.terms.share_ppm[options.terms.order_class[orders], k, group.pool] / MICRO
        rest = 1.0 - np.minimum(share, option.ceiling_ppm / MICRO)
        with np.errstate(divide="ignore"):
            most = np.where(rest > 0.0, own.astype(np.float64) / rest * (1.0 + 1e-9) + 1.0, np.inf)
        gpus = options.book.orders.gpus[orders]
        cost = (gpus * price + options.carbon[group.pool] * gpus * group.slots).astype(np.float64)
        gain = most - cost * (1.0 - 1e-9) + options.bonus[orders] + 1.0
        may: Flags = (own > 0) & (gain > 0.0) & (gain >= self.whole[orders].astype(np.float64) * (1.0 - 1e-9))
        return may

    def _crosses(self, group: Group) -> Flags:
        """Return whether the data of orders crosses a limited link."""
        book, p = self._options.book.orders, group.pool
        crosses: Flags = (self._options.route[book.place[group.orders], p] >= 0) & (
            book.data_gb_micro[group.orders] > 0
        )
        return crosses

    def _try(self, group: Group, option: Option, even: Flags, lowest_ask: Exact, lowest_price: Exact) -> None:
        """Try one option: at the cheapest start where all starts are alike but for the price, else at every start."""
        view = _View(self._options, group, option, self._rates)
        reach = view.gain_before_vouchers(view.gpus * lowest_price)
        rows = np.flatnonzero((view.bears >= 0) & (reach > 0) & (reach >= self.whole[group.orders]))
        once = even[rows]
        if self._paid and option.programmes and rows.size:
            # A voucher that misses its minimum at the lowest price may reach it at a higher one, and among several
            # vouchers rounding may make the dearer of two starts the better one.
            once = once & (len(option.programmes) == 1) & view.pick(rows).valid(lowest_ask[rows], lowest_price[rows])
        cheap, all_starts = rows[once], rows[~once]
        if cheap.size:
            self._take(view.orders[cheap], *view.pick(cheap).gains(lowest_ask[cheap], lowest_price[cheap], self._paid))
        if all_starts.size:
            self._everywhere(group.pick(all_starts), view.pick(all_starts))

    def _everywhere(self, group: Group, view: "_View") -> None:
        options, book = self._options, self._options.book.orders
        route = options.route[book.place[group.orders], group.pool]
        data = book.data_gb_micro[group.orders]
        for some, starts, inside in matrices(group, group.last):
            rows = some[:, None]
            open_ = inside & (group.held[starts] >= book.gpus[group.orders][rows])
            part = view.pick(rows)
            whole, rest = part.gains(group.ask[starts], group.price[starts], self._paid)
            crossing = np.flatnonzero(route[some] >= 0)
            if crossing.size:
                link, moved = route[some][crossing][:, None], data[some][crossing][:, None]
                at = starts[crossing]
                open_[crossing] &= moved <= options.link_left[link, at]
                toll, small, ruinous = _burden(moved, self._posted.link_price[link, at])
                whole[crossing], rest[crossing] = _less(whole[crossing], rest[crossing], toll, small)
                open_[crossing] &= ~ruinous
            whole = np.where(open_, whole, -1)
            best = np.argmax(whole, axis=1)
            most = whole[np.arange(len(some)), best]
            # Of the starts that are best in whole micro-yuan the one with the least taken off below.
            rest = np.where(whole == most[:, None], rest, MICRO).min(axis=1)
            self._take(group.orders[some], most, rest)

    def _take(self, orders: Ints, whole: Exact, rest: Exact) -> None:
        """Keep what is better than what the orders have."""
        before, below = self.whole[orders], self.rest[orders]
        better = (whole > 0) & ((whole > before) | ((whole == before) & (rest < below)))
        self.whole[orders[better]], self.rest[orders[better]] = whole[better], rest[better]


class _View:
    """Orders of a group with one option: what they bear and what vouchers cost them. Arrays have one entry each."""

    def __init__(self, options: Options, group: Group, option: Option, rates: Ints) -> None:
        book, self.orders = options.book.orders, group.orders
        self.gpus: Exact = book.gpus[self.orders]
        self.ceiling = option.ceiling_ppm
        self.parts: Sequence[Part] = options.parts(option, self.orders, group.pool)
        self.rates = [rates[self.orders, k] for k in option.programmes]
        own = book.limit_ucny[self.orders] - options.transfer(self.orders, group.pool)
        self.bears = amounts.effective_limit(own, self.parts, self.ceiling)
        self.fixed = options.bonus[self.orders] - options.carbon[group.pool] * self.gpus * group.slots

    def pick(self, rows: Ints) -> "_View":
        """Return some of the orders, or a matrix with one column of them."""
        view = object.__new__(_View)
        view.ceiling = self.ceiling
        view.orders, view.gpus, view.bears, view.fixed = (
            array[rows] for array in (self.orders, self.gpus, self.bears, self.fixed)
        )
        view.parts = [part[rows] for part in self.parts]
        view.rates = [rate[rows] for rate in self.rates]
        return view

    def gain_before_vouchers(self, price: Exact) -> Exact:
        """Return what blocks gain before vouchers and links are counted, micro-yuan."""
        gain: Exact = self.bears - price + self.fixed
        return gain

    def valid(self, ask: Exact, price: Exact) -> Flags | bool:
        """Return whether all vouchers are valid at what blocks at these rates pay; rates are per accelerator."""
        paid = amounts.vouchers(self._gross(ask, price), self.parts, self.ceiling)
        return amounts.are_valid(paid, self.parts)

    def _gross(self, ask: Exact, price: Exact) -> Exact:
        gross: Exact = np.maximum(self.gpus * ask, np.minimum(self.gpus * price, self.bears))
        return gross

    def gains(self, ask: Exact, price: Exact, paid: bool) -> tuple[Exact, Exact]:
        """Return what blocks gain, whole and rest; whole -1 where they are not open. Rates are per accelerator."""
        whole = self.gain_before_vouchers(self.gpus * price)
        open_ = (self.bears >= self.gpus * ask) & (whole > 0)
        rest = np.zeros_like(whole)
        if self.parts:
            if paid:
                drawn = amounts.vouchers(self._gross(ask, price), self.parts, self.ceiling)
                open_ = open_ & amounts.are_valid(drawn, self.parts)
            else:
                drawn = amounts.least_vouchers(self.gpus * ask, self.parts, self.ceiling)
            for amount, rate in zip(drawn, self.rates, strict=True):
                burden, small, ruinous = _burden(amount, rate)
                whole, rest = _less(whole, rest, burden, small)
                open_ = open_ & ~ruinous
        return np.where(open_, whole, -1), rest


def _burden(amount: Exact, rate: Exact) -> tuple[Exact, Exact, Flags]:
    """Return what amounts cost at rates in ppm, whole and rest, and where that is ruinous."""
    small = amount % MICRO * rate
    ruinous: Flags = amount.astype(np.float64) * rate.astype(np.float64) > RUINOUS
    return amount // MICRO * rate + small // MICRO, small % MICRO, ruinous


def _less(whole: Exact, rest: Exact, burden: Exact, small: Exact) -> tuple[Exact, Exact]:
    """Take a burden off a gain."""
    rest = rest + small
    return whole - burden - rest // MICRO, rest % MICRO
