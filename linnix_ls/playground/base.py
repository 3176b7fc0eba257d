"""What the playground promises: probe source in, problems out.

Lines and columns count from 1, columns in characters; `end_column` is the one after the last.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Severity(enum.StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Span:
    """A part of the source. Without columns: the whole line."""

    line: int
    column: int | None = None
    end_column: int | None = None
    end_line: int | None = None


@dataclass(frozen=True, slots=True)
class Related:
    """Another place that tells the story."""

    span: Span
    message: str


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        code: ``clang``, ``verifier/RULE``, ``policy/RULE``, ``map/RULE``, ``attach/RULE`` or
            ``check/RULE`` (about the check itself: it took too long, or its process died).
        message: what is wrong, and what to do about it, in words.
        program: the function in which it is, if one.
        log: what the compiler or the verifier said, all of it that was kept.
    """

    span: Span
    severity: Severity
    code: str
    message: str
    related: tuple[Related, ...] = ()
    program: str | None = None
    log: str = ""


@dataclass(frozen=True, slots=True)
class ProgramReport:
    """One program of a source, as it was loaded on trial.

    Attributes:
        errno: why it was refused; 0 if it loads.
        helpers: numbers of those that it calls.
    """

    name: str
    prog_type: int
    errno: int
    n_instructions: int
    helpers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Checked:
    """The outcome of a check. `programs` are those that were tried."""

    problems: tuple[Problem, ...]
    programs: tuple[ProgramReport, ...]
    took_s: float
