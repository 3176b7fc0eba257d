"""Notes by a model, as a client sees them. The model is scripted; what checks it is real."""

import asyncio
import json

import pytest

from linnix_ls.explain.base import NoAnswer
from linnix_ls.explain.notes import ModelNotes
from tests.explain.writers import ScriptedWriter
from tests.lsp.client import a_client
from tests.lsp.memory_feed import MemoryFeed, a_finding
from tests.lsp.test_server import SOURCE, run_command, the_hover, uri

pytestmark = pytest.mark.asyncio

TEXT = "Let it wait in the queue instead of asking queue.empty() in a loop."
GOOD = json.dumps({"note": TEXT, "cites": ["e1"], "old": "", "new": ""})
FALSE = json.dumps({"note": "There is nothing to fix.", "cites": []})
ARGUMENT = {"finding_id": "f1"}
AT_ONCE = {"explain": {"when": "at_once"}}
ASKED = {"explain": {"when": "asked"}}


@pytest.fixture
def pump(tmp_path):
    path = tmp_path / "pump.py"
    path.write_text(SOURCE)
    return path


def notes_by(choose_writer):
    """As the server opens them, by the writer that is chosen for its settings."""

    async def open_notes(settings, text_of, **hooks):
        return ModelNotes(choose_writer(settings), text_of, when=settings.when, **hooks)

    return open_notes


def a_client_with(pump, writer, **changes):
    feed = MemoryFeed({"f1": a_finding(pump, **changes)})
    return a_client(feed, open_notes=notes_by(lambda _settings: writer))


async def shown(client, pump, settings):
    await client.initialize(initializationOptions=settings)
    await client.until(lambda: client.diagnostics(uri(pump)))


async def note_told(client):
    told = await client.told(
        "linnix/didChangeFindings",
        lambda p: p["findings"] and p["findings"][0]["explanation"]["note"],
    )
    return told["findings"][0]["explanation"]["note"]


async def test_the_note_comes_after_the_diagnostic_and_updates_the_finding(pump):
    writer = ScriptedWriter(GOOD)
    writer.gate.clear()
    async with a_client_with(pump, writer) as client:
        await shown(client, pump, AT_ONCE)
        message = client.diagnostics(uri(pump))[0]["message"]
        writer.gate.set()
        note = await note_told(client)
        assert note["text"] == TEXT
        assert note["model"] == "Scripted 1B"
        assert client.diagnostics(uri(pump))[0]["message"] == message


async def test_the_hover_has_it_below_a_rule_under_the_models_name(pump):
    async with a_client_with(pump, ScriptedWriter(GOOD)) as client:
        await shown(client, pump, AT_ONCE)
        await note_told(client)
        rules, rule, note = (await the_hover(client, pump, 1))["contents"]["value"].partition(
            "\n\n---\n\n"
        )
        assert rule
        assert TEXT not in rules and "It kept 0.99 cores busy." in rules
        assert "AI note, by Scripted 1B" in note
        assert TEXT in note


async def test_explain_answers_with_rules_at_once_and_then_with_the_note(pump):
    writer = ScriptedWriter(GOOD)
    writer.gate.clear()
    async with a_client_with(pump, writer) as client:
        await shown(client, pump, ASKED)
        asking = asyncio.create_task(run_command(client, "linnix.explain", ARGUMENT))
        await client.told("window/showMessage", lambda m: "0.99 cores busy" in m["message"])
        assert not asking.done()
        writer.gate.set()
        result = await asking
        assert result["explanation"]["note"]["text"] == TEXT
        assert result["note_problem"] is None
        await client.told("window/showMessage", lambda m: TEXT in m["message"])
        assert (await client.told("linnix/noteProgress")) == {"finding_id": "f1", "text": TEXT}
        assert TEXT in (await the_hover(client, pump, 1))["contents"]["value"]


async def test_asked_quietly_it_shows_no_message(pump):
    async with a_client_with(pump, ScriptedWriter(GOOD)) as client:
        await shown(client, pump, ASKED)
        result = await run_command(client, "linnix.explain", {**ARGUMENT, "quiet": True})
        assert result["explanation"]["note"]["text"] == TEXT
        assert not [params for method, params in client.notified if method == "window/showMessage"]


async def test_what_does_not_pass_the_checks_is_counted_and_never_shown(pump):
    async with a_client_with(pump, ScriptedWriter(FALSE)) as client:
        await shown(client, pump, ASKED)
        result = await run_command(client, "linnix.explain", ARGUMENT)
        assert result["explanation"]["note"] is None
        assert "did not pass the checks" in result["note_problem"]
        assert "nothing to fix" not in json.dumps(client.notified)
        notes = (await client.request("linnix/status"))["explain"]["notes"]
        assert (notes["asked"], notes["shown"], sum(notes["refused"].values())) == (1, 0, 1)


@pytest.mark.parametrize("way", ["request", "progress"])
async def test_a_question_can_be_cancelled(pump, way):
    writer = ScriptedWriter(GOOD)
    writer.gate.clear()
    async with a_client_with(pump, writer) as client:
        await shown(client, pump, ASKED)
        client.send(
            {
                "id": 4711,
                "method": "workspace/executeCommand",
                "params": {"command": "linnix.explain", "arguments": [ARGUMENT]},
            }
        )
        begun = await client.told(
            "$/progress", lambda p: "model" in (p["value"].get("title") or "")
        )
        await client.until(lambda: writer.asked)
        if way == "request":
            client.notify("$/cancelRequest", {"id": 4711})
        else:
            client.notify("window/workDoneProgress/cancel", {"token": begun["token"]})
        await client.until(lambda: 4711 in client.replies)
        await client.told(
            "$/progress", lambda p: p["token"] == begun["token"] and p["value"]["kind"] == "end"
        )
        assert writer.n_cancelled == 1
        assert await the_hover(client, pump, 1)  # the rest goes on


async def test_where_there_is_no_model_the_log_says_so_and_rules_explain(pump):
    def make_writer(_settings):
        raise NoAnswer("no model is in use", cause="no_model", fix="linnix-ls model list")

    feed = MemoryFeed({"f1": a_finding(pump)})
    async with a_client(feed, open_notes=notes_by(make_writer)) as client:
        await shown(client, pump, {"explain": {"source": "llama"}})
        await client.told(
            "window/logMessage",
            lambda m: "no model is in use (to fix it: linnix-ls model list)" in m["message"],
        )
        result = await run_command(client, "linnix.explain", ARGUMENT)
        assert result["explanation"]["why"] == "It kept 0.99 cores busy."
        assert "no model is in use" in result["note_problem"]
        status = (await client.request("linnix/status"))["explain"]
        assert (status["source"], status["fix"]) == ("llama", "linnix-ls model list")


async def test_other_settings_take_another_model_at_once(pump):
    asked = []
    first, second = ScriptedWriter(FALSE), ScriptedWriter(GOOD)

    def make_writer(settings):
        asked.append(settings.model)
        return second if settings.model else first

    feed = MemoryFeed({"f1": a_finding(pump)})
    async with a_client(feed, open_notes=notes_by(make_writer)) as client:
        await shown(client, pump, AT_ONCE)
        await client.until(lambda: first.asked)
        settings = {"explain": {"when": "at_once", "model": "better"}}
        client.answers["workspace/configuration"] = [settings]
        client.notify("workspace/didChangeConfiguration", {"settings": None})
        assert (await note_told(client))["text"] == TEXT
        assert first.is_closed
        assert asked == [None, "better"]


async def test_none_means_no_words_at_all(pump):
    async with a_client_with(pump, ScriptedWriter(GOOD)) as client:
        await shown(client, pump, {"explain": {"source": "none"}})
        assert "0.99" not in client.diagnostics(uri(pump))[0]["message"]


async def test_a_hostile_note_is_only_text(pump):
    evil = "\x1b]0;x\x07[click](command:evil) <img src=x>"
    writer = ScriptedWriter(json.dumps({"note": evil, "cites": []}))
    async with a_client_with(pump, writer) as client:
        await shown(client, pump, ASKED)
        await run_command(client, "linnix.explain", ARGUMENT)
        assert "command:evil" not in json.dumps(client.notified)
