"""Fixes that the verifier has accepted: each proposal is compiled and loaded on trial first.

What is refused is never shown. Not here: what is proposed (`remedies`, or a model's patch), and
who checks.
"""

from __future__ import annotations

import asyncio
import difflib
import platform
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

from linnix_ls.core.findings import Edit, Patch
from linnix_ls.playground.base import Checked, ProbeFix, Problem, Severity
from linnix_ls.playground.probe_text import ProbeText
from linnix_ls.playground.remedies import Proposal, proposals
from linnix_ls.playground.verifier.log import read_log

RULES = "rules"
# Of a text: each trial takes half a second, and some ten when the verifier walks a million steps.
MAX_TRIALS = 12
MAX_PROBLEMS = 5
MAX_CHOICES = 2
# Of a program's instructions. What is added makes it longer; a check that the compiler sees to be
# always false takes what follows along, and so does one the wrong way round. Rules' edits are known
# not to be that; a model's are not.
MIN_SHARE_LEFT = 0.8
MIN_SHARE_LEFT_BY_MODEL = 1.0
_ASKED = ("verifier", "clang", "map", "attach")

Check = Callable[[str], Awaitable[Checked]]


async def fixes(path: str, text: str, checked: Checked, check: Check) -> AsyncIterator[ProbeFix]:
    """Those of a text's errors that have one, as they are found. Nothing where the verifier was
    not asked.

    Args:
        checked: what is wrong with `text`.
        check: of any text; its exceptions end this.
    """
    if any(problem.code.startswith("check/") for problem in checked.problems):
        return
    n_trials = 0
    offered = set()  # a macro may say the same several times
    for problem in _errors(checked.problems)[:MAX_PROBLEMS]:
        if problem.code.partition("/")[0] not in _ASKED:
            continue
        n_found = 0
        # Parsing takes 10 ms for 100 kB.
        for proposal in await asyncio.to_thread(proposals, text, problem):
            if proposal.text in offered:
                continue
            if n_trials >= MAX_TRIALS:
                return
            n_trials += 1
            if not is_mended(problem, checked, await check(proposal.text)):
                continue
            yield fix_of(path, text, problem, proposal)
            offered.add(proposal.text)
            n_found += 1
            if proposal.is_sure or n_found >= MAX_CHOICES:
                break


def fix_of(path: str, text: str, problem: Problem, proposal: Proposal) -> ProbeFix:
    patch = Patch(RULES, proposal.title, edits_between(path, text, proposal.text))
    return ProbeFix(problem, patch, is_preferred=proposal.is_sure)


def is_mended(
    problem: Problem,
    before: Checked,
    after: Checked,
    *,
    min_share_left: float = MIN_SHARE_LEFT,
) -> bool:
    """Whether a change has taken a problem away: its program loads, nothing new is wrong, and
    what it did it still does."""
    if any(each.code.startswith("check/") for each in after.problems) or not after.programs:
        return False
    known = Counter(map(_said, before.problems))
    known[_said(problem)] = 0
    if Counter(map(_said, after.problems)) - known:
        return False
    was = {program.name: program for program in before.programs}
    now = {program.name: program for program in after.programs}
    if len(was) > len(now):  # BCC's bear the names of what they are attached to
        return False
    for name, program in now.items():
        is_ours = problem.program in (name, None)
        if program.errno and (is_ours or name not in was or not was[name].errno):
            return False
        if is_ours and name in was:
            is_whole = set(was[name].helpers) <= set(program.helpers)
            share = program.n_instructions / max(1, was[name].n_instructions)
            if not is_whole or share < min_share_left:
                return False
    return problem.program is None or problem.program in now


def with_edits(text: str, edits: Iterable[Edit]) -> str | None:
    """None where what they replace is not there."""
    lines = text.split("\n")
    for edit in sorted(edits, key=lambda edit: edit.line, reverse=True):
        old = edit.old.split("\n") if edit.old else []
        first, last = edit.line - 1, edit.line - 1 + len(old)
        if first < 0 or lines[first:last] != old:
            return None
        lines[first:last] = edit.new.split("\n") if edit.new else []
    return "\n".join(lines)


def facts(text: str, problem: Problem) -> tuple[str, ...]:
    """What a model is told of a problem beside the rule's words and the source around it."""
    probe = ProbeText(text)
    log = read_log(problem.log)
    found = [f"the kernel says: {message}" for message in log.messages[-2:]]
    if log.steps:
        step = log.steps[-1]
        states = [f"{name}={state}" for name, state in list(step.registers.items())[:6]]
        found.append(f"the instruction that is refused: {step.text}")
        found += [f"what the verifier knows there: {' '.join(states)}"] if states else []
    found += [f"line {each.span.line}: {each.message}" for each in problem.related]
    offset = probe.offset(problem.span.line, problem.span.column or 1)
    if function := probe.function_at(offset):
        head = " ".join(text[function.start : function.end].partition("{")[0].split())
        found.append(f"it is in {head}")
        body = text[function.start : function.end]
        used = [each for name, each in probe.maps.items() if name in body]
        found += [f"a map: {' '.join(each.declaration.split())}" for each in used[:4]]
    return (*found, f"the kernel is Linux {platform.release().partition('-')[0]}")


def edits_between(path: str, before: str, after: str) -> tuple[Edit, ...]:
    """The lines that differ, as edits of whole lines, which count in `before`."""
    old, new = (text.replace("\r\n", "\n").split("\n") for text in (before, after))
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    found = []
    for tag, first, last, new_first, new_last in matcher.get_opcodes():
        if tag == "equal":
            continue
        # An insertion at the very end, or of nothing but empty lines, needs a line to hold on to.
        is_loose = first == last and (last == len(old) or not any(new[new_first:new_last]))
        n_held = 1 if is_loose and first else 0
        was, becomes = old[first - n_held : last], new[new_first - n_held : new_last]
        found.append(Edit(path, first - n_held + 1, "\n".join(was), "\n".join(becomes)))
    return tuple(found)


def _errors(problems: Iterable[Problem]) -> list[Problem]:
    return [problem for problem in problems if problem.severity is Severity.ERROR]


def _said(problem: Problem) -> tuple[str, str, str | None]:
    return problem.code, problem.message, problem.program
