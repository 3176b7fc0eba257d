"""Everything the engine is told, as frozen values. What it answers is in `changes`.

Live tracers, a recording and a test produce the same types, and a recording is just the list
of them. Times are CLOCK_MONOTONIC nanoseconds, `ktime_ns`.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from linnix_ls.core.examination import Examination
from linnix_ls.core.ids import ProcessKey


class Source(enum.StrEnum):
    """What started a run.

    TEST: a test runner, below an editor that did not say more.
    FOLDER: something outside the editor, in a folder that is watched.
    """

    TASK = "task"
    TERMINAL = "terminal"
    DEBUG = "debug"
    TEST = "test"
    EXTENSION = "extension"
    EDITOR = "editor"
    FOLDER = "folder"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Watched:
    """`key` and everything below it is to be watched from now on.

    Attributes:
        is_root_judged: False for an editor: its children are judged, it is not.
        is_run: `key` is itself a run, wherever it is (``linnix-ls run``). What is judged is one as
            well, unless it is inside of another or a shell at a prompt; else runs are found below.
        label: what people call it; may be empty.
        source: of the runs below it, and of itself.
    """

    ktime_ns: int
    key: ProcessKey
    label: str
    is_root_judged: bool = False
    is_run: bool = False
    source: Source = Source.OTHER


@dataclass(frozen=True, slots=True)
class Unwatched:
    ktime_ns: int
    key: ProcessKey


@dataclass(frozen=True, slots=True)
class Ignored:
    """`key` and everything below it is ours, or trusted: known, never judged."""

    ktime_ns: int
    key: ProcessKey


@dataclass(frozen=True, slots=True)
class ProcessSeen:
    """A process that was there before its tree was watched, as /proc shows it."""

    ktime_ns: int
    key: ProcessKey
    parent: ProcessKey | None
    uid: int
    comm: str
    argv: tuple[str, ...]
    exe: str | None = None
    cwd: str | None = None


@dataclass(frozen=True, slots=True)
class Forked:
    """A new process, not a thread."""

    ktime_ns: int
    key: ProcessKey
    parent: ProcessKey
    uid: int
    comm: str


@dataclass(frozen=True, slots=True)
class Execed:
    """A process runs another program now.

    Attributes:
        argv: the arguments; only the first ones when `argv_truncated`.
        cwd: None when the process was gone before it could be looked up.
    """

    ktime_ns: int
    key: ProcessKey
    parent: ProcessKey | None
    uid: int
    comm: str
    argv: tuple[str, ...]
    argv_truncated: bool = False
    exe: str | None = None
    cwd: str | None = None


@dataclass(frozen=True, slots=True)
class Exited:
    """The last thread has gone. At most one of `exit_code` and `term_signal` is set; none where
    the tracer saw only that it is no longer there.
    """

    ktime_ns: int
    key: ProcessKey
    exit_code: int | None
    term_signal: int | None


@dataclass(frozen=True, slots=True)
class Sampled:
    """The CPU clock found a process running; each sample stands for `period_ns` of CPU.

    Attributes:
        user_ips, kernel_ips: return addresses, innermost first; empty when unknown.
        registers_hash: of the instruction pointer and caller-saved registers; 0 in the kernel.
    """

    ktime_ns: int
    key: ProcessKey
    tid: int
    period_ns: int
    user_ips: tuple[int, ...] = ()
    kernel_ips: tuple[int, ...] = ()
    registers_hash: int = 0


@dataclass(frozen=True, slots=True)
class CpuUsed:
    """What a tracer without a sampler knows: CPU time used since it last looked."""

    ktime_ns: int
    key: ProcessKey
    on_cpu_ns: int


@dataclass(frozen=True, slots=True)
class EventsLost:
    ktime_ns: int
    n_lost: int


@dataclass(frozen=True, slots=True)
class ProbesReplaced:
    """What comes from here on was seen by other probes: an edit of ours runs, or ours again.

    Attributes:
        generation: counts the exchanges; 1 is what a tracer begins with.
    """

    ktime_ns: int
    generation: int


@dataclass(frozen=True, slots=True)
class Examined:
    """The answer to `changes.ExaminationWanted`."""

    ktime_ns: int
    examination: Examination


@dataclass(frozen=True, slots=True)
class Dismissed:
    """The user does not want to see this finding again."""

    ktime_ns: int
    finding_id: str


@dataclass(frozen=True, slots=True)
class Ticked:
    """Time has passed: the engine looks around.

    Attributes:
        n_runnable: tasks that run or wait for a CPU on the whole machine, None when unknown.
    """

    ktime_ns: int
    n_cpus: int
    n_runnable: int | None = None


Event = (
    Watched
    | Unwatched
    | Ignored
    | ProcessSeen
    | Forked
    | Execed
    | Exited
    | Sampled
    | CpuUsed
    | EventsLost
    | ProbesReplaced
    | Examined
    | Dismissed
    | Ticked
)
