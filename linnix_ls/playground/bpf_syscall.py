"""BPF_PROG_LOAD as the kernel knows it: loaders hide the errno, cut the log, or print it.

Source of the layout: include/uapi/linux/bpf.h (union bpf_attr).
"""

from __future__ import annotations

import ctypes
import os
import platform
from dataclasses import dataclass

_SYS_BPF = {"x86_64": 321, "aarch64": 280, "ppc64le": 361, "s390x": 351, "riscv64": 280}
_BPF_PROG_LOAD = 5
_BPF_ENABLE_STATS = 32


class _LoadAttributes(ctypes.Structure):
    _fields_ = (
        ("prog_type", ctypes.c_uint32),
        ("insn_cnt", ctypes.c_uint32),
        ("insns", ctypes.c_uint64),
        ("license", ctypes.c_uint64),
        ("log_level", ctypes.c_uint32),
        ("log_size", ctypes.c_uint32),
        ("log_buf", ctypes.c_uint64),
        ("kern_version", ctypes.c_uint32),
        ("prog_flags", ctypes.c_uint32),
        ("prog_name", ctypes.c_char * 16),
        ("prog_ifindex", ctypes.c_uint32),
        ("expected_attach_type", ctypes.c_uint32),
        ("prog_btf_fd", ctypes.c_uint32),
        ("func_info_rec_size", ctypes.c_uint32),
        ("func_info", ctypes.c_uint64),
        ("func_info_cnt", ctypes.c_uint32),
        ("line_info_rec_size", ctypes.c_uint32),
        ("line_info", ctypes.c_uint64),
        ("line_info_cnt", ctypes.c_uint32),
        ("attach_btf_id", ctypes.c_uint32),
    )


@dataclass(frozen=True, slots=True)
class Loaded:
    """How one load went.

    Attributes:
        fd: of the program, or None.
        errno: why not; 0 if it was.
        log: the verifier's, of a load that failed; its end if it is too long.
    """

    fd: int | None
    errno: int
    log: str


def load(
    prog_type: int, instructions: bytes, license_text: bytes, name: bytes, log_bytes: int
) -> Loaded:
    """Load one program, first without a log (the errno is then the true one), and if that fails
    with one."""
    fd, errno, _ = _try(prog_type, instructions, license_text, name, 0)
    if fd is not None:
        return Loaded(fd, 0, "")
    fd, _, log = _try(prog_type, instructions, license_text, name, log_bytes)
    if fd is not None:  # it was a matter of the moment: memory, a lock
        return Loaded(fd, 0, "")
    return Loaded(None, errno, log)


def _try(
    prog_type: int, instructions: bytes, license_text: bytes, name: bytes, log_bytes: int
) -> tuple[int | None, int, str]:
    code = ctypes.create_string_buffer(instructions, len(instructions))
    license_buffer = ctypes.create_string_buffer(license_text)
    log = ctypes.create_string_buffer(max(log_bytes, 1))
    attributes = _LoadAttributes(
        prog_type=prog_type,
        insn_cnt=len(instructions) // 8,
        insns=ctypes.addressof(code),
        license=ctypes.addressof(license_buffer),
        prog_name=name[:15],
    )
    if log_bytes:
        attributes.log_level = 1
        attributes.log_size = log_bytes
        attributes.log_buf = ctypes.addressof(log)
    libc = ctypes.CDLL(None, use_errno=True)
    number = _SYS_BPF[platform.machine()]
    fd = libc.syscall(number, _BPF_PROG_LOAD, ctypes.byref(attributes), ctypes.sizeof(attributes))
    if fd >= 0:
        return fd, 0, ""
    return None, ctypes.get_errno(), os.fsdecode(log.value)


def enable_statistics() -> int | None:
    """While the fd is open, the kernel counts how often and how long programs run."""
    kind = ctypes.c_uint32(0)  # BPF_STATS_RUN_TIME
    libc = ctypes.CDLL(None, use_errno=True)
    number = _SYS_BPF[platform.machine()]
    fd: int = libc.syscall(number, _BPF_ENABLE_STATS, ctypes.byref(kind), ctypes.sizeof(kind))
    return fd if fd >= 0 else None


def helpers_in(instructions: bytes) -> set[int]:
    """The numbers of the kernel's helpers that a program calls (BPF_JMP | BPF_CALL, source 0)."""
    return {
        int.from_bytes(instructions[at + 4 : at + 8], "little")
        for at in range(0, len(instructions) - 7, 8)
        if instructions[at] == 0x85 and instructions[at + 1] >> 4 == 0
    }
