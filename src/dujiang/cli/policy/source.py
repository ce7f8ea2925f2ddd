"""Where programmes come from, and on which day: options and look-ups that the commands of `policy` share."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import click

from dujiang.cli.options import FOLDER
from dujiang.cli.output import Output
from dujiang.core.errors import InputError
from dujiang.core.problem import Problem, ProblemList, did_you_mean, shown
from dujiang.core.slots import SHANGHAI
from dujiang.core.text import Text
from dujiang.policy.catalogue import Catalogue, Entry, catalogue
from dujiang.store.read_programmes import read_programmes

PROGRAMMES = click.option(
    "--programmes",
    "folders",
    type=FOLDER,
    multiple=True,
    metavar="DIR",
    help="Folder of programmes of your own, laid over the catalogue; may be given several times, the last one wins.",
)


def _day(ctx: click.Context, param: click.Parameter, value: datetime | None) -> date | None:
    return None if value is None else value.date()


def on_option(text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the option `--on`."""
    return click.option("--on", "day", type=click.DateTime(["%Y-%m-%d"]), callback=_day, help=text)


def today() -> date:
    """Return the civil day in Asia/Shanghai."""
    return datetime.now(UTC).astimezone(SHANGHAI).date()


def all_programmes(output: Output, folders: Sequence[Path]) -> Catalogue:
    """Read the catalogue with folders laid over it.

    Raises
    ------
    InputError : a file of the folders has a problem; what is wrong with an installed package alone is only noted
    """
    problems = ProblemList()
    read = [read_programmes(folder, problems) for folder in folders]
    merged, found = catalogue(read)
    problems.extend(found)
    if problems and folders:
        raise InputError(problems)
    for problem in problems:
        output.note(problem.say(output.lang))
    return merged


def entry_of(merged: Catalogue, key: str, day: date | None) -> Entry:
    """Return one version of a programme.

    Raises
    ------
    InputError : no programme has the id
    """
    entries = merged.on(day)
    if key not in entries:
        expected = Text("the id of a programme, see `dujiang policy list`", "政策编号，见 dujiang policy list")
        near = did_you_mean(key, entries)
        raise InputError([Problem("no-such-programme", "policy", None, None, shown(key), expected, near)])
    return entries[key]
