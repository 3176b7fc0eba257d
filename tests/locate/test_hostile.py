"""Processes that make it hard to look at them, looked at by the real examiner: it answers in time,
raises nothing, leaves nothing behind, and they go on as before."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from linnix_ls import procfs
from linnix_ls.codec import TaggedCodec
from linnix_ls.core.attribution import attribute
from linnix_ls.core.events import Examined
from linnix_ls.core.examination import Depth, ExaminationRequest
from linnix_ls.core.findings import Kind
from linnix_ls.locate.examiner import Examiner
from linnix_ls.locate.progress import watch_memory
from linnix_ls.locate.turns import Turns
from linnix_ls.locate.waits import MAX_THREADS
from tests.locate.programs import generations_below, needs
from tests.locate.specimens import await_its_loop, running, running_python

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(os.geteuid() != 0, reason="reads other processes: needs root"),
]

# A close look takes one second, and of what is hard to read some more; this leaves room for a
# loaded machine.
BOUND_S = 15.0

SPIN = "def spin():\n    print('ready', flush=True)\n    while True:\n        pass\n\n\n"
N_THREADS = 2_000


async def no_syscalls(_pid, window_s):
    await asyncio.sleep(window_s)
    return ()


async def _examine(key, depth, around, turns=None):
    began = time.monotonic()
    longest_pause_s = 0.0

    async def watch_the_loop():
        nonlocal longest_pause_s
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            longest_pause_s = max(longest_pause_s, time.monotonic() - before - 0.01)

    watching = asyncio.create_task(watch_the_loop())
    request = ExaminationRequest(7, key, depth, around)
    found = await Examiner(no_syscalls, lambda _key: (), turns).examine(request, ())
    watching.cancel()
    assert time.monotonic() - began < BOUND_S
    # All clients of the agent wait for its event loop.
    assert longest_pause_s < 5.0
    return found


def examine(pid, depth=Depth.MEASURE):
    """Looks, and sees to it that nothing of it is left."""
    key = procfs.read_stat(pid).key
    fds, children, threads = own_fds(), own_children(), threading.active_count()
    state = procfs.read_stat(pid).state
    found = asyncio.run(_examine(key, depth, (key,)))
    assert (own_fds(), own_children()) == (fds, children)
    await_(lambda: threading.active_count() <= threads)  # asyncio's, that wait for a child each
    codec = TaggedCodec(Examined)
    assert codec.load(codec.dump(Examined(1, found))) == Examined(1, found)
    if not found.is_gone:
        after = procfs.read_stat(pid)
        assert (after.state in "Tt") == (state in "Tt")
    return found


def own_fds():
    return sorted(os.listdir("/proc/self/fd"))


def own_children():
    return sorted(procfs.children_of(os.getpid()))


def goes_on(pid):
    """Whether it gets CPU time: it neither stands still nor has ended."""
    first = procfs.read_stat(pid)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        now = procfs.read_stat(pid)
        if now is None or now.has_ended:
            return False
        if now.utime_ticks + now.stime_ticks > first.utime_ticks + first.stime_ticks:
            return True
        time.sleep(0.02)
    return False


def await_(is_reached):
    deadline = time.monotonic() + 20
    while not is_reached():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def place(found):
    return attribute(found, Kind.CPU_SPIN, found.key).location


def compiled(folder, source, *flags):
    (folder / "subject.c").write_text(source)
    program = folder / "subject"
    subprocess.run(["cc", "-g", *flags, "-o", program, folder / "subject.c"], check=True)
    return program


def python(folder, script):
    (folder / "pump.py").write_text(script)
    return running_python(folder / "pump.py", cwd=folder)


# -- what changes under our eyes -----------------------------------------------------------------

RENAMER = """\
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/time.h>

static char *words, name[] = "\\x1b[2J\\n";
static unsigned long n_words;

static void rename_us(int _) {
    name[1] ^= 1;
    prctl(PR_SET_NAME, name);
    memset(words, name[1], n_words);
}

void start(char *first, unsigned long n) {
    struct itimerval each_ms = {{0, 1000}, {0, 1000}};
    words = first, n_words = n;
    struct sigaction action = {.sa_handler = rename_us, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, 0);
    setitimer(ITIMER_REAL, &each_ms, 0);
}
"""
RENAMING = """\
import ctypes
with open("/proc/self/stat") as file:
    first, last = map(int, file.read().rpartition(")")[2].split()[45:47])
ctypes.CDLL("./renamer.so").start(ctypes.c_void_p(first), ctypes.c_ulong(last - first))
"""


def write_renamer(folder):
    """A library, so that nothing of its own shows among the script's variables."""
    (folder / "renamer.c").write_text(RENAMER)
    command = ["cc", "-shared", "-fPIC", "-o", folder / "renamer.so", folder / "renamer.c"]
    subprocess.run(command, check=True)


def test_one_that_renames_itself_every_millisecond_is_found(tmp_path):
    write_renamer(tmp_path)
    with python(tmp_path, RENAMING + SPIN + "spin()\n") as pid:
        found = examine(pid)
        names = {procfs.read_stat(pid).comm for _ in range(100_000)}
        assert len(names) == 2
        assert goes_on(pid)
    assert place(found).path == str(tmp_path / "pump.py")
    assert place(found).function == "spin"


def test_of_threads_that_want_the_interpreters_lock_the_one_that_has_it_is_meant(tmp_path):
    script = (
        "import threading, time\ndef wake():\n    while True:\n        time.sleep(0.0001)\n"
        "threading.Thread(target=wake, daemon=True).start()\n"
    )
    with python(tmp_path, script + SPIN + "spin()\n") as pid:
        assert place(examine(pid)).function == "spin"


def test_a_program_that_deletes_its_own_binary_is_measured(tmp_path):
    program = compiled(
        tmp_path,
        "#include <stdio.h>\n#include <unistd.h>\n"
        'int main(int n, char **v) { unlink(v[0]); puts("ready"); fflush(stdout); for (;;); }\n',
    )
    with running(program) as pid:
        found = examine(pid)
        assert goes_on(pid)
    assert found.process.exe is None
    assert found.memory is not None


def test_a_script_that_deletes_its_own_source_is_measured(tmp_path):
    with python(tmp_path, f"import os\nos.unlink(__file__)\n{SPIN}spin()\n") as pid:
        found = examine(pid)
        assert goes_on(pid)
    assert found.stacks
    assert place(found) is None


def test_one_that_changes_its_user_is_looked_at(tmp_path):
    os.chmod(tmp_path, 0o755)
    with python(tmp_path, f"import os\nos.setgid(65534)\nos.setuid(65534)\n{SPIN}spin()\n") as pid:
        found = examine(pid)
        assert goes_on(pid)
    assert place(found).function == "spin"


# -- what is very large --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_variables", "arguments"),
    [
        (10, []),
        (0, ["y" * 100_000] * 15 + ["-v"] * 20_000),
        (0, ["-v"] * 100_000),
    ],
    ids=["1 MB of environment", "2 MB of arguments", "100,000 arguments"],
)
def test_however_much_it_is_given_it_is_looked_at(tmp_path, n_variables, arguments):
    (tmp_path / "pump.py").write_text(SPIN + "spin()\n")
    given = {f"V{n}": "x" * 100_000 for n in range(n_variables)}
    given["PYTEST_CURRENT_TEST"] = "test_x.py::test_x (call)"
    argv = [sys.executable, "-S", "pump.py", *arguments]
    with running(*argv, cwd=tmp_path, env={**os.environ, **given}) as pid:
        found = examine(pid)
        assert goes_on(pid)
    assert found.process.test == "test_x.py::test_x"
    assert place(found).function == "spin"


LARGE_VALUES = """\
class Wrong:
    def __repr__(self):
        raise SystemExit


def spin():
    text = "ü" * 50_000_000
    numbers = list(range(1_000_000))
    circle = []
    circle.append(circle)
    deep = []
    for _ in range(100_000):
        deep = [deep]
    names = {str(n) * 20: {n: deep} for n in range(1000)}
    wrong = Wrong()
    print('ready', flush=True)
    while True:
        pass


spin()
"""


def test_variables_that_are_huge_or_contain_themselves_do_no_harm(tmp_path):
    with python(tmp_path, LARGE_VALUES) as pid:
        found = examine(pid)
        assert goes_on(pid)
    assert place(found).function == "spin"


NATIVE_THREADS = f"""\
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static void *wait_(void *_) {{ for (;;) pause(); }}

int main(void) {{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 65536);
    for (int i = 0; i < {N_THREADS}; i++) {{
        pthread_t thread;
        pthread_create(&thread, &attributes, wait_, 0);
    }}
    puts("ready");
    fflush(stdout);
    for (;;)
        ;
}}
"""


def test_of_many_native_threads_those_that_are_not_looked_at_are_unknown(tmp_path):
    program = compiled(tmp_path, NATIVE_THREADS, "-pthread")
    with running(program) as pid:
        measured = examine(pid)
        waits = examine(pid, Depth.WAITS).waits
        assert goes_on(pid)
    assert measured.n_threads == N_THREADS + 1
    assert measured.on_cpu_cores > 0
    assert len(waits) == MAX_THREADS + 1
    assert not waits[-1].is_closed


MANY_THREADS = f"""\
import threading, time
threading.stack_size(65536)


def sleep(n):
    text = "x" * 100
    time.sleep(600)


for n in range({N_THREADS}):
    threading.Thread(target=sleep, args=(n,), daemon=True).start()
"""


def test_of_many_python_threads_the_one_that_spins_is_found(tmp_path):
    with python(tmp_path, MANY_THREADS + SPIN + "spin()\n") as pid:
        found = examine(pid)
        assert goes_on(pid)
    assert place(found).function == "spin"


GAPS = """\
import sys, threading, time
sys.setrecursionlimit(10_000)
started = threading.Semaphore(0)


def wait(depth):
    numbers, text = list(range(50)), "x" * 100
    if depth:
        return wait(depth - 1)
    started.release()
    time.sleep(600)


for _ in range(10):
    threading.Thread(target=wait, args=(60,), daemon=True).start()
for _ in range(10):
    started.acquire()


def spin():
    print("ready", flush=True)
    last, longest = time.monotonic(), 0.0
    with open("longest", "w") as file:
        while True:
            now = time.monotonic()
            if now - last > longest:
                longest = now - last
                file.seek(0)
                file.write(f"{longest:9.6f}")
                file.flush()
            last = now


spin()
"""


def test_one_with_many_frames_does_not_stand_still_while_all_are_read(tmp_path):
    """py-spy alone would hold it for half a second, a dozen times."""
    with python(tmp_path, GAPS) as pid:
        used_s = procfs.read_counters(pid).run_ns
        found = examine(pid)
        used_s = (procfs.read_counters(pid).run_ns - used_s) / 1e9
        assert used_s > 0
        assert float((tmp_path / "longest").read_text()) < 0.3 + 0.5  # and what the machine adds
    assert found.stacks
    assert place(found).function == "spin"


def test_a_process_of_many_mappings_and_much_reserved_memory_is_not_judged_by_them(tmp_path):
    program = compiled(
        tmp_path,
        "#include <stdio.h>\n#include <sys/mman.h>\nint main(void) {\n"
        "  for (int i = 0; i < 60000; i++)\n"
        "    mmap(0, i < 60 ? 2ul << 30 : 4096, PROT_READ | (i & 1 ? PROT_WRITE : 0),\n"
        "         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);\n"
        '  puts("ready"); fflush(stdout); for (;;); }\n',
    )
    with running(program) as pid:
        assert watch_memory(pid) is None
        examine(pid)
        assert goes_on(pid)


@pytest.mark.parametrize("name", [b"a\nb.py", b"\x1b[2J\x1b]0;x\x07.py", b"\xff\xfe.py", b" .py"])
def test_a_script_of_any_name_is_looked_at(tmp_path, name):
    script = os.fsencode(tmp_path) + b"/" + name
    Path(os.fsdecode(script)).write_text(SPIN + "spin()\n")
    with running(sys.executable, "-S", script, cwd=tmp_path) as pid:
        found = examine(pid)
        assert goes_on(pid)
    assert found.stacks
    assert place(found) is None or place(found).function == "spin"


# -- what is elsewhere, held, or still -----------------------------------------------------------


@pytest.mark.parametrize("options", [["-m"], ["-p", "-f", "--mount-proc"], ["-U", "-r", "-m"]])
def test_one_in_other_namespaces_is_looked_at(tmp_path, options):
    (tmp_path / "pump.py").write_text(SPIN + "spin()\n")
    inside = [sys.executable, "-S", tmp_path / "pump.py"]
    with running("unshare", *options, *inside) as outer:
        pid = outer if "-f" not in options else asyncio.run(generations_below(outer, 1))
        await_its_loop(pid)
        found = examine(pid)
        assert goes_on(pid)
    assert not found.is_gone
    assert place(found) is None or place(found).function == "spin"


@contextlib.contextmanager
def held_by(program, pid):
    argv = {
        "gdb": ["gdb", "-nx", "-q", "-p", str(pid), "-ex", "continue"],
        "strace": ["strace", "-f", "-q", "-o", "/dev/null", "-p", str(pid)],
    }[program]
    holder = subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        status = Path(f"/proc/{pid}/status")
        await_(lambda: f"\nTracerPid:\t{holder.pid}\n" in status.read_text())
        assert goes_on(pid)
        yield
        assert holder.poll() is None
        assert f"\nTracerPid:\t{holder.pid}\n" in status.read_text()
    finally:
        holder.kill()
        holder.communicate()


@pytest.mark.parametrize(
    "debugger",
    [
        pytest.param("gdb", marks=needs("gdb")),
        pytest.param("strace", marks=needs("strace")),
    ],
)
def test_one_that_a_debugger_holds_is_looked_at_and_left_to_it(tmp_path, debugger):
    with python(tmp_path, SPIN + "spin()\n") as pid, held_by(debugger, pid):
        found = examine(pid)
        assert goes_on(pid)
        assert place(found).function == "spin"


def test_one_that_is_suspended_is_looked_at_and_stays_so(tmp_path):
    with python(tmp_path, SPIN + "spin()\n") as pid:
        os.kill(pid, signal.SIGSTOP)
        await_(lambda: procfs.read_stat(pid).state == "T")
        found = examine(pid)
        assert procfs.read_stat(pid).state == "T"
        os.kill(pid, signal.SIGCONT)
        assert goes_on(pid)
    assert place(found).function == "spin"


def test_one_that_is_suspended_and_continued_meanwhile_goes_on(tmp_path):
    with python(tmp_path, SPIN + "spin()\n") as pid:
        done = threading.Event()

        def interfere():
            while not done.wait(0.013):
                os.kill(pid, signal.SIGSTOP)
                os.kill(pid, signal.SIGCONT)

        interfering = threading.Thread(target=interfere)
        interfering.start()
        try:
            for _ in range(2):
                examine(pid)
        finally:
            done.set()
            interfering.join()
        assert goes_on(pid)


FREEZERS = (
    ("/sys/fs/cgroup/freezer", "freezer.state", "FROZEN", "THAWED"),
    ("/sys/fs/cgroup/unified", "cgroup.freeze", "1", "0"),
    ("/sys/fs/cgroup", "cgroup.freeze", "1", "0"),
)


def has_freezer(root, file):
    """Whether groups there can be frozen; the file is not in the outermost one."""
    group = Path(root, f"linnix-try-{os.getpid()}")
    try:
        group.mkdir()
    except OSError:
        return False
    try:
        return (group / file).exists()
    finally:
        group.rmdir()


@contextlib.contextmanager
def frozen(pid, freezers=FREEZERS):
    """By the freezer of whichever cgroup version is there."""
    usable = [freezer for freezer in freezers if has_freezer(*freezer[:2])]
    if not usable:
        pytest.skip("no freezer")
    root, file, freeze, thaw = usable[0]
    group = Path(root, f"linnix-test-{pid}")
    group.mkdir()
    try:
        (group / "cgroup.procs").write_text(str(pid))
        (group / file).write_text(freeze)
        deadline = time.monotonic() + 20
        used = None
        while used != (used := procfs.read_stat(pid).utime_ticks):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield
    finally:
        (group / file).write_text(thaw)
        (group.parent / "cgroup.procs").write_text(str(pid))
        with contextlib.suppress(OSError):
            group.rmdir()


@pytest.mark.parametrize(
    "argv",
    [
        [sys.executable, "-S", "pump.py"],
        ["bash", "-c", "echo ready; while :; do :; done"],
        pytest.param(["node", "-e", "console.log('ready');for(;;);"], marks=needs("node")),
    ],
    ids=["python", "bash", "node"],
)
def test_one_that_is_frozen_is_no_trouble(tmp_path, argv):
    (tmp_path / "pump.py").write_text(SPIN + "spin()\n")
    with running(*argv, cwd=tmp_path) as pid:
        with frozen(pid):
            examine(pid)
        assert goes_on(pid)


# -- what ends, and who else looks ---------------------------------------------------------------

JAVA_SPIN = (
    "class Spin { public static void main(String[] a)"
    ' { System.out.println("ready"); for (;;); } }\n'
)

ENDING = {
    "python": (sys.executable, "-S", "-c", SPIN + "spin()"),
    "bash": ("bash", "-c", "echo ready; while :; do :; done"),
    "perl": ("perl", "-e", "$| = 1; print qq(ready\\n); while (1) {}"),
    "node": ("node", "-e", "console.log('ready'); for (;;);"),
    "native": ("/bin/sh", "-c", "echo ready; exec sha256sum /dev/zero"),
    "java": ("java", "-Xshare:auto", "Spin.java"),
}


@pytest.mark.parametrize("language", ENDING)
def test_one_that_is_killed_in_the_midst_is_gone_and_nothing_is_left(tmp_path, language):
    (tmp_path / "Spin.java").write_text(JAVA_SPIN)
    for after_s in (0.0, 0.004, 0.02, 0.1, 0.4):
        with running(*ENDING[language], cwd=tmp_path) as pid:
            killing = threading.Timer(after_s, os.kill, (pid, 9))
            fds = own_fds()
            key = procfs.read_stat(pid).key
            killing.start()
            asyncio.run(_examine(key, Depth.MEASURE, (key,)))
            killing.join()
            assert own_fds() == fds
        assert not own_children()
    left = [name for name in os.listdir("/tmp") if name == f".attach_pid{pid}"]
    assert not left


def test_a_look_that_is_cancelled_leaves_nothing_behind(tmp_path):
    """As when a client goes."""

    async def look_for(key, seconds):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await _examine(key, Depth.MEASURE, ())

    with python(tmp_path, SPIN + "spin()\n") as pid:
        key = procfs.read_stat(pid).key
        fds, children = own_fds(), own_children()
        for seconds in (0.001, 0.01, 0.02, 0.03, 0.3):
            asyncio.run(look_for(key, seconds))
            assert (own_fds(), own_children()) == (fds, children)
            assert procfs.read_stat(pid).state == "R"
        assert goes_on(pid)


def test_a_zombie_with_threads_that_live_on_is_looked_at(tmp_path):
    script = (
        "import ctypes, threading, time\n"
        "def spin():\n    while True:\n        pass\n"
        "threading.Thread(target=spin, daemon=True).start()\n"
        "print('ready', flush=True)\nctypes.CDLL(None).pthread_exit(None)\n"
    )
    (tmp_path / "pump.py").write_text(script)
    process = subprocess.Popen(
        [sys.executable, "-S", tmp_path / "pump.py"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        process.stdout.readline()
        time.sleep(0.3)
        examine(process.pid)
    finally:
        process.kill()
        process.communicate()


@needs("java")
def test_a_jvm_that_may_not_be_attached_to_is_left_as_it_is(tmp_path):
    (tmp_path / "Spin.java").write_text(JAVA_SPIN)
    with running("java", "-Xshare:auto", "Spin.java", cwd=tmp_path) as pid:
        key = procfs.read_stat(pid).key
        request = ExaminationRequest(7, key, Depth.MEASURE)
        examiner = Examiner(no_syscalls, lambda _key: (), may_attach_to_jvm=lambda: False)
        threads = thread_names(pid)
        found = asyncio.run(examiner.examine(request, ()))
        assert thread_names(pid) == threads
        assert not Path(f"/tmp/.java_pid{pid}").exists()
        assert (found.language, found.stacks) == ("java", ())
        assert found.notes == ("no Java stack: linnix.attach_to_jvm is off",)
        assert place(found).path == str(tmp_path / "Spin.java")
        examine(pid)
        assert Path(f"/tmp/.java_pid{pid}").exists()


def thread_names(pid):
    tids = os.listdir(f"/proc/{pid}/task")
    return sorted(Path(f"/proc/{pid}/task/{tid}/comm").read_text().strip() for tid in tids)


def test_two_clients_look_one_after_the_other(tmp_path):
    """Each with an examiner of its own, and the tracer's count of system calls undisturbed."""
    windows = []

    async def count_syscalls(_pid, window_s):
        began = time.monotonic()
        await asyncio.sleep(window_s)
        windows.append((began, time.monotonic()))
        return ()

    async def look_twice(key):
        turns = Turns()
        request = ExaminationRequest(7, key, Depth.MEASURE)
        examiners = [Examiner(count_syscalls, lambda _key: (), turns) for _ in range(2)]
        return await asyncio.gather(*(examiner.examine(request, ()) for examiner in examiners))

    with python(tmp_path, SPIN + "spin()\n") as pid:
        both = asyncio.run(look_twice(procfs.read_stat(pid).key))
    assert [found.is_gone for found in both] == [False, False]
    (_, first_end), (second_start, _) = sorted(windows)
    assert second_start >= first_end
