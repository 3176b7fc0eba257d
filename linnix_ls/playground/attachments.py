"""Programs attached to tracepoints and to the CPU clock, by file descriptors: when these are
closed, or the process ends, the kernel detaches them. Only for `probe_worker`.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any

from linnix_ls.playground import bpf_syscall
from linnix_ls.playground.compiled import Target

SAMPLE_FREQUENCY_HZ = 99  # not in step with what happens a hundred times a second
_PERF_TYPE_SOFTWARE, _PERF_COUNT_SW_CPU_CLOCK = 1, 0


class Attachments:
    """Args: lib: libbcc."""

    def __init__(self, lib: Any) -> None:
        self._lib = lib
        # The binding's declarations of these two are misspelt.
        lib.bpf_attach_perf_event.argtypes = [
            *(ctypes.c_int, ctypes.c_uint, ctypes.c_uint, ctypes.c_ulonglong, ctypes.c_ulonglong),
            *(ctypes.c_int, ctypes.c_int, ctypes.c_int),
        ]
        lib.bpf_close_perf_event_fd.argtypes = [ctypes.c_int]
        self._perf_fds: list[int] = []
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
            self._keep(
                self._lib.bpf_attach_tracepoint(
                    program_fd, os.fsencode(category), os.fsencode(event)
                )
            )
        else:
            for cpu in _online_cpus():
                self._keep(
                    self._lib.bpf_attach_perf_event(
                        *(program_fd, _PERF_TYPE_SOFTWARE, _PERF_COUNT_SW_CPU_CLOCK),
                        *(0, SAMPLE_FREQUENCY_HZ, -1, cpu, -1),
                    )
                )

    def _keep(self, fd: int) -> None:
        if fd < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        self._perf_fds.append(fd)

    def detach(self) -> None:
        """All of them. The kernel may wait for its other CPUs: up to 0.1 s each."""
        for fd in self._fds:
            os.close(fd)
        for fd in self._perf_fds:
            self._lib.bpf_close_perf_event_fd(fd)
        self._fds.clear()
        self._perf_fds.clear()


def _online_cpus() -> list[int]:
    with open("/sys/devices/system/cpu/online", encoding="ascii") as file:
        ranges = [part.partition("-") for part in file.read().strip().split(",")]
    return [cpu for first, _, last in ranges for cpu in range(int(first), int(last or first) + 1)]
