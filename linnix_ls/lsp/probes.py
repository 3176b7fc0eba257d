"""Probe source in the client: checked as it is opened, saved and paused in, on the unsaved text.

A document whose name ends in ``.bpf.c`` is probe source. What is shown of it stays, at lines that
move along with edits, until the next check says otherwise. Not here: what is wrong with a probe
(`playground.base.DocumentChecker`), and findings (`presenter`).
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

import attrs
from lsprotocol import types
from pygls.workspace import PositionCodec

from linnix_ls.core.text import visible
from linnix_ls.errors import Superseded
from linnix_ls.lsp import from_proto
from linnix_ls.lsp.descriptors import OutOfDescriptors
from linnix_ls.lsp.documents import line_after_edit, split_lines, uri_of_path
from linnix_ls.lsp.ext import clean
from linnix_ls.lsp.probe_fixes import ProbeFixes
from linnix_ls.lsp.to_proto import line_range
from linnix_ls.pages import rule_page
from linnix_ls.playground.base import (
    Checked,
    DocumentChecker,
    Playground,
    Problem,
    Severity,
    Span,
)

logger = logging.getLogger(__name__)

SUFFIX = ".bpf.c"
SOURCE = "linnix-bpf"
SHOW_LOG = "linnix.playground.showLog"
PAUSE_S = 0.4
# Until then a check needs no progress: it would only flicker.
_QUICK_S = 1.0
# Of a log that goes with a diagnostic, its end, where the message is; `SHOW_LOG` has all of it.
_MAX_LOG_CHARS = 20_000
_MAX_DIAGNOSTICS = 100
_MAX_MESSAGE_CHARS = 2_000

_SEVERITIES = {
    Severity.ERROR: types.DiagnosticSeverity.Error,
    Severity.WARNING: types.DiagnosticSeverity.Warning,
    Severity.INFORMATION: types.DiagnosticSeverity.Information,
    Severity.HINT: types.DiagnosticSeverity.Hint,
}

LoadChecker = Callable[[Callable[[str], str | None]], Awaitable[DocumentChecker]]
Progress = Callable[[str], AbstractAsyncContextManager[object]]


@dataclass
class _Open:
    """A document that is open. `logs`: what there is to show of its diagnostics, by id;
    `problems`: what they are of, in the same order;
    `of_running`: about what runs of it, which the next check does not clear."""

    path: str
    problems: tuple[Problem, ...] = ()
    diagnostics: list[types.Diagnostic] = field(default_factory=list)
    logs: dict[str, str] = field(default_factory=dict)
    of_running: list[types.Diagnostic] = field(default_factory=list)
    check: asyncio.Task[None] | None = None


class Probes:
    """See the module. Use on the event loop's thread.

    Args:
        load_checker: called when the first probe is opened, with a way to read files as the
            client has them.
        playground: waits for the agent's; None where there is none.
        text_of: of an open document, by URI.
        text_at: of any file, by path.
        publish: shows these of a document, and no others of ours.
        progress: shows that something takes long, while it does.
        fixes: what looks for fixes.
        has_clangd: whether clangd looks after the file at a path too.
    """

    def __init__(
        self,
        load_checker: LoadChecker,
        playground: Callable[[], Awaitable[Playground | None]],
        codec: PositionCodec,
        *,
        text_of: Callable[[str], str | None],
        text_at: Callable[[str], str | None],
        publish: Callable[[str, list[types.Diagnostic]], None],
        progress: Progress,
        with_related: bool,
        fixes: ProbeFixes,
        has_clangd: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._load_checker = load_checker
        self._playground = playground
        self._codec = codec
        self._text_of = text_of
        self._text_at = text_at
        self._publish = publish
        self._progress = progress
        self._with_related = with_related
        self._fixes = fixes
        self._has_clangd = has_clangd
        self._is_enabled = False
        self._open: dict[str, _Open] = {}
        self._checker: DocumentChecker | None = None
        self._is_loading = asyncio.Lock()

    def enable(self, is_enabled: bool) -> None:
        if self._is_enabled != is_enabled:
            self._is_enabled = is_enabled
            self.check_all()

    def opened(self, uri: str) -> None:
        path = from_proto.path(uri)
        if path and path.endswith(SUFFIX):
            self._open[uri] = _Open(path)
            self._check(uri)

    def changed(self, uri: str, changes: Sequence[types.TextDocumentContentChangeEvent]) -> None:
        document = self._open.get(uri)
        if document is None:
            return
        self._fixes.forget(uri)
        before = document.diagnostics
        for change in changes:
            if isinstance(change, types.TextDocumentContentChangePartial):
                document.diagnostics = [_moved(each, change) for each in document.diagnostics]
        if document.diagnostics != before:
            self._show(uri, document)
        self._check(uri, after_s=PAUSE_S)

    def saved(self, uri: str) -> None:
        if uri in self._open:
            self._check(uri)

    def closed(self, uri: str) -> None:
        document = self._open.pop(uri, None)
        if document is None:
            return
        if document.check:
            document.check.cancel()
        self._fixes.forget(uri)
        self._publish(uri, [])

    def check_all(self) -> None:
        """Anew: who checks, or whether anyone does, is not what it was."""
        for uri in self._open:
            self._check(uri)

    def annotate(self, uri: str, problems: Sequence[Problem]) -> None:
        """Show these of what runs of a document, whatever the checks say of its text."""
        document = self._open.get(uri)
        if document is None:
            return
        lines = split_lines(self._text_of(uri) or "")
        shown = [self._diagnostic(uri, lines, each, "") for each in problems]
        if shown != document.of_running:
            document.of_running = shown
            self._show(uri, document)

    def code_actions(self, uri: str, where: types.Range) -> list[types.CodeAction]:
        document = self._open.get(uri)
        if document is None:
            return []
        fixes = self._fixes.code_actions(
            uri,
            [
                (problem, each)
                for problem, each in zip(document.problems, document.diagnostics, strict=False)
                if _is_at(each, where)
            ],
        )
        return fixes + [
            types.CodeAction(
                title="Show the raw log",
                kind=types.CodeActionKind.QuickFix,
                diagnostics=[each],
                command=types.Command(
                    title="Show the raw log",
                    command=SHOW_LOG,
                    arguments=[{"uri": uri, "log": log_id}],
                ),
            )
            for each in document.diagnostics
            if _is_at(each, where) and (log_id := _log_of(each)) in document.logs
        ]

    def log(self, uri: str, log_id: str) -> str | None:
        """None when it is of an earlier check."""
        document = self._open.get(uri)
        return document.logs.get(log_id) if document else None

    async def close(self) -> None:
        checks = [each.check for each in self._open.values() if each.check]
        for check in checks:
            check.cancel()
        await asyncio.gather(*checks, return_exceptions=True)
        await self._fixes.close()
        if self._checker:
            await self._checker.close()

    def _check(self, uri: str, *, after_s: float = 0) -> None:
        """In the place of a check that is under way, which is of an older text."""
        document = self._open[uri]
        if document.check:
            document.check.cancel()
        document.check = asyncio.create_task(self._check_after(uri, document, after_s))

    async def _check_after(self, uri: str, document: _Open, after_s: float) -> None:
        await asyncio.sleep(after_s)
        checked: Checked | None = None
        text = self._text_of(uri)
        if self._is_enabled and text is not None:
            try:
                async with self._progress_if_slow(document.path):
                    checker, playground = await self._loaded(), await self._playground()
                    checked = await checker.check(document.path, text, playground)
            except Superseded:
                return
            except OutOfDescriptors:
                pass
            except Exception:  # the boundary where our own bugs stop; what is shown is out of date
                logger.exception("checking a probe failed")
        problems = checked.problems if checked else ()
        if any(each.is_of_c for each in problems) and self._has_clangd(document.path):
            problems = tuple(each for each in problems if not each.is_of_c)
        self._take_in(uri, document, split_lines(text or ""), problems)
        if checked and text is not None:
            self._fixes.look_for(
                uri, document.path, text, checked, checker=checker, playground=playground
            )

    async def _loaded(self) -> DocumentChecker:
        async with self._is_loading:
            if self._checker is None:
                self._checker = await self._load_checker(self._text_at)
            return self._checker

    @asynccontextmanager
    async def _progress_if_slow(self, path: str) -> AsyncIterator[None]:
        async def show() -> None:
            await asyncio.sleep(_QUICK_S)
            async with self._progress(f"linnix: checking {visible(path.rpartition('/')[2], 100)}"):
                await asyncio.Event().wait()

        showing = asyncio.create_task(show())
        try:
            yield
        finally:
            showing.cancel()

    def _take_in(
        self, uri: str, document: _Open, lines: list[str], problems: Sequence[Problem]
    ) -> None:
        document.logs.clear()
        document.diagnostics = []
        document.problems = tuple(itertools.islice(problems, _MAX_DIAGNOSTICS))
        for problem in document.problems:
            log_id = ""
            if problem.log:
                log = clean(problem.log)
                log_id = hashlib.sha1(log.encode(), usedforsecurity=False).hexdigest()[:16]
                document.logs[log_id] = log
            document.diagnostics.append(self._diagnostic(uri, lines, problem, log_id))
        self._show(uri, document)

    def _show(self, uri: str, document: _Open) -> None:
        self._publish(uri, [*document.of_running, *document.diagnostics])

    def _diagnostic(
        self, uri: str, lines: list[str], problem: Problem, log_id: str
    ) -> types.Diagnostic:
        page = rule_page(problem.code)
        related = [
            types.DiagnosticRelatedInformation(
                location=types.Location(uri=uri, range=self._range(lines, each.span)),
                message=clean(visible(each.message, _MAX_MESSAGE_CHARS)),
            )
            for each in problem.related
        ]
        return types.Diagnostic(
            range=self._range(lines, problem.span),
            message=clean(visible(problem.message, _MAX_MESSAGE_CHARS)),
            severity=_SEVERITIES[problem.severity],
            source=SOURCE,
            code=problem.code,
            code_description=types.CodeDescription(href=uri_of_path(str(page))) if page else None,
            related_information=related if self._with_related and related else None,
            data={"log": clean(problem.log[-_MAX_LOG_CHARS:]), "log_id": log_id},
        )

    def _range(self, lines: list[str], span: Span) -> types.Range:
        """In the client's units; without columns the text of the line. Of several lines the first,
        as `line_range` says why."""
        whole = line_range(lines, span.line - 1, self._codec)
        if span.column is None:
            return whole
        line = whole.start.line
        end = whole.end
        if span.end_column is not None and (span.end_line or span.line) == span.line:
            text = lines[line][: span.end_column - 1]
            end = types.Position(line=line, character=self._codec.client_num_units(text))
        start = self._codec.client_num_units(lines[line][: span.column - 1])
        return types.Range(start=types.Position(line=line, character=start), end=end)


def _is_at(diagnostic: types.Diagnostic, where: types.Range) -> bool:
    return (
        diagnostic.range.start.line <= where.end.line
        and where.start.line <= diagnostic.range.end.line
    )


def _log_of(diagnostic: types.Diagnostic) -> str:
    data = diagnostic.data
    return str(data["log_id"]) if isinstance(data, dict) else ""


def _moved(
    diagnostic: types.Diagnostic, change: types.TextDocumentContentChangePartial
) -> types.Diagnostic:
    """Where it is after an edit."""
    first, last = change.range.start.line, change.range.end

    def moved(position: types.Position) -> types.Position:
        line = line_after_edit(position.line, first, last.line, last.character, change.text)
        return types.Position(line=line, character=position.character)

    where = types.Range(start=moved(diagnostic.range.start), end=moved(diagnostic.range.end))
    return attrs.evolve(diagnostic, range=where)
