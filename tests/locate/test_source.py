"""Source files: whose they are, and what their syntax tells about a line."""

import os

import pytest

from linnix_ls.locate import source
from linnix_ls.locate.source import is_user_file, line_of, python_source, read_lines, resolve

# -- whose ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/home/u/app/.venv/lib/python3.11/site-packages/requests/api.py",
        "/usr/lib/python3/dist-packages/apt.py",
        "/usr/lib/python3.11/threading.py",
        "/opt/python/lib/python3.12/queue.py",
        "/home/u/app/node_modules/react/index.js",
        "/home/u/.cargo/registry/src/x/lib.rs",
        "/rustc/9fc6b43126469e3858e2fe86cafb4f0fd5068869/library/core/src/hint.rs",
        "/usr/include/c++/12/bits/stl_vector.h",
        "/nix/store/abc-glibc/x.c",
    ],
)
def test_what_is_installed_is_not_the_users(path, monkeypatch):
    monkeypatch.setattr(os.path, "isfile", lambda _: True)
    assert not is_user_file(path)


@pytest.mark.parametrize(
    "path",
    [
        "/home/u/app/pump.py",
        "/srv/my lib/straße/a.py",
        "/home/u/lib/tool.py",
        "/usr/local/src/app/a.c",
        "/home/u/python/lib.py",
        "/opt/app/libs/x.py",
        "/tmp/x/build/a.c",
    ],
)
def test_all_else_is(path, monkeypatch):
    monkeypatch.setattr(os.path, "isfile", lambda _: True)
    assert is_user_file(path)


def test_only_files_that_are_there_are_anybodys(tmp_path):
    (tmp_path / "a.py").touch()
    assert is_user_file(str(tmp_path / "a.py"))
    assert not is_user_file(str(tmp_path / "b.py"))
    assert not is_user_file(str(tmp_path))
    assert not is_user_file(None)
    assert not is_user_file("")
    assert not is_user_file("/tmp/\0")


# -- paths and lines -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "cwd", "resolved"),
    [
        ("a.py", "/ws", "/ws/a.py"),
        ("./x/../a.py", "/ws", "/ws/a.py"),
        ("/ws/a.py", None, "/ws/a.py"),
        ("a.py", None, None),
        ("", "/ws", None),
        ("a\0b", "/ws", None),
        ("straße/ä b.py", "/my ws", "/my ws/straße/ä b.py"),
    ],
)
def test_paths_are_seen_from_the_working_folder(path, cwd, resolved):
    assert resolve(path, cwd) == resolved


def test_lines_of_what_cannot_be_read_are_none(tmp_path, monkeypatch):
    text = tmp_path / "ä b.txt"
    text.write_bytes("one\ntwö\n".encode() + b"\xff\n")
    assert read_lines(str(text)) == ["one", "twö", "\ufffd"]
    assert read_lines(str(tmp_path)) == []
    assert read_lines(str(tmp_path / "gone")) == []
    assert read_lines("/dev/zero") == []
    monkeypatch.setattr(source, "MAX_SOURCE_BYTES", 4)
    assert read_lines(str(text)) == []


def test_the_first_line_that_matches(tmp_path):
    text = tmp_path / "a.txt"
    text.write_text("a\nb\nb\n")
    assert line_of(str(text), "^b") == 2
    assert line_of(str(text), "^c") is None


# -- Python --------------------------------------------------------------------------------------

PUMP = """\
import re, regex, subprocess
WORD = re.compile("(a+)+$")
number: object = regex.compile("x")


def drain(queue):
    while True:
        for item in queue:
            x = item + 1
        if queue.empty():
            continue
        WORD.match("aaa")
        number.search("x")
        re.sub("a", "b", "c")
        re.compile("x").split("y")
        "a-b".split("-")
        queue.match("x")
        y = [
            1,
            len(queue),
        ]


async def pull(stream):
    async for item in stream:
        pass
"""


@pytest.fixture
def pump(tmp_path):
    path = tmp_path / "pump.py"
    path.write_text(PUMP)
    return python_source(str(path))


def line(text):
    return next(n for n, at in enumerate(PUMP.splitlines(), start=1) if text in at)


def test_loops_come_innermost_first(pump):
    outer, inner = (line("while True"), line("len(queue)") + 1), (line("for item"), line("x = "))
    assert pump.loops_around(line("x = item")) == (inner, outer)
    assert pump.loops_around(line("if queue.empty")) == (outer,)
    assert pump.loops_around(line("def drain")) == ()
    assert pump.loops_around(line("        pass")) == ((line("async for"), line("        pass")),)


@pytest.mark.parametrize(
    ("text", "has_call"),
    [
        ("while True", False),
        ("x = item", False),
        ("continue", False),
        ("if queue.empty()", True),
        ("y = [", False),
        ("len(queue)", True),
    ],
)
def test_a_line_calls_something_or_nothing(pump, text, has_call):
    assert pump.has_call(line(text)) is has_call


@pytest.mark.parametrize(
    ("text", "is_regex"),
    [
        ("WORD.match", True),
        ("number.search", True),
        ("re.sub", True),
        ('re.compile("x").split', True),
        ('"a-b".split', False),
        ("queue.match", False),
        ("queue.empty", False),
    ],
)
def test_calls_of_regular_expressions_are_told_from_others(pump, text, is_regex):
    assert pump.calls_regex(line(text)) is is_regex


@pytest.mark.parametrize(
    "content",
    [
        b"def broken(:\n",
        b"\0\0\0",
        b"x = " + b"(" * 50_000 + b")" * 50_000,
        b"-" * 200_000 + b"1",
        b"\xff\xfe",
        b"while True: pass\\",
        b"'''",
        b"x = '\\d'\n'\\d'\n1 is 1\n",
    ],
)
def test_whatever_is_in_a_file_it_is_read_or_not(tmp_path, content, recwarn):
    path = tmp_path / "x.py"
    path.write_bytes(content)
    found = python_source(str(path))
    assert found is None or found.loops_around(1) in ((), ((1, 1),))
    assert list(recwarn) == []


def test_a_file_that_is_gone_has_no_syntax(tmp_path):
    assert python_source(str(tmp_path / "gone.py")) is None


def test_a_file_that_changes_is_read_anew(tmp_path):
    path = tmp_path / "x.py"
    path.write_text("x = 1\n")
    assert not python_source(str(path)).has_call(1)
    path.write_text("f()\n")
    os.utime(path, ns=(1, 1))
    assert python_source(str(path)).has_call(1)
