"""Addresses of sampled native stacks as functions, files and lines.

binutils' addr2line reads the debug information; here is only what it must be told: which file
an address belongs to and what the file calls that address. The leaf is exact; callers are right
where the program keeps frame pointers, and dropped where they point at no code.
"""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from linnix_ls.core.examination import StackFrame, StackSnapshot
from linnix_ls.locate.owner import owner_of
from linnix_ls.locate.source import is_user_file
from linnix_ls.locate.tool import ask

SYMBOLISE_TIMEOUT_S = 5.0
MAX_STACKS = 64
MAX_ADDRESSES = 200
MAX_NAMES_BYTES = 4 << 20
_ADDRESS = re.compile(r"0x([0-9a-f]{1,16})")
_PLACE = re.compile(r"(.*):([0-9]{1,9}|\?)(?: \(discriminator \d+\))?$")
_MAPS_LINE = re.compile(r"([0-9a-f]+)-([0-9a-f]+) ..(.). ([0-9a-f]+) \S+ \d+\s*(.*)")


@dataclass(frozen=True, slots=True)
class _Mapping:
    start: int
    end: int
    offset: int
    path: str


async def symbolise(pid: int, stacks: Sequence[tuple[int, ...]]) -> tuple[StackSnapshot, ...]:
    """Sampled stacks (addresses, innermost first) with names, as far as they can be found.

    The process must still be there. Stacks of which nothing is known are left out.
    """
    # A caller goes on behind its call, which may be on the next line: the call is before that.
    stacks = [(*stack[:1], *(address - 1 for address in stack[1:])) for stack in stacks]
    common = [stack for stack, _ in Counter(stacks).most_common(MAX_STACKS)]
    mappings = await asyncio.to_thread(_executable_mappings, pid)
    starts = [mapping.start for mapping in mappings]
    wanted: dict[str, set[int]] = {}
    in_file: dict[int, tuple[str, int]] = {}
    for address in _some(address for stack in common for address in stack):
        at = bisect.bisect_right(starts, address) - 1
        if at < 0 or address >= mappings[at].end:
            continue
        mapping = mappings[at]
        in_file[address] = (mapping.path, address - mapping.start + mapping.offset)
        wanted.setdefault(mapping.path, set()).add(in_file[address][1])
    named: dict[tuple[str, int], tuple[StackFrame, ...]] = {}
    for path, offsets in wanted.items():
        named.update(await _names(pid, path, sorted(offsets)))
    snapshots = []
    for stack in stacks:
        frames = tuple(
            frame
            for address in stack
            if address in in_file
            for frame in named.get(in_file[address], ())
        )
        if frames:
            snapshots.append(StackSnapshot(tid=pid, frames=frames, is_running=True))
    return tuple(snapshots)


def _some(addresses: Iterable[int]) -> list[int]:
    return [address for address, _ in Counter(addresses).most_common(MAX_ADDRESSES)]


def _executable_mappings(pid: int) -> list[_Mapping]:
    try:
        with open(f"/proc/{pid}/maps", encoding="utf-8", errors="surrogateescape") as file:
            lines = file.readlines(4 << 20)
    except OSError:
        return []
    found = []
    for line in lines:
        match = _MAPS_LINE.match(line)
        if match and match[3] == "x" and match[5].startswith("/"):
            start, end, offset = (int(match[group], 16) for group in (1, 2, 4))
            found.append(_Mapping(start, end, offset, match[5].rstrip("\n")))
    return found


async def _names(
    pid: int, path: str, offsets: list[int]
) -> dict[tuple[str, int], tuple[StackFrame, ...]]:
    readable = _readable(pid, path)
    if readable is None:
        return {}
    addresses = _virtual_addresses(readable, offsets)
    if not addresses:
        return {}
    owner = owner_of(pid)
    if owner is None:
        return {}
    try:
        # The file is its owner's to craft, and addr2line's parser has had its bugs: it gets no
        # rights that the owner has not.
        out, _ = await ask(
            *("addr2line", "-a", "-f", "-i", "-C", "-e", readable),
            *(hex(address) for address in addresses.values()),
            timeout_s=SYMBOLISE_TIMEOUT_S,
            max_bytes=MAX_NAMES_BYTES,
            owner=owner,
        )
    except (OSError, ValueError):  # a TimeoutError is one
        return {}  # no binutils: functions stay unknown
    by_address = _parse_addr2line(out.decode(errors="replace"))
    return {
        (path, offset): by_address[address]
        for offset, address in addresses.items()
        if address in by_address
    }


def _readable(pid: int, path: str) -> str | None:
    """The mapped file as we can open it: through the process's own root; also when deleted."""
    seen_by_process = f"/proc/{pid}/root{path}"
    for candidate in (seen_by_process, path):
        if os.path.isfile(candidate):
            return candidate
    if path.endswith(" (deleted)"):
        exe = f"/proc/{pid}/exe"
        with contextlib.suppress(OSError):
            return exe if os.readlink(exe) == path else None
    return None


def _virtual_addresses(path: str, offsets: list[int]) -> dict[int, int]:
    """From offsets in the file to the addresses that its debug information uses."""
    try:
        with open(path, "rb") as file:
            segments = [
                (segment["p_offset"], segment["p_filesz"], segment["p_vaddr"])
                for segment in ELFFile(file).iter_segments("PT_LOAD")
            ]
    except (OSError, ELFError, ValueError, KeyError):
        return {}
    found = {}
    for offset in offsets:
        for start, size, virtual in segments:
            if start <= offset < start + size:
                found[offset] = offset - start + virtual
    return found


def _parse_addr2line(output: str) -> dict[int, tuple[StackFrame, ...]]:
    """Per address: inlined functions first, then the one they are inlined into. Names are what
    the program's file says, and may be anything."""
    found: dict[int, tuple[StackFrame, ...]] = {}
    lines = output.split("\n")
    address: int | None = None
    position = 0
    while position + 1 < len(lines):
        if match := _ADDRESS.fullmatch(lines[position]):
            address = int(match[1], 16)
            position += 1
            continue
        function, place = lines[position], _PLACE.match(lines[position + 1])
        position += 2
        if address is None or place is None:
            continue
        path = os.path.normpath(place[1]) if place[1] not in ("", "??") else None
        line = int(place[2]) or None if place[2] != "?" else None
        if function == "??" and path is None:
            continue
        frame = StackFrame(
            function=function if function != "??" else "",
            path=path,
            line=line,
            is_user_code=line is not None and is_user_file(path),
        )
        found[address] = (*found.get(address, ()), frame)
    return found
