"""The books of successive clearings of one replay: what arrives, what is carried, and what stands there by then.

What goes from a book into the next is decided by `exchange.carried`, as when a book is rolled. Three things are added,
which only a replay has: arrivals come in at the clearing after their submission; an admission looks at those only,
while all others wait for the next round; and awards that an outage stopped give back their capacity, what they will not
use of their vouchers, and their order.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import polars as pl

from dujiang.exchange.carried import CONTRACT, carried, without_vouchers
from dujiang.lab.case import Case, Int
from dujiang.lab.outages import standing
from dujiang.lab.scenario import Outage
from dujiang.market.book_arrays import supply
from dujiang.market.outcome import (
    AWARD_SCHEMA,
    LINK_PRICE_SCHEMA,
    MULTIPLIER_SCHEMA,
    PRICE_SCHEMA,
    REJECTION_SCHEMA,
    VOUCHER_SCHEMA,
    Outcome,
)
from dujiang.registry.book import RUNNING_SCHEMA, Book, ProgrammeUse

AGAIN = "\x1f"
"""Between the id of a job and the number of a further run: a control character, which no id of a book can hold. An id
is one order for ever (design 9.1), so an order that returns is a new one."""
_S_PER_H = 3600
_CLAIM = ["enterprise_id", "programme_id", "period"]


@dataclass(frozen=True, slots=True)
class Unused:
    """Part of a voucher that was promised and will not be paid."""

    enterprise_id: str
    programme_id: str
    period: str
    """Civil year of the round that promised it."""
    amount_ucny: int


class Standing:
    """Accelerators that stand in every pool and hour, as far as anybody knows.

    An outage comes without notice. Once it has begun, its end is taken to be known.
    """

    def __init__(self, case: Case) -> None:
        self._case = case
        self._known: dict[tuple[Outage, ...], Int] = {}
        _, self.ask = supply(case.book)

    def known_at(self, hour: int) -> Int:
        """Return [P, T] what stands there by all that is known in an hour, outages that begin in it included."""
        known = tuple(outage for outage in self._case.outages if outage.from_h <= hour < outage.to_h)
        if known not in self._known:
            self._known[known] = standing(replace(self._case, outages=known))
        return self._known[known]


class RoundBooks:
    """Makes the book of each clearing, a round or an admission, from those before it."""

    def __init__(self, case: Case, standing: Standing) -> None:
        self._case, self._standing = case, standing
        # A virtual clock runs stand-ins only.
        self._orders = case.book.orders.with_columns(command=pl.lit(None, dtype=pl.String))
        self._book = replace(case.book, orders=self._orders.clear(), running=pl.DataFrame(schema=RUNNING_SCHEMA))
        self._waiting = self._book.orders
        """Orders that the last book did not look at."""
        self._outcome = _nothing()
        self._hour = 0
        self._contracts = pl.DataFrame(schema=dict.fromkeys(CONTRACT, pl.String()))
        self._arrived = 0
        self._returned: dict[str, int] = {}
        self._paid: dict[int, int] = {}
        """By row of a job, what its firm has paid for runs that were stopped, micro-yuan."""
        self._stopped: list[str] = []
        self._unused: list[Unused] = []
        self.too_late = 0
        """Orders that arrived for the last book and could no longer end in time by then."""

    def has_new(self, hour: int) -> bool:
        """Say whether orders have come, or come back, since the last book."""
        return bool(self._returned) or self._arrivals(hour) > self._arrived

    def at(self, hour: int, *, only_new: bool = False) -> Book:
        """Return the book of the clearing that is held in an hour; after it `close` takes its outcome.

        An order that was submitted at the very instant of the clearing takes part.

        Parameters
        ----------
        hour : not before that of the last book
        only_new : leave out orders that an earlier clearing has looked at; they wait for the next round
        """
        came, back, orders = self._all_orders(hour)
        fresh = pl.concat([came, back])
        over = carried(replace(self._book, orders=orders), self._outcome, hour - self._hour, self._contracts)
        self._contracts, self.too_late = over.contracts, over.dropped.is_in(came.implode()).arg_true().len()
        orders, _ = without_vouchers(over.orders, over.contracts)
        looked_at = pl.col("order_id").is_in(fresh.implode()) if only_new else pl.lit(value=True)
        given = _by_programme(self._unused)
        use = tuple(_less(item, over.spent.get(item.programme_id, 0), given) for item in self._book.use)
        case, slots = self._case, min(self._case.scenario.horizon_h, self._case.book.slots - hour)
        self._book = replace(
            case.book,
            start=case.book.start + timedelta(hours=hour),
            slots=slots,
            capacity=self._capacity(hour, slots),
            orders=orders.filter(looked_at).sort("submitted", "order_id", nulls_last=True),
            claims=_released(over.claims, self._unused),
            running=over.running.filter(~pl.col("order_id").is_in(self._stopped)),
            use=use,
        )
        self._waiting = orders.filter(~looked_at)
        self._outcome, self._hour = _nothing(), hour
        self._returned, self._stopped, self._unused = {}, [], []
        return self._book

    def close(self, outcome: Outcome) -> None:
        """Take the outcome of the last book's clearing."""
        self._outcome = outcome

    def stop(self, order_id: str, row: int, again: str, unused: Iterable[Unused], paid_ucny: int) -> None:
        """Take back an award that has not ended.

        Parameters
        ----------
        order_id : of the award
        row : of its job
        again : id under which the order returns to the next book, if it can still end in time
        unused : vouchers that it was promised and will not be paid
        paid_ucny : what its firm pays for what ran; comes off its limit (design 9.3), and where nothing of that is
            left the order does not return
        """
        self._stopped.append(order_id)
        self._paid[row] = self._paid.get(row, 0) + paid_ucny
        if self._paid[row] < self._orders["limit_ucny"][row]:
            self._returned[again] = row
        self._unused += unused

    def _arrivals(self, hour: int) -> int:
        return int(np.searchsorted(self._case.jobs.submit_s, hour * _S_PER_H, side="right"))

    def _all_orders(self, hour: int) -> tuple[pl.Series, pl.Series, pl.DataFrame]:
        """Return the ids of orders that have come, those of orders that come back, and all as of the last book."""
        first, self._arrived = self._arrived, self._arrivals(hour)
        back = pl.Series(list(self._returned), dtype=pl.String)
        back_rows = list(self._returned.values())
        paid = pl.Series([self._paid[row] for row in back_rows], dtype=pl.Int64)
        rows = self._orders[back_rows].with_columns(order_id=back, limit_ucny=pl.col("limit_ucny") - paid)
        came = self._orders[first : self._arrived]
        fresh = pl.concat([rows, came]).with_columns(pl.col("release") - self._hour, pl.col("deadline") - self._hour)
        return came["order_id"], back, pl.concat([self._book.orders, self._waiting, fresh])

    def _capacity(self, hour: int, slots: int) -> pl.DataFrame:
        """Return what differs from the pools' own columns in the slots of a round."""
        pools, window = self._case.book.pools, slice(hour, hour + slots)
        gpus, ask = self._standing.known_at(hour)[:, window], self._standing.ask[:, window]
        usual = pools["gpus"].to_numpy()[:, None], pools["ask_ucny_per_gpu_hour"].to_numpy()[:, None]
        p, t = np.nonzero((gpus != usual[0]) | (ask != usual[1]))
        columns = {
            "pool_id": pools["pool_id"].gather(p),
            "slot": t,
            "gpus": gpus[p, t],
            "ask_ucny_per_gpu_hour": ask[p, t],
        }
        schema = self._case.book.capacity.schema
        return pl.DataFrame(columns).select(schema.names()).cast(dict(schema)).sort("pool_id", "slot")  # type: ignore[arg-type]


def _nothing() -> Outcome:
    """Return the outcome of no round."""
    return Outcome(
        awards=pl.DataFrame(schema=AWARD_SCHEMA),
        vouchers=pl.DataFrame(schema=VOUCHER_SCHEMA),
        prices=pl.DataFrame(schema=PRICE_SCHEMA),
        link_prices=pl.DataFrame(schema=LINK_PRICE_SCHEMA),
        rejections=pl.DataFrame(schema=REJECTION_SCHEMA),
        multipliers=pl.DataFrame(schema=MULTIPLIER_SCHEMA),
        summary={},
    )


def _by_programme(unused: Iterable[Unused]) -> dict[str, int]:
    given: dict[str, int] = {}
    for part in unused:
        given[part.programme_id] = given.get(part.programme_id, 0) + part.amount_ucny
    return given


def _less(use: ProgrammeUse, spent_ucny: int, given: Mapping[str, int]) -> ProgrammeUse:
    """Return a programme with what may still be spent, where the book sets that."""
    if use.budget_ucny is None:
        return use
    left = use.budget_ucny - spent_ucny + given.get(use.programme_id, 0)
    assert left >= 0, f"{use.programme_id}: overdrawn by {-left} micro-yuan"
    return replace(use, budget_ucny=left)


def _released(claims: pl.DataFrame, unused: list[Unused]) -> pl.DataFrame:
    """Take unused parts of vouchers off the claims."""
    if not unused:
        return claims
    back = pl.DataFrame(
        [(u.enterprise_id, u.programme_id, u.period, -u.amount_ucny) for u in unused],
        schema=claims.schema,
        orient="row",
    )
    left = pl.concat([claims, back]).group_by(_CLAIM).agg(pl.col("amount_ucny").sum()).sort(_CLAIM)
    assert (left["amount_ucny"] >= 0).all(), "more is given back than was claimed"
    return left
