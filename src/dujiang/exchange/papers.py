"""The papers of a round: usage, ledger, invoices, cost export, report. Made from records; nothing is decided here."""

from collections.abc import Iterable, Mapping, Sequence

from dujiang.core.slots import slot_instant
from dujiang.exchange.awarded import Awarded, budgets
from dujiang.exchange.clearing import Round
from dujiang.exchange.naming import names_of, sources_of
from dujiang.market.outcome import Outcome
from dujiang.metering.usage import Usage, usage_frame
from dujiang.reports.beancount import beancount_text
from dujiang.reports.data import ProgrammeSettled, ReportData, Settled
from dujiang.reports.focus import BillingPeriod, focus_csv
from dujiang.reports.html import render_report
from dujiang.reports.invoice import invoice_files, invoices
from dujiang.settlement import account
from dujiang.settlement.charge import Charge
from dujiang.settlement.entry import Entry, EntryKind
from dujiang.store.files import parquet_bytes
from dujiang.store.ledger import Ledger


def settled_sums(round_: Round, charges: Sequence[Charge], ledger: Ledger) -> Settled:
    """Return what was posted and released; of each programme, from the ledger, also what was set aside and is left."""
    entries = list(ledger.entries())
    available = ledger.balances("Liabilities:Programme:")
    limited = budgets(round_)
    programmes = []
    for key in round_.terms.programme_ids:
        set_aside = account.programme_reserved(key)
        reserved, posted = (_moved(entries, kind, set_aside) for kind in (EntryKind.RESERVE, EntryKind.POST))
        left = -available.get(account.programme_available(key), 0) if key in limited else None
        programmes.append(ProgrammeSettled(key, -reserved, posted, left))
    voided = sum(
        -posting.amount_ucny
        for entry in entries
        if entry.kind is EntryKind.VOID
        for posting in entry.postings
        if posting.amount_ucny < 0 and not posting.account.startswith("Equity:")
    )
    return Settled(
        gross_ucny=sum(c.bill.service_ucny for c in charges),
        transfer_ucny=sum(c.bill.transfer_ucny for c in charges),
        voucher_ucny=sum(c.bill.voucher_ucny for c in charges),
        net_ucny=sum(c.bill.net_ucny for c in charges),
        voided_ucny=voided,
        rounding_ucny=sum(c.bill.rounding_ucny for c in charges),
        programmes=tuple(programmes),
    )


def _moved(entries: Iterable[Entry], kind: EntryKind, name: str) -> int:
    """Return what entries of a kind move on an account, micro-yuan."""
    own = (posting for entry in entries if entry.kind is kind for posting in entry.postings)
    return sum(posting.amount_ucny for posting in own if posting.account == name)


def paper_files(
    round_: Round,
    outcome: Outcome,
    other: Outcome | None,
    awards: list[Awarded],
    readings: list[Usage],
    ledger: Ledger,
    operator: str,
) -> tuple[dict[str, bytes], Mapping[str, int]]:
    """Return the files of a settled round by path, and what was posted, micro-yuan by name."""
    book = round_.book
    usages = {usage.order_id: usage for usage in readings}
    charges, pending = [], []
    for award in awards:
        charge = award.charge(usages[award.run.order_id])
        if charge is None:
            pending.append(award.award)
        else:
            charges.append(charge)
    settled = settled_sums(round_, charges, ledger)
    usage = usage_frame(readings)
    report = ReportData(
        book=book,
        outcome=outcome,
        other=other,
        usage=usage,
        settlement=settled,
        sources=sources_of(round_.programmes),
        names=names_of(book, round_.programmes),
    )
    period = BillingPeriod(book.start, slot_instant(book.start, book.slots))
    pages = invoice_files(invoices(charges, pending), start=period.start, end=period.end, operator=operator)
    files = {
        "usage.parquet": parquet_bytes(usage),
        "ledger.parquet": parquet_bytes(ledger.frame()),
        "ledger.beancount": beancount_text(ledger.entries(), book.title.zh or "dujiang").encode(),
        "focus.csv": focus_csv(charges, period, operator).encode(),
        **{f"invoices/{name}": text.encode() for name, text in pages.items()},
        "report.html": render_report(report).encode(),
    }
    posted = {
        "posted_gross": settled.gross_ucny,
        "posted_transfer": settled.transfer_ucny,
        "posted_voucher": settled.voucher_ucny,
        "posted_net": settled.net_ucny,
        "posted_rounding": sum(c.bill.rounding_ucny for c in charges),
    }
    return files, posted
