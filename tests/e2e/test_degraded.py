"""Without eBPF, in an editor whose terminals do not hang below the process that it names."""

import asyncio
import os
import subprocess
import sys

import pytest

from linnix_ls.lsp.documents import uri_of_path
from tests.lsp.client import Client, descendants_of

# As VS Code has it: a terminal's shell is below a pty host, and that is nobody's descendant.
PTY_HOST = """
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execvp("bash", ["bash", "--norc", "-i"])
sys.stdin.readline()
os.write(terminal, sys.argv[1].encode() + b"\\n")
while os.read(terminal, 4096):
    pass
"""
SPIN = "def first(results):\n    while True:\n        for result in results:\n            return result\n\n\nfirst([])\n"  # noqa: E501


@pytest.mark.e2e
@pytest.mark.asyncio
async def test_what_spins_in_a_terminal_is_found_by_the_folder_that_it_runs_in(tmp_path):
    source = tmp_path / "spin.py"
    source.write_text(SPIN)
    editor = subprocess.Popen(["sleep", "100"])
    host = subprocess.Popen(
        [sys.executable, "-c", PTY_HOST, f"{sys.executable} spin.py"],
        stdin=subprocess.PIPE, cwd=tmp_path, start_new_session=True,
    )  # fmt: skip
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "linnix_ls.cli.main"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    client = Client(server.stdout, server.stdin)
    try:
        await client.initialize(
            folder=uri_of_path(str(tmp_path)),
            processId=editor.pid,
            initializationOptions={"tracer": "psutil"},
        )
        status = await client.told("linnix/didChangeStatus", lambda s: s["state"] == "watching")
        assert status["tracer"] == "psutil"
        host.stdin.write(b"go\n")
        host.stdin.flush()
        told = await client.told("linnix/didChangeFindings", lambda p: p["findings"])
        [finding] = told["findings"]
        assert (finding["kind"], finding["severity"]) == ("cpu_spin", "warning")
        assert finding["location"]["path"] == str(source)
        assert finding["location"]["line"] in range(2, 5)
        assert finding["run"]["pid"] == finding["process"]["pid"]
        events = (await client.request("linnix/status"))["events"]
        assert events["received"] > 0
        assert events["processes"] > 0
    finally:
        for pid in [*descendants_of(host.pid), host.pid, editor.pid]:
            os.kill(pid, 9)
        host.stdin.close()
        host.wait()
        editor.wait()
        server.stdin.close()
        await server.wait()
        await client.reading
