"""A socket that a service manager passes: only one that is what it should be."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.e2e

# Does what systemd does between fork and exec, and says what becomes of it.
SCRIPT = """
import os, socket, sys
from linnix_ls.errors import AgentError
from linnix_ls.feed.activation import passed_socket
{make}
os.dup2(made.fileno(), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="x")
{change}
try:
    passed = passed_socket()
    print(passed and (passed.fileno(), passed.get_inheritable()))
except AgentError as error:
    print(error.message)
print([name for name in os.environ if name.startswith("LISTEN")])
"""
LISTENING = "made = socket.socket(socket.AF_UNIX); made.bind(sys.argv[1]); made.listen()"


def said(tmp_path, make=LISTENING, change=""):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(make=make, change=change), tmp_path / "a.sock"],
        capture_output=True, text=True, check=True, env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )  # fmt: skip
    outcome, environment = done.stdout.splitlines()
    assert environment == "[]"  # children are not to take it for theirs
    return outcome


def test_one_that_listens_is_taken(tmp_path):
    assert said(tmp_path) == "(3, False)"


@pytest.mark.parametrize(
    "change", ["os.environ['LISTEN_PID'] = '1'", "del os.environ['LISTEN_PID']"]
)
def test_what_was_passed_to_another_process_is_left_alone(tmp_path, change):
    assert said(tmp_path, change=change) == "None"


@pytest.mark.parametrize(
    ("make", "change", "reason"),
    [
        ("made = open('/dev/null')", "", "is none"),
        ("made = socket.socket(socket.AF_UNIX)", "", "no unix stream socket that listens"),
        ("made = socket.socketpair()[0]", "", "no unix stream socket that listens"),
        ("made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); made.bind(sys.argv[1])", "",
         "no unix stream socket that listens"),
        ("made = socket.socket(); made.bind(('127.0.0.1', 0)); made.listen()", "",
         "no unix stream socket that listens"),
        (LISTENING, "os.environ['LISTEN_FDS'] = '2'", "expected one passed socket, not 2"),
        (LISTENING, "os.environ['LISTEN_FDS'] = 'all'", "expected one passed socket, not all"),
    ],
)  # fmt: skip
def test_anything_else_is_refused(tmp_path, make, change, reason):
    assert reason in said(tmp_path, make, change)
