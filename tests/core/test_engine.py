"""The engine: the life of findings, and whom it looks at when."""

import random
from dataclasses import fields, replace
from itertools import pairwise

import pytest

from linnix_ls.core.changes import ExaminationWanted, FindingChanged
from linnix_ls.core.engine import Engine
from linnix_ls.core.events import (
    CpuUsed,
    Dismissed,
    EventsLost,
    Examined,
    Execed,
    Exited,
    Forked,
    Ignored,
    ProcessSeen,
    Sampled,
    Ticked,
    Unwatched,
    Watched,
)
from linnix_ls.core.examination import (
    Depth,
    Examination,
    PlaceHint,
    ProcessFacts,
    SyscallCount,
    Wait,
)
from linnix_ls.core.findings import TRANSITIONS, Kind, Severity, State
from linnix_ls.core.ids import NS_PER_S, ProcessKey
from tests.core.runaways import COLLECTING, POLL
from tests.core.scenes import ONE_CORE, Scene, calls, frame, going_round, look, varied

POLLING = {**ONE_CORE, "syscalls": (calls("epoll_wait", 300_000, finding_nothing=1.0),)}
COMPILING = {**ONE_CORE, "syscalls": (calls("read", 2_000),)}


@pytest.fixture
def scene():
    return Scene()


def a_spinner(scene, parent=None):
    """A process that polls for nothing, so far unseen."""
    child = scene.start(parent or scene.run(), "python3 pump.py")
    scene.shows(child, **POLLING)
    scene.is_busy(child, going_round)
    return child


# -- the life of a finding -----------------------------------------------------------------------


def test_a_spinner_is_raised_once_and_stays_raised_while_it_spins(scene):
    child = a_spinner(scene)
    scene.passes(10)
    assert scene.verdicts == [("cpu_spin", "busy_poll", child)]
    assert scene.states == [State.RAISED]
    assert len(scene.raised()) == 1


def test_a_finding_ends_with_its_process(scene):
    child = a_spinner(scene)
    scene.passes(2)
    scene.exit(child, signal=15)
    scene.passes(0.2)
    assert scene.states == [State.ENDED]
    assert scene.finding.ended_ns == pytest.approx(scene.now_ns, abs=NS_PER_S / 2)


def test_a_finding_ends_when_its_process_calms_down_and_does_not_flicker(scene):
    child = a_spinner(scene)
    scene.passes(2)
    scene.is_idle(child)
    scene.passes(1)
    assert scene.states == [State.RAISED]
    scene.passes(5)
    assert scene.states == [State.ENDED]


def test_a_finding_is_dismissed_for_good(scene):
    a_spinner(scene)
    scene.passes(2)
    scene.tell(Dismissed(scene.now_ns, scene.finding.id))
    assert scene.states == [State.CLEARED]
    scene.passes(20)  # and it goes on spinning
    assert scene.states == [State.CLEARED]


def test_an_ended_finding_can_be_dismissed(scene):
    child = a_spinner(scene)
    scene.passes(2)
    scene.exit(child)
    scene.passes(0.2)
    ended_ns = scene.finding.ended_ns
    scene.tell(Dismissed(scene.now_ns, scene.finding.id))
    assert (scene.finding.state, scene.finding.ended_ns) == (State.CLEARED, ended_ns)


def test_dismissing_what_does_not_exist_or_is_cleared_changes_nothing(scene):
    a_spinner(scene)
    scene.passes(2)
    n_changes = len(scene.changes)
    scene.tell(Dismissed(scene.now_ns, "f99"))
    assert len(scene.changes) == n_changes
    for _ in range(2):
        scene.tell(Dismissed(scene.now_ns, scene.finding.id))
    assert len(scene.changes) == n_changes + 1


def test_every_state_a_finding_moves_to_is_in_the_table():
    for state, following in TRANSITIONS.items():
        assert state not in following
    assert TRANSITIONS[State.CLEARED] == frozenset()
    assert set(TRANSITIONS) == set(State)


def test_findings_tell_when_what_and_below_whom(scene):
    editor = scene.watch("nvim")
    pytest_run = scene.start(editor, "pytest -q")
    helper = scene.start(pytest_run, "sh helper.sh")
    began_ns = scene.now_ns
    child = a_spinner(scene, helper)
    scene.passes(2)
    finding = scene.finding
    assert finding.process.key == child
    assert finding.process.argv == ("python3", "pump.py")
    assert [above.argv[0] for above in finding.ancestry] == ["sh", "pytest"]
    assert finding.run == pytest_run
    assert began_ns <= finding.onset_ns < finding.flagged_ns <= scene.now_ns
    assert finding.ended_ns is None


def test_a_run_that_is_accused_itself_has_nobody_above(scene):
    run = scene.start(scene.watch("nvim"), "python3 pump.py")
    scene.shows(run, **POLLING)
    scene.is_busy(run, going_round)
    scene.passes(2)
    assert (scene.finding.run, scene.finding.ancestry) == (run, ())


def test_what_the_tree_does_not_know_the_look_tells(scene):
    run = scene.run()
    child = ProcessKey(900, 5)
    scene.tell(ProcessSeen(scene.now_ns, child, run, 0, "python3", (), None, None))
    facts = ProcessFacts(child, ("python3", "pump.py"), "/usr/bin/python3", "/ws")
    scene.shows(child, **POLLING, process=facts)
    scene.is_busy(child, going_round)
    scene.passes(2)
    process = scene.finding.process
    assert (process.argv, process.exe, process.cwd) == (facts.argv, facts.exe, facts.cwd)


def test_what_is_known_of_another_process_is_not_told_of_this_one(scene):
    child = a_spinner(scene)
    other = ProcessFacts(ProcessKey(1, 1), ("init",), "/sbin/init", "/")
    scene.shows(child, **POLLING, process=other)
    scene.passes(2)
    assert scene.finding.process.argv == ("python3", "pump.py")


def test_ids_of_findings_are_their_own(scene):
    run = scene.run()
    for _ in range(3):
        a_spinner(scene, run)
    scene.passes(6)
    assert sorted(finding.id for finding in scene.findings) == ["f1", "f2", "f3"]


# -- who is judged -------------------------------------------------------------------------------


def test_the_root_of_a_tree_is_not_judged_unless_it_is_a_run(scene):
    editor = scene.watch("nvim")
    run = scene.run("python3 pump.py")
    for key in (editor, run):
        scene.shows(key, **POLLING)
        scene.is_busy(key, going_round)
    scene.passes(3)
    assert scene.verdicts == [("cpu_spin", "busy_poll", run)]


def test_processes_outside_runs_are_not_judged(scene):
    """An editor's own helper that it forked, and a terminal's shell."""
    editor = scene.watch("nvim")
    for key in (scene.fork(editor), scene.start(editor, "bash")):
        scene.shows(key, **POLLING)
        scene.is_busy(key, going_round)
    scene.passes(3)
    assert scene.asked == []


def test_an_ignored_process_and_all_below_it_are_never_judged(scene):
    run = scene.run()
    ours = scene.start(run, "linnix-ls agent")
    below_before = scene.start(ours, "python3 helper.py")
    scene.tell(Ignored(scene.now_ns, ours))
    below_after = scene.start(ours, "python3 helper.py")
    for key in (ours, below_before, below_after):
        scene.shows(key, **POLLING)
        scene.is_busy(key, going_round)
    scene.passes(3)
    assert scene.asked == []
    assert scene.engine.tree.get(ours) is None


def test_who_was_ignored_before_it_was_seen_stays_so(scene):
    run = scene.run()
    ours = ProcessKey(5000, 1)
    scene.tell(Ignored(scene.now_ns, ours))
    scene.see(ours, "linnix-ls agent", run)
    scene.tell(Forked(scene.now_ns, ours, run, 0, "x"))
    assert scene.engine.tree.get(ours) is None


def test_who_is_ignored_is_forgotten_with_its_end(scene):
    ours = ProcessKey(5000, 1)
    scene.tell(Ignored(scene.now_ns, ours))
    assert ours in scene.engine.ignored
    scene.tell(Exited(scene.now_ns, ours, 0, None))
    assert ours not in scene.engine.ignored


def test_processes_of_trees_that_nobody_watches_are_not_known(scene):
    stranger = ProcessKey(7000, 1)
    scene.see(stranger, "python3 pump.py")
    scene.tell(Forked(scene.now_ns, ProcessKey(7001, 1), stranger, 0, "x"))
    assert len(scene.engine.tree) == 0


def test_what_is_found_of_an_ignored_process_ends(scene):
    child = a_spinner(scene)
    scene.passes(2)
    scene.tell(Ignored(scene.now_ns, child))
    scene.passes(0.2)
    assert scene.states == [State.ENDED]


def test_unwatching_ends_its_findings_and_forgets_the_tree(scene):
    editor, other = scene.watch("nvim"), scene.run()
    child = a_spinner(scene, scene.start(editor, "pytest"))
    other_child = a_spinner(scene, other)
    scene.passes(3)
    scene.tell(Unwatched(scene.now_ns, editor))
    assert scene.states == [State.ENDED, State.RAISED]
    assert {process.key for process in scene.engine.tree} == {other, other_child}
    scene.tell(Exited(scene.now_ns, child, 0, None))
    scene.passes(3)
    assert scene.states == [State.ENDED, State.RAISED]


# -- looking -------------------------------------------------------------------------------------


def test_a_short_burst_is_not_looked_at(scene):
    child = a_spinner(scene)
    scene.passes(0.3)
    scene.exit(child)
    scene.passes(2)
    assert scene.asked == []


def test_no_more_processes_are_looked_at_at_once_than_the_machine_can_bear(scene):
    run = scene.run()
    for _ in range(6):
        a_spinner(scene, run)
    scene.answers = False
    scene.passes(2)
    assert len(scene.asked) == scene.engine.policy.max_examinations == 2


def test_the_more_cpu_is_used_the_more_may_be_measured(scene):
    """A build starts one busy compiler after the other, and each would be looked at."""
    policy = scene.engine.policy
    run = scene.run()
    n_short = 24
    for _ in range(n_short):
        child = a_spinner(scene, run)
        scene.passes(1)
        scene.exit(child)
    assert len({request.key for request in scene.asked}) < n_short
    n_earned = n_short / policy.cpu_s_per_measure
    assert n_earned <= len(scene.asked) <= policy.measures_at_once + n_earned


def test_all_get_their_turn(scene):
    run = scene.run()
    children = {a_spinner(scene, run) for _ in range(6)}
    scene.passes(8)
    assert {finding.process.key for finding in scene.findings} == children


def test_of_the_idle_all_living_processes_of_their_run_are_asked_about(scene):
    run, other = scene.run(), scene.run()
    child = scene.start(run, "cat")
    scene.call(run, "ls")
    scene.is_busy(other)
    scene.passes(6)
    around = {request.key: set(request.around) for request in scene.asked}
    assert around[child] == {run, child}
    assert around[other] == set()


def test_a_process_is_not_looked_at_twice_at_once(scene):
    a_spinner(scene)
    scene.answers = False
    scene.passes(3)
    assert len(scene.asked) == 1


def test_who_was_found_busy_is_looked_at_less_and_less_often(scene):
    child = scene.start(scene.run(), "cc1 big.c")
    scene.shows(child, **COMPILING)
    scene.is_busy(child)
    asked_at = []
    for _ in range(300):
        n = len(scene.asked)
        scene.passes(0.1)
        asked_at += [scene.now_ns / NS_PER_S] * (len(scene.asked) - n)
    gaps = [round(later - earlier, 1) for earlier, later in pairwise(asked_at)]
    assert gaps == sorted(gaps)
    assert gaps[0] < 2
    assert gaps[-1] > 3
    assert scene.findings == []


def test_who_was_busy_first_and_spins_later_is_found(scene):
    child = scene.start(scene.run(), "python3 pump.py")
    scene.shows(child, **COMPILING)
    scene.is_busy(child)
    scene.passes(5)
    assert scene.findings == []
    scene.shows(child, **POLLING)
    scene.passes(8)
    assert scene.verdicts == [("cpu_spin", "busy_poll", child)]


def test_an_answer_that_never_comes_does_not_block_the_next_question(scene):
    child = a_spinner(scene)
    scene.answers = False
    scene.passes(2)
    scene.answers = True
    scene._due.clear()
    scene.passes(30)
    assert scene.verdicts == [("cpu_spin", "busy_poll", child)]


def test_an_answer_to_no_question_is_no_answer(scene):
    child = a_spinner(scene)
    scene.passes(0.5)
    scene.tell(Examined(scene.now_ns, Examination(77, child, "measure", False, 0.7, None)))
    assert scene.findings == []


def test_a_process_that_has_gone_before_the_answer_is_not_accused(scene):
    child = a_spinner(scene)
    while not scene.asked:
        scene.passes(0.1)
    scene.exit(child)
    scene.passes(3)
    assert scene.findings == []


def test_on_a_loaded_machine_a_smaller_share_is_all_there_is():
    quiet, loaded = Scene(n_runnable=2), Scene(n_runnable=12)
    for scene in (quiet, loaded):
        child = a_spinner(scene)
        scene.is_busy(child, going_round, share=0.25)
        scene.passes(3)
    assert quiet.asked == []
    assert loaded.verdicts == [("cpu_spin", "busy_poll", child)]


def test_a_moment_without_load_does_not_end_a_spin_that_gets_its_share():
    scene = Scene(n_runnable=12)
    child = a_spinner(scene)
    scene.is_busy(child, going_round, share=0.2)
    scene.passes(4)
    for n_runnable in (1, 12, 12, 12, 12) * 4:
        scene.n_runnable = n_runnable
        scene.passes(0.1)
    assert scene.states == [State.RAISED]


def test_it_has_ended_when_it_uses_little_of_its_share():
    scene = Scene(n_runnable=12)
    child = a_spinner(scene)
    scene.passes(4)
    scene.is_busy(child, going_round, share=0.02)
    scene.passes(5)
    assert scene.states == [State.ENDED]


def test_what_the_load_was_long_ago_does_not_count():
    scene = Scene(n_runnable=40)
    scene.passes(10)
    scene.n_runnable = 2
    scene.passes(5)
    child = a_spinner(scene)
    scene.is_busy(child, going_round, share=0.25)
    scene.passes(3)
    assert scene.asked == []


def test_other_thresholds_count_from_now_on_and_what_was_found_stays(scene):
    policy = scene.engine.policy
    first = a_spinner(scene)
    scene.passes(4)
    scene.engine.policy = replace(policy, spin=replace(policy.spin, suspicion_cores=2.0))
    second = a_spinner(scene, first)
    scene.passes(4)
    assert [key for _, _, key in scene.verdicts] == [first]
    assert scene.states == [State.RAISED]
    scene.engine.policy = policy
    scene.passes(4)
    assert [key for _, _, key in scene.verdicts] == [first, second]


def test_a_tracer_without_samples_raises_suspicion_too(scene):
    child = scene.start(scene.run(), "python3 pump.py")
    scene.shows(child, **POLLING)
    for _ in range(40):
        scene.passes(0.1)
        scene.tell(CpuUsed(scene.now_ns, child, 100_000_000))
    assert scene.verdicts == [("cpu_spin", "busy_poll", child)]


def test_two_who_wait_for_each_other_are_one_finding(scene):
    """Both are looked at, both at once."""
    run = scene.run()
    shell = scene.start(run, "sh both.sh")
    pair = [scene.start(shell, f"python3 {name}.py") for name in ("left", "right")]
    waits = (
        Wait(run, 1, "wait4", "a child", (shell,), True),
        Wait(shell, 2, "wait4", "a child", tuple(pair), True),
        Wait(pair[0], 3, "read", "a pipe", (pair[1],), True),
        Wait(pair[1], 4, "read", "a pipe", (pair[0],), True),
    )
    for key in pair:
        scene.shows(key, waits=waits)
    scene.passes(8)
    assert scene.verdicts == [("stuck", "pipe_deadlock", run)]


def test_two_loops_of_one_run_that_start_processes_are_one_storm(scene):
    run = scene.run("make -j2")
    pair = [scene.start(run, f"sh {name}.sh") for name in ("left", "right")]
    for _ in range(150):
        for shell in pair:
            scene.call(shell, "curl -sf localhost", code=7)
        scene.passes(0.02)
    assert [finding.kind for finding in scene.findings] == [Kind.FORK_STORM]


def test_a_dismissed_storm_does_not_come_back_from_next_door(scene):
    run = scene.run("make -j2")
    pair = [scene.start(run, f"sh {name}.sh") for name in ("left", "right")]
    for shell in pair:
        for _ in range(150):
            scene.call(shell, "curl -sf localhost", code=7)
            scene.passes(0.02)
        for finding in scene.findings:
            scene.tell(Dismissed(scene.now_ns, finding.id))
    assert scene.states == [State.CLEARED]


# -- bookkeeping ---------------------------------------------------------------------------------


def test_lost_events_are_counted_and_nothing_else_happens(scene):
    scene.run()
    n_changes, n_received = len(scene.changes), scene.engine.n_received
    for n in (3, 4):
        scene.tell(EventsLost(scene.now_ns, n))
    assert (scene.engine.n_lost, scene.engine.n_received) == (7, n_received)
    assert len(scene.changes) == n_changes


def test_events_from_the_kernel_are_counted(scene):
    run = scene.run()
    scene.call(run, "ls")
    assert scene.engine.n_received == 3  # fork, exec, exit; not what we looked up ourselves


def test_the_dead_with_findings_stay_known_and_the_others_are_forgotten(scene):
    run = scene.run()
    child = a_spinner(scene, run)
    scene.passes(2)
    scene.exit(child)
    for _ in range(50):
        scene.call(run, "ls")
    scene.passes(65)
    assert {process.key for process in scene.engine.tree} == {run, child}


def test_runs_that_are_over_are_forgotten_too(scene):
    """An editor lives for weeks, and its tests run at every keystroke."""
    editor = scene.watch("nvim")
    for _ in range(300):
        run = scene.start(editor, "pytest -q")
        scene.call(run, "ls")
        scene.exit(run)
    scene.passes(65)
    assert {process.key for process in scene.engine.tree} == {editor}
    assert list(scene.engine._runs) == []


def test_a_run_with_a_finding_is_remembered_until_the_next_one(scene):
    editor = scene.watch("nvim")
    run = scene.start(editor, "pytest -q")
    child = a_spinner(scene, run)
    scene.passes(2)
    scene.exit(child)
    scene.exit(run, 1)
    scene.passes(65)
    assert scene.states == [State.ENDED]
    scene.start(editor, "pytest -q")
    assert scene.states == [State.CLEARED]


def test_what_a_run_left_behind_is_still_judged_long_after(scene):
    editor = scene.watch("nvim")
    run = scene.start(editor, "pytest -q")
    step = scene.start(run, "sh daemon.sh")
    daemon = scene.fork(step)
    scene.exit(step)
    scene.exit(run)
    scene.passes(130)
    scene.shows(daemon, **POLLING)
    scene.is_busy(daemon, going_round)
    scene.passes(4)
    assert ("cpu_spin", "busy_poll", daemon) in scene.verdicts


# -- anything goes -------------------------------------------------------------------------------


class Chaos:
    """Events of all types about a handful of processes, in no sensible order."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.now_ns = 0
        self.keys = [ProcessKey(pid, start) for pid in range(6) for start in (1, 2)]
        self.requests = []

    def one_of(self, *values):
        return self.random.choice(values)

    def key(self):
        return self.random.choice(self.keys)

    def number(self):
        return self.one_of(None, 0, 0.0, 0.5, 1.0, 1e3, 1e9, -1.0, 1e18)

    def argv(self):
        return tuple(self.one_of("make", "bash", "-c", "x.py", "python3", "cc1", "")
                     for _ in range(self.random.randrange(4)))  # fmt: skip

    def stacks(self):
        frames = [
            frame(self.one_of("f", "lock", "<module>", ""), self.one_of(None, 0, 1, 9),
                  self.one_of("/ws/a.py", "/usr/lib/x.so", "/ws/b.py"),
                  loops=self.one_of((), ((1, 9),)), has_call=self.one_of(None, True, False))
            for _ in range(3)
        ]  # fmt: skip
        return tuple(
            look(*frames[: self.random.randrange(4)], state=self.one_of(None, 1, 2),
                 leaf=self.one_of(None, "regex"))
            for _ in range(self.random.randrange(12))
        )  # fmt: skip

    def examination(self):
        request = self.random.choice(self.requests)
        facts = ProcessFacts(self.key(), self.argv(), None, self.one_of(None, "/ws"),
                             self.one_of(None, "t.py::t"), self.stacks())  # fmt: skip
        numbers = {
            field.name: self.number()
            for field in fields(Examination)
            if field.name.endswith(("_cores", "_per_s", "_bytes", "_share"))
        } | self.one_of({}, ONE_CORE)
        syscalls = tuple(
            SyscallCount(self.one_of("read", "futex", "x"), *(self.one_of(0, 1, 10**6),) * 4)
            for _ in range(self.random.randrange(3))
        )
        return Examination(
            request.id, request.key, request.depth, self.one_of(True, False, False, False),
            self.one_of(0.0, 0.7, -1.0, 1e9), self.one_of(None, facts),
            (facts,) * self.random.randrange(3), **numbers,
            syscalls=self.one_of(None, (), syscalls, POLLING["syscalls"]),
            language=self.one_of(None, "python"),
            stacks=self.stacks(), native_stacks=self.stacks(),
            hints=(PlaceHint("/ws/c.sh", 3, None, 0.5, "", self.one_of("culprit", "test")),)
            * self.random.randrange(2),
            waits=tuple(
                Wait(self.key(), 1, "read", "a pipe", (self.key(),), self.one_of(True, False))
                for _ in range(self.random.randrange(4))
            ),
            listening=self.one_of((), ("127.0.0.1:80",)),
        )  # fmt: skip

    def event(self):
        self.now_ns += self.one_of(0, 10**6, 10**7, 10**8, 10**8, -(10**8))
        self.now_ns += (self.random.random() < 0.005) * 10**11
        at, key, other = self.now_ns, self.key(), self.key()
        makers = (
            [lambda: Watched(at, key, "x", self.one_of(True, False), self.one_of(True, False))]
            + [lambda: ProcessSeen(at, key, self.one_of(None, other), 0, "x", self.argv())] * 3
            + [lambda: Forked(at, key, other, 0, "x")] * 6
            + [lambda: Execed(at, key, other, 0, "x", self.argv(), cwd=self.one_of(None, "/ws"))]
            * 4
            + [lambda: Exited(at, key, self.one_of(None, 0, 1), self.one_of(None, 9))]
            + [lambda: Sampled(at, key, 1, self.one_of(0, 10**8, 10**9), (1,), (), 1)] * 8
            + [lambda: CpuUsed(at, key, 10**8)] * 4
            + [lambda: Ticked(at, self.one_of(1, 2), self.one_of(None, 0, 1, 50))] * 8
            + [lambda: EventsLost(at, 1), lambda: Dismissed(at, f"f{self.random.randrange(9)}")]
        )
        if self.requests:
            makers += [lambda: Examined(at, self.examination())] * 8
        if self.random.random() < 0.01:
            makers = [lambda: Unwatched(at, key), lambda: Ignored(at, key)]
        return self.random.choice(makers)()


def chaotic_changes(seed):
    """An engine with a run, and 400 events of any kind; every change it made."""
    chaos, engine = Chaos(seed), Engine()
    run = chaos.keys[0]
    engine.receive(Watched(0, run, "make", is_root_judged=True, is_run=True))
    engine.receive(ProcessSeen(0, run, None, 0, "make", ("make",)))
    for _ in range(400):
        for change in engine.receive(chaos.event()):
            if isinstance(change, ExaminationWanted):
                chaos.requests.append(change.request)
            yield engine, change


@pytest.mark.parametrize("seed", range(40))
def test_whatever_it_is_told_it_goes_on_and_keeps_to_the_rules(seed):
    states = {}
    for engine, change in chaotic_changes(seed):
        assert len(engine._looks) <= engine.policy.max_examinations
        if isinstance(change, FindingChanged):
            before, after = states.get(change.finding.id), change.finding.state
            assert after is State.RAISED if before is None else after in TRANSITIONS[before]
            assert change.finding.explanation is not None
            states[change.finding.id] = after


def test_chaos_does_contain_findings():
    """Else the test above would test little."""
    found = {
        change.finding.kind
        for seed in range(40)
        for _, change in chaotic_changes(seed)
        if isinstance(change, FindingChanged)
    }
    assert len(found) >= 3


def test_varied_and_going_round_are_what_they_say():
    """Of the scenes themselves."""
    key = ProcessKey(1, 1)
    assert len({varied(key, n) for n in range(100)}) == 100
    assert len({going_round(key, n) for n in range(100)}) == 3


# -- one look for several ------------------------------------------------------------------------


def test_one_look_serves_all_who_suspect_the_same_process(scene):
    busy = scene.start(scene.run(), "python3 count.py")
    scene.is_busy(busy)
    scene.passes(1.3)
    assert [request.depth for request in scene.asked] == [Depth.MEASURE]


def test_of_one_loop_there_is_one_finding(scene):
    """It collects, and it gets nowhere: either is the whole story."""
    child = scene.start(scene.run(), "python3 pump.py")
    scene.shows(child, **ONE_CORE | COLLECTING)
    scene.is_busy(child)
    scene.passes(12)
    assert [finding.kind for finding in scene.findings] == [Kind.MEMORY_RUNAWAY]
    n_asked = len(scene.asked)
    scene.shows(child, **ONE_CORE | POLL)
    scene.passes(6)
    assert len(scene.findings) == 1
    assert len(scene.asked) == n_asked


def test_a_spin_that_was_dismissed_does_not_come_back_as_memory(scene):
    child = scene.start(scene.run(), "python3 pump.py")
    scene.shows(child, **ONE_CORE | POLL)
    scene.is_busy(child)
    scene.passes(3)
    scene.tell(Dismissed(scene.now_ns, scene.finding.id))
    scene.shows(child, **ONE_CORE | COLLECTING)
    scene.passes(12)
    assert [finding.state for finding in scene.findings] == [State.CLEARED]


def test_without_a_place_a_warning_is_information(scene):
    child = scene.start(scene.run(), "python3 pump.py")
    scene.shows(child, **ONE_CORE | POLL)
    scene.is_busy(child)
    scene.passes(3)
    assert scene.finding.location is None
    assert scene.finding.severity is Severity.INFORMATION


def test_hours_that_pass_at_once_accuse_nobody_and_end_nothing(scene):
    """A machine that was paused: its clock jumps, and nobody has used a CPU meanwhile."""
    run = scene.run()
    spinning, working, waiting = (scene.start(run, f"python3 {name}.py") for name in "swp")
    scene.is_busy(spinning)
    scene.shows(spinning, **POLLING)
    scene.is_busy(working)
    scene.shows(working, **COMPILING)
    scene.passes(4)
    before = [(f.id, f.process.key, f.state) for f in scene.findings]
    assert before == [("f1", spinning, State.RAISED)]
    scene.now_ns += 8 * 3600 * NS_PER_S
    scene._next_tick_ns = scene.now_ns
    scene.passes(4)
    assert scene.engine.tree.get(waiting).is_alive
    assert [f.process.key for f in scene.findings] == [spinning]
