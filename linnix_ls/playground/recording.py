"""What happened during the check of a lesson, kept in a file (`playground/*/recording.json.gz`).

Made from real runs (`make recordings`). Not here: what runs a probe on it (`recorded_machine`),
and what a check makes of that (`recorded_lessons`).
"""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from linnix_ls.playground.recorded_machine import Moment, Task

# The program that runs at each tick; it may be called anything in the source.
CLOCK = "clock"
_MAX_BYTES = 16 << 20
# What a program finds in its record (`recorded.h`), from the arguments of an event.
_RECORDS = {
    "tracepoint__sched__sched_process_exec": "<Qiii4x",
    "tracepoint__sched__sched_process_fork": "<Qii",
    "tracepoint__sched__sched_process_exit": "<Q16sii",
    "tracepoint__syscalls__sys_enter_fsync": "<QQ",
    "tracepoint__syscalls__sys_enter_getppid": "<Q",
    CLOCK: "<Q",
}


@dataclass(frozen=True, slots=True)
class Recording:
    """See the module.

    Attributes:
        seed: of the dice with which the check was made, so that it draws the same again.
        workloads: of each its pid, and what it told.
        marks: after how many events the probe was read.
        events: (which program, ns since the one before, CPU, which task, how often it had gone to
            sleep, and a number of the event's own).
    """

    kernel: str
    seed: int
    n_cpus: int
    workloads: tuple[tuple[int, Sequence[Any]], ...]
    marks: tuple[int, ...]
    programs: tuple[str, ...]
    tasks: tuple[tuple[int, int, int, int, str, str], ...]
    events: tuple[tuple[int, int, int, int, int, int], ...]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Of our own making: it is taken as it is."""
        with gzip.open(path) as file:
            told = json.loads(file.read(_MAX_BYTES))
        lists = ("workloads", "marks", "programs", "tasks", "events")
        return cls(**told | {name: tuple(told[name]) for name in lists})

    def write(self, path: Path) -> None:
        text = json.dumps(asdict(self), separators=(",", ":"))
        path.write_bytes(gzip.compress(text.encode(), mtime=0))

    def moments(self) -> Iterator[Moment]:
        """In their order."""
        at_ns = 0
        tasks = [Task(*each) for each in self.tasks]
        for program, after_ns, cpu, task, n_sleeps, number in self.events:
            at_ns += after_ns
            name, who = self.programs[program], tasks[task]
            yield Moment(name, _record(name, who, number), at_ns, cpu, who, n_sleeps)


def _record(program: str, task: Task, number: int) -> bytes:
    layout = _RECORDS[program]
    match program.rpartition("__")[2]:
        case "sched_process_exec":
            return struct.pack(layout, 0, 0, task.tid, task.tid)
        case "sched_process_fork":
            return struct.pack(layout, 0, task.tid, number)
        case "sched_process_exit":
            return struct.pack(layout, 0, task.comm.encode()[:15], task.tid, 120)
        case "sys_enter_fsync":
            return struct.pack(layout, 0, number)
    return struct.pack(layout, 0)
