"""Many replays at once: in this process, in processes of this machine, or on Ray; the same bytes in each case.

A run that fails is handed back as a failure and the others go on. Its process may even be killed: the run is tried once
more in a fresh one.
"""

import multiprocessing
import os
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from dujiang.core.errors import InputError, OperationError
from dujiang.core.problem import Problem
from dujiang.core.text import Text
from dujiang.lab.scenario import Scenario
from dujiang.lab.simulate import run_files, simulate
from dujiang.store.files import replace_folder

_TRIES = 2
"""How often a run is begun whose process dies."""
_END_S = 5.0
"""How long a process may take to end when it is told to."""


@dataclass(frozen=True, slots=True)
class Task:
    """One replay to make."""

    scenario: Scenario
    folder: Path
    """Where its files go; it appears when all of them are there."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a run has no result."""

    problems: tuple[Problem, ...] = ()
    """Of its input."""
    message: Text | None = None
    """Otherwise: what went wrong; can be tried again."""
    details: str = ""
    """Where, if it is our mistake."""


Told = Callable[[int, Failure | None], None]
"""Called when a task has ended, with its number and why it failed."""


def _made(scenario: Scenario) -> dict[str, bytes] | Failure:
    """Replay a scenario; whatever goes wrong is a value, which can be sent."""
    try:
        return run_files(simulate(scenario), report=False)
    except InputError as error:
        return Failure(problems=tuple(error.problems))
    except OperationError as error:
        return Failure(message=error.message)
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        return Failure(message=Text(said, said), details=traceback.format_exc())


def _kept(made: dict[str, bytes] | Failure, folder: Path) -> Failure | None:
    """Write the files of a run."""
    if isinstance(made, Failure):
        return made
    try:
        replace_folder(folder, made)
    except OperationError as error:
        return Failure(message=error.message)
    return None


def run_here(tasks: Sequence[Task], told: Told) -> None:
    """Make replays one after another in this process."""
    for number, task in enumerate(tasks):
        told(number, _kept(_made(task.scenario), task.folder))


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let processes that are started meanwhile use so many threads each."""
    names = ("POLARS_MAX_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, str(count)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0))


def _work(end: Connection) -> None:
    """Make replays until there are no more; ends at once when the process that asks for them does."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    sentinel = parent.sentinel

    def watch() -> None:
        wait([sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    with suppress(EOFError, BrokenPipeError):
        while True:
            task: Task | None = end.recv()
            if task is None:
                return
            end.send(_kept(_made(task.scenario), task.folder))


@dataclass(slots=True)
class _Worker:
    process: BaseProcess
    end: Connection
    task: int | None = None


@dataclass(slots=True)
class _Crew:
    """Processes at work on tasks."""

    tasks: Sequence[Task]
    told: Told
    threads: int
    waiting: deque[int] = field(default_factory=deque)
    tries: dict[int, int] = field(default_factory=dict)
    workers: list[_Worker] = field(default_factory=list)

    def hire(self) -> None:
        """Start a process, deaf to Ctrl-C: whoever asked for it decides what happens then."""
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            with _threads(self.threads):
                process = context.Process(target=_work, args=(theirs,), daemon=True)
                process.start()
        finally:
            theirs.close()
            self.workers.append(_Worker(process, ours))
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def give(self, worker: _Worker) -> None:
        """Hand out the next task, if there is one."""
        if self.waiting:
            worker.task = self.waiting.popleft()
            self.tries[worker.task] = self.tries.get(worker.task, 0) + 1
            with suppress(BrokenPipeError):  # dead: the end of the pipe will tell
                worker.end.send(self.tasks[worker.task])

    def hear(self, worker: _Worker) -> None:
        """Take what a process has to say; that it died, too."""
        number = worker.task
        assert number is not None
        try:
            failure: Failure | None = worker.end.recv()
        except (EOFError, ConnectionResetError):
            self.dismiss(worker)
            if self.tries[number] < _TRIES:
                self.waiting.appendleft(number)
            else:
                code = worker.process.exitcode
                self.told(number, Failure(message=_died(code)))
            if self.waiting:
                self.hire()
                self.give(self.workers[-1])
            return
        worker.task = None
        self.told(number, failure)
        self.give(worker)

    def dismiss(self, worker: _Worker) -> None:
        """End a process."""
        self.workers.remove(worker)
        worker.end.close()
        worker.process.terminate()
        worker.process.join(_END_S)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()


def _died(code: int | None) -> Text:
    how = f"signal {-code}" if code is not None and code < 0 else f"code {code}"
    return Text(
        f"its process ended by itself twice ({how}); is there memory enough for so many workers?",
        f"其进程两次自行终止（{how}）；内存是否足以支持这么多工作进程？",
    )


def run_local(tasks: Sequence[Task], workers: int, told: Told) -> None:
    """Make replays in processes of this machine; a single worker is this process itself.

    Parameters
    ----------
    tasks : what to replay
    workers : most processes at a time
    told : is told of each task when it has ended
    """
    count = min(workers, len(tasks))
    if count <= 1:
        run_here(tasks, told)
        return
    crew = _Crew(tasks, told, max(1, processors() // count), deque(range(len(tasks))))
    try:
        for _ in range(count):
            crew.hire()
            crew.give(crew.workers[-1])
        while busy := {worker.end: worker for worker in crew.workers if worker.task is not None}:
            for end in wait(list(busy)):
                crew.hear(busy[end])  # type: ignore[index]
    finally:
        for worker in list(crew.workers):
            crew.dismiss(worker)


def _on_ray(scenario: Scenario) -> dict[str, bytes] | Failure:
    """Replay a scenario on one thread: every processor has a worker."""
    import numba

    numba.set_num_threads(1)
    return _made(scenario)


def run_ray(tasks: Sequence[Task], workers: int | None, told: Told) -> None:
    """Make replays on Ray: one that is started here, or the one that `RAY_ADDRESS` names.

    Nodes of a cluster need this version of dujiang and see the input files under the same paths; results come back and
    are written here.

    Parameters
    ----------
    tasks : what to replay
    workers : how many; None: one for each processor that is there
    told : is told of each task when it has ended

    Raises
    ------
    OperationError : Ray is not installed, or cannot be started or reached
    """
    from dujiang.exchange.ray_session import RaySession, reason_of, require_ray

    require_ray()
    if not tasks:
        return
    with _threads(1):
        session = RaySession(workers)
    try:
        import ray

        remote = ray.remote(num_cpus=1, max_retries=_TRIES - 1)(_on_ray)
        waiting, running = deque(range(len(tasks))), dict[Any, int]()
        while waiting or running:
            while waiting and len(running) < session.workers + 1:  # one more, so that none waits for us
                number = waiting.popleft()
                running[remote.remote(tasks[number].scenario)] = number
            done, _ = ray.wait(list(running), num_returns=1)
            number = running.pop(done[0])
            try:
                made = ray.get(done[0])
            except ray.exceptions.RayError as error:
                said = reason_of(error)
                made = Failure(message=Text(f"Ray failed: {said}", f"Ray 出错：{said}"))
            told(number, _kept(made, tasks[number].folder))
    finally:
        session.close()


def failed(failures: Mapping[str, Failure]) -> InputError | OperationError:
    """Return what to raise for runs that failed: all problems of their input, else what went wrong.

    Parameters
    ----------
    failures : what people call a run -> why it failed; not empty
    """
    problems = list(dict.fromkeys(problem for failure in failures.values() for problem in failure.problems))
    if problems:
        return InputError(problems)
    first, failure = next(iter(failures.items()))
    message = failure.message or Text("unknown", "未知")
    count = len(failures)
    return OperationError(
        Text(
            f"{count} run{'s' if count != 1 else ''} failed, the others are kept: run the study again to go on. "
            f"{first}: {message.en}",
            f"{count} 次运行失败，其余结果已保留，重新运行即可继续。{first}：{message.zh}",
        )
    )


__all__ = ["Failure", "Task", "Told", "failed", "processors", "run_here", "run_local", "run_ray"]
