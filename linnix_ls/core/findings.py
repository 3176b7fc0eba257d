"""What the engine concludes, and the life of a conclusion.

    RAISED ──(calms down / exits)──> ENDED ──(next run begins / dismissed)──> CLEARED
       └────────────(dismissed, or seen to be innocent after all)────────────────┘

The shapes follow the findings document (docs/findings-document.md); `report.document` writes it.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from linnix_ls.core.ids import ProcessKey


class Kind(enum.StrEnum):
    CPU_SPIN = "cpu_spin"
    FORK_STORM = "fork_storm"
    STUCK = "stuck"
    LEAKED_CHILD = "leaked_child"
    MEMORY_RUNAWAY = "memory_runaway"


class Cause(enum.StrEnum):
    PURE_LOOP = "pure_loop"
    BUSY_POLL = "busy_poll"
    LOCK_SPIN = "lock_spin"
    REGEX_BACKTRACKING = "regex_backtracking"
    COMPILE_BLOWUP = "compile_blowup"
    PROCESS_RECURSION = "process_recursion"
    RECURSIVE_MAKE = "recursive_make"
    RETRY_LOOP = "retry_loop"
    WORKER_OVERSUBSCRIPTION = "worker_oversubscription"
    PIPE_DEADLOCK = "pipe_deadlock"
    DEADLOCK = "deadlock"
    ORPHAN_SERVER = "orphan_server"
    UNBOUNDED_GROWTH = "unbounded_growth"
    OTHER = "other"


class Severity(enum.StrEnum):
    ERROR = "error"
    WARNING = "warning"
    INFORMATION = "information"
    HINT = "hint"

    @property
    def rank(self) -> int:
        """0 for the gravest."""
        return list(Severity).index(self)


class State(enum.StrEnum):
    RAISED = "raised"
    ENDED = "ended"
    CLEARED = "cleared"


# From each state, the states that may follow it.
TRANSITIONS: dict[State, frozenset[State]] = {
    State.RAISED: frozenset({State.ENDED, State.CLEARED}),
    State.ENDED: frozenset({State.CLEARED}),
    State.CLEARED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """One measurement that decided, cited by explanations by its `id` ("e1", "e2", …)."""

    id: str
    name: str
    value: float | int | str
    unit: str
    window_s: float | None
    source: str


@dataclass(frozen=True, slots=True)
class SourceLocation:
    """A place in a file. `line` is 1-based; `path` absolute."""

    path: str
    line: int
    end_line: int | None = None
    function: str | None = None
    confidence: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class OtherLocation:
    """Another place that tells the story; `role` is callee, caller, origin, spawn_site or test."""

    path: str
    line: int
    role: str


@dataclass(frozen=True, slots=True)
class ProcessInfo:
    key: ProcessKey
    ppid: int | None
    uid: int
    comm: str
    exe: str | None
    argv: tuple[str, ...]
    cwd: str | None


@dataclass(frozen=True, slots=True)
class Edit:
    """Whole lines of a file replaced by others.

    Attributes:
        path: absolute.
        line: of the first line of `old`; 1-based.
        old: the lines as they must still be there, without the last newline; empty to insert
            before `line`.
        new: what takes their place, without the last newline; empty to remove them.
    """

    path: str
    line: int
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Patch:
    """A change that may end the runaway. `by`: rules, or the name of a model."""

    by: str
    title: str
    edits: tuple[Edit, ...]


@dataclass(frozen=True, slots=True)
class Note:
    """What a model adds about the code at hand. It has passed `explain.gate`; it is never part of
    the verdict.

    Attributes:
        model: the model's name, as it is shown beside every word of it.
        text: what to change here, and why.
        cites: ids of the evidence that it rests on.
    """

    model: str
    text: str
    cites: tuple[str, ...] = ()
    patch: Patch | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Words about a finding. Every number in them is in the evidence that `cites` names.

    Attributes:
        by: rules; a model's words are in `note`.
        otherwise: what else it could be, where that is not sure; else empty.
    """

    by: str
    summary: str
    why: str
    fix: tuple[str, ...]
    cites: tuple[str, ...]
    otherwise: str = ""
    note: Note | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """A process that runs away, or ran away.

    Attributes:
        run: the outermost process of the run (`pytest`, `make`) that this happened in.
        ancestry: parents, nearest first, up to and including the run.
        test: the test's id in the runner's notation.
        onset_ns: when it began, as far as can be told; ktime.
    """

    id: str
    kind: Kind
    cause: Cause
    severity: Severity
    confidence: float
    process: ProcessInfo
    ancestry: tuple[ProcessInfo, ...]
    run: ProcessKey
    location: SourceLocation | None
    other_locations: tuple[OtherLocation, ...]
    test: str | None
    onset_ns: int
    flagged_ns: int
    ended_ns: int | None
    evidence: tuple[Evidence, ...]
    explanation: Explanation | None
    state: State = State.RAISED
