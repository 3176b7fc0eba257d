"""Real runners with a test that hangs: what an examination of the busiest process says."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from linnix_ls import procfs
from linnix_ls.core.attribution import attribute
from linnix_ls.core.examination import Depth, ExaminationRequest
from linnix_ls.core.findings import Kind
from linnix_ls.locate.examiner import Examiner

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(os.geteuid() != 0, reason="reads other processes: needs root"),
]

PYTHON = {
    "pump.py": "def drain(queue):\n    while queue:\n        pass\n",
    "tests/__init__.py": "",
    "tests/test_pump.py": (
        "import os, subprocess, sys, threading, unittest\n"
        "sys.path.insert(0, os.getcwd())\nimport pump\n\n\n"
        "class PumpTest(unittest.TestCase):\n"
        "    def test_drain(self):\n        pump.drain([1])\n\n"
        "    def test_thread(self):\n"
        "        thread = threading.Thread(target=pump.drain, args=([1],), daemon=True)\n"
        "        thread.start()\n        thread.join()\n\n"
        "    def test_fork(self):\n"
        "        if os.fork() == 0:\n            pump.drain([1])\n        os.wait()\n\n"
        "    def test_child(self):\n"
        "        subprocess.run([sys.executable, '-c', 'while True: pass'], env={})\n"
    ),
}
NODE = {
    "pump.js": "exports.drain = (q) => {\n  let n = 0;\n  while (q.length) n = 1 - n;\n};\n",
    "package.json": '{\n"scripts": {\n"test": "node --test"\n}\n}\n',
    "test/pump.test.js": (
        "const { describe, it } = require('node:test');\nconst { drain } = require('../pump');\n\n"
        "describe('pump', () => {\n  it('drains', () => {\n    drain([1]);\n  });\n});\n"
    ),
}
PERL = {
    "t/pump.t": (
        "use Test::More;\n\nsubtest 'drains' => sub {\n    while (1) {\n        my $n = 1;\n    }\n"
        "};\ndone_testing;\n"
    )
}
RUST = {
    "Cargo.toml": '[package]\nname = "pump"\nversion = "0.1.0"\nedition = "2021"\n',
    "src/lib.rs": "",
    "tests/startup.rs": (
        "#[test]\nfn drains_with_a_good_config() {}\n\n"
        "#[test]\nfn drains_with_an_empty_config() {\n"
        "    std::thread::spawn(|| loop {}).join().unwrap();\n}\n"
    ),
}
C = {
    "pump.c": "volatile int full = 1;\nint main(void) { while (full) { } return 0; }\n",
    "CMakeLists.txt": (
        "cmake_minimum_required(VERSION 3.16)\nproject(pump C)\nenable_testing()\n"
        "add_executable(pump pump.c)\nadd_test(NAME drains COMMAND pump --all)\n"
    ),
}
MAKE = {
    "Makefile": "check:\n\t@sh scan.sh\n",
    "scan.sh": "while :; do :; done\n",
}
MAKE_TEST = {"Makefile": "check:\n\t@sh tests/scan.sh\n", "tests/scan.sh": "while :; do :; done\n"}
PYTEST = f"{sys.executable} -m pytest -q -p no:cacheprovider"
UNITTEST = f"{sys.executable} -m unittest"
PYTEST_ID = "tests/test_pump.py::PumpTest::test_"
UNITTEST_ID = "tests.test_pump.PumpTest.test_"


@pytest.mark.parametrize(
    ("files", "command", "test", "line"),
    [
        pytest.param(PYTHON, f"{PYTEST} -k drain", f"{PYTEST_ID}drain", 7, id="pytest"),
        pytest.param(PYTHON, f"{PYTEST} -k thread", f"{PYTEST_ID}thread", 10, id="pytest-thread"),
        pytest.param(PYTHON, f"{PYTEST} -k fork", f"{PYTEST_ID}fork", 15, id="pytest-fork"),
        pytest.param(PYTHON, f"{PYTEST} -k child", f"{PYTEST_ID}child", 20, id="pytest-child"),
        pytest.param(PYTHON, f"{UNITTEST} -k drain", f"{UNITTEST_ID}drain", 7, id="unittest"),
        pytest.param(
            PYTHON, f"{UNITTEST} -k thread", f"{UNITTEST_ID}thread", 10, id="unittest-thread"
        ),
        pytest.param(
            PYTHON, f"{UNITTEST} -k child", f"{UNITTEST_ID}child", 20, id="unittest-child"
        ),
        pytest.param(NODE, "node --test", "test/pump.test.js > pump > drains", 5, id="node"),
        pytest.param(NODE, "npm test", "test/pump.test.js > pump > drains", 5, id="node-npm"),
        pytest.param(PERL, "prove", "t/pump.t > drains", 3, id="prove"),
        pytest.param(RUST, "cargo test --offline", "drains_with_an_empty_config", 5, id="cargo"),
        pytest.param(
            C, "cmake -S . -B b && cmake --build b && cd b && ctest", "drains", 5, id="ctest"
        ),
        pytest.param(MAKE, "make check", "make check", 1, id="make"),
        pytest.param(MAKE_TEST, "make check", "tests/scan.sh", 1, id="script"),
    ],
)
def test_a_test_that_hangs_is_known_by_its_name(tmp_path, files, command, test, line):
    program = command.split()[0]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    with hanging(command, tmp_path) as lineage:
        deadline = time.monotonic() + 30
        # A runner's own start can take a while, and all of a CPU.
        while (found := examine(lineage)).process.test != test and time.monotonic() < deadline:
            time.sleep(0.5)
    assert found.process.test == test
    assert [hint.line for hint in found.hints if hint.role == "test"] == [line]
    assert attribute(found, Kind.CPU_SPIN, found.key).test == test


@contextlib.contextmanager
def hanging(command, cwd):
    """The process that uses the CPU, and those above it up to the command."""
    process = subprocess.Popen(
        ["sh", "-c", command], cwd=cwd, start_new_session=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"},
    )  # fmt: skip
    pids = []
    try:
        deadline = time.monotonic() + 60
        used: dict[int, int] = {}
        while time.monotonic() < deadline:
            time.sleep(0.5)
            pids = procfs.descendants(process.pid)
            now = {s.key.pid: s for s in map(procfs.read_stat, pids) if s is not None}
            # Who has used half of it in both of the last half seconds has arrived.
            busy = [
                pid
                for pid, stat in now.items()
                if stat.utime_ticks - used.get(pid, stat.utime_ticks) > 20
                and stat.comm not in ("cc1", "rustc", "cargo", "npm")
            ]
            if busy:
                break
            used = {pid: stat.utime_ticks for pid, stat in now.items()}
        assert busy
        time.sleep(0.5)
        yield lineage_of(busy[0], process.pid)
    finally:
        for pid in procfs.descendants(process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def lineage_of(pid, outermost):
    lineage = []
    while stat := procfs.read_stat(pid):
        lineage.append(stat.key)
        if pid == outermost:
            break
        pid = stat.ppid
    return lineage


def examine(lineage):
    async def count_syscalls(pid, window_s):
        return ()

    request = ExaminationRequest(1, lineage[0], Depth.GLANCE)
    return asyncio.run(Examiner(count_syscalls, lambda _: ()).examine(request, lineage[1:]))
