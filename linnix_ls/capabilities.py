"""What of root's power a process keeps (capabilities(7)).

The agent gives up at its start what it does not need, however it was started: what the service's
unit takes from it, `sudo linnix-ls agent` gives up by itself. Not here: what a compiler of
somebody's source may do (`playground.sandbox`).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
from collections.abc import Iterator

_libc = ctypes.CDLL(None, use_errno=True)

# Numbers of include/uapi/linux/{capability,prctl}.h.
DAC_READ_SEARCH, KILL, SETGID, SETUID = 1 << 2, 1 << 5, 1 << 6, 1 << 7
SYS_PTRACE, SYS_ADMIN, PERFMON, BPF = 1 << 19, 1 << 21, 1 << 38, 1 << 39
AGENT = DAC_READ_SEARCH | KILL | SETGID | SETUID | SYS_PTRACE | PERFMON | BPF
_VERSION_3 = 0x20080522
_SET_DUMPABLE, _CAPBSET_DROP, _SET_NO_NEW_PRIVS = 4, 24, 38
_N_MAX = 64


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Half(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def keep(effective: int, *, permitted: int = 0, inheritable: int = 0) -> None:
    """Of those that this thread may have, keep these; what is only `permitted` can be `raised`.

    Raises:
        OSError: the kernel refuses.
    """
    header, halves = _Header(_VERSION_3, 0), (_Half * 2)()
    checked(_libc.capget(ctypes.byref(header), halves))
    for index, half in enumerate(halves):
        half.permitted &= (effective | permitted) >> 32 * index
        half.effective = half.permitted & (effective >> 32 * index)
        half.inheritable = half.permitted & (inheritable >> 32 * index)
    checked(_libc.capset(ctypes.byref(header), halves))


@contextlib.contextmanager
def raised(wanted: int) -> Iterator[None]:
    """With that too, where it is permitted, by this thread alone: nothing within may await."""
    header, halves = _Header(_VERSION_3, 0), (_Half * 2)()
    checked(_libc.capget(ctypes.byref(header), halves))
    before = [half.effective for half in halves]
    for index, half in enumerate(halves):
        half.effective |= half.permitted & (wanted >> 32 * index)
    checked(_libc.capset(ctypes.byref(header), halves))
    try:
        yield
    finally:
        for half, effective in zip(halves, before, strict=True):
            half.effective = effective
        checked(_libc.capset(ctypes.byref(header), halves))


def allow_locked_memory() -> None:
    """As much as this process may have: kernels before 5.11 count programs and maps as that, and
    would otherwise refuse all but the smallest."""
    _, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    for limit in (resource.RLIM_INFINITY, hard):
        with contextlib.suppress(ValueError, OSError):  # what is more than we may have
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (limit, limit))
            return


def be_an_agent(*, aside: int = 0) -> None:
    """Give up for good what an agent does without; called while it has one thread.

    Args:
        aside: what it keeps to be `raised` when it is needed, and its children cannot have.

    Raises:
        OSError: the kernel refuses.
    """
    allow_locked_memory()  # later it could not
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # memory of others, in a file
    for number in range(_N_MAX):
        # As root only; and there are not that many.
        if not AGENT >> number & 1:
            _libc.prctl(_CAPBSET_DROP, number, 0, 0, 0)
    checked(_libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    keep(AGENT, permitted=aside)
    checked(_libc.prctl(_SET_DUMPABLE, 0, 0, 0, 0))
    os.umask(0o077)


def checked(result: int) -> int:
    """What a function of libc returns.

    Raises:
        OSError: it has failed.
    """
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
