"""What the language server has models do: a note for each finding, by the settings.

Not here: which finding gets its note when (`explain.notes`), and what is shown of it (`wording`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from linnix_ls.core.findings import Finding, Note
from linnix_ls.explain.base import NoAnswer, Notes, RefusedProbe, ToldFunction
from linnix_ls.lsp.text import with_fix

if TYPE_CHECKING:
    from linnix_ls.config import ExplainSettings


class OpenNotes(Protocol):
    """Notes by the model that the settings ask for; None where rules alone explain.

    Raises NoAnswer. The arguments are those of `explain.notes.ModelNotes`.
    """

    def __call__(
        self,
        settings: ExplainSettings,
        text_of: Callable[[str], str | None],
        *,
        on_note: Callable[[str], None],
        on_problem: Callable[[NoAnswer], None],
    ) -> Awaitable[Notes | None]: ...


async def open_no_notes(*_: object, **__: object) -> None:
    """Rules alone."""


class Explaining:
    """See the module.

    Args:
        on_note: called with the id of a finding that has a note now.
        tell: says, for people, why there are no notes.
    """

    def __init__(
        self,
        open_notes: OpenNotes,
        text_of: Callable[[str], str | None],
        on_note: Callable[[str], None],
        tell: Callable[[str], None],
    ) -> None:
        self._open_notes = open_notes
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
            self._notes = await self._open_notes(
                settings, self._text_of, on_note=self._take_note, on_problem=self._fail
            )
        except NoAnswer as error:
            self._fail(error)

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

    @property
    def has_model(self) -> bool:
        return self._notes is not None

    async def ask_about(
        self,
        subject: RefusedProbe | ToldFunction,
        text: str,
        on_text: Callable[[str], None],
    ) -> Note | None:
        """Likewise, about a probe whose source is `text`."""
        if self._notes is None:
            if self._problem:
                raise self._problem
            return None
        return await self._notes.ask_about(subject, text, on_text)

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
        self._tell(f"no notes by a model: {with_fix(error.message, error.fix)}")
