"""The source around a line, whatever the file is."""

import os
from dataclasses import replace

import pytest

from linnix_ls.core.findings import SourceLocation
from linnix_ls.explain import excerpt
from tests.explain.findings import found, source_of
from tests.report.samples import a_spin

LONG = (
    "def first():\n    pass\n\n\ndef second():\n"
    + "    x = 1\n" * 30
    + "\n\ndef third():\n    pass\n"
)


def at(path, line):
    return replace(a_spin(), location=SourceLocation(str(path), line))


def read(text, line, path="/ws/a.py"):
    return excerpt.read(at(path, line), lambda _: text)


def test_a_short_file_is_shown_whole():
    shown = source_of("py-log-shipper")
    assert (shown.first_line, shown.last_line, shown.language) == (1, 32, "python")
    assert shown.lines == shown.all_lines


def test_of_a_long_file_the_function_is_shown_with_some_lines_around_where_there_is_room():
    shown = read(LONG + "y = 1\n" * 200, 20)
    assert shown.first_line == 5
    assert shown.lines[0] == "def second():"
    assert shown.last_line == 35
    assert len(shown.all_lines) == 239


def test_of_a_long_function_the_lines_around_are_shown():
    text = "import x\n\n\ndef f():\n" + "    x = 1\n" * 500
    shown = read(text, 250)
    assert shown.first_line <= 250 - 15
    assert shown.last_line >= 250 + 15
    assert len(shown.lines) <= excerpt.MAX_LINES


def test_decorators_belong_to_their_function():
    text = "x = 1\n" * 60 + "@one\n@two\ndef f():\n" + "    y = 1\n" * 30
    assert read(text, 80).first_line == 61


@pytest.mark.parametrize(
    ("name", "parts", "first", "last"),
    [
        ("a.c", ("int f(void)\n{\n", "  g();\n", "int a;\n"), 61, 93),
        ("a.sh", ("f() {\n", "  g\n", "x=1\n"), 61, 92),
        ("a.js", ("function f() {\n", "  g();\n", "x();\n"), 61, 92),
    ],
)
def test_functions_of_other_languages_are_found(name, parts, first, last):
    head, line, other = parts
    text = other * 60 + head + line * 30 + "}\n" + other * 60
    shown = read(text, 76, f"/ws/{name}")
    assert (shown.first_line, shown.last_line) == (first, last)


@pytest.mark.parametrize(
    ("path", "first_line", "language"),
    [
        ("/ws/run", "#!/usr/bin/env python3", "python"),
        ("/ws/run", "#!/bin/bash -e", "shell"),
        ("/ws/run", "#!/bin/sh", "shell"),
        ("/ws/run", "#!/usr/bin/perl", "perl"),
        ("/ws/run", "#!/usr/bin/env -S node --test", "javascript"),
        ("/ws/run", "hello", None),
        ("/ws/Makefile", "all:", "make"),
        ("/ws/a.h", "int x;", "c"),
        ("/ws/a.h", "std::mutex m;", "c++"),
    ],
)
def test_the_language_is_known_by_name_or_by_first_line(path, first_line, language):
    assert read(f"{first_line}\nx\n", 2, path).language == language


def test_form_feeds_and_carriage_returns_do_not_move_lines():
    shown = read("a\x0cb\r\nc\u2028d\ne\n", 2)
    assert shown.lines == ("a\x0cb", "c\u2028d", "e")


@pytest.mark.parametrize("line", [0, -1, 4, 10**9])
def test_a_line_that_is_not_there_shows_nothing(line):
    assert read("a\nb\nc\n", line) is None


def test_without_a_place_or_a_text_there_is_nothing():
    assert excerpt.read(replace(a_spin(), location=None), lambda _: "x") is None
    assert read(None, 1) is None
    assert read("", 1) is None


def test_what_nobody_wrote_by_hand_is_left_out():
    assert read("x" * 1_000, 1) is None
    shown = read("a = 1\nb = 2\nc = " + "3" * 1_000 + "\nd = 4\n", 1)
    assert shown.lines == ("a = 1", "b = 2")


@pytest.mark.parametrize(
    "text",
    [
        "def f(:\n  ((((\n" * 50,
        "(" * 5_000 + "\n" + "x\n" * 9,
        "\udcff\ud800\x00\n" * 90,
        "class A:\n" + "\t" * 200 + "x\n" * 50,
    ],
)
@pytest.mark.parametrize("name", ["a.py", "a.c", "a.sh", "a.java", "a.rs", "a.ts", "a", "Makefile"])
def test_any_text_is_read_in_any_language(text, name):
    shown = read(text, 2, f"/ws/{name}")
    assert shown is None or len(shown.lines) <= excerpt.MAX_LINES


def test_a_file_is_read_from_the_disk_whatever_its_encoding(tmp_path):
    path = tmp_path / "a.py"
    path.write_bytes(b"a = 'gr\xfc\xdfe'\n")
    assert excerpt.read(at(path, 1), excerpt.text_on_disk).lines == ("a = 'gr\ufffd\ufffde'",)


def test_what_is_no_file_is_not_read(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path in (fifo, tmp_path, "/dev/zero", tmp_path / "none", "a\0b"):
        assert excerpt.read(at(path, 1), excerpt.text_on_disk) is None


def test_each_finding_of_the_corpus_with_a_place_has_its_source():
    for name in ("c-frame-reader", "node-config-store", "java-job-runner", "rust-ready-latch"):
        shown = source_of(name)
        assert shown.first_line <= found(name).location.line <= shown.last_line
