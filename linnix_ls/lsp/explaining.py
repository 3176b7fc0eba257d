"""What the language server has models do: a note for each finding, by the settings.

Not here: which finding gets its note when (`explain.notes`), and what is shown of it (`wording`).
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from linnix_ls.core.findings import Finding, Note
from linnix_ls.explain.base import NoAnswer, Writer

if TYPE_CHECKING:
    from linnix_ls.config import ExplainSettings
    from linnix_ls.explain.notes import Notes

# The writer that the settings ask for; None where rules alone explain. Raises NoAnswer.
MakeWriter = Callable[["ExplainSettings"], Writer | None]


def no_writer(_settings: ExplainSettings) -> None:
    """Rules alone."""


class Explaining:
    """See the module.

    Args:
        on_note: called with the id of a finding that has a note now.
        tell: says, for people, why there are no notes.
    """

    def __init__(
        self,
        make_writer: MakeWriter,
        text_of: Callable[[str], str | None],
        on_note: Callable[[str], None],
        tell: Callable[[str], None],
    ) -> None:
        self._make_writer = make_writer
        self._text_of = text_of
        self._on_note = on_note
        self._tell = tell
        self._settings: ExplainSettings | None = None
        self._notes: Notes | None = None
        self._problem: NoAnswer | None = None

    async def use(self, settings: ExplainSettings) -> None:
        """Explain by these settings from now on; the same again changes nothing."""
        if settings == self._settings:
            return
        self._settings = settings
        await self.close()
        self._problem = None
        try:
            # It looks for models on the disk.
            writer = await asyncio.to_thread(self._make_writer, settings)
        except NoAnswer as error:
            self._fail(error)
            return
        if writer is None:
            return
        notes = await asyncio.to_thread(importlib.import_module, "linnix_ls.explain.notes")
        self._notes = notes.Notes(
            writer,
            self._text_of,
            on_note=self._take_note,
            on_problem=self._fail,
            when=settings.when,
        )

    async def close(self) -> None:
        notes, self._notes = self._notes, None
        if notes:
            await notes.close()

    def want(self, finding: Finding) -> None:
        """Have a note written when there is time."""
        if self._notes:
            self._notes.want(finding)

    def explained(self, finding: Finding) -> Finding:
        """As it is to be shown: with its note, or without any words if the settings say so."""
        if self._settings and self._settings.source == "none":
            return replace(finding, explanation=None)
        return self._notes.with_note(finding) if self._notes else finding

    async def ask(self, finding: Finding, on_text: Callable[[str], None]) -> Note | None:
        """A note, now; None where rules alone explain.

        Raises:
            NoAnswer, NoteRefused: there is none, and why.
        """
        if self._notes is None:
            if self._problem:
                raise self._problem
            return None
        note = await self._notes.ask(finding, on_text)
        self._take_note(finding.id)
        return note

    def status_object(self) -> dict[str, Any]:
        """For `linnix/status`."""
        counts = self._notes.counts if self._notes else None
        return {
            "source": self._settings.source if self._settings else None,
            "problem": self._problem.message if self._problem else None,
            "fix": self._problem.fix if self._problem else None,
            "notes": {
                "asked": counts.n_asked if counts else 0,
                "shown": counts.n_shown if counts else 0,
                "refused": dict(counts.refused) if counts else {},
                "failed": dict(counts.failed) if counts else {},
            },
        }

    def _take_note(self, finding_id: str) -> None:
        self._problem = None
        self._on_note(finding_id)

    def _fail(self, error: NoAnswer) -> None:
        self._problem = error
        fix = f" (to fix it: {error.fix})" if error.fix else ""
        self._tell(f"no notes by a model: {error.message}{fix}")
