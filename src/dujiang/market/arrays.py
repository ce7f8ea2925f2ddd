"""The narrow interface of the clearing: a book as plain arrays, in exact units and canonical order.

Row meaning: J orders (rows of `book.orders`), P pools (rows of `book.pools`), T slots, K programmes. A voucher option
is an index 0..K: 0 is "no voucher", k is programme k - 1. An engine sees nothing but these arrays.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from dujiang.core.errors import InputError
from dujiang.core.money import FEN, MICRO, cny, div_half_even
from dujiang.core.problem import Problem
from dujiang.core.text import Text
from dujiang.market.outcome import Coupling
from dujiang.policy.terms import VoucherTerms
from dujiang.registry.book import Book

Int = npt.NDArray[np.int64]

MAX_PRICE_UCNY = 10_000 * MICRO
"""Highest price per GPU-hour that a round publishes; with the limits of `check` no cost can overflow int64."""
MAX_TERM_UCNY = 2**58
"""Largest carbon term of a block, and sum of all bonuses: with the dearest block beside it they stay inside int64."""
MAX_LIMITS_UCNY = 2**60
"""Largest sum of all effective limits, so that no sum of welfare leaves int64; a thousand billion yuan."""
UNUSABLE = -1
"""Effective limit of an option that an order may not use."""


class BookArrays(NamedTuple):
    """A book as arrays, all int64 and C-contiguous."""

    capacity: Int
    """[P, T] accelerators free."""
    ask: Int
    """[P, T] reserve price, micro-yuan per GPU-hour."""
    carbon: Int
    """[P] carbon term, micro-yuan per GPU-slot; zero unless the round asks for it."""
    gpus: Int
    """[J] accelerators of an order."""
    release: Int
    """[J] first slot."""
    deadline: Int
    """[J] slot before which it must have ended, cut at the end of the round."""
    slots: Int
    """[J, P] duration in slots; 0: the pool is not compatible."""
    transfer: Int
    """[J, P] transfer cost, micro-yuan."""
    limit: Int
    """[J, P, K+1] effective limit, micro-yuan; UNUSABLE where the option is not open (design 4.3)."""
    share: Int
    """[J, P, K+1] voucher share, ppm."""
    room: Int
    """[J, K+1] most that one voucher can be, micro-yuan."""
    cap: Int
    """[J, K+1] row of `cap_left` that the voucher draws on; -1: none."""
    contract: Int
    """[J] contract of the order; a contract uses a programme once."""
    bonus: Int
    """[J] welfare bonus of small firms, micro-yuan."""
    budget: Int
    """[K+1] budget left, micro-yuan; entry 0 and programmes without a stated budget: practically unlimited."""
    limited: npt.NDArray[np.bool_]
    """[K+1] whether the programme has a budget."""
    cap_left: Int
    """[C] what is left under each enterprise's cap, micro-yuan."""
    cap_option: Int
    """[C] option whose cap it is."""
    minimum: Int
    """[K+1] least voucher, micro-yuan."""


def effective_limit(net_limit: Int, share_ppm: Int, room: Int) -> Int:
    """Return the greatest gross payment that an order can bear (design 4.3).

    Parameters
    ----------
    net_limit : limit less transfer, micro-yuan, any shape
    share_ppm, room : voucher share and the most that the voucher can be, same shape

    Returns
    -------
    ``min(net_limit / (1 - share), net_limit + room)`` in whole micro-yuan, cut down; UNUSABLE where net_limit <= 0
    """
    rest = np.maximum(MICRO - share_ppm, 1)
    whole, part = np.divmod(net_limit, rest)
    by_share = np.where(whole < 4 * 10**12, whole * MICRO + part * MICRO // rest, np.iinfo(np.int64).max)
    by_share = np.where(share_ppm >= MICRO, np.iinfo(np.int64).max, by_share)
    bearable = np.minimum(by_share, net_limit + np.minimum(room, 4 * 10**18))
    return np.where(net_limit > 0, bearable, UNUSABLE)


def share_floor_array(amount: Int, share_ppm: Int) -> Int:
    """Return shares of amounts, cut down, without overflow for amounts to 9e18 and shares to 1e6 ppm."""
    whole, part = np.divmod(amount, MICRO)
    return whole * share_ppm + part * share_ppm // MICRO


def supply(book: Book) -> tuple[Int, Int]:
    """Return accelerators free and ask price of every pool and slot, each of shape (P, T)."""
    pools = {pool: row for row, pool in enumerate(book.pools["pool_id"])}
    gpus = np.repeat(book.pools["gpus"].to_numpy()[:, None], book.slots, axis=1).astype(np.int64)
    ask = np.repeat(book.pools["ask_ucny_per_gpu_hour"].to_numpy()[:, None], book.slots, axis=1).astype(np.int64)
    for pool, slot, free, price in book.capacity.select("pool_id", "slot", "gpus", "ask_ucny_per_gpu_hour").iter_rows():
        gpus[pools[pool], slot] = free
        if price is not None:
            ask[pools[pool], slot] = price
    return gpus, ask


def _any_of(lists: pl.Series, offered: list[frozenset[str] | None]) -> npt.NDArray[np.bool_]:
    """Return [J, P]: the order's list is empty, the pool offers everything (None), or they share a name."""
    out = np.ones((lists.len(), len(offered)), dtype=np.bool_)
    cache: dict[tuple[str, ...], npt.NDArray[np.bool_]] = {}
    for row, names in enumerate(lists):
        key = tuple(names)
        if not key:
            continue
        if key not in cache:
            wanted = frozenset(key)
            cache[key] = np.array([names_ is None or bool(wanted & names_) for names_ in offered])
        out[row] = cache[key]
    return out


def _pool_regions(book: Book) -> list[str]:
    regions = dict(zip(book.centres["centre_id"], book.centres["region"], strict=True))
    return [regions[centre] for centre in book.pools["centre_id"]]


def _links(book: Book) -> tuple[npt.NDArray[np.bool_], Int]:
    """Return per order and pool whether a link within the round-trip time exists, and the transfer cost."""
    regions = _pool_regions(book)
    table = {
        (o, r): (c, rtt)
        for o, r, c, rtt in book.links.select("origin_region", "region", "ucny_per_gb", "rtt_ms").iter_rows()
    }
    count = book.orders.height
    reach = np.ones((count, len(regions)), dtype=np.bool_)
    cost = np.zeros((count, len(regions)), dtype=np.int64)
    columns = book.orders.select("origin_region", "rtt_ms_max", "data_gb_micro")
    cache: dict[tuple[str, float | None, int], tuple[list[bool], list[int]]] = {}
    for row, (origin, rtt_max, data) in enumerate(columns.iter_rows()):
        if origin is None:
            continue
        key = (origin, rtt_max, data)
        if key not in cache:
            reached, costs = [], []
            for region in regions:
                link = (0, 0.0) if region == origin else table.get((origin, region))
                reached.append(link is not None and (rtt_max is None or link[1] <= rtt_max))
                costs.append(0 if link is None else div_half_even(data * link[0], MICRO * FEN) * FEN)
            cache[key] = (reached, costs)
        reach[row], cost[row] = cache[key]
    return reach, cost


def _isolated(book: Book) -> npt.NDArray[np.bool_]:
    """Return [J, P]: the pool is in the order's own region, or with no region in the centre it came from."""
    regions = np.array(_pool_regions(book), dtype=object)
    centres = np.array(book.pools["centre_id"].to_list(), dtype=object)
    rows = [
        regions == origin if origin is not None else centres == centre
        for origin, centre in book.orders.select("origin_region", "origin_centre").iter_rows()
    ]
    return np.array(rows, dtype=np.bool_).reshape(book.orders.height, len(centres))


def compatibility(book: Book, coupling: Coupling) -> tuple[npt.NDArray[np.bool_], Int]:
    """Return which pools each order may use and the transfer cost there, each of shape (J, P) (design 4.2)."""
    accelerators: list[frozenset[str] | None] = [frozenset((name,)) for name in book.pools["accelerator"]]
    stacks = [frozenset(names) if len(names) else None for names in book.pools["stacks"]]
    regions: list[frozenset[str] | None] = [frozenset((name,)) for name in _pool_regions(book)]
    fits = _any_of(book.orders["accelerators"], accelerators)
    fits &= _any_of(book.orders["stacks"], stacks)
    fits &= _any_of(book.orders["regions"], regions)
    reach, transfer = _links(book)
    fits &= reach
    if coupling is Coupling.ISOLATED:
        fits &= _isolated(book)
    return fits, transfer


def _carbon(book: Book) -> Int:
    price = book.objective.carbon_ucny_per_kg
    if not price:
        return np.zeros(book.pools.height, dtype=np.int64)
    joined = book.pools.join(book.centres, on="centre_id", how="left", maintain_order="left")
    rates = [
        round(watts / 1000 * pue * grid * price)
        for watts, pue, grid in joined.select("watts_per_gpu", "pue", "grid_kgco2_per_kwh").iter_rows()
    ]
    return np.array(rates, dtype=np.int64)


def _bonus(book: Book) -> Int:
    rate = book.objective.small_firm_ucny_per_gpu_hour
    if not rate:
        return np.zeros(book.orders.height, dtype=np.int64)
    joined = book.orders.select("enterprise_id", "gpus", "hours_micro").join(
        book.enterprises.select("enterprise_id", "employees"), on="enterprise_id", how="left", maintain_order="left"
    )
    most = book.objective.small_firm_employees_max
    bonuses = [
        rate * gpus * hours // MICRO if employees is not None and employees <= most else 0
        for gpus, hours, employees in joined.select("gpus", "hours_micro", "employees").iter_rows()
    ]
    if sum(bonuses) > MAX_TERM_UCNY:
        raise InputError([_too_large("objective.small_firm_cny_per_gpu_hour", sum(bonuses), MAX_TERM_UCNY)])
    return np.array(bonuses, dtype=np.int64)


def _too_large(field: str, found_ucny: int, most_ucny: int) -> Problem:
    return Problem(
        code="out-of-range",
        file="book.yaml",
        row=None,
        field=field,
        found=f"amounts up to {cny(found_ucny)} CNY",
        expected=Text(f"no more than {cny(most_ucny)} CNY in one round", f"一轮之内不超过 {cny(most_ucny)} 元"),
    )


def _check_sizes(book: Book, terms: VoucherTerms, a: BookArrays) -> None:
    """Refuse amounts that would not stay exact.

    Raises
    ------
    InputError : the carbon term of a block, or the effective limits together, leave the range of exact arithmetic
    """
    problems = []
    longest = min(int(a.slots.max(initial=0)), book.slots)
    term = int(a.carbon.max(initial=0)) * int(a.gpus.max(initial=0)) * longest
    if term > MAX_TERM_UCNY:
        problems.append(_too_large("objective.carbon_cny_per_kg", term, MAX_TERM_UCNY))
    most = a.limit.max(axis=(0, 1), initial=UNUSABLE)
    for k, programme in enumerate(terms.programme_ids, start=1):
        if most[k] > MAX_LIMITS_UCNY:
            found = "a share of (nearly) the whole, no cap and no budget"
            expected = Text("a cap or a budget, else a limit price is no limit", "须有上限或预算，否则限价失去意义")
            problems.append(Problem("unlimited-voucher", f"{programme}.yaml", None, "cap", found, expected))
    total = sum(a.limit.max(axis=(1, 2), initial=0).tolist())
    if not problems and total > MAX_LIMITS_UCNY:
        problems.append(_too_large("orders", total, MAX_LIMITS_UCNY))
    if problems:
        raise InputError(problems)


def book_arrays(book: Book, terms: VoucherTerms, coupling: Coupling) -> BookArrays:
    """Turn a checked book and the voucher terms of the round into arrays.

    Parameters
    ----------
    book : the round's book
    terms : share, room, budgets and caps of every order, pool and programme
    coupling : which centres an order may use

    Returns
    -------
    the arrays that an engine clears

    Raises
    ------
    InputError : amounts beyond exact arithmetic, or a voucher without any limit
    """
    orders, pools = book.orders, book.pools
    capacity, ask = supply(book)
    fits, transfer = compatibility(book, coupling)
    hours = orders["hours_micro"].to_numpy()[:, None]
    slots = -(-hours // pools["speed_micro"].to_numpy()[None, :])
    slots = np.where(fits, slots, 0).astype(np.int64)
    options = len(terms.programme_ids) + 1
    shape = (orders.height, pools.height)
    share = np.zeros((*shape, options), dtype=np.int64)
    share[:, :, 1:] = np.moveaxis(terms.share_ppm, 0, 2)
    share[orders["max_vouchers"].to_numpy() < 1] = 0
    room = np.zeros((orders.height, options), dtype=np.int64)
    room[:, 1:] = terms.room_ucny.T
    net = orders["limit_ucny"].to_numpy()[:, None, None] - transfer[:, :, None]
    limit = effective_limit(np.broadcast_to(net, share.shape), share, np.broadcast_to(room[:, None, :], share.shape))
    no_voucher = (share <= 0) | (room[:, None, :] <= 0)
    no_voucher[:, :, 0] = False
    limit[no_voucher | (slots == 0)[:, :, None]] = UNUSABLE
    minimum = np.concatenate([np.zeros(1, dtype=np.int64), terms.minimum_ucny]).astype(np.int64)
    most = np.minimum(share_floor_array(limit, share), room[:, None, :])
    limit[:, :, 1:][most[:, :, 1:] < np.maximum(minimum[1:], 1)] = UNUSABLE
    cap = np.full((orders.height, options), -1, dtype=np.int64)
    cap[:, 1:] = terms.cap_index.T
    first = np.zeros(1, dtype=np.int64)
    a = BookArrays(
        capacity=np.ascontiguousarray(capacity),
        ask=np.ascontiguousarray(ask),
        carbon=_carbon(book),
        gpus=orders["gpus"].to_numpy().astype(np.int64),
        release=orders["release"].to_numpy().astype(np.int64),
        deadline=np.minimum(orders["deadline"].to_numpy(), book.slots).astype(np.int64),
        slots=np.ascontiguousarray(slots),
        transfer=np.ascontiguousarray(transfer),
        limit=np.ascontiguousarray(limit),
        share=np.ascontiguousarray(share),
        room=room,
        cap=cap,
        contract=terms.contract_index.astype(np.int64),
        bonus=_bonus(book),
        budget=np.concatenate([first + np.iinfo(np.int64).max // 4, terms.budget_left_ucny]).astype(np.int64),
        limited=np.concatenate([np.zeros(1, dtype=np.bool_), terms.budget_limited]),
        cap_left=terms.cap_left_ucny.astype(np.int64),
        cap_option=(terms.cap_programme + 1).astype(np.int64),
        minimum=minimum,
    )
    _check_sizes(book, terms, a)
    return a
