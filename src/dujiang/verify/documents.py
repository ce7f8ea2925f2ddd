"""Reads tables, YAML and JSON from disk; whatever is wrong with them becomes `Broken`, never anything else."""

import csv
import json
from io import StringIO
from pathlib import Path
from typing import Any

import polars as pl
from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import YAMLError

from dujiang.verify.cells import Broken

Row = dict[str, Any]


class _PlainDates(SafeConstructor):
    """Leaves dates and instants as the text that stands in the file."""


_PlainDates.add_constructor("tag:yaml.org,2002:timestamp", SafeConstructor.construct_yaml_str)


def read_bytes(path: Path) -> bytes:
    """Return the bytes of a file."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise Broken(path.name, error.strerror or "unreadable", "a readable file", "可读的文件") from None


def read_text(path: Path) -> str:
    """Return the text of a UTF-8 file, with or without a byte order mark."""
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Broken(path.name, "other bytes", "UTF-8 text", "UTF-8 文本") from None


def read_mapping(path: Path) -> Row:
    """Return a YAML document that is a mapping."""
    parser = YAML(typ="safe", pure=True)
    parser.Constructor = _PlainDates
    try:
        value = parser.load(read_text(path))
    except (YAMLError, ValueError, RecursionError, TypeError, AttributeError, OverflowError):
        raise Broken(path.name, "broken YAML", "a YAML mapping", "YAML 映射") from None
    if not isinstance(value, dict):
        raise Broken(path.name, value, "a YAML mapping", "YAML 映射")
    return value


def read_json(path: Path) -> Row:
    """Return a JSON document that is an object."""
    try:
        value = json.loads(read_text(path))
    except (ValueError, RecursionError):
        raise Broken(path.name, "broken JSON", "a JSON object", "JSON 对象") from None
    if not isinstance(value, dict):
        raise Broken(path.name, value, "a JSON object", "JSON 对象")
    return value


def read_parquet(path: Path) -> pl.DataFrame:
    """Return a parquet table."""
    data = read_bytes(path)
    try:
        return pl.read_parquet(data)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError):
        raise Broken(path.name, "broken parquet", "a parquet table", "parquet 表") from None


def read_cells(folder: Path, name: str) -> tuple[str, pl.DataFrame] | None:
    """Return the file name and the raw cells of a table of a book, or None if the book has no such table.

    Cells of a CSV table are text as it stands there, those of a parquet table may be typed.
    """
    found = [path for suffix in ("csv", "parquet") if (path := folder / f"{name}.{suffix}").exists()]
    if not found:
        return None
    if len(found) > 1:
        raise Broken(name, "a csv and a parquet file", "one of the two", "二者之一")
    path = found[0]
    return path.name, read_parquet(path) if path.suffix == ".parquet" else _csv_cells(path)


def read_table(folder: Path, name: str) -> tuple[str, list[Row]] | None:
    """Return the same as rows; for the short tables."""
    found = read_cells(folder, name)
    return None if found is None else (found[0], found[1].to_dicts())


_PIECE = 1 << 16
"""Rows of a CSV table that are held as Python objects at a time."""


def _csv_cells(path: Path) -> pl.DataFrame:
    reader = csv.reader(StringIO(read_text(path), newline=""), strict=True)
    pieces: list[pl.DataFrame] = []
    rows: list[list[str]] = []
    try:
        header = [cell.strip() for cell in next(reader, [])]
        if not header or len(set(header)) < len(header):
            raise Broken(path.name, header, "a header of different columns", "互不相同的列名")
        schema = dict.fromkeys(header, pl.String)
        for cells in reader:
            if len(cells) == len(header):
                rows.append(cells)
            elif any(cell.strip() for cell in cells):
                wanted = str(len(header))
                raise Broken(f"{path.name}:{reader.line_num}", f"{len(cells)} cells", wanted, wanted)
            if len(rows) == _PIECE:
                pieces.append(pl.DataFrame(rows, schema=schema, orient="row"))
                rows = []
    except csv.Error:
        raise Broken(path.name, "broken CSV", "a CSV table", "CSV 表") from None
    table = pl.concat([*pieces, pl.DataFrame(rows, schema=schema, orient="row")])
    blank = pl.all_horizontal(pl.all().str.strip_chars() == "")
    return table.filter(~blank)
