"""automake's ``make check``, which runs each test below a driver; and make itself, whose target
says only that something is tested."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from linnix_ls.core.examination import PlaceHint
from linnix_ls.locate.make import target_with_rule
from linnix_ls.locate.runners.base import FoundTest, Process, Scope, is_of_tests, place
from linnix_ls.locate.source import is_user_file, resolve
from linnix_ls.sources import read_regular

_SOURCES = ("", ".sh", ".py", ".pl", ".c", ".cc", ".cpp", ".cxx")
MAX_DRIVER_ARGUMENTS = 40


class AutomakeRunner:
    """See `locate.runners.base.Runner`. The test's name, as it is in ``TESTS``."""

    variables: frozenset[str] = frozenset()

    def find(self, process: Process, above: Sequence[Process]) -> FoundTest | None:
        arguments = process.argv[:MAX_DRIVER_ARGUMENTS]
        if not any(os.path.basename(argument) == "test-driver" for argument in arguments):
            return None
        name = next((value for option, value in pairwise(arguments) if option == "--test-name"), "")
        return FoundTest(name, Scope.FILE, _source_of(name, process)) if name else None


class MakeRunner:
    """See `locate.runners.base.Runner`."""

    variables: frozenset[str] = frozenset()

    def find(self, process: Process, above: Sequence[Process]) -> FoundTest | None:
        if process.program not in ("make", "gmake"):
            return None
        found = target_with_rule(process.facts, is_of_tests)
        if found is None:
            return None
        target, rule = found
        at = replace(rule, role="test", reason="the rule of the tests") if rule else None
        return FoundTest(f"make {target}", Scope.COMMAND, at)


def _source_of(name: str, process: Process) -> PlaceHint | None:
    """A script is its own source, and a program's has its name."""
    for suffix in _SOURCES:
        path = resolve(name + suffix, process.cwd)
        if path is not None and is_user_file(path) and (suffix or _is_script(path)):
            return place(path, 1)
    return None


def _is_script(path: str) -> bool:
    return read_regular(path, 2) == b"#!"
