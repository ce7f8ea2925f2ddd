"""Small programmes to be put together: everybody is eligible, the share alone sets the amount."""

from copy import deepcopy
from datetime import date

from random_programmes import PLAIN, TERMS, read

from dujiang.policy.evaluate import Evaluation, evaluate
from dujiang.policy.programme import Base, Programme
from dujiang.policy.stack import Held, Offer, Stack, best_stack

DAY = date(2026, 6, 1)
YUAN = 10**6
CONTRACT = 1_000 * YUAN
"""What the purchase costs, unless a test says otherwise."""


def plain(key: str, share: float = 0.1, **further: object) -> Programme:
    """Build a city's programme that pays a share of the contract to everybody."""
    document = deepcopy(PLAIN)
    for name in ("special_rates", "cap", "minimum_cny", "budget", "excluded_costs", "stacking"):
        document[name] = None
    document |= {"id": key, "conditions": [], "rate": {"share": share, "rule": "not_above", **TERMS}, **further}
    return read(document)


def group(name: str) -> dict[str, object]:
    return {"group": name, "rule": "higher_counts", **TERMS}


def excluding(*ids: str, scope: str = "contract") -> list[dict[str, object]]:
    return [{"programmes": list(ids), "scope": scope, **TERMS}]


def ceiling(share: float, counts: str = "all") -> dict[str, object]:
    return {"share": share, "of": "base", "with": counts, **TERMS}


def asked(programme: Programme, base_ucny: int = CONTRACT, left_ucny: int | None = None) -> Evaluation:
    return evaluate(programme, {"good": "compute"}, base_ucny, on=DAY, budget_left_ucny=left_ucny)


def stacked(*programmes: Programme, held: tuple[Held, ...] = (), spend: int = CONTRACT, **further: int) -> Stack:
    """Put programmes together for one contract."""
    offers = [Offer(p, asked(p, spend, further.get("left_ucny")), further.get("left_ucny")) for p in programmes]
    return best_stack(offers, {Base.CONTRACT: spend}, held)


def amounts(stack: Stack) -> dict[str, int]:
    """Return the chosen set in yuan."""
    return {c.programme_id: c.amount_ucny // YUAN for c in stack.chosen}
