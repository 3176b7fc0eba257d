"""Which paths a process asks the kernel for, held against what it really asks. Real eBPF."""

import sys

import pytest
import pytest_asyncio

from linnix_ls.config import cache_dir
from linnix_ls.tracer.bcc import BccTracer
from linnix_ls.tracer.bcc_worker import _summary
from tests.tracer.scenes import Witness

# -- what is made of them ------------------------------------------------------------------------


def test_the_commonest_path_is_told_with_how_often_it_was_given():
    assert _summary({b"/a": 3, b"/b": 7}, 10) == (2, "/b", 7)


def test_calls_without_a_path_have_none():
    assert _summary(None, 10) == (None, None, None)
    assert _summary({}, 10) == (None, None, None)


def test_each_path_that_was_too_long_may_be_another():
    assert _summary({b"": 40, b"/a": 60}, 100) == (41, "/a", 60)
    assert _summary({b"": 40}, 40) == (40, None, None)


def test_each_call_for_which_there_was_no_room_may_have_had_another():
    assert _summary({b"/a": 60}, 100) == (41, "/a", 60)


def test_more_paths_than_calls_are_no_trouble():
    """Both are counted while the process runs."""
    assert _summary({b"/a": 61}, 60) == (1, "/a", 61)


def test_a_path_is_bytes_on_linux():
    assert _summary({b"/\xff\n": 1}, 1) == (1, "/\udcff\n", 1)


# -- what the probes see -------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def witness():
    """One tracer for all tests here: compiling takes a second."""
    witness = Witness(BccTracer(cache_dir()))
    await witness.start()
    yield witness
    await witness.tracer.stop()


@pytest.mark.e2e
@pytest.mark.ebpf
@pytest.mark.asyncio(loop_scope="module")
class TestRealProcesses:
    async def counted(self, witness, body, *, before=""):
        script = f"import os, signal\n{before}\nprint('ready', flush=True)\nn = 0\nwhile True:\n"
        script += "".join(f"    {line}\n" for line in ["n += 1", *body.splitlines()])
        async with witness.holding(sys.executable, "-Sc", script) as held:
            held.let_go()
            assert await held.read_line() == "ready"
            counts = await witness.tracer.count_syscalls(held.key.pid, 0.3)
        return {count.name: count for count in counts}

    async def test_the_same_file_is_one_path(self, witness):
        counts = await self.counted(witness, "os.path.exists('/no/such/file')")
        stat = counts.get("newfstatat") or counts["stat"]
        assert stat.n_calls > 100
        assert (stat.n_paths, stat.commonest_path) == (1, "/no/such/file")
        assert abs(stat.n_commonest_path - stat.n_calls) <= 1

    async def test_ever_other_files_are_as_many_paths(self, witness):
        """More than there is room for."""
        counts = await self.counted(witness, "os.path.exists(f'/no/such/file-{n}')")
        stat = counts.get("newfstatat") or counts["stat"]
        assert stat.n_calls > 100
        assert stat.n_paths >= 0.98 * stat.n_calls

    async def test_paths_too_long_to_tell_apart_are_many(self, witness):
        counts = await self.counted(witness, "os.path.exists('/tmp/' + 'x' * 200)")
        stat = counts.get("newfstatat") or counts["stat"]
        assert stat.n_paths >= 0.98 * stat.n_calls
        assert stat.commonest_path is None

    async def test_calls_of_other_names_have_their_own_paths(self, witness):
        counts = await self.counted(
            witness, "os.close(os.open('/dev/null', os.O_RDONLY))\nos.access('/etc', os.R_OK)"
        )
        opened = counts.get("openat") or counts["open"]
        accessed = counts.get("access") or counts["faccessat"]
        assert (opened.n_paths, opened.commonest_path) == (1, "/dev/null")
        assert (accessed.n_paths, accessed.commonest_path) == (1, "/etc")
        assert counts["close"].n_paths is None

    async def test_what_one_look_counted_is_not_in_the_next(self, witness):
        for name in ("one", "two"):
            counts = await self.counted(witness, f"os.path.exists('/no/{name}')")
            stat = counts.get("newfstatat") or counts["stat"]
            assert stat.commonest_path == f"/no/{name}"
            assert stat.n_paths == 1

    async def test_a_return_from_a_signal_handler_is_no_call(self, witness):
        counts = await self.counted(
            witness,
            "os.getppid()",
            before="signal.signal(signal.SIGALRM, lambda *_: None)\n"
            "signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)",
        )
        assert counts["getppid"].n_calls > 1_000
        assert all(not name.startswith(("[unknown", "-")) for name in counts), counts
