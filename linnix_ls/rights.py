"""Whose rights files are opened with.

The agent may read every file of the machine, and the paths that it opens come from processes of
users: what a program says of its sources, what its folder holds, where links lead. So they are
opened with the rights of the user who asks, and a file that this user may not read is not there.
Of a thread the kernel lets us change just that (setfsuid(2)): nothing else of the process changes.

Not here: becoming somebody for good (`locate.tool`, `playground.sandbox`).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
from collections.abc import Iterator
from contextvars import ContextVar
from typing import NamedTuple

_libc = ctypes.CDLL(None, use_errno=True)
# glibc's own wrapper would change the groups of all threads.
_SETGROUPS = {"x86_64": 116, "aarch64": 159}.get(platform.machine())


class Rights(NamedTuple):
    """Of a user. `groups`: beside `gid`."""

    uid: int
    gid: int
    groups: frozenset[int] = frozenset()


# None: our own.
_asked_by: ContextVar[Rights | None] = ContextVar("_asked_by", default=None)


def who_asks() -> Rights | None:
    """On whose behalf this task works; None: with our own rights."""
    return _asked_by.get()


@contextlib.contextmanager
def on_behalf_of(rights: Rights | None) -> Iterator[None]:
    """What `files_of_who_asks` means in this task, and in threads that it starts."""
    token = _asked_by.set(rights)
    try:
        yield
    finally:
        _asked_by.reset(token)


def files_of_who_asks() -> contextlib.AbstractContextManager[None]:
    """Files are opened and looked for with the rights of who asks: see `files_as`."""
    return files_as(_asked_by.get())


@contextlib.contextmanager
def files_as(rights: Rights | None) -> Iterator[None]:
    """Files and sockets are opened and made with these rights, by this thread and no other:
    nothing in between may await.

    Raises:
        PermissionError: we cannot take them on. Nothing is opened with others instead.
    """
    if rights is None or rights.uid == os.geteuid():
        yield
        return
    groups = os.getgroups()
    _set_groups(sorted(rights.groups))
    gid, uid = _libc.setfsgid(rights.gid), _libc.setfsuid(rights.uid)
    try:
        # These two do not say whether they did it.
        if _libc.setfsgid(-1) != rights.gid or _libc.setfsuid(-1) != rights.uid:
            raise PermissionError(f"cannot open files as user {rights.uid}")
        yield
    finally:
        _libc.setfsuid(uid)
        _libc.setfsgid(gid)
        _set_groups(groups)


def _set_groups(groups: list[int]) -> None:
    """Of this thread."""
    numbers = (ctypes.c_uint32 * len(groups))(*groups)
    if _SETGROUPS is None or _libc.syscall(_SETGROUPS, len(groups), numbers):
        raise PermissionError("cannot change the groups of a thread")
