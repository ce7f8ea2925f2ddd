"""Clearing a small book through its files, and the rules that every result keeps, told in plain Python."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import polars as pl
from random_books import QUICK, BookText

from dujiang.core.money import MICRO
from dujiang.exchange.clearing import Round, clear_round, open_round
from dujiang.market.arrays import BookArrays, book_arrays
from dujiang.market.engine import Effort
from dujiang.market.outcome import Coupling, Outcome
from dujiang.policy.programme import Per
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


def assert_rules(round_: Round, outcome: Outcome) -> None:
    """Check what must hold of any result (design 4.2, 4.3, 4.6, 9.1 to 9.3)."""
    book, awards = round_.book, outcome.awards
    orders = {row["order_id"]: row for row in book.orders.iter_rows(named=True)}
    once = Counter(awards["order_id"].to_list() + outcome.rejections["order_id"].to_list())
    assert once == Counter(orders.keys())
    used: Counter[tuple[str, int]] = Counter()
    spent: dict[tuple[str, str | None], int] = defaultdict(int)
    contracts: Counter[tuple[str, str, str]] = Counter()
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
        name, voucher = award["programme_id"], award["voucher_ucny"]
        assert (name is None) == (voucher == 0)
        if name is not None:
            minimum = round_.programmes[name].minimum
            assert voucher >= (1 if minimum is None else minimum.amount_ucny)
            assert order["max_vouchers"] > 0
            spent[name, None] += voucher
            spent[name, award["enterprise_id"]] += voucher
            contracts[name, award["enterprise_id"], order["contract_id"] or award["order_id"]] += 1
    assert max(contracts.values(), default=0) <= 1
    assert_capacity(outcome.prices, used, round_)
    assert_vouchers(round_, spent)


def assert_capacity(prices: pl.DataFrame, used: Mapping[tuple[str, int], int], round_: Round) -> None:
    """No slot is given twice, and the published prices say what is used and free."""
    book = round_.book
    given = {(pool, slot): gpus for pool, slot, gpus in book.capacity.select("pool_id", "slot", "gpus").iter_rows()}
    pools = dict(zip(book.pools["pool_id"], book.pools["gpus"], strict=True))
    assert prices.height == len(pools) * book.slots
    for row in prices.iter_rows(named=True):
        cell = row["pool_id"], row["slot"]
        assert row["gpus_used"] == used.get(cell, 0)
        assert row["gpus_free"] >= 0
        assert row["gpus_used"] + row["gpus_free"] == given.get(cell, pools[row["pool_id"]])
        assert row["ucny_per_gpu_hour"] >= row["ask_ucny_per_gpu_hour"]


def assert_vouchers(round_: Round, spent: Mapping[tuple[str, str | None], int]) -> None:
    """Budgets and caps hold, earlier claims counted (all claims of these books are of the round's year)."""
    claims = round_.book.claims
    for (name, enterprise), amount in spent.items():
        programme = round_.programmes[name]
        mine = claims.filter(pl.col("programme_id") == name)
        if enterprise is None and programme.budget is not None:
            assert amount + int(mine["amount_ucny"].sum()) <= programme.budget.amount_ucny
        cap = programme.cap
        if enterprise is not None and cap is not None and cap.per is Per.ENTERPRISE:
            claimed = int(mine.filter(pl.col("enterprise_id") == enterprise)["amount_ucny"].sum())
            assert amount + claimed <= cap.amount_ucny


def read_back(files: Mapping[str, bytes], name: str) -> pl.DataFrame:
    """Return one table of a result."""
    return pl.read_parquet(BytesIO(files[f"{name}.parquet"]))


def yuan(ucny: int) -> float:
    """Return micro-yuan as yuan."""
    return ucny / MICRO
