"""Lessons for an editor: which lesson a document is, and what to do with it. See
`base.LessonDesk`.

What a lesson is and how it is checked is in `lessons`, the learner's files in `lesson_folder`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from linnix_ls.errors import LinnixError, UsageError
from linnix_ls.playground.base import LessonHint, LessonResult, LessonState
from linnix_ls.playground.lesson_folder import LessonFolder
from linnix_ls.playground.lessons import (
    HINT_STEPS,
    PROBE,
    Lesson,
    all_lessons,
    check_as_far_as_may_be,
    lesson,
    require_permission,
)


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

    def obstacle(self) -> tuple[str, str | None] | None:
        try:
            require_permission()
        except LinnixError as error:
            return error.message, error.fix
        return None

    def of_document(self, path: str) -> LessonState | None:
        found = _found(path)
        return _state(*found) if found else None

    def open(self, number: int) -> LessonState:
        wanted, folder = lesson(number), LessonFolder(self.folder)
        folder.open(wanted)
        return _state(folder, wanted)

    async def check(self, path: str, text: str) -> LessonResult:
        folder, answered = _required(path)
        result = await check_as_far_as_may_be(
            answered, text, self.cache, is_recorded=self.is_recorded
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
