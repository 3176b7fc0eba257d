"""Which test a process belongs to, and where that test is written.

pytest names the test in the environment of what it starts; of itself, the stack tells.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from linnix_ls import procfs
from linnix_ls.core.examination import PlaceHint, ProcessFacts, StackSnapshot
from linnix_ls.locate.source import is_user_file, line_of

_VARIABLE = re.compile(rb"(?:^|\0)PYTEST_CURRENT_TEST=([^\0]*)")
_PHASE = re.compile(r" \((setup|call|teardown)\)$")
_TEST_FILE = re.compile(r"(^|/)(test_[^/]*|[^/]*_test)\.py$")


def test_in_environment(pid: int) -> str | None:
    """The id of the test during which the process was started; None where none was, or the
    environment cannot be read."""
    environ = procfs.read_environ(pid)
    match = _VARIABLE.search(environ) if environ else None
    return _PHASE.sub("", procfs.text(match[1])) if match and match[1] else None


def test_on_stack(stacks: Iterable[StackSnapshot], rootdir: str | None) -> str | None:
    """The id of the test whose function is on one of the stacks, in pytest's notation."""
    for stack in stacks:
        for frame in reversed(stack.frames):
            function = frame.function.replace(".", "::")
            if (
                frame.is_user_code
                and frame.path
                and _TEST_FILE.search(frame.path)
                and function.rsplit("::", 1)[-1].startswith("test")
            ):
                path = os.path.relpath(frame.path, rootdir) if rootdir else frame.path
                return f"{path}::{function}"
    return None


def place_of(test: str, lineage: Iterable[ProcessFacts]) -> PlaceHint | None:
    """Where the test's function is defined. Its path counts from pytest's root folder, which is
    the working folder of a process of the lineage or one above that."""
    path, *names = test.split("::")
    if not names:
        return None
    function = names[-1].partition("[")[0]
    for folder in _folders_above(facts.cwd for facts in lineage):
        candidate = os.path.normpath(os.path.join(folder, path))
        if is_user_file(candidate):
            line = line_of(candidate, rf"^\s*(async\s+)?def\s+{re.escape(function)}\b")
            if line is None:
                return None
            return PlaceHint(candidate, line, function, 0.6, "the test that ran", role="test")
    return None


def _folders_above(folders: Iterable[str | None]) -> Iterable[str]:
    seen = set()
    for start in folders:
        folder = start
        for _ in range(8):
            if folder is None or folder in seen:
                break
            seen.add(folder)
            yield folder
            folder = os.path.dirname(folder) if folder != "/" else None
