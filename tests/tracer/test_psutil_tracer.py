"""What a look at /proc, a few times a second, tells of real processes."""

import asyncio
import os
import signal
import subprocess
import sys

import pytest
import pytest_asyncio

from linnix_ls import procfs
from linnix_ls.core.events import CpuUsed, Execed
from linnix_ls.core.ids import NS_PER_S
from linnix_ls.tracer.psutil_tracer import PsutilTracer
from tests.e2e.faulty import no_more_descriptors
from tests.tracer.scenes import Witness

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio]


@pytest_asyncio.fixture
async def witness():
    witness = Witness(PsutilTracer())
    await witness.start()
    yield witness
    await witness.tracer.stop()
    assert witness.failures == []


def cpu_s(story):
    used = [e.on_cpu_ns for e in story.events if isinstance(e, CpuUsed) and e.key == story.root]
    return sum(used) / NS_PER_S


async def test_it_says_what_it_cannot_see(witness):
    assert "shorter than 0.2 s" in witness.tracer.degraded
    assert "system calls" in witness.tracer.degraded
    assert await witness.tracer.count_syscalls(os.getpid(), 0.01) is None


async def test_it_says_that_stacks_cannot_be_read_where_the_kernel_forbids_it():
    assert "stacks" not in PsutilTracer(ptrace_scope=0).degraded
    assert "stacks and memory of processes cannot be read" in PsutilTracer(ptrace_scope=1).degraded
    assert "ptrace_scope = 1" in PsutilTracer(ptrace_scope=1).degraded


async def test_births_programs_and_deaths_are_told(witness):
    story = await witness.run("sh", "-c", "sleep 0.7; exec sleep 0.6")
    [fork] = story.forks
    assert fork.parent == story.root
    assert fork.uid == os.geteuid()
    by_process = {execed.key: execed.argv for execed in story.execs}
    assert by_process == {fork.key: ("sleep", "0.7"), story.root: ("sleep", "0.6")}
    assert {end.key for end in story.exits} == {fork.key, story.root}


async def test_keys_are_those_of_proc(witness):
    async with witness.holding("sh", "-c", "sleep 60 & wait") as held:
        held.let_go()
        await witness.until(lambda: held.story.forks)
        [fork] = held.story.forks
        assert fork.key == procfs.read_stat(fork.key.pid).key
        os.kill(fork.key.pid, signal.SIGKILL)


async def test_a_fork_that_runs_its_parents_program_is_no_exec(witness):
    async with witness.holding(
        sys.executable, "-Sc", "import os, time; os.fork(); time.sleep(60)", start_new_session=True
    ) as held:
        held.let_go()
        await witness.until(lambda: held.story.forks)
        os.killpg(held.process.pid, signal.SIGKILL)
        await witness.until(lambda: len(held.story.exits) == 2)
        assert {execed.key for execed in held.story.execs} <= {held.key}


async def test_cpu_time_is_told_as_it_was_used(witness):
    story = await witness.python(
        "import time\nwhile time.process_time() < 1.0: pass\ntime.sleep(.5)"
    )
    assert 0.8 < cpu_s(story) < 1.3


async def test_sleeping_costs_nothing(witness):
    assert cpu_s(await witness.run("sleep", "1")) < 0.1


async def test_an_orphan_and_its_children_stay_in_sight(witness):
    async with witness.holding(
        "sh", "-c", "sh -c 'sh -c \"sleep 0.5; sleep 60; true\" & sleep 0.6'; sleep 60",
        start_new_session=True,
    ) as held:  # fmt: skip
        held.let_go()
        try:
            await witness.until(lambda: ("sleep", "60") in [e.argv for e in held.story.execs])
            await witness.until(
                lambda: [e.argv for e in held.story.execs].count(("sleep", "60")) == 2
            )
        finally:
            os.killpg(held.process.pid, signal.SIGKILL)


async def test_a_pid_that_is_used_again_is_another_process(witness):
    """Between two looks: one has gone, another has its pid."""
    async with witness.holding("sh", "-c", "sleep 60 & read x; wait") as held:
        held.let_go()
        await witness.until(lambda: held.story.forks)
        [fork] = held.story.forks
        before = fork.key._replace(start_ticks=fork.key.start_ticks - 1)
        witness.tracer._known[fork.key.pid].key = before
        await witness.until(lambda: len(held.story.forks) == 2)
        assert before in [getattr(event, "key", None) for event in witness.log]
        assert held.story.forks[1].key == fork.key
        os.kill(fork.key.pid, signal.SIGKILL)


async def test_a_process_lives_on_after_its_first_thread(witness):
    async with witness.holding(
        sys.executable, "-Sc",
        "import ctypes, sys, threading\n"
        "threading.Thread(target=sys.stdin.readline).start()\n"
        "print('ready', flush=True); ctypes.CDLL(None).pthread_exit(None)",
    ) as held:  # fmt: skip
        held.let_go()
        assert await held.read_line() == "ready"
        await witness.run("sleep", "0.5")
        assert held.story.exits == []
        held.let_go()
        await held.finish()


async def test_watching_while_it_looks_disturbs_nothing(witness):
    """The looks are taken on another thread."""
    holders = [witness.holding("sleep", "60") for _ in range(20)]
    async with holders[0]:
        for holder in holders[1:]:
            await holder.__aenter__()
            await asyncio.sleep(0.03)
        for holder in holders[1:]:
            await witness.tracer.unwatch([holder.key.pid])
            await holder.__aexit__()
            await asyncio.sleep(0.01)
        story = await witness.run("sleep", "0.3")
    assert len(story.exits) == 1


async def test_programs_of_a_user_that_start_anywhere_are_told_if_asked_for(witness):
    await witness.tracer.watch_users([os.geteuid()])
    with subprocess.Popen(["sleep", "60"]) as stranger:
        key = procfs.read_stat(stranger.pid).key
        await witness.until(lambda: key in [getattr(event, "key", None) for event in witness.log])
        *_, execed = [event for event in witness.log if getattr(event, "key", None) == key]
        assert (execed.argv, execed.cwd) == (("sleep", "60"), os.getcwd())
        await witness.tracer.watch_users([os.geteuid() + 1])
        stranger.kill()
    with subprocess.Popen(["sleep", "1"]) as stranger:
        key = procfs.read_stat(stranger.pid).key
    assert key not in [getattr(event, "key", None) for event in witness.log]


async def test_who_cannot_be_looked_at_for_want_of_descriptors_has_not_ended(witness):
    async with witness.holding("sleep", "60") as held, witness.holding("sleep", "60") as other:
        held.let_go()
        await witness.until(lambda: held.story.execs)
        with no_more_descriptors(os.getpid()):
            other.process.kill()
            other.process.wait()
            await witness.until(lambda: other.story.exits)
            assert held.story.exits == []
        held.process.kill()
        held.process.wait()
        await witness.until(lambda: held.story.exits)


async def test_what_has_gone_cannot_be_watched(witness):
    own = procfs.read_stat(os.getpid()).key
    assert await witness.tracer.watch(own._replace(start_ticks=own.start_ticks + 1)) == ()


async def test_a_subtree_may_be_left_out(witness):
    async with witness.holding("sh", "-c", "sleep 60 & echo $!; wait") as held:
        held.let_go()
        ours = int(await held.read_line())
        await witness.tracer.unwatch([held.key.pid])
        seen = await witness.tracer.watch(held.key, ignored={procfs.read_stat(ours).key})
        assert [s.key for s in seen] == [held.key]
        await asyncio.sleep(0.5)
        assert held.story.forks == []
        os.kill(ours, signal.SIGKILL)


OUTSIDE = "import time; time.sleep(60)"


def execs_of(witness, pid):
    return [each.argv for each in witness.log if isinstance(each, Execed) and each.key.pid == pid]


async def test_what_a_user_starts_elsewhere_is_told_with_where_it_runs(witness, tmp_path):
    await witness.tracer.watch_users([os.geteuid()])
    process = subprocess.Popen([sys.executable, "-Sc", OUTSIDE], cwd=tmp_path)
    try:
        await witness.until(lambda: execs_of(witness, process.pid))
        [told] = [each for each in witness.log if getattr(each, "key", ())[:1] == (process.pid,)]
        assert told.argv == (sys.executable, "-Sc", OUTSIDE)
        assert told.cwd == str(tmp_path)
        assert told.uid == os.geteuid()
    finally:
        process.kill()
        process.wait()


async def test_a_program_that_becomes_another_at_once_is_told_as_that(witness):
    """As `time`, `env` and a shell with -c do."""
    await witness.tracer.watch_users([os.geteuid()])
    script = "read go; exec sleep 61"
    process = subprocess.Popen(["sh", "-c", script], stdin=subprocess.PIPE)
    try:
        await witness.until(lambda: ("sh", "-c", script) in execs_of(witness, process.pid))
        process.stdin.write(b"go\n")
        process.stdin.close()
        await witness.until(lambda: ("sleep", "61") in execs_of(witness, process.pid))
    finally:
        process.kill()
        process.wait()


async def test_what_was_just_there_and_becomes_another_program_is_told_as_that(witness):
    """As `setsid` does with a command: it may be between the two when it is first asked for."""
    process = subprocess.Popen(
        ["sh", "-c", "echo; read go; exec sleep 63"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        process.stdout.readline()
        await witness.tracer.watch_users([os.geteuid()])
        process.stdin.write(b"go\n")
        process.stdin.close()
        await witness.until(lambda: execs_of(witness, process.pid))
        assert execs_of(witness, process.pid) == [("sleep", "63")]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


async def test_a_fork_elsewhere_that_has_not_become_a_program_yet_is_not_told(witness):
    await witness.tracer.watch_users([os.geteuid()])
    process = subprocess.Popen(
        ["sh", "-c", "(read go; exec sleep 62) <&0; true"], stdin=subprocess.PIPE
    )
    try:
        await witness.until(lambda: execs_of(witness, process.pid))
        await asyncio.sleep(0.5)
        process.stdin.write(b"go\n")
        process.stdin.close()
        await witness.until(lambda: ("sleep", "62") in [each.argv for each in witness.log])
        below = [each.argv for each in witness.log if each.parent.pid == process.pid]
        assert below == [("sleep", "62")]
    finally:
        for pid in procfs.descendants(process.pid):
            os.kill(pid, signal.SIGKILL)
        process.wait()


async def test_nothing_is_told_of_others_nor_of_what_was_there_before(witness):
    process = subprocess.Popen(["sleep", "63"])
    try:
        await witness.tracer.watch_users([os.geteuid() + 1])
        await witness.run("sleep", "0.5")
        await witness.tracer.watch_users([os.geteuid()])
        other = subprocess.Popen(["sleep", "64"])
        await witness.until(lambda: execs_of(witness, other.pid))
        other.kill()
        other.wait()
        assert execs_of(witness, process.pid) == []
        await witness.tracer.watch_users([])
        n_told = len(witness.log)
        last = subprocess.Popen(["sleep", "0.5"])
        last.wait()
        assert len(witness.log) == n_told
    finally:
        process.kill()
        process.wait()
