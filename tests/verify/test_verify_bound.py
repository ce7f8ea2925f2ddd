"""Bounds, reasons and what would have been enough, against the rules written out block by block."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import handmade_round as handmade
import numpy as np
import pytest
from handmade_round import YUAN
from hypothesis import given, settings
from hypothesis import strategies as st

from dujiang.verify import amounts, blocks
from dujiang.verify.blocks import Ladder, Posted, posted
from dujiang.verify.book import read_book
from dujiang.verify.cells import MICRO, Ints
from dujiang.verify.certificate import Shadow, dual_bound
from dujiang.verify.options import Options
from dujiang.verify.programme import read_programme
from dujiang.verify.rejections import NOTHING, REASONS, Left, Search
from dujiang.verify.support import Option, Programmes

PROGRAMMES = {
    "ca": "rate: {share: 0.3}\ncap: {amount_cny: 25, per: enterprise}\ncombined_ceiling: {share: 0.5, with: all}\n",
    "na": "rate: {share: 0.2}\nbudget: {amount_cny: 40, period: year}\n",
    "pr": "rate: {share: 0.41}\ncap: {amount_cny: 30, per: contract}\nminimum_cny: {amount_cny: 3}\n",
}


def opened(folder: Path) -> Options:
    """Read the hand-made book with three more programmes, of which an order may use up to three together."""
    handmade.write_book(folder)
    orders = handmade.BOOK["orders.csv"].replace("H800,west,,,", "H800,west,east,25,").splitlines()
    orders = [orders[0] + ",max_vouchers", *(row + f",{number % 4}" for number, row in enumerate(orders[1:]))]
    (folder / "orders.csv").write_text("\n".join(orders), encoding="utf-8")
    terms = "objective: {small_firm_cny_per_gpu_hour: 0.3, small_firm_employees_max: 900, carbon_cny_per_kg: 0.7}\n"
    (folder / "book.yaml").write_text(handmade.BOOK["book.yaml"] + terms, encoding="utf-8")
    head, *pools = handmade.BOOK["pools.csv"].splitlines()
    (folder / "pools.csv").write_text("\n".join([head + ",watts_per_gpu", *(p + ",700" for p in pools)]))
    head, *centres = handmade.BOOK["centres.csv"].splitlines()
    text = "\n".join([head + ",pue,grid_kgco2_per_kwh", *(c + ",1.2,0.5" for c in centres)])
    (folder / "centres.csv").write_text(text, encoding="utf-8")
    for name, rules in PROGRAMMES.items():
        path = folder / "programmes" / f"{name}.yaml"
        path.write_text(f"id: {name}\ngood: compute\nbase: contract\n{rules}", encoding="utf-8")
    programmes = [read_programme(path) for path in sorted((folder / "programmes").glob("*.yaml"))]
    book = read_book(folder)
    return Options(book, Programmes(book, programmes, {}), "full")


def options() -> Options:
    with TemporaryDirectory() as folder:
        return opened(Path(folder) / "book")


OPTIONS = options()
seeds = st.integers(0, 2**32 - 1)


def rates(rng: np.random.Generator) -> Posted:
    above = rng.choice([0, 0, 1, YUAN, 3 * YUAN + 1], OPTIONS.ask.shape)
    return posted(OPTIONS, OPTIONS.ask + above, rng.choice([0, 7, 90_000, YUAN], OPTIONS.link_left.shape))


@dataclass(frozen=True)
class Block:
    """One way to serve an order: amounts in micro-yuan."""

    pool: int
    start: int
    slots: int
    option: Option
    ask: int
    price: int
    bears: int
    least: list[int]
    paid: list[int]
    valid: bool
    extra: int
    transfer: int
    link: int
    held: int


def one(values: Ints) -> int:
    return int(values.reshape(-1)[0])


def blocks_of(j: int, rate: Posted) -> Iterator[Block]:
    """Yield every block of an order from its release to the end of the round, whatever stands in its way."""
    orders, row = OPTIONS.book.orders, np.array([j])
    gpus = int(orders.gpus[j])
    for p in np.flatnonzero(OPTIONS.fits[orders.place[j]]).tolist():
        d, transfer = one(OPTIONS.run_slots(row, p)), one(OPTIONS.transfer(row, p))
        for option in OPTIONS.terms.options:
            if len(option.programmes) > orders.max_vouchers[j]:
                continue
            parts = OPTIONS.parts(option, row, p)
            own = np.array([int(orders.limit_ucny[j]) - transfer])
            bears = one(amounts.effective_limit(own, parts, option.ceiling_ppm))
            for t in range(int(orders.release[j]), OPTIONS.book.slots - d + 1):
                ask = gpus * sum(OPTIONS.ask[p, t : t + d].tolist())
                price = gpus * sum(rate.price[p, t : t + d].tolist())
                gross = np.array([max(ask, min(price, bears))], dtype=rate.price_sum.dtype)
                paid = [one(v) for v in amounts.vouchers(gross, parts, option.ceiling_ppm)]
                least = [one(v) for v in amounts.least_vouchers(np.array([ask]), parts, option.ceiling_ppm)]
                valid = all(v >= max(1, part.minimum_ucny) for v, part in zip(paid, parts, strict=True))
                extra = int(OPTIONS.carbon[p]) * gpus * d - int(OPTIONS.bonus[j])
                route = int(OPTIONS.route[orders.place[j], p])
                yield Block(p, t, d, option, ask, price, bears, least, paid, valid, extra, transfer, route, gpus)


def fits(j: int, block: Block, capacity: Ints, links: Ints) -> bool:
    span = slice(block.start, block.start + block.slots)
    data = int(OPTIONS.book.orders.data_gb_micro[j])
    carried = block.link < 0 or data <= links[block.link, block.start]
    return bool(capacity[block.pool, span].min() >= block.held and carried)


def toll(j: int, block: Block, rate: Posted) -> Fraction:
    if block.link < 0:
        return Fraction(0)
    data = int(OPTIONS.book.orders.data_gb_micro[j])
    return Fraction(data * int(rate.link_price[block.link, block.start]), MICRO)


def slow_bound(rate: Posted, shadow: Shadow) -> int:
    total = Fraction(((rate.price.astype(object) - OPTIONS.ask) * OPTIONS.capacity).sum())
    total += Fraction(int((rate.link_price * OPTIONS.link_left).sum()), MICRO)
    programmes, orders = OPTIONS.programmes, OPTIONS.book.orders
    total += sum(Fraction(m * (programmes.budget_left(k) or 0), MICRO) for k, m in shadow.budgets.items())
    total += sum(Fraction(n * (programmes.cap_left(k, e) or 0), MICRO) for (k, e), n in shadow.caps.items())
    for j in range(len(orders)):
        firm, best = OPTIONS.book.enterprise_ids[orders.enterprise[j]], Fraction(0)
        for block in blocks_of(j, rate):
            inside = block.start + block.slots <= min(int(orders.deadline[j]), OPTIONS.book.slots)
            open_ = inside and block.bears >= block.ask and (block.valid or not shadow.paid)
            if open_ and fits(j, block, OPTIONS.capacity, OPTIONS.link_left):
                gain = Fraction(block.bears - block.price - block.extra) - toll(j, block, rate)
                drawn = block.paid if shadow.paid else block.least
                for k, amount in zip(block.option.programmes, drawn, strict=True):
                    name = programmes.ids[k]
                    weight = shadow.budgets.get(name, 0) + shadow.caps.get((name, firm), 0)
                    gain -= Fraction(weight * amount, MICRO)
                best = max(best, gain)
        total += best
    return -(-total.numerator // total.denominator)


@settings(max_examples=60, deadline=None)
@given(seed=seeds, paid=st.booleans())
def test_bound_is_that_of_the_formula_block_by_block(seed: int, paid: bool) -> None:
    rng = np.random.default_rng(seed)
    rate = rates(rng)
    firms = OPTIONS.book.enterprise_ids
    sizes = [0, 1, 333_333, 2 * MICRO]
    shadow = Shadow(
        budgets={"na": int(rng.choice(sizes)), "sz": int(rng.choice(sizes))},
        caps={(k, e): int(rng.choice(sizes)) for k in ("ca", "sz") for e in firms},
        paid=paid,
    )
    assert dual_bound(OPTIONS, rate, shadow) == slow_bound(rate, shadow)


def left_over(rng: np.random.Generator) -> Left:
    programmes = OPTIONS.programmes
    caps = [programmes.caps_left(k) for k in range(len(programmes.ids))]
    return Left(
        capacity=OPTIONS.capacity - rng.integers(0, 1 + OPTIONS.capacity) * (rng.random(OPTIONS.ask.shape) < 0.4),
        links=OPTIONS.link_left - rng.integers(0, 1 + OPTIONS.link_left) * (rng.random() < 0.5),
        budgets=[
            b if b is None else b * int(rng.integers(0, 5)) // 4 for b in map(programmes.budget_left, programmes.ids)
        ],
        caps=[cap if cap is None else cap * int(rng.integers(0, 5)) // 4 for cap in caps],
        used=rng.random((len(OPTIONS.book.orders), len(programmes.ids))) < 0.2,
    )


def funded(j: int, block: Block, left: Left, drawn: list[int]) -> bool:
    firm = OPTIONS.book.orders.enterprise[j]
    for k, amount in zip(block.option.programmes, drawn, strict=True):
        budget, caps = left.budgets[k], left.caps[k]
        if (budget is not None and amount > budget) or (caps is not None and amount > caps[firm]) or left.used[j, k]:
            return False
    return True


def slow_reason(j: int, rate: Posted, left: Left) -> str:
    stage = int(OPTIONS.fits[OPTIONS.book.orders.place[j]].any())
    for block in blocks_of(j, rate):
        inside = block.start + block.slots <= OPTIONS.deadline[j]
        if not inside or not fits(j, block, OPTIONS.capacity, OPTIONS.link_left):
            continue
        reached = [block.bears >= block.ask, block.bears >= block.price + block.extra and block.valid]
        reached.append(funded(j, block, left, block.paid))
        carried = block.link < 0 or OPTIONS.book.orders.data_gb_micro[j] <= left.links[block.link, block.start]
        reached.append(bool(carried) and toll(j, block, rate) <= block.bears - block.price - block.extra)
        stage = max(stage, 2 + (reached.index(False) if False in reached else len(reached)))
    return REASONS[stage]


def slow_enough(j: int, rate: Posted, left: Left) -> tuple[int, int]:
    """Least limit and deadline, the limits by the inverse that `test_verify_amounts` holds against its definition."""
    orders, row = OPTIONS.book.orders, np.array([j])
    limit = deadline = NOTHING
    for block in blocks_of(j, rate):
        if not fits(j, block, left.capacity, left.links):
            continue
        parts = OPTIONS.parts(block.option, row, block.pool)
        price, target = np.array([block.price]), np.array([block.price + max(0, block.extra)])
        drawn = [one(v) for v in amounts.vouchers(price, parts, block.option.ceiling_ppm)]
        valid = all(v >= max(1, part.minimum_ucny) for v, part in zip(drawn, parts, strict=True))
        own = max(1, one(amounts.own_means(target, parts, block.option.ceiling_ppm)))
        bears = amounts.effective_limit(np.array([own]), parts, block.option.ceiling_ppm)
        if valid and funded(j, block, left, drawn) and one(bears) >= one(target):
            need = own + block.transfer
            if block.start + block.slots <= OPTIONS.deadline[j]:
                limit = min(limit, need)
            if need <= orders.limit_ucny[j]:
                deadline = min(deadline, block.start + block.slots)
    return limit, deadline


@settings(max_examples=60, deadline=None)
@given(seed=seeds)
def test_reasons_and_what_is_enough_are_those_of_a_plain_search(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rate, left = rates(rng), left_over(rng)
    count = len(OPTIONS.book.orders)
    found = Search(OPTIONS, rate, left, np.arange(count))
    for j in range(count):
        assert REASONS[found.stage[j]] == slow_reason(j, rate, left), j
        assert (found.limit[j], found.deadline[j]) == slow_enough(j, rate, left), j


def test_every_reason_happens_in_the_plain_search() -> None:
    """The property above is worth what happens in it."""
    seen, limits, deadlines = set(), 0, 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        found = Search(OPTIONS, rates(rng), left_over(rng), np.arange(len(OPTIONS.book.orders)))
        seen |= {REASONS[stage] for stage in found.stage}
        limits += int((found.limit < NOTHING).sum())
        deadlines += int((found.deadline < NOTHING).sum())
    assert seen == set(REASONS), set(REASONS) - seen
    assert limits > 20
    assert deadlines > 20


@settings(max_examples=100, deadline=None)
@given(values=st.lists(st.integers(-9, 9), min_size=1, max_size=40), data=st.data())
def test_a_ladder_answers_for_every_run(values: list[int], data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(values) - 1))
    last = data.draw(st.integers(first, len(values) - 1))
    window = np.array([first]), np.array([last])
    assert Ladder(np.array(values), np.minimum).over(*window).tolist() == [min(values[first : last + 1])]
    assert Ladder(np.array(values), np.maximum).over(*window).tolist() == [max(values[first : last + 1])]


def test_sums_outgrow_64_bits_exactly() -> None:
    huge = posted(OPTIONS, np.full_like(OPTIONS.ask, 2**62), OPTIONS.link_left * 0)
    assert huge.price_sum.dtype == object
    assert huge.price_sum[0].tolist() == [t * 2**62 for t in range(OPTIONS.book.slots + 1)]
    assert dual_bound(OPTIONS, huge, Shadow({}, {}, paid=False)) == slow_bound(huge, Shadow({}, {}, paid=False))


def test_a_matrix_in_pieces_is_the_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for a few entries at a time every start is still yielded once."""
    monkeypatch.setattr(blocks, "MATRIX", 5)
    rate = rates(np.random.default_rng(0))
    for group in blocks.groups(OPTIONS, rate, np.arange(len(OPTIONS.book.orders)), OPTIONS.capacity):
        last = np.full(group.orders.size, len(group.held) - 1)
        rows = [(some[i], t) for some, starts, inside in blocks.matrices(group, last)
                for i in range(len(some)) for t in starts[i][inside[i]].tolist()]  # fmt: skip
        expected = [(i, t) for i in range(group.orders.size) for t in range(group.first[i], last[i] + 1)]
        assert sorted(rows) == expected
