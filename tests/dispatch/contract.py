"""What every connector keeps, whatever its engine: inherit `ConnectorContract` and say how to make one.

    class TestMine(ConnectorContract):
        def make(self, folder): return MyConnector(folder)

What an engine declares that it cannot do is skipped; what it declares that it can do is tested.
"""

import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest

from dujiang.core.errors import OperationError
from dujiang.dispatch.connector import Capability, Connector, JobSpec, JobState, JobStatus

PATIENCE_S = 60.0
"""For something that must happen; only a failing test waits that long."""

ODD_IDS = [
    "订单 2025/07 №1",
    "a'b\"c`d$(e)",
    "../../etc",
    ".",
    "..",
    "",
    "-rf",
    "line\nbreak\ttab",
    "x" * 400,
    "🚀%41~",
]


def job(job_id: str, command: str | None = None, *, run_s: float = 0.05, limit_s: float = 60.0, **env: str) -> JobSpec:
    return JobSpec(job_id, command, gpus=8, run_s=run_s, limit_s=limit_s, env=env)


def status_of(connector: Connector, job_id: str) -> JobStatus:
    found = [status for status in connector.poll() if status.job_id == job_id]
    assert len(found) == 1, f"{len(found)} statuses of {job_id!r}"
    return found[0]


def wait_until(ready: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not ready():
        assert time.monotonic() < end, f"not within {PATIENCE_S:.0f} s: {what}"
        time.sleep(0.02)


def wait_for(connector: Connector, job_id: str, state: JobState) -> JobStatus:
    wait_until(lambda: status_of(connector, job_id).state is state, f"{job_id!r} {state}")
    return status_of(connector, job_id)


def wait_for_all(connector: Connector) -> list[JobStatus]:
    wait_until(lambda: all(status.state.is_terminal for status in connector.poll()), "all jobs ended")
    return connector.poll()


def lines_of(path: Path) -> Counter[str]:
    return Counter(path.read_text().splitlines()) if path.exists() else Counter()


def processes_in(folder: Path) -> dict[int, Path]:
    """Return the processes whose working directory lies in a folder, with it; jobs and their supervisors all do."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                place = (entry / "cwd").readlink()
            except OSError:
                continue  # Gone, or a zombie that only waits for its parent to notice.
            if place.is_relative_to(folder):
                found[int(entry.name)] = place
    return found


class ConnectorContract:
    def make(self, folder: Path) -> Connector:
        raise NotImplementedError

    @pytest.fixture
    def folder(self, tmp_path):
        return tmp_path / "jobs"

    @pytest.fixture
    def connector(self, folder):
        with closing(self.make(folder)) as connector:
            yield connector

    @pytest.fixture
    def ran(self, tmp_path):
        """Return a file to which commands append a line, so that a second run shows."""
        return tmp_path / "ran"

    def need(self, connector, *capabilities):
        for capability in capabilities:
            if capability not in connector.capabilities:
                pytest.skip(f"{connector.name}: {connector.lacks[capability].en}")

    def test_declares_each_capability_or_why_not(self, connector):
        assert connector.capabilities.isdisjoint(connector.lacks)
        assert connector.capabilities | connector.lacks.keys() == set(Capability)
        assert all(reason.en.strip() and reason.zh.strip() for reason in connector.lacks.values())

    def test_no_jobs_at_first(self, connector):
        connector.submit([])
        assert connector.poll() == []

    def test_stand_in_sleeps_and_succeeds(self, connector):
        connector.submit([job("j", run_s=0.3)])
        end = wait_for(connector, "j", JobState.ENDED)
        assert not end.limit_reached
        if Capability.EXIT_CODE in connector.capabilities:
            assert end.exit_code == 0
        if Capability.TIMES in connector.capabilities:
            assert end.ended - end.started >= timedelta(seconds=0.3)
            assert end.started.utcoffset() == end.ended.utcoffset() == timedelta(0)

    def test_runs_before_it_ends(self, connector):
        self.need(connector, Capability.CANCEL)
        connector.submit([job("j", run_s=600)])
        running = wait_for(connector, "j", JobState.RUNNING)
        assert running.exit_code is None
        assert running.ended is None
        connector.cancel("j")
        wait_for(connector, "j", JobState.CANCELLED)

    @pytest.mark.parametrize(("command", "code"), [("exit 3", 3), ("no-such-program-here", 127), ("kill -9 $$", 137)])
    def test_failure_is_reported_with_its_exit_code(self, connector, command, code):
        connector.submit([job("j", command)])
        end = wait_for(connector, "j", JobState.FAILED)
        assert end.detail
        assert not end.limit_reached
        if Capability.EXIT_CODE in connector.capabilities:
            assert end.exit_code == code

    def test_command_knows_its_award(self, connector, ran):
        connector.submit(
            [job("订单", f'printf "%s|" "$DUJIANG_JOB_ID" "$DUJIANG_GPUS" "$COLOUR" > {ran}', COLOUR="青")]
        )
        wait_for(connector, "订单", JobState.ENDED)
        assert ran.read_text() == "订单|8|青|"

    def test_any_text_is_an_id(self, connector, ran):
        specs = [job(job_id, f"echo {number} >> {ran}") for number, job_id in enumerate(ODD_IDS)]
        connector.submit(specs)
        connector.submit(specs)
        ends = wait_for_all(connector)
        assert [end.job_id for end in ends] == sorted(ODD_IDS)
        assert {end.state for end in ends} == {JobState.ENDED}
        assert lines_of(ran) == Counter(str(number) for number in range(len(ODD_IDS)))

    def test_quotes_and_scripts_reach_the_shell_unharmed(self, connector, ran):
        text = 'it\'s "quoted" \\n 中文 $HOME `x` 🚀'
        connector.submit([job("j", f"cat > {ran} <<'END'\n{text}\nEND\n")])
        wait_for(connector, "j", JobState.ENDED)
        assert ran.read_text() == text + "\n"

    def test_submitting_again_changes_nothing(self, connector, ran):
        spec = job("j", f"echo j >> {ran}; exit 4")
        for _ in range(3):
            connector.submit([spec, spec])
        first = wait_for(connector, "j", JobState.FAILED)
        connector.submit([spec])
        assert wait_for(connector, "j", JobState.FAILED) == first
        assert lines_of(ran) == {"j": 1}

    def test_an_id_is_one_job_for_ever(self, connector, ran):
        connector.submit([job("j", f"echo first >> {ran}")])
        wait_for(connector, "j", JobState.ENDED)
        with pytest.raises(OperationError, match="'j'") as caught:
            connector.submit([job("j", f"echo second >> {ran}"), job("k", f"echo k >> {ran}")])
        assert "'j'" in caught.value.say("zh")
        wait_for(connector, "k", JobState.ENDED)  # What is in order in the same call is done all the same.
        assert lines_of(ran) == {"first": 1, "k": 1}

    def test_cancel_stops_a_job(self, connector):
        self.need(connector, Capability.CANCEL)
        connector.submit([job("j", "sleep 600"), job("k", "sleep 0.1")])
        wait_for(connector, "j", JobState.RUNNING)
        connector.cancel("j")
        connector.cancel("j")
        end = wait_for(connector, "j", JobState.CANCELLED)
        assert not end.limit_reached
        assert end.started is not None
        assert wait_for(connector, "k", JobState.ENDED).exit_code == 0

    def test_cancel_of_an_ended_job_changes_nothing(self, connector):
        self.need(connector, Capability.CANCEL)
        connector.submit([job("j")])
        end = wait_for(connector, "j", JobState.ENDED)
        connector.cancel("j")
        assert status_of(connector, "j") == end

    def test_cancel_of_an_unknown_job_says_so(self, connector):
        with pytest.raises(OperationError, match="'nobody'"):
            connector.cancel("nobody")

    def test_limit_ends_a_job(self, connector):
        self.need(connector, Capability.LIMIT)
        connector.submit([job("c", "sleep 600", limit_s=0.3), job("s", run_s=600, limit_s=0.3), job("k")])
        for job_id in ("c", "s"):
            end = wait_for(connector, job_id, JobState.CANCELLED)
            assert end.limit_reached
            if Capability.TIMES in connector.capabilities:
                assert end.ended - end.started >= timedelta(seconds=0.3)
        assert not wait_for(connector, "k", JobState.ENDED).limit_reached

    def test_limit_ends_a_job_that_nobody_watches(self, connector, folder, ran):
        self.need(connector, Capability.LIMIT, Capability.ADOPT)
        connector.submit([job("j", f"while :; do echo x >> {ran}; sleep 0.05; done", limit_s=0.5)])
        connector.close()
        wait_until(ran.exists, "the job started")
        counts = count()
        seen = {}

        def still():
            seen[next(counts)] = lines_of(ran)["x"]
            time.sleep(0.3)
            return lines_of(ran)["x"] == max(seen.values())

        wait_until(still, "the job stopped by itself")
        with closing(self.make(folder)) as later:
            assert status_of(later, "j").limit_reached

    def test_a_new_connector_finds_jobs_and_their_ends(self, connector, folder, ran):
        self.need(connector, Capability.ADOPT, Capability.CANCEL)
        specs = [job("ended", f"echo e >> {ran}; exit 5"), job("runs", f"echo r >> {ran}; sleep 600")]
        connector.submit(specs)
        wait_for(connector, "runs", JobState.RUNNING)
        connector.close()
        with closing(self.make(folder)) as later:
            later.submit(specs)
            assert wait_for(later, "ended", JobState.FAILED).exit_code == 5
            assert wait_for(later, "runs", JobState.RUNNING).started is not None
            later.cancel("runs")
            wait_for(later, "runs", JobState.CANCELLED)
        assert lines_of(ran) == {"e": 1, "r": 1}

    def test_many_at_once(self, connector):
        specs = [job(f"j{number:03}", run_s=0.2) for number in range(300)]
        connector.submit(specs)
        ends = wait_for_all(connector)
        assert [end.job_id for end in ends] == [spec.job_id for spec in specs]
        assert {end.state for end in ends} == {JobState.ENDED}

    def test_closing_twice_is_harmless(self, connector):
        connector.submit([job("j")])
        connector.close()
        connector.close()
        wait_for(connector, "j", JobState.ENDED)
