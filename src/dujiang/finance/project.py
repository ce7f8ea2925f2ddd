"""A project that wants money: what it costs and earns month by month, what it has, and what it may be funded by."""

from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from typing import NamedTuple

from dujiang.core.money import MICRO
from dujiang.core.text import Text
from dujiang.finance.instrument import Instrument

MAX_MONTHS = 60
"""Longest project that is planned."""
MAX_INSTRUMENTS = 200
"""Most instruments of one project file; the solver is measured with 40."""
MAX_KINDS = 40
"""Most kinds of cost."""
DISCOUNT_PPM = 80_000
"""Discount rate where a project states none: 8 % a year, an assumption of ours and shown as one."""


class DebtAtEnd(StrEnum):
    """What may be owed when the project ends."""

    REPAID = "repaid"
    ALLOWED = "allowed"
    """What is owed counts as if it were repaid in the last month, and is shown."""


class Objective(StrEnum):
    """What the best plan is."""

    CHEAPEST = "cheapest"
    FASTEST = "fastest"
    NO_DILUTION = "no-dilution"
    LONGEST_RUNWAY = "longest-runway"


class Milestone(NamedTuple):
    """Something that is to be reached, at the end of a month."""

    id: str
    month: int
    what: Text


@dataclass(frozen=True, slots=True)
class Project:
    """One project. Lists of months have `months` entries; amounts in micro-yuan, shares in ppm."""

    id: str
    name: Text
    start: date
    """First day of its first month."""
    months: int
    own_cash_ucny: int
    costs: dict[str, tuple[int, ...]]
    """kind -> [M], paid in the month."""
    income: tuple[int, ...]
    """[M], received in the month."""
    instruments: tuple[Instrument, ...] = ()
    reserve_ucny: int = 0
    """Cash at the end of every month is at least this."""
    milestones: tuple[Milestone, ...] = ()
    assets: dict[str, int] | None = None
    """name -> value, what can be pledged."""
    discount_ppm: int = DISCOUNT_PPM
    pre_money_ucny: int | None = None
    """Worth of the firm before new equity, where an equity instrument does not state its own."""
    debt_at_end: DebtAtEnd = DebtAtEnd.REPAID
    step_ucny: int = MICRO
    """Amounts that are chosen (draws, free repayments) are multiples of this."""
    assumed: tuple[str, ...] = ()
    """Names of the project's own fields that are assumptions."""

    def cost(self, month: int, uses: frozenset[str] | None = None) -> int:
        """Return the costs of one month, of some kinds or of all."""
        return sum(row[month] for kind, row in self.costs.items() if uses is None or kind in uses)

    def month_text(self, month: int) -> str:
        """Write a month of the project as files do, `2026-03`; months after its end are written alike."""
        years, rest = divmod(self.start.month - 1 + month, 12)
        return f"{self.start.year + years:04d}-{rest + 1:02d}"

    def calendar_year(self, month: int) -> int:
        """Return the calendar year of a month of the project."""
        return self.start.year + (self.start.month - 1 + month) // 12

    def instrument(self, key: str) -> Instrument:
        """Return an instrument by its id."""
        return next(item for item in self.instruments if item.id == key)

    def with_instruments(self, instruments: tuple[Instrument, ...]) -> "Project":
        """Return the project with other ways to be funded."""
        return replace(self, instruments=instruments)
