"""What a connector is: a few methods, declared capabilities, and a reason for each thing that it cannot do.

The rest of the program asks for capabilities and never looks at a connector's type. "Cannot see the job" and "the job
failed" are two states (design 6.4): an engine that is out of reach has neither failed a job nor ended its use.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from dujiang.core.errors import OperationError
from dujiang.core.text import Text


class Capability(StrEnum):
    """Something that an engine may or may not be able to do."""

    ADOPT = "adopt"
    """A new connector finds the jobs of one that is gone, and their ends, with nothing lost and nothing run twice."""
    CANCEL = "cancel"
    """A job can be stopped before its end."""
    LIMIT = "limit"
    """The engine itself ends a job at its limit, also while nobody is looking."""
    EXIT_CODE = "exit_code"
    """The exit code of a command is reported."""
    TIMES = "times"
    """The instants at which a job started and ended are the engine's own, not those of the next poll."""
    OUTPUT = "output"
    """What a command writes to its standard output and error is kept."""
    GPU_BINDING = "gpu_binding"
    """A job gets accelerators of its own, and sees no others."""
    ENERGY = "energy"
    """The energy that a job drew is measured."""


class JobState(StrEnum):
    """Where a job stands."""

    SUBMITTED = "submitted"
    """The engine knows it; it has not started. Submitting it again is harmless, and starts it if nobody else does."""
    RUNNING = "running"
    """It has started and is watched."""
    ENDED = "ended"
    """It ended by itself, with exit code 0."""
    FAILED = "failed"
    """It ended with another exit code, or was stopped by something other than its limit or `cancel`."""
    CANCELLED = "cancelled"
    """It was stopped at its limit (`JobStatus.limit_reached`) or by `cancel`."""
    UNSEEN = "unseen"
    """It has started and nobody can say what became of it: neither a failure nor an end. The caller decides."""

    @property
    def is_terminal(self) -> bool:
        """Whether this state is final."""
        return self in (JobState.ENDED, JobState.FAILED, JobState.CANCELLED)


@dataclass(frozen=True, slots=True)
class JobSpec:
    """One job as the caller wants it run."""

    job_id: str
    """Chosen by the caller and stored by it before submitting; any text. The same id is the same job, for ever."""
    command: str | None
    """Command line for a POSIX shell; None: a stand-in that sleeps `run_s` and succeeds."""
    gpus: int
    """Accelerators awarded."""
    run_s: float
    """Real seconds that the stand-in sleeps; a command does not look at it."""
    limit_s: float
    """Real seconds after its start at which the award's time is over and the job is stopped; > 0."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Further environment variables of the job; `DUJIANG_*` names that the connector sets win."""


@dataclass(frozen=True, slots=True)
class JobStatus:
    """What a connector saw of a job."""

    job_id: str
    state: JobState
    exit_code: int | None = None
    """As a shell reports it, 0 to 255 (128 + n: killed by signal n); None unless the command has ended."""
    started: datetime | None = None
    """Aware UTC; None: it has not started. An engine without `Capability.TIMES` gives the poll that first saw it."""
    ended: datetime | None = None
    """Aware UTC, `started` plus the time that really passed, so that a clock set anew does not bend a bill."""
    detail: str = ""
    """What a person should know about the state, in one line."""
    limit_reached: bool = False
    """Whether a `CANCELLED` job was stopped because its award's time was over."""


class Connector(Protocol):
    """Runs jobs on one engine.

    Every method may raise `OperationError`; after one, the same call can be made again and changes nothing twice.
    """

    @property
    def name(self) -> str:
        """Name under which books ask for this connector."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What the engine can do."""

    @property
    def lacks(self) -> Mapping[Capability, Text]:
        """For each capability that is not among `capabilities`, the reason."""

    def submit(self, specs: Iterable[JobSpec]) -> None:
        """Have jobs started, each exactly once per job id whoever calls and however often.

        A job that is known already stays as it is. One that provably never started (its submitter was killed half
        way) is started now; one that may have started is not started again, whatever became of it.

        Raises
        ------
        OperationError : some jobs could not be started, or an id is taken by a different job. Jobs of the call that
            did start run on; submit all of them again.
        """

    def poll(self) -> list[JobStatus]:
        """Return the state of every job that the engine knows, also of earlier submitters, sorted by job id."""

    def cancel(self, job_id: str) -> None:
        """Have a job stopped, or never started; returns at once, `poll` shows the end. No-op on a job that has ended.

        Raises
        ------
        OperationError : no such job, or it cannot be reached now
        """

    def close(self) -> None:
        """Let go of the engine. Jobs run on."""


def connector_names() -> list[str]:
    """Return the names that `connector_named` knows, sorted."""
    return sorted(_CONNECTORS)


def connector_named(name: str, folder: Path) -> Connector:
    """Return the connector of that name.

    Parameters
    ----------
    name : as in column `connector` of the table of centres
    folder : where it keeps what must outlive the program; made if missing, one per connector

    Raises
    ------
    OperationError : no connector has that name, or it cannot work here
    """
    try:
        make = _CONNECTORS[name]
    except KeyError:
        known = ", ".join(connector_names())
        raise OperationError(
            Text(
                f"there is no connector named '{name}'; known are: {known}",
                f"没有名为 '{name}' 的连接器; 可用的有: {known}",
            )
        ) from None
    return make(folder)


def _local(folder: Path) -> Connector:
    # Engines load on first use, so that a client library that one needs is not a condition for all others.
    from dujiang.dispatch.local import LocalConnector

    return LocalConnector(folder)


_CONNECTORS: dict[str, Callable[[Path], Connector]] = {"local": _local}
