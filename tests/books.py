"""A small good book that every test may spoil, and the command line in process."""

import contextlib
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from dujiang.cli.main import main

TINY: Mapping[str, str] = {
    "book.yaml": """\
start: "2025-11-03T00:00:00+08:00"
slots: 24
title: 小簿
objective: {carbon_cny_per_kg: 0.05}
use:
  - {id: sz-training-voucher, budget_cny: 1000}
facts: {via_platform: true}
""",
    "centres.csv": """\
centre_id,region,province,pue,grid_kgco2_per_kwh
bj,北京,北京,1.25,0.558
qy,甘肃,甘肃,1.2,0.49
""",
    "pools.csv": """\
pool_id,centre_id,accelerator,gpus,ask_cny_per_gpu_hour,speed,stacks,watts_per_gpu
bj-a,bj,a100-80-sxm,16,8.5,,cuda,400
qy-a,qy,a100-80-sxm,64,5,1.25,cuda;rocm,400
""",
    "capacity.csv": """\
pool_id,slot,gpus,ask_cny_per_gpu_hour
bj-a,3,8,9.25
qy-a,4,0,
""",
    "links.csv": """\
origin_region,region,cny_per_gb,rtt_ms
北京,甘肃,0.05,15
""",
    "enterprises.csv": """\
enterprise_id,city,kind,founded,employees,revenue_cny,startup
e1,北京,enterprise,2021-05-06,20,1500000,true
e2,东莞,enterprise,,2000,,
""",
    "orders.csv": """\
order_id,enterprise_id,gpus,hours,release,deadline,limit_cny,origin_region,data_gb,rtt_ms_max,submitted,purpose
o1,e1,8,3.5,0,10,400,北京,10,50,2025-11-01T00:00:00Z,training
o2,e2,16,10,0,24,1200,北京,0,,2025-11-01T00:00:00Z,inference
o3,e2,12,10,0,24,900,,,,,
""",
    "claims.csv": """\
enterprise_id,programme_id,period,amount_cny
e1,test-voucher,2025,20.5
""",
    "programmes/test-voucher.yaml": """\
id: test-voucher
version: 2025-01-01
name: {zh: 测试券, en: Test voucher}
jurisdiction: {level: city, province: 北京, city: 北京}
issuer: nobody
document: made up for a test
document_no: null
kind: compute_voucher
instrument: voucher
good: compute
verified: true
confidence: high
clauses:
  all: {text: half, verbatim: false, source: a test, quality: low}
valid: {from: 2025-01-01, until: null, clause: all}
conditions:
  - {id: local, fact: city, op: is, value: 北京, text: {zh: 在北京, en: in Beijing}, clause: all}
base: actual
rate: {share: 0.5, rule: not_above, clause: all}
cap: {amount_cny: 100, per: enterprise, period: year, clause: all}
budget: null
""",
}
"""Files of the book by path."""


def write_tiny(folder: Path, *, without: str = "") -> Path:
    """Write the tiny book, or all of it but one file; return its folder."""
    for name, text in TINY.items():
        if name != without:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8", newline="")
    return folder


def edit(book: Path, name: str, old: str, new: str) -> None:
    """Replace a text that stands exactly once in a file of a book."""
    text = (book / name).read_text(encoding="utf-8")
    assert text.count(old) == 1, (name, old, text.count(old))
    (book / name).write_text(text.replace(old, new), encoding="utf-8", newline="")


def as_parquet(book: Path, name: str, change: Callable[[pl.DataFrame], pl.DataFrame] = lambda frame: frame) -> None:
    """Turn a CSV table of a book into a parquet file with the types that polars infers, changed on the way."""
    frame = pl.read_csv(book / f"{name}.csv", try_parse_dates=False)
    (book / f"{name}.csv").unlink()
    change(frame).write_parquet(book / f"{name}.parquet")


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
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as stop:
            return Ended(int(stop.code or 0), out.getvalue(), err.getvalue())
    raise AssertionError("main returned without an exit code")
