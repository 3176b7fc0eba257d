"""Trying a fix for real: a copy, the test under watch in it, and nothing left behind."""

import asyncio
import os
import subprocess
import sys
import time
import venv
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from linnix_ls.config import FixSettings
from linnix_ls.core.findings import Edit, Kind, Patch
from linnix_ls.fixes.base import Outcome
from linnix_ls.fixes.proposals import propose
from linnix_ls.fixes.trial import try_patch
from linnix_ls.lsp.documents import read_text
from tests.lsp.memory_feed import a_finding, a_process

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio]

PATIENCE_S = 30

# What it waits for comes after a while, by another thread.
PUMP = """\
import threading


class Pump:
    def __init__(self, delay_s):
        self.items = []
        threading.Timer(delay_s, self.items.append, [1]).start()

    def drain(self):
        while not self.items:
            pass
        return self.items.pop()
"""
TEST = "from pump import Pump\n\n\ndef test_drain():\n    assert Pump(4).drain() == 1\n"
ID = "tests/test_pump.py::test_drain"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Where copies are made, seen empty again at the end."""
    monkeypatch.setattr("linnix_ls.fixes.scratch.cache_dir", lambda: tmp_path / "cache")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    yield tmp_path / "cache/trials"
    left = os.listdir(tmp_path / "cache/trials") if (tmp_path / "cache/trials").exists() else []
    assert [name for name in left if name != "lock"] == []
    assert processes_in(tmp_path) == []


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "project"
    (folder / "tests").mkdir(parents=True)
    (folder / "pump.py").write_text(PUMP)
    (folder / "tests/test_pump.py").write_text(TEST)
    return folder


def processes_in(folder):
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd().startswith(str(folder)):
                found.append(process)
        except psutil.Error:
            continue
    return found


def a_run(project, *argv):
    run = replace(a_process(4400, "pytest"), argv=argv, cwd=str(project))
    return a_finding(project / "pump.py", 11, process=run, ancestry=(), run=run.key, test=ID)


def pytest_run(project):
    return a_run(project, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")


def patch_of(project, old, new, line=11):
    return Patch("rules", "t", (Edit(str(project / "pump.py"), line, old, new),))


def trying(finding, patch, project, **options):
    settings = options.pop("settings", FixSettings(time_limit_s=60, max_copy_mb=50))
    return try_patch(
        finding, patch, folders=[str(project)], text_of=read_text, settings=settings, **options
    )


@pytest.mark.ebpf
async def test_a_patch_by_a_rule_is_seen_to_work(project, place):
    finding = pytest_run(project)
    told = []
    [patch] = propose(finding, read_text)
    trial = await trying(finding, patch, project, on_progress=told.append)
    assert trial.outcome is Outcome.VERIFIED, trial
    assert trial.message.startswith(f"In a copy, {ID} passed in ")
    assert trial.message.endswith(" s and nothing ran away.")
    assert trial.command[-1] == ID
    assert "1 passed" in trial.output
    assert told == ["copying the workspace", f"running {ID}"]
    assert (project / "pump.py").read_text() == PUMP


@pytest.mark.ebpf
async def test_a_patch_that_does_not_help_is_found_out(project, place):
    trial = await trying(
        pytest_run(project), patch_of(project, "            pass", "            id(self)"), project
    )
    assert trial.outcome is Outcome.STILL_RUNS_AWAY, trial
    assert "spins on a CPU" in trial.message


async def test_a_patch_that_breaks_the_test_is_found_out(project, place):
    trial = await trying(
        pytest_run(project), patch_of(project, "            pass", "            return 2"), project,
        tracer="psutil",
    )  # fmt: skip
    assert trial.outcome is Outcome.TEST_FAILS, trial
    assert "failed (exit status 1)" in trial.message
    assert "assert 2 == 1" in trial.output


@pytest.mark.ebpf
async def test_a_runaway_that_is_another_now_is_still_one(project, place):
    patch = patch_of(project, "            pass", "            threading.Event().wait()")
    trial = await trying(pytest_run(project), patch, project)
    assert trial.outcome is Outcome.STILL_RUNS_AWAY, trial
    assert "is blocked" in trial.message


async def test_a_test_that_is_not_there_has_not_passed(project, place):
    finding = replace(pytest_run(project), test="tests/test_pump.py::test_other")
    patch = patch_of(project, "            pass", "            break")
    trial = await trying(finding, patch, project, tracer="psutil")
    assert trial.outcome is Outcome.TEST_FAILS


async def test_a_test_that_does_not_end_is_stopped(project, place, monkeypatch):
    monkeypatch.setattr("linnix_ls.fixes.trial.STARTING_LIMIT_S", 2)
    works = "            import time; time.sleep(0.01 + hash(str(time.time())) % 9 / 1000)"
    patch = patch_of(project, "            pass", works)
    (project / "tests/test_pump.py").write_text(TEST.replace("4", "3000"))
    settings = FixSettings(time_limit_s=4, max_copy_mb=50)
    trial = await trying(pytest_run(project), patch, project, tracer="psutil", settings=settings)
    assert trial.outcome is Outcome.STILL_RUNS_AWAY, trial
    assert "had not ended after 4 s and was stopped" in trial.message


async def test_a_command_with_a_time_limit_of_its_own_has_failed_by_it(project, place):
    finding = replace(a_run(project, "timeout", "1", "sleep", "9"), test=None)
    patch = patch_of(project, "            pass", "            break")
    trial = await trying(finding, patch, project, tracer="psutil")
    assert trial.outcome is Outcome.TEST_FAILS, trial
    assert "exit status 124" in trial.message


DAEMON = """\
            import os, signal, subprocess, sys
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            subprocess.Popen(["sleep", "300"], start_new_session=True)
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    open("started", "w").close()
                    os.execvp("sleep", ["sleep", "301"])
                os._exit(0)
            threading.Event().wait()"""


async def until(condition):
    give_up_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < give_up_s
        await asyncio.sleep(0.05)


def daemons_of(place):
    return [p for p in processes_in(place) if p.name() == "sleep"]


async def test_cancelling_leaves_nothing_not_even_what_daemonized(project, place):
    patch = patch_of(project, "            pass", DAEMON)
    task = asyncio.create_task(trying(pytest_run(project), patch, project, tracer="psutil"))
    await until(lambda: len(daemons_of(place)) == 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_cancelling_while_it_copies_leaves_nothing(project, place):
    for n in range(2000):
        (project / f"file{n}").write_text("x")
    patch = patch_of(project, "            pass", "            break")
    task = asyncio.create_task(trying(pytest_run(project), patch, project, tracer="psutil"))
    await until(lambda: list(place.glob("t-*/copy/project/file*")))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_killed_server_leaves_no_process(project, place, tmp_path):
    script = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from tests.fixes import test_trial as t\n"
        "import linnix_ls.fixes.scratch as scratch\n"
        "project = Path(sys.argv[1])\n"
        "scratch.cache_dir = lambda: Path(sys.argv[2])\n"
        "patch = t.patch_of(project, '            pass', t.DAEMON)\n"
        "asyncio.run(t.trying(t.pytest_run(project), patch, project, tracer='psutil'))\n"
    )
    server = subprocess.Popen(
        [sys.executable, "-c", script, project, tmp_path / "cache"],
        cwd=Path(__file__).parents[2],
    )
    await until(lambda: len(daemons_of(place)) == 2)
    server.kill()
    server.wait()
    await until(lambda: not processes_in(place))
    # Its folder is there until the next trial.
    trial = await trying(
        pytest_run(project), patch_of(project, "            pass", "            return 1"), project,
        tracer="psutil",
    )  # fmt: skip
    assert trial.outcome is Outcome.VERIFIED, trial


async def test_the_copys_code_is_run_and_not_the_original_that_is_installed(project, place):
    """An "editable" install into the workspace's own virtual environment."""
    (project / "lib").mkdir()
    (project / "pump.py").rename(project / "lib/pump.py")
    venv.create(project / ".venv", system_site_packages=True)
    [site] = project.glob(".venv/lib/python*/site-packages")
    (site / "_pump.pth").write_text(f"{project}/lib\n")
    ours = Path(pytest.__file__).parents[1]
    (site / "pytest-of-this-test.pth").write_text(f"{ours}\n")
    finding = a_run(project, f"{project}/.venv/bin/python", "-m", "pytest", "-q")
    edit = Edit(str(project / "lib/pump.py"), 11, "            pass", "            return 1")
    trial = await trying(finding, Patch("rules", "t", (edit,)), project, tracer="psutil")
    assert trial.outcome is Outcome.VERIFIED, trial
    assert "1 passed in 0." in trial.output  # with the original it takes four seconds


async def test_what_cannot_be_tried_is_said_and_why(project, place):
    finding = pytest_run(project)
    patch = patch_of(project, "            pass", "            break")
    wrong = patch_of(project, "            fail", "            break")
    prompt = a_run(project, "bash")
    elsewhere = a_run(Path("/usr"), "pytest")
    for trial, reason in (
        (await trying(finding, wrong, project), "the file has changed"),
        (await trying(prompt, patch, project), "at a prompt"),
        (await trying(elsewhere, patch, project), "it runs in /usr"),
    ):
        assert trial.outcome is Outcome.NOT_TRIED
        assert reason in trial.message
        assert trial.message.startswith("This fix was not tried: ")


async def test_what_it_writes_is_bounded_and_harmless(project, place):
    patch = patch_of(
        project, "            pass",
        '            import sys\n            sys.__stdout__.write("\\x1b[2J\\u202e" * 4_000_000)\n'
        "            sys.__stdout__.flush()\n            raise ValueError",
    )  # fmt: skip
    finding = a_run(project, sys.executable, "-m", "pytest", "-q", "-s")
    trial = await trying(finding, patch, project, tracer="psutil")
    assert trial.outcome is Outcome.TEST_FAILS
    assert len(trial.output) < 40_000
    assert "\x1b" not in trial.output
    assert "\u202e" not in trial.output


@pytest.mark.ebpf
async def test_the_sample_projects_supervisor_is_mended_by_a_rule(tmp_path, place):
    parcels = Path(__file__).parents[2] / "examples/parcels"
    project = tmp_path / "project"
    subprocess.run(["cp", "-r", parcels, project], check=True)
    line = (project / "parcels/supervisor.py").read_text().split("\n")
    number = next(n for n, text in enumerate(line, 1) if "subprocess.run" in text)
    test = "tests/test_supervisor.py::test_supervisor_gives_up_when_there_is_no_printer"
    finding = replace(pytest_run(project), kind=Kind.FORK_STORM, cause="retry_loop", test=test)
    finding = replace(
        finding,
        location=replace(finding.location, path=f"{project}/parcels/supervisor.py", line=number),
    )
    patch, *_ = propose(finding, read_text)
    trial = await trying(finding, patch, project)
    assert trial.outcome is Outcome.VERIFIED, trial
