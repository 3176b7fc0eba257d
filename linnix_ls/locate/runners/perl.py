"""prove and ``make test`` of Perl: the file that runs, with the subtest around its lines."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from linnix_ls.core.tree import script_argument
from linnix_ls.locate.runners.base import (
    MAX_ID_CHARS,
    FoundTest,
    Process,
    Scope,
    blocks_around,
    place,
    shown,
)
from linnix_ls.locate.source import is_user_file, read_lines, resolve

_SUBTEST = re.compile(r"^\s*subtest\s*+(?:\(\s*)?(?P<quote>['\"])(?P<title>.*?)(?P=quote)")


class ProveRunner:
    """See `locate.runners.base.Runner`."""

    variables = frozenset({"HARNESS_ACTIVE"})

    def find(self, process: Process, above: Sequence[Process]) -> FoundTest | None:
        script = script_argument(process.argv) or next(iter(process.argv), "")
        path = resolve(script, process.cwd)
        if path is None or not path.endswith(".t") or not is_user_file(path):
            return None
        is_run_by_harness = "HARNESS_ACTIVE" in process.variables or any(
            os.path.basename(argument) == "prove"
            for ancestor in above[:1]
            for argument in ancestor.argv[:3]
        )
        if not is_run_by_harness:
            return None
        name = shown(path, process.cwd)
        lines = read_lines(path)
        deepest: list[tuple[int, re.Match[str]]] = []
        for frame in process.user_frames():
            if frame.path == path:
                blocks = blocks_around(lines, frame.line or 0, _SUBTEST)
                deepest = max(deepest, blocks, key=len)
        if not deepest:
            return FoundTest(name, Scope.FILE, place(path, 1))
        test = " > ".join([name, *(match["title"] for _, match in deepest)])
        return FoundTest(test[:MAX_ID_CHARS], Scope.TEST, place(path, deepest[-1][0]))
