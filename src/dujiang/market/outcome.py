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
    """Why an order was not served; the first that applies, at the published prices (see `market.rejections`)."""

    NO_COMPATIBLE_POOL = "no_compatible_pool"
    """No pool meets its accelerators, stacks, regions, link and round-trip time."""
    NO_ROOM = "no_room"
    """Compatible pools exist, but none could hold it inside its window even with nobody else served."""
    LIMIT_BELOW_ASK = "limit_below_ask"
    """Its effective limit is below the reserve price everywhere."""
    LIMIT_BELOW_PRICE = "limit_below_price"
    """Its effective limit is below the price of the round everywhere."""
    VOUCHER_EXHAUSTED = "voucher_exhausted"
    """It could pay only with vouchers that are used up: a budget, its enterprise's cap, or its contract's one use."""
    LINK_FULL = "link_full"
    """Wherever it could pay, its data would cross a link that is full, or dearer than what the block gains."""
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
"""`gross + transfer = voucher + net`; gross goes to the centre, transfer to the carrier. `voucher_ucny` is the sum of
the award's vouchers, `programme_id` their programmes joined with `;` in paying order, null without one; `share_ppm` and
`room_ucny` are those of a single voucher, 0 without one and null with several (`VOUCHER_SCHEMA` has each).
`paradoxical`: served although its cost at the prices is above its effective limit; it pays the limit. `hours_micro`:
true run time in that pool."""

VOUCHER_SCHEMA: dict[str, pl.DataType] = {
    "order_id": pl.String(),
    "programme_id": pl.String(),
    "share_ppm": pl.Int64(),
    "room_ucny": pl.Int64(),
    "voucher_ucny": pl.Int64(),
}
"""One row per voucher of an award: its share in that pool, the most that it could be, and what it pays."""

PRICE_SCHEMA: dict[str, pl.DataType] = {
    "pool_id": pl.String(),
    "slot": pl.Int64(),
    "ucny_per_gpu_hour": pl.Int64(),
    "gpus_free": pl.Int64(),
    "gpus_used": pl.Int64(),
    "ask_ucny_per_gpu_hour": pl.Int64(),
}
"""One row per pool and slot: `gpus_used` by awards of the round, `gpus_free` after it; what runs already is in none."""

LINK_PRICE_SCHEMA: dict[str, pl.DataType] = {
    "origin_region": pl.String(),
    "region": pl.String(),
    "slot": pl.Int64(),
    "gb_per_slot_micro": pl.Int64(),
    "gb_used_micro": pl.Int64(),
    "ucny_per_gb": pl.Int64(),
}
"""One row per limited link and slot: what may start to cross in it before the round, what of that the awards take, and
its multiplier, which steers and bounds and is paid by nobody."""

REJECTION_SCHEMA: dict[str, pl.DataType] = {
    "order_id": pl.String(),
    "reason": pl.String(),
    "enough_limit_ucny": pl.Int64(),
    "enough_deadline": pl.Int64(),
    "detail": pl.String(),
    "detail_zh": pl.String(),
}
"""`enough_…`: what would have been enough, null where nothing would (see `market.rejections`)."""

MULTIPLIER_SCHEMA: dict[str, pl.DataType] = {
    "programme_id": pl.String(),
    "enterprise_id": pl.String(),
    "left_ucny": pl.Int64(),
    "used_ucny": pl.Int64(),
    "multiplier_ppm": pl.Int64(),
    "multiplier_paid_ppm": pl.Int64(),
}
"""Shadow prices of each budget (enterprise_id null) and of each enterprise's cap: one for the bound over all
allocations, one for the bound over those that pay by the rule at the published prices."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of one clearing; frames follow the schemas of this module, rows in canonical order."""

    awards: pl.DataFrame
    """By order_id."""
    vouchers: pl.DataFrame
    """By order_id, then in the order in which they pay."""
    prices: pl.DataFrame
    """By (pool_id, slot)."""
    link_prices: pl.DataFrame
    """By (origin_region, region, slot)."""
    rejections: pl.DataFrame
    """By order_id."""
    multipliers: pl.DataFrame
    """By (programme_id, enterprise_id), budgets first."""
    summary: dict[str, Any]
    """The document that becomes `summary.json`: counts, welfare, dual bounds, gaps, utilisation … (docs/formats.md)."""
