"""What a process fills its memory with: the same thing over and over, or something that differs.

A loop that stands still and keeps what it makes each time adds the same records again and again;
whoever builds something large from anything adds what differs. So some of the pages that came
within half a second are read, and two things are asked of their words. How many repeat the one a
period before: links between records differ by the size of one, so of addresses equal steps count
as the same. And of words with content, text or numbers and no addresses, how many come in the
same order in another page, too: a circle may be longer than a page. Read only; nothing is stopped.
"""

from __future__ import annotations

import array
import os
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from itertools import compress
from operator import and_, sub

from linnix_ls.core.examination import MemoryGrowth
from linnix_ls.locate.memory import MAX_MAPS_BYTES, private_span

WATCH_S = 0.5
MAX_SAMPLED_PAGES = 8
MIN_FILLED_PAGES = 6
# Of who takes less, nobody asks.
MIN_NEW_PAGES = 1_000
MAX_PERIOD_WORDS = 64
# Small numbers are everywhere, and so is -1; text of three letters and more is between.
MIN_CONTENT = 1 << 16
# Of short and long words: -1 is just below, and so are other small numbers.
_TOP_OF_SHORT, _TOP_OF_LONG = 1 << 32, 1 << 64
MAX_PAGES_READ = 512
# Longer than one string or number: those may come again in another order.
SEQUENCE_WORDS = 8
# 2 MB of entries say which pages of 1 GB are there; reading them takes 1 ms.
MAX_ENTRIES_BYTES = 32 << 20
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_PRESENT_BIT = 63  # of an entry of /proc/<pid>/pagemap (admin-guide/mm/pagemap.rst)
_SLICE_ENTRIES = 512
# Of short addresses, and where they end (HotSpot's -XX:ObjectAlignmentInBytes is 8).
_SHIFT, _SHORT_END = 3, 1 << 35

_Range = tuple[int, int]


def watch_growth(pid: int, *, has_short_addresses: bool = False) -> MemoryGrowth | None:
    """Look for about 0.5 s. None when nothing can be read, or too little has come. Blocks.

    Args:
        has_short_addresses: its objects refer to one another by 32 bits, shifted, as a JVM's do.
    """
    try:
        before = _entries(pid)
        time.sleep(WATCH_S)
        after = _entries(pid)
        new_pages = _new_pages(before, after)
        if len(new_pages) < MIN_NEW_PAGES:
            return None
        return _describe(pid, new_pages, list(after), has_short_addresses=has_short_addresses)
    except OSError:
        return None  # it has gone, or is not for us to read


def _entries(pid: int) -> dict[_Range, bytes]:
    """Of each range of private writable memory, which pages are there."""
    found: dict[_Range, bytes] = {}
    n_bytes = 0
    with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as maps:
        lines = maps.readlines(MAX_MAPS_BYTES)
    with open(f"/proc/{pid}/pagemap", "rb", buffering=0) as pagemap:
        for line in lines:
            span = private_span(line)
            if span is None:
                continue
            start, end = span
            n_wanted = (end - start) // _PAGE_BYTES * 8
            n_bytes += n_wanted
            if n_bytes > MAX_ENTRIES_BYTES:
                break
            pagemap.seek(start // _PAGE_BYTES * 8)
            found[start, end] = pagemap.read(n_wanted)
    return found


def _new_pages(before: dict[_Range, bytes], after: dict[_Range, bytes]) -> list[int]:
    """Addresses of pages that are there now and were not before."""
    old = sorted(before)
    starts = [start for start, _ in old]
    new: list[int] = []
    for (start, end), raw in after.items():
        entries = array.array("Q")
        entries.frombytes(raw[: len(raw) // 8 * 8])
        known = bytearray(len(raw))
        at = max(0, bisect_right(starts, start) - 1)
        for old_start, old_end in old[at:]:
            if old_start >= end:
                break
            first, last = max(start, old_start), min(end, old_end)
            if first < last:
                into, out_of = (((first - base) // _PAGE_BYTES * 8) for base in (start, old_start))
                n = (last - first) // _PAGE_BYTES * 8
                known[into : into + n] = before[old_start, old_end][out_of : out_of + n]
        for offset in range(0, len(raw), _SLICE_ENTRIES * 8):
            now, then = (
                raw[offset : offset + _SLICE_ENTRIES * 8],
                known[offset : offset + _SLICE_ENTRIES * 8],
            )
            if now == then:
                continue
            was = array.array("Q")
            was.frombytes(bytes(then).ljust(len(now), b"\0")[: len(now) // 8 * 8])
            first = offset // 8
            new += [
                start + (first + i) * _PAGE_BYTES
                for i, entry in enumerate(was)
                if not entry >> _PRESENT_BIT and entries[first + i] >> _PRESENT_BIT
            ]
    return new


def _describe(
    pid: int, pages: Sequence[int], ranges: list[_Range], *, has_short_addresses: bool
) -> MemoryGrowth | None:
    """Of some of the new pages, spread over all of them."""
    word_type = "I" if has_short_addresses else "Q"
    if has_short_addresses:
        ranges = [
            (start >> _SHIFT, end >> _SHIFT) for start, end in ranges if end >> _SHIFT + 32 == 0
        ]
    ranges.sort()
    step = max(1, len(pages) // MAX_PAGES_READ)
    filled: list[array.array[int]] = []
    memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
    try:
        for page in pages[::step]:
            words = array.array(word_type)
            try:
                words.frombytes(os.pread(memory, _PAGE_BYTES, page))
            except OSError:
                continue  # moved meanwhile, as large arrays are when they grow
            if words.count(0) < 0.8 * len(words):  # else not written yet
                filled.append(words)
    finally:
        os.close(memory)
    if len(filled) < MIN_FILLED_PAGES:
        return None
    sampled = range(0, len(filled), max(1, len(filled) // MAX_SAMPLED_PAGES))
    addresses = _Addresses(ranges)
    share, period = _repeated_by_most([filled[i] for i in sampled], addresses)
    sequences = [_sequences(words, addresses) for words in filled]
    n_pages_with = Counter(sequence for found in sequences for sequence in set(found))
    n_seen_again = sum(n_pages_with[sequence] > 1 for found in sequences for sequence in found)
    n_sequences = sum(map(len, sequences))
    return MemoryGrowth(
        n_new_pages=len(pages),
        n_read_pages=len(filled),
        repeated_share=round(share, 3),
        period_bytes=period * filled[0].itemsize,
        n_sequences=n_sequences,
        seen_again_share=round(n_seen_again / max(1, n_sequences), 3),
    )


def _sequences(words: Sequence[int], addresses: _Addresses) -> list[tuple[int, ...]]:
    """Words of content as they follow one another, `SEQUENCE_WORDS` at a time."""
    content = [
        word
        for word in words
        if MIN_CONTENT <= word < _TOP_OF_LONG - MIN_CONTENT
        and not _TOP_OF_SHORT - MIN_CONTENT <= word < _TOP_OF_SHORT
        and (word >= addresses.end or word not in addresses)
    ]
    return list(zip(*(content[i:] for i in range(SEQUENCE_WORDS)), strict=False))


class _Addresses:
    """Whether a word may be one, of what lies in these ranges."""

    def __init__(self, ranges: list[_Range]) -> None:
        self._starts = [start for start, _ in ranges]
        self._ends = [end for _, end in ranges]
        self.end = max(self._ends, default=0)

    def __contains__(self, word: int) -> bool:
        at = bisect_right(self._starts, word) - 1
        return at >= 0 and word < self._ends[at]


def _repeated_by_most(pages: Sequence[Sequence[int]], addresses: _Addresses) -> tuple[float, int]:
    """What all but a quarter of the pages have, at least. No more are looked at than it takes to
    see that it is less than half."""
    found: list[tuple[float, int]] = []
    for page in pages:
        found = sorted([*found, _repeated_share(page, addresses)])
        if len(found) > len(pages) // 4 and found[len(pages) // 4][0] < 0.5:
            break
    return found[len(pages) // 4]


def _repeated_share(words: Sequence[int], addresses: _Addresses) -> tuple[float, int]:
    """The largest share of words that repeat the one a period before, and that period."""
    is_address = [word in addresses for word in words]
    return max(
        ((_share_at(words, is_address, period), period) for period in range(1, MAX_PERIOD_WORDS)),
        key=lambda found: (found[0], -found[1]),
    )


def _share_at(words: Sequence[int], is_address: Sequence[bool], period: int) -> float:
    steps = list(map(sub, words[period:], words))
    between_addresses = map(and_, is_address[period:], is_address)
    usual = Counter(compress(steps, between_addresses)).most_common(2)
    n_same = steps.count(0) + sum(n for step, n in usual if step)
    return n_same / len(steps)
