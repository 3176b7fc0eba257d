"""docs/security.md says what is defended against: each defence there has its test."""

import ast
import re
from pathlib import Path

import pytest

from linnix_ls.feed.protocol import METHODS, PLAYGROUND_METHODS

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/security.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py::[\w:]+)`", PAGE)))


def names_in(path):
    """As pytest has them."""
    for node in ast.parse(path.read_text()).body:
        yield getattr(node, "name", None)
        if isinstance(node, ast.ClassDef):
            yield from (f"{node.name}::{getattr(part, 'name', None)}" for part in node.body)


@pytest.mark.parametrize("name", NAMED)
def test_every_test_that_the_page_names_is_there(name):
    file, _, test = name.partition("::")
    assert test in set(names_in(ROOT / file))
    assert test.rpartition("::")[2].startswith("test_")


def test_every_threat_has_a_test():
    [table] = re.findall(r"^## Threats\n\n(.*?)\n\n", PAGE, re.DOTALL | re.MULTILINE)
    rows = table.splitlines()[2:]
    assert len(rows) > 20
    for row in rows:
        _, threat, defence, shown_by, _ = row.split("|")
        assert threat.strip()
        assert defence.strip()
        assert "::test_" in shown_by, row


def test_the_page_says_of_every_method_who_may_ask_it():
    [table] = re.findall(r"^## Who can ask.*?\n(\|.*?)\n\n", PAGE, re.DOTALL | re.MULTILINE)
    said = {
        name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])
    }
    assert said == METHODS | PLAYGROUND_METHODS


# What opens or looks at files by their names; of /proc the agent may read what it likes.
_BY_NAME = frozenset(
    "open os.open os.stat os.lstat os.scandir os.listdir os.walk os.access os.path.isfile"
    " os.path.isdir os.path.exists os.path.getsize os.path.realpath Path procfs.read_bytes".split()
)
_OUR_OWN = {
    # Of which the names are ours, not a process's.
    "java.py": {"_start_listener", "_is_socket"},
    "python.py": {"py_spy_path"},
    "owner.py": {"owner_of", "_mounts_of_our_parent"},
}


def test_what_looks_at_processes_opens_nothing_by_name_but_with_the_rights_of_who_asks():
    for path in (ROOT / "linnix_ls/locate").rglob("*.py"):
        for function in ast.walk(ast.parse(path.read_text())):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if function.name in _OUR_OWN.get(path.name, ()):
                continue
            for call in ast.walk(function):
                if isinstance(call, ast.Call) and ast.unparse(call.func) in _BY_NAME and call.args:
                    name = ast.unparse(call.args[0])
                    is_of_proc = re.match(r"f?['\"]/proc/", name)
                    assert is_of_proc or name.startswith("open_regular("), (
                        f"{path.name}, {function.name}: {ast.unparse(call)}"
                    )
