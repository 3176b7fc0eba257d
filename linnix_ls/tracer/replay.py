"""The tracer that plays a recording, as fast as it can be read. No privilege, no clock."""

from __future__ import annotations

from collections.abc import Callable, Collection

from linnix_ls.core.events import ProcessSeen
from linnix_ls.core.examination import SyscallCount
from linnix_ls.core.ids import ProcessKey
from linnix_ls.tracer.base import Deliver
from linnix_ls.tracer.trace_file import Trace


class ReplayTracer:
    """See `tracer.base.Tracer`. A recording holds the watches, looks and ticks of its engine
    too, so everything arrives by `deliver`, before `start` returns; there is nothing to ask."""

    name = "replay"

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self.degraded = (
            "the recording is cut off: what follows is missing" if trace.is_truncated else None
        )

    async def start(self, deliver: Deliver, on_failure: Callable[[str], None]) -> None:
        del on_failure
        deliver(self._trace.events)

    async def watch(
        self, key: ProcessKey, *, ignored: Collection[ProcessKey] = ()
    ) -> tuple[ProcessSeen, ...]:
        del key, ignored
        return ()

    async def unwatch(self, pids: Collection[int]) -> None:
        """Nothing to leave out: the recording is what it is."""

    async def watch_users(self, uids: Collection[int]) -> None:
        """As `unwatch`."""

    async def count_syscalls(self, pid: int, window_s: float) -> tuple[SyscallCount, ...] | None:
        del pid, window_s
        return None

    async def stop(self) -> None:
        """Nothing is held."""
