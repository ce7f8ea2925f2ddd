"""Small random cases of the policy lab."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from dujiang.lab.case import NO_DEADLINE, Case
from dujiang.lab.scenario import Outage
from dujiang.policy.programme import Programme
from lab_cases import HOUR, Job, Pool, lab_case
from lab_vouchers import voucher


def random_jobs(rng: np.random.Generator, most: int = 13) -> list[Job]:
    """Draw jobs of two centres that the slowest pool could end in time."""
    jobs = []
    for _ in range(int(rng.integers(1, most + 1))):
        submit, run = int(rng.integers(0, 30 * HOUR)), int(rng.integers(1, 9 * HOUR))
        gpus = int(rng.choice([1, 2, 3, 4, 8]))
        least = -(-submit // HOUR) + -(-run // (HOUR // 2))  # the slowest pool could do it
        deadline = NO_DEADLINE if rng.random() < 0.2 else (least + int(rng.integers(0, 20))) * HOUR
        limit = round(float(gpus * -(-run // HOUR) * 2 * rng.lognormal(0.3, 0.6)), 2) + 0.01
        contract = rng.choice([None, None, "k"])
        firm = f"e{rng.integers(0, 3)}"
        jobs.append(Job(submit, run, gpus, str(rng.choice(["a", "b"])), deadline, limit, firm, contract))
    return jobs


def random_programmes(rng: np.random.Generator) -> list[Programme]:
    """Draw up to two programmes, each with a cap."""
    return [
        voucher(
            name,
            round(float(rng.uniform(0.05, 0.8)), 2),
            cap_cny=float(rng.integers(5, 60)),
            budget_cny=float(rng.integers(5, 80)) if rng.random() < 0.7 else None,
            minimum_cny=float(rng.integers(1, 5)) if rng.random() < 0.3 else None,
            rounding=str(rng.choice(["fen", "yuan"])),
        )
        for name in ("v", "w")[: rng.integers(0, 3)]
    ]


def random_case(seed: int, **changes: Any) -> Case:
    """Draw a small case with everything in it: pools, programmes, deadlines, contracts, outages.

    Parameters
    ----------
    changes : arguments of `lab_case` that take the place of what is drawn
    """
    rng = np.random.default_rng(seed)
    jobs, programmes = random_jobs(rng), random_programmes(rng)
    outages = [
        Outage(str(rng.choice(["a", "b"])), first := int(rng.integers(0, 40)), first + int(rng.integers(1, 12)), share)
        for share in rng.choice([300_000, 1_000_000], int(rng.integers(0, 3))).tolist()
    ]
    pools = [
        Pool("a", "a", 8, 2.0),
        Pool("b", "b", int(rng.choice([2, 8])), 1.0, speed=float(rng.choice([0.5, 1.0, 1.7]))),
    ]
    drawn = {
        "programmes": programmes,
        "outages": outages,
        "max_vouchers": int(rng.integers(0, 3)),
        "round_every_h": int(rng.choice([8, 24])),
        "admit_every_h": int(rng.choice([0, 1, 3])),
        "horizon_h": int(rng.choice([24, 60])),
    }
    return lab_case(jobs, pools, slots=60, **{**drawn, **changes})


def cases(**changes: Any) -> st.SearchStrategy[Case]:
    """Return a strategy that draws `random_case`."""
    return st.integers(0, 2**32).map(lambda seed: random_case(seed, **changes))
