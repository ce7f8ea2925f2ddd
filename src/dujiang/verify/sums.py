"""Sums of many 64-bit amounts, which need not fit 64 bits themselves."""

import numpy as np

from dujiang.verify.amounts import Exact
from dujiang.verify.cells import Ints


def exact_sum(values: Exact) -> int:
    """Return the sum of whole numbers."""
    if values.dtype == object:
        return int(sum(values.tolist()))
    return (int((values >> 32).sum()) << 32) + int((values & 0xFFFFFFFF).sum())


def sums_by(codes: Ints, values: Exact, count: int) -> list[int]:
    """Return the sum of the values of each code from 0 to count - 1."""
    if values.dtype == object:
        totals = [0] * count
        for code, value in zip(codes.tolist(), values.tolist(), strict=True):
            totals[code] += value
        return totals
    high, low = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
    np.add.at(high, codes, values >> 32)
    np.add.at(low, codes, values & 0xFFFFFFFF)
    return [(int(h) << 32) + int(w) for h, w in zip(high, low, strict=True)]
