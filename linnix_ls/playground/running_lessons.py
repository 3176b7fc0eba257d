"""Checks of lessons by running: the probe is loaded, by an agent or by ourselves, and workloads are
started, which are the user's own processes in either case.

Not here: what is checked (`lessons`), and checks for who may load nothing (`recorded_lessons`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Literal

from linnix_ls import invocation
from linnix_ls.errors import LinnixError, PlaygroundError
from linnix_ls.playground.base import (
    Checked,
    LessonResult,
    MapReading,
    Outcome,
    Playground,
    ProbeHandle,
    Problem,
    Severity,
)
from linnix_ls.playground.compiled import MAP_TYPES, PERF_BUFFER, RING_BUFFER
from linnix_ls.playground.dialect import dialect_of
from linnix_ls.playground.lessons import (
    PROBE,
    Attempt,
    Lesson,
    NotLoaded,
    Probe,
    Workload,
    hint_at,
    with_defines,
)
from linnix_ls.playground.loader import ProbeHost
from linnix_ls.playground.permission import Client, require_load
from linnix_ls.playground.service import Service

CHECK_LIMIT_S = 60.0
_WORKLOAD_LIMIT_S = 30.0
_TAKEN = "the kernel takes the probe"
_TYPES = {name: number for number, name in MAP_TYPES.items()}


class _Stopped(Exception):
    """It was loaded, and detached before the end. Args: why, in words."""


def require_permission(number: int | Literal["N"] = "N", *, has_agent: bool = False) -> None:
    """Raises:
    LinnixError: this process may have nothing loaded; with what changes that.
    """
    if os.geteuid() == 0:
        return
    as_root = invocation.as_root("playground", "check", str(number))
    if not has_agent:
        raise LinnixError(
            "to check a lesson, its probe is loaded into the kernel, which only root may here",
            fix=as_root,
        )
    try:
        require_load(_us())
    except LinnixError as error:
        raise LinnixError(error.message, fix=f"{as_root}, or: {error.fix}") from error


def _us() -> Client:
    return Client(os.getpid(), os.geteuid(), os.getegid(), frozenset(os.getgroups()))


async def check_answer(
    lesson: Lesson, source: str, cache: Path, *, dice: random.Random | None = None
) -> LessonResult:
    """`check_by_running`, with what an agent has, in this process.

    Raises:
        LinnixError: nothing may be loaded here, or something that this needs is missing.
    """
    require_permission(lesson.number)
    async with local_playground(cache) as playground:
        return await check_by_running(lesson, source, playground, dice)


@contextlib.asynccontextmanager
async def local_playground(cache: Path) -> AsyncIterator[Playground]:
    """What an agent would offer us."""
    playground = Service(cache, ProbeHost(cache).open).open(_us())
    try:
        yield playground
    finally:
        await playground.close()


async def check_by_running(
    lesson: Lesson, source: str, playground: Playground, dice: random.Random | None = None
) -> LessonResult:
    """Have `source` loaded, let the workload run, compare.

    Raises:
        LinnixError: something that this needs is missing.
    """
    began_s = time.monotonic()
    attempt = RunningAttempt(lesson, source, playground, dice or random.SystemRandom())
    outcomes: list[Outcome] = []
    problems: tuple[Problem, ...] = ()
    async with attempt:
        try:
            async with asyncio.timeout(CHECK_LIMIT_S):
                outcomes += [outcome async for outcome in lesson.check(attempt)]
            if attempt.is_loaded:
                outcomes.insert(
                    0, Outcome(_TAKEN, is_passed=True, expected="it loads", seen="it does")
                )
        except _Stopped as error:
            hint = hint_at(lesson, ["cost"])
            outcomes.append(Outcome("it runs to the end", False, "it does", str(error), hint))
        except NotLoaded as error:
            problems = (await attempt.checked()).problems
            outcomes.append(_not_loaded(lesson, problems, str(error)))
        except TimeoutError:
            limit = f"within {CHECK_LIMIT_S:.0f} s"
            outcomes.append(Outcome("the check ends", False, limit, "it was stopped"))
    return LessonResult(tuple(outcomes), problems, lesson.n_checks, time.monotonic() - began_s)


def _not_loaded(lesson: Lesson, problems: Sequence[Problem], error: str) -> Outcome:
    errors = [each for each in problems if each.severity is Severity.ERROR]
    seen = f"line {errors[0].span.line}: {errors[0].message}" if errors else error
    hint = hint_at(lesson, [each.code for each in errors])
    return Outcome(_TAKEN, False, "it loads", seen, hint)


class RunningWorkload(Workload):
    """One that happens now."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        super().__init__(process.pid)
        self._process = process

    def go(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(b"go\n")

    async def told(self) -> Any:
        assert self._process.stdout is not None
        async with asyncio.timeout(_WORKLOAD_LIMIT_S):
            line = await self._process.stdout.readline()
        if not line:
            raise LinnixError("the lesson's own workload ended early; nothing was checked")
        return json.loads(line)

    async def end(self) -> None:
        """With all processes that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        await self._process.wait()


class RunningAttempt(Attempt):
    """With things that happen now."""

    def __init__(
        self, lesson: Lesson, source: str, playground: Playground, dice: random.Random
    ) -> None:
        super().__init__(lesson, source, dice)
        self.is_loaded = False
        self._playground = playground

    async def start(self, *words: object) -> RunningWorkload:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(self.lesson.folder / "workload.py")),
            *map(str, words),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
            cwd="/",
        )
        workload = RunningWorkload(process)
        self._things.push_async_callback(workload.end)
        assert await workload.told() == "ready"
        return workload

    @contextlib.asynccontextmanager
    async def probe(self, **defined: int) -> AsyncIterator[_LoadedProbe]:
        source = with_defines(self.source, defined)
        name = f"lesson {self.lesson.number}"
        try:
            handle = await self._playground.load(
                dialect_of(source), name, source, ttl_s=CHECK_LIMIT_S
            )
        except PlaygroundError as error:
            raise NotLoaded(error.message) from error
        self.is_loaded = True
        try:
            yield _LoadedProbe(self._playground, handle)
        finally:
            with contextlib.suppress(PlaygroundError):  # the agent has gone, and it with it
                await self._playground.unload(handle.id)

    async def checked(self) -> Checked:
        return await self._playground.check(dialect_of(self.source), PROBE, self.source)


class _LoadedProbe(Probe):
    def __init__(self, playground: Playground, handle: ProbeHandle) -> None:
        super().__init__()
        self._playground = playground
        self._id = handle.id
        self._n_seen = 0

    async def _reading(self) -> dict[str, Any]:
        reading = await self._playground.read(self._id, self._n_seen, is_whole=True)
        if reading.problem:
            raise _Stopped(reading.problem)
        self._n_seen = max((each.sequence for each in reading.events), default=self._n_seen)
        kinds = {each.name: _TYPES.get(each.type, 0) for each in reading.maps}
        return {
            "events": [{"map": each.map, "fields": each.fields} for each in reading.events],
            "n_lost": reading.n_lost,
            "kinds": kinds,
            "maps": {
                each.name: _rows(each)
                for each in reading.maps
                if kinds[each.name] not in (PERF_BUFFER, RING_BUFFER)
            },
            "run_time_ns": sum(each.run_time_ns for each in reading.programs),
        }


def _rows(each: MapReading) -> list[tuple[Any, Any]]:
    if not each.per_cpu:
        return list(each.entries)
    rows = zip(each.entries, each.per_cpu, strict=True)
    return [(key, values) for (key, _), values in rows]
