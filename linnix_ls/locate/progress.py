"""Whether a process's memory moves on: the test that a loop without progress cannot pass.

A program that gets anywhere counts something: a position, a round, a total. Somewhere in its
memory a word rises or falls without ever coming back. A program that goes round in circles
changes memory too, but only between the same few contents. So its writable pages are read
several times, and words that strictly advance are counted. Read only; nothing is stopped.

Meaningful where memory is not moved about by a collector: CPython and native programs.
"""

from __future__ import annotations

import array
import os
import re
import struct
import sys
import time
import zlib
from collections.abc import Sequence
from itertools import pairwise

from linnix_ls.core.examination import MemoryProgress
from linnix_ls.locate.memory import MAX_MAPS_BYTES, private_span

N_LOOKS = 14
LOOK_INTERVAL_S = 0.035
# 128 MB: reading and comparing them takes 0.1 s. What is larger is not judged by its memory.
MAX_PAGES = 32_768
# Loops without progress dirty 4 to 30 pages; whoever dirties this many is building something.
MAX_CHANGED_PAGES = 400
# Whoever has more is asked for some of them first: most who are looked at compile or compute, and
# change far more than that. It takes a twelfth of the time to see.
MIN_SAMPLED_PAGES = 2_000
_SAMPLE_STEP = 8
# 32 GB of addresses, 64 MB of the kernel's table: looking through takes 0.05 s.
MAX_PAGES_SCANNED = 8 << 20
_SCANNED_AT_ONCE = 1 << 13
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_PRESENT_BIT = 63  # of an entry of /proc/<pid>/pagemap (admin-guide/mm/pagemap.rst)
_CLOCK_TOLERANCE_S = 0.02
_INTERPRETER = re.compile(r"/(lib)?python[\d.]*[^/]*$")
MAX_REFERENCES = 1 << 40
# Of CPython's allocator, since 3.10 (POOL_SIZE in Objects/obmalloc.c); before that, less.
_POOL_BYTES = 1 << 14
_LOWEST_ADDRESS, _HIGHEST_ADDRESS = 0x40_0000, 1 << 47


def watch_memory(pid: int, *, counts_references: bool = False) -> MemoryProgress | None:
    """Look for about 0.6 s. None when the memory cannot be read, or is too much. Blocks.

    Args:
        counts_references: its objects begin with the number of references to them, and the
            address of their type, as those of CPython do. That number is no progress, nor is
            what the interpreter counts in variables of its own.
    """
    try:
        memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        pages = _resident_pages(pid, without_interpreter=counts_references)
        if not pages:
            return None
        if n_changed := _many_changing(memory, pages):
            return MemoryProgress(len(pages), n_changed, 0, 0)
        changed = _changing(memory, pages)
        if len(changed) > MAX_CHANGED_PAGES:
            return MemoryProgress(len(pages), len(changed), 0, 0)
        looks: list[dict[int, array.array[int]]] = []
        times_s = []
        for n in range(N_LOOKS):
            # Uneven, so as not to meet a loop's own period each time.
            time.sleep(LOOK_INTERVAL_S * (0.6 + 0.4 * (n % 3)))
            times_s.append(time.monotonic())
            looks.append({page: array.array("Q", _read(memory, page)) for page in changed})
    except OSError:
        return None  # it has gone
    finally:
        os.close(memory)
    n_advancing = n_never_same = n_left = 0
    for page in changed:
        advancing, never_same, left = _count(
            page, [look[page] for look in looks], times_s, counts_references=counts_references
        )
        n_advancing += advancing
        n_never_same += never_same
        n_left += left
    return MemoryProgress(len(pages), len(changed), n_advancing, n_never_same, n_left)


def _resident_pages(pid: int, *, without_interpreter: bool = False) -> list[int]:
    """Addresses of the present pages of private writable memory, the stack left out: what lies
    there is mostly left over from calls. None of a process with more than can be looked through:
    of a part of the memory nothing follows."""
    found: list[int] = []
    own_end = 0
    with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as maps:
        lines = maps.readlines(MAX_MAPS_BYTES)
        if maps.readline():
            return []
    n_scanned = 0
    with open(f"/proc/{pid}/pagemap", "rb", buffering=0) as pagemap:
        for line in lines:
            span = private_span(line)
            if span is None:
                continue
            start, end = span
            if without_interpreter and start == own_end:
                continue  # behind the file's: its variables that begin as zero
            if without_interpreter and _INTERPRETER.search(line):
                own_end = end
                continue
            if (end - start) // _PAGE_BYTES > 64 * MAX_PAGES:
                continue  # reserved address space
            pagemap.seek(start // _PAGE_BYTES * 8)
            for first in range(start, end, _SCANNED_AT_ONCE * _PAGE_BYTES):
                n_entries = min(_SCANNED_AT_ONCE, (end - first) // _PAGE_BYTES)
                raw = pagemap.read(n_entries * 8)
                n_scanned += n_entries
                if raw.count(0) < len(raw):
                    found += _present(raw, first)
                if len(found) > MAX_PAGES or n_scanned > MAX_PAGES_SCANNED:
                    return []
    return found


def _present(raw: bytes, first: int) -> list[int]:
    """Addresses of the present pages; `raw`: entries of the pagemap from the page at `first` on."""
    entries = array.array("Q")
    entries.frombytes(raw[: len(raw) // 8 * 8])
    return [first + i * _PAGE_BYTES for i, entry in enumerate(entries) if entry >> _PRESENT_BIT]


def _many_changing(memory: int, pages: Sequence[int]) -> int:
    """By a part of the pages, about how many change, if these are far too many; else 0."""
    if len(pages) < MIN_SAMPLED_PAGES:
        return 0
    n_changed = _SAMPLE_STEP * len(_changing(memory, pages[::_SAMPLE_STEP], pauses_s=(0.03,)))
    return n_changed if n_changed > 2 * MAX_CHANGED_PAGES else 0


def _changing(
    memory: int, pages: Sequence[int], pauses_s: Sequence[float] = (0.03, 0.05)
) -> list[int]:
    """Those that differ between readings with these pauses between them."""
    first = [zlib.crc32(_read(memory, page)) for page in pages]
    changed = set()
    for pause_s in pauses_s:
        time.sleep(pause_s)
        for page, before in zip(pages, first, strict=True):
            if page not in changed and zlib.crc32(_read(memory, page)) != before:
                changed.add(page)
    return sorted(changed)


def _read(memory: int, page: int) -> bytes:
    try:
        content = os.pread(memory, _PAGE_BYTES, page)
    except OSError:
        content = b""  # unmapped meanwhile
    return content.ljust(_PAGE_BYTES, b"\0")


def _count(
    page: int,
    looks: list[array.array[int]],
    times_s: Sequence[float],
    *,
    counts_references: bool,
) -> tuple[int, int, int]:
    """Of the page at that address: words that strictly advance, words that were never the same
    twice, and words that were left for good whenever they changed."""
    n_advancing = n_never_same = n_left = 0
    last = looks[-1]
    for index in _changing_words(looks):
        values = [look[index] for look in looks]
        n_values = len(set(values))
        n_left += sum(a != b for a, b in pairwise(values)) == n_values - 1
        if n_values < len(values):
            continue
        n_never_same += 1
        is_rising = all(a < b for a, b in pairwise(values))
        is_falling = all(a > b for a, b in pairwise(values))
        if not (is_rising or is_falling) or is_clock(values, times_s):
            continue
        if counts_references and _is_bookkeeping(page, last, index):
            continue
        n_advancing += 1
    return n_advancing, n_never_same, n_left


def _changing_words(looks: list[array.array[int]]) -> list[int]:
    """Where they differ: most of the words of a page that changes stay as they are."""
    as_numbers = [int.from_bytes(look.tobytes(), sys.byteorder) for look in looks]
    difference = 0
    for number in as_numbers[1:]:
        difference |= number ^ as_numbers[0]
    words = array.array("Q", difference.to_bytes(_PAGE_BYTES, sys.byteorder))
    return [index for index, word in enumerate(words) if word]


def _is_bookkeeping(page: int, words: Sequence[int], index: int) -> bool:
    """Whether a word of CPython's objects is no user's: the number of references at their
    beginning, before the address of their type; the version of a dictionary, which has its type
    two words before it and the address of its keys behind it.

    What the user counts looks much the same. The length of a list is before an address, too, but
    has the type before it; a number is where a version would be, but what follows it is another
    object of the same pool, of which the first word is the address of the next free one.
    """
    if words[index] >= MAX_REFERENCES or not _is_address_at(words, index + 1):
        return False
    if index % 2 == 0:  # objects begin at multiples of 16
        return words[index + 1] % 16 == 0 and not _is_header(words, index - 2)
    is_of_this_pool = words[index + 1] // _POOL_BYTES == page // _POOL_BYTES
    return _is_header(words, index - 3) and not is_of_this_pool


def _is_header(words: Sequence[int], index: int) -> bool:
    """Whether an object may begin there: its references, and the address of its type."""
    return (
        index >= 0
        and words[index] < MAX_REFERENCES
        and not _is_address(words[index])
        and _is_address(words[index + 1])
    )


def _is_address_at(words: Sequence[int], index: int) -> bool:
    return 0 < index < len(words) and _is_address(words[index])


def _is_address(word: int) -> bool:
    """Of something in user space that is aligned."""
    return _LOWEST_ADDRESS < word < _HIGHEST_ADDRESS and word % 8 == 0


def is_clock(values: Sequence[int], times_s: Sequence[float]) -> bool:
    """Whether a word only tells the time: a loop that asks the clock gets no further by it."""
    for first, last in (
        _as_floats(values[0], values[-1]),
        (values[0] / 1e9, values[-1] / 1e9),
    ):
        if abs(abs(last - first) - (times_s[-1] - times_s[0])) < _CLOCK_TOLERANCE_S:
            return True
    return False


def _as_floats(first: int, last: int) -> tuple[float, float]:
    (one, other) = struct.unpack("2d", struct.pack("2Q", first, last))
    return one, other
