import asyncio
import itertools
import os
import random
import shutil
import subprocess
import sys
import time

import pytest

from linnix_ls import procfs
from linnix_ls.locate.bash_memory import read_stack
from linnix_ls.locate.java import JavaReader
from linnix_ls.locate.memory import ProcessMemory, UnreadableError, symbol_addresses
from linnix_ls.locate.node import NodeReader
from linnix_ls.locate.perl import PerlReader
from linnix_ls.locate.registers import look_at_thread
from linnix_ls.locate.shell import ShellReader
from tests.locate.programs import Folder, facts_of, innermost, needs, read_until

pytestmark = pytest.mark.e2e


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("reader", "argv"),
    [
        pytest.param(ShellReader(), ("bash", "x.sh"), id="bash"),
        pytest.param(ShellReader(), ("dash", "x.sh"), id="dash", marks=needs("dash")),
        pytest.param(PerlReader(), ("perl", "x.pl"), id="perl", marks=needs("perl")),
        pytest.param(NodeReader(), ("node", "x.js"), id="node", marks=needs("node")),
        pytest.param(JavaReader(), ("java", "x.java"), id="java", marks=needs("java")),
    ],
)
async def test_a_process_that_ends_while_it_is_read_is_no_error(tmp_path, reader, argv):
    folder = Folder(tmp_path)
    folder.write("x.sh", "f() { n=0; while [ $n -lt 3000 ]; do n=$((n+1)); done; }\nf\n")
    folder.write("x.pl", "sub f { my $n = 0; $n++ while $n < 300_000; }\nf();\n")
    folder.write("x.js", "function f() { for (let n = 0; n < 3e7; n++); }\nf();\n")
    folder.write(
        "x.java", "class X { public static void main(String[] a) throws Exception"
        " { Thread.sleep(200); } }\n"
    )  # fmt: skip
    ended = 0
    dice = random.Random(7)
    deadline = time.monotonic() + 4
    for _ in itertools.takewhile(lambda _: time.monotonic() < deadline, range(30)):
        with folder.running(*argv) as process:
            await asyncio.sleep(dice.uniform(0, 0.1))
            if procfs.read_stat(process.pid) is None:
                continue
            facts = facts_of(process.pid)
            while process.poll() is None:
                await reader.read(facts, n_looks=3, interval_s=0.002)
            ended += 1
    assert ended


@pytest.mark.asyncio
async def test_many_threads_do_not_make_a_look_slow(tmp_path):
    folder = Folder(tmp_path)
    folder.write(
        "x.js",
        """\
const { Worker } = require('worker_threads');
let online = 0;
function spin() { for (;;); }
for (let n = 0; n < 40; n++) {
  new Worker('setInterval(() => {}, 1000)', { eval: true }).on('online', () => {
    if (++online === 40) spin();
  });
}
""",
    )
    with folder.running("node", "x.js") as process:
        await read_until(NodeReader(), process.pid, spins, n_looks=2)
        assert len(os.listdir(f"/proc/{process.pid}/task")) > 40


def spins(reading):
    return innermost(reading) and innermost(reading).function == "spin"


def test_a_process_that_a_debugger_holds_is_left_to_it(tmp_path):
    with Folder(tmp_path).running("bash", "-c", "while :; do :; done") as process:
        debugger = subprocess.Popen(
            [
                sys.executable,
                "-c",
                "from linnix_ls.locate import registers as r; import sys;"
                f" r._ptrace(r._PTRACE_SEIZE, {process.pid}); print(1, flush=True);"
                " sys.stdin.read()",
            ],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        try:
            assert debugger.stdout.readline()
            with (
                ProcessMemory(process.pid) as memory,
                pytest.raises(UnreadableError, match="debugger"),
            ):
                look_at_thread(process.pid, process.pid, memory)
        finally:
            debugger.communicate()


def test_a_process_that_is_suspended_stays_so_and_can_be_read(tmp_path):
    with Folder(tmp_path).running("bash", "-c", "f() { while :; do :; done; }; f") as process:
        while not procfs.read_argv(process.pid):
            pass
        process.send_signal(19)
        while procfs.read_stat(process.pid).state != "T":
            pass
        with ProcessMemory(process.pid) as memory:
            assert look_at_thread(process.pid, process.pid, memory).stack
        assert procfs.read_stat(process.pid).state == "T"


def test_a_program_of_another_kind_under_that_name_is_told_apart(tmp_path):
    fake = tmp_path / "bash"
    shutil.copy("/bin/sleep", fake)
    with Folder(tmp_path).running(str(fake), "30") as process:
        assert symbol_addresses(process.pid, str(fake), ["line_number"]) == {}
        with pytest.raises(UnreadableError):
            read_stack(process.pid, str(fake))


def test_addresses_that_are_none_are_unreadable_not_errors():
    with ProcessMemory(os.getpid()) as memory:
        for address in (0, 1, -8, 1 << 46, (1 << 47) - 8, 1 << 63, (1 << 64) - 1):
            with pytest.raises(UnreadableError):
                memory.string(address)
