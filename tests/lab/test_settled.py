"""Accounts in memory refuse what the ledger on disk refuses; awards are metered, billed and entered as in a round."""

import random
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dujiang.core.errors import DujiangError
from dujiang.core.money import MICRO
from dujiang.lab.rounds import replay_rounds
from dujiang.lab.settled import Accounts, kind_of
from dujiang.settlement import account
from dujiang.settlement.award import Award, Voucher
from dujiang.settlement.entry import Entry, EntryKind, Posting
from dujiang.settlement.postings import open_budget, open_cap, reserve
from dujiang.store.ledger import Ledger
from lab_cases import HOUR, Job, lab_case
from lab_vouchers import voucher

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def moved(entry_id, *lines, kind=EntryKind.OPEN, points_to=None):
    return Entry(entry_id, kind, NOW, None, points_to, "test", tuple(Posting(*line) for line in lines))


def award(order_id="o1", gross=10 * MICRO, support=4 * MICRO):
    vouchers = (Voucher("v", support, 500_000, budgeted=True, capped=True),) if support else ()
    return Award(
        order_id=order_id,
        enterprise_id="e1",
        centre_id="c",
        gpus=1,
        hours_micro=MICRO,
        prices_ucny=(gross,),
        asks_ucny=(gross,),
        gross_ucny=gross,
        transfer_ucny=0,
        net_ucny=gross - support,
        limit_ucny=gross,
        vouchers=vouchers,
    )


def test_entry_comes_once():
    accounts = Accounts()
    entry = open_budget("v", MICRO, NOW)
    accounts.write([entry])
    with pytest.raises(AssertionError, match="is there already"):
        accounts.write([entry])


def test_entry_that_points_nowhere_is_refused():
    late = moved("o/void", ("Assets:A", 1), ("Assets:B", -1), kind=EntryKind.VOID, points_to="o/reserve")
    with pytest.raises(AssertionError, match="not there"):
        Accounts().write([late])


def test_budget_and_cap_are_never_overdrawn():
    for left, cap in ((4 * MICRO - 1, 4 * MICRO), (4 * MICRO, 4 * MICRO - 1)):
        accounts = Accounts()
        accounts.write([open_budget("v", left, NOW), open_cap("v", "e1", cap, NOW)])
        with pytest.raises(AssertionError, match="overdraws"):
            accounts.write([reserve(award(), NOW)])
    accounts = Accounts()
    accounts.write([open_budget("v", 4 * MICRO, NOW), open_cap("v", "e1", 4 * MICRO, NOW), reserve(award(), NOW)])
    assert accounts.balance(account.programme_available("v")) == 0
    assert accounts.balance(account.programme_reserved("v")) == -4 * MICRO


def test_kinds_of_accounts_name_nobody():
    odd = "Reserved:x 企业/-~"
    assert {
        kind_of(name)
        for name in (
            account.enterprise(odd),
            account.enterprise_reserved(odd),
            account.programme(odd),
            account.programme_available(odd),
            account.programme_reserved(odd),
            account.centre(odd),
            account.cap_left(odd, odd),
            account.cap_used(odd, odd),
            account.CARRIER,
            account.ROUNDING,
        )
    } == {
        "Assets:Enterprise",
        "Liabilities:Enterprise:Reserved",
        "Assets:Programme",
        "Liabilities:Programme:Available",
        "Liabilities:Programme:Reserved",
        "Liabilities:Centre:Payable",
        "Equity:Cap:Left",
        "Equity:Cap:Used",
        "Liabilities:Carrier:Payable",
        "Expenses:Rounding",
    }


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**9))
def test_takes_and_refuses_what_the_ledger_on_disk_does(tmp_path_factory, seed):
    """Random entries that move between guarded and free accounts: the first refusal is at the same entry in both."""
    rng = random.Random(seed)
    names = ["Assets:A", "Liabilities:P:Available", "Liabilities:P:Reserved", "Equity:C:Left", "Liabilities:D:Payable"]
    accounts, taken = Accounts(), 0
    with Ledger(tmp_path_factory.mktemp("ledger") / "l.sqlite") as ledger:
        for number in range(12):
            one, other = rng.sample(names, 2)
            amount = rng.randint(1, 5)
            entry = replace(moved(f"{number}/reserve", (one, amount), (other, -amount)), order_id=f"o{number % 3}")
            try:
                ledger.write([entry])
            except DujiangError:
                before = accounts.balances()
                with pytest.raises(AssertionError):
                    accounts.write([entry])
                assert accounts.balances() == before, "a refused entry leaves nothing behind"
            else:
                accounts.write([entry])
                taken += 1
        assert taken
        assert {name: amount for name, amount in accounts.balances().items() if amount} == {
            name: amount for name, amount in ledger.balances().items() if amount
        }


def test_what_is_reserved_for_one_order_is_not_taken_by_another():
    accounts = Accounts()
    accounts.write([reserve(award("o1", support=0), NOW), reserve(award("o2", support=0), NOW)])
    reserved = account.enterprise_reserved("e1")
    lines = (Posting(reserved, 11 * MICRO), Posting(account.centre("c"), -11 * MICRO))
    too_much = Entry("o1/post", EntryKind.POST, NOW, "o1", "o1/reserve", "test", lines)
    with pytest.raises(AssertionError, match="overdraws"):
        accounts.write([too_much])
    assert accounts.balance(reserved) == -20 * MICRO


# ---- awards of a replay ------------------------------------------------------------------------------------------


def sums(replay):
    return replay.extra["ledger"]["balances_cny"]


def test_whole_award_is_posted_in_full():
    case = lab_case([Job(0, 2 * HOUR, 4, limit_cny=30)], {"a": 4}, programmes=[voucher(budget_cny=100, cap_cny=50)])
    found = replay_rounds(case)
    # 4 accelerators for 2 hours at 2 yuan: 16, half of it by voucher.
    assert found.jobs.select("gross_ucny", "voucher_ucny", "net_ucny").row(0) == (16 * MICRO, 8 * MICRO, 8 * MICRO)
    assert found.extra["ledger"]["entries"] == {"open": 2, "reserve": 1, "post": 1, "void": 1}
    assert sums(found) == {
        "Assets:Enterprise": 8.0,
        "Assets:Programme": 100.0,
        "Equity:Cap:Left": -42.0,
        "Equity:Cap:Used": 42.0,
        "Liabilities:Centre:Payable": -16.0,
        "Liabilities:Enterprise:Reserved": 0.0,
        "Liabilities:Programme:Available": -92.0,
        "Liabilities:Programme:Reserved": 0.0,
    }


def test_money_of_a_new_year_is_opened_beside_the_old():
    """The cap counts per civil year in Asia/Shanghai; the second purchase falls into the next one."""
    start = datetime(2025, 12, 31, 12, tzinfo=UTC)  # 20:00 in Shanghai
    jobs = [
        Job(0, HOUR, 10, limit_cny=20),
        Job(HOUR + 1, HOUR, 10, limit_cny=20),
        Job(5 * HOUR, HOUR, 10, limit_cny=20),
    ]
    case = lab_case(jobs, {"a": 10}, programmes=[voucher(cap_cny=15, budget_cny=15)])
    orders = case.book.orders
    shifted = orders.with_columns(submitted=orders["submitted"] - (case.book.start - start))
    case = replace(case, book=replace(case.book, start=start, orders=shifted))
    found = replay_rounds(case)
    # 20 yuan each: the first gets 10, the second what is left of 15 is not enough for a whole voucher of 10, so 5.
    assert found.jobs["voucher_ucny"].to_list() == [10 * MICRO, 5 * MICRO, 10 * MICRO]
    assert sums(found)["Assets:Programme"] == 15.0 + 15.0
    assert sums(found)["Liabilities:Programme:Available"] == -5.0
    assert sums(found)["Equity:Cap:Left"] == -5.0
    assert found.extra["ledger"]["entries"]["open"] == 4
