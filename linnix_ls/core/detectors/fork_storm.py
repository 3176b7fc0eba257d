"""Processes that start processes without end.

Builds and test suites start hundreds of processes a second and mean well: they start different
programs, which succeed, and they come to an end. A storm repeats itself (the same command that
fails at once), contains itself (a program under sixteen copies of itself), forks without ever
running a program, or piles up processes that never end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from linnix_ls.core.detectors.base import (
    Citations,
    EvidenceList,
    Scene,
    Suspicion,
    Verdict,
    where,
)
from linnix_ls.core.examination import Depth, Examination
from linnix_ls.core.findings import Cause, Explanation, Finding, Kind, Severity
from linnix_ls.core.ids import NS_PER_S, ProcessKey
from linnix_ls.core.tree import Process, program_name

_MAKES = frozenset({"make", "gmake", "ninja"})


class ForkStormDetector:
    """See the module."""

    kind = Kind.FORK_STORM

    def suspicions(self, scene: Scene) -> Iterable[Suspicion]:
        for storm in _storms(scene):
            yield Suspicion(
                kind=self.kind,
                key=storm.spawner.key,
                depth=Depth.GLANCE,
                onset_ns=storm.onset_ns,
                weight=10.0 + storm.n_starts,  # before any spin: a storm costs the machine more
            )

    def judge(self, scene: Scene, suspicion: Suspicion, examination: Examination) -> Verdict | None:
        # What decided is in the tree already; the glance was for the place. It must still hold.
        for storm in _storms(scene):
            if storm.spawner.key == suspicion.key:
                return Verdict(
                    kind=self.kind,
                    cause=storm.cause,
                    severity=Severity.WARNING,
                    confidence=storm.confidence,
                    key=storm.spawner.key,
                    onset_ns=min(storm.onset_ns, suspicion.onset_ns),
                    evidence=storm.evidence.items(),
                )
        return None

    def is_over(self, scene: Scene, finding: Finding) -> bool:
        since_ns = scene.now_ns - int(scene.policy.calm_s * NS_PER_S)
        accused = scene.tree.get(finding.process.key)
        if accused is None or not accused.is_alive:
            run = scene.tree.get(finding.run)
            if run is None or not run.is_alive:
                return True
        for child in reversed(scene.tree.recent_forks):
            if child.started_ns < since_ns:
                break
            if child.parent == finding.process.key or any(
                ancestor.key == finding.process.key for ancestor in scene.tree.ancestors(child.key)
            ):
                return False
        return True

    def explain(self, finding: Finding) -> Explanation:
        return _explain(finding)


@dataclass(slots=True)
class _Storm:
    spawner: Process
    cause: Cause
    confidence: float
    onset_ns: int
    n_starts: int
    evidence: EvidenceList


def _storms(scene: Scene) -> Iterable[_Storm]:
    window_ns = int(scene.policy.storm.window_s * NS_PER_S)
    by_parent: dict[ProcessKey, list[Process]] = {}
    for child in reversed(scene.tree.recent_forks):
        if child.started_ns < scene.now_ns - window_ns:
            break
        if child.parent is not None:
            by_parent.setdefault(child.parent, []).append(child)
    recursion = _recursion(scene, by_parent)
    if recursion is not None:
        yield recursion
        return  # it explains every other rate
    for key, children in by_parent.items():
        spawner = scene.tree.get(key)
        if spawner is None or not spawner.is_judged or not spawner.is_alive:
            continue
        storm = _repetition(scene, spawner, children)
        if storm is not None:
            yield storm


def _recursion(scene: Scene, by_parent: dict[ProcessKey, list[Process]]) -> _Storm | None:
    policy = scene.policy.storm
    newest = [child for children in by_parent.values() for child in children]
    deepest = max(newest, key=lambda child: child.n_copies_above, default=None)
    if deepest is None or deepest.n_copies_above < policy.recursion_depth:
        return None
    name = program_name(deepest.argv, deepest.comm)
    copies = [
        ancestor
        for ancestor in scene.tree.ancestors(deepest.key)
        if ancestor.is_alive and program_name(ancestor.argv, ancestor.comm) == name
    ]
    if not copies or not copies[0].is_judged:
        return None
    spawner = copies[0]
    evidence = EvidenceList()
    evidence.add("program", name, "name", "exec events")
    evidence.add("recursion_depth", deepest.n_copies_above, "processes", "fork events")
    evidence.add("starts_per_s", *_rate(scene, newest))
    evidence.add("processes_alive", sum(p.is_alive for p in newest), "processes", "fork events")
    is_make = name in _MAKES
    return _Storm(
        spawner=spawner,
        cause=Cause.RECURSIVE_MAKE if is_make else Cause.PROCESS_RECURSION,
        confidence=0.95,
        onset_ns=copies[-1].started_ns,
        n_starts=len(newest),
        evidence=evidence,
    )


def _repetition(scene: Scene, spawner: Process, children: list[Process]) -> _Storm | None:
    """`children`: those started within the window, newest first."""
    policy = scene.policy.storm
    rate, unit, source, window_s = _rate(scene, children)
    if len(children) < policy.min_starts or rate < policy.min_starts_per_s:
        return None
    ended = [child for child in children if not child.is_alive]
    n_failed = sum(child.exit_code != 0 for child in ended)
    argvs = Counter(child.argv for child in children if not child.is_forked_copy)
    n_copies = sum(child.is_forked_copy for child in children)
    same_argv_share = argvs.most_common(1)[0][1] / len(children) if argvs else 0.0
    failed_share = n_failed / len(ended) if ended else 0.0

    evidence = EvidenceList()
    evidence.add("starts_per_s", rate, unit, source, window_s)
    evidence.add("starts", len(children), "processes", source, window_s)

    def storm(cause: Cause, confidence: float) -> _Storm:
        return _Storm(spawner, cause, confidence, children[-1].started_ns, len(children), evidence)

    if (
        same_argv_share >= policy.same_argv_share
        and failed_share >= policy.failed_exits_share
        and len(ended) >= 0.8 * len(children)
    ):
        command = argvs.most_common(1)[0][0]
        evidence.add("same_command_share", same_argv_share, "share", "exec events", window_s)
        evidence.add("failed_exits_share", failed_share, "share", "exit events", window_s)
        evidence.add("command", program_name(command), "name", "exec events")
        return storm(Cause.RETRY_LOOP, 0.95)
    if rate >= policy.bare_forks_per_s and n_copies >= 0.9 * len(children):
        evidence.add(
            "forks_without_exec_share", n_copies / len(children), "share", source, window_s
        )
        return storm(Cause.RETRY_LOOP, 0.8)
    n_alive = len(children) - len(ended)
    if n_alive >= policy.explosion_alive and n_alive >= 0.9 * len(children):
        if max(same_argv_share, n_copies / len(children)) >= policy.same_argv_share:
            evidence.add("processes_alive", n_alive, "processes", source, window_s)
            return storm(Cause.WORKER_OVERSUBSCRIPTION, 0.75)
    return None


def _rate(scene: Scene, children: list[Process]) -> tuple[float, str, str, float]:
    """Starts a second, over the time since the first of them; value, unit, source, window."""
    first_ns = min(child.started_ns for child in children)
    window_s = max((scene.now_ns - first_ns) / NS_PER_S, 0.5)
    return len(children) / window_s, "starts/s", "fork events", window_s


def _explain(finding: Finding) -> Explanation:
    value = Citations(finding)
    name = program_name(finding.process.argv, finding.process.comm)
    rate = value["starts_per_s"]
    at_rate = f" at {rate} a second" if rate else ""
    if depth := value["recursion_depth"]:
        summary = f"{value['program']} starts itself{where(finding)}: {depth} copies deep{at_rate}"
        why = "Each copy starts the next one and waits for it, so none of them ever ends."
        fix: tuple[str, ...] = (
            "Find what makes the program run itself: a PATH that finds the wrapper again, a"
            " script or make target that calls itself, a missing end of the recursion.",
        )
    elif failed := value["failed_exits_share"]:
        summary = f"{name} starts {value['command']} again and again{where(finding)}{at_rate}"
        why = (
            f"{value['same_command_share']} of the starts are the same command and {failed} of"
            " them failed: it is tried again at once, without a pause and without an end."
        )
        fix = (
            "Wait between two tries (back off: 0.1 s, 0.2 s, 0.4 s, …) and give up after a few.",
            "Look at why the command fails; trying again will not change that.",
        )
    elif alive := value["processes_alive"]:
        summary = f"{name} piles up processes{where(finding)}: {alive} alive{at_rate}"
        why = "They are started faster than they end."
        fix = ("Limit how many run at once, for example with a pool as large as the machine.",)
    else:
        summary = f"{name} forks without end{where(finding)}{at_rate}"
        why = (
            f"{value['forks_without_exec_share']} of the new processes run no program of their own."
        )
        fix = ("Wait for the condition with a call that blocks, or pause between two tries.",)
    return Explanation("rules", summary, why, fix, value.ids)
