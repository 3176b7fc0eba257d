"""The agent with its probes, as a process: who starts it, who it serves, and how it ends.

Each test has an agent of its own, or shares one, at a socket of its own: whatever other agents
run on this machine have nothing to do with it.
"""

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from linnix_ls import procfs
from linnix_ls.app import open_feed
from linnix_ls.config import Settings
from linnix_ls.core.findings import Kind
from linnix_ls.errors import AgentError
from linnix_ls.feed.base import FeedState
from linnix_ls.feed.remote import RemoteFeed
from linnix_ls.tracer.kernel_headers import find_bpftool
from tests.feed.scenes import run_as_nobody, sleeping, until

pytestmark = [pytest.mark.e2e, pytest.mark.ebpf, pytest.mark.asyncio]

AGENT = (sys.executable, "-m", "linnix_ls.cli.main", "agent")
ENDED_WITHIN_S = 10  # promised is one second; a loaded machine may take longer


@contextlib.asynccontextmanager
async def agent_at(path, *options):
    """A running agent that nobody has started for themselves: a service, so to speak."""
    read_fd, write_fd = os.pipe()
    process = await asyncio.create_subprocess_exec(
        *AGENT, "--socket", path, "--ready-fd", str(write_fd), *options,
        pass_fds=[write_fd], stderr=subprocess.PIPE,
    )  # fmt: skip
    os.close(write_fd)
    assert json.loads(await asyncio.to_thread(os.read, read_fd, 1000)) == {"is_ready": True}
    os.close(read_fd)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        assert await asyncio.wait_for(process.communicate(), ENDED_WITHIN_S)


@pytest.fixture
def path():
    with tempfile.TemporaryDirectory(prefix="linnix-ls-") as folder:
        os.chmod(folder, 0o755)  # pytest's own folders are closed to other users
        yield Path(folder, "agent.sock")


@pytest.fixture(scope="module")
def shared_path():
    """Of an agent that serves all tests which leave it as it is."""
    with tempfile.TemporaryDirectory(prefix="linnix-ls-") as folder:
        os.chmod(folder, 0o755)
        path = Path(folder, "agent.sock")
        read_fd, write_fd = os.pipe()
        with subprocess.Popen(
            [*AGENT, "--socket", path, "--ready-fd", str(write_fd)], pass_fds=[write_fd]
        ) as process:
            os.close(write_fd)
            with open(read_fd) as ready:
                assert json.loads(ready.readline()) == {"is_ready": True}
            yield path
            process.terminate()


@pytest.fixture
def settings(path):
    return Settings(tracer="bcc", agent_socket=str(path))


async def finished(*command):
    """A command that has come to its end."""
    return await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, timeout=60, check=False
    )


def worker_of(agent_pid):
    [worker] = [
        pid for pid in procfs.children_of(agent_pid)
        if "linnix_ls.tracer.bcc_worker" in procfs.read_argv(pid)
    ]  # fmt: skip
    return worker


def attached_by(pid):
    """Ids of the programs that a process holds, as the kernel numbers them."""
    ids = set()
    for fd in os.listdir(f"/proc/{pid}/fdinfo"):
        with contextlib.suppress(OSError):
            info = Path(f"/proc/{pid}/fdinfo/{fd}").read_text()
            ids |= {int(number) for number in re.findall(r"^prog_id:\s*(\d+)", info, re.MULTILINE)}
    return ids


def loaded():
    shown = subprocess.run([find_bpftool(), "-j", "prog", "show"], capture_output=True, check=True)
    return {program["id"] for program in json.loads(shown.stdout)}


def has_ended(pid):
    stat = procfs.read_stat(pid)
    return stat is None or stat.has_ended


async def end_of(agent_pid):
    """Wait for it, and for asyncio to have heard of it, whose child it is."""
    await until(lambda: procfs.read_stat(agent_pid) is None)
    await asyncio.sleep(0.05)


class TestBeginning:
    async def test_two_that_need_one_at_once_share_one(self, settings, path):
        feeds = await asyncio.gather(*[open_feed(settings) for _ in range(3)])
        assert len({feed.agent_pid for feed in feeds}) == 1
        assert {(await feed.status()).tracer for feed in feeds} == {"bcc"}
        for feed in feeds:
            await feed.close()
        await end_of(feeds[0].agent_pid)
        assert not path.exists()

    async def test_whoever_comes_while_one_leaves_gets_another(self, settings, path):
        """The lock is held, nobody listens: what an agent looks like in its last moment."""
        leaving = await asyncio.create_subprocess_exec(
            "flock", path.with_suffix(".lock"), "sleep", "1.5"
        )
        await until(path.with_suffix(".lock").exists)
        feed = await open_feed(settings)
        assert (await feed.status()).tracer == "bcc"
        await feed.close()
        await leaving.wait()
        await end_of(feed.agent_pid)

    async def test_a_stale_socket_is_no_obstacle(self, settings, path):
        subprocess.run(
            [sys.executable, "-c",
             "import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])", path],
            check=True,
        )  # fmt: skip
        assert path.is_socket()
        feed = await open_feed(settings)
        assert (await feed.status()).tracer == "bcc"
        await feed.close()
        await end_of(feed.agent_pid)

    async def test_a_second_one_by_hand_says_that_there_is_one(self, path):
        other = await asyncio.create_subprocess_exec(
            "flock", path.with_suffix(".lock"), "sh", "-c", "echo held; read x",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        await other.stdout.readline()
        second = await finished(*AGENT, "--socket", path)
        assert second.returncode == 1
        assert f"another agent already serves {path}" in second.stderr
        await other.communicate(b"x\n")

    async def test_one_without_permission_says_what_is_missing(self, path):
        outcome = await finished(
            "setpriv", "--bounding-set=-bpf,-sys_admin", *AGENT, "--socket", path
        )
        assert outcome.returncode == 1
        assert "CAP_BPF" in outcome.stderr
        assert "Traceback" not in outcome.stderr
        assert not path.exists()


class TestEnding:
    async def test_with_its_last_client_nothing_stays_attached(self, settings, path):
        feed = await open_feed(settings)
        worker = worker_of(feed.agent_pid)
        programs = attached_by(worker)
        assert len(programs) >= 4  # fork, exec, exit, and the sampler
        assert programs <= loaded()
        await feed.close()
        await end_of(feed.agent_pid)
        await until(lambda: has_ended(worker))
        await until(lambda: not programs & loaded())

    async def test_soon_after_its_only_client_is_killed(self, path):
        client = await asyncio.create_subprocess_exec(
            sys.executable, "-c",
            "import asyncio, sys\n"
            "from linnix_ls.app import open_feed\n"
            "from linnix_ls.config import Settings\n"
            "async def main():\n"
            "    feed = await open_feed(Settings(tracer='bcc', agent_socket=sys.argv[1]))\n"
            "    print(feed.agent_pid, flush=True)\n"
            "    await asyncio.sleep(1000)\n"
            "asyncio.run(main())",
            path, stdout=subprocess.PIPE,
        )  # fmt: skip
        agent = int(await client.stdout.readline())
        worker = worker_of(agent)
        client.kill()
        await client.wait()
        before = time.monotonic()
        await until(lambda: has_ended(agent) and has_ended(worker))
        assert time.monotonic() - before < ENDED_WITHIN_S
        assert not path.exists()

    async def test_by_kill_nine_takes_its_worker_along_and_is_told(self, settings, path):
        feed = await open_feed(settings)
        worker = worker_of(feed.agent_pid)
        programs = attached_by(worker)
        told = []
        feed.subscribe(lambda change: told.append(change.change.status))
        with sleeping("sh", "-c", "while :; do sleep 0.01; done") as busy:
            await feed.watch(busy.pid, "busy")
            os.kill(feed.agent_pid, signal.SIGKILL)
            await until(lambda: told)
        await end_of(feed.agent_pid)
        assert [(status.state, status.degraded) for status in told] == [
            (FeedState.OFF, "the agent has gone")
        ]
        await until(lambda: has_ended(worker))
        await until(lambda: not programs & loaded())
        with pytest.raises(AgentError, match="the agent has gone"):
            await feed.process_tree()
        await feed.close()
        # Its socket is still there; the next one takes the place.
        assert path.is_socket()
        again = await open_feed(settings)
        assert (await again.status()).state is FeedState.WATCHING
        await again.close()
        await end_of(again.agent_pid)

    async def test_of_its_worker_is_its_end_and_the_reason_is_told(self, path):
        async with agent_at(path) as agent:
            feed = await RemoteFeed.connect(path)
            told = []
            feed.subscribe(lambda change: told.append(change.change.status))
            os.kill(worker_of(agent.pid), signal.SIGKILL)
            _, stderr = await asyncio.wait_for(agent.communicate(), ENDED_WITHIN_S)
            reason = "the process that loads the probes ended (signal 9)"
            assert [status.state for status in told] == [FeedState.OFF]
            assert told[0].degraded == reason
            assert reason in stderr.decode()
            assert agent.returncode == 1  # a service manager starts it again
            await feed.close()
        assert not path.exists()

    async def test_by_a_signal_is_no_failure(self, path):
        async with agent_at(path) as agent:
            worker = worker_of(agent.pid)
            agent.terminate()
            _, stderr = await agent.communicate()
            assert (agent.returncode, stderr) == (0, b"")
        assert has_ended(worker)
        assert not path.exists()

    async def test_does_not_come_while_the_service_is_idle(self, path):
        async with agent_at(path) as agent:
            feed = await RemoteFeed.connect(path)
            await feed.close()
            again = await RemoteFeed.connect(path)
            await again.status()
            await again.close()
            assert agent.returncode is None


# Opens the socket and becomes the agent, as systemd does when the first client comes.
ACTIVATE = """
import os, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o666)
listener.listen()
print("open", flush=True)
if listener.fileno() != 3:
    os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.executable, [sys.executable, "-m", "linnix_ls.cli.main", "agent", *sys.argv[2:]])
"""


@contextlib.asynccontextmanager
async def activated(path, *options, prefix=()):
    process = await asyncio.create_subprocess_exec(
        *prefix, sys.executable, "-c", ACTIVATE, path, *options,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    await process.stdout.readline()
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        assert await asyncio.wait_for(process.communicate(), ENDED_WITHIN_S)


class TestBehindASocketOfSystemds:
    async def test_the_first_client_waits_for_it_and_when_idle_it_ends_and_the_socket_stays(
        self, path
    ):
        async with activated(path, "--exit-when-idle", "0.2") as agent:
            feed = await RemoteFeed.connect(path)
            assert (await feed.status()).tracer == "bcc"
            assert feed.agent_pid == agent.pid
            await asyncio.sleep(0.5)
            assert agent.returncode is None  # it is not idle
            await feed.close()
            _, stderr = await asyncio.wait_for(agent.communicate(), ENDED_WITHIN_S)
            assert (agent.returncode, stderr) == (0, b"")
        assert path.is_socket()

    async def test_an_ordinary_user_trusts_it_because_root_has_opened_it(self, path):
        script = """
async def main():
    feed = await RemoteFeed.connect(Path(sys.argv[1]))
    print(json.dumps((await feed.status()).tracer))
    await feed.close()

asyncio.run(main())
"""
        async with activated(path):
            assert json.loads(await run_as_nobody(script, path)) == "bcc"

    async def test_where_no_probe_can_be_loaded_clients_hear_why(self, path):
        less = ("setpriv", "--bounding-set=-bpf,-sys_admin")
        async with activated(path, prefix=less) as agent:
            with pytest.raises(AgentError, match="no permission to load eBPF programs"):
                await RemoteFeed.connect(path)
            await asyncio.wait_for(agent.wait(), ENDED_WITHIN_S)
            assert agent.returncode == 1

    async def test_one_by_hand_leaves_that_place_alone(self, path):
        async with activated(path):
            second = await finished(*AGENT, "--socket", path)
            assert second.returncode == 1
            assert f"another agent already serves {path}" in second.stderr
            feed = await RemoteFeed.connect(path)
            assert (await feed.status()).tracer == "bcc"
            await feed.close()


class TestServing:
    """What one agent does for several at once; the tests here share one."""

    async def test_each_client_hears_of_its_own_tree(self, shared_path):
        feeds = [await RemoteFeed.connect(shared_path) for _ in range(3)]
        shells = [sleeping("sh", "-c", f"sleep {n}.5 & wait; sleep 60") for n in (1000, 2000, 3000)]
        with shells[0] as one, shells[1] as two, shells[2] as three:
            for feed, shell in zip(feeds, (one, two, three), strict=True):
                await feed.watch(shell.pid, "shell")
            await feeds[2].watch(one.pid, "the first one's, too")
            trees = [await feed.process_tree() for feed in feeds]
            # A shell that has just begun has started nothing yet.
            while sum(view.comm == "sleep" for tree in trees for view in tree) < 4:
                await asyncio.sleep(0.05)
                trees = [await feed.process_tree() for feed in feeds]
            for view in [view for tree in trees for view in tree]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(view.key.pid, signal.SIGKILL)
        heard = [{view.argv[1] for view in tree if view.comm == "sleep"} for tree in trees]
        assert heard == [{"1000.5"}, {"2000.5"}, {"1000.5", "3000.5"}]
        for feed in feeds:
            await feed.close()

    async def test_nobody_sees_and_stops_what_is_nobodys(self, shared_path):
        script = """
async def main():
    feed = await RemoteFeed.connect(Path(sys.argv[1]))
    roots_pid = int(sys.argv[2])
    own = subprocess.Popen(["sh", "-c", "read go; sleep 1000 & wait"], stdin=subprocess.PIPE)
    await feed.watch(own.pid, "own")
    own.stdin.write(b"go\\n")
    own.stdin.flush()
    while not (below := [v.key for v in await feed.process_tree() if v.key.pid != own.pid]):
        await asyncio.sleep(0.01)
    print(json.dumps({
        "watch": await refusal(feed.watch(roots_pid, "x")),
        "stop": await refusal(feed.stop_process(procfs.read_stat(roots_pid).key)),
        "stop own": await feed.stop_process(below[0]),
    }))
    own.kill()
    own.wait()
    await feed.close()

asyncio.run(main())
"""
        with sleeping() as roots:
            outcome = json.loads(await run_as_nobody(script, shared_path, roots.pid))
            assert roots.poll() is None
        assert outcome == {
            "watch": f"process {roots.pid} belongs to another user",
            "stop": f"process {roots.pid} is not in a watched tree",
            "stop own": "stopped",
        }

    async def test_a_child_that_takes_roots_rights_is_out_of_its_users_reach(self, shared_path):
        """A set-user-id program, theirs when it starts, and root's for good soon after."""
        source, program = shared_path.with_name("become.c"), shared_path.with_name("become")
        source.write_text(
            "#include <unistd.h>\n"
            'int main(void) { setresuid(0, 0, 0); write(1, "x", 1); for (;;) pause(); }'
        )
        subprocess.run(["cc", "-w", "-o", program, source], check=True)
        program.chmod(0o4755)
        script = """
async def main():
    feed = await RemoteFeed.connect(Path(sys.argv[1]))
    await feed.watch(os.getpid(), "own")
    child = subprocess.Popen([sys.argv[2]], stdout=subprocess.PIPE)
    child.stdout.read(1)
    key = procfs.read_stat(child.pid).key
    while key not in [view.key for view in await feed.process_tree()]:
        await asyncio.sleep(0.01)
    print(json.dumps([child.pid, await refusal(feed.stop_process(key)), child.poll()]))
    sys.stdout.flush()
    os._exit(0)

asyncio.run(main())
"""
        pid, message, status = json.loads(await run_as_nobody(script, shared_path, program))
        assert status is None
        assert message == f"process {pid} runs with another user's rights"
        assert not has_ended(pid)
        os.kill(pid, signal.SIGKILL)

    async def test_a_tree_that_goes_on_forking_is_stopped(self, shared_path):
        """None of its processes lives long, and none listens to SIGTERM."""
        feed = await RemoteFeed.connect(shared_path)
        script = (
            "import os, signal, time\n"
            "if os.fork(): time.sleep(60); os._exit(0)\n"
            "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
            "while True:\n"
            "    if os.fork(): time.sleep(0.4); os._exit(0)\n"
            "    time.sleep(0.05)"
        )
        with subprocess.Popen([sys.executable, "-Sc", script], start_new_session=True) as root:
            try:
                await feed.watch(root.pid, "forks")
                below = []
                while len(below) < 5:
                    await asyncio.sleep(0.05)
                    below = [v for v in await feed.process_tree() if v.key.pid != root.pid]
                await feed.stop_process(below[0].key, tree=True)
                await asyncio.sleep(0.3)
                alive = [
                    int(pid) for pid in os.listdir("/proc")
                    if pid.isdigit() and not has_ended(int(pid))
                    and os.getpgid(int(pid)) == root.pid
                ]  # fmt: skip
                assert alive == [root.pid]
            finally:
                os.killpg(root.pid, signal.SIGKILL)
        await feed.close()

    async def test_a_spin_is_found_while_others_come_and_go(self, shared_path, tmp_path):
        feed = await RemoteFeed.connect(shared_path)
        (tmp_path / "spin.py").write_text("import time\n\nwhile True:\n    pass\n")
        found = []
        feed.subscribe(lambda change: found.append(getattr(change.change, "finding", None)))
        with sleeping("sh", "-c", f"read x; {sys.executable} spin.py", cwd=tmp_path,
                      stdin=subprocess.PIPE, start_new_session=True) as run:  # fmt: skip
            await feed.watch(run.pid, "run", is_run=True, is_root_judged=True)
            run.stdin.write(b"go\n")
            run.stdin.flush()
            try:
                async with asyncio.timeout(30):
                    while not any(found):
                        other = await RemoteFeed.connect(shared_path)
                        await other.watch(os.getpid(), "other")
                        await asyncio.sleep(0.05)
                        await other.close()
            finally:
                os.killpg(run.pid, signal.SIGKILL)
            run.stdin.close()
        finding = next(filter(None, found))
        assert finding.kind is Kind.CPU_SPIN
        assert (finding.location.path, finding.location.line) in (
            (str(tmp_path / "spin.py"), 3), (str(tmp_path / "spin.py"), 4)
        )  # fmt: skip
        await feed.close()
