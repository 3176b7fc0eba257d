"""Where events come from: the interface that all tracers share."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from linnix_ls.core.events import Event, ProcessSeen
from linnix_ls.core.examination import SyscallCount
from linnix_ls.core.ids import ProcessKey

Deliver = Callable[[Sequence[Event]], None]


@dataclass(frozen=True, slots=True)
class Launch:
    """How the process that holds a generation of probes is started.

    Attributes:
        module: what it runs; it speaks as `bcc_worker` does, and gets the number of a pipe for
            that before its other arguments.
        request: the first line of its stdin, as JSON.
        environment: None: ours.
    """

    module: str
    arguments: tuple[str, ...] = ()
    request: dict[str, Any] | None = None
    environment: dict[str, str] | None = None


class RecentRecord(NamedTuple):
    """One record as the probes wrote it. `sequence`: from 1, over all generations; `kind`: such as
    ``fork``; `content`: as C declares it, or bytes where it is none of ours."""

    sequence: int
    generation: int
    kind: str
    content: ctypes.Structure | bytes


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
        self, key: ProcessKey, *, ignored: Collection[ProcessKey] = ()
    ) -> tuple[ProcessSeen, ...]:
        """Follow `key` and its descendants, those of `ignored` left out.

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


class ExchangeableTracer(Tracer, Protocol):
    """One whose probes can be exchanged while they run: nothing is lost, nothing told twice.

    Attributes:
        shipped: what it begins with.
        ring_pages: the size of its buffer.
        generation: counts exchanges, from 1; also those back.
        n_events, n_lost: records, over all generations.
        on_taken_back: called with the reason when probes that were exchanged have died, and the
            ones before them, or the shipped ones, speak again.
    """

    shipped: Launch
    ring_pages: int
    generation: int
    n_events: int
    n_lost: int
    on_taken_back: Callable[[str], None] | None

    async def exchange(self, launch: Launch) -> None:
        """Others speak when this returns; the ones before stay attached, silent, until `settle`.
        If some are silent already, these are the ones before: those that spoke are gone.

        Raises:
            TracerUnavailable: they cannot run. What ran goes on.
        """
        ...

    async def go_back(self) -> None:
        """The silent ones speak again, and the others go. What these have missed is told of as
        lost.

        Raises:
            TracerUnavailable: they have died, too. Those that speak go on.
        """
        ...

    async def settle(self) -> None:
        """The silent ones go."""
        ...

    def missed(self) -> dict[str, int]:
        """By kind of record (``fork``, ``exec``, ``exit``, ``sample``), how many the silent ones
        have seen since the exchange, of kinds of which those that speak have told none."""
        ...

    async def ask(self, module: str, function: str, *, silent: bool = False) -> Any:
        """Have that function called with the `bcc_worker.Probes` that speak, or are silent, in the
        process that holds them; its answer is JSON. None where there is no such process.

        Raises:
            TracerUnavailable: no answer.
        """
        ...

    def recent(self) -> Sequence[RecentRecord]:
        """The last records, of those since this was called first."""
        ...
