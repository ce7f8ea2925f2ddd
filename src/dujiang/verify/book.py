"""The book of a round as the verifier reads it: exact numbers, orders as columns, one grid of capacity and asks."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from dujiang.verify import cells
from dujiang.verify.cells import Broken, Ints
from dujiang.verify.documents import Row, read_cells, read_mapping, read_table

CHINA = timezone(timedelta(hours=8))
"""Asia/Shanghai has kept one offset since 1991; budgets "per year" follow its civil year (design 3.3)."""
MOST_SLOTS = 1_000_000
MOST_GPUS = 10_000_000
MOST_ASK_UCNY = 10**11
"""Ranges of the book's columns; inside them a sum of asks over all slots fits 64 bits."""


@dataclass(frozen=True, slots=True)
class Centre:
    """A site with pools."""

    centre_id: str
    region: str
    province: str | None
    cluster: str | None
    pue: float | None
    grid_kgco2_per_kwh: float | None


@dataclass(frozen=True, slots=True)
class Pool:
    """The accelerators of one type in one centre."""

    pool_id: str
    centre_id: str
    accelerator: str
    speed_micro: int
    stacks: frozenset[str]
    """Empty: all."""
    watts_per_gpu: float | None
    gpus: Ints
    """Accelerators offered, shape (slots,)."""
    ask_ucny: Ints
    """Reserve price, shape (slots,), micro-yuan per GPU-hour."""


@dataclass(frozen=True, slots=True)
class Place:
    """What an order accepts and where it comes from; orders that agree in all of it share one."""

    accelerators: frozenset[str]
    stacks: frozenset[str]
    regions: frozenset[str]
    origin_region: str | None
    origin_centre: str | None
    rtt_ms_max: float | None


@dataclass(frozen=True, slots=True)
class Orders:
    """All orders, by order_id; arrays have one entry for each."""

    ids: pl.Series
    enterprise: Ints
    """Row of `Book.enterprise_ids`."""
    gpus: Ints
    hours_micro: Ints
    release: Ints
    deadline: Ints
    limit_ucny: Ints
    data_gb_micro: Ints
    max_vouchers: Ints
    contract: Ints
    """Orders with the same number share a contract; one without a contract has a number of its own."""
    place: Ints
    """Index into `places`."""
    places: list[Place]
    cells: pl.DataFrame
    """Raw cells of the file, in the same order, for the facts that conditions ask about."""

    def __len__(self) -> int:
        return len(self.gpus)


@dataclass(frozen=True, slots=True)
class Link:
    """A way from a region to a centre's region."""

    ucny_per_gb: int
    rtt_ms: float
    gb_per_slot_micro: int | None
    """Data that may start to cross in one slot, millionths of a GB; None: any amount."""


@dataclass(frozen=True, slots=True)
class Running:
    """An award of an earlier round that is not over yet and keeps what it holds (design 4.9)."""

    pool_id: str
    start: int
    """May be before the round: negative."""
    slots: int
    gpus: int
    data_gb_micro: int
    origin_region: str | None


@dataclass(frozen=True, slots=True)
class Claim:
    """What an enterprise has used of a programme before this round."""

    enterprise_id: str
    programme_id: str
    period: str
    amount_ucny: int


@dataclass(frozen=True, slots=True)
class Book:
    """Everything that is offered and asked."""

    start: datetime
    slots: int
    centres: dict[str, Centre]
    pools: dict[str, Pool]
    """By pool_id, in that order."""
    links: dict[tuple[str, str], Link]
    enterprise_ids: list[str]
    enterprises: pl.DataFrame
    """Raw cells, rows as `enterprise_ids`."""
    employees: list[int | None]
    """Known staff, by row of `enterprise_ids`."""
    orders: Orders
    claims: list[Claim]
    running: list[Running]
    carbon_ucny_per_kg: int
    small_firm_ucny_per_gpu_hour: int
    small_firm_employees_max: int
    budgets: dict[str, int | None]
    """Programmes that `use` picks, with the budget that stands there instead of their own, micro-yuan."""
    facts: dict[str, Any]

    @property
    def day(self) -> date:
        """Civil date in Asia/Shanghai on which the round starts."""
        return self.start.astimezone(CHINA).date()


def read_book(folder: Path) -> Book:
    """Read the folder of a book.

    Raises
    ------
    Broken : a file is missing or cannot be understood; `dujiang check` would list all of it
    """
    head = read_mapping(folder / "book.yaml")
    start = cells.instant("book.yaml:start", head.get("start"))
    slots = _needed("book.yaml:slots", cells.whole("book.yaml:slots", head.get("slots")))
    if not 0 < slots <= MOST_SLOTS:
        raise Broken("book.yaml:slots", slots, f"1 to {MOST_SLOTS}", f"1 至 {MOST_SLOTS}")
    centres = {c.centre_id: c for c in map(_centre, _rows(folder, "centres", "centre_id"))}
    objective = _mapping("book.yaml:objective", head.get("objective"))
    pools = _pools(folder, slots)
    firms = _table(folder, "enterprises", "enterprise_id")
    enterprise_ids = [str(name).strip() for name in firms["enterprise_id"].to_list()]
    book = Book(
        start=start.astimezone(UTC),
        slots=slots,
        centres=centres,
        pools=pools,
        links=dict(map(_link, _rows(folder, "links", "origin_region", "region", optional=True))),
        enterprise_ids=enterprise_ids,
        enterprises=firms,
        employees=_employees(firms),
        orders=_orders(folder, enterprise_ids),
        claims=[_claim(row) for row in _rows(folder, "claims", "enterprise_id", "programme_id", optional=True)],
        running=[_running(row) for row in _rows(folder, "running", "order_id", "pool_id", "start", optional=True)],
        carbon_ucny_per_kg=_term(objective, "carbon_cny_per_kg"),
        small_firm_ucny_per_gpu_hour=_term(objective, "small_firm_cny_per_gpu_hour"),
        small_firm_employees_max=cells.whole("book.yaml:objective", objective.get("small_firm_employees_max")) or 0,
        budgets=_uses(head.get("use")),
        facts=_mapping("book.yaml:facts", head.get("facts")),
    )
    _check_references(book)
    return book


def _check_references(book: Book) -> None:
    for pool in book.pools.values():
        if pool.centre_id not in book.centres:
            raise Broken(f"pools:{pool.pool_id}:centre_id", pool.centre_id, "a known centre", "已知的算力中心")
    for running in book.running:
        if running.pool_id not in book.pools:
            raise Broken("running:pool_id", running.pool_id, "a known pool", "已知的资源池")


def _table(folder: Path, name: str, *needed: str) -> pl.DataFrame:
    """Return the raw cells of a table that a book must have, with no gap in some of its columns."""
    read = read_cells(folder, name)
    if read is None:
        raise Broken(name, None, f"{name}.csv or {name}.parquet", f"{name}.csv 或 {name}.parquet")
    file, table = read
    for column in needed:
        if column not in table.columns:
            raise Broken(f"{file}:{column}", None, "a column", "有此列")
        values, codes = cells.coded(table[column], cells.is_empty)
        empty = np.flatnonzero(np.array(values, dtype=np.bool_)[codes])
        if empty.size:
            raise Broken(f"{file}:{empty[0] + 1}:{column}", None, "a value", "填写")
    return table


def _employees(firms: pl.DataFrame) -> list[int | None]:
    def read(cell: object) -> int | None:
        return cells.whole("enterprises:employees", cell)

    values, codes = cells.coded(_column(firms, "employees"), read)
    return [values[code] for code in codes.tolist()]


def _column(table: pl.DataFrame, name: str) -> pl.Series:
    """Return a column of raw cells; one that the file lacks is empty."""
    return table[name] if name in table.columns else pl.Series(name, [None] * table.height, dtype=pl.String)


def _orders(folder: Path, enterprise_ids: list[str]) -> Orders:
    table = _table(folder, "orders", "order_id", "enterprise_id", "gpus", "hours")
    ids = pl.Series("order_id", [str(name).strip() for name in table["order_id"].to_list()], dtype=pl.String)
    if ids.n_unique() < ids.len():
        raise Broken("orders", "an order_id twice", "each order once", "每个订单一次")
    rank = ids.arg_sort()
    ids, table = ids.gather(rank), table[rank]

    def numbers(name: str, read: Callable[[Row, str], int]) -> Ints:
        return cells.ints(_column(table, name), lambda cell: read({"table": "orders", name: cell}, name))

    known = {name: row for row, name in enumerate(enterprise_ids)}

    def enterprise(row: Row, column: str) -> int:
        name = _id(row, column)
        if name not in known:
            raise Broken("orders:enterprise_id", name, "a known enterprise", "已知的企业")
        return known[name]

    firms = numbers("enterprise_id", enterprise)
    places, place = _places(table)
    return Orders(
        ids=ids,
        enterprise=firms,
        gpus=numbers("gpus", lambda row, _: _gpus(row, 1)),
        hours_micro=numbers("hours", lambda row, name: _within(row, name, _micro(row, name), 1)),
        release=numbers("release", lambda row, name: _within(row, name, _int(row, name), 0)),
        deadline=numbers("deadline", _int),
        limit_ucny=numbers("limit_cny", lambda row, name: _within(row, name, _micro(row, name), 1)),
        data_gb_micro=numbers("data_gb", lambda row, name: _within(row, name, _micro(row, name, 0), 0)),
        max_vouchers=numbers("max_vouchers", lambda row, name: _int(row, name, 1)),
        contract=_contracts(_column(table, "contract_id"), firms),
        place=place,
        places=places,
        cells=table,
    )


_PLACE: dict[str, Callable[[str, object], Any]] = {
    "accelerators": cells.words,
    "stacks": cells.words,
    "regions": cells.words,
    "origin_region": cells.word,
    "origin_centre": cells.word,
    "rtt_ms_max": cells.real,
}
"""Columns that tell a `Place`, with how they are read."""


def _places(table: pl.DataFrame) -> tuple[list[Place], Ints]:
    """Return what orders accept and where they come from, each kind once, and the kind of every order."""
    read = {name: cells.coded(_column(table, name), partial(how, f"orders:{name}")) for name, how in _PLACE.items()}
    codes = pl.DataFrame({name: column for name, (_, column) in read.items()})
    kinds = codes.unique(maintain_order=True)
    kind = codes.join(kinds.with_row_index("kind"), on=codes.columns, how="left", maintain_order="left")["kind"]
    places = [Place(**{name: read[name][0][code] for name, code in row.items()}) for row in kinds.to_dicts()]
    return places, kind.cast(pl.Int64).to_numpy()


def _contracts(cell: pl.Series, firms: Ints) -> Ints:
    values, codes = cells.coded(cell, lambda name: cells.word("orders:contract_id", name))
    named = np.array([value is not None for value in values], dtype=np.bool_)
    alone = np.arange(len(codes), dtype=np.int64)
    if not named.any():
        return alone
    names = {name: number for number, name in enumerate(dict.fromkeys(values))}
    of_cell = np.array([names[name] for name in values], dtype=np.int64)[codes]
    return np.where(named[codes], len(codes) + firms * len(names) + of_cell, alone)


def _rows(folder: Path, table: str, *needed: str, optional: bool = False) -> list[Row]:
    read = read_table(folder, table)
    if read is None:
        if optional:
            return []
        raise Broken(table, None, f"{table}.csv or {table}.parquet", f"{table}.csv 或 {table}.parquet")
    name, rows = read
    for number, row in enumerate(rows, start=1):
        for column in needed:
            if cells.is_empty(row.get(column)):
                raise Broken(f"{name}:{number}:{column}", None, "a value", "填写")
        row["table"] = name
    return rows


def _needed(where: str, value: int | None) -> int:
    if value is None:
        raise Broken(where, None, "a value", "填写")
    return value


def _id(row: Row, column: str) -> str:
    return str(row[column]).strip()


def _at(row: Row, column: str) -> str:
    return f"{row['table']}:{column}"


def _int(row: Row, column: str, default: int | None = None) -> int:
    value = cells.whole(_at(row, column), row.get(column))
    return _needed(_at(row, column), default if value is None else value)


def _micro(row: Row, column: str, default: int | None = None) -> int:
    value = cells.micro(_at(row, column), row.get(column))
    return _needed(_at(row, column), default if value is None else value)


def _word(row: Row, column: str) -> str | None:
    return cells.word(_at(row, column), row.get(column))


def _within(row: Row, column: str, value: int, least: int, most: int = cells.LARGEST) -> int:
    if not least <= value <= most:
        raise Broken(_at(row, column), row.get(column), "a value within its range", "在取值范围内")
    return value


def _gpus(row: Row, least: int) -> int:
    return _within(row, "gpus", _int(row, "gpus"), least, MOST_GPUS)


def _ask(row: Row) -> int | None:
    column = "ask_cny_per_gpu_hour"
    value = cells.micro(_at(row, column), row.get(column))
    return None if value is None else _within(row, column, value, 0, MOST_ASK_UCNY)


def _centre(row: Row) -> Centre:
    region = _word(row, "region")
    if region is None:
        raise Broken(_at(row, "region"), None, "a region", "区域")
    return Centre(
        centre_id=_id(row, "centre_id"),
        region=region,
        province=_word(row, "province"),
        cluster=_word(row, "cluster"),
        pue=cells.real(_at(row, "pue"), row.get("pue")),
        grid_kgco2_per_kwh=cells.real(_at(row, "grid_kgco2_per_kwh"), row.get("grid_kgco2_per_kwh")),
    )


def _pools(folder: Path, slots: int) -> dict[str, Pool]:
    pools = [_pool(row, slots) for row in _rows(folder, "pools", "pool_id", "centre_id", "accelerator")]
    by_id = {pool.pool_id: pool for pool in sorted(pools, key=lambda p: p.pool_id)}
    if len(by_id) < len(pools):
        raise Broken("pools", "a pool_id twice", "each pool once", "每个资源池一次")
    for row in _rows(folder, "capacity", "pool_id", "slot", "gpus", optional=True):
        pool, slot = by_id.get(_id(row, "pool_id")), _int(row, "slot")
        if pool is None or not 0 <= slot < slots:
            place = f"{row['pool_id']}, slot {slot}"
            raise Broken(row["table"], place, "a pool and slot of the book", "需求簿中的资源池与时段")
        pool.gpus[slot] = _gpus(row, 0)
        if (ask := _ask(row)) is not None:
            pool.ask_ucny[slot] = ask
    return by_id


def _pool(row: Row, slots: int) -> Pool:
    return Pool(
        pool_id=_id(row, "pool_id"),
        centre_id=_id(row, "centre_id"),
        accelerator=_id(row, "accelerator"),
        speed_micro=_within(row, "speed", _micro(row, "speed", cells.MICRO), 1),
        stacks=cells.words(_at(row, "stacks"), row.get("stacks")),
        watts_per_gpu=cells.real(_at(row, "watts_per_gpu"), row.get("watts_per_gpu")),
        gpus=np.full(slots, _gpus(row, 0), dtype=np.int64),
        ask_ucny=np.full(slots, _needed(_at(row, "ask_cny_per_gpu_hour"), _ask(row)), dtype=np.int64),
    )


def _link(row: Row) -> tuple[tuple[str, str], Link]:
    price = _within(row, "cny_per_gb", _micro(row, "cny_per_gb", 0), 0)
    rtt_ms = cells.real(_at(row, "rtt_ms"), row.get("rtt_ms")) or 0.0
    most = cells.micro(_at(row, "gb_per_slot"), row.get("gb_per_slot"))
    most = None if most is None else _within(row, "gb_per_slot", most, 0)
    return (_id(row, "origin_region"), _id(row, "region")), Link(price, rtt_ms, most)


def _running(row: Row) -> Running:
    return Running(
        pool_id=_id(row, "pool_id"),
        start=_within(row, "start", _int(row, "start"), -cells.LARGEST),
        slots=_within(row, "slots", _int(row, "slots"), 1),
        gpus=_gpus(row, 1),
        data_gb_micro=_within(row, "data_gb", _micro(row, "data_gb", 0), 0),
        origin_region=_word(row, "origin_region"),
    )


def _claim(row: Row) -> Claim:
    amount = _within(row, "amount_cny", _micro(row, "amount_cny"), 0)
    return Claim(_id(row, "enterprise_id"), _id(row, "programme_id"), _word(row, "period") or "", amount)


def _mapping(where: str, value: object) -> Row:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Broken(where, value, "a mapping", "映射")
    return value


def _term(objective: Row, key: str) -> int:
    amount = cells.micro(f"book.yaml:objective.{key}", objective.get(key)) or 0
    if amount < 0:
        raise Broken(f"book.yaml:objective.{key}", objective[key], "zero or more", "不小于零")
    return amount


def _uses(value: object) -> dict[str, int | None]:
    if value is None:
        return {}
    if not isinstance(value, list):
        raise Broken("book.yaml:use", value, "a list of programmes", "政策项目列表")
    uses: dict[str, int | None] = {}
    for index, item in enumerate(value):
        where = f"book.yaml:use.{index}"
        entry = item if isinstance(item, dict) else {"id": item}
        programme_id = cells.word(where, entry.get("id"))
        if programme_id is None:
            raise Broken(where, item, "the id of a programme", "政策项目编号")
        budget = cells.micro(f"{where}.budget_cny", entry.get("budget_cny"))
        if budget is not None and budget < 0:
            raise Broken(f"{where}.budget_cny", entry["budget_cny"], "zero or more", "不小于零")
        uses[programme_id] = budget
    return uses
