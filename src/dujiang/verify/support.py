"""What programmes are open to each order in each pool, and what is left of them before the round (design 4.3, 5.4)."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dujiang.verify.book import Book, Order, Pool
from dujiang.verify.cells import UNLIMITED, is_empty
from dujiang.verify.programme import Allowance, Programme

GOOD = "compute"
"""What every order of a round buys."""
SELLER_FACTS = ("seller_id", "seller_region", "seller_province", "seller_cluster", "accelerator", "domestic_compute")
"""Facts that come from the pool, not from the order."""
ALWAYS: Mapping[str, bool] = {"via_exchange": True, "self_built": False}
"""True of every award unless the book says otherwise: bought on the exchange, from a centre that lets it."""


@dataclass(frozen=True, slots=True)
class Support:
    """A programme that an order may use in one pool."""

    programme_id: str
    share_ppm: int
    room_ucny: int
    """Most that its voucher can be; `UNLIMITED` where neither a cap nor a budget is stated."""
    minimum_ucny: int = 0
    """Least that a voucher of it can be."""


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
        self._book = book
        self._domestic = domestic
        self._claimed: dict[tuple[str, str], int] = defaultdict(int)
        self._claimed_by: dict[tuple[str, str, str], int] = defaultdict(int)
        for claim in book.claims:
            self._claimed[claim.programme_id, claim.period] += claim.amount_ucny
            self._claimed_by[claim.programme_id, claim.enterprise_id, claim.period] += claim.amount_ucny
        self._asked = {k: self._split(programme.facts) for k, programme in self.by_id.items()}
        self._sellers = {pool.pool_id: self._seller(pool) for pool in book.pools.values()}
        self._shares: dict[tuple[object, ...], int | None] = {}

    @staticmethod
    def _split(facts: frozenset[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        sellers = tuple(sorted(facts.intersection(SELLER_FACTS)))
        return tuple(sorted(facts.difference(SELLER_FACTS))), sellers

    def budget_left(self, programme_id: str) -> int | None:
        """Return what is left of a budget before the round, micro-yuan; None: no budget is stated."""
        for_round = self._book.budgets.get(programme_id)
        if for_round is not None:
            return for_round  # what this round may spend: claims do not count against it
        budget = self.by_id[programme_id].budget
        if budget is None:
            return None
        used = sum(
            claimed
            for (claimed_id, label), claimed in self._claimed.items()
            if claimed_id == programme_id and self._counts(budget.period, label)
        )
        return max(0, budget.amount_ucny - used)

    def cap_left(self, programme_id: str, enterprise_id: str) -> int | None:
        """Return what is left of an enterprise's cap before the round, micro-yuan; None: no such cap."""
        cap = self.enterprise_cap(programme_id)
        if cap is None:
            return None
        used = sum(
            claimed
            for (claimed_id, claimant, label), claimed in self._claimed_by.items()
            if claimed_id == programme_id and claimant == enterprise_id and self._counts(cap.period, label)
        )
        return max(0, cap.amount_ucny - used)

    def enterprise_cap(self, programme_id: str) -> Allowance | None:
        """Return the cap per enterprise, if the programme has one."""
        cap = self.by_id[programme_id].cap
        return cap if cap is not None and cap.per == "enterprise" else None

    def _counts(self, period: str, label: str) -> bool:
        return period == "validity" or label == str(self._book.day.year)

    def room(self, programme_id: str, enterprise_id: str) -> int:
        """Return the most that one voucher can be, micro-yuan."""
        cap = self.by_id[programme_id].cap
        limits = [UNLIMITED, self.budget_left(programme_id), self.cap_left(programme_id, enterprise_id)]
        if cap is not None and cap.per == "contract":
            limits.append(cap.amount_ucny)
        return min(limit for limit in limits if limit is not None)

    def open_to(self, order: Order, pools: Iterable[Pool]) -> dict[str, list[Support]]:
        """Return by pool the programmes that an order may use there; those with nothing left are not among them."""
        usable: dict[str, list[Support]] = {pool.pool_id: [] for pool in pools}
        if order.max_vouchers < 1 or not usable:
            return usable
        facts = self._buyer(order)
        for programme_id, programme in self.by_id.items():
            room = self.room(programme_id, order.enterprise_id)
            if room <= 0:
                continue
            buyer_names, seller_names = self._asked[programme_id]
            known = tuple(_key(facts.get(name)) for name in buyer_names)
            for pool_id, supports in usable.items():
                seller = self._sellers[pool_id]
                key = (programme_id, known, tuple(_key(seller.get(name)) for name in seller_names))
                if key not in self._shares:
                    self._shares[key] = programme.share({**facts, **seller}, self._book.day)
                share = self._shares[key]
                if share:
                    supports.append(Support(programme_id, share, room, programme.minimum_ucny))
        return usable

    def _buyer(self, order: Order) -> dict[str, object]:
        """Facts of an order; what stands nearer to the order wins over what is declared for all."""
        enterprise = {k: v for k, v in self._book.enterprises[order.enterprise_id].items() if not is_empty(v)}
        own = {"enterprise_id": order.enterprise_id, "gpus": order.gpus, "purpose": order.purpose, **order.facts}
        layers = (ALWAYS, self._book.facts, enterprise, own)
        facts = {name: value for layer in layers for name, value in layer.items() if not is_empty(value)}
        return {**facts, "good": GOOD, "date": self._book.day}

    def _seller(self, pool: Pool) -> dict[str, object]:
        centre = self._book.centres[pool.centre_id]
        facts = {
            "seller_id": centre.centre_id,
            "seller_region": centre.region,
            "seller_province": centre.province,
            "seller_cluster": centre.cluster,
            "accelerator": pool.accelerator,
            "domestic_compute": self._domestic.get(pool.accelerator),
        }
        return {name: value for name, value in facts.items() if value is not None}


def _key(value: object) -> tuple[str, str]:
    """Return a value that can be compared and hashed, without `True` meeting `1`."""
    return type(value).__name__, str(value)
