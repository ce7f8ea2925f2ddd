"""The double-entry record: immutable, sums to zero, named by its caller (design 6.1, 6.2)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

SUM_MAX_UCNY = 2**62
"""No balance may come near the end of int64, in which the store and the parquet files keep amounts."""


class EntryKind(StrEnum):
    """What an entry does, in the order in which entries of one instant are read."""

    OPEN = "open"
    """A budget or a cap is made known."""
    RESERVE = "reserve"
    """Money and voucher are set aside for an award."""
    POST = "post"
    """Metered use is charged to what was reserved."""
    VOID = "void"
    """What was reserved and not used goes back."""
    CORRECT = "correct"
    """An earlier entry was wrong; points to it."""

    @property
    def rank(self) -> int:
        """Place in the reading order of one instant."""
        return _RANK[self]


_RANK = {kind: rank for rank, kind in enumerate(EntryKind)}


@dataclass(frozen=True, slots=True)
class Posting:
    """One line of an entry."""

    account: str
    """Made by `dujiang.settlement.account`."""
    amount_ucny: int
    """Micro-yuan, debit positive; never zero."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the ledger.

    An entry that does not sum to zero, has an empty line or names an account twice cannot be made: it would be our own
    mistake, and is stopped before it is written.
    """

    entry_id: str
    """Chosen by the caller and the same on every try, so that a step can be repeated: `<order_id>/reserve`."""
    kind: EntryKind
    instant: datetime
    """When it took place, aware UTC, to the microsecond."""
    order_id: str | None
    """Order whose money moves; None for openings."""
    points_to: str | None
    """Entry that this one goes back to: post and void to their reserve, a correction to what it corrects."""
    why: str
    """The reason, for people."""
    postings: tuple[Posting, ...]
    """Two or more, in the order in which they are written."""

    def __post_init__(self) -> None:
        assert self.entry_id, "an entry needs an id"
        assert self.instant.tzinfo is UTC, f"{self.entry_id}: instants are aware UTC"
        assert len(self.postings) >= 2, f"{self.entry_id}: an entry has two sides"
        assert all(p.amount_ucny for p in self.postings), f"{self.entry_id}: an empty line"
        assert all(abs(p.amount_ucny) < SUM_MAX_UCNY for p in self.postings), f"{self.entry_id}: an amount beyond int64"
        assert len({p.account for p in self.postings}) == len(self.postings), f"{self.entry_id}: an account twice"
        total = sum(p.amount_ucny for p in self.postings)
        assert total == 0, f"{self.entry_id}: sums to {total} micro-yuan, not to zero"
        needs_target = self.kind in (EntryKind.POST, EntryKind.VOID, EntryKind.CORRECT)
        assert (self.points_to is not None) == needs_target, f"{self.entry_id}: {self.kind} and points_to do not agree"

    @property
    def reading_key(self) -> tuple[datetime, int, str]:
        """Canonical order: instant, kind, id. The kind keeps an opening before what it pays for."""
        return self.instant, self.kind.rank, self.entry_id


def in_reading_order(entries: Iterable[Entry]) -> list[Entry]:
    """Return entries in canonical order."""
    return sorted(entries, key=lambda entry: entry.reading_key)


def balances(entries: Iterable[Entry]) -> dict[str, int]:
    """Return the balance of every account, micro-yuan, by account name: the sums of the entries (design 6.1)."""
    total: dict[str, int] = {}
    for posting in _postings(entries):
        total[posting.account] = total.get(posting.account, 0) + posting.amount_ucny
    return dict(sorted(total.items()))


def _postings(entries: Iterable[Entry]) -> Iterator[Posting]:
    for entry in entries:
        yield from entry.postings
