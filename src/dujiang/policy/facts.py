"""The facts of a round: what conditions look at, per order on the buyer's side, per pool on the seller's."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dujiang.core.money import MICRO, micro_from_float, parse_micro
from dujiang.registry.book import Book, Fact

GOOD = "compute"
"""What a round trades."""
ORDER_FACTS = (
    *("enterprise_id", "purpose", "gpus", "startup", "via_platform", "via_exchange"),
    *("related_party", "model_filed", "other_subsidy"),
)
"""Columns of an order that are facts; its window, limit and wishes are none."""
ROUND_DEFAULTS: Mapping[str, Fact] = {"via_exchange": True, "self_built": False}
"""True of every award, unless the book says otherwise: it is bought on the exchange, from a centre that lets it."""
SELLER_COLUMNS: Mapping[str, str] = {
    "seller_id": "centre_id",
    "seller_region": "centre.region",
    "seller_province": "centre.province",
    "seller_cluster": "centre.cluster",
    "accelerator": "accelerator",
}
"""Facts of the pool that sells, and where they stand; nothing declared for all orders can replace them."""
DOMESTIC = "domestic_compute"
"""The seller's fact that comes from the catalogue of accelerators."""


def is_seller_side(fact: str) -> bool:
    """Return whether a fact is about the pool that sells rather than the enterprise that buys and its order."""
    return fact in SELLER_COLUMNS or fact == DOMESTIC


@dataclass(frozen=True, slots=True)
class Column:
    """One fact over all orders, or over all pools."""

    codes: NDArray[np.intp]
    """Index into `values`, one per row."""
    values: tuple[object, ...]
    """The distinct values; None: nobody stated it."""

    def map(self, judge: Callable[[object], int]) -> NDArray[np.int8]:
        """Apply a function to each distinct value once, and spread the results over the rows."""
        return np.array([judge(value) for value in self.values], dtype=np.int8)[self.codes]


class RoundFacts:
    """Facts of one book.

    An order's own fact wins over its enterprise's, that over `book.facts`, those over
    `ROUND_DEFAULTS`. `good` and `date` are the round's and cannot be declared otherwise.

    Parameters
    ----------
    book : the checked book; rows of the results are in the order of `book.orders` and `book.pools`
    domestic : accelerator to whether it is domestic; an accelerator that is missing is unknown
    """

    def __init__(self, book: Book, domestic: Mapping[str, bool]) -> None:
        self._book = book
        self._domestic = domestic
        self._cache: dict[str, Column] = {}
        buyers = book.enterprises.select(pl.all().name.prefix("enterprise."))
        self._orders = book.orders.join(
            buyers, left_on="enterprise_id", right_on="enterprise.enterprise_id", how="left", maintain_order="left"
        )
        centres = book.centres.select(pl.all().name.prefix("centre."))
        self._pools = book.pools.join(
            centres, left_on="centre_id", right_on="centre.centre_id", how="left", maintain_order="left"
        )

    @property
    def orders(self) -> int:
        """Number of orders."""
        return self._orders.height

    @property
    def pools(self) -> int:
        """Number of pools."""
        return self._pools.height

    def column(self, fact: str) -> Column:
        """Return one fact over all pools if it is the seller's, else over all orders."""
        if fact not in self._cache:
            rows = self._seller(fact) if is_seller_side(fact) else self._buyer(fact)
            self._cache[fact] = _coded(rows)
        return self._cache[fact]

    def of(self, order: int, pool: int, names: Sequence[str]) -> dict[str, Fact]:
        """Return the named facts of one order in one pool that are known; rows count from 0."""
        found: dict[str, Fact] = {}
        for name in names:
            column = self.column(name)
            value = column.values[column.codes[pool if is_seller_side(name) else order]]
            if value is not None:
                found[name] = value
        return found

    def _buyer(self, fact: str) -> list[object]:
        height = self._orders.height
        if fact == "good":
            return [GOOD] * height
        if fact == "date":
            return [self._book.day] * height
        own = _cells(self._orders, fact) if fact in ORDER_FACTS else [None] * height
        return self._completed(fact, own, _cells(self._orders, f"enterprise.{fact}"))

    def _seller(self, fact: str) -> list[object]:
        if fact == DOMESTIC:
            return [self._domestic.get(name) for name in self._pools["accelerator"].to_list()]
        return self._pools[SELLER_COLUMNS[fact]].to_list()

    def _completed(self, fact: str, *layers: Sequence[object]) -> list[object]:
        """Take each row from the first layer that knows it, else what the book or the round says of all."""
        default = self._declared(fact)
        return [next((value for value in row if value is not None), default) for row in zip(*layers, strict=True)]

    def _declared(self, fact: str) -> object:
        """Return what the book, or else the round, says of every order."""
        declared = self._book.facts
        if fact in declared:
            return declared[fact]
        in_cny = _in_cny(fact)
        return ROUND_DEFAULTS.get(fact) if in_cny is None else _micro(declared.get(in_cny))


def _cells(frame: pl.DataFrame, name: str) -> list[object]:
    """Return a column's cells, None where there is none; a further column in yuan is turned into micro-yuan."""
    if name in frame.columns:
        return [None if _is_empty(value) else value for value in frame[name].to_list()]
    in_cny = _in_cny(name)
    if in_cny is not None and in_cny in frame.columns:
        return [_micro(value) for value in frame[in_cny].to_list()]
    return [None] * frame.height


def _is_empty(value: object) -> bool:
    """Return whether a cell says nothing: an empty text or a NaN is what some writers leave for null."""
    return (isinstance(value, str) and not value.strip()) or (isinstance(value, float) and math.isnan(value))


def _in_cny(name: str) -> str | None:
    """Return the name that a file gives to a money fact, None if it is none."""
    return f"{name.removesuffix('_ucny')}_cny" if name.endswith("_ucny") else None


def _micro(value: object) -> int | None:
    if isinstance(value, str):
        return parse_micro(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, int):
        return value * MICRO
    return micro_from_float(value) if math.isfinite(value) else None


def _coded(rows: Sequence[object]) -> Column:
    """Number the distinct values; True and 1 are told apart, and what cannot be compared is unknown."""
    index: dict[tuple[type, Any], int] = {}
    codes = np.empty(len(rows), dtype=np.intp)
    for i, value in enumerate(rows):
        known = value if isinstance(value, bool | int | float | str | date) else None
        codes[i] = index.setdefault((type(known), known), len(index))
    return Column(codes, tuple(value for _, value in index))
