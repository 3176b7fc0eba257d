"""The kernel's description of its own types (BTF), read in place.

Every user may read it. Types are found by name in an index, which takes 0.1 s to make, and decoded
when they are asked for. Source of the format: Documentation/bpf/btf.rst.
"""

from __future__ import annotations

import bisect
import functools
import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

BTF_PATH = Path("/sys/kernel/btf/vmlinux")
_MAGIC = 0xEB9F
_MAX_DEPTH = 32  # of types in types


class Kind(IntEnum):
    INT = 1
    PTR = 2
    ARRAY = 3
    STRUCT = 4
    UNION = 5
    ENUM = 6
    FWD = 7
    TYPEDEF = 8
    VOLATILE = 9
    CONST = 10
    RESTRICT = 11
    FUNC = 12
    FUNC_PROTO = 13
    VAR = 14
    DATASEC = 15
    FLOAT = 16
    DECL_TAG = 17
    TYPE_TAG = 18
    ENUM64 = 19


# Bytes after the common 12: fixed ones, and ones for each of `vlen`.
_FIXED: dict[int, int] = {Kind.INT: 4, Kind.ARRAY: 12, Kind.VAR: 4, Kind.DECL_TAG: 4}
_EACH: dict[int, int] = {
    Kind.STRUCT: 12,
    Kind.UNION: 12,
    Kind.ENUM: 8,
    Kind.FUNC_PROTO: 8,
    Kind.DATASEC: 12,
    Kind.ENUM64: 12,
}
_WRAPPERS = (Kind.TYPEDEF, Kind.VOLATILE, Kind.CONST, Kind.RESTRICT, Kind.TYPE_TAG)
_QUALIFIERS = {Kind.VOLATILE: "volatile", Kind.CONST: "const", Kind.RESTRICT: "restrict"}
_NAMED = (Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.TYPEDEF, Kind.FUNC)
_COMMON = struct.Struct("<III")


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a struct or union. Those of unnamed ones within count as its own.

    Attributes:
        declaration: in C: ``struct task_struct *real_parent``.
        offset: in bytes; of a bit field, of the byte in which it begins.
        size: in bytes; None where it is not known.
        bits: of a bit field.
    """

    name: str
    declaration: str
    type_id: int
    offset: int
    size: int | None
    bits: int = 0


class Btf:
    """The types of one file.

    Raises:
        ValueError: it is no BTF, or damaged.
    """

    def __init__(self, content: bytes) -> None:
        try:
            magic, _version, _flags, header, types, types_len, strings, strings_len = (
                struct.unpack_from("<HBBIIIII", content)
            )
        except struct.error as error:
            raise ValueError("too short for BTF") from error
        if magic != _MAGIC or header + strings + strings_len > len(content):
            raise ValueError("no BTF")
        self._content = content
        self._strings_at = header + strings
        self._at = array("I", [0])
        by_name: dict[int, dict[int, int]] = {int(kind): {} for kind in _NAMED}
        # A struct of two hundred members takes 2 ms, and completion asks at each keystroke.
        self.members = functools.lru_cache(maxsize=256)(self._all_members)
        self._index(header + types, header + types + types_len, by_name)
        self._ids = {
            Kind(kind): {self._text(name): type_id for name, type_id in found.items()}
            for kind, found in by_name.items()
        }

    @classmethod
    def of_this_kernel(cls) -> Btf | None:
        """None where it does not describe itself."""
        try:
            return cls(BTF_PATH.read_bytes())
        except (OSError, ValueError):
            return None

    def _index(self, at: int, end: int, by_name: dict[int, dict[int, int]]) -> None:
        content, starts = self._content, self._at
        unpack = _COMMON.unpack_from
        fixed = [_FIXED.get(kind, 0) for kind in range(32)]
        each = [_EACH.get(kind, 0) for kind in range(32)]
        named = [by_name.get(kind) for kind in range(32)]
        try:
            while at < end:
                name, info, _ = unpack(content, at)
                kind = info >> 24 & 31
                if not 0 < kind <= Kind.ENUM64:
                    raise ValueError(f"BTF of a kind {kind}, which is not known here")
                found = named[kind]
                if name and found is not None:
                    found.setdefault(name, len(starts))
                starts.append(at)
                at += 12 + fixed[kind] + each[kind] * (info & 0xFFFF)
        except struct.error as error:
            raise ValueError("BTF is cut off") from error

    def _text(self, offset: int) -> str:
        start = self._strings_at + offset
        return self._content[start : self._content.index(b"\0", start)].decode("ascii", "replace")

    def _head(self, type_id: int) -> tuple[str, Kind, int, bool, int]:
        """(name, kind, vlen, flag, size or type)."""
        name, info, more = _COMMON.unpack_from(self._content, self._at[type_id])
        return self._text(name), Kind(info >> 24 & 31), info & 0xFFFF, bool(info >> 31), more

    def find(self, name: str, *kinds: Kind) -> int | None:
        """The first type of that name, of one of `kinds`: by default, structs and unions."""
        for kind in kinds or (Kind.STRUCT, Kind.UNION):
            if (found := self._ids[kind].get(name)) is not None:
                return found
        return None

    @functools.cached_property
    def _sorted(self) -> dict[Kind, list[str]]:
        return {kind: sorted(names) for kind, names in self._ids.items()}

    def names(self, kind: Kind, prefix: str, limit: int) -> list[str]:
        """Names of that kind that begin so, in order."""
        names = self._sorted[kind]
        start = bisect.bisect_left(names, prefix)
        found = []
        for name in names[start : start + limit]:
            if not name.startswith(prefix):
                break
            found.append(name)
        return found

    def _all_members(self, type_id: int) -> tuple[Member, ...]:
        """`members`: of a struct or union."""
        return tuple(self._members(type_id, 0, 0))

    def _members(self, type_id: int, base: int, depth: int) -> Iterator[Member]:
        _, kind, count, has_bits, _ = self._head(type_id)
        if kind not in (Kind.STRUCT, Kind.UNION) or depth > _MAX_DEPTH:
            return
        at = self._at[type_id] + 12
        for _ in range(count):
            name, inner, where = _COMMON.unpack_from(self._content, at)
            at += 12
            bits = where >> 24 if has_bits else 0
            offset = base + ((where & 0xFFFFFF if has_bits else where) >> 3)
            if name:
                text = self._text(name)
                declaration = self.declare(inner, text) + (f" : {bits}" if bits else "")
                yield Member(text, declaration, inner, offset, self.size(inner), bits)
            else:
                yield from self._members(self.bare(inner), offset, depth + 1)

    def bare(self, type_id: int) -> int:
        """Without typedefs and qualifiers."""
        for _ in range(_MAX_DEPTH):
            _, kind, _, _, more = self._head(type_id) if type_id else ("", Kind.INT, 0, False, 0)
            if kind not in _WRAPPERS:
                break
            type_id = more
        return type_id

    def record(self, type_id: int) -> tuple[int, bool] | None:
        """The struct or union behind a type, and whether the type is a pointer to it. Of an array,
        that of its elements."""
        is_pointer = False
        for _ in range(_MAX_DEPTH):
            type_id = self.bare(type_id)
            if not type_id:
                return None
            name, kind, _, _, more = self._head(type_id)
            if kind in (Kind.STRUCT, Kind.UNION):
                return type_id, is_pointer
            if kind is Kind.FWD:
                found = self.find(name)
                return None if found is None else (found, is_pointer)
            if kind is Kind.PTR and not is_pointer:
                type_id, is_pointer = more, True
            elif kind is Kind.ARRAY:
                type_id = struct.unpack_from("<I", self._content, self._at[type_id] + 12)[0]
            else:
                return None
        return None

    def size(self, type_id: int) -> int | None:
        """In bytes; None where it has none: void, functions."""
        n_elements = 1
        for _ in range(_MAX_DEPTH):
            type_id = self.bare(type_id)
            if not type_id:
                return None
            _, kind, _, _, more = self._head(type_id)
            if kind is Kind.PTR:
                return 8 * n_elements
            if kind is not Kind.ARRAY:
                sized = (Kind.INT, Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.ENUM64, Kind.FLOAT)
                return more * n_elements if kind in sized else None
            type_id, _, count = _COMMON.unpack_from(self._content, self._at[type_id] + 12)
            n_elements *= count
        return None

    def declare(self, type_id: int, name: str = "") -> str:
        """A declaration in C of something of that type."""
        declarator, is_pointer = name, False
        for _ in range(_MAX_DEPTH):
            if not type_id:
                return _joined("void", declarator)
            text, kind, _, _, more = self._head(type_id)
            if kind is Kind.PTR:
                declarator, is_pointer, type_id = "*" + declarator, True, more
            elif kind is Kind.ARRAY:
                inner, _, count = _COMMON.unpack_from(self._content, self._at[type_id] + 12)
                declarator = f"({declarator})" if is_pointer else declarator
                declarator, is_pointer, type_id = f"{declarator}[{count}]", False, inner
            elif kind is Kind.FUNC_PROTO:
                declarator = f"({declarator})" if is_pointer else declarator
                arguments = ", ".join(self.arguments(type_id)) or "void"
                declarator, is_pointer, type_id = f"{declarator}({arguments})", False, more
            elif kind in _QUALIFIERS:
                if self._is_pointer(more):
                    declarator = f"{_QUALIFIERS[kind]} {declarator}"
                else:
                    return f"{_QUALIFIERS[kind]} {self.declare(more, declarator)}"
                type_id = more
            elif kind is Kind.TYPE_TAG:
                type_id = more
            else:
                word = {Kind.STRUCT: "struct ", Kind.UNION: "union ", Kind.ENUM: "enum "}
                if kind is Kind.FWD:
                    word[kind] = "struct "
                prefix = word.get(kind, "")
                return _joined(prefix + (text or "{ … }"), declarator)
        return _joined("…", declarator)

    def _is_pointer(self, type_id: int) -> bool:
        return bool(type_id) and self._head(type_id)[1] is Kind.PTR

    def arguments(self, type_id: int) -> list[str]:
        """Declarations of the arguments of a function, or of its prototype."""
        _, kind, count, _, more = self._head(type_id)
        if kind is Kind.FUNC:
            return self.arguments(more)
        if kind is not Kind.FUNC_PROTO:
            return []
        at = self._at[type_id] + 12
        pairs = [struct.unpack_from("<II", self._content, at + 8 * i) for i in range(count)]
        # Not deeper: a function may take functions that take it.
        return [
            self._short(inner, self._text(name) if name else "") if inner else "..."
            for name, inner in pairs
        ]

    def _short(self, type_id: int, name: str) -> str:
        """As `declare`, but of a pointer to a function no more than that it is one."""
        if self._is_pointer(type_id):
            behind = self._head(type_id)[4]
            if behind and self._head(behind)[1] is Kind.FUNC_PROTO:
                return f"void (*{name})(…)"
        return self.declare(type_id, name)

    def constants(self, name: str) -> dict[str, int]:
        """Of an enum."""
        type_id = self.find(name, Kind.ENUM)
        if type_id is None:
            return {}
        count, at = self._head(type_id)[2], self._at[type_id] + 12
        pairs = (struct.unpack_from("<Ii", self._content, at + 8 * i) for i in range(count))
        return {self._text(name): value for name, value in pairs}


def _joined(type_text: str, declarator: str) -> str:
    return f"{type_text} {declarator}" if declarator else type_text
