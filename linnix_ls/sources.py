"""Files that others name, safely; of sources the text, and which language they are in.

A path comes from a foreign process and may name anything by now: a pipe, a device, a gigabyte,
nothing, or a file that is none of its owner's business. It is opened with the rights of who asks
(`rights`). Not here: what the syntax says (`locate`), and drawing (`report`).
"""

from __future__ import annotations

import ast
import functools
import os
import re
import stat
import threading
import time
import warnings
from collections.abc import Iterator
from importlib import import_module
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from linnix_ls.rights import files_of_who_asks

if TYPE_CHECKING:
    from tree_sitter import Language, Tree

MAX_FILE_BYTES = 8 << 20
# Of CPU time for one file: 100 kB take 0.07 s. Some grammars need hours for a few hundred kilobytes
# that are made for it, and all threads of this process wait meanwhile.
MAX_PARSING_S = 1.0
MAX_NESTING = 400

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


class Identity(NamedTuple):
    """What tells a file, as it is now, from others, and from itself before a change."""

    device: int
    inode: int
    changed_ns: int
    n_bytes: int


def open_regular(path: str) -> int:
    """A descriptor for reading an ordinary file. Nothing else is opened, not even for a moment:
    that may take for ever, and to open a device may do something.

    Raises:
        OSError: there is none, or who asks may not read it.
    """
    with files_of_who_asks():
        try:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except ValueError as error:  # a NUL in it
            raise FileNotFoundError(path) from error
        try:
            if not stat.S_ISREG(os.fstat(place).st_mode):
                raise FileNotFoundError(path)
            return os.open(f"/proc/self/fd/{place}", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            os.close(place)


def read_regular(path: str, max_bytes: int) -> bytes | None:
    """Its first bytes; None where nothing can be read."""
    try:
        fd = open_regular(path)
    except OSError:
        return None
    try:
        with open(fd, "rb") as file:
            return file.read(max_bytes)
    except OSError:
        return None


def identity_of(path: str) -> Identity | None:
    """None where it cannot be read: what is kept of a file is for who may read it, too."""
    try:
        fd = open_regular(path)
    except OSError:
        return None
    try:
        status = os.fstat(fd)
    finally:
        os.close(fd)
    return Identity(status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)


def is_file(path: str) -> bool:
    """Whether there is an ordinary file, as far as who asks can see."""
    with files_of_who_asks():
        return os.path.isfile(path)


def is_folder(path: str) -> bool:
    """The same of a folder."""
    with files_of_who_asks():
        return os.path.isdir(path)


def real_path(path: str) -> str:
    """Without links, as far as who asks can see."""
    try:
        with files_of_who_asks():
            return os.path.realpath(path)
    except (OSError, ValueError):  # of /proc/1/root, say, they may not even see where it leads
        return os.path.normpath(path)


def names_in(folder: str, max_names: int) -> list[str]:
    """Some of them, in no order; none where the folder cannot be read."""
    try:
        with files_of_who_asks(), os.scandir(folder) as entries:
            return [entry.name for entry in islice(entries, max_names)]
    except (OSError, ValueError):
        return []


def walk(folder: str, max_folders: int) -> Iterator[tuple[str, list[str], list[str]]]:
    """As os.walk, through no more folders than that."""
    steps = os.walk(folder)
    for _ in range(max_folders):
        with files_of_who_asks():
            step = next(steps, None)
        if step is None:
            return
        yield step


def read_source(path: str) -> bytes | None:
    """The content of a regular file of text of bearable size, else None."""
    content = read_regular(path, MAX_FILE_BYTES + 1)
    return None if content is None or len(content) > MAX_FILE_BYTES or b"\0" in content else content


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


def parsed(text: bytes, language: str) -> Tree | None:
    """The syntax tree of a text; None where there is no grammar, or it would take too long."""
    loaded = grammar(language)
    if loaded is None or _is_nested_deeply(text):
        return None
    from tree_sitter import Parser

    began_s = time.thread_time()
    try:
        return Parser(loaded).parse(
            lambda offset, _: text[offset : offset + _CHUNK_BYTES],
            progress_callback=lambda _offset, _error: time.thread_time() - began_s > MAX_PARSING_S,
        )
    except ValueError:  # given up
        return None


_CHUNK_BYTES = 1 << 16
_NESTING = re.compile(rb"[][(){}<>;]")


def _is_nested_deeply(text: bytes) -> bool:
    """Whether brackets are in one another by the hundred. No parser can be stopped where it
    compares all that such may mean. A < opens nothing beyond its statement."""
    depth = n_angles = 0
    for bracket in _NESTING.findall(text):
        match bracket:
            case b"(" | b"[" | b"{":
                depth += 1
            case b"<":
                n_angles += 1
            case b">":
                n_angles = max(0, n_angles - 1)
            case b")" | b"]" | b"}":
                depth = max(0, depth - 1)
        if bracket in b"{};":
            n_angles = 0
        if depth + n_angles > MAX_NESTING:
            return True
    return False


def grammar(language: str) -> Language | None:
    """The language's grammar; None where there is none, or it is not installed."""
    try:
        return _grammar(language) if language in _GRAMMARS else None
    except (ImportError, OSError):  # for want of a file descriptor, too: asked again the next time
        return None


@functools.cache
def _grammar(language: str) -> Language:
    from tree_sitter import Language

    module, function = _GRAMMARS[language]
    return Language(getattr(import_module(module), function)())


_parsing = threading.Lock()


def parse_python(text: str | bytes) -> ast.Module | None:
    """The syntax tree; None where it is none. One at a time: two threads that parse at once disturb
    each other in Python before 3.12 (SystemError: AST constructor recursion depth mismatch), and
    what is done with warnings is done to all threads."""
    try:
        with _parsing, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the user's code: not our business
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
