"""Processes that start processes without end.

Builds and test suites start hundreds of processes a second and mean well: they start different
programs, which succeed, and they come to an end. A storm repeats itself (the same command that
fails at once), contains itself (a program under sixteen copies of itself), forks without ever
running a program, or piles up processes that never end.
"""

from __future__ import annotations

import functools
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from linnix_ls.core.detectors.base import (
    EvidenceList,
    Scene,
    Suspicion,
    Verdict,
)
from linnix_ls.core.examination import Depth, Examination
from linnix_ls.core.findings import Cause, Finding, Kind, Severity
from linnix_ls.core.ids import NS_PER_S, ProcessKey
from linnix_ls.core.tree import Process, program_name

AT_ONCE_NS = 50_000_000
PAUSE_NS = 20_000_000
BUSY_SHARE = 0.5  # of so many copies as too many are
_MAKES = frozenset({"make", "gmake", "ninja"})
_OF_A_CROWD = frozenset({Cause.PROCESS_RECURSION, Cause.WORKER_OVERSUBSCRIPTION})


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
                child_argv=storm.child_argv,
            )

    def judge(self, scene: Scene, suspicion: Suspicion, examination: Examination) -> Verdict | None:
        # What decided is in the tree already; the glance was for the place. It must still hold.
        for storm in _storms(scene):
            if storm.spawner.key == suspicion.key or _has_moved_on(scene, storm, suspicion.key):
                if storm.cause is Cause.RETRY_LOOP and _goes_through_inputs(examination):
                    return None
                return Verdict(
                    kind=self.kind,
                    cause=storm.cause,
                    severity=Severity.WARNING,
                    confidence=storm.confidence,
                    key=suspicion.key,
                    onset_ns=min(storm.onset_ns, suspicion.onset_ns),
                    evidence=storm.evidence,
                )
        return None

    def is_over(self, scene: Scene, finding: Finding) -> bool:
        since_ns = scene.now_ns - int(scene.policy.calm_s * NS_PER_S)
        if finding.cause in _OF_A_CROWD and _is_crowded(scene):
            crowd = _crowds(scene).get(finding.run)
            if crowd is not None and _oversubscription(scene, crowd) is not None:
                return False  # it cannot start more of them, and tries
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


@dataclass(slots=True)
class _Storm:
    spawner: Process
    cause: Cause
    confidence: float
    onset_ns: int
    n_starts: int
    evidence: EvidenceList
    child_argv: tuple[str, ...] = ()


def _storms(scene: Scene) -> Iterable[_Storm]:
    since_ns = scene.now_ns - int(scene.policy.storm.long_window_s * NS_PER_S)
    by_parent: dict[ProcessKey, list[Process]] = {}
    for child in reversed(scene.tree.recent_forks):
        if child.started_ns < since_ns:
            break
        if child.is_judged and child.parent is not None:
            by_parent.setdefault(child.parent, []).append(child)
    by_run: dict[ProcessKey, dict[ProcessKey, list[Process]]] = {}
    for key, children in by_parent.items():
        run = scene.run_of(key)
        if run is not None:
            by_run.setdefault(run.key, {})[key] = children
    crowds = _crowds(scene) if _is_crowded(scene) else {}
    for run_key in {**by_run, **crowds}:
        if scene.is_found(Kind.FORK_STORM, run_key):
            continue
        families = by_run.get(run_key, {})
        # Each of these explains every rate, and of a recursion the crowd is the consequence.
        storm = _recursion_of_run(scene, families) or (
            _oversubscription(scene, crowds[run_key]) if run_key in crowds else None
        )
        if storm is not None:
            yield storm
        else:
            yield from _repetitions(scene, families)


def _recent(scene: Scene, children: list[Process]) -> list[Process]:
    since_ns = scene.now_ns - int(scene.policy.storm.window_s * NS_PER_S)
    return [child for child in children if child.started_ns >= since_ns]


def _recursion_of_run(scene: Scene, by_parent: dict[ProcessKey, list[Process]]) -> _Storm | None:
    started = [c for children in by_parent.values() for c in _recent(scene, children)]
    return _recursion(scene, started) if started else None


def _repetitions(scene: Scene, by_parent: dict[ProcessKey, list[Process]]) -> Iterable[_Storm]:
    """`by_parent`: what was started within the long window, newest first."""
    for key, children in by_parent.items():
        spawner = scene.tree.get(key)
        if spawner is not None and spawner.is_judged and spawner.is_alive:
            repetition = _repetition(scene, spawner, _recent(scene, children)) or (
                _repetition(scene, spawner, children) if _is_without_a_pause(children) else None
            )
            if repetition is not None:
                yield repetition


def _is_without_a_pause(children: list[Process]) -> bool:
    """Whether nearly each was started at once when another one had failed."""
    ends_ns = sorted(
        child.exited_ns
        for child in children
        if child.exited_ns is not None and child.exit_code != 0
    )
    n_at_once = 0
    for child in children:
        at = bisect_left(ends_ns, child.started_ns)
        n_at_once += at > 0 and child.started_ns - ends_ns[at - 1] < AT_ONCE_NS
    # The first ones follow nobody.
    return n_at_once >= 0.8 * len(children)


def _has_moved_on(scene: Scene, storm: _Storm, key: ProcessKey) -> bool:
    """Whether `key` was the newest copy in a recursion that has gone deeper meanwhile, or is one
    of many that start copies of themselves. It still stands at the line that starts the next
    one."""
    process, run = scene.tree.get(key), scene.run_of(key)
    return (
        process is not None
        and (
            storm.cause in (Cause.PROCESS_RECURSION, Cause.RECURSIVE_MAKE)
            or (storm.cause is Cause.WORKER_OVERSUBSCRIPTION and process.argv == storm.child_argv)
        )
        and process.is_alive
        and run is not None
        and run is scene.run_of(storm.spawner.key)
    )


def _goes_through_inputs(examination: Examination) -> bool:
    """Whether who starts the same command again and again gives it another input each time: from
    a loop that it hands on, or because it is called anew, and not from a loop of the user's: a
    test runner with many cases. The input itself need not be on the command line."""
    user_frames = [[f for f in look.frames if f.is_user_code] for look in examination.stacks]
    innermost = [frames[0] for frames in user_frames if frames]
    if not innermost:
        return False
    if any(frame.is_fed for frames in user_frames for frame in frames):
        return True
    states = {look.state_hash for look in examination.stacks if look.state_hash is not None}
    return len(states) > 1 and not any(frame.loops for frames in user_frames for frame in frames)


def _recursion(scene: Scene, started: list[Process]) -> _Storm | None:
    """A program that ends up starting itself: a chain of copies, or a tree of them."""
    policy = scene.policy.storm
    deepest = max(started, key=lambda child: child.n_copies_above)
    n_nested = sum(
        child.is_alive and child.n_copies_above >= policy.nested_copies_above for child in started
    )
    repeated = max(started, key=lambda child: child.n_same_command_above)
    if repeated.n_same_command_above >= policy.same_command_depth or (
        repeated.n_same_command_above >= policy.same_round_depth
        and _goes_in_circles(scene, repeated)
    ):
        deepest = repeated
    elif deepest.n_copies_above < policy.recursion_depth and (
        n_nested < policy.nested_copies
        # Workers of workers are as deep as they are, and no deeper.
        or deepest.n_copies_above <= policy.nested_copies_above
    ):
        return None
    name = deepest.program
    copies = [a for a in scene.tree.ancestors(deepest.key) if a.is_alive and a.program == name]
    # Who started the newest copy stands at the line that does it.
    spawner = next((a for a in scene.tree.ancestors(deepest.key) if a.is_alive), None)
    if not copies or spawner is None or not spawner.is_judged:
        return None
    evidence = EvidenceList()
    evidence.add("program", name, "name", "exec events")
    evidence.add("recursion_depth", deepest.n_copies_above, "processes", "fork events")
    evidence.add("starts_per_s", *_rate(scene, started))
    evidence.add("copies_alive", max(n_nested, len(copies)), "processes", "fork events")
    return _Storm(
        spawner=spawner,
        cause=Cause.RECURSIVE_MAKE if name in _MAKES else Cause.PROCESS_RECURSION,
        confidence=0.95,
        onset_ns=copies[-1].started_ns,
        n_starts=len(started),
        evidence=evidence,
        child_argv=deepest.argv,
    )


def _goes_in_circles(scene: Scene, process: Process) -> bool:
    """Whether the commands above it are twice the same ones in the same order, several a time."""
    lineage = [process, *scene.tree.ancestors(process.key)]
    commands = [(p.argv, p.cwd) for p in lineage if not p.is_forked_copy]
    period = next((i for i, c in enumerate(commands) if i and c == commands[0]), 0)
    return period > 1 and commands[:period] == commands[period : 2 * period]


def _is_crowded(scene: Scene) -> bool:
    """Whether there can be a crowd at all."""
    return scene.tree.n_alive >= scene.policy.storm.busy_nested_copies_per_cpu * scene.n_cpus


def _crowds(scene: Scene) -> dict[ProcessKey, list[Process]]:
    """Of each run, the living copies of the program of which most want a CPU, where they may be
    too many."""
    policy = scene.policy.storm
    fewest = min(policy.busy_nested_copies_per_cpu, policy.busy_copies_per_cpu) * scene.n_cpus
    since_ns = scene.now_ns - int(policy.window_s * NS_PER_S)
    busy: Counter[tuple[ProcessKey, str]] = Counter()
    for process in scene.tree.active():
        if process.last_on_cpu_ns > since_ns and process.is_judged:
            run = scene.run_of(process.key)
            if run is not None and run is not process:
                busy[run.key, process.program] += 1
    crowds: dict[ProcessKey, list[Process]] = {}
    for (run_key, program), n_busy in busy.most_common():
        if n_busy < BUSY_SHARE * fewest:
            break
        if run_key not in crowds:
            crowds[run_key] = [
                process
                for process in scene.tree.alive()
                if process.program == program
                and process.is_judged
                and (run := scene.run_of(process.key))
                and run.key == run_key
                and run is not process
            ]
    return crowds


def _oversubscription(scene: Scene, copies: list[Process]) -> _Storm | None:
    """Far more copies of one program want a CPU than there are."""
    policy = scene.policy.storm
    wanted = policy.busy_copies_per_cpu * scene.n_cpus
    n_nested = sum(process.n_copies_above > 1 for process in copies)
    if n_nested >= 0.5 * len(copies):  # workers that start workers: nobody means that
        wanted = policy.busy_nested_copies_per_cpu * scene.n_cpus
    if len(copies) < wanted:
        return None
    since_ns = scene.now_ns - int(policy.window_s * NS_PER_S)
    busy = [process for process in copies if process.last_on_cpu_ns > since_ns]
    # On a loaded machine not each of them gets a CPU within the window.
    if len(busy) < BUSY_SHARE * wanted:
        return None
    parents = Counter(process.parent for process in busy)
    spawner = max(
        (p for key in parents if key and (p := scene.tree.get(key)) and p.is_alive),
        key=lambda parent: (parents[parent.key], parent.n_copies_above),
        default=None,
    )
    if spawner is None or not spawner.is_judged:
        return None
    name = busy[0].program
    evidence = EvidenceList()
    evidence.add("program", name, "name", "exec events")
    evidence.add("busy_copies", len(busy), "processes", "cpu_clock samples", policy.window_s)
    evidence.add("cpus", scene.n_cpus, "cpus", "the machine")
    onset_ns = min(process.started_ns for process in busy)
    cause, child_argv = Cause.WORKER_OVERSUBSCRIPTION, busy[0].argv
    return _Storm(spawner, cause, 0.75, onset_ns, len(busy), evidence, child_argv)


def _repetition(scene: Scene, spawner: Process, children: list[Process]) -> _Storm | None:
    """The same thing again and again. `children`: those started within the window."""
    policy = scene.policy.storm
    if not children:
        return None
    rate, unit, source, window_s = _rate(scene, children)
    is_slow = window_s > policy.window_s + 0.5
    min_starts = policy.min_slow_starts if is_slow else policy.min_starts
    min_starts_per_s = min_starts / policy.long_window_s if is_slow else policy.min_starts_per_s
    if len(children) < min_starts or rate < min_starts_per_s:
        return None
    by_command: dict[tuple[str, ...], list[Process]] = {}
    for child in children:
        by_command.setdefault(_command(child), []).append(child)
    evidence = EvidenceList()
    evidence.add("starts_per_s", rate, unit, source, window_s)
    evidence.add("starts", len(children), "processes", source, window_s)
    onset_ns = min(child.started_ns for child in children)
    failing = _failing(scene, by_command)
    if failing is not None:
        command, failed_share = failing
        n_rounds = len(by_command[command])
        # A try may take several programs: one that asks, and one that looks at the answer.
        of_rounds = [same for same in by_command.values() if len(same) > 0.5 * n_rounds]
        same_share = sum(map(len, of_rounds)) / len(children)
        is_paced = any(map(_is_pause, of_rounds))
        if (
            not is_paced
            and same_share >= policy.same_argv_share
            and n_rounds >= min_starts
            and n_rounds / window_s >= min_starts_per_s
        ):
            evidence.add("same_command_share", same_share, "share", "exec events", window_s)
            evidence.add("commands_in_round", len(of_rounds), "commands", "exec events", window_s)
            evidence.add("failed_exits_share", failed_share, "share", "exit events", window_s)
            evidence.add("command", command[0] or "a copy of itself", "name", "exec events")
            child_argv = () if command == _COPY else by_command[command][0].argv
            cause = Cause.RETRY_LOOP
            return _Storm(spawner, cause, 0.95, onset_ns, len(children), evidence, child_argv)
    copies_share = len(by_command.get(_COPY, ())) / len(children)
    if rate >= policy.bare_forks_per_s and copies_share >= policy.same_argv_share:
        evidence.add("forks_without_exec_share", copies_share, "share", source, window_s)
        return _Storm(spawner, Cause.RETRY_LOOP, 0.8, onset_ns, len(children), evidence)
    return None


_COPY = ("",)


def _command(child: Process) -> tuple[str, ...]:
    """What it runs, for comparing: handles, ports and seeds differ from one try to the next."""
    return _COPY if child.is_forked_copy else _generalised(child.argv, child.comm)


@functools.lru_cache(maxsize=1024)  # a storm repeats itself, and is looked at ten times a second
def _generalised(argv: tuple[str, ...], comm: str) -> tuple[str, ...]:
    return (program_name(argv, comm), *(re.sub(r"\d+", "0", word) for word in argv[1:8]))


def _failing(
    scene: Scene, by_command: dict[tuple[str, ...], list[Process]]
) -> tuple[tuple[str, ...], float] | None:
    """The commonest command of those that fail (nearly) each time, and how often it does."""
    found: tuple[tuple[str, ...], float] | None = None
    for command, same in by_command.items():
        # Of those whose end was not seen, nobody knows whether they failed.
        ended = [c for c in same if c.exit_code is not None or c.term_signal is not None]
        failed_share = sum(c.exit_code != 0 for c in ended) / len(ended) if ended else 0.0
        if (
            failed_share >= scene.policy.storm.failed_exits_share
            and len(ended) >= 0.5 * len(same)
            and not _is_enumeration(same)
            and (found is None or len(same) > len(by_command[found[0]]))
        ):
            found = command, failed_share
    return found


def _is_pause(same: list[Process]) -> bool:
    """Whether these do nothing but let time go by: `sleep 0.05`."""
    lives_ns = sorted(c.exited_ns - c.started_ns for c in same if c.exited_ns is not None)
    on_cpu_ns = sum(child.on_cpu_ns(child.started_ns) for child in same)
    return (
        bool(lives_ns)
        and lives_ns[len(lives_ns) // 2] >= PAUSE_NS
        and on_cpu_ns < 0.1 * sum(lives_ns)
        and all(child.exit_code == 0 for child in same if child.exited_ns is not None)
    )


def _is_enumeration(same: list[Process]) -> bool:
    """Commands that differ in numbers, and hardly two are the same: a test goes through its
    inputs, a scan through its ports."""
    return len({child.argv for child in same}) > 0.5 * len(same) > 1


def _rate(scene: Scene, children: list[Process]) -> tuple[float, str, str, float]:
    """Starts a second, over the time since the first of them; value, unit, source, window."""
    first_ns = min(child.started_ns for child in children)
    window_s = max((scene.now_ns - first_ns) / NS_PER_S, 0.5)
    return len(children) / window_s, "starts/s", "fork events", window_s
