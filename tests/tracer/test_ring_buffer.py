"""A real ring buffer of the kernel, filled by a program of a few instructions, and read."""

import ctypes
import mmap
import os
import struct

import pytest

from linnix_ls.tracer import bpf_syscall
from linnix_ls.tracer.product import RING_BUFFER
from linnix_ls.tracer.ring_buffer import RingBuffer, records_in


def test_records_are_found_whatever_their_length_and_discarded_ones_are_not():
    def record(content, flags=0):
        padded = content + bytes(-len(content) % 8)
        return struct.pack("<II", len(content) | flags, 7) + padded

    discarded = 1 << 30
    piece = record(b"one") + record(b"gone", discarded) + record(b"") + record(b"eight888")
    assert records_in(piece) == [b"one", b"", b"eight888"]
    assert records_in(b"") == []


def instruction(opcode, registers=0, offset=0, immediate=0):
    return struct.pack("<BBhi", opcode, registers, offset, immediate)


def sender(ring_fd, length):
    """A program that sends `length` bytes of what it is called with."""
    return b"".join((
        instruction(0xBF, 0x16),  # r6 = context
        *(instruction(0x7A, 0x0A, -8 * word, word) for word in range(1, length // 8 + 1)),
        instruction(0x18, 0x11, immediate=ring_fd), instruction(0),
        instruction(0xBF, 0xA2), instruction(0x07, 0x02, immediate=-length),
        instruction(0xB7, 0x03, immediate=length), instruction(0xB7, 0x04, immediate=1),
        instruction(0x85, immediate=130),  # bpf_ringbuf_output(ring, r10 - length, length, …)
        instruction(0xB7, 0x00), instruction(0x95),
    ))  # fmt: skip


class _Run(ctypes.Structure):
    _fields_ = (
        ("prog_fd", ctypes.c_uint32), ("retval", ctypes.c_uint32),
        ("data_size_in", ctypes.c_uint32), ("data_size_out", ctypes.c_uint32),
        ("data_in", ctypes.c_uint64), ("data_out", ctypes.c_uint64),
        ("repeat", ctypes.c_uint32), ("duration", ctypes.c_uint32),
        ("ctx_size_in", ctypes.c_uint32), ("ctx_size_out", ctypes.c_uint32),
        ("ctx_in", ctypes.c_uint64), ("ctx_out", ctypes.c_uint64),
    )  # fmt: skip


@pytest.mark.ebpf
class TestOfTheKernel:
    N_BYTES = mmap.PAGESIZE
    LENGTH = 40

    @pytest.fixture
    def ring(self):
        """The reader, and what sends so many records."""
        map_fd = bpf_syscall.create_map(b"test_ring", RING_BUFFER, 0, 0, self.N_BYTES)
        loaded = bpf_syscall.load(1, sender(map_fd, self.LENGTH), b"GPL", b"test_sender", 1 << 16)
        assert loaded.fd is not None, loaded.log
        packet = ctypes.create_string_buffer(64)

        def send(n_records):
            for _ in range(n_records):
                run = _Run(
                    prog_fd=loaded.fd, data_size_in=64, data_in=ctypes.addressof(packet), repeat=1
                )
                bpf_syscall._bpf(10, run)  # BPF_PROG_TEST_RUN

        yield RingBuffer(map_fd, self.N_BYTES), send
        os.close(loaded.fd)
        os.close(map_fd)

    def expected(self):
        n_words = self.LENGTH // 8
        return struct.pack(f"<{n_words}Q", *range(n_words, 0, -1))

    def test_all_records_come_once_across_the_end_of_the_buffer(self, ring):
        reader, send = ring
        for n_records in (0, 1, 50, 60, 85, 3, 84) * 3:
            send(n_records)
            pieces = list(reader.pieces(1 << 20))
            records = [record for piece in pieces for record in records_in(piece)]
            assert records == [self.expected()] * n_records
        assert list(reader.pieces(1 << 20)) == []

    def test_pieces_are_as_large_as_asked_for(self, ring):
        reader, send = ring
        send(80)
        pieces = list(reader.pieces(200))
        assert all(len(records_in(piece)) == 5 for piece in pieces)
        assert len(pieces) == 16

    def test_a_full_buffer_has_room_again_when_it_has_been_read(self, ring):
        reader, send = ring
        room = self.N_BYTES // (self.LENGTH + 8)
        send(room + 50)
        assert sum(len(records_in(piece)) for piece in reader.pieces(1 << 20)) == room
        send(room)
        assert sum(len(records_in(piece)) for piece in reader.pieces(1 << 20)) == room
