import contextlib
import os
import pty
import select
import termios

import pytest
from rich.text import Text

from linnix_ls.cli import screen as screens
from linnix_ls.cli.screen import Screen


@pytest.fixture(autouse=True)
def no_wishes(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


class Reader:
    """The other end of a screen."""

    def __init__(self, read_fd, write_fd):
        self.read_fd, self.write_fd = read_fd, write_fd

    def read(self):
        """All there is: a terminal hands over what was written a little later, and in parts."""
        parts = []
        while select.select([self.read_fd], [], [], 0.3)[0]:
            parts.append(os.read(self.read_fd, 1 << 20))
        return b"".join(parts).decode()


@contextlib.contextmanager
def ends(make):
    read_fd, write_fd = make()
    try:
        yield Reader(read_fd, write_fd)
    finally:
        os.close(read_fd)
        os.close(write_fd)


@pytest.fixture
def pipe():
    with ends(os.pipe) as reader:
        yield reader


@pytest.fixture
def terminal():
    with ends(pty.openpty) as reader:
        yield reader


def red(text):
    return Text(text, "red")


def test_a_pipe_gets_plain_text(pipe):
    screen = Screen(pipe.write_fd)
    screen.show(red("words\n"))
    screen.close()
    assert pipe.read() == "words\n"


def test_a_terminal_gets_colours(terminal):
    screen = Screen(terminal.write_fd)
    screen.show(red("words"))
    screen.close()
    assert terminal.read() == "\x1b[31mwords\x1b[0m"


def test_long_lines_and_brackets_stay_as_they_are(pipe):
    screen = Screen(pipe.write_fd)
    line = "[red]:smile: " + "x" * 1000 + "\n"
    screen.show(Text(line))
    screen.close()
    assert pipe.read() == line


@pytest.mark.parametrize(
    ("environment", "is_terminal", "expected"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
        ({"TERM": "dumb"}, True, False),
        ({"TERM": ""}, True, False),
    ],
)
def test_colours_are_where_they_are_wanted(monkeypatch, environment, is_terminal, expected):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert screens.wants_colour(is_terminal=is_terminal) == expected


def test_progress_is_replaced_and_removed_on_a_terminal(terminal):
    screen = Screen(terminal.write_fd)
    screen.progress("")
    screen.progress("one")
    screen.progress("")
    screen.close()
    assert terminal.read() == "\r\x1b[Kone\r\x1b[K"


def test_progress_is_nothing_for_a_pipe(pipe):
    screen = Screen(pipe.write_fd)
    screen.progress("one")
    screen.show(Text("end\n"))
    screen.close()
    assert pipe.read() == "end\n"


def test_nothing_is_drawn_into_a_full_screen_program(terminal):
    screen = Screen(terminal.write_fd)
    before = termios.tcgetattr(terminal.write_fd)
    during = [*before]
    during[1] &= ~termios.OPOST
    termios.tcsetattr(terminal.write_fd, termios.TCSANOW, during)
    screen.show(Text("held back\n"))
    os.write(terminal.write_fd, b"(drawing)")
    termios.tcsetattr(terminal.write_fd, termios.TCSADRAIN, before)
    screen.show(Text("now\n"))
    screen.close()
    assert terminal.read() == "(drawing)held back\r\nnow\r\n"


def test_what_is_held_back_comes_in_the_end(terminal):
    screen = Screen(terminal.write_fd)
    raw = termios.tcgetattr(terminal.write_fd)
    raw[1] &= ~termios.OPOST
    termios.tcsetattr(terminal.write_fd, termios.TCSANOW, raw)
    screen.show(Text("held back\n"))
    screen.close()
    assert terminal.read() == "held back\n"


def test_a_non_blocking_pipe_gets_everything(pipe):
    os.set_blocking(pipe.write_fd, False)
    screen = Screen(pipe.write_fd)
    screen.show(Text("x" * 500_000))
    n_read = 0
    while n_read < 500_000:
        n_read += len(pipe.read())
    screen.close()


def test_a_reader_that_has_gone_is_no_error():
    read_fd, write_fd = os.pipe()
    os.close(read_fd)
    screen = Screen(write_fd)
    screen.show(Text("words\n"))
    screen.close()
    os.close(write_fd)
