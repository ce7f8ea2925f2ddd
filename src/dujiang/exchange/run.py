"""A whole round: clear, reserve, run, meter, settle, report. Every step can be repeated, so a killed run goes on.

What makes that true, step by step:

1. `run.json` is written first, whole: which book (by digest), which options, when slot 0 began.
2. The clearing is a function of the book; its files are written whole, `summary.json` last. Without it: clear again.
3. Budgets, caps and reservations go into the ledger in one transaction, under ids that follow from the awards.
4. Jobs are known to the connector under their order's id: none starts twice, none is lost.
5. What a job used follows from what the connector wrote down; its entries have ids that follow from the award.
6. The files of the round are made from the ledger and the readings; each is replaced whole.

So a run that was killed anywhere and resumed ends with the same ledger as one that was left alone.
"""

import fcntl
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

from dujiang.core.errors import InputError, OperationError
from dujiang.core.money import MICRO, cny
from dujiang.core.problem import Problem, shown
from dujiang.core.slots import instant_text, parse_instant, slot_instant
from dujiang.core.text import Text
from dujiang.dispatch.connector import Connector, JobState, JobStatus, connector_named
from dujiang.exchange.awarded import Awarded, awarded, budgets, caps_in_use
from dujiang.exchange.clearing import Round, clear_round, open_round
from dujiang.exchange.papers import paper_files
from dujiang.exchange.replay import Replay
from dujiang.market.engine import Effort, Progress
from dujiang.market.outcome import Coupling, Outcome
from dujiang.metering.usage import Usage, metered
from dujiang.settlement.entry import Entry
from dujiang.settlement.postings import open_budget, open_cap, reserve, settle
from dujiang.store.files import json_bytes, write_all, write_whole, writing
from dujiang.store.ledger import Ledger
from dujiang.store.results import SUMMARY, check_target, read_outcome

FORMAT = "dujiang.run/1"
STATE = "run.json"
LEDGER = "ledger.sqlite"
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
    began: datetime

    def document(self) -> dict[str, Any]:
        """Return the state as JSON."""
        return {
            "format": FORMAT,
            **asdict(self),
            "coupling": self.coupling.value,
            "speedup": str(self.speedup),
            "began": instant_text(self.began),
        }


def _new_state(round_: Round, options: RunOptions, now: datetime) -> _State:
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
        began=now.replace(microsecond=0),
    )


def _read_state(path: Path) -> _State:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        assert value.pop("format") == FORMAT
        began = parse_instant(value.pop("began"))
        assert began is not None
        coupling, speedup = Coupling(value.pop("coupling")), Fraction(value.pop("speedup"))
        return _State(coupling=coupling, speedup=speedup, began=began, **value)
    except (OSError, ValueError, KeyError, TypeError, AssertionError) as error:
        expected = Text("the state of a run of this version", "本版本运行的状态文件")
        fix = Text("start again with another --out", "请另选 --out 重新开始")
        raise InputError(
            [Problem("bad-state", path.name, None, None, shown(type(error).__name__), expected, fix)]
        ) from error


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Hold the lock of a run folder; the kernel lets go of it when the process dies."""
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
        handle = os.open(out / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise OperationError(Text(f"another run is working in {out}", f"另一个运行正在使用 {out}")) from error
        yield
    finally:
        os.close(handle)


def _begin(out: Path, round_: Round, options: RunOptions, resume: bool) -> _State:
    """Return the state of the run in a folder, writing it if the run is new."""
    path = out / STATE
    if not path.exists():
        if resume:
            expected = Text("the folder of a run", "某次运行的文件夹")
            raise InputError([Problem("no-run", out.name, None, None, f"no {STATE}", expected)])
        state = _new_state(round_, options, datetime.now(UTC))
        write_whole(path, json_bytes(state.document()))
        return state
    if not resume:
        raise InputError(
            [
                Problem(
                    "run-exists",
                    out.name,
                    None,
                    None,
                    f"a run ({STATE})",
                    Text("a new folder", "新的文件夹"),
                    Text("add --resume to go on with it, or choose another --out", "加 --resume 继续，或另选 --out"),
                )
            ]
        )
    state = _read_state(path)
    if state.book_sha256 != round_.digest:
        raise InputError(
            [
                Problem(
                    "book-changed",
                    STATE,
                    None,
                    "book_sha256",
                    shown(round_.digest[:16] + "…"),
                    Text(
                        f"the book of this run, {state.book_sha256[:16]}…",
                        f"本次运行的需求簿 {state.book_sha256[:16]}…",
                    ),
                    Text(
                        "awards are firm: put the old book back, or start a new run",
                        "中标不可更改：请恢复原需求簿或新开运行",
                    ),
                )
            ]
        )
    return state


def _cleared(out: Path, round_: Round, state: _State, progress: Progress | None) -> Outcome:
    """Return the clearing of this run: read back if it was finished, else made now."""
    if (out / SUMMARY).exists():
        return read_outcome(out)
    effort = Effort(seconds=state.seconds, gap=state.gap)
    outcome, files = clear_round(round_, state.coupling, effort, progress)
    write_all(out, files)
    return outcome


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


def _dispatch(
    out: Path, round_: Round, state: _State, awards: list[Awarded], ledger: Ledger, tell: Progress | None
) -> list[Usage]:
    """Run all awards; meter and settle each as it ends; return all readings, unseen ones too."""
    readings: dict[str, Usage] = {}

    def ended(batch: list[tuple[Awarded, JobStatus]]) -> None:
        entries: list[Entry] = []
        for award, status in batch:
            usage = metered(award.run, status, market_s_per_real_s=state.speedup, power=award.power)
            readings[award.run.order_id] = usage
            entries.extend(settle(award.award, usage, _settled_at(round_, usage)))
        ledger.write(entries)

    def elapsed_s() -> float:
        return (datetime.now(UTC) - state.began).total_seconds()

    with ExitStack() as stack:
        connectors: dict[str, Connector] = {}
        for name in sorted({award.connector for award in awards}):
            connectors[name] = connector_named(name, out / "jobs" / name)
            stack.callback(connectors[name].close)
        replay = Replay(connectors, awards, state.speedup, elapsed_s, state.parallel)
        replay.run(ended, (lambda share: None) if tell is None else lambda share: tell("dispatch", share, None))
        for award in replay.unseen:
            status = JobStatus(award.run.order_id, JobState.UNSEEN)
            readings[award.run.order_id] = metered(
                award.run, status, market_s_per_real_s=state.speedup, power=award.power
            )
    return [readings[key] for key in sorted(readings)]


def _run_summary(state: _State, readings: list[Usage], posted: Mapping[str, int]) -> dict[str, Any]:
    outcomes = Counter(usage.outcome.value for usage in readings)
    energy = [usage.kwh for usage in readings if usage.kwh is not None]
    carbon = [usage.kgco2 for usage in readings if usage.kgco2 is not None]
    return {
        "speedup": str(state.speedup),
        "outcomes": dict(sorted(outcomes.items())),
        "gpu_hours_metered": sum(usage.gpu_hours_micro or 0 for usage in readings) / MICRO,
        "kwh": sum(energy),
        "kgco2": sum(carbon),
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
    round_ = open_round(folder)
    if not (out / STATE).exists():
        check_target(out)
    with _alone(out):
        state = _begin(out, round_, options, resume)
        outcome = _cleared(out, round_, state, progress)
        awards = awarded(round_, outcome)
        if state.connector is not None:
            awards = [replace(award, connector=state.connector) for award in awards]
        with Ledger(out / LEDGER) as ledger:
            ledger.write(entry for entry in _opening(round_, awards) if entry is not None)
            readings = _dispatch(out, round_, state, awards, ledger, progress)
            files, posted = paper_files(
                round_, outcome, None if other is None else other(round_), awards, readings, ledger, state.operator
            )
        summary = {**outcome.summary, "run": _run_summary(state, readings, posted)}
        write_all(out, {**files, SUMMARY: json_bytes(summary)})
        return summary
