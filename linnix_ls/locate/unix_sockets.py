"""Which unix sockets are connected to each other, by the kernel's word (sock_diag(7)): /proc has
each end's number, and not the other's. Node and others talk to their children through such pairs.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

MAX_REPLY_BYTES = 16 << 20
TIMEOUT_S = 1.0
_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY, _NLMSG_ERROR, _NLMSG_DONE = 20, 2, 3
_REQUEST_DUMP = 0x301
_SHOW_PEER, _ATTRIBUTE_PEER = 0x4, 2
_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_REQUEST = struct.Struct("=BBHIIIII")  # family, protocol, pad, states, inode, show, cookie
_MESSAGE = struct.Struct("=BBBBIII")  # family, type, state, pad, inode, cookie
_ATTRIBUTE = struct.Struct("=HH")  # length, type


def peers() -> dict[int, int]:
    """From each socket's inode to that of its other end; {} when the kernel does not tell. Those
    of other network namespaces are not seen. Blocks for some milliseconds."""
    request = _REQUEST.pack(socket.AF_UNIX, 0, 0, 0xFFFF_FFFF, 0, _SHOW_PEER, 0, 0)
    header = _HEADER.pack(_HEADER.size + len(request), _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, 1, 0)
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as netlink:
            netlink.settimeout(TIMEOUT_S)
            netlink.sendto(header + request, (0, 0))
            return dict(_pairs(netlink))
    except (OSError, struct.error):
        return {}


def _pairs(netlink: socket.socket) -> Iterator[tuple[int, int]]:
    n_bytes = 0
    while n_bytes < MAX_REPLY_BYTES:
        reply = netlink.recv(1 << 16)
        n_bytes += len(reply)
        while len(reply) >= _HEADER.size:
            length, kind, *_ = _HEADER.unpack_from(reply)
            if kind in (_NLMSG_DONE, _NLMSG_ERROR) or length < _HEADER.size:
                return
            message, reply = reply[_HEADER.size : length], reply[(length + 3) & ~3 :]
            *_, inode, _, _ = _MESSAGE.unpack_from(message)
            attributes = message[_MESSAGE.size :]
            while len(attributes) >= _ATTRIBUTE.size:
                size, name = _ATTRIBUTE.unpack_from(attributes)
                if name == _ATTRIBUTE_PEER and size == _ATTRIBUTE.size + 4:
                    yield inode, struct.unpack_from("=I", attributes, _ATTRIBUTE.size)[0]
                attributes = attributes[max((size + 3) & ~3, _ATTRIBUTE.size) :]
