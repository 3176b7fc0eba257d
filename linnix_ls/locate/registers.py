"""Where a thread is: its registers and its stack at one moment.

A thread that waits is read as it is. One that runs is stopped by ptrace, for 0.03 to 0.2 ms here;
nothing in it is changed, and one that does not stop within `STOP_TIMEOUT_S` is let go. Where a
debugger holds the process we stay away.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import threading
import time
from dataclasses import dataclass

from linnix_ls import procfs
from linnix_ls.locate.memory import ProcessMemory, UnreadableError

STOP_TIMEOUT_S = 0.1  # on a loaded machine it must get a CPU first
MAX_STACK_BYTES = 128 << 10

_PTRACE_SEIZE, _PTRACE_INTERRUPT, _PTRACE_DETACH, _PTRACE_GETREGSET = 0x4206, 0x4207, 17, 0x4204
_NT_PRSTATUS = 1
_WALL = 0x40000000
_PTRACE_EVENT_STOP = 128
# Size of the register set, the indices of instruction, stack and frame pointer in it, and those of
# the general registers in DWARF's order.
_LAYOUTS = {
    "x86_64": (27 * 8, 16, 19, 4, (10, 12, 11, 5, 13, 14, 4, 19, 9, 8, 7, 6, 3, 2, 1, 0)),
    "aarch64": (34 * 8, 32, 31, 29, tuple(range(32))),
}


class _Iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


@dataclass(frozen=True, slots=True)
class Moment:
    """One thread, stopped for a moment.

    Attributes:
        frame_pointer: 0 when it is not known.
        stack: the bytes from `stack_pointer` upwards.
        stopped_ns: for how long it stood still because of us.
        general: the general registers, as DWARF numbers them; () when they are not known.
    """

    instruction_pointer: int
    stack_pointer: int
    frame_pointer: int
    stack: bytes
    stopped_ns: int
    general: tuple[int, ...] = ()


def look_at_thread(pid: int, tid: int, memory: ProcessMemory) -> Moment:
    """Stop it unless it waits, read, let go.

    Raises:
        UnreadableError: it has gone, is held by a debugger, may not be traced, or does not stop.
    """
    waiting = _waiting(pid, tid, memory)
    if waiting is not None:
        return waiting
    results: list[Moment | UnreadableError] = []

    def run() -> None:
        try:
            results.append(_look(tid, memory))
        except UnreadableError as error:
            results.append(error)

    # A thread of its own: whatever happens, the kernel lets go of what it traced when it ends.
    thread = threading.Thread(target=run, name="look", daemon=True)
    thread.start()
    thread.join()
    result = results[0]
    if isinstance(result, UnreadableError):
        raise result
    return result


def _waiting(pid: int, tid: int, memory: ProcessMemory) -> Moment | None:
    """A thread inside a system call, whose stack stands still. Its frame pointer is not known."""
    raw = procfs.read_bytes(f"/proc/{pid}/task/{tid}/syscall", 512)
    fields = raw.split() if raw else []
    if len(fields) < 3:
        return None  # it runs, or this kernel does not tell
    stack_pointer, instruction_pointer = int(fields[-2], 16), int(fields[-1], 16)
    stack = memory.read_up_to(stack_pointer, MAX_STACK_BYTES)
    return Moment(instruction_pointer, stack_pointer, 0, stack, 0)


def _look(tid: int, memory: ProcessMemory) -> Moment:
    layout = _LAYOUTS.get(platform.machine())
    if layout is None:
        raise UnreadableError(f"no stacks on {platform.machine()}")
    size, at_ip, at_sp, at_fp, general = layout
    _ptrace(_PTRACE_SEIZE, tid)
    _ptrace(_PTRACE_INTERRUPT, tid)
    signal = _wait_for_stop(tid)
    since_ns = time.perf_counter_ns()
    try:
        buffer = ctypes.create_string_buffer(size)
        vector = _Iovec(ctypes.addressof(buffer), size)
        _ptrace(_PTRACE_GETREGSET, tid, _NT_PRSTATUS, ctypes.addressof(vector))
        if vector.length != size:
            raise UnreadableError("a 32-bit process")
        registers = struct.unpack(f"={size // 8}Q", buffer.raw)
        stack = memory.read_up_to(registers[at_sp], MAX_STACK_BYTES)
    finally:
        _libc.ptrace(_PTRACE_DETACH, tid, 0, signal)
    stopped_ns = time.perf_counter_ns() - since_ns
    return Moment(
        instruction_pointer=registers[at_ip],
        stack_pointer=registers[at_sp],
        frame_pointer=registers[at_fp],
        stack=stack,
        stopped_ns=stopped_ns,
        general=tuple(registers[index] for index in general),
    )


def _wait_for_stop(tid: int) -> int:
    """Returns the signal that it is to get when let go: one may have come in between."""
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            # Stops only: the end of a process is its parent's to hear of.
            status = os.waitid(os.P_PID, tid, os.WSTOPPED | os.WNOHANG | _WALL)
        except OSError as error:
            raise UnreadableError("it has ended") from error
        if status is not None and status.si_pid == tid:
            is_ours = status.si_status >> 8 == _PTRACE_EVENT_STOP
            return 0 if is_ours else status.si_status & 0x7F
        time.sleep(0.0001)
    raise UnreadableError("it does not stop")


def _ptrace(request: int, tid: int, address: int = 0, data: int = 0) -> None:
    if _libc.ptrace(request, tid, address, data) == -1:
        number = ctypes.get_errno()
        if number == errno.EPERM:
            raise UnreadableError("it may not be traced, or a debugger holds it")
        raise UnreadableError(os.strerror(number))
