from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dujiang.core.money import (
    FEN,
    MAX_UCNY,
    MICRO,
    cny,
    cny_grouped,
    div_half_even,
    floor_to_fen,
    micro_from_float,
    money_from_solver,
    parse_micro,
    round_to_fen,
    share_floor,
)

AMOUNTS = st.integers(-(10**18) + 1, 10**18 - 1)


@given(AMOUNTS)
def test_thousands_apart_it_is_the_same_amount(ucny: int) -> None:
    text = cny_grouped(ucny)
    assert text.replace(",", "") == cny(ucny)
    assert all(len(part) == 3 for part in text.partition(".")[0].split(",")[1:])


@given(AMOUNTS)
def test_what_is_written_is_read(ucny: int) -> None:
    text = cny(ucny)
    assert parse_micro(text) == ucny
    assert Decimal(text) * MICRO == ucny
    places = text.partition(".")[2]
    assert len(places) == 2 or (2 < len(places) <= 6 and places[-1] != "0")


@pytest.mark.parametrize(
    "ucny, text", [(0, "0.00"), (1, "0.000001"), (-1, "-0.000001"), (1_500_000, "1.50"), (MAX_UCNY, "1000000000.00")]
)
def test_yuan_as_people_write_them(ucny: int, text: str) -> None:
    assert cny(ucny) == text


@pytest.mark.parametrize("text", ["1", " 1 ", "+1", "1.0", "1.000000", "0001"])
def test_one_yuan(text: str) -> None:
    assert parse_micro(text) == MICRO


@pytest.mark.parametrize(
    "text",
    ["", ".", "1.", ".5", "1e3", "1,000", "1_000", "--1", "1.0000001", "1" * 13, "NaN", "inf", "１", "½", "1 0", "0x1"],
)
def test_what_is_no_plain_decimal(text: str) -> None:
    assert parse_micro(text) is None


@given(st.text(max_size=20))
def test_any_text_is_read_exactly_or_not_at_all(text: str) -> None:
    micro = parse_micro(text)
    assert micro is None or Fraction(text.strip()) * MICRO == micro


@given(st.integers(), st.integers(1, 10**12))
def test_division_rounds_half_to_even(numerator: int, denominator: int) -> None:
    assert div_half_even(numerator, denominator) == round(Fraction(numerator, denominator))


@given(AMOUNTS)
def test_fen(ucny: int) -> None:
    yuan = Decimal(ucny) / MICRO
    assert round_to_fen(ucny) == int(yuan.quantize(Decimal("0.01"), ROUND_HALF_EVEN) * MICRO)
    assert floor_to_fen(ucny) == int(yuan.quantize(Decimal("0.01"), ROUND_FLOOR) * MICRO)
    assert round_to_fen(round_to_fen(ucny)) == round_to_fen(ucny)
    assert 0 <= ucny - floor_to_fen(ucny) < FEN


@pytest.mark.parametrize("ucny, fen", [(5_000, 0), (15_000, 2), (25_000, 2), (-5_000, 0), (-15_000, -2), (5_001, 1)])
def test_half_a_fen_goes_to_the_even_one(ucny: int, fen: int) -> None:
    assert round_to_fen(ucny) == fen * FEN


@given(st.integers(0, 10**18), st.integers(0, MICRO))
def test_a_share_is_a_ceiling(ucny: int, share_ppm: int) -> None:
    share = share_floor(ucny, share_ppm)
    exact = Fraction(ucny * share_ppm, MICRO)
    assert share <= exact < share + 1
    assert 0 <= share <= ucny


@given(st.integers(-MAX_UCNY, MAX_UCNY))
def test_a_float_of_an_amount_is_that_amount(ucny: int) -> None:
    assert micro_from_float(ucny / MICRO) == ucny


@given(st.floats(-1e6, 1e12))
def test_a_solvers_price_is_never_above_what_it_said(value: float) -> None:
    ucny = money_from_solver(value)
    assert ucny >= 0
    assert value < 0 or abs(Fraction(value) * MICRO - ucny) <= max(1, Fraction(value) * MICRO / 2**52)
