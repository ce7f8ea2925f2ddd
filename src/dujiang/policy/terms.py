"""What programmes offer in one round: the share, the room and the limits of every order, as arrays for the clearing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dujiang.policy.admission import ceiling_ppm, compatible
from dujiang.policy.offer import UNLIMITED, Ints, RoundOffers
from dujiang.policy.programme import Programme
from dujiang.policy.questions import Kinds
from dujiang.registry.book import Book

NO_CAP = -1


@dataclass(frozen=True, slots=True, eq=False)
class VoucherTerms:
    """Terms of K programmes for J orders (rows of `book.orders`) in P pools (rows of `book.pools`), factored.

    Orders that every programme treats alike are one class of V, so nothing is held per order, programme and pool. A
    voucher of programme k for order j in pool p pays
    `min(floor(share_ppm[term_class[j], k, p] * gross / 1e6), room_ucny[j, k])`. All arrays are C-contiguous.
    """

    programme_ids: tuple[str, ...]
    """(K,), sorted."""
    budget_left_ucny: Ints
    """(K,), micro-yuan left before the round, never negative; `UNLIMITED` without a budget."""
    budget_limited: NDArray[np.bool_]
    """(K,)."""
    minimum_ucny: Ints
    """(K,), least voucher that may be claimed, micro-yuan; 0 without one."""
    ceiling_ppm: Ints
    """(K,), most of the gross payment that this and all other vouchers of an award may reach together; at most 1e6."""
    together: NDArray[np.bool_]
    """(K, K), symmetric: whether one contract may use both programmes; false on the diagonal."""
    share_ppm: Ints
    """(V, K, P); 0: orders of that class cannot use the programme in that pool."""
    term_class: NDArray[np.int32]
    """(J,), row of `share_ppm`; classes are numbered in the order of their first order, no two are equal."""
    room_ucny: Ints
    """(J, K), the least of cap left, budget left and cap per contract, before the round; `UNLIMITED` without any."""
    cap_index: NDArray[np.int32]
    """(J, K), row in the cap arrays; `NO_CAP`: no cap per enterprise, or no pool in which the order may use it."""
    cap_left_ucny: Ints
    """(C,), micro-yuan left of one enterprise's cap before the round, never negative."""
    cap_programme: NDArray[np.int32]
    """(C,), index of the programme; rows by (programme, enterprise)."""
    cap_enterprise: pl.Series
    """(C,), enterprise_id."""
    contract_index: NDArray[np.int32]
    """(J,), orders with the same number share one contract, which uses a programme at most once."""


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
    the terms; an order whose facts leave a condition unknown gets share 0, and so does every order where a round cannot
    work out the programme; `explain.voucher_status` says why
    """
    offers = RoundOffers(book, programmes, budgets, domestic)
    kinds, share = _classes(offers)
    caps = _Caps(offers, book.enterprises["enterprise_id"])
    return VoucherTerms(
        programme_ids=tuple(p.id for p in offers.programmes),
        budget_left_ucny=offers.budget_left,
        budget_limited=offers.budget_left < UNLIMITED,
        minimum_ucny=offers.minimum,
        ceiling_ppm=np.array([ceiling_ppm(p) for p in offers.programmes], dtype=np.int64),
        together=compatible(offers.programmes),
        share_ppm=share,
        term_class=kinds.of_row,
        room_ucny=caps.room,
        cap_index=caps.index,
        cap_left_ucny=np.concatenate([np.zeros(0, dtype=np.int64), *caps.left]),
        cap_programme=np.repeat(np.arange(len(caps.left)), [len(left) for left in caps.left]).astype(np.int32),
        cap_enterprise=caps.enterprise,
        contract_index=_contracts(book, offers.facts.enterprise_row),
    )


def _classes(offers: RoundOffers) -> tuple[Kinds, Ints]:
    """Return the class of every order and (V, K, P) the shares of every class."""
    codes, tables = [], []
    for k, offer in enumerate(offers.offers):
        distinct, which = _distinct_rows(offer.share_ppm)
        of_order = which[offer.questions.orders.of_row]
        codes.append(np.where(offers.free(k), of_order, 0))
        tables.append(distinct[:, offer.questions.pools.of_row])
    kinds = Kinds.of_all(
        ((of_order, len(table)) for of_order, table in zip(codes, tables, strict=True)), offers.facts.orders
    )
    share = np.zeros((kinds.first.size, len(tables), offers.facts.pools), dtype=np.int64)
    for k, (of_order, table) in enumerate(zip(codes, tables, strict=True)):
        share[:, k] = table[of_order[kinds.first]]
    return kinds, share


def _distinct_rows(rows: Ints) -> tuple[Ints, NDArray[np.int32]]:
    """Return the distinct rows with one of zeros at the head, and the place of every row among them."""
    if rows.shape[1] == 0:
        return rows[:1] if len(rows) else np.zeros((1, 0), dtype=np.int64), np.zeros(len(rows), dtype=np.int32)
    distinct, which = np.unique(np.vstack([np.zeros_like(rows[:1]), rows]), axis=0, return_inverse=True)
    return distinct, which.reshape(-1)[1:].astype(np.int32)


class _Caps:
    """Caps per enterprise as rows of one table, and the room that all limits leave each order."""

    def __init__(self, offers: RoundOffers, enterprises: pl.Series) -> None:
        shape = (offers.facts.orders, len(offers.programmes))
        self.room = np.empty(shape, dtype=np.int64)
        self.index = np.full(shape, NO_CAP, dtype=np.int32)
        self.left: list[Ints] = []
        """One array per programme, micro-yuan."""
        names = [enterprises.clear()]
        for k in range(shape[1]):
            left = offers.cap_left(k)
            self.room[:, k] = offers.room(k, left)
            if left is None:
                self.left.append(np.zeros(0, dtype=np.int64))
                continue
            usable = offers.usable(k)
            asking = np.zeros(left.size, dtype=np.bool_)
            asking[offers.facts.enterprise_row[usable]] = True
            row = np.cumsum(asking, dtype=np.int32) - 1 + sum(map(len, self.left))
            self.index[:, k] = np.where(usable, row[offers.facts.enterprise_row], NO_CAP)
            self.left.append(left[asking])
            names.append(enterprises.filter(asking))
        self.enterprise = pl.concat(names)


def _contracts(book: Book, enterprise_row: NDArray[np.int32]) -> NDArray[np.int32]:
    """Number the contracts in the order of the book; an order without a contract_id is one of its own."""
    height = book.orders.height
    key = np.arange(height, dtype=np.int64)
    contracts = book.orders["contract_id"]
    named = contracts.is_not_null().to_numpy()
    if named.any():
        of_firm = pl.DataFrame({"enterprise": enterprise_row[named], "contract": contracts.filter(named)})
        rank = of_firm.select(pl.struct("enterprise", "contract").rank("dense")).to_series().to_numpy()
        key[named] = height + rank.astype(np.int64)
    return Kinds.of(key, 2 * height + 1).of_row
