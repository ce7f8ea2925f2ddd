"""Random numbers for compiled loops: SplitMix64, one 64-bit state, full period, the same numbers on every machine.

References
----------
G. L. Steele, D. Lea, C. H. Flood, Fast splittable pseudorandom number generators, OOPSLA 2014.
"""

import numpy as np
import numpy.typing as npt

from dujiang.market.compiled import bare

Seed = npt.NDArray[np.uint64]
"""[1] the state, changed by every draw."""


def seeded(seed: int) -> Seed:
    """Return the state of a generator."""
    return np.array([seed], dtype=np.uint64)


@bare
def random_bits(state: Seed) -> np.uint64:
    """Return 64 random bits."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))  # type: ignore[no-any-return]


@bare
def below(state: Seed, n: int) -> int:
    """Return a number from 0 to n - 1."""
    # signed, since compiled arithmetic of signed with unsigned falls to floats
    return int(np.int64(random_bits(state) >> np.uint64(1)) % n)


@bare
def unit(state: Seed) -> float:
    """Return a number in [0, 1)."""
    return float(random_bits(state) >> np.uint64(11)) / 9007199254740992.0


__all__ = ["Seed", "below", "random_bits", "seeded", "unit"]
