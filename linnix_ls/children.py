"""How a process that lives long learns of the end of its children."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys


def notice_their_ends_by_pidfd() -> None:
    """For the running loop, as Python does by itself from 3.12 on. Before, a thread waits for each
    child: its pid may be another's by the time that the loop hears of its end, and the threads of
    those that have just ended are many while processes come and go."""
    if sys.version_info < (3, 12):
        watcher = asyncio.PidfdChildWatcher()
        watcher.attach_loop(asyncio.get_running_loop())
        asyncio.set_child_watcher(watcher)


def kill(process: asyncio.subprocess.Process) -> None:
    """At once, if it has not ended. Unlike its own method, this takes no exit status away from
    asyncio; and as long as asyncio has not taken it either, the pid is this child's."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
