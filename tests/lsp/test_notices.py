"""What a user is told of in messages: each finding once, few at a time, only if they want it."""

import asyncio
from dataclasses import replace

import pytest

from linnix_ls.core.findings import Severity, State
from linnix_ls.lsp.documents import uri_of_path
from linnix_ls.lsp.notices import MAX_REMEMBERED, MIN_INTERVAL_S, Notices
from tests.lsp.client import CAPABILITIES, a_client
from tests.lsp.memory_feed import a_finding, a_process

CHOOSING = {**CAPABILITIES, "window": {"showMessage": {"messageActionItem": {}}}}
ASK, SHOW = "window/showMessageRequest", "window/showMessage"
WANTED = {"notifications": True}


def found(pid, **changes):
    return a_finding(id=f"f{pid}", process=a_process(pid, "x"), **changes)


def hear(notices, *findings, is_wanted=True):
    notices.hear(findings, lambda _: is_wanted)


class TestWhatIsNews:
    def test_is_a_finding_when_it_is_raised_and_never_again(self):
        notices = Notices()
        hear(notices, found(1))
        assert [each.id for each in notices.take_due(0.0)] == ["f1"]
        hear(notices, found(1, confidence=0.5))
        assert notices.next_due_s() is None

    def test_is_not_the_same_process_found_again_by_another_agent(self):
        notices = Notices()
        hear(notices, found(1))
        notices.take_due(0.0)
        hear(notices, replace(found(1), id="f77"))
        assert notices.take_due(100.0) == []

    def test_waits_until_the_last_message_has_been_read_and_is_summed_up(self):
        notices = Notices()
        hear(notices, found(1))
        notices.take_due(100.0)
        hear(notices, found(2))
        hear(notices, found(3))
        assert notices.take_due(100.1) == []
        assert notices.next_due_s() == 100.0 + MIN_INTERVAL_S
        assert [each.id for each in notices.take_due(105.0)] == ["f2", "f3"]
        assert notices.next_due_s() is None

    def test_is_none_any_more_once_it_has_ended(self):
        notices = Notices()
        hear(notices, found(1))
        notices.take_due(0.0)
        hear(notices, found(2))
        hear(notices, found(2, state=State.ENDED))
        assert notices.next_due_s() is None

    def test_is_not_what_was_open_before_it_was_wanted(self):
        notices = Notices()
        hear(notices, found(1), is_wanted=False)
        hear(notices, found(1))
        assert notices.next_due_s() is None

    def test_takes_no_more_memory_in_a_month_than_in_a_day(self):
        notices = Notices()
        for pid in range(1, 3 * MAX_REMEMBERED):
            hear(notices, found(pid), is_wanted=False)
        assert len(notices._known) == MAX_REMEMBERED


async def watching(client, capabilities=CAPABILITIES, **options):
    await client.initialize(capabilities, initializationOptions=options)
    await client.told("linnix/didChangeStatus", lambda s: s["state"] == "watching")


@pytest.mark.asyncio
class TestAMessage:
    async def test_is_none_unless_it_is_wanted(self):
        async with a_client() as client:
            await watching(client)
            client.feed.raises(found(1))
            await client.told("linnix/didChangeFindings")
            await client.request("linnix/status")
            assert SHOW not in [method for method, _ in client.notified]

    async def test_is_plain_where_the_client_cannot_choose(self):
        async with a_client() as client:
            await watching(client, **WANTED)
            client.feed.raises(found(1))
            said = await client.told(SHOW)
            assert said == {"type": 2, "message": "linnix: drain() polls without waiting"}

    async def test_comes_with_what_can_be_done(self):
        async with a_client() as client:
            client.answers[ASK] = {"title": "Explain"}
            await watching(client, CHOOSING, **WANTED)
            client.feed.raises(found(1))
            said = await client.told(SHOW)
            assert "It kept 0.99 cores busy." in said["message"]
            [question] = [params for method, params in client.asked if method == ASK]
            assert [each["title"] for each in question["actions"]] == ["Explain", "Stop…"]

    async def test_stops_nothing_without_asking(self):
        async with a_client() as client:
            client.answers[ASK] = {"title": "Stop…"}
            await watching(client, CHOOSING, **WANTED)
            client.feed.raises(found(1))
            await client.until(lambda: [method for method, _ in client.asked].count(ASK) == 2)
            await client.request("linnix/status")
            assert "stop_process" not in [call[0] for call in client.feed.calls]

    async def test_falls_back_where_a_client_cannot_what_it_said(self):
        async with a_client() as client:
            client.answers[ASK] = RuntimeError("no such method")
            await watching(client, CHOOSING, **WANTED)
            client.feed.raises(found(1))
            await client.told(SHOW, lambda p: "polls without waiting" in p["message"])

    async def test_of_several_at_once_is_one(self):
        async with a_client() as client:
            await watching(client, CHOOSING, **WANTED)
            client.feed.raises(found(1))
            for pid in (2, 3, 4):
                client.feed.raises(found(pid))
            await client.request("linnix/status")
            assert [method for method, _ in client.asked].count(ASK) == 1

    @pytest.mark.parametrize(
        "options", [{"severity": {"cpu_spin": "off"}}, {"severity": {"cpu_spin": "information"}}]
    )
    async def test_is_of_what_is_shown_as_a_warning_only(self, options):
        async with a_client() as client:
            await watching(client, **WANTED, **options)
            client.feed.raises(found(1))
            client.feed.raises(found(2, severity=Severity.HINT))
            await client.request("linnix/status")
            await asyncio.sleep(0)
            assert SHOW not in [method for method, _ in client.notified]

    async def test_counts_from_when_it_is_switched_on(self, tmp_path):
        path = tmp_path / "pump.py"
        path.write_text("x\nwhile True: pass\n")
        async with a_client() as client:
            await watching(client)
            client.feed.raises(found(1))
            await client.told("linnix/didChangeFindings")
            client.notify("workspace/didChangeConfiguration", {"settings": WANTED})
            client.notify(
                "workspace/didChangeConfiguration", {"settings": {**WANTED, "exclude": "x"}}
            )
            await client.told("window/logMessage", lambda m: "exclude" in m["message"])
            client.feed.raises(a_finding(path, process=a_process(2, "x"), id="f2"))
            await client.told(SHOW)
            assert [m for m, _ in client.notified].count(SHOW) == 1
            assert client.diagnostics(uri_of_path(str(path)))
