"""What the playground promises: probe source in, problems out; and probes that run, for who may.

Lines and columns count from 1, columns in characters; `end_column` is the one after the last.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Protocol

from linnix_ls.playground.dialect import Dialect

MAX_SOURCE_BYTES = 1 << 20


class Severity(enum.StrEnum):
    ERROR = "error"
    WARNING = "warning"
    INFORMATION = "information"
    HINT = "hint"


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
        code: ``clang``, ``verifier/RULE``, ``policy/RULE``, ``map/RULE``, ``attach/RULE``,
            ``lint/RULE`` or ``check/RULE`` (about the check itself: it took too long, its process
            died, the verifier was not asked).
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


@dataclass(frozen=True, slots=True)
class ProbeHandle:
    """A probe that runs.

    Attributes:
        id: for `Playground.read` and `unload`; of this connection only.
        programs: their names.
        ttl_s: it is detached after this, whoever asks for it.
    """

    id: str
    name: str
    programs: tuple[str, ...]
    ttl_s: float


@dataclass(frozen=True, slots=True)
class ProgramReading:
    """One program that runs. `attached_to`: such as ``tracepoint sched:sched_process_exec``."""

    name: str
    attached_to: str
    run_count: int
    run_time_ns: int


@dataclass(frozen=True, slots=True)
class MapReading:
    """What a map holds.

    Attributes:
        entries: (key, value) in words, at most 200.
        n_entries: of all.
        is_histogram: keys are slots of powers of two.
    """

    name: str
    type: str
    entries: tuple[tuple[str, str], ...]
    n_entries: int
    is_histogram: bool = False


@dataclass(frozen=True, slots=True)
class ProbeEvent:
    """One record of a ring or perf buffer. `fields`: by name, values in words or numbers."""

    sequence: int
    ktime_ns: int
    map: str
    fields: dict[str, int | str]


@dataclass(frozen=True, slots=True)
class ProbeReading:
    """How a probe does.

    Attributes:
        events: those after the sequence number that was asked for; at most 1,000 are kept.
        n_lost: events that were not kept, or dropped by the kernel.
        cpu_share: of one CPU, over the last second.
        problem: why it runs no more, in words; None while it does.
    """

    programs: tuple[ProgramReading, ...]
    maps: tuple[MapReading, ...]
    events: tuple[ProbeEvent, ...]
    n_lost: int
    cpu_share: float
    age_s: float
    ttl_s: float
    problem: str | None = None


class Playground(Protocol):
    """One client's. All methods raise `PlaygroundError`, which says what to do about it."""

    async def check(self, dialect: Dialect, name: str, source: str) -> Checked:
        """Compile and load on trial; nothing is attached. A newer check of the same `name` ends
        an older one that is under way (it raises `Superseded`)."""
        ...

    async def load(self, dialect: Dialect, name: str, source: str, *, ttl_s: float) -> ProbeHandle:
        """Attach it. Needs a permission of its own."""
        ...

    async def read(self, probe_id: str, since_event: int) -> ProbeReading: ...

    async def unload(self, probe_id: str) -> None: ...


class ServedPlayground(Playground, Protocol):
    """As an agent serves it: `close` when the client has gone."""

    async def close(self) -> None: ...


class DocumentChecker(Protocol):
    """Checks what an editor has, by whoever can. `close` ends what is under way."""

    async def close(self) -> None: ...

    async def check(self, path: str, text: str, playground: Playground | None) -> Checked:
        """Of a document that is called `path`. Without a `playground`, as far as it goes without
        privilege, and this is said.

        Raises:
            Superseded: there is a newer text.
        """
        ...
