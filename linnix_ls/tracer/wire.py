"""Generated from bpf/events.h by `python -m linnix_ls.tracer.generate_wire`. Do not edit."""

from __future__ import annotations

import ctypes
import enum

EVENTS_H_SHA256 = "cd402c293984f273b43c28e22f48680442e4ca9832faea4bdbca7c77acfcab5b"


class EventKind(enum.IntEnum):
    EVENT_FORK = 1
    EVENT_EXEC = 2
    EVENT_EXIT = 3
    EVENT_SAMPLE = 4


class EventLimits(enum.IntEnum):
    COMM_LEN = 16
    FILENAME_LEN = 256
    PATH_KEY_LEN = 152
    ARGV_LEN = 1024
    USER_STACK_DEPTH = 24
    KERNEL_STACK_DEPTH = 8


class LossReason(enum.IntEnum):
    LOST_RING_FULL = 0
    LOST_SCOPE_FULL = 1
    N_LOSS_REASONS = 2


class EventHeader(ctypes.Structure):
    _fields_ = (
        ("ktime_ns", ctypes.c_uint64),
        ("start_boottime_ns", ctypes.c_uint64),
        ("tgid", ctypes.c_uint32),
        ("tid", ctypes.c_uint32),
        ("uid", ctypes.c_uint32),
        ("kind", ctypes.c_uint8),
        ("pad", ctypes.c_uint8 * 3),
    )


assert ctypes.sizeof(EventHeader) == 32


class ForkEvent(ctypes.Structure):
    _fields_ = (
        ("header", EventHeader),
        ("parent_start_boottime_ns", ctypes.c_uint64),
        ("parent_tgid", ctypes.c_uint32),
        ("pad", ctypes.c_uint32),
        ("comm", ctypes.c_char * 16),
    )


assert ctypes.sizeof(ForkEvent) == 64


class ExecEvent(ctypes.Structure):
    _fields_ = (
        ("header", EventHeader),
        ("parent_start_boottime_ns", ctypes.c_uint64),
        ("parent_tgid", ctypes.c_uint32),
        ("is_watched", ctypes.c_uint32),
        ("argv_len", ctypes.c_uint32),
        ("argv_total_len", ctypes.c_uint32),
        ("comm", ctypes.c_char * 16),
        ("filename", ctypes.c_char * 256),
        ("argv", ctypes.c_char * 1024),
    )


assert ctypes.sizeof(ExecEvent) == 1352


class ExitEvent(ctypes.Structure):
    _fields_ = (
        ("header", EventHeader),
        ("wait_status", ctypes.c_uint32),
        ("pad", ctypes.c_uint32),
        ("comm", ctypes.c_char * 16),
    )


assert ctypes.sizeof(ExitEvent) == 56


class SampleEvent(ctypes.Structure):
    _fields_ = (
        ("header", EventHeader),
        ("registers_hash", ctypes.c_uint64),
        ("n_user_ips", ctypes.c_uint32),
        ("n_kernel_ips", ctypes.c_uint32),
        ("kernel_ips", ctypes.c_uint64 * 8),
        ("user_ips", ctypes.c_uint64 * 24),
    )


assert ctypes.sizeof(SampleEvent) == 304


class SyscallKey(ctypes.Structure):
    _fields_ = (
        ("tgid", ctypes.c_uint32),
        ("syscall", ctypes.c_uint32),
    )


assert ctypes.sizeof(SyscallKey) == 8


class SyscallCounts(ctypes.Structure):
    _fields_ = (
        ("n_calls", ctypes.c_uint64),
        ("n_errors", ctypes.c_uint64),
        ("n_zero", ctypes.c_uint64),
        ("total_result", ctypes.c_uint64),
    )


assert ctypes.sizeof(SyscallCounts) == 32


class PathKey(ctypes.Structure):
    _fields_ = (
        ("tgid", ctypes.c_uint32),
        ("syscall", ctypes.c_uint32),
        ("path", ctypes.c_char * 152),
    )


assert ctypes.sizeof(PathKey) == 160
