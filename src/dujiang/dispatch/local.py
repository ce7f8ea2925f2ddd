"""The connector `local`: awards run as processes of this machine.

A job has a folder of its own, which holds all that there is to know about it:

=============  =======================================================================
`spec.json`    what was asked; written once by whoever submits first
`begun.json`   the claim: which supervisor runs it (or that it was cancelled before)
`cancel`       somebody asked for its end
`status.json`  how and when it ended
`stdout`       what the command wrote; likewise `stderr`
`work/`        the command's working directory
=============  =======================================================================

Who watches the jobs
--------------------
Somebody must outlive us, wait for each job, hold it to its limit and write down its end. Three designs were weighed:

* a shell script per job around `timeout --kill-after`: no Python, but four processes per job, and `timeout`'s exit
  codes 124 and 137 cannot be told from a command's own;
* one long-lived process that watches all jobs: cheap, but when it is killed the ends of all jobs are lost at once,
  and it needs a protocol to be found again;
* one small process per job, forked from a bare interpreter that is started once per connector. All in all a job costs
  a few milliseconds and its supervisor 0.4 MB; it knows exactly what ended its command, and its death makes one job
  unseen, no other.

The third is what `supervisor.py` is; the order of its steps, and why no job runs twice, stands there.

What this connector does not do: it keeps no count of free accelerators (the market has sold whole ones; how many jobs
run at once is the caller's business); a process that leaves its session (`setsid`) leaves its job; a command runs with
our rights, so it is no place for tenants who do not trust each other; a supervisor that is killed no longer holds its
command to the limit. The folder must be on a file system with hard links, used from one machine and PID namespace.
"""

import hashlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Any

from dujiang.core.errors import OperationError
from dujiang.core.text import Text
from dujiang.dispatch import supervisor
from dujiang.dispatch.connector import Capability, JobSpec, JobState, JobStatus
from dujiang.dispatch.supervisor import BEGUN, CANCEL, SPEC, STATUS, process_mark, write_once

GRACE_S = 5.0
"""Between SIGTERM and SIGKILL; long enough to write a small checkpoint, short against any slot."""
INHERITED = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "LD_LIBRARY_PATH")
"""What a job sees of our environment. Not all of it: the operator's credentials may be in there."""

_BATCH = 256
"""Jobs handed to the launcher at once: their answers fit into one pipe (64 KiB on Linux, pipe(7)), so nobody blocks."""
_ANSWER_S = 60.0
"""Longest silence of the launcher. It answers within milliseconds; a machine that swaps gets its minute."""
_CLOSE_S = 10.0
"""For the launcher to end after its input did; it has nothing left to do."""
_NAME_BYTES = 150
"""Longest folder name made from a job id; file systems allow 255."""
_SPEC_KEYS = ("job_id", "command", "gpus", "run_s", "limit_s", "env")
_BEGUN_KEYS = ("pid", "mark", "began_ns")
"""All null: claimed by a cancellation, so that nobody starts the job."""
_STATUS_KEYS = ("state", "exit_code", "began_ns", "ended_ns", "detail", "limit_reached")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class LocalConnector:
    """Runs jobs as processes of this machine (see the module). For use by one thread; any number of processes.

    Parameters
    ----------
    folder : holds the folders of the jobs and nothing else; made if missing
    grace_s : seconds between SIGTERM and SIGKILL for a job that is stopped

    Raises
    ------
    OperationError : the folder cannot be used, or this is not Linux
    """

    name = "local"
    capabilities = frozenset(Capability) - {Capability.GPU_BINDING, Capability.ENERGY}
    lacks: Mapping[Capability, Text] = MappingProxyType(
        {
            Capability.GPU_BINDING: Text(
                "a plain process sees every accelerator of the machine", "普通进程可以看到本机的所有加速卡"
            ),
            Capability.ENERGY: Text(
                "nothing on a plain machine measures energy per process", "普通机器无法按进程计量能耗"
            ),
        }
    )

    def __init__(self, folder: Path, grace_s: float = GRACE_S) -> None:
        if not Path("/proc/self/stat").exists():
            raise OperationError(
                Text("the connector 'local' needs Linux with /proc", "连接器 'local' 需要带 /proc 的 Linux")
            )
        self._folder = folder.absolute()
        self._grace_s = grace_s
        self._jobs: dict[str, _Job] = {}
        self._launcher: _Launcher | None = None
        with self._disk():
            self._folder.mkdir(parents=True, exist_ok=True)

    def submit(self, specs: Iterable[JobSpec]) -> None:
        """See `Connector.submit`."""
        waiting: list[str] = []
        taken: list[str] = []
        with self._disk():
            for spec in specs:
                path = self._folder / folder_name(spec.job_id)
                if not _record(path, spec):
                    taken.append(spec.job_id)
                elif not (path / BEGUN).exists():
                    waiting.append(path.name)
            supervisor.sync_folder(str(self._folder))
        for first in range(0, len(waiting), _BATCH):
            self._start(waiting[first : first + _BATCH])
        if taken:
            raise OperationError(
                Text(
                    f"{len(taken)} job id(s) are taken by a different job, such as '{taken[0]}'; "
                    "nothing was changed, choose another id or another folder",
                    f"有 {len(taken)} 个作业编号已被其他作业占用, 例如 '{taken[0]}'; 未作任何改动, 请更换编号或目录",
                )
            )

    def poll(self) -> list[JobStatus]:
        """See `Connector.poll`."""
        sessions = _Sessions()
        with self._disk():
            self._discover()
            statuses = [job.status(sessions) for job in self._jobs.values()]
        return sorted(statuses, key=lambda status: status.job_id)

    def cancel(self, job_id: str) -> None:
        """See `Connector.cancel`.

        A job that is unseen stays so, but whatever of it still runs is killed, without grace: nobody is left to wait
        that out.
        """
        path = self._folder / folder_name(job_id)
        with self._disk():
            if _load(path / SPEC, _SPEC_KEYS) is None:
                raise OperationError(Text(f"there is no job '{job_id}' to cancel", f"没有可取消的作业 '{job_id}'"))
            if (path / STATUS).exists():
                return
            # The mark first: by it a supervisor tells our SIGTERM from that of a machine that goes down.
            write_once(str(path / CANCEL), "")
            if write_once(str(path / BEGUN), json.dumps(dict.fromkeys(_BEGUN_KEYS))):
                return
            begun = _load(path / BEGUN, _BEGUN_KEYS)
            if begun is not None and begun["pid"] is not None and not _signal_supervisor(begun):
                _kill_orphans(begun, job_id)

    def close(self) -> None:
        """See `Connector.close`."""
        launcher, self._launcher = self._launcher, None
        if launcher is not None:
            launcher.close()

    def _start(self, names: Sequence[str]) -> None:
        try:
            if self._launcher is None:
                self._launcher = _Launcher(self._folder, self._grace_s)
            failures = self._launcher.start(names)
        except OSError as error:
            self.close()
            failures = [str(error)] * len(names)
        if failures:
            raise OperationError(
                Text(
                    f"{len(failures)} of {len(names)} jobs could not be started on this machine ({failures[0]}); "
                    "submit them again when the cause is gone",
                    f"{len(names)} 个作业中有 {len(failures)} 个无法在本机启动 ({failures[0]}); 排除原因后请重新提交",
                )
            )

    def _discover(self) -> None:
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name not in self._jobs and entry.is_dir():
                    spec = _load(Path(entry.path) / SPEC, _SPEC_KEYS)
                    if spec is not None:
                        self._jobs[entry.name] = _Job(spec["job_id"], Path(entry.path))

    @contextmanager
    def _disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OperationError(
                Text(
                    f"the folder of the jobs {self._folder} cannot be used: {error}",
                    f"无法使用作业目录 {self._folder}: {error}",
                )
            ) from error


def folder_name(job_id: str) -> str:
    """Return the name of a job's folder: letters and digits of any script as they are, the rest escaped.

    Different ids have different names: `%` only ever starts an escape, and `~` a digest in place of a long rest.
    """
    kept = "-_."
    raw = "".join(
        c if c.isalnum() or (c in kept and (c != "." or place)) else _escaped(c) for place, c in enumerate(job_id)
    )
    if len(raw.encode()) <= _NAME_BYTES:
        return raw or "%"
    digest = hashlib.sha256(job_id.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    head = raw.encode()[: _NAME_BYTES - 1 - len(digest)].decode(errors="ignore")
    return f"{head}~{digest}"


def _escaped(letter: str) -> str:
    return "".join(f"%{byte:02X}" for byte in letter.encode("utf-8", "surrogatepass"))


@dataclass(slots=True)
class _Job:
    """A job folder, and what of it can no longer change."""

    job_id: str
    path: Path
    begun: dict[str, Any] | None = None
    final: JobStatus | None = None

    def status(self, sessions: "_Sessions") -> JobStatus:
        if self.final is None:
            self.final = self._final()
        if self.final is not None:
            return self.final
        if self.begun is None:
            self.begun = _load(self.path / BEGUN, _BEGUN_KEYS)
        if self.begun is None:
            return self._without_claim()
        if self.begun["pid"] is None:
            self.final = JobStatus(self.job_id, JobState.CANCELLED, detail="cancelled before it started")
            return self.final
        started = _instant(self.begun["began_ns"])
        if _is_alive(self.begun):
            return JobStatus(self.job_id, JobState.RUNNING, started=started)
        # It may have written the status and gone between our two looks.
        self.final = self._final()
        if self.final is not None:
            return self.final
        if sessions.members(self.begun, self.job_id):
            detail = "its supervisor is gone while its command still runs; cancel stops it"
        else:
            detail = "its supervisor is gone without a status; how its command ended is not known"
        return JobStatus(self.job_id, JobState.UNSEEN, started=started, detail=detail)

    def _final(self) -> JobStatus | None:
        end = _load(self.path / STATUS, _STATUS_KEYS)
        if end is None:
            return None
        return JobStatus(
            self.job_id,
            JobState(end["state"]),
            end["exit_code"],
            _instant(end["began_ns"]),
            _instant(end["ended_ns"]),
            end["detail"],
            end["limit_reached"],
        )

    def _without_claim(self) -> JobStatus:
        if (self.path / BEGUN).exists() and _load(self.path / BEGUN, _BEGUN_KEYS) is None:
            return JobStatus(self.job_id, JobState.UNSEEN, detail="its claim cannot be read; it may have started")
        return JobStatus(self.job_id, JobState.SUBMITTED, detail="never started; submitting it again starts it")


class _Launcher:
    """The bare interpreter that supervisors are forked from; ends when we close its input or are gone."""

    def __init__(self, folder: Path, grace_s: float) -> None:
        self._numbers = count()
        # An environment without our own also keeps what we know out of reach of `/proc/PID/environ`. A session of its
        # own, so that Ctrl-C at our terminal is ours alone.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", supervisor.__file__, str(grace_s)],
            bufsize=0,
            cwd=folder,
            env={key: os.environ[key] for key in INHERITED if key in os.environ},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._unread = b""

    def start(self, names: Sequence[str]) -> list[str]:
        """Start the supervisors of at most `_BATCH` jobs; return the reasons of those that could not start.

        Raises
        ------
        OSError : the launcher is gone, or silent for too long
        """
        assert len(names) <= _BATCH
        open_numbers = {str(next(self._numbers)): name for name in names}
        assert self._process.stdin is not None
        lines = "".join(f"{number} {name}\n" for number, name in open_numbers.items()).encode()
        while lines:
            lines = lines[os.write(self._process.stdin.fileno(), lines) :]
        failures = []
        while open_numbers:
            number, _, answer = self._answer().partition(" ")
            # An answer that came too late for an earlier call is nobody's any more.
            if open_numbers.pop(number, None) is not None and answer != "ok":
                failures.append(answer)
        return failures

    def _answer(self) -> str:
        assert self._process.stdout is not None
        while b"\n" not in self._unread:
            if not select.select([self._process.stdout], [], [], _ANSWER_S)[0]:
                raise TimeoutError(f"no answer from the launcher within {_ANSWER_S:.0f} s")
            more = os.read(self._process.stdout.fileno(), 65536)
            if not more:
                raise BrokenPipeError("the launcher is gone")
            self._unread += more
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode(errors="replace")

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        try:
            self._process.wait(_CLOSE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class _Sessions:
    """Processes by session, looked up once and only if somebody asks."""

    def __init__(self) -> None:
        self._members: dict[int, list[int]] | None = None

    def members(self, begun: Mapping[str, Any], job_id: str) -> list[int]:
        """Return the processes that a gone supervisor left behind.

        They are in the session that it led and carry the job's name in their environment; the latter guards against
        another session that got the same number since, in this boot or a later one.
        """
        if self._members is None:
            self._members = {}
            for pid in (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()):
                fields = supervisor.stat_fields(pid)
                if fields is not None and fields[0] not in ("Z", "X"):
                    self._members.setdefault(int(fields[3]), []).append(pid)
        return [pid for pid in self._members.get(begun["pid"], []) if _is_of_job(pid, job_id)]


def _is_of_job(pid: int, job_id: str) -> bool:
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
    name = f"DUJIANG_JOB_ID={job_id}".encode("utf-8", "surrogateescape")
    return name in environment


def _kill_orphans(begun: Mapping[str, Any], job_id: str) -> None:
    for pid in _Sessions().members(begun, job_id):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _is_alive(begun: Mapping[str, Any]) -> bool:
    return bool(process_mark(begun["pid"]) == begun["mark"])


def _signal_supervisor(begun: Mapping[str, Any]) -> bool:
    """Tell a job's supervisor to stop it; False if it is gone. A pidfd cannot come to mean another process."""
    try:
        handle = os.pidfd_open(begun["pid"])
    except ProcessLookupError:
        return False
    try:
        if not _is_alive(begun):
            return False
        signal.pidfd_send_signal(handle, signal.SIGTERM)
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)
    return True


def _record(path: Path, spec: JobSpec) -> bool:
    """Write a job's spec unless it is there; False if the id is taken by a different job."""
    document = {
        "job_id": spec.job_id,
        "command": spec.command,
        "gpus": spec.gpus,
        "run_s": spec.run_s,
        "limit_s": spec.limit_s,
        "env": dict(spec.env),
    }
    path.mkdir(exist_ok=True)
    text = json.dumps(document)
    while not write_once(str(path / SPEC), text, durable=False):
        there = _load(path / SPEC, _SPEC_KEYS)
        if there is not None:
            return there == document
        # A power cut took its content. Nothing has started then: a supervisor makes it durable before it claims.
        with suppress(FileNotFoundError):
            (path / SPEC).unlink()
    return True


def _load(path: Path, keys: Iterable[str]) -> dict[str, Any] | None:
    """Read a document of ours; None if there is none, or something else stands in its place."""
    try:
        document = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return document if isinstance(document, dict) and document.keys() >= set(keys) else None


def _instant(epoch_ns: int) -> datetime:
    """Return an instant without the detour through a float, which would lose microseconds."""
    return _EPOCH + timedelta(microseconds=epoch_ns // 1000)
