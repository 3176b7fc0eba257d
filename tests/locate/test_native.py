"""Native programs: addresses as functions, files and lines. Really compiled, really running."""

import asyncio
import os
import subprocess
import time

import pytest

from linnix_ls import procfs
from linnix_ls.core.attribution import attribute
from linnix_ls.core.examination import Depth, ExaminationRequest
from linnix_ls.core.findings import Kind
from linnix_ls.locate import native
from linnix_ls.locate.examiner import Examiner
from linnix_ls.locate.native import short_name, symbolise
from tests.locate.programs import needs
from tests.locate.specimens import NO_PID, running

SPIN = """\
#include <stdio.h>

static inline __attribute__((always_inline)) int is_full(volatile int *ring) {
here:
    if (*ring > 100) return 1;
    FILE *out = fopen(WHERE, "w");
    fprintf(out, "%p %p\\n", &&here, __builtin_return_address(0));
    fclose(out);
    puts("ready");
    fflush(stdout);
    for (;;)
        if (*ring) return 1;
}

__attribute__((noinline)) int drain(volatile int *ring) {
    return is_full(ring) + 1;
}

int main(void) {
    static volatile int ring;
    return drain(&ring);
}
"""
HERE, INLINED_AT, CALLED_AT = 4, 16, 21


class Spinner:
    """A spinning program in a folder, with the addresses at which it says that it is."""

    def __init__(self, folder, *flags):
        self.folder = folder
        self.source = folder / "ring.c"
        self.program = folder / "spinner"
        self.source.write_text(SPIN)
        self.addresses_file = folder.parent / "addresses"
        where = f'-DWHERE="{self.addresses_file}"'
        command = ["cc", *flags, where, "-o", str(self.program), str(self.source)]
        subprocess.run(command, check=True)

    def running(self):
        return running(self.program)

    @property
    def stack(self):
        return tuple(int(text, 16) for text in self.addresses_file.read_text().split())


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "straße mit ü"
    folder.mkdir()
    return folder


def frames(pid, *stacks):
    snapshots = asyncio.run(symbolise(pid, stacks))
    return [(f.function, f.path, f.line) for s in snapshots for f in s.frames]


pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(os.geteuid() != 0, reason="reads other processes: needs root"),
]


@pytest.mark.parametrize("flags", [["-g"], ["-g", "-no-pie"], ["-g", "-fPIE", "-pie"]])
def test_an_address_is_a_line_and_inlined_functions_come_first(folder, flags):
    spinner = Spinner(folder, *flags)
    with spinner.running() as pid:
        found = frames(pid, spinner.stack)
    source = str(spinner.source)
    assert [function for function, _, _ in found] == ["is_full", "drain", "main"]
    assert {path for _, path, _ in found} == {source}
    assert found[0][2] - HERE in (0, 1)
    assert found[1][2] == INLINED_AT
    assert found[2][2] == CALLED_AT


def test_they_are_the_users_own(folder):
    spinner = Spinner(folder, "-g")
    with spinner.running() as pid:
        [stack] = asyncio.run(symbolise(pid, [spinner.stack]))
    assert all(frame.is_user_code for frame in stack.frames)
    assert stack.is_running


def test_every_sample_counts_once(folder):
    spinner = Spinner(folder, "-g")
    with spinner.running() as pid:
        stacks = asyncio.run(symbolise(pid, [spinner.stack] * 50))
    assert len(stacks) == 50


def test_without_debug_information_there_are_functions_only(folder):
    spinner = Spinner(folder)
    with spinner.running() as pid:
        found = frames(pid, spinner.stack)
    assert found == [("drain", None, None), ("main", None, None)]


def test_without_symbols_there_is_nothing(folder):
    spinner = Spinner(folder, "-s")
    with spinner.running() as pid:
        assert frames(pid, spinner.stack) == []


def test_of_a_program_that_was_deleted_lines_are_still_known(folder):
    """As every rebuild does it."""
    spinner = Spinner(folder, "-g")
    with spinner.running() as pid:
        spinner.program.unlink()
        found = frames(pid, spinner.stack)
    assert [function for function, _, _ in found] == ["is_full", "drain", "main"]


def test_of_a_program_that_was_replaced_nothing_wrong_is_said(folder):
    spinner = Spinner(folder, "-g")
    with spinner.running() as pid:
        before = spinner.stack
        spinner.program.unlink()
        spinner.program.write_bytes(b"something else")
        found = frames(pid, before)
    assert [function for function, _, _ in found] in ([], ["is_full", "drain", "main"])


def test_addresses_that_are_no_code_are_left_out(folder):
    spinner = Spinner(folder, "-g")
    with spinner.running() as pid:
        assert frames(pid, (0, 1, 0xDEAD_BEEF, 2**64 - 1)) == []
        only_leaf = frames(pid, (spinner.stack[0], 0xDEAD_BEEF))
    assert [function for function, _, _ in only_leaf] == ["is_full", "drain"]


def test_no_stacks_are_none():
    assert frames(os.getpid()) == []


def test_a_process_that_has_gone_has_none():
    assert frames(NO_PID - 1, (0x1000, 0x2000)) == []


def test_a_process_that_vanishes_meanwhile_has_none(folder):
    spinner = Spinner(folder, "-g")
    with spinner.running() as pid:
        stack = spinner.stack
    assert frames(pid, stack) == []


def test_without_binutils_functions_stay_unknown(folder, monkeypatch):
    spinner = Spinner(folder, "-g")
    with spinner.running() as pid:
        monkeypatch.setenv("PATH", "/nowhere")
        assert frames(pid, spinner.stack) == []


def test_an_addr2line_that_hangs_is_given_up(folder, tmp_path, monkeypatch):
    spinner = Spinner(folder, "-g")
    slow = tmp_path / "bin" / "addr2line"
    slow.parent.mkdir()
    slow.write_text(f"#!/bin/sh\necho $$ > '{tmp_path}/pid'\nexec sleep 600\n")
    slow.chmod(0o755)
    monkeypatch.setattr(native, "SYMBOLISE_TIMEOUT_S", 0.3)
    with spinner.running() as pid:
        monkeypatch.setenv("PATH", f"{slow.parent}:{os.environ['PATH']}")
        assert frames(pid, spinner.stack) == []
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


@pytest.mark.parametrize(
    ("place", "path", "line"),
    [
        ("/ws/a.c:7", "/ws/a.c", 7),
        ("/ws/a.c:7 (discriminator 3)", "/ws/a.c", 7),
        ("/ws/x/../a:b.c:7", "/ws/a:b.c", 7),
        ("/ws/a.c:?", "/ws/a.c", None),
        ("/ws/a.c:0", "/ws/a.c", None),
        ("??:0", None, None),
        ("??:?", None, None),
    ],
)
def test_places_are_read_as_addr2line_writes_them(place, path, line):
    [(_, [frame])] = native._parse_addr2line(f"0x0000000000001000\nf\n{place}\n").items()
    assert (frame.function, frame.path, frame.line) == ("f", path, line)


def test_a_name_may_look_like_an_address_or_hold_a_line_separator():
    found = native._parse_addr2line("0x10\n0xdead_function\n/ws/a.c:7\ng\u2028h\n/ws/b.c:8\n")
    assert [(f.function, f.line) for f in found[0x10]] == [("0xdead_function", 7), ("g\u2028h", 8)]


@pytest.mark.parametrize(
    "output",
    [
        "",
        "0x",
        "0xzz\nf\n/a.c:1\n",
        "f\n/a.c:1\n",
        "0x1000\nf\n",
        "0x1000\n??\n??:0\n",
        "0x1000\nf\n/a.c\n",
        "0x1000\nf\n/a.c:²\n",
        f"0x1000\nf\n/a.c:{'9' * 9999}\n",
        "\n" * 9,
    ],
)
def test_whatever_addr2line_says_it_does_not_matter(folder, tmp_path, monkeypatch, output):
    spinner = Spinner(folder, "-g")
    odd = tmp_path / "bin" / "addr2line"
    odd.parent.mkdir()
    (tmp_path / "output").write_text(output)
    odd.write_text(f"#!/bin/sh\ncat '{tmp_path}/output'\n")
    odd.chmod(0o755)
    with spinner.running() as pid:
        monkeypatch.setenv("PATH", f"{odd.parent}:{os.environ['PATH']}")
        assert frames(pid, spinner.stack) == []


# -- looks, to the line ---------------------------------------------------------------------------


def examined(pid, depth=Depth.MEASURE, kind=Kind.CPU_SPIN, *, ancestors=()):
    async def count_syscalls(pid, window_s):
        await asyncio.sleep(window_s)
        return ()

    key = procfs.read_stat(pid).key
    request = ExaminationRequest(1, key, depth, (key,))
    examiner = Examiner(count_syscalls, lambda _key: ())
    examination = asyncio.run(examiner.examine(request, ancestors))
    return examination, attribute(examination, kind, key)


def place(pid, *args):
    _, found = examined(pid, *args)
    location = found.location
    return location and (os.path.basename(location.path), location.line, location.function)


def line_with(text, mark):
    return next(number for number, line in enumerate(text.splitlines(), 1) if mark in line)


POLL = """\
#include <sched.h>
#include <stdio.h>

static volatile int is_filled;
static inline int is_ready(void) { return is_filled; }

__attribute__((noinline)) static int await_it(void) {
    int n = 0;
    while (!is_ready()) {
        sched_yield();
        n++;
    }
    return n;
}

int main(void) {
    puts("ready");
    fflush(stdout);
    return await_it() + 1;
}
"""
LOOP = ("poll.c", 9, "await_it")
LEAN = ("-O2", "-fomit-frame-pointer")


def built(folder, *flags, text=POLL, name="poll.c", compiler="cc"):
    """As a program of its own in the folder."""
    (folder / name).write_text(text)
    command = [compiler, *flags, name, "-o", "program"]
    subprocess.run(command, check=True, cwd=folder, stderr=subprocess.DEVNULL)
    return folder / "program"


@pytest.mark.parametrize(
    "flags",
    [
        (*LEAN, "-g"),
        ("-O0", "-g"),
        (*LEAN, "-g", "-gz"),
        (*LEAN, "-g", "-gdwarf-4"),
        (*LEAN, "-g", "-static"),
        (*LEAN, "-g1"),
        (*LEAN, "-g", "-fno-asynchronous-unwind-tables"),
    ],
    ids=" ".join,
)
def test_the_loop_behind_a_call_of_the_c_library_is_found(folder, flags):
    with running(built(folder, *flags)) as pid:
        assert place(pid) == LOOP


@needs("llvm-symbolizer")
def test_split_debug_information_is_read(folder):
    program = built(folder, *LEAN, "-g", "-gsplit-dwarf")
    with running(program, cwd=folder) as pid:
        assert place(pid) == LOOP


@pytest.mark.parametrize("where", ["", ".debug/"])
def test_debug_information_in_a_file_beside_is_read(folder, where):
    program = built(folder, *LEAN, "-g")
    (folder / ".debug").mkdir()
    for command in (
        ["objcopy", "--only-keep-debug", "program", f"{where}program.debug"],
        ["strip", "program"],
        ["objcopy", f"--add-gnu-debuglink={where}program.debug", "program"],
    ):
        subprocess.run(command, check=True, cwd=folder)
    with running(program) as pid:
        assert place(pid) == LOOP


@pytest.mark.parametrize("cwd", ["here", "/"])
def test_sources_are_found_whose_folder_was_left_out(folder, cwd):
    program = built(folder, *LEAN, "-g", f"-ffile-prefix-map={folder}=.")
    with running(program, cwd=folder if cwd == "here" else cwd) as pid:
        assert place(pid) == LOOP


def test_sources_are_found_that_were_elsewhere_when_built(tmp_path):
    folder = tmp_path / "pump" / "src"
    folder.mkdir(parents=True)
    program = built(folder, *LEAN, "-g", f"-ffile-prefix-map={tmp_path}=/build/pump-1.0")
    with running(program) as pid:
        assert place(pid) == LOOP


@pytest.mark.parametrize("flags", [(*LEAN, "-s"), LEAN])
def test_without_debug_information_it_is_where_the_program_is_started(folder, flags):
    program = built(folder, *flags)
    run = f"import subprocess\n\n\ndef test_it():\n    subprocess.run([{str(program)!r}])\n"
    (folder / "start.py").write_text(f"{run}\n\ntest_it()\n")
    with running("python3", "-S", "start.py", cwd=folder) as parent:
        [pid] = procfs.children_of(parent)
        _, found = examined(pid, ancestors=(procfs.read_stat(parent).key,))
    assert (os.path.basename(found.location.path), found.location.line) == ("start.py", 5)


STARTER = """\
#include <stdlib.h>
__attribute__((noinline)) static int start(const char *program) {
    return system(program) + 1;
}
int main(int argc, char **argv) { return start(argv[1]) + argc; }
"""


def test_a_native_program_that_started_it_has_its_line_too(folder):
    program = built(folder, *LEAN, "-s")
    (folder / "above").mkdir()
    starter = built(folder / "above", *LEAN, "-g", text=STARTER, name="start.c")
    with running(starter, f"exec '{program}'") as parent:
        [pid] = procfs.children_of(parent)
        _, found = examined(pid, ancestors=(procfs.read_stat(parent).key,))
    assert (os.path.basename(found.location.path), found.location.line) == ("start.c", 3)


RUST = """\
use std::sync::Mutex;

struct Pool<T> {
    items: Mutex<Vec<T>>,
}

impl<T: Clone> Pool<T> {
    fn drain(&self, n_wanted: usize) -> usize {
        let mut n = 0;
        loop {
            if self.items.lock().unwrap().len() >= n_wanted {
                return n;
            }
            std::thread::yield_now();
            n += 1;
        }
    }
}

fn main() {
    println!("ready");
    let pool = Pool::<u64> { items: Mutex::new(vec![]) };
    std::process::exit(pool.drain(3) as i32);
}
"""


@needs("rustc")
@pytest.mark.parametrize(
    "flags",
    [
        ("-O",),
        (),
        ("-O", "-Csymbol-mangling-version=v0"),
        ("-O", "-Csplit-debuginfo=unpacked"),
        ("-O", "--remap-path-prefix", "{folder}=/build/pool"),
        ("-O", "-Cpanic=abort", "-Clto"),
    ],
    ids=" ".join,
)
def test_rust_has_its_loop(folder, flags):
    flags = [flag.format(folder=folder) for flag in flags]
    (folder / "src").mkdir()
    program = built(folder / "src", "-g", *flags, text=RUST, name="pool.rs", compiler="rustc")
    with running(program, cwd=folder / "src") as pid:
        path, line, function = place(pid)
    assert (path, line) == ("pool.rs", 10)
    assert function.endswith(("::drain", "::main"))  # it may have been inlined, unknown to some


SPINNING_THREAD = """\
#include <cstdio>
#include <mutex>
#include <thread>
#include <vector>

static std::mutex lock;
static volatile bool is_done;

static void sleepy() { std::lock_guard<std::mutex> guard(lock); }

static void spins() {
    while (!is_done)
        std::this_thread::yield();
}

int main() {
    std::lock_guard<std::mutex> guard(lock);
    std::vector<std::thread> threads;
    for (int n = 0; n < 30; n++) threads.emplace_back(n == 17 ? spins : sleepy);
    std::puts("ready");
    std::fflush(stdout);
    for (auto &thread : threads) thread.join();
}
"""


@pytest.mark.parametrize("optimise", ["-O0", "-O2"])
def test_of_many_threads_the_one_that_spins_decides(folder, optimise):
    flags = (optimise, "-g", "-pthread")
    program = built(folder, *flags, text=SPINNING_THREAD, name="threads.cpp", compiler="c++")
    with running(program) as pid:
        examination, _ = examined(pid)
        assert place(pid) == (
            "threads.cpp",
            line_with(SPINNING_THREAD, "while (!is_done)"),
            "spins",
        )
    assert len({stack.tid for stack in examination.native_stacks}) == 1


DEADLOCK = """\
#include <atomic>
#include <cstdio>
#include <mutex>
#include <thread>

static std::mutex left, right;
static std::atomic<int> n_inside;

static void idle() { while (true) std::this_thread::sleep_for(std::chrono::hours(1)); }

static void one() {
    std::lock_guard<std::mutex> first(left);
    for (n_inside++; n_inside < 2;) std::this_thread::yield();
    std::lock_guard<std::mutex> second(right);  // one
}

static void other() {
    std::lock_guard<std::mutex> first(right);
    for (n_inside++; n_inside < 2;) std::this_thread::yield();
    left.lock();  // other
}

int main() {
    std::puts("ready");
    std::fflush(stdout);
    std::thread first(one), second(other);
    first.join();  // joins
    second.join();
}
"""


def settled(pid, n_threads):
    """Once that many threads sleep."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        threads = native._threads(pid).values()
        if [thread.state for thread in threads] == ["S"] * n_threads:
            return
        time.sleep(0.02)


@pytest.mark.parametrize("optimise", ["-O0", "-O2"])
def test_a_deadlock_is_where_its_threads_wait(folder, optimise):
    flags = (optimise, "-g", "-pthread")
    program = built(folder, *flags, text=DEADLOCK, name="dead.cpp", compiler="c++")
    with running(program) as pid:
        settled(pid, 3)
        _, found = examined(pid, Depth.WAITS, Kind.STUCK)
    assert (found.location.function, found.location.line) == ("one", line_with(DEADLOCK, "// one"))
    others = [(other.line, other.role) for other in found.other_locations]
    assert (line_with(DEADLOCK, "// other"), "origin") in others
    assert (line_with(DEADLOCK, "// joins"), "origin") in others


RUST_DEADLOCK = """\
use std::sync::{Arc, Mutex};
use std::thread;

fn take(lock: &Mutex<u32>) -> u32 {
    *lock.lock().unwrap() // waits
}

fn main() {
    println!("ready");
    let lock = Arc::new(Mutex::new(1));
    let held = lock.lock().unwrap();
    let theirs = lock.clone();
    let thread = thread::spawn(move || take(&theirs));
    println!("{} {}", thread.join().unwrap(), held);
}
"""


@needs("rustc")
@pytest.mark.parametrize("flags", [("-O",), ()])
def test_a_deadlock_in_rust_too(folder, flags):
    program = built(folder, "-g", *flags, text=RUST_DEADLOCK, name="dead.rs", compiler="rustc")
    with running(program) as pid:
        settled(pid, 2)
        assert place(pid, Depth.WAITS, Kind.STUCK)[:2] == ("dead.rs", 5)


RUST_CHANNEL = """\
use std::sync::mpsc;

fn drain(from: &mpsc::Receiver<u32>) -> u32 {
    let mut n = 0;
    while let Ok(v) = from.recv() {
        n += v;
    }
    n
}

fn main() {
    println!("ready");
    let (_to, from) = mpsc::channel();
    println!("{}", drain(&from));
}
"""


@needs("rustc")
@pytest.mark.parametrize("flags", [("-O",), (), ("-O", "-Clto")], ids=" ".join)
def test_a_wait_deep_in_rusts_library_has_its_line(folder, flags):
    """Which keeps frame pointers, unlike the program: the first is lost in a thread that waits."""
    program = built(folder, "-g", *flags, text=RUST_CHANNEL, name="wait.rs", compiler="rustc")
    with running(program) as pid:
        settled(pid, 1)
        assert place(pid, Depth.WAITS, Kind.STUCK)[:2] == ("wait.rs", 5)


PIPE = """\
#include <stdio.h>
#include <unistd.h>
static int ends[2];
__attribute__((noinline)) static long drain(void) {
    char buffer[64];
    long n, total = 0;
    while ((n = read(ends[0], buffer, sizeof buffer)) > 0) total += n;
    return total;
}
int main(void) { pipe(ends); puts("ready"); fflush(stdout); return drain() == 0; }
"""


@pytest.mark.parametrize("depth", [Depth.WAITS, Depth.GLANCE])
@pytest.mark.parametrize("flags", [LEAN, ("-O0",)], ids=" ".join)
def test_a_read_of_a_pipe_that_nobody_writes_has_its_line(folder, flags, depth):
    program = built(folder, "-g", *flags, text=PIPE, name="pipe.c")
    with running(program) as pid:
        settled(pid, 1)
        assert place(pid, depth, Kind.STUCK) == ("pipe.c", 7, "drain")


def test_a_process_that_has_gone_has_no_looks():
    assert asyncio.run(native.take_looks(NO_PID - 1, n_looks=2, interval_s=0)) == []


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("main", "main"),
        ("take(std::mutex&, std::mutex&)", "take"),
        ("WorkQueue<int>::push(int) [clone .cold]", "WorkQueue<int>::push"),
        ("main::{lambda()#1}::operator()() const", "main::{lambda()#1}::operator()"),
        ("(anonymous namespace)::f(int)", "(anonymous namespace)::f"),
        ("operator<<(std::ostream&, X const&)", "operator<<"),
        ("f[abi:cxx11](int)", "f[abi:cxx11]"),
        ("app::pool::drain::h0123456789abcdef", "app::pool::drain"),
        ("t::Pool$LT$T$GT$::drain", "t::Pool<T>::drain"),
        (
            "std::vector<std::map<std::string, std::vector<int> >, std::allocator<int> >::at(int)",
            "std::vector<std::map<…>, std::allocator<…> >::at",
        ),
        (
            "<&dyn core::ops::Fn<()> + core::marker::Sync + core::panic::RefSafe as F>::call",
            "<…>::call",
        ),
        ("x" * 100, "x" * 59 + "…"),
    ],
)
def test_names_are_short(name, short):
    assert short_name(name) == short


@pytest.mark.parametrize(
    "name", ["", "<" * 9999, "a<" * 9999, "(" * 9999 + ")", "operator()", "$u$"]
)
def test_whatever_a_name_is_it_does_not_matter(name):
    assert len(short_name(name)) <= native.MAX_FUNCTION_CHARS
