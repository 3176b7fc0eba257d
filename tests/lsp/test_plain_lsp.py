"""What a client gets by the protocol alone: code lenses, and diagnostics when it asks for them."""

import asyncio
from dataclasses import replace

import pytest

from linnix_ls.core.findings import State
from linnix_ls.lsp.documents import uri_of_path
from tests.lsp.client import CAPABILITIES, a_client
from tests.lsp.memory_feed import MemoryFeed, a_finding

pytestmark = pytest.mark.asyncio

PUBLISH = "textDocument/publishDiagnostics"
REFRESH = "workspace/diagnostic/refresh"
REFRESH_LENSES = "workspace/codeLens/refresh"
TEXT_DOCUMENT = {
    name: value
    for name, value in CAPABILITIES["textDocument"].items()
    if name != "publishDiagnostics"
}
PULLING = {
    "textDocument": {**TEXT_DOCUMENT, "diagnostic": {}},
    "workspace": {"diagnostics": {"refreshSupport": True}},
}


@pytest.fixture
def pump(tmp_path):
    path = tmp_path / "pump.py"
    path.write_text("def drain():\n    while queue.empty():\n        pass\n")
    return path


def uri(path):
    return uri_of_path(str(path))


async def lenses_in(client, path):
    return await client.request("textDocument/codeLens", {"textDocument": {"uri": uri(path)}})


async def pull(client, path, **params):
    return await client.request(
        "textDocument/diagnostic", {"textDocument": {"uri": uri(path)}, **params}
    )


async def pull_all(client, **previous):
    known = [{"uri": name, "value": value} for name, value in previous.items()]
    report = await client.request("workspace/diagnostic", {"previousResultIds": known})
    return {each["uri"]: each for each in report["items"]}


class TestCodeLenses:
    async def test_explain_and_stop_what_runs_away(self, pump):
        async with a_client(MemoryFeed({"f1": a_finding(pump)})) as client:
            told = await client.initialize()
            assert told["capabilities"]["codeLensProvider"]
            await client.told(PUBLISH)
            explain, stop = await lenses_in(client, pump)
            assert explain["command"]["title"] == "cpu_spin: explain"
            assert stop["command"] == {
                "title": "stop",
                "command": "linnix.stopProcess",
                "arguments": [{"finding_id": "f1"}],
            }
            assert explain["range"]["start"] == explain["range"]["end"]
            assert explain["range"]["start"] == {"line": 1, "character": 4}

    async def test_do_not_offer_to_stop_what_has_ended(self, pump):
        ended = a_finding(pump, state=State.ENDED)
        async with a_client(MemoryFeed({"f1": ended})) as client:
            await client.initialize()
            await client.told(PUBLISH)
            titles = [lens["command"]["title"] for lens in await lenses_in(client, pump)]
            assert titles == ["cpu_spin (ended): explain", "dismiss"]

    async def test_are_none_elsewhere(self, pump, tmp_path):
        async with a_client(MemoryFeed({"f1": a_finding(pump)})) as client:
            await client.initialize()
            await client.told(PUBLISH)
            assert await lenses_in(client, tmp_path / "other.py") == []

    async def test_are_asked_for_again_when_there_is_news(self, pump):
        capabilities = {**CAPABILITIES, "workspace": {"codeLens": {"refreshSupport": True}}}
        async with a_client() as client:
            await client.initialize(capabilities)
            await client.told("linnix/didChangeStatus", lambda s: s["state"] == "watching")
            client.feed.raises(a_finding(pump))
            await client.until(lambda: (REFRESH_LENSES, None) in client.asked)

    async def test_are_not_asked_for_by_a_client_that_cannot_be_told_so(self, pump):
        async with a_client(MemoryFeed({"f1": a_finding(pump)})) as client:
            await client.initialize()
            await client.told(PUBLISH)
            await lenses_in(client, pump)
            assert REFRESH_LENSES not in [method for method, _ in client.asked]

    async def test_of_a_client_that_refuses_to_refresh_go_on(self, pump):
        capabilities = {**CAPABILITIES, "workspace": {"codeLens": {"refreshSupport": True}}}
        async with a_client(MemoryFeed({"f1": a_finding(pump)})) as client:
            client.answers[REFRESH_LENSES] = ValueError("not now")
            await client.initialize(capabilities)
            await client.until(lambda: REFRESH_LENSES in [method for method, _ in client.asked])
            client.feed.raises(a_finding(pump, state=State.ENDED))
            await client.until(
                lambda: [method for method, _ in client.asked].count(REFRESH_LENSES) >= 2
            )


class TestAClientThatPulls:
    async def test_is_told_that_it_can_and_is_sent_nothing_twice(self, pump):
        async with a_client(MemoryFeed({"f1": a_finding(pump)})) as client:
            told = await client.initialize(PULLING)
            assert told["capabilities"]["diagnosticProvider"]["workspaceDiagnostics"]
            await client.until(lambda: (REFRESH, None) in client.asked)
            report = await pull(client, pump)
            assert report["kind"] == "full"
            assert [each["code"] for each in report["items"]] == ["cpu_spin"]
            assert client.diagnostics(uri(pump)) is None

    async def test_that_also_takes_what_is_sent_is_sent_it_and_not_offered_to_pull(self, pump):
        both = {"textDocument": {**CAPABILITIES["textDocument"], "diagnostic": {}}}
        async with a_client(MemoryFeed({"f1": a_finding(pump)})) as client:
            told = await client.initialize(both)
            assert "diagnosticProvider" not in told["capabilities"]
            assert (await client.told(PUBLISH))["diagnostics"]

    async def test_is_not_sent_again_what_it_has(self, pump):
        async with a_client(MemoryFeed({"f1": a_finding(pump)})) as client:
            await client.initialize(PULLING)
            await client.until(lambda: (REFRESH, None) in client.asked)
            known_as = (await pull(client, pump))["resultId"]
            again = await pull(client, pump, previousResultId=known_as)
            assert again == {"kind": "unchanged", "resultId": known_as}
            client.feed.raises(a_finding(pump, state=State.ENDED))
            await client.until(lambda: client.asked.count((REFRESH, None)) >= 2)
            news = await pull(client, pump, previousResultId=known_as)
            assert news["items"][0]["severity"] == 3

    async def test_gets_the_whole_workspace_and_what_has_gone(self, pump, tmp_path):
        feed = MemoryFeed({"f1": a_finding(pump)})
        async with a_client(feed) as client:
            await client.initialize(PULLING)
            await client.until(lambda: (REFRESH, None) in client.asked)
            reports = await pull_all(client)
            assert list(reports) == [uri(pump)]
            known_as = reports[uri(pump)]["resultId"]
            same = await pull_all(client, **{uri(pump): known_as})
            assert same[uri(pump)]["kind"] == "unchanged"
            feed.clears(a_finding(pump))
            await client.until(lambda: client.asked.count((REFRESH, None)) >= 2)
            gone = await pull_all(client, **{uri(pump): known_as})
            assert gone[uri(pump)]["items"] == []

    async def test_and_is_slow_is_asked_to_refresh_once_and_once_more(self, pump):
        async with a_client() as client:
            await client.initialize(PULLING)
            await client.told("linnix/didChangeStatus", lambda s: s["state"] == "watching")
            client.reading.cancel()  # as an editor that is busy; the server must not pile up
            await asyncio.wait([client.reading])
            finding = a_finding(pump)
            for n in range(20):
                client.feed.raises(replace(finding, id=f"f{n}"))
            client.reading = asyncio.create_task(client._read_all())
            await client.until(lambda: (REFRESH, None) in client.asked)
            assert len((await pull(client, pump))["items"]) == 20
            assert client.asked.count((REFRESH, None)) <= 2
