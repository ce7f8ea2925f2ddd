"""A round small enough to clear by hand: the book, a first-fit allocation of it and its certificate.

The allocation is honest (no capacity, limit or budget is broken, the bound is a true bound of its prices) but not good:
a report must also be able to say that.
"""

from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import polars as pl

from dujiang.core.money import MICRO, round_to_fen, share_floor
from dujiang.core.text import Text
from dujiang.market.outcome import (
    AWARD_SCHEMA,
    LINK_PRICE_SCHEMA,
    MULTIPLIER_SCHEMA,
    PRICE_SCHEMA,
    REJECTION_SCHEMA,
    VOUCHER_SCHEMA,
    Coupling,
    Outcome,
    Reason,
)
from dujiang.registry.book import Book
from dujiang.registry.columns import book_columns

TYPES: dict[str, Any] = {
    "id": pl.String(),
    "ref": pl.String(),
    "name": pl.String(),
    "text": pl.String(),
    "list": pl.List(pl.String()),
    "int": pl.Int64(),
    "micro": pl.Int64(),
    "money": pl.Int64(),
    "float": pl.Float64(),
    "instant": pl.Datetime("us", "UTC"),
    "date": pl.Date(),
    "bool": pl.Boolean(),
}
LINK = ("origin_region", "region", "ucny_per_gb", "rtt_ms")
PROGRAMME = "test-city-compute-voucher"
SHARE_PPM, BUDGET_UCNY, CAP_UCNY = 300_000, 90_000 * MICRO, 20_000 * MICRO

# region, centre name, accelerator, gpus, ask yuan, pue, grid, watts
SITES = [
    ("beijing", "京西智算中心", "a800", 192, 9.2, 1.25, 0.58, 700.0),
    ("shanghai", "临港智算中心", "h20", 160, 8.8, 1.22, 0.56, 650.0),
    ("shenzhen", "前海算力中心", "a800", 128, 9.6, 1.28, 0.45, 700.0),
    ("chengdu", "天府智算中心", "ascend-910b", 256, 6.4, 1.20, 0.15, 600.0),
    ("guizhou", "贵安算力中心", "ascend-910b", 384, 5.1, 1.15, 0.41, 600.0),
    ("gansu", "庆阳算力中心", "a800", 256, 5.9, 1.16, 0.46, None),
    ("ningxia", "中卫算力中心", "h20", 192, 5.6, 1.12, None, 650.0),
]


def table(name: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    """A table of a book with every stored column, nulls where a row is silent."""
    columns = book_columns()[name]
    schema = {column.stored: TYPES[column.type] for column in columns}
    return pl.DataFrame([{key: row.get(key) for key in schema} for row in rows], schema=schema)


def make_book(orders: int = 400, slots: int = 96, seed: int = 7, **changes: Any) -> Book:
    """A made-up book: demand is mostly in the east, cheap capacity in the west."""
    rng = np.random.default_rng(seed)
    regions = [site[0] for site in SITES]
    centres = [
        {"centre_id": f"c-{region}", "region": region, "name": name, "pue": pue, "grid_kgco2_per_kwh": grid}
        for region, name, _, _, _, pue, grid, _ in SITES
    ]
    pools = [
        {
            "pool_id": f"p-{region}",
            "centre_id": f"c-{region}",
            "accelerator": card,
            "gpus": gpus,
            "ask_ucny_per_gpu_hour": round(ask * MICRO),
            "speed_micro": MICRO,
            "stacks": [],
            "watts_per_gpu": watts,
        }
        for region, _, card, gpus, ask, _, _, watts in SITES
    ]
    links = [
        {"origin_region": a, "region": b, "ucny_per_gb": 20_000, "rtt_ms": 8.0 + 6.0 * abs(i - j)}
        for i, a in enumerate(regions)
        for j, b in enumerate(regions)
        if a != b
    ]
    kinds = ["software_it_enterprise", "manufacturing_enterprise", "university", "research_institute", None]
    enterprises = [
        {
            "enterprise_id": f"e{i:03d}",
            "kind": kinds[int(rng.integers(len(kinds)))],
            "employees": None if i % 9 == 0 else int(rng.choice([6, 40, 150, 900])),
        }
        for i in range(60)
    ]
    made = []
    for i in range(orders):
        gpus = int(rng.choice([1, 2, 4, 8, 16, 32, 64], p=[0.2, 0.15, 0.15, 0.2, 0.15, 0.1, 0.05]))
        hours = float(np.round(np.exp(rng.normal(2.3, 0.7)), 2))
        release = int(rng.integers(0, max(1, slots - 30)))
        made.append(
            {
                "order_id": f"o{i:05d}",
                "enterprise_id": f"e{int(rng.integers(60)):03d}",
                "gpus": gpus,
                "hours_micro": round(hours * MICRO),
                "release": release,
                "deadline": min(slots, release + int(np.ceil(hours)) + int(rng.integers(4, 40))),
                "limit_ucny": round_to_fen(int(gpus * hours * rng.uniform(4.0, 15.0) * MICRO)),
                "accelerators": [] if rng.random() < 0.6 else [str(rng.choice(["a800", "h20", "ascend-910b"]))],
                "stacks": [],
                "regions": [],
                "origin_region": str(rng.choice(regions, p=[0.27, 0.25, 0.22, 0.12, 0.05, 0.05, 0.04])),
                "data_gb_micro": int(rng.integers(0, 400)) * MICRO,
                "rtt_ms_max": 20.0 if rng.random() < 0.2 else None,
                "max_vouchers": 1,
            }
        )
    values: dict[str, Any] = {
        "start": datetime(2026, 3, 1, 16, tzinfo=UTC),
        "slots": slots,
        "title": Text("Seven centres, four days", "七个中心，四天"),
        "centres": table("centres", centres),
        "pools": table("pools", pools),
        "capacity": table("capacity", []),
        "links": table("links", links),
        "enterprises": table("enterprises", enterprises),
        "orders": table("orders", made),
        "claims": table("claims", []),
        "assumptions": {"limits": "uniform 4-15 CNY per GPU-hour", "day": date(2026, 3, 2)},
    }
    return Book(**(values | changes))


def first_fit(book: Book, coupling: Coupling = Coupling.FULL, vouchers: bool = True) -> Outcome:
    """Serve the best-paying orders first, each in its cheapest pool and first free start."""
    pools = list(book.pools.join(book.centres.select("centre_id", "region"), on="centre_id").iter_rows(named=True))
    links = {(a, b): (cost, rtt) for a, b, cost, rtt in book.links.select(LINK).iter_rows()}
    free = {pool["pool_id"]: np.full(book.slots, pool["gpus"]) for pool in pools}
    left, firm_left = BUDGET_UCNY, dict.fromkeys(book.enterprises["enterprise_id"].to_list(), CAP_UCNY)
    asked = sorted(
        book.orders.iter_rows(named=True),
        key=lambda o: (-o["limit_ucny"] / (o["gpus"] * o["hours_micro"]), o["order_id"]),
    )
    placed, rejected = [], []
    for order in asked:
        options = [(pool, *reach) for pool in pools if (reach := _reach(order, pool, links, coupling)) is not None]
        options.sort(key=lambda option: (option[0]["ask_ucny_per_gpu_hour"], option[0]["pool_id"]))
        room = min(left, firm_left[order["enterprise_id"]]) if vouchers else 0
        reason = Reason.NO_COMPATIBLE_POOL if not options else Reason.NO_ROOM
        for pool, tau in options:
            slots = -(-order["hours_micro"] // pool["speed_micro"])
            cost = order["gpus"] * slots * pool["ask_ucny_per_gpu_hour"]
            own = order["limit_ucny"] - tau
            effective, used_room = own, 0
            if 0 < own < cost * 12 // 10 and room > 0:
                effective = min(own * MICRO // (MICRO - SHARE_PPM), own + room)
                used_room = room
            if effective < cost:
                reason = Reason.LIMIT_BELOW_ASK if reason is Reason.NO_ROOM else reason
                continue
            start = _first_start(order, slots, free[pool["pool_id"]])
            if start is None:
                reason = Reason.PARADOXICAL
                continue
            free[pool["pool_id"]][start : start + slots] -= order["gpus"]
            if used_room:
                most = min(share_floor(effective, SHARE_PPM), used_room)
                left -= most
                firm_left[order["enterprise_id"]] -= most
            placed.append((order, pool, start, slots, tau, effective, used_room))
            break
        else:
            said = f"{len(options)} pools", f"{len(options)} 个资源池"
            rejected.append((order["order_id"], reason.value, None, None, *said))
    return _outcome(book, coupling, pools, free, placed, rejected, vouchers)


def _reach(order: dict[str, Any], pool: dict[str, Any], links: dict[Any, Any], coupling: Coupling) -> tuple[int] | None:
    if order["accelerators"] and pool["accelerator"] not in order["accelerators"]:
        return None
    if order["origin_region"] == pool["region"]:
        return (0,)
    link = links.get((order["origin_region"], pool["region"]))
    if coupling is Coupling.ISOLATED or link is None or link[1] > (order["rtt_ms_max"] or 1e9):
        return None
    return (round_to_fen(order["data_gb_micro"] * link[0] // MICRO),)


def _first_start(order: dict[str, Any], slots: int, free: np.ndarray) -> int | None:
    for start in range(order["release"], min(order["deadline"], len(free)) - slots + 1):
        if free[start : start + slots].min() >= order["gpus"]:
            return start
    return None


def _outcome(book, coupling, pools, free, placed, rejected, vouchers) -> Outcome:
    by_pool = {pool["pool_id"]: pool for pool in pools}
    # Where nearly nothing is left an hour is scarce: a fifth above the reserve price.
    price = {
        pool: np.where(left < 0.05 * by_pool[pool]["gpus"], 1.2, 1.0) * by_pool[pool]["ask_ucny_per_gpu_hour"]
        for pool, left in free.items()
    }
    price = {pool: line.astype(np.int64) for pool, line in price.items()}
    awards, spent, welfare = [], 0, 0
    for order, pool, start, slots, tau, effective, room in placed:
        ask_cost = order["gpus"] * slots * pool["ask_ucny_per_gpu_hour"]
        price_cost = order["gpus"] * int(price[pool["pool_id"]][start : start + slots].sum())
        gross = max(ask_cost, min(price_cost, effective))
        voucher = min(share_floor(gross, SHARE_PPM), room) if room else 0
        spent += voucher
        welfare += effective - ask_cost
        awards.append(
            {
                "order_id": order["order_id"],
                "pool_id": pool["pool_id"],
                "start": start,
                "slots": slots,
                "gpus": order["gpus"],
                "gross_ucny": gross,
                "transfer_ucny": tau,
                "voucher_ucny": voucher,
                "net_ucny": gross + tau - voucher,
                "programme_id": PROGRAMME if voucher else None,
                "paradoxical": price_cost > effective,
                "enterprise_id": order["enterprise_id"],
                "centre_id": pool["centre_id"],
                "ask_cost_ucny": ask_cost,
                "price_cost_ucny": price_cost,
                "effective_limit_ucny": effective,
                "share_ppm": SHARE_PPM if voucher else 0,
                "room_ucny": room,
                "hours_micro": order["hours_micro"],
            }
        )
    frame = pl.DataFrame(awards, schema=AWARD_SCHEMA).sort("order_id")
    prices = pl.DataFrame(
        [
            (
                pool,
                t,
                int(price[pool][t]),
                int(left[t]),
                int(by_pool[pool]["gpus"] - left[t]),
                by_pool[pool]["ask_ucny_per_gpu_hour"],
            )
            for pool, left in sorted(free.items())
            for t in range(book.slots)
        ],
        schema=PRICE_SCHEMA,
        orient="row",
    )
    multipliers = [(PROGRAMME, None, BUDGET_UCNY, spent, 0, 0)] if vouchers else []
    bound = _bound(book, pools, price, coupling, vouchers)
    assert bound >= welfare
    offered = int((prices["gpus_free"] + prices["gpus_used"]).sum())
    uplift = int((frame["price_cost_ucny"] - frame["gross_ucny"]).sum())
    summary = {
        "format": "dujiang.clearing/1",
        "coupling": coupling.value,
        "orders": book.orders.height,
        "awards": frame.height,
        "welfare_ucny": welfare,
        "welfare_cny": welfare / MICRO,
        "dual_bound_ucny": bound,
        "dual_bound_cny": bound / MICRO,
        "gap": (bound - welfare) / bound if bound else 0.0,
        "utilisation": int(prices["gpus_used"].sum()) / offered if offered else None,
        "served_share": frame.height / book.orders.height if book.orders.height else None,
        "gpu_hours_served_share": None,
        "mean_wait_h": None,
        "uplift_cny": uplift / MICRO,
        "turnover_cny": int(frame["gross_ucny"].sum()) / MICRO,
        "transfer_cny": int(frame["transfer_ucny"].sum()) / MICRO,
        "vouchers": [
            {
                "programme_id": PROGRAMME,
                "budget_left_cny": BUDGET_UCNY / MICRO,
                "spent_cny": spent / MICRO,
                "multiplier": 0.0,
            }
        ]
        if vouchers
        else [],
        "carbon_kg": None,
        "carbon_term_cny": 0.0,
        "small_firm_term_cny": 0.0,
    }
    used = frame.filter(pl.col("programme_id").is_not_null())
    return Outcome(
        awards=frame,
        vouchers=used.select(VOUCHER_SCHEMA.keys()),
        prices=prices,
        link_prices=pl.DataFrame(schema=LINK_PRICE_SCHEMA),
        rejections=pl.DataFrame(rejected, schema=REJECTION_SCHEMA, orient="row").sort("order_id"),
        multipliers=pl.DataFrame(multipliers, schema=MULTIPLIER_SCHEMA, orient="row"),
        summary=summary,
    )


def _bound(book, pools, price, coupling, vouchers) -> int:
    """The certificate of the contract with all voucher multipliers at zero."""
    links = {(a, b): (cost, rtt) for a, b, cost, rtt in book.links.select(LINK).iter_rows()}
    total = sum(int((price[pool["pool_id"]] - pool["ask_ucny_per_gpu_hour"]).sum()) * pool["gpus"] for pool in pools)
    sums = {pool: np.concatenate([[0], np.cumsum(line)]) for pool, line in price.items()}
    for order in book.orders.iter_rows(named=True):
        best = 0
        for pool in pools:
            reach = _reach(order, pool, links, coupling)
            slots = -(-order["hours_micro"] // pool["speed_micro"])
            starts = np.arange(order["release"], min(order["deadline"], book.slots) - slots + 1)
            if reach is None or not len(starts) or order["gpus"] > pool["gpus"]:
                continue
            own = order["limit_ucny"] - reach[0]
            most = max(own, min(own * MICRO // (MICRO - SHARE_PPM), own + CAP_UCNY)) if vouchers and own > 0 else own
            line = sums[pool["pool_id"]]
            best = max(best, most - order["gpus"] * int((line[starts + slots] - line[starts]).min()))
        total += best
    return total


def meter(book: Book, outcome: Outcome) -> pl.DataFrame:
    """What a meter would say if every award ran as long as it said; unknown where the centre's physics is unknown."""
    centres = book.centres.select("centre_id", "pue", "grid_kgco2_per_kwh")
    return (
        outcome.awards.join(book.pools.select("pool_id", "watts_per_gpu"), on="pool_id")
        .join(centres, on="centre_id")
        .select(
            "order_id",
            "pool_id",
            "centre_id",
            "gpus",
            outcome=pl.lit("ended"),
            run_hours_micro="hours_micro",
            gpu_hours_micro=pl.col("gpus") * pl.col("hours_micro"),
            it_kwh=pl.col("gpus") * pl.col("hours_micro") / 1e9 * pl.col("watts_per_gpu"),
            pue="pue",
            grid="grid_kgco2_per_kwh",
        )
        .with_columns(kwh=pl.col("it_kwh") * pl.col("pue"))
        .with_columns(kgco2=pl.col("kwh") * pl.col("grid"))
        .drop("pue", "grid")
    )
