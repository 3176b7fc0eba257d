"""Which of several answers is the test, and what is asked of a real process."""

import os
import re
import subprocess
import sys

import pytest

from linnix_ls import procfs
from linnix_ls.core.examination import ProcessFacts
from linnix_ls.locate.runners.base import Scope, blocks_around, shown
from linnix_ls.locate.runners.environment import read_variables
from linnix_ls.locate.runners.registry import RUNNERS, VARIABLES, find_test, observe
from tests.locate.runners.sightings import process, stack
from tests.locate.specimens import NO_PID, facts, running, running_python

PYTEST = {"PYTEST_CURRENT_TEST": "t/test_a.py::test_b (call)"}
NPM = {"npm_lifecycle_event": "test", "npm_config_user_agent": "npm/11"}


def id_of(*lineage):
    found = find_test(lineage)
    return found and found.id


# -- which one -----------------------------------------------------------------------------------


def test_a_pytest_test_inside_make_inside_npm_is_the_pytest_test():
    make = process("make check", variables=NPM)
    npm = process("sh -c make", variables=NPM)
    child = process("sleep 60", variables=NPM | PYTEST)
    assert id_of(child, process("pytest", variables=NPM), make, npm) == "t/test_a.py::test_b"


def test_what_was_typed_is_the_outermost_command():
    make = process("make check-am")
    assert id_of(process("sleep 60"), make, process("make check")) == "make check"
    assert id_of(process("sleep 60", variables=NPM), process("sh -c x", variables=NPM)) == (
        "npm test"
    )


def test_of_two_tests_the_inner_one_is_it():
    inner = process("sleep", variables={"PYTEST_CURRENT_TEST": "inner.py::test_a (call)"})
    assert id_of(inner, process("pytest", variables=PYTEST)) == "inner.py::test_a"


def test_an_inherited_test_is_the_outer_one(tmp_path):
    (tmp_path / "a.t").write_text("subtest 'drains' => sub {\n    drain();\n};\n")
    on = [stack(("main", tmp_path / "a.t", True, 2))]
    harness = PYTEST | {"HARNESS_ACTIVE": "1"}
    perl = process("perl a.t", cwd=tmp_path, stacks=on, variables=harness)
    lineage = [perl, process("perl prove", variables=PYTEST), process("pytest", variables=PYTEST)]
    assert id_of(*lineage) == "a.t > drains"
    assert id_of(*lineage[1:]) == "t/test_a.py::test_b"


def test_a_test_of_an_ancestor_counts_where_the_process_has_none():
    on = [stack(("test_a", "/ws/test_a.py", True), ("wait", "/usr/lib/x.py", False))]
    parent = process("pytest", cwd="/ws", stacks=on)
    assert id_of(process("sleep 60"), parent) == "test_a.py::test_a"


def test_a_file_that_a_runner_runs_is_more_than_a_script_of_such_a_name(tmp_path):
    (tmp_path / "test_helper.sh").touch()
    go = process("/tmp/go-build1/pump.test -test.v=true")
    assert id_of(process("bash test_helper.sh", cwd=tmp_path), go) == "pump"


def test_who_tests_nothing_has_no_test():
    assert id_of() is None
    assert id_of(process("sleep 60"), process("bash"), process("")) is None


def test_an_id_is_bounded():
    found = find_test([process(variables={"PYTEST_CURRENT_TEST": "x" * 4000})])
    assert (len(found.id), found.scope) == (1024, Scope.TEST)


HOSTILE = ["", "\0", "/", "..", "\n", "-" * 3000, "a\0b", "\\x80", "((((", "::", "--test", "[" * 99]


@pytest.mark.parametrize("word", HOSTILE)
def test_no_runner_raises_whatever_it_is_shown(word):
    """In arguments, variables, names of threads and functions."""
    variables = dict.fromkeys(VARIABLES, word)
    on = [stack((word, word, True, 1), (word, None, False, None), (f"{word}_x_Test::TestBody",
        "/etc/passwd", True, 10**9), ("a.b", "/dev/zero", True, 1))]  # fmt: skip
    commands = [
        [word], ["pytest", word], ["python3", "-m", "unittest", word], ["node", "--test", word],
        ["node", "jest", word], ["x.test", "-test.run=" + word], ["x", "--gtest_filter=" + word],
        ["make", word, "test"], ["perl", word + ".t"], ["bats-exec-test", word, "test_" + word],
        ["test-driver", "--test-name", word], ["ctest", "--test-dir", word], [],
    ]  # fmt: skip
    for cwd in ("/", word, "/proc/self"):
        lineage = [
            process(command, cwd=cwd, exe=exe, variables=variables, stacks=on, threads=[word])
            for command in commands
            for exe in (None, word, "/usr/bin/node", "/x/deps/a-0123456789abcdef")
        ]
        for index in range(len(lineage)):
            find_test(lineage[index : index + 3])


def test_every_runner_asks_for_variables_by_name():
    assert all(isinstance(runner.variables, frozenset) for runner in RUNNERS)
    assert "" not in VARIABLES


# -- paths and blocks ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "folder", "said"),
    [
        ("/ws/t/a.py", "/ws", "t/a.py"),
        ("/ws/t/a.py", "/w", "/ws/t/a.py"),
        ("/ws/t/a.py", "/", "/ws/t/a.py"),
        ("/ws/t/a.py", None, "/ws/t/a.py"),
    ],
)
def test_a_path_is_said_from_the_working_folder(path, folder, said):
    assert shown(path, folder) == said


def test_blocks_are_those_with_less_indentation():
    lines = ["a {", "  b {", "", "    c", "  }", "  d {", "\te", "}"]
    opening = re.compile(r"(\w) \{")
    names = [[m[1] for _, m in blocks_around(lines, n, opening)] for n in range(10)]
    assert names == [[], [], ["a"], [], ["a", "b"], ["a"], ["a"], ["a", "d"], [], []]


# -- the environment -----------------------------------------------------------------------------


def of(pid, *names):
    key = procfs.read_stat(pid).key
    return read_variables(ProcessFacts(key, (), procfs.read_exe(pid), None), names)


@pytest.mark.e2e
def test_only_variables_that_are_asked_for_are_kept():
    environment = {"NOT_A": "x", "A": "1=2", "SECRET": "s", "B": "", "PATH": "/bin"}
    with running("sh", "-c", "echo ready; sleep 60", env=environment) as pid:
        assert of(pid, "A", "B", "C") == {"A": "1=2", "B": ""}
        assert of(pid) == {}


@pytest.mark.e2e
def test_a_large_environment_costs_little_and_a_long_value_is_cut():
    environment = {f"V{n}": "x" * 1000 for n in range(900)} | {"A": "é" * 9000, "Z": "last"}
    with running("sh", "-c", "echo ready; sleep 60", env=environment | {"PATH": "/bin"}) as pid:
        found = of(pid, "A", "Z")
    assert (len(found["A"]), found["Z"]) == (2048, "last")


def test_a_process_that_has_gone_has_no_variables():
    assert read_variables(facts(pid=NO_PID), ["A"]) == {}
    assert observe(facts(pid=NO_PID)).variables == {}


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="reads other processes: needs root")
SETS = "import os\nos.environ['A'] = 'set'\nos.environ.pop('B')\n"
SPINS = "print('ready', flush=True)\nwhile True: pass\n"


@pytest.mark.e2e
@needs_root
def test_what_python_has_set_since_is_seen(tmp_path):
    (tmp_path / "x.py").write_text(SETS + SPINS)
    with running_python(tmp_path / "x.py", env={"A": "old", "B": "b", "C": "c"}) as pid:
        # B told who started the process, and still does.
        assert of(pid, "A", "B", "C") == {"A": "set", "B": "b", "C": "c"}


@pytest.mark.e2e
@needs_root
def test_a_fork_knows_what_was_set_before_it(tmp_path):
    script = SETS + "child = os.fork()\nif child: os.wait()\n" + SPINS
    (tmp_path / "x.py").write_text(script)
    process = subprocess.Popen([sys.executable, tmp_path / "x.py"], stdout=subprocess.PIPE,
        env={"B": "b"})  # fmt: skip
    try:
        process.stdout.readline()
        [child] = procfs.children_of(process.pid)
        assert of(child, "A")["A"] == "set"
    finally:
        for pid in procfs.children_of(process.pid):
            os.kill(pid, 9)
        process.kill()
        process.wait()
        process.stdout.close()
