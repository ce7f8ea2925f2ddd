import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from beancount import loader
from beancount.core import data, realization
from hypothesis import given, settings
from hypothesis import strategies as st

from dujiang.reports.beancount import beancount_text
from dujiang.settlement import account
from dujiang.settlement.award import Award, Rounding, Voucher
from dujiang.settlement.entry import Entry, EntryKind, Posting, balances, in_reading_order
from dujiang.settlement.postings import open_budget, open_cap, reserve

START = datetime(2025, 1, 6, 15, 30, tzinfo=UTC)
YUAN = 1_000_000
CHECK = Path(sys.executable).with_name("bean-check")
ACCOUNTS = [
    account.enterprise("甲公司#1"),
    account.enterprise_reserved("a_b"),
    account.programme_available("k:1"),
    account.cap_left("k", "é"),
    account.CARRIER,
    account.ROUNDING,
]


def beancount_balances(text: str) -> dict[str, int]:
    """What beancount comes to on its own, micro-yuan; it must find nothing wrong."""
    entries, errors, options = loader.load_string(text)
    assert errors == []
    assert options["operating_currency"] == ["CNY"]
    root = realization.realize(entries)
    return {
        node.account: int(position.units.number * YUAN)
        for node in realization.iter_children(root)
        for position in node.balance
    }


def ours(entries: list[Entry]) -> dict[str, int]:
    return {name: ucny for name, ucny in balances(entries).items() if ucny}


@st.composite
def ledgers(draw) -> list[Entry]:
    entries = []
    for number in range(draw(st.integers(0, 6))):
        used = draw(st.lists(st.sampled_from(ACCOUNTS), min_size=2, max_size=5, unique=True))
        amounts = [draw(st.integers(-(10**15), 10**15).filter(bool)) for _ in used[1:]]
        if not sum(amounts):
            continue
        postings = tuple(Posting(*line) for line in zip(used, [-sum(amounts), *amounts], strict=True))
        instant = START + timedelta(microseconds=draw(st.integers(0, 10**12)))
        why = draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=12))
        entries.append(Entry(f"{number}/open {why}", EntryKind.OPEN, instant, why or None, None, why, postings))
    return entries


@settings(max_examples=60, deadline=None)
@given(ledgers())
def test_beancount_finds_nothing_wrong_and_comes_to_our_balances(entries):
    assert beancount_balances(beancount_text(entries, "a title")) == ours(entries)


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30))
def test_any_text_comes_back_as_it_was(why):
    postings = (Posting("Assets:A", 1), Posting("Assets:B", -1))
    entry = Entry("x" + why, EntryKind.CORRECT, START, why, "y" + why, why, postings)
    loaded, errors, options = loader.load_string(beancount_text([entry], why))
    assert errors == []
    (found,) = [one for one in loaded if isinstance(one, data.Transaction)]
    assert found.narration == why
    assert options["title"] == why
    assert {key: found.meta[key] for key in ("entry_id", "order_id", "points_to", "kind", "instant")} == {
        "entry_id": "x" + why,
        "order_id": why,
        "points_to": "y" + why,
        "kind": "correct",
        "instant": "2025-01-06T15:30:00Z",
    }


@pytest.mark.parametrize("text", ["line\nbreak", "tab\t", "\x00", "\x7f", "\x1b[31m", "\ud800"])
def test_a_control_character_breaks_nothing(text):
    entry = Entry("i", EntryKind.OPEN, START, None, None, text, (Posting("Assets:A", 1), Posting("Assets:B", -1)))
    assert beancount_balances(beancount_text([entry])) == {"Assets:A": 1, "Assets:B": -1}


def test_the_program_bean_check_agrees(tmp_path):
    voucher = Voucher("k", 4 * YUAN, 400_000, Rounding.FEN, budgeted=True, capped=True)
    prices = (10 * YUAN,)
    awards = [
        Award(f"订单-{n}", "e", "c", 1, YUAN, prices, prices, 10 * YUAN, 0, 6 * YUAN, 6 * YUAN, (voucher,))
        for n in range(3)
    ]
    entries = [
        open_budget("k", 100 * YUAN, START),
        open_cap("k", "e", 50 * YUAN, START),
        *(reserve(award, START) for award in awards),
    ]
    file = tmp_path / "ledger.beancount"
    file.write_text(beancount_text(entries, "测试"), encoding="utf-8")
    done = subprocess.run([CHECK, file], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert beancount_balances(file.read_text(encoding="utf-8")) == ours(entries)


def test_the_closing_balances_notice_a_changed_amount():
    entry = Entry("i", EntryKind.OPEN, START, None, None, "", (Posting("Assets:A", 5), Posting("Assets:B", -5)))
    text = beancount_text([entry]).replace("0.000005 CNY\n  Assets:B  -0.000005", "0.000006 CNY\n  Assets:B  -0.000006")
    errors = loader.load_string(text)[1]
    assert {type(error).__name__ for error in errors} == {"BalanceError"}


def test_the_date_is_the_civil_date_in_shanghai_and_the_order_is_ours():
    postings = (Posting("Assets:A", 1), Posting("Assets:B", -1))
    evening = Entry("b", EntryKind.OPEN, START, None, None, "evening", postings)
    night = Entry("a", EntryKind.OPEN, START + timedelta(hours=1), None, None, "night", postings)
    text = beancount_text([night, evening])
    assert '2025-01-06 * "evening"' in text
    assert '2025-01-07 * "night"' in text
    assert text.index("evening") < text.index("night")
    assert text == beancount_text(in_reading_order([evening, night]))


def test_an_empty_ledger_is_a_valid_file():
    assert beancount_balances(beancount_text([])) == {}
