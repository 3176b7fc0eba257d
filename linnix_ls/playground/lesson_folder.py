"""The learner's own folder: a copy of each lesson that was opened, and how far they got.

An edit is never overwritten. As root, in a folder that belongs to somebody else (`sudo linnix-ls
playground check 1`), files are read and made with that user's rights and are theirs.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from linnix_ls.errors import LinnixError, UsageError
from linnix_ls.playground.base import How, LessonResult, said_of_checks
from linnix_ls.playground.lessons import HINT_STEPS, PROBE, Lesson

MAX_SOURCE_BYTES = 1 << 20
_PROGRESS = "progress.json"
# Of a lesson that is about it, for who cannot have it asked.
VERIFIER_LOG = "verifier.log"


@dataclass(frozen=True, slots=True)
class Progress:
    """How the last check of a lesson went.

    Attributes:
        hint: the one that it asks for; None if all is well.
        n_steps: how many of its steps were shown.
        how: what was done with the answer.
    """

    n_passed: int = 0
    n_checks: int = 0
    hint: str | None = "begin"
    n_steps: int = 0
    how: How = How.LOADED

    @property
    def is_passed(self) -> bool:
        is_run = self.n_checks > 0 and self.how is not How.COMPILED
        return is_run and self.n_passed >= self.n_checks

    @property
    def summary(self) -> str:
        if not self.n_checks:
            return "not checked"
        return said_of_checks(self.n_passed, self.n_checks, self.how)


def default_folder() -> Path:
    data_home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share"
    return Path(os.path.abspath(data_home), "linnix-ls", "playground")


class LessonFolder:
    """See the module."""

    def __init__(self, path: Path) -> None:
        self.path = Path(os.path.abspath(path))

    def probe(self, lesson: Lesson) -> Path:
        """Where the learner's probe is, or would be."""
        return self.path / lesson.name / PROBE

    def is_open(self, lesson: Lesson) -> bool:
        with self._as_owner():
            return self.probe(lesson).is_file()

    def open(self, lesson: Lesson) -> list[Path]:
        """Copy what is not there yet; what was copied."""
        with self._as_owner():
            folder = self.path / lesson.name
            folder.mkdir(parents=True, exist_ok=True)
            copied = []
            for name in ("README.md", PROBE, VERIFIER_LOG):
                if not (lesson.folder / name).exists():
                    continue
                with contextlib.suppress(FileExistsError):
                    with open(folder / name, "xb") as file:
                        file.write((lesson.folder / name).read_bytes())
                    copied.append(folder / name)
            return copied

    def reset(self, lesson: Lesson) -> Path | None:
        """Begin anew; where the edit is kept."""
        probe = self.probe(lesson)
        with self._as_owner():
            edit = probe.read_bytes() if probe.is_file() else None
        kept = self.keep(lesson, edit)
        if kept:
            with self._as_owner():
                probe.unlink()
        self.open(lesson)
        self.forget(lesson)
        return kept

    def keep(self, lesson: Lesson, edit: bytes | None) -> Path | None:
        """Put an answer aside, unless it is what the lesson begins with; where it is kept."""
        if edit is None or edit == lesson.start.encode():
            return None
        names = (f"{PROBE}.before-reset-{number}" for number in itertools.count(1))
        with self._as_owner():
            kept = next(
                path for path in map(self.probe(lesson).with_name, names) if not path.exists()
            )
            kept.write_bytes(edit)
        return kept

    def forget(self, lesson: Lesson) -> None:
        """How far they got."""
        self._write(lesson, Progress())

    def source(self, lesson: Lesson) -> str:
        """The learner's answer.

        Raises:
            UsageError: there is none.
        """
        probe = self.probe(lesson)
        with self._as_owner():
            try:
                with open(probe, "rb") as file:
                    content = file.read(MAX_SOURCE_BYTES + 1)
            except OSError as error:
                raise UsageError(
                    f"{probe}: {error.strerror}",
                    fix=f"linnix-ls playground open {lesson.number}",
                ) from error
        if len(content) > MAX_SOURCE_BYTES:
            raise UsageError(f"{probe} is larger than {MAX_SOURCE_BYTES >> 20} MB")
        return content.decode("utf-8", "replace")

    # -- progress ------------------------------------------------------------------------------

    def progress(self, lesson: Lesson) -> Progress:
        """Whatever is in that file: it cannot mislead into more than a wrong number."""
        told = self._read().get(lesson.name)
        if not isinstance(told, dict):
            return Progress()
        numbers = [told.get(name) for name in ("n_passed", "n_checks", "n_steps")]
        n_passed, n_checks, n_steps = (n if isinstance(n, int) and n > 0 else 0 for n in numbers)
        hint = told.get("hint")
        known = hint is None or any(hint == each.id for each in lesson.hints)
        how = How(told["how"]) if told.get("how") in list(How) else How.LOADED
        return Progress(n_passed, n_checks, hint if known else "begin", min(n_steps, 3), how)

    def note(self, lesson: Lesson, result: LessonResult) -> None:
        """Remember what came of a check. The same hint goes on where it was."""
        before = self.progress(lesson)
        n_steps = before.n_steps if before.hint == result.hint else 0
        self._write(
            lesson,
            Progress(result.n_passed, result.n_checks, result.hint, n_steps, result.how),
        )

    def next_hint(self, lesson: Lesson) -> tuple[int, str] | None:
        """(which step, its text): one more each time. None when everything passes."""
        progress = self.progress(lesson)
        if progress.hint is None:
            return None
        step = min(progress.n_steps + 1, len(HINT_STEPS))
        self._write(lesson, replace(progress, n_steps=step))
        return step, lesson.hint(progress.hint).step(step)

    def _read(self) -> dict[str, Any]:
        try:
            with self._as_owner(), open(self.path / _PROGRESS, "rb") as file:
                told = json.loads(file.read(MAX_SOURCE_BYTES))
        except (OSError, ValueError, RecursionError):
            return {}
        return told if isinstance(told, dict) else {}

    def _write(self, lesson: Lesson, progress: Progress) -> None:
        told = self._read() | {lesson.name: asdict(progress)}
        with self._as_owner():
            self.path.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=self.path, delete=False) as file:
                json.dump(told, file, indent=2)
            os.replace(file.name, self.path / _PROGRESS)

    @contextlib.contextmanager
    def _as_owner(self) -> Iterator[None]:
        """With the rights of who owns the folder (the nearest that exists)."""
        try:
            existing = next(path for path in (self.path, *self.path.parents) if path.exists())
            owner = existing.stat()
            if os.geteuid() != 0 or owner.st_uid == 0:
                yield
                return
            gid = os.getegid()
            os.setegid(owner.st_gid)
            os.seteuid(owner.st_uid)
            try:
                yield
            finally:
                os.seteuid(0)
                os.setegid(gid)
        except (PermissionError, NotADirectoryError) as error:
            raise LinnixError(
                f"{error.filename or self.path}: {error.strerror}",
                fix="choose another folder with --folder",
            ) from error
