"""An agent of our own, started where we may and none is there. It is what a client does first: an
agent takes longer to get ready than the client does. Light: nothing here waits for other imports.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linnix_ls.errors import AgentError
from linnix_ls.invocation import python
from linnix_ls.places import default_socket_path, socket_paths
from linnix_ls.privilege import has_bpf_permission


@dataclass
class StartedAgent:
    """One that has been started at `path`, and is told of once it serves or knows that it cannot.
    If nobody asks, it sees that we have gone, and goes."""

    path: Path
    process: subprocess.Popen[bytes]
    ready_fd: int

    async def outcome(self, timeout_s: float) -> dict[str, Any]:
        """What it says.

        Raises:
            AgentError: nothing, for too long.
        """
        import asyncio

        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(self.ready_fd, "rb")
        )
        try:
            answer = await asyncio.wait_for(reader.readline(), timeout_s)
        except TimeoutError:
            self.process.kill()
            raise AgentError("the agent did not start in time") from None
        finally:
            transport.close()
        return json.loads(answer) if answer else {"message": "it ended without a word"}


def start_if_needed(agent_socket: str | None, tracer: str) -> StartedAgent | None:
    """One, if these settings will need one: nobody listens where agents do, and we may."""
    paths = socket_paths(agent_socket)
    if tracer == "psutil" or any(map(os.path.lexists, paths)) or not has_bpf_permission():
        return None
    with contextlib.suppress(OSError):  # who opens a feed tries again, and says why
        return start(Path(agent_socket) if agent_socket else default_socket_path())
    return None


def start(path: Path, *, removes_folder: bool = False) -> StartedAgent:
    """Start one that listens there, and goes away with its last client.

    Args:
        removes_folder: at its end, too, that of its socket.

    Raises:
        OSError: it cannot be started.
    """
    options = ["--remove-folder"] if removes_folder else []
    read_fd, write_fd = os.pipe()
    try:
        process = subprocess.Popen(
            [
                *(*python("linnix_ls.cli.main"), "agent"),
                *("--socket", str(path), "--exit-when-idle", "--ready-fd", str(write_fd)),
                *options,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(write_fd,),
            start_new_session=True,  # a Ctrl-C in our terminal is not for it
            cwd="/",
        )
    except OSError:
        os.close(read_fd)
        raise
    finally:
        os.close(write_fd)
    # It may end long before us, and somebody has to ask how.
    threading.Thread(target=process.wait, daemon=True).start()
    return StartedAgent(path, process, read_fd)
