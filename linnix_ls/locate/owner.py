"""Acting for a process: never with more rights than its owner has, and only where its files are
the ones that we see."""

from __future__ import annotations

import contextlib
import os
from typing import NamedTuple

from linnix_ls import rights


class Owner(NamedTuple):
    """Whose process it is. `is_us`: nothing to change to."""

    uid: int
    gid: int
    is_us: bool


def owner_of(pid: int) -> Owner | None:
    """None when it has gone, is not of the user who asks, or lives in other namespaces: programs,
    paths and pids of a container mean something else out here, and its root is not ours."""
    try:
        stat = os.stat(f"/proc/{pid}")
        is_elsewhere = any(
            os.readlink(f"/proc/{pid}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}")
            for kind in ("pid", "user")
        )
        mounts = os.readlink(f"/proc/{pid}/ns/mnt")
        is_elsewhere |= mounts not in (os.readlink("/proc/self/ns/mnt"), _mounts_of_our_parent())
    except OSError:
        return None
    asking = rights.who_asks()
    # A process can make itself look like one of root's at any moment (prctl(2), PR_SET_DUMPABLE).
    is_elsewhere |= asking is not None and asking.uid != stat.st_uid
    return None if is_elsewhere else Owner(stat.st_uid, stat.st_gid, stat.st_uid == os.geteuid())


def _mounts_of_our_parent() -> str | None:
    """A service has mounts of its own, on which less may be written; its files are the machine's
    all the same, as systemd sees them. None where our root is another than our parent's."""
    parent = f"/proc/{os.getppid()}"
    try:
        if not os.path.samestat(os.stat(f"{parent}/root/"), os.stat("/")):
            return None
        return os.readlink(f"{parent}/ns/mnt")
    except OSError:
        return None


def files_as(owner: Owner) -> contextlib.AbstractContextManager[None]:
    """See `rights.files_as`."""
    return rights.files_as(None if owner.is_us else rights.Rights(owner.uid, owner.gid))
