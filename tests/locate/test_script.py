"""Files named on a command line, and npm's scripts."""

import pytest

from linnix_ls.locate.script import ScriptReader
from tests.locate.programs import Folder
from tests.locate.specimens import facts, read

PACKAGE = """\
{
  "name": "site",
  "scripts": {
    "prebuild": "node clean.js",
    "build": "node pages.js",
    "test": "node test.js",
    "a.b(": "true"
  }
}
"""


@pytest.fixture
def folder(tmp_path):
    folder = Folder(tmp_path / "ä b")
    folder.write("package.json", PACKAGE)
    folder.write("app.rb", "loop {}\n")
    folder.write("sub/deep/x.txt", "")
    return folder


def place(folder, command, *, below=""):
    hints = read(ScriptReader(), facts(command, cwd=folder.path / below)).hints
    return [(hint.path.removeprefix(f"{folder.path}/"), hint.line) for hint in hints]


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("npm run build", 5),
        ("npm run-script build --silent", 5),
        ("npm test", 6),
        ("node /usr/bin/npm run prebuild", 4),
        ("/usr/bin/node /usr/lib/npm-cli.js run build", 5),
        ("pnpm run build", 5),
        ("yarn run test", 6),
        ("npm run a.b(", 7),
        (["npm run build"], 5),  # npm renames itself so
        (["npm run build --watch"], 5),
    ],
)
def test_of_npm_the_line_of_its_script_is_the_place(folder, command, line):
    assert place(folder, command) == [("package.json", line)]
    assert place(folder, command, below="sub/deep") == [("package.json", line)]


@pytest.mark.parametrize("command", ["npm install", "npm run", "npm run nothing", "npm", "npx x"])
def test_npm_without_a_script_of_that_name_has_none(folder, command):
    assert place(folder, command) == []


@pytest.mark.parametrize(
    "package",
    ["", "[]", "{", "null", '{"scripts": []}', '{"scripts": null}', '{"scripts": {"build": 5}}',
     '{"scripts": "build"}', "{" * 9_999, '{"a":' * 50_000, "\0", '{"build": 1}'],
)  # fmt: skip
def test_whatever_is_in_a_package_file_it_does_not_matter(folder, package):
    folder.write("package.json", package)
    assert place(folder, "npm run build") in ([], [("package.json", 1)])


def test_of_an_interpreter_the_script_is_the_place(folder):
    assert place(folder, "ruby app.rb") == [("app.rb", 1)]
    assert place(folder, "/usr/bin/env ruby -w app.rb x") == [("app.rb", 1)]
    assert place(folder, "ruby ../../app.rb", below="sub/deep") == [("app.rb", 1)]


@pytest.mark.parametrize(
    "command",
    ["ruby gone.rb", "ruby", "true", "", ["ruby", "app\0.rb"], ["\x1b[2J"], ["ruby", "\udcff.rb"],
     ["x" * 100_000], ["ruby", *["-w"] * 4_000], ["ruby", "sub"]],
)  # fmt: skip
def test_a_command_line_without_a_file_of_the_users_has_none(folder, command):
    assert place(folder, command) == []


def test_a_script_that_is_installed_is_not_the_users():
    hints = read(ScriptReader(), facts("node /usr/lib/node_modules/npm/bin/x.js")).hints
    assert hints == ()
