"""Awards of earlier rounds against what the book offers: capacity that is taken is never more than there is."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dujiang.core.money import cny
from dujiang.core.text import Text

Ints = NDArray[np.int64]

_MOST = 1_000_000
"""Most slots and accelerators of an award that the columns' ranges allow, and the farthest start either way."""


@dataclass(frozen=True, slots=True)
class OverUse:
    """The first award, in the order of the file, that takes a pool or a link above what it offers."""

    row: int
    """Row of `running`, from 0."""
    field: str
    found: str
    expected: Text


def over_use(frames: Mapping[str, pl.DataFrame], slots: int) -> list[OverUse]:
    """Find pools and links that running awards take above what is offered.

    Parameters
    ----------
    frames : parsed tables by name, rows as in the files; cells that were bad are null, and their rows left out
    slots : slots of the round

    Returns
    -------
    for each such pool, and each such link, one award in the first slot in which too much is taken
    """
    return _pools(frames, slots) + _links(frames, slots)


def _pools(frames: Mapping[str, pl.DataFrame], slots: int) -> list[OverUse]:
    pools = (
        frames["pools"]
        .select("pool_id", "gpus")
        .drop_nulls()
        .unique("pool_id", keep="first", maintain_order=True)
        .with_row_index("pool")
    )
    rows = in_range(frames["running"].with_row_index("row")).filter(pl.col("gpus").is_between(1, _MOST))
    rows = rows.join(pools.select("pool", "pool_id"), on="pool_id", maintain_order="left")
    first = rows["start"].clip(0, slots).to_numpy()
    end = (rows["start"] + rows["slots"]).clip(0, slots).to_numpy()
    pool, gpus = rows["pool"].to_numpy(), rows["gpus"].to_numpy()
    steps = np.zeros((pools.height, slots + 1), dtype=np.int64)
    np.add.at(steps, (pool, first), gpus)
    np.subtract.at(steps, (pool, end), gpus)
    used = np.cumsum(steps, axis=1)[:, :slots]
    offered = _offered(frames["capacity"], pools, slots)
    found = []
    for p in np.flatnonzero((used > offered).any(axis=1)).tolist():
        t = int(np.argmax(used[p] > offered[p]))
        there = np.flatnonzero((pool == p) & (first <= t) & (t < end))
        above = np.argmax(np.cumsum(gpus[there]) > offered[p, t])
        row = int(rows["row"][int(there[above])])
        taken = f"{used[p, t]} accelerators running in slot {t}"
        most = Text(f"at most {offered[p, t]}, as the pool offers", f"不超过资源池提供的 {offered[p, t]} 卡")
        found.append(OverUse(row, "gpus", taken, most))
    return found


def _offered(capacity: pl.DataFrame, pools: pl.DataFrame, slots: int) -> Ints:
    """Return (pools, slots): accelerators offered, running awards not taken off."""
    offered = np.repeat(pools["gpus"].to_numpy()[:, None], slots, axis=1)
    single = capacity.select("pool_id", "slot", "gpus").drop_nulls().filter(pl.col("slot").is_between(0, slots - 1))
    single = single.join(pools.select("pool", "pool_id"), on="pool_id", maintain_order="left")
    offered[single["pool"].to_numpy(), single["slot"].to_numpy()] = single["gpus"].to_numpy()
    return offered


def _links(frames: Mapping[str, pl.DataFrame], slots: int) -> list[OverUse]:
    region = (
        frames["centres"]
        .select("centre_id", "region")
        .drop_nulls()
        .unique("centre_id", keep="first", maintain_order=True)
    )
    region = (
        frames["pools"]
        .select("pool_id", "centre_id")
        .unique("pool_id", keep="first", maintain_order=True)
        .join(region, on="centre_id")
    )
    limits = frames["links"].select("origin_region", "region", "gb_per_slot_micro").drop_nulls()
    limits = limits.unique(["origin_region", "region"], keep="first", maintain_order=True)
    rows = (
        in_range(frames["running"].with_row_index("row"))
        .filter(pl.col("start").is_between(0, slots - 1) & (pl.col("data_gb_micro") > 0))
        .join(region.select("pool_id", "region"), on="pool_id", maintain_order="left")
        .join(limits, on=["origin_region", "region"], maintain_order="left")
    )
    slot = ["origin_region", "region", "start"]
    data = pl.col("data_gb_micro").cast(pl.Int128)  # many of the largest amounts leave 64 bits
    rows = rows.with_columns(data.cum_sum().over(slot).alias("until"), data.sum().over(slot).alias("all"))
    above = rows.filter(pl.col("until") > pl.col("gb_per_slot_micro")).sort("start", "row")
    found = []
    for row, start, crossing, most in (
        above.unique(["origin_region", "region"], keep="first", maintain_order=True)
        .select("row", "start", "all", "gb_per_slot_micro")
        .iter_rows()
    ):
        taken = f"{cny(crossing)} GB starting to cross in slot {start}"
        expected = Text(f"at most {cny(most)} GB, as the link may carry", f"不超过链路的 {cny(most)} GB")
        found.append(OverUse(row, "data_gb", taken, expected))
    return found


def in_range(running: pl.DataFrame) -> pl.DataFrame:
    """Return the awards whose slots are known and so few that sums of them stay small; others are problems already."""
    start, length = pl.col("start").is_between(-_MOST, _MOST), pl.col("slots").is_between(1, _MOST)
    return running.filter(start & length)
