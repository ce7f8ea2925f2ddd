"""One row of a catalogue table, and how such tables are read and checked.

The fields of a record are the columns of its table: there is no second list of names and types that could differ.
"""

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import MappingProxyType, NoneType
from typing import Any, ClassVar, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

from dujiang.core.errors import InputError, OperationError
from dujiang.core.problem import Problem, ProblemList, shown
from dujiang.core.text import Text

Quality = Literal["official", "press", "aggregator", "community", "low", "computed", "paper"]
"""Who published the figure that was read, best first up to `low`; `computed`: nobody did, it follows from others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What every row of the catalogue has: an id, and the origin and state of its figures."""

    TABLE: ClassVar[str] = ""
    """Name of its table; `<name>.csv` is the file, in the package and in an extra folder."""
    FIGURES: ClassVar[tuple[str, ...]] = ()
    """Fields that can be verified or not; the other fields say what the row is about."""

    id: str
    source: str
    """Issuer and document, paper, or kind of page; never an address."""
    quality: Quality
    as_of: str | None = None
    """Year, month or day that the figures describe; None: the source does not say."""
    verified: bool
    """Whether all figures of the row were found published."""
    unverified: tuple[str, ...] = ()
    """The weak figures of a row that is not verified as a whole; empty there: all of them."""

    def is_verified(self, field: str) -> bool:
        """Tell whether the value of a field was found published. False is no claim that it is wrong."""
        return self.verified or field not in (self.unverified or self.FIGURES)

    def verified_value(self, field: str) -> Any:
        """Return a field's value if it may be shown as a fact, else None (design 9.4).

        Computed figures are nobody's statement, so they are None here too: show them as computed or not at all.
        """
        return getattr(self, field) if self.is_verified(field) else None


R = TypeVar("R", bound=Row)

_HOLDS: Mapping[str, tuple[float, float]] = {
    "latitude": (-90, 90),
    "longitude": (-180, 180),
    "pue_limit": (1, 10),
    "completed_share": (0, 1),
    "cancelled_share": (0, 1),
    "failed_share": (0, 1),
}
"""Range of a number; from zero to `_MOST` where none is named."""
_MOST = 10**12
_NUMBER = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,15})?")
_DATE = re.compile(r"[0-9]{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?)?")
_DATE_EXPECTED = Text("YYYY, YYYY-MM or YYYY-MM-DD", "YYYY、YYYY-MM 或 YYYY-MM-DD")


def read_table(record: type[R], extra: Sequence[Traversable] = ()) -> Mapping[str, R]:
    """Return the rows of a table by id, in order of id.

    Parameters
    ----------
    record : the record of the table
    extra : folders beside the package; a row there replaces the row of the same id, later folders win

    Raises
    ------
    InputError : a table in an extra folder has problems; lists all of them
    OperationError : an extra folder cannot be read
    """
    own = cast(Mapping[str, R], _own_table(cast(Any, record)))
    if not extra:
        return own
    merged = dict(own)
    problems = ProblemList()
    for folder in extra:
        merged.update(_read_extra(folder, record, problems))
    if problems:
        raise InputError(problems)
    return MappingProxyType(dict(sorted(merged.items())))


@cache
def _own_table(record: Any) -> Mapping[str, Row]:
    data = files("dujiang.catalog").joinpath("data", f"{record.TABLE}.csv").read_bytes()
    problems = ProblemList()
    rows = _parse(f"{record.TABLE}.csv", data, record, problems)
    assert not problems, list(problems)
    return MappingProxyType(rows)


def _read_extra(folder: Traversable, record: type[R], problems: ProblemList) -> dict[str, R]:
    """Read one table of a folder that somebody else keeps; a table that is not there changes nothing."""
    file = f"{record.TABLE}.csv"
    try:
        present = {entry.name for entry in folder.iterdir() if entry.name.endswith(".csv")}
        data = folder.joinpath(file).read_bytes() if file in present else None
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise OperationError(
            Text(f"cannot read the catalogue folder {folder.name}: {why}", f"无法读取目录文件夹 {folder.name}：{why}")
        ) from error
    known = sorted({f"{table.TABLE}.csv" for table in Row.__subclasses__()})
    for stray in sorted(present - set(known)):
        # A misspelt table would otherwise be ignored without a word.
        expected = Text("one of " + ", ".join(known), "以下之一：" + "、".join(known))
        problems.add(Problem("unknown-table", f"{folder.name}/{stray}", None, None, shown(stray), expected))
    return {} if data is None else _parse(f"{folder.name}/{file}", data, record, problems)


def _parse(file: str, data: bytes, record: type[R], problems: ProblemList) -> dict[str, R]:
    """Read one table; what is wrong goes to `problems`, rows with a problem are left out."""
    of_class = get_type_hints(record)
    hints = {field.name: of_class[field.name] for field in fields(record)}
    required = {field.name for field in fields(record) if field.default is MISSING}
    rows: dict[str, R] = {}
    for line, cells in _lines(file, data, set(hints), required, problems):
        values: dict[str, Any] = {}
        found: list[Problem] = []
        for column, text in cells.items():
            value, expected = _cell(column, text, hints[column])
            if expected is not None:
                found.append(Problem("bad-type", file, line, column, shown(text), expected))
            values[column] = value
        if not found:
            row = record(**values)
            found += _row_problems(file, line, row, rows)
            rows.setdefault(row.id, row)
        problems.extend(found)
    return dict(sorted(rows.items()))


def _lines(
    file: str, data: bytes, known: set[str], required: set[str], problems: ProblemList
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line number and cells of each row under a sound header."""
    try:
        # Spreadsheets write a byte order mark.
        reader = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        header = [name.strip() for name in next(reader, [])]
        sound = True
        for name in header:
            if name not in known or header.count(name) > 1:
                expected = Text("a known column, once: " + ", ".join(sorted(known)), "已知的列，且只出现一次")
                problems.add(Problem("bad-column", file, 1, name or None, shown(name), expected))
                sound = False
        for name in sorted(required - set(header)):
            problems.add(Problem("missing-column", file, 1, name, "nothing", Text("this column", "该列")))
            sound = False
        for cells in reader if sound else ():
            if not cells:
                continue
            if len(cells) != len(header):
                expected = Text(f"{len(header)} cells", f"{len(header)} 个单元格")
                problems.add(Problem("bad-row", file, reader.line_num, None, f"{len(cells)} cells", expected))
                continue
            yield reader.line_num, {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
    except UnicodeDecodeError:
        problems.add(Problem("bad-encoding", file, None, None, "other bytes", Text("UTF-8 text", "UTF-8 文本")))
    except csv.Error as error:
        problems.add(Problem("bad-csv", file, None, None, shown(str(error)), Text("a CSV table", "CSV 表格")))


def _row_problems(file: str, line: int, row: Row, rows: Mapping[str, Row]) -> list[Problem]:
    """Check what no single cell shows."""
    found: list[Problem] = []
    if row.id in rows:
        found.append(
            Problem("duplicate-id", file, line, "id", shown(row.id), Text("each id once", "每个编号只出现一次"))
        )
    if row.verified and row.unverified:
        expected = Text("no weak figure in a verified row", "已核实的行不应列出未核实的字段")
        found.append(Problem("bad-unverified", file, line, "unverified", shown(";".join(row.unverified)), expected))
    for name in row.unverified:
        if name not in row.FIGURES:
            expected = Text("a figure: " + ", ".join(row.FIGURES), "数值字段：" + "、".join(row.FIGURES))
            found.append(Problem("bad-unverified", file, line, "unverified", shown(name), expected))
    return found


def _cell(column: str, text: str, hint: Any) -> tuple[Any, Text | None]:
    """Return the value of a cell, and what was expected if it is not that."""
    options = get_args(hint)
    if get_origin(hint) is tuple:
        return tuple(part.strip() for part in text.split(";") if part.strip()), None
    if NoneType in options:
        if not text:
            return None, None
        hint = next(option for option in options if option is not NoneType)
    if get_origin(hint) is Literal:
        allowed = get_args(hint)
        expected = Text("one of " + ", ".join(allowed), "以下之一：" + "、".join(allowed))
        return text, None if text in allowed else expected
    if column == "as_of":
        return text, None if _DATE.fullmatch(text) else _DATE_EXPECTED
    return _SCALARS[hint](column, text)


def _text(column: str, text: str) -> tuple[Any, Text | None]:
    return text, None if text else Text("some text", "文本")


def _bool(column: str, text: str) -> tuple[Any, Text | None]:
    return text == "true", None if text in ("true", "false") else Text("true or false", "true 或 false")


def _number(kind: type[int] | type[float]) -> Callable[[str, str], tuple[Any, Text | None]]:
    def read(column: str, text: str) -> tuple[Any, Text | None]:
        low, high = _HOLDS.get(column, (0, _MOST))
        what = "a whole number" if kind is int else "a number"
        expected = Text(f"{what} from {low} to {high}", f"{low} 到 {high} 之间的{'整数' if kind is int else '数'}")
        if not _NUMBER.fullmatch(text) or (kind is int and "." in text):
            return None, expected
        value = kind(text)
        return value, None if low <= value <= high else expected

    return read


_SCALARS: Mapping[Any, Callable[[str, str], tuple[Any, Text | None]]] = {
    str: _text,
    bool: _bool,
    int: _number(int),
    float: _number(float),
}
