"""A feed in memory: a test says what happens, and sees what was asked for."""

import os
import time
from dataclasses import dataclass, field, replace

from linnix_ls.core.changes import FindingChanged
from linnix_ls.core.findings import (
    Cause,
    Evidence,
    Explanation,
    Finding,
    Kind,
    OtherLocation,
    ProcessInfo,
    Severity,
    SourceLocation,
    State,
)
from linnix_ls.core.history import RunDetail
from linnix_ls.core.ids import ProcessKey
from linnix_ls.errors import AgentError
from linnix_ls.feed.base import (
    FeedChange,
    FeedState,
    FeedStatus,
    ProcessView,
    Snapshot,
    StackView,
    StatusChanged,
    StopOutcome,
)

WATCHING = FeedStatus(FeedState.WATCHING, tracer="bcc", n_received=12, n_processes=3)


def a_process(pid, comm, *argv, cwd="/"):
    return ProcessInfo(
        key=ProcessKey(pid, pid * 100),
        ppid=pid - 1,
        uid=os.getuid(),
        comm=comm,
        exe=f"/usr/bin/{comm}",
        argv=argv or (comm,),
        cwd=cwd,
    )


def a_finding(path="/nowhere/pump.py", line=2, **changes):
    """A spin in `drain`, at `line` of `path`; `changes` are fields of `Finding`."""
    now_ns = time.monotonic_ns()
    finding = Finding(
        id="f1",
        kind=Kind.CPU_SPIN,
        cause=Cause.BUSY_POLL,
        severity=Severity.WARNING,
        confidence=0.93,
        process=a_process(4412, "python3", "python3", "pump.py"),
        ancestry=(a_process(4400, "pytest", "pytest", "-q"),),
        run=ProcessKey(4400, 440000),
        location=path and SourceLocation(str(path), line, None, "drain", 0.9, "97 of 99 samples"),
        other_locations=(),
        test="tests/test_pump.py::test_drain",
        onset_ns=now_ns - 2_000_000_000,
        flagged_ns=now_ns,
        ended_ns=None,
        evidence=(Evidence("e1", "on_cpu_cores", 0.99, "cores", 2.0, "cpu_clock samples"),),
        explanation=Explanation(
            "rules",
            "drain() polls without waiting",
            "It kept 0.99 cores busy.",
            ("Wait for the queue.",),
            ("e1",),
        ),
    )
    return replace(finding, **changes)


@dataclass
class MemoryFeed:
    """Implements `feed.base.Feed`.

    Attributes:
        calls: what was asked of it, in order.
        now: its status.
        refused: pids that `watch` refuses.
        failure: raised by `stop_process`, `dismiss` and `use_thresholds` when set.
    """

    findings: dict[str, Finding] = field(default_factory=dict)
    now: FeedStatus = WATCHING
    calls: list[tuple] = field(default_factory=list)
    refused: set[int] = field(default_factory=set)
    failure: AgentError | None = None
    processes: tuple[ProcessView, ...] = ()
    details: tuple[RunDetail, ...] = ()
    the_stack: StackView = field(default_factory=lambda: StackView((), "nobody looks", 0.0))
    sequence: int = 0
    callbacks: list = field(default_factory=list)
    is_closed: bool = False
    the_playground: object = None

    def happens(self, change):
        self.sequence += 1
        if isinstance(change, FindingChanged):
            self.findings[change.finding.id] = change.finding
        if isinstance(change, StatusChanged):
            self.now = change.status
        for callback in list(self.callbacks):
            callback(FeedChange(self.sequence, change))

    def raises(self, finding):
        self.happens(FindingChanged(finding))

    def clears(self, finding):
        self.happens(FindingChanged(replace(finding, state=State.CLEARED)))

    def breaks(self, reason="the agent has gone"):
        self.happens(StatusChanged(FeedStatus(FeedState.OFF, degraded=reason)))

    def snapshot(self):
        alive = [each for each in self.findings.values() if each.state is not State.CLEARED]
        return Snapshot(self.sequence, self.now, tuple(alive))

    def subscribe(self, callback):
        self.callbacks.append(callback)
        return lambda: self.callbacks.remove(callback)

    async def watch(self, pid, label, *, is_run=False, is_root_judged=False, source="other"):
        self.calls.append(("watch", pid, label, is_root_judged, str(source)))
        if pid in self.refused:
            raise AgentError(f"there is no process {pid}")
        return ProcessKey(pid, pid * 100)

    async def unwatch(self, key):
        self.calls.append(("unwatch", key.pid))

    async def watch_tag(self, value, source, label):
        if self.failure:
            raise self.failure
        self.calls.append(("watch_tag", value, str(source), label))

    async def unwatch_tag(self, value):
        self.calls.append(("unwatch_tag", value))

    async def ignore(self, pid):
        self.calls.append(("ignore", pid))

    async def watch_folders(self, folders):
        self.calls.append(("watch_folders", *folders))

    async def allow_jvm_attach(self, is_allowed):
        self.calls.append(("allow_jvm_attach", is_allowed))

    async def use_thresholds(self, policy):
        if self.failure:
            raise self.failure
        self.calls.append(("use_thresholds", policy))

    async def status(self):
        return self.now

    async def process_tree(self):
        return self.processes

    async def runs(self):
        if self.failure:
            raise self.failure
        return tuple(detail.run for detail in self.details)

    async def run(self, key, since=None):
        if self.failure:
            raise self.failure
        self.calls.append(("run", key, since))
        return next((detail for detail in self.details if detail.run.key == key), None)

    async def stack(self, key):
        if self.failure:
            raise self.failure
        return self.the_stack

    async def stop_process(self, key, *, tree=False):
        if self.failure:
            raise self.failure
        self.calls.append(("stop_process", key, tree))
        return StopOutcome.STOPPED

    async def dismiss(self, finding_id):
        if self.failure:
            raise self.failure
        self.calls.append(("dismiss", finding_id))
        self.clears(self.findings[finding_id])

    @property
    def playground(self):
        return self.the_playground

    async def record_inputs(self):
        pass

    async def close(self):
        self.is_closed = True


def a_place(path, line, role):
    return OtherLocation(str(path), line, role)
