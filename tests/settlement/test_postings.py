from hypothesis import given, settings
from hypothesis import strategies as st
from settled_cases import IDS, LATER, START, award, reading, rounds

from dujiang.core.money import MICRO
from dujiang.metering.usage import UsageOutcome
from dujiang.settlement import account
from dujiang.settlement.award import Award, Voucher
from dujiang.settlement.bill import bill, reserved_net, reserved_vouchers
from dujiang.settlement.entry import Entry, EntryKind, balances
from dujiang.settlement.postings import correct, open_budget, open_cap, reserve, reversed_postings, settle

PROGRAMMES, ENTERPRISES = ("k1", "k2"), ("e1", "e2")
SUPPORT = Voucher("k1", 4 * MICRO, 400_000, budgeted=True, capped=True)


def _held(one: Award, programme_id: str) -> int:
    pairs = zip(one.vouchers, reserved_vouchers(one), strict=True)
    return sum(held for voucher, held in pairs if voucher.programme_id == programme_id)


def book_of(made) -> list[Entry]:
    """All entries of a round in which budget and caps are exactly used up by the reservations."""
    entries: list[Entry | None] = []
    used = [(one, *pair) for one, _ in made for pair in zip(one.vouchers, reserved_vouchers(one), strict=True)]
    for k in PROGRAMMES:
        budget = sum(held for _, voucher, held in used if voucher.programme_id == k and voucher.budgeted)
        entries.append(open_budget(k, budget, START))
        for e in ENTERPRISES:
            own = [(one, voucher, held) for one, voucher, held in used if one.enterprise_id == e and voucher.capped]
            cap = sum(held for _, voucher, held in own if voucher.programme_id == k)
            entries.append(open_cap(k, e, cap, START))
    entries += [reserve(one, START) for one, _ in made]
    entries += [entry for one, usage in made for entry in settle(one, usage, LATER)]
    return [entry for entry in entries if entry is not None]


@settings(max_examples=100, deadline=None)
@given(rounds())
def test_money_is_conserved_and_everybody_gets_what_the_bills_say(made):
    total = balances(book_of(made))
    bills = [(one, due) for one, usage in made if (due := bill(one, usage)) is not None]
    open_ = [one for one, usage in made if bill(one, usage) is None]
    for centre_id in ("c1", "c2"):
        due = sum(due.service_ucny for _, due in bills if due.centre_id == centre_id)
        assert total.get(account.centre(centre_id), 0) == -due
    for enterprise_id in ENTERPRISES:
        paid = sum(due.net_ucny for _, due in bills if due.enterprise_id == enterprise_id)
        held = sum(reserved_net(one) for one in open_ if one.enterprise_id == enterprise_id)
        assert total.get(account.enterprise(enterprise_id), 0) == paid + held
        assert total.get(account.enterprise_reserved(enterprise_id), 0) == -held
    assert total.get(account.CARRIER, 0) == -sum(due.transfer_ucny for _, due in bills)
    assert total.get(account.ROUNDING, 0) == sum(due.rounding_ucny for _, due in bills)
    for k in PROGRAMMES:
        assert total.get(account.programme_reserved(k), 0) == -sum(_held(one, k) for one in open_)
    assert sum(total.values()) == 0


@settings(max_examples=100, deadline=None)
@given(rounds())
def test_nothing_is_overdrawn_at_any_prefix(made):
    so_far: dict[str, int] = {}
    for entry in book_of(made):
        for posting in entry.postings:
            so_far[posting.account] = so_far.get(posting.account, 0) + posting.amount_ucny
        assert all(ucny <= 0 for name, ucny in so_far.items() if account.is_guarded(name)), entry.entry_id


@settings(max_examples=100, deadline=None)
@given(rounds())
def test_what_a_programme_and_a_cap_gave_is_never_more_than_was_opened(made):
    entries = book_of(made)
    total = balances(entries)
    bills = [due for one, usage in made if (due := bill(one, usage)) is not None]
    for k in PROGRAMMES:
        posted = sum(dict(due.vouchers).get(k, 0) for due in bills)
        held = -total.get(account.programme_reserved(k), 0)
        left = -total.get(account.programme_available(k), 0)
        assert posted + held + left == total.get(account.programme(k), 0)
        for e in ENTERPRISES:
            cap_used = -total.get(account.cap_used(k, e), 0)
            assert total.get(account.cap_left(k, e), 0) == cap_used


def test_an_award_that_ended_early_pays_for_what_ran_and_the_rest_goes_back():
    one = award(10 * MICRO, vouchers=(SUPPORT,), transfer=MICRO)
    post, void = settle(one, reading(one, MICRO // 2, UsageOutcome.CANCELLED), LATER)
    assert (post.kind, post.entry_id, post.points_to) == (EntryKind.POST, "o1/post", "o1/reserve")
    assert (void.kind, void.entry_id, void.points_to) == (EntryKind.VOID, "o1/void", "o1/reserve")
    assert {p.account: p.amount_ucny for p in post.postings} == {
        "Liabilities:Enterprise:Xe1:Reserved": 4 * MICRO,
        "Liabilities:Programme:Xk1:Reserved": 2 * MICRO,
        "Liabilities:Centre:Xc1:Payable": -5 * MICRO,
        "Liabilities:Carrier:Payable": -MICRO,
    }
    assert {p.account: p.amount_ucny for p in void.postings} == {
        "Assets:Enterprise:Xe1": -3 * MICRO,
        "Liabilities:Enterprise:Xe1:Reserved": 3 * MICRO,
        "Liabilities:Programme:Xk1:Available": -2 * MICRO,
        "Liabilities:Programme:Xk1:Reserved": 2 * MICRO,
        "Equity:Cap:Xk1:Xe1:Left": -2 * MICRO,
        "Equity:Cap:Xk1:Xe1:Used": 2 * MICRO,
    }


def test_an_award_that_never_started_is_voided_whole():
    one = award(10 * MICRO, vouchers=(SUPPORT,), transfer=MICRO)
    (void,) = settle(one, reading(one, 0, UsageOutcome.NEVER_STARTED), LATER)
    held = reserve(one, START)
    assert held is not None
    assert void.kind is EntryKind.VOID
    assert balances([held, void]).keys() == {p.account for p in held.postings}
    assert not any(balances([held, void]).values())


def test_an_unseen_award_stays_reserved():
    one = award(10 * MICRO)
    assert settle(one, reading(one, None), LATER) == ()


def test_an_award_that_ran_whole_leaves_nothing_to_void():
    one = award(10 * MICRO, vouchers=(SUPPORT,))
    assert [entry.kind for entry in settle(one, reading(one, MICRO), LATER)] == [EntryKind.POST]


def test_a_programme_without_a_budget_is_funded_with_the_reservation():
    one = award(10 * MICRO, vouchers=(Voucher("k1", 4 * MICRO, 400_000),))
    held = reserve(one, START)
    assert held is not None
    assert balances([held])["Assets:Programme:Xk1"] == 4 * MICRO
    assert "Liabilities:Programme:Xk1:Available" not in balances([held])


def test_nothing_is_written_where_no_money_moves():
    assert reserve(award(0, prices=(0,)), START) is None
    assert open_budget("k", 0, START) is None
    assert open_budget("k", -5, START) is None
    assert open_cap("k", "e", 0, START) is None


@settings(max_examples=200, deadline=None)
@given(st.lists(IDS, min_size=2, max_size=2, unique=True), st.lists(IDS, min_size=2, max_size=2, unique=True))
def test_ids_of_different_things_never_meet(programmes, others):
    entries = [open_budget(k, 1, START) for k in programmes]
    entries += [open_cap(k, e, 1, START) for k in programmes for e in others]
    for order_id in others:
        one = award(10 * MICRO, order_id=order_id)
        entries += [reserve(one, START), *settle(one, reading(one, MICRO // 2), LATER)]
    assert len({entry.entry_id for entry in entries}) == len(entries)


def test_the_same_step_makes_the_same_entry_again():
    one = award(10 * MICRO, vouchers=(SUPPORT,))
    assert reserve(one, START) == reserve(one, START)
    assert settle(one, reading(one, MICRO), LATER) == settle(one, reading(one, MICRO), LATER)


def test_a_correction_points_to_what_was_wrong_and_undoes_it():
    one = award(10 * MICRO)
    (post,) = settle(one, reading(one, MICRO), LATER)
    undone = correct(post, 1, reversed_postings(post), LATER, "meter misread / 误读")
    assert (undone.kind, undone.points_to, undone.entry_id) == (EntryKind.CORRECT, "o1/post", "o1/post/correct-1")
    assert not any(balances([post, undone]).values())
