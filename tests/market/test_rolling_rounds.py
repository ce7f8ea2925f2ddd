"""Rounds roll forward: nothing is given twice, nothing is lost, and budgets and caps hold over all rounds together."""

import csv
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from market_rules import assert_verified
from polars.testing import assert_frame_equal
from random_books import QUICK, folder, random_book
from random_books import _orders as random_orders

from dujiang.core.problem import ProblemList
from dujiang.exchange.carried import carried
from dujiang.exchange.clearing import Extras, Round, admit_round, clear_round, open_round
from dujiang.exchange.earlier import read_earlier
from dujiang.exchange.rolling import roll_to
from dujiang.market.engine import Effort
from dujiang.market.outcome import Coupling, Outcome
from dujiang.registry.book import Book
from dujiang.store.read_book import read_book

randoms = st.integers(0, 2**32 - 1).map(Random)


def result(book: Path, out: Path, warm: Path | None = None) -> Outcome:
    """Clear a book into a folder that the independent program finds nothing wrong with."""
    extras = Extras(None if warm is None else read_earlier(warm))
    outcome, files = clear_round(open_round(book), Coupling.FULL, QUICK, None, extras)
    assert_verified(book, files, out)
    return outcome


def admission(book: Path, prices: Path, out: Path) -> Outcome:
    """Admit the orders of a book at posted prices, likewise."""
    outcome, files = admit_round(open_round(book), Coupling.FULL, read_earlier(prices))
    assert_verified(book, files, out)
    return outcome


@dataclass
class Given:
    """What all rounds together have given, in absolute time."""

    start: Book
    """The first book."""
    terms: Round
    used: Counter[tuple[str, int]] = field(default_factory=Counter)
    crossing: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    orders: list[str] = field(default_factory=list)
    spent: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    of_firm: defaultdict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    contracts: list[tuple[str, str, str]] = field(default_factory=list)

    def take(self, book: Book, outcome: Outcome) -> None:
        """Add a round."""
        hours = (book.start - self.start.start) // timedelta(hours=1)
        orders = {row["order_id"]: row for row in book.orders.iter_rows(named=True)}
        regions = dict(book.centres.select("centre_id", "region").iter_rows())
        for award in outcome.awards.iter_rows(named=True):
            order = orders[award["order_id"]]
            self.orders.append(award["order_id"])
            begin = award["start"] + hours
            self.used.update({(award["pool_id"], t): award["gpus"] for t in range(begin, begin + award["slots"])})
            if order["origin_region"] is not None:
                link = (order["origin_region"], regions[award["centre_id"]], begin)
                self.crossing.update({link: order["data_gb_micro"]})
        for voucher in outcome.vouchers.iter_rows(named=True):
            order, programme = orders[voucher["order_id"]], voucher["programme_id"]
            self.spent[programme] += voucher["voucher_ucny"]
            self.of_firm[programme, order["enterprise_id"]] += voucher["voucher_ucny"]
            if order["contract_id"] is not None:
                self.contracts.append((order["enterprise_id"], order["contract_id"], programme))

    def hold(self) -> None:
        """Assert that the first book offers all that was given."""
        book, terms = self.start, self.terms.terms
        offered = dict(book.pools.select("pool_id", "gpus").iter_rows())
        single = {
            (pool, slot): gpus for pool, slot, gpus in book.capacity.select("pool_id", "slot", "gpus").iter_rows()
        }
        assert not {at: n for at, n in self.used.items() if n > single.get(at, offered[at[0]])}
        limits = book.links.select("origin_region", "region", "gb_per_slot_micro").drop_nulls().iter_rows()
        most = {(origin, region): gb for origin, region, gb in limits}
        assert not {at: gb for at, gb in self.crossing.items() if gb > most.get(at[:2], gb)}
        assert len(set(self.orders)) == len(self.orders)
        assert len(set(self.contracts)) == len(self.contracts)
        for key, left, limited in zip(
            terms.programme_ids, terms.budget_left_ucny.tolist(), terms.budget_limited.tolist(), strict=True
        ):
            assert not limited or self.spent[key] <= left
        for k, enterprise, left in zip(
            terms.cap_programme.tolist(), terms.cap_enterprise, terms.cap_left_ucny.tolist(), strict=True
        ):
            assert self.of_firm[terms.programme_ids[k], enterprise] <= left


def three_rounds(rng: Random, place: Path) -> Iterator[str]:
    """Clear a random book, admit arrivals at its prices, clear what follows; check all together, name what happened."""
    book = random_book(rng, orders=14)
    if book.programmes and rng.random() < 0.5:
        uses = ", ".join(f"{{id: {name}, budget_cny: 12.5}}" for name in book.programmes)
        book.objective += f"use: [{uses}]\n"
    path, out = book.write(place / "book0"), place / "out0"
    first = open_round(path)
    given = Given(first.book, first)
    outcome = result(path, out)
    given.take(first.book, outcome)
    for number in (1, 2):
        here, now = first if number == 1 else open_round(path), place / f"book{number}"
        hours = rng.randrange(book.slots)
        fresh = place / f"arrivals{number}.csv"
        rows = random_orders(rng, 6, book.slots, book.tables)
        with fresh.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows({**row, "order_id": f"r{number}-{row['order_id']}"} for row in rows)
        remarks = roll_to(path, out, hours, now, fresh)
        problems = ProblemList()
        kept = carried(here.book, outcome, hours)
        yield from ["order dropped"] * len(remarks["dropped"]) + ["award runs on"] * remarks["awards"]["running"]
        yield from ["award ended"] * remarks["awards"]["ended"] + ["order kept"] * remarks["orders"]["kept"]
        yield from ["without vouchers"] * len(remarks["without_vouchers"])
        before = {*outcome.awards["order_id"], *remarks["dropped"], *kept.orders["order_id"]}
        assert before == set(here.book.orders["order_id"])
        path = now
        after, _ = read_book(path, problems)
        assert after is not None, [problem.say() for problem in problems]
        assert set(after.orders["order_id"]) == {f"r{number}-{row['order_id']}" for row in rows} | (
            before - set(outcome.awards["order_id"]) - set(remarks["dropped"])
        )
        last, out = out, place / f"out{number}"
        outcome = admission(path, last, out) if number == 1 else result(path, out, last)
        given.take(after, outcome)
        given.hold()
        word = "admitted" if number == 1 else "cleared"
        yield from [word] * outcome.awards.height + [f"voucher {word}"] * outcome.vouchers.height


@given(randoms)
@settings(max_examples=10, deadline=None)
def test_over_three_rounds_nothing_is_given_twice_and_budgets_caps_and_contracts_hold(rng: Random) -> None:
    with folder() as place:
        list(three_rounds(rng, place))


def test_the_random_rounds_meet_every_case() -> None:
    seen: Counter[str] = Counter()
    for seed in range(8):
        with folder() as place:
            seen.update(three_rounds(Random(seed), place))
    cases = {"order dropped", "award runs on", "award ended", "order kept", "admitted", "cleared"}
    assert cases | {"voucher admitted", "voucher cleared", "without vouchers"} <= set(seen)


@given(randoms)
@settings(max_examples=8, deadline=None)
def test_what_is_carried_reads_back_as_it_was(rng: Random) -> None:
    with folder() as place:
        path = random_book(rng, orders=14).write(place / "book")
        outcome = result(path, place / "out")
        hours = rng.randrange(4)
        roll_to(path, place / "out", hours, place / "next")
        book, after = (read_book(place / name, ProblemList())[0] for name in ("book", "next"))
        assert book is not None
        assert after is not None
        kept = carried(book, outcome, hours)
        assert_frame_equal(after.running, kept.running)
        assert_frame_equal(after.claims, kept.claims)
        assert_frame_equal(after.capacity, kept.capacity)
        for name in ("centres", "pools", "links", "enterprises"):
            assert_frame_equal(getattr(after, name), getattr(book, name))
        changed = ("release", "deadline", "max_vouchers")
        waiting = book.orders.filter(pl.col("order_id").is_in(after.orders["order_id"].implode()))
        assert_frame_equal(after.orders.drop(changed), waiting.drop(changed))
        late = (waiting["release"] - hours).clip(0)
        assert after.orders["release"].to_list() == late.to_list()
        assert after.orders["deadline"].to_list() == (waiting["deadline"] - hours).to_list()
        assert after.start == book.start + timedelta(hours=hours)
        assert (after.slots, after.title, after.objective) == (book.slots, book.title, book.objective)


def test_a_warm_start_is_as_good_as_a_cold_one() -> None:
    """Prices to begin with change where the search starts, not how good its end is."""
    effort = Effort()
    gaps = []
    for seed in range(6):
        with folder() as place:
            path = random_book(Random(seed), orders=16).write(place / "book")
            result(path, place / "out")
            round_ = open_round(path)
            cold, _ = clear_round(round_, Coupling.FULL, effort)
            warm, _ = clear_round(round_, Coupling.FULL, effort, None, Extras(read_earlier(place / "out")))
            gaps.append((cold.summary["welfare_cny"], warm.summary["welfare_cny"]))
    cold_sum, warm_sum = (sum(column) for column in zip(*gaps, strict=True))
    assert warm_sum >= 0.99 * cold_sum
