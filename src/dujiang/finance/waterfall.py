"""Who bears a loss: a chain of agreements that each move a part of it from one party to the next.

A loss begins with its bearer, usually the bank that lent. Every agreement, in the order of the list, moves a part of
what its ceding party bears *by then* to the party that takes it: a guarantee, a compensation fund, a co-insurance pool,
a reinsurer. So a share, a layer, a cap and an annual stop-loss are one form with different terms:

    ceded = min(share x max(0, min(borne, top) - attachment), left of the cap of the year, left of the cap in all)

- share: a quota of what lies between attachment and top, cut down to the fen ("not above" is a ceiling);
- layer: attachment and top, of one loan (`Per.LOAN`) or of the losses of a year (`Per.YEAR`);
- annual stop-loss: a layer of a year whose attachment is a share of the balance;
- caps: what the taking party pays at most in a year, and in all years together; the rest stays where it was.

Amounts are moved and never made, so every yuan of loss is borne by exactly one party at every point of the chain. Terms
in shares of the balance mean what is scheduled to be owed at the opening of the year if nobody defaults: they are fixed
amounts before anything happens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from dujiang.core.money import FEN, MICRO
from dujiang.core.text import Text

Amounts = npt.NDArray[np.int64]


class Per(StrEnum):
    """What the layer of an agreement is measured on."""

    LOAN = "loan"
    """Each loan's loss by itself."""
    YEAR = "year"
    """The sum of the losses of a year."""


@dataclass(frozen=True, slots=True)
class Cession:
    """One agreement: a part of what `ceded_by` bears goes to `taken_by`."""

    id: str
    name: Text
    ceded_by: int
    """Position of the party that bears less afterwards."""
    taken_by: int
    """Position of the party that bears more."""
    per: Per = Per.YEAR
    share_ppm: int = MICRO
    above_ucny: tuple[int, ...] = ()
    """Attachment, by year (`Per.LOAN`: the same in each); empty: from the first yuan."""
    top_ucny: tuple[int, ...] = ()
    """Top of the layer, by year; empty: none."""
    most_ucny: tuple[int, ...] = ()
    """Cap on what is taken in a year, by year; empty: none. Of a year only."""
    most_in_all_ucny: int | None = None
    """Cap on what is taken in all years. Of a year only."""


@dataclass(frozen=True, slots=True)
class Borne:
    """What each party bears and what each agreement moved, in micro-yuan."""

    by_party: Amounts
    """Shape (loans or scenarios, years, parties)."""
    ceded: Amounts
    """Shape (loans or scenarios, years, agreements)."""


def share_down(amounts: Amounts, share_ppm: int) -> Amounts:
    """Return a share of amounts >= 0, cut down to the fen; exact, and free of overflow up to the largest int64."""
    whole, rest = np.divmod(amounts, MICRO)
    share: Amounts = (whole * share_ppm + rest * share_ppm // MICRO) // FEN * FEN
    return share


def per_loan(cessions: Sequence[Cession], losses: Amounts, bearer: int, parties: int) -> Borne:
    """Share the loss of single loans by the agreements that look at each loan.

    Parameters
    ----------
    cessions : the whole chain; only `Per.LOAN` is applied
    losses : loss of each loan in each year it may default in, micro-yuan >= 0, shape (loans, years)
    bearer : position of the party with which a loss begins
    parties : how many there are

    Returns
    -------
    what each party bears of each loss; the sum over parties is `losses`
    """
    borne = Borne(
        np.zeros((*losses.shape, parties), dtype=np.int64), np.zeros((*losses.shape, len(cessions)), dtype=np.int64)
    )
    borne.by_party[:, :, bearer] = losses
    for k, cession in enumerate(cessions):
        if cession.per is Per.LOAN:
            _move(borne, k, cession, _in_layer(cession, borne.by_party[:, :, cession.ceded_by]))
    return borne


def per_year(cessions: Sequence[Cession], before: Borne) -> Borne:
    """Share what is borne in each year by the agreements that look at a year, caps included.

    Parameters
    ----------
    cessions : the whole chain; only `Per.YEAR` is applied
    before : the sums over the loans that defaulted, by scenario and year, as `per_loan` shares them; left as they are
    """
    borne = Borne(before.by_party.copy(), before.ceded.copy())
    for k, cession in enumerate(cessions):
        if cession.per is not Per.YEAR:
            continue
        amounts = _in_layer(cession, borne.by_party[:, :, cession.ceded_by])
        if cession.most_ucny:
            amounts = np.minimum(amounts, np.array(cession.most_ucny, dtype=np.int64))
        if cession.most_in_all_ucny is not None:
            amounts = _within(amounts, cession.most_in_all_ucny)
        _move(borne, k, cession, amounts)
    return borne


def _in_layer(cession: Cession, borne: Amounts) -> Amounts:
    """Return the agreed share of what lies in the layer, shape (…, years)."""
    inside = borne
    if cession.top_ucny:
        inside = np.minimum(inside, np.array(cession.top_ucny, dtype=np.int64))
    if cession.above_ucny:
        inside = np.maximum(inside - np.array(cession.above_ucny, dtype=np.int64), 0)
    return share_down(inside, cession.share_ppm)


def _within(amounts: Amounts, most_ucny: int) -> Amounts:
    """Cut amounts of years, earlier years first, so that their sum does not pass a cap."""
    paid = np.minimum(np.cumsum(amounts, axis=1), most_ucny)
    cut: Amounts = np.diff(paid, axis=1, prepend=0)
    return cut


def _move(borne: Borne, k: int, cession: Cession, amounts: Amounts) -> None:
    borne.by_party[..., cession.ceded_by] -= amounts
    borne.by_party[..., cession.taken_by] += amounts
    borne.ceded[..., k] += amounts
