"""The engine ray: real workers on the loopback address, the same awards, prices and bounds, and nothing left behind."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from random_books import random_arrays, some_prices

from books import Ended, dujiang, write_tiny
from dujiang.core.errors import OperationError
from dujiang.exchange import ray_pricing
from dujiang.exchange.ray_pricing import RayPricers
from dujiang.exchange.ray_session import RaySession
from dujiang.market import dual as dual_module
from dujiang.market.engine import Effort, solve
from dujiang.market.keys import build_keys, take_keys
from dujiang.market.pricing import Demand, Pricer, Pricing

WORKERS = 2
LISTENING = "0A"
PATIENCE_S = 240.0
needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")


@pytest.fixture(scope="module")
def session() -> Iterator[RaySession]:
    """One Ray for all tests here; what a clearing starts by itself is looked at in a process of its own."""
    session = RaySession(WORKERS)
    token = os.environ["RAY_AUTH_TOKEN"]
    assert len(processes_with(token)) >= WORKERS
    yield session
    session.close()
    wait_until(lambda: not processes_with(token))


def wait_until(what: object) -> None:
    end = time.monotonic() + PATIENCE_S
    while not what():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.05)


def processes_with(token: str) -> list[int]:
    """Return the processes started with that token in their environment: all of one Ray, but for the one that began."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if token.encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                pass
    return found


def listening(pids: list[int]) -> list[str]:
    """Return the addresses at which processes listen, as the kernel writes them."""
    sockets = set()
    for pid in pids:
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                sockets.add(str(link.readlink()))
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    return [row[1].split(":")[0] for row in rows if row[3] == LISTENING and f"socket:[{row[9]}]" in sockets]


def same(one: Demand, other: Demand) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(one, other, strict=True))


def worker_of(pricers: RayPricers, n: int) -> int:
    """Return the process of a worker."""
    import ray

    crew = pricers._crew
    assert crew is not None
    pid: int = ray.get(crew._workers[n].__ray_call__.remote(lambda _: os.getpid()))
    return pid


@needs_ray
def test_only_this_machine_can_reach_it(session: RaySession) -> None:
    loopback = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}
    found = listening([*processes_with(os.environ["RAY_AUTH_TOKEN"]), os.getpid()])
    assert len(found) > 3
    assert set(found) <= loopback


@needs_ray
def test_awards_prices_and_bounds_are_those_of_the_local_engine(
    session: RaySession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dual_module, "SAMPLES", ((60, 20), (75, 10)))
    a = random_arrays(7, orders=300, pools=6, slots=24, programmes=3)
    effort = Effort(passes=20, moves=400)
    local = solve(a, effort, lambda: 0.0)
    asked = []
    ask = ray_pricing._Crew.ask

    def noted(self: ray_pricing._Crew, question: str, *args: object) -> list[object]:
        asked.append(question)
        return ask(self, question, *args)

    monkeypatch.setattr(ray_pricing._Crew, "ask", noted)
    with RayPricers(WORKERS, least=1) as pricers:
        spread = solve(a, effort, lambda: 0.0, pricers=pricers)
    assert len(asked) > 20
    assert set(asked) == {"demand", "whole_surplus"}
    assert (spread.bound_ucny, spread.bound_at_prices_ucny) == (local.bound_ucny, local.bound_at_prices_ucny)
    for field in fields(local.prices):
        one, other = (getattr(cleared.prices, field.name) for cleared in (local, spread))
        assert one.dtype == other.dtype
        assert one.tobytes() == other.tobytes()
    for x, y in zip(spread.state, local.state, strict=True):
        assert x.tobytes() == y.tobytes()


@needs_ray
def test_small_parts_are_priced_here(session: RaySession) -> None:
    a = random_arrays(9, orders=30)
    keys = build_keys(a)
    with RayPricers(WORKERS, least=20) as pricers:
        assert isinstance(pricers(a, take_keys(keys, np.arange(19))), Pricing)
        assert not isinstance(pricers(a, take_keys(keys, np.arange(20))), Pricing)
        assert not isinstance(pricers(a, keys), Pricing)


@needs_ray
def test_one_book_after_another(session: RaySession) -> None:
    with RayPricers(WORKERS) as pricers:
        for seed in (1, 2):
            a = random_arrays(seed, orders=40)
            keys, prices = build_keys(a), some_prices(a, seed)
            assert same(pricers(a, keys).demand(*prices.point()), Pricing(a, keys).demand(*prices.point()))


@needs_ray
def test_a_worker_that_dies_is_replaced_and_asked_again(session: RaySession) -> None:
    a = random_arrays(4, orders=60, programmes=2)
    keys, prices = build_keys(a), some_prices(a, 4)
    half = take_keys(keys, np.arange(1, 60, 2))
    exact = prices.capacity, prices.link, prices.budget, prices.cap
    with RayPricers(WORKERS, least=1) as pricers:
        of_all, of_half = pricers(a, keys), pricers(a, half)
        for n in range(WORKERS):
            before = worker_of(pricers, n)
            os.kill(before, signal.SIGKILL)
            assert same(of_half.demand(*prices.point()), Pricing(a, half).demand(*prices.point()))
            assert same(of_all.demand(*prices.point()), Pricing(a, keys).demand(*prices.point()))
            assert worker_of(pricers, n) != before
        os.kill(worker_of(pricers, 0), signal.SIGKILL)
        os.kill(worker_of(pricers, 1), signal.SIGKILL)
        assert of_half.whole_surplus(*exact, paid=False) == Pricing(a, half).whole_surplus(*exact, paid=False)
        os.kill(worker_of(pricers, 1), signal.SIGKILL)  # and one that dies before it is told of a part
        third = take_keys(keys, np.arange(0, 60, 3))
        assert same(pricers(a, third).demand(*prices.point()), Pricing(a, third).demand(*prices.point()))


@needs_ray
def test_a_worker_that_dies_again_and_again_ends_the_clearing(
    session: RaySession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_pricing, "_DEATHS", 1)
    a = random_arrays(4, orders=20)
    with RayPricers(WORKERS) as pricers:
        pricer: Pricer = pricers(a, build_keys(a))
        os.kill(worker_of(pricers, 0), signal.SIGKILL)
        with pytest.raises(OperationError, match="Ray failed") as error:
            pricer.demand(*some_prices(a, 4).point())
    assert "\n" not in error.value.message.en


def result(folder: Path) -> dict[str, object]:
    """Return the files of a result, without the times that its summary states."""
    files: dict[str, object] = {
        str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert summary.pop("seconds")
    return files | {"summary.json": summary}


def command(book: Path, out: Path) -> list[str | Path]:
    return [sys.executable, "-m", "dujiang.cli.main", "clear", book, "--out", out, "--engine", "ray"]


@needs_ray
def test_the_command_joins_a_running_cluster(session: RaySession, tmp_path: Path) -> None:
    import ray

    (tmp_path / "book").mkdir()
    book = write_tiny(tmp_path / "book")
    assert dujiang("clear", book, "--out", tmp_path / "here").code == 0
    environment = os.environ | {"RAY_ADDRESS": ray.get_runtime_context().gcs_address}
    ended = subprocess.run(
        command(book, tmp_path / "there"), env=environment, capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert (ended.returncode, "Traceback" in ended.stderr) == (0, False), ended.stderr
    assert result(tmp_path / "there") == result(tmp_path / "here")
    assert ray.is_initialized()
    assert ray.get(ray.put(1)) == 1


@needs_ray
def test_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "book").mkdir()
    book = write_tiny(tmp_path / "book")
    token = "5" * 64
    keep = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment = keep | {"RAY_AUTH_TOKEN": token, "HOME": str(tmp_path / "home")}
    (tmp_path / "home").mkdir()
    with subprocess.Popen(
        command(book, tmp_path / "out"), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        wait_until(lambda: any("raylet" in name_of(pid) for pid in processes_with(token)) or running.poll() is not None)
        (folder,) = {Path(*path.parts[: path.parts.index("sockets") - 1]) for path in sockets_of(processes_with(token))}
        assert folder.is_dir()
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=PATIENCE_S)
    assert (running.returncode, out) == (130, ""), err
    assert "Traceback" not in err
    wait_until(lambda: not processes_with(token))
    assert not folder.exists()
    assert not (tmp_path / "out").exists()
    assert list((tmp_path / "home").iterdir()) == []


def name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text()
    except OSError:
        return ""


def sockets_of(pids: list[int]) -> list[Path]:
    """Return the socket files that processes were told of."""
    words = []
    for pid in pids:
        with contextlib.suppress(OSError):
            words += Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return [Path(word.partition("=")[2]) for word in words if word.startswith("--raylet_socket_name=")]


def failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ended:
    monkeypatch.setenv("DUJIANG_LANG", "en")
    (tmp_path / "book").mkdir()
    return dujiang("clear", write_tiny(tmp_path / "book"), "--out", tmp_path / "out", "--engine", "ray")


def test_without_ray_the_command_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    ended = failed(tmp_path, monkeypatch)
    assert (ended.code, ended.out) == (3, "")
    assert "pip install 'dujiang[ray]'" in ended.err
    assert not (tmp_path / "out").exists()
    assert dujiang("clear", tmp_path / "book", "--out", tmp_path / "out", "--engine", "local").code == 0


@needs_ray
def test_a_cluster_that_is_not_there_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "book").mkdir()
    book = write_tiny(tmp_path / "book")
    environment = os.environ | {"RAY_ADDRESS": "127.0.0.1:1", "DUJIANG_LANG": "en"}
    begin = time.monotonic()
    ended = subprocess.run(command(book, tmp_path / "out"), env=environment, capture_output=True, text=True)
    assert ended.returncode == 3
    assert "RAY_ADDRESS 127.0.0.1:1: Connection refused" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert time.monotonic() - begin < PATIENCE_S / 4
