"""Fixes as a client sees them: offered, tried on a click, and to apply once they are verified."""

import asyncio
import sys
from dataclasses import dataclass, field, replace

import pytest
from pygls.workspace import PositionCodec

from linnix_ls.core.findings import Edit, Note, Patch
from linnix_ls.errors import LinnixError
from linnix_ls.fixes import fixer as the_fixer
from linnix_ls.fixes.base import Outcome, Trial
from linnix_ls.lsp.documents import uri_of_path
from linnix_ls.lsp.fixing import as_diff, patch_id, text_edits
from tests.lsp.client import CAPABILITIES, a_client
from tests.lsp.memory_feed import MemoryFeed, a_finding, a_process

pytestmark = pytest.mark.asyncio

SOURCE = "def drain():\n    while queue.empty():\n        pass\n"
VERSIONED = {
    **CAPABILITIES,
    "workspace": {**CAPABILITIES["workspace"], "workspaceEdit": {"documentChanges": True}},
}
TRY, APPLY = "Try this fix: Pause", "Apply verified fix: Pause"


@dataclass
class MemoryFixer:
    """Implements `fixes.base.Fixer`: a test says what comes of a trial, and when."""

    outcome: Outcome = Outcome.VERIFIED
    tried: list = field(default_factory=list)
    may_end: asyncio.Event = field(default_factory=asyncio.Event)
    was_cancelled: bool = False
    line: str | None = "cd /p && pytest 'a b.py'"

    async def load(self):
        return self

    def propose(self, finding, text_of):
        path, line = finding.location.path, finding.location.line
        old = text_of(path).splitlines()[line]
        return (Patch("rules", "Pause", (Edit(path, line + 1, old, "        sleep()  # 😋"),)),)

    def reproduction(self, finding):
        if self.line is None:
            raise LinnixError("it was started by hand, at a prompt")
        return self.line

    async def try_patch(
        self, finding, patch, *, folders, text_of, settings, unsaved, tracer, on_progress
    ):
        self.tried.append((patch, text_of(patch.edits[0].path), list(unsaved), settings))
        on_progress("copying the workspace")
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        return Trial(patch, self.outcome, f"It is {self.outcome}.", output="what it wrote")


@pytest.fixture
def pump(tmp_path):
    path = tmp_path / "püm p.py"
    path.write_text(SOURCE)
    return path


@pytest.fixture
def fixer():
    fixer = MemoryFixer()
    fixer.may_end.set()
    return fixer


def uri(path):
    return uri_of_path(str(path))


async def shown(client, path, capabilities=CAPABILITIES):
    await client.initialize(capabilities)
    await client.until(lambda: client.diagnostics(uri(path)))


async def actions_at(client, path, line=1):
    at = {"line": line, "character": 0}
    actions = await client.request(
        "textDocument/codeAction",
        {
            "textDocument": {"uri": uri(path)},
            "range": {"start": at, "end": at},
            "context": {"diagnostics": []},
        },
    )
    return {action["title"]: action for action in actions}


def running(client, action, **more):
    command = action["command"]
    arguments = [{**command["arguments"][0], **more}]
    return client.request(
        "workspace/executeCommand", {"command": command["command"], "arguments": arguments}
    )


def said(client):
    return [params["message"] for method, params in client.notified if "showMessage" in method]


def a_feed(path, **changes):
    return MemoryFeed({"f1": a_finding(path, **changes)})


async def test_nothing_is_tried_without_a_click(pump, fixer):
    async with a_client(a_feed(pump), load_fixer=fixer.load) as client:
        await shown(client, pump)
        actions = await actions_at(client, pump)
        assert next(iter(actions)) == TRY
        assert actions[TRY]["kind"] == "quickfix"
        assert APPLY not in actions
        assert not fixer.tried


async def test_a_verified_fix_is_offered_to_apply(pump, fixer):
    async with a_client(a_feed(pump), load_fixer=fixer.load) as client:
        await shown(client, pump)
        actions = await actions_at(client, pump)
        answer = await running(client, actions[TRY])
        assert answer == {"outcome": "verified", "message": "It is verified."}
        assert said(client) == ["linnix: It is verified."]
        actions = await actions_at(client, pump)
        assert next(iter(actions)) == APPLY
        assert TRY not in actions
        assert actions[APPLY]["isPreferred"] is True
        assert actions[APPLY]["edit"]["changes"] == {
            uri(pump): [
                {
                    "range": {
                        "start": {"line": 2, "character": 0},
                        "end": {"line": 2, "character": 12},
                    },
                    "newText": "        sleep()  # 😋",
                }
            ]
        }


async def test_the_client_is_told_that_there_are_other_actions_now(pump, fixer):
    async with a_client(a_feed(pump), load_fixer=fixer.load) as client:
        await shown(client, pump)
        await client.told("linnix/didChangeFindings")
        n_before = len([m for m, _ in client.notified if m == "linnix/didChangeFindings"])
        await running(client, (await actions_at(client, pump))[TRY])
        told = [p for m, p in client.notified if m == "linnix/didChangeFindings"]
        assert len(told) == n_before + 1
        assert told[-1]["findings"][0]["id"] == "f1"


@pytest.mark.parametrize(
    "outcome", [Outcome.STILL_RUNS_AWAY, Outcome.TEST_FAILS, Outcome.NOT_TRIED]
)
async def test_what_did_not_help_is_not_offered_to_apply(pump, fixer, outcome):
    fixer.outcome = outcome
    async with a_client(a_feed(pump), load_fixer=fixer.load) as client:
        await shown(client, pump)
        answer = await running(client, (await actions_at(client, pump))[TRY])
        assert answer["outcome"] == outcome
        assert APPLY not in await actions_at(client, pump)
        await client.told("window/logMessage", lambda m: "what it wrote" in m["message"])


async def test_the_offer_goes_when_the_text_changes_and_comes_back_with_it(pump, fixer):
    async with a_client(a_feed(pump), load_fixer=fixer.load) as client:
        await shown(client, pump, VERSIONED)
        client.open(uri(pump), SOURCE)
        await running(client, (await actions_at(client, pump))[TRY])
        [change] = (await actions_at(client, pump))[APPLY]["edit"]["documentChanges"]
        assert change["textDocument"] == {"uri": uri(pump), "version": 1}

        def edit(version, text):
            document = {"uri": uri(pump), "version": version}
            client.notify(
                "textDocument/didChange",
                {"textDocument": document, "contentChanges": [{"text": text}]},
            )

        edit(2, SOURCE + "# mine\n")
        actions = await actions_at(client, pump)
        assert APPLY not in actions
        assert TRY in actions
        edit(3, SOURCE)
        [change] = (await actions_at(client, pump))[APPLY]["edit"]["documentChanges"]
        assert change["textDocument"]["version"] == 3


async def test_what_is_tried_is_what_the_editor_shows(pump, fixer):
    async with a_client(a_feed(pump), load_fixer=fixer.load) as client:
        await shown(client, pump)
        mine = SOURCE.replace("pass", "pass  # mine")
        client.open(uri(pump), mine)
        await running(client, (await actions_at(client, pump))[TRY])
        [(patch, text, unsaved, _)] = fixer.tried
        assert patch.edits[0].old == "        pass  # mine"
        assert text == mine
        assert unsaved == [str(pump)]


async def test_a_patch_for_another_text_is_not_run(pump, fixer):
    async with a_client(a_feed(pump), load_fixer=fixer.load) as client:
        await shown(client, pump)
        action = (await actions_at(client, pump))[TRY]
        pump.write_text(SOURCE.replace("pass", "continue"))
        assert (await running(client, action))["outcome"] == "not_tried"
        assert "the file has changed" in said(client)[0]
        assert not fixer.tried


async def test_a_second_click_is_told_that_it_is_under_way(pump, fixer):
    fixer.may_end.clear()
    async with a_client(a_feed(pump), load_fixer=fixer.load) as client:
        await shown(client, pump)
        action = (await actions_at(client, pump))[TRY]
        first = asyncio.create_task(running(client, action))
        await client.told("$/progress", lambda p: p["value"].get("cancellable"))
        second = await running(client, action)
        assert second["outcome"] == "not_tried"
        assert "being tried already" in second["message"]
        fixer.may_end.set()
        assert (await first)["outcome"] == "verified"
        assert len(fixer.tried) == 1


async def test_progress_is_shown_and_can_be_cancelled(pump, fixer):
    fixer.may_end.clear()
    async with a_client(a_feed(pump), load_fixer=fixer.load) as client:
        await shown(client, pump)
        trying = asyncio.create_task(running(client, (await actions_at(client, pump))[TRY]))
        begun = await client.told("$/progress", lambda p: p["value"].get("cancellable"))
        await client.told(
            "$/progress", lambda p: p["value"].get("message") == "copying the workspace"
        )
        client.notify("window/workDoneProgress/cancel", {"token": begun["token"]})
        assert (await trying)["outcome"] == "not_tried"
        assert fixer.was_cancelled
        assert said(client) == ["linnix: stopped; nothing of it is left"]
        await client.told(
            "$/progress",
            lambda p: p["token"] == begun["token"] and p["value"]["kind"] == "end",
        )


async def test_leaving_ends_a_trial(pump, fixer):
    fixer.may_end.clear()
    async with a_client(a_feed(pump), load_fixer=fixer.load) as client:
        await shown(client, pump)
        trying = asyncio.create_task(running(client, (await actions_at(client, pump))[TRY]))
        await client.told("$/progress", lambda p: p["value"].get("cancellable"))
        assert await client.request("shutdown") is None
        client.notify("exit")
        await client.serving
        assert fixer.was_cancelled
        with pytest.raises(AssertionError, match="canceled"):
            await trying


def with_models_patch(path):
    patch = Patch("x", "Wait\u202e", (Edit(str(path), 3, "        pass", "        \x1b[2Jwait()"),))
    finding = a_finding(path)
    note = Note("Coder-3B", "Wait.", patch=patch)
    return replace(finding, explanation=replace(finding.explanation, note=note))


class TestAModelsPatch:
    title = r"Try this fix by Coder-3B: Wait\u202e"

    async def test_is_shown_before_it_is_run(self, pump, fixer):
        feed = MemoryFeed({"f1": with_models_patch(pump)})
        async with a_client(feed, load_fixer=fixer.load) as client:
            await shown(client, pump)
            client.answers["window/showMessageRequest"] = {"title": "Run it in a copy"}
            answer = await running(client, (await actions_at(client, pump))[self.title])
            assert answer["outcome"] == "verified"
            [asked] = [p for m, p in client.asked if m == "window/showMessageRequest"]
            assert "Coder-3B" in asked["message"]
            assert "+         \\x1b[2Jwait()" in asked["message"]
            assert r"Apply verified fix by Coder-3B: Wait\u202e" in await actions_at(client, pump)

    @pytest.mark.parametrize("answer", [None, {"title": "Leave it"}, RuntimeError("cannot ask")])
    async def test_is_not_run_without_consent(self, pump, fixer, answer):
        feed = MemoryFeed({"f1": with_models_patch(pump)})
        async with a_client(feed, load_fixer=fixer.load) as client:
            await shown(client, pump)
            client.answers["window/showMessageRequest"] = answer
            done = await running(client, (await actions_at(client, pump))[self.title])
            assert done["outcome"] == "not_confirmed"
            assert not fixer.tried

    async def test_that_does_not_fit_is_not_offered(self, pump, fixer):
        feed = MemoryFeed({"f1": with_models_patch(pump)})
        pump.write_text(SOURCE.replace("pass", "continue"))
        async with a_client(feed, load_fixer=fixer.load) as client:
            await shown(client, pump)
            assert self.title not in await actions_at(client, pump)


@pytest.mark.parametrize(
    "argument", [{}, {"finding_id": "f1"}, {"finding_id": "f1", "patch": 3}, [], None]
)
async def test_wrong_arguments_are_refused(pump, fixer, argument):
    async with a_client(a_feed(pump), load_fixer=fixer.load) as client:
        await shown(client, pump)
        params = {"command": "linnix.tryFix", "arguments": [argument]}
        reply = await client.reply_to("workspace/executeCommand", params)
        assert reply["error"]["code"] == -32602


async def test_a_finding_that_is_gone_is_said(pump, fixer):
    async with a_client(a_feed(pump), load_fixer=fixer.load) as client:
        await shown(client, pump)
        action = (await actions_at(client, pump))[TRY]
        client.feed.clears(a_finding(pump))
        await client.until(lambda: client.diagnostics(uri(pump)) == [])
        assert (await running(client, action))["outcome"] == "not_tried"
        assert said(client) == ["linnix: this finding is gone"]


@pytest.mark.parametrize(
    ("text", "edit", "after"),
    [
        ("a\r\nb\r\n", Edit("/a", 1, "", "x"), ((0, 0), (0, 0), "x\r\n")),
        ("a\r\nb\r\n", Edit("/a", 1, "a", "x\ny"), ((0, 0), (0, 1), "x\r\ny")),
        ("😋\nb", Edit("/a", 1, "😋", ""), ((0, 0), (1, 0), "")),
        ("a\n😋", Edit("/a", 2, "😋", "x"), ((1, 0), (1, 2), "x")),
        ("a\n😋", Edit("/a", 2, "😋", ""), ((1, 0), (1, 2), "")),
        ("a\nb", Edit("/a", 2, "c", "x"), None),
        ("a\nb", Edit("/a", 3, "", "x"), None),
        ("a\nb", Edit("/a", 2, "b\nc", "x"), None),
    ],
)
async def test_edits_of_lines_are_edits_of_ranges(text, edit, after):
    made = text_edits(text, [edit], PositionCodec())
    if after is None:
        assert made is None
        return
    [made] = made
    start, end = made.range.start, made.range.end
    assert ((start.line, start.character), (end.line, end.character), made.new_text) == after


async def test_patches_are_told_apart_by_what_they_change():
    one, other = (Patch("rules", "t", (Edit("/a", 1, "a", new),)) for new in "bc")
    assert patch_id(one) == patch_id(replace(one, title="u"))
    assert len({patch_id(one), patch_id(other), patch_id(replace(one, by="m"))}) == 3


async def test_a_large_patch_is_shown_in_part():
    patch = Patch("m", "t", (Edit("/a", 1, "", "\n".join("x" * 999 for _ in range(999))),))
    assert len(as_diff(patch)) < 8000


@pytest.mark.e2e
async def test_a_real_fix_is_tried_and_applied(tmp_path, monkeypatch):
    monkeypatch.setattr("linnix_ls.fixes.scratch.cache_dir", lambda: tmp_path / "cache")
    project = tmp_path / "project"
    project.mkdir()
    (project / "pump.py").write_text(
        "import threading\n\nitems = []\nthreading.Timer(0.2, items.append, [1]).start()\n"
        "while not items:\n    pass\n"
    )
    run = replace(a_process(4400, "python3"), argv=(sys.executable, "pump.py"), cwd=str(project))
    finding = a_finding(project / "pump.py", 5, process=run, ancestry=(), run=run.key, test=None)

    async def load():
        return the_fixer

    async with a_client(MemoryFeed({"f1": finding}), load_fixer=load) as client:
        client.answers["workspace/configuration"] = [{"tracer": "psutil"}]
        await client.initialize(folder=uri(project))
        await client.until(lambda: client.diagnostics(uri(project / "pump.py")))
        actions = await actions_at(client, project / "pump.py", 4)
        answer = await running(client, actions["Try this fix: Pause for 10 ms in each round"])
        assert answer["outcome"] == "verified", answer
        actions = await actions_at(client, project / "pump.py", 4)
        assert "Apply verified fix: Pause for 10 ms in each round" in actions
        assert [path.name for path in (tmp_path / "cache/trials").iterdir()] == ["lock"]


SHOW_AGAIN = "Show the command that runs it again"
COPY_AGAIN = "Copy the command that runs it again"
OPEN_PROCESS = "Open process 4412 in the panel"


def able_to(*commands):
    return {**CAPABILITIES, "experimental": {"linnix": {"commands": list(commands)}}}


async def test_the_command_that_runs_it_again_is_shown(pump, fixer):
    async with a_client(a_feed(pump), load_fixer=fixer.load) as client:
        await shown(client, pump)
        result = await running(client, (await actions_at(client, pump))[SHOW_AGAIN])
        assert result == {"command": fixer.line}
        assert said(client) == [f"linnix: to run it again: {fixer.line}"]


async def test_the_command_that_runs_it_again_can_be_had_without_a_message(pump, fixer):
    async with a_client(a_feed(pump), load_fixer=fixer.load) as client:
        await shown(client, pump)
        action = (await actions_at(client, pump))[SHOW_AGAIN]
        assert await running(client, action, quiet=True) == {"command": fixer.line}
        assert said(client) == []


async def test_a_command_too_long_to_be_read_is_in_the_log_and_never_cut(pump, fixer):
    fixer.line = "cd / && " + "rm x; " * 1000
    async with a_client(a_feed(pump), load_fixer=fixer.load) as client:
        await shown(client, pump)
        await running(client, (await actions_at(client, pump))[SHOW_AGAIN])
        await client.told("window/logMessage", lambda p: fixer.line in p["message"])
        assert "rm x" not in said(client)[0]


async def test_what_cannot_be_run_again_is_not_offered_and_says_why(pump, fixer):
    fixer.line = None
    async with a_client(a_feed(pump), load_fixer=fixer.load) as client:
        await shown(client, pump)
        assert SHOW_AGAIN not in await actions_at(client, pump)
        command = {"command": "linnix.reproduce", "arguments": [{"finding_id": "f1"}]}
        assert await client.request("workspace/executeCommand", command) is None
        assert "by hand, at a prompt" in said(client)[0]


async def test_what_the_client_itself_can_do_is_offered_to_it(pump, fixer):
    able = able_to("linnix.revealProcess", "linnix.copyReproduction")
    async with a_client(a_feed(pump), load_fixer=fixer.load) as client:
        await shown(client, pump, able)
        actions = await actions_at(client, pump)
        assert list(actions)[-4:] == ["Explain: cpu spin", OPEN_PROCESS, COPY_AGAIN, "Dismiss"]
        assert actions[OPEN_PROCESS]["command"] == {
            "title": OPEN_PROCESS,
            "command": "linnix.revealProcess",
            "arguments": [{"finding_id": "f1", "process": {"pid": 4412, "start_ticks": 441200}}],
        }
        assert actions[COPY_AGAIN]["command"]["command"] == "linnix.copyReproduction"


@pytest.mark.parametrize("able", [None, [], {"linnix": []}, {"linnix": {"commands": {"x": 1}}}])
async def test_a_client_that_says_nothing_of_use_gets_what_every_client_gets(pump, fixer, able):
    async with a_client(a_feed(pump), load_fixer=fixer.load) as client:
        await shown(client, pump, {**CAPABILITIES, "experimental": able})
        assert list(await actions_at(client, pump))[1:] == [
            "Stop process 4412 (python3)", "Explain: cpu spin", SHOW_AGAIN, "Dismiss",
        ]  # fmt: skip


async def test_bytes_that_are_no_utf8_reach_the_client(pump, fixer):
    fixer.line = "cd /\udcff && x"
    async with a_client(a_feed(pump), load_fixer=fixer.load) as client:
        await shown(client, pump)
        result = await running(client, (await actions_at(client, pump))[SHOW_AGAIN])
        assert result == {"command": "cd /\\xff && x"}
