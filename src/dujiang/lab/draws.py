"""Random numbers of a scenario: one stream per component and copy, over the rows of the demand in canonical order.

What is drawn for a job depends on the seed, the component, the job's row in the trace and which copy of it it is, on
nothing else. Two scenarios that differ in rates, caps, budgets, coupling, allocation or capacity have therefore the
same jobs with the same firms and the same limits, row by row: what differs between their results is the policy's doing.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dujiang.sim.assumption import component_rng

Int = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_PREFIX = "lab."


def rng(seed: int, component: str) -> np.random.Generator:
    """Return the generator of one component of a scenario."""
    return component_rng(seed, _PREFIX + component)


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """Draws for J jobs that stem from the rows of a table."""

    seed: int
    rows: int
    """Rows of the table."""
    row: Int
    """(J,), row that each job stems from."""
    copy: Int
    """(J,), 0 for the row itself, 1, 2 … for its copies, -1, -2 … for those that come at low prices only."""

    def uniform(self, component: str) -> Floats:
        """Return (J,) draws from [0, 1)."""
        return self._each(component, lambda source: source.random(self.rows))

    def normal(self, component: str) -> Floats:
        """Return (J,) standard normal draws."""
        return self._each(component, lambda source: source.standard_normal(self.rows))

    def _each(self, component: str, draw: Callable[[np.random.Generator], Floats]) -> Floats:
        drawn = np.empty(self.row.size, dtype=np.float64)
        copies, group = np.unique(self.copy, return_inverse=True)
        order = np.argsort(group, kind="stable")
        ends = np.cumsum(np.bincount(group, minlength=copies.size))
        for copy, begin, end in zip(copies.tolist(), [0, *ends[:-1].tolist()], ends.tolist(), strict=True):
            jobs = order[begin:end]
            drawn[jobs] = draw(rng(self.seed, component if not copy else f"{component}/{copy}"))[self.row[jobs]]
        return drawn
