"""What little we read of ELF files ourselves, because they are their owner's to craft: sizes and
counts in them can be anything, and here is a limit to each. 64-bit, little-endian.

What is parsed further goes to pyelftools, or to binutils with the rights of the owner.
"""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO, NamedTuple

from linnix_ls.sources import open_regular

MAX_SEGMENTS = 64
MAX_SECTIONS = 512
MAX_NAMES_BYTES = 64 << 10
_HEADER_BYTES = 64
_SEGMENT = struct.Struct("<IIQQQQQQ")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_COMPRESSION = struct.Struct("<IIQQ")
_NOBITS, _COMPRESSED, _ZLIB = 8, 0x800, 1


class MalformedError(Exception):
    """No such file, or one that does not fit our limits."""


class Segment(NamedTuple):
    """A program header."""

    kind: int
    offset: int
    address: int
    size: int


class Section(NamedTuple):
    """`address`: where the file wants it to be in memory."""

    address: int
    content: bytes


def open_file(path: str) -> BinaryIO:
    """Raises `MalformedError` unless it is an ordinary file: to open others may take for ever."""
    try:
        return open(open_regular(path), "rb")
    except OSError as error:
        raise MalformedError from error


def program_headers(header: bytes) -> tuple[int, int]:
    """Where they are in a file that begins with `header`, and how many bytes they have."""
    _check(header)
    (at,) = struct.unpack_from("<Q", header, 32)
    size, n_segments = struct.unpack_from("<HH", header, 54)
    if size != _SEGMENT.size or n_segments > MAX_SEGMENTS:
        raise MalformedError
    return at, size * n_segments


def segments(raw: bytes) -> list[Segment]:
    """From the bytes that `program_headers` tells of."""
    whole = len(raw) - len(raw) % _SEGMENT.size
    return [
        Segment(kind, offset, address, size)
        for kind, _, offset, address, _, size, _, _ in _SEGMENT.iter_unpack(raw[:whole])
    ]


def file_segments(file: BinaryIO) -> list[Segment]:
    at, size = program_headers(_read(file, 0, _HEADER_BYTES))
    return segments(_read(file, at, size))


def has_section(file: BinaryIO, name: str) -> bool:
    return any(header.name == name.encode() for header in _section_headers(file))


def read_section(file: BinaryIO, name: str, max_bytes: int) -> Section:
    """Decompressed; empty when there is none, or it is larger than that."""
    for header in _section_headers(file):
        if header.name == name.encode() and header.kind != _NOBITS and header.size <= max_bytes:
            content = _read(file, header.offset, header.size)
            if header.flags & _COMPRESSED:
                content = _decompressed(content, max_bytes)
            return Section(header.address, content)
    return Section(0, b"")


def _decompressed(content: bytes, max_bytes: int) -> bytes:
    if len(content) < _COMPRESSION.size or _COMPRESSION.unpack_from(content)[0] != _ZLIB:
        return b""
    try:
        return zlib.decompressobj().decompress(content[_COMPRESSION.size :], max_bytes)
    except zlib.error:
        return b""


class _SectionHeader(NamedTuple):
    name: bytes
    kind: int
    flags: int
    address: int
    offset: int
    size: int


def _section_headers(file: BinaryIO) -> list[_SectionHeader]:
    header = _read(file, 0, _HEADER_BYTES)
    _check(header)
    (at,) = struct.unpack_from("<Q", header, 40)
    size, n_sections, names_at = struct.unpack_from("<HHH", header, 58)
    if size != _SECTION.size or n_sections > MAX_SECTIONS or names_at >= n_sections:
        return []
    raw = _read(file, at, size * n_sections)
    if len(raw) != size * n_sections:
        return []
    table = list(_SECTION.iter_unpack(raw))
    names = _read(file, table[names_at][4], min(table[names_at][5], MAX_NAMES_BYTES))
    return [
        _SectionHeader(names[name:].partition(b"\0")[0], kind, flags, address, offset, length)
        for name, kind, flags, address, offset, length, *_ in table
    ]


def _check(header: bytes) -> None:
    if len(header) < _HEADER_BYTES or header[:6] != b"\x7fELF\x02\x01":
        raise MalformedError


def _read(file: BinaryIO, at: int, size: int) -> bytes:
    try:
        file.seek(at)
        return file.read(size)
    except (OSError, ValueError, OverflowError) as error:
        raise MalformedError from error
