"""Patches by rules: what may end a runaway, from the finding and the source around its line.

A patch is small, leaves a file that parses, and deletes or skips nothing. Whether it helps is
not known here: it is tried (`trial`) before it is offered. Not here: the rules (`python`,
`syntax`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from linnix_ls.core.findings import Finding, Patch
from linnix_ls.fixes import python, syntax
from linnix_ls.fixes.base import TextOf
from linnix_ls.fixes.text import Source, apply
from linnix_ls.locate.syntax import MAX_PARSED_BYTES
from linnix_ls.sources import language_of, parse_python

MAX_PATCHES = 3
_MAX_EDITED_LINES = 40
# A test is asked what is right; what starts a program for it may lie among the tests.
_ROLES = ("spawn_site", "origin", "caller", "callee")
_CPP = re.compile(rb"(?m)\bstd::|^[ \t]*(class|namespace|template)\b")


def propose(finding: Finding, text_of: TextOf) -> tuple[Patch, ...]:
    """See `fixes.base.Fixer`."""
    patches: dict[tuple[object, ...], Patch] = {}
    for path, line in _places(finding):
        text = text_of(path)
        if text is None or len(text) > MAX_PARSED_BYTES:
            continue
        source = Source(path, text)
        language = _language(path, source)
        if language is None or not 0 < line <= len(source.lines):
            continue
        for title, changes in _proposals(finding, source, line, language):
            patch = Patch("rules", title, source.edits(changes))
            if _is_sound(patch, text, source, language):
                patches.setdefault(patch.edits, patch)
    return tuple(patches.values())[:MAX_PATCHES]


def _places(finding: Finding) -> Iterator[tuple[str, int]]:
    if finding.location:
        yield finding.location.path, finding.location.line
    for role in _ROLES:
        for other in finding.other_locations:
            if other.role == role:
                yield other.path, other.line


def _language(path: str, source: Source) -> str | None:
    if path.endswith(".h") and _CPP.search(source.content):
        return "c++"
    return language_of(path, source.lines[0])


def _proposals(
    finding: Finding, source: Source, line: int, language: str
) -> Iterator[python.Proposal]:
    if language == "python":
        return python.proposals(finding, source, line)
    return syntax.proposals(finding, source, line, language)


def _is_sound(patch: Patch, text: str, source: Source, language: str) -> bool:
    if sum(edit.new.count("\n") + 1 for edit in patch.edits) > _MAX_EDITED_LINES:
        return False
    after = Source(source.path, apply(text, patch.edits)).content
    if language == "python":
        return parse_python(after) is not None
    return syntax.is_no_worse(source.content, after, language)
