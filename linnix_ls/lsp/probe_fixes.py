"""Fixes of probes in the client: looked for once a check has shown what is wrong, never while a
client waits.

What is offered has been accepted by the verifier on exactly the text that is there; with the next
edit it is gone, and the search for more ends. A model is asked when the user says so, and what it
would change is tried as well. Not here: what is changed and how it is tried
(`playground.base.DocumentChecker`), and what a model may say (`explain`).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from lsprotocol import types
from pygls.workspace import PositionCodec

from linnix_ls.core.findings import Note, SourceLocation
from linnix_ls.core.text import visible
from linnix_ls.errors import Superseded
from linnix_ls.explain.base import RefusedProbe
from linnix_ls.lsp.explaining import Explaining
from linnix_ls.lsp.ext import clean
from linnix_ls.lsp.fixing import RULES, text_edits
from linnix_ls.playground.base import (
    Checked,
    DocumentChecker,
    Playground,
    ProbeFix,
    Problem,
    Severity,
)

logger = logging.getLogger(__name__)

ASK_MODEL = "linnix.playground.askModel"
_MAX_TITLE_CHARS = 200


@dataclass
class _Known:
    """Of one text: who has checked it, what was found so far, and the search for more."""

    path: str
    text: str
    checked: Checked
    checker: DocumentChecker
    playground: Playground | None
    found: list[ProbeFix] = field(default_factory=list)
    search: asyncio.Task[None] | None = None


class ProbeFixes:
    """See the module. Use on the event loop's thread.

    Args:
        version_of: of an open document, by URI; None where the client takes no versions.
        has_model: whether there is one to ask.
    """

    def __init__(
        self,
        codec: PositionCodec,
        version_of: Callable[[str], int | None],
        has_model: Callable[[], bool],
    ) -> None:
        self._codec = codec
        self._has_model = has_model
        self._version_of = version_of
        self._known: dict[str, _Known] = {}

    def look_for(
        self,
        uri: str,
        path: str,
        text: str,
        checked: Checked,
        *,
        checker: DocumentChecker,
        playground: Playground | None,
    ) -> None:
        """In the background."""
        self.forget(uri)
        if not any(problem.severity is Severity.ERROR for problem in checked.problems):
            return
        known = self._known[uri] = _Known(path, text, checked, checker, playground)

        async def search() -> None:
            try:
                async for fix in checker.fixes(path, text, checked, playground):
                    known.found.append(fix)
            except Exception:  # the boundary where our own bugs stop; then there is no fix
                logger.exception("looking for fixes failed")

        known.search = asyncio.create_task(search())

    async def ask(
        self, uri: str, wanted: str, explaining: Explaining, on_text: Callable[[str], None]
    ) -> tuple[Note | None, str] | None:
        """A model's note on the problem of that id, and what came of its patch in words; None
        where the text is another one by now.

        Raises:
            NoAnswer, NoteRefused: there is none, and why.
        """
        known = self._known.get(uri)
        if known is None:
            return None
        problem = next((p for p in known.checked.problems if problem_id(p) == wanted), None)
        if problem is None:
            return None
        place = SourceLocation(known.path, problem.span.line, function=problem.program)
        # A log may have a megabyte.
        facts = await asyncio.to_thread(known.checker.facts, known.text, problem)
        refused = RefusedProbe(place, problem.code, problem.message, facts)
        note = await explaining.ask_about(refused, known.text, on_text)
        if note is None or note.patch is None:
            return note, ""
        if known.search:
            await asyncio.wait([known.search])  # a trial would end the other's
        if self._known.get(uri) is not known:
            return None  # nor may it end the check of the text that there is now
        try:
            is_mended = await known.checker.is_mended(
                known.path,
                known.text,
                note.patch,
                problem,
                checked=known.checked,
                playground=known.playground,
            )
        except Superseded:
            return None
        if not is_mended:
            return replace(
                note, patch=None
            ), "It wrote 1 change, which was tried and refused, and is not offered."
        known.found.append(ProbeFix(problem, note.patch, is_preferred=False))
        return note, "Its change was tried, and the verifier accepts it: see the code actions."

    def forget(self, uri: str) -> None:
        """The text is another one."""
        known = self._known.pop(uri, None)
        if known and known.search:
            known.search.cancel()

    def code_actions(
        self, uri: str, shown: Sequence[tuple[Problem, types.Diagnostic]]
    ) -> list[types.CodeAction]:
        """For the problems of which these diagnostics are. Takes no time."""
        known = self._known.get(uri)
        if known is None:
            return []
        actions = []
        for problem, diagnostic in shown:
            if self._has_model() and problem.severity is Severity.ERROR:
                argument = {"uri": uri, "problem": problem_id(problem)}
                title = "Ask the model about this"
                actions.append(
                    types.CodeAction(
                        title=title,
                        kind=types.CodeActionKind.QuickFix,
                        diagnostics=[diagnostic],
                        command=types.Command(title=title, command=ASK_MODEL, arguments=[argument]),
                    )
                )
            for fix in known.found:
                edit = self._edit(uri, known.text, fix)
                if fix.problem == problem and edit is not None:
                    title = visible(fix.patch.title, _MAX_TITLE_CHARS)
                    if fix.patch.by != RULES:
                        title = f"{visible(fix.patch.by, _MAX_TITLE_CHARS)}: {title}"
                    title += " (the verifier accepts it)"
                    actions.append(
                        types.CodeAction(
                            title=clean(title),
                            kind=types.CodeActionKind.QuickFix,
                            diagnostics=[diagnostic],
                            is_preferred=fix.is_preferred or None,
                            edit=edit,
                        )
                    )
        return sorted(actions, key=lambda action: action.edit is None)

    async def close(self) -> None:
        searches = [known.search for known in self._known.values() if known.search]
        for uri in list(self._known):
            self.forget(uri)
        await asyncio.gather(*searches, return_exceptions=True)

    def _edit(self, uri: str, text: str, fix: ProbeFix) -> types.WorkspaceEdit | None:
        edits = text_edits(text, fix.patch.edits, self._codec)
        if edits is None:
            return None
        version = self._version_of(uri)
        if version is None:
            return types.WorkspaceEdit(changes={uri: edits})
        return types.WorkspaceEdit(
            document_changes=[
                types.TextDocumentEdit(
                    text_document=types.OptionalVersionedTextDocumentIdentifier(
                        uri=uri, version=version
                    ),
                    edits=list(edits),
                )
            ]
        )


def problem_id(problem: Problem) -> str:
    said = repr((problem.code, problem.span, problem.message))
    return hashlib.sha256(said.encode("utf-8", "replace")).hexdigest()[:16]
