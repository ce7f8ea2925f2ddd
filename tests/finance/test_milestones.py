"""Funding in tranches: every way to end, every illegal step, and what holds whatever happens."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from dujiang.core.text import Text
from dujiang.finance.milestones import (
    Agreement,
    Ending,
    Entry,
    Funding,
    IllegalMilestoneStepError,
    Rules,
    Standing,
    Step,
    Tranche,
    apply,
    as_of,
    begun,
    followed,
)

START = datetime(2026, 1, 5, 1, tzinfo=UTC)
RULES = Rules(
    attempts=2,
    grace_days=10,
    extensions=1,
    extension_days=30,
    honest_grounds=("technical-dead-end",),
    fault_grounds=("false-evidence",),
    claw_back_ppm=500_000,
)
WORDS = Text("x", "x")
AGREEMENT = Agreement(
    *("a1", "firm", "fund", "lab", "panel", RULES),
    (Tranche("m1", WORDS, WORDS, date(2026, 2, 1), 101), Tranche("m2", WORDS, WORDS, date(2026, 6, 1), 200)),
)
WHO = {
    **dict.fromkeys((Step.SUBMIT, Step.WITHDRAW), "firm"),
    **dict.fromkeys((Step.VERIFY, Step.SEND_BACK), "lab"),
    **dict.fromkeys((Step.END_HONEST, Step.END_FAULT), "panel"),
    **dict.fromkeys((Step.EXTEND, Step.PAY, Step.END_LAPSED, Step.CLAW_BACK), "fund"),
}
_COUNT = iter(range(10**9))


def entry(step: Step, milestone: str | None = None, *, on: date | None = None, **further) -> Entry:
    """Build a well-formed entry of the right person, noon in Shanghai."""
    at = START if on is None else datetime(on.year, on.month, on.day, 4, tzinfo=UTC)
    stated = {"key": f"k{next(_COUNT)}", "by": WHO[step], "why": "test", "at": at, "milestone": milestone}
    if step in (Step.SUBMIT, Step.END_HONEST, Step.END_FAULT):
        stated["evidence"] = "report.pdf"
    if step in (Step.END_HONEST, Step.END_FAULT):
        stated["ground"] = "technical-dead-end" if step is Step.END_HONEST else "false-evidence"
    return Entry(step=step, **(stated | further))


def after(*steps: Entry) -> Funding:
    return followed(AGREEMENT, steps)


def money(f: Funding) -> tuple[int, ...]:
    return f.locked_ucny, f.released_ucny, f.paid_ucny, f.returned_ucny, f.clawed_back_ucny


def reached(milestone: str, *, paid: bool = True) -> list[Entry]:
    steps = [entry(Step.SUBMIT, milestone), entry(Step.VERIFY, milestone)]
    return [*steps, entry(Step.PAY, milestone)] if paid else steps


def test_everything_is_reached() -> None:
    funding = after(*reached("m1"), *reached("m2"))
    assert (funding.ending, funding.has_fault, money(funding)) == (Ending.COMPLETED, False, (0, 0, 301, 0, 0))
    assert len(funding.story()) == 6
    assert funding.current() is None
    assert not funding.is_overdue(date(2099, 1, 1))


def test_an_honest_failure_ends_funding_and_books_no_fault() -> None:
    earned = after(*reached("m1", paid=False), entry(Step.SUBMIT, "m2"), entry(Step.END_HONEST))
    assert (earned.ending, earned.has_fault) == (Ending.HONEST, False)
    assert money(earned) == (0, 101, 0, 200, 0)
    # What was verified before is still paid, and nothing is owed back.
    paid = apply(earned, entry(Step.PAY, "m1"))
    assert (money(paid), paid.owed_back_ucny, paid.ending) == ((0, 0, 101, 200, 0), 0, Ending.HONEST)
    with pytest.raises(IllegalMilestoneStepError, match=r"only 0\.00 CNY are owed back"):
        apply(paid, entry(Step.CLAW_BACK, amount_ucny=1))


def test_a_fault_ends_funding_and_the_agreed_share_is_owed_back() -> None:
    funding = after(*reached("m1"), *reached("m2", paid=False), entry(Step.END_FAULT))
    assert (funding.ending, funding.has_fault, money(funding)) == (Ending.FAULT, True, (0, 0, 101, 200, 0))
    assert funding.owed_back_ucny == 50  # half of 101, cut down
    funding = apply(funding, entry(Step.CLAW_BACK, amount_ucny=20))
    funding = apply(funding, entry(Step.CLAW_BACK, amount_ucny=30))
    assert (money(funding), funding.owed_back_ucny) == ((0, 0, 51, 200, 50), 0)


def test_evidence_can_be_sent_back_once_and_there_is_time_to_try_again() -> None:
    late = date(2026, 2, 11)  # the last day of grace
    funding = after(entry(Step.SUBMIT, "m1", on=late))
    funding = apply(funding, entry(Step.SEND_BACK, "m1", on=date(2026, 3, 20)))
    assert funding.progress["m1"].last_day == date(2026, 3, 30)
    again = apply(funding, entry(Step.SUBMIT, "m1", on=date(2026, 3, 30)))
    again = apply(again, entry(Step.SEND_BACK, "m1", on=date(2026, 3, 30)))
    with pytest.raises(IllegalMilestoneStepError, match="there were 2 attempts already"):
        apply(again, entry(Step.SUBMIT, "m1", on=date(2026, 3, 30)))


def test_sending_back_early_takes_no_time_away() -> None:
    funding = after(entry(Step.SUBMIT, "m1"), entry(Step.SEND_BACK, "m1"))
    assert funding.progress["m1"].last_day == date(2026, 2, 11)


def test_in_doubt_there_is_no_fault() -> None:
    day = date(2026, 2, 12)
    assert after().is_overdue(day)
    assert not after().is_overdue(date(2026, 2, 11))
    lapsed = after(entry(Step.END_LAPSED, on=day))
    assert (lapsed.ending, lapsed.has_fault, money(lapsed)) == (Ending.LAPSED, False, (0, 0, 0, 301, 0))
    assert after(entry(Step.WITHDRAW)).has_fault is False


def test_an_extension_moves_the_last_day_once() -> None:
    funding = after(entry(Step.EXTEND, "m1"))
    assert funding.progress["m1"].last_day == date(2026, 3, 13)
    with pytest.raises(IllegalMilestoneStepError, match="extended 1 times already"):
        apply(funding, entry(Step.EXTEND, "m1"))


@pytest.mark.parametrize(
    "before, step, why",
    [
        ([], entry(Step.SUBMIT, "m2"), "m1 comes first"),
        ([], entry(Step.SUBMIT, "m3"), "there is no milestone m3"),
        ([], entry(Step.SUBMIT), "a milestone is named"),
        ([], entry(Step.SUBMIT, "m1", on=date(2026, 2, 12)), "its last day was 2026-02-11"),
        ([], entry(Step.SUBMIT, "m1", by="lab"), "for the enterprise to do"),
        ([], entry(Step.SUBMIT, "m1", evidence=None), "evidence belongs to"),
        ([], entry(Step.VERIFY, "m1"), "it is open"),
        ([], entry(Step.VERIFY, "m1", by="firm"), "for the verifier to do"),
        ([], entry(Step.VERIFY, "m1", evidence="x"), "evidence belongs to"),
        ([], entry(Step.SEND_BACK, "m1"), "it is open"),
        ([], entry(Step.PAY, "m1"), "it is open"),
        ([], entry(Step.EXTEND, "m1", on=date(2026, 2, 12)), "its last day was"),
        ([], entry(Step.END_LAPSED), "evidence is taken until 2026-02-11"),
        ([entry(Step.SUBMIT, "m1")], entry(Step.END_LAPSED, on=date(2027, 1, 1)), "waits for the verifier"),
        ([entry(Step.SUBMIT, "m1")], entry(Step.SUBMIT, "m1"), "it is submitted"),
        ([entry(Step.SUBMIT, "m1")], entry(Step.EXTEND, "m1"), "it is submitted"),
        ([], entry(Step.END_HONEST, ground="no-luck"), "the rules name no ground no-luck, only technical-dead-end"),
        ([], entry(Step.END_FAULT, ground="technical-dead-end"), "only false-evidence"),
        ([], entry(Step.END_FAULT, evidence=None), "evidence belongs to"),
        ([], entry(Step.END_FAULT, by="fund"), "for the reviewer to do"),
        ([], entry(Step.END_HONEST, by="firm"), "for the reviewer to do"),
        ([], entry(Step.WITHDRAW, ground="x"), "a ground belongs to"),
        ([], entry(Step.CLAW_BACK, amount_ucny=1), "only 0.00 CNY"),
        ([], entry(Step.CLAW_BACK, amount_ucny=0), "not above zero"),
        ([], entry(Step.CLAW_BACK), "an amount belongs to"),
        ([], entry(Step.PAY, "m1", amount_ucny=1), "an amount belongs to"),
        ([], entry(Step.WITHDRAW, why=""), "who, when and why"),
        ([], entry(Step.WITHDRAW, at=datetime(2026, 1, 1)), "no time zone"),  # noqa: DTZ001
        ([entry(Step.EXTEND, "m1")], entry(Step.WITHDRAW, at=START - timedelta(days=1)), "earlier than the last"),
        ([entry(Step.WITHDRAW)], entry(Step.SUBMIT, "m1"), r"funding has ended \(withdrawn\)"),
        ([entry(Step.WITHDRAW)], entry(Step.END_FAULT), "funding has ended"),
        ([entry(Step.WITHDRAW)], entry(Step.PAY, "m1"), "it is returned"),
        ([*reached("m1"), *reached("m2", paid=False)], entry(Step.WITHDRAW), "every milestone is reached"),
        ([*reached("m1"), *reached("m2", paid=False)], entry(Step.END_LAPSED), "every milestone is reached"),
        ([*reached("m1"), *reached("m2", paid=False)], entry(Step.END_HONEST), "every milestone is reached"),
        ([entry(Step.SUBMIT, "m1", key="same")], entry(Step.VERIFY, "m1", key="same"), "stands for another entry"),
    ],
)
def test_an_illegal_step_is_refused_and_tells_the_story_so_far(before: list[Entry], step: Entry, why: str) -> None:
    with pytest.raises(IllegalMilestoneStepError, match=why) as refused:
        apply(after(*before), step)
    assert refused.value.message.zh
    assert refused.value.message.en.count(" by ") >= len(before)


def test_the_same_entry_again_changes_nothing() -> None:
    first = entry(Step.SUBMIT, "m1")
    funding = after(first, entry(Step.VERIFY, "m1"))
    assert apply(funding, first) is funding
    with pytest.raises(IllegalMilestoneStepError, match="stands for another entry"):
        apply(funding, replace(first, why="another"))


class Life(RuleBasedStateMachine):
    """Throws any step at an agreement; what is refused changes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.funding = begun(AGREEMENT)
        self.day = date(2026, 1, 5)

    @rule(days=st.integers(0, 40))
    def wait(self, days: int) -> None:
        self.day += timedelta(days=days)

    @rule(step=st.sampled_from(list(Step)), milestone=st.sampled_from(["m1", "m2"]), amount=st.integers(1, 120))
    def take(self, step: Step, milestone: str, amount: int) -> None:
        further = {"amount_ucny": amount} if step is Step.CLAW_BACK else {}
        of = milestone if step in (Step.SUBMIT, Step.VERIFY, Step.SEND_BACK, Step.EXTEND, Step.PAY) else None
        before = self.funding
        try:
            self.funding = apply(before, entry(step, of, on=self.day, **further))
        except IllegalMilestoneStepError:
            assert self.funding is before
        else:
            assert before.ending is None or self.funding.ending is before.ending

    @invariant()
    def nothing_appears_or_vanishes(self) -> None:
        assert sum(money(self.funding)) == self.funding.committed_ucny == 301
        assert min(money(self.funding)) >= 0

    @invariant()
    def fault_alone_is_clawed_back(self) -> None:
        f = self.funding
        assert f.has_fault or (f.owed_back_ucny == 0 and f.clawed_back_ucny == 0)
        found = any(e.step is Step.END_FAULT for e in f.history)
        assert f.has_fault == found
        assert f.owed_back_ucny <= f.paid_ucny

    @invariant()
    def nothing_is_paid_unverified_and_no_attempt_is_beyond_the_rules(self) -> None:
        f = self.funding
        for name, progress in f.progress.items():
            verified = [e for e in f.history if e.step is Step.VERIFY and e.milestone == name]
            assert len(verified) <= 1
            assert progress.standing is not Standing.PAID or verified
            assert progress.attempts <= RULES.attempts
            assert progress.extensions <= RULES.extensions
        if f.progress["m2"].attempts:
            assert f.progress["m1"].standing in (Standing.VERIFIED, Standing.PAID, Standing.RETURNED)

    @invariant()
    def the_history_makes_it(self) -> None:
        assert followed(AGREEMENT, self.funding.history) == self.funding


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


def test_on_an_earlier_day_what_came_later_is_left_out() -> None:
    steps = reached("m1")
    whole = after(*steps)
    assert as_of(whole, steps[-1].day) == whole
    assert as_of(whole, date(2020, 1, 1)) == after()
