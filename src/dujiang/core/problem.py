"""Input problems are values: collected over the whole input, never raised one by one."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from dujiang.core.text import Lang, Text


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with an input, with its place, what was found, what was expected and what to do."""

    code: str
    """Stable name of the kind of problem, such as `bad-type`; tests and programs match on it."""
    file: str
    """File, relative to the folder that was read."""
    row: int | None
    """Line of a text file (the header is line 1), record number from 1 of parquet; None: the whole file."""
    field: str | None
    """Column, or path into a YAML document; None: the whole row."""
    found: str
    """What stands there, shortened to one line."""
    expected: Text
    """What should stand there."""
    fix: Text | None = None
    """What to do about it, where `expected` does not already say so."""

    @property
    def where(self) -> str:
        """The place as `file:row:field`; a missing part is left empty only between two present ones."""
        if self.field is not None:
            return f"{self.file}:{'' if self.row is None else self.row}:{self.field}"
        return self.file if self.row is None else f"{self.file}:{self.row}"

    def say(self, lang: Lang = "en") -> str:
        """Return the whole problem as one line of printable characters."""
        if lang == "zh":
            line = f"{self.where}: 发现 {self.found}, 应为 {self.expected.zh}"
        else:
            line = f"{self.where}: found {self.found}, expected {self.expected.en}"
        return _printable(line if self.fix is None else f"{line}; {self.fix.say(lang)}")

    def as_dict(self) -> dict[str, Any]:
        """Return the problem as a document for `--json`."""
        return {
            "code": self.code,
            "file": self.file,
            "row": self.row,
            "field": self.field,
            "found": self.found,
            "expected": self.expected.en,
            "expected_zh": self.expected.zh,
            "fix": None if self.fix is None else self.fix.en,
            "fix_zh": None if self.fix is None else self.fix.zh,
        }


def _printable(text: str) -> str:
    """Write out what would move the cursor, change colours or not be seen."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text.replace("\n", "\\n"))


def shown(value: object, width: int = 60) -> str:
    """Return a value as it can stand in a problem: one line, quoted if text, shortened."""
    if value is None or value == "":
        return "nothing"
    try:
        text = f"'{value}'" if isinstance(value, str) else str(value)
    except ValueError:  # Python refuses to write out integers of thousands of digits
        return "a very large number"
    text = _printable(text)
    return text if len(text) <= width else text[: width - 1] + "…"


def sorted_problems(problems: Iterable[Problem]) -> list[Problem]:
    """Return problems in reading order: file, row, field, code."""
    return sorted(set(problems), key=lambda p: (p.file, p.row or 0, p.field or "", p.code, p.found))


class ProblemList:
    """Collects problems; at most `per_kind` of one code in one file and field are kept, the rest counted.

    A column with a million bad cells is one mistake; listing each would hide the others.
    """

    def __init__(self, per_kind: int = 20) -> None:
        self._per_kind = per_kind
        self._seen: dict[tuple[str, str, str | None], int] = {}
        self._items: list[Problem] = []

    def add(self, problem: Problem) -> None:
        """Take one problem."""
        key = (problem.code, problem.file, problem.field)
        count = self._seen.get(key, 0) + 1
        self._seen[key] = count
        if count <= self._per_kind:
            self._items.append(problem)

    def extend(self, problems: Iterable[Problem]) -> None:
        """Take several problems."""
        for problem in problems:
            self.add(problem)

    def __bool__(self) -> bool:
        return bool(self._items)

    def __len__(self) -> int:
        return sum(self._seen.values())

    def __iter__(self) -> Iterator[Problem]:
        yield from sorted_problems(self._items)
        for (code, file, field), count in sorted(
            self._seen.items(), key=lambda kv: (kv[0][1], kv[0][2] or "", kv[0][0])
        ):
            if count > self._per_kind:
                more = count - self._per_kind
                yield Problem(
                    code=code,
                    file=file,
                    row=None,
                    field=field,
                    found=f"{more} more of the same",
                    expected=Text("as in the lines above", "同上"),
                )


def did_you_mean(found: object, known: Iterable[str]) -> Text | None:
    """Return a hint at the known word nearest to a mistyped one; None if none is near."""
    near = get_close_matches(found, list(known), n=1) if isinstance(found, str) else []
    return Text(f"did you mean '{near[0]}'?", f"是否应为“{near[0]}”？") if near else None
