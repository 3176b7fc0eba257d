import os

import pytest

from linnix_ls.core.examination import ProcessFacts
from linnix_ls.core.ids import ProcessKey
from linnix_ls.locate import commandline
from linnix_ls.locate.compiler import CompilerReader
from linnix_ls.locate.lineage import index_before_repetition
from linnix_ls.locate.make import MakeReader
from linnix_ls.locate.script import ScriptReader
from linnix_ls.locate.syntax import syntax_of
from tests.locate.programs import Folder, generations_below, needs, read_until


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


async def compiled(folder, *argv):
    facts = ProcessFacts(ProcessKey(1, 1), argv, exe=None, cwd=str(folder.path))
    assert CompilerReader().recognises(facts)
    reading = await CompilerReader().read(facts, n_looks=1, interval_s=0)
    return [os.path.relpath(hint.path, folder.path) for hint in reading.hints]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (("/usr/lib/gcc/x/12/cc1plus", "-quiet", "src/a.cpp", "-dumpbase", "b.cpp"), "src/a.cpp"),
        (("rustc", "--crate-name", "a", "src/main.rs", "-C", "opt-level=3"), "src/main.rs"),
        (("javac", "-d", "out", "@files.txt"), "src/Main.java"),
        (("clang-17", "-cc1", "-o", "a.o", "-x", "c", "src/a.c"), "src/a.c"),
        (("cc1plus", "/tmp/none.ii", "cached.ii"), "src/a.cpp"),
    ],
)
async def test_the_file_that_is_compiled_is_found_on_the_command_line(folder, argv, expected):
    for name in ("src/a.cpp", "b.cpp", "src/main.rs", "src/Main.java", "src/a.c"):
        folder.write(name, "\n")
    folder.write("files.txt", '-g\n"src/Main.java"\n')
    folder.write("cached.ii", '# 0 "<built-in>"\n# 1 "src/a.cpp"\nint a;\n')
    assert await compiled(folder, *argv) == [expected]


@pytest.mark.asyncio
async def test_files_that_are_not_the_users_are_not_to_blame(folder):
    assert await compiled(folder, "cc1", "/usr/include/stdio.h", "missing.c") == []


@pytest.mark.parametrize(
    ("template", "command", "is_match"),
    [
        ('cc -o $@ -I"$(INC)" $<', "cc -o build/a.o -Iinclude src/a.c", True),
        ("$(MAKE) -C docs $@", "make -C docs html", True),
        ("$(MAKE) -C docs $@", "make -C src html", False),
        ('"$here/serve.sh" "$name" $DIR', "/x/serve.sh api build/run", True),
        ("sleep 1", "sleep 10", False),
        ("x=$(date +$(fmt a) -u) tail", "x=now tail", True),
        ("$x", "anything at all", False),
        ("rm -f *.o", "rm -f a.o b.o", True),
    ],
)
def test_a_command_line_is_known_by_what_is_literal_in_the_script(template, command, is_match):
    assert (commandline.n_literal_characters_matched(template, command) is not None) is is_match


def test_many_expansions_in_a_long_command_line_take_no_time():
    template = "$a x" * 2_000 + "z$b"
    assert commandline.n_literal_characters_matched(template, "y x" * 5_000) is None


def test_the_most_literal_line_wins():
    lines = ["$CMD $ARGS", "run $x", "run --fast $x", "run --slow $x"]
    assert commandline.best_match(lines, ["run --fast a.c"]) == 2


def test_the_task_that_starts_an_earlier_one_again_closes_the_circle():
    assert index_before_repetition(["test", "build", "assets", "bundle", "build", "assets"]) == 3
    assert index_before_repetition(["a", "b", "c"]) is None
    assert index_before_repetition(["a", "a"]) == 0


@needs("make")
@pytest.mark.e2e
@pytest.mark.asyncio
async def test_make_is_at_the_recipe_line_that_runs_in_an_included_file_too(folder):
    folder.write(
        "rules.mk", "stage:\n\t@true\n\tN=$(SECONDS_TO_WAIT) \\\n\t  sleep $(SECONDS_TO_WAIT)\n"
    )
    folder.write(
        "Makefile", "SECONDS_TO_WAIT = 31\n\nall: stage\n\techo done\n\ninclude rules.mk\n"
    )
    with folder.running("make") as process:
        await generations_below(process.pid, 1)
        # The line before runs first, for a moment.
        reading = await read_until(
            MakeReader(),
            process.pid,
            lambda r: r.hints and "recipe" in r.hints[0].reason and r.hints[0].line != 2,
        )
    assert (os.path.basename(reading.hints[0].path), reading.hints[0].line) == ("rules.mk", 3)


@needs("make")
@pytest.mark.e2e
@pytest.mark.asyncio
async def test_among_makes_that_run_one_another_the_one_that_closes_the_circle_is_blamed(folder):
    folder.write("Makefile", "%:\n\t@test $(MAKELEVEL) -lt 6 || sleep 30\n\t@$(MAKE) -C sub $@\n")
    folder.write("sub/Makefile", "%:\n\n\t@$(MAKE) -C .. $@\n")
    with folder.running("make", "check") as process:
        pid = await generations_below(process.pid, 4)
        reading = await read_until(
            MakeReader(), pid, lambda r: r.hints and "again" in r.hints[0].reason
        )
    hint = reading.hints[0]
    assert (os.path.relpath(hint.path, folder.path), hint.line) == ("sub/Makefile", 3)


@needs("npm")
@pytest.mark.e2e
@pytest.mark.asyncio
async def test_npm_is_at_the_script_that_runs_not_at_the_one_that_was_asked_for(folder):
    folder.write(
        "package.json",
        '{\n  "name": "a",\n  "scripts": {\n    "pretest": "sleep 31",\n    "test": ""\n  }\n}\n',
    )
    with folder.running("npm", "test") as process:
        reading = await read_until(
            ScriptReader(), process.pid, lambda r: r.hints and r.hints[0].line == 4
        )
    assert reading.hints[0].reason == "the npm script pretest"


@pytest.mark.parametrize(
    ("name", "text", "loops", "has_call"),
    [
        (
            "a.c",
            "void f(void) {\n  while (1) {\n    for (;;) ;\n  }\n}\n",
            ((3, 3), (2, 4)),
            False,
        ),
        ("a.cpp", "void f(V v) {\n  for (auto x : v)\n    g(x);\n}\n", ((2, 3),), True),
        ("a.rs", "fn f() {\n    loop {\n        g();\n    }\n}\n", ((2, 4),), True),
        (
            "a.ts",
            "function f(): void {\n  do {\n    n++;\n  } while (n);\n}\n",
            ((2, 4),),
            False,
        ),
        (
            "A.java",
            "class A { void f() {\n  for (int i : x) {\n    g(i);\n  }\n} }\n",
            ((2, 4),),
            True,
        ),
        ("a.sh", "f() {\nfor i in 1 2; do\n  echo $i\ndone\n}\n", ((2, 4),), True),
    ],
)
def test_loops_and_calls_are_known_in_each_language(folder, name, text, loops, has_call):
    source = syntax_of(folder.write(name, text))
    assert source.loops_around(3) == loops
    assert source.has_call(3) is has_call


def test_what_is_no_source_has_no_syntax(folder):
    assert syntax_of(folder.write("a.txt", "while")) is None
    assert syntax_of(str(folder.path / "missing.c")) is None
    assert syntax_of(folder.write("huge.c", " " * (600 << 10))) is None
