"""Market time: whole hours counted from the start of a round, half-open, in UTC (design 3.3)."""

from datetime import MAXYEAR, MINYEAR, UTC, datetime, timedelta
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")
"""Calendar of budgets and caps, unless a programme says otherwise."""


def parse_instant(text: str) -> datetime | None:
    """Parse an RFC 3339 instant with an offset into UTC; None if it is not one.

    The first and the last year of the calendar are refused: with an offset they may lie outside it.
    """
    try:
        instant = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    if instant.tzinfo is None or not MINYEAR < instant.year < MAXYEAR:
        return None
    return instant.astimezone(UTC)


def instant_text(instant: datetime) -> str:
    """Write an instant as RFC 3339 in UTC, with seconds."""
    return instant.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def slot_instant(start: datetime, slot: int) -> datetime:
    """Return the instant at which a slot begins."""
    return start + timedelta(hours=slot)


def ceil_div(numerator: int, denominator: int) -> int:
    """Divide integers, rounded up."""
    return -(-numerator // denominator)
