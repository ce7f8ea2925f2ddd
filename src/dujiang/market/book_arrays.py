"""From a checked book to the arrays of the clearing: whole columns at a time, exact integers throughout.

What orders have in common is worked out once: which pools the same lists, origin and round-trip time reach, how long
the same run time takes in every pool, which vouchers the same class may use.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from dujiang.core.errors import InputError
from dujiang.core.money import MICRO, cny
from dujiang.core.problem import Problem
from dujiang.core.text import Text
from dujiang.market.arrays import BookArrays, Flags, Index, Int
from dujiang.market.outcome import Coupling
from dujiang.policy.terms import VoucherTerms
from dujiang.registry.book import Book

MAX_TERM_UCNY = 2**58
"""Largest carbon term of a block, and sum of all bonuses: with the dearest block beside it they stay inside int64."""
MAX_LIMITS_UCNY = 2**60
"""Largest sum of all effective limits, so that no sum of welfare leaves int64; a thousand billion yuan."""
MAX_DATA = 2**60
"""Largest sum of all data where a link has a capacity, millionths of a GB."""
MAX_PARTS = 3
"""Most vouchers of one award."""
MAX_OPTIONS = 5_000
"""Most sets of vouchers that orders of one book may choose from."""

_SEPARATOR = "\x1f"
"""Between the names of a list, when it is looked at as one text; no name holds a control character."""


def supply(book: Book) -> tuple[Int, Int]:
    """Return accelerators that running awards leave and the ask price of every pool and slot, each of shape (P, T)."""
    shape = book.pools.height, book.slots
    gpus = np.empty(shape, dtype=np.int64)
    ask = np.empty(shape, dtype=np.int64)
    gpus[:] = book.pools["gpus"].to_numpy()[:, None]
    ask[:] = book.pools["ask_ucny_per_gpu_hour"].to_numpy()[:, None]
    exceptions = book.capacity.with_columns(_row_of(book.capacity["pool_id"], book.pools["pool_id"]).alias("pool"))
    gpus[exceptions["pool"], exceptions["slot"]] = exceptions["gpus"]
    priced = exceptions.filter(pl.col("ask_ucny_per_gpu_hour").is_not_null())
    ask[priced["pool"], priced["slot"]] = priced["ask_ucny_per_gpu_hour"]
    running = book.running
    steps = np.zeros((shape[0], shape[1] + 1), dtype=np.int64)
    pool = _row_of(running["pool_id"], book.pools["pool_id"]).to_numpy()
    start, length, held = (running[name].to_numpy() for name in ("start", "slots", "gpus"))
    np.add.at(steps, (pool, np.clip(start, 0, book.slots)), held)
    np.subtract.at(steps, (pool, np.clip(start + length, 0, book.slots)), held)
    return gpus - np.cumsum(steps, axis=1)[:, :-1], ask


def _row_of(names: pl.Series, table: pl.Series) -> pl.Series:
    """Return the row of each name in a table of distinct names."""
    rows = pl.DataFrame({"name": table, "row": np.arange(table.len())}, schema_overrides={"name": pl.String})
    return pl.DataFrame({"name": names}).join(rows, on="name", how="left", maintain_order="left")["row"]


def _pool_regions(book: Book) -> pl.Series:
    centres = book.centres.select("centre_id", "region")
    return book.pools.select("centre_id").join(centres, on="centre_id", how="left", maintain_order="left")["region"]


# ---- places ------------------------------------------------------------------------------------------------------


class _Links(NamedTuple):
    """Links between regions; F origins that orders name, P pools."""

    origin: dict[str | None, int]
    """Row of an origin."""
    reach: Flags
    """[F, P] there is a link, or the pool is in the region itself."""
    tariff: Int
    """[F, P] micro-yuan per GB."""
    rtt_ms: npt.NDArray[np.float64]
    """[F, P]; -1 where no link is needed."""
    route: Index
    """[F, P] limited link; -1: none."""


def _links(book: Book, origins: list[str | None]) -> _Links:
    regions = _pool_regions(book).to_list()
    names = {origin: row for row, origin in enumerate(origins)}
    shape = len(origins), len(regions)
    reach, tariff = np.zeros(shape, dtype=np.bool_), np.zeros(shape, dtype=np.int64)
    rtt, route = np.full(shape, -1.0), np.full(shape, -1, dtype=np.int32)
    if None in names:
        reach[names[None]] = True
    for origin, row in names.items():
        reach[row, [p for p, region in enumerate(regions) if region == origin]] = True
    limited = 0
    columns = book.links.select("origin_region", "region", "ucny_per_gb", "rtt_ms", "gb_per_slot_micro")
    for origin, region, price, milliseconds, left in columns.iter_rows():
        number = -1 if left is None else limited
        limited += left is not None
        if origin not in names or origin == region:
            continue
        at = names[origin], [p for p, name in enumerate(regions) if name == region]
        reach[at], tariff[at], rtt[at], route[at] = True, price, milliseconds, number
    return _Links(names, reach, tariff, rtt, route)


def _link_left(book: Book) -> Int:
    """Return [L, T] what running awards leave of the limited links; their data crosses in their first slot."""
    limited = book.links.filter(pl.col("gb_per_slot_micro").is_not_null())
    left = np.repeat(limited["gb_per_slot_micro"].to_numpy().astype(np.int64)[:, None], book.slots, axis=1)
    rows = {key: row for row, key in enumerate(limited.select("origin_region", "region").iter_rows())}
    regions = dict(zip(book.pools["pool_id"], _pool_regions(book), strict=True))
    for pool, start, data, origin in book.running.select("pool_id", "start", "data_gb_micro", "origin_region").rows():
        row = rows.get((origin, regions[pool]))
        if row is not None and origin != regions[pool] and 0 <= start < book.slots:
            left[row, start] -= data
    return np.ascontiguousarray(left)


def _matches(lists: pl.Series, offered: list[frozenset[str] | None]) -> Flags:
    """Return [R, P]: the place's list is empty, the pool offers everything (None), or they share a name."""
    cache: dict[str, list[bool]] = {}
    for text in lists.unique():
        names = frozenset(text.split(_SEPARATOR)) if text else frozenset()
        cache[text] = [not names or own is None or bool(names & own) for own in offered]
    return np.array([cache[text] for text in lists], dtype=np.bool_).reshape(lists.len(), len(offered))


def _isolated(book: Book, places: pl.DataFrame) -> Flags:
    """Return [R, P]: the pool is in the place's own region, or with no region in the centre that it came from."""
    regions = np.array(_pool_regions(book).to_list(), dtype=object)
    centres = np.array(book.pools["centre_id"].to_list(), dtype=object)
    rows = [
        regions == origin if origin is not None else centres == centre
        for origin, centre in places.select("origin_region", "origin_centre").iter_rows()
    ]
    return np.array(rows, dtype=np.bool_).reshape(places.height, len(centres))


def _joined(name: str) -> pl.Expr:
    return pl.col(name).list.join(_SEPARATOR).alias(name)


class _Places(NamedTuple):
    of_order: Index
    fits: Flags
    tariff: Int
    route: Index


def _places(book: Book, coupling: Coupling) -> _Places:
    """Work out which pools orders may use and what moving data there costs (design 4.2)."""
    # bounds between two round-trip times of the book's links say the same: keep how many links each one lets through
    times = np.unique(np.append(book.links["rtt_ms"].to_numpy(), 0.0))  # within one region nothing is waited for
    bound = book.orders["rtt_ms_max"].fill_null(np.inf).to_numpy()
    columns = book.orders.select(
        _joined("accelerators"),
        _joined("stacks"),
        _joined("regions"),
        "origin_region",
        "origin_centre" if coupling is Coupling.ISOLATED else pl.lit(None, dtype=pl.String).alias("origin_centre"),
        pl.Series("times", np.searchsorted(times, bound, side="right")),
    )
    places = columns.unique(maintain_order=True)
    rows = places.with_row_index("row")
    of_order = columns.join(rows, on=columns.columns, how="left", nulls_equal=True, maintain_order="left")["row"]
    stacks = [frozenset(names) if len(names) else None for names in book.pools["stacks"]]
    fits = _matches(places["accelerators"], [frozenset((name,)) for name in book.pools["accelerator"]])
    fits &= _matches(places["stacks"], stacks)
    fits &= _matches(places["regions"], [frozenset((name,)) for name in _pool_regions(book)])
    links = _links(book, places["origin_region"].unique(maintain_order=True).to_list())
    origin = np.array([links.origin[name] for name in places["origin_region"]], dtype=np.int64)
    fits &= links.reach[origin]
    fits &= np.searchsorted(times, links.rtt_ms, side="left")[origin] < places["times"].to_numpy()[:, None]
    if coupling is Coupling.ISOLATED:
        fits &= _isolated(book, places)
    return _Places(of_order.to_numpy().astype(np.int32), fits, links.tariff[origin], links.route[origin])


# ---- durations and terms of the objective ------------------------------------------------------------------------


def _shapes(book: Book) -> tuple[Index, Index]:
    """Return each order's row of the durations and the durations [D, P] in slots; beyond the round they count as T + 1.

    Durations rise with the run time in every pool, so run times of equal durations stand together once sorted.
    """
    hours, of_order = np.unique(book.orders["hours_micro"].to_numpy(), return_inverse=True)
    speeds, of_pool = np.unique(book.pools["speed_micro"].to_numpy(), return_inverse=True)
    begins = np.zeros(hours.size, dtype=np.bool_)
    begins[:1] = True
    for speed in speeds:
        begins[1:] |= np.diff(np.minimum(-(-hours // speed), book.slots + 1)) != 0
    slots = np.minimum(-(-hours[begins][:, None] // speeds), book.slots + 1)[:, of_pool]
    shape = (np.cumsum(begins) - 1)[of_order.reshape(-1)]
    return shape.astype(np.int32), np.ascontiguousarray(slots, dtype=np.int32)


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
    """Return the welfare bonus of every order (design 4.4).

    Raises
    ------
    InputError : the bonuses together leave the range of exact arithmetic
    """
    rate = book.objective.small_firm_ucny_per_gpu_hour
    if not rate:
        return np.zeros(book.orders.height, dtype=np.int64)
    staff = book.orders.select("enterprise_id").join(
        book.enterprises.select("enterprise_id", "employees"), on="enterprise_id", how="left", maintain_order="left"
    )["employees"]
    small = (staff <= book.objective.small_firm_employees_max).fill_null(value=False).to_numpy()
    work = np.where(small, book.orders["gpus"].to_numpy() * book.orders["hours_micro"].to_numpy(), 0)
    total = float(rate) / MICRO * float(work.sum(dtype=np.float64))
    if total > MAX_TERM_UCNY:
        raise InputError([_too_large("objective.small_firm_cny_per_gpu_hour", int(total), MAX_TERM_UCNY)])
    return np.asarray(work // MICRO * rate + work % MICRO * rate // MICRO, dtype=np.int64)


# ---- vouchers ----------------------------------------------------------------------------------------------------


class _Options(NamedTuple):
    term: Index
    share: Int
    allowed: Flags
    parts: Index
    ceiling: Int


def _sets(terms: VoucherTerms, most: int) -> list[tuple[int, ...]]:
    """Return every set of programmes that some orders may use together in some pool, smaller sets first.

    Raises
    ------
    InputError : there are more than `MAX_OPTIONS`
    """
    count = len(terms.programme_ids)
    usable = [(terms.share_ppm[:, k] > 0).ravel() for k in range(count)]
    sets: list[tuple[int, ...]] = [(), *((k,) for k in range(count))]
    last: list[tuple[tuple[int, ...], Flags]] = [((k,), usable[k]) for k in range(count)]
    for _ in range(2, most + 1):
        wider: list[tuple[tuple[int, ...], Flags]] = []
        for chosen, where in last:
            for k in range(chosen[-1] + 1, count):
                both = where & usable[k]
                if both.any() and all(terms.together[i, k] for i in chosen):
                    wider.append(((*chosen, k), both))
            if len(sets) + len(wider) > MAX_OPTIONS:
                raise InputError([_too_many_sets(terms)])
        sets.extend(chosen for chosen, _ in wider)
        last = wider
    return sets


def _options(book: Book, terms: VoucherTerms) -> _Options:
    """List the sets of vouchers, in which programmes pay in the order of their ids, and who may use them."""
    most = np.minimum(book.orders["max_vouchers"].to_numpy(), MAX_PARTS)
    sets = _sets(terms, int(most.max(initial=0)))
    parts = np.full((len(sets), max(1, *(len(chosen) for chosen in sets))), -1, dtype=np.int32)
    ceiling = np.full(len(sets), MICRO, dtype=np.int64)
    for o, chosen in enumerate(sets):
        parts[o, : len(chosen)] = chosen
        ceiling[o] = min((int(terms.ceiling_ppm[k]) for k in chosen), default=MICRO)
    size = (parts >= 0).sum(axis=1)
    code = terms.term_class.astype(np.int64) * (MAX_PARTS + 1) + most
    codes, term = np.unique(code, return_inverse=True)
    kind, held = np.divmod(codes, MAX_PARTS + 1)
    if not codes.size:
        kind, held = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)
    if terms.share_ppm.shape[0]:
        share = terms.share_ppm[kind]
    else:
        share = np.zeros((kind.size, len(terms.programme_ids), book.pools.height), dtype=np.int64)
    return _Options(
        term=term.reshape(-1).astype(np.int32),
        share=np.ascontiguousarray(share, dtype=np.int64),
        allowed=np.ascontiguousarray(size[None, :] <= held[:, None]),
        parts=parts,
        ceiling=ceiling,
    )


# ---- sizes -------------------------------------------------------------------------------------------------------


def _too_large(field: str, found_ucny: int, most_ucny: int) -> Problem:
    return Problem(
        code="out-of-range",
        file="book.yaml",
        row=None,
        field=field,
        found=f"amounts up to {cny(found_ucny)} CNY",
        expected=Text(f"no more than {cny(most_ucny)} CNY in one round", f"一轮之内不超过 {cny(most_ucny)} 元"),
    )


def _too_many_sets(terms: VoucherTerms) -> Problem:
    return Problem(
        code="too-many-vouchers",
        file="orders",
        row=None,
        field="max_vouchers",
        found=f"more than {MAX_OPTIONS} sets of the {len(terms.programme_ids)} programmes that may be used together",
        expected=Text("fewer programmes, or a smaller max_vouchers", "减少政策项目，或降低 max_vouchers"),
    )


class _Reach(NamedTuple):
    """How far vouchers can lift limits; never below the truth."""

    factor: npt.NDArray[np.float64]
    """[V] most that an effective limit can be of a limit, by the shares alone."""
    endless: list[int]
    """Options with which some order's effective limit may pass `MAX_LIMITS_UCNY`."""


def _reach(a: BookArrays) -> _Reach:
    classes, count = a.share.shape[0], a.budget.size
    limit, room = np.zeros(classes), np.zeros((classes, count))
    np.maximum.at(limit, a.term, a.limit)
    for k in range(count):
        np.maximum.at(room[:, k], a.term, a.room[:, k])
    largest = a.share.max(axis=2, initial=0)
    factor, endless = np.ones(classes), []
    for o in range(1, a.parts.shape[0]):
        parts = a.parts[o][a.parts[o] >= 0]
        open_ = a.allowed[:, o] & np.all(largest[:, parts] > 0, axis=1) & np.all(room[:, parts] > 0, axis=1)
        if not open_.any():
            continue
        for share in (largest[:, parts].sum(axis=1), a.share[:, parts].sum(axis=1).max(axis=1)):
            with np.errstate(divide="ignore"):
                times = MICRO / (MICRO - np.minimum(share, a.ceiling[o]))
            reach = np.minimum(limit * times, limit + room[:, parts].sum(axis=1))
            beyond = bool((open_ & (reach > MAX_LIMITS_UCNY)).any())
            if not beyond:
                break  # else not with shares of different pools together
        factor = np.where(open_, np.maximum(factor, times), factor)
        endless += [o] if beyond else []
    return _Reach(factor, endless)


def _most_bearable(a: BookArrays, reach: _Reach) -> float:
    """Return about the sum of all effective limits, never below it."""
    times = reach.factor[a.term]
    with np.errstate(over="ignore"):
        total = float((a.limit * times).sum())
    if total <= MAX_LIMITS_UCNY:
        return total
    rooms = np.sort(a.room, axis=1)[:, -MAX_PARTS:].sum(axis=1, dtype=np.float64)
    return float(np.where(times > 1.0, np.minimum(a.limit * times, a.limit + rooms), a.limit).sum())


def _check_sizes(book: Book, terms: VoucherTerms, a: BookArrays) -> None:
    """Refuse amounts that would not stay exact.

    Raises
    ------
    InputError : the carbon term of a block, the effective limits together or the data together leave the range of exact
        arithmetic
    """
    problems = []
    longest = min(int(a.slots.max(initial=0)), book.slots)
    term = int(a.carbon.max(initial=0)) * int(a.gpus.max(initial=0)) * longest
    if term > MAX_TERM_UCNY:
        problems.append(_too_large("objective.carbon_cny_per_kg", term, MAX_TERM_UCNY))
    data = float(a.data.sum(dtype=np.float64)) if a.link_left.size else 0.0
    if data > MAX_DATA:
        problems.append(
            Problem(
                code="out-of-range",
                file="orders",
                row=None,
                field="data_gb",
                found=f"{data / MICRO:.3g} GB in all",
                expected=Text(
                    f"no more than {MAX_DATA // MICRO} GB in one round with limited links",
                    f"有限容量链路下，一轮合计不超过 {MAX_DATA // MICRO} GB",
                ),
            )
        )
    reach = _reach(a)
    endless = reach.endless
    smallest = [o for o in endless if not any(_within(a.parts[other], a.parts[o]) for other in endless if other != o)]
    for o in smallest:
        names = [terms.programme_ids[k] for k in a.parts[o] if k >= 0]
        found = "a share of (nearly) the whole, no cap and no budget"
        if len(names) > 1:
            found = f"with {' and '.join(names[1:])} together {found}"
        expected = Text("a cap or a budget, else a limit price is no limit", "须有上限或预算，否则限价失去意义")
        problems.append(Problem("unlimited-voucher", f"{names[0]}.yaml", None, "cap", found, expected))
    total = 0.0 if endless else _most_bearable(a, reach)
    if not problems and total > MAX_LIMITS_UCNY:
        problems.append(_too_large("orders", int(total), MAX_LIMITS_UCNY))
    if problems:
        raise InputError(problems)


def _within(some: Index, all_: Index) -> bool:
    return set(some.tolist()) - {-1} <= set(all_.tolist())


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
    InputError : amounts beyond exact arithmetic, a voucher without any limit, or too many sets of vouchers
    """
    orders = book.orders
    capacity, ask = supply(book)
    places = _places(book, coupling)
    shape, slots = _shapes(book)
    options = _options(book, terms)
    a = BookArrays(
        capacity=np.ascontiguousarray(capacity),
        ask=ask,
        carbon=_carbon(book),
        gpus=_column(orders, "gpus"),
        release=_column(orders, "release"),
        deadline=np.minimum(_column(orders, "deadline"), book.slots),
        limit=_column(orders, "limit_ucny"),
        data=_column(orders, "data_gb_micro"),
        bonus=_bonus(book),
        shape=shape,
        slots=slots,
        place=places.of_order,
        place_first=np.concatenate([[0], np.cumsum(places.fits.sum(axis=1))]).astype(np.int64),
        place_pool=np.nonzero(places.fits)[1].astype(np.int32),
        tariff=np.ascontiguousarray(places.tariff),
        route=np.ascontiguousarray(places.route),
        link_left=_link_left(book),
        contract=np.ascontiguousarray(terms.contract_index, dtype=np.int32),
        term=options.term,
        share=options.share,
        allowed=options.allowed,
        room=np.ascontiguousarray(terms.room_ucny, dtype=np.int64),
        cap=np.ascontiguousarray(terms.cap_index, dtype=np.int32),
        parts=options.parts,
        ceiling=options.ceiling,
        budget=np.ascontiguousarray(terms.budget_left_ucny, dtype=np.int64),
        limited=np.ascontiguousarray(terms.budget_limited, dtype=np.bool_),
        minimum=np.ascontiguousarray(terms.minimum_ucny, dtype=np.int64),
        cap_left=np.ascontiguousarray(terms.cap_left_ucny, dtype=np.int64),
        cap_programme=np.ascontiguousarray(terms.cap_programme, dtype=np.int32),
    )
    _check_sizes(book, terms, a)
    return a


def _column(orders: pl.DataFrame, name: str) -> Int:
    return np.ascontiguousarray(orders[name].to_numpy(), dtype=np.int64)
