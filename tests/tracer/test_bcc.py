"""What the probes tell, held against what really happened. Real eBPF, real processes."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import pytest_asyncio

from linnix_ls import procfs
from linnix_ls.config import cache_dir
from linnix_ls.core.events import Execed, Exited, Forked
from linnix_ls.errors import TracerUnavailable
from linnix_ls.tracer import bcc
from linnix_ls.tracer.bcc import BccTracer
from tests.tracer.scenes import Witness

pytestmark = [pytest.mark.e2e, pytest.mark.ebpf, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def witness():
    """One tracer for all tests here: compiling takes a second."""
    witness = Witness(BccTracer(cache_dir()))
    await witness.start()
    yield witness
    await witness.tracer.stop()


class TestForks:
    async def test_threads_are_no_processes(self, witness):
        story = await witness.python(
            "import threading, time\n"
            "threads = [threading.Thread(target=time.sleep, args=(0.05,)) for _ in range(50)]\n"
            "[t.start() for t in threads]; [t.join() for t in threads]"
        )
        assert story.forks == []
        assert len(story.exits) == 1

    async def test_a_prime_number_of_them_is_counted_exactly(self, witness):
        story = await witness.python(
            "import os\nfor _ in range(199):\n    if os.fork() == 0: os._exit(0)\n    os.wait()"
        )
        assert len(story.forks) == 199
        assert len(story.exits) == 199 + 1
        assert {end.exit_code for end in story.exits} == {0}

    async def test_keys_of_children_and_parents_are_those_of_proc(self, witness):
        script = (
            "import os, sys, time\n"
            "for _ in range(100):\n"
            "    if os.fork() == 0: time.sleep(60); os._exit(0)\n"
            "    time.sleep(0.001)\n"
            "print('ready', flush=True); sys.stdin.read()\n"
            "os.killpg(0, 9)"
        )
        async with witness.holding(sys.executable, "-Sc", script, start_new_session=True) as held:
            held.let_go()
            assert await held.read_line() == "ready"
            await witness.until(lambda: len(held.story.forks) == 100)
            for fork in held.story.forks:
                assert fork.key == procfs.read_stat(fork.key.pid).key
                assert fork.parent == held.key == procfs.read_stat(fork.parent.pid).key
                assert fork.uid == os.geteuid()
            os.killpg(held.process.pid, signal.SIGKILL)

    async def test_scope_is_inherited_through_generations_and_orphans(self, witness):
        """The middle one dies first: its child hangs below init then, and is still ours."""
        story = await witness.run(
            "sh", "-c", "(sh -c 'sleep 0.2; sh -c \"exit 9\"; exit 8' &) ; exit 0"
        )
        assert 9 in {end.exit_code for end in story.exits}
        assert {end.key for end in story.exits} == {
            story.root, *(fork.key for fork in story.forks)
        }  # fmt: skip

    async def test_others_never_appear(self, witness):
        n_before = len(witness.log)
        async with witness.holding("sh", "-c", "sleep 0.1; sleep 0.1") as held:
            for _ in range(5):
                subprocess.run(["sh", "-c", "true; true"], check=True)
            await held.finish()
            strangers = [e for e in witness.log[n_before:] if e not in held.story.events]
        assert strangers == []

    async def test_what_was_there_before_is_found_parents_first(self, witness):
        with subprocess.Popen(
            ["sh", "-c", "sh -c 'sh -c \"echo ready; read x\"; true'; true"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, start_new_session=True,
        ) as process:  # fmt: skip
            try:
                assert process.stdout.readline() == b"ready\n"
                seen = await witness.tracer.watch(procfs.read_stat(process.pid).key)
            finally:
                os.killpg(process.pid, signal.SIGKILL)
        assert [s.argv[-1][-4:] for s in seen] == ["true", "true", "ad x"]
        assert [s.parent for s in seen[1:]] == [s.key for s in seen[:-1]]

    async def test_a_pid_that_is_used_again_is_another_process(self, witness):
        story = await witness.python(
            "import os, time\n"
            "def child():\n"
            "    pid = os.fork()\n"
            "    if pid == 0: os._exit(0)\n"
            "    os.waitpid(pid, 0)\n"
            "    return pid\n"
            "first = child()\n"
            "time.sleep(0.05)\n"
            "for _ in range(500):\n"
            "    open('/proc/sys/kernel/ns_last_pid', 'w').write(str(first - 1))\n"
            "    if child() == first: break"
        )
        first, *_, last = story.forks
        assert last.key.pid == first.key.pid
        assert last.key.start_ticks > first.key.start_ticks
        assert {first.key, last.key} <= {end.key for end in story.exits}

    async def test_a_process_that_has_gone_cannot_be_watched(self, witness):
        gone = subprocess.Popen(["true"])
        key = procfs.read_stat(gone.pid).key
        await asyncio.to_thread(os.waitid, os.P_PID, gone.pid, os.WEXITED | os.WNOWAIT)
        assert await witness.tracer.watch(key) == ()  # of a zombie the end has been told already
        gone.wait()
        assert await witness.tracer.watch(key) == ()
        own = procfs.read_stat(os.getpid()).key
        assert await witness.tracer.watch(own._replace(start_ticks=own.start_ticks + 1)) == ()

    async def test_of_what_has_ended_before_it_was_watched_nothing_stays_in_scope(self, witness):
        """Nobody will tell the kernel that a zombie has ended: it has been told already."""
        scope = await witness.tracer._current().command("scope")
        script = "import os, sys\nif not os.fork(): os._exit(0)\n"
        script += "os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT); print('zombie', flush=True)\n"
        script += "sys.stdin.read()"
        with subprocess.Popen(
            [sys.executable, "-Sc", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout.readline() == b"zombie\n"
            assert len(procfs.descendants(process.pid)) == 2
            await witness.tracer.watch(procfs.read_stat(process.pid).key)
            grown = await witness.tracer._current().command("scope")
        assert set(grown) - set(scope) == {process.pid}

    async def test_nothing_is_told_any_more_after_unwatch(self, witness):
        async with witness.holding("sh", "-c", "true; true") as held:
            await witness.tracer.unwatch([held.key.pid])
            held.let_go()
            await asyncio.to_thread(held.process.wait)
            await witness.run("true")  # what came before it has been told by now
            assert held.story.events == []


class TestExecs:
    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (["two\nlines", "tab\there", ""], ("two\nlines", "tab\there", "")),
            ([b"caf\xe9", "日本"], ("caf\\xe9", "日本")),
            (["\x1b]0;title\x07\x1b[31m", "\u202eright to left"],
             ("\x1b]0;title\x07\x1b[31m", "\u202eright to left")),
            (["x" * 1_000], ("x" * 1_000,)),
        ],
        ids=["newlines", "no-utf-8", "escapes", "nearly-too-long"],
    )  # fmt: skip
    async def test_arguments_are_told_as_they_are(self, witness, arguments, told):
        raw = [os.fsencode(argument) for argument in arguments]
        story = await witness.python(
            f"import os; os.execv('/bin/true', [b'true', *{raw!r}])",
        )
        last = story.execs[-1]
        assert last.argv == ("true", *told)
        assert not last.argv_truncated
        for text in last.argv:
            text.encode()  # no lone surrogates

    async def test_4000_arguments_are_completed_while_the_process_lives(self, witness):
        arguments = [f"argument-{n}" for n in range(4_000)]
        async with witness.holding("sh", "-c", "echo ready; read x", "sh", *arguments) as held:
            held.let_go()
            assert await held.read_line() == "ready"
            await witness.until(lambda: held.story.execs)
            [execed] = held.story.execs
        assert execed.argv == ("sh", "-c", "echo ready; read x", "sh", *arguments)
        assert not execed.argv_truncated

    async def test_even_then_there_is_an_end(self, witness):
        arguments = [f"argument-{n:05}" for n in range(40_000)]
        async with witness.holding("sh", "-c", "echo ready; read x", "sh", *arguments) as held:
            held.let_go()
            assert await held.read_line() == "ready"
            await witness.until(lambda: held.story.execs)
            [execed] = held.story.execs
        assert 5_000 < len(execed.argv) < 10_000
        assert execed.argv_truncated

    async def test_4000_arguments_are_bounded_and_said_to_be_cut_once_it_is_gone(self, witness):
        arguments = [f"argument-{n}" for n in range(4_000)]
        story = await witness.run("true", *arguments)
        argv = story.execs[-1].argv
        if story.execs[-1].argv_truncated:
            assert 50 < len(argv) < 150
            assert argv[:-1] == ("true", *arguments)[: len(argv) - 1]
            assert arguments[len(argv) - 2].startswith(argv[-1])
        else:  # we were quick enough
            assert argv == ("true", *arguments)

    async def test_one_enormous_argument_is_cut_and_said_to_be(self, witness):
        story = await witness.python("import os; os.execv('/bin/true', ['x' * 100_000])")
        last = story.execs[-1]
        assert last.argv[0].startswith("x" * 1_000)
        assert last.argv_truncated == (len(last.argv[0]) < 100_000)

    async def test_no_arguments_at_all(self, witness):
        """The kernel gives such a program one empty argument (since Linux 5.18)."""
        story = await witness.python(
            "import ctypes\n"
            "nothing = (ctypes.c_char_p * 1)(None)\n"
            "ctypes.CDLL(None).execve(b'/bin/true', nothing, nothing)"
        )
        assert story.execs[-1].argv == ("",)
        assert story.execs[-1].comm == "true"

    async def test_what_is_gone_at_once_is_still_told_whole(self, witness, tmp_path):
        story = await witness.run(
            "sh", "-c", "for i in 1 2 3 4 5 6 7 8 9 10 11; do /bin/true run $i; done; exit 0",
            cwd=tmp_path,
        )  # fmt: skip
        commands = [execed.argv for execed in story.execs[1:]]
        assert commands == [("/bin/true", "run", str(n)) for n in range(1, 12)]
        for execed in story.execs[1:]:
            assert execed.parent == story.root
            assert Path(execed.exe).name == "true"
            assert execed.cwd in (None, str(tmp_path))

    async def test_a_program_that_replaces_itself_is_told_each_time(self, witness):
        story = await witness.run("sh", "-c", "exec env VARIABLE=1 sh -c 'exec sh -c \"exit 6\"'")
        assert [execed.argv[0] for execed in story.execs] == ["sh", "env", "sh", "sh"]
        assert {execed.key for execed in story.execs} == {story.root}
        for execed in story.execs:
            is_env = execed.argv[0] == "env"
            assert is_env == (Path(execed.exe).name == "env"), execed
        assert story.forks == []
        assert story.end == (6, None)

    async def test_an_exec_from_a_thread_keeps_the_process(self, witness):
        story = await witness.python(
            "import os, threading, time\n"
            "run = lambda: os.execv('/bin/sh', ['sh', '-c', 'exit 4'])\n"
            "threading.Thread(target=run).start(); time.sleep(60)"
        )
        assert story.execs[-1].argv == ("sh", "-c", "exit 4")
        assert story.execs[-1].key == story.root
        assert story.end == (4, None)
        assert len(story.exits) == 1

    async def test_execs_of_a_watched_user_are_told_and_those_of_others_are_not(self, witness):
        n_before = len(witness.log)
        await witness.tracer.watch_users([65534])
        try:
            subprocess.run(["true", "root's"], check=True)
            subprocess.run(["true", "nobody's"], check=True, user=65534)
            await witness.until(lambda: len(witness.log) > n_before)
        finally:
            await witness.tracer.watch_users([])
        subprocess.run(["true", "too late"], check=True, user=65534)
        await witness.run("true")
        told = [e for e in witness.log[n_before:] if getattr(e, "uid", None) == 65534]
        assert [e.argv for e in told] == [("true", "nobody's")]


class TestExits:
    @pytest.mark.parametrize(
        ("script", "end"),
        [
            ("import os; os._exit(0)", (0, None)),
            ("import os; os._exit(3)", (3, None)),
            ("import os; os._exit(255)", (255, None)),
            ("import os; os.kill(os.getpid(), 9)", (None, signal.SIGKILL)),
            ("import os; os.kill(os.getpid(), 15)", (None, signal.SIGTERM)),
            ("import ctypes; ctypes.string_at(0)", (None, signal.SIGSEGV)),
            ("import os; os.abort()", (None, signal.SIGABRT)),
        ],
    )
    async def test_code_and_signal_are_told(self, witness, script, end):
        story = await witness.python(script)
        assert story.end == end

    async def test_one_thread_may_end_all(self, witness):
        story = await witness.python(
            "import os, threading, time\n"
            "for _ in range(4): threading.Thread(target=time.sleep, args=(60,)).start()\n"
            "threading.Thread(target=lambda: os._exit(5)).start(); time.sleep(60)"
        )
        assert story.end == (5, None)

    async def test_a_signal_ends_all_threads_and_is_told_once(self, witness):
        story = await witness.python(
            "import os, threading, time\n"
            "for _ in range(4): threading.Thread(target=time.sleep, args=(60,)).start()\n"
            "os.kill(os.getpid(), 9)"
        )
        assert story.end == (None, signal.SIGKILL)

    async def test_a_process_lives_on_after_its_first_thread(self, witness):
        """Its /proc entry is a zombie's then; it ends with the last thread."""
        async with witness.holding(
            sys.executable, "-Sc",
            "import ctypes, os, sys, threading\n"
            "def last():\n"
            "    print('ready', flush=True); sys.stdin.readline(); os._exit(7)\n"
            "threading.Thread(target=last).start()\n"
            "ctypes.CDLL(None).pthread_exit(None)",
        ) as held:  # fmt: skip
            held.let_go()
            assert await held.read_line() == "ready"
            await witness.run("true")
            assert held.story.exits == []
            held.let_go()
            await held.finish()
            assert held.story.end == (7, None)


class TestSamples:
    async def test_a_second_of_cpu_is_about_99_samples(self, witness):
        story = await witness.python("import time\nwhile time.process_time() < 1.0: pass")
        assert 60 <= len(story.samples) <= 130
        with_stack = [s for s in story.samples if s.user_ips or s.kernel_ips]
        assert len(with_stack) > 0.9 * len(story.samples)

    async def test_a_sleeper_has_none(self, witness):
        story = await witness.run("sleep", "0.5")
        assert len(story.samples) <= 3  # it has to start and to end

    async def test_calls_of_one_process_are_counted_by_their_results(self, witness):
        async with witness.holding(
            sys.executable, "-Sc",
            "import os\nprint('ready', flush=True)\n"
            "while True:\n"
            "    os.getppid()\n"
            "    try: os.stat('/no/such/file')\n"
            "    except OSError: pass",
        ) as held:  # fmt: skip
            held.let_go()
            assert await held.read_line() == "ready"
            counts = await witness.tracer.count_syscalls(held.key.pid, 0.3)
        by_name = {count.name: count for count in counts}
        stat = by_name.get("newfstatat") or by_name["stat"]
        assert stat.n_calls > 100
        assert stat.n_errors == stat.n_calls
        assert by_name["getppid"].n_errors == 0
        n_slices = 1 + bcc.N_NEXT_SLICES  # it calls them in turn
        assert abs(by_name["getppid"].n_calls - stat.n_calls) <= n_slices

    async def test_of_very_many_calls_some_are_counted_and_of_few_all(self, witness):
        program = (
            "import os, sys, time\nprint('ready', flush=True)\n"
            "while True:\n    os.getppid()\n    time.sleep(float(sys.argv[1]))"
        )
        shares, rates = [], []
        for pause_s in ("0", "0.01"):
            async with witness.holding(sys.executable, "-Sc", program, pause_s) as held:
                held.let_go()
                assert await held.read_line() == "ready"
                counts = await witness.tracer.count_syscalls(held.key.pid, 0.5)
            [parent] = [count for count in counts if count.name == "getppid"]
            shares.append(parent.share)
            rates.append(parent.n_calls / (0.5 * parent.share))
        assert shares[0] < 0.7
        assert shares[1] == 1
        assert rates[0] > 10 * rates[1] > 0


async def test_events_are_in_order_and_now(witness):
    before_ns = time.monotonic_ns()
    story = await witness.run("sh", "-c", "sh -c 'exit 1'; exit 0")
    times = [event.ktime_ns for event in story.events]
    assert times == sorted(times)
    assert before_ns <= times[0] <= times[-1] <= time.monotonic_ns()


async def test_what_does_not_fit_is_counted():
    witness = Witness(BccTracer(cache_dir(), ring_pages=1))
    await witness.start()
    try:
        async with witness.holding(
            sys.executable, "-Sc",
            "import os\n"
            "for _ in range(997):\n"
            "    if os.fork() == 0: os._exit(0)\n"
            "    os.wait()",
        ) as held:  # fmt: skip
            os.kill(witness.tracer.worker_pid, signal.SIGSTOP)  # nobody reads meanwhile
            try:
                held.let_go()
                await asyncio.to_thread(held.process.wait)
            finally:
                os.kill(witness.tracer.worker_pid, signal.SIGCONT)
            await witness.until(lambda: witness.n_lost)
            # Whoever comes later is told of again.
            story = await witness.run("sh", "-c", "exit 3")
            assert story.end == (3, None)
            told = [e for e in witness.log if isinstance(e, (Forked, Execed, Exited))]
            # Forks and an exec, and exits; less what came later.
            n_missing = (997 + 1) + (997 + 1) - (len(told) - len(story.execs + story.exits))
            assert len(held.story.forks) < 997
            await witness.until(lambda: witness.n_lost >= n_missing)
            assert witness.n_lost < n_missing + 500  # at most the samples of that time besides
    finally:
        await witness.tracer.stop()


async def test_what_the_agent_has_no_time_for_waits():
    n_forks = 2_000  # some ten times what this ring and a pipe hold
    witness = Witness(BccTracer(cache_dir(), ring_pages=8))
    await witness.start()
    try:
        async with witness.holding(
            sys.executable, "-Sc",
            "import os, time\n"
            f"for _ in range({n_forks}):\n"
            "    if os.fork() == 0: os._exit(0)\n"
            "    os.wait()\n"
            "    time.sleep(0.0005)",
        ) as held:  # fmt: skip
            held.let_go()
            # Our loop stands still meanwhile.
            os.waitid(os.P_PID, held.process.pid, os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222
            await witness.until(lambda: len(held.story.forks) >= n_forks)
        assert witness.n_lost == 0
        assert len(held.story.forks) == n_forks
    finally:
        await witness.tracer.stop()


async def test_a_worker_that_does_not_answer_is_not_waited_for(witness, monkeypatch):
    worker = witness.tracer.worker_pid
    with monkeypatch.context() as patience:
        patience.setattr("linnix_ls.tracer.generation.COMMAND_TIMEOUT_S", 0.2)
        os.kill(worker, signal.SIGSTOP)
        try:
            with pytest.raises(TracerUnavailable, match="does not answer to watch"):
                await witness.tracer.watch(procfs.read_stat(os.getppid()).key)
        finally:
            os.kill(worker, signal.SIGCONT)
    await witness.tracer.unwatch([os.getppid()])
    story = await witness.run("sh", "-c", "exit 3")  # it is none the worse for it
    assert story.end == (3, None)


async def test_a_worker_that_is_killed_is_told_with_its_signal():
    witness = Witness(BccTracer(cache_dir()))
    await witness.start()
    try:
        os.kill(witness.tracer.worker_pid, signal.SIGKILL)
        await witness.until(lambda: witness.failures)
        assert witness.failures == ["the process that loads the probes ended (signal 9)"]
        with pytest.raises(TracerUnavailable):
            await witness.tracer.watch(procfs.read_stat(os.getpid()).key)
    finally:
        await witness.tracer.stop()
