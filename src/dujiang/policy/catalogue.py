"""Programmes that take part in a round: those shipped with the catalogue, and a book's own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from dujiang.core.marked import read_yaml
from dujiang.core.problem import Problem, shown, sorted_problems
from dujiang.core.text import Text
from dujiang.policy.parse import parse_programme
from dujiang.policy.programme import Level, Programme
from dujiang.policy.reader import did_you_mean
from dujiang.registry.book import ProgrammeUse


@dataclass(frozen=True, slots=True)
class Entry:
    """A programme and the file that it came from."""

    programme: Programme
    file: str
    """Name that problems carry, such as `city/sz-training-voucher.yaml`."""
    content: bytes
    """The file, byte for byte, so that a result can hold a copy of what decided it."""


def read_programme(file: str, content: bytes) -> tuple[Entry | None, list[Problem]]:
    """Read one programme file that somebody else opened.

    Parameters
    ----------
    file : name that problems carry
    content : its bytes, UTF-8

    Returns
    -------
    the entry, or None and every problem found
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found = f"byte {error.start} is not UTF-8"
        return None, [Problem("bad-encoding", file, None, None, found, Text("UTF-8 text", "UTF-8 文本"))]
    marked, problems = read_yaml(file, text)
    if marked is None:
        return None, problems
    programme, problems = parse_programme(marked)
    return None if programme is None else Entry(programme, file, content), problems


@cache
def shipped_programmes() -> Mapping[str, Entry]:
    """Return the catalogue's programmes by id, in the order of ids.

    A shipped file with a problem is our own mistake, which a test finds; a user never meets it.
    """
    folder = files("dujiang.catalog").joinpath("programmes")
    entries: dict[str, Entry] = {}
    for level in Level:
        place = folder.joinpath(level)
        for item in place.iterdir() if place.is_dir() else ():
            if item.name.endswith(".yaml"):
                entry, problems = read_programme(f"{level}/{item.name}", item.read_bytes())
                assert entry is not None, problems
                entries[entry.programme.id] = entry
    return MappingProxyType(dict(sorted(entries.items())))


def catalogue_with(own: Mapping[str, bytes]) -> tuple[dict[str, Entry], list[Problem]]:
    """Return the catalogue with a folder's own files laid over it: a file there replaces the programme of its id.

    Parameters
    ----------
    own : bytes by file name

    Returns
    -------
    entries by id, and the problems of the folder's files; a file with problems replaces nothing
    """
    mine, problems = _own(own)
    return dict(sorted({**shipped_programmes(), **mine}.items())), problems


def programmes_of_round(
    use: Sequence[ProgrammeUse], own: Mapping[str, bytes]
) -> tuple[dict[str, Entry], list[Problem]]:
    """Return the programmes of a round: all of the book's own, and those of the catalogue that `use` names.

    Parameters
    ----------
    use : what `book.yaml` names
    own : bytes by name of the files in the book's `programmes/`

    Returns
    -------
    entries by id, in the order of ids, and every problem: of the files, and of names that no programme has
    """
    mine, problems = _own(own)
    known = {**shipped_programmes(), **mine}
    chosen = dict(mine)
    for item in use:
        if item.programme_id in known:
            chosen[item.programme_id] = known[item.programme_id]
        else:
            expected = Text(
                "the id of a programme in the catalogue or in programmes/", "目录或 programmes/ 中的政策编号"
            )
            near = did_you_mean(item.programme_id, known)
            problems.append(
                Problem("no-such-programme", "book.yaml", None, "use", shown(item.programme_id), expected, near)
            )
    return dict(sorted(chosen.items())), sorted_problems(problems)


def _own(files_: Mapping[str, bytes]) -> tuple[dict[str, Entry], list[Problem]]:
    entries: dict[str, Entry] = {}
    problems: list[Problem] = []
    for name, content in sorted(files_.items()):
        entry, found = read_programme(name, content)
        problems.extend(found)
        if entry is None:
            continue
        other = entries.setdefault(entry.programme.id, entry)
        if other is not entry:
            expected = Text(f"an id other than that of {other.file}", f"与 {other.file} 不同的 id")
            problems.append(Problem("duplicate-id", name, None, "id", shown(entry.programme.id), expected))
    return entries, sorted_problems(problems)
