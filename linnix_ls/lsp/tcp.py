"""The language server on a TCP port: several clients, each with a server of its own.

LSP has no authentication, and whoever connects may stop this user's processes. So a client on
this machine has to be of the same user (or root); for others, that the user named an address to
listen on other than loopback is all the permission there is.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Unpack

from linnix_ls.errors import UsageError
from linnix_ls.lsp.server import ServerOptions, serve_connection
from linnix_ls.lsp.session import OpenFeed

logger = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"

_Serve = Callable[..., Awaitable[int]]


def parse_address(text: str) -> tuple[str, int]:
    """Read ``HOST:PORT``, ``[IPV6]:PORT`` or ``PORT`` (on loopback; 0 takes any free port).

    Raises:
        UsageError: it is none of these.
    """
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") or LOOPBACK
    if not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise UsageError(f"not an address: {text!r}", fix="linnix-ls --tcp 127.0.0.1:8765")
    return host, int(port)


def uid_of_peer(tables: Iterable[str], peer_port: int, own_port: int) -> int | None:
    """Who holds the other end of a loopback connection, by the lines of /proc/net/tcp{,6}.

    See proc(5): local address, remote address and uid are the second, third and eighth field.
    """
    ends = (f":{peer_port:04X}", f":{own_port:04X}")
    for line in tables:
        fields = line.split()
        if len(fields) > 7 and fields[1].endswith(ends[0]) and fields[2].endswith(ends[1]):
            return int(fields[7])
    return None


async def serve_tcp(
    open_feed: OpenFeed,
    host: str,
    port: int,
    *,
    on_listening: Callable[[str, int], None],
    **options: Unpack[ServerOptions],
) -> int:
    """Serve until SIGINT or SIGTERM.

    Raises:
        UsageError: the address cannot be listened on.
    """
    loop = asyncio.get_running_loop()
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        raise UsageError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    clients: set[asyncio.Task[None]] = set()
    serve = partial(serve_connection, open_feed, **options)
    with listener:
        listener.setblocking(False)
        on_listening(*listener.getsockname()[:2])
        accepting = asyncio.create_task(_accept_all(serve, listener, clients))
        await stop.wait()
        accepting.cancel()
        for client in clients:
            client.cancel()
        await asyncio.gather(accepting, *clients, return_exceptions=True)
    return 0


async def _accept_all(
    serve: _Serve, listener: socket.socket, clients: set[asyncio.Task[None]]
) -> None:
    loop = asyncio.get_running_loop()
    while True:
        client, peer = await loop.sock_accept(listener)
        is_local = ipaddress.ip_address(peer[0]).is_loopback
        if is_local and not _may_connect(peer[1], listener.getsockname()[1]):
            logger.warning("refused a client of another user")
            client.close()
            continue
        task = asyncio.create_task(_serve_client(serve, client, is_local=is_local))
        clients.add(task)
        task.add_done_callback(clients.discard)


def _may_connect(peer_port: int, own_port: int) -> bool:
    lines: list[str] = []
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError), open(f"/proc/net/{name}") as table:
            lines += table
    return uid_of_peer(lines, peer_port, own_port) in (0, os.geteuid())


async def _serve_client(serve: _Serve, client: socket.socket, *, is_local: bool) -> None:
    client.setblocking(True)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    source, sink = client.makefile("rb"), client.makefile("wb")
    try:
        await serve(source, sink, is_client_local=is_local)
    finally:
        # Wakes the threads that wait in a read or write, so that the files can be closed.
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
        for end in (source, sink, client):
            with contextlib.suppress(OSError):
                end.close()
