from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from dujiang.settlement.entry import SUM_MAX_UCNY, Entry, EntryKind, Posting, balances, in_reading_order

NOW = datetime(2025, 1, 6, tzinfo=UTC)
GOOD = Entry("o/reserve", EntryKind.RESERVE, NOW, "o", None, "why", (Posting("Assets:A", 5), Posting("Assets:B", -5)))


@pytest.mark.parametrize(
    "change",
    [
        {"postings": (Posting("Assets:A", 5), Posting("Assets:B", -4))},
        {"postings": (Posting("Assets:A", 5), Posting("Assets:A", -5))},
        {"postings": (Posting("Assets:A", 0), Posting("Assets:B", 0))},
        {"postings": ()},
        {"postings": (Posting("Assets:A", SUM_MAX_UCNY), Posting("Assets:B", -SUM_MAX_UCNY))},
        {"entry_id": ""},
        {"instant": NOW.replace(tzinfo=None)},
        {"instant": NOW.astimezone(timezone(timedelta(hours=8)))},
        {"points_to": "something"},
        {"kind": EntryKind.POST},
    ],
)
def test_an_entry_that_is_our_mistake_cannot_be_made(change):
    with pytest.raises(AssertionError):
        replace(GOOD, **change)


def test_an_entry_is_immutable():
    with pytest.raises(FrozenInstanceError):
        GOOD.why = "another"


def test_entries_are_read_by_instant_then_kind_then_id():
    later = replace(GOOD, entry_id="a", instant=NOW + timedelta(microseconds=1))
    opening = replace(GOOD, entry_id="z/open", kind=EntryKind.OPEN, order_id=None)
    second = replace(GOOD, entry_id="p/reserve", order_id="p")
    assert in_reading_order([later, second, GOOD, opening]) == [opening, GOOD, second, later]


def test_balances_are_the_sums_of_the_lines():
    back = Entry("o/void", EntryKind.VOID, NOW, "o", "o/reserve", "", (Posting("Assets:B", 2), Posting("Assets:C", -2)))
    assert balances([GOOD, back]) == {"Assets:A": 5, "Assets:B": -3, "Assets:C": -2}
