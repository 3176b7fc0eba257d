"""One probe that runs, or has run, as a client sees it; and what is to be said of it.

Not here: what is done with it (`live_probes`), and its figures (`probe_figures`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from linnix_ls.lsp.probe_figures import Figures
from linnix_ls.playground.base import Problem, Severity, Span

OWN = "own"
LOOKED_AT_S = 5.0  # for so long after it was asked for, somebody looks
MAX_SOURCES = 10

SourceT = TypeVar("SourceT")


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """What came of a command. `outcome`: ``running``, ``ended``, ``refused`` or ``unchanged``."""

    outcome: str
    message: str
    generation: int | None = None
    fix: str | None = None

    def as_object(self) -> dict[str, Any]:
        """For the client."""
        return {
            "outcome": self.outcome,
            "generation": self.generation,
            "message": self.message,
            "fix": self.fix,
        }


@dataclass
class Probe(Generic[SourceT]):
    """One that runs, or has run.

    Attributes:
        id: for the client.
        uri: its document; of the product's own that of the part that was run last.
        agent_id: as the agent calls it.
        sources: those that were good, the newest last; it runs.
        refused: why the last text does not run; "" if it does.
        asked_s: when somebody looked at it.
    """

    id: str
    uri: str | None
    name: str
    agent_id: str = ""
    generation: int | None = None
    problem: str | None = None
    note: str | None = None
    refused: str = ""
    sources: deque[SourceT] = field(default_factory=lambda: deque(maxlen=MAX_SOURCES))
    figures: Figures = field(default_factory=Figures)
    n_failures: int = 0
    asked_s: float = -LOOKED_AT_S
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def is_running(self) -> bool:
        return self.generation is not None and self.problem is None

    @property
    def is_own(self) -> bool:
        return self.id == OWN

    @property
    def state(self) -> str:
        if self.generation is None:
            return "off"
        return "running" if self.problem is None else "ended"

    @property
    def ends_in_s(self) -> float | None:
        reading = self.figures.reading
        return None if self.is_own or reading is None else max(0.0, reading.ttl_s - reading.age_s)

    def said(self) -> tuple[object, ...]:
        """What makes it worth telling the client when it changes."""
        return self.state, self.generation, self.problem, self.note, self.refused


def problems(probe: Probe[Any]) -> Iterator[Problem]:
    """What is to be said of it at the first line of its document."""
    if probe.refused:
        yield Problem(Span(1), Severity.ERROR, "load/refused", probe.refused)
    if probe.note:
        yield Problem(Span(1), Severity.INFORMATION, "load/taken-back", probe.note)
    if probe.problem:
        yield Problem(Span(1), Severity.WARNING, "load/ended", f"it runs no more: {probe.problem}")
