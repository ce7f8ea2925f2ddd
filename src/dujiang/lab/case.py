"""What a replay runs on: the whole run as one checked book, its jobs to the second, and the terms of its programmes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dujiang.core.problem import Problem
from dujiang.core.text import Text
from dujiang.lab.scenario import Outage, Scenario
from dujiang.market.outcome import Coupling
from dujiang.policy.programme import Programme
from dujiang.policy.terms import VoucherTerms
from dujiang.registry.book import Book

Int = npt.NDArray[np.int64]
Index = npt.NDArray[np.int32]

NO_DEADLINE = 2**40
"""Second of a deadline that never comes."""


class Jobs(NamedTuple):
    """Jobs to the second, in the order of `book.orders` (submission, then id); one entry each."""

    submit_s: Int
    """From the start of the window, >= 0."""
    run_s: Int
    """Run time at speed 1.0, >= 1."""
    deadline_s: Int
    """By when it must have ended; `NO_DEADLINE`: whenever."""
    origin: Index
    """Row of `book.centres` that it was submitted to."""
    firm: Index
    """Row of `book.enterprises`."""


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One scenario, ready to be replayed."""

    scenario: Scenario
    book: Book
    """The whole run: `slots` is the window and as much after it as the last deadline needs; every job is an order, its
    release the first whole hour after submission. Planned capacity (growth, own use) stands in `capacity`, outages do
    not. Orders carry `origin_centre` or `origin_region` such that `coupling` reads the reach of the scenario right."""
    coupling: Coupling
    terms: VoucherTerms
    """Of the whole book, nothing used yet."""
    programmes: Mapping[str, Programme]
    """As the scenario changes them, by id."""
    domestic: Mapping[str, bool]
    jobs: Jobs
    region_of: tuple[str, ...]
    """Region of each row of `book.centres`."""
    outages: tuple[Outage, ...]
    window_h: int
    """Hours in which jobs come; measures look at `[scenario.warm_up_h, window_h)`."""
    assumptions: Mapping[str, object]
    """What is taken for granted: entry -> {value, en, zh}, in the order in which one would ask."""
    sources: Mapping[str, str]
    """SHA-256 of each input file by name: with the scenario they decide the result."""
    measured: Mapping[str, float] = field(default_factory=dict)
    """What a recorded series says itself, to hold a replay against: `allocated_share`, `waiting_while_idle_share`,
    `mean_pending_gpus`, `mean_idle_gpus`; empty for other demand."""
    remarks: tuple[Problem, ...] = ()
    """Rows of the trace that are no jobs, some of each kind; their counts are in `assumptions`."""
    unknown: tuple[Text, ...] = ()
    """What the source of the demand cannot say, whatever is assumed."""
