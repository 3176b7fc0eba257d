"""Records out of a BPF ring buffer, through the memory that the kernel shares.

They are taken as the kernel wrote them, many at once: ``<u32 length and flags><u32 unused>
<record>``, padded to eight bytes. `records_in` takes such a piece apart, elsewhere and later. To
find the end of what is finished costs less than a call of a library for each record would.

Source: kernel/bpf/ringbuf.c, and libbpf's reader of it.
"""

from __future__ import annotations

import mmap
import struct
import threading
from collections.abc import Iterator

_BUSY, _DISCARDED = 1 << 31, 1 << 30
_HEAD = struct.Struct("<II")
_LENGTH = struct.Struct("<I")


class RingBuffer:
    """A map of that kind, read by one process.

    Args:
        n_bytes: its size, which the kernel calls its number of entries.
    """

    def __init__(self, map_fd: int, n_bytes: int) -> None:
        page = mmap.PAGESIZE
        ours = mmap.mmap(map_fd, page, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        # The kernel offers the records twice in a row, so that none is cut where the buffer begins
        # anew. Once is enough, and half the memory that we are said to have.
        self._records = mmap.mmap(
            map_fd, page + n_bytes, mmap.MAP_SHARED, mmap.PROT_READ, offset=page
        )
        self._taken = memoryview(ours).cast("Q")
        self._written = memoryview(self._records)[:page].cast("Q")
        self._mask = n_bytes - 1
        self._order = threading.Lock()
        self._order.acquire()

    def pieces(self, n_bytes: int) -> Iterator[bytes]:
        """What is finished now, in pieces of whole records, of about that size at most. When a
        piece has been returned its place is free again."""
        until = self._written[0]
        self._keep_order()
        while piece := self._take(until, n_bytes):
            yield piece

    def _take(self, until: int, n_bytes: int) -> bytes:
        start = end = self._taken[0]
        first, mask, records = mmap.PAGESIZE, self._mask, self._records
        length_at = _LENGTH.unpack_from
        limit = min(until, start + n_bytes)
        while end < limit:
            (length,) = length_at(records, first + (end & mask))
            if length & _BUSY:
                break
            end += (length & ~_DISCARDED) + _HEAD.size + 7 & ~7
        self._keep_order()
        at = first + (start & mask)
        piece = records[at : at + end - start]
        if missing := end - start - len(piece):
            piece += records[first : first + missing]
        self._keep_order()
        self._taken[0] = end
        return piece

    def _keep_order(self) -> None:
        """What is read before this is read before what comes after it, whatever the CPU: releasing
        and then acquiring a lock is such a barrier."""
        self._order.release()
        self._order.acquire()


def records_in(piece: bytes) -> list[bytes]:
    """The records of a piece, in order."""
    records = []
    position = 0
    while position < len(piece):
        length, _ = _HEAD.unpack_from(piece, position)
        position += _HEAD.size
        n_bytes = length & ~(_BUSY | _DISCARDED)
        if not length & _DISCARDED:
            records.append(piece[position : position + n_bytes])
        position += n_bytes + 7 & ~7
    return records
