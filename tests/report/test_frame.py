import os

import pytest

from linnix_ls import sources
from linnix_ls.report.frame import MAX_COLUMNS, Frame, read_frame


@pytest.fixture
def source(tmp_path):
    def write(content):
        path = tmp_path / "source.py"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


def test_shows_two_lines_on_either_side(source):
    path = source("1\n2\n3\n4\n5\n6\n7\n")
    assert read_frame(path, 4, 4) == Frame(2, ("2", "3", "4", "5", "6"))


def test_a_range_is_shown_whole(source):
    path = source("1\n2\n3\n4\n5\n6\n7\n")
    shown = read_frame(path, 3, 5)
    assert (shown.first, shown.last, shown[4]) == (1, 7, "4")


def test_stops_at_the_ends_of_the_file(source):
    assert read_frame(source("only"), 1, 1) == Frame(1, ("only",))
    assert read_frame(source("1\n2\n"), 2, 9) == Frame(1, ("1", "2"))


@pytest.mark.parametrize("line", [0, -1, 3, 10**9])
def test_a_line_that_is_not_there_shows_nothing(source, line):
    assert read_frame(source("1\n2\n"), line, line) is None


def test_tabs_line_ends_and_blanks_at_the_end_are_gone(source):
    assert read_frame(source("\tx \r\n"), 1, 1) == Frame(1, ("    x",))


def test_what_would_act_on_the_terminal_is_escaped(source):
    path = source(b"\x1b[2J \xff \xe2\x80\xae\n")
    assert read_frame(path, 1, 1) == Frame(1, (r"\x1b[2J \xff \u202e",))


def test_a_very_long_line_is_cut(source):
    [line] = read_frame(source("x" * 100_000), 1, 1).lines
    assert len(line) == MAX_COLUMNS


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "device", "name"])
def test_what_is_no_readable_file_shows_nothing_and_blocks_nothing(tmp_path, kind):
    path = str(tmp_path / kind)
    if kind == "folder":
        os.mkdir(path)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path = "/dev/zero"
    elif kind == "name":
        path = "bad\0name"
    assert read_frame(path, 1, 1) is None


def test_a_binary_shows_nothing(source):
    assert read_frame(source(b"\x7fELF\0\0\n"), 1, 1) is None


def test_a_huge_file_shows_nothing(tmp_path):
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.write(b"x\n")
        file.truncate(sources.MAX_FILE_BYTES + 1)
    assert read_frame(str(path), 1, 1) is None
