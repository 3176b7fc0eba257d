"""Runaways as data: what a close look shows of each way to spin, and how storms go."""

from dataclasses import replace

from tests.core.scenes import STILL, calls, frame, going_round, look, looks

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


def dive(scene, parent, command, *, depth, per_s=20, cwd="/ws/{n}"):
    """A program that starts the next one of itself and waits for it."""
    chain = []
    for n in range(depth):
        parent = scene.start(parent, command.format(n=n), cwd=cwd.format(n=n))
        chain.append(parent)
        scene.passes(1 / per_s)
    return chain
