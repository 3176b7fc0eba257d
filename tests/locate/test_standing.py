"""Who waits is looked at once, and again only when somebody has run that it depends on."""

import subprocess
import sys

import pytest

from linnix_ls import procfs
from linnix_ls.core.ids import ProcessKey
from linnix_ls.locate.standing import Standing, cpu_clock_ns
from tests.feed.scenes import sleeping


def key_of(process):
    return procfs.read_stat(process.pid).key


@pytest.fixture
def answering():
    """A process that waits for a line, and says one when it has come."""
    script = "print('ready', flush=True)\nfor line in open(0): print(line, flush=True)"
    with subprocess.Popen(
        [sys.executable, "-Sc", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "ready\n"
        yield process
        process.stdin.close()


def test_the_clock_of_a_process_stands_while_it_waits_and_goes_when_it_runs(answering):
    key = key_of(answering)
    before = cpu_clock_ns(key)
    answering.stdin.write("go\n")
    answering.stdin.flush()
    assert answering.stdout.readline() == "go\n"
    assert cpu_clock_ns(key) > before


def test_who_has_gone_has_no_clock():
    assert cpu_clock_ns(ProcessKey(1 << 22, 1)) is None


def test_who_was_not_looked_at_is_looked_at():
    with sleeping() as process:
        assert not Standing().is_as_before(key_of(process))


def test_who_sleeps_by_a_timer_is_as_before_until_it_has_run(answering):
    standing = Standing()
    with sleeping() as process:
        key = until_it_waits(standing, process)
        assert standing.is_as_before(key)
    assert not standing.is_as_before(key)  # it has ended


def test_a_look_at_one_is_a_look_at_all_around_it(answering):
    standing = Standing()
    with sleeping() as one, sleeping() as other:
        until_it_waits(standing, one)
        key = until_it_waits(standing, other)
        standing.look(key_of(one), [key_of(one), key])
        assert standing.is_as_before(key)


def test_who_has_run_is_looked_at_again(answering):
    standing = Standing()
    key = until_it_waits(standing, answering)
    answering.stdin.write("go\n")
    answering.stdin.flush()
    assert answering.stdout.readline() == "go\n"
    assert not standing.is_as_before(key)


def until_it_waits(standing, process):
    """Looked at when it runs no more: a process that has just been started still does, or waits for
    a CPU. So it is asked first whether it sleeps."""
    key = key_of(process)
    for _ in range(100_000):
        if procfs.read_stat(process.pid).state != "S":
            continue
        standing.look(key, [key])
        if standing.is_as_before(key):
            return key
    raise TimeoutError
