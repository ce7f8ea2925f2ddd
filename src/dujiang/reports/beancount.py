"""The ledger as a text that another accounting program reads and re-checks: `ledger.beancount`.

Beancount checks on its own that every transaction sums to zero and that every account is opened before it is used;
the closing `balance` lines let it also check, with no tolerance, that it comes to the same balances as our ledger. No
plug-in is needed.

A transaction's date is the civil date in Asia/Shanghai, the calendar of budgets (design 3.3); the exact instant stands
in its metadata.
"""

import unicodedata
from collections.abc import Iterable, Iterator
from datetime import date, timedelta

from dujiang.core.money import MICRO
from dujiang.core.slots import SHANGHAI
from dujiang.settlement.entry import Entry, balances, in_reading_order

_EMPTY = "; no entries\n"


def beancount_text(entries: Iterable[Entry], title: str = "") -> str:
    """Return the ledger in beancount's language.

    Parameters
    ----------
    entries : all entries of a ledger, in any order
    title : what people call this ledger

    References
    ----------
    Beancount language syntax (version 3): Open, Transactions, Metadata, Balance assertions.
    """
    ordered = in_reading_order(entries)
    parts = [f'option "title" {_string(title)}\noption "operating_currency" "CNY"\n']
    parts.append("\n".join(_opens(ordered)) if ordered else _EMPTY)
    parts.extend(_transaction(entry) for entry in ordered)
    if ordered:
        parts.append("\n".join(_balances(ordered)))
    return "\n".join(part if part.endswith("\n") else f"{part}\n" for part in parts)


def _opens(ordered: list[Entry]) -> Iterator[str]:
    first: dict[str, date] = {}
    for entry in ordered:
        for posting in entry.postings:
            first.setdefault(posting.account, _day(entry))
    for account, day in sorted(first.items()):
        yield f"{day} open {account} CNY"


def _transaction(entry: Entry) -> str:
    lines = [f"{_day(entry)} * {_string(entry.why)}"]
    metadata = {
        "entry_id": entry.entry_id,
        "kind": entry.kind.value,
        "instant": entry.instant.isoformat().replace("+00:00", "Z"),
        "order_id": entry.order_id,
        "points_to": entry.points_to,
    }
    lines += [f"  {key}: {_string(value)}" for key, value in metadata.items() if value is not None]
    lines += [f"  {posting.account}  {_amount(posting.amount_ucny)} CNY" for posting in entry.postings]
    return "\n".join(lines)


def _balances(ordered: list[Entry]) -> Iterator[str]:
    """Assert the closing balances on the day after the last entry: an assertion holds at the start of its day."""
    day = _day(ordered[-1]) + timedelta(days=1)
    for account, ucny in balances(ordered).items():
        yield f"{day} balance {account}  {_amount(ucny)} ~ 0 CNY"


def _day(entry: Entry) -> date:
    return entry.instant.astimezone(SHANGHAI).date()


def _amount(ucny: int) -> str:
    whole, micro = divmod(abs(ucny), MICRO)
    return f"{'-' if ucny < 0 else ''}{whole}.{micro:06d}"


def _string(text: str) -> str:
    """Write a string; a control character could end the line or the file, and is shown by its number."""
    seen = "".join(f"\\u{ord(c):04x}" if unicodedata.category(c) in ("Cc", "Cs") else c for c in text)
    return '"' + seen.replace("\\", "\\\\").replace('"', '\\"') + '"'
