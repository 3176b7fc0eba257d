"""The engine at work in this process: tracer events in, numbered changes out.

A `Hub` holds the one tracer; each client has a `LocalFeed` with an engine of its own, so that
what one client watches, dismisses or records is no other's business.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest
from weakref import WeakValueDictionary

from linnix_ls import procfs
from linnix_ls.core.changes import Change, ExaminationWanted, FindingChanged, RunBegan, RunEnded
from linnix_ls.core.engine import Engine
from linnix_ls.core.events import (
    Dismissed,
    Event,
    EventsLost,
    Examined,
    Execed,
    Exited,
    Forked,
    Ignored,
    ProbesReplaced,
    ProcessSeen,
    Sampled,
    Source,
    Ticked,
    Unwatched,
    Watched,
)
from linnix_ls.core.examination import Examination, ExaminationRequest
from linnix_ls.core.findings import State
from linnix_ls.core.history import History, RunDetail, RunSummary
from linnix_ls.core.ids import NS_PER_S, ProcessKey
from linnix_ls.core.policy import Policy
from linnix_ls.core.tree import Process, is_interactive_shell
from linnix_ls.errors import AgentError, TracerUnavailable
from linnix_ls.feed.base import (
    FeedChange,
    FeedState,
    FeedStatus,
    InputsSeen,
    ProcessState,
    ProcessView,
    Snapshot,
    StackView,
    StatusChanged,
    StopOutcome,
    ThreadStack,
    hand_out,
)
from linnix_ls.locate.base import Examiner, Reading
from linnix_ls.rights import Rights, on_behalf_of
from linnix_ls.sources import real_path
from linnix_ls.tracer.base import Tracer

TICK_INTERVAL_S = 0.1
# When nothing has happened for so long, all that time alone may show has been looked for.
QUIET_AFTER_S = 15.0
QUIET_TICK_INTERVAL_S = 1.0
KILL_AFTER_S = 2.0
RECENTLY_ENDED_S = 10.0
STOP_SIGNALS = (signal.SIGTERM, signal.SIGKILL)
MAX_ENDED_SHOWN = 300
STACK_LIMIT_S = 8.0
MAX_THREADS_SHOWN = 200
MAX_FRAMES_SHOWN = 200
MAX_ENDING = 200  # processes at once; each takes a file descriptor

CARE_INTERVAL_S = 1.0
QUIET_CARE_INTERVAL_S = 10.0
CARE_COST_FACTOR = 200  # of one CPU, what reading memory may take at most: 0.5 %
# For the dead, after events were lost: each has to be missed twice, and who is seen again after a
# loss may have ended meanwhile.
SEARCHES_AFTER_A_LOSS = 4
MAX_ANCESTORS = 64
TAG_VARIABLE = b"LINNIX_SESSION"
MAX_TAGS = 16
MAX_ROOTS = 500
MAX_IGNORED = 500
MAX_LOOKS_OF_USER = 8  # at once, by all clients of a user
_TAG_VALUE = re.compile(r"[A-Za-z0-9._-]{8,100}")

# Or about what this client itself has said.
_ABOUT_NOBODY = (
    *(Ticked, EventsLost, ProbesReplaced),
    *(Watched, Unwatched, Ignored, Examined, Dismissed),
)

MakeExaminer = Callable[["LocalFeed"], Examiner]


@dataclass(frozen=True, slots=True)
class _Tag:
    """What is watched by it was started by `source`, and is called `label`."""

    source: Source
    label: str | None


class Hub:
    """One tracer, and the feeds that share it.

    Args:
        degraded, fix: why this tracer and not a better one, if so.
        on_failure: called when the tracer breaks down.
        stops_with_last_feed: for a hub that exists for one feed only.
    """

    def __init__(
        self,
        tracer: Tracer,
        make_examiner: MakeExaminer,
        *,
        degraded: str | None = None,
        fix: str | None = None,
        on_failure: Callable[[], None] | None = None,
        stops_with_last_feed: bool = False,
    ) -> None:
        self.tracer = tracer
        self.make_examiner = make_examiner
        self._report_failure = on_failure
        self._stops_with_last_feed = stops_with_last_feed
        self.status = FeedStatus(FeedState.LOADING, tracer.name, degraded or tracer.degraded, fix)
        self._feeds: list[LocalFeed] = []
        self._ticker: asyncio.Task[None] | None = None
        self._releasing: asyncio.Task[None] | None = None
        self._something_happens = asyncio.Event()
        self._last_happened_s = 0.0
        self._looks: WeakValueDictionary[int, asyncio.Semaphore] = WeakValueDictionary()

    async def start(self) -> None:
        """Load the tracer.

        Raises:
            TracerUnavailable: it cannot work here.
        """
        await self.tracer.start(self._deliver, self._on_failure)
        self.status = FeedStatus(
            FeedState.WATCHING, self.tracer.name, self.status.degraded, self.status.fix
        )
        self._ticker = asyncio.create_task(self._tick_for_ever())

    def open(
        self, uid: int, policy: Policy | None = None, rights: Rights | None = None
    ) -> LocalFeed:
        """A feed for one client, which sees processes of `uid` only; of all for root. Files that
        these processes name are opened with `rights`; None: ours."""
        feed = LocalFeed(self, uid, policy or Policy(), rights)
        self._feeds.append(feed)
        return feed

    def looks_of(self, uid: int) -> asyncio.Semaphore:
        """To be held while a process is looked at for that user: looks of one user, by however
        many clients, leave threads and CPU for those of others."""
        return self._looks.setdefault(uid, asyncio.Semaphore(MAX_LOOKS_OF_USER))

    async def discard(self, feed: LocalFeed) -> None:
        """Forget a feed; what only it watched is watched no longer."""
        if feed in self._feeds:
            self._feeds.remove(feed)
            await self.release(feed.living())
            await self.update_users()
            if self._stops_with_last_feed and not self._feeds:
                await self.stop()

    async def release(self, keys: Collection[ProcessKey]) -> None:
        """Stop watching those that no feed knows. Those that one is about to know may be among
        them: what has to wait for that is found again by what it does."""
        if any(feed.is_expecting for feed in self._feeds):
            return
        pids = [key.pid for key in keys if not self._is_known(key)]
        if pids:
            with contextlib.suppress(TracerUnavailable):
                await self.tracer.unwatch(pids)

    def _is_known(self, key: ProcessKey) -> bool:
        return any(feed.engine.tree.get(key) is not None for feed in self._feeds)

    async def catch_up(self) -> None:
        """Until what has happened before this has been told."""
        with contextlib.suppress(TracerUnavailable):
            await self.tracer.unwatch(())  # an answer comes after all that was there to tell

    async def update_users(self) -> None:
        """Tell the tracer whose new processes may be somebody's business."""
        uids = {feed.uid for feed in self._feeds if feed.wants_strangers}
        with contextlib.suppress(TracerUnavailable):
            await self.tracer.watch_users(sorted(uids))

    async def stop(self) -> None:
        """Detach everything."""
        if self._ticker is not None:
            self._ticker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticker
        if self._releasing is not None:
            await self._releasing
        await self.tracer.stop()

    def stir(self) -> None:
        """Something happens: time matters again."""
        self._last_happened_s = time.monotonic()
        self._something_happens.set()

    def _deliver(self, events: Sequence[Event]) -> None:
        # Not by what only might have been somebody's business.
        n_concerned = sum(self._tell(feed, events) for feed in tuple(self._feeds))
        if n_concerned:
            self.stir()
        self._release_strays(events)

    def _release_strays(self, events: Sequence[Event]) -> None:
        """What was born while its tree was let go is watched still, and so is all that it starts,
        for nobody."""
        strays = {
            event.key
            for event in events
            if isinstance(event, (Forked, Sampled)) and not self._is_known(event.key)
        }
        if strays and (self._releasing is None or self._releasing.done()):
            self._releasing = asyncio.create_task(self.release(strays))

    @staticmethod
    def _tell(feed: LocalFeed, events: Sequence[Event]) -> bool:
        try:
            return feed.receive(events)
        except Exception as error:  # noqa: BLE001 - a bug in one engine must not stop the others
            asyncio.get_running_loop().call_exception_handler(
                {"message": "the engine of a feed raised", "exception": error}
            )
            return True

    def _on_failure(self, reason: str) -> None:
        self.status = FeedStatus(FeedState.OFF, self.tracer.name, reason, None)
        for feed in self._feeds:
            feed.publish(StatusChanged(feed.snapshot().status))
        if self._report_failure is not None:
            self._report_failure()

    async def _tick_for_ever(self) -> None:
        n_cpus = os.cpu_count() or 1
        while True:
            await asyncio.sleep(TICK_INTERVAL_S)
            is_quiet = time.monotonic() - self._last_happened_s > QUIET_AFTER_S
            if is_quiet or not any(feed.is_watching for feed in self._feeds):
                await self._rest()
            tick = Ticked(time.monotonic_ns(), n_cpus, procfs.read_n_runnable())
            for feed in tuple(self._feeds):
                if feed.is_watching:
                    self._tell(feed, (tick,))
                    feed.take_care(is_quiet=is_quiet)

    async def _rest(self) -> None:
        """Until something happens; of trees that are watched it is seen now and then all the same
        how they are."""
        self._something_happens.clear()
        is_watching = any(feed.is_watching for feed in self._feeds)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(QUIET_TICK_INTERVAL_S if is_watching else None):
                await self._something_happens.wait()


class LocalFeed:
    """See `feed.base.Feed`."""

    def __init__(self, hub: Hub, uid: int, policy: Policy, rights: Rights | None = None) -> None:
        self.uid = uid
        self._rights = rights
        # Microseconds: a later history of this machine begins above all versions of this one.
        self.engine = Engine(policy, history=History(time.monotonic_ns() // 1_000))
        self._hub = hub
        self._examiner = hub.make_examiner(self)
        self._callbacks: list[Callable[[FeedChange], None]] = []
        self._sequence = 0
        self._roots: dict[ProcessKey, str] = {}
        self._folders: tuple[str, ...] = ()
        # By whom it is, not by pid: these are used again.
        self._ignored = {own.key} if (own := procfs.read_stat(os.getpid())) else set()
        self._tags: dict[bytes, _Tag] = {}
        self._tagged: dict[ProcessKey, bytes] = {}  # roots that were found by a tag
        self._arriving: set[ProcessKey] = set()
        self._next_care_s = 0.0
        self._n_searches_left = 0
        self._missed: set[ProcessKey] = set()  # in the search before
        self._is_recording = False
        self.may_attach_to_jvm = True
        self._tasks: set[asyncio.Task[None]] = set()

    # -- what the hub asks ---------------------------------------------------------------------

    @property
    def is_watching(self) -> bool:
        return bool(self._roots)

    @property
    def wants_strangers(self) -> bool:
        """Whether processes outside its trees may be its business."""
        return bool(self._folders or self._tags)

    @property
    def is_expecting(self) -> bool:
        """Whether the tracer watches for it already what it does not know yet."""
        return bool(self._arriving)

    def living(self) -> list[ProcessKey]:
        """All processes in its trees that have not ended."""
        return [process.key for process in self.engine.tree.alive()]

    def recent_user_stacks(self, key: ProcessKey) -> list[tuple[int, ...]]:
        """User-space addresses of the last samples of the thread that runs most, innermost
        first."""
        process = self.engine.tree.get(key)
        samples = [sample for sample in process.samples if sample.user_ips] if process else []
        busiest = Counter(sample.tid for sample in samples).most_common(1)
        return [sample.user_ips for sample in samples if sample.tid == busiest[0][0]]

    def receive(self, events: Sequence[Event]) -> bool:
        """Feed the engine and pass on what it says. False if none of it was this client's
        business."""
        heard: list[Event] = []
        for event in events:
            permitted = self._permitted(event)
            if permitted is not None:
                heard.append(permitted)
                self._handle(self.engine.receive(permitted))
        if self._is_recording and heard:
            self.publish(InputsSeen(tuple(heard)))
        if any(isinstance(event, EventsLost) for event in heard):
            self._n_searches_left = SEARCHES_AFTER_A_LOSS
        return bool(heard)

    def _bury_the_unseen_dead(self, living: Mapping[ProcessKey, procfs.Stat]) -> None:
        """Among what was lost may be exits: nobody else will ever tell of them. Who is missed for
        the first time may have ended just now, and be told of yet."""
        self._n_searches_left -= 1
        now_ns = time.monotonic_ns()
        missed = {
            process.key
            for process in self.engine.tree.alive()
            if (
                stat.has_ended
                if (stat := living.get(process.key))
                else procfs.has_gone(process.key)
            )
        }
        gone = self._missed & missed
        self._missed = missed - gone if self._n_searches_left else set()
        self.receive([Exited(now_ns, key, exit_code=None, term_signal=None) for key in gone])

    def publish(
        self, change: FindingChanged | RunBegan | RunEnded | StatusChanged | InputsSeen
    ) -> None:
        """Number a change and hand it out."""
        self._sequence += 1
        hand_out(FeedChange(self._sequence, change), self._callbacks)

    def _permitted(self, event: Event) -> Event | None:
        """The event as far as it is this client's business, else None."""
        if isinstance(event, _ABOUT_NOBODY):
            return event
        is_known = self.engine.tree.get(event.key) is not None
        if isinstance(event, (Forked, Execed, ProcessSeen)):
            if self.uid not in (0, event.uid):
                # sudo and the like: from here on it is somebody else's.
                return Ignored(event.ktime_ns, event.key) if is_known else None
            if isinstance(event, Execed) and not is_known:
                self._consider(event)
                return None
            if isinstance(event, Forked):
                is_known = self.engine.tree.get(event.parent) is not None
        elif isinstance(event, Exited):
            is_known = is_known or event.key in self.engine.ignored
        return event if is_known or isinstance(event, ProcessSeen) else None

    def _handle(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if isinstance(change, ExaminationWanted):
                self._start(self._examine(change.request))
            else:
                self.publish(change)

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _examine(self, request: ExaminationRequest) -> None:
        ancestors = []
        run = self.engine.run_of(request.key)
        for ancestor in self.engine.tree.ancestors(request.key):
            if run is None or request.key == run.key:
                break
            ancestors.append(ancestor.key)
            if ancestor.key == run.key:
                break
        examination = Examination(request.id, request.key, request.depth, True, 0.0, None)
        with contextlib.suppress(TracerUnavailable, TimeoutError, OSError):
            # Else the tracer has died under it, or other clients look at it all the time; the
            # engine asks again if it wants to know.
            async with self._hub.looks_of(self.uid):
                if self._may_look_at(request.key):
                    with on_behalf_of(self._rights):
                        seen = await self._examiner.examine(request, ancestors)
                    if seen.is_gone or self._may_look_at(request.key):
                        examination = seen
        self.receive((Examined(time.monotonic_ns(), examination),))

    def _may_look_at(self, key: ProcessKey) -> bool:
        """Not if it runs with another's rights: its memory is not this client's to read. Asked
        before and after, for it may become another's at any moment."""
        return self.uid in (0, procfs.read_uid(key.pid))

    def _consider(self, event: Execed) -> None:
        """A program that started outside of the trees."""
        if event.key in self._ignored or event.parent in self._ignored:
            return
        value = self._tag_of(event.key.pid) if self._tags else None
        if value is not None:
            self._start(self._watch_tagged(event.key, value, event.argv, event.comm))
        elif event.cwd is not None and any(
            event.cwd == folder or event.cwd.startswith(folder + "/") for folder in self._folders
        ):
            is_run = not is_interactive_shell(event.argv, event.comm)
            now_ns = time.monotonic_ns()
            watched = Watched(now_ns, event.key, event.cwd, is_run, is_run, Source.FOLDER)
            self._start(self._watch_found(watched))

    async def _watch_found(self, watched: Watched, tag: bytes | None = None) -> None:
        """Unless somebody else watches it by now: what a client has just named, and what is below
        that, is not in the tree yet, and would lose its name by this."""
        key = watched.key
        if self.engine.tree.get(key) is not None or _is_below(key, self._arriving):
            return
        if tag is not None:
            self._tagged[key] = tag
        with contextlib.suppress(AgentError):  # it has gone already
            await self._watch(watched)

    # -- tags ----------------------------------------------------------------------------------

    def _tag_of(self, pid: int) -> bytes | None:
        """Of an environment nothing else is looked at, and nothing kept."""
        if procfs.read_uid(pid) != self.uid:
            return None
        value = procfs.read_variable(pid, TAG_VARIABLE)
        return value if value in self._tags else None

    def _find_tagged(self) -> list[tuple[ProcessSeen, bytes]]:
        """Living ones, the oldest first. Blocks."""
        found = []
        for pid in procfs.all_pids():
            if value := self._tag_of(pid):
                process = procfs.see(pid, time.monotonic_ns())
                if process is not None:
                    found.append((process, value))
        return sorted(found, key=lambda pair: pair[0].key.start_ticks)

    async def _watch_tagged(
        self, key: ProcessKey, value: bytes, argv: tuple[str, ...], comm: str
    ) -> None:
        tag = self._tags.get(value)
        if tag is None or _is_below(key, self._ignored):  # we inherit it, as all do
            return
        is_run = not is_interactive_shell(argv, comm)
        now_ns = time.monotonic_ns()
        watched = Watched(now_ns, key, tag.label or "", is_run, is_run, tag.source)
        await self._watch_found(watched, value)

    # -- now and then --------------------------------------------------------------------------

    def take_care(self, *, is_quiet: bool) -> None:
        """Called with each tick; does at most once a second what need not be done more often, and
        seldom when nothing happens: who does not run needs no more memory."""
        if time.monotonic() >= self._next_care_s + is_quiet * QUIET_CARE_INTERVAL_S:
            self._next_care_s = math.inf
            self._start(self._take_care())

    async def _take_care(self) -> None:
        began_s = time.monotonic()
        try:
            for key in [key for key in self._roots if key not in self._arriving]:
                if self.engine.tree.get(key) is None:  # it ended long ago, and all below it
                    self._forget_root(key)
                    self.receive((Unwatched(time.monotonic_ns(), key),))
            await self._forget_the_gone()
            living = self.engine.history.living()
            keys = [key for keys in living.values() for key in keys]
            if self._n_searches_left:
                keys = [process.key for process in self.engine.tree.alive()]
            stats = await asyncio.to_thread(_read_stats, keys) if keys else {}
            if self._n_searches_left:
                self._bury_the_unseen_dead(stats)
            self.engine.history.use_memory(
                {
                    run: sum(stats[key].rss_bytes for key in keys if key in stats)
                    for run, keys in living.items()
                }
            )
        finally:
            now_s = time.monotonic()
            self._next_care_s = now_s + max(CARE_INTERVAL_S, CARE_COST_FACTOR * (now_s - began_s))

    async def _forget_the_gone(self) -> None:
        """Of those who are ignored: nobody tells of their ends, for they are not followed."""
        gone = await asyncio.to_thread(_gone_of, self._ignored | self.engine.ignored)
        self._ignored -= gone
        now_ns = time.monotonic_ns()
        self.receive([Exited(now_ns, key, exit_code=None, term_signal=None) for key in gone])

    def _forget_root(self, key: ProcessKey) -> bool:
        self._tagged.pop(key, None)
        return self._roots.pop(key, None) is not None

    # -- what clients ask ----------------------------------------------------------------------

    async def status(self) -> FeedStatus:
        return self._status()

    def _status(self) -> FeedStatus:
        hub_status = self._hub.status
        return FeedStatus(
            state=hub_status.state,
            tracer=hub_status.tracer,
            degraded=hub_status.degraded,
            fix=hub_status.fix,
            n_received=self.engine.n_received,
            n_lost=self.engine.n_lost,
            n_processes=self.engine.tree.n_processes_seen,
        )

    def snapshot(self) -> Snapshot:
        findings = tuple(f for f in self.engine.findings.values() if f.state is not State.CLEARED)
        return Snapshot(self._sequence, self._status(), findings)

    def subscribe(self, callback: Callable[[FeedChange], None]) -> Callable[[], None]:
        self._callbacks.append(callback)

        def unsubscribe() -> None:
            with contextlib.suppress(ValueError):
                self._callbacks.remove(callback)

        return unsubscribe

    async def watch(
        self,
        pid: int,
        label: str,
        *,
        is_run: bool = False,
        is_root_judged: bool = False,
        source: Source = Source.OTHER,
    ) -> ProcessKey:
        stat = procfs.read_stat(pid)
        if stat is None:
            if procfs.is_there(pid):
                raise AgentError(f"process {pid} cannot be looked at now", fix="try again later")
            raise AgentError(f"there is no process {pid}")
        if self.uid not in (0, procfs.read_uid(pid)):
            raise AgentError(f"process {pid} belongs to another user")
        watched = Watched(time.monotonic_ns(), stat.key, label, is_root_judged, is_run, source)
        await self._watch(watched)
        return stat.key

    async def _watch(self, watched: Watched) -> None:
        key = watched.key
        if len(self._roots) >= MAX_ROOTS and key not in self._roots:
            raise AgentError(
                f"{MAX_ROOTS} processes are watched already", fix="watch one above them instead"
            )
        self._roots[key] = watched.label
        self._hub.stir()
        self._arriving.add(key)
        self.receive((watched,))
        try:
            seen = await self._hub.tracer.watch(key, ignored=self._ignored)
        except TracerUnavailable as error:
            raise AgentError(error.message, fix=error.fix) from error
        finally:
            self._arriving.discard(key)
        if not seen:
            self._forget_root(key)
            raise AgentError(f"process {key.pid} has gone")
        self.receive(seen)

    async def unwatch(self, key: ProcessKey) -> None:
        if not self._forget_root(key):
            raise AgentError(f"process {key.pid} is not watched")
        keys = [p.key for p in self.engine.tree.descendants(key) if p.is_alive] + [key]
        self.receive((Unwatched(time.monotonic_ns(), key),))
        await self._hub.release(keys)

    async def watch_tag(self, value: str, source: Source, label: str | None) -> None:
        if not _TAG_VALUE.fullmatch(value):
            raise AgentError("a tag is 8 to 100 letters, digits, dots, dashes and underscores")
        if len(self._tags) >= MAX_TAGS and value.encode() not in self._tags:
            raise AgentError(f"more than {MAX_TAGS} tags are watched already")
        self._tags[value.encode()] = _Tag(source, label)
        await self._hub.update_users()
        # Those that start from here on are told of; these were there before.
        for process, found in await asyncio.to_thread(self._find_tagged):
            await self._watch_tagged(process.key, found, process.argv, process.comm)

    async def unwatch_tag(self, value: str) -> None:
        self._tags.pop(value.encode(), None)
        for key in [key for key, tag in self._tagged.items() if tag == value.encode()]:
            with contextlib.suppress(AgentError):
                await self.unwatch(key)
        await self._hub.update_users()

    async def ignore(self, pid: int) -> None:
        stat = procfs.read_stat(pid)
        if stat is None:
            return
        if len(self._ignored | {stat.key}) > MAX_IGNORED:
            await self._forget_the_gone()
            if len(self._ignored) >= MAX_IGNORED:
                raise AgentError(f"{MAX_IGNORED} processes are ignored already")
        self._ignored.add(stat.key)
        self.receive((Ignored(time.monotonic_ns(), stat.key),))

    async def watch_folders(self, folders: Sequence[str]) -> None:
        # Off the loop: a path of a client's choice may lead to a disk that does not answer.
        with on_behalf_of(self._rights):
            self._folders = await asyncio.to_thread(_real_paths, folders)
        await self._hub.update_users()

    async def allow_jvm_attach(self, is_allowed: bool) -> None:
        self.may_attach_to_jvm = is_allowed

    async def use_thresholds(self, policy: Policy) -> None:
        self.engine.policy = policy

    async def process_tree(self) -> tuple[ProcessView, ...]:
        living = [process.key for process in self.engine.tree.alive()]
        stats = await asyncio.to_thread(_read_stats, living)
        now_ns = time.monotonic_ns()
        views = []
        for process in self._shown_processes(now_ns):
            run = self.engine.run_of(process.key)
            stat = stats.get(process.key)
            end_ns = process.exited_ns or now_ns
            views.append(
                ProcessView(
                    key=process.key,
                    parent=process.parent,
                    run=run.key if run else None,
                    comm=process.comm,
                    argv=process.argv,
                    cwd=process.cwd,
                    on_cpu_cores=round(process.on_cpu_ns(now_ns - NS_PER_S) / NS_PER_S, 2),
                    age_s=round((end_ns - process.started_ns) / NS_PER_S, 2),
                    exit_code=process.exit_code,
                    term_signal=process.term_signal,
                    has_ended=not process.is_alive,
                    n_forks=process.n_forks,
                    rss_bytes=stat.rss_bytes if stat and process.is_alive else None,
                    state=_state(process, stat),
                )
            )
        return tuple(views)

    def _shown_processes(self, now_ns: int) -> list[Process]:
        """The living, and of the dead the last ones: of a storm there are thousands a second."""
        since_ns = now_ns - RECENTLY_ENDED_S * NS_PER_S
        ended = [p.exited_ns for p in self.engine.tree if (p.exited_ns or 0) >= since_ns]
        if len(ended) > MAX_ENDED_SHOWN:
            since_ns = max(since_ns, nlargest(MAX_ENDED_SHOWN, filter(None, ended))[-1])
        return [p for p in self.engine.tree if p.is_alive or (p.exited_ns or 0) >= since_ns]

    async def runs(self) -> tuple[RunSummary, ...]:
        return self.engine.history.summaries(time.monotonic_ns())

    async def run(self, key: ProcessKey, since: int | None = None) -> RunDetail | None:
        return self.engine.history.detail(key, since, time.monotonic_ns())

    async def stack(self, key: ProcessKey) -> StackView:
        process = self.engine.tree.get(key)
        if process is None:
            return StackView((), "it is not watched", 0.0)
        if not process.is_judged:
            return StackView((), "it is the root of a watched tree, which is not looked at", 0.0)
        not_theirs = StackView((), "it has ended, or runs with another user's rights", 0.0)
        if not process.is_alive or not self._may_look_at(key):
            return not_theirs
        began_s = time.monotonic()
        threads: tuple[ThreadStack, ...] = ()
        try:
            async with asyncio.timeout(STACK_LIMIT_S):
                async with self._hub.looks_of(self.uid):
                    with on_behalf_of(self._rights):
                        reading = await self._examiner.look(key)
            if reading.stacks and not self._may_look_at(key):
                return not_theirs
            threads = tuple(_threads(reading))
            problem = "; ".join(reading.notes) or "what it runs does not show its stacks"
            if reading.stacks and not threads:
                problem = "it waits: none of its functions is running"
        except TimeoutError:
            problem = "it could not be read in time: it is busy, or others look at it"
        except OSError as error:
            problem = f"it could not be read: {error.strerror}"
        took_s = round(time.monotonic() - began_s, 3)
        return StackView(threads, None if threads else problem, took_s)

    async def stop_process(self, key: ProcessKey, *, tree: bool = False) -> StopOutcome:
        process = self.engine.tree.get(key)
        if process is None:
            raise AgentError(f"process {key.pid} is not in a watched tree")
        if not process.is_judged:
            raise AgentError(f"process {key.pid} is the root of a watched tree: not ours to stop")
        if (
            self.engine.run_of(key) is None
            and not process.is_forked_copy
            and is_interactive_shell(process.argv, process.comm)
        ):
            raise AgentError(f"process {key.pid} is a shell at a prompt, not what runs in it")
        if self.uid not in (0, process.uid):
            raise AgentError(f"process {key.pid} belongs to another user")
        if not tree:
            return await _terminate(key, self.uid)
        # Parents first: a parent that lives on could start its children anew.
        outcomes = await self._terminate_all([key, *self._living_below(key)])
        # What is born while the others end may be clearing up after them; not for long.
        began_s = time.monotonic()
        while left := await self._left_below(key):
            waited_s = time.monotonic() - began_s
            if waited_s > 3 * KILL_AFTER_S:
                raise AgentError(f"below process {key.pid} new ones are born all the time")
            if waited_s > KILL_AFTER_S:
                await self._kill_together(key, left)
        is_stopped = StopOutcome.STOPPED in outcomes
        return StopOutcome.STOPPED if is_stopped else StopOutcome.ALREADY_GONE

    async def _kill_together(self, key: ProcessKey, left: Sequence[ProcessKey]) -> None:
        """Where each that ends makes room for another one: none goes on before all are ended."""
        held: dict[ProcessKey, None] = {}
        while new := [each for each in left if each not in held]:
            for each in new:
                _suspend(each, self.uid)
            held |= dict.fromkeys(new)
            left = await self._left_below(key)
        await self._terminate_all([*held], (signal.SIGKILL,))

    async def _left_below(self, key: ProcessKey) -> list[ProcessKey]:
        """Who lives there, when all births until now have been told."""
        await asyncio.sleep(TICK_INTERVAL_S)
        await self._hub.catch_up()
        return self._living_below(key)

    def _living_below(self, key: ProcessKey) -> list[ProcessKey]:
        """Parents first. By /proc's word: the end of a process may be among the events lost."""
        return [
            process.key
            for process in self.engine.tree.descendants(key)
            if process.is_alive and not _has_ended(process.key)
        ]

    async def _terminate_all(
        self, keys: Sequence[ProcessKey], signals: Sequence[signal.Signals] = STOP_SIGNALS
    ) -> list[StopOutcome]:
        places = asyncio.Semaphore(MAX_ENDING)

        async def terminate(key: ProcessKey) -> StopOutcome:
            async with places:
                return await _terminate(key, self.uid, signals)

        outcomes = await asyncio.gather(*map(terminate, keys), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]

    async def dismiss(self, finding_id: str) -> None:
        if finding_id not in self.engine.findings:
            raise AgentError(f"there is no finding {finding_id}")
        self.receive((Dismissed(time.monotonic_ns(), finding_id),))

    @property
    def playground(self) -> None:
        return None

    async def record_inputs(self) -> None:
        self._is_recording = True

    async def close(self) -> None:
        self._callbacks.clear()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._hub.discard(self)


def _real_paths(folders: Sequence[str]) -> tuple[str, ...]:
    return tuple(real_path(folder) for folder in folders if folder)


def _gone_of(keys: Collection[ProcessKey]) -> set[ProcessKey]:
    return {key for key in keys if procfs.has_gone(key)}


def _is_below(key: ProcessKey, keys: Collection[ProcessKey]) -> bool:
    """Whether it is one of them, or one of them is above it now."""
    stat = procfs.read_stat(key.pid) if keys else None
    for _ in range(MAX_ANCESTORS):
        if key in keys:
            return True
        stat = procfs.read_stat(stat.ppid) if stat and stat.ppid else None
        if stat is None:
            return False
        key = stat.key
    return False


def _threads(reading: Reading) -> Iterator[ThreadStack]:
    """Each once, those that the reader thinks most of first."""
    tids: set[int] = set()
    for stack in (*reading.stacks, *reading.bystanders):
        if stack.frames and stack.tid not in tids and len(tids) < MAX_THREADS_SHOWN:
            tids.add(stack.tid)
            yield ThreadStack(stack.tid, stack.is_running, stack.frames[:MAX_FRAMES_SHOWN])


def _read_stats(keys: Sequence[ProcessKey]) -> dict[ProcessKey, procfs.Stat]:
    """Of those that are still there."""
    stats = (procfs.read_stat(key.pid) for key in keys)
    wanted = frozenset(keys)
    return {stat.key: stat for stat in stats if stat and stat.key in wanted}


_STATES = {
    "R": ProcessState.RUNNING,
    "S": ProcessState.SLEEPING,
    "I": ProcessState.SLEEPING,
    "D": ProcessState.UNINTERRUPTIBLE,
    "T": ProcessState.STOPPED,
    "t": ProcessState.STOPPED,
    "Z": ProcessState.ZOMBIE,
}


def _state(process: Process, stat: procfs.Stat | None) -> ProcessState:
    if not process.is_alive:
        return ProcessState.ENDED
    return _STATES.get(stat.state, ProcessState.UNKNOWN) if stat else ProcessState.UNKNOWN


def _suspend(key: ProcessKey, uid: int) -> None:
    """This very process and no other, if that is possible."""
    with contextlib.suppress(OSError):
        pidfd = os.pidfd_open(key.pid)
        try:
            if not _has_ended(key) and procfs.may_signal(uid, key.pid):
                signal.pidfd_send_signal(pidfd, signal.SIGSTOP)
        finally:
            os.close(pidfd)


def _has_ended(key: ProcessKey) -> bool:
    stat = procfs.read_stat(key.pid)
    return stat is None or stat.key != key or stat.has_ended


async def _terminate(
    key: ProcessKey, uid: int, signals: Sequence[signal.Signals] = STOP_SIGNALS
) -> StopOutcome:
    """One signal after the other until it ends; to this very process and no other."""
    try:
        pidfd = os.pidfd_open(key.pid)
    except ProcessLookupError:
        return StopOutcome.ALREADY_GONE
    except OSError as error:
        raise AgentError(f"process {key.pid} cannot be stopped now: {error.strerror}") from error
    try:
        # The pidfd stands for whoever has this pid now; from here on it cannot change.
        if _has_ended(key):
            return StopOutcome.ALREADY_GONE
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(pidfd, ended.set)
        try:
            for wanted in signals:
                # Each time: it may have become another's since, by a set-user-id program.
                if not procfs.may_signal(uid, key.pid):
                    if _has_ended(key):
                        return StopOutcome.STOPPED
                    raise AgentError(f"process {key.pid} runs with another user's rights")
                try:
                    signal.pidfd_send_signal(pidfd, wanted)
                    signal.pidfd_send_signal(pidfd, signal.SIGCONT)  # it may be suspended
                except ProcessLookupError:
                    return StopOutcome.STOPPED
                except PermissionError as error:
                    raise AgentError(f"not permitted to stop process {key.pid}") from error
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(ended.wait(), KILL_AFTER_S)
                    return StopOutcome.STOPPED
        finally:
            loop.remove_reader(pidfd)
        raise AgentError(f"process {key.pid} does not end: it hangs in the kernel")
    finally:
        os.close(pidfd)
