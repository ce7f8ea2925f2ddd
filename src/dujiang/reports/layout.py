"""The pieces of a report: cards, panels, tables, sections, and how names and rows become them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from dujiang.core.text import Text
from dujiang.reports.charts import (
    Figure,
)
from dujiang.reports.data import ReportData
from dujiang.reports.findings import (
    Pair,
    coupling,
)
from dujiang.reports.words import (
    COUPLING_WORDS,
    KIND_WORDS,
    UNKNOWN,
    same,
)

ROWS_DRAWN = 40
"""Rows of a chart at most; the rest stands in its table."""
ROWS_LISTED = 400
"""Rows of a table at most."""
GROUPS_DRAWN = 12


Row = Sequence[Text | str]
"""Cells: a string is the same in both languages."""


@dataclass(frozen=True, slots=True)
class Table:
    """Figures behind a chart."""

    head: tuple[Text, ...]
    rows: tuple[tuple[Text | str, ...], ...]
    words: int = 1
    """So many first columns are words and stand left; the others are numbers and stand right."""
    left_out: int = 0
    """Rows that were dropped to keep the page small."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart with its heading, how to read it, and its table."""

    key: str
    title: Text
    read: Text
    figure: Figure | None = None
    empty: Text | None = None
    """Said in place of a chart that has nothing to show; set exactly where `figure` is None and a chart is meant."""
    table: Table | None = None
    width: str = "full"
    """full, half or third of the page."""


@dataclass(frozen=True, slots=True)
class Card:
    """One key figure."""

    title: Text
    value: Text
    before: Text | None
    caption: Text


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with panels."""

    key: str
    title: Text
    intro: Text
    panels: tuple[Panel, ...] = ()
    notes: tuple[Text, ...] = ()


def name_of(data: ReportData, key: str | None) -> Text:
    """Return what people call an id; null is "not known"."""
    if key is None:
        return UNKNOWN
    return data.names.get(key) or KIND_WORDS.get(key) or same(key)


def centre_names(data: ReportData) -> Callable[[str], Text]:
    """Return a function from a centre's id to its name."""
    called = dict(data.book.centres.select("centre_id", "name").iter_rows())
    return lambda centre_id: data.names.get(centre_id) or same(called.get(centre_id) or centre_id)


def table_of(head: Sequence[Text], rows: Iterable[Row], words: int = 1) -> Table:
    """Return a table of at most `ROWS_LISTED` rows."""
    listed = tuple(tuple(row) for row in rows)
    return Table(tuple(head), listed[:ROWS_LISTED], words, max(0, len(listed) - ROWS_LISTED))


def ratio(value: float | None, most: float) -> float | None:
    """Divide; null where there is nothing to divide or to divide by."""
    return None if value is None or not most else value / most


def drawn_note(rows: int, drawn: int, what: Text) -> Text:
    """Say that a chart shows only the largest; nothing where it shows all."""
    if rows <= drawn:
        return Text("", "")
    return Text(
        f"The {drawn} largest of {rows:,} {what.en} are drawn; the table has more.",
        f"图中为 {rows:,} 个{what.zh}中最大的 {drawn} 个，其余见表。",
    )


def pair_words(pair: Pair) -> tuple[Text | None, Text]:
    """Return what the two outcomes are called."""
    before = None if pair.before is None else COUPLING_WORDS[coupling(pair.before)]
    return before, COUPLING_WORDS[coupling(pair.after)]
