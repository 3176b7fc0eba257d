"""Where events come from: the interface that all tracers share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from linnix_ls.core.events import Event, ProcessSeen
from linnix_ls.core.examination import SyscallCount
from linnix_ls.core.ids import ProcessKey

Deliver = Callable[[Sequence[Event]], None]


class Tracer(Protocol):
    """Delivers what happens in the watched trees.

    `deliver` is called on the event loop's thread, with batches in order of time. Methods belong
    on that thread as well and do not block it.

    Attributes:
        name: bcc, psutil or replay.
        degraded: what this tracer cannot see, in words for a person; None if nothing.
    """

    name: str
    degraded: str | None

    async def start(self, deliver: Deliver, on_failure: Callable[[str], None]) -> None:
        """Load. `on_failure` is called with the reason if it breaks down later.

        Raises:
            TracerUnavailable: with the cause and what to do about it.
        """
        ...

    async def watch(
        self, key: ProcessKey, *, ignored: Collection[int] = ()
    ) -> tuple[ProcessSeen, ...]:
        """Follow `key` and its descendants, those of `ignored` pids left out.

        Returns what is already there, parents first; empty when the process has gone.
        """
        ...

    async def unwatch(self, pids: Collection[int]) -> None: ...

    async def watch_users(self, uids: Collection[int]) -> None:
        """Report execs of these users even outside watched trees (replaces)."""
        ...

    async def count_syscalls(self, pid: int, window_s: float) -> tuple[SyscallCount, ...] | None:
        """Count the system calls of one process for a while. None where that cannot be seen."""
        ...

    async def stop(self) -> None:
        """Detach everything. Nothing is delivered any more after this."""
        ...
