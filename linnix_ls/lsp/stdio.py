"""What stdin and stdout need before, while and after they carry a protocol.

Imports nothing beyond the standard library, because `claim_stdio` has to run before any import
that might print. Not here: framing (`connection`).
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from typing import BinaryIO


def claim_stdio() -> tuple[BinaryIO, BinaryIO]:
    """Take stdin and stdout for the protocol, out of reach of everything else in the process.

    Afterwards fd 0 is /dev/null and fd 1 is stderr, so neither a `printf` in a C library nor a
    child process can write into the protocol stream or eat from it: one newline-less line there
    would swallow the next header and hang the client for good.

    Raises:
        OSError: fd 0 or 1 is closed.
    """
    # os.dup gives close-on-exec fds: children cannot reach the protocol.
    source_fd, sink_fd = os.dup(0), os.dup(1)
    null_fd = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null_fd, 0)
    os.close(null_fd)
    os.dup2(2, 1)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - lives as long as the process
    sys.stdout = sys.stderr
    return os.fdopen(source_fd, "rb"), os.fdopen(sink_fd, "wb")


def call_when_process_ends(pid: int, callback: Callable[[], None]) -> Callable[[], None]:
    """Call `callback` on the running loop's thread once process `pid` has ended.

    Returns the way to stop waiting.

    Raises:
        OSError: there is no such process here (a client in another container), or this kernel
            has no pidfds.
    """
    pidfd = os.pidfd_open(pid)
    loop = asyncio.get_running_loop()

    def stop() -> None:
        nonlocal pidfd
        if pidfd >= 0:
            loop.remove_reader(pidfd)
            os.close(pidfd)
            pidfd = -1

    def ended() -> None:
        stop()
        callback()

    loop.add_reader(pidfd, ended)
    return stop


def exit_within(limit_s: float, exit_code: int) -> None:
    """See to it that this process is gone after `limit_s` seconds at the latest.

    A last resort for the moments after the client has left: nobody is there any more to whom a
    hanging thread or library could be reported.
    """

    def exit_now() -> None:
        os._exit(exit_code)

    timer = threading.Timer(limit_s, exit_now)
    timer.daemon = True
    timer.start()
