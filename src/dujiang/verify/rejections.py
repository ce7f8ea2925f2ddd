"""Why orders were not served, and what would have been enough, told again from the files (design 4.5, 4.6 e).

The reasons form a chain, the first that applies counts: no compatible pool; no room in the window; limit below the ask;
limit below the price; voucher exhausted; link full; paradoxical.

What would have been enough looks at the blocks that are still free after the round. A limit is enough if with it the
effective limit reaches the price (and the carbon term beside it, as far as no bonus pays for it), with vouchers that
are valid at the price and still paid from what is left, or with none. The least such limit over the order's window is
`enough_limit_ucny`; the least deadline by which such a block for the order's own limit ends is `enough_deadline`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from dujiang.verify import amounts
from dujiang.verify.amounts import Exact, Part
from dujiang.verify.blocks import Group, Ladder, Posted, groups, matrices
from dujiang.verify.cells import LARGEST, MICRO, Ints
from dujiang.verify.options import Options
from dujiang.verify.support import Option
from dujiang.verify.verdict import Sheet

REASONS = (
    *("no_compatible_pool", "no_room", "limit_below_ask", "limit_below_price"),
    *("voucher_exhausted", "link_full", "paradoxical"),
)
"""By how far an order comes."""
COMPATIBLE, FITS, BEARS_ASK, BEARS_PRICE, FUNDED, CARRIED = range(1, 7)
NOTHING = 2**62
"""No limit, or no deadline, is enough."""

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Left:
    """What a round leaves."""

    capacity: Ints
    """[P, T] accelerators."""
    links: Ints
    """[L, T] millionths of a GB."""
    budgets: list[int | None]
    """By programme, micro-yuan; None: without limit."""
    caps: list[Ints | None]
    """By programme, of every enterprise."""
    used: Flags
    """[J, K] the order's contract has used the programme."""


def check_rejections(options: Options, rejections: pl.DataFrame, posted: Posted, left: Left, sheet: Sheet) -> None:
    """Check the reason of every rejection, and what it says would have been enough (design 4.5).

    Parameters
    ----------
    options : book, programmes and coupling of the round
    rejections : rows to check
    posted : prices and asks
    left : what the round leaves
    sheet : takes what is wrong
    """
    ids = options.book.orders.ids.rename("order_id").to_frame().with_row_index("order")
    known = rejections.join(ids, on="order_id", how="inner", maintain_order="left").unique(
        "order_id", keep="first", maintain_order=True
    )
    orders = known["order"].cast(pl.Int64).to_numpy()
    search = Search(options, posted, left, orders)
    reasons = pl.Series(REASONS).gather(search.stage[orders])
    sheet.same_rows("reason", _places(known["order_id"]), known["reason"], reasons)
    for name, least in (("enough_limit_ucny", search.limit), ("enough_deadline", search.deadline)):
        mine = pl.Series(least[orders].astype(np.int64))
        expected = pl.select(pl.when(mine < NOTHING).then(mine)).to_series()
        sheet.same_rows("enough", _places(known["order_id"], f":{name}"), known[name], expected)


def _places(order_ids: pl.Series, column: str = "") -> Callable[[int], str]:
    return lambda row: f"rejections.parquet:{order_ids[row]}{column}"


class Search:
    """How far each of some orders comes, and what would have been enough, by row of the book."""

    def __init__(self, options: Options, posted: Posted, left: Left, orders: Ints) -> None:
        self._options, self._posted, self._left = options, posted, left
        book = options.book.orders
        count = len(book)
        self.stage = np.where(options.fits[book.place].any(axis=1), COMPATIBLE, 0)
        self.limit: Exact = np.full(count, NOTHING, dtype=posted.price_sum.dtype)
        self.deadline = np.full(count, NOTHING, dtype=np.int64)
        self._greatest = self._greatest_shares()
        self._relief = self._reliefs(orders)
        for group in groups(options, posted, orders, options.capacity):
            waiting = (group.first <= group.last) & (self.stage[group.orders] < CARRIED)
            self._reach(group.pick(waiting))
        for group in groups(options, posted, orders, left.capacity):
            group = self._still_free(group)
            if group.orders.size:
                view = _View(options, group, with_limits=False)
                self._enough_limit(group, view)
                self._enough_deadline(group, view)

    def _greatest_shares(self) -> Ints:
        """Return [classes, P] the greatest share that vouchers can bear together, ppm."""
        terms = self._options.terms
        greatest = np.zeros((terms.share_ppm.shape[0], terms.share_ppm.shape[2]), dtype=np.int64)
        for option in terms.options[1:]:
            together = terms.share_ppm[:, list(option.programmes)].sum(axis=1)
            greatest = np.maximum(greatest, np.minimum(together, option.ceiling_ppm))
        return greatest

    def _reliefs(self, orders: Ints) -> Ints:
        """Return [J] the most that vouchers can still pay for each of some orders, whatever it costs; 0 for others."""
        terms, left, book = self._options.terms, self._left, self._options.book.orders
        somewhere: Flags = np.asarray((terms.share_ppm > 0).any(axis=2))
        open_ = somewhere[terms.order_class[orders]] & ~left.used[orders]
        most = np.where(open_, terms.room_ucny[orders], 0)
        for k, (budget, caps) in enumerate(zip(left.budgets, left.caps, strict=True)):
            if budget is not None:
                most[:, k] = np.minimum(most[:, k], budget)
            if caps is not None:
                most[:, k] = np.minimum(most[:, k], caps[book.enterprise[orders]])
        relief = np.zeros(len(book), dtype=np.int64)
        for option in terms.options[1:]:
            chosen = most[:, list(option.programmes)]
            together = np.where((chosen > 0).all(axis=1), np.minimum(chosen, NOTHING // 4).sum(axis=1), 0)
            together = np.where(book.max_vouchers[orders] >= len(option.programmes), together, 0)
            relief[orders] = np.maximum(relief[orders], together)
        return relief

    # -- reasons -----------------------------------------------------------------------------------------------------

    def _reach(self, group: Group) -> None:
        """Take orders as far as the blocks of a group go, were nobody else served and prices as they are."""
        book = self._options.book.orders
        if group.orders.size:
            most = Ladder(group.held, np.maximum).over(group.first, group.last)
            group = group.pick(most >= book.gpus[group.orders])
        if not group.orders.size:
            return
        view = _View(self._options, group)
        lowest = view.gpus * Ladder(group.ask, np.minimum).over(group.first, group.last)
        wanted = view.gpus * Ladder(group.price, np.minimum).over(group.first, group.last) + view.extra
        stage = self.stage[group.orders]
        highest = view.bears.max(axis=0)
        promising = (stage < FITS) | (highest >= np.where(stage < BEARS_ASK, lowest, np.maximum(lowest, wanted)))
        group = group.pick(promising)
        view = view.pick(promising)
        for some, starts, inside in matrices(group, group.last):
            reached = self._stages(group, view.pick(some), some, starts, inside)
            orders = group.orders[some]
            self.stage[orders] = np.maximum(self.stage[orders], reached.max(axis=1, initial=0))

    def _stages(self, group: Group, view: "_View", some: Ints, starts: Ints, inside: Flags) -> Ints:
        """Return [orders, starts] how far each block takes its order."""
        ask, price = view.gpus[:, None] * group.ask[starts], view.gpus[:, None] * group.price[starts]
        fits = inside & (group.held[starts] >= view.gpus[:, None])
        fits &= self._carried(view, starts, self._options.link_left)
        stage = np.where(fits, FITS, COMPATIBLE)
        for number, option in enumerate(self._options.terms.options):
            bears = view.bears[number][:, None]
            bearing = fits & (bears >= ask)
            if not bearing.any():
                continue
            stage = np.where(bearing, np.maximum(stage, BEARS_ASK), stage)
            gain = bears - price - view.extra[:, None]
            paid = amounts.vouchers(np.maximum(ask, np.minimum(price, bears)), view.columns(option), option.ceiling_ppm)
            paying = bearing & (gain >= 0) & amounts.are_valid(paid, view.columns(option))
            stage = np.where(paying, np.maximum(stage, BEARS_PRICE), stage)
            funded = paying & self._funded(option, group.orders[some], paid)
            stage = np.where(funded, np.maximum(stage, FUNDED), stage)
            stage = np.where(funded & self._gains_over_link(view, starts, gain), CARRIED, stage)
        return stage

    def _carried(self, view: "_View", starts: Ints, left: Ints) -> Flags:
        """Return whether links have room for the data of blocks."""
        carried = np.ones(starts.shape, dtype=np.bool_)
        rows = np.flatnonzero(view.route >= 0)
        carried[rows] = view.data[rows][:, None] <= left[view.route[rows][:, None], starts[rows]]
        return carried

    def _gains_over_link(self, view: "_View", starts: Ints, gain: Exact) -> Flags:
        """Return whether links have room left, and blocks still gain at their multipliers."""
        carried = self._carried(view, starts, self._left.links)
        rows = np.flatnonzero((view.route >= 0) & (view.data > 0))
        if rows.size:
            rate = self._posted.link_price[view.route[rows][:, None], starts[rows]]
            data = view.data[rows][:, None]
            reach = (int(rate.max(initial=0)) + 1) * (int(data.max()) + 1)
            toll = -(-amounts.exact(data, reach) * rate // MICRO)
            carried[rows] &= toll <= gain[rows]
        return carried

    def _funded(self, option: Option, orders: Ints, paid: Sequence[Exact]) -> Flags:
        """Return whether what is left pays vouchers, [orders, blocks] or [orders]."""
        funded = np.ones(paid[0].shape if paid else (1, 1), dtype=np.bool_)
        firms = self._options.book.orders.enterprise[orders]
        for k, amount in zip(option.programmes, paid, strict=True):
            budget, caps = self._left.budgets[k], self._left.caps[k]
            if budget is not None:
                funded &= amount <= budget
            if caps is not None:
                funded &= amount <= caps[firms][:, None]
            funded &= ~self._left.used[orders, k][:, None]
        return funded

    # -- what would have been enough ---------------------------------------------------------------------------------

    def _still_free(self, group: Group) -> Group:
        """Return the group without the orders of which no block is free."""
        most = Ladder(group.held, np.maximum).over(group.first, np.full_like(group.first, len(group.held) - 1))
        return group.pick(most >= self._options.book.orders.gpus[group.orders])

    def _enough_limit(self, group: Group, view: "_View") -> None:
        rows = np.flatnonzero(group.first <= group.last)
        rows = rows[self._promising(group, view, rows, group.last, self.limit)]
        group, view = group.pick(rows), view.pick(rows)
        for some, starts, inside in matrices(group, group.last):
            orders, part = group.orders[some], view.pick(some)
            free = self._free(group, part, starts, inside)
            price = np.where(free, part.gpus[:, None] * group.price[starts], NOTHING)
            # The cheapest first: where no voucher is left it says it all, elsewhere it rules out most of the others.
            at = np.argmin(price, axis=1)
            row = np.flatnonzero(free.any(axis=1))
            cheapest = price[row, at[row]]
            self._take_limit(orders[row], self._need(group.pool, part.pick(row), cheapest))
            lowest = price.min(axis=1)
            better = self._least_need(group.pool, part, price) < self.limit[orders].astype(np.float64)[:, None]
            row, column = np.nonzero(free & better & (price != lowest[:, None]))
            self._take_limit(orders[row], self._need(group.pool, part.pick(row), price[row, column]))

    def _take_limit(self, orders: Ints, need: Exact) -> None:
        if self.limit.dtype == object:
            for j, least in zip(orders.tolist(), need.tolist(), strict=True):
                self.limit[j] = min(self.limit[j], least)
        else:
            np.minimum.at(self.limit, orders, need)

    def _enough_deadline(self, group: Group, view: "_View") -> None:
        limit = self._options.book.orders.limit_ucny
        last = np.minimum(len(group.held) - 1, self.deadline[group.orders] - 1 - group.slots)
        rows = np.flatnonzero(last >= group.first)
        rows = rows[self._promising(group, view, rows, last, limit)]
        group, view, last = group.pick(rows), view.pick(rows), last[rows]
        for some, starts, inside in matrices(group, last):
            orders, part = group.orders[some], view.pick(some)
            price = part.gpus[:, None] * group.price[starts]
            free = self._free(group, part, starts, inside)
            free &= self._least_need(group.pool, part, price) <= limit[orders][:, None]
            row, column = np.nonzero(free)
            need = self._need(group.pool, part.pick(row), price[row, column])
            enough = np.asarray(need <= limit[orders[row]], dtype=np.bool_)
            np.minimum.at(self.deadline, orders[row[enough]], starts[row, column][enough] + group.slots)

    def _promising(self, group: Group, view: "_View", rows: Ints, last: Ints, most: Exact) -> Flags:
        """Return of which rows some block up to a last start is free, and may be paid with a limit up to some."""
        if not rows.size:
            return np.zeros(0, dtype=np.bool_)
        orders, window = group.orders[rows], (group.first[rows], last[rows])
        free = Ladder(group.held, np.maximum).over(*window) >= self._options.book.orders.gpus[orders]
        part = view.pick(rows)
        price = part.gpus * Ladder(group.price, np.minimum).over(*window)
        cheap: Flags = self._least_need(group.pool, part, price[:, None])[:, 0] <= most[orders].astype(np.float64)
        return free & cheap

    def _free(self, group: Group, view: "_View", starts: Ints, inside: Flags) -> Flags:
        """Return [orders, starts] which blocks are free."""
        held: Flags = group.held[starts] >= view.gpus[:, None]
        return inside & held & self._carried(view, starts, self._left.links)

    def _least_need(self, pool: int, view: "_View", price: Exact) -> npt.NDArray[np.float64]:
        """Return [orders, blocks] what no limit that pays these prices, or higher ones, is below."""
        share = self._greatest[self._options.terms.order_class[view.orders], pool] / MICRO
        target = (price + np.maximum(view.extra, 0)[:, None]).astype(np.float64)
        relief = self._relief[view.orders].astype(np.float64)[:, None]
        least = np.maximum(target * (1.0 - share)[:, None] * (1.0 - 1e-9), price.astype(np.float64) - relief) - 1.0
        total: npt.NDArray[np.float64] = least + view.transfer.astype(np.float64)[:, None]
        return total

    def _need(self, pool: int, view: "_View", price: Exact) -> Exact:
        """Return the least limit that pays a price, one for each entry of a view; NOTHING where none does."""
        target = price + np.maximum(view.extra, 0)
        least = target.copy()
        for option in self._options.terms.options[1:]:
            rows = np.flatnonzero(self._options.may_use(option, view.orders, pool) & (self._relief[view.orders] > 0))
            if not rows.size:
                continue
            parts = self._options.parts(option, view.orders[rows], pool)
            own = np.maximum(amounts.own_means(target[rows], parts, option.ceiling_ppm), 1)
            paid = amounts.vouchers(price[rows], parts, option.ceiling_ppm)
            open_ = amounts.are_valid(paid, parts) & (own < least[rows])
            open_ &= self._funded(option, view.orders[rows], [amount[:, None] for amount in paid])[:, 0]
            if len(parts) > 1:  # rounding alone may leave a voucher below its minimum
                open_ &= amounts.effective_limit(own, parts, option.ceiling_ppm) >= target[rows]
            least[rows[open_]] = own[open_]
        need = np.maximum(least, 1) + view.transfer
        return np.where(need <= LARGEST, need, NOTHING)


class _View:
    """Orders of a group: what they bear there with every option. Arrays have one entry for each order."""

    def __init__(self, options: Options, group: Group, *, with_limits: bool = True) -> None:
        book, orders, p = options.book.orders, group.orders, group.pool
        self._options, self._pool = options, p
        self.orders = orders
        self.gpus: Exact = book.gpus[orders]
        self.data = book.data_gb_micro[orders]
        self.route = options.route[book.place[orders], p]
        self.transfer = options.transfer(orders, p)
        self.extra: Exact = options.carbon[p] * self.gpus * group.slots - options.bonus[orders]
        """What a block must bring beside its price, micro-yuan."""
        own = book.limit_ucny[orders] - self.transfer
        bears: list[Exact] = []
        for option in options.terms.options if with_limits else ():
            limit = amounts.effective_limit(own, options.parts(option, orders, p), option.ceiling_ppm)
            bears.append(np.where(options.may_use(option, orders, p), limit, amounts.CLOSED))
        self.bears: Exact = np.stack(bears) if bears else np.zeros((0, orders.size), dtype=np.int64)
        """[options, orders] effective limits, micro-yuan."""

    def pick(self, rows: Ints | Flags) -> "_View":
        """Return some of the orders, or an order as often as it is named."""
        view = object.__new__(_View)
        view._options, view._pool = self._options, self._pool
        view.orders, view.gpus, view.data, view.route, view.transfer, view.extra = (
            array[rows] for array in (self.orders, self.gpus, self.data, self.route, self.transfer, self.extra)
        )
        view.bears = self.bears[:, rows]
        return view

    def columns(self, option: Option) -> list[Part]:
        """Return the vouchers of an option, one column over all blocks of each order."""
        return [part[:, None] for part in self._options.parts(option, self.orders, self._pool)]
