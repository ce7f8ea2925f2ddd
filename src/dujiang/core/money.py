"""Money is a whole number of micro-yuan; decimals at the edges, floats inside a solver only (design 3.1, 3.2)."""

import re
from decimal import ROUND_HALF_EVEN, Decimal

MICRO = 1_000_000
"""Micro-units in one unit: micro-yuan in a yuan, millionths (ppm) in one."""
FEN = 10_000
"""Micro-yuan in a fen (0.01 CNY)."""
MAX_UCNY = 10**15
"""Largest single amount that is read: one billion yuan. Sums of many stay inside int64."""

_DECIMAL = re.compile(r"[+-]?\d{1,12}(\.\d{1,6})?", re.ASCII)


def parse_micro(text: str) -> int | None:
    """Parse a plain decimal with at most six places into millionths, exactly; None if it is not one."""
    text = text.strip()
    if not _DECIMAL.fullmatch(text):
        return None
    return int(Decimal(text).scaleb(6))


def micro_from_float(value: float) -> int:
    """Turn a float of a parquet column into millionths, rounded half to even."""
    return int(Decimal(repr(value)).scaleb(6).to_integral_value(ROUND_HALF_EVEN))


def cny(ucny: int) -> str:
    """Write micro-yuan as decimal yuan, without a trailing zero past the fen."""
    sign = "-" if ucny < 0 else ""
    whole, micro = divmod(abs(ucny), MICRO)
    places = f"{micro:06d}".rstrip("0").ljust(2, "0")
    return f"{sign}{whole}.{places}"


def cny_grouped(ucny: int) -> str:
    """Write micro-yuan as `cny` does, thousands apart: for people."""
    whole, _, places = cny(abs(ucny)).partition(".")
    return f"{'-' if ucny < 0 else ''}{int(whole):,}.{places}"


def div_half_even(numerator: int, denominator: int) -> int:
    """Divide integers, rounded half to even."""
    assert denominator > 0
    quotient, rest = divmod(numerator, denominator)
    twice = 2 * rest
    if twice > denominator or (twice == denominator and quotient & 1):
        quotient += 1
    return quotient


def round_to_fen(ucny: int) -> int:
    """Round micro-yuan to whole fen, half to even; still counted in micro-yuan."""
    return div_half_even(ucny, FEN) * FEN


def floor_to_fen(ucny: int) -> int:
    """Cut micro-yuan down to whole fen; still counted in micro-yuan."""
    return ucny // FEN * FEN


def share_floor(ucny: int, share_ppm: int) -> int:
    """Return a share of an amount, cut down: a "not above" rate is a ceiling (design 5.4)."""
    return ucny * share_ppm // MICRO


def money_from_solver(value_cny: float) -> int:
    """Turn a solver's price in yuan into micro-yuan, rounded down and never below zero.

    The only place where a solver's float becomes money. A price multiplier is not an amount that anybody pays by
    itself: the certificate and all payments are computed again, exactly, from the integer that this returns, so
    nothing is left over.
    """
    return max(0, int(value_cny * MICRO))
