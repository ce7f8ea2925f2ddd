"""The book of one round: everything that is offered and asked, checked and in exact units."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

import polars as pl

from dujiang.core.slots import SHANGHAI
from dujiang.core.text import Text

Fact = bool | int | float | str | date
"""A value that a programme's condition can look at. Money facts are in micro-yuan and end in `_ucny`."""


@dataclass(frozen=True, slots=True)
class Objective:
    """Optional terms of the welfare (design 4.4); zero means that the round does not ask for them."""

    carbon_ucny_per_kg: int = 0
    """Carbon price, micro-yuan per kgCO2; needs watts, PUE and grid factor of every pool."""
    small_firm_ucny_per_gpu_hour: int = 0
    """Bonus for each GPU-hour (at speed 1.0) of a small firm, micro-yuan."""
    small_firm_employees_max: int = 0
    """An enterprise with at most so many employees counts as small."""


@dataclass(frozen=True, slots=True)
class ProgrammeUse:
    """A programme of the catalogue that this round offers."""

    programme_id: str
    budget_ucny: int | None = None
    """Budget for this round instead of the programme's own, micro-yuan; None: the programme's own."""


RUNNING_SCHEMA: dict[str, pl.DataType] = {
    "order_id": pl.String(),
    "pool_id": pl.String(),
    "start": pl.Int64(),
    "slots": pl.Int64(),
    "gpus": pl.Int64(),
    "data_gb_micro": pl.Int64(),
    "origin_region": pl.String(),
}
"""Awards of earlier rounds that are not over yet."""


@dataclass(frozen=True, slots=True)
class Book:
    """A checked book.

    Tables are polars frames with the columns named `stored` in `catalog/data/book_columns.csv`; a column that the
    file lacked is there with its default or null. Rows are in canonical order: by id, orders by time stamp and id
    (design 4.7), so the order of rows in the files changes nothing.
    """

    start: datetime
    """Start of slot 0, aware UTC, a full hour."""
    slots: int
    """Number of slots of one hour."""
    title: Text
    """Name for people; both languages are the same where the file gives one."""
    centres: pl.DataFrame
    """Rows by centre_id."""
    pools: pl.DataFrame
    """Rows by pool_id."""
    capacity: pl.DataFrame
    """Exceptions to a pool's gpus and ask; rows by (pool_id, slot)."""
    links: pl.DataFrame
    """Rows by (origin_region, region). Within one region no row is needed: 0, 0 and no limit."""
    enterprises: pl.DataFrame
    """Rows by enterprise_id; further columns of the file are kept as they are."""
    orders: pl.DataFrame
    """Rows by (submitted, order_id), a missing time stamp last."""
    claims: pl.DataFrame
    """Rows by (enterprise_id, programme_id, period)."""
    running: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=RUNNING_SCHEMA))
    """Rows by order_id: awards of earlier rounds, which keep their capacity (design 4.9). With all of them, and with
    the data that they start to move in a slot of the round, no pool and no link is above what it offers."""
    objective: Objective = field(default_factory=Objective)
    use: tuple[ProgrammeUse, ...] = ()
    facts: Mapping[str, Fact] = field(default_factory=dict)
    """What the operator declares for every purchase of the round, e.g. `via_platform: true`; an order's own wins."""
    assumptions: Mapping[str, object] = field(default_factory=dict)
    """Where the book comes from (trace import): options and what was assumed; printed on the report."""

    @property
    def day(self) -> date:
        """Civil date in Asia/Shanghai on which the round starts; programmes are looked up as of that day."""
        return self.start.astimezone(SHANGHAI).date()
