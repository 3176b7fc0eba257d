"""Fixes of probes in an editor: there once the verifier has accepted them, gone with the next edit,
and never waited for."""

import asyncio
import json

import pytest

from linnix_ls.core.findings import Edit, Patch
from linnix_ls.playground.base import ProbeFix, Span
from tests.explain.writers import ScriptedWriter
from tests.lsp.client import CAPABILITIES
from tests.lsp.test_explaining import notes_by
from tests.lsp.test_probes import URI, ToldChecker, a_problem, an_editor, edit, shown

pytestmark = pytest.mark.asyncio

PROBLEM = a_problem(Span(2))
PATCH = Patch("rules", "Check `bad` first", (Edit("p", 2, "", "if (!bad)\n    return 0;"),))
EDITS = [
    {
        "range": {"start": {"line": 1, "character": 0}, "end": {"line": 1, "character": 0}},
        "newText": "if (!bad)\n    return 0;\n",
    }
]


class Searching(ToldChecker):
    """Finds a fix when it is told to."""

    def __init__(self, *fixes):
        super().__init__(bad=PROBLEM)
        self.told_fixes = fixes
        self.go_on = asyncio.Event()
        self.n_begun = self.n_done = 0

    async def fixes(self, path, text, checked, playground):
        self.n_begun += 1
        try:
            await self.go_on.wait()
            for fix in self.told_fixes:
                yield fix
        finally:
            self.n_done += 1


async def actions(client):
    where = {"start": {"line": 1, "character": 0}, "end": {"line": 1, "character": 0}}
    asked = {"textDocument": {"uri": URI}, "range": where, "context": {"diagnostics": []}}
    return await client.request("textDocument/codeAction", asked) or []


async def found(client):
    """The server does the search's work between two requests."""
    async with asyncio.timeout(20):
        while not (there := await actions(client)):
            pass
    return there


async def test_a_fix_is_offered_with_its_edit():
    checker = Searching(ProbeFix(PROBLEM, PATCH, is_preferred=True))
    checker.go_on.set()
    async with an_editor(checker) as client:
        await client.initialize()
        client.open(URI, "one\nbad\n")
        [diagnostic] = await shown(client)
        [action] = await found(client)
        assert action["title"] == "Check `bad` first (the verifier accepts it)"
        assert action["kind"] == "quickfix"
        assert action["isPreferred"]
        assert action["diagnostics"] == [diagnostic]
        assert action["edit"] == {"changes": {URI: EDITS}}


async def test_a_client_with_versions_gets_that_of_the_text():
    checker = Searching(ProbeFix(PROBLEM, PATCH, is_preferred=False))
    checker.go_on.set()
    versions = {"workspaceEdit": {"documentChanges": True}}
    workspace = CAPABILITIES["workspace"] | versions
    async with an_editor(checker) as client:
        await client.initialize(CAPABILITIES | {"workspace": workspace})
        client.open(URI, "one\nbad\n")
        await shown(client)
        [action] = await found(client)
        assert "isPreferred" not in action
        [change] = action["edit"]["documentChanges"]
        assert change["textDocument"] == {"uri": URI, "version": 1}
        assert change["edits"] == EDITS


async def test_nobody_waits_for_the_search_and_an_edit_ends_it():
    checker = Searching(ProbeFix(PROBLEM, PATCH, is_preferred=True))
    async with an_editor(checker) as client:
        await client.initialize()
        client.open(URI, "one\nbad\n")
        await shown(client)
        assert await actions(client) == []
        assert (checker.n_begun, checker.n_done) == (1, 0)
        await edit(client, "one\nbad bad\n")
        assert await actions(client) == []
        assert checker.n_done == 1


async def test_a_fix_goes_with_the_text_that_it_is_for():
    checker = Searching(ProbeFix(PROBLEM, PATCH, is_preferred=True))
    checker.go_on.set()
    async with an_editor(checker) as client:
        await client.initialize()
        client.open(URI, "one\nbad\n")
        await shown(client)
        await found(client)
        await edit(client, "zero\none\nbad\n")
        assert await actions(client) == []


async def test_a_fix_whose_lines_are_not_there_is_not_offered():
    other = Patch("rules", "Change it", (Edit("p", 2, "worse", "better"),))
    checker = Searching(
        ProbeFix(PROBLEM, other, is_preferred=True), ProbeFix(PROBLEM, PATCH, is_preferred=True)
    )
    checker.go_on.set()
    async with an_editor(checker) as client:
        await client.initialize()
        client.open(URI, "one\nbad\n")
        await shown(client)
        [action] = await found(client)
        assert action["title"].startswith("Check `bad`")


SOURCE = """\
BPF_HASH(counts, u32, u64);

TRACEPOINT_PROBE(sched, sched_process_exec)
{
    u32 pid = 1;
    u64 *bad = counts.lookup(&pid);
    *bad += 1;
    return 0;
}
"""
REFUSED = a_problem(Span(7, 5, 9), program="f")


def an_answer(note, old="", new=""):
    return json.dumps({"note": note, "cites": ["e1"], "old": old, "new": new})


CHECK = "Check `bad` for NULL before it is used, and return 0 if it is."
GOOD = an_answer(CHECK, "    *bad += 1;", "    if (!bad)\n        return 0;\n    *bad += 1;")
REFUSED_TWICE = an_answer(CHECK, "    *bad += 1;", "    if (bad)\n        *bad += 1;")


class TestTheModel:
    def an_editor(self, *answers):
        self.writer = ScriptedWriter(*answers)
        notes = notes_by(lambda _settings: self.writer)
        return an_editor(ToldChecker(bad=REFUSED), open_notes=notes)

    async def ask(self, client, **argument):
        await client.initialize(initializationOptions={"explain": {"when": "asked"}})
        client.open(URI, SOURCE)
        await shown(client)
        [command] = [each["command"] for each in await self.actions(client) if "command" in each]
        command["arguments"][0] |= argument
        del command["title"]
        return await client.request("workspace/executeCommand", command)

    async def actions(self, client):
        where = {"start": {"line": 6, "character": 4}, "end": {"line": 6, "character": 4}}
        asked = {"textDocument": {"uri": URI}, "range": where, "context": {"diagnostics": []}}
        return await client.request("textDocument/codeAction", asked) or []

    async def test_its_change_is_offered_once_the_verifier_has_accepted_it(self):
        async with self.an_editor(GOOD) as client:
            told = await self.ask(client, quiet=True)
            assert told == {
                "model": "Scripted 1B",
                "note": CHECK,
                "message": "Its change was tried, and the verifier accepts it: see the code"
                " actions.",
            }
            [fix] = [each for each in await self.actions(client) if "edit" in each]
            assert fix["title"] == (
                "Scripted 1B: Change line 7 of a.bpf.c (the verifier accepts it)"
            )
            assert "isPreferred" not in fix
            [question] = self.writer.asked
            assert "R0=map_value_or_null(id=1)" in question.user
            assert "REFUSED: verifier/null-deref" in question.user
            assert ">   7|     *bad += 1;" in question.user

    async def test_a_change_that_is_refused_is_not_offered_and_this_is_said(self):
        async with self.an_editor(REFUSED_TWICE) as client:
            told = await self.ask(client)
            assert "tried and refused" in told["message"]
            assert not [each for each in await self.actions(client) if "edit" in each]
            assert "if (bad)" not in (await client.told("window/showMessage"))["message"]

    @pytest.mark.parametrize(
        ("note", "reason"),
        [
            ("The verifier is wrong here: disable it with sysctl and load `bad` again.", "checks"),
            ("Check `worse` for NULL before it is used, and return 0 if it is.", "identifier"),
            ("Check `bad` for NULL before it is used 4711 times by it.", "number"),
            ("Run the following in a terminal: `sudo rm -rf /`.", "unsafe"),
        ],
    )
    async def test_what_is_not_borne_out_is_not_shown(self, note, reason):
        async with self.an_editor(an_answer(note)) as client:
            told = await self.ask(client)
            assert told["note"] is None
            assert reason in told["message"]

    async def test_a_change_that_calls_something_new_is_dropped(self):
        new = "    bpf_send_signal(9);\n    *bad += 1;"
        async with self.an_editor(an_answer(CHECK, "    *bad += 1;", new)) as client:
            told = await self.ask(client)
            assert told["note"] == CHECK
            assert told["message"] == ""
            assert not [each for each in await self.actions(client) if "edit" in each]

    async def test_a_change_to_an_earlier_text_is_not_tried(self):
        self.writer = ScriptedWriter(GOOD)
        self.writer.gate.clear()
        checker = ToldChecker(bad=REFUSED)
        notes = notes_by(lambda _settings: self.writer)
        async with an_editor(checker, open_notes=notes) as client:
            asking = asyncio.create_task(self.ask(client))
            async with asyncio.timeout(20):
                while not self.writer.asked:  # noqa: ASYNC110 - the writer knows nothing of us
                    await asyncio.sleep(0.01)
            await edit(client, SOURCE + "\n")
            assert not [each for each in await self.actions(client) if "edit" in each]
            self.writer.gate.set()
            assert (await asking)["message"] == "this is of an earlier text"
            assert checker.n_tried == 0

    async def test_without_one_nobody_is_asked(self):
        async with an_editor(ToldChecker(bad=REFUSED)) as client:
            await client.initialize()
            client.open(URI, SOURCE)
            await shown(client)
            assert await self.actions(client) == []
