"""A server that speaks the OpenAI API, or does what servers should not do."""

import asyncio
import contextlib
import json
from dataclasses import dataclass

HEAD = b"HTTP/1.1 %d %s\r\nConnection: close\r\n%s\r\n\r\n"
STREAM = HEAD % (200, b"OK", b"Content-Type: text/event-stream")


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    body: dict


def head(status, *headers):
    return HEAD % (status, b"x", "\r\n".join(headers or ["X-Nothing: x"]).encode())


def piece(text, finish_reason=None):
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish_reason}
    chunk = {"id": "1", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def answer(*texts):
    """What a good server says."""
    return [STREAM, *map(piece, texts), piece("", "stop"), b"data: [DONE]\n\n"]


def refusal(status, message, *headers):
    body = json.dumps({"error": {"message": message}}).encode()
    return [head(status, "Content-Type: application/json", *headers), body]


class FakeEndpoint:
    """Gives its scripted answers, one a request, and the last one ever after.

    Args:
        scripts: each the parts to send; None among them: say nothing more, and keep the line open.
    """

    def __init__(self, *scripts):
        self._scripts = list(scripts)
        self.requests = []
        self.n_open = 0
        self._hanging = asyncio.Event()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/v1"
        return self

    async def __aexit__(self, *_):
        self._server.close()
        self._hanging.set()
        await self._server.wait_closed()

    async def _serve(self, reader, writer):
        self.n_open += 1
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._reply(reader, writer)
        finally:
            self.n_open -= 1
            writer.close()

    async def _reply(self, reader, writer):
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        body = json.loads(await reader.readexactly(int(headers["content-length"])))
        self.requests.append(Request(lines[0].split()[1], headers, body))
        script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
        for part in script:
            if part is None:
                await asyncio.wait(
                    [
                        asyncio.ensure_future(reader.read()),
                        asyncio.ensure_future(self._hanging.wait()),
                    ],
                    return_when=asyncio.FIRST_COMPLETED,
                )
                return
            writer.write(part)
            await writer.drain()
