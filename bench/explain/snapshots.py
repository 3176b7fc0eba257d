"""Findings to be explained: those of the recorded corpus, and what they would have been.

A counterfactual is a finding of which one thing was changed. Explanations have to follow: say the
other number, keep silent on what is not known any more, say the same whatever the order is.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from bench.scoring import Case
from linnix_ls import app
from linnix_ls.core.findings import Evidence, Finding, State

CHECKOUT = Path(__file__).parents[2]
TRACES = CHECKOUT / "tests/traces/corpus"
CORPUS = CHECKOUT / "bench/corpus"
# Where tests/traces/record.py ran the cases.
RECORDED_AT = "/tmp/linnix-traces"  # noqa: S108 - a name in recordings; nothing is there

AS_RECORDED = "as recorded"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One finding to be explained.

    Attributes:
        case: the corpus case that it was recorded of.
        change: what was changed, in words; `AS_RECORDED` for nothing.
        finding: without an explanation.
        before: the same before the change.
        gone: the evidence that was taken away.
        other: the evidence that has another value now.
        place: how to say where, if that was changed.
        is_reordered: whether nothing but the order of the evidence was changed.
    """

    case: Case
    change: str
    finding: Finding
    before: Finding
    gone: tuple[Evidence, ...] = ()
    other: Evidence | None = None
    place: str | None = None
    is_reordered: bool = False


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
        for finding in asyncio.run(_findings(trace)):
            bare = replace(finding, explanation=None)
            snapshots.append(Snapshot(case, AS_RECORDED, bare, bare))
    return snapshots


def counterfactuals(snapshot: Snapshot) -> Iterator[Snapshot]:
    """All changes of one thing each, the same in every run."""
    finding = snapshot.finding
    for piece in finding.evidence:
        if isinstance(piece.value, str):
            continue
        other = replace(piece, value=_another(piece))
        yield replace(
            snapshot,
            change=f"{piece.name} is {other.value}",
            finding=_with_evidence(finding, lambda e, o=other: o if e.id == o.id else e),  # type: ignore[misc]
            other=other,
        )
    for piece in finding.evidence:
        kept = tuple(e for e in finding.evidence if e.id != piece.id)
        yield replace(
            snapshot,
            change=f"{piece.name} is not known",
            finding=replace(finding, evidence=kept),
            gone=(piece,),
        )
    yield replace(
        snapshot,
        change="nothing is known",
        finding=replace(finding, evidence=()),
        gone=finding.evidence,
    )
    shuffled = list(finding.evidence)
    random.Random(finding.process.key.pid).shuffle(shuffled)
    yield replace(
        snapshot,
        change="the order is another",
        finding=replace(finding, evidence=tuple(shuffled)),
        is_reordered=True,
    )
    if finding.location is not None:
        moved = replace(finding.location, line=finding.location.line + 1000, function="elsewhere")
        yield replace(
            snapshot,
            change="the place is another",
            finding=replace(finding, location=moved),
            place=f"{Path(moved.path).name}:{moved.line}",
        )


async def _findings(trace: Path) -> tuple[Finding, ...]:
    feed, _ = await app.replay_feed(trace)
    findings = feed.snapshot().findings
    await feed.close()
    return tuple(finding for finding in findings if finding.state is not State.CLEARED)


def _another(piece: Evidence) -> float | int:
    """A value that no other evidence is likely to have."""
    assert not isinstance(piece.value, str)
    if piece.unit == "share":
        return 0.437 if piece.value != 0.437 else 0.563
    return (
        piece.value * 3 + 17 if isinstance(piece.value, int) else round(piece.value * 3 + 17.7, 1)
    )


def _with_evidence(finding: Finding, change: Callable[[Evidence], Evidence]) -> Finding:
    return replace(finding, evidence=tuple(map(change, finding.evidence)))
