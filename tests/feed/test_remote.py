"""The client's side of the socket: what an agent can do to it."""

import asyncio
import contextlib
import json
import os
import signal
import tempfile
from pathlib import Path

import pytest

from linnix_ls import __version__, procfs
from linnix_ls.core.events import Source
from linnix_ls.core.ids import ProcessKey
from linnix_ls.core.policy import Policy
from linnix_ls.errors import AgentError, AgentTooOld
from linnix_ls.feed import remote
from linnix_ls.feed.base import FeedState, StatusChanged
from linnix_ls.feed.protocol import METHODS, PROCESS_VIEWS
from linnix_ls.feed.remote import RemoteFeed
from tests.feed.scenes import Serving, nobody_command, sleeping, until

pytestmark = pytest.mark.asyncio

STATUS = {"state": "watching", "tracer": "bcc"}
HELLO = {
    "hello": {"protocol": 1, "version": "0", "pid": 1, "methods": sorted(METHODS)},
    "snapshot": {"sequence": 7, "status": STATUS, "findings": []},
}


@contextlib.asynccontextmanager
async def an_agent_that(path, behave):
    connections = set()

    async def accept(reader, writer):
        connections.add(asyncio.current_task())
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await behave(reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_unix_server(accept, path)
    try:
        yield
    finally:
        server.close()
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


def says(*lines):
    """Sends these, and hangs up."""

    async def behave(_reader, writer):
        for line in lines:
            writer.write(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n")
        await writer.drain()

    return behave


async def connect_to(path, behave):
    async with an_agent_that(path, behave):
        return await RemoteFeed.connect(path)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "agent.sock"


class TestConnecting:
    async def test_nobody_there(self, path):
        with pytest.raises(AgentError, match=r"no agent at .*: No such file"):
            await RemoteFeed.connect(path)

    async def test_a_file_that_is_no_socket(self, path):
        path.write_text("")
        with pytest.raises(AgentError, match=r"no agent at .*: Connection refused"):
            await RemoteFeed.connect(path)

    @pytest.mark.parametrize(
        "lines",
        [(), (b"SSH-2.0-OpenSSH_9.2\r\n",), (b"\xff\xfe\n",), ([],), ({},), ({"hello": 1},),
         ({"hello": {"protocol": 1}},), ({**HELLO, "snapshot": {"sequence": "seven"}},),
         ({"hello": {"protocol": 1, "pid": 1}, "snapshot": None},)],
    )  # fmt: skip
    async def test_something_else_that_listens(self, path, lines):
        with pytest.raises(AgentError, match="is no linnix-ls agent"):
            await connect_to(path, says(*lines))

    async def test_an_agent_of_another_version(self, path):
        hello = {"hello": {"protocol": 99, "version": "9.9"}}
        with pytest.raises(AgentError, match=r"version 9\.9") as raised:
            await connect_to(path, says(hello))
        assert raised.value.fix.startswith("restart it   (this is version ")

    async def test_another_build_is_used_and_said(self, path):
        """Whichever of the two is the newer one."""

        async def behave(reader, writer):
            hello = {**HELLO["hello"], "version": "9.9", "learnt": "later"}
            writer.write(json.dumps({**HELLO, "hello": hello}).encode() + b"\n")
            while line := await reader.readline():
                request = json.loads(line)
                answer = {"error": {"message": "there is no method", "fix": None}}
                if request["method"] == "status":
                    answer = {"result": {**STATUS, "learnt": "later"}}
                writer.write(json.dumps({"id": request["id"], **answer}).encode() + b"\n")

        async with an_agent_that(path, behave):
            feed = await RemoteFeed.connect(path)
            hint = feed.snapshot().status.hint
            assert hint.startswith("the agent is version 9.9, this is ")
            assert hint.endswith("restart it: sudo kill 1")
            assert (await feed.status()).hint == hint
            with pytest.raises(AgentError, match="there is no method") as raised:
                await feed.process_tree()
            assert raised.value.fix == hint
            await feed.close()

    async def test_another_build_of_the_same_version_is_said(self, path):
        hello = {**HELLO["hello"], "version": __version__, "revision": "0123456789ab"}
        feed = await connect_to(path, says({**HELLO, "hello": hello}))
        assert "another build of this version" in feed.snapshot().status.hint
        await feed.close()

    async def test_of_the_same_code_nothing_is_said(self, path):
        async with Serving(path):
            feed = await RemoteFeed.connect(path)
            assert (await feed.status()).hint is None
            await feed.close()

    async def test_one_that_says_nothing(self, path):
        async def be_silent(reader, _writer):
            await reader.read()

        async with an_agent_that(path, be_silent):
            with pytest.raises(AgentError, match="does not answer"):
                await RemoteFeed.connect(path, hello_timeout_s=0.1)

    @pytest.mark.e2e
    @pytest.mark.ebpf  # needs root, to be somebody else
    async def test_one_of_another_user_is_not_trusted(self):
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o777)
            path = Path(folder, "agent.sock")
            script = (
                "import socket; s = socket.socket(socket.AF_UNIX)\n"
                "s.bind(sys.argv[1] + '-new'); s.listen()\n"
                "os.rename(sys.argv[1] + '-new', sys.argv[1])\n"
                "time.sleep(1000)"
            )
            process = await asyncio.create_subprocess_exec(*nobody_command(script, path))
            await until(path.exists)
            with pytest.raises(AgentError, match="belongs to user 65534: not trusted"):
                await RemoteFeed.connect(path)
            process.kill()
            await process.wait()


class TestAnOlderAgent:
    """It does not say what it knows, and forbids what it does not know."""

    async def test_is_asked_for_nothing_that_it_cannot_do(self, path):
        asked = []

        async def be_old(reader, writer):
            hello = {name: value for name, value in HELLO["hello"].items() if name != "methods"}
            writer.write(json.dumps({**HELLO, "hello": hello}).encode() + b"\n")
            while line := await reader.readline():
                asked.append(json.loads(line))
                answer = {"id": asked[-1]["id"], "result": [1, 1]}
                writer.write(json.dumps(answer).encode() + b"\n")

        async with an_agent_that(path, be_old):
            feed = await RemoteFeed.connect(path)
            key = ProcessKey(1, 1)
            for call in (feed.runs(), feed.run(key), feed.stack(key), feed.unwatch_tag("x" * 8)):
                with pytest.raises(AgentTooOld, match="older than this client"):
                    await call
            assert await feed.watch(1, "x", source=Source.TASK) == key
            await feed.close()
        [request] = asked
        assert "source" not in request["params"]

    async def test_shows_processes_without_what_it_does_not_tell(self):
        [view] = PROCESS_VIEWS.validate_python([
            {"key": [1, 1], "parent": None, "run": None, "comm": "x", "argv": [], "cwd": None,
             "on_cpu_cores": 0, "age_s": 1, "exit_code": None, "term_signal": None,
             "has_ended": False},
        ])  # fmt: skip
        assert (view.rss_bytes, view.state) == (None, "unknown")


async def test_runs_and_stacks_come_over_the_socket_as_they_are(path):
    async with Serving(path) as agent:
        feed = await RemoteFeed.connect(path)
        with sleeping("sh", "-c", "sleep 1000 & wait") as process:
            key = await feed.watch(process.pid, "nap", is_root_judged=True, source=Source.TASK)
            local = agent.hub._feeds[0]
            await until(lambda: local.engine.history.summaries(0)[0].n_alive == 2)
            [run] = await feed.runs()
            assert (run.key, run.label, run.source) == (key, "nap", Source.TASK)
            detail = await feed.run(key)
            assert {span.key for span in detail.spans} == {
                span.key for span in (await local.run(key)).spans
            }
            assert (await feed.run(key, detail.version)).is_whole is False
            assert (await feed.stack(key)).problem == "nobody looks"
            assert await feed.run(ProcessKey(1, 1)) is None
            os.kill(procfs.children_of(process.pid)[0], signal.SIGKILL)
        await feed.close()


class TestTheEnd:
    async def test_of_the_agent_is_told_and_later_calls_fail(self, path):
        async with Serving(path):
            feed = await RemoteFeed.connect(path)
            changes = []
            feed.subscribe(lambda change: changes.append(change.change))
        await until(lambda: changes)
        [change] = changes
        assert isinstance(change, StatusChanged)
        assert change.status.state is FeedState.OFF
        assert change.status.degraded == "the agent has gone"
        assert feed.snapshot().status == change.status
        key = ProcessKey(1, 1)
        for call in (
            feed.status(), feed.watch(1, "x"), feed.unwatch(key), feed.ignore(1),
            feed.watch_folders([]), feed.process_tree(), feed.stop_process(key),
            feed.dismiss("f1"), feed.record_inputs(), feed.allow_jvm_attach(False),
            feed.use_thresholds(Policy()), feed.runs(), feed.run(key), feed.stack(key),
            feed.watch_tag("x" * 8, Source.TASK, None), feed.unwatch_tag("x" * 8),
        ):  # fmt: skip
            with pytest.raises(AgentError, match="the agent has gone"):
                await call
        await feed.close()

    async def test_in_the_middle_of_a_call_fails_it(self, path):
        async def hang_up(reader, writer):
            writer.write(json.dumps(HELLO).encode() + b"\n")
            await reader.readline()

        async with an_agent_that(path, hang_up):
            feed = await RemoteFeed.connect(path)
            with pytest.raises(AgentError, match="the agent has gone"):
                await feed.status()
            await feed.close()

    async def test_its_own_reason_is_kept(self, path):
        """What the agent has said last is better than that it has gone."""
        off = {"state": "off", "tracer": "bcc", "degraded": "LLVM has had enough"}
        last = {"change": [8, {"StatusChanged": {"status": off}}]}
        changes = []
        async with an_agent_that(path, says(HELLO, last)):
            feed = await RemoteFeed.connect(path)
            feed.subscribe(lambda change: changes.append(change.change.status.degraded))
            await until(feed._task.done)
        assert changes == ["LLVM has had enough"]
        assert feed.snapshot().status.degraded == "LLVM has had enough"

    @pytest.mark.parametrize(
        "nonsense",
        [b"nonsense\n", {"change": 7}, {"change": [8, {"NoSuchThing": {}}]}, {}, [], 7,
         {"change": [8, {"RunEnded": {"run": "x"}}]}, b'{"change": [8, {"RunEn'],
        ids=str,
    )  # fmt: skip
    async def test_nonsense_is_the_end_too(self, path, nonsense):
        feed = await connect_to(path, says(HELLO, nonsense))
        await until(lambda: feed.snapshot().status.state is FeedState.OFF)
        await feed.close()

    async def test_an_answer_that_never_comes_is_not_waited_for(self, path, monkeypatch):
        monkeypatch.setattr(remote, "REQUEST_TIMEOUT_S", 0.1)

        async def ignore(reader, writer):
            writer.write(json.dumps(HELLO).encode() + b"\n")
            await reader.read()

        async with an_agent_that(path, ignore):
            feed = await RemoteFeed.connect(path)
            with pytest.raises(AgentError, match="did not answer to status"):
                await feed.status()
            await feed.close()

    async def test_closing_twice_and_closing_what_has_gone_is_fine(self, path):
        async with Serving(path):
            feed = await RemoteFeed.connect(path)
        await until(feed._task.done)
        await feed.close()
        await feed.close()


class TestAnswers:
    async def test_those_that_nobody_asked_for_are_passed_over(self, path):
        async def answer_too_much(reader, writer):
            writer.write(json.dumps(HELLO).encode() + b"\n")
            asked = json.loads(await reader.readline())
            for request_id in (None, 99, asked["id"], asked["id"]):
                line = json.dumps({"id": request_id, "result": STATUS})
                writer.write(line.encode() + b"\n")
            await reader.read()

        async with an_agent_that(path, answer_too_much):
            feed = await RemoteFeed.connect(path)
            assert (await feed.status()).tracer == "bcc"
            await feed.close()

    async def test_refusals_come_with_their_fix(self, path):
        async def refuse(reader, writer):
            writer.write(json.dumps(HELLO).encode() + b"\n")
            asked = json.loads(await reader.readline())
            error = {"message": "not today", "fix": "ask tomorrow"}
            writer.write(json.dumps({"id": asked["id"], "error": error}).encode() + b"\n")
            await reader.read()

        async with an_agent_that(path, refuse):
            feed = await RemoteFeed.connect(path)
            with pytest.raises(AgentError, match="not today") as raised:
                await feed.status()
            assert raised.value.fix == "ask tomorrow"
            await feed.close()
