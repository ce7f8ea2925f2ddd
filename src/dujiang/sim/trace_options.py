"""What a trace does not say and a book must know: each an option with a stated default."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from dujiang.core.money import MICRO, parse_micro
from dujiang.core.problem import Problem, shown
from dujiang.core.text import Text
from dujiang.registry.header import MAX_SLOTS

TraceFormat = Literal["philly", "pai", "helios", "generic"]
LongJobs = Literal["cut", "leave_out"]
FractionalGpus = Literal["leave_out", "round_up"]

OBSERVED_PEAK = "observed_peak"
_MULTIPLE = re.compile(r"(\d{1,4}(\.\d{1,6})?)x")
_COUNT = re.compile(r"[1-9]\d{0,6}")
REQUIRED_COLUMNS = ("job_id", "submit_s", "duration_s", "gpus")
OPTIONAL_COLUMNS = ("cluster", "vc", "user_hash")


@dataclass(frozen=True, slots=True)
class TraceOptions:
    """Assumptions of a trace import. Every one of them is written into `book.yaml` with a sentence."""

    columns: Mapping[str, str] = field(default_factory=dict)
    """Name in the file of each common job column that is named otherwise there (`gpus` -> `n_gpu`); format generic."""
    from_day: int | None = None
    """First day of the window, counted from the day of the first submission; None: the busiest window."""
    slots: int = 168
    """Length of the window and of the round, hours."""
    start: datetime = datetime(2025, 11, 2, 16, tzinfo=UTC)
    """Instant given to the first slot, a full hour; it decides which programmes are in force."""
    gpus_per_vc: str = "1.25x"
    """Capacity of a virtual cluster: a count, `observed_peak`, or a multiple such as `1.25x` of its mean demand."""
    vcs: int = 8
    """Number of virtual clusters that a trace without any is spread over."""
    region: str | None = None
    """Region of all centres; None: the name of the format."""
    accelerator: str = "unknown"
    """Accelerator type of all pools; the traces do not say."""
    ask_ucny_per_gpu_hour: int = 2 * MICRO
    """Reserve price of all pools, micro-yuan per GPU-hour."""
    deadline_stretch: float = 1.5
    """Time from release to deadline per slot of run time, at least 1."""
    deadline_slack_h: int = 6
    """Hours added to that."""
    limit_markup_median: float = 2.0
    """Median of what an enterprise would pay at most, over the cost of its slots at the ask."""
    limit_markup_sigma: float = 0.5
    """Standard deviation of the logarithm of that ratio (lognormal)."""
    long_jobs: LongJobs = "cut"
    """What happens to a job that would run past the end of the window: cut there, or left out."""
    fractional_gpus: FractionalGpus = "leave_out"
    """What happens to a job that shares an accelerator: left out, or rounded up to whole ones."""
    max_orders: int | None = None
    """Size of a seeded sample of the window's jobs; capacity follows from the sample. None: all jobs."""
    seed: int = 1
    """Seed of the sample and of the limits."""

    def problems(self) -> list[Problem]:
        """Return what is wrong with the options, empty if nothing."""
        found: list[Problem] = []

        def need(ok: bool, name: str, en: str, zh: str) -> None:
            if not ok:
                found.append(
                    Problem("bad-option", "options", None, name, shown(getattr(self, name)), Text(en, zh)),
                )

        known = REQUIRED_COLUMNS + OPTIONAL_COLUMNS
        columns_ok = all(name in known and bool(source) for name, source in self.columns.items())
        need(columns_ok, "columns", "NAME=COLUMN with NAME one of " + ", ".join(known), "名称为 " + "、".join(known))
        need(self.from_day is None or self.from_day >= 0, "from_day", "a day number from 0", "不小于 0 的天数")
        need(1 <= self.slots <= MAX_SLOTS, "slots", f"1 to {MAX_SLOTS} hours", f"1 至 {MAX_SLOTS} 小时")
        aware = self.start.tzinfo is not None
        hour = timedelta(minutes=self.start.minute, seconds=self.start.second, microseconds=self.start.microsecond)
        need(aware and not hour, "start", "a full hour with time zone", "带时区的整点时间")
        sizes_ok = bool(
            self.gpus_per_vc == OBSERVED_PEAK or _COUNT.fullmatch(self.gpus_per_vc) or (self.multiple_ppm() or 0) > 0
        )
        need(
            sizes_ok,
            "gpus_per_vc",
            "a count, observed_peak, or a multiple such as 1.25x",
            "卡数、observed_peak 或 1.25x",
        )
        need(1 <= self.vcs <= 10_000, "vcs", "1 to 10000", "1 至 10000")
        need(self.region is None or bool(self.region.strip()), "region", "a name", "名称")
        need(bool(self.accelerator.strip()), "accelerator", "a name", "名称")
        asks_ok = 0 < self.ask_ucny_per_gpu_hour <= 100_000 * MICRO
        need(asks_ok, "ask_ucny_per_gpu_hour", "above 0, at most 100000 CNY", "大于 0、不超过 100000 元")
        need(1 <= self.deadline_stretch <= 1000, "deadline_stretch", "1 to 1000", "1 至 1000")
        need(0 <= self.deadline_slack_h <= 100_000, "deadline_slack_h", "0 to 100000 hours", "0 至 100000 小时")
        need(0.001 <= self.limit_markup_median <= 1000, "limit_markup_median", "0.001 to 1000", "0.001 至 1000")
        need(0 <= self.limit_markup_sigma <= 3, "limit_markup_sigma", "0 to 3", "0 至 3")
        need(self.long_jobs in ("cut", "leave_out"), "long_jobs", "cut or leave_out", "cut 或 leave_out")
        fraction_ok = self.fractional_gpus in ("leave_out", "round_up")
        need(fraction_ok, "fractional_gpus", "leave_out or round_up", "leave_out 或 round_up")
        need(self.max_orders is None or self.max_orders >= 1, "max_orders", "at least 1", "不小于 1")
        need(0 <= self.seed < 2**63, "seed", "a whole number from 0", "不小于 0 的整数")
        return found

    def multiple_ppm(self) -> int | None:
        """Return `gpus_per_vc` as a multiple in millionths, None if it is no multiple."""
        match = _MULTIPLE.fullmatch(self.gpus_per_vc)
        return None if match is None else parse_micro(match[1])

    @property
    def start_utc(self) -> datetime:
        """Start in UTC."""
        return self.start.astimezone(UTC)
