"""What outages take from the capacity of every pool, hour by hour."""

import numpy as np
import numpy.typing as npt

from dujiang.core.money import MICRO
from dujiang.lab.case import Case
from dujiang.market.book_arrays import supply

Int = npt.NDArray[np.int64]


def planned(case: Case) -> Int:
    """Return the accelerators that every pool offers in every hour as planned, shape (P, T)."""
    return supply(case.book)[0]


def standing(case: Case, begun_h: int | None = None) -> Int:
    """Return the accelerators that stand in every pool and hour, outages counted, shape (P, T).

    An outage takes its share of what was planned for each hour, rounded up; outages that overlap add up.

    Parameters
    ----------
    case : with its outages
    begun_h : count only outages that begin up to this hour; None: all
    """
    left = planned(case)
    down = np.zeros_like(left)
    centre_of = case.book.pools["centre_id"].to_numpy()
    for outage in case.outages:
        if begun_h is not None and outage.from_h > begun_h:
            continue
        hours = slice(max(outage.from_h, 0), max(outage.to_h, 0))
        at = np.flatnonzero(centre_of == outage.centre_id)
        down[at, hours] += -(-left[at, hours] * outage.share_ppm // MICRO)
    stands: Int = np.maximum(left - down, 0)
    return stands


__all__ = ["planned", "standing"]
