"""What is remembered of runs, under way and past: for showing, never for judging.

The engine tells what happens; memory (`use_memory`) comes from whoever can read it. Bounded in
every direction: an editor is open for weeks, and a storm starts a million processes. No clock,
no I/O.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from linnix_ls.core.events import Source
from linnix_ls.core.findings import Finding
from linnix_ls.core.ids import NS_PER_S, TICKS_PER_S, ProcessKey
from linnix_ls.core.runs import is_test_runner
from linnix_ls.core.tree import Process

MAX_RUNS = 50
MAX_SPANS = 5_000  # of one run
MAX_SPANS_OF_ALL = 20_000
MIN_ENDED_SHARE = 0.02  # or thinning out would be a look at many for few
MAX_SPANS_TOLD = 500  # at a time: nobody who has other things to do takes long over it
MAX_POINTS = 600
MAX_ARGV_CHARS = 2_000
MAX_ARGVS_SHARED = 1_000
SAMPLE_INTERVAL_NS = NS_PER_S // 4
SAMPLES_PER_RATE = 4  # CPU use is shown over the last second
# Runs of this kind, if they were short, make room first: an editor's own calls of git are many.
_EDITORS_OWN = frozenset({Source.EDITOR, Source.EXTENSION})
SHORT_NS = 2 * NS_PER_S


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run at a glance.

    Attributes:
        label: what a client called it.
        n_processes: that it has had, itself included.
        on_cpu_cores: over the last second.
        rss_bytes: of all its processes together, what they share counted in each; None when
            unknown or over.
        findings: all of it, those that were cleared, too.
    """

    key: ProcessKey
    label: str | None
    source: Source
    comm: str
    argv: tuple[str, ...]
    cwd: str | None
    began_ns: int
    ended_ns: int | None
    duration_s: float
    exit_code: int | None
    term_signal: int | None
    n_processes: int
    n_alive: int
    on_cpu_cores: float
    cpu_s: float
    rss_bytes: int | None
    peak_cores: float
    peak_processes: int
    peak_rss_bytes: int | None
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """One process of a run. Times are seconds since the run began.

    Attributes:
        parent: the nearest one above that is kept; None for the run itself.
    """

    key: ProcessKey
    parent: ProcessKey | None
    comm: str
    argv: tuple[str, ...]
    began_s: float
    ended_s: float | None
    exit_code: int | None
    term_signal: int | None
    cpu_s: float
    n_forks: int
    finding_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Curves:
    """A run over its time; all of equal length. `rss_bytes` has None where it is not known."""

    at_s: tuple[float, ...]
    cores: tuple[float, ...]
    n_processes: tuple[int, ...]
    rss_bytes: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class RunDetail:
    """What is remembered of a run, or what has changed.

    Attributes:
        version: to ask with the next time.
        is_whole: `spans` are to take the place of all that was told before.
        is_complete: there is no more to tell now; else ask again.
        n_left_out: processes that are not kept.
    """

    version: int
    is_whole: bool
    is_complete: bool
    run: RunSummary
    spans: tuple[Span, ...]
    n_left_out: int
    curves: Curves


@dataclass(slots=True, eq=False)
class _Span:
    run: _Run
    key: ProcessKey
    parent: ProcessKey | None
    comm: str
    argv: tuple[str, ...]
    began_ns: int
    version: int
    ended_ns: int | None = None
    exit_code: int | None = None
    term_signal: int | None = None
    cpu_ns: int = 0
    n_forks: int = 0
    finding_ids: tuple[str, ...] = ()


@dataclass(slots=True)
class _Curve:
    """Each point stands for `stride` samples; when it is full, for twice as many."""

    at_ns: list[int] = field(default_factory=list)
    cores: list[float] = field(default_factory=list)
    n_processes: list[int] = field(default_factory=list)
    rss_bytes: list[int | None] = field(default_factory=list)
    stride: int = 1
    n_pending: int = 0  # samples in the last point

    def add(self, at_ns: int, cores: float, n_processes: int, rss_bytes: int | None) -> None:
        if self.n_pending == 0:
            if len(self.at_ns) == MAX_POINTS:
                self._halve()
            self.at_ns.append(at_ns)
            self.cores.append(cores)
            self.n_processes.append(n_processes)
            self.rss_bytes.append(rss_bytes)
        else:
            self.cores[-1] += (cores - self.cores[-1]) / (self.n_pending + 1)
            self.n_processes[-1] = max(self.n_processes[-1], n_processes)
            self.rss_bytes[-1] = _larger(self.rss_bytes[-1], rss_bytes)
        self.n_pending = (self.n_pending + 1) % self.stride

    def _halve(self) -> None:
        pairs = range(0, MAX_POINTS, 2)
        self.at_ns = [self.at_ns[i] for i in pairs]
        self.cores = [(self.cores[i] + self.cores[i + 1]) / 2 for i in pairs]
        self.n_processes = [max(self.n_processes[i], self.n_processes[i + 1]) for i in pairs]
        self.rss_bytes = [_larger(self.rss_bytes[i], self.rss_bytes[i + 1]) for i in pairs]
        self.stride *= 2


@dataclass(slots=True, eq=False)
class _Run:
    key: ProcessKey
    cwd: str | None
    began_ns: int
    label: str | None
    source: Source
    is_named: bool = False  # by a client, for a process inside of it
    spans: dict[ProcessKey, _Span] = field(default_factory=dict)
    findings: dict[str, Finding] = field(default_factory=dict)
    curve: _Curve = field(default_factory=_Curve)
    marks: deque[tuple[int, int]] = field(
        default_factory=lambda: deque(maxlen=SAMPLES_PER_RATE + 1)
    )
    n_processes: int = 0
    n_alive: int = 0
    n_ended_kept: int = 0  # at most: of those among `spans` that are over
    cpu_ns: int = 0
    cores: float = 0.0
    rss_bytes: int | None = None
    peak_cores: float = 0.0
    peak_processes: int = 0
    peak_rss_bytes: int | None = None
    thinned_version: int = 0
    is_settled: bool = False  # all have ended, and the curve says so

    @property
    def first(self) -> _Span:
        return self.spans[self.key]

    @property
    def is_worth_thinning(self) -> bool:
        return self.n_ended_kept >= MIN_ENDED_SHARE * len(self.spans)


class History:
    """See the module.

    Args:
        first_version: versions rise from here. Two histories of one machine should not have the
            same ones: a client may ask the second about what it heard from the first.
    """

    def __init__(self, first_version: int = 0) -> None:
        self._first_version = self._version = first_version
        self._runs: dict[ProcessKey, _Run] = {}  # in the order in which they began
        self._living: dict[ProcessKey, _Span] = {}
        self._n_spans = 0
        self._argvs: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._next_sample_ns = 0

    # -- what happens --------------------------------------------------------------------------

    def begin(self, process: Process, label: str | None, source: Source) -> None:
        """`process` is a run, unless it is inside of one."""
        if process.key in self._living or process.key in self._runs:
            return
        run = _Run(process.key, process.cwd, _began_ns(process), label, source)
        run.marks.append((process.started_ns, 0))
        self._runs[run.key] = run
        self._add(run, process, self._shared(process.argv))
        if len(self._runs) > MAX_RUNS:
            self._forget_one()

    def name(self, key: ProcessKey, label: str | None, source: Source) -> None:
        """Of the run `key`, or of the run in which it is, if that one has no name."""
        run = self._runs.get(key)
        if run is not None:
            if label or not run.is_named:
                run.label, run.source = label or run.label, source
        elif label and (span := self._living.get(key)) and not span.run.label:
            span.run.label, span.run.source, span.run.is_named = label, source, True

    def under_way(self) -> list[ProcessKey]:
        """Runs that have processes."""
        return [run.key for run in self._runs.values() if run.n_alive]

    def add(self, process: Process) -> None:
        """A process that was born, or was found, inside of a run or not."""
        parent = self._living.get(process.parent) if process.parent else None
        if parent is None or process.key in self._living:
            return
        if process.was_there_before:
            self._add(parent.run, process, self._shared(process.argv))
        else:  # its parent's copy
            parent.n_forks += 1
            parent.version = self._version + 1
            self._add(parent.run, process, parent.argv)

    def exec(self, process: Process) -> None:
        span = self._living.get(process.key)
        if span is not None:
            self._touch(span)
            span.comm, span.argv = process.comm, self._shared(process.argv)
            if span.run.key == process.key:
                span.run.cwd = process.cwd or span.run.cwd

    def exit(self, process: Process) -> None:
        span = self._end(process.key, process.exited_ns or 0)
        if span is not None:
            span.exit_code, span.term_signal = process.exit_code, process.term_signal

    def remove(self, keys: Iterable[ProcessKey], now_ns: int) -> None:
        """They are watched no longer."""
        for key in keys:
            self._end(key, now_ns)

    def use_cpu(self, key: ProcessKey, used_ns: int) -> None:
        span = self._living.get(key)
        if span is not None:
            span.cpu_ns += used_ns
            span.run.cpu_ns += used_ns
            self._version += 1
            span.version = self._version

    def use_memory(self, rss_bytes: Mapping[ProcessKey, int]) -> None:
        """Of runs, as just read."""
        for key, rss in rss_bytes.items():
            if (run := self._runs.get(key)) and run.n_alive:
                run.rss_bytes = rss
                run.peak_rss_bytes = _larger(run.peak_rss_bytes, rss)

    def find(self, finding: Finding) -> None:
        """A finding was raised, or is another one now."""
        run = self._runs.get(finding.run)
        if run is None:
            return
        key = finding.process.key
        if finding.id not in run.findings:
            span = run.spans.get(key) or self._living.get(key)
            if span is not None and span.run is run:
                span.finding_ids += (finding.id,)
                self._touch(span)
                if key not in run.spans:
                    run.spans[key] = span
                    self._n_spans += 1
        run.findings[finding.id] = finding

    def tick(self, now_ns: int) -> None:
        """Time has passed: the curves go on."""
        if now_ns < self._next_sample_ns:
            return
        self._next_sample_ns = now_ns + SAMPLE_INTERVAL_NS
        for run in self._runs.values():
            if run.is_settled:
                continue
            since_ns, cpu_ns = run.marks[0]
            run.marks.append((now_ns, run.cpu_ns))
            if now_ns > since_ns:
                run.cores = (run.cpu_ns - cpu_ns) / (now_ns - since_ns)
            run.peak_cores = max(run.peak_cores, run.cores)
            if not run.n_alive:
                run.is_settled, run.cores, run.rss_bytes = True, 0.0, None
            run.curve.add(now_ns, run.cores, run.n_alive, run.rss_bytes)

    # -- what is asked -------------------------------------------------------------------------

    def living(self) -> dict[ProcessKey, list[ProcessKey]]:
        """The living processes of each run."""
        found: dict[ProcessKey, list[ProcessKey]] = {}
        for key, span in self._living.items():
            found.setdefault(span.run.key, []).append(key)
        return found

    def summaries(self, now_ns: int) -> tuple[RunSummary, ...]:
        """The newest first."""
        return tuple(self._summary(run, now_ns) for run in reversed(self._runs.values()))

    def detail(self, key: ProcessKey, since: int | None, now_ns: int) -> RunDetail | None:
        """None if there is no such run any more.

        Args:
            since: the version that the asker has; None for nothing.
        """
        run = self._runs.get(key)
        if run is None:
            return None
        is_whole = since is None or not (
            max(run.thinned_version, self._first_version) <= since <= self._version
        )
        known = 0 if is_whole or since is None else since
        changed = [span for span in run.spans.values() if span.version > known]
        version, is_complete = self._version, len(changed) <= MAX_SPANS_TOLD
        if not is_complete:  # no two have the same version but a child and its parent
            changed.sort(key=lambda span: span.version)
            version = changed[MAX_SPANS_TOLD - 1].version
            changed = [span for span in changed if span.version <= version]
        began_ns = run.began_ns
        curve = run.curve
        return RunDetail(
            version=version,
            is_whole=is_whole,
            is_complete=is_complete,
            run=self._summary(run, now_ns),
            spans=tuple(
                Span(
                    key=span.key,
                    parent=None if span.key == run.key else span.parent,
                    comm=span.comm,
                    argv=span.argv,
                    began_s=_seconds(span.began_ns - began_ns),
                    ended_s=None if span.ended_ns is None else _seconds(span.ended_ns - began_ns),
                    exit_code=span.exit_code,
                    term_signal=span.term_signal,
                    cpu_s=_seconds(span.cpu_ns),
                    n_forks=span.n_forks,
                    finding_ids=span.finding_ids,
                )
                for span in changed
            ),
            n_left_out=run.n_processes - len(run.spans),
            curves=Curves(
                at_s=tuple(_seconds(at_ns - began_ns) for at_ns in curve.at_ns),
                cores=tuple(round(cores, 2) for cores in curve.cores),
                n_processes=tuple(curve.n_processes),
                rss_bytes=tuple(curve.rss_bytes),
            ),
        )

    # -- inside --------------------------------------------------------------------------------

    def _add(self, run: _Run, process: Process, argv: tuple[str, ...]) -> None:
        self._version += 1
        key = process.key
        span = _Span(
            run, key, process.parent, process.comm, argv, _began_ns(process), self._version
        )
        self._living[key] = span
        run.n_processes += 1
        run.n_alive = n_alive = run.n_alive + 1
        run.is_settled = False
        if n_alive > run.peak_processes:  # noqa: PLR1730 - max() takes three times as long
            run.peak_processes = n_alive
        has_room = self._make_room(run)
        if not has_room and key != run.key:
            return
        run.spans[key] = span
        self._n_spans += 1

    def _make_room(self, run: _Run) -> bool:
        if len(run.spans) >= MAX_SPANS:
            return self._thin(run)
        return self._n_spans < MAX_SPANS_OF_ALL or self._thin(
            max(
                self._runs.values(),
                key=lambda run: (run.is_worth_thinning, not run.n_alive, run.n_ended_kept),
            )
        )

    def _end(self, key: ProcessKey, at_ns: int) -> _Span | None:
        span = self._living.pop(key, None)
        if span is not None:
            span.ended_ns = at_ns
            span.run.n_alive -= 1
            span.run.n_ended_kept += key in span.run.spans
            self._touch(span)
        return span

    def _touch(self, span: _Span) -> None:
        self._version += 1
        span.version = self._version

    def _shared(self, argv: tuple[str, ...]) -> tuple[str, ...]:
        """Bounded, and one for all who have the same."""
        known = self._argvs.get(argv)
        if known is None:
            if len(self._argvs) >= MAX_ARGVS_SHARED:
                self._argvs.clear()
            known = tuple(_bounded(argv)) if sum(map(len, argv)) > MAX_ARGV_CHARS else argv
            self._argvs[argv] = known
        return known

    def _thin(self, run: _Run) -> bool:
        """Leave out what mattered least, half of all, so that it is seldom done. False if there
        is too little to be gained: so many are alive."""
        if not run.is_worth_thinning:
            return False
        first = run.first
        over = [
            span
            for span in run.spans.values()
            if span.ended_ns is not None and not span.finding_ids and span is not first
        ]
        over.sort(key=_worth)
        gone = {span.key: span.parent for span in over[: len(run.spans) // 2]}
        run.n_ended_kept = len(over) - len(gone)
        if not gone:
            return False
        run.spans = {key: span for key, span in run.spans.items() if key not in gone}
        self._n_spans -= len(gone)
        run.thinned_version = self._version
        version = self._version
        for span in run.spans.values():  # they are told anew, all of them
            while span.parent in gone:
                span.parent = gone[span.parent]
            version += 1
            span.version = version
        self._version = version
        return True

    def _forget_one(self) -> None:
        """The oldest of those that will be missed least."""
        _, victim = min(
            enumerate(list(self._runs.values())[:-1]),
            key=lambda pair: (*_importance(pair[1]), pair[0]),
        )
        del self._runs[victim.key]
        self._n_spans -= len(victim.spans)
        if victim.n_alive:
            for key in [k for k, span in self._living.items() if span.run is victim]:
                del self._living[key]

    def _summary(self, run: _Run, now_ns: int) -> RunSummary:
        first = run.first
        source = run.source
        if source in _EDITORS_OWN and is_test_runner(first.argv):
            source = Source.TEST
        end_ns = first.ended_ns if first.ended_ns is not None else now_ns
        return RunSummary(
            key=run.key,
            label=run.label,
            source=source,
            comm=first.comm,
            argv=first.argv,
            cwd=run.cwd,
            began_ns=run.began_ns,
            ended_ns=first.ended_ns,
            duration_s=_seconds(end_ns - run.began_ns),
            exit_code=first.exit_code,
            term_signal=first.term_signal,
            n_processes=run.n_processes,
            n_alive=run.n_alive,
            on_cpu_cores=round(run.cores, 2) if run.n_alive else 0.0,
            cpu_s=_seconds(run.cpu_ns),
            rss_bytes=run.rss_bytes if run.n_alive else None,
            peak_cores=round(run.peak_cores, 2),
            peak_processes=run.peak_processes,
            peak_rss_bytes=run.peak_rss_bytes,
            findings=tuple(run.findings.values()),
        )


def _worth(span: _Span) -> int:
    """Of one that has ended: long and heavy ones are what a timeline is looked at for."""
    return span.cpu_ns + (span.ended_ns or 0) - span.began_ns


def _importance(run: _Run) -> tuple[bool, bool, bool]:
    first = run.first
    is_short = first.ended_ns is not None and first.ended_ns - run.began_ns < SHORT_NS
    is_editors_own = run.source in _EDITORS_OWN and not is_test_runner(first.argv)
    return run.n_alive > 0, bool(run.findings), not (is_short and is_editors_own)


def _began_ns(process: Process) -> int:
    """When it was seen first; of one that was there before, when it was started. That is told in
    time since boot, which goes on while a machine sleeps: then the moment is too late."""
    if process.was_there_before:
        return min(process.started_ns, process.key.start_ticks * (NS_PER_S // TICKS_PER_S))
    return process.started_ns


def _bounded(argv: tuple[str, ...]) -> Iterator[str]:
    n_left = MAX_ARGV_CHARS
    for argument in argv:
        if len(argument) >= n_left:
            yield argument[:n_left] + "…"
            return
        n_left -= len(argument) + 1
        yield argument


def _larger(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else max(one, other)


def _seconds(ns: int) -> float:
    return round(max(0, ns) / NS_PER_S, 3)
