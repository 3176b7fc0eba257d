"""Programs attached to the CPU clock and to classic tracepoints: perf_event_open(2), without a
library. Who closes the file descriptors detaches them.

Source of the layout: include/uapi/linux/perf_event.h (struct perf_event_attr).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os

_SYS_PERF_EVENT_OPEN = {
    "x86_64": 298,
    "aarch64": 241,
    "ppc64le": 319,
    "s390x": 331,
    "riscv64": 241,
}
_TYPE_SOFTWARE, _TYPE_TRACEPOINT = 1, 2
_CPU_CLOCK = 0
_FREQUENCY = 1 << 10  # of the flags: sample_period is a frequency
_CLOSE_ON_EXEC = 8
_IOC_ENABLE, _IOC_SET_BPF = 0x2400, 0x40042408
# Names the socket by which to ask who has started us (`event_opener`), where there is one.
OPENER_FD = "LINNIX_LS_EVENT_OPENER_FD"
MAX_MESSAGE_BYTES = 256
_CPU_BYTES = 4
_EVENTS = ("/sys/kernel/tracing/events", "/sys/kernel/debug/tracing/events")

_libc = ctypes.CDLL(None, use_errno=True)


class _Attributes(ctypes.Structure):
    """Its first version, which all kernels know."""

    _fields_ = (
        ("type", ctypes.c_uint32),
        ("size", ctypes.c_uint32),
        ("config", ctypes.c_uint64),
        ("sample_period", ctypes.c_uint64),
        ("sample_type", ctypes.c_uint64),
        ("read_format", ctypes.c_uint64),
        ("flags", ctypes.c_uint64),
        ("wakeup_events", ctypes.c_uint32),
        ("bp_type", ctypes.c_uint32),
        ("config1", ctypes.c_uint64),
    )


def attach_cpu_clock(program_fd: int, frequency_hz: int) -> list[int]:
    """On each CPU that is online, whoever runs there; a file descriptor for each.

    Raises:
        OSError: the kernel refuses.
    """
    fds: list[int] = []
    try:
        for cpu in online_cpus():
            fds.append(
                _open(
                    _Attributes(
                        type=_TYPE_SOFTWARE,
                        config=_CPU_CLOCK,
                        sample_period=frequency_hz,
                        flags=_FREQUENCY,
                    ),
                    cpu,
                )
            )
            _start(fds[-1], program_fd)
    except OSError:
        for fd in fds:
            os.close(fd)
        raise
    return fds


def attach_tracepoint(program_fd: int, category: str, event: str) -> int:
    """To a tracepoint that has a format, of tracefs.

    Raises:
        OSError: there is none of that name, or the kernel refuses.
    """
    fd = _open(
        _Attributes(
            type=_TYPE_TRACEPOINT,
            config=_number_of(category, event),
            sample_period=1,
            wakeup_events=1,
        ),
        0,  # of any: the program runs at each hit
    )
    try:
        _start(fd, program_fd)
    except OSError:
        os.close(fd)
        raise
    return fd


def tracepoint_counter(category: str, event: str, pid: int) -> int:
    """A file descriptor that reads as how often one task came by there, from now on."""
    return _open(
        _Attributes(type=_TYPE_TRACEPOINT, config=_number_of(category, event)), cpu=-1, pid=pid
    )


def _number_of(category: str, event: str) -> int:
    places = [f"{folder}/{category}/{event}/id" for folder in _EVENTS]
    place = next(filter(os.path.exists, places), places[0])
    with open(place, encoding="ascii") as file:
        return int(file.read())


def opened_for_another(asked: bytes) -> int:
    """What a child has asked for: a CPU clock of a CPU, or a tracepoint of whoever, neither of
    which tells anything by itself.

    Raises:
        OSError: that is no such thing, or the kernel refuses.
    """
    if len(asked) != ctypes.sizeof(_Attributes) + _CPU_BYTES:
        raise OSError(errno.EINVAL, "not an event")
    attributes = _Attributes.from_buffer_copy(asked)
    cpu = int.from_bytes(asked[-_CPU_BYTES:], "little")
    is_clock = (attributes.type, attributes.config) == (_TYPE_SOFTWARE, _CPU_CLOCK)
    if not (is_clock or attributes.type == _TYPE_TRACEPOINT) or (
        attributes.sample_type or attributes.read_format or attributes.flags & ~_FREQUENCY
    ):
        raise OSError(errno.EPERM, "not an event that probes are attached to")
    return _open_here(attributes, cpu, -1)


def _open(attributes: _Attributes, cpu: int, pid: int = -1) -> int:
    try:
        return _open_here(attributes, cpu, pid)
    except PermissionError:
        opener_fd = os.environ.get(OPENER_FD)
        if opener_fd is None or pid != -1:
            raise
    return _opened_by_another(
        int(opener_fd), bytes(attributes) + cpu.to_bytes(_CPU_BYTES, "little")
    )


def _opened_by_another(opener_fd: int, asked: bytes) -> int:
    import socket  # half a megabyte, of use on some kernels only

    with socket.socket(fileno=os.dup(opener_fd)) as opener:
        opener.send(asked)
        answer, fds, _, _ = socket.recv_fds(opener, MAX_MESSAGE_BYTES, 1, socket.MSG_CMSG_CLOEXEC)
    if not fds:
        number = int.from_bytes(answer, "little") or errno.EACCES
        raise OSError(number, os.strerror(number))
    return fds[0]


def _open_here(attributes: _Attributes, cpu: int, pid: int) -> int:
    attributes.size = ctypes.sizeof(attributes)
    fd: int = _libc.syscall(
        _SYS_PERF_EVENT_OPEN[os.uname().machine],
        ctypes.byref(attributes),
        *(pid, cpu, -1, _CLOSE_ON_EXEC),
    )
    if fd < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return fd


def _start(event_fd: int, program_fd: int) -> None:
    fcntl.ioctl(event_fd, _IOC_SET_BPF, program_fd)
    fcntl.ioctl(event_fd, _IOC_ENABLE, 0)


def online_cpus() -> list[int]:
    """Their numbers, which need not be in a row."""
    with open("/sys/devices/system/cpu/online", encoding="ascii") as file:
        ranges = [part.partition("-") for part in file.read().strip().split(",")]
    return [cpu for first, _, last in ranges for cpu in range(int(first), int(last or first) + 1)]
