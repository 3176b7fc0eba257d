"""The product's own probes are edited while it watches: through a real agent, held against what
really happened."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest
import pytest_asyncio

from linnix_ls import procfs
from linnix_ls.config import cache_dir
from linnix_ls.core.events import EventsLost, Execed, Exited, Forked, ProbesReplaced
from linnix_ls.core.findings import Kind
from linnix_ls.errors import PlaygroundError
from linnix_ls.feed.base import InputsSeen
from linnix_ls.feed.remote import RemoteFeed
from linnix_ls.playground.own_probes import OwnProbesHost
from linnix_ls.playground.permission import Client
from linnix_ls.tracer.bcc import BccTracer
from linnix_ls.tracer.bpf_source import shipped
from tests.feed.scenes import run_as_nobody
from tests.starter import STARTER

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.ebpf,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(240),
]

LIFECYCLE, SCOPE, SAMPLER = "lifecycle.bpf.c", "scope.h", "cpu_sampler.bpf.c"
# Compiles, and tells nothing.
BLIND = {
    SCOPE: shipped(SCOPE).replace(
        "    if (events.ringbuf_output",
        "    if (record)\n        return;\n    if (events.ringbuf_output",
    )
}
# Works, and takes its time at each system call of the machine.
DEAR = {
    SAMPLER: shipped(SAMPLER)
    + """
BPF_ARRAY(sums, u64, 1);
RAW_TRACEPOINT_PROBE(sys_enter)
{
    u64 sum = 0;

    for (int i = 0; i < 2000; i++)
        sum += bpf_ktime_get_ns();
    sums.increment(0, sum);
    return 0;
}
"""
}


def edit(number):
    """One of many that see all that the shipped ones do, and count forks, too."""
    counted = shipped(LIFECYCLE).replace(
        "    watched.delete(&tgid);", f"    watched.delete(&tgid);\n    ends_{number}.increment(0);"
    )
    return {LIFECYCLE: f"BPF_ARRAY(ends_{number}, u64, 1);\n{counted}"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def agent():
    """Its socket and its process."""
    with tempfile.TemporaryDirectory(prefix="linnix-ls-") as folder:
        os.chmod(folder, 0o755)  # pytest's own folders are closed to other users
        path = Path(folder, "agent.sock")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "linnix_ls.cli.main", "agent", "--socket", str(path)),
            stderr=subprocess.DEVNULL,
        )
        await until(path.exists)
        yield path, process
        process.terminate()
        await process.wait()


@pytest_asyncio.fixture(loop_scope="module")
async def feed(agent):
    feed = await RemoteFeed.connect(agent[0], hello_timeout_s=60)
    yield feed
    if (await feed.playground.own()).files:
        await feed.playground.replace_own({}, trial_s=0)
    await feed.close()


async def until(condition, timeout_s=60):
    """Wait for a condition; one that never comes fails the test."""
    async with asyncio.timeout(timeout_s):
        while True:
            result = condition()
            if asyncio.iscoroutine(result):
                result = await result
            if result:
                return result
            await asyncio.sleep(0.05)


@contextlib.contextmanager
def starter():
    """Starts programs; `stop` says how many of each pid."""
    with subprocess.Popen(
        [sys.executable, "-Sc", STARTER, "/bin/true", "200"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        process.stop = lambda: Counter(map(int, process.communicate(b"enough")[0].split()))
        try:
            yield process
        finally:
            process.kill()


def spinner():
    """A loop that gets a CPU, whatever else this machine does."""
    return started("nice", "-n", "-15", sys.executable, "-Sc", "while True: pass")


@contextlib.contextmanager
def started(*command):
    with subprocess.Popen(command) as process:
        try:
            yield process
        finally:
            process.kill()


async def note(feed):
    return await until(lambda: _note(feed))


async def as_shipped(feed):
    own = await feed.playground.own()
    return None if own.files else own


async def _note(feed):
    return (await feed.playground.own()).note


def worker_of(agent_pid, module):
    [worker] = [pid for pid in procfs.children_of(agent_pid) if module in procfs.read_argv(pid)]
    return worker


async def test_ten_exchanges_lose_nothing_and_tell_nothing_twice(feed):
    """And a runaway that began before the last of them is found."""
    heard = []
    feed.subscribe(
        lambda change: heard.extend(change.change.events)
        if isinstance(change.change, InputsSeen) else None
    )  # fmt: skip
    await feed.record_inputs()
    with starter() as process:
        await feed.watch(process.pid, "starter", is_run=True)
        await until(lambda: any(isinstance(e, Forked) for e in heard))
        for number in range(9):
            await feed.playground.replace_own(edit(number), trial_s=number % 2 * 60)
        with spinner() as spinning:
            await feed.watch(spinning.pid, "spinner", is_run=True, is_root_judged=True)
            own = await feed.playground.replace_own(edit(9), trial_s=0)
            reading = await feed.playground.read_own()
            truth = process.stop()
            [finding] = await until(lambda: feed.snapshot().findings)
    assert finding.kind is Kind.CPU_SPIN
    # What was started before this was watched is nobody's truth.
    first = next(e.key.pid for e in heard if isinstance(e, Forked))
    expected = Counter(dict(list(truth.items())[list(truth).index(first) :]))
    assert len(expected) > 100
    await until(lambda: {e.key.pid for e in heard if isinstance(e, Exited)} >= set(expected))
    for kind in (Forked, Execed, Exited):
        told = Counter(e.key.pid for e in heard if isinstance(e, kind) and e.key.pid in truth)
        assert told == expected, kind
    assert not [e for e in heard if isinstance(e, EventsLost)]
    assert (own.files, own.note) == (edit(9), None)
    generations = [e.generation for e in heard if isinstance(e, ProbesReplaced)]
    assert len(generations) >= 10
    assert generations == sorted(set(generations))
    assert own.generation == generations[-1]
    [ends] = [each.entries for each in reading.maps if each.name == "ends_9"]
    assert ends
    assert reading.n_lost == 0
    assert {each.name for each in reading.programs} >= {"on_cpu_clock", "on_sys_exit"}


async def test_probes_that_tell_nothing_are_taken_back(feed):
    with starter() as process:
        await feed.watch(process.pid, "starter", is_run=True)
        await feed.playground.replace_own(BLIND, trial_s=60)
        said = await note(feed)
        process.stop()
    assert "was taken back" in said
    assert "it told of no " in said
    assert "The shipped probes run again" in said
    assert (await feed.playground.own()).files == {}


async def test_probes_that_cost_too_much_are_taken_back(feed):
    with starter() as process:
        await feed.playground.replace_own(DEAR, trial_s=60)
        said = await note(feed)
        process.stop()
    assert "% of a CPU" in said
    assert (await feed.playground.own()).files == {}


async def test_probes_whose_process_dies_are_taken_back_on_trial_and_after(agent, feed):
    for trial_s in (60, 0):
        await feed.playground.replace_own(edit(1), trial_s=trial_s)
        if not trial_s:  # until it has no one to stand in for it
            await until(
                lambda: not [
                    pid for pid in procfs.children_of(agent[1].pid)
                    if "linnix_ls.tracer.bcc_worker" in procfs.read_argv(pid)
                ]
            )  # fmt: skip
        os.kill(worker_of(agent[1].pid, "linnix_ls.playground.own_worker"), signal.SIGKILL)
        assert "ended (signal 9)" in await note(feed)
        assert (await feed.playground.own()).files == {}
        process = await asyncio.create_subprocess_exec("sleep", "60")
        key = await feed.watch(process.pid, "sleep", is_run=True)
        process.kill()
        await process.wait()

        async def is_told(key=key):
            view = [each for each in await feed.process_tree() if each.key == key]
            return view and view[0].has_ended

        await until(is_told)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({LIFECYCLE: shipped(LIFECYCLE).replace("yes = 1;", "yes = 1")}, f"{LIFECYCLE}, line 19"),
        ({SCOPE: shipped(SCOPE) + "int f(void) { return bpf_send_signal(9); }"}, "sends a signal"),
        ({SAMPLER: "int on_cpu_clock;"}, "needs the program on_cpu_clock"),
        ({SCOPE: shipped(SCOPE).replace("watched, u32, u8", "watched, u32, u64")}, "map watched"),
        ({"events.h": ""}, "stays as it was shipped"),
        ({"other.c": ""}, "are in the files scope.h, "),
    ],
)  # fmt: skip
async def test_what_is_refused_leaves_what_runs(feed, files, said):
    before = await feed.playground.own()
    with pytest.raises(PlaygroundError) as refused:
        await feed.playground.replace_own(files, trial_s=1)
    assert said in refused.value.message
    assert await feed.playground.own() == before
    assert (await feed.playground.read_own()).programs


EDITOR = """
import asyncio, json, sys, time
from pathlib import Path
from linnix_ls.feed.remote import RemoteFeed

async def main():
    feed = await RemoteFeed.connect(Path(sys.argv[1]), hello_timeout_s=60)
    await feed.playground.replace_own(json.loads(sys.argv[2]), trial_s=60)
    print("runs", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_edits_end_when_their_editor_is_killed(agent, feed):
    editor = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", EDITOR, str(agent[0]), json.dumps(edit(1))),
        stdout=subprocess.PIPE,
    )
    assert await editor.stdout.readline() == b"runs\n"
    assert (await feed.playground.own()).files == edit(1)
    editor.kill()
    await editor.wait()
    own = await until(lambda: as_shipped(feed))
    assert own.generation > 2 and own.note is None


ASK = """
from linnix_ls.errors import PlaygroundError
from linnix_ls.feed.remote import RemoteFeed

async def ask():
    feed = await RemoteFeed.connect(Path(sys.argv[1]), hello_timeout_s=60)
    try:
        await feed.playground.replace_own({"scope.h": ""}, trial_s=1)
    except PlaygroundError as error:
        refused = [error.message, error.fix]
    reading = await feed.playground.read_own()
    print(json.dumps([refused, len(reading.programs), len(reading.maps), len(reading.events)]))
    await feed.close()

asyncio.run(ask())
"""


async def test_who_may_not_load_is_told_so_and_sees_nothing_of_others(agent, feed):
    await feed.playground.read_own()
    subprocess.run(["true"], check=True)
    (message, fix), n_programs, n_maps, n_events = json.loads(
        await run_as_nobody(ASK, str(agent[0]))
    )
    assert "only root and members of the group" in message
    assert "linnix-ls-probes" in fix
    assert n_programs == 5
    assert (n_maps, n_events) == (0, 0)


async def test_edits_of_one_user_are_not_anothers_to_change_or_to_see():
    written = []
    tracer = BccTracer(cache_dir())
    await tracer.start(lambda events: None, lambda reason: None)
    host = OwnProbesHost(tracer, cache_dir(), lambda *words, **more: written.append((words, more)))
    one = host.open(Client(11, 65534, 65534, frozenset()))
    two = host.open(Client(12, 65533, 65533, frozenset()))
    root = host.open(Client(13, 0, 0, frozenset()))
    try:
        own = await one.replace(edit(1), trial_s=60)
        assert (own.files, own.uid) == (edit(1), 65534)
        assert "Uid:\t65534\t65534\t65534" in Path(f"/proc/{tracer.worker_pid}/status").read_text()
        with pytest.raises(PlaygroundError, match="uid 65534's edits run; they end with its"):
            await two.replace({}, trial_s=1)
        assert (await two.own()).files == {LIFECYCLE: ""}
        assert (await root.replace({}, trial_s=1)).files == {}
        outcomes = [words[3] for words, _ in written]
        assert outcomes == ["runs", "as shipped again"]
    finally:
        await host.close()
        await tracer.stop()
