"""Programmes that rule each other out for a whole enterprise: which of them it is taken to hold in a round."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dujiang.policy.programme import Programme, Scope
from dujiang.policy.together import bar_between

FREE = -1
"""Nothing that the enterprise holds stands against the programme."""


def held_against(
    programmes: Sequence[Programme], best_ppm: NDArray[np.int64], claims: pl.DataFrame, enterprises: pl.Series
) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """Tell which programmes an enterprise cannot use because of what else it holds.

    An enterprise holds what it has claimed, and of programmes that rule each other out and that its orders could use it
    is taken to choose the one with the highest share, at equal shares the first by id.

    Parameters
    ----------
    programmes : K programmes of the round, by id
    best_ppm : (E, K), highest share that any order of the enterprise could use, 0 if none could
    claims : the book's claims
    enterprises : (E,), enterprise_id

    Returns
    -------
    (E, K) index into the ids that come second, of the programme that stands against each; `FREE`: none does
    """
    ids = tuple(dict.fromkeys((*(p.id for p in programmes), *sorted(_excluded_ids(programmes)))))
    against = np.full(best_ppm.shape, FREE, dtype=np.int32)
    for k, programme in enumerate(programmes):
        for held in _ruled_out_by_claims(programme, programmes):
            holders = claims.filter((pl.col("programme_id") == held) & (pl.col("amount_ucny") > 0))["enterprise_id"]
            rows = enterprises.is_in(holders.implode()).to_numpy()
            against[rows & (against[:, k] == FREE), k] = ids.index(held)
    _choose(programmes, np.where(against == FREE, best_ppm, 0), against)
    return against, ids


def _rivals(one: Programme, other: Programme) -> bool:
    return bar_between(one, other, same_contract=False) is not None


def _excluded_ids(programmes: Sequence[Programme]) -> set[str]:
    return {name for p in programmes for e in p.excludes if e.scope is Scope.ENTERPRISE for name in e.programmes}


def _ruled_out_by_claims(programme: Programme, programmes: Sequence[Programme]) -> list[str]:
    """Return the ids whose claims rule a programme out; of one that takes no part no more than its id is known."""
    present = [p.id for p in programmes if p is not programme and _rivals(programme, p)]
    return sorted({*present, *_excluded_ids([programme])} - {programme.id})


def _choose(programmes: Sequence[Programme], best_ppm: NDArray[np.int64], against: NDArray[np.int32]) -> None:
    """Let every enterprise hold the best of programmes that rule each other out, and note it against the others."""
    rivals = [
        [j for j, other in enumerate(programmes) if j != k and _rivals(programme, other)]
        for k, programme in enumerate(programmes)
    ]
    torn = [k for k, others in enumerate(rivals) if others]
    if not torn:
        return
    # Few combinations of shares occur among many enterprises: choose once for each.
    patterns, which = np.unique(best_ppm[:, torn], axis=0, return_inverse=True)
    rows_of = [np.flatnonzero(which.reshape(-1) == i) for i in range(len(patterns))]
    for shares, rows in zip(patterns.tolist(), rows_of, strict=True):
        share_of = dict(zip(torn, shares, strict=True))
        held: list[int] = []
        for k in sorted((k for k in torn if share_of[k]), key=lambda k: (-share_of[k], k)):
            rival = next((h for h in held if h in rivals[k]), None)
            if rival is None:
                held.append(k)
            else:
                against[rows, k] = rival
