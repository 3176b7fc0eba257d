"""What counts as one run: a pytest, a make, a script, started by a person or an editor.

In a terminal that is what hangs below the prompt; in an editor what hangs below a task's shell
or the editor itself. It decides when old findings go away: when the same work begins anew.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from linnix_ls.core.ids import ProcessKey
from linnix_ls.core.tree import SHELLS, Process, is_interactive_shell, program_name


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
    def of(cls, process: Process) -> Run:
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
