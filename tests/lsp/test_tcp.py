import asyncio
import os
import signal

import pytest

from linnix_ls.errors import UsageError
from linnix_ls.lsp.tcp import parse_address, serve_tcp, uid_of_peer
from tests.lsp.client import Client
from tests.lsp.memory_feed import MemoryFeed, a_finding


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8765", ("127.0.0.1", 8765)),
        ("8765", ("127.0.0.1", 8765)),
        (":0", ("127.0.0.1", 0)),
        ("[::1]:1", ("::1", 1)),
        ("0.0.0.0:1", ("0.0.0.0", 1)),
    ],
)
def test_addresses_are_on_loopback_unless_told_otherwise(text, address):
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", "localhost", "localhost:http", "1:65536", "1:-1", "1:²"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(UsageError):
        parse_address(text)


def test_the_user_at_the_other_end_is_found_in_proc():
    table = (
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
        "   0: 0100007F:223D 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0  0 1\n"
        "   1: 0100007F:D431 0100007F:223D 01 00000000:00000000 00:00000000 00000000  1000  0 2\n"
    ).splitlines()
    assert uid_of_peer(table, peer_port=0xD431, own_port=0x223D) == 1000
    assert uid_of_peer(table, peer_port=0xD432, own_port=0x223D) is None


async def a_listening_server(open_feed):
    listening = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(
        serve_tcp(
            open_feed,
            "127.0.0.1",
            0,
            on_listening=lambda *address: listening.set_result(address),
        )
    )
    return serving, await listening


@pytest.mark.asyncio
async def test_clients_are_served_side_by_side_and_end_one_by_one():
    feeds = []

    async def open_feed(settings, *, on_progress):
        feeds.append(MemoryFeed({"f1": a_finding()}))
        return feeds[-1]

    serving, address = await a_listening_server(open_feed)
    clients = [Client(*await asyncio.open_connection(*address)) for _ in range(2)]
    for client in clients:
        await client.initialize(processId=os.getpid())
        await client.told("textDocument/publishDiagnostics")
    assert len(feeds) == 2
    clients[0].notify("exit")
    await clients[0].reading
    assert await clients[1].request("linnix/status")
    os.kill(os.getpid(), signal.SIGTERM)
    assert await serving == 0
    await clients[1].reading
    assert all(feed.is_closed for feed in feeds)
    for client in clients:
        client.writer.close()


@pytest.mark.asyncio
async def test_a_web_page_cannot_talk_to_it():
    serving, address = await a_listening_server(None)
    reader, writer = await asyncio.open_connection(*address)
    body = b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"capabilities":{}}}'
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
    writer.write(head + body)
    assert await reader.read() == b""
    writer.close()
    os.kill(os.getpid(), signal.SIGTERM)
    await serving


@pytest.mark.asyncio
async def test_an_address_in_use_is_a_usage_error():
    serving, (host, port) = await a_listening_server(None)
    with pytest.raises(UsageError, match="cannot listen"):
        await serve_tcp(None, host, port, on_listening=print)
    os.kill(os.getpid(), signal.SIGTERM)
    await serving
