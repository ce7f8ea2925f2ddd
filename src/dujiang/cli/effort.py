"""Options of commands that clear: which centres an order may use, and how hard to try.

Apart from `options`, since they need the engine, and what needs it takes the better part of a second to load.
"""

import click

from dujiang.cli.options import Decorated, Finite
from dujiang.market.engine import Effort
from dujiang.market.outcome import Coupling


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
