"""Makes examinations: everything that can be found out about one suspect in about a second."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import psutil

from linnix_ls import procfs
from linnix_ls.core.attribution import is_one_call
from linnix_ls.core.detectors.stuck import hopeless
from linnix_ls.core.examination import (
    Depth,
    Examination,
    ExaminationRequest,
    MemoryProgress,
    PlaceHint,
    ProcessFacts,
    StackSnapshot,
    SyscallCount,
    Wait,
)
from linnix_ls.core.ids import NS_PER_S, TICKS_PER_S, ProcessKey
from linnix_ls.locate import native
from linnix_ls.locate.base import LanguageReader, Reading
from linnix_ls.locate.compiler import CompilerReader
from linnix_ls.locate.debug_paths import is_user_program
from linnix_ls.locate.growth import watch_growth
from linnix_ls.locate.java import JavaReader
from linnix_ls.locate.make import MakeReader
from linnix_ls.locate.node import NodeReader
from linnix_ls.locate.perl import PerlReader
from linnix_ls.locate.progress import watch_memory
from linnix_ls.locate.python import PythonReader, interpreter_share
from linnix_ls.locate.runners.base import FoundTest
from linnix_ls.locate.runners.registry import find_test, observe
from linnix_ls.locate.script import ScriptReader
from linnix_ls.locate.shell import ShellReader
from linnix_ls.locate.spawn import find_spawn_site
from linnix_ls.locate.standing import Standing
from linnix_ls.locate.turns import Turns
from linnix_ls.locate.waits import read_waits

# The first that recognises a process reads it. A new language is one file and one line here.
READERS: tuple[LanguageReader, ...] = (
    PythonReader(),
    ShellReader(),
    NodeReader(),
    PerlReader(),
    CompilerReader(),
    JavaReader(),
    MakeReader(),
    ScriptReader(),
)

JAVA_LEFT_ALONE = JavaReader(may_attach=False)

MEASURE_WINDOW_S = 0.7
MEASURE_LOOKS = 12
GLANCE_LOOKS = 3
GLANCE_INTERVAL_S = 0.08
RECENT_STACKS = 60
# In recordings of the corpus compilers are met in 45 to 60 different places in 60 samples, loops
# without progress in at most 9. Such a compiler is measured when it has used so much CPU.
EVERYWHERE_SHARE = 0.6
MIN_PLACES = 24
EVERYWHERE_CPU_S = 3.0
# In which a Python program that gets on is mostly seen to do so. To look at the variables of one
# that does not takes twice as long, and its memory is read meanwhile.
FIRST_LOOKS_S = 0.6
MAX_ANCESTORS_READ = 8
MAX_NOTE_CHARS = 200
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

CountSyscalls = Callable[[int, float], Awaitable[tuple[SyscallCount, ...] | None]]
RecentUserStacks = Callable[[ProcessKey], Sequence[tuple[int, ...]]]


class Examiner:
    """Looks closely at suspects.

    Args:
        count_syscalls: the tracer's.
        recent_user_stacks: what the sampler has seen of a process, innermost address first.
        turns: those of all examiners that share the tracer.
        may_attach_to_jvm: whether a JVM may be asked for a thread dump.
    """

    def __init__(
        self,
        count_syscalls: CountSyscalls,
        recent_user_stacks: RecentUserStacks,
        turns: Turns | None = None,
        may_attach_to_jvm: Callable[[], bool] = lambda: True,
    ) -> None:
        self._count_syscalls = count_syscalls
        self._recent_user_stacks = recent_user_stacks
        self._turns = turns or Turns()
        self._may_attach_to_jvm = may_attach_to_jvm
        self._standing = Standing()

    async def look(self, key: ProcessKey) -> Reading:
        """See the protocol."""
        async with self._turns.at(key):
            facts = await asyncio.to_thread(_facts, key)
            if not facts.argv:
                return Reading("none", notes=("it has ended",))
            reading = await self._read(facts, n_looks=1, interval_s=0)
            looks = await _look_at_native_code(facts, n_looks=1, interval_s=0)
        native_stacks = await native.native_stacks(key.pid, looks, ())
        stat = await asyncio.to_thread(procfs.read_stat, key.pid)
        if stat is None or stat.key != key:
            return Reading("none", notes=("it has ended",))
        return replace(reading, bystanders=(*reading.bystanders, *native_stacks))

    async def examine(
        self, request: ExaminationRequest, ancestors: Sequence[ProcessKey]
    ) -> Examination:
        """Answer a request. A process that has gone, or vanishes meanwhile, is an answer too.

        Args:
            ancestors: of the suspect, nearest first, as far as they belong to its run.

        Raises:
            TimeoutError: others look at it all the time.
        """
        pid = request.key.pid
        if request.depth is Depth.WAITS:
            free = await self._seen_free(request)
            if free is not None:
                return free
        async with self._turns.at(request.key):
            before = await asyncio.to_thread(procfs.read_counters, pid)
            if before is None or before.stat.key != request.key:
                return await self._without_suspect(request, ancestors)
            facts = _facts(request.key)
            if request.depth is Depth.MEASURE and self._is_all_over_the_place(facts, before):
                return Examination(request.id, request.key, request.depth, False, 0.0, facts)
            if request.depth is not Depth.MEASURE:
                reading, looks = await asyncio.gather(
                    self._read(facts, n_looks=GLANCE_LOOKS, interval_s=GLANCE_INTERVAL_S),
                    _look_at_native_code(facts, n_looks=4, interval_s=0.03),
                )
                syscalls = memory = growth = None
            else:
                interval_s = MEASURE_WINDOW_S / MEASURE_LOOKS
                reader = _reader_of(facts)
                is_java = isinstance(reader, JavaReader)
                comes_back = asyncio.Event() if isinstance(reader, PythonReader) else None
                if comes_back is not None:
                    reader = PythonReader(comes_back)
                begun = asyncio.create_task(
                    self._read(facts, reader, n_looks=MEASURE_LOOKS, interval_s=interval_s)
                )
                reading, looks, syscalls, memory, growth = await asyncio.gather(
                    begun,
                    _look_at_native_code(facts, n_looks=MEASURE_LOOKS, interval_s=interval_s),
                    self._count_syscalls(pid, MEASURE_WINDOW_S),
                    _memory_unless_it_moves_on(pid, begun, comes_back),
                    asyncio.to_thread(watch_growth, pid, has_short_addresses=is_java),
                )
            if is_one_call(reading.stacks):  # it may be inside of native code of the user's own
                looks = await native.take_looks(pid, n_looks=6, interval_s=0.02)
        samples = self._recent_user_stacks(request.key)
        native_stacks = await native.native_stacks(pid, looks, samples)
        lineage = [_facts(key) for key in ancestors[:MAX_ANCESTORS_READ]]
        lineage = await self._with_spawn_site(lineage)
        after = await asyncio.to_thread(procfs.read_counters, pid)
        if after is None or after.stat.key != request.key:
            return await self._without_suspect(request, ancestors)

        seen = (*reading.stacks, *native_stacks, *reading.bystanders)
        test = await asyncio.to_thread(_test_of, [replace(facts, stacks=seen), *lineage])
        facts = replace(facts, test=test.id if test else None)
        hints = list(reading.hints) or await self._nearest_hints(lineage)
        if reading.notes and not reading.stacks:
            # Why it is only this place.
            note = reading.notes[0][:MAX_NOTE_CHARS]
            hints = [replace(hint, reason=f"{hint.reason}; {note}") for hint in hints]
        is_started_here = any(stack.is_in_user_code for above in lineage for stack in above.stacks)
        # Who waits in an event loop stands nowhere: of a circle of waits, the source tells.
        is_of_use = not reading.moves_on  # all sources of a project are read for it
        if is_of_use and (
            not any(above.argv for above in lineage)
            or (request.depth is Depth.WAITS and not is_started_here)
        ):
            site = await asyncio.to_thread(find_spawn_site, facts)
            hints += [site] if site else []
        if request.child_argv and not any(stack.is_in_user_code for stack in reading.stacks):
            started = replace(facts, argv=request.child_argv)
            site = await asyncio.to_thread(find_spawn_site, started, role="culprit")
            hints += [site] if site else []
        if test and test.place:
            hints.append(test.place)
        waits: tuple[Wait, ...] = ()
        listening: tuple[str, ...] = ()
        if request.depth is Depth.WAITS:
            waits = await asyncio.to_thread(read_waits, request.around)
        elif request.depth is Depth.GLANCE:
            listening = await asyncio.to_thread(_listening, pid)
        window_s = (after.monotonic_ns - before.monotonic_ns) / NS_PER_S

        def per_s(earlier: int | None, later: int | None) -> float | None:
            if earlier is None or later is None or later < earlier or window_s <= 0:
                return None
            return (later - earlier) / window_s

        run, wait = (
            per_s(before.run_ns, after.run_ns),
            per_s(before.wait_ns, after.wait_ns),
        )
        ticks = per_s(_cpu_ticks(before), _cpu_ticks(after))
        return Examination(
            request_id=request.id,
            key=request.key,
            depth=request.depth,
            is_gone=False,
            window_s=window_s,
            process=facts,
            ancestors=tuple(lineage),
            on_cpu_cores=run / NS_PER_S if run is not None else (ticks or 0) / TICKS_PER_S,
            runnable_cores=(run + wait) / NS_PER_S
            if run is not None and wait is not None
            else None,
            user_share=_user_share(before.stat, after.stat),
            n_threads=after.stat.n_threads,
            voluntary_switches_per_s=per_s(before.n_voluntary_switches, after.n_voluntary_switches),
            page_faults_per_s=per_s(before.stat.n_minor_faults, after.stat.n_minor_faults),
            read_bytes_per_s=per_s(before.n_read_bytes, after.n_read_bytes),
            written_bytes_per_s=per_s(before.n_written_bytes, after.n_written_bytes),
            rss_bytes=after.stat.rss_pages * PAGE_BYTES,
            rss_growth_bytes_per_s=(after.stat.rss_pages - before.stat.rss_pages)
            * PAGE_BYTES
            / window_s,
            syscalls=syscalls,
            interpreter_share=(
                interpreter_share(facts, self._recent_user_stacks(request.key)[-RECENT_STACKS:])
                if reading.language == "python"
                else None
            ),
            language=reading.language,
            stacks=reading.stacks,
            native_stacks=native_stacks,
            hints=tuple(hints),
            memory=memory,
            growth=growth,
            motions=reading.motions or looks.motions,
            deadlock=reading.deadlock,
            waits=waits,
            listening=listening,
            moves_on=reading.moves_on,
            notes=reading.notes,
        )

    def _is_all_over_the_place(self, facts: ProcessFacts, counters: procfs.Counters) -> bool:
        """Whether a program without an interpreter is hardly ever met twice in the same place, as
        compilers are. What goes round in circles has few; where many functions take part in it,
        it is measured a little later."""
        reader = _reader_of(facts)
        if not (reader is READERS[-1] or isinstance(reader, CompilerReader)):
            return False
        if _cpu_ticks(counters) > EVERYWHERE_CPU_S * TICKS_PER_S:
            return False
        recent = self._recent_user_stacks(facts.key)[-RECENT_STACKS:]
        n_places = len({stack[0] for stack in recent if stack})
        return n_places >= max(MIN_PLACES, EVERYWHERE_SHARE * len(recent))

    async def _seen_free(self, request: ExaminationRequest) -> Examination | None:
        """Of who can be woken: where it stands is of no interest then, and stacks are dear. None
        for who may be stuck, and for a JVM, which may say more of itself than /proc does."""
        key = request.key
        seen = Examination(request.id, key, request.depth, False, 0.0, None)
        if self._standing.is_as_before(key):
            return seen
        facts = await asyncio.to_thread(_facts, key)
        if not facts.argv or JavaReader().recognises(facts):  # it has ended, perhaps
            return None
        waits = await asyncio.to_thread(self._standing.look, key, request.around)
        return None if key in hopeless(waits) else replace(seen, process=facts, waits=waits)

    async def _without_suspect(
        self, request: ExaminationRequest, ancestors: Sequence[ProcessKey]
    ) -> Examination:
        """It has gone. Of a storm, whose processes do not live long, the nearest one above that is
        still there and stands somewhere in the user's files tells the place as well."""
        lineage = [_facts(key) for key in ancestors[:MAX_ANCESTORS_READ]]
        with_stacks = lineage.copy()
        reading = Reading("none")
        for generation, facts in enumerate(lineage if request.depth is Depth.GLANCE else ()):
            if facts.argv:
                reading = await self._read_in_turn(facts, n_looks=2, interval_s=0.02)
                with_stacks[generation] = replace(facts, stacks=reading.stacks)
                if reading.stacks or reading.hints:
                    break
        hints = list(reading.hints)
        if lineage:
            test = await asyncio.to_thread(_test_of, with_stacks)
            lineage[0] = replace(lineage[0], test=test.id if test else None)
            if test and test.place:
                hints.append(test.place)
        return Examination(
            request_id=request.id,
            key=request.key,
            depth=request.depth,
            is_gone=True,
            window_s=0.0,
            process=None,
            ancestors=tuple(lineage),
            language=reading.language,
            stacks=reading.stacks,
            hints=tuple(hints),
        )

    async def _read(
        self,
        facts: ProcessFacts,
        reader: LanguageReader | None = None,
        *,
        n_looks: int,
        interval_s: float,
    ) -> Reading:
        reader = reader or _reader_of(facts)
        if reader.language == JAVA_LEFT_ALONE.language and not self._may_attach_to_jvm():
            reader = JAVA_LEFT_ALONE
        reading = await reader.read(facts, n_looks=n_looks, interval_s=interval_s)
        if reading.stacks or reading.hints or reader is READERS[-1]:
            return reading
        named = await READERS[-1].read(facts, n_looks=1, interval_s=0)
        return replace(reading, hints=named.hints)

    async def _read_in_turn(
        self, facts: ProcessFacts, *, n_looks: int, interval_s: float
    ) -> Reading:
        """Of another process than the suspect: one that is never free has no stacks."""
        try:
            async with self._turns.at(facts.key):
                return await self._read(facts, n_looks=n_looks, interval_s=interval_s)
        except TimeoutError:
            return Reading("none")

    async def _with_spawn_site(self, lineage: list[ProcessFacts]) -> list[ProcessFacts]:
        """The nearest ancestor that runs a language whose stacks can be read, or has native ones in
        the user's code, with one look."""
        for position, facts in enumerate(lineage):
            stacks: tuple[StackSnapshot, ...] = ()
            if not facts.argv:
                continue
            is_python = READERS[0].recognises(facts)
            if is_python:
                stacks = (await self._read_in_turn(facts, n_looks=1, interval_s=0)).stacks
            elif is_user_program(facts.exe):
                looks = native.Looks([])
                with contextlib.suppress(TimeoutError):
                    async with self._turns.at(facts.key):
                        looks = await _look_at_native_code(facts, n_looks=1, interval_s=0)
                stacks = await native.native_stacks(facts.key.pid, looks, ())
            if is_python or any(stack.is_in_user_code for stack in stacks):
                lineage = lineage.copy()
                lineage[position] = replace(facts, stacks=stacks)
                break
        return lineage

    async def _nearest_hints(self, lineage: list[ProcessFacts]) -> list[PlaceHint]:
        """Of the nearest ancestor that has any: where the process itself has no source to show."""
        for facts in lineage:
            if facts.argv and not READERS[0].recognises(facts):
                reading = await self._read_in_turn(facts, n_looks=1, interval_s=0)
                if reading.hints:
                    return [
                        replace(
                            hint,
                            confidence=hint.confidence * 0.7,
                            reason=f"{hint.reason}, of the process that started it",
                        )
                        for hint in reading.hints
                    ]
        return []


async def _memory_unless_it_moves_on(
    pid: int, reading: asyncio.Task[Reading], comes_back: asyncio.Event | None
) -> MemoryProgress | None:
    """Reading memory is what costs most of a look, and tells only of who was seen to come back to
    something. Of Python programs most are soon seen to get on.

    Args:
        comes_back: of a Python program, is set when it has.
    """
    if comes_back is not None:
        coming_back = asyncio.create_task(comes_back.wait())
        try:
            await asyncio.wait(
                {reading, coming_back}, timeout=FIRST_LOOKS_S, return_when=asyncio.FIRST_COMPLETED
            )
        finally:  # this look may be broken off, too
            coming_back.cancel()
        if reading.done() and reading.exception() is None and reading.result().moves_on:
            return None
    return await asyncio.to_thread(watch_memory, pid, counts_references=comes_back is not None)


def _reader_of(facts: ProcessFacts) -> LanguageReader:
    return next(reader for reader in READERS if reader.recognises(facts))


def _facts(key: ProcessKey) -> ProcessFacts:
    """What /proc says; empty where the process has gone, or is another one by now."""
    facts = ProcessFacts(
        key=key,
        argv=procfs.read_argv(key.pid),
        exe=procfs.read_exe(key.pid),
        cwd=procfs.read_cwd(key.pid),
    )
    stat = procfs.read_stat(key.pid)
    if stat is None or stat.key != key:
        return ProcessFacts(key=key, argv=(), exe=None, cwd=None)
    return facts


def _test_of(lineage: Sequence[ProcessFacts]) -> FoundTest | None:
    """The test that the first of these processes belongs to; the others are those above. Blocks."""
    return find_test([observe(facts) for facts in lineage])


async def _look_at_native_code(
    facts: ProcessFacts, *, n_looks: int, interval_s: float
) -> native.Looks:
    """Of programs that no reader knows. What interpreters and virtual machines are made of is
    nobody's to change; and only one at a time may stop a process to look at it. Of a JVM, which
    its reader does not stop, only whether its threads get on."""
    reader = _reader_of(facts)
    if isinstance(reader, JavaReader):
        looks = await native.take_looks(facts.key.pid, n_looks=n_looks, interval_s=interval_s)
        return looks._replace(looks=[])
    if reader is not READERS[-1]:
        return native.Looks([])
    return await native.take_looks(facts.key.pid, n_looks=n_looks, interval_s=interval_s)


def _listening(pid: int) -> tuple[str, ...]:
    """Addresses at which it accepts connections, as far as they can be seen."""
    try:
        connections = psutil.Process(pid).net_connections("inet")
    except (psutil.Error, OSError):
        return ()
    return tuple(
        f"{connection.laddr.ip}:{connection.laddr.port}"
        for connection in connections
        if connection.status == psutil.CONN_LISTEN and connection.laddr
    )


def _cpu_ticks(counters: procfs.Counters) -> int:
    return counters.stat.utime_ticks + counters.stat.stime_ticks


def _user_share(before: procfs.Stat, after: procfs.Stat) -> float | None:
    user = after.utime_ticks - before.utime_ticks
    system = after.stime_ticks - before.stime_ticks
    return user / (user + system) if user + system > 0 else None
