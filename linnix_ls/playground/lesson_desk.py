"""Lessons for an editor: which lesson a document is, and what to do with it (`base.LessonDesk`);
and by whom an answer is checked.

What a lesson is and how it is checked is in `lessons`, the learner's files in `lesson_folder`.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from linnix_ls.errors import LinnixError, PlaygroundError, UsageError
from linnix_ls.playground.base import Checked, LessonHint, LessonResult, LessonState, Playground
from linnix_ls.playground.dialect import dialect_of
from linnix_ls.playground.lesson_folder import LessonFolder
from linnix_ls.playground.lessons import (
    HINT_STEPS,
    PROBE,
    Lesson,
    all_lessons,
    lesson,
)
from linnix_ls.playground.recorded_lessons import check_compiled, check_on_recording
from linnix_ls.playground.running_lessons import (
    check_answer,
    check_by_running,
    require_permission,
)


async def check_as_far_as_may_be(
    lesson: Lesson,
    source: str,
    cache: Path,
    playground: Playground | None = None,
    *,
    is_recorded: bool = False,
) -> LessonResult:
    """By loading the answer, for who may; else by recorded events, if they do for this lesson; else
    by compiling it.

    Args:
        playground: the agent's, where there is one.
        is_recorded: as for who may not load.

    Raises:
        LinnixError: something that this needs is missing.
    """
    if not (is_recorded or obstacle(playground)):
        if os.geteuid() == 0 or playground is None:
            return await check_answer(lesson, source, cache)
        return await check_by_running(lesson, source, playground)
    verdict = await _verdict(source, playground) if playground else None
    if lesson.why_not_recorded is None:
        return await check_on_recording(lesson, source, verdict)
    return await check_compiled(lesson, source, cache, verdict)


async def _verdict(source: str, playground: Playground) -> Checked | None:
    """The verifier's, whom an agent asks for anybody who may use its socket."""
    with contextlib.suppress(PlaygroundError):
        return await playground.check(dialect_of(source), PROBE, source)
    return None


def obstacle(playground: Playground | None) -> tuple[str, str | None] | None:
    """See `base.LessonDesk`."""
    try:
        require_permission(has_agent=playground is not None)
    except LinnixError as error:
        return error.message, error.fix
    return None


@dataclass(frozen=True, slots=True)
class Desk:
    """See `base.LessonDesk`. `folder`: the user's own. `is_recorded`: nothing is loaded, though it
    could be."""

    folder: Path
    cache: Path
    is_recorded: bool = False

    def listed(self) -> list[LessonState]:
        folder = LessonFolder(self.folder)
        return [_state(folder, each) for each in all_lessons()]

    def obstacle(self, playground: Playground | None) -> tuple[str, str | None] | None:
        return obstacle(playground)

    def of_document(self, path: str) -> LessonState | None:
        found = _found(path)
        return _state(*found) if found else None

    def open(self, number: int) -> LessonState:
        wanted, folder = lesson(number), LessonFolder(self.folder)
        folder.open(wanted)
        return _state(folder, wanted)

    async def check(self, path: str, text: str, playground: Playground | None) -> LessonResult:
        folder, answered = _required(path)
        result = await check_as_far_as_may_be(
            answered, text, self.cache, playground, is_recorded=self.is_recorded
        )
        folder.note(answered, result)
        return result

    def hint(self, path: str) -> LessonHint | None:
        folder, answered = _required(path)
        if (found := folder.next_hint(answered)) is None:
            return None
        step, text = found
        return LessonHint(step, len(HINT_STEPS), HINT_STEPS[step - 1], text)

    def reset(self, path: str, text: str) -> tuple[str, str | None]:
        folder, answered = _required(path)
        kept = folder.keep(answered, text.encode(errors="surrogateescape"))
        folder.forget(answered)
        return answered.start, str(kept) if kept else None


def _found(path: str) -> tuple[LessonFolder, Lesson] | None:
    """By the path alone, wherever the learner's folder is; what a lesson itself is made of is no
    answer to it."""
    place = Path(path)
    if place.name != PROBE or place.with_name("lesson.toml").exists():
        return None
    for each in all_lessons():
        if each.name == place.parent.name:
            return LessonFolder(place.parent.parent), each
    return None


def _required(path: str) -> tuple[LessonFolder, Lesson]:
    """Raises:
    UsageError: it is no lesson.
    """
    if (found := _found(path)) is None:
        raise UsageError("this is no probe of a lesson", fix="linnix-ls playground open 1")
    return found


def _state(folder: LessonFolder, each: Lesson) -> LessonState:
    progress = folder.progress(each)
    begun = "passed" if progress.is_passed else "begun"
    probe = folder.probe(each)
    return LessonState(
        number=each.number,
        name=each.name,
        title=each.title,
        summary=each.learn,
        state=begun if folder.is_open(each) else "new",
        progress=progress.summary,
        n_passed=progress.n_passed,
        n_checks=progress.n_checks or each.n_checks,
        why_not_recorded=each.why_not_recorded,
        probe=str(probe),
        text=str(probe.with_name("README.md")),
    )
