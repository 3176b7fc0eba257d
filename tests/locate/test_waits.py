"""What real processes wait for."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest

from linnix_ls import procfs
from linnix_ls.core.detectors.stuck import hopeless
from linnix_ls.core.ids import ProcessKey
from linnix_ls.locate.waits import read_waits
from tests.locate.specimens import NO_PID
from tests.locate.test_hostile import FREEZERS, frozen, has_freezer

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(os.geteuid() != 0, reason="reads other processes: needs root"),
]

PATIENCE_S = 20


@contextlib.contextmanager
def tree(script, *, is_settled):
    """A Python program and all below it, once what they wait for is as it will stay."""
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", script],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            stats = map(procfs.read_stat, procfs.descendants(process.pid))
            waits = read_waits([stat.key for stat in stats if stat])
            if is_settled(waits):
                break
            time.sleep(0.02)
        yield process.pid, waits
    finally:
        os.killpg(process.pid, 9)
        process.wait()


def calls(waits):
    return sorted(str(wait.call) for wait in waits)


def are_all(n, closed):
    return lambda waits: len(waits) == n and [wait.is_closed for wait in waits] == [closed] * n


def test_parent_and_child_that_wait_for_each_others_pipe_are_a_closed_circle():
    script = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-S", "-c", "import sys; sys.stdin.read()"],
                         stdin=subprocess.PIPE)
child.wait()
"""
    with tree(script, is_settled=are_all(2, closed=True)) as (pid, waits):
        assert calls(waits) == ["read", "wait4"]
        assert {wait.what for wait in waits} == {"a child", "a pipe"}
        assert {key.pid for key in hopeless(waits)} == set(procfs.descendants(pid))


def test_a_full_pipe_that_nobody_reads_is_room_in_a_pipe():
    script = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-S", "-c", "print('x' * 1_000_000)"],
                         stdout=subprocess.PIPE)
child.wait()
"""
    with tree(script, is_settled=are_all(2, closed=True)) as (_, waits):
        assert "room in a pipe" in {wait.what for wait in waits}
        assert len(hopeless(waits)) == 2


def test_a_pipe_that_somebody_outside_holds_is_no_closed_circle():
    reader, writer = os.pipe()
    try:
        os.set_inheritable(reader, True)
        child = subprocess.Popen(["cat"], stdin=reader, stdout=subprocess.DEVNULL)
        try:
            key = procfs.read_stat(child.pid).key
            deadline = time.monotonic() + PATIENCE_S
            waits = ()
            while time.monotonic() < deadline and "read" not in calls(waits):
                waits = read_waits([key])
            assert calls(waits) == ["read"]
            assert not waits[0].is_closed
        finally:
            child.kill()
            child.wait()
    finally:
        os.close(reader)
        os.close(writer)


def test_a_sleep_is_no_closed_wait():
    def sleeps(waits):
        return procfs.read_stat(waits[0].key.pid).state == "S"

    with tree("import time; time.sleep(600)", is_settled=sleeps) as (_, waits):
        assert [wait.is_closed for wait in waits] == [False]
        assert not hopeless(waits)


def test_threads_that_wait_for_each_others_locks_are_a_closed_circle():
    script = """
import threading, time
a, b = threading.Lock(), threading.Lock()
both = threading.Barrier(2)
def take(first, second):
    with first:
        both.wait()
        second.acquire()
threads = [threading.Thread(target=take, args=pair) for pair in ((a, b), (b, a))]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""
    with tree(script, is_settled=are_all(3, closed=True)) as (pid, waits):
        assert calls(waits) == ["futex"] * 3
        assert {key.pid for key in hopeless(waits)} == {pid}


def test_a_lock_with_a_timeout_is_no_closed_wait():
    script = """
import threading
lock = threading.Lock()
lock.acquire()
lock.acquire(timeout=600)
"""
    with tree(script, is_settled=lambda waits: calls(waits) == ["futex"]) as (_, waits):
        assert not hopeless(waits)


def test_a_poll_for_ever_on_pipes_is_a_wait_for_them():
    script = """
import select, subprocess, sys
child = subprocess.Popen([sys.executable, "-S", "-c", "import sys; sys.stdin.read()"],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
poll = select.poll()
poll.register(child.stdout, select.POLLIN)
poll.poll()
"""
    with tree(script, is_settled=are_all(2, closed=True)) as (_, waits):
        assert len(hopeless(waits)) == 2


def test_a_program_that_runs_waits_for_nothing():
    with tree("while True: pass", is_settled=lambda waits: calls(waits) == ["None"]) as (_, waits):
        assert not hopeless(waits)


PIPE_CIRCLE = """
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-S", "-c", "import sys; sys.stdin.read()"],
                         stdin=subprocess.PIPE)
child.wait()
"""


@contextlib.contextmanager
def suspended(pid):
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + PATIENCE_S
    while procfs.read_stat(pid).state != "T":
        assert time.monotonic() < deadline
    yield


def freezing_by(*freezer):
    @contextlib.contextmanager
    def freeze(pid):
        with frozen(pid, [freezer]):
            yield

    return freeze


@pytest.mark.parametrize(
    "halted",
    [suspended, *(pytest.param(freezing_by(*f), id=f[0]) for f in FREEZERS if has_freezer(*f[:2]))],
)
def test_who_is_suspended_or_frozen_does_not_wait(halted):
    """Though /proc tells the call in which it was, and that it uses no CPU."""
    with tree(PIPE_CIRCLE, is_settled=are_all(2, closed=True)) as (pid, waits):
        assert len(hopeless(waits)) == 2
        keys = [procfs.read_stat(each).key for each in procfs.descendants(pid)]
        with halted(keys[1].pid):
            deadline = time.monotonic() + PATIENCE_S
            # The parent is told of it, and for a moment does not wait either.
            while not (now := {wait.key: wait for wait in read_waits(keys)})[keys[0]].is_closed:
                assert time.monotonic() < deadline
        assert not now[keys[1]].is_closed
        assert not hopeless(now.values())


def test_who_wants_a_cpu_and_gets_none_does_not_wait():
    """Starved by others of more importance, on the one CPU that it may use."""
    script = """
import os, subprocess, sys
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
hog = subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"],
                       preexec_fn=lambda: os.sched_setscheduler(0, os.SCHED_RR,
                                                                os.sched_param(1)))
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
while True: pass
"""
    with tree(script, is_settled=lambda waits: calls(waits) == ["None"] * 2) as (_, waits):
        assert calls(waits) == ["None"] * 2
        assert not hopeless(waits)


def test_processes_that_have_gone_or_are_others_wait_for_nothing():
    own = procfs.read_stat(os.getpid()).key
    assert read_waits([ProcessKey(NO_PID - 1, 1), ProcessKey(own.pid, own.start_ticks + 1)]) == ()
    assert read_waits([]) == ()
