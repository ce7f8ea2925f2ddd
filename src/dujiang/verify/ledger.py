"""Rules on the ledger of a run: entries balance, awards are reserved, posted and voided, budgets hold (design 6, 9).

Amounts in accounts follow double entry with debits positive; so liabilities and equity hold negative balances.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from dujiang.verify.awarded import Award
from dujiang.verify.bill import Bill
from dujiang.verify.support import Programmes
from dujiang.verify.verdict import Sheet

KINDS = ("open", "reserve", "post", "void", "correct")
"""Kinds of entries, in the order in which entries of one instant are read."""
GUARDED = re.compile(r"(Liabilities|Equity):.*:(Available|Reserved|Left)")
"""Accounts that hold what must not be spent twice: their balance never rises above zero."""


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One row of ledger.parquet: one line of one entry."""

    entry_id: str
    kind: str
    instant: datetime
    order_id: str | None
    points_to: str | None
    line: int
    account: str
    amount_ucny: int


@dataclass(slots=True)
class Entry:
    """An entry with its lines."""

    first: LedgerRow
    lines: list[LedgerRow] = field(default_factory=list)

    def on(self, account: str) -> int:
        """Return what the entry moves on an account, micro-yuan."""
        return sum(row.amount_ucny for row in self.lines if row.account == account)


def check_ledger(
    rows: Sequence[LedgerRow],
    awards: Mapping[str, Award],
    bills: Mapping[str, Bill],
    programmes: Programmes,
    sheet: Sheet,
) -> None:
    """Check the ledger of a run.

    Parameters
    ----------
    rows : ledger.parquet
    awards : by order
    bills : what each award reserves and is due, by order; one that cannot be told is missing
    programmes : of the round
    sheet : takes what is wrong
    """
    entries = _entries(rows)
    check_entries(entries, sheet)
    check_orders(entries, awards, bills, sheet)
    check_budgets(entries, awards, programmes, sheet)


def component(name: str) -> str:
    """Return an id as part of an account name.

    Letters, digits and Chinese characters stay, a dash is doubled, any other character becomes its hexadecimal code
    between dashes; an X goes in front of what does not begin with a digit or a capital letter other than X.
    """
    text = re.sub(r"[^A-Za-z0-9\u4e00-\u9fff]", lambda m: "--" if m[0] == "-" else f"-{ord(m[0]):x}-", name)
    return text if re.match(r"[A-WYZ0-9]", text) else "X" + text


def _entries(rows: Sequence[LedgerRow]) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for row in rows:
        entries.setdefault(row.entry_id, Entry(row)).lines.append(row)
    return entries


def check_entries(entries: Mapping[str, Entry], sheet: Sheet) -> None:
    """Each entry is whole and sums to zero, they stand in order, and each points to one that is there (design 6.1)."""
    before: tuple[datetime, int] | None = None
    for entry_id, entry in entries.items():
        where, first = f"ledger.parquet:{entry_id}", entry.first
        total = sum(row.amount_ucny for row in entry.lines)
        sheet.hold(total == 0, "ledger", where, total, "a sum of zero", "合计为零")
        whole = [row.line for row in entry.lines] == list(range(len(entry.lines)))
        alike = len({(r.kind, r.instant, r.order_id, r.points_to) for r in entry.lines}) == 1
        once = len({row.account for row in entry.lines}) == len(entry.lines) > 1
        fine = whole and alike and once and all(row.amount_ucny for row in entry.lines)
        en, zh = (
            "lines from 0, of one entry, each on its own account, none empty",
            "行号从 0 起，同一分录，各一账户且非零",
        )
        sheet.hold(fine, "ledger", where, "other lines", en, zh)
        if not sheet.hold(first.kind in KINDS, "ledger", where, first.kind, ", ".join(KINDS), "已知的分录类型"):
            continue
        rank = first.instant, KINDS.index(first.kind)
        sheet.hold(
            before is None or before <= rank, "ledger", where, first.instant, "entries in order", "分录按时间排序"
        )
        before = rank
        target = entries.get(first.points_to or "")
        pointing = first.kind in ("post", "void", "correct")
        fine = target is not None and target.first.order_id == first.order_id if pointing else first.points_to is None
        sheet.hold(fine, "ledger", f"{where}:points_to", first.points_to, "its earlier entry", "先前的分录")


def check_orders(
    entries: Mapping[str, Entry],
    awards: Mapping[str, Award],
    bills: Mapping[str, Bill],
    sheet: Sheet,
) -> None:
    """Each award is reserved once, and what is posted and voided is what was reserved (design 6.2, 9.1, 9.3).

    An award whose use is unseen stays reserved; every other one is settled. Nothing moves for an order that was not
    awarded.
    """
    by_order: dict[str, list[Entry]] = defaultdict(list)
    for entry_id, entry in entries.items():
        where, order_id = f"ledger.parquet:{entry_id}", entry.first.order_id
        if order_id is None:
            sheet.hold(entry.first.kind in ("open", "correct"), "ledger", where, None, "an order", "订单")
        elif sheet.hold(order_id in awards, "ledger", where, order_id, "an awarded order", "中标订单"):
            by_order[order_id].append(entry)
    for order_id, award in awards.items():
        if order_id in bills:
            _check_order(by_order[order_id], award, bills[order_id], f"ledger.parquet:{order_id}", sheet)


def _check_order(entries: Sequence[Entry], award: Award, due: Bill, where: str, sheet: Sheet) -> None:
    """What moves for an award is what its bill says; after a correction, only that the reserves come out even."""
    counted = Counter(entry.first.kind for entry in entries)
    once = all(counted[kind] <= 1 for kind in ("reserve", "post", "void"))
    sheet.hold(once, "ledger", where, dict(counted), "each kind of entry once", "各类分录至多一次")
    enterprise = f"Liabilities:Enterprise:{component(award.enterprise_id)}:Reserved"
    held = {_reserved(k): amount for k, amount in due.reserved_vouchers_ucny.items()}
    for account in (enterprise, *held):
        _check_reserved(entries, account, due.settled, f"{where}:{account}", sheet)
    if counted["correct"]:
        return
    paid = {_reserved(k): amount for k, amount in due.vouchers_ucny.items()}
    freed = {k: amount - paid[k] for k, amount in held.items()} if due.settled else {}
    moves = {
        "reserve": {enterprise: -due.reserved_net_ucny, **{k: -amount for k, amount in held.items()}},
        "post": {
            enterprise: due.net_ucny,
            **paid,
            "Expenses:Rounding": due.rounding_ucny,
            f"Liabilities:Centre:{component(award.centre_id)}:Payable": -due.service_ucny,
            "Liabilities:Carrier:Payable": -due.transfer_ucny,
        },
        "void": {enterprise: due.reserved_net_ucny - due.net_ucny if due.settled else 0, **freed},
    }
    for kind, expected in moves.items():
        found = _moved([entry for entry in entries if entry.first.kind == kind])
        for account in sorted({*found, *expected}):
            sheet.same("ledger", f"{where}/{kind}:{account}", found.get(account, 0), expected.get(account, 0))


def _reserved(programme_id: str) -> str:
    return f"Liabilities:Programme:{component(programme_id)}:Reserved"


def _moved(entries: Sequence[Entry]) -> dict[str, int]:
    """Return what entries move on the accounts of an award itself: reserves, payees and the operator's rounding."""
    moved: dict[str, int] = defaultdict(int)
    for entry in entries:
        for row in entry.lines:
            if row.account.endswith((":Reserved", ":Payable")) or row.account.startswith("Expenses:"):
                moved[row.account] += row.amount_ucny
    return moved


def _check_reserved(entries: Sequence[Entry], account: str, settled: bool, where: str, sheet: Sheet) -> None:
    """What is taken from a reserve is never more than was put there, and once settled nothing of it is left."""
    balance = 0
    for entry in entries:
        balance += entry.on(account)
        sheet.hold(
            balance <= 0, "ledger", where, f"{balance} more than reserved", "no more than reserved", "不超过预留"
        )
    if settled:
        sheet.hold(balance == 0, "ledger", where, f"{-balance} left", "post + void = reserve", "入账加撤销等于预留")


def check_budgets(
    entries: Mapping[str, Entry], awards: Mapping[str, Award], programmes: Programmes, sheet: Sheet
) -> None:
    """At no instant are more vouchers reserved and posted than a budget or cap had left (design 6.3, 9.2)."""
    balances: dict[str, int] = defaultdict(int)
    held: dict[tuple[str, str | None], int] = defaultdict(int)
    for entry_id, entry in entries.items():
        where = f"ledger.parquet:{entry_id}"
        for row in entry.lines:
            balances[row.account] += row.amount_ucny
        for account in {row.account for row in entry.lines if GUARDED.fullmatch(row.account)}:
            balance = balances[account]
            sheet.hold(balance <= 0, "ledger_budget", f"{where}:{account}", balance, "at most 0", "不高于 0")
        _check_opening(entry, programmes, where, sheet)
        award = awards.get(entry.first.order_id or "")
        if award is None or _kind(entries, entry) == "post":
            continue
        for voucher in award.vouchers:
            programme_id, enterprise_id = voucher.programme_id, award.enterprise_id
            taken = -entry.on(_reserved(programme_id))
            for key, left in (
                ((programme_id, None), programmes.budget_left(programme_id)),
                ((programme_id, enterprise_id), programmes.cap_left(programme_id, enterprise_id)),
            ):
                held[key] += taken
                if left is not None:
                    total = held[key]
                    sheet.hold(total <= left, "ledger_budget", where, total, f"at most {left}", f"至多 {left}")


def _kind(entries: Mapping[str, Entry], entry: Entry) -> str:
    """Return the kind of an entry; a correction is of the kind of what it corrects."""
    seen: set[str] = set()
    while entry.first.kind == "correct" and entry.first.entry_id not in seen:
        seen.add(entry.first.entry_id)
        entry = entries.get(entry.first.points_to or "", entry)
    return entry.first.kind


def _check_opening(entry: Entry, programmes: Programmes, where: str, sheet: Sheet) -> None:
    """A budget is opened with what was left of it before the round."""
    if entry.first.kind != "open":
        return
    for programme_id in programmes.by_id:
        opened = -entry.on(f"Liabilities:Programme:{component(programme_id)}:Available")
        if opened:
            sheet.same("ledger_budget", where, opened, programmes.budget_left(programme_id))
