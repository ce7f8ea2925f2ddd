"""What a replayed award used and cost: metered, billed and entered in accounts that are checked at every line.

The entries are those that a real round writes (`settlement.postings`). They are kept as balances in memory: a replay
that is stopped is made again from its inputs, so nothing has to survive it, and the ledger on disk, which is made for
power cuts and many writers, would take longer than all clearings together. What that ledger refuses is refused here.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from dujiang.core.money import cny
from dujiang.dispatch.connector import JobStatus
from dujiang.exchange.awarded import Awarded, budgets, caps_in_use
from dujiang.exchange.clearing import Round
from dujiang.metering.usage import Usage, metered
from dujiang.settlement import account
from dujiang.settlement.bill import Bill, bill
from dujiang.settlement.entry import Entry, EntryKind
from dujiang.settlement.postings import open_budget, open_cap, reserve, settle

_US_PER_MICRO_HOUR = 3600
_RESERVED = ":Reserved"


class Accounts:
    """Balances of all accounts, with the rules of the ledger on disk (design 6.1 to 6.3).

    An entry comes once, what it points to is there, no guarded account (`settlement.account.is_guarded`) is overdrawn,
    and of what was reserved for an order no more is taken than was put there. That an entry sums to zero is a rule of
    the record itself. A breach is a mistake of ours: AssertionError, and the entry leaves nothing behind.
    """

    def __init__(self) -> None:
        self._balances: dict[tuple[str, str | None], int] = {}
        """By account, and of what is reserved by account and order too."""
        self._guarded: dict[str, bool] = {}
        self._known: set[str] = set()
        self._kinds: Counter[EntryKind] = Counter()

    def write(self, entries: Iterable[Entry | None]) -> None:
        """Enter some entries in their order; None, a step that moves no money, is passed over."""
        for entry in entries:
            if entry is not None:
                self._enter(entry)

    def balance(self, name: str) -> int:
        """Return the balance of an account, micro-yuan; 0 if nothing was ever entered."""
        return self._balances.get((name, None), 0)

    def balances(self) -> dict[str, int]:
        """Return all balances by account, micro-yuan."""
        return dict(sorted((name, amount) for (name, order), amount in self._balances.items() if order is None))

    def document(self) -> dict[str, object]:
        """Return the number of entries by kind and the sums by kind of account, yuan; together they are zero."""
        sums: Counter[str] = Counter()
        for name, amount in self.balances().items():
            sums[kind_of(name)] += amount
        return {
            "entries": {kind.value: self._kinds[kind] for kind in EntryKind if self._kinds[kind]},
            "balances_cny": {kind: float(cny(amount)) for kind, amount in sorted(sums.items())},
            "sum_cny": float(cny(sum(sums.values()))),
        }

    def _enter(self, entry: Entry) -> None:
        assert entry.entry_id not in self._known, f"{entry.entry_id} is there already"
        target = entry.points_to
        assert target is None or target in self._known, f"{entry.entry_id} points to {target}, which is not there"
        after = {}
        for posting in entry.postings:
            name, amount = posting.account, posting.amount_ucny
            for key in [(name, None), (name, entry.order_id)] if name.endswith(_RESERVED) else [(name, None)]:
                after[key] = self._balances.get(key, 0) + amount
                assert after[key] <= 0 or amount <= 0 or not self._is_guarded(name), (
                    f"{entry.entry_id} overdraws {name}"
                )
        self._balances |= after
        self._known.add(entry.entry_id)
        self._kinds[entry.kind] += 1

    def _is_guarded(self, name: str) -> bool:
        if name not in self._guarded:
            self._guarded[name] = account.is_guarded(name)
        return self._guarded[name]


def kind_of(name: str) -> str:
    """Return the kind of an account: its name without the ids of whom it belongs to."""
    parts = name.split(":")
    if len(parts) < 3 or parts[:2] == ["Liabilities", "Carrier"]:
        return name
    return ":".join((*parts[:2], *parts[-1:])) if parts[0] in ("Liabilities", "Equity") else ":".join(parts[:2])


@dataclass(frozen=True, slots=True)
class Settled:
    """One award after its end."""

    award: Awarded
    usage: Usage
    bill: Bill

    @property
    def end(self) -> datetime:
        """When its use ended, aware UTC, to the microsecond; the begin of its block if nothing ran."""
        return _end(self.award, self.usage)

    @property
    def whole(self) -> bool:
        """Whether it ran as long as it was meant to."""
        return self.usage.run_hours_micro == self.award.award.hours_micro

    @property
    def unused_ucny(self) -> tuple[tuple[str, int], ...]:
        """Vouchers that were promised and will not be paid, by programme, micro-yuan: none of an award that ran whole.

        What the cut to whole fen or yuan leaves of a voucher does not come back: a budget is then drawn by more than
        what is paid, never by less.
        """
        if self.whole:
            return ()
        paid = dict(self.bill.vouchers)
        rest = ((v.programme_id, v.amount_ucny - paid[v.programme_id]) for v in self.award.award.vouchers)
        return tuple((programme, amount) for programme, amount in rest if amount)


class Desk:
    """Opens, reserves and settles for the rounds of one replay."""

    def __init__(self) -> None:
        self.accounts = Accounts()
        self._opened: Counter[str] = Counter()

    def reserve(self, round_: Round, awards: list[Awarded]) -> None:
        """Make known what the round may spend and set aside what it awarded."""
        start = round_.book.start
        for programme, left in budgets(round_).items():
            held = -self.accounts.balance(account.programme_available(programme))
            self._open(open_budget(programme, left - held, start))
        for (programme, enterprise), left in caps_in_use(round_, awards).items():
            held = -self.accounts.balance(account.cap_left(programme, enterprise))
            self._open(open_cap(programme, enterprise, left - held, start))
        self.accounts.write(reserve(award.award, start) for award in awards)

    def settle(self, award: Awarded, status: JobStatus) -> Settled:
        """Meter an award whose job has ended, post what it used and void the rest."""
        usage = metered(award.run, status, market_s_per_real_s=1, power=award.power)
        due = bill(award.award, usage)
        assert due is not None, f"{award.run.order_id}: a virtual job is always seen"
        self.accounts.write(settle(award.award, usage, _end(award, usage)))
        return Settled(award, usage, due)

    def _open(self, entry: Entry | None) -> None:
        """Open an account, or add to it when a new period brings new money: then under an id of its own."""
        if entry is None:
            return
        self._opened[entry.entry_id] += 1
        number = self._opened[entry.entry_id]
        self.accounts.write([entry if number == 1 else replace(entry, entry_id=f"{entry.entry_id}/{number}")])


def _end(award: Awarded, usage: Usage) -> datetime:
    return award.begin + timedelta(microseconds=(usage.run_hours_micro or 0) * _US_PER_MICRO_HOUR)
