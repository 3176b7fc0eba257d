"""How a test is run again: each runner's own way, and what leads into the copy."""

import ast
import os
import subprocess
import sys
import venv
from dataclasses import replace
from pathlib import Path

import pytest

from linnix_ls.fixes.rerun import (
    NotRunnable,
    _mapped,
    _python_folders,
    command_for,
    command_for_copy,
    in_copy,
    reproduction,
)
from linnix_ls.fixes.scratch import Scratch
from tests.lsp.memory_feed import a_finding, a_process


def finding_of(cwd, argv, test=None, comm="x"):
    run = replace(a_process(4400, comm), argv=tuple(argv), cwd=cwd and str(cwd))
    return a_finding(process=a_process(4412, "python3"), ancestry=(run,), run=run.key, test=test)


@pytest.fixture
def folder(tmp_path):
    for name in ("tests/test_a.py", "t/a.t", "test/a.test.js", "test/a.bats", "src/x"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    return tmp_path


@pytest.mark.parametrize(
    ("argv", "test", "alone"),
    [
        (
            "python3 -m pytest -q -p no:cacheprovider tests",
            "tests/test_a.py::T::test_x[1]",
            "python3 -m pytest -q -p no:cacheprovider tests/test_a.py::T::test_x[1]",
        ),
        (
            "/usr/bin/python3 /usr/bin/pytest -k x tests/test_a.py",
            "tests/test_a.py::test_x",
            "/usr/bin/python3 /usr/bin/pytest -k x tests/test_a.py::test_x",
        ),
        ("pytest", "tests/test_a.py::test_x", "pytest tests/test_a.py::test_x"),
        ("make check", "tests/test_a.py::test_x", "make check"),
        ("timeout 9 pytest", "tests/test_a.py::test_x", "timeout 9 pytest"),
        (
            "python3 -m unittest -v",
            "tests.test_a.T.test_x",
            "python3 -m unittest -v tests.test_a.T.test_x",
        ),
        ("python3 -m unittest discover", "test_a.T.test_x", "python3 -m unittest discover"),
        (
            "cargo test --offline -- --nocapture",
            "pump::drains",
            "cargo test --offline -- --nocapture pump::drains --exact",
        ),
        (
            "go test ./...",
            "pump.TestDrains/in_a_subtest",
            r"go test -count=1 -v -run ^TestDrains$/^in_a_subtest$ ./...",
        ),
        ("go test ./...", "pump", "go test ./..."),
        ("node --test test/", "test/a.test.js > a > b", "node --test test/a.test.js"),
        ("node test/a.test.js", "test/a.test.js > a", "node test/a.test.js"),
        (
            "node /x/node_modules/.bin/jest --ci",
            "test/a.test.js › a › b",
            "node /x/node_modules/.bin/jest --ci --runTestsByPath test/a.test.js -t a\\ b",
        ),
        (
            "node /x/node_modules/.bin/mocha",
            "test/a.test.js > a > b",
            "node /x/node_modules/.bin/mocha test/a.test.js -f a_b",
        ),
        (
            "node /x/vitest.mjs run",
            "test/a.test.js",
            "node /x/vitest.mjs run test/a.test.js",
        ),
        ("ctest -V", "drain.x", r"ctest -V -R ^drain\.x$"),
        (
            "/usr/bin/perl /usr/bin/prove -l t/",
            "t/a.t > x",
            "/usr/bin/perl /usr/bin/prove -l t/a.t",
        ),
        (
            "bash /usr/lib/bats/bats test",
            "test/a.bats > x",
            "bash /usr/lib/bats/bats -f ^x$ test/a.bats",
        ),
        ("mvn -q test", "p.PumpTest#drains", "mvn -q test -Dtest=p.PumpTest#drains"),
        ("npm test", "npm test", "npm test"),
    ],
)
def test_one_test_is_run_alone_where_the_runner_can(folder, argv, test, alone):
    command = command_for(finding_of(folder, argv.split(), test))
    # "_" stands for a space, and "\ " for an escaped one.
    wanted = [word.replace("a_b", "a b") for word in alone.replace("\\ ", "\0").split(" ")]
    assert list(command.argv) == [word.replace("\0", "\\ ") for word in wanted]
    assert command.cwd == str(folder)


def test_pytests_ids_count_from_its_root_folder(folder):
    command = command_for(finding_of(folder / "src", ["pytest"], "tests/test_a.py::test_x"))
    assert command.argv == ("pytest", "../tests/test_a.py::test_x")


def test_a_title_that_npm_has_written_over_its_arguments_is_a_command(folder):
    assert command_for(finding_of(folder, ["npm run check"])).argv == ("npm", "run", "check")


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        ([], "not known"),
        (["bash"], "prompt"),
        (["-zsh"], "prompt"),
        (["python3"], "prompt"),
        (["node", "-i"], "prompt"),
        (["sudo", "make"], "elsewhere"),
        (["docker", "run", "x"], "elsewhere"),
    ],
)
def test_what_cannot_be_run_again_is_said(folder, argv, why):
    with pytest.raises(NotRunnable, match=why):
        command_for_copy(finding_of(folder, argv, comm=argv[0] if argv else "x"))
    with pytest.raises(NotRunnable, match="not known"):
        command_for(finding_of(None, ["pytest"]))


@pytest.fixture
def scratch(folder, tmp_path_factory):
    with Scratch(str(folder), tmp_path_factory.mktemp("trials")) as scratch:
        os.makedirs(scratch.folder + "/src")
        yield scratch


@pytest.mark.parametrize(
    "text", ["{}", "{}/a b.py", "--rootdir={}", "PATH={}/bin:/usr/bin", "-I{}/include", "'{}'"]
)
def test_paths_into_the_workspace_lead_into_the_copy(folder, scratch, text):
    assert _mapped(text.format(folder), scratch) == text.format(scratch.folder)


@pytest.mark.parametrize("text", ["{}x/a", "/mnt{}", "{}-other", "../{}"])
def test_other_paths_stay(folder, scratch, text):
    assert _mapped(text.format(folder), scratch) == text.format(folder)


def test_paths_into_a_virtual_environment_stay(folder, scratch):
    scratch.environments.append(f"{folder}/.venv")
    text = f"{folder}/.venv/bin/python {folder}/src"
    assert _mapped(text, scratch) == f"{folder}/.venv/bin/python {scratch.folder}/src"


def test_the_workspaces_environment_counts_as_activated(folder, scratch):
    scratch.environments.append(f"{folder}/.venv")
    command = command_for(finding_of(folder, ["pytest"]))
    argv, cwd = in_copy(command, scratch)
    assert cwd == scratch.folder
    [path] = [each for each in argv if each.startswith("PATH=")]
    assert path.startswith(f"PATH={folder}/.venv/bin:")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("_pump.pth", "{0}/lib\n"),
        ("pump.egg-link", "{0}/lib\n.\n"),
        ("__editable___pump_finder.py", "MAPPING = {{'pump': '{0}/lib/pump'}}\n"),
    ],
)
def test_packages_linked_to_the_workspace_are_found_in_the_copy_first(
    folder, scratch, name, content
):
    environment = folder / ".venv"
    venv.create(environment, with_pip=False)
    [site] = environment.glob("lib/python*/site-packages")
    (site / name).write_text(content.format(folder))
    (site / "other.pth").write_text("/usr/elsewhere\nimport os\n")
    os.makedirs(scratch.folder + "/lib")
    scratch.environments.append(str(environment))
    folders = list(_python_folders("python3", os.environ["PATH"], scratch))
    assert folders == [f"{scratch.folder}/src", f"{scratch.folder}/lib"]


def test_a_run_outside_of_the_copy_is_refused(scratch):
    command = command_for(finding_of("/usr", [sys.executable, "x.py"]))
    with pytest.raises(NotRunnable, match="/usr"):
        in_copy(command, scratch)
    assert Path(scratch.folder).exists()


class TestTheLineThatRunsItAgain:
    def test_goes_to_the_folder_and_runs_the_one_test(self, folder):
        finding = finding_of(folder, ["pytest", "-q"], "tests/test_a.py::test_x[a b]")
        assert reproduction(finding) == f"cd {folder} && pytest -q 'tests/test_a.py::test_x[a b]'"

    def test_may_need_another_user(self, folder):
        assert reproduction(finding_of(folder, ["sudo", "make"])).endswith("&& sudo make")

    @pytest.mark.parametrize(
        "argument",
        ["a b", "", "-", "*", "$(id)", "`id`", "a'b", '"', "!!", "~", "#", "a;b", "\\", "é", "😋",
         "a\nid\n", "\r", "\t", "\x1b[201~id", "\x03", "it's\x07\\", "\u202eabc", "a=b", "{a,b}"],
    )  # fmt: skip
    def test_gives_every_argument_to_a_shell_as_it_was(self, tmp_path, argument):
        odd = tmp_path / "it's $HOME\x1b"
        odd.mkdir()
        code = "import os,sys;print(ascii([os.getcwd(), *sys.argv[1:]]))"
        line = reproduction(finding_of(odd, [sys.executable, "-c", code, argument, "end"]))
        assert line.isprintable()
        done = subprocess.run(
            ["bash", "-c", line], capture_output=True, text=True, check=True,
            env=os.environ | {"LC_ALL": "C.UTF-8"},
        )  # fmt: skip
        assert ast.literal_eval(done.stdout) == [str(odd), argument, "end"]

    def test_is_none_where_the_command_would_be_a_variable(self, folder):
        with pytest.raises(NotRunnable):
            reproduction(finding_of(folder, ["PATH=/tmp", "make"]))
