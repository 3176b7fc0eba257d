"""The source around a finding: the largest piece of syntax around the line that is short enough.

Files are the user's, or hostile: bounded, parsed, never run. Not here: hiding what is secret in
them (`redaction`), which is done before anyone else sees a line.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator

from linnix_ls.core.findings import Finding
from linnix_ls.explain.base import Excerpt, RefusedProbe, ToldFunction
from linnix_ls.sources import language_of, parse_python, parsed, read_source

MAX_LINES = 40
MAX_CHARS = 4_000
# What is longer was not written by hand, and nobody reads it.
MAX_LINE_CHARS = 300
MAX_PARSED_CHARS = 512 << 10
N_LINES_AROUND = 6

# A header does not say of which of the two it is.
_IS_CPP = re.compile(r"^(?:class|namespace|template|using)\b|\bstd::", re.MULTILINE)

Span = tuple[int, int]


def text_on_disk(path: str) -> str | None:
    """The text of a regular file; None when it cannot be read, is no text, or is too large."""
    content = read_source(path)
    return None if content is None else content.decode("utf-8", "replace")


def read(
    finding: Finding | RefusedProbe | ToldFunction, text_of: Callable[[str], str | None]
) -> Excerpt | None:
    """The lines around the finding's place; None when there are none that can be shown.

    Args:
        text_of: the text of the file of that path: an editor's buffer, or `text_on_disk`.
    """
    place = finding.location
    text = text_of(place.path) if place else None
    if place is None or not text:
        return None
    # Not splitlines(): editors and compilers count "\n" only, not form feeds.
    lines = tuple(line.removesuffix("\r") for line in text.removesuffix("\n").split("\n"))
    if not 1 <= place.line <= len(lines) or len(lines[place.line - 1]) > MAX_LINE_CHARS:
        return None
    language = language_of(place.path, lines[0])
    if language == "c" and _IS_CPP.search(text, 0, MAX_PARSED_CHARS):
        language = "c++"
    if not isinstance(finding, Finding):
        language = "bpf"
    first, last = _piece_around(text, lines, place.line, language)
    first, last = _within_bounds(lines, place.line, (max(first, 1), min(last, len(lines))))
    return Excerpt(place.path, first, lines[first - 1 : last], language, lines)


def _piece_around(text: str, lines: tuple[str, ...], line: int, language: str | None) -> Span:
    """The largest piece of syntax that fits, and some lines around the line."""
    spans = [(1, len(lines))]
    if len(text) <= MAX_PARSED_CHARS:
        spans += _python(text) if language == "python" else _others(text, line, language)
    around = [(first, last) for first, last in spans if first <= line <= last]
    fitting = [(first, last) for first, last in around if last < first + MAX_LINES]
    outer = min(set(around) - set(fitting), key=_length, default=spans[0])
    # Beside a function there is little to learn; of one that is too long, the rest matters.
    n_lines = N_LINES_AROUND if outer == spans[0] and language else MAX_LINES // 2
    first, last = max(fitting, key=_length, default=(line, line))
    return min(first, line - n_lines), max(last, line + n_lines)


def _length(span: Span) -> int:
    return span[1] - span[0]


def _python(text: str) -> Iterator[Span]:
    tree = parse_python(text)
    if tree is None:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt):
            decorators = getattr(node, "decorator_list", [])
            first = min(part.lineno for part in (node, *decorators))
            yield first, node.end_lineno or node.lineno


def _others(text: str, line: int, language: str | None) -> Iterator[Span]:
    tree = parsed(text.encode("utf-8", "replace"), language) if language else None
    if tree is None:
        return
    node = tree.root_node.descendant_for_point_range((line - 1, 0), (line - 1, MAX_LINE_CHARS))
    while node is not None:
        ends_before = node.end_point[1] == 0 and node.end_point[0] > node.start_point[0]
        yield node.start_point[0] + 1, node.end_point[0] + (0 if ends_before else 1)
        node = node.parent


def _within_bounds(lines: tuple[str, ...], line: int, span: Span) -> Span:
    """As much of the span as is bearable, growing from the line."""
    first = last = line
    n_chars = len(lines[line - 1])

    def fits(number: int) -> bool:
        return (
            span[0] <= number <= span[1]
            and len(lines[number - 1]) <= MAX_LINE_CHARS
            and n_chars + len(lines[number - 1]) < MAX_CHARS
            and last - first + 1 < MAX_LINES
        )

    is_growing = True
    while is_growing:
        is_growing = False
        if fits(last + 1):
            last, is_growing = last + 1, True
            n_chars += len(lines[last - 1])
        if fits(first - 1):
            first, is_growing = first - 1, True
            n_chars += len(lines[first - 1])
    return first, last
