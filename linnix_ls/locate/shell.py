"""Shell scripts: the line that runs, with the functions and sourced files around it.

bash's own stack is read from its memory (`locate.bash_memory`), of dash its line
(`locate.dash_memory`): exact, and nothing is stopped. Of other shells the command lines of their
children tell which line started them, and the source tells which loops start nothing.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise, takewhile

from linnix_ls import procfs
from linnix_ls.core.examination import PlaceHint, ProcessFacts, StackFrame, StackSnapshot
from linnix_ls.core.tree import SHELLS, program_name, script_argument
from linnix_ls.locate import bash_memory, commandline, dash_memory
from linnix_ls.locate.base import Reading
from linnix_ls.locate.frames import frame_at, hints_of
from linnix_ls.locate.memory import UnreadableError
from linnix_ls.locate.source import is_user_file, read_lines, resolve
from linnix_ls.locate.syntax import Syntax, syntax_of

# Where bash keeps the script open (bash's source, shell.c: open_shell_script, fd 255).
_BASH_SCRIPT_FD = 255
MAX_SOURCED = 16
MAX_FILE_LINES = 1 << 20
# Copies above and below a script that starts itself once, on purpose, are fewer.
MIN_COPIES = 2
# Commands of the shell itself that take no time: a line of only these cannot be waiting.
_INSTANT = frozenset(
    ": true false test [ [[ let local continue break return shift set unset local".split()
)
_FUNCTION = re.compile(r"^\s*(?:function\s+)?([^\s()]+)\s*(?:\(\s*\)|\{|$)")
_SOURCING = re.compile(r"^(?:\.|source)\s+(.+)$", re.DOTALL)
_UP_TO_EXPANSION = re.compile(r".*(?:[)}`]|\$\w+)[\"']?/", re.DOTALL)


class ShellReader:
    """See `locate.base.LanguageReader`."""

    language = "shell"

    def recognises(self, facts: ProcessFacts) -> bool:
        names = {
            os.path.basename(name).lstrip("-") for name in (facts.exe, *facts.argv[:1]) if name
        }
        return bool(names & SHELLS)

    async def read(self, facts: ProcessFacts, *, n_looks: int, interval_s: float) -> Reading:
        looks: list[StackSnapshot] = []
        for n in range(n_looks):
            if n:
                # Uneven, so as not to meet a loop's own period each time.
                await asyncio.sleep(interval_s * (0.7 + 0.3 * (n % 3)))
            try:
                looks.append(await asyncio.to_thread(_look, facts))
            except UnreadableError:
                if not looks and n:
                    break  # not just changed meanwhile
        stacks = _without_stale_lines(looks)
        if any(stack.is_in_user_code for stack in stacks):
            again = _line_that_starts_itself(facts, stacks[-1])
            if again is not None:
                return Reading(self.language, hints=(again,))
            return Reading(self.language, tuple(stacks), hints_of(stacks, self.language))
        hint = await asyncio.to_thread(_place_in_script, facts)
        return Reading(self.language, hints=(hint,) if hint else ())


def _look(facts: ProcessFacts) -> StackSnapshot:
    if facts.exe is None:
        raise UnreadableError("its program is not known")
    if os.path.basename(facts.exe) in ("dash", "sh", "ash"):
        return _look_at_dash(facts, facts.exe)
    pid = facts.key.pid
    stack = bash_memory.read_stack(pid, facts.exe)
    frames = [
        _frame(frame.function, _source_path(frame.source, facts), frame.line)
        for frame in stack.frames
    ]
    if frames and frames[0].is_user_code:
        frames[0] = _innermost(frames[0], stack)
    stat = procfs.read_stat(pid)
    return StackSnapshot(
        tid=pid,
        frames=tuple(frames),
        state_hash=stack.state_hash,
        is_running=stat.state == "R" if stat else None,
    )


def _look_at_dash(facts: ProcessFacts, exe: str) -> StackSnapshot:
    """One frame: dash knows the line of the function that it is in, and of no other."""
    pid = facts.key.pid
    script = _script_path(facts)
    if script is None:
        raise UnreadableError("it runs no script")
    place = dash_memory.read_place(pid, exe)
    candidates = []
    for path, source in _sources(script, facts.cwd):
        first = None
        if place.function_line is not None:
            first, last = source.function_around(place.function_line) or (0, 0)
            if first != place.function_line or place.line > last:
                continue
        frame = _frame(_function_name(path, first), path, place.line)
        candidates.append((bool(source.calls(place.line, place.line)), frame))
    if not candidates:
        raise UnreadableError("its line is in none of its files")
    # The first of the best: the script before what it sources.
    _, frame = max(candidates, key=lambda candidate: candidate[0])
    stat = procfs.read_stat(pid)
    return StackSnapshot(pid, (frame,), is_running=stat.state == "R" if stat else None)


def _function_name(path: str, line: int | None) -> str:
    lines = read_lines(path)
    match = _FUNCTION.match(lines[line - 1]) if line and line <= len(lines) else None
    return match[1] if match else "main"


def _innermost(frame: StackFrame, stack: bash_memory.BashStack) -> StackFrame:
    """The frame at the line that it is really at: that of the command that it began last, else
    the most telling of the lines seen."""
    source = syntax_of(frame.path, "shell") if frame.path else None
    if source is None:
        return frame
    shown = stack.lines[-1]
    function = None if frame.function in ("main", "source") else source.function_around(shown)
    first, last = function or (1, MAX_FILE_LINES)
    within = [span for span in source.functions(first, last) if span != function]
    written = [
        begin
        for text, (begin, end) in source.calls(first, last)
        if f"{stack.command} ".startswith(f"{_one_line(text)} ")
        and not any(inner[0] <= begin <= end <= inner[1] for inner in within)
    ]
    # bash shows another line while a program of this one runs: of a loop, its last.
    written.sort(key=lambda line: abs(line - shown))
    lines = sorted(set(stack.lines))
    if written and not set(written) & set(lines):
        lines.append(written[0])
    return max(
        (_frame(frame.function, frame.path, line) for line in lines),
        key=lambda at: (at.line in written, not _is_stale(at), len(at.loops)),
    )


def _one_line(text: str) -> str:
    return " ".join(text.replace("\\\n", " ").split())


def _frame(function: str, path: str | None, line: int) -> StackFrame:
    frame = frame_at(function, path, line, language="shell")
    source = syntax_of(path, "shell") if frame.is_user_code and path else None
    if source is None:
        return frame
    programs = [text.split(maxsplit=1)[0] for text, _ in source.calls(line, line) if text.strip()]
    return replace(frame, has_call=not _INSTANT.issuperset(programs))


def _is_stale(frame: StackFrame) -> bool:
    """Between two commands of a function, bash shows the line that the function begins with."""
    source = syntax_of(frame.path, "shell") if frame.path else None
    function = source.function_around(frame.line) if source and frame.line else None
    return function is not None and function[0] == frame.line != function[1]


def _without_stale_lines(looks: list[StackSnapshot]) -> list[StackSnapshot]:
    """With the commonest true line of the same function where a look met none."""
    fresh = Counter(
        look.frames[0] for look in looks if look.frames and not _is_stale(look.frames[0])
    )
    return [_at(look, _true_frame(look.frames[0], fresh)) for look in looks if look.frames]


def _true_frame(frame: StackFrame, fresh: Counter[StackFrame]) -> StackFrame:
    if frame in fresh:
        return frame
    return next(
        (other for other, _ in fresh.most_common() if _names(other) == _names(frame)), frame
    )


def _at(look: StackSnapshot, innermost: StackFrame) -> StackSnapshot:
    """The look with that frame as its innermost. Where it is is a part of its state: which loop
    it is in, as the lines of that come round anyway."""
    frames = (innermost, *look.frames[1:])
    state = look.state_hash
    if state is not None:
        place = innermost.loops[-1] if innermost.loops else innermost.line
        state = hash((state, place, tuple((frame.path, frame.line) for frame in frames[1:])))
    return replace(look, frames=frames, state_hash=state)


def _names(frame: StackFrame) -> tuple[str | None, str]:
    return frame.path, frame.function


def _source_path(source: str, facts: ProcessFacts) -> str | None:
    """The file of a frame. bash has the name as it was given, from the folder it was in then."""
    script = _script_path(facts)
    candidates = [resolve(source, facts.cwd)]
    if script is not None:
        if os.path.basename(script) == os.path.basename(source):
            candidates.insert(0, script)
        candidates.append(resolve(source, os.path.dirname(script)))
    return next((path for path in candidates if is_user_file(path)), candidates[0])


def _script_path(facts: ProcessFacts) -> str | None:
    """The script that it runs, absolute; None for ``-c``."""
    opened = procfs.read_link(f"/proc/{facts.key.pid}/fd/{_BASH_SCRIPT_FD}")
    if opened is not None and opened.startswith("/") and is_user_file(opened):
        return opened
    path = resolve(script_argument(facts.argv) or "", facts.cwd)
    return path if is_user_file(path) else None


def _line_that_starts_itself(facts: ProcessFacts, stack: StackSnapshot) -> PlaceHint | None:
    """For a script or function under and above copies of itself: the line they come from. The
    process itself stands anywhere by now."""
    name = program_name(facts.argv)
    above = list(takewhile(lambda argv: program_name(argv) == name, _argv_above(facts.key.pid)))
    below = [
        argv
        for child in procfs.children_of(facts.key.pid)[: commandline.MAX_CHILDREN]
        if program_name(argv := procfs.read_argv(child)) == name
    ]
    user_frames = [frame for frame in stack.frames if frame.is_user_code]
    if not name or not user_frames or len(above) + bool(below) < MIN_COPIES:
        return None
    for inner, outer in pairwise(user_frames):
        if _names(inner) == _names(outer):
            return _again(outer, outer.line)
    frame = user_frames[0]
    source = syntax_of(frame.path, "shell") if frame.path else None
    if source is None:
        return None
    first, last = source.function_around(frame.line or 1) or (1, MAX_FILE_LINES)
    calls = source.calls(1, MAX_FILE_LINES)
    started = [facts.argv, *below] if above else below
    commands = [
        text for argv in started if argv not in above for text in commandline.spellings(argv)
    ]
    index = commandline.best_match((text for text, _ in calls), commands)
    if index is not None:
        return _again(frame, calls[index][1][0])
    for text, (line, _) in calls:
        if first <= line <= last and text.split(maxsplit=1)[:1] == [frame.function]:
            return _again(frame, line)
    return None


def _argv_above(pid: int) -> Iterator[tuple[str, ...]]:
    for _ in range(MIN_COPIES):
        stat = procfs.read_stat(pid)
        if stat is None or not stat.ppid:
            return
        pid = stat.ppid
        yield procfs.read_argv(pid)


def _again(frame: StackFrame, line: int | None) -> PlaceHint:
    assert frame.path is not None
    reason = "the line from which it starts itself again"
    return PlaceHint(frame.path, line or 1, frame.function, 0.85, reason)


def _place_in_script(facts: ProcessFacts) -> PlaceHint | None:
    """Without a stack."""
    path = _script_path(facts)
    if path is None:
        return None
    sources = _sources(path, facts.cwd)
    calls = [(file, *call) for file, source in sources for call in source.calls(1, MAX_FILE_LINES)]
    commands = commandline.commands_of_children(facts.key.pid)
    index = commandline.best_match((text for _, text, _ in calls), commands)
    if index is not None:
        file, _, span = calls[index]
        return PlaceHint(file, span[0], None, 0.75, "the line of the command that it runs")
    stat = procfs.read_stat(facts.key.pid)
    if not commands and stat is not None and stat.state == "R":
        loops = [(file, loop) for file, source in sources for loop in _instant_loops(source)]
        if loops:
            file, (first, last) = loops[0]
            confidence = 0.7 if len(loops) == 1 else 0.4
            reason = "a loop of the script that starts no program"
            return PlaceHint(file, first, None, confidence, reason, end_line=last)
    return PlaceHint(path, 1, None, 0.4, "the script that it runs")


def _sources(script: str, cwd: str | None) -> list[tuple[str, Syntax]]:
    """The script and the files that it sources, parsed."""
    source = syntax_of(script, "shell")
    files = [script, *_sourced_files(script, source, cwd)] if source else []
    return [(file, parsed) for file in files if (parsed := syntax_of(file, "shell"))]


def _sourced_files(path: str, source: Syntax, cwd: str | None) -> Iterator[str]:
    """Files that the script reads with ``.``, as far as their names are literal at the end."""
    n_found = 0
    for text, _ in source.calls(1, MAX_FILE_LINES):
        match = _SOURCING.match(text)
        if match is None:
            continue
        name = _UP_TO_EXPANSION.sub("", match[1]).strip("\"' ")
        for folder in (os.path.dirname(path), cwd):
            candidate = resolve(name, folder)
            if candidate is not None and is_user_file(candidate) and n_found < MAX_SOURCED:
                n_found += 1
                yield candidate
                break


def _instant_loops(source: Syntax) -> Iterator[tuple[int, int]]:
    """Loops in which nothing but the shell itself runs."""
    for first, last in source.loops(1, MAX_FILE_LINES):
        programs = {text.split(maxsplit=1)[0] for text, _ in source.calls(first, last) if text}
        if programs <= _INSTANT:
            yield first, last
