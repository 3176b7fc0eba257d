"""One client's byte streams: framing, and two threads so that nothing blocks the event loop.

A reader thread turns bytes into message bodies; a writer thread drains the outbox. A client that
stops reading makes the outbox grow to its mark: from then on answers wait (no further message is
taken in) and news is held back (`is_congested`), so memory stays bounded while the loop runs on.

Not here: JSON, or what a message means (`protocol`).
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
from collections import deque
from collections.abc import Callable
from typing import BinaryIO

MAX_MESSAGE_BYTES = 64 << 20
OUTBOX_MARK_BYTES = 1 << 20
_MAX_LINE_BYTES = 8 << 10
_MAX_WAITING_MESSAGES = 64

# Searched, not matched: after a broken message the next header may follow on the same line.
_CONTENT_LENGTH = re.compile(rb"content-length:[ \t]*(\d{1,10})[ \t]*\r?\n?$", re.IGNORECASE)
_HTTP_REQUEST = re.compile(rb" HTTP/\d(\.\d)?\s*$")


class BrokenFraming(Exception):
    """What arrives is not LSP and cannot become it."""


def read_message(source: BinaryIO) -> bytes | None:
    """Read one message body. None at the end of the stream. Lines that are no header are skipped.

    Raises:
        BrokenFraming: a length beyond all reason, an endless line, or a web page that tries to
            talk to us (an HTTP POST would otherwise pass for headers and a body).
    """
    length: int | None = None
    while True:
        line = source.readline(_MAX_LINE_BYTES)
        if not line:
            return None
        if _HTTP_REQUEST.search(line):
            raise BrokenFraming("this is HTTP, not LSP")
        if match := _CONTENT_LENGTH.search(line):
            length = int(match[1])
            if length > MAX_MESSAGE_BYTES:
                raise BrokenFraming(f"a message of {length} bytes")
        elif not line.strip() and length is not None:
            body = source.read(length)
            return body if len(body) == length else None
        elif len(line) == _MAX_LINE_BYTES:
            raise BrokenFraming("an endless header line")


class Connection:
    """Messages from and to one client.

    Use on the event loop's thread, after `start()`. `on_drained` is called there when the client
    has caught up after a congestion.

    Attributes:
        end_reason: why it ended, in words; None before.
    """

    def __init__(self, source: BinaryIO, sink: BinaryIO) -> None:
        self.on_drained: Callable[[], None] = lambda: None
        self.end_reason: str | None = None
        self.is_congested = False
        self._source = source
        self._sink = sink
        self._loop = asyncio.get_running_loop()
        self._inbox: deque[bytes | None] = deque()
        self._inbox_slots = threading.Semaphore(_MAX_WAITING_MESSAGES)
        self._is_at_eof = False
        self._changed = asyncio.Event()
        # The outbox is shared with the writer thread, under this condition's lock.
        self._outbox_changed = threading.Condition()
        self._outbox: deque[bytes] = deque()
        self._n_outbox_bytes = 0
        self._is_closing = False
        self._writer = threading.Thread(target=self._write_all, name="lsp-writer", daemon=True)

    def start(self) -> None:
        self._writer.start()
        threading.Thread(target=self._read_all, name="lsp-reader", daemon=True).start()

    async def receive(self) -> bytes | None:
        """The next message body; None when the connection has ended.

        Waits while the client is not reading its answers.
        """
        while self.end_reason is None:
            if self._inbox and (self._is_at_eof or not self.is_congested):
                self._inbox_slots.release()
                body = self._inbox.popleft()
                if body is None:
                    self.end("the client has closed the stream")
                return body
            self._changed.clear()
            await self._changed.wait()
        return None

    def write(self, data: bytes) -> None:
        """Queue a framed message. Never blocks; after the end it goes nowhere."""
        with self._outbox_changed:
            if self._is_closing:
                return
            self._outbox.append(data)
            self._n_outbox_bytes += len(data)
            self.is_congested |= self._n_outbox_bytes > OUTBOX_MARK_BYTES
            self._outbox_changed.notify()

    def end(self, reason: str) -> None:
        """Make `receive` answer None from now on. The first reason counts."""
        self.end_reason = self.end_reason or reason
        self._changed.set()

    def close(self, *, flush_within_s: float = 0.3) -> None:
        """Write what is in the outbox, if the client takes it in time, and stop."""
        self.end("closed")
        with self._outbox_changed:
            self._is_closing = True
            self._outbox_changed.notify()
        self._writer.join(flush_within_s)

    def _take_in(self, body: bytes | None) -> None:
        self._inbox.append(body)
        if body is None:
            self._is_at_eof = True
        self._changed.set()

    def _drained(self) -> None:
        if self.is_congested and self._n_outbox_bytes <= OUTBOX_MARK_BYTES // 2:
            self.is_congested = False
            self._changed.set()
            self.on_drained()

    def _read_all(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has been closed under this thread
            try:
                while (body := read_message(self._source)) is not None:
                    self._inbox_slots.acquire()
                    self._loop.call_soon_threadsafe(self._take_in, body)
            except BrokenFraming as error:
                self._loop.call_soon_threadsafe(self.end, f"the client does not speak LSP: {error}")
            except (OSError, ValueError):  # reset by the peer; closed by us
                pass
            self._loop.call_soon_threadsafe(self._take_in, None)

    def _write_all(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has been closed under this thread
            while (batch := self._next_batch()) is not None:
                try:
                    self._sink.write(batch)
                    self._sink.flush()
                except (OSError, ValueError):
                    self._loop.call_soon_threadsafe(self.end, "the client no longer reads")
                    return
                with self._outbox_changed:
                    self._n_outbox_bytes -= len(batch)
                self._loop.call_soon_threadsafe(self._drained)

    def _next_batch(self) -> bytes | None:
        with self._outbox_changed:
            self._outbox_changed.wait_for(lambda: self._outbox or self._is_closing)
            batch = b"".join(self._outbox)
            self._outbox.clear()
            return batch or None
