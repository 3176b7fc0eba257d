"""An agent of our own, and what is left where none can be started."""

import os
import sys

import pytest

from linnix_ls import agent_start
from linnix_ls.errors import AgentError


def test_one_that_cannot_be_started_leaves_no_descriptors(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    before = os.listdir("/proc/self/fd")
    with pytest.raises(AgentError, match="an agent cannot be started: No such file"):
        agent_start.start(tmp_path / "agent.sock")
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.ebpf
def test_what_cannot_be_started_early_is_left_to_who_opens_a_feed(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    assert agent_start.start_if_needed(str(tmp_path / "agent.sock"), "auto") is None
