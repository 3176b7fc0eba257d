"""Checks of lessons for who may load nothing: on recorded events, or by compiling alone.

On a recording the lesson's own check decides, as it does when a probe is loaded; what comes from
the kernel then comes from the recording. What that leaves unsaid (that the verifier takes the
probe, what it costs) is told in `LessonResult.not_checked`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import re
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from linnix_ls.errors import LinnixError
from linnix_ls.invocation import python
from linnix_ls.playground.base import Checked, How, LessonResult, Outcome, Severity
from linnix_ls.playground.checker import worker_environment
from linnix_ls.playground.dialect import dialect_of
from linnix_ls.playground.lessons import (
    PROBE,
    Attempt,
    Lesson,
    NotLoaded,
    NotMeasured,
    Probe,
    Workload,
    hint_at,
    with_defines,
)
from linnix_ls.playground.recording import Recording
from linnix_ls.playground.service import LocalPlayground

RECORDING = "recording.json.gz"
_LIMIT_S = 60.0
_VERIFIER = "that the kernel takes the probe: no verifier was asked"
_ERROR = re.compile(rf"^{re.escape(PROBE)}:(\d+):\d+: (?:fatal )?error: (.*)$", re.MULTILINE)


async def check_on_recording(
    lesson: Lesson, source: str, verdict: Checked | None = None
) -> LessonResult:
    """
    Args:
        verdict: what the verifier said, where somebody could ask it.

    Raises:
        LinnixError: something that this needs is missing.
    """
    began_s = time.monotonic()
    recording = await asyncio.to_thread(Recording.read, lesson.folder / RECORDING)
    outcomes = _of_verifier(lesson, verdict)
    not_checked = [] if outcomes else [_VERIFIER]
    async with _RecordedAttempt(lesson, source, recording) as attempt:
        try:
            async with asyncio.timeout(_LIMIT_S):
                async for outcome in lesson.check(attempt):
                    outcomes.append(outcome)
        except NotMeasured as error:
            not_checked.append(str(error))
        except _NotRun as error:
            outcomes.append(
                Outcome(error.what, False, "it does", str(error), hint_at(lesson, [error.code]))
            )
        except NotLoaded as error:
            outcomes.append(Outcome("it runs", False, "it does", str(error)))
        except TimeoutError:
            outcomes.append(Outcome("the check ends", False, f"within {_LIMIT_S:.0f} s", "no"))
    return LessonResult(
        tuple(outcomes),
        (),
        lesson.n_checks - len(not_checked),
        time.monotonic() - began_s,
        How.RECORDED,
        tuple(not_checked),
    )


def _of_verifier(lesson: Lesson, verdict: Checked | None) -> list[Outcome]:
    if verdict is None:
        return []
    refused = [each for each in verdict.problems if each.severity is Severity.ERROR]
    seen = f"line {refused[0].span.line}: {refused[0].message}" if refused else "it does"
    hint = hint_at(lesson, [each.code for each in refused])
    return [Outcome("the kernel takes the probe", not refused, "it does", seen, hint)]


async def check_compiled(
    lesson: Lesson, source: str, cache: Path, verdict: Checked | None = None
) -> LessonResult:
    """
    Args:
        verdict: what the verifier said, where somebody could ask it.

    Raises:
        LinnixError: it cannot be compiled here.
    """
    checked = verdict or await _compiled(source, cache)
    errors = [each for each in checked.problems if each.severity is Severity.ERROR]
    unfit = [each for each in errors if each.code.startswith("policy/")]
    refused = [each for each in errors if each.code.startswith("verifier/")]
    broken = [each for each in errors if each not in (*unfit, *refused)]

    def outcome(name: str, expected: str, found: list[Any]) -> Outcome:
        seen = f"line {found[0].span.line}: {found[0].message}" if found else "it does"
        codes = [each.code for each in found]
        return Outcome(name, not found, expected, seen, hint_at(lesson, codes))

    outcomes = [
        outcome("it compiles, and is attached to what there is", "it does", broken),
        outcome("it only looks", "it calls nothing that is refused", unfit),
    ]
    if verdict:
        outcomes.append(
            outcome("the kernel takes the probe", "it does", broken or unfit or refused)
        )
    not_checked = f"whether it does what it should: {lesson.why_not_recorded}"
    return LessonResult(
        tuple(outcomes),
        checked.problems,
        len(outcomes),
        checked.took_s,
        How.COMPILED,
        (not_checked,) if verdict else (_VERIFIER, not_checked),
    )


async def _compiled(source: str, cache: Path) -> Checked:
    local = LocalPlayground(cache, is_privileged=False)
    try:
        return await local.check(dialect_of(source), PROBE, source)
    finally:
        await local.close()


class _NotRun(NotLoaded):
    def __init__(self, what: str, code: str, message: str) -> None:
        super().__init__(message)
        self.what = what
        self.code = code


class _RecordedWorkload(Workload):
    def __init__(self, pid: int, told: list[Any]) -> None:
        super().__init__(pid)
        self._told = iter(told)

    def go(self) -> None:
        """It has happened."""

    async def told(self) -> Any:
        return next(self._told)


class _RecordedProbe(Probe):
    def __init__(self, readings: list[dict[str, Any]]) -> None:
        super().__init__()
        self._readings = iter(readings)

    async def _reading(self) -> dict[str, Any]:
        return next(self._readings)


class _RecordedAttempt(Attempt):
    def __init__(self, lesson: Lesson, source: str, recording: Recording) -> None:
        super().__init__(lesson, source, random.Random(recording.seed))  # noqa: S311 - the same again
        self._recording = recording
        self._workloads = iter(recording.workloads)

    async def start(self, *words: object) -> _RecordedWorkload:
        pid, told = next(self._workloads)
        return _RecordedWorkload(pid, list(told))

    @contextlib.asynccontextmanager
    async def probe(self, **defined: int) -> AsyncIterator[_RecordedProbe]:
        source = with_defines(self.source, defined)
        told = await _run(source, self.lesson.folder / RECORDING)
        if "failed" in told:
            raise _compiler_said(told["failed"])
        if "fault" in told:
            rule, message = told["fault"]
            where = f"at {told['program']}: " if told.get("program") else ""
            code = rule if rule in ("policy", "recording") else f"verifier/{rule}"
            raise _NotRun("it runs on every recorded event", code, where + message)
        yield _RecordedProbe(told["readings"])

    async def checked(self) -> Checked:
        raise LinnixError("this lesson asks the verifier, and recorded events know none")


def _compiler_said(text: str) -> _NotRun:
    if found := _ERROR.search(text):
        message = f"line {found[1]}: {found[2]}"
    else:
        message = text.strip().rpartition("\n")[2] or "the compiler gave up"
    return _NotRun("it compiles for recorded events", "clang", message)


async def _run(source: str, recording: Path) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        *(*python("linnix_ls.playground.recorded_worker"), str(recording)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
        env=worker_environment(),
    )
    try:
        asked = json.dumps({"source": source})
        answer, _ = await process.communicate(asked.encode())
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    try:
        told: dict[str, Any] = json.loads(answer)
    except ValueError:
        raise _NotRun(
            "it compiles for recorded events", "clang", "the compiler did not survive this source"
        ) from None
    return told
