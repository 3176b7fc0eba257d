"""How much the engine looks at, counted: never more than what is active, however much is known."""

import pytest

from linnix_ls.core import engine as engine_module
from linnix_ls.core import tree as tree_module
from linnix_ls.core.examination import Depth, Wait
from linnix_ls.core.findings import State
from linnix_ls.core.tree import Process
from tests.core.scenes import ONE_CORE, SOMEWHERE, Scene, calls


@pytest.fixture
def scene():
    return Scene()


def of_many_that_wait(n):
    scene = Scene()
    run = scene.run()
    return scene, [scene.start(run, "server --wait") for _ in range(n)]


def spins(scene, key):
    scene.shows(key, **ONE_CORE, **SOMEWHERE, syscalls=(calls("read", 150_000, failing=1.0),))
    scene.is_busy(key)


class Counted(Process):
    """A process that counts how often it is asked what it used."""

    __slots__ = ()
    n_asked = 0

    def on_cpu_ns(self, since_ns):
        Counted.n_asked += 1
        return super().on_cpu_ns(since_ns)


def questions_in_a_tick(monkeypatch, n):
    """How often a detector asks a process for its CPU time, with so many of them alive."""
    monkeypatch.setattr(tree_module, "Process", Counted)
    scene, _ = of_many_that_wait(n)
    scene.passes(10)
    Counted.n_asked = 0
    scene.passes(2)
    return Counted.n_asked / 20


def test_a_tick_asks_no_more_processes_when_more_are_alive(monkeypatch):
    few, many = (questions_in_a_tick(monkeypatch, n) for n in (100, 1_000))
    assert few > 0
    assert many <= 1.1 * few


def test_of_many_that_wait_each_has_its_turn():
    scene, keys = of_many_that_wait(350)
    tree = scene.engine.tree
    seen = [tree.next_in_turn(100) for _ in range(4)]
    assert {process.key for taken in seen for process in taken} >= set(keys)
    assert [len(taken) for taken in seen] == [100] * 4


def test_who_does_not_run_is_not_active(scene):
    run = scene.run()
    child = scene.start(run, "python3 pump.py")
    scene.is_busy(child)
    scene.passes(1)
    assert [process.key for process in scene.engine.tree.active()] == [child]
    scene.is_idle(child)
    scene.passes(6)
    assert [*scene.engine.tree.active()] == []


def test_a_finding_is_made_among_a_thousand_that_wait():
    scene, keys = of_many_that_wait(1_000)
    spins(scene, keys[500])
    scene.passes(4)
    assert [finding.process.key for finding in scene.findings] == [keys[500]]


class TestWaits:
    def test_one_circle_is_found_among_more_than_can_be_asked(self, monkeypatch):
        """Where there are more than can be asked, those that are nearest are."""
        monkeypatch.setattr(engine_module, "MAX_AROUND", 50)
        scene, _ = of_many_that_wait(80)
        scene.passes(3)
        parent = scene.start(scene.run("make"), "python3 render.py")
        child = scene.start(parent, "convert -")
        waits = (
            Wait(parent, parent.pid, "wait4", "a child", (child,), True),
            Wait(child, child.pid, "write", "room in a pipe", (parent,), True),
        )
        scene.shows(child, waits=waits)
        scene.passes(10)
        asked = [request for request in scene.asked if request.key == child]
        assert {parent, child} <= set(asked[0].around)
        assert len(asked[0].around) <= engine_module.MAX_AROUND
        assert parent in [finding.process.key for finding in scene.findings]

    def test_the_more_there_are_to_ask_the_less_often_it_is_asked(self):
        counts = {}
        for n in (20, 100, 400):
            scene, _ = of_many_that_wait(n)
            scene.passes(30)
            asked = [request for request in scene.asked if request.depth is Depth.WAITS]
            counts[n] = sum(len(request.around) for request in asked)
        assert counts[20] > 0
        assert counts[400] < counts[100]


class TestBounds:
    def test_findings_that_ended_long_ago_make_room(self, monkeypatch):
        monkeypatch.setattr(engine_module, "MAX_ENDED_KEPT", 5)
        scene = Scene()
        for n in range(12):
            run = scene.run(f"pytest test_{n}.py", cwd=f"/ws/{n}")
            child = scene.start(run, "python3 pump.py")
            spins(scene, child)
            scene.passes(3)
            scene.exit(child)
            scene.exit(run)
            scene.passes(2)
        assert (
            len({change.finding.id for change in scene.changes if hasattr(change, "finding")}) == 12
        )
        present = [f for f in scene.findings if f.state is not State.CLEARED]
        assert len(present) <= 6
        scene.passes(80)
        assert len(scene.engine.findings) <= 6  # what was cleared goes with its process

    def test_samples_of_all_processes_together_have_a_bound(self, monkeypatch):
        monkeypatch.setattr(tree_module, "MAX_SAMPLES_KEPT", 200)
        scene, keys = of_many_that_wait(100)
        for key in keys:
            scene.is_busy(key, share=0.01)
        scene.passes(0.5)
        assert sum(len(process.samples) for process in scene.engine.tree) <= 200
        assert all(scene.engine.tree.get(key).samples for key in keys)

    def test_the_dead_of_a_storm_have_a_bound(self, monkeypatch):
        monkeypatch.setattr(tree_module, "MAX_DEAD_KEPT", 50)
        scene = Scene()
        run = scene.run()
        for _ in range(20):
            for _ in range(30):
                scene.exit(scene.fork(run))
            scene.passes(1)
        assert len(scene.engine.tree) <= 100
