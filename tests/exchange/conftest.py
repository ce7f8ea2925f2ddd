"""After every test here: nothing that it started is left on the machine."""

import time

import pytest
from rounds import processes_in


@pytest.fixture(autouse=True)
def nothing_left_behind(tmp_path):
    yield
    end = time.monotonic() + 10
    while processes_in(tmp_path) and time.monotonic() < end:
        time.sleep(0.02)  # A supervisor writes the status just before it goes.
    assert processes_in(tmp_path) == []
