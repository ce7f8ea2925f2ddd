"""Seconds and memory of reading a large book and writing its result, each against bare polars on the same files.

Run as ``python -m benchmarks.reading [--orders N] [--csv] [--json]`` from the root of the repository; under a minute.
The book is made up and lies in a temporary folder while the benchmark runs; its files have just been written, so they
stand in the page cache. The result has the size of a real one: four orders of five served, each with a voucher. Every
repetition is a process of its own; the median is printed.
"""

import argparse
import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from dujiang.core.problem import ProblemList
from dujiang.market.outcome import (
    AWARD_SCHEMA,
    LINK_PRICE_SCHEMA,
    MULTIPLIER_SCHEMA,
    PRICE_SCHEMA,
    REJECTION_SCHEMA,
    VOUCHER_SCHEMA,
    Outcome,
)
from dujiang.registry.parse import parse_book
from dujiang.store.files import replace_folder
from dujiang.store.read_book import read_raw
from dujiang.store.results import TABLES, book_digest, outcome_files
from dujiang.store.write_book import BookFiles, write_book

SLOTS = 168
REGIONS = ("京津冀", "长三角", "粤港澳", "成渝", "内蒙古", "贵州", "甘肃", "宁夏")
ACCELERATORS = ("a100", "h20", "910b", "mlu370")
CITIES = ("东莞", "深圳", "郑州", "北京", "上海", "成都")


def made_up_book(orders: int, *, seed: int = 1) -> BookFiles:
    """Draw a book of 24 pools and a week with every column that orders usually fill; a twentieth as many firms."""
    rng = np.random.default_rng(seed)
    firms = max(1, orders // 20)
    pools = [(region, accelerator) for region in REGIONS for accelerator in ACCELERATORS[:3]]
    return BookFiles(
        header={"start": "2025-11-03T00:00:00+08:00", "slots": SLOTS, "title": "benchmark"},
        tables={
            "centres": pl.DataFrame({"centre_id": REGIONS, "region": REGIONS, "province": REGIONS}),
            "pools": pl.DataFrame(
                {
                    "pool_id": [f"{region}-{accelerator}" for region, accelerator in pools],
                    "centre_id": [region for region, _ in pools],
                    "accelerator": [accelerator for _, accelerator in pools],
                    "gpus": [8 * orders // 100 + 64] * len(pools),
                    "ask_cny_per_gpu_hour": rng.integers(300, 900, len(pools)) / 100,
                    "stacks": ["cuda;rocm"] * len(pools),
                }
            ),
            "links": pl.DataFrame(
                [
                    {"origin_region": a, "region": b, "cny_per_gb": 0.05, "rtt_ms": 12.5}
                    for a in REGIONS
                    for b in REGIONS
                    if a != b
                ]
            ),
            "enterprises": _firms(rng, firms),
            "orders": _orders(rng, orders, firms),
        },
    )


def _firms(rng: np.random.Generator, count: int) -> pl.DataFrame:
    kinds = np.array(["enterprise", "manufacturing_enterprise", "software_it_enterprise", "university"])
    return pl.DataFrame(
        {
            "enterprise_id": [f"e{i:07}" for i in range(count)],
            "city": np.array(CITIES)[rng.integers(0, len(CITIES), count)],
            "kind": kinds[rng.integers(0, 4, count)],
            "employees": rng.integers(1, 5000, count),
            "revenue_cny": rng.integers(10**5, 10**9, count),
            "founded": pl.Series(rng.integers(10_000, 20_000, count), dtype=pl.Int32).cast(pl.Date),
        }
    )


def _orders(rng: np.random.Generator, count: int, firms: int) -> pl.DataFrame:
    hours = np.maximum(0.25, np.round(rng.lognormal(1.4, 0.9, count), 2)).clip(max=60.0)
    release = rng.integers(0, SLOTS - 1, count)
    deadline = release + np.ceil(hours).astype(np.int64) + rng.integers(0, 48, count)
    gpus = np.array([1, 2, 4, 8, 16, 32])[rng.integers(0, 6, count)]
    any_of = np.array(["", "a100", "a100;h20", "910b", "910b;mlu370", "h20"])
    first = 1_761_955_200  # 2025-11-01, seconds
    return pl.DataFrame(
        {
            "order_id": [f"o{i:08}" for i in rng.permutation(count)],
            "enterprise_id": [f"e{i:07}" for i in rng.integers(0, firms, count)],
            "gpus": gpus,
            "hours": hours,
            "release": release,
            "deadline": deadline,
            "limit_cny": np.round(rng.lognormal(1.9, 0.4, count) * gpus * hours + 0.01, 2),
            "submitted": pl.Series((first + rng.integers(0, 2 * 24 * 3600, count)) * 10**6).cast(
                pl.Datetime("us", "UTC")
            ),
            "accelerators": any_of[rng.integers(0, len(any_of), count)],
            "stacks": np.array(["", "cuda", "rocm;cuda"])[rng.integers(0, 3, count)],
            "regions": np.array(["", "", "京津冀;长三角"])[rng.integers(0, 3, count)],
            "origin_region": np.array(REGIONS)[rng.integers(0, len(REGIONS), count)],
            "data_gb": np.round(rng.exponential(20.0, count), 3),
            "rtt_ms_max": pl.Series(rng.integers(10, 100, count) * 1.0),
            "purpose": np.array(["training", "inference"])[rng.integers(0, 2, count)],
            "max_vouchers": rng.integers(0, 4, count),
            "contract_id": [f"k{i}" for i in rng.integers(0, count // 2 + 1, count)],
            "startup": rng.random(count) < 0.2,
            "related_party": np.zeros(count, dtype=np.bool_),
        }
    )


def made_up_outcome(folder: Path, *, seed: int = 1) -> Outcome:
    """Make a result of the right size for a book; amounts are drawn, for their digits take the room."""
    rng = np.random.default_rng(seed)
    named = ["order_id", "enterprise_id", "gpus"]
    table = folder / "orders.parquet"
    read = pl.read_csv(table.with_suffix(".csv"), columns=named) if not table.exists() else pl.read_parquet(table)
    orders = read.select(named).sort("order_id")
    pools = pl.read_csv(folder / "pools.csv", columns=["pool_id", "centre_id", "gpus"])
    served = rng.random(orders.height) < 0.8
    awarded, refused = orders.filter(served), orders.filter(~served)
    place = rng.integers(0, pools.height, awarded.height)
    programme = pl.Series(np.array(["dg-compute-voucher", "sz-training-voucher"])[place % 2])
    grid = pools.join(pl.DataFrame({"slot": range(SLOTS)}), how="cross")
    return Outcome(
        awards=_drawn(rng, AWARD_SCHEMA, {**_columns(awarded), **_columns(pools[place]), "programme_id": programme}),
        vouchers=_drawn(rng, VOUCHER_SCHEMA, {**_columns(awarded), "programme_id": programme}),
        prices=_drawn(rng, PRICE_SCHEMA, _columns(grid)),
        link_prices=pl.DataFrame(schema=LINK_PRICE_SCHEMA),
        rejections=_drawn(rng, REJECTION_SCHEMA, _columns(refused)),
        multipliers=pl.DataFrame(schema=MULTIPLIER_SCHEMA),
        summary={"format": "dujiang.clearing/1", "orders": orders.height},
    )


def _columns(frame: pl.DataFrame) -> dict[str, pl.Series]:
    return {name: frame[name] for name in frame.columns}


def _drawn(rng: np.random.Generator, schema: Mapping[str, pl.DataType], known: Mapping[str, pl.Series]) -> pl.DataFrame:
    """Return a frame with the columns that are known, and draws of the others."""
    height = next(iter(known.values())).len()
    columns = {}
    for name, dtype in schema.items():
        if name in known:
            columns[name] = known[name]
        elif dtype == pl.String:
            columns[name] = pl.Series(np.array(["limit_below_price", "no_room"])[rng.integers(0, 2, height)])
        else:
            columns[name] = pl.Series(rng.integers(0, 2 if dtype == pl.Boolean else 10**10, height))
    return pl.DataFrame(columns).cast(dict(schema))


def _timed(seconds: dict[str, float], name: str, step: Callable[..., Any], *given: Any) -> Any:
    begin = time.perf_counter()
    result = step(*given)
    seconds[name] = time.perf_counter() - begin
    return result


def _peak_mib() -> float:
    """Return the most memory that this process has had; the system's own figure starts with that of its parent."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def _measure(folder: Path, out: Path) -> dict[str, Any]:
    """Read a book and write a result, in this process."""
    seconds: dict[str, float] = {}
    before = _peak_mib()
    problems = ProblemList()
    raw = _timed(seconds, "read files", read_raw, folder, problems)
    book = _timed(seconds, "parse and check", parse_book, raw, problems)
    assert book is not None, [p.say() for p in problems]
    reading = _peak_mib()
    _timed(seconds, "digest", book_digest, folder)
    del raw, book
    outcome = made_up_outcome(folder)
    files = _timed(seconds, "results to bytes", outcome_files, outcome, {}, {}, "0" * 64)
    _timed(seconds, "results to disk", replace_folder, out, files)
    del files, outcome
    ours = sum(seconds.values())
    return {"seconds": seconds, "total_s": ours, "peer_s": _peer(folder, out), "reading_mib": reading - before}


def _peer(folder: Path, out: Path) -> float:
    """Return the seconds in which polars alone reads the same files, and writes tables like those of the result."""
    frames = [pl.read_parquet(out / f"{table}.parquet") for table in TABLES]
    begin = time.perf_counter()
    for path in sorted(folder.glob("*.parquet")):
        pl.read_parquet(path)
    for path in sorted(folder.glob("*.csv")):
        pl.read_csv(path)
    for table, frame in zip(TABLES, frames, strict=True):
        frame.write_parquet(out / f"{table}.parquet", compression="zstd")
    return time.perf_counter() - begin


def _as_csv(folder: Path) -> None:
    """Turn the large tables into CSV, with instants as people write them."""
    for name in ("orders", "enterprises"):
        frame = pl.read_parquet(folder / f"{name}.parquet")
        instants = pl.selectors.datetime().dt.strftime("%Y-%m-%dT%H:%M:%SZ")
        frame.with_columns(instants).write_csv(folder / f"{name}.csv")
        (folder / f"{name}.parquet").unlink()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--csv", action="store_true", help="large tables as CSV instead of parquet")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "book"
        write_book(made_up_book(options.orders), folder)
        if options.csv:
            _as_csv(folder)
        runs = []
        for i in range(options.repeat):
            with multiprocessing.get_context("spawn").Pool(1) as fresh:
                runs.append(fresh.apply(_measure, (folder, Path(place) / f"out{i}")))
    middle = sorted(runs, key=lambda run: run["total_s"])[len(runs) // 2]
    report = {"orders": options.orders, "csv": options.csv, **middle, "ratio": middle["total_s"] / middle["peer_s"]}
    if options.json:
        print(json.dumps(report, indent=2))
        return
    for name, seconds in report["seconds"].items():
        print(f"{name:20}{seconds:8.2f} s")
    print(f"{'in all':20}{report['total_s']:8.2f} s, {report['ratio']:.1f} x bare polars ({report['peer_s']:.2f} s)")
    print(f"reading adds {report['reading_mib']:.0f} MiB to the peak of memory")


if __name__ == "__main__":
    main()
