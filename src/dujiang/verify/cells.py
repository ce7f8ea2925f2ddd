"""Cells of tables and values of YAML documents, turned into exact numbers and plain words.

A CSV cell is text, a parquet cell may be typed, a YAML value may be either: each function takes all three. An empty
cell is None. What cannot be read raises `Broken`, which the readers turn into findings.
"""

import math
from collections.abc import Callable
from datetime import MAXYEAR, MINYEAR, UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from dujiang.verify.verdict import shown

Value = TypeVar("Value")
Ints = npt.NDArray[np.int64]

MICRO = 1_000_000
"""Millionths in one: micro-yuan in a yuan, ppm in a share."""
FEN = 10_000
"""Micro-yuan in a fen."""
DIGITS = 16
"""Digits before the point that are read, and twice as many places; Decimal itself stumbles over far longer ones."""
LARGEST = 10**15
"""Largest amount that a book may state, micro-yuan."""
UNLIMITED = (2**63 - 1) // 4
"""Room that files state where a programme has neither a cap nor a budget, micro-yuan."""

_TRUTHS = {"true": True, "yes": True, "1": True, "是": True, "false": False, "no": False, "0": False, "否": False}


class Broken(Exception):  # noqa: N818 - a finding in flight, not a programming error
    """A file, a row or a cell that cannot be understood."""

    def __init__(self, where: str, found: object, en: str, zh: str) -> None:
        super().__init__(where)
        self.where = where
        self.found = shown(found)
        self.en = en
        self.zh = zh


def is_empty(value: object) -> bool:
    """Return whether a cell says nothing; a NaN is what some writers leave for null."""
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or (isinstance(value, str) and not value.strip())


def decimal(where: str, value: object) -> Decimal:
    """Read a finite decimal number; a float stands for its shortest decimal."""
    if not isinstance(value, bool):
        try:
            number = Decimal(repr(value) if isinstance(value, float) else str(value).strip())
        except InvalidOperation:
            number = Decimal("NaN")
        if number.is_finite() and (not number or number.adjusted() < -2 * DIGITS):
            return Decimal(0)
        if number.is_finite() and number.adjusted() < DIGITS:
            return number
    raise Broken(where, value, "a decimal number", "十进制数")


def micro(where: str, value: object) -> int | None:
    """Read a decimal into millionths, half to even past the sixth place."""
    if is_empty(value):
        return None
    return int(decimal(where, value).scaleb(6).to_integral_value(ROUND_HALF_EVEN))


def whole(where: str, value: object) -> int | None:
    """Read a whole number."""
    if is_empty(value):
        return None
    number = decimal(where, value)
    if number != number.to_integral_value():
        raise Broken(where, value, "a whole number", "整数")
    return int(number)


def real(where: str, value: object) -> float | None:
    """Read a measured quantity that is a float everywhere (PUE, watts, milliseconds)."""
    return None if is_empty(value) else float(decimal(where, value))


def word(where: str, value: object) -> str | None:
    """Read a name: text without the blanks around it."""
    if is_empty(value):
        return None
    if isinstance(value, bool | list | dict):
        raise Broken(where, value, "text", "文本")
    return str(value).strip()


def words(where: str, value: object) -> frozenset[str]:
    """Read a `;`-separated list of names; empty: none named."""
    if is_empty(value):
        return frozenset()
    parts = value if isinstance(value, list) else str(value).split(";")
    return frozenset(str(part).strip() for part in parts if not is_empty(part))


def truth(where: str, value: object) -> bool | None:
    """Read a yes or no."""
    if is_empty(value):
        return None
    answer = _TRUTHS.get(str(value).strip().lower())
    if answer is None:
        raise Broken(where, value, "true or false", "true 或 false")
    return answer


def instant(where: str, value: object) -> datetime:
    """Read an RFC 3339 instant with its offset, into UTC."""
    try:
        moment = datetime.fromisoformat(str(value).strip())
        if moment.tzinfo is not None and MINYEAR < moment.year < MAXYEAR:
            return moment.astimezone(UTC)
    except ValueError:
        pass
    raise Broken(where, value, "an RFC 3339 instant with an offset", "带时区的 RFC 3339 时刻")


def day(where: str, value: object) -> date | None:
    """Read a civil date."""
    if is_empty(value):
        return None
    try:
        return date.fromisoformat(str(value).strip()[:10])
    except ValueError:
        raise Broken(where, value, "a date as YYYY-MM-DD", "YYYY-MM-DD 日期") from None


def coded(cells: pl.Series, read: Callable[[object], Value]) -> tuple[list[Value], Ints]:
    """Read a column: each cell that differs once, in the order of first appearance; and which of them each row has."""
    if isinstance(cells.dtype, pl.List):
        cells = cells.cast(pl.List(pl.String)).list.join(";", ignore_nulls=True)
    cells = cells.rename("cell")
    distinct = cells.unique(maintain_order=True)
    table = distinct.to_frame().with_row_index("code")
    codes = cells.to_frame().join(table, on="cell", how="left", maintain_order="left", nulls_equal=True)["code"]
    return [read(value) for value in distinct.to_list()], codes.cast(pl.Int64).to_numpy()


def ints(cells: pl.Series, read: Callable[[object], int]) -> Ints:
    """Read a column of whole numbers that fit 64 bits."""
    values, codes = coded(cells, read)
    return np.array(values, dtype=np.int64)[codes] if values else np.zeros(0, dtype=np.int64)
