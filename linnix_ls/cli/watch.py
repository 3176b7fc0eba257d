"""One run under watch: takes the feed's changes, shows findings, keeps what the report needs.

Not here: CMD's process (`command`), and the order of things (`run`).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from linnix_ls import procfs
from linnix_ls.cli.output import is_grave_enough
from linnix_ls.cli.screen import Screen
from linnix_ls.config import Settings
from linnix_ls.core.changes import FindingChanged, RunEnded
from linnix_ls.core.events import Event
from linnix_ls.core.findings import Finding, Kind, State
from linnix_ls.core.history import Span
from linnix_ls.core.ids import NS_PER_S, ProcessKey
from linnix_ls.core.tree import to_be_stopped
from linnix_ls.errors import AgentError, LinnixError, TracerUnavailable
from linnix_ls.feed.base import (
    Feed,
    FeedChange,
    FeedState,
    FeedStatus,
    InputsSeen,
    StatusChanged,
)
from linnix_ls.report.document import Busy, RunFacts, iso_time
from linnix_ls.tracer.trace_file import TraceHeader, TraceWriter

OpenFeed = Callable[..., Awaitable[Feed]]

# After CMD's end: until the feed tells of it, and for what its last processes may still show.
NEWS_TIMEOUT_S = 0.5
SETTLE_TIMEOUT_S = 0.5
LOOK_TIMEOUT_S = 1.0
STOP_TIMEOUT_S = 3.0
CLOSE_TIMEOUT_S = 2.0
# A process that was on a CPU for so long, and for that share of its life, is worth a word.
KEPT_NS = 30 * NS_PER_S
KEPT_SHARE = 0.8
_MAX_PAGES = 40


class RunWatch:
    """See the module. In this order: `open`, `begin`, `end`, `result`, `close`; where opening
    takes too long, it may still be under way when the run begins, and even when it ends.

    Attributes:
        progress: what `open` does, in words.
    """

    def __init__(self, args: argparse.Namespace, screen: Screen) -> None:
        self.progress = "getting ready"
        self._args = args
        self._screen = screen
        self._cwd = os.readlink("/proc/self/cwd")  # getcwd() fails where it was deleted
        self._feed: Feed | None = None
        self._run: ProcessKey | None = None
        self._has_run_ended = False
        self._findings: dict[str, Finding] = {}
        self._own_ids: dict[str, str] = {}
        self._earlier: tuple[Finding, ...] = ()
        self._last_notice = ""
        self._changed = asyncio.Event()
        self._stopping: set[asyncio.Task[None]] = set()
        self._unrecorded: list[Event] = []
        self._trace: TraceWriter | None = None
        self._files = contextlib.ExitStack()
        self._started_at: datetime | None = None
        self._started_ns = self._ended_ns = 0
        self._exit_code = 0
        self._reconnecting: asyncio.Task[None] | None = None

    async def open(self, open_feed: OpenFeed, pid: int) -> None:
        """Have a feed watch CMD. What goes wrong is told: CMD can run without us.

        Raises:
            TracerUnavailable: CMD has not begun yet, and was not to run without eBPF.
        """
        self._open_feed, self._pid = open_feed, pid
        try:
            await self._connect()
        except LinnixError as error:
            if isinstance(error, TracerUnavailable) and self._started_at is None:
                raise
            self._notify(f"nothing is watched: {error.message}", error.fix)
        self._begin_recording()

    async def _connect(self) -> None:
        settings = Settings(
            tracer=self._args.tracer,
            agent_socket=self._args.agent_socket,
            attach_to_jvm=self._args.attach_to_jvm,
            thresholds=self._args.policy,
        )
        self._feed = await self._open_feed(settings, on_progress=self._proceed)
        self._feed.subscribe(self._take)
        if self._args.record:
            await self._feed.record_inputs()
        label = os.path.basename(self._args.command[0])
        self._run = await self._feed.watch(self._pid, label, is_run=True, is_root_judged=True)
        self._take_status(self._feed.snapshot().status)

    async def _reconnect(self) -> None:
        """The agent has gone in mid-run; there may be another, or we start one."""
        try:
            if self._feed:
                await self._feed.close()
            # What the next agent calls f1 is not what the one before called so.
            self._own_ids.clear()
            self._earlier = tuple(self._findings.values())
            await self._connect()
        except LinnixError as error:
            self._notify(f"nothing more is watched: {error.message}", error.fix)
        else:
            self._notify("watching again")

    def begin(self) -> None:
        """CMD begins now: the zero of all times."""
        self._started_at, self._started_ns = datetime.now(UTC), time.monotonic_ns()
        self._begin_recording()

    async def end(self, exit_code: int) -> None:
        """CMD has ended. Returns after a moment for its last findings."""
        self._ended_ns = time.monotonic_ns()
        self._exit_code = exit_code
        if self._run is None:
            return
        await self._until(lambda: self._has_run_ended, NEWS_TIMEOUT_S)
        await self._until(lambda: not self._is_any_raised(), SETTLE_TIMEOUT_S)
        if await self._has_living_processes():
            # What outlives the run by a second has been left behind: that is a finding too. More
            # than a second where much wants to run.
            load = max(1.0, (procfs.read_n_runnable() or 1) / (os.cpu_count() or 1))
            timeout_s = self._args.policy.leak.grace_at(load) + LOOK_TIMEOUT_S
            await self._until(lambda: self.has_found((Kind.LEAKED_CHILD,)), timeout_s)
        if self._stopping:
            await asyncio.wait(self._stopping, timeout=STOP_TIMEOUT_S)

    async def result(self) -> tuple[RunFacts, FeedStatus, Sequence[Finding]]:
        """What there is to report."""
        assert self._started_at is not None
        busy = await self._busiest() if not self._findings else None
        facts = RunFacts(
            command=tuple(self._args.command),
            cwd=self._cwd,
            exit_code=self._exit_code,
            started_at=self._started_at,
            started_ns=self._started_ns,
            duration_s=(self._ended_ns - self._started_ns) / NS_PER_S,
            busy=busy,
        )
        status = FeedStatus(FeedState.OFF, degraded="nothing was watched")
        if self._feed and self._run:
            try:
                status = await self._feed.status()
            except AgentError:
                status = self._feed.snapshot().status
        return facts, status, tuple(self._findings.values())

    async def _busiest(self) -> Busy | None:
        """The process that kept a CPU for longest, if it did so for long: "no runaways" would say
        more than we know."""
        if self._feed is None or self._run is None or self._ended_ns - self._started_ns < KEPT_NS:
            return None
        spans: dict[ProcessKey, Span] = {}
        with contextlib.suppress(AgentError):
            version = None
            for _ in range(_MAX_PAGES):
                detail = await self._feed.run(self._run, version)
                if detail is None:
                    break
                spans |= {span.key: span for span in detail.spans}
                version = detail.version
                if detail.is_complete:
                    break
        run_s = (self._ended_ns - self._started_ns) / NS_PER_S
        kept = [
            Busy(span.comm, span.key.pid, span.cpu_s)
            for span in spans.values()
            if span.cpu_s >= KEPT_NS / NS_PER_S
            and span.cpu_s >= KEPT_SHARE * ((span.ended_s or run_s) - span.began_s)
        ]
        return max(kept, key=lambda each: each.cpu_s, default=None)

    def has_found(self, kinds: Collection[Kind]) -> bool:
        return any(finding.kind in kinds for finding in self._findings.values())

    async def close(self) -> None:
        """Let go of the feed. CMD's left-over processes go on."""
        if self._reconnecting:
            self._reconnecting.cancel()
            await asyncio.wait([self._reconnecting])
        if self._feed:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._feed.close(), CLOSE_TIMEOUT_S)
        if self._trace:
            self._trace.exit_code = self._exit_code
        with self._recording_errors_told():
            self._files.close()

    # -- what the feed tells -------------------------------------------------------------------

    def _proceed(self, text: str) -> None:
        self.progress = text

    def _take(self, numbered: FeedChange) -> None:
        match numbered.change:
            case FindingChanged(finding):
                self._take_finding(finding)
            case StatusChanged(status):
                self._take_status(status)
            case InputsSeen(events):
                self._record(events)
            case RunEnded(run=run):
                self._has_run_ended |= run == self._run
        self._changed.set()

    def _take_finding(self, finding: Finding) -> None:
        from linnix_ls.report import text

        finding = self._as_known(finding)
        before = self._findings.get(finding.id)
        if not is_grave_enough(finding, self._args.min_severity):
            return
        if finding.state is State.CLEARED:
            # After it has ended that is no news; before, it means that it was none.
            if before and before.state is State.RAISED:
                del self._findings[finding.id]
                self._notify(f"{finding.id} ({finding.kind}) is withdrawn")
            return
        if self._args.explain == "none":
            finding = replace(finding, explanation=None)
        self._findings[finding.id] = finding
        if before is None:
            block = text.finding_block(finding, cwd=self._cwd, started_ns=self._started_ns)
            self._screen.show(block)
            if self._args.stop_runaways:
                self._stopping.add(asyncio.create_task(self._stop(finding)))

    def _as_known(self, finding: Finding) -> Finding:
        """With an id that is ours: agents may follow one another, and find the same again."""
        same = next(
            (
                known
                for known in self._earlier
                if known.kind is finding.kind and known.process.key == finding.process.key
            ),
            None,
        )
        if finding.id not in self._own_ids:
            own = f"f{len(self._findings) + 1}" if self._earlier else finding.id
            self._own_ids[finding.id] = same.id if same else own
        own_id = self._own_ids[finding.id]
        if same is None or same.id != own_id:
            return replace(finding, id=own_id)
        return replace(finding, id=own_id, onset_ns=same.onset_ns, flagged_ns=same.flagged_ns)

    def _take_status(self, status: FeedStatus) -> None:
        if status.state is FeedState.OFF:
            self._notify(f"watching has stopped: {status.degraded}", status.fix)
            if not (self._ended_ns or self._reconnecting):
                self._reconnecting = asyncio.create_task(self._reconnect())
        elif status.degraded:
            self._notify(f"degraded: {status.degraded}", status.fix)
        elif status.hint:
            self._notify(status.hint)

    def _notify(self, message: str, fix: str | None = None) -> None:
        from linnix_ls.report import text

        if message != self._last_notice:
            self._last_notice = message
            self._screen.show(text.notice(message, fix))

    # -- what we do about it -------------------------------------------------------------------

    async def _stop(self, finding: Finding) -> None:
        assert self._feed is not None
        process = to_be_stopped(finding)
        who = f"{process.comm}({process.key.pid})"
        # One process of a storm is nothing: the others go on.
        is_storm = finding.kind is Kind.FORK_STORM
        try:
            outcome = await self._feed.stop_process(process.key, tree=is_storm)
        except AgentError as error:
            self._notify(f"{who} was not stopped: {error.message}", error.fix)
        else:
            self._notify(f"{who}: {outcome.replace('_', ' ')}")

    async def _has_living_processes(self) -> bool:
        assert self._feed is not None
        try:
            tree = await self._feed.process_tree()
        except AgentError:
            return False
        return any(view.run == self._run and not view.has_ended for view in tree)

    def _is_any_raised(self) -> bool:
        return any(finding.state is State.RAISED for finding in self._findings.values())

    async def _until(self, is_reached: Callable[[], bool], timeout_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not is_reached():
                    self._changed.clear()
                    await self._changed.wait()

    # -- recording -----------------------------------------------------------------------------

    def _begin_recording(self) -> None:
        """Once the run has begun and is watched; what was seen before is kept until then."""
        if not (self._args.record and self._started_at and self._feed and self._run):
            return
        status = self._feed.snapshot().status
        header = TraceHeader(
            tracer=status.tracer or "",
            degraded=status.degraded,
            command=tuple(self._args.command),
            cwd=self._cwd,
            started_at=iso_time(self._started_at),
            started_ns=self._started_ns,
        )
        with self._recording_errors_told():
            self._trace = self._files.enter_context(TraceWriter(Path(self._args.record), header))
        self._record(self._unrecorded)
        self._unrecorded = []

    def _record(self, events: Sequence[Event]) -> None:
        if self._trace is None:
            self._unrecorded += events
            return
        with self._recording_errors_told():
            self._trace.write(events)

    @contextlib.contextmanager
    def _recording_errors_told(self) -> Iterator[None]:
        """A full disk ends the recording, not the run."""
        try:
            yield
        except (OSError, LinnixError) as error:
            self._notify(f"the recording broke off: {error}")
