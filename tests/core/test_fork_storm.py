"""Which starts of processes are a storm, and which are work."""

import random

import pytest

from linnix_ls.core.examination import Depth
from linnix_ls.core.findings import Cause, State
from linnix_ls.core.ids import NS_PER_S
from tests.core.runaways import dive, retries, rounds_of_two, slow_retries
from tests.core.scenes import ANSWER_NS, Scene, frame, look


@pytest.fixture
def scene():
    return Scene()


def evidence(finding):
    return {piece.name: piece.value for piece in finding.evidence}


# -- retries -------------------------------------------------------------------------------------


def test_a_command_that_fails_and_is_started_again_at_once_is_a_retry_loop(scene):
    script = scene.start(scene.run("npm test"), "sh wait.sh")
    retries(scene, script, "curl -sf localhost", per_s=50, seconds=3, code=7)
    assert scene.verdicts == [("fork_storm", "retry_loop", script)]
    found = evidence(scene.finding)
    assert found["command"] == "curl"
    assert found["starts_per_s"] == pytest.approx(50, rel=0.2)
    assert found["failed_exits_share"] == found["same_command_share"] == 1.0


def test_it_is_found_within_two_seconds(scene):
    script = scene.start(scene.run("npm test"), "sh wait.sh")
    retries(scene, script, "curl -sf localhost", per_s=50, seconds=2)
    assert scene.verdicts


def test_tries_that_differ_in_a_handle_only_are_the_same(scene):
    pool = scene.start(scene.run(), "python3 pool.py")
    retries(scene, pool, "python3 worker.py pipe_handle={fd}", per_s=50, seconds=3)
    assert scene.verdicts == [("fork_storm", "retry_loop", pool)]


def test_going_through_inputs_that_fail_is_silent(scene):
    """A test of what a program says to bad input, a scan of ports."""
    suite = scene.run("pytest -q")
    retries(scene, suite, "./parse bad/{n}.json", per_s=50, seconds=4)
    assert scene.findings == []


def test_a_try_may_take_two_programs(scene):
    script = scene.start(scene.run(), "bash wait.sh")
    rounds_of_two(scene, script, per_s=50, seconds=2)
    assert scene.verdicts == [("fork_storm", "retry_loop", script)]
    found = evidence(scene.finding)
    assert (found["command"], found["commands_in_round"]) == ("grep", 2)


def test_of_a_try_of_two_programs_only_one_is_said_to_fail(scene):
    script = scene.start(scene.run(), "bash wait.sh")
    rounds_of_two(scene, script, per_s=50, seconds=2)
    why = scene.finding.explanation.why
    assert "are the same 2 commands in turn" in why
    assert "grep is the one that fails" in why
    assert "the same command and" not in why


def test_a_command_that_takes_its_time_to_fail_and_is_started_at_once_again_is_a_storm(scene):
    script = scene.start(scene.run(), "sh up.sh")
    slow_retries(scene, script, "node server.js", takes_s=0.28, pause_s=0.02, n=24)
    assert scene.verdicts == [("fork_storm", "retry_loop", script)]
    assert evidence(scene.finding)["starts_per_s"] == pytest.approx(3.2, rel=0.2)


@pytest.mark.parametrize(("takes_s", "pause_s", "n"), [(0.2, 0.2, 30), (0.6, 0.02, 15)])
def test_slow_retries_with_a_pause_or_few_of_them_are_silent(scene, takes_s, pause_s, n):
    script = scene.start(scene.run(), "sh up.sh")
    slow_retries(scene, script, "node server.js", takes_s=takes_s, pause_s=pause_s, n=n)
    assert scene.findings == []


def test_slow_commands_at_once_one_after_another_that_succeed_are_silent(scene):
    script = scene.start(scene.run(), "sh build.sh")
    slow_retries(scene, script, "cc unit.c", takes_s=0.28, pause_s=0.02, n=24, code=0)
    assert scene.findings == []


# -- test runners --------------------------------------------------------------------------------

AT_A_CALL = {"function": "run_program", "line": 9, "path": "/ws/tests/helper.py"}


def suite_at(scene, *frames, states="AAA"):
    """A suite that runs the same failing command, with other input each time; where it is."""
    suite = scene.start(scene.run("make check"), "python3 check.py")
    scene.shows(suite, language="python", stacks=tuple(look(*frames, state=ord(s)) for s in states))
    retries(scene, suite, "./parse -", per_s=50, seconds=3)
    return [cause for _, cause, _ in scene.verdicts]


def test_a_suite_that_goes_through_inputs_in_a_loop_is_silent(scene):
    """The input is on stdin, not on the command line."""
    in_a_loop = frame(loops=((40, 44),), is_fed=True)
    assert suite_at(scene, frame(**AT_A_CALL), in_a_loop, states="ABC") == []


def test_a_suite_whose_runner_calls_each_case_anew_is_silent(scene):
    assert suite_at(scene, frame(**AT_A_CALL), frame("test_bad_input"), states="ABC") == []


def test_a_suite_that_tries_again_in_a_loop_is_a_storm(scene):
    tries = frame(loops=((40, 44),))
    assert suite_at(scene, frame(**AT_A_CALL), tries, states="ABC") == ["retry_loop"]


def test_who_starts_it_always_from_the_same_state_tries_again(scene):
    assert suite_at(scene, frame(**AT_A_CALL), frame("on_exit")) == ["retry_loop"]


def test_a_runner_without_code_of_the_users_tells_nothing(scene):
    assert suite_at(scene, frame("call", 9, "/usr/lib/subprocess.py"), states="ABC") == [
        "retry_loop"
    ]


def test_recursion_goes_through_no_inputs(scene):
    run = scene.run("npm run build")
    chain = dive(scene, run, "node wrap.js {n}", depth=12)
    for process in chain:
        scene.shows(process, stacks=(look(frame(loops=((40, 44),), is_fed=True), state=1),))
    dive(scene, chain[-1], "node wrap.js {n}", depth=20)
    scene.passes(1)
    assert [cause for _, cause, _ in scene.verdicts] == ["process_recursion"]


@pytest.mark.parametrize("pause_s", [0.03, 0.1, 0.3])
def test_a_try_that_is_followed_by_a_sleep_is_polite(scene, pause_s):
    script = scene.start(scene.run(), "bash wait.sh")
    for _ in range(round(8 / pause_s)):
        scene.call(script, "curl -sf localhost", 7)
        pause = scene.start(script, f"sleep {pause_s}")
        scene.passes(pause_s)
        scene.exit(pause, 0)
    assert scene.findings == []


def test_tries_that_take_their_time_to_fail_are_a_storm_without_a_pause(scene):
    pool = scene.start(scene.run("npm test"), "node pool.js")
    for _ in range(40):
        worker = scene.start(pool, "node worker.js 3")
        scene.is_busy(worker)
        scene.passes(0.18)
        scene.exit(worker, 1)
        scene.passes(0.02)
    assert scene.verdicts[0][:2] == ("fork_storm", "retry_loop")


def test_one_failure_between_many_different_programs_is_silent(scene):
    script = scene.start(scene.run(), "bash checks.sh")
    for n in range(200):
        scene.call(script, "grep -q todo", code=1)
        for name in "abcdef":
            scene.call(script, f"lint {name}{chr(97 + n % 26)}{chr(97 + n // 26)}", code=0)
        scene.passes(0.02)
    assert scene.findings == []


@pytest.mark.parametrize("code", [1, 127])
def test_a_signal_is_a_failure_too(scene, code):
    script = scene.start(scene.run(), "sh wait.sh")
    for n in range(150):
        child = scene.start(script, "./probe")
        scene.exit(child, code, signal=11 if n % 2 else None)
        scene.passes(0.02)
    assert [cause for _, cause, _ in scene.verdicts] == ["retry_loop"]


def test_ends_that_were_not_seen_are_no_failures(scene):
    """A tracer without eBPF sees that a process has gone, and not how."""
    script = scene.start(scene.run(), "sh walk.sh")
    for _ in range(200):
        scene.exit(scene.start(script, "basename a/b"), code=None)
        scene.passes(0.02)
    assert scene.findings == []


def test_a_polite_retry_seven_times_a_second_is_silent(scene):
    script = scene.start(scene.run(), "sh wait.sh")
    retries(scene, script, "curl -sf localhost", per_s=7, seconds=15)
    assert scene.findings == []


def test_a_command_that_succeeds_each_time_is_silent(scene):
    script = scene.start(scene.run(), "sh walk.sh")
    retries(scene, script, "basename a/b", per_s=100, seconds=4, code=0)
    assert scene.findings == []


def test_a_short_burst_of_failures_is_silent(scene):
    script = scene.start(scene.run(), "sh configure")
    retries(scene, script, "cc conftest.c", per_s=100, seconds=0.1)
    scene.passes(3)
    assert scene.findings == []


def test_different_commands_that_fail_are_silent(scene):
    """A configure script asks for a hundred things that are not there."""
    script = scene.start(scene.run(), "sh configure")
    for name in [f"{a}{b}" for a in "abcdefghijkl" for b in "mnopqrstuvwxyz"]:
        scene.call(script, f"which {name}", code=1)
        scene.passes(0.01)
    assert scene.findings == []


def test_a_storm_is_over_when_nothing_is_started_any_more(scene):
    script = scene.start(scene.run(), "sh wait.sh")
    retries(scene, script, "curl -sf localhost", per_s=50, seconds=3)
    assert scene.states == [State.RAISED]
    scene.passes(6)
    assert scene.states == [State.ENDED]


def test_a_storm_goes_on_while_it_slows_down(scene):
    script = scene.start(scene.run(), "sh wait.sh")
    retries(scene, script, "curl -sf localhost", per_s=50, seconds=3)
    retries(scene, script, "curl -sf localhost", per_s=2, seconds=6)
    assert scene.states == [State.RAISED]


def test_a_storm_ends_with_its_run(scene):
    run = scene.run()
    script = scene.start(run, "sh wait.sh")
    retries(scene, script, "curl -sf localhost", per_s=50, seconds=3)
    scene.exit(script, signal=15)
    scene.exit(run, 1)
    scene.passes(0.3)
    assert scene.states[0] is State.ENDED


def test_a_storm_that_is_over_before_it_was_looked_at_is_none(scene):
    script = scene.start(scene.run(), "sh wait.sh")
    while not scene.asked:
        scene.call(script, "curl -sf localhost", 7)
        scene.passes(0.02)
    scene.exit(script)
    scene.passes(3)
    assert scene.findings == []


@pytest.mark.parametrize("is_deep", [False, True])
def test_a_storm_elsewhere_is_not_held_against_one_that_is_over(scene, is_deep):
    run = scene.run("make -j2")
    over, other = (scene.start(run, f"sh {name}.sh") for name in ("over", "other"))
    scene.answers = False
    while not scene.asked:
        scene.call(over, "curl -sf localhost", 7)
        scene.passes(0.02)
    [request] = scene.asked
    scene.passes(5)
    if is_deep:
        scene.exit(over)
        dive(scene, other, "node wrap.js {n}", depth=30)
    else:
        retries(scene, other, "nc -z localhost 80", per_s=50, seconds=3)
    scene.tell_answer(scene.examination(request))
    assert scene.findings == []


def test_a_storm_goes_on_in_what_its_starter_left_behind(scene):
    script = scene.start(scene.run(), "sh wait.sh")
    subshell = scene.fork(script)
    retries(scene, script, "curl -sf localhost", per_s=50, seconds=3)
    scene.exit(script)
    retries(scene, subshell, "curl -sf localhost", per_s=10, seconds=6)
    assert scene.states == [State.RAISED]


def test_work_beside_it_does_not_keep_a_storm_going(scene):
    run = scene.run("make")
    script = scene.start(run, "sh wait.sh")
    retries(scene, script, "curl -sf localhost", per_s=50, seconds=3)
    for _ in range(100):
        scene.call(run, "ls")
        scene.passes(0.1)
    assert scene.states == [State.ENDED]


def test_bare_forks_by_the_thousand_are_a_loop_too(scene):
    script = scene.start(scene.run(), "bash wait.sh")
    for _ in range(250):
        for _ in range(20):
            scene.exit(scene.fork(script), 0)
        scene.passes(0.01)
    assert scene.verdicts == [("fork_storm", "retry_loop", script)]
    assert evidence(scene.finding)["forks_without_exec_share"] == 1.0


# -- work ----------------------------------------------------------------------------------------


def test_a_suite_that_starts_150_different_programs_is_silent(scene):
    suite = scene.run("pytest -q")
    for n in range(150):
        letters = chr(97 + n % 26) + chr(97 + n // 26)
        scene.call(suite, f"python3 -m wordtool {letters} --json", code=n % 5 == 0)
        scene.passes(0.02)
    assert scene.findings == []


def test_a_suite_of_one_program_that_mostly_succeeds_is_silent(scene):
    suite = scene.run("pytest -q")
    for n in range(150):
        scene.call(suite, "git status", code=n % 10 == 0)
        scene.passes(0.01)
    assert scene.findings == []


def test_make_j4_with_200_compiles_is_silent(scene):
    make = scene.run("make -j4")
    jobs = []
    for n in range(200):
        shell = scene.start(make, f"sh -c cc src/unit{n}.c")
        driver = scene.start(shell, f"cc -c src/unit{n}.c")
        compiler = scene.start(driver, f"/usr/lib/cc1 src/unit{n}.c")
        scene.is_busy(compiler)
        jobs.append((compiler, driver, shell))
        if len(jobs) == 4:
            for process in jobs.pop(0):
                scene.exit(process)
        scene.passes(0.02)
    assert scene.findings == []


def test_starts_by_the_thousand_of_programs_that_succeed_are_silent(scene):
    script = scene.start(scene.run(), "sh configure")
    for _ in range(250):
        for _ in range(20):
            scene.call(script, "sed s/a/b/")
        scene.passes(0.01)
    assert scene.findings == []


def test_servers_of_which_a_few_fail_are_silent(scene):
    """They were all started alike, and most of them run."""
    script = scene.start(scene.run(), "sh cluster.sh")
    for n in range(80):
        server = scene.start(script, f"redis-server --port {n}")
        if n % 20 == 0:
            scene.exit(server, 1)
        scene.passes(0.02)
    scene.passes(2)
    assert scene.findings == []


def test_copies_below_copies_that_come_and_go_are_silent(scene):
    """A recursive walk: many in all, few at once."""
    outer = scene.run("python3 walk.py")
    for depth in range(4):
        outer = scene.start(outer, f"python3 walk.py {depth}")
    for n in range(300):
        scene.call(outer, f"python3 walk.py leaf{n}")
        scene.passes(0.01)
    assert scene.findings == []


def test_one_wave_of_workers_is_silent(scene):
    pool = scene.start(scene.run(), "python3 pool.py")
    for _ in range(16):
        scene.is_busy(scene.fork(pool))
    scene.passes(4)
    assert not [verdict for verdict in scene.verdicts if verdict[0] == "fork_storm"]


def test_a_build_ten_makes_deep_is_silent(scene):
    """As large trees are: make -C in make -C."""
    process = scene.run("make all")
    for n in range(10):
        shell = scene.start(process, "sh -c make", cwd=f"/ws/{n}")
        process = scene.start(shell, f"make -C sub{n}", cwd=f"/ws/{n}")
        scene.passes(0.05)
    scene.passes(2)
    assert scene.findings == []


def test_twelve_nested_makes_with_the_same_target_are_silent(scene):
    process = scene.run("make all", cwd="/ws")
    for n in range(12):
        shell = scene.start(process, "sh -c make", cwd=f"/ws/{n}")
        process = scene.start(shell, "make all", cwd=f"/ws/{n}")
        scene.passes(0.05)
    scene.passes(2)
    assert scene.findings == []


def test_a_walk_down_a_tree_that_starts_its_script_alike_in_each_folder_is_silent(scene):
    process = scene.run("sh clean.sh -v", cwd="/ws")
    for n in range(9):
        process = scene.start(process, "sh clean.sh -v", cwd="/ws" + "/sub" * n)
        scene.passes(0.05)
    scene.passes(2)
    assert scene.findings == []


def test_where_folders_are_not_known_the_same_command_may_be_another(scene):
    """As a tracer without eBPF sees it."""
    process = scene.run("sh clean.sh -v")
    for _ in range(9):
        process = scene.start(process, "sh clean.sh -v", cwd=None)
        process_seen = scene.engine.tree.get(process)
        process_seen.cwd = None
        scene.passes(0.05)
    scene.passes(2)
    assert scene.findings == []


def test_subshells_of_a_script_are_no_copies_of_its_command(scene):
    """( ( ( ( ./step.sh ) ) ) ): each has its command line from the shell that it is a copy of."""
    process = scene.run("bash build.sh")
    for _ in range(8):
        process = scene.fork(process)
    scene.start(process, "bash build.sh", cwd="/ws")
    scene.passes(2)
    assert scene.findings == []


# -- recursion -----------------------------------------------------------------------------------


def test_a_program_under_many_copies_of_itself_is_recursion(scene):
    chain = dive(scene, scene.run("npm run build"), "node wrap.js {n}", depth=40)
    scene.passes(1)
    [(kind, cause, accused)] = scene.verdicts
    assert (kind, cause) == ("fork_storm", "process_recursion")
    assert accused in chain
    assert evidence(scene.finding)["program"] == "wrap.js"
    assert evidence(scene.finding)["recursion_depth"] > 12


def test_recursion_that_goes_on_is_found_while_it_goes_on(scene):
    began_ns = scene.now_ns
    chain = dive(scene, scene.run("npm run build"), "node wrap.js {n}", depth=120, per_s=40)
    assert [(kind, cause) for kind, cause, _ in scene.verdicts] == [
        ("fork_storm", "process_recursion")
    ]
    assert scene.finding.process.key in chain
    assert scene.finding.flagged_ns - began_ns < 1.5e9


def test_the_very_same_command_needs_no_depth(scene):
    dive(scene, scene.run("make"), "cc -c unit.c", depth=8, cwd="/ws")
    scene.passes(1)
    assert [cause for _, cause, _ in scene.verdicts] == ["process_recursion"]


def test_a_wrapper_that_execs_what_it_wraps_is_silent(scene):
    run = scene.run("make")
    for n in range(100):
        wrapper = scene.start(run, f"ccache cc unit{n}.c")
        inner = scene.start(wrapper, f"cc unit{n}.c")
        scene.exec(inner, f"cc unit{n}.c")
        scene.exit(inner)
        scene.exit(wrapper)
        scene.passes(0.02)
    assert scene.findings == []


def test_make_that_calls_itself_is_recursive_make(scene):
    process = scene.run("make docs")
    for _ in range(12):
        process = scene.start(scene.start(process, "sh -c make docs"), "make docs")
        scene.passes(0.03)
    scene.passes(1)
    assert [cause for _, cause, _ in scene.verdicts] == ["recursive_make"]


def test_recursion_in_width_is_recursion(scene):
    """A worker starts four of itself, each of them four: deep is not needed to be many."""
    level = [scene.start(scene.run(), "python3 crawl.py 0")]
    for depth in range(1, 5):
        level = [
            scene.start(parent, f"python3 crawl.py {depth} {child}")
            for parent in level
            for child in range(4)
        ]
        scene.passes(0.2)
    scene.passes(1)
    assert [cause for _, cause, _ in scene.verdicts] == ["process_recursion"]


ROUND = ("sh -c npm run assets", "npm run assets", "sh -c npm run build", "npm run build")


def rounds_of_npm(scene, n_rounds):
    tip = scene.run("npm run build")
    for command in ROUND * n_rounds:
        tip = scene.start(tip, command)
        scene.passes(0.4)
    scene.passes(3)


def test_programs_that_start_one_another_in_a_circle_are_found_in_the_second_round(scene):
    rounds_of_npm(scene, 2)
    assert [cause for _, cause, _ in scene.verdicts] == ["process_recursion"]


def test_a_build_that_first_builds_its_tools_with_the_same_commands_is_silent(scene):
    rounds_of_npm(scene, 1)
    assert scene.findings == []


# -- oversubscription ----------------------------------------------------------------------------


def test_a_hundred_busy_workers_on_one_cpu_are_too_many():
    scene = Scene(n_cpus=1)
    pool = scene.start(scene.run(), "python3 pool.py")
    for _ in range(100):
        scene.is_busy(scene.fork(pool), share=0.01)
    scene.passes(3)
    storms = [verdict for verdict in scene.verdicts if verdict[0] == "fork_storm"]
    assert storms == [("fork_storm", "worker_oversubscription", pool)]
    assert evidence(scene.findings[0])["cpus"] == 1


def test_a_crowd_that_came_slowly_is_seen_long_after(scene):
    """On a loaded machine nothing is fast, neither their start nor our look at it."""
    pool = scene.start(scene.run(), "python3 pool.py")
    for _ in range(9):
        worker = scene.fork(pool)
        for _ in range(8):
            scene.is_busy(scene.fork(worker), share=0.02)
        scene.passes(0.4)
    scene.passes(6)
    storms = [cause for kind, cause, _ in scene.verdicts if kind == "fork_storm"]
    assert storms == ["worker_oversubscription"]


def test_workers_of_workers_are_too_many_sooner(scene):
    pool = scene.start(scene.run(), "python3 pool.py")
    for _ in range(7):
        worker = scene.fork(scene.fork(pool))
        for _ in range(6):
            scene.is_busy(scene.fork(worker), share=0.03)
    scene.passes(5)
    storms = [cause for kind, cause, _ in scene.verdicts if kind == "fork_storm"]
    assert storms == ["worker_oversubscription"]


def explode(scene, n=60):
    """A fork bomb, up to the number of processes that it may have."""
    bombs = [scene.start(scene.run("sh run.sh"), "python3 bomb.py")]
    while len(bombs) < n:
        bombs += [scene.fork(bomb) for bomb in bombs]
    return bombs


def test_a_bomb_at_its_limit_is_found_though_each_look_takes_long(monkeypatch):
    """Of so many each gets a CPU now and then, and so does whoever looks at one of them."""
    monkeypatch.setitem(ANSWER_NS, Depth.GLANCE, 3 * NS_PER_S)
    scene = Scene(n_cpus=1)
    bombs = explode(scene)
    chance = random.Random(7)
    for _ in range(10):
        for bomb in bombs:
            scene.is_idle(bomb)
        for bomb in chance.sample(bombs, 15):
            scene.is_busy(bomb, share=0.05)
        scene.passes(0.5)
    [finding] = scene.findings
    assert finding.cause is Cause.WORKER_OVERSUBSCRIPTION
    assert finding.process.key in bombs


def test_a_bomb_at_its_limit_is_not_over_while_it_tries():
    scene = Scene(n_cpus=1)
    bombs = explode(scene)
    for bomb in bombs[::2]:
        scene.is_busy(bomb, share=0.05)
    scene.passes(7)
    assert [finding.state for finding in scene.findings] == [State.RAISED]
    for bomb in bombs:
        scene.exit(bomb, signal=9)
    scene.passes(4)
    assert [finding.state for finding in scene.findings] == [State.ENDED]


def test_a_build_of_many_programs_is_no_crowd(scene):
    """Together they are many; of each there are few."""
    make = scene.run("make -j")
    for name in ("cc1", "as", "ld", "python3 gen.py", "perl docs.pl"):
        for n in range(30):
            scene.is_busy(scene.start(make, f"{name} src/unit{n}.c"), share=0.01)
    scene.passes(5)
    assert scene.findings == []


def test_of_two_runs_that_are_busy_together_none_is_a_crowd(scene):
    editor = scene.watch("nvim")
    for name in ("a", "b"):
        make = scene.start(editor, f"make -j -C {name}")
        for n in range(50):
            scene.is_busy(scene.start(make, f"cc1 {name}/unit{n}.c"), share=0.01)
    scene.passes(5)
    assert scene.findings == []


def test_a_build_with_as_many_jobs_as_files_may_be_meant(scene):
    make = scene.run("make -j")
    for n in range(60):
        scene.is_busy(scene.start(make, f"cc1 src/unit{n}.c"), share=0.03)
    scene.passes(5)
    assert scene.findings == []


def test_the_same_hundred_on_as_many_cpus_are_not():
    scene = Scene(n_cpus=96)
    pool = scene.start(scene.run(), "python3 pool.py")
    for _ in range(100):
        scene.is_busy(scene.fork(pool), share=0.01)
    scene.passes(3)
    assert scene.findings == []


def test_twenty_on_one_cpu_may_be_meant():
    scene = Scene(n_cpus=1)
    pool = scene.start(scene.run(), "python3 pool.py")
    for _ in range(18):
        scene.is_busy(scene.fork(pool), share=0.05)
    scene.passes(3)
    assert scene.findings == []


def test_a_hundred_of_which_two_work_are_not(scene):
    pool = scene.start(scene.run(), "python3 pool.py")
    workers = [scene.fork(pool) for _ in range(100)]
    for worker in workers[:2]:
        scene.is_busy(worker, share=0.3)
    scene.passes(3)
    assert scene.findings == []


def test_a_hundred_workers_that_wait_are_not(scene):
    pool = scene.start(scene.run(), "python3 pool.py")
    for _ in range(100):
        scene.fork(pool)
    scene.passes(3)
    assert scene.findings == []


# -- one storm is one finding --------------------------------------------------------------------


def test_however_long_it_lasts_it_is_one_finding(scene):
    script = scene.start(scene.run(), "sh wait.sh")
    retries(scene, script, "curl -sf localhost", per_s=30, seconds=20)
    assert len(scene.findings) == 1


def test_storms_of_two_runs_are_two(scene):
    editor = scene.watch("nvim")
    scripts = [scene.start(scene.start(editor, f"make t{n}"), "sh wait.sh") for n in range(2)]
    for _ in range(150):
        for script in scripts:
            scene.call(script, "curl -sf localhost", 7)
        scene.passes(0.02)
    assert sorted(key for _, _, key in scene.verdicts) == sorted(scripts)


def test_recursions_of_two_runs_are_two(scene):
    editor = scene.watch("nvim")
    tips = [scene.start(editor, f"make t{n}") for n in range(2)]
    for n in range(80):
        tips = [scene.start(tip, f"node wrap.js {n}", cwd=f"/ws/{n}") for tip in tips]
        scene.passes(0.05)
    assert len({finding.run for finding in scene.findings}) == len(scene.findings) == 2


def test_outside_runs_nothing_is_a_storm(scene):
    """A prompt that runs git at every keystroke is the shell's own business."""
    shell = scene.start(scene.watch("nvim"), "bash")
    for _ in range(200):
        scene.exit(scene.fork(shell), 1)
        scene.passes(0.01)
    assert scene.asked == []
