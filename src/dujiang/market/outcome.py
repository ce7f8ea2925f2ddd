"""What a clearing hands out: awards, prices, rejections, multipliers and the figures of the certificate."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import polars as pl


class Coupling(StrEnum):
    """Which centres an order may use."""

    FULL = "full"
    """Every compatible centre that its links reach."""
    ISOLATED = "isolated"
    """Centres of its own region only, and with no region only the centre it came from."""


class Reason(StrEnum):
    """Why an order was not served; the first that applies, at the published prices."""

    NO_COMPATIBLE_POOL = "no_compatible_pool"
    """No pool meets its accelerators, stacks, regions, link and round-trip time."""
    NO_ROOM = "no_room"
    """Compatible pools exist, but none could hold it inside its window even with nobody else served."""
    LIMIT_BELOW_ASK = "limit_below_ask"
    """Its effective limit is below the reserve price everywhere."""
    LIMIT_BELOW_PRICE = "limit_below_price"
    """Its effective limit is below the price of the round everywhere."""
    VOUCHER_EXHAUSTED = "voucher_exhausted"
    """It could pay only with a voucher whose budget or cap has run out."""
    PARADOXICAL = "paradoxical"
    """It could pay the price, yet indivisible blocks leave no place for it (design 4.6 e)."""


AWARD_SCHEMA: dict[str, pl.DataType] = {
    "order_id": pl.String(),
    "pool_id": pl.String(),
    "start": pl.Int64(),
    "slots": pl.Int64(),
    "gpus": pl.Int64(),
    "gross_ucny": pl.Int64(),
    "transfer_ucny": pl.Int64(),
    "voucher_ucny": pl.Int64(),
    "net_ucny": pl.Int64(),
    "programme_id": pl.String(),
    "paradoxical": pl.Boolean(),
    "enterprise_id": pl.String(),
    "centre_id": pl.String(),
    "ask_cost_ucny": pl.Int64(),
    "price_cost_ucny": pl.Int64(),
    "effective_limit_ucny": pl.Int64(),
    "share_ppm": pl.Int64(),
    "room_ucny": pl.Int64(),
    "hours_micro": pl.Int64(),
}
"""`gross + transfer = voucher + net`; gross goes to the centre, transfer to the carrier. `paradoxical`: served although
its cost at the prices is above its effective limit; it pays the limit. `hours_micro`: true run time in that pool."""

PRICE_SCHEMA: dict[str, pl.DataType] = {
    "pool_id": pl.String(),
    "slot": pl.Int64(),
    "ucny_per_gpu_hour": pl.Int64(),
    "gpus_free": pl.Int64(),
    "gpus_used": pl.Int64(),
    "ask_ucny_per_gpu_hour": pl.Int64(),
}
"""One row per pool and slot; `gpus_free` is what is left after the round."""

REJECTION_SCHEMA: dict[str, pl.DataType] = {"order_id": pl.String(), "reason": pl.String(), "detail": pl.String()}

MULTIPLIER_SCHEMA: dict[str, pl.DataType] = {
    "programme_id": pl.String(),
    "enterprise_id": pl.String(),
    "left_ucny": pl.Int64(),
    "used_ucny": pl.Int64(),
    "multiplier_ppm": pl.Int64(),
}
"""Shadow price of each budget (enterprise_id null) and of each enterprise's cap, part of the certificate."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of one clearing; frames follow the schemas of this module, rows in canonical order."""

    awards: pl.DataFrame
    """By order_id."""
    prices: pl.DataFrame
    """By (pool_id, slot)."""
    rejections: pl.DataFrame
    """By order_id."""
    multipliers: pl.DataFrame
    """By (programme_id, enterprise_id), budgets first."""
    summary: dict[str, Any]
    """The document that becomes `summary.json`: counts, welfare, dual bound, gap, utilisation … (docs/formats.md)."""
