"""Which generation of a probe speaks: some instructions in front of each of its programs, and the
word in the kernel that these look at.

While a probe is exchanged, its old programs and the new ones are attached at once, and every hit
runs both, the old one first (the kernel runs them in the order in which they were attached, on
one CPU, without interruption). Then exactly one of them may act. So each begins with

    if the mark of this CPU and place is the predecessor's: clear it, return   # it has just acted
    if the gate does not name my generation: return
    set the mark to my generation

and to exchange them is to write one number. Marks that are left from hits before the new ones
were attached are cleared in between, when the gate still names the old generation.

Programs of the CPU clock have a clock of their own each, and look at the gate only.
"""

from __future__ import annotations

import mmap
import struct

from linnix_ls.playground.policy import PERF_EVENT
from linnix_ls.tracer import bpf_syscall

MAX_PLACES = 64  # that a probe is attached at over all its generations
_LINE_BYTES = 64  # one cache line for each mark, or CPUs would slow each other down
_CPU_NUMBER = 8  # bpf_get_smp_processor_id()
_MAP_FD, _MAP_VALUE, _FUNCTION = 1, 2, 4  # BPF_PSEUDO_MAP_FD, …_MAP_VALUE, …_FUNC
_LOAD_64 = 0x18


class Gate:
    """A probe's gate, shared by all its generations.

    Args:
        n_cpus: that the kernel can have; the highest number and one.
        fd: of one that exists; else one is made.
    """

    def __init__(self, n_cpus: int, fd: int | None = None) -> None:
        self._n_cpus = 1 << (n_cpus - 1).bit_length()  # so that a mask bounds it
        size = _LINE_BYTES * (1 + MAX_PLACES * self._n_cpus)
        if fd is None:
            fd = bpf_syscall.create_map(
                b"linnix_gate", bpf_syscall.ARRAY, 4, size, 1, flags=bpf_syscall.MMAPABLE
            )
        self.fd = fd
        whole = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
        self._memory = mmap.mmap(fd, whole)

    def let_through(self, generation: int) -> None:
        """From the next hit on that generation acts, and no other."""
        end = _LINE_BYTES * (1 + MAX_PLACES * self._n_cpus)
        self._memory[_LINE_BYTES:end] = bytes(end - _LINE_BYTES)
        with memoryview(self._memory) as view, view.cast("Q") as words:
            words[0] = generation

    def in_front_of(
        self, code: bytes, prog_type: int, place: int, generation: int, predecessor: int
    ) -> bytes:
        """The program with its gate. `predecessor`: 0 if there is none."""
        silent = [_instruction(0xB7), _instruction(0x95)]  # r0 = 0; return
        head = [
            _instruction(0xBF, 6, 1),  # r6 = context
            *_map_value(7, self.fd),  # r7 = &gate
            _instruction(0x79, 8, 7),  # r8 = *r7
        ]
        pass_on = [
            _instruction(0x15, 8, offset=2, immediate=generation),  # if r8 == generation: go on
            *silent,
        ]
        if prog_type != PERF_EVENT:
            marks = _LINE_BYTES * (1 + place * self._n_cpus)
            head += [
                _instruction(0x85, immediate=_CPU_NUMBER),
                _instruction(0x57, 0, immediate=self._n_cpus - 1),
                _instruction(0x67, 0, immediate=_LINE_BYTES.bit_length() - 1),
                _instruction(0x0F, 7, 0),
                _instruction(0x07, 7, immediate=marks),  # r7 = &mark
                _instruction(0x79, 9, 7),
                _instruction(0x55, 9, offset=3, immediate=predecessor or -1),
                _instruction(0x7A, 7, immediate=0),
                *silent,
            ]
            pass_on.append(_instruction(0x7A, 7, immediate=generation))
        return b"".join((*head, *pass_on, _instruction(0xBF, 1, 6), code))


def _instruction(
    opcode: int, destination: int = 0, source: int = 0, offset: int = 0, immediate: int = 0
) -> bytes:
    return struct.pack("<BBhi", opcode, source << 4 | destination, offset, immediate)


def _map_value(register: int, fd: int) -> tuple[bytes, bytes]:
    return (
        _instruction(_LOAD_64, register, _MAP_VALUE, immediate=fd),
        _instruction(0),
    )


def has_callbacks(code: bytes) -> bool:
    """Whether it hands functions of its own to helpers (bpf_loop): the kernel wants to know their
    types, which is not told with bytecode alone."""
    return any(
        code[at] == _LOAD_64 and code[at + 1] >> 4 == _FUNCTION
        for at in range(0, len(code) - 15, 8)
    )


def with_maps(code: bytes, fds: dict[int, int]) -> bytes:
    """The program with other maps in place of those that it was compiled for."""
    patched = bytearray(code)
    for at in range(0, len(code) - 15, 8):
        if code[at] == _LOAD_64 and code[at + 1] >> 4 in (_MAP_FD, _MAP_VALUE):
            (fd,) = struct.unpack_from("<i", code, at + 4)
            struct.pack_into("<i", patched, at + 4, fds.get(fd, fd))
    return bytes(patched)
