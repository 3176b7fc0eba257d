"""What counts as one run: a pytest, a make, a script, started by a person or an editor.

In a terminal that is what hangs below the prompt; in an editor what hangs below a task's shell
or the editor itself. It decides when old findings go away: when the same work begins anew.
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass
from itertools import dropwhile

from linnix_ls.core.findings import ProcessInfo
from linnix_ls.core.ids import ProcessKey
from linnix_ls.core.tree import (
    SHELLS,
    Process,
    is_interactive_shell,
    program_name,
    script_argument,
)

# Words that name a test runner, in the name of a program, script or module: `pytest-3`,
# `vitest.mjs`, `run_pytest_script.py`, `org.junit.platform.console.ConsoleLauncher`.
_TEST_RUNNERS = re.compile(
    r"(?:^|[^a-z])(?:pytest|py\.test|unittest|tox|nox|jest|vitest|mocha|ava|karma|playwright|cypress"
    r"|ctest|gtest|nextest|prove|bats|junit|testng|rspec|phpunit|test(?:s|runner)?)(?:[^a-z]|$)",
    re.IGNORECASE,
)
# Programs that do many things, tests by their first word.
_BUILDERS = frozenset(
    "cargo go npm yarn pnpm npx bun deno node make gmake ninja meson mvn mvnw gradle gradlew dotnet"
    " bazel swift mix rake".split()
)
_TEST_WORDS = frozenset({"test", "t", "--test"})
# They run what comes after their options, numbers and assignments.
_WRAPPERS = frozenset("env nice ionice nohup setsid stdbuf time timeout xvfb-run".split())
_NO_COMMAND = re.compile(r"-|\w+=|[\d.]+[smhd]?$")
_CHECKERS = frozenset({"make", "gmake", "ninja", "gradle", "gradlew"})  # cargo checks types


@dataclass(frozen=True, slots=True)
class Run:
    """One run.

    Attributes:
        program: what a person calls it.
        words: its command line without the interpreter and paths to programs.
    """

    key: ProcessKey
    program: str
    words: tuple[str, ...]
    cwd: str | None

    @classmethod
    def of(cls, process: Process | ProcessInfo) -> Run:
        return cls(
            key=process.key,
            program=program_name(process.argv, process.comm),
            words=tuple(word.rsplit("/", 1)[-1] for word in process.argv),
            cwd=process.cwd,
        )

    def is_same_work_as(self, other: Run) -> bool:
        """The same program in the same folder: another pytest there replaces what this one
        said, with other arguments too. Shells do a different work with each -c."""
        is_same_program = self.program == other.program and self.program not in SHELLS
        return self.cwd == other.cwd and (is_same_program or self.words == other.words)


def may_start_runs(process: Process, watched: Container[ProcessKey]) -> bool:
    """Whether a child of this process can be a run of its own: an editor's, or a prompt's."""
    return process.key in watched or is_interactive_shell(process.argv, process.comm)


def may_be_run(process: Process) -> bool:
    """Whether it does work of its own: a prompt in an editor's terminal does not, and what a
    prompt forks is its copy until it execs."""
    return not process.is_forked_copy and not is_interactive_shell(process.argv, process.comm)


def is_test_runner(argv: Sequence[str]) -> bool:
    """Whether the command line is that of a test runner, by its words alone. For showing only."""
    if not argv:
        return False
    program = argv[0].rsplit("/", 1)[-1]
    if program in _WRAPPERS:
        return is_test_runner([*dropwhile(_NO_COMMAND.match, argv[1:])])
    script = script_argument(tuple(argv)) or ""
    if any(_TEST_RUNNERS.search(name) for name in (program, script.rsplit("/", 1)[-1])):
        return True
    words = argv[1:3]
    if program in _CHECKERS and "check" in words:
        return True
    if program in _BUILDERS:
        return any(word in _TEST_WORDS or _TEST_RUNNERS.search(word) for word in words)
    return program == "java" and any(_TEST_RUNNERS.search(word) for word in argv[1:50])
