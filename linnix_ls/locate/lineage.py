"""The processes above one, as /proc has them now, and where a circle closes among them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from linnix_ls import procfs
from linnix_ls.core.examination import ProcessFacts

MAX_GENERATIONS = 256


def generations(pid: int) -> list[ProcessFacts]:
    """The process and all above it, outermost first."""
    found: list[ProcessFacts] = []
    while pid and len(found) < MAX_GENERATIONS:
        stat = procfs.read_stat(pid)
        if stat is None:
            break
        found.append(
            ProcessFacts(
                key=stat.key,
                argv=procfs.read_argv(pid),
                exe=procfs.read_exe(pid),
                cwd=procfs.read_cwd(pid),
            )
        )
        pid = stat.ppid
    return found[::-1]


def index_before_repetition(tasks: Iterable[Hashable]) -> int | None:
    """Of tasks that start one another: the index of the one that starts an earlier one again."""
    seen: set[Hashable] = set()
    for index, task in enumerate(tasks):
        if task in seen:
            return index - 1
        seen.add(task)
    return None
