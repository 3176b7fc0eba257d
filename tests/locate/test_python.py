"""Python processes, read by the real py-spy."""

import asyncio
import os
import subprocess
import sys

import pytest

from linnix_ls.core.attribution import attribute
from linnix_ls.core.examination import Depth, Examination
from linnix_ls.core.findings import Kind
from linnix_ls.locate import python
from linnix_ls.locate.python import PythonReader
from tests.locate.programs import facts_of
from tests.locate.specimens import NO_PID, facts, read, running_python

SPIN = """\
import threading
import time


def sleep():
    time.sleep(600)


def drain(n):
    secret = "ä" * n
    print("ready", flush=True)
    while True:
        if n < 0:
            break


def main():
    threading.Thread(target=sleep, daemon=True).start()
    drain(3)


main()
"""


def needs_right_to_trace():
    return pytest.mark.skipif(os.geteuid() != 0, reason="reads other processes: needs root")


@pytest.mark.parametrize(
    ("command", "exe", "is_python"),
    [
        ("python3 x.py", "/usr/bin/python3.11", True),
        ("pytest -q", "/ws/.venv/bin/python", True),
        ("/usr/bin/python2 x.py", None, True),
        ("node x.js", "/usr/bin/node", False),
        ("ipython", "/usr/bin/bash", False),
        ("", None, False),
    ],
)
def test_python_is_known_by_its_program(command, exe, is_python):
    assert PythonReader().recognises(facts(command, exe=exe)) is is_python


@pytest.mark.e2e
@needs_right_to_trace()
class TestASpinningChild:
    @pytest.fixture(params=["pump.py", "straße ü/my pump.py"])
    def spinner(self, request, tmp_path):
        script = tmp_path / request.param
        script.parent.mkdir(exist_ok=True)
        script.write_text(SPIN)
        with running_python(script, cwd=tmp_path) as pid:
            yield script, pid

    def test_its_loop_is_seen(self, spinner):
        script, pid = spinner
        reading = read(PythonReader(), facts_of(pid), n_looks=4)
        assert reading.notes == ()
        assert len(reading.stacks) == 4
        for stack in reading.stacks:
            assert [frame.function for frame in stack.frames] == ["drain", "main", "<module>"]
            innermost = stack.frames[0]
            assert innermost.path == str(script)
            assert innermost.is_user_code
            assert innermost.line in (12, 13)
            assert innermost.loops == ((12, 14),)
            assert innermost.has_call is False
            assert stack.tid == pid
            assert stack.is_running

    def test_it_comes_back_to_few_states(self, spinner):
        _, pid = spinner
        states = {stack.state_hash for stack in read(PythonReader(), facts_of(pid)).stacks}
        assert None not in states
        assert len(states) <= 2  # one for each line of the loop

    def test_its_line_is_found(self, spinner):
        script, pid = spinner
        of = facts_of(pid)
        reading = read(PythonReader(), of, n_looks=4)
        examination = Examination(
            1, of.key, Depth.MEASURE, False, 0.7, of, language="python", stacks=reading.stacks
        )
        location = attribute(examination, Kind.CPU_SPIN, of.key).location
        assert (location.path, location.function) == (str(script), "drain")
        assert (location.line, location.end_line) == (12, 14)

    def test_started_by_a_relative_name_it_is_found_by_its_folder(self, tmp_path):
        (tmp_path / "pump.py").write_text(SPIN)
        with running_python("pump.py", cwd=tmp_path) as pid:
            [stack] = read(PythonReader(), facts_of(pid), n_looks=1).stacks
        assert stack.frames[0].path == str(tmp_path / "pump.py")


@pytest.mark.e2e
@needs_right_to_trace()
def test_a_program_that_moves_on_is_in_ever_new_states(tmp_path):
    script = tmp_path / "count.py"
    script.write_text(
        "def count():\n    n = 0\n    print('ready', flush=True)\n    while True:\n"
        "        n += 1\n\n\n"
        "count()\n"
    )
    with running_python(script) as pid:
        stacks = read(PythonReader(), facts_of(pid), n_looks=6).stacks
    assert len({stack.state_hash for stack in stacks}) == python.LOOKS_AT_WHO_MOVES_ON


@pytest.mark.e2e
@needs_right_to_trace()
def test_a_call_of_a_regular_expression_is_known_as_such(tmp_path):
    script = tmp_path / "words.py"
    script.write_text(
        "import re\nprint('ready', flush=True)\nWORD = re.compile('(a+)+$')\n"
        "WORD.match('a' * 60 + 'b')\n"
    )
    with running_python(script) as pid:
        stacks = read(PythonReader(), facts_of(pid), n_looks=3).stacks
    assert {stack.native_leaf for stack in stacks} == {"regex"}
    assert {stack.frames[0].line for stack in stacks} == {4}


@pytest.mark.e2e
@needs_right_to_trace()
def test_a_script_that_was_changed_or_deleted_meanwhile_is_still_looked_at(tmp_path):
    script = tmp_path / "pump.py"
    script.write_text(SPIN)
    with running_python(script) as pid:
        of = facts_of(pid)
        script.write_text("nothing\n")
        [stack] = read(PythonReader(), of, n_looks=1).stacks
        assert stack.frames[0].loops == ()
        script.unlink()
        # Without its source no thread has user code: of one look alone, either may be meant.
        for _ in range(40):
            [stack] = read(PythonReader(), of, n_looks=1).stacks
            if stack.frames[0].function == "drain":
                break
        assert stack.frames[0].function == "drain"
        assert not stack.frames[0].is_user_code


# -- what goes wrong is a note -------------------------------------------------------------------


@pytest.mark.e2e
def test_a_process_that_has_gone_is_a_note():
    reading = read(PythonReader(), facts("python3 x.py", pid=NO_PID - 1))
    assert reading.stacks == ()
    assert "py-spy" in reading.notes[0]


@pytest.mark.e2e
@needs_right_to_trace()
def test_a_process_that_only_calls_itself_python_is_a_note():
    process = subprocess.Popen(["python3", "60"], executable="/bin/sleep")
    try:
        reading = read(PythonReader(), facts_of(process.pid))
        assert reading.stacks == ()
        assert "py-spy" in reading.notes[0]
    finally:
        process.kill()
        process.wait()


def test_without_py_spy_there_is_a_note(monkeypatch):
    monkeypatch.setattr(python, "py_spy_path", lambda: None)
    reading = read(PythonReader(), facts("python3 x.py"))
    assert "not installed" in reading.notes[0]


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "not JSON",
        "{}",
        "[]",
        "[[]]",
        "null",
        "5",
        '"text"',
        '[{"frames": null}]',
        '[{"frames": [{"name": 5}]}]',
        '[{"frames": [{"name": "f", "filename": null, "line": 1}]}]',
        '[{"frames": [{"name": "f", "filename": "/x\\u0000", "line": "1"}]}]',
        '[{"frames": [], "os_thread_id": "many"}]',
    ],
)
def test_whatever_py_spy_answers_it_does_not_matter(tmp_path, monkeypatch, answer):
    (tmp_path / "answer").write_text(answer)
    program = tmp_path / "py-spy"
    program.write_text(f"#!/bin/sh\ncat '{tmp_path}/answer'\n")
    program.chmod(0o755)
    monkeypatch.setattr(python, "py_spy_path", lambda: str(program))
    reading = read(PythonReader(), facts("python3 x.py"), n_looks=1)
    assert not any(frame.is_user_code for stack in reading.stacks for frame in stack.frames)


@pytest.mark.e2e
def test_a_py_spy_that_hangs_is_given_up(tmp_path, monkeypatch):
    program = tmp_path / "py-spy"
    program.write_text(f"#!/bin/sh\necho $$ > '{tmp_path}/pid'\nexec sleep 600\n")
    program.chmod(0o755)
    monkeypatch.setattr(python, "py_spy_path", lambda: str(program))
    monkeypatch.setattr(python, "LOOK_TIMEOUT_S", 0.3)
    reading = asyncio.run(PythonReader().read(facts("python3 x.py"), n_looks=5, interval_s=0))
    assert "more than" in reading.notes[0]
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_py_spy_is_found_beside_the_interpreter():
    found = python.py_spy_path()
    assert found is None or os.access(found, os.X_OK)
    beside = os.path.join(os.path.dirname(sys.executable), "py-spy")
    assert found == beside or not os.path.exists(beside)
