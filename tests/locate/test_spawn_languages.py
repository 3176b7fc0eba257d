"""Calls that start programs, in the languages that tests and tools are written in."""

import pytest

from linnix_ls.locate.spawn import find_spawn_site
from tests.locate.programs import Folder
from tests.locate.specimens import facts


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path / "ä b")


def site(folder, command="node worker.js", **of):
    found = find_spawn_site(facts(command, cwd=folder.path), **of)
    return found and (found.path.removeprefix(f"{folder.path}/"), found.line)


NAMED = {
    "python": ("run.py", "import subprocess\n\nsubprocess.Popen(['node', 'worker.js'])\n", 3),
    "javascript": (
        "pool.js", "const { fork } = require('child_process');\n\nfork('./worker.js');\n", 3
    ),
    "a name in javascript": (
        "pool.mjs",
        "import cp from 'node:child_process';\nconst script = new URL('./worker.js', base);\n"
        "function start() {\n  const child = cp.spawn(process.execPath, [script]);\n"
        "  child.on('exit', start);\n}\nstart();\n",
        4,
    ),
    "typescript": (
        "pool.ts",
        "const script: string = './worker.js';\nexport function start(): void {\n"
        "  execFileSync('node', [script]);\n}\n",
        3,
    ),
    "rust": (
        "src/main.rs",
        "use std::process::Command;\nfn main() {\n"
        '    let _ = Command::new("node").arg("worker.js").spawn();\n}\n',
        3,
    ),
    "java": (
        "Pool.java",
        "class Pool {\n  void start() throws Exception {\n"
        '    new ProcessBuilder("node", "worker.js").start();\n  }\n}\n',
        3,
    ),
    "c": (
        "pool.c",
        '#include <stdlib.h>\nint main(void) {\n    return system("node worker.js");\n}\n',
        3,
    ),
    "c++": (
        "pool.cc",
        "#include <unistd.h>\nint main() {\n"
        '    return execlp("node", "node", "worker.js", nullptr);\n}\n',
        3,
    ),
    "shell": ("pool.sh", "set -e\nwhile true; do\n    node worker.js\ndone\n", 3),
}  # fmt: skip


@pytest.mark.parametrize(("name", "text", "line"), NAMED.values(), ids=NAMED)
def test_the_call_that_names_the_program_is_found(folder, name, text, line):
    folder.write(name, text)
    assert site(folder) == (name, line)


def test_what_only_mentions_it_does_not_start_it(folder):
    folder.write("pool.js", "// worker.js\nconsole.log('worker.js');\nread('worker.js');\n")
    folder.write("pool.sh", "# node worker.js\nx=1\n")
    folder.write("pool.c", '/* worker.js */ const char *name = "worker.js";\n')
    assert site(folder) is None


def test_where_none_names_it_the_only_call_is_it(folder):
    folder.write(
        "run.js", "function again(file) {\n  cp.spawn(process.execPath, [file]).on('exit', f);\n}\n"
    )
    assert site(folder, "node other.js") == ("run.js", 2)
    found = find_spawn_site(facts("node other.js", cwd=folder.path))
    assert found.confidence < 0.5
    assert "only" in found.reason


def test_of_two_calls_that_do_not_name_it_none_is_it(folder):
    folder.write("run.js", "cp.spawn(a);\ncp.spawn(b);\n")
    assert site(folder, "node other.js") is None


def test_of_a_call_in_a_test_and_one_in_the_program_that_is_it(folder):
    folder.write("run.js", "cp.spawn(a);\n")
    folder.write("tests/run.js", "cp.spawn(a);\n")
    assert site(folder, "node other.js") == ("run.js", 1)


def test_a_call_that_names_it_is_surer_than_the_only_one(folder):
    folder.write("run.js", "cp.spawn(a);\n")
    folder.write("pool.js", "cp.fork('worker.js');\n")
    assert site(folder) == ("pool.js", 1)


def test_the_role_is_what_was_asked_for(folder):
    folder.write("pool.js", "cp.fork('worker.js');\n")
    found = find_spawn_site(facts("node worker.js", cwd=folder.path), role="culprit")
    assert found.role == "culprit"


@pytest.mark.parametrize(
    "text",
    [
        "spawn(" * 40_000,
        "spawn(x); worker.js = " + "a" * 480_000,
        "spawn(x);" + ",".join(f"a{n}=1" for n in range(50_000)),
        "spawn(" + "\\" * 100_000,
        "spawn(`${" * 20_000 + "worker.js",
    ],
    ids=["calls", "a word", "assignments", "backslashes", "templates"],
)
@pytest.mark.timeout(30)  # a tenth of a second each
def test_no_source_file_takes_long(folder, text):
    folder.write("pool.js", text)
    find_spawn_site(facts("node worker.js", cwd=folder.path))
