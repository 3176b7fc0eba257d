"""Findings as they would be had one thing been otherwise: what is said must follow."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

from linnix_ls.core.findings import Evidence, Finding
from linnix_ls.core.ids import ProcessKey


def with_changed_values(finding: Finding) -> Iterator[tuple[Evidence, Finding]]:
    """One number changed: the piece of evidence that has the new one, and the finding."""
    for piece in finding.evidence:
        if isinstance(piece.value, str):
            continue
        changed = replace(piece, value=_other(piece))
        yield changed, _with(finding, [changed if p is piece else p for p in finding.evidence])


def with_missing_facts(finding: Finding) -> Iterator[tuple[str, Finding]]:
    """All evidence of one name missing: the name, and the finding."""
    for name in dict.fromkeys(piece.name for piece in finding.evidence):
        yield name, _with(finding, [p for p in finding.evidence if p.name != name])


def without_evidence(finding: Finding) -> Finding:
    """Nothing measured at all."""
    return _with(finding, [])


def in_another_order(finding: Finding, seed: int = 0) -> Finding:
    """The same evidence, shuffled."""
    pieces = list(finding.evidence)
    random.Random(seed).shuffle(pieces)
    return _with(finding, pieces)


def elsewhere(finding: Finding) -> Finding:
    """Another line, another process."""
    pid = finding.process.key.pid
    location = finding.location and replace(
        finding.location,
        line=finding.location.line + 1_000,
        reason=finding.location.reason.replace(f"process {pid} ", f"process {pid + 1} "),
    )
    key = ProcessKey(pid + 1, finding.process.key.start_ticks)
    return replace(finding, location=location, process=replace(finding.process, key=key))


def _other(piece: Evidence) -> float:
    """A value that is like none other nearby."""
    assert not isinstance(piece.value, str)
    return round(piece.value * 0.9 + 0.0173, 3) if piece.unit == "share" else piece.value + 7


def _with(finding: Finding, evidence: list[Evidence]) -> Finding:
    return replace(finding, evidence=tuple(evidence), explanation=None)
