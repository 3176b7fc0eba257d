"""Runaways as data: what a close look shows of each way to spin, and how storms go."""

from dataclasses import replace

from linnix_ls.core.examination import MemoryGrowth
from tests.core.scenes import (
    STILL,
    calls,
    conditions,
    frame,
    going_round,
    look,
    looks,
    lookups,
    motions,
    rounds,
)

NO_CALLS = ()
MB = 1_000_000

# -- spins ---------------------------------------------------------------------------------------

POLL = {"syscalls": (calls("epoll_wait", 300_000, finding_nothing=1.0),)}
FAILING = {"syscalls": (calls("connect", 20_000, failing=1.0),)}
ASKING = {"syscalls": (calls("newfstatat", 250_000), calls("write", 100))}
YIELDING = {"syscalls": (calls("sched_yield", 400_000),)}
YIELDING_SLOWLY = {"syscalls": (calls("sched_yield", 20_000),)}
# In lines that call nothing, always in the same state.
TIGHT_LOOP = {
    "syscalls": NO_CALLS, "memory": STILL, "language": "python",
    "stacks": looks("AAAAAAAAAAAA", frame(has_call=False)),
}  # fmt: skip
# Back in a state that it had left.
COMING_BACK = {
    "syscalls": NO_CALLS, "memory": STILL, "language": "python",
    "stacks": looks("ABABABAABBAB", frame(has_call=True)),
}  # fmt: skip
LOCK_OF_A_LIBRARY = {
    **COMING_BACK,
    "stacks": looks("ABABABAABBAB", frame("acquire", 9, "/usr/lib/locks.py"), frame(has_call=True)),
}
POLL_OF_A_LIBRARY = {
    **COMING_BACK,
    "stacks": looks("ABABABAABBAB", frame("empty", 9, "/usr/lib/queue.py"), frame(has_call=True)),
}
REGEX = {
    "syscalls": NO_CALLS, "language": "python",
    "stacks": looks("AAAAAAAAAAAA", frame(has_call=True), leaf="regex"),
}  # fmt: skip
REGISTERS = {"syscalls": NO_CALLS, "page_faults_per_s": 0.0}
SPIN_LOCK = {**REGISTERS, "native_stacks": (look(frame("spin_mutex::lock", 8, "/ws/m.h")),) * 30}
COLLECTING = {
    **COMING_BACK,
    "memory": replace(STILL, n_changed_pages=9_000, n_advancing_words=40),
    "rss_growth_bytes_per_s": 80.0 * MB,
    "rss_bytes": lambda now_s: round((now_s - 999) * 80 * MB),
}
TEMPLATES = {
    "syscalls": (calls("brk", 50),), "page_faults_per_s": 25_000.0,
    "rss_bytes": 900 * MB, "rss_growth_bytes_per_s": 200.0 * MB,
}  # fmt: skip

# Asks for the same file all the time; reads the same small file anew all the time.
LOOKING_FOR_A_FILE = {"syscalls": (lookups("newfstatat", 20_000, of=1),)}
READING_ANEW = {
    "syscalls": (
        lookups("openat", 40_000, of=1, failing=0.0), calls("read", 80_000, finding_nothing=0.5),
        calls("close", 40_000, finding_nothing=1.0),
    ),
}  # fmt: skip
# What decides comes back, though something else counts.
CONDITIONS = {
    "syscalls": NO_CALLS, "memory": replace(STILL, n_advancing_words=3), "language": "python",
    "stacks": conditions("ABCABCABCABC", looks("ABCDEFGHIJKL", frame(has_call=True))),
}  # fmt: skip
# Of a library's calls the names alone tell what they do.
TRYING_A_LOCK = {
    **COMING_BACK,
    "stacks": looks("ABABABAABBAB", frame(has_call=True, calls=("tryLock", "acquire"))),
}
ASKING_WHETHER = {
    **COMING_BACK, "stacks": looks("ABABABAABBAB", frame(has_call=True, calls=("is_set",))),
}  # fmt: skip
# Always in the same state, in a loop, and it is the interpreter that runs.
INTERPRETING = {
    "syscalls": NO_CALLS, "memory": STILL, "language": "python", "interpreter_share": 0.4,
    "stacks": looks("AAAAAAAAAAAA", frame(has_call=True, loops=((40, 43),))),
}  # fmt: skip
PERL = {
    **COMING_BACK, "language": "perl", "memory": replace(STILL, n_advancing_words=2),
    "stacks": looks("ABABABAABBAB", frame("drain", 6, "/ws/drain.pl")),
}  # fmt: skip
ROUNDS = {
    "syscalls": NO_CALLS, "memory": replace(STILL, n_advancing_words=1), "language": "python",
    "stacks": rounds("AAAAAAAAAAAA", at="lclclclclclc"),
}  # fmt: skip
MOTIONLESS = {
    "syscalls": (calls("write", 10),), "page_faults_per_s": 0.0, "memory": STILL,
    "motions": motions(), "language": "native",
    "native_stacks": (look(frame("drain", 8, "/ws/drain.c")),) * 12,
}  # fmt: skip
MOTIONLESS_AT_A_LOCK = {
    **MOTIONLESS, "native_stacks": (look(frame("SpinLock::take", 8, "/ws/lock.cc")),) * 12,
}  # fmt: skip
MOTIONLESS_AT_A_POLL = {
    **MOTIONLESS,
    "native_stacks": (
        look(frame("empty", 99, "/usr/include/deque.h"), frame("run", 8, "/ws/run.cc")),
    ) * 12,
}  # fmt: skip
MATCHING = {
    "syscalls": NO_CALLS, "language": "java",
    "memory": replace(STILL, n_changed_pages=12),
    "stacks": (look(frame("Word.check", 12, "/ws/Word.java"), leaf="regex"),) * 4,
}  # fmt: skip
GROWING = {
    "syscalls": (calls("brk", 50),), "page_faults_per_s": 20_000.0,
    "rss_growth_bytes_per_s": 60.0 * MB,
    "rss_bytes": lambda now_s: round((now_s - 995) * 60 * MB),
}  # fmt: skip
FILLED = MemoryGrowth(
    n_new_pages=8_000, n_read_pages=400, repeated_share=0.5, period_bytes=48,
    n_sequences=90_000, seen_again_share=0.999,
)  # fmt: skip
SAME_RECORDS = {**GROWING, "growth": FILLED}
SAME_WORDS = {
    **GROWING,
    "growth": replace(FILLED, repeated_share=0.99, n_sequences=20, seen_again_share=0.2),
}
SAME_BUT_FOR_A_NUMBER = {
    **GROWING, "growth": replace(FILLED, repeated_share=0.93, seen_again_share=0.6),
}  # fmt: skip

RUNAWAYS = {
    "polls that find nothing": (POLL, "busy_poll", {}),
    "calls that fail": (FAILING, "busy_poll", {}),
    "questions that change nothing": (ASKING, "busy_poll", {}),
    "yields between other work that is none": (
        YIELDING_SLOWLY, "lock_spin", {"samples": going_round},
    ),
    "yields in a loop": (YIELDING, "lock_spin", {"samples": going_round}),
    "a loop that calls nothing": (TIGHT_LOOP, "pure_loop", {}),
    "states that come back": (COMING_BACK, "pure_loop", {}),
    "states that come back with questions": (
        {**COMING_BACK, "syscalls": (calls("newfstatat", 20_000),)}, "busy_poll", {},
    ),
    "states that come back to a poll": (POLL_OF_A_LIBRARY, "busy_poll", {}),
    "states that come back to a lock": (LOCK_OF_A_LIBRARY, "lock_spin", {}),
    "a regular expression": (REGEX, "regex_backtracking", {}),
    "registers that come back": (REGISTERS, "pure_loop", {"samples": going_round}),
    "registers that come back to a lock": (SPIN_LOCK, "lock_spin", {"samples": going_round}),
    "questions after the same file": (LOOKING_FOR_A_FILE, "busy_poll", {}),
    "a small file that is read anew": (READING_ANEW, "busy_poll", {}),
    "a condition that comes back": (CONDITIONS, "pure_loop", {}),
    "states that come back to a call for a lock": (TRYING_A_LOCK, "lock_spin", {}),
    "states that come back to a call that asks": (ASKING_WHETHER, "busy_poll", {}),
    "one state, and the interpreter runs": (INTERPRETING, "pure_loop", {}),
    "perl, which counts by itself": (PERL, "pure_loop", {}),
    "rounds that begin alike": (ROUNDS, "pure_loop", {}),
    "rounds that are seen to end now and then": (
        {**ROUNDS, "stacks": rounds("A" * 12, at="ccccccclcccc")}, "pure_loop", {"seconds": 6},
    ),
    "compiled code of which nothing moves": (MOTIONLESS, "pure_loop", {}),
    "compiled code of which nothing moves, at a lock": (MOTIONLESS_AT_A_LOCK, "lock_spin", {}),
    "compiled code of which nothing moves, at a poll": (MOTIONLESS_AT_A_POLL, "busy_poll", {}),
    "a match in compiled code": (MATCHING, "regex_backtracking", {}),
    "the same records again": (SAME_RECORDS, "unbounded_growth", {"seconds": 8}),
    "the same records but for their number": (
        SAME_BUT_FOR_A_NUMBER, "unbounded_growth", {"seconds": 8},
    ),
    "the same words again": (SAME_WORDS, "unbounded_growth", {"seconds": 8}),
    "a list without end": (COLLECTING, "unbounded_growth", {"seconds": 12}),
    "templates that multiply": (
        TEMPLATES, "compile_blowup", {"command": "/usr/lib/gcc/cc1plus a.cpp", "seconds": 20},
    ),
}  # fmt: skip


# -- storms --------------------------------------------------------------------------------------


def retries(scene, parent, command, *, per_s, seconds, code=1):
    """The same command, again and again; it fails at once."""
    for n in range(round(per_s * seconds)):
        scene.call(parent, command.format(n=n, fd=7 + n % 3), code)
        scene.passes(1 / per_s)


def rounds_of_two(scene, parent, *, per_s, seconds):
    """Tries of two programs: one that asks, and one that looks at the answer."""
    for _ in range(round(per_s * seconds)):
        scene.call(parent, "cat state.txt", code=0)
        scene.call(parent, "grep -q ready", code=1)
        scene.passes(1 / per_s)


def slow_retries(scene, parent, command, *, takes_s, pause_s, n, code=1):
    """A command that takes its time to fail, and is started again after a pause."""
    for _ in range(n):
        child = scene.start(parent, command)
        scene.passes(takes_s)
        scene.exit(child, code)
        scene.passes(pause_s)


def dive(scene, parent, command, *, depth, per_s=20, cwd="/ws/{n}"):
    """A program that starts the next one of itself and waits for it."""
    chain = []
    for n in range(depth):
        parent = scene.start(parent, command.format(n=n), cwd=cwd.format(n=n))
        chain.append(parent)
        scene.passes(1 / per_s)
    return chain
