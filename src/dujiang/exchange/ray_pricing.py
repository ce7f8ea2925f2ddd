"""`--engine ray`: the passes of the price search made by Ray workers, to the same bit as in this process.

Every worker holds a stretch of the orders (`market.shard`), sent once. A pass sends the prices to all of them and adds
up the whole numbers that come back; both are a few numbers per pool and slot. A worker that ends is replaced, and asked
again. What the search does on a sample of the orders stays here, as do placement and improvement.

Where `RAY_ADDRESS` names a running cluster the workers are spread over it, one for each processor that is free. Its
nodes need this version of dujiang. Else Ray is started on this machine for the time of one clearing, reachable by its
own processes only: on the loopback address, with a token of its own, without dashboard and usage reports.
"""

import importlib.util
import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numba
import numpy as np

from dujiang.core.errors import OperationError
from dujiang.core.text import Text
from dujiang.market.arrays import BookArrays, Int
from dujiang.market.keys import Float, Keys
from dujiang.market.pricing import Demand, Pricer, Pricing
from dujiang.market.shard import Frame, Shard, added, blocks, frame_of, positions_in, stretches, taken_from

LEAST = 50_000
"""Passes over fewer orders than this are made here, but for those over a whole book."""
START_S = 180.0
"""Seconds within which workers must be there; on an idle machine they are in about five."""
_STORE_BYTES = 256 * 2**20
"""Object store of the Ray that is started here."""
_BLOCK_BYTES, _BLOCKS = 32 * 2**20, 4
"""Orders are sent in blocks of so many bytes, so many of them on the way at a time: they fit the store."""
_DEATHS = 3
"""Deaths of one worker in one pass that are too many."""
_LONGEST_FOLDER = 28
"""A socket's path has at most 107 bytes, and Ray appends much to the folder that it is given."""
_SETTINGS = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # its way of saying: only on the loopback address
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AUTH_MODE": "token",
}
_NOBODY = "http://127.0.0.1:9"
_OFFLINE = {
    **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), _NOBODY),
    **dict.fromkeys(("no_proxy", "NO_PROXY"), "127.0.0.1,localhost,::1"),
}
"""What Ray's processes inherit. Even without usage reports one of them asks the metadata services of three clouds where
it runs; with a proxy that is not there the request ends before it leaves the machine."""


class _Worker(Shard):
    """What runs in a process of Ray's: a shard on one thread, since every processor has a worker."""

    def __init__(self, frame: Frame, orders: int) -> None:
        numba.set_num_threads(1)
        super().__init__(frame, orders)


class _Crew:
    """The workers of one book."""

    def __init__(self, a: BookArrays, keys: Keys, count: int) -> None:
        import ray

        self._ray, self._a, self.keys = ray, a, keys
        self._frame = ray.put(frame_of(a, keys))
        self._stretches = stretches(keys.row.size, count)
        self._parts: list[Int] = []
        """Positions of the orders of every part that was asked for."""
        self._workers = [self._hire(n) for n in range(count)]
        try:
            ray.get([worker.__ray_ready__.remote() for worker in self._workers], timeout=START_S)
        except ray.exceptions.GetTimeoutError as error:
            raise OperationError(
                Text(
                    f"the Ray workers were not there after {START_S:.0f} s",
                    f"Ray 工作进程在 {START_S:.0f} 秒后仍未就绪",
                )
            ) from error
        for n in range(count):
            self._survive(n, lambda n: None, lambda n: self._fill(n))

    def _hire(self, n: int) -> Any:
        begin, end = self._stretches[n]
        return self._ray.remote(num_cpus=1, max_restarts=0)(_Worker).remote(self._frame, end - begin)

    def _fill(self, n: int) -> None:
        """Send a worker its orders."""
        worker, at, pending = self._workers[n], 0, []
        for block in blocks(self._a, self.keys, self._stretches[n], _BLOCK_BYTES):
            pending.append(worker.fill.remote(at, self._ray.put(block)))
            at += block.keys[0].shape[0]
            if len(pending) >= _BLOCKS:
                self._ray.get(pending.pop(0))
        self._ray.get(pending)
