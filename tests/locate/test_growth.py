"""What memory is filled with: the same again, or something that differs."""

import array
import os
import random
import sys

import pytest

from linnix_ls.locate import growth
from linnix_ls.locate.growth import watch_growth
from tests.locate.specimens import NO_PID, running_python

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
N_WORDS = PAGE_BYTES // 8
HEAP = (0x5555_5555_0000, 0x5555_6555_0000)
PRESENT = 1 << 63

CHANCE = random.Random(7)


def share(words):
    return growth._repeated_share(words, growth._Addresses([HEAP]))


def a_page(record, *, step=0):
    """Full of that record; its addresses grow by `step` from one to the next."""
    return [
        word + step * (i // len(record)) if HEAP[0] <= word < HEAP[1] else word
        for i, word in zip(range(N_WORDS), record * N_WORDS, strict=False)
    ]


# -- repeated words ------------------------------------------------------------------------------


def test_the_same_word_all_over_is_a_repetition_of_one():
    assert share([0xABCDEF01] * N_WORDS) == (1.0, 1)


def test_a_record_again_and_again_is_found_with_its_size():
    assert share(a_page([3, 0xAAAA, 0xBBBB, 0xCCCC, 9])) == (1.0, 5)


def test_links_from_record_to_record_repeat_too():
    """A list of objects made one after the other: each address is one size further."""
    assert share(a_page([1, HEAP[0], 0xAAAA, HEAP[0] + 64], step=48)) == (1.0, 4)


def test_numbers_that_grow_do_not_repeat():
    record = [1, 0xAAAA, 0xBBBB]
    page = [word + 7 * i if i % 3 == 1 else word for i, word in enumerate(a_page(record))]
    assert share(page)[0] < 0.7


def test_random_words_do_not_repeat():
    assert share([CHANCE.getrandbits(60) for _ in range(N_WORDS)])[0] < 0.05


def test_rows_that_differ_in_their_content_repeat_in_part():
    """A header of two words, and two of content."""
    page = [CHANCE.getrandbits(60) if i % 4 > 1 else i % 4 for i in range(N_WORDS)]
    assert 0.4 < share(page)[0] < 0.6


def test_addresses_to_anywhere_do_not_repeat():
    page = [CHANCE.randrange(*HEAP, 16) for _ in range(N_WORDS)]
    assert share(page)[0] < 0.1


# -- sequences of content ------------------------------------------------------------------------


def sequences(words):
    return growth._sequences(words, growth._Addresses([HEAP]))


def test_content_is_read_some_words_at_a_time():
    words = [0xA0000 + n for n in range(10)]
    assert sequences(words) == [tuple(words[i : i + 8]) for i in range(3)]


def test_small_numbers_addresses_and_minus_one_are_no_content():
    noise = [0, 1, 65_535, HEAP[0] + 8, (1 << 64) - 1]
    words = [0xA0000 + n for n in range(8)]
    mixed = [piece for word in words for piece in (*noise, word)]
    assert sequences(mixed) == [tuple(words)]


def test_minus_one_is_no_content_in_short_words_either():
    """A JVM's tables of numbers begin with it."""
    assert sequences(array.array("I", [0xFFFF_FFFF] * 1_024)) == []
    assert sequences(array.array("I", [0xA0_0000 + n for n in range(8)])) != []


def test_short_content_has_no_sequences():
    assert sequences([0xA0000] * 7) == []
    assert sequences([]) == []


@pytest.mark.parametrize(
    ("word", "is_address"),
    [(HEAP[0], True), (HEAP[1] - 1, True), (HEAP[1], False), (HEAP[0] - 1, False), (0, False)],
)
def test_an_address_lies_in_what_is_mapped(word, is_address):
    assert (word in growth._Addresses([(0x1000, 0x2000), HEAP])) is is_address
    assert 5 not in growth._Addresses([])


# -- which pages are new -------------------------------------------------------------------------


def entries(drawn):
    return array.array("Q", [PRESENT if letter == "x" else 0 for letter in drawn]).tobytes()


def at(*numbers, start=0x10_0000):
    return [start + n * PAGE_BYTES for n in numbers]


def a_range(first, n, start=0x10_0000):
    return start + first * PAGE_BYTES, start + (first + n) * PAGE_BYTES


def test_pages_that_came_into_a_range_are_new():
    span = a_range(0, 6)
    assert growth._new_pages({span: entries("x..x..")}, {span: entries("xx.xx.")}) == at(1, 4)


def test_of_a_range_that_grew_the_old_part_is_known():
    before, after = {a_range(0, 3): entries("xxx")}, {a_range(0, 6): entries("xxxxx.")}
    assert growth._new_pages(before, after) == at(3, 4)


def test_of_a_range_that_grew_downwards_the_old_part_is_known():
    before, after = {a_range(3, 3): entries("xxx")}, {a_range(0, 6): entries(".xxxxx")}
    assert growth._new_pages(before, after) == at(1, 2)


def test_ranges_that_were_joined_are_known():
    before = {a_range(0, 2): entries("xx"), a_range(4, 2): entries("x.")}
    assert growth._new_pages(before, {a_range(0, 6): entries("xxxxxx")}) == at(2, 3, 5)


def test_a_new_range_is_new_and_pages_that_went_are_nothing():
    before = {a_range(0, 3): entries("xxx")}
    after = {a_range(0, 3): entries("x.."), a_range(9, 2): entries("x.")}
    assert growth._new_pages(before, after) == at(9)


def test_of_many_pages_none_is_passed_over():
    n = 3 * growth._SLICE_ENTRIES + 5
    span = a_range(0, n)
    assert growth._new_pages({span: entries("." * n)}, {span: entries("x" * n)}) == at(*range(n))


def test_entries_that_could_not_be_read_whole_shift_nothing():
    before, after = {a_range(0, 4): entries("x")}, {a_range(0, 4): entries("xxx.")}
    assert growth._new_pages(before, after) == at(1, 2)
    assert growth._new_pages({}, {a_range(0, 4): entries("xx") + b"\0\0\0"}) == at(0, 1)


# -- real processes ------------------------------------------------------------------------------


def needs_right_to_read():
    return pytest.mark.skipif(os.geteuid() != 0, reason="reads other processes: needs root")


def growing(tmp_path, step):
    script = tmp_path / "grow.py"
    script.write_text(
        "import array\nimport time\nkept = []\nn = 0\nprint('ready', flush=True)\n"
        f"while True:\n    n += 1\n    {step}\n    if n % 100 == 0:\n        time.sleep(0.001)\n"
    )
    return running_python(script)


@pytest.mark.e2e
@needs_right_to_read()
@pytest.mark.parametrize(
    "step",
    [
        "kept.append(array.array('d', [1.5, 2.5, 3.5, 17.25] * 30))",
        "kept.append(bytes(range(40, 240)) * 4 + bytes(8))",
        "kept.append('\\n'.join(['the same line of text, of some length, once more'] * 20))",
    ],
)
def test_a_loop_that_keeps_the_same_again_is_told_by_what_it_keeps(tmp_path, step):
    with growing(tmp_path, step) as pid:
        found = watch_growth(pid)
    assert found is not None
    assert found.n_new_pages >= growth.MIN_NEW_PAGES
    assert (
        max(found.seen_again_share if found.n_sequences > 500 else 0, found.repeated_share) > 0.95
    )


@pytest.mark.e2e
@needs_right_to_read()
@pytest.mark.parametrize(
    "step",
    [
        "kept.append([(n * 2654435761 + i) * 11400714819323198485 % (1 << 62) for i in range(60)])",
        "kept.append(''.join(str(hash((n, i))) for i in range(40)))",
        "kept.append({f'key {n} {i}': n * 1.37 + i for i in range(20)})",
    ],
)
def test_a_program_that_keeps_what_differs_is_told_from_it(tmp_path, step):
    with growing(tmp_path, step) as pid:
        found = watch_growth(pid)
    assert found is None or (found.seen_again_share < 0.97 and found.repeated_share < 0.96)


@pytest.mark.e2e
@needs_right_to_read()
def test_who_does_not_grow_is_not_described():
    assert watch_growth(os.getpid()) is None


@pytest.mark.parametrize("pid", [NO_PID, 0, -1])
def test_who_is_not_there_is_not_described(pid):
    assert watch_growth(pid) is None


def test_sizes_are_those_of_this_machine():
    assert sys.byteorder == "little"
    assert array.array("Q").itemsize == 8
