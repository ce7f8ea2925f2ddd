"""The connector on a virtual clock: the contract of all connectors on a real one, and what a virtual one shows."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch.contract import ConnectorContract, job, status_of
from dujiang.core.errors import OperationError
from dujiang.dispatch.connector import JobState
from dujiang.lab.virtual import VirtualClock, VirtualConnector

START = datetime(2026, 3, 1, tzinfo=UTC)


class TestContract(ConnectorContract):
    """On the clock of the wall. Commands are refused, so what the contract shows with commands is shown below."""

    def make(self, folder):
        return VirtualConnector(lambda: datetime.now(UTC))

    test_failure_is_reported_with_its_exit_code = None
    test_command_knows_its_award = None
    test_any_text_is_an_id = None
    test_quotes_and_scripts_reach_the_shell_unharmed = None
    test_submitting_again_changes_nothing = None
    test_an_id_is_one_job_for_ever = None
    test_cancel_stops_a_job = None
    test_limit_ends_a_job = None


@pytest.fixture
def clock():
    return VirtualClock(START)


@pytest.fixture
def connector(clock):
    return VirtualConnector(clock)


def at(seconds):
    return START + timedelta(seconds=seconds)


def test_job_ends_at_its_instant_however_late_one_looks(clock, connector):
    connector.submit([job("j", run_s=5400.5, limit_s=7200)])
    clock.advance(at(5400.499999))
    assert connector.status("j").state is JobState.RUNNING
    clock.advance(at(10**6))
    end = connector.status("j")
    assert (end.state, end.started, end.ended, end.limit_reached) == (JobState.ENDED, START, at(5400.5), False)


def test_limit_comes_first(clock, connector):
    connector.submit([job("j", run_s=100, limit_s=60), job("k", run_s=60, limit_s=60)])
    clock.advance(at(60))
    stopped, whole = connector.poll()
    assert (stopped.state, stopped.limit_reached, stopped.ended) == (JobState.CANCELLED, True, at(60))
    assert (whole.state, whole.limit_reached) == (JobState.ENDED, False)


def test_cancelled_job_ran_until_then(clock, connector):
    connector.submit([job("j", run_s=100, limit_s=1000)])
    clock.advance(at(40))
    connector.cancel("j")
    clock.advance(at(50))
    connector.cancel("j")
    end = connector.status("j")
    assert (end.state, end.ended, end.limit_reached) == (JobState.CANCELLED, at(40), False)


def test_job_that_has_ended_cannot_be_cancelled_afterwards(clock, connector):
    connector.submit([job("j", run_s=100, limit_s=1000)])
    clock.advance(at(100))
    connector.cancel("j")
    assert connector.status("j").state is JobState.ENDED


def test_same_job_again_stays_as_it_is_and_another_is_refused(clock, connector):
    connector.submit([job("j", run_s=100, limit_s=1000)])
    clock.advance(at(40))
    connector.submit([job("j", run_s=100, limit_s=1000)])
    with pytest.raises(OperationError, match="'j'") as caught:
        connector.submit([job("j", run_s=99, limit_s=1000), job("k")])
    assert "'j'" in caught.value.say("zh")
    assert connector.status("j").started == START
    assert connector.status("k").started == at(40)  # What is in order in the same call is done all the same.


def test_command_is_refused(connector):
    with pytest.raises(OperationError, match=r"'c'.*virtual clock"):
        connector.submit([job("c", "true"), job("j")])
    assert [status.job_id for status in connector.poll()] == ["j"]


def test_unknown_job_is_said(connector):
    with pytest.raises(OperationError, match="'x'"):
        connector.status("x")


def test_clock_never_goes_back(clock):
    clock.advance(at(1))
    clock.advance(at(1))
    with pytest.raises(AssertionError, match="is over"):
        clock.advance(START)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 50), st.integers(0, 80)), max_size=8), st.data())
def test_states_do_not_depend_on_how_often_one_looks(jobs, data):
    """Two connectors on the same instants, one of them polled all the time, say the same in the end."""
    instants = sorted({second for submit, _, cancel in jobs for second in (submit, submit + cancel)} | {200})
    ends = []
    for watched in (False, True):
        clock = VirtualClock(START)
        connector = VirtualConnector(clock)
        for second in instants:
            clock.advance(at(second))
            if watched:
                connector.poll()
            connector.submit(
                job(f"j{n}", run_s=run, limit_s=40) for n, (at_, run, _) in enumerate(jobs) if at_ == second
            )
            for n, (submit, _, cancel) in enumerate(jobs):
                if cancel <= 50 and submit + cancel == second:
                    connector.cancel(f"j{n}")
        ends.append(connector.poll())
    assert ends[0] == ends[1]
    for n, (submit, run, cancel) in enumerate(jobs):
        end = next(status for status in ends[0] if status.job_id == f"j{n}")
        least = min(run, 40, cancel if cancel <= 50 else 1000)
        assert end.ended == at(submit + least)
        assert (end.state is JobState.ENDED) == (run == least)


def test_status_is_what_poll_says(clock, connector):
    connector.submit([job("b", run_s=5), job("a", run_s=50)])
    clock.advance(at(10))
    assert connector.poll() == [connector.status("a"), connector.status("b")]
    assert status_of(connector, "b").state is JobState.ENDED
