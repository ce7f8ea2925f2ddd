"""A whole round: clear, reserve, run, meter, settle, report. Every step can be repeated, so a killed run goes on.

What makes that true, step by step:

1. `run.json` is written first, whole: which book (by digest) and which options.
2. The clearing is a function of the book; its files are written whole, `summary.json` last. Without it: clear again.
3. Budgets, caps and reservations go into the ledger in one transaction, under ids that follow from the awards.
4. `run.json` is replaced by one that says when slot 0 began: the market's clock stands still until all is reserved.
5. Jobs are known to the connector under their order's id: none starts twice, none is lost.
6. What a job used follows from what the connector wrote down; its entries have ids that follow from the award.
7. The files of the round are made from the ledger and the readings; each is replaced whole, `summary.json` last.

So a run that was killed anywhere and resumed ends with the same ledger as one that was left alone.
"""

import fcntl
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

from dujiang.core.errors import InputError, OperationError
from dujiang.core.money import MICRO, cny
from dujiang.core.problem import Problem, shown
from dujiang.core.slots import parse_instant, slot_instant
from dujiang.core.text import Text
from dujiang.dispatch.connector import Connector, JobState, JobStatus, connector_named, connector_names
from dujiang.exchange.awarded import Awarded, awarded, budgets, caps_in_use
from dujiang.exchange.clearing import Round, clear_round, open_round
from dujiang.exchange.papers import paper_files
from dujiang.exchange.replay import Replay
from dujiang.market.engine import Effort, Progress
from dujiang.market.outcome import Coupling, Outcome
from dujiang.metering.usage import Usage, metered
from dujiang.settlement.entry import Entry
from dujiang.settlement.postings import open_budget, open_cap, reserve, settle
from dujiang.store.files import is_draft, json_bytes, remove_drafts, write_all, write_whole, writing
from dujiang.store.ledger import Ledger
from dujiang.store.results import SUMMARY, check_outside, read_outcome

FORMAT = "dujiang.run/1"
STATE = "run.json"
LEDGER = "ledger.sqlite"
LOCK = ".lock"
INVOICES = "invoices"
REPLAY_S = 20
"""Real seconds that a round of stand-ins takes by default."""
PARALLEL = 512
"""Most jobs at once by default; a sleeping stand-in costs two small processes."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What a run was asked to do; kept in `run.json`, so that a resume does the same."""

    coupling: Coupling = Coupling.FULL
    connector: str | None = None
    """Connector for all centres; None: each centre's own."""
    speedup: Fraction | None = None
    """Market seconds in one real second; None: a round of stand-ins takes 20 s, one with commands real time."""
    parallel: int = PARALLEL
    effort: Effort = field(default_factory=Effort)
    operator: str = "dujiang"


@dataclass(frozen=True, slots=True)
class _State:
    """Content of `run.json`."""

    book_sha256: str
    coupling: Coupling
    connector: str | None
    speedup: Fraction
    parallel: int
    seconds: float | None
    gap: float
    operator: str
    began: datetime | None = None
    """When slot 0 began; None: nothing may have been started yet."""

    def document(self) -> dict[str, Any]:
        """Return the state as JSON."""
        return {
            "format": FORMAT,
            **asdict(self),
            "coupling": self.coupling.value,
            "speedup": str(self.speedup),
            "began": None if self.began is None else self.began.isoformat(),
        }


def _new_state(round_: Round, options: RunOptions) -> _State:
    speedup = options.speedup
    if speedup is None:
        commands = round_.book.orders["command"].drop_nulls().len()
        speedup = Fraction(1) if commands else Fraction(round_.book.slots * 3600, REPLAY_S)
    return _State(
        book_sha256=round_.digest,
        coupling=options.coupling,
        connector=options.connector,
        speedup=speedup,
        parallel=options.parallel,
        seconds=options.effort.seconds,
        gap=options.effort.gap,
        operator=options.operator,
    )


def _parse_state(value: Any) -> _State:
    """Turn the document of `run.json` into the state; ValueError, KeyError or TypeError if it is not one."""
    if value["format"] != FORMAT:
        raise ValueError("another format")
    speedup, began = Fraction(*map(int, value["speedup"].split("/"))), value["began"]
    if not (speedup > 0 and value["parallel"] > 0):
        raise ValueError("a number that must be above zero")
    instant = None if began is None else parse_instant(began)
    if (instant is None) != (began is None):
        raise ValueError("an instant without an offset")
    return _State(
        book_sha256=str(value["book_sha256"]),
        coupling=Coupling(value["coupling"]),
        connector=None if value["connector"] is None else str(value["connector"]),
        speedup=speedup,
        parallel=int(value["parallel"]),
        seconds=None if value["seconds"] is None else float(value["seconds"]),
        gap=float(value["gap"]),
        operator=str(value["operator"]),
        began=instant,
    )


@contextmanager
def _whole(path: Path, expected: Text) -> Iterator[None]:
    """Turn whatever reading a file of ours meets in a file that is not as we wrote it into a problem of the input."""
    try:
        yield
    except BaseException as error:  # polars reports some broken files by a Rust panic, which is no Exception
        if isinstance(error, KeyboardInterrupt | SystemExit | MemoryError):
            raise
        found = shown(" ".join(f"{type(error).__name__}: {error}".split()), 120)
        fix = Text("put it back, or start again with another --out", "请恢复该文件，或另选 --out 重新开始")
        raise InputError([Problem("bad-state", path.name, None, None, found, expected, fix)]) from error


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """Hold the lock of a folder, made if missing; the kernel lets go of it when the process dies.

    Raises
    ------
    OperationError : another process holds it, or the folder cannot be written
    """
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
        handle = os.open(out / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        with writing(out / LOCK):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise OperationError(Text(f"another run is working in {out}", f"另一个运行正在使用 {out}")) from error
        yield
    finally:
        os.close(handle)


def _refused(code: str, out: Path, found: str, expected: Text, fix: Text) -> InputError:
    return InputError([Problem(code, out.name or str(out), None, None, found, expected, fix)])


def _check_place(folder: Path, out: Path, resume: bool) -> None:
    """Refuse a folder that a run cannot work in, before anything in it is touched."""
    another = Text("choose another --out", "请另选 --out")
    check_outside(folder, out)
    with writing(out):
        a_file = (out.exists() or out.is_symlink()) and not out.is_dir()
        names = sorted(path.name for path in out.iterdir()) if out.is_dir() else []
    if resume and STATE not in names:
        fix = Text("leave out --resume to begin a run", "新开运行请去掉 --resume")
        raise _refused("no-run", out, f"no {STATE}", Text("the folder of a run", "某次运行的文件夹"), fix)
    # A run that was killed before `run.json` was in place leaves its lock, and perhaps a draft.
    strangers = [] if STATE in names else [name for name in names if name != LOCK and not is_draft(name)]
    if a_file or strangers:
        found = "a file" if a_file else shown(strangers[0])
        raise _refused("not-empty", out, found, Text("a new or empty folder", "新的或空的文件夹"), another)


def _check_connectors(round_: Round, override: str | None) -> None:
    """Refuse names that no connector has, before anything is cleared or reserved."""
    known = connector_names()
    expected = Text("one of " + ", ".join(known), "以下之一：" + "、".join(known))
    if override is not None:
        if override not in known:
            raise InputError([Problem("bad-option", "options", None, "connector", shown(override), expected)])
        return
    fix = Text("or run all centres on one of them with --connector", "或用 --connector 为所有中心指定一个")
    named = round_.book.centres.select("connector", "centre_id").sort("connector", "centre_id")
    problems = [
        Problem("unknown-connector", "centres", None, "connector", f"{shown(name)} for {shown(centre)}", expected, fix)
        for name, centre in named.iter_rows()
        if name not in known
    ]
    if problems:
        raise InputError(problems)


def _begin(out: Path, round_: Round, options: RunOptions, resume: bool) -> _State:
    """Return the state of the run in a folder, writing it if the run is new."""
    path = out / STATE
    if not resume:
        if path.exists():
            fix = Text("add --resume to go on with it, or choose another --out", "加 --resume 继续，或另选 --out")
            raise _refused("run-exists", out, f"a run ({STATE})", Text("a new folder", "新的文件夹"), fix)
        state = _new_state(round_, options)
        write_whole(path, json_bytes(state.document()))
        return state
    for place in (out, out / "programmes"):
        remove_drafts(place)
    with _whole(path, Text("the state of a run of this version", "本版本运行的状态文件")):
        state = _parse_state(json.loads(path.read_text(encoding="utf-8")))
    if state.book_sha256 != round_.digest:
        found = shown(round_.digest[:16] + "…")
        expected = Text(
            f"the book of this run, {state.book_sha256[:16]}…", f"本次运行的需求簿 {state.book_sha256[:16]}…"
        )
        fix = Text(
            "awards are firm: put the old book back, or start a new run", "中标不可更改：请恢复原需求簿或新开运行"
        )
        raise InputError([Problem("book-changed", STATE, None, "book_sha256", found, expected, fix)])
    return state


def _cleared(out: Path, round_: Round, state: _State, progress: Progress | None) -> Outcome:
    """Return the clearing of this run, made now unless it was finished; always as read back, so as a resume sees it."""
    if not (out / SUMMARY).exists():
        effort = Effort(seconds=state.seconds, gap=state.gap)
        write_all(out, clear_round(round_, state.coupling, effort, progress)[1])
    with _whole(out, Text("the clearing of this run, whole", "本次运行完整的出清结果")):
        return read_outcome(out)


def _opening(round_: Round, awards: list[Awarded]) -> Iterator[Entry | None]:
    start = round_.book.start
    for programme, left in budgets(round_).items():
        yield open_budget(programme, left, start)
    for (programme, enterprise), left in caps_in_use(round_, awards).items():
        yield open_cap(programme, enterprise, left, start)
    for award in awards:
        yield reserve(award.award, start)


def _settled_at(round_: Round, usage: Usage) -> datetime:
    """Return the market instant at which an award's use ended, to the microsecond."""
    if usage.market_end_micro is None:
        return slot_instant(round_.book.start, usage.start)
    return round_.book.start + timedelta(microseconds=usage.market_end_micro * 3600)


@contextmanager
def _connected(out: Path, names: Iterable[str]) -> Iterator[Mapping[str, Connector]]:
    """Open the connectors of those names; let go of them afterwards."""
    with ExitStack() as stack:
        connectors: dict[str, Connector] = {}
        for name in sorted(set(names)):
            connectors[name] = connector_named(name, out / "jobs" / name)
            stack.callback(connectors[name].close)
        yield connectors


def _started(out: Path, state: _State) -> Callable[[], float]:
    """Start the market's clock, or find it running; return real seconds since slot 0 began.

    It starts when all is reserved, else the time that the clearing took would be missing from the first slots. A
    machine's clock that is set anew does not bend it while we run.
    """
    now = datetime.now(UTC)
    if state.began is None:
        state = replace(state, began=now)
        write_whole(out / STATE, json_bytes(state.document()))
    assert state.began is not None
    offset = max(0.0, (now - state.began).total_seconds()) - time.monotonic()
    return lambda: time.monotonic() + offset


def _check_room(out: Path) -> None:
    """Stop at a full disk: an engine that keeps its notes there waits for room, and we would wait for it in silence."""
    with writing(out):
        free = shutil.disk_usage(out).free
    if not free:
        raise OperationError(
            Text(
                f"the disk that holds {out} is full: make room, then go on with --resume; what was started runs on",
                f"{out} 所在磁盘已满：请腾出空间后用 --resume 继续；已启动的作业继续运行",
            )
        )


def _dispatch(
    round_: Round,
    state: _State,
    awards: list[Awarded],
    connectors: Mapping[str, Connector],
    ledger: Ledger,
    elapsed_s: Callable[[], float],
    tell: Progress | None,
) -> list[Usage]:
    """Run all awards; meter and settle each as it ends; return all readings by order, unseen ones too."""
    readings: dict[str, Usage] = {}

    def read(award: Awarded, status: JobStatus) -> Usage:
        usage = metered(award.run, status, market_s_per_real_s=state.speedup, power=award.power)
        readings[award.run.order_id] = usage
        return usage

    def ended(batch: list[tuple[Awarded, JobStatus]]) -> None:
        entries: list[Entry] = []
        for award, status in batch:
            usage = read(award, status)
            entries.extend(settle(award.award, usage, _settled_at(round_, usage)))
        ledger.write(entries)

    replay = Replay(connectors, awards, state.speedup, elapsed_s, state.parallel)

    def looked(share: float) -> None:
        _check_room(ledger.path.parent)
        if tell is not None:
            tell("dispatch", share, None)

    replay.run(ended, looked)
    for award in replay.unseen:
        read(award, JobStatus(award.run.order_id, JobState.UNSEEN))
    return [readings[key] for key in sorted(readings)]


def _write_papers(out: Path, files: Mapping[str, bytes], summary: Mapping[str, Any]) -> None:
    """Write the papers, take away pages of an earlier try that are not among them, mark the end with the summary."""
    write_all(out, files)
    with writing(out / INVOICES):
        for path in sorted((out / INVOICES).rglob("*")):
            if path.is_file() and path.relative_to(out).as_posix() not in files:
                path.unlink()
    write_whole(out / SUMMARY, json_bytes(summary))


def _run_summary(state: _State, readings: list[Usage], posted: Mapping[str, int]) -> dict[str, Any]:
    outcomes = Counter(usage.outcome.value for usage in readings)
    energy = [usage.kwh for usage in readings if usage.kwh is not None]
    carbon = [usage.kgco2 for usage in readings if usage.kgco2 is not None]
    return {
        "speedup": str(state.speedup),
        "outcomes": dict(sorted(outcomes.items())),
        "gpu_hours_metered": sum(usage.gpu_hours_micro or 0 for usage in readings) / MICRO,
        "kwh": sum(energy) if energy else None,
        "kgco2": sum(carbon) if carbon else None,
        "without_energy_reading": len(readings) - len(energy),
        **{f"{name}_cny": float(cny(amount)) for name, amount in posted.items()},
    }


def run_round(
    folder: Path,
    out: Path,
    options: RunOptions,
    *,
    resume: bool = False,
    progress: Progress | None = None,
    other: Callable[[Round], Outcome] | None = None,
) -> dict[str, Any]:
    """Run a whole round.

    Parameters
    ----------
    folder : the book
    out : folder of the run; new or empty, or with `resume` that of a run of this book
    options : what to do; with `resume` those of `run.json` count
    resume : go on with a run that was stopped
    progress : told phase, share and gap
    other : makes the same round's clearing with the other coupling, for the report

    Returns
    -------
    the summary of the clearing, with what was metered and settled under `run`

    Raises
    ------
    InputError : the book has problems, the folder is not for this run
    OperationError : disk, connector or another run in the way; resume later. Nothing is lost
    """
    _check_place(folder, out, resume)
    round_ = open_round(folder)
    if not resume:
        _check_connectors(round_, options.connector)
    with alone(out):
        state = _begin(out, round_, options, resume)
        outcome = _cleared(out, round_, state, progress)
        awards = awarded(round_, outcome)
        if state.connector is not None:
            awards = [replace(award, connector=state.connector) for award in awards]
        with _connected(out, (award.connector for award in awards)) as connectors, Ledger(out / LEDGER) as ledger:
            ledger.write(entry for entry in _opening(round_, awards) if entry is not None)
            elapsed_s = _started(out, state)
            readings = _dispatch(round_, state, awards, connectors, ledger, elapsed_s, progress)
            files, posted = paper_files(
                round_, outcome, None if other is None else other(round_), awards, readings, ledger, state.operator
            )
        summary = {**outcome.summary, "run": _run_summary(state, readings, posted)}
        _write_papers(out, files, summary)
        return summary
