"""What happens when something breaks: each fault is done to the real thing, which recovers from it.

After each nothing is left attached, running, or lying about, by the word of the kernel. What is
killed in other ways has its tests beside it: see docs/faults.md.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from linnix_ls import procfs
from linnix_ls.core.findings import Kind, State
from linnix_ls.core.tree import to_be_stopped
from linnix_ls.errors import AgentError
from linnix_ls.feed.base import FeedState
from linnix_ls.feed.remote import RemoteFeed
from tests.e2e import editors
from tests.e2e.faulty import (
    LINNIX_LS,
    PATIENCE_S,
    Runaway,
    World,
    an_agent,
    an_editor,
    has_ended,
    no_more_descriptors,
    temporary_folder,
    told_states,
    until,
)

ROOT = Path(__file__).parents[2]
NEOVIM = next(iter(editors.NEOVIMS.values()))

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.ebpf,
    pytest.mark.asyncio,
    pytest.mark.timeout(180),
]


@pytest.fixture
def world(monkeypatch):
    with temporary_folder() as folder:
        world = World(Path(folder), monkeypatch)
        try:
            yield world
        finally:
            world.end()


async def test_three_editors_outlive_their_agents_and_keep_what_they_were_shown(world):
    """Its agent is killed, and then the process that holds the probes of the next one, and one of
    the editors and a server go, too."""
    with Runaway(world.folder) as runaway:
        uri = runaway.source.as_uri()
        async with an_editor(world) as one, an_editor(world) as two:
            async with an_editor(world) as three:
                editors = (one, two, three)
                for editor in editors:
                    await editor.request("linnix/watch", {"pid": runaway.root.pid, "label": "t"})
                runaway.begin()
                for editor in editors:
                    told = await editor.told("linnix/didChangeFindings", lambda p: p["findings"])
                    assert [(f["id"], f["state"]) for f in told["findings"]] == [("f1", "raised")]
                [agent] = world.running("agent")
                assert world.note() > 5
                since = [len(editor.notified) for editor in editors]
                os.kill(agent, signal.SIGKILL)
                for editor, start in zip(editors, since, strict=True):
                    await editor.told(
                        "window/logMessage", lambda m: "watching processes again" in m["message"]
                    )
                    # Found again by the next agent, whose evidence is another.
                    await until(lambda e=editor, s=start: told_states(e, "f1", s))
                [agent] = world.running("agent")
                world.note()
                three.server.kill()
                since = [len(editor.notified) for editor in editors]
                os.kill(world.worker_of(agent), signal.SIGKILL)
                for editor, start in zip(editors[:2], since, strict=False):
                    await until(lambda e=editor, s=start: told_states(e, "f1", s))
            world.note()
            stop = {"finding_id": "f1", "confirmed": True}
            outcome = await two.request(
                "workspace/executeCommand",
                {"command": "linnix.stopProcess", "arguments": [stop]},
            )
            assert outcome == {"outcome": "stopped"}
            for editor in (one, two):
                await editor.told(
                    "linnix/didChangeFindings",
                    lambda p: [f["state"] for f in p["findings"]] == ["ended"],
                )
                # Shown from then on without a gap, once, and as the same.
                assert set(told_states(editor, "f1")[:-1]) == {"raised"}
                findings = [
                    finding
                    for method, params in editor.notified
                    if method == "linnix/didChangeFindings"
                    for finding in params["findings"]
                ]
                assert {f["id"] for f in findings} == {"f1"}
                assert len({f["flagged_at"] for f in findings}) == 1
                counts = [
                    len(params["diagnostics"])
                    for method, params in editor.notified
                    if method == "textDocument/publishDiagnostics" and params["uri"] == uri
                ]
                assert set(counts) == {1}
    await world.is_clean()


async def found(feed, kind=Kind.CPU_SPIN):
    """The first finding of that kind."""
    return await until(lambda: next((f for f in feed.snapshot().findings if f.kind is kind), None))


async def test_two_agents_see_the_same_and_the_readers_of_stacks_may_be_killed(world):
    """Each has its probes and its findings, and goes without a word from the other."""
    other = world.folder / "other.sock"
    with Runaway(world.folder) as runaway:
        async with an_agent(world.socket) as agent, an_agent(other):
            feeds = [await RemoteFeed.connect(path) for path in (world.socket, other)]
            for feed in feeds:
                await feed.watch(runaway.root.pid, "t", is_run=True)
            world.note()
            runaway.begin()
            n_killed = 0
            # Whoever looks at it is killed, until it has been looked at all the same.
            while not all(feed.snapshot().findings for feed in feeds):
                for reader in world.running("dump") if n_killed < 3 else ():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(reader, signal.SIGKILL)
                        n_killed += 1
                await asyncio.sleep(0.002 if n_killed < 3 else 0.05)
            places = [(await found(feed)).location for feed in feeds]
            assert {place.path for place in places} == {str(runaway.source)}
            agent.terminate()
            await agent.wait()
            assert (await feeds[1].status()).state is FeedState.WATCHING
            assert await feeds[1].stop_process((await found(feeds[1])).process.key) == "stopped"
            for feed in feeds:
                await feed.close()
    await world.is_clean()


@contextlib.asynccontextmanager
async def a_neovim(world, watched, own):
    """A real one, without a screen, to which a process is shown that others watch as well, and a
    runaway that it has started itself."""
    outcome = world.folder / "neovim.json"
    words = {
        "SERVER": json.dumps(LINNIX_LS),
        "SETTINGS": json.dumps({"tracer": "bcc", "agent_socket": str(world.socket)}),
        "WATCHED": str(watched.root.pid),
        "SPIN": f"exec nice -n 5 {sys.executable} {own}",
        "SOURCE_FILE": str(own),
        "OUTCOME": str(outcome),
        "HOME": str(world.folder),
    }
    neovim = await asyncio.create_subprocess_exec(
        *(NEOVIM, "--headless", "-n", "-u", "NONE", "-i", "NONE"),
        *("--cmd", f"set runtimepath^={ROOT}/editors/neovim"),
        *("-c", f"luafile {ROOT}/tests/e2e/neovim_killed.lua"),
        cwd=world.folder, env=os.environ | words,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await until(outcome.exists)
        assert await until(outcome.read_text) == '{"is_shown": true}\n'
        yield neovim
    finally:
        with contextlib.suppress(ProcessLookupError):
            neovim.kill()
        await neovim.wait()
        for its_own in world.temporary.glob("nvim*"):
            shutil.rmtree(its_own)


def n_clients(socket):
    """Of the agent that listens there, by the word of the kernel."""
    ends = Path("/proc/net/unix").read_text().splitlines()
    return sum(end.endswith(f" {socket}") for end in ends) - 1


async def test_a_neovim_that_is_killed_leaves_nothing_and_another_client_goes_on(world):
    """While a runaway of its own is shown in it, and one that another client watches as well."""
    own = world.folder / "own.py"
    own.write_text(Runaway.SOURCE)
    with Runaway(world.folder) as runaway:
        async with an_agent(world.socket) as agent, an_editor(world) as editor:
            await editor.request("linnix/watch", {"pid": runaway.root.pid, "label": "t"})
            runaway.begin()
            await editor.told("linnix/didChangeFindings", lambda p: p["findings"])
            before = set(world.processes())
            watched = world.watched_by(agent.pid)
            async with a_neovim(world, runaway, own) as neovim:
                [spin] = world.running(str(own))
                assert world.watched_by(agent.pid) >= {spin, *watched}
                assert n_clients(world.socket) == 2
                world.note()
                neovim.kill()
                await neovim.wait()
                # Its server ends; what it had started is its user's, and goes on unwatched.
                await until(lambda: set(world.processes()) <= before | {spin})
                await until(lambda: n_clients(world.socket) == 1)
                await until(lambda: world.watched_by(agent.pid) == watched)
                assert spin in world.processes()
                assert not [pid for pid in procfs.children_of(agent.pid) if has_ended(pid)]
                os.kill(spin, signal.SIGKILL)
            assert set(told_states(editor, "f1")) == {"raised"}
            await stop_what_was_found(editor)
    await world.is_clean()


async def stop_what_was_found(editor):
    """By the user's click, until the finding says that it has ended."""
    stop = {"finding_id": "f1", "confirmed": True}
    outcome = await editor.request(
        "workspace/executeCommand", {"command": "linnix.stopProcess", "arguments": [stop]}
    )
    assert outcome == {"outcome": "stopped"}
    await editor.told(
        "linnix/didChangeFindings", lambda p: [f["state"] for f in p["findings"]] == ["ended"]
    )


@contextlib.contextmanager
def a_group(controller, limit):
    """A control group with one limit. Whoever is left in it is killed."""
    base = Path("/sys/fs/cgroup")
    is_unified = (base / "cgroup.controllers").exists()
    group = (base if is_unified else base / controller) / f"linnix-faults-{os.getpid()}"
    group.mkdir()
    if is_unified:
        (base / "cgroup.subtree_control").write_text(f"+{controller}")
    names = {"memory": ("memory.max", "memory.limit_in_bytes"), "pids": ("pids.max",) * 2}
    file = group / names[controller][0 if is_unified else 1]
    try:
        yield group, lambda value=limit: file.write_text(str(value))
    finally:
        while pids := (group / "cgroup.procs").read_text().split():
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
        for _ in range(100):
            with contextlib.suppress(OSError):
                group.rmdir()
                break


def within(group):
    """The words that start a command in a group."""
    return ("sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "in")


BOMB = """\
import os
import signal

signal.signal(signal.SIGTERM, signal.SIG_IGN)
while True:
    try:
        os.fork()
    except OSError:
        pass
"""


async def test_a_fork_bomb_is_found_and_stopped_with_all_that_it_has_started(world):
    """At its limit of processes, none of which listens to SIGTERM."""
    (world.folder / "bomb.py").write_text(BOMB)
    async with an_agent(world.socket):
        feed = await RemoteFeed.connect(world.socket)
        with a_group("pids", 80) as (group, limit):
            limit()
            command = f"read go; nice -n 10 {sys.executable} -S bomb.py"
            root = subprocess.Popen(
                [*within(group), "sh", "-c", command], stdin=subprocess.PIPE, cwd=world.folder
            )
            try:
                await feed.watch(root.pid, "t", is_run=True, is_root_judged=True)
                world.note()
                root.stdin.write(b"go\n")
                root.stdin.close()
                finding = await found(feed, Kind.FORK_STORM)
                assert finding.location.path == str(world.folder / "bomb.py")
                assert await feed.stop_process(to_be_stopped(finding).key, tree=True) == "stopped"
                await asyncio.to_thread(root.wait)
                assert (group / "cgroup.procs").read_text() == ""
                await until(lambda: not feed_is_raised(feed))
                assert (await feed.status()).n_lost == 0
            finally:
                with contextlib.suppress(ProcessLookupError):
                    root.kill()
        await feed.close()
    await world.is_clean()


def feed_is_raised(feed):
    return [finding for finding in feed.snapshot().findings if finding.state is State.RAISED]


async def test_without_descriptors_nothing_is_made_up_and_with_them_all_goes_on(world):
    """An agent that has none left."""
    with Runaway(world.folder) as runaway:
        async with an_agent(world.socket) as agent, an_editor(world) as editor:
            watched = {"pid": runaway.root.pid, "label": "t"}
            await editor.request("linnix/watch", watched)
            await editor.request("linnix/processTree")
            world.note()
            with no_more_descriptors(agent.pid):
                runaway.begin()
                with pytest.raises(AgentError, match="does not answer"):
                    await RemoteFeed.connect(world.socket, hello_timeout_s=1)
                reply = await editor.reply_to("linnix/watch", {"pid": os.getpid(), "label": "x"})
                assert "cannot be looked at now" in reply["error"]["message"]
                tree = await editor.request("linnix/processTree")
                assert [p["pid"] for p in tree["processes"] if not p["has_ended"]]
            await editor.told("linnix/didChangeFindings", lambda p: p["findings"])
            late = await RemoteFeed.connect(world.socket)
            await late.close()
    await world.is_clean()


async def test_a_server_without_descriptors_says_so_once_and_works_again_with_them(world):
    """It shows what it is told of meanwhile, and refuses what it cannot do. Its agent goes, too."""
    probe = (world.folder / "count.bpf.c").as_uri()
    lenses = {"textDocument": {"uri": probe}}
    async with an_agent(world.socket) as agent, an_editor(world) as editor:
        with Runaway(world.folder) as runaway:
            uri = runaway.source.as_uri()
            await editor.request("linnix/watch", {"pid": runaway.root.pid, "label": "t"})
            world.note()
            with no_more_descriptors(editor.server.pid):
                runaway.begin()
                told = await editor.told("linnix/didChangeFindings", lambda p: p["findings"])
                where = {"textDocument": {"uri": uri}, "position": {"line": 2, "character": 0}}
                assert "spin.py:3" in str(await editor.request("textDocument/hover", where))
                stop = f"Stop process {told['findings'][0]['process']['pid']} (python)"
                assert stop in await titles_of_actions(editor, uri)
                editor.open(probe, "int n;\n")
                assert await editor.request("textDocument/codeLens", lenses) == []
                for _ in range(2):
                    reply = await editor.reply_to("linnix/lessons")
                    assert "no file descriptor is left" in reply["error"]["message"]
                agent.kill()
                await editor.told("linnix/didChangeStatus", lambda s: s["state"] == "off")
            for again in ("there are file descriptors again", "watching processes again"):
                await editor.told("window/logMessage", lambda m, a=again: a in m["message"])
            # What could not be loaded is now, and the line, that could not be read, is underlined.
            assert await editor.request("textDocument/codeLens", lenses)
            await until(lambda: editor.diagnostics(uri)[0]["range"]["end"]["line"] == 2)
            assert "Show the command that runs it again" in await titles_of_actions(editor, uri)
        said = [m["message"] for method, m in editor.notified if method == "window/logMessage"]
        assert len([each for each in said if "no file descriptor is left" in each]) == 1
    await world.is_clean()


async def titles_of_actions(editor, uri):
    return [each["title"] for each in await actions_on(editor, uri)]


async def actions_on(editor, uri):
    where = editor.diagnostics(uri)[0]["range"]
    asked = {"textDocument": {"uri": uri}, "range": where, "context": {"diagnostics": []}}
    return await editor.request("textDocument/codeAction", asked)


async def test_what_is_suspended_goes_on_afterwards_and_keeps_no_editor_waiting(world):
    with Runaway(world.folder) as runaway:
        async with an_agent(world.socket) as agent, an_editor(world) as editor:
            await editor.request("linnix/watch", {"pid": runaway.root.pid, "label": "t"})
            world.note()
            position = {"line": 2, "character": 0}
            where = {"textDocument": {"uri": runaway.source.as_uri()}, "position": position}
            pids = (agent.pid, world.worker_of(agent.pid), editor.server.pid)
            for pid in pids[:2]:
                os.kill(pid, signal.SIGSTOP)
            runaway.begin()
            for _ in range(10):
                assert await editor.request("textDocument/hover", where) is None
                await asyncio.sleep(0.1)
            for pid in pids[:2]:
                os.kill(pid, signal.SIGCONT)
            os.kill(pids[2], signal.SIGSTOP)
            await asyncio.sleep(1)
            os.kill(pids[2], signal.SIGCONT)
            told = await editor.told("linnix/didChangeFindings", lambda p: p["findings"])
            assert told["findings"][0]["location"]["path"] == str(runaway.source)
            assert (await editor.request("linnix/status"))["state"] == "watching"
    await world.is_clean()


async def test_an_agent_that_the_kernel_ends_for_lack_of_memory_is_followed_by_another(world):
    with a_group("memory", 400 << 20) as (group, limit):
        limit()
        async with an_editor(world) as editor:
            [agent] = world.running("agent")
            world.note()
            (group / "cgroup.procs").write_text(str(agent))
            Path(f"/proc/{agent}/oom_score_adj").write_text("1000")
            hog = subprocess.Popen(
                [*within(group), sys.executable, "-c", "x = b'x' * (420 << 20); input()"],
                stdin=subprocess.PIPE,
            )
            await editor.told("window/logMessage", lambda m: "agent has gone" in m["message"])
            await editor.told(
                "window/logMessage", lambda m: "watching processes again" in m["message"]
            )
            hog.communicate()
            assert world.running("agent") != [agent]
            assert (await editor.request("linnix/status"))["state"] == "watching"
    await world.is_clean()


async def test_an_agent_whose_package_is_upgraded_beneath_it_serves_on_and_clients_say_so(
    world, monkeypatch
):
    package = world.folder / "package"
    for name in ("linnix_ls", "bpf"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, package / name, ignore=ignored)
    with Runaway(world.folder) as runaway:
        environment = os.environ | {"PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1"}
        async with an_agent(world.socket, env=environment, cwd=package) as agent:
            # Nobody has connected yet: what it says of itself is of what runs.
            with (package / "linnix_ls" / "core" / "engine.py").open("a") as source:
                source.write("\n# another build\n")
            asked = "import linnix_ls.revision as r; print(r.revision())"
            newer = await asyncio.to_thread(
                subprocess.check_output, [sys.executable, "-c", asked], env=environment, cwd=package
            )
            monkeypatch.setattr("linnix_ls.feed.remote.revision", newer.decode().strip)
            feed = await RemoteFeed.connect(world.socket)
            status = feed.snapshot().status
            assert f"restart it: sudo kill {agent.pid}" in status.hint
            assert status.state is FeedState.WATCHING
            await feed.watch(runaway.root.pid, "t", is_run=True)
            world.note()
            runaway.begin()
            assert (await found(feed)).location.path == str(runaway.source)
            await feed.close()
    await world.is_clean()


# Starts an agent where there is no room for what it needs, and, once there is, another one.
FULL = """
mount -t tmpfs -o size=200k full /var/cache/linnix-ls
"$@" --ready-fd 5 5>&1
ls -A /var/cache/linnix-ls
echo now there is room
mount -o remount,size=100m /var/cache/linnix-ls
exec "$@" --ready-fd 5 5>&1
"""


async def test_a_full_disk_is_told_and_leaves_nothing_that_harms_once_there_is_room(world):
    """The cache of an agent; and of a run, all that it writes, while its command is unharmed."""
    agent = (*LINNIX_LS, "agent", "--socket", str(world.socket))
    process = await asyncio.create_subprocess_exec(
        "unshare", "--mount", "sh", "-c", FULL, "full", *agent,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert b"No space left on device" in await process.stdout.readline()
    assert await process.stdout.readline() == b"now there is room\n"
    assert await process.stdout.readline() == b'{"is_ready": true}\n'
    process.terminate()
    await process.wait()
    await world.is_clean()
    for option in ("--json", "--sarif", "--record"):
        run = (*LINNIX_LS, "run", "--tracer", "psutil", option, "/dev/full")
        done = await asyncio.create_subprocess_exec(
            *run, "--", "sh", "-c", "echo out; exit 7",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        out, said = await asyncio.wait_for(done.communicate(), 60)
        assert (done.returncode, out) == (7, b"out\n"), option
        assert b"No space left on device" in said, option
        assert b"Traceback" not in said, option
    await world.is_clean()


# Takes its time where it runs first. In a copy it leaves no room on the disk of that.
WAITING = """\
import os, subprocess, sys

items = []
if "/trials/" in os.getcwd():
    disk = os.statvfs(".")
    taken = (disk.f_blocks - disk.f_bfree) * disk.f_frsize
    subprocess.run(["mount", "-o", f"remount,size={taken}", sys.argv[1]], check=True)
    items.append(1)
while not items:
    pass
"""


async def test_a_fix_on_a_full_disk_is_not_tried_which_is_said_and_nothing_is_left_of_it(
    world, monkeypatch
):
    """The disk of the copy and of the temporary files of what runs in it fills up meanwhile."""
    monkeypatch.setattr("tests.lsp.client.PATIENCE_S", PATIENCE_S)  # a trial is no quick answer
    source = world.folder / "wait.py"
    source.write_text(WAITING)
    cache = "/var/cache/linnix-ls"
    small = (
        "unshare",
        "--mount",
        "sh",
        "-c",
        f'mount -t tmpfs -o size=1g copies {cache} && exec "$@"',
        "in",
    )
    command = [sys.executable, source.name, cache]
    root = subprocess.Popen(["nice", "-n", "5", *command], cwd=world.folder)
    try:
        async with an_editor(world, tracer="psutil", prefix=small) as editor:
            await editor.request("linnix/watch", {"pid": root.pid, "label": "t"})
            await editor.told("linnix/didChangeFindings", lambda p: p["findings"])
            await until(lambda: editor.diagnostics(source.as_uri()))
            [trial] = [
                each["command"]
                for each in await actions_on(editor, source.as_uri())
                if each["title"].startswith("Try this fix")
            ][:1]
            outcome = await editor.request(
                "workspace/executeCommand",
                {"command": trial["command"], "arguments": trial["arguments"]},
            )
            assert outcome == {
                "outcome": "not_tried",
                "message": "This fix was not tried: there is no room left on the disk of "
                f"{cache}/trials.",
            }
            assert outcome["message"] in str(await editor.told("window/showMessage"))
            left = os.listdir(f"/proc/{editor.server.pid}/root/{cache}/trials")
            assert left == ["lock"]
            assert world.running(*command) == [root.pid]
            assert source.read_text() == WAITING
    finally:
        root.kill()
        root.wait()
    await world.is_clean()


# Shifts the wall clock by what a file says, for all that has it loaded.
CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
static volatile long *shift;
__attribute__((constructor)) static void open_shift(void)
{
    int fd = open(getenv("CLOCK_SHIFT"), O_RDONLY);
    shift = mmap(0, sizeof(long), PROT_READ, MAP_SHARED, fd, 0);
}
int clock_gettime(clockid_t clock, struct timespec *now)
{
    static int (*real)(clockid_t, struct timespec *);
    if (!real)
        real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, now);
    if (clock == CLOCK_REALTIME && shift && shift != MAP_FAILED)
        now->tv_sec += *shift;
    return result;
}
"""


async def test_a_clock_that_jumps_changes_nothing_that_is_found_or_told_to_go_on(
    world, monkeypatch
):
    """Ten years ahead while it watches, and twenty back."""
    source, library = world.folder / "clock.c", world.folder / "clock.so"
    source.write_text(CLOCK)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    shift = world.folder / "shift"
    year_s = 365 * 86400

    def jump(years):
        with shift.open("r+b") as file:
            file.write((years * year_s).to_bytes(8, sys.byteorder, signed=True))

    shift.write_bytes(bytes(8))
    with Runaway(world.folder) as runaway:
        monkeypatch.setenv("CLOCK_SHIFT", str(shift))
        monkeypatch.setenv("LD_PRELOAD", str(library))
        async with an_editor(world) as editor:
            monkeypatch.delenv("LD_PRELOAD")
            await editor.request("linnix/watch", {"pid": runaway.root.pid, "label": "t"})
            world.note()
            jump(10)
            runaway.begin()
            told = await editor.told("linnix/didChangeFindings", lambda p: p["findings"])
            assert told["findings"][0]["flagged_at"] > "2035"
            jump(-10)
            tree = await editor.request("linnix/processTree")
            assert any(not process["has_ended"] for process in tree["processes"])
            await stop_what_was_found(editor)
            assert (await editor.request("linnix/status"))["state"] == "watching"
    await world.is_clean()
