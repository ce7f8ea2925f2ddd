from pathlib import Path

import handmade_round as handmade
import pytest


@pytest.fixture
def good(tmp_path: Path) -> handmade.Case:
    """A result that keeps every rule; the one place where tests get it from."""
    return handmade.Case(handmade.write_book(tmp_path / "book"), handmade.write_result(tmp_path / "result"))
