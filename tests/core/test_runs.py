"""Which process begins a run, and when a new run takes the place of an old one."""

import pytest

from linnix_ls.core.findings import State
from tests.core.scenes import ONE_CORE, Scene, calls, going_round

POLLING = {**ONE_CORE, "syscalls": (calls("epoll_wait", 300_000, finding_nothing=1.0),)}


def spin(scene, process):
    scene.shows(process, **POLLING)
    scene.is_busy(process, going_round)
    scene.passes(2)


def begun(*lines, root="nvim"):
    """The runs that begin when these commands are started, each below the one before, the first
    below an editor."""
    scene = Scene()
    parent = scene.watch(root)
    for line in lines:
        parent = scene.start(parent, line)
    return scene.runs_begun()


def test_what_an_editor_starts_is_a_run():
    assert begun("pytest -q") == ["pytest"]
    assert begun("python3 -m pytest -q", "python3 helper.py") == ["pytest"]


def test_a_terminal_in_an_editor_is_no_run_but_what_is_typed_there_is():
    assert begun("/bin/bash") == []
    assert begun("/bin/bash", "make test", "sh -c pytest") == ["make"]
    assert begun("bash --init-file x.sh", "zsh", "pytest -q") == ["pytest"]


def test_a_shell_that_works_off_a_command_or_script_is_a_run():
    assert begun("bash -c pytest", "pytest") == ["bash"]
    assert begun("sh build.sh", "make", "make -C sub") == ["build.sh"]


def test_a_shell_at_a_prompt_can_be_the_root():
    assert begun("pytest -q", root="-bash") == ["pytest"]


def test_a_copy_of_a_shell_is_no_run_before_it_execs():
    scene = Scene()
    shell = scene.start(scene.watch("nvim"), "bash")
    child = scene.fork(shell)
    assert scene.runs_begun() == []
    scene.exec(child, "pytest -q")
    assert scene.runs_begun() == ["pytest"]


def test_shells_without_arguments_inside_a_run_are_part_of_it():
    assert begun("make test", "bash", "pytest -q") == ["make"]


def test_a_run_by_itself_is_a_run_whatever_it_is():
    for command in ("pytest -q", "bash", "sh -c ./x"):
        scene = Scene()
        scene.start(scene.run(command), "pytest -q")
        assert len(scene.runs_begun()) == 1


def test_what_was_there_before_it_was_watched_counts():
    scene = Scene()
    editor = scene.watch("nvim")
    shell = scene.see(scene._new_key(), "bash", editor)
    scene.see(scene._new_key(), "pytest -q", shell)
    assert scene.runs_begun() == ["pytest"]


def test_a_run_ends_with_its_outermost_process():
    scene = Scene()
    make = scene.start(scene.watch("nvim"), "make test")
    scene.call(make, "cc a.c")
    assert scene.runs_ended() == []
    scene.exit(make, 2)
    assert scene.runs_ended() == [make]


# -- the next run --------------------------------------------------------------------------------


def after(first, then, *, cwd="/ws"):
    """The state of a finding of one run in a terminal when another command is run."""
    scene = Scene()
    shell = scene.start(scene.watch("nvim"), "bash")
    run = scene.start(shell, first)
    spin(scene, scene.start(run, "python3 pump.py"))
    for process in list(scene.engine.tree.descendants(run)):
        scene.exit(process.key, signal=15)
    scene.exit(run, 1)
    scene.passes(0.3)
    assert scene.states == [State.ENDED]
    command, *execs = [then] if isinstance(then, str) else then
    key = scene.start(shell, command, cwd=cwd)
    for command in execs:
        scene.exec(key, command, cwd=cwd)
    return scene.states


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("pytest -q", "pytest -q"),
        ("pytest -q", "python3 -m pytest tests/test_one.py"),
        ("make test", "make test"),
        ("sh build.sh", "/bin/sh build.sh"),
        ("sh -c ./x --all", "sh -c ./x --all"),
    ],
)
def test_the_same_work_in_the_same_folder_clears_what_ended(first, then):
    assert after(first, then) == [State.CLEARED]


@pytest.mark.parametrize(
    ("then", "cwd"), [("make test", "/ws"), ("ls", "/ws"), ("pytest -q", "/other")]
)
def test_other_work_and_other_folders_do_not(then, cwd):
    assert after("pytest -q", then, cwd=cwd) == [State.ENDED]


def test_shells_with_other_commands_do_other_work():
    assert after("sh -c ./x", "sh -c ./y") == [State.ENDED]
    assert after("sh -c ./x", "/bin/sh -c ./x") == [State.CLEARED]


def test_a_run_that_execs_its_program_is_that_programs_run():
    """An editor's task is `bash -c pytest`, and bash execs what it is given."""
    scene = Scene()
    editor = scene.watch("code")
    for n in (1, 2):
        run = scene.start(editor, "bash -c pytest", cwd="/ws")
        scene.exec(run, "pytest")
        if n == 1:
            spin(scene, scene.start(run, "python3 pump.py"))
            scene.exit(scene.finding.process.key, signal=15)
            scene.exit(run, 1)
            scene.passes(0.3)
    assert scene.states == [State.CLEARED]
    assert after("pytest -q", ("env CI=1 pytest", "pytest")) == [State.CLEARED]


def test_a_run_that_execs_does_not_clear_its_own_findings():
    scene = Scene()
    run = scene.start(scene.watch("code"), "bash -c pytest")
    child = scene.start(run, "python3 pump.py")
    spin(scene, child)
    scene.exit(child)
    scene.passes(0.3)
    scene.exec(run, "bash -c pytest")
    assert scene.states == [State.ENDED]


def test_a_finding_that_is_still_going_on_stays_when_the_work_begins_again():
    scene = Scene()
    shell = scene.start(scene.watch("nvim"), "bash")
    spin(scene, scene.start(scene.start(shell, "pytest"), "python3 pump.py"))
    scene.start(shell, "pytest")
    assert scene.states == [State.RAISED]
