"""The monthly cash of a plan as an inline SVG: what comes in above the line, what goes out below, cash as a line.

Drawn here and not by a chart library, so that the page needs no script and can be printed and mailed. Both languages
stand in it; the style sheet of the page shows one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from markupsafe import Markup

from dujiang.core.text import Text

WIDTH = 960
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 16, 30, 34
_PLOT = 300
_TICKS = 5


@dataclass(frozen=True, slots=True)
class Band:
    """One colour of bars."""

    name: Text
    tone: str
    """Class in the style sheet."""
    values: Sequence[float]
    """[M], yuan, not negative; what goes out has `out` set."""
    out: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A line over the months."""

    name: Text
    tone: str
    values: Sequence[float]
    """[M], yuan; may be negative."""


class _Unit(NamedTuple):
    """How amounts are written in each language: each counts in units of its own."""

    name: Text
    divisors: tuple[float, float]

    def written(self, value: float, places: str = ".10g") -> Text:
        """Write an amount in yuan, without the unit."""
        return Text(*(f"{value / divisor:,{places}}".replace("-", "−") for divisor in self.divisors))


def cash_chart(months: Sequence[str], bands: Sequence[Band], lines: Sequence[Line], title: Text) -> Markup:
    """Draw a chart.

    Parameters
    ----------
    months : labels, such as `2026-03`
    bands : stacked bars, those that come in upwards, those that go out downwards, in the order given
    lines : drawn over the bars
    title : what the chart shows, for those who cannot see it

    Returns
    -------
    an `<svg>` element; the same values give the same text
    """
    count = max(len(months), 1)
    top = max([1.0, *_sums(bands, out=False, count=count), *(v for line in lines for v in line.values)])
    low = min([0.0, *(-v for v in _sums(bands, out=True, count=count)), *(v for line in lines for v in line.values)])
    step = _nice((top - low) / _TICKS)
    high, low = step * -(-top // step), -step * (-low // step + (1 if -low % step else 0))
    scale = _Scale(count, low, high)
    unit = _unit(max(high, -low))
    height = _TOP + _PLOT + _BOTTOM
    parts = [
        Markup('<svg viewBox="0 0 {} {}" role="img" class="chart">').format(WIDTH, height),
        Markup("<title>{} {}</title>").format(title.zh, title.en),
    ]
    tick = low
    while tick <= high + step / 2:
        y = scale.y(tick)
        kind = "axis" if abs(tick) < step / 2 else "grid"
        parts.append(
            Markup('<line class="{}" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(kind, _LEFT, WIDTH - _RIGHT, y, y)
        )
        parts.append(_words(_LEFT - 8, y + 4, unit.written(tick), "end"))
        tick += step
    parts.append(_words(4, 14, unit.name, "start", "unit"))
    parts += _bars(months, bands, scale, unit)
    for line in lines:
        points = " ".join(f"{scale.middle(m)},{scale.y(v)}" for m, v in enumerate(line.values))
        parts.append(Markup('<polyline class="{}" points="{}"/>').format(line.tone, points))
    every = -(-count // 12)
    for month in range(0, len(months), every):
        parts.append(_words(scale.middle(month), _TOP + _PLOT + 20, Text(months[month], months[month]), "middle"))
    parts.append(Markup("</svg>"))
    return Markup("").join(parts) + _legend(bands, lines)


class _Scale:
    def __init__(self, count: int, low: float, high: float) -> None:
        self.width = (WIDTH - _LEFT - _RIGHT) / count
        self._low, self._high = low, high

    def left(self, month: int) -> float:
        return round(_LEFT + self.width * (month + 0.14), 1)

    def middle(self, month: int) -> float:
        return round(_LEFT + self.width * (month + 0.5), 1)

    def y(self, value: float) -> float:
        return round(_TOP + _PLOT * (self._high - value) / (self._high - self._low), 1)


def _sums(bands: Sequence[Band], *, out: bool, count: int) -> list[float]:
    return [sum(band.values[m] for band in bands if band.out is out) for m in range(count)] if bands else []


def _bars(months: Sequence[str], bands: Sequence[Band], scale: _Scale, unit: _Unit) -> list[Markup]:
    parts = []
    for month, label in enumerate(months):
        stacked = {False: 0.0, True: 0.0}
        for band in bands:
            value = band.values[month]
            if not value:
                continue
            low = stacked[band.out]
            stacked[band.out] = low + value
            one, other = scale.y(-low if band.out else low), scale.y(-low - value if band.out else low + value)
            y, height = min(one, other), abs(one - other)
            figure = unit.written(value, ".2f")
            said = (f"{label} {band.name.zh} {figure.zh} {unit.name.zh}", f"{band.name.en} {figure.en} {unit.name.en}")
            parts.append(
                Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>').format(
                    band.tone,
                    scale.left(month),
                    y,
                    round(scale.width * 0.72, 1),
                    round(height, 1),
                    "\n".join(said),
                )
            )
    return parts


def _legend(bands: Sequence[Band], lines: Sequence[Line]) -> Markup:
    keys = [(band.name, band.tone) for band in bands if any(band.values)] + [(line.name, line.tone) for line in lines]
    shown = Markup("").join(
        Markup('<span class="key"><i class="{}"></i><span lang="en">{}</span><span lang="zh">{}</span></span>').format(
            tone, name.en, name.zh
        )
        for name, tone in keys
    )
    return Markup('<p class="legend">{}</p>').format(shown)


def _words(x: float, y: float, text: Text, anchor: str, tone: str = "tick") -> Markup:
    if text.en == text.zh:
        return Markup('<text class="{}" x="{}" y="{}" text-anchor="{}">{}</text>').format(tone, x, y, anchor, text.en)
    return Markup("").join(
        Markup('<text class="{}" x="{}" y="{}" text-anchor="{}" lang="{}">{}</text>').format(
            tone, x, y, anchor, lang, said
        )
        for lang, said in (("en", text.en), ("zh", text.zh))
    )


def _nice(rough: float) -> float:
    """Return a step of 1, 2 or 5 times a power of ten, not below a rough one."""
    power = 10.0 ** (len(str(int(rough))) - 1)
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)


def _unit(size: float) -> _Unit:
    """Return units in which the largest amount is short."""
    en, million = ("CNY million", 1e6) if size >= 2e6 else ("CNY thousand", 1e3)
    zh, wan = ("亿元", 1e8) if size >= 2e9 else ("万元", 1e4)
    return _Unit(Text(en, zh), (million, wan))
