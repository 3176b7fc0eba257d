"""Findings over the agents that come and go."""

from dataclasses import replace

import pytest

from linnix_ls.core.changes import RunBegan
from linnix_ls.core.findings import Kind, State
from linnix_ls.core.ids import ProcessKey
from linnix_ls.lsp.known import FOUND_AGAIN_WITHIN_NS, KnownFindings
from tests.lsp.memory_feed import a_finding, a_process

OTHER = a_process(4500, "python3", "python3", "other.py")
LATER_NS = FOUND_AGAIN_WITHIN_NS + 1


@pytest.fixture
def known():
    """Of an agent that had found two, and has gone."""
    known = KnownFindings()
    known.begin([a_finding()], 0)
    known.take(a_finding(id="f2", process=OTHER))
    known.leave()
    return known


def states(known):
    return [(own_id, finding.state) for own_id, finding in known.by_id.items()]


def test_what_was_shown_stays_as_it_was_while_there_is_no_agent(known):
    assert known.look(LATER_NS, lambda _: True) == []
    assert states(known) == [("f1", State.RAISED), ("f2", State.RAISED)]
    assert known.are_left


def test_what_is_found_again_is_the_same_finding_and_began_when_it_did(known):
    before = known.by_id["f2"]
    again = a_finding(id="f1", process=OTHER, onset_ns=before.onset_ns + 5, flagged_ns=7)
    assert known.begin([], 0) == []
    assert known.take(again) == before
    assert list(known.by_id) == ["f1", "f2"]
    assert known.feed_id("f2") == "f1"
    ended = known.take(replace(again, state=State.ENDED))
    assert (ended.id, ended.onset_ns) == ("f2", before.onset_ns)


def test_a_storm_is_the_same_by_its_run():
    known = KnownFindings()
    known.begin([a_finding(kind=Kind.FORK_STORM)], 0)
    known.leave()
    known.begin([a_finding(kind=Kind.FORK_STORM, process=OTHER)], 0)
    assert [(f.id, f.process) for f in known.by_id.values()] == [("f1", OTHER)]


def test_what_the_next_agent_calls_alike_has_an_id_of_its_own(known):
    third = a_process(4600, "node", "node", "x.js")
    assert known.begin([a_finding(process=third)], 0)[0].id == "f3"
    assert known.dismiss("f3") == []  # for its agent, which calls it f1
    assert known.feed_id("f3") == "f1"
    known.take(a_finding(process=third, state=State.CLEARED))
    assert list(known.by_id) == ["f1", "f2"]
    fourth = a_process(4700, "node", "node", "y.js")
    assert known.take(a_finding(id="f2", process=fourth)).id == "f4"


def test_it_ends_with_its_process_or_when_it_has_calmed_down(known):
    known.begin([], 0)
    gone = known.by_id["f1"].process.key
    assert [f.id for f in known.look(5, lambda key: key != gone)] == ["f1"]
    assert known.by_id["f1"].ended_ns == 5
    assert [f.id for f in known.look(LATER_NS, lambda _: True)] == ["f2"]
    assert not known.are_left


def test_what_a_run_has_left_behind_ends_with_its_process_only():
    known = KnownFindings()
    known.begin([a_finding(kind=Kind.LEAKED_CHILD)], 0)
    known.leave()
    known.begin([], 0)
    assert known.look(LATER_NS, lambda _: True) == []
    assert len(known.look(LATER_NS, lambda _: False)) == 1


def test_the_same_work_that_begins_anew_clears_what_has_ended(known):
    known.begin([], 0)
    known.look(5, lambda key: key == OTHER.key)
    began = RunBegan(6, ProcessKey(9, 900), "pytest", ("pytest", "-x"), "/")
    assert known.run_began(replace(began, cwd="/elsewhere")) == []
    assert [(f.id, f.state) for f in known.run_began(began)] == [("f1", State.CLEARED)]
    assert states(known) == [("f2", State.RAISED)]  # that one goes on


def test_what_an_agent_has_left_is_dismissed_without_it(known):
    known.begin([], 0)
    assert [(f.id, f.state) for f in known.dismiss("f1")] == [("f1", State.CLEARED)]
    assert list(known.by_id) == ["f2"]
    assert known.dismiss("f1") == []


def test_nothing_is_shown_when_it_is_switched_off(known):
    known.forget()
    assert (known.by_id, known.are_left) == ({}, False)
