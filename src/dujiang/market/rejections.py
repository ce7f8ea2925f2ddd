"""Why orders were not served, and what would have been enough.

**Reason.** The first that applies, looking at all blocks in the order's window (`causes.search` goes up this chain):

1. `no_compatible_pool`: there is no block at all;
2. `no_room`: none that its pool could hold, and whose link could carry its data, even if nobody else were served;
3. `limit_below_ask`: of those none whose ask cost A an effective limit E reaches, with or without vouchers;
4. `limit_below_price`: of those none with E >= P + carbon term - bonus, P being its cost at the published prices, whose
   vouchers reach what their programmes pay at least at the payment that would follow, max(A, min(P, E));
5. `voucher_exhausted`: of those none whose vouchers the budgets and caps that are left still pay in full, its contract
   not having used the programme; a block without vouchers needs none;
6. `link_full`: of those none whose link has room left for its data in its first slot, at a multiplier that leaves the
   block no loss;
7. `paradoxical`: there are such blocks, and other awards stand in all of them, or in part of them (design 4.6 e).

**Enough.** What would have let the order in had it come last, at the published prices and with what the round left: in
a block that is still free (accelerators in every slot, its link in the first), with vouchers that are left.

* `enough_limit_ucny`: the least limit with which it pays the price of such a block in its window; with that limit it
  pays exactly P, the vouchers that follow are valid and paid from what is left, and it gains P at least. Null where no
  block is free, or only a limit above one billion yuan, the most that a book can state, would be enough.
* `enough_deadline`: the least deadline, within the round, by which such a block ends that its own limit pays. Null
  where there is none.

Neither counts the bonus for small firms, which makes less enough, nor a discount below the price: the promise is to pay
the price in full. Both are about this one order after all others; they do not say what another round would do.
"""

import numpy as np
import numpy.typing as npt
import polars as pl

from dujiang.market.arrays import BookArrays
from dujiang.market.causes import NOTHING, TASK_ORDERS, search
from dujiang.market.outcome import REJECTION_SCHEMA, Reason
from dujiang.market.state import State, prefix_sums
from dujiang.registry.book import Book

Int = npt.NDArray[np.int64]

STAGES = (
    Reason.NO_COMPATIBLE_POOL,
    Reason.NO_ROOM,
    Reason.LIMIT_BELOW_ASK,
    Reason.LIMIT_BELOW_PRICE,
    Reason.VOUCHER_EXHAUSTED,
    Reason.LINK_FULL,
    Reason.PARADOXICAL,
)
"""Reason by how far an order came, see `causes`."""

_CAUSE = {
    Reason.NO_COMPATIBLE_POOL: (
        "No pool has the accelerator, stack, region, link and round-trip time asked for.",
        "没有资源池满足所要求的加速卡、软件栈、区域、链路与时延。",
    ),
    Reason.NO_ROOM: (
        "No compatible pool could hold it inside its window, even with nobody else served.",
        "即使没有其他订单，兼容的资源池在其时间窗内也容纳不下。",
    ),
    Reason.LIMIT_BELOW_ASK: (
        "With its limit and vouchers it stays below the reserve price of every block it could use.",
        "其限价连同可用的券，低于所有可用时段的保留价。",
    ),
    Reason.LIMIT_BELOW_PRICE: (
        "With its limit and vouchers it stays below the published price of every block it could use.",
        "其限价连同可用的券，低于所有可用时段的成交价。",
    ),
    Reason.VOUCHER_EXHAUSTED: (
        "It could pay only with vouchers of which too little is left.",
        "只有用券才付得起，而券的余额不足。",
    ),
    Reason.LINK_FULL: (
        "Wherever it could pay, the link for its data is full, or dearer than what the block gains.",
        "付得起之处，其数据所经链路已满，或链路影子价格超过所得。",
    ),
    Reason.PARADOXICAL: (
        "It could pay the price, but indivisible blocks leave no place for it.",
        "付得起成交价，但整块时段已无处可排。",
    ),
}


def place_fits(a: BookArrays) -> npt.NDArray[np.bool_]:
    """Return [R, P]: whether orders of a place row may use a pool."""
    fits = np.zeros(a.tariff.shape, dtype=np.bool_)
    fits[np.repeat(np.arange(len(a.place_first) - 1), np.diff(a.place_first)), a.place_pool] = True
    return fits


def _tasks(a: BookArrays, rows: Int) -> tuple[Int, Int]:
    """Return the rows by shape and where tasks begin in them; long and short tasks alternate between two halves.

    Threads take runs of tasks; without the alternation one of them would get all the large shapes.
    """
    rows = rows[np.argsort(a.shape[rows], kind="stable")]
    shape = a.shape[rows]
    begins = np.flatnonzero(np.diff(shape, prepend=-1))
    sizes = np.diff(np.append(begins, rows.size))
    pieces = -(-sizes // TASK_ORDERS)
    offset = np.arange(int(pieces.sum())) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    begin = np.repeat(begins, pieces) + offset * TASK_ORDERS
    size = np.minimum(TASK_ORDERS, np.repeat(sizes, pieces) - offset * TASK_ORDERS)
    rank = np.argsort(-size, kind="stable")
    rank = np.concatenate([rank[0::2], rank[1::2]])
    first = np.concatenate([[0], np.cumsum(size[rank])])
    spread = np.repeat(begin[rank] - first[:-1], size[rank]) + np.arange(rows.size)
    return rows[spread], first


def _decimal(column: str) -> pl.Expr:
    """Write whole micro-yuan, not negative, as yuan, as `core.money.cny` does."""
    whole, micro = pl.col(column) // 1_000_000, pl.col(column) % 1_000_000
    places = micro.cast(pl.String).str.zfill(6).str.strip_chars_end("0").str.pad_end(2, "0")
    return pl.concat_str(whole.cast(pl.String), pl.lit("."), places)


def _hint() -> tuple[pl.Expr, pl.Expr]:
    """Say what would have been enough, in English and in Chinese."""
    limit, slot = _decimal("enough_limit_ucny"), pl.col("enough_deadline").cast(pl.String)
    by_limit, by_slot = pl.col("enough_limit_ucny").is_not_null(), pl.col("enough_deadline").is_not_null()
    at_hand = (pl.col("enough_limit_ucny") <= pl.col("limit_ucny")).fill_null(value=False)
    nothing = pl.col("reason") == Reason.NO_COMPATIBLE_POOL.value
    en = (
        pl.when(at_hand)
        .then(pl.lit(" A block that it can pay for is still free; serving it adds no welfare, or was not found."))
        .when(by_limit & by_slot)
        .then(pl.concat_str(pl.lit(" A limit of "), limit, pl.lit(" CNY, or a deadline at slot "), slot, _ENOUGH_EN))
        .when(by_limit)
        .then(pl.concat_str(pl.lit(" A limit of "), limit, pl.lit(" CNY"), _ENOUGH_EN))
        .when(by_slot)
        .then(pl.concat_str(pl.lit(" A deadline at slot "), slot, _ENOUGH_EN))
        .when(nothing)
        .then(pl.lit(""))
        .otherwise(pl.lit(" No limit and no later deadline would have been enough."))
    )
    zh = (
        pl.when(at_hand)
        .then(pl.lit("仍有其付得起的空闲时段；安排它不增加福利，或未被找到。"))
        .when(by_limit & by_slot)
        .then(pl.concat_str(pl.lit("限价"), limit, pl.lit("元，或截止时段"), slot, _ENOUGH_ZH))
        .when(by_limit)
        .then(pl.concat_str(pl.lit("限价"), limit, pl.lit("元"), _ENOUGH_ZH))
        .when(by_slot)
        .then(pl.concat_str(pl.lit("截止时段"), slot, _ENOUGH_ZH))
        .when(nothing)
        .then(pl.lit(""))
        .otherwise(pl.lit("提高限价或推迟截止均不足以中标。"))
    )
    return en, zh


_ENOUGH_EN = pl.lit(" would have been enough.")
_ENOUGH_ZH = pl.lit("即足够。")


def rejection_frame(book: Book, a: BookArrays, state: State, capacity_price: Int, link_price: Int) -> pl.DataFrame:
    """Return one row per order that was not served, by order_id.

    Parameters
    ----------
    book, a : the book, and its arrays
    state : awards and what they leave
    capacity_price : [P, T] prices above the ask, micro-yuan per GPU-hour
    link_price : [L, T] multipliers of limited links, micro-yuan per GB
    """
    rows, first = _tasks(a, np.flatnonzero(state.pool < 0))
    asks, prices = prefix_sums(a.ask), prefix_sums(a.ask + capacity_price)
    stage, limit, deadline = search(a, state, link_price, asks, prices, place_fits(a), rows, first)
    orders = book.orders.select("order_id", "limit_ucny")[rows]
    frame = orders.with_columns(
        pl.Series([stage_.value for stage_ in STAGES]).gather(stage).alias("reason"),
        enough_limit_ucny=pl.Series(limit),
        enough_deadline=pl.Series(deadline),
    )
    frame = frame.with_columns(pl.col("enough_limit_ucny", "enough_deadline").replace(NOTHING, None)).sort("order_id")
    en, zh = _hint()
    causes = [{cause.value: text[i] for cause, text in _CAUSE.items()} for i in (0, 1)]
    reason = pl.col("reason")
    return frame.select(
        "order_id",
        "reason",
        "enough_limit_ucny",
        "enough_deadline",
        detail=pl.concat_str(reason.replace_strict(causes[0], return_dtype=pl.String), en),
        detail_zh=pl.concat_str(reason.replace_strict(causes[1], return_dtype=pl.String), zh),
    ).cast(dict(REJECTION_SCHEMA))  # type: ignore[arg-type]
