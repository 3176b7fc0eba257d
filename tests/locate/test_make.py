"""make: the recipe line that runs, or the rule of the target."""

import pytest

from linnix_ls.locate.make import MakeReader
from tests.locate.programs import Folder, read_until
from tests.locate.specimens import facts, read

MAKEFILE = """\
.PHONY: all docs
CC := cc
NAME = $(shell basename $(CURDIR))

all: docs build.o
\t@echo done

docs:
\t$(MAKE) -C docs html

%.o: %.c
\t$(CC) -c $< -o $@

special.o: special.c; cc -c special.c

deep::
\t# first
\techo one && \\
\t  sleep 600
"""


def line(text):
    return next(n for n, at in enumerate(MAKEFILE.splitlines(), start=1) if text in at)


@pytest.fixture
def folder(tmp_path):
    folder = Folder(tmp_path / "my straße")
    folder.write("Makefile", MAKEFILE)
    return folder


def hint(folder, command):
    [hint] = read(MakeReader(), facts(command, cwd=folder.path)).hints
    return hint


@pytest.mark.parametrize(
    ("command", "is_make"),
    [("make", True), ("/usr/bin/gmake -j4", True), ("cmake .", False), ("", False)],
)
def test_make_is_known_by_its_name(command, is_make):
    assert MakeReader().recognises(facts(command)) is is_make


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("make", "all: docs"),
        ("make -j4 -k", "all: docs"),
        ("make all", "all: docs"),
        ("make docs", "$(MAKE) -C docs"),
        ("make CC=gcc docs", "$(MAKE) -C docs"),
        ("make -I inc -o old docs", "$(MAKE) -C docs"),
        ("make main.o", "%.o: %.c"),
        ("make special.o", "special.o:"),
        ("make deep", "deep::"),
        ("make -f Makefile docs", "$(MAKE) -C docs"),
        ("make --file=Makefile docs", "$(MAKE) -C docs"),
    ],
)
def test_the_rule_of_its_target_is_its_place(folder, command, text):
    found = hint(folder, command)
    assert (found.line, found.path) == (line(text), str(folder.path / "Makefile"))


def test_a_target_without_a_rule_is_somewhere_in_the_makefile(folder):
    found = hint(folder, "make nothing")
    assert found.line == 1
    assert found.confidence < hint(folder, "make docs").confidence


def test_a_gnumakefile_comes_before_a_makefile(folder):
    folder.write("GNUmakefile", "all:\n")
    assert hint(folder, "make").path.endswith("GNUmakefile")


def test_without_a_makefile_there_is_no_place(tmp_path):
    assert read(MakeReader(), facts("make", cwd=tmp_path)).hints == ()
    assert read(MakeReader(), facts("make -f gone.mk", cwd=tmp_path)).hints == ()


@pytest.mark.parametrize(
    "content",
    ["", "\0\0", ":\n", "%\n", "%: %\n", "include " * 999, "a: b\n" * 9_999, "\t\n\\", "\ud800"],
)
@pytest.mark.parametrize(
    "command", ["make", "make -f", "make %", "make -C", "make \x00", "make =="]
)
def test_whatever_is_in_a_makefile_it_has_a_place_or_none(tmp_path, content, command):
    (tmp_path / "Makefile").write_bytes(content.encode("utf-8", "surrogatepass"))
    for found in read(MakeReader(), facts(command, cwd=tmp_path)).hints:
        assert found.line >= 1


@pytest.mark.e2e
@pytest.mark.asyncio
async def test_of_a_recipe_the_line_that_runs_is_the_place(folder):
    with folder.running("make", "deep") as process:
        reading = await read_until(
            MakeReader(), process.pid, lambda r: r.hints and "recipe" in r.hints[0].reason
        )
    assert reading.hints[0].line == line("echo one")


@pytest.mark.e2e
@pytest.mark.asyncio
async def test_of_make_that_runs_itself_again_the_closing_line_is_the_place(folder):
    folder.write(
        "Makefile", "a:\n\techo a\n\t$(MAKE) b\n\nb:\n\t$(MAKE) c\n\nc:\n\tsleep 0.2; $(MAKE) b\n"
    )
    with folder.running("make", "a") as process:
        reading = await read_until(
            MakeReader(),
            process.pid,
            lambda r: r.hints and r.hints[0].line in (3, 6, 9),
        )
    assert reading.hints[0].line == 3  # of the outermost; those below it close the circle
