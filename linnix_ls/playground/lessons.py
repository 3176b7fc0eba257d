"""The lessons: what they are made of, and how an answer to one is checked.

A lesson is a folder of `playground/`: README.md is its text, lesson.toml its title and hints,
probe.bpf.c the start, workload.py what happens while the probe looks, check.py what must have
been seen, solutions/ the reference and answers that are known to be wrong. What a workload does is
drawn anew for each check, so an answer cannot be guessed. No code is run from the learner's
folder but the probe, and that by the kernel's leave.

Not here: the learner's files and progress (`lesson_folder`), and what is printed (`cli`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import re
import runpy
import signal
import sys
import tempfile
import time
import tomllib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

from linnix_ls import invocation
from linnix_ls.errors import LinnixError, UsageError
from linnix_ls.playground import headers
from linnix_ls.playground.base import Checked, LessonResult, Outcome, Problem, Severity
from linnix_ls.playground.c_source import CSource
from linnix_ls.playground.checker import Request, try_out
from linnix_ls.playground.diagnosis import diagnose
from linnix_ls.playground.dialect import dialect_of
from linnix_ls.playground.permission import Client, write_down

PROBE = "probe.bpf.c"
_TAKEN = "the kernel takes the probe"
HINT_STEPS = ("idea", "place", "code")
CHECK_LIMIT_S = 60.0
_LOAD_LIMIT_S = 30.0
_WORKLOAD_LIMIT_S = 30.0


class NotLoaded(Exception):
    """The kernel, the compiler or policy does not take it."""


class NotMeasured(Exception):
    """This way of checking cannot tell. Args: what, in words."""


@dataclass(frozen=True, slots=True)
class Hint:
    """Help in three steps, each saying more.

    Attributes:
        on_problem: codes of problems (by their beginning) at which it is the one to give.
    """

    id: str
    idea: str
    place: str
    code: str
    on_problem: tuple[str, ...] = ()

    def step(self, number: int) -> str:
        """The first is 1."""
        text: str = getattr(self, HINT_STEPS[number - 1])
        return text


@dataclass(frozen=True)
class Lesson:
    """One lesson.

    Attributes:
        needs: what the kernel or machine must have, in words.
        is_for_reading: its exercise in README.md can be done without loading anything.
        why_not_recorded: why recorded events are not enough for its check; None if they are.
        n_checks: how many things are checked of an answer that loads.
        wrong: known wrong answers, by the name of their file, and the hint that each must get.
    """

    number: int
    title: str
    learn: str
    folder: Path
    needs: tuple[str, ...]
    hints: tuple[Hint, ...]
    n_checks: int
    wrong: Mapping[str, str]
    is_for_reading: bool = False
    why_not_recorded: str | None = None

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def start(self) -> str:
        return (self.folder / PROBE).read_text(encoding="utf-8")

    @property
    def text(self) -> str:
        return (self.folder / "README.md").read_text(encoding="utf-8")

    @property
    def solution(self) -> str:
        return self.answer("reference")

    def answer(self, name: str) -> str:
        """The reference, or a known wrong one."""
        return (self.folder / "solutions" / f"{name}.bpf.c").read_text(encoding="utf-8")

    def hint(self, id_: str) -> Hint:
        return next(hint for hint in self.hints if hint.id == id_)

    @cached_property
    def check(self) -> Callable[[Attempt], AsyncIterator[Outcome]]:
        # Not as a module: that would leave bytecode in the folder.
        names = runpy.run_path(str(self.folder / "check.py"))
        check: Callable[[Attempt], AsyncIterator[Outcome]] = names["check"]
        return check


def lessons_dir() -> Path:
    """The folder of all lessons: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "lessons"
    return inside if inside.is_dir() else package.parent / "playground"


def all_lessons() -> list[Lesson]:
    """In their order."""
    return [_lesson(path.parent) for path in sorted(lessons_dir().glob("[0-9][0-9]-*/lesson.toml"))]


def lesson(number: int) -> Lesson:
    """Raises:
    UsageError: there is none of that number.
    """
    known = all_lessons()
    for each in known:
        if each.number == number:
            return each
    numbers = ", ".join(str(each.number) for each in known)
    raise UsageError(f"there is no lesson {number}", fix=f"choose one of {numbers}")


def _lesson(folder: Path) -> Lesson:
    told = tomllib.loads((folder / "lesson.toml").read_text(encoding="utf-8"))
    hints = [
        Hint(id_, said["idea"], said["place"], said["code"], tuple(said.get("on_problem", ())))
        for id_, said in told["hints"].items()
    ]
    return Lesson(
        number=int(folder.name[:2]),
        title=told["title"],
        learn=told["learn"],
        folder=folder,
        needs=tuple(told["needs"]),
        hints=tuple(hints),
        n_checks=told["n_checks"],
        wrong=told["wrong"],
        is_for_reading=told.get("is_for_reading", False),
        why_not_recorded=told.get("why_not_recorded"),
    )


# --- checking an answer -----------------------------------------------------------------------


async def check_as_far_as_may_be(
    lesson: Lesson, source: str, cache: Path, *, is_recorded: bool = False
) -> LessonResult:
    """By loading the answer, for who may; else by recorded events, if they do for this lesson; else
    by compiling it.

    Args:
        is_recorded: as for who may not.

    Raises:
        LinnixError: something that this needs is missing.
    """
    if os.geteuid() == 0 and not is_recorded:
        return await check_answer(lesson, source, cache)
    from linnix_ls.playground import recorded_lessons

    if lesson.why_not_recorded is None:
        return await recorded_lessons.check_on_recording(lesson, source)
    return await recorded_lessons.check_compiled(lesson, source, cache)


async def check_answer(
    lesson: Lesson, source: str, cache: Path, *, seed: int | None = None
) -> LessonResult:
    """Load `source`, let the workload run, compare.

    Raises:
        LinnixError: nothing may be loaded here, or something this needs is missing.
    """
    began_s = time.monotonic()
    outcomes: list[Outcome] = []
    problems: tuple[Problem, ...] = ()
    dice = random.Random(seed) if seed is not None else random.SystemRandom()  # noqa: S311
    async with LoadedAttempt(lesson, source, cache, dice) as attempt:
        try:
            async with asyncio.timeout(CHECK_LIMIT_S):
                outcomes += [outcome async for outcome in lesson.check(attempt)]
            if attempt.is_loaded:
                outcomes.insert(
                    0, Outcome(_TAKEN, is_passed=True, expected="it loads", seen="it does")
                )
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


def hint_at(lesson: Lesson, codes: Sequence[str]) -> str:
    """The one for problems with these codes."""
    fitting = (
        hint.id
        for hint in lesson.hints
        if any(code.startswith(hint.on_problem) for code in codes if hint.on_problem)
    )
    return next(fitting, "begin")


@dataclass(frozen=True, slots=True)
class Event:
    """One record that the probe sent. `map`: the buffer."""

    map: str
    fields: Mapping[str, Any]


class Probe(ABC):
    """The learner's probe, and what it has seen until the last `read`."""

    def __init__(self) -> None:
        self._last: dict[str, Any] = {}
        self._events: list[Event] = []

    async def read(self) -> None:
        """What it has seen until now; the other methods tell of it."""
        self._last = await self._reading()
        self._events += [Event(each["map"], each["fields"]) for each in self._last["events"]]

    @abstractmethod
    async def _reading(self) -> dict[str, Any]:
        """The next one, with the events since the one before."""

    def has(self, name: str) -> bool:
        return name in self._last["kinds"]

    def kind(self, name: str) -> int:
        """The map's type, of enum bpf_map_type; 0 if there is no such map."""
        return int(self._last["kinds"].get(name, 0))

    def rows(self, name: str) -> list[tuple[Any, Any]]:
        """Of a map that is not there: none."""
        return [(key, value) for key, value in self._last["maps"].get(name, ())]

    def numbers(self, name: str) -> dict[int, int]:
        """Rows of numbers; others are left out. Those of CPUs are added up."""
        found = {}
        for key, value in self.rows(name):
            total = sum(value) if _is_numbers(value) else value
            if isinstance(key, int) and isinstance(total, int):
                found[key] = total
        return found

    def events(self, name: str) -> list[Mapping[str, Any]]:
        return [event.fields for event in self._events if event.map == name]

    @property
    def n_lost(self) -> int:
        """Records that a perf buffer had no room for."""
        return int(self._last["n_lost"])

    @property
    def run_time_ns(self) -> int:
        """How long its programs ran, all together.

        Raises:
            NotMeasured: nobody has measured it.
        """
        if "run_time_ns" not in self._last:
            raise NotMeasured("what the probe costs")
        return int(self._last["run_time_ns"])


class LoadedProbe(Probe):
    """One that runs in the kernel, for a `lesson_worker`."""

    def __init__(self, process: asyncio.subprocess.Process, result: asyncio.StreamReader) -> None:
        super().__init__()
        self._process = process
        self._result = result

    async def answer(self) -> dict[str, Any]:
        async with asyncio.timeout(_LOAD_LIMIT_S):
            line = await self._result.readline()
        if not line:
            raise NotLoaded("the compiler did not survive this source")
        told: dict[str, Any] = json.loads(line)
        if "failed" in told:
            raise NotLoaded(told["failed"])
        return told

    async def _reading(self) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        reading: dict[str, Any] = (await self.answer())["reading"]
        return reading


def _is_numbers(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, int) for each in value)


class Workload(ABC):
    """A process of a lesson's workload.py, which waits for `go`."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    @abstractmethod
    def go(self) -> None: ...

    @abstractmethod
    async def told(self) -> Any:
        """What it says of what it did; its next line."""

    async def run(self) -> Any:
        self.go()
        return await self.told()


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


class Attempt(ABC):
    """What a lesson's check works with. Leaving it ends all that it started."""

    def __init__(self, lesson: Lesson, source: str, dice: random.Random) -> None:
        self.lesson = lesson
        self.source = source
        self.dice = dice
        self._things = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._things.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._things.aclose()

    @cached_property
    def scratch(self) -> Path:
        """A folder for the workload, gone afterwards."""
        return Path(self._things.enter_context(tempfile.TemporaryDirectory(prefix="linnix-")))

    @abstractmethod
    async def start(self, *words: object) -> Workload:
        """A process of workload.py that waits, so that its pid is known before anything happens."""

    @abstractmethod
    def probe(self, **defined: int) -> contextlib.AbstractAsyncContextManager[Probe]:
        """The learner's probe, running. `defined`: what its #defines are to be, by name.

        Raises:
            NotLoaded: it is not taken.
        """

    @abstractmethod
    async def checked(self) -> Checked:
        """What is wrong with the source, as the editor tells it, and which programs load."""


class LoadedAttempt(Attempt):
    """On this kernel, with things that happen now."""

    def __init__(self, lesson: Lesson, source: str, cache: Path, dice: random.Random) -> None:
        super().__init__(lesson, source, dice)
        self.is_loaded = False
        self._cache = cache

    async def __aenter__(self) -> Self:
        require_permission(self.lesson.number)
        return await super().__aenter__()

    @cached_property
    def _headers(self) -> tuple[str, tuple[str, ...]]:
        return headers.header_folders(self._cache)

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
    async def probe(self, **defined: int) -> AsyncIterator[LoadedProbe]:
        read_fd, write_fd = os.pipe()
        process = await asyncio.create_subprocess_exec(
            *invocation.python("linnix_ls.playground.lesson_worker"),
            *(str(write_fd), self._headers[0]),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            pass_fds=(write_fd,),
            start_new_session=True,
            cwd="/",
            env=_environment(),
        )
        os.close(write_fd)
        result = asyncio.StreamReader(limit=1 << 26)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(result), os.fdopen(read_fd, "rb")
        )
        try:
            assert process.stdin is not None
            asked = json.dumps({"source": with_defines(self.source, defined)})
            process.stdin.write(asked.encode() + b"\n")
            probe = LoadedProbe(process, result)
            await probe.answer()
            us = Client(os.getpid(), os.geteuid(), os.getegid(), frozenset(os.getgroups()))
            write_down(us, f"lesson {self.lesson.number}", self.source, "loaded")
            self.is_loaded = True
            yield probe
        finally:
            transport.close()
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()

    async def checked(self) -> Checked:
        tree, include = self._headers
        request = Request(
            dialect_of(self.source), PROBE, self.source, tree, include, self._contexts
        )
        return diagnose(request, await try_out(request))

    @property
    def _contexts(self) -> dict[str, str]:
        return CSource(self.source).contexts


def with_defines(source: str, defined: Mapping[str, int]) -> str:
    """The source, with the numbers of these #defines replaced.

    Raises:
        NotLoaded: it has no such line any more.
    """
    for name, number in defined.items():
        line = re.compile(rf"^([ \t]*#[ \t]*define[ \t]+{name}[ \t]+)\d+\b", re.MULTILINE)
        source, n_replaced = line.subn(rf"\g<1>{number}", source)
        if not n_replaced:
            raise NotLoaded(f"the line `#define {name} 0` is gone; the check needs it")
    return source


def require_permission(number: int | Literal["N"] = "N") -> None:
    """Raises:
    LinnixError: this process may load nothing; with the command that may.
    """
    if os.geteuid() != 0:
        raise LinnixError(
            "to check a lesson, its probe is loaded into the kernel, which only root may here",
            fix=invocation.as_root("playground", "check", str(number)),
        )


def _environment() -> dict[str, str]:
    package_root = str(Path(__file__).resolve().parents[2])
    return {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C", "PYTHONPATH": package_root}
