"""Reading /proc, of processes that are anything but well-behaved."""

import os
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from linnix_ls import procfs

NO_PID = 4_194_305  # above the highest possible one


@contextmanager
def process(*command, **popen):
    """One that runs until the end of the block, and has said that it is ready."""
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **popen
    ) as running:
        try:
            assert running.stdout.readline() == b"ready\n"
            yield running.pid
        finally:
            running.kill()


def python(script, *arguments, **popen):
    script = f"import sys\n{script}\nprint('ready', flush=True); sys.stdin.read()"
    return process(sys.executable, "-Sc", script, *arguments, **popen)


class TestText:
    @pytest.mark.parametrize(
        ("raw", "text"),
        [
            (b"plain", "plain"), (b"", ""), ("日本".encode(), "日本"), (b"caf\xe9", "caf\\xe9"),
            (b"\xed\xa0\x80", "\\xed\\xa0\\x80"), (b"\x1b[2J", "\x1b[2J"), (b"a\0b", "a\0b"),
        ],
    )  # fmt: skip
    def test_every_name_becomes_valid_unicode(self, raw, text):
        assert procfs.text(raw) == text
        procfs.text(raw).encode()

    @pytest.mark.parametrize(
        ("raw", "argv"),
        [
            (b"", ()), (b"sh\0", ("sh",)), (b"sh", ("sh",)), (b"\0", ("",)),
            (b"sh\0-c\0\0x\0", ("sh", "-c", "", "x")), (b"a\nb\0\xff\0", ("a\nb", "\\xff")),
        ],
    )  # fmt: skip
    def test_arguments_are_told_apart(self, raw, argv):
        assert procfs.split_argv(raw) == argv


class TestWhatHasGone:
    def test_is_none_and_never_zero(self):
        assert procfs.read_stat(NO_PID) is None
        assert procfs.read_argv(NO_PID) == ()
        assert procfs.read_cwd(NO_PID) is None
        assert procfs.read_exe(NO_PID) is None
        assert procfs.read_uid(NO_PID) is None
        assert procfs.read_environ(NO_PID) is None
        assert procfs.read_counters(NO_PID) is None
        assert procfs.see(NO_PID, 1) is None
        assert procfs.children_of(NO_PID) == []
        assert procfs.descendants(NO_PID) == [NO_PID]

    def test_nobody_but_root_may_signal_it(self):
        assert procfs.may_signal(0, NO_PID)
        assert not procfs.may_signal(1000, NO_PID)

    @pytest.mark.e2e
    def test_a_zombie_has_ended_but_is_there(self):
        with subprocess.Popen(["true"]) as zombie:
            os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
            assert procfs.read_stat(zombie.pid).has_ended
            assert procfs.read_argv(zombie.pid) == ()
            assert procfs.see(zombie.pid, 1).argv == ()
            assert procfs.read_cwd(zombie.pid) is None


@pytest.mark.e2e
class TestRealProcesses:
    @pytest.mark.parametrize(
        ("name", "shown"),
        [
            (b") R 1 (x", ") R 1 (x"), (b"a\nb) S", "a\nb) S"), (b"caf\xe9", "caf\\xe9"),
            (b"\x1b[31mred", "\x1b[31mred"), (b"((((", "(((("), (b"", ""),
        ],
    )  # fmt: skip
    def test_no_name_confuses_the_reader(self, name, shown):
        with python(f"import ctypes; ctypes.CDLL(None).prctl(15, {name!r})") as pid:
            stat = procfs.read_stat(pid)
            assert stat.comm == shown
            assert stat.ppid == os.getpid()
            assert stat.n_threads == 1
            assert not stat.has_ended

    def test_own_facts(self):
        stat = procfs.read_stat(os.getpid())
        assert stat.key.pid == os.getpid()
        assert stat.ppid == os.getppid()
        since_boot_s = stat.key.start_ticks / os.sysconf("SC_CLK_TCK")
        assert 0 < since_boot_s < time.clock_gettime(time.CLOCK_BOOTTIME)
        assert stat.rss_pages > 100
        assert procfs.read_uid(os.getpid()) == os.geteuid()

    def test_a_process_that_renames_itself_leaves_no_trail_of_nothing(self):
        """npm, postgres and others write over their arguments."""
        script = (
            "import ctypes\n"
            "stat = open('/proc/self/stat').read().rsplit(')', 1)[1].split()\n"
            "start, end = int(stat[45]), int(stat[46])\n"
            "ctypes.memset(start, 0, end - start)\n"
            "ctypes.memmove(start, b'renamed', 7)"
        )
        with python(script, "x" * 200) as pid:
            assert procfs.read_argv(pid) == ("renamed",)

    def test_arguments_are_bounded(self):
        with python("", *["x" * 1_000] * 500) as pid:
            argv = procfs.read_argv(pid)
            assert sum(len(argument) + 1 for argument in argv) <= procfs.MAX_CMDLINE_BYTES + 1

    def test_a_deleted_folder_is_no_folder(self, tmp_path):
        folder = tmp_path / "gone"
        folder.mkdir()
        with python("import os; os.rmdir(os.getcwd())", cwd=folder) as pid:
            assert procfs.read_cwd(pid) is None

    def test_a_folder_may_be_called_anything(self, tmp_path):
        folder = os.fsencode(tmp_path) + b"/with space \xff\n"
        os.mkdir(folder)
        with python("", cwd=folder) as pid:
            assert procfs.read_cwd(pid) == f"{tmp_path}/with space \\xff\n"

    def test_children_of_every_thread_are_found(self):
        script = (
            "import os, threading, time\n"
            "def start():\n"
            "    print(end='', flush=True)\n"
            "    if os.fork() == 0: time.sleep(60); os._exit(0)\n"
            "    time.sleep(60)\n"
            "for _ in range(3): threading.Thread(target=start, daemon=True).start()\n"
            "while len(open(f'/proc/self/task/{os.getpid()}/children').read().split()) +"
            " sum(1 for t in os.listdir('/proc/self/task') if int(t) != os.getpid()"
            " for _ in open(f'/proc/self/task/{t}/children').read().split()) < 3:"
            " time.sleep(0.01)"
        )
        with python(script, start_new_session=True) as pid:
            try:
                assert len(procfs.children_of(pid)) == 3
                assert procfs.descendants(pid)[0] == pid
                assert len(procfs.descendants(pid)) == 4
            finally:
                os.killpg(pid, 9)

    def test_descendants_leave_out_whole_subtrees(self):
        script = "sh -c 'sh -c \"echo ready; read x\"; true'; true"
        with process("sh", "-c", script) as pid:
            whole = procfs.descendants(pid)
            assert len(whole) == 3
            [top, middle, _] = [procfs.read_stat(each).key for each in whole]
            assert procfs.descendants(pid, {middle}) == [pid]
            assert procfs.descendants(pid, {top}) == []
            before = middle._replace(start_ticks=1)  # had that pid once
            assert procfs.descendants(pid, {before}) == whole
            parents = [procfs.read_stat(below).ppid for below in whole[1:]]
            assert parents == whole[:-1]

    def test_counters_rise(self):
        before = procfs.read_counters(os.getpid())
        end = time.process_time() + 0.05
        while time.process_time() < end:
            pass
        after = procfs.read_counters(os.getpid())
        assert after.run_ns - before.run_ns > 30_000_000
        assert after.monotonic_ns > before.monotonic_ns
        assert after.n_read_bytes > before.n_read_bytes
        assert after.n_voluntary_switches >= before.n_voluntary_switches

    def test_it_is_known_how_many_want_to_run(self):
        assert procfs.read_n_runnable() >= 1


@pytest.mark.e2e
@pytest.mark.ebpf  # needs root, for there to be others
class TestWhoMaySignal:
    def test_one_may_signal_ones_own_and_root_everybodys(self):
        with subprocess.Popen(["sleep", "60"], user=65534) as theirs:
            assert procfs.may_signal(65534, theirs.pid)
            assert procfs.may_signal(0, theirs.pid)
            assert not procfs.may_signal(65533, theirs.pid)
            theirs.kill()

    @pytest.mark.parametrize(
        ("real", "effective", "saved", "may"),
        [(65534, 0, 0, True), (0, 0, 65534, True), (0, 65534, 0, False), (0, 0, 0, False)],
    )
    def test_the_rule_is_that_of_the_kernel(self, real, effective, saved, may):
        script = f"import os; os.setresuid({real}, {effective}, {saved})"
        with python(script) as pid:
            assert procfs.may_signal(65534, pid) == may
            assert kernel_lets_nobody_signal(pid) == may


def kernel_lets_nobody_signal(pid):
    asked = subprocess.run(
        ["kill", "-0", str(pid)], user=65534, group=65534, extra_groups=[],
        stderr=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    return asked.returncode == 0


@pytest.mark.parametrize("padding", [0, 32_700, 100_000])
def test_one_variable_is_found_wherever_it_stands(padding):
    environment = {"A": "x" * padding, "XWANTED": "no", "WANTED": "this=that", "Z": "WANTED=no"}
    with subprocess.Popen(["/bin/sleep", "60"], env=environment) as process:
        while not procfs.read_environ(process.pid):  # Popen returns in the middle of exec
            os.sched_yield()
        assert procfs.read_variable(process.pid, b"WANTED") == b"this=that"
        assert procfs.read_variable(process.pid, b"ANTED") is None
        process.kill()
    assert procfs.read_variable(process.pid, b"WANTED") is None
