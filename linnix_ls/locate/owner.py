"""Acting for a process: never with more rights than its owner has, and only where its files are
the ones that we see."""

from __future__ import annotations

import os
from typing import NamedTuple


class Owner(NamedTuple):
    """Whose process it is. `is_us`: nothing to change to."""

    uid: int
    gid: int
    is_us: bool


def owner_of(pid: int) -> Owner | None:
    """None when it has gone, or lives in other namespaces: programs, paths and pids of a
    container mean something else out here, and its root is not ours."""
    try:
        stat = os.stat(f"/proc/{pid}")
        is_elsewhere = any(
            os.readlink(f"/proc/{pid}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}")
            for kind in ("mnt", "pid", "user")
        )
    except OSError:
        return None
    return None if is_elsewhere else Owner(stat.st_uid, stat.st_gid, stat.st_uid == os.geteuid())
