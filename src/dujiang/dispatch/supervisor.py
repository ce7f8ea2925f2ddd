"""Start jobs on this machine and see each of them to its end, also when whoever asked for them is gone.

Run as a program (`python -I -S supervisor.py GRACE_S`, in the folder that holds the job folders) this is the
*launcher*: it reads lines `NUMBER JOB_FOLDER` and forks one *supervisor* per line. It ends with its input; the
supervisors do not. It imports a few small modules of the standard library and nothing of ours, so that forking a
supervisor takes about a millisecond and 0.4 MB, and there is never a thread that a fork could break.

A supervisor owns one job. In the job's folder it

1. forks the command, which waits at a gate,
2. claims the job by creating `begun`, whole and only once, on disk before anything runs,
3. opens the gate, and answers `NUMBER ok` on the launcher's output,
4. waits for the end, the limit or a request to stop, and
5. writes `status`, whole or not at all.

So a fork that fails fails before the claim; whoever dies between 2 and 3 closes the gate and nothing runs; two
supervisors of one job meet at 2 and one of them goes away. What is on disk says it all:

=========  ========  ====================  ===========================================
`begun`    `status`  its supervisor        the job
=========  ========  ====================  ===========================================
no                                         never started; may be started
yes        no        alive                 runs
yes        yes                             has ended as `status` says
yes        no        gone                  unseen: started or about to, end unknown
=========  ========  ====================  ===========================================

The job has a session of its own, led by its supervisor, and in it the command a process group of its own.
"""

# pathlib would double the start-up and the memory of what there is one of per job.
# ruff: noqa: PTH102, PTH108, PTH110, PTH120, PTH123

import contextlib
import json
import os
import signal
import sys
import time
from typing import Any

SPEC = "spec.json"
BEGUN = "begun.json"
CANCEL = "cancel"
STATUS = "status.json"
WORK = "work"
"""Working directory of the command: apart from our files, so that a command may write a `status.json` of its own."""

_WATCHED = (signal.SIGCHLD, signal.SIGTERM)
_CANNOT_EXECUTE = 127
"""Exit code of a command that could not be executed, as a shell gives it."""
_ANSWER_BYTES = 200
"""Longest answer: a batch of them (`local._BATCH`) fits into a pipe that nobody reads yet."""
_AGAIN_S = 1.0
"""Pause before another attempt at what must not be given up: killing a group, writing a status on a full disk."""
_LONGEST_WAIT_S = 86_400.0
"""A wait is cut into days: the kernel's timeout has a range, a limit has none."""


def write_once(path: str, text: str, *, durable: bool = True) -> bool:
    """Create a file with its whole content; False if it exists, whoever made it.

    A hard link is the one portable step that is at once atomic, exclusive and shows no half-written file. With
    `durable` the file survives a power cut from the moment of return.
    """
    draft = f"{path}.{os.getpid()}.draft"
    with contextlib.suppress(FileNotFoundError):
        # Left by one of the same pid that was killed here. Never truncated: it may already be linked to `path`.
        os.unlink(draft)
    try:
        with open(draft, "xb") as file:
            file.write(text.encode())
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        with contextlib.suppress(OSError):
            os.unlink(draft)
    if durable:
        sync_folder(os.path.dirname(path) or ".")
    return True


def sync_folder(path: str) -> None:
    """Make the names in a folder survive a power cut."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def process_mark(pid: int) -> str | None:
    """Return a text that names this very process and no later one of the same pid; None if it is gone.

    The start time in clock ticks since boot (field 22 of `/proc/PID/stat`, proc(5)) together with the id of the boot.
    """
    fields = stat_fields(pid)
    if fields is None or fields[0] in ("Z", "X"):
        return None
    return f"{boot_id()} {pid} {fields[19]}"


def stat_fields(pid: int) -> list[str] | None:
    """Return `/proc/PID/stat` from field 3 (state) on, None if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read().decode("utf-8", "replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name in field 2 is in parentheses and may itself hold blanks and parentheses.
    return text.rpartition(")")[2].split()


def boot_id() -> str:
    """Return the id that the kernel drew at boot."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def _launch(grace_s: float) -> None:
    """Fork a supervisor for each line of standard input, until its end."""
    answers = os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    os.dup2(null, 2)
    # Blocked from here on and by inheritance in every supervisor, so that no signal meets one unprepared.
    signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin.buffer:
        if not line.endswith(b"\n"):
            break  # Whoever wrote it was killed within the line; half a name may be another job's.
        number, _, folder = line.decode().rstrip("\n").partition(" ")
        try:
            child = os.fork()
        except OSError as error:
            _answer(answers, number, f"fork: {error.strerror}")
            continue
        if child == 0:
            os.dup2(null, 0)
            code = 1
            try:
                _supervise(folder, number, answers, grace_s)
                code = 0
            finally:
                os._exit(code)


def _answer(answers: int, number: str, text: str) -> None:
    """Write one line, short enough (PIPE_BUF, pipe(7)) not to be mixed with another's."""
    line = f"{number} {' '.join(text.split())}".encode(errors="replace")[:_ANSWER_BYTES]
    with contextlib.suppress(OSError):  # Whoever asked may be gone; what matters is on disk.
        os.write(answers, line + b"\n")


def _supervise(folder: str, number: str, answers: int, grace_s: float) -> None:
    """See one job from its claim to its status."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        os.chdir(folder)
        spec = _read_spec()
        limit_s = float(spec["limit_s"])
        command, gate = _fork_command(spec)
    except (OSError, ValueError, KeyError, TypeError) as error:
        _answer(answers, number, f"{folder}: {error}")
        return
    try:
        claimed = _claim()
    except OSError as error:
        os.close(gate)
        os.waitpid(command, 0)
        _answer(answers, number, f"{folder}: {error}")
        return
    if not claimed:
        os.close(gate)
        os.waitpid(command, 0)
        _answer(answers, number, "ok")
        return
    began_ns, began_s = time.time_ns(), time.monotonic()
    os.write(gate, b"!")
    os.close(gate)
    _answer(answers, number, "ok")
    os.close(answers)
    cause = _wait(command, began_s + limit_s, grace_s)
    ended_ns = began_ns + round((time.monotonic() - began_s) * 1e9)
    # Not reaped yet, so its group id is still its own: what the command left behind in its group ends with it.
    _signal_group(command, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(command, 0)[1])
    _write_status(_status(cause, code, began_ns, ended_ns))


def _read_spec() -> dict[str, Any]:
    fd = os.open(SPEC, os.O_RDONLY | os.O_CLOEXEC)
    with os.fdopen(fd, "rb") as file:
        text = file.read()
        os.fsync(fd)  # A claim that survives a power cut needs its spec to survive too.
    spec = json.loads(text)
    if not isinstance(spec, dict):
        raise ValueError("not a job")
    return spec


def _claim() -> bool:
    """Take the job; False if another supervisor or a canceller has it."""
    own = os.getpid()
    return write_once(BEGUN, json.dumps({"pid": own, "mark": process_mark(own), "began_ns": time.time_ns()}))


def _fork_command(spec: dict[str, Any]) -> tuple[int, int]:
    """Fork the command behind a gate; return its pid and the gate's write end."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(WORK)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    out, err = os.open("stdout", flags, 0o644), os.open("stderr", flags, 0o644)
    closed, gate = os.pipe()
    command = os.fork()
    if command == 0:
        try:
            os.close(gate)
            os.setpgid(0, 0)
            if os.read(closed, 1):
                os.dup2(out, 1)
                os.dup2(err, 2)
                os.chdir(WORK)
                _execute(spec)
        finally:
            os._exit(_CANNOT_EXECUTE)
    with contextlib.suppress(OSError):
        os.setpgid(command, command)  # Here too: who comes first is open, and a signal to the group must find it.
    for fd in (out, err, closed):
        os.close(fd)
    return command, gate


def _execute(spec: dict[str, Any]) -> None:
    """Become the command; returns only if that cannot be."""
    command = spec["command"]
    argv = ["sleep", f"{spec['run_s']:.6f}"] if command is None else ["/bin/sh", "-c", str(command)]
    # What Python ignores would stay ignored after exec, and a shell pipeline relies on SIGPIPE.
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(ignored, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    try:
        os.execvpe(argv[0], argv, os.environ | spec["env"] | _award_names(spec))  # noqa: S606
    except (OSError, ValueError) as error:
        os.write(2, f"cannot execute the command: {error}\n".encode(errors="replace"))


def _award_names(spec: dict[str, Any]) -> dict[str, str]:
    return {
        "DUJIANG_JOB_ID": spec["job_id"],
        "DUJIANG_GPUS": str(spec["gpus"]),
        "DUJIANG_LIMIT_S": str(spec["limit_s"]),
    }


def _wait(command: int, deadline_s: float, grace_s: float) -> str | None:
    """Wait until the command has ended, and leave it unreaped; return why we stopped it, None: it ended by itself."""
    cause: str | None = None
    while not os.waitid(os.P_PID, command, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        left_s = deadline_s - time.monotonic()
        if left_s <= 0 and cause is None:
            cause, deadline_s = "limit", _ask_to_stop(command, grace_s)
        elif left_s <= 0:
            _signal_group(command, signal.SIGKILL)
            deadline_s = time.monotonic() + _AGAIN_S
        else:
            caught = signal.sigtimedwait(_WATCHED, min(left_s, _LONGEST_WAIT_S))
            if caught is not None and caught.si_signo == signal.SIGTERM and cause is None:
                # Machines say SIGTERM to everybody when they go down; a cancellation has left its mark before.
                cause = "cancel" if os.path.exists(CANCEL) else "outside"
                deadline_s = _ask_to_stop(command, grace_s)
    return cause


def _ask_to_stop(command: int, grace_s: float) -> float:
    """Ask the command's group to end; return the monotonic time at which asking is over."""
    _signal_group(command, signal.SIGTERM)
    _signal_group(command, signal.SIGCONT)  # A stopped process would not hear the other one.
    return time.monotonic() + grace_s


def _signal_group(group: int, number: int) -> None:
    # Nobody may be left in it, or only processes that changed their user, which are not ours to stop.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _status(cause: str | None, code: int, began_ns: int, ended_ns: int) -> dict[str, object]:
    if cause == "limit":
        state, detail = "cancelled", "stopped at the end of its award"
    elif cause == "cancel":
        state, detail = "cancelled", "stopped by a cancellation"
    elif cause == "outside":
        state, detail = "failed", "stopped because its supervisor was told to end, as when a machine goes down"
    elif code < 0:
        state, detail = "failed", f"killed by signal {-code}"
    elif code > 0:
        state, detail = "failed", f"exit code {code}"
    else:
        state, detail = "ended", ""
    return {
        "state": state,
        "exit_code": 128 - code if code < 0 else code,
        "began_ns": began_ns,
        "ended_ns": ended_ns,
        "limit_reached": cause == "limit",
        "detail": detail,
    }


def _write_status(status: dict[str, object]) -> None:
    """Write the status, however long the disk is full; give up only when the job's folder is gone."""
    text = json.dumps(status)
    while True:
        try:
            write_once(STATUS, text)
            return
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(_AGAIN_S)


if __name__ == "__main__":
    _launch(float(sys.argv[1]))
