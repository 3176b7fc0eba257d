"""Findings and runs for the tests of what is written about them."""

from dataclasses import replace
from datetime import UTC, datetime

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
)
from linnix_ls.core.ids import NS_PER_S, ProcessKey
from linnix_ls.feed.base import FeedState, FeedStatus
from linnix_ls.report.document import RunFacts

# Of pump.py, where line 4 asks.
PUMP_SOURCE = """\
class Pump:
    def drain(self):
        while True:
            if self.queue.empty():
                continue
            self.take()
"""

STARTED_NS = 1_000 * NS_PER_S

FACTS = RunFacts(
    command=("pytest", "-q"),
    cwd="/ws",
    exit_code=1,
    started_at=datetime(2026, 1, 31, 12, 0, tzinfo=UTC),
    started_ns=STARTED_NS,
    duration_s=9.8,
)

STATUS = FeedStatus(FeedState.WATCHING, tracer="bcc", n_received=5123, n_processes=88)

PYTEST = ProcessInfo(
    ProcessKey(4400, 991200), 1, 1000, "pytest", "/usr/bin/python3", ("pytest", "-q"), "/ws"
)
PUMP = ProcessInfo(
    ProcessKey(4412, 991234),
    4400,
    1000,
    "python3",
    "/usr/bin/python3",
    ("python3", "pump.py"),
    "/ws",
)

SPIN = Finding(
    id="f1",
    kind=Kind.CPU_SPIN,
    cause=Cause.BUSY_POLL,
    severity=Severity.WARNING,
    confidence=0.93,
    process=PUMP,
    ancestry=(PYTEST,),
    run=PYTEST.key,
    location=SourceLocation("/ws/pump.py", 41, 43, "drain", 0.9, "python stack, 97 of 99 samples"),
    other_locations=(
        OtherLocation("/ws/tests/test_pump.py", 12, "test"),
        OtherLocation("/ws/tests/helpers.py", 7, "spawn_site"),
    ),
    test="tests/test_pump.py::test_drain",
    onset_ns=STARTED_NS + 1_200_000_000,
    flagged_ns=STARTED_NS + 2_600_000_000,
    ended_ns=None,
    evidence=(
        Evidence("e1", "on_cpu_cores", 0.99, "cores", 2.0, "cpu_clock samples"),
        Evidence("e2", "commonest_syscall", "epoll_wait", "name", 2.0, "sys_exit probe"),
    ),
    explanation=Explanation(
        "rules",
        "drain() asks an empty queue again and again",
        "It used 0.99 cores.",
        ("Wait in the call.", "Or sleep."),
        ("e1",),
    ),
)


def a_spin(**changes):
    return replace(SPIN, **changes)


def at(path, line, end_line=None):
    return SourceLocation(str(path), line, end_line, "drain", 0.9, "97 of 99 samples")
