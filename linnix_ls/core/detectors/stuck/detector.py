"""Processes that wait for one another and will do so for ever.

Idle is no crime either: servers wait, watchers wait, tests sleep. Convicted is only a closed
circle: processes of which every thread waits without a timer, for nobody outside the circle.
"""

from __future__ import annotations

from collections.abc import Iterable

from linnix_ls.core.detectors.base import (
    EvidenceList,
    Scene,
    Suspicion,
    Verdict,
)
from linnix_ls.core.examination import Depth, Examination, Wait
from linnix_ls.core.findings import Cause, Finding, Kind, Severity
from linnix_ls.core.ids import NS_PER_S, ProcessKey
from linnix_ls.core.tree import Process


class StuckDetector:
    """See the module."""

    kind = Kind.STUCK

    def suspicions(self, scene: Scene) -> Iterable[Suspicion]:
        idle_ns = int(scene.policy.stuck.idle_s * NS_PER_S)
        since_ns = scene.now_ns - idle_ns
        for process in scene.in_turn:
            if not process.is_judged or process.started_ns > since_ns:
                continue
            # The innermost: whoever waits for it is part of its circle, or not stuck.
            if process.n_living_children:
                continue
            # A runtime's own threads wake now and then, whatever those of the program do.
            if process.on_cpu_ns(since_ns) <= scene.policy.stuck.idle_cores * idle_ns:
                onset_ns = max(min(process.last_on_cpu_ns, since_ns), process.started_ns)
                yield Suspicion(
                    kind=self.kind,
                    key=process.key,
                    depth=Depth.WAITS,
                    onset_ns=onset_ns,
                    # Of very many, those that have just stopped: the others were asked before.
                    weight=0.1 * idle_ns / (scene.now_ns - onset_ns),
                )

    def judge(self, scene: Scene, suspicion: Suspicion, examination: Examination) -> Verdict | None:
        if examination.deadlock:
            return _by_its_runtime(scene, suspicion, examination)
        circle = hopeless(examination.waits)
        if suspicion.key not in circle:
            return None
        idle_since_ns = scene.now_ns - int(scene.policy.stuck.idle_s * NS_PER_S)
        members = [process for key in circle if (process := scene.tree.get(key))]
        if not members or any(process.last_on_cpu_ns > idle_since_ns for process in members):
            return None
        waits = [wait for wait in examination.waits if wait.key in circle]
        accused = _outermost(scene, members)
        if accused is not None and not _is_waited_for(scene, accused):
            return None
        # Alone, it may be meant to stay until a signal ends it.
        is_alone = len(waits) == 1
        has_pipe = any("pipe" in wait.what for wait in waits)
        evidence = EvidenceList()
        quiet_since_ns = max(max(p.last_on_cpu_ns, p.started_ns) for p in members)
        idle_s = (scene.now_ns - quiet_since_ns) / NS_PER_S
        evidence.add("idle_s", idle_s, "s", "cpu_clock samples")
        evidence.add("processes_waiting", len(circle), "processes", "/proc/syscall")
        for wait in waits[:6]:
            peers = ", ".join(str(peer.pid) for peer in wait.peers if peer != wait.key) or "itself"
            text = f"process {wait.key.pid} waits in {wait.call} for {wait.what} (on {peers})"
            evidence.add("wait", text, "wait", "/proc/syscall")
        return Verdict(
            kind=self.kind,
            cause=Cause.PIPE_DEADLOCK if has_pipe else Cause.DEADLOCK,
            severity=Severity.INFORMATION if is_alone else Severity.WARNING,
            confidence=0.5 if is_alone else 0.9,
            key=accused.key if accused else suspicion.key,
            onset_ns=suspicion.onset_ns,
            evidence=evidence,
        )

    def is_over(self, scene: Scene, finding: Finding) -> bool:
        process = scene.tree.get(finding.process.key)
        return (
            process is None or not process.is_alive or process.last_on_cpu_ns > finding.flagged_ns
        )


def _by_its_runtime(scene: Scene, suspicion: Suspicion, examination: Examination) -> Verdict:
    """Threads that wait for each other, though others of the process may go on."""
    evidence = EvidenceList()
    source = f"{examination.language} thread dump"
    evidence.add("idle_s", (scene.now_ns - suspicion.onset_ns) / NS_PER_S, "s", "cpu_clock samples")
    evidence.add("threads_waiting", len(examination.deadlock), "threads", source)
    for waiting, holding in examination.deadlock:
        text = f"thread {waiting} waits for a lock that {holding} holds"
        evidence.add("wait", text, "wait", source)
    return Verdict(
        kind=Kind.STUCK,
        cause=Cause.DEADLOCK,
        severity=Severity.WARNING,
        confidence=0.95,
        key=suspicion.key,
        onset_ns=suspicion.onset_ns,
        evidence=evidence,
    )


def hopeless(waits: Iterable[Wait]) -> frozenset[ProcessKey]:
    """The processes that nobody can wake: the largest set in which every thread's wait is closed
    and ends only by a member of the set.

    A thread that waits for its own process's other threads (a lock) counts as waiting for that
    process: if any thread of it can still move, all can.
    """
    by_process: dict[ProcessKey, list[Wait]] = {}
    for wait in waits:
        by_process.setdefault(wait.key, []).append(wait)
    remaining = {
        key for key, threads in by_process.items() if all(wait.is_closed for wait in threads)
    }
    while True:
        free = {
            key
            for key in remaining
            if any(peer not in remaining for wait in by_process[key] for peer in wait.peers)
        }
        if not free:
            return frozenset(remaining)
        remaining -= free


def _is_waited_for(scene: Scene, process: Process) -> bool:
    """Whether who started it does nothing either. A helper may wait for ever, until who works
    meanwhile ends it."""
    parent = scene.tree.get(process.parent) if process.parent else None
    if parent is None or not parent.is_judged or not parent.is_alive:
        return True
    policy = scene.policy.stuck
    idle_ns = int(policy.idle_s * NS_PER_S)
    busy_ns = idle_ns * policy.busy_cores / scene.load(policy.idle_s)
    return parent.on_cpu_ns(scene.now_ns - idle_ns) <= busy_ns


def _outermost(scene: Scene, members: list[Process]) -> Process | None:
    """Of the circle, the one that the others hang below: its code decides how to wait."""
    keys = {process.key for process in members}
    for process in members:
        if process.is_judged and not any(a.key in keys for a in scene.tree.ancestors(process.key)):
            return process
    return None
