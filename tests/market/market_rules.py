"""Clearing a small book through its files, and the rules that every result keeps, told in plain Python."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from copy import deepcopy
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

import polars as pl
from random_books import QUICK, BookText

from dujiang.core.money import MICRO
from dujiang.exchange.clearing import Round, clear_round, open_round
from dujiang.market.arrays import BookArrays
from dujiang.market.book_arrays import book_arrays
from dujiang.market.engine import Effort
from dujiang.market.outcome import Coupling, Outcome
from dujiang.policy.programme import Per
from dujiang.registry.book import Book
from dujiang.verify.verification import verify


def opened(book: BookText, folder: Path) -> Round:
    """Write a book and read it back."""
    return open_round(book.write(folder))


def arrays(book: BookText, folder: Path, coupling: Coupling = Coupling.FULL) -> BookArrays:
    """Return the arrays of a book."""
    round_ = opened(book, folder)
    return book_arrays(round_.book, round_.terms, coupling)


def cleared(
    book: BookText, folder: Path, coupling: Coupling = Coupling.FULL, effort: Effort = QUICK
) -> tuple[Round, Outcome, Mapping[str, bytes]]:
    """Clear a book from its files; return the round, the outcome and the result's files."""
    round_ = opened(book, folder)
    outcome, files = clear_round(round_, coupling, effort)
    return round_, outcome, files


def frame_bytes(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the tables of a result; the summary holds seconds and the digest of the book's bytes."""
    return {name: data for name, data in files.items() if name.endswith(".parquet")}


def assert_verified(book: Path, files: Mapping[str, bytes], out: Path) -> None:
    """Write a result and let the independent program check it against the book."""
    for name, data in files.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(data)
    verdict = verify(book, out)
    assert verdict.clean, [finding.say() for finding in verdict.findings]


def enriched(book: BookText, rng: Random) -> BookText:
    """Return a random book with limited links, running awards and several vouchers for an order."""
    other = deepcopy(book)
    for row in other.tables["links"]:
        row["gb_per_slot"] = rng.choice(("", "0", "12", "40", "66.6"))
    for row in other.tables["orders"]:
        row["max_vouchers"] = rng.choice(("", "0", "2", "3"))
    other.tables["running"] = []
    for number in range(rng.randint(0, 3)):
        _add_running(other, rng, f"r{number}")
    return other


def _add_running(book: BookText, rng: Random, order_id: str) -> None:
    """Add an award of an earlier round to a pool that has none yet, if it has room for one."""
    running, pool = book.tables["running"], rng.choice(book.tables["pools"])
    offered = [int(pool["gpus"])]
    offered += [int(row["gpus"]) for row in book.tables["capacity"] if row["pool_id"] == pool["pool_id"]]
    if min(offered) == 0 or any(row["pool_id"] == pool["pool_id"] for row in running):
        return
    start = rng.randint(-2, book.slots - 1)
    row = {
        "order_id": order_id,
        "pool_id": pool["pool_id"],
        "start": str(start),
        "slots": str(rng.randint(max(1, 1 - start), book.slots + 4)),
        "gpus": str(rng.randint(1, min(offered))),
        "data_gb": "",
        "origin_region": "",
    }
    region = next(c["region"] for c in book.tables["centres"] if c["centre_id"] == pool["centre_id"])
    links = [link for link in book.tables["links"] if link["region"] == region]
    if links and rng.random() < 0.5:
        link = rng.choice(links)
        # a third of what the link carries, as up to three of them may start in one slot
        data = min(4.0, float(link["gb_per_slot"] or 12) / 3)
        row |= {"origin_region": link["origin_region"], "data_gb": f"{data:.6f}"}
    running.append(row)


def assert_rules(round_: Round, outcome: Outcome) -> None:
    """Check what must hold of any result (design 4.2, 4.3, 4.6, 4.9, 9.1 to 9.3)."""
    book, awards = round_.book, outcome.awards
    orders = {row["order_id"]: row for row in book.orders.iter_rows(named=True)}
    once = Counter(awards["order_id"].to_list() + outcome.rejections["order_id"].to_list())
    assert once == Counter(orders.keys())
    used: Counter[tuple[str, int]] = Counter()
    moved: Counter[tuple[str | None, str, int]] = Counter()
    vouchers = _by_order(outcome.vouchers)
    assert set(vouchers) <= set(awards["order_id"])
    regions = dict(book.pools.join(book.centres, on="centre_id").select("pool_id", "region").iter_rows())
    for award in awards.iter_rows(named=True):
        order = orders[award["order_id"]]
        assert order["release"] <= award["start"]
        assert award["start"] + award["slots"] <= min(order["deadline"], book.slots)
        assert award["gpus"] == order["gpus"]
        assert award["gross_ucny"] + award["transfer_ucny"] == award["voucher_ucny"] + award["net_ucny"]
        assert award["ask_cost_ucny"] <= award["gross_ucny"] <= award["effective_limit_ucny"]
        assert award["gross_ucny"] <= award["price_cost_ucny"]
        assert award["net_ucny"] <= order["limit_ucny"]
        used.update((award["pool_id"], award["start"] + i) for i in range(award["slots"]) for _ in range(award["gpus"]))
        moved[order["origin_region"], regions[award["pool_id"]], award["start"]] += order["data_gb_micro"]
        _assert_support(round_, award, order["max_vouchers"], vouchers.get(award["order_id"], []))
    assert_capacity(outcome.prices, used, round_)
    assert_links(outcome.link_prices, moved, book)
    assert_vouchers(round_, outcome)


def _by_order(vouchers: pl.DataFrame) -> dict[str, list[dict[str, Any]]]:
    out: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in vouchers.iter_rows(named=True):
        out[row["order_id"]].append(row)
    return out


def _assert_support(round_: Round, award: dict[str, Any], most: int, vouchers: list[dict[str, Any]]) -> None:
    """The vouchers of an award sum up, each is at least its minimum and at most its share and room."""
    assert len(vouchers) <= most
    assert award["voucher_ucny"] == sum(row["voucher_ucny"] for row in vouchers)
    assert award["programme_id"] == (";".join(row["programme_id"] for row in vouchers) or None)
    assert len({row["programme_id"] for row in vouchers}) == len(vouchers)
    for name in ("share_ppm", "room_ucny"):
        assert award[name] == (None if len(vouchers) > 1 else sum(row[name] for row in vouchers))
    for row in vouchers:
        minimum = round_.programmes[row["programme_id"]].minimum
        assert row["voucher_ucny"] >= (1 if minimum is None else minimum.amount_ucny)
        assert row["voucher_ucny"] <= min(award["gross_ucny"] * row["share_ppm"] // MICRO, row["room_ucny"])


def assert_capacity(prices: pl.DataFrame, used: Mapping[tuple[str, int], int], round_: Round) -> None:
    """No slot is given twice, what runs keeps its own, and the published prices say what is used and free."""
    book = round_.book
    given = {(pool, slot): gpus for pool, slot, gpus in book.capacity.select("pool_id", "slot", "gpus").iter_rows()}
    pools = dict(zip(book.pools["pool_id"], book.pools["gpus"], strict=True))
    running: Counter[tuple[str, int]] = Counter()
    for pool, start, slots, gpus in book.running.select("pool_id", "start", "slots", "gpus").iter_rows():
        running.update({(pool, start + i): gpus for i in range(slots)})
    assert prices.height == len(pools) * book.slots
    for row in prices.iter_rows(named=True):
        cell = row["pool_id"], row["slot"]
        assert row["gpus_used"] == used.get(cell, 0)
        assert row["gpus_free"] >= 0
        assert row["gpus_used"] + row["gpus_free"] + running[cell] == given.get(cell, pools[row["pool_id"]])
        assert row["ucny_per_gpu_hour"] >= row["ask_ucny_per_gpu_hour"]


def assert_links(link_prices: pl.DataFrame, moved: Counter[tuple[str | None, str, int]], book: Book) -> None:
    """No more data starts to cross a limited link in a slot than may, with that of running awards."""
    regions = dict(book.pools.join(book.centres, on="centre_id").select("pool_id", "region").iter_rows())
    for pool, start, data, origin in book.running.select(
        "pool_id", "start", "data_gb_micro", "origin_region"
    ).iter_rows():
        moved[origin, regions[pool], start] += data
    limited = book.links.drop_nulls("gb_per_slot_micro").select("origin_region", "region", "gb_per_slot_micro")
    assert link_prices.height == limited.height * book.slots
    rows = {(row["origin_region"], row["region"], row["slot"]): row for row in link_prices.iter_rows(named=True)}
    for origin, region, most in limited.iter_rows():
        for slot in range(book.slots):
            row = rows[origin, region, slot]
            assert moved[origin, region, slot] <= most
            assert row["gb_used_micro"] + most - row["gb_per_slot_micro"] == moved[origin, region, slot]
            assert row["ucny_per_gb"] >= 0


def assert_vouchers(round_: Round, outcome: Outcome) -> None:
    """Budgets and caps hold, earlier claims counted (all claims of these books are of the round's year).

    A contract uses a programme at most once.
    """
    book = round_.book
    contracts = book.orders.select("order_id", "enterprise_id", contract=pl.coalesce("contract_id", "order_id"))
    rows = outcome.vouchers.join(contracts, on="order_id")
    once = rows.group_by("programme_id", "enterprise_id", "contract").len()["len"]
    assert once.is_empty() or once.max() == 1
    spent: dict[tuple[str, str | None], int] = defaultdict(int)
    for name, enterprise, amount in rows.select("programme_id", "enterprise_id", "voucher_ucny").iter_rows():
        spent[name, None] += amount
        spent[name, enterprise] += amount
    for (name, enterprise), amount in spent.items():
        programme = round_.programmes[name]
        mine = book.claims.filter(pl.col("programme_id") == name)
        if enterprise is None and programme.budget is not None:
            assert amount + int(mine["amount_ucny"].sum()) <= programme.budget.amount_ucny
        for cap in programme.caps:
            if enterprise is not None and cap.per is Per.ENTERPRISE:
                claimed = int(mine.filter(pl.col("enterprise_id") == enterprise)["amount_ucny"].sum())
                assert amount + claimed <= cap.amount_ucny


def read_back(files: Mapping[str, bytes], name: str) -> pl.DataFrame:
    """Return one table of a result."""
    return pl.read_parquet(BytesIO(files[f"{name}.parquet"]))


def yuan(ucny: int) -> float:
    """Return micro-yuan as yuan."""
    return ucny / MICRO
