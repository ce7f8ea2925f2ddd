"""The connector `local`: the contract, and what only real processes on this machine can show."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from contract import ConnectorContract, job, lines_of, processes_in, status_of, wait_for, wait_for_all, wait_until
from hypothesis import given, settings
from hypothesis import strategies as st

from dujiang.core.errors import OperationError
from dujiang.dispatch import supervisor
from dujiang.dispatch.connector import JobState, connector_named, connector_names
from dujiang.dispatch.local import LocalConnector, folder_name

JOBS = 40
SUBMITTER = """
import os, signal, sys
from pathlib import Path
from dujiang.dispatch.connector import JobSpec
from dujiang.dispatch.local import LocalConnector

folder, ran, count, batch = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
specs = [JobSpec(f"j{n}", f"echo j{n} >> {ran}; sleep 0.1; exit {n % 3}", 8, 0.0, 60.0) for n in range(count)]

class Dies(LocalConnector):
    def _start(self, names):
        if "before" in sys.argv:
            os.kill(os.getpid(), signal.SIGKILL)
        super()._start(names)
        if "after" in sys.argv:
            os.kill(os.getpid(), signal.SIGKILL)

connector = Dies(folder)
print("ready", flush=True)
sys.stdin.readline()
for first in range(0, count, batch):
    connector.submit(specs[first : first + batch])
print("submitted", flush=True)
sys.stdin.readline()
connector.close()
"""


def submitter(folder, ran, *, jobs=JOBS, batch=JOBS, dies="never"):
    """Start a process that submits jobs once it is told to."""
    child = subprocess.Popen(
        [sys.executable, "-c", SUBMITTER, str(folder), str(ran), str(jobs), str(batch), dies],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout.readline() == "ready\n"
    return child


def say_go(child):
    child.stdin.write("go\n")
    child.stdin.flush()


def end(child):
    child.kill()
    child.communicate()


def specs_of_submitter(ran, jobs=JOBS):
    return [job(f"j{n}", f"echo j{n} >> {ran}; sleep 0.1; exit {n % 3}", run_s=0.0) for n in range(jobs)]


def names_in(folder):
    return sorted(entry.name for entry in folder.iterdir())


def begun(folder, job_id):
    return json.loads((folder / folder_name(job_id) / supervisor.BEGUN).read_text())


def assert_each_ran_once(ends, ran, jobs=JOBS):
    assert {e.job_id: e.exit_code for e in ends} == {f"j{n}": n % 3 for n in range(jobs)}
    assert lines_of(ran) == Counter(f"j{n}" for n in range(jobs))


class Recorder(LocalConnector):
    """Gets as far as recording its jobs."""

    def _start(self, names):
        pass


class TestLocalConnector(ConnectorContract):
    def make(self, folder):
        return LocalConnector(folder, grace_s=0.5)

    def test_found_by_name(self, folder):
        with closing(connector_named("local", folder)) as connector:
            assert connector.name == "local"
            assert connector.name in connector_names()

    def test_unknown_name_lists_the_known_ones(self, folder):
        with pytest.raises(OperationError, match=r"'slurp'.*known are: local") as caught:
            connector_named("slurp", folder)
        assert "local" in caught.value.say("zh")
        assert not folder.exists()

    def test_output_is_kept(self, connector, folder):
        connector.submit([job("j", "echo 算力; echo bad >&2")])
        wait_for(connector, "j", JobState.ENDED)
        assert (folder / "j" / "stdout").read_text() == "算力\n"
        assert (folder / "j" / "stderr").read_text() == "bad\n"

    def test_command_that_cannot_be_executed_says_why(self, connector, folder):
        connector.submit([job("nul", "echo a\0b"), job("long", "x" * 3_000_000)])
        assert [e.exit_code for e in wait_for_all(connector)] == [127, 127]
        assert "null byte" in (folder / "nul" / "stderr").read_text()
        assert "too long" in (folder / "long" / "stderr").read_text()

    def test_command_may_write_files_named_like_ours(self, connector, folder):
        names = " ".join((supervisor.SPEC, supervisor.BEGUN, supervisor.STATUS, supervisor.CANCEL, "stdout"))
        connector.submit([job("j", f"for name in {names}; do echo mine > $name; done; pwd; exit 6")])
        assert wait_for(connector, "j", JobState.FAILED).exit_code == 6
        assert (folder / "j" / "stdout").read_text() == f"{folder}/j/work\n"

    def test_operator_environment_stays_private(self, folder, monkeypatch):
        monkeypatch.setenv("CLOUD_PASSWORD", "secret")
        with closing(self.make(folder)) as connector:
            connector.submit([job("j", "env; cat /proc/$PPID/environ")])
            wait_for_all(connector)
        text = (folder / "j" / "stdout").read_text()
        assert "DUJIANG_JOB_ID=j\n" in text
        assert "PATH=" in text
        assert "CLOUD_PASSWORD" not in text

    def test_sigpipe_ends_a_pipeline(self, connector, folder):
        connector.submit([job("j", "(yes; echo $? >&2) | head -1")])
        wait_for(connector, "j", JobState.ENDED)
        assert (folder / "j" / "stderr").read_text() == "141\n"

    def test_what_a_command_leaves_behind_ends_with_it(self, connector, tmp_path):
        connector.submit([job("j", "sleep 600 & sleep 600 &")])
        wait_for(connector, "j", JobState.ENDED)
        wait_until(lambda: processes_in(tmp_path / "jobs" / "j") == {}, "no process in the job's folder")

    @pytest.mark.parametrize("how", ["limit", "cancel"])
    def test_command_that_will_not_stop_is_killed_with_its_children(self, connector, ran, how):
        command = f"trap '' TERM; (while :; do sleep 0.1; done) & touch {ran}; while :; do sleep 0.1; done"
        connector.submit([job("j", command, limit_s=1 if how == "limit" else 60)])
        wait_until(ran.exists, "the trap is set")
        if how == "cancel":
            connector.cancel("j")
        stopped = wait_for(connector, "j", JobState.CANCELLED)
        assert stopped.exit_code == 137
        assert stopped.limit_reached == (how == "limit")

    @pytest.mark.parametrize("command", [None, "exec sleep 600"])
    def test_job_hears_sigterm(self, connector, command):
        connector.submit([job("j", command, run_s=600)])
        wait_for(connector, "j", JobState.RUNNING)
        connector.cancel("j")
        assert wait_for(connector, "j", JobState.CANCELLED).exit_code == 143

    def test_command_that_stops_in_time_keeps_its_exit_code(self, connector, ran):
        connector.submit([job("j", f"trap 'exit 9' TERM; touch {ran}; while :; do sleep 0.05; done")])
        wait_until(ran.exists, "the trap is set")
        connector.cancel("j")
        assert wait_for(connector, "j", JobState.CANCELLED).exit_code == 9

    @pytest.mark.parametrize("code", [124, 137, 143])
    def test_exit_codes_that_look_like_ours_are_failures(self, connector, code):
        connector.submit([job("j", f"exit {code}")])
        failed = wait_for(connector, "j", JobState.FAILED)
        assert (failed.exit_code, failed.limit_reached) == (code, False)

    # --- the submitter is killed ---------------------------------------------------------------------------------

    @pytest.mark.parametrize("delay_ms", [0, 15, 40, 80, 150])
    def test_submitter_killed_anywhere(self, folder, ran, delay_ms):
        child = submitter(folder, ran, batch=7)
        say_go(child)
        time.sleep(delay_ms / 1000)
        end(child)
        with closing(self.make(folder)) as later:
            later.submit(specs_of_submitter(ran))
            assert_each_ran_once(wait_for_all(later), ran)

    def test_submitter_killed_between_deciding_and_starting(self, folder, ran):
        child = submitter(folder, ran, dies="before")
        say_go(child)
        assert child.wait(60) == -signal.SIGKILL
        end(child)
        with closing(self.make(folder)) as later:
            assert {status.state for status in later.poll()} == {JobState.SUBMITTED}
            later.cancel("j0")
            assert status_of(later, "j0").state is JobState.CANCELLED
            assert status_of(later, "j0").started is None
            later.submit(specs_of_submitter(ran))
            ends = {e.job_id: e for e in wait_for_all(later)}
            assert ends.pop("j0").state is JobState.CANCELLED
            assert lines_of(ran) == Counter(ends.keys())

    def test_submitter_killed_between_starting_and_recording(self, folder, ran):
        child = submitter(folder, ran, dies="after")
        say_go(child)
        assert child.wait(60) == -signal.SIGKILL
        end(child)
        with closing(self.make(folder)) as later:
            assert_each_ran_once(wait_for_all(later), ran)
            later.submit(specs_of_submitter(ran))
            assert_each_ran_once(wait_for_all(later), ran)

    def test_two_submitters_at_once(self, folder, ran):
        children = [submitter(folder, ran) for _ in range(2)]
        for child in children:
            say_go(child)
        assert [child.stdout.readline() for child in children] == ["submitted\n"] * 2
        for child in children:
            end(child)
        with closing(self.make(folder)) as later:
            assert_each_ran_once(wait_for_all(later), ran)

    def test_two_connectors_see_the_same(self, connector, folder, ran):
        with closing(self.make(folder)) as other:
            specs = specs_of_submitter(ran, 10)
            for spec in random.Random(1).sample(specs * 2, 20):
                random.Random(spec.job_id).choice([connector, other]).submit([spec])
            assert wait_for_all(connector) == wait_for_all(other)
            assert_each_ran_once(other.poll(), ran, 10)

    # --- the supervisor is killed --------------------------------------------------------------------------------

    def test_supervisor_killed_leaves_the_job_unseen(self, connector, folder, ran):
        spec = job("j", f"echo j >> {ran}; sleep 600")
        connector.submit([spec, job("k", run_s=0.5)])
        wait_until(ran.exists, "the command runs")
        os.kill(begun(folder, "j")["pid"], signal.SIGKILL)
        unseen = wait_for(connector, "j", JobState.UNSEEN)
        assert not unseen.state.is_terminal
        assert "still runs" in unseen.detail
        assert unseen.started is not None
        assert unseen.ended is None

        connector.submit([spec])
        connector.cancel("j")  # Stops what is left of it; what it used stays unknown.
        wait_until(lambda: processes_in(folder / "j") == {}, "its command is gone")
        unseen = wait_for(connector, "j", JobState.UNSEEN)
        assert "not known" in unseen.detail
        connector.submit([spec])
        assert lines_of(ran) == {"j": 1}
        wait_for(connector, "k", JobState.ENDED)  # Nobody else's job noticed.

    @pytest.mark.parametrize("since", ["reuse", "reboot"])
    def test_reused_pid_is_not_taken_for_the_supervisor(self, connector, folder, ran, since):
        connector.submit([job("j", f"touch {ran}; sleep 600")])
        wait_until(ran.exists, "j runs")
        # What would be on disk had another job `k` had j's pid before, in this boot or in an earlier one.
        claim = begun(folder, "j")
        boot, pid, ticks = claim["mark"].split()
        mark = f"{boot} {pid} {int(ticks) - 1}" if since == "reuse" else f"{'0' * 36} {pid} {ticks}"
        shutil.copytree(folder / "j", folder / "k")
        spec = json.loads((folder / "j" / supervisor.SPEC).read_text())
        (folder / "k" / supervisor.SPEC).write_text(json.dumps(spec | {"job_id": "k"}))
        (folder / "k" / supervisor.BEGUN).write_text(json.dumps(claim | {"mark": mark}))

        unseen = status_of(connector, "k")
        assert unseen.state is JobState.UNSEEN
        assert "not known" in unseen.detail
        connector.cancel("k")
        time.sleep(0.3)
        assert status_of(connector, "j").state is JobState.RUNNING
        connector.cancel("j")
        assert wait_for(connector, "j", JobState.CANCELLED).exit_code == 143

    def test_machine_going_down_is_not_a_cancellation(self, connector, folder):
        connector.submit([job("j", run_s=600)])
        wait_for(connector, "j", JobState.RUNNING)
        os.kill(begun(folder, "j")["pid"], signal.SIGTERM)
        stopped = wait_for(connector, "j", JobState.FAILED)
        assert "machine goes down" in stopped.detail

    def test_unreadable_claim_is_never_started_again(self, connector, folder, ran):
        spec = job("j", f"echo j >> {ran}")
        (folder / "j").mkdir()
        (folder / "j" / supervisor.BEGUN).write_text("")
        connector.submit([spec])
        assert status_of(connector, "j").state is JobState.UNSEEN
        assert not ran.exists()

    def test_spec_lost_in_a_power_cut_is_written_again(self, connector, folder):
        (folder / "j").mkdir()
        (folder / "j" / supervisor.SPEC).write_text("")
        assert connector.poll() == []
        connector.submit([job("j")])
        wait_for(connector, "j", JobState.ENDED)

    # --- the machine fails us ------------------------------------------------------------------------------------

    def test_folder_that_is_a_file(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(OperationError, match="cannot be used"):
            LocalConnector(tmp_path / "file" / "jobs")

    def test_folder_that_vanished(self, connector, folder):
        folder.rmdir()
        with pytest.raises(OperationError, match="cannot be used"):
            connector.poll()
        with pytest.raises(OperationError, match="cannot be used"):
            connector.submit([job("j")])

    def test_launcher_killed_can_be_tried_again(self, connector, folder, ran):
        connector.submit([job("first")])
        wait_for(connector, "first", JobState.ENDED)
        (launcher,) = [pid for pid, place in processes_in(folder).items() if place == folder]
        assert os.getsid(launcher) != os.getsid(0)  # Or Ctrl-C at our terminal would reach it.
        os.kill(launcher, signal.SIGKILL)
        spec = job("j", f"echo j >> {ran}")
        with pytest.raises(OperationError, match="submit them again"):
            connector.submit([spec])
        assert status_of(connector, "j").state is JobState.SUBMITTED
        connector.submit([spec])
        wait_for(connector, "j", JobState.ENDED)
        assert lines_of(ran) == {"j": 1}

    def test_line_cut_by_a_kill_names_no_job(self, folder):
        for job_id in ("j", "k", "jj"):
            with closing(Recorder(folder)) as connector:
                connector.submit([job(job_id)])
        # The writer was killed within the name of `jj`; `j` is not what it meant.
        launcher = [sys.executable, "-I", "-S", supervisor.__file__, "0.5"]
        result = subprocess.run(launcher, cwd=folder, input=b"0 k\n1 j", capture_output=True, check=True)
        assert result.stdout == b"0 ok\n"
        with closing(self.make(folder)) as connector:
            assert status_of(connector, "j").state is JobState.SUBMITTED
            wait_for(connector, "k", JobState.ENDED)

    @pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root to be held to a limit")
    @pytest.mark.parametrize("processes", [1, 2, 3])
    def test_machine_out_of_processes(self, folder, ran, processes):
        # Room for: 1 the caller alone; 2 its launcher; 3 a supervisor, whose command then finds no room.
        script = textwrap.dedent("""
            import sys
            from pathlib import Path
            from dujiang.core.errors import OperationError
            from dujiang.dispatch.connector import JobSpec
            from dujiang.dispatch.local import LocalConnector
            connector = LocalConnector(Path(sys.argv[1]))
            try:
                connector.submit([JobSpec("j", f"echo j >> {sys.argv[2]}", 8, 0.05, 60.0)])
            except OperationError as error:
                print("said:", error.message.en)
            connector.close()
        """)
        held = ["setpriv", f"--ruid={61_000 + processes}", "--bounding-set=-sys_resource,-sys_admin"]
        held += ["prlimit", f"--nproc={processes}", sys.executable, "-c", script, str(folder), str(ran)]
        result = subprocess.run(held, capture_output=True, text=True, check=False)
        assert result.stderr == ""
        assert result.stdout.startswith("said: 1 of 1 jobs could not be started")
        assert "Resource temporarily unavailable" in result.stdout
        with closing(self.make(folder)) as later:
            assert status_of(later, "j").state is JobState.SUBMITTED
            later.submit([job("j", f"echo j >> {ran}")])
            wait_for(later, "j", JobState.ENDED)
        assert lines_of(ran) == {"j": 1}


class TestWriteOnce:
    def test_first_content_stays(self, tmp_path):
        path = str(tmp_path / "f")
        assert supervisor.write_once(path, "一")
        assert not supervisor.write_once(path, "二")
        assert (tmp_path / "f").read_text() == "一"
        assert names_in(tmp_path) == ["f"]

    def test_draft_of_a_killed_process_of_the_same_pid(self, tmp_path):
        # Killed after the link and before the draft's removal: both names are one file.
        (tmp_path / "f").write_text("content")
        os.link(tmp_path / "f", tmp_path / f"f.{os.getpid()}.draft")
        assert not supervisor.write_once(str(tmp_path / "f"), "other")
        assert (tmp_path / "f").read_text() == "content"
        assert names_in(tmp_path) == ["f"]

    def test_failure_leaves_nothing(self, tmp_path):
        missing = tmp_path / "gone" / "f"
        with pytest.raises(OSError):
            supervisor.write_once(str(missing), "x")
        assert names_in(tmp_path) == []


class TestProcessMark:
    def test_is_stable_and_tells_processes_apart(self):
        sleeper = subprocess.Popen(["sleep", "60"])
        own, other = supervisor.process_mark(os.getpid()), supervisor.process_mark(sleeper.pid)
        assert own == supervisor.process_mark(os.getpid())
        assert own != other
        sleeper.kill()
        wait_until(lambda: supervisor.stat_fields(sleeper.pid)[0] == "Z", "zombie")
        assert supervisor.process_mark(sleeper.pid) is None
        sleeper.wait()
        assert supervisor.process_mark(sleeper.pid) is None

    def test_name_with_parentheses_and_blanks(self, tmp_path):
        shutil.copy("/bin/sleep", tmp_path / "a) R (b")
        sleeper = subprocess.Popen([tmp_path / "a) R (b", "60"])
        try:
            wait_until(lambda: "a) R (b" in Path(f"/proc/{sleeper.pid}/stat").read_text(), "exec")
            assert supervisor.stat_fields(sleeper.pid)[1] == str(os.getpid())  # Field 4: its parent.
        finally:
            sleeper.kill()
            sleeper.wait()


class TestFolderName:
    @settings(max_examples=300, deadline=None)
    @given(st.text(max_size=300), st.text(max_size=300))
    def test_is_safe_and_tells_ids_apart(self, first, second):
        for job_id in (first, second):
            name = folder_name(job_id)
            assert 0 < len(name.encode()) <= 150
            assert name.isprintable()
            assert not set(name) & set("/\0 \n")
            assert not name.startswith(".")
        assert (folder_name(first) == folder_name(second)) == (first == second)

    def test_reads_like_the_id(self):
        assert folder_name("order-17.v2_b") == "order-17.v2_b"
        assert folder_name("订单1") == "订单1"
        assert folder_name("a/b c") == "a%2Fb%20c"
        assert folder_name("..") == "%2E."
        assert folder_name("") == "%"

    def test_long_ids_differ_in_their_digest(self):
        a, b = folder_name("长" * 200 + "a"), folder_name("长" * 200 + "b")
        assert a != b
        assert a.partition("~")[0] == b.partition("~")[0]
