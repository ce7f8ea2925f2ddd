"""The vectorised bound against the formula written out with fractions, block by block."""

from fractions import Fraction
from itertools import product

import handmade_round as handmade
import numpy as np
import polars as pl
from handmade_round import Case
from hypothesis import given, settings
from hypothesis import strategies as st

from dujiang.verify.book import Pool
from dujiang.verify.certificate import least_burden
from dujiang.verify.options import Payer, Way, effective_limit, exact, half_even, prefix_sums

AMOUNTS = st.one_of(st.integers(0, 50), st.integers(0, 10**6), st.integers(10**12, 10**15))


def _pool() -> Pool:
    nothing = np.zeros(1, dtype=np.int64)
    return Pool("p", "c", "x", 10**6, frozenset(), None, nothing, nothing)


@settings(max_examples=300, deadline=None)
@given(
    gpus=st.integers(1, 5000),
    blocks=st.lists(st.tuples(AMOUNTS, AMOUNTS), min_size=1, max_size=6),
    limit=AMOUNTS,
    share=st.integers(1, 10**6),
    room=AMOUNTS,
    weight=st.one_of(st.just(0), st.integers(1, 10**6), st.integers(1, 10**8)),
    minimum=st.one_of(st.just(0), AMOUNTS),
)
def test_least_burden_is_exact_at_any_size(
    gpus: int, blocks: list[tuple[int, int]], limit: int, share: int, room: int, weight: int, minimum: int
) -> None:
    asks = [ask for ask, _ in blocks]
    prices = [ask + above for ask, above in blocks]
    payer = Payer("k", share, room, limit * gpus, minimum)
    expected = [
        Fraction(gpus * price) + Fraction(weight * max(minimum, min(gpus * ask * share // 10**6, room)), 10**6)
        for ask, price in zip(asks, prices, strict=True)
        if gpus * ask <= payer.effective_limit_ucny
    ]
    way = Way(_pool(), 1, 0, np.arange(len(blocks)), [payer])
    found = least_burden(gpus, way, payer, weight, np.array(asks), np.array(prices))
    assert (None if found is None else Fraction(found, 10**6)) == min(expected, default=None)


@settings(max_examples=300, deadline=None)
@given(own=st.integers(1, 10**15), share=st.integers(0, 10**6), room=AMOUNTS)
def test_effective_limit_is_the_greatest_gross_that_the_enterprise_can_bear(own: int, share: int, room: int) -> None:
    most = effective_limit(own, share, room)

    def net(gross: int) -> Fraction:
        return gross - min(Fraction(gross * share, 10**6), Fraction(room))

    assert net(most) <= own < net(most + 1)


@settings(max_examples=200, deadline=None)
@given(numerator=st.integers(0, 10**12), denominator=st.integers(1, 10**4))
def test_half_even_agrees_with_fractions(numerator: int, denominator: int) -> None:
    assert half_even(numerator, denominator) == round(Fraction(numerator, denominator))


def test_prefix_sums_outgrow_64_bits_exactly() -> None:
    sums = prefix_sums(np.full(4, 2**62, dtype=np.int64))
    assert sums.tolist() == [0, 2**62, 2**63, 3 * 2**62, 2**64]
    assert exact(np.array([3]), 10).dtype == np.int64


def test_bound_of_the_hand_made_book_at_other_prices(good: Case) -> None:
    """The bound moves with prices and multipliers as the formula says, here written out again for every block."""
    changed = handmade.prices().with_columns(
        pl.when(pl.col("pool_id") == "pw")
        .then(7_000_001)
        .otherwise(pl.col("ucny_per_gpu_hour"))
        .alias("ucny_per_gpu_hour")
    )
    changed.write_parquet(good.result / "prices.parquet")
    rates = handmade.multipliers().with_columns(multiplier_ppm=pl.Series([333_333, 77_777, 5, 1]))
    rates.write_parquet(good.result / "multipliers.parquet")
    assert good.verdict().figures["dual_bound_ucny"] == _bound_by_hand()


def _bound_by_hand() -> int:
    yuan = handmade.YUAN
    price = {p: [int(v * yuan) for v in row] for p, row in handmade.PRICES.items()} | {"pw": [7_000_001] * 4}
    ask = {p: [v * yuan for v in row] for p, row in handmade.ASKS.items()}
    offered = handmade.OFFERED
    total = Fraction(sum((price[p][t] - ask[p][t]) * offered[p][t] for p, t in product(price, range(4))))
    total += Fraction(333_333 * 80 + 77_777 * 60 + 5 * 40 + 1 * 60, 1)
    weights = {"a": 333_333 + 77_777, "b": 333_333 + 5}
    rooms = {"a": 60 * yuan, "b": 40 * yuan}
    # enterprise, gpus, limit, [(pool, slots, starts, transfer)]
    orders = [
        ("a", 8, 120, [("pe", 2, range(1), 0)]),
        ("b", 4, 50, [("pe", 1, range(2), 0), ("pw", 1, range(2), 2 * yuan)]),
        ("c", 4, 40, [("pn", 2, range(3), 0)]),
        ("c", 8, 70, [("pe", 1, range(4), 0)]),
        ("c", 8, 85, [("pe", 1, range(2), 0)]),
        ("b", 8, 70, [("pe", 1, range(2, 3), 0)]),
        ("c", 8, 100, [("pw", 1, range(1), 0)]),
    ]
    for enterprise, gpus, limit, ways in orders:
        best = Fraction(0)
        for pool, slots, starts, transfer in ways:
            own = limit * yuan - transfer
            limits = {None: own}
            if enterprise in rooms:
                limits["sz"] = min(2 * own, own + rooms[enterprise])
            for start, (programme, bears) in product(starts, limits.items()):
                block = range(start, start + slots)
                if any(offered[pool][t] < gpus for t in block):
                    continue
                asked = gpus * sum(ask[pool][t] for t in block)
                if bears < asked:
                    continue
                gain = Fraction(bears - gpus * sum(price[pool][t] for t in block))
                if programme:
                    gain -= Fraction(weights[enterprise] * min(asked // 2, rooms[enterprise]), 10**6)
                best = max(best, gain)
        total += best
    return -(-total.numerator // total.denominator)
