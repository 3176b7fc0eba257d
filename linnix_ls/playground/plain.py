"""What a probe's maps and records hold, as plain JSON: numbers, text, lists and objects.

Layouts are BCC's own descriptions of types, which clang has laid out. Text was chosen by whoever
named a process or a file: each character that acts instead of being read comes out escaped.
"""

from __future__ import annotations

import ctypes
from typing import Any

from linnix_ls.core.text import visible

MAX_TEXT_CHARS = 1024
MAX_ITEMS = 1024
_PADDING = "__pad_"


def plain(value: Any) -> Any:
    """A ctypes object (or what ctypes makes of a simple one) as JSON."""
    if isinstance(value, (ctypes.Structure, ctypes.Union)):
        return {
            visible(name): plain(getattr(value, name))
            for name, *_ in value._fields_
            if not name.startswith(_PADDING)
        }
    if isinstance(value, ctypes.Array):
        if value._type_ is ctypes.c_char:
            return text(bytes(value))
        return [plain(item) for item in value[:MAX_ITEMS]]
    if isinstance(value, bytes):  # one char
        return text(value)
    if isinstance(value, ctypes._SimpleCData):  # noqa: SLF001 - what all simple types have in common
        return plain(value.value)
    if isinstance(value, (bool, int, float)) or value is None:
        return value
    return visible(str(value))


def text(raw: bytes) -> str:
    """Up to its end in C's way."""
    return visible(raw.split(b"\0", 1)[0].decode(errors="surrogateescape"), MAX_TEXT_CHARS)


def read(layout: type[Any] | None, raw: bytes) -> Any:
    """Bytes by their layout; as hexadecimal digits where there is none that fits."""
    if layout is None or ctypes.sizeof(layout) > len(raw):
        return raw[:MAX_ITEMS].hex()
    return plain(layout.from_buffer_copy(raw))


def total(values: list[Any]) -> Any:
    """What the CPUs have counted, together: numbers are added up, also those within objects and
    lists; of text the first that says something."""
    first = values[0]
    if isinstance(first, dict):
        return {name: total([value[name] for value in values]) for name in first}
    if isinstance(first, list):
        return [total(list(items)) for items in zip(*values, strict=True)]
    if isinstance(first, str):
        return next(filter(None, values), "")
    return sum(values)
