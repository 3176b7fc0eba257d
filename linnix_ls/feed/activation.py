"""A listening socket that a service manager has opened for us: sd_listen_fds(3), the part we need.

It is told by the environment, which anybody may have written: what was passed is looked at before
it is used.
"""

from __future__ import annotations

import os
import socket

from linnix_ls.errors import AgentError

FIRST_FD = 3
_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


def passed_socket() -> socket.socket | None:
    """The socket; None when none was passed to this process. Asked once: what says so is taken
    out of the environment, which children would inherit.

    Raises:
        AgentError: what was passed is not one listening unix socket.
    """
    pid, n_passed, _names = [os.environ.pop(name, "") for name in _VARIABLES]
    if pid != str(os.getpid()):
        return None
    if n_passed != "1":
        raise AgentError(f"expected one passed socket, not {n_passed or 'none'}")
    try:
        passed = socket.socket(fileno=FIRST_FD)
    except OSError as error:
        raise AgentError(f"what was passed as a socket is none: {error.strerror}") from error
    is_stream = (passed.family, passed.type) == (socket.AF_UNIX, socket.SOCK_STREAM)
    if not is_stream or not passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        passed.detach()  # not ours to close
        raise AgentError("the passed socket is no unix stream socket that listens")
    passed.set_inheritable(False)
    return passed
