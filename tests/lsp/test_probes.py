"""Probe source in an editor: when it is checked, and how what is found is shown."""

import asyncio
import json
import resource
from pathlib import Path

import pytest

from linnix_ls.playground.base import Checked, Problem, Related, Severity, Span
from tests.lsp.client import CAPABILITIES, a_client

pytestmark = pytest.mark.asyncio

URI = "file:///tmp/w/a.bpf.c"


class ToldChecker:
    """Says of each text what it was told to say; what nobody told of is right."""

    def __init__(self, **problems):
        self.problems = problems
        self.asked = []
        self.told_fixes = []
        self.n_tried = 0

    async def load(self, text_at):
        return self

    async def check(self, path, text, playground):
        self.asked.append((path, text))
        found = [each for word, each in self.problems.items() if word in text]
        return Checked(tuple(found), (), 0.0)

    async def fixes(self, path, text, checked, playground):
        for fix in self.told_fixes:
            yield fix

    def facts(self, text, problem):
        return ("R0=map_value_or_null(id=1)",)

    async def is_mended(self, path, text, patch, problem, *, checked, playground):
        self.n_tried += 1
        return "if (!" in patch.edits[0].new

    async def close(self):
        pass


def a_problem(span, **fields):
    return Problem(span, Severity.ERROR, "verifier/null-deref", "it may be NULL", **fields)


def an_editor(checker, **options):
    return a_client(load_checker=checker.load, **options)


async def shown(client, n=1):
    return (
        await client.told(
            "textDocument/publishDiagnostics",
            lambda params: params["uri"] == URI and len(params["diagnostics"]) == n,
        )
    )["diagnostics"]


async def edit(client, text, version=2):
    client.notify(
        "textDocument/didChange",
        {
            "textDocument": {"uri": URI, "version": version},
            "contentChanges": [{"text": text}],
        },
    )


class TestShowing:
    async def test_a_problem_has_its_page_its_log_and_its_places(self):
        related = (Related(Span(1), "from here"),)
        problem = a_problem(Span(2, 3, 5), log="R1 invalid\nprocessed 3", related=related)
        async with an_editor(ToldChecker(bad=problem)) as client:
            await client.initialize()
            client.open(URI, "one\n  bad\n")
            [diagnostic] = await shown(client)
            assert diagnostic["source"] == "linnix-bpf"
            assert diagnostic["code"] == "verifier/null-deref"
            assert diagnostic["severity"] == 1
            assert diagnostic["range"] == {
                "start": {"line": 1, "character": 2},
                "end": {"line": 1, "character": 4},
            }
            assert Path(diagnostic["codeDescription"]["href"].removeprefix("file://")).is_file()
            assert diagnostic["data"]["log"] == "R1 invalid\nprocessed 3"
            [place] = diagnostic["relatedInformation"]
            assert place["location"]["range"]["start"]["line"] == 0
            assert place["message"] == "from here"

    @pytest.mark.parametrize(
        ("encodings", "start", "end"), [(["utf-16"], 5, 6), (["utf-8"], 8, 9), (["utf-32"], 4, 5)]
    )
    async def test_columns_count_as_the_client_counts(self, encodings, start, end):
        text = "\t\N{ROCKET}\u00e9 *p;\r\n"
        general = {"general": {"positionEncodings": encodings}}
        checker = ToldChecker(p=a_problem(Span(1, 5, 6)))
        async with an_editor(checker) as client:
            await client.initialize({**CAPABILITIES, **general})
            client.open(URI, text)
            [diagnostic] = await shown(client)
            assert diagnostic["range"]["start"]["character"] == start
            assert diagnostic["range"]["end"]["character"] == end

    async def test_a_hostile_message_is_plain_text(self):
        problem = Problem(
            Span(99), Severity.ERROR, "clang", "a\x1b[31m\u202e\ud800\nb", log="\ud800"
        )
        async with an_editor(ToldChecker(bad=problem)) as client:
            await client.initialize()
            client.open(URI, "bad")
            [diagnostic] = await shown(client)
            assert diagnostic["message"] == "a\\x1b[31m\\u202e\\ud800\\nb"
            assert diagnostic["range"]["start"]["line"] == 0

    @pytest.mark.parametrize(("choice", "n_shown"), [("on", 1), ("off", 2)])
    async def test_what_clangd_says_is_not_said_twice(self, choice, n_shown):
        of_c = Problem(Span(1), Severity.ERROR, "clang", "expected ';'", is_of_c=True)
        others = Problem(Span(1), Severity.ERROR, "clang", "BPF has no signed division")
        checker = ToldChecker(a=of_c, b=others)
        async with an_editor(checker) as client:
            options = {"playground": {"clangd": choice}}
            await client.initialize(initializationOptions=options)
            client.open(URI, "ab")
            assert others.message in [each["message"] for each in await shown(client, n_shown)]

    async def test_only_probes_are_checked(self):
        checker = ToldChecker()
        async with an_editor(checker) as client:
            await client.initialize()
            client.open("file:///tmp/w/a.c", "bad")
            client.open("untitled:a.bpf.c", "bad")
            client.open(URI, "good")
            await client.request("linnix/status")
            await until(lambda: checker.asked)
            assert [path for path, _ in checker.asked] == ["/tmp/w/a.bpf.c"]


class TestWhen:
    async def test_a_pause_in_typing_checks_the_unsaved_text_once(self):
        checker = ToldChecker(bad=a_problem(Span(1)))
        async with an_editor(checker) as client:
            await client.initialize()
            client.open(URI, "good")
            await until(lambda: checker.asked)
            await edit(client, "ba", 2)
            await edit(client, "bad", 3)
            await shown(client)
            assert [text for _, text in checker.asked if "ba" in text] == ["bad"]

    async def test_saving_checks_at_once_and_closing_clears(self):
        checker = ToldChecker(bad=a_problem(Span(1)))
        async with an_editor(checker) as client:
            await client.initialize()
            client.open(URI, "bad")
            await shown(client)
            n_before = len(checker.asked)
            client.notify("textDocument/didSave", {"textDocument": {"uri": URI}})
            await until(lambda: len(checker.asked) > n_before)
            client.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
            await shown(client, 0)

    async def test_a_setting_switches_it_off_and_on(self):
        checker = ToldChecker(bad=a_problem(Span(1)))
        async with an_editor(checker) as client:
            await client.initialize({}, initializationOptions={"playground": {"enable": False}})
            client.open(URI, "bad")
            await client.request("linnix/status")
            client.notify(
                "workspace/didChangeConfiguration",
                {"settings": {"playground": {"enable": True}}},
            )
            await shown(client)
            assert len(checker.asked) == 1

    async def test_what_is_shown_moves_with_edits_until_it_is_checked(self):
        checker = ToldChecker(bad=a_problem(Span(1)))
        pulls = {"textDocument": {"diagnostic": {}}}
        async with an_editor(checker) as client:
            await client.initialize(pulls)
            client.open(URI, "bad")
            await until(lambda: checker.asked)
            ask = {"textDocument": {"uri": URI}}
            assert len((await client.request("textDocument/diagnostic", ask))["items"]) == 1
            start = {"line": 0, "character": 0}
            client.notify(
                "textDocument/didChange",
                {
                    "textDocument": {"uri": URI, "version": 2},
                    "contentChanges": [{"range": {"start": start, "end": start}, "text": "\n\n"}],
                },
            )
            [item] = (await client.request("textDocument/diagnostic", ask))["items"]
            assert item["range"]["start"]["line"] == 2


class TestTheLog:
    async def ask_for(self, client, **fields):
        [diagnostic] = await shown(client)
        where = {"textDocument": {"uri": URI}, "range": diagnostic["range"]}
        actions = await client.request(
            "textDocument/codeAction", {**where, "context": {"diagnostics": []}}
        )
        [action] = [each for each in actions if each["title"] == "Show the raw log"]
        [argument] = action["command"]["arguments"]
        return await client.request(
            "workspace/executeCommand",
            {"command": action["command"]["command"], "arguments": [argument | fields]},
        )

    async def test_is_told_whole_to_a_client_that_shows_it(self):
        log = "state\n" * 10_000 + "R1 invalid"
        checker = ToldChecker(bad=a_problem(Span(1), log=log))
        async with an_editor(checker) as client:
            await client.initialize()
            client.open(URI, "bad")
            assert await self.ask_for(client, quiet=True) == {"log": log}
            assert len(json.dumps(await shown(client))) < 50_000

    async def test_opens_in_an_editor_that_can_and_is_gone_with_the_server(self):
        checker = ToldChecker(bad=a_problem(Span(1), log="R1 invalid"))
        capabilities = {**CAPABILITIES, "window": {"showDocument": {"support": True}}}
        async with an_editor(checker) as client:
            client.answers["window/showDocument"] = {"success": True}
            await client.initialize(capabilities)
            client.open(URI, "bad")
            await self.ask_for(client)
            [path] = [
                Path(params["uri"].removeprefix("file://"))
                for method, params in client.asked
                if method == "window/showDocument"
            ]
            assert path.read_text() == "R1 invalid"
            assert path.stat().st_mode & 0o777 == 0o400
        assert not path.parent.exists()

    async def test_is_a_message_where_the_disk_has_no_room_and_whole_when_it_has(self):
        checker = ToldChecker(bad=a_problem(Span(1), log="R1 invalid"))
        capabilities = {**CAPABILITIES, "window": {"showDocument": {"support": True}}}
        async with an_editor(checker) as client:
            client.answers["window/showDocument"] = {"success": True}
            await client.initialize(capabilities)
            client.open(URI, "bad")
            await shown(client)
            before = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (4, before[1]))
            try:
                await self.ask_for(client)
                message = await client.told("window/showMessage")
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, before)
            assert message["message"].endswith("R1 invalid")
            await self.ask_for(client)
            [path] = [
                Path(params["uri"].removeprefix("file://"))
                for method, params in client.asked
                if method == "window/showDocument"
            ]
            assert path.read_text() == "R1 invalid"

    async def test_is_a_message_where_nothing_else_can_show_it(self):
        checker = ToldChecker(bad=a_problem(Span(1), log="R1 invalid"))
        async with an_editor(checker) as client:
            await client.initialize()
            client.open(URI, "bad")
            await self.ask_for(client)
            message = await client.told("window/showMessage")
            assert message["message"].endswith("R1 invalid")


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - of another task, which knows nothing of us
            await asyncio.sleep(0.01)
