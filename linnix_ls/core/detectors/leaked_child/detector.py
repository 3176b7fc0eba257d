"""Processes that a run left behind.

A run is over when its outermost process has ended. What of it lives on a second later was
forgotten: it keeps its port, its files and its memory, and the next run meets it.
"""

from __future__ import annotations

from collections.abc import Iterable

from linnix_ls.core.detectors.base import EvidenceList, Scene, Suspicion, Verdict
from linnix_ls.core.examination import Depth, Examination
from linnix_ls.core.findings import Cause, Finding, Kind, Severity
from linnix_ls.core.ids import NS_PER_S
from linnix_ls.core.tree import Process


class LeakedChildDetector:
    """See the module."""

    kind = Kind.LEAKED_CHILD

    def suspicions(self, scene: Scene) -> Iterable[Suspicion]:
        for process, run in _outermost_living(scene):
            if _is_long_over(scene, run):
                yield Suspicion(
                    kind=self.kind,
                    key=process.key,
                    depth=Depth.GLANCE,
                    onset_ns=run.exited_ns or 0,
                    weight=5.0,
                )

    def judge(self, scene: Scene, suspicion: Suspicion, examination: Examination) -> Verdict | None:
        process = scene.tree.get(suspicion.key)
        if process is None or not process.is_alive or examination.is_gone:
            return None
        evidence = EvidenceList()
        outlived_s = (scene.now_ns - suspicion.onset_ns) / NS_PER_S
        evidence.add("outlived_run_s", outlived_s, "s", "exit events")
        for address in examination.listening[:3]:
            evidence.add("listens_at", address, "address", "/proc/net")
        if examination.rss_bytes is not None:
            evidence.add("rss_bytes", examination.rss_bytes, "bytes", "/proc/stat")
        return Verdict(
            kind=self.kind,
            cause=Cause.ORPHAN_SERVER if examination.listening else Cause.OTHER,
            # What accepts connections was meant for the tests. Other things may be meant to stay.
            severity=Severity.WARNING if examination.listening else Severity.INFORMATION,
            confidence=0.9 if examination.listening else 0.6,
            key=process.key,
            onset_ns=suspicion.onset_ns,
            evidence=evidence,
        )

    def is_over(self, scene: Scene, finding: Finding) -> bool:
        process = scene.tree.get(finding.process.key)
        return process is None or not process.is_alive


def _is_long_over(scene: Scene, run: Process) -> bool:
    """A server that shuts down takes a moment, on a loaded machine a longer one."""
    if run.exited_ns is None:
        return False
    since_s = (scene.now_ns - run.exited_ns) / NS_PER_S
    return since_s >= scene.policy.leak.grace_at(scene.load(since_s))


def _outermost_living(scene: Scene) -> Iterable[tuple[Process, Process]]:
    """What lives on of runs that are over, with its run. From the living upwards: of a storm's dead
    there are thousands, of those that it leaves behind a few."""
    for process in scene.in_turn if scene.ended_runs else ():
        if not process.is_judged:
            continue
        for ancestor in scene.tree.ancestors(process.key):
            if run := scene.ended_runs.get(ancestor.key):
                yield process, run
            if run or ancestor.is_alive:
                break
