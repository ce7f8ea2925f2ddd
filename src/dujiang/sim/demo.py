"""The demonstration: a made-up week, cleared isolated and coupled, then run, metered, settled and reported."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dujiang.core.text import Text
from dujiang.exchange.clearing import clear_to
from dujiang.exchange.run import RunOptions, run_round
from dujiang.market.engine import Effort
from dujiang.market.outcome import Coupling
from dujiang.sim.week import demo_week
from dujiang.store.files import json_bytes, write_all, writing
from dujiang.store.results import SUMMARY, check_target, read_outcome
from dujiang.store.write_book import write_book

ISOLATED = Text("isolated", "各自为政")
COUPLED = Text("coupled", "统一市场")


def run_demo(
    out: Path, *, orders: int, seed: int, tell: Callable[[Text, str, float, float | None], None]
) -> dict[str, Any]:
    """Make the week, clear it in both couplings, run the coupled round; return its summary.

    Parameters
    ----------
    out : folder, replaced if it is an earlier demonstration; holds `book/`, `isolated/`, `coupled/`, and on top
        `summary.json` and `report.html`
    orders, seed : of the week
    tell : told which of the two, phase, share and gap

    Returns
    -------
    the summary of the coupled round, with that of the isolated one under `isolated`
    """
    week = demo_week(seed=seed, orders=orders)
    check_target(out)
    with writing(out):
        shutil.rmtree(out, ignore_errors=True)
    book, isolated, coupled = out / "book", out / "isolated", out / "coupled"
    write_book(week, book)
    effort = Effort()
    before = clear_to(book, isolated, Coupling.ISOLATED, effort, lambda p, s, g: tell(ISOLATED, p, s, g))
    after = run_round(
        book,
        coupled,
        RunOptions(effort=effort),
        progress=lambda p, s, g: tell(COUPLED, p, s, g),
        other=lambda round_: read_outcome(isolated),
    )
    summary = {**after, "isolated": before}
    report = (coupled / "report.html").read_bytes()
    write_all(out, {"report.html": report, SUMMARY: json_bytes(summary)})
    return summary
