"""What decides the result of a replay, as one digest: two scenarios with the same key have the same result."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import Any

from dujiang import __version__
from dujiang.core.errors import InputError
from dujiang.core.problem import Problem
from dujiang.lab.scenario import Scenario
from dujiang.store.read_book import cannot_open
from dujiang.store.results import book_digest

RESULTS = 1
"""Raised when the same scenario gives other results than before within one version."""


def run_key(scenario: Scenario) -> str:
    """Return the SHA-256 of everything but the title that decides the result of a scenario.

    Files count with their content, not with their place.

    Raises
    ------
    InputError : files cannot be read
    """
    problems: list[Problem] = []
    counted = [f.name for f in fields(scenario) if f.compare and f.name != "title"]
    plain = {name: _plain(getattr(scenario, name), problems) for name in counted}
    if problems:
        raise InputError(problems)
    document = json.dumps({"results": RESULTS, "version": __version__, **plain}, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(document.encode()).hexdigest()


def _plain(value: Any, problems: list[Problem]) -> Any:
    """Return a value as JSON can hold it, so that different values differ."""
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name), problems) for f in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return _content(value, problems)
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, Mapping):
        return {str(key): _plain(one, problems) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one, problems) for one in value]
    return value if isinstance(value, str | int | float | bool | None) else repr(value)


def _content(path: Path, problems: list[Problem]) -> str | None:
    try:
        if path.is_dir():
            return book_digest(path)
        found = path.stat()
        return _file_digest(path, found.st_mtime_ns, found.st_size)
    except OSError as error:
        problems.append(cannot_open(path.name, error))
        return None


@lru_cache(maxsize=64)
def _file_digest(path: Path, changed_ns: int, size: int) -> str:
    """Return the digest of a file; a study asks for the same one a hundred times."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


__all__ = ["RESULTS", "run_key"]
