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
from typing import Any

from pydantic import TypeAdapter

from linnix_ls.codec import TaggedCodec
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

PROTOCOL = 1
MAX_REQUEST_BYTES = 1 << 20
# A recording of a fork storm is large; a client trusts its agent, so the limit is only a limit.
MAX_MESSAGE_BYTES = 64 << 20

CHANGES = TaggedCodec(FindingChanged, RunBegan, RunEnded, StatusChanged, InputsSeen)
SNAPSHOT: TypeAdapter[Snapshot] = TypeAdapter(Snapshot)
STATUS: TypeAdapter[FeedStatus] = TypeAdapter(FeedStatus)
PROCESS_VIEWS: TypeAdapter[tuple[ProcessView, ...]] = TypeAdapter(tuple[ProcessView, ...])
RUNS: TypeAdapter[tuple[RunSummary, ...]] = TypeAdapter(tuple[RunSummary, ...])
RUN: TypeAdapter[RunDetail | None] = TypeAdapter(RunDetail | None)
STACK: TypeAdapter[StackView] = TypeAdapter(StackView)
KEY: TypeAdapter[ProcessKey] = TypeAdapter(ProcessKey)

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


def encode(message: dict[str, Any]) -> bytes:
    """One line."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def peer_credentials(connection: socket.socket) -> tuple[int, int]:
    """(pid, uid) of the other end, by the kernel's word (unix(7), SO_PEERCRED)."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, _gid = struct.unpack("3i", raw)
    return pid, uid


def is_trusted_server(uid: int) -> bool:
    """Whether an agent of that user may tell us what runs: root's, or our own."""
    return uid in (0, os.geteuid())
