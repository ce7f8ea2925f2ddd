"""What programmes are open to orders in pools, and what is left of them before the round (design 4.3, 5.3, 5.4)."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
import polars as pl

from dujiang.verify.book import Book
from dujiang.verify.cells import MICRO, UNLIMITED, Ints, coded, is_empty
from dujiang.verify.programme import Programme

GOOD = "compute"
"""What every order of a round buys."""
SELLER_FACTS = ("seller_id", "seller_region", "seller_province", "seller_cluster", "accelerator", "domestic_compute")
"""Facts that come from the pool, not from the order."""
ORDER_FACTS = (
    *("enterprise_id", "gpus", "purpose"),
    *("startup", "via_platform", "via_exchange", "related_party", "model_filed", "other_subsidy"),
)
"""Columns of an order that conditions may ask about."""
ALWAYS: Mapping[str, bool] = {"via_exchange": True, "self_built": False}
"""True of every award unless the book says otherwise: bought on the exchange, from a centre that lets it."""
MOST_VOUCHERS = 3
"""An award uses no more vouchers than this, whatever its order allows."""


@dataclass(frozen=True, slots=True)
class Option:
    """Programmes that an award may use together, in the order in which they pay."""

    programmes: tuple[int, ...]
    """Numbers of the programmes by id; empty: none."""
    ceiling_ppm: int
    """Most of the gross payment that they may bear together."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What J orders may use; orders that every programme treats alike are of one class."""

    options: list[Option]
    """None first, then every programme alone, then sets."""
    order_class: Ints
    """[J]"""
    share_ppm: Ints
    """[classes, K, P]; 0: not open."""
    room_ucny: Ints
    """[J, K] most that one voucher can be."""


class Programmes:
    """The programmes of a round against its book.

    Parameters
    ----------
    book : the book
    programmes : those that took part
    domestic : by accelerator, whether it counts as domestic; missing: not known
    """

    def __init__(self, book: Book, programmes: Iterable[Programme], domestic: Mapping[str, bool]) -> None:
        self.by_id = {p.programme_id: p for p in sorted(programmes, key=lambda p: p.programme_id)}
        self.ids = tuple(self.by_id)
        self._book = book
        self._enterprise_row = {name: row for row, name in enumerate(book.enterprise_ids)}
        self._claims: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for claim in book.claims:
            self._claims[claim.programme_id, claim.period][claim.enterprise_id] += claim.amount_ucny
        self._budgets = {k: self._budget_left(p) for k, p in self.by_id.items()}
        facts = _Facts(book, domestic)
        self._offers = [_Offer(programme, facts, self._takes_part(programme)) for programme in self.by_id.values()]
        self._close_what_is_held()
        self._caps = [self._caps_left(k) for k in range(len(self.ids))]
        self.terms = self._terms()

    def budget_left(self, programme_id: str) -> int | None:
        """Return what is left of a budget before the round, micro-yuan; None: no budget is stated."""
        return self._budgets[programme_id]

    def cap_left(self, programme_id: str, enterprise_id: str) -> int | None:
        """Return what is left of an enterprise's cap before the round, micro-yuan; None: no such cap, or nobody's."""
        left = self._caps[self.ids.index(programme_id)]
        if left is None or enterprise_id not in self._enterprise_row:
            return None
        return int(left[self._enterprise_row[enterprise_id]])

    def caps_left(self, programme: int) -> Ints | None:
        """Return what is left of all enterprises' caps of a programme, by row of the book; None: it has none."""
        return self._caps[programme]

    # -- what is left ------------------------------------------------------------------------------------------------

    def _claimed(self, programme_id: str, period: str) -> dict[str, int]:
        """Return what enterprises claimed of a programme in the period that the round falls in."""
        used: dict[str, int] = defaultdict(int)
        for (claimed_id, label), claims in self._claims.items():
            if claimed_id == programme_id and (period == "validity" or label == str(self._book.day.year)):
                for enterprise_id, amount in claims.items():
                    used[enterprise_id] += amount
        return used

    def _budget_left(self, programme: Programme) -> int | None:
        for_round = self._book.budgets.get(programme.programme_id)
        budget = programme.budget
        if for_round is not None or budget is None:
            return for_round  # what this round may spend: claims do not count against it
        purse = {programme.programme_id, *budget.shared_with}
        used = sum(sum(self._claimed(drawn, budget.period).values()) for drawn in purse)
        return max(0, budget.amount_ucny - used)

    def _caps_left(self, k: int) -> Ints | None:
        """Return what is left of every enterprise's cap: the least that holds for any order, less what it claimed."""
        offer, left = self._offers[k], None
        for cap in offer.programme.caps:
            if cap.per != "enterprise":
                continue
            own = np.full(len(self._book.enterprise_ids), UNLIMITED, dtype=np.int64)
            usable = offer.usable()
            np.minimum.at(own, self._book.orders.enterprise[usable], offer.cap_of_order(cap.amount_ucny)[usable])
            own = np.where(own == UNLIMITED, cap.amount_ucny, own)
            for enterprise_id, amount in self._claimed(offer.programme.programme_id, cap.period).items():
                if enterprise_id in self._enterprise_row:
                    row = self._enterprise_row[enterprise_id]
                    own[row] = max(0, int(own[row]) - amount)
            left = own if left is None else np.minimum(left, own)
        return left

    # -- who may use what --------------------------------------------------------------------------------------------

    def _takes_part(self, programme: Programme) -> bool:
        """Return whether a round can work a programme out on its day (design 5.1)."""
        own_budget = self._book.budgets.get(programme.programme_id) is not None
        partners = () if programme.budget is None else programme.budget.shared_with
        shared = any(name in self.by_id and self._stands(self.by_id[name]) for name in partners)
        return self._stands(programme) and (own_budget or not shared)

    def _stands(self, programme: Programme) -> bool:
        own_budget = self._book.budgets.get(programme.programme_id) is not None
        cut_alike = programme.budget is not None and programme.budget.pro_rata and not own_budget
        paying = programme.computable and programme.for_rounds and not cut_alike
        return paying and GOOD in programme.goods and programme.valid_on(self._book.day)

    def _close_what_is_held(self) -> None:
        """Close programmes to enterprises that hold another which rules them out for the whole enterprise (5.3).

        An enterprise holds what it has claimed. Of programmes that rule each other out and that its orders could use it
        holds the one with the highest share, at equal shares the first by id.
        """
        firms, programmes = len(self._book.enterprise_ids), list(self.by_id.values())
        if not any(e.whole_enterprise for p in programmes for e in p.excludes):
            return
        row = self._enterprise_row
        held: dict[str, set[int]] = defaultdict(set)
        for claim in self._book.claims:
            if claim.amount_ucny > 0 and claim.enterprise_id in row:
                held[claim.programme_id].add(row[claim.enterprise_id])
        closed = np.zeros((firms, len(programmes)), dtype=np.bool_)
        best = np.zeros((firms, len(programmes)), dtype=np.int64)
        for k, programme in enumerate(programmes):
            rivals = {p.programme_id for p in programmes if p is not programme and programme.rules_out(p, True)}
            rivals |= {name for e in programme.excludes if e.whole_enterprise for name in e.programmes}
            for rival in rivals - {programme.programme_id}:
                closed[list(held[rival]), k] = True
            left = self._budgets[programme.programme_id]
            if left is None or left >= max(1, programme.minimum_ucny):
                np.maximum.at(best[:, k], self._book.orders.enterprise, self._offers[k].highest_of_order())
        best[closed] = 0
        for firm in np.flatnonzero(best.any(axis=1)).tolist():
            chosen: list[Programme] = []
            for k in sorted(range(len(programmes)), key=lambda k: (-best[firm, k], k)):
                if best[firm, k] and any(programmes[k].rules_out(other, True) for other in chosen):
                    closed[firm, k] = True
                elif best[firm, k]:
                    chosen.append(programmes[k])
        for k, offer in enumerate(self._offers):
            offer.close(closed[self._book.orders.enterprise, k])

    def _terms(self) -> Terms:
        orders, count = self._book.orders, len(self.ids)
        room = np.zeros((len(orders), count), dtype=np.int64)
        for k, offer in enumerate(self._offers):
            budget = self._budgets[self.ids[k]]
            room[:, k] = UNLIMITED if budget is None else budget
            caps = self._caps[k]
            if caps is not None:
                room[:, k] = np.minimum(room[:, k], caps[orders.enterprise])
            for cap in offer.programme.caps:
                if cap.per == "contract":
                    room[:, k] = np.minimum(room[:, k], offer.cap_of_order(cap.amount_ucny))
        order_class, kinds = _classes([offer.kind_of_order for offer in self._offers], len(orders))
        share = np.zeros((len(kinds), count, len(self._book.pools)), dtype=np.int64)
        for k, offer in enumerate(self._offers):
            share[:, k] = offer.share_ppm[kinds[:, k]]
        return Terms(self._options(share > 0), order_class, share, room)

    def _options(self, open_: npt.NDArray[np.bool_]) -> list[Option]:
        """Return what an award may use: nothing, one programme, or a set of which any two go together (5.3).

        Sets that no order could use in any pool are left out; `open_` is by class, programme and pool. Vouchers pay in
        the order of the programmes' ids.
        """
        programmes = list(self.by_id.values())
        apart = {
            (i, j)
            for i, j in combinations(range(len(programmes)), 2)
            if programmes[i].rules_out(programmes[j])
            or (programmes[i].group is not None and programmes[i].group == programmes[j].group)
        }
        most = min(MOST_VOUCHERS, int(self._book.orders.max_vouchers.max(initial=0)))
        sets: list[tuple[int, ...]] = [(), *((k,) for k in range(len(programmes)))]
        for size in range(2, most + 1):
            for chosen in combinations(range(len(programmes)), size):
                if not any(pair in apart for pair in combinations(chosen, 2)) and open_[:, chosen].all(axis=1).any():
                    sets.append(chosen)
        return [Option(c, min((programmes[k].ceiling_ppm for k in c), default=MICRO)) for c in sets]


def _classes(columns: list[Ints], rows: int) -> tuple[Ints, Ints]:
    """Return the class of every row and the distinct rows, in any order, of some columns."""
    if not columns:
        return np.zeros(rows, dtype=np.int64), np.zeros((min(rows, 1), 0), dtype=np.int64)
    frame = pl.DataFrame({str(i): column for i, column in enumerate(columns)})
    kinds = frame.unique(maintain_order=True)
    of_row = frame.join(kinds.with_row_index("kind"), on=frame.columns, how="left", maintain_order="left")["kind"]
    return of_row.cast(pl.Int64).to_numpy(), kinds.to_numpy().reshape(kinds.height, len(columns))


class _Facts:
    """Facts of orders and of pools, each different value once."""

    def __init__(self, book: Book, domestic: Mapping[str, bool]) -> None:
        self.book = book
        self.day = book.day
        self.pools = [self._seller(pool_id, domestic) for pool_id in book.pools]
        self._read: dict[str, tuple[list[object], Ints]] = {}

    def _seller(self, pool_id: str, domestic: Mapping[str, bool]) -> dict[str, object]:
        pool = self.book.pools[pool_id]
        centre = self.book.centres[pool.centre_id]
        facts = {
            "seller_id": centre.centre_id,
            "seller_region": centre.region,
            "seller_province": centre.province,
            "seller_cluster": centre.cluster,
            "accelerator": pool.accelerator,
            "domestic_compute": domestic.get(pool.accelerator),
        }
        return {name: value for name, value in facts.items() if value is not None}

    def buyer(self, name: str) -> tuple[list[object], Ints]:
        """Return the values of a fact, and which of them each order has; what stands nearer to the order wins."""
        if name not in self._read:
            self._read[name] = self._buyer(name)
        return self._read[name]

    def _buyer(self, name: str) -> tuple[list[object], Ints]:
        orders, firms = self.book.orders, self.book.enterprises
        declared = {**ALWAYS, **{k: v for k, v in self.book.facts.items() if not is_empty(v)}}
        declared |= {"good": GOOD, "date": self.day}
        values: list[object] = [declared.get(name)]
        codes = np.zeros(len(orders), dtype=np.int64)
        if name in ("good", "date"):
            return values, codes
        layers = []
        if name in firms.columns:
            found, of_firm = coded(firms[name], lambda cell: cell)
            layers.append((found, of_firm[orders.enterprise]))
        if name in ORDER_FACTS and name in orders.cells.columns:
            layers.append(coded(orders.cells[name], lambda cell: cell))
        for found, of_order in layers:
            known = np.array([not is_empty(value) for value in found], dtype=np.bool_)
            codes = np.where(known[of_order], of_order + len(values), codes)
            values += found
        return values, codes


class _Offer:
    """What one programme offers: by kind of order, which agree in every fact that it asks, and by pool."""

    def __init__(self, programme: Programme, facts: _Facts, takes_part: bool) -> None:
        self.programme = programme
        names = sorted(programme.facts.difference(SELLER_FACTS)) if takes_part else []
        asked = {name: facts.buyer(name) for name in names}
        self.kind_of_order, kinds = _classes([codes for _, codes in asked.values()], len(facts.book.orders))
        shape = len(kinds), len(facts.pools)
        self.share_ppm = np.zeros(shape, dtype=np.int64)
        """[kinds, P]"""
        self._special = np.full(shape, -1, dtype=np.int64)
        answers: dict[tuple[object, ...], tuple[int, int | None]] = {}
        sellers = [tuple((n, repr(pool.get(n))) for n in SELLER_FACTS if n in programme.facts) for pool in facts.pools]
        for kind, row in enumerate(kinds.tolist() if takes_part else []):
            buyer = {name: asked[name][0][code] for name, code in zip(names, row, strict=True)}
            for p, pool in enumerate(facts.pools):
                key = (kind, sellers[p])
                if key not in answers:
                    answers[key] = programme.offer({**buyer, **pool})
                share, cap = answers[key]
                self.share_ppm[kind, p], self._special[kind, p] = share, -1 if cap is None else cap

    def close(self, orders: npt.NDArray[np.bool_]) -> None:
        """Close the programme to some orders."""
        if orders.any():
            self.share_ppm = np.vstack([self.share_ppm, np.zeros_like(self.share_ppm[:1])])
            self._special = np.vstack([self._special, np.full_like(self._special[:1], -1)])
            self.kind_of_order = np.where(orders, len(self.share_ppm) - 1, self.kind_of_order)

    def highest_of_order(self) -> Ints:
        """Return the highest share of each order in any pool."""
        highest: Ints = self.share_ppm.max(axis=1, initial=0)[self.kind_of_order]
        return highest

    def usable(self) -> npt.NDArray[np.bool_]:
        """Return whether each order can use the programme in some pool."""
        usable: npt.NDArray[np.bool_] = self.highest_of_order() > 0
        return usable

    def cap_of_order(self, cap_ucny: int) -> Ints:
        """Return a cap as it stands for each order: the least over the pools in which it can use the programme."""
        cap = np.where(self._special < 0, cap_ucny, self._special)
        least = np.where(self.share_ppm > 0, cap, UNLIMITED).min(axis=1, initial=UNLIMITED)
        of_order: Ints = np.where(least == UNLIMITED, cap_ucny, least)[self.kind_of_order]
        return of_order
