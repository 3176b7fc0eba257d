"""The agent's side of the socket: who is let in, and what clients can do to it."""

import asyncio
import contextlib
import json
import os
import socket
import sys
import tempfile
from pathlib import Path

import pytest
import pytest_asyncio

from linnix_ls import procfs
from linnix_ls.core.policy import LeakPolicy, Policy, SpinPolicy
from linnix_ls.errors import AgentError, AlreadyServing
from linnix_ls.feed import local, server
from linnix_ls.feed.remote import RemoteFeed
from tests.feed.scenes import Serving, run_as_nobody, sleeping, until
from tests.feed.told_tracer import ToldTracer, seen

pytestmark = pytest.mark.asyncio


@pytest.fixture
def path(tmp_path):
    return tmp_path / "agent.sock"


@pytest_asyncio.fixture
async def agent(path):
    async with Serving(path) as agent:
        yield agent


class Raw:
    """A connection without manners."""

    def __init__(self, path):
        self.path = path

    async def __aenter__(self):
        self.reader, self.writer = await asyncio.open_unix_connection(self.path, limit=1 << 24)
        self.hello = await self.read()
        return self

    async def __aexit__(self, *_):
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()

    async def read(self):
        return json.loads(await asyncio.wait_for(self.reader.readline(), 20))

    async def ask(self, line):
        self.writer.write(line.encode() + b"\n" if isinstance(line, str) else line)
        return await self.read()


class TestThePlace:
    async def test_a_dead_agents_socket_is_replaced(self, path):
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
        async with Serving(path):
            feed = await RemoteFeed.connect(path)
            await feed.close()

    async def test_one_where_somebody_listens_is_theirs(self, path):
        """A service manager has no lock: its agent comes when a client does."""
        with socket.socket(socket.AF_UNIX) as theirs:
            theirs.bind(str(path))
            theirs.listen()
            with pytest.raises(AlreadyServing):
                async with Serving(path):
                    pass
            assert path.is_socket()

    async def test_what_another_has_put_there_meanwhile_stays(self, path):
        async with Serving(path):
            path.unlink()
            with socket.socket(socket.AF_UNIX) as theirs:
                theirs.bind(str(path))
        assert path.is_socket()

    async def test_a_passed_socket_is_served_and_left_where_it_is(self, path):
        passed = socket.socket(socket.AF_UNIX)
        passed.bind(str(path))
        passed.listen()
        async with Serving(path, listener=passed):
            feed = await RemoteFeed.connect(path)
            await feed.close()
        assert path.is_socket()

    async def test_who_waits_for_an_agent_that_cannot_work_hears_why(self, path):
        serving = Serving(path)
        serving.server.bind()
        waiting = [asyncio.create_task(RemoteFeed.connect(path)) for _ in range(2)]
        await asyncio.sleep(0)  # they connect at once, and wait for the first line
        while not all(task.done() for task in waiting):
            serving.server.refuse(AgentError("no BTF", fix="another kernel"))
            await asyncio.sleep(0.01)
        for task in waiting:
            assert (task.exception().message, task.exception().fix) == ("no BTF", "another kernel")
        await serving.server.stop()

    async def test_folders_are_made(self, tmp_path):
        path = tmp_path / "a" / "b" / "agent.sock"
        os.umask(before := os.umask(0o077))
        os.umask(0o077)
        try:
            async with Serving(path):
                assert path.parent.stat().st_mode & 0o777 == 0o755
        finally:
            os.umask(before)

    async def test_nothing_is_left_of_it(self, path):
        async with Serving(path):
            assert path.is_socket()
        assert not path.exists()

    async def test_there_can_only_be_one(self, path, agent):
        with pytest.raises(AlreadyServing):
            await Serving(path).__aenter__()
        feed = await RemoteFeed.connect(path)  # the first is still there
        await feed.close()

    async def test_the_next_may_come_when_one_has_gone(self, path):
        for _ in range(3):
            async with Serving(path):
                feed = await RemoteFeed.connect(path)
                await feed.close()

    async def test_a_file_that_is_no_socket_is_spared(self, path):
        path.write_text("my notes")
        with pytest.raises(AgentError, match="something else of that name") as raised:
            await Serving(path).__aenter__()
        assert path.read_text() == "my notes"
        assert "--socket" in raised.value.fix

    async def test_a_link_that_somebody_laid_is_not_followed(self, path):
        path.with_suffix(".lock").symlink_to("elsewhere")
        with pytest.raises(AgentError):
            await Serving(path).__aenter__()
        assert not path.with_name("elsewhere").exists()

    async def test_a_path_that_is_too_long_is_said_to_be(self, tmp_path):
        with pytest.raises(AgentError, match="path too long"):
            await Serving(tmp_path / ("x" * 120) / "agent.sock").__aenter__()

    async def test_a_place_that_is_none_is_said_to_be(self):
        with pytest.raises(AgentError, match=r"cannot listen on /proc/agent\.sock"):
            await Serving(Path("/proc/agent.sock")).__aenter__()

    @pytest.mark.ebpf  # only root can give a folder away
    async def test_another_users_folder_is_not_used(self, tmp_path):
        os.chown(tmp_path, 65534, 65534)
        with pytest.raises(AgentError, match="belongs to another user"):
            await Serving(tmp_path / "agent.sock").__aenter__()
        os.chown(tmp_path, 0, 0)

    @pytest.mark.parametrize("mode", [0o777, 0o757, 0o775])
    async def test_a_folder_that_others_could_exchange_is_not_used(self, tmp_path, mode):
        """Also where it is the one above: what is looked at and what is used could be two."""
        above = tmp_path / "above"
        folder = above / "mine"
        folder.mkdir(parents=True, mode=0o755)
        if mode & 0o020 and not mode & 0o002:
            if os.geteuid() != 0:
                return
            os.chown(above, 0, 64_999)
        above.chmod(mode)
        with pytest.raises(AgentError, match=f"others may write to {above}"):
            await Serving(folder / "agent.sock").__aenter__()
        assert not list(folder.iterdir())

    async def test_what_others_may_put_things_into_but_not_take_any_from_is_used(self, tmp_path):
        tmp_path.chmod(0o1777)
        async with Serving(tmp_path / "agent.sock"):
            pass

    @pytest.mark.ebpf  # only root can give a link away
    async def test_another_users_link_to_a_folder_of_ours_is_not_followed(self, tmp_path):
        """As /tmp/linnix-ls-1000 would be, laid before the user first logs in."""
        (tmp_path / "ours").mkdir()
        (tmp_path / "link").symlink_to(tmp_path / "ours")
        os.chown(tmp_path / "link", 65534, 65534, follow_symlinks=False)
        with pytest.raises(AgentError, match="belongs to another user"):
            await Serving(tmp_path / "link" / "agent.sock").__aenter__()
        assert not list((tmp_path / "ours").iterdir())

    async def test_nobody_comes_in_before_the_rights_of_the_socket_are_right(
        self, path, monkeypatch
    ):
        modes = []
        monkeypatch.setattr(
            server.socket.socket, "listen",
            lambda self, *_: modes.append(path.stat().st_mode & 0o777), raising=False,
        )  # fmt: skip
        serving = Serving(path)
        before = os.umask(0)
        try:
            serving.server.bind()
        finally:
            os.umask(before)
        await serving.server.stop()
        assert modes == [0o600]

    async def test_the_idle_are_told(self, path, agent):
        first = await RemoteFeed.connect(path)
        second = await RemoteFeed.connect(path)
        await first.close()
        await second.status()
        assert agent.n_idle == 0
        await second.close()
        await until(lambda: agent.n_idle == 1)


class TestThresholds:
    async def test_each_client_has_its_own(self, path, agent):
        first, second, third = [await RemoteFeed.connect(path) for _ in range(3)]
        policies = [
            Policy(), Policy(calm_s=9),
            Policy(spin=SpinPolicy(look_again_s=(1, 2), min_looks=9), leak=LeakPolicy(grace_s=7)),
        ]  # fmt: skip
        await second.use_thresholds(policies[1])
        await third.use_thresholds(policies[2])
        assert [feed.engine.policy for feed in agent.hub._feeds] == policies
        await third.use_thresholds(Policy())
        assert [feed.engine.policy for feed in agent.hub._feeds] == [*policies[:2], Policy()]
        for feed in (first, second, third):
            await feed.close()

    async def test_those_that_are_refused_leave_the_ones_before(self, path, agent):
        feed = await RemoteFeed.connect(path)
        await feed.use_thresholds(Policy(calm_s=9))
        with pytest.raises(AgentError, match="less than or equal to 8"):
            await feed.use_thresholds(Policy(max_examinations=1_000))
        [theirs] = agent.hub._feeds
        assert theirs.engine.policy == Policy(calm_s=9)
        await feed.close()


class TestMalformed:
    @pytest.mark.parametrize(
        "line",
        [
            "no JSON", "", "[]", "null", "7", '"watch"', "{}", b"\xff\xfe\n", "[" * 100_000,
            '{"id": 1}', '{"id": null, "method": "status"}', '{"id": [], "method": "status"}',
            '{"id": 1, "method": "status", "params": []}',
            '{"id": 1, "method": "status", "params": 7}',
            '{"id": 1, "method": "status", "params": {"more": 1}}',
            '{"id": 1, "method": ["status"]}', '{"id": 1, "method": {}}',
            '{"id": 1, "method": "no_such_method"}', '{"id": 1, "method": "_status"}',
            '{"id": 1, "method": "serve"}', '{"id": 1, "method": "__init__"}',
            '{"id": 1, "method": "watch"}',
            '{"id": 1, "method": "watch", "params": {"pid": "1", "label": "x"}}',
            '{"id": 1, "method": "watch", "params": {"pid": 1.5, "label": "x"}}',
            '{"id": 1, "method": "watch", "params": {"pid": true, "label": "x"}}',
            '{"id": 1, "method": "watch", "params": {"pid": -1, "label": "x"}}',
            '{"id": 1, "method": "watch", "params": {"pid": 0, "label": "x"}}',
            '{"id": 1, "method": "watch", "params": {"pid": 1e5, "label": "x"}}',
            f'{{"id": 1, "method": "watch", "params": {{"pid": {10**30}, "label": "x"}}}}',
            f'{{"id": 1, "method": "watch", "params": {{"pid": {"9" * 5_000}, "label": "x"}}}}',
            '{"id": 1, "method": "stop_process", "params": {"pid": 1, "start_ticks": "x"}}',
            '{"id": 1, "method": "stop_process", "params": {"pid": 1e300, "start_ticks": 1}}',
            '{"id":1, "method": "stop_process", "params": {"pid": 99999999999, "start_ticks": 1}}',
            '{"id": 1, "method": "unwatch", "params": {"pid": 1, "start_ticks": 1}}',
            '{"id": 1, "method": "watch_folders", "params": {"folders": "/tmp"}}',
            '{"id": 1, "method": "watch_folders", "params": {"folders": ["/a\\u0000b"]}}',
            '{"id": 1, "method": "watch_folders", "params": {"folders": ["\\ud800"]}}',
            '{"id": 1, "method": "watch", "params": {"pid": 1, "label": "x", "source": "x"}}',
            '{"id": 1, "method": "watch_tag", "params": {"value": "a b c d e f"}}',
            '{"id": 1, "method": "watch_tag", "params": {"value": 12345678}}',
            '{"id": 1, "method": "watch_tag", "params": {"value": "12345678", "source": "x"}}',
            '{"id": 1, "method": "runs", "params": {"more": 1}}',
            '{"id": 1, "method": "run", "params": {"pid": 1, "start_ticks": 1, "since": "x"}}',
            '{"id": 1, "method": "run"}', '{"id": 1, "method": "stack", "params": {"pid": 1}}',
            '{"id": 1, "method": "dismiss", "params": {"finding_id": "\\u0000"}}',
            '{"id": 1, "method": "use_thresholds", "params": {"thresholds": []}}',
            '{"id": 1, "method": "use_thresholds", "params": {"thresholds": {"spin": {"x": 1}}}}',
            '{"id": 1, "method": "use_thresholds", "params": {"thresholds": {"calm_s": NaN}}}',
            '{"id": 1, "method": "use_thresholds", "params": {"thresholds": {"calm_s": "5"}}}',
            '{"id": 1, "method": "use_thresholds", "params": {"thresholds": {"calm_s": 1e9}}}',
            '{"id": 1, "method": "use_thresholds",'
            ' "params": {"thresholds": {"max_examinations": 1000}}}',
            f'{{"id": 1, "method": "use_thresholds", "params":'
            f' {{"thresholds": {{"spin": {{"look_again_s": {[0.1] * 1_000}}}}}}}}}',
        ],
        ids=lambda line: str(line)[:60],
    )  # fmt: skip
    async def test_requests_are_answered_with_an_error(self, path, agent, line):
        async with Raw(path) as client:
            answer = await client.ask(line)
            assert answer["error"]["message"]
            # And the next one is served.
            answer = await client.ask('{"id": 2, "method": "status"}')
            assert answer["result"]["state"] == "watching"

    async def test_a_line_without_end_is_the_end(self, path, agent):
        async with Raw(path) as client:
            client.writer.write(b"x" * (2 << 20))
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.wait_for(client.reader.read(), 20) == b""
        async with Raw(path) as another:
            assert "result" in await another.ask('{"id": 1, "method": "status"}')

    async def test_half_a_request_is_no_request(self, path, agent):
        async with Raw(path) as client:
            client.writer.write(b'{"id": 1, "method": "status"')
            client.writer.write_eof()
            rest = await asyncio.wait_for(client.reader.read(), 20)
            assert rest == b"" or b"error" in rest
        await until(lambda: agent.n_idle == 1)

    async def test_requests_in_one_write_are_all_answered(self, path, agent):
        async with Raw(path) as client:
            client.writer.write(
                b'{"id": 1, "method": "status"}\n{"id": 2, "method": "status"}\nx\n'
            )
            answers = [await client.read() for _ in range(3)]
            assert {answer.get("id") for answer in answers} == {1, 2, None}

    async def test_a_bug_of_ours_is_an_answer_too(self, path, agent):
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        agent.hub.tracer.watch = None
        async with Raw(path) as client:
            request = {"pid": os.getpid(), "label": "x"}
            answer = await client.ask(json.dumps({"id": 1, "method": "watch", "params": request}))
            assert answer["error"]["message"].startswith("the agent failed: TypeError")


class TestManyClients:
    async def test_each_has_its_own_watches_and_findings(self, path, agent):
        feeds = [await RemoteFeed.connect(path) for _ in range(5)]
        with sleeping() as one, sleeping() as other:
            for feed in feeds[:2]:
                await feed.watch(one.pid, "one")
            await feeds[2].watch(other.pid, "other")
            trees = [{view.key.pid for view in await feed.process_tree()} for feed in feeds]
            assert trees == [{one.pid}, {one.pid}, {other.pid}, set(), set()]
            await feeds[0].close()  # the second one still watches it
            assert {view.key.pid for view in await feeds[1].process_tree()} == {one.pid}
        for feed in feeds[1:]:
            await feed.close()
        await until(lambda: agent.n_idle == 1)

    async def test_one_too_many_is_told_so(self, path, agent, monkeypatch):
        monkeypatch.setattr(server, "MAX_CLIENTS", 2)
        feeds = [await RemoteFeed.connect(path) for _ in range(2)]
        with pytest.raises(AgentError, match="2 clients already"):
            await RemoteFeed.connect(path)
        for feed in feeds:
            await feed.status()
            await feed.close()

    async def test_who_reads_no_more_is_let_go_and_others_go_on(self, path):
        tracer = ToldTracer()
        async with Serving(path, tracer):
            good = await RemoteFeed.connect(path)
            own = procfs.read_stat(os.getpid()).key
            tracer.seen = [seen(own, argv=("x" * 60_000,))]
            async with Raw(path) as bad:
                asked = {"pid": own.pid, "label": "x"}
                await bad.ask(json.dumps({"id": 1, "method": "watch", "params": asked}))
                bad.reader._transport.pause_reading()
                bad.writer.write(b'{"id": 3, "method": "process_tree"}\n' * 500)
                await until(lambda: tracer.unwatched)
                assert (await good.status()).state == "watching"
            await good.close()

    async def test_who_vanishes_is_forgotten_with_its_watches(self, path):
        tracer = ToldTracer()
        async with Serving(path, tracer) as agent:
            async with Raw(path) as client:
                own = {"pid": os.getpid(), "label": "x"}
                await client.ask(json.dumps({"id": 1, "method": "watch", "params": own}))
                client.writer.transport.abort()
            await until(lambda: agent.n_idle == 1)
            assert tracer.unwatched == [os.getpid()]


@pytest.mark.e2e
@pytest.mark.ebpf  # needs root, to be somebody else
class TestOtherUsers:
    """The kernel says who connects. Root runs this; nobody is the client."""

    @pytest_asyncio.fixture
    async def path(self):
        with tempfile.TemporaryDirectory(prefix="linnix-ls-") as folder:
            os.chmod(folder, 0o755)  # pytest's own folders are closed to other users
            yield Path(folder, "agent.sock")

    async def test_they_see_and_stop_only_what_is_theirs(self, path, agent):
        script = """
async def main():
    feed = await RemoteFeed.connect(Path(sys.argv[1]))
    roots_pid = int(sys.argv[2])
    roots_key = procfs.read_stat(roots_pid).key
    own = subprocess.Popen(["sh", "-c", "sleep 1000 & wait"])
    time.sleep(0.2)
    await feed.watch(own.pid, "own")
    tree = await feed.process_tree()
    child = next(view.key for view in tree if view.key.pid != own.pid)
    print(json.dumps({
        "watch root's": await refusal(feed.watch(roots_pid, "x")),
        "watch init": await refusal(feed.watch(1, "x")),
        "stop root's": await refusal(feed.stop_process(roots_key)),
        "tree": len(tree),
        "stop own": await feed.stop_process(child),
    }))
    own.kill()
    own.wait()
    await feed.close()

asyncio.run(main())
"""
        with sleeping() as roots:
            outcome = json.loads(await run_as_nobody(script, path, roots.pid))
            assert roots.poll() is None
        assert outcome == {
            "watch root's": f"process {roots.pid} belongs to another user",
            "watch init": "process 1 belongs to another user",
            "stop root's": f"process {roots.pid} is not in a watched tree",
            "tree": 2,
            "stop own": "stopped",
        }

    async def test_root_sees_and_stops_theirs(self, path, agent):
        feed = await RemoteFeed.connect(path)
        with sleeping("sh", "-c", "sleep 1000 & wait", user=65534) as theirs:
            await until(lambda: len(procfs.children_of(theirs.pid)) == 1)
            await feed.watch(theirs.pid, "theirs")
            views = {view.key.pid: view for view in await feed.process_tree()}
            assert len(views) == 2
            [pid] = procfs.children_of(theirs.pid)
            assert await feed.stop_process(views[pid].key) == "stopped"
        await feed.close()


class TestLimits:
    async def test_one_users_clients_keep_no_other_users_out(self, path, agent, monkeypatch):
        monkeypatch.setattr(server, "MAX_CLIENTS_OF_USER", 2)
        real = server.protocol.peer_credentials
        uids = iter([1000, 1000, 1000, 1001, 0, 0, 0])
        monkeypatch.setattr(
            server.protocol, "peer_credentials",
            lambda connection: real(connection)._replace(uid=next(uids)),
        )  # fmt: skip
        async with Raw(path), Raw(path):
            async with Raw(path) as third:
                assert third.hello["error"] == {
                    "message": "the agent has 2 clients of user 1000 already",
                    "fix": "close an editor, or wait for a `linnix-ls run` to end",
                }
            async with Raw(path) as other, Raw(path) as root, Raw(path), Raw(path):
                assert "hello" in other.hello
                assert "hello" in root.hello

    async def test_a_place_is_free_again_when_a_client_has_gone(self, path, agent, monkeypatch):
        monkeypatch.setattr(server, "MAX_CLIENTS_OF_USER", 1)
        real = server.protocol.peer_credentials
        monkeypatch.setattr(
            server.protocol, "peer_credentials", lambda connection: real(connection)._replace(uid=7)
        )
        for _ in range(3):
            async with Raw(path) as client:
                assert "hello" in client.hello
            await until(lambda: not agent.server.has_clients)

    async def test_who_asks_more_than_is_answered_waits(self, path, monkeypatch):
        """What it sends stays with the kernel, and with itself."""
        monkeypatch.setattr(server, "MAX_OUTSTANDING", 4)
        tracer = ToldTracer()
        tracer.may_answer.clear()
        n_asked = 0
        watch = tracer.watch

        async def count(key, *, ignored=()):
            nonlocal n_asked
            n_asked += 1
            return await watch(key, ignored=ignored)

        tracer.watch = count
        async with Serving(path, tracer), Raw(path) as client:
            asked = {"pid": os.getpid(), "label": "x"}
            request = json.dumps({"id": 1, "method": "watch", "params": asked}).encode() + b"\n"
            client.writer.write(request * 20)
            await until(lambda: n_asked == 4)
            async with Raw(path) as other:
                answer = await other.ask('{"id": 2, "method": "status"}')
            assert "result" in answer
            assert n_asked == 4
            tracer.may_answer.set()
            assert ["result" in await client.read() for _ in range(20)] == [True] * 20

    async def test_large_requests_are_outstanding_in_small_numbers(self, path, monkeypatch):
        monkeypatch.setattr(server, "MAX_OUTSTANDING_BYTES", 100_000)
        tracer = ToldTracer()
        tracer.may_answer.clear()
        async with Serving(path, tracer) as agent, Raw(path) as client:
            asked = {"pid": os.getpid(), "label": "x" * 90_000}
            request = json.dumps({"id": 1, "method": "watch", "params": asked}).encode() + b"\n"
            client.writer.write(request * 5)
            [feed] = agent.hub._feeds
            await until(lambda: feed._roots)
            await asyncio.sleep(0)
            tracer.may_answer.set()
            assert ["result" in await client.read() for _ in range(5)] == [True] * 5
            assert set(feed._roots.values()) == {"x" * server.MAX_LABEL_CHARS}

    async def test_what_all_clients_of_a_user_leave_unread_is_bounded(self, path, monkeypatch):
        monkeypatch.setattr(server, "MAX_UNREAD_BYTES_OF_USER", 6 << 20)
        tracer = ToldTracer()
        own = procfs.read_stat(os.getpid()).key
        tracer.seen = [seen(own, argv=("x" * 60_000,))]
        async with Serving(path, tracer) as agent, Raw(path) as first, Raw(path) as second:
            asked = {"pid": own.pid, "label": "x"}
            for client in (first, second):
                await client.ask(json.dumps({"id": 1, "method": "watch", "params": asked}))
                client.reader._transport.pause_reading()
            first.writer.write(b'{"id": 3, "method": "process_tree"}\n' * 60)  # 3.6 MB
            second.writer.write(b'{"id": 3, "method": "process_tree"}\n' * 60)
            await until(lambda: len(agent.hub._feeds) == 1)

    async def test_watched_and_ignored_processes_are_bounded(self, path, agent, monkeypatch):
        monkeypatch.setattr(local, "MAX_ROOTS", 1)
        monkeypatch.setattr(local, "MAX_IGNORED", 2)  # the agent itself is the first
        feed = await RemoteFeed.connect(path)
        with sleeping() as one, sleeping() as other:
            await feed.watch(one.pid, "one")
            await feed.watch(one.pid, "again")
            with pytest.raises(AgentError, match="1 processes are watched already"):
                await feed.watch(other.pid, "other")
            await feed.ignore(1)
            with pytest.raises(AgentError, match="2 processes are ignored already"):
                await feed.ignore(other.pid)
        await feed.ignore(4_000_000)  # nobody: nothing to remember
        with pytest.raises(AgentError, match="at most 100"):
            await feed.watch_folders(["/x"] * 101)
        await feed.close()

    async def test_looks_of_one_user_leave_room_for_others(self, agent):
        ours = [agent.hub.looks_of(1000) for _ in range(3)]
        assert ours[0] is ours[1] is ours[2]
        for _ in range(local.MAX_LOOKS_OF_USER):
            await ours[0].acquire()
        assert ours[1].locked()
        assert not agent.hub.looks_of(1001).locked()


class TestIdentity:
    async def test_is_that_of_who_has_connected_whoever_speaks_later(self, path):
        """A descriptor can be handed on; what it is good for was decided when it was opened."""
        async with Serving(path) as agent:
            ours, theirs = socket.socketpair()
            passing = (
                "import os, socket, sys\n"
                "if os.geteuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
                "client = socket.socket(socket.AF_UNIX)\n"
                "client.connect(sys.argv[1])\n"
                "with socket.socket(fileno=int(sys.argv[2])) as channel:\n"
                "    socket.send_fds(channel, [b'x'], [client.fileno()])\n"
            )
            for folder in (path.parent, *path.parents[1:3]):
                folder.chmod(folder.stat().st_mode | 0o011)
            path.chmod(0o666)
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", passing, path, str(theirs.fileno()),
                pass_fds=[theirs.fileno()],
            )  # fmt: skip
            await process.wait()
            _, [fd], _, _ = socket.recv_fds(ours, 1, 1)
            ours.close()
            theirs.close()
            reader, writer = await asyncio.open_unix_connection(sock=socket.socket(fileno=fd))
            assert "hello" in json.loads(await reader.readline())
            [feed] = agent.hub._feeds
            assert feed.uid == (65534 if os.geteuid() == 0 else os.geteuid())
            writer.close()

    async def test_who_shuts_its_half_is_gone(self, path, agent):
        async with Raw(path) as client:
            client.writer.write_eof()
            await until(lambda: agent.n_idle == 1)
