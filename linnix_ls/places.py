"""Where things are on this machine: sockets and caches. Light: the first that any process needs."""

from __future__ import annotations

import os
from pathlib import Path


def default_socket_path() -> Path:
    """Where an agent listens: of the machine for root, else of the user."""
    if os.geteuid() == 0:
        return system_socket_path()
    runtime_dir = os.environ.get("XDG_RUNTIME_DIR") or f"/tmp/linnix-ls-{os.geteuid()}"  # noqa: S108 - the server refuses a folder of others
    return Path(runtime_dir, "linnix-ls", "agent.sock")


def system_socket_path() -> Path:
    """Where an agent that serves all users listens."""
    return Path("/run/linnix-ls/agent.sock")


def socket_paths(given: str | None) -> list[Path]:
    """Where an agent is looked for, the best first.

    Args:
        given: the setting; None where there is none.
    """
    if given:
        return [Path(given)]
    return list(dict.fromkeys((default_socket_path(), system_socket_path())))


def cache_dir() -> Path:
    """For what can be made again: kernel headers, compiled probes."""
    if os.geteuid() == 0:
        return Path("/var/cache/linnix-ls")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "linnix-ls")
