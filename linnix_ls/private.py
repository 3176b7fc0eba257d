"""Whether a folder is a place where nobody else can put, take or exchange anything.

Of a name that is looked at first and used then, another could make something else in between: not
where this holds for the folder and all that is above it.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path


def why_not_private(folder: Path) -> str | None:
    """In words; None when it is: all folders on the way belong to root or to us, and others may
    write to none, or only what stays theirs (as in /tmp).

    Raises:
        OSError: it cannot be looked at.
    """
    # With links resolved: what a link on the way leads to has to be such a place, and where the
    # link itself lies, too.
    given, real = Path(os.path.abspath(folder)), Path(os.path.realpath(folder))
    for path in dict.fromkeys((given, *given.parents, real, *real.parents)):
        status = path.lstat()
        if status.st_uid not in (0, os.geteuid()):
            return f"{path} belongs to another user"
        if stat.S_ISLNK(status.st_mode):
            continue
        mode = stat.S_IMODE(status.st_mode)
        by_group = mode & stat.S_IWGRP and status.st_gid not in (0, os.getegid())
        if (mode & stat.S_IWOTH or by_group) and not mode & stat.S_ISVTX:
            return f"others may write to {path}"
    return None
