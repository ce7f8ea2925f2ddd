"""How the compiled loops of the lab are compiled: without a way in from Python where none is needed.

The way in unpacks every array of a record and takes longer to compile than most functions that it leads to. What is
called from other loops only has none; the loop that is called from Python keeps all of them in its cache.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

from dujiang.market.compiled import loop

_INSIDE: dict[str, Any] = {"error_model": "numpy", "_nrt": False, "no_cpython_wrapper": True}

Loop = TypeVar("Loop", bound=Callable[..., Any])


def inside(function: Loop) -> Loop:
    """Compile a function that only compiled ones call; it allocates no array and returns none.

    Called from Python it would bring the process down.
    """
    return cast(Loop, njit(**_INSIDE)(function))


def inlined(function: Loop) -> Loop:
    """Do the same and make it part of each function that calls it: for what is a few lines."""
    return cast(Loop, njit(**_INSIDE, forceinline=True)(function))


__all__ = ["inlined", "inside", "loop"]
