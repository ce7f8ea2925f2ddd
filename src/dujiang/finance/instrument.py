"""One way to pay for a project: a loan, a lease, a bond, equity, a subsidy, a guarantee, insurance or receivables.

The record is what the planner knows of a product. Where the terms come from is no matter of this module: of a catalogue
file, of a bank's own terms, of a support programme, or of the project file itself. A term that nobody has stated but
that the plan needs is named in `assumed`, and every output that shows the plan says so.
"""

from dataclasses import dataclass
from enum import StrEnum

from dujiang.core.text import Text


class Kind(StrEnum):
    """What an instrument is."""

    LOAN = "loan"
    LEASE = "lease"
    BOND = "bond"
    EQUITY = "equity"
    """Money that is not paid back; the investor gets a part of the firm."""
    SUBSIDY = "subsidy"
    """Public support of a cost, paid after the cost was."""
    GUARANTEE = "guarantee"
    """Brings no money itself: another instrument needs it, and it asks a fee on what it stands behind."""
    INSURANCE = "insurance"
    """Brings no money itself: another instrument needs it, or the project wants it; it asks a premium."""
    RECEIVABLES = "receivables"
    """An advance on income that the project is owed within the next months."""


class Repayment(StrEnum):
    """How a debt is paid back."""

    END = "end"
    """Whole, at the end of the term of each draw."""
    EQUAL = "equal"
    """In equal monthly parts of principal after the grace months, of each draw."""
    FREE = "free"
    """At the end of any month, at the latest at the end of the term."""


DEBT = frozenset({Kind.LOAN, Kind.LEASE, Kind.BOND, Kind.RECEIVABLES})
"""Kinds that are owed and paid back."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """The terms of one instrument; amounts in micro-yuan, shares in ppm, months counted from the project's first."""

    id: str
    kind: Kind
    name: Text
    source: str
    """Issuer and document, or "" for somebody's own definition."""
    assumed: tuple[str, ...] = ()
    """Names of the terms that are assumptions; shown as such wherever the plan is."""
    uses: frozenset[str] | None = None
    """Kinds of cost that it may pay; None: all."""
    least_ucny: int = 0
    """If it is used at all, at least so much is drawn in all."""
    most_ucny: int | None = None
    """Ceiling of all draws together; of a guarantee or insurance, of what is owed at any time by those that need it."""
    first_month: int = 0
    last_month: int | None = None
    """Window of draws, both ends included; None: to the project's last month."""
    once: bool = False
    """One draw only."""
    term_months: int | None = None
    """Months that a draw may be owed, the month of the draw included; None: to the end of the project."""
    grace_months: int = 0
    """Months of a draw in which no principal is due (`Repayment.EQUAL`)."""
    repayment: Repayment = Repayment.FREE
    rate_ppm: int = 0
    """Nominal interest a year; a twelfth of it is due at the end of each month on what was owed during it."""
    fee_ppm: int = 0
    """Of each draw, paid with it. Of a guarantee or insurance: its premium a year, a twelfth of it due at the end of
    each month on what was owed during it by those that need it."""
    fixed_fee_ucny: int = 0
    """Once, in the month of the first draw, if it is used at all."""
    share_of_costs_ppm: int | None = None
    """At most this share of the costs in `uses`; the rest is the project's own share."""
    collateral: str | None = None
    """Name of the project's asset that is pledged; several instruments on one asset share its ceiling."""
    ltv_ppm: int | None = None
    """Ceiling of what is owed against the asset: this share of its value."""
    multiple_of: str | None = None
    """Another instrument, by id, to whose draws this one's are tied (投贷联动, 投补联动)."""
    multiple_ppm: int | None = None
    """At most this multiple of what `multiple_of` has drawn."""
    needs: tuple[str, ...] = ()
    """Instruments, by id, all of which are to be used with it."""
    excludes: tuple[str, ...] = ()
    """Instruments, by id, that are not to be had beside it."""
    group: str | None = None
    """Of a group at most one is used."""
    pre_money_ucny: int | None = None
    """Equity: what the firm is worth before the money comes in."""
    required_return_ppm: int | None = None
    """Equity: what the investor wants to earn a year, compounded."""
    rate_of_cost_ppm: int | None = None
    """Subsidy: share of the eligible cost that it pays."""
    delay_months: int = 0
    """Subsidy: it arrives so many months after the month of the spend."""
    most_per_year_ucny: int | None = None
    """Subsidy: ceiling for the spend of one calendar year."""
    budget_ucny: int | None = None
    """What the public purse has left; may run dry, which is a shock of its own."""
    ahead_months: int = 0
    """Receivables: how many months of future income may be advanced on."""
    advance_ppm: int | None = None
    """Receivables: what is owed is at most this share of the income of those months."""
    clause: Text | None = None
    """The rule it rests on, quoted or summed up."""
    apply_with: Text | None = None
    """What to hand in."""
    lead_months: int = 0
    """Months from the application to the first draw. Nothing can be applied for before the project starts."""

    @property
    def is_debt(self) -> bool:
        """Whether what it brings is owed."""
        return self.kind in DEBT
