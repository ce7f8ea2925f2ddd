"""Runs awards at their hours: market time is the wall clock, sped up by a stated factor.

What was started is known to the connector, not to us: after a crash the connector finds its jobs again, and a job is
never started twice. So the loop keeps no state of its own.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

from dujiang.core.money import MICRO
from dujiang.core.slots import instant_text
from dujiang.dispatch.connector import Connector, JobSpec, JobState, JobStatus
from dujiang.exchange.awarded import Awarded

POLL_S = 0.1
"""Between two looks at the jobs; short against a slot even when a week passes in seconds."""
STAND_IN_MARGIN_S = 300.0
"""A stand-in ends by itself; its limit only catches one that hangs on a machine gone slow."""
UNSEEN_POLLS = 20
"""Looks in a row after which a job that nobody can see is left to a later resume."""


def job_spec(award: Awarded, speedup: Fraction) -> JobSpec:
    """Return the job of an award; a market second lasts `1 / speedup` real ones."""
    run_s = float(Fraction(award.run.hours_micro * 3600, MICRO) / speedup)
    limit_s = run_s + STAND_IN_MARGIN_S if award.command is None else float(award.run.slots * 3600 / speedup)
    env = {"DUJIANG_POOL_ID": award.run.pool_id, "DUJIANG_AWARD_START": instant_text(award.begin)}
    return JobSpec(award.run.order_id, award.command, award.run.gpus, run_s, limit_s, env)


class Replay:
    """Starts due awards, sees them end, and hands every end on once."""

    def __init__(
        self,
        connectors: Mapping[str, Connector],
        awards: Sequence[Awarded],
        speedup: Fraction,
        elapsed_s: Callable[[], float],
        parallel: int,
    ) -> None:
        """Prepare a replay.

        Parameters
        ----------
        connectors : by name; an award runs on the one that it names
        awards : in any order
        speedup : market seconds in one real second
        elapsed_s : real seconds since slot 0 began
        parallel : most jobs that run at once
        """
        self._connectors = connectors
        self._waiting = sorted(awards, key=lambda a: (a.run.start, a.run.order_id))
        self._of = {a.run.order_id: a for a in awards}
        self._speedup = speedup
        self._elapsed_s = elapsed_s
        self._parallel = parallel
        self._done: set[str] = set()
        self._unseen: dict[str, int] = {}

    def run(self, ended: Callable[[list[tuple[Awarded, JobStatus]]], None], tell: Callable[[float], None]) -> None:
        """Run until every award has ended, or is unseen for good; `ended` takes each end once, in batches."""
        self._look(ended)
        while not self._finished():
            self._start_due()
            self._look(ended)
            tell(len(self._done) / max(1, len(self._of)))
            if not self._finished():
                time.sleep(POLL_S)

    @property
    def unseen(self) -> list[Awarded]:
        """Awards without an end that anybody saw."""
        return [self._of[key] for key in sorted(self._unseen)]

    def _finished(self) -> bool:
        given_up = sum(count >= UNSEEN_POLLS for count in self._unseen.values())
        return len(self._done) + given_up >= len(self._of)

    def _look(self, ended: Callable[[list[tuple[Awarded, JobStatus]]], None]) -> None:
        fresh, known = [], set()
        for connector in self._connectors.values():
            for status in connector.poll():
                award = self._of.get(status.job_id)
                if award is None:
                    continue
                if status.state is not JobState.SUBMITTED:
                    known.add(status.job_id)
                if status.job_id in self._done:
                    continue
                if status.state is JobState.UNSEEN:
                    self._unseen[status.job_id] = self._unseen.get(status.job_id, 0) + 1
                    continue
                self._unseen.pop(status.job_id, None)
                if status.state.is_terminal:
                    self._done.add(status.job_id)
                    fresh.append((award, status))
        self._running = len(known - self._done - self._unseen.keys())
        self._waiting = [a for a in self._waiting if a.run.order_id not in known]
        if fresh:
            ended(fresh)

    def _start_due(self) -> None:
        now_h = self._elapsed_s() * float(self._speedup) / 3600
        room = self._parallel - self._running
        due: dict[str, list[JobSpec]] = {}
        for award in self._waiting[: max(0, room)]:
            if award.run.start > now_h:
                break
            due.setdefault(award.connector, []).append(job_spec(award, self._speedup))
        for name, specs in due.items():
            self._connectors[name].submit(specs)
