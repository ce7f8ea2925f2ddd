"""Reads the job log of a cluster and sorts its rows: usable jobs, and rows that cannot be one, each with its reason."""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from dujiang.core.errors import InputError
from dujiang.core.problem import Problem, shown
from dujiang.core.text import Text
from dujiang.sim.assumption import stable_hash
from dujiang.sim.trace_options import OPTIONAL_COLUMNS, REQUIRED_COLUMNS, FractionalGpus, TraceFormat
from dujiang.store.read_book import parse_csv, parse_parquet

_HELIOS_COLUMNS = {
    "user_hash": "user",
    "gpus": "gpu_num",
    "submit_s": "submit_time",
    "duration_s": "duration",
}
"""Columns of the Helios release where they differ (`cluster_log.csv`; Hu et al., SC 2021)."""
_GPUS_MAX = 10_000_000
_SECONDS_MAX = 1e10
_ID = r"^[^\p{C}]{1,150}$"
"""Leaves room for what ids of orders, centres and enterprises have before or after it (at most 200 in a book)."""
_SHOWN_PER_KIND = 20
_NO_VC = "none"
"""Virtual cluster of jobs that name none in a trace in which others do."""
_PAI_JOB = re.compile(r"^(?:pai-)?([^-#]+)")
"""The job name in `pai-<job name>-<task>#<number>`; tasks of one job share it."""

_REASONS: Mapping[str, Text] = {
    "missing-value": Text("a value", "该值"),
    "bad-type": Text("a number", "数值"),
    "not-finite": Text("a finite number", "有限数值"),
    "duplicate": Text("an id used once", "不重复的编号"),
    "no-gpus": Text("at least one accelerator", "至少一张加速卡"),
    "not-positive": Text("a number above 0", "大于 0 的数"),
    "out-of-range": Text(
        "at most ten million accelerators, or seconds within 300 years", "加速卡不超过一千万张，时间不超过三百年"
    ),
    "bad-id": Text("1 to 150 printable characters", "1 至 150 个可见字符"),
    "fractional-gpus": Text("whole accelerators", "整数张加速卡"),
}
"""Why a row is no order, and what was expected instead."""


@dataclass(frozen=True, slots=True)
class JobLog:
    """A job log as read."""

    jobs: pl.DataFrame
    """Usable rows by (submit_s, job_id): job_id, cluster, submit_s, duration_s, gpus (int), vc, user_hash; the texts
    may be null."""
    rows: int
    """Rows in the file."""
    left_out: Mapping[str, int]
    """Rows that are not in `jobs`, by the first reason that applies."""
    remarks: tuple[Problem, ...]
    """Places of those rows, some of each kind."""
    sha256: str
    """Of the file's bytes."""


def read_jobs(path: Path, trace_format: TraceFormat, columns: Mapping[str, str], fractional: FractionalGpus) -> JobLog:
    """Read a job log from `.csv` or `.parquet`.

    Parameters
    ----------
    path : the file
    trace_format : names of the columns; every format also takes the common job columns
    columns : further names, common name -> name in the file
    fractional : what to do with shared accelerators

    Raises
    ------
    InputError : the file cannot be read, lacks a column, or holds no usable row
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        expected = Text("a file that can be read", "可读取的文件")
        raise InputError(
            [Problem("unreadable", path.name, None, None, error.strerror or "an error", expected)]
        ) from error
    is_parquet = data[:4] == b"PAR1" or path.suffix == ".parquet"
    table, problems = (parse_parquet if is_parquet else parse_csv)(path.name, data)
    if table is None:
        raise InputError(problems)
    names = _names(table.frame.columns, trace_format, columns)
    needed = {name: source for name, source in names.items() if name in REQUIRED_COLUMNS or name in columns}
    absent = {name: source for name, source in needed.items() if source not in table.frame.columns}
    missing = [_missing_column(path.name, name, source) for name, source in absent.items()]
    if missing:
        raise InputError(missing)
    frame = _typed(table.frame, names, seconds_from_dates=trace_format == "helios")
    faults = _faults(frame, fractional)
    remarks: list[Problem] = []
    reason = pl.Series([None] * frame.height, dtype=pl.String)
    for code, name, mask in faults:
        reason = pl.select(pl.when(reason.is_null() & mask).then(pl.lit(code)).otherwise(reason)).to_series()
        remarks += _remarks(path.name, code, name, names[name], table.frame, mask, table.row)
    good = frame.filter(reason.is_null()).with_columns(pl.col("gpus").ceil().cast(pl.Int64))
    counts = reason.drop_nulls().value_counts().sort(reason.name).rows()
    if good.is_empty():
        nothing = Problem("no-jobs", path.name, None, None, "no usable row", Text("at least one job", "至少一个作业"))
        raise InputError([*remarks, nothing])
    jobs = good.select("job_id", "cluster", "submit_s", "duration_s", "gpus", "vc", "user_hash")
    return JobLog(
        jobs.sort("submit_s", "job_id"), frame.height, dict(counts), tuple(remarks), hashlib.sha256(data).hexdigest()
    )


def with_vc(jobs: pl.DataFrame, trace_format: TraceFormat, vcs: int) -> pl.DataFrame:
    """Fill in the virtual cluster of every job; those of several clusters keep apart by the cluster's name.

    Parameters
    ----------
    jobs : usable jobs
    trace_format : name that stands in for a cluster's where only some jobs name theirs
    vcs : number of virtual clusters that the jobs are spread over where the log names none, by a hash of the user
    """
    if jobs["vc"].null_count() == jobs.height:
        width = len(str(vcs))
        keys = [_user_or_app(*row) for row in jobs.select("job_id", "user_hash").iter_rows()]
        return jobs.with_columns(
            pl.Series("vc", [f"vc{stable_hash(key) % vcs + 1:0{width}d}" for key in keys], dtype=pl.String)
        )
    vc = pl.col("vc").fill_null(_NO_VC)
    if jobs["cluster"].n_unique() > 1:
        vc = pl.col("cluster").fill_null(trace_format) + "-" + vc
    return jobs.with_columns(vc.alias("vc"))


def _user_or_app(job_id: str, user_hash: str | None) -> str:
    """Return what jobs of one user or application have in common, as far as the log tells."""
    if user_hash is not None:
        return user_hash
    match = _PAI_JOB.match(job_id)
    return job_id if match is None else match[1]


def _names(present: list[str], trace_format: TraceFormat, columns: Mapping[str, str]) -> dict[str, str]:
    names = {name: name for name in (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS)}
    if trace_format == "helios":
        names |= {name: source for name, source in _HELIOS_COLUMNS.items() if name not in present}
    return names | dict(columns)


def _missing_column(file: str, name: str, source: str) -> Problem:
    expected = Text(f"a column '{source}'", f"列“{source}”")
    fix = Text(f"say which column holds it: --column {name}=COLUMN", f"请指明列名：--column {name}=列名")
    return Problem("missing-column", file, None, source, "no such column", expected, fix)


def _typed(raw: pl.DataFrame, names: Mapping[str, str], *, seconds_from_dates: bool) -> pl.DataFrame:
    """Return the common columns as text and numbers, `__bad_*` telling where a number could not be read."""
    columns: list[pl.Series] = []
    for name in ("job_id", *OPTIONAL_COLUMNS):
        if names[name] in raw.columns:
            text = raw[names[name]].cast(pl.String, strict=False).str.strip_chars().replace("", None)
        else:
            text = pl.Series([None] * raw.height, dtype=pl.String)
        columns.append(text.alias(name))
    for name in ("submit_s", "duration_s", "gpus"):
        cells = raw[names[name]]
        if cells.dtype == pl.String:
            cells = cells.str.strip_chars().replace("", None)
        if seconds_from_dates and name == "submit_s" and not cells.dtype.is_numeric():
            cells = _epoch_seconds(cells)
        written = cells.is_not_null()
        plain = cells.dtype.is_numeric() or cells.dtype == pl.String
        number = cells.cast(pl.Float64, strict=False) if plain else pl.Series([None] * raw.height, dtype=pl.Float64)
        columns += [number.alias(name), (written & number.is_null()).alias(f"__bad_{name}")]
    return pl.DataFrame(columns)


def _epoch_seconds(cells: pl.Series) -> pl.Series:
    """Read `2020-06-09 18:41:01` as seconds; a cell that is none stays as text and is reported as such."""
    if cells.dtype != pl.String:
        return cells.cast(pl.Datetime("us"), strict=False).dt.epoch("s").cast(pl.Float64)
    seconds = cells.str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False).dt.epoch("s").cast(pl.String)
    return pl.select(pl.when(seconds.is_not_null()).then(seconds).otherwise(cells)).to_series()


def _faults(frame: pl.DataFrame, fractional: FractionalGpus) -> list[tuple[str, str, pl.Series]]:
    """Return what makes a row no order, as (reason, column, rows), in the order in which reasons are counted."""
    numbers = ("submit_s", "duration_s", "gpus")
    faults = [("missing-value", "job_id", frame["job_id"].is_null())]
    names = ("job_id", *OPTIONAL_COLUMNS)
    faults += [("bad-id", name, (~frame[name].str.contains(_ID)).fill_null(False)) for name in names]
    faults += [("bad-type", name, frame[f"__bad_{name}"]) for name in numbers]
    faults += [("missing-value", name, frame[name].is_null() & ~frame[f"__bad_{name}"]) for name in numbers]
    faults += [("not-finite", name, ~frame[name].is_finite().fill_null(True)) for name in numbers]
    gpus = frame["gpus"].fill_nan(None).fill_null(1.0)
    gpus = pl.select(pl.when(gpus.is_finite()).then(gpus).otherwise(1.0)).to_series()
    faults.append(("no-gpus", "gpus", gpus == 0))
    faults.append(("not-positive", "gpus", gpus < 0))
    faults.append(("out-of-range", "gpus", gpus > _GPUS_MAX))
    for name in ("submit_s", "duration_s"):
        finite = frame[name].fill_nan(None)
        faults.append(("out-of-range", name, ((finite.abs() > _SECONDS_MAX) & finite.is_finite()).fill_null(False)))
    if fractional == "leave_out":
        faults.append(("fractional-gpus", "gpus", (gpus > 0) & (gpus != gpus.round())))
    faults.append(("not-positive", "duration_s", (frame["duration_s"].fill_nan(None) <= 0).fill_null(False)))
    later = ~frame["job_id"].is_first_distinct() & frame["job_id"].is_not_null()
    faults.append(("duplicate", "job_id", later))
    return faults


def _remarks(
    file: str, code: str, name: str, source: str, raw: pl.DataFrame, mask: pl.Series, row: Callable[[int], int]
) -> list[Problem]:
    places = mask.arg_true()
    found = [
        Problem(code, file, row(index), source, shown(raw[source][index]), _REASONS[code])
        for index in places.head(_SHOWN_PER_KIND)
    ]
    if len(places) > _SHOWN_PER_KIND:
        more = f"{len(places) - _SHOWN_PER_KIND} more of the same"
        found.append(Problem(code, file, None, source, more, Text("as in the lines above", "同上")))
    return found
