"""Probes are exchanged while processes start and end: nothing is lost, nothing told twice."""

import asyncio
import subprocess
import sys
from collections import Counter

import pytest
import pytest_asyncio

from linnix_ls.config import cache_dir
from linnix_ls.core.events import Execed, Exited, Forked, ProbesReplaced
from linnix_ls.tracer.bcc import BccTracer
from tests.starter import STARTER
from tests.tracer.scenes import Witness

pytestmark = [pytest.mark.e2e, pytest.mark.ebpf, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def witness():
    witness = Witness(BccTracer(cache_dir()))
    await witness.start()
    yield witness
    await witness.tracer.stop()


async def test_to_watch_nothing_of_the_playground_is_imported():
    names = "import sys, linnix_ls.tracer.bcc_worker; print(*sys.modules)"
    shown = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", names], capture_output=True, text=True, check=True
    )
    assert "linnix_ls.tracer.wire" in shown.stdout
    assert "linnix_ls.playground" not in shown.stdout


async def test_forks_execs_and_exits_are_told_once_across_exchanges_and_back(witness):
    tracer = witness.tracer
    async with witness.holding(sys.executable, "-Sc", STARTER, "/bin/true", "200") as held:
        held.let_go()
        for _ in range(2):
            await tracer.exchange(tracer.shipped)
            await asyncio.sleep(0.2)
            await tracer.go_back()
        await tracer.exchange(tracer.shipped)
        await tracer.settle()
        held.process.stdin.write(b"enough\n")
        held.process.stdin.flush()
        truth = Counter(map(int, (await held.read_line()).split()))
        await held.finish()
        story = held.story
    for kind in (Forked, Execed, Exited):
        told = Counter(
            event.key.pid for event in story.events
            if isinstance(event, kind) and event.key != held.key
        )  # fmt: skip
        assert told == truth, kind
    assert witness.n_lost == 0
    generations = [e.generation for e in witness.log if isinstance(e, ProbesReplaced)]
    assert generations == list(range(2, 7))
