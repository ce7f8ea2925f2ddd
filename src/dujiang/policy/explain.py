"""Why each order of a round can or cannot use each programme, for people."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dujiang.core.text import Text
from dujiang.policy.condition import Outcome
from dujiang.policy.evaluate import Status, missing, not_met, standing_reason
from dujiang.policy.programme import Condition, Programme

Outcomes = NDArray[np.int8]


def explain_orders(
    programme: Programme,
    standing: Status,
    buyer: tuple[Sequence[Condition], Outcomes],
    seller: tuple[Sequence[Condition], Outcomes],
    exhausted: NDArray[np.bool_],
) -> list[tuple[Status, Text]]:
    """Explain one programme to all orders.

    Parameters
    ----------
    programme, standing : the programme and what it can do on the day of the round
    buyer : conditions of the buyer's side and their outcomes, shape (conditions, J)
    seller : conditions of the seller's side and their outcomes, shape (conditions, P)
    exhausted : (J,), whether too little is left for the order's enterprise

    Returns
    -------
    J pairs of status and sentence. An order is eligible if it is in at least one pool; if it is in none, a condition of
    its own that is not met comes first, then one of the pools', then the facts that are missing
    """
    orders = exhausted.shape[0]
    if standing is not Status.OK:
        return [(standing, standing_reason(programme, standing))] * orders
    if orders == 0:
        return []
    sold = _seller_case(*seller)
    conditions, outcomes = buyer
    # Few combinations of outcomes occur among many orders: explain each once.
    patterns, which = np.unique(np.vstack([outcomes, exhausted.astype(np.int8)]), axis=1, return_inverse=True)
    said = [_explain(programme, conditions, column[:-1], bool(column[-1]), sold) for column in patterns.T]
    return [said[i] for i in which.reshape(-1).tolist()]


def _seller_case(conditions: Sequence[Condition], outcomes: Outcomes) -> tuple[Outcome, Condition | None, list[str]]:
    """Return the best outcome over the pools, a condition that none of them meets, and the facts that are missing."""
    if outcomes.shape[1] == 0 or not conditions:
        return Outcome.MET, None, []
    refused = np.any(outcomes == Outcome.NOT_MET, axis=0)
    unknown = np.any(outcomes == Outcome.UNKNOWN, axis=0)
    if np.any(~refused & ~unknown):
        return Outcome.MET, None, []
    if np.all(refused):
        first = int(np.argmax(np.any(outcomes == Outcome.NOT_MET, axis=1)))
        return Outcome.NOT_MET, conditions[first], []
    open_pools = outcomes[:, ~refused]
    named = [c.fact for c, row in zip(conditions, open_pools, strict=True) if np.any(row == Outcome.UNKNOWN)]
    return Outcome.UNKNOWN, None, named


def _explain(
    programme: Programme,
    conditions: Sequence[Condition],
    outcomes: Outcomes,
    exhausted: bool,
    sold: tuple[Outcome, Condition | None, list[str]],
) -> tuple[Status, Text]:
    """Explain one combination of outcomes."""
    best, refusing, unknown_of_pools = sold
    unmet = next((c for c, o in zip(conditions, outcomes, strict=True) if o == Outcome.NOT_MET), refusing)
    unknown = [c.fact for c, o in zip(conditions, outcomes, strict=True) if o == Outcome.UNKNOWN] + unknown_of_pools
    if unmet is not None:
        reason = not_met(unmet)
        return Status.INELIGIBLE, _joined(reason, missing(dict.fromkeys(unknown))) if unknown else reason
    if unknown or best is Outcome.UNKNOWN:
        return Status.UNKNOWN, missing(dict.fromkeys(unknown))
    status = Status.EXHAUSTED if exhausted else Status.OK
    return status, standing_reason(programme, status)


def _joined(first: Text, second: Text) -> Text:
    return Text(f"{first.en}; {second.en}", f"{first.zh}；{second.zh}")


STATUS_SCHEMA: dict[str, pl.DataType] = {
    "order_id": pl.String(),
    "programme_id": pl.String(),
    "status": pl.String(),
    "detail": pl.String(),
    "detail_zh": pl.String(),
}
"""`status` as in `Status`; `detail` names the first condition that is not met and the facts that are missing."""


def status_frame(
    order_ids: Sequence[str], programme_ids: Sequence[str], said: Sequence[Sequence[tuple[Status, Text]]]
) -> pl.DataFrame:
    """Put explanations (K programmes of J orders each) into one table, in the order of orders, then programmes."""
    rows = [
        (order, programme, str(said[k][j][0]), *said[k][j][1])
        for j, order in enumerate(order_ids)
        for k, programme in enumerate(programme_ids)
    ]
    return pl.DataFrame(rows, schema=STATUS_SCHEMA, orient="row")
