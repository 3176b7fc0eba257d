"""What the probes cost in the kernel, by its own count of their runs and of the time in them.

Counting costs a little itself, so it is never on while loads are timed. The figures are read
from where the kernel shows each program to whoever looks into the process that holds it.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from linnix_ls.tracer import bpf_syscall

_PERF_EVENT = "7"  # of enum bpf_prog_type


@dataclass(frozen=True, slots=True)
class Runs:
    """Of one program."""

    n_runs: int
    run_time_ns: int

    def since(self, before: Runs) -> Runs:
        """What has come since then."""
        return Runs(self.n_runs - before.n_runs, self.run_time_ns - before.run_time_ns)


@contextlib.contextmanager
def counting() -> Iterator[None]:
    """The kernel counts meanwhile."""
    fd = bpf_syscall.enable_statistics()
    try:
        yield
    finally:
        os.close(fd)


def runs_below(pid: int) -> dict[str, Runs]:
    """Of each program that this process, or one below it, holds: by the name of its tracepoint,
    `cpu clock` of what samples."""
    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    programs: dict[int, tuple[str, Runs]] = {}
    names: dict[int, str] = {}
    for process in processes:
        for path in Path(f"/proc/{process.pid}/fdinfo").iterdir():
            with contextlib.suppress(OSError):
                text = path.read_text()
                fields = dict(re.findall(r"^(\S+):\s*(.*)$", text, re.MULTILINE))
                if "run_cnt" in fields:
                    # One that is not attached at the moment is that of system calls.
                    samples = fields["prog_type"] == _PERF_EVENT
                    programs[int(fields["prog_id"])] = (
                        "cpu clock" if samples else "sys_exit",
                        Runs(int(fields["run_cnt"]), int(fields["run_time_ns"])),
                    )
                elif "tp_name" in fields:
                    names[int(fields["prog_id"])] = fields["tp_name"]
    return {names.get(number, kind): runs for number, (kind, runs) in programs.items()}
