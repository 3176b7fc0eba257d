"""Fixes of probes in an editor: there once the verifier has accepted them, gone with the next edit,
and never waited for."""

import asyncio

import pytest

from linnix_ls.core.findings import Edit, Patch
from linnix_ls.playground.base import ProbeFix, Span
from tests.lsp.client import CAPABILITIES
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
