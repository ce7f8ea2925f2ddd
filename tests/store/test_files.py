"""Readers see the old files or the new ones; a refusal of the disk leaves the old ones."""

import json
from collections.abc import Mapping
from pathlib import Path

import polars as pl
import pytest

from dujiang.core.errors import OperationError
from dujiang.store.files import json_bytes, parquet_bytes, replace_folder, swap_folder, write_all, write_whole, writing

OLD = {"a.txt": b"old", "deep/b.txt": b"old too"}
NEW = {"c.txt": b"new", "deep/d/e.txt": b"new too"}


def content(folder: Path) -> Mapping[str, bytes]:
    """Return the files of a folder."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


class Full:
    """A disk that has room for so many files."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.write = Path.write_bytes

    def __call__(self, path: Path, data: bytes) -> int:
        self.room -= 1
        if self.room < 0:
            raise OSError(28, "No space left on device")
        return self.write(path, data)


def test_one_file_takes_the_place_of_another(tmp_path: Path) -> None:
    for data in (b"first", b"second"):
        write_whole(tmp_path / "deep" / "f", data)
        assert content(tmp_path) == {"deep/f": data}
    assert (tmp_path / "deep" / "f").stat().st_mode & 0o777 == 0o644


def test_a_file_that_cannot_take_its_place_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "kept").write_text("kept")
    with pytest.raises(OperationError) as caught:
        write_whole(tmp_path / "f", b"data")
    assert str(tmp_path / "f") in caught.value.say("en")
    assert str(tmp_path / "f") in caught.value.say("zh")
    assert content(tmp_path) == {"f/kept": b"kept"}


def test_files_are_written_in_the_order_given(tmp_path: Path) -> None:
    (tmp_path / "second").mkdir()
    with pytest.raises(OperationError):
        write_all(tmp_path, {"first": b"1", "second": b"2", "summary": b"3"})
    assert content(tmp_path) == {"first": b"1"}


def test_a_folder_takes_the_place_of_another_as_a_whole(tmp_path: Path) -> None:
    for files in (OLD, NEW):
        replace_folder(tmp_path / "deep" / "out", files)
        assert content(tmp_path / "deep" / "out") == files
        assert [p.name for p in (tmp_path / "deep").iterdir()] == ["out"]


@pytest.mark.parametrize("room", [0, 1])
def test_a_full_disk_leaves_the_old_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    replace_folder(tmp_path / "out", OLD)
    full = Full(room)
    monkeypatch.setattr(Path, "write_bytes", lambda path, data: full(path, data))
    with pytest.raises(OperationError, match="No space left"):
        replace_folder(tmp_path / "out", NEW)
    assert content(tmp_path) == {f"out/{name}": data for name, data in OLD.items()}


def test_a_swap_that_fails_halfway_is_undone(tmp_path: Path) -> None:
    replace_folder(tmp_path / "out", OLD)
    with pytest.raises(FileNotFoundError):
        swap_folder(tmp_path / "never written", tmp_path / "out", tmp_path / "old")
    assert content(tmp_path / "out") == OLD


def test_a_link_is_written_through_and_stays(tmp_path: Path) -> None:
    replace_folder(tmp_path / "real", OLD)
    (tmp_path / "link").symlink_to("real")
    replace_folder(tmp_path / "link", NEW)
    assert (tmp_path / "link").is_symlink()
    assert content(tmp_path / "real") == NEW


def test_only_the_disks_refusals_become_operation_errors(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), writing(tmp_path):
        raise ZeroDivisionError
    with pytest.raises(OperationError, match=": OSError"), writing(tmp_path):
        raise OSError


def test_the_same_content_gives_the_same_bytes() -> None:
    frame = pl.DataFrame({"a": [1, None], "b": ["甲", "乙"]})
    assert parquet_bytes(frame) == parquet_bytes(frame.clone())
    assert pl.read_parquet(parquet_bytes(frame)).equals(frame)
    document = {"b": "算力", "a": [1, None]}
    assert json_bytes(document).decode().index('"b"') < json_bytes(document).decode().index('"a"')
    assert "算力" in json_bytes(document).decode()
    assert json.loads(json_bytes(document)) == document
    with pytest.raises(ValueError):
        json_bytes({"gap": float("nan")})
