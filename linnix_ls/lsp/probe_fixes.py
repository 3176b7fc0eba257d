"""Fixes of probes in the client: looked for once a check has shown what is wrong, never while a
client waits.

What is offered has been accepted by the verifier on exactly the text that is there; with the next
edit it is gone, and the search for more ends. Not here: what is changed and how it is tried
(`playground.base.DocumentChecker`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from lsprotocol import types
from pygls.workspace import PositionCodec

from linnix_ls.core.text import visible
from linnix_ls.lsp.ext import clean
from linnix_ls.lsp.fixing import text_edits
from linnix_ls.playground.base import (
    Checked,
    DocumentChecker,
    Playground,
    ProbeFix,
    Problem,
    Severity,
)

logger = logging.getLogger(__name__)

_MAX_TITLE_CHARS = 200


@dataclass
class _Known:
    """Of one text: what was found so far, and the search for more."""

    text: str
    found: list[ProbeFix] = field(default_factory=list)
    search: asyncio.Task[None] | None = None


class ProbeFixes:
    """See the module. Use on the event loop's thread.

    Args:
        version_of: of an open document, by URI; None where the client takes no versions.
    """

    def __init__(self, codec: PositionCodec, version_of: Callable[[str], int | None]) -> None:
        self._codec = codec
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
        known = self._known[uri] = _Known(text)

        async def search() -> None:
            try:
                async for fix in checker.fixes(path, text, checked, playground):
                    known.found.append(fix)
            except Exception:  # the boundary where our own bugs stop; then there is no fix
                logger.exception("looking for fixes failed")

        known.search = asyncio.create_task(search())

    def add(self, uri: str, text: str, fix: ProbeFix) -> None:
        """One that was found elsewhere, for that text."""
        known = self._known.get(uri)
        if known is None or known.text != text:
            self.forget(uri)
            known = self._known[uri] = _Known(text)
        known.found.append(fix)

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
            for fix in known.found:
                edit = self._edit(uri, known.text, fix)
                if fix.problem == problem and edit is not None:
                    title = (
                        f"{visible(fix.patch.title, _MAX_TITLE_CHARS)} (the verifier accepts it)"
                    )
                    actions.append(
                        types.CodeAction(
                            title=clean(title),
                            kind=types.CodeActionKind.QuickFix,
                            diagnostics=[diagnostic],
                            is_preferred=fix.is_preferred or None,
                            edit=edit,
                        )
                    )
        return actions

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
