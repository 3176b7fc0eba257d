"""Where a process was started, found in the source when no stack tells: whoever started it has
gone, or does it from a callback.

The source files around a working folder are searched for a call that starts programs and names
this one: directly, or by a name that was given to it elsewhere in the file. Where none does, and
the project has just one call that starts any program, it is that one.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from linnix_ls.core.examination import PlaceHint, ProcessFacts
from linnix_ls.core.tree import script_argument
from linnix_ls.locate.source import is_user_file, read_lines
from linnix_ls.locate.syntax import syntax_of
from linnix_ls.sources import parse_python, walk

MAX_FILES = 400
MAX_FOLDERS = 2_000
MAX_DEPTH = 6
MAX_NAMES = 32
_SUFFIXES = tuple(".py .js .mjs .cjs .ts .rs .java .c .cc .cpp .cxx .sh".split())
_NOT_SOURCE = frozenset({"node_modules", "venv", "target", "build", "dist", "__pycache__"})
_TEST_FILE = re.compile(r"(^|/)(test_[^/]*|[^/]*[._-]test\.\w+|tests?/[^/]*|[^/]*Test\.java)$")
# Calls that start a program: Node's, Rust's, Java's and C's.
_OF_NODE = r"(?:spawn|spawnSync|exec|execSync|execFile|execFileSync|fork|execa)\s*\("
_OF_RUST = r"Command::new\s*\("
_OF_OTHERS = r"new\s+ProcessBuilder\s*\(|(?:system|popen|exec[lv]p?e?|execvpe|posix_spawnp?)\s*\("
_STARTING = re.compile(f"{_OF_NODE}|{_OF_RUST}|{_OF_OTHERS}")
# With what stands before the name. To search for that, a long word would be read from each letter.
_STARTING_CALL = re.compile(rf"(?:[\w$.]*\.)?{_OF_NODE}|(?:[\w:]*::)?{_OF_RUST}|{_OF_OTHERS}")
_STARTERS = frozenset(
    {
        *("Popen", "run", "call", "check_call", "check_output", "create_subprocess_exec"),
        *("create_subprocess_shell", "system", "popen", "posix_spawn", "posix_spawnp"),
        *("spawnv", "spawnvp", "spawnl", "spawnlp", "spawn", "Process", "start_process"),
    }
)


class _Site(NamedTuple):
    """A call that starts a program; `is_named` when it says which."""

    path: str
    line: int
    function: str | None
    is_named: bool


def find_spawn_site(facts: ProcessFacts, *, role: str = "spawn_site") -> PlaceHint | None:
    """The call that starts such a process; None when none comes into question."""
    tokens = _tokens(facts)
    if not tokens or facts.cwd is None:
        return None
    found = [site for path in _source_files(facts.cwd) for site in _sites(path, tokens)]
    named = [site for site in found if site.is_named]
    # A helper that all tests share is the place to change, before any one test.
    named.sort(key=lambda site: _is_test(site.path))
    if named:
        path, line, function, _ = named[0]
        confidence = 0.8 if len(named) == 1 else 0.5
        reason = f"the call that starts {tokens[0]}"
        return PlaceHint(path, line, function, confidence, reason, role)
    only = [site for site in found if not _is_test(site.path)] or found
    if len(only) != 1:
        return None
    path, line, function, _ = only[0]
    return PlaceHint(path, line, function, 0.45, "the only call that starts a program", role)


def _is_test(path: str) -> bool:
    return _TEST_FILE.search(path) is not None


def _tokens(facts: ProcessFacts) -> list[str]:
    """What a call would have to mention: the script's or module's name, or the program's; also
    without its suffix."""
    script = script_argument(facts.argv)
    name = os.path.basename(script or (facts.argv[0] if facts.argv else ""))
    stem = name.rpartition(".")[0]
    return [token for token in (name, stem) if len(token) > 2]


def _source_files(folder: str) -> Iterator[str]:
    if folder == "/":
        return  # where daemons go to be nowhere
    n_files = 0
    for root, folders, names in walk(folder, MAX_FOLDERS):
        depth = root[len(folder) :].count(os.sep)
        folders[:] = sorted(
            name
            for name in folders
            if depth < MAX_DEPTH and name[:1] != "." and name not in _NOT_SOURCE
        )
        for name in sorted(names):
            path = os.path.join(root, name)
            if name.lower().endswith(_SUFFIXES) and is_user_file(path):
                n_files += 1
                if n_files > MAX_FILES:
                    return
                yield path


def _sites(path: str, tokens: list[str]) -> Iterator[_Site]:
    if path.endswith(".py"):
        for line, function in _starting_calls(path, tokens[0]):
            yield _Site(path, line, function, is_named=True)
        return
    lines = read_lines(path)
    text = "\n".join(lines)
    is_shell = path.endswith(".sh")
    source = syntax_of(path) if is_shell or _STARTING.search(text) else None
    if source is None:
        return
    words = [re.escape(token) for token in tokens]
    # Bounded: a line may be a whole program, or a word a whole picture.
    assigned = re.compile(
        rf"\b(\w{{1,80}})\s*(?::[^=\n]{{1,80}})?=[^=\n][^;\n]{{0,300}}?(?:{'|'.join(words)})"
    )
    names = [rf"\b{match[1]}\b" for match in islice(assigned.finditer(text), MAX_NAMES)]
    named = re.compile("|".join([*words, *names]))
    seen = set()
    for call, (line, _) in source.calls(1, len(lines)):
        is_named = named.search(call) is not None
        is_starting = is_named if is_shell else _STARTING_CALL.match(call)
        if line not in seen and is_starting:
            seen.add(line)
            yield _Site(path, line, None, is_named)


def _starting_calls(path: str, token: str) -> Iterator[tuple[int, str | None]]:
    text = "\n".join(read_lines(path))
    if token not in text:
        return
    tree = parse_python(text)
    if tree is None:
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
