"""prove, bats, automake, make, npm, and tests without a runner."""

import pytest

from linnix_ls.locate.runners.base import Scope
from linnix_ls.locate.runners.make import AutomakeRunner, MakeRunner
from linnix_ls.locate.runners.npm import NpmRunner
from linnix_ls.locate.runners.perl import ProveRunner
from linnix_ls.locate.runners.program import ProgramRunner
from linnix_ls.locate.runners.shell import BatsRunner
from tests.locate.runners.sightings import found_by, process, stack


def found(runner, *lineage):
    found = runner.find(lineage[0], lineage[1:])
    return found and (found.id, found.place and found.place.line)


# -- prove ---------------------------------------------------------------------------------------

PUMP_T = """\
use Test::More;

sub drain {
    while (1) { }
}

subtest 'starts' => sub {
    ok(1);
};

subtest "drains, at last" => sub {
    plan tests => 1;
    subtest('inside', sub {
        drain();
    });
    drain();
};
drain();
"""
PROVE = "/usr/bin/perl /usr/bin/prove -v t"


@pytest.fixture
def pump_t(tmp_path):
    (tmp_path / "t").mkdir()
    (tmp_path / "t/pump.t").write_text(PUMP_T)
    return tmp_path / "t/pump.t"


@pytest.mark.parametrize(
    ("lines", "test"),
    [
        ([4, 16, 17], ("t/pump.t > drains, at last", 11)),
        ([4, 14, 15, 17], ("t/pump.t > drains, at last > inside", 13)),
        ([4, 18], ("t/pump.t", 1)),
        ([99], ("t/pump.t", 1)),
        ([], ("t/pump.t", 1)),
    ],
)
def test_prove_runs_a_file_and_the_stack_tells_the_subtest(pump_t, lines, test):
    on = [stack(*(("main", pump_t, True, line) for line in lines))]
    seen = process("/usr/bin/perl t/pump.t", cwd=pump_t.parents[1], stacks=on)
    assert found(ProveRunner(), seen, process(PROVE)) == test


def test_a_harness_says_that_it_is_there(pump_t):
    harness = {"HARNESS_ACTIVE": "1"}
    at = {"cwd": pump_t.parents[1], "variables": harness}
    assert found_by(ProveRunner(), process("perl -Ilib t/pump.t", **at)) == "t/pump.t"
    assert found_by(ProveRunner(), process("t/pump.t", **at)) == "t/pump.t"
    assert found_by(ProveRunner(), process("perl helper.pl", **at)) is None
    assert found_by(ProveRunner(), process("perl t/pump.t", cwd=at["cwd"])) is None


# -- bats ----------------------------------------------------------------------------------------

EXEC_TEST = (
    "bash /usr/libexec/bats-core/bats-exec-test --dummy-flag {} "
    "test_drains-2c_when_it-27s_full_-281-5f2-29 2 2 1"
)


@pytest.fixture
def pump_bats(tmp_path):
    (tmp_path / "pump.bats").write_text(
        '@test "starts" { true; }\n\n@test "drains, when it\'s full (1_2)" {\n  drain\n}\n'
    )
    return tmp_path / "pump.bats"


def test_bats_names_the_test_in_arguments(pump_bats):
    seen = process(EXEC_TEST.format(pump_bats), cwd=pump_bats.parent)
    assert found(BatsRunner(), seen) == ("pump.bats > drains, when it's full (1_2)", 3)


@pytest.mark.parametrize(
    ("variables", "test"),
    [
        ({"BATS_TEST_DESCRIPTION": "starts"}, ("pump.bats > starts", 1)),
        ({"BATS_TEST_NAME": "test_starts"}, ("pump.bats > starts", 1)),
        ({"BATS_TEST_NAME": "test_starts_twice"}, ("pump.bats > starts twice", None)),
        ({}, None),
    ],
)
def test_bats_names_the_test_in_the_environment(pump_bats, variables, test):
    variables = variables | {"BATS_TEST_FILENAME": str(pump_bats)}
    seen = process("sleep 60", cwd=pump_bats.parent, variables=variables)
    assert found(BatsRunner(), seen) == test


# -- make ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "place"),
    [
        ({"drain.test": "#!/bin/sh\n"}, "drain.test"),
        ({"drain.test": "\x7fELF", "drain.test.c": "int main;"}, "drain.test.c"),
        ({}, None),
    ],
)
def test_automakes_driver_is_told_the_tests_name(tmp_path, files, place):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    driver = "/bin/bash ../build-aux/test-driver --test-name drain.test --log-file drain.log -- ./x"
    result = AutomakeRunner().find(process(driver, cwd=tmp_path), [])
    assert (result.id, result.scope) == ("drain.test", Scope.FILE)
    assert (result.place and result.place.path) == (place and str(tmp_path / place))
    assert found(AutomakeRunner(), process("./x --test-name drain.test")) is None


@pytest.mark.parametrize(
    ("command", "test"),
    [
        ("make check", ("make check", 3)),
        ("make -j4 -C sub check", ("make check", 3)),
        ("gmake all unit-tests", ("make unit-tests", 5)),
        ("make check-recursive", ("make check-recursive", 1)),
        ("make all", None),
        ("make", None),
        ("make contest latest", None),
        ("cmake test", None),
    ],
)
def test_a_target_may_say_that_something_is_tested(tmp_path, command, test):
    (tmp_path / "Makefile").write_text("all:\n\ncheck: all\n\tsh x.sh\nunit-tests:\n\ttrue\n")
    assert found(MakeRunner(), process(command, cwd=tmp_path)) == test


# -- npm -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "agent", "test"),
    [
        ("test", "npm/11.19.1 node/v20.20.2 linux x64", ("npm test", 2)),
        ("pretest", "pnpm/9.1.0 npm/? node/v20", ("pnpm test", None)),
        ("test:unit", "yarn/1.22.0 npm/? node/v20", ("yarn run test:unit", 3)),
        ("test", "\x1b[2J", ("npm test", 2)),
        ("build", "npm/11.19.1", None),
        ("latest", "npm/11.19.1", None),
        ("", "", None),
    ],
)
def test_npm_names_the_script(tmp_path, script, agent, test):
    package = tmp_path / "package.json"
    package.write_text('{"scripts": {\n"test": "sh x.sh",\n"test:unit": "sh y.sh"}}')
    variables = {
        "npm_lifecycle_event": script,
        "npm_package_json": str(package),
        "npm_config_user_agent": agent,
    }
    assert found(NpmRunner(), process("sh -c x", variables=variables)) == test


# -- without a runner ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "is_test"),
    [
        ("bash tests/scan.sh", True),
        ("sh ./test_scan.sh", True),
        ("bash -eu scan_test.sh", True),
        ("node test/run.js", True),
        ("perl t/scan.pl", True),
        ("python3 run_tests.py", True),
        ("bash contest/scan.sh", False),
        ("bash latest.sh", False),
        ("bash attest.sh", False),
        ("bash gone/test_scan.sh", False),
        ("bash", False),
    ],
)
def test_a_script_may_be_called_a_test(tmp_path, command, is_test):
    script = command.split()[-1]
    if "gone" not in script and "/" in script.removeprefix("./"):
        (tmp_path / script).parent.mkdir()
    if "gone" not in script and "." in script:
        (tmp_path / script).write_text("true\n")
    test = found(ProgramRunner(), process(command, cwd=tmp_path))
    assert test == ((script.removeprefix("./"), 1) if is_test else None)


@pytest.mark.parametrize(
    ("name", "is_test"),
    [("test_queue", True), ("queue-test", True), ("queue", False), ("testament", False)],
)
def test_a_program_may_be_called_a_test(tmp_path, name, is_test):
    exe = tmp_path / "build" / name
    exe.parent.mkdir()
    exe.touch()
    test = found(ProgramRunner(), process(f"./build/{name}", cwd=tmp_path, exe=str(exe)))
    assert test == ((f"build/{name}", None) if is_test else None)


def test_the_line_of_a_test_program_is_the_outermost_in_its_tests(tmp_path):
    for name in ("build/test_queue", "src/queue.c", "tests/main.c"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    main = tmp_path / "tests/main.c"
    frames = [("pop", tmp_path / "src/queue.c", True, 8), ("t", main, True, 5)]
    on = [stack(*frames, ("main", main, True, 9))]
    seen = process("build/test_queue", cwd=tmp_path, exe=f"{tmp_path}/build/test_queue", stacks=on)
    assert found(ProgramRunner(), seen) == ("build/test_queue", 9)


def test_an_installed_program_is_no_test():
    assert found(ProgramRunner(), process("test", exe="/usr/bin/test")) is None
