"""Python processes, by py-spy: it reads their memory from outside and takes 5 to 15 ms a look,
for half of which the process stands still. Nothing in the process is changed.

py-spy needs about 1 ms for each frame with its variables, of all threads, and by default the
process waits for all of that. So a process with many frames is looked at while it runs, and one
with very many without its variables: see `_Manner`. Where py-spy is ended in the midst, the kernel
lets go of what it held (it holds by PTRACE_SEIZE).
"""

from __future__ import annotations

import asyncio
import enum
import json
import os
import re
import shutil
import sys
import time
from collections import Counter
from collections.abc import Sequence
from itertools import takewhile
from typing import Any

from linnix_ls import procfs
from linnix_ls.core.examination import ProcessFacts, StackFrame, StackSnapshot
from linnix_ls.core.text import without_surrogates
from linnix_ls.locate.base import Reading
from linnix_ls.locate.memory import mappings, symbol_spans
from linnix_ls.locate.source import is_user_file, python_source, resolve
from linnix_ls.locate.tool import ask

LOOK_TIMEOUT_S = 3.0
# No look begins later than this after the first.
MAX_READ_S = 4.0
MAX_ANSWER_BYTES = 8 << 20
MAX_FRAMES = 128
MAX_BYSTANDERS = 64
MAX_ROUND_HASHES = 8
# Of a full number of looks, 12, in a loop that stands still no more than four differ
# (`SpinPolicy.max_distinct_states_share`). Who was never the same in so many is not asked again.
LOOKS_AT_WHO_MOVES_ON = 5
# Who is met that often outside of the user's code, and in no event loop, has left the loops there.
LOOKS_OUTSIDE = 3
TRIES_PER_LOOK = 3
PAUSE_BETWEEN_TRIES_S = 0.004
MIN_TELLING_CHARS = 8
_CUT_OFF = ('..."', "...]", "...)", "...}")
_INTERPRETER = "_PyEval_EvalFrameDefault"
# A process stands still for no longer than this, once a reading, on a machine under load.
MAX_STANDSTILL_S = 0.3
# About 80 ms of standstill at most: py-spy writes 1 KB for each frame with its variables. A test
# below pytest has fifty of them.
MAX_ANSWER_BYTES_STANDING_STILL = 80 << 10
MAX_THREADS_STANDING_STILL = 128
RUNNING_WITH_VARIABLES_TIMEOUT_S = 1.0


class _Manner(enum.Enum):
    """How to look: (options of py-spy, how long it may take). The next one asks less of the
    process. A look at one that runs meanwhile may fail, or see a variable half written."""

    STANDING_STILL = (("--locals",), MAX_STANDSTILL_S)
    RUNNING = (("--locals", "--nonblocking"), RUNNING_WITH_VARIABLES_TIMEOUT_S)
    WITHOUT_VARIABLES = (("--nonblocking",), LOOK_TIMEOUT_S)


def py_spy_path() -> str | None:
    """Where the program is: beside our interpreter, or on PATH."""
    beside = os.path.join(os.path.dirname(sys.executable), "py-spy")
    return beside if os.access(beside, os.X_OK) else shutil.which("py-spy")


class PythonReader:
    """See `locate.base.LanguageReader`.

    Args:
        comes_back: is set as soon as two looks of a reading have seen the same.
    """

    language = "python"

    def __init__(self, comes_back: asyncio.Event | None = None) -> None:
        self._comes_back = comes_back

    def recognises(self, facts: ProcessFacts) -> bool:
        names = [os.path.basename(name) for name in (facts.exe, *facts.argv[:1]) if name]
        return any(name.startswith(("python", "pypy3", "uwsgi")) for name in names)

    async def read(self, facts: ProcessFacts, *, n_looks: int, interval_s: float) -> Reading:
        program = py_spy_path()
        if program is None:
            return Reading(self.language, notes=("py-spy is not installed: pip install py-spy",))
        per_look: list[list[StackSnapshot]] = []
        note: str | None = None
        moves_on = False
        began = time.monotonic()
        manners = _manners(facts.key.pid)
        for n in range(n_looks):
            if n:
                # Uneven, so as not to meet a loop's own period each time.
                await asyncio.sleep(interval_s * (0.7 + 0.3 * (n % 3)))
            if time.monotonic() - began > MAX_READ_S:
                break
            for attempt in range(TRIES_PER_LOOK if n_looks > 1 else 1):
                if attempt:
                    await asyncio.sleep(PAUSE_BETWEEN_TRIES_S)
                threads, failure = await _look(program, facts, manners)
                if failure is not None or not _is_between_tasks(threads):
                    break
            # A look may fail once: the stack changed while it was read. Twice is for good.
            if failure is not None:
                if note is not None:
                    break
                note = failure
            else:
                per_look.append(threads)
            looks = _busiest_thread(per_look)
            if self._comes_back is not None and _comes_back(looks):
                self._comes_back.set()
            moves_on = _moves_on(looks)
            if moves_on:
                break
        stacks = tuple(_busiest_thread(per_look))
        others = (
            [thread for thread in per_look[-1] if thread.tid != stacks[0].tid] if stacks else []
        )
        return Reading(
            self.language,
            stacks,
            notes=(note,) if note else (),
            bystanders=tuple(others[:MAX_BYSTANDERS]),
            moves_on=moves_on,
        )


def _moves_on(looks: list[StackSnapshot]) -> bool:
    """Whether it is in no loop of the user's, or in all looks so far has come back to nothing."""
    outside = [look for look in looks if not look.is_in_user_code]
    if len(outside) >= LOOKS_OUTSIDE and not any(map(_is_in_event_loop, looks)):
        return True
    n_states = sum(look.state_hash is not None for look in looks)
    return n_states >= LOOKS_AT_WHO_MOVES_ON and not _comes_back(looks)


def _comes_back(looks: list[StackSnapshot]) -> bool:
    """Whether something that a loop without progress comes back to was the same in two looks: the
    variables, what its condition asks, or the round of a loop further out."""
    states = [look.state_hash for look in looks if look.state_hash is not None]
    conditions = [look.condition_hash for look in looks if look.condition_hash is not None]
    rounds = [(depth, one) for look in looks for depth, one in enumerate(look.round_hashes)]
    return any(len(set(seen)) < len(seen) for seen in (states, conditions, rounds))


def _is_between_tasks(threads: list[StackSnapshot]) -> bool:
    """Whether the thread that runs was met in an event loop, outside of all tasks: that of a task
    that polls is mostly there."""
    inner = takewhile(lambda frame: not frame.is_user_code, threads[0].frames if threads else ())
    return any(map(_is_round_of_event_loop, inner))


def _is_in_event_loop(look: StackSnapshot) -> bool:
    return any(map(_is_round_of_event_loop, look.frames))


def _is_round_of_event_loop(frame: StackFrame) -> bool:
    """Of asyncio's: its rounds call the user's tasks, and come back."""
    return frame.function.endswith("_run_once") and "/asyncio/" in (frame.path or "")


def _manners(pid: int) -> list[_Manner]:
    """Ways to look at this process, to be tried in this order. What stands still already, and what
    a debugger holds, need not and cannot be stopped."""
    status = procfs.read_bytes(f"/proc/{pid}/status", 1 << 14) or b""
    found = dict(re.findall(rb"^(State|TracerPid|Threads):\s*(\w+)", status, re.MULTILINE))
    manners = list(_Manner)
    if (
        found.get(b"State", b"R") not in (b"R", b"S")
        or int(found.get(b"TracerPid", 0))
        or int(found.get(b"Threads", 1)) > MAX_THREADS_STANDING_STILL
    ):
        manners.remove(_Manner.STANDING_STILL)
    return manners


async def _look(
    program: str, facts: ProcessFacts, manners: list[_Manner]
) -> tuple[list[StackSnapshot], str | None]:
    """All threads of one look, or a note on why there is none. A manner that takes too long for
    this process is taken out of `manners`."""
    while True:
        options, timeout_s = manners[0].value
        try:
            out, err = await ask(
                *(program, "dump", "--json", "--full-filenames", *options),
                *("--pid", str(facts.key.pid)),
                timeout_s=timeout_s,
                max_bytes=MAX_ANSWER_BYTES,
                env={**os.environ, "RUST_BACKTRACE": "0"},
            )
        except TimeoutError:
            if len(manners) > 1:
                del manners[0]
                continue
            return [], f"py-spy took more than {timeout_s:.0f} s"
        except (OSError, ValueError) as error:
            return [], f"py-spy cannot be started: {error}"
        if manners[0] is _Manner.STANDING_STILL and len(out) > MAX_ANSWER_BYTES_STANDING_STILL:
            del manners[0]
        if len(out) < MAX_ANSWER_BYTES:
            return await asyncio.to_thread(_snapshots, out, err, facts)
        if len(manners) == 1:
            return [], f"its stacks are more than {MAX_ANSWER_BYTES >> 20} MB"
        del manners[0]


def _snapshots(
    out: bytes, err: bytes, facts: ProcessFacts
) -> tuple[list[StackSnapshot], str | None]:
    """The threads, with the one first that holds the interpreter's lock, or what went wrong."""
    known: dict[tuple[str, str, int], StackFrame] = {}
    try:
        threads = sorted(json.loads(out), key=lambda thread: not thread.get("owns_gil"))
        return [_snapshot(thread, facts, known) for thread in threads], None
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError):
        reason = err.decode(errors="replace").strip().splitlines()
        return [], f"py-spy: {reason[-1].strip() if reason else 'no answer'}"


def _snapshot(
    thread: dict[str, Any], facts: ProcessFacts, known: dict[tuple[str, str, int], StackFrame]
) -> StackSnapshot:
    """
    Args:
        known: frames met before: most of many threads stand at the same places.
    """
    raw_frames = thread["frames"][:MAX_FRAMES]
    frames = tuple(_frame(raw, facts, known) for raw in raw_frames)
    state = tuple(
        (raw["filename"], raw["name"], raw["line"], _variables(raw))
        for raw, frame in zip(raw_frames, frames, strict=True)
        if frame.is_user_code
    )
    # A look without variables says nothing about the state.
    has_variables = any(raw.get("locals") is not None for raw in raw_frames)
    is_running = bool(thread.get("owns_gil") or thread.get("active"))
    return StackSnapshot(
        tid=int(thread.get("os_thread_id") or 0),
        frames=frames,
        state_hash=hash(state) if state and has_variables else None,
        condition_hash=_condition_hash(raw_frames, frames),
        round_hashes=_round_hashes(raw_frames, frames) if has_variables else (),
        is_running=is_running,
        native_leaf=_native_leaf(frames),
    )


def _round_hashes(raw_frames: list[Any], frames: tuple[StackFrame, ...]) -> tuple[int, ...]:
    state: list[Any] = []
    found = []
    for raw, frame in zip(reversed(raw_frames), reversed(frames), strict=True):
        if frame.is_user_code:
            state.append((raw["filename"], raw["name"], raw["line"], _variables(raw)))
            if frame.loops:
                found.append(hash(tuple(state)))
    return tuple(found[:MAX_ROUND_HASHES])


def _condition_hash(raw_frames: list[Any], frames: tuple[StackFrame, ...]) -> int | None:
    """Of the innermost loop in the user's code. What it decides by must be seen, local variables
    of which the reader shows the value; and it must be enough to tell one from another: flags
    and small counts come back in any algorithm that repeats until nothing changes."""
    for raw, frame in zip(raw_frames, frames, strict=True):
        if not frame.is_user_code or not frame.loops or not frame.path or not frame.line:
            continue
        source = python_source(frame.path)
        names = source.condition_of(frame.line) if source else frozenset()
        values = tuple((name, value) for name, value in _variables(raw) if name in names)
        unseen = names - {name for name, _ in values}
        if not all(name.isupper() for name in unseen):  # else constants, by their name
            return None
        # A cell holds what an inner function uses, too; it is not changed by this loop.
        seen = [value for _, value in values if not value.startswith("<cell")]
        if not seen or not all(map(_is_shown, seen)):
            return None
        if max(map(len, seen)) < MIN_TELLING_CHARS:
            return None
        return hash((frame.path, frame.loops[0], values))
    return None


def _is_shown(value: str) -> bool:
    """Whether a value is all there: of objects py-spy shows where they are, of long ones the
    beginning, of some nothing."""
    if value.endswith(_CUT_OFF) or value in ("", "?", "+bigint", "-bigint"):
        return False
    return value[0] == '"' or "<" not in value


def _variables(raw: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((local["name"], local.get("repr") or "") for local in raw.get("locals") or ())


def _frame(
    raw: dict[str, Any], facts: ProcessFacts, known: dict[tuple[str, str, int], StackFrame]
) -> StackFrame:
    place = (raw["filename"], raw["name"], raw["line"])
    if not all(map(isinstance, place, (str, str, int))):
        raise TypeError("no frame")
    if place not in known:
        known[place] = _new_frame(raw, facts)
    return known[place]


def _new_frame(raw: dict[str, Any], facts: ProcessFacts) -> StackFrame:
    path = resolve(without_surrogates(raw["filename"]), facts.cwd)
    line = raw["line"] or None
    is_user = is_user_file(path)
    source = python_source(path) if is_user and path else None
    return StackFrame(
        function=without_surrogates(raw["name"]),
        path=path,
        line=line,
        is_user_code=is_user,
        loops=source.loops_around(line) if source and line else (),
        has_call=source.has_call(line) if source and line else None,
        calls=source.calls_at(line) if source and line else (),
        is_timed=source.is_timed(line) if source and line else False,
        is_fed=source.is_fed(line) if source and line else False,
    )


def _native_leaf(frames: tuple[StackFrame, ...]) -> str | None:
    """ "regex" when the innermost thing that Python knows of is a call of one."""
    if not frames:
        return None
    innermost = frames[0]
    path = innermost.path or ""
    if path.endswith(("/re/__init__.py", "/re.py", "/regex/regex.py")):
        return "regex"
    source = python_source(path) if innermost.is_user_code else None
    return "regex" if source and innermost.line and source.calls_regex(innermost.line) else None


def interpreter_share(facts: ProcessFacts, stacks: Sequence[tuple[int, ...]]) -> float | None:
    """Of sampled stacks (addresses, innermost first), how many were in the loop that executes
    bytecode. None where that is not found, or without samples."""
    pid = facts.key.pid
    for mapped in mappings(pid):
        name = os.path.basename(mapped.path)
        if mapped.offset == 0 and name.startswith(("python", "libpython")):
            span = symbol_spans(pid, mapped.path, (_INTERPRETER,)).get(_INTERPRETER)
            leaves = [stack[0] for stack in stacks if stack]
            if span and leaves:
                return sum(span[0] <= leaf < span[1] for leaf in leaves) / len(leaves)
    return None


def _busiest_thread(per_look: list[list[StackSnapshot]]) -> list[StackSnapshot]:
    """The looks at one thread: at the one that was most often running in the user's code; else
    in user code at all, else running. One that waits for the interpreter's lock counts as running
    for py-spy: of such, the one that had it."""
    n_first = Counter(threads[0].tid for threads in per_look if threads)
    by_thread: dict[int, list[StackSnapshot]] = {}
    for snapshot in (snapshot for threads in per_look for snapshot in threads):
        by_thread.setdefault(snapshot.tid, []).append(snapshot)

    def rank(looks: list[StackSnapshot]) -> tuple[int, ...]:
        in_user_code = [look for look in looks if look.is_in_user_code]
        n_running_there = sum(bool(look.is_running) for look in in_user_code)
        n_holding = n_first[looks[0].tid] if in_user_code else 0
        return (
            n_running_there,
            n_holding,
            len(in_user_code),
            sum(bool(look.is_running) for look in looks),
        )

    return max(by_thread.values(), key=rank, default=[])
