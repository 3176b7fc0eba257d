"""What trying a fix answers."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from linnix_ls.core.findings import Patch


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
