"""The engine: events in, changes out. One per client; single-threaded; never waits.

event ──> tree ──> detectors suspect ──> ExaminationWanted ┐
                                                           │ (the edges look)
FindingChanged <── attribution <── detectors judge <── Examined
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

from linnix_ls.core import runs
from linnix_ls.core.attribution import attribute
from linnix_ls.core.changes import Change, ExaminationWanted, FindingChanged, RunBegan, RunEnded
from linnix_ls.core.detectors.base import Detector, Scene, Suspicion, Verdict
from linnix_ls.core.detectors.cpu_spin import CpuSpinDetector
from linnix_ls.core.detectors.fork_storm import ForkStormDetector
from linnix_ls.core.detectors.leaked_child import LeakedChildDetector
from linnix_ls.core.detectors.memory_runaway import MemoryRunawayDetector
from linnix_ls.core.detectors.stuck import StuckDetector
from linnix_ls.core.events import (
    CpuUsed,
    Dismissed,
    Event,
    EventsLost,
    Examined,
    Execed,
    Exited,
    Forked,
    Ignored,
    ProbesReplaced,
    ProcessSeen,
    Sampled,
    Source,
    Ticked,
    Unwatched,
    Watched,
)
from linnix_ls.core.examination import Depth, Examination, ExaminationRequest
from linnix_ls.core.explanations import explain
from linnix_ls.core.findings import TRANSITIONS, Finding, Kind, Severity, State
from linnix_ls.core.history import History
from linnix_ls.core.ids import NS_PER_S, ProcessKey
from linnix_ls.core.policy import Policy
from linnix_ls.core.tree import Process, ProcessTree

DETECTORS: tuple[Detector, ...] = (
    ForkStormDetector(),
    MemoryRunawayDetector(),
    CpuSpinDetector(),
    LeakedChildDetector(),
    StuckDetector(),
)


_OF_A_RUN = frozenset({Kind.FORK_STORM, Kind.STUCK})
# What is true of a process that waits is true a second later, too: of many each waits for its turn.
MAX_IN_TURN = 100
# Whether one waits for another is asked of all around: of many that takes long, and there are as
# many who may be asked about. For ten it is no pause, for a hundred 0.1 s, for 500 2.5 s.
WAITS_INTERVAL_NS = 10_000
MAX_AROUND = 500
MAX_PASSED = 5_000  # living and dead, in looking for those around
FORGET_INTERVAL_NS = NS_PER_S
MAX_ENDED_KEPT = 500  # findings; a person has long stopped reading then
MAX_LOADS = 50  # with each tick; no threshold looks back further than some seconds
# Of one process either is the whole story.
_OF_A_LOOP = frozenset({Kind.CPU_SPIN, Kind.MEMORY_RUNAWAY})


@dataclass(slots=True)
class _Look:
    """An examination under way, of one process, for all who suspect it."""

    suspicions: tuple[Suspicion, ...]
    asked_ns: int


@dataclass(slots=True)
class _Patience:
    """How often a process was looked at and found busy, and when to look again."""

    n_looks: int = 0
    not_before_ns: int = 0
    history: tuple[tuple[int, Examination], ...] = ()


class Engine:
    """See the module.

    Args:
        policy: thresholds. It may be replaced at any time; what is found stays found.
        detectors: those that look, in this order; of one storm the first to see it speaks.
        history: what is to be remembered of runs.
    """

    def __init__(
        self,
        policy: Policy = Policy(),
        *,
        detectors: Sequence[Detector] = DETECTORS,
        history: History | None = None,
    ) -> None:
        self.policy = policy
        self.tree = ProcessTree()
        self.history = history or History()
        self.findings: dict[str, Finding] = {}
        self.n_received = 0
        self.n_lost = 0
        self._detectors = {detector.kind: detector for detector in detectors}
        self._watched: dict[ProcessKey, Watched] = {}
        self.ignored: set[ProcessKey] = set()
        self._raised: set[str] = set()  # of the findings
        self._n_findings = 0
        # What was found, also what is not kept: of processes, and of runs.
        self._found: dict[ProcessKey, set[Kind]] = {}
        self._runs: dict[ProcessKey, runs.Run] = {}
        self._ended_runs: dict[ProcessKey, Process] = {}
        self._run_of: dict[ProcessKey, Process | None] = {}  # as far as it was asked
        self._next_forgetting_ns = 0
        self._next_waits_ns = 0
        self._looks: dict[int, _Look] = {}
        self._patience: dict[tuple[Kind, ProcessKey], _Patience] = {}
        self._n_examinations = 0
        self._measures_left = float(policy.measures_at_once)
        self._now_ns = 0
        self._n_cpus = 1
        self._loads: deque[tuple[int, float]] = deque(maxlen=MAX_LOADS)

    # -- input ---------------------------------------------------------------------------------

    def receive(self, event: Event) -> list[Change]:
        """Take one event; return what follows from it. Never raises for anything a process or a
        user does."""
        self._now_ns = max(self._now_ns, event.ktime_ns)
        match event:
            case Sampled():
                self.n_received += 1
                self.tree.use_cpu(event)
                self.history.use_cpu(event.key, event.period_ns)
                self._earn_measures(event.period_ns)
                return []
            case CpuUsed():
                self.n_received += 1
                self.tree.use_cpu(event)
                self.history.use_cpu(event.key, event.on_cpu_ns)
                self._earn_measures(event.on_cpu_ns)
                return []
            case Forked():
                self.n_received += 1
                if self.tree.get(event.parent) is None or event.key in self.ignored:
                    return []
                child = self.tree.fork(event)
                child.is_judged = self._is_judged(child)
                self.history.add(child)
                return self._begin_run_with(child)
            case Execed():
                self.n_received += 1
                process = self.tree.exec(event)
                if process is None:
                    return []
                self.history.exec(process)
                return self._begin_run_with(process)
            case Exited():
                self.n_received += 1
                self.ignored.discard(event.key)
                process = self.tree.exit(event)
                if process is None:
                    return []
                self.history.exit(process)
                return self._end_run_with(process)
            case ProcessSeen():
                return self._see(event)
            case EventsLost():
                self.n_lost += event.n_lost
                return []
            case ProbesReplaced():
                return []  # what comes is judged alike, whoever saw it
            case Watched():
                self._watched[event.key] = event
                return []
            case Unwatched():
                return self._unwatch(event)
            case Ignored():
                self.ignored.add(event.key)
                self.history.remove(self._remove_tree(event.key), self._now_ns)
                return []
            case Dismissed():
                return self._move(event.finding_id, State.CLEARED)
            case Examined():
                return self._conclude(event.examination)
            case Ticked():
                self._n_cpus = max(1, event.n_cpus)
                if event.n_runnable is not None:
                    self._loads.append((event.ktime_ns, event.n_runnable / self._n_cpus))
                self.history.tick(event.ktime_ns)
                return self._look_around()

    def run_of(self, key: ProcessKey) -> Process | None:
        """The outermost process of the run that `key` belongs to; None outside runs."""
        if key not in self._run_of:
            self._run_of[key] = self._find_run_of(key)
        return self._run_of[key]

    def _find_run_of(self, key: ProcessKey) -> Process | None:
        run = None
        process = self.tree.get(key)
        lineage = [process, *self.tree.ancestors(key)] if process else []
        for candidate in lineage:
            if candidate.key in self._runs:
                run = candidate
        return run

    def _remove_tree(self, key: ProcessKey) -> list[ProcessKey]:
        self._run_of.clear()
        removed = self.tree.remove_tree(key)
        for each in removed:
            self._forget_run(each)
        return removed

    # -- the tree and its runs -----------------------------------------------------------------

    def _see(self, event: ProcessSeen) -> list[Change]:
        is_known_parent = event.parent is not None and self.tree.get(event.parent) is not None
        if event.key in self.ignored or not (event.key in self._watched or is_known_parent):
            return []
        process = self.tree.see(event)
        self._run_of.clear()  # it may be above others
        process.is_judged = self._is_judged(process)
        self.history.add(process)
        changes = self._begin_run_with(process)
        if process.key in self._watched:
            self._name_runs(process)
        return changes

    def _is_judged(self, process: Process) -> bool:
        watched = self._watched.get(process.key)
        return watched.is_root_judged if watched else True

    def _begin_run_with(self, process: Process) -> list[Change]:
        """A run begins when a process that is one appears, by its program, below a watched root
        and not inside another run."""
        if process.key in self._runs:  # it runs another program now: `bash -c pytest` does
            return self._set_run(process)
        watched = self._watched.get(process.key)
        if watched is not None and not watched.is_run:
            is_run = watched.is_root_judged and runs.may_be_run(process)
            if not is_run or self.run_of(process.key) is not None:
                return []
        if watched is None:
            parent = self.tree.get(process.parent) if process.parent else None
            if parent is None or not runs.may_start_runs(parent, self._watched):
                return []
            if self.run_of(parent.key) is not None or not runs.may_be_run(process):
                return []
        cleared = self._set_run(process)
        run = self._runs[process.key]
        self.history.begin(process, *self._name_of(process))
        for descendant in self.tree.descendants(process.key):  # what it has forked before
            self.history.add(descendant)
        return [RunBegan(self._now_ns, run.key, run.program, process.argv, run.cwd), *cleared]

    def _name_of(self, process: Process) -> tuple[str | None, Source]:
        """A run's label, its own, and its source, that of the nearest watched root that says."""
        label = None
        for above in (process, *self.tree.ancestors(process.key)):
            watched = self._watched.get(above.key)
            if watched is not None:
                if above is process and watched.source is not Source.FOLDER:
                    label = watched.label or None
                if watched.source is not Source.OTHER:
                    return label, watched.source
        return label, Source.OTHER

    def _name_runs(self, root: Process) -> None:
        """`root` is watched, from now on or by another name: it names the runs around it."""
        for key in self.history.under_way():
            if process := self.tree.get(key):
                self.history.name(key, *self._name_of(process))
        if self._watched[root.key].is_root_judged:  # perhaps inside of a run
            self.history.name(root.key, *self._name_of(root))

    def _set_run(self, process: Process) -> list[Change]:
        """Note what run it is. What ended in earlier runs of the same work is cleared."""
        run = self._runs[process.key] = runs.Run.of(process)
        self._run_of.clear()
        changes: list[Change] = []
        for finding in list(self.findings.values()):
            before = self._runs.get(finding.run)
            if (
                finding.state is State.ENDED
                and before is not None
                and before.key != run.key
                and before.is_same_work_as(run)
            ):
                changes += self._move(finding.id, State.CLEARED)
        return changes

    def _end_run_with(self, process: Process) -> list[Change]:
        if process.key not in self._runs:
            return []
        self._ended_runs[process.key] = process
        return [RunEnded(self._now_ns, process.key)]

    def _unwatch(self, event: Unwatched) -> list[Change]:
        self._watched.pop(event.key, None)
        gone = set(self._remove_tree(event.key))
        self.history.remove(gone, self._now_ns)
        changes: list[Change] = []
        for finding in list(self.findings.values()):
            if finding.process.key in gone:
                changes += self._move(finding.id, State.ENDED)
        return changes

    def _forget_run(self, key: ProcessKey) -> None:
        self._runs.pop(key, None)
        self._ended_runs.pop(key, None)

    # -- suspicion -----------------------------------------------------------------------------

    def _look_around(self) -> list[Change]:
        self.tree.forget_inactive(self._now_ns)
        scene = self._scene(self.tree.next_in_turn(MAX_IN_TURN))
        changes: list[Change] = []
        for finding in [self.findings[finding_id] for finding_id in sorted(self._raised)]:
            if self._detectors[finding.kind].is_over(scene, finding):
                changes += self._move(finding.id, State.ENDED)
        self._drop_lost_looks()
        suspected: dict[tuple[ProcessKey, Depth], list[Suspicion]] = {}
        for detector in self._detectors.values():
            for suspicion in detector.suspicions(scene):
                if self._may_look(suspicion):
                    suspected.setdefault((suspicion.key, suspicion.depth), []).append(suspicion)
        heaviest_first = sorted(suspected.values(), key=lambda same: -max(s.weight for s in same))
        for same in heaviest_first:
            if len(self._looks) >= self.policy.max_examinations:
                break
            if self._is_looked_at(same[0].key):
                continue
            if same[0].depth is Depth.MEASURE:
                if self._measures_left < 1:
                    continue
                self._measures_left -= 1
            changes.append(self._ask(tuple(same)))
        if self._now_ns >= self._next_forgetting_ns:
            self._next_forgetting_ns = self._now_ns + FORGET_INTERVAL_NS
            changes += self._forget_old()
        return changes

    def _forget_old(self) -> list[Change]:
        """What nothing can come of any more. Who watches an editor watches it for weeks."""
        ended = [f.id for f in self.findings.values() if f.state is State.ENDED]
        n_too_many = max(0, len(ended) - MAX_ENDED_KEPT)
        changes = [c for each in ended[:n_too_many] for c in self._move(each, State.CLEARED)]
        for finding in [f for f in self.findings.values() if f.state is State.CLEARED]:
            if self.tree.get(finding.process.key) is None:
                del self.findings[finding.id]
        present = [f for f in self.findings.values() if f.state is not State.CLEARED]
        runs_with_findings = {finding.run for finding in present}
        for key in self._ended_runs.keys() - runs_with_findings:
            if not self._ended_runs[key].children:
                self._forget_run(key)
        kept = {finding.process.key for finding in present} | self._ended_runs.keys()
        self._run_of.clear()
        self.tree.forget_old(self._now_ns, kept)
        for kind, key in [pair for pair in self._patience if self.tree.get(pair[1]) is None]:
            del self._patience[kind, key]
        for key in [key for key in self._found if self.tree.get(key) is None]:
            del self._found[key]
        return changes

    def _may_look(self, suspicion: Suspicion) -> bool:
        if self._is_looked_at(suspicion.key):
            return False
        if suspicion.depth is Depth.WAITS and self._now_ns < self._next_waits_ns:
            return False
        run = self.run_of(suspicion.key)
        if run is None:
            return False  # an editor's own helpers are its business
        patience = self._patience.get((suspicion.kind, suspicion.key))
        if patience and self._now_ns < patience.not_before_ns:
            return False
        return not self._is_found_of(suspicion.kind, suspicion.key, run.key)

    def _is_looked_at(self, key: ProcessKey) -> bool:
        return any(look.suspicions[0].key == key for look in self._looks.values())

    def _is_found_of(self, kind: Kind, key: ProcessKey, run: ProcessKey) -> bool:
        """Whether that was found before, of this process or, where many take part in one storm or
        one circle of waits, of its run. What was dismissed was found, too."""
        return self._is_found(kind, key) or (kind in _OF_A_RUN and self._is_found(kind, run))

    def _is_found(self, kind: Kind, key: ProcessKey) -> bool:
        return kind in self._found.get(key, ())

    def _note_found(self, finding: Finding) -> None:
        kinds = _OF_A_LOOP if finding.kind in _OF_A_LOOP else {finding.kind}
        self._found.setdefault(finding.process.key, set()).update(kinds)
        if finding.kind in _OF_A_RUN:
            self._found.setdefault(finding.run, set()).add(finding.kind)

    def _ask(self, suspicions: tuple[Suspicion, ...]) -> ExaminationWanted:
        self._n_examinations += 1
        self._looks[self._n_examinations] = _Look(suspicions, self._now_ns)
        suspicion = suspicions[0]
        around: tuple[ProcessKey, ...] = ()
        run = self.run_of(suspicion.key)
        if suspicion.depth is Depth.WAITS and run is not None:
            around = self._around(suspicion.key, run)
            since_ns = max(self._now_ns, self._next_waits_ns)
            self._next_waits_ns = since_ns + len(around) ** 2 * WAITS_INTERVAL_NS
        return ExaminationWanted(
            ExaminationRequest(
                self._n_examinations,
                suspicion.key,
                suspicion.depth,
                around,
                suspicion.child_argv,
            )
        )

    def _earn_measures(self, on_cpu_ns: int) -> None:
        policy = self.policy
        earned = on_cpu_ns / NS_PER_S / policy.cpu_s_per_measure
        self._measures_left = min(policy.measures_at_once, self._measures_left + earned)

    def _around(self, key: ProcessKey, run: Process) -> tuple[ProcessKey, ...]:
        """The living of its run; where they are very many those that are nearest. Of a part nothing
        follows, but who waits for each other is seldom far apart."""
        if self.tree.n_alive <= MAX_AROUND:
            return tuple(p.key for p in self.tree.alive() if self.run_of(p.key) is run)
        around = {key: None}
        for top in self.tree.ancestors(key):
            below = islice(self.tree.descendants(top.key), MAX_PASSED)
            around |= {each.key: None for each in (top, *below) if each.is_alive}
            if top is run or len(around) >= MAX_AROUND:
                break
        return tuple(islice(around, MAX_AROUND))

    def _drop_lost_looks(self) -> None:
        """An answer that never came must not block the next question."""
        limit_ns = self._now_ns - 20 * NS_PER_S
        for request_id in [i for i, look in self._looks.items() if look.asked_ns < limit_ns]:
            del self._looks[request_id]

    # -- judgement -----------------------------------------------------------------------------

    def _conclude(self, examination: Examination) -> list[Change]:
        look = self._looks.pop(examination.request_id, None)
        if look is None:
            return []
        if examination.is_brief:
            self._measures_left += 1
        scene = self._scene(())
        for suspicion in look.suspicions:
            finding = self._judge(scene, suspicion, examination)
            if finding is not None:
                self.history.find(finding)
                return [FindingChanged(finding)]
        return []

    def _judge(
        self, scene: Scene, suspicion: Suspicion, examination: Examination
    ) -> Finding | None:
        detector = self._detectors[suspicion.kind]
        patience = self._patience.setdefault((suspicion.kind, suspicion.key), _Patience())
        verdict = detector.judge(replace(scene, history=patience.history), suspicion, examination)
        if verdict is None:
            patience.history = (*patience.history[-2:], (self._now_ns, examination))
            waits_s = self.policy.spin.look_again_s
            wait_s = waits_s[min(patience.n_looks, len(waits_s) - 1)]
            if not examination.is_brief:  # that has cost it nothing
                patience.n_looks += 2 if examination.moves_on else 1
            patience.not_before_ns = self._now_ns + int(wait_s * NS_PER_S)
            return None
        finding = self._finding(verdict, examination)
        # Two may have been looked at at once, for the same thing.
        if finding is None or self._is_found_of(verdict.kind, finding.process.key, finding.run):
            return None
        finding = replace(finding, explanation=explain(finding))
        self._n_findings += 1
        self.findings[finding.id] = finding
        self._raised.add(finding.id)
        self._note_found(finding)
        return finding

    def _finding(self, verdict: Verdict, examination: Examination) -> Finding | None:
        process = self.tree.get(verdict.key)
        run = self.run_of(verdict.key)
        if process is None or run is None:
            return None
        place = attribute(examination, verdict.kind, verdict.key)
        severity = verdict.severity
        if place.location is None:  # no file of the user's is involved: none of theirs to change
            severity = max(severity, Severity.INFORMATION, key=lambda grave: grave.rank)
        facts = examination.process
        info = process.info()
        if facts is not None and facts.key == process.key:
            info = replace(
                info,
                argv=info.argv or facts.argv,
                exe=info.exe or facts.exe,
                cwd=info.cwd or facts.cwd,
            )
        evidence = verdict.evidence
        if place.calls:
            evidence.add(
                "loop_calls",
                ", ".join(name[:60] for name in place.calls),
                "names",
                "stacks and source code",
            )
        ancestry = []
        for ancestor in self.tree.ancestors(verdict.key) if verdict.key != run.key else ():
            ancestry.append(ancestor.info())
            if ancestor.key == run.key:
                break
        return Finding(
            id=f"f{self._n_findings + 1}",
            kind=verdict.kind,
            cause=verdict.cause,
            severity=severity,
            confidence=round(verdict.confidence, 2),
            process=info,
            ancestry=tuple(ancestry),
            run=run.key,
            location=place.location,
            other_locations=place.other_locations,
            test=place.test,
            onset_ns=verdict.onset_ns,
            flagged_ns=self._now_ns,
            ended_ns=None,
            evidence=evidence.items(),
            explanation=None,
        )

    def _move(self, finding_id: str, state: State) -> list[Change]:
        finding = self.findings.get(finding_id)
        if finding is None or state not in TRANSITIONS[finding.state]:
            return []
        ended_ns = finding.ended_ns if finding.ended_ns is not None else self._now_ns
        finding = replace(finding, state=state, ended_ns=ended_ns)
        self.findings[finding_id] = finding
        self._raised.discard(finding_id)
        self.history.find(finding)
        return [FindingChanged(finding)]

    def _scene(self, in_turn: Sequence[Process]) -> Scene:
        return Scene(
            tree=self.tree,
            policy=self.policy,
            now_ns=self._now_ns,
            n_cpus=self._n_cpus,
            loads=self._loads,
            ended_runs=self._ended_runs,
            in_turn=in_turn,
            run_of=self.run_of,
            is_found=self._is_found,
        )
