"""Lessons in an editor: lenses over a learner's probe, and what they do."""

import shutil
from pathlib import Path

import pytest

from linnix_ls.playground.lesson_desk import Desk
from linnix_ls.playground.lessons import all_lessons, lesson
from tests.lsp.client import CAPABILITIES, a_client

pytestmark = pytest.mark.asyncio
needs_clang = pytest.mark.skipif(shutil.which("clang") is None, reason="no clang")


@pytest.fixture
def desk(tmp_path):
    """What an unprivileged user has."""
    return Desk(tmp_path / "lessons", tmp_path / "cache", is_recorded=True)


def an_editor(desk):
    async def load():
        return desk

    return a_client(load_desk=load)


async def do(client, name, **argument):
    return await client.request(
        "workspace/executeCommand",
        {"command": f"linnix.lesson.{name}", "arguments": [argument]},
    )


async def titles(client, uri):
    lenses = await client.request("textDocument/codeLens", {"textDocument": {"uri": uri}})
    return [lens["command"]["title"] for lens in lenses]


async def in_a_lesson(client, number=1, text=None):
    """The lesson's probe, open in the editor."""
    opened = await do(client, "open", lesson=number, quiet=True)
    client.open(opened["uri"], lesson(number).start if text is None else text)
    return opened["uri"]


async def test_all_lessons_are_listed_with_how_far_one_is(desk):
    async with an_editor(desk) as client:
        await client.initialize()
        await do(client, "open", lesson=5, quiet=True)
        listed = (await client.request("linnix/lessons"))["lessons"]
        assert [each["number"] for each in listed] == [each.number for each in all_lessons()]
        assert [each["state"] for each in listed[3:6]] == ["new", "begun", "new"]
        assert listed[0]["is_recorded"] and not listed[4]["is_recorded"]
        assert "verifier" in listed[4]["why_not_recorded"]
        assert Path(listed[4]["folder"]).is_dir()


async def test_opening_shows_the_text_and_the_probe_where_the_editor_can(desk):
    window = {"window": {"showDocument": {"support": True}}}
    async with an_editor(desk) as client:
        client.answers["window/showDocument"] = {"success": True}
        await client.initialize({**CAPABILITIES, **window})
        opened = await do(client, "open", lesson=2)
        shown = [params["uri"] for method, params in client.asked if method.endswith("Document")]
        assert shown == [opened["text_uri"], opened["uri"]]
        assert (await client.told("linnix/didChangeLesson"))["state"] == "begun"


async def test_the_lens_says_how_far_the_lesson_is_and_what_can_be_done(desk):
    async with an_editor(desk) as client:
        await client.initialize()
        uri = await in_a_lesson(client)
        assert await titles(client, uri) == [
            "Lesson 1: not checked",
            "Check",
            "Hint",
            "Start over",
        ]


@pytest.mark.parametrize(
    "path", ["/tmp/probe.bpf.c", "/tmp/01-count-execs/other.bpf.c", "/tmp/01-count-execs/a.py"]
)
async def test_other_files_have_no_such_lens(desk, path):
    async with an_editor(desk) as client:
        await client.initialize()
        assert not await titles(client, f"file://{path}")


async def test_what_a_lesson_is_made_of_is_no_answer_to_it(desk):
    async with an_editor(desk) as client:
        await client.initialize()
        assert not await titles(client, (lesson(1).folder / "probe.bpf.c").as_uri())


@needs_clang
@pytest.mark.e2e
async def test_a_check_tells_expected_against_seen_at_the_lines_to_be_edited(desk):
    async with an_editor(desk) as client:
        await client.initialize()
        uri = await in_a_lesson(client)
        result = await do(client, "check", uri=uri)
        assert (result["outcome"], result["how"]) == ("failed", "recorded")
        assert result["summary"] == "0 of 3 checks pass, on recorded events"
        shown = client.diagnostics(uri)
        assert [each["severity"] for each in shown] == [2, 2, 2, 3]
        assert {each["source"] for each in shown} == {"linnix-lesson"}
        assert "expected execs[" in shown[0]["message"]
        assert "the map `execs` is empty" in shown[0]["message"]
        marked = lesson(1).start.splitlines().index("    /* >>> your code */")
        assert {each["range"]["start"]["line"] for each in shown} == {marked}
        [said] = [params for method, params in client.notified if method == "window/showMessage"]
        assert said["message"].startswith("linnix: Lesson 1: 0 of 3 checks pass")


@needs_clang
@pytest.mark.e2e
async def test_the_text_in_the_editor_is_checked_and_the_outcome_outlives_it(desk):
    async with an_editor(desk) as client:
        await client.initialize()
        uri = await in_a_lesson(client, text=lesson(1).solution)
        result = await do(client, "check", uri=uri, quiet=True)
        assert result["outcome"] == "passed"
        assert not [method for method, _ in client.notified if method == "window/showMessage"]
    async with an_editor(desk) as client:
        await client.initialize()
        assert (await titles(client, uri))[0] == "Lesson 1: 3 of 3 checks pass, on recorded events"
        assert (await client.request("linnix/lessons"))["lessons"][0]["state"] == "passed"


@needs_clang
@pytest.mark.e2e
async def test_an_edit_takes_away_what_is_about_an_earlier_text(desk):
    async with an_editor(desk) as client:
        await client.initialize()
        uri = await in_a_lesson(client)
        await do(client, "check", uri=uri, quiet=True)
        assert client.diagnostics(uri)
        client.notify(
            "textDocument/didChange",
            {
                "textDocument": {"uri": uri, "version": 2},
                "contentChanges": [{"text": lesson(1).solution}],
            },
        )
        await client.told(
            "textDocument/publishDiagnostics",
            lambda params: params["uri"] == uri and not params["diagnostics"],
        )


async def test_hints_come_step_by_step(desk):
    async with an_editor(desk) as client:
        await client.initialize()
        uri = await in_a_lesson(client)
        steps = [await do(client, "hint", uri=uri) for _ in range(3)]
        assert [(each["step"], each["kind"]) for each in steps] == [
            (1, "idea"),
            (2, "place"),
            (3, "code"),
        ]
        assert steps[0]["text"] == lesson(1).hint("begin").idea


async def test_starting_over_edits_the_document_and_keeps_what_was_written(desk):
    workspace = {"workspace": {**CAPABILITIES["workspace"], "applyEdit": True}}
    async with an_editor(desk) as client:
        client.answers["workspace/applyEdit"] = {"applied": True}
        await client.initialize({**CAPABILITIES, **workspace})
        uri = await in_a_lesson(client, text="my own\nwork")
        kept = (await do(client, "reset", uri=uri))["kept"]
        assert Path(kept.removeprefix("file://")).read_text() == "my own\nwork"
        [edit] = [params for method, params in client.asked if method == "workspace/applyEdit"]
        [change] = edit["edit"]["changes"][uri]
        assert change["newText"] == lesson(1).start
        assert change["range"]["end"] == {"line": 1, "character": 4}


async def test_starting_over_without_such_edits_writes_the_file(desk):
    async with an_editor(desk) as client:
        await client.initialize()
        opened = await do(client, "open", lesson=1, quiet=True)
        path = Path(opened["uri"].removeprefix("file://"))
        path.write_text("my own work")
        await do(client, "reset", lesson=1, quiet=True)
        assert path.read_text() == lesson(1).start


@pytest.mark.parametrize(
    "argument",
    [
        {},
        {"lesson": 99},
        {"lesson": "1"},
        {"uri": "file:///etc/passwd"},
        {"uri": "untitled:a"},
        {"lesson": 1, "uri": "file:///tmp/01-count-execs/probe.bpf.c"},
    ],
)
@pytest.mark.parametrize("command", ["open", "check", "hint", "reset"])
async def test_a_wrong_argument_is_refused(desk, command, argument):
    async with an_editor(desk) as client:
        await client.initialize()
        reply = await client.reply_to(
            "workspace/executeCommand",
            {"command": f"linnix.lesson.{command}", "arguments": [argument]},
        )
        assert reply["error"]["code"] == -32602
