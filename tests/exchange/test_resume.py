"""A run that is stopped anywhere and resumed ends as one that was left alone; folders of others are safe."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path

import polars as pl
import pytest
from rounds import (
    Order,
    dujiang,
    ending,
    jobs,
    killed,
    ledger,
    processes_in,
    results,
    started,
    write_book,
)

from dujiang.dispatch.connector import JobState, JobStatus
from dujiang.dispatch.local import LocalConnector
from dujiang.exchange.awarded import awarded
from dujiang.exchange.clearing import clear_round, open_round
from dujiang.exchange.replay import POLL_S, UNSEEN_POLLS, Replay
from dujiang.exchange.run import RunOptions, run_round
from dujiang.market.engine import Effort
from dujiang.market.outcome import Coupling
from dujiang.verify import verify

SPEEDUP = 7200
"""Six slots pass in three seconds."""
OPTIONS = ("--speedup", SPEEDUP)

DIES = """
import os, signal, sys
wanted, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
def hook(event, args):
    global count
    if event == wanted and any(str(arg).endswith(name) for arg in (args[1] if event == "subprocess.Popen" else args)):
        count -= 1
        if not count:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
from dujiang.cli.main import main
main(sys.argv[4:])
"""
"""The command line, killed right before the n-th event of a kind on a file of that name (PEP 578)."""


def orders() -> list[Order]:
    """Stand-ins, and commands that leave a line and are stopped at their award's end: the same bill every time."""
    said = "echo once >> ../ran; sleep 60"
    firms = ("e1", "企业/二 号", "E~3")
    stand_ins = [
        Order(f"单/{n}", 1 + n % 4, round(0.3 + 0.23 * n, 2), n % 3, 6, 900, firms[n % 3], "east", 2.5)
        for n in range(9)
    ]
    return [*stand_ins, *(Order(f"c{n}", 2, 1, n, n + 2, 900, firms[n], command=said) for n in range(3))]


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    return write_book(tmp_path_factory.mktemp("book"), orders(), slots=6)


@pytest.fixture(scope="module")
def undisturbed(book, tmp_path_factory):
    """What is left of a run that nobody disturbed."""
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    ended = dujiang("run", book, "--out", out, *OPTIONS)
    assert ended.code == 0, ended.err
    assert verify(book, out).findings == []
    return results(out)


def ran_once(out: Path) -> bool:
    return all(path.read_text() == "once\n" for path in out.glob("jobs/local/c*/ran")) and len(jobs(out)) == 12


def resume(book: Path, out: Path) -> None:
    ended = dujiang("run", book, "--out", out, "--resume")
    assert ended.code == 0, ended.err


def test_killed_at_every_step_in_turn_it_ends_like_an_undisturbed_run(book, undisturbed, tmp_path) -> None:
    out = tmp_path / "out"
    points = [
        ("os.rename", "/run.json", 1),
        ("os.rename", "/summary.json", 1),
        ("os.rename", "/run.json", 1),  # all is reserved, the clock is about to start
        ("os.link", "/spec.json", 3),
        ("subprocess.Popen", "/supervisor.py", 1),
        ("begun.json", "", 0),
        ("status.json", "", 0),
        ("os.rename", "/usage.parquet", 1),
        ("os.rename", "/centres/west-2~", 0),
        ("os.rename", "/summary.json", 1),
    ]
    drafts = set()
    for event, name, count in points:
        arguments = ["run", book, "--out", out, *(("--resume",) if (out / "run.json").exists() else OPTIONS)]
        if name.endswith("~"):
            page = next(path for path in undisturbed if path.startswith(f"invoices{name}"))
            name, count = f"/{page}", 1
        if count:
            process = started(event, name, count, *arguments, program=("-c", DIES))
            assert ending(process).code == -signal.SIGKILL, (event, name)
        else:
            assert killed(started(*arguments), lambda event=event: bool(list(out.glob(f"jobs/*/*/{event}"))))
        drafts |= {path.name.split(".")[1] for path in out.rglob(".*.draft")}
    assert drafts >= {"run", "summary", "usage"}
    # `results` holds drafts as well: the next resume takes them away.
    resume(book, out)
    assert results(out) == undisturbed
    assert ran_once(out)
    assert verify(book, out).findings == []


@pytest.mark.parametrize("after_s", [2.5, 4])
def test_killed_at_any_time_it_ends_like_an_undisturbed_run(book, undisturbed, tmp_path, after_s) -> None:
    out = tmp_path / "out"
    begin = time.monotonic()
    killed(started("run", book, "--out", out, *OPTIONS), lambda: time.monotonic() - begin > after_s)
    if (out / "run.json").exists():
        resume(book, out)
    else:
        assert dujiang("run", book, "--out", out, *OPTIONS).code == 0
    assert results(out) == undisturbed
    assert ran_once(out)


def test_interrupted_by_its_user_it_says_so_and_goes_on_later(book, undisturbed, tmp_path) -> None:
    out = tmp_path / "out"
    process = started("run", book, "--out", out, *OPTIONS)
    while not list(out.glob("jobs/*/*/begun.json")):
        time.sleep(0.01)
        assert process.poll() is None
    for again in ((), ("--resume",)):
        ended = dujiang("run", book, "--out", out, *again)
        assert ended.code == 3
        assert "another run is working in" in ended.err
    process.send_signal(signal.SIGINT)
    ended = ending(process)
    assert ended.code == 130
    assert "--resume" in ended.err
    assert "Traceback" not in ended.err
    resume(book, out)
    assert results(out) == undisturbed
    assert ran_once(out)


def test_another_book_or_no_run_or_a_run_already_there_is_refused(book, undisturbed, tmp_path) -> None:
    mine, out = tmp_path / "book", tmp_path / "out"
    write_book(mine, [Order("o", 1, 0.1, 0, 1)], slots=1)
    ended = dujiang("run", mine, "--out", out, "--resume")
    assert (ended.code, out.exists()) == (1, False)
    assert "no run.json" in ended.err
    assert dujiang("run", mine, "--out", out, "--speedup", 36000).code == 0
    before = results(out)
    ended = dujiang("run", mine, "--out", out)
    assert ended.code == 1
    assert "--resume" in ended.err
    write_book(mine, [Order("o", 1, 0.1, 0, 1), Order("o2", 1, 0.1, 0, 1)], slots=1)
    ended = dujiang("run", mine, "--out", out, "--resume", "--json")
    assert ended.code == 1
    assert ended.document["problems"][0]["code"] == "book-changed"
    assert results(out) == before


def test_a_folder_of_somebody_else_is_left_alone(book, tmp_path) -> None:
    def refused(out: Path, code: str) -> None:
        ended = dujiang("run", book, "--out", out, "--json")
        assert ended.code == 1, ended.err
        assert [p["code"] for p in ended.document["problems"]] == [code]

    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs/thesis.txt").write_text("years of work")
    refused(tmp_path / "theirs", "not-empty")
    assert [path.name for path in (tmp_path / "theirs").iterdir()] == ["thesis.txt"]
    refused(tmp_path / "theirs/thesis.txt", "not-empty")
    (tmp_path / "cleared").mkdir()
    (tmp_path / "cleared/summary.json").write_text("{}")  # of another book, perhaps: its awards are not this run's
    refused(tmp_path / "cleared", "not-empty")
    refused(book / "out", "inside-book")
    refused(book, "inside-book")
    assert not (book / "out").exists()
    (tmp_path / "link").symlink_to(book)
    refused(tmp_path / "link/out", "inside-book")


@pytest.fixture
def finished(tmp_path):
    """A small finished run that a test may spoil."""
    book = write_book(tmp_path / "book", [Order("o", 1, 0.1, 0, 1)], slots=1)
    assert dujiang("run", book, "--out", tmp_path / "out", "--speedup", 36000).code == 0
    return book, tmp_path / "out"


@pytest.mark.parametrize(
    "name, content, code",
    [
        ("run.json", b"", 1),
        ("run.json", b'"text"', 1),
        ("run.json", b"\xff\xfe", 1),
        ("run.json", b'{"format": "dujiang.run/9"}', 1),
        ("summary.json", b"{", 1),
        ("awards.parquet", b"PAR1 no", 1),
        ("prices.parquet", None, 1),
        ("ledger.sqlite", b"not a database, but longer than its header would be " * 9, 3),
    ],
)
def test_a_damaged_file_is_named_and_nothing_else_is_touched(finished, name, content, code) -> None:
    book, out = finished
    if content is None:
        (out / name).unlink()
    else:
        (out / name).write_bytes(content)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    ended = dujiang("run", book, "--out", out, "--resume")
    assert ended.code == code, ended.err
    assert "our mistake" not in ended.err
    assert name.partition(".")[0] in ended.err or "the clearing of this run" in ended.err
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    "change",
    [
        {"speedup": "1/0"},
        {"speedup": "0"},
        {"speedup": 3},
        {"parallel": 0},
        {"began": "2025-11-03"},
        {"coupling": "none"},
        {"book_sha256": None},
    ],
    ids=str,
)
def test_a_state_that_no_run_wrote_is_refused(finished, change) -> None:
    book, out = finished
    document = json.loads((out / "run.json").read_bytes()) | change
    (out / "run.json").write_text(json.dumps(document))
    ended = dujiang("run", book, "--out", out, "--resume")
    assert ended.code == 1, ended.err
    assert "run.json" in ended.err


def test_a_ledger_that_was_lost_is_made_again_from_what_the_jobs_left(finished) -> None:
    book, out = finished
    before = results(out)
    (out / "ledger.sqlite").unlink()
    resume(book, out)
    assert results(out) == before


def test_a_disk_that_refuses_is_said_and_the_run_goes_on_later(book, undisturbed, tmp_path) -> None:
    """A limit on the size of files refuses a write just as a full disk does; here that of the report."""
    out = tmp_path / "out"

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    ended = ending(started("run", book, "--out", out, *OPTIONS, preexec_fn=limited))
    assert ended.code == 3, ended.err
    assert "our mistake" not in ended.err
    assert ended.err.strip().splitlines()[-1].count(": ") >= 1
    resume(book, out)
    assert results(out) == undisturbed
    assert ran_once(out)


FULL = """
mount -t tmpfs -o size="$5" none "$1" || exit 99
"$2" -m dujiang.cli.main run "$3" --out "$1/out" --speedup 7200; echo "first $?"
mount -o remount,size=64m none "$1" || exit 99
"$2" -m dujiang.cli.main run "$3" --out "$1/out" --resume; echo "second $?"
cp -r "$1/out" "$4"
"""


@pytest.mark.parametrize("size", ["300k", "450k"])
def test_a_full_disk_is_said_and_the_run_goes_on_when_there_is_room(book, undisturbed, tmp_path, size) -> None:
    """The smaller one is full when the ledger grows, the larger one when the jobs' ends are noted."""
    (tmp_path / "disk").mkdir()
    command = [
        "unshare",
        "-rm",
        "sh",
        "-c",
        FULL,
        "sh",
        tmp_path / "disk",
        sys.executable,
        book,
        tmp_path / "copy",
        size,
    ]
    if shutil.which("unshare") is None:
        pytest.skip("no unshare on this machine")
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=90)
    if not (tmp_path / "copy").exists() and "first" not in done.stdout:
        pytest.skip(f"no file system of our own can be mounted here: {done.stderr.strip()}")
    codes = [line for line in done.stdout.splitlines() if line.startswith(("first", "second"))]
    assert codes == ["first 3", "second 0"], done.stderr
    assert "our mistake" not in done.stderr
    assert results(tmp_path / "copy") == undisturbed


@pytest.mark.parametrize("out", ["/proc/no/such/place", "{book}/orders.csv/out", "{tmp}/" + "x" * 300])
def test_a_place_that_cannot_be_written_is_an_error_without_a_traceback(book, tmp_path, out) -> None:
    place = tmp_path / "book"
    shutil.copytree(book, place)
    ended = dujiang("run", book, "--out", out.format(book=place, tmp=tmp_path))
    assert ended.code == 3, ended.err
    assert "cannot write" in ended.err


def test_a_job_that_nobody_sees_keeps_its_money_until_there_is_a_reading(tmp_path) -> None:
    book = write_book(tmp_path / "book", [Order("seen", 1, 0.5, 0, 2), Order("lost", 2, 1, 0, 2)], slots=2)
    out = tmp_path / "out"
    ran: list[dict] = []
    options = RunOptions(speedup=Fraction(3600))
    run = threading.Thread(target=lambda: ran.append(run_round(book, out, options)))
    run.start()
    begun = out / "jobs/local/lost/begun.json"
    while not begun.exists():
        time.sleep(0.01)
        assert run.is_alive()
    claim = json.loads(begun.read_bytes())
    time.sleep(0.3)  # past the start, which the connector sees through; well before the job's own end
    os.kill(claim["pid"], signal.SIGKILL)
    run.join(30)
    assert ran[0]["run"]["outcomes"] == {"ended": 1, "unseen": 1}
    kinds = ledger(out).filter(pl.col("order_id") == "lost")["kind"].unique().to_list()
    assert kinds == ["reserve"]
    usage = pl.read_parquet(out / "usage.parquet").filter(pl.col("order_id") == "lost").row(0, named=True)
    assert (usage["run_hours_micro"], usage["kwh"]) == (None, None)
    assert "lost" in (out / "invoices/e1.html").read_text(encoding="utf-8")
    assert verify(book, out).findings == []
    before = results(out)
    ended = dujiang("run", book, "--out", out, "--resume")
    assert ended.code == 3
    assert "1 awards have no reading yet" in ended.err
    assert results(out) == before
    # What the supervisor would have written turns up: the reading that billing waited for.
    status = jobs(out)["seen"] | {"state": "failed", "exit_code": 1, "began_ns": claim["began_ns"]}
    status["ended_ns"] = claim["began_ns"] + 500_000_000
    (begun.parent / "status.json").write_text(json.dumps(status))
    ended = dujiang("run", book, "--out", out, "--resume", "--json")
    assert ended.code == 0, ended.err
    assert ended.document["run"]["outcomes"] == {"ended": 1, "failed": 1}
    assert ledger(out).filter(pl.col("order_id") == "lost")["kind"].unique().sort().to_list() == [
        "post",
        "reserve",
        "void",
    ]
    assert verify(book, out).findings == []


def test_pages_of_an_earlier_try_go_when_they_are_no_longer_true(finished) -> None:
    book, out = finished
    (out / "invoices/centres/gone.html").write_text("an earlier try's page")
    resume(book, out)
    assert not (out / "invoices/centres/gone.html").exists()


class _OutOfReach(LocalConnector):
    """The real connector behind a line that is up at every eleventh look only."""

    looks = 0

    def poll(self) -> list[JobStatus]:
        statuses = super().poll()
        self.looks += bool(statuses)
        if self.looks % 11 == 0:
            return statuses
        return [JobStatus(status.job_id, JobState.UNSEEN, started=status.started) for status in statuses]


def test_an_engine_that_is_out_of_reach_for_a_while_loses_no_end(tmp_path) -> None:
    book = write_book(tmp_path / "book", [Order("o", 1, 1, 0, 1), Order("p", 1, 0.1, 0, 1)], slots=1)
    round_ = open_round(book)
    awards = awarded(round_, clear_round(round_, Coupling.FULL, Effort())[0])
    connector = _OutOfReach(tmp_path / "jobs")
    begin = time.monotonic()
    # An hour in 3.5 seconds: longer than the twenty looks in a row after which a job would be given up.
    assert UNSEEN_POLLS * POLL_S < 3
    replay = Replay({"local": connector}, awards, Fraction(1030), lambda: time.monotonic() - begin, 5)
    ends: list[JobStatus] = []
    replay.run(lambda batch: ends.extend(status for _, status in batch), lambda share: None)
    connector.close()
    assert sorted(status.job_id for status in ends) == ["o", "p"]
    assert {status.state for status in ends} == {JobState.ENDED}
    assert replay.unseen == []
    assert processes_in(tmp_path) == []
