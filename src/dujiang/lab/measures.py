"""Measures of a replay: each a formula over its sums, so that one definition serves a run, a group and a resample."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from dujiang.core.money import MICRO
from dujiang.core.text import Text
from dujiang.lab.sums import HOUR_S, SERVED, Float, Sums, ratio


@dataclass(frozen=True, slots=True)
class Measure:
    """What is measured, and how it is said."""

    key: str
    name: Text
    unit: str
    """`share`, `h`, `cny`, `cny_per_gpu_hour`, `gpu_hours`, `kg` or `count`."""
    better: str
    """`more`, `less`, or `neither` where it depends on who asks."""
    of: Callable[[Sums], Float] | None
    """Its value from sums, NaN: not known. None: a quantile, which sums do not tell."""

    def described(self) -> dict[str, Any]:
        """Return what a reader of a document needs to know of it."""
        return {"key": self.key, "name": self.name._asdict(), "unit": self.unit, "better": self.better}


def buyer_surplus(s: Sums) -> Float:
    """Return what served jobs were worth to their firms, less all that firms paid; micro-yuan."""
    return s["limit_done"] - s["net"]


def centre_surplus(s: Sums) -> Float:
    """Return what centres got above their ask, which is taken for their cost; micro-yuan."""
    return s["gross"] - s["ask_cost"]


def welfare(s: Sums) -> Float:
    """Return the surplus of both sides less the vouchers, which others paid for as taxes; micro-yuan."""
    return buyer_surplus(s) + centre_surplus(s) - s["voucher"]


def _carbon(s: Sums) -> Float:
    return np.where(s["kg_unknown"] > 0, np.nan, s["kg"])


def _measure(key: str, en: str, zh: str, unit: str, better: str, of: Callable[[Sums], Float] | None) -> Measure:
    return Measure(key, Text(en, zh), unit, better, of)


MEASURES = (
    _measure(
        "utilisation",
        "use of the accelerators",
        "加速卡使用率",
        "share",
        "more",
        lambda s: ratio(s["used"], s["stood"]),
    ),
    _measure(
        "held_utilisation",
        "accelerators charged",
        "计费占用率",
        "share",
        "neither",
        lambda s: ratio(s["held_series"], s["stood"]),
    ),
    _measure("served_share", "jobs served", "作业满足率", "share", "more", lambda s: ratio(s["served"], s["jobs"])),
    _measure("gpu_hours_asked", "GPU-hours asked for", "需求卡时", "gpu_hours", "neither", lambda s: s["asked"]),
    _measure("gpu_hours_served", "GPU-hours served", "满足卡时", "gpu_hours", "more", lambda s: s["done"]),
    _measure(
        "gpu_hours_served_share",
        "GPU-hours served of those asked for",
        "卡时满足率",
        "share",
        "more",
        lambda s: ratio(s["done"], s["asked"]),
    ),
    _measure("mean_wait_h", "mean wait", "平均等待", "h", "less", lambda s: ratio(s["wait_h"], s["served"])),
    _measure("median_wait_h", "median wait", "等待中位数", "h", "less", None),
    _measure("p95_wait_h", "wait of all but the slowest 5 %", "95% 作业的等待上限", "h", "less", None),
    _measure(
        "price_cny_per_gpu_hour",
        "price",
        "成交价",
        "cny_per_gpu_hour",
        "neither",
        lambda s: ratio(s["gross"], s["held"]) / MICRO,
    ),
    _measure(
        "net_cny_per_gpu_hour",
        "what firms pay",
        "企业实付单价",
        "cny_per_gpu_hour",
        "less",
        lambda s: ratio(s["net"], s["held"]) / MICRO,
    ),
    _measure(
        "cost_per_useful_gpu_hour_cny",
        "cost of a useful GPU-hour",
        "每有效卡时成本",
        "cny_per_gpu_hour",
        "less",
        lambda s: ratio(s["net"] + s["voucher"], s["done"]) / MICRO,
    ),
    _measure("turnover_cny", "paid to centres", "算力中心收入", "cny", "neither", lambda s: s["gross"] / MICRO),
    _measure("transfer_cny", "paid to carriers", "传输费", "cny", "less", lambda s: s["transfer"] / MICRO),
    _measure("net_cny", "paid by firms", "企业支付", "cny", "neither", lambda s: s["net"] / MICRO),
    _measure("voucher_cny", "paid by vouchers", "算力券支付", "cny", "neither", lambda s: s["voucher"] / MICRO),
    _measure("buyer_surplus_cny", "surplus of firms", "企业剩余", "cny", "more", lambda s: buyer_surplus(s) / MICRO),
    _measure(
        "centre_surplus_cny", "surplus of centres", "算力中心剩余", "cny", "more", lambda s: centre_surplus(s) / MICRO
    ),
    _measure(
        "welfare_cny",
        "welfare, vouchers taken off",
        "社会福利（扣除券款）",
        "cny",
        "more",
        lambda s: welfare(s) / MICRO,
    ),
    _measure("carbon_kg", "carbon", "碳排放", "kg", "less", _carbon),
)
"""In the order in which reports show them. Buyers' surplus counts what a job is worth at its limit and no cost of
waiting; work that a voucher brings about for its good to others is in no surplus."""

QUANTILES = {"median_wait_h": 0.5, "p95_wait_h": 0.95}


def values_of(sums: Sums) -> dict[str, Float]:
    """Return every measure that sums tell."""
    return {measure.key: np.asarray(measure.of(sums), float) for measure in MEASURES if measure.of is not None}


def wait_quantiles(jobs: pl.DataFrame) -> dict[str, float | None]:
    """Return quantiles of the wait of served jobs, hours; the smallest wait that so large a share does not exceed."""
    wait = jobs.filter(SERVED).select((pl.col("start_s") - pl.col("submit_s")).alias("wait"))["wait"].sort()
    if wait.is_empty():
        return dict.fromkeys(QUANTILES)
    rows = {key: max(0, -int(-share * len(wait) // 1) - 1) for key, share in QUANTILES.items()}
    return {key: wait[row] / HOUR_S for key, row in rows.items()}


_PLACES = {"share": 6, "h": 4, "cny": 2, "cny_per_gpu_hour": 4, "gpu_hours": 2, "kg": 2, "count": 2}
_UNIT = {measure.key: measure.unit for measure in MEASURES}


def rounded(value: float | Float | None, unit: str) -> float | None:
    """Return a value as documents hold it; None for what is not known."""
    if value is None or not np.isfinite(value):
        return None
    return round(float(value), _PLACES[unit]) + 0.0  # no minus before a zero


def unit_of(key: str) -> str:
    """Return the unit of a measure."""
    return _UNIT[key]


__all__ = [
    *("MEASURES", "QUANTILES", "Measure", "buyer_surplus", "centre_surplus", "rounded", "unit_of", "values_of"),
    *("wait_quantiles", "welfare"),
]
