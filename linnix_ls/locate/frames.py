"""What readers of stacks have in common: frames with what their source tells, and the place that
a stack gives to those who want just one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from linnix_ls.core.examination import PlaceHint, StackFrame, StackSnapshot
from linnix_ls.locate.source import is_user_file
from linnix_ls.locate.syntax import syntax_of


def frame_at(
    function: str, path: str | None, line: int | None, *, language: str | None = None
) -> StackFrame:
    """A frame at a line of a file. It is the user's when that file is there and theirs.

    Args:
        language: as in `locate.syntax.syntax_of`.
    """
    is_user = line is not None and is_user_file(path)
    source = syntax_of(path, language) if is_user and path else None
    return StackFrame(
        function=function,
        path=path,
        line=line,
        is_user_code=is_user,
        loops=source.loops_around(line) if source and line else (),
        has_call=source.has_call(line) if source and line else None,
        calls=source.names_called(line) if source and line else (),
    )


def hints_of(stacks: Sequence[StackSnapshot], language: str) -> tuple[PlaceHint, ...]:
    """The innermost line of the user's that most looks saw: for a process that is only the
    ancestor of the one in question."""
    places = Counter(
        frame
        for stack in stacks
        for frame in [next((f for f in stack.frames if f.is_user_code), None)]
        if frame is not None
    )
    return tuple(
        PlaceHint(frame.path, frame.line, frame.function, 0.75, f"where its {language} code stands")
        for frame, _ in places.most_common(1)
        if frame.path and frame.line
    )
