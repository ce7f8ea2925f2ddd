"""The entries of an award's life: reserve, post, void; and the openings before them (design 6.2, two-phase transfers).

Every entry has an id that follows from what it is for, so that a step that is repeated after a crash makes the same
entry again and the ledger knows it. An id ends in what was done, after its last slash; before it stands for whom.
"""

from collections.abc import Iterable
from datetime import datetime

from dujiang.metering.usage import Usage, UsageOutcome
from dujiang.settlement import account
from dujiang.settlement.award import Award, Voucher
from dujiang.settlement.bill import Bill, bill, reserved_net, reserved_vouchers
from dujiang.settlement.entry import Entry, EntryKind, Posting


def open_budget(programme_id: str, left_ucny: int, instant: datetime) -> Entry | None:
    """Return the entry that makes a programme's budget known; None if nothing is left of it.

    Parameters
    ----------
    programme_id : programme with a stated budget
    left_ucny : budget less what was claimed before, micro-yuan
    instant : when, aware UTC
    """
    left = max(0, left_ucny)
    postings = _lines((account.programme(programme_id), left), (account.programme_available(programme_id), -left))
    return _entry(f"{programme_id}/open", EntryKind.OPEN, instant, None, None, "budget left / 可用预算", postings)


def open_cap(programme_id: str, enterprise_id: str, left_ucny: int, instant: datetime) -> Entry | None:
    """Return the entry that makes an enterprise's cap in a programme known; None if nothing is left of it.

    A memorandum: both sides are accounts of the cap, no money moves. Its id is made of escaped names, because pairs of
    plain ids could meet.
    """
    left, used = account.cap_left(programme_id, enterprise_id), account.cap_used(programme_id, enterprise_id)
    postings = _lines((used, max(0, left_ucny)), (left, -max(0, left_ucny)))
    entry_id = f"{account.component(programme_id)}:{account.component(enterprise_id)}/cap"
    return _entry(entry_id, EntryKind.OPEN, instant, None, None, "cap left / 剩余额度", postings)


def reserve(award: Award, instant: datetime) -> Entry | None:
    """Return the entry that sets aside the enterprise's money and the vouchers; None if the award is free.

    A programme without a stated budget has nothing to take from: its money comes in with the reservation.
    """
    net = reserved_net(award)
    postings = _lines(
        (account.enterprise(award.enterprise_id), net),
        (account.enterprise_reserved(award.enterprise_id), -net),
        *_voucher_lines(award, reserved_vouchers(award)),
    )
    return _entry(_reserve_id(award), EntryKind.RESERVE, instant, award.order_id, None, "awarded / 中标预留", postings)


def settle(award: Award, usage: Usage, instant: datetime) -> tuple[Entry, ...]:
    """Return the entries for an award whose use is known: what ran is posted, the rest is voided.

    Parameters
    ----------
    award : the award, reserved before
    usage : its metered use
    instant : when the use was settled, aware UTC

    Returns
    -------
    none while the use is unseen; else post (if anything is due) and void (if anything is left), together moving all
    that was reserved, to the micro-yuan
    """
    due = bill(award, usage)
    if due is None:
        return ()
    reason = (
        "never started / 未启动"
        if usage.outcome is UsageOutcome.NEVER_STARTED
        else "rest after metered use / 计量后余额"
    )
    entries = (_post(award, due, instant), _void(award, due, instant, reason))
    return tuple(entry for entry in entries if entry is not None)


def correct(wrong: Entry, number: int, postings: Iterable[Posting], instant: datetime, why: str) -> Entry:
    """Return the entry that corrects an earlier one; the earlier one stays as it is (design 6.1).

    Parameters
    ----------
    wrong : the entry to correct
    number : 1 for the first correction of that entry, 2 for the next; part of the id
    postings : what has to be added so that both together are right; `reversed_postings` undoes the whole entry
    instant : when the correction was made, aware UTC
    why : the reason, for people
    """
    entry_id = f"{wrong.entry_id}/correct-{number}"
    return Entry(entry_id, EntryKind.CORRECT, instant, wrong.order_id, wrong.entry_id, why, tuple(postings))


def reversed_postings(entry: Entry) -> tuple[Posting, ...]:
    """Return the postings that undo an entry."""
    return tuple(Posting(p.account, -p.amount_ucny) for p in entry.postings)


def _reserve_id(award: Award) -> str:
    return f"{award.order_id}/reserve"


def _post(award: Award, due: Bill, instant: datetime) -> Entry | None:
    postings = _lines(
        (account.enterprise_reserved(award.enterprise_id), due.net_ucny),
        *((account.programme_reserved(programme_id), ucny) for programme_id, ucny in due.vouchers),
        (account.ROUNDING, due.rounding_ucny),
        (account.centre(award.centre_id), -due.service_ucny),
        (account.CARRIER, -due.transfer_ucny),
    )
    entry_id = f"{award.order_id}/post"
    return _entry(
        entry_id, EntryKind.POST, instant, award.order_id, _reserve_id(award), "metered use / 计量结算", postings
    )


def _void(award: Award, due: Bill, instant: datetime, reason: str) -> Entry | None:
    net = reserved_net(award) - due.net_ucny
    unused = [paid - held for (_, paid), held in zip(due.vouchers, reserved_vouchers(award), strict=True)]
    postings = _lines(
        (account.enterprise(award.enterprise_id), -net),
        (account.enterprise_reserved(award.enterprise_id), net),
        *_voucher_lines(award, unused),
    )
    entry_id = f"{award.order_id}/void"
    return _entry(entry_id, EntryKind.VOID, instant, award.order_id, _reserve_id(award), reason, postings)


def _voucher_lines(award: Award, amounts_ucny: Iterable[int]) -> tuple[tuple[str, int], ...]:
    """Move vouchers into their programmes' reserved accounts, or out of them again where an amount is negative."""
    return tuple(
        line
        for voucher, ucny in zip(award.vouchers, amounts_ucny, strict=True)
        for line in _one_voucher(voucher, award.enterprise_id, ucny)
    )


def _one_voucher(voucher: Voucher, enterprise_id: str, ucny: int) -> tuple[tuple[str, int], ...]:
    programme_id = voucher.programme_id
    source = account.programme_available(programme_id) if voucher.budgeted else account.programme(programme_id)
    lines = ((source, ucny), (account.programme_reserved(programme_id), -ucny))
    if not voucher.capped:
        return lines
    left, used = account.cap_left(programme_id, enterprise_id), account.cap_used(programme_id, enterprise_id)
    return (*lines, (left, ucny), (used, -ucny))


def _lines(*lines: tuple[str, int]) -> tuple[Posting, ...]:
    return tuple(Posting(name, ucny) for name, ucny in lines if ucny)


def _entry(
    entry_id: str,
    kind: EntryKind,
    instant: datetime,
    order_id: str | None,
    points_to: str | None,
    why: str,
    postings: tuple[Posting, ...],
) -> Entry | None:
    """Return the entry, or None where no money moves: an entry without lines would say nothing."""
    return Entry(entry_id, kind, instant, order_id, points_to, why, postings) if postings else None
