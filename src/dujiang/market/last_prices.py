"""The prices of an earlier round at the slots of a later one (design 4.9).

Slots are matched by the hour that they stand for. A slot past the last one of the earlier round takes the price of the
same hour of the week, a whole number of weeks earlier; if the round was shorter than that, of the same hour of the day;
if it was shorter than a day, of its last slot. Before its first slot the same holds the other way round. What is
carried is the published price: where the ask has risen above it, the price is the ask.
"""

import numpy as np
import polars as pl

from dujiang.market.arrays import MAX_PRICE_UCNY, BookArrays, Int
from dujiang.market.dual import MAX_LINK_UCNY, MAX_RATE_PPM, Prices
from dujiang.market.outcome import Outcome
from dujiang.policy.terms import VoucherTerms
from dujiang.registry.book import Book

WEEK, DAY = 168, 24


def source_slots(count: int, hours: int, earlier: int) -> Int:
    """Return the slot of an earlier round that stands for each slot of a later one.

    Parameters
    ----------
    count : slots of the later round
    hours : hours from the start of the earlier round to that of the later one; may be negative
    earlier : slots of the earlier round, at least one
    """
    same = np.arange(count, dtype=np.int64) + hours
    source = np.clip(same, 0, earlier - 1)
    for period in (DAY, WEEK):  # the week counts before the day
        back = same - period * -(-np.maximum(same - earlier + 1, 0) // period)
        moved = back + period * -(np.minimum(back, 0) // period)
        source = np.where((moved >= 0) & (moved < earlier), moved, source)
    return source


def last_prices(outcome: Outcome, hours: int, book: Book, terms: VoucherTerms, a: BookArrays) -> Prices:
    """Return the prices and multipliers of an earlier round for a later one.

    Parameters
    ----------
    outcome : of the earlier round
    hours : hours from its start to that of the later one
    book, terms, a : of the later round; pools, links, programmes and caps that were not there begin at zero
    """
    slots = a.capacity.shape[1]
    pools = _rows(book.pools.select("pool_id"), outcome.prices.select("pool_id"))
    price = _grid(pools, outcome.prices["slot"], outcome.prices["ucny_per_gpu_hour"], len(a.ask), hours, slots)
    region = ["origin_region", "region"]
    links = book.links.filter(pl.col("gb_per_slot_micro").is_not_null()).select(region)
    rows = _rows(links, outcome.link_prices.select(region))
    link = _grid(rows, outcome.link_prices["slot"], outcome.link_prices["ucny_per_gb"], len(a.link_left), hours, slots)
    budget, cap = (_multipliers(outcome, terms, a, name) for name in ("budget", "cap"))
    return Prices(
        capacity=np.maximum(np.minimum(price, MAX_PRICE_UCNY) - a.ask, 0),
        link=np.clip(link, 0, MAX_LINK_UCNY),
        budget=budget[0],
        cap=cap[0],
        budget_paid=budget[1],
        cap_paid=cap[1],
    )


def _rows(keys: pl.DataFrame, names: pl.DataFrame) -> Int:
    """Return the row among some keys of every name; -1 where it is none of them."""
    found = names.join(keys.with_row_index("row"), on=names.columns, how="left", maintain_order="left")["row"]
    return found.cast(pl.Int64).fill_null(-1).to_numpy()


def _grid(row: Int, slot: pl.Series, value: pl.Series, rows: int, hours: int, slots: int) -> Int:
    """Return [rows, slots] values at the slots of the later round; 0 where the earlier one has none."""
    at = slot.to_numpy()
    known = (row >= 0) & (at >= 0)
    earlier = int(at[known].max(initial=-1)) + 1
    if not earlier:
        return np.zeros((rows, slots), dtype=np.int64)
    grid = np.zeros((rows, earlier), dtype=np.int64)
    grid[row[known], at[known]] = value.to_numpy()[known]
    return np.ascontiguousarray(grid[:, source_slots(slots, hours, earlier)])


def _multipliers(outcome: Outcome, terms: VoucherTerms, a: BookArrays, of: str) -> list[Int]:
    """Return the multipliers of budgets [K] or caps [C]: those of the bound, and those at the prices."""
    held = outcome.multipliers
    programmes = pl.Series("programme_id", terms.programme_ids, dtype=pl.String)
    if of == "budget":
        held = held.filter(pl.col("enterprise_id").is_null())
        keys = programmes.to_frame()
    else:
        held = held.filter(pl.col("enterprise_id").is_not_null())
        keys = pl.DataFrame(
            {
                "programme_id": programmes.gather(a.cap_programme),
                "enterprise_id": terms.cap_enterprise.cast(pl.String),
            }
        )
    key, columns = keys.columns, ["multiplier_ppm", "multiplier_paid_ppm"]
    held = held.unique(key, keep="first", maintain_order=True)
    found = keys.join(held, on=key, how="left", maintain_order="left")
    rates = found.select(pl.col(columns).fill_null(0).clip(0, MAX_RATE_PPM))
    # Writable, as those of a clearing are: the compiled loops take read-only arrays for another type.
    return [rates[name].to_numpy(writable=True) for name in columns]
