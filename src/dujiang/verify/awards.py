"""Rules on awards: known, inside the window, compatible, correctly priced, within limits, budgets, links, capacity."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl

from dujiang.verify import amounts
from dujiang.verify.amounts import Exact, Part
from dujiang.verify.blocks import Flags, Posted
from dujiang.verify.book import Book
from dujiang.verify.cells import MICRO, Ints
from dujiang.verify.options import Options
from dujiang.verify.results import AWARDS
from dujiang.verify.sums import sums_by
from dujiang.verify.support import MOST_VOUCHERS, Programmes
from dujiang.verify.verdict import Sheet, shown

HUGE = 10**12
"""A count or an amount of data in a file is taken for no more: what is above is wrong anyway, and sums must fit."""
JOINT = ";"
"""Between the programmes of an award with several vouchers."""


@dataclass(frozen=True, slots=True)
class Derived:
    """Awards whose place is possible, with their figures worked out again from the book and the prices alone."""

    rows: pl.DataFrame
    """The rows of the file."""
    order: Ints
    """Row of the book's orders, as are the pools of `Options`."""
    pool: Ints
    start: Ints
    slots: Ints
    transfer_ucny: Exact
    ask_cost_ucny: Exact
    price_cost_ucny: Exact
    effective_limit_ucny: Exact
    gross_ucny: Exact
    programme: Ints
    """[awards, MOST_VOUCHERS] numbers of the programmes that pay, in that order, -1 for none."""
    share_ppm: Ints
    """The same shape: share of each voucher, 0 for none."""
    room_ucny: Ints
    voucher_ucny: Exact
    ceiling_ppm: Ints
    """By award: most of the gross amount that its vouchers may bear together."""
    bonus_ucny: Ints
    carbon_ucny: Exact

    @property
    def support_ucny(self) -> Exact:
        """All vouchers of each award."""
        total: Exact = self.voucher_ucny.sum(axis=1)
        return total

    @property
    def welfare_ucny(self) -> Exact:
        """Effective limit less ask cost, with the optional terms (design 4.4)."""
        welfare: Exact = self.effective_limit_ucny - self.ask_cost_ucny - self.carbon_ucny + self.bonus_ucny
        return welfare

    @property
    def uplift_ucny(self) -> Exact:
        """Discount against the price (design 4.6 d)."""
        uplift: Exact = np.maximum(self.price_cost_ucny - self.gross_ucny, 0)
        return uplift


@dataclass(frozen=True, slots=True)
class Placed:
    """Rows of awards.parquet whose order and pool are known."""

    rows: pl.DataFrame
    order: Ints
    pool: Ints

    def where(self, column: str = "") -> Callable[[int], str]:
        """Return where a row stands, or a cell of it."""
        return lambda row: f"awards.parquet:{self.rows['order_id'][row]}{column and ':'}{column}"

    def ints(self, column: str) -> Ints:
        """Return a column of whole numbers."""
        return self.rows[column].to_numpy()

    def pick(self, rows: Flags) -> "Placed":
        """Return some of the rows."""
        return Placed(self.rows.filter(rows), self.order[rows], self.pool[rows])


def check_once(book: Book, awards: pl.DataFrame, rejections: pl.DataFrame, sheet: Sheet) -> None:
    """Every order of the book is awarded or rejected, exactly once, and nothing else is (design 9.1)."""
    ids = book.orders.ids
    tables = {"awards.parquet": awards["order_id"], "rejections.parquet": rejections["order_id"]}
    counts = []
    for file, named in tables.items():
        counted = named.rename("id").to_frame().group_by("id", maintain_order=True).len()
        stranger = counted.filter(~pl.col("id").is_in(ids.implode()))["id"].to_list()
        for order_id in stranger:
            sheet.hold(False, "known", f"{file}:{order_id}", order_id, "an order of the book", "需求簿中的订单")
        sheet.checks["known"] += counted.height - len(stranger)
        found = ids.rename("id").to_frame().join(counted, on="id", how="left", maintain_order="left")["len"]
        counts.append(found.fill_null(0).cast(pl.Int64).to_numpy())
    sheet.hold_rows(
        counts[0] + counts[1] == 1,
        "once",
        lambda row: f"orders:{ids[row]}",
        lambda row: f"{counts[0][row]} awards, {counts[1][row]} rejections",
        lambda _: ("one of the two, once", "二者之一，恰好一次"),
    )


def place(options: Options, awards: pl.DataFrame, sheet: Sheet) -> Placed:
    """Look up orders and pools of awards; what is not known is a finding and left out (orders: by `check_once`)."""
    orders = options.book.orders.ids.rename("order_id").to_frame().with_row_index("order")
    pools = pl.DataFrame({"pool_id": list(options.pool_row), "pool": list(options.pool_row.values())})
    rows = awards.join(orders, on="order_id", how="left", maintain_order="left")
    rows = rows.join(pools, on="pool_id", how="left", maintain_order="left")
    sheet.hold_rows(
        rows["pool"].is_not_null().to_numpy(),
        "known",
        lambda row: f"awards.parquet:{awards['order_id'][row]}:pool_id",
        lambda row: awards["pool_id"][row],
        lambda _: ("a pool", "已知资源池"),
    )
    rows = rows.drop_nulls(["order", "pool"])
    order, pool = (rows[name].cast(pl.Int64).to_numpy() for name in ("order", "pool"))
    return Placed(rows.select(list(AWARDS.columns)), order, pool)


def check_places(options: Options, placed: Placed, sheet: Sheet) -> Placed:
    """Check who and where: enterprise, centre, compatibility, gang, exact duration, window (design 4.2).

    Returns
    -------
    the awards that lie inside the round
    """
    book, orders = options.book, options.book.orders
    firms = pl.Series(book.enterprise_ids, dtype=pl.String).gather(orders.enterprise[placed.order])
    centres = pl.Series([pool.centre_id for pool in options.pools], dtype=pl.String).gather(placed.pool)
    sheet.same_rows("known", placed.where("enterprise_id"), placed.rows["enterprise_id"], firms)
    sheet.same_rows("known", placed.where("centre_id"), placed.rows["centre_id"], centres)
    sheet.hold_rows(
        options.fits[orders.place[placed.order], placed.pool],
        "compatible",
        placed.where(),
        lambda row: placed.rows["pool_id"][row],
        lambda _: ("a compatible pool", "兼容的资源池"),
    )
    for name, expected in (
        ("gpus", orders.gpus[placed.order]),
        ("slots", options.run_slots(placed.order, placed.pool)),
        ("hours_micro", options.run_hours_micro(placed.order, placed.pool)),
    ):
        sheet.same_rows("window", placed.where(name), placed.rows[name], pl.Series(expected))
    start, slots = placed.ints("start"), placed.ints("slots")
    release, end = orders.release[placed.order], options.deadline[placed.order]

    def span(row: int) -> tuple[str, str]:
        text = f"{release[row]} <= start, start + slots <= {end[row]}"
        return text, text

    inside = (release <= start) & (start <= end) & (slots <= end - np.minimum(start, end))
    found = lambda row: f"start {start[row]}, slots {slots[row]}"  # noqa: E731 - as short as the rest
    sheet.hold_rows(inside, "window", placed.where(), found, span)
    possible = (
        (start >= 0) & (slots > 0) & (start <= book.slots) & (slots <= book.slots - np.minimum(start, book.slots))
    )
    return placed.pick(possible)


def used_capacity(options: Options, awards: pl.DataFrame, sheet: Sheet) -> Ints:
    """No pool runs more than it has free in any slot (design 4.1, 9.2); return [P, T] what runs."""
    rows = awards.filter(pl.col("pool_id").is_in(list(options.pool_row)))
    pool = rows["pool_id"].replace_strict(options.pool_row, return_dtype=pl.Int64).to_numpy()
    slots = options.book.slots
    first, last = rows["start"].to_numpy(), rows["slots"].to_numpy()
    end = np.clip(np.clip(first, -HUGE, HUGE) + np.clip(last, 0, HUGE), 0, slots)
    gpus = np.clip(rows["gpus"].to_numpy(), -HUGE, HUGE)
    steps = np.zeros((len(options.pools), slots + 1), dtype=np.int64)
    np.add.at(steps, (pool, np.clip(first, 0, slots)), gpus)
    np.subtract.at(steps, (pool, np.maximum(end, np.clip(first, 0, slots))), gpus)
    used = np.cumsum(steps, axis=1)[:, :slots]
    over = (used <= options.capacity).ravel()

    def cell(row: int) -> tuple[int, int]:
        return divmod(row, slots)

    sheet.hold_rows(
        over,
        "capacity",
        lambda row: f"awards.parquet:{options.pools[cell(row)[0]].pool_id}:{cell(row)[1]}",
        lambda row: used[cell(row)],
        lambda row: (f"at most {options.capacity[cell(row)]} accelerators", f"至多 {options.capacity[cell(row)]} 卡"),
    )
    return used


def used_links(options: Options, placed: Placed, sheet: Sheet) -> Ints:
    """No more data starts to cross a limited link in a slot than may (design 4.2); return [L, T] what does."""
    route = options.route[options.book.orders.place[placed.order], placed.pool]
    data, start = options.book.orders.data_gb_micro[placed.order], placed.ints("start")
    used = np.zeros((len(options.links), options.book.slots), dtype=np.int64)
    crosses = (route >= 0) & (start >= 0) & (start < options.book.slots)
    np.add.at(used, (route[crosses], start[crosses]), data[crosses])
    left = options.link_left
    names = [f"{link.origin_region}:{link.region}" for link in options.links]

    def cell(row: int) -> tuple[int, int]:
        return divmod(row, options.book.slots)

    sheet.hold_rows(
        (used <= left).ravel(),
        "links",
        lambda row: f"awards.parquet:{names[cell(row)[0]]}:{cell(row)[1]}",
        lambda row: used[cell(row)],
        lambda row: (f"at most {left[cell(row)]} millionths of a GB", f"至多 {left[cell(row)]} 百万分之一 GB"),
    )
    return used


def check_vouchers_file(
    programmes: Programmes, placed: Placed, awards: pl.DataFrame, vouchers: pl.DataFrame, sheet: Sheet
) -> tuple[Ints, pl.DataFrame]:
    """Check that vouchers.parquet tells the vouchers of every award, and awards.parquet sums them up (design 4.3, 7).

    Returns
    -------
    [awards, MOST_VOUCHERS] programmes of the placed awards in paying order, -1 for none; and the rows of the file with
    the number of their programme and the place among the vouchers of their award
    """
    number = pl.DataFrame({"programme_id": programmes.ids, "programme": range(len(programmes.ids))}, strict=False)
    number = number.cast({"programme_id": pl.String, "programme": pl.Int64})
    rows = vouchers.join(number, on="programme_id", how="left", maintain_order="left")
    rows = rows.with_columns(part=pl.int_range(pl.len()).over("order_id"))

    def where(row: int) -> str:
        return f"vouchers.parquet:{vouchers['order_id'][row]}:{vouchers['programme_id'][row]}"

    sheet.hold_rows(
        rows["programme"].is_not_null().to_numpy(),
        "known",
        where,
        lambda row: vouchers["programme_id"][row],
        lambda _: ("a programme", "已知政策项目"),
    )
    sheet.hold_rows(
        vouchers["order_id"].is_in(awards["order_id"].implode()).to_numpy(),
        "vouchers",
        where,
        lambda row: vouchers["order_id"][row],
        lambda _: ("an order with an award", "中标订单"),
    )
    told = rows.group_by("order_id", maintain_order=True).agg(
        ids=pl.col("programme_id").str.join(JOINT),
        share_ppm=pl.when(pl.len() == 1).then(pl.col("share_ppm").first()),
        room_ucny=pl.when(pl.len() == 1).then(pl.col("room_ucny").first()),
        several=pl.len() > 1,
    )
    mine = placed.rows.select("order_id").join(told, on="order_id", how="left", maintain_order="left")
    sheet.same_rows("vouchers", placed.where("programme_id"), placed.rows["programme_id"], mine["ids"])
    for name in ("share_ppm", "room_ucny"):
        none = pl.when(mine["several"].is_null()).then(0).otherwise(mine[name])
        sheet.same_rows("vouchers", placed.where(name), placed.rows[name], pl.select(none).to_series())
    parts = np.full((placed.order.size, MOST_VOUCHERS), -1, dtype=np.int64)
    award = placed.rows.select("order_id").with_row_index("award").unique("order_id", keep="first")
    known = rows.join(award, on="order_id", how="inner").filter(pl.col("part") < MOST_VOUCHERS)
    at = (known[name].cast(pl.Int64).to_numpy() for name in ("award", "part"))
    parts[tuple(at)] = known["programme"].fill_null(-1).to_numpy()
    return parts, rows


def derive(options: Options, placed: Placed, parts: Ints, posted: Posted, sheet: Sheet) -> Derived:
    """Work out the figures of awards again, and check that their vouchers may be used (design 4.3, 4.6, 5.2, 5.3).

    Parameters
    ----------
    options : of the round
    placed : awards inside the round
    parts : [awards, MOST_VOUCHERS] programmes that pay, as the files tell
    posted : prices and asks
    sheet : takes what is wrong
    """
    orders, pools = placed.order, placed.pool
    book, count = options.book.orders, placed.order.size
    start, slots = placed.ints("start"), placed.ints("slots")
    gpus = book.gpus[orders]
    ask = gpus * (posted.ask_sum[pools, start + slots] - posted.ask_sum[pools, start])
    price = gpus * (posted.price_sum[pools, start + slots] - posted.price_sum[pools, start])
    transfer = options.transfer(orders, pools)
    own = book.limit_ucny[orders] - transfer
    bears: Exact = np.where(own > 0, own, amounts.CLOSED)
    used = np.full((count, MOST_VOUCHERS), -1, dtype=np.int64)
    share, room = np.zeros_like(used), np.zeros_like(used)
    voucher: Exact = np.zeros((count, MOST_VOUCHERS), dtype=ask.dtype)
    ceiling = np.full(count, MICRO, dtype=np.int64)
    allowed = np.ones(count, dtype=np.bool_)
    allowed[(parts >= 0).any(axis=1)] = False
    for option in options.terms.options[1:]:
        row = np.full(MOST_VOUCHERS, -1, dtype=np.int64)
        row[: len(option.programmes)] = option.programmes
        mine = np.flatnonzero((parts == row).all(axis=1))
        mine = mine[options.may_use(option, orders[mine], pools[mine])]
        vouchers: list[Part] = options.parts(option, orders[mine], pools[mine])
        limit = amounts.effective_limit(own[mine], vouchers, option.ceiling_ppm)
        able = limit >= 0
        mine, limit, vouchers = mine[able], limit[able], [part[able] for part in vouchers]
        allowed[mine], bears[mine], used[mine], ceiling[mine] = True, limit, row, option.ceiling_ppm
        gross = np.maximum(ask[mine], np.minimum(price[mine], limit))
        for number, amount in enumerate(amounts.vouchers(gross, vouchers, option.ceiling_ppm)):
            part = vouchers[number]
            share[mine, number], room[mine, number], voucher[mine, number] = part.share_ppm, part.room_ucny, amount
    sheet.hold_rows(
        allowed,
        "programme",
        placed.where("programme_id"),
        lambda row: placed.rows["programme_id"][row],
        lambda _: ("programmes open to this order in this pool, together", "该订单在该资源池可同时使用的政策"),
    )
    sheet.hold_rows(
        own > 0,
        "limit",
        placed.where(),
        lambda row: book.limit_ucny[orders[row]],
        lambda row: (f"above {transfer[row]}", f"大于 {transfer[row]}"),
    )
    return Derived(
        rows=placed.rows,
        order=orders,
        pool=pools,
        start=start,
        slots=slots,
        transfer_ucny=transfer,
        ask_cost_ucny=ask,
        price_cost_ucny=price,
        effective_limit_ucny=bears,
        gross_ucny=np.maximum(ask, np.minimum(price, bears)),
        programme=used,
        share_ppm=share,
        room_ucny=room,
        voucher_ucny=voucher,
        ceiling_ppm=ceiling,
        bonus_ucny=options.bonus[orders],
        carbon_ucny=options.carbon[pools] * gpus * slots,
    )


def check_figures(options: Options, d: Derived, vouchers: pl.DataFrame, sheet: Sheet) -> None:
    """Costs, effective limit, payment, vouchers and flag equal those worked out again (design 4.3, 4.6, 9.3)."""
    rows, orders = d.rows, options.book.orders
    where = Placed(rows, d.order, d.pool).where
    support = d.support_ucny
    net = d.gross_ucny + d.transfer_ucny - support
    for rule, name, expected in (
        ("costs", "transfer_ucny", d.transfer_ucny),
        ("costs", "ask_cost_ucny", d.ask_cost_ucny),
        ("costs", "price_cost_ucny", d.price_cost_ucny),
        ("costs", "effective_limit_ucny", d.effective_limit_ucny),
        ("payment", "gross_ucny", d.gross_ucny),
        ("payment", "voucher_ucny", support),
        ("payment", "net_ucny", net),
    ):
        sheet.same_rows(rule, where(name), rows[name], _column(expected))
    stated = {name: rows[name].to_list() for name in ("gross_ucny", "transfer_ucny", "voucher_ucny", "net_ucny")}
    paid = [v + n for v, n in zip(stated["voucher_ucny"], stated["net_ucny"], strict=True)]
    due = [g + t for g, t in zip(stated["gross_ucny"], stated["transfer_ucny"], strict=True)]
    even = np.array([p == q for p, q in zip(paid, due, strict=True)], dtype=np.bool_)
    sheet.hold_rows(
        even,
        "payment",
        where(),
        lambda row: f"vouchers + net {paid[row]}",
        lambda row: (f"gross + transfer {due[row]}", f"应付加传输 {due[row]}"),
    )
    most = orders.limit_ucny[d.order]
    _at_most(sheet, "limit", where("net_ucny"), rows["net_ucny"].to_numpy(), most)
    _at_least(sheet, "limit", where("gross_ucny"), rows["gross_ucny"].to_numpy(), d.ask_cost_ucny)
    _at_least(sheet, "limit", where("effective_limit_ucny"), d.effective_limit_ucny, d.ask_cost_ucny)
    flags = pl.Series(np.asarray(d.price_cost_ucny > d.effective_limit_ucny, dtype=np.bool_))
    sheet.same_rows("paradoxical", where("paradoxical"), rows["paradoxical"], flags)
    _check_voucher_rows(d, vouchers, sheet)


def _column(values: Exact) -> pl.Series:
    """Return figures as a column; Python integers may not fit 64 bits."""
    return pl.Series(values.tolist(), dtype=pl.Int128) if values.dtype == object else pl.Series(values)


def _at_most(sheet: Sheet, rule: str, where: Callable[[int], str], found: Exact, most: Exact) -> None:
    ok = np.asarray(found <= most, dtype=np.bool_)
    sheet.hold_rows(ok, rule, where, lambda row: found[row], lambda row: (f"<= {most[row]}", f"不超过 {most[row]}"))


def _at_least(sheet: Sheet, rule: str, where: Callable[[int], str], found: Exact, least: Exact) -> None:
    ok = np.asarray(found >= least, dtype=np.bool_)
    sheet.hold_rows(ok, rule, where, lambda row: found[row], lambda row: (f">= {least[row]}", f"不低于 {least[row]}"))


def _check_voucher_rows(d: Derived, vouchers: pl.DataFrame, sheet: Sheet) -> None:
    """Check share, room and amount of every voucher."""
    award = d.rows.select("order_id").with_row_index("award").unique("order_id", keep="first")
    known = vouchers.join(award, on="order_id", how="inner", maintain_order="left").filter(
        pl.col("part") < MOST_VOUCHERS
    )
    at = tuple(known[name].cast(pl.Int64).to_numpy() for name in ("award", "part"))

    def where(row: int, column: str = "") -> str:
        return f"vouchers.parquet:{known['order_id'][row]}:{known['programme_id'][row]}:{column}"

    for rule, name, expected in (
        ("costs", "share_ppm", d.share_ppm),
        ("costs", "room_ucny", d.room_ucny),
        ("payment", "voucher_ucny", d.voucher_ucny),
    ):
        sheet.same_rows(rule, partial(where, column=name), known[name], _column(expected[at]))


def check_vouchers(options: Options, d: Derived, vouchers: pl.DataFrame, sheet: Sheet) -> None:
    """Least claim, once per contract, budgets and caps (design 4.3, 5.3, 9.2).

    Parameters
    ----------
    options : of the round
    d : awards worked out again
    vouchers : rows of vouchers.parquet with their `programme`
    sheet : takes what is wrong
    """
    programmes, orders = options.programmes, options.book.orders
    ids = orders.ids.rename("order_id").to_frame().with_row_index("order")
    rows = vouchers.join(ids, on="order_id", how="inner", maintain_order="left").drop_nulls("programme")
    programme, order = (rows[name].cast(pl.Int64).to_numpy() for name in ("programme", "order"))
    amount = rows["voucher_ucny"].to_numpy()
    least = np.array([max(1, p.minimum_ucny) for p in programmes.by_id.values()], dtype=np.int64)
    wanted = least[programme]
    sheet.hold_rows(
        amount >= wanted,
        "programme",
        lambda row: f"vouchers.parquet:{rows['order_id'][row]}:{rows['programme_id'][row]}:voucher_ucny",
        lambda row: amount[row],
        lambda row: (f"at least {wanted[row]}", f"不低于 {wanted[row]}"),
    )
    contracts = Counter(zip(programme.tolist(), orders.contract[order].tolist(), strict=True))
    sheet.checks["programme"] += len(contracts)
    for (k, contract), times in contracts.items():
        if times > 1:
            first = int(np.flatnonzero(orders.contract == contract)[0])
            where = f"vouchers.parquet:{programmes.ids[k]}:contract of {orders.ids[first]}"
            sheet.find("programme", where, f"{times} times", "once per contract", "每份合同一次")
    for k, total in enumerate(sums_by(programme, amount, len(programmes.ids))):
        _within(f"vouchers.parquet:{programmes.ids[k]}", total, programmes.budget_left(programmes.ids[k]), sheet)
        caps = programmes.caps_left(k)
        if caps is not None:
            mine = programme == k
            by_firm = sums_by(orders.enterprise[order[mine]], amount[mine], len(caps))
            for firm in np.unique(orders.enterprise[order[mine]]).tolist():
                where = f"vouchers.parquet:{programmes.ids[k]}:{options.book.enterprise_ids[firm]}"
                _within(where, by_firm[firm], int(caps[firm]), sheet)


def _within(where: str, total: int, left: int | None, sheet: Sheet) -> None:
    if left is not None:
        sheet.hold(total <= left, "budget", where, shown(total), f"at most {left}", f"至多 {left}")
