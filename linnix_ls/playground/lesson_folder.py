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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from linnix_ls.errors import LinnixError, UsageError
from linnix_ls.playground.lessons import HINT_STEPS, PROBE, Lesson, Result

MAX_SOURCE_BYTES = 1 << 20
_PROGRESS = "progress.json"


@dataclass(frozen=True, slots=True)
class Progress:
    """How the last check of a lesson went.

    Attributes:
        hint: the one that it asks for; None if all is well.
        n_steps: how many of its steps were shown.
    """

    n_passed: int = 0
    n_checks: int = 0
    hint: str | None = "begin"
    n_steps: int = 0

    @property
    def is_passed(self) -> bool:
        return self.n_checks > 0 and self.n_passed >= self.n_checks

    @property
    def summary(self) -> str:
        return f"{self.n_passed} of {self.n_checks} checks pass" if self.n_checks else "not checked"


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
            for name in ("README.md", PROBE):
                with contextlib.suppress(FileExistsError):
                    with open(folder / name, "xb") as file:
                        file.write((lesson.folder / name).read_bytes())
                    copied.append(folder / name)
            return copied

    def reset(self, lesson: Lesson) -> Path | None:
        """Begin anew; where the edit is kept."""
        kept = None
        with self._as_owner():
            probe = self.probe(lesson)
            if probe.is_file() and probe.read_bytes() != lesson.start.encode():
                names = (f"{PROBE}.before-reset-{number}" for number in itertools.count(1))
                kept = next(path for path in map(probe.with_name, names) if not path.exists())
                probe.rename(kept)
        self.open(lesson)
        self._write(lesson, Progress())
        return kept

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
        return Progress(n_passed, n_checks, hint if known else "begin", min(n_steps, 3))

    def note(self, lesson: Lesson, result: Result) -> None:
        """Remember what came of a check. The same hint goes on where it was."""
        before = self.progress(lesson)
        n_steps = before.n_steps if before.hint == result.hint else 0
        self._write(lesson, Progress(result.n_passed, result.n_checks, result.hint, n_steps))

    def next_hint(self, lesson: Lesson) -> tuple[int, str] | None:
        """(which step, its text): one more each time. None when everything passes."""
        progress = self.progress(lesson)
        if progress.hint is None:
            return None
        step = min(progress.n_steps + 1, len(HINT_STEPS))
        self._write(
            lesson, Progress(progress.n_passed, progress.n_checks, progress.hint, n_steps=step)
        )
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
        existing = next(path for path in (self.path, *self.path.parents) if path.exists())
        owner = existing.stat()
        try:
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
