"""Everything the engine answers."""

from __future__ import annotations

from dataclasses import dataclass

from linnix_ls.core.examination import ExaminationRequest
from linnix_ls.core.findings import Finding
from linnix_ls.core.ids import ProcessKey


@dataclass(frozen=True, slots=True)
class ExaminationWanted:
    """A process is under suspicion: look closely, and answer with `events.Examined`."""

    request: ExaminationRequest


@dataclass(frozen=True, slots=True)
class FindingChanged:
    """A finding was raised, updated, ended or cleared; `finding.state` says which."""

    finding: Finding


@dataclass(frozen=True, slots=True)
class RunBegan:
    """A new run (a pytest, a make) started in a watched tree."""

    ktime_ns: int
    run: ProcessKey
    label: str
    argv: tuple[str, ...]
    cwd: str | None


@dataclass(frozen=True, slots=True)
class RunEnded:
    ktime_ns: int
    run: ProcessKey


Change = ExaminationWanted | FindingChanged | RunBegan | RunEnded
