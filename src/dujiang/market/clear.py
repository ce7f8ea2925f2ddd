"""One clearing: a book and its voucher terms in, an outcome out.

Decisions (which block, which vouchers) come from the engine. Everything that is money is computed again here, from
integers: payments, vouchers, uplift, the certificate (design 4.5, 4.6).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from dujiang import __version__
from dujiang.core.money import MICRO, cny
from dujiang.core.slots import instant_text
from dujiang.market.amounts import bearable_net, haul, pay
from dujiang.market.arrays import BookArrays
from dujiang.market.book_arrays import book_arrays
from dujiang.market.compiled import loop
from dujiang.market.engine import Cleared, Effort, Progress, gap_of, solve
from dujiang.market.outcome import (
    AWARD_SCHEMA,
    LINK_PRICE_SCHEMA,
    MULTIPLIER_SCHEMA,
    PRICE_SCHEMA,
    VOUCHER_SCHEMA,
    Coupling,
    Outcome,
    Reason,
)
from dujiang.market.rejections import rejection_frame
from dujiang.market.state import prefix_sums
from dujiang.policy.terms import VoucherTerms
from dujiang.registry.book import Book

Int = npt.NDArray[np.int64]

FORMAT = "dujiang.clearing/1"
JOINT = ";"
"""Between the programmes of an award with several vouchers."""


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
    awards with their vouchers, prices, rejections, multipliers and the summary with its certificate
    """
    begin = clock()
    a = book_arrays(book, terms, coupling)
    prepared = clock() - begin
    cleared = solve(a, effort, clock, progress)
    begin = clock()
    outcome = outcome_of(book, terms, coupling, a, cleared)
    seconds = {"arrays": prepared, **cleared.seconds, "outcome": clock() - begin}
    outcome.summary["seconds"] = {phase: round(value, 3) for phase, value in seconds.items()}
    return outcome


def outcome_of(book: Book, terms: VoucherTerms, coupling: Coupling, a: BookArrays, cleared: Cleared) -> Outcome:
    """Work out what an engine's awards and prices mean, in money and for every order.

    Parameters
    ----------
    book, terms, coupling : as for `clear`
    a : the arrays of the book
    cleared : awards, prices and bounds

    Returns
    -------
    the outcome, without the seconds in its summary
    """
    figures = award_figures(a, cleared)
    rank = _by_order(book, figures.order)
    figures = Figures(*(array[rank] for array in figures))
    awards = _awards(book, terms, a, figures)
    outcome = Outcome(
        awards=awards,
        vouchers=_vouchers(awards, terms, a, figures),
        prices=_prices(book, a, cleared),
        link_prices=_link_prices(book, a, cleared),
        rejections=rejection_frame(book, a, cleared.state, cleared.prices.capacity, cleared.prices.link),
        multipliers=_multipliers(terms, a, cleared),
        summary={},
    )
    outcome.summary.update(_summary(book, terms, a, cleared, outcome, coupling))
    return outcome


class Figures(NamedTuple):
    """Awards in figures, one entry each; money in micro-yuan."""

    order: Int
    """Row of the order."""
    pool: Int
    start: Int
    option: Int
    slots: Int
    ask: Int
    """Cost at the ask."""
    price: Int
    """Cost at the published prices."""
    bears: Int
    """Effective limit."""
    gross: Int
    transfer: Int
    voucher: Int
    """[n, M] by the parts of the option."""


@loop
def _figures(a: BookArrays, ask_sum: Int, price_sum: Int, f: Figures) -> None:
    """Fill in what follows from order, pool, start and option."""
    for n in range(f.order.size):
        j, p, t, o = f.order[n], f.pool[n], f.start[n], f.option[n]
        d = a.slots[a.shape[j], p]
        f.slots[n] = d
        f.ask[n] = a.gpus[j] * (ask_sum[p, t + d] - ask_sum[p, t])
        f.price[n] = a.gpus[j] * (price_sum[p, t + d] - price_sum[p, t])
        f.transfer[n] = haul(a.data[j], a.tariff[a.place[j], p])
        f.bears[n] = bearable_net(a, j, p, o, a.limit[j] - f.transfer[n])
        f.gross[n] = max(f.ask[n], min(f.price[n], f.bears[n]))
        pay(a, j, p, o, f.gross[n], f.voucher[n])


def award_figures(a: BookArrays, cleared: Cleared) -> Figures:
    """Return the payments of all awards, by row of the order."""
    s = cleared.state
    order = np.flatnonzero(s.pool >= 0)
    placed = (array[order].astype(np.int64) for array in (s.pool, s.start, s.option))
    empty = (np.empty(order.size, dtype=np.int64) for _ in range(6))
    figures = Figures(order, *placed, *empty, np.zeros((order.size, a.parts.shape[1]), dtype=np.int64))  # type: ignore[call-arg]
    _figures(a, prefix_sums(a.ask), prefix_sums(a.ask + cleared.prices.capacity), figures)
    # The engine's own books: what it took from budgets and caps is what is paid.
    assert np.array_equal(figures.voucher, s.voucher[order]), "the engine counts other vouchers than are paid"
    assert (figures.bears >= figures.ask).all(), "an award below the ask"
    return figures


def _by_order(book: Book, rows: Int) -> Int:
    """Return the rank of some orders by order_id."""
    ids = book.orders["order_id"].gather(rows)
    return ids.arg_sort().to_numpy()


def _option_names(terms: VoucherTerms, a: BookArrays) -> pl.Series:
    """Return the programmes of every option in paying order, null for none."""
    names = [JOINT.join(terms.programme_ids[k] for k in row if k >= 0) or None for row in a.parts.tolist()]
    return pl.Series(names, dtype=pl.String)


def _awards(book: Book, terms: VoucherTerms, a: BookArrays, f: Figures) -> pl.DataFrame:
    orders = book.orders.select("order_id", "enterprise_id", "gpus", "hours_micro")[f.order]
    pools = book.pools.select("pool_id", "centre_id", "speed_micro")[f.pool]
    parts = (a.parts >= 0).sum(axis=1)[f.option]
    first = a.parts[f.option, 0]
    share, room = _terms_of(a, f, first) if a.budget.size else (np.zeros_like(f.order), np.zeros_like(f.order))
    voucher = f.voucher.sum(axis=1)
    frame = pl.DataFrame(
        {
            "order_id": orders["order_id"],
            "pool_id": pools["pool_id"],
            "start": f.start,
            "slots": f.slots,
            "gpus": orders["gpus"],
            "gross_ucny": f.gross,
            "transfer_ucny": f.transfer,
            "voucher_ucny": voucher,
            "net_ucny": f.gross + f.transfer - voucher,
            "programme_id": _option_names(terms, a).gather(f.option),
            "paradoxical": f.price > f.bears,
            "enterprise_id": orders["enterprise_id"],
            "centre_id": pools["centre_id"],
            "ask_cost_ucny": f.ask,
            "price_cost_ucny": f.price,
            "effective_limit_ucny": f.bears,
            "share_ppm": np.where(parts == 1, share, 0),
            "room_ucny": np.where(parts == 1, room, 0),
            "hours_micro": -(-orders["hours_micro"].to_numpy() * MICRO // pools["speed_micro"].to_numpy()),
        },
        schema=AWARD_SCHEMA,
    )
    several = pl.lit(pl.Series(parts > 1))
    return frame.with_columns(
        pl.when(several).then(None).otherwise(pl.col(name)).alias(name) for name in ("share_ppm", "room_ucny")
    )


def _terms_of(a: BookArrays, f: Figures, programme: npt.NDArray[np.int32]) -> tuple[Int, Int]:
    """Return share and room of one programme of each award; those of another where it has none (-1)."""
    return a.share[a.term[f.order], programme, f.pool], a.room[f.order, programme]


def _vouchers(awards: pl.DataFrame, terms: VoucherTerms, a: BookArrays, f: Figures) -> pl.DataFrame:
    row, part = np.nonzero(a.parts[f.option] >= 0)
    programme = a.parts[f.option[row], part]
    picked = Figures(*(array[row] for array in f))
    share, room = _terms_of(a, picked, programme) if a.budget.size else (picked.order, picked.order)
    return pl.DataFrame(
        {
            "order_id": awards["order_id"].gather(row),
            "programme_id": pl.Series(terms.programme_ids, dtype=pl.String).gather(programme),
            "share_ppm": share,
            "room_ucny": room,
            "voucher_ucny": picked.voucher[np.arange(row.size), part],
        },
        schema=VOUCHER_SCHEMA,
    )


def _prices(book: Book, a: BookArrays, cleared: Cleared) -> pl.DataFrame:
    pools, slots = a.capacity.shape
    free = cleared.state.free
    return pl.DataFrame(
        {
            "pool_id": book.pools["pool_id"].gather(np.repeat(np.arange(pools), slots)),
            "slot": np.tile(np.arange(slots, dtype=np.int64), pools),
            "ucny_per_gpu_hour": (a.ask + cleared.prices.capacity).ravel(),
            "gpus_free": free.ravel(),
            "gpus_used": (a.capacity - free).ravel(),
            "ask_ucny_per_gpu_hour": a.ask.ravel(),
        },
        schema=PRICE_SCHEMA,
    ).sort("pool_id", "slot")


def _link_prices(book: Book, a: BookArrays, cleared: Cleared) -> pl.DataFrame:
    links, slots = a.link_left.shape
    named = book.links.filter(pl.col("gb_per_slot_micro").is_not_null())
    assert named.height == links, "one row of the arrays for each link with a capacity"
    row = np.repeat(np.arange(links), slots)
    return pl.DataFrame(
        {
            "origin_region": named["origin_region"].gather(row),
            "region": named["region"].gather(row),
            "slot": np.tile(np.arange(slots, dtype=np.int64), links),
            "gb_per_slot_micro": a.link_left.ravel(),
            "gb_used_micro": (a.link_left - cleared.state.link).ravel(),
            "ucny_per_gb": cleared.prices.link.ravel(),
        },
        schema=LINK_PRICE_SCHEMA,
    )


def _multipliers(terms: VoucherTerms, a: BookArrays, cleared: Cleared) -> pl.DataFrame:
    s, prices = cleared.state, cleared.prices
    ids = pl.Series(terms.programme_ids, dtype=pl.String)
    used = a.cap_left - s.cap
    caps = np.flatnonzero((used > 0) | (prices.cap > 0) | (prices.cap_paid > 0))
    budgets = np.flatnonzero(a.limited)

    def rows(programme: pl.Series, enterprise: pl.Series, *amounts: Int) -> pl.DataFrame:
        columns = dict(zip(MULTIPLIER_SCHEMA, (programme, enterprise, *amounts), strict=True))
        return pl.DataFrame(columns, schema=MULTIPLIER_SCHEMA)

    of_budgets = rows(
        ids.gather(budgets),
        pl.Series([None] * budgets.size, dtype=pl.String),
        a.budget[budgets],
        (a.budget - s.budget)[budgets],
        prices.budget[budgets],
        prices.budget_paid[budgets],
    )
    of_caps = rows(
        ids.gather(a.cap_programme[caps]),
        terms.cap_enterprise.gather(caps),
        a.cap_left[caps],
        used[caps],
        prices.cap[caps],
        prices.cap_paid[caps],
    )
    return pl.concat([of_budgets, of_caps]).sort("programme_id", "enterprise_id", nulls_last=False)


def _share(part: int | float, whole: int | float) -> float:
    return float(part / whole) if whole else 0.0


def _yuan(ucny: int) -> float:
    """Return micro-yuan as yuan for people and plots; the exact integer stands beside it where it matters."""
    return float(cny(ucny))


def exact_sum(values: Int) -> int:
    """Return the sum of 64-bit integers, which need not fit 64 bits itself."""
    return (int((values >> 32).sum()) << 32) + int((values & 0xFFFFFFFF).sum())


def _total(frame: pl.DataFrame, column: str) -> int:
    return exact_sum(frame[column].to_numpy())


def _voucher_rows(terms: VoucherTerms, a: BookArrays, cleared: Cleared, vouchers: pl.DataFrame) -> list[dict[str, Any]]:
    spent = vouchers.group_by("programme_id").agg(pl.col("voucher_ucny").sum(), pl.len())
    by_id = {programme: (amount, awards) for programme, amount, awards in spent.iter_rows()}
    out = []
    for k, programme in enumerate(terms.programme_ids):
        amount, awards = by_id.get(programme, (0, 0))
        out.append(
            {
                "programme_id": programme,
                "budget_left_cny": _yuan(int(a.budget[k])) if a.limited[k] else None,
                "spent_cny": _yuan(amount),
                "awards": awards,
                "multiplier": int(cleared.prices.budget[k]) / MICRO,
                "multiplier_paid": int(cleared.prices.budget_paid[k]) / MICRO,
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
    """Return the discount against the price by pool, pools without any left out, micro-yuan."""
    uplift = pl.col("price_cost_ucny") - pl.col("gross_ucny")
    high, low = uplift // 2**32, uplift % 2**32  # a sum of prices, unlike one of payments, need not fit 64 bits
    totals = awards.group_by("pool_id").agg(high=high.sum(), low=low.sum()).sort("pool_id")
    found = {pool: (high << 32) + low for pool, high, low in totals.iter_rows()}
    return {pool: amount for pool, amount in found.items() if amount}


def _terms_of_objective(a: BookArrays, cleared: Cleared) -> tuple[int, int]:
    """Return the carbon and the small-firm term of the welfare, micro-yuan."""
    s = cleared.state
    rows = np.flatnonzero(s.pool >= 0)
    carbon = a.carbon[s.pool[rows]] * a.gpus[rows] * a.slots[a.shape[rows], s.pool[rows]]
    return exact_sum(carbon), exact_sum(a.bonus[rows])


def _carbon_kg(book: Book, awards: pl.DataFrame) -> float | None:
    """Return the carbon of all awards at full use, kg; None if any figure of a used pool is unknown."""
    facts = book.pools.join(book.centres, on="centre_id").select(
        "pool_id", rate=pl.col("watts_per_gpu") / 1000 * pl.col("pue") * pl.col("grid_kgco2_per_kwh")
    )
    joined = awards.join(facts, on="pool_id", how="left").sort("order_id")
    kg = joined.select(kg=pl.col("gpus") * pl.col("hours_micro") / MICRO * pl.col("rate"))["kg"]
    return None if kg.null_count() else float(kg.sum())


def _certificate(cleared: Cleared) -> dict[str, Any]:
    welfare = exact_sum(cleared.state.worth)
    bound, paid = cleared.bound_ucny, cleared.bound_at_prices_ucny
    return {
        "welfare_cny": _yuan(welfare),
        "welfare_ucny": welfare,
        "dual_bound_cny": _yuan(bound),
        "dual_bound_ucny": bound,
        "gap": gap_of(bound, welfare),
        "dual_bound_at_prices_cny": _yuan(paid),
        "dual_bound_at_prices_ucny": paid,
        "gap_at_prices": gap_of(paid, welfare),
    }


def _summary(
    book: Book, terms: VoucherTerms, a: BookArrays, cleared: Cleared, outcome: Outcome, coupling: Coupling
) -> dict[str, Any]:
    awards = outcome.awards
    carbon, bonus = _terms_of_objective(a, cleared)
    reasons = dict(outcome.rejections.group_by("reason").len().iter_rows())
    uplift = _uplift(awards)
    served = cleared.state.pool >= 0
    wait = exact_sum(cleared.state.start[served].astype(np.int64) - a.release[served])
    asked: Int = a.gpus * book.orders["hours_micro"].to_numpy()
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
        **_certificate(cleared),
        "reproducible": not cleared.cut_short,
        "utilisation": _share(_total(outcome.prices, "gpus_used"), exact_sum(a.capacity.ravel())),
        "served_share": _share(awards.height, book.orders.height),
        "gpu_hours_served_share": _share(exact_sum(asked[served]), exact_sum(asked)),
        "mean_wait_h": _share(wait, awards.height),
        "turnover_cny": _yuan(_total(awards, "gross_ucny")),
        "transfer_cny": _yuan(_total(awards, "transfer_ucny")),
        "net_cny": _yuan(_total(awards, "net_ucny")),
        "voucher_cny": _yuan(_total(awards, "voucher_ucny")),
        "uplift_cny": _yuan(sum(uplift.values())),
        "uplift_by_pool": {pool: _yuan(value) for pool, value in uplift.items()},
        "carbon_kg": _carbon_kg(book, awards),
        "carbon_term_cny": _yuan(carbon),
        "small_firm_term_cny": _yuan(bonus),
        "vouchers": _voucher_rows(terms, a, cleared, outcome.vouchers),
        "by_centre": _by_centre(book, outcome.prices, awards),
        "passes": cleared.passes,
        "moves": cleared.moves,
    }


__all__ = ["FORMAT", "clear", "outcome_of"]
