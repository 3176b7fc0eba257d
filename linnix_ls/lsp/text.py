"""Text that came from a process, made safe to show: control characters, markdown, length.

Whatever a process is called or prints is hostile. Not here: what to say (`wording`).
"""

from __future__ import annotations

import re

# C0 and C1 controls, bidi overrides and isolates, zero-width and line separators, tag
# characters, lone surrogates: everything that acts on a screen, or breaks an encoder, instead
# of being read.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f\ud800-\udfff]"
)
_MARKDOWN = re.compile(r"([\\`*\[\]<>|~&]|(?<!\w)_|_(?!\w)|^[#+\-=]|^\d+(?=[.)] )|www\b)")


def visible(text: str, max_chars: int = 1000) -> str:
    r"""Show what cannot be printed as an escape (``\x1b``, ``\u202e``), on one line.

    A byte that is no UTF-8, which Python keeps as a lone surrogate, comes out as that byte.
    """
    if len(text) > max_chars:
        text = text[: max_chars - 1] + "…"
    return _UNPRINTABLE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:  # surrogateescape, PEP 383
        code -= 0xDC00
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def without_surrogates(text: str) -> str:
    """For JSON: only what UTF-8 cannot hold is replaced, the rest stays as it is."""
    return re.sub("[\ud800-\udfff]", _escape, text)


def markdown(text: str) -> str:
    """Escape so that it reads the same in markdown: no links, emphasis, tables or HTML."""
    return _MARKDOWN.sub(_escape_markdown, visible(text)).replace("://", ":\\//")


def _escape_markdown(match: re.Match[str]) -> str:
    if match[0].isalnum():  # a list's number or a bare link: what follows it makes it one
        return match[0] + "\\"
    return "\\" + match[0]


def code_span(text: str, max_chars: int = 120) -> str:
    """As an inline code span, which shows every character as it is."""
    text = visible(text, max_chars) or " "
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"
