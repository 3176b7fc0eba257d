"""Callers of real threads, without frame pointers, in libraries, behind signals; and rules that
are written to confuse."""

import os
import random
import struct
import subprocess
import time

import pytest

from linnix_ls.locate.memory import ProcessMemory
from linnix_ls.locate.registers import look_at_thread
from linnix_ls.locate.unwind import MAX_FRAMES, TOTAL_TIMEOUT_S, Unwinder, _parse_rules
from tests.locate.specimens import running

PRELUDE = """\
#define _GNU_SOURCE
#include <stdio.h>
#include <unistd.h>
#define READY puts("ready"); fflush(stdout)
"""
LEAN = ("-O2", "-fomit-frame-pointer")

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(os.geteuid() != 0, reason="reads other processes: needs root"),
]


def compiled(folder, text, *flags, name="program"):
    source = folder / f"{name}.c"
    source.write_text(PRELUDE + text)
    program = folder / name
    subprocess.run(["cc", "-g", *flags, "-o", program, source], check=True)
    return program


def functions(program, pid, tid=None):
    """Those of the program's source that are in the stack, innermost first, by its symbols."""
    calls, first = unwound(pid, tid)
    base = 0 if program.read_bytes()[16] == 2 else first  # linked for one address
    own = [hex(address - base) for address in calls if first <= address < first + (1 << 20)]
    command = ["addr2line", "-f", "-e", program, *own]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    source = program.with_suffix(".c").read_text()
    return [name for name in lines[::2] if f"{name}(" in source]


def unwound(pid, tid=None):
    """The calls, and where the program's file begins."""
    with ProcessMemory(pid) as memory:
        unwinder = Unwinder(pid, memory)
        calls = unwinder.calls(look_at_thread(pid, tid or pid, memory))
    exe = os.readlink(f"/proc/{pid}/exe")
    return calls, next(m.start for m in unwinder._mappings if m.path == exe)


CALLS = """
#include <sched.h>
static volatile int stop;
#define APART __attribute__((noinline, noclone))
APART int innermost(int n) { char big[512]; for (; !stop;) { BODY; } return n + big[n & 7]; }
APART int middle(int n) { return innermost(n + 1) * 3; }
int main(int argc, char **argv) { READY; return middle(argc) + 1; }
"""


@pytest.mark.parametrize("body", ["", "sched_yield()", "usleep(1000000)", "getppid()"])
@pytest.mark.parametrize(
    "flags",
    [
        LEAN,
        ("-O0",),
        (*LEAN, "-static"),
        (*LEAN, "-no-pie"),
        (*LEAN, "-fno-asynchronous-unwind-tables"),
        (*LEAN, "-fno-asynchronous-unwind-tables", "-gz"),
        ("-O2", "-fno-omit-frame-pointer", "-fno-asynchronous-unwind-tables", "-g0"),
    ],
    ids=" ".join,
)
def test_all_callers_are_found(tmp_path, flags, body):
    program = compiled(tmp_path, CALLS, *flags, f"-DBODY={body}")
    with running(program) as pid:
        deadline = time.monotonic() + 20
        # It has said that it is ready, and may not have come back from saying so.
        while not (found := functions(program, pid)) and time.monotonic() < deadline:
            time.sleep(0.05)
    # Without any rules a leaf that sets up no frame hides its caller.
    expected = ["innermost", "middle", "main"]
    assert found == expected or ("-g0" in flags and set(found) <= set(expected))


def test_a_leaf_without_a_frame_has_its_caller(tmp_path):
    text = "APART void leaf(volatile int *at) { while (!*at); }\n"
    text = CALLS.replace("APART int innermost", text + "APART int innermost")
    program = compiled(tmp_path, text, *LEAN, "-DBODY=leaf(&stop)")
    with running(program) as pid:
        assert functions(program, pid) == ["leaf", "innermost", "middle", "main"]


RECURSION = """
static volatile int stop;
__attribute__((noinline, noclone)) int descend(int depth) {
    if (depth) return descend(depth - 1) + 1;
    READY;
    while (!stop);
    return 0;
}
int main(void) { return descend(DEPTH); }
"""


def test_recursion_is_followed(tmp_path):
    program = compiled(
        tmp_path, RECURSION, *LEAN, "-fno-optimize-sibling-calls", "-O1", "-DDEPTH=20"
    )
    with running(program) as pid:
        assert functions(program, pid) == ["descend"] * 21 + ["main"]


def test_endless_recursion_has_an_end(tmp_path):
    program = compiled(
        tmp_path, RECURSION, *LEAN, "-fno-optimize-sibling-calls", "-O1", "-DDEPTH=9999"
    )
    with running(program) as pid:
        assert functions(program, pid) == ["descend"] * MAX_FRAMES


SIGNAL = """
#include <signal.h>
#include <time.h>
static volatile int stop;
static void on_signal(int n) { struct timespec t; READY; while (!stop) clock_gettime(0, &t); }
__attribute__((noinline)) int interrupted(void) { while (!stop); return 3; }
int main(void) {
    stack_t other = {.ss_sp = (char[1 << 16]){0}, .ss_size = 1 << 16};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = FLAGS};
    sigaltstack(&other, 0);
    sigaction(SIGALRM, &action, 0);
    ualarm(50000, 0);
    return interrupted() + 1;
}
"""


@pytest.mark.parametrize("flags", ["0", "SA_ONSTACK"])
def test_a_signals_handler_has_what_it_interrupted_for_caller(tmp_path, flags):
    """And the kernel's own library, where clocks are read, has its callers too."""
    program = compiled(tmp_path, SIGNAL, *LEAN, f"-DFLAGS={flags}")
    with running(program) as pid:
        assert functions(program, pid) == ["on_signal", "interrupted", "main"]


THREADS = """
#include <pthread.h>
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void *take(void *unused) { pthread_mutex_lock(&lock); return unused; }
__attribute__((noinline)) int await_it(pthread_t thread) { return pthread_join(thread, 0) + 1; }
int main(void) {
    pthread_t thread;
    pthread_mutex_lock(&lock);
    pthread_create(&thread, 0, take, 0);
    usleep(100000);
    READY;
    return await_it(thread) + 1;
}
"""


@pytest.mark.parametrize("flags", [LEAN, ("-O0",), ("-O2", "-fno-omit-frame-pointer")])
def test_threads_that_wait_are_read_without_being_stopped(tmp_path, flags):
    program = compiled(tmp_path, THREADS, *flags, "-pthread")
    with running(program) as pid:
        main, other = sorted(map(int, os.listdir(f"/proc/{pid}/task")))
        assert functions(program, pid, main) == ["await_it", "main"]
        assert functions(program, pid, other) == ["take"]
        with ProcessMemory(pid) as memory:
            assert look_at_thread(pid, main, memory).stopped_ns == 0


def test_of_a_program_that_was_deleted_callers_are_found(tmp_path):
    program = compiled(tmp_path, CALLS, *LEAN, "-DBODY=")
    program.rename(tmp_path / "kept")
    (tmp_path / "copy").write_bytes((tmp_path / "kept").read_bytes())
    (tmp_path / "copy").chmod(0o755)
    with running(tmp_path / "copy") as pid:
        (tmp_path / "copy").unlink()
        calls, first = unwound(pid)
    assert sum(first <= address < first + (1 << 20) for address in calls) >= 3


def test_code_that_was_made_at_run_time_is_followed_by_its_frame_pointer(tmp_path):
    text = """
#include <string.h>
#include <sys/mman.h>
int main(void) {
    unsigned char code[] = {0x55, 0x48, 0x89, 0xe5, 0xeb, 0xfe};  /* push, mov rbp, rsp; jmp . */
    char *at = mmap(0, 4096, 7, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(at, code, sizeof code);
    READY;
    ((void (*)(void))at)();
    return 1;
}
"""
    program = compiled(tmp_path, text, "-O1")
    with running(program) as pid:
        assert functions(program, pid) == ["main"]


# -- what is hostile -----------------------------------------------------------------------------

HOSTILE = """
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
static int fill(struct dl_phdr_info *info, size_t size, void *pattern) {
    for (int n = 0; n < info->dlpi_phnum; n++) {
        if (info->dlpi_phdr[n].p_type != PT_GNU_EH_FRAME) continue;
        char *at = (char *)info->dlpi_addr + info->dlpi_phdr[n].p_vaddr;
        char *first = (char *)((long)at & -4096);
        size = ((at - first) + info->dlpi_phdr[n].p_memsz + 4095) & -4096;
        if (mprotect(first, size, PROT_READ | PROT_WRITE)) exit(1);
        int skip = ((int *)pattern)[0];
        srand(((int *)pattern)[1]);
        for (char *byte = at + skip; byte < first + size; byte++)
            *byte = ((int *)pattern)[2] < 0 ? rand() : ((int *)pattern)[2];
    }
    return 1;  /* the program itself is enough */
}
int main(int argc, char **argv) {
    int pattern[] = {atoi(argv[1]), atoi(argv[2]), atoi(argv[3])};
    dl_iterate_phdr(fill, pattern);
    READY;
    for (;;);
}
"""


@pytest.fixture(scope="module")
def confuser(tmp_path_factory):
    """Overwrites its own rules: from which byte on, a seed, and with what."""
    return compiled(tmp_path_factory.mktemp("confuser"), HOSTILE, *LEAN)


@pytest.mark.parametrize("skip", [0, 4, 12, 40])
@pytest.mark.parametrize("pattern", [(1, -1), (2, -1), (3, -1), (0, 0), (0, 0xFF), (0, 0x0A)])
def test_rules_that_are_overwritten_do_not_matter(confuser, skip, pattern):
    with running(confuser, str(skip), *map(str, pattern)) as pid:
        began = time.monotonic()
        calls, _ = unwound(pid)
    assert 1 <= len(calls) <= MAX_FRAMES
    assert time.monotonic() - began < TOTAL_TIMEOUT_S + 5


def entry(body):
    return struct.pack("<I", len(body)) + body


CIE = entry(b"\0\0\0\0\x01zR\0\x01\x78\x10\x01\x1b" + b"\x0c\x07\x08\x90\x01\0\0")
FDE = entry(
    struct.pack("<Iii", len(CIE) + 4, 0, 64) + b"\0" + b"\x41\x0e\x10\x86\x02\x42\x0d\x06\0"
)


def test_rules_are_those_of_the_bytes():
    function = _parse_rules(CIE, FDE, 0x1000, is_eh_frame=True)
    assert (function.start, function.end) == (0x1000, 0x1040)
    assert (function.code_factor, function.data_factor, function.return_address) == (1, -8, 16)
    assert len(function.own) == 6


def test_bytes_that_are_no_rules_raise_only_what_is_expected():
    from linnix_ls.locate.unwind import _MALFORMED, _row

    chance = random.Random(3)
    n_parsed = 0
    for _ in range(2000):
        common, own = bytearray(CIE), bytearray(FDE)
        for target in (common, own):
            for _ in range(chance.randrange(4)):
                target[chance.randrange(4, len(target))] = chance.randrange(256)
        try:
            function = _parse_rules(bytes(common), bytes(own), 0x1000, is_eh_frame=True)
            _row(function, 0x1010)
            n_parsed += 1
        except _MALFORMED:
            pass
    assert n_parsed > 200
