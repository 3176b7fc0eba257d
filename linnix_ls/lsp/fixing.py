"""Fixes in the client: offered, tried when the user says so, and offered to apply once verified.

Nothing runs without a click. What is offered to apply has passed on exactly the text that is
there now; when the text changes, the offer goes. Not here: what to change and how it is tried
(`fixes.base.Fixer`), and the talking to the client (`server`).
"""

from __future__ import annotations

import asyncio
import difflib
import hashlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lsprotocol import types
from pygls.workspace import PositionCodec

from linnix_ls.core.findings import Edit, Finding, Patch
from linnix_ls.core.text import visible
from linnix_ls.fixes.base import Fixer, Outcome, Trial
from linnix_ls.lsp.documents import Documents, line_end, split_lines

if TYPE_CHECKING:
    from linnix_ls.config import Settings
    from linnix_ls.lsp.presenter import Shown

TRY_FIX = "linnix.tryFix"
RULES = "rules"
MAX_SHOWN_LINES = 30

LoadFixer = Callable[[], Awaitable[Fixer]]


@dataclass(frozen=True, slots=True)
class _Proposed:
    """What the rules propose, and the texts that they have read for it."""

    finding: Finding
    texts: dict[str, str | None]
    patches: tuple[Patch, ...]


class Fixing:
    """See the module. Use on the event loop's thread.

    Args:
        load_fixer: called when the first code action is asked for.
        version_of: of an open document, by URI; None when it is not open.
        with_versions: whether the client takes versioned edits.
    """

    def __init__(
        self,
        load_fixer: LoadFixer,
        documents: Documents,
        codec: PositionCodec,
        version_of: Callable[[str], int | None],
        *,
        with_versions: bool,
    ) -> None:
        self._load_fixer = load_fixer
        self._documents = documents
        self._codec = codec
        self._version_of = version_of
        self._with_versions = with_versions
        self._proposed: dict[str, _Proposed] = {}
        self._verified: dict[str, dict[Patch, dict[str, str | None]]] = {}
        self._trials: dict[str, asyncio.Task[Trial]] = {}

    async def code_actions(self, shown: Shown) -> list[types.CodeAction]:
        """To apply what is verified, and to try what is not."""
        assert shown.diagnostic is not None
        finding = shown.finding
        actions = []
        for patch in await self._patches(shown):
            if edit := self._verified_edit(finding, patch):
                actions.append(
                    types.CodeAction(
                        title=f"Apply verified fix{_by(patch)}: {visible(patch.title, 200)}",
                        kind=types.CodeActionKind.QuickFix,
                        diagnostics=[shown.diagnostic],
                        is_preferred=True,
                        edit=edit,
                    )
                )
                continue
            title = f"Try this fix{_by(patch)}: {visible(patch.title, 200)}"
            argument = {"finding_id": finding.id, "patch": patch_id(patch)}
            actions.append(
                types.CodeAction(
                    title=title,
                    kind=types.CodeActionKind.QuickFix,
                    diagnostics=[shown.diagnostic],
                    command=types.Command(title=title, command=TRY_FIX, arguments=[argument]),
                )
            )
        return sorted(actions, key=lambda action: not action.is_preferred)

    async def patch(self, shown: Shown, wanted: str) -> Patch | None:
        """The patch of that id, if it still fits."""
        patches = await self._patches(shown)
        return next((patch for patch in patches if patch_id(patch) == wanted), None)

    async def reproduction(self, finding: Finding) -> str:
        """A line for a shell that runs it again.

        Raises:
            LinnixError: there is none, and why.
        """
        return (await self._load_fixer()).reproduction(finding)

    async def begin(
        self,
        finding: Finding,
        patch: Patch,
        settings: Settings,
        on_progress: Callable[[str], None],
    ) -> asyncio.Task[Trial] | None:
        """Start trying; None when a fix for that finding is being tried. The task can be
        cancelled."""
        fixer = await self._load_fixer()
        if finding.id in self._trials:
            return None
        paths = {edit.path for edit in patch.edits}
        texts = {path: self._documents.text(path) for path in paths}

        async def work() -> Trial:
            trial = await fixer.try_patch(
                finding,
                patch,
                folders=self._documents.folders,
                text_of=lambda path: texts[path] if path in texts else self._documents.text(path),
                settings=settings.fixes,
                unsaved=self._documents.open_paths,
                tracer=settings.tracer,
                on_progress=on_progress,
            )
            if trial.outcome is Outcome.VERIFIED:
                self._verified.setdefault(finding.id, {})[patch] = texts
            return trial

        task = self._trials[finding.id] = asyncio.create_task(work())
        task.add_done_callback(lambda _: self._trials.pop(finding.id, None))
        return task

    def keep_only(self, finding_ids: Sequence[str]) -> None:
        """Forget what was known about other findings."""
        for known in (self._proposed, self._verified):
            for finding_id in known.keys() - set(finding_ids):
                del known[finding_id]

    async def close(self) -> None:
        """End every trial."""
        trials = list(self._trials.values())
        for trial in trials:
            trial.cancel()
        if trials:
            await asyncio.wait(trials)

    async def _patches(self, shown: Shown) -> list[Patch]:
        """Those of the rules, and the model's, as far as they fit the text of now."""
        finding = shown.finding
        if finding.location and shown.diagnostic:
            # Where the user's edits have moved it.
            line = shown.diagnostic.range.start.line + 1
            finding = replace(finding, location=replace(finding.location, line=line))
        known = self._proposed.get(finding.id)
        if known is None or known.finding != finding or self._have_changed(known.texts):
            known = await self._propose(finding)
            self._proposed[finding.id] = known
        patches = list(known.patches)
        note = finding.explanation.note if finding.explanation else None
        if note and note.patch:
            patches.append(replace(note.patch, by=note.model))
        return [patch for patch in patches if self._workspace_edit(patch) is not None]

    async def _propose(self, finding: Finding) -> _Proposed:
        fixer = await self._load_fixer()
        texts: dict[str, str | None] = {}

        def text_of(path: str) -> str | None:
            texts[path] = self._documents.text(path)
            return texts[path]

        # Parsing takes 10 ms for 100 kB.
        patches = await asyncio.to_thread(fixer.propose, finding, text_of)
        return _Proposed(finding, texts, patches)

    def _have_changed(self, texts: dict[str, str | None]) -> bool:
        return any(self._documents.text(path) != text for path, text in texts.items())

    def _verified_edit(self, finding: Finding, patch: Patch) -> types.WorkspaceEdit | None:
        texts = self._verified.get(finding.id, {}).get(patch)
        if texts is None or self._have_changed(texts):
            return None
        return self._workspace_edit(patch)

    def _workspace_edit(self, patch: Patch) -> types.WorkspaceEdit | None:
        """None when the patch does not fit."""
        by_uri: dict[str, list[types.TextEdit]] = {}
        for path in dict.fromkeys(edit.path for edit in patch.edits):
            text = self._documents.text(path)
            edits = [edit for edit in patch.edits if edit.path == path]
            made = text_edits(text, edits, self._codec) if text is not None else None
            if made is None:
                return None
            by_uri[self._documents.uri(path)] = made
        if not by_uri:
            return None
        if not self._with_versions:
            return types.WorkspaceEdit(changes=by_uri)
        return types.WorkspaceEdit(
            document_changes=[
                types.TextDocumentEdit(
                    text_document=types.OptionalVersionedTextDocumentIdentifier(
                        uri=uri, version=self._version_of(uri)
                    ),
                    edits=list(edits),
                )
                for uri, edits in by_uri.items()
            ]
        )


def patch_id(patch: Patch) -> str:
    """The same for the same changes."""
    return hashlib.sha256(repr((patch.by, patch.edits)).encode("utf-8", "replace")).hexdigest()[:16]


def text_edits(
    text: str, edits: Sequence[Edit], codec: PositionCodec
) -> list[types.TextEdit] | None:
    """The edits as LSP has them, with the line ends of `text`; None when what they replace is
    not there."""
    lines = split_lines(text)
    ending = line_end(text)
    made = []
    for edit in edits:
        old = edit.old.split("\n") if edit.old else []
        first, last = edit.line - 1, edit.line - 1 + len(old)
        if first < 0 or max(last, first + 1) > len(lines) or lines[first:last] != old:
            return None
        new = ending.join(edit.new.split("\n"))
        end = types.Position(line=first, character=0)
        if old and (edit.new or last == len(lines)):
            end = types.Position(line=last - 1, character=codec.client_num_units(lines[last - 1]))
        elif old:
            end = types.Position(line=last, character=0)
        else:
            new += ending
        start = types.Position(line=first, character=0)
        made.append(types.TextEdit(range=types.Range(start=start, end=end), new_text=new))
    return made


def as_diff(patch: Patch) -> str:
    """The changed lines, made harmless, for whoever is to decide about them."""
    return "\n".join(list(_diff_lines(patch))[:MAX_SHOWN_LINES])


def _diff_lines(patch: Patch) -> Iterator[str]:
    for edit in patch.edits:
        yield f"{visible(edit.path, 200)}:{edit.line}"
        old = edit.old.split("\n") if edit.old else []
        new = edit.new.split("\n") if edit.new else []
        for line in difflib.ndiff(old, new):
            if not line.startswith("?"):
                yield visible(line, 200)


def _by(patch: Patch) -> str:
    return "" if patch.by == RULES else f" by {visible(patch.by, 60)}"
