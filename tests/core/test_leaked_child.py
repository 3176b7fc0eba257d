"""What a run leaves behind."""

import pytest

from linnix_ls.core.findings import Severity, State
from tests.core.scenes import SOMEWHERE, Scene

PORT = ("127.0.0.1:8080",)


class Afterwards:
    """A test run that starts a server through a shell, and ends before the server does."""

    def __init__(self, **server_look):
        self.scene = Scene()
        self.run = self.scene.start(self.scene.watch("nvim"), "pytest -q")
        self.shell = self.scene.start(self.run, "sh start.sh")
        self.server = self.scene.start(self.shell, "python3 serve.py")
        self.scene.shows(self.server, **server_look)

    def run_ends(self, *, seconds=4):
        self.scene.exit(self.shell)
        self.scene.exit(self.run)
        self.scene.passes(seconds)
        return self.scene.verdicts


def test_a_server_that_outlives_its_run_is_a_warning_with_its_address():
    after = Afterwards(listening=PORT, **SOMEWHERE)
    assert after.run_ends() == [("leaked_child", "orphan_server", after.server)]
    finding = after.scene.finding
    assert finding.severity is Severity.WARNING
    assert PORT[0] in [piece.value for piece in finding.evidence]
    assert PORT[0] in finding.explanation.why


def test_other_things_may_be_meant_to_stay():
    after = Afterwards()
    assert after.run_ends() == [("leaked_child", "other", after.server)]
    assert after.scene.finding.severity is Severity.INFORMATION
    assert "connections" not in after.scene.finding.explanation.why


def test_while_the_run_goes_on_nothing_is_left_behind():
    after = Afterwards(listening=PORT)
    after.scene.exit(after.shell)
    after.scene.passes(4)
    assert after.scene.findings == []


def test_what_ends_soon_after_the_run_was_ending_anyway():
    after = Afterwards(listening=PORT)
    after.scene.exit(after.run)
    after.scene.passes(0.3)
    after.scene.exit(after.server, signal=15)
    after.scene.exit(after.shell)
    after.scene.passes(4)
    assert after.scene.findings == []


@pytest.mark.parametrize(
    ("n_runnable", "found_after_s"), [(None, 1), (1, 1), (2, 1), (3, 1.5), (10, 2), (400, 2)]
)
def test_on_a_loaded_machine_it_is_given_more_time_to_end_but_not_for_ever(
    n_runnable, found_after_s
):
    after = Afterwards(listening=PORT)
    after.scene.n_runnable = n_runnable
    assert after.run_ends(seconds=found_after_s - 0.1) == []
    after.scene.passes(0.5)
    assert after.scene.verdicts == [("leaked_child", "orphan_server", after.server)]


def test_of_a_tree_that_is_left_behind_the_top_is_accused():
    after = Afterwards(listening=PORT)
    workers = [after.scene.start(after.server, f"python3 worker{n}.py") for n in range(3)]
    for worker in workers:
        after.scene.shows(worker, listening=PORT)
    assert after.run_ends() == [("leaked_child", "orphan_server", after.server)]


def test_two_servers_are_two_findings():
    after = Afterwards(listening=PORT)
    other = after.scene.start(after.run, "python3 other.py")
    after.scene.shows(other, listening=("[::1]:90",))
    assert sorted(key.pid for _, _, key in after.run_ends()) == [after.server.pid, other.pid]


def test_it_is_over_when_it_has_gone():
    after = Afterwards(listening=PORT)
    after.run_ends()
    after.scene.exit(after.server, signal=9)
    after.scene.passes(0.2)
    assert after.scene.states == [State.ENDED]


def test_the_next_run_clears_it_only_when_it_has_gone():
    after = Afterwards(listening=PORT)
    after.run_ends()
    editor = next(after.scene.engine.tree.ancestors(after.run)).key
    after.scene.start(editor, "pytest -q")
    assert after.scene.states == [State.RAISED]


@pytest.mark.parametrize("rss_bytes", [None, 5_000_000])
def test_memory_is_told_only_when_it_was_measured(rss_bytes):
    after = Afterwards(listening=PORT, rss_bytes=rss_bytes)
    after.run_ends()
    told = [piece.value for piece in after.scene.finding.evidence if piece.name == "rss_bytes"]
    assert told == ([] if rss_bytes is None else [rss_bytes])
