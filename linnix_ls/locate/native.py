"""Native code: where its threads are, as functions, files and lines.

A handful of looks at the thread that runs most, or one at each that waits, gives all callers
(`locate.unwind`). The tracer's samples are more, and cost nothing more, but where a program keeps
no frame pointer only their innermost address is right; they serve where no look found a line of
the user's. binutils' addr2line reads the debug information, also where it is in a file of its own
(.gnu_debuglink, build-id) or compressed; of -gsplit-dwarf, which it does not know, LLVM's reads
it, if installed. Here is only what they must be told: which file an address belongs to and what
the file calls that address.
"""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import os
import platform
import re
import time
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from linnix_ls import procfs
from linnix_ls.core.examination import StackFrame, StackSnapshot, ThreadMotion
from linnix_ls.locate import elf
from linnix_ls.locate.debug_paths import SourceFinder
from linnix_ls.locate.frames import frame_at
from linnix_ls.locate.memory import ProcessMemory, UnreadableError, mappings
from linnix_ls.locate.motion import motion_of
from linnix_ls.locate.owner import owner_of
from linnix_ls.locate.registers import Moment, look_at_thread
from linnix_ls.locate.tool import ask
from linnix_ls.locate.unwind import Unwinder
from linnix_ls.sources import is_file

SYMBOLISE_TIMEOUT_S = 5.0
MAX_STACKS = 64
MAX_ADDRESSES = 600
MAX_FILES = 32
MAX_NAMES_BYTES = 4 << 20
MAX_FUNCTION_CHARS = 60
MAX_NAME_CHARS = 4096
MAX_THREADS = 2048  # 20 ms to see which of them run
MAX_RUNNING_THREADS = 4  # stopped in one look
MAX_WAITING_THREADS = 64
_ADDRESS = re.compile(r"0x([0-9a-f]{1,16})")
_PLACE = re.compile(r"(.*):([0-9]{1,9}|\?)(?: \(discriminator \d+\))?$")
_FUTEX = {"x86_64": b"202"}.get(platform.machine(), b"98")
_PT_LOAD = 1
_RUST_ESCAPES = {"LT": "<", "GT": ">", "RF": "&", "BP": "*", "C": ",", "SP": "@"}
_NAME_TOKEN = re.compile(r"operator(?:<=>|<<=?|>>=?|->\*?|[<>]=?)|->|.", re.DOTALL)
_CONTENDED = 2  # the value of a lock that others wait for: glibc's, musl's, Rust's


class Looks(NamedTuple):
    """What looking at a process gave: `looks` at one thread, or at those that wait; `waiting`,
    the latter, where there are both; `motions` of all that ran."""

    looks: list[Look]
    motions: tuple[ThreadMotion, ...] = ()
    waiting: tuple[Look, ...] = ()


class Look(NamedTuple):
    """One thread at one moment.

    Attributes:
        addresses: within the instruction that each function executes, innermost first.
    """

    tid: int
    addresses: tuple[int, ...]
    is_running: bool


async def take_looks(pid: int, *, n_looks: int, interval_s: float) -> Looks:
    """Look at the thread that runs most, `interval_s` apart, or once at each of those that wait,
    when all do: first at those that wait for a lock or for what is outside, last at those that wait
    for a thread's end.

    A thread that runs stands still for 0.03 to 0.2 ms a look. Never raises: a process that
    vanishes or refuses has no looks.
    """
    try:
        memory = ProcessMemory(pid)
    except UnreadableError:
        return Looks([])
    with memory:
        watch = _Watch(pid, memory)
        for n in range(n_looks):
            if n:
                # Uneven, so as not to meet a loop's own period each time.
                await asyncio.sleep(interval_s * (0.7 + 0.3 * (n % 3)))
            await asyncio.to_thread(watch.look)
        return Looks(watch.result(), watch.motions(), tuple(watch.waiting))


class _Watch:
    """The looks at one process."""

    def __init__(self, pid: int, memory: ProcessMemory) -> None:
        self._pid = pid
        self._memory = memory
        self._unwinder = Unwinder(pid, memory)
        self._first = self._last = _threads(pid)
        self._looks: list[Look] = []
        self.waiting: list[Look] = []
        self._moments: dict[int, list[tuple[float, Moment]]] = {}

    def look(self) -> None:
        self._last = _threads(self._pid)
        by_use = sorted(self._last, key=self._cpu_ticks, reverse=True)
        chosen = [tid for tid in by_use if self._last[tid].state == "R"][:MAX_RUNNING_THREADS]
        if not chosen:
            chosen = [tid for tid in by_use[:1] if self._cpu_ticks(tid)]
        if not chosen and not self.waiting:
            tids = sorted(self._last, key=lambda tid: (self._rank(tid), tid))
            self.waiting = list(filter(None, map(self._take, tids[:MAX_WAITING_THREADS])))
        self._looks += filter(None, map(self._take, chosen))

    def result(self) -> list[Look]:
        if not self._looks:
            return self.waiting
        n_looks = Counter(look.tid for look in self._looks)
        busiest = max(n_looks, key=lambda tid: (self._cpu_ticks(tid), n_looks[tid]))
        return [look for look in self._looks if look.tid == busiest]

    def motions(self) -> tuple[ThreadMotion, ...]:
        return tuple(motion_of(tid, moments) for tid, moments in self._moments.items())

    def _take(self, tid: int) -> Look | None:
        try:
            moment = look_at_thread(self._pid, tid, self._memory)
            addresses = tuple(self._unwinder.calls(moment))
        except UnreadableError:
            return None
        if moment.stopped_ns:
            self._moments.setdefault(tid, []).append((time.monotonic(), moment))
        return Look(tid, addresses, moment.stopped_ns > 0)

    def _cpu_ticks(self, tid: int) -> int:
        """Used since the first look."""
        first = self._first.get(tid)
        return (
            self._last[tid].cpu_ticks - (first.cpu_ticks if first else 0)
            if tid in self._last
            else 0
        )

    def _rank(self, tid: int) -> int:
        """Of threads that wait: 0 for what is outside, or a lock that another one has; 1 to be
        given something; 2 for the end of another thread, only the consequence of what that does.
        """
        raw = procfs.read_bytes(f"/proc/{self._pid}/task/{tid}/syscall", 512) or b""
        fields = raw.split()
        if len(fields) < 7 or fields[0] != _FUTEX:
            return 0
        try:
            (value,) = self._memory.unpack("=I", int(fields[1], 16))
        except UnreadableError:
            return 1
        if value in self._last:
            return 2
        return 0 if value == int(fields[3], 16) == _CONTENDED else 1


def _threads(pid: int) -> dict[int, procfs.Thread]:
    found: dict[int, procfs.Thread] = {}
    try:
        tids = sorted(map(int, os.listdir(f"/proc/{pid}/task")))
    except OSError:
        return found
    for tid in tids[:MAX_THREADS]:
        thread = procfs.read_thread(pid, tid)
        if thread is not None and thread.state not in "ZX":
            found[tid] = thread
    return found


async def native_stacks(
    pid: int, looks: Looks, samples: Sequence[tuple[int, ...]]
) -> tuple[StackSnapshot, ...]:
    """The looks with names; those at who waits, or the samples, if no look found a line of the
    user's. A thread that starts a program and waits for it is met between the two."""
    every = (*looks.looks, *looks.waiting)
    names = await _name(pid, (address for look in every for address in look.addresses))
    for some in (looks.looks, looks.waiting):
        stacks = [
            StackSnapshot(look.tid, frames, is_running=look.is_running, is_complete=True)
            for look in some
            if (frames := _frames(look.addresses, names))
        ]
        with_lines = [stack for stack in stacks if stack.is_in_user_code]
        if with_lines:
            is_one_thread = len({look.tid for look in some}) == 1
            return tuple(stacks if is_one_thread else with_lines)
    return await symbolise(pid, samples) or tuple(stacks)


async def symbolise(pid: int, stacks: Sequence[tuple[int, ...]]) -> tuple[StackSnapshot, ...]:
    """Sampled stacks (addresses, innermost first) with names, as far as they can be found.

    The process must still be there. Stacks of which nothing is known are left out.
    """
    # A caller goes on behind its call, which may be on the next line: the call is before that.
    stacks = [(*stack[:1], *(address - 1 for address in stack[1:])) for stack in stacks]
    common = [stack for stack, _ in Counter(stacks).most_common(MAX_STACKS)]
    names = await _name(pid, (address for stack in common for address in stack))
    named = (_frames(stack, names) for stack in stacks)
    return tuple(StackSnapshot(pid, frames, is_running=True) for frames in named if frames)


_Names = dict[int, tuple[StackFrame, ...]]


def _frames(addresses: Iterable[int], names: _Names) -> tuple[StackFrame, ...]:
    return tuple(frame for address in addresses for frame in names.get(address, ()))


async def _name(pid: int, addresses: Iterable[int]) -> _Names:
    """What is at those addresses of a process: inlined functions first, then the one they are
    inlined into."""
    wanted: dict[str, dict[int, int]] = {}  # of each file: address by offset in it
    mapped = await asyncio.to_thread(mappings, pid)
    mapped_files = [m for m in mapped if m.permissions[2:3] == "x" and m.path[:1] == "/"]
    starts = [m.start for m in mapped_files]
    for address in _some(addresses):
        at = bisect.bisect_right(starts, address) - 1
        if at >= 0 and address < mapped_files[at].end:
            file = mapped_files[at]
            wanted.setdefault(file.path, {})[address - file.start + file.offset] = address
    cwd = procfs.read_cwd(pid)
    paths = sorted(wanted, key=lambda path: -len(wanted[path]))[:MAX_FILES]
    found: _Names = {}
    for path, frames in zip(
        paths,
        await asyncio.gather(*(_names(pid, path, wanted[path]) for path in paths)),
        strict=True,
    ):
        finder = SourceFinder(path, cwd)
        for offset, unplaced in frames.items():
            found[wanted[path][offset]] = tuple(_placed(frame, finder) for frame in unplaced)
    return found


def _placed(frame: StackFrame, finder: SourceFinder) -> StackFrame:
    """With the file that is here, and what its source tells."""
    function = short_name(frame.function)
    path = finder.find(frame.path, function) if frame.path else None
    if path is None or frame.line is None:
        return replace(frame, function=function, path=path)
    return frame_at(function, path, frame.line)


def short_name(function: str) -> str:
    """A demangled name without the types of its arguments, without rustc's hash, and without
    template arguments, the inner ones first, as long as it is long with them."""
    name = re.sub(r"::h[0-9a-f]{16}$", "", function[:MAX_NAME_CHARS])
    name = re.sub(r"\$(\w+)\$", _unescaped, name)
    name = _without_arguments(re.sub(r"( \[clone [^\]]*\])+$", "", name))
    for max_depth in (3, 2, 1, 0):
        if len(name) > MAX_FUNCTION_CHARS:
            name = _shallow(name, max_depth)
    return name if len(name) <= MAX_FUNCTION_CHARS else f"{name[: MAX_FUNCTION_CHARS - 1]}…"


def _unescaped(match: re.Match[str]) -> str:
    """rustc's way to write what is no letter."""
    if re.fullmatch(r"u[0-9a-f]{1,4}", match[1]):
        return chr(int(match[1][1:], 16))
    return _RUST_ESCAPES.get(match[1], match[0])


def _shallow(name: str, max_depth: int) -> str:
    """With … for what is in more angle brackets than that."""
    kept: list[str] = []
    depth = 0
    for part in _NAME_TOKEN.findall(name):
        depth -= part == ">"
        if depth <= max_depth:
            kept.append(part)
        depth += part == "<"
        if part == "<" and depth == max_depth + 1:
            kept.append("…")
    return "".join(kept)


def _without_arguments(name: str) -> str:
    name = re.sub(r"( const|&|&&|\[abi:\w+\])+$", "", name)
    if not name.endswith(")"):
        return name
    depth = 0
    for at in range(len(name) - 1, -1, -1):
        depth += {")": 1, "(": -1}.get(name[at], 0)
        if depth == 0:
            bare = name[:at]
            return bare if bare and not bare.endswith(("operator", "::", " ")) else name
    return name


def _some(addresses: Iterable[int]) -> list[int]:
    return [address for address, _ in Counter(addresses).most_common(MAX_ADDRESSES)]


async def _names(pid: int, path: str, offsets: Collection[int]) -> _Names:
    """What is at those offsets of a mapped file, with paths as the debug information has them."""
    readable = _readable(pid, path)
    if readable is None:
        return {}
    addresses, is_split = _virtual_addresses(readable, offsets)
    # LLVM's is the slower one, and seldom there.
    programs = (["llvm-symbolizer", "--output-style=GNU"], ["addr2line"])
    by_address: _Names = {}
    for program in programs if is_split else programs[1:]:
        by_address = by_address or await _ask(pid, program, readable, addresses.values())
    return {
        offset: by_address[address]
        for offset, address in addresses.items()
        if address in by_address
    }


async def _ask(
    pid: int, program: Sequence[str], readable: str, addresses: Collection[int]
) -> _Names:
    owner = owner_of(pid)
    if owner is None or not addresses:
        return {}
    try:
        # The file is its owner's to craft, and such parsers have had their bugs: they get no rights
        # that the owner has not.
        out, _ = await ask(
            *(*program, "-a", "-f", "-i", "-C", "-e", readable),
            *map(hex, addresses),
            timeout_s=SYMBOLISE_TIMEOUT_S,
            max_bytes=MAX_NAMES_BYTES,
            owner=owner,
        )
    except (OSError, ValueError):  # a TimeoutError is one
        return {}  # not installed: functions stay unknown
    return _parse_addr2line(out.decode(errors="replace"))


def _readable(pid: int, path: str) -> str | None:
    """The mapped file as we can open it: through the process's own root; also when deleted."""
    seen_by_process = f"/proc/{pid}/root{path}"
    for candidate in (seen_by_process, path):
        if is_file(candidate):
            return candidate
    if path.endswith(" (deleted)"):
        exe = f"/proc/{pid}/exe"
        with contextlib.suppress(OSError):
            return exe if os.readlink(exe) == path else None
    return None


def _virtual_addresses(path: str, offsets: Collection[int]) -> tuple[dict[int, int], bool]:
    """From offsets in the file to the addresses that its debug information uses, and whether
    some of that may be in yet other files."""
    try:
        with elf.open_file(path) as file:
            loaded = [segment for segment in elf.file_segments(file) if segment.kind == _PT_LOAD]
            is_split = elf.has_section(file, ".debug_addr")
    except elf.MalformedError:
        return {}, False
    found = {}
    for offset in offsets:
        for segment in loaded:
            if segment.offset <= offset < segment.offset + segment.size:
                found[offset] = offset - segment.offset + segment.address
    return found, is_split


def _parse_addr2line(output: str) -> _Names:
    """Per address: inlined functions first, then the one they are inlined into. Names are what
    the program's file says, and may be anything."""
    found: _Names = {}
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
            is_user_code=False,  # that is seen when the file is found
        )
        found[address] = (*found.get(address, ()), frame)
    return found
