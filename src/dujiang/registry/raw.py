"""What stands in the files of a book, before anybody has judged it."""

from dataclasses import dataclass, field
from typing import Literal

import polars as pl

from dujiang.core.marked import Marked


@dataclass(frozen=True, slots=True)
class RawTable:
    """One table as read: text columns from CSV, typed columns from parquet."""

    file: str
    """File name that problems carry."""
    kind: Literal["csv", "parquet"]
    frame: pl.DataFrame
    rows: list[int] | None = None
    """Line in the file of each row (CSV); None: record number from 1 (parquet)."""

    def row(self, index: int) -> int:
        """Return the place of a row as a problem carries it."""
        return index + 1 if self.rows is None else self.rows[index]


@dataclass(frozen=True, slots=True)
class RawBook:
    """A book folder as read."""

    header: Marked | None
    """`book.yaml`; None where it could not be read (already a problem)."""
    tables: dict[str, RawTable]
    """Tables by name; those that are missing or unreadable are absent."""
    programmes: dict[str, bytes] = field(default_factory=dict)
    """Bytes of each file in `programmes/`, by path relative to the book."""
    unreadable: frozenset[str] = frozenset()
    """Tables that are there but could not be read (already problems), so that they are not called missing."""
