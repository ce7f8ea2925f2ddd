from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dujiang.core.slots import SHANGHAI, ceil_div, instant_text, parse_instant, slot_instant

ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
INSTANTS = st.datetimes(datetime(3, 1, 1), datetime(9997, 1, 1), timezones=ZONES)  # noqa: DTZ001


@given(INSTANTS)
def test_an_instant_is_read_in_any_zone(instant: datetime) -> None:
    read = parse_instant(instant.isoformat())
    assert read == instant
    assert read is not None
    assert read.tzinfo is UTC


@given(INSTANTS.map(lambda instant: instant.replace(microsecond=0)))
def test_what_is_written_is_read(instant: datetime) -> None:
    text = instant_text(instant)
    assert text.endswith("Z")
    assert parse_instant(text) == instant


@given(st.text(max_size=30))
def test_any_text_is_an_instant_or_none(text: str) -> None:
    read = parse_instant(text)
    assert read is None or read.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        *("", "now", "2025-11-03", "2025-11-03T00:00:00", "2025-02-30T00:00:00Z", "2025-11-03T24:00:00Z"),
        *("0001-01-01T00:00:00+08:00", "9999-12-31T23:00:00-08:00", "2025-11-03T00:00:00+24:00"),
    ],
)
def test_what_is_no_instant(text: str) -> None:
    assert parse_instant(text) is None


@given(st.integers(0, 8784))
def test_slots_are_hours_in_utc(slot: int) -> None:
    start = datetime(2025, 3, 1, tzinfo=SHANGHAI)
    assert slot_instant(start.astimezone(UTC), slot) - start == timedelta(hours=slot)


@given(st.integers(-(10**18), 10**18), st.integers(1, 10**9))
def test_ceil_div(numerator: int, denominator: int) -> None:
    assert ceil_div(numerator, denominator) == ceil(Fraction(numerator, denominator))
