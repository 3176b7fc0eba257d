"""Probes run from an editor: a real language server on stdio, a real agent, the kernel's own word.

The client is a bare one of LSP, as any editor is that knows nothing of linnix-ls.
"""

import asyncio
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from linnix_ls.tracer.kernel_headers import find_bpftool
from tests.lsp.client import CAPABILITIES, Client

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.ebpf,
    pytest.mark.asyncio,
    pytest.mark.timeout(240),
]

SERVER = (sys.executable, "-m", "linnix_ls.cli.main")
PATIENCE_S = 40
REFRESHING = {
    **CAPABILITIES,
    "workspace": {
        **CAPABILITIES["workspace"],
        "codeLens": {"refreshSupport": True},
        "inlayHint": {"refreshSupport": True},
    },
}
SOURCE = """\
struct name { char comm[16]; };
struct event { u64 ts; u32 pid; char comm[16]; };
BPF_HASH(counts_TAG, struct name, u64);
BPF_ARRAY(n_execs_TAG, u64, 1);
BPF_RINGBUF_OUTPUT(events_TAG, 16);
TRACEPOINT_PROBE(sched, sched_process_exec) {
    struct name key = {};
    struct event e = {};
    bpf_get_current_comm(&key.comm, sizeof(key.comm));
    counts_TAG.increment(key);
    n_execs_TAG.increment(0);
    e.ts = bpf_ktime_get_ns();
    e.pid = bpf_get_current_pid_tgid() >> 32;
    bpf_get_current_comm(&e.comm, sizeof(e.comm));
    events_TAG.ringbuf_output(&e, sizeof(e), 0);
    return 0;
}
"""
TAG = secrets.token_hex(2)


@asynccontextmanager
async def an_editor(tmp_path, capabilities=REFRESHING, command=SERVER, **options):
    """A client of a server of its own, which has an agent of its own."""
    settings = {"tracer": "bcc", "agent_socket": str(tmp_path / "agent.sock")}
    environment = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path / "config")}
    server = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=environment,
    )
    client = Client(server.stdout, server.stdin)
    client.answers["workspace/codeLens/refresh"] = None
    client.server = server
    try:
        await client.initialize(capabilities, initializationOptions=settings, **options)
        yield client
    finally:
        server.stdin.close()
        await server.wait()
        await client.reading


async def until(condition, timeout_s=PATIENCE_S):
    end_s = time.monotonic() + timeout_s
    while not (result := await condition()):
        assert time.monotonic() < end_s, "it does not come about"
        await asyncio.sleep(0.1)
    return result


class Document:
    """A file that is open in the editor."""

    def __init__(self, client, path, text=None):
        self.client = client
        self.path = Path(path)
        self.uri = self.path.as_uri()
        if text is not None:
            self.path.write_text(text)
        self.version = 1
        client.open(self.uri, self.path.read_text())

    def save(self, text):
        self.path.write_text(text)
        self.version += 1
        self.client.notify(
            "textDocument/didChange",
            {
                "textDocument": {"uri": self.uri, "version": self.version},
                "contentChanges": [{"text": text}],
            },
        )
        self.client.notify("textDocument/didSave", {"textDocument": {"uri": self.uri}})

    async def command(self, name, /, **argument):
        return await command(self.client, name, uri=self.uri, **argument)

    async def lenses(self):
        return await self.client.request(
            "textDocument/codeLens", {"textDocument": {"uri": self.uri}}
        )

    async def titles(self):
        return [each["command"]["title"] for each in await self.lenses()]

    async def title_with(self, text):
        """The first lens that says so, once there is one."""

        async def found():
            return next((each for each in await self.titles() if text in each), None)

        return await until(found)

    async def hints(self):
        everything = {
            "start": {"line": 0, "character": 0},
            "end": {"line": 1000, "character": 0},
        }
        found = await self.client.request(
            "textDocument/inlayHint", {"textDocument": {"uri": self.uri}, "range": everything}
        )
        return {each["position"]["line"] + 1: each["label"] for each in found}

    async def diagnostic(self, code):
        async def found():
            shown = self.client.diagnostics(self.uri) or []
            return next((each for each in shown if each["code"] == code), None)

        return await until(found)


async def command(client, command, /, **argument):
    return await client.request(
        "workspace/executeCommand",
        {"command": f"linnix.playground.{command}", "arguments": [argument]},
    )


async def ready(client):
    """The agent is there."""

    async def may_load():
        told = await client.request("linnix/probes")
        return told["permission"]["may_load"]

    await until(may_load)


async def probe(client, probe_id):
    told = await client.request("linnix/probes")
    return next((each for each in told["probes"] if each["id"] == probe_id), None)


def n_maps(tag):
    shown = subprocess.run([find_bpftool(), "-j", "map", "show"], capture_output=True, check=True)
    return sum(tag in each.get("name", "") for each in json.loads(shown.stdout))


async def until_gone(tag):
    """Maps of a probe, and of a check of it that may be under way."""

    async def gone():
        return n_maps(tag) == 0

    await until(gone)


@pytest.fixture
def program(tmp_path):
    """A program that nobody else on this machine runs."""
    path = tmp_path / f"pr{secrets.token_hex(4)}"
    shutil.copy("/bin/true", path)
    return path


@pytest.fixture
def tag():
    return secrets.token_hex(2)


def counted(hint):
    return int(hint.removeprefix("= ").replace(",", ""))


async def test_a_probe_is_run_watched_changed_and_detached(tmp_path, program, tag):
    text = SOURCE.replace("TAG", tag)
    async with an_editor(tmp_path) as client:
        await ready(client)
        document = Document(client, tmp_path / "count.bpf.c", text)
        assert await document.titles() == ["▷ Run"]
        answer = await document.command("run")
        assert (answer["outcome"], answer["generation"]) == ("running", 1)
        assert await client.told("linnix/probesChanged") == {}

        for _ in range(5):
            subprocess.run([program], check=True)
        await document.title_with("events/s")
        titles = await document.titles()
        assert titles[0].startswith("generation 1 · ")
        assert titles[1:4] == ["Reload", "Detach", "Roll back"]
        assert titles[4].startswith("tracepoint sched:sched_process_exec · ")
        assert (await document.lenses())[4]["range"]["start"]["line"] == 5

        async def hinted():
            hints = await document.hints()
            is_there = {3, 4, 5, 15} <= hints.keys()
            return hints if is_there and counted(hints[4]) >= 5 else None

        hints = await until(hinted)
        assert hints[3].startswith("= ")
        assert hints[15].endswith("/s")

        [told] = [
            each
            for each in (await client.request("linnix/probes"))["probes"]
            if each["uri"] == document.uri
        ]
        detail = await client.request("linnix/probe", {"id": told["id"], "since_event": 0})
        counts = next(each for each in detail["maps"] if each["name"] == f"counts_{tag}")
        assert [{"comm": program.name}, 5] in counts["entries"]
        assert counts["line"] == 3
        ours = [each for each in detail["events"] if each["fields"]["comm"] == program.name]
        assert len(ours) == 5
        assert ours[0]["ktime_ns"] == ours[0]["fields"]["ts"] or ours[0]["fields"]["ts"] < 2**53

        document.save(text.replace("return 0;", "return 0 0;"))
        refused = await document.diagnostic("load/refused")
        assert "generation 1 goes on" in refused["message"]
        document.save(text.replace("return 0;", "return 0;  "))
        await document.title_with("generation 2 · ")
        assert (await document.command("rollBack"))["generation"] == 3
        assert (await document.command("rollBack"))["outcome"] == "unchanged"

        assert (await document.command("detach"))["outcome"] == "ended"
        assert await document.titles() == ["▷ Run"]
        await until_gone(tag)


async def test_an_editor_that_is_killed_leaves_nothing_behind(tmp_path, tag):
    async with an_editor(tmp_path) as client:
        await ready(client)
        document = Document(client, tmp_path / "count.bpf.c", SOURCE.replace("TAG", tag))
        assert (await document.command("run"))["outcome"] == "running"
        assert n_maps(tag) >= 3  # and those of a check
        client.server.kill()
        await until_gone(tag)


async def test_an_untrusted_workspace_runs_nothing(tmp_path, tag):
    untrusted = {**REFRESHING, "experimental": {"linnix": {"is_trusted": False}}}
    async with an_editor(tmp_path, untrusted) as client:
        document = Document(client, tmp_path / "count.bpf.c", SOURCE.replace("TAG", tag))
        await document.title_with("not trusted")
        assert (await document.command("run"))["outcome"] == "refused"
        assert "not trusted" in (await document.command("why"))["why"]
        assert n_maps(tag) == 0


async def own_is_ready(client):
    async def running():
        own = await probe(client, "own")
        return own if own["state"] == "running" else None

    return await until(running)


async def test_a_probe_of_linnix_ls_itself_is_edited_while_it_runs(tmp_path):
    async with an_editor(tmp_path) as client:
        await ready(client)
        assert (await own_is_ready(client))["generation"] == 1
        place = await command(client, "openProbe", name="lifecycle.bpf.c", quiet=True)
        path = Path(place["uri"].removeprefix("file://"))
        assert path == tmp_path / "config/linnix-ls/bpf/lifecycle.bpf.c"
        document = Document(client, path)
        await document.title_with("as shipped · generation 1")
        text = path.read_text()

        document.save(text.replace("struct fork_event event = {};", "struct fork_event event;"))
        assert (await own_is_ready(client))["generation"] == 1, "nothing runs unasked"
        document.save(f"{text}// mine\n")
        answer = await document.command("run")
        assert (answer["outcome"], answer["generation"]) == ("running", 2)
        await document.title_with("raw tracepoint sched_process_exec · ")
        own = await own_is_ready(client)
        [file] = [each for each in own["files"] if each["is_edited"]]
        assert file == {
            "name": "lifecycle.bpf.c",
            "uri": path.as_uri(),
            "is_edited": True,
            "is_outdated": False,
        }
        document.save(f"{text}// mine, and better\n")

        async def newer():
            own = await probe(client, "own")
            return own["generation"] if own["generation"] > 2 else None

        # 4 where the trial of the one before was still going on: that one was taken back first.
        generation = await until(newer)
        await document.title_with(f"generation {generation} · ")
        document.save(f"{text}this is no C\n")
        refused = await document.diagnostic("load/refused")
        assert f"generation {generation} goes on" in refused["message"]
        assert (await document.command("rollBack"))["outcome"] == "running"
        assert (await document.command("detach"))["outcome"] == "ended"
        await document.title_with("as shipped · ")
        assert (await document.command("reset"))["outcome"] == "ended"
        assert path.read_text() == text
