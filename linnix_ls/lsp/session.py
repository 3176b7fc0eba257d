"""Holds on to a feed: opens it, says what to watch, and opens it again when it is lost.

No LSP here: who wants to know implements `Listener`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import TYPE_CHECKING, Protocol

from linnix_ls import procfs
from linnix_ls.core.changes import FindingChanged, RunBegan
from linnix_ls.core.events import Source
from linnix_ls.core.findings import Finding
from linnix_ls.core.ids import ProcessKey
from linnix_ls.errors import AgentError, AgentTooOld, LinnixError
from linnix_ls.feed.base import Feed, FeedChange, FeedState, FeedStatus, StatusChanged
from linnix_ls.lsp.known import KnownFindings
from linnix_ls.lsp.text import with_fix

if TYPE_CHECKING:
    from linnix_ls.config import Settings

logger = logging.getLogger(__name__)

RETRY_DELAYS_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
# Whether an agent has come, for who watches without. A socket alone may be a dead one's.
LOOK_DELAYS_S = (2.0, 2.0, 2.0, 2.0, 5.0)
# So many may have ended unnoticed.
MAX_UNLOOKED_WATCHES = 32
# Whether what an agent that has gone had found is over.
_LOOK_AFTER_S = 1.0
_STABLE_AFTER_S = 10.0
_CLOSE_LIMIT_S = 0.5
_STATUS_LIMIT_S = 2.0


class OpenFeed(Protocol):
    def __call__(
        self, settings: Settings, *, on_progress: Callable[[str], None]
    ) -> Awaitable[Feed]: ...


class Listener(Protocol):
    """Called on the loop's thread."""

    def findings_changed(self, changed: Sequence[Finding]) -> None:
        """`FeedSession.findings` is another one now; `changed` are new, updated or cleared."""
        ...

    def status_changed(self) -> None: ...

    def feed_opening(self) -> None: ...

    def feed_progressed(self, text: str) -> None: ...

    def feed_settled(self) -> None:
        """Opening has succeeded or failed; the status says which."""
        ...

    def tell(self, text: str, *, is_problem: bool) -> None:
        """Something a user should be able to read later. Said once per thing, not per try."""
        ...


@dataclass(slots=True)
class _Watch:
    label: str
    is_root_judged: bool
    source: Source
    key: ProcessKey | None = None


class FeedSession:
    """See the module.

    Attributes:
        known: the findings, under ids that stay theirs whichever feed tells of them.
        status: of the feed, or why there is none.
    """

    def __init__(
        self,
        open_feed: OpenFeed,
        listener: Listener,
        retry_delays_s: Sequence[float] = RETRY_DELAYS_S,
        look_delays_s: Sequence[float] = LOOK_DELAYS_S,
    ) -> None:
        self.known = KnownFindings()
        self.status = FeedStatus(FeedState.LOADING)
        self._open_feed = open_feed
        self._settings: Settings
        self._listener = listener
        self._retry_delays_s = retry_delays_s
        self._look_delays_s = look_delays_s
        self._watches: dict[int, _Watch] = {}
        self._n_watches_to_look_at = MAX_UNLOOKED_WATCHES
        self._tags: dict[str, tuple[Source, str | None]] = {}
        self._folders: tuple[str, ...] = ()
        self._feed: Feed | None = None
        self._settled = asyncio.Event()
        self._reopen = asyncio.Event()
        self._is_outage_told = False
        self._told_degraded: str | None = None
        self._told_hint: str | None = None
        self._task: asyncio.Task[None] | None = None
        self._looking_after: asyncio.Task[None] | None = None

    @property
    def findings(self) -> dict[str, Finding]:
        """All that are not cleared, by id."""
        return self.known.by_id

    def start(self, settings: Settings) -> None:
        self._settings = settings
        self._task = asyncio.create_task(self._keep_open())

    async def close(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._looking_after:
            self._looking_after.cancel()

    async def set_settings(self, settings: Settings) -> None:
        """Open another feed if these settings ask for that; thresholds the open one takes at once.
        Only after `start`."""
        before, self._settings = self._settings, settings
        for name in ("enable", "tracer", "agent_socket", "attach_to_jvm"):
            if getattr(before, name) != getattr(settings, name):
                self._reopen.set()
        if _watched(before, self._folders) != _watched(settings, self._folders):
            await self._watch_folders()
        if before.thresholds != settings.thresholds:
            await self._use_thresholds()

    async def set_folders(self, folders: Sequence[str]) -> None:
        self._folders = tuple(folders)
        await self._watch_folders()

    async def watch(
        self, pid: int, label: str, *, is_root_judged: bool, source: Source
    ) -> ProcessKey:
        """Watch a process, and again after a reconnection if it is still the same one.

        Raises:
            AgentError: no such process, not permitted, or no feed.
        """
        feed = await self.feed()
        key = await feed.watch(pid, label, is_root_judged=is_root_judged, source=source)
        if len(self._watches) >= self._n_watches_to_look_at:
            await asyncio.to_thread(self._forget_ended)
        self._watches[pid] = _Watch(label, is_root_judged, source, key)
        return key

    def _forget_ended(self) -> None:
        """A client names each task and terminal, and need not say when they end. Not at each: the
        next look is when there are twice as many as have been found alive."""
        for pid, watch in list(self._watches.items()):
            stat = procfs.read_stat(pid)
            if watch.key and (stat is None or stat.key != watch.key):
                self._watches.pop(pid, None)
        self._n_watches_to_look_at = max(MAX_UNLOOKED_WATCHES, 2 * len(self._watches))

    def watch_when_open(self, pid: int, label: str) -> None:
        """Watch an editor's process: what it starts, not itself. To be called before `start`."""
        self._watches[pid] = _Watch(label, is_root_judged=False, source=Source.EDITOR)

    async def dismiss(self, finding_id: str) -> None:
        """By our id.

        Raises:
            AgentError: there is no feed, or it knows no such finding.
        """
        if dismissed := self.known.dismiss(finding_id):
            self._tell_of(dismissed)
        else:
            await (await self.feed()).dismiss(self.known.feed_id(finding_id))

    async def unwatch(self, pid: int) -> None:
        watch = self._watches.pop(pid, None)
        if watch and watch.key:
            feed = await self.feed()
            with contextlib.suppress(AgentError):  # it ended, and is watched no longer anyway
                await feed.unwatch(watch.key)

    async def watch_tag(self, value: str, source: Source, label: str | None) -> None:
        """Watch what has this tag in its environment, as soon as there is a feed that can, and
        again after a reconnection.

        Raises:
            AgentError: it is no tag, or there is no such feed now.
        """
        self._tags[value] = source, label
        feed = await self.feed()
        try:
            await feed.watch_tag(value, source, label)
        except AgentTooOld:
            raise  # the next agent may know it
        except AgentError:
            self._tags.pop(value, None)
            raise

    async def unwatch_tag(self, value: str) -> None:
        if self._tags.pop(value, None):
            await (await self.feed()).unwatch_tag(value)

    async def feed(self) -> Feed:
        """The open feed; waits while one is being opened.

        Raises:
            AgentError: there is none.
        """
        await self._settled.wait()
        if self._feed is None:
            raise AgentError(self.status.degraded or "nothing is watched", fix=self.status.fix)
        return self._feed

    async def current_status(self) -> FeedStatus:
        """With counters as of now, as far as there is a feed that answers; does not wait for one
        to be opened."""
        if self._feed and self._settled.is_set():
            with contextlib.suppress(AgentError, TimeoutError):
                return await asyncio.wait_for(self._feed.status(), _STATUS_LIMIT_S)
        return self.status

    async def _keep_open(self) -> None:
        loop = asyncio.get_running_loop()
        n_failures = 0
        while True:
            self._reopen.clear()
            if not self._settings.enable:
                self.known.forget()
                self._listener.findings_changed([])
                self._settle(FeedStatus(FeedState.OFF, degraded="switched off: linnix.enable"))
                await self._reopen.wait()
                continue
            opened_at_s = loop.time()
            failure = await self._open_and_use()
            if failure is None:
                n_failures = 0
                continue
            if loop.time() - opened_at_s > _STABLE_AFTER_S:
                n_failures = 0
            self._settle(FeedStatus(FeedState.OFF, degraded=failure.message, fix=failure.fix))
            self._tell_outage(failure.message, failure.fix)
            delay_s = self._retry_delays_s[min(n_failures, len(self._retry_delays_s) - 1)]
            n_failures += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._reopen.wait(), delay_s)

    async def _open_and_use(self) -> LinnixError | None:
        """Returns when the feed is lost, with the reason, or when another one is wanted."""
        self._settled.clear()
        if not self._is_outage_told:
            self._listener.feed_opening()
            self._set_status(FeedStatus(FeedState.LOADING))
        settings = self._settings
        try:
            feed = await self._open_feed(settings, on_progress=self._listener.feed_progressed)
        except LinnixError as error:
            return error
        except Exception as error:  # tracers run foreign code: BCC, LLVM, stack readers
            logger.exception("opening the feed failed")
            return LinnixError(f"cannot watch processes: {error}")
        try:
            return await self._use(feed, settings)
        except AgentError as error:
            return error
        except Exception as error:  # the boundary where our own bugs stop; watching begins anew
            logger.exception("using the feed failed")
            return LinnixError(f"watching has broken off: {error}")
        finally:
            self._feed = None
            with contextlib.suppress(Exception):  # it may be broken; we are done with it
                await asyncio.wait_for(feed.close(), _CLOSE_LIMIT_S)

    async def _use(self, feed: Feed, opened_with: Settings) -> LinnixError | None:
        lost = asyncio.Event()

        def on_change(change: FeedChange) -> None:
            if isinstance(change.change, FindingChanged):
                self._listener.findings_changed([self.known.take(change.change.finding)])
            elif isinstance(change.change, RunBegan):
                self._tell_of(self.known.run_began(change.change))
            elif isinstance(change.change, StatusChanged):
                if change.change.status.state is FeedState.OFF:
                    lost.set()
                self._set_status(change.change.status)

        # Nothing is awaited between the two, so no change falls between them.
        unsubscribe = feed.subscribe(on_change)
        snapshot = feed.snapshot()
        try:
            self._tell_of(self.known.begin(snapshot.findings, time.monotonic_ns()))
            # First of all: whoever watches our editor would find ourselves below it.
            await feed.ignore(os.getpid())
            self._feed = feed
            for pid, watch in list(self._watches.items()):
                await self._watch_again(feed, pid, watch)
            await self._watch_folders()
            await self._watch_tags(feed)
            if self._settings.thresholds != opened_with.thresholds:  # changed meanwhile
                await self._use_thresholds()
            if snapshot.status.state is FeedState.OFF:
                lost.set()
            if not lost.is_set():
                status = feed.snapshot().status
                self._tell_recovery(status)
                self._settle(status)
            ends: list[Coroutine[object, object, object]] = [lost.wait(), self._reopen.wait()]
            if self._settings.tracer == "auto" and snapshot.status.tracer == "psutil":
                ends.append(self._agent_comes())
            await _first_of(*ends)
        finally:
            unsubscribe()
            self.known.leave()
            if self._looking_after is None or self._looking_after.done():
                self._looking_after = asyncio.create_task(self._look_after())
        if not lost.is_set():
            return None
        return AgentError(
            self.status.degraded or "the connection to the agent is lost", fix=self.status.fix
        )

    async def _agent_comes(self) -> None:
        """Returns when there is one: who has just started it wants it to be used."""
        from linnix_ls.config import agent_socket_paths

        for delay_s in chain(self._look_delays_s, repeat(self._look_delays_s[-1])):
            await asyncio.sleep(delay_s)
            if any(os.path.exists(path) for path in agent_socket_paths(self._settings)):
                with contextlib.suppress(LinnixError):
                    wanted = self._settings.model_copy(update={"tracer": "bcc"})
                    feed = await self._open_feed(wanted, on_progress=lambda _: None)
                    await feed.close()
                    return

    async def _watch_again(self, feed: Feed, pid: int, watch: _Watch) -> None:
        try:
            key = await feed.watch(
                pid, watch.label, is_root_judged=watch.is_root_judged, source=watch.source
            )
            if watch.key not in (None, key):
                # Another process by now.
                del self._watches[pid]
                await feed.unwatch(key)
            watch.key = key
        except AgentError as error:
            if watch.key is None:
                who = f"{watch.label or 'a process'} (pid {pid})"
                self._listener.tell(f"cannot watch {who}: {error.message}", is_problem=True)
            else:
                self._watches.pop(pid, None)

    async def _watch_folders(self) -> None:
        if self._feed is None:
            return
        try:
            await self._feed.watch_folders(_watched(self._settings, self._folders))
        except AgentError as error:
            self._listener.tell(f"cannot watch folders: {error.message}", is_problem=True)

    async def _watch_tags(self, feed: Feed) -> None:
        """After the processes: what is below them need not be looked for."""
        for value, (source, label) in list(self._tags.items()):
            try:
                await feed.watch_tag(value, source, label)
            except AgentError as error:
                self._listener.tell(f"cannot watch by a tag: {error.message}", is_problem=True)

    async def _use_thresholds(self) -> None:
        if self._feed is None:
            return
        try:
            await self._feed.use_thresholds(self._settings.thresholds)
        except AgentError as error:
            self._listener.tell(f"cannot use other thresholds: {error.message}", is_problem=True)

    def _tell_of(self, changed: Sequence[Finding]) -> None:
        if changed:
            self._listener.findings_changed(changed)

    async def _look_after(self) -> None:
        """Findings of a feed that has gone: until each of them is over, or found again."""
        while self.known.are_left:
            self._tell_of(self.known.look(time.monotonic_ns(), _is_alive))
            await asyncio.sleep(_LOOK_AFTER_S)

    def _set_status(self, status: FeedStatus) -> None:
        self.status = status
        self._listener.status_changed()

    def _settle(self, status: FeedStatus) -> None:
        self._set_status(status)
        self._settled.set()
        self._listener.feed_settled()

    def _tell_outage(self, problem: str, fix: str | None) -> None:
        """Once until it is over: a retry that fails again is no news."""
        if not self._is_outage_told:
            self._is_outage_told = True
            self._listener.tell(with_fix(f"{problem}; trying again", fix), is_problem=True)

    def _tell_recovery(self, status: FeedStatus) -> None:
        if self._is_outage_told:
            self._is_outage_told = False
            self._listener.tell("watching processes again", is_problem=False)
        if status.degraded and status.degraded != self._told_degraded:
            self._listener.tell(with_fix(status.degraded, status.fix), is_problem=True)
        self._told_degraded = status.degraded
        if status.hint and status.hint != self._told_hint:
            self._listener.tell(status.hint, is_problem=False)
        self._told_hint = status.hint


def _is_alive(key: ProcessKey) -> bool:
    return not procfs.has_ended(key)


def _watched(settings: Settings, workspace: Sequence[str]) -> tuple[str, ...]:
    """The folders in which whatever starts is watched."""
    folders = list(workspace) if settings.watch_workspace_processes else []
    for folder in map(os.path.expanduser, settings.watch_folders):
        bases = ("",) if os.path.isabs(folder) else workspace
        folders += [os.path.join(base, folder) for base in bases if "\0" not in folder]
    return tuple(dict.fromkeys(folders))


async def _first_of(*ends: Coroutine[object, object, object]) -> None:
    """Until one of them is over; what it raises is raised."""
    tasks = [asyncio.create_task(end) for end in ends]
    try:
        over, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in over:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
