"""Capital need as ranges: the compute of a run, products and sums of ranges, and what is only assumed."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dujiang.catalog.tables import accelerators, capital_need
from dujiang.core.money import FEN, MICRO
from dujiang.core.text import Text
from dujiang.finance.estimate import (
    SERVING,
    TRAINING,
    Figure,
    Origin,
    Range,
    between,
    catalogue_figure,
    counted,
    gpu_hours,
    gpu_hours_formula,
    peak_mflops,
    product,
    said,
    total,
)


def one(value: int) -> Range:
    return Range(value, value, value)


def ranges(least: int, most: int) -> st.SearchStrategy[Range]:
    return st.lists(st.integers(least, most), min_size=3, max_size=3).map(lambda ends: Range(*sorted(ends)))


def test_a_run_of_seven_billion_parameters_takes_what_six_n_t_says() -> None:
    peak = peak_mflops(accelerators()["a100-80-sxm"])
    assert peak == 312 * MICRO
    hours = gpu_hours(TRAINING, one(7 * 10**9), one(2 * 10**11), peak, one(400_000))
    assert hours == one(18_696_581_197)  # 6 x 7e9 x 2e11 / (312e12 x 0.4 x 3600) hours = 18 696.58, rounded up
    assert gpu_hours(SERVING, one(7 * 10**9), one(2 * 10**11), peak, one(400_000)).low == 6_232_193_733
    formula = gpu_hours_formula(TRAINING, one(7 * 10**9), Range(1, 2, 3), peak, one(400_000))
    for part in ("6 x 7e+09", "[1, 2, 3] tokens", "312 TFLOPS", "0.4"):
        assert part in formula.en


@given(
    ranges(1, 10**13), ranges(1, 10**15), st.integers(1, 10**10), ranges(1, MICRO), st.sampled_from([TRAINING, SERVING])
)
@settings(max_examples=100, deadline=None)
def test_hours_are_exact_and_a_better_utilisation_takes_fewer(
    n: Range, t: Range, peak: int, share: Range, per_token: int
) -> None:
    hours = gpu_hours(per_token, n, t, peak, share)
    assert hours.low <= hours.expected <= hours.high
    for end, size, tokens, reached in zip(hours, n, t, reversed(share), strict=True):
        exact = Fraction(per_token * size * tokens, 3600) / (Fraction(peak * MICRO) * Fraction(reached, MICRO)) * MICRO
        assert 0 <= end - exact < 1


@given(st.lists(ranges(0, 10**12), min_size=1, max_size=4))
@settings(max_examples=100, deadline=None)
def test_products_and_sums_are_taken_end_by_end(parts: list[Range]) -> None:
    found, added = product(*parts), total(parts)
    for end in range(3):
        exact = Fraction(MICRO)
        for part in parts:
            exact *= Fraction(part[end], MICRO)
        assert abs(found[end] - exact) <= Fraction(1, 2)
        assert added[end] == sum(part[end] for part in parts)
    assert found.low <= found.expected <= found.high


@given(st.integers(0, 10**15), st.integers(0, 10**15))
def test_the_middle_lies_between(a: int, b: int) -> None:
    low, high = sorted((a, b))
    found = between(low, high)
    assert (found.low, found.high) == (low, high)
    assert abs(2 * found.expected - low - high) <= 1


def test_pay_is_a_published_range_whose_middle_is_ours_and_utilisation_an_assumption() -> None:
    pay = catalogue_figure(capital_need()["engineer-pay"])
    assert (pay.value, pay.origin, pay.middle) == (
        Range(40_000 * MICRO, 55_000 * MICRO, 70_000 * MICRO),
        Origin.CATALOGUE,
        True,
    )
    share = catalogue_figure(capital_need()["training-utilisation"])
    assert (share.value, share.origin, share.middle) == (Range(300_000, 400_000, 500_000), Origin.ASSUMPTION, False)


def test_a_peak_that_nobody_published_is_none() -> None:
    cards = accelerators()
    assert cards["ascend-910b"].fp16_bf16_dense_tflops is not None
    assert [peak_mflops(cards.get(key)) for key in ("ascend-910b", "thead-ppu", "no-such-card")] == [None, None, None]
    assert peak_mflops(cards["h100-80-pcie"]) == 756 * MICRO  # other figures of its row are weak, this one is not


def test_a_need_is_rounded_to_the_fen_and_shows_its_figures() -> None:
    figures = {
        "count": Figure(Range(MICRO, 2 * MICRO, 3 * MICRO), Origin.REQUEST, Text("", "")),
        "cny_each": Figure(one(333_333), Origin.REQUEST, Text("", "")),
    }
    need = counted("data", figures, Text("labelling", "标注"))
    assert need.ucny == Range(330_000, 670_000, 1_000_000)
    assert all(end % FEN == 0 for end in need.ucny)
    assert need.formula == Text(
        "labelling: [1, 2, 3] count x 0.333333 cny_each", "标注：[1, 2, 3] count × 0.333333 cny_each"
    )


@pytest.mark.parametrize("text", ["0", "0.5", "12", "1000000.000001"])
def test_numbers_are_written_without_idle_zeros(text: str) -> None:
    assert said(one(int(Decimal(text) * MICRO))) == text
