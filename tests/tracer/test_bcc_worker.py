"""What happens when eBPF cannot be had, and when what BCC lives in breaks down.

The faults are real: capabilities taken away, files hidden in a mount namespace of the test's own,
and packages called `bcc` that do what libbcc and LLVM have been seen to do.
"""

import importlib.util
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from linnix_ls.tracer import kernel_headers
from tests.tracer.environment import NOBODY, fake_bcc, with_mounts

pytestmark = [pytest.mark.e2e, pytest.mark.ebpf]

# Starts a tracer, says how that went, and how its worker ended.
TRY = """
import asyncio, json, os, sys
from pathlib import Path
from linnix_ls.errors import TracerUnavailable
from linnix_ls.tracer import bcc

bcc.LOAD_TIMEOUT_S = float(sys.argv[2])

async def main():
    tracer = bcc.BccTracer(Path(sys.argv[1]))
    try:
        await tracer.start(lambda events: None, lambda reason: None)
        outcome = {"cause": None, "worker": tracer.worker_pid}
        if len(sys.argv) > 3:
            exec(sys.argv[3])
    except TracerUnavailable as error:
        outcome = {"cause": error.cause, "message": error.message, "fix": error.fix}
    await tracer.stop()
    print(json.dumps(outcome))
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    assert not children, "something is left running"

asyncio.run(main())
"""


def try_tracer(cache, *, prefix=(), path=None, load_timeout_s=60, then=()):
    """What comes of starting a tracer in the environment that `prefix` makes."""
    environment = os.environ if path is None else {**os.environ, "PYTHONPATH": str(path)}
    done = subprocess.run(
        [*prefix, sys.executable, "-c", TRY, str(cache), str(load_timeout_s), *then],
        env=environment, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


@pytest.fixture
def cache(tmp_path):
    """Where a tracer of any user can put its headers, readable from any user's."""
    cache = tmp_path / "cache"
    cache.mkdir()
    return cache


@pytest.fixture(scope="module")
def bcc_folder():
    """Of the distribution's own copy."""
    [folder] = importlib.util.find_spec("bcc").submodule_search_locations
    return folder


class TestPermission:
    @pytest.mark.parametrize("capabilities", ["", "+bpf", "+perfmon"])
    def test_less_than_both_capabilities_is_refused_with_the_way_out(self, cache, capabilities):
        granted = ",".join(filter(None, ["+dac_read_search", capabilities]))
        prefix = (*NOBODY, f"--inh-caps={granted}", f"--ambient-caps={granted}")
        outcome = try_tracer(cache, prefix=prefix)
        assert outcome["cause"] == "no_permission"
        assert "CAP_BPF and CAP_PERFMON" in outcome["message"]
        assert "linnix-ls agent" in outcome["fix"]

    def test_root_of_a_container_without_real_root_is_refused(self, cache):
        outcome = try_tracer(cache, prefix=("unshare", "--user", "--map-root-user"))
        assert outcome["cause"] == "no_permission"

    def test_a_container_with_its_own_process_ids_is_refused(self, cache):
        """Its process 7 is another one than the kernel's 7."""
        outcome = try_tracer(cache, prefix=("unshare", "--pid", "--fork", "--mount-proc"))
        assert outcome["cause"] == "pid_namespace"
        assert "--pid=host" in outcome["fix"]

    def test_two_capabilities_do_and_no_tracefs_is_needed(self, tmp_path_factory):
        """Without CAP_SYS_ADMIN nothing can be mounted either."""
        # pytest's own folders are closed to other users.
        cache = f"/tmp/linnix-ls-test-{os.getpid()}"
        capabilities = "+bpf,+perfmon,+dac_read_search"
        own = f"install -d -m 700 -o nobody {cache}"
        prefix = (
            *with_mounts("umount /sys/kernel/tracing || true", own),
            *NOBODY, f"--inh-caps={capabilities}", f"--ambient-caps={capabilities}",
        )  # fmt: skip
        try:
            outcome = try_tracer(cache, prefix=prefix)
        finally:
            subprocess.run(["rm", "-r", cache], check=True)
        assert outcome["cause"] is None


class TestMissing:
    def test_tracefs_is_mounted(self, cache):
        prefix = with_mounts("umount -l /sys/kernel/tracing || true")
        then = ["outcome['mounts'] = Path('/proc/mounts').read_text()"]
        outcome = try_tracer(cache, prefix=prefix, then=then)
        assert outcome["cause"] is None
        assert " /sys/kernel/tracing tracefs " in outcome["mounts"]

    @pytest.mark.skipif(
        kernel_headers.installed_headers() is not None, reason="headers are there: nothing is made"
    )
    def test_btf(self, cache):
        prefix = with_mounts("mount -t tmpfs none /sys/kernel/btf")
        outcome = try_tracer(cache, prefix=prefix)
        assert outcome["cause"] == "no_btf"
        assert "CONFIG_DEBUG_INFO_BTF" in outcome["fix"]

    @pytest.mark.skipif(
        kernel_headers.installed_headers() is not None, reason="headers are there: nothing is made"
    )
    def test_bpftool(self, cache):
        found = os.path.realpath(kernel_headers.find_bpftool())
        outcome = try_tracer(cache, prefix=with_mounts(f"mount --bind /dev/null {found}"))
        assert outcome["cause"] == "no_bpftool"
        assert "install bpftool" in outcome["fix"]

    def test_bcc(self, cache, bcc_folder):
        prefix = with_mounts(f"mount -t tmpfs none {bcc_folder}")
        outcome = try_tracer(cache, prefix=prefix)
        assert outcome["cause"] == "no_bcc"
        assert "python3-bpfcc" in outcome["fix"]

    def test_the_library_under_the_binding(self, cache):
        found = [*Path("/usr").glob("lib*/libbcc.so.0"), *Path("/usr").glob("lib*/*/libbcc.so.0")]
        [library] = {str(path.resolve()) for path in found}
        outcome = try_tracer(cache, prefix=with_mounts(f"mount --bind /dev/null {library}"))
        assert outcome["cause"] == "no_bcc"
        assert "libbcc.so.0" in outcome["message"]
        assert "--reinstall" in outcome["fix"]

    def test_a_place_for_the_headers(self):
        outcome = try_tracer("/proc/no/such/place")
        assert outcome["cause"] == "load_failed"
        assert "/proc/no/such/place" in outcome["fix"]


class TestTheUnrelatedPackageOfThatName:
    @pytest.mark.parametrize(
        "source",
        ["'''Lattices.'''", "raise SyntaxError('written for Python 2')", "import no_such_module"],
        ids=["works", "raises", "lacks a dependency"],
    )
    def test_is_passed_over(self, cache, tmp_path, source):
        assert try_tracer(cache, path=fake_bcc(tmp_path, source))["cause"] is None

    def test_is_named_when_it_is_the_only_one(self, cache, tmp_path, bcc_folder):
        path = fake_bcc(tmp_path, "'''Lattices.'''")
        prefix = with_mounts(f"mount -t tmpfs none {bcc_folder}")
        outcome = try_tracer(cache, prefix=prefix, path=path)
        assert outcome["cause"] == "wrong_bcc"
        assert str(path / "bcc") in outcome["message"]
        assert "python3-bpfcc" in outcome["fix"]


class TestBreakdown:
    """The worker ends, or hangs; we say why, and live."""

    def test_an_abort_of_llvm(self, cache, tmp_path):
        path = fake_bcc(tmp_path, (
            "import os, sys\n"
            "class BPF:\n"
            "    def __init__(self, **options):\n"
            "        print('note: nothing yet', flush=True)\n"
            "        os.write(2, b'LLVM ERROR: Cannot select: 0x1 = xor\\n')\n"
            "        for frame in range(150): os.write(2, b'#%d 0x7f in llvm::x()\\n' % frame)\n"
            "        os.abort()\n"
            "import bcc; sys.modules['bcc.syscall'] = bcc; syscall_name = None"
        ))  # fmt: skip
        outcome = try_tracer(cache, path=path)
        assert outcome["cause"] == "worker_died"
        assert outcome["message"] == (
            f"the process that loads the probes ended (signal {int(signal.SIGABRT)}):"
            " LLVM ERROR: Cannot select: 0x1 = xor"
        )

    def test_an_exit(self, cache, tmp_path):
        """As BCC's table.py does, on a type that it does not know."""
        path = fake_bcc(tmp_path, (
            "import sys\n"
            "print('Type: __u128 not recognized. Please define the data with ctypes manually.')\n"
            "sys.exit(1)"
        ))  # fmt: skip
        outcome = try_tracer(cache, path=path)
        assert outcome["cause"] == "worker_died"
        assert outcome["message"] == (
            "the process that loads the probes ended (exit status 1):"
            " Type: __u128 not recognized. Please define the data with ctypes manually."
        )

    def test_a_hang(self, cache, tmp_path):
        path = fake_bcc(tmp_path, "import time; time.sleep(1000)")
        outcome = try_tracer(cache, path=path, load_timeout_s=1)
        assert outcome["cause"] == "load_failed"
        assert "more than 1 s" in outcome["message"]
        assert outcome["fix"]

    def test_noise_without_end_of_line_and_on_every_stream(self, cache, tmp_path, bcc_folder):
        path = fake_bcc(tmp_path, altered(bcc_folder, (
            "        os.write(1, b'x' * 300_000); os.write(2, b'\\xff\\x1b[2J\\n' * 10_000)\n"
        )))  # fmt: skip
        assert try_tracer(cache, path=path)["cause"] is None

    def test_source_that_is_no_c(self, cache, tmp_path, bcc_folder):
        path = fake_bcc(tmp_path, altered(bcc_folder, (
            "        options['text'] += '\\nthis is no C\\n'\n"
        )))  # fmt: skip
        outcome = try_tracer(cache, path=path)
        assert outcome["cause"] == "load_failed"
        assert "error: unknown type name 'this'" in outcome["message"]

    def test_a_probe_that_the_verifier_refuses(self, cache, tmp_path, bcc_folder):
        path = fake_bcc(tmp_path, altered(bcc_folder, (
            "        options['text'] += '''\n"
            "RAW_TRACEPOINT_PROBE(sched_wakeup) { return *(volatile int *)16; }'''\n"
        )))  # fmt: skip
        outcome = try_tracer(cache, path=path)
        assert outcome["cause"] == "load_failed"
        assert "sched_wakeup" in outcome["message"]


def altered(bcc_folder, statement):
    """The real package, with a statement at the beginning of BPF()."""
    return (
        "import importlib.util, os, sys\n"
        f"spec = importlib.util.spec_from_file_location('bcc', {bcc_folder + '/__init__.py'!r},"
        f" submodule_search_locations=[{bcc_folder!r}])\n"
        "real = sys.modules['bcc'] = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(real)\n"
        "class Altered(real.BPF):\n"
        "    def __init__(self, **options):\n"
        f"{statement}"
        "        super().__init__(**options)\n"
        "real.BPF = Altered\n"
    )
