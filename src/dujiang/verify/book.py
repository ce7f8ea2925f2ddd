"""The book of a round as the verifier reads it: plain records, exact numbers, one grid of capacity and asks."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dujiang.verify import cells
from dujiang.verify.cells import Broken
from dujiang.verify.documents import Row, read_mapping, read_table

CHINA = timezone(timedelta(hours=8))
"""Asia/Shanghai has kept one offset since 1991; budgets "per year" follow its civil year (design 3.3)."""
MOST_SLOTS = 1_000_000
MOST_GPUS = 10_000_000
MOST_ASK_UCNY = 10**11
"""Ranges of the book's columns; inside them a sum of asks over all slots fits 64 bits."""
ORDER_FACTS = ("startup", "via_platform", "via_exchange", "related_party", "model_filed", "other_subsidy")
"""Yes-or-no columns of `orders` that conditions may ask for."""

Ints = npt.NDArray[np.int64]


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
class Order:
    """A workload with a limit price."""

    order_id: str
    enterprise_id: str
    gpus: int
    hours_micro: int
    release: int
    deadline: int
    limit_ucny: int
    accelerators: frozenset[str]
    stacks: frozenset[str]
    regions: frozenset[str]
    origin_region: str | None
    origin_centre: str | None
    data_gb_micro: int
    rtt_ms_max: float | None
    purpose: str | None
    max_vouchers: int
    contract_id: str | None
    facts: dict[str, bool]
    """The yes-or-no facts that the order states itself."""


@dataclass(frozen=True, slots=True)
class Link:
    """A way from a region to a centre's region."""

    ucny_per_gb: int
    rtt_ms: float


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
    enterprises: dict[str, Row]
    """Raw cells by column, as they stand in the file."""
    orders: dict[str, Order]
    claims: list[Claim]
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

    def employees(self, enterprise_id: str) -> int | None:
        """Return the known staff of an enterprise."""
        return cells.whole(f"enterprises:{enterprise_id}:employees", self.enterprises[enterprise_id].get("employees"))


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
    orders = [_order(row) for row in _rows(folder, "orders", "order_id", "enterprise_id", "gpus", "hours")]
    enterprises = {_id(row, "enterprise_id"): row for row in _rows(folder, "enterprises", "enterprise_id")}
    book = Book(
        start=start.astimezone(UTC),
        slots=slots,
        centres=centres,
        pools=_pools(folder, slots),
        links=dict(map(_link, _rows(folder, "links", "origin_region", "region", optional=True))),
        enterprises=enterprises,
        orders={o.order_id: o for o in sorted(orders, key=lambda o: o.order_id)},
        claims=[_claim(row) for row in _rows(folder, "claims", "enterprise_id", "programme_id", optional=True)],
        carbon_ucny_per_kg=_term(objective, "carbon_cny_per_kg"),
        small_firm_ucny_per_gpu_hour=_term(objective, "small_firm_cny_per_gpu_hour"),
        small_firm_employees_max=cells.whole("book.yaml:objective", objective.get("small_firm_employees_max")) or 0,
        budgets=_uses(head.get("use")),
        facts=_mapping("book.yaml:facts", head.get("facts")),
    )
    _check_references(book, len(orders))
    return book


def _check_references(book: Book, order_rows: int) -> None:
    if len(book.orders) < order_rows:
        raise Broken("orders", "an order_id twice", "each order once", "每个订单一次")
    for pool in book.pools.values():
        if pool.centre_id not in book.centres:
            raise Broken(f"pools:{pool.pool_id}:centre_id", pool.centre_id, "a known centre", "已知的算力中心")
    for order in book.orders.values():
        if order.enterprise_id not in book.enterprises:
            where = f"orders:{order.order_id}:enterprise_id"
            raise Broken(where, order.enterprise_id, "a known enterprise", "已知的企业")
    for enterprise_id in book.enterprises:
        book.employees(enterprise_id)


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


def _order(row: Row) -> Order:
    facts = {name: cells.truth(_at(row, name), row.get(name)) for name in ORDER_FACTS}
    return Order(
        order_id=_id(row, "order_id"),
        enterprise_id=_id(row, "enterprise_id"),
        gpus=_gpus(row, 1),
        hours_micro=_within(row, "hours", _micro(row, "hours"), 1),
        release=_within(row, "release", _int(row, "release"), 0),
        deadline=_int(row, "deadline"),
        limit_ucny=_within(row, "limit_cny", _micro(row, "limit_cny"), 1, 10**18),
        accelerators=cells.words(_at(row, "accelerators"), row.get("accelerators")),
        stacks=cells.words(_at(row, "stacks"), row.get("stacks")),
        regions=cells.words(_at(row, "regions"), row.get("regions")),
        origin_region=_word(row, "origin_region"),
        origin_centre=_word(row, "origin_centre"),
        data_gb_micro=_within(row, "data_gb", _micro(row, "data_gb", 0), 0),
        rtt_ms_max=cells.real(_at(row, "rtt_ms_max"), row.get("rtt_ms_max")),
        purpose=_word(row, "purpose"),
        max_vouchers=_int(row, "max_vouchers", 1),
        contract_id=_word(row, "contract_id"),
        facts={name: value for name, value in facts.items() if value is not None},
    )


def _link(row: Row) -> tuple[tuple[str, str], Link]:
    price = _within(row, "cny_per_gb", _micro(row, "cny_per_gb", 0), 0)
    rtt_ms = cells.real(_at(row, "rtt_ms"), row.get("rtt_ms")) or 0.0
    return (_id(row, "origin_region"), _id(row, "region")), Link(price, rtt_ms)


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
