"""What a check may read, whoever asks; and that no source reaches us through the compiler."""

import asyncio
import os
import sys
from typing import ClassVar

import pytest

from linnix_ls.config import cache_dir
from linnix_ls.errors import PlaygroundError, Superseded
from linnix_ls.playground import sandbox
from linnix_ls.playground.base import MAX_SOURCE_BYTES, Severity
from linnix_ls.playground.dialect import Dialect
from linnix_ls.playground.permission import Client
from linnix_ls.playground.service import Checks, Service, make_request
from tests.lsp.client import descendants_of
from tests.playground.checking import check_alone, errors

NOBODY = sandbox.User(65534, 65534)
GOOD = """\
BPF_HASH(counts, u32, u64);
TRACEPOINT_PROBE(sched, sched_process_exec)
{
    u32 pid = args->pid;
    counts.increment(pid);
    return 0;
}
"""
GOOD_LIBBPF = """\
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
SEC("raw_tp/sched_process_exec") int on_exec(void *ctx) { return 0; }
char LICENSE[] SEC("license") = "GPL";
"""
IN_A_PROGRAM = "TRACEPOINT_PROBE(sched, sched_process_exec) {{ {} return 0; }}\n"

pytestmark = [pytest.mark.ebpf, pytest.mark.asyncio]


@pytest.fixture
def secret(tmp_path):
    """A file of root's in a folder of root's."""
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o700)
    path = folder / "secret.h"
    path.write_text("int the_secret = ;\n")
    return path


class TestReading:
    @pytest.mark.parametrize("source", [GOOD, GOOD_LIBBPF], ids=["bcc", "libbpf"])
    @pytest.mark.parametrize("user", [NOBODY, None], ids=["nobody", "root"])
    async def test_a_good_probe_loads_for_any_user(self, source, user):
        checked, _ = await check_alone(source, user)
        assert not checked.problems
        assert [program.errno for program in checked.programs] == [0]

    @pytest.mark.parametrize("source", [GOOD, GOOD_LIBBPF], ids=["bcc", "libbpf"])
    @pytest.mark.parametrize("user", [NOBODY, None], ids=["nobody", "root"])
    async def test_no_file_of_others_can_be_included(self, source, user, secret):
        for path in ("/etc/shadow", "/etc/passwd", "/proc/self/environ", str(secret)):
            checked, trial = await check_alone(f'#include "{path}"\n{source}', user)
            [error] = errors(checked)
            assert error.span.line == 1
            assert "Permission denied" in error.message
            assert "the_secret" not in trial.output
            assert "root:" not in trial.output

    async def test_nor_looked_for(self, secret):
        source = f'#if __has_include("{secret}")\n#error found\n#endif\n{GOOD}'
        checked, _ = await check_alone(source, NOBODY)
        assert "found" not in [problem.message for problem in checked.problems]

    async def test_nor_put_into_the_program(self, secret):
        source = f'{GOOD}\nasm(".incbin \\"{secret}\\"");\n'
        checked, trial = await check_alone(source, NOBODY)
        assert "the_secret" not in trial.output + str(checked)

    async def test_a_name_that_is_code_is_none(self):
        service = Service(cache_dir()).open(Client(os.getpid(), 65534, 65534, frozenset()))
        name = '/home/x/a"\n#include "/etc/passwd"\n//.bpf.c'
        checked = await service.check(Dialect.LIBBPF, name, GOOD_LIBBPF)
        assert not checked.problems


class TestHostileSource:
    """One error each, and we live on."""

    SOURCES: ClassVar = {
        "abort": IN_A_PROGRAM.format(
            "long a = bpf_ktime_get_ns(), b = bpf_get_prandom_u32() - 9; return a / b;"
        ),
        "exit": IN_A_PROGRAM.format("char b[600]; bpf_get_current_comm(b, 600); b[1]++;"
                                    " bpf_trace_printk(b, 600);"),
        "braces": "{" * 200_000,
        "parentheses": IN_A_PROGRAM.format("return " + "(" * 100_000 + "1;"),
        "nothing but NULs": "\0" * 10_000 + GOOD,
        "includes itself": '#include "/virtual/main.c"\n' * 3 + GOOD,
        "explodes": "#define A0 x x x x x x x x x x\n"
        + "".join(f"#define A{n} {f'A{n - 1} ' * 10}\n" for n in range(1, 12))
        + "int f() { A11 }\n",
        "shouts": '#define A0 _Pragma("message \\"%s\\"")\n' % ("x" * 1000)
        + "".join(f"#define A{n} {f'A{n - 1} ' * 10}\n" for n in range(1, 5))
        + "A4\noops",
        "no UTF-8": "\udcff\udcfe" + GOOD,
    }  # fmt: skip

    @pytest.mark.parametrize("name", SOURCES)
    async def test_is_an_error_like_any_other(self, name):
        checked, trial = await check_alone(self.SOURCES[name], NOBODY, time_limit_s=15)
        assert errors(checked)
        assert all(len(problem.log) <= 4 << 20 for problem in checked.problems)
        assert trial.took_s < 25

    async def test_what_takes_too_long_is_ended_and_says_so(self):
        checked, trial = await check_alone(self.SOURCES["explodes"], NOBODY, time_limit_s=1)
        assert trial.ended_by == "time"
        assert [problem.code for problem in checked.problems] == ["check/time"]


class TestClients:
    def a_client(self, uid=65534):
        return Service(cache_dir()).open(Client(os.getpid(), uid, uid, frozenset()))

    async def test_a_newer_text_ends_the_check_of_an_older_one(self):
        client = self.a_client()
        older = asyncio.create_task(client.check(Dialect.BCC, "a", GOOD))
        await asyncio.sleep(0)
        newer = asyncio.create_task(client.check(Dialect.BCC, "a", GOOD.replace("pid", "tid", 1)))
        with pytest.raises(Superseded):
            await older
        assert await newer

    async def test_the_newest_is_the_one_that_came_last_whichever_was_ready_first(self):
        checks = Checks()
        go_on = asyncio.Event()

        async def slow():
            await go_on.wait()
            return await make_request(cache_dir(), Dialect.BCC, GOOD, may_load=False)

        async def quick():
            return await make_request(cache_dir(), Dialect.BCC, GOOD, may_load=False)

        older = asyncio.create_task(checks.run("a", slow, None))
        await asyncio.sleep(0)
        newer = asyncio.create_task(checks.run("a", quick, None))
        await asyncio.sleep(0)
        go_on.set()
        with pytest.raises(Superseded):
            await older
        assert await newer

    async def test_a_client_that_has_gone_leaves_no_compiler(self):
        client = self.a_client()
        source = TestHostileSource.SOURCES["explodes"]
        task = asyncio.create_task(client.check(Dialect.BCC, "a", source))
        async with asyncio.timeout(20):
            while not (compilers := descendants_of(os.getpid())):  # noqa: ASYNC110 - a process
                await asyncio.sleep(0.02)
        await client.close()
        await asyncio.gather(task, return_exceptions=True)
        assert not [pid for pid in compilers if os.path.exists(f"/proc/{pid}")]

    async def test_a_source_that_is_too_large_is_refused(self):
        with pytest.raises(PlaygroundError, match="KB"):
            await self.a_client().check(Dialect.BCC, "a", " " * (MAX_SOURCE_BYTES + 1))

    async def test_users_may_not_load_unless_they_are_in_the_group(self):
        with pytest.raises(PlaygroundError):
            await self.a_client().load(Dialect.BCC, "a", GOOD, ttl_s=1)

    async def test_a_dangerous_probe_is_refused_before_it_is_loaded(self):
        source = IN_A_PROGRAM.format("bpf_send_signal(9);")
        checked, trial = await check_alone(source)
        assert [(each.code, each.severity) for each in checked.problems] == [
            ("policy/helper", Severity.ERROR)
        ]
        assert trial.programs[0]["refused"]


@pytest.mark.parametrize("worker", ["probe_worker", "check_worker"])
async def test_what_loads_may_lock_as_much_memory_as_it_can(worker):
    """Kernels before 5.11 count maps and programs as that."""
    code = (
        f"import resource\nfrom linnix_ls.playground import {worker}\n"
        "hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)[1]\n"
        "resource.setrlimit(resource.RLIMIT_MEMLOCK, (1 << 12, hard))\n"
        f"{worker}.limit()\nprint(resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] != 1 << 12)"
    )
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await child.communicate()
    assert out == b"True\n"
