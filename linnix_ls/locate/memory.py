"""Another process's memory, read and never written, without stopping it.

What is read may change meanwhile, so readers check what they find. Nothing here knows a language.
"""

from __future__ import annotations

import functools
import os
import re
import struct
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, NamedTuple, Self

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from linnix_ls.sources import Identity, identity_of, open_regular

MAX_MAPS_BYTES = 4 << 20
MAX_STRING_BYTES = 4096
_MAPS_LINE = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (....) ([0-9a-f]+) \S+ \d+\s*(.*)")
_ADDRESS_SPACE = 1 << 47  # x86-64's and arm64's user half; addresses above are no addresses


class UnreadableError(Exception):
    """There is nothing at that address, or no longer, or reading it is not allowed."""


class Mapped(NamedTuple):
    """A line of /proc/<pid>/maps."""

    start: int
    end: int
    permissions: str
    offset: int
    path: str


class ProcessMemory:
    """The memory that a process has now: after its exec this object reads nothing any more.

    Raises:
        UnreadableError: by every method, when the process has gone or we may not look.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        try:
            self._fd = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise UnreadableError(error.strerror) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        os.close(self._fd)

    def read(self, address: int, n_bytes: int) -> bytes:
        """Exactly that many bytes."""
        data = self.read_up_to(address, n_bytes)
        if len(data) != n_bytes:
            raise UnreadableError(hex(address))
        return data

    def read_up_to(self, address: int, n_bytes: int) -> bytes:
        """As many of them as there are before unmapped memory."""
        if not 0 < address < _ADDRESS_SPACE:
            raise UnreadableError(hex(address))
        try:
            return os.pread(self._fd, n_bytes, address)
        except OSError as error:
            raise UnreadableError(hex(address)) from error

    def unpack(self, layout: str, address: int) -> tuple[int, ...]:
        """Numbers laid out as `struct` says."""
        return struct.unpack(layout, self.read(address, struct.calcsize(layout)))

    def pointer(self, address: int) -> int:
        return self.unpack("=Q", address)[0]

    def string(self, address: int) -> bytes:
        """Up to its NUL, or to `MAX_STRING_BYTES`."""
        found = b""
        while len(found) < MAX_STRING_BYTES:
            # Never across a page's end: the next page need not be there.
            n_bytes = min(64 if not found else 1024, 4096 - (address + len(found)) % 4096)
            found += self.read(address + len(found), n_bytes)
            if b"\0" in found:
                break
        return found.partition(b"\0")[0][:MAX_STRING_BYTES]


def mappings(pid: int) -> list[Mapped]:
    """What is mapped where; [] when it cannot be known."""
    try:
        with open(f"/proc/{pid}/maps", encoding="utf-8", errors="surrogateescape") as file:
            lines = file.readlines(MAX_MAPS_BYTES)
    except OSError:
        return []
    matches = filter(None, map(_MAPS_LINE.match, lines))
    return [
        Mapped(int(m[1], 16), int(m[2], 16), m[3], int(m[4], 16), m[5].rstrip("\n"))
        for m in matches
    ]


def private_span(line: str) -> tuple[int, int] | None:
    """Of a line of /proc/<pid>/maps: where the memory begins and ends, if it is private and
    writable, and no stack."""
    addresses, permissions, *_rest = line.split(None, 5)
    if permissions[:2] != "rw" or permissions[3] != "p" or "[stack" in line or "[v" in line:
        return None
    start, _, end = addresses.partition("-")
    return int(start, 16), int(end, 16)


def symbol_addresses(pid: int, path: str, names: Iterable[str]) -> dict[str, int]:
    """Where the process has those dynamic symbols of the file `path`, which it has mapped.
    Names that the file does not have are left out."""
    return {name: span[0] for name, span in symbol_spans(pid, path, names).items()}


def symbol_spans(pid: int, path: str, names: Iterable[str]) -> dict[str, tuple[int, int]]:
    """As `symbol_addresses`, from the first byte of each to behind its last."""
    seen_by_process = f"/proc/{pid}/root{path}"
    first = next((m for m in mappings(pid) if m.path == path and m.offset == 0), None)
    identity = identity_of(seen_by_process)
    if first is None or identity is None:
        return {}
    symbols = _symbols(seen_by_process, tuple(names), identity)
    shift = first.start - symbols.lowest
    return {
        name: (value + shift, value + shift + symbols.sizes[name])
        for name, value in symbols.values.items()
    }


class Symbols(NamedTuple):
    """`lowest`: the address that the file's first byte has in the numbers of `values`; `sizes`
    in bytes."""

    lowest: int
    values: Mapping[str, int]
    sizes: Mapping[str, int]


def file_symbols(path: str, names: Iterable[str]) -> Symbols:
    """Dynamic symbols of a file, in its own numbering; none when it has no hash table of them."""
    values: dict[str, int] = {}
    sizes: dict[str, int] = {}
    with open(open_regular(path), "rb") as file:
        elf = ELFFile(file)
        table: Any = elf.get_section_by_name(".gnu.hash") or elf.get_section_by_name(".hash")
        first = next((s for s in elf.iter_segments("PT_LOAD") if s["p_offset"] == 0), None)
        if table is None or first is None:
            return Symbols(0, {}, {})
        for name in names:
            symbol = table.get_symbol(name)
            if symbol is not None and symbol["st_shndx"] != "SHN_UNDEF":
                values[name], sizes[name] = symbol["st_value"], symbol["st_size"]
        return Symbols(first["p_vaddr"], values, sizes)


@functools.lru_cache(maxsize=32)
def _symbols(path: str, names: tuple[str, ...], _identity: Identity) -> Symbols:
    try:
        return file_symbols(path, names)
    except (OSError, ELFError, ValueError, KeyError, struct.error):
        return Symbols(0, {}, {})
