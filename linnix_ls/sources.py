"""Source files as text, safely, and which language they are in.

A path comes from a foreign process and may name anything by now: a pipe, a device, a gigabyte,
nothing. Not here: what the syntax says (`locate`), and drawing (`report`).
"""

from __future__ import annotations

import ast
import functools
import os
import re
import stat
import threading
import warnings
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Language

MAX_FILE_BYTES = 8 << 20

# The package of each grammar, and its function.
_GRAMMARS = {
    "shell": ("tree_sitter_bash", "language"),
    "javascript": ("tree_sitter_javascript", "language"),
    "typescript": ("tree_sitter_typescript", "language_typescript"),
    "tsx": ("tree_sitter_typescript", "language_tsx"),
    "java": ("tree_sitter_java", "language"),
    "c": ("tree_sitter_c", "language"),
    "bpf": ("tree_sitter_c", "language"),  # probe source
    "c++": ("tree_sitter_cpp", "language"),
    "rust": ("tree_sitter_rust", "language"),
}
_SUFFIXES = {
    **dict.fromkeys((".sh", ".bash", ".bats", ".ksh"), "shell"),
    **dict.fromkeys((".js", ".mjs", ".cjs", ".jsx"), "javascript"),
    **dict.fromkeys((".ts", ".mts", ".cts"), "typescript"),
    ".tsx": "tsx",
    ".java": "java",
    **dict.fromkeys((".c", ".h"), "c"),
    **dict.fromkeys((".cc", ".cpp", ".cxx", ".c++", ".hpp", ".hh", ".hxx", ".ipp"), "c++"),
    ".rs": "rust",
    **dict.fromkeys((".py", ".pyw", ".pyi"), "python"),
    **dict.fromkeys((".pl", ".pm", ".t"), "perl"),
    **dict.fromkeys((".mk", ".mak"), "make"),
    ".json": "json",
}
_NAMES = dict.fromkeys(("makefile", "gnumakefile", "bsdmakefile"), "make")
_INTERPRETERS = (
    ("python", "python"),
    ("pypy", "python"),
    ("node", "javascript"),
    ("perl", "perl"),
    ("make", "make"),
    ("bash", "shell"),
    ("dash", "shell"),
    ("ksh", "shell"),
    ("sh", "shell"),
)
_SHEBANG = re.compile(r"#!\s*(?:\S{0,200}/)?(?:env\s+(?:-S\s+)?)?(?:\S{0,200}/)?(\w+)")


def read_source(path: str) -> bytes | None:
    """The content of a regular file of text of bearable size, else None."""
    try:
        # Never wait for a pipe's other end, nor take a terminal.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_FILE_BYTES:
            return None
        content = os.read(fd, MAX_FILE_BYTES)
    except OSError:
        return None
    finally:
        os.close(fd)
    return None if b"\0" in content else content


def language_by_suffix(path: str) -> str | None:
    """shell, javascript, java, c, c++, …: what the file's name tells."""
    name = os.path.basename(path).lower()
    return _NAMES.get(name) or _SUFFIXES.get(os.path.splitext(name)[1])


def language_of(path: str, first_line: str) -> str | None:
    """What the file's name tells, or its first line's `#!`."""
    if language := language_by_suffix(path):
        return language
    if shebang := _SHEBANG.match(first_line[:500]):
        for start, language in _INTERPRETERS:
            if shebang[1].startswith(start):
                return language
    return None


@functools.cache
def grammar(language: str) -> Language | None:
    """The language's grammar; None where there is none, or it is not installed."""
    if language not in _GRAMMARS:
        return None
    module, function = _GRAMMARS[language]
    try:
        from tree_sitter import Language

        return Language(getattr(import_module(module), function)())
    except ImportError:
        return None


_parsing = threading.Lock()


def parse_python(text: str) -> ast.Module | None:
    """The syntax tree; None where it is none. One at a time: two threads that parse at once disturb
    each other in Python before 3.12 (SystemError: AST constructor recursion depth mismatch), and
    what is done with warnings is done to all threads."""
    try:
        with _parsing, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the user's code: not our business
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
