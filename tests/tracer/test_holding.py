"""The process that holds the probes: compiled just now or long ago, they tell the same, and the
compiler is gone."""

import os
import shutil
from hashlib import sha256
from pathlib import Path

import pytest

from linnix_ls.core.events import Execed, Exited, Forked
from linnix_ls.tracer import bcc
from linnix_ls.tracer.kept_products import FOLDER
from tests.tracer.scenes import Witness

pytestmark = [pytest.mark.e2e, pytest.mark.ebpf, pytest.mark.asyncio(loop_scope="module")]

SCRIPT = "/bin/true; (exit 3); /bin/echo said >/dev/null"


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Filled by the first who needs it."""
    return tmp_path_factory.mktemp("cache")


async def told(cache):
    """What a tracer tells of a script, without what differs between runs; and what it has kept."""
    witness = await Witness(bcc.BccTracer(cache)).start()
    try:
        maps = Path(f"/proc/{witness.tracer.worker_pid}/maps").read_text()
        assert "libLLVM" not in maps
        assert "libbcc" not in maps
        story = await witness.run("/bin/sh", "-c", SCRIPT)
        syscalls = await witness.tracer.count_syscalls(os.getpid(), 0.0)
        assert syscalls is not None
    finally:
        await witness.tracer.stop()
    return [
        (
            type(event).__name__,
            getattr(event, "comm", None),
            getattr(event, "argv", None),
            getattr(event, "exit_code", None),
        )
        for event in story.events
        if isinstance(event, (Forked, Execed, Exited))
    ]


def kept(cache):
    [path] = (cache / FOLDER).iterdir()
    return path


def identity(path):
    status = path.stat()
    return status.st_ino, status.st_mtime_ns


async def test_what_was_compiled_earlier_tells_the_same_and_is_not_compiled_again(cache):
    first = await told(cache)
    assert ("Execed", "true", ("/bin/true",), None) in first
    before = identity(kept(cache))
    assert await told(cache) == first
    assert identity(kept(cache)) == before


async def test_what_is_damaged_is_compiled_anew(cache, tmp_path):
    mine = tmp_path / "cache"
    await told(cache)
    shutil.copytree(cache, mine)
    content = kept(mine).read_bytes()
    kept(mine).write_bytes(content[:1000])
    assert await told(mine)
    assert len(kept(mine).read_bytes()) > 1000


async def test_what_the_kernel_refuses_of_what_was_kept_is_compiled_anew(cache, tmp_path):
    """It is whole and ours, and all the same no program that the verifier accepts."""
    mine = tmp_path / "cache"
    await told(cache)
    shutil.copytree(cache, mine)
    _, _, text = kept(mine).read_bytes().partition(b"\n")
    no_end = text.replace(b"9500000000000000", b"b700000000000000")
    assert no_end != text
    content = sha256(no_end).hexdigest().encode() + b"\n" + no_end
    kept(mine).write_bytes(content)
    assert await told(mine)
    assert kept(mine).read_bytes() != content


async def test_a_cache_that_cannot_be_used_costs_time_only(cache, tmp_path):
    mine = tmp_path / "cache"
    await told(cache)
    shutil.copytree(cache, mine, ignore=shutil.ignore_patterns(FOLDER))
    (mine / FOLDER).write_text("no folder")
    assert await told(mine)
    assert (mine / FOLDER).read_text() == "no folder"
