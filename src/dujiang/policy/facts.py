"""The facts of a round: what conditions look at, per order on the buyer's side, per pool on the seller's."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

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


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One fact over all orders, or over all pools."""

    codes: NDArray[np.int32]
    """Index into `values`, one per row."""
    values: tuple[Fact | None, ...]
    """What was stated, each of it at most once by the same source; None: nobody stated it."""

    def map(self, judge: Callable[[object], int]) -> NDArray[np.int8]:
        """Apply a function to each of the values once, and spread the results over the rows."""
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
        self.enterprise_row = _rows_of(book.orders["enterprise_id"], book.enterprises["enterprise_id"])
        """(J,), row of `book.enterprises`."""
        centres = book.centres.select(pl.all().name.prefix("centre."))
        self._pools = book.pools.join(
            centres, left_on="centre_id", right_on="centre.centre_id", how="left", maintain_order="left"
        )

    @property
    def orders(self) -> int:
        """Number of orders."""
        return self._book.orders.height

    @property
    def pools(self) -> int:
        """Number of pools."""
        return self._book.pools.height

    def column(self, fact: str) -> Column:
        """Return one fact over all pools if it is the seller's, else over all orders."""
        if fact not in self._cache:
            self._cache[fact] = self._seller(fact) if is_seller_side(fact) else self._buyer(fact)
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

    def _buyer(self, fact: str) -> Column:
        if fact == "good":
            return self._of_all(GOOD)
        if fact == "date":
            return self._of_all(self._book.day)
        layers = [self._of_all(self._declared(fact))]
        firms = _stated(self._book.enterprises, fact)
        if firms is not None:
            layers.insert(0, Column(firms.codes[self.enterprise_row], firms.values))
        if fact in ORDER_FACTS and fact in self._book.orders.columns:
            layers.insert(0, _coded(self._book.orders[fact]))
        return _first_known(layers)

    def _of_all(self, value: Fact | None) -> Column:
        return Column(np.zeros(self.orders, dtype=np.int32), (value,))

    def _seller(self, fact: str) -> Column:
        if fact == DOMESTIC:
            known = [self._domestic.get(name) for name in self._pools["accelerator"].to_list()]
            return _coded(pl.Series(known, dtype=pl.Boolean))
        return _coded(self._pools[SELLER_COLUMNS[fact]])

    def _declared(self, fact: str) -> Fact | None:
        """Return what the book, or else the round, says of every order."""
        declared = self._book.facts
        if fact in declared:
            return declared[fact]
        in_cny = _in_cny(fact)
        return ROUND_DEFAULTS.get(fact) if in_cny is None else _micro(declared.get(in_cny))


def _rows_of(names: pl.Series, keys: pl.Series) -> NDArray[np.int32]:
    """Return the row in `keys`, which hold each name once, of every one of `names`."""
    table = keys.rename("key").to_frame().with_row_index("row")
    found = names.rename("key").to_frame().join(table, on="key", how="left", maintain_order="left")["row"]
    return found.to_numpy().astype(np.int32)


def _first_known(layers: Sequence[Column]) -> Column:
    """Take each row from the first layer that knows it; the last has one value for all rows."""
    codes = layers[-1].codes
    values = layers[-1].values
    for layer in reversed(layers[:-1]):
        known = np.array([value is not None for value in layer.values], dtype=np.bool_)
        codes = np.where(known[layer.codes], layer.codes + len(values), codes).astype(np.int32)
        values = (*values, *layer.values)
    return Column(codes, values)


def _stated(frame: pl.DataFrame, name: str) -> Column | None:
    """Return a column's cells, None where there is none; a further column in yuan is turned into micro-yuan."""
    if name in frame.columns:
        return _coded(frame[name])
    in_cny = _in_cny(name)
    if in_cny is None or in_cny not in frame.columns:
        return None
    column = _coded(frame[in_cny])
    return Column(column.codes, tuple(_micro(value) for value in column.values))


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


def _coded(cells: pl.Series) -> Column:
    """Number the distinct cells; what is empty or of a type that no condition compares is unknown."""
    if isinstance(cells.dtype, pl.Categorical | pl.Enum):
        cells = cells.cast(pl.String)
    if not (cells.dtype.is_numeric() or cells.dtype in (pl.Boolean, pl.String, pl.Date, pl.Datetime)):
        return Column(np.zeros(cells.len(), dtype=np.int32), (None,))
    distinct = cells.rename("cell").unique(maintain_order=True)
    if distinct.len() == 1:
        codes = np.zeros(cells.len(), dtype=np.int32)
    else:
        table = distinct.to_frame().with_row_index("code")
        rows = cells.rename("cell").to_frame()
        coded = rows.join(table, on="cell", how="left", maintain_order="left", nulls_equal=True)["code"]
        codes = coded.to_numpy().astype(np.int32)
    values = distinct.to_list()
    plain = cells.dtype.is_integer() or cells.dtype == pl.Date  # nothing in them is empty but null
    return Column(codes, tuple(values if plain else map(_known, values)))


def _known(value: object) -> Fact | None:
    return value if isinstance(value, bool | int | float | str | date) and not _is_empty(value) else None
