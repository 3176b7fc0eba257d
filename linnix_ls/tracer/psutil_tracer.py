"""The tracer without privilege: it asks psutil a few times a second.

It sees who is there and what CPU they used. It does not see processes that live shorter than
its interval, system calls, or addresses, and it says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

import psutil

from linnix_ls import procfs
from linnix_ls.core.events import CpuUsed, Event, Execed, Exited, Forked, ProcessSeen
from linnix_ls.core.examination import SyscallCount
from linnix_ls.core.ids import NS_PER_S, ProcessKey, start_ticks_from_boottime
from linnix_ls.errors import is_for_want_of_descriptors
from linnix_ls.tracer.base import Deliver

POLL_INTERVAL_S = 0.2
# How long after its birth a process outside of the watched trees is looked at for the program that
# it becomes: `env`, `time` and the like take a moment.
YOUNG_S = 2.0


@dataclass(slots=True)
class _Known:
    process: psutil.Process
    key: ProcessKey
    on_cpu_s: float
    argv: tuple[str, ...]


@dataclass(slots=True)
class _Young:
    """A process outside of the watched trees; `argv` is what was told of it."""

    until_ns: int
    argv: tuple[str, ...]


class PsutilTracer:
    """See `tracer.base.Tracer`."""

    name = "psutil"
    degraded: str | None = (
        "without eBPF: processes that live shorter than 0.2 s and system calls are not seen"
    )

    def __init__(self, ptrace_scope: int | None = None) -> None:
        scope = procfs.read_ptrace_scope() if ptrace_scope is None else ptrace_scope
        if scope:
            self.degraded = (
                f"{self.degraded}, and stacks and memory of processes cannot be read "
                f"(kernel.yama.ptrace_scope = {scope})"
            )
        self._roots: dict[int, frozenset[ProcessKey]] = {}
        self._known: dict[int, _Known] = {}
        self._uids: frozenset[int] = frozenset()
        self._there: frozenset[int] = frozenset()
        self._young: dict[int, _Young] = {}
        # /proc can be slow, so it is read on another thread; the lock keeps the two apart.
        self._lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    async def start(self, deliver: Deliver, on_failure: Callable[[str], None]) -> None:
        self._deliver, self._on_failure = deliver, on_failure
        self._task = asyncio.create_task(self._poll_for_ever())

    async def watch(
        self, key: ProcessKey, *, ignored: Collection[ProcessKey] = ()
    ) -> tuple[ProcessSeen, ...]:
        stat = procfs.read_stat(key.pid)
        if stat is None or stat.key != key:
            return ()
        async with self._lock:
            self._roots[key.pid] = frozenset(ignored)
            now_ns = time.monotonic_ns()
            seen = []
            for pid in procfs.descendants(key.pid, ignored):
                process = procfs.see(pid, now_ns)
                if process is not None and self._learn(pid, process.key, process.argv):
                    seen.append(process)
            return tuple(seen)

    async def unwatch(self, pids: Collection[int]) -> None:
        async with self._lock:
            for pid in pids:
                self._roots.pop(pid, None)
                self._known.pop(pid, None)

    async def watch_users(self, uids: Collection[int]) -> None:
        """See `tracer.base.Tracer`. Of all of /proc only the names are read each time, and of what
        is new its program."""
        async with self._lock:
            if not self._uids:
                self._there = frozenset(procfs.all_pids())
                self._young = _about_to_become_others(self._there)
            self._uids = frozenset(uids)

    async def count_syscalls(self, pid: int, window_s: float) -> tuple[SyscallCount, ...] | None:
        del pid
        await asyncio.sleep(window_s)
        return None

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def _learn(self, pid: int, key: ProcessKey, argv: tuple[str, ...]) -> bool:
        try:
            process = psutil.Process(pid)
            times = process.cpu_times()
        except psutil.Error:
            return False
        self._known[pid] = _Known(process, key, times.user + times.system, argv)
        return True

    async def _poll_for_ever(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(POLL_INTERVAL_S)
            if not (self._known or self._uids):
                continue
            events: list[Event] = []
            try:
                async with self._lock:
                    await loop.run_in_executor(None, self._poll, events)
            except Exception as error:  # noqa: BLE001 - psutil's; a standstill must not go unsaid
                if not is_for_want_of_descriptors(error):  # later there may be some
                    self._on_failure(f"reading /proc failed: {error}")
                    return
            self._deliver(events)

    def _poll(self, events: list[Event]) -> None:
        """Adds what it finds, also where it cannot find out everything."""
        now_ns = time.monotonic_ns()
        for pid, known in list(self._known.items()):
            if procfs.has_ended(known.key):
                events.append(Exited(now_ns, known.key, exit_code=None, term_signal=None))
                del self._known[pid]
                self._roots.pop(pid, None)
        for known in self._known.values():
            events += self._measure(known, now_ns)
        for pid in self._here():
            if pid not in self._known:
                events += self._greet(pid, now_ns)
        if self._uids:
            events += self._look_elsewhere(now_ns)

    def _look_elsewhere(self, now_ns: int) -> list[Event]:
        """The programs of processes that are new, outside of the watched trees."""
        there = frozenset(procfs.all_pids())
        for pid in there - self._there:
            self._young[pid] = _Young(now_ns + int(YOUNG_S * NS_PER_S), ())
        self._there = there
        events: list[Event] = []
        for pid, young in list(self._young.items()):
            seen = None
            if pid not in self._known and procfs.read_uid(pid) in self._uids:
                seen = procfs.see(pid, now_ns)
            if seen is None or now_ns > young.until_ns:
                del self._young[pid]
            elif seen.argv and seen.argv != young.argv and not _is_copy(seen):
                young.argv = seen.argv
                events.append(_execed(seen, now_ns))
        return events

    def _here(self) -> Collection[int]:
        """All of the watched trees, parents first."""
        here: dict[int, None] = {}  # an ordered set
        for root, ignored in self._roots.items():
            here.update(dict.fromkeys(procfs.descendants(root, ignored)))
        # A child whose parent has died hangs below init now; it is still ours.
        all_ignored = frozenset().union(*self._roots.values())
        for orphan in self._known.keys() - here.keys():
            here.update(dict.fromkeys(procfs.descendants(orphan, all_ignored)))
        return here

    def _greet(self, pid: int, now_ns: int) -> list[Event]:
        seen = procfs.see(pid, now_ns)
        if seen is None or seen.parent is None:
            return []
        parent = self._known.get(seen.parent.pid)
        if parent is None or parent.key != seen.parent:
            return []  # its parent has gone meanwhile, and it hangs elsewhere
        if not self._learn(pid, seen.key, seen.argv):
            return []
        forked = Forked(now_ns, seen.key, seen.parent, seen.uid, seen.comm)
        return [forked] if seen.argv == parent.argv else [forked, _execed(seen, now_ns)]

    def _measure(self, known: _Known, now_ns: int) -> list[Event]:
        events: list[Event] = []
        try:
            times = known.process.cpu_times()
        except psutil.Error:
            return events
        used_s = times.user + times.system - known.on_cpu_s
        known.on_cpu_s += used_s
        argv = procfs.read_argv(known.key.pid)
        if argv and argv != known.argv:
            known.argv = argv
            if seen := procfs.see(known.key.pid, now_ns):
                events.append(_execed(seen, now_ns))
        if used_s > 0:
            events.append(CpuUsed(now_ns, known.key, int(used_s * NS_PER_S)))
        return events


def _about_to_become_others(pids: Collection[int]) -> dict[int, _Young]:
    """Those that have started just now: they were there before, but what they run next was not."""
    now_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    since_ticks = start_ticks_from_boottime(now_ns - int(YOUNG_S * NS_PER_S))
    until_ns = time.monotonic_ns() + int(YOUNG_S * NS_PER_S)
    return {
        pid: _Young(until_ns, procfs.read_argv(pid))
        for pid in pids
        if (stat := procfs.read_stat(pid)) and stat.key.start_ticks >= since_ticks
    }


def _is_copy(seen: ProcessSeen) -> bool:
    """A fork that runs its parent's program still."""
    return seen.parent is not None and procfs.read_argv(seen.parent.pid) == seen.argv


def _execed(seen: ProcessSeen, now_ns: int) -> Execed:
    return Execed(
        ktime_ns=now_ns,
        key=seen.key,
        parent=seen.parent,
        uid=seen.uid,
        comm=seen.comm,
        argv=seen.argv,
        exe=seen.exe,
        cwd=seen.cwd,
    )
