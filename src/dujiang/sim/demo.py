"""The demonstration: a made-up week, cleared isolated and coupled, then run, metered, settled and reported."""

import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

from dujiang.core.errors import InputError
from dujiang.core.problem import Problem, shown
from dujiang.core.text import Text
from dujiang.exchange.clearing import clear_to
from dujiang.exchange.run import LOCK, RunOptions, alone, run_round
from dujiang.market.engine import Effort
from dujiang.market.outcome import Coupling
from dujiang.sim.week import demo_week
from dujiang.store.files import is_draft, json_bytes, write_all, writing
from dujiang.store.results import SUMMARY, read_outcome
from dujiang.store.write_book import write_book

ISOLATED = Text("isolated", "各自为政")
COUPLED = Text("coupled", "统一市场")
BOOK, BEFORE, AFTER, REPORT = "book", "isolated", "coupled", "report.html"
"""What a demonstration leaves, beside its summary."""


def run_demo(
    out: Path,
    *,
    orders: int,
    seed: int,
    tell: Callable[[Text, str, float, float | None], None],
    speedup: Fraction | None = None,
) -> dict[str, Any]:
    """Make the week, clear it in both couplings, run the coupled round; return its summary.

    Parameters
    ----------
    out : absent, empty, or an earlier demonstration, also one that was stopped half way, which is then replaced; will
        hold `book/`, `isolated/`, `coupled/`, and on top `summary.json` and `report.html`
    orders, seed : of the week
    tell : told which of the two, phase, share and gap
    speedup : market seconds in one real second; None: the week takes 20 s

    Returns
    -------
    the summary of the coupled round, with that of the isolated one under `isolated`

    Raises
    ------
    InputError : size or seed out of range, or the folder holds something else; nothing was touched
    OperationError : the disk refused, or another demonstration is working there
    """
    week = demo_week(seed=seed, orders=orders)
    _check_target(out)
    with alone(out):
        _clean(out)
        book, isolated, coupled = out / BOOK, out / BEFORE, out / AFTER
        write_book(week, book)
        effort = Effort()
        before = clear_to(book, isolated, Coupling.ISOLATED, effort, lambda p, s, g: tell(ISOLATED, p, s, g))
        after = run_round(
            book,
            coupled,
            RunOptions(effort=effort, speedup=speedup),
            progress=lambda p, s, g: tell(COUPLED, p, s, g),
            other=lambda round_: read_outcome(isolated),
        )
        summary = {**after, "isolated": before}
        write_all(out, {REPORT: (coupled / REPORT).read_bytes(), SUMMARY: json_bytes(summary)})
        return summary


def _check_target(out: Path) -> None:
    """Refuse a folder that holds anything but a demonstration: all of it is going to be removed."""
    own = {BOOK, BEFORE, AFTER, REPORT, SUMMARY, LOCK}
    with writing(out):
        there = sorted(path.name for path in out.iterdir()) if out.is_dir() else []
        a_file = (out.exists() or out.is_symlink()) and not out.is_dir()
    strangers = [name for name in there if name not in own and not is_draft(name)]
    # A folder with a `book` alone may be anybody's; a demonstration takes its lock before it writes.
    if there and not strangers and LOCK not in there:
        strangers = there
    if a_file or strangers:
        expected = Text("a new or empty folder, or an earlier demonstration", "新的或空的文件夹，或此前的演示结果")
        found = "a file" if a_file else shown(strangers[0])
        fix = Text("choose another --out", "请另选 --out")
        raise InputError([Problem("not-a-demo", out.name or str(out), None, None, found, expected, fix)])


def _clean(out: Path) -> None:
    """Remove an earlier demonstration, all but the lock that we hold."""
    with writing(out):
        for path in sorted(out.iterdir()):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name != LOCK:
                path.unlink()
