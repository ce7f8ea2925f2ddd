"""After every test here: nothing that it started is left on the machine."""

import time
from pathlib import Path

import pytest


def processes_in(folder: Path) -> dict[int, Path]:
    """Return the processes whose working directory lies in a folder, with it; jobs and their supervisors all do."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                place = (entry / "cwd").readlink()
            except OSError:
                continue  # Gone, or a zombie that only waits for its parent to notice.
            if place.is_relative_to(folder):
                found[int(entry.name)] = place
    return found


@pytest.fixture(autouse=True)
def nothing_left_behind(tmp_path):
    yield
    end = time.monotonic() + 10
    while processes_in(tmp_path) and time.monotonic() < end:
        time.sleep(0.02)  # A supervisor writes the status just before it goes.
    assert processes_in(tmp_path) == {}
