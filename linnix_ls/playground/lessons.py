"""The lessons: what they are made of, and how an answer to one is checked.

A lesson is a folder of `playground/`: README.md is its text, lesson.toml its title and hints,
probe.bpf.c the start, workload.py what happens while the probe looks, check.py what must have
been seen, solutions/ the reference and answers that are known to be wrong. What a workload does is
drawn anew for each check, so an answer cannot be guessed. No code is run from the learner's
folder but the probe, and that by the kernel's leave.

Not here: the learner's files and progress (`lesson_folder`), and what is printed (`cli`).
"""

from __future__ import annotations

import contextlib
import random
import re
import runpy
import tempfile
import tomllib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from linnix_ls.errors import UsageError
from linnix_ls.playground.base import Checked, Outcome

PROBE = "probe.bpf.c"
_TAKEN = "the kernel takes the probe"
HINT_STEPS = ("idea", "place", "code")
CHECK_LIMIT_S = 60.0
_LOAD_LIMIT_S = 30.0
_WORKLOAD_LIMIT_S = 30.0


class NotLoaded(Exception):
    """The kernel, the compiler or policy does not take it."""


class Stopped(Exception):
    """It was loaded, and detached before the end. Args: why, in words."""


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
