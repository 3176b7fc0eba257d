"""What compiling probes comes to: all that loading them needs, and nothing that refers to the
process that compiled them, so that another can load it, now or later.

In a program's code a map goes by its place among the maps, where the kernel wants its file
descriptor. Without dependencies: what holds the probes imports this to stay small.
"""

from __future__ import annotations

import ctypes
import json
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

# Kinds of programs and of maps, of enum bpf_prog_type and bpf_map_type.
TRACEPOINT, PERF_EVENT, RAW_TRACEPOINT = 5, 7, 17
RING_BUFFER = 27

_LOAD_64, _MAP_FD, _MAP_VALUE = 0x18, 1, 2  # BPF_LD | BPF_IMM | BPF_DW; BPF_PSEUDO_MAP_FD, …_VALUE


class Program(NamedTuple):
    """One function. `type`: of enum bpf_prog_type; 0 where nothing says what it is for."""

    name: str
    type: int
    code: bytes

    @property
    def tracepoint(self) -> str:
        """What it is attached to by its name; empty for others."""
        for prefix in ("raw_tracepoint__", "tracepoint__"):
            if self.name.startswith(prefix):
                return self.name.removeprefix(prefix)
        return ""


class Map(NamedTuple):
    """One map. `key` and `value`: their layouts as `describe` gives them; None: not known."""

    name: str
    type: int
    key_size: int
    value_size: int
    max_entries: int
    flags: int
    key: Any = None
    value: Any = None


class Product(NamedTuple):
    """Attributes:
    source: that it was compiled from.
    system_calls: their names by number, as BCC knows them.
    is_kept: whether it was compiled earlier.
    """

    source: str
    license: bytes
    programs: tuple[Program, ...]
    maps: tuple[Map, ...]
    system_calls: Mapping[int, str]
    is_kept: bool = False

    def encoded(self) -> bytes:
        return json.dumps(
            {
                "source": self.source,
                "license": self.license.hex(),
                "programs": [(each.name, each.type, each.code.hex()) for each in self.programs],
                "maps": self.maps,
                "system_calls": list(self.system_calls.items()),
                "is_kept": self.is_kept,
            }
        ).encode()

    @classmethod
    def decoded(cls, encoded: bytes | Mapping[str, Any]) -> Product:
        """Raises: ValueError, KeyError, TypeError: it is none."""
        told = json.loads(encoded) if isinstance(encoded, bytes) else encoded
        return cls(
            told["source"],
            bytes.fromhex(told["license"]),
            tuple(
                Program(name, kind, bytes.fromhex(code)) for name, kind, code in told["programs"]
            ),
            tuple(Map(*each) for each in told["maps"]),
            dict(told["system_calls"]),
            told["is_kept"],
        )


def with_maps(code: bytes, places: Mapping[int, int]) -> bytes:
    """The program with other maps: what stands for one, and what shall.

    Raises:
        KeyError: it has a map that is not among them.
    """
    patched = bytearray(code)
    at = 0
    while at < len(code):
        if code[at] != _LOAD_64:
            at += 8
            continue
        if code[at + 1] >> 4 in (_MAP_FD, _MAP_VALUE):
            (old,) = struct.unpack_from("<i", code, at + 4)
            struct.pack_into("<i", patched, at + 4, places[old])
        at += 16
    return bytes(patched)


def describe(layout: Any) -> Any:
    """A layout of ctypes (None: of which nothing is known) as JSON, equal for equal ones."""
    if layout is None:
        return None
    if issubclass(layout, (ctypes.Structure, ctypes.Union)):
        return [
            "union" if issubclass(layout, ctypes.Union) else "struct",
            layout.__name__,
            getattr(layout, "_pack_", 0),
            list(getattr(layout, "_anonymous_", ())),
            [[name, describe(kind), *bits] for name, kind, *bits in layout._fields_],
        ]
    if issubclass(layout, ctypes.Array):
        return ["array", layout._length_, describe(layout._type_)]
    return layout.__name__


def layout_of(described: Any) -> type[Any] | None:
    """The layout again."""
    if described is None:
        return None
    if isinstance(described, str):
        simple: type[Any] = getattr(ctypes, described)
        return simple
    if described[0] == "array":
        _, length, of = described
        element: Any = layout_of(of)
        array: type[Any] = element * length
        return array
    kind, name, pack, anonymous, fields = described
    members: dict[str, Any] = {"_anonymous_": anonymous}
    if pack:
        members["_pack_"] = pack
    members["_fields_"] = [(field, layout_of(of), *bits) for field, of, *bits in fields]
    return type(name, (ctypes.Union if kind == "union" else ctypes.Structure,), members)
