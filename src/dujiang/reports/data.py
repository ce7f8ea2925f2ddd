"""What a report is made from: the round's book and outcome, and whatever else is known by the time it is written."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from dujiang.core.text import Text
from dujiang.market.outcome import Outcome
from dujiang.registry.book import Book


@dataclass(frozen=True, slots=True)
class Source:
    """A document that a figure or a rule of the report rests on."""

    what: Text
    """What was taken from it."""
    citation: str
    """Issuer, name and number of the document, as it cites itself."""


@dataclass(frozen=True, slots=True)
class ProgrammeSettled:
    """Voucher money of one programme in the ledger (design 6.2), micro-yuan."""

    programme_id: str
    reserved_ucny: int
    """Set aside at award."""
    posted_ucny: int
    """Paid for metered use."""
    left_ucny: int | None
    """Budget that is neither reserved nor posted; None: no budget is stated."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What the ledger posted for the round, micro-yuan. `gross + transfer = voucher + net + rounding`."""

    gross_ucny: int
    """To the centres."""
    transfer_ucny: int
    """To the carriers."""
    voucher_ucny: int
    """From the programmes."""
    net_ucny: int
    """From the enterprises."""
    voided_ucny: int
    """Reserved at award and released, because less ran than was awarded."""
    programmes: tuple[ProgrammeSettled, ...] = ()
    rounding_ucny: int = 0
    """From the operator, where rounding to fen would have passed an enterprise's limit."""


@dataclass(frozen=True, slots=True)
class ReportData:
    """Everything that `report.html` shows."""

    book: Book
    outcome: Outcome
    """The round that counts."""
    other: Outcome | None = None
    """The same book cleared with the other coupling; gives every before and after."""
    usage: pl.DataFrame | None = None
    """What was metered, one row per award that ran: `order_id`, `pool_id`, `centre_id`, `gpus`, `outcome`,
    `run_hours_micro`, `gpu_hours_micro`, `it_kwh`, `kwh`, `kgco2`; the last three null where unknown."""
    settlement: Settled | None = None
    title: Text | None = None
    """Headline; None: the book's title."""
    sources: tuple[Source, ...] = ()
    assumptions: Mapping[str, object] = field(default_factory=dict)
    """What was assumed beside the book's own assumptions; printed with them."""
    names: Mapping[str, Text] = field(default_factory=dict)
    """What people call an id (region, programme, accelerator, kind of firm); one without a name stays as it is."""
