"""The line at which a dash is, read from its memory.

dash exports nothing. But where it keeps the line can be found out: the same program runs a few
lines of ours, aside and as the owner of the process, and the word that follows their numbers is
it. That is done once for each program file and takes 10 ms; afterwards a look is two reads.
"""

from __future__ import annotations

import contextlib
import functools
import struct
import subprocess
import threading
from dataclasses import dataclass

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from linnix_ls.locate.memory import ProcessMemory, UnreadableError, mappings
from linnix_ls.locate.owner import Owner, owner_of
from linnix_ls.sources import Identity, identity_of, open_regular

MAX_DATA_BYTES = 1 << 20
MAX_SECONDS = 1.0
_STOP = "echo; read x\n"  # says that it is there, and waits
_FIRST_LINE, _SECOND_LINE, _FUNCTION_LINE, _LINE_IN_FUNCTION, _LAST_LINE = 41, 97, 168, 4, 174
N_STOPS = 4
_LINES = (
    "\n" * (_FIRST_LINE - 1)
    + _STOP
    + "\n" * (_SECOND_LINE - _FIRST_LINE - 1)
    + _STOP
    + "\n" * (_FUNCTION_LINE - _SECOND_LINE - 1)
    + "f() {\n\n\n"
    + _STOP
    + "}\nf\n"
    + _STOP
)


@dataclass(frozen=True, slots=True)
class DashPlace:
    """Where it is.

    Attributes:
        line: in its file.
        function_line: where the function begins that it is in, in the same file; None outside.
    """

    line: int
    function_line: int | None


def read_place(pid: int, exe: str) -> DashPlace:
    """Where a running dash is.

    Raises:
        UnreadableError: it has gone, may not be read, or is a shell of another kind.
    """
    owner = owner_of(pid)
    if owner is None:
        raise UnreadableError("it has gone, or runs in a container")
    identity = identity_of(exe)
    offsets = _offsets(exe, owner, identity) if identity else None
    if offsets is None:
        raise UnreadableError("this shell keeps its line elsewhere")
    base = _base(pid, exe)
    with ProcessMemory(pid) as memory:
        line, function_line = (memory.unpack("=i", base + offset)[0] for offset in offsets)
    if function_line:
        return DashPlace(line + function_line - 1, function_line)
    return DashPlace(line, None)


@functools.lru_cache(maxsize=16)
def _offsets(exe: str, owner: Owner, _identity: Identity) -> tuple[int, int] | None:
    """Where the line and the function's line are, counted from the program's first byte."""
    try:
        first, data_bytes = _data_segment(exe)
        snapshots = _snapshots(exe, owner, first, data_bytes)
    except (OSError, ELFError, UnreadableError, ValueError, StopIteration):
        return None
    if len(snapshots) != N_STOPS:
        return None
    words = list(zip(*snapshots, strict=True))
    found = [
        [first + 4 * index for index, values in enumerate(words) if values == wanted]
        for wanted in (
            (_FIRST_LINE, _SECOND_LINE, _LINE_IN_FUNCTION, _LAST_LINE),
            (0, 0, _FUNCTION_LINE, 0),
        )
    ]
    if any(len(places) != 1 for places in found):
        return None
    return found[0][0], found[1][0]


def _data_segment(exe: str) -> tuple[int, int]:
    """Where its variables begin, counted from its first byte, and how many bytes they are."""
    with open(open_regular(exe), "rb") as file:
        loaded = list(ELFFile(file).iter_segments("PT_LOAD"))
    lowest = min(segment["p_vaddr"] for segment in loaded)
    data = next(segment for segment in loaded if segment["p_flags"] & 2)
    begin = (data["p_vaddr"] - lowest + 3) & ~3
    return begin, min(data["p_memsz"], MAX_DATA_BYTES) & ~3


def _snapshots(exe: str, owner: Owner, first: int, n_bytes: int) -> list[tuple[int, ...]]:
    """All words of its variables, at each stop."""
    process = subprocess.Popen(
        [exe, "-c", _LINES],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env={},
        user=None if owner.is_us else owner.uid,
        group=None if owner.is_us else owner.gid,
        extra_groups=None if owner.is_us else [],
    )
    assert process.stdin is not None and process.stdout is not None
    snapshots: list[tuple[int, ...]] = []
    bound = threading.Timer(MAX_SECONDS, process.kill)
    bound.start()
    try:
        while len(snapshots) < N_STOPS and process.stdout.readline():
            # Only now is it sure to be mapped.
            base = _base(process.pid, exe)
            with ProcessMemory(process.pid) as memory:
                data = memory.read(base + first, n_bytes)
            snapshots.append(struct.unpack(f"={n_bytes // 4}i", data))
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(b"\n")
                process.stdin.flush()
    finally:
        bound.cancel()
        process.kill()
        process.communicate()
    return snapshots


def _base(pid: int, exe: str) -> int:
    starts = [mapped.start for mapped in mappings(pid) if mapped.path == exe]
    if not starts:
        raise UnreadableError("its program is not mapped")
    return min(starts)
