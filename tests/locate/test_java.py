import pytest

from linnix_ls.locate import java
from linnix_ls.locate.java import JavaReader
from linnix_ls.locate.script import ScriptReader
from tests.locate.programs import (
    Folder,
    facts_of,
    innermost,
    needs,
    read_until,
    user_frames,
)

DUMP = """\
2026-01-31 12:00:00
Full thread dump OpenJDK 64-Bit Server VM (17.0.15+6 mixed mode, sharing):

"main" #1 prio=5 os_prio=0 cpu=56.24ms elapsed=3.08s tid=0x7f nid=0x1a2b waiting on condition
   java.lang.Thread.State: TIMED_WAITING (sleeping)
\tat java.lang.Thread.sleep(java.base@17.0.15/Native Method)
\tat org.acme.Main.main(Main.java:12)
\t- locked <0x000000008> (a java.lang.Object)

"a "b" #12 [7]" #30 [4711] daemon prio=5 cpu=2900.5ms elapsed=3.01s tid=0x7f nid=4711 runnable
   java.lang.Thread.State: RUNNABLE
\tat org.acme.Runner$Inner.run(Runner.java:24)
\tat org.acme.Main$$Lambda$14/0x0000000800c03000.run(Unknown Source)
\tat java.lang.Thread.run(java.base@17.0.15/Thread.java:840)

"VM Thread" os_prio=0 cpu=10.2ms elapsed=3.1s tid=0x00007f3 nid=0x1a30 runnable

JNI global refs: 6, weak refs: 0
"""


def test_a_dump_of_any_version_is_read_thread_by_thread():
    main, runner = java._parse(DUMP)
    assert (main.tid, main.cpu_ms) == (0x1A2B, 56.24)
    assert main.frames[1] == ("org.acme.Main.main", "Main.java", 12)
    assert (runner.tid, runner.cpu_ms) == (4711, 2900.5)
    assert runner.frames[0] == ("org.acme.Runner$Inner.run", "Runner.java", 24)
    assert runner.frames[1][1:] == (None, None)


@pytest.mark.parametrize(
    ("class_name", "expected"),
    [
        ("org.acme.Runner$Inner", "src/main/org/acme/Runner.java"),
        ("org.other.Runner", "src/main/org/other/Runner.java"),
        ("org.elsewhere.Runner", None),
    ],
)
def test_of_files_with_one_name_the_one_in_the_package_is_taken(tmp_path, class_name, expected):
    folder = Folder(tmp_path)
    for name in ("src/main/org/acme/Runner.java", "src/main/org/other/Runner.java"):
        folder.write(name, "class Runner {}\n")
    sources = java._index(str(tmp_path), 0)
    found = java._source_of(class_name, "Runner.java", sources)
    assert found == (str(tmp_path / expected) if expected else None)


JOB = """\
final class Job implements Runnable {
    volatile boolean stopped;
    long state = 1;

    public void run() {
        while (!stopped) {
            state = step(state);
        }
    }

    static long step(long value) {
        return value * 31 + 7;
    }

    public static void main(String[] args) throws Exception {
        Thread thread = new Thread(new Job(), "job");
        thread.start();
        thread.join();
    }
}
"""

LOCKS = """\
final class Locks {
    static final Object one = new Object();
    static final Object two = new Object();

    static void nest(Object outer, Object inner) {
        synchronized (outer) {
            pause();
            synchronized (inner) {
                System.out.println("never");
            }
        }
    }

    static void pause() {
        try {
            Thread.sleep(300);
        } catch (InterruptedException e) {
            throw new RuntimeException(e);
        }
    }

    public static void main(String[] args) {
        new Thread(() -> nest(one, two)).start();
        new Thread(() -> nest(two, one)).start();
    }
}
"""


@needs("javac")
@pytest.mark.e2e
@pytest.mark.asyncio
async def test_the_thread_that_uses_the_cpu_is_found_in_its_loop(tmp_path):
    folder = Folder(tmp_path)
    folder.write("src/Job.java", JOB)
    with folder.running("javac", "-g", "-d", "classes", "src/Job.java") as compiler:
        compiler.wait()
    with folder.running("java", "-cp", "classes", "Job") as process:
        reading = await read_until(
            JavaReader(), process.pid, lambda r: innermost(r) and len(r.stacks) > 1, n_looks=4
        )
    run = next(f for f in reading.stacks[-1].frames if f.function == "Job.run")
    assert run.loops == ((6, 8),)
    assert reading.stacks[0].tid != process.pid


@needs("javac")
@pytest.mark.e2e
@pytest.mark.asyncio
async def test_of_threads_that_all_wait_one_that_wants_a_lock_is_shown(tmp_path):
    folder = Folder(tmp_path)
    folder.write("src/Locks.java", LOCKS)
    with folder.running("javac", "-g", "-d", "classes", "src/Locks.java") as compiler:
        compiler.wait()
    with folder.running("java", "-cp", "classes", "Locks") as process:
        reading = await read_until(
            JavaReader(),
            process.pid,
            lambda r: user_frames(r)[:1] == [("Locks.nest", "Locks.java", 9)],
        )
    assert not reading.stacks[-1].is_running


@needs("java")
@pytest.mark.e2e
@pytest.mark.asyncio
async def test_a_jvm_that_is_told_not_to_be_attached_to_is_left_alone(tmp_path):
    folder = Folder(tmp_path)
    folder.write("Job.java", JOB)
    with folder.running("java", "-XX:+DisableAttachMechanism", "Job.java") as process:
        reading = await read_until(JavaReader(), process.pid, lambda r: r.notes)
        assert process.poll() is None
    assert "DisableAttachMechanism" in reading.notes[0]


@pytest.mark.e2e
@pytest.mark.asyncio
async def test_a_process_that_does_not_handle_the_signal_is_not_sent_it(tmp_path):
    with Folder(tmp_path).running("sleep", "30") as process:
        await read_until(ScriptReader(), process.pid, lambda r: facts_of(process.pid).argv)
        with pytest.raises(java._RefusedError, match="SIGQUIT"):
            await java._thread_dump(facts_of(process.pid))
        assert process.poll() is None
