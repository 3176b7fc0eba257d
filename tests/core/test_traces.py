"""Recordings of real runs give, without privilege and at once, the findings that live did.

Made anew by ``make traces``: `linnix-ls run --record` on the sample project.
"""

import asyncio
import re
from pathlib import Path

import pytest

from linnix_ls.app import replay_feed

ROOT = Path(__file__).parents[2]
TRACES = ROOT / "tests/traces"
SAMPLE = ROOT / "examples/parcels"


def replayed(name):
    async def play():
        feed, trace = await replay_feed(TRACES / name)
        findings = feed.snapshot().findings
        await feed.close()
        return findings, trace

    return asyncio.run(play())


def lines_between(path, first, last):
    lines = (SAMPLE / path).read_text().splitlines()
    start = next(n for n, text in enumerate(lines, 1) if re.search(first, text))
    end = next(n for n, text in enumerate(lines, 1) if n >= start and re.search(last, text))
    return range(start, end + 1)


@pytest.mark.parametrize(
    ("name", "conclusion", "path", "loop", "test"),
    [
        (
            "parcels-labels.trace",
            ("cpu_spin", "pure_loop"),
            "parcels/labels.py",
            (r"while len\(rest\)", "lstrip"),
            "test_long_street_names_fit_on_labels",
        ),
        (
            "parcels-supervisor.trace",
            ("fork_storm", "retry_loop"),
            "parcels/supervisor.py",
            ("while True", "log.info"),
            "test_supervisor_gives_up_when_there_is_no_printer",
        ),
    ],
)
def test_a_recorded_runaway_is_found_again(name, conclusion, path, loop, test):
    [finding], trace = replayed(name)
    assert not trace.is_truncated
    assert (finding.kind, finding.cause) == conclusion
    assert finding.location.path.endswith(path)
    assert finding.location.line in lines_between(path, *loop)
    assert finding.test.endswith(test)
    assert finding.explanation.summary


@pytest.mark.parametrize("name", ["build.trace", "many-subprocesses.trace"])
def test_a_recorded_innocent_stays_innocent(name):
    findings, trace = replayed(name)
    assert not findings
    assert len(trace.events) > 500
