"""Whether a thread's registers and stack get on."""

import os
import random
import shutil
import struct
import subprocess
import time

import pytest

from linnix_ls.locate.memory import ProcessMemory
from linnix_ls.locate.motion import MIN_LOOKS_AT_A_DEPTH, motion_of
from linnix_ls.locate.registers import Moment, look_at_thread
from tests.locate.programs import Folder
from tests.locate.specimens import running

TOP = 0x7FFF_0000_0000
CHANCE = random.Random(3)


def moment(*stack, general=(), floating=(), depth=0):
    """A thread so many words deep, with that on its stack, innermost word first."""
    return Moment(
        instruction_pointer=0x1000,
        stack_pointer=TOP - 8 * depth,
        frame_pointer=0,
        stack=struct.pack(f"={len(stack)}Q", *stack),
        stopped_ns=0,
        general=tuple(general),
        floating=tuple(floating),
    )


def n_advancing(moments, *, step_s=0.06):
    looks = [(100 + n * step_s * (1 + n % 2 / 7), m) for n, m in enumerate(moments)]
    found = motion_of(5, looks)
    assert (found.tid, found.n_looks) == (5, len(looks))
    return found.n_advancing_words


def test_what_is_always_the_same_does_not_advance():
    assert n_advancing([moment(1, 2, 3, general=(4, 5), floating=(6,))] * 12) == 0


def test_what_goes_round_does_not_advance():
    assert n_advancing([moment(n % 3, general=(7 * n % 5,)) for n in range(12)]) == 0


@pytest.mark.parametrize("step", [1, -1, 48])
def test_a_counter_advances_wherever_it_is(step):
    count = [10_000 + step * n * n for n in range(12)] if step > 0 else list(range(12, 0, -1))
    assert n_advancing([moment(5, value, 5) for value in count]) == 1
    assert n_advancing([moment(5, general=(1, value)) for value in count]) == 1
    assert n_advancing([moment(5, floating=(value, 1)) for value in count]) == 1


def test_a_slow_counter_advances_whenever_it_changes():
    """The outermost of several loops."""
    assert n_advancing([moment(100 + n // 3) for n in range(12)]) == 1


def test_one_step_is_no_advance():
    """A value that was written once: it may have been there for ever in between."""
    assert n_advancing([moment(100 + n // 6) for n in range(12)]) == 0


def test_a_clock_is_no_advance():
    ns = [1_700_000_000_000_000_000 + round(1e9 * 0.06 * n) for n in range(12)]
    looks = [(0.06 * n, moment(value)) for n, value in enumerate(ns)]
    assert motion_of(1, looks).n_advancing_words == 0


def test_numbers_by_chance_do_not_advance():
    looks = [moment(*(CHANCE.getrandbits(64) for _ in range(200))) for _ in range(12)]
    assert n_advancing(looks) == 0


@pytest.mark.parametrize("n_looks", [0, 1, MIN_LOOKS_AT_A_DEPTH - 1])
def test_of_too_few_looks_nothing_is_said(n_looks):
    assert n_advancing([moment(n, general=(n,)) for n in range(n_looks)]) == 0


def test_words_are_compared_at_the_same_depth_of_calls():
    """Each time two words deeper, or not: a counter that lies above is met in both."""
    looks = [
        moment(9, 9, 100 + n, depth=2) if n % 2 else moment(100 + n) for n in range(12)
    ]  # fmt: skip
    assert n_advancing(looks) >= 1


def test_words_of_calls_that_come_and_go_are_no_advance():
    looks = [moment(*([n * 5] * (n % 2)), 7, 8, depth=n % 2) for n in range(12)]
    assert n_advancing([*looks[:4]]) == 0


def test_a_recursion_that_gets_deeper_gets_on_or_says_nothing():
    assert n_advancing([moment(*range(n), depth=n) for n in range(12)]) >= 0


def test_a_stack_that_could_not_be_read_says_nothing():
    assert n_advancing([moment() for _ in range(12)]) == 0
    assert n_advancing([moment(1, 2), *[moment() for _ in range(11)]]) == 0


# -- real threads --------------------------------------------------------------------------------


LOOP = """\
#include <stdio.h>
int main(void) {{
    {declaration}
    puts("ready"); fflush(stdout);
    for (;;) {{ {body} __asm__ volatile("" : {operand}); }}
}}
"""


def looks_at(tmp_path, declaration, body, operand, n=12):
    folder = Folder(tmp_path)
    source = folder.write(
        "loop.c", LOOP.format(declaration=declaration, body=body, operand=operand)
    )
    program = tmp_path / "loop"
    subprocess.run(["cc", "-O2", "-o", program, source], check=True)
    with running(program) as pid, ProcessMemory(pid) as memory:
        looks = []
        for k in range(n):
            time.sleep(0.02 + k % 3 * 0.005)
            looks.append((time.monotonic(), look_at_thread(pid, pid, memory)))
    return motion_of(pid, looks)


@pytest.mark.e2e
@pytest.mark.skipif(os.geteuid() != 0, reason="stops other processes: needs root")
@pytest.mark.skipif(shutil.which("cc") is None, reason="needs cc")
@pytest.mark.parametrize(
    ("declaration", "body", "operand", "gets_on"),
    [
        ("unsigned long n = 0;", "n++;", '"+r"(n)', True),
        ("double x = 1;", "x += 0.5;", '"+x"(x)', True),
        ("volatile unsigned long n = 0;", "n++;", ":", True),
        ("unsigned long n = 5;", "", '"+r"(n)', False),
        ("volatile int done = 0;", "if (done) break;", ":", False),
        ("unsigned long n = 5;", "n = n * 3 % 7;", '"+r"(n)', False),
    ],
    ids=["register", "floating", "stack", "nothing", "flag", "circle"],
)
def test_a_loop_of_compiled_code_gets_on_if_it_counts(
    tmp_path, declaration, body, operand, gets_on
):
    motion = looks_at(tmp_path, declaration, body, operand)
    assert motion.n_looks == 12
    assert (motion.n_advancing_words > 0) is gets_on
