"""A bare LSP client: every message visible, nothing done behind the test's back."""

import asyncio
import contextlib
import itertools
import json
import os
import socket
from contextlib import asynccontextmanager

from linnix_ls.lsp.server import serve_connection
from tests.lsp.memory_feed import MemoryFeed

PATIENCE_S = 20

CAPABILITIES = {
    "workspace": {"configuration": True, "workspaceFolders": True},
    "window": {"workDoneProgress": True},
    "textDocument": {
        "hover": {"contentFormat": ["markdown", "plaintext"]},
        "publishDiagnostics": {"relatedInformation": True},
        "codeAction": {"codeActionLiteralSupport": {"codeActionKind": {"valueSet": ["quickfix"]}}},
    },
}


class Client:
    """Talks to a server over two streams.

    Attributes:
        answers: from a method that the server may ask, to the result (or an exception to make
            the answer an error); what is not in it is answered with null.
        notified: every notification so far, as (method, params).
        asked: every request of the server so far, in the same form.
    """

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer
        self.answers = {"workspace/configuration": [None]}
        self.notified = []
        self.asked = []
        self.replies = {}
        self.changed = asyncio.Condition()
        self.ids = itertools.count(1)
        self.reading = asyncio.create_task(self._read_all())

    async def _read_all(self):
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                header = await self.reader.readuntil(b"\r\n\r\n")
                length = int(header.split(b"Content-Length: ")[1].split(b"\r\n")[0])
                message = json.loads(await self.reader.readexactly(length))
                async with self.changed:
                    await self._take_in(message)
                    self.changed.notify_all()

    async def _take_in(self, message):
        if "method" not in message:
            self.replies[message.get("id")] = message
        elif "id" not in message:
            self.notified.append((message["method"], message.get("params")))
        else:
            self.asked.append((message["method"], message.get("params")))
            answer = self.answers.get(message["method"])
            if isinstance(answer, Exception):
                error = {"code": -32601, "message": str(answer)}
                self.send({"id": message["id"], "error": error})
            else:
                self.send({"id": message["id"], "result": answer})

    def send(self, message):
        self.send_bytes(json.dumps({"jsonrpc": "2.0", **message}).encode())

    def send_bytes(self, body):
        self.writer.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))

    def notify(self, method, params=None):
        self.send({"method": method, "params": params})

    async def reply_to(self, method, params=None):
        """The whole reply, result or error."""
        message_id = next(self.ids)
        self.send({"id": message_id, "method": method, "params": params})
        await self.until(lambda: message_id in self.replies)
        return self.replies[message_id]

    async def request(self, method, params=None):
        reply = await self.reply_to(method, params)
        assert "error" not in reply, reply
        return reply["result"]

    async def until(self, condition):
        async with self.changed, asyncio.timeout(PATIENCE_S):
            await self.changed.wait_for(condition)

    async def told(self, method, matches=lambda _: True):
        """The params of the first such notification, past or to come."""
        found = []

        def look():
            found[:] = [p for m, p in self.notified if m == method and matches(p)]
            return found

        await self.until(look)
        return found[0]

    def diagnostics(self, uri):
        """As last published; None when never."""
        published = [
            params["diagnostics"]
            for method, params in self.notified
            if method == "textDocument/publishDiagnostics" and params["uri"] == uri
        ]
        return published[-1] if published else None

    async def initialize(self, capabilities=CAPABILITIES, folder=None, **params):
        result = await self.request(
            "initialize",
            {
                "processId": None,
                "rootUri": None,
                "clientInfo": {"name": "Testvim"},
                "capabilities": capabilities,
                "workspaceFolders": [{"uri": folder, "name": "w"}] if folder else None,
                **params,
            },
        )
        self.notify("initialized", {})
        return result

    def open(self, uri, text):
        self.notify(
            "textDocument/didOpen",
            {"textDocument": {"uri": uri, "languageId": "python", "version": 1, "text": text}},
        )


@asynccontextmanager
async def a_client(feed=None, open_feed=None, **options):
    """A client of a server in this very loop, over a socket pair, with `feed` behind it."""
    feed = feed or MemoryFeed()

    async def open_memory_feed(settings, *, on_progress):
        on_progress("compiling probes")
        return feed

    near, far = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=near)
    source, sink = far.makefile("rb"), far.makefile("wb")
    serving = asyncio.create_task(
        serve_connection(open_feed or open_memory_feed, source, sink, **options)
    )
    client = Client(reader, writer)
    client.feed = feed
    client.serving = serving
    try:
        yield client
    finally:
        writer.close()
        await serving
        await client.reading
        far.shutdown(socket.SHUT_RDWR)
        for end in (source, sink, far):  # the socket stays open as long as a file of it does
            with contextlib.suppress(BrokenPipeError):  # for what the client did not wait for
                end.close()


def descendants_of(pid):
    """Pids below `pid`, from /proc."""
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat") as stat:
                fields = stat.read().rpartition(")")[2].split()
                children.setdefault(int(fields[1]), []).append(int(name))
    found, todo = [], [pid]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found
