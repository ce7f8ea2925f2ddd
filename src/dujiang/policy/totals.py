"""Who is reached by programmes: totals by place, size and industry, and what a changed rule does to whom."""

from collections.abc import Mapping

import polars as pl

from dujiang.core.text import Text

SIZES = ("0-19", "20-299", "300-999", "1000+")
"""Bands of staff in which totals are given; not a legal classification, which depends on the industry."""
_SIZE_STARTS = (20, 300, 1000)
DIMENSIONS: Mapping[str, Text] = {
    "all": Text("all", "合计"),
    "programme": Text("programme", "政策项目"),
    "province": Text("province", "省份"),
    "city": Text("city", "城市"),
    "size": Text("staff", "职工人数"),
    "industry": Text("industry", "行业"),
    "kind": Text("kind of body", "主体类型"),
}

TOTAL_SCHEMA: dict[str, pl.DataType] = {
    "dimension": pl.String(),
    "value": pl.String(),
    "programme_id": pl.String(),
    "firms": pl.Int64(),
    "purchases": pl.Int64(),
    "amount_ucny": pl.Int64(),
}
"""Support paid, by one dimension and programme; `value` null: not known; `programme_id` null: all together."""


def total_frame(purchases: pl.DataFrame, answers: pl.DataFrame) -> pl.DataFrame:
    """Return totals of what is paid.

    Parameters
    ----------
    purchases : one row per purchase, with `enterprise_id` and the facts
    answers : `apply.ANSWER_SCHEMA`

    Returns
    -------
    `TOTAL_SCHEMA`, by dimension, then amount, largest first
    """
    paid = answers.filter(pl.col("amount_ucny") > 0).select("row", "programme_id", "amount_ucny")
    wide = paid.join(_described(purchases), on="row", how="left")
    parts = [_grouped(wide, "all", None, None), _grouped(wide, "programme", None, "programme_id")]
    for dimension in DIMENSIONS:
        if dimension in wide.columns:
            parts.append(_grouped(wide, dimension, dimension, None))
            parts.append(_grouped(wide, dimension, dimension, "programme_id"))
    return pl.concat(parts)


def _described(purchases: pl.DataFrame) -> pl.DataFrame:
    """Return who buys, by row."""
    columns = ["enterprise_id", *(name for name in DIMENSIONS if name in purchases.columns)]
    described = purchases.select(columns).with_row_index("row").cast({"row": pl.Int64})
    described = described.with_columns(pl.col(name).cast(pl.String) for name in columns[1:])
    if "employees" not in purchases.columns:
        return described
    return described.with_columns(size_of(purchases["employees"]).alias("size"))


def size_of(employees: pl.Series) -> pl.Series:
    """Return the band of staff of each row; null: not known."""
    staff = employees.cast(pl.Int64)
    above = sum(((staff >= start).cast(pl.Int64) for start in _SIZE_STARTS), start=0 * staff)
    return pl.Series(SIZES).gather(above)


def _grouped(wide: pl.DataFrame, dimension: str, value: str | None, programme: str | None) -> pl.DataFrame:
    keys = [key for key in (value, programme) if key is not None]
    sums = (
        pl.col("enterprise_id").n_unique().cast(pl.Int64).alias("firms"),
        pl.col("row").n_unique().cast(pl.Int64).alias("purchases"),
        pl.col("amount_ucny").sum(),
    )
    grouped = wide.group_by(keys).agg(*sums) if keys else wide.select(*sums)
    named = grouped.select(
        pl.lit(dimension).alias("dimension"),
        (pl.lit(None, dtype=pl.String) if value is None else pl.col(value)).alias("value"),
        (pl.lit(None, dtype=pl.String) if programme is None else pl.col(programme)).alias("programme_id"),
        "firms",
        "purchases",
        "amount_ucny",
    )
    return named.cast(pl.Schema(TOTAL_SCHEMA)).sort(
        ["amount_ucny", "value", "programme_id"], descending=[True, False, False], nulls_last=True
    )


CHANGE_SCHEMA: dict[str, pl.DataType] = {
    "enterprise_id": pl.String(),
    "before_ucny": pl.Int64(),
    "after_ucny": pl.Int64(),
    "change_ucny": pl.Int64(),
}
"""What a firm gets before and after a change of rules; firms that get nothing both times are left out."""


def change_frame(purchases: pl.DataFrame, before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """Return `CHANGE_SCHEMA`, largest gain first, largest loss last.

    Parameters
    ----------
    purchases : one row per purchase
    before, after : `apply.ANSWER_SCHEMA`, of the same purchases
    """
    sides = [_by_firm(purchases, answers, name) for answers, name in ((before, "before_ucny"), (after, "after_ucny"))]
    both = sides[0].join(sides[1], on="enterprise_id", how="full", coalesce=True).fill_null(0)
    changed = both.with_columns(change_ucny=pl.col("after_ucny") - pl.col("before_ucny"))
    return changed.select(*CHANGE_SCHEMA).sort(["change_ucny", "enterprise_id"], descending=[True, False])


def _by_firm(purchases: pl.DataFrame, answers: pl.DataFrame, name: str) -> pl.DataFrame:
    paid = answers.filter(pl.col("amount_ucny") > 0).select("row", "amount_ucny")
    firms = purchases.select("enterprise_id").with_row_index("row").cast({"row": pl.Int64})
    joined = paid.join(firms, on="row", how="left")
    return joined.group_by("enterprise_id").agg(pl.col("amount_ucny").sum().alias(name))
