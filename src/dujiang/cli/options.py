"""Options and arguments that several commands share."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

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
