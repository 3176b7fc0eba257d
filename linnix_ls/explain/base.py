"""What a model is given, what it answers, and who asks it.

A model is told a finding that rules have made and explained, and the source around the line. It
may say what to change in this code; verdict, cause, numbers and place are never its business.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from linnix_ls.core.findings import Finding, Note, SourceLocation
from linnix_ls.errors import LinnixError


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Lines of a source file around a finding, as they are on the disk: not yet redacted.

    Attributes:
        path: absolute.
        first_line: the number of `lines[0]`; 1-based.
        lines: without line ends.
        language: python, javascript, java, c, c++, … (`sources`); None when unknown.
        all_lines: of the whole file, to see what a change would do to it. No model is told them.
    """

    path: str
    first_line: int
    lines: tuple[str, ...]
    language: str | None
    all_lines: tuple[str, ...] = ()

    @property
    def last_line(self) -> int:
        return self.first_line + len(self.lines) - 1


@dataclass(frozen=True, slots=True)
class RefusedProbe:
    """A program that the compiler or the kernel's verifier refuses, as a model is told of it.

    Attributes:
        rule: its id, such as ``verifier/null-deref``.
        message: what is wrong and what helps, in the rule's words.
        facts: what the log says, where values came from, what maps are, and the kernel.
    """

    location: SourceLocation
    rule: str
    message: str
    facts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ToldFunction:
    """A function of a probe that a model is to describe: what rules say of its lines."""

    location: SourceLocation
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Prompt:
    """Everything that is told to a model; nothing else ever is. Already redacted.

    Attributes:
        system: the same for all findings, so that a model may keep what it made of it.
        json_schema: of the answer; None for free text.
        max_tokens: of the answer.
    """

    system: str
    user: str
    json_schema: dict[str, Any] | None
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said, unchecked. `model`: its name, to be shown with it.

    Attributes:
        cpu_s: that the answer took here; None for a model elsewhere.
    """

    text: str
    model: str
    cpu_s: float | None = None


class NoAnswer(LinnixError):
    """No model could be asked, or it did not answer; the message says why, for people.

    Attributes:
        cause: one of no_model, not_installed, bad_model, base_model, out_of_memory, worker_died,
            deadline, endpoint_unreachable, endpoint_refused, endpoint_garbage, too_long.
    """

    def __init__(self, message: str, *, cause: str, fix: str | None = None) -> None:
        super().__init__(message, fix=fix)
        self.cause = cause


class Writer(Protocol):
    """Asks one model, one question at a time; more are put in a queue.

    Attributes:
        target: whom it asks, in words: a model's name, and where it is.
        is_local: whether nothing leaves this machine.
        writes_prose: whether it may answer in free text: an endpoint's larger model.
    """

    target: str
    is_local: bool
    writes_prose: bool

    async def write(self, prompt: Prompt, on_text: Callable[[str], None]) -> Answer:
        """Ask. Cancelling the task that awaits it stops the model.

        Args:
            on_text: called with each piece of the answer as it comes, unchecked.

        Raises:
            NoAnswer: with a message that can be shown.
        """
        ...

    async def close(self) -> None:
        """End the model's process, if there is one."""
        ...


class NoteRefused(LinnixError):
    """What a model wrote was not fit to be shown. `reason`: of `gate.Reason`."""

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(slots=True)
class Counts:
    """What came of notes since the start.

    Attributes:
        refused: answers, and patches of answers that were shown, which did not pass; by reason.
        failed: questions without an answer, by cause.
    """

    n_asked: int = 0
    n_shown: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)


class Notes(Protocol):
    """Has a model write notes on findings, and keeps them.

    Attributes:
        counts: what came of it so far.
    """

    counts: Counts

    def with_note(self, finding: Finding) -> Finding:
        """The finding with its note, if there is one."""
        ...

    def want(self, finding: Finding) -> None:
        """Have a note written when there is time. What is no warning is not worth one."""
        ...

    async def ask(self, finding: Finding, on_text: Callable[[str], None] = ...) -> Note:
        """Have a note written now, before all others. Cancel the task to stop it.

        Args:
            on_text: called with the sentences so far that have passed the checks, as they come.

        Raises:
            NoAnswer: the model could not be asked.
            NoteRefused: it answered what cannot be shown.
        """
        ...

    async def ask_about(
        self,
        subject: RefusedProbe | ToldFunction,
        text: str,
        on_text: Callable[[str], None] = ...,
    ) -> Note:
        """Likewise, about a probe whose source is `text`. Its patch has not been tried."""
        ...

    async def close(self) -> None:
        """Stop writing and let go of the model."""
        ...
