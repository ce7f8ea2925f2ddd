"""All programmes there are, in layers: the shipped ones, installed packages, a user's folders, a book's own.

An id may have several dated files; the one whose validity holds on the day counts. A file of a later layer replaces
those of earlier layers that have its id and share a day of validity with it, so a city can correct ours, or add a year,
without touching the rest.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.metadata import entry_points
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import MappingProxyType, ModuleType

from dujiang.core.marked import Marked, read_yaml
from dujiang.core.problem import Problem, did_you_mean, shown, sorted_problems
from dujiang.core.text import Text
from dujiang.policy.parse import parse_programme
from dujiang.policy.programme import Level, Programme, Validity
from dujiang.policy.shape import MAX_BYTES
from dujiang.registry.book import ProgrammeUse

PACKAGES = "dujiang.programmes"
"""Group of entry points under which an installed package offers a folder of programme files.

The entry point names a package that holds the files (`dongguan = "dongguan_programmes"`), or a variable that is such a
folder. Folders in it are searched, too."""
_DEEPEST = 4
CASES = ".cases.yaml"
"""How the name of a file of cases ends, which may stand beside the programme that it tests; it is no programme."""


def is_programme_file(name: str) -> bool:
    """Return whether a file in a folder of programmes holds a programme, by its name."""
    return name.endswith(".yaml") and not name.endswith(CASES)


@dataclass(frozen=True, slots=True)
class Entry:
    """A programme and the file that it came from."""

    programme: Programme
    file: str
    """Name that problems carry, such as `city/sz-training-voucher.yaml`."""
    content: bytes
    """The file, byte for byte, so that a result can hold a copy of what decided it."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Every version of every programme."""

    versions: Mapping[str, tuple[Entry, ...]]
    """By id, in the order of ids; versions of one id share no day and stand in the order of time."""

    def on(self, day: date | None) -> dict[str, Entry]:
        """Return one version of each programme.

        Parameters
        ----------
        day : civil date in Asia/Shanghai; None: the last version of each

        Returns
        -------
        by id: the version that holds on the day, else the next to come, else the last that there was
        """
        return {key: _version_on(entries, day) for key, entries in self.versions.items()}


def _version_on(entries: tuple[Entry, ...], day: date | None) -> Entry:
    last = entries[-1]
    if day is None:
        return last
    return next((e for e in entries if (e.programme.valid.last or date.max) >= day), last)


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
    if len(content) > MAX_BYTES:
        expected = Text(f"a programme file of at most {MAX_BYTES} bytes", f"不超过 {MAX_BYTES} 字节的政策文件")
        return None, [Problem("too-large", file, None, None, f"{len(content)} bytes", expected)]
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


def read_folder(folder: Mapping[str, bytes]) -> tuple[list[Entry], list[Problem]]:
    """Read the programme files of one folder.

    Parameters
    ----------
    folder : bytes by the name that problems carry

    Returns
    -------
    the entries, and every problem: of the files, and of two files of one id that hold on the same day
    """
    entries: list[Entry] = []
    problems: list[Problem] = []
    for name, content in sorted(folder.items()):
        if not is_programme_file(name):
            continue
        entry, found = read_programme(name, content)
        problems.extend(found)
        if entry is None:
            continue
        twin = next((other for other in entries if _collide(other, entry)), None)
        if twin is None:
            entries.append(entry)
        else:
            problems.append(_overlap(entry, twin))
    return entries, problems


@cache
def shipped_programmes() -> Mapping[str, Entry]:
    """Return the programmes that come with dujiang by id, the last version of each, in the order of ids."""
    return MappingProxyType(_layered([_shipped_entries()]).on(None))


@cache
def _shipped_entries() -> tuple[Entry, ...]:
    """Return every shipped file. One with a problem is our own mistake, which a test finds; a user never meets it."""
    folder = files("dujiang.catalog").joinpath("programmes")
    entries, problems = read_folder(dict(_files_under(folder, levels=tuple(Level))))
    assert not problems, problems
    return tuple(entries)


@cache
def _installed_entries() -> tuple[tuple[Entry, ...], tuple[Problem, ...]]:
    """Return the files of installed packages, by name of the entry point, and what is wrong with them."""
    entries: list[Entry] = []
    problems: list[Problem] = []
    for point in sorted(entry_points(group=PACKAGES), key=lambda point: (point.name, point.value)):
        try:
            target = point.load()
            folder = files(target) if isinstance(target, str | ModuleType) else target
            content = dict(_files_under(folder, f"{point.name}:"))
        except Exception as error:  # the package is somebody else's: whatever it raises, ours goes on without it
            expected = Text("a package that holds programme files", "含有政策文件的软件包")
            problems.append(
                Problem("broken-package", point.name, None, None, shown(str(error) or repr(error)), expected)
            )
            continue
        found, wrong = read_folder(content)
        entries = [e for e in entries if not any(_collide(e, later) for later in found)] + found
        problems.extend(wrong)
    return tuple(entries), tuple(problems)


def _files_under(
    folder: Traversable, prefix: str = "", levels: Iterable[str] | None = None, depth: int = 1
) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of the programme files in a folder and the folders in it."""
    for item in folder.iterdir():
        if item.is_dir():
            if depth < _DEEPEST and (levels is None or item.name in levels):
                yield from _files_under(item, f"{prefix}{item.name}/", None, depth + 1)
        elif is_programme_file(item.name):
            yield f"{prefix}{item.name}", item.read_bytes()


def catalogue(folders: Sequence[Mapping[str, bytes]] = ()) -> tuple[Catalogue, list[Problem]]:
    """Return every programme there is, in all its versions.

    Parameters
    ----------
    folders : a user's folders, bytes by file name, the one that wins last

    Returns
    -------
    the catalogue, and every problem of the folders' files, of installed packages, and of programmes that name each
    other wrongly; a file with problems replaces nothing
    """
    installed, wrong = _installed_entries()
    layers: list[Sequence[Entry]] = [_shipped_entries(), installed]
    problems = list(wrong)
    for folder in folders:
        entries, found = read_folder(folder)
        layers.append(entries)
        problems.extend(found)
    merged = _layered(layers)
    if installed or folders:  # the shipped ones alone agree, which a test holds
        problems.extend(check_together(merged))
    return merged, sorted_problems(problems)


def catalogue_with(own: Mapping[str, bytes], day: date | None = None) -> tuple[dict[str, Entry], list[Problem]]:
    """Return one version of each programme, with a folder's own files laid over the catalogue.

    Parameters
    ----------
    own : bytes by file name; may be empty
    day : civil date in Asia/Shanghai; None: the last version of each

    Returns
    -------
    entries by id, and every problem as `catalogue` lists them
    """
    merged, problems = catalogue([own] if own else ())
    return merged.on(day), problems


def programmes_of_round(
    use: Sequence[ProgrammeUse], own: Mapping[str, bytes], day: date | None = None
) -> tuple[dict[str, Entry], list[Problem]]:
    """Return the programmes of a round: all of the book's own, and those of the catalogue that `use` names.

    Parameters
    ----------
    use : what `book.yaml` names
    own : bytes by name of the files in the book's `programmes/`
    day : civil date of the round in Asia/Shanghai; None: the last version of each

    Returns
    -------
    entries by id, in the order of ids, and every problem: of the files, and of names that no programme has
    """
    merged, problems = catalogue([own] if own else ())
    known = merged.on(day)
    mine = {e.programme.id for versions in merged.versions.values() for e in versions if e.file in own}
    chosen = {key: known[key] for key in mine}
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


def _layered(layers: Iterable[Sequence[Entry]]) -> Catalogue:
    """Lay entries over each other, the last layer on top."""
    versions: dict[str, list[Entry]] = {}
    for layer in layers:
        for key in {entry.programme.id for entry in layer}:
            mine = [entry for entry in layer if entry.programme.id == key]
            kept = [e for e in versions.get(key, ()) if not any(_collide(e, own) for own in mine)]
            versions[key] = sorted(kept + mine, key=lambda e: e.programme.valid.first or date.min)
    return Catalogue(MappingProxyType({key: tuple(entries) for key, entries in sorted(versions.items())}))


def _collide(one: Entry, other: Entry) -> bool:
    """Return whether two files are of one programme and hold on the same day."""
    a, b = one.programme, other.programme
    return a.id == b.id and a.valid.overlaps(b.valid)


def _overlap(entry: Entry, twin: Entry) -> Problem:
    days = _days(twin.programme.valid)
    expected = Text(
        f"days on which {twin.file}, of the same id, does not hold ({days})",
        f"与同一 id 的 {twin.file}（{days}）不重叠的有效期",
    )
    return _problem(entry, "overlapping-validity", "valid", _days(entry.programme.valid), expected)


def _days(valid: Validity) -> str:
    return f"{valid.first or '…'} - {valid.last or '…'}"


def check_together(merged: Catalogue) -> list[Problem]:
    """Check what programmes say of each other: that those they name exist, and that a shared purse is one purse.

    Two programmes share a purse if each names the other, in versions that hold on the same day, with the same amount,
    period and rule; of three, each names both others.
    """
    problems: list[Problem] = []
    for versions in merged.versions.values():
        for entry in versions:
            for path, ids in _named(entry.programme):
                problems.extend(_missing(merged, entry, path, key) for key in ids if key not in merged.versions)
            problems.extend(_purse(merged, entry))
    return problems


def _named(programme: Programme) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each list of other programmes, with its path in the file."""
    if programme.budget is not None:
        yield "budget.shared_with", programme.budget.shared_with
    for i, exclude in enumerate(programme.excludes):
        yield f"excludes.{i}.programmes", exclude.programmes
    for i, priority in enumerate(programme.priority):
        yield f"priority.{i}.programmes", priority.programmes


def _missing(merged: Catalogue, entry: Entry, path: str, key: str) -> Problem:
    expected = Text("ids of programmes in the catalogue", "目录中的政策编号")
    return _problem(entry, "no-such-programme", path, key, expected, did_you_mean(key, merged.versions))


def _purse(merged: Catalogue, entry: Entry) -> Iterator[Problem]:
    """Yield what is wrong with the purse that a programme shares."""
    budget = entry.programme.budget
    if budget is None:
        return
    sharing = {entry.programme.id, *budget.shared_with}
    for key in budget.shared_with:
        others = merged.versions.get(key, ())
        at_once = [other for other in others if other.programme.valid.overlaps(entry.programme.valid)]
        if others and not at_once:
            expected = Text(f"a version of {key} that holds on the same days", f"{key} 在同一时期有效的版本")
            yield _problem(entry, "contradictory-purse", "budget.shared_with", key, expected)
        for other in at_once:
            theirs = other.programme.budget
            if theirs is None or {key, *theirs.shared_with} != sharing:
                expected = Text(
                    f"the same programmes in {other.file} (budget.shared_with)",
                    f"{other.file} 的 budget.shared_with 列出同样的政策",
                )
                yield _problem(entry, "contradictory-purse", "budget.shared_with", ", ".join(sorted(sharing)), expected)
            elif (theirs.amount_ucny, theirs.period, theirs.rule) != (budget.amount_ucny, budget.period, budget.rule):
                expected = Text(
                    f"the amount, period and rule of {other.file}: one purse", f"与 {other.file} 相同的金额、周期和规则"
                )
                yield _problem(entry, "contradictory-purse", "budget", "another amount, period or rule", expected)


def _problem(entry: Entry, code: str, path: str, found: object, expected: Text, fix: Text | None = None) -> Problem:
    """Return a problem at a path of an entry's file; its lines are looked up only now, when one is needed."""
    marked, _ = read_yaml(entry.file, entry.content.decode("utf-8-sig"))
    return (marked or Marked(entry.file, None)).problem(code, path, found, expected, fix)
