"""The server as a client sees it, with a feed in memory behind it."""

import asyncio
import io
import json
import os
from dataclasses import replace

import pytest

from linnix_ls.core.findings import Explanation, Kind, State
from linnix_ls.core.policy import Policy
from linnix_ls.errors import AgentError, TracerUnavailable
from linnix_ls.feed.base import FeedState, FeedStatus, ProcessView, StatusChanged
from linnix_ls.lsp.connection import Connection
from linnix_ls.lsp.documents import uri_of_path
from linnix_ls.lsp.server import build_server
from linnix_ls.lsp.text import markdown
from tests.lsp.client import CAPABILITIES, a_client
from tests.lsp.memory_feed import MemoryFeed, a_finding, a_process

pytestmark = pytest.mark.asyncio

SOURCE = "def drain():\n    while queue.empty():\n        pass\n"
PUBLISH = "textDocument/publishDiagnostics"


@pytest.fixture
def pump(tmp_path):
    path = tmp_path / "püm p.py"
    path.write_text(SOURCE)
    return path


def uri(path):
    return uri_of_path(str(path))


def the_range(line, start, end):
    return {
        "start": {"line": line, "character": start},
        "end": {"line": line, "character": end},
    }


async def actions_at(client, path, line, **context):
    actions = await client.request(
        "textDocument/codeAction",
        {
            "textDocument": {"uri": uri(path)},
            "range": the_range(line, 0, 0),
            "context": {"diagnostics": [], **context},
        },
    )
    return {action["title"]: action for action in actions}


async def run_command(client, command, *arguments):
    return await client.request(
        "workspace/executeCommand", {"command": command, "arguments": list(arguments)}
    )


async def the_hover(client, path, line):
    return await client.request(
        "textDocument/hover",
        {"textDocument": {"uri": uri(path)}, "position": {"line": line, "character": 0}},
    )


class TestDiagnostics:
    async def test_appear_when_a_finding_is_raised(self, pump):
        async with a_client() as client:
            await client.initialize()
            await client.told("linnix/didChangeStatus", lambda s: s["state"] == "watching")
            client.feed.raises(a_finding(pump))
            published = await client.told(PUBLISH)
            [diagnostic] = published["diagnostics"]
            assert published["uri"] == uri(pump)
            assert diagnostic["range"] == the_range(1, 4, 24)
            assert diagnostic["severity"] == 2
            assert diagnostic["source"] == "linnix"
            assert diagnostic["code"] == "cpu_spin"
            assert diagnostic["data"]["finding_id"] == "f1"

    async def test_are_there_for_what_the_feed_had_found_before(self, pump):
        async with a_client(MemoryFeed({"f1": a_finding(pump)})) as client:
            await client.initialize()
            assert (await client.told(PUBLISH))["diagnostics"]

    async def test_follow_the_finding_until_it_is_cleared(self, pump):
        async with a_client(MemoryFeed({"f1": a_finding(pump, explanation=None)})) as client:
            await client.initialize()
            await client.until(lambda: client.diagnostics(uri(pump)))
            said = Explanation("rules", "it polls", "", (), ())
            client.feed.raises(a_finding(pump, explanation=said))
            await client.until(lambda: client.diagnostics(uri(pump))[0]["message"] == "it polls")
            client.feed.raises(a_finding(pump, explanation=said, state=State.ENDED))
            await client.until(lambda: client.diagnostics(uri(pump))[0]["severity"] == 3)
            client.feed.clears(a_finding(pump))
            await client.until(lambda: client.diagnostics(uri(pump)) == [])

    async def test_of_one_file_come_together(self, pump):
        async with a_client() as client:
            await client.initialize()
            await client.told("linnix/didChangeStatus", lambda s: s["state"] == "watching")
            for n in range(50):
                client.feed.raises(a_finding(pump, id=f"f{n}"))
            await client.until(lambda: len(client.diagnostics(uri(pump)) or []) == 50)
            assert sum(method == PUBLISH for method, _ in client.notified) == 1

    async def test_of_a_finding_without_a_file_go_to_the_log_once(self):
        placeless = a_finding(path=None, explanation=None)
        async with a_client(MemoryFeed({"f1": placeless})) as client:
            await client.initialize()
            await client.told("window/logMessage", lambda m: "spins on a CPU" in m["message"])
            client.feed.raises(replace(placeless, confidence=0.5))
            client.feed.raises(replace(placeless, confidence=0.6))
            await client.told(
                "linnix/didChangeFindings", lambda p: p["findings"][0]["confidence"] == 0.6
            )
            logged = [p for m, p in client.notified if m == "window/logMessage"]
            assert len(logged) == 1
            assert not [m for m, _ in client.notified if m == PUBLISH]

    async def test_move_with_edits_made_above_them(self, pump):
        async with a_client(MemoryFeed({"f1": a_finding(pump)})) as client:
            await client.initialize()
            client.open(uri(pump), SOURCE)
            await client.until(lambda: client.diagnostics(uri(pump)))
            client.notify(
                "textDocument/didChange",
                {
                    "textDocument": {"uri": uri(pump), "version": 2},
                    "contentChanges": [{"range": the_range(0, 0, 0), "text": "import x\n\n"}],
                },
            )
            await client.until(
                lambda: client.diagnostics(uri(pump))[0]["range"] == the_range(3, 4, 24)
            )
            assert await the_hover(client, pump, 3)
            assert await the_hover(client, pump, 1) is None

    async def test_count_columns_as_the_client_does(self, pump):
        pump.write_text("x\n😋 = poll()\n", encoding="utf-8")
        capabilities = {**CAPABILITIES, "general": {"positionEncodings": ["utf-8", "utf-16"]}}
        async with a_client(MemoryFeed({"f1": a_finding(pump)})) as client:
            answer = await client.initialize(capabilities)
            assert answer["capabilities"]["positionEncoding"] == "utf-8"
            [diagnostic] = (await client.told(PUBLISH))["diagnostics"]
            assert diagnostic["range"] == the_range(1, 0, 13)

    async def test_have_the_test_as_related_information_only_where_it_is_understood(self, pump):
        finding = a_finding(
            pump, ancestry=(a_process(5, "sh", "sh", pump.name, cwd=str(pump.parent)),)
        )
        async with a_client(MemoryFeed({"f1": finding})) as client:
            await client.initialize()
            [diagnostic] = (await client.told(PUBLISH))["diagnostics"]
            [related] = diagnostic["relatedInformation"]
            assert related["location"]["uri"] == uri(pump)
        async with a_client(MemoryFeed({"f1": finding})) as client:
            await client.initialize({})
            [diagnostic] = (await client.told(PUBLISH))["diagnostics"]
            assert "relatedInformation" not in diagnostic

    async def test_stand_on_the_line_of_a_file_that_has_vanished(self, tmp_path):
        gone = tmp_path / "gone.py"
        async with a_client(MemoryFeed({"f1": a_finding(gone)})) as client:
            await client.initialize()
            [diagnostic] = (await client.told(PUBLISH))["diagnostics"]
            assert diagnostic["range"]["start"] == {"line": 1, "character": 0}


class TestSettings:
    @pytest.mark.parametrize("wrapped", [False, True])
    async def test_come_with_initialize(self, pump, wrapped):
        options = {"severity": {"cpu_spin": "error"}}
        async with a_client(MemoryFeed({"f1": a_finding(pump)})) as client:
            await client.initialize(
                initializationOptions={"linnix": options} if wrapped else options
            )
            assert (await client.told(PUBLISH))["diagnostics"][0]["severity"] == 1

    async def test_are_asked_for_and_asked_for_again_when_they_change(self, pump):
        async with a_client(MemoryFeed({"f1": a_finding(pump)})) as client:
            client.answers["workspace/configuration"] = [{"severity": {"cpu_spin": "hint"}}]
            await client.initialize(initializationOptions={"severity": {"cpu_spin": "error"}})
            await client.until(lambda: client.diagnostics(uri(pump)))
            assert client.diagnostics(uri(pump))[0]["severity"] == 4
            client.answers["workspace/configuration"] = [{"severity": {"cpu_spin": "off"}}]
            client.notify("workspace/didChangeConfiguration", {"settings": None})
            await client.until(lambda: client.diagnostics(uri(pump)) == [])
            client.answers["workspace/configuration"] = [{}]
            client.notify("workspace/didChangeConfiguration", {"settings": None})
            await client.until(lambda: client.diagnostics(uri(pump)))

    async def test_may_be_pushed_by_a_client_that_cannot_be_asked(self, pump):
        async with a_client(MemoryFeed({"f1": a_finding(pump)})) as client:
            await client.initialize({})
            await client.until(lambda: client.diagnostics(uri(pump)))
            settings = {"linnix": {"exclude": ["*.py"]}}
            client.notify("workspace/didChangeConfiguration", {"settings": settings})
            await client.until(lambda: client.diagnostics(uri(pump)) == [])

    async def test_that_are_wrong_are_named_in_the_log(self):
        async with a_client() as client:
            await client.initialize(
                initializationOptions={"min_severity": "loud", "severity": {"cpu_spin": "off"}}
            )
            await client.told("window/logMessage", lambda m: "min_severity" in m["message"])
            assert not [m for m, _ in client.notified if m == "window/showMessage"]

    async def test_can_switch_everything_off_and_on(self, pump):
        opened = []

        async def open_feed(settings, *, on_progress):
            opened.append(MemoryFeed({"f1": a_finding(pump)}))
            return opened[-1]

        async with a_client(open_feed=open_feed) as client:
            await client.initialize({})
            await client.until(lambda: client.diagnostics(uri(pump)))
            client.notify("workspace/didChangeConfiguration", {"settings": {"enable": False}})
            await client.until(lambda: client.diagnostics(uri(pump)) == [])
            status = await client.told("linnix/didChangeStatus", lambda s: s["state"] == "off")
            assert "linnix.enable" in status["degraded"]
            assert opened[0].is_closed
            client.notify("workspace/didChangeConfiguration", {"settings": {"enable": True}})
            await client.until(lambda: client.diagnostics(uri(pump)))
            assert len(opened) == 2

    async def test_what_is_allowed_to_be_done_to_processes_opens_another_feed(self):
        opened = []

        async def open_feed(settings, *, on_progress):
            opened.append(settings.attach_to_jvm)
            return MemoryFeed()

        async with a_client(open_feed=open_feed) as client:
            await client.initialize()
            await client.told("linnix/didChangeStatus", lambda s: s["state"] == "watching")
            settings = {"attach_to_jvm": False}
            client.notify("workspace/didChangeConfiguration", {"settings": settings})
            await client.until(lambda: len(opened) == 2)
            assert opened == [True, False]

    async def test_thresholds_are_taken_at_once_by_the_feed_that_is_open(self, pump):
        opened = []

        async def open_feed(settings, *, on_progress):
            opened.append((settings.thresholds, MemoryFeed({"f1": a_finding(pump)})))
            return opened[-1][1]

        async with a_client(open_feed=open_feed) as client:
            await client.initialize(initializationOptions={"thresholds": {"calm_s": 5}})
            await client.until(lambda: client.diagnostics(uri(pump)))
            settings = {"thresholds": {"calm_s": 9, "spin": {"min_looks": 0}}}
            client.notify("workspace/didChangeConfiguration", {"settings": settings})
            await client.told("window/logMessage", lambda m: "spin.min_looks" in m["message"])
            [(first, feed)] = opened
            await client.until(lambda: ("use_thresholds", Policy(calm_s=9)) in feed.calls)
            assert first == Policy(calm_s=5)
            assert client.diagnostics(uri(pump))
            # And a change of something else is none of these.
            settings = {"thresholds": {"calm_s": 9}, "exclude": ["*.py"]}
            client.notify("workspace/didChangeConfiguration", {"settings": settings})
            await client.until(lambda: client.diagnostics(uri(pump)) == [])
            assert [call[0] for call in feed.calls].count("use_thresholds") == 1

    async def test_thresholds_that_change_while_a_feed_is_opened_are_taken_too(self):
        feed, may_open = MemoryFeed(), asyncio.Event()
        asked = []

        async def open_feed(settings, *, on_progress):
            asked.append(settings.thresholds)
            await may_open.wait()
            return feed

        async with a_client(open_feed=open_feed) as client:
            await client.initialize()
            await client.until(lambda: asked)
            settings = {"thresholds": {"calm_s": 9}, "min_severity": "loud"}
            client.notify("workspace/didChangeConfiguration", {"settings": settings})
            await client.told("window/logMessage", lambda m: "min_severity" in m["message"])
            may_open.set()
            await client.until(lambda: ("use_thresholds", Policy(calm_s=9)) in feed.calls)
            assert asked == [Policy()]

    async def test_thresholds_that_an_agent_refuses_are_told(self):
        async with a_client() as client:
            await client.initialize()
            await client.told("linnix/didChangeStatus", lambda s: s["state"] == "watching")
            client.feed.failure = AgentError("there is no method 'use_thresholds'")
            settings = {"thresholds": {"calm_s": 9}}
            client.notify("workspace/didChangeConfiguration", {"settings": settings})
            await client.told(
                "window/logMessage", lambda m: "cannot use other thresholds" in m["message"]
            )


class TestWatching:
    async def test_ignores_itself_and_then_watches_the_editor_and_the_folders(self, tmp_path):
        async with a_client() as client:
            await client.initialize(folder=uri(tmp_path), processId=os.getpid())
            await client.told("linnix/didChangeStatus", lambda s: s["state"] == "watching")
            assert client.feed.calls == [
                ("ignore", os.getpid()),
                ("watch", os.getpid(), "Testvim", False, "editor"),
                ("watch_folders", str(tmp_path)),
            ]

    async def test_follows_the_workspace_folders(self, tmp_path):
        async with a_client() as client:
            await client.initialize(folder=uri(tmp_path))
            await client.told("linnix/didChangeStatus", lambda s: s["state"] == "watching")
            event = {
                "added": [{"uri": uri(tmp_path / "b c"), "name": "b"}],
                "removed": [{"uri": uri(tmp_path), "name": "a"}],
            }
            client.notify("workspace/didChangeWorkspaceFolders", {"event": event})
            await client.request("linnix/status")
            assert client.feed.calls[-1] == ("watch_folders", str(tmp_path / "b c"))

    async def test_leaves_the_folders_alone_when_told_so(self, tmp_path):
        async with a_client() as client:
            await client.initialize(
                folder=uri(tmp_path), initializationOptions={"watch_workspace_processes": False}
            )
            await client.told("linnix/didChangeStatus", lambda s: s["state"] == "watching")
            assert client.feed.calls[-1] == ("watch_folders",)

    async def test_of_further_folders_follows_the_setting_at_once(self, tmp_path):
        home = os.path.expanduser("~")
        async with a_client() as client:
            await client.initialize(
                folder=uri(tmp_path), initializationOptions={"watch_folders": ["/srv/ci", "../b"]}
            )
            await client.told("linnix/didChangeStatus", lambda s: s["state"] == "watching")
            folders = (str(tmp_path), "/srv/ci", f"{tmp_path}/../b")
            assert client.feed.calls[-1] == ("watch_folders", *folders)
            settings = {"watch_folders": ["~/ci"], "watch_workspace_processes": False}
            client.notify("workspace/didChangeConfiguration", {"settings": settings})
            while client.feed.calls[-1] != ("watch_folders", f"{home}/ci"):
                await client.request("linnix/status")

    async def test_takes_further_processes(self):
        async with a_client() as client:
            await client.initialize()
            key = await client.request("linnix/watch", {"pid": 77, "label": "task: test"})
            assert key == {"pid": 77, "start_ticks": 7700}
            assert client.feed.calls[-1] == ("watch", 77, "task: test", True, "other")
            await client.request("linnix/unwatch", {"pid": 77})
            assert client.feed.calls[-1] == ("unwatch", 77)

    async def test_says_why_a_process_cannot_be_watched(self):
        async with a_client(MemoryFeed(refused={77})) as client:
            await client.initialize()
            reply = await client.reply_to("linnix/watch", {"pid": 77})
            assert reply["error"]["code"] == -32803
            assert reply["error"]["message"] == "there is no process 77"

    async def test_of_the_editor_that_fails_is_said_once_in_the_log(self):
        async with a_client(MemoryFeed(refused={os.getpid()})) as client:
            await client.initialize(processId=os.getpid())
            await client.told("window/logMessage", lambda m: "cannot watch Testvim" in m["message"])


class TestLosingTheFeed:
    async def test_is_said_once_and_everything_is_watched_again(self, pump):
        feeds = [MemoryFeed({"f1": a_finding(pump)})]
        failures = [AgentError("no agent"), AgentError("no agent"), OSError("odd")]

        async def open_feed(settings, *, on_progress):
            if feeds[-1].is_closed:
                if failures:
                    raise failures.pop()
                feeds.append(MemoryFeed())
            return feeds[-1]

        async with a_client(open_feed=open_feed, retry_delays_s=(0.0,)) as client:
            await client.initialize()
            await client.request("linnix/watch", {"pid": 77, "label": "task"})
            await client.until(lambda: client.diagnostics(uri(pump)))
            feeds[0].breaks("killed")
            await client.told(
                "window/logMessage", lambda m: m["message"] == "linnix: watching processes again"
            )
            assert feeds[0].is_closed
            assert feeds[0].callbacks == []
            assert feeds[1].calls[:2] == [
                ("ignore", os.getpid()),
                ("watch", 77, "task", True, "other"),
            ]
            logged = [p["message"] for m, p in client.notified if m == "window/logMessage"]
            assert [text for text in logged if "killed" in text] == ["linnix: killed; trying again"]
            assert len(logged) == 2
            assert not [m for m, _ in client.notified if m == "window/showMessage"]
            # A new agent knows nothing of the old finding; its process has ended meanwhile.
            await client.told(
                "linnix/didChangeFindings",
                lambda p: [(f["id"], f["state"]) for f in p["findings"]] == [("f1", "ended")],
            )
            assert client.diagnostics(uri(pump))
            # What the new one calls f1 is another.
            feeds[1].raises(a_finding(pump, process=a_process(4413, "python3", "python3", "x.py")))
            told = await client.told(
                "linnix/didChangeFindings", lambda p: [f["id"] for f in p["findings"]] == ["f2"]
            )
            assert told["findings"][0]["process"]["pid"] == 4413
            await client.until(lambda: len(client.diagnostics(uri(pump))) == 2)
            await run_command(client, "linnix.dismiss", {"finding_id": "f2"})
            assert ("dismiss", "f1") in feeds[1].calls

    async def test_leaves_the_status_with_the_reason_and_the_fix(self):
        async def open_feed(settings, *, on_progress):
            raise TracerUnavailable("no BTF", fix="another kernel", cause="no_btf")

        async with a_client(open_feed=open_feed, retry_delays_s=(3600.0,)) as client:
            await client.initialize()
            await client.told("linnix/didChangeStatus", lambda s: s["state"] == "off")
            status = await client.request("linnix/status")
            assert (status["degraded"], status["fix"]) == ("no BTF", "another kernel")
            reply = await client.reply_to("linnix/watch", {"pid": 77})
            assert reply["error"]["message"] == "no BTF"
            assert reply["error"]["data"] == {"fix": "another kernel"}

    async def test_degradation_is_said_once(self):
        degraded = FeedStatus(FeedState.WATCHING, "psutil", "no eBPF", "sudo linnix-ls agent")
        async with a_client(MemoryFeed(now=degraded)) as client:
            await client.initialize()
            await client.told(
                "window/logMessage",
                lambda m: m["message"] == "linnix: no eBPF (to fix it: sudo linnix-ls agent)",
            )


class TestProgress:
    async def test_is_shown_while_probes_load(self):
        async with a_client() as client:
            await client.initialize()
            await client.told("$/progress", lambda p: p["value"]["kind"] == "end")
            values = [p["value"] for m, p in client.notified if m == "$/progress"]
            assert [value["kind"] for value in values] == ["begin", "report", "end"]
            assert values[1]["message"] == "compiling probes"

    async def test_is_not_shown_to_a_client_that_cannot(self):
        async with a_client() as client:
            await client.initialize({})
            await client.told("linnix/didChangeStatus", lambda s: s["state"] == "watching")
            assert client.asked == []


class TestHover:
    async def test_tells_the_story_in_markdown(self, pump):
        async with a_client(MemoryFeed({"f1": a_finding(pump)})) as client:
            await client.initialize()
            await client.until(lambda: client.diagnostics(uri(pump)))
            hover = await the_hover(client, pump, 1)
            assert hover["contents"]["kind"] == "markdown"
            assert "| e1 | on cpu cores | 0.99 over 2 s |" in hover["contents"]["value"]
            assert hover["range"] == the_range(1, 4, 24)
            assert await the_hover(client, pump, 0) is None

    async def test_is_there_on_all_guilty_lines_though_the_first_is_underlined(self, pump):
        async with a_client() as client:
            await client.initialize()
            finding = a_finding(pump)
            place = replace(finding.location, end_line=finding.location.line + 1)
            client.feed.raises(replace(finding, location=place))
            [diagnostic] = (await client.told(PUBLISH))["diagnostics"]
            assert diagnostic["range"] == the_range(1, 4, 24)
            assert await the_hover(client, pump, 2)
            assert await actions_at(client, pump, 2)
            assert await the_hover(client, pump, 3) is None

    @pytest.mark.parametrize("is_shown", [True, False])
    async def test_leaves_out_what_the_client_says_beside_it(self, pump, is_shown):
        capabilities = {**CAPABILITIES, "experimental": {"linnix": {"message_in_hover": is_shown}}}
        async with a_client(MemoryFeed({"f1": a_finding(pump)})) as client:
            await client.initialize(capabilities)
            await client.until(lambda: client.diagnostics(uri(pump)))
            [shown] = client.diagnostics(uri(pump))
            value = (await the_hover(client, pump, 1))["contents"]["value"]
            headline = markdown(shown["message"])
            assert value.count(headline) == (0 if is_shown else 1)
            assert value.startswith("**cpu_spin**")
            assert "| e1 | on cpu cores |" in value

    async def test_is_plain_for_a_client_without_markdown(self, pump):
        async with a_client(MemoryFeed({"f1": a_finding(pump)})) as client:
            await client.initialize({})
            await client.until(lambda: client.diagnostics(uri(pump)))
            hover = await the_hover(client, pump, 1)
            assert hover["contents"]["kind"] == "plaintext"


class TestActions:
    async def test_are_found_by_line_even_if_the_client_sends_no_diagnostics(self, pump):
        async with a_client(MemoryFeed({"f1": a_finding(pump)})) as client:
            await client.initialize()
            await client.until(lambda: client.diagnostics(uri(pump)))
            actions = await actions_at(client, pump, 1)
            assert list(actions) == [
                "Stop process 4412 (python3)",
                "Explain: cpu spin",
                "Dismiss",
            ]
            assert actions["Dismiss"]["diagnostics"] == client.diagnostics(uri(pump))
            assert await actions_at(client, pump, 0) == {}
            assert await actions_at(client, pump, 1, only=["refactor"]) == {}
            assert await actions_at(client, pump, 1, only=["quickfix"]) == actions

    async def test_are_bare_commands_for_an_old_client(self, pump):
        async with a_client(MemoryFeed({"f1": a_finding(pump)})) as client:
            await client.initialize({})
            await client.until(lambda: client.diagnostics(uri(pump)))
            actions = await actions_at(client, pump, 1)
            assert actions["Dismiss"]["command"] == "linnix.dismiss"

    async def test_stop_asks_and_then_stops(self, pump):
        async with a_client(MemoryFeed({"f1": a_finding(pump)})) as client:
            title = "Stop process 4412 (python3)"
            client.answers["window/showMessageRequest"] = {"title": title}
            await client.initialize()
            await client.until(lambda: client.diagnostics(uri(pump)))
            command = (await actions_at(client, pump, 1))[title]["command"]
            result = await run_command(client, command["command"], *command["arguments"])
            assert result == {"outcome": "stopped"}
            [question] = [p for m, p in client.asked if m == "window/showMessageRequest"]
            assert question["message"] == f"{title}? It runs: python3 pump.py"
            assert client.feed.calls[-1] == (
                "stop_process",
                a_finding().process.key,
                False,
            )

    @pytest.mark.parametrize("answer", [None, {"title": "Leave it running"}])
    async def test_stop_does_nothing_unless_it_is_confirmed(self, pump, answer):
        async with a_client(MemoryFeed({"f1": a_finding(pump)})) as client:
            client.answers["window/showMessageRequest"] = answer
            await client.initialize()
            await client.request("linnix/findings")
            await client.until(lambda: client.diagnostics(uri(pump)))
            result = await run_command(client, "linnix.stopProcess", {"finding_id": "f1"})
            assert result == {"outcome": "not_confirmed"}
            assert "stop_process" not in [call[0] for call in client.feed.calls]

    async def test_stop_does_nothing_in_a_client_that_cannot_ask(self, pump):
        async with a_client(MemoryFeed({"f1": a_finding(pump)})) as client:
            client.answers["window/showMessageRequest"] = RuntimeError("method not found")
            await client.initialize()
            await client.until(lambda: client.diagnostics(uri(pump)))
            argument = {"finding_id": "f1"}
            result = await run_command(client, "linnix.stopProcess", argument)
            assert result == {"outcome": "not_confirmed"}
            await client.told("window/showMessage", lambda m: '"confirmed": true' in m["message"])
            result = await run_command(
                client, "linnix.stopProcess", {**argument, "confirmed": True}
            )
            assert result == {"outcome": "stopped"}

    async def test_stop_ends_a_storm_with_its_children(self, pump):
        storm = a_finding(pump, kind=Kind.FORK_STORM)
        async with a_client(MemoryFeed({"f1": storm})) as client:
            await client.initialize()
            await client.until(lambda: client.diagnostics(uri(pump)))
            argument = {"finding_id": "f1", "confirmed": True}
            await run_command(client, "linnix.stopProcess", argument)
            assert client.feed.calls[-1] == ("stop_process", storm.process.key, True)

    async def test_stop_that_is_refused_is_explained(self, pump):
        feed = MemoryFeed({"f1": a_finding(pump)}, failure=AgentError("not permitted"))
        async with a_client(feed) as client:
            await client.initialize()
            await client.until(lambda: client.diagnostics(uri(pump)))
            argument = {"finding_id": "f1", "confirmed": True}
            assert await run_command(client, "linnix.stopProcess", argument) == {
                "outcome": "refused"
            }
            await client.told("window/showMessage", lambda m: "not permitted" in m["message"])

    async def test_dismiss_makes_the_diagnostic_go_away(self, pump):
        async with a_client(MemoryFeed({"f1": a_finding(pump)})) as client:
            await client.initialize()
            await client.until(lambda: client.diagnostics(uri(pump)))
            await run_command(client, "linnix.dismiss", {"finding_id": "f1"})
            await client.until(lambda: client.diagnostics(uri(pump)) == [])

    async def test_explain_shows_the_explanation(self, pump):
        async with a_client(MemoryFeed({"f1": a_finding(pump)})) as client:
            await client.initialize()
            await client.until(lambda: client.diagnostics(uri(pump)))
            await run_command(client, "linnix.explain", {"finding_id": "f1"})
            shown = await client.told("window/showMessage")
            assert "It kept 0.99 cores busy.\n- Wait for the queue." in shown["message"]

    async def test_about_a_finding_that_is_gone_say_so(self):
        async with a_client() as client:
            await client.initialize()
            result = await run_command(client, "linnix.stopProcess", {"finding_id": "f9"})
            assert result == {"outcome": "unknown_finding"}
            await client.told("window/showMessage", lambda m: "gone" in m["message"])


class TestExtensions:
    async def test_status_says_how_well_we_see(self):
        async with a_client() as client:
            await client.initialize()
            await client.told("linnix/didChangeStatus", lambda s: s["state"] == "watching")
            status = await client.request("linnix/status")
            assert status["state"] == "watching"
            assert status["tracer"] == "bcc"
            assert status["events"] == {"received": 12, "lost": 0, "processes": 3}

    async def test_status_counts_as_of_now(self):
        async with a_client() as client:
            await client.initialize()
            await client.told("linnix/didChangeStatus", lambda s: s["state"] == "watching")
            client.feed.now = replace(client.feed.now, n_received=5123, n_lost=7, n_processes=88)
            status = await client.request("linnix/status")
            assert status["events"] == {"received": 5123, "lost": 7, "processes": 88}

    async def test_a_new_status_is_told(self):
        async with a_client() as client:
            await client.initialize()
            await client.request("linnix/processTree")
            client.feed.happens(StatusChanged(FeedStatus(FeedState.WATCHING, "bcc", n_lost=5)))
            await client.told("linnix/didChangeStatus", lambda s: s["events"]["lost"] == 5)

    async def test_findings_are_told_as_they_change_and_when_they_go(self, pump):
        async with a_client(MemoryFeed({"f1": a_finding(pump)})) as client:
            await client.initialize()
            told = await client.told("linnix/didChangeFindings")
            assert [finding["id"] for finding in told["findings"]] == ["f1"]
            assert (await client.request("linnix/findings"))["findings"] == told["findings"]
            client.feed.clears(a_finding(pump))
            await client.told("linnix/didChangeFindings", lambda p: p["removed"] == ["f1"])
            assert await client.request("linnix/findings") == {"findings": []}

    async def test_findings_have_the_shape_of_the_document(self, pump):
        async with a_client(MemoryFeed({"f1": a_finding(pump)})) as client:
            await client.initialize()
            [finding] = (await client.told("linnix/didChangeFindings"))["findings"]
            assert finding["location"]["uri"] == uri(pump)
            assert finding["location"]["line"] == 2
            assert finding["process"]["start_ticks"] == 441200
            assert finding["evidence"][0]["unit"] == "cores"
            assert finding["explanation"]["cites"] == ["e1"]
            assert finding["onset_at"] < finding["flagged_at"]
            assert finding["ended_at"] is None

    async def test_findings_survive_bytes_that_are_no_utf8(self):
        hostile = a_process(7, "x\udcff", "x", "\udcfe\n", cwd="/\udcfd")
        async with a_client(
            MemoryFeed({"f1": a_finding(path="/w/\udcfa.py", process=hostile)})
        ) as client:
            await client.initialize()
            [finding] = (await client.told("linnix/didChangeFindings"))["findings"]
            assert finding["process"]["comm"] == "x\\xff"
            assert finding["process"]["argv"] == ["x", "\\xfe\n"]
            assert finding["location"]["uri"] == "file:///w/%FA.py"

    async def test_the_process_tree_names_the_findings_of_each_process(self, pump):
        finding = a_finding(pump)
        view = ProcessView(
            key=finding.process.key,
            parent=finding.run,
            run=finding.run,
            comm="python3",
            argv=("python3", "pump.py"),
            cwd="/",
            on_cpu_cores=0.99,
            age_s=4.5,
            exit_code=None,
            term_signal=None,
            has_ended=False,
        )
        async with a_client(MemoryFeed({"f1": finding}, processes=(view,))) as client:
            await client.initialize()
            await client.until(lambda: client.diagnostics(uri(pump)))
            [process] = (await client.request("linnix/processTree"))["processes"]
            assert process["parent"] == {"pid": 4400, "start_ticks": 440000}
            assert process["on_cpu_cores"] == 0.99
            assert process["finding_ids"] == ["f1"]

    @pytest.mark.parametrize(
        ("method", "params"),
        [
            ("linnix/watch", None),
            ("linnix/watch", {}),
            ("linnix/watch", {"pid": "77"}),
            ("linnix/watch", {"pid": True}),
            ("linnix/watch", {"pid": -1}),
            ("linnix/watch", {"pid": 7, "label": 8}),
            ("linnix/watch", [7]),
            ("linnix/unwatch", {"pid": None}),
            ("workspace/executeCommand", {"command": "linnix.dismiss"}),
            ("workspace/executeCommand", {"command": "linnix.dismiss", "arguments": ["f1"]}),
            ("workspace/executeCommand", {"command": "linnix.dismiss", "arguments": [{}, {}]}),
            (
                "workspace/executeCommand",
                {"command": "linnix.dismiss", "arguments": [{"finding_id": 1}]},
            ),
            ("workspace/executeCommand", {"command": "linnix.nothing"}),
            ("workspace/executeCommand", {}),
            ("textDocument/hover", {"position": 3}),
        ],
    )
    async def test_wrong_params_get_an_error_reply_and_no_popup(self, method, params):
        async with a_client() as client:
            await client.initialize()
            reply = await client.reply_to(method, params)
            assert reply["error"]["code"] == -32602, reply
            assert await client.request("linnix/status")
            assert not [m for m, _ in client.notified if m == "window/showMessage"]


class TestProtocol:
    async def test_broken_json_gets_an_error_and_the_next_request_its_answer(self):
        async with a_client() as client:
            await client.initialize()
            for body in (b"{", b"\xff\xfe", b"[1, 2]", b'"x"', b"{}", b"[" * 100_000):
                client.replies.pop(None, None)
                client.send_bytes(body)
                await client.until(lambda: None in client.replies)
                assert client.replies[None]["error"]["code"] in (-32700, -32600)
            assert await client.request("linnix/status")

    async def test_a_bare_line_between_messages_is_skipped(self):
        async with a_client() as client:
            await client.initialize()
            client.writer.write(b"Content-Length: abc\r\n\r\n{}stray line\n")
            assert await client.request("linnix/status")

    async def test_unknown_methods_get_an_error_or_are_ignored(self):
        async with a_client() as client:
            await client.initialize()
            client.notify("linnix/noSuchThing", {})
            reply = await client.reply_to("linnix/noSuchThing", {})
            assert reply["error"]["code"] == -32601

    async def test_nothing_is_answered_before_initialize_but_with_an_error(self):
        async with a_client() as client:
            reply = await client.reply_to("linnix/status")
            assert reply["error"]["code"] == -32002
            await client.initialize()
            assert (await client.reply_to("initialize", {}))["error"]["code"] == -32600

    async def test_after_shutdown_requests_get_an_error_and_exit_ends_with_0(self):
        async with a_client() as client:
            await client.initialize()
            await client.request("shutdown")
            assert (await client.reply_to("linnix/status"))["error"]["code"] == -32600
            client.notify("exit")
            assert await client.serving == 0
            assert client.feed.is_closed or not client.feed.calls

    async def test_exit_without_shutdown_ends_with_1(self):
        async with a_client() as client:
            await client.initialize()
            client.notify("exit")
            assert await client.serving == 1

    async def test_the_end_of_the_stream_closes_the_feed(self):
        async with a_client() as client:
            await client.initialize()
            await client.told("linnix/didChangeStatus", lambda s: s["state"] == "watching")
            client.writer.write_eof()
            assert await client.serving == 1
            assert client.feed.is_closed

    async def test_a_bug_in_a_handler_answers_null_without_a_popup(self, monkeypatch, pump):
        monkeypatch.setattr("linnix_ls.lsp.wording.as_markdown", lambda *_, **__: 1 / 0)
        async with a_client(MemoryFeed({"f1": a_finding(pump)})) as client:
            await client.initialize()
            await client.until(lambda: client.diagnostics(uri(pump)))
            assert await the_hover(client, pump, 1) is None
            assert not [m for m, _ in client.notified if m == "window/showMessage"]

    async def test_a_bug_in_a_notification_handler_makes_no_popup(self):
        async with a_client() as client:
            await client.initialize()
            change = {"textDocument": {"uri": "file:///not-open", "version": 1}}
            client.notify("textDocument/didChange", {**change, "contentChanges": [{"text": "x"}]})
            await client.request("linnix/status")
            assert not [m for m, _ in client.notified if m == "window/showMessage"]

    async def test_keystrokes_leave_nothing_behind(self, pump):
        nothing = io.BytesIO()
        server = build_server(None, Connection(nothing, nothing))

        def receive(method, params, **extra):
            message = {"jsonrpc": "2.0", "method": method, "params": params, **extra}
            server.protocol.receive(json.dumps(message).encode())

        receive("initialize", {"capabilities": {}, "processId": None, "rootUri": None}, id=1)
        document = {"uri": uri(pump), "languageId": "python", "version": 1, "text": SOURCE}
        receive("textDocument/didOpen", {"textDocument": document})
        change = {
            "textDocument": {"uri": uri(pump), "version": 2},
            "contentChanges": [{"range": the_range(0, 0, 0), "text": "x"}],
        }
        for _ in range(100):
            receive("textDocument/didChange", change)
        assert server.protocol._request_futures == {}

    async def test_a_client_that_stops_reading_does_not_stop_the_server(self, pump):
        async with a_client() as client:
            await client.initialize()
            await client.told("linnix/didChangeStatus", lambda s: s["state"] == "watching")
            client.reading.cancel()
            client.writer.transport.pause_reading()
            # 1 MB of findings, 20 times over: far more than the streams and the outbox hold.
            big = a_process(7, "x", "x" * 20_000)
            for round_ in range(20):
                for n in range(50):
                    client.feed.raises(
                        a_finding(pump, id=f"f{n}", process=big, confidence=round_ / 100)
                    )
                await asyncio.sleep(0)
            client.writer.transport.resume_reading()
            client.reading = asyncio.create_task(client._read_all())
            await client.told(
                "linnix/didChangeFindings",
                lambda p: any(f["confidence"] == 0.19 for f in p["findings"]),
            )
            assert await client.request("linnix/status")


class TestCapabilities:
    async def test_name_what_the_server_can_do(self):
        async with a_client() as client:
            capabilities = (await client.initialize())["capabilities"]
            assert capabilities["hoverProvider"] is True
            assert capabilities["codeActionProvider"]
            assert sorted(capabilities["executeCommandProvider"]["commands"]) == [
                "linnix.dismiss",
                "linnix.explain",
                "linnix.playground.askModel",
                "linnix.playground.detach",
                "linnix.playground.diff",
                "linnix.playground.explain",
                "linnix.playground.openProbe",
                "linnix.playground.reload",
                "linnix.playground.reset",
                "linnix.playground.rollBack",
                "linnix.playground.run",
                "linnix.playground.show",
                "linnix.playground.showLog",
                "linnix.playground.why",
                "linnix.reproduce",
                "linnix.stopProcess",
                "linnix.tryFix",
            ]

    async def test_are_told_before_the_feed_is_opened(self):
        never = asyncio.Event()

        async def open_feed(settings, *, on_progress):
            await never.wait()

        async with a_client(open_feed=open_feed) as client:
            await client.initialize()
            assert (await client.request("linnix/status"))["state"] == "loading"
