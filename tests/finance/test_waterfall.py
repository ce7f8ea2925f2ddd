"""Agreements move losses and never make them: conservation, every term against plain arithmetic, worked cases."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dujiang.core.text import Text
from dujiang.finance.waterfall import Borne, Cession, Per, per_loan, per_year, share_down

YUAN = 1_000_000
FEN = 10_000


def cession(giver: int, taker: int, **terms) -> Cession:
    return Cession("a", Text("a", "协议"), giver, taker, **terms)


def started(losses: list[list[int]], parties: int, agreements: int) -> Borne:
    """Return losses of scenarios and years that the first party bears."""
    borne = np.zeros((len(losses), len(losses[0]), parties), dtype=np.int64)
    borne[:, :, 0] = losses
    return Borne(borne, np.zeros((*borne.shape[:2], agreements), dtype=np.int64))


def of_year(losses: list[int], *chain: Cession, parties: int = 3) -> list[list[int]]:
    """Return what each party bears in each year of one scenario."""
    return per_year(chain, started([losses], parties, len(chain))).by_party[0].tolist()


def plainly(losses: list[int], chain: list[Cession], parties: int) -> list[list[int]]:
    """Do the same year by year in fractions, from the definition in words."""
    taken = dict.fromkeys(range(len(chain)), Fraction(0))
    years = []
    for year, loss in enumerate(losses):
        bears = [Fraction(0)] * parties
        bears[0] = Fraction(loss)
        for k, c in enumerate(chain):
            mine = bears[c.ceded_by]
            bottom = c.above_ucny[year] if c.above_ucny else 0
            top = min(mine, c.top_ucny[year]) if c.top_ucny else mine
            part = max(Fraction(0), top - bottom) * Fraction(c.share_ppm, 10**6)
            part = Fraction(part // FEN * FEN)
            if c.most_ucny:
                part = min(part, Fraction(c.most_ucny[year]))
            if c.most_in_all_ucny is not None:
                part = min(part, c.most_in_all_ucny - taken[k])
            taken[k] += part
            bears[c.ceded_by] -= part
            bears[c.taken_by] += part
        years.append([int(b) for b in bears])
    return years


def test_a_quota_share_and_a_layer_on_top_of_it() -> None:
    quota = cession(0, 1, share_ppm=800_000)
    layer = cession(1, 2, above_ucny=(30 * YUAN,), top_ucny=(50 * YUAN,))
    assert of_year([100 * YUAN], quota, layer) == [[20 * YUAN, 60 * YUAN, 20 * YUAN]]
    assert of_year([40 * YUAN], quota, layer) == [[8 * YUAN, 30 * YUAN, 2 * YUAN]]
    assert of_year([0], quota, layer) == [[0, 0, 0]]


def test_a_cap_in_all_is_used_up_by_earlier_years_and_the_rest_stays() -> None:
    fund = cession(0, 1, share_ppm=500_000, most_in_all_ucny=15 * YUAN)
    assert of_year([20 * YUAN] * 3, fund) == [
        [10 * YUAN, 10 * YUAN, 0],
        [15 * YUAN, 5 * YUAN, 0],
        [20 * YUAN, 0, 0],
    ]


def test_a_cap_of_the_year_comes_back_each_year() -> None:
    capped = cession(0, 1, most_ucny=(7 * YUAN, 9 * YUAN))
    assert of_year([20 * YUAN, 20 * YUAN], capped) == [[13 * YUAN, 7 * YUAN, 0], [11 * YUAN, 9 * YUAN, 0]]


def test_the_order_of_agreements_matters() -> None:
    half, layer = cession(0, 1, share_ppm=500_000), cession(0, 2, above_ucny=(10 * YUAN,))
    assert of_year([30 * YUAN], half, layer) == [[10 * YUAN, 15 * YUAN, 5 * YUAN]]
    assert of_year([30 * YUAN], layer, half) == [[5 * YUAN, 5 * YUAN, 20 * YUAN]]


def test_a_layer_of_single_loans_is_no_layer_of_their_sum() -> None:
    chain = (cession(0, 1, per=Per.LOAN, above_ucny=(10 * YUAN,)),)
    losses = np.array([[15 * YUAN], [5 * YUAN]], dtype=np.int64)
    borne = per_loan(chain, losses, bearer=0, parties=2)
    assert borne.by_party[:, 0].tolist() == [[10 * YUAN, 5 * YUAN], [5 * YUAN, 0]]
    assert borne.ceded[:, 0, 0].tolist() == [5 * YUAN, 0]
    # The year stage leaves agreements of single loans alone, and keeps what they moved.
    summed = Borne(borne.by_party.sum(axis=0, keepdims=True), borne.ceded.sum(axis=0, keepdims=True))
    assert per_year(chain, summed).by_party.tolist() == summed.by_party.tolist()
    assert per_year(chain, summed).ceded.tolist() == [[[5 * YUAN]]]


def test_the_input_is_left_as_it_is() -> None:
    before = started([[10 * YUAN]], 2, 1)
    per_year([cession(0, 1)], before)
    assert before.by_party.tolist() == [[[10 * YUAN, 0]]]


@pytest.mark.parametrize("amount", [0, 1, 9_999, 10_000, 33 * FEN, 10**18, 9 * 10**18])
@pytest.mark.parametrize("share", [1, 333_333, 999_999, 1_000_000])
def test_a_share_is_exact_and_never_above(amount: int, share: int) -> None:
    found = int(share_down(np.array([amount], dtype=np.int64), share)[0])
    assert found == amount * share // 10**6 // FEN * FEN


amounts = st.integers(0, 10**9).map(lambda fen: fen * FEN)


@st.composite
def chains(draw) -> tuple[list[Cession], int]:
    parties, years = draw(st.integers(2, 5)), 3
    by_year = st.tuples(*[amounts] * years)
    chain = []
    for _ in range(draw(st.integers(0, 6))):
        giver = draw(st.integers(0, parties - 1))
        taker = draw(st.integers(0, parties - 1).filter(lambda t, g=giver: t != g))
        terms = {
            "share_ppm": draw(st.integers(1, 10**6)),
            "above_ucny": draw(st.one_of(st.just(()), by_year)),
            "top_ucny": draw(st.one_of(st.just(()), by_year)),
            "most_ucny": draw(st.one_of(st.just(()), by_year)),
            "most_in_all_ucny": draw(st.one_of(st.none(), amounts)),
        }
        chain.append(cession(giver, taker, **terms))
    return chain, parties


@settings(max_examples=150, deadline=None)
@given(chains(), st.lists(st.tuples(*[amounts] * 3), min_size=1, max_size=4))
def test_every_yuan_is_borne_by_one_party_as_the_plain_reading_says(drawn, losses) -> None:
    chain, parties = drawn
    found = per_year(chain, started([list(row) for row in losses], parties, len(chain)))
    assert found.by_party.sum(axis=2).tolist() == [list(row) for row in losses]
    assert (found.by_party >= 0).all()
    assert (found.ceded >= 0).all()
    for s, row in enumerate(losses):
        assert found.by_party[s].tolist() == plainly(list(row), chain, parties)
    for k, c in enumerate(chain):
        if c.most_in_all_ucny is not None:
            assert (found.ceded[:, :, k].sum(axis=1) <= c.most_in_all_ucny).all()
