"""Compilers proper: the source file at which one works. On which of its lines only it knows."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from linnix_ls.core.examination import PlaceHint, ProcessFacts
from linnix_ls.locate.base import Reading
from linnix_ls.locate.source import is_user_file, read_lines, resolve

MAX_ARGUMENT_FILE_BYTES = 1 << 20
_COMPILERS = re.compile(
    r"(cc1(plus|obj|objplus|d)?|f951|gnat1|clang(\+\+)?(-\d+)?|rustc|javac|ghc|swift-frontend"
    r"|(.+-)?(gcc|g\+\+|cc|c\+\+|gfortran)(-\d+)?|compile|zig|dmd|ldc2|ocamlopt(\.opt)?|fpc|kotlinc"
    r"|tsc)$"
)
_SOURCES = tuple(
    ".c .cc .cpp .cxx .c++ .m .mm .rs .go .java .kt .swift .f .f90 .f95 .zig .d .pas .hs .ml .adb"
    " .ts .tsx".split()
)
_PREPROCESSED = (".i", ".ii", ".mi", ".mii")
_LINE_MARKER = re.compile(r'^# 1 "([^"<]+)"')


class CompilerReader:
    """See `locate.base.LanguageReader`."""

    language = "compiler"

    def recognises(self, facts: ProcessFacts) -> bool:
        return bool(facts.argv) and _COMPILERS.match(os.path.basename(facts.argv[0])) is not None

    async def read(self, facts: ProcessFacts, *, n_looks: int, interval_s: float) -> Reading:
        path = next(_sources(facts), None)
        if path is None:
            return Reading(self.language)
        hint = PlaceHint(path, 1, None, 0.6, "the file that it compiles")
        return Reading(self.language, hints=(hint,))


def _sources(facts: ProcessFacts) -> Iterator[str]:
    """The user's source files on the command line, in its order."""
    for argument in _arguments(facts):
        path = resolve(argument, facts.cwd)
        if argument.startswith("-") or path is None:
            continue
        if argument.endswith(_PREPROCESSED):
            path = _origin(path, facts.cwd)
        elif not argument.lower().endswith(_SOURCES):
            continue
        if path is not None and is_user_file(path):
            yield path


def _arguments(facts: ProcessFacts) -> Iterator[str]:
    """The arguments, those in files (``@args``) too."""
    for argument in facts.argv[1:]:
        if not argument.startswith("@"):
            yield argument
        elif path := resolve(argument[1:], facts.cwd):
            for line in read_lines(path):
                yield from (word.strip("\"'") for word in line.split())


def _origin(preprocessed: str, cwd: str | None) -> str | None:
    """What a preprocessed file was made from: compiler caches compile those."""
    for line in read_lines(preprocessed)[:20]:
        match = _LINE_MARKER.match(line)
        if match is not None:
            return resolve(match[1], cwd)
    return None
