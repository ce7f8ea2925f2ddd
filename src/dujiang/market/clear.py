"""One clearing: a book and its voucher terms in, an outcome out.

Decisions (which block, which voucher) come from the engine. Everything that is money is computed again here, from
integers: payments, vouchers, uplift, the certificate (design 4.5, 4.6).
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from dujiang import __version__
from dujiang.core.money import MICRO, cny, share_floor
from dujiang.core.slots import ceil_div, instant_text
from dujiang.market.arrays import BookArrays, Int, book_arrays
from dujiang.market.dual import prefix
from dujiang.market.engine import Cleared, Effort, Progress, gap_of, solve
from dujiang.market.outcome import (
    AWARD_SCHEMA,
    MULTIPLIER_SCHEMA,
    PRICE_SCHEMA,
    REJECTION_SCHEMA,
    Coupling,
    Outcome,
    Reason,
)
from dujiang.market.rejections import rejection_frame
from dujiang.policy.terms import VoucherTerms
from dujiang.registry.book import Book

FORMAT = "dujiang.clearing/1"


def clear(
    book: Book,
    terms: VoucherTerms,
    coupling: Coupling,
    effort: Effort,
    clock: Callable[[], float],
    progress: Progress | None = None,
) -> Outcome:
    """Clear a book (design 4).

    Parameters
    ----------
    book : the checked book
    terms : what the programmes of the round offer
    coupling : which centres an order may use
    effort : how hard to try
    clock : seconds, only for reporting phases and for `effort.seconds`
    progress : told the phase, its share and the gap

    Returns
    -------
    awards, prices, rejections, multipliers and the summary with its certificate
    """
    begin = clock()
    a = book_arrays(book, terms, coupling)
    prepared = clock() - begin
    cleared = solve(a, effort, clock, progress)
    begin = clock()
    awards = _awards(book, terms, a, cleared)
    prices = _prices(book, a, cleared)
    rejections = rejection_frame(book, a, cleared)
    multipliers = _multipliers(terms, a, cleared)
    outcome = Outcome(awards, prices, rejections, multipliers, {})
    seconds = {"arrays": prepared, **cleared.seconds, "outcome": clock() - begin}
    summary = _summary(book, terms, a, cleared, outcome, coupling)
    summary["seconds"] = {phase: round(value, 3) for phase, value in seconds.items()}
    return Outcome(awards, prices, rejections, multipliers, summary)


def _awards(book: Book, terms: VoucherTerms, a: BookArrays, cleared: Cleared) -> pl.DataFrame:
    s = cleared.state
    price_sum = prefix(a.ask + cleared.prices.capacity)
    ask_sum = prefix(a.ask)
    order_ids = book.orders["order_id"].to_list()
    enterprises = book.orders["enterprise_id"].to_list()
    hours = book.orders["hours_micro"].to_list()
    pool_ids = book.pools["pool_id"].to_list()
    centres = book.pools["centre_id"].to_list()
    speeds = book.pools["speed_micro"].to_list()
    rows: list[dict[str, Any]] = []
    for j in np.flatnonzero(s.pool >= 0).tolist():
        p, t, k = int(s.pool[j]), int(s.start[j]), int(s.option[j])
        d, gpus = int(a.slots[j, p]), int(a.gpus[j])
        ask_cost = gpus * int(ask_sum[p, t + d] - ask_sum[p, t])
        price_cost = gpus * int(price_sum[p, t + d] - price_sum[p, t])
        limit, share, room = int(a.limit[j, p, k]), int(a.share[j, p, k]), int(a.room[j, k])
        gross = max(ask_cost, min(price_cost, limit))
        voucher = min(share_floor(gross, share), room) if k else 0
        transfer = int(a.transfer[j, p])
        rows.append(
            {
                "order_id": order_ids[j],
                "pool_id": pool_ids[p],
                "start": t,
                "slots": d,
                "gpus": gpus,
                "gross_ucny": gross,
                "transfer_ucny": transfer,
                "voucher_ucny": voucher,
                "net_ucny": gross + transfer - voucher,
                "programme_id": terms.programme_ids[k - 1] if k else None,
                "paradoxical": price_cost > limit,
                "enterprise_id": enterprises[j],
                "centre_id": centres[p],
                "ask_cost_ucny": ask_cost,
                "price_cost_ucny": price_cost,
                "effective_limit_ucny": limit,
                "share_ppm": share if k else 0,
                "room_ucny": room if k else 0,
                "hours_micro": ceil_div(hours[j] * MICRO, speeds[p]),
            }
        )
    return pl.DataFrame(rows, schema=AWARD_SCHEMA).sort("order_id")


def _prices(book: Book, a: BookArrays, cleared: Cleared) -> pl.DataFrame:
    pools, slots = a.capacity.shape
    free = cleared.state.free
    return pl.DataFrame(
        {
            "pool_id": np.repeat(np.array(book.pools["pool_id"].to_list(), dtype=object), slots).tolist(),
            "slot": np.tile(np.arange(slots, dtype=np.int64), pools),
            "ucny_per_gpu_hour": (a.ask + cleared.prices.capacity).ravel(),
            "gpus_free": free.ravel(),
            "gpus_used": (a.capacity - free).ravel(),
            "ask_ucny_per_gpu_hour": a.ask.ravel(),
        },
        schema=PRICE_SCHEMA,
    ).sort("pool_id", "slot")


def _multipliers(terms: VoucherTerms, a: BookArrays, cleared: Cleared) -> pl.DataFrame:
    s = cleared.state
    rows: list[tuple[str, str | None, int, int, int]] = []
    for k, programme in enumerate(terms.programme_ids, start=1):
        if a.limited[k]:
            left, used = int(a.budget[k]), int(a.budget[k] - s.budget[k])
            rows.append((programme, None, left, used, int(cleared.prices.budget[k])))
    for c, enterprise in enumerate(terms.cap_enterprise):
        left, used, rate = int(a.cap_left[c]), int(a.cap_left[c] - s.cap[c]), int(cleared.prices.cap[c])
        if used or rate:
            rows.append((terms.programme_ids[int(terms.cap_programme[c])], enterprise, left, used, rate))
    frame = pl.DataFrame(rows, schema=MULTIPLIER_SCHEMA, orient="row")
    return frame.sort("programme_id", "enterprise_id", nulls_last=False)


def _share(part: int | float, whole: int | float) -> float:
    return float(part / whole) if whole else 0.0


def _yuan(ucny: int) -> float:
    """Return micro-yuan as yuan for people and plots; the exact integer stands beside it where it matters."""
    return float(cny(ucny))


def _total(frame: pl.DataFrame, column: str) -> int:
    return int(frame[column].sum())


def _vouchers(terms: VoucherTerms, a: BookArrays, cleared: Cleared, awards: pl.DataFrame) -> list[dict[str, Any]]:
    out = []
    for k, programme in enumerate(terms.programme_ids, start=1):
        mine = awards.filter(pl.col("programme_id") == programme)
        out.append(
            {
                "programme_id": programme,
                "budget_left_cny": _yuan(int(a.budget[k])) if a.limited[k] else None,
                "spent_cny": _yuan(_total(mine, "voucher_ucny")),
                "awards": mine.height,
                "multiplier": int(cleared.prices.budget[k]) / MICRO,
            }
        )
    return out


def _by_centre(book: Book, prices: pl.DataFrame, awards: pl.DataFrame) -> list[dict[str, Any]]:
    used = (
        prices.join(book.pools.select("pool_id", "centre_id"), on="pool_id")
        .group_by("centre_id")
        .agg(pl.col("gpus_used").sum(), pl.col("gpus_free").sum())
    )
    income = awards.group_by("centre_id").agg(pl.col("gross_ucny").sum())
    rows = book.centres.select("centre_id", "region").join(used, on="centre_id", how="left")
    rows = rows.join(income, on="centre_id", how="left").fill_null(0).sort("centre_id")
    return [
        {
            "centre_id": centre,
            "region": region,
            "utilisation": _share(busy, busy + free),
            "gpu_hours": busy,
            "income_cny": _yuan(gross),
        }
        for centre, region, busy, free, gross in rows.iter_rows()
    ]


def _uplift(awards: pl.DataFrame) -> dict[str, int]:
    uplift = awards.select("pool_id", (pl.col("price_cost_ucny") - pl.col("gross_ucny")).alias("uplift"))
    totals = uplift.group_by("pool_id").agg(pl.col("uplift").sum()).filter(pl.col("uplift") > 0).sort("pool_id")
    return {pool: int(value) for pool, value in totals.iter_rows()}


def _terms_of_objective(a: BookArrays, cleared: Cleared) -> tuple[int, int]:
    """Return the carbon and the small-firm term of the welfare, micro-yuan."""
    s = cleared.state
    rows = np.flatnonzero(s.pool >= 0)
    carbon = int((a.carbon[s.pool[rows]] * a.gpus[rows] * a.slots[rows, s.pool[rows]]).sum())
    return carbon, int(a.bonus[rows].sum())


def _carbon_kg(book: Book, awards: pl.DataFrame) -> float | None:
    """Return the carbon of all awards at full use, kg; None if any figure of a used pool is unknown."""
    facts = book.pools.join(book.centres, on="centre_id").select(
        "pool_id", rate=pl.col("watts_per_gpu") / 1000 * pl.col("pue") * pl.col("grid_kgco2_per_kwh")
    )
    joined = awards.join(facts, on="pool_id", how="left").sort("order_id")
    kg = joined.select(kg=pl.col("gpus") * pl.col("hours_micro") / MICRO * pl.col("rate"))["kg"]
    return None if kg.null_count() else float(kg.sum())


def _summary(
    book: Book, terms: VoucherTerms, a: BookArrays, cleared: Cleared, outcome: Outcome, coupling: Coupling
) -> dict[str, Any]:
    awards, rejections = outcome.awards, outcome.rejections
    welfare = int(cleared.state.worth.sum())
    carbon, bonus = _terms_of_objective(a, cleared)
    reasons = Counter(rejections["reason"].to_list())
    uplift = _uplift(awards)
    release = book.orders.select("order_id", "release")
    waits = awards.join(release, on="order_id").select(wait=pl.col("start") - pl.col("release"))["wait"]
    asked: Int = a.gpus * book.orders["hours_micro"].to_numpy()
    served = cleared.state.pool >= 0
    return {
        "format": FORMAT,
        "version": __version__,
        "title": book.title.en,
        "title_zh": book.title.zh,
        "start": instant_text(book.start),
        "slots": book.slots,
        "coupling": coupling.value,
        "orders": book.orders.height,
        "awards": awards.height,
        "rejections": {reason.value: reasons.get(reason.value, 0) for reason in Reason},
        "paradoxical_awards": int(awards["paradoxical"].sum()),
        "welfare_cny": _yuan(welfare),
        "welfare_ucny": welfare,
        "dual_bound_cny": _yuan(cleared.bound_ucny),
        "dual_bound_ucny": cleared.bound_ucny,
        "gap": gap_of(cleared.bound_ucny, welfare),
        "reproducible": not cleared.cut_short,
        "utilisation": _share(_total(outcome.prices, "gpus_used"), int(a.capacity.sum())),
        "served_share": _share(awards.height, book.orders.height),
        "gpu_hours_served_share": _share(int(asked[served].sum()), int(asked.sum())),
        "mean_wait_h": _share(int(waits.sum()), waits.len()),
        "turnover_cny": _yuan(_total(awards, "gross_ucny")),
        "transfer_cny": _yuan(_total(awards, "transfer_ucny")),
        "net_cny": _yuan(_total(awards, "net_ucny")),
        "voucher_cny": _yuan(_total(awards, "voucher_ucny")),
        "uplift_cny": _yuan(sum(uplift.values())),
        "uplift_by_pool": {pool: _yuan(value) for pool, value in uplift.items()},
        "carbon_kg": _carbon_kg(book, awards),
        "carbon_term_cny": _yuan(carbon),
        "small_firm_term_cny": _yuan(bonus),
        "vouchers": _vouchers(terms, a, cleared, awards),
        "by_centre": _by_centre(book, outcome.prices, awards),
        "passes": cleared.passes,
        "moves": cleared.moves,
    }


__all__ = ["FORMAT", "REJECTION_SCHEMA", "clear"]
