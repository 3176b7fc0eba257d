"""Where findings come out: one interface, whether the engine runs here or in the agent.

A consumer (the language server, `linnix-ls run`) cannot tell a `LocalFeed` from a
`RemoteFeed`. All methods belong on the event loop's thread; callbacks are called there.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from linnix_ls.core.changes import FindingChanged, RunBegan, RunEnded
from linnix_ls.core.events import Event, Source
from linnix_ls.core.examination import StackFrame
from linnix_ls.core.findings import Finding
from linnix_ls.core.history import RunDetail, RunSummary
from linnix_ls.core.ids import ProcessKey
from linnix_ls.core.policy import Policy
from linnix_ls.playground.base import Playground


class FeedState(enum.StrEnum):
    LOADING = "loading"
    WATCHING = "watching"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """How well we see.

    Attributes:
        tracer: bcc, psutil or replay; None while nothing is loaded.
        degraded: what is missing and why, in words; None when nothing is.
        fix: a command, or what to do, about `degraded`.
        n_lost: events that the kernel or the hand-off had to drop.
        hint: what else is worth knowing though nothing is missing, in words: the agent is of
            another version.
    """

    state: FeedState
    tracer: str | None = None
    degraded: str | None = None
    fix: str | None = None
    n_received: int = 0
    n_lost: int = 0
    n_processes: int = 0
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class StatusChanged:
    status: FeedStatus


@dataclass(frozen=True, slots=True)
class InputsSeen:
    """What the engine was told, for a recording; only after `Feed.record_inputs()`."""

    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class FeedChange:
    """A numbered change. Numbers rise by one; a gap never happens within one connection."""

    sequence: int
    change: FindingChanged | RunBegan | RunEnded | StatusChanged | InputsSeen


class ProcessState(enum.StrEnum):
    RUNNING = "running"
    SLEEPING = "sleeping"
    UNINTERRUPTIBLE = "uninterruptible"
    STOPPED = "stopped"
    ZOMBIE = "zombie"
    ENDED = "ended"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ProcessView:
    """One process of a watched tree, for showing it.

    Attributes:
        run: the run it belongs to, None above any run (an editor, a shell).
        on_cpu_cores: over the last second.
        age_s: since its start, or until its end.
        rss_bytes: None when unknown or over.
        n_forks: children that it has started since it is watched.
    """

    key: ProcessKey
    parent: ProcessKey | None
    run: ProcessKey | None
    comm: str
    argv: tuple[str, ...]
    cwd: str | None
    on_cpu_cores: float
    age_s: float
    exit_code: int | None
    term_signal: int | None
    has_ended: bool
    rss_bytes: int | None = None
    n_forks: int = 0
    state: ProcessState = ProcessState.UNKNOWN


@dataclass(frozen=True, slots=True)
class ThreadStack:
    """One thread, innermost frame first. `is_running` is None when unknown."""

    tid: int
    is_running: bool | None
    frames: tuple[StackFrame, ...]


@dataclass(frozen=True, slots=True)
class StackView:
    """The stacks of a process by one look.

    Attributes:
        problem: why nothing, or not all, could be read, in words.
    """

    threads: tuple[ThreadStack, ...]
    problem: str | None
    took_s: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`sequence`: of the last change that is contained in it."""

    sequence: int
    status: FeedStatus
    findings: tuple[Finding, ...]


class StopOutcome(enum.StrEnum):
    STOPPED = "stopped"
    ALREADY_GONE = "already_gone"


def hand_out(change: FeedChange, callbacks: Iterable[Callable[[FeedChange], None]]) -> None:
    """Call every callback; one that raises is reported to the loop and stops no other."""
    for callback in tuple(callbacks):
        try:
            callback(change)
        except Exception as error:  # noqa: BLE001 - a consumer's code; the feed must go on
            asyncio.get_running_loop().call_exception_handler(
                {"message": "a subscriber of the feed raised", "exception": error}
            )


class Feed(Protocol):
    """See the module. Methods raise `AgentError` when the agent refuses or has gone."""

    def snapshot(self) -> Snapshot: ...

    def subscribe(self, callback: Callable[[FeedChange], None]) -> Callable[[], None]:
        """Call `callback` for every change from now on. Returns the way to stop that."""
        ...

    async def watch(
        self,
        pid: int,
        label: str,
        *,
        is_run: bool = False,
        is_root_judged: bool = False,
        source: Source = Source.OTHER,
    ) -> ProcessKey:
        """Watch `pid` and what is and will be below it.

        Raises:
            AgentError: no such process, or it belongs to somebody else.
        """
        ...

    async def unwatch(self, key: ProcessKey) -> None: ...

    async def watch_tag(self, value: str, source: Source, label: str | None) -> None:
        """Watch the user's processes that were started with ``LINNIX_SESSION=value`` in their
        environment, wherever they hang.

        Raises:
            AgentError: `value` is none that can be looked for.
        """
        ...

    async def unwatch_tag(self, value: str) -> None:
        """Also what was found by it is watched no longer."""
        ...

    async def ignore(self, pid: int) -> None:
        """Never judge `pid` and what is below it: our own processes."""
        ...

    async def watch_folders(self, folders: Sequence[str]) -> None:
        """Also watch the user's processes that start in one of these folders (replaces)."""
        ...

    async def allow_jvm_attach(self, is_allowed: bool) -> None:
        """Whether JVMs may be asked for their stacks; they may unless this says no."""
        ...

    async def use_thresholds(self, policy: Policy) -> None:
        """Judge by these from now on. What was found stays found."""
        ...

    async def status(self) -> FeedStatus:
        """With counters as of now; those of `snapshot()` may be older."""
        ...

    async def process_tree(self) -> tuple[ProcessView, ...]: ...

    async def runs(self) -> tuple[RunSummary, ...]:
        """Under way and past, the newest first."""
        ...

    async def run(self, key: ProcessKey, since: int | None = None) -> RunDetail | None:
        """What is remembered of one of them, or what has changed since that version; some of it
        at a time."""
        ...

    async def stack(self, key: ProcessKey) -> StackView:
        """Look once at the stacks of a watched process; nothing is judged by it."""
        ...

    async def stop_process(self, key: ProcessKey, *, tree: bool = False) -> StopOutcome:
        """SIGTERM to exactly that process (pidfd, start time checked), SIGKILL 2 s later.

        Raises:
            AgentError: not permitted, or not in a tree that this feed watches.
        """
        ...

    async def dismiss(self, finding_id: str) -> None: ...

    @property
    def playground(self) -> Playground | None:
        """The agent's; None where there is no agent, or it has none."""
        ...

    async def record_inputs(self) -> None:
        """From now on, `InputsSeen` changes tell what the engine is told."""
        ...

    async def close(self) -> None: ...
