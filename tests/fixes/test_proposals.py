"""Sources before and after the first patch: what rules propose, in each language."""

import ast
import textwrap
from dataclasses import dataclass

import pytest

from linnix_ls.core.findings import Cause, Kind
from linnix_ls.fixes.proposals import MAX_PATCHES, propose
from linnix_ls.fixes.text import apply
from tests.lsp.memory_feed import a_finding, a_place

POLL, PURE, LOCK = Cause.BUSY_POLL, Cause.PURE_LOOP, Cause.LOCK_SPIN


@dataclass
class Case:
    """The finding's line is the one with `<--`. `becomes` are the changed lines alone: `- ` for
    what goes, `+ ` for what comes."""

    name: str
    file: str
    source: str
    title: str
    becomes: str
    cause: Cause = POLL
    kind: Kind = Kind.CPU_SPIN


CASES = [
    Case(
        "a process is waited for",
        "a.py",
        """\
        def stop(self):
            self.proc.terminate()
            while self.proc.poll() is None:  # <--
                pass
        """,
        "Wait for the process with wait()",
        """\
        -     while self.proc.poll() is None:  # <--
        -         pass
        +     self.proc.wait()
        """,
    ),
    Case(
        "a lock is waited for",
        "a.py",
        """\
        while not guard.acquire(False):
            continue  # <--
        """,
        "Wait for the lock with acquire()",
        """\
        - while not guard.acquire(False):
        -     continue  # <--
        + guard.acquire()  # <--
        """,
        LOCK,
    ),
    Case(
        "a queue is waited for",
        "a.py",
        """\
        def run(self):
            while self.is_open:
                try:
                    item = self.items.get_nowait()  # <--
                except queue.Empty:
                    continue
                self.handle(item)
        """,
        "Wait for the queue with get(timeout=0.1)",
        """\
        -             item = self.items.get_nowait()  # <--
        +             item = self.items.get(timeout=0.1)  # <--
        """,
    ),
    Case(
        "select gets a timeout",
        "a.py",
        """\
        while self.is_open:  # <--
            ready, _, _ = select.select(self.socks, [], [], 0)
            self.handle(ready)
        """,
        "Let select() wait for a tenth of a second",
        """\
        -     ready, _, _ = select.select(self.socks, [], [], 0)
        +     ready, _, _ = select.select(self.socks, [], [], 0.1)
        """,
    ),
    Case(
        "a timeout that is never above zero is turned round",
        "a.py",
        """\
        async def gather(loop, jobs, limit):
            while jobs:  # <--
                used = loop.time() - began
                if used > limit:
                    break
                _, jobs = await asyncio.wait(jobs, timeout=used - limit)
        """,
        "Wait for the time that is left: limit - used",
        """\
        -         _, jobs = await asyncio.wait(jobs, timeout=used - limit)
        +         _, jobs = await asyncio.wait(jobs, timeout=limit - used)
        """,
    ),
    Case(
        "the end of a stream ends the loop",
        "a.py",
        """\
        while True:
            line = stream.readline()  # <--
            if line.strip():
                handle(line)
        """,
        "Stop at the end of the stream",
        """\
        +     if not line:
        +         break
        """,
    ),
    Case(
        "a wait ends, and its import stands among the others",
        "a.py",
        '''\
        """Waits."""
        import os
        import zlib


        def wait(path):
            while not os.path.exists(path):
                pass  # <--
        ''',
        "Pause for 10 ms in each round, and give up after 10 s",
        """\
        + import time
        +     give_up_s = time.monotonic() + 10
        +         if time.monotonic() > give_up_s:
        +             raise TimeoutError("still waiting after 10 s")
        -         pass  # <--
        +         time.sleep(0.01)  # <--
        """,
    ),
    Case(
        "a wait for a variable pauses",
        "a.py",
        """\
        import time

        while not items:  # <--
            pass
        """,
        "Pause for 10 ms in each round",
        """\
        -     pass
        +     time.sleep(0.01)
        """,
    ),
    Case(
        "a coroutine pauses without stopping the others",
        "a.py",
        """\
        import asyncio

        async def wait(job):
            while not job.done():  # <--
                await asyncio.sleep(0)
        """,
        "Pause for 10 ms in each round",
        """\
        +         await asyncio.sleep(0.01)
        """,
    ),
    Case(
        "a pipe is read while waiting",
        "a.py",
        """\
        import subprocess

        def convert(path):
            child = subprocess.Popen(["convert", path], stdout=subprocess.PIPE)
            status = child.wait()  # <--
            assert status == 0
            return child.stdout.read()
        """,
        "Read its output while waiting, with communicate()",
        """\
        -     status = child.wait()  # <--
        +     child_stdout, _ = child.communicate()
        +     status = child.returncode  # <--
        -     return child.stdout.read()
        +     return child_stdout
        """,
        Cause.PIPE_DEADLOCK,
        Kind.STUCK,
    ),
    Case(
        "a queue is read before its processes are waited for",
        "a.py",
        """\
        def collect(crew, results):
            for each in crew:
                each.join()  # <--
            found = {}
            for _ in crew:
                found.update(results.get())
            return found
        """,
        "Wait for the processes after reading their results",
        """\
        -     for each in crew:
        -         each.join()  # <--
        +     for each in crew:
        +         each.join()  # <--
        """,
        Cause.PIPE_DEADLOCK,
        Kind.STUCK,
    ),
    Case(
        "a pool is started by the program alone",
        "a.py",
        """\
        import multiprocessing

        def double(n):
            return 2 * n

        pool = multiprocessing.Pool(4)  # <--
        print(pool.map(double, range(4)))
        """,
        "Start processes only when this file is the program",
        """\
        - pool = multiprocessing.Pool(4)  # <--
        - print(pool.map(double, range(4)))
        + if __name__ == "__main__":
        +     pool = multiprocessing.Pool(4)  # <--
        +     print(pool.map(double, range(4)))
        """,
        Cause.RETRY_LOOP,
        Kind.FORK_STORM,
    ),
    Case(
        "a pool is as large as the machine",
        "a.py",
        """\
        import os
        from concurrent.futures import ProcessPoolExecutor

        def run(jobs):
            with ProcessPoolExecutor(max_workers=64) as pool:  # <--
                return list(pool.map(work, jobs))
        """,
        "Use one worker per CPU",
        """\
        -     with ProcessPoolExecutor(max_workers=64) as pool:  # <--
        +     with ProcessPoolExecutor(max_workers=os.cpu_count()) as pool:  # <--
        """,
        Cause.WORKER_OVERSUBSCRIPTION,
        Kind.FORK_STORM,
    ),
    Case(
        "a program that fails again and again is given up",
        "a.py",
        """\
        import subprocess
        import time

        def keep(command):
            while True:
                status = subprocess.run(command).returncode  # <--
                print(status)
        """,
        "Give up after 5 failures in a row, with pauses between them",
        """\
        +     n_failures = 0
        +         n_failures = n_failures + 1 if status else 0
        +         if n_failures >= 5:
        +             raise RuntimeError(f"{n_failures} failures in a row, the last: {status}")
        +         time.sleep(0.1 * n_failures)
        """,
        Cause.RETRY_LOOP,
        Kind.FORK_STORM,
    ),
    Case(
        "a child of a test is ended with it",
        "a.py",
        """\
        class Case(unittest.TestCase):
            def setUp(self):
                self.server = subprocess.Popen(["serve"])  # <--
        """,
        "End it after each test, with addCleanup()",
        """\
        +         self.addCleanup(self.server.kill)
        """,
        Cause.ORPHAN_SERVER,
        Kind.LEAKED_CHILD,
    ),
    Case(
        "a script waits between its questions",
        "a.sh",
        """\
        wait_for() {
            until [ -e "$1" ]; do
                :  # <--
            done
        }
        """,
        "Pause for a tenth of a second in each round",
        """\
        -         :  # <--
        +         sleep 0.1  # <--
        """,
    ),
    Case(
        "a server of a script ends with it",
        "serve",
        """\
        #!/bin/bash
        python3 -m http.server &  # <--
        server=$!
        ./smoke.sh
        """,
        "End it when the script ends, with a trap",
        """\
        + trap 'kill "$server" 2>/dev/null' EXIT
        """,
        Cause.ORPHAN_SERVER,
        Kind.LEAKED_CHILD,
    ),
    Case(
        "a socket that has nothing is waited for",
        "a.c",
        """\
        #include <errno.h>

        void drain(int fd, char *to, size_t want)
        {
            while (want > 0) {  // <--
                ssize_t n = recv(fd, to, want, 0);
                if (n < 0 && errno != EAGAIN)
                    return;
            }
        }
        """,
        "Wait with poll() until there is something to read",
        """\
        + #include <poll.h>
        +         struct pollfd readable = { fd, POLLIN, 0 };
        +         poll(&readable, 1, -1);
        """,
    ),
    Case(
        "a wait for another thread pauses in C++",
        "a.h",
        """\
        #include <atomic>
        class Spin {
            void lock() {
                while (held.exchange(true))  // <--
                    ;
            }
            std::atomic<bool> held;
        };
        """,
        "Pause for 1 ms in each round",
        """\
        + #include <chrono>
        + #include <thread>
        -             ;
        +             std::this_thread::sleep_for(std::chrono::milliseconds(1));
        """,
        LOCK,
    ),
    Case(
        "a field that another thread writes is volatile",
        "A.java",
        """\
        class A {
            private boolean stopped;
            void run() {
                while (!stopped) {  // <--
                    step();
                }
            }
        }
        """,
        "Make stopped volatile, so that the loop sees other threads' writes",
        """\
        -     private boolean stopped;
        +     private volatile boolean stopped;
        """,
        PURE,
    ),
    Case(
        "a callback asks again later",
        "a.js",
        """\
        function ready(callback) {
          const poll = () => {  // <--
            if (done) return callback();
            setImmediate(poll);
          };
          poll();
        }
        """,
        "Ask again after 10 ms, with setTimeout()",
        """\
        -     setImmediate(poll);
        +     setTimeout(poll, 10);
        """,
    ),
    Case(
        "a worker is started again later",
        "a.ts",
        """\
        class Pool {
          start(slot: number) {
            const child = spawn('node', [WORKER]);
            child.on('exit', () => {
              this.start(slot);  // <--
            });
          }
        }
        """,
        "Start it again after half a second",
        """\
        -       this.start(slot);  // <--
        +       setTimeout(() => this.start(slot), 500);  // <--
        """,
        Cause.RETRY_LOOP,
        Kind.FORK_STORM,
    ),
    Case(
        "a channel is waited for",
        "a.rs",
        """\
        fn run(rx: &Receiver<u8>) {
            loop {  // <--
                match rx.try_recv() {
                    Ok(n) => handle(n),
                    Err(_) => flush(),
                }
            }
        }
        """,
        "Wait for a message for up to 10 ms, with recv_timeout()",
        """\
        -         match rx.try_recv() {
        +         match rx.recv_timeout(std::time::Duration::from_millis(10)) {
        """,
    ),
    Case(
        "a child in a struct is ended with it",
        "a.rs",
        """\
        pub struct Daemon {
            child: std::process::Child,
        }

        fn start() -> Daemon {
            Daemon { child: Command::new("d").spawn().unwrap() }  // <--
        }
        """,
        "End the process when its Daemon is dropped",
        """\
        +
        + impl Drop for Daemon {
        +     fn drop(&mut self) {
        +         let _ = self.child.kill();
        +         let _ = self.child.wait();
        +     }
        + }
        """,
        Cause.ORPHAN_SERVER,
        Kind.LEAKED_CHILD,
    ),
    Case(
        "a reader in Perl pauses",
        "a.pl",
        """\
        while (1) {
            my $got = sysread($handle, my $chunk, 8192);
            next unless defined $got;  # <--
        }
        """,
        "Pause for 10 ms in each round",
        """\
        +     select(undef, undef, undef, 0.01);
        """,
    ),
    Case(
        "make runs as many jobs as there are CPUs",
        "Makefile",
        """\
        MAKEFLAGS += -j  # <--
        """,
        "Run one job per CPU",
        """\
        - MAKEFLAGS += -j  # <--
        + MAKEFLAGS += -j$(shell nproc)  # <--
        """,
        Cause.WORKER_OVERSUBSCRIPTION,
        Kind.FORK_STORM,
    ),
]


def proposed(file, source, kind=Kind.CPU_SPIN, cause=POLL, line=None):
    if line is None:
        line = next(n for n, text in enumerate(source.splitlines(), 1) if "<--" in text)
    path = f"/home/me/{file}"
    return propose(a_finding(path, line, kind=kind, cause=cause), {path: source}.get)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_rule_proposes(case):
    source = textwrap.dedent(case.source)
    patches = proposed(case.file, source, case.kind, case.cause)
    assert patches, "nothing is proposed"
    [patch] = [patch for patch in patches if patch.title == case.title]
    assert patch is patches[0]
    assert patch.by == "rules"
    wanted = _wanted(source, textwrap.dedent(case.becomes), patch)
    assert apply(source, patch.edits) == wanted


def _wanted(source, becomes, patch):
    """The source with the lines of `becomes` changed, in their order."""
    lines = source.split("\n")
    edits = iter(sorted(patch.edits, key=lambda edit: (edit.line, bool(edit.old))))
    gone = [line[2:] for line in becomes.splitlines() if line.startswith("-")]
    come = [line[2:] for line in becomes.splitlines() if line.startswith("+")]
    result = []
    number = 1
    for edit in edits:
        result += lines[number - 1 : edit.line - 1]
        old = edit.old.split("\n") if edit.old else []
        new = edit.new.split("\n") if edit.new else []
        staying = [line for line in old if line in new and line not in gone]
        for line in old:
            if line not in staying:
                assert gone.pop(0) == line
        for line in new:
            if line not in staying:
                assert come.pop(0) == line
        result += new
        number = edit.line + len(old)
    assert not gone and not come
    return "\n".join([*result, *lines[number - 1 :]])


def test_line_ends_quotes_and_indentation_stay_as_they_are():
    source = "import time\r\nwhile x():  # <--\r\n\t'a'\r\n\tpass\r\n"
    [*_, patch] = proposed("a.py", source)
    changed = apply(source, patch.edits)
    assert (
        changed == "import time\r\nwhile x():  # <--\r\n\ttime.sleep(0.01)\r\n\t'a'\r\n\tpass\r\n"
    )


def test_a_file_without_a_last_line_end_keeps_none():
    source = "import time\nwhile x:  # <--\n    pass"
    [patch] = proposed("a.py", source)
    assert apply(source, patch.edits).endswith("\n    time.sleep(0.01)")


@pytest.mark.parametrize(
    "source",
    [
        "while len(rest) > width:  # <--\n    cut = rest.rfind(' ')\n",
        "while low < high:  # <--\n    low = (low + high) // 2\n",
    ],
)
def test_nothing_is_proposed_for_a_loop_that_computes(source):
    assert proposed("a.py", source, cause=PURE) == ()


@pytest.mark.parametrize(
    "cause", [Cause.REGEX_BACKTRACKING, Cause.COMPILE_BLOWUP, Cause.PROCESS_RECURSION]
)
def test_a_pause_is_no_answer_to_every_cause(cause):
    source = "while (tag.find()) {  // <--\n    spawn();\n}\n"
    for kind in Kind:
        assert proposed("A.java", source, kind, cause) == ()


def test_where_a_name_is_taken_it_is_not_imported():
    source = "def wait(time):\n    while time.left():  # <--\n        pass\n"
    assert proposed("a.py", source) == ()


def test_one_patch_of_a_kind_and_not_many():
    source = textwrap.dedent(next(c for c in CASES if "get_nowait" in c.source).source)
    patches = proposed("a.py", source)
    assert 1 < len(patches) <= MAX_PATCHES
    assert len({patch.edits for patch in patches}) == len(patches)
    for patch in patches:
        ast.parse(apply(source, patch.edits))


def test_the_caller_is_looked_at_too():
    helper, caller = "def is_empty(q):\n    return not q\n", "while is_empty(q):\n    pass\n"
    finding = a_finding("/h.py", 2, other_locations=(a_place("/c.py", 1, "caller"),))
    patches = propose(finding, {"/h.py": helper, "/c.py": caller}.get)
    assert patches and {e.path for patch in patches for e in patch.edits} == {"/c.py"}


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("a.py", "while x(:\n    pass\n"),
        ("a.py", "x" * 3_000_000),
        ("a.py", "while " + "(" * 5000 + ":\n pass\n"),
        ("a.py", "\0"),
        ("a.c", "while (x) {{{{{{{{\n"),
        ("a.rs", ")))\n" * 100),
        ("a.sh", "until x; do\n"),
        ("a.js", "\ud800 while (1) {}\n"),
        ("a.weird", "while true\n"),
        ("a", "#!/usr/bin/env bash"),
        ("a.py", ""),
    ],
)
@pytest.mark.parametrize("kind", Kind)
def test_sources_that_cannot_be_read_get_nothing(file, source, kind):
    for cause in Cause:
        assert proposed(file, source, kind, cause, line=1) == ()
        assert proposed(file, source, kind, cause, line=10**9) == ()


def test_a_finding_without_a_place_gets_nothing():
    assert propose(a_finding(path=None), {}.get) == ()
