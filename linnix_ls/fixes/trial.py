"""Trying a patch: in a copy of the workspace the same test is run under watch, and judged.

Nothing is left behind, whatever happens: the copy is removed, and all that was started is ended
by the keeper, of which this process holds the lifeline. Not here: what to propose (`proposals`),
and who may ask for it (`lsp.fixing`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from linnix_ls.config import FixSettings
from linnix_ls.core.findings import Finding, Kind, Patch, Severity
from linnix_ls.core.text import visible
from linnix_ls.fixes import rerun
from linnix_ls.fixes.base import Outcome, TextOf, Trial
from linnix_ls.fixes.keeper import TIME_IS_OVER
from linnix_ls.fixes.scratch import NotCopied, Scratch, root_for
from linnix_ls.fixes.text import FileChanged, apply, by_path

MAX_OUTPUT_BYTES = 256 << 10
MAX_TOLD_LINES = 40
MAX_LINE_CHARS = 400
MAX_DOCUMENT_BYTES = 16 << 20
# For the keeper to end what it has started.
ENDING_LIMIT_S = 15.0
# Beside the test itself: the probes are loaded, and what outlives it is waited for.
STARTING_LIMIT_S = 30.0
_WHAT_IT_DOES = {
    Kind.CPU_SPIN: "spins on a CPU",
    Kind.FORK_STORM: "starts processes without end",
    Kind.STUCK: "is blocked",
    Kind.LEAKED_CHILD: "leaves a process behind",
    Kind.MEMORY_RUNAWAY: "takes more and more memory",
}
_MADE_KNOWN = frozenset({Severity.ERROR, Severity.WARNING, Severity.INFORMATION})
_GRAVE = frozenset({Severity.ERROR, Severity.WARNING})

ResultT = TypeVar("ResultT")


async def try_patch(
    finding: Finding,
    patch: Patch,
    *,
    folders: Iterable[str],
    text_of: TextOf,
    settings: FixSettings,
    unsaved: Iterable[str] = (),
    tracer: str = "auto",
    on_progress: Callable[[str], None] = lambda _: None,
) -> Trial:
    """See `fixes.base.Fixer`."""
    try:
        command = rerun.command_for_copy(finding)
        paths = list(by_path(patch.edits))
        root = root_for(paths, command.cwd, folders)
        if root is None:
            raise rerun.NotRunnable(
                f"it runs in {command.cwd}, and no open folder or repository holds both that and "
                f"{paths[0]}"
            )
        return await _Attempt(finding, patch, command, settings, on_progress).make(
            Scratch(root), text_of, [*paths, *unsaved], tracer
        )
    except (rerun.NotRunnable, NotCopied, FileChanged) as error:
        fix = f" ({error.fix})" if error.fix else ""
        return Trial(patch, Outcome.NOT_TRIED, f"This fix was not tried: {error.message}{fix}.")
    except OSError as error:  # of the machine: no file descriptors, no processes
        reason = os.strerror(error.errno or 0)
        return Trial(patch, Outcome.NOT_TRIED, f"This fix was not tried: {reason}.")


@dataclass
class _Attempt:
    finding: Finding
    patch: Patch
    command: rerun.Command
    settings: FixSettings
    on_progress: Callable[[str], None]
    is_cancelled: threading.Event = field(default_factory=threading.Event)

    async def make(
        self, scratch: Scratch, text_of: TextOf, paths: Iterable[str], tracer: str
    ) -> Trial:
        self.on_progress("copying the workspace")
        # Texts are those of now: the user goes on typing.
        texts = {path: text_of(path) for path in paths}
        await self._in_thread(scratch.__enter__)
        try:
            max_bytes = self.settings.max_copy_mb << 20
            await self._in_thread(lambda: scratch.fill(max_bytes, self.is_cancelled.is_set))
            await self._in_thread(lambda: write_texts(scratch, texts, self.patch))
            argv, cwd = await self._in_thread(lambda: rerun.in_copy(self.command, scratch))
            self.on_progress(f"running {visible(self.command.subject, 100)}")
            return await self._run(argv, cwd, scratch, tracer)
        finally:
            # A copy takes a moment to remove, and is removed even if we are told to stop again.
            await asyncio.shield(asyncio.to_thread(scratch.__exit__))

    async def _in_thread(self, work: Callable[[], ResultT]) -> ResultT:
        """Nothing is removed while a thread still writes there."""
        running = asyncio.create_task(asyncio.to_thread(work))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            self.is_cancelled.set()
            await asyncio.wait([running])
            if not running.cancelled():
                running.exception()
            raise

    async def _run(self, argv: list[str], cwd: str, scratch: Scratch, tracer: str) -> Trial:
        # Isolated (-I): neither the copy nor its variables may change what our own code is.
        linnix_ls = [sys.executable, "-I", "-m"]
        watched = [
            *(*linnix_ls, "linnix_ls.cli.main", "run", "--json", scratch.findings_file),
            *("--tracer", tracer, "--explain", "rules", "--stop-runaways", "--", *argv),
        ]
        limit_s = self.settings.time_limit_s
        max_file_bytes = self.settings.max_copy_mb << 20
        started_s = time.monotonic()
        code, output = await _kept(
            [
                *(*linnix_ls, "linnix_ls.fixes.keeper", str(limit_s + STARTING_LIMIT_S)),
                *(str(max_file_bytes), "--", *watched),
            ],
            cwd,
            limit_s + STARTING_LIMIT_S + ENDING_LIMIT_S,
        )
        duration_s = time.monotonic() - started_s
        document = await asyncio.to_thread(_document, scratch.findings_file)
        outcome, message = self._judge(code, output, document, scratch)
        if outcome in (Outcome.TEST_FAILS, Outcome.NOT_TRIED) and not scratch.has_room():
            outcome = Outcome.NOT_TRIED
            message = (
                f"This fix was not tried: there is no room left on the disk of {scratch.place}."
            )
        duration_s = document.get("duration_s", duration_s) if document else duration_s
        return Trial(
            self.patch, outcome, message, self.command.argv, _for_people(output), duration_s
        )

    def _judge(
        self, code: int | None, output: str, document: dict[str, Any] | None, scratch: Scratch
    ) -> tuple[Outcome, str]:
        what = visible(self.command.subject, 200)
        if document is None and code in (None, TIME_IS_OVER):
            limit = f"{self.settings.time_limit_s:g} s"
            return (
                Outcome.STILL_RUNS_AWAY,
                f"In a copy with this fix, {what} had not ended after {limit} and was stopped.",
            )
        if document is None:
            return Outcome.NOT_TRIED, "This fix was not tried: the test could not be watched."
        has_failed = document["exit_code"] != 0
        runaways = [
            each
            for each in document["findings"]
            # What is not grave has been stopped as well, and that may be why it failed.
            if each["severity"]
            in (_MADE_KNOWN if has_failed or each["kind"] == self.finding.kind else _GRAVE)
        ]
        if runaways:
            first = min(runaways, key=lambda each: each["kind"] != self.finding.kind)
            return (
                Outcome.STILL_RUNS_AWAY,
                f"In a copy with this fix, {what} still runs away: "
                f"{visible(first['process']['comm'], 40)} {_WHAT_IT_DOES[Kind(first['kind'])]}.",
            )
        if has_failed:
            without = f" Not copied: {', '.join(sorted(scratch.left_out))}." * bool(
                scratch.left_out
            )
            return (
                Outcome.TEST_FAILS,
                f"In a copy with this fix nothing ran away, but {what} failed "
                f"(exit status {document['exit_code']}).{without}",
            )
        if self.command.ran and not self.command.ran.search(output):
            return Outcome.TEST_FAILS, f"In a copy with this fix, {what} was not found among tests."
        passed = "passed" if self.finding.test else "succeeded"
        message = (
            f"In a copy, {what} {passed} in {document['duration_s']:.1f} s and nothing ran away."
        )
        if document["degraded"]:
            message += " (Watched without eBPF, which sees less.)"
        return Outcome.VERIFIED, message


def write_texts(scratch: Scratch, texts: dict[str, str | None], patch: Patch) -> None:
    """Bring what is in the editor into the copy, and then the patch.

    Raises:
        FileChanged, NotCopied
    """
    edits = by_path(patch.edits)
    patched = {os.path.realpath(path) for path in edits}
    for path, text in texts.items():
        real = os.path.realpath(path)
        if path not in edits and (real in patched or text is None or not scratch.mapped(real)):
            continue
        content = scratch.read(path)
        on_disk = content.decode("utf-8", "surrogateescape")
        bom = "\ufeff" if on_disk.startswith("\ufeff") else ""
        # A file that is not UTF-8 was shown with replacements, which must not be written.
        shown = content.decode("utf-8-sig", "replace")
        current = on_disk.removeprefix(bom) if text in (None, shown) else text or ""
        changed = apply(current, edits.get(path, ()))
        new = (bom + changed).encode("utf-8", "surrogateescape")
        if new != content:
            scratch.write(path, new)


async def _kept(command: list[str], cwd: str, limit_s: float) -> tuple[int | None, str]:
    """Run the keeper: its exit status, None when it had to be killed, and the end of what was
    written."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        stdin=asyncio.subprocess.PIPE,  # the lifeline
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdin and process.stdout
    tail = bytearray()
    reading = asyncio.create_task(_keep_tail(process.stdout, tail))
    code: int | None = None
    try:
        with contextlib.suppress(TimeoutError):
            code = await asyncio.wait_for(process.wait(), limit_s)
    finally:
        process.stdin.close()
        await asyncio.shield(_end(process, reading))
    return code, tail.decode("utf-8", "replace")


async def _end(process: asyncio.subprocess.Process, reading: asyncio.Task[None]) -> None:
    """The keeper ends all when its lifeline is cut; if it does not, it goes with its session."""
    try:
        await asyncio.wait_for(process.wait(), ENDING_LIMIT_S)
    except TimeoutError:
        await asyncio.to_thread(_kill_all, process.pid)
        await process.wait()
    # Nobody is left who could write; a pipe that was passed on elsewhere is not waited for.
    await asyncio.wait([reading], timeout=1)
    reading.cancel()


def _kill_all(pid: int) -> None:
    from linnix_ls import procfs

    for number in (signal.SIGSTOP, signal.SIGKILL):
        for each in reversed(procfs.descendants(pid)):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(each, number)


async def _keep_tail(reader: asyncio.StreamReader, tail: bytearray) -> None:
    while chunk := await reader.read(1 << 16):
        tail += chunk
        del tail[:-MAX_OUTPUT_BYTES]


def _document(path: str) -> dict[str, Any] | None:
    try:
        with open(path, "rb") as file:
            document = json.loads(file.read(MAX_DOCUMENT_BYTES))
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def _for_people(output: str) -> str:
    lines = [visible(line, MAX_LINE_CHARS) for line in output.splitlines() if line.strip()]
    return "\n".join(lines[-MAX_TOLD_LINES:])
