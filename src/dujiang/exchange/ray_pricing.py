"""`--engine ray`: the passes of the price search made by Ray workers, to the same bit as in this process.

Every worker holds a stretch of the orders (`market.shard`), sent once. A pass sends the prices to all of them and adds
up the whole numbers that come back; both are a few numbers per pool and slot. A worker that dies is replaced, and asked
again. What the search does on a sample of the orders stays here, as do placement and improvement. The nodes of a
cluster need this version of dujiang.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self

import numba

from dujiang.core.errors import OperationError
from dujiang.core.text import Text
from dujiang.exchange.ray_session import RaySession, reason_of, require_ray
from dujiang.market.arrays import BookArrays, Int
from dujiang.market.keys import Float, Keys
from dujiang.market.pricing import Demand, Pricer, Pricing
from dujiang.market.shard import Frame, Shard, added, blocks, frame_of, positions_in, stretches, taken_from

LEAST = 200_000
"""Passes over fewer orders, such as the samples, are made in this process, but for those over a whole book."""
START_S = 180.0
"""Seconds within which the workers must be there; it is a matter of a few."""
_BLOCK_BYTES, _BLOCKS = 32 * 2**20, 4
"""Orders are sent in blocks of so many bytes, so many of them on the way at a time: they fit the object store."""
_DEATHS = 3
"""Deaths of one worker in one pass that are too many."""


class _Worker(Shard):
    """A shard in a process of Ray's, on one thread: every processor has a worker."""

    def __init__(self, frame: Frame, orders: int) -> None:
        numba.set_num_threads(1)
        super().__init__(frame, orders)

    def answer(self, question: str, args: tuple[Any, ...]) -> Any:
        """Call a method; the arguments are sent once for all workers of a machine."""
        return getattr(self, question)(*args)


@contextmanager
def _failing_as_ours() -> Iterator[None]:
    """Turn Ray's failures into ours; what a worker raises itself is a mistake and stays what it is."""
    from ray.exceptions import RayError, RayTaskError

    try:
        yield
    except RayTaskError:
        raise
    except RayError as error:
        raise OperationError(Text(f"Ray failed: {reason_of(error)}", f"Ray 出错：{reason_of(error)}")) from error


class _Crew:
    """The workers of one book."""

    def __init__(self, a: BookArrays, keys: Keys, count: int) -> None:
        import ray

        self._ray, self._a, self.keys = ray, a, keys
        self._died = ray.exceptions.RayActorError
        self._frame = ray.put(frame_of(a, keys))
        self._stretches = stretches(keys.row.size, count)
        self._parts: list[Int] = []
        self._workers = [self._hire(n) for n in range(count)]
        self._wait(self._workers)
        for n in range(count):
            with suppress(self._died):  # the first question will tell
                self._fill(n)

    def _hire(self, n: int) -> Any:
        begin, end = self._stretches[n]
        return self._ray.remote(num_cpus=1, max_restarts=0)(_Worker).remote(self._frame, end - begin)

    def _wait(self, workers: Sequence[Any]) -> None:
        """Wait until workers are there; a cluster may have no processor left for them."""
        try:
            self._ray.get([worker.__ray_ready__.remote() for worker in workers], timeout=START_S)
        except self._ray.exceptions.GetTimeoutError as error:
            after = f"{START_S:.0f}"
            raise OperationError(
                Text(f"Ray has no room for the workers after {after} s", f"{after} 秒后 Ray 仍没有空位运行工作进程")
            ) from error

    def _fill(self, n: int) -> None:
        """Send a worker its orders, and which of them the parts consist of."""
        worker, at = self._workers[n], 0
        pending: list[Any] = []
        for block in blocks(self._a, self.keys, self._stretches[n], _BLOCK_BYTES):
            pending.append(worker.fill.remote(at, self._ray.put(block)))
            at += block.keys[0].shape[0]
            if len(pending) >= _BLOCKS:
                self._ray.get(pending.pop(0))
        self._ray.get(pending)
        for number in range(len(self._parts)):
            self._take(n, number)

    def _take(self, n: int, number: int) -> None:
        begin, end = self._stretches[n]
        first, last = self._parts[number].searchsorted([begin, end])
        self._ray.get(self._workers[n].take.remote(number, self._parts[number][first:last] - begin))

    def part(self, keys: Keys) -> int:
        """Return the number of a part of the orders; workers keep what they were once asked for."""
        positions = positions_in(keys, self.keys, self._a.gpus.size)
        for number, known in enumerate(self._parts):
            if known.shape == positions.shape and (known == positions).all():
                return number
        self._parts.append(positions)
        for n in range(len(self._workers)):
            with suppress(self._died):
                self._take(n, len(self._parts) - 1)
        return len(self._parts) - 1

    def ask(self, question: str, *args: Any) -> list[Any]:
        """Return the answers of all workers to one question."""
        sent = self._ray.put(args)
        answers = [worker.answer.remote(question, sent) for worker in self._workers]
        return [self._answer(n, answer, question, sent) for n, answer in enumerate(answers)]

    def _answer(self, n: int, answer: Any, question: str, sent: Any) -> Any:
        for deaths in range(1, _DEATHS + 1):
            try:
                return self._ray.get(answer)
            except self._died:
                if deaths == _DEATHS:
                    raise
            with suppress(self._died):  # else the next answer will tell
                self._replace(n)
            answer = self._workers[n].answer.remote(question, sent)
        raise AssertionError

    def _replace(self, n: int) -> None:
        self._ray.kill(self._workers[n])  # it may be alive and out of reach
        self._workers[n] = self._hire(n)
        self._wait([self._workers[n]])
        self._fill(n)

    def dismiss(self) -> None:
        """End the workers."""
        for worker in self._workers:
            self._ray.kill(worker)


class _Sums:
    """A pricer that asks a crew (see `market.pricing.Pricer`)."""

    def __init__(self, crew: _Crew, number: int) -> None:
        self._crew, self._number = crew, number

    def demand(self, capacity: Float, link: Float, budget: Float, cap: Float, *, posted: Int | None = None) -> Demand:
        with _failing_as_ours():
            return added(self._crew.ask("demand", self._number, capacity, link, budget, cap, posted))

    def whole_surplus(self, capacity: Int, link: Int, budget_ppm: Int, cap_ppm: Int, *, paid: bool) -> tuple[int, int]:
        with _failing_as_ours():
            answers = self._crew.ask("whole_surplus", self._number, capacity, link, budget_ppm, cap_ppm, paid)
        whole, rest = zip(*answers, strict=True)
        return sum(whole), sum(rest)


class RayPricers:
    """Makes pricers (`market.pricing.Pricers`) for as long as its context lasts::

        with RayPricers() as pricers:
            cleared = solve(a, effort, clock, pricers=pricers)

    Ray is started, or joined, when the first pass is asked for.

    Parameters
    ----------
    workers : how many; None: one for each processor that is there
    least : passes over fewer orders are made in this process

    Raises
    ------
    OperationError : Ray is not installed; later: it cannot be started, or a worker died again and again
    """

    def __init__(self, workers: int | None = None, *, least: int = LEAST) -> None:
        require_ray()
        self._count, self._least = workers, least
        self._session: RaySession | None = None
        self._crew: _Crew | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        session, crew = self._session, self._crew
        self._session = self._crew = None
        try:
            if crew is not None:
                crew.dismiss()
        finally:
            if session is not None:
                session.close()

    def __call__(self, a: BookArrays, keys: Keys) -> Pricer:
        """Return what makes passes over some orders of a book."""
        if keys.row.size < min(self._least, a.gpus.size):
            return Pricing(a, keys)
        self._session = self._session or RaySession(self._count)
        with _failing_as_ours():
            if self._crew is None or not taken_from(keys, self._crew.keys):
                if self._crew is not None:
                    self._crew.dismiss()
                self._crew = _Crew(a, keys, self._session.workers)
            return _Sums(self._crew, self._crew.part(keys))


__all__ = ["LEAST", "RayPricers"]
