"""Size of a firm by its staff, in the bands of the national statistics."""

from itertools import pairwise

import polars as pl

from dujiang.core.text import Text

SIZE_BANDS: tuple[tuple[int, str, Text], ...] = (
    (0, "micro", Text("micro firms (under 10 staff)", "微型企业（10人以下）")),
    (10, "small", Text("small firms (10-99 staff)", "小型企业（10—99人）")),
    (100, "medium", Text("medium firms (100-299 staff)", "中型企业（100—299人）")),
    (300, "large", Text("large firms (300 staff and more)", "大型企业（300人及以上）")),
)
"""Least staff, key and name of a band: those of software and information technology services. The rule asks for staff
and revenue; here staff alone decides, since a scenario draws no revenue."""
UNKNOWN = ("unknown", Text("staff not known", "人数未知"))
CITATION = (
    Text("Bands of firm size", "企业规模划分"),
    "国家统计局《统计上大中小微型企业划分办法（2017）》（国统字〔2017〕213号），软件和信息技术服务业，按从业人员",
)


def size_names() -> dict[str, Text]:
    """Return the names of the bands by key, smallest first."""
    return {**{key: name for _, key, name in SIZE_BANDS}, UNKNOWN[0]: UNKNOWN[1]}


def with_size(jobs: pl.DataFrame, enterprises: pl.DataFrame) -> pl.DataFrame:
    """Add the column `size`, the band of each job's firm, to jobs.

    Parameters
    ----------
    jobs : with `enterprise_id`
    enterprises : a book's, with `enterprise_id` and `employees`
    """
    staff = pl.col("employees")
    band = pl.lit(SIZE_BANDS[-1][1])
    for (_, key, _), (above, _, _) in reversed(list(pairwise(SIZE_BANDS))):
        band = pl.when(staff < above).then(pl.lit(key)).otherwise(band)
    band = pl.when(staff.is_null()).then(pl.lit(UNKNOWN[0])).otherwise(band)
    firms = enterprises.select("enterprise_id", band.alias("size"))
    joined = jobs.drop("size", strict=False).join(firms, on="enterprise_id", how="left", maintain_order="left")
    return joined.with_columns(pl.col("size").fill_null(UNKNOWN[0]))


__all__ = ["CITATION", "SIZE_BANDS", "UNKNOWN", "size_names", "with_size"]
