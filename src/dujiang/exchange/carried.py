"""What of a round goes into the next one: awards that still run, orders that still wait, money that is spent."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from dujiang.core.money import cny
from dujiang.core.problem import Problem, shown
from dujiang.core.text import Text
from dujiang.market.outcome import Outcome
from dujiang.registry.book import Book

CONTRACT = ["enterprise_id", "contract_id"]
"""What names a contract."""


@dataclass(frozen=True, slots=True)
class Carried:
    """Rows of the next round's book, with the stored columns of a book and slots counted from its start."""

    orders: pl.DataFrame
    """Not served, and the fastest pool could still finish them in time; by (submitted, order_id)."""
    dropped: pl.Series
    """Ids of orders that were not served and no longer can be."""
    running: pl.DataFrame
    """Awards that have not ended at the start of the next round, of this round and of earlier ones."""
    ended: int
    """Number of awards, of this round and of earlier ones, that have."""
    claims: pl.DataFrame
    """Earlier claims and, by enterprise, programme and year of the round, the vouchers of its awards."""
    capacity: pl.DataFrame
    """Exceptions in slots that are still to come."""
    spent: Mapping[str, int]
    """Vouchers of the round by programme, micro-yuan."""
    contracts: pl.DataFrame
    """`CONTRACT` of those that have used a programme in the round or before it."""


def carried(book: Book, outcome: Outcome, hours: int, contracts: pl.DataFrame | None = None) -> Carried:
    """Work out what goes on.

    Parameters
    ----------
    book : the book of the round
    outcome : its result; every award is of one of the book's orders
    hours : hours from the start of the round to that of the next, not negative
    contracts : enterprise and contract of those that have used a programme before the round; None: there are none
    """
    awards = outcome.awards.join(
        book.orders.select("order_id", "contract_id", "data_gb_micro", "origin_region"), on="order_id", how="inner"
    )
    begun = pl.concat([book.running, awards.select(book.running.columns)]).sort("order_id")
    lasting = begun.filter(pl.col("start") + pl.col("slots") > hours)
    waiting = book.orders.join(awards, on="order_id", how="anti", maintain_order="left").with_columns(
        release=(pl.col("release") - hours).clip(0), deadline=pl.col("deadline") - hours
    )
    can = _can_end(book)
    vouchers = outcome.vouchers.join(awards.select("order_id", "enterprise_id", "contract_id"), on="order_id")
    spent = vouchers.group_by("programme_id").agg(pl.col("voucher_ucny").sum()).sort("programme_id")
    return Carried(
        orders=waiting.filter(can),
        dropped=waiting.filter(~can)["order_id"].sort(),
        running=lasting.with_columns(pl.col("start") - hours),
        ended=begun.height - lasting.height,
        claims=_claims(book, vouchers),
        capacity=book.capacity.filter(pl.col("slot") >= hours).with_columns(pl.col("slot") - hours),
        spent=dict(spent.iter_rows()),
        contracts=pl.concat([vouchers.select(CONTRACT).drop_nulls(), *([] if contracts is None else [contracts])])
        .unique()
        .sort(CONTRACT),
    )


def _can_end(book: Book) -> pl.Expr:
    """Say whether the fastest pool could finish an order between its release and its deadline."""
    speeds = book.pools["speed_micro"].to_list()
    window = pl.col("deadline") - pl.col("release")
    return (window > 0) & (pl.col("hours_micro") <= window * max(speeds, default=1))


def _claims(book: Book, vouchers: pl.DataFrame) -> pl.DataFrame:
    """Add what the vouchers are worth to the claims; their period is the year in which the round starts."""
    fresh = vouchers.select(
        "enterprise_id", "programme_id", period=pl.lit(str(book.day.year)), amount_ucny=pl.col("voucher_ucny")
    )
    key = ["enterprise_id", "programme_id", "period"]
    together = pl.concat([book.claims.select(*key, "amount_ucny"), fresh])
    return together.group_by(key).agg(pl.col("amount_ucny").sum()).sort(key)


def without_vouchers(orders: pl.DataFrame, contracts: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series]:
    """Let no order use vouchers whose contract has used a programme already.

    A contract uses a programme once (design 5.3). A book cannot say which of them an earlier round has used up, so the
    orders do without all of them: stricter than the rule, never laxer.

    Returns
    -------
    the orders, and the ids of those that lost something
    """
    used = orders.select("order_id", *CONTRACT).join(contracts, on=CONTRACT, how="semi")["order_id"]
    hit = pl.col("order_id").is_in(used.implode()) & (pl.col("max_vouchers") > 0)
    changed = orders.filter(hit)["order_id"].sort()
    return orders.with_columns(pl.when(hit).then(0).otherwise(pl.col("max_vouchers")).alias("max_vouchers")), changed


def next_use(book: Book, spent: Mapping[str, int], file: str) -> tuple[list[Any], list[Problem]]:
    """Return `use` for `book.yaml` with the vouchers of a round taken off the budgets that stand there.

    Such a budget is what may still be spent, and earlier claims do not count against it (docs/design.md 10.3). Against
    a programme's own budget the claims do.

    Parameters
    ----------
    book : the book of the round
    spent : vouchers by programme, micro-yuan
    file : name of the results, for problems
    """
    out: list[Any] = []
    problems = []
    for use in book.use:
        if use.budget_ucny is None:
            out.append(use.programme_id)
            continue
        left = use.budget_ucny - spent.get(use.programme_id, 0)
        if left < 0:
            most = cny(use.budget_ucny)
            expected = Text(f"vouchers of at most {most} CNY", f"不超过 {most} 元的券")
            found = f"{cny(use.budget_ucny - left)} CNY of {shown(use.programme_id)}"
            problems.append(Problem("over-spent", file, None, "voucher_ucny", found, expected))
        out.append({"id": use.programme_id, "budget_cny": cny(max(left, 0))})
    return out, problems
