"""Exit codes, streams and targets of the command line: nobody sees a traceback, nobody's files are lost."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from books import dujiang, edit, write_tiny

NOBODY = 65534
WITHOUT_RIGHTS = """
import contextlib, os, sys
from dujiang.cli.main import main

def ended(arguments):
    try:
        main(arguments)
    except SystemExit as stop:
        return stop.code

user, out, *arguments = sys.argv[1:]
if int(user):
    # First as we are: it loads what somebody without rights might not be able to read, such as the interpreter's files.
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        ended([out if argument.endswith("/closed/out") else argument for argument in arguments])
    os.setgroups([])
    os.setgid(int(user))
    os.setuid(int(user))
sys.exit(ended(arguments))
"""


def spawned(*arguments: str | Path, stdout: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line as a program of its own."""
    return subprocess.run(
        [sys.executable, "-m", "dujiang.cli.main", *map(str, arguments)],
        stdout=subprocess.PIPE if stdout is None else stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )


def without_rights(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command line as somebody without rights: this very user, unless that one may do everything."""
    user = NOBODY if os.geteuid() == 0 else 0
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_RIGHTS, str(user), str(folder / "warm"), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Return a folder that everybody may enter; those of pytest are closed to others."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_good_book_in_a_process_of_its_own(tmp_path: Path) -> None:
    done = spawned("check", write_tiny(tmp_path / "book"), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert '"ok": true' in done.stdout


def test_a_bad_book_in_a_process_of_its_own(tmp_path: Path) -> None:
    book = write_tiny(tmp_path / "book")
    edit(book, "orders.csv", ",400,", ",x,")
    done = spawned("check", book)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[1:] == ["1 problem"]
    assert done.stderr.startswith("orders.csv:2:limit_cny: found 'x', expected an amount in yuan")


@pytest.mark.parametrize("closed", ["book", "book/orders.csv", "book/programmes", "book/programmes/test-voucher.yaml"])
def test_files_without_rights(open_folder: Path, closed: str) -> None:
    book = write_tiny(open_folder / "book")
    (open_folder / closed).chmod(0)
    done = without_rights(open_folder, "check", book)
    (open_folder / closed).chmod(0o755)
    assert (done.returncode, done.stdout) == (1, "")
    first, *others = done.stderr.splitlines()
    assert first.startswith(f"{closed.removeprefix('book/')}: found Permission denied, expected ")
    assert others == ["1 problem"]


@pytest.mark.parametrize("command", ["clear", "run"])
def test_a_target_without_rights(open_folder: Path, command: str) -> None:
    book, closed = write_tiny(open_folder / "book"), open_folder / "closed"
    closed.mkdir()
    closed.chmod(0o555)
    speed = ["--speedup", "1000000"] if command == "run" else []
    done = without_rights(open_folder, command, book, "--out", closed / "out", *speed)
    assert done.returncode == 3, done
    assert done.stderr.splitlines()[-1].endswith("Permission denied")
    assert "Traceback" not in done.stderr
    assert list(closed.iterdir()) == []


@pytest.mark.parametrize("option", [[], ["--json"]])
def test_a_reader_who_goes_away_is_no_error(tmp_path: Path, option: list[str]) -> None:
    book = write_tiny(tmp_path / "book")
    reading, writing = os.pipe()
    os.close(reading)
    done = spawned("check", book, *option, stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("name", ["book", "nowhere"])
def test_output_that_cannot_be_written_is_an_operation_error(tmp_path: Path, name: str) -> None:
    write_tiny(tmp_path / "book")
    with Path("/dev/full").open("wb") as full:
        done = spawned("check", tmp_path / name, "--json", stdout=full.fileno())
    assert (done.returncode, done.stderr) == (3, "cannot write the output: No space left on device\n")


@pytest.mark.parametrize(
    "arguments",
    [["frobnicate"], ["check"], ["check", "a", "b"], ["--lang", "xx", "check", "a"], ["clear", "a"], ["check", "--x"]],
)
def test_wrong_usage_has_its_own_code(arguments: list[str]) -> None:
    ended = dujiang(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert "Usage:" in ended.err


@pytest.mark.parametrize(
    "option, value",
    [
        *(("--gap", value) for value in ("nan", "-0.1", "1.1", "x")),
        *(("--seconds", value) for value in ("nan", "inf", "-1")),
        *(("--speedup", value) for value in ("0", "-1", "nan", "1/0", "1e400", "1e-400")),
        *(("--parallel", value) for value in ("0", "1.5")),
        ("--coupling", "none"),
    ],
)
def test_absurd_options_are_wrong_usage(tmp_path: Path, option: str, value: str) -> None:
    ended = dujiang("run", write_tiny(tmp_path / "book"), "--out", tmp_path / "out", option, value)
    assert (ended.code, ended.out) == (2, "")
    assert option in ended.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["check", "clear", "verify", "run", "demo", "import"])
def test_every_command_has_help(command: str) -> None:
    assert dujiang(command, "--help").code == 0


@pytest.mark.parametrize("name", ["nowhere", "file", "x" * 300])
def test_a_book_that_is_no_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    ended = dujiang("check", tmp_path / name, "--json")
    assert (ended.code, ended.err) == (1, "")
    assert [(p["code"], p["file"]) for p in ended.document["problems"]] == [("unreadable", name)]


def test_a_crash_is_ours_and_leaves_its_details_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(folder: Path) -> None:
        raise RuntimeError("out of coffee")

    monkeypatch.setattr("dujiang.cli.check.open_round", broken)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ended = dujiang("check", tmp_path, "--json")
    assert (ended.code, ended.err) == (3, "")
    assert ended.document["ok"] is False
    report = Path(ended.document["report"])
    assert "out of coffee" in report.read_text(encoding="utf-8")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    ended = dujiang("--lang", "zh", "check", tmp_path)
    assert (ended.code, ended.out) == (3, "")
    assert ended.err.startswith("这是程序自身的错误（RuntimeError）")


def listing(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder with their content."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("names", [["notes.txt"], ["summary.json"], ["summary.json", "awards.parquet"], ["book.yaml"]])
def test_somebodys_folder_is_not_replaced(tmp_path: Path, names: list[str]) -> None:
    book, out = write_tiny(tmp_path / "book"), tmp_path / "out"
    out.mkdir()
    for name in names:
        (out / name).write_text('{"format": "another program"}')
    before = listing(tmp_path)
    ended = dujiang("clear", book, "--out", out, "--json")
    assert ended.code == 1, ended
    assert [(p["code"], p["file"]) for p in ended.document["problems"]] == [("not-a-result", "out")]
    assert listing(tmp_path) == before


def test_the_book_itself_is_not_replaced(tmp_path: Path) -> None:
    book = write_tiny(tmp_path / "book")
    before = listing(book)
    for command in ("clear", "run"):
        assert dujiang(command, book, "--out", book).code == 1
    assert listing(book) == before


def test_an_earlier_result_is_replaced_through_a_link_too(tmp_path: Path) -> None:
    book, out = write_tiny(tmp_path / "book"), tmp_path / "out"
    assert dujiang("clear", book, "--out", out).code == 0
    (tmp_path / "link").symlink_to(out)
    edit(book, "book.yaml", "小簿", "第二")
    assert dujiang("clear", book, "--out", tmp_path / "link").code == 0
    assert "第二" in (out / "summary.json").read_text(encoding="utf-8")
    assert (tmp_path / "link").is_symlink()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["book", "link", "out"]
    (out / "mine.txt").write_text("precious")
    assert dujiang("clear", book, "--out", out).code == 1
    assert (out / "mine.txt").read_text() == "precious"


@pytest.mark.parametrize("command", ["clear", "run"])
@pytest.mark.parametrize("name, code", [("file", 1), ("file/out", 3), ("dangling", 1), ("x" * 300, 3)])
def test_targets_that_cannot_be(tmp_path: Path, command: str, name: str, code: int) -> None:
    book = write_tiny(tmp_path / "book")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "dangling").symlink_to("nowhere")
    ended = dujiang(command, book, "--out", tmp_path / name, "--json")
    assert ended.code == code, ended
    assert ended.document["ok"] is False
    assert "report" not in ended.document, "a crash"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["book", "dangling", "file"]
    assert (tmp_path / "file").read_text() == "mine"


def test_a_file_with_a_name_in_another_encoding_is_named(tmp_path: Path) -> None:
    book = write_tiny(tmp_path / "book")
    Path(os.fsdecode(bytes(book) + b"/\xb6\xa9\xb5\xa5.csv")).write_text("x")
    ended = dujiang("check", book, "--json")
    assert ended.code == 1
    assert [p["code"] for p in ended.document["problems"]] == ["bad-name"]


@pytest.mark.parametrize("name", ["nowhere", "empty", "file"])
def test_verify_of_no_result(tmp_path: Path, name: str) -> None:
    book = write_tiny(tmp_path / "book")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    ended = dujiang("verify", book, tmp_path / name, "--json")
    assert (ended.code, ended.err) == (1, "")
    assert ended.document["findings"]
