"""The real program on stdio: its streams, its end, and what it leaves behind."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.lsp.client import Client, descendants_of

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
LINNIX_LS = (sys.executable, "-m", "linnix_ls.cli.main")
ENDED_WITHIN_S = 10  # promised is one second; a loaded machine may take longer


@asynccontextmanager
async def a_process_speaking_lsp(*command):
    process = await asyncio.create_subprocess_exec(
        *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    )
    client = Client(process.stdout, process.stdin)
    client.process = process
    try:
        yield client
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        process.stdin.close()
        with contextlib.suppress(OSError):
            await process.stdin.wait_closed()
        await client.reading


async def ends(client):
    return await asyncio.wait_for(client.process.wait(), ENDED_WITHIN_S)


@pytest.fixture
def editor():
    """A process to be the server's client, as far as process ids go."""
    with subprocess.Popen(["sleep", "1000"]) as process:
        yield process
        process.kill()


PSUTIL = {"initializationOptions": {"tracer": "psutil"}}


async def watching(client):
    return await client.told("linnix/didChangeStatus", lambda s: s["state"] == "watching")


@pytest.mark.asyncio
async def test_shutdown_and_exit_end_with_0():
    async with a_process_speaking_lsp(*LINNIX_LS) as client:
        await client.initialize(**PSUTIL)
        assert (await watching(client))["tracer"] == "psutil"
        await client.request("shutdown")
        client.notify("exit")
        assert await ends(client) == 0


@pytest.mark.asyncio
async def test_exit_without_shutdown_ends_with_1():
    async with a_process_speaking_lsp(*LINNIX_LS) as client:
        await client.initialize(**PSUTIL)
        client.notify("exit")
        assert await ends(client) == 1


@pytest.mark.asyncio
async def test_the_end_of_stdin_ends_it():
    async with a_process_speaking_lsp(*LINNIX_LS, "--stdio") as client:
        await client.initialize(**PSUTIL)
        client.process.stdin.close()
        assert await ends(client) == 1


@pytest.mark.asyncio
async def test_the_end_of_the_client_ends_it_even_if_its_streams_stay_open(editor):
    async with a_process_speaking_lsp(*LINNIX_LS) as client:
        await client.initialize(processId=editor.pid, **PSUTIL)
        await watching(client)
        editor.kill()
        assert await ends(client) == 1


@pytest.mark.asyncio
async def test_a_client_process_that_is_not_here_is_no_reason_to_end():
    async with a_process_speaking_lsp(*LINNIX_LS) as client:
        await client.initialize(processId=2**22 + 1, **PSUTIL)  # above pid_max: never one
        await client.told("window/logMessage", lambda m: "cannot watch Testvim" in m["message"])
        assert (await client.request("linnix/status"))["state"] == "watching"


@pytest.mark.asyncio
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signals_end_it(number):
    async with a_process_speaking_lsp(*LINNIX_LS) as client:
        await client.initialize(**PSUTIL)
        client.process.send_signal(number)
        assert await ends(client) == 1


@pytest.mark.asyncio
async def test_it_says_nothing_on_stderr_in_a_good_session():
    process = await asyncio.create_subprocess_exec(
        *LINNIX_LS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    )
    client = Client(process.stdout, process.stdin)
    await client.initialize(**PSUTIL)
    await watching(client)
    client.notify("textDocument/didSave", {"textDocument": {"uri": "file:///x"}})
    client.notify("$/cancelRequest", {"id": 1})
    assert "error" in await client.reply_to("linnix/watch", {"pid": 2**22 + 1})
    assert "error" in await client.reply_to("linnix/watch", {"pid": "x"})
    await client.request("shutdown")
    client.notify("exit")
    assert await process.stderr.read() == b""
    assert await process.wait() == 0
    await client.reading
    process.stdin.close()


@pytest.mark.asyncio
@pytest.mark.parametrize("trouble", ["prints", "reads"])
async def test_noise_in_the_process_does_not_reach_the_protocol(trouble):
    async with a_process_speaking_lsp(
        sys.executable, "-m", "tests.lsp.noisy_server", trouble
    ) as client:
        await client.initialize()
        await watching(client)
        assert (await client.request("linnix/status"))["tracer"] == "bcc"


@pytest.mark.asyncio
async def test_a_hanging_tracer_does_not_delay_the_end():
    async with a_process_speaking_lsp(
        sys.executable, "-m", "tests.lsp.noisy_server", "hangs"
    ) as client:
        await client.initialize()
        assert (await client.request("linnix/status"))["state"] == "loading"
        client.process.stdin.close()
        assert await ends(client) == 1


@pytest.mark.asyncio
@pytest.mark.ebpf
async def test_nothing_is_left_running_after_the_client_is_killed(tmp_path, editor):
    async with a_process_speaking_lsp(*LINNIX_LS) as client:
        options = {"agent_socket": str(tmp_path / "agent.sock"), "tracer": "bcc"}
        await client.initialize(processId=editor.pid, initializationOptions=options)
        assert (await watching(client))["tracer"] == "bcc"
        below = descendants_of(client.process.pid)
        assert below, "the agent is a child of the server"
        editor.kill()
        await ends(client)
    async with asyncio.timeout(ENDED_WITHIN_S):
        while [pid for pid in below if Path(f"/proc/{pid}").exists()]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.mark.asyncio
@pytest.mark.ebpf
async def test_an_agent_that_is_killed_is_missed_once_and_replaced(tmp_path):
    async with a_process_speaking_lsp(*LINNIX_LS) as client:
        options = {"agent_socket": str(tmp_path / "agent.sock"), "tracer": "bcc"}
        await client.initialize(initializationOptions=options)
        await watching(client)
        [agent] = [
            pid
            for pid in descendants_of(client.process.pid)
            if b"\0agent\0" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]
        os.kill(agent, signal.SIGKILL)
        await client.told("window/logMessage", lambda m: "watching processes again" in m["message"])
        assert (await client.request("linnix/status"))["tracer"] == "bcc"
        assert [params["type"] for method, params in client.notified if "essage" in method] == [
            2,
            3,
        ]


def test_importing_the_server_leaves_out_what_is_only_needed_later():
    code = (
        "import sys, linnix_ls.lsp.server;"
        "print([m for m in ('pydantic', 'psutil', 'bcc', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
