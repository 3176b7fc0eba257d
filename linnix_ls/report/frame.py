"""A few lines of a source file around a place, safe to print.

The path comes from a foreign process and may name anything by now: a pipe, a device, a
gigabyte, nothing. Not here: drawing (`text`).
"""

from __future__ import annotations

from dataclasses import dataclass

from linnix_ls.core.text import visible
from linnix_ls.sources import read_source

MAX_COLUMNS = 160
TAB_COLUMNS = 4


@dataclass(frozen=True, slots=True)
class Frame:
    """Consecutive lines; `first` and all line numbers are 1-based.

    Attributes:
        lines: without tabs and line ends, cut to `MAX_COLUMNS`.
    """

    first: int
    lines: tuple[str, ...]

    def __getitem__(self, number: int) -> str:
        """The text of line `number` of the file."""
        return self.lines[number - self.first]

    @property
    def last(self) -> int:
        return self.first + len(self.lines) - 1


def read_frame(path: str, line: int, end_line: int, n_context: int = 2) -> Frame | None:
    """Lines `line` to `end_line` with `n_context` lines around them.

    None where they cannot be shown: no such file or line (any more), not text, too large.
    """
    content = read_source(path)
    if content is None:
        return None
    lines = content.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    if not 1 <= line <= len(lines):
        return None
    first = max(1, line - n_context)
    last = max(line, end_line) + n_context
    return Frame(first, tuple(_printable(raw) for raw in lines[first - 1 : last]))


def _printable(raw: bytes) -> str:
    text = raw.removesuffix(b"\r").decode("utf-8", "surrogateescape").expandtabs(TAB_COLUMNS)
    return visible(text, MAX_COLUMNS).rstrip()
