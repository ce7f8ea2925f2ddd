"""Awards that run or wait for their hour: started, ended and stopped on a virtual clock, and settled as they end."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

import numpy as np

from dujiang.dispatch.connector import JobState, JobStatus
from dujiang.exchange.awarded import Awarded
from dujiang.exchange.clearing import Round
from dujiang.exchange.replay import job_spec
from dujiang.lab.case import Int
from dujiang.lab.settled import Desk, Settled
from dujiang.lab.virtual import VirtualClock, VirtualConnector

_REAL_TIME = Fraction(1)


@dataclass(slots=True)
class Live:
    """An award that has not ended."""

    award: Awarded
    row: int
    """Of its job."""
    pool: int
    start: int
    """First slot of the whole run."""
    period: str
    """Civil year of its round, in which its vouchers count."""
    begun: bool = False

    @property
    def end(self) -> int:
        """Slot after its block."""
        return self.start + self.award.run.slots


@dataclass(frozen=True, slots=True)
class Ended:
    """An award that has ended, one way or another."""

    live: Live
    settled: Settled


class Running:
    """All awards of a replay that have not ended."""

    def __init__(self, start: datetime) -> None:
        self.desk = Desk()
        self._clock = VirtualClock(start)
        self._connector = VirtualConnector(self._clock)
        self._live: dict[str, Live] = {}

    def award(self, round_: Round, fresh: Mapping[str, Live]) -> None:
        """Reserve for the awards of a round, by order id, and hold them until their hour."""
        self.desk.reserve(round_, [live.award for live in fresh.values()])
        self._live |= fresh

    def begin(self, order_id: str) -> int | None:
        """Start the job of an award whose hour has come; return the slot in which its block ends; None: stopped."""
        live = self._live.get(order_id)
        if live is None:
            return None
        self._clock.advance(live.award.begin)
        self._connector.submit([job_spec(live.award, _REAL_TIME)])
        live.begun = True
        return live.end

    def end(self, order_id: str) -> Ended | None:
        """Settle an award whose block is over; None: it was stopped before."""
        live = self._live.pop(order_id, None)
        if live is None:
            return None
        self._clock.advance(live.award.end)
        return self._settled(live)

    def stop(self, instant: datetime, pools: Mapping[int, Int], first: int) -> Iterator[Ended]:
        """Stop awards until what stands there can hold the rest: latest start first, then the last by order id.

        Parameters
        ----------
        instant : when the outage begins
        pools : by row of the pool, accelerators that stand there from slot `first` on
        first : slot in which the outage begins
        """
        self._clock.advance(instant)
        struck = [live for live in self._live.values() if live.pool in pools and live.end > first]
        struck.sort(key=lambda live: (live.start, live.award.run.order_id))
        held = {pool: np.zeros_like(stands) for pool, stands in pools.items()}
        for live in struck:
            held[live.pool][_span(live, first)] += live.award.run.gpus
        for live in reversed(struck):
            span = _span(live, first)
            if (held[live.pool][span] > pools[live.pool][span]).any():
                held[live.pool][span] -= live.award.run.gpus
                del self._live[live.award.run.order_id]
                yield self._stopped(live)

    def _stopped(self, live: Live) -> Ended:
        order_id = live.award.run.order_id
        if live.begun:
            self._connector.cancel(order_id)
            return self._settled(live)
        never = JobStatus(order_id, JobState.CANCELLED, detail="an outage came before its hour")
        return Ended(live, self.desk.settle(live.award, never))

    def _settled(self, live: Live) -> Ended:
        return Ended(live, self.desk.settle(live.award, self._connector.status(live.award.run.order_id)))


def _span(live: Live, first: int) -> slice:
    return slice(max(0, live.start - first), live.end - first)
