"""The result folder of a clearing (design 7): written whole, read back, never mixed with somebody's files."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from dujiang.core.errors import InputError
from dujiang.core.problem import Problem, shown
from dujiang.core.text import Text
from dujiang.market.outcome import Outcome
from dujiang.store.files import json_bytes, parquet_bytes, writing

SUMMARY = "summary.json"
_FORMAT = "dujiang."
"""How `format` in a summary of ours begins."""
TABLES = ("awards", "vouchers", "prices", "link_prices", "rejections", "multipliers")
"""Frames of an outcome, each in a parquet file of its name."""
_OWN = frozenset(
    {
        *(SUMMARY, "facts.json", "programmes", "report.html"),
        *(f"{table}.parquet" for table in TABLES),
        *("book", "isolated", "coupled"),  # of a demonstration
    }
)
"""What a clearing or a demonstration leaves. Not the files of a run: its ledger and its jobs are never replaced."""


def book_digest(folder: Path) -> str:
    """Return the SHA-256 of the names and bytes of all tables and documents in a book's folder.

    Raises
    ------
    InputError : a file cannot be read, or its name is no text
    """
    digest = hashlib.sha256()
    paths = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix in (".csv", ".parquet", ".yaml", ".yml"))
    problems = []
    for path in paths:
        name = path.relative_to(folder).as_posix()
        try:
            data = path.read_bytes()
            encoded = name.encode()
        except OSError as error:
            found, expected = error.strerror or type(error).__name__, Text("a file that can be read", "可读取的文件")
            problems.append(Problem("unreadable", name, None, None, found, expected))
        except UnicodeEncodeError:
            # Archives made on systems with another encoding leave such names behind.
            expected = Text("a file name in UTF-8", "UTF-8 编码的文件名")
            problems.append(Problem("bad-name", name, None, None, "bytes that are no UTF-8", expected))
        else:
            digest.update(len(encoded).to_bytes(8, "big") + encoded + len(data).to_bytes(8, "big") + data)
    if problems:
        raise InputError(problems)
    return digest.hexdigest()


def outcome_files(
    outcome: Outcome, programmes: Mapping[str, bytes], domestic: Mapping[str, bool], digest: str
) -> dict[str, bytes]:
    """Return the files of a clearing; `summary.json` comes last and marks that the others are there.

    Parameters
    ----------
    outcome : what the clearing handed out
    programmes : programme id to the bytes of its file, of those that took part
    domestic : what the round knew about accelerators, so that anybody can check conditions on them
    digest : SHA-256 of the book
    """
    files = {f"{table}.parquet": parquet_bytes(getattr(outcome, table)) for table in TABLES}
    files["facts.json"] = json_bytes({"domestic": dict(sorted(domestic.items()))})
    for programme, data in sorted(programmes.items()):
        files[f"programmes/{programme}.yaml"] = data
    files[SUMMARY] = json_bytes({**outcome.summary, "book_sha256": digest})
    return files


def read_outcome(folder: Path) -> Outcome:
    """Read a result folder back."""
    summary: dict[str, Any] = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    return Outcome(**{table: pl.read_parquet(folder / f"{table}.parquet") for table in TABLES}, summary=summary)


def check_outside(book: Path, out: Path) -> None:
    """Refuse an output folder inside the book: its files would change the digest by which a result names its book.

    Raises
    ------
    InputError : the target is the book or below it
    OperationError : the target cannot be looked at
    """
    with writing(out):
        inside = out.resolve().is_relative_to(book.resolve())
    if inside:
        expected = Text("a folder outside the book", "需求簿以外的文件夹")
        fix = Text("choose another --out", "请另选 --out")
        name = out.name or str(out)
        raise InputError([Problem("inside-book", name, None, None, "a place inside the book", expected, fix)])


def check_target(folder: Path, own: frozenset[str] = _OWN) -> None:
    """Refuse an output folder that holds somebody's files.

    Parameters
    ----------
    folder : the target
    own : names that an earlier result may have left there

    Raises
    ------
    InputError : the target is a file, or a folder that is neither empty nor a result of ours and nothing else
    OperationError : the target cannot be looked at
    """
    with writing(folder):
        found = _stranger(folder, own)
    if found is not None:
        raise InputError(
            [
                Problem(
                    "not-a-result",
                    folder.name or str(folder),
                    None,
                    None,
                    found,
                    Text("a new or empty folder, or an earlier result", "新的或空的文件夹，或此前的结果"),
                    Text("choose another --out", "请另选 --out"),
                )
            ]
        )


def _stranger(folder: Path, own: frozenset[str]) -> str | None:
    """Return what would be lost if a result took the place of a folder; None if nothing would."""
    if not (folder.exists() or folder.is_symlink()):
        return None
    if not folder.is_dir():
        return "a file"
    names = {path.name for path in folder.iterdir()}
    if not names:
        return None
    foreign = sorted(names - own)
    if foreign:
        return shown(foreign[0])
    return None if _is_ours(folder / SUMMARY) else f"no {SUMMARY} of an earlier result"


def _is_ours(path: Path) -> bool:
    """Say whether a summary is one that we wrote: other programs like that name too."""
    try:
        summary = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError, RecursionError):
        return False
    return isinstance(summary, dict) and str(summary.get("format")).startswith(_FORMAT)
