"""Reads one order from a YAML file with the columns of `orders`, as a table with one row."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from math import isfinite
from pathlib import Path

import polars as pl

from dujiang.core.marked import Marked, read_yaml
from dujiang.core.problem import Problem, ProblemList
from dujiang.core.text import Text
from dujiang.registry.raw import RawTable
from dujiang.store.read_book import cannot_open, decode, read_bytes


def read_order(path: Path, problems: ProblemList) -> Marked | None:
    """Read the file; None if it is no YAML mapping (already a problem)."""
    try:
        data = read_bytes(path)
    except OSError as error:
        problems.add(cannot_open(path.name, error))
        return None
    text, found = decode(path.name, data)
    problems.extend(found)
    doc, found = (None, []) if text is None else read_yaml(path.name, text)
    problems.extend(found)
    if doc is not None and not isinstance(doc.value, Mapping):
        expected = Text("the columns of orders as name: value", "以“名称: 值”给出的 orders 各列")
        problems.add(doc.problem("bad-type", "", doc.value, expected))
        return None
    return doc


def order_table(doc: Marked, otherwise: Mapping[str, str], problems: ProblemList) -> RawTable:
    """Return the order as a table of text cells, to be parsed like one of a book.

    Parameters
    ----------
    doc : the file; lists may be YAML lists or `;`-separated text
    otherwise : cells of columns that the file need not have
    problems : takes values that no cell can hold
    """
    cells = dict(otherwise)
    for name, value in doc.value.items():
        text = _cell(value)
        if text is None and value is not None:
            expected = Text("one value, or a list of names", "单个值或名称列表")
            problems.add(doc.problem("bad-type", str(name), value, expected))
        elif text is not None:
            cells[str(name)] = text
        else:
            cells.setdefault(str(name), "")
    return RawTable(doc.file, "csv", pl.DataFrame({name: [cell] for name, cell in cells.items()}), [1])


def _cell(value: object) -> str | None:
    """Return a value as a cell of CSV holds it; None if none can."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return format(Decimal(repr(value)), "f") if isfinite(value) else str(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, list):
        parts = [_cell(part) for part in value if not isinstance(part, list)]
        return None if len(parts) < len(value) or None in parts else ";".join(map(str, parts))
    return str(value) if isinstance(value, str | int) else None


def at_line(problem: Problem, doc: Marked) -> Problem:
    """Return a problem of the table with the line that the field has in the file."""
    if problem.file != doc.file:
        return problem
    return replace(problem, row=None if problem.field is None else doc.lines.get(problem.field))
