"""What is asked about a suspect, and what a close look found.

An examination is made by the edges (`locate`, the tracer's evidence probes) in a second or so,
and read by the detectors. A field is None when it could not be measured: absent is not zero.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from linnix_ls.core.ids import ProcessKey


class Depth(enum.StrEnum):
    """How closely to look.

    MEASURE: for a fraction of a second, as evidence about a spin: counters and stacks over time.
    GLANCE: one look at stack and environment, for the place of something already decided.
    WAITS: a glance, and what it and the processes around it wait for.
    """

    MEASURE = "measure"
    GLANCE = "glance"
    WAITS = "waits"


@dataclass(frozen=True, slots=True)
class ExaminationRequest:
    """`id` comes back in the answer. `around`: the processes whose waits matter too;
    `child_argv`: what it starts again and again, if that is what it is suspected of."""

    id: int
    key: ProcessKey
    depth: Depth
    around: tuple[ProcessKey, ...] = ()
    child_argv: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StackFrame:
    """One frame of a language-level or symbolised native stack, as its reader gave it.

    Attributes:
        path: absolute where it is known, None for native code without debug information.
        is_user_code: in the user's own files: not a library's, a runtime's or a runner's.
        loops: first and last line of the loops around `line`, innermost first, where the
            reader understands the source.
        has_call: whether the statement calls anything; None where the source is not understood.
        calls: names of what the statement calls, and the condition of the innermost loop around.
        is_timed: in a loop that nothing but the clock ends: it takes as long as it is told to.
        is_fed: in a call that is given what a loop goes through: each round another input.
    """

    function: str
    path: str | None
    line: int | None
    is_user_code: bool
    loops: tuple[tuple[int, int], ...] = ()
    has_call: bool | None = None
    calls: tuple[str, ...] = ()
    is_timed: bool = False
    is_fed: bool = False


@dataclass(frozen=True, slots=True)
class StackSnapshot:
    """One look at one thread, innermost frame first.

    Attributes:
        state_hash: of the user's frames with their local variables: two looks with equal hashes
            saw the same state. None where the reader cannot see variables.
        is_running: on a CPU or runnable at that moment, None when unknown.
        native_leaf: what native code it is in, where the reader can tell: "regex", else None.
        instruction: of the interpreter: finer than a line.
        round_hashes: as `state_hash`, but without what is called from a loop; one for each of the
            user's frames that are in loops, outermost first. Two rounds of a loop with equal
            hashes began alike.
        condition_hash: of the variables that decide when the innermost loop ends, where its
            condition alone does; else None.
        is_complete: of native code: no caller is missing. In samples those may be that keep no
            frame pointer.
    """

    tid: int
    frames: tuple[StackFrame, ...]
    state_hash: int | None = None
    is_running: bool | None = None
    native_leaf: str | None = None
    condition_hash: int | None = None
    instruction: int | None = None
    round_hashes: tuple[int, ...] = ()
    is_complete: bool = False

    @property
    def is_in_user_code(self) -> bool:
        """Whether some function of the user's is running or has called what is."""
        return any(frame.is_user_code for frame in self.frames)


@dataclass(frozen=True, slots=True)
class SyscallCount:
    """Calls of one system call by one process within the window.

    Attributes:
        n_paths: how many different paths it was given; None when it takes none.
        commonest_path, n_commonest_path: the one that it was given most often, and how often.
        share: of the window in which they were counted: of very many only some are.
    """

    name: str
    n_calls: int
    n_errors: int
    n_zero: int
    total_result: int
    n_paths: int | None = None
    commonest_path: str | None = None
    n_commonest_path: int | None = None
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class MemoryProgress:
    """Whether memory moves on, seen in several readings of its writable pages.

    Attributes:
        n_advancing_words: that rose, or fell, from each reading to the next; clocks left out.
        n_never_same_words: that were different in each reading.
        n_left_words: that changed, once or more, and never back.
    """

    n_pages: int
    n_changed_pages: int
    n_advancing_words: int
    n_never_same_words: int
    n_left_words: int = 0


@dataclass(frozen=True, slots=True)
class ThreadMotion:
    """Whether the registers and the stack of a thread that ran move on.

    Attributes:
        n_advancing_words: of them, that rose or fell from look to look; clocks left out.
    """

    tid: int
    n_looks: int
    n_advancing_words: int


@dataclass(frozen=True, slots=True)
class MemoryGrowth:
    """What memory was filled with that came within a look.

    Attributes:
        n_new_pages, n_read_pages: that came, and that were read of them.
        repeated_share: of their words, how many are the same as those a period before.
        period_bytes: of the repetition: the size of what is made again and again.
        n_sequences, seen_again_share: of text and numbers, some words at a time, how many were
            read and which part of them was in other pages, too.
    """

    n_new_pages: int
    n_read_pages: int
    repeated_share: float
    period_bytes: int
    n_sequences: int
    seen_again_share: float


@dataclass(frozen=True, slots=True)
class Wait:
    """What one thread sleeps in.

    Attributes:
        call: the system call; None when it is running, or cannot be seen.
        what: in words: a child, a pipe, room in a pipe, a lock.
        peers: the processes that could end the wait.
        is_closed: nothing else can: no timer, nobody outside `peers`.
    """

    key: ProcessKey
    tid: int
    call: str | None
    what: str
    peers: tuple[ProcessKey, ...]
    is_closed: bool


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """What /proc says of a process and of those above it, for attribution.

    Attributes:
        test: the id of the test that it runs or was started by, as its runner writes it.
        stacks: one look at it, taken of some ancestors only: where they wait.
    """

    key: ProcessKey
    argv: tuple[str, ...]
    exe: str | None
    cwd: str | None
    test: str | None = None
    stacks: tuple[StackSnapshot, ...] = ()


@dataclass(frozen=True, slots=True)
class PlaceHint:
    """A place that a locator derived from command line or files, without a stack.

    Attributes:
        role: culprit for the process itself, else an `OtherLocation` role.
    """

    path: str
    line: int
    function: str | None
    confidence: float
    reason: str
    role: str = "culprit"
    end_line: int | None = None


@dataclass(frozen=True, slots=True)
class Examination:
    """The result. `is_gone`: the process had ended, or was another one, before it was done.

    Attributes:
        window_s: over which counters were taken.
        on_cpu_cores, runnable_cores: CPU used, and used or waited for, per wall second.
        interpreter_share: of the samples, those in which the language's interpreter itself ran,
            and not what it had called.
        language: whose stacks these are: python, native, node, …; None when none was read.
        stacks: all looks, in time order.
        native_stacks: looks at the thread that runs most, or samples of it; of a process that
            waits one of each thread, those that wait for a lock first.
        ancestors: facts of the parents, nearest first.
        hints: places found without a stack.
        waits: of it and of the processes around it, each thread one.
        motions: of the threads that ran; none for languages whose variables are in `memory`.
        deadlock: threads that wait for each other, by the word of the runtime that they run in: who
            for whom.
        listening: addresses that it accepts connections at.
        moves_on: that it gets on was plain at the first glance, and not all was measured.
        notes: what could not be done and why, for people.
    """

    request_id: int
    key: ProcessKey
    depth: Depth
    is_gone: bool
    window_s: float
    process: ProcessFacts | None
    ancestors: tuple[ProcessFacts, ...] = ()
    on_cpu_cores: float | None = None
    runnable_cores: float | None = None
    user_share: float | None = None
    n_threads: int | None = None
    voluntary_switches_per_s: float | None = None
    page_faults_per_s: float | None = None
    read_bytes_per_s: float | None = None
    written_bytes_per_s: float | None = None
    rss_bytes: int | None = None
    rss_growth_bytes_per_s: float | None = None
    syscalls: tuple[SyscallCount, ...] | None = None
    interpreter_share: float | None = None
    language: str | None = None
    stacks: tuple[StackSnapshot, ...] = ()
    native_stacks: tuple[StackSnapshot, ...] = ()
    hints: tuple[PlaceHint, ...] = ()
    memory: MemoryProgress | None = None
    growth: MemoryGrowth | None = None
    motions: tuple[ThreadMotion, ...] = ()
    waits: tuple[Wait, ...] = ()
    deadlock: tuple[tuple[str, str], ...] = ()
    listening: tuple[str, ...] = ()
    moves_on: bool = False
    notes: tuple[str, ...] = ()

    @property
    def is_brief(self) -> bool:
        """Whether it was to be measured, and what was known already was enough not to."""
        return self.depth is Depth.MEASURE and not self.is_gone and self.window_s == 0
