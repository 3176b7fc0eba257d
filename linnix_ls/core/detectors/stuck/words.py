"""What is said about processes that wait for one another for ever."""

from __future__ import annotations

from linnix_ls.core.detectors.languages import Advice, advice_for, language_of
from linnix_ls.core.detectors.wording import Facts, Words, sentences
from linnix_ls.core.findings import Cause

_PIPES: Advice = {
    "python": (
        "Read while the child still writes: communicate(timeout=…), or subprocess.run(…,"
        " capture_output=True, timeout=…), does both at once. wait() before the output is read, or"
        " a write to stdin while nobody reads stdout, waits for ever once the pipe is full.",
        "Let stderr not fill up either: stderr=subprocess.STDOUT, DEVNULL or a file. Close stdin"
        " when all is written: the child waits for the end of its input.",
    ),
    "node": (
        "Read the child's stdout and stderr as it writes ('data' events, or for await), and wait"
        " for 'close', not 'exit'; stdio: 'inherit' or 'ignore' for what nobody reads.",
        "Call child.stdin.end() when all is written: the child waits for the end of its input.",
    ),
    "java": (
        "Read the output before waitFor(), and both streams at once: redirectErrorStream(true), or"
        " redirectOutput(file), or a thread that drains getErrorStream().",
        "Close getOutputStream() when all is written, and use waitFor(timeout, unit).",
    ),
    "c": (
        "Close the ends of each pipe that a process does not use, right after fork(): a reader"
        " sees the end only when the last writer's end is closed.",
        "Read what the child writes before waitpid(), with poll() over stdout and stderr, and"
        " write with O_NONBLOCK; or give it a file instead of a pipe.",
    ),
    "rust": (
        "Use wait_with_output() or output(), which read stdout and stderr at once; wait() does not"
        " read. Write to stdin from another thread.",
        "Drop the child's stdin (child.stdin.take()) when all is written: the child waits for the"
        " end of its input.",
    ),
    "shell": (
        "Close the ends that nobody uses (exec {fd}>&-), and start a named pipe's reader before its"
        " writer; a process substitution or a temporary file needs neither.",
        "For a limit, timeout SECONDS COMMAND, and read -t SECONDS.",
    ),
    "perl": (
        "Read while the child still writes: IPC::Run or IPC::Open3 with IO::Select over stdout and"
        " stderr, before waitpid().",
        "Close the ends of each pipe that a process does not use, and the child's input when all is"
        " written.",
    ),
    "": (
        "Read the pipe while the other end still writes, standard error too.",
        "Close the ends of the pipe that a process does not use, and the child's input when all is"
        " written.",
    ),
}
_LOCKS: Advice = {
    "python": (
        "Take locks in the same order everywhere, with `with`, and call nobody else's code while"
        " you hold one. lock.acquire(timeout=…) turns the wait into an error that says where.",
        "fork() while threads run copies a lock that nobody will release: use the spawn start"
        " method. join(timeout=…), result(timeout=…) and wait(timeout=…) end other waits.",
    ),
    "node": (
        "Give each promise a way to reject: AbortSignal.timeout(), or Promise.race() with a timer;"
        " between workers, Atomics.wait() takes a timeout.",
    ),
    "java": (
        "Take locks in the same order everywhere, and call no other object's methods while you hold"
        " one. tryLock(timeout, unit) of a ReentrantLock lets go again, where synchronized waits"
        " for ever.",
        "jstack PID shows which thread holds what.",
    ),
    "c": (
        "Take mutexes in the same order everywhere, and unlock on every way out."
        " pthread_mutex_timedlock() turns the wait into an error; PTHREAD_MUTEX_ERRORCHECK reports"
        " one that is taken twice.",
    ),
    "cpp": (
        "Take several mutexes at once with std::scoped_lock(a, b), which orders them by itself, and"
        " hold none while a callback or join() runs.",
        "std::timed_mutex::try_lock_for() and wait_for() turn the wait into an error that says"
        " where.",
    ),
    "rust": (
        "Take locks in the same order everywhere, and drop the guard before join(), recv() or the"
        " next lock(): a guard in a match or an if let lives to its end.",
        "recv_timeout() and wait_timeout() turn the wait into an error.",
    ),
    "shell": (
        "Look at who waits for whom: `wait` without a pid waits for all jobs; `flock -w SECONDS`,"
        " `timeout SECONDS` and `read -t SECONDS` turn the wait into an error.",
    ),
    "perl": (
        "Take locks in the same order everywhere; alarm and a $SIG{ALRM} that dies turn the wait"
        " into an error.",
    ),
    "": (
        "Take locks in the same order everywhere, and release them on every way out.",
        "Wait with a timeout, and fail with a message when it passes.",
    ),
}

ADVICE: tuple[Advice, ...] = (_PIPES, _LOCKS)


def words(facts: Facts) -> Words:
    finding = facts.finding
    has_pipe = finding.cause is Cause.PIPE_DEADLOCK
    return Words(
        predicate=_predicate(facts),
        why=sentences(*_why(facts)),
        fix=advice_for(_PIPES if has_pipe else _LOCKS, language_of(finding)),
        otherwise="It could also be meant to stay until a signal, or a program that cannot be seen"
        " from here, ends the wait.",
    )


def _predicate(facts: Facts) -> str:
    if facts.number("processes_waiting") == 1:
        end = "and nobody is left to end its wait"
        return facts.say(
            f"hangs: it has used no CPU for {{idle_s}} s, {end}", "processes_waiting"
        ) or facts.say(f"hangs, {end}", "processes_waiting")
    return facts.first(
        "hangs: {threads_waiting:thread waits|threads wait} for each other's locks",
        "hangs: {processes_waiting:process waits|processes wait} for each other and have used no"
        " CPU for {idle_s} s",
        "hangs: {processes_waiting:process waits|processes wait} for each other",
        "hangs: {wait}",
    )


def _why(facts: Facts) -> list[str]:
    waits = [said for index in range(3) if (said := facts.say(f"{{wait.{index}}}"))]
    told = "; ".join(waits) + "." if waits else ""
    closed = ""
    if waits:
        closed = (
            "Each of them waits for another one and none has a timer, so this ends only when"
            " somebody ends one of them."
            if len(waits) > 1
            else "Nothing with a timer is in the circle, so it does not end by itself."
        )
    return [told, closed]
