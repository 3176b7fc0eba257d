"""Recordings of real runs give, without privilege and at once, the findings that live did.

What live said is in tests/traces/findings.json; `tests.traces.record` records both anew.
"""

import asyncio
import json
import re
from pathlib import Path

import pytest

from linnix_ls.app import replay_feed
from linnix_ls.core.engine import Engine
from linnix_ls.core.events import Examined
from linnix_ls.feed.base import FeedChange
from linnix_ls.tracer.trace_file import read_trace
from tests.traces.record import CASES, EXAMPLES, FINDINGS, HERE, MAX_TRACE_BYTES, WORKPLACE

LIVE = json.loads(FINDINGS.read_text())


def trace_of(name):
    return read_trace(HERE / f"{name}.trace")


def replayed(name):
    """What an engine finds in a recording."""
    engine = Engine()
    for event in trace_of(name).events:
        engine.receive(event)
    return list(engine.findings.values())


def in_short(finding, name):
    return {
        "kind": finding.kind,
        "cause": finding.cause,
        "file": str(Path(finding.location.path).relative_to(WORKPLACE / name)),
        "line": finding.location.line,
        "function": finding.location.function,
        "test": finding.test,
    }


def test_every_case_is_recorded_and_every_recording_is_a_case():
    assert {path.stem for path in HERE.glob("*.trace")} == set(CASES) == set(LIVE)


@pytest.mark.parametrize("name", CASES)
def test_replay_says_what_live_said(name):
    assert [in_short(finding, name) for finding in replayed(name)] == LIVE[name]


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.kinds])
def test_runaways_are_told_as_such(name):
    findings = replayed(name)
    assert tuple(finding.kind for finding in findings) == CASES[name].kinds
    for finding in findings:
        assert finding.explanation.summary
        assert finding.evidence
        assert finding.onset_ns <= finding.flagged_ns


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case.kinds])
def test_innocents_are_found_innocent_and_not_overlooked(name):
    trace = trace_of(name)
    assert LIVE[name] == replayed(name) == []
    assert trace.exit_code == 0
    # They were suspected and looked at closely, or started many processes.
    n_examined = sum(isinstance(event, Examined) for event in trace.events)
    assert n_examined or len(trace.events) > 400


@pytest.mark.parametrize("name", CASES)
def test_a_recording_is_small_and_whole(name):
    assert (HERE / f"{name}.trace").stat().st_size < MAX_TRACE_BYTES
    assert not trace_of(name).is_truncated


def lines_between(path, first, last):
    """The lines of the sample project from one that matches to the next that matches the other."""
    lines = (EXAMPLES / "parcels" / path).read_text().splitlines()
    start = next(n for n, text in enumerate(lines, 1) if re.search(first, text))
    end = next(n for n, text in enumerate(lines, 1) if n >= start and re.search(last, text))
    return range(start, end + 1)


@pytest.mark.parametrize(
    ("name", "path", "first", "last"),
    [
        ("parcels-labels", "parcels/labels.py", r"while len\(rest\)", "lstrip"),
        ("parcels-supervisor", "parcels/supervisor.py", "while True", "log.info"),
    ],
)
def test_of_the_sample_project_the_guilty_loops_are_found(name, path, first, last):
    [finding] = replayed(name)
    assert finding.location.path.endswith(path)
    assert finding.location.line in lines_between(path, first, last)


@pytest.mark.asyncio
@pytest.mark.parametrize("name", CASES)
async def test_a_feed_that_replays_hears_of_each_finding(name):
    heard: list[FeedChange] = []
    feed, trace = await replay_feed(HERE / f"{name}.trace", heard.append)
    findings = feed.snapshot().findings
    await feed.close()
    await asyncio.sleep(0)
    assert trace.header.tracer == "bcc"
    assert [in_short(finding, name) for finding in findings] == LIVE[name]
    assert [change.sequence for change in heard] == sorted(change.sequence for change in heard)
