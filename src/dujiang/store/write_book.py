"""Writes a book folder: all of it or nothing, and never over files that are no book."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import polars as pl
from ruamel.yaml import YAML

from dujiang.core.errors import InputError
from dujiang.core.problem import Problem, shown
from dujiang.core.text import Text
from dujiang.registry.columns import book_columns
from dujiang.registry.parse import OPEN, REQUIRED
from dujiang.store.files import parquet_bytes, replace_folder, writing

_PARQUET = frozenset({"orders", "enterprises", "running"})
"""Tables that grow with demand; the others are short and people edit them, so they are CSV."""


@dataclass(frozen=True, slots=True)
class BookFiles:
    """A book before it is written: what `book.yaml` and the tables will hold, with the column names of the files."""

    header: Mapping[str, object]
    """Document of `book.yaml`: start, slots, title, use, facts, assumptions."""
    tables: Mapping[str, pl.DataFrame]
    """Frames by table name; money in yuan, lists as `;`-separated text. Tables that would be empty may be absent."""
    remarks: tuple[Problem, ...] = field(default=())
    """Rows of the source that are not in the book, at most a few of each kind; their counts are in `assumptions`."""

    def __post_init__(self) -> None:
        for name, frame in self.tables.items():
            columns = book_columns()[name]
            missing = {c.column for c in columns if c.required} - set(frame.columns)
            unknown = set() if name in OPEN else set(frame.columns) - {c.column for c in columns}
            assert not missing, (name, missing)
            assert not unknown, (name, unknown)
        assert set(REQUIRED) <= set(self.tables), set(REQUIRED) - set(self.tables)


def header_bytes(header: Mapping[str, object]) -> bytes:
    """Return the document of `book.yaml` as a file."""
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.allow_unicode = True
    yaml.width = 118
    written = BytesIO()
    yaml.dump(dict(header), written)
    return written.getvalue()


def book_bytes(files: BookFiles) -> dict[str, bytes]:
    """Return the files of a book by name; the same book gives the same bytes."""
    written = {"book.yaml": header_bytes(files.header)}
    for name, frame in sorted(files.tables.items()):
        if frame.is_empty() and name not in REQUIRED:
            continue
        if name in _PARQUET:
            written[f"{name}.parquet"] = parquet_bytes(frame)
        else:
            written[f"{name}.csv"] = frame.write_csv().encode()
    return written


def write_book(files: BookFiles, folder: Path) -> None:
    """Write a book to a folder; readers see the old state or the new one, never half of it.

    Parameters
    ----------
    files : what to write
    folder : absent, empty, or a book that holds nothing but `book.yaml` and tables, which is then replaced

    Raises
    ------
    InputError : the folder holds something else, which would be lost
    OperationError : the disk refused; nothing has changed
    """
    with writing(folder):
        strangers = _strangers(folder)
    if strangers:
        raise InputError([_would_be_lost(folder, strangers[0])])
    replace_folder(folder, book_bytes(files))


def _strangers(folder: Path) -> list[str]:
    """Return what stands at the target and would be lost, by name; `.` is the target itself."""
    if not (folder.exists() or folder.is_symlink()):
        return []
    if folder.is_symlink() or not folder.is_dir():
        return ["."]
    names = sorted(entry.name for entry in folder.iterdir())
    own = {"book.yaml"} | {f"{table}.{kind}" for table in book_columns() for kind in ("csv", "parquet")}
    foreign = [name for name in names if name not in own]
    # Tables without book.yaml are somebody's data, not a book.
    return foreign or (names if names and "book.yaml" not in names else [])


def _would_be_lost(folder: Path, stranger: str) -> Problem:
    return Problem(
        code="not-a-book",
        file=folder.name,
        row=None,
        field=None,
        found="no folder" if stranger == "." else shown(stranger),
        expected=Text(
            "a new or empty folder, or one that holds only book.yaml and tables of a book",
            "新的或空的文件夹，或只含 book.yaml 与需求簿各表的文件夹",
        ),
        fix=Text("choose another folder or empty it yourself", "请另选文件夹，或自行清空"),
    )
