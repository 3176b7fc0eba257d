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

from linnix_ls import capabilities
from linnix_ls.capabilities import checked

_libc = ctypes.CDLL(None, use_errno=True)

# Numbers of include/uapi/linux/{prctl,landlock}.h; system calls have these everywhere.
_PR_SET_PDEATHSIG, _PR_SET_KEEPCAPS, _PR_SET_NO_NEW_PRIVS = 1, 8, 38
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 2, 4
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
    checked(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    is_fenced = _fence((*SYSTEM_PATHS, *readable))
    if user is not None and (user.uid, user.gid) != (os.geteuid(), os.getegid()):
        checked(_libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0))
        os.setgroups([])
        os.setresgid(user.gid, user.gid, user.gid)
        os.setresuid(user.uid, user.uid, user.uid)
    _keep_capabilities(
        capabilities.PERFMON | capabilities.BPF | (capabilities.DAC_READ_SEARCH if is_fenced else 0)
    )
    # Only now: a change of user takes it back.
    checked(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))
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
    fd = checked(_libc.syscall(_CREATE_RULESET, ctypes.byref(ruleset), n_fields * 8, 0))
    try:
        for path in readable:
            is_folder = os.path.isdir(path)
            _allow(fd, path, _EXECUTE | _READ_FILE | (_READ_DIR if is_folder else 0))
        _allow(fd, os.devnull, _READ_FILE | _WRITE_FILE)
        checked(_libc.syscall(_RESTRICT_SELF, fd, 0))
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
        checked(_libc.syscall(_ADD_RULE, ruleset_fd, _PATH_BENEATH, ctypes.byref(rule), 0))
    finally:
        os.close(path_fd)


def _keep_capabilities(wanted: int) -> None:
    """Of those that we have, these. A program that we start (clang) may read our headers, which
    are in a folder that is closed to users, and gets nothing else."""
    inheritable = wanted & capabilities.DAC_READ_SEARCH
    _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    capabilities.keep(wanted, inheritable=inheritable)
    if inheritable:
        # Refused where we do not have it ourselves: then there is nothing to pass on.
        number = inheritable.bit_length() - 1
        _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, number, 0, 0)
