"""What a JVM says of itself in a thread dump: deadlocks, and matches of regular expressions."""

import pytest

from linnix_ls.locate import java
from linnix_ls.locate.java import JavaReader
from tests.locate.programs import Folder, innermost, needs, read_until
from tests.locate.test_java import DUMP, LOCKS

FOUND = """
Found one Java-level deadlock:
=============================
"Thread-0":
  waiting to lock monitor 0x00007f2c5c003f00 (object 0x00000000ff0a1b88, a java.lang.Object),
  which is held by "Thread-1"

"Thread-1":
  waiting for ownable synchronizer 0x00000000ff0a1b78, (a java.util.concurrent.locks.R$Sync),
  which is held by "Thread-0"

Java stack information for the threads listed above:
===================================================
"Thread-0":
\tat Locks.nest(Locks.java:9)

Found 1 deadlock.
"""


def test_who_waits_for_whom_is_read_from_its_own_words():
    assert java._deadlock(DUMP + FOUND) == (("Thread-0", "Thread-1"), ("Thread-1", "Thread-0"))


def test_a_dump_without_a_circle_has_none():
    assert java._deadlock(DUMP) == ()
    assert java._deadlock("") == ()


def test_who_only_waits_in_a_dump_is_in_no_circle():
    """The same words, but not behind the JVM's heading."""
    assert java._deadlock(FOUND.partition("=\n")[2]) == ()


def test_of_several_circles_each_thread_is_told_once():
    assert java._deadlock(FOUND + FOUND) == java._deadlock(FOUND)


def test_a_long_circle_is_told_in_part():
    waits = "".join(
        f'"t{n}":\n  waiting to lock monitor\n  which is held by "t{n + 1}"\n' for n in range(50)
    )
    found = java._deadlock("Found one Java-level deadlock:\n" + waits)
    assert len(found) == java.MAX_DEADLOCKED
    assert found[0] == ("t0", "t1")


@pytest.mark.parametrize("name", ['a "b"', "ä", "x" * 200, 'which is held by "y'])
def test_threads_may_be_called_anything(name):
    waits = f'Java-level deadlock:\n"{name}":\n  waiting to lock\n  which is held by "{name}"\n'
    assert java._deadlock(waits) == ((name, name),)


MATCH = "java.util.regex.Pattern$Loop.match(java.base@17/Pattern.java:4943)"


def test_a_match_below_the_users_line_is_a_match(tmp_path):
    folder = Folder(tmp_path)
    path = folder.write("Word.java", "class Word {}\n")
    [thread] = java._parse(
        '"main" #1 cpu=9.0ms elapsed=1s tid=0x7f nid=0x5 runnable\n'
        f"\tat {MATCH}\n\tat Word.check(Word.java:12)"
    )
    assert thread.snapshot({"Word.java": [path]}).native_leaf == "regex"


def test_a_line_of_the_users_below_a_match_is_none(tmp_path):
    """A replacement that is computed: it is the user's code that runs."""
    path = Folder(tmp_path).write("Word.java", "class Word {}\n")
    [thread] = java._parse(
        '"main" #1 cpu=9.0ms elapsed=1s tid=0x7f nid=0x5 runnable\n'
        f"\tat Word.put(Word.java:30)\n\tat {MATCH}\n\tat Word.check(Word.java:12)"
    )
    assert thread.snapshot({"Word.java": [path]}).native_leaf is None


REGEX = """\
final class Word {
    public static void main(String[] args) {
        String text = "a".repeat(60), may = "a?".repeat(60) + "a{60}";
        while (text.matches(may)) {
            System.out.println("never");
        }
    }
}
"""


@needs("javac")
@pytest.mark.e2e
@pytest.mark.asyncio
async def test_a_jvm_tells_of_threads_that_wait_for_each_other(tmp_path):
    folder = Folder(tmp_path)
    folder.write("Locks.java", LOCKS)
    with folder.running("javac", "-g", "-d", "classes", "Locks.java") as compiler:
        compiler.wait()
    with folder.running("java", "-cp", "classes", "Locks") as process:
        reading = await read_until(JavaReader(), process.pid, lambda r: r.deadlock)
    (one, other), (other_again, one_again) = reading.deadlock
    assert {one, other} == {"Thread-0", "Thread-1"}
    assert (one, other) == (one_again, other_again)


@needs("javac")
@pytest.mark.e2e
@pytest.mark.asyncio
async def test_a_match_that_does_not_end_is_seen_in_a_jvm(tmp_path):
    folder = Folder(tmp_path)
    folder.write("Word.java", REGEX)
    with folder.running("javac", "-g", "-d", "classes", "Word.java") as compiler:
        compiler.wait()
    with folder.running("java", "-cp", "classes", "Word") as process:
        reading = await read_until(
            JavaReader(),
            process.pid,
            lambda r: len(r.stacks) == 4 and all(look.native_leaf == "regex" for look in r.stacks),
            n_looks=4,
        )
    assert innermost(reading).line == 4
    assert reading.deadlock == ()
