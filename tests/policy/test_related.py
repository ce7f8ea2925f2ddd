"""Related parties: the rule of 25 % against a plain reading of it, chains, circles, and tables that people write."""

import time

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dujiang.core.problem import ProblemList
from dujiang.policy.related import THRESHOLD_PPM, Holding, Ownership, Tie, parse_ownership
from dujiang.registry.raw import RawTable

NAMES = tuple("abcdefg")


def table(*rows: tuple[str, str, float]) -> Ownership:
    return Ownership(Holding(holder, held, round(share * 1e6)) for holder, held, share in rows)


# A plain reading of the rule, without any cleverness


def group_of(holdings: list[Holding], top: str) -> set[str]:
    """Return the least set with a party and every party of which the set holds 25 % or more together."""
    found = {top}
    while True:
        shares: dict[str, int] = {}
        for h in holdings:
            if h.holder in found:
                shares[h.held] = shares.get(h.held, 0) + (THRESHOLD_PPM if h.control else h.share_ppm)
        grown = found | {held for held, share in shares.items() if share >= THRESHOLD_PPM}
        if grown == found:
            return found
        found = grown


def plainly_related(holdings: list[Holding], one: str, other: str) -> bool:
    return one == other or any({one, other} <= group_of(holdings, top) for top in NAMES)


@st.composite
def holdings(draw):
    pairs = draw(
        st.lists(
            st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)).filter(lambda p: p[0] != p[1]),
            unique=True,
            max_size=14,
        )
    )
    shares = st.sampled_from([0, 50_000, 120_000, 130_000, 249_999, 250_000, 250_001, 510_000, 1_000_000])
    return [Holding(a, b, draw(shares), draw(st.integers(0, 19)) == 0) for a, b in pairs]


@given(holdings())
@settings(max_examples=250, deadline=None)
def test_related_is_as_the_plain_reading_says(rows):
    ownership = Ownership(rows)
    for one in NAMES:
        for other in NAMES:
            assert (ownership.related(one, other) is not None) == plainly_related(rows, one, other)


@given(holdings())
@settings(max_examples=150, deadline=None)
def test_what_is_held_in_all_is_as_the_plain_reading_says(rows):
    ownership = Ownership(rows)
    for one in NAMES:
        inside = group_of(rows, one)
        for other in NAMES:
            expected = sum(h.share_ppm for h in rows if h.held == other and h.holder in inside and other != one)
            assert ownership.share_ppm(one, other) == expected


@given(holdings())
@settings(max_examples=150, deadline=None)
def test_the_chain_proves_the_relation(rows):
    ownership, stated = Ownership(rows), set(rows)
    for one in NAMES:
        for other in NAMES:
            found = ownership.related(one, other)
            if found is None or found.tie is Tie.SAME:
                continue
            reached = {found.top}
            for link in found.links:
                assert set(link.holdings) <= stated
                assert all(h.holder in reached and h.held == link.held for h in link.holdings)
                assert sum(THRESHOLD_PPM if h.control else h.share_ppm for h in link.holdings) >= THRESHOLD_PPM
                reached.add(link.held)
            assert {one, other} <= reached
            assert all(name in found.text.en and name in found.text.zh for name in reached)
            expected = {one: Tie.HOLDS, other: Tie.HELD}.get(found.top, Tie.COMMON)
            assert found.tie is expected


@given(holdings())
@settings(max_examples=100, deadline=None)
def test_it_is_the_same_either_way_and_the_order_of_rows_changes_nothing(rows):
    one_way, other_way = Ownership(rows), Ownership(rows[::-1])
    for a in NAMES[:4]:
        for b in NAMES[:4]:
            assert (one_way.related(a, b) is None) == (one_way.related(b, a) is None)
            assert one_way.related(a, b) == other_way.related(a, b)


@pytest.mark.parametrize(
    ("rows", "tie"),
    [
        ([("a", "b", 0.25)], Tie.HOLDS),
        ([("a", "b", 0.249999)], None),
        ([("b", "a", 0.25)], Tie.HELD),
        ([("t", "a", 0.25), ("t", "b", 0.25)], Tie.COMMON),
        ([("t", "a", 0.25), ("t", "b", 0.24)], None),
        # An intermediary of 25 % passes its own share on in full; one below passes nothing on.
        ([("a", "m", 0.25), ("m", "b", 0.25)], Tie.HOLDS),
        ([("a", "m", 0.24), ("m", "b", 1.0)], None),
        # Direct and indirect shares are added.
        ([("a", "b", 0.1), ("a", "m", 0.3), ("m", "b", 0.15)], Tie.HOLDS),
        ([("a", "b", 0.1), ("a", "m", 0.3), ("m", "b", 0.14)], None),
        # Circles end.
        ([("a", "m", 0.5), ("m", "n", 0.5), ("n", "m", 0.4), ("n", "b", 0.3)], Tie.HOLDS),
        ([("m", "n", 0.9), ("n", "m", 0.9), ("m", "a", 0.3), ("n", "b", 0.3)], Tie.COMMON),
        ([("a", "m", 0.1), ("m", "m2", 0.9), ("m2", "m", 0.9), ("m2", "b", 0.9)], None),
    ],
)
def test_by_hand(rows, tie):
    found = table(*rows).related("a", "b")
    assert (None if found is None else found.tie) == tie


def test_the_chain_is_told_from_the_top_down_with_what_counts():
    found = table(("t", "m", 0.6), ("m", "a", 0.2), ("t", "a", 0.1), ("t", "b", 0.3), ("x", "a", 0.7)).related("a", "b")
    assert (found.tie, found.top) == (Tie.COMMON, "t")
    assert [(link.held, link.share_ppm) for link in found.links] == [("b", 300_000), ("m", 600_000), ("a", 300_000)]
    assert "m holds 20 % of and t holds 10 % of a (30 % together)" in found.text.en
    assert "合计 30 %" in found.text.zh


def test_control_counts_whatever_the_share():
    rows = [Holding("a", "b", 10_000, control=True)]
    assert Ownership(rows).related("a", "b").tie is Tie.HOLDS
    assert "a controls b" in Ownership(rows).related("a", "b").text.en


def test_somebody_is_always_related_to_themselves_and_strangers_are_not():
    empty = Ownership(())
    assert empty.related("a", "a").tie is Tie.SAME
    assert empty.related("a", "b") is None
    assert (len(empty), "a" in empty) == (0, False)
    known = table(("a", "b", 0.1))
    assert (len(known), "a" in known, "b" in known, "c" in known) == (1, True, True, False)


def test_many_pairs_are_answered_as_one_by_one():
    ownership = table(("a", "b", 0.3), ("b", "c", 0.3), ("d", "c", 0.3))
    pairs = [("a", "b"), ("a", "c"), ("a", "d"), ("a", "b"), ("z", "a")]
    assert ownership.related_pairs(pairs) == [ownership.related(*pair) for pair in pairs]


def test_a_hundred_thousand_holdings_answer_at_once():
    firms = 100_000
    rng = np.random.default_rng(7)
    held = np.arange(1, firms + 1)
    holder = np.where(held % 20 == 0, held + 1, held // 20 * 20 + (rng.random(firms) * (held % 20)).astype(int))
    frame = pl.DataFrame({"holder": holder, "held": held, "share": ["0.6"] * firms}).filter(
        pl.col("holder") != pl.col("held")
    )
    problems = ProblemList()
    ownership = parse_ownership(RawTable("ownership", "parquet", frame), problems)
    assert not problems
    pairs = [(str(a), str(a + 7)) for a in range(1, firms, 37)]
    began = time.process_time()
    found = ownership.related_pairs(pairs)
    assert time.process_time() - began < 4  # a tenth of a second on an idle machine
    assert 0 < sum(relation is not None for relation in found) < len(pairs)


# Tables that people write


def parsed(rows: list[tuple[str, ...]], *header: str):
    problems = ProblemList()
    columns = header or ("holder", "held", "share")
    frame = pl.DataFrame(
        [dict(zip(columns, row, strict=True)) for row in rows], schema=dict.fromkeys(columns, pl.String)
    )
    raw = RawTable("ownership.csv", "csv", frame, [i + 2 for i in range(len(rows))])
    return parse_ownership(raw, problems), [(p.code, p.row, p.field) for p in problems]


def test_a_table_is_read_exactly():
    ownership, problems = parsed([("a", "b", "0.249999"), (" 中 ", "b", "0.25"), ("c", "b", "0"), ("d", "e", "1")])
    assert problems == []
    assert [ownership.related(x, "b") is not None for x in ("a", "中", "c")] == [False, True, False]


def test_control_is_read():
    ownership, problems = parsed([("a", "b", "0.1", "是"), ("c", "d", "0.1", "")], "holder", "held", "share", "control")
    assert (problems, ownership.related("a", "b") is None, ownership.related("c", "d") is None) == ([], False, True)


def test_every_problem_is_listed_with_its_place_and_the_rest_is_kept():
    rows = [
        ("a", "b", "51%"),
        ("", "b", "0.1"),
        ("a", "a", "0.1"),
        ("a", "c", "0.3"),
        ("a", "c", "0.3"),
        ("a", "d", "1.5"),
        ("a", "e", "-0.1"),
        ("a", "f", ""),
        ("a", "g", "0.1234567"),
        ("x", "y", "0.7"),
        ("z", "y", "0.4"),
    ]
    ownership, problems = parsed(rows)
    assert problems == [
        ("bad-share", 2, "share"),
        ("bad-type", 3, "holder"),
        ("own-holding", 4, "held"),
        ("duplicate", 6, "held"),
        ("bad-share", 7, "share"),
        ("bad-share", 8, "share"),
        ("bad-share", 9, "share"),
        ("bad-share", 10, "share"),
        ("too-much-held", 12, "share"),
    ]
    assert ownership.related("a", "c") is not None


def test_a_percentage_is_told_how_to_be_written():
    problems = ProblemList()
    frame = pl.DataFrame({"holder": ["a"], "held": ["b"], "share": ["51%"]})
    parse_ownership(RawTable("o.csv", "csv", frame, [2]), problems)
    assert next(iter(problems)).fix.en == "write 0.25 for 25 %"


def test_three_thirds_are_no_more_than_all():
    assert parsed([("a", "x", "0.333334"), ("b", "x", "0.333334"), ("c", "x", "0.333334")])[1] == []


@pytest.mark.parametrize(
    ("header", "code"),
    [(("holder", "held"), "missing-column"), (("holder", "held", "share", "note"), "unknown-column")],
)
def test_columns_are_checked(header, code):
    assert code in [problem[0] for problem in parsed([("a",) * len(header)], *header)[1]]
