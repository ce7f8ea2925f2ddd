"""What an AI project needs, as ranges: compute from the size of the model, and money from counts and unit costs.

A range is what is known: low, expected, high. Nothing here makes one number of it. What is expected is worked out from
what is expected of each part; the low end takes all low ends at once and the high end all high ends, so the ends of a
sum are wider than is likely. Where a source names two ends only, the middle between them stands for what is expected,
and says so.

Compute of a training run is 6 x parameters x tokens floating-point operations, that of serving 2 x parameters x tokens
(the usual count of a dense transformer: two for each parameter and token forwards, four backwards). A card does its
dense peak x utilisation of them a second.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from dujiang.catalog.tables import Accelerator, CapitalFigure
from dujiang.core.money import MICRO, div_half_even, micro_from_float, round_to_fen
from dujiang.core.text import Text

TRAINING = 6
"""Floating-point operations of training for each parameter and token."""
SERVING = 2
"""The same of serving: forwards only."""
_SECONDS = 3600


class Range(NamedTuple):
    """Low, expected and high end of one figure, whole numbers of one unit; `low <= expected <= high`."""

    low: int
    expected: int
    high: int


class Origin(StrEnum):
    """Where a figure comes from."""

    REQUEST = "request"
    """The request states it."""
    QUOTE = "quote"
    """The market quotes it."""
    CLAUSE = "clause"
    """A clause of a programme sets it."""
    FORMULA = "formula"
    """It follows from others by the formula shown."""
    CATALOGUE = "catalogue"
    """The catalogue has it from a published source."""
    ASSUMPTION = "assumption"
    """Nobody published it."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One range with its origin; millionths of its unit, money in micro-yuan."""

    value: Range
    origin: Origin
    source: Text
    """What it rests on, in words."""
    middle: bool = False
    """What is expected is only the middle between two ends."""


@dataclass(frozen=True, slots=True)
class Need:
    """Money that a project needs for one kind of cost."""

    kind: str
    ucny: Range
    formula: Text
    """How it was worked out, with the figures."""
    figures: tuple[tuple[str, Figure], ...]
    """Name -> the figures in the formula."""


def between(low: int, high: int) -> Range:
    """Return a range whose expected value is the middle of two ends, rounded half to even."""
    return Range(low, div_half_even(low + high, 2), high)


def catalogue_figure(row: CapitalFigure) -> Figure:
    """Return a figure of the catalogue, marked as an assumption unless somebody published it."""
    low, high = micro_from_float(row.low), micro_from_float(row.high)
    value = between(low, high) if row.expected is None else Range(low, micro_from_float(row.expected), high)
    known = all(row.is_verified(name) for name in row.FIGURES)
    origin = Origin.CATALOGUE if known else Origin.ASSUMPTION
    return Figure(value, origin, Text(f"{row.en}; {row.source}", f"{row.zh}；{row.source}"), row.expected is None)


def peak_mflops(accelerator: Accelerator | None) -> int | None:
    """Return the dense peak of a card in millions of operations a second; None: nobody is known to have published it.

    Parameters
    ----------
    accelerator : row of the catalogue; None: the catalogue does not have the card
    """
    peak = None if accelerator is None else accelerator.verified_value("fp16_bf16_dense_tflops")
    return None if not peak else micro_from_float(peak)


def gpu_hours(per_token: int, parameters: Range, tokens: Range, peak: int, utilisation: Range) -> Range:
    """Return the GPU-hours of a run, in millionths, each end rounded up.

    Parameters
    ----------
    per_token : operations for each parameter and token, `TRAINING` or `SERVING`
    parameters, tokens : counts
    peak : millions of operations a second, `peak_mflops`
    utilisation : share of the peak that is reached, ppm, above 0; its high end gives the low end of the hours
    """
    assert peak > 0 < utilisation.low, (peak, utilisation)

    def hours(n: int, t: int, share: int) -> int:
        # Peak in millions and the share in millionths cancel each other out.
        return -(-per_token * n * t * MICRO // (peak * share * _SECONDS))

    return Range(
        hours(parameters.low, tokens.low, utilisation.high),
        hours(parameters.expected, tokens.expected, utilisation.expected),
        hours(parameters.high, tokens.high, utilisation.low),
    )


def gpu_hours_formula(per_token: int, parameters: Range, tokens: Range, peak: int, utilisation: Range) -> Text:
    """Write `gpu_hours` out with its figures."""
    n, t, share = sci(parameters), sci(tokens), said(utilisation)
    tflops = _number(peak)
    return Text(
        f"{per_token} x {n} parameters x {t} tokens / ({tflops} TFLOPS x utilisation {share} x 3600 s)",
        f"{per_token} × {n} 参数 × {t} 词元 ÷（{tflops} TFLOPS × 利用率 {share} × 3600 秒）",
    )


def product(*factors: Range) -> Range:
    """Multiply ranges of non-negative millionths, end by end; rounded half to even once, at the end."""
    ends = []
    for column in zip(*factors, strict=True):
        whole = 1
        for factor in column:
            whole *= factor
        ends.append(div_half_even(whole, MICRO ** (len(factors) - 1)))
    return Range(*ends)


def total(ranges: list[Range]) -> Range:
    """Add ranges end by end: everything low at once, everything high at once."""
    return Range(*(sum(r[end] for r in ranges) for end in range(3)))


def counted(kind: str, figures: dict[str, Figure], words: Text | None = None) -> Need:
    """Return a need that is the product of its figures, rounded to the fen.

    Parameters
    ----------
    kind : kind of cost
    figures : name -> figure; the names stand in the formula
    words : what the reader needs to know before the formula
    """
    amount = Range(*(round_to_fen(end) for end in product(*(figure.value for figure in figures.values()))))
    listed = " x ".join(f"{said(figure.value)} {name}" for name, figure in figures.items())
    formula = Text(listed, listed.replace(" x ", " × "))
    if words is not None:
        formula = Text(f"{words.en}: {formula.en}", f"{words.zh}：{formula.zh}")
    return Need(kind, amount, formula, tuple(figures.items()))


def said(value: Range) -> str:
    """Write a range of millionths: one number if its ends are the same, else [low, expected, high]."""
    if value.low == value.high:
        return _number(value.low)
    return f"[{', '.join(map(_number, value))}]"


def sci(value: Range) -> str:
    """Write a range of large counts: 7e+09."""
    if value.low == value.high:
        return f"{value.low:.4g}"
    return f"[{', '.join(f'{end:.4g}' for end in value)}]"


def _number(micro: int) -> str:
    whole, part = divmod(micro, MICRO)
    return f"{whole}.{part:06d}".rstrip("0").rstrip(".")
