"""Options and arguments that several commands share."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from dujiang.market.engine import Effort
from dujiang.market.outcome import Coupling

Decorated = Callable[..., Any]

FOLDER = click.Path(path_type=Path, readable=False)
"""A path that click does not judge: whether it can be read is a problem like others, with exit code 1 and not 2."""
BOOK = click.argument("book", type=FOLDER)
JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout; progress on stderr.")


class Finite(click.FloatRange):
    """A number in a range; NaN, which is outside of none, and the infinities are refused."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Convert what was written."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


def coupling_option(function: Decorated) -> Decorated:
    """Add `--coupling`."""
    return click.option(
        "--coupling",
        type=click.Choice([c.value for c in Coupling]),
        default=Coupling.FULL.value,
        show_default=True,
        help="full: every centre that links reach; isolated: own region only (without a region: own centre).",
    )(function)


def effort_options(function: Decorated) -> Decorated:
    """Add `--seconds` and `--gap`."""
    function = click.option(
        "--gap",
        type=Finite(0, 1),
        default=0.0,
        help="Stop improving once the certified gap is at most this, e.g. 0.02.",
    )(function)
    return click.option(
        "--seconds",
        type=Finite(min=0),
        default=None,
        help="Stop improving after so many seconds. Cut short by the clock, a result is not reproducible, and says so.",
    )(function)


def effort_of(seconds: float | None, gap: float) -> Effort:
    """Return the effort that the options ask for."""
    return Effort(seconds=seconds, gap=gap)
