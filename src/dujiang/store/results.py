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
from dujiang.store.files import json_bytes, parquet_bytes

SUMMARY = "summary.json"


def book_digest(folder: Path) -> str:
    """Return the SHA-256 of the names and bytes of all files of a book that a round reads."""
    digest = hashlib.sha256()
    paths = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix in (".csv", ".parquet", ".yaml", ".yml"))
    for path in paths:
        name = path.relative_to(folder).as_posix().encode()
        data = path.read_bytes()
        digest.update(len(name).to_bytes(8, "big") + name + len(data).to_bytes(8, "big") + data)
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
    files = {
        "awards.parquet": parquet_bytes(outcome.awards),
        "prices.parquet": parquet_bytes(outcome.prices),
        "rejections.parquet": parquet_bytes(outcome.rejections),
        "multipliers.parquet": parquet_bytes(outcome.multipliers),
        "facts.json": json_bytes({"domestic": dict(sorted(domestic.items()))}),
    }
    for programme, data in sorted(programmes.items()):
        files[f"programmes/{programme}.yaml"] = data
    files[SUMMARY] = json_bytes({**outcome.summary, "book_sha256": digest})
    return files


def read_outcome(folder: Path) -> Outcome:
    """Read a result folder back."""
    summary: dict[str, Any] = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    return Outcome(
        awards=pl.read_parquet(folder / "awards.parquet"),
        prices=pl.read_parquet(folder / "prices.parquet"),
        rejections=pl.read_parquet(folder / "rejections.parquet"),
        multipliers=pl.read_parquet(folder / "multipliers.parquet"),
        summary=summary,
    )


def check_target(folder: Path) -> None:
    """Refuse an output folder that holds somebody's files.

    Raises
    ------
    InputError : the target is a file, or a folder that is neither empty nor a result of ours
    """
    if not (folder.exists() or folder.is_symlink()):
        return
    found = None
    if not folder.is_dir():
        found = "a file"
    else:
        names = sorted(p.name for p in folder.iterdir())
        if names and SUMMARY not in names:
            found = shown(names[0])
    if found is not None:
        raise InputError(
            [
                Problem(
                    "not-a-result",
                    folder.name,
                    None,
                    None,
                    found,
                    Text("a new or empty folder, or an earlier result", "新的或空的文件夹，或此前的结果"),
                    Text("choose another --out", "请另选 --out"),
                )
            ]
        )
