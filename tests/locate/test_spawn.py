"""Where a process was started, when whoever did it has gone."""

import pytest

from linnix_ls.locate.spawn import find_spawn_site
from tests.locate.programs import Folder
from tests.locate.specimens import facts

CONFTEST = """\
import subprocess
import sys

SERVER = [sys.executable, "serve.py"]


def start_server():
    return subprocess.Popen(SERVER)


def look():
    print("serve.py")
    return open("serve.py")
"""


@pytest.fixture
def folder(tmp_path):
    folder = Folder(tmp_path / "ä b")
    folder.write("tests/conftest.py", CONFTEST)
    folder.write("tests/test_a.py", "def test_a(start_server):\n    pass\n")
    return folder


def site(folder, command="python3 serve.py"):
    found = find_spawn_site(facts(command, cwd=folder.path))
    return found and (found.path.removeprefix(f"{folder.path}/"), found.line, found.function)


def test_the_call_that_starts_it_is_found_through_the_name_of_its_command(folder):
    assert site(folder) == ("tests/conftest.py", 8, "start_server")


def test_the_role_says_what_it_is(folder):
    found = find_spawn_site(facts("python3 serve.py", cwd=folder.path))
    assert found.role == "spawn_site"
    assert "serve.py" in found.reason


@pytest.mark.parametrize(
    ("code", "command"),
    [
        ('import subprocess\nsubprocess.run(["node", "x.js"])\n', "node x.js"),
        ('import os\nos.system("redis-server --port 1 &")\n', "redis-server --port 1"),
        ('import subprocess as s\ns.check_call("python -m web.app", shell=True)\n',
         "python -m web.app"),
        ('import asyncio\nasyncio.create_subprocess_exec("mongod")\n', "/usr/bin/mongod -f x"),
    ],
)  # fmt: skip
def test_the_usual_ways_to_start_a_program_are_known(folder, code, command):
    folder.write("start.py", code)
    assert site(folder, command) == ("start.py", 2, None)


def test_a_helper_that_tests_share_comes_before_a_test(folder):
    folder.write("tests/test_0.py", 'import subprocess\nsubprocess.run(["x", "serve.py"])\n')
    assert site(folder)[0] == "tests/conftest.py"


def test_several_places_are_less_sure_than_one(folder):
    sure = find_spawn_site(facts("python3 serve.py", cwd=folder.path)).confidence
    folder.write("other.py", 'import subprocess\nsubprocess.run(["x", "serve.py"])\n')
    assert find_spawn_site(facts("python3 serve.py", cwd=folder.path)).confidence < sure


@pytest.mark.parametrize("command", ["python3 other.py", "", "ls", ["\0"], "python3 -c pass"])
def test_what_nobody_starts_has_no_place(folder, command):
    assert site(folder, command) is None


def test_libraries_and_broken_files_are_passed_over(folder):
    start = 'import subprocess\nsubprocess.run(["x", "serve2.py"])\n'
    folder.write(".venv/lib/python3.11/site-packages/x.py", start)
    folder.write("node_modules/x.py", start)
    folder.write("broken.py", "serve2.py (((\n")
    folder.write("deep.py", "serve2 = " + "(" * 9_999)
    (folder.path / "bytes.py").write_bytes(b"serve2.py \xff\x00")
    (folder.path / "loop").symlink_to(folder.path)
    assert site(folder, "python3 serve2.py") is None


def test_without_a_folder_there_is_no_place():
    assert find_spawn_site(facts("python3 serve.py", cwd="/nowhere")) is None
