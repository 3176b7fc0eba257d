"""Records out of ring and perf buffers, within a budget. Only for `probe_worker`.

A probe may send more than anyone can read: what is above the budget is counted, not looked at.
"""

from __future__ import annotations

import ctypes
import time
from typing import Any

from linnix_ls.tracer import bpf_syscall

MAX_EVENTS_PER_S = 2000
_BURST_S = 2.0  # what may come at once after silence
_MAX_PER_DRAIN = 10_000  # of one ring: then somebody else has a turn
_PERF_PAGES = 64  # of each CPU; a power of two


class Buffers:
    """Args: binding: BCC's module `libbcc`."""

    def __init__(self, binding: Any) -> None:
        self._binding = binding
        self._lib = binding.lib
        self._rings: list[int] = []
        self._readers: list[int] = []
        self._callbacks: list[Any] = []  # ctypes keeps none of them alive
        self._budget = MAX_EVENTS_PER_S * _BURST_S
        self._refilled_s = time.monotonic()
        self._n_this_drain = 0
        self.records: list[tuple[str, bytes]] = []
        self.n_dropped = 0
        self.n_lost = 0

    def open_ring(self, fd: int, name: str) -> None:
        """Raises: OSError."""

        def on_record(_context: Any, record: int, size: int) -> int:
            self._take(name, record, size)
            self._n_this_drain += 1
            return -1 if self._n_this_drain >= _MAX_PER_DRAIN else 0

        callback = self._binding._RINGBUF_CB_TYPE(on_record)  # noqa: SLF001 - BCC has no other
        ring = self._lib.bpf_new_ringbuf(fd, callback, None)
        if not ring:
            raise OSError(ctypes.get_errno(), f"the ring buffer {name} cannot be read")
        self._callbacks.append(callback)
        self._rings.append(ring)

    def open_perf(self, fd: int, name: str, cpus: list[int]) -> None:
        """Raises: OSError."""

        def on_record(_context: Any, record: int, size: int) -> None:
            self._take(name, record, size)

        def on_loss(_context: Any, n_lost: int) -> None:
            self.n_lost += n_lost

        taking = self._binding._RAW_CB_TYPE(on_record)  # noqa: SLF001
        losing = self._binding._LOST_CB_TYPE(on_loss)  # noqa: SLF001
        self._callbacks += [taking, losing]
        for cpu in cpus:
            options = self._binding.bcc_perf_buffer_opts()
            options.pid, options.cpu, options.wakeup_events = -1, cpu, 1
            reader = self._lib.bpf_open_perf_buffer_opts(
                taking, losing, None, _PERF_PAGES, ctypes.byref(options)
            )
            if not reader:
                raise OSError(ctypes.get_errno(), f"the perf buffer {name} cannot be read")
            self._readers.append(reader)
            bpf_syscall.update(
                fd,
                cpu.to_bytes(4, "little"),
                int(self._lib.perf_reader_fd(reader)).to_bytes(4, "little"),
            )

    def _take(self, name: str, record: int, size: int) -> None:
        # Called by C: an exception would be printed and forgotten, so nothing here raises.
        if self._budget < 1:
            self.n_dropped += 1
            return
        self._budget -= 1
        self.records.append((name, ctypes.string_at(record, size)))

    def drain(self) -> None:
        """Move what they hold into `records`."""
        now_s = time.monotonic()
        gained = (now_s - self._refilled_s) * MAX_EVENTS_PER_S
        self._budget = min(MAX_EVENTS_PER_S * _BURST_S, self._budget + gained)
        self._refilled_s = now_s
        for ring in self._rings:
            self._n_this_drain = 0
            self._lib.bpf_consume_ringbuf(ring)
        if self._readers:
            readers = (ctypes.c_void_p * len(self._readers))(*self._readers)
            self._lib.perf_reader_consume(len(readers), readers)
