"""What a command line says about the program that runs."""

import pytest

from linnix_ls.core.tree import is_interactive_shell, program_name, script_argument


@pytest.mark.parametrize(
    ("command", "script", "name"),
    [
        ("python3 pump.py", "pump.py", "pump.py"),
        ("/usr/bin/python3.11 /ws/tools/pump.py -v", "/ws/tools/pump.py", "pump.py"),
        ("python3 -m pytest -q", "pytest", "pytest"),
        ("python3 -X dev -W error -u pump.py", "pump.py", "pump.py"),
        ("pypy3 -m build", "build", "build"),
        ("python3 -c pass", None, "python3"),
        ("python3 -", None, "python3"),
        ("python3", None, "python3"),
        ("sh -e build.sh all", "build.sh", "build.sh"),
        ("/bin/sh -c ./build.sh", None, "sh"),
        ("bash -euc ./build.sh", None, "bash"),
        ("bash -o pipefail build.sh", "build.sh", "build.sh"),
        ("bash --norc build.sh", "build.sh", "build.sh"),
        ("-bash", None, "bash"),
        ("bash -s", None, "bash"),
        ("python3 -O -I pump.py", "pump.py", "pump.py"),
        ("perl -I lib -w count.pl", "count.pl", "count.pl"),
        ("perl -pe s/a/b/ names.txt", None, "perl"),
        ("java -cp build/classes Main", "Main", "Main"),
        ("node --require ts-node/register app.js", "app.js", "app.js"),
        ("node -e 1", None, "node"),
        ("perl -w count.pl", "count.pl", "count.pl"),
        ("env FOO=1 python3 pump.py", "pump.py", "pump.py"),
        ("make -j4 all", None, "make"),
        ("/usr/lib/gcc/x86_64-linux-gnu/12/cc1 -quiet a.c", None, "cc1"),
    ],
)
def test_a_program_is_called_by_its_script_or_module_and_else_by_itself(command, script, name):
    argv = tuple(command.split())
    assert script_argument(argv) == script
    assert program_name(argv) == name


def test_a_program_without_arguments_is_called_by_its_comm():
    assert program_name((), "kworker") == "kworker"
    assert script_argument(()) is None


@pytest.mark.parametrize(
    "command",
    [
        "bash",
        "-bash",
        "/bin/zsh",
        "bash -i",
        "bash --login",
        "sh -l",
        "fish --init-command pwd",
        "bash --init-file /opt/shellIntegration.sh",
        "bash --rcfile /dev/null -i",
        "zsh -o ignoreeof",
    ],
)
def test_a_shell_that_is_given_no_work_is_at_its_prompt(command):
    assert is_interactive_shell(tuple(command.split()), "")


@pytest.mark.parametrize(
    "command",
    [
        "bash build.sh",
        "bash -c make",
        "bash -lc make",
        "sh -e build.sh",
        "bash --norc build.sh",
        "bash -o pipefail build.sh",
        "python3",
        "make",
    ],
)
def test_a_shell_with_a_script_or_a_command_is_not_at_a_prompt(command):
    assert not is_interactive_shell(tuple(command.split()), "")


def test_a_shell_whose_arguments_are_not_known_is_told_by_its_comm():
    assert is_interactive_shell((), "bash")
    assert not is_interactive_shell((), "pytest")
