"""Findings to be explained: those of the recorded corpus, with the sources that they are about."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path

from bench.scoring import Case
from linnix_ls import app
from linnix_ls.core.findings import Finding, State

CHECKOUT = Path(__file__).parents[2]
TRACES = CHECKOUT / "tests/traces/corpus"
CORPUS = CHECKOUT / "bench/corpus"
# Where tests/traces/record.py ran the cases.
RECORDED_AT = "/tmp/linnix-traces"  # noqa: S108 - a name in recordings; nothing is there


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One finding to be explained; without an explanation yet, its case beside it."""

    case: Case
    finding: Finding


def source_of(path: str) -> str | None:
    """A file that a recording names, as it is in bench/corpus; None for all others."""
    if not path.startswith(RECORDED_AT + "/"):
        return None
    file = CORPUS / "runaway" / path.removeprefix(RECORDED_AT + "/")
    return file.read_text(errors="replace") if file.is_file() else None


def recorded() -> list[Snapshot]:
    """The findings of all recordings, in the order of their cases."""
    snapshots = []
    for trace in sorted(TRACES.glob("*.trace")):
        case = Case.read(CORPUS / "runaway" / trace.stem)
        found = asyncio.run(_findings(trace))
        snapshots += [Snapshot(case, replace(finding, explanation=None)) for finding in found]
    return snapshots


async def _findings(trace: Path) -> tuple[Finding, ...]:
    feed, _ = await app.replay_feed(trace)
    findings = feed.snapshot().findings
    await feed.close()
    return tuple(finding for finding in findings if finding.state is not State.CLEARED)
