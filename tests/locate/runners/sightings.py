"""Processes as the runners see them, without there being any."""

import dataclasses

from linnix_ls.core.examination import StackFrame, StackSnapshot
from linnix_ls.locate.runners.base import Process
from tests.locate.specimens import facts


def process(command="", *, stacks=(), variables=None, threads=(), **of):
    seen = dataclasses.replace(facts(command, **of), stacks=tuple(stacks))
    return Process(seen, variables or {}, tuple(threads))


def found_by(runner, *lineage):
    """The id that it has for the first of these processes."""
    found = runner.find(lineage[0], lineage[1:])
    return found and found.id


def stack(*frames):
    """Of (function, path, whether it is the user's[, line]), innermost first."""
    return StackSnapshot(1, tuple(map(_frame, frames)))


def _frame(frame):
    function, path, is_user, *line = frame
    return StackFrame(function, path and str(path), line[0] if line else 3, is_user)
