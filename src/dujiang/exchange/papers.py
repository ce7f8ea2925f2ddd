"""The papers of a round: usage, ledger, invoices, cost export, report. Made from records; nothing is decided here."""

from collections.abc import Mapping

from dujiang.catalog.tables import accelerators, clusters, hubs
from dujiang.core.slots import slot_instant
from dujiang.core.text import Text
from dujiang.exchange.awarded import Awarded
from dujiang.exchange.clearing import Round
from dujiang.market.outcome import Outcome
from dujiang.metering.usage import Usage, usage_frame
from dujiang.reports.beancount import beancount_text
from dujiang.reports.data import ProgrammeSettled, ReportData, Settled, Source
from dujiang.reports.focus import BillingPeriod, focus_csv
from dujiang.reports.html import render_report
from dujiang.reports.invoice import invoice_files, invoices
from dujiang.settlement import account
from dujiang.settlement.charge import Charge
from dujiang.settlement.entry import EntryKind
from dujiang.store.files import parquet_bytes
from dujiang.store.ledger import Ledger


def names_of(round_: Round) -> dict[str, Text]:
    """Return what people call the ids of a round: programmes, hubs, clusters, accelerators, centres."""
    names: dict[str, Text] = {}
    for key, hub in hubs().items():
        names[key] = Text(hub.name_en, hub.name_zh)
    for key, cluster in clusters().items():
        names[key] = Text(cluster.name_en, cluster.name_zh)
    for key, card in accelerators().items():
        names[key] = Text(card.model, card.model)
    for key, programme in round_.programmes.items():
        names[key] = programme.name
    for region, province in round_.book.centres.select("region", "province").drop_nulls().unique().sort("region").rows():
        # A province-level region of its own, written in letters: people know it by the province's name.
        names.setdefault(region, Text(region.title(), province))
    for centre, name in round_.book.centres.select("centre_id", "name").iter_rows():
        if name:
            names[centre] = Text(name, name)
    return names


def sources_of(round_: Round) -> tuple[Source, ...]:
    """Return the documents that the round's rules rest on."""
    return tuple(
        Source(
            programme.name,
            "，".join(part for part in (programme.issuer, programme.document, programme.document_no) if part),
        )
        for programme in round_.programmes.values()
    )


def _settled(round_: Round, charges: list[Charge], ledger: Ledger) -> Settled:
    balances = ledger.balances("Liabilities:Programme:")
    programmes = []
    for key in round_.terms.programme_ids:
        posted = sum(c.bill.voucher_ucny for c in charges if c.bill.programme_id == key)
        reserved = -balances.get(account.programme_reserved(key), 0)
        available = balances.get(account.programme_available(key))
        left = None if available is None else -available
        programmes.append(ProgrammeSettled(key, reserved, posted, left))
    voided = sum(
        -posting.amount_ucny
        for entry in ledger.entries()
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
        programmes=tuple(programmes),
    )


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
    settled = _settled(round_, charges, ledger)
    usage = usage_frame(readings)
    report = ReportData(
        book=book,
        outcome=outcome,
        other=other,
        usage=usage,
        settlement=settled,
        sources=sources_of(round_),
        names=names_of(round_),
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
