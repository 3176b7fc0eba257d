"""Who waits for ever, and who only waits."""

import pytest

from linnix_ls.core.detectors.stuck import hopeless
from linnix_ls.core.events import Unwatched
from linnix_ls.core.examination import Wait
from linnix_ls.core.findings import Severity, State
from linnix_ls.core.ids import ProcessKey
from linnix_ls.core.policy import Policy, StuckPolicy
from tests.core.scenes import Scene

A, B, C, SERVER = (ProcessKey(pid, 1) for pid in (11, 12, 13, 99))


def on_pipe(key, *peers, tid=None):
    return Wait(key, tid or key.pid, "read", "a pipe", peers, True)


def on_timer(key):
    return Wait(key, key.pid, "epoll_wait", "", (), False)


def on_lock(key, tid):
    return Wait(key, tid, "futex", "a lock", (key,), True)


@pytest.mark.parametrize(
    ("waits", "stuck"),
    [
        ([on_pipe(A, B), on_pipe(B, A)], {A, B}),
        ([on_pipe(A, B), on_pipe(B, C), on_pipe(C, A)], {A, B, C}),
        # a timer anywhere in the circle, or somebody outside it, can end it
        ([on_pipe(A, B), on_timer(B)], set()),
        ([on_pipe(A, B), on_pipe(B, A, SERVER)], set()),
        ([on_pipe(A, B), on_pipe(B, C), on_timer(C)], set()),
        # all threads must wait
        ([on_pipe(A, B), on_pipe(B, A), on_timer(B)], set()),
        ([on_lock(A, 1), on_lock(A, 2)], {A}),
        ([on_lock(A, 1), on_timer(A)], set()),
        # whoever waits for the stuck is stuck too; whoever does not is not
        ([on_pipe(A, B), on_pipe(B, A), on_pipe(C, A)], {A, B, C}),
        ([on_pipe(A, B), on_pipe(B, A), on_timer(C)], {A, B}),
        ([], set()),
    ],
)
def test_hopeless_is_who_waits_only_for_those_who_wait_for_them(waits, stuck):
    assert hopeless(waits) == stuck


class Hang:
    """A test run that started a child; what both wait for when they have gone quiet."""

    def __init__(self):
        self.scene = Scene()
        self.run = self.scene.run()
        self.child = self.scene.start(self.run, "python3 child.py")

    def goes_quiet(self, *waits, seconds=8):
        self.scene.shows(self.child, waits=waits)
        self.scene.passes(seconds)
        return self.scene.verdicts

    def evidence(self, name):
        return [piece.value for piece in self.scene.finding.evidence if piece.name == name]


def test_parent_and_child_that_wait_for_each_other_are_the_parents_finding():
    hang = Hang()
    waits = on_pipe(hang.run, hang.child), on_pipe(hang.child, hang.run)
    assert hang.goes_quiet(*waits) == [("stuck", "pipe_deadlock", hang.run)]
    assert hang.evidence("processes_waiting") == [2]
    assert f"on {hang.child.pid}" in hang.evidence("wait")[0]


def test_threads_that_wait_for_each_others_locks_are_a_deadlock():
    hang = Hang()
    waits = on_lock(hang.child, 1), on_lock(hang.child, 2), on_timer(hang.run)
    assert hang.goes_quiet(*waits) == [("stuck", "deadlock", hang.child)]


def test_a_wait_with_a_timer_is_no_hang():
    hang = Hang()
    assert hang.goes_quiet(on_pipe(hang.run, hang.child), on_timer(hang.child)) == []


def test_a_wait_that_could_not_be_seen_is_no_hang():
    hang = Hang()
    unseen = Wait(hang.child, 1, None, "", (), False)
    assert hang.goes_quiet(on_pipe(hang.run, hang.child), unseen) == []
    hang = Hang()
    assert hang.goes_quiet() == []


def test_who_wants_a_cpu_and_gets_none_is_not_stuck():
    """It is as quiet as one that waits. What its threads do cannot be seen: they do not sleep."""
    hang = Hang()
    hang.scene.n_runnable = 100
    starved = Wait(hang.child, hang.child.pid, None, "", (), False)
    assert hang.goes_quiet(on_pipe(hang.run, hang.child), starved, seconds=20) == []


@pytest.mark.parametrize(("n_runnable", "is_found"), [(2, True), (8, False)])
def test_who_is_starved_works_while_its_helper_waits(n_runnable, is_found):
    """A tenth of a CPU is little on a calm machine, and much of a quarter."""
    hang = Hang()
    hang.scene.n_runnable = n_runnable
    hang.scene.is_busy(hang.run, share=0.1)
    found = hang.goes_quiet(on_lock(hang.child, 1), on_lock(hang.child, 2), on_timer(hang.run))
    assert found == ([("stuck", "deadlock", hang.child)] if is_found else [])


@pytest.mark.parametrize(("idle_s", "is_found"), [(20, True), (40, False)])
def test_who_wants_to_be_told_later_is_told_later(idle_s, is_found):
    """And what it did in the meantime, however long that is, is not forgotten."""
    hang = Hang()
    hang.scene.engine.policy = Policy(stuck=StuckPolicy(idle_s=idle_s))
    hang.scene.is_busy(hang.child)
    hang.scene.passes(30)
    hang.scene.is_idle(hang.child)
    waits = on_pipe(hang.run, hang.child), on_pipe(hang.child, hang.run)
    assert hang.goes_quiet(*waits) == []
    assert [request for request in hang.scene.asked if request.depth == "waits"] == []
    found = hang.goes_quiet(*waits, seconds=18)
    assert found == ([("stuck", "pipe_deadlock", hang.run)] if is_found else [])


def test_a_short_quiet_is_not_even_looked_at():
    hang = Hang()
    hang.goes_quiet(on_pipe(hang.run, hang.child), on_pipe(hang.child, hang.run), seconds=1.5)
    assert hang.scene.asked == []


def test_who_uses_the_cpu_is_not_stuck():
    hang = Hang()
    hang.scene.is_busy(hang.child, share=0.05)
    assert hang.goes_quiet(on_pipe(hang.run, hang.child), on_pipe(hang.child, hang.run)) == []


def test_one_of_the_circle_that_uses_the_cpu_can_still_end_it():
    """Its wait was seen between two things that it did."""
    hang = Hang()
    hang.scene.is_busy(hang.run, share=0.05)
    assert hang.goes_quiet(on_pipe(hang.run, hang.child), on_pipe(hang.child, hang.run)) == []


def test_children_that_have_ended_do_not_keep_a_process_from_being_stuck():
    hang = Hang()
    hang.scene.call(hang.child, "ls")
    waits = on_pipe(hang.run, hang.child), on_pipe(hang.child, hang.run)
    assert hang.goes_quiet(*waits) == [("stuck", "pipe_deadlock", hang.run)]


@pytest.mark.parametrize("n_before", range(8))
def test_of_a_long_circle_the_outermost_is_accused(n_before):
    """It decides how to wait for the others; whatever their pids are."""
    scene = Scene()
    run = scene.run()
    for _ in range(n_before):
        scene.call(run, "ls")
    lineage = [scene.start(run, "sh a.sh")]
    for name in ("b", "c", "d"):
        lineage.append(scene.start(lineage[-1], f"sh {name}.sh"))
    circle = [on_pipe(a, b) for a, b in zip(lineage, lineage[1:] + lineage[:1], strict=True)]
    scene.shows(lineage[-1], waits=(on_timer(run), *circle))
    scene.passes(8)
    assert scene.verdicts == [("stuck", "pipe_deadlock", lineage[0])]


def test_a_hang_ends_with_its_process():
    hang = Hang()
    hang.goes_quiet(on_pipe(hang.run, hang.child), on_pipe(hang.child, hang.run))
    hang.scene.exit(hang.run, signal=9)
    hang.scene.passes(0.3)
    assert hang.scene.states[0] is State.ENDED


def test_a_hang_that_dissolves_has_ended():
    hang = Hang()
    hang.goes_quiet(on_pipe(hang.run, hang.child), on_pipe(hang.child, hang.run))
    hang.scene.is_busy(hang.run)
    hang.scene.passes(0.5)
    assert hang.scene.states == [State.ENDED]


def test_who_never_had_a_cpu_sample_has_been_idle_since_its_start_not_since_boot():
    hang = Hang()
    hang.goes_quiet(on_pipe(hang.run, hang.child), on_pipe(hang.child, hang.run))
    assert 3 < hang.evidence("idle_s")[0] < 9


def test_a_tree_that_is_unwatched_while_it_is_looked_at_is_nobodys_business():
    hang = Hang()
    hang.scene.shows(
        hang.child, waits=(on_pipe(hang.run, hang.child), on_pipe(hang.child, hang.run))
    )
    while not hang.scene.asked:
        hang.scene.passes(0.1)
    answer = hang.scene.examination(hang.scene.asked[0])
    hang.scene.tell(Unwatched(hang.scene.now_ns, hang.run))
    hang.scene.tell_answer(answer)
    assert hang.scene.findings == []


# -- by the word of a runtime ----------------------------------------------------------------------

CIRCLE = (("pool-1", "pool-2"), ("pool-2", "pool-1"))


def a_jvm(**look):
    """Whose own threads wake up now and then, whatever those of the program do."""
    hang = Hang()
    hang.scene.is_busy(hang.child, share=0.01)
    hang.scene.shows(hang.child, language="java", waits=(on_timer(hang.child),), **look)
    hang.scene.passes(8)
    return hang


def test_threads_that_their_runtime_finds_deadlocked_are_a_deadlock():
    hang = a_jvm(deadlock=CIRCLE)
    assert hang.scene.verdicts == [("stuck", "deadlock", hang.child)]
    assert hang.evidence("threads_waiting") == [2]
    why = hang.scene.finding.explanation.why
    assert "2 threads wait for each other" in hang.scene.finding.explanation.summary
    assert "Thread pool-1 waits for a lock that pool-2 holds" in why
    assert "no CPU" not in why
    assert hang.scene.finding.severity is Severity.INFORMATION  # nobody knows where


def test_a_jvm_whose_own_threads_wake_up_and_whose_program_waits_is_silent():
    hang = a_jvm()
    assert {request.depth for request in hang.scene.asked} == {"waits"}
    assert hang.scene.verdicts == []


def test_a_program_of_which_others_wait_may_not_be_idle_enough_to_be_asked():
    hang = Hang()
    hang.scene.shows(hang.child, deadlock=CIRCLE, language="java")
    hang.scene.is_busy(hang.child, share=0.05)
    hang.scene.passes(8)
    assert hang.scene.verdicts == []
