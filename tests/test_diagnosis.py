"""What is said about a machine, where things are really missing."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from linnix_ls.config import Settings
from linnix_ls.diagnosis import Check, diagnose
from linnix_ls.tracer import kernel_headers
from tests.feed.scenes import Serving, run_as_nobody
from tests.tracer.environment import fake_bcc, with_mounts

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio]

DIAGNOSE = """
import asyncio, dataclasses, json, sys
from linnix_ls import diagnosis
from linnix_ls.config import Settings
diagnosis.IMPORT_TIMEOUT_S = 2
checks = asyncio.run(diagnosis.diagnose(Settings(agent_socket=sys.argv[1])))
print(json.dumps([dataclasses.asdict(check) for check in checks]))
"""


async def checks_in(path, *prefix, **environment):
    """By name, in a process that `prefix` has prepared."""
    done = await asyncio.to_thread(
        subprocess.run,
        [*prefix, sys.executable, "-c", DIAGNOSE, str(path)],
        env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=90,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return by_name(Check(**fields) for fields in json.loads(done.stdout))


def by_name(checks):
    checks = list(checks)
    for check in checks:
        assert check.detail
        assert bool(check.fix) != check.is_ok, check
    return {check.name: check for check in checks}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "agent.sock"


@pytest.mark.ebpf
class TestAsRoot:
    async def test_all_is_well_here(self, path):
        checks = by_name(await diagnose(Settings(agent_socket=str(path))))
        assert [check for check in checks.values() if check.is_required and not check.is_ok] == []
        assert checks["probes"].is_ok

    async def test_missing_programs_are_named(self, path):
        checks = await checks_in(path, PATH="/nonexistent")
        assert not checks["addr2line"].is_ok
        assert checks["py-spy"].is_ok  # it is beside our own interpreter

    async def test_a_hidden_kernel_and_tracefs(self, path):
        prefix = with_mounts(
            "mount -t tmpfs none /sys/kernel/btf", "umount -l /sys/kernel/tracing || true",
            "mount -t tmpfs none /sys/kernel/debug",
        )  # fmt: skip
        checks = await checks_in(path, *prefix)
        assert not checks["tracefs"].is_ok
        assert checks["tracefs"].fix.startswith("mount -t tracefs")
        if kernel_headers.installed_headers() is None:
            assert not checks["kernel types"].is_ok
            assert not checks["probes"].is_ok

    @pytest.mark.parametrize(
        ("source", "detail"),
        [
            ("import time; time.sleep(1000)", "importing it hangs"),
            ("import os; os.write(2, b'LLVM ERROR: no\\n'); os.abort()", "LLVM ERROR: no"),
            ("import os; os._exit(1)", "importing it ends the program"),
        ],
    )
    async def test_a_bcc_that_breaks_down(self, path, tmp_path, source, detail):
        checks = await checks_in(path, PYTHONPATH=str(fake_bcc(tmp_path, source)))
        assert checks["BCC"].detail == detail
        assert "python3-bpfcc" in checks["BCC"].fix
        assert "probes" not in checks  # they would break down as well

    async def test_a_container_with_its_own_process_ids(self, path):
        checks = await checks_in(path, "unshare", "--pid", "--fork", "--mount-proc")
        assert "--pid=host" in checks["probes"].fix


AS_NOBODY = """
import dataclasses
settings = Settings(agent_socket=sys.argv[1])
checks = asyncio.run(diagnosis.diagnose(settings))
print(json.dumps([dataclasses.asdict(check) for check in checks]))
"""


@pytest.mark.ebpf  # needs root, to be somebody else
class TestAsAnOrdinaryUser:
    async def test_what_is_missing_comes_with_the_way_to_get_it(self, path):
        out = await run_as_nobody(AS_NOBODY, path)
        checks = by_name(Check(**fields) for fields in json.loads(out))
        for name in ("agent", "permission"):
            assert not checks[name].is_ok
            assert checks[name].is_required
            assert "linnix-ls agent --install" in checks[name].fix
        assert "probes" not in checks  # they cannot be tried

    async def test_with_an_agent_none_of_that_is_needed(self):
        with tempfile.TemporaryDirectory(prefix="linnix-ls-") as folder:
            os.chmod(folder, 0o755)  # pytest's own folders are closed to other users
            path = Path(folder, "agent.sock")
            async with Serving(path):
                out = await run_as_nobody(AS_NOBODY, path)
        checks = by_name(Check(**fields) for fields in json.loads(out))
        assert str(path) in checks["agent"].detail
        assert checks["permission"].is_ok
        assert not checks["BCC"].is_required
        assert [c for c in checks.values() if c.is_required and not c.is_ok] == []
