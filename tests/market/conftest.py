"""One thread for the compiled loops: the books are tiny, and the tests themselves run side by side."""

from collections.abc import Iterator

import numba
import pytest


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    yield
    numba.set_num_threads(before)
