"""How facts about a process are found: the interface of the language readers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from linnix_ls.core.examination import (
    Examination,
    ExaminationRequest,
    PlaceHint,
    ProcessFacts,
    StackSnapshot,
    ThreadMotion,
)
from linnix_ls.core.ids import ProcessKey


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reader found out.

    Attributes:
        language: whose stacks these are.
        hints: places found without a stack.
        notes: what could not be done and why.
        bystanders: looks that tell no place, but perhaps the test: at its other threads, or
            without a line of the user's.
        motions: of its threads, where the reader has looked at registers and stack itself.
        deadlock: threads that wait for each other, by the runtime's own word: who for whom.
        moves_on: that it gets on was plain before all looks were taken.
    """

    language: str
    stacks: tuple[StackSnapshot, ...] = ()
    hints: tuple[PlaceHint, ...] = ()
    notes: tuple[str, ...] = ()
    bystanders: tuple[StackSnapshot, ...] = ()
    motions: tuple[ThreadMotion, ...] = ()
    deadlock: tuple[tuple[str, str], ...] = ()
    moves_on: bool = False


class LanguageReader(Protocol):
    """Knows one language's processes. One file each; the registry is `locate.examiner`."""

    language: str

    def recognises(self, facts: ProcessFacts) -> bool:
        """Whether this process runs this language. Cheap: looks at exe and argv."""
        ...

    async def read(self, facts: ProcessFacts, *, n_looks: int, interval_s: float) -> Reading:
        """Look `n_looks` times at its stacks, `interval_s` apart. Bounded in time; never raises
        for a process that vanishes or refuses: that is a note."""
        ...


class Examiner(Protocol):
    """Looks closely at one suspect."""

    async def look(self, key: ProcessKey) -> Reading:
        """One look at the stacks of all its threads, for showing them. Of a process that has gone
        there are none.

        Raises:
            TimeoutError: others look at it all the time.
        """
        ...

    async def examine(
        self, request: ExaminationRequest, ancestors: Sequence[ProcessKey]
    ) -> Examination:
        """Answer a request. A process that has gone, or vanishes meanwhile, is an answer too.

        Args:
            ancestors: of the suspect, nearest first, as far as they belong to its run.

        Raises:
            TimeoutError: others look at it all the time.
        """
        ...
