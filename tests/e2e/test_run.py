"""`linnix-ls run` as a program: CMD must not notice that it is watched.

What has nothing to do with the kind of tracer runs with the one that works everywhere.
"""

import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.terminal import CTRL_C, CTRL_Z, Terminal, children_of

pytestmark = pytest.mark.e2e

LINNIX_LS = str(Path(sys.executable).with_name("linnix-ls"))
RUN = [LINNIX_LS, "run", "--tracer", "psutil"]
SHELL_RUN = " ".join([*RUN, "--"])


def run(*words, input=None, **options):
    """Run with pipes on all three; the completed process."""
    return subprocess.run(
        [*RUN, *words], input=input, capture_output=True, timeout=60, check=False, **options
    )


class Started:
    """A run whose CMD has said that it is ready."""

    def __init__(self, script, *options, **popen):
        self.process = subprocess.Popen(
            [*RUN, *options, "--", sys.executable, "-uc", script],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **popen,
        )  # fmt: skip
        assert self.process.stdout.readline() == b"ready\n", self.process.stderr.read()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()
        self.process.wait()

    @property
    def command_pid(self):
        [pid] = [
            pid for pid in children_of(self.process.pid)
            if b"linnix-ls" not in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]  # fmt: skip
        return pid


# Counts signals until one of them is SIGUSR2; says which came.
COUNTING = """
import signal
heard = []
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP, signal.SIGUSR2):
    signal.signal(number, lambda number, _: heard.append(signal.Signals(number).name))
print("ready")
while "SIGUSR2" not in heard:
    signal.pause()
print(" ".join(heard))  # in one write: a prompt may come in between
"""


class TestExitStatus:
    @pytest.mark.parametrize(
        ("script", "expected"),
        [("exit 0", 0), ("exit 7", 7), ("exit 255", 255), ("kill -TERM $$", 143),
         ("kill -KILL $$", 137), ("kill -INT $$", 130), ("kill -SEGV $$", 139)],
    )  # fmt: skip
    def test_is_that_of_the_command(self, script, expected):
        assert run("--", "sh", "-c", script).returncode == expected

    def test_is_127_for_a_command_that_does_not_exist(self):
        outcome = run("--", "no-such-command")
        assert outcome.returncode == 127
        assert outcome.stderr == b"linnix-ls: cannot run no-such-command: %s\n" % (
            os.strerror(errno.ENOENT).encode()
        )

    @pytest.mark.parametrize("make", ["file", "folder"])
    def test_is_126_for_what_cannot_be_executed(self, tmp_path, make):
        path = tmp_path / "thing"
        path.mkdir() if make == "folder" else path.write_text("text")
        outcome = run("--", str(path))
        assert outcome.returncode == 126
        assert os.strerror(errno.EACCES).encode() in outcome.stderr

    def test_is_127_for_a_script_whose_interpreter_is_missing(self, tmp_path):
        """As env(1) has it; the kernel names no other reason."""
        script = tmp_path / "script"
        script.write_text("#!/no/such/interpreter\n")
        script.chmod(0o755)
        assert run("--", str(script)).returncode == 127

    def test_a_script_without_interpreter_line_is_given_to_sh(self, tmp_path):
        script = tmp_path / "script"
        script.write_text('echo "$0 $1"; exit 4\n')
        script.chmod(0o755)
        outcome = run("--", str(script), "x y")
        assert (outcome.returncode, outcome.stdout) == (4, f"{script} x y\n".encode())

    def test_options_of_the_command_are_not_ours(self):
        outcome = run("--", "echo", "--json", "--", "--help")
        assert outcome.stdout == b"--json -- --help\n"

    def test_two_dashes_may_be_left_out(self):
        assert run("echo", "-n", "--json").stdout == b"--json"

    def test_nothing_to_run_is_a_usage_error(self):
        outcome = run()
        assert outcome.returncode == 2
        assert b"fix: linnix-ls run -- CMD" in outcome.stderr


class TestWhatTheCommandIsGiven:
    def test_stdin_is_passed_through_byte_for_byte(self):
        everything = bytes(range(256)) * 1000
        assert run("--", "cat", input=everything).stdout == everything

    def test_input_that_it_does_not_read_stays_for_the_next_program(self):
        line = f"{SHELL_RUN} head -c 4; cat"
        outcome = subprocess.run(
            ["sh", "-c", line], input=b"1234rest", capture_output=True, timeout=60, check=True
        )
        assert outcome.stdout == b"1234rest"

    def test_arguments_are_passed_byte_for_byte(self):
        arguments = [b"new\nline", b"\xff\xfe", b"\x1b[31m", b"", " ü ".encode()]
        outcome = run("--", "printf", "%s|", *arguments)
        assert outcome.stdout == b"|".join(arguments) + b"|"

    @pytest.mark.parametrize("prefix", [(), ("nohup",), ("env", "-i", "PATH=/bin:/usr/bin")])
    def test_fds_signals_environment_and_group_are_as_without_us(self, prefix):
        read_fd, write_fd = os.pipe()
        # Without a locale Python puts LC_CTYPE into its own environment.
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG"))}

        def output_of(*command):
            # sh leads the group; it waits, so that CMD is nobody's leader in both cases.
            child = subprocess.Popen(
                ["sh", "-c", '"$@"; exit $?', "sh", *prefix, *command],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                env=environment, pass_fds=(read_fd, write_fd), process_group=0,
            )  # fmt: skip
            text = child.communicate(timeout=60)[0].decode()
            return text.replace(str(child.pid), "GROUP").splitlines()

        def about(*words):
            told = output_of(*words, "cat", "/proc/self/environ", "/proc/self/limits")
            for line in output_of(*words, "cat", "/proc/self/status"):
                if re.match("Sig[^Q]|Shd|Cap|NoNew|Umask|Seccomp", line):
                    told.append(line)
            [stat] = output_of(*words, "cat", "/proc/self/stat")
            fields = stat.rpartition(")")[2].split()
            told += fields[2:6] + fields[15:17]  # pgrp, session, tty, tpgid, priority, nice
            for line in output_of(*words, "ls", "-l", "/proc/self/fd"):
                told.append(re.sub(r".*:\d\d (?=\d+ -> )|/\d+/fd|:\[.*", "", line))
            return told

        try:
            assert about(*RUN, "--") == about()
        finally:
            os.close(read_fd)
            os.close(write_fd)

    @pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
    def test_closed_standard_streams_stay_closed(self, closed, tmp_path):
        log = tmp_path / "log"

        def fds_of(*words):
            line = f"{' '.join(words)} sh -c 'ls /proc/$$/fd > {log}; exit 5' {closed}"
            assert subprocess.run(["sh", "-c", line], timeout=60, check=False).returncode == 5
            return log.read_text()

        assert fds_of(*RUN, "--") == fds_of()

    def test_the_reader_of_its_output_need_not_wait_for_us(self):
        script = "import os; print('ready'); os.close(1); os.read(0, 1)"
        with Started(script) as started:
            assert started.process.stdout.read() == b""  # the end, while CMD still runs
            assert started.process.poll() is None

    def test_its_folder_may_have_been_deleted(self, tmp_path):
        line = f"mkdir gone; cd gone; rmdir ../gone; {SHELL_RUN} echo begun"
        outcome = subprocess.run(
            ["sh", "-c", line], cwd=tmp_path, capture_output=True, timeout=60, check=True
        )
        assert outcome.stdout == b"begun\n"

    def test_it_may_be_a_background_server_that_lives_on(self):
        outcome = run("--", "sh", "-c", "sleep 30 >/dev/null 2>&1 & echo $!")
        os.kill(int(outcome.stdout), signal.SIGKILL)
        assert outcome.returncode == 0


class TestSignals:
    @pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGUSR1", "SIGHUP"])
    def test_one_sent_to_us_alone_is_passed_on_once(self, name):
        with Started(COUNTING) as started:
            started.process.send_signal(signal.Signals[name])
            time.sleep(0.5)
            started.process.send_signal(signal.SIGUSR2)
            assert started.process.stdout.readline().decode().split() == [name, "SIGUSR2"]
            assert started.process.wait(30) == 0

    @pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGUSR1", "SIGHUP"])
    def test_one_sent_to_the_group_is_not_sent_again(self, name):
        with Started(COUNTING, process_group=0) as started:
            os.killpg(started.process.pid, signal.Signals[name])
            time.sleep(0.5)
            os.killpg(started.process.pid, signal.SIGUSR2)
            assert started.process.stdout.readline().decode().split() == [name, "SIGUSR2"]
            assert started.process.wait(30) == 0

    def test_that_end_the_command_end_us_with_its_status(self):
        with Started("import time; print('ready'); time.sleep(60)") as started:
            started.process.terminate()
            assert started.process.wait(30) == 128 + signal.SIGTERM

    def test_our_own_sudden_death_leaves_the_command_alone(self):
        script = "import os; print('ready'); os.read(0, 1); print('still here')"
        with Started(script) as started:
            command_pid = started.command_pid
            started.process.kill()
            started.process.wait(30)
            os.kill(command_pid, 0)
            started.process.stdin.write(b"!")
            started.process.stdin.flush()
            assert started.process.stdout.readline() == b"still here\n"

    def test_a_command_that_was_never_released_ends_with_us(self, tmp_path):
        mark = tmp_path / "mark"
        process = subprocess.Popen([*RUN, "--", "touch", str(mark)], process_group=0)
        os.killpg(process.pid, signal.SIGSTOP)
        process.kill()
        os.killpg(process.pid, signal.SIGCONT)
        process.wait(30)
        time.sleep(0.5)
        assert not mark.exists()

    def test_stopping_and_continuing_us_does_the_same_to_the_command(self):
        script = "import os; print('ready'); os.read(0, 1)"
        # In a group of its own: the kernel stops nobody by SIGTSTP in a group that is orphaned, as
        # that of a test run in the background may be.
        with Started(script, process_group=0) as started:
            pid = started.command_pid
            started.process.send_signal(signal.SIGTSTP)
            wait_for(lambda: state_of(pid) == "T")
            started.process.send_signal(signal.SIGCONT)
            wait_for(lambda: state_of(pid) == "S")
            started.process.stdin.close()
            assert started.process.wait(30) == 0


class TestTerminal:
    def test_the_command_has_it(self):
        script = (
            "import os; print(*map(os.isatty, range(3)), os.tcgetpgrp(0) == os.getpgrp(),"
            "os.get_terminal_size().lines)"
        )
        with Terminal([*RUN, "--", sys.executable, "-c", script]) as terminal:
            terminal.expect(r"True True True True \d+")
            assert terminal.exit_code() == 0

    def test_a_command_that_somebody_else_stops_and_continues_is_waited_for(self):
        script = "import os; print('ready', os.getpid()); os.read(0, 1)"
        with Terminal([*RUN, "--", sys.executable, "-uc", script]) as terminal:
            pid = int(terminal.expect(r"ready (\d+)")[1])
            os.kill(pid, signal.SIGSTOP)
            wait_for(lambda: state_of(pid) == "T")
            os.kill(pid, signal.SIGCONT)
            terminal.enter("on")
            assert terminal.exit_code() == 0

    def test_ctrl_c_reaches_the_command_once_and_we_report(self):
        with Terminal([*RUN, "--", sys.executable, "-uc", COUNTING]) as terminal:
            terminal.expect("ready")
            terminal.type(CTRL_C)
            time.sleep(0.5)
            terminal.signal(signal.SIGUSR2)
            terminal.expect("SIGINT SIGUSR2")
            terminal.expect("linnix.*no runaways")
            assert terminal.exit_code() == 0

    def test_ctrl_c_ends_a_command_that_does_not_mind(self):
        # exec: dash forgets a Ctrl-C that comes while it forks.
        with Terminal([*RUN, "--", "sh", "-c", "echo ready; exec sleep 60"]) as terminal:
            terminal.expect("ready")
            terminal.type(CTRL_C)
            terminal.expect("no runaways")
            assert terminal.exit_code() == 130

    def test_a_hangup_reaches_the_command(self, tmp_path):
        mark = tmp_path / "mark"
        script = f"trap 'echo hup > {mark}; exit' HUP; echo ready; while :; do sleep 0.1; done"
        with Terminal([*RUN, "--", "sh", "-c", script]) as terminal:
            terminal.expect("ready")
        wait_for(mark.exists)

    @pytest.mark.parametrize("shell", [["bash", "--norc", "-i"], ["sh", "-im"]])
    def test_ctrl_z_stops_it_and_fg_goes_on(self, shell):
        with prompt(shell) as terminal:
            terminal.enter(SHELL_RUN + " sh -c 'echo up; read line; echo got $line; exit 9'")
            terminal.expect(r"\bup\r?\n")  # the prompt may come before it
            terminal.type(CTRL_Z)
            terminal.expect("Stopped")
            terminal.enter("echo the $((40 + 2))")
            terminal.expect("the 42")
            terminal.enter("fg")
            terminal.expect("linnix-ls run")  # the shell says what it continues
            terminal.enter("words")
            terminal.expect("got words")
            terminal.expect("no runaways")
            terminal.enter("echo status $?")
            terminal.expect("status 9")

    @pytest.mark.parametrize("shell", [["bash", "--norc", "-i"], ["sh", "-im"]])
    def test_in_the_background_it_stops_when_it_wants_to_read(self, shell):
        with prompt(shell) as terminal:
            terminal.enter(SHELL_RUN + " sh -c 'echo up; read line; echo got $line' &")
            terminal.expect(r"\bup\r?\n")  # the prompt may come before it
            terminal.enter("wait")
            terminal.enter("jobs")
            terminal.expect(r"Stopped.*linnix-ls run")
            terminal.enter("fg")
            terminal.expect("linnix-ls run")
            terminal.enter("words")
            terminal.expect("got words")

    def test_a_command_that_ignores_ctrl_z_is_not_stopped(self):
        with prompt(["bash", "--norc", "-i"]) as terminal:
            terminal.enter(
                SHELL_RUN + " sh -c 'trap \"\" TSTP; echo up; read line; echo got $line'"
            )
            terminal.expect(r"\bup\r?\n")  # the prompt may come before it
            terminal.type(CTRL_Z)
            terminal.enter("words")
            terminal.expect("got words")

    def test_a_job_is_signalled_as_one(self, tmp_path):
        (tmp_path / "counting.py").write_text(COUNTING)
        with prompt(["bash", "--norc", "-i"]) as terminal:
            terminal.enter(f"{SHELL_RUN} {sys.executable} -u {tmp_path}/counting.py &")
            terminal.expect("ready")
            terminal.enter("kill %1")
            time.sleep(0.5)
            terminal.enter("kill -USR2 %1")
            terminal.expect("SIGTERM SIGUSR2")

    @pytest.mark.parametrize(("name", "is_coloured"), [(None, True), ("NO_COLOR", False)])
    def test_has_colours_unless_no_color_is_set(self, name, is_coloured):
        environment = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
        environment |= {"TERM": "xterm", **({name: "1"} if name else {})}
        with Terminal([*RUN, "--", "true"], env=environment) as terminal:
            assert terminal.exit_code() == 0
            assert ("\x1b" in terminal.screen) == is_coloured


class TestFiles:
    def test_the_document_on_stdout_is_alone_there(self):
        outcome = run("--json", "-", "--", "sh", "-c", "echo noise >&2; exit 3")
        document = json.loads(outcome.stdout)
        assert (document["schema"], document["exit_code"]) == ("linnix-findings/1", 3)
        assert document["command"] == ["sh", "-c", "echo noise >&2; exit 3"]
        assert b"\x1b" not in outcome.stderr

    def test_it_is_valid_utf_8_whatever_the_arguments_hold(self, tmp_path):
        folder = tmp_path / "wörk späce"
        folder.mkdir()
        path = folder / "findings.json"
        arguments = [b"\xff", b"a\nb", b"\x1b[2J", *(b"%d" % number for number in range(4000))]
        assert run("--json", path, "--", "true", *arguments, cwd=folder).returncode == 0
        document = json.loads(path.read_bytes().decode("utf-8"))
        assert document["cwd"] == str(folder)
        assert document["command"][:4] == ["true", "\\xff", "a\nb", "\x1b[2J"]
        assert len(document["command"]) == 4004

    @pytest.mark.parametrize("option", ["--json", "--sarif", "--record"])
    def test_one_that_cannot_be_written_is_said_before_the_command_runs(self, option, tmp_path):
        outcome = run(option, str(tmp_path / "no" / "file"), "--", "touch", str(tmp_path / "mark"))
        assert outcome.returncode == 2
        assert b"No such file or directory" in outcome.stderr
        assert not (tmp_path / "mark").exists()

    def test_two_cannot_share_stdout(self):
        assert run("--json", "-", "--sarif", "-", "--", "true").returncode == 2

    def test_a_full_disk_is_an_error_of_ours_only_if_the_command_had_none(self):
        assert run("--json", "/dev/full", "--", "true").returncode == 1
        outcome = run("--json", "/dev/full", "--", "sh", "-c", "exit 6")
        assert outcome.returncode == 6
        assert b"cannot write the report" in outcome.stderr

    def test_a_recording_is_replayed_with_the_same_output(self, tmp_path):
        trace, live, again = (str(tmp_path / name) for name in ("r.trace", "live", "again"))
        assert run("--record", trace, "--json", live, "--", "sleep", "0.5").returncode == 0
        outcome = subprocess.run(
            [LINNIX_LS, "replay", trace, "--json", again],
            capture_output=True, timeout=60, check=True,
        )  # fmt: skip
        assert b"no runaways" in outcome.stderr
        first, second = (json.loads(Path(path).read_text()) for path in (live, again))
        del first["duration_s"], second["duration_s"]
        assert first == second

    def test_a_reader_who_reads_no_longer_does_no_harm(self):
        line = f"{SHELL_RUN} sh -c 'exit 5' 2>&1 >/dev/null | true; echo ${{PIPESTATUS[0]}}"
        outcome = subprocess.run(["bash", "-c", line], capture_output=True, timeout=60, check=True)
        assert outcome.stdout == b"5\n"


class TestWhileTheFeedOpens:
    SCRIPT = """
import asyncio, sys
from linnix_ls.cli import main, run

async def open_feed(settings, *, on_progress):
    on_progress("compiling probes")
    await asyncio.Event().wait()

run.OPEN_TIMEOUT_S = float(sys.argv.pop(1))
args = main._parser().parse_args(["run"])
args.command = sys.argv[1:]
sys.exit(run.run(args, open_feed))
"""

    def start(self, patience_s, *command):
        return Terminal([sys.executable, "-c", self.SCRIPT, str(patience_s), *command])

    def test_it_is_said_what_takes_the_time_and_the_command_waits(self):
        with self.start(60, "echo", "begun") as terminal:
            terminal.expect("linnix: compiling probes …")
            terminal.type(CTRL_C)
            assert terminal.exit_code() == 130
            assert "begun" not in terminal.screen

    def test_the_command_does_not_wait_for_ever(self):
        with self.start(1, "echo", "begun") as terminal:
            terminal.expect("compiling probes …")
            terminal.expect("begun")
            terminal.expect("nothing was watched")
            assert terminal.exit_code() == 0


SPIN = "import os\nif os.fork() == 0:\n    while True:\n        pass\nelse:\n    os.wait()\n"


@pytest.mark.ebpf
class TestFindings:
    """With eBPF and all: a spin is seen, said, and counts."""

    def spin(self, tmp_path, *options):
        (tmp_path / "spin.py").write_text(SPIN)
        return subprocess.run(
            [LINNIX_LS, "run", "--tracer", "bcc", "--json", "findings.json", *options, "--",
             "timeout", "20", "sh", "-c", f"{sys.executable} spin.py || exit 0"],
            cwd=tmp_path, capture_output=True, timeout=100, check=False,
        )  # fmt: skip

    def test_is_shown_stopped_and_fails_the_run(self, tmp_path):
        outcome = self.spin(tmp_path, "--fail-on", "fork_storm,cpu_spin", "--stop-runaways")
        shown = outcome.stderr.decode()
        assert outcome.returncode == 3, shown
        assert "warning[cpu_spin]" in shown
        assert re.search(r"--> spin\.py:[34]", shown)
        assert re.search(r"\(\d+\): stopped", shown)
        [finding] = json.loads((tmp_path / "findings.json").read_text())["findings"]
        assert finding["kind"] == "cpu_spin"
        assert finding["location"]["path"] == str(tmp_path / "spin.py")
        assert finding["cleared_s"] is not None


def prompt(shell):
    terminal = Terminal(shell, env={**os.environ, "PS1": "prompt> ", "TERM": "dumb"})
    terminal.expect("prompt> ")
    return terminal


def state_of(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def wait_for(is_reached, timeout_s=20):
    deadline = time.monotonic() + timeout_s
    while not is_reached():
        assert time.monotonic() < deadline
        time.sleep(0.05)
