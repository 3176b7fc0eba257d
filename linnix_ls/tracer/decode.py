"""From ring buffer bytes to events. A bad record is counted by the caller, never raised on."""

from __future__ import annotations

import ctypes
import functools
import struct
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from linnix_ls import procfs
from linnix_ls.core.events import Event, Execed, Exited, Forked, Sampled
from linnix_ls.core.ids import ProcessKey, start_ticks_from_boottime
from linnix_ls.tracer import wire
from linnix_ls.tracer.bcc_worker import SAMPLE_FREQUENCY_HZ

SAMPLE_PERIOD_NS = 1_000_000_000 // SAMPLE_FREQUENCY_HZ

_KIND_OFFSET = wire.EventHeader.kind.offset
_ARGV_OFFSET = wire.ExecEvent.argv.offset

_Record = TypeVar("_Record", bound=ctypes.Structure)

KIND_NAMES: dict[int, str] = {
    kind: kind.name.removeprefix("EVENT_").lower() for kind in wire.EventKind
}
_HEAD = struct.Struct("<QQIIIB")  # the first fields of wire.EventHeader
# All fields of the two that a storm is made of; ctypes takes three times as long.
_FORK = struct.Struct("<QQIIIB3xQI4x16s")
_EXIT = struct.Struct("<QQIIIB3xi4x16s")
assert (_FORK.size, _EXIT.size) == tuple(map(ctypes.sizeof, (wire.ForkEvent, wire.ExitEvent)))


class Head(NamedTuple):
    """How all records begin."""

    ktime_ns: int
    start_boottime_ns: int
    tgid: int
    kind: int

    @property
    def identity(self) -> tuple[int, int, int]:
        """What happened to whom."""
        return self.kind, self.tgid, self.start_boottime_ns


def head_of(record: bytes) -> Head | None:
    """None of what is too short to be a record of ours."""
    if len(record) < ctypes.sizeof(wire.EventHeader):
        return None
    ktime_ns, start_ns, tgid, _, _, kind = _HEAD.unpack_from(record)
    return Head(ktime_ns, start_ns, tgid, kind)


def kind_of(record: bytes) -> str:
    """In a word; empty where it is none that we know."""
    head = head_of(record)
    return KIND_NAMES.get(head.kind, "") if head else ""


def structure_of(record: bytes) -> ctypes.Structure | None:
    """As C declares it; None when it is none that we know."""
    head = head_of(record)
    kind = _STRUCTURES.get(head.kind) if head else None
    return _parse(kind, record) if kind else None


def decode(record: bytes) -> Event | None:
    """One record as an event; None when it is none that we know."""
    if len(record) < ctypes.sizeof(wire.EventHeader):
        return None
    decoder = _DECODERS.get(record[_KIND_OFFSET])
    try:
        return decoder(record) if decoder else None
    except (ValueError, struct.error):  # shorter than its kind
        return None


def is_watched_exec(record: bytes) -> bool:
    """Whether an exec record is about a watched tree, and not reported for its user only."""
    return bool(_parse(wire.ExecEvent, record).is_watched)


def _parse(record_type: type[_Record], record: bytes) -> _Record:
    size = ctypes.sizeof(record_type)
    return record_type.from_buffer_copy(
        record if len(record) >= size else record.ljust(size, b"\0")
    )


def _key(header: wire.EventHeader) -> ProcessKey:
    return ProcessKey(header.tgid, start_ticks_from_boottime(header.start_boottime_ns))


@functools.lru_cache(maxsize=1024)
def _comm(raw: bytes) -> str:
    return procfs.text(raw.partition(b"\0")[0])


def _forked(record: bytes) -> Forked:
    ktime_ns, start_ns, tgid, _, uid, _, parent_start_ns, parent_tgid, comm = _FORK.unpack_from(
        record
    )
    return Forked(
        ktime_ns,
        ProcessKey(tgid, start_ticks_from_boottime(start_ns)),
        ProcessKey(parent_tgid, start_ticks_from_boottime(parent_start_ns)),
        uid,
        _comm(comm),
    )


def _execed(record: bytes) -> Execed:
    if len(record) < _ARGV_OFFSET:
        raise ValueError("short exec record")
    event = _parse(wire.ExecEvent, record)  # its argv is cut to what there is
    return Execed(
        ktime_ns=event.header.ktime_ns,
        key=_key(event.header),
        parent=ProcessKey(
            event.parent_tgid, start_ticks_from_boottime(event.parent_start_boottime_ns)
        ),
        uid=event.header.uid,
        comm=procfs.text(event.comm),
        argv=procfs.split_argv(record[_ARGV_OFFSET : _ARGV_OFFSET + event.argv_len]),
        argv_truncated=event.argv_total_len > event.argv_len,
        exe=procfs.text(event.filename) or None,
    )


def _exited(record: bytes) -> Exited:
    ktime_ns, start_ns, tgid, _, _, _, wait_status, _ = _EXIT.unpack_from(record)
    term_signal = wait_status & 0x7F
    return Exited(
        ktime_ns,
        ProcessKey(tgid, start_ticks_from_boottime(start_ns)),
        None if term_signal else (wait_status >> 8) & 0xFF,
        term_signal or None,
    )


def _sampled(record: bytes) -> Sampled:
    event = wire.SampleEvent.from_buffer_copy(record)
    return Sampled(
        ktime_ns=event.header.ktime_ns,
        key=_key(event.header),
        tid=event.header.tid,
        period_ns=SAMPLE_PERIOD_NS,
        user_ips=tuple(event.user_ips[: min(event.n_user_ips, wire.EventLimits.USER_STACK_DEPTH)]),
        kernel_ips=tuple(
            event.kernel_ips[: min(event.n_kernel_ips, wire.EventLimits.KERNEL_STACK_DEPTH)]
        ),
        registers_hash=event.registers_hash,
    )


_STRUCTURES: dict[int, type[ctypes.Structure]] = {
    wire.EventKind.EVENT_FORK: wire.ForkEvent,
    wire.EventKind.EVENT_EXEC: wire.ExecEvent,
    wire.EventKind.EVENT_EXIT: wire.ExitEvent,
    wire.EventKind.EVENT_SAMPLE: wire.SampleEvent,
}
_DECODERS: dict[int, Callable[[bytes], Event]] = {
    wire.EventKind.EVENT_FORK: _forked,
    wire.EventKind.EVENT_EXEC: _execed,
    wire.EventKind.EVENT_EXIT: _exited,
    wire.EventKind.EVENT_SAMPLE: _sampled,
}
