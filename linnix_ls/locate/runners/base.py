"""How a test is found: the interface of the runners, and what they have in common.

A runner is told what is known of a process and of those above it. It reads nothing of the
process itself, only the user's source files.
"""

from __future__ import annotations

import enum
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from linnix_ls.core.examination import PlaceHint, ProcessFacts, StackFrame, StackSnapshot
from linnix_ls.locate.source import is_user_file

MAX_ID_CHARS = 1024
MAX_BLOCKS = 16


class Scope(enum.IntEnum):
    """How much an id stands for. The narrowest of those found is the test.

    COMMAND: whatever a command tests: ``make check``.
    PROGRAM: a program or script that by its name is a test.
    FILE: what a runner runs as one: a file, a program.
    TEST: one test.
    """

    COMMAND = 1
    PROGRAM = 2
    FILE = 3
    TEST = 4


@dataclass(frozen=True, slots=True)
class FoundTest:
    """`id` is in the runner's own notation."""

    id: str
    scope: Scope
    place: PlaceHint | None = None


@dataclass(frozen=True, slots=True)
class Process:
    """What a runner may know of a process.

    Attributes:
        facts: with stacks of language and native code, in time order, other threads' last.
        variables: those of its environment that some runner has asked for.
        thread_names: as the kernel has them, 15 bytes at most; those that used most CPU first.
    """

    facts: ProcessFacts
    variables: Mapping[str, str] = field(default_factory=dict)
    thread_names: tuple[str, ...] = ()

    @property
    def argv(self) -> tuple[str, ...]:
        return self.facts.argv

    @property
    def cwd(self) -> str | None:
        return self.facts.cwd

    @property
    def stacks(self) -> tuple[StackSnapshot, ...]:
        return self.facts.stacks

    @property
    def program(self) -> str:
        """The name under which it was started."""
        return os.path.basename(self.argv[0]) if self.argv else ""

    def user_frames(self) -> Iterator[StackFrame]:
        """Frames in the user's files, of each stack the outermost first."""
        for stack in self.stacks:
            for frame in reversed(stack.frames):
                if frame.is_user_code and frame.path and frame.line:
                    yield frame


class Runner(Protocol):
    """Knows one test runner, or a family of them. One file each; the registry is
    `locate.runners.registry`.

    Attributes:
        variables: names in the environment that it wants to see.
    """

    variables: frozenset[str]

    def find(self, process: Process, above: Sequence[Process]) -> FoundTest | None:
        """The test that `process` runs or was started by, if this runner's marks are on it.
        Never raises, whatever names, arguments and sources say.

        Args:
            above: its ancestors, nearest first.
        """
        ...


def place(path: str | None, line: int | None, function: str | None = None) -> PlaceHint | None:
    """Where a test is written, if that is a file of the user's."""
    if path is None or line is None or not is_user_file(path):
        return None
    return PlaceHint(path, line, function, 0.6, "the test that ran", role="test")


def shown(path: str, folder: str | None) -> str:
    """A path as people write it who are in `folder`."""
    if folder and folder != "/" and path.startswith(f"{folder}/"):
        return path[len(folder) + 1 :]
    return path


def is_of_tests(name: str) -> bool:
    """Whether a word of it says so: `unit-tests`, `test:browser`. It may be of any length."""
    return not {"test", "tests", "check"}.isdisjoint(re.split(r"[-_.:/]", name))


def blocks_around(
    lines: Sequence[str], line: int, opening: re.Pattern[str]
) -> list[tuple[int, re.Match[str]]]:
    """Lines that match `opening` and that `line` is indented below, outermost first: for
    languages without a grammar, where nobody writes blocks otherwise."""
    found: list[tuple[int, re.Match[str]]] = []
    if not 0 < line <= len(lines):
        return found
    indent = _indent(lines[line - 1])
    for number in range(line - 1, 0, -1):
        text = lines[number - 1]
        if not text.strip() or _indent(text) >= indent:
            continue
        indent = _indent(text)
        if match := opening.search(text[:1024]):
            found.append((number, match))
        if indent == 0 or len(found) == MAX_BLOCKS:
            break
    return found[::-1]


def _indent(text: str) -> int:
    expanded = text.expandtabs(8)
    return len(expanded) - len(expanded.lstrip())
