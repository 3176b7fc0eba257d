"""An editor as plain as can be: JSON in and out, nothing made of it.

`bench.latency.Editor` makes an object of each value, which for a tree of a thousand processes
takes longer than what is to be measured.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from bench import machine

MAX_LINE_BYTES = 1 << 16
WATCHING_WITHIN_S = 60.0


class PlainEditor:
    """Talks to a server.

    Attributes:
        published: (seconds since the epoch, params) of each `publishDiagnostics`.
        findings: as last told, by id; those that are gone, too.
    """

    def __init__(self, server: asyncio.subprocess.Process) -> None:
        self.server = server
        self.published: asyncio.Queue[tuple[float, dict[str, Any]]] = asyncio.Queue()
        self.findings: dict[str, dict[str, Any]] = {}
        self._replies: dict[int, asyncio.Future[Any]] = {}
        self._ids = itertools.count(1)
        self._reading = asyncio.create_task(self._read())

    async def request(self, method: str, params: Any = None) -> Any:
        number = next(self._ids)
        reply = self._replies[number] = asyncio.get_running_loop().create_future()
        self._send({"id": number, "method": method, "params": params})
        answer = await reply
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def notify(self, method: str, params: Any = None) -> None:
        self._send({"method": method, "params": params})

    async def start(self, folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
        """Initialize, and wait until it watches; its status."""
        await self.request(
            "initialize",
            {
                "processId": os.getpid(),
                "rootUri": None,
                "capabilities": {
                    "textDocument": {
                        "hover": {"contentFormat": ["markdown"]},
                        "codeAction": {
                            "codeActionLiteralSupport": {"codeActionKind": {"valueSet": []}}
                        },
                        "publishDiagnostics": {"relatedInformation": True},
                    }
                },
                "initializationOptions": settings,
                "workspaceFolders": [{"uri": folder.as_uri(), "name": "bench"}],
            },
        )
        self.notify("initialized", {})
        until = time.monotonic() + WATCHING_WITHIN_S
        while time.monotonic() < until:
            status: dict[str, Any] = await self.request("linnix/status")
            if status["state"] == "watching":
                return {"tracer": status["tracer"], "degraded": status["degraded"]}
            await asyncio.sleep(0.1)
        raise TimeoutError(f"the server does not watch: {status}")

    async def hover(self, uri: str, line: int) -> Any:
        """`line` counts from 1."""
        at = {"line": line - 1, "character": 0}
        params = {"textDocument": {"uri": uri}, "position": at}
        return await self.request("textDocument/hover", params)

    async def code_actions(self, uri: str, line: int) -> Any:
        at = {"line": line - 1, "character": 0}
        where = {"start": at, "end": at}
        params = {"textDocument": {"uri": uri}, "range": where, "context": {"diagnostics": []}}
        return await self.request("textDocument/codeAction", params)

    async def stop(self) -> None:
        await self.request("shutdown")
        self.notify("exit")
        await self.server.wait()
        self._reading.cancel()

    def _send(self, message: dict[str, Any]) -> None:
        assert self.server.stdin
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.server.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))

    async def _read(self) -> None:
        stream = self.server.stdout
        assert stream
        with suppress(asyncio.IncompleteReadError):
            while True:
                header = await stream.readuntil(b"\r\n\r\n")
                length = int(header.split(b"Content-Length: ")[1].split(b"\r\n")[0])
                self._take_in(json.loads(await stream.readexactly(length)))

    def _take_reply(self, message: dict[str, Any]) -> None:
        reply = self._replies.pop(message["id"])
        if not reply.done():  # else who asked has gone
            reply.set_result(message)

    def _take_in(self, message: dict[str, Any]) -> None:
        match message.get("method"):
            case None:
                self._take_reply(message)
            case "textDocument/publishDiagnostics":
                self.published.put_nowait((time.time(), message["params"]))
            case "linnix/didChangeFindings":
                self.findings |= {each["id"]: each for each in message["params"]["findings"]}
            case _ if "id" in message:
                self._send({"id": message["id"], "result": None})


@asynccontextmanager
async def plain_editor() -> AsyncIterator[PlainEditor]:
    """With a server of its own, killed at the end if it was not stopped."""
    server = await asyncio.create_subprocess_exec(
        machine.LINNIX_LS,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=MAX_LINE_BYTES,
    )
    try:
        yield PlainEditor(server)
    finally:
        if server.returncode is None:
            server.kill()
            await server.wait()
