"""The process tree by itself: what it holds after which events."""

import sys
from dataclasses import replace

import pytest

from linnix_ls.core import tree as tree_module
from linnix_ls.core.events import CpuUsed, Execed, Exited, Forked, ProcessSeen, Sampled
from linnix_ls.core.findings import Cause, ProcessInfo
from linnix_ls.core.ids import NS_PER_S, ProcessKey, start_ticks_from_boottime
from linnix_ls.core.tree import ProcessTree, to_be_stopped
from tests.lsp.memory_feed import a_finding

ROOT = ProcessKey(10, 1)
NOTHING_KEPT = frozenset()


def key(pid, start_ticks=5):
    return ProcessKey(pid, start_ticks)


def seconds(n):
    return round(n * NS_PER_S)


def see(tree, process, parent=None, *, at_s=0, argv=("make",), cwd="/ws"):
    return tree.see(ProcessSeen(seconds(at_s), process, parent, 0, argv[0], argv, None, cwd))


def fork(tree, process, parent=ROOT, *, at_s=0):
    return tree.fork(Forked(seconds(at_s), process, parent, 0, "copy"))


def exec_(tree, process, *argv, at_s=0, cwd="/ws"):
    return tree.exec(Execed(seconds(at_s), process, None, 0, argv[0][:15], argv, False, None, cwd))


def exit_(tree, process, *, at_s=0):
    return tree.exit(Exited(seconds(at_s), process, 0, None))


def pids(processes):
    return [process.key.pid for process in processes]


@pytest.fixture
def tree():
    tree = ProcessTree()
    see(tree, ROOT)
    return tree


def chain(tree, *pids_, parent=ROOT, at_s=0):
    """Each the child of the one before."""
    for pid in pids_:
        fork(tree, key(pid), parent, at_s=at_s)
        parent = key(pid)


# -- identity ------------------------------------------------------------------------------------


def test_start_ticks_are_those_of_proc():
    assert start_ticks_from_boottime(seconds(12.349)) == 1234


def test_a_pid_that_is_used_again_is_another_process(tree):
    fork(tree, key(11, start_ticks=5))
    exec_(tree, key(11, start_ticks=5), "cc1", "a.c")
    exit_(tree, key(11, start_ticks=5))
    fork(tree, key(11, start_ticks=9))
    first, second = tree.get(key(11, 5)), tree.get(key(11, 9))
    assert (first.argv, first.is_alive) == (("cc1", "a.c"), False)
    assert (second.argv, second.is_alive) == (("make",), True)
    assert pids(tree.descendants(ROOT)) == [11, 11]


def test_what_happens_to_the_next_owner_of_a_pid_does_not_touch_the_last_one(tree):
    fork(tree, key(11, 5))
    for event in (exit_, exec_):
        assert event(tree, key(11, 9), *(["ls"] if event is exec_ else [])) is None
    assert tree.get(key(11, 5)).is_alive


# -- what events do ------------------------------------------------------------------------------


def test_a_fork_runs_its_parents_program_until_it_execs(tree):
    child = fork(tree, key(11))
    assert (child.argv, child.cwd, child.is_forked_copy) == (("make",), "/ws", True)
    exec_(tree, key(11), "cc1", "a.c", cwd="/ws/src")
    assert (child.argv, child.cwd, child.is_forked_copy) == (("cc1", "a.c"), "/ws/src", False)
    assert child.n_execs == 1


def test_an_exec_that_tells_less_leaves_what_was_known(tree):
    child = fork(tree, key(11))
    tree.exec(Execed(0, key(11), ROOT, 0, "cc1", (), False, None, None))
    assert (child.comm, child.argv, child.cwd) == ("cc1", ("make",), "/ws")


def test_an_exec_forgets_the_samples_of_the_program_before(tree):
    child = fork(tree, key(11))
    tree.use_cpu(Sampled(0, key(11), 11, 10, (0x1000,), (), 1))
    exec_(tree, key(11), "cc1")
    assert not child.samples
    assert child.on_cpu_ns(-1) == 10  # its time is its own still


def test_cpu_time_is_that_of_the_recent_past_only(tree):
    child = fork(tree, key(11))
    for at_s in range(10):
        tree.use_cpu(CpuUsed(seconds(at_s), key(11), 100))
    assert child.on_cpu_ns(seconds(7)) == 200
    assert len(child.cpu) <= 6


def test_a_process_ends_once(tree):
    fork(tree, key(11))
    assert exit_(tree, key(11), at_s=3).exited_ns == seconds(3)
    assert exit_(tree, key(11), at_s=4) is None
    assert tree.get(key(11)).exited_ns == seconds(3)


def test_events_of_unknown_processes_change_nothing(tree):
    assert exec_(tree, key(99), "ls") is None
    assert exit_(tree, key(99)) is None
    assert tree.use_cpu(Sampled(0, key(99), 99, 10)) is None
    assert len(tree) == tree.n_processes_seen == 1


def test_a_look_at_proc_after_the_fork_event_does_not_make_it_two(tree):
    child = fork(tree, key(11))
    assert see(tree, key(11), ROOT) is child
    assert len(tree) == 2


def test_a_sample_that_arrives_after_the_exit_is_no_resurrection(tree):
    child = fork(tree, key(11))
    exit_(tree, key(11))
    tree.use_cpu(Sampled(seconds(1), key(11), 11, 10))
    assert not child.is_alive
    assert ROOT in {process.key for process in tree.alive()}
    assert key(11) not in {process.key for process in tree.alive()}


def test_samples_out_of_order_all_count(tree):
    child = fork(tree, key(11))
    for at_s in (2, 1, 3):
        tree.use_cpu(Sampled(seconds(at_s), key(11), 11, 10))
    assert child.on_cpu_ns(0) == 30


# -- lineage -------------------------------------------------------------------------------------


def test_ancestors_come_nearest_first_and_descendants_parents_first(tree):
    chain(tree, 11, 12, 13)
    assert pids(tree.ancestors(key(13))) == [12, 11, 10]
    assert pids(tree.descendants(ROOT)) == [11, 12, 13]


def test_a_circle_comes_to_an_end(tree):
    """No kernel makes one, but a recording can hold anything."""
    see(tree, key(11), key(12))
    see(tree, key(12), key(11))
    see(tree, key(13), key(13))
    assert len(list(tree.ancestors(key(11)))) == tree_module.MAX_ANCESTORS
    assert pids(tree.descendants(key(13))) == []
    assert tree.remove_tree(key(13)) == [key(13)]


def test_a_program_counts_the_copies_of_itself_above(tree):
    chain(tree, 11, 12, 13)
    exec_(tree, key(11), "make", "docs")
    exec_(tree, key(12), "sh", "-c", "make docs")
    inner = exec_(tree, key(13), "make", "docs")
    assert (inner.n_copies_above, inner.n_same_command_above) == (2, 1)


def test_the_same_command_in_another_folder_is_another_command(tree):
    chain(tree, 11, 12)
    exec_(tree, key(11), "make", "-f", "x.mk", cwd="/ws/a")
    inner = exec_(tree, key(12), "make", "-f", "x.mk", cwd="/ws/b")
    assert (inner.n_copies_above, inner.n_same_command_above) == (2, 0)


def test_bare_forks_count_as_copies(tree):
    chain(tree, 11, 12, 13)
    assert [tree.get(key(pid)).n_copies_above for pid in (11, 12, 13)] == [1, 2, 3]


# -- forgetting ----------------------------------------------------------------------------------

LONG_AGO = 1
NOW = seconds(LONG_AGO + 1) + tree_module.DEAD_KEPT_NS


def test_the_long_dead_are_forgotten_and_the_recently_dead_are_not(tree):
    chain(tree, 11)
    fork(tree, key(12))
    exit_(tree, key(11), at_s=LONG_AGO)
    exit_(tree, key(12), at_s=NOW / NS_PER_S - 1)
    tree.forget_old(NOW, NOTHING_KEPT)
    assert pids(tree) == [10, 12]
    assert pids(tree.descendants(ROOT)) == [12]


def test_the_dead_that_are_asked_for_are_kept(tree):
    chain(tree, 11)
    fork(tree, key(12))
    for pid in (11, 12):
        exit_(tree, key(pid), at_s=LONG_AGO)
    tree.forget_old(NOW, frozenset({key(11)}))
    assert pids(tree) == [10, 11]
    tree.forget_old(NOW, NOTHING_KEPT)
    assert pids(tree) == [10]


def test_the_dead_above_the_living_are_kept_however_far_above(tree):
    """A daemon forks twice; both steps end, and it still belongs to the run."""
    chain(tree, 11, 12, 13)
    for pid in (12, 11):
        exit_(tree, key(pid), at_s=LONG_AGO)
    for _ in range(3):
        tree.forget_old(NOW, NOTHING_KEPT)
    assert pids(tree.ancestors(key(13))) == [12, 11, 10]
    exit_(tree, key(13), at_s=LONG_AGO)
    for _ in range(3):
        tree.forget_old(NOW, NOTHING_KEPT)
    assert pids(tree) == [10]


def test_no_more_dead_are_kept_than_there_is_room_for(tree, monkeypatch):
    monkeypatch.setattr(tree_module, "MAX_DEAD_KEPT", 100)
    for pid in range(1_000, 1_500):
        fork(tree, key(pid))
        exit_(tree, key(pid))
        tree.forget_old(0, NOTHING_KEPT)
    assert len(tree) == 101
    assert tree.n_processes_seen == 501


def test_a_storm_that_is_forgotten_leaves_no_room_taken_at_its_parent(tree):
    empty = sys.getsizeof(tree.get(ROOT).children)
    for pid in range(1_000, 3_000):
        fork(tree, key(pid))
        exit_(tree, key(pid), at_s=LONG_AGO)
    tree.forget_old(NOW, NOTHING_KEPT)
    assert sys.getsizeof(tree.get(ROOT).children) == empty


def test_a_tree_is_removed_whole_and_its_neighbours_stay(tree):
    chain(tree, 11, 12)
    fork(tree, key(20))
    exit_(tree, key(12))
    assert {gone.pid for gone in tree.remove_tree(key(11))} == {11, 12}
    assert pids(tree) == [10, 20]
    assert tree.remove_tree(key(11)) == []
    tree.forget_old(NOW, NOTHING_KEPT)  # the dead one of it is still in line
    assert pids(tree) == [10, 20]


@pytest.mark.parametrize(
    ("cause", "stopped"),
    [("process_recursion", 2), ("worker_oversubscription", 4), ("retry_loop", 5)],
)
def test_of_a_program_that_starts_itself_the_outermost_copy_has_to_end(cause, stopped):
    lines = ("sh run.sh", "python3 bomb.py", "sh -c x", "python3 bomb.py", "python3 bomb.py")
    infos = [
        ProcessInfo(ProcessKey(pid, pid), pid - 1, 0, "x", None, tuple(line.split()), "/")
        for pid, line in enumerate(lines, 1)
    ]
    *above, process = infos
    finding = replace(
        a_finding(), cause=Cause(cause), process=process, ancestry=tuple(reversed(above))
    )
    assert to_be_stopped(finding).key.pid == stopped
