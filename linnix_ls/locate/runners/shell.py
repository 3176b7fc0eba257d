"""bats, which names the test in its environment, its arguments and its functions."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from itertools import pairwise

from linnix_ls.locate.runners.base import MAX_ID_CHARS, FoundTest, Process, Scope, place, shown
from linnix_ls.locate.source import read_lines, resolve

_TITLE = re.compile(r"^\s*@test\s+(?P<quote>['\"])(?P<title>.*)(?P=quote)\s*\{")
_ENCODED = re.compile(r"-([0-9a-f]{2})|_")


class BatsRunner:
    """See `locate.runners.base.Runner`."""

    variables = frozenset({"BATS_TEST_FILENAME", "BATS_TEST_NAME", "BATS_TEST_DESCRIPTION"})

    def find(self, process: Process, above: Sequence[Process]) -> FoundTest | None:
        file, name = _of_test_process(process) or (
            process.variables.get("BATS_TEST_FILENAME", ""),
            process.variables.get("BATS_TEST_NAME", ""),
        )
        title = process.variables.get("BATS_TEST_DESCRIPTION") or _decoded(name)
        path = resolve(file, process.cwd)
        if path is None or not title:
            return None
        line = next(
            (
                number
                for number, text in enumerate(read_lines(path), start=1)
                if (match := _TITLE.match(text[:1024])) and match["title"] == title
            ),
            None,
        )
        test = f"{shown(path, process.cwd)} > {title}"
        return FoundTest(test[:MAX_ID_CHARS], Scope.TEST, place(path, line))


def _of_test_process(process: Process) -> tuple[str, str] | None:
    """bash … bats-exec-test [options] FILE test_name …: one process a test."""
    names = [os.path.basename(argument) for argument in process.argv]
    if "bats-exec-test" not in names[:3]:
        return None
    arguments = process.argv[names.index("bats-exec-test") + 1 :]
    for file, name in pairwise(arguments):
        if name.startswith("test_") and file.endswith(".bats"):
            return file, name
    return None


def _decoded(name: str) -> str:
    """The title that bats has made a function's name of."""
    return _ENCODED.sub(
        lambda match: chr(int(match[1], 16)) if match[1] else " ", name.removeprefix("test_")
    )
