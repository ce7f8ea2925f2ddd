"""A voucher's life: every legal step, every illegal one, and what holds whatever happens."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from dujiang.core.errors import OperationError
from dujiang.policy.voucher import (
    STEP_WORDS,
    Entry,
    IllegalStepError,
    Stage,
    Step,
    Voucher,
    apply,
    claimed,
    last_day,
    life,
)

YUAN = 10**6
FIRST, LAST = date(2026, 1, 1), date(2026, 12, 31)
START = datetime(2026, 1, 5, 1, tzinfo=UTC)


def entry(step: Step, key: str | None = None, **further) -> Entry:
    """Build an entry of a fixed enterprise on a fixed day."""
    if step is Step.APPROVE:
        further = {"first": FIRST, "last": LAST} | further
    stated = {"at": START, "by": "bureau", "why": "test", "enterprise_id": "firm"} | further
    return Entry(key or f"{step}-{further.get('reservation', '')}-{further.get('amount_ucny', '')}", step, **stated)


def approved(amount: int = 100 * YUAN, **further) -> Voucher:
    first = claimed("v", "programme", entry(Step.CLAIM, amount_ucny=amount))
    return apply(first, entry(Step.APPROVE, amount_ucny=amount, **further))


def balance(v: Voucher) -> tuple[int, ...]:
    return v.free_ucny, v.reserved_ucny, v.redeemed_ucny, v.clawed_back_ucny, v.expired_ucny, v.voided_ucny


LATER = START + timedelta(days=400)


def test_a_whole_life():
    voucher = life(
        "v",
        "programme",
        [
            entry(Step.CLAIM, amount_ucny=120),
            entry(Step.APPROVE, amount_ucny=100),
            entry(Step.RESERVE, amount_ucny=60, reservation="o1"),
            entry(Step.REDEEM, "r1", amount_ucny=25, reservation="o1"),
            entry(Step.REDEEM, "r2", amount_ucny=25, reservation="o1"),
            entry(Step.RELEASE, amount_ucny=10, reservation="o1"),
            entry(Step.CLAW_BACK, amount_ucny=5),
            entry(Step.EXPIRE, at=LATER),
        ],
    )
    assert balance(voucher) == (0, 0, 45, 5, 50, 0)
    assert (voucher.stage, voucher.claimed_ucny, voucher.approved_ucny) == (Stage.SPENT, 120, 100)
    assert voucher.reservations == {}
    assert len(voucher.story()) == 8


def test_what_is_reserved_does_not_expire_before_it_is_metered():
    voucher = apply(approved(100), entry(Step.RESERVE, amount_ucny=60, reservation="o1"))
    voucher = apply(voucher, entry(Step.EXPIRE, at=LATER))
    assert balance(voucher) == (0, 60, 0, 0, 40, 0)
    used = entry(Step.REDEEM, at=LATER, amount_ucny=50, reservation="o1", used_on=date(2026, 12, 31))
    voucher = apply(voucher, used)
    voucher = apply(voucher, entry(Step.RELEASE, at=LATER, amount_ucny=10, reservation="o1"))
    assert balance(voucher) == (0, 0, 50, 0, 50, 0)


def test_a_claim_can_be_refused():
    refused = apply(claimed("v", "p", entry(Step.CLAIM, amount_ucny=5)), entry(Step.VOID))
    assert (refused.stage, balance(refused)) == (Stage.VOIDED, (0,) * 6)
    with pytest.raises(IllegalStepError, match="it was voided"):
        apply(refused, entry(Step.APPROVE, amount_ucny=5))


def test_stages():
    voucher = claimed("v", "p", entry(Step.CLAIM, amount_ucny=5))
    assert voucher.stage is Stage.CLAIMED
    assert approved(5).stage is Stage.APPROVED
    assert apply(approved(5), entry(Step.EXPIRE, at=LATER)).stage is Stage.EXPIRED
    assert apply(approved(5), entry(Step.VOID)).stage is Stage.VOIDED
    mixed = apply(approved(5), entry(Step.RESERVE, amount_ucny=2, reservation="o"))
    mixed = apply(mixed, entry(Step.RELEASE, amount_ucny=2, reservation="o", at=LATER))
    mixed = apply(mixed, entry(Step.VOID, at=LATER))
    assert (mixed.stage, balance(mixed)) == (Stage.VOIDED, (0, 0, 0, 0, 2, 3))
    spent = apply(apply(approved(5), entry(Step.RESERVE, amount_ucny=5, reservation="o")),
                  entry(Step.REDEEM, amount_ucny=5, reservation="o"))  # fmt: skip
    assert spent.stage is Stage.SPENT
    assert apply(spent, entry(Step.CLAW_BACK, amount_ucny=5)).stage is Stage.SPENT


@pytest.mark.parametrize(
    ("step", "why"),
    [
        (entry(Step.CLAIM, amount_ucny=1), "claimed already"),
        (entry(Step.APPROVE, amount_ucny=1), "approved already"),
        (entry(Step.RESERVE, amount_ucny=101, reservation="o2"), r"only 0\.00004 CNY are free"),
        (entry(Step.RESERVE, amount_ucny=1, reservation="o1", key="again"), "has its reservation already"),
        (entry(Step.RESERVE, amount_ucny=1, reservation="o2", at=LATER), "outside its validity"),
        (entry(Step.RESERVE, amount_ucny=1, reservation="o2", enterprise_id="other"), "cannot be transferred to other"),
        (entry(Step.RESERVE, amount_ucny=0, reservation="o2"), "not above zero"),
        (entry(Step.RESERVE, amount_ucny=1), "a reservation is named by"),
        (entry(Step.RESERVE, reservation="o2"), "an amount belongs to"),
        (entry(Step.REDEEM, amount_ucny=61, reservation="o1"), r"only 0\.00006 CNY are reserved for o1"),
        (entry(Step.REDEEM, amount_ucny=1, reservation="o2"), "nothing is reserved for o2"),
        (entry(Step.REDEEM, amount_ucny=1, reservation="o1", used_on=date(2027, 1, 1), at=LATER), "outside its"),
        (entry(Step.REDEEM, amount_ucny=1, reservation="o1", used_on=date(2026, 1, 6)), "lies in the future"),
        (entry(Step.RELEASE, amount_ucny=61, reservation="o1"), "are reserved for o1"),
        (entry(Step.EXPIRE), "its last day is 2026-12-31"),
        (entry(Step.EXPIRE, amount_ucny=1), "an amount belongs to"),
        (entry(Step.VOID), "redeem or release first what is reserved for o1"),
        (entry(Step.CLAW_BACK, amount_ucny=1), r"only 0\.00 CNY were paid"),
        (entry(Step.REDEEM, amount_ucny=1, reservation="o1", at=START - timedelta(days=1)), "earlier than the last"),
        (entry(Step.REDEEM, amount_ucny=1, reservation="o1", by=""), "says who, when and why"),
        (entry(Step.REDEEM, amount_ucny=1, reservation="o1", at=START.replace(tzinfo=None)), "no time zone"),
    ],
)  # fmt: skip
def test_an_illegal_step_is_refused_and_tells_the_story_so_far(step, why):
    voucher = apply(approved(100), entry(Step.RESERVE, amount_ucny=60, reservation="o1"))
    with pytest.raises(IllegalStepError, match=why) as refused:
        apply(voucher, step)
    said = refused.value.message
    assert STEP_WORDS[step.step].en in said.en
    assert STEP_WORDS[step.step].zh in said.zh
    for line in voucher.story():
        assert line.en in said.en
        assert line.zh in said.zh
    assert "2026-01-05 reserved 0.00006 CNY for o1 by bureau (test)" in said.en
    assert isinstance(refused.value, OperationError)


@pytest.mark.parametrize(
    "step",
    [
        entry(Step.RESERVE, amount_ucny=1, reservation="o"),
        entry(Step.EXPIRE, at=LATER),
        entry(Step.CLAW_BACK, amount_ucny=1),
    ],
)
def test_nothing_happens_before_approval(step):
    with pytest.raises(IllegalStepError, match="never approved"):
        apply(claimed("v", "p", entry(Step.CLAIM, amount_ucny=5)), step)


@pytest.mark.parametrize(
    ("further", "why"),
    [({"amount_ucny": 6}, "only 0.000005 CNY were claimed"), ({"first": LAST, "last": FIRST}, "before its first")],
)
def test_an_approval_stays_within_the_claim(further, why):
    with pytest.raises(IllegalStepError, match=why):
        apply(claimed("v", "p", entry(Step.CLAIM, amount_ucny=5)), entry(Step.APPROVE, **{"amount_ucny": 5} | further))


def test_a_life_begins_with_a_claim():
    with pytest.raises(IllegalStepError, match="begins with a claim"):
        claimed("v", "p", entry(Step.APPROVE, amount_ucny=5))
    with pytest.raises(ValueError, match="without an entry"):
        life("v", "p", [])


def test_a_voucher_without_days_never_expires():
    forever = approved(5, first=None, last=None)
    assert forever.available_ucny(date(2099, 1, 1)) == 5
    with pytest.raises(IllegalStepError, match="no last day"):
        apply(forever, entry(Step.EXPIRE, at=LATER))


def test_the_first_and_the_last_day_belong_to_the_validity_in_beijing_time():
    voucher = approved(5)
    assert [voucher.available_ucny(d) for d in (date(2025, 12, 31), FIRST, LAST, date(2027, 1, 1))] == [0, 5, 5, 0]
    midnight = datetime(2026, 12, 31, 16, tzinfo=UTC)  # 2027-01-01 in Beijing
    reserve = entry(Step.RESERVE, amount_ucny=1, reservation="o", at=midnight)
    with pytest.raises(IllegalStepError, match="outside its validity"):
        apply(voucher, reserve)
    assert apply(voucher, replace(reserve, at=midnight - timedelta(seconds=1))).reserved_ucny == 1
    assert apply(voucher, entry(Step.EXPIRE, at=midnight)).expired_ucny == 5
    with pytest.raises(IllegalStepError, match="its last day is"):
        apply(voucher, entry(Step.EXPIRE, at=midnight - timedelta(seconds=1)))


@pytest.mark.parametrize(
    ("day", "months", "last"),
    [
        (date(2025, 3, 1), 12, date(2026, 3, 1)),
        (date(2024, 1, 31), 1, date(2024, 2, 29)),
        (date(2025, 1, 31), 1, date(2025, 2, 28)),
        (date(2025, 11, 30), 3, date(2026, 2, 28)),
        (date(2025, 12, 15), 1, date(2026, 1, 15)),
        (date(2025, 12, 31), 120, date(2035, 12, 31)),
    ],
)
def test_a_validity_in_months_ends_on_the_day_of_the_same_number(day, months, last):
    assert last_day(day, months) == last


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.integers(1, 120))
@settings(max_examples=100, deadline=None)
def test_a_validity_in_months_is_so_many_months_long(day, months):
    last = last_day(day, months)
    assert (last.year - day.year) * 12 + last.month - day.month == months
    assert last.day == day.day or (last + timedelta(days=1)).day == 1
    assert last.day <= day.day


class Life(RuleBasedStateMachine):
    """Any steps in any order: legal ones keep what must hold, others are refused and change nothing."""

    @initialize(amount=st.integers(1, 1000), granted=st.integers(1, 1000))
    def begin(self, amount, granted):
        self.now = START
        self.count = 0
        self.voucher = claimed("v", "p", entry(Step.CLAIM, "k0", amount_ucny=max(amount, granted)))
        self.step(entry(Step.APPROVE, "k1", amount_ucny=granted))

    def step(self, new: Entry) -> None:
        before = self.voucher
        try:
            self.voucher = apply(before, new)
        except IllegalStepError as refused:
            told = refused.story
        else:
            told = None
        if told is not None:
            assert told == before.story()
            assert self.voucher is before
            return
        assert self.voucher.history == (*before.history, new)
        # The same entry again changes nothing, and another one under its key is refused.
        assert apply(self.voucher, new) is self.voucher
        with pytest.raises(IllegalStepError, match="stands for another entry"):
            apply(self.voucher, replace(new, why="another reason"))

    def key(self) -> str:
        self.count += 1
        return f"s{self.count}"

    @rule(days=st.integers(0, 120))
    def wait(self, days):
        self.now += timedelta(days=days)

    @rule(
        kind=st.sampled_from(list(Step)),
        amount=st.integers(0, 400),
        order=st.sampled_from(["o1", "o2", "o3"]),
        back=st.sampled_from([0, 0, 0, 30]),
        firm=st.sampled_from(["firm"] * 9 + ["other"]),
    )
    def try_anything(self, kind, amount, order, back, firm):
        plain = kind in (Step.EXPIRE, Step.VOID)
        reserving = kind in (Step.RESERVE, Step.REDEEM, Step.RELEASE)
        self.step(
            entry(
                kind,
                self.key(),
                at=self.now,
                enterprise_id=firm,
                amount_ucny=None if plain else amount,
                reservation=order if reserving else None,
                used_on=(self.now - timedelta(days=back)).date() if kind is Step.REDEEM else None,
            )
        )

    @rule(order=st.sampled_from(["o1", "o2", "o3"]), share=st.integers(1, 4))
    def use_what_is_there(self, order, share):
        free, held = self.voucher.free_ucny, self.voucher.reservations.get(order)
        if held is not None:
            part = max(1, held // share)
            self.step(entry(Step.REDEEM, self.key(), at=self.now, amount_ucny=part, reservation=order, used_on=FIRST))
        elif free:
            self.step(
                entry(Step.RESERVE, self.key(), at=self.now, amount_ucny=max(1, free // share), reservation=order)
            )

    @invariant()
    def amounts_are_conserved_and_none_is_negative(self):
        parts = balance(self.voucher)
        assert all(part >= 0 for part in parts)
        assert sum(parts) == self.voucher.approved_ucny <= self.voucher.claimed_ucny
        assert all(amount > 0 for amount in self.voucher.reservations.values())

    @invariant()
    def nothing_is_used_outside_the_validity_or_by_others(self):
        for step in self.voucher.history:
            assert step.enterprise_id == "firm"
            if step.step is Step.RESERVE:
                assert FIRST <= step.day <= LAST
            if step.step is Step.REDEEM:
                assert FIRST <= (step.used_on or step.day) <= LAST
        assert [e.at for e in self.voucher.history] == sorted(e.at for e in self.voucher.history)

    @invariant()
    def the_history_alone_makes_the_voucher(self):
        assert life("v", "p", self.voucher.history) == self.voucher


Life.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestLife = Life.TestCase
