"""Runs a command and leaves nothing of it behind: `python -m linnix_ls.fixes.keeper`.

    keeper LIMIT_S MAX_FILE_BYTES -- CMD [ARG…]

A program of its own, because only the parent of all that a command starts can be sure to find it
again: what daemonizes is handed to the keeper. It ends everything when the command has ended,
when its time is over, and when its standard input ends, as it does when who started it is gone.
The exit status is the command's, 128+n after signal n, and 124 when the time was over.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

from linnix_ls import procfs

TIME_IS_OVER = 124
ABANDONED = 125
PR_SET_CHILD_SUBREAPER = 36
_ENDING_LIMIT_S = 10.0


def keep(command: Sequence[str], limit_s: float, max_file_bytes: int) -> int:
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    if hard == resource.RLIM_INFINITY or hard > max_file_bytes:
        resource.setrlimit(resource.RLIMIT_FSIZE, (max_file_bytes, hard))
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    pidfd = os.pidfd_open(child.pid)
    ready, _, _ = select.select([pidfd, 0], [], [], limit_s)
    if pidfd in ready:
        code = child.wait()
        code = 128 - code if code < 0 else code
    else:
        code = ABANDONED if ready else TIME_IS_OVER
    end_all()
    return code


def end_all() -> None:
    """Kill all that is below this process, until there is nothing. What is stopped first cannot
    start more meanwhile."""
    give_up_s = time.monotonic() + _ENDING_LIMIT_S
    while time.monotonic() < give_up_s:
        below = procfs.descendants(os.getpid())[1:]
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in below:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, number)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.01)


def main() -> int:
    limit_s, max_file_bytes, _, *command = sys.argv[1:]
    return keep(command, float(limit_s), int(max_file_bytes))


if __name__ == "__main__":
    sys.exit(main())
