"""Where a process was started, found in the source when whoever started it has gone.

The Python files around its working folder are searched for a call that starts programs and
names this one: directly, or by a name that was given to it elsewhere in the file.
"""

from __future__ import annotations

import ast
import os
import warnings
from collections.abc import Iterator
from itertools import islice

from linnix_ls.core.examination import PlaceHint, ProcessFacts
from linnix_ls.core.tree import script_argument
from linnix_ls.locate.source import is_user_file, read_lines

MAX_FILES = 400
MAX_FOLDERS = 2_000
MAX_DEPTH = 6
_STARTERS = frozenset(
    {
        *("Popen", "run", "call", "check_call", "check_output", "create_subprocess_exec"),
        *("create_subprocess_shell", "system", "popen", "posix_spawn", "posix_spawnp"),
        *("spawnv", "spawnvp", "spawnl", "spawnlp", "spawn", "Process", "start_process"),
    }
)


def find_spawn_site(facts: ProcessFacts) -> PlaceHint | None:
    """The call that starts such a process; None when none, or several, come into question."""
    token = _token(facts)
    if token is None or facts.cwd is None:
        return None
    found = [
        (path, line, function)
        for path in _python_files(facts.cwd)
        for line, function in _starting_calls(path, token)
    ]
    if not found:
        return None
    # A helper that all tests share is the place to change, before any one test.
    found.sort(key=lambda place: os.path.basename(place[0]).startswith("test_"))
    path, line, function = found[0]
    confidence = 0.8 if len(found) == 1 else 0.5
    return PlaceHint(
        path, line, function, confidence, f"the call that starts {token}", role="spawn_site"
    )


def _token(facts: ProcessFacts) -> str | None:
    """What a call would have to mention: the script's or module's name, or the program's."""
    script = script_argument(facts.argv)
    if script is not None:
        return os.path.basename(script)
    name = os.path.basename(facts.argv[0]) if facts.argv else ""
    return name if len(name) > 2 else None


def _python_files(folder: str) -> Iterator[str]:
    if folder == "/":
        return  # where daemons go to be nowhere
    n_files = 0
    for root, folders, names in islice(os.walk(folder), MAX_FOLDERS):
        depth = root[len(folder) :].count(os.sep)
        folders[:] = sorted(
            name
            for name in folders
            if depth < MAX_DEPTH and name[:1] != "." and name not in ("node_modules", "venv")
        )
        for name in sorted(names):
            path = os.path.join(root, name)
            if name.endswith(".py") and is_user_file(path):
                n_files += 1
                if n_files > MAX_FILES:
                    return
                yield path


def _starting_calls(path: str, token: str) -> Iterator[tuple[int, str | None]]:
    text = "\n".join(read_lines(path))
    if token not in text:
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    names = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and _mentions(node.value, token, frozenset())
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    functions = [
        node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or _called_name(node) not in _STARTERS:
            continue
        if any(_mentions(argument, token, names) for argument in node.args):
            around = [f for f in functions if f.lineno <= node.lineno <= (f.end_lineno or 0)]
            yield node.lineno, around[-1].name if around else None


def _called_name(call: ast.Call) -> str | None:
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else None


def _mentions(node: ast.AST, token: str, names: frozenset[str] | set[str]) -> bool:
    return any(
        (isinstance(inner, ast.Constant) and isinstance(inner.value, str) and token in inner.value)
        or (isinstance(inner, ast.Name) and inner.id in names)
        for inner in ast.walk(node)
    )
