"""Runs, stacks, tags and stopping, as a client sees them, with a feed in memory."""

import os
from dataclasses import replace

import pytest

from linnix_ls.core.events import Source
from linnix_ls.core.examination import StackFrame
from linnix_ls.core.findings import State
from linnix_ls.core.history import Curves, RunDetail, RunSummary, Span
from linnix_ls.core.ids import ProcessKey
from linnix_ls.errors import AgentError, AgentTooOld
from linnix_ls.feed.base import ProcessState, ProcessView, StackView, ThreadStack
from tests.lsp.client import a_client
from tests.lsp.memory_feed import MemoryFeed, a_finding

pytestmark = pytest.mark.asyncio

RUN, CHILD, SHELL = ProcessKey(4400, 440000), ProcessKey(4412, 441200), ProcessKey(4000, 400000)
KEY = {"pid": 4400, "start_ticks": 440000}
CHILD_KEY = {"pid": 4412, "start_ticks": 441200}
ASKED = {"value": "5f2c91d0-77aa", "source": "terminal", "label": None}
CALL = ("watch_tag", "5f2c91d0-77aa", "terminal", None)
OLD = AgentTooOld("the agent is older than this client", fix="restart it")


def a_run(**changes):
    run = RunSummary(
        key=RUN, label="task: test", source=Source.TASK, comm="pytest", argv=("pytest", "-q"),
        cwd="/w", began_ns=1_000_000_000, ended_ns=None, duration_s=12.3, exit_code=None,
        term_signal=None, n_processes=2, n_alive=2, on_cpu_cores=1.9, cpu_s=12.1, rss_bytes=5,
        peak_cores=2.0, peak_processes=2, peak_rss_bytes=6, findings=(),
    )  # fmt: skip
    return replace(run, **changes)


def a_detail(**changes):
    span = Span(CHILD, RUN, "python3", ("python3",), 0.1, None, None, None, 0.9, 0, ("f1",))
    curves = Curves((0.25,), (0.9,), (2,), (None,))
    return RunDetail(42, True, True, a_run(**changes), (span,), 0, curves)


def a_view(key, parent=None, run=RUN, comm="python3", **changes):
    view = ProcessView(
        key=key, parent=parent, run=run, comm=comm, argv=(comm, "-x"), cwd="/", on_cpu_cores=0.5,
        age_s=1.0, exit_code=None, term_signal=None, has_ended=False, rss_bytes=7, n_forks=2,
        state=ProcessState.SLEEPING,
    )  # fmt: skip
    return replace(view, **changes)


async def stop(client, **argument):
    command = {"command": "linnix.stopProcess", "arguments": [argument]}
    return (await client.request("workspace/executeCommand", command))["outcome"]


class TestRuns:
    async def test_are_told_with_their_findings_also_those_that_were_cleared(self, tmp_path):
        path = tmp_path / "pump.py"
        findings = (a_finding(path), a_finding(path, id="f2", state=State.CLEARED))
        async with a_client(MemoryFeed(details=(a_detail(findings=findings),))) as client:
            await client.initialize()
            [run] = (await client.request("linnix/runs"))["runs"]
            assert (run["source"], run["label"], run["n_alive"]) == ("task", "task: test", 2)
            assert run["began_at"].endswith("Z") and run["ended_at"] is None
            states = {finding["id"]: finding["state"] for finding in run["findings"]}
            assert states == {"f1": "raised", "f2": "cleared"}
            assert run["findings"][0]["path"] == str(path)

    async def test_leave_out_findings_that_the_settings_do_not_let_through(self, tmp_path):
        feed = MemoryFeed(details=(a_detail(findings=(a_finding(tmp_path / "pump.py"),)),))
        async with a_client(feed) as client:
            await client.initialize(initializationOptions={"severity": {"cpu_spin": "off"}})
            [run] = (await client.request("linnix/runs"))["runs"]
            assert run["findings"] == []

    async def test_of_one_are_told_in_full(self, tmp_path):
        feed = MemoryFeed(details=(a_detail(findings=(a_finding(tmp_path / "pump.py"),)),))
        async with a_client(feed) as client:
            await client.initialize()
            detail = await client.request("linnix/run", {"run": KEY, "since": 17})
            assert feed.calls[-1] == ("run", RUN, 17)
            assert detail["version"] == 42 and detail["run"]["pid"] == 4400
            [process] = detail["processes"]
            assert process["parent"] == KEY and process["finding_ids"] == ["f1"]
            assert detail["findings"][0]["location"]["uri"].endswith("pump.py")
            assert detail["curves"]["rss_bytes"] == [None]
            other = {"run": {"pid": 1, "start_ticks": 1}}
            assert await client.request("linnix/run", other) is None

    async def test_of_an_agent_that_knows_of_none_are_none(self):
        async with a_client(MemoryFeed(failure=OLD)) as client:
            await client.initialize()
            assert await client.request("linnix/runs") == {"runs": []}
            assert await client.request("linnix/run", {"run": KEY}) is None
            stack = await client.request("linnix/stack", KEY)
            assert stack["problem"] == "the agent is older than this client (to fix it: restart it)"

    async def test_survive_bytes_that_are_no_utf8(self):
        detail = a_detail(comm="\udcff", argv=("\udcfe",), label="<b>\n\x1b[31m")
        async with a_client(MemoryFeed(details=(detail,))) as client:
            await client.initialize()
            [run] = (await client.request("linnix/runs"))["runs"]
            assert (run["comm"], run["argv"]) == ("\\xff", ["\\xfe"])

    @pytest.mark.parametrize(
        ("method", "params"),
        [("linnix/run", None), ("linnix/run", {"run": 7}), ("linnix/run", {"run": {"pid": 1}}),
         ("linnix/run", {"run": {"pid": "1", "start_ticks": 1}}),
         ("linnix/run", {"run": {"pid": True, "start_ticks": 1}}),
         ("linnix/run", {"run": KEY, "since": "x"}), ("linnix/stack", {"pid": 1}),
         ("linnix/watch", {"pid": 7, "source": "nowhere"}),
         ("linnix/watch", {"pid": 7, "is_judged": 1}), ("linnix/watchTag", {"value": 7}),
         ("linnix/watchTag", {}), ("linnix/unwatchTag", {})],
    )  # fmt: skip
    async def test_are_not_asked_for_by_wrong_parameters(self, method, params):
        async with a_client() as client:
            await client.initialize()
            reply = await client.reply_to(method, params)
            assert reply["error"]["code"] == -32602


async def test_a_stack_has_the_uris_of_files():
    frames = (
        StackFrame("drain", "/w/pümp.py", 2, is_user_code=True),
        StackFrame("<module>", "<string>", 1, is_user_code=False),
    )
    view = StackView((ThreadStack(7, True, frames),), None, 0.1)
    async with a_client(MemoryFeed(the_stack=view)) as client:
        await client.initialize()
        stack = await client.request("linnix/stack", KEY)
        shown = stack["threads"][0]["frames"]
        assert [frame["uri"] for frame in shown] == ["file:///w/p%C3%BCmp.py", None]
        assert shown[1]["path"] == "<string>"


class TestTags:
    async def test_are_watched_and_let_go(self):
        async with a_client() as client:
            await client.initialize()
            assert await client.request("linnix/watchTag", ASKED) is None
            assert client.feed.calls[-1] == CALL
            await client.request("linnix/unwatchTag", {"value": ASKED["value"]})
            assert client.feed.calls[-1] == ("unwatch_tag", ASKED["value"])

    async def test_are_watched_again_when_the_agent_was_lost(self):
        feeds = [MemoryFeed(), MemoryFeed()]

        async def open_feed(settings, *, on_progress):
            return feeds[0] if not feeds[0].is_closed else feeds[1]

        async with a_client(open_feed=open_feed, retry_delays_s=[0]) as client:
            await client.initialize()
            await client.request("linnix/watchTag", ASKED)
            asked = {"pid": 77, "source": "extension", "is_judged": False}
            await client.request("linnix/watch", asked)
            feeds[0].breaks()
            await client.told("window/logMessage", lambda m: "again" in m["message"])
            await client.request("linnix/processTree")
            assert CALL in feeds[1].calls
            assert ("watch", 77, "", False, "extension") in feeds[1].calls

    async def test_that_the_agent_refuses_are_an_error_with_its_reason(self):
        async with a_client(MemoryFeed(failure=AgentError("that is no tag"))) as client:
            await client.initialize()
            reply = await client.reply_to("linnix/watchTag", {"value": "x"})
            assert reply["error"]["code"] == -32803
            assert reply["error"]["message"] == "that is no tag"


class TestStoppingAProcess:
    VIEWS = (
        a_view(SHELL, run=None, comm="zsh"),
        a_view(RUN, SHELL, comm="make"),
        a_view(CHILD, RUN, comm="x\n*y*"),
        a_view(ProcessKey(4413, 441300), CHILD),
        a_view(ProcessKey(4414, 441400), CHILD, has_ended=True),
    )

    async def test_asks_first_by_name(self):
        async with a_client(MemoryFeed(processes=self.VIEWS)) as client:
            title = "Stop process 4412 (x\\n*y*)"
            client.answers["window/showMessageRequest"] = {"title": title}
            await client.initialize()
            assert await stop(client, process=CHILD_KEY) == "stopped"
            [question] = [p for m, p in client.asked if m == "window/showMessageRequest"]
            assert question["actions"][0]["title"] == title
            assert client.feed.calls[-1] == ("stop_process", CHILD, False)

    async def test_says_how_many_go_with_it(self):
        async with a_client(MemoryFeed(processes=self.VIEWS)) as client:
            title = "Stop process 4400 (make) and the 2 processes below it"
            client.answers["window/showMessageRequest"] = {"title": title}
            await client.initialize()
            assert await stop(client, process=KEY, tree=True) == "stopped"
            assert client.feed.calls[-1] == ("stop_process", RUN, True)

    async def test_does_nothing_unless_it_is_confirmed(self):
        async with a_client(MemoryFeed(processes=self.VIEWS)) as client:
            await client.initialize()
            assert await stop(client, process=CHILD_KEY) == "not_confirmed"
            assert "stop_process" not in [call[0] for call in client.feed.calls]

    async def test_refuses_a_shell_and_says_why(self):
        async with a_client(MemoryFeed(processes=self.VIEWS)) as client:
            await client.initialize()
            key = {"pid": 4000, "start_ticks": 400000}
            assert await stop(client, process=key, confirmed=True) == "refused"
            await client.told(
                "window/showMessage", lambda m: "an editor or a shell" in m["message"]
            )

    @pytest.mark.parametrize("pid", [4414, os.getpid()])
    async def test_knows_nothing_of_what_is_over_or_not_watched(self, pid):
        async with a_client(MemoryFeed(processes=self.VIEWS)) as client:
            await client.initialize()
            key = {"pid": pid, "start_ticks": pid * 100}
            assert await stop(client, process=key, confirmed=True) == "unknown_process"

    async def test_that_is_refused_is_explained(self):
        feed = MemoryFeed(processes=self.VIEWS, failure=AgentError("not permitted"))
        async with a_client(feed) as client:
            await client.initialize()
            assert await stop(client, process=KEY, confirmed=True) == "refused"
            await client.told("window/showMessage", lambda m: "not permitted" in m["message"])
