"""A connector on a virtual clock: stand-ins that take their time, and no machine.

Nothing happens between two calls: where a job stands follows from when it was submitted and what time it is now. So an
engine with fifty thousand jobs costs nothing while nobody asks, and a replay of two months takes no longer than its
clearings.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from dujiang.core.errors import OperationError
from dujiang.core.text import Text
from dujiang.dispatch.connector import Capability, JobSpec, JobState, JobStatus

VIRTUAL = "virtual"


class VirtualClock:
    """An instant that only moves when it is told to, and never back."""

    def __init__(self, start: datetime) -> None:
        self._now = start

    def __call__(self) -> datetime:
        """Return the instant."""
        return self._now

    def advance(self, instant: datetime) -> None:
        """Move on to an instant."""
        assert instant >= self._now, f"the clock stands at {self._now}, {instant} is over"
        self._now = instant


@dataclass(slots=True)
class _Job:
    spec: JobSpec
    started: datetime
    due: datetime
    """When it ends by itself, or at its limit."""
    cancelled: datetime | None = None
    final: JobStatus | None = None


class VirtualConnector:
    """Runs stand-ins on a clock that is handed in (`dispatch.connector.Connector`).

    A job starts the instant it is submitted. A command is refused: a virtual second leaves it no time to run.

    Parameters
    ----------
    now : returns the instant, aware UTC; never goes back
    """

    name = VIRTUAL
    capabilities = frozenset({Capability.CANCEL, Capability.LIMIT, Capability.TIMES})
    lacks: Mapping[Capability, Text] = MappingProxyType(
        {
            Capability.ADOPT: Text("its jobs are in memory and end with it", "作业仅存于内存，随其结束"),
            Capability.EXIT_CODE: Text("it runs no commands", "不运行命令"),
            Capability.OUTPUT: Text("it runs no commands", "不运行命令"),
            Capability.GPU_BINDING: Text("there is no accelerator behind it", "背后没有真实加速卡"),
            Capability.ENERGY: Text("nothing draws any power", "没有设备耗电"),
        }
    )

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._jobs: dict[str, _Job] = {}

    def submit(self, specs: Iterable[JobSpec]) -> None:
        """See `Connector.submit`."""
        now = self._now()
        taken, commands = [], []
        for spec in specs:
            known = self._jobs.get(spec.job_id)
            if known is not None:
                taken += [spec.job_id] if known.spec != spec else []
            elif spec.command is not None:
                commands.append(spec.job_id)
            else:
                due = now + timedelta(seconds=min(spec.run_s, spec.limit_s))
                self._jobs[spec.job_id] = _Job(spec, now, due)
        if taken or commands:
            raise OperationError(_refusal(taken, commands))

    def poll(self) -> list[JobStatus]:
        """See `Connector.poll`."""
        return [self.status(job_id) for job_id in sorted(self._jobs)]

    def status(self, job_id: str) -> JobStatus:
        """Return the state of one job: what `poll` says of it, without a look at all others.

        Raises
        ------
        OperationError : no such job
        """
        job = self._known(job_id)
        if job.final is not None:
            return job.final
        if job.cancelled is None and self._now() < job.due:
            return JobStatus(job_id, JobState.RUNNING, started=job.started)
        job.final = _end(job)
        return job.final

    def cancel(self, job_id: str) -> None:
        """See `Connector.cancel`."""
        if not self.status(job_id).state.is_terminal:
            self._known(job_id).cancelled = self._now()

    def close(self) -> None:
        """See `Connector.close`."""

    def _known(self, job_id: str) -> _Job:
        job = self._jobs.get(job_id)
        if job is None:
            raise OperationError(Text(f"there is no job '{job_id}'", f"没有作业 '{job_id}'"))
        return job


def _end(job: _Job) -> JobStatus:
    spec = job.spec
    if job.cancelled is not None:
        detail = "cancelled"
        return JobStatus(spec.job_id, JobState.CANCELLED, None, job.started, job.cancelled, detail)
    if spec.run_s <= spec.limit_s:
        return JobStatus(spec.job_id, JobState.ENDED, None, job.started, job.due)
    return JobStatus(spec.job_id, JobState.CANCELLED, None, job.started, job.due, "at its limit", limit_reached=True)


def _refusal(taken: list[str], commands: list[str]) -> Text:
    en, zh = [], []
    if taken:
        en.append(f"{len(taken)} job id(s) are taken by a different job, such as '{taken[0]}'")
        zh.append(f"有 {len(taken)} 个作业编号已被其他作业占用, 例如 '{taken[0]}'")
    if commands:
        en.append(f"{len(commands)} job(s) have a command, such as '{commands[0]}', and a virtual clock runs none")
        zh.append(f"有 {len(commands)} 个作业带有命令, 例如 '{commands[0]}', 虚拟时钟不运行命令")
    return Text("; ".join(en), "；".join(zh))
