"""Probes that run, as a client of LSP sees them: lenses, hints, commands, and what panels ask."""

import asyncio
import shutil
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from linnix_ls.core.findings import Kind
from linnix_ls.errors import PlaygroundError
from linnix_ls.lsp import live_probes
from linnix_ls.playground.base import Checked, MapReading, ProbeEvent, ProbeReading, ProgramReading
from linnix_ls.playground.own_parts import PARTS
from linnix_ls.playground.workbench import LocalWorkbench
from linnix_ls.tracer.bpf_source import bpf_dir
from tests.lsp.client import CAPABILITIES, a_client
from tests.lsp.memory_feed import MemoryFeed, a_finding
from tests.lsp.memory_playground import MemoryPlayground
from tests.lsp.test_docs import samples, shape

pytestmark = pytest.mark.asyncio

TEXT = """\
BPF_HASH(counts, u32, u64);
BPF_ARRAY(total, u64, 1);
BPF_RINGBUF_OUTPUT(events, 16);
TRACEPOINT_PROBE(sched, sched_switch) {
    events.ringbuf_output(&e, sizeof(e), 0);
    return 0;
}
"""
REFRESHING = {
    **CAPABILITIES,
    "workspace": {"codeLens": {"refreshSupport": True}, "inlayHint": {"refreshSupport": True}},
}
HOSTILE = "\x1b[31m\u202e\n"


def a_reading(n, **changes):
    """The n-th, a second after the one before."""
    program = ProgramReading(
        "tracepoint__sched__sched_switch",
        "tracepoint sched:sched_switch",
        1000 * n,
        900_000 * n,
        42,
    )
    maps = (
        MapReading("counts", "hash", (({"comm": HOSTILE}, 2**60),), 1204),
        MapReading("total", "array", ((0, 12345),), 1),
    )
    events = tuple(ProbeEvent(i, 2**60, "events", {"pid": 1}) for i in range(1, 10 * n))[-20:]
    reading = ProbeReading((program,), maps, events, 3, 0.0009, float(n), 3600.0, n_events=10 * n)
    return replace(reading, **changes)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """A look is not a second away from the next."""
    monkeypatch.setattr(live_probes, "LOOK_S", 0.0)
    monkeypatch.setattr("linnix_ls.lsp.probe_figures._MIN_INTERVAL_S", 0.0)


class PermittedWorkbench(LocalWorkbench):
    """Of a user who may load probes, whoever runs the tests."""

    def require_load(self):
        pass


class ForbiddenWorkbench(LocalWorkbench):
    def require_load(self):
        raise PlaygroundError("only root may", fix="sudo usermod")


class Editor:
    def __init__(self, client, playground, path):
        self.client = client
        self.playground = playground
        self.uri = Path(path).as_uri()

    async def command(self, command, /, **argument):
        return await self.client.request(
            "workspace/executeCommand",
            {
                "command": f"linnix.playground.{command}",
                "arguments": [{"uri": self.uri, **argument}],
            },
        )

    async def lenses(self):
        return await self.client.request(
            "textDocument/codeLens", {"textDocument": {"uri": self.uri}}
        )

    async def titles(self):
        return [each["command"]["title"] for each in await self.lenses()]

    async def until_titled(self, matches):
        async with asyncio.timeout(20):
            while not matches(titles := await self.titles()):
                pass
        return titles

    async def hints(self):
        everything = {
            "start": {"line": 0, "character": 0},
            "end": {"line": 99, "character": 0},
        }
        found = await self.client.request(
            "textDocument/inlayHint", {"textDocument": {"uri": self.uri}, "range": everything}
        )
        return {each["position"]["line"] + 1: each["label"] for each in found}

    def change(self, text, version):
        self.client.notify(
            "textDocument/didChange",
            {
                "textDocument": {"uri": self.uri, "version": version},
                "contentChanges": [{"text": text}],
            },
        )

    def save(self):
        self.client.notify("textDocument/didSave", {"textDocument": {"uri": self.uri}})

    async def calls(self, *names):
        return [each for each in self.playground.calls if each[0] in names]

    async def until_called(self, name, n=1):
        async with asyncio.timeout(20):
            while len(await self.calls(name)) < n:  # noqa: ASYNC110 - of another task
                await asyncio.sleep(0.005)
        return (await self.calls(name))[-1]

    async def said(self, code):
        async with asyncio.timeout(20):
            while True:
                for each in self.client.diagnostics(self.uri) or []:
                    if each["code"] == code:
                        return each
                await asyncio.sleep(0.005)


class NoProblems:
    """A checker for which everything is right."""

    async def load(self, text_at):
        return self

    async def check(self, path, text, playground):
        return Checked((), (), 0.0)

    async def close(self):
        pass


@asynccontextmanager
async def an_editor(
    path, text=TEXT, workbench=PermittedWorkbench, capabilities=REFRESHING, **options
):
    """With a document that is open, of a user who may load it."""
    playground = MemoryPlayground()

    async def load_workbench(text_at):
        return workbench(text_at)

    async with a_client(
        MemoryFeed(the_playground=playground),
        load_checker=NoProblems().load,
        load_workbench=load_workbench,
    ) as client:
        await client.initialize(capabilities, **options)
        editor = Editor(client, playground, path)
        client.open(editor.uri, text)
        await editor.until_titled(lambda titles: titles and "there is none" not in titles[0])
        yield editor


PROBE = "/tmp/w/a.bpf.c"


class TestRunning:
    async def test_the_unsaved_text_is_loaded_when_asked_for(self):
        async with an_editor(PROBE) as editor:
            assert await editor.titles() == ["▷ Run"]
            editor.change(f"{TEXT}// mine\r\n", 2)
            answer = await editor.command("run")
            assert answer == samples("linnix.playground.run")[0] | {
                "generation": 1,
                "message": "a.bpf.c: generation 1 runs",
            }
            assert editor.playground.calls == [("load", "a.bpf.c", f"{TEXT}// mine\n")]
            assert (await editor.client.told("window/showMessage"))["type"] == 3

    async def test_a_save_exchanges_what_runs_and_nothing_else(self):
        async with an_editor(PROBE) as editor:
            editor.save()
            await editor.titles()
            assert editor.playground.calls == []
            await editor.command("run", quiet=True)
            editor.change("newer", 2)
            editor.save()
            assert await editor.until_called("replace") == ("replace", "p1", "newer")

    async def test_a_refusal_is_said_at_line_one_until_something_runs(self):
        async with an_editor(PROBE) as editor:
            await editor.command("run")
            editor.change("bad", 2)
            editor.save()
            said = await editor.said("load/refused")
            assert said["range"]["start"]["line"] == 0
            assert said["message"] == (
                "this text does not run; generation 1 goes on: line 1: it may be NULL."
                " Fix: check it first"
            )
            editor.change("good", 3)
            assert (await editor.command("reload"))["generation"] == 2
            await editor.client.until(lambda: not editor.client.diagnostics(editor.uri))

    async def test_what_the_agent_took_back_is_said_and_not_gone_back_to(self):
        async with an_editor(PROBE) as editor:
            await editor.command("run")
            editor.change("newer", 2)
            await editor.command("run")
            editor.playground.reading = a_reading(1, generation=3, note="taken back: dear")
            await editor.titles()
            assert (await editor.said("load/taken-back"))["severity"] == 3
            assert (await editor.command("rollBack"))["outcome"] == "unchanged"

    async def test_rolling_back_runs_what_ran_before_and_leaves_the_document(self):
        async with an_editor(PROBE) as editor:
            await editor.command("run")
            editor.change("newer", 2)
            await editor.command("run")
            assert (await editor.command("rollBack"))["outcome"] == "running"
            assert editor.playground.calls[-1] == ("replace", "p1", TEXT)
            assert (await editor.command("rollBack"))["outcome"] == "unchanged"

    async def test_one_that_has_ended_says_why_and_runs_again(self):
        async with an_editor(PROBE) as editor:
            await editor.command("run")
            editor.playground.reading = a_reading(1, problem=f"too dear {HOSTILE}")
            titles = await editor.until_titled(lambda titles: titles[0].startswith("ended"))
            assert titles == ["ended: too dear \\x1b[31m\\u202e\\n", "▷ Run again"]
            assert (await editor.said("load/ended"))["severity"] == 2
            assert (await editor.command("run"))["outcome"] == "running"
            assert [name for name, *_ in editor.playground.calls] == ["load", "load", "unload"]

    async def test_a_closed_document_goes_on_running_and_is_detached_by_its_id(self):
        async with an_editor(PROBE) as editor:
            await editor.command("run")
            document = {"textDocument": {"uri": editor.uri}}
            editor.client.notify("textDocument/didClose", document)
            [_, probe] = (await editor.client.request("linnix/probes"))["probes"]
            assert (probe["uri"], probe["state"]) == (editor.uri, "running")
            answer = await editor.command("detach", uri=None, id=probe["id"])
            assert answer["outcome"] == "ended"
            assert len((await editor.client.request("linnix/probes"))["probes"]) == 1
            assert editor.playground.calls[-1] == ("unload", "p1")

    async def test_switched_off_it_detaches_everything(self):
        async with an_editor(PROBE) as editor:
            await editor.command("run")
            editor.client.notify(
                "workspace/didChangeConfiguration",
                {"settings": {"playground": {"enable": False}}},
            )
            assert await editor.until_called("unload") == ("unload", "p1")
            assert (await editor.command("run"))["outcome"] == "refused"


class TestPermission:
    async def test_without_it_one_lens_says_so_and_why(self):
        async with an_editor(PROBE, workbench=ForbiddenWorkbench) as editor:
            assert await editor.titles() == ["Not run: only root may"]
            why = await editor.command("why")
            assert why == {"may_load": False, "why": "only root may", "fix": "sudo usermod"}
            assert (await editor.command("run"))["fix"] == "sudo usermod"
            assert editor.playground.calls == []

    async def test_an_untrusted_workspace_runs_nothing(self):
        capabilities = {**REFRESHING, "experimental": {"linnix": {"is_trusted": False}}}
        async with an_editor(PROBE, capabilities=capabilities) as editor:
            assert "not trusted" in (await editor.titles())[0]
            assert (await editor.command("run"))["outcome"] == "refused"
            assert editor.playground.calls == []


class TestLooking:
    async def test_figures_stand_above_the_text_and_the_programs_and_do_not_push_it(self):
        async with an_editor(PROBE) as editor:
            editor.playground.grow = a_reading
            await editor.command("run")
            assert len(await editor.titles()) == 5
            titles = await editor.until_titled(lambda titles: "0.9 µs" in titles[0])
            assert titles[0].startswith("generation 1 · ")
            assert titles[0].endswith(" · 3 lost")
            assert titles[1:4] == ["Reload", "Detach", "Roll back"]
            assert titles[4].startswith("tracepoint sched:sched_switch · ")
            assert titles[4].endswith(" · verified 42 instructions")

    async def test_hints_stand_at_maps_and_where_records_are_sent(self):
        async with an_editor(PROBE) as editor:
            await editor.command("run")
            editor.playground.grow = a_reading
            await editor.until_titled(lambda titles: "0.9 µs" in titles[0])
            hints = await editor.hints()
            assert (hints[1], hints[2]) == ("= 1,204 entries", "= 12,345")
            assert hints[3].endswith(" records/s")
            assert hints[5].endswith("/s")

    async def test_nobody_is_asked_when_nobody_looks(self, monkeypatch):
        monkeypatch.setattr(live_probes, "LOOKED_AT_S", 0.0)
        async with an_editor(PROBE) as editor:
            await editor.command("run")
            await editor.titles()
            await editor.client.request("linnix/status")
            assert editor.playground.n_readings <= 1

    async def test_a_page_of_text_has_it_all_for_an_editor_without_a_view(self):
        async with an_editor(PROBE) as editor:
            await editor.command("run")
            editor.playground.reading = a_reading(1)
            text = (await editor.command("show", quiet=True))["text"]
            assert "Map counts (1,204 entries)" in text
            assert "comm: \\x1b[31m\\u202e\\n  1,152,921,504,606,846,976" in text
            assert "#9 events: pid: 1" in text

    async def test_a_client_with_a_view_is_sent_there(self):
        capabilities = {
            **REFRESHING,
            "experimental": {"linnix": {"commands": ["linnix.revealProbe"]}},
        }
        async with an_editor(PROBE, capabilities=capabilities) as editor:
            await editor.command("run")
            [first, *_] = await editor.lenses()
            assert first["command"]["command"] == "linnix.revealProbe"
            assert first["command"]["arguments"] == [{"id": "p1"}]


class TestWithoutLenses:
    async def actions(self, editor):
        start = {"line": 3, "character": 0}
        return await editor.client.request(
            "textDocument/codeAction",
            {
                "textDocument": {"uri": editor.uri},
                "range": {"start": start, "end": start},
                "context": {"diagnostics": []},
            },
        )

    async def test_code_actions_do_what_lenses_would(self):
        async with an_editor(PROBE) as editor:
            [action] = await self.actions(editor)
            assert action["title"] == "Run"
            await editor.client.request("workspace/executeCommand", action["command"])
            assert [each["title"] for each in await self.actions(editor)][1:] == [
                "Reload",
                "Detach",
                "Roll back",
            ]

    async def test_a_client_that_has_them_is_not_offered_both(self):
        capabilities = {
            **REFRESHING,
            "textDocument": {**CAPABILITIES["textDocument"], "codeLens": {}},
        }
        async with an_editor(PROBE, capabilities=capabilities) as editor:
            assert await self.actions(editor) == []


class TestPanels:
    async def test_are_told_what_the_documentation_says(self):
        async with an_editor(PROBE) as editor:
            await editor.command("run")
            editor.playground.reading = a_reading(1)
            [told] = [
                each
                for each in (await editor.client.request("linnix/probes"))["probes"]
                if not each["is_own"]
            ]
            detail = await editor.client.request("linnix/probe", {"id": told["id"]})
            [documented] = samples("linnix/probes")[0]["probes"]
            assert shape(detail["summary"] | {"files": []}) == shape(documented | {"files": []})
            assert (
                shape(detail["maps"][0]).keys()
                == shape(samples("linnix/probe")[1]["maps"][0]).keys()
            )
            assert shape(detail["events"][0]) == shape(samples("linnix/probe")[1]["events"][0])
            assert detail.keys() == samples("linnix/probe")[1].keys()

    async def test_get_numbers_that_javascript_has_and_the_records_since(self):
        async with an_editor(PROBE) as editor:
            await editor.command("run")
            editor.playground.reading = a_reading(1)
            detail = await editor.client.request("linnix/probe", {"id": "p1", "since_event": 8})
            assert detail["maps"][0]["entries"] == [[{"comm": HOSTILE}, str(2**60)]]
            assert [each["sequence"] for each in detail["events"]] == [9]
            assert detail["events"][0]["ktime_ns"] == str(2**60)

    async def test_hear_of_a_change_and_nothing_of_an_unknown_probe(self):
        async with an_editor(PROBE) as editor:
            assert await editor.client.request("linnix/probe", {"id": "p7"}) is None
            await editor.command("run")
            assert await editor.client.told("linnix/probesChanged") == {}
            reply = await editor.client.reply_to("linnix/probe", {"id": 7})
            assert reply["error"]["code"] == -32602


class TestOwnProbes:
    @pytest.fixture
    def folder(self, tmp_path, monkeypatch):
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
        folder = tmp_path / "linnix-ls" / "bpf"
        LocalWorkbench(lambda _: None).make_copy("lifecycle.bpf.c")
        return folder

    def an_editor(self, folder, name="lifecycle.bpf.c", **options):
        return an_editor(folder / name, (folder / name).read_text(), **options)

    async def test_run_with_all_edits_of_their_folder_and_detach_to_the_shipped(self, folder):
        (folder / "scope.h").write_text("// mine\n")
        async with self.an_editor(folder) as editor:
            titles = await editor.titles()
            assert titles[0].startswith("as shipped · generation 1")
            assert titles[1:4] == ["▷ Run", "Diff against shipped", "Reset to shipped"]
            editor.change("theirs", 2)
            assert (await editor.command("run"))["outcome"] == "running"
            edits = {"scope.h": "// mine\n", "lifecycle.bpf.c": "theirs"}
            assert editor.playground.calls == [("replace_own", edits)]
            titles = await editor.titles()
            assert titles[0].startswith("generation 2")
            assert titles[1:4] == ["Reload", "Detach", "Roll back"]
            assert (await editor.command("detach"))["outcome"] == "ended"
            assert editor.playground.calls[-1] == ("replace_own", {})
            assert "▷ Run" in await editor.titles()

    async def test_a_save_of_any_part_exchanges_them_once_they_run(self, folder):
        async with self.an_editor(folder) as editor:
            await editor.command("run")
            scope = Editor(editor.client, editor.playground, folder / "scope.h")
            editor.client.open(scope.uri, "// mine\n")
            scope.save()
            assert await editor.until_called("replace_own", 2) == (
                "replace_own",
                {"scope.h": "// mine\n"},
            )
            assert (await editor.command("rollBack"))["outcome"] == "running"
            assert editor.playground.calls[-1] == ("replace_own", {})

    async def test_a_reset_is_told_apart_from_what_is_not_saved(self, folder):
        path = folder / "lifecycle.bpf.c"
        path.write_text("theirs")
        async with self.an_editor(folder) as editor:
            editor.change("unsaved", 2)
            assert "not saved" in (await editor.command("reset"))["message"]
            editor.change("theirs", 3)
            await editor.command("run")
            assert (await editor.command("reset"))["outcome"] == "ended"
            assert editor.playground.calls[-1] == ("replace_own", {})
            assert path.read_text() == (bpf_dir() / path.name).read_text()
            assert (folder / "lifecycle.bpf.c~").read_text() == "theirs"

    async def test_a_diff_is_told_and_shown_where_it_can(self, folder):
        text = (folder / "lifecycle.bpf.c").read_text()
        capabilities = {**REFRESHING, "window": {"showDocument": {"support": True}}}
        async with self.an_editor(folder, capabilities=capabilities) as editor:
            editor.client.answers["window/showDocument"] = {"success": True}
            editor.change(f"// mine\n{text}", 2)
            diff = await editor.command("diff")
            assert "+// mine\n" in diff["unified"]
            assert diff.keys() == samples("linnix.playground.diff")[0].keys()
            [shown] = [p for m, p in editor.client.asked if m == "window/showDocument"]
            assert Path(shown["uri"].removeprefix("file://")).read_text() == diff["unified"]

    async def test_a_changed_shipped_one_is_told_of_until_it_was_taken_in(self, folder):
        base = folder / ".shipped" / "lifecycle.bpf.c"
        text = base.read_text()
        base.write_text(text.replace("Birth", "Dawn"))
        (folder / "lifecycle.bpf.c").write_text(f"// mine\n{text}")
        async with self.an_editor(folder) as editor:
            told = "The shipped probe has changed since your edit: show how"
            assert (await editor.titles())[-1] == told
            diff = await editor.command("diff", against="base", quiet=True)
            assert "- * Dawn" in diff["unified"]
            assert (await editor.titles())[-1] == told
            editor.save()
            await editor.until_titled(lambda titles: titles[-1] != told)

    async def test_the_installed_one_is_for_copying(self, folder):
        async with an_editor(bpf_dir() / "syscalls.bpf.c", "") as editor:
            [lens] = await editor.lenses()
            assert lens["command"]["arguments"] == [{"name": "syscalls.bpf.c"}]
            assert (await editor.command("run"))["outcome"] == "refused"
            place = await editor.command("openProbe", uri=None, name="syscalls.bpf.c", quiet=True)
            assert place["uri"] == (folder / "syscalls.bpf.c").as_uri()
            assert "syscalls.bpf.c, line 1" not in str(editor.client.notified)

    @pytest.mark.parametrize("kind", list(Kind))
    async def test_a_finding_opens_the_program_that_saw_it(self, folder, kind, tmp_path):
        shutil.rmtree(folder)
        async with an_editor(PROBE) as editor:
            editor.client.feed.raises(a_finding(kind=kind))
            await editor.client.told("linnix/didChangeFindings")
            place = await editor.command("openProbe", finding_id="f1")
            path = Path(place["uri"].removeprefix("file://"))
            line = path.read_text().splitlines()[place["line"] - 1]
            assert place["line"] > 1
            assert place["program"].removeprefix("raw_tracepoint__") in line
            assert {each.name for each in folder.iterdir()} == {*PARTS, ".shipped"}
            assert str(path) in (await editor.client.told("window/showMessage"))["message"]
            assert place.keys() == samples("linnix.playground.openProbe")[0].keys()
