"""Bytes in and out: framing, and what happens when a client does not keep up."""

import asyncio
import contextlib
import io
import os

import pytest

from linnix_ls.lsp.connection import (
    MAX_MESSAGE_BYTES,
    OUTBOX_MARK_BYTES,
    BrokenFraming,
    Connection,
    read_message,
)


def messages(stream):
    source = io.BytesIO(stream)
    return list(iter(lambda: read_message(source), None))


@pytest.mark.parametrize(
    ("stream", "bodies"),
    [
        (b"Content-Length: 2\r\n\r\n{}", [b"{}"]),
        (b"content-length:2\n\n{}Content-Length: 3\r\n\r\nabc", [b"{}", b"abc"]),
        (b"Content-Type: x\r\nContent-Length: 2\r\n\r\n{}", [b"{}"]),
        (b"Content-Length: 2\r\nContent-Type: x\r\n\r\n{}", [b"{}"]),
        (b"noise\n\nContent-Length: 2\r\n\r\n{}", [b"{}"]),
        (b"Content-Length: abc\r\n\r\n{}Content-Length: 2\r\n\r\n{}", [b"{}"]),
        (b"Content-Length: 0\r\n\r\nContent-Length: 2\r\n\r\n{}", [b"", b"{}"]),
        (b"Content-Length: 20\r\n\r\n{}", []),
        (b"Content-Length: 2\r\n", []),
        (b"", []),
    ],
)
def test_messages_are_found_between_what_is_none(stream, bodies):
    assert messages(stream) == bodies


@pytest.mark.parametrize(
    "stream",
    [
        b"Content-Length: %d\r\n\r\n" % (MAX_MESSAGE_BYTES + 1),
        b"x" * 100_000,
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}",
    ],
)
def test_what_cannot_be_lsp_is_refused(stream):
    with pytest.raises(BrokenFraming):
        messages(stream)


@pytest.fixture
def pipes():
    """From a client and to it: source, its write end, sink, its read end."""
    ends = []
    for _ in range(2):
        read_fd, write_fd = os.pipe()
        ends += [os.fdopen(read_fd, "rb"), os.fdopen(write_fd, "wb")]
    source, to_server, from_server, sink = ends
    yield source, to_server, sink, from_server
    for end in (to_server, from_server, source, sink):
        with contextlib.suppress(OSError):
            end.close()


def in_a_loop(test):
    asyncio.run(asyncio.wait_for(test, 20))


def test_messages_before_the_end_of_the_stream_are_all_received(pipes):
    async def receive():
        source, to_server, sink, _ = pipes
        connection = Connection(source, sink)
        to_server.write(b"Content-Length: 1\r\n\r\na" * 3)
        to_server.flush()
        to_server.close()
        connection.start()
        received = [await connection.receive() for _ in range(4)]
        assert received == [b"a", b"a", b"a", None]
        assert connection.end_reason == "the client has closed the stream"
        connection.close()

    in_a_loop(receive())


def test_end_wakes_whoever_waits_for_a_message(pipes):
    async def receive():
        connection = Connection(pipes[0], pipes[2])
        connection.start()
        receiving = asyncio.create_task(connection.receive())
        await asyncio.sleep(0)
        connection.end("SIGTERM")
        connection.end("another reason")
        assert await receiving is None
        assert connection.end_reason == "SIGTERM"
        connection.close()
        pipes[1].close()

    in_a_loop(receive())


def test_a_client_that_does_not_read_is_not_listened_to_until_it_has_caught_up(pipes):
    async def serve():
        source, to_server, sink, from_server = pipes
        connection = Connection(source, sink)
        drained = asyncio.Event()
        connection.on_drained = drained.set
        connection.start()
        # More than the mark and what a pipe holds.
        connection.write(b"x" * (OUTBOX_MARK_BYTES + 200_000))
        assert connection.is_congested
        to_server.write(b"Content-Length: 1\r\n\r\na")
        to_server.flush()
        receiving = asyncio.create_task(connection.receive())
        done, _ = await asyncio.wait([receiving], timeout=0.1)
        assert not done
        loop = asyncio.get_running_loop()
        n_read = 0
        while n_read < OUTBOX_MARK_BYTES + 200_000:
            n_read += len(await loop.run_in_executor(None, from_server.read1, 1 << 20))
        assert await receiving == b"a"
        await drained.wait()
        assert not connection.is_congested
        to_server.close()
        connection.close()

    in_a_loop(serve())


def test_a_client_that_closes_its_end_ends_the_connection(pipes):
    async def serve():
        source, to_server, sink, from_server = pipes
        connection = Connection(source, sink)
        connection.start()
        from_server.close()
        connection.write(b"anybody?")
        assert await connection.receive() is None
        assert connection.end_reason == "the client no longer reads"
        to_server.close()
        connection.close()

    in_a_loop(serve())


def test_closing_does_not_wait_for_a_client_that_does_not_read(pipes):
    async def serve():
        source, to_server, sink, _ = pipes
        connection = Connection(source, sink)
        connection.start()
        connection.write(b"x" * 1_000_000)
        connection.close(flush_within_s=0.05)
        connection.write(b"too late")
        assert await connection.receive() is None
        to_server.close()

    in_a_loop(serve())
