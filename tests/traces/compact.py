"""Makes a recording small enough to be kept with the tests, and free of what is this machine's.

What goes is what no detector reads, and what no compressor can make small: addresses beyond the
innermost, and the noise in the last digits of times. Hashes are only ever compared with each
other, so they become small numbers. Whoever compacts a recording has to see that replay says the
same.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from linnix_ls.core.events import Event, Examined, Sampled
from linnix_ls.core.examination import StackSnapshot, SyscallCount
from linnix_ls.tracer.trace_file import Trace, TraceWriter

NS_PER_US = 1000


class Numbers:
    """Small numbers instead of large ones; equal ones stay equal, and 0 and None as they are."""

    def __init__(self) -> None:
        self._known: dict[int | None, int | None] = {0: 0, None: None}

    def __getitem__(self, large: int | None) -> int | None:
        return self._known.setdefault(large, len(self._known))


def compact(trace: Trace) -> Trace:
    registers, addresses, states = Numbers(), Numbers(), Numbers()

    def looks(stacks: tuple[StackSnapshot, ...]) -> tuple[StackSnapshot, ...]:
        return tuple(
            replace(
                look,
                state_hash=states[look.state_hash],
                condition_hash=states[look.condition_hash],
                instruction=addresses[look.instruction],
                round_hashes=tuple(states[of_round] for of_round in look.round_hashes),
            )
            for look in stacks
        )

    def without_strange_paths(count: SyscallCount) -> SyscallCount:
        path = count.commonest_path
        is_theirs = path is not None and path.startswith(trace.header.cwd)
        return count if is_theirs else replace(count, commonest_path=None)

    def smaller(event: Event) -> Event:
        event = replace(event, ktime_ns=event.ktime_ns // NS_PER_US * NS_PER_US)
        match event:
            case Sampled():
                return replace(
                    event,
                    user_ips=tuple(addresses[ip] for ip in event.user_ips[:1]),
                    kernel_ips=(),
                    registers_hash=registers[event.registers_hash],
                )
            case Examined(examination=examination):
                return replace(
                    event,
                    examination=replace(
                        examination,
                        stacks=looks(examination.stacks),
                        native_stacks=looks(examination.native_stacks),
                        syscalls=None
                        if examination.syscalls is None
                        else tuple(map(without_strange_paths, examination.syscalls)),
                    ),
                )
        return event

    header = replace(trace.header, started_ns=trace.header.started_ns // NS_PER_US * NS_PER_US)
    return replace(trace, header=header, events=tuple(map(smaller, trace.events)))


def write(trace: Trace, path: Path, names: Mapping[str, str]) -> None:
    """Write it down.

    Args:
        names: what to call the paths that begin so; patterns, applied in this order.
    """
    with TraceWriter(path, trace.header) as writer:
        writer.exit_code = trace.exit_code
        writer.write(trace.events)
    text = renamed(gzip.decompress(path.read_bytes()).decode(), names)
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


def renamed(text: str, names: Mapping[str, str]) -> str:
    for old, new in names.items():
        text = re.sub(old, new, text)
    return text
