"""What each party pays or gets: `invoices/`, one page for each enterprise, centre and programme office, and an index.

A page holds what its reader is a party to and nothing else (design 9.5): a centre does not see who pays with a
voucher, a programme office does not see prices, nobody sees a limit. Amounts are whole fen, and the sum of the lines is
the total (design 3.2). A page is a statement between the parties; it is not a tax invoice (发票), and says so.
"""

import csv
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from io import StringIO

from dujiang.core.money import FEN, MICRO
from dujiang.core.slots import SHANGHAI, instant_text
from dujiang.core.text import Text
from dujiang.reports.environment import environment
from dujiang.settlement.award import Award
from dujiang.settlement.bill import reserved_net, reserved_vouchers
from dujiang.settlement.charge import Charge


class PartyKind(StrEnum):
    """For whom a page is."""

    ENTERPRISE = "enterprise"
    CENTRE = "centre"
    PROGRAMME = "programme"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a page."""

    order_id: str
    what: Text
    detail: str
    """Quantity, counterparty or period, where the reader may know it."""
    amount_ucny: int
    """Whole fen; negative lowers the total."""


@dataclass(frozen=True, slots=True)
class Pending:
    """An award whose use is unseen: nothing is charged yet, the reservation stands (design 6.4)."""

    order_id: str
    reserved_ucny: int


@dataclass(frozen=True, slots=True)
class Invoice:
    """One page."""

    kind: PartyKind
    party_id: str
    name: str
    lines: tuple[Line, ...]
    pending: tuple[Pending, ...]

    @property
    def total_ucny(self) -> int:
        """Sum of the lines."""
        return sum(line.amount_ucny for line in self.lines)

    @property
    def path(self) -> str:
        """File of the page below `invoices/`."""
        folder = {PartyKind.ENTERPRISE: "", PartyKind.CENTRE: "centres/", PartyKind.PROGRAMME: "programmes/"}
        return f"{folder[self.kind]}{file_stem(self.party_id)}.html"


def invoices(
    charges: Iterable[Charge], pending: Iterable[Award] = (), names: Mapping[str, str] | None = None
) -> list[Invoice]:
    """Return the page of every party that has a line or a pending award, by kind and id.

    Parameters
    ----------
    charges : settled awards, in any order
    pending : awards whose use is unseen
    names : what people call a party, by id
    """
    charges = sorted(charges, key=lambda charge: charge.bill.order_id)
    pending = sorted(pending, key=lambda award: award.order_id)
    called = names or {}
    pages = [
        *_pages(PartyKind.ENTERPRISE, charges, pending, _enterprise_lines, _enterprise_waits, called),
        *_pages(PartyKind.CENTRE, charges, pending, _centre_lines, _centre_waits, called),
        *_pages(PartyKind.PROGRAMME, charges, pending, _programme_lines, _programme_waits, called),
    ]
    assert len({page.path for page in pages}) == len(pages), "two parties would share a file"
    return pages


def invoice_files(pages: Sequence[Invoice], *, start: datetime, end: datetime, operator: str) -> dict[str, str]:
    """Return the files below `invoices/`, by path: the pages and `index.csv`.

    Parameters
    ----------
    pages : made by `invoices`
    start, end : billing period, half-open, aware UTC
    operator : name of whoever runs the exchange
    """
    template = environment(yuan=_yuan, civil=_civil).get_template("invoice.html.jinja")
    files = {
        page.path: template.render(page=page, kind=_KINDS[page.kind], operator=operator, start=start, end=end)
        for page in pages
    }
    return files | {"index.csv": _index(pages, start, end)}


def file_stem(party_id: str) -> str:
    """Return a file name for any id: no path in it, and no two alike, on file systems that ignore case too.

    A short id of lower-case letters, digits, Chinese characters, dashes and underscores is its own file name. Any other
    keeps what it can of that and gets a tilde, which no plain name has, and the first 80 bits of its SHA-256.
    """
    if _PLAIN.fullmatch(party_id) and not _DEVICE.fullmatch(party_id):
        return party_id
    readable = re.sub(rf"[^{_CHARS}]+", "-", party_id.lower()).strip("-")[:40]
    return f"{readable}~{hashlib.sha256(party_id.encode('utf-8', 'surrogatepass')).hexdigest()[:20]}"


_CHARS = r"a-z0-9_\u4e00-\u9fff-"
_PLAIN = re.compile(rf"[a-z0-9\u4e00-\u9fff][{_CHARS}]{{0,59}}")
_DEVICE = re.compile(r"con|prn|aux|nul|com\d|lpt\d")
"""Names that Windows keeps for devices."""

_KINDS = {
    PartyKind.ENTERPRISE: (Text("Bill", "账单"), Text("Enterprise", "企业"), Text("To pay", "应付合计")),
    PartyKind.CENTRE: (
        Text("Statement of income", "结算单"),
        Text("Centre", "算力中心"),
        Text("To receive", "应收合计"),
    ),
    PartyKind.PROGRAMME: (
        Text("Statement of vouchers redeemed", "用券核销单"),
        Text("Programme", "政策项目"),
        Text("To pay from the budget", "预算应付合计"),
    ),
}
"""Heading, party and total of each kind of page."""


_Owed = tuple[str, Line]
"""A party and a line on its page."""
_Waiting = tuple[str, int]
"""A party and what is set aside on its side until the use is seen, micro-yuan."""


def _pages(
    kind: PartyKind,
    charges: Sequence[Charge],
    pending: Sequence[Award],
    lines_of: Callable[[Charge], Iterator[_Owed]],
    waiting_of: Callable[[Award], Iterator[_Waiting]],
    names: Mapping[str, str],
) -> Iterator[Invoice]:
    lines: dict[str, list[Line]] = {}
    waiting: dict[str, list[Pending]] = {}
    for charge in charges:
        for party_id, line in lines_of(charge):
            lines.setdefault(party_id, []).append(line)
    for award in pending:
        for party_id, held in waiting_of(award):
            waiting.setdefault(party_id, []).append(Pending(award.order_id, held))
    for party_id in sorted(lines.keys() | waiting.keys()):
        own, open_ = tuple(lines.get(party_id, ())), tuple(waiting.get(party_id, ()))
        yield Invoice(kind, party_id, names.get(party_id, ""), own, open_)


def _enterprise_lines(charge: Charge) -> Iterator[_Owed]:
    bill = charge.bill
    parts = (
        (Text("Compute", "算力服务"), f"{bill.centre_id} · {_service(charge)}", bill.service_ucny),
        (Text("Data transfer", "数据传输"), f"{_micro(charge.data_gb_micro)} GB", bill.transfer_ucny),
        *((Text("Voucher", "券抵扣"), programme_id, -ucny) for programme_id, ucny in bill.vouchers),
        (Text("Rounding, borne by the operator", "舍入差额，由运营方承担"), "", -bill.rounding_ucny),
    )
    for what, detail, amount in parts:
        if amount:
            yield bill.enterprise_id, Line(bill.order_id, what, detail, amount)


def _enterprise_waits(award: Award) -> Iterator[_Waiting]:
    yield award.enterprise_id, reserved_net(award)


def _centre_lines(charge: Charge) -> Iterator[_Owed]:
    bill = charge.bill
    if bill.service_ucny:
        line = Line(bill.order_id, Text("Compute", "算力服务"), _service(charge), bill.service_ucny)
        yield bill.centre_id, line


def _centre_waits(award: Award) -> Iterator[_Waiting]:
    yield award.centre_id, 0


def _programme_lines(charge: Charge) -> Iterator[_Owed]:
    bill = charge.bill
    for programme_id, ucny in bill.vouchers:
        if ucny:
            yield programme_id, Line(bill.order_id, Text("Voucher", "券抵扣"), bill.enterprise_id, ucny)


def _programme_waits(award: Award) -> Iterator[_Waiting]:
    for voucher, held in zip(award.vouchers, reserved_vouchers(award), strict=True):
        yield voucher.programme_id, held


def _service(charge: Charge) -> str:
    return f"{charge.pool_id} · {charge.accelerator} · {_micro(charge.bill.gpu_hours_micro)} GPU·h"


def _index(pages: Sequence[Invoice], start: datetime, end: datetime) -> str:
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("file", "kind", "party_id", "name", "start", "end", "lines", "pending", "total_cny"))
    for page in pages:
        counts = (len(page.lines), len(page.pending))
        period = (instant_text(start), instant_text(end))
        writer.writerow(
            (page.path, page.kind.value, page.party_id, page.name, *period, *counts, _yuan(page.total_ucny))
        )
    return out.getvalue()


def _yuan(ucny: int) -> str:
    """Write whole fen as yuan with two decimals."""
    assert ucny % FEN == 0, f"{ucny} micro-yuan are not whole fen"
    whole, rest = divmod(abs(ucny), MICRO)
    return f"{'-' if ucny < 0 else ''}{whole}.{rest // FEN:02d}"


def _micro(micro: int) -> str:
    """Write millionths as a decimal."""
    whole, rest = divmod(micro, MICRO)
    return f"{whole}.{rest:06d}".rstrip("0").rstrip(".")


def _civil(instant: datetime) -> str:
    return instant.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M")
