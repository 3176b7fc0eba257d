"""Who may load probes for real, and what is written down of each that is.

Watching and checking need no more than the agent's socket. A probe that is attached sees what
all users do, so loading is root's business, and that of the members of a group that nobody is in
unless an administrator puts them there. Each load leaves a line in the system's log.
"""

from __future__ import annotations

import contextlib
import grp
import hashlib
import json
import syslog
import time
from dataclasses import dataclass

from linnix_ls.errors import PlaygroundError

GROUP = "linnix-ls-probes"
MAX_NAME_CHARS = 200
MAX_REFUSALS_A_MINUTE = 20  # of a user; as lines in a log
REFUSALS_PERIOD_S = 60.0


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks, by the kernel's word. `groups`: all that the process is in."""

    pid: int
    uid: int
    gid: int
    groups: frozenset[int]


def require_load(client: Client) -> None:
    """Nothing, for who may load.

    Raises:
        PlaygroundError: for others; with the command that changes it.
    """
    if client.uid == 0:
        return
    with contextlib.suppress(KeyError):
        if grp.getgrnam(GROUP).gr_gid in client.groups | {client.gid}:
            return
    raise PlaygroundError(
        f"only root and members of the group {GROUP} may run probes of their own: a probe sees what"
        " all users of this machine do",
        fix=f"sudo groupadd --system --force {GROUP}; sudo usermod -aG {GROUP} $USER   (then log"
        " out and in again)",
    )


class Refusals:
    """Writes down who was refused: of each user so many in a minute, and how many more there were.
    Whoever asks all the time fills no disk with it."""

    def __init__(self) -> None:
        self._written: dict[int, tuple[float, int]] = {}  # since when, and how many

    def write_down(self, client: Client, name: str, source: str, why: str) -> None:
        """See the class."""
        now_s = time.monotonic()
        since_s, n_before = self._written.get(client.uid, (now_s, 0))
        n_unwritten = max(0, n_before - MAX_REFUSALS_A_MINUTE)
        if now_s - since_s > REFUSALS_PERIOD_S:
            since_s, n_before = now_s, 0
        self._written[client.uid] = since_s, n_before + 1
        if n_before == 0 and n_unwritten:
            write_down(client, name, source, why, n_unwritten=n_unwritten)
        elif n_before < MAX_REFUSALS_A_MINUTE:
            write_down(client, name, source, why)


def write_down(client: Client, name: str, source: str, outcome: str, **more: object) -> None:
    """One line of JSON, to the system's log (the journal where there is one)."""
    line = json.dumps(
        {
            "event": "probe_load",
            "time_s": round(time.time(), 3),
            "uid": client.uid,
            "pid": client.pid,
            "name": name[:MAX_NAME_CHARS],
            "sha256": hashlib.sha256(source.encode(errors="surrogateescape")).hexdigest(),
            "outcome": outcome[:MAX_NAME_CHARS],
            **more,
        }
    )
    syslog.openlog("linnix-ls", syslog.LOG_PID, syslog.LOG_AUTHPRIV)
    syslog.syslog(syslog.LOG_NOTICE, line)
    syslog.closelog()
