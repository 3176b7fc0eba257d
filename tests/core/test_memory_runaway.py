"""Who takes memory without end, and who only builds something large."""

from dataclasses import replace

import pytest

from linnix_ls.core.findings import Severity, State
from tests.core.runaways import (
    COLLECTING,
    FILLED,
    GROWING,
    MB,
    SAME_BUT_FOR_A_NUMBER,
    SAME_RECORDS,
    SAME_WORDS,
)
from tests.core.scenes import SOMEWHERE, STILL, Scene, busy_process


def verdicts(look, *, seconds=8, **scene):
    return [
        (kind, cause) for kind, cause, _ in busy_process(look, seconds=seconds, **scene).verdicts
    ]


def filled(**with_what):
    return {**GROWING, "growth": replace(FILLED, **with_what)}


RUNAWAY = [("memory_runaway", "unbounded_growth")]


@pytest.mark.parametrize(
    "look", [SAME_RECORDS, SAME_WORDS, COLLECTING], ids="records words loop".split()
)
def test_what_fills_memory_with_the_same_is_about_memory_and_nothing_else(look):
    assert verdicts(look, seconds=12) == RUNAWAY


def test_it_is_said_how_much_of_it_repeats():
    finding = busy_process(SAME_RECORDS | SOMEWHERE, seconds=8).finding
    assert finding.severity is Severity.WARNING
    assert "99.9% " in finding.explanation.why
    assert {"repeated_growth", "read_pages", "rss", "rss_growth"} <= {
        piece.name for piece in finding.evidence
    }


def test_the_surer_of_the_two_signs_is_told():
    finding = busy_process(SAME_WORDS | SOMEWHERE, seconds=8).finding
    assert "99% " in finding.explanation.why


def test_records_that_differ_by_their_number_are_said_quietly():
    scene = busy_process(SAME_BUT_FOR_A_NUMBER | SOMEWHERE, seconds=8)
    assert scene.finding.severity is Severity.INFORMATION
    assert scene.finding.confidence == 0.5
    assert "93% " in scene.finding.explanation.why


INNOCENTS = {
    "a table of rows that differ": filled(seen_again_share=0.3, repeated_share=0.92),
    "rows of which most have come before": filled(seen_again_share=0.95),
    "records of a few kinds, in any order": filled(seen_again_share=0.53, repeated_share=0.8),
    "little text and few numbers, that repeat": filled(n_sequences=400, repeated_share=0.9),
    "pages of which nothing is known": GROWING,
    "the same records, in memory that hardly grows": {
        **SAME_RECORDS,
        "rss_growth_bytes_per_s": 2.0 * MB, "rss_bytes": lambda now_s: round(now_s * 2 * MB),
    },
    "a buffer that is filled, dropped and filled again": {
        **SAME_RECORDS, "rss_bytes": lambda now_s: round((300 + now_s % 1.5 * 60) * MB),
    },
    "who has stopped to grow": {**SAME_RECORDS, "rss_growth_bytes_per_s": 0.0},
    "who grows, as far as is known": {**SAME_RECORDS, "rss_growth_bytes_per_s": None},
    "a loop that grows once": {
        **COLLECTING,
        "rss_bytes": lambda now_s: round(min(now_s - 999, 2.5) * 80 * MB),
        "memory": replace(STILL, n_advancing_words=1),
    },
}  # fmt: skip


@pytest.mark.parametrize("look", INNOCENTS.values(), ids=INNOCENTS)
def test_who_builds_something_is_acquitted(look):
    scene = busy_process(look, seconds=12)
    assert len(scene.asked) > 2
    assert scene.verdicts == []


def test_growth_is_seen_in_three_looks():
    assert verdicts(SAME_RECORDS, seconds=2.2) == []
    scene = busy_process(SAME_RECORDS, seconds=8)
    assert len(scene.asked) == 3


def test_who_does_nothing_is_not_asked_what_it_holds():
    scene = Scene()
    child = scene.start(scene.run(), "python3 pump.py")
    scene.shows(child, **SAME_RECORDS)
    scene.is_busy(child, share=0.2)
    scene.passes(8)
    assert scene.findings == []


def test_it_is_over_when_its_process_calms_down():
    scene = busy_process(SAME_RECORDS, seconds=8)
    scene.is_idle(scene.finding.process.key)
    scene.passes(5)
    assert scene.states == [State.ENDED]
