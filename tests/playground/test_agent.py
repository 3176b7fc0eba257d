"""A real agent checks probe source for its client."""

import asyncio
import sys

import pytest

from linnix_ls.feed.remote import RemoteFeed
from linnix_ls.playground.documents import Documents
from linnix_ls.tracer.bpf_source import bpf_dir

pytestmark = [pytest.mark.ebpf, pytest.mark.e2e, pytest.mark.asyncio]


async def test_the_products_own_probes_are_right_and_a_mistake_in_one_is_at_its_line(tmp_path):
    socket_path = tmp_path / "agent.sock"
    agent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "linnix_ls.cli.main", "agent", "--socket", str(socket_path)),
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(60):
            while not socket_path.exists():  # noqa: ASYNC110 - another process makes it
                await asyncio.sleep(0.05)
        feed = await RemoteFeed.connect(socket_path, hello_timeout_s=60)
        checker = Documents(lambda _path: None, local=None)
        for path in sorted(bpf_dir().glob("*.bpf.c")):
            text = path.read_text()
            checked = await checker.check(str(path), text, feed.playground)
            assert not checked.problems
            assert len(checked.programs) == 5
            at = text.rindex("return 0;")
            broken = f"{text[:at]}return oops;{text[at:]}"
            [problem] = (await checker.check(str(path), broken, feed.playground)).problems
            assert problem.span.line == text.count("\n", 0, at) + 1
            assert problem.code == "clang"
        await feed.close()
    finally:
        agent.terminate()
        await agent.wait()
