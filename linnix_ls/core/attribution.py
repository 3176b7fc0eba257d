"""From what a close look found to the line to change, with a confidence and the reason.

In order: the loop in the user's own code as stacks show it; places that locators derived from
command lines and files; the nearest ancestor's place. The chain ends on the best file there is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from linnix_ls.core.examination import (
    Examination,
    PlaceHint,
    ProcessFacts,
    StackFrame,
    StackSnapshot,
)
from linnix_ls.core.findings import Kind, OtherLocation, SourceLocation
from linnix_ls.core.ids import ProcessKey

MAX_OTHER_LOCATIONS = 8
MAX_CALLS = 6


@dataclass(frozen=True, slots=True)
class Attribution:
    """`calls`: names of what the loop, or the line, at `location` calls, as far as stacks tell."""

    location: SourceLocation | None
    other_locations: tuple[OtherLocation, ...]
    test: str | None
    calls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Look:
    """The user's frames of one stack, outermost first.

    Attributes:
        called: the function of a library that the innermost of them has called.
    """

    frames: list[StackFrame]
    is_in_user_code: bool
    called: str | None


@dataclass(frozen=True, slots=True)
class _Place:
    """A place that stacks show, the others that they show, and the names that are called there."""

    location: SourceLocation
    others: list[OtherLocation]
    calls: tuple[str, ...]


def attribute(examination: Examination, kind: Kind, accused: ProcessKey) -> Attribution:
    """Pick the place to change, and the others that tell the story.

    Args:
        accused: the examined process, or one of its ancestors.
    """
    language = examination.language or "language-level"
    from_language = _from_stacks(examination.stacks, language)
    of_thread, of_others = _by_thread(examination.native_stacks)
    from_native = _from_stacks(_with_exact_leaf(of_thread), "native")
    place = from_language or from_native
    if from_language is not None and from_native is not None and is_one_call(examination.stacks):
        # It is inside one call into native code, and that code is the user's too.
        place = from_native
    location = place.location if place else None
    calls = place.calls if place else ()
    others = list(place.others) if place else []
    if place is from_native and kind is Kind.STUCK:
        others += of_others
    if place is from_native and from_language is not None:
        caller = from_language.location
        others.append(OtherLocation(caller.path, caller.line, "caller"))
    hints = sorted(examination.hints, key=lambda hint: -hint.confidence)
    culprits = [hint for hint in hints if hint.role == "culprit"]
    if location is None and culprits:
        location = _from_hint(culprits[0])
    spawn_site, spawn_calls = _spawn_site(examination.ancestors)
    started_at = next((hint for hint in hints if hint.role == "spawn_site"), None)
    if spawn_site is None and started_at is not None:
        spawn_site, spawn_calls = _from_hint(started_at), ()
    # Who starts a process must end it; who waits in a circle is the one that can do otherwise.
    if spawn_site is not None and (kind is Kind.LEAKED_CHILD or accused != examination.key):
        if location is not None:
            others.insert(0, OtherLocation(location.path, location.line, "callee"))
        location, calls, spawn_site = spawn_site, spawn_calls, None
    if location is None and spawn_site is not None:
        location, calls = spawn_site, spawn_calls
    elif spawn_site is not None:
        others.append(OtherLocation(spawn_site.path, spawn_site.line, "spawn_site"))
    others += [
        OtherLocation(hint.path, hint.line, hint.role)
        for hint in hints
        if hint.role not in ("culprit", "spawn_site")
    ]
    if location is None:  # the last resort: what led here
        rest = next((other for other in others if other.role == "test"), None) or next(
            iter(others), None
        )
        if rest is not None:
            location = SourceLocation(
                rest.path,
                rest.line,
                confidence=0.3,
                reason=f"the nearest place known ({rest.role})",
            )
    return Attribution(location, _without_repeats(others, location), _test(examination), calls)


def _test(examination: Examination) -> str | None:
    lineage = ([examination.process] if examination.process else []) + [*examination.ancestors]
    return next((facts.test for facts in lineage if facts.test), None)


def _from_stacks(stacks: Sequence[StackSnapshot], language: str) -> _Place | None:
    """The deepest function of the user's that every look found at the same depth: its loop is
    the one that does not end. What it calls comes and goes."""
    looks = [
        _Look(
            [f for f in reversed(stack.frames) if f.is_user_code and f.line and f.path],
            is_in_user_code=stack.frames[0].is_user_code,
            called=_called(stack),
        )
        for stack in stacks
        if stack.frames
    ]
    looks = [look for look in looks if look.frames]
    if not looks:
        return None
    depth, agreeing = _common_depth(looks)
    frames = [look.frames[depth] for look in agreeing]
    lines = Counter(frame.line or 0 for frame in frames)
    (line, _) = lines.most_common(1)[0]
    chosen = next(frame for frame in frames if frame.line == line)
    loop = _enclosing_loop(chosen, lines) if len(agreeing) > 1 else None
    first, last = loop or (line, None)
    n_here = sum(n for at, n in lines.items() if not loop or loop[0] <= at <= loop[1])
    share = n_here / len(looks)
    assert chosen.path is not None
    location = SourceLocation(
        path=chosen.path,
        line=first,
        end_line=last if last != first else None,
        function=chosen.function,
        confidence=round(min(0.95, 0.5 + 0.45 * share), 2),
        reason=f"{language} stack, {n_here} of {len(looks)} samples",
    )
    others = []
    if depth > 0 and (caller := agreeing[0].frames[depth - 1]).path:
        others.append(OtherLocation(caller.path or "", caller.line or 1, "caller"))
    deeper = Counter(
        (look.frames[depth + 1].path, look.frames[depth + 1].line)
        for look in agreeing
        if len(look.frames) > depth + 1
    )
    if deeper:
        (callee_path, callee_line), _ = deeper.most_common(1)[0]
        others.append(OtherLocation(callee_path or "", callee_line or 1, "callee"))
    here = [look for look in agreeing if first <= (look.frames[depth].line or 0) <= (last or line)]
    return _Place(location, others, _calls(here, depth))


def _calls(looks: list[_Look], depth: int) -> tuple[str, ...]:
    """What is called from the user's frames at that depth: by the source, and by the looks."""
    names = [name for look in looks for name in look.frames[depth].calls]
    names += [look.called for look in looks if look.called and len(look.frames) == depth + 1]
    return tuple(name for name, _ in Counter(names).most_common(MAX_CALLS))


def _called(stack: StackSnapshot) -> str | None:
    """The name, without what is around it, of the frame that user code has called."""
    inner = takewhile(lambda frame: not frame.is_user_code, stack.frames)
    frame = next(reversed(list(inner)), None)
    if frame is None or not stack.is_in_user_code:
        return None
    name = re.split(r"\W+", frame.function.strip("() "))[-1]
    return name.removeprefix("__GI_").removeprefix("__libc_").strip("_") or None


def _common_depth(looks: list[_Look]) -> tuple[int, list[_Look]]:
    """How deep (an index from the outermost) nearly all looks agree on the function, and those
    looks.

    A look that is in a library without user code further in says nothing about how deep the
    loop is: an event loop between two steps of a task looks like that. It is not counted.
    """
    agreeing = looks
    depth = -1
    while True:
        deeper = [look for look in agreeing if len(look.frames) > depth + 1]
        n_executing = sum(
            len(look.frames) == depth + 1 and look.is_in_user_code for look in agreeing
        )
        functions = Counter(
            (look.frames[depth + 1].path, look.frames[depth + 1].function) for look in deeper
        )
        if not functions:
            return depth, agreeing
        common, n = functions.most_common(1)[0]
        if depth >= 0 and (
            n < 0.8 * (len(deeper) + n_executing)
            or n < 2 <= len(looks)
            or _goes_round(agreeing, depth, common)
        ):
            return depth, agreeing
        depth += 1
        agreeing = [
            look
            for look in deeper
            if (look.frames[depth].path, look.frames[depth].function) == common
        ]


def _goes_round(looks: list[_Look], depth: int, common: tuple[str | None, str]) -> bool:
    """Whether the function at that depth is in a loop of which the commonest callee was left: it
    is this loop that goes on, however long a round's call takes."""
    was_called = False
    for look in looks:
        callee = look.frames[depth + 1] if len(look.frames) > depth + 1 else None
        if callee is not None and (callee.path, callee.function) == common:
            was_called = True
        elif was_called and look.frames[depth].loops:
            return True
    return False


def _by_thread(
    stacks: Sequence[StackSnapshot],
) -> tuple[list[StackSnapshot], list[OtherLocation]]:
    """The looks at the first thread, and where the others are in the user's code."""
    first = [stack for stack in stacks if stack.tid == stacks[0].tid]
    leaves = [
        next((frame for frame in stack.frames if frame.is_user_code), None)
        for stack in stacks
        if stack.tid != stacks[0].tid
    ]
    return first, [
        OtherLocation(leaf.path, leaf.line, "origin")
        for leaf in leaves
        if leaf is not None and leaf.path and leaf.line
    ]


def _with_exact_leaf(stacks: Sequence[StackSnapshot]) -> Sequence[StackSnapshot]:
    """Those samples that lie in user code itself, if they are enough to go by. Of samples in a
    library, the nearest caller may be missing: without frame pointers it is not found."""
    if all(stack.is_complete for stack in stacks):
        return stacks
    exact = [stack for stack in stacks if stack.frames and stack.frames[0].is_user_code]
    return exact if len(exact) >= max(1, 0.01 * len(stacks)) else stacks


def is_one_call(stacks: Sequence[StackSnapshot]) -> bool:
    """Whether all looks are the same, and stand at a line that calls something."""
    return len({stack.frames for stack in stacks}) == 1 and any(
        frame.has_call for stack in stacks[:1] for frame in stack.frames[:1]
    )


def _enclosing_loop(frame: StackFrame, lines: Iterable[int]) -> tuple[int, int] | None:
    """The smallest loop around `frame` that nearly all sampled lines lie in."""
    sampled = list(lines)
    for first, last in frame.loops:
        n_inside = sum(first <= line <= last for line in sampled)
        if n_inside >= 0.8 * len(sampled):
            return first, last
    return None


def _from_hint(hint: PlaceHint) -> SourceLocation:
    return SourceLocation(
        hint.path, hint.line, hint.end_line, hint.function, hint.confidence, hint.reason
    )


def _spawn_site(
    ancestors: Iterable[ProcessFacts],
) -> tuple[SourceLocation | None, tuple[str, ...]]:
    """Where the nearest ancestor whose stack was read stands in the user's code."""
    for facts in ancestors:
        for stack in facts.stacks:
            frame = next((f for f in stack.frames if f.is_user_code and f.path and f.line), None)
            if frame is not None:
                location = SourceLocation(
                    path=frame.path or "",
                    line=frame.line or 1,
                    function=frame.function,
                    confidence=0.5,
                    reason=f"process {facts.key.pid} started it here",
                )
                return location, frame.calls
    return None, ()


def _without_repeats(
    others: list[OtherLocation], location: SourceLocation | None
) -> tuple[OtherLocation, ...]:
    seen = {(location.path, location.line)} if location else set()
    kept = []
    for other in others:
        if (other.path, other.line) not in seen:
            seen.add((other.path, other.line))
            kept.append(other)
    return tuple(kept[:MAX_OTHER_LOCATIONS])
