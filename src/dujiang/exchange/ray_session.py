"""Ray for the time of one clearing: joined where it runs, else started on this machine for its own processes only.

Where `RAY_ADDRESS` names a running cluster it is joined and left as it was. Else Ray is started here: on the loopback
address, with a token of its own (whoever may talk to Ray may run programs), without dashboard and usage reports, files
in a folder that goes with it. Its processes end with this one, however this one ends.
"""

import importlib.util
import logging
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from dujiang.core.errors import OperationError
from dujiang.core.text import Text

STORE_BYTES = 256 * 2**20
"""Object store of a Ray that is started here."""
_SETTINGS = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # Ray's way of saying: on the loopback address only
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # and this spares a warning about accelerators that we do not ask for
    "RAY_AUTH_MODE": "token",
}
_NOBODY = "http://127.0.0.1:9"
_OFFLINE = {
    **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), _NOBODY),
    **dict.fromkeys(("no_proxy", "NO_PROXY"), "127.0.0.1,localhost,::1"),
}
"""What Ray's processes inherit. Even without usage reports one of them asks the metadata services of three clouds where
it runs; with a proxy that is not there such a request ends on this machine."""
_LONGEST_FOLDER = 28
"""A socket's path has at most 107 bytes, and Ray appends much to the folder that it is given."""
_TRIES, _PAUSE_S = 50, 0.1
"""How often and how far apart a folder is removed in which something is still written."""


def require_ray() -> None:
    """Say how to install Ray where it is missing.

    Raises
    ------
    OperationError : it is missing
    """
    if importlib.util.find_spec("ray") is None:
        how = "pip install 'dujiang[ray]'"
        raise OperationError(Text(f"engine ray needs the package ray: {how}", f"ray 引擎需要软件包 ray：{how}"))


def reason_of(error: BaseException) -> str:
    """Return the first and the last line of one of Ray's long messages: what failed, and what was raised."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return " … ".join(textwrap.shorten(line, 200, placeholder=" …") for line in dict.fromkeys((lines[0], lines[-1])))


@contextmanager
def _environment(settings: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class RaySession:
    """A connection to Ray. Meanwhile SIGTERM ends the program as Ctrl-C does, so that it is closed in any case.

    Parameters
    ----------
    workers : how many are wanted; None: one for each processor that is there

    Raises
    ------
    OperationError : Ray cannot be started or reached
    """

    def __init__(self, workers: int | None = None) -> None:
        self._folder: Path | None = None
        address = os.environ.get("RAY_ADDRESS")
        _settle(own=not address)
        import ray

        self._ray, self._found = ray, ray.is_initialized()
        self._on_term = signal.getsignal(signal.SIGTERM)
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        try:
            if not self._found:
                if address:
                    _look_for(address)
                    ray.init(address=address, **quiet)
                else:
                    self._start(workers or len(os.sched_getaffinity(0)), quiet)
                _on_term(signal.default_int_handler)  # not Ray's, which ends as if all were done
            self.workers = workers or max(1, int(ray.available_resources().get("CPU", 1)))
        except Exception as error:  # Ray has no common kind for what can go wrong here
            self.close()
            why = reason_of(error)
            raise OperationError(Text(f"Ray cannot be used: {why}", f"无法使用 Ray：{why}")) from error
        except BaseException:  # Ctrl-C: leave nothing behind
            self.close()
            raise

    def _start(self, workers: int, quiet: Mapping[str, Any]) -> None:
        base = tempfile.gettempdir()
        self._folder = Path(tempfile.mkdtemp(prefix="ray-", dir=base if len(base) <= _LONGEST_FOLDER else "/tmp"))  # noqa: S108
        with _environment(_OFFLINE):
            self._ray.init(
                address="local",
                num_cpus=workers,
                num_gpus=0,
                include_dashboard=False,
                object_store_memory=STORE_BYTES,
                _temp_dir=str(self._folder),
                **quiet,
            )

    def close(self) -> None:
        """Leave Ray; end it, if it was started here."""
        if not self._found:
            self._ray.shutdown()
            _on_term(self._on_term)
        if self._folder is not None:
            _remove(self._folder)
            self._folder = None


def _remove(folder: Path) -> None:
    """Remove Ray's folder, and end what is still at work in it: a helper that outlives Ray would make it anew."""
    for _ in range(_TRIES):
        left = _processes_in(folder)
        for pid in left:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)
        if not left and not folder.exists():
            return
        time.sleep(_PAUSE_S)


def _processes_in(folder: Path) -> list[int]:
    """Return the processes, other than this one, that were told of a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if str(folder).encode() in (process / "cmdline").read_bytes() and int(process.name) != os.getpid():
                found.append(int(process.name))
    return found


def _settle(*, own: bool) -> None:
    """Set what Ray looks at when it is imported, when it starts and when it connects again; it stays so."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "error")
    if not own:
        return
    late = "ray" in sys.modules and "RAY_AUTH_TOKEN" not in os.environ
    if late and not sys.modules["ray"].is_initialized():
        raise OperationError(
            Text(
                "Ray was imported before it could be set up; let `ray.init` connect it first",
                "Ray 在配置之前已被导入；请先用 `ray.init` 连接",
            )
        )
    for name, value in {**_SETTINGS, "RAY_AUTH_TOKEN": secrets.token_hex(32)}.items():
        os.environ.setdefault(name, value)


def _look_for(address: str) -> None:
    """Fail at once where nobody listens; Ray itself would go on trying for minutes."""
    host, _, port = address.rpartition("/")[2].rpartition(":")
    if host and port.isdigit():
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
        except OSError as error:
            raise ConnectionError(f"RAY_ADDRESS {address}: {error.strerror or error}") from error


def _on_term(handler: Any) -> None:
    if handler is not None and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)


__all__ = ["STORE_BYTES", "RaySession", "reason_of", "require_ray"]
