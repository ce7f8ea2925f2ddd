"""Reads a folder of somebody's own programmes, and the cases beside them."""

import os
from pathlib import Path

from dujiang.core.problem import Problem, ProblemList
from dujiang.core.text import Text
from dujiang.policy.shape import MAX_BYTES
from dujiang.store.read_book import cannot_open, read_bytes

MOST_BYTES = 16 * MAX_BYTES
"""Of one file, cases included."""


def read_programmes(folder: Path, problems: ProblemList) -> dict[str, bytes]:
    """Read every YAML file in a folder and the folders in it.

    Parameters
    ----------
    folder : the folder
    problems : takes what cannot be read; a programme that is left out in silence would be somebody's money

    Returns
    -------
    bytes by path relative to the folder, in the order of paths; files of cases (`.cases.yaml`) are among them
    """
    if not folder.is_dir():
        expected = Text("a folder of programme files", "政策文件所在的文件夹")
        problems.add(Problem("unreadable", folder.name or str(folder), None, None, "no folder", expected))
        return {}
    paths: list[Path] = []
    for place, folders, names in os.walk(folder, onerror=lambda error: problems.add(_unseen(folder, error))):
        folders.sort()
        paths += [Path(place) / name for name in names if name.endswith((".yaml", ".yml"))]
        for name in folders:
            if (Path(place) / name).is_symlink():
                shown = (Path(place) / name).relative_to(folder).as_posix()
                expected = Text("files, and folders that are no links", "文件，或非链接的文件夹")
                problems.add(Problem("unreadable", shown, None, None, "a link to a folder", expected))
    found: dict[str, bytes] = {}
    for path in sorted(paths):
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".yml":
            expected = Text("the ending .yaml", "以 .yaml 结尾")
            problems.add(Problem("bad-name", name, None, None, "the ending .yml", expected))
            continue
        try:
            if path.is_file() and path.stat().st_size > MOST_BYTES:
                expected = Text(f"at most {MOST_BYTES} bytes", f"不超过 {MOST_BYTES} 字节")
                problems.add(Problem("too-large", name, None, None, f"{path.stat().st_size} bytes", expected))
            else:
                found[name] = read_bytes(path)
        except OSError as error:
            problems.add(cannot_open(name, error))
    return found


def _unseen(folder: Path, error: OSError) -> Problem:
    place = folder if error.filename is None else Path(error.filename)
    return cannot_open(place.relative_to(folder).as_posix(), error)
