"""Checks documents as an editor has them: finds who can, and what a document is a part of.

The product's own probes are compiled together as one program (`tracer.bpf_source`), so one that is
opened, or a copy of it that a user edits, is checked within the whole, as the other parts stand
beside it; where one does not, the shipped one is taken.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path

from linnix_ls.core.findings import Patch
from linnix_ls.errors import PlaygroundError, Superseded
from linnix_ls.invocation import enable_tracing
from linnix_ls.playground import mending
from linnix_ls.playground.base import (
    Checked,
    Playground,
    ProbeFix,
    Problem,
    Related,
    Severity,
    Span,
)
from linnix_ls.playground.dialect import Dialect, dialect_of, without_comments
from linnix_ls.playground.service import LocalPlayground
from linnix_ls.tracer.bpf_source import PROBE_FILES, bpf_dir

_CONTRACT = "events.h"
_PREFIX = "#define RING_PAGES 64\n"


@dataclass(frozen=True, slots=True)
class Whole:
    """A program in which a document is a part: the lines after `n_before`, `n_lines` of them."""

    text: str
    n_before: int
    n_lines: int

    def own(self, checked: Checked) -> Checked:
        """What is about the document, at its own lines."""
        problems = [
            replace(
                problem,
                span=self._span(problem.span),
                related=tuple(
                    Related(self._span(each.span), each.message)
                    for each in problem.related
                    if self._is_own(each.span)
                ),
            )
            for problem in checked.problems
            if self._is_own(problem.span)
        ]
        return replace(checked, problems=tuple(problems))

    def _is_own(self, span: Span) -> bool:
        return self.n_before < span.line <= self.n_before + self.n_lines

    def _span(self, span: Span) -> Span:
        end_line = span.end_line - self.n_before if span.end_line else None
        return replace(span, line=span.line - self.n_before, end_line=end_line)


def whole_of(path: str, text: str, text_of: Callable[[str], str | None]) -> Whole | None:
    """None for a document that is a program by itself.

    Args:
        text_of: a file's text as the editor has it; None when there is none.
    """
    folder, name = os.path.split(path)
    if name not in PROBE_FILES or not _needs_the_others(text):
        return None
    parts = [_PREFIX]
    n_before = 0
    for part in (_CONTRACT, *PROBE_FILES):
        if part == name:
            n_before = sum(each.count("\n") for each in parts)
            parts.append(text + "\n")
            continue
        beside = text_of(os.path.join(folder, part))
        shipped = Path(bpf_dir(), part)
        parts.append((shipped.read_text("utf-8") if beside is None else beside) + "\n")
    return Whole("".join(parts), n_before, text.count("\n") + 1)


def _needs_the_others(text: str) -> bool:
    """Whether it uses what the contract declares, and does not declare it: another probe may have
    the same file name."""
    code = without_comments(text)
    shared = re.findall(
        r"^struct (\w+) \{", (bpf_dir() / _CONTRACT).read_text("utf-8"), re.MULTILINE
    )
    return any(
        re.search(rf"\bstruct {name}\b", code) and not re.search(rf"\bstruct {name}\s*{{", code)
        for name in shared
    )


class Documents:
    """See `base.DocumentChecker`.

    Args:
        text_of: see `whole_of`.
        local: who checks where there is no agent that does.
    """

    def __init__(self, text_of: Callable[[str], str | None], local: LocalPlayground) -> None:
        self._text_of = text_of
        self._local = local

    async def check(self, path: str, text: str, playground: Playground | None) -> Checked:
        text = _normalised(text)
        dialect = dialect_of(text)
        whole = whole_of(path, text, self._text_of) if dialect is Dialect.BCC else None
        source = whole.text if whole else text
        checked = await self._checked(dialect, path, source, playground)
        return whole.own(checked) if whole else checked

    async def fixes(
        self, path: str, text: str, checked: Checked, playground: Playground | None
    ) -> AsyncIterator[ProbeFix]:
        async def check(changed: str) -> Checked:
            return await self.check(path, changed, playground)

        try:
            async for fix in mending.fixes(path, _normalised(text), checked, check):
                yield fix
        except Superseded:  # the user has gone on writing
            return

    async def is_mended(
        self,
        path: str,
        text: str,
        patch: Patch,
        problem: Problem,
        *,
        checked: Checked,
        playground: Playground | None,
    ) -> bool:
        changed = mending.with_edits(_normalised(text), patch.edits)
        if changed is None:
            return False
        after = await self.check(path, changed, playground)
        share = mending.MIN_SHARE_LEFT_BY_MODEL
        return mending.is_mended(problem, checked, after, min_share_left=share)

    def facts(self, text: str, problem: Problem) -> tuple[str, ...]:
        return mending.facts(_normalised(text), problem)

    async def _checked(
        self, dialect: Dialect, path: str, source: str, playground: Playground | None
    ) -> Checked:
        problem = PlaygroundError("that needs an agent", fix=enable_tracing())
        if playground is not None:
            try:
                return await playground.check(dialect, path, source)
            except Superseded:
                raise
            except PlaygroundError as error:
                problem = error
        try:
            checked = await self._local.check(dialect, path, source)
        except Superseded:
            raise
        except PlaygroundError as error:
            return Checked((_said("check/failed", "not checked", error),), (), 0.0)
        if self._local.is_privileged:
            return checked
        said = _said("check/not-verified", "compiled, and not shown to the verifier", problem)
        return replace(checked, problems=(*checked.problems, said))

    async def close(self) -> None:
        await self._local.close()


def _said(code: str, what: str, error: PlaygroundError) -> Problem:
    fix = f". Fix: {error.fix}" if error.fix else ""
    return Problem(Span(1), Severity.INFORMATION, code, f"{what}: {error.message}{fix}")


def _normalised(text: str) -> str:
    """As it can be sent and compiled, with each line where it was: an editor's line may end in
    other ways, and half a character is none."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.encode(errors="replace").decode()
