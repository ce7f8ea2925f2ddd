"""Tables of a checked book in the form of their files, as the reader of a book takes them in again."""

import polars as pl

from dujiang.core.money import MICRO
from dujiang.registry.columns import book_columns

_MONEY = ("micro", "money")
"""Types that a book holds in millionths and a file in decimals."""


def file_frame(table: str, frame: pl.DataFrame, *, flat: bool = False) -> pl.DataFrame:
    """Return a table with the columns of its file; reading it gives the same rows.

    Parameters
    ----------
    table : name of the table; one of those without further columns
    frame : rows with the stored columns of a book, in any order; amounts are not negative
    flat : for CSV, which has no lists: they become `;`-separated text
    """
    columns = book_columns()[table]
    return frame.select(_cell(c.stored, c.type, flat).alias(c.column) for c in columns)


def _cell(stored: str, kind: str, flat: bool) -> pl.Expr:
    if kind in _MONEY:
        return decimal_text(pl.col(stored))
    if kind == "list" and flat:
        return pl.col(stored).list.join(";")
    return pl.col(stored)


def decimal_text(micro: pl.Expr) -> pl.Expr:
    """Write whole millionths, not negative, as decimals with six places: exact where a float would not be."""
    places = (micro % MICRO).cast(pl.String).str.zfill(6)
    return pl.concat_str((micro // MICRO).cast(pl.String), pl.lit("."), places)
