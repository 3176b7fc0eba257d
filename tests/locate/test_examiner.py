"""Close looks at real processes, of all sorts, as they vanish, and at hostile ones."""

import asyncio
import os
import shutil
import subprocess

import pytest

from linnix_ls import procfs
from linnix_ls.codec import TaggedCodec
from linnix_ls.core.attribution import attribute
from linnix_ls.core.events import Examined
from linnix_ls.core.examination import Depth, ExaminationRequest, SyscallCount
from linnix_ls.core.findings import Kind
from linnix_ls.core.ids import ProcessKey
from linnix_ls.locate import examiner
from linnix_ls.locate.examiner import Examiner
from tests.locate.specimens import NO_PID, running, running_python

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(os.geteuid() != 0, reason="reads other processes: needs root"),
]

SPIN = "def spin():\n    print('ready', flush=True)\n    while True:\n        pass\n\n\nspin()\n"
COUNTED = (SyscallCount("getpid", 1, 0, 0, 1),)


async def count_syscalls(pid, window_s):
    await asyncio.sleep(window_s)
    return COUNTED


def examine(key, depth=Depth.GLANCE, *, ancestors=(), around=(), counts=count_syscalls):
    examiner = Examiner(counts, lambda _key: ())
    if isinstance(key, int):
        key = procfs.read_stat(key).key
    request = ExaminationRequest(7, key, depth, around)
    found = asyncio.run(examiner.examine(request, ancestors))
    assert (found.request_id, found.key, found.depth) == (7, key, depth)
    # Whatever was found can be sent and recorded.
    codec = TaggedCodec(Examined)
    assert codec.load(codec.dump(Examined(1, found))) == Examined(1, found)
    return found


def place(examination):
    return attribute(examination, Kind.CPU_SPIN, examination.key).location


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "my straße"
    folder.mkdir()
    return folder


@pytest.fixture
def spinner(folder):
    (folder / "pump.py").write_text(SPIN)
    with running_python("pump.py", cwd=folder) as pid:
        yield pid


# -- what is measured ----------------------------------------------------------------------------


def test_a_spinner_is_measured(spinner, folder):
    found = examine(spinner, Depth.MEASURE)
    assert not found.is_gone
    assert 0.3 < found.window_s < 20
    assert 0 < found.on_cpu_cores < 1.2
    assert found.runnable_cores >= found.on_cpu_cores
    assert found.n_threads == 1
    assert found.rss_bytes > 1_000_000
    assert found.syscalls == COUNTED
    assert found.memory is not None
    assert (found.language, len(found.stacks) > 4) == ("python", True)
    assert found.process.cwd == str(folder)
    assert place(found).path == str(folder / "pump.py")
    assert place(found).line == 3


def test_a_glance_measures_no_system_calls_and_no_memory(spinner):
    found = examine(spinner)
    assert (found.syscalls, found.memory, found.waits) == (None, None, ())
    assert found.stacks


def test_waits_are_those_of_the_processes_around_it(spinner):
    own = procfs.read_stat(os.getpid()).key
    found = examine(spinner, Depth.WAITS, around=(procfs.read_stat(spinner).key, own))
    assert {wait.key.pid for wait in found.waits} == {spinner, os.getpid()}


def test_a_server_tells_where_it_listens(folder):
    script = (
        "import socket, time\ns = socket.create_server(('127.0.0.1', 0))\n"
        "print('ready', flush=True)\ntime.sleep(600)\n"
    )
    (folder / "serve.py").write_text(script)
    with running_python("serve.py", cwd=folder) as pid:
        [address] = examine(pid).listening
    assert address.startswith("127.0.0.1:")


def test_ancestors_are_told_and_where_the_nearest_stands(folder):
    (folder / "test_it.py").write_text(
        "import subprocess\n\n\ndef test_it():\n    subprocess.run(['sh', '-c', "
        "'echo ready; while :; do :; done'])\n\n\ntest_it()\n"
    )
    with running_python("test_it.py", cwd=folder) as pid:
        [child] = procfs.children_of(pid)
        found = examine(child, ancestors=(procfs.read_stat(pid).key,))
    assert found.ancestors[0].key.pid == pid
    assert found.ancestors[0].stacks[0].frames[-2].function == "test_it"
    assert (place(found).path, place(found).line) == (str(folder / "test_it.py"), 5)


# -- what is not there ---------------------------------------------------------------------------


@pytest.mark.parametrize("depth", Depth)
def test_a_process_that_has_gone_is_gone(depth):
    found = examine(ProcessKey(NO_PID - 1, 1), depth)
    assert found.is_gone
    assert (found.process, found.on_cpu_cores, found.rss_bytes) == (None, None, None)


def test_the_next_owner_of_a_pid_is_not_looked_at(spinner):
    key = procfs.read_stat(spinner).key
    assert examine(ProcessKey(key.pid, key.start_ticks - 1)).is_gone


def test_a_process_that_ends_meanwhile_is_gone(spinner):
    async def count_and_kill(pid, window_s):
        os.kill(pid, 9)

    assert examine(spinner, Depth.MEASURE, counts=count_and_kill).syscalls is None


def test_a_zombie_has_no_place():
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    found = examine(process.pid)
    process.wait()
    assert found.is_gone or place(found) is None


def test_ancestors_that_have_gone_are_empty(spinner):
    found = examine(spinner, ancestors=(ProcessKey(NO_PID - 1, 1),))
    assert [above.argv for above in found.ancestors] == [()]


def test_a_program_whose_file_was_deleted_is_looked_at(folder):
    program = folder / "spinner"
    shutil.copy("/bin/sleep", program)
    process = subprocess.Popen([program, "600"], cwd=folder)
    try:
        program.unlink()
        found = examine(process.pid, Depth.MEASURE)
        assert not found.is_gone
        assert found.process.exe is None
        assert place(found) is None
    finally:
        process.kill()
        process.wait()


def test_a_folder_that_was_deleted_is_no_folder(folder):
    (folder / "pump.py").write_text(SPIN)
    with running_python(folder / "pump.py", cwd=folder) as pid:
        shutil.rmtree(folder)
        found = examine(pid)
    assert found.process.cwd is None
    assert place(found) is None


# -- what is hostile -----------------------------------------------------------------------------

HOSTILE = {
    "newlines": ["a\nb", "c\r\nd"],
    "terminal escapes": ["\x1b[2J\x1b]0;x\x07", "\x9b31m"],
    "text that turns round": ["\u202egnp.exe"],
    "bytes that are no text": [b"\xff\xfe", b"--\xc3"],
    "nothing": ["", "", ""],
    "a script of no name": ["python3", "\n"],
    "a script that is everywhere": ["bash", "/dev/zero"],
    "an interpreter's confusion": ["python3", "-m", "-c", "-", "--"],
    "npm's confusion": ["npm run " + "x " * 100],
    "a makefile that never ends": ["make", "-f", "/dev/zero"],
    "a compiler's list in a device": ["cc1", "@/dev/zero", "@/proc/self/mem", "a.c"],
    "4,000 arguments": ["python3", *["-v"] * 3_998, "x.py"],
    "one long argument": ["ruby", "x" * 100_000],
    "percent signs and braces": ["{}", "%s%n", "${HOME}", "$(reboot)", "`reboot`"],
}


@pytest.mark.parametrize("argv", HOSTILE.values(), ids=HOSTILE)
def test_whatever_a_process_calls_itself_it_is_looked_at(program, folder, argv):
    with running(*argv, executable=program, cwd=folder) as pid:
        for depth in (Depth.GLANCE, Depth.WAITS):
            found = examine(pid, depth)
            assert not found.is_gone
            "".join(found.process.argv).encode()
            assert place(found) is None


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """It says that it is ready, and sleeps."""
    folder = tmp_path_factory.mktemp("program")
    (folder / "sleep.c").write_text(
        "#include <stdio.h>\n#include <unistd.h>\n"
        'int main(void) { puts("ready"); fflush(stdout); for (;;) pause(); }\n'
    )
    subprocess.run(["cc", "-o", folder / "sleep", folder / "sleep.c"], check=True)
    return str(folder / "sleep")


def test_a_native_program_that_is_met_everywhere_is_not_measured_at_first(folder):
    def looked_at(places):
        key = procfs.read_stat(process.pid).key
        examiner = Examiner(count_syscalls, lambda _key: [(place, 1) for place in places])
        return asyncio.run(examiner.examine(ExaminationRequest(1, key, Depth.MEASURE), ()))

    shutil.copy("/usr/bin/yes", folder / "grinder")
    with subprocess.Popen([folder / "grinder"], stdout=subprocess.DEVNULL) as process:
        try:
            everywhere, in_a_circle = looked_at(range(60)), looked_at([1, 2, 3] * 20)
        finally:
            process.kill()
    assert everywhere.is_brief
    assert not in_a_circle.is_brief
    assert in_a_circle.syscalls == COUNTED


@pytest.mark.asyncio
async def test_a_look_that_is_broken_off_leaves_nothing_running_behind():
    looking = asyncio.create_task(asyncio.sleep(60))
    before = asyncio.all_tasks()
    waiting = asyncio.create_task(
        examiner._memory_unless_it_moves_on(os.getpid(), looking, asyncio.Event())
    )
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
    looking.cancel()
