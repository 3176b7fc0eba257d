"""A process that takes memory without end.

Programs that build something large grow as fast, and come to an end. What convicts is growth,
steady from look to look, by the same thing over and over: in a loop that gets nowhere
(`detectors.stagnation`), or, whatever the program, because what fills the memory repeats.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from linnix_ls.core.detectors.base import Scene, Suspicion, Verdict
from linnix_ls.core.detectors.stagnation import (
    Stagnation,
    common_evidence,
    is_calm,
    is_growing,
    stagnation,
    suspicions_of_the_busy,
)
from linnix_ls.core.examination import Examination
from linnix_ls.core.findings import Cause, Finding, Kind, Severity
from linnix_ls.core.ids import NS_PER_S


class MemoryRunawayDetector:
    """See the module."""

    kind = Kind.MEMORY_RUNAWAY

    def suspicions(self, scene: Scene) -> Iterable[Suspicion]:
        return suspicions_of_the_busy(scene, self.kind)

    def judge(self, scene: Scene, suspicion: Suspicion, examination: Examination) -> Verdict | None:
        process = scene.tree.get(suspicion.key)
        rss_bytes, growth = examination.rss_bytes, examination.rss_growth_bytes_per_s
        if process is None or examination.is_gone or rss_bytes is None or growth is None:
            return None
        if not is_growing(scene, examination) or not _has_grown_steadily(scene, examination):
            return None
        found = stagnation(scene, process, examination) or _repetition(scene, examination)
        if found is None:
            return None
        evidence = found.evidence
        evidence.add("rss_growth", growth / 1e6, "MB/s", "/proc/stat", examination.window_s)
        evidence.add("rss", rss_bytes / 1e6, "MB", "/proc/stat")
        is_severe = rss_bytes > scene.policy.memory.severe_rss_bytes and found.confidence > 0.5
        return Verdict(
            kind=self.kind,
            cause=Cause.UNBOUNDED_GROWTH,
            severity=Severity.WARNING if is_severe else Severity.INFORMATION,
            confidence=found.confidence,
            key=suspicion.key,
            onset_ns=suspicion.onset_ns,
            evidence=evidence,
        )

    def is_over(self, scene: Scene, finding: Finding) -> bool:
        return is_calm(scene, scene.tree.get(finding.process.key))


def _repetition(scene: Scene, examination: Examination) -> Stagnation | None:
    """Whether the new memory holds the same things again and again."""
    policy = scene.policy.memory
    growth = examination.growth
    if growth is None:
        return None
    confidence = 0.8
    is_telling = growth.n_sequences >= policy.min_sequences
    if is_telling and growth.seen_again_share >= policy.seen_again_share:
        share = growth.seen_again_share
    elif growth.repeated_share >= policy.repeated_share:
        share = growth.repeated_share
    elif (
        is_telling
        and growth.repeated_share >= policy.mostly_repeated_share
        and growth.seen_again_share >= policy.partly_seen_again_share
    ):
        # The same but for a number in it: each record says how many there are.
        share, confidence = growth.repeated_share, 0.5
    else:
        return None
    evidence = common_evidence(examination)
    evidence.add("repeated_growth", share, "share", "/proc/mem", examination.window_s)
    evidence.add("read_pages", growth.n_read_pages, "pages", "/proc/mem", examination.window_s)
    return Stagnation(Cause.UNBOUNDED_GROWTH, confidence, evidence)


def _has_grown_steadily(scene: Scene, examination: Examination) -> bool:
    """Whether memory has grown from look to look, and not only within them: a program that
    builds something large, drops it and builds it again goes up and down."""
    policy = scene.policy.memory
    looks = [*scene.history, (scene.now_ns, examination)]
    sizes = [(at_ns, look.rss_bytes) for at_ns, look in looks if look.rss_bytes is not None]
    if len(sizes) <= policy.growth_looks or examination.rss_bytes is None:
        return False
    limit = policy.growth_bytes_per_s / scene.load((scene.now_ns - sizes[0][0]) / NS_PER_S)
    return all(
        after - before > limit * (then_ns - since_ns) / NS_PER_S
        for (since_ns, before), (then_ns, after) in pairwise(sizes)
    )
