"""What agent and client say to each other: newline-delimited JSON over a unix socket.

The agent speaks first: ``{"hello": {"protocol": 1, "version": …, "revision": …, "pid": …,
"methods": […]}, "snapshot": …}``, or
``{"error": …}`` to a client that it does not take. Then requests
``{"id": 1, "method": "watch", "params": {…}}``, answers ``{"id": 1, "result": …}`` or
``{"id": 1, "error": {"message": …, "fix": …}}``, and, unasked, ``{"change": [sequence, value]}``.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from typing import Any, NamedTuple

from linnix_ls.codec import Adapter, TaggedCodec
from linnix_ls.core.changes import FindingChanged, RunBegan, RunEnded
from linnix_ls.core.history import RunDetail, RunSummary
from linnix_ls.core.ids import ProcessKey
from linnix_ls.feed.base import (
    FeedStatus,
    InputsSeen,
    ProcessView,
    Snapshot,
    StackView,
    StatusChanged,
)
from linnix_ls.playground.base import Checked, OwnProbes, ProbeHandle, ProbeReading

PROTOCOL = 1
MAX_REQUEST_BYTES = 1 << 20
ID_BYTES = 32  # what a request's number may need of that
# A recording of a fork storm is large; a client trusts its agent, so the limit is only a limit.
MAX_MESSAGE_BYTES = 64 << 20

CHANGES = TaggedCodec(FindingChanged, RunBegan, RunEnded, StatusChanged, InputsSeen)
SNAPSHOT: Adapter[Snapshot] = Adapter(Snapshot)
STATUS: Adapter[FeedStatus] = Adapter(FeedStatus)
PROCESS_VIEWS: Adapter[tuple[ProcessView, ...]] = Adapter(tuple[ProcessView, ...])
RUNS: Adapter[tuple[RunSummary, ...]] = Adapter(tuple[RunSummary, ...])
RUN: Adapter[RunDetail | None] = Adapter(RunDetail | None)
STACK: Adapter[StackView] = Adapter(StackView)
KEY: Adapter[ProcessKey] = Adapter(ProcessKey)
CHECKED: Adapter[Checked] = Adapter(Checked)
PROBE_HANDLE: Adapter[ProbeHandle] = Adapter(ProbeHandle)
PROBE_READING: Adapter[ProbeReading] = Adapter(ProbeReading)
OWN_PROBES: Adapter[OwnProbes] = Adapter(OwnProbes)

# What agents knew before they said it in their hello.
FIRST_METHODS = frozenset(
    {
        "watch",
        "unwatch",
        "ignore",
        "watch_folders",
        "allow_jvm_attach",
        "use_thresholds",
        "status",
        "process_tree",
        "stop_process",
        "dismiss",
        "record_inputs",
    }
)
METHODS = FIRST_METHODS | {"watch_tag", "unwatch_tag", "runs", "run", "stack"}
# Of agents that have a playground, too.
PLAYGROUND_METHODS = frozenset(
    {
        "probe_check",
        "probe_load",
        "probe_replace",
        "probe_read",
        "probe_unload",
        "probe_knowledge",
        "probe_own",
        "probe_own_replace",
        "probe_own_read",
    }
)

_SO_PEERGROUPS = 59  # socket(7) has no name for it in Python
_MAX_GROUPS = 1024 // 4  # Python takes no more bytes from getsockopt, and says so by an OSError


def encode(message: dict[str, Any]) -> bytes:
    """One line."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> Any:
    """
    Raises:
        ValueError: it is no message.
    """
    try:
        return json.loads(line)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


class Peer(NamedTuple):
    """Who is at the other end of a socket."""

    pid: int
    uid: int
    gid: int


def peer_credentials(connection: socket.socket) -> Peer:
    """By the kernel's word (unix(7), SO_PEERCRED)."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return Peer(*struct.unpack("3i", raw))


def peer_groups(connection: socket.socket) -> frozenset[int]:
    """The supplementary groups of the other end; none where the kernel does not tell."""
    try:
        raw = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, 4 * _MAX_GROUPS)
    except OSError:
        return frozenset()
    return frozenset(struct.unpack(f"{len(raw) // 4}I", raw))


def is_trusted_server(uid: int) -> bool:
    """Whether an agent of that user may tell us what runs: root's, or our own."""
    return uid in (0, os.geteuid())
