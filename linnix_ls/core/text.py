"""Text of foreign origin made harmless for a screen and for JSON.

What a process is called is chosen by that process. Not here: words of our own.
"""

from __future__ import annotations

import re

# What acts on a screen instead of being read: C0 and C1 controls, bidi overrides and isolates,
# zero-width characters and line separators, tag characters; and lone surrogates, which no
# encoder takes.
_ACTIVE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_SURROGATES = re.compile("[\ud800-\udfff]")


def visible(text: str, max_chars: int = 1000) -> str:
    r"""One line in which every character shows: ``\x1b``, ``\n``, ``\u202e`` as such.

    A byte that is not UTF-8, which Python keeps as a lone surrogate, comes out as that byte.
    """
    if len(text) > max_chars:
        text = text[: max_chars - 1] + "…"
    return _ACTIVE.sub(_escaped, text)


def without_surrogates(text: str) -> str:
    r"""The same text where UTF-8 can hold it; the bytes that are not UTF-8 as ``\xff``."""
    return _SURROGATES.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    if character in "\t\n\r":
        return repr(character)[1:-1]
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # surrogateescape, PEP 383
        code -= 0xDC00
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
