"""Small rounds that really run: books, the command line in and out of this process, and what stands in a folder."""

import contextlib
import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from dujiang.cli.main import main

HEADER = """\
start: "2025-11-03T00:00:00+08:00"
slots: {slots}
title: 小轮次 / a small round
"""
CENTRES = """\
centre_id,region,province,name,pue,grid_kgco2_per_kwh,connector
东-1,east,广东,东部 "一号" 中心,1.25,0.45,{east}
west/2,west,贵州,,1.15,,
"""
POOLS = """\
pool_id,centre_id,accelerator,gpus,ask_cny_per_gpu_hour,speed,watts_per_gpu
池-1,东-1,h800-80-sxm,64,10.003,1,700
pool 2,west/2,ascend-910b,64,4.017,0.7,
"""
LINKS = """\
origin_region,region,cny_per_gb,rtt_ms
east,west,0.0137,30
"""
ENTERPRISES = """\
enterprise_id,city,employees
e1,深圳,20
企业/二 号,深圳,900
E~3,广州,
"""
PROGRAMME = """\
id: {id}
version: 2025-01-01
name: {{zh: 测试券, en: test voucher}}
jurisdiction: {{level: city, province: 广东, city: {city}}}
issuer: nobody
document: made up for a test
document_no: null
kind: compute_voucher
instrument: voucher
good: compute
valid: {{from: 2025-01-01, until: 2025-12-31, clause: a}}
verified: false
confidence: low
clauses: {{a: {{text: made up for a test, verbatim: false, source: nobody, quality: low}}}}
conditions:
- {{id: city, fact: city, op: is, value: {city}, clause: a, text: {{zh: 本市企业, en: of the city}}}}
base: contract
rate: {{share: {share}, rule: not_above, clause: a}}
cap: {{amount_cny: {cap}, per: enterprise, period: year, clause: a}}
budget: {budget}
rounding: {rounding}
not_computable: null
"""


@dataclass(frozen=True)
class Order:
    """One row of orders."""

    order_id: str
    gpus: int
    hours: float
    release: int
    deadline: int
    limit_cny: float = 5000
    enterprise_id: str = "e1"
    origin_region: str = ""
    data_gb: float = 0
    accelerators: str = ""
    command: str = ""


def write_book(folder: Path, orders: Iterable[Order], *, slots: int, east: str = "local") -> Path:
    """Write a book of these orders with room for all of them; return its folder."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(field.name for field in fields(Order))
    for order in orders:
        writer.writerow(astuple(order))
    budget = "{amount_cny: 300, period: year, clause: a}"
    files = {
        "book.yaml": HEADER.format(slots=slots),
        "centres.csv": CENTRES.format(east=east),
        "pools.csv": POOLS,
        "links.csv": LINKS,
        "enterprises.csv": ENTERPRISES,
        "orders.csv": table.getvalue(),
        "programmes/a.yaml": PROGRAMME.format(id="sz", city="深圳", share=0.5, cap=220, budget=budget, rounding="fen"),
        "programmes/b.yaml": PROGRAMME.format(
            id="gz-voucher", city="广州", share=0.3, cap=90.55, budget="null", rounding="yuan"
        ),
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)


def dujiang(*arguments: str | Path) -> Ended:
    """Run the command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    assert isinstance(stop.value.code, int)
    return Ended(stop.value.code, out.getvalue(), err.getvalue())


def started(*arguments: str | Path, program: tuple[str, ...] = ("-m", "dujiang.cli.main"), **how: Any) -> Any:
    """Start the command line as a process of its own."""
    command = [sys.executable, *program, *map(str, arguments)]
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **how
    )


def ending(process: Any, timeout_s: float = 60) -> Ended:
    """Wait for a process of `started`."""
    out, err = process.communicate(timeout=timeout_s)
    return Ended(process.returncode, out, err)


def killed(process: Any, when: Callable[[], bool], timeout_s: float = 30) -> bool:
    """Kill a process with SIGKILL as soon as something is so; False if it ended before."""
    end = time.monotonic() + timeout_s
    while not when():
        if process.poll() is not None:
            process.communicate()
            return False
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return bool(process.returncode == -signal.SIGKILL)


def results(out: Path) -> Mapping[str, bytes]:
    """Return the files that a run leaves for people, by path; the summary without the seconds that it took."""
    files = {}
    for path in sorted(out.rglob("*")):
        name = path.relative_to(out).as_posix()
        if path.is_file() and not name.startswith(("jobs/", "run.json", "ledger.sqlite", ".lock")):
            files[name] = path.read_bytes()
    summary = json.loads(files["summary.json"])
    del summary["seconds"]
    files["summary.json"] = json.dumps(summary).encode()
    return files


def ledger(out: Path) -> pl.DataFrame:
    """Return the ledger of a run."""
    return pl.read_parquet(out / "ledger.parquet")


def balances(out: Path) -> dict[str, int]:
    """Return the balance of every account, micro-yuan."""
    return dict(ledger(out).group_by("account").agg(pl.col("amount_ucny").sum()).iter_rows())


def jobs(out: Path) -> dict[str, dict[str, Any]]:
    """Return what the connector wrote down of each job's end, by order."""
    return {
        json.loads((path.parent / "spec.json").read_bytes())["job_id"]: json.loads(path.read_bytes())
        for path in (out / "jobs").glob("*/*/status.json")
    }


def processes_in(folder: Path) -> list[int]:
    """Return the processes whose working directory lies in a folder; jobs and their supervisors all do."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if (entry / "cwd").readlink().is_relative_to(folder) and int(entry.name) != os.getpid():
                    found.append(int(entry.name))
    return found
