"""The hub, and what reaches each of its clients."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid

import pytest
import pytest_asyncio

from linnix_ls import procfs
from linnix_ls.core.changes import RunBegan, RunEnded
from linnix_ls.core.events import EventsLost, Exited, Forked, Source, Watched
from linnix_ls.core.examination import (
    Depth,
    ExaminationRequest,
    StackFrame,
    StackSnapshot,
)
from linnix_ls.core.policy import Policy
from linnix_ls.errors import AgentError
from linnix_ls.feed import local
from linnix_ls.feed.base import FeedState, InputsSeen, StatusChanged, StopOutcome
from linnix_ls.feed.local import MAX_ENDED_SHOWN, SEARCHES_AFTER_A_LOSS, Hub
from linnix_ls.locate.base import Reading
from linnix_ls.tracer.psutil_tracer import PsutilTracer
from tests.feed.scenes import sleeping, until
from tests.feed.told_tracer import (
    NOBODY,
    ROOT,
    NoExaminer,
    ToldTracer,
    execed,
    exited,
    forked,
    key,
    seen,
)

pytestmark = pytest.mark.asyncio

TAG = f"tests-{uuid.uuid4()}"


@pytest_asyncio.fixture
async def hub():
    hub = Hub(ToldTracer(), NoExaminer)
    await hub.start()
    yield hub
    await hub.stop()


async def watching(hub, uid, *processes):
    """A feed that watches made-up processes, the first of which is the root."""
    feed = hub.open(uid)
    hub.tracer.seen = processes
    await feed._watch(Watched(1, processes[0].key, "test", is_root_judged=True, is_run=True))
    return feed


def changes_of(feed):
    changes = []
    feed.subscribe(lambda change: changes.append(change.change))
    return changes


async def keys_of(feed):
    return {view.key for view in await feed.process_tree()}


class TestWhoSeesWhat:
    async def test_what_two_clients_watch_is_told_to_each_alone(self, hub):
        first = await watching(hub, ROOT, seen(key(1)))
        second = await watching(hub, ROOT, seen(key(2)))
        hub.tracer.tell(forked(key(11), key(1)), forked(key(12), key(2)), forked(key(13), key(3)))
        assert await keys_of(first) == {key(1), key(11)}
        assert await keys_of(second) == {key(2), key(12)}

    async def test_a_user_does_not_see_the_processes_of_others_in_its_own_tree(self, hub):
        feed = await watching(
            hub, NOBODY,
            seen(key(1), uid=NOBODY), seen(key(2), parent=key(1), uid=ROOT),
            seen(key(3), parent=key(2), uid=NOBODY),
        )  # fmt: skip
        hub.tracer.tell(
            forked(key(4), key(1), uid=NOBODY),
            forked(key(5), key(2), uid=NOBODY),
            forked(key(6), key(1), uid=ROOT),
        )
        assert await keys_of(feed) == {key(1), key(4)}

    async def test_root_sees_all_of_it(self, hub):
        feed = await watching(
            hub, ROOT, seen(key(1), uid=NOBODY), seen(key(2), parent=key(1), uid=ROOT)
        )
        assert await keys_of(feed) == {key(1), key(2)}

    async def test_a_process_that_becomes_somebody_elses_is_forgotten(self, hub):
        """sudo: from its next program on it is root's."""
        feed = await watching(hub, NOBODY, seen(key(1), uid=NOBODY))
        hub.tracer.tell(forked(key(2), key(1), uid=NOBODY), execed(key(2), key(1), uid=ROOT))
        hub.tracer.tell(forked(key(3), key(2), uid=NOBODY))
        assert await keys_of(feed) == {key(1)}

    async def test_losses_are_told_to_all(self, hub):
        feeds = [await watching(hub, uid, seen(key(uid + 1), uid=uid)) for uid in (ROOT, NOBODY)]
        hub.tracer.tell(EventsLost(5, 17))
        assert [(await feed.status()).n_lost for feed in feeds] == [17, 17]

    async def test_who_died_unseen_is_found_dead_after_a_loss(self, hub):
        """Its end may be among what was lost; /proc knows that there is no such process."""
        feed = await watching(hub, ROOT, seen(key(1)))
        hub.tracer.tell(forked(key(2), key(1)), EventsLost(5, 17))
        for _ in range(SEARCHES_AFTER_A_LOSS):
            await feed._take_care()
        assert [key.pid for key in feed.living()] == []

    async def test_who_lives_is_not_taken_for_dead_after_a_loss(self, hub):
        own = procfs.read_stat(os.getpid()).key
        feed = await watching(hub, ROOT, seen(own))
        hub.tracer.tell(EventsLost(5, 17))
        for _ in range(SEARCHES_AFTER_A_LOSS):
            await feed._take_care()
        assert [key.pid for key in feed.living()] == [own.pid]

    async def test_of_the_dead_of_a_storm_the_last_ones_are_shown(self, hub):
        feed = await watching(hub, ROOT, seen(key(1)))
        now_ns = time.monotonic_ns()
        for pid in range(2, 2 + MAX_ENDED_SHOWN + 50):
            hub.tracer.tell(
                forked(key(pid), key(1)),
                Exited(now_ns + pid, key(pid), exit_code=0, term_signal=None),
            )
        hub.tracer.tell(forked(key(9_999), key(1)))
        shown = await keys_of(feed)
        assert len(shown) == MAX_ENDED_SHOWN + 2
        assert {key(1), key(9_999), key(MAX_ENDED_SHOWN)} <= shown
        assert key(2) not in shown

    async def test_a_used_again_pid_is_another_process(self, hub):
        feed = await watching(hub, ROOT, seen(key(1)))
        before, after = key(2), key(2)._replace(start_ticks=99)
        hub.tracer.tell(forked(before, key(1)), exited(before, 3), forked(after, key(1)))
        views = {view.key: view for view in await feed.process_tree()}
        assert views[before].has_ended and views[before].exit_code == 3
        assert not views[after].has_ended

    async def test_what_is_ignored_is_not_shown_nor_what_is_below_it(self, hub):
        feed = await watching(hub, ROOT, seen(key(1)))
        with subprocess.Popen(["sleep", "60"]) as ours:
            own = procfs.read_stat(ours.pid).key
            hub.tracer.tell(forked(own, key(1)), forked(key(3), own))
            await feed.ignore(ours.pid)
            hub.tracer.tell(forked(key(4), own))
            ours.kill()
        assert await keys_of(feed) == {key(1)}

    async def test_who_is_ignored_is_forgotten_when_it_has_gone(self, hub):
        """Nobody may tell of its end: what is ignored is not followed."""
        feed = await watching(hub, ROOT, seen(key(1)))
        with sleeping() as ours:
            own = procfs.read_stat(ours.pid).key
            await feed.ignore(ours.pid)
            await feed._take_care()
            assert own in feed._ignored and own in feed.engine.ignored
        await feed._take_care()
        assert own not in feed._ignored and not feed.engine.ignored
        assert len(feed._ignored) == 1  # we are

    async def test_what_has_become_somebody_elses_is_forgotten_with_its_end(self, hub):
        feed = await watching(hub, NOBODY, seen(key(1), uid=NOBODY))
        hub.tracer.tell(forked(key(2), key(1), uid=NOBODY), execed(key(2), key(1), uid=ROOT))
        assert feed.engine.ignored == {key(2)}
        hub.tracer.tell(exited(key(2)))
        assert not feed.engine.ignored

    async def test_as_many_may_be_ignored_as_live_at_a_time(self, hub, monkeypatch):
        monkeypatch.setattr(local, "MAX_IGNORED", 2)
        feed = hub.open(ROOT)
        for _ in range(3):
            with sleeping() as ours:
                await feed.ignore(ours.pid)
                await feed.ignore(ours.pid)

    async def test_who_has_the_pid_of_one_that_was_ignored_is_not(self, hub, tmp_path):
        feed = hub.open(ROOT)
        await feed.watch_folders([str(tmp_path)])
        with sleeping() as ours:
            own = procfs.read_stat(ours.pid).key
            await feed.ignore(ours.pid)
        after = own._replace(start_ticks=own.start_ticks + 1)
        hub.tracer.seen = [seen(after)]
        hub.tracer.tell(execed(after, argv=("make",), cwd=str(tmp_path)))
        await asyncio.gather(*feed._tasks)
        assert [run.key for run in await feed.runs()] == [after]

    @pytest.mark.ebpf  # needs root, for others to be there
    async def test_what_runs_with_other_rights_meanwhile_is_not_examined_for_them(self, hub):
        """A set-user-id program: it tells of itself as its user's until it is looked at."""
        feed = await watching(hub, NOBODY, seen(key(1), uid=NOBODY))
        with sleeping() as roots:
            own = procfs.read_stat(roots.pid).key
            hub.tracer.tell(forked(own, key(1), uid=NOBODY))
            await feed._examine(ExaminationRequest(1, own, Depth.GLANCE))
            assert feed._examiner.requests == []
            with pytest.raises(AgentError, match="another user's rights"):
                await feed.stop_process(own)
            assert lives(own)

    @pytest.mark.ebpf
    async def test_what_is_theirs_is_examined(self, hub):
        feed = await watching(hub, NOBODY, seen(key(1), uid=NOBODY))
        with sleeping(user=NOBODY) as theirs:
            own = procfs.read_stat(theirs.pid).key
            hub.tracer.tell(forked(own, key(1), uid=NOBODY))
            await feed._examine(ExaminationRequest(1, own, Depth.GLANCE))
            assert [request.key for request in feed._examiner.requests] == [own]


class TestWatching:
    async def test_a_pid_without_process_is_refused(self, hub):
        with pytest.raises(AgentError, match="there is no process"):
            await hub.open(ROOT).watch(key(1).pid, "test")

    async def test_somebody_elses_process_is_refused(self, hub):
        with pytest.raises(AgentError, match="belongs to another user"):
            await hub.open(NOBODY).watch(1, "test")

    async def test_one_that_has_just_gone_is_refused_and_not_kept(self, hub):
        hub.tracer.seen = ()
        feed = hub.open(ROOT)
        with pytest.raises(AgentError, match="has gone"):
            await feed.watch(os.getpid(), "test")
        assert not feed.is_watching

    async def test_a_dead_tracer_is_told_of(self, hub):
        hub.tracer.is_dead = True
        with pytest.raises(AgentError, match="it has died"):
            await hub.open(ROOT).watch(os.getpid(), "test")

    async def test_only_what_nobody_watches_any_more_is_let_go(self, hub):
        first = await watching(hub, ROOT, seen(key(1)), seen(key(2), parent=key(1)))
        second = await watching(hub, ROOT, seen(key(2)))
        await first.unwatch(key(1))
        assert hub.tracer.unwatched == [key(1).pid]
        await second.close()
        assert hub.tracer.unwatched == [key(1).pid, key(2).pid]

    async def test_what_was_born_while_its_tree_was_let_go_is_let_go_when_it_is_told_of(self, hub):
        feed = await watching(hub, ROOT, seen(key(1)))
        await feed.close()
        stays = await watching(hub, ROOT, seen(key(3)))
        hub.tracer.unwatched.clear()
        hub.tracer.tell(forked(key(2), parent=key(1)), forked(key(4), parent=key(3)))
        await until(lambda: hub.tracer.unwatched)
        assert hub.tracer.unwatched == [key(2).pid]
        await stays.close()

    async def test_what_one_is_about_to_watch_nobody_else_lets_go(self, hub):
        leaving = await watching(hub, ROOT, seen(key(1)))
        coming = hub.open(ROOT)
        hub.tracer.may_answer.clear()
        arriving = asyncio.create_task(
            coming._watch(Watched(1, key(1), "test", is_root_judged=True, is_run=True))
        )
        await asyncio.sleep(0)
        hub.tracer.tell(forked(key(2), parent=key(1)))
        await leaving.close()
        hub.tracer.tell(forked(key(2), parent=key(1)))
        hub.tracer.may_answer.set()
        await arriving
        await asyncio.sleep(0)
        assert hub.tracer.unwatched == []

    async def test_what_is_not_watched_cannot_be_let_go(self, hub):
        with pytest.raises(AgentError, match="is not watched"):
            await hub.open(ROOT).unwatch(key(1))

    async def test_runs_begin_and_end(self, hub):
        feed = hub.open(ROOT)
        changes = changes_of(feed)
        hub.tracer.seen = [seen(key(1))]
        await feed._watch(Watched(1, key(1), "test", is_root_judged=True, is_run=True))
        hub.tracer.tell(exited(key(1)))
        assert [type(change) for change in changes] == [RunBegan, RunEnded]


class TestFolders:
    async def test_programs_that_start_in_one_are_watched(self, hub, tmp_path):
        feed = hub.open(os.geteuid())
        await feed.watch_folders([str(tmp_path)])
        assert hub.tracer.watched_users == (os.geteuid(),)
        with subprocess.Popen(["sleep", "60"]) as inside:
            own = procfs.read_stat(inside.pid).key
            hub.tracer.tell(execed(own, cwd=str(tmp_path / "below")))
            hub.tracer.tell(execed(key(2), cwd=str(tmp_path) + "-another"))
            hub.tracer.tell(execed(key(3), cwd=None))
            await asyncio.gather(*feed._tasks)
            inside.kill()
        assert await keys_of(feed) == {own}

    async def test_those_of_other_users_are_not(self, hub, tmp_path):
        feed = hub.open(NOBODY)
        await feed.watch_folders([str(tmp_path)])
        hub.tracer.tell(execed(procfs.read_stat(os.getpid()).key, uid=ROOT, cwd=str(tmp_path)))
        await asyncio.gather(*feed._tasks)
        assert await keys_of(feed) == set()

    async def test_users_are_let_go_with_their_folders(self, hub, tmp_path):
        first, second = hub.open(ROOT), hub.open(NOBODY)
        await first.watch_folders([str(tmp_path)])
        await second.watch_folders([str(tmp_path)])
        assert hub.tracer.watched_users == (ROOT, NOBODY)
        await first.watch_folders([])
        assert hub.tracer.watched_users == (NOBODY,)
        await second.close()
        assert hub.tracer.watched_users == ()


@contextlib.contextmanager
def tagged(value, *command, **popen):
    """A process that somebody starts with a tag, and that nobody's parent is."""
    environment = {**os.environ, "LINNIX_SESSION": value}
    with sleeping(*command, env=environment, **popen) as process:
        while not procfs.read_environ(process.pid):  # Popen returns in the middle of exec
            os.sched_yield()
        yield procfs.read_stat(process.pid).key


class TestTags:
    """The tests are not this feed's own: what they start is."""

    @pytest_asyncio.fixture
    async def feed(self, hub):
        feed = hub.open(os.geteuid())
        feed._ignored.clear()
        yield feed
        await feed.close()

    async def test_what_was_there_before_is_found(self, hub, feed):
        with tagged(TAG) as own, tagged("of-another-session"):
            await feed.watch_tag(TAG, Source.TERMINAL, "mine")
            [run] = await feed.runs()
            assert (run.key, run.label, run.source) == (own, "mine", "terminal")
        assert hub.tracer.watched_users == (os.geteuid(),)

    async def test_what_starts_later_is_found_when_it_does(self, hub, feed):
        await feed.watch_tag(TAG, Source.TASK, None)
        with tagged(TAG) as own, tagged("of-another-session") as other, sleeping() as plain:
            for process in (own, other, procfs.read_stat(plain.pid).key):
                hub.tracer.tell(execed(process, argv=("sleep", "1000")))
            await asyncio.gather(*feed._tasks)
            assert [run.key for run in await feed.runs()] == [own]

    @pytest.mark.parametrize("is_named_first", [True, False])
    async def test_what_is_found_and_named_at_the_same_time_keeps_its_name(
        self, hub, feed, tmp_path, is_named_first
    ):
        """By its tag, and by its folder."""
        await feed.watch_tag(TAG, Source.TERMINAL, None)
        await feed.watch_folders([str(tmp_path)])
        with tagged(TAG) as by_tag, sleeping(cwd=tmp_path) as other:
            by_folder = procfs.read_stat(other.pid).key
            hub.tracer.may_answer.clear()

            def start():
                hub.tracer.tell(
                    execed(by_tag, argv=("sh", "-c", "make")),
                    execed(by_folder, argv=("sh", "-c", "make"), cwd=str(tmp_path)),
                )

            if not is_named_first:
                start()
            naming = [
                asyncio.create_task(
                    feed.watch(key.pid, "task: make", is_root_judged=True, source=Source.TASK)
                )
                for key in (by_tag, by_folder)
            ]
            if is_named_first:
                start()
            # After all of them have begun.
            asyncio.get_running_loop().call_soon(hub.tracer.may_answer.set)
            await asyncio.gather(*naming)
            await asyncio.gather(*feed._tasks)
            runs = {run.key: (run.label, run.source) for run in await feed.runs()}
            assert runs == dict.fromkeys((by_tag, by_folder), ("task: make", "task"))

    async def test_what_is_below_one_that_is_just_named_is_no_run_of_its_own(self, hub, feed):
        await feed.watch_tag(TAG, Source.TERMINAL, None)
        with tagged(TAG, "sh", "-c", "sleep 1000 & wait") as shell:
            await until(lambda: procfs.children_of(shell.pid))
            child = procfs.read_stat(procfs.children_of(shell.pid)[0]).key
            hub.tracer.may_answer.clear()
            naming = asyncio.create_task(
                feed.watch(shell.pid, "task: sleep", is_root_judged=True, source=Source.TASK)
            )
            await asyncio.sleep(0)
            hub.tracer.tell(execed(child, shell))
            asyncio.get_running_loop().call_soon(hub.tracer.may_answer.set)
            await naming
            await asyncio.gather(*feed._tasks)
            os.kill(child.pid, signal.SIGKILL)
            assert [(run.key, run.label) for run in await feed.runs()] == [(shell, "task: sleep")]

    async def test_a_shell_at_a_prompt_is_no_run_but_what_it_runs_is(self, hub, feed):
        await feed.watch_tag(TAG, Source.TERMINAL, None)
        with tagged(TAG, "sh", "-i", stdin=subprocess.PIPE) as shell:
            hub.tracer.tell(execed(shell, argv=("sh", "-i")))
            await asyncio.gather(*feed._tasks)
            assert await feed.runs() == ()
            hub.tracer.tell(forked(key(1), shell), execed(key(1), shell, argv=("make",)))
            [run] = await feed.runs()
            assert (run.key, run.source) == (key(1), "terminal")

    async def test_what_we_start_ourselves_is_not_the_users(self, hub, feed):
        feed._ignored.add(procfs.read_stat(os.getpid()).key)
        with tagged(TAG, "sh", "-c", "sleep 1000 & wait") as own:
            await feed.watch_tag(TAG, Source.TASK, None)
            await until(lambda: procfs.children_of(own.pid))
            [child] = procfs.children_of(own.pid)
            hub.tracer.tell(execed(procfs.read_stat(child).key, own))
            await asyncio.gather(*feed._tasks)
            os.kill(child, signal.SIGKILL)
            assert await feed.runs() == ()

    @pytest.mark.ebpf  # needs root, for others to be there
    async def test_another_users_is_not_found_not_even_by_root(self, hub, feed):
        with tagged(TAG, user=NOBODY) as theirs:
            await feed.watch_tag(TAG, Source.TASK, None)
            hub.tracer.tell(execed(theirs, uid=NOBODY))
            await asyncio.gather(*feed._tasks)
            assert await feed.runs() == ()

    async def test_a_tag_that_is_let_go_lets_go_what_was_found(self, hub, feed):
        with tagged(TAG) as own:
            await feed.watch_tag(TAG, Source.TASK, None)
            await feed.unwatch_tag(TAG)
            hub.tracer.tell(execed(own))
            await asyncio.gather(*feed._tasks)
            assert await keys_of(feed) == set()
        assert hub.tracer.watched_users == ()

    @pytest.mark.parametrize("value", ["", "short", "x" * 101, "with space", "a=b-c-d-e", "ü" * 9,
                                       "new\nline-x", "nul\0nul-x"])  # fmt: skip
    async def test_what_is_no_tag_is_refused(self, feed, value):
        with pytest.raises(AgentError, match="8 to 100"):
            await feed.watch_tag(value, Source.TASK, None)

    async def test_only_so_many_are_looked_for(self, feed):
        for n in range(16):
            await feed.watch_tag(f"number-{n:03}", Source.TASK, None)
        await feed.watch_tag("number-003", Source.DEBUG, None)
        with pytest.raises(AgentError, match="16 tags"):
            await feed.watch_tag("number-016", Source.TASK, None)


class TestRuns:
    async def test_are_told_with_their_memory(self, hub):
        feed = hub.open(os.geteuid())
        with sleeping() as process:
            own = procfs.read_stat(process.pid).key
            hub.tracer.seen = [seen(own, argv=("sleep", "1000"))]
            await feed.watch(process.pid, "nap", is_root_judged=True, source=Source.TASK)

            async def run():
                [run] = await feed.runs()
                return run

            for _ in range(1000):
                if (await run()).rss_bytes:
                    break
                await asyncio.sleep(0.01)
            assert (await run()).rss_bytes == procfs.read_stat(process.pid).rss_bytes
            [view] = await feed.process_tree()
            assert view.rss_bytes and view.state == "sleeping"
        hub.tracer.tell(exited(own))
        [view] = await feed.process_tree()
        assert (view.rss_bytes, view.state) == (None, "ended")
        assert (await feed.run(own)).run.exit_code == 0
        assert await feed.run(key(77)) is None

    async def test_a_root_that_is_long_over_is_forgotten(self, hub):
        feed = await watching(hub, ROOT, seen(key(1)))
        feed.engine.tree.remove_tree(key(1))
        await until(lambda: not feed.is_watching)
        assert feed.engine._watched == {}


class TestStacks:
    async def test_are_those_of_all_threads_each_once(self, hub):
        feed = hub.open(os.geteuid())
        frame = StackFrame("drain", "/pump.py", 2, is_user_code=True)
        looks = [StackSnapshot(tid, (frame,), is_running=None) for tid in (7, 7, 8)]
        feed._examiner.reading = Reading("python", (looks[0],), bystanders=tuple(looks))
        with sleeping() as process:
            own = await feed.watch(process.pid, "x", is_root_judged=True)
            view = await feed.stack(own)
        assert [thread.tid for thread in view.threads] == [7, 8]
        assert view.threads[0].frames == (frame,)
        assert view.problem is None

    async def test_that_cannot_be_read_are_a_problem_in_words(self, hub):
        feed = hub.open(os.geteuid())
        with sleeping() as process:
            own = await feed.watch(process.pid, "x", is_root_judged=True)
            assert (await feed.stack(own)).problem == "nobody looks"
            idle = StackSnapshot(own.pid, (), is_running=False)
            feed._examiner.reading = Reading("node", (idle,))
            assert (await feed.stack(own)).problem == "it waits: none of its functions is running"
            editor = await feed.watch(os.getpid(), "editor")
            assert "root of a watched tree" in (await feed.stack(editor)).problem
        hub.tracer.tell(exited(own))
        assert "has ended" in (await feed.stack(own)).problem
        assert (await feed.stack(key(1))).problem == "it is not watched"

    @pytest.mark.ebpf  # needs root, for others to be there
    async def test_of_what_runs_with_other_rights_are_not_read(self, hub):
        feed = await watching(hub, NOBODY, seen(key(1), uid=NOBODY))
        with sleeping() as roots:
            own = procfs.read_stat(roots.pid).key
            hub.tracer.tell(forked(own, key(1), uid=NOBODY))
            assert "another user's rights" in (await feed.stack(own)).problem
        assert feed._examiner.requests == []


class TestTrouble:
    async def test_a_broken_tracer_is_told_to_everybody_with_its_reason(self, hub):
        feeds = [hub.open(ROOT), hub.open(NOBODY)]
        told = [changes_of(feed) for feed in feeds]
        hub.tracer.on_failure("LLVM has had enough")
        for changes, feed in zip(told, feeds, strict=True):
            [change] = changes
            assert isinstance(change, StatusChanged)
            assert change.status.state is FeedState.OFF
            assert change.status.degraded == "LLVM has had enough"
            assert feed.snapshot().status == change.status

    async def test_a_subscriber_that_raises_disturbs_no_other(self, hub):
        reported = []
        asyncio.get_running_loop().set_exception_handler(lambda _, what: reported.append(what))
        feed = hub.open(ROOT)
        feed.subscribe(lambda _change: 1 / 0)
        changes = changes_of(feed)
        hub.tracer.on_failure("it broke")
        assert len(changes) == 1
        assert isinstance(reported[0]["exception"], ZeroDivisionError)

    async def test_an_engine_that_raises_disturbs_no_other_client(self, hub):
        reported = []
        asyncio.get_running_loop().set_exception_handler(lambda _, what: reported.append(what))
        broken = hub.open(ROOT, Policy(spin=None))
        hub.tracer.seen = [seen(key(1))]
        await broken._watch(Watched(1, key(1), "test", is_root_judged=True, is_run=True))
        healthy = await watching(hub, ROOT, seen(key(1)))
        await until(lambda: len(reported) >= 2)  # so ticks go on as well
        hub.tracer.tell(forked(key(2), key(1)))
        assert await keys_of(healthy) == {key(1), key(2)}

    async def test_who_leaves_while_being_told_disturbs_nothing(self, hub):
        feed = hub.open(ROOT)
        changes = []
        unsubscribe = feed.subscribe(lambda change: (changes.append(change), unsubscribe()))
        later = changes_of(feed)
        hub.tracer.on_failure("once")
        hub.tracer.on_failure("twice")
        assert len(changes) == 1
        assert len(later) == 2

    async def test_a_closed_feed_hears_nothing(self, hub):
        feed = await watching(hub, ROOT, seen(key(1)))
        changes = changes_of(feed)
        await feed.record_inputs()
        await feed.close()
        hub.tracer.tell(forked(key(2), key(1)))
        assert changes == []

    async def test_numbers_rise_by_one(self, hub):
        feed = await watching(hub, ROOT, seen(key(1)))
        await feed.record_inputs()
        before = feed.snapshot().sequence
        numbers = []
        feed.subscribe(lambda change: numbers.append(change.sequence))
        for n in range(20):
            hub.tracer.tell(forked(key(n + 2), key(1)))
        assert numbers == [before + n + 1 for n in range(20)]

    async def test_a_recording_holds_what_this_client_was_told_and_no_more(self, hub):
        feed = await watching(hub, NOBODY, seen(key(1), uid=NOBODY))
        changes = changes_of(feed)
        await feed.record_inputs()
        hub.tracer.tell(forked(key(2), key(1), uid=NOBODY), forked(key(3), key(1), uid=ROOT))
        events = [e for c in changes if isinstance(c, InputsSeen) for e in c.events]
        assert [e.key for e in events if isinstance(e, Forked)] == [key(2)]

    async def test_an_unknown_finding_cannot_be_dismissed(self, hub):
        with pytest.raises(AgentError, match="there is no finding f7"):
            await hub.open(ROOT).dismiss("f7")


@pytest_asyncio.fixture
async def feed():
    """One that looks at real processes."""
    hub = Hub(PsutilTracer(), NoExaminer, stops_with_last_feed=True)
    await hub.start()
    feed = hub.open(os.geteuid())
    yield feed
    await feed.close()


@contextlib.asynccontextmanager
async def tree(feed, script, *arguments):
    """A watched Python program that says when it is ready; its child's key where it names one."""
    with subprocess.Popen(
        [sys.executable, "-uSc", script, *arguments], stdout=subprocess.PIPE, stdin=subprocess.PIPE,
        text=True, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            words = (await asyncio.to_thread(process.stdout.readline)).split()
            root = await feed.watch(process.pid, "test", is_run=True)
            yield [root, *(procfs.read_stat(int(word)).key for word in words)]
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def lives(process):
    stat = procfs.read_stat(process.pid)
    return stat is not None and stat.key == process and not stat.has_ended


CHILD = """
import os, signal, sys, time
pid = os.fork()
if pid == 0:
    {child}
    time.sleep(1000)
time.sleep(0.1)
print(pid)
time.sleep(1000)
"""


@pytest.mark.e2e
class TestStopping:
    async def test_exactly_that_process_ends(self, feed):
        script = CHILD.format(child="os.fork()")
        async with tree(feed, script) as (root, child):
            [grandchild] = procfs.children_of(child.pid)
            grandchild = procfs.read_stat(grandchild).key
            assert await feed.stop_process(child) is StopOutcome.STOPPED
            assert not lives(child)
            assert lives(root)
            assert lives(grandchild)

    async def test_a_tree_ends_with_all_that_is_below(self, feed):
        script = CHILD.format(child="os.fork(); os.fork()")
        async with tree(feed, script) as (root, child):
            below = [procfs.read_stat(pid).key for pid in procfs.descendants(child.pid)]
            assert len(below) == 4
            assert await feed.stop_process(child, tree=True) is StopOutcome.STOPPED
            assert not any(map(lives, below))
            assert lives(root)

    async def test_who_does_not_listen_is_killed_after_two_seconds(self, feed):
        script = CHILD.format(child="signal.signal(signal.SIGTERM, signal.SIG_IGN)")
        async with tree(feed, script) as (_, child):
            before = time.monotonic()
            assert await feed.stop_process(child) is StopOutcome.STOPPED
            assert time.monotonic() - before > 1.9
            assert not lives(child)

    async def test_who_listens_has_time_to_clear_up(self, feed, tmp_path):
        mark = tmp_path / "cleared up"
        script = CHILD.format(child=(
            "def clear_up(*_): time.sleep(0.5); open(sys.argv[1], 'w'); os._exit(0)\n"
            "    signal.signal(signal.SIGTERM, clear_up)"
        ))  # fmt: skip
        async with tree(feed, script, str(mark)) as (_, child):
            assert await feed.stop_process(child) is StopOutcome.STOPPED
        assert mark.exists()

    async def test_a_suspended_process_ends_too(self, feed, tmp_path):
        """And gets to clear up: it is woken for that."""
        mark = tmp_path / "cleared up"
        script = CHILD.format(child=(
            "signal.signal(signal.SIGTERM, lambda *_: (open(sys.argv[1], 'w'), os._exit(0)))"
        ))  # fmt: skip
        async with tree(feed, script, str(mark)) as (_, child):
            os.kill(child.pid, signal.SIGSTOP)
            assert await feed.stop_process(child) is StopOutcome.STOPPED
            assert not lives(child)
        assert mark.exists()

    async def test_who_has_gone_already_is_no_error(self, feed):
        async with tree(feed, CHILD.format(child="")) as (_, child):
            os.kill(child.pid, signal.SIGKILL)  # a zombie: its parent does not ask
            await until(lambda: not lives(child))
            assert await feed.stop_process(child) is StopOutcome.ALREADY_GONE

    async def test_a_process_without_first_thread_can_be_stopped(self, feed):
        script = CHILD.format(child=(
            "import ctypes, threading\n"
            "    threading.Thread(target=time.sleep, args=(1000,)).start()\n"
            "    ctypes.CDLL(None).pthread_exit(None)"
        ))  # fmt: skip
        async with tree(feed, script) as (_, child):
            await until(lambda: procfs.read_stat(child.pid).state == "Z")
            assert await feed.stop_process(child) is StopOutcome.STOPPED
            assert not lives(child)

    async def test_another_process_of_the_same_pid_is_spared(self, feed):
        async with tree(feed, CHILD.format(child="")) as (root, child):
            before = child._replace(start_ticks=child.start_ticks - 1)
            feed.receive((forked(before, root),))
            assert await feed.stop_process(before) is StopOutcome.ALREADY_GONE
            assert lives(child)

    async def test_the_root_of_a_watch_is_refused(self, feed):
        async with tree(feed, CHILD.format(child="")) as (root, _):
            with pytest.raises(AgentError, match="root of a watched tree"):
                await feed.stop_process(root)
            assert lives(root)

    async def test_strangers_are_refused(self, feed):
        with subprocess.Popen(["sleep", "1000"]) as stranger:
            own = procfs.read_stat(stranger.pid).key
            with pytest.raises(AgentError, match="not in a watched tree"):
                await feed.stop_process(own)
            assert lives(own)
            stranger.kill()
