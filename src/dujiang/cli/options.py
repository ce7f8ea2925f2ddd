"""Options and arguments that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from dujiang.market.engine import Effort
from dujiang.market.outcome import Coupling

Decorated = Callable[..., Any]

BOOK = click.argument("book", type=click.Path(path_type=Path))
JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout; progress on stderr.")


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
        type=click.FloatRange(0, 1),
        default=0.0,
        help="Stop improving once the certified gap is at most this, e.g. 0.02.",
    )(function)
    return click.option(
        "--seconds",
        type=click.FloatRange(min=0),
        default=None,
        help="Stop improving after so many seconds. Cut short by the clock, a result is not reproducible, and says so.",
    )(function)


def effort_of(seconds: float | None, gap: float) -> Effort:
    """Return the effort that the options ask for."""
    return Effort(seconds=seconds, gap=gap)
