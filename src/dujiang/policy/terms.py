"""What programmes offer in one round: the share, the room and the limits of every order, as arrays for the clearing.

A condition asks one fact, and a fact is either the buyer's (order and enterprise) or the seller's (pool). So the
conditions of a programme split into those that hold for an order in any pool and those that hold for a pool with any
order, and eligibility is the product of the two; the same is true of each special rate. Nothing is ever asked per order
and pool.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dujiang.policy.condition import Outcome, asked_conditions, judge
from dujiang.policy.evaluate import Status, standing
from dujiang.policy.explain import explain_orders, status_frame
from dujiang.policy.facts import RoundFacts, is_seller_side
from dujiang.policy.programme import Condition, Per, Period, Programme
from dujiang.registry.book import Book

UNLIMITED = int(np.iinfo(np.int64).max // 4)
"""Stands for no limit; a few of them still add up inside int64."""
NO_CAP = -1

Ints = NDArray[np.int64]
Outcomes = NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class VoucherTerms:
    """Terms of K programmes for J orders (rows of `book.orders`) in P pools (rows of `book.pools`).

    A voucher of programme k for order j in pool p pays `min(floor(share_ppm[k,j,p] * gross / 1e6), room_ucny[k,j])`.
    """

    programme_ids: tuple[str, ...]
    """(K,), sorted."""
    budget_left_ucny: Ints
    """(K,), micro-yuan left before the round, never negative; `UNLIMITED` without a budget."""
    budget_limited: NDArray[np.bool_]
    """(K,)."""
    minimum_ucny: Ints
    """(K,), least voucher that may be claimed, micro-yuan; 0 without one."""
    share_ppm: NDArray[np.int32]
    """(K, J, P); 0: that order cannot use the programme in that pool."""
    room_ucny: Ints
    """(K, J), the least of cap left, budget left and cap per contract, before the round."""
    cap_index: Ints
    """(K, J), row in the cap arrays; -1: the programme has no cap per enterprise."""
    cap_left_ucny: Ints
    """(C,), micro-yuan left of one enterprise's cap before the round, never negative."""
    cap_programme: Ints
    """(C,), index of the programme; rows by (programme, enterprise)."""
    cap_enterprise: tuple[str, ...]
    """(C,), enterprise_id."""
    contract_index: Ints
    """(J,), orders with the same number share one contract, which uses a programme at most once."""
    status: pl.DataFrame
    """`explain.STATUS_SCHEMA`: one row per order and programme, for people; rows by order, then programme."""


def voucher_terms(
    book: Book, programmes: Sequence[Programme], budgets: Mapping[str, int | None], *, domestic: Mapping[str, bool]
) -> VoucherTerms:
    """Work out what every programme offers every order of a round.

    Parameters
    ----------
    book : the checked book
    programmes : those that take part, each id once, in any order
    budgets : programme id to what this round may spend instead of what is left of its own budget, micro-yuan, not
        negative, earlier claims already taken off; None or missing: its own budget less the claims of its period
    domestic : accelerator to whether it is domestic; an accelerator that is missing is unknown

    Returns
    -------
    the terms; an order whose facts leave a condition unknown gets share 0, and the status says what is missing
    """
    ranked = sorted(programmes, key=lambda p: p.id)
    assert len({p.id for p in ranked}) == len(ranked), "each programme once"
    facts = RoundFacts(book, domestic)
    claims = _Claims(book)
    sides = [_Sides.ask(asked_conditions(programme), facts) for programme in ranked]
    standings = [standing(programme, book.day) for programme in ranked]
    budget_left = _budgets_left(ranked, budgets, claims)
    caps = _Caps(book, ranked, claims)
    room = np.minimum(caps.room, budget_left[:, None])
    shares = np.zeros((len(ranked), facts.orders, facts.pools), dtype=np.int32)
    for k, programme in enumerate(ranked):
        if standings[k] is Status.OK:
            shares[k] = _shares(programme, sides[k].met(), facts)
    minimum = np.array([0 if p.minimum is None else p.minimum.amount_ucny for p in ranked], dtype=np.int64)
    too_little = room < np.maximum(1, minimum)[:, None]
    said = [
        explain_orders(
            p, standings[k], (sides[k].buyer, sides[k].by_order), (sides[k].seller, sides[k].by_pool), too_little[k]
        )
        for k, p in enumerate(ranked)
    ]
    ids = tuple(p.id for p in ranked)
    return VoucherTerms(
        programme_ids=ids,
        budget_left_ucny=budget_left,
        budget_limited=budget_left < UNLIMITED,
        minimum_ucny=minimum,
        share_ppm=shares,
        room_ucny=room,
        cap_index=caps.index,
        cap_left_ucny=caps.left,
        cap_programme=caps.programme,
        cap_enterprise=caps.enterprise,
        contract_index=_contracts(book),
        status=status_frame(book.orders["order_id"].to_list(), ids, said),
    )


class _Claims:
    """What was used before the round."""

    def __init__(self, book: Book) -> None:
        self._year = str(book.day.year)
        self._claims = book.claims

    def used(self, programme: Programme, period: Period) -> dict[str, int]:
        """Return enterprise to micro-yuan claimed in the period that the round falls in."""
        rows = self._claims.filter(pl.col("programme_id") == programme.id)
        if period is Period.YEAR:
            rows = rows.filter(pl.col("period") == self._year)
        used: dict[str, int] = {}
        for enterprise, amount in rows.select("enterprise_id", "amount_ucny").iter_rows():
            used[enterprise] = used.get(enterprise, 0) + amount
        return used


def _budgets_left(programmes: Sequence[Programme], budgets: Mapping[str, int | None], claims: _Claims) -> Ints:
    """Return what each programme may still spend: the round's own figure as it stands, else its budget less claims."""
    left = np.full(len(programmes), UNLIMITED, dtype=np.int64)
    for k, programme in enumerate(programmes):
        for_round = budgets.get(programme.id)
        if for_round is not None:
            left[k] = for_round
        elif programme.budget is not None:
            used = claims.used(programme, programme.budget.period)
            left[k] = max(0, programme.budget.amount_ucny - sum(used.values()))
    return left


class _Caps:
    """Caps per enterprise as rows of one table, and the room that they and caps per contract leave each order."""

    def __init__(self, book: Book, programmes: Sequence[Programme], claims: _Claims) -> None:
        ids = book.orders["enterprise_id"].to_list()
        names = sorted(set(ids))
        row_of = {name: row for row, name in enumerate(names)}
        of_order = np.array([row_of[name] for name in ids], dtype=np.int64)
        self.room = np.full((len(programmes), len(ids)), UNLIMITED, dtype=np.int64)
        self.index = np.full((len(programmes), len(ids)), NO_CAP, dtype=np.int64)
        left: list[int] = []
        holders: list[int] = []
        for k, programme in enumerate(programmes):
            cap = programme.cap
            if cap is None:
                continue
            if cap.per is Per.CONTRACT:
                self.room[k] = cap.amount_ucny
                continue
            used = claims.used(programme, cap.period)
            own = np.array([max(0, cap.amount_ucny - used.get(name, 0)) for name in names], dtype=np.int64)
            self.index[k] = len(left) + of_order
            self.room[k] = own[of_order]
            left.extend(own.tolist())
            holders.extend([k] * len(names))
        self.left = np.array(left, dtype=np.int64)
        self.programme = np.array(holders, dtype=np.int64)
        self.enterprise = tuple(names) * (len(holders) // len(names) if names else 0)


def _contracts(book: Book) -> Ints:
    """Number the contracts in the order of the book; an order without a contract_id is one of its own."""
    numbers: dict[tuple[str, str | None, str], int] = {}
    rows = book.orders.select("enterprise_id", "contract_id", "order_id").iter_rows()
    keys = ((enterprise, contract, order if contract is None else "") for enterprise, contract, order in rows)
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class _Sides:
    """Conditions asked once per order on the buyer's side and once per pool on the seller's."""

    buyer: tuple[Condition, ...]
    seller: tuple[Condition, ...]
    by_order: Outcomes
    """(conditions of the buyer's side, J)."""
    by_pool: Outcomes
    """(conditions of the seller's side, P)."""

    @staticmethod
    def ask(conditions: Sequence[Condition], facts: RoundFacts) -> "_Sides":
        buyer = tuple(c for c in conditions if not is_seller_side(c.fact))
        seller = tuple(c for c in conditions if is_seller_side(c.fact))
        return _Sides(buyer, seller, _outcomes(buyer, facts, facts.orders), _outcomes(seller, facts, facts.pools))

    def met(self) -> NDArray[np.bool_]:
        """Return (J, P): whether all conditions are met."""
        by_order = np.all(self.by_order == Outcome.MET, axis=0)
        by_pool = np.all(self.by_pool == Outcome.MET, axis=0)
        product: NDArray[np.bool_] = by_order[:, None] & by_pool[None, :]
        return product


def _outcomes(conditions: Sequence[Condition], facts: RoundFacts, rows: int) -> Outcomes:
    outcomes = np.zeros((len(conditions), rows), dtype=np.int8)
    for i, condition in enumerate(conditions):
        outcomes[i] = facts.column(condition.fact).map(partial(judge, condition))
    return outcomes


def _shares(programme: Programme, eligible: NDArray[np.bool_], facts: RoundFacts) -> NDArray[np.int32]:
    """Return (J, P): the highest share that applies, 0 where the programme cannot be used."""
    shares = np.zeros(eligible.shape, dtype=np.int32)
    if programme.rate is None:
        return shares
    shares[eligible] = programme.rate.share_ppm
    for special in programme.special_rates:  # lowest first, so the highest that applies stays
        shares[eligible & _Sides.ask(special.when, facts).met()] = special.share_ppm
    return shares
