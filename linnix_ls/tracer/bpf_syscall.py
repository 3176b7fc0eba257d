"""bpf(2) as the kernel knows it: loaders hide the errno, cut the log, or print it.

Source of the layouts: include/uapi/linux/bpf.h (union bpf_attr, struct bpf_prog_info).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from typing import NamedTuple, TypeVar

from linnix_ls import capabilities

_SYS_BPF = {"x86_64": 321, "aarch64": 280, "ppc64le": 361, "s390x": 351, "riscv64": 280}
_MAP_CREATE, _MAP_LOOKUP, _MAP_UPDATE, _MAP_DELETE, _MAP_NEXT_KEY, _PROG_LOAD = 0, 1, 2, 3, 4, 5
_OBJECT_INFO, _RAW_TRACEPOINT_OPEN, _ENABLE_STATS = 15, 17, 32

ARRAY, MMAPABLE = 2, 1 << 10  # of enum bpf_map_type; a flag of maps


_libc = ctypes.CDLL(None, use_errno=True)


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


class _MapAttributes(ctypes.Structure):
    _fields_ = (
        ("map_type", ctypes.c_uint32),
        ("key_size", ctypes.c_uint32),
        ("value_size", ctypes.c_uint32),
        ("max_entries", ctypes.c_uint32),
        ("map_flags", ctypes.c_uint32),
        ("inner_map_fd", ctypes.c_uint32),
        ("numa_node", ctypes.c_uint32),
        ("map_name", ctypes.c_char * 16),
    )


class _ElementAttributes(ctypes.Structure):
    _fields_ = (
        ("map_fd", ctypes.c_uint64),
        ("key", ctypes.c_uint64),
        ("value", ctypes.c_uint64),
        ("flags", ctypes.c_uint64),
    )


class _InfoAttributes(ctypes.Structure):
    _fields_ = (
        ("bpf_fd", ctypes.c_uint32),
        ("info_len", ctypes.c_uint32),
        ("info", ctypes.c_uint64),
    )


class _RawTracepointAttributes(ctypes.Structure):
    _fields_ = (("name", ctypes.c_uint64), ("prog_fd", ctypes.c_uint64))


class MapInfo(ctypes.Structure):
    """What the kernel tells of a map, as far as it is needed to make another of its kind."""

    _fields_ = (
        ("type", ctypes.c_uint32),
        ("id", ctypes.c_uint32),
        ("key_size", ctypes.c_uint32),
        ("value_size", ctypes.c_uint32),
        ("max_entries", ctypes.c_uint32),
        ("map_flags", ctypes.c_uint32),
        ("name", ctypes.c_char * 16),
    )


class ProgramInfo(ctypes.Structure):
    """What the kernel tells of a loaded program; run times only while statistics are on."""

    _fields_ = (
        ("type", ctypes.c_uint32),
        ("id", ctypes.c_uint32),
        ("tag", ctypes.c_uint8 * 8),
        ("jited_prog_len", ctypes.c_uint32),
        ("xlated_prog_len", ctypes.c_uint32),
        ("jited_prog_insns", ctypes.c_uint64),
        ("xlated_prog_insns", ctypes.c_uint64),
        ("load_time", ctypes.c_uint64),
        ("created_by_uid", ctypes.c_uint32),
        ("nr_map_ids", ctypes.c_uint32),
        ("map_ids", ctypes.c_uint64),
        ("name", ctypes.c_char * 16),
        ("ifindex", ctypes.c_uint32),
        ("gpl_compatible", ctypes.c_uint32),
        ("netns_dev", ctypes.c_uint64),
        ("netns_ino", ctypes.c_uint64),
        ("nr_jited_ksyms", ctypes.c_uint32),
        ("nr_jited_func_lens", ctypes.c_uint32),
        ("jited_ksyms", ctypes.c_uint64),
        ("jited_func_lens", ctypes.c_uint64),
        ("btf_id", ctypes.c_uint32),
        ("func_info_rec_size", ctypes.c_uint32),
        ("func_info", ctypes.c_uint64),
        ("nr_func_info", ctypes.c_uint32),
        ("nr_line_info", ctypes.c_uint32),
        ("line_info", ctypes.c_uint64),
        ("jited_line_info", ctypes.c_uint64),
        ("nr_jited_line_info", ctypes.c_uint32),
        ("line_info_rec_size", ctypes.c_uint32),
        ("jited_line_info_rec_size", ctypes.c_uint32),
        ("nr_prog_tags", ctypes.c_uint32),
        ("prog_tags", ctypes.c_uint64),
        ("run_time_ns", ctypes.c_uint64),
        ("run_cnt", ctypes.c_uint64),
        ("recursion_misses", ctypes.c_uint64),
        ("verified_insns", ctypes.c_uint32),
        ("attach_btf_obj_id", ctypes.c_uint32),
        ("attach_btf_id", ctypes.c_uint32),
    )


class Loaded(NamedTuple):
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
    prog_type: int,
    instructions: bytes,
    license_text: bytes,
    name: bytes,
    log_bytes: int,
    *,
    attach: tuple[int, int] = (0, 0),
) -> Loaded:
    """Load one program, first without a log (the errno is then the true one), and if that fails
    with one.

    Args:
        attach: expected attach type and BTF id, of programs that are attached by these.
    """
    fd, errno, _ = _try(prog_type, instructions, license_text, name, 0, attach=attach)
    if fd is not None:
        return Loaded(fd, 0, "")
    fd, _, log = _try(prog_type, instructions, license_text, name, log_bytes, attach=attach)
    if fd is not None:  # it was a matter of the moment: memory, a lock
        return Loaded(fd, 0, "")
    return Loaded(None, errno, log)


def _try(
    prog_type: int,
    instructions: bytes,
    license_text: bytes,
    name: bytes,
    log_bytes: int,
    *,
    attach: tuple[int, int],
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
        expected_attach_type=attach[0],
        attach_btf_id=attach[1],
    )
    if log_bytes:
        attributes.log_level = 1
        attributes.log_size = log_bytes
        attributes.log_buf = ctypes.addressof(log)
    try:
        return _bpf(_PROG_LOAD, attributes), 0, ""
    except OSError as error:
        return None, error.errno or 0, os.fsdecode(log.value)


def _bpf(command: int, attributes: ctypes.Structure | ctypes.c_uint32) -> int:
    result = _libc.syscall(
        _SYS_BPF[os.uname().machine],
        command,
        ctypes.byref(attributes),
        ctypes.sizeof(attributes),
    )
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return int(result)


def create_map(
    name: bytes, kind: int, key_size: int, value_size: int, max_entries: int, *, flags: int = 0
) -> int:
    """An empty map; its file descriptor.

    Args:
        kind: of enum bpf_map_type.

    Raises:
        OSError: the kernel refuses.
    """
    return _bpf(
        _MAP_CREATE,
        _MapAttributes(
            map_type=kind,
            key_size=key_size,
            value_size=value_size,
            max_entries=max_entries,
            map_flags=flags,
            map_name=name[:15],
        ),
    )


def lookup(map_fd: int, key: bytes, value_size: int) -> bytes | None:
    """The value at a key, of all CPUs in turn for maps that have one for each; None: no such."""
    key_buffer = ctypes.create_string_buffer(key, max(len(key), 1))
    value = ctypes.create_string_buffer(max(value_size, 1))
    attributes = _ElementAttributes(
        map_fd=map_fd, key=ctypes.addressof(key_buffer), value=ctypes.addressof(value)
    )
    try:
        _bpf(_MAP_LOOKUP, attributes)
    except OSError:
        return None
    return value.raw


def update(map_fd: int, key: bytes, value: bytes) -> None:
    """Set the value at a key."""
    key_buffer = ctypes.create_string_buffer(key, len(key))
    value_buffer = ctypes.create_string_buffer(value, len(value))
    attributes = _ElementAttributes(
        map_fd=map_fd, key=ctypes.addressof(key_buffer), value=ctypes.addressof(value_buffer)
    )
    _bpf(_MAP_UPDATE, attributes)


def delete(map_fd: int, key: bytes) -> None:
    """Remove a key, if it is there."""
    key_buffer = ctypes.create_string_buffer(key, len(key))
    attributes = _ElementAttributes(map_fd=map_fd, key=ctypes.addressof(key_buffer))
    with contextlib.suppress(OSError):
        _bpf(_MAP_DELETE, attributes)


def keys(map_fd: int, key_size: int) -> Iterator[bytes]:
    """All keys, in the kernel's order. If one is removed meanwhile it begins anew: bound it."""
    key = ctypes.create_string_buffer(max(key_size, 1))
    address = ctypes.addressof(key)
    attributes = _ElementAttributes(map_fd=map_fd, key=0, value=address)
    while True:
        try:
            _bpf(_MAP_NEXT_KEY, attributes)
        except OSError:
            return
        yield key.raw
        attributes.key = address  # the next key takes the place of the one before


def program_info(fd: int) -> ProgramInfo:
    """Of a loaded program."""
    return _info(fd, ProgramInfo())


def map_info(fd: int) -> MapInfo:
    """Of a map."""
    return _info(fd, MapInfo())


_AnyInfo = TypeVar("_AnyInfo", MapInfo, ProgramInfo)


def _info(fd: int, info: _AnyInfo) -> _AnyInfo:
    attributes = _InfoAttributes(
        bpf_fd=fd, info_len=ctypes.sizeof(info), info=ctypes.addressof(info)
    )
    _bpf(_OBJECT_INFO, attributes)
    return info


def attach_raw_tracepoint(fd: int, name: str | None) -> int:
    """Attach a program to a raw tracepoint; without a name to what it was loaded for. It is
    detached when the file descriptor that this returns is closed."""
    buffer = None if name is None else ctypes.create_string_buffer(os.fsencode(name))
    attributes = _RawTracepointAttributes(
        name=0 if buffer is None else ctypes.addressof(buffer), prog_fd=fd
    )
    return _bpf(_RAW_TRACEPOINT_OPEN, attributes)


def enable_statistics() -> int:
    """Let the kernel count runs and run time of all programs, until what this returns is closed.

    Raises:
        OSError: no CAP_SYS_ADMIN.
    """
    with capabilities.raised(capabilities.SYS_ADMIN):
        return _bpf(_ENABLE_STATS, ctypes.c_uint32(0))


def n_possible_cpus() -> int:
    """One more than the highest number of a CPU that this kernel can have: so many values has a
    map with one for each."""
    with open("/sys/devices/system/cpu/possible", encoding="ascii") as file:
        return 1 + max(map(int, file.read().replace("-", ",").strip().split(",")))


def helpers_in(instructions: bytes) -> set[int]:
    """The numbers of the kernel's helpers that a program calls (BPF_JMP | BPF_CALL, source 0)."""
    return {
        int.from_bytes(instructions[at + 4 : at + 8], "little")
        for at in range(0, len(instructions) - 7, 8)
        if instructions[at] == 0x85 and instructions[at + 1] >> 4 == 0
    }
