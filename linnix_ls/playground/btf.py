"""What an object file of libbpf's dialect says of its types (.BTF), as layouts of ctypes.

Source: Documentation/bpf/btf.rst. Only what maps and records are made of; what cannot be laid out
exactly (bit fields, incomplete types) has no layout, and is shown as bytes.
"""

from __future__ import annotations

import ctypes
import io
import os
import struct
from dataclasses import dataclass, field
from typing import Any

from elftools.elf.elffile import ELFFile

_INT, _PTR, _ARRAY, _STRUCT, _UNION, _ENUM, _TYPEDEF = 1, 2, 3, 4, 5, 6, 8
_VAR, _FLOAT, _ENUM64 = 14, 16, 19
_ALIASES = frozenset({_TYPEDEF, 9, 10, 11, 18})  # … volatile, const, restrict, type tags
# What follows a type's head: bytes, and bytes for each of its members.
_TAILS = {
    _INT: (4, 0),
    _ARRAY: (12, 0),
    _STRUCT: (0, 12),
    _UNION: (0, 12),
    _ENUM: (0, 8),
    13: (0, 8),
    _VAR: (4, 0),
    15: (0, 12),
    17: (4, 0),
    _ENUM64: (0, 12),
}
_SIGNED, _CHAR, _BOOL = 1, 2, 4
_BY_SIZE = {
    (1, False): ctypes.c_uint8,
    (1, True): ctypes.c_int8,
    (2, False): ctypes.c_uint16,
    (2, True): ctypes.c_int16,
    (4, False): ctypes.c_uint32,
    (4, True): ctypes.c_int32,
    (8, False): ctypes.c_uint64,
    (8, True): ctypes.c_int64,
}


class _NoLayout(Exception):
    pass


@dataclass
class _Type:
    name: str
    kind: int
    size: int  # or the type that it is about
    has_bit_fields: bool
    numbers: tuple[int, ...]
    members: list[tuple[str, int, int]] = field(default_factory=list)


class Types:
    """The types of one object."""

    def __init__(self, types: list[_Type]) -> None:
        self._types = types

    @classmethod
    def of_object(cls, content: bytes) -> Types:
        """Of an object file's content; none where it has no .BTF."""
        elf = ELFFile(io.BytesIO(content))
        section = elf.get_section_by_name(".BTF")
        return cls(list(_parsed(section.data())) if section else [])

    def of_map(self, name: str) -> tuple[type[Any] | None, type[Any] | None]:
        """Of a map's key and value."""
        members = {}
        if definition := self._variable(name):
            members = {member: kind for member, kind, _ in self._resolved(definition).members}
        return tuple(  # type: ignore[return-value]
            self._pointed_to(members[what]) if what in members else None
            for what in ("key", "value")
        )

    def pointed_to_by(self, name: str) -> type[Any] | None:
        """Of what a global variable points to."""
        variable = self._variable(name)
        return self._pointed_to(variable) if variable else None

    def _variable(self, name: str) -> int | None:
        return next((t.size for t in self._types if t.kind == _VAR and t.name == name), None)

    def _resolved(self, number: int) -> _Type:
        if not 0 < number <= len(self._types):
            raise _NoLayout
        found = self._types[number - 1]
        return self._resolved(found.size) if found.kind in _ALIASES else found

    def _pointed_to(self, number: int) -> type[Any] | None:
        try:
            pointer = self._resolved(number)
            return self._layout(pointer.size) if pointer.kind == _PTR else None
        except (_NoLayout, RecursionError):
            return None

    def _layout(self, number: int) -> type[Any]:
        found = self._resolved(number)
        if found.kind == _PTR:
            return ctypes.c_uint64
        if found.kind == _INT:
            encoding = found.numbers[0] >> 24
            if encoding & _BOOL:
                return ctypes.c_bool
            if found.size == 1 and (encoding & _CHAR or found.name == "char"):
                return ctypes.c_char
            return self._integer(found.size, bool(encoding & _SIGNED))
        if found.kind in (_ENUM, _ENUM64):
            return self._integer(found.size, found.has_bit_fields)  # there it says: signed
        if found.kind == _FLOAT:
            return ctypes.c_double if found.size == 8 else ctypes.c_float
        if found.kind == _ARRAY:
            array: type[Any] = self._layout(found.numbers[0]) * found.numbers[2]
            return array
        if found.kind in (_STRUCT, _UNION) and not found.has_bit_fields:
            return self._record(found)
        raise _NoLayout

    @staticmethod
    def _integer(size: int, is_signed: bool) -> type[Any]:
        try:
            return _BY_SIZE[size, is_signed]
        except KeyError:
            raise _NoLayout from None

    def _record(self, found: _Type) -> type[Any]:
        """With its members where the compiler has put them, by padding of our own."""
        fields: list[tuple[str, type[Any]]] = []
        end = 0
        for index, (name, kind, bit) in enumerate(found.members):
            layout = self._layout(kind)
            if found.kind == _STRUCT:
                if bit // 8 > end:
                    fields.append((f"__pad_{index}", ctypes.c_uint8 * (bit // 8 - end)))
                end = bit // 8 + ctypes.sizeof(layout)
            fields.append((name or f"__anon{index}", layout))
        if found.kind == _STRUCT and found.size > end:
            fields.append(("__pad_end", ctypes.c_uint8 * (found.size - end)))
        base = ctypes.Union if found.kind == _UNION else ctypes.Structure
        return type(found.name or "record", (base,), {"_pack_": 1, "_fields_": fields})


def license_of(content: bytes) -> bytes:
    """What an object says of its licence."""
    elf = ELFFile(io.BytesIO(content))
    section = elf.get_section_by_name("license")
    return section.data().split(b"\0")[0] if section else b""


def _parsed(data: bytes) -> list[_Type]:
    head_size, types_at, types_size, strings_at, strings_size = struct.unpack_from("<5I", data, 4)
    strings = data[head_size + strings_at :][:strings_size]
    block = data[head_size + types_at :][:types_size]

    def text(offset: int) -> str:
        return os.fsdecode(strings[offset : strings.index(b"\0", offset)])

    found: list[_Type] = []
    at = 0
    while at < len(block):
        name_at, info, size = struct.unpack_from("<III", block, at)
        kind, count = info >> 24 & 0x1F, info & 0xFFFF
        fixed, each = _TAILS.get(kind, (0, 0))
        numbers = struct.unpack_from(f"<{fixed // 4}I", block, at + 12)
        one = _Type(text(name_at), kind, size, bool(info >> 31), numbers)
        if kind in (_STRUCT, _UNION):
            for index in range(count):
                name, member, offset = struct.unpack_from("<III", block, at + 12 + 12 * index)
                one.members.append((text(name), member, offset))
        found.append(one)
        at += 12 + fixed + each * count
    return found
