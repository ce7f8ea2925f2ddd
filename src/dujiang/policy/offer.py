"""What the programmes of a round offer: shares by kinds of orders and pools, and what limits leave each order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dujiang.core.text import Text
from dujiang.policy.admission import admissions
from dujiang.policy.condition import asked_conditions
from dujiang.policy.evaluate import NO_RATE, Status, rank
from dujiang.policy.facts import RoundFacts
from dujiang.policy.holding import FREE, held_against
from dujiang.policy.programme import Asked, Cap, ConditionGroup, How, Per, Period, Programme, Scope
from dujiang.policy.questions import Questions
from dujiang.registry.book import Book

UNLIMITED = int(np.iinfo(np.int64).max // 4)
"""Stands for no limit; a few of them still add up inside int64."""

Ints = NDArray[np.int64]


class Claims:
    """What was used before the round."""

    def __init__(self, book: Book) -> None:
        self._year = str(book.day.year)
        self._claims = book.claims
        self._enterprises = book.enterprises["enterprise_id"]

    def _of(self, ids: Sequence[str], period: Period) -> pl.DataFrame:
        rows = self._claims.filter(pl.col("programme_id").is_in(list(ids)))
        if period is Period.YEAR:
            rows = rows.filter(pl.col("period") == self._year)
        # Many claims of a billion yuan each would leave 64 bits.
        return rows.with_columns(pl.col("amount_ucny").cast(pl.Int128))

    def total(self, ids: Sequence[str], period: Period) -> int:
        """Return what all enterprises claimed of some programmes in the period that the round falls in, micro-yuan."""
        return int(self._of(ids, period)["amount_ucny"].sum())

    def by_enterprise(self, programme: str, period: Period) -> Ints:
        """Return (E,), what each enterprise claimed in that period, micro-yuan, at most `UNLIMITED`."""
        used = self._of([programme], period).group_by("enterprise_id").agg(pl.col("amount_ucny").sum())
        rows = self._enterprises.to_frame().join(used, on="enterprise_id", how="left", maintain_order="left")
        return rows["amount_ucny"].fill_null(0).clip(0, UNLIMITED).cast(pl.Int64).to_numpy()


@dataclass(frozen=True, slots=True, eq=False)
class Offer:
    """What one programme offers in a round, before anything that an enterprise holds or has used is counted."""

    programme: Programme
    status: Status
    """ok, or what keeps the programme out of the round."""
    reason: Text
    asked: tuple[Asked, ...]
    """All that has to be met; empty where the programme is kept out."""
    some_case: ConditionGroup | None
    """The last of them where only special cases pay: that one of those is met."""
    questions: Questions
    share_ppm: Ints
    """(kinds of orders, kinds of pools); 0: cannot be used."""
    special_cap_ucny: Ints
    """Same shape, the cap that replaces the programme's own; -1: none does."""

    @staticmethod
    def of(programme: Programme, admission: tuple[Status, Text], facts: RoundFacts) -> "Offer":
        """Ask a programme's conditions of all orders and pools."""
        status, reason = admission
        if status is not Status.OK:
            questions = Questions((), facts)
            none = np.zeros(questions.shape, dtype=np.int64)
            return Offer(programme, status, reason, (), None, questions, none, none - 1)
        some_case = _some_case(programme)
        asked = (*asked_conditions(programme), *(() if some_case is None else (some_case,)))
        questions = Questions((*asked, *(item for case in programme.special_rates for item in case.when)), facts)
        eligible = questions.met(asked)
        plain = 0 if programme.rate is None or programme.rate.share_ppm is None else programme.rate.share_ppm
        share = np.where(eligible, np.int64(plain), 0)
        cap = np.full(questions.shape, -1, dtype=np.int64)
        # The case that counts before the others is written last, and stays.
        for case in sorted(programme.special_rates, key=lambda c: rank(programme, c), reverse=True)[::-1]:
            applies = eligible & questions.met(case.when)
            share[applies] = case.share_ppm
            cap[applies] = -1 if case.cap_ucny is None else case.cap_ucny
        return Offer(programme, status, reason, asked, some_case, questions, share, cap)

    def highest_ppm(self) -> Ints:
        """Return (kinds of orders,): the highest share in any pool."""
        highest: Ints = self.share_ppm.max(axis=1, initial=0)
        return highest

    def least_cap(self, cap_ucny: int) -> Ints:
        """Return (kinds of orders,): a cap as it stands for each, the least over the pools that it can use."""
        cap = np.where(self.special_cap_ucny < 0, cap_ucny, self.special_cap_ucny)
        least: Ints = np.where(self.share_ppm > 0, cap, UNLIMITED).min(axis=1, initial=UNLIMITED)
        return np.where(least == UNLIMITED, cap_ucny, least)


def _some_case(programme: Programme) -> ConditionGroup | None:
    """Return, where a programme has no rate, the condition that one of its special cases is met."""
    if programme.rate is not None:
        return None
    cases = (ConditionGroup("case", How.ALL, case.when, NO_RATE) for case in programme.special_rates)
    return ConditionGroup("rate", How.ANY, tuple(cases), NO_RATE)


class RoundOffers:
    """What all programmes of a round offer its orders.

    Parameters
    ----------
    book, programmes, budgets, domestic : as `terms.voucher_terms`
    """

    def __init__(
        self,
        book: Book,
        programmes: Sequence[Programme],
        budgets: Mapping[str, int | None],
        domestic: Mapping[str, bool],
    ) -> None:
        ranked = sorted(programmes, key=lambda p: p.id)
        assert len({p.id for p in ranked}) == len(ranked), "each programme once"
        self.programmes = tuple(ranked)
        self.facts = RoundFacts(book, domestic)
        self._claims = Claims(book)
        admitted = admissions(ranked, budgets, book.day)
        self.offers = [Offer.of(p, a, self.facts) for p, a in zip(ranked, admitted, strict=True)]
        self.budget_left = np.array([self._budget_left(p, budgets.get(p.id)) for p in ranked], dtype=np.int64)
        """(K,), micro-yuan."""
        self.minimum = np.array([0 if p.minimum is None else p.minimum.amount_ucny for p in ranked], dtype=np.int64)
        """(K,), micro-yuan."""
        self.against, self.held_ids = held_against(
            ranked, self._best_ppm(book.enterprises.height), book.claims, book.enterprises["enterprise_id"]
        )
        """(E, K): what an enterprise holds that stands against a programme, as `holding.held_against` says."""
        self._usable: dict[int, NDArray[np.bool_]] = {}

    def _budget_left(self, programme: Programme, for_round: int | None) -> int:
        """Return what a programme may still spend: the round's own figure as it stands, else its purse less claims."""
        if for_round is not None:
            return for_round
        if programme.budget is None:
            return UNLIMITED
        used = self._claims.total((programme.id, *programme.budget.shared_with), programme.budget.period)
        return max(0, programme.budget.amount_ucny - used)

    def _best_ppm(self, enterprises: int) -> Ints:
        """Return (E, K): the highest share that an enterprise's orders could use, where something is left to pay it."""
        best = np.zeros((enterprises, len(self.offers)), dtype=np.int64)
        paying = self.budget_left >= np.maximum(1, self.minimum)
        if any(e.scope is Scope.ENTERPRISE for p in self.programmes for e in p.excludes):
            for k in np.flatnonzero(paying):
                by_order = self.offers[k].highest_ppm()[self.offers[k].questions.orders.of_row]
                np.maximum.at(best[:, k], self.facts.enterprise_row, by_order)
        return best

    def free(self, k: int) -> NDArray[np.bool_]:
        """Return (J,): whether nothing that its enterprise holds stands against an order's use of programme k."""
        free: NDArray[np.bool_] = self.against[:, k] == FREE
        return np.ones(self.facts.orders, dtype=np.bool_) if free.all() else free[self.facts.enterprise_row]

    def usable(self, k: int) -> NDArray[np.bool_]:
        """Return (J,): whether an order can use programme k in some pool."""
        if k not in self._usable:
            some_pool = self.offers[k].highest_ppm() > 0
            self._usable[k] = some_pool[self.offers[k].questions.orders.of_row] & self.free(k)
        return self._usable[k]

    def cap_left(self, k: int) -> Ints | None:
        """Return (E,): what is left of each enterprise's caps of programme k, micro-yuan; None: it has none.

        All claims of a round count against every such cap alike, so the least of what is left of them stands for all.
        Where a special case changes a cap, an enterprise has the least that holds for any of its orders.
        """
        offer = self.offers[k]
        left: Ints | None = None
        for cap in _caps(offer.programme, Per.ENTERPRISE):
            amount = np.full(self.against.shape[0], UNLIMITED, dtype=np.int64)
            usable = self.usable(k)
            by_order = offer.least_cap(cap.amount_ucny)[offer.questions.orders.of_row]
            np.minimum.at(amount, self.facts.enterprise_row[usable], by_order[usable])
            amount = np.where(amount == UNLIMITED, cap.amount_ucny, amount)
            used = self._claims.by_enterprise(offer.programme.id, cap.period)
            own = np.where(amount == UNLIMITED, UNLIMITED, np.maximum(0, amount - used))
            left = own if left is None else np.minimum(left, own)
        return left

    def room(self, k: int, cap_left: Ints | None) -> Ints:
        """Return (J,): the most that one voucher of programme k can be, micro-yuan, before the round."""
        offer = self.offers[k]
        room = np.full(self.facts.orders, self.budget_left[k], dtype=np.int64)
        if cap_left is not None:
            room = np.minimum(room, cap_left[self.facts.enterprise_row])
        for cap in _caps(offer.programme, Per.CONTRACT):
            room = np.minimum(room, offer.least_cap(cap.amount_ucny)[offer.questions.orders.of_row])
        return room


def _caps(programme: Programme, per: Per) -> list[Cap]:
    """Return the caps of one kind; where only special cases bring one, a cap that is unlimited without them."""
    caps = programme.caps
    special = next((case for case in programme.special_rates if case.cap_ucny is not None), None)
    if not caps and special is not None:
        caps = tuple(replace(cap, amount_ucny=UNLIMITED) for cap in programme.caps_in(special))
    return [cap for cap in caps if cap.per is per]
