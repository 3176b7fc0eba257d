"""Programs attached to tracepoints and to the CPU clock, by file descriptors: when these are
closed, or the process ends, the kernel detaches them. Only for `probe_worker`.
"""

from __future__ import annotations

import os

from linnix_ls.playground.compiled import Target
from linnix_ls.tracer import bpf_syscall, perf_event

SAMPLE_FREQUENCY_HZ = 99  # not in step with what happens a hundred times a second


class Attachments:
    """What is attached, until `detach`."""

    def __init__(self) -> None:
        self._fds: list[int] = []

    def attach(self, program_fd: int, target: Target, is_typed: bool) -> None:
        """Args: is_typed: the program was loaded for its tracepoint, by the kernel's types.

        Raises:
            OSError: the kernel refuses.
        """
        if target.kind == "raw tracepoint":
            name = None if is_typed else target.name
            self._fds.append(bpf_syscall.attach_raw_tracepoint(program_fd, name))
        elif target.kind == "tracepoint":
            category, _, event = target.name.partition(":")
            self._fds.append(perf_event.attach_tracepoint(program_fd, category, event))
        else:
            self._fds += perf_event.attach_cpu_clock(program_fd, SAMPLE_FREQUENCY_HZ)

    def detach(self) -> None:
        """All of them. The kernel may wait for its other CPUs: up to 0.1 s each."""
        for fd in self._fds:
            os.close(fd)
        self._fds.clear()
