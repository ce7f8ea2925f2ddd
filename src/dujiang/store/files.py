"""Files that are there whole or not at all."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl

from dujiang.core.errors import OperationError
from dujiang.core.text import Text

DRAFT = ".draft"
"""Ending of the file that is written beside a target before it takes its place."""


@contextmanager
def writing(what: Path) -> Iterator[None]:
    """Turn a refusal of the disk into an OperationError that names the target."""
    try:
        yield
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise OperationError(Text(f"cannot write {what}: {why}", f"无法写入 {what}：{why}")) from error


def write_whole(path: Path, data: bytes) -> None:
    """Write one file so that readers see the old bytes or the new ones, also after a crash."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=DRAFT, dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


def is_draft(name: str) -> bool:
    """Say whether a file of this name is one that `write_whole` had not finished when it was killed."""
    return name.startswith(".") and name.endswith(DRAFT)


def remove_drafts(folder: Path) -> None:
    """Remove from a folder what a killed `write_whole` left; the caller knows that nobody is writing there now."""
    with writing(folder):
        for path in list(folder.iterdir()) if folder.is_dir() else []:
            if is_draft(path.name):
                path.unlink(missing_ok=True)


def write_all(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write several files into a folder, each whole; the last one named last, so that it can mark completion."""
    for name, data in files.items():
        write_whole(folder / name, data)


def replace_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Make a folder hold exactly these files: readers see the old folder or the new one.

    Parameters
    ----------
    folder : absent or a folder that may be replaced; the caller has checked that nothing else is lost
    files : path relative to the folder -> bytes
    """
    with writing(folder):
        folder = folder.resolve()  # through a link, which stays
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Beside the target, so that the rename stays within one file system.
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", suffix=DRAFT, dir=folder.parent) as work:
            fresh = Path(work) / "new"
            fresh.mkdir()
            for name, data in files.items():
                (fresh / name).parent.mkdir(parents=True, exist_ok=True)
                (fresh / name).write_bytes(data)
            swap_folder(fresh, folder, Path(work) / "old")


def swap_folder(fresh: Path, folder: Path, old: Path) -> None:
    """Put a fresh folder in the place of another; `old` is a free name on the same file system."""
    if not folder.exists():
        fresh.rename(folder)
        return
    folder.rename(old)
    try:
        fresh.rename(folder)
    except OSError:
        old.rename(folder)
        raise
    shutil.rmtree(old)


def parquet_bytes(frame: pl.DataFrame) -> bytes:
    """Return a frame as parquet; the same frame gives the same bytes."""
    buffer = BytesIO()
    frame.write_parquet(buffer, compression="zstd", statistics=True)
    return buffer.getvalue()


def json_bytes(document: Mapping[str, Any]) -> bytes:
    """Return a document as indented UTF-8 JSON, keys in the order given."""
    return (json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False) + "\n").encode()
