"""Confines the process that calls it, for a compiler that is given anybody's source.

What source includes is opened with the rights of the process. So a worker of the agent's becomes
the user who asks, and keeps of root's power only what a trial needs: loading programs, and looking
up tracepoints, whose folder is closed to users. The latter would open every file to an `#include`,
and is given only behind landlock, which leaves the system's own folders and nothing else; nothing
can be written there either. Kernels that know it well refuse connections, too.

Not here: limits of time and memory (`check_worker`).
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterable
from typing import NamedTuple

_libc = ctypes.CDLL(None, use_errno=True)

# Numbers of include/uapi/linux/{prctl,capability,landlock}.h; system calls have these everywhere.
_PR_SET_PDEATHSIG, _PR_SET_KEEPCAPS, _PR_SET_NO_NEW_PRIVS = 1, 8, 38
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 2, 4
_CAPABILITY_VERSION_3 = 0x20080522
_DAC_READ_SEARCH, _PERFMON, _BPF = 1 << 2, 1 << 38, 1 << 39
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG, _PATH_BENEATH = 1, 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
# How many kinds of access to files each version of landlock knows of.
_N_ACCESS_BITS = {1: 13, 2: 14, 3: 15, 4: 15}
_N_ACCESS_BITS_LATER = 16
_NET_TCP = 0b11
_SCOPES = 0b11  # abstract unix sockets, signals

SYSTEM_PATHS = (
    *("/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin"),
    *("/etc/alternatives", "/etc/ld.so.cache"),
    *("/sys/kernel/tracing/events", "/sys/kernel/debug/tracing/events", "/sys/kernel/btf"),
    # Which helpers and symbols there are; without addresses.
    *("/sys/devices/system/cpu", "/proc/version", "/proc/kallsyms"),
    # How the kernel was configured, which a probe can ask by `extern … __kconfig`.
    *("/proc/config.gz", f"/boot/config-{os.uname().release}"),
)


class User(NamedTuple):
    """Whom to become."""

    uid: int
    gid: int


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapabilityHalf(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def landlock_version() -> int:
    """Of this kernel; 0 where it has none."""
    version: int = _libc.syscall(_CREATE_RULESET, None, 0, _VERSION_FLAG)
    return max(version, 0)


def confine(user: User | None, readable: Iterable[str]) -> None:
    """For good, with all that this process starts. Called while it has one thread.

    Args:
        user: whom to become; only root can. None: nobody else.
        readable: what can be read and executed, beside the system's own folders.

    Raises:
        OSError: it is not confined, or not as this user: go no further.
    """
    parent = os.getppid()
    _checked(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    is_fenced = _fence((*SYSTEM_PATHS, *readable))
    if user is not None and (user.uid, user.gid) != (os.geteuid(), os.getegid()):
        _checked(_libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0))
        os.setgroups([])
        os.setresgid(user.gid, user.gid, user.gid)
        os.setresuid(user.uid, user.uid, user.uid)
    _keep_capabilities(_PERFMON | _BPF | (_DAC_READ_SEARCH if is_fenced else 0))
    # Only now: a change of user takes it back.
    _checked(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))
    if os.getppid() != parent:
        raise ProcessLookupError("who wanted this has gone")


def _fence(readable: Iterable[str]) -> bool:
    """By landlock. False where there is none."""
    version = landlock_version()
    if not version:
        return False
    ruleset = _Ruleset(
        handled_access_fs=(1 << _N_ACCESS_BITS.get(version, _N_ACCESS_BITS_LATER)) - 1,
        handled_access_net=_NET_TCP,
        scoped=_SCOPES,
    )
    n_fields = 1 if version < 4 else 2 if version < 6 else 3
    fd = _checked(_libc.syscall(_CREATE_RULESET, ctypes.byref(ruleset), n_fields * 8, 0))
    try:
        for path in readable:
            is_folder = os.path.isdir(path)
            _allow(fd, path, _EXECUTE | _READ_FILE | (_READ_DIR if is_folder else 0))
        _allow(fd, os.devnull, _READ_FILE | _WRITE_FILE)
        _checked(_libc.syscall(_RESTRICT_SELF, fd, 0))
    finally:
        os.close(fd)
    return True


def _allow(ruleset_fd: int, path: str, access: int) -> None:
    try:
        path_fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # not on this machine, or not for us anyway
    try:
        rule = _PathBeneath(allowed_access=access, parent_fd=path_fd)
        _checked(_libc.syscall(_ADD_RULE, ruleset_fd, _PATH_BENEATH, ctypes.byref(rule), 0))
    finally:
        os.close(path_fd)


def _keep_capabilities(wanted: int) -> None:
    """Of those that we have, these. A program that we start (clang) may read our headers, which
    are in a folder that is closed to users, and gets nothing else."""
    header = _CapabilityHeader(_CAPABILITY_VERSION_3, 0)
    halves = (_CapabilityHalf * 2)()
    _checked(_libc.capget(ctypes.byref(header), halves))
    for index, half in enumerate(halves):
        kept = half.permitted & (wanted >> 32 * index)
        half.permitted = half.effective = kept
        half.inheritable = kept & _DAC_READ_SEARCH if index == 0 else 0
    _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    _checked(_libc.capset(ctypes.byref(header), halves))
    if halves[0].inheritable:
        number = _DAC_READ_SEARCH.bit_length() - 1
        _checked(_libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, number, 0, 0))


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
