"""Which feed there is, from the best to the last resort, and what is said about it."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from linnix_ls.app import open_feed
from linnix_ls.config import Settings
from linnix_ls.core.findings import Kind
from linnix_ls.core.policy import Policy
from linnix_ls.feed.local import LocalFeed
from linnix_ls.feed.remote import RemoteFeed
from tests.feed.scenes import Serving, nobody_command, run_as_nobody, sleeping, until
from tests.tracer.environment import fake_bcc, with_mounts

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio]

# Says which feed there is for the settings given as JSON, or why there is none.
OPEN = """
import asyncio, json, sys
from linnix_ls import app
from linnix_ls.config import Settings
from linnix_ls.errors import TracerUnavailable

async def main():
    said = []
    try:
        feed = await app.open_feed(Settings(**json.loads(sys.argv[1])), on_progress=said.append)
    except TracerUnavailable as error:
        print(json.dumps({"refused": error.message, "fix": error.fix, "cause": error.cause}))
        return
    status = await feed.status()
    print(json.dumps({"tracer": status.tracer, "degraded": status.degraded, "fix": status.fix,
                      "said": said, "place": getattr(feed, "_writer", None)
                      and feed._writer.get_extra_info("peername")}))
    await feed.close()

asyncio.run(main())
"""


async def opened(*prefix, path=None, tracer="auto", **environment):
    settings = json.dumps({"agent_socket": str(path) if path else None, "tracer": tracer})
    done = await asyncio.to_thread(
        subprocess.run,
        [*prefix, sys.executable, "-c", OPEN, settings],
        env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=90,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


async def opened_by_nobody(path, tracer="auto"):
    settings = json.dumps({"agent_socket": str(path), "tracer": tracer})
    return json.loads(await run_as_nobody(OPEN, settings))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "agent.sock"


@pytest.fixture
def open_folder():
    """Where other users may come, too."""
    with tempfile.TemporaryDirectory(prefix="linnix-ls-") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


class TestWhatTheSettingsForbid:
    @pytest.mark.parametrize("is_allowed", [True, False])
    async def test_is_forbidden_to_an_agent(self, path, is_allowed):
        async with Serving(path) as serving:
            settings = Settings(agent_socket=str(path), attach_to_jvm=is_allowed)
            feed = await open_feed(settings)
            [theirs] = serving.hub._feeds
            assert theirs.may_attach_to_jvm is is_allowed
            await feed.close()

    async def test_is_forbidden_to_a_feed_of_our_own(self):
        feed = await open_feed(Settings(tracer="psutil", attach_to_jvm=False))
        assert not feed.may_attach_to_jvm
        await feed.close()


class TestThresholds:
    @pytest.mark.parametrize("policy", [Policy(), Policy(calm_s=9)])
    async def test_are_those_of_an_agent_for_this_client(self, path, policy):
        async with Serving(path) as serving:
            feed = await open_feed(Settings(agent_socket=str(path), thresholds=policy))
            [theirs] = serving.hub._feeds
            assert theirs.engine.policy == policy
            await feed.close()

    async def test_are_those_of_a_feed_of_our_own(self):
        feed = await open_feed(Settings(tracer="psutil", thresholds={"calm_s": 9}))
        assert feed.engine.policy == Policy(calm_s=9)
        await feed.close()


class TestTheLadder:
    async def test_psutil_when_it_is_asked_for(self, path):
        feed = await open_feed(Settings(tracer="psutil", agent_socket=str(path)))
        assert isinstance(feed, LocalFeed)
        assert feed.snapshot().status.tracer == "psutil"
        assert "without eBPF" in feed.snapshot().status.degraded
        await feed.close()
        assert not path.exists()

    async def test_an_agent_that_runs_is_used(self, path):
        async with Serving(path) as agent:
            feed = await open_feed(Settings(agent_socket=str(path)))
            assert isinstance(feed, RemoteFeed)
            assert feed.agent_pid == os.getpid()
            await feed.close()
            await until(lambda: agent.n_idle == 1)

    @pytest.mark.ebpf
    async def test_else_one_is_started_by_whoever_may(self, path):
        outcome = await opened(path=path, tracer="bcc")
        assert outcome == {
            "tracer": "bcc", "degraded": None, "fix": None,
            "said": ["loading eBPF probes"], "place": str(path),
        }  # fmt: skip

    @pytest.mark.ebpf
    async def test_elsewhere_when_its_usual_place_cannot_be_used(self):
        """In a mount namespace: the place is the machine's."""
        prefix = with_mounts(
            "mount -t tmpfs none /run", "mkdir /run/linnix-ls", "chown 65534 /run/linnix-ls"
        )
        outcome = await opened(*prefix, tracer="bcc")
        assert outcome["tracer"] == "bcc"
        assert not outcome["place"].startswith("/run")
        await until(lambda: not Path(outcome["place"]).parent.exists())

    @pytest.mark.ebpf
    async def test_else_psutil_with_the_reason(self, path, tmp_path):
        bcc = fake_bcc(tmp_path, "import os; os.write(2, b'LLVM ERROR: no\\n'); os.abort()")
        outcome = await opened(path=path, PYTHONPATH=str(bcc))
        assert outcome["tracer"] == "psutil"
        assert "without eBPF" in outcome["degraded"]
        assert "LLVM ERROR: no" in outcome["degraded"]

    @pytest.mark.ebpf
    async def test_or_nothing_when_ebpf_is_asked_for(self, path, tmp_path):
        bcc = fake_bcc(tmp_path, "import os; os.write(2, b'LLVM ERROR: no\\n'); os.abort()")
        outcome = await opened(path=path, tracer="bcc", PYTHONPATH=str(bcc))
        assert outcome["cause"] == "worker_died"
        assert "LLVM ERROR: no" in outcome["refused"]


@pytest.mark.ebpf  # needs root, to be somebody else
class TestForAnOrdinaryUser:
    async def test_psutil_with_the_reason_and_the_way_out(self, open_folder):
        outcome = await opened_by_nobody(open_folder / "agent.sock")
        assert outcome["tracer"] == "psutil"
        assert "no agent is running" in outcome["degraded"]
        assert "CAP_BPF and CAP_PERFMON" in outcome["degraded"]
        assert "linnix-ls agent" in outcome["fix"]

    async def test_a_clear_no_when_ebpf_is_asked_for(self, open_folder):
        outcome = await opened_by_nobody(open_folder / "agent.sock", "bcc")
        assert outcome["cause"] == "no_permission"
        assert "linnix-ls agent" in outcome["fix"]

    async def test_roots_agent(self, open_folder):
        async with Serving(open_folder / "agent.sock"):
            outcome = await opened_by_nobody(open_folder / "agent.sock", "bcc")
        assert outcome["place"] == str(open_folder / "agent.sock")

    async def test_no_agent_that_is_somebody_elses(self, open_folder):
        """Another user's process tells what it likes."""
        open_folder.chmod(0o777)
        path = open_folder / "agent.sock"
        script = (
            "import socket; s = socket.socket(socket.AF_UNIX)\n"
            "os.umask(0); s.bind(sys.argv[1]); s.listen(); time.sleep(1000)"
        )
        command = [word.replace("65534", "65533") for word in nobody_command(script, path)]
        with sleeping(*command):
            await until(path.exists)
            outcome = await opened_by_nobody(path)
        assert outcome["tracer"] == "psutil"
        assert "belongs to user 65533: not trusted" in outcome["degraded"]

    async def test_a_place_that_cannot_be_looked_into(self, path):
        assert (await opened_by_nobody(path))["tracer"] == "psutil"


async def test_a_spin_is_found_without_ebpf(tmp_path):
    """Later than with it, but on the same line, and with its lack of sight on show."""
    (tmp_path / "spin.py").write_text(
        "import sys\n\n\ndef wait_for_it():\n    while True:\n        pass\n\n\n"
        "sys.stdin.readline()\nwait_for_it()\n"
    )
    feed = await open_feed(Settings(tracer="psutil"))
    found = []
    feed.subscribe(lambda change: found.append(getattr(change.change, "finding", None)))
    command = ("sh", "-c", f"{sys.executable} spin.py; true")
    with sleeping(*command, cwd=tmp_path, stdin=subprocess.PIPE, start_new_session=True) as run:
        await feed.watch(run.pid, "run", is_run=True, is_root_judged=True)
        run.stdin.write(b"go\n")
        run.stdin.flush()
        await until(lambda: any(found))
        os.killpg(run.pid, 9)
        run.stdin.close()
    finding = next(filter(None, found))
    assert finding.kind is Kind.CPU_SPIN
    assert finding.location.path == str(tmp_path / "spin.py")
    assert finding.location.line in (5, 6)
    assert finding.process.argv[-1] == "spin.py"
    await feed.close()
