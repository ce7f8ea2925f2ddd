"""The attribute table of a book, read from the catalogue: the manual, the reader and the defaults are one thing."""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal, cast, get_args

ColumnType = Literal["id", "ref", "name", "text", "list", "int", "micro", "money", "float", "instant", "date", "bool"]
"""`micro`: decimal with at most six places, stored in millionths; `money`: the same of yuan, stored in micro-yuan;
`list`: `;`-separated, stored as a list of text."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of one table of a book."""

    table: str
    column: str
    """Name in the file."""
    stored: str
    """Name in `Book`."""
    type: ColumnType
    required: bool
    unit: str
    default: str | None
    """Default as it would be written in the file; None: null."""
    min: str | None
    max: str | None
    en: str
    zh: str


@cache
def book_columns() -> dict[str, tuple[Column, ...]]:
    """Return the columns of each table, in the order of the manual."""
    text = files("dujiang.catalog").joinpath("data/book_columns.csv").read_text(encoding="utf-8")
    tables: dict[str, list[Column]] = {}
    for row in csv.DictReader(text.splitlines()):
        assert row["type"] in get_args(ColumnType), row
        column = Column(
            table=row["table"],
            column=row["column"],
            stored=row["stored"],
            type=cast(ColumnType, row["type"]),
            required=row["required"] == "yes",
            unit=row["unit"],
            default=row["default"] or None,
            min=row["min"] or None,
            max=row["max"] or None,
            en=row["en"],
            zh=row["zh"],
        )
        tables.setdefault(column.table, []).append(column)
    return {name: tuple(columns) for name, columns in tables.items()}
