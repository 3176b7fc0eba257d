"""How far a program reads into its context, told by its bytecode."""

import struct

from linnix_ls.playground.context_reads import furthest_read


def instruction(code, destination=0, source=0, offset=0, immediate=0):
    return struct.pack("<BBhi", code, source << 4 | destination, offset, immediate)


def move(destination, source):
    return instruction(0xBF, destination, source)


def load_word(destination, source, offset):
    return instruction(0x61, destination, source, offset)


CALL = instruction(0x85, immediate=14)
JUMP = instruction(0x15, 2, 0, 1)
EXIT = instruction(0x95)


def test_the_read_that_reaches_furthest_is_told():
    assert furthest_read(load_word(0, 1, 8) + load_word(0, 1, 24) + EXIT) == (1, 28)


def test_a_copy_that_survives_calls_counts():
    assert furthest_read(move(6, 1) + CALL + load_word(0, 6, 16) + EXIT) == (2, 20)


def test_after_a_call_the_register_holds_something_else():
    assert furthest_read(CALL + load_word(0, 1, 500) + EXIT) is None


def test_where_paths_may_have_joined_only_what_is_written_once_counts():
    assert furthest_read(JUMP + load_word(0, 1, 500) + EXIT) is None
    twice = move(6, 1) + JUMP + move(6, 2) + load_word(0, 6, 500) + EXIT
    assert furthest_read(twice) is None


def test_a_pointer_that_was_read_from_it_is_not_the_context():
    assert furthest_read(load_word(1, 1, 8) + load_word(0, 1, 500) + EXIT) == (0, 12)


def test_any_bytes_will_do():
    assert furthest_read(b"\x18" * 23) is None
    assert furthest_read(b"") is None
