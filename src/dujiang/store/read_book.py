"""Reads a book folder: the only place where its files are opened. All problems of all files come together."""

import csv
import errno
import io
import os
from dataclasses import replace
from pathlib import Path

import polars as pl

from dujiang.core.marked import Marked, read_yaml
from dujiang.core.problem import Problem, ProblemList, shown
from dujiang.core.text import Text
from dujiang.registry.book import Book
from dujiang.registry.parse import KEYS, parse_book
from dujiang.registry.raw import RawBook, RawTable

_UTF8 = Text("UTF-8 text", "UTF-8 文本")
_SAVE_UTF8 = Text("save it as UTF-8 (in a spreadsheet: 'CSV UTF-8')", "请另存为 UTF-8（电子表格中选“CSV UTF-8”）")


def cannot_open(file: str, error: OSError) -> Problem:
    """Return the problem of a file that the system refuses to open."""
    reason = error.strerror or type(error).__name__
    expected = Text("a file that can be read", "可读取的文件")
    return Problem(
        "unreadable", file, None, None, reason, expected, Text("check its rights and its type", "请检查权限与类型")
    )


def read_bytes(path: Path) -> bytes:
    """Return the bytes of a file; a pipe or device, which might never end, is refused."""
    if not (path.is_file() or path.is_dir()) and path.exists():
        raise OSError(errno.EINVAL, "not a regular file")
    return path.read_bytes()


def decode(file: str, data: bytes) -> tuple[str | None, list[Problem]]:
    """Decode UTF-8 text, with or without a byte-order mark; say where and how it is not."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return None, [Problem("bad-encoding", file, 1, None, "UTF-16 text", _UTF8, _SAVE_UTF8)]
    try:
        return data.decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        row = data.count(b"\n", 0, error.start) + 1
        found = f"byte 0x{data[error.start]:02x}"
        try:
            data.decode("gb18030")
            found += " (looks like GB18030)"
        except UnicodeDecodeError:
            pass
        return None, [Problem("bad-encoding", file, row, None, found, _UTF8, _SAVE_UTF8)]


def _csv_header(file: str, header: list[str]) -> list[Problem]:
    problems = []
    for index, name in enumerate(header):
        if not name:
            found = f"an empty name in column {index + 1}"
            problems.append(Problem("bad-header", file, 1, None, found, Text("a column name", "列名")))
        elif name in header[:index]:
            problems.append(
                Problem("bad-header", file, 1, name, "the column twice", Text("each column once", "每列只出现一次"))
            )
    return problems


def parse_csv(file: str, data: bytes) -> tuple[RawTable | None, list[Problem]]:
    """Parse CSV bytes into text columns, each row with its line.

    Returns
    -------
    the table, or None and the problems: encoding, header, rows with too few or too many cells
    """
    text, problems = decode(file, data)
    if text is None:
        return None, problems
    if "\x00" in text:
        row = text.count("\n", 0, text.index("\x00")) + 1
        return None, [Problem("bad-encoding", file, row, None, "a NUL byte", _UTF8, _SAVE_UTF8)]
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    lines: list[int] = []
    records: list[list[str]] = []
    header: list[str] = []
    begin = 1
    try:
        for record in reader:
            line, begin = begin, reader.line_num + 1
            if not any(cell.strip() for cell in record):
                continue
            if not header:
                header = [cell.strip() for cell in record]
                problems += _csv_header(file, header)
            elif len(record) != len(header):
                expected = Text(f"{len(header)} cells, as in the header", f"{len(header)} 个单元格，与表头一致")
                problems.append(Problem("ragged-row", file, line, None, f"{len(record)} cells", expected))
            else:
                lines.append(line)
                records.append(record)
    except csv.Error as error:
        expected = Text("well-formed CSV (quotes closed and doubled)", "格式正确的 CSV（引号成对）")
        problems.append(Problem("bad-csv", file, begin, None, shown(str(error)), expected))
    if not header:
        problems.append(Problem("empty-file", file, None, None, "nothing", Text("a header line", "表头行")))
    if problems:
        return None, problems
    columns = list(zip(*records, strict=True)) if records else [()] * len(header)
    frame = pl.DataFrame(
        [pl.Series(name, column, dtype=pl.String) for name, column in zip(header, columns, strict=True)]
    )
    return RawTable(file, "csv", frame, lines), []


def read_table(folder: Path, name: str) -> tuple[RawTable | None, list[Problem]]:
    """Read one table of a folder, `.csv` or `.parquet`; (None, []) if it is not there."""
    paths = [folder / f"{name}.csv", folder / f"{name}.parquet"]
    present = [path for path in paths if path.is_symlink() or path.exists()]
    if len(present) == 2:
        expected = Text("one of the two", "二者之一")
        return None, [Problem("ambiguous-file", name, None, None, f"both {name}.csv and {name}.parquet", expected)]
    if not present:
        return None, []
    path = present[0]
    try:
        data = read_bytes(path)
    except OSError as error:
        return None, [cannot_open(path.name, error)]
    return (parse_csv if path.suffix == ".csv" else parse_parquet)(path.name, data)


def parse_parquet(file: str, data: bytes) -> tuple[RawTable | None, list[Problem]]:
    """Parse parquet bytes; a file that is none is a problem."""
    try:
        return RawTable(file, "parquet", pl.read_parquet(io.BytesIO(data))), []
    except BaseException as error:  # polars reports some broken files by a Rust panic, which is no Exception
        if isinstance(error, KeyboardInterrupt | SystemExit | MemoryError):
            raise
        found = shown(str(error).splitlines()[0] if str(error) else type(error).__name__)
        return None, [Problem("bad-parquet", file, None, None, found, Text("a parquet file", "parquet 文件"))]


def _read_header(folder: Path, problems: ProblemList) -> Marked | None:
    path = folder / "book.yaml"
    if not (path.exists() or path.is_symlink()):
        expected = Text("a file book.yaml with start and slots", "含 start 与 slots 的 book.yaml")
        problems.add(Problem("missing-file", "book.yaml", None, None, "no such file", expected))
        return None
    try:
        data = read_bytes(path)
    except OSError as error:
        problems.add(cannot_open(path.name, error))
        return None
    text, found = decode(path.name, data)
    problems.extend(found)
    if text is None:
        return None
    doc, found = read_yaml(path.name, text)
    problems.extend(found)
    return doc


def _unseen(folder: Path, base: Path, error: OSError) -> Problem:
    place = base if error.filename is None else Path(error.filename)
    return cannot_open(place.relative_to(folder).as_posix(), error)


def _read_programmes(folder: Path, problems: ProblemList) -> dict[str, bytes]:
    contents: dict[str, bytes] = {}
    base = folder / "programmes"
    if not (base.exists() or base.is_symlink()):
        return contents
    paths: list[Path] = []
    # A programme that could not be seen would be left out in silence, and with it somebody's money.
    for place, folders, names in os.walk(base, onerror=lambda error: problems.add(_unseen(folder, base, error))):
        paths += [Path(place) / name for name in (*folders, *names)]
        for link in (path for name in folders if (path := Path(place) / name).is_symlink()):
            expected = Text("files, and folders that are no links", "文件，或非链接的文件夹")
            name = link.relative_to(folder).as_posix()
            problems.add(Problem("unreadable", name, None, None, "a link to a folder", expected))
    for path in sorted(p for p in paths if p.suffix in (".yaml", ".yml")):
        name = path.relative_to(folder).as_posix()
        try:
            contents[name] = read_bytes(path)
        except OSError as error:
            problems.add(cannot_open(name, error))
    return contents


def read_raw(folder: Path, problems: ProblemList) -> RawBook:
    """Read all files of a book folder; what cannot be read becomes a problem."""
    try:
        list(folder.iterdir())
    except OSError as error:
        expected = Text("a folder that can be read, with book.yaml and tables", "可读取的文件夹，含 book.yaml 与各表")
        problems.add(
            Problem("unreadable", folder.name or str(folder), None, None, error.strerror or "an error", expected)
        )
        return RawBook(None, {}, unreadable=frozenset(KEYS))
    header = _read_header(folder, problems)
    tables: dict[str, RawTable] = {}
    unreadable = set()
    for name in KEYS:
        table, found = read_table(folder, name)
        problems.extend(found)
        if found:
            unreadable.add(name)
        if table is not None:
            tables[name] = table
    return RawBook(header, tables, _read_programmes(folder, problems), frozenset(unreadable))


def read_book(folder: Path, problems: ProblemList) -> tuple[Book | None, RawBook]:
    """Read and check a book folder.

    Returns
    -------
    the book (None if there is any problem), and the raw book without its tables, whose programme texts the policy step
    parses
    """
    raw = read_raw(folder, problems)
    return parse_book(raw, problems), replace(raw, tables={})
