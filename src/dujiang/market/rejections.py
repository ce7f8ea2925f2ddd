"""Why an order was not served: the first reason that applies, at the published prices."""

import numpy as np
import polars as pl

from dujiang.core.money import cny, share_floor
from dujiang.market.arrays import BookArrays
from dujiang.market.dual import prefix
from dujiang.market.engine import Cleared
from dujiang.market.outcome import REJECTION_SCHEMA, Reason
from dujiang.registry.book import Book


class _Case:
    """One rejected order, looked at through the published prices."""

    def __init__(self, a: BookArrays, cleared: Cleared, ask_sum: np.ndarray, price_sum: np.ndarray, j: int) -> None:
        self.compatible = False
        self.fits = False
        self.least_ask: int | None = None
        """Least ask cost less effective limit over all blocks: what the limit lacks, micro-yuan."""
        self.lacks: int | None = None
        """The same at the prices."""
        self.plain_in_money = False
        self.voucher_left = False
        for p in np.flatnonzero(a.slots[j] > 0).tolist():
            self.compatible = True
            self._pool(a, cleared, ask_sum[p], price_sum[p], j, p)

    def _pool(
        self, a: BookArrays, cleared: Cleared, ask_sum: np.ndarray, price_sum: np.ndarray, j: int, p: int
    ) -> None:
        d, gpus = int(a.slots[j, p]), int(a.gpus[j])
        starts = np.arange(a.release[j], a.deadline[j] - d + 1)
        if not starts.size:
            return
        short = np.concatenate([[0], np.cumsum(a.capacity[p] < gpus)])
        starts = starts[short[starts + d] == short[starts]]
        if not starts.size:
            return
        self.fits = True
        ask = gpus * (ask_sum[starts + d] - ask_sum[starts])
        price = gpus * (price_sum[starts + d] - price_sum[starts])
        extra = int(a.carbon[p]) * gpus * d - int(a.bonus[j])
        for k in range(a.limit.shape[2]):
            limit = int(a.limit[j, p, k])
            if limit < 0:
                continue
            self.least_ask = _least(self.least_ask, int(ask.min()) - limit)
            open_ = ask <= limit
            if not open_.any():
                continue
            lack = price[open_] + extra - limit
            self.lacks = _least(self.lacks, int(lack.min()))
            paying = price[open_][lack <= 0]
            if not paying.size:
                continue
            if k == 0:
                self.plain_in_money = True
            else:
                self.voucher_left |= self._affordable(a, cleared, j, p, k, np.minimum(paying, limit))

    @staticmethod
    def _affordable(a: BookArrays, cleared: Cleared, j: int, p: int, k: int, gross: np.ndarray) -> bool:
        """Return whether what is left of budget and cap pays the voucher that any of these blocks needs."""
        least = int(gross.min())
        voucher = min(share_floor(least, int(a.share[j, p, k])), int(a.room[j, k]))
        left = int(cleared.state.budget[k])
        if a.cap[j, k] >= 0:
            left = min(left, int(cleared.state.cap[a.cap[j, k]]))
        return voucher <= left

    def reason(self) -> Reason:
        """Return the first reason that applies."""
        if not self.compatible:
            return Reason.NO_COMPATIBLE_POOL
        if not self.fits:
            return Reason.NO_ROOM
        if self.lacks is None:
            return Reason.LIMIT_BELOW_ASK
        if self.lacks > 0:
            return Reason.LIMIT_BELOW_PRICE
        if not self.plain_in_money and not self.voucher_left:
            return Reason.VOUCHER_EXHAUSTED
        return Reason.PARADOXICAL

    def detail(self, reason: Reason) -> str:
        """Return what would have to change, in figures."""
        if reason is Reason.LIMIT_BELOW_ASK and self.least_ask is not None:
            return f"effective limit lacks {cny(self.least_ask)} CNY of the lowest ask"
        if reason is Reason.LIMIT_BELOW_PRICE and self.lacks is not None:
            return f"effective limit lacks {cny(self.lacks)} CNY of the lowest price"
        return ""


def _least(a: int | None, b: int) -> int:
    return b if a is None else min(a, b)


def rejection_frame(book: Book, a: BookArrays, cleared: Cleared) -> pl.DataFrame:
    """Return one row per order that was not served, by order_id."""
    ask_sum = prefix(a.ask)
    price_sum = prefix(a.ask + cleared.prices.capacity)
    ids = book.orders["order_id"].to_list()
    rows = []
    for j in np.flatnonzero(cleared.state.pool < 0).tolist():
        case = _Case(a, cleared, ask_sum, price_sum, j)
        reason = case.reason()
        rows.append((ids[j], reason.value, case.detail(reason)))
    return pl.DataFrame(rows, schema=REJECTION_SCHEMA, orient="row").sort("order_id")
