"""Which findings get a model's note, when, and what came of it.

A finding is explained by rules when it comes. Its note is written later, once the machine has time
for it, or when the user asks; what does not pass `gate` is counted and never shown. Not here: the
model (`writer`), what it is told (`prompt`), what it may say (`gate`).
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from linnix_ls.core.findings import Finding, Kind, Note, Severity, State
from linnix_ls.core.ids import ProcessKey
from linnix_ls.explain import excerpt, gate, prompt
from linnix_ls.explain.base import (
    Counts,
    Excerpt,
    NoAnswer,
    NoteRefused,
    Prompt,
    RefusedProbe,
    ToldFunction,
    Writer,
)

logger = logging.getLogger(__name__)

TextOf = Callable[[str], str | None]

LOOK_AGAIN_S = 2.0
# Of the last ten seconds, the share in which somebody waited for a CPU (kernel's PSI, in percent).
MAX_CPU_PRESSURE = 20.0
# With these nothing will be different for the next finding.
_LASTING = frozenset({"no_model", "not_installed", "bad_model", "base_model", "endpoint_refused"})
_MAX_REMEMBERED = 200
_SENTENCES = re.compile(r".*[.!?](?=\s|$)", re.DOTALL)


def is_machine_busy() -> bool:
    """Whether somebody has to wait for a CPU now and then."""
    try:
        with open("/proc/pressure/cpu", encoding="ascii") as pressure:
            # some avg10=0.22 avg60=0.17 avg300=1.11 total=58761459
            return float(pressure.readline().split()[1].partition("=")[2]) > MAX_CPU_PRESSURE
    except (OSError, ValueError, IndexError):  # a kernel without it
        return os.getloadavg()[0] > (os.cpu_count() or 1)


_Key = tuple[str, Kind, ProcessKey]


def _drop(_text: str) -> None:
    pass


class ModelNotes:
    """See the module and `base.Notes`. Belongs to one event loop.

    Args:
        text_of: a file's text as the user has it, for source and patches.
        on_note: called with a finding's id when its note is there; not for those asked for.
        on_problem: called once for each thing that keeps notes from being written.
        when: see `config.ExplainSettings`.
        is_busy: whether somebody else needs the CPUs.
    """

    def __init__(
        self,
        writer: Writer,
        text_of: TextOf,
        *,
        on_note: Callable[[str], None],
        on_problem: Callable[[NoAnswer], None] = lambda _: None,
        when: str = "idle",
        is_busy: Callable[[], bool] = is_machine_busy,
        look_again_s: float = LOOK_AGAIN_S,
    ) -> None:
        self.counts = Counts()
        self._writer = writer
        self._text_of = text_of
        self._on_note = on_note
        self._on_problem = on_problem
        self._when = when
        self._is_busy = is_busy
        self._look_again_s = look_again_s
        self._wanted: dict[_Key, Finding] = {}
        self._notes: OrderedDict[_Key, Note | None] = OrderedDict()
        self._told: set[str] = set()
        self._is_hopeless = False
        self._has_work = asyncio.Event()
        self._n_asking = 0
        self._writing: asyncio.Task[Note] | None = None
        self._task = asyncio.create_task(self._write_wanted())

    def with_note(self, finding: Finding) -> Finding:
        note = self._notes.get(_key(finding))
        if note is None or finding.explanation is None:
            return finding
        return replace(finding, explanation=replace(finding.explanation, note=note))

    def want(self, finding: Finding) -> None:
        key = _key(finding)
        if finding.state is State.CLEARED:
            self._wanted.pop(key, None)
        elif (
            self._when != "asked"
            and not self._is_hopeless
            and key not in self._notes
            and finding.explanation is not None
            and finding.severity.rank <= Severity.WARNING.rank
        ):
            self._wanted[key] = finding
            self._has_work.set()

    async def ask(self, finding: Finding, on_text: Callable[[str], None] = _drop) -> Note:
        key = _key(finding)
        if note := self._notes.get(key):
            return note
        self._wanted.pop(key, None)
        async with self._before_all_others():
            return await self._write(finding, on_text)

    async def ask_about(
        self,
        subject: RefusedProbe | ToldFunction,
        text: str,
        on_text: Callable[[str], None] = _drop,
    ) -> Note:
        source = excerpt.read(subject, lambda _path: text)
        question = prompt.build_for_probe(subject, source, is_free_prose=self._writer.writes_prose)
        async with self._before_all_others():
            return self._shown(await self._answer(question, subject, source, on_text))

    @asynccontextmanager
    async def _before_all_others(self) -> AsyncIterator[None]:
        self._n_asking += 1
        try:
            if self._writing:
                self._writing.cancel()
            yield
        finally:
            self._n_asking -= 1
            self._has_work.set()

    async def close(self) -> None:
        for task in filter(None, (self._task, self._writing)):
            task.cancel()
            await asyncio.wait([task])
        await self._writer.close()

    async def _write_wanted(self) -> None:
        while True:
            self._has_work.clear()
            if not self._wanted or self._n_asking:
                await self._has_work.wait()
                continue
            if self._when == "idle" and self._is_busy():
                await asyncio.sleep(self._look_again_s)
                continue
            key, finding = next(iter(self._wanted.items()))
            writing = self._writing = asyncio.create_task(self._write(finding, _drop))
            await asyncio.wait([writing])
            self._writing = None
            if writing.cancelled():
                continue  # somebody asks for another one; this one's turn comes again
            self._wanted.pop(key, None)
            error = writing.exception()
            if error is None:
                self._on_note(finding.id)
            elif isinstance(error, NoAnswer):
                self._give_up(error)
            elif not isinstance(error, NoteRefused):
                logger.error("a note failed", exc_info=error)

    def _give_up(self, error: NoAnswer) -> None:
        if error.cause in _LASTING:
            self._is_hopeless = True
            self._wanted.clear()
        if error.message not in self._told:
            self._told.add(error.message)
            self._on_problem(error)

    async def _write(self, finding: Finding, on_text: Callable[[str], None]) -> Note:
        source = excerpt.read(finding, self._text_of)
        question = question_about(finding, source, self._writer)
        answered = await self._answer(question, finding, source, on_text)
        self._remember(_key(finding), answered[1].note)
        return self._shown(answered)

    async def _answer(
        self,
        question: Prompt,
        subject: Finding | RefusedProbe | ToldFunction,
        source: Excerpt | None,
        on_text: Callable[[str], None],
    ) -> tuple[str, gate.Checked]:
        """Who answered, and what is left of it."""
        self.counts.n_asked += 1
        try:
            answer = await self._writer.write(question, self._checking(subject, source, on_text))
        except NoAnswer as error:
            self.counts.failed[error.cause] += 1
            raise
        checked = self._check(answer.text, answer.model, subject, source)
        self.counts.refused.update(str(refusal.reason) for refusal in checked.refusals)
        return answer.model, checked

    def _shown(self, answered: tuple[str, gate.Checked]) -> Note:
        model, checked = answered
        if checked.note is None:
            reason = str(checked.refusals[0].reason)
            raise NoteRefused(
                f"what {model} wrote did not pass the checks"
                f" ({reason.replace('_', ' ')}) and is not shown",
                reason=reason,
            )
        self.counts.n_shown += 1
        return checked.note

    def _check(
        self,
        text: str,
        model: str,
        finding: Finding | RefusedProbe | ToldFunction,
        source: Excerpt | None,
    ) -> gate.Checked:
        is_free_prose = self._writer.writes_prose
        return gate.examine(text, model, finding, source, is_free_prose=is_free_prose)

    def _checking(
        self,
        finding: Finding | RefusedProbe | ToldFunction,
        source: Excerpt | None,
        on_text: Callable[[str], None],
    ) -> Callable[[str], None]:
        """Takes an answer piece by piece, and passes on those whole sentences that are fit."""
        said = passed = ""

        def take(piece: str) -> None:
            nonlocal said, passed
            said += piece
            sentences = _SENTENCES.match(said if self._writer.writes_prose else _note_so_far(said))
            if sentences is None or sentences[0] == passed:
                return
            passed = sentences[0]
            is_prose = self._writer.writes_prose
            text = passed if is_prose else json.dumps({"note": passed, "cites": []})
            if note := self._check(text, "", finding, source).note:
                on_text(note.text)

        return take if on_text is not _drop else _drop

    def _remember(self, key: _Key, note: Note | None) -> None:
        self._notes[key] = note
        while len(self._notes) > _MAX_REMEMBERED:
            self._notes.popitem(last=False)


def _note_so_far(said: str) -> str:
    """The note in a JSON answer of which the end has not come yet."""
    from pydantic_core import from_json

    try:
        answer = from_json(said, allow_partial="trailing-strings")
    except ValueError:
        return ""
    note = answer.get("note") if isinstance(answer, dict) else None
    return note if isinstance(note, str) else ""


def question_about(finding: Finding, source: Excerpt | None, writer: Writer) -> Prompt:
    """Everything that `writer` would be told about a finding."""
    run = finding.ancestry[-1] if finding.ancestry else finding.process
    return prompt.build(finding, source, is_free_prose=writer.writes_prose, cwd=run.cwd)


def _key(finding: Finding) -> _Key:
    return finding.id, finding.kind, finding.process.key
