"""A real agent checks probe source for its client."""

import asyncio
import contextlib
import sys

import pytest

from linnix_ls.feed.remote import RemoteFeed
from linnix_ls.playground.documents import Documents
from linnix_ls.playground.lesson_desk import check_as_far_as_may_be
from linnix_ls.playground.lessons import lesson
from linnix_ls.playground.running_lessons import check_by_running
from linnix_ls.tracer.bpf_source import bpf_dir

pytestmark = [pytest.mark.ebpf, pytest.mark.e2e, pytest.mark.asyncio]


@contextlib.asynccontextmanager
async def an_agents_playground(tmp_path):
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
        yield feed.playground
        await feed.close()
    finally:
        agent.terminate()
        await agent.wait()


async def test_the_products_own_probes_are_right_and_a_mistake_in_one_is_at_its_line(tmp_path):
    async with an_agents_playground(tmp_path) as playground:
        checker = Documents(lambda _path: None, local=None)
        for path in sorted(bpf_dir().glob("*.bpf.c")):
            text = path.read_text()
            checked = await checker.check(str(path), text, playground)
            assert not checked.problems
            assert len(checked.programs) == 5
            at = text.rindex("return 0;")
            broken = f"{text[:at]}return oops;{text[at:]}"
            [problem] = (await checker.check(str(path), broken, playground)).problems
            assert problem.span.line == text.count("\n", 0, at) + 1
            assert problem.code == "clang"


async def test_lessons_are_checked_by_who_may_have_their_probes_loaded(tmp_path):
    async with an_agents_playground(tmp_path) as playground:
        first = lesson(1)
        assert (await check_by_running(first, first.solution, playground)).is_passed
        # More rows than people look at.
        ninth = await check_by_running(lesson(9), lesson(9).solution, playground)
        assert ninth.is_passed, ninth.outcomes


async def test_who_may_not_load_is_told_what_the_verifier_says(tmp_path):
    async with an_agents_playground(tmp_path) as playground:
        fifth = await check_as_far_as_may_be(
            lesson(5), lesson(5).start, tmp_path, playground, is_recorded=True
        )
        assert [each.is_passed for each in fifth.outcomes] == [True, True, False]
        assert "line " in fifth.outcomes[-1].seen
        first = await check_as_far_as_may_be(
            lesson(1), lesson(1).solution, tmp_path, playground, is_recorded=True
        )
        assert (first.summary, first.not_checked) == ("4 of 4 checks pass, on recorded events", ())
