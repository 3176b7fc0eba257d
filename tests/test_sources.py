import ast
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import linnix_ls
from linnix_ls.sources import parse_python

NESTED = "\n".join(
    f"x{n} = [{'(' * 40}{n}{')' * 40}, {{'a': lambda y: y + {n}}}]" for n in range(99)
)


def test_threads_that_parse_at_once_do_not_disturb_each_other():
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as threads:
            trees = [*threads.map(parse_python, [NESTED] * 40)]
    finally:
        sys.setswitchinterval(before_s)
    assert all(tree is not None and len(tree.body) == 99 for tree in trees)


def test_what_is_no_python_has_no_tree():
    assert parse_python("def (") is None


def test_nothing_else_parses_python_for_none_may_while_another_does():
    parsers = {"ast.parse", "ast.literal_eval", "compile", "parse"}
    found = {
        (path.name, ast.unparse(call.func))
        for path in Path(linnix_ls.__file__).parent.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and ast.unparse(call.func) in parsers
    }
    assert found == {("sources.py", "ast.parse")}


def test_a_grammar_that_could_not_be_loaded_for_want_of_descriptors_is_loaded_later():
    script = (
        "import os, tree_sitter\n"
        "from linnix_ls.sources import grammar\n"
        "from tests.e2e.faulty import no_more_descriptors\n"
        "with no_more_descriptors(os.getpid()):\n"
        "    assert grammar('shell') is None\n"
        "assert grammar('shell') is not None\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[1], check=True)
