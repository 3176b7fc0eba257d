"""All runners, and the test that they agree on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from linnix_ls import procfs
from linnix_ls.core.examination import ProcessFacts
from linnix_ls.locate.runners.base import MAX_ID_CHARS, FoundTest, Process, Runner, Scope
from linnix_ls.locate.runners.cpp import CTestRunner, GoogleTestRunner
from linnix_ls.locate.runners.environment import read_variables
from linnix_ls.locate.runners.go import GoRunner
from linnix_ls.locate.runners.java import JUnitRunner
from linnix_ls.locate.runners.javascript import JavaScriptRunner
from linnix_ls.locate.runners.make import AutomakeRunner, MakeRunner
from linnix_ls.locate.runners.npm import NpmRunner
from linnix_ls.locate.runners.perl import ProveRunner
from linnix_ls.locate.runners.program import ProgramRunner
from linnix_ls.locate.runners.python import PytestRunner, UnittestRunner
from linnix_ls.locate.runners.rust import CargoRunner
from linnix_ls.locate.runners.shell import BatsRunner

MAX_THREADS = 256

# A new runner is one file and one line here. Of two that are equally good the first is asked.
RUNNERS: tuple[Runner, ...] = (
    PytestRunner(),
    UnittestRunner(),
    JavaScriptRunner(),
    CargoRunner(),
    GoogleTestRunner(),
    CTestRunner(),
    JUnitRunner(),
    GoRunner(),
    ProveRunner(),
    BatsRunner(),
    AutomakeRunner(),
    ProgramRunner(),
    MakeRunner(),
    NpmRunner(),
)
VARIABLES = frozenset(name for runner in RUNNERS for name in runner.variables)


def find_test(lineage: Sequence[Process]) -> FoundTest | None:
    """The narrowest thing under test that the first of the processes belongs to; of equals the
    innermost, and of commands the outermost, which is what was typed.

    Args:
        lineage: the process and its ancestors, nearest first.
    """
    found: dict[str, FoundTest] = {}
    # What a test starts inherits its variables: a test is of the outermost process that has it.
    generations: dict[str, int] = {}
    for generation, process in enumerate(lineage):
        for runner in RUNNERS:
            test = runner.find(process, lineage[generation + 1 :])
            if test is not None:
                known = found.setdefault(test.id, test)
                if known.place is None:
                    found[test.id] = test
                generations[test.id] = generation

    def rank(test: FoundTest) -> tuple[Scope, int]:
        generation = generations[test.id]
        return test.scope, generation if test.scope is Scope.COMMAND else -generation

    best = max(found.values(), key=rank, default=None)
    return replace(best, id=best.id[:MAX_ID_CHARS]) if best else None


def observe(facts: ProcessFacts) -> Process:
    """What the runners may know of a process; of one that has gone, what was known before."""
    return Process(
        facts=facts,
        variables=read_variables(facts, VARIABLES),
        thread_names=_thread_names(facts),
    )


def _thread_names(facts: ProcessFacts) -> tuple[str, ...]:
    """The busiest first."""
    pid = facts.key.pid
    try:
        tids = os.listdir(f"/proc/{pid}/task")[:MAX_THREADS]
    except OSError:
        return ()
    threads = []
    for tid in tids:
        thread = procfs.read_thread(pid, int(tid))
        if thread is not None:
            threads.append(thread)
    threads.sort(key=lambda thread: -thread.cpu_ticks)
    return tuple(dict.fromkeys(procfs.text(thread.comm) for thread in threads))
