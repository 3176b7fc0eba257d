import io
import json

from rich.console import Console

from bench.machine import is_agent_serving, save_json
from bench.progress import Steps
from linnix_ls.config import default_socket_path

UNIX_HEAD = "Num       RefCount Protocol Flags    Type St Inode Path\n"


def test_an_agent_is_known_by_its_socket_without_connecting():
    line = "0000000000000000: 00000002 00000000 00010000 0001 01 21345 "
    assert is_agent_serving(f"{UNIX_HEAD}{line}{default_socket_path()}\n")
    assert not is_agent_serving(f"{UNIX_HEAD}{line}/run/other.sock\n{line}\n")


def test_a_result_is_saved_whole(tmp_path):
    path = tmp_path / "results" / "one.json"
    save_json(path, {"a": 1})
    save_json(path, {"a": 2})
    assert json.loads(path.read_text()) == {"a": 2}
    assert list(path.parent.iterdir()) == [path]


def test_progress_outside_a_terminal_is_a_line_a_step():
    out = io.StringIO()
    with Steps(2, Console(file=out, soft_wrap=True)) as steps:
        steps.begin("one [1 of 2]")
        steps.say("quiet")
        steps.begin("two")
    lines = out.getvalue().splitlines()
    assert lines == [
        "1/2  one [1 of 2]  (0:00 elapsed)",
        "quiet",
        "2/2  two  (0:00 elapsed, about 0:00 left)",
    ]


def test_progress_on_a_terminal_is_a_bar_with_what_runs():
    out = io.StringIO()
    with Steps(2, Console(file=out, force_terminal=True, width=80)) as steps:
        steps.begin("one")
        steps.begin("two")
    assert "two" in out.getvalue()
    assert "1/2" in out.getvalue()
