import os
import subprocess
import sys

import pytest

from linnix_ls import __version__
from linnix_ls.cli.main import main
from linnix_ls.core.findings import Kind


def usage_error_of(capfd, *words):
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2
    return capfd.readouterr().err


def test_says_its_version(capfd):
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert (stopped.value.code, capfd.readouterr().out) == (0, f"linnix-ls {__version__}\n")


def test_help_names_every_subcommand(capfd):
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capfd.readouterr().out
    assert [
        word
        for word in ("run", "replay", "explain", "model", "doctor", "agent", "--tcp")
        if word not in shown
    ] == []


def test_errors_become_text_with_a_fix_and_an_exit_code(capfd):
    assert main(["run"]) == 2
    assert capfd.readouterr() == (
        "",
        "linnix-ls: there is nothing to run\n  fix: linnix-ls run -- CMD [ARG ...]\n",
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--explain", "openai"), "needs to know which endpoint and which model"),
        (("--explain", "openai", "--model", "m"), "needs to know which endpoint"),
        (("--explain", "llama", "--endpoint", "http://localhost/v1"), "is for --explain openai"),
        (("--explain", "llama", "--deadline", "-1"), "--deadline"),
    ],
)
def test_options_about_models_have_to_fit_together(capfd, words, message):
    assert main(["run", *words, "--", "true"]) == 2
    shown = capfd.readouterr().err
    assert message in shown


def test_an_unknown_kind_is_refused_with_those_there_are(capfd):
    shown = usage_error_of(capfd, "run", "--fail-on", "cpu_spin,nonsense", "--", "true")
    assert [kind for kind in Kind if kind not in shown] == []


@pytest.mark.parametrize(
    "words",
    [
        ("run", "--tracer", "ptrace", "--", "true"),
        ("run", "--min-severity", "high", "--", "true"),
        ("run", "--jso", "x", "--", "true"),
        ("replay",),
        ("nonsense",),
        ("--stdio", "--tcp", "127.0.0.1:1"),
    ],
)
def test_wrong_options_are_refused(capfd, words):
    assert "usage: linnix-ls" in usage_error_of(capfd, *words)


def test_nothing_heavy_is_imported_before_the_subcommand_is_known():
    code = (
        "import sys\nfrom linnix_ls.cli import main\nmain._parser()\n"
        "heavy = 'pydantic rich pygls lsprotocol psutil elftools bcc linnix_ls.app'.split()\n"
        "print(*[name for name in heavy if name in sys.modules])\n"
    )
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert (outcome.stdout, outcome.stderr) == (b"\n", b"")


def test_a_closed_stderr_is_no_further_error():
    outcome = subprocess.run(
        ["sh", "-c", '"$0" -m linnix_ls.cli.main run 2>&-', sys.executable],
        check=False,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        stdout=subprocess.PIPE,
    )
    assert (outcome.returncode, outcome.stdout) == (2, b"")
