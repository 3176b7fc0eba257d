"""What trying a fix answers."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from linnix_ls.core.findings import Finding, Patch

if TYPE_CHECKING:
    # Settings bring pydantic along, which an editor's first request need not wait for.
    from linnix_ls.config import FixSettings

TextOf = Callable[[str], str | None]


class Outcome(enum.StrEnum):
    """VERIFIED: the test passes and nothing runs away any more. Only such a patch is offered.

    STILL_RUNS_AWAY: there is a finding of that kind again, or none and no end in time.
    TEST_FAILS: no runaway, but the command does not succeed.
    NOT_TRIED: it could not be run; the message says why.
    """

    VERIFIED = "verified"
    STILL_RUNS_AWAY = "still_runs_away"
    TEST_FAILS = "test_fails"
    NOT_TRIED = "not_tried"


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of a patch.

    Attributes:
        message: one or two sentences for people.
        command: what was run, with its arguments; empty when nothing was.
        output: the last lines that it wrote, for who wants to know why.
        duration_s: of the run.
    """

    patch: Patch
    outcome: Outcome
    message: str
    command: tuple[str, ...] = ()
    output: str = ""
    duration_s: float = 0.0


class Fixer(Protocol):
    """Proposes and tries; the module `fixes.fixer` is one.

    `text_of` tells a file's text as the user sees it, None when it cannot be read.
    """

    def propose(self, finding: Finding, text_of: TextOf) -> tuple[Patch, ...]:
        """Patches by rules, the most fitting first; often none. Runs nothing. Never raises for
        what a file holds.
        """
        ...

    def reproduction(self, finding: Finding) -> str:
        """A line for a shell that runs the finding's test again. Runs nothing.

        Raises:
            LinnixError: there is none, and why.
        """
        ...

    async def try_patch(
        self,
        finding: Finding,
        patch: Patch,
        *,
        folders: Iterable[str],
        text_of: TextOf,
        settings: FixSettings,
        unsaved: Iterable[str] = (),
        tracer: str = "auto",
        on_progress: Callable[[str], None] = lambda _: None,
    ) -> Trial:
        """Apply `patch` to a copy, run the finding's test there, and say what came of it.

        Cancelling it ends the test and removes the copy.

        Args:
            folders: those open in the editor; one of them is copied, if the test runs in it.
            unsaved: files whose text in the editor may not be that on the disk.
            on_progress: told in words what takes the time.
        """
        ...
