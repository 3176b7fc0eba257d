"""Recordings of real runs give, without privilege and at once, the findings that live did.

What live said is in tests/traces/findings.json; `tests.traces.record` records both anew.
"""

import asyncio
import gzip
import json
import re

import pytest

from bench.scoring import BENIGN
from bench.scoring import Case as Label
from linnix_ls.app import replay_feed
from linnix_ls.core.events import Examined
from linnix_ls.feed.base import FeedChange
from linnix_ls.tracer.trace_file import read_trace
from tests.traces import record
from tests.traces.record import (
    CASES,
    CORPUS_FINDINGS,
    CORPUS_TRACES,
    EXAMPLES,
    FINDINGS,
    HERE,
    MAX_CORPUS_BYTES,
    MAX_TRACE_BYTES,
    WORKPLACE,
    corpus_folders,
    found_again,
)

LIVE = json.loads(FINDINGS.read_text())
CORPUS_LIVE = json.loads(CORPUS_FINDINGS.read_text())
LABELS = {name: Label.read(corpus_folders()[name]) for name in CORPUS_LIVE}


def trace_of(name):
    return read_trace(HERE / f"{name}.trace")


def replayed(name):
    """What an engine finds in a recording."""
    return record.replayed(trace_of(name))


def in_short(finding, name):
    return record.in_short(finding, WORKPLACE / name)


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


def test_every_recording_of_the_corpus_has_its_findings():
    assert {path.stem for path in CORPUS_TRACES.glob("*.trace")} == set(CORPUS_LIVE)


@pytest.mark.parametrize("name", CORPUS_LIVE)
def test_replay_of_the_corpus_says_what_live_said(name):
    label, trace = LABELS[name], CORPUS_TRACES / f"{name}.trace"
    found = found_again(trace, label, WORKPLACE / name)
    assert found == CORPUS_LIVE[name]
    if label.label == BENIGN:
        assert found == []
    else:
        assert {finding["kind"].replace("_", "-") for finding in found} & label.accepted
        assert label.cause in {finding["cause"].replace("_", "-") for finding in found}


def test_the_recordings_are_small_all_together():
    sizes = [path.stat().st_size for path in CORPUS_TRACES.glob("*.trace")]
    assert sum(sizes) < MAX_CORPUS_BYTES


def test_recordings_do_not_tell_of_the_machine_where_they_were_made():
    for path in HERE.glob("**/*.trace"):
        text = gzip.decompress(path.read_bytes()).decode()
        told = set(re.findall(r"/(?:tmp|work|root/\.cache)/[\w./-]+", text))
        assert {place for place in told if not place.startswith(str(WORKPLACE))} == set(), path
