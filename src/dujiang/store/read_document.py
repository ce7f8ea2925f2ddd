"""Reads one YAML document that somebody wrote, with the line of each value."""

from pathlib import Path

from dujiang.core.marked import Marked, read_yaml
from dujiang.core.problem import Problem, ProblemList
from dujiang.core.text import Text
from dujiang.store.read_book import cannot_open, decode, read_bytes

MOST_BYTES = 4 * 2**20
"""Of one document."""


def read_document(path: Path, problems: ProblemList) -> Marked | None:
    """Read the file; None if it is no YAML document (already a problem).

    Parameters
    ----------
    path : the file
    problems : takes every problem
    """
    try:
        data = read_bytes(path)
    except OSError as error:
        problems.add(cannot_open(path.name, error))
        return None
    if len(data) > MOST_BYTES:
        expected = Text(f"at most {MOST_BYTES} bytes", f"不超过 {MOST_BYTES} 字节")
        problems.add(Problem("too-large", path.name, None, None, f"{len(data)} bytes", expected))
        return None
    text, found = decode(path.name, data)
    problems.extend(found)
    doc, found = (None, []) if text is None else read_yaml(path.name, text)
    problems.extend(found)
    return doc
