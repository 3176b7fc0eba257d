"""Who watches: linnix-ls in two ways, and the tools that people use instead.

Some start what they watch (`Wrapping`), others are there before it (`Beside`). Nothing is timed
before a watcher has shown that it sees: those beside have told of a process that was started for
this purpose, those that wrap start their command only then.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench import machine

UP_TIMEOUT_S = 30.0
END_TIMEOUT_S = 20.0
LOOK_EVERY_S = 0.02
EVENTS = "sched:sched_process_fork,sched:sched_process_exec,sched:sched_process_exit"
_HERE = Path(__file__).parent


class CannotWatch(Exception):
    """Why a tool does not work here, in words."""


class Watcher(Protocol):
    """A way to watch."""

    @property
    def name(self) -> str: ...

    @property
    def divisor(self) -> int:
        """So much less small loads do under it, where that takes long enough; it is counted
        that many times."""
        ...

    def watching(self, scratch: Path) -> contextlib.AbstractContextManager[Sequence[str]]:
        """While it is entered, the words to put in front of the command that is to be watched.

        Raises:
            CannotWatch: it does not work here.
        """
        ...


@dataclass(frozen=True, slots=True)
class Nothing:
    """Nobody watches."""

    name: str
    divisor: int = 1

    @contextlib.contextmanager
    def watching(self, scratch: Path) -> Iterator[Sequence[str]]:
        yield ()


@dataclass(frozen=True, slots=True)
class Wrapping:
    """One that starts what it watches; ``{scratch}`` is a folder for its output."""

    name: str
    command: tuple[str, ...]
    divisor: int = 1

    @contextlib.contextmanager
    def watching(self, scratch: Path) -> Iterator[Sequence[str]]:
        _find(self.command[0])
        yield [word.replace("{scratch}", str(scratch)) for word in self.command]


@dataclass(frozen=True, slots=True)
class Beside:
    """One that is there before.

    Attributes:
        is_up: whether its output shows that it sees. Asked again and again, each time after a
            process called `true` has come and gone.
    """

    name: str
    command: tuple[str, ...]
    is_up: Callable[[bytes], bool]
    divisor: int = 1

    @contextlib.contextmanager
    def watching(self, scratch: Path) -> Iterator[Sequence[str]]:
        _find(self.command[0])
        output = scratch / "output"
        with open(output, "wb") as file:
            command = [word.replace("{scratch}", str(scratch)) for word in self.command]
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._wait_until_up(process, output)
            yield ()
            if process.poll() is not None:
                raise CannotWatch(f"it ended while it watched: {_last_line(output)}")
        finally:
            end(process)

    def _wait_until_up(self, process: subprocess.Popen[bytes], output: Path) -> None:
        give_up_s = time.monotonic() + UP_TIMEOUT_S
        while True:
            subprocess.run(["true"], check=True)
            if self.is_up(output.read_bytes()):
                return
            if process.poll() is not None:
                raise CannotWatch(_last_line(output))
            if time.monotonic() > give_up_s:
                raise CannotWatch(f"it saw nothing in {UP_TIMEOUT_S:.0f} s: {_last_line(output)}")
            time.sleep(LOOK_EVERY_S)


def _find(program: str) -> None:
    if shutil.which(program) is None:
        raise CannotWatch("not installed: deploy/bench-tools.sh")


def end(process: subprocess.Popen[bytes]) -> None:
    """End one that leads its session, as Ctrl-C would; what is left of it is killed."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(END_TIMEOUT_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _last_line(output: Path) -> str:
    lines = output.read_text(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


def _has_seen_true(output: bytes) -> bool:
    return b"true" in output


# An agent of its own: one that serves this machine may be another version's.
LINNIX_LS = (str(machine.LINNIX_LS), "run", "--tracer", "bcc", "--agent-socket", "{scratch}/agent")
RUN, ELSEWHERE = "linnix-ls run", "linnix-ls on another tree"
EXECSNOOP, BPFTRACE = "execsnoop (BCC)", "bpftrace"
NOTHING, AGAIN = Nothing("nothing"), Nothing("nothing, again")

WATCHERS: tuple[Watcher, ...] = (
    NOTHING,
    AGAIN,
    Wrapping(RUN, (*LINNIX_LS, "--")),
    Beside(
        ELSEWHERE,
        (*LINNIX_LS, "--", "sh", "-c", "echo it is watched; exec sleep infinity"),
        lambda output: b"it is watched" in output,
    ),
    # BCC's own, in C: the one in Python needs kprobes and kernel headers, which not all kernels
    # have. Without stdbuf nobody could tell when it is up.
    Beside(EXECSNOOP, ("stdbuf", "-oL", "execsnoop"), _has_seen_true),
    Beside(BPFTRACE, ("bpftrace", "-B", "line", str(_HERE / "lifecycle.bt")), _has_seen_true),
    Beside("forkstat", ("forkstat", "-l", "-e", "fork,exec,exit"), _has_seen_true),
    Wrapping(
        "perf record", ("perf", "record", "-q", "-a", "-o", "{scratch}/data", "-e", EVENTS, "--")
    ),
    Wrapping(
        "strace", ("strace", "-f", "-o", "{scratch}/trace", "-e", "trace=process", "--"), divisor=20
    ),
    Beside("psutil, 10 Hz", (sys.executable, str(_HERE / "poll.py")), bool),
)
