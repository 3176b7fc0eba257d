"""Identity of processes."""

from __future__ import annotations

from typing import NamedTuple

NS_PER_S = 1_000_000_000
TICKS_PER_S = 100  # USER_HZ: what /proc shows start times in, on every Linux architecture


class ProcessKey(NamedTuple):
    """A process for good: pids are used again, this pair is not.

    Attributes:
        pid: the kernel's tgid.
        start_ticks: clock ticks since boot at its start, as field 22 of ``/proc/<pid>/stat``.
    """

    pid: int
    start_ticks: int


def start_ticks_from_boottime(start_boottime_ns: int) -> int:
    """Convert the kernel's ``task_struct.start_boottime`` to what /proc shows."""
    return start_boottime_ns // (NS_PER_S // TICKS_PER_S)
