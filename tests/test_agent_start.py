"""An agent of our own, and what is left where none can be started."""

import os

import pytest

from linnix_ls import agent_start
from tests.e2e.faulty import no_more_descriptors


def test_an_agent_that_cannot_be_started_leaves_no_descriptors_open(tmp_path):
    before = os.listdir("/proc/self/fd")
    with no_more_descriptors(os.getpid(), but=3), pytest.raises(OSError, match="Too many open"):
        agent_start.start(tmp_path / "agent.sock")
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.ebpf
def test_what_cannot_be_started_early_is_left_to_who_opens_a_feed(tmp_path):
    path = str(tmp_path / "agent.sock")
    assert agent_start.has_bpf_permission()
    with no_more_descriptors(os.getpid(), but=3):
        assert agent_start.start_if_needed(path, "auto") is None
