"""The eBPF tracer: probes in processes of their own (`generation`), exchanged while they run."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from linnix_ls import procfs
from linnix_ls.core.events import (
    Event,
    EventsLost,
    Execed,
    Exited,
    Forked,
    ProbesReplaced,
    ProcessSeen,
)
from linnix_ls.core.examination import SyscallCount
from linnix_ls.core.ids import ProcessKey
from linnix_ls.errors import TracerUnavailable
from linnix_ls.invocation import enable_tracing
from linnix_ls.privilege import has_bpf_permission
from linnix_ls.tracer import tracefs
from linnix_ls.tracer.base import Deliver, Launch, RecentRecord
from linnix_ls.tracer.bcc_worker import ANEW, RING_PAGES
from linnix_ls.tracer.decode import KIND_NAMES, decode, kind_of, structure_of
from linnix_ls.tracer.generation import Generation
from linnix_ls.tracer.seam import Seam, Side

# Half a second of compiling is a minute where a processor is emulated, and more when that is busy.
LOAD_TIMEOUT_S = 180.0
MAX_RECENT = 1000
# Who makes so many system calls is counted in slices of the time.
MANY_CALLS_PER_S = 20_000
ENOUGH_CALLS = 4_000
FIRST_SLICE_S, MIN_SLICE_S, MAX_SLICE_S, N_NEXT_SLICES = 0.005, 0.001, 0.02, 4
# A program that has taken the time of its record has written it by then.
IN_FLIGHT_S = 0.02
# After a loss it is seen who is there when nothing was lost for so long, or after so many times.
CALM_AFTER_S = 0.5
MAX_WAITS_FOR_CALM = 10
# Inode number of the namespace that the kernel boots with (include/linux/proc_ns.h).
_INITIAL_PID_NAMESPACE = 0xEFFFFFFC


class BccTracer:
    """See `tracer.base.ExchangeableTracer`.

    Args:
        ring_pages: the size of the kernel's buffer, a power of two. What does not fit is lost,
            and counted.
        may_be_kept: whether probes that were compiled at an earlier start will do.
    """

    name = "bcc"
    degraded: str | None = None

    def __init__(
        self, cache_dir: Path, *, ring_pages: int = RING_PAGES, may_be_kept: bool = True
    ) -> None:
        arguments = (str(cache_dir), str(ring_pages), *(() if may_be_kept else (ANEW,)))
        self.shipped = Launch("linnix_ls.tracer.bcc_worker", arguments)
        self.ring_pages = ring_pages
        self.generation = 1
        self.n_events = 0
        self.n_lost = 0
        self.n_undecodable = 0
        self.on_taken_back: Callable[[str], None] | None = None
        self._speaking: Generation | None = None
        self._silent: Generation | None = None  # attached too: for an exchange, or on trial
        self._older: Generation | None = None  # of the two
        self._seam: Seam | None = None
        self._exchanging = asyncio.Lock()
        self._retiring: set[asyncio.Task[None]] = set()
        self._recovering: asyncio.Task[None] | None = None
        self._seeing_again: asyncio.Task[None] | None = None
        self._users: list[int] = []
        # Pids in scope, known here while probes run that may die without ending the tracer.
        self._scope: set[int] | None = None
        self._recent: deque[tuple[int, int, bytes]] | None = None
        self._is_stopping = False
        self._loading: asyncio.Task[None] | None = None

    @property
    def worker_pid(self) -> int | None:
        """Of the process that holds the probes."""
        return self._speaking.pid if self._speaking else None

    def begin(self) -> None:
        """Begin to load, before it is known who is told of events; `start` waits for it."""
        self._loading = asyncio.create_task(self._load())

    async def start(self, deliver: Deliver, on_failure: Callable[[str], None]) -> None:
        """See the protocol."""
        self._deliver, self._on_failure = deliver, on_failure
        if self._loading is None:
            self.begin()
        assert self._loading is not None
        await self._loading

    async def _load(self) -> None:
        if not has_bpf_permission():
            raise TracerUnavailable(
                "no permission to load eBPF programs (CAP_BPF and CAP_PERFMON)",
                fix=enable_tracing(),
                cause="no_permission",
            )
        if os.stat("/proc/self/ns/pid").st_ino != _INITIAL_PID_NAMESPACE:
            raise TracerUnavailable(
                "in this container processes have other ids than the kernel tells of",
                fix="give the container the machine's own process ids: --pid=host",
                cause="pid_namespace",
            )
        tracefs.ensure_mounted()
        self._speaking = self._make(self.shipped)
        await self._speaking.start(LOAD_TIMEOUT_S)

    async def watch(
        self, key: ProcessKey, *, ignored: Collection[ProcessKey] = ()
    ) -> tuple[ProcessSeen, ...]:
        """See the protocol. The root is in scope before its descendants are looked up, so that
        nothing can be born unseen between two looks."""
        stat = procfs.read_stat(key.pid)
        if stat is None or stat.key != key:
            return ()
        return await self._follow(key.pid, ignored)

    async def _follow(
        self, pid: int, ignored: Collection[ProcessKey] = ()
    ) -> tuple[ProcessSeen, ...]:
        known: list[int] = []
        while new := [p for p in procfs.descendants(pid, ignored) if p not in known]:
            await self._command("watch", new)
            known += new
        now_ns = time.monotonic_ns()
        # Of a zombie the end has been told already, perhaps before anybody here knew of it.
        living = [pid for pid in known if (stat := procfs.read_stat(pid)) and not stat.has_ended]
        if self._scope is not None:
            self._scope.update(living)
        # Who ended before it was put there stays there, and whoever gets that pid is watched.
        if gone := [pid for pid in known if pid not in living]:
            await self._command("unwatch", gone)
        seen = (procfs.see(pid, now_ns) for pid in living)
        return tuple(process for process in seen if process is not None)

    async def unwatch(self, pids: Collection[int]) -> None:
        if self._scope is not None:
            self._scope.difference_update(pids)
        await self._command("unwatch", list(pids))

    async def watch_users(self, uids: Collection[int]) -> None:
        self._users = list(uids)
        await self._command("watch_users", self._users)

    async def count_syscalls(self, pid: int, window_s: float) -> tuple[SyscallCount, ...] | None:
        generation = self._current()
        with generation.borrowed():
            try:
                share = await self._count_for(generation, pid, window_s)
            finally:
                rows = await generation.command("stop_counting", pid)
        return tuple(replace(SyscallCount(*row), share=share) for row in rows)

    async def _count_for(self, generation: Generation, pid: int, window_s: float) -> float:
        """In which share of the window it was counted. Each call that is counted takes its caller,
        and less of it all others, a part of a microsecond: of very many some tell enough."""
        counted_s: float
        counted_s, n_calls = await generation.command("count_slice", pid, FIRST_SLICE_S)
        if n_calls < MANY_CALLS_PER_S * counted_s:
            await generation.command("start_counting", pid)
            await asyncio.sleep(max(0.0, window_s - counted_s))
            return 1.0
        enough_s = ENOUGH_CALLS * counted_s / n_calls / N_NEXT_SLICES
        slice_s = min(max(enough_s, MIN_SLICE_S), MAX_SLICE_S)
        pause_s = (window_s - counted_s) / N_NEXT_SLICES - slice_s
        for _ in range(N_NEXT_SLICES):
            await asyncio.sleep(max(0.0, pause_s))
            counted_s += (await generation.command("count_slice", pid, slice_s))[0]
        return min(1.0, counted_s / window_s)

    async def stop(self) -> None:
        self._is_stopping = True
        for task in filter(None, (self._loading, self._recovering, self._seeing_again)):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        both, self._speaking, self._silent = (self._speaking, self._silent), None, None
        for generation in both:
            if generation is not None:
                await generation.stop()
        await asyncio.gather(*self._retiring)

    # -- exchange ------------------------------------------------------------------------------

    async def exchange(self, launch: Launch) -> None:
        """See the protocol."""
        new = self._make(launch)
        await new.start(LOAD_TIMEOUT_S)
        try:
            async with self._exchanging:
                if self._silent is not None:
                    await self._go_back()
                await self._let_speak(new)
        except BaseException:
            await new.stop()
            raise

    async def _let_speak(self, new: Generation) -> None:
        old = self._current()
        self._older, self._silent, self._seam = old, new, Seam()
        try:
            await new.command("watch_users", self._users)
            scope = await self._copy_scope(old, new)
            self._seam.both_see(time.monotonic_ns())
            await self._pass_over()
        except BaseException:
            self._older = self._silent = self._seam = None
            raise
        self._scope = None if new.launch == self.shipped else scope
        self._silent, self._speaking = old, new

    async def _copy_scope(self, old: Generation, new: Generation) -> set[int]:
        """Forks go on meanwhile, and each generation adds children of those that it knows."""
        while True:
            copied = set(await new.command("scope"))
            scope = set(await old.command("scope"))
            if missing := scope - copied:
                await new.command("watch", list(missing))
                continue
            # Of those that ended while they were copied nobody will tell the new one.
            copied = set(await new.command("scope"))
            await new.command("unwatch", list(copied - set(await old.command("scope"))))
            return scope

    async def _pass_over(self) -> dict[str, int]:
        """From now on the other side of the seam speaks. Returns what `missed` would until then."""
        assert self._seam is not None and self._silent is not None
        self._seam.cut(time.monotonic_ns())
        try:
            await asyncio.sleep(IN_FLIGHT_S)
            for generation in (self._current(), self._silent):
                await generation.command("flush")
        except BaseException:
            self._tell(self._seam.give_up())
            raise
        missed = self.missed()
        self._finish()
        return missed

    def _finish(self) -> None:
        assert self._seam is not None
        records = self._seam.finish()
        self.generation += 1
        self._deliver((ProbesReplaced(time.monotonic_ns(), self.generation),))
        self._tell(records)

    async def go_back(self) -> None:
        """See the protocol."""
        async with self._exchanging:
            await self._go_back()

    async def _go_back(self) -> None:
        assert self._seam is not None and self._silent is not None
        failed, back = self._current(), self._silent
        try:
            missed = await self._pass_over()
        except TracerUnavailable:
            if failed.failure is None or back.failure is not None:
                raise
            self._seam.cut_after_the_last_of(Side.NEWER)
            missed = self.missed()
            self._finish()
        self._speaking, self._silent = back, failed
        n_missed = sum(n for kind, n in missed.items() if kind != "sample")
        is_shipped = back.launch == self.shipped
        self._scope = None if is_shipped else set(await back.command("scope"))
        await self._settle()
        if n_missed:
            self._lose(n_missed)
            await self._see_again()

    async def _see_again(self) -> None:
        """After events that nobody has told of: who is there all the same."""
        scope = await self._current().command("scope")
        if living := await asyncio.to_thread(_see_all, scope):
            self._deliver(living)

    def _see_again_soon(self) -> None:
        if self._seeing_again is None or self._seeing_again.done():
            self._seeing_again = asyncio.create_task(self._see_again_when_calm())

    async def _see_again_when_calm(self) -> None:
        """While events are lost what is seen is out of date, and more work would be no help."""
        n_lost = -1
        for _ in range(MAX_WAITS_FOR_CALM):
            if n_lost == self.n_lost:
                break
            n_lost = self.n_lost
            await asyncio.sleep(CALM_AFTER_S)
        with contextlib.suppress(TracerUnavailable):  # it has ended, which is told
            await self._see_again()
        if n_lost != self.n_lost and not self._is_stopping:
            self._seeing_again = asyncio.create_task(self._see_again_when_calm())

    async def settle(self) -> None:
        """See the protocol."""
        async with self._exchanging:
            await self._settle()

    async def _settle(self) -> None:
        silent = self._silent
        if silent is None:
            return
        if silent.failure is None:
            with contextlib.suppress(TracerUnavailable):
                await silent.command("flush")  # the last of what it has seen while it spoke
        self._silent = self._older = self._seam = None
        self._retire(silent)

    def missed(self) -> dict[str, int]:
        """See the protocol."""
        if self._seam is None:
            return {}
        seen, told = self._seam.n_seen[Side.OLDER], self._seam.n_seen[Side.NEWER]
        return {
            name: seen[kind] for kind, name in KIND_NAMES.items() if seen[kind] and not told[kind]
        }

    async def ask(self, module: str, function: str, *, silent: bool = False) -> Any:
        """See the protocol."""
        generation = self._silent if silent else self._current()
        return await generation.command("ask", module, function) if generation else None

    def recent(self) -> Sequence[RecentRecord]:
        """See the protocol."""
        if self._recent is None:
            self._recent = deque(maxlen=MAX_RECENT)
        return [
            RecentRecord(sequence, generation, kind_of(record), structure_of(record) or record)
            for sequence, generation, record in self._recent
        ]

    def _on_end(self, generation: Generation, reason: str) -> None:
        """A worker has ended by itself."""
        if self._is_stopping:
            return
        if generation is self._speaking:
            if self._scope is None and self._silent is None:
                self._on_failure(reason)
            else:
                self._recovering = asyncio.create_task(self._recover(generation, reason))

    async def _recover(self, failed: Generation, reason: str) -> None:
        """Probes that were an edit have died: those before them speak again, or the shipped ones
        that are started for it."""
        try:
            async with self._exchanging:
                if failed is not self._speaking:
                    return  # it has been exchanged meanwhile
                if self._silent is not None:
                    await self._go_back()
                else:
                    await self._start_anew(self._scope or set())
        except TracerUnavailable as error:
            self._on_failure(f"{reason}, and so did what was to follow it: {error.message}")
            return
        if self.on_taken_back is not None:
            self.on_taken_back(reason)

    async def _start_anew(self, scope: set[int]) -> None:
        new = self._make(self.shipped)
        await new.start(LOAD_TIMEOUT_S)
        self._retire(self._current())
        self._speaking, self._scope = new, None
        await new.command("watch_users", self._users)
        self.generation += 1
        self._deliver((ProbesReplaced(time.monotonic_ns(), self.generation),))
        for pid in scope:
            await self._follow(pid)
        self._lose(1)  # how many, nobody has counted
        await self._see_again()

    def _current(self) -> Generation:
        if self._speaking is None:
            raise TracerUnavailable("the tracer has stopped", cause="worker_died")
        return self._speaking

    async def _command(self, name: str, *arguments: Any) -> None:
        """Of all that see: whoever speaks next shall know the same."""
        silent = self._silent
        await self._current().command(name, *arguments)
        if silent is not None:
            with contextlib.suppress(TracerUnavailable):  # it has ended, or is to
                await silent.command(name, *arguments)

    def _retire(self, generation: Generation) -> None:
        task = asyncio.create_task(generation.retire())
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    # -- what they tell ------------------------------------------------------------------------

    def _make(self, launch: Launch) -> Generation:
        return Generation(launch, self._on_records, self._on_lost, self._on_end)

    def _on_lost(self, generation: Generation, n_lost: int) -> None:
        if generation is self._speaking:
            self._lose(n_lost)
            self._see_again_soon()

    def _lose(self, n_lost: int) -> None:
        self.n_lost += n_lost
        self._deliver((EventsLost(time.monotonic_ns(), n_lost),))

    def _on_records(self, generation: Generation, records: list[bytes]) -> None:
        if self._seam is not None:
            side = Side.OLDER if generation is self._older else Side.NEWER
            records = self._seam.take(side, records)
        elif generation is not self._speaking:
            return
        self._tell(records)

    def _tell(self, records: list[bytes]) -> None:
        if not records:
            return
        events: list[Event] = []
        for record in records:
            event = decode(record)
            if event is None:
                self.n_undecodable += 1
            elif isinstance(event, Execed):
                events.append(_complete(event))
            else:
                events.append(event)
        self._remember(records, events)
        # One CPU's records are in order, those of two are nearly so.
        events.sort(key=lambda event: event.ktime_ns)
        self._deliver(events)

    def _remember(self, records: list[bytes], events: list[Event]) -> None:
        if self._recent is not None:
            for sequence, record in enumerate(records, self.n_events + 1):
                self._recent.append((sequence, self.generation, record))
        self.n_events += len(records)
        if self._scope is not None:
            for event in events:
                if isinstance(event, Forked):
                    self._scope.add(event.key.pid)
                elif isinstance(event, Exited):
                    self._scope.discard(event.key.pid)


def _see_all(pids: Collection[int]) -> list[ProcessSeen]:
    """As far as they are there, parents first. Blocks."""
    now_ns = time.monotonic_ns()
    seen = [process for pid in pids if (process := procfs.see(pid, now_ns)) is not None]
    return sorted(seen, key=lambda process: (process.key.start_ticks, process.key.pid))


def _complete(event: Execed) -> Execed:
    """Add what only /proc knows, if the process still runs that program."""
    pid = event.key.pid
    cwd, exe = procfs.read_cwd(pid), procfs.read_exe(pid)
    if cwd is None and exe is None:
        return event  # gone, as most are in a storm: no more reading then
    stat = procfs.read_stat(pid)
    if stat is None or stat.key != event.key:
        return event
    raw = procfs.read_bytes(f"/proc/{pid}/cmdline", procfs.MAX_CMDLINE_BYTES) or b""
    argv = procfs.split_argv(raw)
    n_whole = len(event.argv) - event.argv_truncated
    if argv[:n_whole] != event.argv[:n_whole]:
        return replace(event, cwd=cwd)  # it runs another program by now, or renamed itself
    event = replace(event, cwd=cwd, exe=exe or event.exe)
    if not event.argv_truncated:
        return event
    return replace(event, argv=argv, argv_truncated=len(raw) == procfs.MAX_CMDLINE_BYTES)
