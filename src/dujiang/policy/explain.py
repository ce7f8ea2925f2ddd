"""Why each order of a round can or cannot use each programme, for people; worked out only for those who ask."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from dujiang.core.text import Text
from dujiang.policy.condition import Outcome
from dujiang.policy.evaluate import NO_RATE, Status, missing, not_met, standing_reason
from dujiang.policy.facts import is_seller_side
from dujiang.policy.holding import FREE
from dujiang.policy.offer import Offer, RoundOffers
from dujiang.policy.programme import Asked, ConditionGroup, How, Programme, leaves
from dujiang.policy.questions import Kinds
from dujiang.registry.book import Book

STATUS_SCHEMA: dict[str, pl.DataType] = {
    "order_id": pl.String(),
    "programme_id": pl.String(),
    "status": pl.String(),
    "detail": pl.String(),
    "detail_zh": pl.String(),
}
"""`status` as in `Status`; `detail` names the first condition that is not met and the facts that are missing."""


def voucher_status(
    book: Book, programmes: Sequence[Programme], budgets: Mapping[str, int | None], *, domestic: Mapping[str, bool]
) -> pl.DataFrame:
    """Explain every programme of a round to every order; parameters are those of `terms.voucher_terms`.

    Returns
    -------
    `STATUS_SCHEMA`, one row per order and programme, in the order of the book's orders, then of programme ids. An order
    is eligible if it is in at least one pool; if it is in none, a condition of its own that is not met comes first,
    then one of the pools', then the facts that are missing
    """
    offers = RoundOffers(book, programmes, budgets, domestic)
    orders, count = offers.facts.orders, len(offers.programmes)
    frames = [_programme_frame(book, offers, k) for k in range(count)]
    if not frames:
        return pl.DataFrame(schema=STATUS_SCHEMA)
    by_order = np.arange(orders * count, dtype=np.uint32).reshape(count, orders).T.reshape(-1)
    return pl.concat(frames)[by_order]


def _programme_frame(book: Book, offers: RoundOffers, k: int) -> pl.DataFrame:
    """Explain one programme to all orders."""
    offer = offers.offers[k]
    least = max(1, int(offers.minimum[k]))
    exhausted = offers.room(k, offers.cap_left(k)) < least
    against = offers.against[offers.facts.enterprise_row, k]
    # Few combinations occur among many orders: explain each once.
    kind_of = offer.questions.orders.of_row
    cases = Kinds.of_all(
        (
            (kind_of, offer.questions.shape[0]),
            (exhausted.astype(np.int8), 2),
            (against - FREE, len(offers.held_ids) + 1),
        ),
        offers.facts.orders,
    )
    said = []
    for row in cases.first.tolist():
        held = None if against[row] == FREE else offers.held_ids[against[row]]
        said.append(_explain(offer, int(kind_of[row]), bool(exhausted[row]), held))
    table = pl.DataFrame(
        [(offer.programme.id, str(status), text.en, text.zh) for status, text in said],
        schema={name: dtype for name, dtype in STATUS_SCHEMA.items() if name != "order_id"},
        orient="row",
    )
    return table[cases.of_row].select(book.orders["order_id"], pl.all())


def _explain(offer: Offer, kind: int, exhausted: bool, held: str | None) -> tuple[Status, Text]:
    """Explain a programme to one kind of order."""
    if offer.status is not Status.OK:
        return offer.status, offer.reason
    unmet, unknown = _conditions_case(offer, kind)
    if unmet is not None:
        reason = NO_RATE if unmet is offer.some_case else not_met(unmet)
        return Status.INELIGIBLE, _joined(reason, missing(unknown)) if unknown else reason
    if unknown:
        return Status.UNKNOWN, missing(unknown)
    if held is not None:
        return Status.INELIGIBLE, _ruled_out(held)
    status = Status.EXHAUSTED if exhausted else Status.OK
    return status, standing_reason(offer.programme, status)


def _conditions_case(offer: Offer, kind: int) -> tuple[Asked | None, list[str]]:
    """Return the condition that leaves one kind of order without any pool, if there is one, and the missing facts."""
    own: list[Asked] = []
    sold: list[Asked] = []
    for condition in offer.asked:
        (sold if any(is_seller_side(c.fact) for c in leaves((condition,))) else own).append(condition)
    outcomes = {c: np.broadcast_to(offer.questions.outcome(c), offer.questions.shape)[kind] for c in sold}
    of_own = {c: int(offer.questions.outcome(c)[kind, 0]) for c in own}
    refused = np.zeros(offer.questions.shape[1], dtype=np.bool_)
    open_ = ~refused
    for outcome in outcomes.values():
        refused |= outcome == Outcome.NOT_MET
        open_ &= outcome == Outcome.MET
    unmet = next((c for c in own if of_own[c] == Outcome.NOT_MET), None)
    if unmet is None and refused.size and refused.all():
        unmet = next(c for c in sold if np.any(outcomes[c] == Outcome.NOT_MET))
    unmet = None if unmet is None else _first_unmet(offer, unmet, kind)
    unknown = [fact for c in own for fact in offer.questions.unknown_facts(c, kind, np.array([True]))]
    if not open_.any():
        unknown += [fact for c in sold for fact in offer.questions.unknown_facts(c, kind, ~refused)]
    return unmet, list(dict.fromkeys(unknown))


def _first_unmet(offer: Offer, item: Asked, kind: int) -> Asked:
    """Return what to name of a condition that is not met: of a group whose members all have to be met, the first."""
    while isinstance(item, ConditionGroup) and item.how is How.ALL:
        outcomes = [np.broadcast_to(offer.questions.outcome(m), offer.questions.shape)[kind] for m in item.members]
        item = next(m for m, o in zip(item.members, outcomes, strict=True) if np.any(o == Outcome.NOT_MET))
    return item


def _ruled_out(held: str) -> Text:
    return Text(f"the enterprise holds {held}, and the two rule each other out", f"该企业已用 {held}，二者不可并用")


def _joined(first: Text, second: Text) -> Text:
    return Text(f"{first.en}; {second.en}", f"{first.zh}；{second.zh}")
