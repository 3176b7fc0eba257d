r"""A file's text in lines, changes to parts of it, and the edits of whole lines that they make.

Lines end as LSP counts them: with \n, \r\n or \r. Edits have \n between their lines, whatever
the file has; a changed file keeps its own line ends. Not here: what to change (`proposals`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from linnix_ls.core.findings import Edit
from linnix_ls.errors import LinnixError

_LINE = re.compile(r"([^\r\n]*)(\r\n|\n|\r|\Z)")


class FileChanged(LinnixError):
    """The lines that an edit replaces are not there any more."""


@dataclass(frozen=True, slots=True)
class Change:
    """Bytes `start` to `end` of a source become `new`."""

    start: int
    end: int
    new: str


class Source:
    r"""One file's text as UTF-8 with \n at the end of each line, where parsers count in bytes."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.lines = [line for line, _ in _split(text)]
        self.content = "\n".join(self.lines).encode("utf-8", "replace")
        self._starts = [0]
        for line in self.content.split(b"\n"):
            self._starts.append(self._starts[-1] + len(line) + 1)

    def offset(self, line: int, column: int = 0) -> int:
        """Of the byte at `column` of `line`, which counts from 1."""
        return self._starts[line - 1] + column

    def line_at(self, offset: int) -> int:
        return self.content.count(b"\n", 0, offset) + 1

    def part(self, start: int, end: int) -> str:
        return self.content[start:end].decode("utf-8", "replace")

    def indentation(self, line: int) -> str:
        text = self.lines[line - 1]
        return text[: len(text) - len(text.lstrip())]

    def insertion(self, line: int, text: str) -> Change:
        """`text`, one or more lines, as lines of their own before `line`."""
        offset = self.offset(line)
        if offset > len(self.content):  # after a last line that has no end
            return Change(len(self.content), len(self.content), "\n" + text)
        return Change(offset, offset, text + "\n")

    def edits(self, changes: Iterable[Change]) -> tuple[Edit, ...]:
        """The changes, which must not overlap, in whole lines."""
        ordered = sorted(changes, key=lambda change: (change.start, change.end))
        inserted = [change for change in ordered if self._is_insertion(change)]
        edits = [Edit(self.path, self.line_at(c.start), "", c.new[:-1]) for c in inserted]
        spans: list[tuple[int, int, list[Change]]] = []
        for change in ordered:
            if change in inserted:
                continue
            first, last = self.line_at(change.start), self.line_at(change.end)
            if spans and first <= spans[-1][1]:
                first, _, together = spans.pop()
                spans.append((first, last, [*together, change]))
            else:
                spans.append((first, last, [change]))
        for first, last, together in spans:
            start, end = self.offset(first), self.offset(last + 1) - 1
            new = b""
            for change in together:
                new += self.content[start : change.start] + change.new.encode("utf-8", "replace")
                start = change.end
            new += self.content[start:end]
            old = "\n".join(self.lines[first - 1 : last])
            edits.append(Edit(self.path, first, old, new.decode("utf-8", "replace")))
        return tuple(sorted(edits, key=lambda edit: (edit.line, bool(edit.old))))

    def _is_insertion(self, change: Change) -> bool:
        is_at_start = self.content[change.start - 1 : change.start] in (b"", b"\n")
        return change.start == change.end and is_at_start and change.new.endswith("\n")


def apply(text: str, edits: Sequence[Edit]) -> str:
    """The text with the edits of this one file made; their lines count in `text`.

    Raises:
        FileChanged: what they replace is not there.
    """
    lines = _split(text)
    # Those without an end are the last; a new line takes the end that the others have.
    ending = next((end for _, end in lines if end), "\n")
    # From the end, so that lines keep their numbers; an insertion after what replaces its line.
    for edit in sorted(edits, key=lambda edit: (edit.line, bool(edit.old)), reverse=True):
        old = edit.old.split("\n") if edit.old else []
        first, last = edit.line - 1, edit.line - 1 + len(old)
        if first < 0 or last > len(lines) or [line for line, _ in lines[first:last]] != old:
            raise FileChanged("the file has changed: the lines of this fix are not there any more")
        new = [(line, ending) for line in edit.new.split("\n")] if edit.new else []
        if new and last == len(lines):
            new[-1] = (new[-1][0], lines[-1][1] if lines else "")
        lines[first:last] = new
    return "".join(line + end for line, end in lines)


def by_path(edits: Iterable[Edit]) -> dict[str, list[Edit]]:
    ordered = sorted(edits, key=lambda edit: edit.path)
    return {path: list(group) for path, group in groupby(ordered, key=lambda edit: edit.path)}


def _split(text: str) -> list[tuple[str, str]]:
    """Lines with their ends. A text that ends with one has an empty last line, as in LSP."""
    lines = [(match[1], match[2]) for match in _LINE.finditer(text)]
    # The pattern matches once more, with nothing, at the end of a last line without an end.
    if len(lines) > 1 and not lines[-1][0] and not lines[-2][1]:
        lines.pop()
    return lines
