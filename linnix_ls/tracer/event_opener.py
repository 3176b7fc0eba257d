"""Opens CPU clocks and tracepoints for a child that may not.

The kernels of Debian and Ubuntu let nobody open a perf event without CAP_SYS_ADMIN as long as
kernel.perf_event_paranoid is above 2, which it is there unless somebody has lowered it; CAP_PERFMON
does not suffice, as it does elsewhere. No process that holds probes has so much. It asks who has
started it, by a socket (`perf_event` does, when the kernel refuses), and is handed the event.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping

from linnix_ls import capabilities
from linnix_ls.tracer import perf_event


class EventOpener:
    """Of one child: its `fd` and `environment` go to it when it is started, then `child_started`
    is called. Answers by the running loop until `close`."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._ours.setblocking(False)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._ours, self._answer)

    @property
    def fd(self) -> int:
        """To be passed on to the child."""
        return self._theirs.fileno()

    def environment(self, others: Mapping[str, str] | None) -> dict[str, str]:
        """Of the child; None is ours, with this."""
        return {**(os.environ if others is None else others), perf_event.OPENER_FD: str(self.fd)}

    def child_started(self) -> None:
        """It has its end now, or will never have one."""
        self._theirs.close()

    def close(self) -> None:
        """More than once, too."""
        if self._ours.fileno() == -1:
            return
        self._loop.remove_reader(self._ours)
        self._ours.close()
        self._theirs.close()

    def _answer(self) -> None:
        try:
            asked = self._ours.recv(perf_event.MAX_MESSAGE_BYTES)
            if not asked:  # it has ended
                self.close()
                return
            with capabilities.raised(capabilities.SYS_ADMIN):
                fd = perf_event.opened_for_another(asked)
        except OSError as error:
            answer, fds = (error.errno or 0).to_bytes(4, "little"), []
        else:
            answer, fds = bytes(4), [fd]
        try:
            socket.send_fds(self._ours, [answer], fds)
        except OSError:  # it did not wait for that
            self.close()
        finally:
            for fd in fds:
                os.close(fd)
