"""From starting the server's process to its answer to `initialize`, as the editor waits for it.

By turns with a server of pygls that does nothing: what lies between the two is our own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from bench import machine

BARE = "from pygls.lsp.server import LanguageServer\nLanguageServer('bare', '1').start_io()"
COMMANDS: dict[str, Sequence[str]] = {
    "linnix-ls": [str(machine.LINNIX_LS)],
    "pygls alone": [sys.executable, "-c", BARE],
}


def measure(n_rounds: int) -> dict[str, list[float]]:
    """Seconds, by what was started."""
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(n_rounds):
        for name, command in COMMANDS.items():
            times[name].append(_initialize_s(command))
    return times


def _initialize_s(command: Sequence[str]) -> float:
    params: dict[str, Any] = {"processId": None, "rootUri": None, "capabilities": {}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
    body = json.dumps(message).encode()
    began_s = time.perf_counter()
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdin and process.stdout
        process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        process.stdin.flush()
        answer = process.stdout.readline()
        took_s = time.perf_counter() - began_s
        process.kill()
    assert answer.startswith(b"Content-"), answer
    return took_s
