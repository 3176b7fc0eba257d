"""Who waits, but not for ever, and has not run since that was seen: then it waits for the same.

Most of what is idle is so by intention, and is asked again and again whether it is stuck. To read
what everybody waits for costs milliseconds, and stacks cost more; a CPU's clock costs one call.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence

from linnix_ls.core.detectors.stuck import hopeless
from linnix_ls.core.examination import Wait
from linnix_ls.core.ids import ProcessKey
from linnix_ls.locate.waits import read_waits

MAX_REMEMBERED = 2_000


class Standing:
    """See the module. Of each the clocks of all that its waits depend on are kept."""

    def __init__(self) -> None:
        self._clocks: dict[ProcessKey, dict[ProcessKey, int | None]] = {}

    def is_as_before(self, key: ProcessKey) -> bool:
        """Whether nobody has run since it was seen that somebody may yet wake it."""
        clocks = self._clocks.get(key)
        return clocks is not None and all(
            clock_ns is not None and cpu_clock_ns(each) == clock_ns
            for each, clock_ns in clocks.items()
        )

    def look(self, key: ProcessKey, around: Collection[ProcessKey]) -> tuple[Wait, ...]:
        """What all of them wait for. Blocks."""
        clocks = {each: cpu_clock_ns(each) for each in around}  # before what they show
        waits = read_waits(around)
        stuck = hopeless(waits)
        by_process: dict[ProcessKey, list[Wait]] = {}
        for wait in waits:
            by_process.setdefault(wait.key, []).append(wait)
        if len(self._clocks) + len(by_process) > MAX_REMEMBERED:
            self._clocks.clear()
        for each, threads in by_process.items():
            self._clocks.pop(each, None)
            # Others of several threads may have a runtime that knows more of them: a JVM has.
            if each not in stuck and (each == key or len(threads) == 1):
                on = _depended_on(each, by_process)
                self._clocks[each] = {each: clocks.get(each) for each in on}
        return waits


def cpu_clock_ns(key: ProcessKey) -> int | None:
    """What all threads of a process have used of a CPU, to the nanosecond; None when it has gone.
    A wait cannot change without it: see clock_getcpuclockid(3), whose number this is."""
    try:
        return time.clock_gettime_ns(~key.pid << 3 | 2)
    except OSError:
        return None


def _depended_on(
    key: ProcessKey, by_process: Mapping[ProcessKey, Sequence[Wait]]
) -> set[ProcessKey]:
    """Itself, and whoever it waits for, and so on: who waits for something else as well depends on
    nobody."""
    found, todo = {key}, [key]
    while todo:
        threads = by_process.get(todo.pop(), [])
        if all(wait.is_closed for wait in threads):
            new = {peer for wait in threads for peer in wait.peers} - found
            found |= new
            todo += new
    return found
