"""Which findings get a note, and when. The model is scripted; what checks it is real."""

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from linnix_ls.core.findings import Note, Severity, State
from linnix_ls.core.ids import ProcessKey
from linnix_ls.explain.base import NoAnswer, NoteRefused
from linnix_ls.explain.notes import ModelNotes
from tests.explain.writers import ScriptedWriter
from tests.report.samples import PUMP_SOURCE, a_spin, at

pytestmark = pytest.mark.asyncio

SENTENCES = (
    "Let it wait in the queue instead of asking self.queue.empty() in a loop.",
    "The loop asks and continues at once.",
)
GOOD = json.dumps({"note": " ".join(SENTENCES), "cites": ["e1"], "old": "", "new": ""})
FALSE = json.dumps({"note": "Nothing to fix here, this is normal.", "cites": []})
WARNING = a_spin(location=at("/ws/pump.py", 4))


@asynccontextmanager
async def notes_by(writer, **options):
    told, problems = asyncio.Queue(), []
    notes = ModelNotes(
        writer,
        lambda _path: PUMP_SOURCE,
        on_note=told.put_nowait,
        on_problem=problems.append,
        look_again_s=0,
        **{"is_busy": lambda: False, **options},
    )
    notes.told, notes.problems = told, problems
    try:
        yield notes
    finally:
        await notes.close()
        assert writer.is_closed


async def until(is_so):
    for _ in range(10_000):
        if is_so():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never became so")


def note_on(notes, finding=WARNING):
    note = notes.with_note(finding).explanation.note
    return note and note.text


async def test_a_warning_gets_one():
    async with notes_by(ScriptedWriter(GOOD)) as notes:
        notes.want(WARNING)
        assert await notes.told.get() == "f1"
        assert note_on(notes) == " ".join(SENTENCES)
        assert (notes.counts.n_asked, notes.counts.n_shown) == (1, 1)


async def test_it_stays_with_the_finding_whatever_becomes_of_that():
    async with notes_by(ScriptedWriter(GOOD)) as notes:
        notes.want(WARNING)
        await notes.told.get()
        assert note_on(notes, replace(WARNING, state=State.ENDED, ended_ns=1))


async def test_it_is_not_put_on_another_finding_that_has_the_same_id_by_now():
    async with notes_by(ScriptedWriter(GOOD)) as notes:
        notes.want(WARNING)
        await notes.told.get()
        other = replace(WARNING.process, key=ProcessKey(9, 9))
        assert note_on(notes, replace(WARNING, process=other)) is None


@pytest.mark.parametrize(
    "finding", [replace(WARNING, severity=Severity.INFORMATION), replace(WARNING, explanation=None)]
)
async def test_what_is_no_warning_or_is_not_explained_is_not_worth_one(finding):
    writer = ScriptedWriter(GOOD)
    async with notes_by(writer) as notes:
        notes.want(finding)
        notes.want(replace(WARNING, id="f2"))
        assert await notes.told.get() == "f2"
        assert len(writer.asked) == 1


async def test_none_is_written_while_others_need_the_cpus():
    n_looks = 0

    def is_busy():
        nonlocal n_looks
        n_looks += 1
        return n_looks < 5

    writer = ScriptedWriter(GOOD)
    async with notes_by(writer, is_busy=is_busy) as notes:
        notes.want(WARNING)
        await until(lambda: n_looks == 4)
        assert not writer.asked
        await notes.told.get()


async def test_at_once_means_even_then():
    async with notes_by(ScriptedWriter(GOOD), is_busy=lambda: True, when="at_once") as notes:
        notes.want(WARNING)
        await notes.told.get()


async def test_a_finding_that_is_cleared_meanwhile_needs_none():
    is_busy = True
    writer = ScriptedWriter(GOOD)
    async with notes_by(writer, is_busy=lambda: is_busy) as notes:
        notes.want(WARNING)
        notes.want(replace(WARNING, state=State.CLEARED))
        is_busy = False
        notes.want(replace(WARNING, id="f2"))
        assert await notes.told.get() == "f2"
        assert len(writer.asked) == 1


async def test_each_is_asked_for_once():
    writer = ScriptedWriter(GOOD)
    async with notes_by(writer) as notes:
        notes.want(WARNING)
        await notes.told.get()
        notes.want(WARNING)
        assert await notes.ask(WARNING) == notes.with_note(WARNING).explanation.note
        assert len(writer.asked) == 1


async def test_what_does_not_pass_the_checks_is_counted_and_not_shown():
    async with notes_by(ScriptedWriter(FALSE)) as notes:
        with pytest.raises(NoteRefused, match="did not pass the checks"):
            await notes.ask(WARNING)
        assert note_on(notes) is None
        assert sum(notes.counts.refused.values()) == 1
        notes.want(WARNING)  # it would say the same again
        await asyncio.sleep(0)
        assert notes.counts.n_asked == 1


async def test_where_no_model_can_be_asked_that_is_told_once_and_not_tried_again():
    writer = ScriptedWriter(NoAnswer("no model is in use", cause="no_model"))
    async with notes_by(writer) as notes:
        notes.want(WARNING)
        notes.want(replace(WARNING, id="f2"))
        await until(lambda: notes.problems)
        notes.want(replace(WARNING, id="f3"))
        await asyncio.sleep(0)
        assert [problem.cause for problem in notes.problems] == ["no_model"]
        assert len(writer.asked) == 1


async def test_a_model_that_died_is_asked_again_for_the_next_finding():
    writer = ScriptedWriter(NoAnswer("it died", cause="worker_died"), GOOD)
    async with notes_by(writer) as notes:
        notes.want(WARNING)
        notes.want(replace(WARNING, id="f2"))
        assert await notes.told.get() == "f2"
        assert notes.counts.failed == {"worker_died": 1}


async def test_one_that_the_user_asks_for_goes_before_the_others():
    writer = ScriptedWriter(GOOD)
    writer.gate.clear()
    async with notes_by(writer) as notes:
        notes.want(WARNING)
        await until(lambda: writer.asked)
        asking = asyncio.create_task(notes.ask(replace(WARNING, id="f2")))
        await until(lambda: writer.n_cancelled == 1)
        writer.gate.set()
        assert isinstance(await asking, Note)
        assert await notes.told.get() == "f1"


async def test_cancelling_the_question_stops_the_model():
    writer = ScriptedWriter(GOOD)
    writer.gate.clear()
    async with notes_by(writer) as notes:
        asking = asyncio.create_task(notes.ask(WARNING))
        await until(lambda: writer.asked)
        asking.cancel()
        await asyncio.wait([asking])
        assert asking.cancelled() and writer.n_cancelled == 1
        writer.gate.set()
        assert await notes.ask(WARNING)


@pytest.mark.parametrize(("answer", "is_prose"), [(GOOD, False), (" ".join(SENTENCES), True)])
async def test_sentences_are_passed_on_as_they_come_once_they_are_checked(answer, is_prose):
    passed = []
    async with notes_by(ScriptedWriter(answer, writes_prose=is_prose)) as notes:
        await notes.ask(WARNING, passed.append)
    assert passed == [SENTENCES[0], " ".join(SENTENCES)]


async def test_a_sentence_that_does_not_pass_is_not_passed_on():
    passed = []
    bad = json.dumps({"note": f"{SENTENCES[0]} But nothing is wrong here.", "cites": []})
    async with notes_by(ScriptedWriter(bad)) as notes:
        with pytest.raises(NoteRefused):
            await notes.ask(WARNING, passed.append)
    assert passed == [SENTENCES[0]]
