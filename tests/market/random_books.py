"""Small random books as text, with every feature of the market in them, and random arrays for the compiled loops."""

import csv
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import permutations
from math import ceil
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import numpy as np

from dujiang.core.money import MICRO
from dujiang.market.arrays import BookArrays
from dujiang.market.dual import Prices
from dujiang.market.engine import Effort

QUICK = Effort(passes=60, moves=800, ruin=12)
"""Enough for a handful of orders."""

_PROGRAMME = """\
id: {id}
version: 2025-01-01
name: {{zh: 随机券, en: random voucher}}
jurisdiction: {{level: city, province: 广东, city: 深圳}}
issuer: nobody
document: made up for a test
document_no: null
kind: compute_voucher
instrument: voucher
good: compute
valid: {{from: 2025-01-01, until: 2025-12-31, clause: a}}
verified: false
confidence: low
clauses: {{a: {{text: made up for a test, verbatim: false, source: nobody, quality: low}}}}
conditions:
- {{id: city, fact: city, op: in, value: [{cities}], clause: a, text: {{zh: 本地, en: local}}}}
base: contract
rate: {{share: {share}, rule: not_above, clause: a}}
special_rates: {special}
cap: {cap}
minimum_cny: {minimum}
budget: {budget}
"""
_SPECIAL = "[{share: %s, clause: a, when: [{id: big, fact: %s, clause: a, text: {zh: 大单, en: big}}]}]"
SPECIALS = (_SPECIAL % ("0.6", "gpus, op: at_least, value: 8"), _SPECIAL % ("1", "accelerator, op: is, value: 910B"))
_AMOUNT = "{amount_cny: %s%s, clause: a}"

MONEY = {
    "pools": ("ask_cny_per_gpu_hour",),
    "capacity": ("ask_cny_per_gpu_hour",),
    "links": ("cny_per_gb",),
    "orders": ("limit_cny",),
    "claims": ("amount_cny",),
}
"""Columns that hold yuan."""

EMPTY = {"orders": ["order_id", "enterprise_id", "gpus", "hours", "release", "deadline", "limit_cny"]}
"""Header of a required table without rows."""

Rows = list[dict[str, str]]


@dataclass
class BookText:
    """A book before it is written: all cells as text."""

    slots: int
    tables: dict[str, Rows]
    objective: str = ""
    programmes: dict[str, dict[str, str]] = field(default_factory=dict)
    """Fields of the template by programme id."""

    def write(self, folder: Path) -> Path:
        """Write the folder and return it."""
        folder.mkdir(parents=True, exist_ok=True)
        header = f'start: "2025-11-03T00:00:00+08:00"\nslots: {self.slots}\n{self.objective}'
        (folder / "book.yaml").write_text(header, encoding="utf-8")
        for name, rows in self.tables.items():
            columns = list(dict.fromkeys(column for row in rows for column in row)) or EMPTY.get(name, [])
            text = io.StringIO()
            writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
            if columns:
                (folder / f"{name}.csv").write_text(text.getvalue(), encoding="utf-8")
        for name, fields in self.programmes.items():
            (folder / "programmes").mkdir(exist_ok=True)
            (folder / "programmes" / f"{name}.yaml").write_text(_PROGRAMME.format(id=name, **fields), encoding="utf-8")
        return folder

    def shuffled(self, rng: Random) -> "BookText":
        """Return the same book with the rows of every file in another order."""
        other = deepcopy(self)
        for rows in other.tables.values():
            rng.shuffle(rows)
        return other

    def changed(self, table: str, change: Callable[[dict[str, str]], None]) -> "BookText":
        """Return the book with every row of a table changed."""
        other = deepcopy(self)
        for row in other.tables[table]:
            change(row)
        return other

    def times_ten(self) -> "BookText":
        """Return the book with ten times the money; only for books without programmes and objective."""
        assert not self.programmes
        assert not self.objective
        other = deepcopy(self)
        for table, columns in MONEY.items():
            for row in other.tables.get(table, []):
                for column in columns:
                    if row.get(column):
                        row[column] = _decimal(Fraction(row[column]) * 10)
        return other


def _decimal(value: Fraction) -> str:
    micro = value * MICRO
    assert micro.denominator == 1
    return f"{int(micro) // MICRO}.{int(micro) % MICRO:06d}"


@contextmanager
def folder() -> Iterator[Path]:
    """Give a folder to one example of a property; hypothesis shares `tmp_path` between examples."""
    with TemporaryDirectory() as name:
        yield Path(name)


REGIONS = ("east", "west", "north")
CARDS = ("H800", "910B")


def _supply(rng: Random, slots: int, carbon: bool) -> dict[str, Rows]:
    centres: Rows = []
    for name in REGIONS[: rng.randint(1, 3)]:
        row = {"centre_id": f"{name}1", "region": name, "province": "广东"}
        if carbon:
            row |= {"pue": rng.choice(("1.1", "1.45")), "grid_kgco2_per_kwh": rng.choice(("0.1", "0.5703"))}
        centres.append(row)
    pools: Rows = []
    for number in range(rng.randint(1, 5)):
        row = {
            "pool_id": f"p{number}",
            "centre_id": rng.choice(centres)["centre_id"],
            "accelerator": rng.choice(CARDS),
            "gpus": str(rng.choice((0, 4, 8, 8, 8, 16))),
            "ask_cny_per_gpu_hour": rng.choice(("0", "1", "2.5", "3.333333", "4")),
            "speed": rng.choice(("", "1", "0.5", "1.7")),
            "stacks": rng.choice(("", "cuda", "cuda;rocm", "cann")),
        }
        if carbon:
            row["watts_per_gpu"] = rng.choice(("310", "700"))
        pools.append(row)
    capacity = {
        (pool["pool_id"], str(rng.randrange(slots))): {
            "gpus": str(rng.choice((0, 2, 8, 12))),
            "ask_cny_per_gpu_hour": rng.choice(("", "0.5", "6")),
        }
        for pool in pools
        for _ in range(rng.randint(0, 2))
    }
    links = [
        {
            "origin_region": a,
            "region": b,
            "cny_per_gb": rng.choice(("", "0.05", "0.123456")),
            "rtt_ms": rng.choice(("", "15", "40.5")),
        }
        for a in REGIONS
        for b in REGIONS
        if a != b and rng.random() < 0.8
    ]
    return {
        "centres": centres,
        "pools": pools,
        "capacity": [{"pool_id": pool, "slot": slot, **row} for (pool, slot), row in capacity.items()],
        "links": links,
    }


def _orders(rng: Random, count: int, slots: int, supply: dict[str, Rows]) -> Rows:
    fastest = max(Fraction(pool["speed"] or "1") for pool in supply["pools"])
    rows: Rows = []
    for number in range(count):
        gpus = rng.choice((1, 2, 3, 4, 4, 8, 8, 16))
        hours = rng.choice(("0.5", "1", "1.25", "2", "3.7"))
        release = rng.randrange(slots)
        deadline = release + ceil(Fraction(hours) / fastest) + rng.choice((0, 1, 2, 4, slots))
        worth = Fraction(gpus) * Fraction(hours) * rng.choice((1, 2, 3, 5, 9)) + Fraction(rng.randrange(100), 100)
        origin = rng.choice(("", "", *REGIONS))
        rows.append(
            {
                "order_id": f"o{number:02d}",
                "enterprise_id": f"e{rng.randrange(3)}",
                "gpus": str(gpus),
                "hours": hours,
                "release": str(release),
                "deadline": str(deadline),
                "limit_cny": _decimal(worth),
                "submitted": rng.choice(("", "2025-11-01T00:00:00Z", "2025-11-01T08:30:00+08:00")),
                "accelerators": rng.choice(("", "", "", "H800", "910B;H800")),
                "stacks": rng.choice(("", "", "", "cuda", "cann;rocm")),
                "regions": rng.choice(("", "", "", "east;west")),
                "origin_region": origin,
                "origin_centre": "" if origin else rng.choice(("", supply["centres"][0]["centre_id"])),
                "data_gb": rng.choice(("", "10", "33.3")) if origin else "",
                "rtt_ms_max": rng.choice(("", "", "20")) if origin else "",
                "max_vouchers": rng.choice(("", "", "", "0")),
                "contract_id": rng.choice(("", "", "k1")),
            }
        )
    return rows


def _programme(rng: Random) -> dict[str, str]:
    amounts = [rng.choice(("5", "12.34", "40")) for _ in range(2)]
    cap = _AMOUNT % (amounts[0], rng.choice((", per: enterprise, period: year", ", per: contract, period: validity")))
    capped = rng.random() < 0.7
    return {
        "cities": rng.choice(("深圳", "深圳, 广州")),
        "share": rng.choice(("0.1", "0.333333", "0.5")),
        "special": rng.choice(("[]", *SPECIALS)),
        "cap": cap if capped else "null",
        "minimum": rng.choice(("null", "null", _AMOUNT % ("2.5", ""))),
        # one of the two is always there: a share of 100 % without either is no limit at all, and refused
        "budget": "null" if capped and rng.random() < 0.3 else _AMOUNT % (amounts[1], ", period: year"),
    }


def random_book(rng: Random, *, orders: int = 12, programmes: int = 2, plain: bool = False) -> BookText:
    """Draw a book of at most so many orders; `plain`: no programmes, no data, no objective."""
    slots = rng.randint(3, 10)
    carbon = not plain and rng.random() < 0.3
    supply = _supply(rng, slots, carbon)
    tables = {
        **supply,
        "enterprises": [
            {"enterprise_id": f"e{number}", "city": city, "employees": staff}
            for number, (city, staff) in enumerate((("深圳", "20"), ("广州", "900"), ("深圳", "")))
        ],
        "orders": _orders(rng, rng.randint((orders + 1) // 2, orders), slots, supply),
    }
    book = BookText(slots, tables)
    if plain:
        return book.changed("orders", lambda row: row.update(data_gb=""))
    terms = ["carbon_cny_per_kg: 0.5"] if carbon else []
    if rng.random() < 0.3:
        terms += ["small_firm_cny_per_gpu_hour: 0.3", "small_firm_employees_max: 100"]
    book.objective = f"objective: {{{', '.join(terms)}}}\n" if terms else ""
    book.programmes = {f"v{number}": _programme(rng) for number in range(rng.randint(0, programmes))}
    if book.programmes and rng.random() < 0.5:
        claim = {"enterprise_id": "e0", "programme_id": "v0", "period": "2025", "amount_cny": "3.21"}
        tables["claims"] = [claim]
    return book


def _random_options(rng: np.random.Generator, programmes: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw parts and ceilings of options: none, every programme alone, and some sets of two and three."""
    sets = [s for n in (2, 3) for s in permutations(range(programmes), n) if rng.random() < 0.4]
    width = max([1, *map(len, sets)])
    parts = np.full((1 + programmes + len(sets), width), -1, dtype=np.int32)
    parts[1 : 1 + programmes, 0] = np.arange(programmes)
    for row, chosen in enumerate(sets, start=1 + programmes):
        parts[row, : len(chosen)] = chosen
    ceiling = rng.choice([MICRO, MICRO, 600_000, 350_000], len(parts)).astype(np.int64)
    ceiling[0] = MICRO
    return parts, ceiling


def random_arrays(
    seed: int,
    *,
    orders: int = 8,
    pools: int = 3,
    slots: int = 9,
    programmes: int = 2,
    links: bool = True,
    even: bool | None = None,
) -> BookArrays:
    """Draw consistent book arrays with every feature of the market in them.

    `even`: capacity and ask are the same in all slots of a pool; None: by chance. Amounts are small enough for
    floats to hold every sum exactly.
    """
    rng = np.random.default_rng(seed)
    even = bool(rng.random() < 0.3) if even is None else even
    width = 1 if even else slots
    capacity = np.broadcast_to(rng.choice([0, 4, 8, 8, 12], (pools, width)), (pools, slots))
    ask = np.broadcast_to(rng.integers(0, 4 * MICRO, (pools, width)), (pools, slots))
    speeds = rng.choice([1.0, 0.6, 0.35], pools)
    hours = rng.choice([0.5, 1.0, 1.3, 2.0, 3.0], orders)
    shapes, shape = np.unique(hours, return_inverse=True)
    places = int(rng.integers(1, orders + 1))
    fits = rng.random((places, pools)) < 0.75
    routes = rng.choice([-1, 0, 0, 0, 1], (places, pools)) if links else np.full((places, pools), -1)
    release = rng.integers(0, slots, orders)
    has_data = links & (rng.random(orders) < 0.7)
    classes = int(rng.integers(1, 4))
    share = rng.choice([0, 1, 200_000, 333_333, 500_000, 900_000, MICRO], (classes, programmes, pools))
    parts, ceiling = _random_options(rng, programmes)
    allowed = rng.random((classes, len(parts))) < 0.8
    allowed[:, 0] = True
    firm = rng.integers(0, 2, orders)
    cap = np.full((orders, programmes), -1, dtype=np.int32)
    for k in range(programmes):
        if rng.random() < 0.7:
            cap[:, k] = 2 * k + firm
    limited = rng.random(programmes) < 0.8
    budget = np.where(limited, rng.integers(0, 30 * MICRO, programmes), 2**61)
    cap_left = rng.integers(0, 20 * MICRO, 2 * programmes)
    of_cap = np.append(cap_left, 0)[cap]
    # a share of 100 % without cap and budget would be no limit at all
    room = np.minimum(np.where(cap >= 0, np.minimum(of_cap, budget), budget), 50 * MICRO)
    return BookArrays(
        capacity=np.ascontiguousarray(capacity),
        ask=np.ascontiguousarray(ask),
        carbon=rng.integers(0, 100_000, pools) * int(rng.integers(0, 2)),
        gpus=rng.choice([1, 2, 4, 8], orders),
        release=release,
        deadline=np.minimum(slots, release + rng.integers(1, slots + 1, orders)),
        limit=rng.integers(1, 90 * MICRO, orders),
        data=np.where(has_data, rng.integers(0, 20 * MICRO, orders), 0),
        bonus=rng.integers(0, MICRO, orders) * rng.integers(0, 2, orders) * int(rng.integers(0, 2)),
        shape=shape.astype(np.int32),
        slots=np.maximum(1, np.ceil(shapes[:, None] / speeds - 1e-9)).astype(np.int32),
        place=rng.integers(0, places, orders).astype(np.int32),
        place_first=np.concatenate([[0], np.cumsum(fits.sum(axis=1))]).astype(np.int64),
        place_pool=np.nonzero(fits)[1].astype(np.int32),
        tariff=np.where(rng.random((places, pools)) < 0.7, rng.integers(0, 300_000, (places, pools)), 0),
        route=routes.astype(np.int32),
        link_left=rng.integers(0, 20 * MICRO, (2 if links else 0, slots)),
        contract=rng.integers(0, orders, orders).astype(np.int32),
        term=rng.integers(0, classes, orders).astype(np.int32),
        share=np.ascontiguousarray(share),
        allowed=allowed,
        room=np.ascontiguousarray(room),
        cap=cap,
        parts=parts,
        ceiling=ceiling,
        budget=budget,
        limited=limited,
        minimum=rng.choice([0, 0, MICRO], programmes).astype(np.int64),
        cap_left=cap_left,
        cap_programme=np.repeat(np.arange(programmes), 2).astype(np.int32),
    )


def some_prices(a: BookArrays, seed: int) -> Prices:
    """Draw whole multipliers, many of them zero; those of the bound at the prices are others."""
    rng = np.random.default_rng([seed, 2])
    capacity = rng.choice([0, 1, MICRO], a.ask.shape) * rng.integers(0, 4, a.ask.shape)
    link = rng.choice([0, 0, 1, 200_000], a.link_left.shape)
    rates = [
        (np.where(a.limited, rng.integers(0, 2 * MICRO, a.budget.size), 0), rng.integers(0, MICRO, a.cap_left.size))
        for _ in range(2)
    ]
    return Prices(capacity, link, *rates[0], *rates[1])
