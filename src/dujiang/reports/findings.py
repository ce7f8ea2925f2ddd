"""The figures behind a report: aggregates of a book, an outcome and a metering, small whatever the book's size.

No order and no enterprise is named anywhere in what this module returns, so a report can be handed on (design 9.5).
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import polars as pl

from dujiang.core.slots import SHANGHAI, ceil_div, slot_instant
from dujiang.market.outcome import Coupling, Outcome
from dujiang.registry.book import Book
from dujiang.reports.data import ReportData
from dujiang.reports.words import SIZE_BANDS

HOURS_SHOWN = 240
"""Columns of a price chart at most; longer rounds are averaged over several hours."""

GPU_HOURS = pl.col("gpus") * pl.col("hours_micro") / 1e6
"""True run time times accelerators; a float, for show only."""


class Need(StrEnum):
    """What an award's voucher did, judged in the pool and hours in which the award runs, at the published prices."""

    BELOW_ASK = "below_ask"
    """Without it the order could not have paid the reserve price: it would not have run there at any price."""
    BELOW_PRICE = "below_price"
    """Without it the order could have paid the reserve price, but not the price of the round."""
    NOT_NEEDED = "not_needed"
    """The order could have paid the full price by itself: the voucher moved nothing."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The two outcomes in the order in which they are told."""

    before: Outcome | None
    after: Outcome

    @classmethod
    def of(cls, data: ReportData) -> "Pair":
        """Put the isolated outcome first, whichever of the two is the main one."""
        if data.other is None:
            return cls(None, data.outcome)
        if coupling(data.outcome) is Coupling.ISOLATED and coupling(data.other) is not Coupling.ISOLATED:
            return cls(data.outcome, data.other)
        return cls(data.other, data.outcome)


def coupling(outcome: Outcome) -> Coupling:
    """Return the coupling under which an outcome was cleared."""
    return Coupling(outcome.summary.get("coupling", Coupling.FULL))


def money_paid(outcome: Outcome) -> dict[str, int]:
    """Sum gross, transfer, voucher and net over all awards, micro-yuan."""
    names = ("gross_ucny", "transfer_ucny", "voucher_ucny", "net_ucny")
    return {name: int(outcome.awards[name].sum()) for name in names}


def centre_use(book: Book, outcome: Outcome) -> pl.DataFrame:
    """Return what each centre offered, sold and earned.

    Returns
    -------
    one row per centre, largest offer first: `centre_id`, `region`, `offered` and `used` (GPU-slots), `utilisation`
    (null where nothing was offered), `income_ucny`
    """
    hours = (
        outcome.prices.join(book.pools.select("pool_id", "centre_id"), on="pool_id")
        .group_by("centre_id")
        .agg(
            (pl.col("gpus_free") + pl.col("gpus_used")).sum().alias("offered"), pl.col("gpus_used").sum().alias("used")
        )
    )
    income = outcome.awards.group_by("centre_id").agg(pl.col("gross_ucny").sum().alias("income_ucny"))
    return (
        book.centres.select("centre_id", "region")
        .join(hours, on="centre_id", how="left")
        .join(income, on="centre_id", how="left")
        .with_columns(pl.col("offered", "used", "income_ucny").fill_null(0))
        .with_columns(pl.when(pl.col("offered") > 0).then(pl.col("used") / pl.col("offered")).alias("utilisation"))
        .sort(["offered", "centre_id"], descending=[True, False])
    )


def hour_width(book: Book) -> int:
    """Return how many slots one column of a price chart covers."""
    return max(1, ceil_div(book.slots, HOURS_SHOWN))


def _weighted(column: str) -> pl.Expr:
    """Mean over the accelerators offered; null where none was."""
    weight = pl.col("gpus_free") + pl.col("gpus_used")
    return pl.when(weight.sum() > 0).then((pl.col(column) * weight).sum() / weight.sum() / 1e6).alias(column)


def hourly_prices(book: Book, outcome: Outcome, by: str) -> pl.DataFrame:
    """Return prices over time, weighted by the accelerators offered.

    Parameters
    ----------
    by : `pool_id` or `accelerator`

    Returns
    -------
    rows by (`by`, `slot`): `slot` (first of its column), `ucny_per_gpu_hour` and `ask_ucny_per_gpu_hour` (in yuan as
    floats, null where nothing was offered), `busy` (share of the accelerators offered that are used)
    """
    width = hour_width(book)
    used, free = pl.col("gpus_used").sum(), pl.col("gpus_free").sum()
    return (
        outcome.prices.join(book.pools.select("pool_id", "accelerator"), on="pool_id")
        .with_columns(pl.col("slot") // width * width)
        .group_by(by, "slot")
        .agg(
            _weighted("ucny_per_gpu_hour"),
            _weighted("ask_ucny_per_gpu_hour"),
            pl.when(used + free > 0).then(used / (used + free)).alias("busy"),
        )
        .sort(by, "slot")
    )


def daily_premium(book: Book, outcome: Outcome) -> pl.DataFrame:
    """Return rows by (`pool_id`, `day`): mean yuan above the reserve price, weighted by the accelerators offered."""
    first = local_time(book, 0)
    lead = int(first[11:13])  # a round may start in the middle of a local day
    days = {day: local_time(book, max(0, 24 * day - lead))[:10] for day in range((book.slots + lead) // 24 + 1)}
    weight = pl.col("gpus_free") + pl.col("gpus_used")
    above = (pl.col("ucny_per_gpu_hour") - pl.col("ask_ucny_per_gpu_hour")) * weight
    return (
        outcome.prices.filter(weight > 0)
        .group_by("pool_id", ((pl.col("slot") + lead) // 24).replace_strict(days, return_dtype=pl.String).alias("day"))
        .agg((above.sum() / weight.sum() / 1e6).alias("premium"))
        .sort("pool_id", "day")
    )


def pool_prices(book: Book, outcome: Outcome) -> pl.DataFrame:
    """Return each pool's prices in short, largest offer first; yuan per GPU-hour as floats, null where none offered."""
    weight = pl.col("gpus_free") + pl.col("gpus_used")
    priced = outcome.prices.filter(weight > 0)
    lifted = pl.col("ucny_per_gpu_hour") > pl.col("ask_ucny_per_gpu_hour")
    short = priced.group_by("pool_id").agg(
        weight.sum().alias("offered"),
        (pl.col("gpus_used").sum() / weight.sum()).alias("utilisation"),
        (pl.col("ask_ucny_per_gpu_hour") * weight).sum().truediv(weight.sum() * 1e6).alias("ask"),
        (pl.col("ucny_per_gpu_hour") * weight).sum().truediv(weight.sum() * 1e6).alias("price"),
        (pl.col("ucny_per_gpu_hour").max() / 1e6).alias("highest"),
        lifted.sum().alias("slots_lifted"),
    )
    discount = pl.col("price_cost_ucny") - pl.col("gross_ucny")
    uplift = outcome.awards.group_by("pool_id").agg(discount.sum().alias("uplift_ucny"))
    return (
        book.pools.join(book.centres.select("centre_id", "region"), on="centre_id")
        .select("pool_id", "centre_id", "region", "accelerator")
        .join(short, on="pool_id", how="left")
        .join(uplift, on="pool_id", how="left")
        .with_columns(pl.col("offered", "slots_lifted", "uplift_ucny").fill_null(0))
        .sort(["offered", "pool_id"], descending=[True, False])
    )


def _board(book: Book, outcome: Outcome) -> pl.DataFrame:
    """Every order with its enterprise and whether it was served."""
    ends = [end for end, _ in SIZE_BANDS]
    band = pl.sum_horizontal(pl.col("employees") >= end for end in ends).cast(pl.Int64)
    return (
        book.orders.select("order_id", "enterprise_id", "gpus", "hours_micro", "origin_region")
        .join(book.enterprises.select("enterprise_id", "kind", "employees"), on="enterprise_id", how="left")
        .join(
            outcome.awards.select("order_id", served=pl.lit(value=True), voucher_ucny="voucher_ucny"),
            on="order_id",
            how="left",
        )
        .with_columns(
            pl.when(pl.col("employees").is_not_null()).then(band).alias("size"),
            pl.col("served").fill_null(value=False),
            pl.col("voucher_ucny").fill_null(0),
        )
    )


def served_by(book: Book, outcome: Outcome, column: str) -> pl.DataFrame:
    """Return how many orders of each group were served.

    Parameters
    ----------
    column : `size` (index of the band of staff), `kind` or `origin_region`; null: not known

    Returns
    -------
    one row per group, most orders first (sizes in their own order): the column, `orders`, `served`, `asked_gpu_hours`,
    `served_gpu_hours` (both as asked, at speed 1.0), `voucher_ucny`
    """
    groups = (
        _board(book, outcome)
        .with_columns(GPU_HOURS.alias("asked"))
        .group_by(column)
        .agg(
            pl.len().cast(pl.Int64).alias("orders"),
            pl.col("served").sum().cast(pl.Int64).alias("served"),
            pl.col("asked").sum().alias("asked_gpu_hours"),
            pl.col("asked").filter(pl.col("served")).sum().alias("served_gpu_hours"),
            pl.col("voucher_ucny").sum(),
        )
    )
    if column == "size":
        return groups.sort("size", nulls_last=True)
    return groups.sort([pl.col(column).is_null(), "orders", column], descending=[False, True, False])


def flows(book: Book, outcome: Outcome) -> pl.DataFrame:
    """Return GPU-hours and orders from each origin region (null: not given) to each centre's region, largest first."""
    return (
        outcome.awards.select("order_id", "centre_id", "gpus", "hours_micro", "transfer_ucny")
        .join(book.orders.select("order_id", "origin_region"), on="order_id")
        .join(book.centres.select("centre_id", "region"), on="centre_id")
        .with_columns(GPU_HOURS.alias("gpu_hours"))
        .group_by("origin_region", "region")
        .agg(
            pl.len().cast(pl.Int64).alias("orders"),
            pl.col("gpu_hours").sum(),
            pl.col("transfer_ucny").sum(),
        )
        .sort(["gpu_hours", "origin_region", "region"], descending=[True, False, False], nulls_last=True)
    )


def _award_need(book: Book, outcome: Outcome) -> pl.DataFrame:
    """Return the awards that use vouchers, with their `need` and `gpu_hours`."""
    own = pl.col("limit_ucny") - pl.col("transfer_ucny")
    need = (
        pl.when(own < pl.col("ask_cost_ucny"))
        .then(pl.lit(Need.BELOW_ASK.value))
        .when(own < pl.col("price_cost_ucny"))
        .then(pl.lit(Need.BELOW_PRICE.value))
        .otherwise(pl.lit(Need.NOT_NEEDED.value))
    )
    return (
        outcome.awards.filter(pl.col("voucher_ucny") > 0)
        .join(book.orders.select("order_id", "limit_ucny"), on="order_id")
        .with_columns(need.alias("need"), GPU_HOURS.alias("gpu_hours"))
    )


def voucher_need(book: Book, outcome: Outcome) -> pl.DataFrame:
    """Return what the vouchers did, by programme and `Need`; an award with two vouchers counts under both programmes.

    An award's own means are its limit less its transfer; they are compared with its cost at the reserve price and at
    the published prices. Had there been no vouchers at all, the prices would have been others: that takes a second
    clearing and is not what these figures say.

    Returns
    -------
    rows by (`programme_id`, `need`): `orders`, `gpu_hours`, `voucher_ucny`, `net_ucny`
    """
    awards = _award_need(book, outcome).select("order_id", "need", "gpu_hours", "net_ucny")
    return (
        outcome.vouchers.select("order_id", "programme_id", "voucher_ucny")
        .join(awards, on="order_id")
        .group_by("programme_id", "need")
        .agg(
            pl.len().cast(pl.Int64).alias("orders"),
            pl.col("gpu_hours").sum(),
            pl.col("voucher_ucny").sum(),
            pl.col("net_ucny").sum(),
        )
        .sort("programme_id", "need")
    )


def budgets(outcome: Outcome) -> dict[str, int | None]:
    """Return what each programme of the round had left before it, micro-yuan; None: no budget is stated."""
    stated: dict[str, int | None] = {str(row["programme_id"]): None for row in outcome.summary.get("vouchers", [])}
    stated |= dict.fromkeys(outcome.vouchers["programme_id"].unique().sort().to_list(), None)
    rows = outcome.multipliers.filter(pl.col("enterprise_id").is_null())
    stated |= dict(rows.select("programme_id", "left_ucny").iter_rows())
    return dict(sorted(stated.items()))


def energy_use(usage: pl.DataFrame) -> pl.DataFrame:
    """Return metered energy and carbon by centre; a row that is not known is counted, never guessed.

    Returns
    -------
    one row per centre, largest energy first: `centre_id`, `awards`, `gpu_hours`, `it_kwh`, `kwh`, `kgco2` (sums of what
    is known, null where nothing is), `kwh_unknown`, `kgco2_unknown` (awards without the figure)
    """

    def known(name: str) -> pl.Expr:
        column = pl.col(name)
        return pl.when(column.count() > 0).then(column.sum()).cast(pl.Float64).alias(name)

    return (
        usage.group_by("centre_id")
        .agg(
            pl.len().cast(pl.Int64).alias("awards"),
            (pl.col("gpu_hours_micro").sum() / 1e6).alias("gpu_hours"),
            known("it_kwh"),
            known("kwh"),
            known("kgco2"),
            pl.col("kwh").null_count().cast(pl.Int64).alias("kwh_unknown"),
            pl.col("kgco2").null_count().cast(pl.Int64).alias("kgco2_unknown"),
        )
        .sort(["kwh", "centre_id"], descending=[True, False], nulls_last=True)
    )


def local_time(book: Book, slot: int) -> str:
    """Return the civil time in China at which a slot begins, as plotly reads it."""
    return slot_instant(book.start, slot).astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M")


def count_of(summary: dict[str, Any], key: str) -> int:
    """Return a count of the summary, 0 where it is missing."""
    return int(summary.get(key) or 0)


def moved_by_vouchers(book: Book, outcome: Outcome) -> tuple[float, int, int]:
    """GPU-hours that ran only thanks to vouchers, voucher money in them, and voucher money that moved nothing."""
    need = _award_need(book, outcome)
    moved = need.filter(pl.col("need") != Need.NOT_NEEDED.value)
    idle = need.filter(pl.col("need") == Need.NOT_NEEDED.value)
    return float(moved["gpu_hours"].sum()), int(moved["voucher_ucny"].sum()), int(idle["voucher_ucny"].sum())
